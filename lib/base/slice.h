/* A view of bytes that belong to somebody else. */
#ifndef AICPI_BASE_SLICE_H
#define AICPI_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct aicpi_slice {
    const char *data;
    size_t len;
} aicpi_slice;

#define AICPI_SLICE(literal) ((aicpi_slice){"" literal, sizeof(literal) - 1})

static inline aicpi_slice aicpi_slice_of(const char *data, size_t len) {
    return (aicpi_slice){data, len};
}
static inline aicpi_slice aicpi_slice_cstr(const char *text) {
    return (aicpi_slice){text, text ? strlen(text) : 0};
}
static inline bool aicpi_slice_eq(aicpi_slice a, aicpi_slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool aicpi_slice_is(aicpi_slice a, const char *text) {
    size_t len = strlen(text);
    return a.len == len && memcmp(a.data, text, len) == 0;
}
/* Order of bytes, shorter first on a common prefix. */
static inline int aicpi_slice_cmp(aicpi_slice a, aicpi_slice b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

#endif
