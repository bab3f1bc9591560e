/* The query string of a list: filters, sort, search, paging, cursors. */
#include "services/common/api/api_internal.h"

#include "lib/base/decimal.h"
#include "lib/base/json.h"

#include <stdio.h>

#define CURSOR_MAX 8192
#define SEARCH_MAX 64
#define DAY_NS (24 * 3600 * AICPI_SECOND_NS)

/* ---- values ---- */

static bool parse_int(aicpi_slice t, int64_t *out) {
    bool exact = false;
    for (size_t i = 0; i < t.len; i++) {
        if (!aicpi_is_digit(t.data[i]) && !(i == 0 && t.data[i] == '-')) {
            return false;
        }
    }
    return t.len < 32 && aicpi_decimal_parse(t, 0, out, &exact, NULL) == AICP_OK;
}

static bool parse_time(aicpi_slice t, int64_t *out) {
    char copy[64];
    if (t.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, t.data, t.len);
    /* "+00:00" that was not percent-encoded arrives as a space */
    if (t.len > 6 && copy[t.len - 6] == ' ') {
        copy[t.len - 6] = '+';
    }
    return aicpi_time_parse(aicpi_slice_of(copy, t.len), out);
}

static bool is_value(const char *const *values, aicpi_slice t) {
    for (size_t i = 0; values[i]; i++) {
        if (aicpi_slice_is(t, values[i])) {
            return true;
        }
    }
    return false;
}

bool aicps_value_parse(aicps_call *call, const aicps_column *c, aicpi_slice t, aicps_value *out) {
    (void)call;
    bool exact = false;
    *out = (aicps_value){.text = t, .is_number = true};
    switch (c->field.type) {
    case AICPS_INT:
        return parse_int(t, &out->number);
    case AICPS_BOOL:
        out->number = aicpi_slice_is(t, "true") || aicpi_slice_is(t, "1");
        return out->number || aicpi_slice_is(t, "false") || aicpi_slice_is(t, "0");
    case AICPS_DECIMAL:
    case AICPS_MONEY:
        return t.len < 64 && aicpi_decimal_parse(t, 9, &out->number, &exact, NULL) == AICP_OK;
    case AICPS_TIME:
        return parse_time(t, &out->number);
    case AICPS_ENUM:
        out->is_number = false;
        return is_value(c->field.values, t);
    default:
        out->is_number = false;
        return t.len <= CURSOR_MAX;
    }
}

aicps_value aicps_value_of(const aicps_column *c, struct json_object *v) {
    aicps_value out = {.null = v == NULL};
    if (!v) {
        return out;
    }
    const char *text = NULL;
    switch (c->field.type) {
    case AICPS_INT:
    case AICPS_BOOL:
        out.is_number = true;
        out.number = json_object_get_int64(v);
        break;
    case AICPS_DECIMAL:
    case AICPS_MONEY:
        out.is_number = true;
        text = json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN);
        (void)aicpi_decimal_parse(aicpi_slice_cstr(text), 9, &out.number, NULL, NULL);
        break;
    case AICPS_TIME:
        out.is_number = true;
        (void)aicpi_time_parse(aicpi_slice_cstr(json_object_get_string(v)), &out.number);
        break;
    default:
        text = json_object_get_string(v);
        out.text = json_object_is_type(v, json_type_string)
                       ? aicpi_slice_of(text, (size_t)json_object_get_string_len(v))
                       : aicpi_slice_cstr(text);
    }
    return out;
}

/* ---- cursors: base64url of [sort, values of the sort keys...] ---- */

static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const char *encode(aicps_call *call, const char *text, size_t len) {
    char *out = aicpi_arena_alloc(call->arena, len / 3 * 4 + 5);
    size_t n = 0;
    for (size_t i = 0; out && i < len; i += 3) {
        uint32_t word = (uint32_t)(unsigned char)text[i] << 16;
        word |= i + 1 < len ? (uint32_t)(unsigned char)text[i + 1] << 8 : 0;
        word |= i + 2 < len ? (uint32_t)(unsigned char)text[i + 2] : 0;
        size_t digits = len - i >= 3 ? 4 : len - i + 1;
        for (size_t d = 0; d < digits; d++) {
            out[n++] = BASE64URL[word >> (18 - 6 * d) & 63];
        }
    }
    if (out) {
        out[n] = '\0';
    }
    return out;
}

const char *aicps_cursor_make(aicps_call *call, const aicps_query *query, struct json_object *row) {
    struct json_object *a = json_object_new_array();
    (void)json_object_array_add(a, aicps_json_text(query->sort_text));
    for (size_t i = 0; i < query->sort_count; i++) {
        const aicps_column *c = query->sorts[i].column;
        aicps_value v = aicps_value_of(c, aicps_member(row, c->field.name));
        struct json_object *item = v.null        ? NULL
                                   : v.is_number ? json_object_new_int64(v.number)
                                                 : aicps_json_slice(v.text);
        (void)json_object_array_add(a, item);
    }
    size_t len = 0;
    const char *text = json_object_to_json_string_length(a, JSON_C_TO_STRING_PLAIN, &len);
    const char *out = text ? encode(call, text, len) : NULL;
    json_object_put(a);
    return out;
}

bool aicps_query_continue(aicpi_arena *arena, aicps_query *query, struct json_object *row) {
    query->after = true;
    query->offset = 0;
    for (size_t i = 0; i < query->sort_count; i++) {
        const aicps_column *c = query->sorts[i].column;
        aicps_value v = aicps_value_of(c, aicps_member(row, c->field.name));
        if (!v.null && !v.is_number) {
            v.text.data = aicpi_arena_strndup(arena, v.text.data, v.text.len);
            if (!v.text.data) {
                return false;
            }
        }
        query->from[i] = v;
    }
    return true;
}

static bool cursor_value(const aicps_column *c, struct json_object *in, aicps_value *out) {
    bool text =
        c->field.type == AICPS_TEXT || c->field.type == AICPS_ENUM || c->field.type == AICPS_ID;
    *out = (aicps_value){.null = in == NULL};
    if (!in) {
        return c->nullable;
    }
    if (!json_object_is_type(in, text ? json_type_string : json_type_int)) {
        return false;
    }
    out->is_number = !text;
    if (text) {
        out->text =
            aicpi_slice_of(json_object_get_string(in), (size_t)json_object_get_string_len(in));
        return !memchr(out->text.data, '\0', out->text.len);
    }
    out->number = json_object_get_int64(in);
    return true;
}

bool aicps_cursor_read(aicps_call *call, aicpi_slice text, aicps_query *query) {
    if (text.len == 0 || text.len > CURSOR_MAX) {
        return false;
    }
    char *plain = aicpi_arena_strndup(call->arena, text.data, text.len);
    unsigned char *bytes = aicpi_arena_alloc(call->arena, text.len + 4);
    size_t len = 0;
    for (size_t i = 0; plain && i < text.len; i++) {
        if (plain[i] == '+' || plain[i] == '/' || plain[i] == '=') {
            return false;
        }
        plain[i] = plain[i] == '-' ? '+' : plain[i] == '_' ? '/' : plain[i];
    }
    struct json_object *a = NULL;
    if (!plain || !bytes || !aicpi_base64_decode(plain, text.len, bytes, &len) ||
        aicps_json_parse(call->arena, (const char *)bytes, len, 2, &a, NULL) != AICP_OK) {
        return false;
    }
    bool ok = json_object_is_type(a, json_type_array) &&
              json_object_array_length(a) == query->sort_count + 1;
    struct json_object *sort = ok ? json_object_array_get_idx(a, 0) : NULL;
    ok = ok && json_object_is_type(sort, json_type_string) &&
         strcmp(json_object_get_string(sort), query->sort_text) == 0;
    for (size_t i = 0; ok && i < query->sort_count; i++) {
        struct json_object *item = json_object_array_get_idx(a, i + 1);
        ok = cursor_value(query->sorts[i].column, item, &query->from[i]);
        if (ok && !query->from[i].is_number && !query->from[i].null) {
            char *copy =
                aicpi_arena_strndup(call->arena, query->from[i].text.data, query->from[i].text.len);
            query->from[i].text.data = copy;
            ok = copy != NULL;
        }
    }
    json_object_put(a);
    query->after = ok;
    return ok;
}

/* ---- sort ---- */

static bool add_sort(aicps_query *query, const aicps_column *c, bool down) {
    for (size_t i = 0; i < query->sort_count; i++) {
        if (query->sorts[i].column == c) {
            return false;
        }
    }
    query->sorts[query->sort_count++] = (aicps_sort){c, down};
    return true;
}

static bool
read_sort(aicps_call *call, const aicps_plan *plan, aicpi_slice text, aicps_query *out) {
    bool given = text.data != NULL;
    const char *preset = plan->resource->sort;
    bool times = aicps_plan_column(plan, "created_at", strlen("created_at")) != NULL;
    preset = preset ? preset : times ? "-created_at" : plan->id->field.name;
    text = given ? text : aicpi_slice_cstr(preset);
    out->sort_text = aicpi_arena_strndup(call->arena, text.data, text.len);
    bool down = false;
    bool ok = text.len > 0 && out->sort_text != NULL;
    for (size_t at = 0; ok && at <= text.len;) {
        const char *comma = memchr(text.data + at, ',', text.len - at);
        size_t end = comma ? (size_t)(comma - text.data) : text.len;
        down = at < end && text.data[at] == '-';
        at += down;
        const aicps_column *c = aicps_plan_column(plan, text.data + at, end - at);
        ok = c && (!given || c == plan->id || c->field.flags & AICPS_SORT) &&
             !(c->field.flags & (AICPS_SECRET | (plan->resource->source ? 0 : AICPS_COMPUTED))) &&
             out->sort_count < AICPS_SORTS_MAX && add_sort(out, c, down);
        at = end + 1;
    }
    if (!ok) {
        aicps_query_error(
            call,
            "sort",
            "must be up to %d sortable fields, each once, such as "
            "name,-priority",
            AICPS_SORTS_MAX);
        return false;
    }
    (void)add_sort(out, plan->id, down);
    return true;
}

/* ---- filters ---- */

static const struct {
    const char *suffix;
    aicps_op op;
} OPS[] = {
    {".gte", AICPS_OP_GTE},
    {".gt", AICPS_OP_GT},
    {".lte", AICPS_OP_LTE},
    {".lt", AICPS_OP_LT},
    {".null", AICPS_OP_NULL},
};

/* start_date and end_date of the audit log; both days, or times, belong to what is looked at. */
static const aicps_column *
date_filter_of(const aicps_plan *plan, const aicps_http_pair *p, aicps_op *op) {
    bool start = aicpi_slice_is(p->name, "start_date");
    if (!start && !aicpi_slice_is(p->name, "end_date")) {
        return NULL;
    }
    *op = start ? AICPS_OP_GTE : AICPS_OP_LTE;
    return aicps_plan_column(plan, "timestamp", 9);
}

static bool is_ordered(const aicps_column *c) {
    return c->field.type == AICPS_INT || c->field.type == AICPS_DECIMAL ||
           c->field.type == AICPS_MONEY || c->field.type == AICPS_TIME;
}

/* The column that the parameter filters; NULL when it is none. */
static const aicps_column *filter_of(const aicps_plan *plan, aicpi_slice name, aicps_op *op) {
    *op = AICPS_OP_IN;
    const char *dot = memchr(name.data, '.', name.len);
    size_t base = dot ? (size_t)(dot - name.data) : name.len;
    const aicps_column *c = aicps_plan_column(plan, name.data, base);
    if (!c || !(c->field.flags & AICPS_FILTER) || c->field.flags & AICPS_SECRET ||
        (c->index < 0 && !plan->resource->source)) {
        return NULL;
    }
    aicpi_slice suffix = {dot, name.len - base};
    for (size_t i = 0; dot && i < sizeof OPS / sizeof *OPS; i++) {
        if (aicpi_slice_is(suffix, OPS[i].suffix)) {
            *op = OPS[i].op;
            return *op == AICPS_OP_NULL || is_ordered(c) ? c : NULL;
        }
    }
    return dot ? NULL : c;
}

static aicps_term *
term_for(aicps_call *call, aicps_query *query, const aicps_column *c, aicps_op op) {
    for (size_t i = 0; i < query->term_count; i++) {
        if (query->terms[i].column == c && query->terms[i].op == op) {
            return &query->terms[i];
        }
    }
    if (query->term_count == AICPS_TERMS_MAX) {
        return NULL;
    }
    aicps_term *t = &query->terms[query->term_count];
    *t = (aicps_term){.column = c, .op = op};
    size_t room = op == AICPS_OP_IN ? AICPS_ANY_MAX : 1;
    t->values = aicpi_arena_calloc(call->arena, room, sizeof *t->values);
    query->term_count += t->values != NULL;
    return t->values ? t : NULL;
}

static void read_filter(
    aicps_call *call,
    const aicps_column *c,
    aicps_op op,
    const aicps_http_pair *p,
    aicps_query *out) {
    char name[96];
    (void)snprintf(name, sizeof name, "%.*s", (int)p->name.len, p->name.data);
    aicps_term *t = term_for(call, out, c, op);
    if (!t || t->count == (op == AICPS_OP_IN ? AICPS_ANY_MAX : 1)) {
        aicps_query_error(
            call, name, "is given too often (at most %d)", op == AICPS_OP_IN ? AICPS_ANY_MAX : 1);
        return;
    }
    aicps_value *v = &t->values[t->count];
    bool day = p->value.len == 10 && aicpi_slice_is(p->name, "end_date");
    bool ok = false;
    if (op == AICPS_OP_NULL) {
        *v = (aicps_value){.is_number = true, .number = aicpi_slice_is(p->value, "true")};
        ok = v->number || aicpi_slice_is(p->value, "false");
    } else {
        ok = aicps_value_parse(call, c, p->value, v);
        v->number +=
            ok && day && v->number < INT64_MAX - DAY_NS ? DAY_NS - 1 : 0; /* until its end */
    }
    t->count += ok;
    if (!ok) {
        aicps_query_error(call, name, "does not have a value of this field");
    }
}

/* ---- all of it ---- */

static bool
read_number(aicps_call *call, const aicps_http_pair *p, int64_t min, int64_t max, int64_t *out) {
    if (!parse_int(p->value, out) || *out < min || *out > max) {
        char name[32];
        (void)snprintf(name, sizeof name, "%.*s", (int)p->name.len, p->name.data);
        aicps_query_error(call, name, "must be %lld to %lld", (long long)min, (long long)max);
        return false;
    }
    return true;
}

/* The parameters that are no filters; false: it is none of them. */
static bool read_common(
    aicps_call *call,
    const aicps_http_pair *p,
    bool facets,
    aicps_query *out,
    aicpi_slice *cursor) {
    aicpi_slice n = p->name;
    if (aicpi_slice_is(n, "q")) {
        out->search = p->value;
        if (aicpi_utf8_count(p->value.data, p->value.len) > SEARCH_MAX) {
            aicps_query_error(call, "q", "must be at most %d characters", SEARCH_MAX);
        }
    } else if (facets) {
        if (!aicpi_slice_is(n, "fields")) {
            return false;
        }
        out->facets = p->value;
    } else if (aicpi_slice_is(n, "limit")) {
        out->limit_given = read_number(call, p, 1, out->limit_max, &out->limit);
    } else if (aicpi_slice_is(n, "offset")) {
        (void)read_number(call, p, 0, 1000000000, &out->offset);
    } else if (aicpi_slice_is(n, "cursor")) {
        *cursor = p->value;
    } else if (aicpi_slice_is(n, "format")) {
        out->csv = aicpi_slice_is(p->value, "csv");
        out->format_given = true;
        if (!out->csv && !aicpi_slice_is(p->value, "json")) {
            aicps_query_error(call, "format", "must be json or csv");
        }
    } else {
        return aicpi_slice_is(n, "sort");
    }
    return true;
}

static bool is_common(aicpi_slice n) {
    static const char *const NAMES[] = {
        "q", "fields", "limit", "offset", "cursor", "format", "sort", NULL};
    return is_value(NAMES, n);
}

static bool given_before(const aicps_call *call, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (aicpi_slice_eq(call->req->query[i].name, call->req->query[index].name)) {
            return true;
        }
    }
    return false;
}

static void read_pair(
    aicps_call *call,
    const aicps_plan *plan,
    size_t index,
    bool facets,
    aicps_query *out,
    aicpi_slice *cursor) {
    const aicps_http_pair *p = &call->req->query[index];
    char name[96];
    (void)snprintf(name, sizeof name, "%.*s", (int)p->name.len, p->name.data);
    if (!aicpi_utf8_valid(p->value.data, p->value.len, NULL) ||
        (p->value.len && memchr(p->value.data, '\0', p->value.len))) {
        aicps_query_error(call, name, "must be UTF-8 text without NUL");
        return;
    }
    if (is_common(p->name) && given_before(call, index)) {
        aicps_query_error(call, name, "is given twice");
        return;
    }
    aicps_op op = AICPS_OP_IN;
    const aicps_column *c = filter_of(plan, p->name, &op);
    if (!c && plan->resource == &aicps_audit_resource && !facets) {
        c = date_filter_of(plan, p, &op);
    }
    if (c) {
        read_filter(call, c, op, p, out);
    } else if (!read_common(call, p, facets, out, cursor)) {
        aicps_query_error(call, name, "unknown parameter");
    }
}

bool aicps_query_read(aicps_call *call, const aicps_plan *plan, bool facets, aicps_query *out) {
    *out = (aicps_query){
        .limit = out->limit ? out->limit : AICPS_LIST_DEFAULT,
        .limit_max = out->limit_max ? out->limit_max : AICPS_LIST_MAX,
    };
    aicpi_slice cursor = {NULL, 0};
    for (size_t i = 0; i < call->req->query_count; i++) {
        read_pair(call, plan, i, facets, out, &cursor);
    }
    aicpi_slice sort = aicps_http_query(call->req, "sort");
    if (!aicpi_utf8_valid(sort.data ? sort.data : "", sort.len, NULL)) {
        sort = AICPI_SLICE("-");
    }
    if (read_sort(call, plan, sort, out) && cursor.data) {
        if (out->offset > 0) {
            aicps_query_error(call, "cursor", "cannot be combined with offset");
        } else if (!aicps_cursor_read(call, cursor, out)) {
            aicps_query_error(call, "cursor", "is not one that this list gave for this sort");
        }
    }
    if (aicps_has_field_errors(call)) {
        aicps_send_field_errors(call);
        return false;
    }
    return true;
}
