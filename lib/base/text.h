/* UTF-8, ASCII helpers, hex and base64. */
#ifndef AICPI_BASE_TEXT_H
#define AICPI_BASE_TEXT_H

#include "lib/base/slice.h"
#include "lib/base/strbuf.h"

#include <stdint.h>

/* Decodes one scalar value at data[0..len); returns its length in bytes, 0 when malformed (len >
 * 0). */
size_t aicpi_utf8_decode(const char *data, size_t len, uint32_t *scalar);
/* Length of the maximal invalid part at data[0] (Unicode "substitution of maximal subparts"). */
size_t aicpi_utf8_invalid(const char *data, size_t len);
/* Writes a scalar value, returns 1..4. */
size_t aicpi_utf8_encode(uint32_t scalar, char out[4]);
/* True when all of it is valid; else *offset is the first bad byte (may be NULL). */
bool aicpi_utf8_valid(const char *data, size_t len, size_t *offset);
/* Most rules' names for people keep of it. */
#define AICPI_RULE_NAME_MAX 128
/* Length of the longest part of at most `most` bytes that ends between code points of valid text.
 */
size_t aicpi_utf8_cut(const char *data, size_t len, size_t most);
/* Code points of a valid text. */
size_t aicpi_utf8_count(const char *data, size_t len);

static inline bool aicpi_is_digit(char c) {
    return c >= '0' && c <= '9';
}
static inline bool aicpi_is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool aicpi_is_alnum(char c) {
    return aicpi_is_digit(c) || aicpi_is_alpha(c);
}
static inline char aicpi_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
/* -1 when not a hex digit. */
int aicpi_hex_value(char c);
/* Equal but for ASCII case. */
bool aicpi_slice_is_nocase(aicpi_slice a, const char *text);

#define AICPI_EDIT_LENGTH_MOST 64
/* Least number of bytes to insert, drop or change that makes one text the other; SIZE_MAX when one
 * is longer than AICPI_EDIT_LENGTH_MOST. */
size_t aicpi_edit_distance(aicpi_slice a, aicpi_slice b);

/* Lower-case hex; `out` has room for 2 * len + 1 bytes. */
void aicpi_hex_encode(const void *data, size_t len, char *out);
/* Standard base64 with padding optional; false when malformed. *out_len <= len * 3 / 4 + 3. */
bool aicpi_base64_decode(const char *data, size_t len, unsigned char *out, size_t *out_len);
/* Plain decimal digits, whole slice, no sign; false on overflow or other characters. */
bool aicpi_parse_u64(aicpi_slice text, uint64_t *out);

#endif
