#include "services/admin-api/proxy/prices.h"

#include "services/admin-api/rules/rules.h"
#include "services/admin-api/worker.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define EVERY_NS (UINT64_C(30) * AICPI_SECOND_NS)
#define RETRY_NS (UINT64_C(2) * AICPI_SECOND_NS)

void aicpa_prices_stale(aicpa_admin *admin) {
    atomic_store(&admin->prices_due_ns, 0);
    aicpa_worker_wake(admin->worker);
}

/* Keys of /model/info that are of the price map's form. */
static bool is_price_key(const char *name) {
    static const char *const prefixes[] = {"input_cost_", "output_cost_", "cache_", "max_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return strcmp(name, "litellm_provider") == 0 || strcmp(name, "mode") == 0;
}

static bool is_number_or_text(struct json_object *v) {
    return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double) ||
           json_object_is_type(v, json_type_string);
}

/* The first deployment of a name gives its prices; LiteLLM's own choice among several is not known
 * beforehand. */
static void add_model(struct json_object *map, struct json_object *deployment) {
    struct json_object *name = json_object_object_get(deployment, "model_name");
    struct json_object *info = json_object_object_get(deployment, "model_info");
    if (!json_object_is_type(name, json_type_string) ||
        !json_object_is_type(info, json_type_object) || strchr(json_object_get_string(name), '*') ||
        json_object_object_get_ex(map, json_object_get_string(name), NULL)) {
        return;
    }
    struct json_object *price = json_object_new_object();
    json_object_object_foreach(info, key, value) {
        if (is_price_key(key) && is_number_or_text(value)) {
            json_object_object_add(price, key, json_object_get(value));
        }
    }
    json_object_object_add(map, json_object_get_string(name), price);
}

static aicp_status fetch(aicpa_admin *admin, struct json_object **map, aicp_error *err) {
    aicp_litellm_reply *reply = NULL;
    *map = NULL;
    aicp_status status = aicp_litellm_reply_new(NULL, &reply, err);
    status = status ? status : aicp_litellm_model_info(admin->litellm, reply, err);
    if (status == AICP_OK) {
        size_t len = 0;
        const char *body = aicp_litellm_reply_body(reply, &len);
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *answer =
            tokener ? json_tokener_parse_ex(tokener, body, (int)len) : NULL;
        json_tokener_free(tokener);
        struct json_object *data = answer ? json_object_object_get(answer, "data") : NULL;
        *map = json_object_new_object();
        size_t count =
            json_object_is_type(data, json_type_array) ? json_object_array_length(data) : 0;
        for (size_t i = 0; i < count; i++) {
            add_model(*map, json_object_array_get_idx(data, i));
        }
        json_object_put(answer);
    }
    aicp_litellm_reply_free(reply);
    return status;
}

static aicp_status store(aicpi_sql *db, void *user, aicp_error *err) {
    const char *text = user;
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "INSERT INTO admin_setting (name, value) VALUES ('litellm_prices', ?) ON CONFLICT (name)"
        " DO UPDATE SET value = excluded.value WHERE admin_setting.value <> excluded.value",
        &q,
        err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, text, strlen(text));
        status = aicpi_sql_run(q, err);
    }
    bool changed = status == AICP_OK && aicpi_sql_changes(db) > 0;
    return changed ? aicps_rules_touch(db, err) : status;
}

/* The library reads it as a gate will, so that one odd price does not stop every bundle. */
static aicp_status check(const char *text, aicp_error *err) {
    aicp_price_table *table = NULL;
    aicp_status status = aicp_price_table_parse(text, strlen(text), NULL, &table, err);
    aicp_price_table_free(table);
    return status;
}

aicp_status aicpa_prices_follow(aicpa_admin *admin, aicpi_sql *db, aicp_error *err) {
    uint64_t now = aicpa_monotonic_ns();
    if (!admin->litellm || now < atomic_load(&admin->prices_due_ns)) {
        return AICP_OK;
    }
    atomic_store(&admin->prices_due_ns, now + RETRY_NS);
    struct json_object *map = NULL;
    aicp_status status = fetch(admin, &map, err);
    if (status == AICP_OK) {
        const char *text = json_object_to_json_string_ext(
            map, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        status = check(text, err);
        status = status ? status : aicpi_sql_transact(db, 0, store, (void *)(uintptr_t)text, err);
    }
    json_object_put(map);
    uint64_t retry = now + RETRY_NS; /* unless it was made stale meanwhile */
    if (status == AICP_OK) {
        (void)atomic_compare_exchange_strong(&admin->prices_due_ns, &retry, now + EVERY_NS);
    }
    return status;
}
