/* Exact byte-pair encoding of one piece in linear time and constant space.
 *
 * A sequence of tokens is the encoding of its text exactly when every two neighbours are
 * compatible: encoding just the two would leave this border. So the text is read from the left,
 * always trying the longest token that is compatible with the one before, and stepping back from
 * dead ends; no position is left twice. What may have to be stepped back over is kept in a window;
 * should a text ever need more (none is known), a method without stepping back takes over, which
 * tries every token at every position and needs 128 positions only. */
#ifndef AICPI_COST_BPE_H
#define AICPI_COST_BPE_H

#include "lib/base/alloc.h"
#include "lib/cost/vocab.h"

#include <stdbool.h>
#include <stddef.h>

/* Positions that can be stepped back over; a power of two, at least 1024. */
#define AICPI_BPE_WINDOW 2048

/* Takes tokens in order: counts all, keeps the first `capacity` (and their bytes). */
typedef struct aicpi_bpe_sink {
    uint32_t *ids; /* NULL = do not keep */
    size_t capacity;
    size_t count;
    uint64_t bytes;                  /* of the first `capacity` tokens */
    bool stop;                       /* more than `capacity` need not be counted to the end */
    const aicp_allocator *allocator; /* for the second method when tokens are kept; NULL = libc */
} aicpi_bpe_sink;

/* Encodes a piece of valid UTF-8 (or of any bytes). False: out of memory, which only happens when
 * ids are kept and the window was too small. */
bool aicpi_bpe_encode(const aicpi_vocab *v, const uint8_t *piece, size_t len, aicpi_bpe_sink *sink);

/* Same for bytes that are not UTF-8 throughout: each maximal invalid part stands for U+FFFD. */
bool aicpi_bpe_encode_dirty(
    const aicpi_vocab *v, const uint8_t *piece, size_t len, aicpi_bpe_sink *sink);

/* For tests: the same with a smaller window (a power of two, at least 512), or by the second method
 * at once. */
#define AICPI_BPE_SLOW_ONLY 0
bool aicpi_bpe_encode_window(
    const aicpi_vocab *v, const uint8_t *piece, size_t len, size_t window, aicpi_bpe_sink *sink);

/* Would encoding the texts of both tokens leave the border between them? */
bool aicpi_bpe_compatible(const aicpi_vocab *v, uint32_t left, uint32_t right);

#endif
