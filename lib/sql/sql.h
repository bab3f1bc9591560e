/* One small SQL interface over SQLite and PostgreSQL. Internal; the only place that knows their
 * client libraries is lib/sql.
 *
 * A connection is confined: one thread at a time. The same SQL text serves both engines where
 * possible: parameters are `?` (counted from 1), `INSERT ... ON CONFLICT`, `RETURNING` and CTEs
 * work on both; use BIGINT, TEXT and BLOB (written `AICPI_BLOB` in migrations, see
 * aicpi_sql_migrate).
 *
 * Writing rows that other processes write too, e.g. a GCRA row of a shared rate limit:
 *
 *     static aicp_status take(aicpi_sql *db, void *user, aicp_error *err) {
 *         // the row is locked until commit on both engines
 *         aicpi_sql_stmt *q = NULL;
 *         aicp_status s = aicpi_sql_prepare(db, aicpi_sql_engine(db) == AICPI_SQL_POSTGRES
 *             ? "SELECT tat FROM limits WHERE k = ? FOR UPDATE"
 *             : "SELECT tat FROM limits WHERE k = ?", &q, err);
 *         ...
 *     }
 *     s = aicpi_sql_transact(db, deadline_ns, take, &context, err);
 */
#ifndef AICPI_SQL_SQL_H
#define AICPI_SQL_SQL_H

#include "lib/base/alloc.h"
#include "lib/base/slice.h"

#include "aicp/base.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct aicpi_sql aicpi_sql;
typedef struct aicpi_sql_stmt aicpi_sql_stmt;

typedef enum aicpi_sql_kind { AICPI_SQL_SQLITE = 1, AICPI_SQL_POSTGRES = 2 } aicpi_sql_kind;

typedef struct aicpi_sql_options {
    const aicp_allocator *allocator; /* NULL = C library */
    const aicp_clock *clock; /* deadlines, and time for SQLite; when given also for PostgreSQL */
    uint64_t connect_timeout_ns; /* 0 = 5 s; also the time to wait for a lock without deadline */
} aicpi_sql_options;

/* `sqlite:///absolute/path` (made when missing: WAL, synchronous FULL, foreign keys on),
 * `sqlite::memory:`, `postgresql://...` or `postgres://...` (any libpq URI). `options` may be NULL.
 * ERR_INVALID for another URL, ERR_STORE when it cannot be opened. Messages never show a password.
 */
aicp_status aicpi_sql_open(
    const char *url,
    size_t url_len,
    const aicpi_sql_options *options,
    aicpi_sql **out,
    aicp_error *err);
void aicpi_sql_free(aicpi_sql *db); /* NULL is fine; frees its statements too */
/* For the child of a fork: drops the connection without touching the parent's session or file. The
 * memory cannot be given back and must stay reachable; use `db` no more.
 *
 * What a fork may count on. SQLite: fork() waits until no thread is inside a transaction or between
 * the first step and the end (or reset) of a statement, so read rows to the end or reset, in the
 * thread that stepped. In the child all inherited connections are closed at the first use of any;
 * the parent's go on. fork() waits at most 10 s, and not at all in a thread that itself is inside
 * (a hook called in a transaction); a child that was made so gets ERR_STATE for every SQLite store,
 * as SQLite's own locks may be held for ever there. PostgreSQL: fork() waits only for the steps of
 * connecting. Statements under way go on in the parent. Children made without fork handlers
 * (vfork, _Fork, clone) must not use this module. Threads of the program that use SQLite on their
 * own are not waited for. */
void aicpi_sql_abandon(aicpi_sql *db);
aicpi_sql_kind aicpi_sql_engine(const aicpi_sql *db);
/* Runs a script of several statements without parameters. */
aicp_status aicpi_sql_exec(aicpi_sql *db, const char *script, aicp_error *err);
/* The statement for this text: prepared once per connection, kept by `db` (do not free), reset and
 * without bindings. `text` must stay valid and unchanged as long as `db` (a literal). One use of a
 * text at a time. After a reconnect it is prepared again by itself. */
aicp_status
aicpi_sql_prepare(aicpi_sql *db, const char *text, aicpi_sql_stmt **out, aicp_error *err);

/* Parameters from 1. Bytes are borrowed until the next step or reset. Errors (bad index) come out
 * of the step. */
void aicpi_sql_bind_i64(aicpi_sql_stmt *q, int32_t index, int64_t value);
void aicpi_sql_bind_text(aicpi_sql_stmt *q, int32_t index, const char *data, size_t len);
void aicpi_sql_bind_blob(aicpi_sql_stmt *q, int32_t index, const void *data, size_t len);
void aicpi_sql_bind_null(aicpi_sql_stmt *q, int32_t index);

/* Next row (*row true) or end (*row false). The first step runs the statement. After end or error
 * it is reset; bindings are kept until the next prepare. ERR_STORE_BUSY: locked or serialization
 * failure, the transaction must be repeated. ERR_CONSTRAINT. ERR_STORE: all else. ERR_TIMEOUT: the
 * deadline of the transaction passed. */
aicp_status aicpi_sql_step(aicpi_sql_stmt *q, bool *row, aicp_error *err);
/* Steps to the end, for statements whose rows do not matter. */
aicp_status aicpi_sql_run(aicpi_sql_stmt *q, aicp_error *err);
/* The same for a statement of which the transaction at hand need not know before its next one: it
 * travels together with that one, or with the commit, which then gives its error. Its changes are
 * not counted. Outside of a transaction, and where no server is far, it is aicpi_sql_run. Not for
 * all statements of a transaction: only an answer before the commit tells a connection found dead
 * from one that broke during it. */
aicp_status aicpi_sql_run_later(aicpi_sql_stmt *q, aicp_error *err);
void aicpi_sql_reset(aicpi_sql_stmt *q);
/* Columns from 0, of the row at hand; views live until the next step or reset. NULL reads as 0 or
 * empty. */
int64_t aicpi_sql_i64(aicpi_sql_stmt *q, int32_t column);
aicpi_slice aicpi_sql_text(aicpi_sql_stmt *q, int32_t column);
aicpi_slice aicpi_sql_blob(aicpi_sql_stmt *q, int32_t column);
bool aicpi_sql_is_null(aicpi_sql_stmt *q, int32_t column);
/* Rows changed by the last statement that ended. */
int64_t aicpi_sql_changes(const aicpi_sql *db);

/* Runs `fn` in a transaction (SQLite: BEGIN IMMEDIATE; PostgreSQL: READ COMMITTED) and commits when
 * it gives AICP_OK, else rolls back and returns its status. ERR_STORE_BUSY from fn, a statement or
 * the commit: waits a little and repeats, so `fn` must start from scratch each time. A connection
 * found dead is opened again and `fn` repeated, unless it broke during commit: then ERR_STORE and
 * aicpi_sql_commit_unknown() is true (look whether it happened). All within `deadline_ns`, absolute
 * monotonic; 0 = now + connect_timeout. Not nestable. */
typedef aicp_status (*aicpi_sql_fn)(aicpi_sql *db, void *user, aicp_error *err);
aicp_status aicpi_sql_transact(
    aicpi_sql *db, uint64_t deadline_ns, aicpi_sql_fn fn, void *user, aicp_error *err);
bool aicpi_sql_commit_unknown(const aicpi_sql *db);

/* Wall time of the store: PostgreSQL's clock_timestamp() unless a clock hook was given, else the
 * clock. */
aicp_status aicpi_sql_now(aicpi_sql *db, int64_t *wall_ns, aicp_error *err);

/* Forward-only migrations of one component: steps[i] brings it from version i to i + 1, as a script
 * without parameters in which AICPI_BLOB stands for the engine's byte type. Each runs once, in a
 * transaction, also when many processes start at once. ERR_STATE when the store is newer than
 * `count`, or when a step is not the one that ran there. */
aicp_status aicpi_sql_migrate(
    aicpi_sql *db, const char *component, const char *const *steps, size_t count, aicp_error *err);

#endif
