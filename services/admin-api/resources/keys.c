/* Virtual keys of LiteLLM. In paths and lists a key is its hash; the key itself is shown once, by
 * generate. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/fields.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

static const aicps_field fields[] = {
    AICPA_TOLD("key_name", AICPS_TEXT, 0),
    AICPA_TOLD("key_alias", AICPS_TEXT, AICPS_FILTER | AICPS_SORT | AICPS_SEARCH),
    {.name = "spend", .type = AICPS_MONEY, .flags = AICPS_READ_ONLY | AICPS_SORT | AICPS_FILTER},
    AICPA_TOLD("max_budget", AICPS_MONEY, AICPS_FILTER | AICPS_SORT),
    AICPA_TOLD("budget_duration", AICPS_TEXT, 0),
    AICPA_TOLD("budget_id", AICPS_TEXT, AICPS_FILTER),
    {.name = "models", .type = AICPS_TEXTS, .flags = AICPS_READ_ONLY},
    AICPA_TOLD("team_id", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    AICPA_TOLD("org_id", AICPS_TEXT, AICPS_FILTER),
    AICPA_TOLD("user_id", AICPS_TEXT, AICPS_FILTER | AICPS_SEARCH),
    AICPA_TOLD("rpm_limit", AICPS_INT, 0),
    AICPA_TOLD("tpm_limit", AICPS_INT, 0),
    AICPA_TOLD("max_parallel_requests", AICPS_INT, 0),
    AICPA_TOLD("expires", AICPS_TIME, AICPS_SORT),
    AICPA_TOLD("blocked", AICPS_BOOL, AICPS_FILTER | AICPS_FACET),
    AICPA_TOLD("created_at", AICPS_TIME, AICPS_SORT),
    AICPA_TOLD("metadata", AICPS_OBJECT, AICPS_CSV_OFF),
};

#define WRITABLE                                                                                   \
    AICPA_MAY_TEXT("key_alias"), AICPA_MAY_DOLLARS("max_budget"), AICPA_MAY_BUDGET_DURATION,       \
        AICPA_MAY_TEXT("budget_id"), AICPA_MAY("models", AICPS_TEXTS, 0, 1000),                    \
        AICPA_MAY_TEXT("user_id"), AICPA_MAY_TEXT("team_id"),                                      \
        {.name = "duration",                                                                       \
         .type = AICPS_TEXT,                                                                       \
         .flags = AICPS_NULLABLE,                                                                  \
         .min = 2,                                                                                 \
         .max = 16,                                                                                \
         .pattern = AICPA_DURATION},                                                               \
        AICPA_MAY_LIMIT("rpm_limit"), AICPA_MAY_LIMIT("tpm_limit"),                                \
        AICPA_MAY_LIMIT("max_parallel_requests"), AICPA_MAY("blocked", AICPS_BOOL, 0, 0),          \
        AICPA_MAY("tags", AICPS_TEXTS, 0, 64), AICPA_MAY("metadata", AICPS_OBJECT, 0, 0)

static const aicps_field generate_fields[] = {WRITABLE};
static const aicps_field update_fields[] = {
    AICPA_TEXT("key", AICPS_REQUIRED),
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
    .field_count = AICPA_COUNT(fields),
    .source = &source,
    .doc = "LiteLLM's virtual keys, by their hash.",
};

/* ---- changing ---- */

static const aicpa_proxy_verb generate = {
    .send = aicp_litellm_key_generate,
    .id = "token",
    .name = "key_alias",
    .secret = "key",
};

static const aicpa_proxy_verb update = {
    .send = aicp_litellm_key_update,
    .id = "key",
    .name = "key_alias",
};

static const aicpa_proxy_verb remove_keys = {
    .send = aicp_litellm_key_delete_many,
    .id = "keys",
    .deletes = true,
};

#define ROUTE(path, act, text, body, verb)                                                         \
    AICPA_PROXY_ROUTE("POST", "/api/v1/keys/" path, "key", act, text, body, verb)

static const aicps_route routes[] = {
    ROUTE(
        "generate",
        "create",
        "Make a key; the answer shows it this once",
        generate_fields,
        &generate),
    ROUTE(
        "update",
        "update",
        "Change a key, named by itself or its hash; null takes a limit away",
        update_fields,
        &update),
    ROUTE(
        "delete",
        "delete",
        "Delete keys, named by themselves or their hashes",
        delete_fields,
        &remove_keys),
};

aicp_status aicpa_keys_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
