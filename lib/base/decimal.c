#include "lib/base/decimal.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

#include "aicp/base.h"

#define NANO_DIGITS 9

typedef struct decimal_text {
    bool negative;
    const char *digits; /* digits and at most one point */
    size_t len;
    int32_t exponent;
} decimal_text;

/* [+-] digits [. digits] [e [+-] digits], at least one digit before or after the point. */
static bool split(aicpi_slice text, decimal_text *out) {
    size_t i = 0;
    *out = (decimal_text){0};
    if (i < text.len && (text.data[i] == '-' || text.data[i] == '+')) {
        out->negative = text.data[i++] == '-';
    }
    out->digits = text.data + i;
    size_t digits = 0;
    bool point = false;
    for (; i < text.len && (aicpi_is_digit(text.data[i]) || (text.data[i] == '.' && !point)); i++) {
        point = point || text.data[i] == '.';
        digits += aicpi_is_digit(text.data[i]);
        out->len++;
    }
    if (digits == 0) {
        return false;
    }
    if (i < text.len && (text.data[i] == 'e' || text.data[i] == 'E')) {
        i++;
        bool minus = i < text.len && text.data[i] == '-';
        i += i < text.len && (text.data[i] == '-' || text.data[i] == '+');
        size_t first = i;
        for (; i < text.len && aicpi_is_digit(text.data[i]); i++) {
            if (out->exponent < 100000) { /* beyond that the result is 0 or out of range anyway */
                out->exponent = out->exponent * 10 + (text.data[i] - '0');
            }
        }
        if (i == first) {
            return false;
        }
        out->exponent = minus ? -out->exponent : out->exponent;
    }
    return i == text.len;
}

aicp_status
aicpi_decimal_parse(aicpi_slice text, uint32_t scale, int64_t *out, bool *exact, aicp_error *err) {
    decimal_text d;
    if (!split(text, &d)) {
        return aicpi_fail(
            err,
            AICP_ERR_PARSE,
            "\"%.*s\" is not a decimal number",
            (int)(text.len < 60 ? text.len : 60),
            text.data);
    }
    size_t whole = 0;
    while (whole < d.len && d.digits[whole] != '.') {
        whole++;
    }
    /* keep = digits counted from the first one that make up the integer value * 10^scale */
    int64_t keep = (int64_t)whole + d.exponent + (int64_t)scale;
    aicpi_int128 value = 0;
    const aicpi_int128 most = (aicpi_int128)INT64_MAX + 1;
    bool lost = false;
    bool up = false;
    int64_t seen = 0;
    for (size_t i = 0; i < d.len; i++) {
        if (d.digits[i] == '.') {
            continue;
        }
        int digit = d.digits[i] - '0';
        if (seen < keep) {
            value = value > most ? value : value * 10 + digit;
        } else {
            up = seen == keep ? digit >= 5 : up;
            lost = lost || digit != 0;
        }
        seen++;
    }
    for (; seen < keep && value != 0 && value <= most; seen++) {
        value *= 10;
    }
    value += up;
    value = d.negative ? -value : value;
    if (!aicpi_int64_from(value, out)) {
        return aicpi_fail(
            err,
            AICP_ERR_RANGE,
            "%.*s is out of range",
            (int)(text.len < 60 ? text.len : 60),
            text.data);
    }
    if (exact) {
        *exact = !lost;
    }
    return AICP_OK;
}

aicpi_int128 aicpi_decimal_round(aicpi_int128 value, uint32_t digits) {
    aicpi_int128 unit = 1;
    for (uint32_t i = 0; i < digits; i++) {
        unit *= 10;
    }
    aicpi_int128 magnitude = value < 0 ? -value : value;
    aicpi_int128 quotient = magnitude / unit;
    quotient += (magnitude % unit) * 2 >= unit && digits > 0;
    return value < 0 ? -quotient : quotient;
}

bool aicpi_int64_from(aicpi_int128 value, int64_t *out) {
    if (value > INT64_MAX || value < INT64_MIN) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

size_t aicpi_decimal_format(int64_t value, uint32_t scale, char *out) {
    char digits[48];
    size_t count = 0;
    uint64_t left = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    while (count <= scale) {
        digits[count++] = '0';
    }
    size_t skip = 0; /* zeros at the end of the fraction */
    while (skip < scale && digits[skip] == '0') {
        skip++;
    }
    size_t len = 0;
    if (value < 0) {
        out[len++] = '-';
    }
    for (size_t i = count; i > skip; i--) {
        if (i == scale) {
            out[len++] = '.';
        }
        out[len++] = digits[i - 1];
    }
    out[len] = '\0';
    return len;
}

bool aicpi_add_i64(int64_t x, int64_t y, int64_t *out) {
    return !__builtin_add_overflow(x, y, out);
}

bool aicpi_sub_i64(int64_t x, int64_t y, int64_t *out) {
    return !__builtin_sub_overflow(x, y, out);
}

aicp_status aicp_money_parse(const char *data, size_t len, int64_t *nano, aicp_error *err) {
    if (!nano || (!data && len > 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "amount or result is NULL");
    }
    return aicpi_decimal_parse(aicpi_slice_of(data, len), NANO_DIGITS, nano, NULL, err);
}

size_t aicp_money_format(int64_t nano, char *out) {
    return aicpi_decimal_format(nano, NANO_DIGITS, out);
}
