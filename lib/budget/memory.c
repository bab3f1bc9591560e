/* Accounts and holds in memory, and the moves of money between the parts of a hold. All need the
 * lock. */
#include "lib/budget/budget_internal.h"

#include <string.h>

aicpi_budget_account *aicpi_budget_account_get(aicpi_budget_core *c, aicpi_slice id, bool make) {
    aicpi_map_slot *slot = aicpi_map_find(&c->accounts, id.data, id.len);
    if (slot || !make) {
        return slot ? slot->value.ptr : NULL;
    }
    aicpi_budget_account *a = aicpi_calloc(&c->allocator, 1, sizeof *a);
    if (!a) {
        return NULL;
    }
    a->id = aicpi_strndup(&c->allocator, id.data, id.len);
    a->id_len = id.len;
    a->rule.limit = AICP_LEDGER_UNLIMITED;
    a->limit = AICP_LEDGER_UNLIMITED;
    bool inserted = false;
    slot = a->id ? aicpi_map_put(&c->accounts, a->id, a->id_len, &inserted) : NULL;
    if (!slot) {
        aicpi_free(&c->allocator, a->id);
        aicpi_free(&c->allocator, a);
        return NULL;
    }
    slot->value.ptr = a;
    return a;
}

void aicpi_budget_accounts_free(aicpi_budget_core *c) {
    size_t pos = 0;
    for (aicpi_map_slot *s; (s = aicpi_map_next(&c->accounts, &pos)) != NULL;) {
        aicpi_budget_account *a = s->value.ptr;
        for (aicpi_budget_hold *h = a->holds, *next; h; h = next) {
            next = h->next;
            aicpi_free(&c->allocator, h);
        }
        aicpi_free(&c->allocator, a->spare);
        aicpi_free(&c->allocator, a->recovery);
        aicp_budget_window_free(a->window);
        aicpi_free(&c->allocator, a->id);
        aicpi_free(&c->allocator, a);
    }
    aicpi_map_deinit(&c->accounts);
}

/* What can still be admitted here as far as known: the store's view, own free money included. */
int64_t aicpi_budget_remaining(const aicpi_budget_account *a) {
    if (a->limit == AICP_LEDGER_UNLIMITED) {
        return INT64_MAX;
    }
    int64_t left = a->limit - a->seen_spent - a->seen_held;
    const aicpi_budget_hold *h = a->current;
    if (h) {
        left += h->free + h->give_back + h->unsent_release - h->unsent_spent;
    }
    return left > 0 ? left : 0;
}

void aicpi_budget_note_refusal(aicpi_budget_account *a, int64_t amount) {
    a->refused = amount;
    a->refused_ns = a->looked_ns;
}

bool aicpi_budget_balanced(const aicpi_budget_hold *h) {
    return h->free >= 0 && h->pending >= 0 && h->earmarked >= 0 && h->give_back >= 0 &&
           h->durable == h->free + h->pending + h->earmarked + h->give_back + h->unsent_release;
}

void aicpi_budget_hungry(aicpi_budget_core *c, aicpi_budget_account *a) {
    if (!a->hungry) {
        a->hungry = true;
        c->hungry++;
        aicpi_budget_wake_hungry(c);
    }
}

/* Frees a hold of a closed window once nothing refers to it. */
void aicpi_budget_hold_drop(aicpi_budget_core *c, aicpi_budget_hold *h) {
    aicpi_budget_account *a = h->account;
    if (h == a->current || h == a->recovery || h->records || h->durable || h->delta) {
        return;
    }
    aicpi_budget_hold **at = &a->holds;
    while (*at && *at != h) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = h->next;
        aicpi_free(&c->allocator, h);
    }
}

/* ---- lists of records ---- */

static void forget(aicpi_budget_core *c, aicpi_budget_record *r) {
    aicpi_budget_list_remove(&c->done, r);
    aicpi_budget_remove(&c->table, r);
    for (uint32_t i = 0; i < r->count; i++) {
        r->holds[i]->records--;
        aicpi_budget_hold_drop(c, r->holds[i]);
    }
    aicpi_budget_record_recycle(&c->table, r);
}

/* Finished and sent: remembered for a while. */
static void remember(aicpi_budget_core *c, aicpi_budget_record *r) {
    r->flags |= FLAG_DONE;
    aicpi_budget_list_add(&c->done, r);
    while (c->done.count > c->options.remember) {
        forget(c, c->done.first);
    }
}

void aicpi_budget_dirty(aicpi_budget_core *c, aicpi_budget_record *r) {
    if (r->flags & FLAG_DONE) {
        aicpi_budget_list_remove(&c->done, r);
        r->flags &= ~FLAG_DONE;
    }
    if (!(r->flags & (FLAG_DIRTY | FLAG_BUSY))) {
        aicpi_budget_list_add(&c->dirty, r);
        aicpi_budget_wake_dirty(c);
    }
    r->flags |= FLAG_DIRTY;
}

/* After a pass took it, or when nothing needs to be sent. */
void aicpi_budget_clean(aicpi_budget_core *c, aicpi_budget_record *r) {
    if (r->flags & FLAG_DIRTY) {
        if (!(r->flags & FLAG_BUSY)) {
            return;
        }
        r->flags &= ~(FLAG_BUSY | FLAG_DIRTY);
        aicpi_budget_dirty(c, r);
        return;
    }
    r->flags &= ~FLAG_BUSY;
    if (r->state != ROW_PENDING) {
        remember(c, r);
    }
}

/* What the journal says of the record is sent, or no longer true. */
void aicpi_budget_unjournal(aicpi_budget_core *c, aicpi_budget_record *r) {
    if (r->flags & FLAG_JOURNALED) {
        r->flags &= ~FLAG_JOURNALED;
        c->journaled--;
    }
}

/* ---- moves of money ---- */

static int64_t least(int64_t x, int64_t y) {
    return x < y ? x : y;
}

void aicpi_budget_begin(aicpi_budget_core *c, aicpi_budget_record *r, uint64_t now, uint64_t ttl) {
    for (uint32_t i = 0; i < r->count; i++) {
        r->holds[i]->pending += r->amount;
        r->holds[i]->records++;
        r->holds[i]->used_ns = now;
    }
    r->state = ROW_PENDING;
    r->reserved_at_ns = aicpi_budget_wall(c);
    r->deadline_ns = r->reserved_at_ns + (int64_t)ttl;
    r->estimate = r->amount;
    aicpi_budget_insert(&c->table, r);
    aicpi_budget_heap_set(&c->table, r, now + ttl);
}

/* What spending beyond the reservation uses up comes out of this node's free money, so that it is
 * not admitted a second time. */
static void cover(aicpi_budget_hold *h, int64_t excess) {
    int64_t taken = least(h->free, excess);
    h->free -= taken;
    h->give_back += taken;
}

static void post_pending(aicpi_budget_core *c, aicpi_budget_record *r, int64_t actual) {
    int64_t used = least(actual, r->amount);
    for (uint32_t i = 0; i < r->count && !(r->flags & FLAG_RECOVER); i++) {
        r->holds[i]->pending -= r->amount;
        r->holds[i]->free += r->amount - used;
        cover(r->holds[i], actual - used);
    }
    for (uint32_t i = 0; i < r->count && !(r->flags & FLAG_RECOVER); i++) {
        r->holds[i]->unsent_release += used;
        r->holds[i]->unsent_spent += actual;
        r->to_release = used;
    }
    r->to_spend = actual;
    if (actual > r->amount) {
        r->flags |= FLAG_OVERRUN;
        c->metrics.overrun_nano += (uint64_t)(actual - r->amount);
    }
}

/* Posts a pending, expired or estimated record. */
void aicpi_budget_post(aicpi_budget_core *c, aicpi_budget_record *r, int64_t actual) {
    aicpi_budget_unjournal(c, r);
    if (r->state == ROW_PENDING) {
        post_pending(c, r, actual);
        aicpi_budget_heap_remove(&c->table, r);
    } else {
        int64_t before = r->state == ROW_POSTED ? r->actual : 0;
        for (uint32_t i = 0; i < r->count && !(r->flags & FLAG_RECOVER); i++) {
            cover(r->holds[i], actual > before ? actual - before : 0);
            r->holds[i]->unsent_spent += actual - before;
        }
        r->to_spend += actual - before;
        r->flags = (r->flags & ~FLAG_ESTIMATED) | FLAG_LATE;
        c->metrics.late++;
    }
    r->state = ROW_POSTED;
    r->actual = actual;
    aicpi_budget_dirty(c, r);
}

/* Gives a pending reservation back; its rows, if any, are told. */
void aicpi_budget_void(aicpi_budget_core *c, aicpi_budget_record *r, int32_t state) {
    for (uint32_t i = 0; i < r->count && !(r->flags & FLAG_RECOVER); i++) {
        r->holds[i]->pending -= r->amount;
        r->holds[i]->free += r->amount;
    }
    aicpi_budget_heap_remove(&c->table, r);
    r->state = state;
    if (r->flags & (FLAG_STORED | FLAG_DIRTY | FLAG_BUSY)) {
        aicpi_budget_dirty(c, r);
    } else {
        remember(c, r);
    }
}

/* Resolves what is due; returns how many. */
size_t aicpi_budget_expire(aicpi_budget_core *c, uint64_t now) {
    size_t n = 0;
    while (c->table.heap_count > 0 && c->table.heap[0]->deadline <= now) {
        aicpi_budget_record *r = c->table.heap[0];
        n++;
        if (r->flags & FLAG_DISPATCHED) {
            aicpi_budget_post(c, r, r->estimate);
            r->flags |= FLAG_ESTIMATED;
            c->metrics.estimated++;
        } else {
            aicpi_budget_void(c, r, ROW_EXPIRED);
            c->metrics.expired++;
        }
    }
    return n;
}

/* Another node took our holds for dead: nothing in memory is backed by the store any more. Start as
 * a new node; what is pending or unsent is settled by looking at the rows. */
void aicpi_budget_rebirth(aicpi_budget_core *c) {
    size_t pos = 0;
    for (aicpi_map_slot *s; (s = aicpi_map_next(&c->accounts, &pos)) != NULL;) {
        aicpi_budget_account *a = s->value.ptr;
        for (aicpi_budget_hold *h = a->holds; h; h = h->next) {
            h->durable = 0;
            h->free = 0;
            h->pending = 0;
            h->earmarked = 0;
            h->give_back = 0;
            h->unsent_release = 0;
            h->unsent_spent = 0;
        }
        a->stale = true;
    }
    for (size_t i = 0; i < c->table.heap_count; i++) {
        c->table.heap[i]->flags |= FLAG_RECOVER;
    }
    for (aicpi_budget_record *r = c->dirty.first; r; r = r->next) {
        r->flags |= FLAG_RECOVER;
        r->to_release = 0;
    }
    c->registered = false;
    c->batch = 0;
}
