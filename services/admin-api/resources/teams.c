/* Teams of LiteLLM, and their members. A deleted team takes along what we know of it. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/fields.h"
#include "services/admin-api/worker.h"

#include "lib/base/error.h"

static const aicps_field fields[] = {
    AICPA_TOLD("team_alias", AICPS_TEXT, AICPS_FILTER | AICPS_SORT | AICPS_SEARCH),
    AICPA_TOLD("org_id", AICPS_TEXT, AICPS_FILTER),
    AICPA_TOLD("organization_id", AICPS_TEXT, AICPS_FILTER),
    AICPA_TOLD("spend", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    AICPA_TOLD("max_budget", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    AICPA_TOLD("budget_duration", AICPS_TEXT, 0),
    AICPA_TOLD("models", AICPS_TEXTS, 0),
    AICPA_TOLD("rpm_limit", AICPS_INT, 0),
    AICPA_TOLD("tpm_limit", AICPS_INT, 0),
    AICPA_TOLD("blocked", AICPS_BOOL, AICPS_FILTER | AICPS_FACET),
    AICPA_TOLD("members_with_roles", AICPS_JSON, AICPS_CSV_OFF),
    AICPA_TOLD("metadata", AICPS_OBJECT, AICPS_CSV_OFF),
    AICPA_TOLD("created_at", AICPS_TIME, AICPS_SORT),
};

#define WRITABLE                                                                                   \
    AICPA_MAY_DOLLARS("max_budget"), AICPA_MAY_BUDGET_DURATION,                                    \
        AICPA_MAY("models", AICPS_TEXTS, 0, 1000), AICPA_MAY_TEXT("organization_id"),              \
        AICPA_MAY_LIMIT("rpm_limit"), AICPA_MAY_LIMIT("tpm_limit"),                                \
        AICPA_MAY("blocked", AICPS_BOOL, 0, 0), AICPA_MAY("metadata", AICPS_OBJECT, 0, 0)

static const aicps_field create_fields[] = {
    AICPA_TEXT("team_alias", AICPS_REQUIRED),
    AICPA_TEXT("team_id", 0),
    WRITABLE,
};
static const aicps_field update_fields[] = {
    AICPA_TEXT("team_id", AICPS_REQUIRED),
    AICPA_TEXT("team_alias", 0),
    WRITABLE,
};
static const aicps_field delete_fields[] = {
    {.name = "team_ids", .type = AICPS_TEXTS, .flags = AICPS_REQUIRED, .min = 1, .max = 1000},
};
static const aicps_field member_fields[] = {
    AICPA_TEXT("team_id", AICPS_REQUIRED | AICPS_IN_PATH),
    {.name = "member", .type = AICPS_OBJECT, .flags = AICPS_REQUIRED},
};
static const aicps_field member_delete_fields[] = {
    AICPA_TEXT("team_id", AICPS_REQUIRED | AICPS_IN_PATH),
    AICPA_TEXT("user_id", AICPS_REQUIRED),
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
    .field_count = AICPA_COUNT(fields),
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
        for (size_t k = 0; k < AICPA_COUNT(traces) && status == AICP_OK; k++) {
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
    .send = aicp_litellm_team_new,
    .id = "team_id",
    .name = "team_alias",
};
static const aicpa_proxy_verb update = {
    .send = aicp_litellm_team_update,
    .id = "team_id",
    .name = "team_alias",
};
static const aicpa_proxy_verb remove_teams = {
    .send = aicp_litellm_team_delete_many,
    .id = "team_ids",
    .done = deleted,
    .deletes = true,
};
static const aicpa_proxy_verb add_member = {
    .send = aicp_litellm_team_member_add,
    .id = "team_id",
    .param = "team_id",
    .check = check_member,
};
static const aicpa_proxy_verb remove_member = {
    .send = aicp_litellm_team_member_delete,
    .id = "team_id",
    .param = "team_id",
};

#define ROUTE(path, act, text, body, verb)                                                         \
    AICPA_PROXY_ROUTE("POST", "/api/v1/teams" path, "team", act, text, body, verb)

static const aicps_route routes[] = {
    ROUTE("", "create", "Make a team", create_fields, &create),
    ROUTE("/update", "update", "Change a team; null takes a limit away", update_fields, &update),
    ROUTE(
        "/delete",
        "delete",
        "Delete teams, and what was set for them",
        delete_fields,
        &remove_teams),
    ROUTE("/{team_id}/members", "add_member", "Add a member", member_fields, &add_member),
    ROUTE(
        "/{team_id}/members/delete",
        "remove_member",
        "Remove a member",
        member_delete_fields,
        &remove_member),
};

aicp_status aicpa_teams_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
