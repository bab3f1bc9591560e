/* The only door to libmicrohttpd: an HTTP/1.1 server for JSON services.
 *
 * Threads: `workers` of them may run handlers at once, so that a handler may block on a store or
 * another service without holding up other connections, and `io_threads` more see to it that
 * somebody always reads. A thread that has read a request runs its handler itself where it can;
 * when that takes longer than a millisecond another one goes on reading. A request waits in a
 * bounded queue; when it is full the answer is 503 with Retry-After.
 *
 *     accept -> headers (total deadline) -> body (total deadline, cap) -> queue -> worker: handler
 *            -> answer, whole or streamed
 *
 * What the server refuses by itself (400, 408, 413, 414, 431, 501, 503, 505), with the error body
 * of aicps_http_problem, and then closes the connection: Content-Length together with
 * Transfer-Encoding, repeated or malformed lengths, codings other than chunked, bad header names
 * and values, bare LF, folded lines, NUL, a missing or repeated Host, control characters in the
 * target, percent-encoding that is not valid, "%00", header sections and bodies over their caps,
 * slow headers and bodies. An encoded slash is data: "%2F" stays inside its segment. Nothing is
 * read behind a chunked body: its answer closes the connection.
 */
#ifndef AICPS_HTTP_HTTP_H
#define AICPS_HTTP_HTTP_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"
#include "lib/base/strbuf.h"

#include "aicp/base.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct aicps_http_server aicps_http_server;
typedef struct aicps_http_exchange aicps_http_exchange; /* the server's own side of a request */

typedef struct aicps_http_pair {
    aicpi_slice name; /* headers: lower case */
    aicpi_slice value;
} aicps_http_pair;

#define AICPS_HTTP_SEGMENTS_MAX 32
#define AICPS_HTTP_REQUEST_ID_SIZE 65

/* Valid until the handler returns for good. `arena` is the handler's own and is emptied before each
 * run. */
typedef struct aicps_http_request {
    aicpi_arena *arena;
    aicpi_arena *kept; /* of the request: emptied after on_done only */
    aicpi_slice method;
    aicpi_slice target;                            /* as sent */
    aicpi_slice path;                              /* as sent, without the query */
    aicpi_slice segments[AICPS_HTTP_SEGMENTS_MAX]; /* of the path, percent-decoded */
    size_t segment_count;
    const aicps_http_pair *query; /* decoded, in order; "+" is a space */
    size_t query_count;
    const aicps_http_pair *headers;
    size_t header_count;
    aicpi_slice body;
    const char *client_ip; /* of the caller: X-Forwarded-For's last address that is not one of
                              trusted_proxies, else the peer's */
    char id[AICPS_HTTP_REQUEST_ID_SIZE]; /* X-Request-Id when it is 1..64 of [A-Za-z0-9._-], else
                                            random; echoed in the answer */
    uint64_t started_ns;                 /* monotonic */
    uint64_t deadline_ns;                /* monotonic; the handler should be done by then */
    bool resumed;                        /* the handler runs again after aicps_http_wait */
    void *worker;                        /* what worker_open made for this thread */
    /* Of those above the server, NULL at first, the same in on_done and after aicps_http_wait: */
    const char *route; /* pattern that the request met, "/api/v1/models/{id}": logs and metrics */
    const char *who;   /* id of the caller, for logs; in `kept` */
    void *trace;       /* the request's span, see process.h */
    aicps_http_exchange *exchange;
} aicps_http_request;

typedef struct aicps_http_response {
    aicpi_arena *arena;
    int32_t status;           /* 200 unless set */
    const char *content_type; /* "application/json" unless set */
    aicpi_strbuf body;
    aicps_http_exchange *exchange;
} aicps_http_response;

/* Runs in a worker; fills the response. What it leaves in `response` is sent when it returns. */
typedef void (*aicps_http_handler)(
    void *user, aicps_http_request *request, aicps_http_response *response);

typedef struct aicps_http_options {
    const aicp_allocator *allocator;
    const char *address;                /* "127.0.0.1", "::", ... ; NULL = 127.0.0.1 */
    uint16_t port;                      /* 0 = any free one, see aicps_http_port */
    uint32_t io_threads;                /* 0 = 2 */
    uint32_t workers;                   /* 0 = 8 */
    uint32_t queue_max;                 /* requests waiting for a worker; 0 = 1,024 */
    uint32_t connections_max;           /* 0 = 4,096 */
    uint32_t per_ip_max;                /* 0 = no limit of its own */
    size_t header_max;                  /* 0 = 16 KiB, request line included */
    size_t body_max;                    /* 0 = 1 MiB */
    uint64_t header_timeout_ms;         /* total; 0 = 10 s */
    uint64_t body_timeout_ms;           /* total; 0 = 30 s */
    uint64_t idle_timeout_ms;           /* keep-alive; 0 = 75 s */
    uint64_t handler_timeout_ms;        /* gives deadline_ns; 0 = 60 s */
    const char *const *trusted_proxies; /* addresses or CIDR, NULL-terminated */
    aicps_http_handler handler;
    /* Body cap for a request, looked at when its headers are in (uploads, callbacks); NULL or
     * 0: body_max */
    size_t (*body_max_for)(void *user, aicpi_slice method, aicpi_slice path);
    /* True: the handler is quick and never blocks; it runs on the I/O thread. NULL: never. */
    bool (*is_inline)(void *user, aicpi_slice method, aicpi_slice path);
    /* Called once an answer has left or was given up; for logs and metrics. For what was refused
     * before its head was understood, method, path and headers may be empty. */
    void (*on_done)(void *user, const aicps_http_request *request, int32_t status, uint64_t bytes);
    void *(*worker_open)(void *user); /* per worker thread; may be NULL */
    void (*worker_close)(void *user, void *worker);
    void *user;
    aicp_log_fn log;
    void *log_user;
} aicps_http_options;

/* Binds and starts. Errors: ERR_IO (address taken: the message names it), ERR_INVALID, ERR_NOMEM.
 */
aicp_status
aicps_http_start(const aicps_http_options *options, aicps_http_server **out, aicp_error *err);
uint16_t aicps_http_port(const aicps_http_server *server);
/* New requests get 503 except what `is_inline` answers; long polls run once more and get 503 when
 * they want to wait on; waits until all answers have left or `grace_ms` is over, and then accepts
 * no more connections. May be called again. Safe from any thread that is not a worker. */
void aicps_http_drain(aicps_http_server *server, uint64_t grace_ms);
/* Waits for the handlers that run (aicps_http_write refuses from now on); what is queued gets 503.
 */
void aicps_http_free(aicps_http_server *server);

typedef struct aicps_http_stats {
    uint64_t connections; /* open now */
    uint64_t active;      /* handlers running now */
    uint64_t queued;      /* waiting now */
    uint64_t rejected;    /* refused by the server itself, ever */
} aicps_http_stats;
void aicps_http_stats_get(const aicps_http_server *server, aicps_http_stats *out);

/* First header / query parameter of that name; no data when there is none. */
aicpi_slice aicps_http_header(const aicps_http_request *request, const char *lower_case_name);
aicpi_slice aicps_http_query(const aicps_http_request *request, const char *name);
/* Adds a header to the answer; both are copied. Values with control characters are refused (false).
 */
bool aicps_http_add_header(aicps_http_response *response, const char *name, const char *value);

/* Streams: sends `data` as the next part of a chunked answer; status, type and headers are fixed by
 * the first call. Blocks while the client is slow (64 KiB are buffered), but not longer than
 * body_timeout_ms. False: the client is gone or too slow, the server ends, or the request is HEAD;
 * stop. In an inline handler, which must not block, it collects a whole answer. */
bool aicps_http_write(aicps_http_response *response, const char *data, size_t len);

/* Breaks a streamed answer off without its end, so that the client sees that it is not whole. */
void aicps_http_abort(aicps_http_response *response);

/* Long poll: after the handler returns, nothing is sent; it runs again (request->resumed) when
 * aicps_http_notify(topic) is called or at `until_ns` (monotonic). Takes no worker meanwhile. A
 * notification between the handler's look and its return is not lost: pass the topic's `ticket`
 * read before looking. When the client closes its side meanwhile, the request is given up: on_done
 * gets status 499 and the handler does not run again. */
uint64_t aicps_http_ticket(aicps_http_server *server, uint32_t topic); /* topics 0..15 */
void aicps_http_wait(
    aicps_http_response *response, uint32_t topic, uint64_t ticket, uint64_t until_ns);
void aicps_http_notify(aicps_http_server *server, uint32_t topic);

/* The error body of every service: {"detail", "type", "title", "status", "errors":[{"field",
 * "message"}], "request_id"}. `detail` is a sentence. */
void aicps_http_problem(
    aicps_http_response *response,
    const aicps_http_request *request,
    int32_t status,
    const char *type,
    const char *format,
    ...) __attribute__((format(printf, 5, 6)));

#endif
