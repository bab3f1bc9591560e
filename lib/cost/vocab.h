/* A compiled vocabulary: read-only tables in one block of bytes, made at build time by
 * tools/vocab_compile.c and linked into the library. Offsets instead of pointers, so that the block
 * can lie anywhere. */
#ifndef AICPI_COST_VOCAB_H
#define AICPI_COST_VOCAB_H

#include <stdint.h>
#include <string.h>

#define AICPI_VOCAB_MAGIC UINT64_C(0x0031626f63706961) /* "aicpob1" */
#define AICPI_VOCAB_NONE UINT32_MAX
#define AICPI_VOCAB_MAX_TOKEN 128 /* longest token in bytes */

typedef struct aicpi_vocab_header {
    uint64_t magic;
    uint32_t tokens;      /* ids are 0..tokens-1; an id without bytes does not exist */
    uint32_t nodes;       /* slots of the trie */
    uint32_t root_base;   /* base of the trie's root */
    uint32_t short_bits;  /* log2 of the slots for tokens of 1..7 bytes */
    uint32_t medium_bits; /* log2 of the slots for tokens of 8..15 bytes */
    uint32_t pair_bits;   /* log2 of the slots of the pair table */
    uint32_t filter_bits; /* log2 of the bits of the pair filter */
    uint32_t reserved;
    uint64_t size;        /* of everything */
    uint64_t offsets;     /* uint32_t[tokens + 1]: where a token's bytes begin */
    uint64_t bytes;       /* the bytes of all tokens */
    uint64_t split;       /* aicpi_vocab_pair[tokens]: the two tokens of the last merge */
    uint64_t prefix;      /* uint32_t[tokens]: longest proper prefix that is a token, or NONE */
    uint64_t lengths;     /* uint8_t[tokens] */
    uint64_t trie;        /* aicpi_vocab_node[nodes] */
    uint64_t short_keys;  /* uint64_t[]: bytes and length of a token, 0 = empty */
    uint64_t short_ids;   /* uint32_t[] */
    uint64_t medium_keys; /* aicpi_vocab_key[]: hi 0 = empty */
    uint64_t medium_ids;  /* uint32_t[] */
    uint64_t pairs;       /* uint32_t[]: a token whose split is the pair, or NONE */
    uint64_t filter;      /* uint64_t[]: one bit per hash of a pair */
} aicpi_vocab_header;

typedef struct aicpi_vocab_pair {
    uint32_t left;
    uint32_t right;
} aicpi_vocab_pair;

typedef struct aicpi_vocab_key {
    uint64_t lo;
    uint64_t hi;
} aicpi_vocab_key;

/* Double array: the child for byte c of a node with base b is slot b + c, if its `link` carries c
 * and the occupied flag. No two nodes share a base; base 0 has no children. */
typedef struct aicpi_vocab_node {
    uint32_t link;  /* base << 9 | occupied << 8 | byte that leads here */
    uint32_t token; /* token that ends here, or NONE */
} aicpi_vocab_node;

#define AICPI_VOCAB_LINK_MASK 0x1FFU
#define AICPI_VOCAB_OCCUPIED 0x100U

/* The tables as pointers. */
typedef struct aicpi_vocab {
    const aicpi_vocab_header *header;
    const uint32_t *offsets;
    const uint8_t *bytes;
    const aicpi_vocab_pair *split;
    const uint32_t *prefix;
    const uint8_t *lengths;
    const aicpi_vocab_node *trie;
    const uint64_t *short_keys;
    const uint32_t *short_ids;
    const aicpi_vocab_key *medium_keys;
    const uint32_t *medium_ids;
    const uint32_t *pairs;
    const uint64_t *filter;
    unsigned short_shift; /* 64 - bits, for the hashes */
    unsigned medium_shift;
    unsigned pair_shift;
    unsigned filter_shift;
    uint32_t root_base;
} aicpi_vocab;

#define AICPI_HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

static inline uint64_t aicpi_vocab_hash_short(uint64_t key) {
    key *= AICPI_HASH_FACTOR;
    return (key ^ (key >> 32)) * AICPI_HASH_FACTOR;
}

static inline uint64_t aicpi_vocab_hash_medium(uint64_t lo, uint64_t hi) {
    uint64_t x = (lo ^ (hi * UINT64_C(0xD6E8FEB86659FD93))) * AICPI_HASH_FACTOR;
    return (x ^ (x >> 32)) * AICPI_HASH_FACTOR;
}

static inline uint64_t aicpi_vocab_hash_pair(uint32_t left, uint32_t right) {
    return ((uint64_t)left << 32 | right) * AICPI_HASH_FACTOR;
}

static inline void aicpi_vocab_bind(aicpi_vocab *v, const void *block) {
    const uint8_t *p = block;
    const aicpi_vocab_header *h = block;
    v->header = h;
    v->offsets = (const uint32_t *)(const void *)(p + h->offsets);
    v->bytes = p + h->bytes;
    v->split = (const aicpi_vocab_pair *)(const void *)(p + h->split);
    v->prefix = (const uint32_t *)(const void *)(p + h->prefix);
    v->lengths = p + h->lengths;
    v->trie = (const aicpi_vocab_node *)(const void *)(p + h->trie);
    v->short_keys = (const uint64_t *)(const void *)(p + h->short_keys);
    v->short_ids = (const uint32_t *)(const void *)(p + h->short_ids);
    v->medium_keys = (const aicpi_vocab_key *)(const void *)(p + h->medium_keys);
    v->medium_ids = (const uint32_t *)(const void *)(p + h->medium_ids);
    v->pairs = (const uint32_t *)(const void *)(p + h->pairs);
    v->filter = (const uint64_t *)(const void *)(p + h->filter);
    v->short_shift = 64 - h->short_bits;
    v->medium_shift = 64 - h->medium_bits;
    v->pair_shift = 64 - h->pair_bits;
    v->filter_shift = 64 - h->filter_bits;
    v->root_base = h->root_base;
}

/* Key of 1..7 bytes, and of 8..15 bytes: the bytes in little-endian order and the length on top. */
static inline uint64_t aicpi_vocab_short_key(const uint8_t *data, size_t len) {
    uint64_t key = 0;
    memcpy(&key, data, len);
    return key | (uint64_t)len << 56;
}

static inline aicpi_vocab_key aicpi_vocab_medium_key(const uint8_t *data, size_t len) {
    aicpi_vocab_key key = {0, 0};
    memcpy(&key.lo, data, 8);
    memcpy(&key.hi, data + 8, len - 8);
    key.hi |= (uint64_t)len << 56;
    return key;
}

#endif
