/* The two ends of a pass in memory: what there is to do, and what came of it. */
#include "lib/budget/budget_internal.h"

#include "lib/base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- collecting ---- */

static aicpi_budget_hold *new_hold(aicpi_budget_core *c, aicpi_budget_account *a) {
    aicpi_budget_hold *h = aicpi_calloc(&c->allocator, 1, sizeof *h);
    if (h) {
        h->account = a;
    }
    return h;
}

/* Index of the account in the pass, or SIZE_MAX. Makes sure that a new window has its hold. */
static size_t add_account(aicpi_budget_core *c, aicpi_budget_account *a) {
    aicpi_budget_pass *p = &c->pass;
    if (a->pass_index) {
        return a->pass_index - 1;
    }
    if (!a->spare && !(a->spare = new_hold(c, a))) {
        return SIZE_MAX;
    }
    if (!aicpi_grow(
            &c->allocator,
            (void **)&p->accounts,
            &p->accounts_capacity,
            p->accounts_count,
            sizeof *p->accounts)) {
        return SIZE_MAX;
    }
    p->accounts[p->accounts_count] = (aicpi_budget_pass_account){.account = a};
    a->pass_index = ++p->accounts_count;
    return a->pass_index - 1;
}

static aicpi_budget_delta *add_delta(aicpi_budget_core *c, aicpi_budget_hold *h) {
    aicpi_budget_pass *p = &c->pass;
    if (h->delta) {
        return &p->deltas[h->delta - 1];
    }
    size_t account = add_account(c, h->account);
    if (account == SIZE_MAX || !aicpi_grow(
                                   &c->allocator,
                                   (void **)&p->deltas,
                                   &p->deltas_capacity,
                                   p->deltas_count,
                                   sizeof *p->deltas)) {
        return NULL;
    }
    p->deltas[p->deltas_count] =
        (aicpi_budget_delta){.hold = h, .account = account, .answer = h->answered_ns};
    h->delta = ++p->deltas_count;
    return &p->deltas[h->delta - 1];
}

static aicp_status add_give_backs(aicpi_budget_core *c, aicpi_budget_account *a, uint64_t now) {
    int64_t wall = aicpi_budget_wall(c);
    for (aicpi_budget_hold *h = a->holds; h; h = h->next) {
        bool closed = h != a->current || wall >= h->end_ns;
        bool idle = now - h->used_ns >= c->options.idle_ns;
        bool recalled = h == a->current && a->recall_ns > h->answered_ns;
        if (a->tight || a->stale || closed || idle || recalled || c->pass.closing) {
            h->give_back += h->free;
            h->free = 0;
        }
        if (h->give_back != 0 || recalled) {
            aicpi_budget_delta *d = add_delta(c, h);
            if (!d) {
                return AICP_ERR_NOMEM;
            }
            d->give_back += h->give_back;
            d->answer = recalled ? a->recall_ns : h->answered_ns;
            h->give_back = 0;
        }
    }
    return AICP_OK;
}

/* Sets free money aside for a want, so that only the rest is asked for. */
static void earmark(aicpi_budget_pass_want *pw, uint32_t i, aicpi_budget_account *a) {
    aicpi_budget_hold *h = a->current;
    pw->holds[i] = h;
    pw->earmarked[i] = 0;
    if (h) {
        int64_t taken = h->free < pw->amount ? h->free : pw->amount;
        h->free -= taken;
        h->earmarked += taken;
        pw->earmarked[i] = taken;
    }
}

static aicp_status add_want(aicpi_budget_core *c, aicpi_budget_want *w) {
    aicpi_budget_pass *p = &c->pass;
    if (!aicpi_grow(
            &c->allocator,
            (void **)&p->wants,
            &p->wants_capacity,
            p->wants_count,
            sizeof *p->wants)) {
        return AICP_ERR_NOMEM;
    }
    aicpi_budget_pass_want *pw = &p->wants[p->wants_count];
    memset(pw, 0, sizeof *pw);
    pw->want = w;
    pw->count = w->count;
    pw->amount = w->amount;
    for (uint32_t i = 0; i < w->count; i++) {
        aicpi_budget_account *a = aicpi_budget_account_get(c, w->names[i], true);
        pw->accounts[i] = a ? add_account(c, a) : SIZE_MAX;
        if (pw->accounts[i] == SIZE_MAX) {
            return AICP_ERR_NOMEM;
        }
        p->accounts[pw->accounts[i]].wanted = true;
    }
    pw->record = aicpi_budget_record_new(&c->table, w->id);
    if (!pw->record) {
        return AICP_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        earmark(pw, i, p->accounts[pw->accounts[i]].account);
    }
    p->wants_count++;
    return AICP_OK;
}

static aicp_status add_wants(aicpi_budget_core *c) {
    while (c->queue_first && c->pass.wants_count < AICPI_BUDGET_WANTS) {
        aicpi_budget_want *w = c->queue_first;
        aicp_status s = add_want(c, w);
        if (s != AICP_OK) {
            return s;
        }
        c->queue_first = w->next;
        if (!c->queue_first) {
            c->queue_last = NULL;
        }
        w->queued = false;
    }
    return AICP_OK;
}

/* Reserves the places of one record before anything of it is changed. */
static aicp_status prepare_row(aicpi_budget_core *c, aicpi_budget_record *r) {
    aicpi_budget_pass *p = &c->pass;
    for (uint32_t i = 0; i < r->count; i++) {
        bool ok = r->flags & FLAG_RECOVER ? add_account(c, r->holds[i]->account) != SIZE_MAX
                                          : add_delta(c, r->holds[i]) != NULL;
        if (!ok) {
            return AICP_ERR_NOMEM;
        }
    }
    bool ok = aicpi_grow(
        &c->allocator, (void **)&p->rows, &p->rows_capacity, p->rows_count, sizeof *p->rows);
    return ok ? AICP_OK : AICP_ERR_NOMEM;
}

static void add_row(aicpi_budget_core *c, aicpi_budget_record *r) {
    aicpi_budget_pass *p = &c->pass;
    for (uint32_t i = 0; i < r->count && !(r->flags & FLAG_RECOVER); i++) {
        aicpi_budget_delta *d = &p->deltas[r->holds[i]->delta - 1];
        d->spent += r->to_spend;
        d->release += r->to_release;
    }
    p->rows[p->rows_count++] = (aicpi_budget_row){
        .record = r,
        .state = r->state,
        .flags = r->flags,
        .actual = r->actual,
        .to_spend = r->to_spend,
        .to_release = r->to_release,
        .deadline_ns = r->deadline_ns,
        .estimate = r->estimate,
        .outcome = AICP_OK,
    };
    r->to_spend = 0;
    r->to_release = 0;
    aicpi_budget_list_remove(&c->dirty, r);
    r->flags = (r->flags & ~FLAG_DIRTY) | FLAG_BUSY;
    c->busy++;
}

static aicp_status add_rows(aicpi_budget_core *c) {
    while (c->dirty.first && c->pass.rows_count < c->options.batch) {
        aicp_status s = prepare_row(c, c->dirty.first);
        if (s != AICP_OK) {
            return s;
        }
        add_row(c, c->dirty.first);
    }
    return AICP_OK;
}

static aicp_status add_rest(aicpi_budget_core *c, bool maintain, uint64_t now) {
    size_t pos = 0;
    aicp_status s = AICP_OK;
    for (aicpi_map_slot *slot; s == AICP_OK && (maintain || c->hungry > 0) &&
                               (slot = aicpi_map_next(&c->accounts, &pos)) != NULL;) {
        aicpi_budget_account *a = slot->value.ptr;
        if (a->hungry) {
            size_t i = add_account(c, a);
            if (i == SIZE_MAX) {
                return AICP_ERR_NOMEM;
            }
            c->pass.accounts[i].wanted = true;
            a->hungry = false;
            c->hungry--;
        }
        if (maintain) {
            s = add_give_backs(c, a, now);
        }
    }
    for (size_t i = 0; s == AICP_OK && i < c->pass.accounts_count; i++) {
        s = add_give_backs(c, c->pass.accounts[i].account, now);
    }
    return s;
}

static int by_id(const void *x, const void *y, void *user) {
    const aicpi_budget_pass *p = user;
    const aicpi_budget_account *a = p->accounts[*(const size_t *)x].account;
    const aicpi_budget_account *b = p->accounts[*(const size_t *)y].account;
    return aicpi_slice_cmp(aicpi_slice_of(a->id, a->id_len), aicpi_slice_of(b->id, b->id_len));
}

/* All nodes lock accounts in the same order. */
aicp_status aicpi_budget_order(aicpi_budget_core *c) {
    aicpi_budget_pass *p = &c->pass;
    for (size_t i = 0; i < p->accounts_count; i++) {
        if (!aicpi_grow(&c->allocator, (void **)&p->order, &p->order_capacity, i, sizeof(size_t))) {
            return AICP_ERR_NOMEM;
        }
        p->order[i] = i;
    }
    if (p->accounts_count > 1) {
        qsort_r(p->order, p->accounts_count, sizeof(size_t), by_id, p);
    }
    return AICP_OK;
}

aicp_status aicpi_budget_collect(aicpi_budget_core *c, bool maintain, aicp_error *err) {
    aicpi_budget_pass *p = &c->pass;
    p->wants_count = 0;
    p->accounts_count = 0;
    p->deltas_count = 0;
    p->rows_count = 0;
    p->events_count = 0;
    p->maintain = maintain;
    p->closing = c->closing;
    uint64_t now = aicpi_budget_mono(c);
    (void)aicpi_budget_expire(c, now);
    aicp_status s = add_wants(c);
    s = s == AICP_OK ? add_rows(c) : s;
    s = s == AICP_OK ? add_rest(c, maintain, now) : s;
    s = s == AICP_OK ? aicpi_budget_order(c) : s;
    if (s != AICP_OK) {
        aicp_error nomem = {0};
        s = aicpi_nomem(&nomem);
        aicpi_budget_apply(c, false, s, &nomem);
        return aicpi_nomem(err);
    }
    return AICP_OK;
}

/* ---- applying ---- */

static void apply_deltas(aicpi_budget_core *c, bool committed) {
    for (size_t i = 0; i < c->pass.deltas_count; i++) {
        aicpi_budget_delta *d = &c->pass.deltas[i];
        d->hold->delta = 0;
        if (committed) {
            d->hold->durable -= d->release + d->give_back;
            d->hold->unsent_release -= d->release;
            d->hold->unsent_spent -= d->spent;
            d->hold->answered_ns = d->answer;
        } else {
            d->hold->give_back += d->give_back;
        }
    }
}

static void open_hold(aicpi_budget_account *a, const aicpi_budget_pass_account *pa) {
    aicpi_budget_hold *h = a->current;
    if (!h || pa->seq > h->seq) {
        h = a->spare;
        a->spare = NULL;
        h->seq = pa->seq;
        h->next = a->holds;
        a->holds = h;
        a->current = h;
    }
    if (h->seq == pa->seq) {
        h->start_ns = pa->start_ns;
        h->end_ns = pa->end_ns;
    }
}

/* A recall that this node's hold has to answer with its next pass. */
static void note_recall(aicpi_budget_core *c, aicpi_budget_account *a, int64_t recall_ns) {
    if (recall_ns <= a->recall_ns) {
        return;
    }
    a->recall_ns = recall_ns;
    if (a->current && a->current->durable > 0) {
        c->answers++;
    }
}

static void apply_account(aicpi_budget_core *c, aicpi_budget_pass_account *pa) {
    aicpi_budget_account *a = pa->account;
    a->absent = !pa->found;
    a->known = pa->found;
    a->stale = false;
    a->looked_ns = c->pass.began;
    if (!pa->found) {
        return;
    }
    a->rule = pa->rule;
    if (pa->window) {
        aicp_budget_window_free(a->window);
        a->window = pa->window;
        a->window_rev = pa->rule.rev;
        pa->window = NULL;
    }
    open_hold(a, pa);
    a->limit = pa->limit;
    a->seen_spent = pa->spent;
    a->seen_held = pa->held;
    a->tight = pa->tight;
    a->nodes = pa->nodes;
    note_recall(c, a, pa->recall_ns);
    a->raised_seq = pa->seq;
    a->raised = pa->raised;
    a->current->durable += pa->grant;
    a->current->free += pa->extra;
    if (pa->extra > 0) {
        a->slice = pa->extra;
        a->slice_ns = c->pass.began;
        a->current->used_ns = c->pass.began;
    }
}

static void unmark_accounts(aicpi_budget_core *c, bool committed) {
    for (size_t i = 0; i < c->pass.accounts_count; i++) {
        aicpi_budget_pass_account *pa = &c->pass.accounts[i];
        pa->account->pass_index = 0;
        if (committed) {
            apply_account(c, pa);
        }
        aicp_budget_window_free(pa->window);
        pa->window = NULL;
    }
}

static void fill_result(
    aicp_ledger_result *r, const aicpi_budget_account *a, uint32_t index, int64_t remaining) {
    r->account = index;
    r->limit_nano = a->limit;
    r->remaining_nano = remaining;
    r->reset_at_ns = a->current ? a->current->end_ns : AICP_BUDGET_FOREVER;
    r->window = a->current ? a->current->seq : 0;
}

/* Money granted to a want becomes its reservation. */
static void admit(aicpi_budget_core *c, aicpi_budget_pass_want *pw, uint64_t now) {
    aicpi_budget_record *r = pw->record;
    r->count = pw->count;
    r->amount = pw->amount;
    for (uint32_t i = 0; i < pw->count; i++) {
        r->holds[i] = c->pass.accounts[pw->accounts[i]].account->current;
    }
    aicpi_budget_begin(c, r, now, pw->want->ttl_ns);
    if (c->options.mode == AICP_LEDGER_SYNC) {
        r->flags |= FLAG_STORED;
    }
    c->metrics.admitted++;
    aicpi_budget_want *w = pw->want;
    w->result.admitted = 1;
    w->result.reserved_at_ns = r->reserved_at_ns;
    const aicpi_budget_account *a = r->holds[0]->account;
    uint32_t tightest = 0;
    for (uint32_t i = 1; i < r->count; i++) {
        if (aicpi_budget_remaining(r->holds[i]->account) < aicpi_budget_remaining(a)) {
            a = r->holds[i]->account;
            tightest = i;
        }
    }
    fill_result(&w->result, a, w->indexes[tightest], aicpi_budget_remaining(a));
}

/* Takes the earmarked money back where it came from (or leaves it for the reservation). */
static void return_earmarks(aicpi_budget_pass_want *pw, bool used) {
    for (uint32_t i = 0; i < pw->count; i++) {
        aicpi_budget_hold *h = pw->holds[i];
        if (!h) {
            continue;
        }
        h->earmarked -= pw->earmarked[i];
        if (!used || !pw->usable[i]) {
            h->free += pw->earmarked[i];
        }
    }
}

static void refuse(aicpi_budget_core *c, aicpi_budget_pass_want *pw) {
    aicpi_budget_want *w = pw->want;
    aicpi_budget_account *a = c->pass.accounts[pw->accounts[pw->denied]].account;
    w->status = pw->status;
    w->saw_dead = c->pass.dead;
    w->wait = pw->wait;
    fill_result(&w->result, a, w->indexes[pw->denied], pw->remaining);
    if (pw->status == AICP_ERR_BUDGET_EXCEEDED && !pw->wait) {
        c->metrics.denied++;
        aicpi_budget_note_refusal(a, pw->amount);
    }
    (void)aicpi_fail(
        &w->err,
        pw->status,
        pw->status == AICP_ERR_BUDGET_EXCEEDED ? "budget of '%.*s' exceeded"
        : pw->status == AICP_ERR_FROZEN        ? "account '%.*s' is frozen"
        : pw->status == AICP_ERR_UNKNOWN_PRICE ? "price unknown, which '%.*s' does not allow"
        : pw->status == AICP_ERR_NOT_FOUND     ? "no budget account '%.*s'"
                                               : "id was used for another reservation (%.*s)",
        (int)a->id_len,
        a->id);
}

/* The same id was reserved by another thread while this want waited. */
static void replay(aicpi_budget_want *w, const aicpi_budget_record *r) {
    bool same = r->count == w->count && r->amount == w->amount;
    for (uint32_t i = 0; same && i < w->count; i++) {
        const aicpi_budget_account *a = r->holds[i]->account;
        same = aicpi_slice_eq(w->names[i], aicpi_slice_of(a->id, a->id_len));
    }
    w->status = AICP_OK;
    w->result.admitted = same;
    w->result.replayed = same;
    w->result.reserved_at_ns = r->reserved_at_ns;
    if (!same) {
        w->status = aicpi_fail(
            &w->err, AICP_ERR_EXISTS_DIFFERENT, "the id was used for another reservation");
    }
}

static void apply_want(aicpi_budget_core *c, aicpi_budget_pass_want *pw, uint64_t now) {
    aicpi_budget_want *w = pw->want;
    bool granted = pw->status == AICP_OK && !pw->replayed;
    const aicpi_budget_record *known = w ? aicpi_budget_find(&c->table, w->id) : NULL;
    return_earmarks(pw, granted);
    for (uint32_t i = 0; granted && i < pw->count; i++) {
        c->pass.accounts[pw->accounts[i]].account->current->free -= pw->pooled[i];
    }
    if (granted && w && !known) {
        admit(c, pw, now);
        w->status = AICP_OK;
    } else {
        for (uint32_t i = 0; granted && i < pw->count; i++) {
            c->pass.accounts[pw->accounts[i]].account->current->free += pw->amount;
        }
        aicpi_budget_record_recycle(&c->table, pw->record);
        if (w && known) {
            replay(w, known);
        } else if (w && pw->replayed) {
            w->status = AICP_OK;
            w->result.admitted = 1;
            w->result.replayed = 1;
            w->result.reserved_at_ns = pw->reserved_at_ns;
        } else if (w) {
            refuse(c, pw);
        }
    }
    if (w) {
        w->done = true;
    }
}

/* The pass failed. Wants whose time is not over go back into the queue when repeating can help. */
static void fail_want(
    aicpi_budget_core *c, aicpi_budget_pass_want *pw, aicp_status why, const aicp_error *err) {
    aicpi_budget_want *w = pw->want;
    if (c->pass.doubt) {
        pw->want = NULL; /* its money is still in question */
    } else {
        return_earmarks(pw, false);
        aicpi_budget_record_recycle(&c->table, pw->record);
    }
    if (!w) {
        return;
    }
    bool again = why == AICP_ERR_STATE || why == AICP_ERR_STORE_BUSY || why == AICP_ERR_TIMEOUT;
    if (again && !c->pass.doubt && aicpi_budget_mono(c) < w->deadline) {
        w->next = c->queue_first;
        c->queue_first = w;
        c->queue_last = c->queue_last ? c->queue_last : w;
        w->queued = true;
        return;
    }
    w->status = why;
    w->err = err ? *err : (aicp_error){0};
    w->done = true;
}

static void apply_rows(aicpi_budget_core *c, bool committed) {
    for (size_t i = 0; i < c->pass.rows_count; i++) {
        aicpi_budget_row *row = &c->pass.rows[i];
        aicpi_budget_record *r = row->record;
        if (!committed) {
            r->to_spend += row->to_spend;
            r->to_release += row->to_release;
            r->flags |= FLAG_DIRTY;
        } else {
            r->flags |= row->state == ROW_PENDING || row->state == ROW_POSTED ? FLAG_STORED : 0;
            r->outcome = row->outcome;
            aicpi_budget_unjournal(c, r);
            c->metrics.duplicates += row->conflict;
            if (row->flags & FLAG_RECOVER && row->state == ROW_POSTED) {
                r->flags &= ~FLAG_RECOVER;
                r->state = row->outcome == AICP_ERR_ALREADY_VOIDED ? ROW_VOIDED : r->state;
                c->metrics.recovered += row->outcome == AICP_OK;
            }
        }
        aicpi_budget_clean(c, r);
        c->busy--;
    }
}

static void apply_events(aicpi_budget_core *c) {
    for (size_t i = 0; i < c->pass.events_count; i++) {
        aicpi_budget_event_push(c, &c->pass.events[i]);
    }
}

/* Accounts that any node has put are read again before they are used; recalls are answered. */
static void apply_changed(aicpi_budget_core *c) {
    const aicpi_strbuf *b = &c->pass.changed;
    for (size_t at = 0; at + 3 <= b->len;) {
        const unsigned char *p = (const unsigned char *)b->data + at;
        size_t len = (size_t)p[1] << 8 | p[2];
        aicpi_slice id = aicpi_slice_of(b->data + at + 3, len);
        aicpi_budget_account *a = aicpi_budget_account_get(c, id, false);
        if (a && p[0] == 'r') {
            note_recall(c, a, c->pass.top_recall_ns);
        } else if (a && a->rule.rev < c->pass.top_rev) {
            a->stale = true;
            aicpi_budget_hungry(c, a);
        }
        at += 3 + len;
    }
    if (c->pass.maintain) {
        c->top_rev = c->pass.top_rev;
        c->top_recall_ns = c->pass.top_recall_ns;
    }
}

void aicpi_budget_apply(
    aicpi_budget_core *c, bool committed, aicp_status why, const aicp_error *err) {
    aicpi_budget_pass *p = &c->pass;
    uint64_t now = aicpi_budget_mono(c);
    if (p->doubt) {
        for (size_t i = 0; i < p->wants_count; i++) {
            fail_want(c, &p->wants[i], why, err);
        }
        return; /* all else waits for the answer */
    }
    apply_deltas(c, committed);
    unmark_accounts(c, committed);
    for (size_t i = 0; i < p->wants_count; i++) {
        if (committed) {
            apply_want(c, &p->wants[i], now);
        } else {
            fail_want(c, &p->wants[i], why, err);
        }
    }
    apply_rows(c, committed);
    if (committed) {
        apply_events(c);
        apply_changed(c);
        for (size_t i = 0; i < p->deltas_count; i++) {
            if (!aicpi_budget_balanced(p->deltas[i].hold)) {
                aicpi_log_write(&c->log, AICP_LOG_ERROR, "the parts of a hold do not add up");
            }
            aicpi_budget_hold_drop(c, p->deltas[i].hold);
        }
    }
    p->accounts_count = 0;
    p->deltas_count = 0;
    p->wants_count = 0;
    pthread_cond_broadcast(&c->changed);
}

void aicpi_budget_pass_deinit(aicpi_budget_core *c) {
    aicpi_budget_pass *p = &c->pass;
    for (size_t i = 0; i < p->accounts_count; i++) {
        aicp_budget_window_free(p->accounts[i].window);
    }
    aicpi_free(&c->allocator, p->wants);
    aicpi_free(&c->allocator, p->accounts);
    aicpi_free(&c->allocator, p->order);
    aicpi_free(&c->allocator, p->deltas);
    aicpi_free(&c->allocator, p->rows);
    aicpi_free(&c->allocator, p->events);
    aicpi_strbuf_deinit(&p->changed);
}
