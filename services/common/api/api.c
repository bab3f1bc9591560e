/* The way of a call, and the objects it needs. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define STORE_PAUSE_NS (uint64_t) AICPI_SECOND_NS

/* ---- the api ---- */

aicp_status aicps_api_new(const aicps_api_options *options, aicps_api **out, aicp_error *err) {
    aicp_allocator a = aicpi_allocator(options->allocator);
    *out = NULL;
    if (!options->authenticate || !options->authorise || !options->store_url) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "authenticate, authorise and store_url are needed");
    }
    aicps_api *api = aicpi_calloc(&a, 1, sizeof *api);
    if (!api) {
        return aicpi_nomem(err);
    }
    api->allocator = a;
    api->options = *options;
    api->clock = aicpi_clock(options->clock);
    aicpi_arena_init(&api->arena, &a, (size_t)1 << 14, 0);
    if (options->secret_key) {
        memcpy(api->key, options->secret_key, sizeof api->key);
        api->has_key = true;
    }
    api->kind = strncmp(options->store_url, "sqlite:", 7) ? AICPI_SQL_POSTGRES : AICPI_SQL_SQLITE;
    api->store_url = aicpi_strndup(&a, options->store_url, strlen(options->store_url));
    api->root = aicpi_arena_calloc(&api->arena, 1, sizeof *api->root);
    if (!api->store_url || !api->root) {
        aicps_api_free(api);
        return aicpi_nomem(err);
    }
    static const aicps_route DOCUMENT = {
        .method = "GET",
        .pattern = "/openapi.json",
        .handler = aicps_openapi_handle,
        .flags = AICPS_PUBLIC | AICPS_NO_STORE | AICPS_DRAINING,
        .summary = "This document",
        .response_schema = "{\"type\":\"object\"}",
    };
    aicp_status s = aicps_api_add_routes(api, &DOCUMENT, 1, err);
    if (s != AICP_OK) {
        aicps_api_free(api);
        return s;
    }
    *out = api;
    return AICP_OK;
}

void aicps_api_free(aicps_api *api) {
    if (!api) {
        return;
    }
    for (size_t i = 0; i < api->plan_count; i++) {
        aicps_plan_free(api->plans[i]);
    }
    aicp_allocator a = api->allocator;
    aicpi_wipe(api->key, sizeof api->key);
    aicpi_free(&a, api->store_url);
    aicpi_free(&a, (void *)api->plans);
    aicpi_free(&a, (void *)api->routes);
    aicpi_arena_deinit(&api->arena);
    aicpi_free(&a, api);
}

aicp_status
aicps_api_add_routes(aicps_api *api, const aicps_route *routes, size_t count, aicp_error *err) {
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < count && s == AICP_OK; i++) {
        if (!aicpi_grow(
                &api->allocator,
                (void **)&api->routes,
                &api->route_capacity,
                api->route_count,
                sizeof *api->routes)) {
            return aicpi_nomem(err);
        }
        s = aicps_router_add(api, &routes[i], err);
        if (s == AICP_OK) {
            api->routes[api->route_count++] = &routes[i];
        }
    }
    return s;
}

aicp_status
aicps_api_add_resource(aicps_api *api, const aicps_resource *resource, aicp_error *err) {
    if (!aicpi_grow(
            &api->allocator,
            (void **)&api->plans,
            &api->plan_capacity,
            api->plan_count,
            sizeof *api->plans)) {
        return aicpi_nomem(err);
    }
    aicps_plan *plan = NULL;
    aicp_status s = aicps_plan_new(api, resource, &plan, err);
    if (!plan) {
        return s;
    }
    api->plans[api->plan_count++] = plan; /* also a failed one: its patterns are freed there */
    return s == AICP_OK ? aicps_api_add_routes(api, plan->routes, plan->route_count, err) : s;
}

size_t aicps_api_routes(const aicps_api *api, const aicps_route *const **out) {
    *out = api->routes;
    return api->route_count;
}

const char *aicps_api_route_name(aicps_api *api, const aicps_http_request *request) {
    (void)api;
    return request->route ? request->route : "";
}

int64_t aicps_now(const aicps_api *api) {
    return aicpi_wall_ns(&api->clock) / 1000 * 1000;
}

/* ---- workers ---- */

static void forget_store(aicps_worker *w) {
    aicpi_sql_free(w->db);
    w->db = NULL;
    aicpi_map_deinit(&w->interned);
    aicpi_map_init(&w->interned, &w->api->allocator);
    aicpi_arena_reset(&w->texts);
}

static aicp_status open_store(aicps_worker *w, aicp_error *err) {
    /* Statements live as long as their connection: now and then both begin anew, so that filters in
     * ever new combinations cannot fill the memory. */
    if (w->db && w->interned.count > AICPS_SQL_TEXTS) {
        forget_store(w);
    }
    if (w->db) {
        return AICP_OK;
    }
    aicpi_sql_options o = {.allocator = &w->api->allocator, .clock = w->api->options.clock};
    return aicpi_sql_open(w->api->store_url, strlen(w->api->store_url), &o, &w->db, err);
}

void *aicps_api_worker_open(void *user) {
    aicps_api *api = user;
    aicps_worker *w = aicpi_calloc(&api->allocator, 1, sizeof *w);
    if (w) {
        w->api = api;
        aicpi_arena_init(&w->texts, &api->allocator, 0, 0);
        aicpi_map_init(&w->interned, &api->allocator);
    }
    return w;
}

void aicps_api_worker_close(void *user, void *worker) {
    aicps_api *api = user;
    aicps_worker *w = worker;
    if (w) {
        forget_store(w);
        aicpi_map_deinit(&w->interned);
        aicpi_arena_deinit(&w->texts);
        aicpi_free(&api->allocator, w);
    }
}

/* ---- what the server asks before a worker has the request ---- */

static const aicps_route *route_of(const aicps_api *api, aicpi_slice method, aicpi_slice path) {
    aicpi_slice segments[AICPS_HTTP_SEGMENTS_MAX];
    size_t n = 0;
    for (size_t at = 1; at <= path.len && n < AICPS_HTTP_SEGMENTS_MAX; n++) {
        const char *slash = path.len > at ? memchr(path.data + at, '/', path.len - at) : NULL;
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        segments[n] = aicpi_slice_of(path.data + at, end - at);
        at = end + 1;
    }
    return aicps_router_find(api, method, segments, n).route;
}

bool aicps_api_is_inline(void *api, aicpi_slice method, aicpi_slice path) {
    const aicps_route *r = route_of(api, method, path);
    return r && r->flags & AICPS_INLINE;
}

size_t aicps_api_body_max(void *api, aicpi_slice method, aicpi_slice path) {
    const aicps_route *r = route_of(api, method, path);
    return r ? r->body_max : 0;
}

/* ---- steps of the way ---- */

static bool add_cors(aicps_call *call) {
    aicpi_slice origin = aicps_http_header(call->req, "origin");
    const char *const *allowed = call->api->options.cors_origins;
    for (size_t i = 0; origin.len > 0 && allowed && allowed[i]; i++) {
        if (!aicpi_slice_is(origin, allowed[i])) {
            continue;
        }
        (void)aicps_http_add_header(call->res, "Access-Control-Allow-Origin", allowed[i]);
        (void)aicps_http_add_header(call->res, "Access-Control-Allow-Credentials", "true");
        (void)aicps_http_add_header(call->res, "Vary", "Origin");
        (void)aicps_http_add_header(
            call->res,
            "Access-Control-Expose-Headers",
            "ETag, Link, X-Total-Count, X-Total-Count-Exact, X-Request-Id, Retry-After");
        return true;
    }
    return false;
}

static void answer_options(aicps_call *call, uint32_t methods, bool cors) {
    char text[64];
    aicps_methods_text(methods, text);
    (void)aicps_http_add_header(call->res, "Allow", text);
    if (cors) {
        (void)aicps_http_add_header(
            call->res, "Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS");
        (void)aicps_http_add_header(
            call->res,
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type, X-Requested-With, If-Match, Idempotency-Key");
        (void)aicps_http_add_header(call->res, "Access-Control-Max-Age", "600");
    }
    call->res->status = 204;
}

/* Route and parameters; or the answer for a path or method that is not there. */
static bool step_route(aicps_call *call, bool cors) {
    aicps_http_request *req = call->req;
    aicps_match m = aicps_router_find(call->api, req->method, req->segments, req->segment_count);
    call->route = m.route;
    if (m.route) {
        req->route = m.route->pattern;
        if (!aicps_router_params(call, req->segments, req->segment_count)) {
            aicps_send_status(call, AICP_ERR_NOMEM, NULL);
            return false;
        }
        return true;
    }
    if (!m.known) {
        aicps_send_error(call, 404, "not_found", "Not Found");
    } else if (aicpi_slice_is(req->method, "OPTIONS")) {
        answer_options(call, m.methods, cors);
    } else {
        char text[64];
        aicps_methods_text(m.methods, text);
        (void)aicps_http_add_header(call->res, "Allow", text);
        aicps_send_error(call, 405, "method_not_allowed", "Method Not Allowed");
    }
    return false;
}

static bool step_open(aicps_call *call) {
    const aicps_api_options *o = &call->api->options;
    const char *closed =
        o->closed && !(call->route->flags & AICPS_DRAINING) ? o->closed(call) : NULL;
    if (closed) {
        (void)aicps_http_add_header(call->res, "Retry-After", "5");
        aicps_send_error(call, 503, "closed", "%s", closed);
        return false;
    }
    return true;
}

static bool step_store(aicps_call *call) {
    aicps_worker *w = call->req->worker;
    call->own->worker = w;
    if (call->route->flags & AICPS_INLINE || !w) {
        return true;
    }
    aicp_error err = {0};
    bool needed = !(call->route->flags & AICPS_NO_STORE);
    uint64_t now = aicpi_monotonic_ns(&call->api->clock);
    if (!needed && !w->db && w->failed_ns && now - w->failed_ns < STORE_PAUSE_NS) {
        return true; /* it can do without, and shall not wait for a store that is away */
    }
    aicp_status s = open_store(w, &err);
    w->failed_ns = s == AICP_OK ? 0 : now;
    call->db = w->db;
    if (s != AICP_OK && needed) {
        aicps_send_status(call, s, &err);
        return false;
    }
    return true;
}

static bool step_who(aicps_call *call) {
    const aicps_api_options *o = &call->api->options;
    if (call->route->flags & AICPS_PUBLIC) {
        return true;
    }
    if (!o->authenticate(call, &call->who)) {
        return false;
    }
    if (!call->who) {
        (void)aicps_http_add_header(call->res, "WWW-Authenticate", "Bearer");
        aicps_send_error(call, 401, "not_authenticated", "Not authenticated");
        return false;
    }
    const char *id = call->who->id ? call->who->id : "";
    call->req->who = aicpi_arena_strndup(call->req->kept, id, strlen(id));
    bool service = call->who->role && strcmp(call->who->role, "service") == 0;
    if (call->route->flags & AICPS_SERVICE && !service) {
        aicps_send_error(call, 403, "forbidden", "A service key is needed");
        return false;
    }
    return true;
}

static bool is_json_type(aicpi_slice t) {
    size_t n = 0;
    while (n < t.len && t.data[n] != ';' && t.data[n] != ' ' && t.data[n] != '\t') {
        n++;
    }
    return aicpi_slice_is_nocase(aicpi_slice_of(t.data, n), "application/json");
}

static bool read_body(aicps_call *call) {
    aicpi_slice body = call->req->body;
    aicp_error err = {0};
    if (!is_json_type(aicps_http_header(call->req, "content-type"))) {
        aicps_send_error(
            call, 415, "unsupported_media_type", "Content-Type must be application/json");
        return false;
    }
    aicp_status s = aicps_json_parse(call->arena, body.data, body.len, 0, &call->body, &err);
    if (s == AICP_ERR_NOMEM) {
        aicps_send_status(call, s, &err);
    } else if (s != AICP_OK) {
        aicps_send_error(
            call,
            422,
            "malformed_json",
            "Body is not valid JSON: line %u, column %u: %s",
            (unsigned)err.line,
            (unsigned)err.column,
            err.message);
    } else if (!json_object_is_type(call->body, json_type_object)) {
        aicps_send_error(call, 422, "malformed_json", "Body must be a JSON object");
        s = AICP_ERR_INVALID;
    }
    return s == AICP_OK;
}

static bool step_body(aicps_call *call) {
    uint32_t flags = call->route->flags;
    bool writes = strcmp(call->route->method, "POST") == 0 ||
                  strcmp(call->route->method, "PUT") == 0 ||
                  strcmp(call->route->method, "PATCH") == 0;
    if (flags & AICPS_RAW_BODY) {
        return true;
    }
    if (flags & AICPS_NO_BODY) {
        if (call->req->body.len > 0) {
            aicps_send_error(call, 400, "unexpected_body", "This call takes no body");
        }
        return call->req->body.len == 0;
    }
    if (!writes) {
        return true;
    }
    if (call->req->body.len > 0) {
        return read_body(call);
    }
    if (flags & AICPS_BODY_OPTIONAL) {
        call->body = json_object_new_object();
        return true;
    }
    aicps_query_error(call, "body", "a JSON object is required");
    aicps_send_field_errors(call);
    return false;
}

static bool step_allowed(aicps_call *call) {
    const aicps_route *r = call->route;
    if (r->flags & AICPS_PUBLIC || !r->action ||
        call->api->options.authorise(call, r->action, r->resource_type, NULL)) {
        return true;
    }
    aicps_send_forbidden(call, r->action, r->resource_type);
    return false;
}

void aicps_api_handle(void *user, aicps_http_request *request, aicps_http_response *response) {
    aicps_api *api = user;
    aicps_call_own own = {0};
    aicps_call call = {
        .api = api,
        .req = request,
        .res = response,
        .arena = request->arena,
        .app = api->options.app,
        .own = &own,
    };
    bool cors = add_cors(&call);
    if (step_route(&call, cors) && step_store(&call) && step_open(&call) && step_who(&call) &&
        (!api->options.throttle || api->options.throttle(&call)) && step_body(&call) &&
        step_allowed(&call)) {
        call.route->handler(&call);
    }
    json_object_put(call.body);
    json_object_put(own.fields);
}
