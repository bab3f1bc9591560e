/* Answers in libmicrohttpd's place what it refuses by itself.
 *
 * A header line without a colon, a section over the connection's memory, a malformed length or
 * chunk never get as far as our callbacks: it answers them with a page of HTML that no option
 * changes (for a malformed length 0.9.75 even writes the head twice). It does so by its public
 * function MHD_queue_response, called as any program would call it; as that is defined here again,
 * the call arrives here. The answer is written by hand, and MHD_NO makes the library close. Where
 * the dynamic linker binds the library to itself (-Bsymbolic) its pages stay; they close as well.
 */
#include "services/common/http/http_internal.h"

#include <dlfcn.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

typedef enum MHD_Result (*queue_fn)(struct MHD_Connection *, unsigned, struct MHD_Response *);

static queue_fn real_queue;
static pthread_once_t real_once = PTHREAD_ONCE_INIT;

static void find_real(void) {
    void *symbol = dlsym(RTLD_NEXT, "MHD_queue_response");
    memcpy(&real_queue, &symbol, sizeof real_queue);
}

bool aicps_http_queue(struct MHD_Connection *mhd, unsigned status, struct MHD_Response *response) {
    pthread_once(&real_once, find_real);
    return real_queue && real_queue(mhd, status, response) == MHD_YES;
}

static aicps_http_refusal reason(unsigned status) {
    switch (status) {
    case 413:
        return (aicps_http_refusal){413, "payload_too_large", "The request body is too large."};
    case 414:
        return (aicps_http_refusal){414, "uri_too_long", "The request line is too long."};
    case 431:
        return (aicps_http_refusal){
            431, "header_fields_too_large", "The request's header section is too large."};
    case 505:
        return (aicps_http_refusal){
            505, "http_version_not_supported", "Only HTTP/1.1 and HTTP/1.0 are spoken here."};
    default:
        return (aicps_http_refusal){
            (int32_t)status,
            status < 500 ? "bad_request" : "internal_error",
            status < 500 ? "The request is malformed." : "The server failed."};
    }
}

__attribute__((visibility("default"))) enum MHD_Result
MHD_queue_response(struct MHD_Connection *mhd, unsigned status, struct MHD_Response *response) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    aicps_http_connection *c = info ? info->socket_context : NULL;
    aicps_http_refusal why = reason(status);
    (void)response; /* the library gives it back */
    if (!c || !aicps_http_watch_set(c, AICPS_HTTP_BUSY, 0)) {
        return MHD_NO;
    }
    atomic_fetch_add_explicit(&c->server->rejected, 1, memory_order_relaxed);
    aicps_http_answer_raw(c->fd, why.status, why.type, why.text);
    if (c->current) {
        c->current->step = AICPS_HTTP_STEP_ANSWER;
        c->current->response.status = why.status;
    }
    return MHD_NO;
}
