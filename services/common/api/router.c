/* Method and path to route: a tree over segments. Literal segments win over parameters, parameters
 * over {name...}; a branch that does not end in a route of the method is left again. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

static const char *const METHODS[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
#define METHOD_COUNT (sizeof METHODS / sizeof *METHODS)
enum { METHOD_GET = 1u << 0, METHOD_HEAD = 1u << 1, METHOD_OPTIONS = 1u << 6 };

uint32_t aicps_method_bit(aicpi_slice method) {
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (aicpi_slice_is(method, METHODS[i])) {
            return 1u << i;
        }
    }
    return 0;
}

void aicps_methods_text(uint32_t methods, char *out) {
    methods |= (methods & METHOD_GET) ? METHOD_HEAD : 0;
    methods |= METHOD_OPTIONS;
    size_t n = 0;
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods & (1u << i)) {
            n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? ", " : "", METHODS[i]);
        }
    }
}

/* ---- building ---- */

static aicps_node *child_of(aicps_api *api, aicps_node *node, aicpi_slice segment) {
    bool param = segment.len > 0 && segment.data[0] == '{';
    if (param && node->param) {
        return node->param;
    }
    for (aicps_node *c = param ? NULL : node->literals; c; c = c->next) {
        if (aicpi_slice_eq(c->name, segment)) {
            return c;
        }
    }
    aicps_node *c = aicpi_arena_calloc(&api->arena, 1, sizeof *c);
    if (!c) {
        return NULL;
    }
    c->name = segment;
    if (param) {
        node->param = c;
    } else {
        c->next = node->literals;
        node->literals = c;
    }
    return c;
}

static const aicps_route *
of_method(const aicps_route *const *routes, size_t count, aicpi_slice method) {
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(method, routes[i]->method)) {
            return routes[i];
        }
    }
    return NULL;
}

static aicp_status
put_route(aicps_api *api, aicps_node *node, bool rest, const aicps_route *route, aicp_error *err) {
    const aicps_route ***list = rest ? &node->rest : &node->routes;
    size_t *count = rest ? &node->rest_count : &node->route_count;
    size_t *capacity = rest ? &node->rest_capacity : &node->route_capacity;
    if (of_method(*list, *count, aicpi_slice_cstr(route->method))) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "two routes for %s %s", route->method, route->pattern);
    }
    if (!aicpi_arena_grow(&api->arena, (void **)list, capacity, *count, sizeof **list)) {
        return aicpi_nomem(err);
    }
    (*list)[(*count)++] = route;
    return AICP_OK;
}

aicp_status aicps_router_add(aicps_api *api, const aicps_route *route, aicp_error *err) {
    if (!route->method || !route->pattern || route->pattern[0] != '/' || !route->handler ||
        !aicps_method_bit(aicpi_slice_cstr(route->method))) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "route %s: a known method, a pattern that begins with / and a handler are needed",
            route->pattern ? route->pattern : "?");
    }
    aicps_node *node = api->root;
    const char *p = route->pattern;
    bool rest = false;
    while (*p == '/' && p[1] && !rest) {
        size_t len = strcspn(p + 1, "/");
        aicpi_slice segment = {p + 1, len};
        p += len + 1;
        rest = len > 5 && segment.data[0] == '{' && memcmp(segment.data + len - 4, "...}", 4) == 0;
        if (!rest) {
            node = child_of(api, node, segment);
        }
        if (!node) {
            return aicpi_nomem(err);
        }
    }
    return put_route(api, node, rest, route, err);
}

/* ---- finding ---- */

typedef struct search {
    aicpi_slice method;
    const aicpi_slice *segments;
    size_t count;
    aicps_match match;
} search;

static void note(search *s, const aicps_route *const *routes, size_t count, size_t at) {
    s->match.known = s->match.known || count > 0;
    for (size_t i = 0; i < count; i++) {
        s->match.methods |= aicps_method_bit(aicpi_slice_cstr(routes[i]->method));
    }
    s->match.route = of_method(routes, count, s->method);
    s->match.segments = at;
}

/* Depth is bounded by the number of segments. */
static bool walk(search *s, const aicps_node *node, size_t at) {
    if (at == s->count) {
        note(s, node->routes, node->route_count, at);
        return s->match.route != NULL;
    }
    for (const aicps_node *c = node->literals; c; c = c->next) {
        if (aicpi_slice_eq(c->name, s->segments[at]) && walk(s, c, at + 1)) {
            return true;
        }
    }
    if (node->param && s->segments[at].len > 0 && walk(s, node->param, at + 1)) {
        return true;
    }
    if (node->rest_count > 0) {
        note(s, node->rest, node->rest_count, at);
    }
    return s->match.route != NULL;
}

aicps_match aicps_router_find(
    const aicps_api *api, aicpi_slice method, const aicpi_slice *segments, size_t count) {
    if (aicpi_slice_is(method, "HEAD")) {
        method = AICPI_SLICE("GET");
    }
    while (count > 0 && segments[count - 1].len == 0) {
        count--; /* a trailing slash */
    }
    search s = {.method = method, .segments = segments, .count = count};
    (void)walk(&s, api->root, 0);
    return s.match;
}

/* The rest of the path, its segments joined again. */
static bool
join(aicps_call *call, const aicpi_slice *segments, size_t from, size_t count, aicpi_slice *out) {
    size_t len = 0;
    for (size_t i = from; i < count; i++) {
        len += segments[i].len + 1;
    }
    char *text = aicpi_arena_alloc(call->arena, len + 1);
    if (!text) {
        return false;
    }
    size_t n = 0;
    for (size_t i = from; i < count; i++) {
        if (i > from) {
            text[n++] = '/';
        }
        memcpy(text + n, segments[i].data, segments[i].len);
        n += segments[i].len;
    }
    text[n] = '\0';
    *out = aicpi_slice_of(text, n);
    return true;
}

bool aicps_router_params(aicps_call *call, const aicpi_slice *segments, size_t count) {
    const char *p = call->route->pattern;
    while (count > 0 && segments[count - 1].len == 0) {
        count--;
    }
    size_t max = sizeof call->params / sizeof *call->params;
    for (size_t at = 0; *p == '/' && at < count; at++) {
        size_t len = strcspn(p + 1, "/");
        bool rest = len > 5 && p[1] == '{' && memcmp(p + 1 + len - 4, "...}", 4) == 0;
        if (p[1] == '{' && call->param_count < max) {
            aicpi_slice *out = &call->params[call->param_count++];
            if (!join(call, segments, at, rest ? count : at + 1, out)) {
                return false;
            }
        }
        p += len + 1;
    }
    return true;
}
