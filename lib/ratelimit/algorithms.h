/* Rate algorithms, one file each. */
#ifndef AICPI_RATELIMIT_ALGORITHMS_H
#define AICPI_RATELIMIT_ALGORITHMS_H

#include "lib/ratelimit/ratelimit_internal.h"

extern const aicpi_limit_algorithm aicpi_limit_gcra;
extern const aicpi_limit_algorithm aicpi_limit_fixed_window;

/* 128 by 64 bit, rounded up / down, at most UINT64_MAX. */
static inline uint64_t aicpi_limit_div_down(aicpi_uint128 value, uint64_t by) {
    if ((uint64_t)(value >> 64) == 0) {
        return (uint64_t)value / by; /* many times faster than the wide division */
    }
    aicpi_uint128 q = value / by;
    return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

static inline uint64_t aicpi_limit_div_up(aicpi_uint128 value, uint64_t by) {
    return value == 0 ? 0 : aicpi_limit_div_down(value + (by - 1), by);
}

#endif
