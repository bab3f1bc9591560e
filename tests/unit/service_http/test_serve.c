#include "harness.h"

#include <criterion/criterion.h>

#include <string.h>
#include <unistd.h>

static harness h;
static answer a;

static void setup(void) {
    harness_options(&h);
    harness_start(&h);
}

static void teardown(void) {
    harness_stop(&h);
}

TestSuite(http_serve, .init = setup, .fini = teardown, .timeout = 60);

Test(http_serve, worker_answers_get) {
    cr_assert_eq(client_ask(&h, "GET /a/b%2Fc?x=1&y=a+b%21 HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(a.body, "GET /a/b%2Fc [a] [b/c] {x=1} {y=a b!} probe= ip=127.0.0.1 body=");
    cr_expect_not(a.close);
    cr_expect_null(strstr(a.head, "Server:"));
    cr_expect_not_null(strstr(a.head, "X-Request-Id: "));
    cr_expect_not_null(strstr(a.head, "Content-Type: text/plain"));
}

Test(http_serve, inline_handler_answers) {
    cr_assert_eq(client_ask(&h, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(a.body, "GET /inline [inline] probe= ip=127.0.0.1 body=");
}

Test(http_serve, body_with_length_arrives) {
    cr_assert_eq(
        client_ask(&h, "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", &a), 200);
    cr_expect_str_eq(a.body, "POST /p [p] probe= ip=127.0.0.1 body=hello");
}

Test(http_serve, chunked_body_arrives) {
    cr_assert_eq(
        client_ask(
            &h,
            "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\n\r\n",
            &a),
        200);
    cr_expect_str_eq(a.body, "POST /p [p] probe= ip=127.0.0.1 body=hello");
}

Test(http_serve, streams_in_parts) {
    cr_assert_eq(client_ask(&h, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(a.body, "part 0\npart 1\npart 2\n");
    cr_expect_not_null(strstr(a.head, "text/event-stream"));
}

Test(http_serve, long_poll_ends_by_time) {
    cr_assert_eq(client_ask(&h, "GET /poll?ms=30 HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(a.body, "resumed=1 seen=0");
    cr_expect_eq(atomic_load(&h.polls), 2);
}

Test(http_serve, keeps_the_connection) {
    int fd = client_open(&h);
    for (int i = 0; i < 50; i++) {
        client_send(
            fd,
            i % 2 ? "GET /k HTTP/1.1\r\nHost: x\r\n\r\n"
                  : "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(client_read(fd, &a));
        cr_assert_eq(a.status, 200);
    }
    close(fd);
    cr_expect(harness_until(&h.done, 50));
}

Test(http_serve, answers_pipelined_requests_in_order) {
    int fd = client_open(&h);
    client_send(
        fd,
        "GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        "GET /inline HTTP/1.1\r\nHost: x\r\n\r\nGET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /five HTTP/1.1\r\nHost: x\r\n\r\n");
    const char *starts[] = {"GET /one", "POST /two", "GET /inline", "part 0", "GET /five"};
    for (int i = 0; i < 5; i++) {
        cr_assert(client_read(fd, &a), "answer %d", i);
        cr_expect_eq(strncmp(a.body, starts[i], strlen(starts[i])), 0, "%s", a.body);
    }
    close(fd);
}

Test(http_serve, problem_has_the_documented_form) {
    cr_assert_eq(
        client_ask(&h, "GET /problem HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-1\r\n\r\n", &a), 409);
    cr_expect_str_eq(
        a.body,
        "{\"detail\":\"The name \\\"a\\\"b\\\" is taken.\",\"type\":\"conflict\","
        "\"title\":\"Conflict\",\"status\":409,\"errors\":[],\"request_id\":\"abc-1\"}");
    cr_expect_not_null(strstr(a.head, "X-Extra: yes"));
    cr_expect_not_null(strstr(a.head, "X-Request-Id: abc-1"));
}
