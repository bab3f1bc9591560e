#include "lib/base/hash.h"

#include "lib/base/crypto.h"
#include "lib/base/decimal.h"

#include <stdatomic.h>

uint64_t aicpi_hash(uint64_t seed, const void *data, size_t len) {
    return aicpi_hash_inline(seed, data, len);
}

uint64_t aicpi_hash_seed(void) {
    static atomic_uint_fast64_t seed;
    uint64_t s = atomic_load_explicit(&seed, memory_order_relaxed);
    if (s == 0) {
        uint64_t made = 0;
        aicpi_random(&made, sizeof made);
        made |= 1;
        uint_fast64_t expected = 0;
        s = atomic_compare_exchange_strong(&seed, &expected, made) ? made : (uint64_t)expected;
    }
    return s;
}

void aicpi_map_init(aicpi_map *map, const aicp_allocator *a) {
    *map = (aicpi_map){.allocator = aicpi_allocator(a), .seed = aicpi_hash_seed()};
}

void aicpi_map_deinit(aicpi_map *map) {
    aicpi_free(&map->allocator, map->slots);
    map->slots = NULL;
    map->count = 0;
    map->mask = 0;
}

static uint64_t key_hash(const aicpi_map *map, const char *key, size_t len) {
    uint64_t h = aicpi_hash(map->seed, key, len);
    return h ? h : 1;
}

static aicpi_map_slot *probe(const aicpi_map *map, uint64_t hash, aicpi_slice key) {
    for (size_t i = (size_t)hash & map->mask;; i = (i + 1) & map->mask) {
        aicpi_map_slot *s = &map->slots[i];
        if (s->hash == 0 || (s->hash == hash && aicpi_slice_eq(s->key, key))) {
            return s;
        }
    }
}

aicpi_map_slot *aicpi_map_find(const aicpi_map *map, const char *key, size_t len) {
    if (map->count == 0) {
        return NULL;
    }
    aicpi_map_slot *s = probe(map, key_hash(map, key, len), aicpi_slice_of(key, len));
    return s->hash ? s : NULL;
}

static bool rehash(aicpi_map *map) {
    size_t slots = map->slots ? (map->mask + 1) * 2 : 8;
    aicpi_map grown = *map;
    grown.slots = aicpi_calloc(&map->allocator, slots, sizeof *grown.slots);
    if (!grown.slots) {
        return false;
    }
    grown.mask = slots - 1;
    size_t pos = 0;
    for (aicpi_map_slot *s; (s = aicpi_map_next(map, &pos)) != NULL;) {
        *probe(&grown, s->hash, s->key) = *s;
    }
    aicpi_free(&map->allocator, map->slots);
    *map = grown;
    return true;
}

aicpi_map_slot *aicpi_map_put(aicpi_map *map, const char *key, size_t len, bool *inserted) {
    *inserted = false;
    if ((!map->slots || map->count * 4 >= (map->mask + 1) * 3) && !rehash(map)) {
        return NULL;
    }
    uint64_t hash = key_hash(map, key, len);
    aicpi_map_slot *s = probe(map, hash, aicpi_slice_of(key, len));
    if (s->hash == 0) {
        *s = (aicpi_map_slot){.hash = hash, .key = {key, len}};
        map->count++;
        *inserted = true;
    }
    return s;
}

aicpi_map_slot *aicpi_map_next(const aicpi_map *map, size_t *pos) {
    while (map->slots && *pos <= map->mask) {
        aicpi_map_slot *s = &map->slots[(*pos)++];
        if (s->hash) {
            return s;
        }
    }
    return NULL;
}
