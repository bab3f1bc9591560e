/* One line for each file that registers routes or resources. */
#ifndef AICPA_LIST_H
#define AICPA_LIST_H

#include "services/admin-api/admin.h"

#define AICPA_LIST(X)                                                                              \
    X(aicpa_auth_register)                                                                         \
    X(aicpa_gates_register)                                                                        \
    X(aicpa_events_register)                                                                       \
    X(aicpa_leases_register)                                                                       \
    X(aicpa_policies_register)                                                                     \
    X(aicpa_policy_check_register)                                                                 \
    X(aicpa_policy_simulate_register)                                                              \
    X(aicpa_model_tiers_register)                                                                  \
    X(aicpa_rate_limits_register)                                                                  \
    X(aicpa_sync_register)                                                                         \
    X(aicpa_settings_register)                                                                     \
    X(aicpa_organizations_register)                                                                \
    X(aicpa_members_register)                                                                      \
    X(aicpa_models_register)                                                                       \
    X(aicpa_keys_register)                                                                         \
    X(aicpa_teams_register)                                                                        \
    X(aicpa_budgets_register)                                                                      \
    X(aicpa_ledger_register)                                                                       \
    X(aicpa_guardrail_api_register)                                                                \
    X(aicpa_callback_register)                                                                     \
    X(aicpa_guardrails_register)                                                                   \
    X(aicpa_detectors_register)                                                                    \
    X(aicpa_content_policies_register)                                                             \
    X(aicpa_audit_logs_register)

#define AICPA_DECLARE(name) aicp_status name(aicps_api *api, aicp_error *err);
AICPA_LIST(AICPA_DECLARE)
#undef AICPA_DECLARE

#endif
