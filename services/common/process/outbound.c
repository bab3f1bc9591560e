/* Calls to other services, as seen from the request that makes them. */
#include "services/common/process/process_internal.h"

#include <stdio.h>

bool aicps_call_begin(aicps_process *p, aicps_span *span, const char *name, char header[56]) {
    const aicps_span *parent = aicps_request_span(aicps_request_current());
    aicps_span_child(p, parent, span, name);
    aicps_span_header(span, header);
    /* Ids that nobody records and nobody gave would only keep the other side from recording. */
    return aicps_tracer_is_on(p ? p->tracer : NULL) || (parent && parent->parent_id[0]);
}

void aicps_call_end(
    aicps_process *p, aicps_span *span, int32_t status, const aicps_log_field *more, size_t count) {
    aicps_log_field f[AICPS_CALL_FIELDS + 1];
    size_t n = 0;
    for (size_t i = 0; i < count && n < AICPS_CALL_FIELDS; i++) {
        f[n++] = more[i];
    }
    if (status > 0) {
        f[n++] = (aicps_log_field){.name = "http.response.status_code", .number = status};
    }
    span->error = status == 0 || status >= 400;
    aicps_span_end(p, span, f, n);
}

/* ---- LiteLLM ---- */

typedef struct litellm_call {
    aicps_span span;
    char name[160];
    char method[12];
    char path[136];
} litellm_call;

_Static_assert(sizeof(litellm_call) <= AICP_LITELLM_TRACE_ROOM, "a call's room");

static void litellm_begin(
    void *user, const char *method, const char *path, size_t path_len, char *header, void *room) {
    litellm_call *call = room;
    int shown = path_len < sizeof call->path ? (int)path_len : (int)sizeof call->path - 1;
    (void)snprintf(call->method, sizeof call->method, "%s", method);
    (void)snprintf(call->path, sizeof call->path, "%.*s", shown, path);
    (void)snprintf(call->name, sizeof call->name, "%s %s", call->method, call->path);
    if (!aicps_call_begin(user, &call->span, call->name, header)) {
        header[0] = '\0';
    }
}

static void litellm_end(void *user, int32_t status, void *room) {
    litellm_call *call = room;
    const aicps_log_field f[] = {
        {.name = "peer.service", .text = "litellm"},
        {.name = "http.request.method", .text = call->method},
        {.name = "url.path", .text = call->path}};
    aicps_call_end(user, &call->span, status, f, 3);
}

aicp_litellm_trace aicps_litellm_trace(aicps_process *process) {
    return (aicp_litellm_trace){process, litellm_begin, litellm_end};
}
