/* What libmicrohttpd calls on its I/O threads: a connection comes and goes, a request line is in,
 * the headers are in, body comes in, the request is over. */
#include "services/common/http/http_internal.h"

#include "lib/base/error.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
/* What is read and thrown away after a refusal, so that the client gets to read it. */
#define DISCARD_MAX ((size_t)4 << 20)

static void peer_of(aicps_http_connection *c, struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (address && address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        memcpy(c->peer.bytes, mapped, sizeof mapped);
        memcpy(c->peer.bytes + sizeof mapped, &v4->sin_addr, 4);
    } else if (address && address->sa_family == AF_INET6) {
        memcpy(c->peer.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    }
    aicps_http_ip_format(&c->peer, c->peer_text);
    for (size_t i = 0; i < c->server->trusted_count && !c->peer_trusted; i++) {
        c->peer_trusted = aicps_http_network_has(&c->server->trusted[i], &c->peer);
    }
}

static void connection_opened(aicps_http_seat *seat, struct MHD_Connection *mhd, void **slot) {
    aicps_http_server *server = seat->server;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    aicps_http_connection *c = info ? aicpi_calloc(&server->allocator, 1, sizeof *c) : NULL;
    *slot = c;
    if (!c) {
        return; /* its first request is dropped for want of a record */
    }
    c->server = server;
    c->seat = seat;
    c->fd = info->connect_fd;
    c->fresh = true;
    peer_of(c, mhd);
    uint64_t until = aicps_http_now() + server->options.header_timeout_ms * MS;
    atomic_init(&c->watch, (until & ~(uint64_t)AICPS_HTTP_PHASES) | AICPS_HTTP_HEAD);
    pthread_mutex_lock(&server->connections_lock);
    c->next = server->connections;
    if (c->next) {
        c->next->prev = c;
    }
    server->connections = c;
    pthread_mutex_unlock(&server->connections_lock);
    atomic_fetch_add_explicit(&server->connection_count, 1, memory_order_relaxed);
}

static void connection_closed(aicps_http_server *server, aicps_http_connection *c) {
    if (!c) {
        return;
    }
    /* The socket is still open: the watchdog, which holds this lock, never touches another's. */
    pthread_mutex_lock(&server->connections_lock);
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        server->connections = c->next;
    }
    if (c->next) {
        c->next->prev = c->prev;
    }
    pthread_mutex_unlock(&server->connections_lock);
    atomic_fetch_sub_explicit(&server->connection_count, 1, memory_order_relaxed);
    aicpi_free(&server->allocator, c);
}

static void on_connection(
    void *user, struct MHD_Connection *mhd, void **slot, enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_opened(user, mhd, slot);
    } else {
        connection_closed(((aicps_http_seat *)user)->server, *slot);
        *slot = NULL;
    }
}

/* The request line is in; MHD has not cut up the target yet. */
static void *on_target(void *user, const char *uri, struct MHD_Connection *mhd) {
    aicps_http_server *server = user;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    aicps_http_connection *c = info ? info->socket_context : NULL;
    aicps_http_exchange *ex = c ? aicps_http_exchange_get(server) : NULL;
    if (!ex) {
        return NULL;
    }
    size_t len = uri ? strlen(uri) : 0;
    ex->mhd = mhd;
    ex->connection = c;
    ex->request.client_ip = c->peer_text;
    ex->request.started_ns = aicps_http_now();
    ex->uri = uri;
    ex->target = aicpi_slice_of(aicpi_arena_strndup(&ex->head_arena, uri ? uri : "", len), len);
    if (!ex->target.data) {
        aicps_http_exchange_put(ex);
        return NULL;
    }
    if (!c->fresh) {
        (void)aicps_http_watch_set(
            c, AICPS_HTTP_HEAD, ex->request.started_ns + server->options.header_timeout_ms * MS);
    }
    c->fresh = false;
    c->current = ex;
    ex->request.target = ex->target;
    return ex;
}

/* Targets stay as they were sent; decoding is ours. */
static size_t on_unescape(void *user, struct MHD_Connection *mhd, char *text) {
    (void)user;
    (void)mhd;
    return strlen(text);
}

static enum MHD_Result queue_answer(aicps_http_exchange *ex) {
    struct MHD_Response *response =
        ex->stream_response ? ex->stream_response : aicps_http_answer_build(ex);
    ex->stream_response = NULL;
    ex->step = AICPS_HTTP_STEP_ANSWER;
    if (!response) {
        return MHD_NO;
    }
    bool ok = aicps_http_queue(ex->mhd, (unsigned)ex->response.status, response);
    MHD_destroy_response(response);
    return ok ? MHD_YES : MHD_NO;
}

static enum MHD_Result
refuse(aicps_http_exchange *ex, int32_t status, const char *type, const char *text) {
    if (!aicps_http_watch_set(ex->connection, AICPS_HTTP_BUSY, 0)) {
        return MHD_NO;
    }
    aicps_http_answer_refuse(ex, status, type, text);
    return queue_answer(ex);
}

/* Runs the handler, or hands the request to a worker. */
static enum MHD_Result dispatch(aicps_http_exchange *ex) {
    aicps_http_server *server = ex->server;
    if (!aicps_http_watch_set(ex->connection, AICPS_HTTP_BUSY, 0)) {
        return MHD_NO;
    }
    ex->request.body = aicpi_slice_of(ex->body.data ? ex->body.data : "", ex->body.len);
    ex->request.deadline_ns = ex->request.started_ns + server->options.handler_timeout_ms * MS;
    if (ex->inlined) {
        ex->counted = true;
        aicps_http_live(server, 1);
        aicps_http_run(ex, NULL);
        if (!ex->waiting) {
            return queue_answer(ex);
        }
        ex->inlined = false; /* from now on a worker's */
        ex->step = AICPS_HTTP_STEP_RUNNING;
        MHD_suspend_connection(ex->mhd);
        aicps_http_wait_park(ex);
        return MHD_YES;
    }
    if (atomic_load(&server->draining)) {
        (void)aicps_http_add_header(&ex->response, "Retry-After", "1");
        return refuse(ex, 503, "unavailable", "The service is shutting down.");
    }
    ex->counted = true;
    aicps_http_live(server, 1);
    ex->step = AICPS_HTTP_STEP_RUNNING;
    MHD_suspend_connection(ex->mhd);
    if (!aicps_http_queue_push(server, ex)) {
        (void)aicps_http_add_header(&ex->response, "Retry-After", "1");
        atomic_fetch_add_explicit(&server->rejected, 1, memory_order_relaxed);
        aicps_http_problem(
            &ex->response,
            &ex->request,
            503,
            "overloaded",
            "The service has more requests than it can handle; try again shortly.");
        aicps_http_hand_back(ex);
    }
    return MHD_YES;
}

static size_t count_headers(struct MHD_Connection *mhd) {
    int count = MHD_get_connection_values(mhd, MHD_HEADER_KIND, NULL, NULL);
    return count > 0 ? (size_t)count : 0;
}

static aicps_http_refusal read_head(aicps_http_exchange *ex, const char *method) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(ex->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t len = info ? info->header_size : 0;
    if (len > ex->server->options.header_max) {
        return (aicps_http_refusal){
            431, "header_fields_too_large", "The request's header section is too large."};
    }
    char *copy = aicpi_arena_alloc(&ex->head_arena, len + 1);
    if (!copy) {
        return (aicps_http_refusal){503, "out_of_memory", "The server is out of memory."};
    }
    memcpy(copy, method, len);
    copy[len] = 0;
    aicps_http_span uri = {
        ex->uri && ex->uri >= method && ex->uri < method + len ? (size_t)(ex->uri - method) : 0,
        ex->target.len};
    aicps_http_refusal why =
        aicps_http_head_parse(&ex->head_arena, copy, len, uri, count_headers(ex->mhd), &ex->head);
    if (why.status) {
        return why;
    }
    ex->request.method = aicpi_slice_cstr(copy);
    ex->request.headers = ex->head.headers;
    ex->request.header_count = ex->head.header_count;
    return aicps_http_target_parse(&ex->head_arena, ex->target, &ex->request);
}

static bool id_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static void request_id(aicps_http_exchange *ex) {
    static const char digits[] = "0123456789abcdef";
    aicpi_slice given = aicps_http_header(&ex->request, "x-request-id");
    bool ok = given.len > 0 && given.len < AICPS_HTTP_REQUEST_ID_SIZE;
    for (size_t i = 0; ok && i < given.len; i++) {
        ok = id_char(given.data[i]);
    }
    if (ok) {
        memcpy(ex->request.id, given.data, given.len);
        ex->request.id[given.len] = 0;
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        /* splitmix64 (Steele, Lea, Flood 2014), two streams a seed each: unlike, not secret */
        ex->random[i] += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t x = ex->random[i];
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        x ^= x >> 31;
        for (size_t k = 0; k < 16; k++) {
            ex->request.id[i * 16 + k] = digits[(x >> (60 - 4 * k)) & 15];
        }
    }
    ex->request.id[32] = 0;
}

static void client_ip(aicps_http_exchange *ex) {
    aicps_http_ip ip;
    char text[AICPS_HTTP_IP_TEXT];
    ex->request.client_ip = aicpi_arena_strndup(
        &ex->head_arena, ex->connection->peer_text, strlen(ex->connection->peer_text));
    if (ex->connection->peer_trusted && aicps_http_forwarded_for(
                                            ex->request.headers,
                                            ex->request.header_count,
                                            ex->server->trusted,
                                            ex->server->trusted_count,
                                            &ip)) {
        aicps_http_ip_format(&ip, text);
        ex->request.client_ip = aicpi_arena_strndup(&ex->head_arena, text, strlen(text));
    }
    if (!ex->request.client_ip) {
        ex->request.client_ip = "";
    }
}

/* The headers are in. */
static enum MHD_Result begin(aicps_http_exchange *ex, const char *method) {
    const aicps_http_options *o = &ex->server->options;
    aicps_http_refusal why = read_head(ex, method);
    ex->step = AICPS_HTTP_STEP_BODY;
    request_id(ex);
    client_ip(ex);
    if (why.status) {
        return refuse(ex, why.status, why.type, why.text);
    }
    /* libmicrohttpd ends chunk lines at a bare LF, too: nothing is read behind such a body. */
    ex->close = ex->head.chunked;
    ex->inlined = o->is_inline && o->is_inline(o->user, ex->request.method, ex->request.path);
    if (!ex->head.chunked && ex->head.length == 0) {
        return MHD_YES; /* called again at once */
    }
    size_t own =
        o->body_max_for ? o->body_max_for(o->user, ex->request.method, ex->request.path) : 0;
    ex->body_max = own ? own : o->body_max;
    if (ex->head.length > ex->body_max) {
        if (ex->head.length > DISCARD_MAX || aicps_http_header(&ex->request, "expect").len) {
            return refuse(
                ex, 413, "payload_too_large", "The request body is larger than is allowed here.");
        }
        ex->step = AICPS_HTTP_STEP_DISCARD;
    }
    if (!ex->head.chunked && ex->step == AICPS_HTTP_STEP_BODY &&
        !aicpi_strbuf_reserve(&ex->body, (size_t)ex->head.length)) {
        return refuse(ex, 503, "out_of_memory", "The server is out of memory.");
    }
    uint64_t until = aicps_http_now() + o->body_timeout_ms * MS;
    return aicps_http_watch_set(ex->connection, AICPS_HTTP_BODY, until) ? MHD_YES : MHD_NO;
}

static enum MHD_Result take_body(aicps_http_exchange *ex, const char *data, size_t *len) {
    if (ex->step == AICPS_HTTP_STEP_BODY && *len > ex->body_max - ex->body.len) {
        ex->step = AICPS_HTTP_STEP_DISCARD;
    }
    if (ex->step == AICPS_HTTP_STEP_BODY) {
        aicpi_strbuf_append(&ex->body, data, *len);
        if (ex->body.failed) {
            return MHD_NO;
        }
    } else {
        ex->discarded += *len;
        if (ex->discarded > DISCARD_MAX) {
            return MHD_NO;
        }
    }
    *len = 0;
    return MHD_YES;
}

static enum MHD_Result on_request(
    void *user,
    struct MHD_Connection *mhd,
    const char *url,
    const char *method,
    const char *version,
    const char *data,
    size_t *len,
    void **slot) {
    aicps_http_exchange *ex = *slot;
    (void)user;
    (void)mhd;
    (void)url;
    (void)version;
    if (!ex) {
        return MHD_NO;
    }
    switch (ex->step) {
    case AICPS_HTTP_STEP_HEAD:
        return begin(ex, method);
    case AICPS_HTTP_STEP_BODY:
        return *len > 0 ? take_body(ex, data, len) : dispatch(ex);
    case AICPS_HTTP_STEP_DISCARD:
        return *len > 0 ? take_body(ex, data, len)
                        : refuse(
                              ex,
                              413,
                              "payload_too_large",
                              "The request body is larger than is allowed here.");
    case AICPS_HTTP_STEP_ANSWER:
        return queue_answer(ex);
    default:
        return MHD_YES;
    }
}

static void on_completed(
    void *user, struct MHD_Connection *mhd, void **slot, enum MHD_RequestTerminationCode how) {
    aicps_http_server *server = user;
    aicps_http_exchange *ex = *slot;
    (void)mhd;
    *slot = NULL;
    if (!ex) {
        return;
    }
    (void)how;
    if (ex->stream.on) {
        aicps_http_stream_gone(ex);
    }
    if (aicps_http_watch_killed(ex->connection) && ex->step < AICPS_HTTP_STEP_RUNNING) {
        ex->step = AICPS_HTTP_STEP_ANSWER;
        ex->response.status = 408;
    }
    ex->connection->current = NULL;
    (void)aicps_http_watch_set(
        ex->connection, AICPS_HTTP_IDLE, aicps_http_now() + server->options.idle_timeout_ms * MS);
    ex->connection = NULL;
    aicps_http_exchange_put(ex);
}

/* What libmicrohttpd has to say: connection limits, requests that it could not read. */
static void __attribute__((format(printf, 2, 0)))
on_message(void *user, const char *format, va_list args) {
    char text[512];
    int len = vsnprintf(text, sizeof text, format, args);
    while (len > 0 && (size_t)len < sizeof text && text[len - 1] == '\n') {
        text[--len] = 0;
    }
    aicpi_log_write(&((aicps_http_server *)user)->log, AICP_LOG_DEBUG, "%s", text);
}

static aicp_status start_daemon(aicps_http_server *server, size_t most, aicp_error *err) {
    aicps_http_seat *seat = &server->seats[server->seat_count];
    const aicps_http_options *o = &server->options;
    uint64_t seconds = o->idle_timeout_ms / 1000 + 2;
    /* The section itself, MHD's records of headers and parameters, its own part of the answer. MHD
     * clears all of it for every request: no more than needed. */
    size_t memory = o->header_max + o->header_max / 2 + ((size_t)8 << 10);
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_message, server},
        {MHD_OPTION_LISTEN_SOCKET, server->listener, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)most, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)o->per_ip_max, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)seconds, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)memory, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 0, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, server},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)on_unescape, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, seat},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_ERROR_LOG | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO,
        0,
        NULL,
        NULL,
        on_request,
        server,
        MHD_OPTION_ARRAY,
        items,
        MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot start the HTTP server");
    }
    seat->daemon = daemon;
    seat->server = server;
    seat->epoll_fd = info->epoll_fd;
    seat->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->seat_count++;
    return seat->wake_fd >= 0 ? AICP_OK : aicpi_fail(err, AICP_ERR_IO, "cannot make an eventfd");
}

aicp_status aicps_http_seats_start(aicps_http_server *server, aicp_error *err) {
    /* Each daemon counts the connections of an address for itself. */
    size_t count = server->options.per_ip_max ? 1 : server->options.io_threads;
    size_t most = server->options.connections_max;
    count = count < most ? count : most;
    server->seats = aicpi_calloc(&server->allocator, count, sizeof *server->seats);
    if (!server->seats) {
        return aicpi_nomem(err);
    }
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < count && status == AICP_OK; i++) {
        status = start_daemon(server, most / count + (i < most % count), err);
    }
    return status;
}

void aicps_http_seats_stop(aicps_http_server *server) {
    for (size_t i = 0; i < server->seat_count; i++) {
        (void)MHD_run(server->seats[i].daemon); /* the last answers */
        MHD_stop_daemon(server->seats[i].daemon);
        (void)close(server->seats[i].wake_fd);
    }
    server->seat_count = 0;
    aicpi_free(&server->allocator, server->seats);
    server->seats = NULL;
}
