/* Taking over the holds of nodes that have been silent for longer than hold_ttl_ns: what was
 * dispatched is posted with its estimate, the rest goes back. */
#include "lib/budget/remote.h"

#include "lib/base/error.h"

#include <string.h>

#define REAP_MOST 64 /* nodes in one go */

typedef struct reaping {
    size_t reaped;
} reaping;

/* Every parameter of `text` is the node. */
static aicp_status
run_for_node(aicpi_sql *db, const char *text, aicpi_slice node, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(db, text, &q, err);
    int32_t index = 0;
    for (const char *p = text; s == AICP_OK && (p = strchr(p, '?')) != NULL; p++) {
        aicpi_sql_bind_text(q, ++index, node.data, node.len);
    }
    return s == AICP_OK ? aicpi_sql_run(q, err) : s;
}

/* Locks the accounts in the order that all use. */
static aicp_status lock_accounts(aicpi_sql *db, aicpi_slice node, aicp_error *err) {
    static const char text[] =
        "SELECT id FROM aicp_budget_account WHERE id IN"
        " (SELECT account FROM aicp_budget_hold WHERE node = ?) ORDER BY id FOR UPDATE";
    if (aicpi_sql_engine(db) == AICPI_SQL_SQLITE) {
        return AICP_OK; /* the whole store is locked */
    }
    return run_for_node(db, text, node, err);
}

static aicp_status
note_estimates(aicpi_sql *db, aicpi_slice node, int64_t now_ns, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_budget_minute (minute, account, spent)"
        " SELECT ?, r.account, CAST(sum(r.estimate) AS BIGINT) FROM aicp_budget_reservation r"
        " WHERE r.node = ? AND r.state = 0 AND r.flags % 2 = 1 GROUP BY r.account"
        " ON CONFLICT (minute, account) DO UPDATE"
        " SET spent = aicp_budget_minute.spent + excluded.spent",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, now_ns / AICPI_BUDGET_MINUTE_NS);
        aicpi_sql_bind_text(q, 2, node.data, node.len);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

static aicp_status reap_node(aicpi_sql *db, aicpi_slice node, int64_t now_ns, aicp_error *err) {
    static const char *const steps[] = {
        "UPDATE aicp_budget_window SET spent = spent + ("
        "  SELECT sum(r.estimate) FROM aicp_budget_reservation r WHERE r.node = ? AND r.state = 0"
        "  AND r.flags % 2 = 1 AND r.account = aicp_budget_window.account"
        "  AND r.seq = aicp_budget_window.seq)"
        " WHERE EXISTS (SELECT 1 FROM aicp_budget_reservation r WHERE r.node = ? AND r.state = 0"
        "  AND r.flags % 2 = 1 AND r.account = aicp_budget_window.account"
        "  AND r.seq = aicp_budget_window.seq)",
        "UPDATE aicp_budget_reservation SET state = 1, actual = estimate, flags = flags + 2"
        " WHERE node = ? AND state = 0 AND flags % 2 = 1",
        "UPDATE aicp_budget_reservation SET state = 3 WHERE node = ? AND state = 0",
        "UPDATE aicp_budget_window SET held = held - ("
        "  SELECT sum(h.amount) FROM aicp_budget_hold h WHERE h.node = ?"
        "  AND h.account = aicp_budget_window.account AND h.seq = aicp_budget_window.seq)"
        " WHERE EXISTS (SELECT 1 FROM aicp_budget_hold h WHERE h.node = ?"
        "  AND h.account = aicp_budget_window.account AND h.seq = aicp_budget_window.seq)",
        "DELETE FROM aicp_budget_hold WHERE node = ?",
        "DELETE FROM aicp_budget_answer WHERE node = ?",
    };
    aicp_status s = lock_accounts(db, node, err);
    s = s == AICP_OK ? note_estimates(db, node, now_ns, err) : s;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && s == AICP_OK; i++) {
        s = run_for_node(db, steps[i], node, err);
    }
    return s;
}

aicp_status aicpi_budget_leave(aicpi_sql *db, aicpi_slice node, aicp_error *err) {
    aicp_status s = run_for_node(
        db,
        "DELETE FROM aicp_budget_node WHERE id = ? AND NOT EXISTS"
        " (SELECT 1 FROM aicp_budget_hold WHERE node = ? AND amount > 0)",
        node,
        err);
    return s == AICP_OK ? run_for_node(
                              db,
                              "DELETE FROM aicp_budget_answer WHERE node = ? AND NOT EXISTS"
                              " (SELECT 1 FROM aicp_budget_node WHERE id = ?)",
                              node,
                              err)
                        : s;
}

/* Only one of several nodes that notice gets the row deleted. */
static aicp_status
claim(aicpi_sql *db, aicpi_slice node, int64_t now_ns, bool *claimed, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "DELETE FROM aicp_budget_node WHERE id = ? AND expires_ns <= ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, node.data, node.len);
        aicpi_sql_bind_i64(q, 2, now_ns);
        s = aicpi_sql_run(q, err);
    }
    *claimed = s == AICP_OK && aicpi_sql_changes(db) == 1;
    return s;
}

static aicp_status
next_dead(aicpi_sql *db, int64_t now_ns, char *node, size_t size, size_t *len, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    *len = 0;
    aicp_status s = aicpi_sql_prepare(
        db, "SELECT id FROM aicp_budget_node WHERE expires_ns <= ? ORDER BY id LIMIT 1", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, now_ns);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK && row) {
        aicpi_slice id = aicpi_sql_text(q, 0);
        *len = id.len < size ? id.len : size;
        memcpy(node, id.data, *len);
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status reap(aicpi_sql *db, void *user, aicp_error *err) {
    reaping *r = user;
    r->reaped = 0;
    int64_t now_ns = 0;
    aicp_status s = aicpi_sql_now(db, &now_ns, err);
    for (size_t i = 0; i < REAP_MOST && s == AICP_OK; i++) {
        char node[AICPI_BUDGET_NODE_SIZE];
        size_t len = 0;
        bool claimed = false;
        s = next_dead(db, now_ns, node, sizeof node, &len, err);
        if (s != AICP_OK || len == 0) {
            break;
        }
        s = claim(db, aicpi_slice_of(node, len), now_ns, &claimed, err);
        if (s == AICP_OK && claimed) {
            s = reap_node(db, aicpi_slice_of(node, len), now_ns, err);
            r->reaped++;
        }
    }
    return s;
}

aicp_status
aicpi_budget_reap(aicpi_budget_core *c, uint64_t deadline, size_t *reaped, aicp_error *err) {
    reaping r = {0};
    int64_t told = 0;
    aicp_status s = c->remote ? aicpi_budget_remote_reap(c, deadline, &told, err)
                              : aicpi_budget_transact(c, deadline, reap, &r, err);
    r.reaped += (size_t)told;
    *reaped = s == AICP_OK ? r.reaped : 0;
    if (s == AICP_OK && r.reaped > 0) {
        aicpi_log_write(
            &c->log, AICP_LOG_WARN, "took over the holds of %zu dead node(s)", r.reaped);
    }
    return s;
}
