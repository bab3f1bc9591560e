/* Taking: collect the keys, lock their shards, check all, charge all or none. */
#include "lib/ratelimit/ratelimit_internal.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

void aicpi_limit_work_init(
    aicpi_limit_work *w,
    aicp_limiter *l,
    const aicp_limit_rules *rules,
    const aicp_limit_request *request) {
    w->limiter = l;
    w->rules = rules;
    w->now = request->now_ns ? request->now_ns : aicpi_monotonic_ns(&l->clock);
    w->slot_ttl_ns = request->slot_ttl_ns ? request->slot_ttl_ns : l->slot_ttl_ns;
    w->deadline_ns = request->deadline_ns;
    w->count = 0;
    w->shard_count = 0;
}

/* ---- collecting ----------------------------------------------------------------------------- */

static void note_shard(aicpi_limit_work *w, uint32_t shard) {
    size_t i = w->shard_count;
    for (; i > 0 && w->shards[i - 1] >= shard; i--) {
        if (w->shards[i - 1] == shard) {
            return;
        }
    }
    memmove(w->shards + i + 1, w->shards + i, (w->shard_count - i) * sizeof *w->shards);
    w->shards[i] = shard;
    w->shard_count++;
}

static aicp_status add_item(
    aicpi_limit_work *w,
    const aicpi_limit_rule *rule,
    aicpi_slice tag,
    uint64_t tokens,
    aicp_error *err) {
    if (w->count == AICP_LIMIT_MAX_CHARGES) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "more than %d limits apply", AICP_LIMIT_MAX_CHARGES);
    }
    aicpi_limit_item *item = &w->items[w->count++];
    item->rule = rule;
    aicpi_limit_key_init(&item->key, rule, &w->subject, tag);
    item->amount = rule->kind == AICP_LIMIT_TOKENS ? tokens : 1;
    item->shard = aicpi_limit_shard_of(w->limiter, item->key.hash);
    item->entry = NULL;
    item->granted = 0;
    item->slot_id = 0;
    item->degraded = false;
    item->overflow = false;
    item->denied_by_store = false;
    note_shard(w, item->shard);
    return AICP_OK;
}

static aicp_status
add_rule(aicpi_limit_work *w, const aicpi_limit_rule *rule, uint64_t tokens, aicp_error *err) {
    if ((rule->per & (1U << AICP_LIMIT_TAG)) == 0) {
        return add_item(w, rule, aicpi_slice_of(NULL, 0), tokens, err);
    }
    for (size_t i = 0; i < w->subject.tag_count; i++) {
        aicp_status status = add_item(w, rule, w->subject.tags[i], tokens, err);
        if (status != AICP_OK) {
            return status;
        }
    }
    return AICP_OK;
}

static aicp_status collect_indexed(aicpi_limit_work *w, uint64_t tokens, aicp_error *err) {
    uint32_t places[AICPI_LIMIT_CANDIDATES];
    const aicp_limit_rules *rules = w->rules;
    size_t count = 0;
    aicp_status status =
        aicpi_limit_index_find(rules, &w->subject, places, AICPI_LIMIT_CANDIDATES, &count, err);
    for (size_t i = 0; status == AICP_OK && i < count; i++) {
        status = add_rule(w, &rules->rules[rules->order[places[i]]], tokens, err);
    }
    return status;
}

aicp_status
aicpi_limit_collect(aicpi_limit_work *w, const aicp_limit_request *request, aicp_error *err) {
    aicp_status status = aicpi_limit_subject_init(&w->subject, request, err);
    const aicp_limit_rules *rules = w->rules;
    if (status == AICP_OK && rules->index) {
        return collect_indexed(w, request->tokens, err);
    }
    for (size_t i = 0; status == AICP_OK && i < rules->order_count; i++) {
        const aicpi_limit_rule *rule = &rules->rules[rules->order[i]];
        if (aicpi_limit_rule_matches(rule, &w->subject)) {
            status = add_rule(w, rule, request->tokens, err);
        }
    }
    return status;
}

void aicpi_limit_lock(aicpi_limit_work *w) {
    for (size_t i = 0; i < w->shard_count; i++) {
        pthread_mutex_lock(&w->limiter->shards[w->shards[i]].mutex);
    }
}

void aicpi_limit_unlock(aicpi_limit_work *w) {
    for (size_t i = w->shard_count; i > 0; i--) {
        pthread_mutex_unlock(&w->limiter->shards[w->shards[i - 1]].mutex);
    }
}

/* ---- checking ------------------------------------------------------------------------------- */

static bool same_params(const aicpi_limit_params *x, const aicpi_limit_params *y) {
    return x->limit == y->limit && x->window_ns == y->window_ns && x->burst == y->burst;
}

uint64_t aicpi_limit_entry_advance(
    aicpi_limit_shard *s, aicpi_limit_entry *e, const aicpi_limit_params *params, uint64_t now) {
    if (now < e->level.time) {
        s->clock_back++;
        now = e->level.time;
    }
    e->algorithm->advance(&e->level, &e->params, now);
    if (!same_params(&e->params, params)) {
        e->algorithm->convert(&e->level, &e->params, params);
        e->params = *params;
    }
    return now;
}

void aicpi_limit_check_level(
    aicpi_limit_work *w, aicpi_limit_item *item, const aicpi_limit_params *params) {
    aicpi_limit_entry *e = item->entry;
    aicpi_limit_shard *s = &w->limiter->shards[item->shard];
    item->mode = AICPI_LIMIT_BY_LEVEL;
    if (e->slots) { /* concurrency has slots, all else an algorithm */
        aicpi_limit_slots_expire(e->slots, w->now);
        e->params = *params;
        bool free = e->slots->live < params->limit;
        item->verdict = free ? AICPI_LIMIT_PASS : AICPI_LIMIT_DENY;
        if (!free) {
            uint64_t at = aicpi_limit_slots_free_at(e->slots, params->limit, w->now);
            item->retry_after_ns = at == AICP_LIMIT_NEVER ? at : at - w->now;
        }
        return;
    }
    uint64_t now = aicpi_limit_entry_advance(s, e, params, w->now);
    bool fits = params->limit != 0 &&
                e->algorithm->fits(&e->level, params, item->amount, now, &item->retry_after_ns);
    if (params->limit == 0) {
        item->retry_after_ns = AICP_LIMIT_NEVER;
    }
    item->verdict = fits ? AICPI_LIMIT_PASS : AICPI_LIMIT_DENY;
}

static aicp_status
check_overflow(aicpi_limit_work *w, aicpi_limit_item *item, bool full, aicp_error *err) {
    if (!full) {
        return aicpi_nomem(err);
    }
    const aicpi_limit_shard *s = &w->limiter->shards[item->shard];
    item->overflow = true;
    item->mode = AICPI_LIMIT_BY_NONE;
    item->verdict = item->rule->overflow_allow ? AICPI_LIMIT_PASS : AICPI_LIMIT_DENY;
    item->retry_after_ns = s->no_idle_before == AICP_LIMIT_NEVER || s->no_idle_before <= w->now
                               ? 1000000000U
                               : s->no_idle_before - w->now;
    return AICP_OK;
}

static aicp_status check_item(aicpi_limit_work *w, aicpi_limit_item *item, aicp_error *err) {
    aicp_limiter *l = w->limiter;
    aicpi_limit_shard *s = &l->shards[item->shard];
    const aicpi_limit_rule *rule = item->rule;
    if (!item->entry) {
        bool full = false;
        aicpi_limit_entry *e = aicpi_limit_put(l, s, &item->key, w->now, &full);
        if (!e) {
            return check_overflow(w, item, full, err);
        }
        e->in_use++;
        item->entry = e;
    }
    if (item->entry->slots && !aicpi_limit_slots_reserve(item->entry->slots, &l->allocator)) {
        return aicpi_nomem(err);
    }
    if (rule->shared && l->has_source && rule->params.limit != 0) {
        aicpi_lease_check(w, item);
    } else {
        aicpi_limit_check_level(w, item, &rule->params);
    }
    return AICP_OK;
}

/* OK, ERR_RATE_LIMITED, ERR_STORE, ERR_WOULD_BLOCK (the store must be asked) or ERR_NOMEM. */
static aicp_status check_all(aicpi_limit_work *w, aicp_error *err) {
    bool deny = false;
    bool refuse = false;
    bool ask = false;
    for (size_t i = 0; i < w->count; i++) {
        aicpi_limit_item *item = &w->items[i];
        aicp_status status = check_item(w, item, err);
        if (status != AICP_OK) {
            return status;
        }
        deny = deny || item->verdict == AICPI_LIMIT_DENY;
        refuse = refuse || item->verdict == AICPI_LIMIT_REFUSE;
        ask = ask || item->verdict == AICPI_LIMIT_ASK;
    }
    return deny     ? AICP_ERR_RATE_LIMITED
           : refuse ? AICP_ERR_STORE
           : ask    ? AICP_ERR_WOULD_BLOCK
                    : AICP_OK;
}

/* ---- charging ------------------------------------------------------------------------------- */

static void commit_item(aicpi_limit_work *w, aicpi_limit_item *item) {
    aicpi_limit_entry *e = item->entry;
    aicpi_limit_shard *s = &w->limiter->shards[item->shard];
    if (item->mode == AICPI_LIMIT_BY_NONE) {
        return;
    }
    if (item->mode == AICPI_LIMIT_BY_LEASE) {
        aicpi_lease_commit(w, item);
    } else if (e->algorithm) {
        e->algorithm->charge(&e->level, &e->params, item->amount);
    } else {
        item->slot_id = ++s->next_slot_id;
        item->slot_place =
            aicpi_limit_slots_acquire(e->slots, item->slot_id, w->now + w->slot_ttl_ns);
    }
}

static void fill_charge(aicpi_limit_work *w, aicpi_limit_item *item, aicpi_ticket *t) {
    aicpi_limit_entry *e = item->entry;
    if (item->mode == AICPI_LIMIT_BY_NONE) {
        return;
    }
    /* Only tokens change later, and only by so much that the key must not be forgotten. */
    bool pin = item->rule->kind == AICP_LIMIT_TOKENS;
    if (pin) {
        uint64_t until = w->now + w->slot_ttl_ns;
        e->pins++;
        e->pinned_until = until > e->pinned_until ? until : e->pinned_until;
    }
    t->charges[t->count++] = (aicpi_ticket_charge){
        .generation = e->generation,
        .amount = item->amount,
        .slot_id = item->slot_id,
        .shard = item->shard,
        .index = e->index,
        .slot_place = item->slot_place,
        .kind = (int8_t)item->rule->kind,
        .mode = (int8_t)item->mode,
        .pinned = pin,
    };
}

/* ---- telling -------------------------------------------------------------------------------- */

static double share_left(const aicpi_limit_item *item) {
    const aicpi_limit_entry *e = item->entry;
    if (!e || item->mode == AICPI_LIMIT_BY_NONE) {
        return 2.0;
    }
    if (item->mode == AICPI_LIMIT_BY_LEASE) {
        uint64_t cap = item->rule->params.burst;
        return cap ? (double)aicpi_lease_remaining(item) / (double)cap : 0.0;
    }
    if (e->algorithm) {
        return e->algorithm->share(&e->level, &e->params);
    }
    uint64_t limit = e->params.limit;
    return e->slots->live < limit ? (double)(limit - e->slots->live) / (double)limit : 0.0;
}

void aicpi_limit_numbers(
    const aicpi_limit_item *item, uint64_t now, uint64_t *remaining, uint64_t *reset_ns) {
    const aicpi_limit_entry *e = item->entry;
    *remaining = item->rule->params.burst;
    *reset_ns = 0;
    if (!e) {
        *remaining = item->overflow ? 0 : *remaining;
    } else if (item->rule->shared && item->mode != AICPI_LIMIT_BY_LEVEL) {
        *remaining = aicpi_lease_remaining(item);
        *reset_ns = e->lease->reset_at > now ? e->lease->reset_at - now : 0;
    } else if (e->algorithm) {
        *remaining = e->algorithm->remaining(&e->level, &e->params);
        uint64_t at = now > e->level.time ? now : e->level.time;
        *reset_ns = e->algorithm->reset(&e->level, &e->params, at);
    } else {
        uint64_t last = aicpi_limit_slots_last_deadline(e->slots);
        *remaining = e->slots->live < e->params.limit ? e->params.limit - e->slots->live : 0;
        *reset_ns = last > now ? last - now : 0;
    }
}

/* Of the rules that deny the one with the longest wait, else one that cannot be verified. */
static const aicpi_limit_item *tightest_denial(const aicpi_limit_work *w) {
    const aicpi_limit_item *found = NULL;
    for (size_t i = 0; i < w->count; i++) {
        const aicpi_limit_item *item = &w->items[i];
        if (item->verdict == AICPI_LIMIT_DENY &&
            (!found || item->retry_after_ns > found->retry_after_ns)) {
            found = item;
        }
    }
    for (size_t i = 0; !found && i < w->count; i++) {
        found = w->items[i].verdict == AICPI_LIMIT_REFUSE ? &w->items[i] : NULL;
    }
    return found;
}

static void
describe(const aicpi_limit_work *w, const aicpi_limit_item *item, aicp_limit_result *r) {
    r->rule = (int32_t)item->rule->index;
    r->kind = item->rule->kind;
    r->limit = item->rule->params.limit;
    aicpi_limit_numbers(item, w->now, &r->remaining, &r->reset_ns);
}

/* Charges all; the result tells the rule with the least share left, the narrower one of equals. */
static void finish_allowed(aicpi_limit_work *w, aicpi_ticket *t, aicp_limit_result *r) {
    const aicpi_limit_item *found = &w->items[0];
    double least = 4.0;
    r->allowed = 1;
    for (size_t i = 0; i < w->count; i++) {
        aicpi_limit_item *item = &w->items[i];
        commit_item(w, item);
        fill_charge(w, item, t);
        r->degraded |= item->degraded;
        r->overflow |= item->overflow;
        double share = w->count > 1 ? share_left(item) : 0.0;
        if (share < least) {
            least = share;
            found = item;
        }
    }
    describe(w, found, r);
}

static void finish_denied(const aicpi_limit_work *w, aicp_limit_result *r) {
    const aicpi_limit_item *found = tightest_denial(w);
    for (size_t i = 0; i < w->count; i++) {
        r->degraded |= w->items[i].degraded;
        r->overflow |= w->items[i].overflow;
    }
    if (found) {
        describe(w, found, r);
        r->retry_after_ns = found->retry_after_ns;
    }
}

static aicp_status fail_denied(const aicpi_limit_work *w, aicp_status status, aicp_error *err) {
    if (!err) {
        return status;
    }
    const aicpi_limit_item *item = tightest_denial(w);
    const char *id = item ? item->rule->id : "?";
    if (status == AICP_ERR_STORE) {
        return aicpi_fail(err, status, "limit \"%s\" cannot be verified: store unreachable", id);
    }
    if (status == AICP_ERR_WOULD_BLOCK) {
        return aicpi_fail(err, status, "the store of the limits must be asked");
    }
    if (item && item->retry_after_ns == AICP_LIMIT_NEVER) {
        return aicpi_fail(err, status, "limit \"%s\" blocks all requests", id);
    }
    uint64_t ms = item ? item->retry_after_ns / 1000000U : 0;
    return aicpi_fail(
        err,
        status,
        "limit \"%s\" reached, free again in %llu.%03llu s",
        id,
        (unsigned long long)(ms / 1000),
        (unsigned long long)(ms % 1000));
}

/* ---- the take ------------------------------------------------------------------------------- */

static bool is_held(const aicpi_limit_work *w, const aicp_limit_request *q, size_t item) {
    uint32_t shard = w->items[item].shard;
    const aicpi_limit_entry *e = aicpi_limit_find(&w->limiter->shards[shard], &w->items[item].key);
    for (size_t i = 0; e && i < q->held_count; i++) {
        const aicpi_ticket *t = (const aicpi_ticket *)(const void *)q->held[i].internal;
        for (uint64_t k = 0; k < t->count && k < AICP_LIMIT_MAX_CHARGES; k++) {
            const aicpi_ticket_charge *c = &t->charges[k];
            if (c->shard == shard && c->index == e->index && c->generation == e->generation) {
                return true;
            }
        }
    }
    return false;
}

/* Leaves out the keys that the request has been charged on already. */
static void leave_out_held(aicpi_limit_work *w, const aicp_limit_request *q) {
    size_t kept = 0;
    aicpi_limit_lock(w);
    for (size_t i = 0; i < w->count; i++) {
        if (!is_held(w, q, i)) {
            w->items[kept++] = w->items[i];
        }
    }
    aicpi_limit_unlock(w);
    w->count = kept;
}

/* Amounts that no waiting could help. */
static aicp_status
check_amounts(const aicpi_limit_work *w, aicp_limit_result *result, aicp_error *err) {
    for (size_t i = 0; i < w->count; i++) {
        const aicpi_limit_item *item = &w->items[i];
        const aicpi_limit_rule *rule = item->rule;
        if (item->amount == 0) {
            return aicpi_fail(
                err,
                AICP_ERR_INVALID,
                "limit \"%s\" counts tokens and the take has none",
                rule->id);
        }
        if (item->amount > rule->params.burst && rule->params.limit != 0) {
            result->rule = (int32_t)rule->index;
            result->kind = rule->kind;
            result->limit = rule->params.limit;
            result->retry_after_ns = AICP_LIMIT_NEVER;
            return aicpi_fail(
                err,
                AICP_ERR_TOO_LARGE,
                "%llu tokens are more than limit \"%s\" can ever admit (%llu)",
                (unsigned long long)item->amount,
                rule->id,
                (unsigned long long)rule->params.burst);
        }
    }
    return AICP_OK;
}

static void release_items(aicpi_limit_work *w, bool committed) {
    for (size_t i = 0; i < w->count; i++) {
        aicpi_limit_item *item = &w->items[i];
        if (!item->entry) {
            continue;
        }
        if (!committed && item->granted != 0) {
            aicpi_lease_undo(w, item);
        }
        item->entry->in_use--;
    }
}

static void count_decision(aicpi_limit_work *w, aicp_status status, const aicp_limit_result *r) {
    aicpi_limit_shard *s = &w->limiter->shards[w->items[0].shard];
    s->allowed += status == AICP_OK;
    s->denied += status != AICP_OK;
    s->overflowed += r->overflow != 0;
}

/* One look at everything under the locks; final unless it says WOULD_BLOCK and `may_ask`. */
static aicp_status
attempt(aicpi_limit_work *w, bool may_ask, aicpi_ticket *t, aicp_limit_result *r, aicp_error *err) {
    aicpi_limit_lock(w);
    aicp_status status = check_all(w, err);
    if (status == AICP_ERR_WOULD_BLOCK && may_ask) {
        aicpi_limit_unlock(w);
        return status;
    }
    if (status == AICP_OK) {
        finish_allowed(w, t, r);
        count_decision(w, status, r);
    } else if (status == AICP_ERR_RATE_LIMITED || status == AICP_ERR_STORE) {
        finish_denied(w, r);
        count_decision(w, status, r);
    }
    release_items(w, status == AICP_OK);
    aicpi_limit_unlock(w);
    return status == AICP_OK || status == AICP_ERR_NOMEM ? status : fail_denied(w, status, err);
}

static aicp_status
run(aicpi_limit_work *w, aicpi_ticket *t, aicp_limit_result *r, aicp_error *err) {
    /* Each round asks for what the round before found missing; what was granted stays with this
     * take, so that the rounds are bounded by the number of keys. */
    for (size_t round = 0;; round++) {
        bool may_ask = w->deadline_ns != 0 && round <= w->count && aicpi_lease_has_time(w);
        aicp_status status = attempt(w, may_ask, t, r, err);
        if (status != AICP_ERR_WOULD_BLOCK || !may_ask) {
            return status;
        }
        aicpi_lease_fetch(w);
    }
}

static aicp_status take(
    aicp_limiter *l,
    const aicp_limit_rules *rules,
    const aicp_limit_request *request,
    aicpi_ticket *t,
    aicp_limit_result *r,
    aicp_error *err) {
    aicpi_limit_work w;
    aicpi_limit_work_init(&w, l, rules, request);
    r->estimated = (request->flags & AICP_LIMIT_ESTIMATED) != 0;
    aicp_status status = aicpi_limit_collect(&w, request, err);
    if (status == AICP_OK && request->held_count != 0) {
        leave_out_held(&w, request);
    }
    if (status == AICP_OK) {
        status = check_amounts(&w, r, err);
    }
    if (status == AICP_OK && w.count == 0) {
        r->allowed = 1;
        return AICP_OK;
    }
    return status == AICP_OK ? run(&w, t, r, err) : status;
}

aicp_status aicp_limiter_take(
    aicp_limiter *limiter,
    const aicp_limit_rules *rules,
    const aicp_limit_request *request,
    aicp_limit_ticket *ticket,
    aicp_limit_result *result,
    aicp_error *err) {
    aicpi_ticket unused;
    aicpi_ticket *t = ticket ? (aicpi_ticket *)(void *)ticket->internal : &unused;
    t->count = 0;
    /* Written in place when it is the structure that we know. */
    aicp_limit_result other;
    aicp_limit_result *r = result && result->size == sizeof other ? result : &other;
    *r = (aicp_limit_result)AICP_LIMIT_RESULT_INIT;
    if (!limiter || !rules || !request || request->size < sizeof request->size) {
        return aicpi_fail(err, AICP_ERR_INVALID, "take needs a limiter, rules and a sized request");
    }
    aicp_limit_request copy;
    aicp_status status = AICP_OK;
    if (request->size != sizeof copy) {
        status = aicpi_options_copy(&copy, sizeof copy, request, "aicp_limit_request", err);
        request = &copy;
    }
    if (status == AICP_OK) {
        status = take(limiter, rules, request, t, r, err);
    }
    if (!ticket) {
        aicpi_limit_unpin(limiter, t);
    }
    if (r != result && result && result->size >= sizeof result->size) {
        other.size = result->size;
        memcpy(result, &other, result->size < sizeof other ? result->size : sizeof other);
    }
    return status;
}
