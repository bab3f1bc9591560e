/* Virtual keys of LiteLLM. In paths and lists a key is its hash; the key itself is shown once, by
 * generate. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/proxy.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define LIMIT_MAX INT64_C(1000000000000)
#define BUDGET_MAX INT64_C(1000000000000000000)
#define NULLABLE_FILTER (AICPS_READ_ONLY | AICPS_NULLABLE | AICPS_FILTER)

static const aicps_field fields[] = {
    {.name = "key_name", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
    {.name = "key_alias", .type = AICPS_TEXT, .flags = NULLABLE_FILTER | AICPS_SORT | AICPS_SEARCH},
    {.name = "spend", .type = AICPS_MONEY, .flags = AICPS_READ_ONLY | AICPS_SORT | AICPS_FILTER},
    {.name = "max_budget", .type = AICPS_MONEY, .flags = NULLABLE_FILTER | AICPS_SORT},
    {.name = "budget_duration", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
    {.name = "budget_id", .type = AICPS_TEXT, .flags = NULLABLE_FILTER},
    {.name = "models", .type = AICPS_TEXTS, .flags = AICPS_READ_ONLY},
    {.name = "team_id", .type = AICPS_TEXT, .flags = NULLABLE_FILTER | AICPS_FACET},
    {.name = "org_id", .type = AICPS_TEXT, .flags = NULLABLE_FILTER},
    {.name = "user_id", .type = AICPS_TEXT, .flags = NULLABLE_FILTER | AICPS_SEARCH},
    {.name = "rpm_limit", .type = AICPS_INT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
    {.name = "tpm_limit", .type = AICPS_INT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
    {.name = "max_parallel_requests", .type = AICPS_INT, .flags = AICPS_READ_ONLY | AICPS_NULLABLE},
    {.name = "expires", .type = AICPS_TIME, .flags = AICPS_READ_ONLY | AICPS_NULLABLE | AICPS_SORT},
    {.name = "blocked", .type = AICPS_BOOL, .flags = NULLABLE_FILTER | AICPS_FACET},
    {.name = "created_at",
     .type = AICPS_TIME,
     .flags = AICPS_READ_ONLY | AICPS_NULLABLE | AICPS_SORT},
    {.name = "metadata",
     .type = AICPS_OBJECT,
     .flags = AICPS_READ_ONLY | AICPS_NULLABLE | AICPS_CSV_OFF},
};

#define WRITABLE                                                                                   \
    {.name = "key_alias", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},      \
        {.name = "max_budget",                                                                     \
         .type = AICPS_DECIMAL,                                                                    \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = BUDGET_MAX},                                                                       \
        {.name = "budget_duration",                                                                \
         .type = AICPS_TEXT,                                                                       \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 1,                                                                                 \
         .max = 16,                                                                                \
         .pattern = "[1-9][0-9]{0,4}(s|m|h|d|w|mo)|hourly|daily|weekly|monthly"},                  \
        {.name = "budget_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},  \
        {.name = "models", .type = AICPS_TEXTS, .flags = AICPS_NULLABLE, .min = 0, .max = 1000},   \
        {.name = "user_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},    \
        {.name = "team_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},    \
        {.name = "duration",                                                                       \
         .type = AICPS_TEXT,                                                                       \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 2,                                                                                 \
         .max = 16,                                                                                \
         .pattern = "[1-9][0-9]{0,4}(s|m|h|d|w|mo)"},                                              \
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
        {.name = "max_parallel_requests",                                                          \
         .type = AICPS_INT,                                                                        \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = LIMIT_MAX},                                                                        \
        {.name = "blocked", .type = AICPS_BOOL, .flags = AICPS_NULLABLE},                          \
        {.name = "tags", .type = AICPS_TEXTS, .flags = AICPS_NULLABLE, .min = 0, .max = 64}, {     \
        .name = "metadata", .type = AICPS_OBJECT, .flags = AICPS_NULLABLE                          \
    }

static const aicps_field generate_fields[] = {WRITABLE};
static const aicps_field update_fields[] = {
    {.name = "key", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 256},
    WRITABLE,
};
static const aicps_field delete_fields[] = {
    {.name = "keys", .type = AICPS_TEXTS, .flags = AICPS_REQUIRED, .min = 1, .max = 1000},
};

/* ---- reading ---- */

/* Keeps the id apart from LiteLLM's name for it. */
static void add_id(struct json_object *row) {
    json_object_object_add(row, "id", json_object_get(json_object_object_get(row, "token")));
}

static aicp_status list(aicps_call *call, struct json_object **rows, aicp_error *err) {
    *rows = aicpa_proxy_list(call, aicp_litellm_key_list);
    if (!*rows) {
        return aicpi_fail(err, AICP_ERR_LITELLM_SERVER, "answered");
    }
    for (size_t i = 0; i < json_object_array_length(*rows); i++) {
        add_id(json_object_array_get_idx(*rows, i));
    }
    return aicpa_proxy_add_org(call, *rows, "team_id", err);
}

static bool is_hash(aicpi_slice id) {
    for (size_t i = 0; i < id.len; i++) {
        if (aicpi_hex_value(id.data[i]) < 0) {
            return false;
        }
    }
    return id.len == 64;
}

/* A raw key in a path would end up in access logs: only a hash is taken. */
static aicp_status
get(aicps_call *call, aicpi_slice id, struct json_object **row, aicp_error *err) {
    *row = NULL;
    if (!is_hash(id)) {
        return AICP_OK;
    }
    struct json_object *answer = aicpa_proxy_ask(call, aicp_litellm_key_info, id.data, id.len);
    if (!answer) {
        return aicpi_fail(err, AICP_ERR_LITELLM_SERVER, "answered");
    }
    struct json_object *info = json_object_object_get(answer, "info");
    struct json_object *rows = json_object_new_array();
    if (info &&
        aicps_is_null(info, "deleted_at")) { /* LiteLLM still tells of keys that it deleted */
        *row = json_object_get(info);
        json_object_object_add(*row, "id", aicps_json_slice(id));
        json_object_object_add(
            *row, "token", aicps_json_slice(id)); /* LiteLLM leaves it out here */
        json_object_array_add(rows, json_object_get(*row));
    }
    json_object_put(answer);
    aicp_status status = aicpa_proxy_add_org(call, rows, "team_id", err);
    json_object_put(rows);
    return status;
}

static const aicps_source source = {list, get, NULL};

static const aicps_resource resource = {
    .path = "/api/v1/keys",
    .type = "key",
    .title = "Key",
    .name_field = "key_alias",
    .id = "token",
    .org = "org_id",
    .team = "team_id",
    .sort = "-created_at",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = fields,
    .field_count = COUNT(fields),
    .source = &source,
    .doc = "LiteLLM's virtual keys, by their hash.",
};

/* ---- changing ---- */

static const aicpa_proxy_verb generate = {
    .fields = generate_fields,
    .field_count = COUNT(generate_fields),
    .send = aicp_litellm_key_generate,
    .id = "token",
    .name = "key_alias",
    .secret = "key",
};

static const aicpa_proxy_verb update = {
    .fields = update_fields,
    .field_count = COUNT(update_fields),
    .send = aicp_litellm_key_update,
    .id = "key",
    .name = "key_alias",
};

static const aicpa_proxy_verb remove_keys = {
    .fields = delete_fields,
    .field_count = 1,
    .send = aicp_litellm_key_delete_many,
    .id = "keys",
    .deletes = true,
};

#define ANY "{\"type\":\"object\"}"

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/keys/generate",
     .handler = aicpa_proxy_post,
     .action = "create",
     .resource_type = "key",
     .summary = "Make a key; the answer shows it this once",
     .request_schema = ANY,
     .response_schema = ANY,
     .data = &generate},
    {.method = "POST",
     .pattern = "/api/v1/keys/update",
     .handler = aicpa_proxy_post,
     .action = "update",
     .resource_type = "key",
     .summary = "Change a key, named by itself or its hash; null takes a limit away",
     .request_schema = "{\"type\":\"object\",\"required\":[\"key\"],\"properties\":{\"key\":{"
                       "\"type\":\"string\"}}}",
     .response_schema = ANY,
     .data = &update},
    {.method = "POST",
     .pattern = "/api/v1/keys/delete",
     .handler = aicpa_proxy_post,
     .action = "delete",
     .resource_type = "key",
     .summary = "Delete keys, named by themselves or their hashes",
     .request_schema =
         "{\"type\":\"object\",\"required\":[\"keys\"],\"additionalProperties\":false,"
         "\"properties\":{\"keys\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":"
         "\"string\"}}}}",
     .response_schema = ANY,
     .data = &remove_keys},
};

aicp_status aicpa_keys_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, COUNT(routes), err);
}
