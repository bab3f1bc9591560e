/* The OpenAPI 3.1 document of all routes and resources. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define NAME_MAX_LEN 160

static void set_text(struct json_object *o, const char *name, const char *text) {
    aicps_set(o, name, aicps_json_text(text));
}

static struct json_object *child(struct json_object *o, const char *name) {
    struct json_object *v = aicps_member(o, name);
    if (!v) {
        v = json_object_new_object();
        aicps_set(o, name, v);
    }
    return v;
}

static struct json_object *parsed(const char *text) {
    aicpi_arena arena;
    struct json_object *v = NULL;
    aicpi_arena_init(&arena, NULL, 0, 0);
    (void)aicps_json_parse(&arena, text, strlen(text), 0, &v, NULL);
    aicpi_arena_deinit(&arena);
    return v;
}

/* "rate_limit" -> "RateLimit" + tail. */
static void schema_name(const char *type, const char *tail, char *out, size_t size) {
    size_t n = 0;
    bool up = true;
    for (; *type && n + 1 < size; type++) {
        if (*type == '_' || *type == '-') {
            up = true;
            continue;
        }
        out[n++] = (char)(up && *type >= 'a' && *type <= 'z' ? *type - 32 : *type);
        up = false;
    }
    (void)snprintf(out + n, size - n, "%s", tail);
}

static struct json_object *ref_to(const char *section, const char *name) {
    char text[NAME_MAX_LEN + 64];
    struct json_object *o = json_object_new_object();
    (void)snprintf(text, sizeof text, "#/components/%s/%s", section, name);
    set_text(o, "$ref", text);
    return o;
}

static struct json_object *array_of(struct json_object *items) {
    struct json_object *o = json_object_new_object();
    set_text(o, "type", "array");
    aicps_set(o, "items", items);
    return o;
}

/* A route's schema: JSON text, "#Name" or "#Name[]". NULL: an object of any kind. */
static struct json_object *schema_of(const char *text) {
    char name[NAME_MAX_LEN];
    if (!text) {
        return parsed("{\"description\":\"Any JSON value\"}");
    }
    if (text[0] != '#') {
        return parsed(text);
    }
    size_t len = strlen(text);
    bool list = len > 3 && strcmp(text + len - 2, "[]") == 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)(len - 1 - (list ? 2 : 0)), text + 1);
    struct json_object *ref = ref_to("schemas", name);
    return list ? array_of(ref) : ref;
}

static struct json_object *json_content(struct json_object *schema) {
    struct json_object *content = json_object_new_object();
    aicps_set(child(content, "application/json"), "schema", schema);
    return content;
}

/* ---- parameters ---- */

static void add_parameter(
    struct json_object *list,
    const char *name,
    const char *in,
    const char *doc,
    struct json_object *schema) {
    struct json_object *p = json_object_new_object();
    set_text(p, "name", name);
    set_text(p, "in", in);
    if (doc) {
        set_text(p, "description", doc);
    }
    aicps_set(p, "required", json_object_new_boolean(strcmp(in, "path") == 0));
    aicps_set(p, "schema", schema);
    (void)json_object_array_add(list, p);
}

static void add_path_parameters(struct json_object *list, const char *pattern) {
    for (const char *p = strchr(pattern, '{'); p; p = strchr(p + 1, '{')) {
        char name[64];
        size_t len = strcspn(p + 1, "}.");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, p + 1);
        add_parameter(list, name, "path", NULL, parsed("{\"type\":\"string\",\"minLength\":1}"));
    }
}

/* "limit:integer,team_id:string" */
static void add_documented(struct json_object *list, const char *doc) {
    while (doc && *doc) {
        char name[64];
        char type[32];
        size_t n = strcspn(doc, ":,");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, doc);
        doc += n;
        size_t t = *doc == ':' ? strcspn(doc + 1, ",") : 0;
        (void)snprintf(type, sizeof type, "%.*s", (int)t, *doc == ':' ? doc + 1 : "");
        doc += t + (*doc == ':');
        doc += *doc == ',';
        struct json_object *schema = json_object_new_object();
        set_text(schema, "type", type[0] ? type : "string");
        add_parameter(list, name, "query", NULL, schema);
    }
}

static bool has_order(aicps_type type) {
    return type == AICPS_INT || type == AICPS_DECIMAL || type == AICPS_MONEY || type == AICPS_TIME;
}

static void add_filters(struct json_object *list, const aicps_plan *plan) {
    static const char *const OPS[] = {"gte", "gt", "lte", "lt"};
    char name[NAME_MAX_LEN];
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_column *c = &plan->columns[i];
        if (!(c->field.flags & AICPS_FILTER) || c->field.flags & AICPS_SECRET) {
            continue;
        }
        struct json_object *any = c->field.type == AICPS_TEXTS ? parsed("{\"type\":\"string\"}")
                                                               : aicps_schema_field(c, true, true);
        struct json_object *values = array_of(any);
        aicps_set(values, "maxItems", json_object_new_int(AICPS_ANY_MAX));
        add_parameter(
            list, c->field.name, "query", "Only rows with this value; repeated: any of", values);
        for (size_t k = 0; has_order(c->field.type) && k < 4; k++) {
            (void)snprintf(name, sizeof name, "%s.%s", c->field.name, OPS[k]);
            add_parameter(list, name, "query", NULL, aicps_schema_field(c, true, true));
        }
        if (c->nullable) {
            (void)snprintf(name, sizeof name, "%s.null", c->field.name);
            add_parameter(list, name, "query", NULL, parsed("{\"type\":\"boolean\"}"));
        }
    }
    add_parameter(
        list,
        "q",
        "query",
        "Text that one of the searched fields contains",
        parsed("{\"type\":\"string\",\"maxLength\":64,\"pattern\":\"^[^\\\\u0000]*$\"}"));
    for (int i = 0; plan->resource == &aicps_audit_resource && i < 2; i++) {
        add_parameter(
            list,
            i ? "end_date" : "start_date",
            "query",
            i ? "Until this time, or the end of this day" : "From this time or day on",
            parsed("{\"type\":\"string\",\"pattern\":\"^20[0-9]{2}-0[1-9]-[01][1-9]$\"}"));
    }
}

/* One sortable field or two; the server takes up to four. */
static struct json_object *sort_schema(const aicps_plan *plan) {
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, NULL, (size_t)1 << 14);
    aicpi_strbuf_puts(&b, "^-?(");
    const char *bar = "";
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_column *c = &plan->columns[i];
        if (c == plan->id || c->field.flags & AICPS_SORT) {
            aicpi_strbuf_printf(&b, "%s%s", bar, c->field.name);
            bar = "|";
        }
    }
    aicpi_strbuf_puts(&b, ")$");
    struct json_object *schema = json_object_new_object();
    set_text(schema, "type", "string");
    if (!b.failed) {
        set_text(schema, "pattern", b.data);
    }
    aicpi_strbuf_deinit(&b);
    return schema;
}

static void add_list_parameters(struct json_object *list, const aicps_plan *plan) {
    char text[128];
    (void)snprintf(
        text,
        sizeof text,
        "{\"type\":\"integer\",\"minimum\":1,\"maximum\":%d,\"default\":%d}",
        AICPS_LIST_MAX,
        AICPS_LIST_DEFAULT);
    add_parameter(list, "limit", "query", "Most rows of a page", parsed(text));
    add_parameter(
        list,
        "offset",
        "query",
        "Rows to pass over; not together with cursor",
        parsed("{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000000}"));
    add_parameter(
        list,
        "sort",
        "query",
        "Field, - before it for descending; up to four, separated by commas",
        sort_schema(plan));
    add_parameter(
        list,
        "format",
        "query",
        "csv: all rows, as a file",
        parsed("{\"type\":\"string\",\"enum\":[\"json\",\"csv\"]}"));
    add_filters(list, plan);
}

static void add_facet_parameters(struct json_object *list, const aicps_plan *plan) {
    struct json_object *names = json_object_new_array();
    for (size_t i = 0; i < plan->column_count; i++) {
        if (plan->columns[i].field.flags & AICPS_FACET) {
            (void)json_object_array_add(names, aicps_json_text(plan->columns[i].field.name));
        }
    }
    struct json_object *schema = parsed("{\"type\":\"string\"}");
    if (json_object_array_length(names) > 0) {
        aicps_set(schema, "enum", names);
    } else {
        json_object_put(names);
    }
    add_parameter(list, "fields", "query", "Fields, separated by commas", schema);
    struct json_object *fields =
        json_object_array_get_idx(list, json_object_array_length(list) - 1);
    aicps_set(fields, "required", json_object_new_boolean(1));
    add_filters(list, plan);
}

/* ---- answers ---- */

static struct json_object *answer(const char *doc, struct json_object *schema) {
    struct json_object *o = json_object_new_object();
    set_text(o, "description", doc);
    if (schema) {
        aicps_set(o, "content", json_content(schema));
    }
    return o;
}

static void add_header(struct json_object *response, const char *name, const char *type) {
    struct json_object *schema = json_object_new_object();
    set_text(schema, "type", type);
    aicps_set(child(child(response, "headers"), name), "schema", schema);
}

static void
add_errors(struct json_object *responses, const aicps_route *r, const aicps_plan *plan) {
    static const struct {
        const char *status;
        uint32_t not_with; /* flags of the route that rule it out */
    } ERRORS[] = {
        {"400", 0},
        {"401", AICPS_PUBLIC},
        {"403", AICPS_PUBLIC},
        {"404", 0},
        {"409", 0},
        {"412", 0},
        {"413", AICPS_NO_BODY},
        {"415", AICPS_NO_BODY},
        {"422", 0},
        {"429", 0},
        {"503", 0},
    };
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        if (!(r->flags & ERRORS[i].not_with)) {
            aicps_set(responses, ERRORS[i].status, ref_to("responses", "Problem"));
        }
    }
    if (!plan || plan->resource->source) {
        aicps_set(responses, "502", ref_to("responses", "Problem"));
    }
    aicps_set(responses, "default", ref_to("responses", "Problem"));
}

static const char *const FACETS_SCHEMA =
    "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"array\",\"items\":{\"type\":"
    "\"object\",\"properties\":{\"value\":{},\"count\":{\"type\":\"integer\"}},\"required\":"
    "[\"value\",\"count\"]}}}";

/* The answer and the special parameters of a verb that came with a resource. */
static struct json_object *
verb_answer(struct json_object *parameters, const aicps_route *r, const aicps_plan *plan) {
    char name[NAME_MAX_LEN];
    schema_name(plan->resource->type, "", name, sizeof name);
    struct json_object *o = NULL;
    bool versions = plan->version_index >= 0;
    if (r->handler == aicps_list_handle) {
        add_list_parameters(parameters, plan);
        o = answer("The rows", array_of(ref_to("schemas", name)));
        aicps_set(
            child(aicps_member(o, "content"), "text/csv"),
            "schema",
            parsed("{\"type\":\"string\"}"));
        add_header(o, "X-Total-Count", "integer");
        add_header(o, "X-Total-Count-Exact", "string");
        add_header(o, "Link", "string");
        return o;
    }
    if (r->handler == aicps_facets_handle) {
        add_facet_parameters(parameters, plan);
        return answer("Values and how often they come", parsed(FACETS_SCHEMA));
    }
    if (r->handler == aicps_delete_handle) {
        return answer(
            "It is gone",
            parsed("{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\"}},"
                   "\"required\":[\"status\"]}"));
    }
    o = answer("The row", ref_to("schemas", name));
    if (versions) {
        add_header(o, "ETag", "string");
    }
    return o;
}

static void
add_condition(struct json_object *parameters, const aicps_route *r, const aicps_plan *p) {
    if (r->handler == aicps_create_handle) {
        add_parameter(
            parameters,
            "Idempotency-Key",
            "header",
            "The same key and body have one effect within 24 hours",
            parsed("{\"type\":\"string\",\"pattern\":\"^[!-~]{1,255}$\"}"));
    }
    if (p->version_index < 0) {
        return;
    }
    if (r->handler == aicps_update_handle || r->handler == aicps_delete_handle) {
        add_parameter(
            parameters,
            "If-Match",
            "header",
            "The ETag that was read; 412 when the row was changed meanwhile",
            parsed("{\"type\":\"string\",\"pattern\":\"^\\\"[0-9]{1,18}\\\"$\"}"));
    }
}

static void add_body(struct json_object *op, const aicps_route *r, const aicps_plan *plan) {
    bool writes = strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0;
    struct json_object *schema = NULL;
    char name[NAME_MAX_LEN];
    if (!writes || r->flags & (AICPS_NO_BODY | AICPS_RAW_BODY)) {
        return;
    }
    if (plan && r->handler == aicps_create_handle) {
        schema_name(plan->resource->type, "Create", name, sizeof name);
        schema = ref_to("schemas", name);
    } else if (plan && r->handler == aicps_update_handle) {
        schema_name(plan->resource->type, "Update", name, sizeof name);
        schema = ref_to("schemas", name);
    } else if (r->body && !r->request_schema) {
        schema = aicps_schema_route(r);
    } else {
        schema = r->request_schema ? schema_of(r->request_schema) : parsed("{\"type\":\"object\"}");
    }
    struct json_object *body = json_object_new_object();
    aicps_set(body, "required", json_object_new_boolean(!(r->flags & AICPS_BODY_OPTIONAL)));
    aicps_set(body, "content", json_content(schema));
    aicps_set(op, "requestBody", body);
}

/* ---- operations ---- */

static void operation_id(const aicps_route *r, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "%s", r->method);
    for (size_t i = 0; i < n; i++) {
        out[i] = aicpi_lower(out[i]);
    }
    for (const char *p = r->pattern; *p && n + 2 < size; p++) {
        if (aicpi_is_alnum(*p)) {
            out[n++] = *p;
        } else if (out[n - 1] != '_') {
            out[n++] = '_';
        }
    }
    while (n > 1 && out[n - 1] == '_') {
        n--;
    }
    out[n] = '\0';
}

/* "/a/{rest...}" -> "/a/{rest}" */
static void path_text(const char *pattern, char *out, size_t size) {
    size_t n = 0;
    for (const char *p = pattern; *p && n + 1 < size; p++) {
        if (strncmp(p, "...}", 4) == 0) {
            p += 3;
        }
        out[n++] = *p;
    }
    out[n] = '\0';
}

static bool is_verb(const aicps_route *r) {
    return r->handler == aicps_list_handle || r->handler == aicps_facets_handle ||
           r->handler == aicps_get_handle || r->handler == aicps_create_handle ||
           r->handler == aicps_update_handle || r->handler == aicps_delete_handle;
}

static const aicps_plan *plan_of_route(const aicps_api *api, const aicps_route *r) {
    for (size_t i = 0; is_verb(r) && i < api->plan_count; i++) {
        if (api->plans[i]->resource == r->data) {
            return api->plans[i];
        }
    }
    return NULL;
}

static void add_operation(struct json_object *paths, const aicps_api *api, const aicps_route *r) {
    char path[256];
    char id[NAME_MAX_LEN];
    char method[16];
    const aicps_plan *plan = plan_of_route(api, r);
    path_text(r->pattern, path, sizeof path);
    operation_id(r, id, sizeof id);
    (void)snprintf(method, sizeof method, "%s", r->method);
    for (char *c = method; *c; c++) {
        *c = aicpi_lower(*c);
    }
    struct json_object *op = child(child(paths, path), method);
    struct json_object *parameters = json_object_new_array();
    struct json_object *responses = json_object_new_object();
    set_text(op, "operationId", id);
    if (r->summary) {
        set_text(op, "summary", r->summary);
    }
    if (r->resource_type) {
        struct json_object *tags = json_object_new_array();
        (void)json_object_array_add(tags, aicps_json_text(r->resource_type));
        aicps_set(op, "tags", tags);
    }
    if (r->flags & AICPS_PUBLIC) {
        aicps_set(op, "security", json_object_new_array());
    }
    add_path_parameters(parameters, r->pattern);
    add_documented(parameters, r->query_doc);
    if (plan) {
        aicps_set(responses, "200", verb_answer(parameters, r, plan));
        add_condition(parameters, r, plan);
    } else {
        struct json_object *done = answer("Done", schema_of(r->response_schema));
        if (r->data == &aicps_audit_resource && !r->response_schema) { /* its export */
            aicps_set(
                child(aicps_member(done, "content"), "text/csv"),
                "schema",
                parsed("{\"type\":\"string\"}"));
        }
        aicps_set(responses, "200", done);
    }
    add_body(op, r, plan);
    add_errors(responses, r, plan);
    aicps_set(op, "parameters", parameters);
    aicps_set(op, "responses", responses);
}

/* ---- the document ---- */

static const char *const PROBLEM =
    "{\"type\":\"object\",\"required\":[\"detail\",\"type\",\"title\",\"status\",\"errors\"],"
    "\"properties\":{\"detail\":{\"description\":\"A sentence, or FastAPI's list of field errors\","
    "\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\"},{\"type\":\"array\",\"items\":{"
    "\"type\":"
    "\"object\",\"required\":[\"type\",\"loc\",\"msg\"],\"properties\":{\"type\":{\"type\":"
    "\"string\"},\"loc\":{\"type\":\"array\"},\"msg\":{\"type\":\"string\"}}}}]},\"type\":{"
    "\"type\":"
    "\"string\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"errors\":{"
    "\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"field\",\"message\"],"
    "\"properties\":{\"field\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}},"
    "\"request_id\":{\"type\":\"string\"}}}";

static void add_components(struct json_object *doc, const aicps_api *api) {
    struct json_object *components = child(doc, "components");
    struct json_object *schemas = child(components, "schemas");
    char name[NAME_MAX_LEN];
    aicps_set(schemas, "Problem", parsed(PROBLEM));
    aicps_set(
        child(components, "responses"),
        "Problem",
        answer("What went wrong", ref_to("schemas", "Problem")));
    aicps_set(
        child(components, "securitySchemes"),
        "bearer",
        parsed("{\"type\":\"http\",\"scheme\":\"bearer\"}"));
    for (size_t i = 0; i < api->plan_count; i++) {
        const aicps_plan *p = api->plans[i];
        schema_name(p->resource->type, "", name, sizeof name);
        aicps_set(schemas, name, aicps_schema_row(p));
        if (p->resource->verbs & AICPS_CREATE) {
            schema_name(p->resource->type, "Create", name, sizeof name);
            aicps_set(schemas, name, aicps_schema_body(p, false));
        }
        if (p->resource->verbs & AICPS_UPDATE) {
            schema_name(p->resource->type, "Update", name, sizeof name);
            aicps_set(schemas, name, aicps_schema_body(p, true));
        }
    }
}

aicp_status aicps_api_openapi(aicps_api *api, aicpi_strbuf *out, aicp_error *err) {
    struct json_object *doc = json_object_new_object();
    set_text(doc, "openapi", "3.1.0");
    struct json_object *info = child(doc, "info");
    set_text(info, "title", api->options.title ? api->options.title : "API");
    set_text(info, "version", api->options.version ? api->options.version : "0");
    aicps_set(doc, "security", parsed("[{\"bearer\":[]}]"));
    struct json_object *paths = child(doc, "paths");
    for (size_t i = 0; i < api->route_count; i++) {
        add_operation(paths, api, api->routes[i]);
    }
    add_components(doc, api);
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    if (text) {
        aicpi_strbuf_append(out, text, len);
    }
    json_object_put(doc);
    return text && !out->failed ? AICP_OK : aicpi_nomem(err);
}

void aicps_openapi_handle(aicps_call *call) {
    aicp_error err = {0};
    aicpi_strbuf_clear(&call->res->body);
    aicp_status s = aicps_api_openapi(call->api, &call->res->body, &err);
    if (s != AICP_OK) {
        aicps_send_status(call, s, &err);
    }
}
