/* SQL columns <-> the JSON form of the API; which rows a caller may know of. */
#include "services/common/api/api_internal.h"

#include "lib/base/decimal.h"

#include <stdio.h>
#include <stdlib.h>

struct json_object *
aicps_value_read(aicps_call *call, const aicps_column *c, aicpi_sql_stmt *q, int32_t index) {
    if (aicpi_sql_is_null(q, index)) {
        return NULL;
    }
    struct json_object *v = NULL;
    aicpi_slice text;
    if (c->field.flags & AICPS_SECRET) {
        return aicps_secret_mask(call, c, aicpi_sql_text(q, index));
    }
    switch (c->field.type) {
    case AICPS_INT:
        return json_object_new_int64(aicpi_sql_i64(q, index));
    case AICPS_BOOL:
        return json_object_new_boolean(aicpi_sql_i64(q, index) != 0);
    case AICPS_DECIMAL:
    case AICPS_MONEY:
        return aicps_json_nano(aicpi_sql_i64(q, index));
    case AICPS_TIME:
        return aicps_json_time(aicpi_sql_i64(q, index));
    case AICPS_OBJECT:
    case AICPS_TEXTS:
    case AICPS_JSON:
        text = aicpi_sql_text(q, index);
        (void)aicps_json_parse(call->arena, text.data, text.len, AICPS_BODY_DEPTH + 2, &v, NULL);
        return v;
    default:
        return aicps_json_slice(aicpi_sql_text(q, index));
    }
}

static const char *text_or_null(aicps_call *call, aicpi_sql_stmt *q, int32_t index) {
    if (index < 0 || aicpi_sql_is_null(q, index)) {
        return NULL;
    }
    aicpi_slice t = aicpi_sql_text(q, index);
    return aicpi_arena_strndup(call->arena, t.data, t.len);
}

void aicps_decimal_add(struct json_object *row, const char *name, struct json_object *value) {
    char key[96];
    (void)snprintf(key, sizeof key, "%s_decimal", name);
    const char *text = value ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN) : NULL;
    aicps_set(row, key, aicps_json_text(text));
}

bool aicps_row_read(
    aicps_call *call, const aicps_plan *plan, aicpi_sql_stmt *q, aicps_row *out, aicp_error *err) {
    *out = (aicps_row){.json = json_object_new_object(), .version = 1};
    if (!out->json) {
        (void)aicpi_nomem(err);
        return false;
    }
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_column *c = &plan->columns[i];
        struct json_object *v = c->index < 0 ? NULL : aicps_value_read(call, c, q, c->index);
        aicps_set(out->json, c->field.name, v);
        if (c->field.type == AICPS_MONEY && c->index >= 0) {
            aicps_decimal_add(out->json, c->field.name, v);
        }
    }
    if (plan->version_index >= 0) {
        out->version = aicpi_sql_i64(q, plan->version_index);
        if (!aicps_plan_column(plan, "version", strlen("version"))) {
            aicps_set(out->json, "version", json_object_new_int64(out->version));
        }
    }
    out->org = text_or_null(call, q, plan->org_index);
    out->team = text_or_null(call, q, plan->team_index);
    return true;
}

static void write_value(
    aicps_call *call, const aicps_column *c, aicpi_sql_stmt *q, int32_t index, aicpi_strbuf *out) {
    char text[AICPS_TIME_SIZE];
    aicpi_slice s;
    bool known = !(c->field.flags & AICPS_SECRET);
    switch (known ? c->field.type : AICPS_JSON) {
    case AICPS_INT:
        aicpi_strbuf_i64(out, aicpi_sql_i64(q, index));
        return;
    case AICPS_BOOL:
        aicpi_strbuf_puts(out, aicpi_sql_i64(q, index) != 0 ? "true" : "false");
        return;
    case AICPS_TIME:
        aicps_time_text(aicpi_sql_i64(q, index), text);
        aicpi_strbuf_putc(out, '"');
        aicpi_strbuf_puts(out, text);
        aicpi_strbuf_putc(out, '"');
        return;
    case AICPS_TEXT:
    case AICPS_ENUM:
    case AICPS_ID:
        s = aicpi_sql_text(q, index);
        aicpi_strbuf_json(out, s.data, s.len);
        return;
    default:
        break;
    }
    struct json_object *v = aicps_value_read(call, c, q, index);
    const char *tree =
        json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    aicpi_strbuf_puts(out, tree ? tree : "null");
    if (c->field.type == AICPS_MONEY) {
        aicpi_strbuf_printf(out, ",\"%s_decimal\":\"%s\"", c->field.name, tree ? tree : "null");
    }
    json_object_put(v);
}

static void write_null(const aicps_column *c, aicpi_strbuf *out) {
    aicpi_strbuf_puts(out, "null");
    if (c->field.type == AICPS_MONEY && c->index >= 0) {
        aicpi_strbuf_printf(out, ",\"%s_decimal\":null", c->field.name);
    }
}

void aicps_row_write(
    aicps_call *call, const aicps_plan *plan, aicpi_sql_stmt *q, aicpi_strbuf *out) {
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_column *c = &plan->columns[i];
        size_t from = out->len;
        aicpi_strbuf_append(out, c->label.data, c->label.len);
        if (i == 0 && !out->failed) {
            out->data[from] = '{'; /* instead of the comma */
        }
        if (c->index < 0 || aicpi_sql_is_null(q, c->index)) {
            write_null(c, out);
        } else {
            write_value(call, c, q, c->index, out);
        }
    }
    if (plan->version_index >= 0 && !aicps_plan_column(plan, "version", strlen("version"))) {
        aicpi_strbuf_puts(out, ",\"version\":");
        aicpi_strbuf_i64(out, aicpi_sql_i64(q, plan->version_index));
    }
    aicpi_strbuf_putc(out, '}');
}

void aicps_row_free(aicps_row *row) {
    json_object_put(row->json);
    row->json = NULL;
}

/* ---- binding ---- */

static aicp_status wrong(const aicps_column *c, aicp_error *err) {
    return aicpi_fail(
        err, AICP_ERR_INVALID, "field %s does not have a value of its type", c->field.name);
}

static aicp_status bind_number(
    const aicps_column *c,
    struct json_object *value,
    aicpi_sql_stmt *q,
    int32_t index,
    aicp_error *err) {
    int64_t n = 0;
    if (c->field.type == AICPS_INT) {
        if (!json_object_is_type(value, json_type_int)) {
            return wrong(c, err);
        }
        n = json_object_get_int64(value);
    } else if (c->field.type == AICPS_BOOL) {
        if (!json_object_is_type(value, json_type_boolean)) {
            return wrong(c, err);
        }
        n = json_object_get_boolean(value);
    } else if (c->field.type == AICPS_TIME) {
        aicpi_slice text = aicpi_slice_cstr(json_object_get_string(value));
        if (!json_object_is_type(value, json_type_string) || !aicpi_time_parse(text, &n)) {
            return wrong(c, err);
        }
    } else {
        const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
        if (!text || aicpi_decimal_parse(aicpi_slice_cstr(text), 9, &n, NULL, NULL) != AICP_OK) {
            return wrong(c, err);
        }
    }
    aicpi_sql_bind_i64(q, index, n);
    return AICP_OK;
}

aicp_status aicps_value_bind(
    aicps_call *call,
    const aicps_column *c,
    struct json_object *value,
    aicpi_sql_stmt *q,
    int32_t index,
    aicp_error *err) {
    size_t len = 0;
    const char *text = NULL;
    if (!value) {
        aicpi_sql_bind_null(q, index);
        return AICP_OK;
    }
    switch (c->field.type) {
    case AICPS_INT:
    case AICPS_BOOL:
    case AICPS_TIME:
    case AICPS_DECIMAL:
    case AICPS_MONEY:
        return bind_number(c, value, q, index, err);
    case AICPS_OBJECT:
    case AICPS_TEXTS:
    case AICPS_JSON:
        text = json_object_to_json_string_length(
            value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        if (!text) {
            return aicpi_nomem(err);
        }
        break;
    default:
        if (!json_object_is_type(value, json_type_string)) {
            return wrong(c, err);
        }
        text = json_object_get_string(value);
        len = (size_t)json_object_get_string_len(value);
    }
    if (c->field.flags & AICPS_SECRET) {
        return aicps_secret_bind(call, c, aicpi_slice_of(text, len), q, index, err);
    }
    aicpi_sql_bind_text(q, index, text, len);
    return AICP_OK;
}

/* ---- who may know of a row ---- */

static bool same(const char *a, const char *b) {
    return a && b && strcmp(a, b) == 0;
}

bool aicps_row_seen(
    const aicps_call *call, const aicps_plan *plan, const char *org, const char *team) {
    const aicps_identity *who = call->who;
    const aicps_resource *r = plan->resource;
    if ((!r->org && !r->team) || (who && who->platform_admin)) {
        return true;
    }
    if (!who) {
        return false;
    }
    if (r->team && same(team, who->team)) {
        return true;
    }
    if (!r->org) {
        return false;
    }
    if (!org) {
        return r->flags & AICPS_ORGLESS_SEEN;
    }
    bool seen = same(org, who->org);
    for (size_t i = 0; i < who->org_role_count && !seen; i++) {
        seen = same(org, who->org_roles[i].org);
    }
    return seen;
}

struct json_object *aicps_parent_value(const aicps_call *call, const aicps_plan *plan) {
    return plan->parent && call->param_count > 0 ? aicps_json_slice(call->params[0]) : NULL;
}

aicp_status aicps_row_load(
    aicps_call *call,
    const aicps_plan *plan,
    aicpi_slice id,
    bool lock,
    aicps_row *out,
    aicp_error *err) {
    *out = (aicps_row){0};
    aicpi_sql_stmt *q = NULL;
    uint64_t number = 0;
    bool is_int = plan->id->field.type == AICPS_INT;
    aicp_status missing =
        aicpi_fail(err, AICP_ERR_NOT_FOUND, "%s not found", plan->resource->title);
    if (id.len == 0 || id.len > AICPS_ID_MAX || !aicpi_utf8_valid(id.data, id.len, NULL) ||
        memchr(id.data, '\0', id.len) ||
        (is_int && (!aicpi_parse_u64(id, &number) || number > INT64_MAX))) {
        return missing;
    }
    aicp_status s = aicpi_sql_prepare(call->db, lock ? plan->lock : plan->get, &q, err);
    if (s != AICP_OK) {
        return s;
    }
    if (is_int) {
        aicpi_sql_bind_i64(q, 1, (int64_t)number);
    } else {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
    }
    if (plan->parent) {
        aicpi_sql_bind_text(q, 2, call->params[0].data, call->params[0].len);
    }
    bool row = false;
    s = aicpi_sql_step(q, &row, err);
    if (s == AICP_OK && row) {
        s = aicps_row_read(call, plan, q, out, err) ? AICP_OK : AICP_ERR_NOMEM;
        aicpi_sql_reset(q);
    } else if (s == AICP_OK) {
        s = AICP_ERR_NOT_FOUND;
    }
    if (s == AICP_OK && !aicps_row_seen(call, plan, out->org, out->team)) {
        aicps_row_free(out);
        s = AICP_ERR_NOT_FOUND;
    }
    return s == AICP_ERR_NOT_FOUND ? aicpi_fail(err, s, "%s not found", plan->resource->title) : s;
}

bool aicps_parent_exists(aicps_call *call, const aicps_plan *plan) {
    const char *path = plan->parent ? plan->resource->parent_path : NULL;
    const aicps_plan *parent = path ? aicps_plan_by_path(call->api, path) : NULL;
    if (!parent || !parent->get) {
        return true;
    }
    aicps_row row;
    aicp_error err = {0};
    aicp_status s = aicps_row_load(call, parent, call->params[0], false, &row, &err);
    aicps_row_free(&row);
    if (s != AICP_OK) {
        aicps_send_status(call, s, &err);
    }
    return s == AICP_OK;
}
