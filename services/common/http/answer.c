/* From aicps_http_response to libmicrohttpd's response, and the error body. */
#include "services/common/http/http_internal.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void aicps_http_answer_reset(aicps_http_exchange *ex) {
    aicps_http_response *response = &ex->response;
    aicpi_arena_reset(&ex->arena);
    response->arena = &ex->arena;
    response->status = 200;
    response->content_type = "application/json";
    response->exchange = ex;
    aicpi_strbuf_clear(&response->body);
    ex->added = NULL;
    ex->added_count = ex->added_capacity = 0;
}

static bool add_headers(aicps_http_exchange *ex, struct MHD_Response *mhd) {
    const aicps_http_response *response = &ex->response;
    bool bodiless = response->status == 204 || response->status == 304;
    bool ok = true;
    if (response->content_type && !bodiless) {
        ok = MHD_add_response_header(mhd, "Content-Type", response->content_type) == MHD_YES;
    }
    if (ex->request.id[0]) {
        ok = ok && MHD_add_response_header(mhd, "X-Request-Id", ex->request.id) == MHD_YES;
    }
    if (ex->close || atomic_load_explicit(&ex->server->draining, memory_order_relaxed)) {
        ok = ok && MHD_add_response_header(mhd, "Connection", "close") == MHD_YES;
    }
    for (size_t i = 0; ok && i < ex->added_count; i++) {
        ok = MHD_add_response_header(mhd, ex->added[i].name.data, ex->added[i].value.data) ==
             MHD_YES;
    }
    return ok;
}

static struct MHD_Response *with_headers(aicps_http_exchange *ex, struct MHD_Response *mhd) {
    if (mhd && !add_headers(ex, mhd)) {
        MHD_destroy_response(mhd);
        return NULL;
    }
    return mhd;
}

struct MHD_Response *aicps_http_answer_build(aicps_http_exchange *ex) {
    static const char too_large[] =
        "{\"detail\":\"The answer does not fit into memory.\",\"type\":\"internal_error\","
        "\"title\":\"Internal Server Error\",\"status\":500,\"errors\":[]}";
    aicps_http_response *response = &ex->response;
    if (response->body.failed) {
        response->status = 500;
        response->content_type = "application/json";
        ex->bytes = sizeof too_large - 1;
        return with_headers(
            ex,
            MHD_create_response_from_buffer(
                sizeof too_large - 1, (void *)(uintptr_t)too_large, MHD_RESPMEM_PERSISTENT));
    }
    size_t len = response->status == 204 || response->status == 304 ? 0 : response->body.len;
    ex->bytes = len;
    /* The exchange outlives the response: it is given back when MHD is done with the request. */
    return with_headers(
        ex,
        MHD_create_response_from_buffer(
            len, len ? response->body.data : (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT));
}

static ssize_t read_stream(void *user, uint64_t pos, char *out, size_t max) {
    (void)pos;
    return aicps_http_stream_read(user, out, max);
}

struct MHD_Response *aicps_http_answer_stream(aicps_http_exchange *ex) {
    return with_headers(
        ex, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, ex, NULL));
}

void aicps_http_answer_drop(aicps_http_exchange *ex) {
    if (ex->stream_response) {
        MHD_destroy_response(ex->stream_response);
        ex->stream_response = NULL;
    }
}

static bool clean(const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

bool aicps_http_add_header(aicps_http_response *response, const char *name, const char *value) {
    aicps_http_exchange *ex = response->exchange;
    if (!*name || strpbrk(name, " \t:") || !clean(name) || !clean(value) || ex->stream.on) {
        return false;
    }
    if (!aicpi_arena_grow(
            &ex->arena,
            (void **)&ex->added,
            &ex->added_capacity,
            ex->added_count,
            sizeof *ex->added)) {
        return false;
    }
    size_t name_len = strlen(name), value_len = strlen(value);
    char *name_copy = aicpi_arena_strndup(&ex->arena, name, name_len);
    char *value_copy = aicpi_arena_strndup(&ex->arena, value, value_len);
    if (!name_copy || !value_copy) {
        return false;
    }
    ex->added[ex->added_count++] = (aicps_http_pair){
        aicpi_slice_of(name_copy, name_len), aicpi_slice_of(value_copy, value_len)};
    return true;
}

static const char *title_of(int32_t status) {
    const char *title = MHD_get_reason_phrase_for((unsigned)status);
    return title ? title : "Error";
}

static void problem_open(aicpi_strbuf *b, int32_t status, const char *type, aicpi_slice detail) {
    aicpi_strbuf_puts(b, "{\"detail\":");
    aicpi_strbuf_json(b, detail.data, detail.len);
    aicpi_strbuf_puts(b, ",\"type\":");
    aicpi_strbuf_json(b, type, strlen(type));
    aicpi_strbuf_puts(b, ",\"title\":");
    const char *title = title_of(status);
    aicpi_strbuf_json(b, title, strlen(title));
    aicpi_strbuf_printf(b, ",\"status\":%d,\"errors\":[]", (int)status);
}

void aicps_http_problem(
    aicps_http_response *response,
    const aicps_http_request *request,
    int32_t status,
    const char *type,
    const char *format,
    ...) {
    va_list args;
    char stack[512];
    va_start(args, format);
    int len = vsnprintf(stack, sizeof stack, format, args);
    va_end(args);
    aicpi_slice text = aicpi_slice_of(stack, len < 0 ? 0 : (size_t)len);
    if (text.len >= sizeof stack) {
        char *whole = aicpi_arena_alloc(response->arena, text.len + 1);
        text = aicpi_slice_of(whole ? whole : stack, whole ? text.len : sizeof stack - 1);
        va_start(args, format);
        if (whole) {
            (void)vsnprintf(whole, text.len + 1, format, args);
        }
        va_end(args);
    }
    response->status = status;
    response->content_type = "application/json";
    aicpi_strbuf_clear(&response->body);
    problem_open(&response->body, status, type, text);
    if (request && request->id[0]) {
        aicpi_strbuf_puts(&response->body, ",\"request_id\":");
        aicpi_strbuf_json(&response->body, request->id, strlen(request->id));
    }
    aicpi_strbuf_putc(&response->body, '}');
}

void aicps_http_answer_refuse(
    aicps_http_exchange *ex, int32_t status, const char *type, const char *text) {
    atomic_fetch_add_explicit(&ex->server->rejected, 1, memory_order_relaxed);
    ex->close = true;
    aicps_http_problem(&ex->response, &ex->request, status, type, "%s", text);
}

size_t aicps_http_problem_text(
    char *out, size_t size, int32_t status, const char *type, const char *text) {
    int len = snprintf(
        out,
        size,
        "{\"detail\":\"%s\",\"type\":\"%s\",\"title\":\"%s\",\"status\":%d,\"errors\":[]}",
        text,
        type,
        title_of(status),
        (int)status);
    return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}

void aicps_http_answer_raw(int fd, int32_t status, const char *type, const char *text) {
    char body[512], head[256], waste[16384];
    size_t body_len = aicps_http_problem_text(body, sizeof body, status, type, text);
    int head_len = snprintf(
        head,
        sizeof head,
        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
        "Connection: close\r\n\r\n",
        (int)status,
        title_of(status),
        body_len);
    struct iovec parts[2] = {{head, (size_t)head_len}, {body, body_len}};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    /* Best effort: who does not take a few hundred bytes now is cut off without them. */
    (void)sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    /* Closing with unread bytes would reset the connection and might take the answer with it. */
    for (int i = 0; i < 64 && recv(fd, waste, sizeof waste, MSG_DONTWAIT) > 0; i++) {
    }
}
