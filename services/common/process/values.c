/* The types of settings: reading, bounds, and how a value is shown. */
#include "services/common/process/config.h"

#include "lib/base/text.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *unit;
    int64_t factor;
} durations[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"", 1000}},
  sizes[] = {
      {"", 1},
      {"B", 1},
      {"KiB", INT64_C(1) << 10},
      {"MiB", INT64_C(1) << 20},
      {"GiB", INT64_C(1) << 30},
};

bool aicps_value_int(aicpi_slice text, int64_t *out) {
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t digits = 0;
    aicpi_slice rest = aicpi_slice_of(text.data + negative, text.len - (negative ? 1 : 0));
    if (!aicpi_parse_u64(rest, &digits) || digits > (uint64_t)INT64_MAX) {
        return false;
    }
    *out = negative ? -(int64_t)digits : (int64_t)digits;
    return true;
}

/* The digits at the start of the text, and what follows them (blanks between are passed). */
static bool split_unit(aicpi_slice text, int64_t *number, aicpi_slice *unit) {
    size_t n = 0;
    while (n < text.len && aicpi_is_digit(text.data[n])) {
        n++;
    }
    if (!aicps_value_int(aicpi_slice_of(text.data, n), number)) {
        return false;
    }
    while (n < text.len && text.data[n] == ' ') {
        n++;
    }
    *unit = aicpi_slice_of(text.data + n, text.len - n);
    return true;
}

static bool scale(int64_t number, int64_t factor, int64_t *out) {
    if (number > INT64_MAX / factor) {
        return false;
    }
    *out = number * factor;
    return true;
}

bool aicps_value_duration(aicpi_slice text, int64_t *ms) {
    int64_t number = 0;
    aicpi_slice unit;
    if (!split_unit(text, &number, &unit)) {
        return false;
    }
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        if (aicpi_slice_is(unit, durations[i].unit)) {
            return scale(number, durations[i].factor, ms);
        }
    }
    return false;
}

bool aicps_value_size(aicpi_slice text, int64_t *bytes) {
    int64_t number = 0;
    aicpi_slice unit;
    if (!split_unit(text, &number, &unit)) {
        return false;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (aicpi_slice_is(unit, sizes[i].unit)) {
            return scale(number, sizes[i].factor, bytes);
        }
    }
    return false;
}

bool aicps_value_bool(aicpi_slice text, bool *out) {
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (aicpi_slice_is_nocase(text, yes[i]) || aicpi_slice_is_nocase(text, no[i])) {
            *out = aicpi_slice_is_nocase(text, yes[i]);
            return true;
        }
    }
    return false;
}

static aicpi_slice url_scheme(aicpi_slice text) {
    size_t n = 0;
    while (n < text.len &&
           (aicpi_is_alnum(text.data[n]) || (n > 0 && strchr("+-.", text.data[n])))) {
        n++;
    }
    bool ok = n > 0 && n < text.len && text.data[n] == ':' && aicpi_is_alpha(text.data[0]);
    return aicpi_slice_of(text.data, ok ? n : 0);
}

/* Host and port of an authority without its user. */
static const char *check_host(aicpi_slice host) {
    const char *colon = NULL;
    if (host.len > 0 && host.data[0] == '[') {
        const char *end = memchr(host.data, ']', host.len);
        if (!end) {
            return "has an unclosed '[' in its host";
        }
        colon = end + 1 < host.data + host.len ? end + 1 : NULL;
        if (colon && *colon != ':') {
            return "has text after the ']' of its host";
        }
    } else {
        colon = memchr(host.data, ':', host.len);
    }
    if (host.len == 0 || colon == host.data) {
        return "has no host";
    }
    if (colon) {
        size_t len = (size_t)(host.data + host.len - colon) - 1;
        uint64_t port = 0;
        if (!aicpi_parse_u64(aicpi_slice_of(colon + 1, len), &port) || port < 1 || port > 65535) {
            return "has a port that is not in 1 .. 65535";
        }
    }
    return NULL;
}

/* Stores that are files or sockets have no host. */
static bool may_lack_host(aicpi_slice scheme) {
    static const char *const names[] = {"sqlite", "file", "unix", "postgresql", "postgres"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (aicpi_slice_is_nocase(scheme, names[i])) {
            return true;
        }
    }
    return false;
}

const char *aicps_value_url(aicpi_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == 0x7f) {
            return "has blanks or control characters in it";
        }
    }
    aicpi_slice scheme = url_scheme(text);
    if (scheme.len == 0) {
        return "has no scheme such as https://";
    }
    if (may_lack_host(scheme)) {
        return NULL;
    }
    size_t start = scheme.len + 3;
    if (text.len < start || memcmp(text.data + scheme.len, "://", 3) != 0) {
        return "has no :// after its scheme";
    }
    size_t end = start;
    size_t host = start;
    while (end < text.len && !strchr("/?#", text.data[end])) {
        if (text.data[end] == '@') {
            host = end + 1;
        }
        end++;
    }
    return check_host(aicpi_slice_of(text.data + host, end - host));
}

/* "scheme://user:password@host": the password must not be seen. */
static const char *shown_url(aicpi_arena *arena, aicpi_slice text) {
    char *out = aicpi_arena_strndup(arena, text.data, text.len);
    char *start = out ? strstr(out, "://") : NULL;
    if (!start) {
        return out;
    }
    start += 3;
    size_t end = strcspn(start, "/?#");
    char *at = memrchr(start, '@', end);
    char *colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;
    if (colon) {
        size_t size = text.len + sizeof ":***";
        char *hidden = aicpi_arena_alloc(arena, size);
        if (hidden) {
            (void)snprintf(hidden, size, "%.*s:***%s", (int)(colon - out), out, at);
        }
        out = hidden;
    }
    /* A query may hold a password too. */
    char *query = out ? strchr(out, '?') : NULL;
    if (query) {
        *query = '\0';
    }
    return out;
}

typedef struct place {
    aicps_config *config;
    const aicps_setting *setting;
    const char *where;
} place;

static bool is_secret(const aicps_setting *s) {
    return (s->flags & AICPS_SETTING_SECRET) != 0;
}

static void wrong(const place *p, aicpi_slice text, const char *what) {
    if (is_secret(p->setting) || p->setting->type == AICPS_SETTING_URL) {
        aicps_config_problem(p->config, p->where, "%s: the value %s", p->setting->name, what);
        return;
    }
    int shown = text.len > 60 ? 60 : (int)text.len;
    aicps_config_problem(
        p->config,
        p->where,
        "%s: \"%.*s%s\" %s",
        p->setting->name,
        shown,
        text.data,
        text.len > 60 ? "..." : "",
        what);
}

static bool within(const place *p, aicpi_slice text, int64_t value, const char *unit) {
    const aicps_setting *s = p->setting;
    char what[80];
    if (s->min == 0 && s->max == 0) {
        if (value >= 0) {
            return true;
        }
        wrong(p, text, "is negative");
        return false;
    }
    if (value >= s->min && value <= s->max) {
        return true;
    }
    (void)snprintf(
        what,
        sizeof what,
        value < s->min ? "is below the least, %" PRId64 "%s" : "is above the most, %" PRId64 "%s",
        value < s->min ? s->min : s->max,
        unit);
    wrong(p, text, what);
    return false;
}

static bool one_of(const char *choices, aicpi_slice text) {
    while (choices) {
        const char *bar = strchr(choices, '|');
        size_t len = bar ? (size_t)(bar - choices) : strlen(choices);
        if (aicpi_slice_eq(aicpi_slice_of(choices, len), text)) {
            return true;
        }
        choices = bar ? bar + 1 : NULL;
    }
    return false;
}

/* TEXT, URL and the items of lists. */
static bool text_ok(const place *p, aicpi_slice text) {
    const aicps_setting *s = p->setting;
    char what[200];
    if (text.len > 0 && memchr(text.data, '\0', text.len)) {
        wrong(p, AICPI_SLICE(""), "has a NUL in it");
        return false;
    }
    if (s->type == AICPS_SETTING_URL) {
        const char *mistake = aicps_value_url(text);
        if (mistake) {
            wrong(p, text, mistake);
            return false;
        }
    }
    aicpi_slice choice = s->type == AICPS_SETTING_URL ? url_scheme(text) : text;
    if (s->choices && !one_of(s->choices, choice)) {
        (void)snprintf(
            what,
            sizeof what,
            s->type == AICPS_SETTING_URL ? "has a scheme that is not one of %s"
                                         : "is not one of %s",
            s->choices);
        wrong(p, text, what);
        return false;
    }
    if (s->type == AICPS_SETTING_URL || s->max == 0) {
        return true;
    }
    if ((int64_t)text.len < s->min || (int64_t)text.len > s->max) {
        bool is_short = (int64_t)text.len < s->min;
        (void)snprintf(
            what,
            sizeof what,
            is_short ? "is shorter than %" PRId64 " bytes" : "is longer than %" PRId64 " bytes",
            is_short ? s->min : s->max);
        wrong(p, text, what);
        return false;
    }
    return true;
}

static bool read_number(const place *p, aicpi_slice text, int64_t *out) {
    switch (p->setting->type) {
    case AICPS_SETTING_INT:
        if (!aicps_value_int(text, out)) {
            wrong(p, text, "is not a whole number");
            return false;
        }
        return within(p, text, *out, "");
    case AICPS_SETTING_DURATION:
        if (!aicps_value_duration(text, out)) {
            wrong(p, text, "is not a time such as 250ms, 30s, 5m, 2h or 1d");
            return false;
        }
        return within(p, text, *out, " ms");
    default:
        if (!aicps_value_size(text, out)) {
            wrong(p, text, "is not a size such as 4096, 64KiB, 1MiB or 1GiB");
            return false;
        }
        return within(p, text, *out, " bytes");
    }
}

static void took(const place *p, size_t index, aicpi_slice text) {
    aicps_given *g = &p->config->given[index];
    g->source = p->where;
    g->set = true;
    if (is_secret(p->setting)) {
        g->shown = "(set)";
    } else if (p->setting->type == AICPS_SETTING_URL) {
        g->shown = shown_url(&p->config->arena, text);
    } else {
        g->shown = aicpi_arena_strndup(&p->config->arena, text.data, text.len);
    }
}

static aicpi_slice trim(aicpi_slice text) {
    while (text.len > 0 && strchr(" \t", text.data[0]) && text.data[0]) {
        text = aicpi_slice_of(text.data + 1, text.len - 1);
    }
    while (text.len > 0 && strchr(" \t", text.data[text.len - 1]) && text.data[text.len - 1]) {
        text.len--;
    }
    return text;
}

/* A comma list as one text. Empty items are left out. */
static void set_comma_list(const place *p, size_t index, aicpi_slice text) {
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == ',' ? 1 : 0;
    }
    aicpi_slice *items = aicpi_arena_calloc(&p->config->arena, count, sizeof *items);
    if (!items) {
        aicps_config_problem(p->config, p->where, "out of memory");
        return;
    }
    size_t used = 0;
    size_t start = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i == text.len || text.data[i] == ',') {
            items[used] = trim(aicpi_slice_of(text.data + start, i - start));
            used += items[used].len > 0 ? 1 : 0;
            start = i + 1;
        }
    }
    aicps_config_set_list(p->config, index, p->where, items, used);
}

void aicps_config_set(aicps_config *c, size_t index, const char *where, aicpi_slice text) {
    void *target = NULL;
    const aicps_setting *s = aicps_config_at(c, index, &target);
    place p = {c, s, where};
    char *at = (char *)target + s->offset;
    if (text.len > AICPS_CONFIG_VALUE_MAX) {
        aicps_config_problem(
            c, where, "%s: is longer than %zu bytes", s->name, AICPS_CONFIG_VALUE_MAX);
        return;
    }
    int64_t number = 0;
    bool truth = false;
    char *copy = NULL;
    switch (s->type) {
    case AICPS_SETTING_LIST:
        set_comma_list(&p, index, text);
        return;
    case AICPS_SETTING_BOOL:
        if (!aicps_value_bool(text, &truth)) {
            wrong(&p, text, "is neither true nor false");
            return;
        }
        memcpy(at, &truth, sizeof truth);
        break;
    case AICPS_SETTING_TEXT:
    case AICPS_SETTING_URL:
        if (!text_ok(&p, text)) {
            return;
        }
        copy = aicpi_arena_strndup(&c->arena, text.data, text.len);
        if (!copy) {
            aicps_config_problem(c, where, "out of memory");
            return;
        }
        memcpy(at, &copy, sizeof copy);
        break;
    default:
        if (!read_number(&p, text, &number)) {
            return;
        }
        memcpy(at, &number, sizeof number);
    }
    took(&p, index, text);
}

void aicps_config_set_list(
    aicps_config *c, size_t index, const char *where, const aicpi_slice *items, size_t count) {
    void *target = NULL;
    const aicps_setting *s = aicps_config_at(c, index, &target);
    place p = {c, s, where};
    const char **list = aicpi_arena_calloc(&c->arena, count + 1, sizeof *list);
    aicpi_strbuf shown;
    aicpi_strbuf_init(&shown, NULL, AICPS_CONFIG_VALUE_MAX * 2);
    bool ok = list != NULL;
    for (size_t i = 0; list && i < count; i++) {
        if (!text_ok(&p, items[i])) {
            aicpi_strbuf_deinit(&shown);
            return;
        }
        list[i] = aicpi_arena_strndup(&c->arena, items[i].data, items[i].len);
        ok = ok && list[i] != NULL;
        aicpi_strbuf_puts(&shown, i > 0 ? "," : "");
        aicpi_strbuf_append(&shown, items[i].data, items[i].len);
    }
    if (ok) {
        char *at = (char *)target + s->offset;
        memcpy(at, &list, sizeof list);
        took(&p, index, aicpi_slice_of(shown.data ? shown.data : "", shown.len));
    } else {
        aicps_config_problem(c, where, "out of memory");
    }
    aicpi_strbuf_deinit(&shown);
}
