/* admin-api: settings, and what is opened and closed around the server. */
#include "services/admin-api/admin.h"
#include "services/admin-api/auth/auth.h"
#include "services/admin-api/embedded.h"
#include "services/admin-api/proxy/governed.h"
#include "services/admin-api/rules/rules.h"
#include "services/admin-api/worker.h"

#include "lib/base/crypto.h"
#include "lib/base/error.h"

#include <stddef.h>

#define SECRET_MIN 32

#define AT(field) offsetof(aicpa_settings, field)

#define SETTING(name_, env_, type_, flags_, offset_, preset_, min_, max_, doc_)                    \
    {                                                                                              \
        .name = name_, .env = env_, .type = type_, .flags = flags_, .offset = offset_,             \
        .preset = preset_, .min = min_, .max = max_, .doc = doc_                                   \
    }

static const aicps_setting settings[] = {
    SETTING(
        "environment",
        "ENVIRONMENT",
        AICPS_SETTING_TEXT,
        0,
        AT(environment),
        "development",
        0,
        0,
        "\"production\" refuses weak and well-known secrets"),
    SETTING(
        "database.url",
        "AICP_DATABASE_URL|DATABASE_URL",
        AICPS_SETTING_TEXT,
        AICPS_SETTING_REQUIRED,
        AT(database_url),
        NULL,
        0,
        0,
        "sqlite:///absolute/path or postgresql://user@host/name"),
    SETTING(
        "store.url",
        "AICP_STORE",
        AICPS_SETTING_TEXT,
        0,
        AT(store_url),
        NULL,
        0,
        0,
        "where budgets and shared limits are kept: the same as that of the gates; without it "
        "database.url"),
    SETTING(
        "litellm.url",
        "LITELLM_URL",
        AICPS_SETTING_URL,
        0,
        AT(litellm_url),
        NULL,
        0,
        0,
        "the proxy whose models, keys, teams and budgets are managed"),
    SETTING(
        "litellm.master_key",
        "LITELLM_MASTER_KEY",
        AICPS_SETTING_TEXT,
        AICPS_SETTING_REQUIRED | AICPS_SETTING_SECRET,
        AT(master_key),
        NULL,
        1,
        0,
        "the proxy's master key; whoever has it may log in"),
    SETTING(
        "auth.secret",
        "JWT_SECRET_KEY",
        AICPS_SETTING_TEXT,
        AICPS_SETTING_REQUIRED | AICPS_SETTING_SECRET,
        AT(jwt_secret),
        NULL,
        1,
        0,
        "signs sessions: at least 32 bytes"),
    SETTING(
        "auth.secret_previous",
        "JWT_SECRET_KEY_PREVIOUS",
        AICPS_SETTING_TEXT,
        AICPS_SETTING_SECRET,
        AT(jwt_secret_previous),
        NULL,
        0,
        0,
        "still accepted while the secret is changed"),
    SETTING(
        "auth.session",
        "SESSION_DURATION",
        AICPS_SETTING_DURATION,
        0,
        AT(session_ms),
        "8h",
        60000,
        86400000,
        "life of a session"),
    SETTING(
        "auth.service_keys",
        "INTERNAL_SERVICE_KEY",
        AICPS_SETTING_LIST,
        AICPS_SETTING_SECRET,
        AT(service_keys),
        NULL,
        0,
        0,
        "keys of gates and services, each at least 32 bytes"),
    SETTING(
        "auth.policies",
        "ADMIN_POLICIES",
        AICPS_SETTING_TEXT,
        0,
        AT(policies),
        NULL,
        0,
        0,
        "Cedar file that says who may do what, instead of the built-in one"),
    SETTING(
        "auth.requests_per_minute",
        "ADMIN_REQUESTS_PER_MINUTE",
        AICPS_SETTING_INT,
        0,
        AT(requests_per_minute),
        "1200",
        0,
        1000000,
        "calls of one caller; 0 = no limit"),
    SETTING(
        "events.kept",
        "ADMIN_EVENTS_KEPT",
        AICPS_SETTING_DURATION,
        0,
        AT(events_kept_ms),
        "720h",
        60000,
        INT64_C(315360000000),
        "how long what gates told is kept"),
    SETTING(
        "secrets.key",
        "AICP_SECRET_KEY|SSO_ENCRYPTION_KEY",
        AICPS_SETTING_TEXT,
        AICPS_SETTING_SECRET,
        AT(secret_key),
        NULL,
        0,
        0,
        "seals secrets in the store: at least 32 bytes"),
    SETTING(
        "bundle.price_map",
        "AICP_PRICE_MAP",
        AICPS_SETTING_TEXT,
        0,
        AT(price_map),
        NULL,
        0,
        0,
        "LiteLLM's model_prices_and_context_window.json; without it the one that comes along"),
    SETTING(
        "cors.origins",
        "CORS_ORIGINS",
        AICPS_SETTING_LIST,
        0,
        AT(cors_origins),
        NULL,
        0,
        0,
        "origins of the admin UI; in development localhost on 5173 and 3000"),
};

/* ---- secrets ---- */

/* Values that stand in public examples. */
static const char *const well_known[] = {
    "change-in-production-please",
    "change-this-to-a-secure-random-string",
    "your-super-secret-jwt-key-change-in-production",
    "change-this-to-a-random-secret-key",
    "change-me",
    "changeme",
    "secret",
    "sk-1234",
};

static aicp_status
check_secret(const char *name, const char *value, size_t least, bool production, aicp_error *err) {
    if (!value) {
        return AICP_OK;
    }
    for (size_t i = 0; production && i < sizeof well_known / sizeof *well_known; i++) {
        if (strcmp(value, well_known[i]) == 0) {
            return aicpi_fail(
                err, AICP_ERR_INVALID, "%s is a value from public examples; make an own one", name);
        }
    }
    if (strlen(value) < least) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "%s must have at least %zu bytes (openssl rand -hex 32)",
            name,
            least);
    }
    return AICP_OK;
}

static aicp_status check(const void *user, aicp_error *err) {
    const aicpa_settings *s = user;
    bool production = strcmp(s->environment, "production") == 0;
    if (!production && strcmp(s->environment, "development") != 0) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "ENVIRONMENT is \"development\" or \"production\"");
    }
    aicp_status status = check_secret("LITELLM_MASTER_KEY", s->master_key, 1, production, err);
    status = status ? status
                    : check_secret("JWT_SECRET_KEY", s->jwt_secret, SECRET_MIN, production, err);
    status =
        status
            ? status
            : check_secret(
                  "JWT_SECRET_KEY_PREVIOUS", s->jwt_secret_previous, SECRET_MIN, production, err);
    status = status ? status
                    : check_secret("AICP_SECRET_KEY", s->secret_key, SECRET_MIN, production, err);
    for (const char *const *key = s->service_keys; !status && key && *key; key++) {
        status = check_secret("INTERNAL_SERVICE_KEY", *key, SECRET_MIN, production, err);
    }
    return status;
}

/* ---- opening ---- */

static void close_admin(void *user) {
    aicpa_admin *a = user;
    if (!a) {
        return;
    }
    aicpa_worker_free(a->worker);
    aicps_api_free(a->api);
    aicpa_governed_free(a->governed);
    aicp_ledger_free(a->ledger);
    aicp_rate_store_free(a->rates);
    aicp_price_table_free(a->prices);
    aicp_buf_free(&a->price_map);
    aicp_litellm_free(a->litellm);
    aicpa_access_free(a->access);
    aicp_policy_schema_free(a->schema);
    aicpa_throttle_free(a->throttle);
    aicpa_sessions_free(a->sessions);
    aicpa_known_free(a->known);
    aicpi_sql_free(a->ready_db);
    pthread_mutex_destroy(&a->push_lock);
    aicpi_free(NULL, a);
}

static aicp_status open_litellm(aicpa_admin *a, aicp_error *err) {
    const char *url = a->settings->litellm_url;
    const char *key = a->settings->master_key;
    if (!url) {
        return AICP_OK;
    }
    aicp_litellm_options options = AICP_LITELLM_OPTIONS_INIT;
    aicp_litellm_trace trace = aicps_litellm_trace(a->process);
    options.trace = &trace;
    return aicp_litellm_open(url, strlen(url), key, strlen(key), &options, &a->litellm, err);
}

static aicp_status open_ledger(aicpa_admin *a, aicp_error *err) {
    const aicpa_settings *s = a->settings;
    const char *url = s->store_url ? s->store_url : s->database_url;
    aicp_ledger_options options;
    aicp_ledger_options_init(&options, sizeof options);
    options.node = "admin-api";
    options.node_len = strlen(options.node);
    aicp_status status = aicp_ledger_open(url, strlen(url), &options, &a->ledger, err);
    return status ? status : aicp_rate_store_open(url, strlen(url), &a->rates, err);
}

/* The frame's tables, then our own; and what holds from the first call on. */
static aicp_status migrate(aicpa_admin *a, aicp_error *err) {
    const char *url = a->settings->database_url;
    aicpi_sql *db = NULL;
    aicp_status status = aicpi_sql_open(url, strlen(url), NULL, &db, err);
    status = status ? status : aicps_api_migrate(db, err);
    status =
        status ? status : aicps_migrate(db, "admin", aicpa_migrations, aicpa_migrations_count, err);
    status = status ? status : aicpa_maintenance_follow(a, db, err);
    aicpi_sql_free(db);
    return status;
}

static aicp_status register_all(aicpa_admin *a, aicp_error *err) {
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < aicpa_registry_count && status == AICP_OK; i++) {
        status = aicpa_registry[i](a->api, err);
    }
    return status ? status : aicpa_access_bind(a->access, a->api, err);
}

static aicp_status open_parts(aicpa_admin *a, aicp_error *err) {
    const aicpa_settings *s = a->settings;
    static const char *const ui_origins[] = {
        "http://localhost:5173",
        "http://127.0.0.1:5173",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        NULL,
    };
    bool production = strcmp(s->environment, "production") == 0;
    unsigned char secret_key[AICPI_KEY_SIZE] = {0};
    if (s->secret_key) {
        aicpi_sha256(s->secret_key, strlen(s->secret_key), secret_key);
    }
    void *log_user = NULL;
    aicp_log_fn log = aicps_process_log_fn(a->process, &log_user);
    aicps_api_options options = {
        .app = a,
        .store_url = s->database_url,
        .title = "libaicp admin API",
        .secret_key = s->secret_key ? secret_key : NULL,
        .cors_origins = s->cors_origins ? s->cors_origins
                        : production    ? NULL
                                        : ui_origins,
        .version = aicp_version(),
        .authenticate = aicpa_authenticate,
        .authorise = aicpa_authorise,
        .throttle = aicpa_throttle_call,
        .closed = aicpa_closed,
        .log = log,
        .log_user = log_user,
    };
    aicp_status status = aicpa_sessions_new(&a->sessions, err);
    status = status ? status : aicpa_known_new(&a->known, err);
    status = status ? status : aicpa_throttle_new(s->requests_per_minute, &a->throttle, err);
    status = status ? status : aicpa_access_new(s->policies, &a->access, err);
    status = status ? status : aicpa_schema_load(a, err);
    status = status ? status : open_litellm(a, err);
    status = status ? status : migrate(a, err);
    status = status ? status : aicpa_prices_load(a, err);
    status = status ? status : open_ledger(a, err);
    status = status ? status : aicpa_governed_new(a, &a->governed, err);
    status = status ? status : aicps_api_new(&options, &a->api, err);
    status = status ? status : register_all(a, err);
    return status ? status : aicpa_worker_new(a, &a->worker, err);
}

/* ---- readiness ---- */

static aicp_status store_answers(void *user, aicp_error *err) {
    aicpa_admin *a = user;
    const char *url = a->settings->database_url;
    int64_t revision = 0;
    aicp_status status =
        a->ready_db ? AICP_OK : aicpi_sql_open(url, strlen(url), NULL, &a->ready_db, err);
    return status ? status : aicps_rules_revision(a->ready_db, &revision, err);
}

static aicp_status litellm_answers(void *user, aicp_error *err) {
    aicpa_admin *a = user;
    aicp_litellm_reply *reply = NULL;
    aicp_status status = aicp_litellm_reply_new(NULL, &reply, err);
    status = status ? status : aicp_litellm_health(a->litellm, reply, err);
    aicp_litellm_reply_free(reply);
    return status;
}

static void add_ready_checks(aicpa_admin *a) {
    aicps_ready_check(a->process, "store", store_answers, a);
    if (a->litellm) {
        aicps_ready_check(a->process, "litellm", litellm_answers, a);
    }
}

static aicp_status open_admin(
    aicps_process *process,
    const void *user,
    aicps_http_options *http,
    void **state,
    aicp_error *err) {
    aicpa_admin *a = aicpi_calloc(NULL, 1, sizeof *a);
    if (!a) {
        return aicpi_nomem(err);
    }
    a->process = process;
    a->settings = user;
    a->governed_revision = -1;
    pthread_mutex_init(&a->push_lock, NULL);
    aicp_status status = open_parts(a, err);
    if (status != AICP_OK) {
        close_admin(a);
        return status;
    }
    add_ready_checks(a);
    http->handler = aicps_api_handle;
    http->is_inline = aicps_api_is_inline;
    http->body_max_for = aicps_api_body_max;
    http->worker_open = aicps_api_worker_open;
    http->worker_close = aicps_api_worker_close;
    http->user = a->api;
    *state = a;
    return AICP_OK;
}

static aicp_status started(void *user, aicps_http_server *server, aicp_error *err) {
    aicpa_admin *a = user;
    a->server = server;
    return aicpa_worker_start(a->worker, err);
}

static void stopping(void *user) {
    aicpa_admin *a = user;
    aicpa_worker_stop(a->worker);
}

static const aicps_service service = {
    .name = "admin-api",
    .summary = "the control plane of libaicp: rules down to the gates, slices down, events up",
    .port = "8086",
    .port_env = "ADMIN_API_PORT",
    .settings = settings,
    .setting_count = sizeof settings / sizeof *settings,
    .settings_size = sizeof(aicpa_settings),
    .check = check,
    .open = open_admin,
    .started = started,
    .stopping = stopping,
    .close = close_admin,
};

int main(int argc, char **argv) {
    return aicps_process_main(&service, argc, argv);
}
