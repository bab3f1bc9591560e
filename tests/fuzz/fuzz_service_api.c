/* A call's query string (first line) and body (the rest): refused with field errors, or both can be
 * carried out by the store as they are; a cursor that was made is read again. */
#include "services/common/api/api_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const COLORS[] = {"red", "blue", NULL};
static const aicps_field FIELDS[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH},
    {.name = "color",
     .type = AICPS_ENUM,
     .flags = AICPS_FILTER | AICPS_SORT,
     .values = COLORS,
     .preset = "\"red\""},
    {.name = "size",
     .type = AICPS_INT,
     .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT,
     .alias = "extent"},
    {.name = "price", .type = AICPS_MONEY, .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT},
    {.name = "active", .type = AICPS_BOOL, .flags = AICPS_FILTER, .preset = "true"},
    {.name = "due", .type = AICPS_TIME, .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT},
    {.name = "slug", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .pattern = "[a-z0-9-]+"},
    {.name = "config", .type = AICPS_OBJECT, .flags = AICPS_NULLABLE},
    {.name = "tags", .type = AICPS_TEXTS, .flags = AICPS_NULLABLE | AICPS_FILTER},
    {.name = "any", .column = "anything", .type = AICPS_JSON, .flags = AICPS_NULLABLE},
    {.name = "token", .type = AICPS_TEXT, .flags = AICPS_NULLABLE | AICPS_SECRET},
};
static const aicps_resource THINGS = {
    .path = "/things",
    .type = "thing",
    .title = "Thing",
    .table = "things",
    .verbs = AICPS_CRUD,
    .fields = FIELDS,
    .field_count = sizeof FIELDS / sizeof *FIELDS,
};
static const char TABLE[] =
    "CREATE TABLE things (id TEXT PRIMARY KEY, name TEXT NOT NULL, color TEXT, size BIGINT,"
    " price BIGINT, active BIGINT, due BIGINT, slug TEXT, config TEXT, tags TEXT, anything TEXT,"
    " token TEXT, version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)";

static bool authenticate(aicps_call *call, const aicps_identity **who) {
    (void)call;
    (void)who;
    return true;
}

static bool
authorise(aicps_call *call, const char *action, const char *type, struct json_object *row) {
    (void)call;
    (void)action;
    (void)type;
    (void)row;
    return true;
}

static void must(bool ok) {
    if (!ok) {
        abort();
    }
}

static aicps_api *make_api(void) {
    static const unsigned char KEY[AICPI_KEY_SIZE] = {7};
    aicps_api *api = NULL;
    aicps_api_options o = {
        .store_url = "sqlite::memory:",
        .secret_key = KEY,
        .authenticate = authenticate,
        .authorise = authorise,
    };
    must(aicps_api_new(&o, &api, NULL) == AICP_OK);
    must(aicps_api_add_resource(api, &THINGS, NULL) == AICP_OK);
    return api;
}

/* "a=b&c=d", not decoded. */
static size_t split(const char *text, size_t len, aicps_http_pair *out, size_t max) {
    size_t n = 0;
    for (size_t at = 0; at < len && n < max; n++) {
        const char *amp = memchr(text + at, '&', len - at);
        size_t end = amp ? (size_t)(amp - text) : len;
        const char *eq = memchr(text + at, '=', end - at);
        size_t name = eq ? (size_t)(eq - text) : end;
        out[n].name = aicpi_slice_of(text + at, name - at);
        out[n].value = eq ? aicpi_slice_of(eq + 1, end - name - 1) : aicpi_slice_of(text + end, 0);
        at = end + 1;
    }
    return n;
}

static void run_query(aicps_call *call, const aicps_plan *plan) {
    static aicps_query query;
    aicps_row rows[3];
    size_t count = 0;
    int64_t total = 0;
    query = (aicps_query){0};
    if (!aicps_query_read(call, plan, false, &query)) {
        must(call->res->status == 422);
        return;
    }
    must(aicps_page_read(call, plan, &query, 3, rows, &count, NULL) == AICP_OK);
    must(aicps_count_read(call, plan, &query, &total, NULL) == AICP_OK);
    for (size_t i = 0; i < count; i++) {
        const char *cursor = aicps_cursor_make(call, &query, rows[i].json);
        must(cursor && aicps_cursor_read(call, aicpi_slice_cstr(cursor), &query));
        aicps_row_free(&rows[i]);
    }
}

static void run_body(aicps_call *call, const aicps_plan *plan, const char *data, size_t len) {
    struct json_object *body = NULL;
    aicpi_sql_stmt *q = NULL;
    if (aicps_json_parse(call->arena, data, len, 0, &body, NULL) != AICP_OK ||
        !json_object_is_type(body, json_type_object)) {
        json_object_put(body);
        return;
    }
    aicps_problem_reset(call);
    struct json_object *row = aicps_body_read(call, plan->columns, plan->column_count, body, false);
    if (!aicps_has_field_errors(call)) {
        aicps_set(row, "id", aicps_json_text("new"));
        aicps_set(row, "created_at", aicps_json_time(1));
        aicps_set(row, "updated_at", aicps_json_time(1));
        must(aicpi_sql_prepare(call->db, plan->insert, &q, NULL) == AICP_OK);
        int32_t at = 1;
        for (size_t i = 0; i < plan->column_count; i++) {
            const aicps_column *c = &plan->columns[i];
            struct json_object *v = aicps_member(row, c->field.name);
            must(aicps_value_bind(call, c, v, q, at++, NULL) == AICP_OK);
        }
        must(aicpi_sql_run(q, NULL) == AICP_OK);
        aicps_row stored;
        must(aicps_row_load(call, plan, AICPI_SLICE("new"), false, &stored, NULL) == AICP_OK);
        aicps_row_free(&stored);
        must(aicpi_sql_exec(call->db, "DELETE FROM things WHERE id = 'new'", NULL) == AICP_OK);
    } else {
        aicps_send_field_errors(call);
        must(call->res->status == 422 && call->res->body.len > 0);
    }
    json_object_put(row);
    json_object_put(body);
}

static aicps_worker *make_worker(aicps_api *api) {
    aicps_worker *w = aicps_api_worker_open(api);
    must(w && aicpi_sql_open("sqlite::memory:", 15, NULL, &w->db, NULL) == AICP_OK);
    must(aicpi_sql_exec(w->db, TABLE, NULL) == AICP_OK);
    must(
        aicpi_sql_exec(
            w->db,
            "INSERT INTO things VALUES ('1', 'a', 'red', 1, 5, 1, 7, NULL, '{}', '[\"x\"]',"
            " NULL, NULL, 1, 1, 1), ('2', 'b', NULL, NULL, NULL, 0, NULL, 's', NULL, NULL, '7',"
            " 'v1:', 3, 2, 2)",
            NULL) == AICP_OK);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static aicps_api *api;
    api = api ? api : make_api();
    aicps_worker *worker = make_worker(api);
    aicpi_arena arena;
    aicps_http_pair pairs[40];
    aicps_http_request req = {.arena = &arena, .worker = worker};
    aicps_http_response res = {.arena = &arena, .status = 200};
    aicps_call_own own = {.worker = worker};
    aicps_call call = {
        .api = api, .req = &req, .res = &res, .arena = &arena, .own = &own, .db = worker->db};
    const char *text = (const char *)data;
    const char *line = size ? memchr(text, '\n', size) : NULL;
    size_t first = line ? (size_t)(line - text) : size;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_strbuf_init(&res.body, NULL, AICPI_STRBUF_MAX);
    req.query = pairs;
    req.query_count = split(text, first, pairs, sizeof pairs / sizeof *pairs);
    run_query(&call, aicps_plan_by_path(api, "/things"));
    if (line) {
        run_body(&call, aicps_plan_by_path(api, "/things"), line + 1, size - first - 1);
    }
    json_object_put(own.fields);
    aicpi_strbuf_deinit(&res.body);
    aicpi_arena_deinit(&arena);
    aicps_api_worker_close(api, worker);
    return 0;
}
