/* SQLite driver. */
#include "lib/sql/sql_internal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define SLEEP_FIRST_NS 100000u
#define SLEEP_MOST_NS 4000000u

static sqlite3 *handle_of(const aicpi_sql *db) {
    return (sqlite3 *)db->handle;
}

static aicp_status failed(aicpi_sql *db, int rc, const char *what, aicp_error *err) {
    sqlite3 *h = handle_of(db);
    const char *message = h ? sqlite3_errmsg(h) : sqlite3_errstr(rc);
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return aicpi_fail(err, AICP_ERR_STORE_BUSY, "SQLite is locked (%s): %s", message, what);
    case SQLITE_CONSTRAINT:
        return aicpi_fail(err, AICP_ERR_CONSTRAINT, "SQLite: %s: %s", message, what);
    case SQLITE_NOMEM:
        return aicpi_nomem(err);
    default:
        return aicpi_fail(
            err, AICP_ERR_STORE, "SQLite (%d): %s: %s", sqlite3_extended_errcode(h), message, what);
    }
}

/* Waits for another process' lock, a little longer each time, until the deadline. */
static int on_busy(void *user, int count) {
    aicpi_sql *db = user;
    uint64_t now = aicpi_sql_real_ns();
    /* A fork need not wait for what may be begun again afterwards. */
    if (now >= db->deadline || (db->beginning && aicpi_sql_fork_waits())) {
        return 0;
    }
    uint64_t wait = (uint64_t)SLEEP_FIRST_NS << (count < 6 ? count : 6);
    wait = wait < SLEEP_MOST_NS ? wait : SLEEP_MOST_NS;
    wait = wait / 2 + now % (wait / 2);
    uint64_t left = db->deadline - now;
    aicpi_sql_sleep(wait < left ? wait : left);
    return 1;
}

static aicp_status lite_exec(aicpi_sql *db, const char *script, aicp_error *err) {
    int rc = sqlite3_exec(handle_of(db), script, NULL, NULL, NULL);
    return rc == SQLITE_OK ? AICP_OK : failed(db, rc, script, err);
}

static aicp_status lite_begin(aicpi_sql *db, aicp_error *err) {
    return lite_exec(db, "BEGIN IMMEDIATE", err);
}

static aicp_status lite_commit(aicpi_sql *db, aicp_error *err) {
    return lite_exec(db, "COMMIT", err);
}

/* Switching to WAL needs the file for itself and does not ask the busy handler everywhere. */
static aicp_status use_wal(aicpi_sql *db, aicp_error *err) {
    for (;;) {
        aicp_status s = lite_exec(db, "PRAGMA journal_mode=WAL", err);
        if (s != AICP_ERR_STORE_BUSY || aicpi_sql_real_ns() >= db->deadline) {
            return s;
        }
        aicpi_sql_sleep(SLEEP_MOST_NS);
    }
}

static aicp_status lite_connect(aicpi_sql *db, aicp_error *err) {
    sqlite3 *h = NULL;
    if (aicpi_sql_fork_tore()) {
        return aicpi_fail(
            err,
            AICP_ERR_STATE,
            "SQLite: this process was forked while a transaction of its parent did not end;"
            " open the store in a process that was not: %s",
            db->url);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(db->url, &h, flags, NULL);
    db->handle = h;
    aicpi_sql_list(db);
    if (rc != SQLITE_OK) {
        return failed(db, rc, db->url, err);
    }
    sqlite3_extended_result_codes(h, 1);
    sqlite3_busy_handler(h, on_busy, db);
    aicp_status s = use_wal(db, err);
    if (s == AICP_OK) {
        s = lite_exec(db, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON", err);
    }
    return s;
}

static void lite_disconnect(aicpi_sql *db) {
    aicpi_sql_unlist(db);
    sqlite3_close_v2(handle_of(db));
    db->handle = NULL;
}

static void lite_abandon(aicpi_sql *db) {
    /* It is closed with all others that were inherited, when this process first uses SQLite. */
    db->connected = false;
}

/* SQLite counts connections and locks of a file for the whole process. Left open, the parent's
 * would make new connections here believe that this process holds locks that only the parent has.
 * File locks belong to a process, so closing does not undo the parent's; without the checkpoint it
 * writes nothing. */
void aicpi_sql_sqlite_leave(aicpi_sql *db) {
    sqlite3 *h = handle_of(db);
    for (size_t i = 0; i < db->stmts_count; i++) {
        sqlite3_finalize((sqlite3_stmt *)db->stmts[i]->engine);
        db->stmts[i]->engine = NULL;
        db->stmts[i]->generation = 0;
        db->stmts[i]->running = false;
    }
    (void)sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    (void)sqlite3_close_v2(h);
    db->handle = NULL;
    db->connected = false;
}

static aicp_status lite_prepare(aicpi_sql_stmt *q, aicp_error *err) {
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v3(handle_of(q->db), q->text, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
    if (rc != SQLITE_OK) {
        return failed(q->db, rc, q->text, err);
    }
    q->engine = s;
    return AICP_OK;
}

static void lite_finalize(aicpi_sql_stmt *q) {
    sqlite3_finalize((sqlite3_stmt *)q->engine);
    q->engine = NULL;
}

static int bind_one(sqlite3_stmt *s, int index, const aicpi_sql_value *v) {
    switch (v->kind) {
    case AICPI_SQL_I64:
        return sqlite3_bind_int64(s, index, v->i64);
    case AICPI_SQL_TEXT:
        return sqlite3_bind_text64(s, index, v->data, v->len, SQLITE_STATIC, SQLITE_UTF8);
    case AICPI_SQL_BLOB:
        return sqlite3_bind_blob64(s, index, v->data, v->len, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(s, index);
    }
}

static aicp_status lite_step(aicpi_sql_stmt *q, bool *row, aicp_error *err) {
    sqlite3_stmt *s = (sqlite3_stmt *)q->engine;
    int rc = SQLITE_OK;
    for (size_t i = 0; !q->running && i < q->params_count && rc == SQLITE_OK; i++) {
        rc = bind_one(s, (int)i + 1, &q->params[i]);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
    }
    if (rc == SQLITE_ROW) {
        *row = true;
        return AICP_OK;
    }
    aicp_status status = rc == SQLITE_DONE ? AICP_OK : failed(q->db, rc, q->text, err);
    q->db->changes = sqlite3_changes(handle_of(q->db));
    sqlite3_reset(s);
    return status;
}

static void lite_reset(aicpi_sql_stmt *q) {
    sqlite3_reset((sqlite3_stmt *)q->engine);
}

static int64_t lite_i64(aicpi_sql_stmt *q, int32_t column) {
    return sqlite3_column_int64((sqlite3_stmt *)q->engine, column);
}

static aicpi_slice lite_bytes(aicpi_sql_stmt *q, int32_t column, bool blob) {
    sqlite3_stmt *s = (sqlite3_stmt *)q->engine;
    const void *data = blob ? sqlite3_column_blob(s, column) : sqlite3_column_text(s, column);
    int n = sqlite3_column_bytes(s, column);
    return data && n > 0 ? aicpi_slice_of(data, (size_t)n) : aicpi_slice_of("", 0);
}

static bool lite_is_null(aicpi_sql_stmt *q, int32_t column) {
    return sqlite3_column_type((sqlite3_stmt *)q->engine, column) == SQLITE_NULL;
}

const aicpi_sql_driver aicpi_sql_sqlite = {
    .connect = lite_connect,
    .disconnect = lite_disconnect,
    .abandon = lite_abandon,
    .exec = lite_exec,
    .prepare = lite_prepare,
    .finalize = lite_finalize,
    .step = lite_step,
    .begin = lite_begin,
    .commit = lite_commit,
    .reset = lite_reset,
    .i64 = lite_i64,
    .bytes = lite_bytes,
    .is_null = lite_is_null,
};
