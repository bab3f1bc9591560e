#include "harness.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

TestSuite(http_stream, .init = setup, .fini = teardown, .timeout = 60);

/* Closes with a reset, as a process that is killed with unread data does. */
static void reset(int fd) {
    struct linger now = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static void still_serves(void) {
    cr_assert_eq(client_ask(&h, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_assert_eq(client_ask(&h, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(a.body, "part 0\npart 1\npart 2\n");
}

Test(http_stream, client_leaves_while_the_handler_runs) {
    harness_start(&h);
    int fds[2] = {client_open(&h), client_open(&h)};
    for (int i = 0; i < 2; i++) {
        client_send(fds[i], "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    cr_assert(harness_until(&h.entered, 2));
    reset(fds[0]);
    close(fds[1]);
    atomic_store(&h.gate, 1);
    cr_expect(harness_until(&h.done, 2));
    still_serves();
}

Test(http_stream, client_leaves_while_it_is_streamed_to) {
    harness_start(&h);
    char some[1000];
    int fd = client_open(&h);
    client_send(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_gt(recv(fd, some, sizeof some, 0), 0);
    reset(fd);
    cr_expect(harness_until(&h.refused, 1));
    cr_expect(harness_until(&h.done, 1));
    still_serves();
}

Test(http_stream, a_slow_reader_holds_the_writer_back_and_is_given_up) {
    h.options.body_timeout_ms = 200;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_expect(harness_until(&h.refused, 1));
    /* Buffers of the kernel and ours: far less than an endless stream would write. */
    cr_expect_lt(atomic_load(&h.written), 4096);
    cr_expect(harness_until(&h.done, 1));
    close(fd);
    still_serves();
}

Test(http_stream, a_reader_that_goes_on_gets_all_of_a_long_stream) {
    harness_start(&h);
    static char some[65536];
    size_t got = 0;
    int fd = client_open(&h);
    client_send(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    while (got < (size_t)64 << 20) {
        ssize_t n = recv(fd, some, sizeof some, 0);
        cr_assert_gt(n, 0);
        got += (size_t)n;
    }
    cr_expect_eq(atomic_load(&h.refused), 0);
    reset(fd);
    cr_expect(harness_until(&h.refused, 1));
}

Test(http_stream, head_of_a_stream_ends) {
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "HEAD /endless HTTP/1.1\r\nHost: x\r\n\r\nHEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read_head(fd, &a));
    cr_expect_eq(a.status, 200);
    cr_expect_eq(atomic_load(&h.refused), 1);
    cr_assert(client_read_head(fd, &a));
    cr_expect_eq(a.status, 200);
    cr_expect_not_null(strstr(a.head, "Content-Length: "));
    client_send(fd, "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 204);
    cr_expect_null(strstr(a.head, "Content-Type"));
    close(fd);
}

Test(http_stream, a_stream_to_http_1_0_ends_with_the_connection) {
    char all[2048];
    size_t len = 0;
    ssize_t n;
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /stream HTTP/1.0\r\n\r\n");
    while ((n = recv(fd, all + len, sizeof all - 1 - len, 0)) > 0) {
        len += (size_t)n;
    }
    all[len] = 0;
    cr_expect_eq(n, 0);
    cr_expect_not_null(strstr(all, "\r\n\r\npart 0\npart 1\npart 2\n"), "%s", all);
    close(fd);
}

Test(http_stream, notify_ends_a_long_poll) {
    harness_start(&h);
    int fd = client_open(&h);
    client_send(fd, "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(harness_until(&h.polls, 1));
    aicps_http_notify(h.server, 4); /* another topic */
    atomic_store(&h.ticket, 1);
    aicps_http_notify(h.server, 3);
    cr_assert(client_read(fd, &a));
    cr_expect_str_eq(a.body, "resumed=1 seen=1");
    cr_expect_eq(atomic_load(&h.polls), 2);
    close(fd);
}

Test(http_stream, a_notification_between_look_and_wait_is_not_lost) {
    harness_start(&h);
    cr_assert_eq(client_ask(&h, "GET /poll?late=1 HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(a.body, "resumed=1 seen=0");
}

Test(http_stream, an_inline_handler_may_wait) {
    harness_start(&h);
    cr_assert_eq(client_ask(&h, "GET /inline-poll?ms=20 HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(a.body, "resumed=1 seen=0");
}

Test(http_stream, waiting_takes_no_worker) {
    int fds[32];
    h.options.workers = 1;
    harness_start(&h);
    for (int i = 0; i < 32; i++) {
        fds[i] = client_open(&h);
        client_send(fds[i], "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    cr_assert(harness_until(&h.polls, 32));
    cr_assert_eq(client_ask(&h, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    atomic_store(&h.ticket, 1);
    aicps_http_notify(h.server, 3);
    for (int i = 0; i < 32; i++) {
        cr_assert(client_read(fds[i], &a));
        cr_expect_str_eq(a.body, "resumed=1 seen=1");
        close(fds[i]);
    }
}

Test(http_stream, client_leaves_while_it_polls) {
    harness_start(&h);
    int fds[2] = {client_open(&h), client_open(&h)};
    for (int i = 0; i < 2; i++) {
        client_send(fds[i], "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    cr_assert(harness_until(&h.polls, 2));
    reset(fds[0]);
    close(fds[1]);
    atomic_store(&h.ticket, 1);
    aicps_http_notify(h.server, 3);
    cr_expect(harness_until(&h.done, 2));
    still_serves();
}

Test(http_stream, a_poll_whose_client_has_left_is_given_up) {
    h.options.idle_timeout_ms = 80; /* and so the watchdog's pace */
    harness_start(&h);
    int fds[2] = {client_open(&h), client_open(&h)};
    for (int i = 0; i < 2; i++) {
        client_send(fds[i], "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    cr_assert(harness_until(&h.polls, 2));
    close(fds[0]);
    cr_expect(harness_until(&h.done, 1));
    cr_expect_eq(atomic_load(&h.last_status), 499);
    cr_expect_eq(atomic_load(&h.polls), 2);
    atomic_store(&h.ticket, 1);
    aicps_http_notify(h.server, 3);
    cr_assert(client_read(fds[1], &a));
    cr_expect_str_eq(a.body, "resumed=1 seen=1");
    close(fds[1]);
}

Test(http_stream, notifications_race_with_waits) {
    harness_start(&h);
    atomic_store(&h.ticket, 0);
    for (int round = 0; round < 50; round++) {
        int fd = client_open(&h);
        client_send(fd, "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n");
        if (round % 2) {
            cr_assert(harness_until(&h.entered, 1));
        }
        atomic_store(&h.ticket, 1);
        aicps_http_notify(h.server, 3);
        cr_assert(client_read(fd, &a), "round %d", round);
        cr_expect_not_null(strstr(a.body, "seen=1"));
        close(fd);
        atomic_store(&h.ticket, 0);
    }
}

static void *one_client(void *user) {
    int index = *(int *)user;
    answer *own = calloc(1, sizeof *own);
    int fd = client_open(&h);
    for (int i = 0; i < 10; i++) {
        char request[256], want[64];
        (void)snprintf(want, sizeof want, "{n=%d-%d}", index, i);
        (void)snprintf(
            request,
            sizeof request,
            "POST /%s?n=%d-%d HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
            i % 3 ? "x" : "inline",
            index,
            i);
        client_send(fd, request);
        cr_assert(client_read(fd, own), "client %d request %d", index, i);
        cr_assert_not_null(strstr(own->body, want), "%s", own->body);
        client_send(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(client_read(fd, own), "client %d stream %d", index, i);
        cr_assert_str_eq(own->body, "part 0\npart 1\npart 2\n");
    }
    close(fd);
    free(own);
    return NULL;
}

Test(http_stream, sixty_four_connections_at_once) {
    pthread_t threads[64];
    int indexes[64];
    harness_start(&h);
    for (int i = 0; i < 64; i++) {
        indexes[i] = i;
        cr_assert_eq(pthread_create(&threads[i], NULL, one_client, &indexes[i]), 0);
    }
    for (int i = 0; i < 64; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_expect(harness_until(&h.done, 64 * 20));
    cr_expect_eq(atomic_load(&h.done), 64 * 20);
}

Test(http_stream, free_ends_streams_polls_and_queues) {
    int fds[5];
    h.options.workers = 2;
    harness_start(&h);
    static const char *const requests[] = {
        "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"};
    for (int i = 0; i < 5; i++) {
        fds[i] = client_open(&h);
        client_send(fds[i], requests[i]);
        if (i == 0) {
            cr_assert(harness_until(&h.polls, 1));
        }
    }
    cr_assert(harness_until(&h.written, 32));
    aicps_http_stats stats = {0, 0, 0, 0};
    while (stats.connections < 5 || stats.active < 2) {
        aicps_http_stats_get(h.server, &stats);
    }
    harness_stop(&h);
    cr_expect_eq(atomic_load(&h.refused), 1);
    for (int i = 0; i < 5; i++) {
        close(fds[i]);
    }
    harness_options(&h);
    harness_start(&h); /* for the teardown */
    still_serves();
}
