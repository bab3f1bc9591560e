/* Teams of LiteLLM, and their members. A deleted team takes along what we know of it. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/proxy.h"
#include "services/admin-api/worker.h"

#include "lib/base/error.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define LIMIT_MAX INT64_C(1000000000000)
#define BUDGET_MAX INT64_C(1000000000000000000)
#define TOLD(field, kind, more)                                                                    \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | AICPS_NULLABLE | (more) }

static const aicps_field fields[] = {
    TOLD("team_alias", AICPS_TEXT, AICPS_FILTER | AICPS_SORT | AICPS_SEARCH),
    TOLD("org_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("organization_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("spend", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    TOLD("max_budget", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    TOLD("budget_duration", AICPS_TEXT, 0),
    TOLD("models", AICPS_TEXTS, 0),
    TOLD("rpm_limit", AICPS_INT, 0),
    TOLD("tpm_limit", AICPS_INT, 0),
    TOLD("blocked", AICPS_BOOL, AICPS_FILTER | AICPS_FACET),
    TOLD("members_with_roles", AICPS_JSON, AICPS_CSV_OFF),
    TOLD("metadata", AICPS_OBJECT, AICPS_CSV_OFF),
    TOLD("created_at", AICPS_TIME, AICPS_SORT),
};

#define WRITABLE                                                                                   \
    {.name = "max_budget",                                                                         \
     .type = AICPS_DECIMAL,                                                                        \
     .flags = AICPS_NULLABLE,                                                                      \
     .min = 0,                                                                                     \
     .max = BUDGET_MAX},                                                                           \
        {.name = "budget_duration",                                                                \
         .type = AICPS_TEXT,                                                                       \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 1,                                                                                 \
         .max = 16,                                                                                \
         .pattern = "[1-9][0-9]{0,4}(s|m|h|d|w|mo)|hourly|daily|weekly|monthly"},                  \
        {.name = "models", .type = AICPS_TEXTS, .flags = AICPS_NULLABLE, .min = 0, .max = 1000},   \
        {.name = "organization_id",                                                                \
         .type = AICPS_TEXT,                                                                       \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 1,                                                                                 \
         .max = 256},                                                                              \
        {.name = "rpm_limit",                                                                      \
         .type = AICPS_INT,                                                                        \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = LIMIT_MAX},                                                                        \
        {.name = "tpm_limit",                                                                      \
         .type = AICPS_INT,                                                                        \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = LIMIT_MAX},                                                                        \
        {.name = "blocked", .type = AICPS_BOOL, .flags = AICPS_NULLABLE}, {                        \
        .name = "metadata", .type = AICPS_OBJECT, .flags = AICPS_NULLABLE                          \
    }
#define TEAM_ID                                                                                    \
    { .name = "team_id", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 256 }

static const aicps_field create_fields[] = {
    {.name = "team_alias", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 256},
    {.name = "team_id", .type = AICPS_TEXT, .min = 1, .max = 256},
    WRITABLE,
};
static const aicps_field update_fields[] = {
    TEAM_ID,
    {.name = "team_alias", .type = AICPS_TEXT, .min = 1, .max = 256},
    WRITABLE,
};
static const aicps_field delete_fields[] = {
    {.name = "team_ids", .type = AICPS_TEXTS, .flags = AICPS_REQUIRED, .min = 1, .max = 1000},
};
static const aicps_field member_fields[] = {
    TEAM_ID,
    {.name = "member", .type = AICPS_OBJECT, .flags = AICPS_REQUIRED},
};
static const aicps_field member_delete_fields[] = {
    TEAM_ID,
    {.name = "user_id", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 256},
};

/* ---- reading ---- */

static aicp_status list(aicps_call *call, struct json_object **rows, aicp_error *err) {
    *rows = aicpa_proxy_list(call, aicp_litellm_team_list);
    if (!*rows) {
        return aicpi_fail(err, AICP_ERR_LITELLM_SERVER, "answered");
    }
    for (size_t i = 0; i < json_object_array_length(*rows); i++) {
        struct json_object *row = json_object_array_get_idx(*rows, i);
        json_object_object_add(row, "id", json_object_get(json_object_object_get(row, "team_id")));
    }
    return aicpa_proxy_add_org(call, *rows, "team_id", err);
}

/* LiteLLM's own shape: {team_id, team_info, keys}. */
static aicp_status
get(aicps_call *call, aicpi_slice id, struct json_object **row, aicp_error *err) {
    *row = aicpa_proxy_ask(call, aicp_litellm_team_info, id.data, id.len);
    if (!*row) {
        return aicpi_fail(err, AICP_ERR_LITELLM_SERVER, "answered");
    }
    struct json_object *rows = json_object_new_array();
    json_object_object_add(*row, "id", aicps_json_slice(id));
    json_object_array_add(rows, json_object_get(*row));
    aicp_status status = aicpa_proxy_add_org(call, rows, "team_id", err);
    json_object_put(rows);
    return status;
}

static const aicps_source source = {list, get, NULL};

static const aicps_resource resource = {
    .path = "/api/v1/teams",
    .type = "team",
    .title = "Team",
    .id = "team_id",
    .name_field = "team_alias",
    .org = "org_id",
    .team = "team_id",
    .sort = "team_alias",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = fields,
    .field_count = COUNT(fields),
    .source = &source,
    .doc = "LiteLLM's teams.",
};

/* ---- changing ---- */

static void check_member(aicps_call *call, struct json_object *body) {
    struct json_object *member = aicps_member(body, "member");
    aicpi_slice role = aicps_text(member, "role");
    if (aicps_text(member, "user_id").len == 0 && aicps_text(member, "user_email").len == 0) {
        aicps_field_error(call, "member.user_id", "Field required");
    }
    if (!aicpi_slice_is(role, "user") && !aicpi_slice_is(role, "admin")) {
        aicps_field_error(call, "member.role", "\"user\" or \"admin\"");
    }
}

/* One statement for each of our tables that speak of a team. */
static const char *const traces[] = {
    "DELETE FROM admin_team WHERE id = ?",
    "DELETE FROM admin_guardrail_assignment WHERE team_id = ?",
    "DELETE FROM admin_content_policy WHERE team_id = ?",
    "DELETE FROM admin_rate_limit WHERE scope = 'team' AND scope_value = ?",
    ("WITH gone (id) AS (SELECT CAST(? AS TEXT)) DELETE FROM admin_rate_limit"
     " WHERE scope = 'team_model' AND EXISTS (SELECT 1 FROM gone"
     " WHERE substr(scope_value, 1, length(gone.id) + 1) = gone.id || ':')"),
    "DELETE FROM admin_account WHERE scope = 'team' AND scope_value = ?",
};

static aicp_status forget(aicpi_sql *db, void *user, aicp_error *err) {
    struct json_object *ids = user;
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < json_object_array_length(ids); i++) {
        struct json_object *id = json_object_array_get_idx(ids, i);
        for (size_t k = 0; k < COUNT(traces) && status == AICP_OK; k++) {
            aicpi_sql_stmt *q = NULL;
            status = aicpi_sql_prepare(db, traces[k], &q, err);
            if (status == AICP_OK) {
                aicpi_sql_bind_text(
                    q, 1, json_object_get_string(id), (size_t)json_object_get_string_len(id));
                status = aicpi_sql_run(q, err);
            }
        }
    }
    return status ? status : aicps_rules_touch(db, err);
}

static void deleted(aicps_call *call, struct json_object *body, struct json_object *answer) {
    aicp_error err = {0};
    aicp_status status =
        aicpi_sql_transact(call->db, 0, forget, json_object_object_get(body, "team_ids"), &err);
    if (status != AICP_OK && json_object_is_type(answer, json_type_object)) {
        json_object_object_add(answer, "warning", json_object_new_string(err.message));
    }
    aicpa_worker_wake(aicpa_of(call)->worker);
}

static const aicpa_proxy_verb create = {
    .fields = create_fields,
    .field_count = COUNT(create_fields),
    .send = aicp_litellm_team_new,
    .id = "team_id",
    .name = "team_alias",
};
static const aicpa_proxy_verb update = {
    .fields = update_fields,
    .field_count = COUNT(update_fields),
    .send = aicp_litellm_team_update,
    .id = "team_id",
    .name = "team_alias",
};
static const aicpa_proxy_verb remove_teams = {
    .fields = delete_fields,
    .field_count = 1,
    .send = aicp_litellm_team_delete_many,
    .id = "team_ids",
    .done = deleted,
    .deletes = true,
};
static const aicpa_proxy_verb add_member = {
    .fields = member_fields,
    .field_count = COUNT(member_fields),
    .send = aicp_litellm_team_member_add,
    .id = "team_id",
    .param = "team_id",
    .check = check_member,
};
static const aicpa_proxy_verb remove_member = {
    .fields = member_delete_fields,
    .field_count = COUNT(member_delete_fields),
    .send = aicp_litellm_team_member_delete,
    .id = "team_id",
    .param = "team_id",
};

#define ANY "{\"type\":\"object\"}"
#define VERB(path, act, text, schema, verb)                                                        \
    {                                                                                              \
        .method = "POST", .pattern = path, .handler = aicpa_proxy_post, .action = act,             \
        .resource_type = "team", .summary = text, .request_schema = schema,                        \
        .response_schema = ANY, .data = verb                                                       \
    }

static const aicps_route routes[] = {
    VERB(
        "/api/v1/teams",
        "create",
        "Make a team",
        "{\"type\":\"object\",\"required\":[\"team_alias\"],\"properties\":{\"team_alias\":{"
        "\"type\":\"string\"}}}",
        &create),
    VERB(
        "/api/v1/teams/update",
        "update",
        "Change a team; null takes a limit away",
        "{\"type\":\"object\",\"required\":[\"team_id\"],\"properties\":{\"team_id\":{\"type\":"
        "\"string\"}}}",
        &update),
    VERB(
        "/api/v1/teams/delete",
        "delete",
        "Delete teams, and what was set for them",
        "{\"type\":\"object\",\"required\":[\"team_ids\"],\"properties\":{\"team_ids\":{\"type\":"
        "\"array\","
        "\"minItems\":1,\"items\":{\"type\":\"string\"}}}}",
        &remove_teams),
    VERB(
        "/api/v1/teams/{team_id}/members",
        "add_member",
        "Add a member",
        "{\"type\":\"object\",\"required\":[\"member\"],\"properties\":{\"member\":{\"type\":"
        "\"object\"}}}",
        &add_member),
    VERB(
        "/api/v1/teams/{team_id}/members/delete",
        "remove_member",
        "Remove a member",
        "{\"type\":\"object\",\"required\":[\"user_id\"],\"properties\":{\"user_id\":{\"type\":"
        "\"string\"}}}",
        &remove_member),
};

aicp_status aicpa_teams_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, COUNT(routes), err);
}
