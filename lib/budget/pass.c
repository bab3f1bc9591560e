/* The transaction of a pass. Runs without the lock and perhaps several times, so it starts from
 * what was collected and writes only outputs, all reset at its beginning. */
#include "lib/budget/budget_internal.h"

#include "lib/base/error.h"

#include <string.h>

#define FAST_NS (100 * UINT64_C(1000000)) /* a slice used up sooner is doubled */
#define SLOW_NS (10 * UINT64_C(1000000000))
#define UNLIMITED_SLICE_AMOUNTS 64
#define SLICE_PART 8 /* no slice is larger than this part of the limit */
#define MONEY_MOST (INT64_MAX / 2)
#define RECALL_NS INT64_C(1000000000) /* how long a recall keeps slices from being made */

static aicpi_slice id_of(const aicpi_budget_pass_account *pa) {
    return aicpi_slice_of(pa->account->id, pa->account->id_len);
}

static aicpi_slice node_of(const aicpi_budget_core *c) {
    return aicpi_slice_of(c->node, strlen(c->node));
}

static void reset_outputs(aicpi_budget_pass *p) {
    p->events_count = 0;
    p->dead = false;
    aicpi_strbuf_clear(&p->changed);
    for (size_t i = 0; i < p->accounts_count; i++) {
        aicpi_budget_pass_account *pa = &p->accounts[i];
        aicp_budget_window_free(pa->window);
        *pa = (aicpi_budget_pass_account){.account = pa->account, .wanted = pa->wanted};
    }
    for (size_t i = 0; i < p->deltas_count; i++) {
        p->deltas[i].unspent = 0;
    }
    for (size_t i = 0; i < p->rows_count; i++) {
        p->rows[i].conflict = false;
        p->rows[i].outcome = AICP_OK;
    }
    for (size_t i = 0; i < p->wants_count; i++) {
        aicpi_budget_pass_want *pw = &p->wants[i];
        pw->status = AICP_OK;
        pw->replayed = false;
        pw->wait = false;
        memset(pw->usable, 0, sizeof pw->usable);
        memset(pw->pooled, 0, sizeof pw->pooled);
    }
}

/* ---- node ---- */

static aicp_status touch_node(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    static const char update[] =
        "UPDATE aicp_budget_node SET batch = ?, seen_ns = ?, expires_ns = ?, name = ? WHERE id = ?";
    static const char insert[] =
        "INSERT INTO aicp_budget_node (batch, seen_ns, expires_ns, name, id)"
        " VALUES (?, ?, ?, ?, ?)";
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(db, c->registered ? update : insert, &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, c->pass.batch);
        aicpi_sql_bind_i64(q, 2, c->pass.now_ns);
        aicpi_sql_bind_i64(q, 3, c->pass.now_ns + (int64_t)c->options.hold_ttl_ns);
        aicpi_sql_bind_text(q, 4, c->name, strlen(c->name));
        aicpi_sql_bind_text(q, 5, c->node, strlen(c->node));
        s = aicpi_sql_run(q, err);
    }
    if (s == AICP_OK && aicpi_sql_changes(db) != 1) {
        return aicpi_fail(err, AICP_ERR_STATE, "another node took this one for dead");
    }
    return s;
}

/* One id of an account with news: what kind ('p' put, 'r' recalled), length, bytes. */
static void note_news(aicpi_strbuf *b, char kind, aicpi_slice id) {
    aicpi_strbuf_putc(b, kind);
    aicpi_strbuf_putc(b, (char)(id.len >> 8));
    aicpi_strbuf_putc(b, (char)(id.len & 0xff));
    aicpi_strbuf_append(b, id.data, id.len);
}

static aicp_status read_news(
    aicpi_budget_pass *p,
    aicpi_sql *db,
    const char *text,
    char kind,
    int64_t *top,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(db, text, &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, *top);
    }
    bool row = s == AICP_OK;
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
        if (s == AICP_OK && row) {
            note_news(&p->changed, kind, aicpi_sql_text(q, 0));
            *top = aicpi_sql_i64(q, 1);
        }
    }
    return s;
}

/* Accounts that somebody has put or recalled since the last look. */
static aicp_status read_changed(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    aicpi_budget_pass *p = &c->pass;
    p->top_rev = c->top_rev;
    p->top_recall_ns = c->top_recall_ns;
    if (!p->maintain) {
        return AICP_OK;
    }
    aicp_status s = read_news(
        p,
        db,
        "SELECT id, rev FROM aicp_budget_account WHERE rev > ? ORDER BY rev",
        'p',
        &p->top_rev,
        err);
    if (s == AICP_OK) {
        s = read_news(
            p,
            db,
            "SELECT account, recall_ns FROM aicp_budget_window WHERE recall_ns > ?"
            " ORDER BY recall_ns",
            'r',
            &p->top_recall_ns,
            err);
    }
    return s == AICP_OK && p->changed.failed ? aicpi_nomem(err) : s;
}

/* ---- accounts ---- */

static aicp_status
count_nodes(aicpi_budget_core *c, aicpi_sql *db, aicpi_budget_pass_account *pa, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT count(*) FROM aicp_budget_hold"
        " WHERE account = ? AND seq = ? AND node <> ? AND amount > 0",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id_of(pa).data, id_of(pa).len);
        aicpi_sql_bind_i64(q, 2, pa->seq);
        aicpi_sql_bind_text(q, 3, c->node, strlen(c->node));
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        pa->nodes = 1 + aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status
load_account(aicpi_budget_core *c, aicpi_sql *db, aicpi_budget_pass_account *pa, aicp_error *err) {
    const aicpi_budget_account *a = pa->account;
    int64_t rev = a->window ? a->window_rev : -1;
    aicp_status s = aicpi_budget_load(
        db, &c->allocator, id_of(pa), rev, &pa->rule, &pa->window, &pa->found, err);
    if (s != AICP_OK || !pa->found) {
        return s;
    }
    aicpi_budget_window_row row;
    s = aicpi_budget_open_window(
        db, id_of(pa), &pa->rule, pa->window ? pa->window : a->window, c->pass.now_ns, &row, err);
    pa->seq = row.seq;
    pa->start_ns = row.start_ns;
    pa->end_ns = row.end_ns;
    pa->spent = row.spent;
    pa->held = row.held;
    pa->carried = row.carried;
    pa->recall_ns = row.recall_ns;
    pa->recalled = row.recall_ns > 0 && c->pass.now_ns - row.recall_ns < RECALL_NS;
    pa->nodes = a->nodes > 0 ? a->nodes : 1;
    pa->limit = aicpi_budget_limit(&pa->rule, row.carried, c->pass.now_ns);
    pa->raised = a->raised_seq == row.seq && a->rule.rev == pa->rule.rev ? a->raised : 0;
    if (s == AICP_OK && pa->wanted && c->options.mode == AICP_LEDGER_HOLD) {
        s = count_nodes(c, db, pa, err);
    }
    return s;
}

static aicp_status load_accounts(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < c->pass.accounts_count && s == AICP_OK; i++) {
        s = load_account(c, db, &c->pass.accounts[c->pass.order[i]], err);
    }
    return s;
}

/* ---- rows ---- */

/* A window that this pass has loaded changed through recovery. */
static void on_recovered(void *user, aicpi_slice account, int64_t seq, int64_t spent) {
    aicpi_budget_core *c = user;
    for (size_t i = 0; i < c->pass.accounts_count; i++) {
        aicpi_budget_pass_account *pa = &c->pass.accounts[i];
        if (pa->found && pa->seq == seq && aicpi_slice_eq(id_of(pa), account)) {
            pa->spent += spent;
        }
    }
}

static aicp_status
recover_row(aicpi_budget_core *c, aicpi_sql *db, aicpi_budget_row *row, aicp_error *err) {
    const aicpi_budget_record *r = row->record;
    aicpi_slice accounts[AICP_LEDGER_ACCOUNTS_MAX];
    for (uint32_t i = 0; i < r->count; i++) {
        const aicpi_budget_account *a = r->holds[i]->account;
        accounts[i] = aicpi_slice_of(a->id, a->id_len);
    }
    aicpi_budget_recovery recovery = {
        .id = aicpi_slice_of(r->id, r->id_len),
        .node = node_of(c),
        .accounts = accounts,
        .count = r->count,
        .actual = row->actual,
        .reserved_at_ns = r->reserved_at_ns,
        .flags = row->flags & FLAG_STORED_MASK,
        .changed = on_recovered,
        .user = c,
    };
    if (row->state != ROW_POSTED) {
        return AICP_OK; /* given back: the dead node's hold takes it along */
    }
    aicp_status s = aicpi_budget_recover(db, &recovery, err);
    row->outcome = recovery.outcome;
    row->amount = recovery.amount;
    return s;
}

static bool needs_row(const aicpi_budget_row *row) {
    return row->state == ROW_POSTED || (row->flags & (FLAG_STORED | FLAG_DISPATCHED)) != 0;
}

static aicp_status write_row(aicpi_budget_writer *w, aicpi_budget_row *row, aicp_error *err) {
    const aicpi_budget_record *r = row->record;
    aicp_status s = AICP_OK;
    for (uint32_t i = 0; i < r->count && s == AICP_OK; i++) {
        const aicpi_budget_hold *h = r->holds[i];
        aicpi_budget_cells cells = {
            .id = aicpi_slice_of(r->id, r->id_len),
            .account = aicpi_slice_of(h->account->id, h->account->id_len),
            .seq = h->seq,
            .state = row->state,
            .flags = row->flags & FLAG_STORED_MASK,
            .amount = r->amount,
            .actual = row->actual,
            .estimate = row->estimate,
            .reserved_ns = r->reserved_at_ns,
            .deadline_ns = row->deadline_ns,
            .conflict = &row->conflict,
        };
        s = aicpi_budget_write(w, &cells, err);
    }
    return s;
}

/* Another node has settled or used the id: what this one wanted to post does not count. */
static void drop_conflict(aicpi_budget_pass *p, const aicpi_budget_row *row) {
    const aicpi_budget_record *r = row->record;
    for (uint32_t i = 0; i < r->count; i++) {
        for (size_t k = 0; k < p->deltas_count; k++) {
            if (p->deltas[k].hold == r->holds[i]) {
                p->deltas[k].unspent += row->to_spend;
            }
        }
    }
}

static aicp_status write_rows(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    aicpi_budget_pass *p = &c->pass;
    aicpi_budget_writer insert = {.db = db, .node = node_of(c), .update = false};
    aicpi_budget_writer update = {.db = db, .node = node_of(c), .update = true};
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < p->rows_count && s == AICP_OK; i++) {
        aicpi_budget_row *row = &p->rows[i];
        if (row->flags & FLAG_RECOVER) {
            s = recover_row(c, db, row, err);
        } else if (needs_row(row)) {
            s = write_row(row->flags & FLAG_STORED ? &update : &insert, row, err);
        }
    }
    s = s == AICP_OK ? aicpi_budget_write_end(&insert, err) : s;
    s = s == AICP_OK ? aicpi_budget_write_end(&update, err) : s;
    for (size_t i = 0; i < p->rows_count && s == AICP_OK; i++) {
        if (p->rows[i].conflict) {
            drop_conflict(p, &p->rows[i]);
        }
    }
    return s;
}

/* The open windows as they will be once this node's changes are in. */
static void count_deltas(aicpi_budget_pass *p) {
    for (size_t i = 0; i < p->deltas_count; i++) {
        const aicpi_budget_delta *d = &p->deltas[i];
        aicpi_budget_pass_account *pa = &p->accounts[d->account];
        if (pa->found && pa->seq == d->hold->seq) {
            pa->spent += d->spent - d->unspent;
            pa->held -= d->release + d->give_back;
        }
    }
}

/* ---- wants ---- */

/* The same id in the store: with the same content it gets its first answer again. */
static aicp_status
look_up(aicpi_sql *db, aicpi_budget_pass_want *pw, bool *known, aicp_error *err) {
    aicpi_budget_found found[AICP_LEDGER_ACCOUNTS_MAX];
    size_t count = 0;
    aicpi_slice id = aicpi_slice_of(pw->record->id, pw->record->id_len);
    aicp_status s = aicpi_budget_rows_of(db, id, found, &count, err);
    *known = s == AICP_OK && count > 0;
    if (!*known) {
        return s;
    }
    bool same = count == pw->count;
    for (size_t i = 0; same && i < count; i++) {
        aicpi_slice name = aicpi_slice_of(found[i].account, found[i].account_len);
        same = found[i].amount == pw->amount && aicpi_slice_eq(name, pw->want->names[i]);
    }
    pw->replayed = same;
    pw->reserved_at_ns = found[0].reserved_ns;
    pw->status = same ? AICP_OK : AICP_ERR_EXISTS_DIFFERENT;
    return s;
}

static bool fits(const aicpi_budget_pass_account *pa, int64_t need, int64_t left, bool unknown) {
    if (pa->limit == AICP_LEDGER_UNLIMITED) {
        return pa->spent < MONEY_MOST && pa->held < MONEY_MOST - need;
    }
    if (pa->limit == 0 || (unknown && left <= 0)) {
        return false;
    }
    return need <= pa->limit - pa->spent - pa->held && left >= 0;
}

static aicp_status judge(const aicpi_budget_pass_account *pa, const aicpi_budget_want *w) {
    if (!pa->found) {
        return AICP_ERR_NOT_FOUND;
    }
    if (pa->rule.frozen) {
        return AICP_ERR_FROZEN;
    }
    bool deny = pa->rule.unknown_price == AICP_BUDGET_UNKNOWN_DENY ||
                (pa->rule.unknown_price == AICP_BUDGET_UNKNOWN_DEFAULT &&
                 pa->rule.limit != AICP_LEDGER_UNLIMITED);
    return w->unknown_price && deny ? AICP_ERR_UNKNOWN_PRICE : AICP_OK;
}

/* May account i of the want be charged? Sets what must come from the store. */
static aicp_status
judge_account(aicpi_budget_pass *p, aicpi_budget_pass_want *pw, uint32_t i, int64_t *need) {
    aicpi_budget_pass_account *pa = &p->accounts[pw->accounts[i]];
    aicp_status s = judge(pa, pw->want);
    if (s != AICP_OK) {
        return s;
    }
    pw->usable[i] = pw->holds[i] && pw->holds[i]->seq == pa->seq;
    int64_t own = pw->usable[i] ? pw->earmarked[i] : 0;
    *need = pw->amount - own;
    pw->pooled[i] = pa->pool < *need ? pa->pool : *need;
    *need -= pw->pooled[i];
    int64_t left = pa->limit - pa->spent - pa->held + own + pa->pool;
    if (!fits(pa, *need, left, pw->want->unknown_price)) {
        pw->remaining = pa->limit != AICP_LEDGER_UNLIMITED && left > 0 ? left : 0;
        return AICP_ERR_BUDGET_EXCEEDED;
    }
    return AICP_OK;
}

static void decide(aicpi_budget_pass *p, aicpi_budget_pass_want *pw) {
    int64_t need[AICP_LEDGER_ACCOUNTS_MAX];
    for (uint32_t i = 0; i < pw->count && pw->status == AICP_OK; i++) {
        pw->status = judge_account(p, pw, i, &need[i]);
        pw->denied = i;
    }
    for (uint32_t i = 0; i < pw->count; i++) {
        aicpi_budget_pass_account *pa = &p->accounts[pw->accounts[i]];
        if (pw->status == AICP_OK && !pw->replayed) {
            pa->pool -= pw->pooled[i];
            pa->grant += need[i];
            pa->held += need[i];
            pa->most = pa->most > pw->amount ? pa->most : pw->amount;
        } else if (pa->found && pw->holds[i] && pw->holds[i]->seq == pa->seq) {
            pa->pool += pw->earmarked[i];
        }
    }
}

/* In the mode SYNC the reservation's rows are part of the transaction. */
static aicp_status
write_want(aicpi_budget_core *c, aicpi_sql *db, aicpi_budget_pass_want *pw, aicp_error *err) {
    bool conflict = false;
    aicpi_budget_writer w = {.db = db, .node = node_of(c)};
    aicp_status s = AICP_OK;
    for (uint32_t i = 0; i < pw->count && s == AICP_OK; i++) {
        const aicpi_budget_pass_account *pa = &c->pass.accounts[pw->accounts[i]];
        aicpi_budget_cells cells = {
            .id = aicpi_slice_of(pw->record->id, pw->record->id_len),
            .account = id_of(pa),
            .seq = pa->seq,
            .amount = pw->amount,
            .estimate = pw->amount,
            .reserved_ns = c->pass.now_ns,
            .deadline_ns = c->pass.now_ns + (int64_t)pw->want->ttl_ns,
            .conflict = &conflict,
        };
        s = aicpi_budget_write(&w, &cells, err);
    }
    s = s == AICP_OK ? aicpi_budget_write_end(&w, err) : s;
    return s == AICP_OK && conflict ? AICP_ERR_STORE_BUSY : s;
}

/* ---- recalls ---- */

/* Asks all nodes to give back what they hold of the window without using it. */
static aicp_status
recall(aicpi_budget_core *c, aicpi_sql *db, aicpi_budget_pass_account *pa, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "UPDATE aicp_budget_window SET recall_ns = ? WHERE account = ? AND seq = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, c->pass.now_ns);
        aicpi_sql_bind_text(q, 2, id_of(pa).data, id_of(pa).len);
        aicpi_sql_bind_i64(q, 3, pa->seq);
        s = aicpi_sql_run(q, err);
    }
    if (s == AICP_OK) {
        s = aicpi_sql_prepare(
            db, "UPDATE aicp_budget_meta SET n = n + 1 WHERE k = 'recall'", &q, err);
    }
    s = s == AICP_OK ? aicpi_sql_run(q, err) : s;
    pa->recall_ns = c->pass.now_ns;
    pa->recalled = true;
    return s;
}

/* How many other nodes hold money of the window and have not answered its recall? */
static aicp_status count_silent(
    aicpi_budget_core *c,
    aicpi_sql *db,
    const aicpi_budget_pass_account *pa,
    int64_t *silent,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT count(*) FROM aicp_budget_hold WHERE account = ? AND seq = ? AND node <> ?"
        " AND amount > 0 AND answered_ns < ?",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id_of(pa).data, id_of(pa).len);
        aicpi_sql_bind_i64(q, 2, pa->seq);
        aicpi_sql_bind_text(q, 3, c->node, strlen(c->node));
        aicpi_sql_bind_i64(q, 4, pa->recall_ns);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        *silent = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    return s;
}

/* A want is refused although other nodes may hold money that they do not use: they are asked for
 * it, and the want waits for their answers. */
static aicp_status
consider_recall(aicpi_budget_core *c, aicpi_sql *db, aicpi_budget_pass_want *pw, aicp_error *err) {
    aicpi_budget_pass_account *pa = &c->pass.accounts[pw->accounts[pw->denied]];
    bool possible = pw->status == AICP_ERR_BUDGET_EXCEEDED && c->options.mode == AICP_LEDGER_HOLD &&
                    pa->nodes > 1 && pa->limit > pa->spent && pw->amount <= pa->limit - pa->spent;
    if (!possible) {
        return AICP_OK;
    }
    aicp_status s = pa->recalled ? AICP_OK : recall(c, db, pa, err);
    int64_t silent = 0;
    if (s == AICP_OK && pa->account->waited_ns != pa->recall_ns) {
        s = count_silent(c, db, pa, &silent, err);
    }
    pw->wait = silent > 0;
    return s;
}

static aicp_status decide_wants(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    aicpi_budget_pass *p = &c->pass;
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < p->wants_count && s == AICP_OK; i++) {
        aicpi_budget_pass_want *pw = &p->wants[i];
        bool known = false;
        s = look_up(db, pw, &known, err);
        if (s == AICP_OK) {
            decide(p, pw);
            s = consider_recall(c, db, pw, err);
        }
        bool granted = pw->status == AICP_OK && !pw->replayed;
        if (s == AICP_OK && granted && c->options.mode == AICP_LEDGER_SYNC) {
            s = write_want(c, db, pw, err);
        }
    }
    return s;
}

/* Are there nodes that have been silent for too long? Asked where their money would matter. */
static aicp_status look_for_dead(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    aicpi_budget_pass *p = &c->pass;
    bool wanted = p->maintain;
    for (size_t i = 0; i < p->wants_count; i++) {
        wanted = wanted || p->wants[i].status == AICP_ERR_BUDGET_EXCEEDED;
    }
    if (!wanted) {
        return AICP_OK;
    }
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "SELECT 1 FROM aicp_budget_node WHERE expires_ns <= ? LIMIT 1", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, p->now_ns);
        s = aicpi_sql_step(q, &p->dead, err);
    }
    if (s == AICP_OK) {
        aicpi_sql_reset(q);
    }
    return s;
}

/* ---- slices ---- */

static int64_t slice_size(const aicpi_budget_core *c, const aicpi_budget_pass_account *pa) {
    const aicpi_budget_account *a = pa->account;
    bool limited = pa->limit != AICP_LEDGER_UNLIMITED;
    int64_t base =
        limited ? pa->limit / c->options.slice_divisor : pa->most * UNLIMITED_SLICE_AMOUNTS;
    int64_t most = limited ? pa->limit / SLICE_PART : AICP_LEDGER_AMOUNT_MAX;
    uint64_t age = c->pass.began - a->slice_ns;
    int64_t slice = a->slice > base && age < SLOW_NS ? a->slice : base;
    if (a->slice > 0 && age < FAST_NS) {
        slice = slice < most / 2 ? slice * 2 : most;
    }
    return slice < most ? slice : most;
}

/* Free money for this node, while there is plenty for all. A node that leaves would keep it. */
static void grant_slice(const aicpi_budget_core *c, aicpi_budget_pass_account *pa) {
    pa->tight = c->options.mode == AICP_LEDGER_SYNC || pa->recalled || c->pass.closing;
    if (!pa->found || pa->tight) {
        return;
    }
    int64_t slice = slice_size(c, pa);
    int64_t left = pa->limit - pa->spent - pa->held;
    int64_t base = pa->limit / c->options.slice_divisor;
    if (pa->limit == AICP_LEDGER_UNLIMITED) {
        left = MONEY_MOST - pa->held;
        base = 0;
    }
    while (slice > base && slice > 0 && left / (2 * pa->nodes) < slice) {
        slice /= 2;
    }
    if (slice <= 0 || left / (2 * pa->nodes) < slice) {
        pa->tight = pa->limit != AICP_LEDGER_UNLIMITED;
    } else if (pa->wanted && !pa->rule.frozen) {
        pa->extra = slice;
        pa->grant += slice;
        pa->held += slice;
    }
}

/* ---- money ---- */

static aicp_status change_hold(
    aicpi_budget_core *c,
    aicpi_sql *db,
    aicpi_slice account,
    int64_t seq,
    int64_t amount,
    int64_t answered_ns,
    aicp_error *err) {
    static const char update[] = "UPDATE aicp_budget_hold SET amount = amount + ?, answered_ns = ?"
                                 " WHERE node = ? AND account = ? AND seq = ?";
    static const char insert[] =
        "INSERT INTO aicp_budget_hold (amount, answered_ns, node, account, seq)"
        " VALUES (?, ?, ?, ?, ?)";

    aicp_status s = AICP_OK;
    for (int i = 0; i < 2 && s == AICP_OK; i++) {
        aicpi_sql_stmt *q = NULL;
        s = aicpi_sql_prepare(db, i == 0 ? update : insert, &q, err);
        if (s == AICP_OK) {
            aicpi_sql_bind_i64(q, 1, amount);
            aicpi_sql_bind_i64(q, 2, answered_ns);
            aicpi_sql_bind_text(q, 3, c->node, strlen(c->node));
            aicpi_sql_bind_text(q, 4, account.data, account.len);
            aicpi_sql_bind_i64(q, 5, seq);
            s = aicpi_sql_run(q, err);
        }
        if (s == AICP_OK && aicpi_sql_changes(db) == 1) {
            return s;
        }
    }
    return s == AICP_OK ? aicpi_fail(err, AICP_ERR_STORE, "a hold could not be written") : s;
}

/* Holds of closed windows disappear with their last money. */
static aicp_status
drop_hold(aicpi_budget_core *c, aicpi_sql *db, aicpi_slice account, int64_t seq, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "DELETE FROM aicp_budget_hold"
        " WHERE node = ? AND account = ? AND seq = ? AND amount = 0",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, c->node, strlen(c->node));
        aicpi_sql_bind_text(q, 2, account.data, account.len);
        aicpi_sql_bind_i64(q, 3, seq);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

/* The recall that this node's hold of the open window has answered. */
static int64_t open_answer(const aicpi_budget_pass_account *pa) {
    const aicpi_budget_hold *h = pa->account->current;
    return h && h->seq == pa->seq ? h->answered_ns : 0;
}

static aicp_status write_money(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    aicpi_budget_pass *p = &c->pass;
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < p->deltas_count && s == AICP_OK; i++) {
        const aicpi_budget_delta *d = &p->deltas[i];
        aicpi_budget_pass_account *pa = &p->accounts[d->account];
        bool open = pa->found && pa->seq == d->hold->seq;
        int64_t held = (open ? pa->grant : 0) - d->release - d->give_back;
        pa->written = pa->written || open;
        s = aicpi_budget_add(db, id_of(pa), d->hold->seq, d->spent - d->unspent, held, err);
        s = s == AICP_OK
                ? aicpi_budget_note_spend(db, id_of(pa), p->now_ns, d->spent - d->unspent, err)
                : s;
        if (s == AICP_OK && (held != 0 || d->answer != d->hold->answered_ns)) {
            s = change_hold(c, db, id_of(pa), d->hold->seq, held, d->answer, err);
        }
        if (s == AICP_OK && (!open || p->closing) && held < 0) {
            s = drop_hold(c, db, id_of(pa), d->hold->seq, err);
        }
    }
    for (size_t i = 0; i < p->accounts_count && s == AICP_OK; i++) {
        const aicpi_budget_pass_account *pa = &p->accounts[i];
        if (!pa->written && pa->grant > 0) {
            s = aicpi_budget_add(db, id_of(pa), pa->seq, 0, pa->grant, err);
            s = s == AICP_OK
                    ? change_hold(c, db, id_of(pa), pa->seq, pa->grant, open_answer(pa), err)
                    : s;
        }
    }
    return s;
}

static aicp_status on_raised(void *user, const aicp_ledger_event *e, aicp_error *err) {
    aicpi_budget_core *c = user;
    aicpi_budget_pass *p = &c->pass;
    if (!aicpi_grow(
            &c->allocator,
            (void **)&p->events,
            &p->events_capacity,
            p->events_count,
            sizeof *p->events)) {
        return aicpi_nomem(err);
    }
    p->events[p->events_count++] = *e;
    return AICP_OK;
}

static aicp_status raise_events(aicpi_budget_core *c, aicpi_sql *db, aicp_error *err) {
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < c->pass.accounts_count && s == AICP_OK; i++) {
        aicpi_budget_pass_account *pa = &c->pass.accounts[i];
        aicpi_budget_passing passing = {
            .id = id_of(pa),
            .node = node_of(c),
            .rule = &pa->rule,
            .limit = pa->limit,
            .seq = pa->seq,
            .end_ns = pa->end_ns,
            .spent = pa->spent,
            .now_ns = c->pass.now_ns,
            .known = &pa->raised,
        };
        s = pa->found ? aicpi_budget_raise(db, &passing, on_raised, c, err) : AICP_OK;
    }
    return s;
}

aicp_status aicpi_budget_run(aicpi_sql *db, void *core, aicp_error *err) {
    aicpi_budget_core *c = core;
    reset_outputs(&c->pass);
    aicp_status s = aicpi_sql_now(db, &c->pass.now_ns, err);
    s = s == AICP_OK ? touch_node(c, db, err) : s;
    s = s == AICP_OK ? read_changed(c, db, err) : s;
    s = s == AICP_OK ? load_accounts(c, db, err) : s;
    s = s == AICP_OK ? write_rows(c, db, err) : s;
    if (s != AICP_OK) {
        return s;
    }
    count_deltas(&c->pass);
    s = raise_events(c, db, err);
    s = s == AICP_OK ? decide_wants(c, db, err) : s;
    s = s == AICP_OK ? look_for_dead(c, db, err) : s;
    if (s != AICP_OK) {
        return s;
    }
    for (size_t i = 0; i < c->pass.accounts_count; i++) {
        grant_slice(c, &c->pass.accounts[i]);
    }
    return write_money(c, db, err);
}
