#include "lib/budget/wire.h"

#include "lib/base/text.h"

#include <string.h>

#define MESSAGE_MOST 256

/* ---- numbers ---- */

static void put_number(aicpi_strbuf *b, uint64_t n) {
    while (n >= 0x80) {
        aicpi_strbuf_putc(b, (char)(0x80 | (n & 0x7f)));
        n >>= 7;
    }
    aicpi_strbuf_putc(b, (char)n);
}

static uint64_t get_number(aicpi_wire *w) {
    uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (w->bad || w->at == w->end) {
            break;
        }
        uint64_t byte = *w->at++;
        if (shift == 63 && byte > 1) {
            break;
        }
        n |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return n;
        }
    }
    w->bad = true;
    return 0;
}

/* Small numbers of both signs take few bytes. What is written is not touched: other threads may
 * read it meanwhile. */
void aicpi_wire_i64(aicpi_wire *w, int64_t *value, int64_t least, int64_t most) {
    if (w->out) {
        uint64_t n = (uint64_t)*value;
        put_number(w->out, *value < 0 ? ~(n << 1) : n << 1);
        return;
    }
    uint64_t n = get_number(w);
    int64_t v = (int64_t)(n & 1 ? ~(n >> 1) : n >> 1);
    w->bad = w->bad || v < least || v > most;
    *value = w->bad ? least : v;
}

void aicpi_wire_i32(aicpi_wire *w, int32_t *value, int32_t least, int32_t most) {
    int64_t v = *value;
    aicpi_wire_i64(w, &v, least, most);
    if (!w->out) {
        *value = (int32_t)v;
    }
}

void aicpi_wire_u64(aicpi_wire *w, uint64_t *value, uint64_t most) {
    int64_t v = *value > INT64_MAX ? INT64_MAX : (int64_t)*value;
    aicpi_wire_i64(w, &v, 0, (int64_t)most);
    if (!w->out) {
        *value = (uint64_t)v;
    }
}

void aicpi_wire_bool(aicpi_wire *w, bool *value) {
    int64_t v = *value;
    aicpi_wire_i64(w, &v, 0, 1);
    if (!w->out) {
        *value = v == 1;
    }
}

/* ---- texts ---- */

void aicpi_wire_bytes(aicpi_wire *w, aicpi_slice *bytes, size_t most) {
    uint64_t len = bytes->len;
    aicpi_wire_u64(w, &len, most);
    if (w->out) {
        aicpi_strbuf_append(w->out, bytes->data, bytes->len);
        return;
    }
    w->bad = w->bad || len > (size_t)(w->end - w->at);
    *bytes = w->bad ? aicpi_slice_of("", 0) : aicpi_slice_of((const char *)w->at, (size_t)len);
    w->at += bytes->len;
}

void aicpi_wire_text(aicpi_wire *w, aicpi_slice *text, size_t least, size_t most) {
    aicpi_wire_bytes(w, text, most);
    if (!w->out) {
        w->bad = w->bad || text->len < least ||
                 (text->len > 0 && memchr(text->data, '\0', text->len)) ||
                 !aicpi_utf8_valid(text->data, text->len, NULL);
    }
}

void aicpi_wire_count(aicpi_wire *w, size_t *count, size_t most) {
    uint64_t n = *count;
    aicpi_wire_u64(w, &n, most);
    w->bad = w->bad || (!w->out && n > (size_t)(w->end - w->at));
    if (!w->out) {
        *count = w->bad ? 0 : (size_t)n;
    }
}

void *aicpi_wire_make(aicpi_wire *w, size_t count, size_t size) {
    void *made = w->bad ? NULL : aicpi_arena_calloc(w->arena, count ? count : 1, size);
    w->bad = w->bad || !made;
    return made;
}

bool aicpi_wire_end(const aicpi_wire *w) {
    return !w->bad && w->at == w->end;
}

void aicpi_wire_base64(aicpi_strbuf *out, const char *data, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (k < n ? (unsigned char)data[i + k] : 0u);
        }
        for (size_t k = 0; k < 4; k++) {
            aicpi_strbuf_putc(out, k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=');
        }
    }
}

void aicpi_wire_outcome(aicpi_wire *w, aicp_status *status, aicpi_slice *message) {
    int32_t code = (int32_t)*status;
    message->len = message->len < MESSAGE_MOST ? message->len : MESSAGE_MOST;
    aicpi_wire_i32(w, &code, 0, AICP_ERR_CORRUPT);
    *status = (aicp_status)code;
    if (code != AICP_OK) {
        aicpi_wire_bytes(w, message, MESSAGE_MOST);
    }
}
