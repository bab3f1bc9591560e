/* TZif reader: the 64-bit block of version 2+ files, or the 32-bit block of version 1. */
#include "lib/base/tz.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)
#define NAME_MAX_LEN 64
#define HEADER 44
#define TRANSITIONS_MAX 20000u
#define DAY 86400

/* A day of the year on which the footer's rule switches. */
typedef struct tz_rule {
    char kind; /* 'J': 1..365 without 29 February, 'N': 0..365, 'M': month.week.day */
    int32_t month;
    int32_t week;
    int32_t day;
    int32_t time; /* seconds after local midnight, may be negative or past the day */
} tz_rule;

struct aicpi_tz {
    aicp_allocator allocator;
    size_t count;     /* transitions */
    int64_t *times;   /* when each happens, ascending */
    int32_t *offsets; /* offset from then on */
    int32_t before;   /* offset before the first */
    bool footer;      /* the rule below holds after the last transition */
    bool summer;
    int32_t standard_offset;
    int32_t summer_offset;
    tz_rule start;
    tz_rule end;
};

/* ---- POSIX rule of the footer ---- */

typedef struct tz_text {
    const char *p;
    const char *end;
    bool bad;
} tz_text;

static bool take_char(tz_text *t, char c) {
    if (t->p < t->end && *t->p == c) {
        t->p++;
        return true;
    }
    return false;
}

static int32_t take_number(tz_text *t, int32_t low, int32_t high) {
    int32_t n = 0;
    const char *from = t->p;
    while (t->p < t->end && aicpi_is_digit(*t->p) && n <= 1000) {
        n = n * 10 + (*t->p++ - '0');
    }
    if (t->p == from || n < low || n > high) {
        t->bad = true;
        return low;
    }
    return n;
}

static void take_name(tz_text *t) {
    const char *from = t->p;
    if (take_char(t, '<')) {
        while (t->p < t->end && *t->p != '>') {
            t->p++;
        }
        t->bad = t->bad || !take_char(t, '>');
        return;
    }
    while (t->p < t->end && aicpi_is_alpha(*t->p)) {
        t->p++;
    }
    t->bad = t->bad || t->p - from < 3;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int32_t take_time(tz_text *t, int32_t most_hours) {
    int32_t sign = take_char(t, '-') ? -1 : 1;
    if (sign > 0) {
        (void)take_char(t, '+');
    }
    int32_t seconds = take_number(t, 0, most_hours) * 3600;
    if (take_char(t, ':')) {
        seconds += take_number(t, 0, 59) * 60;
        if (take_char(t, ':')) {
            seconds += take_number(t, 0, 59);
        }
    }
    return sign * seconds;
}

static tz_rule take_rule(tz_text *t) {
    tz_rule r = {'N', 0, 0, 0, 2 * 3600};
    if (!take_char(t, ',')) {
        t->bad = true;
    } else if (take_char(t, 'J')) {
        r.kind = 'J';
        r.day = take_number(t, 1, 365);
    } else if (take_char(t, 'M')) {
        r.kind = 'M';
        r.month = take_number(t, 1, 12);
        t->bad = t->bad || !take_char(t, '.');
        r.week = take_number(t, 1, 5);
        t->bad = t->bad || !take_char(t, '.');
        r.day = take_number(t, 0, 6);
    } else {
        r.day = take_number(t, 0, 365);
    }
    if (take_char(t, '/')) {
        r.time = take_time(t, 167);
    }
    return r;
}

/* Offsets in the text count west of UTC. */
static bool read_footer(aicpi_tz *tz, const char *data, size_t len) {
    if (len == 0) {
        return true; /* no rule: the last transition's offset goes on */
    }
    tz_text t = {data, data + len, false};
    take_name(&t);
    tz->standard_offset = -take_time(&t, 24);
    if (t.p < t.end) {
        tz->summer = true;
        tz->summer_offset = tz->standard_offset + 3600;
        take_name(&t);
        if (t.p < t.end && *t.p != ',') {
            tz->summer_offset = -take_time(&t, 24);
        }
        tz->start = take_rule(&t);
        tz->end = take_rule(&t);
    }
    tz->footer = !t.bad && t.p == t.end;
    return tz->footer;
}

/* Local seconds since 1970 at which the rule switches in a year. */
static int64_t rule_time(const tz_rule *r, int64_t year) {
    int64_t first = aicpi_days_from_civil(year, 1, 1);
    int64_t day = first + r->day;
    if (r->kind == 'J') {
        bool leap = aicpi_days_in_month(year, 2) == 29;
        day = first + r->day - 1 + (leap && r->day >= 60 ? 1 : 0);
    } else if (r->kind == 'M') {
        int64_t month = aicpi_days_from_civil(year, r->month, 1);
        int64_t weekday = ((month + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        int64_t n = (r->day - weekday + 7) % 7 + (int64_t)(r->week - 1) * 7;
        if (n >= aicpi_days_in_month(year, r->month)) {
            n -= 7;
        }
        day = month + n;
    }
    return day * DAY + r->time;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

static int32_t footer_offset(const aicpi_tz *tz, int64_t utc) {
    if (!tz->summer) {
        return tz->standard_offset;
    }
    int64_t year;
    int32_t month;
    int32_t day;
    aicpi_civil_from_days(floor_div(utc + tz->standard_offset, DAY), &year, &month, &day);
    int64_t start = rule_time(&tz->start, year) - tz->standard_offset;
    int64_t end = rule_time(&tz->end, year) - tz->summer_offset;
    bool summer = start < end ? utc >= start && utc < end : utc >= start || utc < end;
    return summer ? tz->summer_offset : tz->standard_offset;
}

/* ---- file ---- */

static uint64_t big_endian(const unsigned char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

typedef struct tz_header {
    uint32_t isut;
    uint32_t isstd;
    uint32_t leap;
    uint32_t times;
    uint32_t types;
    uint32_t chars;
    unsigned char version;
} tz_header;

static bool read_header(const unsigned char *p, size_t len, tz_header *h) {
    if (len < HEADER || memcmp(p, "TZif", 4) != 0) {
        return false;
    }
    h->version = p[4];
    uint32_t *counts[] = {&h->isut, &h->isstd, &h->leap, &h->times, &h->types, &h->chars};
    for (size_t i = 0; i < 6; i++) {
        *counts[i] = (uint32_t)big_endian(p + 20 + 4 * i, 4);
        if (*counts[i] > TRANSITIONS_MAX) {
            return false;
        }
    }
    return h->types > 0;
}

static size_t block_size(const tz_header *h, size_t time_size) {
    return h->times * (time_size + 1) + (size_t)h->types * 6 + h->chars +
           h->leap * (time_size + 4) + h->isstd + h->isut;
}

static bool read_block(aicpi_tz *tz, const unsigned char *p, const tz_header *h, size_t time_size) {
    const unsigned char *indexes = p + h->times * time_size;
    const unsigned char *types = indexes + h->times;
    tz->before = (int32_t)(uint32_t)big_endian(types, 4);
    for (uint32_t i = 0; i < h->times; i++) {
        uint64_t raw = big_endian(p + i * time_size, time_size);
        tz->times[i] = time_size == 4 ? (int32_t)(uint32_t)raw : (int64_t)raw;
        if (indexes[i] >= h->types || (i > 0 && tz->times[i] <= tz->times[i - 1])) {
            return false;
        }
        tz->offsets[i] = (int32_t)(uint32_t)big_endian(types + (size_t)indexes[i] * 6, 4);
        if (tz->offsets[i] < -2 * DAY || tz->offsets[i] > 2 * DAY) {
            return false;
        }
    }
    tz->count = h->times;
    return tz->before >= -2 * DAY && tz->before <= 2 * DAY;
}

/* The block that counts and, for version 2+, the footer behind it. */
static bool read_file(aicpi_tz *tz, const unsigned char *p, size_t len, bool *nomem) {
    tz_header h;
    size_t time_size = 4;
    if (!read_header(p, len, &h)) {
        return false;
    }
    if (h.version >= '2') {
        size_t skip = HEADER + block_size(&h, 4);
        if (skip > len || !read_header(p + skip, len - skip, &h)) {
            return false;
        }
        p += skip;
        len -= skip;
        time_size = 8;
    }
    size_t size = block_size(&h, time_size);
    if (size > len - HEADER) {
        return false;
    }
    tz->times = aicpi_calloc(&tz->allocator, h.times + (size_t)1, sizeof *tz->times);
    tz->offsets = aicpi_calloc(&tz->allocator, h.times + (size_t)1, sizeof *tz->offsets);
    if (!tz->times || !tz->offsets) {
        *nomem = true;
        return false;
    }
    if (!read_block(tz, p + HEADER, &h, time_size)) {
        return false;
    }
    if (time_size == 4) {
        return true;
    }
    const char *footer = (const char *)p + HEADER + size;
    size_t left = len - HEADER - size;
    const char *end = left > 1 ? memchr(footer + 1, '\n', left - 1) : NULL;
    return end && footer[0] == '\n' && read_footer(tz, footer + 1, (size_t)(end - footer - 1));
}

aicp_status aicpi_tz_parse(
    const aicp_allocator *a, const char *data, size_t len, aicpi_tz **out, aicp_error *err) {
    *out = NULL;
    aicp_allocator own = aicpi_allocator(a);
    aicpi_tz *tz = aicpi_calloc(&own, 1, sizeof *tz);
    if (!tz) {
        return aicpi_nomem(err);
    }
    tz->allocator = own;
    bool nomem = false;
    if (!read_file(tz, (const unsigned char *)data, len, &nomem)) {
        aicpi_tz_free(tz);
        return nomem ? aicpi_nomem(err) : aicpi_fail(err, AICP_ERR_PARSE, "not a TZif file");
    }
    *out = tz;
    return AICP_OK;
}

static bool valid_name(aicpi_slice name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool slash = c == '/' && i > 0 && i + 1 < name.len && name.data[i - 1] != '/';
        if (!aicpi_is_alnum(c) && c != '_' && c != '+' && c != '-' && !slash) {
            return false;
        }
    }
    return name.len <= NAME_MAX_LEN;
}

aicp_status
aicpi_tz_load(const aicp_allocator *a, aicpi_slice name, aicpi_tz **out, aicp_error *err) {
    *out = NULL;
    if (name.len == 0 || aicpi_slice_is(name, "UTC")) {
        aicp_allocator own = aicpi_allocator(a);
        *out = aicpi_calloc(&own, 1, sizeof **out);
        if (!*out) {
            return aicpi_nomem(err);
        }
        (*out)->allocator = own;
        return AICP_OK;
    }
    const char *directory = getenv("TZDIR");
    char path[512];
    if (!directory || !*directory) {
        directory = "/usr/share/zoneinfo";
    }
    int shown = name.len < NAME_MAX_LEN ? (int)name.len : NAME_MAX_LEN;
    int n = snprintf(path, sizeof path, "%s/%.*s", directory, shown, name.data);
    if (!valid_name(name) || n < 0 || (size_t)n >= sizeof path) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "unknown time zone '%.*s'", shown, name.data);
    }
    aicp_buf bytes = AICP_BUF_INIT;
    aicp_status s = aicpi_file_read(a, path, FILE_MAX, &bytes, err);
    if (s == AICP_OK) {
        s = aicpi_tz_parse(a, bytes.data, bytes.len, out, err);
    }
    aicp_buf_free(&bytes);
    if (s != AICP_OK && s != AICP_ERR_NOMEM) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "unknown time zone '%.*s'", shown, name.data);
    }
    return s;
}

void aicpi_tz_free(aicpi_tz *tz) {
    if (!tz) {
        return;
    }
    aicp_allocator a = tz->allocator;
    aicpi_free(&a, tz->times);
    aicpi_free(&a, tz->offsets);
    aicpi_free(&a, tz);
}

/* ---- use ---- */

int32_t aicpi_tz_offset(const aicpi_tz *tz, int64_t utc) {
    if (tz->count == 0 || utc >= tz->times[tz->count - 1]) {
        if (tz->footer) {
            return footer_offset(tz, utc);
        }
        return tz->count ? tz->offsets[tz->count - 1] : tz->before;
    }
    if (utc < tz->times[0]) {
        return tz->before;
    }
    size_t low = 0; /* times[low] <= utc < times[high] */
    size_t high = tz->count - 1;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (tz->times[middle] <= utc) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return tz->offsets[low];
}

int64_t aicpi_tz_to_utc(const aicpi_tz *tz, int64_t local) {
    int32_t before = aicpi_tz_offset(tz, local - 2 * DAY);
    int32_t after = aicpi_tz_offset(tz, local + 2 * DAY);
    int64_t with_before = local - before;
    int64_t with_after = local - after;
    bool before_fits = aicpi_tz_offset(tz, with_before) == before;
    bool after_fits = aicpi_tz_offset(tz, with_after) == after;
    if (before_fits && after_fits) {
        return with_before < with_after ? with_before : with_after;
    }
    return after_fits ? with_after : with_before;
}
