/* The switches of the platform. Each acts: through the bundle of all gates, through LiteLLM's own
 * configuration, or here; the answer says what became of it.
 *
 *   default_model              bundle: alias "default"
 *   global_rate_limit          bundle: requests a minute through all gates; 0 = off
 *   enable_budget_enforcement  bundle: without it no account
 *   enable_guardrails          bundle: without it no guardrail
 *   maintenance_mode           bundle: every request is refused with 503; this API: changes are
 *                              refused with 503, but for these settings and logins
 *   enable_caching, cache_ttl_seconds   LiteLLM: /config/update, litellm_settings
 *   enable_cost_tracking       LiteLLM: /config/update, general_settings.disable_spend_logs
 */
#include "services/admin-api/list.h"
#include "services/admin-api/rules/rules.h"
#include "services/admin-api/worker.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <stdio.h>

static const aicps_field fields[] = {
    {.name = "default_model",
     .type = AICPS_TEXT,
     .preset = "\"gpt-4o-mini\"",
     .min = 1,
     .max = 256,
     .doc = "model behind the alias \"default\""},
    {.name = "global_rate_limit",
     .type = AICPS_INT,
     .preset = "1000",
     .min = 0,
     .max = 1000000000,
     .doc = "requests a minute through all gates; 0 = no limit"},
    {.name = "enable_caching", .type = AICPS_BOOL, .preset = "true"},
    {.name = "cache_ttl_seconds", .type = AICPS_INT, .preset = "3600", .min = 0, .max = 31536000},
    {.name = "enable_cost_tracking", .type = AICPS_BOOL, .preset = "true"},
    {.name = "enable_budget_enforcement", .type = AICPS_BOOL, .preset = "true"},
    {.name = "enable_guardrails", .type = AICPS_BOOL, .preset = "true"},
    {.name = "maintenance_mode", .type = AICPS_BOOL, .preset = "false"},
};
#define FIELDS (sizeof fields / sizeof *fields)

/* ---- reading ---- */

struct json_object *aicpa_settings_read(aicpi_sql *db, aicp_error *err) {
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; i < FIELDS; i++) {
        struct json_object *value = aicpa_setting(db, fields[i].name, err);
        value = value ? value : json_tokener_parse(fields[i].preset);
        json_object_object_add(o, fields[i].name, value);
    }
    return o;
}

bool aicpa_setting_is_on(aicpi_sql *db, const char *name, aicp_error *err) {
    struct json_object *all = aicpa_settings_read(db, err);
    bool on = aicps_bool(all, name);
    json_object_put(all);
    return on;
}

static aicp_status read_version(aicpi_sql *db, int64_t *version, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    *version = 0;
    aicp_status status =
        aicpi_sql_prepare(db, "SELECT version FROM admin_settings_version WHERE id = 1", &q, err);
    status = status ? status : aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && row) {
        *version = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    return status;
}

static void add_etag(aicps_call *call, int64_t version) {
    char text[32];
    snprintf(text, sizeof text, "\"%lld\"", (long long)version);
    (void)aicps_http_add_header(call->res, "ETag", text);
}

static void get_settings(aicps_call *call) {
    aicp_error err = {0};
    int64_t version = 0;
    aicp_status status = read_version(call->db, &version, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    add_etag(call, version);
    aicps_send_json(call, 200, aicpa_settings_read(call->db, NULL));
}

/* ---- writing ---- */

typedef struct writing {
    aicps_call *call;
    struct json_object *changes;
    struct json_object *after; /* all settings, once written */
    int64_t version;
    bool lost; /* somebody changed them since the caller read them */
} writing;

static aicp_status
write_one(aicpi_sql *db, const char *name, struct json_object *v, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "INSERT INTO admin_setting (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &q,
        err);
    if (status == AICP_OK) {
        size_t len = 0;
        const char *text = json_object_to_json_string_length(
            v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        aicpi_sql_bind_text(q, 1, name, strlen(name));
        aicpi_sql_bind_text(q, 2, text, len);
        status = aicpi_sql_run(q, err);
    }
    return status;
}

/* The version moves only from what the caller saw, so that no change is lost. */
static aicp_status move_version(writing *w, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicpi_slice match = aicps_http_header(w->call->req, "if-match");
    aicp_status status = read_version(w->call->db, &w->version, err);
    char seen[32];
    int len = snprintf(seen, sizeof seen, "\"%lld\"", (long long)w->version);
    if (status == AICP_OK && match.len > 0 && !aicpi_slice_is(match, "*") &&
        !aicpi_slice_eq(match, aicpi_slice_of(seen, (size_t)len))) {
        w->lost = true;
        return aicpi_fail(err, AICP_ERR_STATE, "lost update");
    }
    status = status ? status
                    : aicpi_sql_prepare(
                          w->call->db,
                          "UPDATE admin_settings_version SET version = version + 1, updated_at = ?"
                          " WHERE id = 1 AND version = ?",
                          &q,
                          err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, aicpa_wall_ns());
        aicpi_sql_bind_i64(q, 2, w->version);
        status = aicpi_sql_run(q, err);
    }
    if (status == AICP_OK && aicpi_sql_changes(w->call->db) == 0) {
        status = aicpi_fail(err, AICP_ERR_STORE_BUSY, "the settings are being changed");
    }
    w->version++;
    return status;
}

static aicp_status write_all(aicpi_sql *db, void *user, aicp_error *err) {
    writing *w = user;
    json_object_put(w->after);
    struct json_object *before = aicpa_settings_read(db, err);
    w->after = NULL;
    w->lost = false;
    aicp_status status = move_version(w, err);
    json_object_object_foreach(w->changes, name, value) {
        status = status ? status : write_one(db, name, value, err);
    }
    if (status == AICP_OK) {
        w->after = aicpa_settings_read(db, err);
        aicps_audit_entry entry = {
            .action = "update",
            .resource_type = "settings",
            .resource_id = "settings",
            .before = before,
            .after = w->after,
        };
        status = aicps_audit_write(w->call, &entry, err);
    }
    status = status ? status : aicps_rules_touch(db, err);
    json_object_put(before);
    return status;
}

/* ---- LiteLLM's part ---- */

static struct json_object *said(const char *status, const char *message) {
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string(status));
    json_object_object_add(o, "message", message ? json_object_new_string(message) : NULL);
    return o;
}

static struct json_object *push_config(aicpa_admin *admin, struct json_object *config) {
    aicp_litellm_reply *reply = NULL;
    aicp_error err = {0};
    if (!admin->litellm) {
        return said("skipped", "no LiteLLM is configured");
    }
    size_t len = 0;
    const char *text = json_object_to_json_string_length(config, JSON_C_TO_STRING_PLAIN, &len);
    aicp_status status = aicp_litellm_reply_new(NULL, &reply, &err);
    status = status ? status : aicp_litellm_config_update(admin->litellm, text, len, reply, &err);
    struct json_object *answer = status == AICP_OK ? said("ok", NULL) : said("failed", err.message);
    aicp_litellm_reply_free(reply);
    return answer;
}

static bool changes(struct json_object *body, const char *name) {
    return json_object_object_get_ex(body, name, NULL);
}

static void push_cache(aicpa_admin *admin, const writing *w, struct json_object *applied) {
    struct json_object *config = json_object_new_object();
    struct json_object *settings = json_object_new_object();
    struct json_object *params = json_object_new_object();
    bool on = aicps_bool(w->after, "enable_caching");
    json_object_object_add(settings, "cache", json_object_new_boolean(on));
    json_object_object_add(
        params, "ttl", json_object_new_int64(aicps_int(w->after, "cache_ttl_seconds")));
    json_object_object_add(settings, "cache_params", params);
    json_object_object_add(config, "litellm_settings", settings);
    json_object_object_add(applied, "cache", push_config(admin, config));
    json_object_put(config);
}

static void push_tracking(aicpa_admin *admin, const writing *w, struct json_object *applied) {
    struct json_object *config = json_object_new_object();
    struct json_object *settings = json_object_new_object();
    bool off = !aicps_bool(w->after, "enable_cost_tracking");
    json_object_object_add(settings, "disable_spend_logs", json_object_new_boolean(off));
    json_object_object_add(config, "general_settings", settings);
    json_object_object_add(applied, "cost_tracking", push_config(admin, config));
    json_object_put(config);
}

/* The settings' version, times two, plus one in maintenance: who learns late tells nothing old. */
static void remember_mode(aicpa_admin *admin, int64_t version, bool closed) {
    int64_t news = version * 2 + closed;
    int64_t known = atomic_load(&admin->maintenance);
    while (news > known && !atomic_compare_exchange_weak(&admin->maintenance, &known, news)) {
    }
}

static void put_settings(aicps_call *call) {
    aicp_error err = {0};
    if (json_object_object_length(call->body) == 0) {
        aicps_send_error(call, 400, "bad_request", "No fields to update");
        return;
    }
    writing w = {.call = call, .changes = aicps_route_body(call)};
    if (!w.changes) {
        return;
    }
    aicp_status status = aicpi_sql_transact(call->db, 0, write_all, &w, &err);
    if (status == AICP_OK) {
        aicpa_admin *admin = aicpa_of(call);
        struct json_object *applied = json_object_new_object();
        remember_mode(admin, w.version, aicps_bool(w.after, "maintenance_mode"));
        aicpa_worker_wake(admin->worker);
        json_object_object_add(
            applied, "gates", said("ok", "with the next bundle, within a second"));
        if (changes(w.changes, "enable_caching") || changes(w.changes, "cache_ttl_seconds")) {
            push_cache(admin, &w, applied);
        }
        if (changes(w.changes, "enable_cost_tracking")) {
            push_tracking(admin, &w, applied);
        }
        json_object_object_add(w.after, "applied", applied);
        add_etag(call, w.version);
        aicps_send_json(call, 200, w.after);
    } else if (w.lost) {
        aicps_send_error(
            call, 412, "version_mismatch", "the settings have been changed since you read them");
    } else {
        json_object_put(w.after);
        aicps_send_status(call, status, &err);
    }
    json_object_put(w.changes);
}

/* ---- maintenance ---- */

aicp_status aicpa_maintenance_follow(aicpa_admin *admin, aicpi_sql *db, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status status = aicpi_sql_prepare(
        db,
        "SELECT v.version, s.value FROM admin_settings_version v"
        " LEFT JOIN admin_setting s ON s.name = 'maintenance_mode' WHERE v.id = 1",
        &q,
        err);
    status = status ? status : aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && row) {
        remember_mode(admin, aicpi_sql_i64(q, 0), aicpi_slice_is(aicpi_sql_text(q, 1), "true"));
        aicpi_sql_reset(q);
    }
    return status;
}

const char *aicpa_closed(aicps_call *call) {
    if (aicpi_slice_is(call->req->method, "GET") || (call->route->flags & AICPS_SERVICE)) {
        return NULL;
    }
    bool closed = atomic_load(&aicpa_of(call)->maintenance) & 1;
    return closed ? "the platform is in maintenance: changes are refused" : NULL;
}

#define SETTINGS                                                                                   \
    "{\"type\":\"object\",\"properties\":{\"default_model\":{\"type\":\"string\"},"                \
    "\"global_rate_limit\":{\"type\":\"integer\",\"minimum\":0},\"enable_caching\":{\"type\":"     \
    "\"boolean\"},\"cache_ttl_seconds\":{\"type\":\"integer\",\"minimum\":0},"                     \
    "\"enable_cost_tracking\":{\"type\":\"boolean\"},\"enable_budget_enforcement\":{\"type\":"     \
    "\"boolean\"},\"enable_guardrails\":{\"type\":\"boolean\"},\"maintenance_mode\":{\"type\":"    \
    "\"boolean\"}}}"

static const aicps_route routes[] = {
    {.method = "GET",
     .pattern = "/api/v1/settings",
     .handler = get_settings,
     .action = "get",
     .resource_type = "settings",
     .summary = "The switches of the platform",
     .response_schema = SETTINGS},
    {.method = "PUT",
     .pattern = "/api/v1/settings",
     .handler = put_settings,
     .flags = AICPS_DRAINING | AICPS_PARTIAL,
     .action = "update",
     .resource_type = "settings",
     .summary = "Change some of them; the others stay",
     .response_schema = SETTINGS,
     .body = fields,
     .body_count = FIELDS},
};

aicp_status aicpa_settings_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
