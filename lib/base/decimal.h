/* Exact decimal arithmetic for money: text to scaled integers, 128-bit products, one rounding at
 * the end. */
#ifndef AICPI_BASE_DECIMAL_H
#define AICPI_BASE_DECIMAL_H

#include "lib/base/slice.h"

#include "aicp/error.h"

#include <stdint.h>

__extension__ typedef __int128 aicpi_int128;
__extension__ typedef unsigned __int128 aicpi_uint128;

/* Decimal text ("-1.5e-6") times 10^scale as an integer, rounded half away from zero; *exact says
 * whether no digit was lost (may be NULL). Scale 0..30. ERR_PARSE or ERR_RANGE. */
aicp_status
aicpi_decimal_parse(aicpi_slice text, uint32_t scale, int64_t *out, bool *exact, aicp_error *err);
/* value / 10^digits, rounded half away from zero. */
aicpi_int128 aicpi_decimal_round(aicpi_int128 value, uint32_t digits);
/* False when the value does not fit. */
bool aicpi_int64_from(aicpi_int128 value, int64_t *out);
/* Text of value * 10^-scale without exponent or trailing zeros; room for 48 bytes; returns the
 * length. */
size_t aicpi_decimal_format(int64_t value, uint32_t scale, char *out);
bool aicpi_add_i64(int64_t x, int64_t y, int64_t *out); /* false on overflow */
bool aicpi_sub_i64(int64_t x, int64_t y, int64_t *out);

#endif
