/* Splits text into pieces before byte-pair encoding, as the regular expressions of the encodings do
 * (first alternative that matches), in one pass and without backtracking. Bytes that are not UTF-8
 * are read as U+FFFD, one per maximal invalid part, and set *dirty. */
#ifndef AICPI_COST_SPLIT_H
#define AICPI_COST_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum aicpi_splitter {
    AICPI_SPLIT_CL100K = 0,
    AICPI_SPLIT_O200K = 1,
} aicpi_splitter;

/* End of the piece that begins at p; p < end. */
const uint8_t *aicpi_cost_split_cl100k(const uint8_t *p, const uint8_t *end, bool *dirty);
const uint8_t *aicpi_cost_split_o200k(const uint8_t *p, const uint8_t *end, bool *dirty);

#endif
