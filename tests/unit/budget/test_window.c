/* When budgets reset: the table of the duration rules, changes of summer time included. */
#include "unit/budget/ledger_support.h"

#include "lib/base/clock.h"

#include <criterion/criterion.h>
#include <string.h>

static int64_t at(const char *text) {
    int64_t ns = 0;
    cr_assert(aicpi_time_parse(aicpi_slice_cstr(text), &ns), "%s", text);
    return ns;
}

static aicp_budget_window *parse(
    const char *duration, const char *zone, const char *reset, const char *anchor, int32_t align) {
    aicp_budget_window_options o = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    aicp_budget_window *w = NULL;
    aicp_error err = {0};
    o.timezone = zone;
    o.timezone_len = zone ? strlen(zone) : 0;
    o.reset_time = reset;
    o.reset_time_len = reset ? strlen(reset) : 0;
    o.anchor_ns = anchor ? at(anchor) : 0;
    o.align = align;
    aicp_status s = aicp_budget_window_parse(duration, strlen(duration), &o, &w, &err);
    cr_assert_eq(s, AICP_OK, "%s: %s", duration, err.message);
    return w;
}

typedef struct window_case {
    const char *duration;
    const char *zone;
    const char *reset;
    const char *anchor;
    int32_t align;
    const char *now;
    const char *start;
    const char *end;
} window_case;

static void check(const window_case *c) {
    aicp_budget_window *w = parse(c->duration, c->zone, c->reset, c->anchor, c->align);
    int64_t start = 0;
    int64_t end = 0;
    cr_assert_eq(aicp_budget_window_at(w, at(c->now), &start, &end, NULL), AICP_OK);
    char start_text[40];
    char end_text[40];
    aicpi_time_format(start, start_text);
    aicpi_time_format(end, end_text);
    cr_expect_str_eq(start_text, c->start, "%s at %s starts %s", c->duration, c->now, start_text);
    cr_expect_str_eq(end_text, c->end, "%s at %s ends %s", c->duration, c->now, end_text);
    aicp_budget_window_free(w);
}

#define SUNDAY "2026-11-22T17:30:00Z"
#define CREATED "2026-11-10T10:20:30Z"
#define NY "America/New_York"

Test(window, calendar_windows_are_those_of_the_table) {
    static const window_case cases[] = {
        {"1d", 0, 0, 0, 0, SUNDAY, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"daily", 0, 0, 0, 0, SUNDAY, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"Daily", 0, 0, 0, 0, SUNDAY, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"24h", 0, 0, 0, 0, SUNDAY, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"7d", 0, 0, 0, 0, SUNDAY, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"1w", 0, 0, 0, 0, SUNDAY, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"weekly",
         0,
         0,
         0,
         0,
         "2026-11-23T00:00:00Z",
         "2026-11-23T00:00:00Z",
         "2026-11-30T00:00:00Z"},
        {"30d", 0, 0, 0, 0, SUNDAY, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
        {"1mo", 0, 0, 0, 0, SUNDAY, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
        {"monthly",
         0,
         0,
         0,
         0,
         "2026-12-31T23:59:59Z",
         "2026-12-01T00:00:00Z",
         "2027-01-01T00:00:00Z"},
        {"yearly", 0, 0, 0, 0, SUNDAY, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
        {"hourly",
         0,
         0,
         0,
         0,
         "2026-11-22T23:30:00Z",
         "2026-11-22T23:00:00Z",
         "2026-11-23T00:00:00Z"},
        {"6h", 0, 0, 0, 0, SUNDAY, "2026-11-22T12:00:00Z", "2026-11-22T18:00:00Z"},
        {"15m", 0, 0, 0, 0, "2026-11-22T17:29:59Z", "2026-11-22T17:15:00Z", "2026-11-22T17:30:00Z"},
        {"30s", 0, 0, 0, 0, "2026-11-22T17:29:59Z", "2026-11-22T17:29:30Z", "2026-11-22T17:30:00Z"},
        {"1d",
         "Asia/Kolkata",
         0,
         0,
         0,
         "2026-11-22T19:00:00Z",
         "2026-11-22T18:30:00Z",
         "2026-11-23T18:30:00Z"},
        {"1d", 0, "09:30", 0, 0, SUNDAY, "2026-11-22T09:30:00Z", "2026-11-23T09:30:00Z"},
        {"1d", 0, "18:00:01", 0, 0, SUNDAY, "2026-11-21T18:00:01Z", "2026-11-22T18:00:01Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(&cases[i]);
    }
}

Test(window, uneven_durations_count_from_the_anchor) {
    static const window_case cases[] = {
        {"31d", 0, 0, CREATED, 0, SUNDAY, "2026-11-10T00:00:00Z", "2026-12-11T00:00:00Z"},
        {"2w", 0, 0, CREATED, 0, SUNDAY, "2026-11-10T00:00:00Z", "2026-11-24T00:00:00Z"},
        {"2w",
         0,
         0,
         CREATED,
         0,
         "2026-11-24T00:00:00Z",
         "2026-11-24T00:00:00Z",
         "2026-12-08T00:00:00Z"},
        {"2mo", 0, 0, CREATED, 0, SUNDAY, "2026-11-10T00:00:00Z", "2027-01-10T00:00:00Z"},
        {"2mo",
         0,
         0,
         "2027-01-31T08:00:00Z",
         0,
         "2027-02-15T00:00:00Z",
         "2027-01-31T00:00:00Z",
         "2027-03-31T00:00:00Z"},
        {"3mo",
         0,
         0,
         "2026-11-30T08:00:00Z",
         0,
         "2027-02-27T00:00:00Z",
         "2026-11-30T00:00:00Z",
         "2027-02-28T00:00:00Z"},
        {"5h", 0, 0, CREATED, 0, SUNDAY, "2026-11-22T17:20:30Z", "2026-11-22T22:20:30Z"},
        {"30h", 0, 0, CREATED, 0, SUNDAY, "2026-11-21T16:20:30Z", "2026-11-22T22:20:30Z"},
        {"45m",
         0,
         0,
         "2026-11-22T10:00:00Z",
         0,
         "2026-11-22T11:30:00Z",
         "2026-11-22T11:30:00Z",
         "2026-11-22T12:15:00Z"},
        {"1mo",
         0,
         0,
         "2027-01-31T08:00:00Z",
         1,
         "2027-02-28T08:00:00Z",
         "2027-02-28T08:00:00Z",
         "2027-03-31T08:00:00Z"},
        {"1d", 0, 0, CREATED, 1, SUNDAY, "2026-11-22T10:20:30Z", "2026-11-23T10:20:30Z"},
        {"1w", 0, "00:00", CREATED, 1, SUNDAY, "2026-11-17T00:00:00Z", "2026-11-24T00:00:00Z"},
        {"1h", 0, 0, CREATED, 1, SUNDAY, "2026-11-22T17:20:30Z", "2026-11-22T18:20:30Z"},
        /* before the anchor as well */
        {"2w",
         0,
         0,
         CREATED,
         0,
         "2026-11-09T23:59:59Z",
         "2026-10-27T00:00:00Z",
         "2026-11-10T00:00:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(&cases[i]);
    }
}

Test(window, days_are_as_long_as_summer_time_makes_them) {
    static const window_case cases[] = {
        {"1d", NY, 0, 0, 0, "2026-11-01T03:30:00Z", "2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z"},
        /* 25 hours */
        {"1d", NY, 0, 0, 0, "2026-11-01T04:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
        /* 02:30 does not exist: 03:30 local */
        {"1d",
         NY,
         "02:30",
         0,
         0,
         "2027-03-14T06:30:00Z",
         "2027-03-13T07:30:00Z",
         "2027-03-14T07:30:00Z"},
        {"1d",
         NY,
         "02:30",
         0,
         0,
         "2027-03-14T07:30:00Z",
         "2027-03-14T07:30:00Z",
         "2027-03-15T06:30:00Z"},
        /* 01:30 happens twice: the first */
        {"1d",
         NY,
         "01:30",
         0,
         0,
         "2026-11-01T06:00:00Z",
         "2026-11-01T05:30:00Z",
         "2026-11-02T06:30:00Z"},
        {"hourly",
         NY,
         0,
         0,
         0,
         "2026-11-01T06:30:00Z",
         "2026-11-01T06:00:00Z",
         "2026-11-01T07:00:00Z"},
        {"12h",
         NY,
         0,
         0,
         0,
         "2026-11-01T12:00:00Z",
         "2026-11-01T04:00:00Z",
         "2026-11-01T17:00:00Z"},
        {"1mo",
         NY,
         0,
         0,
         0,
         "2026-11-15T00:00:00Z",
         "2026-11-01T04:00:00Z",
         "2026-12-01T05:00:00Z"},
        /* Samoa had no 30 December 2011 */
        {"1d",
         "Pacific/Apia",
         0,
         0,
         0,
         "2011-12-30T12:00:00Z",
         "2011-12-30T10:00:00Z",
         "2011-12-31T10:00:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(&cases[i]);
    }
}

Test(window, windows_tile_time_without_gap_or_overlap) {
    static const char *const durations[] = {"1d", "7d", "1mo", "6h", "1h", "45m", "31d", "5mo"};
    static const char *const zones[] = {"UTC", NY, "Australia/Lord_Howe", "Asia/Kolkata"};
    for (size_t d = 0; d < sizeof durations / sizeof *durations; d++) {
        for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
            aicp_budget_window *w = parse(durations[d], zones[z], "02:15", CREATED, 0);
            int64_t now = at("2026-10-01T00:00:00Z");
            int64_t start = 0;
            int64_t end = 0;
            cr_assert_eq(aicp_budget_window_at(w, now, &start, &end, NULL), AICP_OK);
            for (int i = 0; i < 800 && end < at("2190-01-01T00:00:00Z"); i++) {
                cr_assert(start <= now && now < end, "%s %s", durations[d], zones[z]);
                int64_t last_start = start;
                int64_t last_end = end;
                cr_assert_eq(aicp_budget_window_at(w, end - 1, &start, &end, NULL), AICP_OK);
                cr_assert(start == last_start && end == last_end);
                now = last_end;
                cr_assert_eq(aicp_budget_window_at(w, now, &start, &end, NULL), AICP_OK);
                cr_assert_eq(start, last_end, "%s %s", durations[d], zones[z]);
            }
            aicp_budget_window_free(w);
        }
    }
}

Test(window, never_has_no_end) {
    static const char *const texts[] = {"never", "", "NEVER"};
    for (size_t i = 0; i < 3; i++) {
        aicp_budget_window *w = parse(texts[i], NULL, NULL, NULL, 0);
        int64_t start = 0;
        int64_t end = 0;
        cr_assert_eq(aicp_budget_window_at(w, NOON, &start, &end, NULL), AICP_OK);
        cr_assert_eq(start, INT64_MIN);
        cr_assert_eq(end, AICP_BUDGET_FOREVER);
        aicp_budget_window_free(w);
    }
}

Test(window, other_durations_are_refused_with_their_place) {
    static const struct {
        const char *text;
        uint64_t offset;
    } cases[] = {
        {"0d", 0},
        {"-1d", 0},
        {"10001d", 0},
        {"99999999999d", 0},
        {"d", 0},
        {"1", 1},
        {"1D", 1},
        {"1M", 1},
        {"1d12h", 1},
        {"12 h", 2},
        {"1mon", 1},
        {" 1d", 0},
        {"fortnightly", 0},
        {"1d ", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicp_budget_window *w = NULL;
        aicp_error err = {0};
        aicp_status s =
            aicp_budget_window_parse(cases[i].text, strlen(cases[i].text), NULL, &w, &err);
        cr_expect_eq(s, AICP_ERR_PARSE, "%s", cases[i].text);
        cr_expect_eq(err.offset, cases[i].offset, "%s: %d", cases[i].text, (int)err.offset);
        cr_expect_null(w);
    }
}

Test(window, bad_zones_times_and_places_are_refused) {
    aicp_budget_window_options o = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    aicp_budget_window *w = NULL;
    o.timezone = "Mars/Olympus";
    o.timezone_len = strlen(o.timezone);
    cr_expect_eq(aicp_budget_window_parse("1d", 2, &o, &w, NULL), AICP_ERR_NOT_FOUND);
    o.timezone_len = 0;
    static const char *const times[] = {"24:00", "1:00", "12:60", "12:00:60", "12-00", "12:00:"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        o.reset_time = times[i];
        o.reset_time_len = strlen(times[i]);
        cr_expect_eq(
            aicp_budget_window_parse("1d", 2, &o, &w, NULL), AICP_ERR_PARSE, "%s", times[i]);
    }
    o.reset_time_len = 0;
    o.align = 7;
    cr_expect_eq(aicp_budget_window_parse("1d", 2, &o, &w, NULL), AICP_ERR_INVALID);
    w = parse("1d", NULL, NULL, NULL, 0);
    int64_t start;
    int64_t end;
    cr_expect_eq(aicp_budget_window_at(w, INT64_MAX, &start, &end, NULL), AICP_ERR_RANGE);
    cr_expect_eq(aicp_budget_window_at(w, INT64_MIN, &start, &end, NULL), AICP_ERR_RANGE);
    aicp_budget_window_free(w);
}

static bool parse_with(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_budget_window_options o = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    aicp_budget_window *w = NULL;
    o.timezone = NY;
    o.timezone_len = strlen(NY);
    o.allocator = a;
    aicp_status s = aicp_budget_window_parse("1mo", 3, &o, &w, NULL);
    aicp_budget_window_free(w);
    return s == AICP_OK || s == AICP_ERR_NOMEM;
}

Test(window, every_failing_allocation_is_survived) {
    cr_assert_gt(test_every_allocation_failing(parse_with, NULL), 3);
}
