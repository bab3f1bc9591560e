/* LiteLLM's reusable budget profiles, and who uses them. What our gates enforce:
 * resources/ledger.c. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/proxy.h"

#include "lib/base/error.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define LIMIT_MAX INT64_C(1000000000000)
#define BUDGET_MAX INT64_C(1000000000000000000)
#define TOLD(field, kind, more)                                                                    \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | AICPS_NULLABLE | (more) }

static const aicps_field fields[] = {
    TOLD("max_budget", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    TOLD("soft_budget", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    TOLD("max_parallel_requests", AICPS_INT, 0),
    TOLD("tpm_limit", AICPS_INT, 0),
    TOLD("rpm_limit", AICPS_INT, 0),
    TOLD("budget_duration", AICPS_TEXT, AICPS_FILTER),
    TOLD("budget_reset_at", AICPS_TIME, AICPS_SORT),
    TOLD("model_max_budget", AICPS_OBJECT, AICPS_CSV_OFF),
    TOLD("created_at", AICPS_TIME, AICPS_SORT),
    TOLD("key_count", AICPS_INT, AICPS_COMPUTED),
};

#define WRITABLE                                                                                   \
    {.name = "max_budget",                                                                         \
     .type = AICPS_DECIMAL,                                                                        \
     .flags = AICPS_NULLABLE,                                                                      \
     .min = 0,                                                                                     \
     .max = BUDGET_MAX},                                                                           \
        {.name = "soft_budget",                                                                    \
         .type = AICPS_DECIMAL,                                                                    \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = BUDGET_MAX},                                                                       \
        {.name = "max_parallel_requests",                                                          \
         .type = AICPS_INT,                                                                        \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = LIMIT_MAX},                                                                        \
        {.name = "tpm_limit",                                                                      \
         .type = AICPS_INT,                                                                        \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = LIMIT_MAX},                                                                        \
        {.name = "rpm_limit",                                                                      \
         .type = AICPS_INT,                                                                        \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = LIMIT_MAX},                                                                        \
        {.name = "budget_duration",                                                                \
         .type = AICPS_TEXT,                                                                       \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 1,                                                                                 \
         .max = 16,                                                                                \
         .pattern = "[1-9][0-9]{0,4}(s|m|h|d|w|mo)|hourly|daily|weekly|monthly"},                  \
    {                                                                                              \
        .name = "model_max_budget", .type = AICPS_OBJECT, .flags = AICPS_NULLABLE                  \
    }

static const aicps_field create_fields[] = {
    {.name = "budget_id", .type = AICPS_TEXT, .min = 1, .max = 256},
    WRITABLE,
};
static const aicps_field update_fields[] = {
    {.name = "budget_id", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 256},
    WRITABLE,
};
static const aicps_field delete_fields[] = {
    {.name = "id", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 256},
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
    .field_count = COUNT(fields),
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

static aicp_status send_delete(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    (void)len;
    struct json_object *body = json_tokener_parse(data);
    aicpi_slice id = aicps_text(body, "id");
    aicp_status status = aicp_litellm_budget_delete(client, id.data, id.len, reply, err);
    json_object_put(body);
    return status;
}

static const aicpa_proxy_verb create = {
    .fields = create_fields,
    .field_count = COUNT(create_fields),
    .send = aicp_litellm_budget_new,
    .id = "budget_id",
    .check = check_soft,
};
static const aicpa_proxy_verb update = {
    .fields = update_fields,
    .field_count = COUNT(update_fields),
    .send = aicp_litellm_budget_update,
    .id = "budget_id",
    .check = check_soft,
};
static const aicpa_proxy_verb remove_budget = {
    .fields = delete_fields,
    .field_count = 1,
    .send = send_delete,
    .id = "id",
    .deletes = true,
};

#define ANY "{\"type\":\"object\"}"
#define VERB(path, act, text, schema, verb)                                                        \
    {                                                                                              \
        .method = "POST", .pattern = path, .handler = aicpa_proxy_post, .action = act,             \
        .resource_type = "budget", .summary = text, .request_schema = schema,                      \
        .response_schema = ANY, .data = verb                                                       \
    }

static const aicps_route routes[] = {
    VERB("/api/v1/budgets", "create", "Make a profile", ANY, &create),
    VERB(
        "/api/v1/budgets/update",
        "update",
        "Change a profile",
        "{\"type\":\"object\",\"required\":[\"budget_id\"],\"properties\":{\"budget_id\":{\"type\":"
        "\"string\"}}}",
        &update),
    VERB(
        "/api/v1/budgets/delete",
        "delete",
        "Delete a profile",
        "{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}}",
        &remove_budget),
};

aicp_status aicpa_budgets_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, COUNT(routes), err);
}
