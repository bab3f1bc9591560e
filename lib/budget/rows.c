/* Rows of reservations: written in chunks, looked up by id, settled when nobody remembers them. */
#include "lib/budget/budget_internal.h"

#include "lib/base/error.h"

#include <string.h>

#define ONE "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define FOUR ONE ", " ONE ", " ONE ", " ONE
#define SIXTEEN FOUR ", " FOUR ", " FOUR ", " FOUR
#define MANY SIXTEEN ", " SIXTEEN
#define COLUMNS 11
#define INSERT                                                                                     \
    "INSERT INTO aicp_budget_reservation (id, account, seq, node, state, flags, amount, actual,"   \
    " estimate, reserved_ns, deadline_ns) VALUES "
#define KEEP " ON CONFLICT (id, account) DO NOTHING"
/* Rows of another node stay: it settled what this one had forgotten. */
#define OVERWRITE                                                                                  \
    " ON CONFLICT (id, account) DO UPDATE SET state = excluded.state, flags = excluded.flags,"     \
    " actual = excluded.actual, estimate = excluded.estimate,"                                     \
    " deadline_ns = excluded.deadline_ns WHERE aicp_budget_reservation.node = excluded.node"

static void
bind_cells(aicpi_sql_stmt *q, int32_t at, const aicpi_budget_cells *c, aicpi_slice node) {
    aicpi_sql_bind_text(q, at, c->id.data, c->id.len);
    aicpi_sql_bind_text(q, at + 1, c->account.data, c->account.len);
    aicpi_sql_bind_i64(q, at + 2, c->seq);
    aicpi_sql_bind_text(q, at + 3, node.data, node.len);
    aicpi_sql_bind_i64(q, at + 4, c->state);
    aicpi_sql_bind_i64(q, at + 5, c->flags & FLAG_STORED_MASK);
    aicpi_sql_bind_i64(q, at + 6, c->amount);
    aicpi_sql_bind_i64(q, at + 7, c->actual);
    aicpi_sql_bind_i64(q, at + 8, c->estimate);
    aicpi_sql_bind_i64(q, at + 9, c->reserved_ns);
    aicpi_sql_bind_i64(q, at + 10, c->deadline_ns);
}

/* Whose row is there now? */
static aicp_status
check_owner(aicpi_budget_writer *w, const aicpi_budget_cells *c, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        w->db,
        "SELECT node, reserved_ns FROM aicp_budget_reservation WHERE id = ? AND account = ?",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, c->id.data, c->id.len);
        aicpi_sql_bind_text(q, 2, c->account.data, c->account.len);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        *c->conflict = !row || !aicpi_slice_eq(aicpi_sql_text(q, 0), w->node) ||
                       aicpi_sql_i64(q, 1) != c->reserved_ns;
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status
write_some(aicpi_budget_writer *w, const char *text, size_t from, size_t count, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(w->db, text, &q, err);
    if (s != AICP_OK) {
        return s;
    }
    for (size_t i = 0; i < count; i++) {
        bind_cells(q, (int32_t)(i * COLUMNS) + 1, &w->cells[from + i], w->node);
    }
    s = aicpi_sql_run(q, err);
    bool all = aicpi_sql_changes(w->db) == (int64_t)count;
    for (size_t i = 0; s == AICP_OK && !all && i < count; i++) {
        s = check_owner(w, &w->cells[from + i], err);
    }
    return s;
}

aicp_status aicpi_budget_write_end(aicpi_budget_writer *w, aicp_error *err) {
    static const char insert_many[] = INSERT MANY KEEP;
    static const char insert_one[] = INSERT ONE KEEP;
    static const char update_many[] = INSERT MANY OVERWRITE;
    static const char update_one[] = INSERT ONE OVERWRITE;
    aicp_status s = AICP_OK;
    if (w->count == AICPI_BUDGET_CHUNK) {
        s = write_some(w, w->update ? update_many : insert_many, 0, w->count, err);
    } else {
        for (size_t i = 0; i < w->count && s == AICP_OK; i++) {
            s = write_some(w, w->update ? update_one : insert_one, i, 1, err);
        }
    }
    w->count = 0;
    return s;
}

aicp_status
aicpi_budget_write(aicpi_budget_writer *w, const aicpi_budget_cells *cells, aicp_error *err) {
    w->cells[w->count++] = *cells;
    return w->count == AICPI_BUDGET_CHUNK ? aicpi_budget_write_end(w, err) : AICP_OK;
}

aicp_status aicpi_budget_rows_of(
    aicpi_sql *db,
    aicpi_slice id,
    aicpi_budget_found found[AICP_LEDGER_ACCOUNTS_MAX],
    size_t *count,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    *count = 0;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT account, seq, state, flags, amount, actual, reserved_ns"
        " FROM aicp_budget_reservation WHERE id = ? ORDER BY account LIMIT 16",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
    }
    bool row = s == AICP_OK;
    while (s == AICP_OK && row && *count < AICP_LEDGER_ACCOUNTS_MAX) {
        s = aicpi_sql_step(q, &row, err);
        if (s != AICP_OK || !row) {
            break;
        }
        aicpi_budget_found *f = &found[(*count)++];
        aicpi_slice account = aicpi_sql_text(q, 0);
        f->account_len = account.len < sizeof f->account ? account.len : sizeof f->account;
        memcpy(f->account, account.data, f->account_len);
        f->seq = aicpi_sql_i64(q, 1);
        f->state = aicpi_sql_i64(q, 2);
        f->flags = aicpi_sql_i64(q, 3);
        f->amount = aicpi_sql_i64(q, 4);
        f->actual = aicpi_sql_i64(q, 5);
        f->reserved_ns = aicpi_sql_i64(q, 6);
    }
    if (q) {
        aicpi_sql_reset(q);
    }
    return s;
}

/* ---- recovery ---- */

static aicp_status book(
    aicpi_sql *db,
    aicpi_budget_recovery *r,
    aicpi_slice account,
    int64_t seq,
    int64_t spent,
    aicp_error *err) {
    if (r->changed) {
        r->changed(r->user, account, seq, spent);
    }
    int64_t now_ns = 0;
    aicp_status s = aicpi_budget_add(db, account, seq, spent, 0, err);
    s = s == AICP_OK ? aicpi_sql_now(db, &now_ns, err) : s;
    return s == AICP_OK ? aicpi_budget_note_spend(db, account, now_ns, spent, err) : s;
}

static aicp_status recover_new(aicpi_sql *db, aicpi_budget_recovery *r, aicp_error *err) {
    bool conflict = false;
    aicpi_budget_writer w = {.db = db, .node = r->node};
    aicp_status s = AICP_OK;
    r->outcome = r->count ? AICP_OK : AICP_ERR_NOT_FOUND;
    for (size_t i = 0; i < r->count && s == AICP_OK; i++) {
        int64_t seq = 0;
        s = aicpi_budget_window_for(db, r->accounts[i], r->reserved_at_ns, &seq, err);
        if (s != AICP_OK || seq == 0) {
            continue; /* never put, or never used: there is no money to charge */
        }
        aicpi_budget_cells cells = {
            .id = r->id,
            .account = r->accounts[i],
            .seq = seq,
            .state = ROW_POSTED,
            .flags = r->flags | FLAG_RECOVERED,
            .actual = r->actual,
            .reserved_ns = r->reserved_at_ns,
            .deadline_ns = r->reserved_at_ns,
            .conflict = &conflict,
        };
        s = aicpi_budget_write(&w, &cells, err);
        s = s == AICP_OK ? book(db, r, r->accounts[i], seq, r->actual, err) : s;
    }
    s = s == AICP_OK ? aicpi_budget_write_end(&w, err) : s;
    return s == AICP_OK && conflict ? AICP_ERR_STORE_BUSY : s;
}

static aicp_status change_row(
    aicpi_sql *db,
    const aicpi_budget_recovery *r,
    const aicpi_budget_found *f,
    int64_t flags,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "UPDATE aicp_budget_reservation SET state = 1, flags = ?, actual = ?, node = ?"
        " WHERE id = ? AND account = ? AND state = ? AND actual = ?",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, flags & FLAG_STORED_MASK);
        aicpi_sql_bind_i64(q, 2, r->actual);
        aicpi_sql_bind_text(q, 3, r->node.data, r->node.len);
        aicpi_sql_bind_text(q, 4, r->id.data, r->id.len);
        aicpi_sql_bind_text(q, 5, f->account, f->account_len);
        aicpi_sql_bind_i64(q, 6, f->state);
        aicpi_sql_bind_i64(q, 7, f->actual);
        s = aicpi_sql_run(q, err);
    }
    /* Another node was faster: look again. */
    return s == AICP_OK && aicpi_sql_changes(db) != 1 ? AICP_ERR_STORE_BUSY : s;
}

aicp_status aicpi_budget_recover(aicpi_sql *db, aicpi_budget_recovery *r, aicp_error *err) {
    aicpi_budget_found found[AICP_LEDGER_ACCOUNTS_MAX];
    size_t count = 0;
    aicp_status s = aicpi_budget_rows_of(db, r->id, found, &count, err);
    if (s != AICP_OK) {
        return s;
    }
    if (count == 0) {
        return recover_new(db, r, err);
    }
    r->amount = found[0].amount;
    r->state_before = found[0].state;
    bool posted = found[0].state == ROW_POSTED;
    bool estimated = (found[0].flags & FLAG_ESTIMATED) != 0;
    if (found[0].state == ROW_VOIDED || (posted && !estimated)) {
        bool same = posted && found[0].actual == r->actual;
        r->outcome = same ? AICP_OK : posted ? AICP_ERR_ALREADY_POSTED : AICP_ERR_ALREADY_VOIDED;
        return AICP_OK;
    }
    r->outcome = AICP_OK;
    for (size_t i = 0; i < count && s == AICP_OK; i++) {
        int64_t flags = (found[i].flags & ~(int64_t)FLAG_ESTIMATED) | FLAG_RECOVERED | r->flags;
        flags |= found[i].state == ROW_PENDING ? 0 : FLAG_LATE;
        s = change_row(db, r, &found[i], flags, err);
        if (s == AICP_OK) {
            aicpi_slice account = aicpi_slice_of(found[i].account, found[i].account_len);
            s = book(db, r, account, found[i].seq, r->actual - found[i].actual, err);
        }
    }
    return s;
}
