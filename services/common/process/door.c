/* Between the server and the service's handler: the process's own answers, the span, the log line
 * and the metrics of each request. */
#include "services/common/process/process_internal.h"

#include "lib/base/clock.h"

#include <inttypes.h>
#include <stdio.h>

static _Thread_local const aicps_http_request *current;

const aicps_http_request *aicps_request_current(void) {
    return current;
}

const aicps_span *aicps_request_span(const aicps_http_request *request) {
    return request ? request->trace : NULL;
}

static void begin_span(aicps_process *p, aicps_http_request *request) {
    aicps_span *span = aicpi_arena_alloc(request->kept, sizeof *span);
    if (span) {
        aicps_span_begin(p, span, "request", 2, aicps_http_header(request, "traceparent"));
        request->trace = span;
    }
}

static void handle(void *user, aicps_http_request *request, aicps_http_response *response) {
    aicps_process *p = user;
    if (aicps_health_answer(p, request, response)) {
        return;
    }
    if (!request->trace) {
        begin_span(p, request);
    }
    current = request;
    p->service.handler(p->service.user, request, response);
    current = NULL;
}

static void
log_request(aicps_process *p, const aicps_http_request *request, int32_t status, uint64_t bytes) {
    const aicps_span *span = aicps_request_span(request);
    aicps_log_field f[10];
    size_t n = 0;
    uint64_t now = aicps_now_ns();
    uint64_t took =
        request->started_ns && now > request->started_ns ? now - request->started_ns : 0;
    bool own = aicps_health_is_path(request->path);
    f[n++] = (aicps_log_field){.name = "request_id", .text = request->id};
    if (span) {
        f[n++] = (aicps_log_field){.name = "trace_id", .text = span->trace_id};
        f[n++] = (aicps_log_field){.name = "span_id", .text = span->span_id};
    }
    f[n++] = (aicps_log_field){.name = "method", .text = aicps_standard_method(request->method)};
    /* Never the path: it may hold what only the caller should know. */
    f[n++] = (aicps_log_field){.name = "route", .text = request->route ? request->route : ""};
    f[n++] = (aicps_log_field){.name = "status", .number = status};
    f[n++] = (aicps_log_field){.name = "duration_us", .number = (int64_t)(took / 1000)};
    f[n++] = (aicps_log_field){.name = "bytes", .number = (int64_t)bytes};
    f[n++] = (aicps_log_field){
        .name = "client_ip", .text = request->client_ip ? request->client_ip : ""};
    if (request->who) {
        f[n++] = (aicps_log_field){.name = "who", .text = request->who};
    }
    aicps_log(p, own ? AICP_LOG_DEBUG : AICP_LOG_INFO, "request", f, n);
}

static void end_span(aicps_process *p, const aicps_http_request *request, int32_t status) {
    aicps_span *span = request->trace;
    if (!span) {
        return;
    }
    const char *method = aicps_standard_method(request->method);
    char name[300];
    (void)snprintf(
        name,
        sizeof name,
        "%s%s%s",
        method,
        request->route ? " " : "",
        request->route ? request->route : "");
    aicps_log_field f[5] = {
        {.name = "http.request.method", .text = method},
        {.name = "http.response.status_code", .number = status},
        {.name = "client.address", .text = request->client_ip ? request->client_ip : ""},
        {.name = "aicp.request_id", .text = request->id},
        {.name = "http.route", .text = request->route}};
    span->name = name;
    span->error = status >= 500;
    aicps_span_end(p, span, f, request->route ? 5 : 4);
    span->name = "request";
}

static void on_done(void *user, const aicps_http_request *request, int32_t status, uint64_t bytes) {
    aicps_process *p = user;
    end_span(p, request, status);
    aicps_standard_request(p, request, status);
    log_request(p, request, status, bytes);
    if (p->service.on_done) {
        p->service.on_done(p->service.user, request, status, bytes);
    }
}

static bool is_inline(void *user, aicpi_slice method, aicpi_slice path) {
    aicps_process *p = user;
    return aicps_health_is_path(path) ||
           (p->service.is_inline && p->service.is_inline(p->service.user, method, path));
}

static size_t body_max_for(void *user, aicpi_slice method, aicpi_slice path) {
    aicps_process *p = user;
    return p->service.body_max_for(p->service.user, method, path);
}

static void *worker_open(void *user) {
    aicps_process *p = user;
    return p->service.worker_open(p->service.user);
}

static void worker_close(void *user, void *worker) {
    aicps_process *p = user;
    p->service.worker_close(p->service.user, worker);
}

void aicps_door_wrap(aicps_process *p, aicps_http_options *http) {
    p->service = *http;
    http->user = p;
    http->handler = handle;
    http->on_done = on_done;
    http->is_inline = is_inline;
    http->body_max_for = http->body_max_for ? body_max_for : NULL;
    http->worker_open = http->worker_open ? worker_open : NULL;
    http->worker_close = http->worker_close ? worker_close : NULL;
    http->log = aicps_process_log_fn(p, &http->log_user);
}
