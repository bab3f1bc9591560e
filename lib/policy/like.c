#include "lib/policy/like.h"

#include <string.h>

/* Literal pieces are whole characters of valid UTF-8, so bytes can be compared. */
static bool starts_with(aicpi_slice text, aicpi_slice piece) {
    return piece.len <= text.len &&
           (piece.len == 0 || memcmp(text.data, piece.data, piece.len) == 0);
}

bool aicpi_policy_like(const aicpi_policy_pattern *pattern, aicpi_slice text) {
    const aicpi_slice *pieces = pattern->pieces;
    uint32_t last = pattern->count - 1;
    if (last == 0) {
        return aicpi_slice_eq(pieces[0], text);
    }
    if (!starts_with(text, pieces[0])) {
        return false;
    }
    text.data += pieces[0].len;
    text.len -= pieces[0].len;
    aicpi_slice tail = pieces[last];
    if (tail.len > text.len) {
        return false;
    }
    if (!starts_with(aicpi_slice_of(text.data + text.len - tail.len, tail.len), tail)) {
        return false;
    }
    text.len -= tail.len;
    /* The earliest place for each piece leaves most room for the next: no need to go back. */
    for (uint32_t i = 1; i < last; i++) {
        if (pieces[i].len == 0) {
            continue;
        }
        const char *at = memmem(text.data, text.len, pieces[i].data, pieces[i].len);
        if (!at) {
            return false;
        }
        size_t used = (size_t)(at - text.data) + pieces[i].len;
        text.data += used;
        text.len -= used;
    }
    return true;
}
