/* Resources over rows in memory: LiteLLM's objects through an aicps_source, and lists that a
 * special verb made. Filters, sort, paging and CSV are those of the SQL resources. */
#include "services/common/api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- rows ---- */

static const aicps_column *column_at(const aicps_plan *plan, const char *column) {
    for (size_t i = 0; column && i < plan->column_count; i++) {
        if (strcmp(plan->columns[i].field.column, column) == 0) {
            return &plan->columns[i];
        }
    }
    return NULL;
}

static const char *text_at(struct json_object *row, const aicps_plan *plan, const char *column) {
    const aicps_column *c = column_at(plan, column);
    struct json_object *v = c ? aicps_member(row, c->field.name) : NULL;
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static bool is_seen(const aicps_call *call, const aicps_plan *plan, struct json_object *row) {
    return aicps_row_seen(
        call,
        plan,
        text_at(row, plan, plan->resource->org),
        text_at(row, plan, plan->resource->team));
}

/* Every field is there, secrets are masked, amounts have their text beside them. */
static void complete(const aicps_plan *plan, struct json_object *row) {
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_field *f = &plan->columns[i].field;
        struct json_object *v = aicps_member(row, f->name);
        if (f->flags & AICPS_SECRET && v) {
            aicps_set(row, f->name, aicps_json_text(AICPS_MASK));
        } else if (!v) {
            aicps_set(row, f->name, NULL);
        }
        if (f->type == AICPS_MONEY) {
            aicps_decimal_add(row, f->name, v);
        }
    }
}

/* ---- filters ---- */

static int compare_values(const aicps_value *a, const aicps_value *b) {
    if (a->null || b->null) {
        return a->null - b->null; /* nulls last */
    }
    return a->is_number ? (a->number > b->number) - (a->number < b->number)
                        : aicpi_slice_cmp(a->text, b->text);
}

static bool has_item(struct json_object *list, aicpi_slice item) {
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        if (json_object_is_type(v, json_type_string) &&
            aicpi_slice_eq(
                item,
                aicpi_slice_of(json_object_get_string(v), (size_t)json_object_get_string_len(v)))) {
            return true;
        }
    }
    return false;
}

static bool term_holds(const aicps_term *t, struct json_object *row) {
    struct json_object *member = aicps_member(row, t->column->field.name);
    aicps_value v = aicps_value_of(t->column, member);
    if (t->op == AICPS_OP_NULL) {
        return v.null == (t->values[0].number != 0);
    }
    if (v.null) {
        return false;
    }
    for (size_t i = 0; i < t->count; i++) {
        int c = t->column->field.type == AICPS_TEXTS ? !has_item(member, t->values[i].text)
                                                     : compare_values(&v, &t->values[i]);
        if ((t->op == AICPS_OP_IN && c == 0) || (t->op == AICPS_OP_GTE && c >= 0) ||
            (t->op == AICPS_OP_GT && c > 0) || (t->op == AICPS_OP_LTE && c <= 0) ||
            (t->op == AICPS_OP_LT && c < 0)) {
            return true;
        }
    }
    return false;
}

static bool contains(aicpi_slice text, aicpi_slice part) {
    for (size_t i = 0; i + part.len <= text.len; i++) {
        size_t k = 0;
        while (k < part.len && aicpi_lower(text.data[i + k]) == aicpi_lower(part.data[k])) {
            k++;
        }
        if (k == part.len) {
            return true;
        }
    }
    return false;
}

static bool found(const aicps_plan *plan, const aicps_query *query, struct json_object *row) {
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_field *f = &plan->columns[i].field;
        if (f->flags & AICPS_SEARCH && contains(aicps_text(row, f->name), query->search)) {
            return true;
        }
    }
    return !query->search.data;
}

static bool wanted(
    const aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    struct json_object *row) {
    bool ok = json_object_is_type(row, json_type_object) && is_seen(call, plan, row) &&
              found(plan, query, row);
    for (size_t i = 0; i < query->term_count && ok; i++) {
        ok = term_holds(&query->terms[i], row);
    }
    return ok;
}

/* ---- order ---- */

typedef struct sorted {
    struct json_object *row;
    aicps_value keys[AICPS_SORTS_MAX + 1];
} sorted;

static int compare_keys(const aicps_value *a, const aicps_value *b, const aicps_query *query) {
    for (size_t i = 0; i < query->sort_count; i++) {
        int c = compare_values(&a[i], &b[i]);
        if (c != 0) {
            return query->sorts[i].down && !a[i].null && !b[i].null ? -c : c;
        }
    }
    return 0;
}

static int compare_rows(const void *a, const void *b, void *user) {
    return compare_keys(((const sorted *)a)->keys, ((const sorted *)b)->keys, user);
}

/* The rows that are wanted, in order; NULL: out of memory. */
static sorted *select_rows(
    aicps_call *call,
    const aicps_plan *plan,
    aicps_query *query,
    struct json_object *rows,
    size_t *count) {
    size_t n = json_object_is_type(rows, json_type_array) ? json_object_array_length(rows) : 0;
    sorted *out = aicpi_arena_calloc(call->arena, n ? n : 1, sizeof *out);
    *count = 0;
    for (size_t i = 0; i < n && out; i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        if (!wanted(call, plan, query, row)) {
            continue;
        }
        complete(plan, row);
        sorted *s = &out[(*count)++];
        s->row = row;
        for (size_t k = 0; k < query->sort_count; k++) {
            const aicps_column *c = query->sorts[k].column;
            s->keys[k] = aicps_value_of(c, aicps_member(row, c->field.name));
        }
    }
    if (out) {
        qsort_r(out, *count, sizeof *out, compare_rows, query);
    }
    return out;
}

/* ---- answers ---- */

static size_t page_start(const aicps_query *query, const sorted *rows, size_t count) {
    size_t from = 0;
    if (!query->after) {
        return (uint64_t)query->offset < count ? (size_t)query->offset : count;
    }
    while (from < count && compare_keys(rows[from].keys, query->from, query) <= 0) {
        from++;
    }
    return from;
}

static void send_selected(
    aicps_call *call, const aicps_plan *plan, aicps_query *query, sorted *rows, size_t count) {
    size_t from = page_start(query, rows, count);
    bool all = query->csv && !query->limit_given;
    size_t most = all ? SIZE_MAX : (size_t)query->limit;
    size_t n = count - from < most ? count - from : most;
    struct json_object **page = aicpi_arena_calloc(call->arena, n ? n : 1, sizeof *page);
    aicp_error err = {0};
    aicp_status s = page ? AICP_OK : aicpi_nomem(&err);
    for (size_t i = 0; i < n && page; i++) {
        page[i] = rows[from + i].row;
    }
    if (s == AICP_OK && n > 0 && plan->resource->decorate) {
        s = plan->resource->decorate(call, page, n, &err);
    }
    if (s != AICP_OK) {
        if (!call->own->answered) {
            aicps_send_status(call, s, &err);
        }
        return;
    }
    aicps_send_total(call, plan, (int64_t)count);
    if (query->csv) {
        aicps_export_array(call, plan, page, n, plan->resource->type);
        return;
    }
    if (n > 0 && from + n < count) {
        aicps_send_next(call, aicps_cursor_make(call, query, page[n - 1]));
    }
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        (void)json_object_array_add(list, json_object_get(page[i]));
    }
    aicps_send_json(call, 200, list);
}

static void
send_rows(aicps_call *call, const aicps_plan *plan, aicps_query *query, struct json_object *rows) {
    size_t count = 0;
    sorted *list = select_rows(call, plan, query, rows, &count);
    if (list) {
        send_selected(call, plan, query, list, count);
    } else {
        aicps_send_status(call, AICP_ERR_NOMEM, NULL);
    }
    json_object_put(rows);
}

void aicps_send_rows(aicps_call *call, const aicps_resource *resource, struct json_object *rows) {
    const aicps_plan *plan = aicps_plan_of(call, resource);
    aicps_query query = {0};
    if (aicps_query_read(call, plan, false, &query)) {
        send_rows(call, plan, &query, rows);
    } else {
        json_object_put(rows);
    }
}

/* Rows of the source; false: answered. */
static bool list_source(aicps_call *call, const aicps_plan *plan, struct json_object **rows) {
    aicp_error err = {0};
    *rows = NULL;
    aicp_status s = plan->resource->source->list(call, rows, &err);
    if (s != AICP_OK && !call->own->answered) {
        aicps_send_status(call, s, &err);
    }
    return s == AICP_OK;
}

void aicps_source_list(aicps_call *call, const aicps_plan *plan, aicps_query *query) {
    struct json_object *rows = NULL;
    if (list_source(call, plan, &rows)) {
        send_rows(call, plan, query, rows);
    }
}

/* How often each value of a column comes. */
static struct json_object *count_values(const aicps_column *c, const sorted *rows, size_t count) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        struct json_object *value = aicps_member(rows[i].row, c->field.name);
        struct json_object *item = NULL;
        for (size_t k = 0; k < json_object_array_length(list) && !item; k++) {
            struct json_object *o = json_object_array_get_idx(list, k);
            item = json_object_equal(aicps_member(o, "value"), value) ? o : NULL;
        }
        if (!item && json_object_array_length(list) == AICPS_FACET_VALUES) {
            continue;
        }
        if (!item) {
            item = json_object_new_object();
            aicps_set(item, "value", json_object_get(value));
            (void)json_object_array_add(list, item);
        }
        aicps_set(item, "count", json_object_new_int64(aicps_int(item, "count") + 1));
    }
    return list;
}

void aicps_source_facets(
    aicps_call *call,
    const aicps_plan *plan,
    aicps_query *query,
    const aicps_column *const *fields,
    size_t field_count) {
    struct json_object *rows = NULL;
    size_t count = 0;
    if (!list_source(call, plan, &rows)) {
        return;
    }
    sorted *list = select_rows(call, plan, query, rows, &count);
    struct json_object *out = json_object_new_object();
    for (size_t i = 0; i < field_count && list; i++) {
        aicps_set(out, fields[i]->field.name, count_values(fields[i], list, count));
    }
    aicps_send_json(call, 200, out);
    json_object_put(rows);
}

aicp_status aicps_source_load(
    aicps_call *call,
    const aicps_plan *plan,
    aicpi_slice id,
    struct json_object **row,
    aicp_error *err) {
    const aicps_source *source = plan->resource->source;
    struct json_object *rows = NULL;
    aicp_status s = AICP_OK;
    *row = NULL;
    if (source->get) {
        s = source->get(call, id, row, err);
    } else {
        s = source->list(call, &rows, err);
        size_t n = s == AICP_OK ? json_object_array_length(rows) : 0;
        for (size_t i = 0; i < n && !*row; i++) {
            struct json_object *o = json_object_array_get_idx(rows, i);
            if (aicpi_slice_eq(aicps_text(o, plan->id->field.name), id)) {
                *row = json_object_get(o);
            }
        }
        json_object_put(rows);
    }
    if (s == AICP_OK && (!*row || !is_seen(call, plan, *row))) {
        json_object_put(*row);
        *row = NULL;
        s = AICP_ERR_NOT_FOUND;
    }
    if (s == AICP_ERR_NOT_FOUND && !call->own->answered) {
        return aicpi_fail(err, s, "%s not found", plan->resource->title);
    }
    if (s == AICP_OK) {
        complete(plan, *row);
    }
    return s;
}

/* ---- changes in the other system ---- */

static struct json_object *masked(const aicps_plan *plan, struct json_object *row) {
    struct json_object *out = NULL;
    if (!row || json_object_deep_copy(row, &out, NULL) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_field *f = &plan->columns[i].field;
        if (f->flags & AICPS_SECRET && !aicps_is_null(out, f->name)) {
            aicps_set(out, f->name, aicps_json_text(AICPS_MASK));
        }
    }
    return out;
}

static aicps_audit_entry entry_of(const aicps_change *change, struct json_object *after) {
    const aicps_resource *r = change->resource;
    const aicps_plan *plan = change->own->plan;
    struct json_object *shown = after ? after : change->before;
    const char *name = r->name_field ? r->name_field : "name";
    struct json_object *title = aicps_member(shown, name);
    return (aicps_audit_entry){
        .action = change->action,
        .resource_type = r->type,
        .resource_id = change->id.data,
        .resource_name =
            json_object_is_type(title, json_type_string) ? json_object_get_string(title) : NULL,
        .org = text_at(shown, plan, r->org),
        .before = change->before,
        .after = after,
    };
}

static const char *id_of_answer(
    aicps_call *call, const aicps_plan *plan, struct json_object *answer, const char *known) {
    aicpi_slice id = aicps_text(answer, plan->id->field.name);
    return known || id.len == 0 ? known : aicpi_arena_strndup(call->arena, id.data, id.len);
}

/* Intent, the other system, conclusion. */
static aicp_status
write_source(aicps_change *change, struct json_object **answer, aicp_error *err) {
    aicps_call *call = change->call;
    const aicps_plan *plan = change->own->plan;
    struct json_object *after = masked(plan, change->after);
    aicps_audit_entry e = entry_of(change, after);
    int64_t intent = 0;
    aicp_status s = aicps_audit_intend(call, &e, &intent, err);
    if (s != AICP_OK) {
        json_object_put(after);
        return s;
    }
    aicpi_slice id = change->id;
    s = plan->resource->source->write(change, id, answer, err);
    e.outcome = s == AICP_OK ? "success" : "failure";
    e.resource_id = id_of_answer(call, plan, *answer, id.data);
    aicp_error later = {0};
    aicp_status written = aicps_audit_conclude(call, intent, &e, &later);
    if (s == AICP_OK && plan->resource->flags & AICPS_RULES && written == AICP_OK) {
        written = aicps_rules_touch(call->db, &later);
    }
    /* It happened: when the entry cannot be written now, recovery turns the intent into one. */
    if (written != AICP_OK) {
        aicps_api_log(call, AICP_LOG_ERROR, later.message);
    }
    json_object_put(after);
    return s;
}

static aicp_status prepare_after(aicps_change *change, struct json_object *given, aicp_error *err) {
    struct json_object *base = change->before ? change->before : given;
    change->given = given;
    if (!given) {
        return AICP_OK;
    }
    if (json_object_deep_copy(base, &change->after, NULL) != 0) {
        return aicpi_nomem(err);
    }
    json_object_object_foreach(given, name, value) {
        aicps_set(change->after, name, json_object_get(value));
    }
    return AICP_OK;
}

static aicp_status change_source(
    aicps_change *change, struct json_object *given, struct json_object **answer, aicp_error *err) {
    aicps_call *call = change->call;
    const aicps_plan *plan = change->own->plan;
    aicp_status s = AICP_OK;
    if (change->id.data) {
        s = aicps_source_load(call, plan, change->id, &change->before, err);
    }
    s = s == AICP_OK ? prepare_after(change, given, err) : s;
    if (s != AICP_OK) {
        return s;
    }
    struct json_object *row = change->before ? change->before : change->after;
    if (!call->api->options.authorise(call, change->action, plan->resource->type, row)) {
        aicps_send_forbidden(call, change->action, plan->resource->type);
    } else if (change->after && !is_seen(call, plan, change->after)) {
        aicps_send_error(call, 403, "forbidden", "Not allowed for this organization or team");
    }
    if (!call->own->answered) {
        s = aicps_change_check(change, err);
    }
    if (s != AICP_OK || call->own->answered) {
        return s == AICP_OK ? AICP_ERR_INVALID : s;
    }
    return write_source(change, answer, err);
}

bool aicps_source_change(
    aicps_call *call,
    const aicps_plan *plan,
    const char *action,
    aicpi_slice id,
    struct json_object *given,
    struct json_object **answer) {
    aicps_change_own own = {.plan = plan};
    aicps_change change = {
        .call = call, .resource = plan->resource, .action = action, .id = id, .own = &own};
    aicps_idempotency once;
    aicp_error err = {0};
    *answer = NULL;
    if (aicps_http_header(call->req, "if-match").data) {
        aicps_send_error(call, 412, "no_versions", "%s has no versions", plan->resource->title);
    }
    if (call->own->answered || !aicps_idempotency_read(call, &once)) {
        return false;
    }
    aicp_status s = aicps_idempotency_take(call, &once, &err);
    if (s == AICP_OK && once.replayed) {
        /* What was answered then may have held a new key, which is not kept. */
        aicps_send_error(
            call, 409, "already_done", "The request with this Idempotency-Key was done");
        json_object_put(once.answer);
        return false;
    }
    if (s == AICP_OK && !call->own->answered) {
        s = change_source(&change, given, answer, &err);
        if (s == AICP_OK) {
            (void)aicps_idempotency_finish(call, &once, NULL, NULL, NULL);
        } else {
            aicps_idempotency_give_up(call, &once);
        }
    }
    if (s != AICP_OK && !call->own->answered) {
        aicps_send_status(call, s, &err);
    }
    if (!call->own->answered && plan->resource->committed) {
        plan->resource->committed(&change, *answer);
    }
    json_object_put(change.before);
    json_object_put(change.after);
    return !call->own->answered;
}
