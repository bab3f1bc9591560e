/* GET of a list and of its facets. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define FACETS_MAX 8

static void append_encoded(aicpi_strbuf *b, aicpi_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (aicpi_is_alnum(c) || (c && strchr("-._~", c))) {
            aicpi_strbuf_putc(b, c);
        } else {
            aicpi_strbuf_printf(b, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

/* Link: the same list with the cursor of the next page. */
void aicps_send_next(aicps_call *call, const char *cursor) {
    aicpi_strbuf b;
    if (!cursor) {
        return;
    }
    aicpi_strbuf_init(&b, &call->api->allocator, (size_t)1 << 15);
    aicpi_strbuf_putc(&b, '<');
    aicpi_strbuf_append(&b, call->req->path.data, call->req->path.len);
    aicpi_strbuf_putc(&b, '?');
    for (size_t i = 0; i < call->req->query_count; i++) {
        const aicps_http_pair *p = &call->req->query[i];
        if (aicpi_slice_is(p->name, "cursor") || aicpi_slice_is(p->name, "offset")) {
            continue;
        }
        append_encoded(&b, p->name);
        aicpi_strbuf_putc(&b, '=');
        append_encoded(&b, p->value);
        aicpi_strbuf_putc(&b, '&');
    }
    aicpi_strbuf_printf(&b, "cursor=%s>; rel=\"next\"", cursor);
    if (!b.failed) {
        (void)aicps_http_add_header(call->res, "Link", b.data);
    }
    aicpi_strbuf_deinit(&b);
}

int64_t aicps_count_most(const aicps_plan *plan) {
    bool log = plan->resource->flags & AICPS_INT_ID;
    return log ? AICPS_COUNT_MOST_LOG : AICPS_COUNT_MOST;
}

void aicps_send_total(aicps_call *call, const aicps_plan *plan, int64_t total) {
    char text[32];
    bool exact = total <= aicps_count_most(plan) || !plan->resource->table;
    (void)snprintf(text, sizeof text, "%lld", (long long)(exact ? total : aicps_count_most(plan)));
    (void)aicps_http_add_header(call->res, "X-Total-Count", text);
    if (!exact) {
        (void)aicps_http_add_header(call->res, "X-Total-Count-Exact", "false");
    }
}

/* Counts only when the page at hand does not tell already. */
static aicp_status total_of(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    size_t count,
    bool more,
    int64_t *total,
    aicp_error *err) {
    if (!more && !query->after && (count > 0 || query->offset == 0)) {
        *total = query->offset + (int64_t)count;
        return AICP_OK;
    }
    return aicps_count_read(call, plan, query, total, err);
}

static void
send_page(aicps_call *call, const aicps_query *query, aicps_row *rows, size_t count, bool more) {
    if (more) {
        aicps_send_next(call, aicps_cursor_make(call, query, rows[count - 1].json));
    }
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_object_array_add(list, json_object_get(rows[i].json));
    }
    aicps_send_json(call, 200, list);
}

static void list_rows(aicps_call *call, const aicps_plan *plan, const aicps_query *query) {
    aicp_error err = {0};
    size_t count = 0;
    int64_t total = 0;
    size_t room = (size_t)query->limit + 1;
    aicps_row *rows = aicpi_arena_calloc(call->arena, room, sizeof *rows);
    aicp_status s = rows ? aicps_page_read(call, plan, query, query->limit + 1, rows, &count, &err)
                         : aicpi_nomem(&err);
    bool more = count == room;
    size_t shown = more ? count - 1 : count;
    if (s == AICP_OK) {
        s = total_of(call, plan, query, shown, more, &total, &err);
    }
    if (s == AICP_OK) {
        s = aicps_rows_decorate(call, plan, rows, shown, &err);
    }
    if (s == AICP_OK) {
        aicps_send_total(call, plan, total);
        send_page(call, query, rows, shown, more);
    } else if (!call->own->answered) {
        aicps_send_status(call, s, &err);
    }
    for (size_t i = 0; i < count; i++) {
        aicps_row_free(&rows[i]);
    }
}

/* The same for rows that nothing is added to: written as they come. A tree for each row would cost
 * more than all the rest of the request. */
static void write_rows(aicps_call *call, const aicps_plan *plan, const aicps_query *query) {
    aicp_error err = {0};
    aicps_page page;
    aicpi_strbuf *body = &call->res->body;
    aicpi_strbuf_clear(body);
    aicp_status s = aicps_page_write(call, plan, query, body, &page, &err);
    bool more = page.count > query->limit;
    size_t shown = (size_t)(more ? query->limit : page.count);
    if (s == AICP_OK && page.total < 0) {
        s = total_of(call, plan, query, shown, more, &page.total, &err);
    }
    if (s == AICP_OK && body->failed) {
        s = aicpi_nomem(&err);
    }
    if (s == AICP_OK) {
        aicps_send_total(call, plan, page.total);
        if (more) {
            aicps_send_next(call, aicps_cursor_make(call, query, page.last.json));
        }
        call->res->status = 200;
        call->res->content_type = "application/json";
    } else {
        aicps_send_status(call, s, &err);
    }
    aicps_row_free(&page.last);
}

aicp_status aicps_rows_decorate(
    aicps_call *call, const aicps_plan *plan, aicps_row *rows, size_t count, aicp_error *err) {
    if (!plan->resource->decorate || count == 0) {
        return AICP_OK;
    }
    struct json_object **list = aicpi_arena_calloc(call->arena, count, sizeof *list);
    if (!list) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = rows[i].json;
    }
    return plan->resource->decorate(call, list, count, err);
}

void aicps_list_handle(aicps_call *call) {
    const aicps_plan *plan = aicps_plan_of(call, call->route->data);
    aicps_query query = {0};
    if (!aicps_query_read(call, plan, false, &query) || !aicps_parent_exists(call, plan)) {
        return;
    }
    if (plan->resource->source) {
        aicps_source_list(call, plan, &query);
        return;
    }
    if (query.csv) {
        query.limit = query.limit_given ? query.limit : INT64_MAX;
        aicps_export_rows(call, plan, &query, plan->resource->type, true);
        return;
    }
    if (plan->resource->decorate) {
        list_rows(call, plan, &query);
    } else {
        write_rows(call, plan, &query);
    }
}

/* ---- facets ---- */

static aicp_status read_facet(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    const aicps_column *c,
    struct json_object *out,
    aicp_error *err) {
    aicpi_strbuf b;
    aicpi_sql_stmt *q = NULL;
    aicpi_strbuf_init(&b, &call->api->allocator, (size_t)1 << 16);
    aicpi_strbuf_printf(&b, "SELECT %s, COUNT(*) FROM %s", c->field.column, plan->resource->table);
    aicps_where_text(call, plan, query, false, &b);
    aicpi_strbuf_printf(
        &b, " GROUP BY %s ORDER BY 2 DESC, 1 LIMIT %d", c->field.column, AICPS_FACET_VALUES);
    const char *text = aicps_sql_text(call, &b);
    aicpi_strbuf_deinit(&b);
    aicp_status s = text ? aicpi_sql_prepare(call->db, text, &q, err) : aicpi_nomem(err);
    if (s != AICP_OK) {
        return s;
    }
    (void)aicps_where_bind(call, plan, query, false, q, 1);
    bool row = true;
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
        if (s == AICP_OK && row) {
            struct json_object *o = json_object_new_object();
            aicps_set(o, "value", aicps_value_read(call, c, q, 0));
            aicps_set(o, "count", json_object_new_int64(aicpi_sql_i64(q, 1)));
            (void)json_object_array_add(out, o);
        }
    }
    aicpi_sql_reset(q);
    return s;
}

static size_t
facet_fields(aicps_call *call, const aicps_plan *plan, aicpi_slice text, const aicps_column **out) {
    size_t n = 0;
    for (size_t at = 0; at <= text.len;) {
        const char *comma = text.len > at ? memchr(text.data + at, ',', text.len - at) : NULL;
        size_t end = comma ? (size_t)(comma - text.data) : text.len;
        const aicps_column *c = end > at ? aicps_plan_column(plan, text.data + at, end - at) : NULL;
        if (!c || !(c->field.flags & AICPS_FACET) || n == FACETS_MAX) {
            aicps_query_error(
                call, "fields", "must be 1 to %d fields that have facets", FACETS_MAX);
            aicps_send_field_errors(call);
            return 0;
        }
        out[n++] = c;
        at = end + 1;
    }
    return n;
}

void aicps_facets_handle(aicps_call *call) {
    const aicps_plan *plan = aicps_plan_of(call, call->route->data);
    const aicps_column *fields[FACETS_MAX];
    aicps_query query = {0};
    if (!aicps_query_read(call, plan, true, &query) || !aicps_parent_exists(call, plan)) {
        return;
    }
    size_t n = facet_fields(call, plan, query.facets, fields);
    if (n > 0 && plan->resource->source) {
        aicps_source_facets(call, plan, &query, fields, n);
        return;
    }
    aicp_error err = {0};
    aicp_status s = AICP_OK;
    struct json_object *out = json_object_new_object();
    for (size_t i = 0; i < n && s == AICP_OK; i++) {
        struct json_object *list = json_object_new_array();
        aicps_set(out, fields[i]->field.name, list);
        s = read_facet(call, plan, &query, fields[i], list, &err);
    }
    if (n > 0 && s == AICP_OK) {
        aicps_send_json(call, 200, out);
        return;
    }
    json_object_put(out);
    if (s != AICP_OK) {
        aicps_send_status(call, s, &err);
    }
}
