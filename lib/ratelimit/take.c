/* Taking: collect the keys, lock their shards, check all, charge all or none. */
#include "lib/ratelimit/gcra.h"
#include "lib/ratelimit/keys.h"

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
    w->impossible = false;
}

/* ---- collecting ----------------------------------------------------------------------------- */

static void note_shard(aicpi_limit_work *w, uint32_t shard) {
    size_t i = w->shard_count;
    while (i > 0 && w->shards[i - 1] > shard) {
        i--;
    }
    if (i > 0 && w->shards[i - 1] == shard) {
        return;
    }
    for (size_t k = w->shard_count++; k > i; k--) {
        w->shards[k] = w->shards[k - 1];
    }
    w->shards[i] = shard;
}

static inline void
add_item(aicpi_limit_work *w, const aicpi_limit_rule *rule, aicpi_slice tag, uint64_t tokens) {
    aicpi_limit_item *item = &w->items[w->count++];
    item->rule = rule;
    uint64_t hash = aicpi_limit_key_init(&item->key, rule, &w->subject, tag);
    item->amount = rule->kind == AICP_LIMIT_TOKENS ? tokens : 1;
    item->shard = aicpi_limit_shard_of(w->limiter, hash);
    item->entry = NULL;
    item->granted = 0;
    item->slot_id = 0;
    item->degraded = false;
    item->overflow = false;
    item->denied_by_store = false;
    w->impossible |= item->amount - 1 >= rule->most;
    note_shard(w, item->shard);
}

static aicp_status too_many(aicp_error *err) {
    return aicpi_fail(err, AICP_ERR_LIMIT, "more than %d limits apply", AICP_LIMIT_MAX_CHARGES);
}

/* A key for each tag. */
__attribute__((noinline)) static aicp_status
add_tags(aicpi_limit_work *w, const aicpi_limit_rule *rule, uint64_t tokens, aicp_error *err) {
    for (size_t i = 0; i < w->subject.tag_count; i++) {
        if (w->count == AICP_LIMIT_MAX_CHARGES) {
            return too_many(err);
        }
        add_item(w, rule, w->subject.tags[i], tokens);
    }
    return AICP_OK;
}

static inline aicp_status
add_rule(aicpi_limit_work *w, const aicpi_limit_rule *rule, uint64_t tokens, aicp_error *err) {
    if ((rule->per & (1U << AICP_LIMIT_TAG)) != 0) {
        return add_tags(w, rule, tokens, err);
    }
    if (w->count == AICP_LIMIT_MAX_CHARGES) {
        return too_many(err);
    }
    add_item(w, rule, aicpi_slice_of(NULL, 0), tokens);
    return AICP_OK;
}

__attribute__((noinline)) static aicp_status
collect_indexed(aicpi_limit_work *w, uint64_t tokens, aicp_error *err) {
    uint32_t places[AICPI_LIMIT_CANDIDATES];
    const aicp_limit_rules *rules = w->rules;
    size_t count = 0;
    aicp_status status =
        aicpi_limit_index_find(rules, &w->subject, places, AICPI_LIMIT_CANDIDATES, &count, err);
    for (size_t i = 0; status == AICP_OK && i < count; i++) {
        status = add_rule(w, rules->order[places[i]], tokens, err);
    }
    return status;
}

static inline aicp_status
collect(aicpi_limit_work *w, const aicp_limit_request *request, aicp_error *err) {
    aicp_status status = aicpi_limit_subject_init(&w->subject, request, err);
    const aicp_limit_rules *rules = w->rules;
    if (status != AICP_OK) {
        return status;
    }
    if (rules->index) {
        return collect_indexed(w, request->tokens, err);
    }
    const aicpi_limit_rule *const *end = rules->order + rules->order_count;
    for (const aicpi_limit_rule *const *rule = rules->order; rule != end; rule++) {
        if (!aicpi_limit_rule_matches(*rule, &w->subject)) {
            continue;
        }
        status = add_rule(w, *rule, request->tokens, err);
        if (status != AICP_OK) {
            return status;
        }
    }
    return AICP_OK;
}

aicp_status
aicpi_limit_collect(aicpi_limit_work *w, const aicp_limit_request *request, aicp_error *err) {
    return collect(w, request, err);
}

static void lock_shards(aicpi_limit_work *w) {
    for (size_t i = 0; i < w->shard_count; i++) {
        aicpi_limit_mutex_lock(&w->limiter->shards[w->shards[i]].lock);
    }
}

static void unlock_shards(aicpi_limit_work *w) {
    for (size_t i = w->shard_count; i > 0; i--) {
        aicpi_limit_mutex_unlock(&w->limiter->shards[w->shards[i - 1]].lock);
    }
}

/* ---- checking ------------------------------------------------------------------------------- */

static inline bool same_params(const aicpi_limit_params *x, const aicpi_limit_params *y) {
    return ((x->limit ^ y->limit) | (x->window_ns ^ y->window_ns) | (x->burst ^ y->burst)) == 0;
}

static inline uint64_t entry_advance(
    aicpi_limit_shard *s, aicpi_limit_entry *e, const aicpi_limit_params *params, uint64_t now) {
    if (now < e->level.time) {
        s->clock_back++;
        now = e->level.time;
    }
    if (e->algorithm == &aicpi_limit_gcra) {
        aicpi_gcra_advance(&e->level, &e->params, now);
    } else {
        e->algorithm->advance(&e->level, &e->params, now);
    }
    if (!same_params(&e->params, params)) {
        e->algorithm->convert(&e->level, &e->params, params);
        e->params = *params;
    }
    return now;
}

uint64_t aicpi_limit_entry_advance(
    aicpi_limit_shard *s, aicpi_limit_entry *e, const aicpi_limit_params *params, uint64_t now) {
    return entry_advance(s, e, params, now);
}

static void
check_slots(aicpi_limit_work *w, aicpi_limit_item *item, const aicpi_limit_params *params) {
    aicpi_limit_entry *e = item->entry;
    aicpi_limit_slots_expire(e->slots, w->now);
    e->params = *params;
    bool free = e->slots->live < params->limit;
    item->verdict = free ? AICPI_LIMIT_PASS : AICPI_LIMIT_DENY;
    if (!free) {
        uint64_t at = aicpi_limit_slots_free_at(e->slots, params->limit, w->now);
        item->retry_after_ns = at == AICP_LIMIT_NEVER ? at : at - w->now;
    }
}

static inline void
check_level(aicpi_limit_work *w, aicpi_limit_item *item, const aicpi_limit_params *params) {
    aicpi_limit_entry *e = item->entry;
    const aicpi_limit_algorithm *algorithm = e->algorithm;
    item->mode = AICPI_LIMIT_BY_LEVEL;
    if (!algorithm) { /* concurrency has slots, all else an algorithm */
        check_slots(w, item, params);
        return;
    }
    uint64_t now = entry_advance(&w->limiter->shards[item->shard], e, params, w->now);
    bool fits = params->limit != 0;
    if (!fits) {
        item->retry_after_ns = AICP_LIMIT_NEVER;
    } else if (algorithm == &aicpi_limit_gcra) {
        fits = aicpi_gcra_fits(&e->level, params, item->amount, now, &item->retry_after_ns);
    } else {
        fits = algorithm->fits(&e->level, params, item->amount, now, &item->retry_after_ns);
    }
    item->verdict = fits ? AICPI_LIMIT_PASS : AICPI_LIMIT_DENY;
}

void aicpi_limit_check_level(
    aicpi_limit_work *w, aicpi_limit_item *item, const aicpi_limit_params *params) {
    check_level(w, item, params);
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

static inline aicp_status check_item(aicpi_limit_work *w, aicpi_limit_item *item, aicp_error *err) {
    aicp_limiter *l = w->limiter;
    aicpi_limit_shard *s = &l->shards[item->shard];
    const aicpi_limit_rule *rule = item->rule;
    if (!item->entry) {
        bool full = false;
        aicpi_limit_entry *e = aicpi_limit_find(s, &item->key);
        if (!e || rule->shared) {
            e = aicpi_limit_put(l, s, &item->key, w->now, &full);
        }
        if (!e) {
            return check_overflow(w, item, full, err);
        }
        e->in_use++;
        item->entry = e;
    }
    if (!item->entry->algorithm && !aicpi_limit_slots_reserve(item->entry->slots, &l->allocator)) {
        return aicpi_nomem(err);
    }
    if (rule->shared && l->has_source && rule->params.limit != 0) {
        aicpi_lease_check(w, item);
    } else {
        check_level(w, item, &rule->params);
    }
    return AICP_OK;
}

/* OK, ERR_RATE_LIMITED, ERR_STORE, ERR_WOULD_BLOCK (the store must be asked) or ERR_NOMEM. */
static aicp_status check_all(aicpi_limit_work *w, aicp_error *err) {
    uint32_t seen = 0; /* verdicts, as a bit set */
    for (size_t i = 0; i < w->count; i++) {
        aicpi_limit_item *item = &w->items[i];
        aicp_status status = check_item(w, item, err);
        if (status != AICP_OK) {
            return status;
        }
        seen |= 1U << item->verdict;
    }
    if (seen == 1U << AICPI_LIMIT_PASS) {
        return AICP_OK;
    }
    return seen & 1U << AICPI_LIMIT_DENY     ? AICP_ERR_RATE_LIMITED
           : seen & 1U << AICPI_LIMIT_REFUSE ? AICP_ERR_STORE
                                             : AICP_ERR_WOULD_BLOCK;
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
    } else if (e->algorithm == &aicpi_limit_gcra) {
        aicpi_gcra_add(&e->level, &e->params, item->amount);
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
    if (e->algorithm == &aicpi_limit_gcra) {
        return aicpi_gcra_share(&e->level, &e->params);
    }
    if (e->algorithm) {
        return e->algorithm->share(&e->level, &e->params);
    }
    uint64_t limit = e->params.limit;
    return e->slots->live < limit ? (double)(limit - e->slots->live) / (double)limit : 0.0;
}

static inline void
numbers(const aicpi_limit_item *item, uint64_t now, uint64_t *remaining, uint64_t *reset_ns) {
    const aicpi_limit_entry *e = item->entry;
    *remaining = item->rule->params.burst;
    *reset_ns = 0;
    if (!e) {
        *remaining = item->overflow ? 0 : *remaining;
    } else if (item->rule->shared && item->mode != AICPI_LIMIT_BY_LEVEL) {
        *remaining = aicpi_lease_remaining(item);
        *reset_ns = e->lease->reset_at > now ? e->lease->reset_at - now : 0;
    } else if (e->algorithm == &aicpi_limit_gcra) {
        *remaining = aicpi_gcra_remaining(&e->level, &e->params);
        *reset_ns = aicpi_gcra_reset(&e->level, &e->params, now);
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

void aicpi_limit_numbers(
    const aicpi_limit_item *item, uint64_t now, uint64_t *remaining, uint64_t *reset_ns) {
    numbers(item, now, remaining, reset_ns);
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
    numbers(item, w->now, &r->remaining, &r->reset_ns);
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
        if (item->entry) {
            item->entry->in_use--;
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
    lock_shards(w);
    for (size_t i = 0; i < w->count; i++) {
        if (!is_held(w, q, i)) {
            w->items[kept++] = w->items[i];
        }
    }
    unlock_shards(w);
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

/* After a take that came to nothing. */
static void release_items(aicpi_limit_work *w) {
    for (size_t i = 0; i < w->count; i++) {
        aicpi_limit_item *item = &w->items[i];
        if (!item->entry) {
            continue;
        }
        if (item->granted != 0) {
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
    lock_shards(w);
    aicp_status status = check_all(w, err);
    if (status == AICP_ERR_WOULD_BLOCK && may_ask) {
        unlock_shards(w);
        return status;
    }
    if (status == AICP_OK) {
        finish_allowed(w, t, r);
        count_decision(w, status, r);
        unlock_shards(w);
        return AICP_OK;
    }
    if (status == AICP_ERR_RATE_LIMITED || status == AICP_ERR_STORE) {
        finish_denied(w, r);
        count_decision(w, status, r);
    }
    release_items(w);
    unlock_shards(w);
    return status == AICP_ERR_NOMEM ? status : fail_denied(w, status, err);
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
    aicp_status status = collect(&w, request, err);
    if (status == AICP_OK && request->held_count != 0) {
        leave_out_held(&w, request);
    }
    if (status == AICP_OK && w.impossible) {
        status = check_amounts(&w, r, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    if (w.count == 0) {
        r->allowed = 1;
        return AICP_OK;
    }
    return run(&w, t, r, err);
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
