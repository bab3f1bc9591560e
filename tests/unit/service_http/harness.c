#include "harness.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void nap(void) {
    struct timespec t = {0, 1000000};
    nanosleep(&t, NULL);
}

bool harness_until(const _Atomic int *value, int least) {
    for (int i = 0; i < 10000 && atomic_load(value) < least; i++) {
        nap();
    }
    return atomic_load(value) >= least;
}

static void say(aicps_http_request *req, aicps_http_response *res) {
    aicpi_strbuf *b = &res->body;
    aicpi_strbuf_printf(
        b, "%.*s %.*s", (int)req->method.len, req->method.data, (int)req->path.len, req->path.data);
    for (size_t i = 0; i < req->segment_count; i++) {
        aicpi_strbuf_printf(b, " [%.*s]", (int)req->segments[i].len, req->segments[i].data);
    }
    for (size_t i = 0; i < req->query_count; i++) {
        aicpi_strbuf_printf(
            b,
            " {%.*s=%.*s}",
            (int)req->query[i].name.len,
            req->query[i].name.data,
            (int)req->query[i].value.len,
            req->query[i].value.data);
    }
    aicpi_slice probe = aicps_http_header(req, "x-probe");
    aicpi_strbuf_printf(
        b, " probe=%.*s ip=%s body=", (int)probe.len, probe.data ? probe.data : "", req->client_ip);
    aicpi_strbuf_append(b, req->body.data, req->body.len);
    res->content_type = "text/plain";
}

static void stream(harness *h, aicps_http_response *res, bool endless) {
    static const char block[4096] = {'x'};
    res->content_type = "text/event-stream";
    for (int i = 0; endless || i < 3; i++) {
        char part[32];
        (void)snprintf(part, sizeof part, "part %d\n", i);
        if (endless ? !aicps_http_write(res, block, sizeof block)
                    : !aicps_http_write(res, part, strlen(part))) {
            atomic_store(&h->refused, 1);
            return;
        }
        atomic_fetch_add(&h->written, 1);
    }
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void poll_topic(harness *h, aicps_http_request *req, aicps_http_response *res) {
    int run = atomic_fetch_add(&h->polls, 1) + 1;
    uint64_t ticket = aicps_http_ticket(h->server, 3);
    uint64_t seen = atomic_load(&h->ticket);
    aicpi_slice late = aicps_http_query(req, "late");
    if (late.len && run == 1) {
        aicps_http_notify(h->server, 3); /* between the look and the wait */
    }
    aicpi_slice ms = aicps_http_query(req, "ms");
    uint64_t until =
        req->started_ns + (ms.len ? strtoull(ms.data, NULL, 10) : 10000) * UINT64_C(1000000);
    if (seen == 0 && now_ns() < until && !(late.len && run > 1)) {
        aicps_http_wait(res, 3, ticket, until);
        return;
    }
    aicpi_strbuf_printf(&res->body, "resumed=%d seen=%d", req->resumed, seen != 0);
}

static void handle(void *user, aicps_http_request *req, aicps_http_response *res) {
    harness *h = user;
    aicpi_slice first = req->segment_count ? req->segments[0] : AICPI_SLICE("");
    atomic_fetch_add(&h->entered, 1);
    if (aicpi_slice_is(first, "block")) {
        harness_until(&h->gate, 1);
        aicpi_strbuf_puts(&res->body, "unblocked");
    } else if (aicpi_slice_is(first, "stream")) {
        stream(h, res, false);
    } else if (aicpi_slice_is(first, "endless")) {
        stream(h, res, true);
    } else if (aicpi_slice_is(first, "poll") || aicpi_slice_is(first, "inline-poll")) {
        poll_topic(h, req, res);
    } else if (aicpi_slice_is(first, "empty")) {
        res->status = 204;
    } else if (aicpi_slice_is(first, "problem")) {
        aicps_http_problem(res, req, 409, "conflict", "The name \"%s\" is taken.", "a\"b");
        aicps_http_add_header(res, "X-Extra", "yes");
    } else {
        say(req, res);
    }
    atomic_fetch_add(&h->left, 1);
}

static bool is_inline(void *user, aicpi_slice method, aicpi_slice path) {
    (void)user;
    (void)method;
    return path.len >= 7 && memcmp(path.data, "/inline", 7) == 0;
}

static size_t body_max_for(void *user, aicpi_slice method, aicpi_slice path) {
    (void)method;
    return aicpi_slice_is(path, "/big") ? (size_t)8 << 20 : ((harness *)user)->options.body_max;
}

static void on_done(void *user, const aicps_http_request *request, int32_t status, uint64_t bytes) {
    harness *h = user;
    (void)bytes;
    cr_assert_not_null(request->client_ip);
    atomic_store(&h->last_status, status);
    atomic_fetch_add(&h->done, 1);
}

static void *worker_open(void *user) {
    atomic_fetch_add(&((harness *)user)->opened, 1);
    return user;
}

static void worker_close(void *user, void *worker) {
    cr_assert_eq(user, worker);
    atomic_fetch_add(&((harness *)user)->closed, 1);
}

void harness_options(harness *h) {
    memset(h, 0, sizeof *h);
    h->options.handler = handle;
    h->options.is_inline = is_inline;
    h->options.body_max_for = body_max_for;
    h->options.on_done = on_done;
    h->options.worker_open = worker_open;
    h->options.worker_close = worker_close;
    h->options.workers = 4;
    h->options.body_max = 1 << 16;
    h->options.user = h;
}

void harness_start(harness *h) {
    aicp_error err;
    cr_assert_eq(aicps_http_start(&h->options, &h->server, &err), AICP_OK, "%s", err.message);
}

void harness_stop(harness *h) {
    aicps_http_free(h->server);
    cr_assert_eq(atomic_load(&h->opened), atomic_load(&h->closed));
}

int client_open(const harness *h) {
    struct sockaddr_in to;
    struct timeval limit = {10, 0};
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons(aicps_http_port(h->server));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(fd, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void client_send_bytes(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the server has closed; what it said is read by the caller */
        }
        data += n;
        len -= (size_t)n;
    }
}

void client_send(int fd, const char *text) {
    client_send_bytes(fd, text, strlen(text));
}

/* One byte at a time: nothing of the next answer is taken. */
static bool read_line(int fd, char *out, size_t size) {
    size_t len = 0;
    while (len + 1 < size) {
        if (recv(fd, out + len, 1, 0) != 1) {
            return false;
        }
        len++;
        if (len >= 2 && out[len - 2] == '\r' && out[len - 1] == '\n') {
            out[len - 2] = 0;
            return true;
        }
    }
    return false;
}

static bool read_bytes(int fd, answer *out, size_t len) {
    if (len > sizeof out->body - 1 - out->body_len) {
        return false;
    }
    while (len > 0) {
        ssize_t n = recv(fd, out->body + out->body_len, len, 0);
        if (n <= 0) {
            return false;
        }
        out->body_len += (size_t)n;
        len -= (size_t)n;
    }
    out->body[out->body_len] = 0;
    return true;
}

static bool read_chunks(int fd, answer *out) {
    char line[64];
    for (;;) {
        if (!read_line(fd, line, sizeof line)) {
            return false;
        }
        size_t len = strtoul(line, NULL, 16);
        if (len > 0 && !read_bytes(fd, out, len)) {
            return false;
        }
        if (!read_line(fd, line, sizeof line)) {
            return false;
        }
        if (len == 0) {
            return true;
        }
    }
}

static bool read_answer(int fd, answer *out, bool bodiless) {
    char line[1024];
    size_t length = 0, head_len = 0;
    bool chunked = false;
    memset(out, 0, offsetof(answer, body));
    out->body_len = 0;
    out->body[0] = 0;
    out->close = false;
    if (!read_line(fd, line, sizeof line) || sscanf(line, "HTTP/1.%*d %d", &out->status) != 1) {
        return false;
    }
    while (read_line(fd, line, sizeof line)) {
        if (!line[0]) {
            bodiless = bodiless || out->status == 204 || out->status == 304;
            return bodiless || (chunked ? read_chunks(fd, out) : read_bytes(fd, out, length));
        }
        head_len +=
            (size_t)snprintf(out->head + head_len, sizeof out->head - head_len, "%s\n", line);
        if (strncasecmp(line, "content-length:", 15) == 0) {
            length = strtoul(line + 15, NULL, 10);
        }
        chunked = chunked || strcasecmp(line, "transfer-encoding: chunked") == 0;
        out->close = out->close || strcasecmp(line, "connection: close") == 0;
    }
    return false;
}

bool client_read(int fd, answer *out) {
    return read_answer(fd, out, false);
}

bool client_read_head(int fd, answer *out) {
    return read_answer(fd, out, true);
}

bool client_closed(int fd) {
    char rest[512];
    ssize_t n;
    while ((n = recv(fd, rest, sizeof rest, 0)) > 0) {
    }
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

int client_ask(const harness *h, const char *request, answer *out) {
    int fd = client_open(h);
    client_send(fd, request);
    bool ok = client_read(fd, out);
    close(fd);
    return ok ? out->status : 0;
}
