/* Time zones: offsets from TZif tables and from the rule behind them. */
#include "unit/support.h"

#include "lib/base/clock.h"
#include "lib/base/tz.h"

#include <criterion/criterion.h>
#include <string.h>

static aicpi_tz *load(const char *name) {
    aicpi_tz *tz = NULL;
    aicp_error err = {0};
    aicp_status s = aicpi_tz_load(NULL, aicpi_slice_cstr(name), &tz, &err);
    cr_assert_eq(s, AICP_OK, "%s: %s", name, err.message);
    return tz;
}

static int64_t at(const char *text) {
    int64_t ns = 0;
    cr_assert(aicpi_time_parse(aicpi_slice_cstr(text), &ns), "%s", text);
    return ns / AICPI_SECOND_NS;
}

Test(tz, offsets_follow_tables_and_rules) {
    static const struct {
        const char *zone;
        const char *utc;
        int32_t offset;
    } cases[] = {
        {"UTC", "2026-07-01T00:00:00Z", 0},
        {"", "2026-07-01T00:00:00Z", 0},
        {"America/New_York", "2026-01-01T00:00:00Z", -5 * 3600},
        {"America/New_York", "2026-07-01T00:00:00Z", -4 * 3600},
        {"America/New_York", "2026-11-01T05:59:59Z", -4 * 3600},
        {"America/New_York", "2026-11-01T06:00:00Z", -5 * 3600},
        {"America/New_York", "2027-03-14T06:59:59Z", -5 * 3600},
        {"America/New_York", "2027-03-14T07:00:00Z", -4 * 3600},
        /* behind the table: the footer's rule */
        {"America/New_York", "2090-07-01T00:00:00Z", -4 * 3600},
        {"America/New_York", "2090-12-01T00:00:00Z", -5 * 3600},
        /* southern summer goes over the new year */
        {"Australia/Sydney", "2090-01-01T00:00:00Z", 11 * 3600},
        {"Australia/Sydney", "2090-07-01T00:00:00Z", 10 * 3600},
        {"Asia/Kolkata", "2026-11-22T00:00:00Z", 19800},
        {"Asia/Kathmandu", "2026-11-22T00:00:00Z", 20700},
        {"Europe/Dublin", "2090-07-01T00:00:00Z", 3600},
        {"Europe/Dublin", "2090-01-01T00:00:00Z", 0},
        {"Etc/GMT+5", "2026-11-22T00:00:00Z", -5 * 3600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicpi_tz *tz = load(cases[i].zone);
        cr_expect_eq(
            aicpi_tz_offset(tz, at(cases[i].utc)),
            cases[i].offset,
            "%s %s: %d",
            cases[i].zone,
            cases[i].utc,
            (int)aicpi_tz_offset(tz, at(cases[i].utc)));
        aicpi_tz_free(tz);
    }
}

Test(tz, local_times_that_are_skipped_move_on_and_doubled_ones_are_the_first) {
    aicpi_tz *tz = load("America/New_York");
    cr_expect_eq(aicpi_tz_to_utc(tz, at("2027-03-14T02:30:00Z")), at("2027-03-14T07:30:00Z"));
    cr_expect_eq(aicpi_tz_to_utc(tz, at("2026-11-01T01:30:00Z")), at("2026-11-01T05:30:00Z"));
    cr_expect_eq(aicpi_tz_to_utc(tz, at("2026-11-22T12:00:00Z")), at("2026-11-22T17:00:00Z"));
    aicpi_tz_free(tz);
}

Test(tz, round_trips_through_local_time_for_every_hour_of_a_decade) {
    static const char *const zones[] = {
        "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        aicpi_tz *tz = load(zones[i]);
        for (int64_t t = at("2025-01-01T00:00:00Z"); t < at("2035-01-01T00:00:00Z"); t += 3600) {
            int64_t back = aicpi_tz_to_utc(tz, t + aicpi_tz_offset(tz, t));
            /* a doubled hour comes back as its first occurrence */
            cr_assert(
                back == t || (back < t && back >= t - 7200), "%s %lld", zones[i], (long long)t);
        }
        aicpi_tz_free(tz);
    }
}

Test(tz, unknown_names_are_an_error) {
    static const char *const names[] = {
        "Europe/Atlantis",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe//Berlin",
        "Europe/",
        "Europe",
        "utc offset",
        "a\nb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        aicpi_tz *tz = NULL;
        aicp_error err = {0};
        cr_expect_eq(
            aicpi_tz_load(NULL, aicpi_slice_cstr(names[i]), &tz, &err),
            AICP_ERR_NOT_FOUND,
            "%s",
            names[i]);
        cr_expect_null(tz);
    }
}

Test(tz, files_that_are_none_are_refused) {
    static const char *const files[] = {"", "TZif", "TZif2xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        aicpi_tz *tz = NULL;
        cr_expect_eq(aicpi_tz_parse(NULL, files[i], strlen(files[i]), &tz, NULL), AICP_ERR_PARSE);
        cr_expect_null(tz);
    }
}
