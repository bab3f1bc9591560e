/* What the two engines share: the connection, its statements, and the table of driver functions. */
#ifndef AICPI_SQL_INTERNAL_H
#define AICPI_SQL_INTERNAL_H

#include "lib/sql/sql.h"

#include "lib/base/error.h"

typedef enum aicpi_sql_value_kind {
    AICPI_SQL_NULL = 0,
    AICPI_SQL_I64,
    AICPI_SQL_TEXT,
    AICPI_SQL_BLOB,
} aicpi_sql_value_kind;

typedef struct aicpi_sql_value {
    aicpi_sql_value_kind kind;
    int64_t i64;
    const char *data;
    size_t len;
} aicpi_sql_value;

struct aicpi_sql_stmt {
    aicpi_sql *db;
    const char *text;
    uint64_t generation; /* of the connection it was prepared on; 0 = not prepared */
    aicpi_sql_value *params;
    size_t params_count;
    bool bad_bind; /* an index outside 1..params_count was bound */
    bool running;
    void *engine; /* sqlite3_stmt or the PostgreSQL driver's state */
};

typedef struct aicpi_sql_driver {
    aicp_status (*connect)(aicpi_sql *db, aicp_error *err);
    void (*disconnect)(aicpi_sql *db);
    void (*abandon)(aicpi_sql *db);
    aicp_status (*exec)(aicpi_sql *db, const char *script, aicp_error *err);
    aicp_status (*prepare)(aicpi_sql_stmt *q, aicp_error *err);
    void (*finalize)(aicpi_sql_stmt *q); /* also with the connection gone */
    aicp_status (*step)(aicpi_sql_stmt *q, bool *row, aicp_error *err);
    aicp_status (*later)(aicpi_sql_stmt *q, aicp_error *err); /* NULL: a statement is no journey */
    aicp_status (*begin)(aicpi_sql *db, aicp_error *err);     /* may wait for the next statement */
    aicp_status (*commit)(aicpi_sql *db, aicp_error *err);
    void (*reset)(aicpi_sql_stmt *q);
    int64_t (*i64)(aicpi_sql_stmt *q, int32_t column);
    aicpi_slice (*bytes)(aicpi_sql_stmt *q, int32_t column, bool blob);
    bool (*is_null)(aicpi_sql_stmt *q, int32_t column);
} aicpi_sql_driver;

#define AICPI_SQL_UNDER_WAY 16 /* statements at once */

struct aicpi_sql {
    aicp_allocator allocator;
    aicp_clock clock;
    bool clock_given;
    bool connected;
    bool broken; /* the connection was lost; the next transaction opens another */
    bool commit_unknown;
    bool in_transaction;
    bool beginning; /* the statement at hand begins a transaction that is repeated when busy */
    aicpi_sql_kind kind;
    const aicpi_sql_driver *driver;
    uint64_t timeout_ns;
    uint64_t deadline; /* of the call at hand, in system monotonic time */
    uint64_t generation;
    int64_t changes;
    const char *under_way[AICPI_SQL_UNDER_WAY]; /* sent, or to be sent, and not answered yet */
    size_t under_way_count;
    char *url; /* for SQLite the file's path */
    size_t url_len;
    void *handle;    /* sqlite3 or PGconn */
    size_t holds;    /* reasons why a fork must wait for this connection */
    aicpi_sql *next; /* in the list of SQLite connections */
    bool listed;
    aicpi_sql_stmt **stmts;
    size_t stmts_count;
    size_t stmts_capacity;
};

extern const aicpi_sql_driver aicpi_sql_sqlite;
extern const aicpi_sql_driver aicpi_sql_postgres;

/* ---- forks ---- */

/* Between enter and leave no other thread's fork happens (short of 10 s). An inner entry of a
 * thread never waits. `hold` and `release` are the same for one SQLite connection, counted; around
 * every use of it, from a statement's first step to its end, and around a whole transaction. */
void aicpi_sql_enter(void);
void aicpi_sql_leave(void);
void aicpi_sql_hold(aicpi_sql *db);
void aicpi_sql_release(aicpi_sql *db);
/* Which SQLite connections a child must close. */
void aicpi_sql_list(aicpi_sql *db);
void aicpi_sql_unlist(aicpi_sql *db);
/* In the child of a fork: closes the connection that was idle at the fork; the parent's locks and
 * log stay as they are. */
void aicpi_sql_sqlite_leave(aicpi_sql *db);
bool aicpi_sql_fork_waits(void);
/* The fork did not find the connections idle: SQLite cannot be used in this process. */
bool aicpi_sql_fork_tore(void);

/* System monotonic time: waiting happens in real time also when a clock hook owns deadlines. */
uint64_t aicpi_sql_real_ns(void);
/* What is left until the deadline of the call at hand, in milliseconds rounded up. */
int aicpi_sql_left_ms(const aicpi_sql *db);
void aicpi_sql_sleep(uint64_t ns);
/* Walks over SQL text: offset of the next `?` outside of literals and comments at or after `pos`,
 * or SIZE_MAX. */
size_t aicpi_sql_next_param(const char *text, size_t pos);

#endif
