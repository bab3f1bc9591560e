/* PostgreSQL driver over libpq's asynchronous calls, so that every wait has a deadline. */
#include "lib/sql/sql_internal.h"

#include "lib/base/strbuf.h"
#include "lib/base/text.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBER_SIZE 24
#define TEXT_MAX ((size_t)1 << 20)

/* The state of one statement. */
typedef struct pg_stmt {
    PGresult *result;
    int row;
    char name[32];
    const char **values; /* params_count each */
    int *lengths;
    int *formats;
    char *numbers;       /* NUMBER_SIZE bytes a parameter */
    unsigned char *blob; /* the last blob column that was read, decoded */
    size_t blob_size;
} pg_stmt;

static PGconn *conn_of(const aicpi_sql *db) {
    return (PGconn *)db->handle;
}

static void drop_notice(void *user, const char *message) {
    (void)user;
    (void)message;
}

/* The first line of libpq's message, which never holds the password. */
static int first_line(const char *message) {
    return (int)strcspn(message, "\n");
}

static aicp_status lost(aicpi_sql *db, const char *what, aicp_error *err) {
    db->broken = true;
    const char *m = PQerrorMessage(conn_of(db));
    return aicpi_fail(err, AICP_ERR_STORE, "PostgreSQL: %.*s (%s)", first_line(m), m, what);
}

static aicp_status timed_out(aicpi_sql *db, const char *what, aicp_error *err) {
    char ignored[64];
    PGcancel *cancel = PQgetCancel(conn_of(db));
    if (cancel) {
        (void)PQcancel(cancel, ignored, (int)sizeof ignored);
        PQfreeCancel(cancel);
    }
    db->broken = true; /* an answer may still be on its way: start over on a new connection */
    return aicpi_fail(err, AICP_ERR_TIMEOUT, "PostgreSQL did not answer in time: %s", what);
}

/* Waits until the socket can be read (or written). False: the deadline passed. */
static bool wait_socket(aicpi_sql *db, bool write) {
    struct pollfd p = {PQsocket(conn_of(db)), write ? POLLOUT : POLLIN, 0};
    int left = aicpi_sql_left_ms(db);
    return left > 0 && poll(&p, 1, left) > 0;
}

/* ---- connection ---- */

static aicp_status pg_connect(aicpi_sql *db, aicp_error *err) {
    /* TLS is set up under locks of the whole process: not while another thread forks. */
    aicpi_sql_enter();
    PGconn *c = PQconnectStart(db->url);
    aicpi_sql_leave();
    db->handle = c;
    if (!c) {
        return aicpi_nomem(err);
    }
    PQsetNoticeProcessor(c, drop_notice, NULL);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (PQstatus(c) != CONNECTION_BAD && state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) {
            break;
        }
        if (!wait_socket(db, state == PGRES_POLLING_WRITING)) {
            return aicpi_fail(err, AICP_ERR_STORE, "PostgreSQL: no connection in time");
        }
        aicpi_sql_enter();
        state = PQconnectPoll(c);
        aicpi_sql_leave();
    }
    if (PQstatus(c) != CONNECTION_OK) {
        const char *m = PQerrorMessage(c);
        return aicpi_fail(err, AICP_ERR_STORE, "PostgreSQL: %.*s", first_line(m), m);
    }
    if (PQsetnonblocking(c, 1) != 0) {
        return lost(db, "nonblocking mode", err);
    }
    return AICP_OK;
}

static void pg_disconnect(aicpi_sql *db) {
    PQfinish(conn_of(db));
    db->handle = NULL;
}

static void pg_abandon(aicpi_sql *db) {
    /* PQfinish would end the parent's session; closing our copy of the socket does not. */
    int fd = PQsocket(conn_of(db));
    if (fd >= 0) {
        (void)close(fd);
    }
    db->connected = false;
}

/* ---- results ---- */

static aicp_status result_status(aicpi_sql *db, PGresult *r, const char *what, aicp_error *err) {
    ExecStatusType t = PQresultStatus(r);
    if (t == PGRES_COMMAND_OK || t == PGRES_TUPLES_OK || t == PGRES_EMPTY_QUERY) {
        return AICP_OK;
    }
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *m = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    state = state ? state : "";
    m = m ? m : PQresultErrorMessage(r);
    aicp_status s = AICP_ERR_STORE;
    if (!strcmp(state, "40001") || !strcmp(state, "40P01") || !strcmp(state, "55P03")) {
        s = AICP_ERR_STORE_BUSY;
    } else if (!strncmp(state, "23", 2)) {
        s = AICP_ERR_CONSTRAINT;
    }
    if (PQstatus(conn_of(db)) != CONNECTION_OK || !strncmp(state, "57P", 3)) {
        db->broken = true;
    }
    return aicpi_fail(err, s, "PostgreSQL (%s): %.*s: %s", state, first_line(m), m, what);
}

/* Waits for one result; NULL at the end of the command. */
static aicp_status next_result(aicpi_sql *db, const char *what, PGresult **out, aicp_error *err) {
    PGconn *c = conn_of(db);
    *out = NULL;
    int flush;
    while ((flush = PQflush(c)) == 1) {
        if (!wait_socket(db, true)) {
            return timed_out(db, what, err);
        }
        if (!PQconsumeInput(c)) {
            return lost(db, what, err);
        }
    }
    if (flush < 0) {
        return lost(db, what, err);
    }
    while (PQisBusy(c)) {
        if (!wait_socket(db, false)) {
            return timed_out(db, what, err);
        }
        if (!PQconsumeInput(c)) {
            return lost(db, what, err);
        }
    }
    *out = PQgetResult(c);
    return AICP_OK;
}

/* Collects the results of what was just sent: the first failure, else the last result. */
static aicp_status collect(aicpi_sql *db, const char *what, PGresult **out, aicp_error *err) {
    aicp_status status = AICP_OK;
    PGresult *last = NULL;
    for (;;) {
        PGresult *r = NULL;
        aicp_status s = next_result(db, what, &r, err);
        if (s != AICP_OK) {
            PQclear(last);
            return s;
        }
        if (!r) {
            break;
        }
        if (status == AICP_OK) {
            status = result_status(db, r, what, err);
        }
        PQclear(last);
        last = r;
    }
    if (status == AICP_OK && last && out) {
        *out = last;
    } else {
        PQclear(last);
    }
    return status;
}

/* ---- transactions ---- */

/* In a transaction the connection is in libpq's pipeline mode: what is sent waits in memory until
 * somebody needs an answer, so that BEGIN travels with the first statement and COMMIT with what was
 * run_later. After an error the server skips all that was sent up to the next synchronisation,
 * COMMIT too. */
static bool in_pipeline(const aicpi_sql *db) {
    return PQpipelineStatus(conn_of(db)) != PQ_PIPELINE_OFF;
}

/* Sends all that is under way and waits for its answers: the first failure, else the last result.
 */
static aicp_status synchronise(aicpi_sql *db, PGresult **out, aicp_error *err) {
    aicp_status status = AICP_OK;
    size_t count = db->under_way_count;
    db->under_way_count = 0;
    if (!PQpipelineSync(conn_of(db))) {
        return lost(db, "synchronisation", err);
    }
    for (size_t i = 0; i < count; i++) {
        bool failed = status != AICP_OK;
        PGresult **last = !failed && i + 1 == count ? out : NULL;
        aicp_status s = collect(db, db->under_way[i], last, failed ? NULL : err);
        if (db->broken) {
            return s;
        }
        status = failed ? status : s;
    }
    PGresult *end = NULL;
    aicp_status s = next_result(db, "synchronisation", &end, err);
    if (s == AICP_OK && PQresultStatus(end) != PGRES_PIPELINE_SYNC) {
        s = lost(db, "synchronisation", err);
    }
    PQclear(end);
    return s == AICP_OK ? status : s;
}

/* After something was put into the pipeline. */
static aicp_status note_under_way(aicpi_sql *db, const char *what, aicp_error *err) {
    db->under_way[db->under_way_count++] = what;
    return db->under_way_count < AICPI_SQL_UNDER_WAY ? AICP_OK : synchronise(db, NULL, err);
}

/* The answer to what was just sent. */
static aicp_status answer_of(aicpi_sql *db, const char *what, PGresult **out, aicp_error *err) {
    if (!in_pipeline(db)) {
        return collect(db, what, out, err);
    }
    db->under_way[db->under_way_count++] = what;
    return synchronise(db, out, err);
}

/* Several statements of a script cannot travel in a pipeline: what follows in the transaction goes
 * one by one. */
static aicp_status pg_exec(aicpi_sql *db, const char *script, aicp_error *err) {
    PGconn *c = conn_of(db);
    if (in_pipeline(db)) {
        aicp_status s = db->under_way_count > 0 ? synchronise(db, NULL, err) : AICP_OK;
        if (s != AICP_OK) {
            return s;
        }
        if (!PQexitPipelineMode(c)) {
            return lost(db, script, err);
        }
    }
    return PQsendQuery(c, script) ? collect(db, script, NULL, err) : lost(db, script, err);
}

static aicp_status pg_begin(aicpi_sql *db, aicp_error *err) {
    PGconn *c = conn_of(db);
    if (!PQenterPipelineMode(c) || !PQsendQueryParams(c, "BEGIN", 0, NULL, NULL, NULL, NULL, 0)) {
        return lost(db, "BEGIN", err);
    }
    return note_under_way(db, "BEGIN", err);
}

static aicp_status pg_commit(aicpi_sql *db, aicp_error *err) {
    PGconn *c = conn_of(db);
    PGresult *end = NULL;
    if (!PQsendQueryParams(c, "COMMIT", 0, NULL, NULL, NULL, NULL, 0)) {
        return lost(db, "COMMIT", err);
    }
    aicp_status s = answer_of(db, "COMMIT", &end, err);
    if (s == AICP_OK && end && strcmp(PQcmdStatus(end), "COMMIT") != 0) {
        s = aicpi_fail(err, AICP_ERR_STORE, "PostgreSQL: a statement of the transaction failed");
    }
    PQclear(end);
    if (!db->broken && !PQexitPipelineMode(c)) { /* fine outside of it, too */
        s = lost(db, "COMMIT", err);
    }
    return s;
}

/* ---- statements ---- */

static void pg_finalize(aicpi_sql_stmt *q) {
    pg_stmt *p = q->engine;
    if (!p) {
        return;
    }
    const aicp_allocator *a = &q->db->allocator;
    PQclear(p->result);
    PQfreemem(p->blob);
    aicpi_free(a, (void *)p->values);
    aicpi_free(a, p->lengths);
    aicpi_free(a, p->formats);
    aicpi_free(a, p->numbers);
    aicpi_free(a, p);
    q->engine = NULL;
}

static pg_stmt *make_stmt(aicpi_sql_stmt *q) {
    const aicp_allocator *a = &q->db->allocator;
    pg_stmt *p = aicpi_calloc(a, 1, sizeof *p);
    if (!p) {
        return NULL;
    }
    q->engine = p;
    size_t n = q->params_count ? q->params_count : 1;
    p->values = aicpi_calloc(a, n, sizeof *p->values);
    p->lengths = aicpi_calloc(a, n, sizeof *p->lengths);
    p->formats = aicpi_calloc(a, n, sizeof *p->formats);
    p->numbers = aicpi_calloc(a, n, NUMBER_SIZE);
    if (!p->values || !p->lengths || !p->formats || !p->numbers) {
        pg_finalize(q);
        return NULL;
    }
    return p;
}

/* `?` becomes $1, $2, ... */
static void translate(aicpi_strbuf *b, const char *text) {
    size_t from = 0;
    unsigned number = 0;
    for (size_t p = 0; (p = aicpi_sql_next_param(text, p)) != SIZE_MAX; p++) {
        aicpi_strbuf_append(b, text + from, p - from);
        aicpi_strbuf_printf(b, "$%u", ++number);
        from = p + 1;
    }
    aicpi_strbuf_puts(b, text + from);
}

static aicp_status pg_prepare(aicpi_sql_stmt *q, aicp_error *err) {
    aicpi_sql *db = q->db;
    pg_finalize(q);
    pg_stmt *p = make_stmt(q);
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &db->allocator, TEXT_MAX);
    translate(&b, q->text);
    aicp_status s = AICP_OK;
    if (!p || b.failed) {
        s = aicpi_nomem(err);
    } else {
        (void)snprintf(p->name, sizeof p->name, "q%p", (void *)q);
        if (!PQsendPrepare(conn_of(db), p->name, b.data, 0, NULL)) {
            s = lost(db, q->text, err);
        } else {
            s = answer_of(db, q->text, NULL, err);
        }
    }
    aicpi_strbuf_deinit(&b);
    if (s != AICP_OK) {
        pg_finalize(q);
    }
    return s;
}

static void fill_params(aicpi_sql_stmt *q, pg_stmt *p) {
    for (size_t i = 0; i < q->params_count; i++) {
        const aicpi_sql_value *v = &q->params[i];
        char *number = p->numbers + i * NUMBER_SIZE;
        p->values[i] = v->data;
        p->lengths[i] = (int)v->len;
        p->formats[i] = v->kind != AICPI_SQL_I64; /* text and bytes travel with their length */
        if (v->kind == AICPI_SQL_I64) {
            (void)snprintf(number, NUMBER_SIZE, "%lld", (long long)v->i64);
            p->values[i] = number;
        } else if (v->kind == AICPI_SQL_NULL) {
            p->values[i] = NULL;
        }
    }
}

static aicp_status send_stmt(aicpi_sql_stmt *q, aicp_error *err) {
    aicpi_sql *db = q->db;
    pg_stmt *p = q->engine;
    for (size_t i = 0; i < q->params_count; i++) {
        if (q->params[i].len > INT32_MAX) {
            return aicpi_fail(err, AICP_ERR_LIMIT, "parameter %zu is larger than 2 GiB", i + 1);
        }
    }
    fill_params(q, p);
    PQclear(p->result);
    p->result = NULL;
    p->row = -1;
    int n = (int)q->params_count;
    if (!PQsendQueryPrepared(conn_of(db), p->name, n, p->values, p->lengths, p->formats, 0)) {
        return lost(db, q->text, err);
    }
    return AICP_OK;
}

static aicp_status pg_later(aicpi_sql_stmt *q, aicp_error *err) {
    aicp_status s = send_stmt(q, err);
    if (s == AICP_OK && in_pipeline(q->db)) {
        return note_under_way(q->db, q->text, err);
    }
    return s == AICP_OK ? collect(q->db, q->text, NULL, err) : s;
}

static aicp_status run_stmt(aicpi_sql_stmt *q, aicp_error *err) {
    pg_stmt *p = q->engine;
    aicp_status s = send_stmt(q, err);
    s = s == AICP_OK ? answer_of(q->db, q->text, &p->result, err) : s;
    if (s == AICP_OK && p->result) {
        q->db->changes = strtoll(PQcmdTuples(p->result), NULL, 10);
    }
    return s;
}

static void pg_reset(aicpi_sql_stmt *q) {
    pg_stmt *p = q->engine;
    PQclear(p->result);
    p->result = NULL;
}

static aicp_status pg_step(aicpi_sql_stmt *q, bool *row, aicp_error *err) {
    pg_stmt *p = q->engine;
    if (!q->running) {
        aicp_status s = run_stmt(q, err);
        if (s != AICP_OK) {
            return s;
        }
    }
    p->row++;
    *row = p->result && p->row < PQntuples(p->result);
    if (!*row) {
        pg_reset(q);
    }
    return AICP_OK;
}

/* strtoll, for what is usual. */
static int64_t number_of(const char *text) {
    const char *at = text + (*text == '-');
    int64_t n = 0;
    int digits = 0;
    while (aicpi_is_digit(*at) && digits < 18) {
        n = n * 10 + (*at++ - '0');
        digits++;
    }
    if (aicpi_is_digit(*at)) {
        return strtoll(text, NULL, 10);
    }
    return *text == '-' ? -n : n;
}

static int64_t pg_i64(aicpi_sql_stmt *q, int32_t column) {
    pg_stmt *p = q->engine;
    const char *text = PQgetvalue(p->result, p->row, column);
    if (!text) {
        return 0;
    }
    return text[0] == 't' ? 1 : number_of(text); /* BOOLEAN reads as 0 or 1 */
}

static aicpi_slice pg_bytes(aicpi_sql_stmt *q, int32_t column, bool blob) {
    pg_stmt *p = q->engine;
    const char *text = PQgetvalue(p->result, p->row, column);
    if (!text) {
        return aicpi_slice_of("", 0);
    }
    if (!blob) {
        return aicpi_slice_of(text, (size_t)PQgetlength(p->result, p->row, column));
    }
    PQfreemem(p->blob);
    p->blob = PQunescapeBytea((const unsigned char *)text, &p->blob_size);
    return p->blob ? aicpi_slice_of((const char *)p->blob, p->blob_size) : aicpi_slice_of("", 0);
}

static bool pg_is_null(aicpi_sql_stmt *q, int32_t column) {
    pg_stmt *p = q->engine;
    return PQgetisnull(p->result, p->row, column) != 0;
}

const aicpi_sql_driver aicpi_sql_postgres = {
    .connect = pg_connect,
    .disconnect = pg_disconnect,
    .abandon = pg_abandon,
    .exec = pg_exec,
    .prepare = pg_prepare,
    .finalize = pg_finalize,
    .step = pg_step,
    .later = pg_later,
    .begin = pg_begin,
    .commit = pg_commit,
    .reset = pg_reset,
    .i64 = pg_i64,
    .bytes = pg_bytes,
    .is_null = pg_is_null,
};
