/* Words that a team must not use, or that are taken out of its texts: a part of its guardrails. */
#include "services/admin-api/resources/guardrails.h"

#include "services/admin-api/list.h"

#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

static const char *const types[] = {"block", "redact", "warn", NULL};

static const aicps_field fields[] = {
    {.name = "team_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "policy_type",
     .type = AICPS_ENUM,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT,
     .values = types,
     .doc = "block refuses, redact masks, warn marks"},
    {.name = "config",
     .type = AICPS_OBJECT,
     .flags = AICPS_REQUIRED,
     .doc = "keywords: words and phrases, whatever their case"},
    {.name = "is_active", .type = AICPS_BOOL, .flags = AICPS_FILTER, .preset = "true"},
    {.name = "org_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
    {.name = "created_at", .type = AICPS_TIME, .flags = AICPS_READ_ONLY | AICPS_SORT},
    {.name = "updated_at", .type = AICPS_TIME, .flags = AICPS_READ_ONLY | AICPS_SORT},
};

static const aicps_resource resource = {
    .path = "/api/v1/teams/{team_id}/content-policies",
    .type = "content_policy",
    .title = "Content policy",
    .table = "admin_content_policy_seen",
    .name_field = "policy_type",
    .parent = "team_id",
    .org = "org_id",
    .team = "team_id",
    .sort = "policy_type",
    .verbs = AICPS_LIST,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION | AICPS_RULES,
    .fields = fields,
    .field_count = AICPA_COUNT(fields),
    .doc = "Keywords of a team: one policy of each type.",
};

/* ---- save ---- */

static const aicps_field put_fields[] = {
    {.name = "policy_type", .type = AICPS_ENUM, .flags = AICPS_REQUIRED, .values = types},
    {.name = "config", .type = AICPS_OBJECT, .flags = AICPS_REQUIRED},
    {.name = "is_active", .type = AICPS_BOOL, .preset = "true"},
};

static void check(aicps_call *call, struct json_object *body) {
    struct json_object *config = aicps_member(body, "config");
    struct json_object *list = aicps_member(config, "keywords");
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0 ||
        json_object_object_length(config) != 1) {
        aicps_field_error(call, "config", "\"keywords\" and nothing else: a list, not empty");
        return;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (!json_object_is_type(json_object_array_get_idx(list, i), json_type_string)) {
            aicps_field_error(call, "config.keywords", "item %zu is not a text", i + 1);
        }
    }
}

/* The row as it was: id, config, is_active, created_at; NULL when there is none. */
static aicp_status
read_before(aicps_call *call, aicpi_slice type, struct json_object **out, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    *out = NULL;
    aicp_status status = aicpi_sql_prepare(
        call->db,
        "SELECT id, config, is_active, created_at FROM admin_content_policy WHERE team_id = ? AND"
        " policy_type = ?",
        &q,
        err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, call->params[0].data, call->params[0].len);
        aicpi_sql_bind_text(q, 2, type.data, type.len);
        status = aicpi_sql_step(q, &row, err);
    }
    if (status == AICP_OK && row) {
        struct json_object *o = json_object_new_object();
        aicps_set(o, "id", aicpa_column_text(q, 0));
        aicps_set(o, "team_id", aicps_json_slice(call->params[0]));
        aicps_set(o, "policy_type", aicps_json_slice(type));
        aicps_set(o, "config", aicpa_column_json(q, 1));
        aicps_set(o, "is_active", json_object_new_boolean(aicpi_sql_i64(q, 2) != 0));
        aicps_set(o, "created_at", aicps_json_time(aicpi_sql_i64(q, 3)));
        aicpi_sql_reset(q);
        *out = o;
    }
    return status;
}

static aicp_status complete(aicps_change *change, struct json_object *body, aicp_error *err) {
    aicps_call *call = change->call;
    struct json_object *before = change->before;
    struct json_object *row = json_object_new_object();
    unsigned char random[16];
    char id[33];
    aicpi_random(random, sizeof random);
    aicpi_hex_encode(random, sizeof random, id);
    int64_t now = aicpa_wall_ns() / 1000 * 1000; /* as other rows: microseconds */
    static const char *const given[] = {"policy_type", "config", "is_active"};
    aicps_set(
        row,
        "id",
        before ? json_object_get(aicps_member(before, "id")) : json_object_new_string(id));
    aicps_set(row, "team_id", aicps_json_slice(call->params[0]));
    for (size_t i = 0; i < AICPA_COUNT(given); i++) {
        aicps_set(row, given[i], json_object_get(aicps_member(body, given[i])));
    }
    aicps_set(
        row,
        "created_at",
        before ? json_object_get(aicps_member(before, "created_at")) : aicps_json_time(now));
    aicps_set(row, "updated_at", aicps_json_time(now));
    change->after = row;
    aicpi_slice own = aicps_text(row, "id");
    change->id = aicpi_slice_of(aicpi_arena_strndup(call->arena, own.data, own.len), own.len);
    return change->id.data ? AICP_OK : aicpi_nomem(err);
}

static aicp_status store(aicps_change *change, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    struct json_object *row = change->after;
    aicp_status status = aicpi_sql_prepare(
        change->call->db,
        "INSERT INTO admin_content_policy (id, version, created_at, updated_at, team_id,"
        " policy_type, config, is_active) VALUES (?, 1, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (team_id, policy_type) DO UPDATE SET version = admin_content_policy.version"
        " + 1, updated_at = excluded.updated_at, config = excluded.config,"
        " is_active = excluded.is_active",
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_slice team = aicps_text(row, "team_id");
    aicpi_slice type = aicps_text(row, "policy_type");
    size_t len = 0;
    const char *config = json_object_to_json_string_length(
        aicps_member(row, "config"), JSON_C_TO_STRING_PLAIN, &len);
    aicpi_sql_bind_text(q, 1, change->id.data, change->id.len);
    aicpi_sql_bind_i64(q, 2, aicps_time(row, "created_at"));
    aicpi_sql_bind_i64(q, 3, aicps_time(row, "updated_at"));
    aicpi_sql_bind_text(q, 4, team.data, team.len);
    aicpi_sql_bind_text(q, 5, type.data, type.len);
    aicpi_sql_bind_text(q, 6, config, len);
    aicpi_sql_bind_i64(q, 7, aicps_bool(row, "is_active"));
    return aicpi_sql_run(q, err);
}

static aicp_status save(aicps_change *change, void *user, aicp_error *err) {
    aicps_call *call = change->call;
    struct json_object *rules = NULL;
    aicp_status status = read_before(call, aicps_text(user, "policy_type"), &change->before, err);
    status = status ? status : complete(change, user, err);
    status = status ? status : store(change, err);
    status = status ? status : aicpa_guardrail_of_team(call->db, call->params[0], &rules, err);
    status = status ? status : aicpa_guardrail_accept(call, rules, "config.keywords", err);
    if (aicps_has_field_errors(call)) {
        aicps_send_field_errors(call);
    }
    return status;
}

static void put_policy(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    struct json_object *answer = NULL;
    if (!body) {
        return;
    }
    check(call, body);
    if (aicps_has_field_errors(call)) {
        json_object_put(body);
        aicps_send_field_errors(call);
        return;
    }
    if (aicpa_guardrail_team_exists(call, call->params[0]) &&
        aicps_resource_change(
            call, &resource, "update", aicpi_slice_of(NULL, 0), save, body, &answer)) {
        aicps_send_json(call, 200, answer);
    }
    json_object_put(body);
}

static const aicps_route routes[] = {
    {.method = "PUT",
     .pattern = "/api/v1/teams/{team_id}/content-policies",
     .handler = put_policy,
     .action = "update",
     .resource_type = "content_policy",
     .summary = "Set the policy of a type",
     .request_schema =
         "{\"type\":\"object\",\"required\":[\"policy_type\",\"config\"],\"additionalProperties\":"
         "false,\"properties\":{\"policy_type\":{\"type\":\"string\",\"enum\":[\"block\","
         "\"redact\",\"warn\"]},\"config\":{\"type\":\"object\",\"required\":[\"keywords\"],"
         "\"properties\":{\"keywords\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":"
         "\"string\"}}}},\"is_active\":{\"type\":\"boolean\"}}}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"id\",\"team_id\",\"policy_type\"]}",
     .body = put_fields,
     .body_count = AICPA_COUNT(put_fields)},
};

aicp_status aicpa_content_policies_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
