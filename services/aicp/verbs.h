/* Every verb; the order of help stands in verbs.c. */
#ifndef AICP_CLI_VERBS_H
#define AICP_CLI_VERBS_H

#include "cli.h"

extern const cli_verb cli_bundle_seal;
extern const cli_verb cli_bundle_verify;
extern const cli_verb cli_completion;
extern const cli_verb cli_cost;
extern const cli_verb cli_gate_check;
extern const cli_verb cli_guard_rules;
extern const cli_verb cli_guard_scan;
extern const cli_verb cli_limit_simulate;
extern const cli_verb cli_policy_authorize;
extern const cli_verb cli_policy_check;
extern const cli_verb cli_tokens;

#endif
