/* Generic cell rate algorithm. Instead of a rounded "theoretical arrival time" the level itself is
 * kept, multiplied by the window: a take of n adds n * window, each nanosecond takes `limit` away.
 * Both are whole numbers, so that nothing is ever rounded: the admissions are those of an ideal
 * token bucket with `burst` tokens that refills at limit / window. */
#include "lib/ratelimit/algorithms.h"

static aicpi_uint128 product(uint64_t x, uint64_t y) {
    return (aicpi_uint128)x * y;
}

static double to_double(aicpi_uint128 value) {
    uint64_t high = (uint64_t)(value >> 64);
    double low = (double)(uint64_t)value;
    return high ? (double)high * 18446744073709551616.0 + low : low;
}

static void gcra_advance(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now) {
    aicpi_uint128 drained = product(now - level->time, p->limit);
    level->used = level->used > drained ? level->used - drained : 0;
    level->time = now;
}

static bool gcra_fits(
    const aicpi_limit_level *level,
    const aicpi_limit_params *p,
    uint64_t n,
    uint64_t now,
    uint64_t *retry_after_ns) {
    (void)now;
    aicpi_uint128 wanted = level->used + product(n, p->window_ns);
    aicpi_uint128 capacity = product(p->burst, p->window_ns);
    if (wanted <= capacity) {
        return true;
    }
    *retry_after_ns = p->limit ? aicpi_limit_div_up(wanted - capacity, p->limit) : AICP_LIMIT_NEVER;
    return false;
}

static void gcra_charge(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n) {
    aicpi_uint128 most = product(p->burst, p->window_ns) + product(p->limit, p->window_ns);
    level->used += product(n, p->window_ns);
    if (level->used > most) {
        level->used = most;
    }
}

static void gcra_refund(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n) {
    aicpi_uint128 back = product(n, p->window_ns);
    level->used = level->used > back ? level->used - back : 0;
}

static void gcra_convert(
    aicpi_limit_level *level, const aicpi_limit_params *from, const aicpi_limit_params *to) {
    aicpi_uint128 tokens = level->used / from->window_ns;
    uint64_t part = (uint64_t)(level->used % from->window_ns);
    aicpi_uint128 used = tokens * to->window_ns;
    used += (product(part, to->window_ns) + from->window_ns - 1) / from->window_ns;
    aicpi_uint128 capacity = product(to->burst, to->window_ns);
    level->used = used < capacity ? used : capacity;
}

static uint64_t gcra_remaining(const aicpi_limit_level *level, const aicpi_limit_params *p) {
    aicpi_uint128 capacity = product(p->burst, p->window_ns);
    return level->used >= capacity ? 0 : aicpi_limit_div_down(capacity - level->used, p->window_ns);
}

static uint64_t
gcra_reset(const aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now) {
    (void)now;
    if (p->limit == 0) {
        return level->used ? AICP_LIMIT_NEVER : 0;
    }
    return aicpi_limit_div_up(level->used, p->limit);
}

static double gcra_share(const aicpi_limit_level *level, const aicpi_limit_params *p) {
    aicpi_uint128 capacity = product(p->burst, p->window_ns);
    if (level->used >= capacity) {
        return 0.0;
    }
    return to_double(capacity - level->used) / to_double(capacity);
}

const aicpi_limit_algorithm aicpi_limit_gcra = {
    .name = "gcra",
    .number = AICP_LIMIT_GCRA,
    .has_burst = true,
    .advance = gcra_advance,
    .fits = gcra_fits,
    .charge = gcra_charge,
    .refund = gcra_refund,
    .convert = gcra_convert,
    .remaining = gcra_remaining,
    .reset = gcra_reset,
    .share = gcra_share,
};
