/* Door to libcurl: HTTP requests with deadlines, retries, size caps and a guard against requests
 * that are aimed at the inner network. */
#ifndef AICPI_NET_NET_H
#define AICPI_NET_NET_H

#include "lib/base/slice.h"
#include "lib/base/strbuf.h"

#include "aicp/base.h"

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

/* A pool of connections. Synchronised. libcurl's own memory comes from the C library. After a fork
 * the child must not use the parent's client. */
typedef struct aicpi_net_client aicpi_net_client;

typedef struct aicpi_net_options {
    const aicp_allocator *allocator;
    uint64_t timeout_ms;         /* whole request with retries; 0 = 30 s */
    uint64_t connect_timeout_ms; /* 0 = 5 s */
    size_t max_response;         /* bytes after decompression; 0 = 64 MiB */
    uint32_t max_idle;           /* handles kept for reuse; 0 = 8 */
    uint32_t retries;            /* of idempotent requests; 0 = 2 */
    /* Refuse addresses that are not public (loopback, private, link-local, ...), looked at after
     * the name was resolved, so that no name can point there. Proxies of the environment are not
     * used then. */
    bool public_only;
    const char *ca_file; /* PEM bundle instead of the system's; NULL = the system's */
} aicpi_net_options;

/* Lets another thread end a request at once, whatever it waits for. For one request at a time; it
 * keeps that request's connection for the next one. */
typedef struct aicpi_net_stop aicpi_net_stop;

typedef struct aicpi_net_header {
    aicpi_slice name;
    aicpi_slice value;
} aicpi_net_header;

/* Gets pieces of a 2xx body as they come; false stops the request (ERR_CALLBACK). */
typedef bool (*aicpi_net_chunk_fn)(void *user, const char *data, size_t len);

typedef struct aicpi_net_request {
    const char *method;
    aicpi_slice url;
    const aicpi_net_header *headers;
    size_t header_count;
    aicpi_slice body;    /* sent when its data is not NULL */
    uint64_t timeout_ms; /* 0 = the client's */
    size_t max_response; /* 0 = the client's */
    /* A kept connection that turns out dead makes libcurl send again, though the server may have
     * seen the first one. So requests that are not idempotent get a fresh connection unless this
     * says that a second time does no harm. */
    bool may_repeat;
    aicpi_net_chunk_fn on_chunk; /* NULL: the body is collected */
    void *user;
    aicpi_net_stop *stop; /* NULL: it cannot be ended early. With one nothing is sent again */
} aicpi_net_request;

typedef struct aicpi_net_response {
    int32_t status;
    uint32_t attempts;
    aicpi_strbuf body;
    aicpi_strbuf headers; /* "name: value\n", names in lower case */
} aicpi_net_response;

void aicpi_net_response_init(aicpi_net_response *r, const aicp_allocator *a);
void aicpi_net_response_deinit(aicpi_net_response *r);
/* Value of the last header of that (lower-case) name; no data when there is none. */
aicpi_slice aicpi_net_response_header(const aicpi_net_response *r, const char *name);

aicp_status
aicpi_net_client_new(const aicpi_net_options *options, aicpi_net_client **out, aicp_error *err);
void aicpi_net_client_free(aicpi_net_client *client); /* NULL is fine */

aicp_status aicpi_net_stop_new(const aicp_allocator *a, aicpi_net_stop **out, aicp_error *err);
void aicpi_net_stop_free(aicpi_net_stop *stop); /* NULL is fine; not while a request uses it */
/* Ends the request under way and every later one with ERR_CALLBACK. Any thread. */
void aicpi_net_stop_now(aicpi_net_stop *stop);
bool aicpi_net_stopped(const aicpi_net_stop *stop);

/* Sends and waits. OK for every HTTP answer, whatever its status. Idempotent methods (GET, HEAD,
 * PUT, DELETE, OPTIONS) are sent again: at once on a fresh connection after a reset, and with
 * pauses after failures to connect and 502, 503, 504, all within the timeout. Redirects are not
 * followed. Errors: ERR_NET_CONNECT, ERR_NET_TLS, ERR_NET_FORBIDDEN, ERR_TIMEOUT, ERR_LIMIT (body
 * too large), ERR_INVALID (URL, header), ERR_CALLBACK, ERR_IO. Messages show no query and no
 * password. */
aicp_status aicpi_net_perform(
    aicpi_net_client *client,
    const aicpi_net_request *request,
    aicpi_net_response *response,
    aicp_error *err);

/* Appends `text` with everything but unreserved characters percent-encoded (RFC 3986). */
void aicpi_net_escape(aicpi_strbuf *b, aicpi_slice text);
/* Whether an address lies in the public internet. */
bool aicpi_net_is_public(const struct sockaddr *address);

#endif
