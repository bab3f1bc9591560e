/* Counts in windows that start with the first use, as LiteLLM does. In an interval that spans a
 * boundary up to twice the limit may pass. */
#include "lib/ratelimit/algorithms.h"

static void window_advance(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now) {
    if (level->used == 0 || now - level->time >= p->window_ns) {
        level->used = 0;
        level->time = now;
    }
}

static bool window_fits(
    const aicpi_limit_level *level,
    const aicpi_limit_params *p,
    uint64_t n,
    uint64_t now,
    uint64_t *retry_after_ns) {
    if (level->used + n <= p->limit) {
        return true;
    }
    *retry_after_ns = p->limit ? p->window_ns - (now - level->time) : AICP_LIMIT_NEVER;
    return false;
}

static void window_charge(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n) {
    aicpi_uint128 most = (aicpi_uint128)p->limit * 2;
    level->used += n;
    if (level->used > most) {
        level->used = most;
    }
}

static void window_refund(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n) {
    (void)p;
    level->used = level->used > n ? level->used - n : 0;
}

static void window_convert(
    aicpi_limit_level *level, const aicpi_limit_params *from, const aicpi_limit_params *to) {
    (void)from;
    if (level->used > to->limit) {
        level->used = to->limit;
    }
}

static uint64_t window_remaining(const aicpi_limit_level *level, const aicpi_limit_params *p) {
    return level->used >= p->limit ? 0 : p->limit - (uint64_t)level->used;
}

static uint64_t
window_reset(const aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now) {
    uint64_t passed = now - level->time;
    return level->used == 0 || passed >= p->window_ns ? 0 : p->window_ns - passed;
}

static double window_share(const aicpi_limit_level *level, const aicpi_limit_params *p) {
    return p->limit ? (double)window_remaining(level, p) / (double)p->limit : 0.0;
}

const aicpi_limit_algorithm aicpi_limit_fixed_window = {
    .name = "fixed_window",
    .number = AICP_LIMIT_FIXED_WINDOW,
    .has_burst = false,
    .advance = window_advance,
    .fits = window_fits,
    .charge = window_charge,
    .refund = window_refund,
    .convert = window_convert,
    .remaining = window_remaining,
    .reset = window_reset,
    .share = window_share,
};
