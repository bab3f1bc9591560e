/* Keyed 64-bit hash of bytes, and a hash map from byte keys to 64-bit values or pointers. */
#ifndef AICPI_BASE_HASH_H
#define AICPI_BASE_HASH_H

#include "lib/base/alloc.h"
#include "lib/base/decimal.h"
#include "lib/base/slice.h"

#include <stdint.h>

/* Multiply-and-fold hash; `seed` keeps outside input from choosing collisions. Not for stored data.
 */
uint64_t aicpi_hash(uint64_t seed, const void *data, size_t len);

/* Mixes two words: 64 x 64 -> 128 bit product folded to 64 bits, as in the wyhash family. */
static inline uint64_t aicpi_hash_mix(uint64_t x, uint64_t y) {
    aicpi_uint128 p = (aicpi_uint128)x * y;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t aicpi_hash_read64(const unsigned char *p) {
    uint64_t v = 0;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t aicpi_hash_read32(const unsigned char *p) {
    uint32_t v = 0;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The same as aicpi_hash, for callers in whose time a call shows. */
static inline uint64_t aicpi_hash_inline(uint64_t seed, const void *data, size_t len) {
    const uint64_t k0 = UINT64_C(0x9E3779B97F4A7C15);
    const uint64_t k1 = UINT64_C(0xD1B54A32D192ED03);
    const uint64_t k2 = UINT64_C(0x8CB92BA72F3D8DD7);
    const unsigned char *p = data;
    uint64_t h = seed ^ aicpi_hash_mix(seed ^ k0, (uint64_t)len ^ k1);
    size_t left = len;
    for (; left > 16; left -= 16, p += 16) {
        h = aicpi_hash_mix(aicpi_hash_read64(p) ^ k1, aicpi_hash_read64(p + 8) ^ h);
    }
    uint64_t a = 0;
    uint64_t b = 0;
    if (left >= 8) {
        a = aicpi_hash_read64(p);
        b = aicpi_hash_read64(p + left - 8);
    } else if (left >= 4) {
        a = aicpi_hash_read32(p);
        b = aicpi_hash_read32(p + left - 4);
    } else if (left > 0) {
        a = ((uint64_t)p[0] << 16) | ((uint64_t)p[left >> 1] << 8) | p[left - 1];
    }
    return aicpi_hash_mix(k2 ^ (uint64_t)len, aicpi_hash_mix(a ^ k1, b ^ h));
}

/* A random seed, made once per process. */
uint64_t aicpi_hash_seed(void);

/* Open addressing, keys are borrowed (they must outlive the map) and unique. Confined. */
typedef struct aicpi_map_slot {
    uint64_t hash; /* 0 = empty */
    aicpi_slice key;
    union {
        void *ptr;
        uint64_t u64;
    } value;
} aicpi_map_slot;

typedef struct aicpi_map {
    aicp_allocator allocator;
    aicpi_map_slot *slots;
    size_t mask; /* slots - 1; slots is 0 before the first insert */
    size_t count;
    uint64_t seed;
} aicpi_map;

void aicpi_map_init(aicpi_map *map, const aicp_allocator *a);
void aicpi_map_deinit(aicpi_map *map);
/* NULL when absent. Valid until the next insert. */
aicpi_map_slot *aicpi_map_find(const aicpi_map *map, const char *key, size_t len);
/* The slot of the key, made when absent (*inserted set, value 0). NULL: out of memory. */
aicpi_map_slot *aicpi_map_put(aicpi_map *map, const char *key, size_t len, bool *inserted);
/* Iterates: start with *pos = 0; NULL at the end. */
aicpi_map_slot *aicpi_map_next(const aicpi_map *map, size_t *pos);

#endif
