/* A list's query as SQL. Texts depend on which filters are given, never on their values, which are
 * bound; the number of values of one filter is rounded up, so that few texts come of it. */
#include "services/common/api/api_internal.h"

#define SQL_MAX ((size_t)1 << 16)

/* Compared byte by byte on both engines. */
static void append_key(aicpi_strbuf *b, const aicps_plan *plan, const aicps_column *c) {
    bool text =
        c->field.type == AICPS_TEXT || c->field.type == AICPS_ENUM || c->field.type == AICPS_ID;
    bool collate = text && plan->api->kind == AICPI_SQL_POSTGRES;
    aicpi_strbuf_printf(b, "%s%s", c->field.column, collate ? " COLLATE \"C\"" : "");
}

static size_t rounded(size_t count) {
    size_t n = 1;
    while (n < count) {
        n *= 2;
    }
    return n;
}

static void append_list(aicpi_strbuf *b, const char *column, size_t count) {
    if (count == 1) {
        aicpi_strbuf_printf(b, "%s = ?", column);
        return;
    }
    aicpi_strbuf_printf(b, "%s IN (", column);
    for (size_t i = 0; i < rounded(count); i++) {
        aicpi_strbuf_puts(b, i ? ", ?" : "?");
    }
    aicpi_strbuf_putc(b, ')');
}

/* ---- who sees what ---- */

static size_t orgs_of(const aicps_identity *who, aicpi_slice *out, size_t max) {
    size_t n = 0;
    if (who->org) {
        out[n++] = aicpi_slice_cstr(who->org);
    }
    for (size_t i = 0; i < who->org_role_count && n < max; i++) {
        out[n++] = aicpi_slice_cstr(who->org_roles[i].org);
    }
    return n;
}

static bool sees_all(const aicps_call *call, const aicps_resource *r) {
    return (!r->org && !r->team) || (call->who && call->who->platform_admin);
}

static void append_seen(aicps_call *call, const aicps_resource *r, aicpi_strbuf *b) {
    aicpi_slice orgs[AICPS_ANY_MAX];
    if (sees_all(call, r)) {
        return;
    }
    /* Each way to see a row alone where there is only one: an OR would keep indexes out. */
    const char *glue = "";
    size_t n = call->who && r->org ? orgs_of(call->who, orgs, AICPS_ANY_MAX) : 0;
    aicpi_strbuf_puts(b, " AND (");
    if (n > 0) {
        append_list(b, r->org, n);
        glue = " OR ";
    }
    if (call->who && r->team && call->who->team) {
        aicpi_strbuf_printf(b, "%s%s = ?", glue, r->team);
        glue = " OR ";
    }
    if (call->who && r->org && r->flags & AICPS_ORGLESS_SEEN) {
        aicpi_strbuf_printf(b, "%s%s IS NULL", glue, r->org);
        glue = " OR ";
    }
    aicpi_strbuf_puts(b, *glue ? ")" : "1 = 0)");
}

static int32_t bind_seen(aicps_call *call, const aicps_resource *r, aicpi_sql_stmt *q, int32_t at) {
    aicpi_slice orgs[AICPS_ANY_MAX];
    if (sees_all(call, r)) {
        return at;
    }
    size_t n = call->who && r->org ? orgs_of(call->who, orgs, AICPS_ANY_MAX) : 0;
    for (size_t i = 0; n > 0 && i < rounded(n); i++) {
        aicpi_slice org = orgs[i < n ? i : n - 1];
        aicpi_sql_bind_text(q, at++, org.data, org.len);
    }
    if (call->who && r->team && call->who->team) {
        aicpi_sql_bind_text(q, at++, call->who->team, strlen(call->who->team));
    }
    return at;
}

/* ---- filters ---- */

static void append_term(const aicps_plan *plan, const aicps_term *t, aicpi_strbuf *b) {
    static const char *const SIGNS[] = {
        [AICPS_OP_GTE] = ">=", [AICPS_OP_GT] = ">", [AICPS_OP_LTE] = "<=", [AICPS_OP_LT] = "<"};
    const char *column = t->column->field.column;
    aicpi_strbuf_puts(b, " AND ");
    if (t->op == AICPS_OP_NULL) {
        aicpi_strbuf_printf(b, "%s IS %sNULL", column, t->values[0].number ? "" : "NOT ");
    } else if (t->op != AICPS_OP_IN) {
        aicpi_strbuf_printf(b, "%s %s ?", column, SIGNS[t->op]);
    } else if (t->column->field.type == AICPS_TEXTS) {
        /* the item with its quotes, as it stands in the stored JSON */
        bool pg = plan->api->kind == AICPI_SQL_POSTGRES;
        aicpi_strbuf_puts(b, "(1 = 0");
        for (size_t i = 0; i < rounded(t->count); i++) {
            aicpi_strbuf_printf(b, " OR %s(%s, ?) > 0", pg ? "strpos" : "instr", column);
        }
        aicpi_strbuf_putc(b, ')');
    } else {
        append_list(b, column, t->count);
    }
}

static void bind_value(aicpi_sql_stmt *q, int32_t at, const aicps_value *v) {
    if (v->null) {
        aicpi_sql_bind_null(q, at);
    } else if (v->is_number) {
        aicpi_sql_bind_i64(q, at, v->number);
    } else {
        aicpi_sql_bind_text(q, at, v->text.data, v->text.len);
    }
}

static const char *quoted(aicps_call *call, aicpi_slice text, size_t *len) {
    struct json_object *s = aicps_json_slice(text);
    const char *json = json_object_to_json_string_length(
        s, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
    const char *copy = json ? aicpi_arena_strndup(call->arena, json, *len) : NULL;
    json_object_put(s);
    return copy;
}

static int32_t bind_term(aicps_call *call, const aicps_term *t, aicpi_sql_stmt *q, int32_t at) {
    if (t->op == AICPS_OP_NULL) {
        return at;
    }
    size_t n = t->op == AICPS_OP_IN ? rounded(t->count) : 1;
    for (size_t i = 0; i < n; i++) {
        const aicps_value *v = &t->values[i < t->count ? i : t->count - 1];
        if (t->column->field.type == AICPS_TEXTS) {
            size_t len = 0;
            const char *text = quoted(call, v->text, &len);
            aicpi_sql_bind_text(q, at++, text, len);
        } else {
            bind_value(q, at++, v);
        }
    }
    return at;
}

static bool searched(const aicps_column *c) {
    return c->index >= 0 && c->field.flags & AICPS_SEARCH;
}

static void append_search(const aicps_plan *plan, aicpi_strbuf *b) {
    aicpi_strbuf_puts(b, " AND (1 = 0");
    for (size_t i = 0; i < plan->column_count; i++) {
        if (searched(&plan->columns[i])) {
            aicpi_strbuf_printf(
                b,
                " OR LOWER(%s) LIKE LOWER(CAST(? AS TEXT)) ESCAPE '!'",
                plan->columns[i].field.column);
        }
    }
    aicpi_strbuf_putc(b, ')');
}

/* "%text%" with what LIKE would read as a wildcard escaped. */
static aicpi_slice like_of(aicps_call *call, aicpi_slice text) {
    char *out = aicpi_arena_alloc(call->arena, 2 * text.len + 3);
    size_t n = 0;
    if (!out) {
        return AICPI_SLICE("");
    }
    out[n++] = '%';
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("%_!", text.data[i])) {
            out[n++] = '!';
        }
        out[n++] = text.data[i];
    }
    out[n++] = '%';
    return aicpi_slice_of(out, n);
}

/* ---- keyset ---- */

/* All keys in one direction and without nulls: a row comparison, which an index can serve. */
static bool is_simple(const aicps_query *query) {
    for (size_t i = 0; i < query->sort_count; i++) {
        if (query->sorts[i].column->nullable || query->sorts[i].down != query->sorts[0].down) {
            return false;
        }
    }
    return true;
}

static void append_simple(const aicps_plan *plan, const aicps_query *query, aicpi_strbuf *b) {
    aicpi_strbuf_puts(b, " AND (");
    for (size_t i = 0; i < query->sort_count; i++) {
        aicpi_strbuf_puts(b, i ? ", " : "");
        append_key(b, plan, query->sorts[i].column);
    }
    aicpi_strbuf_puts(b, query->sorts[0].down ? ") < (" : ") > (");
    for (size_t i = 0; i < query->sort_count; i++) {
        aicpi_strbuf_puts(b, i ? ", ?" : "?");
    }
    aicpi_strbuf_putc(b, ')');
}

/* Nulls come last in both directions. */
static void
append_behind(const aicps_plan *plan, const aicps_query *query, size_t i, aicpi_strbuf *b) {
    const aicps_sort *s = &query->sorts[i];
    if (query->from[i].null) {
        aicpi_strbuf_puts(b, "1 = 0");
        return;
    }
    aicpi_strbuf_putc(b, '(');
    append_key(b, plan, s->column);
    aicpi_strbuf_puts(b, s->down ? " < ?" : " > ?");
    if (s->column->nullable) {
        aicpi_strbuf_printf(b, " OR %s IS NULL", s->column->field.column);
    }
    aicpi_strbuf_putc(b, ')');
}

static void append_keyset(const aicps_plan *plan, const aicps_query *query, aicpi_strbuf *b) {
    if (is_simple(query)) {
        append_simple(plan, query, b);
        return;
    }
    aicpi_strbuf_puts(b, " AND (");
    for (size_t i = 0; i < query->sort_count; i++) {
        aicpi_strbuf_puts(b, i ? " OR (" : "(");
        for (size_t k = 0; k < i; k++) {
            if (query->from[k].null) {
                aicpi_strbuf_printf(b, "%s IS NULL", query->sorts[k].column->field.column);
            } else {
                append_key(b, plan, query->sorts[k].column);
                aicpi_strbuf_puts(b, " = ?");
            }
            aicpi_strbuf_puts(b, " AND ");
        }
        append_behind(plan, query, i, b);
        aicpi_strbuf_putc(b, ')');
    }
    aicpi_strbuf_putc(b, ')');
}

static int32_t bind_keyset(const aicps_query *query, aicpi_sql_stmt *q, int32_t at) {
    if (is_simple(query)) {
        for (size_t i = 0; i < query->sort_count; i++) {
            bind_value(q, at++, &query->from[i]);
        }
        return at;
    }
    for (size_t i = 0; i < query->sort_count; i++) {
        for (size_t k = 0; k <= i; k++) {
            if (!query->from[k].null) {
                bind_value(q, at++, &query->from[k]);
            }
        }
    }
    return at;
}

/* ---- the whole ---- */

void aicps_where_text(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    bool keyset,
    aicpi_strbuf *b) {
    aicpi_strbuf_puts(b, " WHERE 1 = 1");
    if (plan->parent) {
        aicpi_strbuf_printf(b, " AND %s = ?", plan->parent->field.column);
    }
    append_seen(call, plan->resource, b);
    for (size_t i = 0; i < query->term_count; i++) {
        append_term(plan, &query->terms[i], b);
    }
    if (query->search.data) {
        append_search(plan, b);
    }
    if (keyset && query->after) {
        append_keyset(plan, query, b);
    }
}

int32_t aicps_where_bind(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    bool keyset,
    aicpi_sql_stmt *q,
    int32_t at) {
    if (plan->parent) {
        aicpi_sql_bind_text(q, at++, call->params[0].data, call->params[0].len);
    }
    at = bind_seen(call, plan->resource, q, at);
    for (size_t i = 0; i < query->term_count; i++) {
        at = bind_term(call, &query->terms[i], q, at);
    }
    aicpi_slice like = query->search.data ? like_of(call, query->search) : query->search;
    for (size_t i = 0; query->search.data && i < plan->column_count; i++) {
        if (searched(&plan->columns[i])) {
            aicpi_sql_bind_text(q, at++, like.data, like.len);
        }
    }
    return keyset && query->after ? bind_keyset(query, q, at) : at;
}

static void append_order(const aicps_plan *plan, const aicps_query *query, aicpi_strbuf *b) {
    for (size_t i = 0; i < query->sort_count; i++) {
        aicpi_strbuf_puts(b, i ? ", " : " ORDER BY ");
        append_key(b, plan, query->sorts[i].column);
        aicpi_strbuf_puts(b, query->sorts[i].down ? " DESC" : "");
        aicpi_strbuf_puts(b, query->sorts[i].column->nullable ? " NULLS LAST" : "");
    }
}

/* Prepares what `b` holds, with the conditions bound; *at is the next parameter. */
static aicp_status prepare(aicps_call *call, aicpi_strbuf *b, aicpi_sql_stmt **q, aicp_error *err) {
    const char *text = aicps_sql_text(call, b);
    aicpi_strbuf_deinit(b);
    return text ? aicpi_sql_prepare(call->db, text, q, err) : aicpi_nomem(err);
}

static void
append_count(aicps_call *call, const aicps_plan *plan, const aicps_query *query, aicpi_strbuf *b) {
    aicpi_strbuf_printf(b, "(SELECT COUNT(*) FROM (SELECT 1 FROM %s", plan->resource->table);
    aicps_where_text(call, plan, query, false, b);
    aicpi_strbuf_printf(b, " LIMIT %lld) AS counted)", (long long)aicps_count_most(plan) + 1);
}

/* With `counted`, a last column has the number of rows on all pages. */
static aicp_status prepare_page(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    int64_t limit,
    bool counted,
    aicpi_sql_stmt **q,
    aicp_error *err) {
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &call->api->allocator, SQL_MAX);
    aicpi_strbuf_printf(&b, "SELECT %s", plan->select);
    if (counted) {
        aicpi_strbuf_puts(&b, ", ");
        append_count(call, plan, query, &b);
    }
    aicpi_strbuf_printf(&b, " FROM %s", plan->resource->table);
    aicps_where_text(call, plan, query, true, &b);
    append_order(plan, query, &b);
    aicpi_strbuf_puts(&b, query->offset > 0 ? " LIMIT ? OFFSET ?" : " LIMIT ?");
    aicp_status s = prepare(call, &b, q, err);
    if (s != AICP_OK) {
        return s;
    }
    int32_t at = counted ? aicps_where_bind(call, plan, query, false, *q, 1) : 1;
    at = aicps_where_bind(call, plan, query, true, *q, at);
    aicpi_sql_bind_i64(*q, at, limit);
    if (query->offset > 0) {
        aicpi_sql_bind_i64(*q, at + 1, query->offset);
    }
    return AICP_OK;
}

aicp_status aicps_page_read(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    int64_t limit,
    aicps_row *rows,
    size_t *count,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = true;
    *count = 0;
    aicp_status s = prepare_page(call, plan, query, limit, false, &q, err);
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
        if (s == AICP_OK && row && (int64_t)*count < limit) {
            s = aicps_row_read(call, plan, q, &rows[*count], err) ? s : AICP_ERR_NOMEM;
            *count += s == AICP_OK;
        }
    }
    if (q) {
        aicpi_sql_reset(q);
    }
    return s;
}

/* Columns of plan->select. */
static int32_t select_width(const aicps_plan *plan) {
    return (int32_t)plan->select_count + (plan->version_index >= 0) + (plan->org_index >= 0) +
           (plan->team_index >= 0);
}

aicp_status aicps_page_write(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    aicpi_strbuf *out,
    aicps_page *page,
    aicp_error *err) {
    /* Where a statement is a journey to a server, the count comes along. */
    bool counted = plan->api->kind == AICPI_SQL_POSTGRES;
    aicpi_sql_stmt *q = NULL;
    bool row = true;
    *page = (aicps_page){.total = -1};
    aicp_status s = prepare_page(call, plan, query, query->limit + 1, counted, &q, err);
    aicpi_strbuf_putc(out, '[');
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
        if (s != AICP_OK || !row || ++page->count > query->limit) {
            continue;
        }
        if (page->count == 1) {
            page->total = counted ? aicpi_sql_i64(q, select_width(plan)) : -1;
        } else {
            aicpi_strbuf_putc(out, ',');
        }
        aicps_row_write(call, plan, q, out);
        if (page->count == query->limit) {
            s = aicps_row_read(call, plan, q, &page->last, err) ? s : AICP_ERR_NOMEM;
        }
    }
    aicpi_strbuf_putc(out, ']');
    if (q) {
        aicpi_sql_reset(q);
    }
    return s;
}

aicp_status aicps_count_read(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    int64_t *count,
    aicp_error *err) {
    aicpi_strbuf b;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicpi_strbuf_init(&b, &call->api->allocator, SQL_MAX);
    aicpi_strbuf_printf(&b, "SELECT COUNT(*) FROM (SELECT 1 FROM %s", plan->resource->table);
    aicps_where_text(call, plan, query, false, &b);
    aicpi_strbuf_printf(&b, " LIMIT %lld) AS counted", (long long)aicps_count_most(plan) + 1);
    aicp_status s = prepare(call, &b, &q, err);
    if (s == AICP_OK) {
        (void)aicps_where_bind(call, plan, query, false, q, 1);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        *count = row ? aicpi_sql_i64(q, 0) : 0;
        aicpi_sql_reset(q);
    }
    return s;
}
