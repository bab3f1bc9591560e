/* Cedar policies: checked on save with line and column, every text kept as a version, brought back
 * by number. */
#include "services/admin-api/list.h"
#include "services/admin-api/rules/rules.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include "aicp/policy.h"

#define TEXT_MAX 262144

static const aicps_field fields[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 200},
    {.name = "description",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_SEARCH,
     .max = 2000},
    {.name = "text",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_SEARCH | AICPS_CSV_OFF,
     .min = 1,
     .max = TEXT_MAX,
     .doc = "one or more Cedar policies; @id names each in refusals, @reason and @advice speak to "
            "people"},
    {.name = "text_version", .type = AICPS_INT, .flags = AICPS_READ_ONLY, .preset = "1"},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
    {.name = "created_by", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
    {.name = "updated_by", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
};

static const char *text_in(struct json_object *o, const char *name) {
    struct json_object *v = NULL;
    return o && json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
               ? json_object_get_string(v)
               : NULL;
}

static bool flag_in(struct json_object *o, const char *name) {
    struct json_object *v = NULL;
    return json_object_object_get_ex(o, name, &v) && json_object_get_boolean(v);
}

/* ---- save ---- */

/* All that is in force makes one set, in which no @id may occur twice. */
static aicp_status check_together(aicps_change *change, const char *text, aicp_error *err) {
    const aicpa_draft draft = {.policy_id = text_in(change->after, "id"), .text = text};
    aicpa_build build = {aicpa_of(change->call), change->call->db, &draft};
    aicp_policy_set *set = NULL;
    aicp_error why = {0};
    aicp_status status = aicpa_policies_read(&build, &set, &why);
    aicp_policy_set_free(set);
    if (status == AICP_ERR_EXISTS || status == AICP_ERR_PARSE || status == AICP_ERR_LIMIT) {
        aicps_field_error(
            change->call, "text", "together with the other active policies: %s", why.message);
        return aicpi_fail(err, AICP_ERR_INVALID, "%s", why.message);
    }
    return status ? aicpi_fail(err, status, "%s", why.message) : AICP_OK;
}

static aicp_status check(aicps_change *change, aicp_error *err) {
    const char *text = text_in(change->after, "text");
    if (!text) {
        return AICP_OK;
    }
    const char *old = text_in(change->before, "text");
    bool same = old && strcmp(old, text) == 0 &&
                flag_in(change->before, "is_active") >= flag_in(change->after, "is_active");
    /* One that was saved before the schema said otherwise can still be renamed or put to rest. */
    if (!same && !aicpa_policy_text_check(change->call, text)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the text is no policy that can be in force");
    }
    const char *who = change->call->who->id;
    if (!change->before) {
        json_object_object_add(change->after, "created_by", json_object_new_string(who));
    } else if (old && strcmp(old, text) != 0) {
        int64_t n = json_object_get_int64(json_object_object_get(change->before, "text_version"));
        json_object_object_add(change->after, "text_version", json_object_new_int64(n + 1));
    }
    json_object_object_add(change->after, "updated_by", json_object_new_string(who));
    return flag_in(change->after, "is_active") ? check_together(change, text, err) : AICP_OK;
}

/* Keeps the text as a version. */
static aicp_status apply(aicps_change *change, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    if (!change->after) {
        return AICP_OK;
    }
    aicp_status status = aicpi_sql_prepare(
        change->call->db,
        "INSERT INTO admin_policy_version (policy_id, text_version, text, comment, created_at,"
        " created_by) VALUES (?, ?, ?, NULL, ?, ?) ON CONFLICT (policy_id, text_version) DO "
        "NOTHING",
        &q,
        err);
    if (status == AICP_OK) {
        const char *id = text_in(change->after, "id");
        const char *text = text_in(change->after, "text");
        const char *who = change->call->who->id;
        aicpi_sql_bind_text(q, 1, id, strlen(id));
        aicpi_sql_bind_i64(
            q, 2, json_object_get_int64(json_object_object_get(change->after, "text_version")));
        aicpi_sql_bind_text(q, 3, text, strlen(text));
        aicpi_sql_bind_i64(q, 4, aicpa_wall_ns());
        aicpi_sql_bind_text(q, 5, who, strlen(who));
        status = aicpi_sql_run(q, err);
    }
    return status;
}

static const aicps_resource resource = {
    .path = "/api/v1/policies",
    .type = "policy",
    .title = "Policy",
    .table = "admin_policy",
    .sort = "name",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
    .check = check,
    .apply = apply,
    .doc = "Cedar policies: who may use which model. All active ones together are in force.",
};

/* ---- versions ---- */

static const aicps_field version_fields[] = {
    {.name = "policy_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "text_version", .type = AICPS_INT, .flags = AICPS_READ_ONLY | AICPS_SORT},
    {.name = "text", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "created_at", .type = AICPS_TIME, .flags = AICPS_READ_ONLY | AICPS_SORT},
    {.name = "created_by", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
};

static const aicps_resource versions = {
    .path = "/api/v1/policies/{policy_id}/versions",
    .type = "policy",
    .title = "Policy version",
    .table = "admin_policy_version",
    .id = "text_version",
    .name_field = "text_version",
    .parent = "policy_id",
    .parent_path = "/api/v1/policies",
    .sort = "-text_version",
    .verbs = AICPS_LIST | AICPS_GET,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION | AICPS_INT_ID,
    .fields = version_fields,
    .field_count = sizeof version_fields / sizeof *version_fields,
    .doc = "Every text that a policy ever had.",
};

static aicp_status bring_back(aicps_change *change, void *user, aicp_error *err) {
    const aicpi_slice *version = user;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    if (json_object_deep_copy(change->before, &change->after, NULL) != 0) {
        return aicpi_nomem(err);
    }
    aicp_status status = aicpi_sql_prepare(
        change->call->db,
        "SELECT text FROM admin_policy_version WHERE policy_id = ? AND CAST(text_version AS TEXT) "
        "= ?",
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    const char *id = text_in(change->before, "id");
    aicpi_sql_bind_text(q, 1, id, strlen(id));
    aicpi_sql_bind_text(q, 2, version->data, version->len);
    status = aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && !row) {
        aicps_send_error(change->call, 404, "not_found", "Policy version not found");
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "Policy version not found");
    }
    if (status == AICP_OK) {
        json_object_object_add(change->after, "text", aicpa_column_text(q, 0));
        aicpi_sql_reset(q);
        status = check(change, err);
    }
    status = status ? status : aicps_resource_store(change, err);
    return status ? status : apply(change, err);
}

static void activate(aicps_call *call) {
    struct json_object *answer = NULL;
    if (aicps_resource_change(
            call,
            &resource,
            "activate_version",
            call->params[0],
            bring_back,
            &call->params[1],
            &answer)) {
        aicps_send_json(call, 200, answer);
    }
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/policies/{id}/versions/{text_version}/activate",
     .handler = activate,
     .flags = AICPS_NO_BODY,
     .action = "activate_version",
     .resource_type = "policy",
     .summary = "Bring an earlier text back, as a new version",
     .response_schema = "#Policy"},
};

aicp_status aicpa_policies_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    status = status ? status : aicps_api_add_resource(api, &versions, err);
    return status ? status : aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
