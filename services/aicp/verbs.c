/* The table of verbs. */
#include "verbs.h"

const cli_verb *const cli_verbs[] = {
    &cli_gate_check,
    &cli_replay,
    &cli_bundle_verify,
    &cli_bundle_seal,
    &cli_policy_check,
    &cli_policy_authorize,
    &cli_policy_explain,
    &cli_policy_format,
    &cli_policy_to_json,
    &cli_policy_from_json,
    &cli_policy_schema,
    &cli_limit_simulate,
    &cli_guard_scan,
    &cli_guard_rules,
    &cli_tokens,
    &cli_cost,
    &cli_completion,
    NULL,
};
