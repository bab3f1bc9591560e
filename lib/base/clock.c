#include "lib/base/clock.h"

#include "lib/base/text.h"

#include <stdio.h>
#include <time.h>

static uint64_t system_monotonic(void *user) {
    (void)user;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * (uint64_t)AICPI_SECOND_NS + (uint64_t)ts.tv_nsec;
}

static int64_t system_wall(void *user) {
    (void)user;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * AICPI_SECOND_NS + ts.tv_nsec;
}

aicp_clock aicpi_clock(const aicp_clock *c) {
    if (c && c->monotonic_ns && c->wall_ns) {
        return *c;
    }
    return (aicp_clock){NULL, system_monotonic, system_wall};
}

uint64_t aicpi_monotonic_ns(const aicp_clock *c) {
    return c->monotonic_ns(c->user);
}

int64_t aicpi_wall_ns(const aicp_clock *c) {
    return c->wall_ns(c->user);
}

bool aicpi_thread_time_ns(const aicp_clock *c, uint64_t *out) {
    struct timespec ts;
    if (c->monotonic_ns != system_monotonic || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0) {
        return false;
    }
    *out = (uint64_t)ts.tv_sec * (uint64_t)AICPI_SECOND_NS + (uint64_t)ts.tv_nsec;
    return true;
}

/* Years are counted from March, so that the leap day is the last of a year; eras are 400 years of
 * 146097 days. */
#define ERA_DAYS 146097
#define EPOCH_SHIFT 719468 /* 0000-03-01 to 1970-01-01 */

int64_t aicpi_days_from_civil(int64_t year, int32_t month, int32_t day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t shifted = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * shifted + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - EPOCH_SHIFT;
}

void aicpi_civil_from_days(int64_t days, int64_t *year, int32_t *month, int32_t *day) {
    int64_t z = days + EPOCH_SHIFT;
    int64_t era = (z >= 0 ? z : z - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t doe = z - era * ERA_DAYS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t shifted = (5 * doy + 2) / 153;
    *day = (int32_t)(doy - (153 * shifted + 2) / 5 + 1);
    *month = (int32_t)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

int32_t aicpi_days_in_month(int64_t year, int32_t month) {
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

size_t aicpi_time_format(int64_t wall_ns, char *out) {
    int64_t seconds = wall_ns / AICPI_SECOND_NS;
    int64_t ns = wall_ns % AICPI_SECOND_NS;
    if (ns < 0) {
        ns += AICPI_SECOND_NS;
        seconds--;
    }
    int64_t days = seconds / 86400;
    int64_t rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t year = 0;
    int32_t month = 0;
    int32_t day = 0;
    aicpi_civil_from_days(days, &year, &month, &day);
    int n = snprintf(
        out,
        40,
        "%04d-%02d-%02dT%02d:%02d:%02d",
        (int)year,
        (int)month,
        (int)day,
        (int)(rest / 3600),
        (int)(rest / 60 % 60),
        (int)(rest % 60));
    if (ns >= 1000000) {
        n += snprintf(out + n, (size_t)(40 - n), ".%03d", (int)(ns / 1000000));
    }
    n += snprintf(out + n, (size_t)(40 - n), "Z");
    return (size_t)n;
}

/* Reads `count` digits at *pos. */
static bool digits(aicpi_slice t, size_t *pos, size_t count, int32_t *out) {
    int32_t v = 0;
    if (t.len - *pos < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char c = t.data[*pos + i];
        if (!aicpi_is_digit(c)) {
            return false;
        }
        v = v * 10 + (c - '0');
    }
    *pos += count;
    *out = v;
    return true;
}

static bool expect(aicpi_slice t, size_t *pos, char c) {
    if (*pos >= t.len || t.data[*pos] != c) {
        return false;
    }
    ++*pos;
    return true;
}

static bool parse_zone(aicpi_slice t, size_t *pos, int64_t *offset_seconds) {
    *offset_seconds = 0;
    if (*pos >= t.len) {
        return false;
    }
    char c = t.data[(*pos)++];
    if (c == 'Z' || c == 'z') {
        return true;
    }
    int32_t hours = 0;
    int32_t minutes = 0;
    if ((c != '+' && c != '-') || !digits(t, pos, 2, &hours) || !expect(t, pos, ':') ||
        !digits(t, pos, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *offset_seconds = (c == '-' ? -1 : 1) * (hours * INT64_C(3600) + minutes * INT64_C(60));
    return true;
}

static bool parse_fraction(aicpi_slice t, size_t *pos, int64_t *ns) {
    int64_t unit = 100000000;
    size_t start = *pos;
    for (; *pos < t.len && aicpi_is_digit(t.data[*pos]); ++*pos) {
        *ns += (t.data[*pos] - '0') * unit;
        unit /= 10;
    }
    return *pos > start;
}

bool aicpi_time_parse(aicpi_slice t, int64_t *wall_ns) {
    size_t pos = 0;
    int32_t year = 0;
    int32_t month = 0;
    int32_t day = 0;
    if (!digits(t, &pos, 4, &year) || !expect(t, &pos, '-') || !digits(t, &pos, 2, &month) ||
        !expect(t, &pos, '-') || !digits(t, &pos, 2, &day) || month < 1 || month > 12 || day < 1 ||
        day > aicpi_days_in_month(year, month)) {
        return false;
    }
    int64_t seconds = aicpi_days_from_civil(year, month, day) * 86400;
    int64_t ns = 0;
    if (pos < t.len) {
        int32_t hour = 0;
        int32_t minute = 0;
        int32_t second = 0;
        int64_t zone = 0;
        char sep = t.data[pos++];
        if ((sep != 'T' && sep != 't' && sep != ' ') || !digits(t, &pos, 2, &hour) ||
            !expect(t, &pos, ':') || !digits(t, &pos, 2, &minute) || !expect(t, &pos, ':') ||
            !digits(t, &pos, 2, &second) || hour > 23 || minute > 59 || second > 60) {
            return false;
        }
        if (expect(t, &pos, '.') && !parse_fraction(t, &pos, &ns)) {
            return false;
        }
        if (!parse_zone(t, &pos, &zone) || pos != t.len) {
            return false;
        }
        seconds += hour * 3600 + minute * 60 + second - zone;
    }
    return !__builtin_mul_overflow(seconds, AICPI_SECOND_NS, wall_ns) &&
           !__builtin_add_overflow(*wall_ns, ns, wall_ns);
}
