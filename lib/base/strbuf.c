#include "lib/base/strbuf.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdint.h>
#include <stdio.h>

/* Bytes handed to callers remember their allocator in a block of its own, so that aicp_buf_free
 * needs no argument. */
typedef struct buf_owner {
    aicp_allocator allocator;
} buf_owner;

void aicp_buf_free(aicp_buf *buf) {
    if (!buf) {
        return;
    }
    buf_owner *owner = buf->internal;
    if (owner) {
        aicp_allocator a = owner->allocator;
        aicpi_free(&a, buf->data);
        aicpi_free(&a, owner);
    }
    *buf = (aicp_buf)AICP_BUF_INIT;
}

void aicpi_strbuf_init(aicpi_strbuf *b, const aicp_allocator *a, size_t max) {
    *b = (aicpi_strbuf){.allocator = aicpi_allocator(a), .max = max};
}

void aicpi_strbuf_deinit(aicpi_strbuf *b) {
    aicpi_free(&b->allocator, b->data);
    b->data = NULL;
    b->len = 0;
    b->capacity = 0;
    b->failed = false;
    b->full = false;
}

void aicpi_strbuf_clear(aicpi_strbuf *b) {
    b->len = 0;
    b->failed = false;
    b->full = false;
    if (b->data) {
        b->data[0] = '\0';
    }
}

bool aicpi_strbuf_reserve(aicpi_strbuf *b, size_t more) {
    if (b->failed) {
        return false;
    }
    if (more > b->max || b->len > b->max - more) {
        b->failed = true;
        b->full = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->capacity) {
        return true;
    }
    size_t wanted = b->capacity < 64 ? 64 : b->capacity;
    while (wanted < need) {
        wanted = wanted > SIZE_MAX / 2 ? need : wanted * 2;
    }
    char *grown = aicpi_realloc(&b->allocator, b->data, b->capacity, wanted);
    if (!grown) {
        b->failed = true;
        return false;
    }
    b->data = grown;
    b->capacity = wanted;
    return true;
}

void aicpi_strbuf_append(aicpi_strbuf *b, const char *data, size_t len) {
    if (!aicpi_strbuf_reserve(b, len)) {
        return;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    b->data[b->len] = '\0';
}

void aicpi_strbuf_puts(aicpi_strbuf *b, const char *text) {
    aicpi_strbuf_append(b, text, strlen(text));
}

void aicpi_strbuf_putc(aicpi_strbuf *b, char c) {
    aicpi_strbuf_append(b, &c, 1);
}

void aicpi_strbuf_i64(aicpi_strbuf *b, int64_t value) {
    char text[20]; /* "-9223372036854775808" */
    char *at = text + sizeof text;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--at = '-';
    }
    aicpi_strbuf_append(b, at, (size_t)(text + sizeof text - at));
}

void aicpi_strbuf_printf(aicpi_strbuf *b, const char *format, ...) {
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0) {
        b->failed = true;
    } else if (aicpi_strbuf_reserve(b, (size_t)need)) {
        vsnprintf(b->data + b->len, (size_t)need + 1, format, again);
        b->len += (size_t)need;
    }
    va_end(again);
}

static void escape_control(aicpi_strbuf *b, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '\n':
        aicpi_strbuf_append(b, "\\n", 2);
        break;
    case '\r':
        aicpi_strbuf_append(b, "\\r", 2);
        break;
    case '\t':
        aicpi_strbuf_append(b, "\\t", 2);
        break;
    default: {
        char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        aicpi_strbuf_append(b, text, sizeof text);
    }
    }
}

/* How many bytes at the start stand in JSON as they are: ASCII, eight at a time. */
static size_t plain_run(const char *data, size_t len) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t w = 0;
        memcpy(&w, data + i, sizeof w);
        uint64_t quote = w ^ (ones * '"');
        uint64_t slash = w ^ (ones * '\\');
        /* A top bit each for bytes from 0x80, below 0x20, and equal to either. */
        if ((w | (w - ones * 0x20) | (quote - ones) | (slash - ones)) & tops) {
            break;
        }
    }
    return i;
}

void aicpi_strbuf_json_body(aicpi_strbuf *b, const char *data, size_t len) {
    size_t start = 0; /* of the run that is copied as it is */
    for (size_t i = plain_run(data, len); i < len;) {
        unsigned char c = (unsigned char)data[i];
        uint32_t scalar = 0;
        size_t n = 1;
        if (c >= 0x80) {
            n = aicpi_utf8_decode(data + i, len - i, &scalar);
        }
        if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
            i += n;
            continue;
        }
        aicpi_strbuf_append(b, data + start, i - start);
        if (n == 0) {
            n = aicpi_utf8_invalid(data + i, len - i);
            aicpi_strbuf_append(b, "\xEF\xBF\xBD", 3);
        } else if (c == '"' || c == '\\') {
            aicpi_strbuf_putc(b, '\\');
            aicpi_strbuf_putc(b, (char)c);
        } else {
            escape_control(b, c);
        }
        i += n;
        start = i;
    }
    aicpi_strbuf_append(b, data + start, len - start);
}

void aicpi_strbuf_json(aicpi_strbuf *b, const char *data, size_t len) {
    aicpi_strbuf_putc(b, '"');
    aicpi_strbuf_json_body(b, data, len);
    aicpi_strbuf_putc(b, '"');
}

aicp_status aicpi_strbuf_take(aicpi_strbuf *b, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!b->failed) {
        aicpi_strbuf_append(b, "", 0); /* empty results own a NUL too */
    }
    buf_owner *owner = b->failed ? NULL : aicpi_alloc(&b->allocator, sizeof *owner);
    if (!owner) {
        bool full = b->full;
        aicpi_strbuf_deinit(b);
        return full ? aicpi_fail(err, AICP_ERR_LIMIT, "result is larger than %zu bytes", b->max)
                    : aicpi_nomem(err);
    }
    owner->allocator = b->allocator;
    *out = (aicp_buf){b->data, b->len, owner};
    b->data = NULL;
    b->len = 0;
    b->capacity = 0;
    return AICP_OK;
}
