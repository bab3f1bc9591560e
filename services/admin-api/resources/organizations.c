/* Organizations and their business units. What they allow is in force: allowed_models as policies
 * (rules/policies.c), max_budget as accounts of all their teams together (rules/accounts.c). */
#include "services/admin-api/resources/organizations.h"
#include "services/admin-api/list.h"

#include "lib/base/error.h"

#define BUDGET_MAX INT64_C(1000000000000000000)
#define MODELS_MAX 1000

#define COMMON_FIELDS                                                                              \
    {.name = "slug",                                                                               \
     .type = AICPS_TEXT,                                                                           \
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,            \
     .min = 1,                                                                                     \
     .max = 64,                                                                                    \
     .pattern = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"},                                                  \
        {.name = "description",                                                                    \
         .type = AICPS_TEXT,                                                                       \
         .flags = AICPS_NULLABLE | AICPS_SEARCH,                                                   \
         .max = 2000},                                                                             \
        {.name = "max_budget",                                                                     \
         .type = AICPS_MONEY,                                                                      \
         .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT,                                      \
         .min = 0,                                                                                 \
         .max = BUDGET_MAX,                                                                        \
         .doc =                                                                                    \
             "dollars a calendar month for all its teams together; null = no limit of its own"},   \
    {                                                                                              \
        .name = "allowed_models", .type = AICPS_TEXTS, .preset = "[]", .min = 0,                   \
        .max = MODELS_MAX,                                                                         \
        .doc = "models that its teams may use, exact or ending in *; empty = all"                  \
    }

static const aicps_field organization_fields[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 200},
    COMMON_FIELDS,
    {.name = "metadata", .type = AICPS_OBJECT, .preset = "{}", .flags = AICPS_CSV_OFF},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
    {.name = "bu_count", .type = AICPS_INT, .flags = AICPS_READ_ONLY | AICPS_COMPUTED},
    {.name = "team_count", .type = AICPS_INT, .flags = AICPS_READ_ONLY | AICPS_COMPUTED},
    {.name = "member_count", .type = AICPS_INT, .flags = AICPS_READ_ONLY | AICPS_COMPUTED},
};

static const aicps_field unit_fields[] = {
    {.name = "org_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 200},
    COMMON_FIELDS,
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
};

/* ---- checks ---- */

static void check_models(aicps_change *change) {
    struct json_object *models = aicps_member(change->after, "allowed_models");
    size_t count =
        json_object_is_type(models, json_type_array) ? json_object_array_length(models) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(models, i));
        const char *star = strchr(name, '*');
        if (!*name || (star && star[1])) {
            aicps_field_error(
                change->call,
                "allowed_models",
                "item %zu: a name, in which * may only stand at the end",
                i + 1);
        }
    }
}

aicp_status aicpa_budget_fits(
    aicps_change *change,
    const char *field,
    const char *sql,
    const char *id,
    const char *what,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    if (aicps_is_null(change->after, field)) {
        return AICP_OK;
    }
    aicp_status status = aicpi_sql_prepare(change->call->db, sql, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_sql_bind_text(q, 1, id, strlen(id));
    status = aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && row) {
        bool over =
            !aicpi_sql_is_null(q, 0) && aicps_nano(change->after, field) > aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
        if (over) {
            aicps_field_error(change->call, field, "is more than that of %s", what);
        }
    }
    return status;
}

static aicp_status settle_check(aicps_change *change, aicp_status status, aicp_error *err) {
    if (status == AICP_OK && aicps_has_field_errors(change->call)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "field errors");
    }
    return status;
}

static aicp_status check_organization(aicps_change *change, aicp_error *err) {
    if (!change->after) {
        return AICP_OK;
    }
    check_models(change);
    /* A limit below one of its units would make that unit's a promise that cannot be kept. */
    aicpi_slice id = change->id;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status status = AICP_OK;
    if (change->before && !aicps_is_null(change->after, "max_budget")) {
        status = aicpi_sql_prepare(
            change->call->db,
            "SELECT MAX(max_budget) FROM admin_business_unit WHERE org_id = ?",
            &q,
            err);
        if (status == AICP_OK) {
            aicpi_sql_bind_text(q, 1, id.data, id.len);
            status = aicpi_sql_step(q, &row, err);
        }
        if (status == AICP_OK && row) {
            if (!aicpi_sql_is_null(q, 0) &&
                aicpi_sql_i64(q, 0) > aicps_nano(change->after, "max_budget")) {
                aicps_field_error(
                    change->call, "max_budget", "is less than that of one of its business units");
            }
            aicpi_sql_reset(q);
        }
    }
    return settle_check(change, status, err);
}

static aicp_status check_unit(aicps_change *change, aicp_error *err) {
    if (!change->after) {
        return AICP_OK;
    }
    check_models(change);
    aicpi_slice org = aicps_text(change->after, "org_id");
    aicp_status status = aicpa_budget_fits(
        change,
        "max_budget",
        "SELECT max_budget FROM admin_organization WHERE id = ?",
        org.data ? org.data : "",
        "the organization",
        err);
    return settle_check(change, status, err);
}

/* ---- counts ---- */

static aicp_status count_into(
    aicps_call *call, struct json_object *row, const char *name, const char *sql, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool some = false;
    aicpi_slice id = aicps_text(row, "id");
    aicp_status status = aicpi_sql_prepare(call->db, sql, &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
        status = aicpi_sql_step(q, &some, err);
    }
    if (status == AICP_OK && some) {
        aicps_set(row, name, json_object_new_int64(aicpi_sql_i64(q, 0)));
        aicpi_sql_reset(q);
    }
    return status;
}

static aicp_status
decorate(aicps_call *call, struct json_object **rows, size_t count, aicp_error *err) {
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < count && s == AICP_OK; i++) {
        s = count_into(
            call,
            rows[i],
            "bu_count",
            "SELECT COUNT(*) FROM admin_business_unit WHERE org_id = ?",
            err);
        s = s ? s
              : count_into(
                    call,
                    rows[i],
                    "team_count",
                    "SELECT COUNT(*) FROM admin_team WHERE org_id = ?",
                    err);
        s = s ? s
              : count_into(
                    call,
                    rows[i],
                    "member_count",
                    "SELECT COUNT(DISTINCT user_id) FROM admin_membership WHERE org_id = ?",
                    err);
    }
    return s;
}

/* ---- resources ---- */

static const aicps_resource organizations = {
    .path = "/api/v1/organizations",
    .type = "organization",
    .title = "Organization",
    .table = "admin_organization",
    .org = "id",
    .sort = "name",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = organization_fields,
    .field_count = sizeof organization_fields / sizeof *organization_fields,
    .check = check_organization,
    .decorate = decorate,
    .doc = "Organizations; deleting one removes its business units, memberships and team rows.",
};

static const aicps_resource units = {
    .path = "/api/v1/organizations/{org_id}/business-units",
    .type = "business_unit",
    .title = "Business unit",
    .table = "admin_business_unit",
    .parent = "org_id",
    .parent_path = "/api/v1/organizations",
    .org = "org_id",
    .sort = "name",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = unit_fields,
    .field_count = sizeof unit_fields / sizeof *unit_fields,
    .check = check_unit,
    .doc = "Parts of an organization; its teams keep their organization when one is deleted.",
};

aicp_status aicpa_organizations_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &organizations, err);
    return status ? status : aicps_api_add_resource(api, &units, err);
}
