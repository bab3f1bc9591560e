/* Bodies against field tables: every wrong value becomes a field error, all of them at once. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "services/common/api/api_internal.h"

#include "lib/base/decimal.h"

#include <pcre2.h>
#include <stdio.h>

#define PATTERN_STEPS 20000 /* match limit: our patterns are simple, the texts are not ours */

aicp_status aicps_column_init(aicps_column *c, const aicps_field *field, aicp_error *err) {
    *c = (aicps_column){.field = *field, .index = -1};
    c->field.column = field->column ? field->column : field->name;
    c->nullable =
        field->flags & AICPS_NULLABLE || (!(field->flags & AICPS_REQUIRED) && !field->preset);
    if (field->type < AICPS_TEXT || field->type > AICPS_JSON ||
        (field->type == AICPS_ENUM && !field->values)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "field %s: bad type", field->name);
    }
    if (field->pattern) {
        int code = 0;
        PCRE2_SIZE at = 0;
        c->pattern = pcre2_compile(
            (PCRE2_SPTR)field->pattern,
            PCRE2_ZERO_TERMINATED,
            PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY,
            &code,
            &at,
            NULL);
        if (!c->pattern) {
            return aicpi_fail(err, AICP_ERR_INVALID, "field %s: bad pattern", field->name);
        }
    }
    return AICP_OK;
}

void aicps_column_deinit(aicps_column *c) {
    pcre2_code_free(c->pattern);
    c->pattern = NULL;
}

aicp_status aicps_columns_new(
    aicpi_arena *arena,
    const aicps_field *fields,
    size_t count,
    aicps_column **out,
    aicp_error *err) {
    aicps_column *columns = aicpi_arena_calloc(arena, count ? count : 1, sizeof *columns);
    aicp_status s = columns ? AICP_OK : aicpi_nomem(err);
    size_t n = 0;
    while (s == AICP_OK && n < count) {
        s = aicps_column_init(&columns[n], &fields[n], err);
        n += s == AICP_OK;
    }
    if (s != AICP_OK) {
        aicps_columns_free(columns, n);
        columns = NULL;
    }
    *out = columns;
    return s;
}

void aicps_columns_free(aicps_column *columns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        aicps_column_deinit(&columns[i]);
    }
}

static bool matches(const aicps_column *c, const char *text, size_t len) {
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(c->pattern, NULL);
    pcre2_match_context *x = pcre2_match_context_create(NULL);
    bool ok = false;
    if (m && x) {
        pcre2_set_match_limit(x, PATTERN_STEPS);
        ok = pcre2_match(c->pattern, (PCRE2_SPTR)text, len, 0, 0, m, x) >= 0;
    }
    pcre2_match_data_free(m);
    pcre2_match_context_free(x);
    return ok;
}

static bool bounded(const aicps_field *f) {
    return f->min != 0 || f->max != 0;
}

static bool check_text(aicps_call *call, const aicps_column *c, struct json_object *in) {
    const aicps_field *f = &c->field;
    if (!json_object_is_type(in, json_type_string)) {
        aicps_field_error(call, f->name, "must be a string");
        return false;
    }
    const char *text = json_object_get_string(in);
    size_t len = (size_t)json_object_get_string_len(in);
    if (memchr(text, '\0', len)) {
        aicps_field_error(call, f->name, "must not contain a NUL character");
        return false;
    }
    int64_t count = (int64_t)aicpi_utf8_count(text, len);
    int64_t max = bounded(f) ? f->max : AICPS_TEXT_MAX;
    int64_t min = bounded(f) ? f->min : 0;
    if (count < min || count > max) {
        aicps_field_error(
            call, f->name, "must have %lld to %lld characters", (long long)min, (long long)max);
        return false;
    }
    if (c->pattern && !matches(c, text, len)) {
        aicps_field_error(call, f->name, "must match %s", f->pattern);
        return false;
    }
    return true;
}

static bool check_enum(aicps_call *call, const aicps_field *f, struct json_object *in) {
    char list[256] = "";
    size_t n = 0;
    for (size_t i = 0; f->values[i]; i++) {
        if (json_object_is_type(in, json_type_string) &&
            (size_t)json_object_get_string_len(in) == strlen(f->values[i]) &&
            strcmp(json_object_get_string(in), f->values[i]) == 0) {
            return true;
        }
        int k = snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", f->values[i]);
        n += k > 0 && (size_t)k < sizeof list - n ? (size_t)k : 0;
    }
    aicps_field_error(call, f->name, "must be one of %s", list);
    return false;
}

static bool check_int(
    aicps_call *call, const aicps_field *f, struct json_object *in, struct json_object **out) {
    int64_t n = 0;
    bool exact = json_object_is_type(in, json_type_int);
    if (exact) {
        n = json_object_get_int64(in);
    } else if (json_object_is_type(in, json_type_double)) {
        /* 1.0 and 1e3 are whole numbers in JSON Schema too */
        const char *text = json_object_to_json_string_ext(in, JSON_C_TO_STRING_PLAIN);
        exact =
            aicpi_decimal_parse(aicpi_slice_cstr(text), 0, &n, &exact, NULL) == AICP_OK && exact;
    }
    if (!exact) {
        aicps_field_error(call, f->name, "must be a whole number of 64 bits");
        return false;
    }
    if (bounded(f) && (n < f->min || n > f->max)) {
        aicps_field_error(
            call, f->name, "must be %lld to %lld", (long long)f->min, (long long)f->max);
        return false;
    }
    *out = json_object_new_int64(n);
    return *out != NULL;
}

static bool check_decimal(
    aicps_call *call, const aicps_field *f, struct json_object *in, struct json_object **out) {
    enum json_type type = json_object_get_type(in);
    if (type != json_type_int && type != json_type_double && type != json_type_string) {
        aicps_field_error(call, f->name, "must be a number or decimal text");
        return false;
    }
    aicpi_slice text =
        type == json_type_string
            ? aicpi_slice_of(json_object_get_string(in), (size_t)json_object_get_string_len(in))
            : aicpi_slice_cstr(json_object_to_json_string_ext(in, JSON_C_TO_STRING_PLAIN));
    int64_t nano = 0;
    bool exact = false;
    if (text.len > 512 || aicpi_decimal_parse(text, 9, &nano, &exact, NULL) != AICP_OK) {
        aicps_field_error(call, f->name, "must be a decimal number within +-9223372036");
        return false;
    }
    /* A number may come out of binary arithmetic (0.30000000000000004): rounded. Text is meant. */
    if (!exact && type == json_type_string) {
        aicps_field_error(call, f->name, "must have at most 9 decimal places");
        return false;
    }
    if (bounded(f) && (nano < f->min || nano > f->max)) {
        char low[48];
        char high[48];
        aicpi_decimal_format(f->min, 9, low);
        aicpi_decimal_format(f->max, 9, high);
        aicps_field_error(call, f->name, "must be %s to %s", low, high);
        return false;
    }
    *out = aicps_json_nano(nano);
    return *out != NULL;
}

static bool check_time(
    aicps_call *call, const aicps_field *f, struct json_object *in, struct json_object **out) {
    int64_t ns = 0;
    if (!json_object_is_type(in, json_type_string) ||
        !aicpi_time_parse(
            aicpi_slice_of(json_object_get_string(in), (size_t)json_object_get_string_len(in)),
            &ns)) {
        aicps_field_error(call, f->name, "must be a time such as 2026-02-18T10:00:00Z or a date");
        return false;
    }
    *out = aicps_json_time(ns);
    return *out != NULL;
}

/* NUL in any text of a tree; the reader bounded its depth. */
static bool has_nul(struct json_object *v) {
    if (json_object_is_type(v, json_type_string)) {
        return memchr(json_object_get_string(v), '\0', (size_t)json_object_get_string_len(v));
    }
    if (json_object_is_type(v, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(v); i++) {
            if (has_nul(json_object_array_get_idx(v, i))) {
                return true;
            }
        }
    }
    if (json_object_is_type(v, json_type_object)) {
        json_object_object_foreach(v, key, child) {
            (void)key;
            if (has_nul(child)) {
                return true;
            }
        }
    }
    return false;
}

static bool check_texts(aicps_call *call, const aicps_field *f, struct json_object *in) {
    if (!json_object_is_type(in, json_type_array)) {
        aicps_field_error(call, f->name, "must be a list of strings");
        return false;
    }
    int64_t n = (int64_t)json_object_array_length(in);
    if (bounded(f) ? (n < f->min || n > f->max) : n > AICPS_LIST_MAX) {
        aicps_field_error(
            call,
            f->name,
            "must have %lld to %lld items",
            bounded(f) ? (long long)f->min : 0,
            bounded(f) ? (long long)f->max : (long long)AICPS_LIST_MAX);
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(in, (size_t)i);
        if (!json_object_is_type(item, json_type_string) ||
            json_object_get_string_len(item) > 4 * AICPS_TEXT_MAX) {
            aicps_field_error(
                call,
                f->name,
                "item %lld must be a string of at most %d characters",
                (long long)i,
                AICPS_TEXT_MAX);
            return false;
        }
    }
    return true;
}

static bool check_tree(aicps_call *call, const aicps_field *f, struct json_object *in) {
    if (f->type == AICPS_OBJECT && !json_object_is_type(in, json_type_object)) {
        aicps_field_error(call, f->name, "must be an object");
        return false;
    }
    if (f->type == AICPS_TEXTS && !check_texts(call, f, in)) {
        return false;
    }
    if (has_nul(in)) {
        aicps_field_error(call, f->name, "must not contain a NUL character");
        return false;
    }
    size_t len = 0;
    (void)json_object_to_json_string_length(in, JSON_C_TO_STRING_PLAIN, &len);
    if (len > AICPS_JSON_TEXT_MAX) {
        aicps_field_error(call, f->name, "must be at most %zu bytes", AICPS_JSON_TEXT_MAX);
        return false;
    }
    return true;
}

bool aicps_value_check(
    aicps_call *call, const aicps_column *c, struct json_object *in, struct json_object **out) {
    const aicps_field *f = &c->field;
    bool ok = true;
    *out = NULL;
    if (!in) {
        ok = c->nullable && !(f->flags & AICPS_REQUIRED && !(f->flags & AICPS_NULLABLE));
        if (!ok) {
            aicps_field_error(call, f->name, "must not be null");
        }
        return ok;
    }
    switch (f->type) {
    case AICPS_TEXT:
    case AICPS_ID:
        ok = check_text(call, c, in);
        break;
    case AICPS_ENUM:
        ok = check_enum(call, f, in);
        break;
    case AICPS_INT:
        return check_int(call, f, in, out);
    case AICPS_DECIMAL:
    case AICPS_MONEY:
        return check_decimal(call, f, in, out);
    case AICPS_BOOL:
        ok = json_object_is_type(in, json_type_boolean);
        if (!ok) {
            aicps_field_error(call, f->name, "must be true or false");
        }
        break;
    case AICPS_TIME:
        return check_time(call, f, in, out);
    default:
        ok = check_tree(call, f, in);
    }
    *out = ok ? json_object_get(in) : NULL;
    return ok;
}

static struct json_object *preset_of(aicps_call *call, const aicps_column *c) {
    struct json_object *v = NULL;
    if (c->field.preset) {
        (void)aicps_json_parse(call->arena, c->field.preset, strlen(c->field.preset), 0, &v, NULL);
    }
    return v;
}

static const aicps_column *column_for(const aicps_column *columns, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        const aicps_field *f = &columns[i].field;
        if (strcmp(f->name, name) == 0 || (f->alias && strcmp(f->alias, name) == 0)) {
            return &columns[i];
        }
    }
    return NULL;
}

static void read_member(
    aicps_call *call,
    const aicps_column *c,
    const char *name,
    struct json_object *in,
    bool partial,
    struct json_object *out) {
    struct json_object *v = NULL;
    if (c->field.flags & (AICPS_READ_ONLY | AICPS_COMPUTED)) {
        aicps_field_error(call, name, "is made by the server and cannot be set");
    } else if (partial && (c->field.flags & AICPS_WRITE_ONCE)) {
        aicps_field_error(call, name, "cannot be changed");
    } else if (json_object_object_get_ex(out, c->field.name, NULL)) {
        aicps_field_error(
            call, name, "is given twice, as %s and %s", c->field.name, c->field.alias);
    } else if (
        (c->field.flags & AICPS_SECRET) && json_object_is_type(in, json_type_string) &&
        strcmp(json_object_get_string(in), AICPS_MASK) == 0) {
        return; /* what was read comes back: the secret stays */
    } else if (aicps_value_check(call, c, in, &v)) {
        aicps_set(out, c->field.name, v);
    }
}

struct json_object *aicps_body_read(
    aicps_call *call,
    const aicps_column *columns,
    size_t count,
    struct json_object *body,
    bool partial) {
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(body, name, value) {
        const aicps_column *c = column_for(columns, count, name);
        if (c) {
            read_member(call, c, name, value, partial, out);
        } else {
            aicps_field_error(call, name, "unknown field");
        }
    }
    for (size_t i = 0; i < count && !partial; i++) {
        const aicps_column *c = &columns[i];
        if (json_object_object_get_ex(out, c->field.name, NULL) ||
            c->field.flags & AICPS_COMPUTED) {
            continue;
        }
        bool given = json_object_object_get_ex(body, c->field.name, NULL) ||
                     (c->field.alias && json_object_object_get_ex(body, c->field.alias, NULL));
        if ((c->field.flags & AICPS_REQUIRED) && !(c->field.flags & AICPS_READ_ONLY) && !given) {
            aicps_field_error(call, c->field.name, "field required");
        } else if (!given) {
            aicps_set(out, c->field.name, preset_of(call, c));
        }
    }
    return out;
}

/* Where nothing is filled in, what is needed must be there all the same. */
static void check_required(aicps_call *call, const aicps_column *columns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const aicps_field *f = &columns[i].field;
        if ((f->flags & AICPS_REQUIRED) && !json_object_object_get_ex(call->body, f->name, NULL)) {
            aicps_field_error(call, f->name, "field required");
        }
    }
}

struct json_object *aicps_route_body(aicps_call *call) {
    size_t count = call->route->body_count;
    bool partial = call->route->flags & AICPS_PARTIAL;
    struct json_object *out = NULL;
    aicps_column *columns = NULL;
    aicp_error err = {0};
    aicp_status s = aicps_columns_new(call->arena, call->route->body, count, &columns, &err);
    if (s != AICP_OK) {
        aicps_send_status(call, AICP_ERR_STATE, &err);
        return NULL;
    }
    if (partial) {
        check_required(call, columns, count);
    }
    out = aicps_body_read(call, columns, count, call->body, partial);
    aicps_columns_free(columns, count);
    if (aicps_has_field_errors(call)) {
        json_object_put(out);
        aicps_send_field_errors(call);
        return NULL;
    }
    return out;
}
