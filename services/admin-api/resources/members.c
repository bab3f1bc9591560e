/* Users, their roles in organizations, and which team belongs where. A user's sessions end when his
 * rights change. */
#include "services/admin-api/auth/auth.h"
#include "services/admin-api/list.h"
#include "services/admin-api/resources/organizations.h"

#include "lib/base/error.h"

#define BUDGET_MAX INT64_C(1000000000000000000)

static const char *const roles[] = {"org_admin", "bu_admin", "member", "viewer", NULL};
static const char *const providers[] = {"oidc", "okta", "azure_ad", "google_workspace", NULL};

/* ---- users ---- */

static const aicps_field user_fields[] = {
    {.name = "email",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 3,
     .max = 254,
     .pattern = "[^@\\s]+@[^@\\s]+"},
    {.name = "display_name",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_SORT | AICPS_SEARCH,
     .max = 200},
    {.name = "avatar_url", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .max = 1000},
    {.name = "auth_provider",
     .type = AICPS_ENUM,
     .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_FACET,
     .values = providers},
    {.name = "external_id",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_FILTER,
     .max = 256,
     .doc = "user id at LiteLLM or at the identity provider; his keys log in as him"},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
    {.name = "is_platform_admin",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "false"},
    {.name = "last_login_at", .type = AICPS_TIME, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
};

static aicp_status end_sessions(aicps_change *change, aicp_error *err) {
    char id[128];
    if (!change->before || change->id.len >= sizeof id) {
        return AICP_OK;
    }
    memcpy(id, change->id.data, change->id.len);
    id[change->id.len] = 0;
    bool same = change->after &&
                aicps_bool(change->before, "is_active") == aicps_bool(change->after, "is_active") &&
                aicps_bool(change->before, "is_platform_admin") ==
                    aicps_bool(change->after, "is_platform_admin");
    return same ? AICP_OK : aicpa_sessions_cut(change->call->db, id, err);
}

static const aicps_resource users = {
    .path = "/api/v1/users",
    .type = "user",
    .title = "User",
    .table = "admin_user",
    .name_field = "email",
    .sort = "email",
    .verbs = AICPS_CRUD,
    .fields = user_fields,
    .field_count = AICPA_COUNT(user_fields),
    .apply = end_sessions,
    .doc = "People of the control plane.",
};

/* ---- members ---- */

static const aicps_field member_fields[] = {
    {.name = "org_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "user_id",
     .type = AICPS_TEXT,
     .flags = AICPS_WRITE_ONCE | AICPS_FILTER,
     .min = 1,
     .max = 128},
    {.name = "role",
     .type = AICPS_ENUM,
     .flags = AICPS_FILTER | AICPS_FACET | AICPS_SORT,
     .preset = "\"member\"",
     .values = roles},
    {.name = "bu_id",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_WRITE_ONCE | AICPS_FILTER,
     .max = 128},
    {.name = "email", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_COMPUTED},
    {.name = "display_name", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_COMPUTED},
};

static aicp_status
decorate_members(aicps_call *call, struct json_object **rows, size_t count, aicp_error *err) {
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < count && status == AICP_OK; i++) {
        aicpi_sql_stmt *q = NULL;
        bool row = false;
        aicpi_slice user = aicps_text(rows[i], "user_id");
        status = aicpi_sql_prepare(
            call->db, "SELECT email, display_name FROM admin_user WHERE id = ?", &q, err);
        if (status == AICP_OK) {
            aicpi_sql_bind_text(q, 1, user.data, user.len);
            status = aicpi_sql_step(q, &row, err);
        }
        if (status == AICP_OK && row) {
            aicps_set(rows[i], "email", aicps_json_slice(aicpi_sql_text(q, 0)));
            aicps_set(
                rows[i],
                "display_name",
                aicpi_sql_is_null(q, 1) ? NULL : aicps_json_slice(aicpi_sql_text(q, 1)));
            aicpi_sql_reset(q);
        }
    }
    return status;
}

/* Whether a query with two texts gives a row. */
static aicp_status
exists(aicpi_sql *db, const char *sql, aicpi_slice a, aicpi_slice b, bool *found, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    *found = false;
    aicp_status status = aicpi_sql_prepare(db, sql, &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, a.data, a.len);
        aicpi_sql_bind_text(q, 2, b.data, b.len);
        status = aicpi_sql_step(q, found, err);
        aicpi_sql_reset(q);
    }
    return status;
}

static aicp_status check_unit(aicps_change *change, aicpi_slice org, aicp_error *err) {
    aicpi_slice unit = aicps_text(change->after, "bu_id");
    bool found = true;
    aicp_status status = AICP_OK;
    if (unit.len > 0) {
        status = exists(
            change->call->db,
            "SELECT 1 FROM admin_business_unit WHERE id = ? AND org_id = ?",
            unit,
            org,
            &found,
            err);
    }
    if (status == AICP_OK && !found) {
        aicps_field_error(change->call, "bu_id", "is no business unit of this organization");
    }
    return status;
}

/* An organization that has an admin keeps one. */
static aicp_status keeps_admin(aicps_change *change, aicp_error *err) {
    bool was = aicpi_slice_is(aicps_text(change->before, "role"), "org_admin");
    bool is = change->after && aicpi_slice_is(aicps_text(change->after, "role"), "org_admin");
    bool other = true;
    aicp_status status = AICP_OK;
    if (was && !is) {
        status = exists(
            change->call->db,
            "SELECT 1 FROM admin_membership WHERE org_id = ? AND id <> ? AND role = 'org_admin'",
            aicps_text(change->before, "org_id"),
            change->id,
            &other,
            err);
    }
    if (status == AICP_OK && !other) {
        aicps_send_error(
            change->call,
            409,
            "conflict",
            "this is the organization's last admin: name another first");
        return aicpi_fail(err, AICP_ERR_STATE, "last admin");
    }
    return status;
}

static aicp_status check_member(aicps_change *change, aicp_error *err) {
    aicp_status status = change->before ? keeps_admin(change, err) : AICP_OK;
    if (status != AICP_OK || !change->after) {
        return status;
    }
    aicpi_slice user = aicps_text(change->after, "user_id");
    bool found = false;
    status = check_unit(change, aicps_text(change->after, "org_id"), err);
    status = status ? status
                    : exists(
                          change->call->db,
                          "SELECT 1 FROM admin_user WHERE id = ? OR id = ?",
                          user,
                          user,
                          &found,
                          err);
    if (status == AICP_OK && !found) {
        aicps_field_error(
            change->call, "user_id", user.len ? "is no known user" : "Field required");
    }
    if (status == AICP_OK && aicpi_slice_is(aicps_text(change->after, "role"), "bu_admin") &&
        aicps_is_null(change->after, "bu_id")) {
        aicps_field_error(change->call, "bu_id", "is needed for a bu_admin");
    }
    if (status == AICP_OK && aicps_has_field_errors(change->call)) {
        status = aicpi_fail(err, AICP_ERR_INVALID, "field errors");
    }
    return status;
}

static aicp_status member_changed(aicps_change *change, aicp_error *err) {
    aicpi_slice user = aicps_text(change->before ? change->before : change->after, "user_id");
    char id[130];
    if (user.len >= sizeof id) {
        return AICP_OK;
    }
    memcpy(id, user.data, user.len);
    id[user.len] = 0;
    return aicpa_sessions_cut(change->call->db, id, err);
}

static const aicps_resource members = {
    .path = "/api/v1/organizations/{org_id}/members",
    .type = "org_membership",
    .title = "Membership",
    .table = "admin_membership",
    .name_field = "user_id",
    .parent = "org_id",
    .parent_path = "/api/v1/organizations",
    .org = "org_id",
    .sort = "created_at",
    .delete_status = "removed",
    .verbs = AICPS_LIST | AICPS_FACETS | AICPS_CREATE,
    .fields = member_fields,
    .field_count = AICPA_COUNT(member_fields),
    .check = check_member,
    .apply = member_changed,
    .decorate = decorate_members,
    .doc = "Who has which role in an organization.",
};

/* Members are named by their user in paths: his membership, the one without business unit first. */
static bool find_membership(aicps_call *call, aicpi_slice *id) {
    aicpi_sql_stmt *q = NULL;
    aicp_error err = {0};
    bool row = false;
    aicpi_slice unit = aicps_http_query(call->req, "bu_id");
    aicp_status status = aicpi_sql_prepare(
        call->db,
        "SELECT id FROM admin_membership WHERE org_id = ? AND user_id = ?"
        " AND (? = '' OR bu_id = ?) ORDER BY COALESCE(bu_id, '') LIMIT 1",
        &q,
        &err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, call->params[0].data, call->params[0].len);
        aicpi_sql_bind_text(q, 2, call->params[1].data, call->params[1].len);
        aicpi_sql_bind_text(q, 3, unit.data ? unit.data : "", unit.len);
        aicpi_sql_bind_text(q, 4, unit.data ? unit.data : "", unit.len);
        status = aicpi_sql_step(q, &row, &err);
    }
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return false;
    }
    if (!row) {
        aicps_send_error(call, 404, "not_found", "Membership not found");
        return false;
    }
    aicpi_slice text = aicpi_sql_text(q, 0);
    char *copy = aicpi_arena_strndup(call->arena, text.data, text.len);
    aicpi_sql_reset(q);
    *id = aicpi_slice_of(copy ? copy : "", copy ? text.len : 0);
    return true;
}

static aicp_status set_role(aicps_change *change, void *user, aicp_error *err) {
    struct json_object *role = user;
    if (json_object_deep_copy(change->before, &change->after, NULL) != 0) {
        return aicpi_nomem(err);
    }
    aicps_set(change->after, "role", json_object_get(role));
    aicp_status status = check_member(change, err);
    status = status ? status : aicps_resource_store(change, err);
    return status ? status : member_changed(change, err);
}

static const aicps_field role_fields[] = {
    {.name = "role", .type = AICPS_ENUM, .flags = AICPS_REQUIRED, .values = roles},
};

static void send_done(aicps_call *call, const char *status) {
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string(status));
    aicps_send_json(call, 200, o);
}

static void put_member(aicps_call *call) {
    aicpi_slice id;
    struct json_object *answer = NULL;
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    if (find_membership(call, &id) && aicps_resource_change(
                                          call,
                                          &members,
                                          "update_member_role",
                                          id,
                                          set_role,
                                          aicps_member(body, "role"),
                                          &answer)) {
        send_done(call, "updated");
    }
    json_object_put(answer);
    json_object_put(body);
}

static aicp_status take_away(aicps_change *change, void *user, aicp_error *err) {
    (void)user;
    aicpi_sql_stmt *q = NULL;
    aicp_status status = check_member(change, err);
    status = status ? status
                    : aicpi_sql_prepare(
                          change->call->db, "DELETE FROM admin_membership WHERE id = ?", &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, change->id.data, change->id.len);
        status = aicpi_sql_run(q, err);
    }
    return status ? status : member_changed(change, err);
}

static void delete_member(aicps_call *call) {
    aicpi_slice id;
    struct json_object *answer = NULL;
    if (find_membership(call, &id) &&
        aicps_resource_change(call, &members, "remove_member", id, take_away, NULL, &answer)) {
        send_done(call, "removed");
    }
    json_object_put(answer);
}

/* ---- teams of an organization ---- */

static const aicps_field team_fields[] = {
    {.name = "team_id",
     .column = "id",
     .type = AICPS_TEXT,
     .flags = AICPS_READ_ONLY | AICPS_FILTER},
    {.name = "org_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "bu_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE | AICPS_FILTER, .max = 128},
    {.name = "max_budget_override",
     .type = AICPS_MONEY,
     .flags = AICPS_NULLABLE,
     .min = 0,
     .max = BUDGET_MAX},
};

static const aicps_resource teams = {
    .path = "/api/v1/organizations/{org_id}/teams",
    .type = "team_hierarchy",
    .title = "Team",
    .table = "admin_team",
    .name_field = "team_id",
    .parent = "org_id",
    .parent_path = "/api/v1/organizations",
    .org = "org_id",
    .sort = "team_id",
    .delete_status = "removed",
    .verbs = AICPS_LIST | AICPS_GET | AICPS_FACETS | AICPS_DELETE,
    .flags = AICPS_RULES,
    .fields = team_fields,
    .field_count = AICPA_COUNT(team_fields),
    .doc = "LiteLLM's teams in this organization; a team belongs to one.",
};

static aicp_status check_team(aicps_change *change, aicpi_slice org, aicp_error *err) {
    char unit[130] = "";
    char parent[130] = "";
    aicpi_slice bu = aicps_text(change->after, "bu_id");
    aicp_status status = check_unit(change, org, err);
    if (bu.len < sizeof unit && org.len < sizeof parent) {
        memcpy(unit, bu.data ? bu.data : "", bu.len);
        memcpy(parent, org.data, org.len);
    }
    status = status ? status
                    : aicpa_budget_fits(
                          change,
                          "max_budget_override",
                          "SELECT max_budget FROM admin_organization WHERE id = ?",
                          parent,
                          "the organization",
                          err);
    if (status == AICP_OK && *unit) {
        status = aicpa_budget_fits(
            change,
            "max_budget_override",
            "SELECT max_budget FROM admin_business_unit WHERE id = ?",
            unit,
            "the business unit",
            err);
    }
    if (status == AICP_OK && aicps_has_field_errors(change->call)) {
        status = aicpi_fail(err, AICP_ERR_INVALID, "field errors");
    }
    return status;
}

/* Puts the team here, whichever organization had it before. */
static aicp_status assign(aicps_change *change, void *user, aicp_error *err) {
    struct json_object *body = user;
    aicpi_sql_stmt *q = NULL;
    aicps_call *call = change->call;
    struct json_object *row = json_object_new_object();
    json_object_put(change->after);
    change->after = row;
    aicps_set(row, "team_id", aicps_json_slice(call->params[1]));
    aicps_set(row, "org_id", aicps_json_slice(call->params[0]));
    aicps_set(row, "bu_id", json_object_get(aicps_member(body, "bu_id")));
    aicps_set(
        row, "max_budget_override", json_object_get(aicps_member(body, "max_budget_override")));
    aicp_status status = check_team(change, call->params[0], err);
    status = status
                 ? status
                 : aicpi_sql_prepare(
                       call->db,
                       "INSERT INTO admin_team (id, version, created_at, updated_at, org_id, bu_id,"
                       " max_budget_override) VALUES (?, 1, ?, ?, ?, ?, ?) ON CONFLICT (id) DO"
                       " UPDATE SET version = admin_team.version + 1, updated_at ="
                       " excluded.updated_at, org_id = excluded.org_id, bu_id = excluded.bu_id,"
                       " max_budget_override = excluded.max_budget_override",
                       &q,
                       err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_slice bu = aicps_text(row, "bu_id");
    aicpi_sql_bind_text(q, 1, call->params[1].data, call->params[1].len);
    aicpi_sql_bind_i64(q, 2, aicpa_wall_ns());
    aicpi_sql_bind_i64(q, 3, aicpa_wall_ns());
    aicpi_sql_bind_text(q, 4, call->params[0].data, call->params[0].len);
    aicpi_sql_bind_null(q, 5);
    aicpi_sql_bind_null(q, 6);
    if (bu.len > 0) {
        aicpi_sql_bind_text(q, 5, bu.data, bu.len);
    }
    if (!aicps_is_null(row, "max_budget_override")) {
        aicpi_sql_bind_i64(q, 6, aicps_nano(row, "max_budget_override"));
    }
    return aicpi_sql_run(q, err);
}

static const aicps_field assign_fields[] = {
    {.name = "bu_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 128},
    {.name = "max_budget_override",
     .type = AICPS_MONEY,
     .flags = AICPS_NULLABLE,
     .min = 0,
     .max = BUDGET_MAX},
};

/* Whether this organization has the team. */
static aicp_status is_here(aicps_call *call, bool *found, aicp_error *err) {
    return exists(
        call->db,
        "SELECT 1 FROM admin_team WHERE id = ? AND org_id = ?",
        call->params[1],
        call->params[0],
        found,
        err);
}

/* Whoever runs the organization arranges its teams; only the platform's admins bring in a team, as
 * its keys and its spending are then seen here. */
static bool may_assign(aicps_call *call) {
    aicp_error err = {0};
    bool here = false;
    bool there = false;
    struct json_object *place = json_object_new_object();
    aicps_set(place, "org_id", aicps_json_slice(call->params[0]));
    bool known = aicpa_authorise(call, "list", "team_hierarchy", place);
    bool allowed = aicpa_authorise(call, "assign_team", "team_hierarchy", place);
    json_object_put(place);
    aicp_status status = is_here(call, &here, &err);
    status = status ? status
                    : exists(
                          call->db,
                          "SELECT 1 FROM admin_organization WHERE id = ? OR id = ?",
                          call->params[0],
                          call->params[0],
                          &there,
                          &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return false;
    }
    if (!known || !there) {
        aicps_send_error(call, 404, "not_found", "Organization not found");
        return false;
    }
    if (!allowed || (!here && !call->who->platform_admin)) {
        aicps_send_error(call, 403, "forbidden", "Not allowed: assign_team team_hierarchy");
        return false;
    }
    return true;
}

static void post_team(aicps_call *call) {
    struct json_object *answer = NULL;
    if (!may_assign(call)) {
        return;
    }
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    if (call->params[1].len > 128) {
        aicps_field_error(call, "team_id", "at most 128 bytes");
        json_object_put(body);
        aicps_send_field_errors(call);
        return;
    }
    if (aicps_resource_change(
            call, &teams, "assign_team", aicpi_slice_of(NULL, 0), assign, body, &answer)) {
        send_done(call, "assigned");
    }
    json_object_put(answer);
    json_object_put(body);
}

#define DONE "{\"type\":\"object\",\"required\":[\"status\"]}"

static const aicps_route routes[] = {
    {.method = "PUT",
     .pattern = "/api/v1/organizations/{org_id}/members/{user_id}",
     .handler = put_member,
     .action = "update_member_role",
     .resource_type = "org_membership",
     .summary = "Give a member another role",
     .response_schema = DONE,
     .query_doc = "bu_id:string",
     .body = role_fields,
     .body_count = 1},
    {.method = "DELETE",
     .pattern = "/api/v1/organizations/{org_id}/members/{user_id}",
     .handler = delete_member,
     .flags = AICPS_NO_BODY,
     .action = "remove_member",
     .resource_type = "org_membership",
     .summary = "Take a member's role away",
     .response_schema = DONE,
     .query_doc = "bu_id:string"},
    {.method = "POST",
     .pattern = "/api/v1/organizations/{org_id}/teams/{team_id}",
     .handler = post_team,
     .flags = AICPS_BODY_OPTIONAL,
     .action = "assign_team",
     .resource_type = "team_hierarchy",
     .summary = "Put a team into this organization, or change its place",
     .response_schema = DONE,
     .body = assign_fields,
     .body_count = 2},
};

aicp_status aicpa_members_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &users, err);
    status = status ? status : aicps_api_add_resource(api, &members, err);
    status = status ? status : aicps_api_add_resource(api, &teams, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
