/* One transaction a lease. The row of the key is locked first, so that on both engines two leases
 * of one key never interleave. Levels are computed by the same algorithms as in the process. */
#include "lib/gate/rate_store.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "lib/base/thread.h"
#include "lib/ratelimit/ratelimit_internal.h"
#include "lib/sql/sql.h"

#include <time.h>
#include <unistd.h>

#define POSTGRES_CONNECTIONS 4
#define NODE_TOUCH_NS (10 * AICPI_SECOND_NS)
#define NODE_GONE_NS (60 * AICPI_SECOND_NS)
#define CLEAN_EVERY 1024 /* leases */
#define SEEN_NODES 256
#define OUTSTANDING_PART 4 /* unspent slices of all nodes: at most limit / 4 */

static const char *const STEPS[] = {
    "CREATE TABLE aicp_rate (k AICPI_BLOB PRIMARY KEY, used_high BIGINT NOT NULL,"
    " used_low BIGINT NOT NULL, at BIGINT NOT NULL, lim BIGINT NOT NULL, burst BIGINT NOT NULL,"
    " win BIGINT NOT NULL, idle_at BIGINT NOT NULL);"
    "CREATE INDEX aicp_rate_idle ON aicp_rate (idle_at);"
    "CREATE TABLE aicp_rate_slice (k AICPI_BLOB NOT NULL, node BIGINT NOT NULL,"
    " units BIGINT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (k, node));"
    "CREATE INDEX aicp_rate_slice_until ON aicp_rate_slice (until);"
    "CREATE TABLE aicp_rate_slot (k AICPI_BLOB NOT NULL, slot BIGINT NOT NULL,"
    " until BIGINT NOT NULL, PRIMARY KEY (k, slot));"
    "CREATE INDEX aicp_rate_slot_until ON aicp_rate_slot (until);"
    "CREATE TABLE aicp_rate_node (node BIGINT PRIMARY KEY, name TEXT NOT NULL,"
    " seen BIGINT NOT NULL);",
};

typedef struct connection {
    pthread_mutex_t mutex;
    aicpi_sql *db;
} connection;

/* When a node last showed itself in the store, by the store's time; a place for many nodes. */
typedef struct seen_node {
    _Atomic int64_t node;
    _Atomic int64_t at;
} seen_node;

struct aicp_rate_store {
    aicp_allocator allocator;
    char *url;
    size_t url_len;
    char *name;
    size_t name_len;
    aicpi_owner owner; /* of the connections */
    int64_t node;      /* this process */
    seen_node seen[SEEN_NODES];
    connection connections[POSTGRES_CONNECTIONS];
    size_t count;
    _Atomic uint32_t calls;
    _Atomic uint32_t nodes;
};

/* One lease on its way through a transaction. */
typedef struct lease {
    aicp_rate_store *store;
    aicpi_rate_node node; /* who asks */
    const aicp_lease_request *q;
    aicp_lease_grant g;
    unsigned char key[AICPI_SHA256_SIZE];
    int64_t now;
    int64_t idle_at;
    aicpi_limit_level level;
    aicpi_limit_params params; /* under which the stored level was written */
} lease;

static uint64_t minimum(uint64_t x, uint64_t y) {
    return x < y ? x : y;
}

/* Store time is below 2^63, so sums are clamped to that. */
static int64_t later_by(int64_t now, uint64_t ns) {
    return ns > (uint64_t)(INT64_MAX - now) ? INT64_MAX : now + (int64_t)ns;
}

/* ---- statements ----------------------------------------------------------------------------- */

static aicp_status prepare_keyed(
    aicpi_sql *db, const char *text, const lease *x, aicpi_sql_stmt **q, aicp_error *err) {
    aicp_status status = aicpi_sql_prepare(db, text, q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_blob(*q, 1, x->key, sizeof x->key);
    }
    return status;
}

/* First column of the first row; 0 when there is none. */
static aicp_status read_i64(aicpi_sql_stmt *q, int64_t *value, bool *found, aicp_error *err) {
    bool row = false;
    *value = 0;
    aicp_status status = aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && row) {
        *value = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    if (found) {
        *found = row;
    }
    return status;
}

static aicp_status load_row(aicpi_sql *db, lease *x, bool *found, aicp_error *err) {
    static const char SQLITE[] =
        "SELECT used_high, used_low, at, lim, burst, win FROM aicp_rate WHERE k = ?";
    static const char POSTGRES[] =
        "SELECT used_high, used_low, at, lim, burst, win FROM aicp_rate WHERE k = ? FOR UPDATE";
    aicpi_sql_stmt *q = NULL;
    aicp_status status = prepare_keyed(
        db, aicpi_sql_engine(db) == AICPI_SQL_POSTGRES ? POSTGRES : SQLITE, x, &q, err);
    *found = false;
    if (status == AICP_OK) {
        status = aicpi_sql_step(q, found, err);
    }
    if (status != AICP_OK || !*found) {
        return status;
    }
    x->level.used = (aicpi_uint128)(uint64_t)aicpi_sql_i64(q, 0) << 64;
    x->level.used |= (uint64_t)aicpi_sql_i64(q, 1);
    x->level.time = (uint64_t)aicpi_sql_i64(q, 2);
    x->params.limit = (uint64_t)aicpi_sql_i64(q, 3);
    x->params.burst = (uint64_t)aicpi_sql_i64(q, 4);
    x->params.window_ns = (uint64_t)aicpi_sql_i64(q, 5);
    aicpi_sql_reset(q);
    return AICP_OK;
}

static aicp_status insert_row(aicpi_sql *db, const lease *x, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = prepare_keyed(
        db,
        "INSERT INTO aicp_rate (k, used_high, used_low, at, lim, burst, win, idle_at)"
        " VALUES (?, 0, 0, ?, ?, ?, ?, ?) ON CONFLICT (k) DO NOTHING",
        x,
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_sql_bind_i64(q, 2, x->now);
    aicpi_sql_bind_i64(q, 3, (int64_t)x->q->limit);
    aicpi_sql_bind_i64(q, 4, (int64_t)x->q->burst);
    aicpi_sql_bind_i64(q, 5, (int64_t)x->q->window_ns);
    aicpi_sql_bind_i64(q, 6, x->now);
    return aicpi_sql_run(q, err);
}

/* Finds or makes the row of the key and holds it until commit. */
static aicp_status lock_row(aicpi_sql *db, lease *x, aicp_error *err) {
    bool found = false;
    aicp_status status = load_row(db, x, &found, err);
    if (status == AICP_OK && !found) {
        status = insert_row(db, x, err);
        if (status == AICP_OK) {
            status = load_row(db, x, &found, err);
        }
        if (status == AICP_OK && !found) { /* cleaned away by another in between */
            return aicpi_fail(err, AICP_ERR_STORE_BUSY, "the row of a rate limit vanished");
        }
    }
    return status;
}

static aicp_status store_row(aicpi_sql *db, const lease *x, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "UPDATE aicp_rate SET used_high = ?, used_low = ?, at = ?, lim = ?, burst = ?, win = ?,"
        " idle_at = ? WHERE k = ?",
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_sql_bind_i64(q, 1, (int64_t)(uint64_t)(x->level.used >> 64));
    aicpi_sql_bind_i64(q, 2, (int64_t)(uint64_t)x->level.used);
    aicpi_sql_bind_i64(q, 3, (int64_t)x->level.time);
    aicpi_sql_bind_i64(q, 4, (int64_t)x->params.limit);
    aicpi_sql_bind_i64(q, 5, (int64_t)x->params.burst);
    aicpi_sql_bind_i64(q, 6, (int64_t)x->params.window_ns);
    aicpi_sql_bind_i64(q, 7, x->idle_at);
    aicpi_sql_bind_blob(q, 8, x->key, sizeof x->key);
    return aicpi_sql_run(q, err);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* Now and then each node shows itself and counts the others. Of two nodes at one place one shows
 * itself more often than it must. */
static aicp_status touch_node(aicpi_sql *db, lease *x, aicp_error *err) {
    aicp_rate_store *store = x->store;
    seen_node *place = &store->seen[(uint64_t)x->node.id % SEEN_NODES];
    int64_t seen = atomic_load_explicit(&place->at, memory_order_relaxed);
    bool known = atomic_load_explicit(&place->node, memory_order_relaxed) == x->node.id;
    if (known && seen != 0 && x->now >= seen && x->now - seen < NODE_TOUCH_NS) {
        return AICP_OK;
    }
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_rate_node (node, seen, name) VALUES (?, ?, ?)"
        " ON CONFLICT (node) DO UPDATE SET seen = excluded.seen",
        &q,
        err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, x->node.id);
        aicpi_sql_bind_i64(q, 2, x->now);
        aicpi_sql_bind_text(q, 3, x->node.name.data, x->node.name.len);
        status = aicpi_sql_run(q, err);
    }
    if (status == AICP_OK) {
        status =
            aicpi_sql_prepare(db, "SELECT COUNT(*) FROM aicp_rate_node WHERE seen > ?", &q, err);
    }
    int64_t nodes = 0;
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, x->now - NODE_GONE_NS);
        status = read_i64(q, &nodes, NULL, err);
    }
    if (status == AICP_OK) {
        atomic_store_explicit(&place->node, x->node.id, memory_order_relaxed);
        atomic_store_explicit(&place->at, x->now, memory_order_relaxed);
        atomic_store_explicit(
            &store->nodes, (uint32_t)(nodes > 0 ? nodes : 1), memory_order_relaxed);
    }
    return status;
}

/* ---- rates ---------------------------------------------------------------------------------- */

static void bring_up_to_date(lease *x, const aicpi_limit_algorithm *a) {
    const aicp_lease_request *q = x->q;
    aicpi_limit_params to = {q->limit, q->burst, q->window_ns};
    uint64_t now = (uint64_t)x->now;
    if (x->level.time > now && x->level.time - now > to.window_ns) {
        x->level.time = now; /* the clock was set back by much: go on from here */
    }
    a->advance(&x->level, &x->params, now > x->level.time ? now : x->level.time);
    if (x->params.limit != to.limit || x->params.burst != to.burst ||
        x->params.window_ns != to.window_ns) {
        a->convert(&x->level, &x->params, &to);
        x->params = to;
    }
    if (q->returned != 0) {
        a->refund(&x->level, &x->params, q->returned);
    }
    if (q->debt != 0) {
        a->charge(&x->level, &x->params, q->debt);
    }
}

/* What other nodes hold unspent. */
static aicp_status outstanding(aicpi_sql *db, const lease *x, uint64_t *units, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = prepare_keyed(
        db,
        "SELECT CAST(COALESCE(SUM(units), 0) AS BIGINT) FROM aicp_rate_slice"
        " WHERE k = ? AND until > ? AND node <> ?",
        x,
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_sql_bind_i64(q, 2, x->now);
    aicpi_sql_bind_i64(q, 3, x->node.id);
    int64_t sum = 0;
    status = read_i64(q, &sum, NULL, err);
    *units = sum > 0 ? (uint64_t)sum : 0;
    return status;
}

static aicp_status note_slice(aicpi_sql *db, const lease *x, uint64_t units, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = prepare_keyed(
        db,
        units ? "INSERT INTO aicp_rate_slice (k, node, units, until) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (k, node) DO UPDATE SET units = excluded.units,"
                " until = excluded.until"
              : "DELETE FROM aicp_rate_slice WHERE k = ? AND node = ?",
        x,
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_sql_bind_i64(q, 2, x->node.id);
    if (units) {
        aicpi_sql_bind_i64(q, 3, (int64_t)minimum(units, INT64_MAX));
        aicpi_sql_bind_i64(q, 4, later_by(x->now, x->q->ttl_ns));
    }
    return aicpi_sql_run(q, err);
}

static aicp_status
grant_rate(aicpi_sql *db, lease *x, const aicpi_limit_algorithm *a, aicp_error *err) {
    const aicp_lease_request *q = x->q;
    uint64_t held = q->held;
    uint64_t at = x->level.time > (uint64_t)x->now && a->number == AICP_LIMIT_GCRA
                      ? x->level.time
                      : (uint64_t)x->now;
    if (q->need > q->burst || q->limit == 0) {
        x->g.retry_after_ns = AICP_LIMIT_NEVER;
    } else if (q->need != 0 && a->fits(&x->level, &x->params, q->need, at, &x->g.retry_after_ns)) {
        a->charge(&x->level, &x->params, q->need);
        uint64_t others = 0;
        aicp_status status = q->extra ? outstanding(db, x, &others, err) : AICP_OK;
        if (status != AICP_OK) {
            return status;
        }
        uint64_t most = q->limit / OUTSTANDING_PART;
        uint64_t room = most > others + held ? most - others - held : 0;
        uint64_t extra = minimum(q->extra, room);
        extra = minimum(extra, a->remaining(&x->level, &x->params));
        a->charge(&x->level, &x->params, extra);
        x->g.granted = q->need + extra;
        x->g.retry_after_ns = 0;
        held += extra;
    }
    x->g.remaining = a->remaining(&x->level, &x->params);
    x->g.reset_ns = a->reset(&x->level, &x->params, at);
    x->idle_at = later_by(x->now, x->g.reset_ns);
    /* A node that never holds anything needs no row. */
    return q->extra || q->held || q->returned ? note_slice(db, x, held, err) : AICP_OK;
}

static aicp_status lease_rate(aicpi_sql *db, lease *x, aicp_error *err) {
    const aicpi_limit_algorithm *a = aicpi_limit_algorithm_get(x->q->algorithm);
    if (!a || x->q->window_ns == 0) {
        return aicpi_fail(err, AICP_ERR_INVALID, "no rate algorithm %d", x->q->algorithm);
    }
    bring_up_to_date(x, a);
    aicp_status status = grant_rate(db, x, a, err);
    return status == AICP_OK ? store_row(db, x, err) : status;
}

/* ---- slots ---------------------------------------------------------------------------------- */

/* Runs a statement with the key as ?1 and numbers behind it. */
static aicp_status run_keyed(
    aicpi_sql *db,
    const lease *x,
    const char *text,
    const int64_t *numbers,
    int32_t count,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = prepare_keyed(db, text, x, &q, err);
    for (int32_t i = 0; status == AICP_OK && i < count; i++) {
        aicpi_sql_bind_i64(q, i + 2, numbers[i]);
    }
    return status == AICP_OK ? aicpi_sql_run(q, err) : status;
}

static aicp_status select_keyed(
    aicpi_sql *db,
    const lease *x,
    const char *text,
    const int64_t *numbers,
    int32_t count,
    int64_t *value,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = prepare_keyed(db, text, x, &q, err);
    for (int32_t i = 0; status == AICP_OK && i < count; i++) {
        aicpi_sql_bind_i64(q, i + 2, numbers[i]);
    }
    return status == AICP_OK ? read_i64(q, value, NULL, err) : status;
}

/* When enough of the live slots will have ended. */
static aicp_status wait_for_slot(aicpi_sql *db, lease *x, int64_t live, aicp_error *err) {
    int64_t until = 0;
    int64_t surplus = live - (int64_t)x->q->limit;
    aicp_status status = select_keyed(
        db,
        x,
        "SELECT until FROM aicp_rate_slot WHERE k = ? ORDER BY until LIMIT 1 OFFSET ?",
        &surplus,
        1,
        &until,
        err);
    x->g.retry_after_ns = until > x->now ? (uint64_t)(until - x->now) : 1;
    return status;
}

static aicp_status make_slot(aicpi_sql *db, lease *x, int64_t *live, aicp_error *err) {
    const int64_t row[2] = {(int64_t)x->q->slot, later_by(x->now, x->q->ttl_ns)};
    int64_t renewed = 0;
    aicp_status status = select_keyed(
        db,
        x,
        "SELECT COUNT(*) FROM aicp_rate_slot WHERE k = ? AND slot = ?",
        row,
        1,
        &renewed,
        err);
    if (status != AICP_OK) {
        return status;
    }
    if (renewed == 0 && *live >= (int64_t)x->q->limit) {
        return wait_for_slot(db, x, *live, err);
    }
    x->g.granted = 1;
    *live += renewed == 0;
    return run_keyed(
        db,
        x,
        "INSERT INTO aicp_rate_slot (k, slot, until) VALUES (?, ?, ?)"
        " ON CONFLICT (k, slot) DO UPDATE SET until = excluded.until",
        row,
        2,
        err);
}

static aicp_status lease_slot(aicpi_sql *db, lease *x, aicp_error *err) {
    int64_t slot = (int64_t)x->q->slot;
    int64_t live = 0;
    int64_t last = 0;
    aicp_status status =
        run_keyed(db, x, "DELETE FROM aicp_rate_slot WHERE k = ? AND until <= ?", &x->now, 1, err);
    if (status == AICP_OK && x->q->returned != 0) {
        status =
            run_keyed(db, x, "DELETE FROM aicp_rate_slot WHERE k = ? AND slot = ?", &slot, 1, err);
    }
    if (status == AICP_OK) {
        status = select_keyed(
            db, x, "SELECT COUNT(*) FROM aicp_rate_slot WHERE k = ?", NULL, 0, &live, err);
    }
    if (status == AICP_OK && x->q->need != 0) {
        status = make_slot(db, x, &live, err);
    }
    if (status == AICP_OK) {
        status = select_keyed(
            db, x, "SELECT MAX(until) FROM aicp_rate_slot WHERE k = ?", NULL, 0, &last, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    uint64_t used = (uint64_t)live;
    x->g.remaining = used < x->q->limit ? x->q->limit - used : 0;
    x->g.reset_ns = last > x->now ? (uint64_t)(last - x->now) : 0;
    x->idle_at = later_by(x->now, x->g.reset_ns);
    return store_row(db, x, err);
}

/* ---- a lease -------------------------------------------------------------------------------- */

static aicp_status lease_in_transaction(aicpi_sql *db, void *user, aicp_error *err) {
    lease *x = user;
    x->g = (aicp_lease_grant){.size = sizeof x->g};
    aicp_status status = aicpi_sql_now(db, &x->now, err);
    if (status == AICP_OK) {
        status = lock_row(db, x, err);
    }
    if (status == AICP_OK) {
        status = aicpi_sql_now(db, &x->now, err); /* the lock may have taken its time */
    }
    if (status == AICP_OK) {
        status = touch_node(db, x, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    x->g.nodes = atomic_load_explicit(&x->store->nodes, memory_order_relaxed);
    return x->q->kind == AICP_LIMIT_CONCURRENCY ? lease_slot(db, x, err) : lease_rate(db, x, err);
}

/* Rows that tell nothing any more. On PostgreSQL without waiting for leases under way. */
static aicp_status clean_in_transaction(aicpi_sql *db, void *user, aicp_error *err) {
    (void)user;
    static const char *const LITE[] = {
        "DELETE FROM aicp_rate WHERE idle_at < ?",
        "DELETE FROM aicp_rate_slot WHERE until < ?",
        "DELETE FROM aicp_rate_slice WHERE until < ?",
        "DELETE FROM aicp_rate_node WHERE seen < ?"};
#define SOME_UNLOCKED " LIMIT 500 FOR UPDATE SKIP LOCKED)"
    static const char *const POSTGRES[] = {
        "DELETE FROM aicp_rate WHERE k IN"
        " (SELECT k FROM aicp_rate WHERE idle_at < ?" SOME_UNLOCKED,
        "DELETE FROM aicp_rate_slot WHERE (k, slot) IN"
        " (SELECT k, slot FROM aicp_rate_slot WHERE until < ?" SOME_UNLOCKED,
        "DELETE FROM aicp_rate_slice WHERE (k, node) IN"
        " (SELECT k, node FROM aicp_rate_slice WHERE until < ?" SOME_UNLOCKED,
        "DELETE FROM aicp_rate_node WHERE node IN"
        " (SELECT node FROM aicp_rate_node WHERE seen < ?" SOME_UNLOCKED};
#undef SOME_UNLOCKED
    const char *const *steps = aicpi_sql_engine(db) == AICPI_SQL_POSTGRES ? POSTGRES : LITE;
    int64_t now = 0;
    aicp_status status = aicpi_sql_now(db, &now, err);
    for (size_t i = 0; status == AICP_OK && i < sizeof LITE / sizeof *LITE; i++) {
        aicpi_sql_stmt *q = NULL;
        status = aicpi_sql_prepare(db, steps[i], &q, err);
        if (status == AICP_OK) {
            aicpi_sql_bind_i64(q, 1, now - NODE_GONE_NS);
            status = aicpi_sql_run(q, err);
        }
    }
    return status;
}

/* Wall time for pthread_mutex_timedlock; only the wait depends on it. */
static struct timespec wall_after(uint64_t ns) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t sum = (uint64_t)ts.tv_nsec + minimum(ns, UINT64_C(3600) * (uint64_t)AICPI_SECOND_NS);
    ts.tv_sec += (time_t)(sum / (uint64_t)AICPI_SECOND_NS);
    ts.tv_nsec = (long)(sum % (uint64_t)AICPI_SECOND_NS);
    return ts;
}

/* A connection nobody uses, else the first one to be waited for; NULL when time runs out. */
static connection *enter(aicp_rate_store *store, uint64_t timeout_ns) {
    for (size_t i = 0; i < store->count; i++) {
        if (pthread_mutex_trylock(&store->connections[i].mutex) == 0) {
            return &store->connections[i];
        }
    }
    struct timespec until = wall_after(timeout_ns);
    connection *c = &store->connections[0];
    return pthread_mutex_timedlock(&c->mutex, &until) == 0 ? c : NULL;
}

/* ---- connections ---------------------------------------------------------------------------- */

static aicp_status open_connection(aicp_rate_store *store, connection *c, aicp_error *err) {
    aicpi_sql_options o = {.allocator = &store->allocator};
    aicp_status status = aicpi_sql_open(store->url, store->url_len, &o, &c->db, err);
    if (status == AICP_OK && aicpi_sql_engine(c->db) == AICPI_SQL_SQLITE) {
        status = aicpi_sql_exec(c->db, "PRAGMA synchronous = NORMAL", err);
    }
    return status;
}

static void make_node(aicp_rate_store *store) {
    aicpi_random(&store->node, sizeof store->node);
    atomic_store(&store->nodes, 1);
    aicpi_owner_set(&store->owner, getpid());
}

/* In the child of a fork the parent's connections must not be touched, and mutexes may have been
 * held by threads that do not exist here. */
static void leave_parent(aicp_rate_store *store) {
    if (!aicpi_owner_claim(&store->owner, getpid())) {
        return;
    }
    for (size_t i = 0; i < store->count; i++) {
        connection *c = &store->connections[i];
        aicpi_sql_abandon(c->db);
        c->db = NULL;
        pthread_mutex_init(&c->mutex, NULL);
    }
    make_node(store);
}

static aicp_status run_lease(aicp_rate_store *store, connection *c, lease *x, aicp_error *err) {
    aicp_status status = c->db ? AICP_OK : open_connection(store, c, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_clock clock = aicpi_clock(NULL);
    uint64_t deadline = aicpi_monotonic_ns(&clock) + minimum(x->q->timeout_ns, UINT64_MAX / 4);
    status = aicpi_sql_transact(c->db, deadline, lease_in_transaction, x, err);
    uint32_t calls = atomic_fetch_add_explicit(&store->calls, 1, memory_order_relaxed);
    if (status == AICP_OK && calls % CLEAN_EVERY == CLEAN_EVERY - 1) {
        /* Not this caller's affair: a failure shows again the next time. */
        (void)aicpi_sql_transact(c->db, deadline, clean_in_transaction, NULL, NULL);
    }
    return status;
}

aicp_status aicpi_rate_store_lease(
    aicp_rate_store *store,
    const aicpi_rate_node *node,
    const aicp_lease_request *q,
    aicp_lease_grant *grant,
    aicp_error *err) {
    if (!aicpi_owner_is(&store->owner, getpid())) {
        leave_parent(store);
    }
    aicpi_rate_node own = {store->node, aicpi_slice_of(store->name, store->name_len)};
    lease x = {.store = store, .node = node ? *node : own, .q = q};
    aicpi_sha256(q->key, q->key_len, x.key);
    connection *c = enter(store, q->timeout_ns);
    if (!c) {
        return aicpi_fail(err, AICP_ERR_TIMEOUT, "the rate store is in use and time ran out");
    }
    aicp_status status = run_lease(store, c, &x, err);
    pthread_mutex_unlock(&c->mutex);
    if (status == AICP_OK) {
        memcpy(grant, &x.g, minimum(grant->size, sizeof x.g));
    }
    return status;
}

static aicp_status
lease_call(void *user, const aicp_lease_request *q, aicp_lease_grant *grant, aicp_error *err) {
    return aicpi_rate_store_lease(user, NULL, q, grant, err);
}

aicp_lease_source aicpi_rate_store_source(aicp_rate_store *store) {
    return (aicp_lease_source){.user = store, .lease = lease_call};
}

/* SQLite: a file of its own beside the ledger's. */
static aicp_status set_url(aicp_rate_store *store, aicpi_slice url, aicp_error *err) {
    static const char FILE_SCHEME[] = "sqlite:///";
    size_t scheme = sizeof FILE_SCHEME - 1;
    bool file = url.len > scheme && memcmp(url.data, FILE_SCHEME, scheme) == 0;
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &store->allocator, 65536);
    aicpi_strbuf_append(&b, url.data, url.len);
    if (file) {
        aicpi_strbuf_puts(&b, "-rates");
    }
    if (!b.failed) {
        store->url = aicpi_strndup(&store->allocator, b.data, b.len);
        store->url_len = b.len;
    }
    aicpi_strbuf_deinit(&b);
    return store->url ? AICP_OK : aicpi_nomem(err);
}

static aicp_status open_store(aicp_rate_store *store, aicp_error *err) {
    connection *first = &store->connections[0];
    aicp_status status = open_connection(store, first, err);
    if (status == AICP_OK) {
        status =
            aicpi_sql_migrate(first->db, "rate_store", STEPS, sizeof STEPS / sizeof *STEPS, err);
    }
    if (status == AICP_OK && aicpi_sql_engine(first->db) == AICPI_SQL_POSTGRES) {
        store->count = POSTGRES_CONNECTIONS; /* the others are opened when needed */
    }
    return status;
}

aicp_status aicpi_rate_store_open(
    const char *url,
    size_t url_len,
    const char *node,
    size_t node_len,
    const aicp_allocator *allocator,
    aicp_rate_store **out,
    aicp_error *err) {
    *out = NULL;
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_rate_store *store = aicpi_calloc(&a, 1, sizeof *store);
    if (!store) {
        return aicpi_nomem(err);
    }
    store->allocator = a;
    store->count = 1;
    for (size_t i = 0; i < POSTGRES_CONNECTIONS; i++) {
        pthread_mutex_init(&store->connections[i].mutex, NULL);
    }
    make_node(store);
    aicp_status status = set_url(store, aicpi_slice_of(url, url_len), err);
    store->name = aicpi_strndup(&a, node ? node : "", node ? node_len : 0);
    store->name_len = node ? node_len : 0;
    if (status == AICP_OK && !store->name) {
        status = aicpi_nomem(err);
    }
    if (status == AICP_OK) {
        status = open_store(store, err);
    }
    if (status != AICP_OK) {
        aicp_rate_store_free(store);
        return status;
    }
    *out = store;
    return AICP_OK;
}

void aicp_rate_store_free(aicp_rate_store *store) {
    if (!store) {
        return;
    }
    bool own = aicpi_owner_is(&store->owner, getpid());
    for (size_t i = 0; i < POSTGRES_CONNECTIONS; i++) {
        connection *c = &store->connections[i];
        if (own) {
            aicpi_sql_free(c->db);
        } else if (c->db) {
            aicpi_sql_abandon(c->db);
        }
        pthread_mutex_destroy(&c->mutex);
    }
    aicp_allocator a = store->allocator;
    aicpi_free(&a, store->url);
    aicpi_free(&a, store->name);
    aicpi_free(&a, store);
}
