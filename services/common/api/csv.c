/* Streams of rows: CSV (RFC 4180, UTF-8) and JSON arrays, page by page, in constant memory. A cell
 * that a spreadsheet would take for a formula gets an apostrophe before it. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define PAGE 500
#define FLUSH_AT ((size_t)1 << 15)

/* ---- cells ---- */

static bool in_csv(const aicps_column *c) {
    return !(c->field.flags & (AICPS_SECRET | AICPS_CSV_OFF));
}

static void append_cell(aicpi_strbuf *b, const char *text, size_t len, bool is_number) {
    bool formula = !is_number && len > 0 && strchr("=+-@\t\r", text[0]) && text[0];
    bool quote = formula;
    for (size_t i = 0; i < len && !quote; i++) {
        quote = text[i] && strchr(",\"\r\n", text[i]);
    }
    if (!quote) {
        aicpi_strbuf_append(b, text, len);
        return;
    }
    aicpi_strbuf_puts(b, formula ? "\"'" : "\"");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') {
            aicpi_strbuf_putc(b, '"');
        }
        aicpi_strbuf_putc(b, text[i]);
    }
    aicpi_strbuf_putc(b, '"');
}

static void append_value(aicpi_strbuf *b, struct json_object *v) {
    size_t len = 0;
    const char *text = NULL;
    if (!v) {
        return;
    }
    if (json_object_is_type(v, json_type_string)) {
        append_cell(b, json_object_get_string(v), (size_t)json_object_get_string_len(v), false);
        return;
    }
    text = json_object_to_json_string_length(
        v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    bool tree = json_object_is_type(v, json_type_object) || json_object_is_type(v, json_type_array);
    append_cell(b, text ? text : "", text ? len : 0, !tree);
}

static void append_head(aicpi_strbuf *b, const aicps_plan *plan) {
    const char *comma = "";
    for (size_t i = 0; i < plan->column_count; i++) {
        if (in_csv(&plan->columns[i])) {
            aicpi_strbuf_printf(b, "%s%s", comma, plan->columns[i].field.name);
            comma = ",";
        }
    }
    aicpi_strbuf_puts(b, "\r\n");
}

static void append_row(aicpi_strbuf *b, const aicps_plan *plan, struct json_object *row) {
    const char *comma = "";
    for (size_t i = 0; i < plan->column_count; i++) {
        if (in_csv(&plan->columns[i])) {
            aicpi_strbuf_puts(b, comma);
            append_value(b, aicps_member(row, plan->columns[i].field.name));
            comma = ",";
        }
    }
    aicpi_strbuf_puts(b, "\r\n");
}

/* ---- the stream ---- */

typedef struct export {
    aicps_call *call;
    const aicps_plan *plan;
    aicps_query *query;
    bool csv;
    bool first;
    int64_t left;
    aicpi_strbuf out;
    aicpi_arena pages[2]; /* of the page at hand, and of the place where it began */
    aicps_row *rows;
    size_t count;
}
export_run;

static void begin_export(aicps_call *call, const char *file, bool csv) {
    char text[192];
    (void)snprintf(text, sizeof text, "attachment; filename=\"%s.%s\"", file, csv ? "csv" : "json");
    (void)aicps_http_add_header(call->res, "Content-Disposition", text);
    (void)aicps_http_add_header(call->res, "X-Content-Type-Options", "nosniff");
    call->res->status = 200;
    call->res->content_type = csv ? "text/csv; charset=utf-8" : "application/json";
}

static void append_one(export_run *e, struct json_object *row) {
    if (e->csv) {
        append_row(&e->out, e->plan, row);
        return;
    }
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        row, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    aicpi_strbuf_puts(&e->out, e->first ? "\n" : ",\n");
    aicpi_strbuf_append(&e->out, text ? text : "null", text ? len : 4);
    e->first = false;
}

static bool flush(export_run *e, size_t from) {
    bool ok = !e->out.failed;
    if (ok && e->out.len >= from && e->out.len > 0) {
        ok = aicps_http_write(e->call->res, e->out.data, e->out.len);
        aicpi_strbuf_clear(&e->out);
    }
    return ok;
}

static void free_rows(export_run *e) {
    for (size_t i = 0; i < e->count; i++) {
        aicps_row_free(&e->rows[i]);
    }
    e->count = 0;
}

/* Reads the next page into memory of its own, so that the request's does not grow. */
static aicp_status next_page(export_run *e, aicp_error *err) {
    aicpi_arena *whole = e->call->arena;
    aicpi_arena page = e->pages[0];
    int64_t limit = e->left < PAGE ? e->left : PAGE;
    e->pages[0] = e->pages[1]; /* the last row's values lie in what is now pages[0] */
    e->pages[1] = page;
    aicpi_arena_reset(&e->pages[1]);
    e->call->arena = &e->pages[1];
    aicp_status s = aicps_page_read(e->call, e->plan, e->query, limit, e->rows, &e->count, err);
    if (s == AICP_OK) {
        s = aicps_rows_decorate(e->call, e->plan, e->rows, e->count, err);
    }
    if (s == AICP_OK && e->count > 0 &&
        !aicps_query_continue(&e->pages[1], e->query, e->rows[e->count - 1].json)) {
        s = aicpi_nomem(err);
    }
    e->call->arena = whole;
    e->left = (int64_t)e->count == limit ? e->left - limit : 0;
    return s;
}

static bool write_page(export_run *e) {
    bool ok = true;
    for (size_t i = 0; i < e->count && ok; i++) {
        append_one(e, e->rows[i].json);
        ok = flush(e, FLUSH_AT);
    }
    free_rows(e);
    return ok;
}

static void stream(export_run *e, const char *file) {
    aicp_error err = {0};
    aicp_status s =
        next_page(e, &err); /* before the head is fixed, so that failures have a status */
    if (s != AICP_OK) {
        if (!e->call->own->answered) {
            aicps_send_status(e->call, s, &err);
        }
        return;
    }
    begin_export(e->call, file, e->csv);
    if (e->csv) {
        append_head(&e->out, e->plan);
    } else {
        aicpi_strbuf_putc(&e->out, '[');
    }
    bool ok = write_page(e);
    while (ok && e->left > 0) {
        s = next_page(e, &err);
        ok = s == AICP_OK && write_page(e);
    }
    if (ok && !e->csv) {
        aicpi_strbuf_puts(&e->out, "\n]\n");
    }
    ok = ok && flush(e, 0);
    if (!ok) {
        aicps_http_abort(e->call->res);
    }
}

void aicps_export_rows(
    aicps_call *call, const aicps_plan *plan, aicps_query *query, const char *file, bool csv) {
    export_run e = {
        .call = call,
        .plan = plan,
        .query = query,
        .csv = csv,
        .first = true,
        .left = query->limit};
    e.rows = aicpi_arena_calloc(call->arena, PAGE, sizeof *e.rows);
    if (!e.rows) {
        aicps_send_status(call, AICP_ERR_NOMEM, NULL);
        return;
    }
    aicpi_strbuf_init(&e.out, &call->api->allocator, (size_t)1 << 24);
    aicpi_arena_init(&e.pages[0], &call->api->allocator, 0, 0);
    aicpi_arena_init(&e.pages[1], &call->api->allocator, 0, 0);
    stream(&e, file);
    free_rows(&e);
    aicpi_arena_deinit(&e.pages[0]);
    aicpi_arena_deinit(&e.pages[1]);
    aicpi_strbuf_deinit(&e.out);
}

void aicps_export_array(
    aicps_call *call,
    const aicps_plan *plan,
    struct json_object *const *rows,
    size_t count,
    const char *file) {
    begin_export(call, file, true);
    aicpi_strbuf_clear(&call->res->body);
    append_head(&call->res->body, plan);
    for (size_t i = 0; i < count; i++) {
        append_row(&call->res->body, plan, rows[i]);
    }
}

void aicps_send_export(
    aicps_call *call,
    const aicps_resource *resource,
    const char *file,
    int64_t limit_default,
    int64_t limit_max) {
    const aicps_plan *plan = aicps_plan_of(call, resource);
    aicps_query query = {.limit = limit_default, .limit_max = limit_max};
    if (aicps_query_read(call, plan, false, &query) && aicps_parent_exists(call, plan)) {
        aicps_export_rows(call, plan, &query, file, query.csv || !query.format_given);
    }
}
