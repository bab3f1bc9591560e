/* LiteLLM's reusable budget profiles, and who uses them. What our gates enforce:
 * resources/ledger.c. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/fields.h"

#include "lib/base/error.h"

static const aicps_field fields[] = {
    AICPA_TOLD("max_budget", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    AICPA_TOLD("soft_budget", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    AICPA_TOLD("max_parallel_requests", AICPS_INT, 0),
    AICPA_TOLD("tpm_limit", AICPS_INT, 0),
    AICPA_TOLD("rpm_limit", AICPS_INT, 0),
    AICPA_TOLD("budget_duration", AICPS_TEXT, AICPS_FILTER),
    AICPA_TOLD("budget_reset_at", AICPS_TIME, AICPS_SORT),
    AICPA_TOLD("model_max_budget", AICPS_OBJECT, AICPS_CSV_OFF),
    AICPA_TOLD("created_at", AICPS_TIME, AICPS_SORT),
    AICPA_TOLD("key_count", AICPS_INT, AICPS_COMPUTED),
};

#define WRITABLE                                                                                   \
    AICPA_MAY_DOLLARS("max_budget"), AICPA_MAY_DOLLARS("soft_budget"),                             \
        AICPA_MAY_LIMIT("max_parallel_requests"), AICPA_MAY_LIMIT("tpm_limit"),                    \
        AICPA_MAY_LIMIT("rpm_limit"), AICPA_MAY_BUDGET_DURATION,                                   \
        AICPA_MAY("model_max_budget", AICPS_OBJECT, 0, 0)

static const aicps_field create_fields[] = {
    AICPA_TEXT("budget_id", 0),
    WRITABLE,
};
static const aicps_field update_fields[] = {
    AICPA_TEXT("budget_id", AICPS_REQUIRED),
    WRITABLE,
};
static const aicps_field delete_fields[] = {
    AICPA_TEXT("id", AICPS_REQUIRED),
};

/* ---- reading ---- */

static void add_ids(struct json_object *rows) {
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        json_object_object_add(
            row, "id", json_object_get(json_object_object_get(row, "budget_id")));
    }
}

static aicp_status list(aicps_call *call, struct json_object **rows, aicp_error *err) {
    *rows = aicpa_proxy_list(call, aicp_litellm_budget_list);
    if (!*rows) {
        return aicpi_fail(err, AICP_ERR_LITELLM_SERVER, "answered");
    }
    add_ids(*rows);
    return AICP_OK;
}

static aicp_status
get(aicps_call *call, aicpi_slice id, struct json_object **row, aicp_error *err) {
    struct json_object *rows = NULL;
    *row = NULL;
    aicp_status status = list(call, &rows, err);
    for (size_t i = 0; status == AICP_OK && i < json_object_array_length(rows) && !*row; i++) {
        struct json_object *o = json_object_array_get_idx(rows, i);
        *row = aicpi_slice_eq(aicps_text(o, "budget_id"), id) ? json_object_get(o) : NULL;
    }
    json_object_put(rows);
    return status;
}

/* How many keys go by each profile. */
static aicp_status
decorate(aicps_call *call, struct json_object **rows, size_t count, aicp_error *err) {
    struct json_object *keys = aicpa_proxy_list(call, aicp_litellm_key_list);
    if (!keys) {
        return aicpi_fail(err, AICP_ERR_LITELLM_SERVER, "answered");
    }
    for (size_t i = 0; i < count; i++) {
        int64_t users = 0;
        for (size_t k = 0; k < json_object_array_length(keys); k++) {
            aicpi_slice of = aicps_text(json_object_array_get_idx(keys, k), "budget_id");
            users += of.len > 0 && aicpi_slice_eq(of, aicps_text(rows[i], "budget_id"));
        }
        aicps_set(rows[i], "key_count", json_object_new_int64(users));
    }
    json_object_put(keys);
    return AICP_OK;
}

static const aicps_source source = {list, get, NULL};

static const aicps_resource resource = {
    .path = "/api/v1/budgets",
    .type = "budget",
    .title = "Budget",
    .id = "budget_id",
    .name_field = "budget_id",
    .sort = "budget_id",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = fields,
    .field_count = AICPA_COUNT(fields),
    .source = &source,
    .decorate = decorate,
    .doc = "LiteLLM's reusable budget profiles.",
};

/* ---- changing ---- */

static void check_soft(aicps_call *call, struct json_object *body) {
    if (!aicps_is_null(body, "soft_budget") && !aicps_is_null(body, "max_budget") &&
        aicps_nano(body, "soft_budget") > aicps_nano(body, "max_budget")) {
        aicps_field_error(call, "soft_budget", "is more than max_budget");
    }
}

static const aicpa_proxy_verb create = {
    .send = aicp_litellm_budget_new,
    .id = "budget_id",
    .check = check_soft,
};
static const aicpa_proxy_verb update = {
    .send = aicp_litellm_budget_update,
    .id = "budget_id",
    .check = check_soft,
};
static const aicpa_proxy_verb remove_budget = {
    .send = aicp_litellm_budget_delete,
    .by_id = true,
    .id = "id",
    .deletes = true,
};

#define ROUTE(path, act, text, body, verb)                                                         \
    AICPA_PROXY_ROUTE("POST", "/api/v1/budgets" path, "budget", act, text, body, verb)

static const aicps_route routes[] = {
    ROUTE("", "create", "Make a profile", create_fields, &create),
    ROUTE("/update", "update", "Change a profile", update_fields, &update),
    ROUTE("/delete", "delete", "Delete a profile", delete_fields, &remove_budget),
};

aicp_status aicpa_budgets_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
