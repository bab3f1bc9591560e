/* Life of a gate, its requests and its pools. */
#include "lib/gate/gate_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/gate/cache.h"
#include "lib/gate/fetch.h"
#include "lib/gate/rate_store.h"
#include "lib/gate/remote.h"
#include "lib/gate/server.h"
#include "lib/ratelimit/ratelimit_internal.h"

#include <stdio.h>
#include <unistd.h>

#define STORE_OPEN_NS (UINT64_C(5) * 1000000000)
/* Unused money stays at hand this long, so that a proxy with pauses between requests need not ask
 * the store for each. A tight budget is recalled at once all the same. */
#define HOLD_IDLE_NS (UINT64_C(15) * 1000000000)
/* Settlements of this long go to the store in one commit, at the same time as the look for what
 * other processes changed: a wake-up and a commit cost more than all that a request asks of the
 * ledger. The settlements are safe meanwhile: the hold that covers them is durable. */
#define SETTLE_BATCH_NS (UINT64_C(250) * 1000000)

void aicp_gate_options_init(aicp_gate_options *options, size_t size) {
    if (options && size >= sizeof options->size) {
        memset(options, 0, size);
        options->size = size;
    }
}

/* Where the gate may write: beside its events, or in the folder of its disk copy. */
static aicp_status
journal_path(const aicp_gate *g, char *path, size_t size, size_t *len, aicp_error *err) {
    bool local = !g->store_url || strncmp(g->store_url, "sqlite:", strlen("sqlite:")) == 0;
    bool events = g->events_path && g->events_path[0] == '/';
    bool cache = g->cache_path && g->cache_path[0] == '/';
    *len = 0;
    if (local || (!events && !cache)) {
        return AICP_OK;
    }
    aicp_status status = events ? AICP_OK : aicpi_cache_make(g->cache_path, err);
    if (status != AICP_OK) {
        return status;
    }
    int n = events ? snprintf(path, size, "%s.ledger", g->events_path)
                   : snprintf(path, size, "%s/ledger.db", g->cache_path);
    if (n < 0 || (size_t)n >= size) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "the path of the ledger's journal is too long");
    }
    *len = (size_t)n;
    return AICP_OK;
}

static bool keep_text(const aicp_allocator *a, const char *text, char **out) {
    *out = text ? aicpi_strndup(a, text, strlen(text)) : NULL;
    return !text || *out;
}

static aicp_status gate_new(const aicp_gate_options *o, aicp_gate **out, aicp_error *err) {
    aicp_allocator a = aicpi_allocator(o->allocator);
    aicp_gate *g = aicpi_calloc(&a, 1, sizeof *g);
    if (!g) {
        return aicpi_nomem(err);
    }
    g->allocator = a;
    g->clock = aicpi_clock(o->clock);
    g->log = (aicpi_log){o->log, o->log_user, AICP_LOG_DEBUG, "gate"};
    g->flags = o->flags;
    g->watch_ms = o->watch_ms ? o->watch_ms : 250;
    pthread_rwlock_init(&g->rules_lock, NULL);
    pthread_mutex_init(&g->reload_lock, NULL);
    pthread_mutex_init(&g->pool_lock, NULL);
    pthread_mutex_init(&g->thread_lock, NULL);
    pthread_mutex_init(&g->accounts_lock, NULL);
    aicpi_map_init(&g->accounts, &a);
    aicpi_arena_init(&g->accounts_arena, &a, 0, 0);
    pthread_cond_init(&g->thread_wake, NULL);
    char host[256] = "node";
    gethostname(host, sizeof host - 1);
    *out = g;
    if (!keep_text(&a, o->bundle_path, &g->bundle_path) ||
        !keep_text(&a, o->store_url, &g->store_url) ||
        !keep_text(&a, o->rates_url, &g->rates_url) ||
        !keep_text(&a, o->node ? o->node : host, &g->node) ||
        !keep_text(&a, o->events_path, &g->events_path) ||
        !keep_text(&a, o->events_url, &g->events_url) ||
        !keep_text(&a, o->bundle_url, &g->bundle_url) ||
        !keep_text(&a, o->service_key, &g->service_key) ||
        !keep_text(&a, o->cache_path, &g->cache_path)) {
        return aicpi_nomem(err);
    }
    return aicpi_events_init(g, err);
}

static aicp_status start_threads(aicp_gate *g, aicp_error *err) {
    aicp_status status = aicpi_background_start(g, err);
    return status == AICP_OK ? aicpi_server_start(g, err) : status;
}

aicp_status aicp_gate_open(const aicp_gate_options *options, aicp_gate **out, aicp_error *err) {
    *out = NULL;
    aicp_gate_options o;
    aicp_gate *g = NULL;
    aicp_status status = aicpi_options_copy(&o, sizeof o, options, "aicp_gate_options", err);
    if (status == AICP_OK && (o.flags & ~AICP_GATE_BACKGROUND) != 0) {
        status = aicpi_fail(err, AICP_ERR_INVALID, "aicp_gate_options.flags has unknown bits");
    }
    if (status == AICP_OK) {
        status = aicpi_server_check_options(&o, err);
    }
    if (status == AICP_OK) {
        status = gate_new(&o, &g, err);
    }
    if (status == AICP_OK) {
        status = aicpi_gate_open_store(g, err);
    }
    if (status == AICP_OK) {
        status = aicpi_server_open(g, err);
    }
    if (status == AICP_OK && g->bundle_path) {
        status = aicp_gate_reload(g, NULL, err);
    }
    if (status == AICP_OK && g->fetch) {
        status = aicpi_fetch_first(g->fetch, err);
    }
    if (status == AICP_OK && (g->flags & AICP_GATE_BACKGROUND)) {
        status = start_threads(g, err);
    }
    if (status != AICP_OK) {
        aicp_gate_free(g);
        return status;
    }
    *out = g;
    return AICP_OK;
}

static void free_pools(aicp_gate *g) {
    while (g->idle_decisions) {
        aicp_gate_decision *d = g->idle_decisions;
        g->idle_decisions = d->next;
        aicpi_decision_destroy(d);
    }
    while (g->idle_work) {
        aicpi_work *w = g->idle_work;
        g->idle_work = w->next;
        aicpi_work_destroy(g, w);
    }
}

void aicp_gate_free(aicp_gate *g) {
    if (!g) {
        return;
    }
    bool own = aicpi_owner_is(&g->owner, getpid());
    if (own) {
        aicpi_background_stop(g);
        aicpi_server_stop(g);
        aicpi_events_write(g, NULL);
    } else if (g->limiter) { /* in a child that never used it: all that is unsent is the parent's */
        aicpi_limiter_leave_parent(g->limiter);
    }
    free_pools(g);
    aicpi_gate_close_store(g);
    aicpi_server_free(g, own);
    aicp_bundle_free(g->bundle);
    aicpi_events_deinit(g);
    aicp_allocator a = g->allocator;
    aicpi_free(&a, g->bundle_path);
    aicpi_free(&a, g->store_url);
    aicpi_free(&a, g->rates_url);
    aicpi_free(&a, g->node);
    aicpi_free(&a, g->events_path);
    aicpi_free(&a, g->events_url);
    aicpi_free(&a, g->bundle_url);
    aicpi_free(&a, g->service_key);
    aicpi_free(&a, g->cache_path);
    pthread_rwlock_destroy(&g->rules_lock);
    pthread_mutex_destroy(&g->reload_lock);
    pthread_mutex_destroy(&g->pool_lock);
    pthread_mutex_destroy(&g->thread_lock);
    pthread_mutex_destroy(&g->accounts_lock);
    aicpi_map_deinit(&g->accounts);
    aicpi_arena_deinit(&g->accounts_arena);
    pthread_cond_destroy(&g->thread_wake);
    aicpi_free(&a, g);
}

/* ---- store ---- */

static aicp_status
open_rates(aicp_gate *g, const char *url, aicp_lease_source *source, aicp_error *err) {
    size_t len = strlen(url);
    aicp_status status = AICP_OK;
    if (strncmp(url, "redis", strlen("redis")) == 0) { /* also rediss://, which it refuses */
        aicp_redis_leases_options o = AICP_REDIS_LEASES_OPTIONS_INIT;
        o.allocator = &g->allocator;
        status = aicp_redis_leases_open(url, len, &o, &g->redis_leases, err);
        if (status == AICP_OK) {
            aicp_redis_leases_source(g->redis_leases, source);
        }
        return status;
    }
    if (aicpi_remote_is_url(url)) {
        return aicpi_server_open_rates(g, url, source, err);
    }
    status = aicpi_rate_store_open(
        url, len, g->node, strlen(g->node), &g->allocator, &g->rate_store, err);
    if (status == AICP_OK) {
        *source = aicpi_rate_store_source(g->rate_store);
    }
    return status;
}

aicp_status aicpi_gate_open_store(aicp_gate *g, aicp_error *err) {
    const char *url = g->store_url ? g->store_url : "sqlite::memory:";
    aicp_ledger_options ledger = AICP_LEDGER_OPTIONS_INIT;
    ledger.node = g->node;
    ledger.node_len = strlen(g->node);
    ledger.background = (g->flags & AICP_GATE_BACKGROUND) != 0;
    ledger.idle_ns = HOLD_IDLE_NS;
    ledger.flush_ns = SETTLE_BATCH_NS;
    ledger.refresh_ns = SETTLE_BATCH_NS;
    ledger.allocator = &g->allocator;
    ledger.clock = &g->clock;
    ledger.log = g->log.fn;
    ledger.log_user = g->log.user;
    ledger.service_key = g->service_key;
    ledger.service_key_len = g->service_key ? strlen(g->service_key) : 0;
    char journal[1024];
    ledger.journal_path = journal;
    aicp_status status = journal_path(g, journal, sizeof journal, &ledger.journal_path_len, err);
    if (status == AICP_OK) {
        status = aicp_ledger_open(url, strlen(url), &ledger, &g->ledger, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    aicp_limiter_options limiter = AICP_LIMITER_OPTIONS_INIT;
    aicp_lease_source source;
    limiter.allocator = &g->allocator;
    limiter.clock = &g->clock;
    const char *rates = g->rates_url ? g->rates_url : g->store_url;
    if (rates) {
        status = open_rates(g, rates, &source, err);
        if (status != AICP_OK) {
            return status;
        }
        limiter.source = &source;
    }
    aicpi_owner_set(&g->owner, getpid());
    return aicp_limiter_new(&limiter, &g->limiter, err);
}

void aicpi_gate_close_store(aicp_gate *g) {
    if (g->limiter) {
        aicp_error err = {0};
        if (aicp_limiter_flush(g->limiter, 1, STORE_OPEN_NS, &err) != AICP_OK) {
            aicpi_log_write(&g->log, AICP_LOG_WARN, "slices not given back: %s", err.message);
        }
    }
    aicp_limiter_free(g->limiter);
    aicp_rate_store_free(g->rate_store);
    aicp_redis_leases_free(g->redis_leases);
    aicp_ledger_free(g->ledger);
    g->limiter = NULL;
    g->rate_store = NULL;
    g->redis_leases = NULL;
    g->ledger = NULL;
}

/* The account's text form of one rule of the bundle, for the ledger. */
static void ledger_account(const aicpi_account_rule *rule, aicp_ledger_account *out) {
    *out = (aicp_ledger_account)AICP_LEDGER_ACCOUNT_INIT;
    out->limit_nano = rule->hard_nano;
    out->duration = rule->duration;
    out->duration_len = rule->duration ? strlen(rule->duration) : 0;
    out->timezone = rule->timezone;
    out->timezone_len = rule->timezone ? strlen(rule->timezone) : 0;
    out->soft_nano = rule->soft_nano;
    out->soft_nano_count = rule->soft_count;
    out->on_unknown_price =
        rule->allow_unknown_price ? AICP_BUDGET_UNKNOWN_ALLOW : AICP_BUDGET_UNKNOWN_DEFAULT;
}

aicp_status aicpi_gate_put_account(
    aicp_gate *g,
    const aicpi_account_rule *rule,
    aicpi_slice id,
    uint64_t deadline_ns,
    aicp_error *err) {
    aicp_ledger_account account;
    ledger_account(rule, &account);
    return aicp_ledger_account_put(g->ledger, id.data, id.len, &account, deadline_ns, err);
}

/* ---- bundle in force ---- */

aicp_bundle *aicpi_gate_bundle(aicp_gate *g) {
    pthread_rwlock_rdlock(&g->rules_lock);
    aicp_bundle *b = aicp_bundle_ref(g->bundle);
    pthread_rwlock_unlock(&g->rules_lock);
    return b;
}

/* Tells log, events and metrics of a refused bundle, once for each text and not at every look. */
void aicpi_gate_note_refused(aicp_gate *g, const aicp_error *err) {
    char text[sizeof g->bundle_error];
    snprintf(
        text,
        sizeof text,
        "%s (line %u, column %u)",
        err->message,
        (unsigned)err->line,
        (unsigned)err->column);
    pthread_rwlock_wrlock(&g->rules_lock);
    bool news = strcmp(text, g->bundle_error) != 0;
    memcpy(g->bundle_error, text, sizeof text);
    pthread_rwlock_unlock(&g->rules_lock);
    if (!news) {
        return;
    }
    aicp_bundle *b = aicpi_gate_bundle(g);
    aicpi_log_write(&g->log, AICP_LOG_ERROR, "bundle refused, the last good one stays: %s", text);
    aicpi_event_bundle(g, b ? b->version : "", err);
    aicp_bundle_free(b);
}

void aicpi_gate_note_accepted(aicp_gate *g) {
    pthread_rwlock_wrlock(&g->rules_lock);
    g->bundle_error[0] = '\0';
    pthread_rwlock_unlock(&g->rules_lock);
}

/* Accounts that stand for themselves are put at once; those "per" something when a request first
 * names one. */
static aicp_status put_accounts(aicp_gate *g, const aicp_bundle *b, aicp_error *err) {
    for (size_t i = 0; i < b->account_count; i++) {
        const aicpi_account_rule *rule = &b->accounts[i];
        if (rule->select.per != 0) {
            continue;
        }
        aicp_status status = aicpi_gate_put_account(g, rule, rule->id, 0, err);
        if (status != AICP_OK) {
            return aicpi_error_prefix(
                err, status, "account %.*s", (int)rule->id.len, rule->id.data);
        }
    }
    return AICP_OK;
}

/* The rules come into force while a server that has the store is away: what is known of accounts
 * there stands until it can be told. */
static aicp_status put_accounts_or_wait(aicp_gate *g, const aicp_bundle *b, aicp_error *err) {
    aicp_error own = {0};
    bool server = g->store_url && strncmp(g->store_url, "http", strlen("http")) == 0;
    aicp_status status = put_accounts(g, b, &own);
    bool away =
        status == AICP_ERR_STORE || status == AICP_ERR_STORE_BUSY || status == AICP_ERR_TIMEOUT;
    if (server && away) {
        atomic_store(&g->accounts_due, true);
        aicpi_log_write(&g->log, AICP_LOG_WARN, "accounts wait for the server: %s", own.message);
        return AICP_OK;
    }
    if (status != AICP_OK && err) {
        *err = own;
    }
    return status;
}

aicp_status aicpi_gate_put_due(aicp_gate *g, aicp_error *err) {
    aicp_bundle *b = atomic_load(&g->accounts_due) ? aicpi_gate_bundle(g) : NULL;
    aicp_status status = AICP_OK;
    if (b && atomic_exchange(&g->accounts_due, false)) {
        status = put_accounts(g, b, err);
        if (status != AICP_OK) {
            atomic_store(&g->accounts_due, true);
        }
    }
    aicp_bundle_free(b);
    return status;
}

aicp_status aicp_gate_load(aicp_gate *g, aicp_bundle *bundle, aicp_error *err) {
    if (!g || !bundle) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate or bundle is NULL");
    }
    aicp_status status = aicpi_gate_own_process(g, err);
    if (status == AICP_OK) {
        status = put_accounts_or_wait(g, bundle, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    pthread_rwlock_wrlock(&g->rules_lock);
    aicp_bundle *old = g->bundle;
    g->bundle = aicp_bundle_ref(bundle);
    pthread_rwlock_unlock(&g->rules_lock);
    aicp_bundle_free(old);
    aicpi_log_write(&g->log, AICP_LOG_INFO, "bundle %s in force", bundle->version);
    aicpi_event_bundle(g, bundle->version, NULL);
    return AICP_OK;
}

/* A bundle that was refused is looked at again when its manifest changes, or after this time: a
 * section file may have been written after the manifest. */
#define RETRY_NS (UINT64_C(2) * 1000000000)

static aicp_status manifest_hash(aicp_gate *g, char hash[65], aicp_error *err) {
    char path[4096];
    aicp_buf manifest = AICP_BUF_INIT;
    int n = snprintf(path, sizeof path, "%s/manifest.json", g->bundle_path);
    if (n < 0 || (size_t)n >= sizeof path) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "path of the bundle is too long");
    }
    aicp_status status = aicpi_file_read(&g->allocator, path, (size_t)1 << 20, &manifest, err);
    if (status == AICP_OK) {
        aicpi_sha256_hex(manifest.data, manifest.len, hash);
        aicp_buf_free(&manifest);
    }
    return status;
}

static aicp_status reload(aicp_gate *g, int32_t *changed, aicp_error *err) {
    char hash[65];
    uint64_t now = aicpi_monotonic_ns(&g->clock);
    aicp_status status = manifest_hash(g, hash, err);
    if (status != AICP_OK) {
        return status;
    }
    if (strcmp(hash, g->manifest_seen) == 0 &&
        (g->manifest_error.code == AICP_OK || now < g->manifest_retry_ns)) {
        if (g->manifest_error.code != AICP_OK && err) {
            *err = g->manifest_error;
        }
        return g->manifest_error.code;
    }
    aicp_bundle *previous = aicpi_gate_bundle(g);
    aicp_bundle *bundle = NULL;
    aicp_error own = {0};
    status = aicpi_bundle_open(g->bundle_path, &g->allocator, previous, &bundle, &own);
    if (status == AICP_OK) {
        status = aicp_gate_load(g, bundle, &own);
    }
    aicp_bundle_free(previous);
    aicp_bundle_free(bundle);
    memcpy(g->manifest_seen, hash, sizeof hash);
    g->manifest_error = own;
    g->manifest_error.code = status;
    g->manifest_retry_ns = now + RETRY_NS;
    *changed = status == AICP_OK;
    if (status != AICP_OK && err) {
        *err = own;
    }
    return status;
}

aicp_status aicp_gate_reload(aicp_gate *g, int32_t *changed, aicp_error *err) {
    int32_t unused = 0;
    int32_t *did = changed ? changed : &unused;
    *did = 0;
    if (!g || (!g->bundle_path && !g->fetch)) {
        return aicpi_fail(err, AICP_ERR_STATE, "the gate was opened without a bundle path or URL");
    }
    if (g->fetch) {
        aicp_status own_process = aicpi_gate_own_process(g, err);
        return own_process == AICP_OK ? aicpi_fetch_now(g->fetch, did, err) : own_process;
    }
    aicp_error own = {0};
    pthread_mutex_lock(&g->reload_lock);
    aicp_status status = reload(g, did, &own);
    if (status == AICP_OK) {
        aicpi_gate_note_accepted(g);
    } else {
        aicpi_gate_note_refused(g, &own);
    }
    pthread_mutex_unlock(&g->reload_lock);
    if (status != AICP_OK && err) {
        *err = own;
    }
    return status;
}

aicp_status aicp_gate_bundle_version(aicp_gate *g, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_bundle *b = aicpi_gate_bundle(g);
    if (!b) {
        return aicpi_fail(err, AICP_ERR_STATE, "no bundle is loaded");
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &g->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_puts(&text, b->version);
    aicp_bundle_free(b);
    return aicpi_strbuf_take(&text, out, err);
}

/* ---- fork ---- */

/* What was half changed at the fork is forgotten: it is only kept to save work. */
static void make_locks_anew(aicp_gate *g) {
    pthread_rwlock_init(&g->rules_lock, NULL);
    pthread_mutex_init(&g->thread_lock, NULL);
    pthread_cond_init(&g->thread_wake, NULL);
    if (!aicpi_mutex_inherit(&g->reload_lock)) {
        g->manifest_seen[0] = '\0';
        g->manifest_error = (aicp_error){0};
    }
    if (!aicpi_mutex_inherit(&g->pool_lock)) {
        g->idle_decisions = NULL;
        g->idle_work = NULL;
        g->idle_decision_count = 0;
        g->idle_work_count = 0;
    }
    if (!aicpi_mutex_inherit(&g->accounts_lock)) {
        aicpi_map_init(&g->accounts, &g->allocator);
        aicpi_arena_init(&g->accounts_arena, &g->allocator, 0, 0);
    }
    g->bundle_error[sizeof g->bundle_error - 1] = '\0';
}

aicp_status aicpi_gate_own_process(aicp_gate *g, aicp_error *err) {
    pid_t pid = getpid();
    if (aicpi_owner_is(&g->owner, pid) || !aicpi_owner_claim(&g->owner, pid)) {
        return AICP_OK;
    }
    /* The parent's thread does not exist here. The ledger and the rate store see the fork
     * themselves and open connections of their own. */
    make_locks_anew(g);
    aicpi_limiter_leave_parent(g->limiter);
    aicpi_events_reopen(g);
    g->thread_running = false;
    aicp_status status = aicpi_server_leave_parent(g, err);
    if (status == AICP_OK && (g->flags & AICP_GATE_BACKGROUND)) {
        status = start_threads(g, err);
    }
    aicpi_owner_set(&g->owner, pid);
    return status;
}

/* ---- requests ---- */

aicp_status aicp_gate_request_new(aicp_gate *gate, aicp_gate_request **out, aicp_error *err) {
    *out = NULL;
    if (!gate) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate is NULL");
    }
    aicp_gate_request *r = aicpi_calloc(&gate->allocator, 1, sizeof *r);
    if (!r) {
        return aicpi_nomem(err);
    }
    r->allocator = gate->allocator;
    aicpi_arena_init(&r->arena, &r->allocator, 1024, 0);
    aicpi_strbuf_init(&r->body, &r->allocator, AICP_GATE_BODY_MAX);
    *out = r;
    return AICP_OK;
}

void aicp_gate_request_free(aicp_gate_request *r) {
    if (!r) {
        return;
    }
    aicpi_arena_deinit(&r->arena);
    aicpi_strbuf_deinit(&r->body);
    aicp_allocator a = r->allocator;
    aicpi_free(&a, r);
}

void aicp_gate_request_reset(aicp_gate_request *r) {
    aicpi_arena_reset(&r->arena);
    aicpi_strbuf_clear(&r->body);
    r->has_body = false;
    r->subject = (aicpi_subject){0};
}

aicp_status
aicp_gate_request_set_body(aicp_gate_request *r, const char *data, size_t len, aicp_error *err) {
    if (!r || (!data && len > 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "request or body is NULL");
    }
    if (len > AICP_GATE_BODY_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_LIMIT,
            "body has %zu bytes; at most %zu are allowed",
            len,
            AICP_GATE_BODY_MAX);
    }
    aicpi_strbuf_clear(&r->body);
    aicpi_strbuf_append(&r->body, data, len);
    r->has_body = !r->body.failed;
    return r->has_body ? AICP_OK : aicpi_nomem(err);
}

aicp_status aicp_gate_request_set_action(aicp_gate_request *r, int32_t action, aicp_error *err) {
    if (!r || action < AICP_GATE_CHAT || action > AICP_GATE_TOOL) {
        return aicpi_fail(err, AICP_ERR_INVALID, "%d is no action", (int)action);
    }
    r->subject.action = action;
    return AICP_OK;
}

/* A copy in the request's arena, after the checks that all subject texts share. */
static aicp_status keep_slice(
    aicp_gate_request *r,
    const char *data,
    size_t len,
    size_t max,
    aicpi_slice *out,
    aicp_error *err) {
    if (!r || (!data && len > 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "request or text is NULL");
    }
    if (len > max) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "text has %zu bytes; at most %zu are allowed", len, max);
    }
    size_t offset = 0;
    if (!aicpi_utf8_valid(data, len, &offset)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "invalid UTF-8 at byte %zu", offset);
    }
    char *copy = aicpi_arena_strndup(&r->arena, data, len);
    if (!copy) {
        return aicpi_nomem(err);
    }
    *out = aicpi_slice_of(copy, len);
    return AICP_OK;
}

aicp_status aicp_gate_request_set(
    aicp_gate_request *r, int32_t field, const char *data, size_t len, aicp_error *err) {
    if (field < 0 || field >= AICP_GATE_FIELD_COUNT) {
        return aicpi_fail(err, AICP_ERR_INVALID, "%d is no field", (int)field);
    }
    aicpi_slice text;
    aicp_status status = keep_slice(r, data, len, AICPI_FIELD_MAX, &text, err);
    if (status == AICP_OK) {
        r->subject.fields[field] = text;
    }
    return status;
}

aicp_status
aicp_gate_request_add_tag(aicp_gate_request *r, const char *data, size_t len, aicp_error *err) {
    aicpi_slice text;
    aicp_status status = keep_slice(r, data, len, 256, &text, err);
    if (status != AICP_OK || text.len == 0) {
        return status;
    }
    if (r->subject.tag_count == AICPI_TAGS_MAX) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "more than %d tags", AICPI_TAGS_MAX);
    }
    r->subject.tags[r->subject.tag_count++] = text;
    return AICP_OK;
}
