/* Strict JSON pull reader (RFC 8259) over a text in memory. It gives spans into the text, so that
 * callers can patch bytes in place; refuses NaN, raw control characters, bad UTF-8, duplicate keys,
 * trailing bytes and too deep nesting; keeps numbers as their decimal text.
 *
 * Pattern: the reader is positioned on a value after init, after aicpi_json_member /
 * aicpi_json_element returned true.
 *
 *     aicpi_json r;
 *     aicpi_json_init(&r, &arena, data, len, 0);
 *     if (aicpi_json_object(&r)) {
 *         aicpi_slice key;
 *         while (aicpi_json_member(&r, &key)) {
 *             if (aicpi_slice_is(key, "model")) aicpi_json_string(&r, &model);
 *             else aicpi_json_skip(&r);
 *         }
 *     }
 *     status = aicpi_json_finish(&r, err);      // the first error of all, with line and column
 *
 * After an error every call returns false and does nothing: check once, at the end. */
#ifndef AICPI_BASE_JSON_H
#define AICPI_BASE_JSON_H

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/base/slice.h"

#include <stdint.h>

#define AICPI_JSON_DEPTH 128 /* default nesting */

typedef enum aicpi_json_type {
    AICPI_JSON_ERROR = 0,
    AICPI_JSON_NULL,
    AICPI_JSON_BOOL,
    AICPI_JSON_NUMBER,
    AICPI_JSON_STRING,
    AICPI_JSON_ARRAY,
    AICPI_JSON_OBJECT,
} aicpi_json_type;

typedef struct aicpi_json_keys aicpi_json_keys;

/* One open container. */
typedef struct aicpi_json_level {
    bool first;            /* nothing read from it yet */
    bool is_object;        /* its kind */
    aicpi_json_keys *keys; /* seen in it, when it is an object */
} aicpi_json_level;

typedef struct aicpi_json {
    const char *data;
    size_t len;
    size_t pos; /* start of the value to be read, or behind the last one */
    aicpi_arena *arena;
    aicp_status status;
    const char *message; /* of the first error, static or in the arena */
    size_t error_pos;
    uint32_t depth;
    uint32_t max_depth;
    aicpi_json_level levels[AICPI_JSON_DEPTH];
    aicpi_json_level *deeper; /* levels from AICPI_JSON_DEPTH on, in the arena */
    size_t deeper_capacity;
} aicpi_json;

/* `arena` holds decoded strings, key lists and levels past AICPI_JSON_DEPTH; `max_depth` 0 =
 * AICPI_JSON_DEPTH. A caller that asks for more must not recurse once per level. */
void aicpi_json_init(
    aicpi_json *r, aicpi_arena *arena, const char *data, size_t len, uint32_t max_depth);
/* Type of the value at hand without reading it. */
aicpi_json_type aicpi_json_peek(aicpi_json *r);
/* Byte offset where the value at hand starts (white space passed). */
size_t aicpi_json_offset(aicpi_json *r);

/* Each reads the value at hand, which must have that type (else ERR_PARSE "expected a string").
 * Decoded strings are views of the text when they have no escapes, else arena copies. */
bool aicpi_json_null(aicpi_json *r);
bool aicpi_json_bool(aicpi_json *r, bool *out);
bool aicpi_json_string(aicpi_json *r, aicpi_slice *out);
bool aicpi_json_number(aicpi_json *r, aicpi_slice *decimal_text);
/* Whole numbers only ("1.0" and "1e3" are refused); ERR_RANGE outside int64. */
bool aicpi_json_int64(aicpi_json *r, int64_t *out);
bool aicpi_json_double(aicpi_json *r, double *out);
/* Opens a container; then loop over member / element, which return false at its end (or on error)
 * and leave it. */
bool aicpi_json_object(aicpi_json *r);
bool aicpi_json_member(aicpi_json *r, aicpi_slice *key);
bool aicpi_json_array(aicpi_json *r);
bool aicpi_json_element(aicpi_json *r);
/* Reads over a whole value, checking it. */
bool aicpi_json_skip(aicpi_json *r);
/* Same, and gives its bytes. */
bool aicpi_json_span(aicpi_json *r, aicpi_slice *raw);

/* Reports an error of the caller's at the given offset (only the first error counts). Returns
 * false. */
bool aicpi_json_fail(aicpi_json *r, aicp_status code, size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
#if defined(__clang_analyzer__) && !defined(AICPI_JSON_DEFINITIONS)
#define aicpi_json_fail(r, code, offset, ...)                                                      \
    ((r)->status = (code), aicpi_error_sink(NULL, __VA_ARGS__), (void)(offset), false)
#endif
/* True while no error happened. */
static inline bool aicpi_json_ok(const aicpi_json *r) {
    return r->status == AICP_OK;
}
/* After the top value: only white space may follow. Fills err and returns the first error. */
aicp_status aicpi_json_finish(aicpi_json *r, aicp_error *err);

#endif
