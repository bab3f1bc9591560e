/* The watchdog: total deadlines for header sections and bodies, idle connections, and the time-outs
 * of long polls. libmicrohttpd itself only knows of inactivity, which a client that sends a byte a
 * second never shows. */
#include "services/common/http/http_internal.h"

#include "lib/base/error.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define LEADER_TICK_NS UINT64_C(2000000)

bool aicps_http_watch_killed(aicps_http_connection *c) {
    return (atomic_load(&c->watch) & AICPS_HTTP_PHASES) == AICPS_HTTP_KILLED;
}

bool aicps_http_watch_set(aicps_http_connection *c, unsigned phase, uint64_t deadline_ns) {
    uint64_t before = atomic_load(&c->watch);
    uint64_t after = (deadline_ns & ~(uint64_t)AICPS_HTTP_PHASES) | phase;
    do {
        if ((before & AICPS_HTTP_PHASES) == AICPS_HTTP_KILLED) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&c->watch, &before, after));
    return true;
}

static bool received(int fd, uint64_t *bytes) {
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0) {
        return false;
    }
    *bytes = info.tcpi_bytes_received;
    return true;
}

/* A kept connection on which bytes come in has begun a request: from now on it has the time of a
 * header section. libmicrohttpd tells of a request only when its first line is whole. */
static uint64_t look_at_idle(aicps_http_connection *c, uint64_t seen, uint64_t now) {
    uint64_t bytes;
    if (!received(c->fd, &bytes)) {
        return seen;
    }
    if (c->idle_since != seen) {
        c->idle_since = seen;
        c->idle_bytes = bytes;
        return seen;
    }
    uint64_t until = now + c->server->options.header_timeout_ms * UINT64_C(1000000);
    uint64_t next = (until & ~(uint64_t)AICPS_HTTP_PHASES) | AICPS_HTTP_HEAD;
    if (bytes == c->idle_bytes || !atomic_compare_exchange_strong(&c->watch, &seen, next)) {
        return seen;
    }
    return next;
}

static void look_at(aicps_http_connection *c, uint64_t now) {
    uint64_t seen = atomic_load(&c->watch);
    if ((seen & AICPS_HTTP_PHASES) == AICPS_HTTP_IDLE) {
        seen = look_at_idle(c, seen, now);
    }
    unsigned phase = (unsigned)(seen & AICPS_HTTP_PHASES);
    uint64_t deadline = seen & ~(uint64_t)AICPS_HTTP_PHASES;
    uint64_t bytes = 0;
    if (deadline == 0 || now < deadline ||
        !atomic_compare_exchange_strong(&c->watch, &seen, AICPS_HTTP_KILLED)) {
        return;
    }
    /* The I/O thread writes nothing in these phases, so that the socket is ours. */
    if (phase == AICPS_HTTP_BODY) {
        aicps_http_answer_raw(c->fd, 408, "request_timeout", "The request body came too slowly.");
    } else if (phase == AICPS_HTTP_HEAD && received(c->fd, &bytes) && bytes > 0) {
        aicps_http_answer_raw(
            c->fd, 408, "request_timeout", "The request headers came too slowly.");
    }
    if (phase != AICPS_HTTP_IDLE) {
        atomic_fetch_add_explicit(&c->server->rejected, 1, memory_order_relaxed);
    }
    (void)shutdown(c->fd, SHUT_RDWR);
}

static uint64_t tick_of(const aicps_http_options *o) {
    uint64_t least =
        o->header_timeout_ms < o->body_timeout_ms ? o->header_timeout_ms : o->body_timeout_ms;
    least = o->idle_timeout_ms < least ? o->idle_timeout_ms : least;
    uint64_t tick = least / 8;
    return (tick < 2 ? 2 : tick > 250 ? 250 : tick) * UINT64_C(1000000);
}

static void *watch_main(void *user) {
    aicps_http_server *server = user;
    uint64_t tick = tick_of(&server->options);
    uint64_t next_tick = aicps_http_now() + tick;
    uint64_t led = 0;
    for (;;) {
        uint64_t now = aicps_http_now();
        bool leading = aicps_http_seats_watch(server, now, &led);
        aicps_http_wait_expire(server, now);
        if (now >= next_tick) {
            pthread_mutex_lock(&server->connections_lock);
            for (aicps_http_connection *c = server->connections; c; c = c->next) {
                look_at(c, now);
            }
            pthread_mutex_unlock(&server->connections_lock);
            aicps_http_wait_sweep(server);
            next_tick = now + tick;
        }
        pthread_mutex_lock(&server->wait_lock);
        server->wake_at =
            leading && now + LEADER_TICK_NS < next_tick ? now + LEADER_TICK_NS : next_tick;
        for (aicps_http_exchange *ex = server->waiters; ex; ex = ex->next) {
            server->wake_at = ex->wait_until < server->wake_at ? ex->wait_until : server->wake_at;
        }
        if (!server->watchdog_stop && !server->watchdog_called) {
            (void)aicps_http_cond_wait(&server->wait_more, &server->wait_lock, server->wake_at);
        }
        server->watchdog_called = false;
        bool stop = server->watchdog_stop;
        pthread_mutex_unlock(&server->wait_lock);
        if (stop) {
            return NULL;
        }
    }
}

aicp_status aicps_http_watch_start(aicps_http_server *server, aicp_error *err) {
    int code = pthread_create(&server->watchdog, NULL, watch_main, server);
    if (code != 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot start the watchdog: %s", strerror(code));
    }
    server->watchdog_started = true;
    return AICP_OK;
}

void aicps_http_watch_stop(aicps_http_server *server) {
    if (!server->watchdog_started) {
        return;
    }
    pthread_mutex_lock(&server->wait_lock);
    server->watchdog_stop = true;
    pthread_cond_signal(&server->wait_more);
    pthread_mutex_unlock(&server->wait_lock);
    pthread_join(server->watchdog, NULL);
    server->watchdog_started = false;
}
