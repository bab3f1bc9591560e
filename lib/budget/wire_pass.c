/* A pass on the wire. */
#include "lib/budget/wire.h"

#include <string.h>

#define MONEY_MOST (INT64_MAX / 2)
#define EVENTS_MOST 100000
#define CHANGED_MOST ((size_t)4 << 20)
#define AGE_MOST ((uint64_t)1 << 61)
#define BEGAN ((uint64_t)1 << 62) /* the reader's monotonic clock, which only ages refer to */

static void wire_money(aicpi_wire *w, int64_t *nano) {
    aicpi_wire_i64(w, nano, 0, MONEY_MOST);
}

static void wire_amount(aicpi_wire *w, int64_t *nano) {
    aicpi_wire_i64(w, nano, 0, AICP_LEDGER_AMOUNT_MAX);
}

static void wire_any(aicpi_wire *w, int64_t *value) {
    aicpi_wire_i64(w, value, INT64_MIN, INT64_MAX);
}

static void wire_positive(aicpi_wire *w, int64_t *value) {
    aicpi_wire_i64(w, value, 0, INT64_MAX);
}

/* An index below `count`. */
static void wire_index(aicpi_wire *w, size_t *index, size_t count) {
    int64_t v = (int64_t)*index;
    w->bad = w->bad || count == 0;
    aicpi_wire_i64(w, &v, 0, count > 0 ? (int64_t)count - 1 : 0);
    *index = w->bad && !w->out ? 0 : (size_t)v;
}

/* ---- request ---- */

static aicpi_budget_hold *
make_hold(aicpi_wire *w, aicpi_budget_account *a, int64_t seq, int64_t answered_ns) {
    aicpi_budget_hold *h = aicpi_wire_make(w, 1, sizeof *h);
    if (h) {
        h->account = a;
        h->seq = seq;
        h->answered_ns = answered_ns;
    }
    return h;
}

static void wire_account(aicpi_wire *w, aicpi_budget_core *c, aicpi_budget_pass_account *pa) {
    aicpi_budget_account *a = w->out ? pa->account : aicpi_wire_make(w, 1, sizeof *a);
    if (!a) {
        return;
    }
    aicpi_slice id = aicpi_slice_of(a->id, a->id_len);
    int64_t raised = a->raised;
    uint64_t age = c->pass.began - a->slice_ns;
    int64_t seq = a->current ? a->current->seq : 0;
    int64_t answered = a->current ? a->current->answered_ns : 0;
    int64_t waited = a->waited_ns;
    age = age < AGE_MOST ? age : AGE_MOST;
    aicpi_wire_text(w, &id, 1, AICP_LEDGER_ACCOUNT_MAX);
    aicpi_wire_bool(w, &pa->wanted);
    wire_positive(w, &a->rule.rev);
    wire_positive(w, &a->raised_seq);
    aicpi_wire_i64(w, &raised, 0, UINT32_MAX);
    wire_positive(w, &a->nodes);
    wire_money(w, &a->slice);
    aicpi_wire_u64(w, &age, AGE_MOST);
    wire_any(w, &waited);
    wire_positive(w, &seq);
    wire_any(w, &answered);
    if (w->out || w->bad) {
        return;
    }
    a->id = aicpi_arena_strndup(w->arena, id.data, id.len);
    a->id_len = id.len;
    a->raised = (uint32_t)raised;
    a->waited_ns = waited;
    a->slice_ns = BEGAN - age;
    a->current = seq > 0 ? make_hold(w, a, seq, answered) : NULL;
    a->recovery = make_hold(w, a, 0, 0);
    w->bad = w->bad || !a->id;
    pa->account = a;
}

static void wire_accounts(aicpi_wire *w, aicpi_budget_core *c) {
    aicpi_budget_pass *p = &c->pass;
    aicpi_wire_count(w, &p->accounts_count, AICPI_WIRE_ROWS);
    if (!w->out) {
        p->accounts = aicpi_wire_make(w, p->accounts_count, sizeof *p->accounts);
        p->accounts_count = w->bad ? 0 : p->accounts_count;
    }
    for (size_t i = 0; i < p->accounts_count && !w->bad; i++) {
        wire_account(w, c, &p->accounts[i]);
    }
}

static void wire_deltas(aicpi_wire *w, aicpi_budget_pass *p) {
    aicpi_wire_count(w, &p->deltas_count, AICPI_WIRE_ROWS);
    if (!w->out) {
        p->deltas = aicpi_wire_make(w, p->deltas_count, sizeof *p->deltas);
        p->deltas_count = w->bad ? 0 : p->deltas_count;
    }
    for (size_t i = 0; i < p->deltas_count && !w->bad; i++) {
        aicpi_budget_delta *d = &p->deltas[i];
        int64_t seq = w->out ? d->hold->seq : 0;
        int64_t answered = w->out ? d->hold->answered_ns : 0;
        wire_index(w, &d->account, p->accounts_count);
        aicpi_wire_i64(w, &seq, 1, INT64_MAX);
        wire_any(w, &answered);
        wire_money(w, &d->give_back);
        wire_any(w, &d->answer);
        if (!w->out && !w->bad) {
            d->hold = make_hold(w, p->accounts[d->account].account, seq, answered);
        }
    }
}

/* The holds of a record: by delta, or by account when it is to be settled by its rows. Reading adds
 * up what the deltas come to, so that rows and money cannot disagree. */
static void wire_holds(aicpi_wire *w, aicpi_budget_pass *p, aicpi_budget_row *row) {
    aicpi_budget_record *r = row->record;
    bool recover = row->flags & FLAG_RECOVER;
    size_t count = r->count;
    aicpi_wire_count(w, &count, AICP_LEDGER_ACCOUNTS_MAX);
    w->bad = w->bad || count == 0;
    for (size_t i = 0; i < count && !w->bad; i++) {
        size_t index = 0;
        if (w->out) {
            index = recover ? r->holds[i]->account->pass_index - 1 : r->holds[i]->delta - 1;
        }
        wire_index(w, &index, recover ? p->accounts_count : p->deltas_count);
        if (w->out || w->bad) {
            continue;
        }
        r->holds[i] = recover ? p->accounts[index].account->recovery : p->deltas[index].hold;
        if (!recover) {
            p->deltas[index].spent += row->to_spend;
            p->deltas[index].release += row->to_release;
        }
    }
    if (!w->out && !w->bad) {
        r->count = (uint32_t)count;
    }
}

static void wire_row(aicpi_wire *w, aicpi_budget_pass *p, aicpi_budget_row *row) {
    aicpi_budget_record *r = w->out ? row->record : aicpi_wire_make(w, 1, sizeof *r);
    if (!r) {
        return;
    }
    aicpi_slice id = aicpi_slice_of(r->id, r->id_len);
    int32_t flags = row->flags & (FLAG_STORED_MASK | FLAG_STORED | FLAG_RECOVER);
    aicpi_wire_text(w, &id, 1, AICP_LEDGER_ID_MAX);
    aicpi_wire_i32(w, &row->state, ROW_PENDING, ROW_EXPIRED);
    aicpi_wire_i32(w, &flags, 0, FLAG_STORED_MASK | FLAG_STORED | FLAG_RECOVER);
    wire_amount(w, &row->actual);
    aicpi_wire_i64(w, &row->to_spend, -AICP_LEDGER_AMOUNT_MAX, AICP_LEDGER_AMOUNT_MAX);
    wire_amount(w, &row->to_release);
    wire_any(w, &row->deadline_ns);
    wire_amount(w, &row->estimate);
    wire_amount(w, &r->amount);
    wire_any(w, &r->reserved_at_ns);
    if (!w->out && !w->bad) {
        memcpy(r->id, id.data, id.len);
        r->id_len = (uint32_t)id.len;
        row->record = r;
        row->flags = flags;
    }
    if (!w->bad) {
        wire_holds(w, p, row);
    }
}

static void
wire_want_account(aicpi_wire *w, aicpi_budget_pass *p, aicpi_budget_pass_want *pw, uint32_t i) {
    int64_t seq = w->out && pw->holds[i] ? pw->holds[i]->seq : 0;
    wire_index(w, &pw->accounts[i], p->accounts_count);
    wire_amount(w, &pw->earmarked[i]);
    wire_positive(w, &seq);
    if (w->out || w->bad) {
        return;
    }
    aicpi_budget_account *a = p->accounts[pw->accounts[i]].account;
    pw->want->names[i] = aicpi_slice_of(a->id, a->id_len);
    pw->holds[i] = seq > 0 ? make_hold(w, a, seq, 0) : NULL;
    /* Sorted and each once, as everybody locks them. */
    w->bad = w->bad || pw->earmarked[i] > pw->amount ||
             (i > 0 && aicpi_slice_cmp(pw->want->names[i - 1], pw->want->names[i]) >= 0);
}

static void wire_want(aicpi_wire *w, aicpi_budget_pass *p, aicpi_budget_pass_want *pw) {
    if (!w->out) {
        pw->want = aicpi_wire_make(w, 1, sizeof *pw->want);
        pw->record = aicpi_wire_make(w, 1, sizeof *pw->record);
    }
    if (!pw->want || !pw->record) {
        return;
    }
    aicpi_slice id = aicpi_slice_of(pw->record->id, pw->record->id_len);
    size_t count = pw->count;
    aicpi_wire_text(w, &id, 1, AICP_LEDGER_ID_MAX);
    wire_amount(w, &pw->amount);
    aicpi_wire_u64(w, &pw->want->ttl_ns, 24 * 3600 * UINT64_C(1000000000));
    aicpi_wire_bool(w, &pw->want->unknown_price);
    aicpi_wire_count(w, &count, AICP_LEDGER_ACCOUNTS_MAX);
    w->bad = w->bad || count == 0;
    if (!w->out && !w->bad) {
        memcpy(pw->record->id, id.data, id.len);
        pw->record->id_len = (uint32_t)id.len;
        pw->count = (uint32_t)count;
    }
    for (uint32_t i = 0; i < count && !w->bad; i++) {
        wire_want_account(w, p, pw, i);
    }
}

static void wire_node(aicpi_wire *w, aicpi_budget_core *c) {
    aicpi_slice name = aicpi_slice_cstr(c->name);
    int64_t divisor = c->options.slice_divisor;
    aicpi_wire_i64(w, &c->pass.batch, 1, INT64_MAX);
    aicpi_wire_bool(w, &c->registered);
    aicpi_wire_text(w, &name, 1, sizeof c->name - 1);
    aicpi_wire_i32(w, &c->options.mode, AICP_LEDGER_HOLD, AICP_LEDGER_SYNC);
    aicpi_wire_u64(w, &c->options.hold_ttl_ns, 24 * 3600 * UINT64_C(1000000000));
    aicpi_wire_i64(w, &divisor, 1, UINT32_MAX);
    aicpi_wire_bool(w, &c->pass.maintain);
    aicpi_wire_bool(w, &c->pass.closing);
    wire_positive(w, &c->top_rev);
    wire_any(w, &c->top_recall_ns);
    if (!w->out && !w->bad) {
        memcpy(c->name, name.data, name.len);
        c->name[name.len] = '\0';
        c->options.slice_divisor = (uint32_t)divisor;
        c->pass.began = BEGAN;
    }
}

void aicpi_wire_pass(aicpi_wire *w, aicpi_budget_core *c) {
    aicpi_budget_pass *p = &c->pass;
    wire_node(w, c);
    wire_accounts(w, c);
    wire_deltas(w, p);
    aicpi_wire_count(w, &p->rows_count, AICPI_WIRE_ROWS);
    if (!w->out) {
        p->rows = aicpi_wire_make(w, p->rows_count, sizeof *p->rows);
        p->rows_count = w->bad ? 0 : p->rows_count;
    }
    for (size_t i = 0; i < p->rows_count && !w->bad; i++) {
        wire_row(w, p, &p->rows[i]);
    }
    aicpi_wire_count(w, &p->wants_count, AICPI_BUDGET_WANTS);
    if (!w->out) {
        p->wants = aicpi_wire_make(w, p->wants_count, sizeof *p->wants);
        p->wants_count = w->bad ? 0 : p->wants_count;
    }
    for (size_t i = 0; i < p->wants_count && !w->bad; i++) {
        wire_want(w, p, &p->wants[i]);
    }
}

/* ---- result ---- */

static void wire_rule(aicpi_wire *w, aicpi_budget_rule *rule) {
    wire_positive(w, &rule->rev);
    aicpi_wire_i64(w, &rule->limit, AICP_LEDGER_UNLIMITED, AICP_LEDGER_LIMIT_MAX);
    wire_money(w, &rule->temp_increase);
    wire_any(w, &rule->temp_until_ns);
    wire_money(w, &rule->rollover_max);
    wire_any(w, &rule->anchor_ns);
    aicpi_wire_i32(w, &rule->align, 0, INT32_MAX);
    aicpi_wire_i32(w, &rule->unknown_price, 0, AICP_BUDGET_UNKNOWN_ALLOW);
    aicpi_wire_i32(w, &rule->frozen, 0, 1);
    aicpi_wire_i32(w, &rule->percents_count, 0, AICP_LEDGER_THRESHOLDS_MAX);
    for (int32_t i = 0; i < rule->percents_count && !w->bad; i++) {
        aicpi_wire_i32(w, &rule->percents[i], 0, INT32_MAX);
    }
    aicpi_wire_i32(w, &rule->amounts_count, 0, AICP_LEDGER_THRESHOLDS_MAX);
    for (int32_t i = 0; i < rule->amounts_count && !w->bad; i++) {
        wire_positive(w, &rule->amounts[i]);
    }
}

static void wire_account_result(aicpi_wire *w, aicpi_budget_pass_account *pa) {
    int64_t raised = pa->raised;
    aicpi_wire_bool(w, &pa->found);
    if (!pa->found || w->bad) {
        return;
    }
    wire_rule(w, &pa->rule);
    aicpi_wire_i64(w, &pa->seq, 1, INT64_MAX);
    wire_any(w, &pa->start_ns);
    wire_any(w, &pa->end_ns);
    wire_any(w, &pa->spent);
    wire_any(w, &pa->held);
    wire_any(w, &pa->recall_ns);
    aicpi_wire_i64(w, &pa->limit, AICP_LEDGER_UNLIMITED, INT64_MAX);
    aicpi_wire_i64(w, &pa->nodes, 1, INT64_MAX);
    wire_money(w, &pa->grant);
    aicpi_wire_i64(w, &pa->extra, 0, w->out ? INT64_MAX : pa->grant);
    aicpi_wire_i64(w, &raised, 0, UINT32_MAX);
    aicpi_wire_bool(w, &pa->tight);
    pa->raised = (uint32_t)raised;
}

static void wire_want_result(aicpi_wire *w, aicpi_budget_pass_want *pw) {
    int32_t status = (int32_t)pw->status;
    int32_t denied = (int32_t)pw->denied;
    aicpi_wire_i32(w, &status, 0, AICP_ERR_CORRUPT);
    /* A judgement over all accounts ends on the last one, or on the one that refuses. */
    aicpi_wire_i32(w, &denied, 0, (int32_t)pw->count - 1);
    wire_money(w, &pw->remaining);
    aicpi_wire_bool(w, &pw->replayed);
    aicpi_wire_bool(w, &pw->wait);
    wire_any(w, &pw->reserved_at_ns);
    for (uint32_t i = 0; i < pw->count && !w->bad; i++) {
        aicpi_wire_bool(w, &pw->usable[i]);
        aicpi_wire_i64(w, &pw->pooled[i], 0, w->out ? INT64_MAX : pw->amount);
    }
    pw->status = (aicp_status)status;
    pw->denied = (uint32_t)denied;
}

static void wire_event(aicpi_wire *w, aicp_ledger_event *e) {
    aicpi_slice account = aicpi_slice_of(e->account, e->account_len);
    aicpi_wire_text(w, &account, 1, AICP_LEDGER_ACCOUNT_MAX);
    wire_positive(w, &e->window);
    wire_any(w, &e->window_end_ns);
    wire_positive(w, &e->threshold_nano);
    aicpi_wire_i32(w, &e->threshold_percent, 0, INT32_MAX);
    wire_any(w, &e->spent_nano);
    wire_any(w, &e->limit_nano);
    if (!w->out && !w->bad) {
        e->size = sizeof *e;
        e->account_len = (uint32_t)account.len;
        memcpy(e->account, account.data, account.len);
    }
}

static void wire_events(aicpi_wire *w, aicpi_budget_core *c) {
    aicpi_budget_pass *p = &c->pass;
    size_t count = p->events_count;
    aicpi_wire_count(w, &count, EVENTS_MOST);
    for (size_t i = 0; i < count && !w->bad; i++) {
        aicp_ledger_event own = {0};
        wire_event(w, w->out ? &p->events[i] : &own);
        if (w->out || w->bad) {
            continue;
        }
        w->bad = !aicpi_grow(
            &c->allocator,
            (void **)&p->events,
            &p->events_capacity,
            p->events_count,
            sizeof *p->events);
        if (!w->bad) {
            p->events[p->events_count++] = own;
        }
    }
}

void aicpi_wire_pass_result(aicpi_wire *w, aicpi_budget_core *c) {
    aicpi_budget_pass *p = &c->pass;
    aicpi_slice changed = aicpi_slice_of(p->changed.data, p->changed.len);
    wire_any(w, &p->now_ns);
    aicpi_wire_bool(w, &p->dead);
    wire_positive(w, &p->top_rev);
    wire_any(w, &p->top_recall_ns);
    aicpi_wire_bytes(w, &changed, CHANGED_MOST);
    if (!w->out) {
        p->events_count = 0;
        aicpi_strbuf_clear(&p->changed);
        aicpi_strbuf_append(&p->changed, changed.data, changed.len);
        w->bad = w->bad || p->changed.failed;
    }
    for (size_t i = 0; i < p->accounts_count && !w->bad; i++) {
        wire_account_result(w, &p->accounts[i]);
    }
    for (size_t i = 0; i < p->deltas_count && !w->bad; i++) {
        wire_any(w, &p->deltas[i].unspent);
    }
    for (size_t i = 0; i < p->rows_count && !w->bad; i++) {
        int32_t outcome = (int32_t)p->rows[i].outcome;
        aicpi_wire_bool(w, &p->rows[i].conflict);
        aicpi_wire_i32(w, &outcome, 0, AICP_ERR_CORRUPT);
        wire_any(w, &p->rows[i].amount);
        p->rows[i].outcome = (aicp_status)outcome;
    }
    for (size_t i = 0; i < p->wants_count && !w->bad; i++) {
        wire_want_result(w, &p->wants[i]);
    }
    if (!w->bad) {
        wire_events(w, c);
    }
}
