/* What may happen to a take later: settle, cancel, refund, renew. */
#include "lib/ratelimit/ratelimit_internal.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

/* What an end does to each kind of charge. */
typedef struct ending {
    uint64_t actual_tokens;
    bool give_requests_back;
    uint64_t now;
} ending;

static aicpi_ticket *open_ticket(aicp_limit_ticket *ticket) {
    aicpi_ticket *t = ticket ? (aicpi_ticket *)(void *)ticket->internal : NULL;
    return t && t->count != 0 && t->count <= AICP_LIMIT_MAX_CHARGES ? t : NULL;
}

static uint64_t time_or_clock(const aicp_limiter *l, uint64_t now_ns) {
    return now_ns ? now_ns : aicpi_monotonic_ns(&l->clock);
}

/* The key of a charge, NULL when it was dropped since (it held no information then). */
static aicpi_limit_entry *entry_of(const aicpi_limit_shard *s, const aicpi_ticket_charge *c) {
    if (c->index >= s->next_entry) {
        return NULL;
    }
    aicpi_limit_entry *e = aicpi_limit_entry_at(s, c->index);
    return e->used && e->generation == c->generation ? e : NULL;
}

static void release_slot(
    aicpi_limit_shard *s, aicpi_limit_entry *e, const aicpi_ticket_charge *c, uint64_t now) {
    aicpi_limit_slot *slot = aicpi_limit_slots_get(e->slots, c->slot_place, c->slot_id);
    if (!slot) {
        return;
    }
    if (slot->store_deadline > now && e->lease) {
        slot->idle = true; /* still ours at the store: for the next take here, or for a flush */
        slot->deadline = slot->store_deadline;
        e->slots->live--;
        e->slots->idle++;
        aicpi_limit_mark_dirty(s, e);
        return;
    }
    aicpi_limit_slots_release(e->slots, c->slot_place);
}

/* Replaces the charged amount by `actual`. */
static void correct(
    aicpi_limit_shard *s,
    aicpi_limit_entry *e,
    const aicpi_ticket_charge *c,
    uint64_t actual,
    uint64_t now) {
    if (actual == c->amount) {
        return;
    }
    if (c->mode == AICPI_LIMIT_BY_LEASE) {
        aicpi_lease_settle(s, e, c->amount, actual, now);
        return;
    }
    aicpi_limit_entry_advance(s, e, &e->params, now);
    if (actual < c->amount) {
        e->algorithm->refund(&e->level, &e->params, c->amount - actual);
    } else {
        e->algorithm->charge(&e->level, &e->params, actual - c->amount);
    }
}

static void end_charge(aicp_limiter *l, const aicpi_ticket_charge *c, const ending *how) {
    if (c->kind == AICP_LIMIT_REQUESTS && !how->give_requests_back) {
        return;
    }
    aicpi_limit_shard *s = &l->shards[c->shard & (l->shard_count - 1)];
    aicpi_limit_mutex_lock(&s->lock);
    aicpi_limit_entry *e = entry_of(s, c);
    if (e) {
        if (c->kind == AICP_LIMIT_CONCURRENCY) {
            release_slot(s, e, c, how->now);
        } else if (c->kind == AICP_LIMIT_TOKENS) {
            correct(s, e, c, how->actual_tokens, how->now);
        } else if (how->give_requests_back) {
            correct(s, e, c, 0, how->now);
        }
        if (c->pinned && e->pins != 0) {
            e->pins--;
        }
        aicpi_limit_touch_idle(s);
    }
    aicpi_limit_mutex_unlock(&s->lock);
}

static void end_ticket(aicp_limiter *l, aicp_limit_ticket *ticket, const ending *how) {
    aicpi_ticket *t = l ? open_ticket(ticket) : NULL;
    for (uint64_t i = 0; t && i < t->count; i++) {
        end_charge(l, &t->charges[i], how);
    }
    if (t) {
        t->count = 0;
    }
}

void aicp_limiter_settle(
    aicp_limiter *limiter, aicp_limit_ticket *ticket, uint64_t actual_tokens, uint64_t now_ns) {
    if (limiter) {
        ending how = {actual_tokens, false, time_or_clock(limiter, now_ns)};
        end_ticket(limiter, ticket, &how);
    }
}

void aicp_limiter_cancel(aicp_limiter *limiter, aicp_limit_ticket *ticket, uint64_t now_ns) {
    if (limiter) {
        ending how = {0, true, time_or_clock(limiter, now_ns)};
        end_ticket(limiter, ticket, &how);
    }
}

void aicp_limiter_refund(aicp_limiter *limiter, aicp_limit_ticket *ticket, uint64_t now_ns) {
    if (limiter) {
        ending how = {0, false, time_or_clock(limiter, now_ns)};
        end_ticket(limiter, ticket, &how);
    }
}

static bool
renew_charge(aicp_limiter *l, const aicpi_ticket_charge *c, uint64_t until, uint64_t now) {
    aicpi_limit_shard *s = &l->shards[c->shard & (l->shard_count - 1)];
    bool ok = true;
    aicpi_limit_mutex_lock(&s->lock);
    aicpi_limit_entry *e = entry_of(s, c);
    if (c->kind == AICP_LIMIT_CONCURRENCY) {
        aicpi_limit_slot *slot =
            e ? aicpi_limit_slots_get(e->slots, c->slot_place, c->slot_id) : NULL;
        ok = slot && slot->deadline > now;
        if (ok && until > slot->deadline) {
            slot->deadline = until;
            if (slot->store_deadline != 0) {
                slot->renew = true;
                aicpi_limit_mark_dirty(s, e);
            }
        }
    } else if (e && c->pinned && until > e->pinned_until) {
        e->pinned_until = until;
    }
    aicpi_limit_mutex_unlock(&s->lock);
    return ok;
}

aicp_status aicp_limiter_renew(
    aicp_limiter *limiter,
    aicp_limit_ticket *ticket,
    uint64_t ttl_ns,
    uint64_t now_ns,
    aicp_error *err) {
    if (!limiter || !ticket) {
        return aicpi_fail(err, AICP_ERR_INVALID, "renew needs a limiter and a ticket");
    }
    uint64_t now = time_or_clock(limiter, now_ns);
    uint64_t ttl = ttl_ns ? ttl_ns : limiter->slot_ttl_ns;
    uint64_t until = ttl > UINT64_MAX - now ? UINT64_MAX : now + ttl;
    const aicpi_ticket *t = open_ticket(ticket);
    bool ok = true;
    for (uint64_t i = 0; t && i < t->count; i++) {
        ok = renew_charge(limiter, &t->charges[i], until, now) && ok;
    }
    return ok ? AICP_OK
              : aicpi_fail(err, AICP_ERR_NOT_FOUND, "a concurrency slot ended before its renewal");
}

void aicpi_limit_unpin(aicp_limiter *l, aicpi_ticket *t) {
    for (uint64_t i = 0; i < t->count; i++) {
        const aicpi_ticket_charge *c = &t->charges[i];
        if (!c->pinned) {
            continue;
        }
        aicpi_limit_shard *s = &l->shards[c->shard];
        aicpi_limit_mutex_lock(&s->lock);
        aicpi_limit_entry *e = entry_of(s, c);
        if (e && e->pins != 0) {
            e->pins--;
        }
        aicpi_limit_mutex_unlock(&s->lock);
    }
}
