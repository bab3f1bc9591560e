/* What is made once of a resource's table: its columns and the SQL of single rows. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define SQL_MAX ((size_t)1 << 16)

static const aicps_field CREATED = {
    .name = "created_at",
    .type = AICPS_TIME,
    .flags = AICPS_READ_ONLY | AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT,
    .doc = "When it was made"};
static const aicps_field UPDATED = {
    .name = "updated_at",
    .type = AICPS_TIME,
    .flags = AICPS_READ_ONLY | AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT,
    .doc = "When it was last changed"};

/* Names come from our own tables; this finds mistakes in them at start. */
static bool is_name(const char *text) {
    size_t n = text ? strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
    return n > 0 && n < 64 && text[n] == '\0' && !aicpi_is_digit(text[0]);
}

static const aicps_field *field_named(const aicps_resource *r, const char *name) {
    for (size_t i = 0; i < r->field_count; i++) {
        if (strcmp(r->fields[i].name, name) == 0) {
            return &r->fields[i];
        }
    }
    return NULL;
}

static aicp_status add_column(aicps_plan *p, const aicps_field *field, aicp_error *err) {
    aicps_column *c = &p->columns[p->column_count];
    if (!is_name(field->name) || (field->column && !is_name(field->column))) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "%s: bad field name %s", p->resource->path, field->name);
    }
    aicp_status s = aicps_column_init(c, field, err);
    if (s != AICP_OK) {
        return aicpi_error_prefix(err, s, "%s", p->resource->path);
    }
    p->column_count++;
    c->index = field->flags & AICPS_COMPUTED ? -1 : (int32_t)p->select_count++;
    char label[80];
    int len = snprintf(label, sizeof label, ",\"%s\":", field->name);
    c->label = aicpi_slice_of(aicpi_arena_strndup(&p->api->arena, label, (size_t)len), (size_t)len);
    return c->label.data ? AICP_OK : aicpi_nomem(err);
}

static aicp_status make_columns(aicps_plan *p, aicp_error *err) {
    const aicps_resource *r = p->resource;
    const char *id = r->id ? r->id : "id";
    p->columns = aicpi_arena_calloc(&p->api->arena, r->field_count + 3, sizeof *p->columns);
    if (!p->columns) {
        return aicpi_nomem(err);
    }
    aicp_status s = AICP_OK;
    if (!field_named(r, id)) {
        aicps_field f = {
            .name = id,
            .type = r->flags & AICPS_INT_ID ? AICPS_INT : AICPS_TEXT,
            .flags = AICPS_READ_ONLY | AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT,
            .doc = "Identifier"};
        s = add_column(p, &f, err);
    }
    for (size_t i = 0; i < r->field_count && s == AICP_OK; i++) {
        s = add_column(p, &r->fields[i], err);
    }
    bool times = !(r->flags & AICPS_NO_TIMES) && r->table;
    if (s == AICP_OK && times && !field_named(r, "created_at")) {
        s = add_column(p, &CREATED, err);
    }
    if (s == AICP_OK && times && !field_named(r, "updated_at")) {
        s = add_column(p, &UPDATED, err);
    }
    p->id = aicps_plan_column(p, id, strlen(id));
    return s;
}

static void append_select(aicpi_strbuf *b, const aicps_plan *p) {
    const char *comma = "";
    for (size_t i = 0; i < p->column_count; i++) {
        if (p->columns[i].index >= 0) {
            aicpi_strbuf_printf(b, "%s%s", comma, p->columns[i].field.column);
            comma = ", ";
        }
    }
    if (p->version_index >= 0) {
        aicpi_strbuf_puts(b, ", version");
    }
    if (p->org_index >= 0) {
        aicpi_strbuf_printf(b, ", %s", p->resource->org);
    }
    if (p->team_index >= 0) {
        aicpi_strbuf_printf(b, ", %s", p->resource->team);
    }
}

/* Moves what the buffer holds into the api's arena. */
static const char *keep(aicps_plan *p, aicpi_strbuf *b) {
    const char *text = b->failed ? NULL : aicpi_arena_strndup(&p->api->arena, b->data, b->len);
    aicpi_strbuf_clear(b);
    return text;
}

static void append_where(aicpi_strbuf *b, const aicps_plan *p) {
    aicpi_strbuf_printf(b, " WHERE %s = ?", p->id->field.column);
    if (p->parent) {
        aicpi_strbuf_printf(b, " AND %s = ?", p->parent->field.column);
    }
}

static void append_insert(aicpi_strbuf *b, const aicps_plan *p) {
    aicpi_strbuf_printf(b, "INSERT INTO %s (", p->resource->table);
    size_t n = 0;
    for (size_t i = 0; i < p->column_count; i++) {
        if (p->columns[i].index >= 0) {
            aicpi_strbuf_printf(b, "%s, ", p->columns[i].field.column);
            n++;
        }
    }
    aicpi_strbuf_puts(b, "version) VALUES (");
    for (size_t i = 0; i < n; i++) {
        aicpi_strbuf_puts(b, "?, ");
    }
    aicpi_strbuf_printf(b, "1) RETURNING %s", p->select);
}

static void append_update(aicpi_strbuf *b, const aicps_plan *p) {
    aicpi_strbuf_printf(b, "UPDATE %s SET ", p->resource->table);
    for (size_t i = 0; i < p->column_count; i++) {
        const aicps_column *c = &p->columns[i];
        if (c->index < 0 || c == p->id) {
            continue;
        }
        if (c->field.flags & AICPS_SECRET) {
            /* the first parameter says whether there is a new one */
            aicpi_strbuf_printf(
                b,
                "%s = CASE WHEN CAST(? AS BIGINT) = 1 THEN CAST(? AS TEXT) ELSE %s END, ",
                c->field.column,
                c->field.column);
        } else {
            aicpi_strbuf_printf(b, "%s = ?, ", c->field.column);
        }
    }
    aicpi_strbuf_puts(b, "version = version + 1");
    aicpi_strbuf_printf(
        b, " WHERE %s = ? AND version = ? RETURNING %s", p->id->field.column, p->select);
}

static aicp_status make_sql(aicps_plan *p, aicp_error *err) {
    const aicps_resource *r = p->resource;
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &p->api->allocator, SQL_MAX);
    append_select(&b, p);
    p->select = keep(p, &b);
    bool ok = p->select != NULL;
    for (int lock = 0; lock < 2 && ok; lock++) {
        aicpi_strbuf_printf(&b, "SELECT %s FROM %s", p->select, r->table);
        append_where(&b, p);
        if (lock && p->api->kind == AICPI_SQL_POSTGRES) {
            aicpi_strbuf_puts(&b, " FOR UPDATE");
        }
        *(lock ? &p->lock : &p->get) = keep(p, &b);
    }
    if (ok && p->version_index >= 0) {
        append_insert(&b, p);
        p->insert = keep(p, &b);
        append_update(&b, p);
        p->update = keep(p, &b);
        aicpi_strbuf_printf(
            &b, "DELETE FROM %s WHERE %s = ? AND version = ?", r->table, p->id->field.column);
        p->remove = keep(p, &b);
        ok = p->insert && p->update && p->remove;
    }
    ok = ok && p->get && p->lock;
    aicpi_strbuf_deinit(&b);
    return ok ? AICP_OK : aicpi_nomem(err);
}

static aicp_status check_table(aicps_plan *p, aicp_error *err) {
    const aicps_resource *r = p->resource;
    const char *wrong = NULL;
    if (!r->path || !r->type || !r->title || (r->table && r->source) ||
        (r->verbs && !r->table && !r->source)) {
        wrong = "path, type, title and either table or source are needed";
    } else if (r->table && !is_name(r->table)) {
        wrong = "bad table name";
    } else if ((r->org && !is_name(r->org)) || (r->team && !is_name(r->team))) {
        wrong = "bad column of organization or team";
    } else if ((r->flags & AICPS_NO_VERSION) && (r->verbs & ~(uint32_t)AICPS_READS)) {
        wrong = "rows without version cannot be changed";
    } else if (r->verbs & AICPS_UPDATE && r->flags & AICPS_INT_ID) {
        wrong = "rows with integer ids cannot be changed through the frame";
    } else if ((r->flags & AICPS_SOFT_DELETE) && !field_named(r, "is_active")) {
        wrong = "soft delete needs a field is_active";
    }
    return wrong ? aicpi_fail(
                       err, AICP_ERR_INVALID, "resource %s: %s", r->path ? r->path : "?", wrong)
                 : AICP_OK;
}

static aicp_status find_parent(aicps_plan *p, aicp_error *err) {
    const aicps_resource *r = p->resource;
    for (size_t i = 0; r->parent && i < p->column_count; i++) {
        if (strcmp(p->columns[i].field.column, r->parent) == 0) {
            p->parent = &p->columns[i];
        }
    }
    if (r->parent && !p->parent) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "resource %s: no field has column %s", r->path, r->parent);
    }
    return AICP_OK;
}

static const struct {
    uint32_t verb;
    const char *method;
    const char *tail;
    void (*handler)(aicps_call *call);
    const char *action;
    const char *summary;
} VERBS[] = {
    {AICPS_LIST, "GET", "", aicps_list_handle, "list", "List"},
    {AICPS_FACETS, "GET", "/facets", aicps_facets_handle, "list", "Count values of"},
    {AICPS_CREATE, "POST", "", aicps_create_handle, "create", "Create"},
    {AICPS_GET, "GET", "/{id}", aicps_get_handle, "get", "Get"},
    {AICPS_UPDATE, "PUT", "/{id}", aicps_update_handle, "update", "Update"},
    {AICPS_DELETE, "DELETE", "/{id}", aicps_delete_handle, "delete", "Delete"},
};
#define VERB_COUNT (sizeof VERBS / sizeof *VERBS)

static aicp_status make_routes(aicps_plan *p, aicp_error *err) {
    const aicps_resource *r = p->resource;
    p->routes = aicpi_arena_calloc(&p->api->arena, VERB_COUNT, sizeof *p->routes);
    if (!p->routes) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        char text[256];
        if (!(r->verbs & VERBS[i].verb)) {
            continue;
        }
        aicps_route *route = &p->routes[p->route_count++];
        bool slashes = r->flags & AICPS_PATH_ID && strcmp(VERBS[i].tail, "/{id}") == 0;
        (void)snprintf(text, sizeof text, "%s%s", r->path, slashes ? "/{id...}" : VERBS[i].tail);
        route->pattern = aicpi_arena_strndup(&p->api->arena, text, strlen(text));
        (void)snprintf(text, sizeof text, "%s: %s", VERBS[i].summary, r->title);
        route->summary = aicpi_arena_strndup(&p->api->arena, text, strlen(text));
        route->method = VERBS[i].method;
        route->handler = VERBS[i].handler;
        route->action = VERBS[i].action;
        route->resource_type = r->type;
        route->data = r;
        if (!route->pattern || !route->summary) {
            return aicpi_nomem(err);
        }
    }
    return AICP_OK;
}

aicp_status
aicps_plan_new(aicps_api *api, const aicps_resource *resource, aicps_plan **out, aicp_error *err) {
    aicps_plan *p = aicpi_arena_calloc(&api->arena, 1, sizeof *p);
    *out = p;
    if (!p) {
        return aicpi_nomem(err);
    }
    p->api = api;
    p->resource = resource;
    aicp_status s = check_table(p, err);
    if (s == AICP_OK) {
        s = make_columns(p, err);
    }
    if (s == AICP_OK) {
        s = find_parent(p, err);
    }
    int32_t next = (int32_t)p->select_count;
    p->version_index = resource->flags & AICPS_NO_VERSION || !resource->table ? -1 : next++;
    p->org_index = resource->org ? next++ : -1;
    p->team_index = resource->team ? next++ : -1;
    if (s == AICP_OK && resource->table) {
        s = make_sql(p, err);
    }
    return s == AICP_OK ? make_routes(p, err) : s;
}

void aicps_plan_free(aicps_plan *plan) {
    for (size_t i = 0; plan && i < plan->column_count; i++) {
        aicps_column_deinit(&plan->columns[i]);
    }
}

const aicps_plan *aicps_plan_of(const aicps_call *call, const aicps_resource *resource) {
    for (size_t i = 0; i < call->api->plan_count; i++) {
        if (call->api->plans[i]->resource == resource) {
            return call->api->plans[i];
        }
    }
    return NULL;
}

const aicps_plan *aicps_plan_by_path(const aicps_api *api, const char *path) {
    for (size_t i = 0; i < api->plan_count; i++) {
        if (strcmp(api->plans[i]->resource->path, path) == 0) {
            return api->plans[i];
        }
    }
    return NULL;
}

const aicps_column *aicps_plan_column(const aicps_plan *plan, const char *name, size_t len) {
    for (size_t i = 0; i < plan->column_count; i++) {
        const char *own = plan->columns[i].field.name;
        if (strlen(own) == len && memcmp(own, name, len) == 0) {
            return &plan->columns[i];
        }
    }
    return NULL;
}

const char *aicps_sql_text(aicps_call *call, const aicpi_strbuf *text) {
    aicps_worker *w = call->own->worker;
    if (text->failed || !w) {
        return NULL;
    }
    aicpi_map_slot *slot = aicpi_map_find(&w->interned, text->data, text->len);
    if (slot) {
        return slot->value.ptr;
    }
    char *copy = aicpi_arena_strndup(&w->texts, text->data, text->len);
    bool inserted = false;
    slot = copy ? aicpi_map_put(&w->interned, copy, text->len, &inserted) : NULL;
    if (slot) {
        slot->value.ptr = copy;
    }
    return slot ? copy : NULL;
}
