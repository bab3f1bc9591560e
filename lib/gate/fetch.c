#include "lib/gate/fetch.h"

#include "lib/base/crypto.h"
#include "lib/gate/cache.h"
#include "lib/gate/remote.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 25                              /* a long poll */
#define ANSWER_MS 10000                        /* until a server that need not wait answers */
#define FIRST_MS 5000                          /* at the start the disk copy is at hand */
#define SECTION_MS 120000                      /* for the largest sections on slow ways */
#define SECTION_MAX ((size_t)256 << 20)        /* bytes of one section */
#define TOTAL_MAX ((size_t)512 << 20)          /* bytes of all of them */
#define LEAST_PAUSE_MS 250                     /* of a server that answers long polls at once */
#define REFUSED_NS (UINT64_C(60) * 1000000000) /* then a refused version is looked at again */
#define ETAG_MAX 256
#define ERROR_MAX 512

struct aicpi_fetch {
    aicp_gate *gate;
    aicpi_remote *remote;
    aicpi_net_stop *stop; /* of the thread's requests */
    char *cache;

    pthread_mutex_t lock; /* one version is taken up at a time */
    char seen[65];        /* manifest hash of what is in force */
    char refused[65];     /* manifest hash of what was refused, ... */
    aicp_error refusal;
    uint64_t refused_ns;

    pthread_mutex_t state_lock; /* held for moments only; may be taken inside the other */
    char etag[ETAG_MAX + 1];
    char error[ERROR_MAX + 1]; /* "": the last try went well */
    uint64_t polls;
    uint64_t failures;

    pthread_t thread;
    pthread_mutex_t pause_lock;
    pthread_cond_t pause;
    bool running;
};

/* ---- life ----------------------------------------------------------------------------------- */

aicp_status aicpi_fetch_open(aicp_gate *g, aicpi_fetch **out, aicp_error *err) {
    *out = NULL;
    aicp_status status = aicpi_cache_make(g->cache_path, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_fetch *f = aicpi_calloc(&g->allocator, 1, sizeof *f);
    if (!f) {
        return aicpi_nomem(err);
    }
    f->gate = g;
    f->cache = g->cache_path;
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->state_lock, NULL);
    pthread_mutex_init(&f->pause_lock, NULL);
    pthread_cond_init(&f->pause, NULL);
    status = aicpi_remote_open(
        g->bundle_url, g->service_key, g->events.boot, &g->allocator, &f->remote, err);
    if (status == AICP_OK) {
        status = aicpi_net_stop_new(&g->allocator, &f->stop, err);
    }
    if (status != AICP_OK) {
        aicpi_fetch_free(f, true);
        return status;
    }
    *out = f;
    return AICP_OK;
}

void aicpi_fetch_free(aicpi_fetch *f, bool own) {
    if (!f) {
        return;
    }
    aicpi_remote_free(f->remote, own);
    if (own) {
        aicpi_net_stop_free(f->stop);
    }
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->state_lock);
    pthread_mutex_destroy(&f->pause_lock);
    pthread_cond_destroy(&f->pause);
    aicp_allocator a = f->gate->allocator;
    aicpi_free(&a, f);
}

aicp_status aicpi_fetch_leave_parent(aicpi_fetch *f, aicp_error *err) {
    bool whole = aicpi_mutex_inherit(&f->lock);
    if (!aicpi_mutex_inherit(&f->state_lock) || !whole) { /* half changed: asked for anew */
        f->etag[0] = f->seen[0] = f->refused[0] = '\0';
        f->error[0] = '\0';
    }
    pthread_mutex_init(&f->pause_lock, NULL);
    pthread_cond_init(&f->pause, NULL);
    f->running = false;
    f->stop = NULL; /* it has the parent's connection */
    aicp_status status = aicpi_remote_leave_parent(f->remote, f->gate->events.boot, err);
    return status == AICP_OK ? aicpi_net_stop_new(&f->gate->allocator, &f->stop, err) : status;
}

/* ---- what went wrong ------------------------------------------------------------------------ */

/* Told once for each text; the server hears it with the next poll. */
static void note_failure(aicpi_fetch *f, const aicp_error *err, bool refused) {
    char text[ERROR_MAX + 1];
    if (refused && err->line > 0) {
        snprintf(
            text,
            sizeof text,
            "%s (line %u, column %u)",
            err->message,
            (unsigned)err->line,
            (unsigned)err->column);
    } else {
        snprintf(text, sizeof text, "%s", err->message);
    }
    pthread_mutex_lock(&f->state_lock);
    bool news = strcmp(text, f->error) != 0;
    f->failures++;
    memcpy(f->error, text, sizeof text);
    pthread_mutex_unlock(&f->state_lock);
    if (refused) {
        aicpi_gate_note_refused(f->gate, err);
    } else if (news) {
        aicpi_log_write(
            &f->gate->log, AICP_LOG_WARN, "no rules from the server, the last ones stay: %s", text);
    }
}

static void note_success(aicpi_fetch *f) {
    pthread_mutex_lock(&f->state_lock);
    bool news = f->error[0] != '\0';
    f->error[0] = '\0';
    pthread_mutex_unlock(&f->state_lock);
    if (news) {
        aicpi_log_write(&f->gate->log, AICP_LOG_INFO, "rules come from the server again");
    }
    aicpi_gate_note_accepted(f->gate);
}

/* ---- one version ---------------------------------------------------------------------------- */

/* A version on its way from the manifest to a folder. */
typedef struct version {
    aicpi_fetch *f;
    aicpi_net_stop *stop;
    aicpi_slice manifest; /* as the server sent it */
    char hash[65];
    aicpi_manifest sections;
    bool reused; /* files of an earlier version are in the folder */
    bool filled;
} version;

static aicp_status check_sizes(const aicpi_manifest *m, aicp_error *err) {
    size_t total = 0;
    for (int i = 0; i < AICPI_SECTION_COUNT; i++) {
        const aicpi_section *s = &m->sections[i];
        if (!s->present) {
            continue;
        }
        total += s->size <= SECTION_MAX ? s->size : TOTAL_MAX + 1;
        if (s->size > SECTION_MAX || total > TOTAL_MAX) {
            return aicpi_fail(
                err,
                AICP_ERR_LIMIT,
                "manifest.json: %s has %zu bytes; a section may have %zu, all %zu",
                aicpi_section_files[i],
                s->size,
                SECTION_MAX,
                TOTAL_MAX);
        }
    }
    return AICP_OK;
}

static aicp_status download(version *v, const char *folder, int section, aicp_error *err) {
    const aicpi_section *s = &v->sections.sections[section];
    char path[96];
    snprintf(path, sizeof path, "bundle/sections/%s", s->sha256);
    aicpi_remote_call call = {
        .method = "GET",
        .path = path,
        .timeout_ms = SECTION_MS,
        .max_response = s->size ? s->size : 1,
        .stop = v->stop};
    aicpi_net_response response;
    aicpi_net_response_init(&response, &v->f->gate->allocator);
    aicp_status status = aicpi_remote_send(v->f->remote, &call, &response, err);
    if (status == AICP_OK) {
        char hash[65];
        aicpi_sha256_hex(response.body.data, response.body.len, hash);
        if (response.body.len != s->size || strcmp(hash, s->sha256) != 0) {
            status = aicpi_fail(
                err,
                AICP_ERR_BUNDLE,
                "%s is not what the manifest names: %zu bytes, sha256 %.12s…",
                aicpi_section_files[section],
                response.body.len,
                hash);
        }
    }
    if (status == AICP_OK) {
        aicpi_slice text = {response.body.data, response.body.len};
        status = aicpi_cache_write(folder, aicpi_section_files[section], text, err);
    }
    aicpi_net_response_deinit(&response);
    return status;
}

static aicp_status fill(version *v, const char *folder, bool may_reuse, aicp_error *err) {
    char from[AICPI_CACHE_PATH];
    aicpi_cache_bundle_path(v->f->cache, v->f->seen, from);
    may_reuse = may_reuse && v->f->seen[0];
    v->reused = false;
    for (int i = 0; i < AICPI_SECTION_COUNT; i++) {
        const aicpi_section *s = &v->sections.sections[i];
        const char *file = aicpi_section_files[i];
        if (!s->present) {
            continue;
        }
        if (may_reuse && aicpi_cache_reuse(from, folder, file, s->size)) {
            v->reused = true;
            continue;
        }
        aicp_status status = download(v, folder, i, err);
        if (status != AICP_OK) {
            return status;
        }
    }
    return aicpi_cache_write(folder, "manifest.json", v->manifest, err);
}

static aicp_status
open_folder(aicpi_fetch *f, const char *folder, aicp_bundle **out, aicp_error *err) {
    aicp_bundle *previous = aicpi_gate_bundle(f->gate);
    aicp_status status = aicpi_bundle_open(folder, &f->gate->allocator, previous, out, err);
    aicp_bundle_free(previous);
    return status;
}

/* Fetches what is missing into a folder of its own, verifies the whole and gives it its place. */
static aicp_status fetch_sections(version *v, bool may_reuse, aicp_bundle **out, aicp_error *err) {
    char folder[AICPI_CACHE_PATH];
    aicp_status status = aicpi_cache_begin(v->f->cache, folder, err);
    if (status != AICP_OK) {
        return status;
    }
    status = fill(v, folder, may_reuse, err);
    v->filled = status == AICP_OK;
    if (v->filled) {
        status = open_folder(v->f, folder, out, err);
    }
    if (status != AICP_OK) {
        aicpi_cache_remove(folder);
        return status;
    }
    status = aicpi_cache_keep(v->f->cache, folder, v->hash, err);
    if (status != AICP_OK) {
        aicp_bundle_free(*out);
        *out = NULL;
    }
    return status;
}

/* Another process may have fetched it already. */
static aicp_status obtain(version *v, aicp_bundle **out, aicp_error *err) {
    char place[AICPI_CACHE_PATH];
    aicpi_cache_bundle_path(v->f->cache, v->hash, place);
    if (access(place, F_OK) == 0) {
        if (open_folder(v->f, place, out, NULL) == AICP_OK) {
            return AICP_OK;
        }
        aicpi_cache_remove(place);
    }
    aicp_status status = fetch_sections(v, true, out, err);
    /* Perhaps a file was changed on this disk. */
    if (status == AICP_ERR_BUNDLE && v->filled && v->reused) {
        status = fetch_sections(v, false, out, err);
    }
    return status;
}

/* Whether the version itself is at fault and not the way to it, the store or this machine. */
static bool is_refusal(aicp_status status) {
    switch (status) {
    case AICP_ERR_NOMEM:
    case AICP_ERR_IO:
    case AICP_ERR_TIMEOUT:
    case AICP_ERR_CALLBACK:
    case AICP_ERR_STORE:
    case AICP_ERR_STORE_BUSY:
    case AICP_ERR_NET_CONNECT:
    case AICP_ERR_NET_TLS:
    case AICP_ERR_NET_HTTP:
        return false;
    default:
        return true;
    }
}

static aicp_status enforce(version *v, aicp_error *err) {
    aicpi_fetch *f = v->f;
    aicp_bundle *bundle = NULL;
    aicp_status status = obtain(v, &bundle, err);
    if (status == AICP_OK) {
        status = aicp_gate_load(f->gate, bundle, err);
    }
    aicp_bundle_free(bundle);
    if (status != AICP_OK) {
        return status;
    }
    aicp_error own = {0};
    memcpy(f->seen, v->hash, sizeof f->seen);
    if (aicpi_cache_point(f->cache, f->seen, &own) != AICP_OK) {
        aicpi_log_write(&f->gate->log, AICP_LOG_WARN, "disk copy not renewed: %s", own.message);
    }
    return AICP_OK;
}

/* The lock is held. */
static aicp_status take_up(
    aicpi_fetch *f, aicpi_slice manifest, aicpi_net_stop *stop, int32_t *changed, aicp_error *err) {
    version v = {.f = f, .stop = stop, .manifest = manifest};
    uint64_t now = aicpi_monotonic_ns(&f->gate->clock);
    aicpi_sha256_hex(manifest.data, manifest.len, v.hash);
    if (strcmp(v.hash, f->seen) == 0) {
        return AICP_OK;
    }
    if (strcmp(v.hash, f->refused) == 0 && now - f->refused_ns < REFUSED_NS) {
        *err = f->refusal;
        return f->refusal.code;
    }
    aicpi_arena arena;
    aicpi_arena_init(&arena, &f->gate->allocator, 0, 0);
    aicp_status status =
        aicpi_manifest_parse(&arena, manifest.data, manifest.len, &v.sections, err);
    if (status != AICP_OK) {
        aicpi_error_prefix(err, status, "manifest.json");
    } else {
        status = check_sizes(&v.sections, err);
    }
    if (status == AICP_OK) {
        status = enforce(&v, err);
    }
    aicpi_arena_deinit(&arena);
    *changed = status == AICP_OK;
    f->refused[0] = '\0';
    if (status != AICP_OK && is_refusal(status)) {
        memcpy(f->refused, v.hash, sizeof f->refused);
        f->refusal = *err;
        f->refused_ns = now;
    }
    return status;
}

/* ---- polls ---------------------------------------------------------------------------------- */

static void put_parameter(aicpi_strbuf *out, const char *name, const char *text) {
    aicpi_strbuf_printf(out, "%s=", name);
    aicpi_net_escape(out, aicpi_slice_cstr(text));
}

static void make_path(aicpi_fetch *f, int wait_s, aicpi_strbuf *path) {
    aicp_bundle *b = aicpi_gate_bundle(f->gate);
    put_parameter(path, "bundle?node", f->gate->node);
    put_parameter(path, "&boot", aicpi_remote_boot(f->remote));
    put_parameter(path, "&version", b ? b->version : "");
    aicp_bundle_free(b);
    aicpi_strbuf_printf(path, "&wait=%d", wait_s);
    if (f->error[0]) {
        put_parameter(path, "&error", f->error);
    }
}

/* The server's mark of what is in force; one that would not fit into a header is not kept. */
static void keep_etag(aicpi_fetch *f, const aicpi_net_response *response) {
    aicpi_slice etag = aicpi_net_response_header(response, "etag");
    size_t len = etag.len <= ETAG_MAX ? etag.len : 0;
    for (size_t i = 0; i < len; i++) {
        len = etag.data[i] >= ' ' && etag.data[i] <= '~' ? len : 0;
    }
    pthread_mutex_lock(&f->state_lock);
    memcpy(f->etag, len ? etag.data : "", len);
    f->etag[len] = '\0';
    pthread_mutex_unlock(&f->state_lock);
}

static void forget_etag(aicpi_fetch *f) {
    pthread_mutex_lock(&f->state_lock);
    f->etag[0] = '\0';
    pthread_mutex_unlock(&f->state_lock);
}

typedef struct poll {
    int wait_s;
    uint64_t timeout_ms;
    aicpi_net_stop *stop;
} poll;

static aicp_status
ask(aicpi_fetch *f, const poll *how, aicpi_net_response *response, aicp_error *err) {
    char etag[ETAG_MAX + 1];
    aicpi_strbuf path;
    aicpi_strbuf_init(&path, &f->gate->allocator, 8192);
    pthread_mutex_lock(&f->state_lock);
    f->polls++;
    memcpy(etag, f->etag, sizeof etag);
    make_path(f, how->wait_s, &path);
    pthread_mutex_unlock(&f->state_lock);
    aicpi_remote_call call = {
        .method = "GET",
        .path = path.data,
        .etag = aicpi_slice_cstr(etag),
        .timeout_ms = how->timeout_ms,
        .max_response = AICPI_MANIFEST_MAX,
        .stop = how->stop};
    aicp_status status =
        path.failed ? aicpi_nomem(err) : aicpi_remote_send(f->remote, &call, response, err);
    aicpi_strbuf_deinit(&path);
    return status;
}

static aicp_status
ask_and_take_up(aicpi_fetch *f, const poll *how, int32_t *changed, aicp_error *err) {
    aicpi_net_response response;
    aicp_error own = {0};
    *changed = 0;
    aicpi_net_response_init(&response, &f->gate->allocator);
    aicp_status status = ask(f, how, &response, &own);
    bool asked = status == AICP_OK;
    pthread_mutex_lock(&f->lock);
    if (asked && response.status != 304) {
        aicpi_slice manifest = {response.body.data ? response.body.data : "", response.body.len};
        status = take_up(f, manifest, how->stop, changed, &own);
        if (status == AICP_OK) {
            keep_etag(f, &response);
        } else {
            forget_etag(f); /* is asked for again */
        }
    }
    if (status == AICP_OK) {
        note_success(f);
    } else if (!how->stop || !aicpi_net_stopped(how->stop)) {
        note_failure(f, &own, asked && is_refusal(status));
    }
    pthread_mutex_unlock(&f->lock);
    aicpi_net_response_deinit(&response);
    if (status != AICP_OK && err) {
        *err = own;
    }
    return status;
}

aicp_status aicpi_fetch_now(aicpi_fetch *f, int32_t *changed, aicp_error *err) {
    poll how = {0, ANSWER_MS, NULL};
    return ask_and_take_up(f, &how, changed, err);
}

static aicp_status load_disk_copy(aicpi_fetch *f, aicp_error *err) {
    char folder[AICPI_CACHE_PATH];
    char hash[65];
    aicp_bundle *bundle = NULL;
    aicp_status status = aicpi_cache_current(f->cache, hash, err);
    if (status == AICP_OK) {
        aicpi_cache_bundle_path(f->cache, hash, folder);
        status = open_folder(f, folder, &bundle, err);
    }
    if (status == AICP_OK) {
        status = aicp_gate_load(f->gate, bundle, err);
    }
    if (status == AICP_OK) {
        pthread_mutex_lock(&f->lock);
        memcpy(f->seen, hash, sizeof hash);
        pthread_mutex_unlock(&f->lock);
        aicpi_log_write(
            &f->gate->log, AICP_LOG_WARN, "rules are the disk copy, %s", bundle->version);
    }
    aicp_bundle_free(bundle);
    return status;
}

aicp_status aicpi_fetch_first(aicpi_fetch *f, aicp_error *err) {
    poll how = {0, FIRST_MS, f->stop};
    int32_t changed = 0;
    aicp_error own = {0};
    aicp_error disk = {0};
    aicp_status status = ask_and_take_up(f, &how, &changed, &own);
    if (status == AICP_OK && changed) {
        return AICP_OK;
    }
    if (load_disk_copy(f, &disk) == AICP_OK) {
        return AICP_OK;
    }
    return aicpi_fail(
        err,
        status != AICP_OK ? status : AICP_ERR_BUNDLE,
        "%.110s; disk copy: %.100s",
        own.message,
        disk.message);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void pause_thread(aicpi_fetch *f, uint64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&f->pause_lock);
    int rc = 0;
    while (rc != ETIMEDOUT && !aicpi_net_stopped(f->stop)) {
        rc = pthread_cond_timedwait(&f->pause, &f->pause_lock, &until);
    }
    pthread_mutex_unlock(&f->pause_lock);
}

static void *follow(void *user) {
    aicpi_fetch *f = user;
    aicp_clock clock = aicpi_clock(NULL);
    poll how = {WAIT_S, WAIT_S * UINT64_C(1000) + ANSWER_MS, f->stop};
    uint32_t failed = 0;
    while (!aicpi_net_stopped(f->stop)) {
        uint64_t start = aicpi_monotonic_ns(&clock);
        int32_t changed = 0;
        if (ask_and_take_up(f, &how, &changed, NULL) != AICP_OK) {
            pause_thread(f, aicpi_remote_pause_ms(failed));
            failed += failed < 16;
            continue;
        }
        failed = 0;
        uint64_t ms = (aicpi_monotonic_ns(&clock) - start) / 1000000;
        if (!changed && ms < LEAST_PAUSE_MS) {
            pause_thread(f, LEAST_PAUSE_MS - ms);
        }
    }
    return NULL;
}

aicp_status aicpi_fetch_start(aicpi_fetch *f, aicp_error *err) {
    int rc = pthread_create(&f->thread, NULL, follow, f);
    if (rc != 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot start a thread: %s", strerror(rc));
    }
    f->running = true;
    return AICP_OK;
}

void aicpi_fetch_stop(aicpi_fetch *f) {
    if (!f->running) {
        return;
    }
    pthread_mutex_lock(&f->pause_lock);
    aicpi_net_stop_now(f->stop);
    pthread_cond_signal(&f->pause);
    pthread_mutex_unlock(&f->pause_lock);
    pthread_join(f->thread, NULL);
    f->running = false;
}

void aicpi_fetch_metrics(aicpi_fetch *f, aicpi_strbuf *out) {
    pthread_mutex_lock(&f->state_lock);
    aicpi_strbuf_printf(
        out,
        ",\"bundle_server\":{\"polls\":%llu,\"failures\":%llu,\"error\":",
        (unsigned long long)f->polls,
        (unsigned long long)f->failures);
    aicpi_strbuf_json(out, f->error, strlen(f->error));
    aicpi_strbuf_putc(out, '}');
    pthread_mutex_unlock(&f->state_lock);
}
