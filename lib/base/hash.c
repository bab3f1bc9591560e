#include "lib/base/hash.h"

#include "lib/base/crypto.h"
#include "lib/base/decimal.h"

#include <stdatomic.h>

/* 64 x 64 -> 128 bit product folded to 64 bits, the mixing step of the wyhash family. */
uint64_t aicpi_hash_mix(uint64_t x, uint64_t y) {
    aicpi_uint128 p = (aicpi_uint128)x * y;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t read64(const unsigned char *p) {
    uint64_t v = 0;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t read32(const unsigned char *p) {
    uint32_t v = 0;
    memcpy(&v, p, sizeof v);
    return v;
}

#define K0 UINT64_C(0x9E3779B97F4A7C15)
#define K1 UINT64_C(0xD1B54A32D192ED03)
#define K2 UINT64_C(0x8CB92BA72F3D8DD7)

uint64_t aicpi_hash(uint64_t seed, const void *data, size_t len) {
    const unsigned char *p = data;
    uint64_t h = seed ^ aicpi_hash_mix(seed ^ K0, (uint64_t)len ^ K1);
    size_t left = len;
    for (; left > 16; left -= 16, p += 16) {
        h = aicpi_hash_mix(read64(p) ^ K1, read64(p + 8) ^ h);
    }
    uint64_t a = 0;
    uint64_t b = 0;
    if (left >= 8) {
        a = read64(p);
        b = read64(p + left - 8);
    } else if (left >= 4) {
        a = read32(p);
        b = read32(p + left - 4);
    } else if (left > 0) {
        a = ((uint64_t)p[0] << 16) | ((uint64_t)p[left >> 1] << 8) | p[left - 1];
    }
    return aicpi_hash_mix(K2 ^ (uint64_t)len, aicpi_hash_mix(a ^ K1, b ^ h));
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
