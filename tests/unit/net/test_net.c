#include "lib/net/net.h"

#include "unit/net/http_server.h"
#include "unit/support.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef struct fixture {
    http_server *server;
    aicpi_net_client *client;
    aicpi_net_response response;
    char url[64];
} fixture;

static void make(fixture *f, http_handler handler, const aicpi_net_options *options) {
    f->server = http_server_start(handler, NULL);
    cr_assert_eq(aicpi_net_client_new(options, &f->client, NULL), AICP_OK);
    aicpi_net_response_init(&f->response, NULL);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/a?b=c", http_server_port(f->server));
}

static void finish(fixture *f) {
    aicpi_net_response_deinit(&f->response);
    aicpi_net_client_free(f->client);
    http_server_stop(f->server);
}

static aicp_status call(fixture *f, const char *method, const char *body, aicp_error *err) {
    aicpi_net_request q = {
        .method = method, .url = aicpi_slice_cstr(f->url), .body = aicpi_slice_cstr(body)};
    return aicpi_net_perform(f->client, &q, &f->response, err);
}

static void echo(void *user, const http_request *q, http_connection *c) {
    (void)user;
    char body[4096];
    snprintf(body, sizeof body, "%s %s %s %d", q->method, q->target, q->body, q->connection);
    http_reply(c, 200, "X-One: 1\r\nX-Empty:\r\n", body);
}

Test(net, requests_reach_the_server_and_reuse_the_connection) {
    fixture f;
    make(&f, echo, NULL);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_OK);
    cr_assert_eq(f.response.status, 200);
    cr_assert_str_eq(f.response.body.data, "GET /a?b=c  1");
    aicpi_slice one = aicpi_net_response_header(&f.response, "x-one");
    cr_assert(aicpi_slice_is(one, "1"));
    cr_assert_null(aicpi_net_response_header(&f.response, "x-two").data);
    cr_assert_not_null(aicpi_net_response_header(&f.response, "x-empty").data);
    cr_assert_eq(call(&f, "PUT", "hello", NULL), AICP_OK);
    cr_assert_str_eq(f.response.body.data, "PUT /a?b=c hello 1");
    cr_assert_eq(call(&f, "POST", "x", NULL), AICP_OK);
    cr_assert_str_eq(
        f.response.body.data, "POST /a?b=c x 2", "on a connection that cannot be stale");
    finish(&f);
}

static void reset_first(void *user, const http_request *q, http_connection *c) {
    if (q->number == 1) {
        http_reset(c);
    } else {
        echo(user, q, c);
    }
}

Test(net, a_reset_is_repeated_once_for_idempotent_methods_only) {
    fixture f;
    make(&f, reset_first, NULL);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_OK);
    cr_assert_eq(f.response.attempts, 2);
    finish(&f);
    make(&f, reset_first, NULL);
    aicp_error err = {0};
    cr_assert_eq(call(&f, "POST", "x", &err), AICP_ERR_IO);
    cr_assert_eq(http_server_requests(f.server), 1);
    cr_assert_null(strstr(err.message, "b=c"), "no query in messages: %s", err.message);
    finish(&f);
}

static void always_reset(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reset(c);
}

Test(net, a_second_reset_is_final) {
    fixture f;
    make(&f, always_reset, NULL);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_ERR_IO);
    cr_assert_eq(http_server_requests(f.server), 2);
    finish(&f);
}

/* An error that closes the kept connection afterwards, as LiteLLM's unhandled ones do. */
static void error_then_reset(void *user, const http_request *q, http_connection *c) {
    if (q->number == 1) {
        http_reply(c, 500, "", "oops");
        http_reset(c);
    } else {
        echo(user, q, c);
    }
}

Test(net, a_dead_kept_connection_does_no_harm) {
    fixture f;
    make(&f, error_then_reset, NULL);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_OK);
    cr_assert_eq(f.response.status, 500);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_OK);
    cr_assert_eq(f.response.status, 200);
    cr_assert_eq(call(&f, "POST", "x", NULL), AICP_OK);
    finish(&f);
}

static void busy_first(void *user, const http_request *q, http_connection *c) {
    if (q->number < 3) {
        http_reply(c, 503, "", "busy");
    } else {
        echo(user, q, c);
    }
}

Test(net, busy_servers_are_asked_again_after_a_pause) {
    fixture f;
    make(&f, busy_first, NULL);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_OK);
    cr_assert_eq(f.response.status, 200);
    cr_assert_eq(f.response.attempts, 3);
    finish(&f);
    make(&f, busy_first, NULL);
    cr_assert_eq(call(&f, "POST", "x", NULL), AICP_OK);
    cr_assert_eq(f.response.status, 503);
    cr_assert_eq(f.response.attempts, 1);
    finish(&f);
}

static void never(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_wait_for_end(c);
}

Test(net, a_server_that_never_answers_times_out) {
    fixture f;
    aicpi_net_options o = {.timeout_ms = 150};
    make(&f, never, &o);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_ERR_TIMEOUT);
    finish(&f);
}

static void redirect(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reply(c, 302, "Location: http://127.0.0.1:1/\r\n", "");
}

Test(net, redirects_are_not_followed) {
    fixture f;
    make(&f, redirect, NULL);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_OK);
    cr_assert_eq(f.response.status, 302);
    cr_assert_eq(http_server_requests(f.server), 1);
    finish(&f);
}

static void large(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    static const char HEAD[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    http_puts(c, HEAD);
    for (int i = 0; i < 100; i++) {
        http_puts(c, "400\r\n");
        for (int k = 0; k < 64; k++) {
            http_puts(c, "0123456789abcdef");
        }
        http_puts(c, "\r\n");
    }
    http_puts(c, "0\r\n\r\n");
}

Test(net, too_large_answers_are_cut_off) {
    fixture f;
    aicpi_net_options o = {.max_response = 50000};
    make(&f, large, &o);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_ERR_LIMIT);
    finish(&f);
    o.max_response = 102400;
    make(&f, large, &o);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_OK);
    cr_assert_eq(f.response.body.len, 102400);
    finish(&f);
}

static bool count_chunks(void *user, const char *data, size_t len) {
    (void)data;
    size_t *left = user;
    if (len >= *left) {
        return false;
    }
    *left -= len;
    return true;
}

Test(net, pieces_of_a_body_go_to_the_caller_who_may_stop) {
    fixture f;
    make(&f, large, NULL);
    size_t left = 1000000;
    aicpi_net_request q = {
        .method = "GET", .url = aicpi_slice_cstr(f.url), .on_chunk = count_chunks, .user = &left};
    cr_assert_eq(aicpi_net_perform(f.client, &q, &f.response, NULL), AICP_OK);
    cr_assert_eq(left, 1000000 - 102400);
    cr_assert_eq(f.response.body.len, 0);
    left = 2000;
    cr_assert_eq(aicpi_net_perform(f.client, &q, &f.response, NULL), AICP_ERR_CALLBACK);
    finish(&f);
}

static void cut_short(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    http_close(c);
}

Test(net, a_body_that_is_cut_short_is_an_error) {
    fixture f;
    make(&f, cut_short, NULL);
    cr_assert_eq(call(&f, "GET", NULL, NULL), AICP_ERR_IO);
    finish(&f);
}

Test(net, the_guard_refuses_inner_addresses_by_number_and_by_name) {
    fixture f;
    aicpi_net_options o = {.public_only = true};
    make(&f, echo, &o);
    aicp_error err = {0};
    cr_assert_eq(call(&f, "GET", NULL, &err), AICP_ERR_NET_FORBIDDEN);
    snprintf(f.url, sizeof f.url, "http://localhost:%d/", http_server_port(f.server));
    cr_assert_eq(call(&f, "GET", NULL, &err), AICP_ERR_NET_FORBIDDEN, "%s", err.message);
    snprintf(f.url, sizeof f.url, "http://0x7f.1:%d/", http_server_port(f.server));
    cr_assert_eq(call(&f, "GET", NULL, &err), AICP_ERR_NET_FORBIDDEN, "%s", err.message);
    cr_assert_eq(http_server_requests(f.server), 0);
    finish(&f);
}

Test(net, public_addresses_are_told_from_inner_ones) {
    static const char *const INNER[] = {
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::",
        "2001:0::1",
        "2001:db8::1",
        "::127.0.0.1"};
    static const char *const OUTER[] = {
        "1.1.1.1",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "192.167.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::"};
    for (size_t i = 0; i < sizeof INNER / sizeof *INNER + sizeof OUTER / sizeof *OUTER; i++) {
        bool inner = i < sizeof INNER / sizeof *INNER;
        const char *text = inner ? INNER[i] : OUTER[i - sizeof INNER / sizeof *INNER];
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        bool six = strchr(text, ':') != NULL;
        cr_assert_eq(
            inet_pton(
                six ? AF_INET6 : AF_INET,
                text,
                six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr),
            1);
        const struct sockaddr *address =
            six ? (const struct sockaddr *)&in6 : (const struct sockaddr *)&in;
        cr_assert_eq(aicpi_net_is_public(address), !inner, "%s", text);
    }
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    cr_assert(!aicpi_net_is_public(&unix_socket));
}

Test(net, bad_requests_are_refused_before_anything_is_sent) {
    fixture f;
    make(&f, echo, NULL);
    aicpi_net_header h = {aicpi_slice_cstr("X"), aicpi_slice_cstr("a\r\nEvil: 1")};
    aicpi_net_request q = {
        .method = "GET", .url = aicpi_slice_cstr(f.url), .headers = &h, .header_count = 1};
    cr_assert_eq(aicpi_net_perform(f.client, &q, &f.response, NULL), AICP_ERR_INVALID);
    q.header_count = 0;
    static const char *const URLS[] = {
        "",
        "http://a b/",
        "http://a\r\nb/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "nonsense:/"};
    for (size_t i = 0; i < sizeof URLS / sizeof *URLS; i++) {
        q.url = aicpi_slice_cstr(URLS[i]);
        cr_assert_eq(
            aicpi_net_perform(f.client, &q, &f.response, NULL), AICP_ERR_INVALID, "%s", URLS[i]);
    }
    cr_assert_eq(http_server_requests(f.server), 0);
    finish(&f);
}

Test(net, nobody_listening_is_a_connection_error_without_secrets) {
    aicpi_net_client *client = NULL;
    cr_assert_eq(aicpi_net_client_new(NULL, &client, NULL), AICP_OK);
    aicpi_net_response response;
    aicpi_net_response_init(&response, NULL);
    aicpi_net_request q = {
        .method = "POST", .url = aicpi_slice_cstr("http://user:geheim@127.0.0.1:1/x?key=geheim")};
    aicp_error err = {0};
    cr_assert_eq(aicpi_net_perform(client, &q, &response, &err), AICP_ERR_NET_CONNECT);
    cr_assert_null(strstr(err.message, "geheim"), "%s", err.message);
    cr_assert(strstr(err.message, "127.0.0.1:1/x"), "%s", err.message);
    aicpi_net_response_deinit(&response);
    aicpi_net_client_free(client);
}

#define THREADS 4

typedef struct worker {
    pthread_t thread;
    fixture *f;
    int ok;
} worker;

static void *run(void *user) {
    worker *w = user;
    aicpi_net_response response;
    aicpi_net_response_init(&response, NULL);
    for (int i = 0; i < 25; i++) {
        aicpi_net_request q = {.method = "GET", .url = aicpi_slice_cstr(w->f->url)};
        w->ok += aicpi_net_perform(w->f->client, &q, &response, NULL) == AICP_OK &&
                 response.status == 200;
    }
    aicpi_net_response_deinit(&response);
    return NULL;
}

Test(net, threads_share_a_client) {
    fixture f;
    make(&f, echo, NULL);
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.f = &f};
        pthread_create(&workers[i].thread, NULL, run, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        cr_assert_eq(workers[i].ok, 25);
    }
    finish(&f);
}

static bool call_body(void *user, const aicp_allocator *a) {
    fixture *f = user;
    aicpi_net_options o = {.allocator = a};
    aicpi_net_client *client = NULL;
    aicpi_net_response response;
    aicpi_net_response_init(&response, a);
    aicp_status status = aicpi_net_client_new(&o, &client, NULL);
    if (status == AICP_OK) {
        aicpi_net_header h = {aicpi_slice_cstr("X"), aicpi_slice_cstr("y")};
        aicpi_net_request q = {
            .method = "POST",
            .url = aicpi_slice_cstr(f->url),
            .headers = &h,
            .header_count = 1,
            .body = aicpi_slice_cstr("x")};
        status = aicpi_net_perform(client, &q, &response, NULL);
    }
    aicpi_net_response_deinit(&response);
    aicpi_net_client_free(client);
    return true;
}

Test(net, survives_every_failing_allocation) {
    fixture f;
    make(&f, echo, NULL);
    cr_assert_gt(test_every_allocation_failing(call_body, &f), 3);
    finish(&f);
}

/* ---- stops ---------------------------------------------------------------------------------- */

static void *stop_soon(void *user) {
    fixture *f = ((void **)user)[0];
    while (http_server_requests(f->server) == 0) {
        sched_yield();
    }
    aicpi_net_stop_now(((void **)user)[1]);
    return NULL;
}

static aicp_status call_with(fixture *f, aicpi_net_stop *stop, aicp_error *err) {
    aicpi_net_request q = {.method = "GET", .url = aicpi_slice_cstr(f->url), .stop = stop};
    return aicpi_net_perform(f->client, &q, &f->response, err);
}

Test(net, another_thread_ends_a_request_at_once) {
    fixture f;
    make(&f, never, NULL);
    aicpi_net_stop *stop = NULL;
    cr_assert_eq(aicpi_net_stop_new(NULL, &stop, NULL), AICP_OK);
    pthread_t thread;
    void *both[] = {&f, stop};
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, both), 0);
    aicp_error err = {0};
    cr_assert_eq(call_with(&f, stop, &err), AICP_ERR_CALLBACK, "%s", err.message);
    pthread_join(thread, NULL);
    cr_assert(aicpi_net_stopped(stop));
    cr_assert_eq(call_with(&f, stop, NULL), AICP_ERR_CALLBACK, "and every later one");
    cr_assert_eq(http_server_requests(f.server), 1);
    aicpi_net_stop_free(stop);
    finish(&f);
}

Test(net, a_request_that_can_be_stopped_keeps_its_connection) {
    fixture f;
    make(&f, echo, NULL);
    aicpi_net_stop *stop = NULL;
    cr_assert_eq(aicpi_net_stop_new(NULL, &stop, NULL), AICP_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(call_with(&f, stop, NULL), AICP_OK);
        cr_assert_str_eq(f.response.body.data, "GET /a?b=c  1");
    }
    aicpi_net_stop_free(stop);
    finish(&f);
}
