/* Every verb; the order of help stands in verbs.c. */
#ifndef AICP_CLI_VERBS_H
#define AICP_CLI_VERBS_H

#include "cli.h"

#include "aicp/gate.h"
#include "aicp/policy.h"

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
extern const cli_verb cli_policy_explain;
extern const cli_verb cli_policy_format;
extern const cli_verb cli_policy_from_json;
extern const cli_verb cli_policy_schema;
extern const cli_verb cli_policy_to_json;
extern const cli_verb cli_replay;
extern const cli_verb cli_tokens;

/* gate.c */

/** Fills a request from a line of `gate check`: {"request", "subject", "action"}. */
bool cli_gate_fill(aicp_gate_request *request, json_object *in, aicp_error *err);

/* policy.c */

/** What requests are put to. */
typedef struct cli_policy_run {
    const cli_args *args;
    aicp_policy_set *set;
    aicp_policy_entities *entities;
    aicp_policy_schema *schema; /* NULL: requests may be anything */
} cli_policy_run;

/** Options of the verbs that put requests to policies. */
#define CLI_POLICY_OPTIONS                                                                         \
    {"policies", "FILE", NULL, "Cedar policies (needed)"},                                         \
        {"entities", "FILE", NULL, "entities as JSON"},                                            \
        {"links", "FILE", NULL, "links of templates as JSON"},                                     \
        {"schema", "FILE", NULL, "entities and requests are read by this schema, and checked"}, {  \
        "id-from-annotation", NULL, NULL, "@id(\"...\") is the policy's id"                        \
    }

/** Reads the files that the options name and hands the lines of the input on, with a
 * cli_policy_run as `user`. */
int cli_policy_lines(const cli_args *args, cli_block_fn *each);

#endif
