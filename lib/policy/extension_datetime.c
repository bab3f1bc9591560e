/* datetime and duration: both in milliseconds. */
#include "lib/policy/extension.h"

#include "lib/base/clock.h"
#include "lib/base/text.h"

#include <inttypes.h>
#include <stdio.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

static const char bad_datetime[] =
    "a datetime is YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss[.SSS] with Z or +hhmm or -hhmm";

typedef struct cursor {
    aicpi_slice text;
    size_t pos;
    bool ok;
} cursor;

static int32_t digits(cursor *c, size_t count) {
    int32_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (c->pos >= c->text.len || !aicpi_is_digit(c->text.data[c->pos])) {
            c->ok = false;
            return 0;
        }
        n = n * 10 + (c->text.data[c->pos++] - '0');
    }
    return n;
}

static void literal(cursor *c, char wanted) {
    if (c->pos < c->text.len && c->text.data[c->pos] == wanted) {
        c->pos++;
    } else {
        c->ok = false;
    }
}

static char next_char(const cursor *c) {
    return c->pos < c->text.len ? c->text.data[c->pos] : '\0';
}

/* hh:mm:ss[.SSS] and the zone; the time of day in UTC, which may lie outside the day. */
static const char *parse_time(cursor *c, int64_t *ms) {
    int32_t hour = digits(c, 2);
    literal(c, ':');
    int32_t minute = digits(c, 2);
    literal(c, ':');
    int32_t second = digits(c, 2);
    int32_t milli = 0;
    if (next_char(c) == '.') {
        c->pos++;
        milli = digits(c, 3);
    }
    int64_t offset = 0;
    int32_t zone_hour = 0;
    int32_t zone_minute = 0;
    char zone = next_char(c);
    c->pos++;
    if (zone == '+' || zone == '-') {
        zone_hour = digits(c, 2);
        zone_minute = digits(c, 2);
        offset = zone_hour * HOUR_MS + zone_minute * MINUTE_MS;
        offset = zone == '-' ? -offset : offset;
    } else if (zone != 'Z') {
        return bad_datetime;
    }
    if (!c->ok || c->pos != c->text.len) {
        return bad_datetime;
    }
    if (hour > 23 || minute > 59 || second > 59 || zone_hour > 23 || zone_minute > 59) {
        return "the time of day or the zone is out of range";
    }
    *ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + milli - offset;
    return NULL;
}

const char *aicpi_policy_datetime_parse(aicpi_slice text, int64_t *epoch_ms) {
    cursor c = {.text = text, .ok = true};
    int32_t year = digits(&c, 4);
    literal(&c, '-');
    int32_t month = digits(&c, 2);
    literal(&c, '-');
    int32_t day = digits(&c, 2);
    if (!c.ok) {
        return bad_datetime;
    }
    if (month < 1 || month > 12 || day < 1 || day > aicpi_days_in_month(year, month)) {
        return "there is no such date";
    }
    int64_t time = 0;
    if (c.pos < text.len) {
        literal(&c, 'T');
        const char *wrong = c.ok ? parse_time(&c, &time) : bad_datetime;
        if (wrong) {
            return wrong;
        }
    }
    *epoch_ms = aicpi_days_from_civil(year, month, day) * DAY_MS + time;
    return NULL;
}

/* ---- duration ---- */

typedef struct unit {
    char name[3];
    int64_t ms;
} unit;

static const unit units[] = {
    {"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", SECOND_MS}, {"ms", 1}};
#define UNITS (sizeof units / sizeof *units)

/* Number of the unit named at *pos, UNITS when there is none. */
static size_t read_unit(aicpi_slice text, size_t *pos) {
    size_t start = *pos;
    while (*pos < text.len && !aicpi_is_digit(text.data[*pos])) {
        ++*pos;
    }
    aicpi_slice name = aicpi_slice_of(text.data + start, *pos - start);
    size_t i = 0;
    while (i < UNITS && !aicpi_slice_is(name, units[i].name)) {
        i++;
    }
    return i;
}

const char *aicpi_policy_duration_parse(aicpi_slice text, int64_t *ms) {
    static const char form[] =
        "a duration is numbers with the units d, h, m, s, ms in this order, such as 1h30m";
    bool negative = text.len > 0 && text.data[0] == '-';
    size_t p = negative;
    if (p == text.len) {
        return form;
    }
    int64_t total = 0;
    bool overflow = false;
    size_t next = 0; /* units before this one can no longer come */
    while (p < text.len) {
        size_t start = p;
        while (p < text.len && aicpi_is_digit(text.data[p])) {
            p++;
        }
        aicpi_slice number = aicpi_slice_of(text.data + start, p - start);
        size_t which = read_unit(text, &p);
        if (number.len == 0 || which == UNITS || which < next) {
            return form;
        }
        next = which + 1;
        int64_t amount = 0;
        for (size_t i = 0; i < number.len; i++) {
            int digit = number.data[i] - '0';
            overflow |= __builtin_mul_overflow(amount, 10, &amount);
            overflow |= negative ? __builtin_sub_overflow(amount, digit, &amount)
                                 : __builtin_add_overflow(amount, digit, &amount);
        }
        overflow |= __builtin_mul_overflow(amount, units[which].ms, &amount);
        overflow |= __builtin_add_overflow(total, amount, &total);
    }
    if (overflow) {
        return "the duration is out of range";
    }
    *ms = total;
    return NULL;
}

size_t aicpi_policy_duration_format(int64_t ms, char out[AICPI_POLICY_EXTENSION_TEXT]) {
    return (size_t)snprintf(out, AICPI_POLICY_EXTENSION_TEXT, "%" PRId64 "ms", ms);
}
