/* Error answers: {"detail", "type", "title", "status", "errors": [{"field", "message"}],
 * "request_id"}. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define MESSAGE_MAX 512

static const struct {
    int32_t status;
    const char *title;
} TITLES[] = {
    {400, "Bad request"},
    {401, "Not authenticated"},
    {403, "Not allowed"},
    {404, "Not found"},
    {405, "Method not allowed"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Changed meanwhile"},
    {413, "Too large"},
    {415, "Unsupported media type"},
    {422, "Invalid value"},
    {429, "Too many requests"},
    {500, "Internal error"},
    {502, "Bad gateway"},
    {503, "Not available"},
    {504, "Too late"},
};

/* A message may show what the caller sent: cut where it stops being UTF-8 (also where it was cut).
 */
static struct json_object *shown(char *text) {
    size_t bad = 0;
    if (!aicpi_utf8_valid(text, strlen(text), &bad)) {
        text[bad] = '\0';
    }
    return json_object_new_string(text);
}

static const char *title_of(int32_t status) {
    for (size_t i = 0; i < sizeof TITLES / sizeof *TITLES; i++) {
        if (TITLES[i].status == status) {
            return TITLES[i].title;
        }
    }
    return "Error";
}

static void put_json(aicps_call *call, int32_t status, struct json_object *value) {
    aicps_http_response *res = call->res;
    aicpi_strbuf_clear(&res->body);
    res->status = status;
    res->content_type = "application/json";
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    if (text) {
        aicpi_strbuf_append(&res->body, text, len);
    }
    if (!text || res->body.failed) {
        bool full = text && res->body.full;
        aicpi_strbuf_clear(&res->body);
        res->status = full ? 500 : 503;
        aicpi_strbuf_puts(&res->body, "{\"detail\":\"The answer does not fit into memory\"}");
    }
}

void aicps_send_json(aicps_call *call, int32_t status, struct json_object *value) {
    put_json(call, status, value);
    json_object_put(value);
}

static void send_problem(
    aicps_call *call,
    int32_t status,
    const char *type,
    struct json_object *detail,
    struct json_object *errors) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "detail", detail);
    aicps_set(o, "type", aicps_json_text(type));
    aicps_set(o, "title", aicps_json_text(title_of(status)));
    aicps_set(o, "status", json_object_new_int(status));
    aicps_set(o, "errors", errors ? errors : json_object_new_array());
    aicps_set(o, "request_id", aicps_json_text(call->req->id));
    put_json(call, status, o);
    json_object_put(o);
    call->own->answered = true;
}

void aicps_send_error(aicps_call *call, int32_t status, const char *type, const char *format, ...) {
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    send_problem(call, status, type, shown(text), NULL);
}

void aicps_api_log(aicps_call *call, int32_t level, const char *message) {
    const aicps_api_options *o = &call->api->options;
    if (o->log) {
        char line[MESSAGE_MAX];
        (void)snprintf(line, sizeof line, "request %s: %s", call->req->id, message);
        o->log(o->log_user, level, "api", line);
    }
}

static void log_failure(aicps_call *call, aicp_status status, const char *message) {
    char line[MESSAGE_MAX];
    (void)snprintf(line, sizeof line, "%s: %s", aicp_status_name(status), message);
    aicps_api_log(call, AICP_LOG_ERROR, line);
}

void aicps_send_status(aicps_call *call, aicp_status status, const aicp_error *err) {
    const char *message = err && err->message[0] ? err->message : aicp_status_text(status);
    switch (status) {
    case AICP_ERR_NOT_FOUND:
        aicps_send_error(call, 404, "not_found", "%s", message);
        return;
    case AICP_ERR_CONSTRAINT:
    case AICP_ERR_EXISTS:
        log_failure(call, status, message);
        aicps_send_error(call, 409, "conflict", "It clashes with what is stored");
        return;
    case AICP_ERR_STORE:
    case AICP_ERR_STORE_BUSY:
        log_failure(call, status, message);
        (void)aicps_http_add_header(call->res, "Retry-After", "1");
        aicps_send_error(call, 503, "store_unavailable", "Database not available");
        return;
    case AICP_ERR_TIMEOUT:
    case AICP_ERR_NOMEM:
        log_failure(call, status, message);
        (void)aicps_http_add_header(call->res, "Retry-After", "1");
        aicps_send_error(call, 503, "overloaded", "%s", aicp_status_text(status));
        return;
    case AICP_ERR_CRYPTO:
        log_failure(call, status, message);
        aicps_send_error(call, 503, "secret_key", "%s", message);
        return;
    case AICP_ERR_INVALID:
    case AICP_ERR_PARSE:
    case AICP_ERR_RANGE:
    case AICP_ERR_LIMIT:
        if (err && err->line) {
            aicps_send_error(
                call,
                422,
                "invalid",
                "line %u, column %u: %s",
                (unsigned)err->line,
                (unsigned)err->column,
                message);
            return;
        }
        aicps_send_error(call, 422, "invalid", "%s", message);
        return;
    default:
        log_failure(call, status, message);
        aicps_send_error(call, 500, "internal", "Internal error");
    }
}

/* ---- errors of fields ---- */

static void __attribute__((format(printf, 4, 0))) add_error(
    aicps_call *call, const char *place, const char *field, const char *format, va_list args) {
    char text[MESSAGE_MAX];
    (void)vsnprintf(text, sizeof text, format, args);
    if (!call->own->fields) {
        call->own->fields = json_object_new_array();
    }
    struct json_object *e = json_object_new_object();
    aicps_set(e, "place", aicps_json_text(place));
    char name[128];
    (void)snprintf(name, sizeof name, "%s", field);
    aicps_set(e, "field", shown(name));
    aicps_set(e, "message", shown(text));
    if (!call->own->fields || json_object_array_add(call->own->fields, e) != 0) {
        json_object_put(e);
    }
}

void aicps_field_error(aicps_call *call, const char *field, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_error(call, "body", field, format, args);
    va_end(args);
}

void aicps_query_error(aicps_call *call, const char *parameter, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_error(call, "query", parameter, format, args);
    va_end(args);
}

bool aicps_has_field_errors(const aicps_call *call) {
    return call->own->fields && json_object_array_length(call->own->fields) > 0;
}

void aicps_send_field_errors(aicps_call *call) {
    struct json_object *detail = json_object_new_array();
    struct json_object *errors = json_object_new_array();
    size_t n = call->own->fields ? json_object_array_length(call->own->fields) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *from = json_object_array_get_idx(call->own->fields, i);
        struct json_object *field = aicps_member(from, "field");
        struct json_object *message = aicps_member(from, "message");
        struct json_object *loc = json_object_new_array();
        (void)json_object_array_add(loc, json_object_get(aicps_member(from, "place")));
        (void)json_object_array_add(loc, json_object_get(field));
        struct json_object *d = json_object_new_object();
        aicps_set(d, "type", aicps_json_text("value_error"));
        aicps_set(d, "loc", loc);
        aicps_set(d, "msg", json_object_get(message));
        (void)json_object_array_add(detail, d);
        struct json_object *e = json_object_new_object();
        aicps_set(e, "field", json_object_get(field));
        aicps_set(e, "message", json_object_get(message));
        (void)json_object_array_add(errors, e);
    }
    send_problem(call, 422, "validation_error", detail, errors);
}

void aicps_send_forbidden(aicps_call *call, const char *action, const char *resource_type) {
    aicps_send_error(
        call,
        403,
        "forbidden",
        "Not allowed: %s %s",
        action,
        resource_type ? resource_type : "this");
}

void aicps_problem_reset(aicps_call *call) {
    json_object_put(call->own->fields);
    call->own->fields = NULL;
    call->own->answered = false;
}
