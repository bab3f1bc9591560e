/* Engine-independent part: URLs, statement cache, transactions with retry. */
#include "lib/sql/sql_internal.h"

#include "lib/base/clock.h"
#include "lib/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CONNECT_TIMEOUT_NS (5 * (uint64_t)AICPI_SECOND_NS)
#define BACKOFF_FIRST_NS 500000u
#define BACKOFF_MOST_NS 50000000u
#define ROLLBACK_NS (uint64_t) AICPI_SECOND_NS /* cleaning up may outlast the deadline a little */
#define URL_MAX 4096

uint64_t aicpi_sql_real_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * (uint64_t)AICPI_SECOND_NS + (uint64_t)t.tv_nsec;
}

int aicpi_sql_left_ms(const aicpi_sql *db) {
    uint64_t now = aicpi_sql_real_ns();
    if (now >= db->deadline) {
        return 0;
    }
    uint64_t ms = (db->deadline - now + 999999u) / 1000000u;
    return ms > 86400000u ? 86400000 : (int)ms;
}

void aicpi_sql_sleep(uint64_t ns) {
    struct timespec t = {
        (time_t)(ns / (uint64_t)AICPI_SECOND_NS), (long)(ns % (uint64_t)AICPI_SECOND_NS)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

/* End of the quoted text or comment that starts at `pos`, or `pos` when none does. */
static size_t skip_opaque(const char *text, size_t pos) {
    char c = text[pos];
    if (c == '\'' || c == '"') {
        size_t end = pos + 1;
        while (text[end] && text[end] != c) {
            end++;
        }
        return text[end] ? end + 1 : end;
    }
    if (c == '-' && text[pos + 1] == '-') {
        return pos + strcspn(text + pos, "\n");
    }
    return pos;
}

size_t aicpi_sql_next_param(const char *text, size_t pos) {
    while (text[pos]) {
        size_t end = skip_opaque(text, pos);
        if (end != pos) {
            pos = end;
        } else if (text[pos] == '?') {
            return pos;
        } else {
            pos++;
        }
    }
    return SIZE_MAX;
}

/* ---- opening ---- */

/* Copies the path of a SQLite URL with %XX decoded. */
static aicp_status sqlite_path(aicpi_sql *db, aicpi_slice path, aicp_error *err) {
    db->url = aicpi_alloc(&db->allocator, path.len + 1);
    if (!db->url) {
        return aicpi_nomem(err);
    }
    db->url_len = path.len + 1;
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.data[i];
        if (c == '%' && i + 2 < path.len && aicpi_hex_value(path.data[i + 1]) >= 0 &&
            aicpi_hex_value(path.data[i + 2]) >= 0) {
            c = (char)(aicpi_hex_value(path.data[i + 1]) * 16 + aicpi_hex_value(path.data[i + 2]));
            i += 2;
        }
        if (c == '\0') {
            return aicpi_fail(err, AICP_ERR_INVALID, "store URL has a NUL byte in its path");
        }
        db->url[n++] = c;
    }
    db->url[n] = '\0';
    return AICP_OK;
}

static bool starts_with(aicpi_slice s, const char *prefix) {
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.data, prefix, n) == 0;
}

static aicp_status read_url(aicpi_sql *db, aicpi_slice url, aicp_error *err) {
    if (!url.data || url.len == 0 || url.len > URL_MAX || memchr(url.data, '\0', url.len)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "store URL is empty, too long or has a NUL byte");
    }
    if (aicpi_slice_is(url, "sqlite::memory:")) {
        db->kind = AICPI_SQL_SQLITE;
        return sqlite_path(db, aicpi_slice_cstr(":memory:"), err);
    }
    if (starts_with(url, "sqlite:///") && url.len > strlen("sqlite:///")) {
        db->kind = AICPI_SQL_SQLITE;
        size_t skip = strlen("sqlite://");
        return sqlite_path(db, aicpi_slice_of(url.data + skip, url.len - skip), err);
    }
    if (starts_with(url, "postgresql://") || starts_with(url, "postgres://")) {
        db->kind = AICPI_SQL_POSTGRES;
        db->url = aicpi_strndup(&db->allocator, url.data, url.len);
        db->url_len = url.len + 1;
        return db->url ? AICP_OK : aicpi_nomem(err);
    }
    return aicpi_fail(
        err,
        AICP_ERR_INVALID,
        "store URL must be sqlite:///absolute/path, sqlite::memory: or postgresql://...");
}

/* Deadlines come in the time of the clock hook; waiting is done in real time. */
static void set_deadline(aicpi_sql *db, uint64_t deadline_ns) {
    uint64_t real = aicpi_sql_real_ns();
    uint64_t left = db->timeout_ns;
    if (deadline_ns != 0) {
        uint64_t now = aicpi_monotonic_ns(&db->clock);
        left = deadline_ns > now ? deadline_ns - now : 0;
    }
    db->deadline = left > UINT64_MAX - real ? UINT64_MAX : real + left;
}

static aicp_status reconnect(aicpi_sql *db, aicp_error *err) {
    if (db->connected && !db->broken) {
        return AICP_OK;
    }
    for (size_t i = 0; i < db->stmts_count; i++) {
        db->driver->finalize(db->stmts[i]);
        db->stmts[i]->generation = 0;
        if (db->stmts[i]->running) {
            db->stmts[i]->running = false;
            aicpi_sql_release(db);
        }
    }
    if (db->connected) {
        db->driver->disconnect(db);
        db->connected = false;
    }
    aicp_status s = db->driver->connect(db, err);
    if (s != AICP_OK) {
        db->driver->disconnect(db);
        return s;
    }
    db->connected = true;
    db->broken = false;
    db->under_way_count = 0;
    db->generation++;
    return AICP_OK;
}

aicp_status aicpi_sql_open(
    const char *url,
    size_t url_len,
    const aicpi_sql_options *options,
    aicpi_sql **out,
    aicp_error *err) {
    *out = NULL;
    aicp_allocator a = aicpi_allocator(options ? options->allocator : NULL);
    aicpi_sql *db = aicpi_calloc(&a, 1, sizeof *db);
    if (!db) {
        return aicpi_nomem(err);
    }
    db->allocator = a;
    db->clock_given = options && options->clock;
    db->clock = aicpi_clock(options ? options->clock : NULL);
    db->timeout_ns =
        options && options->connect_timeout_ns ? options->connect_timeout_ns : CONNECT_TIMEOUT_NS;
    aicp_status s = read_url(db, aicpi_slice_of(url, url_len), err);
    if (s == AICP_OK) {
        db->driver = db->kind == AICPI_SQL_SQLITE ? &aicpi_sql_sqlite : &aicpi_sql_postgres;
        set_deadline(db, 0);
        aicpi_sql_hold(db);
        s = reconnect(db, err);
        aicpi_sql_release(db);
    }
    if (s != AICP_OK) {
        aicpi_sql_free(db);
        return s;
    }
    *out = db;
    return AICP_OK;
}

static void free_stmts(aicpi_sql *db) {
    for (size_t i = 0; i < db->stmts_count; i++) {
        db->driver->finalize(db->stmts[i]);
        aicpi_free(&db->allocator, db->stmts[i]->params);
        aicpi_free(&db->allocator, db->stmts[i]);
    }
    aicpi_free(&db->allocator, (void *)db->stmts);
}

void aicpi_sql_free(aicpi_sql *db) {
    if (!db) {
        return;
    }
    aicpi_sql_hold(db);
    free_stmts(db);
    if (db->connected) {
        db->driver->disconnect(db);
    }
    db->holds = 1; /* rows that were not read to the end */
    aicpi_sql_release(db);
    aicp_allocator a = db->allocator;
    aicpi_free(&a, db->url);
    aicpi_free(&a, db);
}

void aicpi_sql_abandon(aicpi_sql *db) {
    if (db && db->connected) {
        db->driver->abandon(db);
    }
}

aicpi_sql_kind aicpi_sql_engine(const aicpi_sql *db) {
    return db->kind;
}

/* ---- statements ---- */

aicp_status aicpi_sql_exec(aicpi_sql *db, const char *script, aicp_error *err) {
    if (db->in_transaction) {
        return db->driver->exec(db, script, err);
    }
    set_deadline(db, 0);
    aicpi_sql_hold(db);
    aicp_status s = reconnect(db, err);
    s = s == AICP_OK ? db->driver->exec(db, script, err) : s;
    aicpi_sql_release(db);
    return s;
}

static aicpi_sql_stmt *find_stmt(aicpi_sql *db, const char *text) {
    for (size_t i = 0; i < db->stmts_count; i++) {
        if (db->stmts[i]->text == text) {
            return db->stmts[i];
        }
    }
    return NULL;
}

static aicpi_sql_stmt *add_stmt(aicpi_sql *db, const char *text) {
    if (!aicpi_grow(
            &db->allocator,
            (void **)&db->stmts,
            &db->stmts_capacity,
            db->stmts_count,
            sizeof *db->stmts)) {
        return NULL;
    }
    aicpi_sql_stmt *q = aicpi_calloc(&db->allocator, 1, sizeof *q);
    if (!q) {
        return NULL;
    }
    q->db = db;
    q->text = text;
    for (size_t p = 0; (p = aicpi_sql_next_param(text, p)) != SIZE_MAX; p++) {
        q->params_count++;
    }
    if (q->params_count > 0) {
        q->params = aicpi_calloc(&db->allocator, q->params_count, sizeof *q->params);
        if (!q->params) {
            aicpi_free(&db->allocator, q);
            return NULL;
        }
    }
    db->stmts[db->stmts_count++] = q;
    return q;
}

aicp_status
aicpi_sql_prepare(aicpi_sql *db, const char *text, aicpi_sql_stmt **out, aicp_error *err) {
    *out = NULL;
    aicpi_sql_hold(db); /* the list of statements must be whole in a child */
    aicpi_sql_stmt *q = find_stmt(db, text);
    q = q ? q : add_stmt(db, text);
    aicpi_sql_release(db);
    if (!q) {
        return aicpi_nomem(err);
    }
    aicpi_sql_reset(q);
    q->bad_bind = false;
    for (size_t i = 0; i < q->params_count; i++) {
        q->params[i] = (aicpi_sql_value){AICPI_SQL_NULL, 0, NULL, 0};
    }
    *out = q;
    return AICP_OK;
}

static void bind(aicpi_sql_stmt *q, int32_t index, aicpi_sql_value value) {
    if (index < 1 || (size_t)index > q->params_count || q->running) {
        q->bad_bind = true;
        return;
    }
    q->params[index - 1] = value;
}

void aicpi_sql_bind_i64(aicpi_sql_stmt *q, int32_t index, int64_t value) {
    bind(q, index, (aicpi_sql_value){AICPI_SQL_I64, value, NULL, 0});
}

void aicpi_sql_bind_text(aicpi_sql_stmt *q, int32_t index, const char *data, size_t len) {
    bind(q, index, (aicpi_sql_value){AICPI_SQL_TEXT, 0, data ? data : "", data ? len : 0});
}

void aicpi_sql_bind_blob(aicpi_sql_stmt *q, int32_t index, const void *data, size_t len) {
    bind(q, index, (aicpi_sql_value){AICPI_SQL_BLOB, 0, data ? data : "", data ? len : 0});
}

void aicpi_sql_bind_null(aicpi_sql_stmt *q, int32_t index) {
    bind(q, index, (aicpi_sql_value){AICPI_SQL_NULL, 0, NULL, 0});
}

/* A connection, and the statement prepared on it. */
static aicp_status make_ready(aicpi_sql_stmt *q, aicp_error *err) {
    aicpi_sql *db = q->db;
    aicp_status s = AICP_OK;
    if (!db->in_transaction && !q->running) {
        set_deadline(db, 0);
        s = reconnect(db, err);
    } else if (!db->connected || db->broken) {
        s = aicpi_fail(err, AICP_ERR_STORE, "no connection to the store");
    }
    if (s != AICP_OK) {
        return s;
    }
    if (q->generation != db->generation) {
        s = db->driver->prepare(q, err);
        if (s == AICP_OK) {
            q->generation = db->generation;
        }
    }
    return s;
}

static aicp_status bad_parameter(const aicpi_sql_stmt *q, aicp_error *err) {
    return aicpi_fail(err, AICP_ERR_INVALID, "parameter outside of the statement: %s", q->text);
}

static aicp_status step_once(aicpi_sql_stmt *q, bool *row, aicp_error *err) {
    aicp_status s = make_ready(q, err);
    return s == AICP_OK ? q->db->driver->step(q, row, err) : s;
}

/* A query on its own that finds its connection lost, as all do once after a restart of the store,
 * is asked again on a new one: it changes nothing. */
static aicp_status step(aicpi_sql_stmt *q, bool *row, aicp_error *err) {
    aicpi_sql *db = q->db;
    bool may_repeat = !db->in_transaction && !q->running && db->connected && !db->broken &&
                      strncmp(q->text, "SELECT ", 7) == 0;
    aicp_status s = step_once(q, row, err);
    if (s != AICP_OK && may_repeat && db->broken && aicpi_sql_real_ns() < db->deadline) {
        s = step_once(q, row, err);
    }
    return s;
}

aicp_status aicpi_sql_step(aicpi_sql_stmt *q, bool *row, aicp_error *err) {
    *row = false;
    if (q->bad_bind) {
        return bad_parameter(q, err);
    }
    if (!q->running) {
        aicpi_sql_hold(q->db); /* until the end or the reset */
    }
    aicp_status s = step(q, row, err);
    q->running = s == AICP_OK && *row;
    if (!q->running) {
        aicpi_sql_release(q->db);
    }
    return s;
}

aicp_status aicpi_sql_run(aicpi_sql_stmt *q, aicp_error *err) {
    bool row = true;
    aicp_status s = AICP_OK;
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
    }
    return s;
}

aicp_status aicpi_sql_run_later(aicpi_sql_stmt *q, aicp_error *err) {
    const aicpi_sql *db = q->db;
    if (!db->driver->later || !db->in_transaction || q->running) {
        return aicpi_sql_run(q, err);
    }
    if (q->bad_bind) {
        return bad_parameter(q, err);
    }
    aicp_status s = make_ready(q, err);
    return s == AICP_OK ? db->driver->later(q, err) : s;
}

void aicpi_sql_reset(aicpi_sql_stmt *q) {
    if (q->running) {
        q->db->driver->reset(q);
        q->running = false;
        aicpi_sql_release(q->db);
    }
}

int64_t aicpi_sql_i64(aicpi_sql_stmt *q, int32_t column) {
    return q->running ? q->db->driver->i64(q, column) : 0;
}

aicpi_slice aicpi_sql_text(aicpi_sql_stmt *q, int32_t column) {
    return q->running ? q->db->driver->bytes(q, column, false) : aicpi_slice_of("", 0);
}

aicpi_slice aicpi_sql_blob(aicpi_sql_stmt *q, int32_t column) {
    return q->running ? q->db->driver->bytes(q, column, true) : aicpi_slice_of("", 0);
}

bool aicpi_sql_is_null(aicpi_sql_stmt *q, int32_t column) {
    return !q->running || q->db->driver->is_null(q, column);
}

int64_t aicpi_sql_changes(const aicpi_sql *db) {
    return db->changes;
}

/* ---- transactions ---- */

static void reset_all(aicpi_sql *db) {
    for (size_t i = 0; i < db->stmts_count; i++) {
        aicpi_sql_reset(db->stmts[i]);
    }
}

static aicp_status attempt(aicpi_sql *db, aicpi_sql_fn fn, void *user, aicp_error *err) {
    aicp_status s = reconnect(db, err);
    if (s == AICP_OK) {
        db->beginning = true;
        s = db->driver->begin(db, err);
        db->beginning = false;
    }
    if (s != AICP_OK) {
        return s;
    }
    db->in_transaction = true;
    s = fn(db, user, err);
    db->in_transaction = false;
    reset_all(db);
    if (s == AICP_OK) {
        s = db->driver->commit(db, err);
        db->commit_unknown = s != AICP_OK && db->broken;
        if (s == AICP_OK) {
            return s;
        }
    }
    uint64_t grace = aicpi_sql_real_ns() + ROLLBACK_NS;
    db->deadline = db->deadline > grace ? db->deadline : grace;
    if (!db->broken && db->driver->exec(db, "ROLLBACK", NULL) != AICP_OK) {
        db->broken = true; /* whatever state it is in, a new connection has none */
    }
    return s;
}

aicp_status aicpi_sql_transact(
    aicpi_sql *db, uint64_t deadline_ns, aicpi_sql_fn fn, void *user, aicp_error *err) {
    set_deadline(db, deadline_ns);
    db->commit_unknown = false;
    uint64_t deadline = db->deadline;
    uint64_t backoff = BACKOFF_FIRST_NS;
    for (;;) {
        db->deadline = deadline;
        aicpi_sql_hold(db);
        aicp_status s = attempt(db, fn, user, err);
        aicpi_sql_release(db);
        bool lost = s != AICP_OK && (db->broken || !db->connected);
        if (s == AICP_OK || db->commit_unknown || (s != AICP_ERR_STORE_BUSY && !lost)) {
            return s;
        }
        uint64_t now = aicpi_sql_real_ns();
        if (now >= deadline || deadline - now < backoff) {
            return s;
        }
        /* Spread out those that collided: between half and all of the step. */
        aicpi_sql_sleep(backoff / 2 + now % (backoff / 2));
        backoff = backoff * 2 < BACKOFF_MOST_NS ? backoff * 2 : BACKOFF_MOST_NS;
    }
}

bool aicpi_sql_commit_unknown(const aicpi_sql *db) {
    return db->commit_unknown;
}

aicp_status aicpi_sql_now(aicpi_sql *db, int64_t *wall_ns, aicp_error *err) {
    if (db->kind == AICPI_SQL_SQLITE || db->clock_given) {
        *wall_ns = aicpi_wall_ns(&db->clock);
        return AICP_OK;
    }
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        db, "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)", &q, err);
    if (s == AICP_OK) {
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        *wall_ns = aicpi_sql_i64(q, 0) * 1000;
        aicpi_sql_reset(q);
    }
    return s;
}
