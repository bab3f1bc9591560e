/* Strict JSON text to trees, and small readers and makers of values in the form of the API. */
#include "services/common/api/api_internal.h"

#include "lib/base/decimal.h"
#include "lib/base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_MAX 512

static struct json_object *build(aicpi_json *r, uint32_t depth);

static struct json_object *build_number(aicpi_json *r) {
    size_t at = aicpi_json_offset(r);
    aicpi_slice text;
    if (!aicpi_json_number(r, &text)) {
        return NULL;
    }
    char copy[NUMBER_MAX];
    if (text.len >= sizeof copy) {
        aicpi_json_fail(
            r, AICP_ERR_RANGE, at, "number has more than %d characters", NUMBER_MAX - 1);
        return NULL;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    char *end = NULL;
    if (!strpbrk(copy, ".eE")) {
        errno = 0;
        long long n = strtoll(copy, &end, 10);
        if (errno == 0 && !*end) {
            return json_object_new_int64(n);
        }
    }
    /* Larger whole numbers keep their digits; a field of whole numbers refuses them. */
    double d = strtod(copy, &end);
    if (!isfinite(d)) {
        aicpi_json_fail(r, AICP_ERR_RANGE, at, "number is too large");
        return NULL;
    }
    return json_object_new_double_s(d, copy);
}

static struct json_object *build_object(aicpi_json *r, uint32_t depth) {
    struct json_object *o = json_object_new_object();
    aicpi_slice key;
    bool ok = o && aicpi_json_object(r);
    while (ok && aicpi_json_member(r, &key)) {
        size_t at = aicpi_json_offset(r);
        char *name = aicpi_arena_strndup(r->arena, key.data, key.len);
        if (name && strlen(name) != key.len) {
            aicpi_json_fail(r, AICP_ERR_PARSE, at, "NUL in a name");
        }
        struct json_object *v = build(r, depth + 1);
        ok = name && aicpi_json_ok(r) && json_object_object_add(o, name, v) == 0;
        if (!ok) {
            json_object_put(v);
        }
    }
    if (!ok || !aicpi_json_ok(r)) {
        aicpi_json_fail(r, AICP_ERR_NOMEM, r->pos, "out of memory");
        json_object_put(o);
        return NULL;
    }
    return o;
}

static struct json_object *build_array(aicpi_json *r, uint32_t depth) {
    struct json_object *a = json_object_new_array();
    bool ok = a && aicpi_json_array(r);
    while (ok && aicpi_json_element(r)) {
        struct json_object *v = build(r, depth + 1);
        ok = aicpi_json_ok(r) && json_object_array_add(a, v) == 0;
        if (!ok) {
            json_object_put(v);
        }
    }
    if (!ok || !aicpi_json_ok(r)) {
        aicpi_json_fail(r, AICP_ERR_NOMEM, r->pos, "out of memory");
        json_object_put(a);
        return NULL;
    }
    return a;
}

/* The reader refuses what is nested deeper than its limit, so that this ends. */
static struct json_object *build(aicpi_json *r, uint32_t depth) {
    aicpi_slice text;
    bool b = false;
    switch (depth > AICPI_JSON_DEPTH ? AICPI_JSON_ERROR : aicpi_json_peek(r)) {
    case AICPI_JSON_NULL:
        aicpi_json_null(r);
        return NULL;
    case AICPI_JSON_BOOL:
        return aicpi_json_bool(r, &b) ? json_object_new_boolean(b) : NULL;
    case AICPI_JSON_NUMBER:
        return build_number(r);
    case AICPI_JSON_STRING:
        return aicpi_json_string(r, &text) ? aicps_json_slice(text) : NULL;
    case AICPI_JSON_ARRAY:
        return build_array(r, depth);
    case AICPI_JSON_OBJECT:
        return build_object(r, depth);
    default:
        aicpi_json_skip(r); /* reports what is wrong */
        return NULL;
    }
}

aicp_status aicps_json_parse(
    aicpi_arena *arena,
    const char *data,
    size_t len,
    uint32_t max_depth,
    struct json_object **out,
    aicp_error *err) {
    aicpi_json r;
    *out = NULL;
    aicpi_json_init(&r, arena, data, len, max_depth ? max_depth : AICPS_BODY_DEPTH);
    struct json_object *value = build(&r, 0);
    aicp_status s = aicpi_json_finish(&r, err);
    if (s != AICP_OK) {
        json_object_put(value);
        return s;
    }
    *out = value;
    return AICP_OK;
}

/* ---- reading rows ---- */

struct json_object *aicps_member(struct json_object *row, const char *name) {
    struct json_object *v = NULL;
    return json_object_is_type(row, json_type_object) && json_object_object_get_ex(row, name, &v)
               ? v
               : NULL;
}

bool aicps_is_null(struct json_object *row, const char *name) {
    return aicps_member(row, name) == NULL;
}

aicpi_slice aicps_text(struct json_object *row, const char *name) {
    struct json_object *v = aicps_member(row, name);
    if (!json_object_is_type(v, json_type_string)) {
        return aicpi_slice_of("", 0);
    }
    return aicpi_slice_of(json_object_get_string(v), (size_t)json_object_get_string_len(v));
}

int64_t aicps_int(struct json_object *row, const char *name) {
    struct json_object *v = aicps_member(row, name);
    return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;
}

bool aicps_bool(struct json_object *row, const char *name) {
    struct json_object *v = aicps_member(row, name);
    return json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

int64_t aicps_nano(struct json_object *row, const char *name) {
    struct json_object *v = aicps_member(row, name);
    int64_t nano = 0;
    if (!v ||
        (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))) {
        return 0;
    }
    const char *text = json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN);
    return aicpi_decimal_parse(aicpi_slice_cstr(text), 9, &nano, NULL, NULL) == AICP_OK ? nano : 0;
}

int64_t aicps_time(struct json_object *row, const char *name) {
    int64_t ns = 0;
    return aicpi_time_parse(aicps_text(row, name), &ns) ? ns : 0;
}

/* ---- making values ---- */

struct json_object *aicps_json_text(const char *text) {
    return text ? json_object_new_string(text) : NULL;
}

struct json_object *aicps_json_slice(aicpi_slice text) {
    return text.len > INT32_MAX ? NULL : json_object_new_string_len(text.data, (int)text.len);
}

struct json_object *aicps_json_nano(int64_t nano) {
    char text[48];
    aicpi_decimal_format(nano, 9, text);
    if (!strchr(text, '.')) {
        return json_object_new_int64(nano / AICPI_SECOND_NS);
    }
    return json_object_new_double_s(strtod(text, NULL), text);
}

/* `digits` digits of `value`, and what follows them. */
static char *put_digits(char *at, int64_t value, int digits, char after) {
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    at[digits] = after;
    return at + digits + 1;
}

/* Microseconds, or nanoseconds where there are any: the text stands for the exact value. */
void aicps_time_text(int64_t wall_ns, char text[AICPS_TIME_SIZE]) {
    const int64_t day_ns = 86400 * AICPI_SECOND_NS;
    int64_t days = wall_ns / day_ns;
    int64_t rest = wall_ns % day_ns;
    if (rest < 0) {
        rest += day_ns;
        days--;
    }
    int64_t year = 0;
    int32_t month = 0;
    int32_t day = 0;
    aicpi_civil_from_days(days, &year, &month, &day);
    int64_t seconds = rest / AICPI_SECOND_NS;
    int64_t ns = rest % AICPI_SECOND_NS;
    bool fine = ns % 1000 != 0;
    char *at = put_digits(text, year, 4, '-'); /* 64-bit nanoseconds: 1677 to 2262 */
    at = put_digits(at, month, 2, '-');
    at = put_digits(at, day, 2, 'T');
    at = put_digits(at, seconds / 3600, 2, ':');
    at = put_digits(at, seconds / 60 % 60, 2, ':');
    at = put_digits(at, seconds % 60, 2, '.');
    at = put_digits(at, fine ? ns : ns / 1000, fine ? 9 : 6, 'Z');
    *at = '\0';
}

struct json_object *aicps_json_time(int64_t wall_ns) {
    char text[AICPS_TIME_SIZE];
    aicps_time_text(wall_ns, text);
    return json_object_new_string(text);
}

void aicps_set(struct json_object *row, const char *name, struct json_object *value) {
    if (json_object_object_add(row, name, value) != 0) {
        json_object_put(value);
    }
}
