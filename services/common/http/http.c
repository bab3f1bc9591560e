#include "services/common/http/http_internal.h"

#include "lib/base/error.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void defaults(aicps_http_options *o) {
    o->address = o->address ? o->address : "127.0.0.1";
    o->io_threads = o->io_threads ? o->io_threads : 2;
    o->workers = o->workers ? o->workers : 8;
    o->queue_max = o->queue_max ? o->queue_max : 1024;
    o->connections_max = o->connections_max ? o->connections_max : 4096;
    o->header_max = o->header_max ? o->header_max : (size_t)16 << 10;
    o->body_max = o->body_max ? o->body_max : (size_t)1 << 20;
    o->header_timeout_ms = o->header_timeout_ms ? o->header_timeout_ms : 10000;
    o->body_timeout_ms = o->body_timeout_ms ? o->body_timeout_ms : 30000;
    o->idle_timeout_ms = o->idle_timeout_ms ? o->idle_timeout_ms : 75000;
    o->handler_timeout_ms = o->handler_timeout_ms ? o->handler_timeout_ms : 60000;
}

static aicp_status
listen_on(aicps_http_server *server, const struct addrinfo *address, aicp_error *err) {
    int on = 1, off = 0;
    union {
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;
        struct sockaddr any;
    } bound = {0};
    socklen_t len = sizeof bound;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    server->listener = fd;
    if (fd < 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot make a socket: %s", strerror(errno));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, &bound.any, &len) != 0) {
        return aicpi_fail(
            err,
            AICP_ERR_IO,
            "cannot listen on %s port %u: %s",
            server->options.address,
            (unsigned)server->options.port,
            strerror(errno));
    }
    server->port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return AICP_OK;
}

static aicp_status bind_address(aicps_http_server *server, aicp_error *err) {
    struct addrinfo hints, *found = NULL;
    char port[8];
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    (void)snprintf(port, sizeof port, "%u", (unsigned)server->options.port);
    int code = getaddrinfo(server->options.address, port, &hints, &found);
    if (code != 0) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "\"%s\" is not an address to listen on: %s",
            server->options.address,
            gai_strerror(code));
    }
    aicp_status status = listen_on(server, found, err);
    freeaddrinfo(found);
    return status;
}

static aicp_status read_trusted(aicps_http_server *server, aicp_error *err) {
    const char *const *list = server->options.trusted_proxies;
    size_t count = 0;
    while (list && list[count]) {
        count++;
    }
    if (count == 0) {
        return AICP_OK;
    }
    server->trusted = aicpi_calloc(&server->allocator, count, sizeof *server->trusted);
    if (!server->trusted) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        if (!aicps_http_network_parse(aicpi_slice_cstr(list[i]), &server->trusted[i])) {
            return aicpi_fail(
                err,
                AICP_ERR_INVALID,
                "trusted proxy \"%s\" is not an address or network",
                list[i]);
        }
    }
    server->trusted_count = count;
    return AICP_OK;
}

/* Held for a few instructions only: trying again is cheaper than sleeping. */
static bool lock_init(pthread_mutex_t *lock) {
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0) {
        return false;
    }
    bool ok = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP) == 0 &&
              pthread_mutex_init(lock, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    return ok;
#else
    return pthread_mutex_init(lock, NULL) == 0;
#endif
}

static bool locks_init(aicps_http_server *server) {
    return pthread_mutex_init(&server->connections_lock, NULL) == 0 &&
           lock_init(&server->free_lock) && lock_init(&server->queue_lock) &&
           pthread_mutex_init(&server->wait_lock, NULL) == 0 &&
           sem_init(&server->queue_more, 0, 0) == 0 && aicps_http_cond_init(&server->live_none) &&
           aicps_http_cond_init(&server->wait_more);
}

static aicp_status start_parts(aicps_http_server *server, aicp_error *err) {
    aicp_status status = read_trusted(server, err);
    if (!status) {
        status = bind_address(server, err);
    }
    if (!status) {
        status = aicps_http_seats_start(server, err);
    }
    if (!status) {
        status = aicps_http_watch_start(server, err);
    }
    return status ? status : aicps_http_workers_start(server, err);
}

aicp_status
aicps_http_start(const aicps_http_options *options, aicps_http_server **out, aicp_error *err) {
    *out = NULL;
    if (!options->handler) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the HTTP server needs a handler");
    }
    aicp_allocator a = aicpi_allocator(options->allocator);
    aicps_http_server *server = aicpi_calloc(&a, 1, sizeof *server);
    if (!server) {
        return aicpi_nomem(err);
    }
    server->allocator = a;
    server->options = *options;
    server->listener = -1;
    server->log = (aicpi_log){options->log, options->log_user, AICP_LOG_DEBUG, "http"};
    defaults(&server->options);
    if (!locks_init(server)) {
        aicpi_free(&a, server);
        return aicpi_nomem(err);
    }
    aicp_status status = start_parts(server, err);
    if (status) {
        aicps_http_free(server);
        return status;
    }
    *out = server;
    return AICP_OK;
}

uint16_t aicps_http_port(const aicps_http_server *server) {
    return server->port;
}

static void quiesce(aicps_http_server *server) {
    if (server->listener < 0) {
        return;
    }
    for (size_t i = 0; i < server->seat_count; i++) {
        (void)MHD_quiesce_daemon(server->seats[i].daemon);
    }
    close(server->listener);
    server->listener = -1;
}

void aicps_http_drain(aicps_http_server *server, uint64_t grace_ms) {
    uint64_t until = aicps_http_now() + grace_ms * UINT64_C(1000000);
    atomic_store(&server->draining, true);
    aicps_http_wait_flush(server);
    aicps_http_live_wait(server, until); /* who comes meanwhile is told, also by new connections */
    quiesce(server);
    aicps_http_live_wait(server, until);
}

static void free_exchanges(aicps_http_server *server) {
    while (server->free_list) {
        aicps_http_exchange *ex = server->free_list;
        server->free_list = ex->next;
        aicps_http_exchange_destroy(ex);
    }
}

void aicps_http_free(aicps_http_server *server) {
    if (!server) {
        return;
    }
    atomic_store(&server->draining, true);
    atomic_store(&server->stopping, true);
    quiesce(server);
    aicps_http_wait_flush(server);
    aicps_http_workers_stop(server); /* all suspended requests have been handed back after it */
    aicps_http_watch_stop(server);   /* it looks at the seats */
    aicps_http_seats_stop(server);
    free_exchanges(server);
    pthread_mutex_destroy(&server->connections_lock);
    pthread_mutex_destroy(&server->free_lock);
    pthread_mutex_destroy(&server->queue_lock);
    pthread_mutex_destroy(&server->wait_lock);
    sem_destroy(&server->queue_more);
    pthread_cond_destroy(&server->live_none);
    pthread_cond_destroy(&server->wait_more);
    aicpi_free(&server->allocator, server->trusted);
    aicp_allocator a = server->allocator;
    aicpi_free(&a, server);
}

void aicps_http_stats_get(const aicps_http_server *server, aicps_http_stats *out) {
    aicps_http_server *s = (aicps_http_server *)(uintptr_t)server; /* only its lock changes */
    pthread_mutex_lock(&s->queue_lock);
    out->active = s->running + atomic_load(&s->inline_active);
    out->queued = s->queued;
    pthread_mutex_unlock(&s->queue_lock);
    out->connections = atomic_load(&s->connection_count);
    out->rejected = atomic_load(&s->rejected);
}

static aicpi_slice find(const aicps_http_pair *pairs, size_t count, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name.len == len && memcmp(pairs[i].name.data, name, len) == 0) {
            return pairs[i].value;
        }
    }
    return (aicpi_slice){NULL, 0};
}

aicpi_slice aicps_http_header(const aicps_http_request *request, const char *lower_case_name) {
    return find(request->headers, request->header_count, lower_case_name);
}

aicpi_slice aicps_http_query(const aicps_http_request *request, const char *name) {
    return find(request->query, request->query_count, name);
}
