/* Telling the store what it does not know yet: units given back, debt, released and renewed slots.
 * One key at a time, copied under its lock, sent without it. */
#include "lib/ratelimit/ratelimit_internal.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"

#define MAX_SLOT_CALLS 64 /* of one key in one round */

typedef struct outbox {
    aicp_limiter *l;
    aicpi_limit_shard *s;
    aicpi_strbuf *key;
    uint64_t now;
    uint64_t deadline;
} outbox;

static aicp_status send(outbox *o, aicp_lease_request *q, aicp_error *err) {
    uint64_t now = aicpi_monotonic_ns(&o->l->clock);
    if (now >= o->deadline) {
        return aicpi_fail(err, AICP_ERR_TIMEOUT, "no time left to tell the store about limits");
    }
    aicp_lease_grant g = {.size = sizeof g};
    q->timeout_ns = o->deadline - now;
    atomic_fetch_add_explicit(&o->l->store_calls, 1, memory_order_relaxed);
    aicp_status status = o->l->source.lease(o->l->source.user, q, &g, err);
    if (status != AICP_OK) {
        atomic_fetch_add_explicit(&o->l->store_failures, 1, memory_order_relaxed);
    }
    return status;
}

static aicp_lease_request request_for(const outbox *o, const aicpi_limit_entry *e) {
    return (aicp_lease_request){
        .size = sizeof(aicp_lease_request),
        .key = o->key->data,
        .key_len = o->key->len,
        .kind = e->kind,
        .algorithm = e->algorithm ? e->algorithm->number : AICP_LIMIT_SLOTS,
        .limit = e->params.limit,
        .burst = e->params.burst,
        .window_ns = e->params.window_ns,
    };
}

/* Each returns with the shard locked again. */
static aicp_status send_rates(outbox *o, aicpi_limit_entry *e, bool all, aicp_error *err) {
    aicpi_limit_lease *x = e->lease;
    if (all && o->now < x->expires) {
        x->returned += x->available;
        x->available = 0;
        x->on_record = 0;
    }
    if (x->returned == 0 && x->debt == 0) {
        return AICP_OK;
    }
    aicp_lease_request q = request_for(o, e);
    q.returned = x->returned;
    q.debt = x->debt;
    q.held = o->now < x->expires ? x->available : 0;
    q.ttl_ns = o->now < x->expires ? x->expires - o->now : 0;
    x->returned = 0;
    x->debt = 0;
    aicpi_limit_mutex_unlock(&o->s->lock);
    aicp_status status = send(o, &q, err);
    aicpi_limit_mutex_lock(&o->s->lock);
    if (status != AICP_OK) {
        aicpi_lease_untold(x, &q, status);
    }
    return status;
}

static aicp_status send_slot(outbox *o, aicpi_limit_entry *e, uint32_t place, aicp_error *err) {
    aicpi_limit_slot slot = e->slots->items[place];
    aicp_lease_request q = request_for(o, e);
    q.slot = slot.id;
    q.need = slot.idle ? 0 : 1;
    q.returned = slot.idle ? 1 : 0;
    q.ttl_ns = slot.deadline > o->now ? slot.deadline - o->now : 1;
    if (slot.idle) { /* nobody may take it while the store is told */
        aicpi_limit_slots_release(e->slots, place);
    } else {
        e->slots->items[place].renew = false;
    }
    aicpi_limit_mutex_unlock(&o->s->lock);
    aicp_status status = send(o, &q, err);
    aicpi_limit_mutex_lock(&o->s->lock);
    aicpi_limit_slot *again = aicpi_limit_slots_get(e->slots, place, slot.id);
    if (again && status == AICP_OK) {
        again->store_deadline = slot.deadline;
    } else if (again) {
        again->renew = true;
    } else if (
        status != AICP_OK && slot.idle && aicpi_limit_slots_reserve(e->slots, &o->l->allocator)) {
        uint32_t back = aicpi_limit_slots_acquire(e->slots, slot.id, slot.store_deadline);
        e->slots->items[back] = slot;
        e->slots->live--;
        e->slots->idle++;
    }
    return status;
}

static aicp_status send_slots(outbox *o, aicpi_limit_entry *e, aicp_error *err) {
    aicp_status status = AICP_OK;
    for (uint32_t i = 0, calls = 0; i < e->slots->count && calls < MAX_SLOT_CALLS; i++) {
        const aicpi_limit_slot *slot = &e->slots->items[i];
        if (slot->id != 0 && (slot->idle || slot->renew) && slot->store_deadline != 0) {
            calls++;
            status = send_slot(o, e, i, err);
            if (status != AICP_OK) {
                return status;
            }
        }
    }
    return status;
}

static bool has_news(const aicpi_limit_entry *e) {
    bool news = e->lease->returned != 0 || e->lease->debt != 0;
    for (uint32_t i = 0; !news && e->slots && i < e->slots->count; i++) {
        const aicpi_limit_slot *slot = &e->slots->items[i];
        news = slot->id != 0 && slot->store_deadline != 0 && (slot->idle || slot->renew);
    }
    return news;
}

static aicp_status send_entry(outbox *o, aicpi_limit_entry *e, bool all, aicp_error *err) {
    aicpi_strbuf_clear(o->key);
    aicpi_strbuf_append(o->key, e->key, e->key_len);
    if (o->key->failed) {
        return aicpi_nomem(err);
    }
    e->in_use++;
    aicp_status status =
        e->slots && !e->algorithm ? send_slots(o, e, err) : send_rates(o, e, all, err);
    e->in_use--;
    if (has_news(e)) {
        aicpi_limit_mark_dirty(o->s, e);
    }
    return status;
}

/* The keys that are in the list now; ones that come back are for the next time. */
static aicp_status flush_dirty(outbox *o, aicp_error *err) {
    uint32_t next = o->s->dirty;
    o->s->dirty = 0;
    aicp_status status = AICP_OK;
    while (next != 0) {
        aicpi_limit_entry *e = aicpi_limit_entry_at(o->s, next - 1);
        next = e->next_dirty;
        e->dirty = false;
        if (status == AICP_OK) {
            status = send_entry(o, e, false, err);
        } else {
            aicpi_limit_mark_dirty(o->s, e);
        }
    }
    return status;
}

static aicp_status flush_slices(outbox *o, aicp_error *err) {
    aicp_status status = AICP_OK;
    for (uint32_t i = 0; status == AICP_OK && i < o->s->next_entry; i++) {
        aicpi_limit_entry *e = aicpi_limit_entry_at(o->s, i);
        if (e->used && e->lease && e->lease->available != 0) {
            status = send_entry(o, e, true, err);
        }
    }
    return status;
}

aicp_status
aicp_limiter_flush(aicp_limiter *limiter, int32_t all, uint64_t timeout_ns, aicp_error *err) {
    if (!limiter) {
        return aicpi_fail(err, AICP_ERR_INVALID, "flush without a limiter");
    }
    if (!limiter->has_source) {
        return AICP_OK;
    }
    aicpi_strbuf key;
    aicpi_strbuf_init(&key, &limiter->allocator, AICPI_STRBUF_MAX);
    uint64_t now = aicpi_monotonic_ns(&limiter->clock);
    outbox o = {.l = limiter, .key = &key, .now = now};
    o.deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
    aicp_status status = AICP_OK;
    for (uint32_t i = 0; status == AICP_OK && i < limiter->shard_count; i++) {
        o.s = &limiter->shards[i];
        aicpi_limit_mutex_lock(&o.s->lock);
        status = flush_dirty(&o, err);
        if (status == AICP_OK && all) {
            status = flush_slices(&o, err);
        }
        aicpi_limit_mutex_unlock(&o.s->lock);
    }
    aicpi_strbuf_deinit(&key);
    return status;
}
