/* Generic cell rate algorithm. Instead of a rounded "theoretical arrival time" the level itself is
 * kept, multiplied by the window: a take of n adds n * window, each nanosecond takes `limit` away.
 * Both are whole numbers, so that nothing is ever rounded: the admissions are those of an ideal
 * token bucket with `burst` tokens that refills at limit / window. Inline, because nearly all keys
 * are under it. */
#ifndef AICPI_RATELIMIT_GCRA_H
#define AICPI_RATELIMIT_GCRA_H

#include "lib/ratelimit/algorithms.h"

static inline aicpi_uint128 aicpi_gcra_product(uint64_t x, uint64_t y) {
    return (aicpi_uint128)x * y;
}

static inline double aicpi_gcra_double(aicpi_uint128 value) {
    uint64_t high = (uint64_t)(value >> 64);
    double low = (double)(uint64_t)value;
    return high ? (double)high * 18446744073709551616.0 + low : low;
}

static inline void
aicpi_gcra_advance(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now) {
    aicpi_uint128 drained = aicpi_gcra_product(now - level->time, p->limit);
    level->used = level->used > drained ? level->used - drained : 0;
    level->time = now;
}

static inline bool aicpi_gcra_fits(
    const aicpi_limit_level *level,
    const aicpi_limit_params *p,
    uint64_t n,
    uint64_t now,
    uint64_t *retry_after_ns) {
    (void)now;
    aicpi_uint128 wanted = level->used + aicpi_gcra_product(n, p->window_ns);
    aicpi_uint128 capacity = aicpi_gcra_product(p->burst, p->window_ns);
    if (wanted <= capacity) {
        return true;
    }
    *retry_after_ns = p->limit ? aicpi_limit_div_up(wanted - capacity, p->limit) : AICP_LIMIT_NEVER;
    return false;
}

/* For what fits. */
static inline void
aicpi_gcra_add(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n) {
    level->used += aicpi_gcra_product(n, p->window_ns);
}

static inline void
aicpi_gcra_charge(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n) {
    aicpi_uint128 most =
        aicpi_gcra_product(p->burst, p->window_ns) + aicpi_gcra_product(p->limit, p->window_ns);
    level->used += aicpi_gcra_product(n, p->window_ns);
    if (level->used > most) {
        level->used = most;
    }
}

static inline void
aicpi_gcra_refund(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n) {
    aicpi_uint128 back = aicpi_gcra_product(n, p->window_ns);
    level->used = level->used > back ? level->used - back : 0;
}

static inline void aicpi_gcra_convert(
    aicpi_limit_level *level, const aicpi_limit_params *from, const aicpi_limit_params *to) {
    aicpi_uint128 tokens = level->used / from->window_ns;
    uint64_t part = (uint64_t)(level->used % from->window_ns);
    aicpi_uint128 used = tokens * to->window_ns;
    used += (aicpi_gcra_product(part, to->window_ns) + from->window_ns - 1) / from->window_ns;
    aicpi_uint128 capacity = aicpi_gcra_product(to->burst, to->window_ns);
    level->used = used < capacity ? used : capacity;
}

static inline uint64_t
aicpi_gcra_remaining(const aicpi_limit_level *level, const aicpi_limit_params *p) {
    aicpi_uint128 capacity = aicpi_gcra_product(p->burst, p->window_ns);
    return level->used >= capacity ? 0 : aicpi_limit_div_down(capacity - level->used, p->window_ns);
}

static inline uint64_t
aicpi_gcra_reset(const aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now) {
    (void)now;
    if (p->limit == 0) {
        return level->used ? AICP_LIMIT_NEVER : 0;
    }
    return aicpi_limit_div_up(level->used, p->limit);
}

static inline double aicpi_gcra_share(const aicpi_limit_level *level, const aicpi_limit_params *p) {
    aicpi_uint128 capacity = aicpi_gcra_product(p->burst, p->window_ns);
    if (level->used >= capacity) {
        return 0.0;
    }
    return aicpi_gcra_double(capacity - level->used) / aicpi_gcra_double(capacity);
}

#endif
