/* From resources to the bundle.
 *
 * Every change of a rule adds one to the revision, in its own transaction. The background thread of
 * any replica that sees a new revision writes the sections anew, has the library read them as a
 * gate will, and puts the bundle into the store under that revision; the first replica wins. A
 * bundle that does not read is not published: the last good one stays, and the reason is told (GET
 * /api/v1/gates/bundle). */
#ifndef AICPA_RULES_RULES_H
#define AICPA_RULES_RULES_H

#include "services/admin-api/admin.h"

#include "aicp/policy.h"

/* A policy as it might be: what would be in force with it. */
typedef struct aicpa_draft {
    const char *policy_id; /* the policy that it stands for; NULL: it is a new one */
    const char *text;      /* NULL: the policy is taken away */
} aicpa_draft;

typedef struct aicpa_build {
    aicpa_admin *admin;
    aicpi_sql *db;
    const aicpa_draft *draft; /* NULL: what is in force */
} aicpa_build;

/* Writes a section; leaves `out` empty when there is nothing to enforce. Files: sections.c. */
typedef struct aicpa_section {
    const char *name;
    const char *file;
    aicp_status (*write)(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
} aicpa_section;
extern const aicpa_section aicpa_sections[];
extern const size_t aicpa_section_count;

/* Builds when the revision is newer than that of this process' own gate; of several replicas the
 * first one's bundle is kept. `*made`: there is a new one. */
aicp_status aicpa_rules_build(aicpa_admin *admin, aicpi_sql *db, bool *made, aicp_error *err);

/* Reads LiteLLM's price map once, at start. */
aicp_status aicpa_prices_load(aicpa_admin *admin, aicp_error *err);

/* ---- for sections ---- */

/* Calls `fn` for each row of a query without parameters. */
typedef aicp_status (*aicpa_row_fn)(void *user, aicpi_sql_stmt *row, aicp_error *err);
aicp_status
aicpa_each_row(aicpi_sql *db, const char *sql, aicpa_row_fn fn, void *user, aicp_error *err);
/* Column as a string, or null. */
struct json_object *aicpa_column_text(aicpi_sql_stmt *row, int32_t column);
/* Column that holds JSON text; null when it is not. */
struct json_object *aicpa_column_json(aicpi_sql_stmt *row, int32_t column);
/* A value in 1e-9 as exact decimal text: "0.002". */
struct json_object *aicpa_decimal_text(int64_t nano);
/* {"dimension": [value]} */
struct json_object *aicpa_match(const char *dimension, const char *data, size_t len);
/* Serialises into `out` and puts the object back. */
aicp_status aicpa_write_json(struct json_object *value, aicpi_strbuf *out, aicp_error *err);
/* A setting by name as JSON, NULL when it was never set; to be put back. */
struct json_object *aicpa_setting(aicpi_sql *db, const char *name, aicp_error *err);

/* All settings with their defaults; to be put back. resources/settings.c */
struct json_object *aicpa_settings_read(aicpi_sql *db, aicp_error *err);
bool aicpa_setting_is_on(aicpi_sql *db, const char *name, aicp_error *err);
/* Hook of the api: why a change is refused now, or NULL. */
const char *aicpa_closed(aicps_call *call);
/* Learns the mode that another replica set. */
aicp_status aicpa_maintenance_follow(aicpa_admin *admin, aicpi_sql *db, aicp_error *err);

/* The policies that a gate would have, and the entities. */
aicp_status aicpa_policies_read(aicpa_build *build, aicp_policy_set **out, aicp_error *err);
aicp_status aicpa_entities_read(aicpa_build *build, aicp_policy_entities **out, aicp_error *err);

/* Whether a text alone can be in force: it reads, and fits the platform's schema. Adds what is
 * wrong to the errors of field "text", with line and column. resources/policy_check.c */
bool aicpa_policy_text_check(aicps_call *call, const char *text);
/* Reads the platform's schema, at start. */
aicp_status aicpa_schema_load(aicpa_admin *admin, aicp_error *err);

/* One function a section. */
aicp_status aicpa_write_policies(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_entities(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_limits(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_guardrails(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_prices(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_overrides(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_accounts(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_routes(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);
aicp_status aicpa_write_settings(aicpa_build *build, aicpi_strbuf *out, aicp_error *err);

#endif
