/* Rows that nobody needs any more are deleted, a few at a time. */
#include "lib/budget/budget_internal.h"

#include "lib/base/clock.h"

#define AT_ONCE_TEXT "500"
#define AT_ONCE 500
#define ADJUSTMENT_KEEP_NS (INT64_C(400) * 24 * 3600 * AICPI_SECOND_NS)
#define EVERY_NS (60 * (uint64_t)AICPI_SECOND_NS)

typedef struct pruning {
    aicpi_budget_core *core;
    int64_t deleted;
    bool more;
} pruning;

/* Finished reservations go when their deadline, which nothing precedes, is old. Windows stay: they
 * are what was spent. Holds without money say nothing. A soft event must stay while its window is
 * open, else it would be raised again. Audit entries stay longest. */
static aicp_status delete_old(aicpi_sql *db, void *user, aicp_error *err) {
    static const char *const steps[] = {
        "DELETE FROM aicp_budget_reservation WHERE (id, account) IN"
        " (SELECT id, account FROM aicp_budget_reservation"
        "  WHERE state <> 0 AND deadline_ns < ? ORDER BY deadline_ns LIMIT " AT_ONCE_TEXT ")",
        "DELETE FROM aicp_budget_hold WHERE amount = 0 AND (node, account, seq) IN"
        " (SELECT h.node, h.account, h.seq FROM aicp_budget_hold h"
        "  JOIN aicp_budget_window w ON w.account = h.account AND w.seq = h.seq"
        "  WHERE h.amount = 0 AND w.end_ns < ? LIMIT " AT_ONCE_TEXT ")",
        "DELETE FROM aicp_budget_event WHERE (account, seq, threshold) IN"
        " (SELECT e.account, e.seq, e.threshold FROM aicp_budget_event e"
        "  JOIN aicp_budget_window w ON w.account = e.account AND w.seq = e.seq"
        "  WHERE w.end_ns < ? LIMIT " AT_ONCE_TEXT ")",
        "DELETE FROM aicp_budget_adjustment WHERE id IN"
        " (SELECT id FROM aicp_budget_adjustment WHERE at_ns < ? LIMIT " AT_ONCE_TEXT ")",
        "DELETE FROM aicp_budget_minute WHERE (minute, account) IN"
        " (SELECT minute, account FROM aicp_budget_minute WHERE minute < ? LIMIT " AT_ONCE_TEXT ")",
    };
    pruning *p = user;
    int64_t now_ns = 0;
    p->deleted = 0;
    p->more = false;
    aicp_status s = aicpi_sql_now(db, &now_ns, err);
    int64_t keep = (int64_t)p->core->options.keep_ns;
    int64_t before[] = {
        now_ns - keep,
        now_ns - keep,
        now_ns - keep,
        now_ns - (keep > ADJUSTMENT_KEEP_NS ? keep : ADJUSTMENT_KEEP_NS),
        (now_ns - keep) / AICPI_BUDGET_MINUTE_NS};
    for (size_t i = 0; i < sizeof steps / sizeof *steps && s == AICP_OK; i++) {
        aicpi_sql_stmt *q = NULL;
        s = aicpi_sql_prepare(db, steps[i], &q, err);
        if (s == AICP_OK) {
            aicpi_sql_bind_i64(q, 1, before[i]);
            s = aicpi_sql_run(q, err);
        }
        if (s == AICP_OK) {
            p->deleted += aicpi_sql_changes(db);
            p->more = p->more || aicpi_sql_changes(db) >= AT_ONCE;
        }
    }
    return s;
}

aicp_status
aicpi_budget_prune(aicpi_budget_core *c, uint64_t now, uint64_t deadline, aicp_error *err) {
    pruning p = {.core = c};
    if (c->prune_at == 0) { /* not for processes that live only shortly */
        c->prune_at = now + EVERY_NS;
    }
    if (c->remote || now < c->prune_at) { /* behind a server that is its business */
        return AICP_OK;
    }
    c->prune_at = now + EVERY_NS;
    aicp_status s = aicpi_budget_transact(c, deadline, delete_old, &p, err);
    if (s == AICP_OK && p.more) {
        c->prune_at = now; /* the next look goes on */
    }
    return s;
}
