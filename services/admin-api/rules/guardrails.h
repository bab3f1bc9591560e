/* Guardrail profiles, detectors and teams' content policies in the engine's form.
 *
 * How they come together for a team:
 *   1. the active profile of its assignments with the highest priority (of equal ones the one that
 *      was assigned last), else the default profile, else one that looks for nothing;
 *   2. the active detectors that are attached to the profile: "regex" and "keyword" are added as
 *      they are; of "pii" each entity is looked for, with the stricter of both actions;
 *   3. the team's active content policies, each as a keyword detector: block blocks, redact masks,
 *      warn flags.
 * The strictest action of all findings is the text's. The profile's `mode` and `on_error` hold for
 * all of it. */
#ifndef AICPA_RULES_GUARDRAILS_H
#define AICPA_RULES_GUARDRAILS_H

#include "services/admin-api/rules/rules.h"

#include "aicp/guardrail.h"

/* The engine's JSON of a profile and rows of detectors ({"name", "detector_type", "config"}), all
 * in the form of the API; both may be NULL. To be put back. */
struct json_object *
aicpa_guardrail_json(struct json_object *profile, aicpi_slice name, struct json_object *detectors);
/* A content policy ({"policy_type", "config"}) as a row of a detector. */
struct json_object *aicpa_guardrail_policy_detector(struct json_object *policy);
aicp_status
aicpa_guardrail_parse(struct json_object *json, aicp_guard_profile **out, aicp_error *err);

/* Active detectors attached to a profile, by falling priority. */
aicp_status aicpa_guardrail_detectors(
    aicpi_sql *db, aicpi_slice profile, struct json_object **out, aicp_error *err);
/* The engine's JSON for an id, whether active or not; ERR_NOT_FOUND. */
aicp_status
aicpa_guardrail_of_id(aicpi_sql *db, aicpi_slice id, struct json_object **out, aicp_error *err);
/* The engine's JSON for a team; without a team that of the default profile. */
aicp_status
aicpa_guardrail_of_team(aicpi_sql *db, aicpi_slice team, struct json_object **out, aicp_error *err);

/* The engine's type for a name of a personal entity ("email" or "EMAIL_ADDRESS"), NULL: it finds no
 * such thing. */
const char *aicpa_guardrail_entity(aicpi_slice name);
/* "EMAIL_ADDRESS, CREDIT_CARD, ..." */
void aicpa_guardrail_entities(aicpi_strbuf *out);
/* Label for findings: upper case, '_' for what cannot stand in one. */
void aicpa_guardrail_label(aicpi_slice name, char out[32]);

#endif
