/* The built-in encodings: one line each. Ids of special tokens as published with the encodings. */
#include "lib/cost/cost_internal.h"

#include "lib/base/text.h"

#include <stdio.h>

/* Vocabularies, compiled at build time (module.cmake) and put into read-only data. */
#define VOCABULARY(symbol, path)                                                                   \
    extern const unsigned char symbol[];                                                           \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 64\n"                                                                         \
            ".globl " #symbol "\n"                                                                 \
            ".hidden " #symbol "\n"                                                                \
            ".type " #symbol ", @object\n" #symbol ":\n"                                           \
            ".incbin \"" path "\"\n"                                                               \
            ".size " #symbol ", . - " #symbol "\n"                                                 \
            ".popsection\n")

VOCABULARY(aicpi_vocab_o200k_base, AICPI_VOCAB_O200K_BASE);
VOCABULARY(aicpi_vocab_cl100k_base, AICPI_VOCAB_CL100K_BASE);

static const aicpi_special specials_o200k[] = {
    {"<|endoftext|>", 199999},
    {"<|endofprompt|>", 200018},
    {NULL, 0},
};

static const aicpi_special specials_harmony[] = {
    {"<|startoftext|>", 199998},
    {"<|endoftext|>", 199999},
    {"<|return|>", 200002},
    {"<|constrain|>", 200003},
    {"<|channel|>", 200005},
    {"<|start|>", 200006},
    {"<|end|>", 200007},
    {"<|message|>", 200008},
    {"<|call|>", 200012},
    {"<|endofprompt|>", 200018},
    {NULL, 0},
};

static const aicpi_special specials_cl100k[] = {
    {"<|endoftext|>", 100257},
    {"<|fim_prefix|>", 100258},
    {"<|fim_middle|>", 100259},
    {"<|fim_suffix|>", 100260},
    {"<|endofprompt|>", 100276},
    {NULL, 0},
};

static const aicpi_encoding encodings[] = {
    {"o200k_base", aicpi_vocab_o200k_base, AICPI_SPLIT_O200K, specials_o200k, 0, 0, 200019},
    {"o200k_harmony",
     aicpi_vocab_o200k_base,
     AICPI_SPLIT_O200K,
     specials_harmony,
     200000,
     201087,
     201088},
    {"cl100k_base", aicpi_vocab_cl100k_base, AICPI_SPLIT_CL100K, specials_cl100k, 0, 0, 100277},
};

const aicpi_encoding *aicpi_cost_encoding_find(aicpi_slice name) {
    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        if (aicpi_slice_is(name, encodings[i].name)) {
            return &encodings[i];
        }
    }
    return NULL;
}

void aicpi_cost_codec_bind(aicpi_codec *codec, const aicpi_encoding *encoding) {
    codec->encoding = encoding;
    aicpi_vocab_bind(&codec->vocab, encoding->block);
}

/* The named id, unless it has a name of its own (200018 has both names). */
static bool is_reserved(const aicpi_encoding *encoding, uint64_t id) {
    if (encoding->reserved_last == 0 || id < encoding->reserved_first ||
        id > encoding->reserved_last) {
        return false;
    }
    for (const aicpi_special *s = encoding->specials; s->text != NULL; s++) {
        if (s->id == id && id != 200018) {
            return false;
        }
    }
    return true;
}

#define RESERVED_PREFIX "<|reserved_"

static uint32_t
reserved_at(const aicpi_encoding *encoding, const char *data, size_t left, size_t *len) {
    const size_t prefix = sizeof RESERVED_PREFIX - 1;
    const size_t total = prefix + 6 + 2; /* six digits and "|>" */
    uint64_t id;
    if (encoding->reserved_last == 0 || left < total ||
        memcmp(data, RESERVED_PREFIX, prefix) != 0 || memcmp(data + prefix + 6, "|>", 2) != 0 ||
        !aicpi_parse_u64(aicpi_slice_of(data + prefix, 6), &id) || !is_reserved(encoding, id)) {
        return AICPI_VOCAB_NONE;
    }
    *len = total;
    return (uint32_t)id;
}

uint32_t
aicpi_cost_special_at(const aicpi_encoding *encoding, const char *data, size_t left, size_t *len) {
    for (const aicpi_special *s = encoding->specials; s->text != NULL; s++) {
        size_t n = strlen(s->text);
        if (left >= n && memcmp(data, s->text, n) == 0) { /* none is the start of another */
            *len = n;
            return s->id;
        }
    }
    return reserved_at(encoding, data, left, len);
}

size_t aicpi_cost_special_text(const aicpi_encoding *encoding, uint32_t id, char *out) {
    for (const aicpi_special *s = encoding->specials; s->text != NULL; s++) {
        if (s->id == id) {
            size_t n = strlen(s->text);
            memcpy(out, s->text, n);
            return n;
        }
    }
    if (!is_reserved(encoding, id)) {
        return 0;
    }
    return (size_t)snprintf(out, 40, RESERVED_PREFIX "%u|>", (unsigned)id);
}
