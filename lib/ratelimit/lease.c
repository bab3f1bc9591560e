/* Shared limits: slices leased from a store that several processes use. A slice is charged in the
 * store when it is granted and spent here without asking again; what is left of it lapses. What the
 * store must learn later (units given back, debt, slots) waits in the key and goes with the next
 * lease or flush. */
#include "lib/ratelimit/ratelimit_internal.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"

#define SLICE_PART 20                         /* a slice is at most 1/20 of the limit */
#define SLICE_TTL_NS UINT64_C(10000000000)    /* and lasts at most 10 s and window / 4 */
#define DOWN_FIRST_NS UINT64_C(500000000)     /* pause after a failure of the store, */
#define DOWN_MOST_NS UINT64_C(30000000000)    /* doubled with each one up to this */
#define REFUSED_RETRY_NS UINT64_C(1000000000) /* advice while the store is away */

static uint64_t slice_cap(const aicpi_limit_rule *rule) {
    return rule->exact ? 0 : rule->params.limit / SLICE_PART;
}

static uint64_t slice_ttl(const aicpi_limit_rule *rule) {
    uint64_t quarter = rule->params.window_ns / 4;
    return quarter < SLICE_TTL_NS ? quarter : SLICE_TTL_NS;
}

static uint64_t minimum(uint64_t x, uint64_t y) {
    return x < y ? x : y;
}

/* ---- the store's health --------------------------------------------------------------------- */

static bool store_is_down(const aicp_limiter *l, uint64_t now) {
    return now < atomic_load_explicit(&l->store_down_until, memory_order_relaxed);
}

static void note_failure(aicp_limiter *l, uint64_t now) {
    atomic_fetch_add_explicit(&l->store_failures, 1, memory_order_relaxed);
    uint32_t row = atomic_fetch_add_explicit(&l->store_failed_in_row, 1, memory_order_relaxed);
    uint64_t pause = DOWN_FIRST_NS << (row < 6 ? row : 6);
    atomic_store_explicit(
        &l->store_down_until, now + minimum(pause, DOWN_MOST_NS), memory_order_relaxed);
}

bool aicpi_lease_has_time(const aicpi_limit_work *w) {
    return w->deadline_ns > aicpi_monotonic_ns(&w->limiter->clock);
}

/* ---- deciding from what is here ------------------------------------------------------------- */

/* The store cannot be asked: the rule says what then. Alone, a node uses the limit divided by the
 * nodes that the store saw last. */
static void check_degraded(aicpi_limit_work *w, aicpi_limit_item *item) {
    const aicpi_limit_rule *rule = item->rule;
    item->degraded = true;
    if (rule->on_store_failure == AICPI_LIMIT_FAIL_LOCAL) {
        uint64_t nodes = item->entry->lease->nodes ? item->entry->lease->nodes : 1;
        aicpi_limit_params p = rule->params;
        p.limit = p.limit / nodes ? p.limit / nodes : 1;
        p.burst = p.burst / nodes ? p.burst / nodes : 1;
        if (item->amount > p.burst) {
            p.burst = item->amount; /* fits the limit, so it must not wait for ever */
        }
        aicpi_limit_check_level(w, item, &p);
        return;
    }
    item->mode = AICPI_LIMIT_BY_NONE;
    item->verdict =
        rule->on_store_failure == AICPI_LIMIT_FAIL_ALLOW ? AICPI_LIMIT_PASS : AICPI_LIMIT_REFUSE;
    item->retry_after_ns = REFUSED_RETRY_NS;
}

/* An unspent slice ends at its time. One that was hardly used was too large. */
static void lapse(aicpi_limit_lease *x, uint64_t now) {
    if (x->available != 0 && now >= x->expires) {
        if (x->available > x->slice / 2 && x->slice > 1) {
            x->slice /= 2;
        }
        x->available = 0;
        x->on_record = 0;
    }
}

static void ask_or_degrade(aicpi_limit_work *w, aicpi_limit_item *item) {
    if (store_is_down(w->limiter, w->now)) {
        check_degraded(w, item);
    } else {
        item->verdict = AICPI_LIMIT_ASK;
    }
}

static aicpi_limit_slot *idle_slot(aicpi_limit_slots *s, uint64_t until, uint32_t *place) {
    for (uint32_t i = 0; s->idle != 0 && i < s->count; i++) {
        if (s->items[i].id != 0 && s->items[i].idle && s->items[i].store_deadline >= until) {
            *place = i;
            return &s->items[i];
        }
    }
    return NULL;
}

static void check_shared_slots(aicpi_limit_work *w, aicpi_limit_item *item) {
    aicpi_limit_slots *s = item->entry->slots;
    aicpi_limit_slots_expire(s, w->now);
    item->mode = AICPI_LIMIT_BY_LEASE;
    item->verdict = AICPI_LIMIT_PASS;
    uint64_t until = w->now + w->slot_ttl_ns / 4 * 3;
    if (item->granted != 0 ||
        (!item->rule->exact && idle_slot(s, until, &item->slot_place) != NULL)) {
        return;
    }
    if (item->denied_by_store) {
        item->verdict = AICPI_LIMIT_DENY;
        return;
    }
    ask_or_degrade(w, item);
}

void aicpi_lease_check(aicpi_limit_work *w, aicpi_limit_item *item) {
    if (item->rule->kind == AICP_LIMIT_CONCURRENCY) {
        check_shared_slots(w, item);
        return;
    }
    aicpi_limit_lease *x = item->entry->lease;
    x->exact = item->rule->exact;
    lapse(x, w->now);
    item->mode = AICPI_LIMIT_BY_LEASE;
    item->verdict = AICPI_LIMIT_PASS;
    uint64_t here = x->exact ? 0 : x->available;
    if (item->granted >= item->amount || here >= item->amount - item->granted) {
        return;
    }
    if (item->denied_by_store || (w->now < x->denied_until && item->amount >= x->denied_need)) {
        item->verdict = AICPI_LIMIT_DENY;
        item->retry_after_ns = x->denied_until > w->now ? x->denied_until - w->now : 1;
        return;
    }
    ask_or_degrade(w, item);
}

static void commit_slot(aicpi_limit_work *w, aicpi_limit_item *item) {
    aicpi_limit_slots *s = item->entry->slots;
    if (item->granted == 0) { /* one that was released here and is still ours at the store */
        aicpi_limit_slot *slot = &s->items[item->slot_place];
        slot->idle = false;
        s->idle--;
        s->live++;
        item->slot_id = slot->id;
        return;
    }
    uint64_t deadline = w->now + w->slot_ttl_ns;
    item->slot_place = aicpi_limit_slots_acquire(s, item->slot_id, deadline);
    s->items[item->slot_place].store_deadline = deadline;
}

void aicpi_lease_commit(aicpi_limit_work *w, aicpi_limit_item *item) {
    if (item->rule->kind == AICP_LIMIT_CONCURRENCY) {
        commit_slot(w, item);
        return;
    }
    aicpi_limit_lease *x = item->entry->lease;
    if (item->granted < item->amount) {
        x->available -= item->amount - item->granted;
    } else if (item->granted > item->amount) {
        x->returned += item->granted - item->amount;
        aicpi_limit_mark_dirty(&w->limiter->shards[item->shard], item->entry);
    }
}

/* Gives units back: into the slice as far as the store knows of it, the rest to the store. */
static void give_back(aicpi_limit_shard *s, aicpi_limit_entry *e, uint64_t units, uint64_t now) {
    aicpi_limit_lease *x = e->lease;
    lapse(x, now);
    uint64_t room = 0;
    if (!x->exact && now < x->expires && x->on_record > x->available) {
        room = x->on_record - x->available;
    }
    uint64_t kept = minimum(units, room);
    x->available += kept;
    if (units > kept) {
        x->returned += units - kept;
        aicpi_limit_mark_dirty(s, e);
    }
}

void aicpi_lease_undo(aicpi_limit_work *w, aicpi_limit_item *item) {
    aicpi_limit_shard *s = &w->limiter->shards[item->shard];
    aicpi_limit_entry *e = item->entry;
    if (item->rule->kind != AICP_LIMIT_CONCURRENCY) {
        give_back(s, e, item->granted, w->now);
    } else {
        /* Kept as an idle slot, which the next flush releases. Room was reserved by the check. */
        uint64_t deadline = w->now + w->slot_ttl_ns;
        uint32_t place = aicpi_limit_slots_acquire(e->slots, item->slot_id, deadline);
        aicpi_limit_slot *slot = &e->slots->items[place];
        slot->store_deadline = deadline;
        slot->idle = true;
        e->slots->live--;
        e->slots->idle++;
        aicpi_limit_mark_dirty(s, e);
    }
    item->granted = 0;
}

uint64_t aicpi_lease_remaining(const aicpi_limit_item *item) {
    const aicpi_limit_entry *e = item->entry;
    uint64_t left = e->lease->remaining;
    if (item->rule->kind != AICP_LIMIT_CONCURRENCY) {
        left += e->lease->available;
    } else {
        left += e->slots->idle;
    }
    return minimum(left, item->rule->params.burst);
}

void aicpi_lease_settle(
    aicpi_limit_shard *s, aicpi_limit_entry *e, uint64_t reserved, uint64_t actual, uint64_t now) {
    aicpi_limit_lease *x = e->lease;
    if (actual <= reserved) {
        if (actual < reserved) {
            give_back(s, e, reserved - actual, now);
        }
        return;
    }
    uint64_t more = actual - reserved;
    lapse(x, now);
    uint64_t here = x->exact ? 0 : minimum(more, x->available);
    x->available -= here;
    if (more > here) {
        x->debt += more - here;
        aicpi_limit_mark_dirty(s, e);
    }
}

/* ---- asking --------------------------------------------------------------------------------- */

static uint64_t random_id(void) {
    uint64_t id = 0;
    aicpi_random(&id, sizeof id);
    return id ? id : 1;
}

/* Moves what is here into the request; the caller holds the shard. */
static void prepare(aicpi_limit_work *w, aicpi_limit_item *item, aicp_lease_request *q) {
    const aicpi_limit_rule *rule = item->rule;
    aicpi_limit_entry *e = item->entry;
    aicpi_limit_lease *x = e->lease;
    *q = (aicp_lease_request){
        .size = sizeof *q,
        .key = e->key, /* stays while the take holds the entry */
        .key_len = e->key_len,
        .kind = rule->kind,
        .algorithm = rule->algorithm ? rule->algorithm->number : AICP_LIMIT_SLOTS,
        .limit = rule->params.limit,
        .burst = rule->params.burst,
        .window_ns = rule->params.window_ns,
        .need = 1,
        .ttl_ns = w->slot_ttl_ns,
    };
    if (rule->kind == AICP_LIMIT_CONCURRENCY) {
        uint32_t place = 0;
        aicpi_limit_slot *slot = idle_slot(e->slots, 0, &place);
        q->slot = slot ? slot->id : random_id();
        if (slot) {
            aicpi_limit_slots_release(e->slots, place);
        }
        return;
    }
    uint64_t cap = slice_cap(rule);
    if (!rule->exact) {
        item->granted += x->available;
        x->available = 0;
        x->on_record = 0;
    }
    if (x->slice == 0) {
        x->slice = cap / 4 ? cap / 4 : 1;
    } else if (w->now < x->expires && w->now - x->granted_at < slice_ttl(rule) / 4) {
        x->slice = minimum(x->slice * 2, cap); /* used up early */
    }
    q->need = item->amount > item->granted ? item->amount - item->granted : 0;
    if (q->need == 0) {
        return;
    }
    q->extra = minimum(x->slice, cap);
    q->returned = x->returned;
    q->debt = x->debt;
    q->ttl_ns = slice_ttl(rule);
    x->returned = 0;
    x->debt = 0;
}

static void apply_grant(
    aicpi_limit_work *w, aicpi_limit_item *item, const aicp_lease_request *q, aicp_lease_grant *g) {
    aicpi_limit_lease *x = item->entry->lease;
    x->remaining = g->remaining;
    x->reset_at = w->now + minimum(g->reset_ns, UINT64_MAX - w->now);
    x->nodes = g->nodes ? g->nodes : x->nodes;
    if (g->granted < q->need) {
        uint64_t wait = minimum(g->retry_after_ns ? g->retry_after_ns : 1, UINT64_MAX - w->now);
        item->denied_by_store = true;
        item->retry_after_ns = wait;
        if (item->rule->kind != AICP_LIMIT_CONCURRENCY) {
            x->denied_until = w->now + wait;
            x->denied_need = item->amount;
        }
        return;
    }
    item->granted += q->need;
    item->slot_id = q->slot;
    x->denied_until = 0;
    if (item->rule->kind != AICP_LIMIT_CONCURRENCY && g->granted > q->need) {
        x->available += minimum(g->granted - q->need, q->extra);
        x->on_record = x->available;
        x->granted_at = w->now;
        x->expires = w->now + q->ttl_ns;
    }
}

void aicpi_lease_untold(aicpi_limit_lease *x, const aicp_lease_request *q, aicp_status status) {
    x->returned += status == AICP_ERR_TIMEOUT ? 0 : q->returned;
    x->debt += q->debt;
}

/* After a failed call: nothing granted. */
static void take_back(
    aicpi_limit_work *w, aicpi_limit_item *item, const aicp_lease_request *q, aicp_status status) {
    aicpi_limit_lease *x = item->entry->lease;
    aicpi_lease_untold(x, q, status);
    if (x->returned != 0 || x->debt != 0) {
        aicpi_limit_mark_dirty(&w->limiter->shards[item->shard], item->entry);
    }
}

/* What one round asks for. */
typedef struct fetch {
    aicpi_limit_item *items[AICP_LIMIT_MAX_CHARGES];
    aicp_lease_request requests[AICP_LIMIT_MAX_CHARGES];
    aicp_lease_grant grants[AICP_LIMIT_MAX_CHARGES];
    size_t count;
} fetch;

static void prepare_all(aicpi_limit_work *w, fetch *f, uint64_t timeout_ns) {
    f->count = 0;
    for (size_t i = 0; i < w->count; i++) {
        aicpi_limit_item *item = &w->items[i];
        if (item->verdict != AICPI_LIMIT_ASK) {
            continue;
        }
        aicpi_limit_shard *s = &w->limiter->shards[item->shard];
        aicp_lease_request *q = &f->requests[f->count];
        aicpi_limit_mutex_lock(&s->lock);
        prepare(w, item, q);
        aicpi_limit_mutex_unlock(&s->lock);
        if (q->need != 0) { /* else another thread's slice came meanwhile and is enough */
            q->timeout_ns = timeout_ns;
            f->grants[f->count] = (aicp_lease_grant){.size = sizeof(aicp_lease_grant)};
            f->items[f->count++] = item;
        }
    }
}

static void apply(aicpi_limit_work *w, fetch *f, size_t i, aicp_status status) {
    aicpi_limit_item *item = f->items[i];
    aicpi_limit_shard *s = &w->limiter->shards[item->shard];
    aicpi_limit_mutex_lock(&s->lock);
    if (status == AICP_OK) {
        apply_grant(w, item, &f->requests[i], &f->grants[i]);
    } else {
        take_back(w, item, &f->requests[i], status);
    }
    aicpi_limit_mutex_unlock(&s->lock);
}

static void note_call(aicp_limiter *l, uint64_t now, aicp_status status) {
    atomic_fetch_add_explicit(&l->store_calls, 1, memory_order_relaxed);
    if (status == AICP_OK) {
        atomic_store_explicit(&l->store_failed_in_row, 0, memory_order_relaxed);
    } else {
        note_failure(l, now);
    }
}

static void fetch_at_once(aicpi_limit_work *w, fetch *f) {
    const aicp_lease_source *source = &w->limiter->source;
    aicp_status status = source->lease_many(source->user, f->requests, f->grants, f->count, NULL);
    note_call(w->limiter, w->now, status);
    for (size_t i = 0; i < f->count; i++) {
        apply(w, f, i, status);
    }
}

static void fetch_in_turn(aicpi_limit_work *w, fetch *f) {
    const aicp_lease_source *source = &w->limiter->source;
    for (size_t i = 0; i < f->count; i++) {
        uint64_t now = aicpi_monotonic_ns(&w->limiter->clock);
        aicp_status status = AICP_ERR_STORE_BUSY; /* no time left: not asked */
        if (now < w->deadline_ns) {
            f->requests[i].timeout_ns = w->deadline_ns - now;
            status = source->lease(source->user, &f->requests[i], &f->grants[i], NULL);
            note_call(w->limiter, w->now, status);
        }
        apply(w, f, i, status);
    }
}

void aicpi_lease_fetch(aicpi_limit_work *w) {
    uint64_t now = aicpi_monotonic_ns(&w->limiter->clock);
    if (w->deadline_ns <= now) {
        return; /* the next check ends in ERR_WOULD_BLOCK */
    }
    fetch f;
    prepare_all(w, &f, w->deadline_ns - now);
    if (f.count > 1 && w->limiter->source.lease_many) {
        fetch_at_once(w, &f);
    } else {
        fetch_in_turn(w, &f);
    }
}
