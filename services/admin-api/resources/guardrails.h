/* What profiles, detectors and content policies share: a try of rules on a text. */
#ifndef AICPA_RESOURCES_GUARDRAILS_H
#define AICPA_RESOURCES_GUARDRAILS_H

#include "services/admin-api/rules/guardrails.h"

extern const aicps_resource aicpa_guardrail_resource;

/* Fields of a body with a text to be tried: text, direction, source. */
#define AICPA_TRY_FIELDS                                                                           \
    {.name = "text", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 1000000},       \
        {.name = "direction",                                                                      \
         .type = AICPS_ENUM,                                                                       \
         .preset = "\"input\"",                                                                    \
         .values = aicpa_try_directions},                                                          \
    {                                                                                              \
        .name = "source", .type = AICPS_ENUM, .preset = "\"user\"", .values = aicpa_try_sources    \
    }
extern const char *const aicpa_try_directions[];
extern const char *const aicpa_try_sources[];

/* Scans the text of `body` by the engine's JSON (the reference is taken):
 * {"action", "blocked", "reason", "risk_score", "rewritten", "text", "truncated", "error",
 *  "scanners": {name: score}, "findings": [...]}; raw matches stand in no finding. NULL: an error
 * was sent. */
struct json_object *
aicpa_guardrail_try(aicps_call *call, struct json_object *rules, struct json_object *body);

/* Adds a field error and fails when the engine does not take its JSON (the reference is taken). */
aicp_status aicpa_guardrail_accept(
    aicps_call *call, struct json_object *rules, const char *field, aicp_error *err);

/* False: LiteLLM knows no such team (404 was sent). A proxy that is away decides nothing. */
bool aicpa_guardrail_team_exists(aicps_call *call, aicpi_slice team);
/* The parameter `priority`, 0 when it is not given; false: 422 was sent. */
bool aicpa_guardrail_priority(aicps_call *call, int64_t *priority);
/* Runs one statement of ours with text parameters; `*changed`: rows (may be NULL). */
aicp_status aicpa_guardrail_run(
    aicpi_sql *db,
    const char *sql,
    const aicpi_slice *values,
    size_t count,
    int64_t number, /* bound behind the texts, at the statement's last place */
    int64_t *changed,
    aicp_error *err);
/* A copy of the row as it was, with one more member for the audit log (the reference is taken). */
aicp_status aicpa_guardrail_noted(
    aicps_change *change, const char *name, struct json_object *value, aicp_error *err);

#endif
