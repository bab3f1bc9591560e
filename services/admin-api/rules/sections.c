/* The sections of a bundle: what writes each is in the file of its name. */
#include "services/admin-api/rules/rules.h"

const aicpa_section aicpa_sections[] = {
    {"policies", "policies.cedar", aicpa_write_policies},
    {"entities", "entities.json", aicpa_write_entities},
    {"limits", "limits.json", aicpa_write_limits},
    {"guardrails", "guardrails.json", aicpa_write_guardrails},
    {"prices", "prices.json", aicpa_write_prices},
    {"overrides", "overrides.json", aicpa_write_overrides},
    {"accounts", "accounts.json", aicpa_write_accounts},
    {"routes", "routes.json", aicpa_write_routes},
    {"settings", "settings.json", aicpa_write_settings},
};
const size_t aicpa_section_count = sizeof aicpa_sections / sizeof *aicpa_sections;
