/* Shared inside lib/cost: encodings and counting of plain texts. */
#ifndef AICPI_COST_INTERNAL_H
#define AICPI_COST_INTERNAL_H

#include "aicp/cost.h"

#include "lib/base/slice.h"
#include "lib/cost/bpe.h"
#include "lib/cost/split.h"
#include "lib/cost/vocab.h"

#include <stdbool.h>

/* A special token and its id. */
typedef struct aicpi_special {
    const char *text;
    uint32_t id;
} aicpi_special;

/* One line per encoding. Tokens `<|reserved_N|>` = N exist for reserved_first..reserved_last. */
typedef struct aicpi_encoding {
    const char *name;
    const unsigned char *block; /* compiled vocabulary */
    aicpi_splitter splitter;
    const aicpi_special *specials; /* ends with a NULL text */
    uint32_t reserved_first;
    uint32_t reserved_last; /* 0 = none */
    uint32_t vocab_size;
} aicpi_encoding;

/* An encoding ready for use: no more than pointers into read-only data. */
typedef struct aicpi_codec {
    const aicpi_encoding *encoding;
    aicpi_vocab vocab;
} aicpi_codec;

const aicpi_encoding *aicpi_cost_encoding_find(aicpi_slice name); /* NULL = unknown */
void aicpi_cost_codec_bind(aicpi_codec *codec, const aicpi_encoding *encoding);

/* Tokens of a text in ordinary mode, added to the sink. False: out of memory. */
bool aicpi_cost_encode(
    const aicpi_codec *codec, const char *data, size_t len, aicpi_bpe_sink *sink);
uint64_t aicpi_cost_count(const aicpi_codec *codec, const char *data, size_t len);

/* The special token at the start of a text, its length in *len, or NONE. */
uint32_t
aicpi_cost_special_at(const aicpi_encoding *encoding, const char *data, size_t left, size_t *len);
/* Text of a special token in `out` (room for 40 bytes); 0 when there is none of that id. */
size_t aicpi_cost_special_text(const aicpi_encoding *encoding, uint32_t id, char *out);

#endif
