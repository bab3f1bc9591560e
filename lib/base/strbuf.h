/* Growing byte buffer with a maximum given at the start. After a failed append it stays failed
 * (`failed` is set and further appends do nothing), so that callers check once at the end. */
#ifndef AICPI_BASE_STRBUF_H
#define AICPI_BASE_STRBUF_H

#include "lib/base/alloc.h"
#include "lib/base/slice.h"

#include <stdarg.h>
#include <stdint.h>

typedef struct aicpi_strbuf {
    aicp_allocator allocator;
    char *data; /* NUL behind len once anything was written */
    size_t len;
    size_t capacity;
    size_t max; /* most bytes, without the NUL */
    bool failed;
    bool full; /* it failed because of max, not for want of memory */
} aicpi_strbuf;

#define AICPI_STRBUF_MAX ((size_t)1 << 30)

void aicpi_strbuf_init(aicpi_strbuf *b, const aicp_allocator *a, size_t max);
void aicpi_strbuf_deinit(aicpi_strbuf *b);
void aicpi_strbuf_clear(aicpi_strbuf *b); /* keeps the memory, clears `failed` */
bool aicpi_strbuf_reserve(aicpi_strbuf *b, size_t more);
void aicpi_strbuf_append(aicpi_strbuf *b, const char *data, size_t len);
void aicpi_strbuf_puts(aicpi_strbuf *b, const char *text);
void aicpi_strbuf_putc(aicpi_strbuf *b, char c);
void aicpi_strbuf_i64(aicpi_strbuf *b, int64_t value); /* decimal */
void aicpi_strbuf_printf(aicpi_strbuf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* JSON string with quotes; invalid UTF-8 becomes U+FFFD. `_json_body` writes it without the quotes.
 */
void aicpi_strbuf_json(aicpi_strbuf *b, const char *data, size_t len);
void aicpi_strbuf_json_body(aicpi_strbuf *b, const char *data, size_t len);
/* Moves the bytes into `out` (to be freed with aicp_buf_free) or reports ERR_NOMEM / ERR_LIMIT.
 * Empties `b` both ways. */
aicp_status aicpi_strbuf_take(aicpi_strbuf *b, aicp_buf *out, aicp_error *err);

#endif
