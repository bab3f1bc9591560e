/* The ledger's life: opening, forking, the flusher thread, closing; counters and events. */
#include "lib/budget/remote.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SECOND (uint64_t) AICPI_SECOND_NS
#define CLOSE_NS (5 * SECOND)
#define CLOSE_ROUNDS 3
#define AWAY_NS SECOND /* how long one pass tries while the store is known to be away */
#define PATH_MOST 1024
#define RETRY_NS (SECOND / 4) /* the flusher's pause while the store is away */
#define KEEP_NS (7 * 24 * 3600 * SECOND)
#define KEEP_MOST (INT64_MAX / 4)
#define TTL_MOST (24 * 3600 * SECOND)

enum { MARK_FORKED = 0, MARK_READY = 1, MARK_OPENING = 2 };

/* ---- time and text ---- */

uint64_t aicpi_budget_mono(aicpi_budget_core *c) {
    uint64_t now = aicpi_monotonic_ns(&c->clock);
    if (now < c->last_monotonic) {
        c->metrics.clock_backward++;
        return c->last_monotonic;
    }
    c->last_monotonic = now;
    return now;
}

int64_t aicpi_budget_wall(const aicpi_budget_core *c) {
    return aicpi_wall_ns(&c->clock) + c->wall_offset;
}

aicp_status aicpi_budget_check_text(
    const char *data, size_t len, size_t max, const char *what, aicp_error *err) {
    if (!data || len < 1 || len > max) {
        return aicpi_fail(err, AICP_ERR_INVALID, "%s must have 1 to %zu bytes", what, max);
    }
    if (memchr(data, '\0', len) || !aicpi_utf8_valid(data, len, NULL)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "%s must be UTF-8 without NUL", what);
    }
    return AICP_OK;
}

/* ---- flusher ---- */

static uint64_t real_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void wake(aicpi_budget_core *c) {
    c->sleeping = false;
    pthread_cond_signal(&c->wake);
}

void aicpi_budget_wake_hungry(aicpi_budget_core *c) {
    if (c->sleeping) {
        wake(c);
    }
}

/* Waking a thread costs more than all else in a settlement: mostly the flusher comes by in time. */
void aicpi_budget_wake_dirty(aicpi_budget_core *c) {
    if (!c->flusher_runs) {
        return;
    }
    if (c->dirty.count == 1) {
        c->flush_at = real_ns() + c->options.flush_ns;
    }
    if (c->sleeping && (c->flush_at < c->wake_at || c->dirty.count >= c->options.batch)) {
        wake(c);
    }
}

/* Real time: the clock hook does not move waiting. */
static void pause_flusher(aicpi_budget_core *c, uint64_t at) {
    struct timespec t;
    t.tv_sec = (time_t)(at / SECOND);
    t.tv_nsec = (long)(at % SECOND);
    (void)pthread_cond_timedwait(&c->wake, &c->lock, &t);
}

/* Until there is something to do. */
static void rest(aicpi_budget_core *c, uint64_t refresh_at) {
    if (c->hungry > 0 || c->dirty.count >= c->options.batch) {
        return;
    }
    bool waits = c->dirty.count > 0 && c->flush_at < refresh_at;
    c->wake_at = waits ? c->flush_at : refresh_at;
    c->sleeping = true;
    pause_flusher(c, c->wake_at);
    c->sleeping = false;
}

static void *flusher(void *user) {
    aicpi_budget_core *c = user;
    uint64_t refresh_at = 0; /* real */
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        uint64_t now = aicpi_budget_mono(c);
        uint64_t real = real_ns();
        bool refresh = real >= refresh_at;
        (void)aicpi_budget_expire(c, now);
        uint64_t until = now + (c->store_down ? AWAY_NS : CLOSE_NS);
        aicp_status s = AICP_OK;
        if (refresh) {
            refresh_at = real + c->options.refresh_ns;
            s = aicpi_budget_refresh(c, until, false, NULL);
        }
        bool late = refresh || real >= c->flush_at || c->dirty.count >= c->options.batch;
        if (s == AICP_OK && !c->stopping && (c->hungry > 0 || (c->dirty.count > 0 && late))) {
            s = aicpi_budget_flush(c, until, false, NULL);
        }
        if (c->stopping) {
            break;
        }
        if (s != AICP_OK) {
            pause_flusher(c, real_ns() + RETRY_NS);
        } else {
            rest(c, refresh_at);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static aicp_status start_flusher(aicpi_budget_core *c, aicp_error *err) {
    if (!c->options.background) {
        return AICP_OK;
    }
    c->flusher_runs = true;
    if (pthread_create(&c->flusher, NULL, flusher, c) != 0) {
        c->flusher_runs = false;
        return aicpi_fail(err, AICP_ERR_NOMEM, "cannot start the ledger's thread");
    }
    return AICP_OK;
}

static void stop_flusher(aicpi_budget_core *c) {
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    if (c->flusher_runs) {
        pthread_join(c->flusher, NULL);
        c->flusher_runs = false;
    }
}

/* ---- core ---- */

static void set_defaults(aicp_ledger_options *o) {
    o->default_ttl_ns = o->default_ttl_ns ? o->default_ttl_ns : 900 * SECOND;
    o->hold_ttl_ns = o->hold_ttl_ns ? o->hold_ttl_ns : 900 * SECOND;
    o->flush_ns = o->flush_ns ? o->flush_ns : 2000000;
    o->refresh_ns = o->refresh_ns ? o->refresh_ns : SECOND / 10;
    o->idle_ns = o->idle_ns ? o->idle_ns : SECOND;
    o->batch = o->batch ? o->batch : 1000;
    o->unsent_max = o->unsent_max ? o->unsent_max : 1000000;
    o->remember = o->remember ? o->remember : 65536;
    o->slice_divisor = o->slice_divisor ? o->slice_divisor : 100;
    uint64_t least = 2 * o->default_ttl_ns > TTL_MOST ? 2 * o->default_ttl_ns : TTL_MOST;
    o->keep_ns = o->keep_ns ? o->keep_ns : KEEP_NS;
    o->keep_ns = o->keep_ns > least ? o->keep_ns : least;
}

static aicp_status check_options(const aicp_ledger_options *o, aicp_error *err) {
    if (o->mode != AICP_LEDGER_HOLD && o->mode != AICP_LEDGER_SYNC) {
        return aicpi_fail(err, AICP_ERR_INVALID, "mode %d is unknown", (int)o->mode);
    }
    if (o->default_ttl_ns > TTL_MOST || o->hold_ttl_ns > TTL_MOST) {
        return aicpi_fail(err, AICP_ERR_RANGE, "default_ttl_ns and hold_ttl_ns: at most 24 hours");
    }
    if (o->keep_ns > KEEP_MOST) {
        return aicpi_fail(err, AICP_ERR_RANGE, "keep_ns is too long");
    }
    if (o->journal_path_len > 0 &&
        (!o->journal_path || o->journal_path[0] != '/' || o->journal_path_len > PATH_MOST)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "journal_path must be an absolute path");
    }
    if (o->service_key_len > 0 &&
        (!o->service_key || memchr(o->service_key, '\0', o->service_key_len))) {
        return aicpi_fail(err, AICP_ERR_INVALID, "service_key must be text without NUL");
    }
    if (o->node_len > 0 && (!o->node || o->node_len > 40)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "node must have at most 40 bytes");
    }
    return AICP_OK;
}

static void init_locks(aicpi_budget_core *c) {
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    pthread_mutexattr_init(&mutex);
    /* Critical sections are shorter than a sleep. */
    pthread_mutexattr_settype(&mutex, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&c->lock, &mutex);
    pthread_mutexattr_destroy(&mutex);
    pthread_condattr_init(&cond);
    pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &cond);
    pthread_cond_init(&c->wake, &cond);
    pthread_condattr_destroy(&cond);
}

/* A name of its own for every node that ever was. */
static void name_node(aicpi_budget_core *c) {
    unsigned char bytes[16];
    char hex[2 * sizeof bytes + 1];
    aicpi_random(bytes, sizeof bytes);
    aicpi_hex_encode(bytes, sizeof bytes, hex);
    (void)snprintf(c->node, sizeof c->node, "%s-%s", c->name, hex);
}

static void core_free(aicpi_budget_core *c) {
    if (!c) {
        return;
    }
    aicp_allocator a = c->allocator;
    aicpi_sql_free(c->db);
    aicpi_budget_remote_free(c);
    aicpi_free(&a, c->service_key);
    aicpi_sql_free(c->journal);
    aicpi_free(&a, c->journal_path);
    aicpi_budget_pass_deinit(c);
    aicpi_budget_accounts_free(c);
    aicpi_budget_table_deinit(&c->table);
    aicpi_free(&a, c->events);
    aicpi_free(&a, c->url);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    pthread_cond_destroy(&c->wake);
    aicpi_free(&a, c);
}

static aicp_status open_store(aicpi_budget_core *c, aicp_error *err) {
    if (aicpi_budget_is_remote(aicpi_slice_of(c->url, c->url_len))) {
        return aicpi_budget_remote_open(c, err);
    }
    aicpi_sql_options o = {.allocator = &c->allocator, .clock = c->clock_given ? &c->clock : NULL};
    int64_t now = 0;
    aicp_status s = aicpi_sql_open(c->url, c->url_len, &o, &c->db, err);
    if (s == AICP_OK) {
        s = aicpi_sql_migrate(c->db, "budget", aicpi_budget_schema, aicpi_budget_schema_count, err);
    }
    s = s == AICP_OK ? aicpi_sql_now(c->db, &now, err) : s;
    if (s == AICP_OK) {
        c->wall_offset = now - aicpi_wall_ns(&c->clock);
        /* SQLite and hooks have the same clock: what differs is the time between two readings. */
        if (aicpi_sql_engine(c->db) == AICPI_SQL_SQLITE || c->clock_given) {
            c->wall_offset = 0;
        }
    }
    return s;
}

/* `options` and `url` are copied; the strings in the options are read only here. */
static aicp_status core_new(
    const aicp_ledger_options *options,
    const char *name,
    aicpi_slice url,
    aicpi_budget_core **out,
    aicp_error *err) {
    aicp_allocator a = aicpi_allocator(options->allocator);
    aicpi_budget_core *c = aicpi_calloc(&a, 1, sizeof *c);
    if (!c) {
        return aicpi_nomem(err);
    }
    c->allocator = a;
    c->clock = aicpi_clock(options->clock);
    c->clock_given = options->clock != NULL;
    c->options = *options;
    c->options.allocator = &c->allocator;
    c->options.clock = c->clock_given ? &c->clock : NULL;
    c->log = (aicpi_log){options->log, options->log_user, AICP_LOG_INFO, "budget"};
    init_locks(c);
    (void)snprintf(c->name, sizeof c->name, "%s", name);
    name_node(c);
    aicpi_map_init(&c->accounts, &a);
    aicpi_budget_table_init(&c->table, &a);
    aicpi_strbuf_init(&c->pass.changed, &a, AICPI_STRBUF_MAX);
    c->url = aicpi_strndup(&a, url.data, url.len);
    c->url_len = url.len;
    c->events = aicpi_calloc(&a, AICPI_BUDGET_EVENTS, sizeof *c->events);
    if (options->journal_path_len > 0) {
        c->journal_path = aicpi_strndup(&a, options->journal_path, options->journal_path_len);
        c->journal_path_len = options->journal_path_len;
    }
    c->options.journal_path = c->journal_path; /* for the child of a fork */
    if (options->service_key_len > 0) {
        c->service_key = aicpi_strndup(&a, options->service_key, options->service_key_len);
    }
    c->options.service_key = c->service_key;
    bool kept = c->url && c->events && (c->journal_path || c->journal_path_len == 0) &&
                (c->service_key || options->service_key_len == 0);
    aicp_status s = kept ? open_store(c, err) : aicpi_nomem(err);
    s = s == AICP_OK ? aicpi_budget_journal_open(c, err) : s;
    s = s == AICP_OK ? start_flusher(c, err) : s;
    if (s != AICP_OK) {
        core_free(c);
        return s;
    }
    *out = c;
    return AICP_OK;
}

/* ---- handle ---- */

void aicp_ledger_options_init(aicp_ledger_options *options, size_t size) {
    if (options && size >= sizeof options->size) {
        memset(options, 0, size);
        options->size = size;
    }
}

/* A page that the kernel zeroes in the child of a fork: how the child learns that it is one. */
static atomic_uint *new_mark(void) {
    void *page =
        mmap(NULL, sizeof(atomic_uint), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return NULL;
    }
    if (madvise(page, sizeof(atomic_uint), MADV_WIPEONFORK) != 0) {
        (void)munmap(page, sizeof(atomic_uint));
        return NULL;
    }
    return page;
}

aicp_status aicp_ledger_open(
    const char *data,
    size_t len,
    const aicp_ledger_options *options,
    aicp_ledger **out,
    aicp_error *err) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    if (!out) {
        return aicpi_fail(err, AICP_ERR_INVALID, "out must not be NULL");
    }
    *out = NULL;
    aicp_status s = aicpi_options_copy(&o, sizeof o, options, "aicp_ledger_options", err);
    s = s == AICP_OK ? check_options(&o, err) : s;
    if (s != AICP_OK) {
        return s;
    }
    set_defaults(&o);
    char name[64];
    (void)snprintf(
        name, sizeof name, "%.*s", o.node_len ? (int)o.node_len : 4, o.node_len ? o.node : "node");
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_ledger *l = aicpi_calloc(&a, 1, sizeof *l);
    if (!l) {
        return aicpi_nomem(err);
    }
    l->allocator = a;
    l->mark = new_mark();
    if (!l->mark) {
        aicpi_free(&a, l);
        return aicpi_fail(err, AICP_ERR_UNSUPPORTED, "the kernel cannot mark memory for forks");
    }
    aicpi_budget_core *c = NULL;
    s = core_new(&o, name, aicpi_slice_of(data ? data : "", data ? len : 0), &c, err);
    if (s != AICP_OK) {
        (void)munmap(l->mark, sizeof(atomic_uint));
        aicpi_free(&a, l);
        return s;
    }
    atomic_store(&l->core, c);
    atomic_store(l->mark, MARK_READY);
    *out = l;
    return AICP_OK;
}

/* In the child of a fork: a new node. The parent's memory is left alone (its locks may be held by
 * threads that do not exist here), but stays reachable. */
static bool reopen(aicp_ledger *l, aicp_error *err) {
    aicpi_budget_core *old = atomic_load(&l->core);
    aicpi_budget_core *c = NULL;
    aicpi_sql_abandon(old->db);
    aicpi_sql_abandon(old->journal);
    if (core_new(&old->options, old->name, aicpi_slice_of(old->url, old->url_len), &c, err) !=
        AICP_OK) {
        atomic_store(l->mark, MARK_FORKED);
        return false;
    }
    c->previous = old;
    atomic_store(&l->core, c);
    atomic_store(l->mark, MARK_READY);
    return true;
}

aicpi_budget_core *aicpi_budget_enter(aicp_ledger *ledger, aicp_error *err) {
    if (!ledger) {
        (void)aicpi_fail(err, AICP_ERR_INVALID, "ledger must not be NULL");
        return NULL;
    }
    for (;;) {
        unsigned mark = atomic_load_explicit(ledger->mark, memory_order_acquire);
        if (mark == MARK_READY) {
            return atomic_load_explicit(&ledger->core, memory_order_relaxed);
        }
        if (mark == MARK_OPENING) {
            (void)sched_yield();
        } else if (
            atomic_compare_exchange_strong(ledger->mark, &mark, MARK_OPENING) &&
            !reopen(ledger, err)) {
            return NULL;
        }
    }
}

/* Sends all and gives back all that is not reserved. A pass that was under way before may leave
 * something to the next one. */
static aicp_status close_core(aicpi_budget_core *c, uint64_t deadline, aicp_error *err) {
    bool closing = c->closing;
    c->closing = true;
    aicp_status s = aicpi_budget_flush(c, deadline, true, err);
    for (int i = 0; s == AICP_OK && i < CLOSE_ROUNDS &&
                    (c->dirty.count > 0 || aicpi_budget_has_idle(c, aicpi_budget_mono(c)));
         i++) {
        s = aicpi_budget_flush(c, deadline, true, err);
    }
    c->closing = closing;
    return s;
}

aicp_status aicp_ledger_close(aicp_ledger *ledger, uint64_t deadline_ns, aicp_error *err) {
    aicpi_budget_core *c = aicpi_budget_enter(ledger, err);
    if (!c) {
        return AICP_ERR_STORE;
    }
    pthread_mutex_lock(&c->lock);
    uint64_t deadline = deadline_ns ? deadline_ns : aicpi_budget_mono(c) + CLOSE_NS;
    aicp_status s = close_core(c, deadline, err);
    pthread_mutex_unlock(&c->lock);
    return s;
}

static aicp_status leave(aicpi_sql *db, void *user, aicp_error *err) {
    const aicpi_budget_core *c = user;
    return aicpi_budget_leave(db, aicpi_slice_cstr(c->node), err);
}

void aicp_ledger_free(aicp_ledger *ledger) {
    if (!ledger) {
        return;
    }
    aicp_allocator a = ledger->allocator;
    aicpi_budget_core *c = atomic_load(&ledger->core);
    if (atomic_load(ledger->mark) == MARK_READY) {
        aicp_error err = {0};
        stop_flusher(c);
        pthread_mutex_lock(&c->lock);
        uint64_t deadline = aicpi_budget_mono(c) + CLOSE_NS;
        aicp_status s = c->registered || c->dirty.count ? close_core(c, deadline, &err) : AICP_OK;
        if (s == AICP_OK && c->registered) {
            s = c->remote ? aicpi_budget_remote_leave(c, deadline, &err)
                          : aicpi_budget_transact(c, deadline, leave, c, &err);
        }
        if (s != AICP_OK) {
            aicpi_log_write(
                &c->log,
                AICP_LOG_ERROR,
                "%zu settlements (%zu of them in the journal) and this node's holds could not be"
                " sent: %s",
                c->dirty.count + c->busy,
                c->journaled,
                err.message);
        }
        pthread_mutex_unlock(&c->lock);
        core_free(c);
    }
    (void)munmap(ledger->mark, sizeof(atomic_uint));
    aicpi_free(&a, ledger);
}

aicp_status aicp_ledger_flush(aicp_ledger *ledger, uint64_t deadline_ns, aicp_error *err) {
    aicpi_budget_core *c = aicpi_budget_enter(ledger, err);
    if (!c) {
        return AICP_ERR_STORE;
    }
    pthread_mutex_lock(&c->lock);
    uint64_t deadline = deadline_ns ? deadline_ns : aicpi_budget_mono(c) + CLOSE_NS;
    aicp_status s = aicpi_budget_refresh(c, deadline, true, err);
    pthread_mutex_unlock(&c->lock);
    return s;
}

/* ---- events and counters ---- */

void aicpi_budget_event_push(aicpi_budget_core *c, const aicp_ledger_event *e) {
    if (c->events_count == AICPI_BUDGET_EVENTS) {
        c->events_first = (c->events_first + 1) % AICPI_BUDGET_EVENTS;
        c->events_count--;
        c->metrics.events_dropped++;
    }
    c->events[(c->events_first + c->events_count) % AICPI_BUDGET_EVENTS] = *e;
    c->events_count++;
}

aicp_status aicp_ledger_event_next(aicp_ledger *ledger, aicp_ledger_event *out, aicp_error *err) {
    if (!out || out->size < sizeof out->size) {
        return aicpi_fail(err, AICP_ERR_INVALID, "out.size must be set");
    }
    aicpi_budget_core *c = aicpi_budget_enter(ledger, err);
    if (!c) {
        return AICP_ERR_STORE;
    }
    aicp_status s = AICP_ERR_NOT_FOUND;
    pthread_mutex_lock(&c->lock);
    if (c->events_count > 0) {
        size_t size = out->size;
        memcpy(out, &c->events[c->events_first], size < sizeof *out ? size : sizeof *out);
        out->size = size;
        c->events_first = (c->events_first + 1) % AICPI_BUDGET_EVENTS;
        c->events_count--;
        s = AICP_OK;
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

void aicp_ledger_metrics_get(aicp_ledger *ledger, aicp_ledger_metrics *out) {
    aicpi_budget_core *c =
        out && out->size >= sizeof out->size ? aicpi_budget_enter(ledger, NULL) : NULL;
    if (!c) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    aicp_ledger_metrics own = c->metrics;
    own.unsent = c->dirty.count + c->busy;
    pthread_mutex_unlock(&c->lock);
    own.size = out->size;
    memcpy(out, &own, out->size < sizeof own ? out->size : sizeof own);
}
