/* Get, create, update, delete of one row. A change is one transaction: what it reads under lock,
 * the row, what depends on it, its audit entry. Attempts that must be repeated begin from nothing.
 */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define SQL_MAX ((size_t)1 << 14)

typedef struct change_run {
    aicps_call *call;
    const aicps_plan *plan;
    const char *action;
    aicpi_slice id;
    aicps_change_fn fn;
    void *user;
    aicps_change change;
    aicps_change_own own;
    struct json_object *answer;
    aicps_idempotency once;
} change_run;

static void clear_change(change_run *run) {
    json_object_put(run->change.before);
    json_object_put(run->change.after);
    json_object_put(run->own.secrets);
    json_object_put(run->answer);
    aicps_row_free(&run->own.row);
    run->answer = NULL;
    run->own = (aicps_change_own){.plan = run->plan};
    run->change = (aicps_change){
        .call = run->call,
        .resource = run->plan->resource,
        .action = run->action,
        .id = run->id,
        .own = &run->own,
    };
}

/* ---- ETag ---- */

static void etag_text(int64_t version, char out[32]) {
    (void)snprintf(out, 32, "\"%lld\"", (long long)version);
}

static void add_etag(aicps_call *call, const aicps_plan *plan, int64_t version) {
    char text[32];
    if (plan->version_index >= 0) {
        etag_text(version, text);
        (void)aicps_http_add_header(call->res, "ETag", text);
    }
}

/* Is the version in a list of entity tags? Weak ones count only where `weak`. */
static bool tag_listed(aicpi_slice list, int64_t version, bool weak) {
    char own[32];
    int n = snprintf(own, sizeof own, "\"%lld\"", (long long)version);
    for (size_t at = 0; at < list.len;) {
        const char *comma = memchr(list.data + at, ',', list.len - at);
        size_t end = comma ? (size_t)(comma - list.data) : list.len;
        aicpi_slice tag = {list.data + at, end - at};
        at = end + 1;
        while (tag.len > 0 && strchr(" \t", tag.data[0])) {
            tag = aicpi_slice_of(tag.data + 1, tag.len - 1);
        }
        while (tag.len > 0 && strchr(" \t", tag.data[tag.len - 1])) {
            tag.len--;
        }
        if (weak && tag.len > 2 && memcmp(tag.data, "W/", 2) == 0) {
            tag = aicpi_slice_of(tag.data + 2, tag.len - 2);
        }
        if (aicpi_slice_is(tag, "*") || aicpi_slice_eq(tag, aicpi_slice_of(own, (size_t)n))) {
            return true;
        }
    }
    return false;
}

static bool if_match(aicps_call *call, int64_t version) {
    aicpi_slice list = aicps_http_header(call->req, "if-match");
    if (!list.data || tag_listed(list, version, false)) {
        return true;
    }
    aicps_send_error(
        call,
        412,
        "version_mismatch",
        "It was changed meanwhile: its version is now %lld",
        (long long)version);
    return false;
}

/* ---- checks inside the transaction ---- */

/* An answer stands already; the status only ends the transaction. */
static aicp_status answered(aicp_error *err) {
    return aicpi_fail(err, AICP_ERR_INVALID, "answered");
}

static bool
allowed(aicps_call *call, const char *action, const aicps_plan *plan, struct json_object *row) {
    if (call->api->options.authorise(call, action, plan->resource->type, row)) {
        return true;
    }
    aicps_send_forbidden(call, action, plan->resource->type);
    return false;
}

static const char *
text_of(aicps_call *call, struct json_object *row, const aicps_plan *plan, const char *column) {
    for (size_t i = 0; column && i < plan->column_count; i++) {
        if (strcmp(plan->columns[i].field.column, column) == 0) {
            aicpi_slice t = aicps_text(row, plan->columns[i].field.name);
            return t.len ? aicpi_arena_strndup(call->arena, t.data, t.len) : NULL;
        }
    }
    return NULL;
}

/* Nobody may put a row where he could not see it. */
static bool stays_seen(aicps_change *change) {
    const aicps_plan *plan = change->own->plan;
    const char *org = text_of(change->call, change->after, plan, plan->resource->org);
    const char *team = text_of(change->call, change->after, plan, plan->resource->team);
    if (aicps_row_seen(change->call, plan, org, team)) {
        return true;
    }
    aicps_send_error(change->call, 403, "forbidden", "Not allowed for this organization or team");
    return false;
}

static aicp_status check_unique(aicps_change *change, const aicps_column *c, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    struct json_object *value = aicps_member(change->after, c->field.name);
    aicpi_sql_stmt *q = NULL;
    aicpi_strbuf b;
    bool row = false;
    if (!value || json_object_equal(value, aicps_member(change->before, c->field.name))) {
        return AICP_OK;
    }
    aicpi_strbuf_init(&b, &change->call->api->allocator, SQL_MAX);
    aicpi_strbuf_printf(
        &b,
        "SELECT 1 FROM %s WHERE %s = ? AND %s <> ?",
        plan->resource->table,
        c->field.column,
        plan->id->field.column);
    if (plan->parent) {
        aicpi_strbuf_printf(&b, " AND %s = ?", plan->parent->field.column);
    }
    const char *text = aicps_sql_text(change->call, &b);
    aicpi_strbuf_deinit(&b);
    aicp_status s = text ? aicpi_sql_prepare(change->call->db, text, &q, err) : aicpi_nomem(err);
    if (s == AICP_OK) {
        s = aicps_value_bind(change->call, c, value, q, 1, err);
    }
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 2, change->id.data, change->id.len);
        if (plan->parent) {
            aicpi_sql_bind_text(q, 3, change->call->params[0].data, change->call->params[0].len);
        }
        s = aicpi_sql_step(q, &row, err);
        aicpi_sql_reset(q);
    }
    if (s == AICP_OK && row) {
        aicps_send_error(
            change->call,
            409,
            "already_exists",
            "%s with this %s exists already",
            plan->resource->title,
            c->field.name);
        return answered(err);
    }
    return s;
}

/* The row that an AICPS_ID refers to: there, and the caller may know of it? */
static aicp_status check_ref(aicps_change *change, const aicps_column *c, aicp_error *err) {
    aicps_call *call = change->call;
    struct json_object *value = aicps_member(change->after, c->field.name);
    const aicps_plan *to = c->field.ref ? aicps_plan_by_path(call->api, c->field.ref) : NULL;
    const aicps_plan *own = change->own->plan;
    if (!value || !to || !to->resource->table ||
        json_object_equal(value, aicps_member(change->before, c->field.name))) {
        return AICP_OK;
    }
    bool sibling = to->parent && own->parent && to->resource->parent_path &&
                   own->resource->parent_path &&
                   strcmp(to->resource->parent_path, own->resource->parent_path) == 0;
    aicpi_strbuf b;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicpi_strbuf_init(&b, &call->api->allocator, SQL_MAX);
    aicpi_strbuf_printf(
        &b,
        "SELECT %s, %s FROM %s WHERE %s = ?",
        to->resource->org ? to->resource->org : "NULL",
        to->resource->team ? to->resource->team : "NULL",
        to->resource->table,
        to->id->field.column);
    if (sibling) {
        aicpi_strbuf_printf(&b, " AND %s = ?", to->parent->field.column);
    }
    const char *text = aicps_sql_text(call, &b);
    aicpi_strbuf_deinit(&b);
    aicp_status s = text ? aicpi_sql_prepare(call->db, text, &q, err) : aicpi_nomem(err);
    if (s != AICP_OK) {
        return s;
    }
    aicpi_slice id = aicps_text(change->after, c->field.name);
    aicpi_sql_bind_text(q, 1, id.data, id.len);
    if (sibling) {
        aicpi_sql_bind_text(q, 2, call->params[0].data, call->params[0].len);
    }
    s = aicpi_sql_step(q, &row, err);
    if (s == AICP_OK && row) {
        aicpi_slice org = aicpi_sql_text(q, 0);
        aicpi_slice team = aicpi_sql_text(q, 1);
        const char *o =
            aicpi_sql_is_null(q, 0) ? NULL : aicpi_arena_strndup(call->arena, org.data, org.len);
        const char *t =
            aicpi_sql_is_null(q, 1) ? NULL : aicpi_arena_strndup(call->arena, team.data, team.len);
        aicpi_sql_reset(q);
        row = aicps_row_seen(call, to, o, t);
    }
    if (s == AICP_OK && !row) {
        aicps_field_error(call, c->field.name, "%s not found", to->resource->title);
    }
    return s;
}

aicp_status aicps_change_check(aicps_change *change, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    aicp_status s = AICP_OK;
    for (size_t i = 0; change->after && i < plan->column_count && s == AICP_OK; i++) {
        if (plan->columns[i].field.type == AICPS_ID) {
            s = check_ref(change, &plan->columns[i], err);
        }
    }
    if (s == AICP_OK && plan->resource->check) {
        s = plan->resource->check(change, err);
    }
    if (aicps_has_field_errors(change->call) && !change->call->own->answered) {
        aicps_send_field_errors(change->call);
    }
    if (change->call->own->answered) {
        return answered(err);
    }
    for (size_t i = 0; change->after && i < plan->column_count && s == AICP_OK; i++) {
        if (plan->resource->table && plan->columns[i].field.flags & AICPS_UNIQUE) {
            s = check_unique(change, &plan->columns[i], err);
        }
    }
    return s;
}

/* ---- storing ---- */

static aicp_status
bind_columns(aicps_change *change, aicpi_sql_stmt *q, bool update, int32_t *at, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < plan->column_count && s == AICP_OK; i++) {
        const aicps_column *c = &plan->columns[i];
        struct json_object *v = aicps_member(change->after, c->field.name);
        if (c->index < 0 || (update && c == plan->id)) {
            continue;
        }
        bool secret = c->field.flags & AICPS_SECRET;
        if (secret && aicps_secret_kept(aicps_member(change->before, c->field.name), v)) {
            v = NULL;
            if (update) {
                aicpi_sql_bind_i64(q, (*at)++, 0);
            }
        } else if (secret) {
            if (v || !aicps_is_null(change->before, c->field.name)) {
                aicps_set(change->own->secrets, c->field.name, aicps_json_text(AICPS_MASK));
            }
            if (update) {
                aicpi_sql_bind_i64(q, (*at)++, 1);
            }
            s = aicps_secret_merge(change, c, v, err);
        }
        s = s != AICP_OK ? s : aicps_value_bind(change->call, c, v, q, (*at)++, err);
    }
    return s;
}

aicp_status aicps_resource_store(aicps_change *change, aicp_error *err) {
    aicps_change_own *own = change->own;
    const aicps_plan *plan = own->plan;
    aicpi_sql_stmt *q = NULL;
    bool update = change->before != NULL;
    int32_t at = 1;
    bool row = false;
    own->secrets = own->secrets ? own->secrets : json_object_new_object();
    if (!plan->insert) {
        return aicpi_fail(err, AICP_ERR_STATE, "%s has no table to write", plan->resource->path);
    }
    if (update && aicps_plan_column(plan, "updated_at", strlen("updated_at"))) {
        aicps_set(change->after, "updated_at", aicps_json_time(aicps_now(change->call->api)));
    }
    aicp_status s =
        aicpi_sql_prepare(change->call->db, update ? plan->update : plan->insert, &q, err);
    if (s == AICP_OK) {
        s = bind_columns(change, q, update, &at, err);
    }
    if (s == AICP_OK && update) {
        aicpi_sql_bind_text(q, at, change->id.data, change->id.len);
        aicpi_sql_bind_i64(q, at + 1, own->row.version);
    }
    s = s == AICP_OK ? aicpi_sql_step(q, &row, err) : s;
    if (s == AICP_OK && !row) {
        /* the version in the condition: somebody was faster although the row was locked */
        return aicpi_fail(err, AICP_ERR_STORE_BUSY, "the row was changed meanwhile");
    }
    aicps_row stored = {0};
    if (s == AICP_OK) {
        s = aicps_row_read(change->call, plan, q, &stored, err) ? s : AICP_ERR_NOMEM;
        aicpi_sql_run(q, NULL);
    }
    if (s == AICP_OK) {
        json_object_put(change->after);
        change->after = json_object_get(stored.json);
        aicps_row_free(&own->row);
        own->row = stored;
        own->stored = true;
    }
    return s;
}

static aicp_status remove_row(aicps_change *change, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(change->call->db, plan->remove, &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, change->id.data, change->id.len);
        aicpi_sql_bind_i64(q, 2, change->own->row.version);
        s = aicpi_sql_run(q, err);
    }
    if (s == AICP_OK && aicpi_sql_changes(change->call->db) == 0) {
        s = aicpi_fail(err, AICP_ERR_STORE_BUSY, "the row was changed meanwhile");
    }
    return s;
}

/* ---- the transaction ---- */

static aicp_status write_entry(change_run *run, aicp_error *err) {
    aicps_change *c = &run->change;
    const aicps_resource *r = run->plan->resource;
    struct json_object *shown = c->after ? c->after : c->before;
    aicpi_slice name = aicps_text(shown, r->name_field ? r->name_field : "name");
    const char *org = run->own.row.org;
    if (!org && r->org) {
        org = text_of(run->call, shown, run->plan, r->org);
    }
    struct json_object *before = c->before;
    struct json_object *after = NULL;
    if (c->after) {
        after = json_object_get(c->after);
    }
    aicps_audit_entry e = {
        .action = c->action,
        .resource_type = r->type,
        .resource_id = aicpi_arena_strndup(run->call->arena, c->id.data, c->id.len),
        .resource_name =
            name.len ? aicpi_arena_strndup(run->call->arena, name.data, name.len) : NULL,
        .org = org,
        .before = before,
        .after = after,
    };
    aicp_status s = aicps_audit_write_change(run->call, &e, run->own.secrets, err);
    json_object_put(after);
    return s;
}

static aicp_status load_before(change_run *run, aicp_error *err) {
    aicp_status s = aicps_row_load(run->call, run->plan, run->id, true, &run->own.row, err);
    if (s != AICP_OK) {
        return s;
    }
    run->change.before = json_object_get(run->own.row.json);
    if (!allowed(run->call, run->action, run->plan, run->change.before) ||
        !if_match(run->call, run->own.row.version)) {
        return answered(err);
    }
    return AICP_OK;
}

static aicp_status attempt(aicpi_sql *db, void *user, aicp_error *err) {
    change_run *run = user;
    (void)db;
    aicps_problem_reset(run->call);
    clear_change(run);
    aicp_status s = aicps_idempotency_take(run->call, &run->once, err);
    if (s == AICP_OK && run->once.replayed) {
        run->answer = json_object_get(run->once.answer);
        return AICP_OK;
    }
    if (s == AICP_OK && run->call->own->answered) {
        return answered(err);
    }
    if (s == AICP_OK && run->id.data) {
        s = load_before(run, err);
    }
    if (s == AICP_OK) {
        s = run->fn(&run->change, run->user, err);
    }
    if (s == AICP_OK && run->call->own->answered) {
        s = answered(err);
    }
    if (s == AICP_OK) {
        s = write_entry(run, err);
    }
    if (s == AICP_OK && run->plan->resource->flags & AICPS_RULES) {
        s = aicps_rules_touch(run->call->db, err);
    }
    if (s == AICP_OK) {
        char etag[32];
        etag_text(run->own.row.version, etag);
        s = aicps_idempotency_finish(
            run->call, &run->once, run->change.after, run->own.stored ? etag : NULL, err);
    }
    return s;
}

static void send_failure(change_run *run, aicp_status s, const aicp_error *err) {
    aicps_call *call = run->call;
    if (call->own->answered) {
        return;
    }
    if (s == AICP_ERR_INVALID && aicps_has_field_errors(call)) {
        aicps_send_field_errors(call);
        return;
    }
    if (s == AICP_ERR_CONSTRAINT) {
        bool removed = run->change.before && !run->change.after;
        aicps_send_error(
            call,
            409,
            removed ? "in_use" : "already_exists",
            removed ? "%s is in use" : "%s clashes with one that exists",
            run->plan->resource->title);
        return;
    }
    if (call->db && aicpi_sql_commit_unknown(call->db)) {
        aicps_send_error(
            call,
            503,
            "outcome_unknown",
            "The database went away during the commit: look whether the change was made");
        return;
    }
    aicps_send_status(call, s, err);
}

/* Runs it; true when it is committed. */
static bool run_change(change_run *run) {
    aicp_error err = {0};
    aicp_status s =
        aicpi_sql_transact(run->call->db, run->call->req->deadline_ns, attempt, run, &err);
    if (s != AICP_OK) {
        send_failure(run, s, &err);
        return false;
    }
    if (!run->answer) {
        run->answer = json_object_get(run->change.after);
    }
    if (run->answer && run->plan->resource->decorate) {
        s = run->plan->resource->decorate(run->call, &run->answer, 1, &err);
        if (s != AICP_OK && !run->call->own->answered) {
            aicps_send_status(run->call, s, &err);
        }
    }
    if (run->plan->resource->committed && !run->once.replayed) {
        run->plan->resource->committed(&run->change, run->answer);
    }
    return !run->call->own->answered;
}

bool aicps_resource_change(
    aicps_call *call,
    const aicps_resource *resource,
    const char *action,
    aicpi_slice id,
    aicps_change_fn fn,
    void *user,
    struct json_object **answer) {
    const aicps_plan *plan = aicps_plan_of(call, resource);
    change_run run = {
        .call = call, .plan = plan, .action = action, .id = id, .fn = fn, .user = user};
    bool ok = aicps_idempotency_read(call, &run.once) && run_change(&run);
    if (ok) {
        if (run.once.replayed) {
            (void)aicps_http_add_header(call->res, "Idempotency-Replayed", "true");
            if (run.once.etag) {
                (void)aicps_http_add_header(call->res, "ETag", run.once.etag);
            }
        } else if (run.own.stored) {
            add_etag(call, plan, run.own.row.version);
        }
        *answer = json_object_get(run.answer);
    } else {
        *answer = NULL;
    }
    clear_change(&run);
    json_object_put(run.once.answer);
    return ok;
}

/* ---- verbs ---- */

static aicpi_slice id_param(const aicps_call *call) {
    return call->params[call->param_count - 1];
}

static aicp_status
load(aicps_call *call, const aicps_plan *plan, aicpi_slice id, aicps_row *row, aicp_error *err) {
    if (!plan->resource->source) {
        return aicps_row_load(call, plan, id, false, row, err);
    }
    *row = (aicps_row){0};
    return aicps_source_load(call, plan, id, &row->json, err);
}

struct json_object *
aicps_resource_load(aicps_call *call, const aicps_resource *resource, aicpi_slice id) {
    const aicps_plan *plan = aicps_plan_of(call, resource);
    aicps_row row;
    aicp_error err = {0};
    aicp_status s = load(call, plan, id, &row, &err);
    if (s == AICP_OK) {
        s = aicps_rows_decorate(call, plan, &row, 1, &err);
    }
    if (s == AICP_OK) {
        return row.json;
    }
    aicps_row_free(&row);
    if (!call->own->answered) {
        aicps_send_status(call, s, &err);
    }
    return NULL;
}

void aicps_get_handle(aicps_call *call) {
    const aicps_plan *plan = aicps_plan_of(call, call->route->data);
    aicps_row row;
    aicp_error err = {0};
    if (!aicps_parent_exists(call, plan)) {
        return;
    }
    aicp_status s = load(call, plan, id_param(call), &row, &err);
    if (s != AICP_OK) {
        if (!call->own->answered) {
            aicps_send_status(call, s, &err);
        }
        return;
    }
    if (allowed(call, call->route->action, plan, row.json)) {
        aicpi_slice none = aicps_http_header(call->req, "if-none-match");
        add_etag(call, plan, row.version);
        if (none.data && plan->version_index >= 0 && !plan->resource->decorate &&
            tag_listed(none, row.version, true)) {
            call->res->status = 304;
        } else if (aicps_rows_decorate(call, plan, &row, 1, &err) == AICP_OK) {
            aicps_send_json(call, 200, json_object_get(row.json));
        } else if (!call->own->answered) {
            aicps_send_status(call, AICP_ERR_STORE, &err);
        }
    }
    aicps_row_free(&row);
}

static void make_uuid(char out[37]) {
    unsigned char b[16];
    char hex[33];
    aicpi_random(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    aicpi_hex_encode(b, sizeof b, hex);
    (void)snprintf(
        out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* Id, parent and times of a new row. */
static aicp_status complete_new(aicps_change *change, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    aicps_call *call = change->call;
    struct json_object *row = change->after;
    char uuid[37];
    make_uuid(uuid);
    if (aicps_is_null(row, plan->id->field.name)) {
        aicps_set(row, plan->id->field.name, aicps_json_text(uuid));
    }
    if (plan->parent) {
        aicps_set(row, plan->parent->field.name, aicps_parent_value(call, plan));
    }
    int64_t now = aicps_now(call->api);
    static const char *const TIMES[] = {"created_at", "updated_at"};
    for (size_t i = 0; i < 2; i++) {
        if (aicps_plan_column(plan, TIMES[i], strlen(TIMES[i]))) {
            aicps_set(row, TIMES[i], aicps_json_time(now));
        }
    }
    aicpi_slice id = aicps_text(row, plan->id->field.name);
    change->id.data = aicpi_arena_strndup(call->arena, id.data, id.len);
    change->id.len = id.len;
    return change->id.data ? AICP_OK : aicpi_nomem(err);
}

static aicp_status create_row(aicps_change *change, void *user, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    if (json_object_deep_copy(user, &change->after, NULL) != 0) {
        return aicpi_nomem(err);
    }
    aicp_status s = complete_new(change, err);
    if (s == AICP_OK &&
        (!stays_seen(change) || !allowed(change->call, change->action, plan, change->after))) {
        return answered(err);
    }
    s = s == AICP_OK ? aicps_change_check(change, err) : s;
    s = s == AICP_OK ? aicps_resource_store(change, err) : s;
    return s == AICP_OK && plan->resource->apply ? plan->resource->apply(change, err) : s;
}

static aicp_status update_row(aicps_change *change, void *user, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    if (json_object_deep_copy(change->before, &change->after, NULL) != 0) {
        return aicpi_nomem(err);
    }
    json_object_object_foreach((struct json_object *)user, name, value) {
        struct json_object *copy = NULL;
        if (value && json_object_deep_copy(value, &copy, NULL) != 0) {
            return aicpi_nomem(err);
        }
        aicps_set(change->after, name, copy);
    }
    if (!stays_seen(change)) {
        return answered(err);
    }
    aicp_status s = aicps_change_check(change, err);
    s = s == AICP_OK ? aicps_resource_store(change, err) : s;
    return s == AICP_OK && plan->resource->apply ? plan->resource->apply(change, err) : s;
}

static aicp_status delete_row(aicps_change *change, void *user, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    (void)user;
    aicp_status s = aicps_change_check(change, err);
    if (s == AICP_OK && plan->resource->flags & AICPS_SOFT_DELETE) {
        if (json_object_deep_copy(change->before, &change->after, NULL) != 0) {
            return aicpi_nomem(err);
        }
        aicps_set(change->after, "is_active", json_object_new_boolean(0));
        s = aicps_resource_store(change, err);
    } else if (s == AICP_OK) {
        s = remove_row(change, err);
    }
    return s == AICP_OK && plan->resource->apply ? plan->resource->apply(change, err) : s;
}

/* The other system has defaults of its own: what was neither given nor has one of ours is left out.
 */
static void leave_out(const aicps_plan *plan, struct json_object *body, struct json_object *given) {
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_field *f = &plan->columns[i].field;
        if (!aicps_member(body, f->name) && !json_object_object_get_ex(given, f->name, NULL) &&
            !(f->alias && json_object_object_get_ex(given, f->alias, NULL))) {
            json_object_object_del(body, f->name);
        }
    }
}

/* Reads the body; NULL: errors are sent. */
static struct json_object *body_of(aicps_call *call, const aicps_plan *plan, bool partial) {
    if (partial && json_object_object_length(call->body) == 0) {
        aicps_send_error(call, 400, "nothing_to_update", "No fields to update");
        return NULL;
    }
    struct json_object *body =
        aicps_body_read(call, plan->columns, plan->column_count, call->body, partial);
    if (!aicps_has_field_errors(call)) {
        if (plan->resource->source) {
            leave_out(plan, body, call->body);
        }
        return body;
    }
    json_object_put(body);
    aicps_send_field_errors(call);
    return NULL;
}

/* Runs a verb over the table or the source. */
static bool change(
    aicps_call *call,
    const aicps_plan *plan,
    aicps_change_fn fn,
    aicpi_slice id,
    struct json_object *body,
    struct json_object **answer) {
    const char *action = call->route->action;
    *answer = NULL;
    if (!aicps_parent_exists(call, plan)) {
        return false;
    }
    if (plan->resource->source) {
        return aicps_source_change(call, plan, action, id, body, answer);
    }
    return aicps_resource_change(call, plan->resource, action, id, fn, body, answer);
}

void aicps_create_handle(aicps_call *call) {
    const aicps_plan *plan = aicps_plan_of(call, call->route->data);
    struct json_object *answer = NULL;
    struct json_object *body = body_of(call, plan, false);
    if (body && change(call, plan, create_row, aicpi_slice_of(NULL, 0), body, &answer)) {
        aicps_send_json(call, 200, answer);
        answer = NULL;
    }
    json_object_put(answer);
    json_object_put(body);
}

void aicps_update_handle(aicps_call *call) {
    const aicps_plan *plan = aicps_plan_of(call, call->route->data);
    struct json_object *answer = NULL;
    struct json_object *body = body_of(call, plan, true);
    if (body && change(call, plan, update_row, id_param(call), body, &answer)) {
        aicps_send_json(call, 200, answer);
        answer = NULL;
    }
    json_object_put(answer);
    json_object_put(body);
}

void aicps_delete_handle(aicps_call *call) {
    const aicps_plan *plan = aicps_plan_of(call, call->route->data);
    const char *status = plan->resource->delete_status;
    struct json_object *answer = NULL;
    if (change(call, plan, delete_row, id_param(call), NULL, &answer)) {
        struct json_object *o = json_object_new_object();
        aicps_set(o, "status", aicps_json_text(status ? status : "deleted"));
        aicps_send_json(call, 200, o);
    }
    json_object_put(answer);
}
