#include "harness.h"

#include "unit/support.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static harness h;
static answer a;

static void setup(void) {
    harness_options(&h);
}

static void teardown(void) {
    atomic_store(&h.gate, 1);
    harness_stop(&h);
}

TestSuite(http_limits, .init = setup, .fini = teardown, .timeout = 60);

/* Sends a byte every few milliseconds until the server has had enough. */
static void drip(int fd) {
    struct timespec pause = {0, 3000000};
    for (int i = 0; i < 2000; i++) {
        char c;
        client_send(fd, "x");
        if (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
            return;
        }
        nanosleep(&pause, NULL);
    }
}

Test(http_limits, dripping_headers_end_with_408) {
    h.options.header_timeout_ms = 60;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    drip(fd);
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 408);
    cr_expect(a.close);
    cr_expect_not_null(strstr(a.body, "\"status\":408"));
    cr_expect(client_closed(fd));
    close(fd);
    cr_expect_eq(atomic_load(&h.entered), 0);
}

Test(http_limits, a_dripping_request_line_ends_with_408) {
    h.options.header_timeout_ms = 60;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /");
    drip(fd);
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 408);
    close(fd);
}

Test(http_limits, a_dripping_second_request_ends_with_408) {
    h.options.header_timeout_ms = 80;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 200);
    client_send(fd, "GET /");
    drip(fd);
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 408);
    close(fd);
}

Test(http_limits, a_silent_connection_is_closed_without_a_word) {
    h.options.header_timeout_ms = 40;
    harness_start(&h);
    int fd = client_open(&h);
    cr_expect_not(client_read(fd, &a));
    cr_expect_eq(a.status, 0);
    close(fd);
}

Test(http_limits, an_idle_connection_is_closed_without_a_word) {
    h.options.idle_timeout_ms = 40;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 200);
    cr_expect_not(client_read(fd, &a));
    cr_expect_eq(a.status, 0);
    close(fd);
}

Test(http_limits, a_dripping_body_ends_with_408) {
    h.options.body_timeout_ms = 60;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
    drip(fd);
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 408);
    cr_expect(client_closed(fd));
    close(fd);
    cr_expect_eq(atomic_load(&h.entered), 0);
    cr_expect(harness_until(&h.done, 1));
    cr_expect_eq(atomic_load(&h.last_status), 408);
}

Test(http_limits, a_slow_handler_is_not_cut_off_by_the_deadlines_of_reading) {
    struct timespec pause = {0, 150000000};
    h.options.header_timeout_ms = h.options.body_timeout_ms = h.options.idle_timeout_ms = 40;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(harness_until(&h.entered, 1));
    nanosleep(&pause, NULL);
    atomic_store(&h.gate, 1);
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 200);
    close(fd);
}

Test(http_limits, a_full_queue_is_503_at_once_and_inline_still_answers) {
    h.options.workers = 1;
    h.options.queue_max = 1;
    harness_start(&h);
    int running = client_open(&h), queued = client_open(&h);
    client_send(running, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(harness_until(&h.entered, 1));
    client_send(queued, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    aicps_http_stats stats = {0, 0, 0, 0};
    for (int i = 0; i < 10000 && stats.queued == 0; i++) {
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
        aicps_http_stats_get(h.server, &stats);
    }
    cr_expect_eq(stats.queued, 1);
    cr_expect_eq(stats.active, 1);
    cr_expect_eq(stats.connections, 2);
    cr_assert_eq(client_ask(&h, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", &a), 503);
    cr_expect_not_null(strstr(a.head, "Retry-After: "));
    cr_expect_not_null(strstr(a.body, "\"status\":503"));
    cr_assert_eq(client_ask(&h, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    atomic_store(&h.gate, 1);
    cr_assert(client_read(running, &a));
    cr_expect_eq(a.status, 200);
    cr_assert(client_read(queued, &a));
    cr_expect_eq(a.status, 200);
    close(running);
    close(queued);
}

Test(http_limits, connections_over_the_limit_of_an_address_are_closed) {
    h.options.per_ip_max = 2;
    h.options.io_threads = 1;
    harness_start(&h);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = client_open(&h);
        client_send(fds[i], "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(client_read(fds[i], &a));
    }
    int third = client_open(&h);
    cr_expect(client_closed(third));
    close(third);
    close(fds[0]);
    close(fds[1]);
}

Test(http_limits, drain_lets_running_handlers_end_and_refuses_new_ones) {
    h.options.workers = 2;
    harness_start(&h);
    int running = client_open(&h), kept = client_open(&h);
    client_send(kept, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(kept, &a));
    client_send(running, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(harness_until(&h.entered, 2));
    aicps_http_drain(h.server, 20); /* over before the handler is */
    cr_expect_eq(atomic_load(&h.left), 1);
    client_send(kept, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(kept, &a));
    cr_expect_eq(a.status, 503);
    cr_expect(a.close);
    atomic_store(&h.gate, 1);
    aicps_http_drain(h.server, 10000);
    cr_expect_eq(atomic_load(&h.left), 2);
    cr_assert(client_read(running, &a));
    cr_expect_eq(a.status, 200);
    cr_expect(a.close);
    close(running);
    close(kept);
}

static void *drain(void *user) {
    aicps_http_drain(user, 30000);
    return NULL;
}

static int32_t ask_anew(const char *request) {
    int fd = client_open(&h);
    client_send(fd, request);
    cr_assert(client_read(fd, &a));
    close(fd);
    return a.status;
}

Test(http_limits, new_connections_are_answered_while_running_handlers_end) {
    pthread_t thread;
    h.options.workers = 2;
    harness_start(&h);
    int running = client_open(&h);
    client_send(running, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(harness_until(&h.entered, 1));
    cr_assert_eq(pthread_create(&thread, NULL, drain, h.server), 0);
    while (ask_anew("GET /x HTTP/1.1\r\nHost: x\r\n\r\n") != 503) { /* not draining yet */
    }
    cr_expect_eq(ask_anew("GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    cr_expect(a.close);
    atomic_store(&h.gate, 1);
    pthread_join(thread, NULL);
    cr_assert(client_read(running, &a));
    cr_expect_eq(a.status, 200);
    close(running);
}

Test(http_limits, drain_answers_inline_requests) {
    harness_start(&h);
    int kept = client_open(&h);
    client_send(kept, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(kept, &a));
    aicps_http_drain(h.server, 1000);
    client_send(kept, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(kept, &a));
    cr_expect_eq(a.status, 200);
    cr_expect(a.close);
    close(kept);
}

Test(http_limits, drain_lets_nobody_wait_any_more) {
    harness_start(&h);
    int kept = client_open(&h);
    client_send(kept, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(kept, &a));
    aicps_http_drain(h.server, 1000);
    client_send(kept, "GET /inline-poll HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(kept, &a));
    cr_expect_eq(a.status, 503);
    cr_expect(a.close);
    close(kept);
}

Test(http_limits, drain_ends_long_polls) {
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(harness_until(&h.polls, 1));
    aicps_http_drain(h.server, 10000);
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 503);
    cr_expect(a.close);
    close(fd);
}

Test(http_limits, a_taken_port_is_named) {
    aicp_error err;
    aicps_http_server *second;
    harness_start(&h);
    aicps_http_options o = h.options;
    o.port = aicps_http_port(h.server);
    cr_assert_eq(aicps_http_start(&o, &second, &err), AICP_ERR_IO);
    cr_expect_null(second);
    cr_expect_not_null(strstr(err.message, "127.0.0.1"), "%s", err.message);
    o.port = 0;
    o.address = "localhost";
    cr_expect_eq(aicps_http_start(&o, &second, &err), AICP_ERR_INVALID);
    static const char *const wrong[] = {"10.0.0.0/33", NULL};
    o.address = NULL;
    o.trusted_proxies = wrong;
    cr_expect_eq(aicps_http_start(&o, &second, &err), AICP_ERR_INVALID);
    cr_expect_not_null(strstr(err.message, "10.0.0.0/33"), "%s", err.message);
}

Test(http_limits, trusted_proxies_name_the_client) {
    static const char *const proxies[] = {"127.0.0.0/8", "10.1.2.3", "2001:db8::/32", NULL};
    static const struct {
        const char *sent, *ip;
    } rows[] = {
        {"", "127.0.0.1"},
        {"X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"},
        {"X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.1.2.3\r\n", "192.0.2.7"},
        {"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 2001:db8::1,10.1.2.3\r\n", "192.0.2.7"},
        {"X-Forwarded-For: 10.1.2.3\r\n", "10.1.2.3"},
        {"X-Forwarded-For: 192.0.2.7, nonsense\r\n", "127.0.0.1"},
        {"X-Forwarded-For: 192.0.2.7, nonsense, 10.1.2.3\r\n", "10.1.2.3"},
        {"X-Forwarded-For: [2001:DB9::1]:443\r\n", "2001:db9::1"},
        {"X-Forwarded-For: 192.0.2.7:8080\r\n", "192.0.2.7"},
        {"X-Forwarded-For: ::ffff:192.0.2.9\r\n", "192.0.2.9"},
    };
    h.options.trusted_proxies = proxies;
    harness_start(&h);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char request[512], want[128];
        (void)snprintf(
            request, sizeof request, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", rows[i].sent);
        (void)snprintf(want, sizeof want, "ip=%s body", rows[i].ip);
        cr_assert_eq(client_ask(&h, request, &a), 200);
        cr_expect_not_null(strstr(a.body, want), "%zu: %s", i, a.body);
    }
}

Test(http_limits, forwarded_for_of_others_is_not_believed) {
    harness_start(&h);
    cr_assert_eq(
        client_ask(&h, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n", &a), 200);
    cr_expect_not_null(strstr(a.body, "ip=127.0.0.1"));
}

Test(http_limits, warm_requests_do_not_allocate) {
    static const char *const requests[] = {
        "GET /x/y?a=b%20c&d=+ HTTP/1.1\r\nHost: x\r\nX-Probe: p\r\n\r\n",
        "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /problem HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /poll?ms=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    test_heap heap = {0};
    aicp_allocator allocator = test_allocator(&heap);
    h.options.allocator = &allocator;
    h.options.io_threads = 1;
    harness_start(&h);
    int fd = client_open(&h);
    size_t before = 0;
    for (int i = 0; i < 120; i++) {
        if (i == 60) {
            before = heap.allocations;
        }
        client_send(fd, requests[i % 6]);
        cr_assert(client_read(fd, &a));
        cr_assert(harness_until(&h.done, i + 1));
    }
    cr_expect_eq(heap.allocations, before, "%zu allocations", heap.allocations - before);
    close(fd);
    harness_stop(&h);
    cr_expect_eq(heap.live, 0);
    harness_options(&h);
    harness_start(&h); /* for the teardown */
}

/* A request may fail for want of memory, but in an orderly way. */
static bool start_and_ask(void *user, const aicp_allocator *allocator) {
    aicp_error err;
    bool *answered = user;
    harness_options(&h);
    h.options.allocator = allocator;
    h.options.io_threads = h.options.workers = 1;
    aicp_status status = aicps_http_start(&h.options, &h.server, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM;
    }
    int got =
        client_ask(&h, "POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok", &a);
    aicps_http_free(h.server);
    *answered = got == 200;
    return got == 0 || got == 200 || got == 500 || got == 503;
}

Test(http_limits, every_allocation_may_fail) {
    bool answered = false;
    cr_expect_gt(test_every_allocation_failing(start_and_ask, &answered), 5);
    cr_expect(answered);
    harness_options(&h);
    harness_start(&h); /* for the teardown */
}
