/* The limiter's life, its counters and the look without charging. */
#include "lib/ratelimit/keys.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define DEFAULT_SHARDS 64
#define MAX_SHARDS 4096
#define LEAST_KEYS_PER_SHARD 1024
#define DEFAULT_MAX_KEYS 1000000
#define DEFAULT_SLOT_TTL_NS UINT64_C(600000000000)

void aicp_limiter_options_init(aicp_limiter_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

void aicp_limit_request_init(aicp_limit_request *request, size_t size) {
    memset(request, 0, size);
    request->size = size;
}

void aicp_limit_result_init(aicp_limit_result *result, size_t size) {
    memset(result, 0, size);
    result->size = size;
    if (size >= sizeof *result) {
        result->rule = -1;
    }
}

/* Shards start on a cache line of their own; the allocator promises less. */
static bool make_shards(aicp_limiter *l) {
    size_t line = _Alignof(aicpi_limit_shard);
    size_t bytes = l->shard_count * sizeof *l->shards + line;
    l->shards_raw = aicpi_calloc(&l->allocator, 1, bytes);
    if (!l->shards_raw) {
        return false;
    }
    uintptr_t address = (uintptr_t)l->shards_raw;
    l->shards =
        (aicpi_limit_shard *)(void *)((char *)l->shards_raw + (line - address % line) % line);
    return true;
}

/* With few keys in a shard chance would fill some long before others. */
static uint32_t shards_for(uint32_t keys) {
    uint32_t shards = DEFAULT_SHARDS;
    while (shards > 1 && keys / shards < LEAST_KEYS_PER_SHARD) {
        shards /= 2;
    }
    return shards;
}

static aicp_status check_options(const aicp_limiter_options *o, aicp_error *err) {
    if (o->shards > MAX_SHARDS || (o->shards & (o->shards - 1)) != 0) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "shards must be a power of two up to %d", MAX_SHARDS);
    }
    if (o->source && !o->source->lease) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the lease source has no lease function");
    }
    return AICP_OK;
}

aicp_status
aicp_limiter_new(const aicp_limiter_options *options, aicp_limiter **out, aicp_error *err) {
    if (!out) {
        return aicpi_fail(err, AICP_ERR_INVALID, "no place for the limiter");
    }
    *out = NULL;
    aicp_limiter_options o;
    aicp_status status = aicpi_options_copy(&o, sizeof o, options, "aicp_limiter_options", err);
    if (status == AICP_OK) {
        status = check_options(&o, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_limiter *l = aicpi_calloc(&a, 1, sizeof *l);
    if (!l) {
        return aicpi_nomem(err);
    }
    l->allocator = a;
    l->clock = aicpi_clock(o.clock);
    l->has_source = o.source != NULL;
    if (o.source) {
        l->source = *o.source;
    }

    l->slot_ttl_ns = o.slot_ttl_ns ? o.slot_ttl_ns : DEFAULT_SLOT_TTL_NS;
    uint32_t keys = o.max_keys ? o.max_keys : DEFAULT_MAX_KEYS;
    l->shard_count = o.shards ? o.shards : shards_for(keys);
    l->max_keys_per_shard = keys / l->shard_count + (keys % l->shard_count != 0);
    if (!make_shards(l)) {
        aicpi_free(&a, l);
        return aicpi_nomem(err);
    }
    aicpi_limiter_list(l);
    *out = l;
    return AICP_OK;
}

void aicp_limiter_free(aicp_limiter *limiter) {
    if (!limiter) {
        return;
    }
    aicpi_limiter_unlist(limiter);
    for (uint32_t i = 0; i < limiter->shard_count; i++) {
        aicpi_limit_shard_deinit(limiter, &limiter->shards[i]);
    }
    aicp_allocator a = limiter->allocator;
    aicpi_free(&a, limiter->shards_raw);
    aicpi_free(&a, limiter);
}

aicp_status
aicp_limiter_stats_get(aicp_limiter *limiter, aicp_limiter_stats *stats, aicp_error *err) {
    if (!limiter || !stats || stats->size < sizeof stats->size) {
        return aicpi_fail(err, AICP_ERR_INVALID, "stats need a limiter and a size");
    }
    aicp_limiter_stats own = {.size = stats->size};
    for (uint32_t i = 0; i < limiter->shard_count; i++) {
        aicpi_limit_shard *s = &limiter->shards[i];
        aicpi_limit_mutex_lock(&s->lock);
        own.keys += s->count;
        own.allowed += s->allowed;
        own.denied += s->denied;
        own.overflowed += s->overflowed;
        own.evicted += s->evicted;
        own.clock_back += s->clock_back;
        aicpi_limit_mutex_unlock(&s->lock);
    }
    own.store_calls = atomic_load_explicit(&limiter->store_calls, memory_order_relaxed);
    own.store_failures = atomic_load_explicit(&limiter->store_failures, memory_order_relaxed);
    memcpy(stats, &own, stats->size < sizeof own ? stats->size : sizeof own);
    return AICP_OK;
}

/* Works on copies, so that looking changes nothing. */
static void peek_entry(aicpi_limit_work *w, aicpi_limit_item *item, aicp_limit_state *state) {
    const aicpi_limit_rule *rule = item->rule;
    aicpi_limit_shard *s = &w->limiter->shards[item->shard];
    *state = (aicp_limit_state){(int32_t)rule->index, rule->kind, rule->params.limit, 0, 0};
    aicpi_limit_mutex_lock(&s->lock);
    item->entry = aicpi_limit_find(s, &item->key);
    bool shared = rule->shared && w->limiter->has_source;
    item->mode =
        shared && item->entry && item->entry->lease ? AICPI_LIMIT_BY_LEASE : AICPI_LIMIT_BY_LEVEL;
    aicpi_limit_entry copy;
    if (item->entry && item->mode == AICPI_LIMIT_BY_LEVEL) {
        copy = *item->entry;
        item->entry = &copy;
        if (copy.algorithm) {
            uint64_t backward = s->clock_back;
            aicpi_limit_entry_advance(s, &copy, &rule->params, w->now);
            s->clock_back = backward;
        } else {
            copy.params = rule->params;
            aicpi_limit_slots_expire(copy.slots, w->now);
        }
    }
    aicpi_limit_numbers(item, w->now, &state->remaining, &state->reset_ns);
    aicpi_limit_mutex_unlock(&s->lock);
    item->entry = NULL;
}

aicp_status aicp_limiter_peek(
    aicp_limiter *limiter,
    const aicp_limit_rules *rules,
    const aicp_limit_request *request,
    aicp_limit_state *states,
    size_t max,
    size_t *count,
    aicp_error *err) {
    if (!limiter || !rules || !request || !count || (max && !states)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "peek needs limiter, rules, request and count");
    }
    *count = 0;
    aicp_limit_request copy;
    aicp_status status = aicpi_options_copy(&copy, sizeof copy, request, "aicp_limit_request", err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_limit_work w;
    aicpi_limit_work_init(&w, limiter, rules, &copy);
    status = aicpi_limit_collect(&w, &copy, err);
    for (size_t i = 0; status == AICP_OK && i < w.count && i < max; i++) {
        peek_entry(&w, &w.items[i], &states[i]);
        *count = i + 1;
    }
    return status;
}
