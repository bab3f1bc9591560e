/* Calendar windows: pure functions of a rule and a time. */
#include "aicp/budget.h"

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/base/thread.h"
#include "lib/base/tz.h"

#include <string.h>

#define DAY INT64_C(86400)
#define COUNT_MAX 10000
/* Windows are computed for the years 1900 to 2199. */
#define WALL_LEAST (-INT64_C(2208988800) * AICPI_SECOND_NS)
#define WALL_MOST (INT64_C(7258118400) * AICPI_SECOND_NS)

typedef enum window_unit {
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR,
    UNIT_NEVER,
} window_unit;

typedef enum window_kind {
    KIND_NEVER,
    KIND_GRID,   /* equal steps of elapsed time from the anchor */
    KIND_INSIDE, /* equal steps of elapsed time from the start of each day */
    KIND_HOURS,  /* equal steps of local time from the start of each day */
    KIND_DAYS,   /* every `step` days from `base` */
    KIND_MONTHS, /* every `step` months from month `base`, on `day` or the month's last */
} window_kind;

struct aicp_budget_window {
    aicpi_ref ref;
    aicp_allocator allocator;
    aicpi_tz *tz;
    window_kind kind;
    int64_t step;      /* seconds, days or months */
    int64_t base;      /* days since 1970, or months since year 0 */
    int32_t day;       /* of the month */
    int32_t time;      /* local seconds after midnight */
    int64_t anchor_ns; /* of a grid */
};

typedef struct duration {
    window_unit unit;
    int32_t count;
} duration;

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

/* ---- reading ---- */

static bool read_word(aicpi_slice text, duration *out) {
    static const struct {
        const char *word;
        window_unit unit;
    } words[] = {
        {"hourly", UNIT_HOUR},
        {"daily", UNIT_DAY},
        {"weekly", UNIT_WEEK},
        {"monthly", UNIT_MONTH},
        {"yearly", UNIT_YEAR},
        {"never", UNIT_NEVER},
        {"", UNIT_NEVER},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (aicpi_slice_is_nocase(text, words[i].word)) {
            *out = (duration){words[i].unit, 1};
            return true;
        }
    }
    return false;
}

static bool read_unit(aicpi_slice text, window_unit *out) {
    static const struct {
        const char *text;
        window_unit unit;
    } units[] = {
        {"s", UNIT_SECOND},
        {"m", UNIT_MINUTE},
        {"h", UNIT_HOUR},
        {"d", UNIT_DAY},
        {"w", UNIT_WEEK},
        {"mo", UNIT_MONTH},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (aicpi_slice_is(text, units[i].text)) {
            *out = units[i].unit;
            return true;
        }
    }
    return false;
}

static aicp_status read_duration(aicpi_slice text, duration *out, aicp_error *err) {
    if (read_word(text, out)) {
        return AICP_OK;
    }
    const char *data = text.data;
    size_t i = 0;
    int32_t n = 0;
    for (; i < text.len && aicpi_is_digit(data[i]) && n <= COUNT_MAX; i++) {
        n = n * 10 + (data[i] - '0');
    }
    if (i == 0) {
        return aicpi_fail_at(
            err,
            AICP_ERR_PARSE,
            data,
            text.len,
            0,
            "duration must start with a number or be a word");
    }
    if (n < 1 || n > COUNT_MAX) {
        return aicpi_fail_at(
            err, AICP_ERR_PARSE, data, text.len, 0, "duration must count 1 to %d", COUNT_MAX);
    }
    if (!read_unit(aicpi_slice_of(data + i, text.len - i), &out->unit)) {
        return aicpi_fail_at(
            err,
            AICP_ERR_PARSE,
            data,
            text.len,
            i,
            "unit of a duration must be s, m, h, d, w or mo");
    }
    out->count = n;
    return AICP_OK;
}

static bool two_digits(const char *p, int32_t most, int32_t *out) {
    if (!aicpi_is_digit(p[0]) || !aicpi_is_digit(p[1])) {
        return false;
    }
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return *out <= most;
}

static aicp_status read_reset_time(aicpi_slice text, int32_t *seconds, aicp_error *err) {
    int32_t h = 0;
    int32_t m = 0;
    int32_t s = 0;
    *seconds = 0;
    if (text.len == 0) {
        return AICP_OK;
    }
    const char *p = text.data;
    bool ok = (text.len == 5 || text.len == 8) && two_digits(p, 23, &h) && p[2] == ':' &&
              two_digits(p + 3, 59, &m);
    if (ok && text.len == 8) {
        ok = p[5] == ':' && two_digits(p + 6, 59, &s);
    }
    if (!ok) {
        return aicpi_fail_at(
            err, AICP_ERR_PARSE, p, text.len, 0, "reset time must be HH:MM or HH:MM:SS");
    }
    *seconds = h * 3600 + m * 60 + s;
    return AICP_OK;
}

/* ---- meaning ---- */

static int64_t local_of(const aicp_budget_window *w, int64_t wall_ns) {
    int64_t utc = floor_div(wall_ns, AICPI_SECOND_NS);
    return utc + aicpi_tz_offset(w->tz, utc);
}

static void use_grid(aicp_budget_window *w, int64_t seconds, int64_t anchor_ns) {
    w->kind = KIND_GRID;
    w->step = seconds;
    w->anchor_ns = anchor_ns;
}

static void use_days(aicp_budget_window *w, int64_t days, int64_t base) {
    w->kind = KIND_DAYS;
    w->step = days;
    w->base = base;
}

/* Months from the anchor's month and day (calendar windows of one month or year: from the first).
 */
static void use_months(aicp_budget_window *w, int64_t months, int64_t base_day) {
    int64_t year;
    int32_t month;
    aicpi_civil_from_days(base_day, &year, &month, &w->day);
    w->kind = KIND_MONTHS;
    w->step = months;
    w->base = year * 12 + (month - 1);
}

static void place_calendar(aicp_budget_window *w, duration d, int64_t anchor_day, int64_t anchor) {
    bool day = (d.unit == UNIT_DAY && d.count == 1) || (d.unit == UNIT_HOUR && d.count == 24);
    bool week = (d.unit == UNIT_DAY && d.count == 7) || (d.unit == UNIT_WEEK && d.count == 1);
    bool month = (d.unit == UNIT_DAY && d.count == 30) || (d.unit == UNIT_MONTH && d.count == 1);
    if (day) {
        use_days(w, 1, 0);
    } else if (week) {
        use_days(w, 7, 4); /* 1970-01-05 was a Monday */
    } else if (month) {
        use_months(w, 1, 0);
    } else if (d.unit == UNIT_YEAR) {
        use_months(w, 12, 0);
    } else if (d.unit == UNIT_MONTH) {
        use_months(w, d.count, anchor_day);
    } else if (d.unit == UNIT_DAY || d.unit == UNIT_WEEK) {
        use_days(w, d.unit == UNIT_WEEK ? d.count * 7 : d.count, anchor_day);
    } else if (d.unit == UNIT_HOUR && 24 % d.count == 0) {
        w->kind = d.count == 1 ? KIND_INSIDE : KIND_HOURS;
        w->step = d.count * 3600;
    } else if (d.unit != UNIT_HOUR && 60 % d.count == 0) {
        w->kind = KIND_INSIDE;
        w->step = d.unit == UNIT_MINUTE ? d.count * 60 : d.count;
    } else {
        static const int32_t seconds[] = {1, 60, 3600};
        use_grid(w, (int64_t)d.count * seconds[d.unit], anchor);
    }
}

static void place_anchored(aicp_budget_window *w, duration d, int64_t anchor_day, int64_t anchor) {
    static const int32_t seconds[] = {1, 60, 3600};
    if (d.unit == UNIT_YEAR || d.unit == UNIT_MONTH) {
        use_months(w, d.unit == UNIT_YEAR ? 12 : d.count, anchor_day);
    } else if (d.unit == UNIT_DAY || d.unit == UNIT_WEEK) {
        use_days(w, d.unit == UNIT_WEEK ? d.count * 7 : d.count, anchor_day);
    } else {
        use_grid(w, (int64_t)d.count * seconds[d.unit], anchor);
    }
}

static aicp_status
place(aicp_budget_window *w, duration d, const aicp_budget_window_options *o, aicp_error *err) {
    if (o->anchor_ns < WALL_LEAST || o->anchor_ns > WALL_MOST) {
        return aicpi_fail(err, AICP_ERR_RANGE, "anchor of a budget window is out of range");
    }
    if (d.unit == UNIT_NEVER) {
        w->kind = KIND_NEVER;
        return AICP_OK;
    }
    int64_t local = local_of(w, o->anchor_ns);
    if (o->align == AICP_BUDGET_ALIGN_ANCHOR) {
        if (o->reset_time_len == 0) {
            w->time = (int32_t)(local - floor_div(local, DAY) * DAY);
        }
        place_anchored(w, d, floor_div(local, DAY), o->anchor_ns);
    } else {
        place_calendar(w, d, floor_div(local, DAY), o->anchor_ns);
    }
    return AICP_OK;
}

void aicp_budget_window_options_init(aicp_budget_window_options *options, size_t size) {
    if (options && size >= sizeof options->size) {
        memset(options, 0, size);
        options->size = size;
    }
}

aicp_status aicp_budget_window_parse(
    const char *data,
    size_t len,
    const aicp_budget_window_options *options,
    aicp_budget_window **out,
    aicp_error *err) {
    if (!out || (!data && len)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "out and data must not be NULL");
    }
    *out = NULL;
    aicp_budget_window_options o = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    aicp_status s = aicpi_options_copy(&o, sizeof o, options, "aicp_budget_window_options", err);
    if (s != AICP_OK) {
        return s;
    }
    if (o.align != AICP_BUDGET_ALIGN_CALENDAR && o.align != AICP_BUDGET_ALIGN_ANCHOR) {
        return aicpi_fail(err, AICP_ERR_INVALID, "align %d is unknown", (int)o.align);
    }
    duration d = {UNIT_NEVER, 1};
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_budget_window *w = aicpi_calloc(&a, 1, sizeof *w);
    if (!w) {
        return aicpi_nomem(err);
    }
    aicpi_ref_init(&w->ref);
    w->allocator = a;
    s = read_duration(aicpi_slice_of(data ? data : "", len), &d, err);
    if (s == AICP_OK) {
        s = read_reset_time(aicpi_slice_of(o.reset_time, o.reset_time_len), &w->time, err);
    }
    if (s == AICP_OK) {
        s = aicpi_tz_load(&a, aicpi_slice_of(o.timezone, o.timezone_len), &w->tz, err);
    }
    if (s == AICP_OK) {
        s = place(w, d, &o, err);
    }
    if (s != AICP_OK) {
        aicp_budget_window_free(w);
        return s;
    }
    *out = w;
    return AICP_OK;
}

aicp_budget_window *aicp_budget_window_ref(aicp_budget_window *window) {
    if (window) {
        aicpi_ref_get(&window->ref);
    }
    return window;
}

void aicp_budget_window_free(aicp_budget_window *window) {
    if (window && aicpi_ref_put(&window->ref)) {
        aicp_allocator a = window->allocator;
        aicpi_tz_free(window->tz);
        aicpi_free(&a, window);
    }
}

/* ---- looking up ---- */

static int64_t to_utc(const aicp_budget_window *w, int64_t day, int64_t time) {
    return aicpi_tz_to_utc(w->tz, day * DAY + time);
}

/* Start of window k, in UTC seconds. */
static int64_t days_start(const aicp_budget_window *w, int64_t k) {
    return to_utc(w, w->base + k * w->step, w->time);
}

static int64_t months_start(const aicp_budget_window *w, int64_t k) {
    int64_t month = w->base + k * w->step;
    int64_t year = floor_div(month, 12);
    int32_t m = (int32_t)(month - year * 12) + 1;
    int32_t last = aicpi_days_in_month(year, m);
    return to_utc(w, aicpi_days_from_civil(year, m, w->day < last ? w->day : last), w->time);
}

/* The window of a numbered kind that contains `utc`: a guess from the local date, then corrected.
 */
static void numbered(
    const aicp_budget_window *w,
    int64_t (*start_of)(const aicp_budget_window *w, int64_t k),
    int64_t guess,
    int64_t utc,
    int64_t *start,
    int64_t *end) {
    int64_t k = guess;
    while (start_of(w, k) > utc) {
        k--;
    }
    while (start_of(w, k + 1) <= utc) {
        k++;
    }
    *start = start_of(w, k);
    *end = start_of(w, k + 1);
}

static void in_days(const aicp_budget_window *w, int64_t utc, int64_t *start, int64_t *end) {
    int64_t day = floor_div(utc + aicpi_tz_offset(w->tz, utc), DAY);
    numbered(w, days_start, floor_div(day - w->base, w->step), utc, start, end);
}

static void in_months(const aicp_budget_window *w, int64_t utc, int64_t *start, int64_t *end) {
    int64_t year;
    int32_t month;
    int32_t day;
    aicpi_civil_from_days(floor_div(utc + aicpi_tz_offset(w->tz, utc), DAY), &year, &month, &day);
    int64_t k = floor_div(year * 12 + (month - 1) - w->base, w->step);
    numbered(w, months_start, k, utc, start, end);
}

/* Windows inside of a day, which may be 23 or 25 hours long. */
static void in_day(const aicp_budget_window *w, int64_t utc, int64_t *start, int64_t *end) {
    aicp_budget_window day = *w;
    use_days(&day, 1, 0);
    int64_t from;
    int64_t to;
    in_days(&day, utc, &from, &to);
    if (w->kind == KIND_INSIDE) {
        *start = from + (utc - from) / w->step * w->step;
        *end = *start + w->step < to ? *start + w->step : to;
        return;
    }
    int64_t number = floor_div(from + aicpi_tz_offset(w->tz, from) - w->time, DAY);
    *start = from;
    *end = to;
    for (int64_t t = w->step; t < DAY; t += w->step) {
        int64_t at = to_utc(w, number, w->time + t);
        if (at <= utc) {
            *start = at > *start ? at : *start;
        } else if (at < *end) {
            *end = at;
        }
    }
}

static int64_t to_ns(int64_t seconds) {
    if (seconds > INT64_MAX / AICPI_SECOND_NS) {
        return AICP_BUDGET_FOREVER;
    }
    return seconds < INT64_MIN / AICPI_SECOND_NS ? INT64_MIN : seconds * AICPI_SECOND_NS;
}

aicp_status aicp_budget_window_at(
    const aicp_budget_window *window,
    int64_t wall_ns,
    int64_t *start_ns,
    int64_t *end_ns,
    aicp_error *err) {
    if (!window || !start_ns || !end_ns) {
        return aicpi_fail(err, AICP_ERR_INVALID, "window, start_ns and end_ns must not be NULL");
    }
    if (wall_ns < WALL_LEAST || wall_ns > WALL_MOST) {
        return aicpi_fail(err, AICP_ERR_RANGE, "time is outside of the years 1900 to 2199");
    }
    int64_t utc = floor_div(wall_ns, AICPI_SECOND_NS);
    int64_t start = 0;
    int64_t end = 0;
    switch (window->kind) {
    case KIND_NEVER:
        *start_ns = INT64_MIN;
        *end_ns = AICP_BUDGET_FOREVER;
        return AICP_OK;
    case KIND_GRID: {
        int64_t step = window->step * AICPI_SECOND_NS;
        *start_ns = window->anchor_ns + floor_div(wall_ns - window->anchor_ns, step) * step;
        *end_ns = *start_ns + step;
        return AICP_OK;
    }
    case KIND_DAYS:
        in_days(window, utc, &start, &end);
        break;
    case KIND_MONTHS:
        in_months(window, utc, &start, &end);
        break;
    default:
        in_day(window, utc, &start, &end);
        break;
    }
    *start_ns = to_ns(start);
    *end_ns = to_ns(end);
    return AICP_OK;
}
