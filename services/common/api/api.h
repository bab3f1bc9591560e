/* The way of an API request, after the server read it:
 *
 *     route -> authenticate -> throttle -> body -> authorise -> handler -> answer
 *
 * Read aicps_api_handle() in api.c: it is that list. Services give the routes (their resources give
 * most of them, see resource.h) and the hooks.
 */
#ifndef AICPS_API_API_H
#define AICPS_API_API_H

#include "services/common/http/http.h"

#include "lib/sql/sql.h"

#include <json-c/json.h>

typedef struct aicps_api aicps_api;
typedef struct aicps_call aicps_call;

/* Who calls. Made by the authenticate hook in the call's arena. */
typedef struct aicps_org_role {
    const char *org; /* organization id */
    const char *role;
} aicps_org_role;

typedef struct aicps_identity {
    const char *id;      /* "admin" for the master key */
    const char *email;   /* may be NULL */
    const char *role;    /* "admin" | "user" | "service" */
    const char *team;    /* may be NULL */
    const char *org;     /* may be NULL */
    const char *session; /* jti; NULL for service keys */
    bool platform_admin;
    const aicps_org_role *org_roles;
    size_t org_role_count;
} aicps_identity;

/* Flags of a route. */
enum {
    AICPS_PUBLIC = 1u << 0,   /* no identity needed */
    AICPS_SERVICE = 1u << 1,  /* a service key, and nothing else, opens it */
    AICPS_NO_BODY = 1u << 2,  /* a body is refused with 400 */
    AICPS_RAW_BODY = 1u << 3, /* handler reads req->body itself; else it must be a JSON object */
    AICPS_INLINE = 1u << 4,   /* quick, never blocks: runs on the I/O thread */
    AICPS_NO_STORE = 1u << 5, /* works without the store; others get 503 while it is away */
    AICPS_DRAINING = 1u << 6, /* answered while shutting down and in maintenance */
    AICPS_BODY_OPTIONAL = 1u << 7, /* no body is the same as {} */
    AICPS_PARTIAL = 1u << 8,       /* fields of `body` that are not given stay away: no presets */
};

/* One endpoint. Static tables. */
typedef struct aicps_route {
    const char *method;
    const char *pattern; /* "/api/v1/rate-limits/{id}/clear"; "{name...}" takes the rest of the
                            path. Literal segments win over parameters. */
    void (*handler)(aicps_call *call);
    uint32_t flags;
    const char *action;          /* for the platform's Cedar policies: "list", "update", "assign" */
    const char *resource_type;   /* "rate_limit"; the same word as in the audit log */
    const char *summary;         /* OpenAPI */
    const char *request_schema;  /* OpenAPI schema as JSON text; "#RateLimit" = the rows of type
                                     "rate_limit", "#RateLimit[]" = a list of them; may be NULL */
    const char *response_schema; /* same */
    const char *query_doc; /* "limit:integer,team_id:string": extra query parameters; may be NULL */
    const void *data;      /* the resource that made the route, or the handler's own */
    size_t body_max;       /* 0 = the server's */
    const struct aicps_field *body; /* fields of the body, for aicps_route_body; for OpenAPI where
                                       request_schema does not say more */
    size_t body_count;
} aicps_route;

struct aicps_call {
    aicps_api *api;
    const aicps_route *route;
    aicps_http_request *req;
    aicps_http_response *res;
    aicpi_arena *arena;
    aicpi_sql *db;             /* this worker's connection to the store; NULL on inline routes */
    void *app;                 /* the service's state */
    const aicps_identity *who; /* NULL on public routes without credentials */
    struct json_object *body;  /* parsed object, or NULL; the frame puts it back */
    aicpi_slice params[8];     /* path parameters in the order of the pattern, decoded, NUL-ended */
    size_t param_count;
    struct aicps_call_own *own; /* the frame's */
};

typedef struct aicps_api_options {
    const aicp_allocator *allocator;
    void *app;
    const char *store_url;
    const char *title; /* OpenAPI */
    const char *version;
    const unsigned char *secret_key; /* AICPI_KEY_SIZE bytes, copied; NULL: no secret can be stored
                                        (503) */
    const char *const *cors_origins; /* "https://ui.example", NULL-terminated, borrowed; or NULL */
    const aicp_clock *clock;         /* NULL = the system's */
    /* Gives the identity, or answers (401 with WWW-Authenticate, 503) and returns false. */
    bool (*authenticate)(aicps_call *call, const aicps_identity **who);
    /* May `who` do `action` on this type? `row` (may be NULL) is the object concerned, with its
     * "id", "org_id", "team_id". Answers nothing itself. */
    bool (*authorise)(
        aicps_call *call, const char *action, const char *resource_type, struct json_object *row);
    /* Per-caller limit; answers 429 and returns false. */
    bool (*throttle)(aicps_call *call);
    /* Maintenance mode: a sentence to refuse with (503), or NULL. */
    const char *(*closed)(aicps_call *call);
    aicp_log_fn log;
    void *log_user;
} aicps_api_options;

aicp_status aicps_api_new(const aicps_api_options *options, aicps_api **out, aicp_error *err);
void aicps_api_free(aicps_api *api);
/* Before serving. Tables are borrowed. ERR_INVALID for two routes of one method and pattern. */
aicp_status
aicps_api_add_routes(aicps_api *api, const aicps_route *routes, size_t count, aicp_error *err);
/* Hooks for aicps_http_options: user = the api. */
/* `request->worker` is what aicps_api_worker_open gave, or NULL on inline routes. */
void aicps_api_handle(void *user, aicps_http_request *request, aicps_http_response *response);
bool aicps_api_is_inline(void *api, aicpi_slice method, aicpi_slice path);
size_t aicps_api_body_max(void *api, aicpi_slice method, aicpi_slice path);
void *aicps_api_worker_open(void *user); /* opens the worker's store connection, lazily reopened */
void aicps_api_worker_close(void *user, void *worker);
/* Pattern of the route that `request` met ("/api/v1/rate-limits/{id}"), for metrics; "" if none. */
const char *aicps_api_route_name(aicps_api *api, const aicps_http_request *request);
/* The OpenAPI 3.1 document of all routes and resources. */
aicp_status aicps_api_openapi(aicps_api *api, aicpi_strbuf *out, aicp_error *err);
size_t aicps_api_routes(const aicps_api *api, const aicps_route *const **out);

/* ---- answers ---- */

/* Sends `value` as JSON (the reference is taken). */
void aicps_send_json(aicps_call *call, int32_t status, struct json_object *value);
/* Sends an error. `detail` and `title` as contract; more than one field error: aicps_field_error
 * first, each adds one, then aicps_send_field_errors (422 with FastAPI's list as `detail`). */
void aicps_send_error(aicps_call *call, int32_t status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The answer for a status of the library: NOT_FOUND 404, CONSTRAINT 409, STORE 503, INVALID and
 * PARSE 422 (with line and column when there), NOMEM 503, LIMIT 413 or 422, else 500 with a log. */
void aicps_send_status(aicps_call *call, aicp_status status, const aicp_error *err);
void aicps_field_error(aicps_call *call, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool aicps_has_field_errors(const aicps_call *call);
void aicps_send_field_errors(aicps_call *call);

/* ---- JSON ---- */

/* Strict JSON text as a tree: refuses what lib/base/json.h refuses, and numbers that no double
 * holds. Numbers with a fraction or exponent keep their text. `max_depth` 0 = 32. */
aicp_status aicps_json_parse(
    aicpi_arena *arena,
    const char *data,
    size_t len,
    uint32_t max_depth,
    struct json_object **out,
    aicp_error *err);

/* Fields of a row in the form of the API; another type or absence reads as empty, 0, false. */
aicpi_slice aicps_text(struct json_object *row, const char *name);
int64_t aicps_int(struct json_object *row, const char *name);
bool aicps_bool(struct json_object *row, const char *name);
int64_t aicps_nano(struct json_object *row, const char *name); /* DECIMAL and MONEY: 1e-9 */
int64_t aicps_time(struct json_object *row, const char *name); /* wall ns */
bool aicps_is_null(struct json_object *row, const char *name); /* null or absent */
struct json_object *aicps_member(struct json_object *row, const char *name); /* borrowed, or NULL */

/* Values in the form of the API; NULL when out of memory. */
struct json_object *aicps_json_text(const char *text); /* NULL gives null */
struct json_object *aicps_json_slice(aicpi_slice text);
struct json_object *aicps_json_nano(int64_t nano); /* exact number */
struct json_object *aicps_json_time(int64_t wall_ns);
/* Sets a member (the reference is taken). */
void aicps_set(struct json_object *row, const char *name, struct json_object *value);

#endif
