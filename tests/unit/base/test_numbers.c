#include "lib/base/clock.h"
#include "lib/base/decimal.h"
#include "lib/base/text.h"

#include "aicp/base.h"

#include <criterion/criterion.h>
#include <stdio.h>

static int64_t money(const char *text) {
    int64_t nano = -77;
    aicp_error err;
    cr_assert_eq(
        aicp_money_parse(text, strlen(text), &nano, &err), AICP_OK, "%s: %s", text, err.message);
    return nano;
}

Test(money, reads_decimals_exactly) {
    cr_assert_eq(money("12"), INT64_C(12000000000));
    cr_assert_eq(money("-0.5"), -500000000);
    cr_assert_eq(money("1e-6"), 1000);
    cr_assert_eq(money("+.25"), 250000000);
    cr_assert_eq(money("1.25E1"), INT64_C(12500000000));
    cr_assert_eq(money("000.000000001"), 1);
    cr_assert_eq(money("0e99999999999999"), 0);
    cr_assert_eq(money("1e-99999999999999"), 0);
    cr_assert_eq(money("9223372036.854775807"), INT64_MAX);
    cr_assert_eq(money("-9223372036.854775808"), INT64_MIN);
}

Test(money, rounds_half_away_from_zero_once) {
    cr_assert_eq(money("0.0000000005"), 1);
    cr_assert_eq(money("-0.0000000005"), -1);
    cr_assert_eq(money("0.00000000049999"), 0);
    cr_assert_eq(money("0.0000000014999999999999999"), 1);
    cr_assert_eq(money("0.00000000004"), 0);
}

Test(money, refuses_what_is_not_a_number_or_too_large) {
    static const char *const bad[] = {
        "", "-", ".", "1.2.3", "1e", "1e+", "e5", " 1", "1 ", "0x1", "1,5", "nan"};
    int64_t nano = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(
            aicp_money_parse(bad[i], strlen(bad[i]), &nano, NULL), AICP_ERR_PARSE, "%s", bad[i]);
    }
    cr_assert_eq(aicp_money_parse("9223372036.854775808", 20, &nano, NULL), AICP_ERR_RANGE);
    cr_assert_eq(aicp_money_parse("1e400", 5, &nano, NULL), AICP_ERR_RANGE);
    cr_assert_eq(aicp_money_parse(NULL, 3, &nano, NULL), AICP_ERR_INVALID);
}

Test(money, text_comes_back_to_the_same_number) {
    static const int64_t values[] = {
        0, 1, -1, 12500, 1000000000, -999999999, INT64_MAX, INT64_MIN, 100, 10};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[AICP_MONEY_TEXT_SIZE];
        size_t len = aicp_money_format(values[i], text);
        cr_assert_lt(len, sizeof text);
        cr_assert_eq(len, strlen(text));
        cr_assert_eq(money(text), values[i], "%s", text);
        cr_assert(len == 1 || text[len - 1] != '0' || !strchr(text, '.'), "%s", text);
    }
}

Test(decimal, round_is_symmetric) {
    cr_assert(aicpi_decimal_round(15, 1) == 2 && aicpi_decimal_round(-15, 1) == -2);
    cr_assert(aicpi_decimal_round(14, 1) == 1 && aicpi_decimal_round(-14, 1) == -1);
    cr_assert(aicpi_decimal_round(7, 0) == 7);
}

Test(clock, dates_and_day_numbers_agree_over_a_thousand_years) {
    int64_t days = aicpi_days_from_civil(1600, 1, 1);
    for (int64_t year = 1600; year < 2600; year++) {
        for (int32_t month = 1; month <= 12; month++) {
            for (int32_t day = 1; day <= aicpi_days_in_month(year, month); day++, days++) {
                int64_t y = 0;
                int32_t m = 0;
                int32_t d = 0;
                aicpi_civil_from_days(days, &y, &m, &d);
                cr_assert(y == year && m == month && d == day);
                cr_assert_eq(aicpi_days_from_civil(year, month, day), days);
            }
        }
    }
    cr_assert_eq(aicpi_days_from_civil(1970, 1, 1), 0);
}

static bool time_is(const char *text, int64_t *ns) {
    return aicpi_time_parse(aicpi_slice_cstr(text), ns);
}

Test(clock, reads_rfc_3339) {
    int64_t ns = 0;
    cr_assert(time_is("1970-01-01T00:00:00Z", &ns) && ns == 0);
    cr_assert(time_is("2026-11-22T17:30:00.25+01:30", &ns));
    char text[40];
    cr_assert_eq(aicpi_time_format(ns, text), 24);
    cr_assert_str_eq(text, "2026-11-22T16:00:00.250Z");
    cr_assert(time_is("1969-12-31", &ns) && ns == -86400 * AICPI_SECOND_NS);
    aicpi_time_format(ns - 1000000, text);
    cr_assert_str_eq(text, "1969-12-30T23:59:59.999Z");
}

Test(clock, refuses_times_that_do_not_exist) {
    static const char *const bad[] = {
        "",
        "2026",
        "2026-13-01",
        "2026-02-29",
        "2026-00-10",
        "2026-01-00",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01 x",
        "9999-12-31T00:00:00Z",
        "0001-01-01",
        "2026-01-01T00:00:00Zz"};
    int64_t ns = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(time_is(bad[i], &ns), "%s", bad[i]);
    }
}

Test(text, utf8_encodes_and_decodes_every_scalar_value) {
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }
        char bytes[4];
        uint32_t back = 0;
        size_t n = aicpi_utf8_encode(c, bytes);
        cr_assert_eq(aicpi_utf8_decode(bytes, n, &back), n);
        cr_assert_eq(back, c);
        cr_assert(n < 2 || aicpi_utf8_decode(bytes, n - 1, &back) == 0);
    }
}

Test(text, invalid_utf8_is_found_where_it_is) {
    static const char text[] = "0123456789abcdef\xE2\x82 tail";
    size_t offset = 0;
    cr_assert_not(aicpi_utf8_valid(text, sizeof text - 1, &offset));
    cr_assert_eq(offset, 16);
    cr_assert_eq(aicpi_utf8_invalid(text + 16, 4), 2);
    cr_assert_eq(aicpi_utf8_invalid("\xFF", 1), 1);
    cr_assert(aicpi_utf8_valid("", 0, NULL));
}

Test(text, base64_accepts_padding_or_none_and_no_loose_bits) {
    unsigned char out[16];
    size_t len = 0;
    cr_assert(aicpi_base64_decode("aGk=", 4, out, &len) && len == 2 && memcmp(out, "hi", 2) == 0);
    cr_assert(aicpi_base64_decode("aGk", 3, out, &len) && len == 2);
    cr_assert(aicpi_base64_decode("", 0, out, &len) && len == 0);
    static const char *const bad[] = {"a", "aGk==", "a===", "aG l", "aGl=", "====", "aGk-"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(aicpi_base64_decode(bad[i], strlen(bad[i]), out, &len), "%s", bad[i]);
    }
}

Test(text, u64_refuses_overflow_and_signs) {
    uint64_t v = 0;
    cr_assert(aicpi_parse_u64(AICPI_SLICE("18446744073709551615"), &v) && v == UINT64_MAX);
    cr_assert_not(aicpi_parse_u64(AICPI_SLICE("18446744073709551616"), &v));
    cr_assert_not(aicpi_parse_u64(AICPI_SLICE("-1"), &v));
    cr_assert_not(aicpi_parse_u64(AICPI_SLICE(""), &v));
}
