/* Server-sent events: lines that end in \n, \r or \r\n, fields "data", others ignored, an empty
 * line ends the event. The stream may be cut at any byte. */
#include "lib/base/error.h"
#include "lib/litellm/litellm_internal.h"

void aicpi_sse_init(aicpi_sse *s, const aicp_allocator *a, aicpi_sse_fn fn, void *user) {
    *s = (aicpi_sse){.fn = fn, .user = user};
    aicpi_strbuf_init(&s->line, a, AICPI_SSE_MAX_EVENT);
    aicpi_strbuf_init(&s->data, a, AICPI_SSE_MAX_EVENT);
}

void aicpi_sse_deinit(aicpi_sse *s) {
    aicpi_strbuf_deinit(&s->line);
    aicpi_strbuf_deinit(&s->data);
}

static void end_event(aicpi_sse *s) {
    if (s->has_data) {
        s->stopped = !s->fn(s->user, aicpi_slice_of(s->data.data ? s->data.data : "", s->data.len));
    }
    aicpi_strbuf_clear(&s->data);
    s->has_data = false;
}

static void take_line(aicpi_sse *s, aicpi_slice line) {
    if (!s->started) {
        s->started = true;
        if (line.len >= 3 && memcmp(line.data, "\xEF\xBB\xBF", 3) == 0) {
            line = aicpi_slice_of(line.data + 3, line.len - 3);
        }
    }
    if (line.len == 0) {
        end_event(s);
        return;
    }
    const char *colon = memchr(line.data, ':', line.len);
    size_t name = colon ? (size_t)(colon - line.data) : line.len;
    if (!aicpi_slice_eq(aicpi_slice_of(line.data, name), AICPI_SLICE("data"))) {
        return;
    }
    size_t at = name + 1 < line.len && line.data[name + 1] == ' ' ? name + 2 : name + 1;
    if (s->has_data) {
        aicpi_strbuf_putc(&s->data, '\n');
    }
    s->has_data = true;
    if (at < line.len) {
        aicpi_strbuf_append(&s->data, line.data + at, line.len - at);
    }
}

static const char *line_end(const char *at, const char *end) {
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

/* The line is complete: either all in this piece, or begun in one before. */
static void finish_line(aicpi_sse *s, const char *start, const char *end) {
    if (s->line.len == 0) {
        take_line(s, aicpi_slice_of(start, (size_t)(end - start)));
        return;
    }
    aicpi_strbuf_append(&s->line, start, (size_t)(end - start));
    if (!s->line.failed) {
        take_line(s, aicpi_slice_of(s->line.data, s->line.len));
        aicpi_strbuf_clear(&s->line);
    }
}

aicp_status aicpi_sse_feed(aicpi_sse *s, const char *data, size_t len, aicp_error *err) {
    const char *at = data;
    const char *end = data + len;
    while (at < end && !s->stopped && !s->line.failed && !s->data.failed) {
        if (s->after_cr && *at == '\n') {
            at++;
            s->after_cr = false;
            continue;
        }
        s->after_cr = false;
        const char *stop = line_end(at, end);
        if (stop == end) {
            aicpi_strbuf_append(&s->line, at, (size_t)(end - at));
            break;
        }
        finish_line(s, at, stop);
        s->after_cr = *stop == '\r';
        at = stop + 1;
    }
    if (s->stopped) {
        return aicpi_fail(err, AICP_ERR_CALLBACK, "stream stopped by the caller");
    }
    bool full = s->line.full || s->data.full;
    if ((s->line.failed || s->data.failed) && !full) {
        return aicpi_nomem(err);
    }
    if (full) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "event of more than %zu bytes in a stream", AICPI_SSE_MAX_EVENT);
    }
    return AICP_OK;
}
