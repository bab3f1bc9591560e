#include "lib/policy/quote.h"

#include "lib/base/text.h"
#include "lib/policy/intern.h"

#include <inttypes.h>

static bool is_hidden(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x61C ||
           (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

static void write_escape(aicpi_strbuf *out, uint32_t c) {
    static const char from[] = "\n\r\t\\\"*";
    static const char to[] = "nrt\\\"*";
    const char *simple = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (simple) {
        aicpi_strbuf_putc(out, '\\');
        aicpi_strbuf_putc(out, to[simple - from]);
    } else if (c == 0) {
        aicpi_strbuf_puts(out, "\\0");
    } else {
        aicpi_strbuf_printf(out, "\\u{%" PRIx32 "}", c);
    }
}

void aicpi_policy_quote_chars(aicpi_strbuf *out, aicpi_slice text, bool pattern) {
    size_t start = 0; /* of the run that is copied as it is */
    for (size_t at = 0; at < text.len;) {
        uint32_t c = 0;
        size_t n = aicpi_utf8_decode(text.data + at, text.len - at, &c);
        if (c == '"' || c == '\\' || (pattern && c == '*') || is_hidden(c)) {
            aicpi_strbuf_append(out, text.data + start, at - start);
            write_escape(out, c);
            start = at + n;
        }
        at += n;
    }
    aicpi_strbuf_append(out, text.data + start, text.len - start);
}

void aicpi_policy_quote(aicpi_strbuf *out, aicpi_slice text) {
    aicpi_strbuf_putc(out, '"');
    aicpi_policy_quote_chars(out, text, false);
    aicpi_strbuf_putc(out, '"');
}

void aicpi_policy_quote_key(aicpi_strbuf *out, const aicpi_policy_str *key) {
    if (aicpi_policy_is_name(aicpi_policy_text(key))) {
        aicpi_strbuf_append(out, key->data, key->len);
    } else {
        aicpi_policy_quote(out, aicpi_policy_text(key));
    }
}
