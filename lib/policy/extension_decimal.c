/* decimal: a number with up to four decimals, kept as an integer of ten-thousandths. */
#include "lib/policy/extension.h"

#include "lib/base/text.h"

#include <inttypes.h>
#include <stdio.h>

#define DECIMALS 4

const char *aicpi_policy_decimal_parse(aicpi_slice text, int64_t *out) {
    static const char form[] = "a decimal is digits, a point and one to four digits";
    bool negative = text.len > 0 && text.data[0] == '-';
    size_t p = negative;
    size_t whole_start = p;
    /* Counted downwards from zero, because the least value has no positive counterpart. */
    int64_t value = 0;
    bool overflow = false;
    size_t decimals = 0;
    bool point = false;
    for (; p < text.len; p++) {
        char c = text.data[p];
        if (c == '.' && !point && p > whole_start) {
            point = true;
            continue;
        }
        if (!aicpi_is_digit(c) || (point && decimals == DECIMALS)) {
            return form;
        }
        decimals += point;
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_sub_overflow(value, c - '0', &value);
    }
    if (!point || decimals == 0) {
        return form;
    }
    for (; decimals < DECIMALS; decimals++) {
        overflow |= __builtin_mul_overflow(value, 10, &value);
    }
    if (!negative) {
        overflow |= __builtin_sub_overflow(INT64_C(0), value, &value);
    }
    if (overflow) {
        return "the decimal is out of range";
    }
    *out = value;
    return NULL;
}

/* Without zeros at the end, except for the one behind the point. */
size_t aicpi_policy_decimal_format(int64_t n, char out[AICPI_POLICY_EXTENSION_TEXT]) {
    uint64_t magnitude = n < 0 ? -(uint64_t)n : (uint64_t)n;
    int len = snprintf(
        out,
        AICPI_POLICY_EXTENSION_TEXT,
        "%s%" PRIu64 ".%04" PRIu64,
        n < 0 ? "-" : "",
        magnitude / 10000,
        magnitude % 10000);
    while (out[len - 1] == '0' && out[len - 2] != '.') {
        len--;
    }
    return (size_t)len;
}
