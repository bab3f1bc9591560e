/* Keyed 64-bit hash of bytes, and a hash map from byte keys to 64-bit values or pointers. */
#ifndef AICPI_BASE_HASH_H
#define AICPI_BASE_HASH_H

#include "lib/base/alloc.h"
#include "lib/base/slice.h"

#include <stdint.h>

/* Multiply-and-fold hash; `seed` keeps outside input from choosing collisions. Not for stored data.
 */
uint64_t aicpi_hash(uint64_t seed, const void *data, size_t len);
/* Mixes two words. */
uint64_t aicpi_hash_mix(uint64_t x, uint64_t y);
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
