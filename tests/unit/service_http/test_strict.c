#include "harness.h"

#include <criterion/criterion.h>

#include <stdarg.h>
#include <stdio.h>
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

TestSuite(http_strict, .init = setup, .fini = teardown, .timeout = 60);

typedef struct form {
    int status;
    const char *text;
    size_t len; /* 0 = strlen */
} form;

#define RAW(status, literal)                                                                       \
    { status, literal, sizeof(literal) - 1 }
#define END "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

/* Sends a form and what would be a second request, which must never be answered. */
static void refused(const form *f, size_t index) {
    int fd = client_open(&h);
    client_send_bytes(fd, f->text, f->len);
    cr_assert(client_read(fd, &a), "form %zu: no answer to %s", index, f->text);
    cr_expect_eq(
        a.status, f->status, "form %zu: %d, not %d, to %s", index, a.status, f->status, f->text);
    cr_expect(a.close, "form %zu: the answer does not close: %s", index, f->text);
    cr_expect_not_null(strstr(a.head, "application/json"), "form %zu", index);
    char status[32];
    (void)snprintf(status, sizeof status, "\"status\":%d", f->status);
    cr_expect_not_null(strstr(a.body, status), "form %zu: %s", index, a.body);
    cr_expect(client_closed(fd), "form %zu stays open: %s", index, f->text);
    close(fd);
}

static void all_refused(const form *forms, size_t count) {
    for (size_t i = 0; i < count; i++) {
        refused(&forms[i], i);
    }
    cr_expect_eq(atomic_load(&h.entered), 0, "a handler ran");
}

#define ALL(forms) all_refused(forms, sizeof(forms) / sizeof *(forms))

Test(http_strict, refuses_ambiguous_framing) {
    static const form forms[] = {
        RAW(400,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n" END),
        RAW(400,
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
            "4\r\n\r\n0\r\n\r\n" END),
        RAW(400,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: "
            "37\r\n\r\n" END),
        RAW(400,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: "
            "3\r\n\r\nabc" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3a\r\n\r\nabc" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3 \r\n\r\nabc" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nabc" END),
        RAW(413,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
            "99999999999999999999999999\r\n\r\nabc" END),
        RAW(413,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\nab" END),
        RAW(501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" END),
        RAW(501,
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, "
            "chunked\r\n\r\n0\r\n\r\n" END),
        RAW(501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked \r\n\r\n0\r\n\r\n" END),
        RAW(501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n" END),
        RAW(400,
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
            "identity\r\n\r\n0\r\n\r\n" END),
        RAW(400, "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" END),
        RAW(400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc" END),
    };
    ALL(forms);
}

Test(http_strict, refuses_line_ends_other_than_crlf) {
    static const form forms[] = {
        RAW(400, "GET / HTTP/1.1\nHost: x\n\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: y\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX:\n\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX:\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\nHost: x\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\rY: b\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\n Host: x\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\n \r\n\r\n" END),
    };
    ALL(forms);
}

Test(http_strict, refuses_nul_anywhere_in_a_head) {
    static const form forms[] = {
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\0\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\0\0Y: b\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\0\0Y\0b\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\0\0\0\0Y: b\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\0\0Content-Length\0 4\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\n\0B: y\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\n\0B\0y\0\0\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n" END),
        RAW(400, "GET /\0a HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a\0HTTP/1.1\0\0X HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "G\0T /a HTTP/1.1\r\nHost: x\r\n\r\n" END),
    };
    ALL(forms);
}

Test(http_strict, refuses_bad_request_lines_and_names) {
    static const form forms[] = {
        RAW(400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /  HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1 \r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /\r\nHost: x\r\n\r\n" END),
        RAW(400, "G@T / HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(505, "GET / HTTP/1.2\r\nHost: x\r\n\r\n" END),
        RAW(505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET / http/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX(Y): a\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX\x80: a\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\x01\r\n\r\n" END),
        RAW(400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\x7f\r\n\r\n" END),
    };
    ALL(forms);
}

Test(http_strict, cuts_off_what_is_no_request_line) {
    static const form forms[] = {
        RAW(0, "GARBAGE\r\n\r\n" END),
        RAW(0, " / HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(0, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n" END),
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        int fd = client_open(&h);
        client_send_bytes(fd, forms[i].text, forms[i].len);
        cr_expect_not(client_read(fd, &a), "form %zu", i);
        cr_expect(client_closed(fd), "form %zu", i);
        close(fd);
    }
    cr_expect_eq(atomic_load(&h.entered), 0);
}

Test(http_strict, refuses_bad_targets) {
    static const form forms[] = {
        RAW(400, "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /% HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /%4 HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a?x=%2 HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a?%=1 HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a\x01 HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a\x7f HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(400, "GET a HTTP/1.1\r\nHost: x\r\n\r\n" END),
        RAW(414, "GET /////////////////////////////////// HTTP/1.1\r\nHost: x\r\n\r\n" END),
    };
    ALL(forms);
}

Test(http_strict, refuses_malformed_chunks) {
#define CHUNKED "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    static const form forms[] = {
        RAW(400, CHUNKED "x\r\nabc\r\n0\r\n\r\n" END),
        RAW(400, CHUNKED "0x3\r\nabc\r\n0\r\n\r\n" END),
        RAW(400, CHUNKED "+3\r\nabc\r\n0\r\n\r\n" END),
        RAW(400, CHUNKED " 3\r\nabc\r\n0\r\n\r\n" END),
        RAW(400, CHUNKED "3\r\nabcd\r\n0\r\n\r\n" END),
        RAW(400, CHUNKED "-1\r\nabc\r\n0\r\n\r\n" END),
        RAW(413, CHUNKED "fffffffffffffffff\r\nabc\r\n0\r\n\r\n" END),
    };
    ALL(forms);
}

static char large[1 << 18];

/* Writes into `large` at an offset; returns how much. */
static size_t __attribute__((format(printf, 2, 3))) put(size_t at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(large + at, sizeof large - at, format, args);
    va_end(args);
    cr_assert(len >= 0 && (size_t)len < sizeof large - at);
    return (size_t)len;
}

Test(http_strict, refuses_too_many_and_too_large) {
    form f = {431, large, 0};
    size_t n = put(0, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 120; i++) {
        n += put(n, "X-%d: a\r\n", i);
    }
    f.len = n + put(n, "\r\n");
    refused(&f, 0);

    n = put(0, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    memset(large + n, 'a', 33000);
    f.len = n + 33000 + put(n + 33000, "\r\n\r\n");
    refused(&f, 1);

    n = put(0, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    memset(large + n, 'a', 200000);
    f.len = n + 200000 + put(n + 200000, "\r\n\r\n");
    refused(&f, 2);

    n = put(0, "GET /");
    memset(large + n, 'a', 200000);
    f.len = n + 200000 + put(n + 200000, " HTTP/1.1\r\nHost: x\r\n\r\n");
    f.status = 414;
    refused(&f, 3);

    n = put(0, "GET /?");
    for (int i = 0; i < 300; i++) {
        n += put(n, "a=%d&", i);
    }
    f.len = n + put(n, " HTTP/1.1\r\nHost: x\r\n\r\n");
    f.status = 400;
    refused(&f, 4);
    cr_expect_eq(atomic_load(&h.entered), 0);
}

Test(http_strict, refuses_bodies_over_their_cap_and_the_client_reads_why) {
    form f = {413, large, 0};
    size_t n = put(0, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n");
    memset(large + n, 'a', 70000);
    f.len = n + 70000;
    refused(&f, 0);

    n = put(0, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        n += put(n, "4000\r\n");
        memset(large + n, 'a', 0x4000);
        n += 0x4000;
        n += put(n, "\r\n");
    }
    f.len = n + put(n, "0\r\n\r\n");
    refused(&f, 1);

    f = (form)RAW(
        413,
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        "Content-Length: 70000\r\n\r\n");
    refused(&f, 2);
    cr_expect_eq(atomic_load(&h.entered), 0);
}

Test(http_strict, a_route_may_take_larger_bodies) {
    size_t n = put(0, "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    memset(large + n, 'b', 100000);
    int fd = client_open(&h);
    client_send_bytes(fd, large, n + 100000);
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 200);
    cr_expect_gt(a.body_len, 100000);
    close(fd);
}

Test(http_strict, takes_what_is_unusual_but_right) {
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: x\r\nX-Probe:  v \t\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\nX-Probe: v\r\n\r\n",
        "GET / HTTP/1.0\r\nX-Probe: v\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: x\r\nx-probe: v\r\n\r\n",
        "GET http://example.org/ HTTP/1.1\r\nHost: x\r\nX-PROBE: v\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        cr_assert_eq(client_ask(&h, requests[i], &a), 200, "%zu: %s", i, a.body);
        cr_expect_str_eq(a.body, "GET / probe=v ip=127.0.0.1 body=", "%zu", i);
    }
    cr_assert_eq(client_ask(&h, "GET /a/../b//?x&=1&&y==%20 HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
    cr_expect_str_eq(
        a.body, "GET /a/../b// [a] [..] [b] [] [] {x=} {=1} {y== } probe= ip=127.0.0.1 body=");
    cr_assert_eq(
        client_ask(
            &h, "GET / HTTP/1.1\r\nHost: x\r\nX-Probe: \xc3\xa4:\"q\"\r\nX-Empty:\r\n\r\n", &a),
        200);
    cr_expect_not_null(strstr(a.body, "probe=\xc3\xa4:\"q\" "));
    cr_assert_eq(client_ask(&h, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", &a), 200);
}

Test(http_strict, expect_100_is_answered_before_the_body) {
    char line[64] = {0};
    int fd = client_open(&h);
    client_send(
        fd, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    cr_assert(client_read_head(fd, &a));
    cr_expect_eq(a.status, 100, "%s", line);
    client_send(fd, "ok");
    cr_assert(client_read(fd, &a));
    cr_expect_eq(a.status, 200);
    close(fd);
}

Test(http_strict, nothing_is_read_behind_a_chunked_body) {
    static const char *const bodies[] = {
        "3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3;x\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        int fd = client_open(&h);
        client_send(fd, CHUNKED);
        client_send(fd, bodies[i]);
        client_send(fd, END);
        cr_assert(client_read(fd, &a), "%zu", i);
        cr_expect_eq(a.status, 200, "%zu", i);
        cr_expect(a.close);
        cr_expect_not_null(strstr(a.body, "body=abc"), "%zu: %s", i, a.body);
        cr_expect_not(client_read(fd, &a), "%zu", i);
        cr_expect_eq(a.status, 0, "%zu", i);
        close(fd);
        cr_expect(harness_until(&h.done, (int)i + 1));
    }
    cr_expect_eq(atomic_load(&h.entered), 4);
}
