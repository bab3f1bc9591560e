/* The server's side of ledgers that reach the store only through it. */
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/budget/remote.h"
#include "lib/budget/wire.h"

#include <string.h>

#define SERVE_NS (4 * (uint64_t)AICPI_SECOND_NS) /* less than the other side waits */
#define ANSWER_MOST AICPI_WIRE_MAX

typedef struct serving {
    aicp_ledger *ledger;
    aicpi_budget_core *core; /* of this ledger */
    aicpi_arena *arena;
    aicpi_slice node;
    aicpi_wire in;
    aicpi_strbuf *out;
    uint64_t deadline;
} serving;

static aicp_status nonsense(aicp_error *err) {
    return aicpi_fail(err, AICP_ERR_PARSE, "the ledger's message is malformed");
}

/* ---- passes ---- */

typedef struct served_pass {
    aicpi_budget_core guest; /* the other node, as far as a pass needs it */
    aicpi_strbuf *out;
} served_pass;

/* Two copies of one message at the same time must not both find no answer. */
static aicp_status lock_node(aicpi_sql *db, aicpi_slice node, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    if (aicpi_sql_engine(db) == AICPI_SQL_SQLITE) {
        return AICP_OK; /* the whole store is locked */
    }
    aicp_status s = aicpi_sql_prepare(
        db, "SELECT batch FROM aicp_budget_node WHERE id = ? FOR UPDATE", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, node.data, node.len);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

static aicp_status
old_answer(aicpi_sql *db, served_pass *p, aicpi_slice node, bool *known, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = lock_node(db, node, err);
    s = s == AICP_OK
            ? aicpi_sql_prepare(
                  db, "SELECT batch, answer FROM aicp_budget_answer WHERE node = ?", &q, err)
            : s;
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, node.data, node.len);
        s = aicpi_sql_step(q, known, err);
    }
    if (s != AICP_OK || !*known) {
        return s;
    }
    int64_t batch = aicpi_sql_i64(q, 0);
    *known = batch == p->guest.pass.batch;
    if (*known) {
        aicpi_slice answer = aicpi_sql_blob(q, 1);
        aicpi_strbuf_append(p->out, answer.data, answer.len);
    }
    aicpi_sql_reset(q);
    return batch > p->guest.pass.batch ? aicpi_fail(err, AICP_ERR_STORE, "a message of long ago")
                                       : AICP_OK;
}

static aicp_status
keep_answer(aicpi_sql *db, const served_pass *p, aicpi_slice node, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_budget_answer (node, batch, answer) VALUES (?, ?, ?)"
        " ON CONFLICT (node) DO UPDATE SET batch = excluded.batch, answer = excluded.answer",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, node.data, node.len);
        aicpi_sql_bind_i64(q, 2, p->guest.pass.batch);
        aicpi_sql_bind_blob(q, 3, p->out->data, p->out->len);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

static aicp_status run_pass(aicpi_sql *db, void *user, aicp_error *err) {
    served_pass *p = user;
    aicpi_slice node = aicpi_slice_cstr(p->guest.node);
    aicpi_wire w = {.out = p->out};
    bool known = false;
    aicpi_strbuf_clear(p->out);
    aicp_status s = old_answer(db, p, node, &known, err);
    if (s != AICP_OK || known) {
        return s;
    }
    s = aicpi_budget_run(db, &p->guest, err);
    if (s != AICP_OK) {
        return s == AICP_ERR_CONSTRAINT && !p->guest.registered ? AICP_ERR_STORE_BUSY : s;
    }
    aicpi_wire_pass_result(&w, &p->guest);
    return p->out->failed ? aicpi_nomem(err) : keep_answer(db, p, node, err);
}

static void free_guest(aicpi_budget_core *g) {
    for (size_t i = 0; i < g->pass.accounts_count; i++) {
        aicp_budget_window_free(g->pass.accounts[i].window);
    }
    aicpi_free(&g->allocator, g->pass.order);
    aicpi_free(&g->allocator, g->pass.events);
    aicpi_strbuf_deinit(&g->pass.changed);
}

static aicp_status serve_pass(serving *s, aicp_error *err) {
    served_pass *p = aicpi_arena_calloc(s->arena, 1, sizeof *p);
    if (!p) {
        return aicpi_nomem(err);
    }
    aicpi_budget_core *g = &p->guest;
    p->out = s->out;
    g->allocator = s->core->allocator;
    g->clock = s->core->clock;
    memcpy(g->node, s->node.data, s->node.len);
    aicpi_strbuf_init(&g->pass.changed, &g->allocator, AICPI_STRBUF_MAX);
    aicpi_wire_pass(&s->in, g);
    aicp_status status = aicpi_wire_end(&s->in) ? AICP_OK : nonsense(err);
    if (status == AICP_OK && aicpi_budget_order(g) != AICP_OK) {
        status = aicpi_nomem(err);
    }
    if (status == AICP_OK) {
        pthread_mutex_lock(&s->core->lock);
        status = aicpi_budget_transact(s->core, s->deadline, run_pass, p, err);
        pthread_mutex_unlock(&s->core->lock);
    }
    free_guest(g);
    return status;
}

/* ---- the other calls ---- */

typedef struct news {
    int64_t now_ns;
    int64_t rev;
    int64_t recalls;
} news;

static aicp_status read_news(aicpi_sql *db, void *user, aicp_error *err) {
    news *n = user;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_now(db, &n->now_ns, err);
    s = s == AICP_OK ? aicpi_sql_prepare(
                           db,
                           "SELECT (SELECT n FROM aicp_budget_meta WHERE k = 'rev'),"
                           " (SELECT n FROM aicp_budget_meta WHERE k = 'recall')",
                           &q,
                           err)
                     : s;
    s = s == AICP_OK ? aicpi_sql_step(q, &row, err) : s;
    if (s == AICP_OK) {
        n->rev = aicpi_sql_i64(q, 0);
        n->recalls = aicpi_sql_i64(q, 1);
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status transact(serving *s, aicpi_sql_fn fn, void *user, aicp_error *err) {
    pthread_mutex_lock(&s->core->lock);
    aicp_status status = aicpi_budget_transact(s->core, s->deadline, fn, user, err);
    pthread_mutex_unlock(&s->core->lock);
    return status;
}

static aicp_status serve_news(serving *s, bool hello, aicp_error *err) {
    news n = {0};
    aicpi_wire w = {.out = s->out};
    aicp_status status = aicpi_wire_end(&s->in) ? AICP_OK : nonsense(err);
    status = status == AICP_OK ? transact(s, read_news, &n, err) : status;
    if (status == AICP_OK && hello) {
        aicpi_wire_i64(&w, &n.now_ns, INT64_MIN, INT64_MAX);
    } else if (status == AICP_OK) {
        aicpi_wire_i64(&w, &n.rev, 0, INT64_MAX);
        aicpi_wire_i64(&w, &n.recalls, 0, INT64_MAX);
    }
    return status;
}

static aicp_status serve_put(serving *s, aicp_error *err) {
    aicp_ledger_account account = AICP_LEDGER_ACCOUNT_INIT;
    aicpi_slice id = {NULL, 0};
    aicpi_wire_put(&s->in, &id, &account);
    if (!aicpi_wire_end(&s->in)) {
        return nonsense(err);
    }
    return aicp_ledger_account_put(s->ledger, id.data, id.len, &account, s->deadline, err);
}

static aicp_status serve_status(serving *s, aicp_error *err) {
    aicpi_budget_reading r = {.core = s->core};
    aicpi_wire w = {.out = s->out};
    aicpi_wire_text(&s->in, &r.id, 1, AICP_LEDGER_ACCOUNT_MAX);
    aicp_status status = aicpi_wire_end(&s->in) ? AICP_OK : nonsense(err);
    status = status == AICP_OK ? transact(s, aicpi_budget_read_account, &r, err) : status;
    if (status == AICP_OK) {
        aicpi_wire_reading(&w, &r);
    }
    return status;
}

static aicp_status serve_adjust(serving *s, aicp_error *err) {
    aicp_ledger_adjustment a = AICP_LEDGER_ADJUSTMENT_INIT;
    aicpi_slice id = {NULL, 0};
    aicpi_wire_adjust(&s->in, &id, &a);
    if (!aicpi_wire_end(&s->in)) {
        return nonsense(err);
    }
    a.deadline_ns = s->deadline;
    return aicp_ledger_adjust(s->ledger, id.data, id.len, &a, err);
}

static aicp_status recover(aicpi_sql *db, void *user, aicp_error *err) {
    return aicpi_budget_recover(db, user, err);
}

static aicp_status serve_recover(serving *s, aicp_error *err) {
    aicpi_budget_recovery v = {.node = s->node};
    aicpi_wire w = {.out = s->out};
    aicpi_wire_recover(&s->in, &v);
    aicp_status status = aicpi_wire_end(&s->in) ? AICP_OK : nonsense(err);
    status = status == AICP_OK ? transact(s, recover, &v, err) : status;
    if (status == AICP_OK) {
        aicpi_wire_recovered(&w, &v);
    }
    return status;
}

static aicp_status serve_reap(serving *s, aicp_error *err) {
    aicpi_wire w = {.out = s->out};
    size_t reaped = 0;
    if (!aicpi_wire_end(&s->in)) {
        return nonsense(err);
    }
    pthread_mutex_lock(&s->core->lock);
    aicp_status status = aicpi_budget_reap(s->core, s->deadline, &reaped, err);
    pthread_mutex_unlock(&s->core->lock);
    int64_t n = (int64_t)reaped;
    if (status == AICP_OK) {
        aicpi_wire_i64(&w, &n, 0, INT64_MAX);
    }
    return status;
}

static aicp_status leave(aicpi_sql *db, void *user, aicp_error *err) {
    const serving *s = user;
    return aicpi_budget_leave(db, s->node, err);
}

static aicp_status dispatch(serving *s, int32_t what, aicp_error *err) {
    switch (what) {
    case WIRE_HELLO:
    case WIRE_NEWS:
        return serve_news(s, what == WIRE_HELLO, err);
    case WIRE_PASS:
        return serve_pass(s, err);
    case WIRE_PUT:
        return serve_put(s, err);
    case WIRE_STATUS:
        return serve_status(s, err);
    case WIRE_ADJUST:
        return serve_adjust(s, err);
    case WIRE_RECOVER:
        return serve_recover(s, err);
    case WIRE_REAP:
        return serve_reap(s, err);
    default:
        return aicpi_wire_end(&s->in) ? transact(s, leave, s, err) : nonsense(err);
    }
}

/* ---- messages ---- */

static aicp_status answer(serving *s, aicp_buf *out, aicp_error *err) {
    aicpi_strbuf message;
    aicpi_strbuf text;
    aicp_error why = {0};
    int32_t version = 0;
    int32_t what = 0;
    aicpi_strbuf_init(&message, &s->core->allocator, ANSWER_MOST);
    aicpi_strbuf_init(&text, &s->core->allocator, 2 * ANSWER_MOST);
    s->out = &message;
    aicpi_wire_i32(&s->in, &version, AICPI_WIRE_VERSION, AICPI_WIRE_VERSION);
    aicpi_wire_i32(&s->in, &what, 1, WIRE_LAST);
    aicpi_wire_text(&s->in, &s->node, 1, AICPI_BUDGET_NODE_SIZE - 1);
    aicp_status status = s->in.bad ? nonsense(&why) : dispatch(s, what, &why);
    if (status == AICP_ERR_PARSE && !aicpi_wire_end(&s->in)) { /* the message, not the call */
        aicpi_strbuf_deinit(&message);
        return nonsense(err);
    }
    aicpi_strbuf head;
    aicpi_slice told = aicpi_slice_cstr(why.message);
    aicpi_strbuf_init(&head, &s->core->allocator, ANSWER_MOST + 1024);
    aicpi_wire w = {.out = &head};
    aicpi_wire_outcome(&w, &status, &told);
    if (status == AICP_OK) {
        aicpi_strbuf_append(&head, message.data, message.len);
    }
    aicpi_strbuf_puts(&text, "{\"data\":\"");
    aicpi_wire_base64(&text, head.data, head.len);
    aicpi_strbuf_puts(&text, "\"}");
    text.failed = text.failed || head.failed || message.failed;
    aicpi_strbuf_deinit(&message);
    aicpi_strbuf_deinit(&head);
    aicp_status s2 = aicpi_strbuf_take(&text, out, err);
    aicpi_strbuf_deinit(&text);
    return s2;
}

aicp_status aicp_ledger_serve(
    aicp_ledger *ledger, const char *data, size_t len, aicp_buf *out, aicp_error *err) {
    if (!out || (!data && len > 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "data and out must not be NULL");
    }
    *out = (aicp_buf)AICP_BUF_INIT;
    if (len > 2 * AICPI_WIRE_MAX) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "the message is too large");
    }
    aicpi_budget_core *c = aicpi_budget_enter(ledger, err);
    if (!c) {
        return AICP_ERR_STORE;
    }
    if (c->remote) {
        return aicpi_fail(err, AICP_ERR_UNSUPPORTED, "this ledger has no store of its own");
    }
    aicpi_arena arena;
    aicpi_slice bytes = {NULL, 0};
    aicpi_arena_init(&arena, &c->allocator, 0, 0);
    aicp_status s = aicpi_budget_ledger_part(&arena, data, len, &bytes, err);
    if (s == AICP_OK) {
        serving k = {
            .ledger = ledger,
            .core = c,
            .arena = &arena,
            .in =
                {.at = (const unsigned char *)bytes.data,
                 .end = (const unsigned char *)bytes.data + bytes.len,
                 .arena = &arena},
            .deadline = aicpi_monotonic_ns(&c->clock) + SERVE_NS,
        };
        s = answer(&k, out, err);
    }
    aicpi_arena_deinit(&arena);
    return s;
}
