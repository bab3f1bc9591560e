#include "lib/base/arena.h"

#include <stdint.h>
#include <string.h>

struct aicpi_arena_chunk {
    aicpi_arena_chunk *next;
    size_t size; /* bytes behind the header */
    size_t used;
    size_t align; /* keeps the data behind the header 16-byte aligned */
};

#define ARENA_ALIGN ((size_t)16)
#define ARENA_CHUNK ((size_t)4096)
/* Chunks double up to this size, so that many small ones do not pile up. */
#define ARENA_CHUNK_MOST ((size_t)1 << 20)

_Static_assert(sizeof(aicpi_arena_chunk) % 16 == 0, "data behind the header must stay aligned");

void aicpi_arena_init(
    aicpi_arena *arena, const aicp_allocator *a, size_t chunk_size, size_t limit) {
    *arena = (aicpi_arena){
        .allocator = aicpi_allocator(a),
        .chunk_size = chunk_size ? chunk_size : ARENA_CHUNK,
        .limit = limit,
    };
}

void aicpi_arena_deinit(aicpi_arena *arena) {
    aicpi_arena_chunk *next = NULL;
    for (aicpi_arena_chunk *c = arena->first; c; c = next) {
        next = c->next;
        aicpi_free(&arena->allocator, c);
    }
    arena->first = NULL;
    arena->current = NULL;
    arena->total = 0;
}

void aicpi_arena_reset(aicpi_arena *arena) {
    for (aicpi_arena_chunk *c = arena->first; c; c = c->next) {
        c->used = 0;
    }
    arena->current = arena->first;
}

static aicpi_arena_chunk *add_chunk(aicpi_arena *arena, size_t size) {
    size_t chunk = size > arena->chunk_size ? size : arena->chunk_size;
    size_t bytes = 0;
    if (!aicpi_add(chunk, sizeof(aicpi_arena_chunk), &bytes)) {
        return NULL;
    }
    if (arena->limit && (bytes > arena->limit || arena->total > arena->limit - bytes)) {
        return NULL;
    }
    aicpi_arena_chunk *c = aicpi_alloc(&arena->allocator, bytes);
    if (!c) {
        return NULL;
    }
    *c = (aicpi_arena_chunk){.size = chunk};
    arena->total += bytes;
    if (arena->chunk_size < ARENA_CHUNK_MOST) {
        arena->chunk_size *= 2;
    }
    if (arena->current) {
        c->next = arena->current->next;
        arena->current->next = c;
    } else {
        arena->first = c;
    }
    return c;
}

static bool round_up(size_t size, size_t *out) {
    *out = (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    return size <= SIZE_MAX - ARENA_ALIGN;
}

void *aicpi_arena_alloc(aicpi_arena *arena, size_t size) {
    size_t need = 0;
    if (!round_up(size, &need)) {
        return NULL;
    }
    aicpi_arena_chunk *c = arena->current;
    while (c && c->size - c->used < need) {
        c = c->next;
    }
    if (!c) {
        c = add_chunk(arena, need);
        if (!c) {
            return NULL;
        }
    }
    arena->current = c;
    char *p = (char *)(c + 1) + c->used;
    c->used += need;
    return p;
}

void *aicpi_arena_calloc(aicpi_arena *arena, size_t count, size_t size) {
    size_t bytes = 0;
    if (!aicpi_mul(count, size, &bytes)) {
        return NULL;
    }
    void *p = aicpi_arena_alloc(arena, bytes);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

char *aicpi_arena_strndup(aicpi_arena *arena, const char *data, size_t len) {
    size_t bytes = 0;
    if (!aicpi_add(len, 1, &bytes)) {
        return NULL;
    }
    char *copy = aicpi_arena_alloc(arena, bytes);
    if (copy) {
        if (len > 0) {
            memcpy(copy, data, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

/* Lengthens what was allocated last, where it stands. */
static bool extend(aicpi_arena *arena, const void *last, size_t old_size, size_t size) {
    aicpi_arena_chunk *c = arena->current;
    size_t old_need = 0;
    size_t need = 0;
    if (!last || !round_up(old_size, &old_need) || !round_up(size, &need) ||
        (const char *)last + old_need != (const char *)(c + 1) + c->used ||
        c->size - c->used < need - old_need) {
        return false;
    }
    c->used += need - old_need;
    return true;
}

/* Bytes that an array begins with, but at least two items: most stay short. */
#define ARENA_FIRST ((size_t)32)

bool aicpi_arena_grow(
    aicpi_arena *arena, void **items, size_t *capacity, size_t count, size_t item_size) {
    if (count < *capacity) {
        return true;
    }
    size_t wanted = item_size < ARENA_FIRST / 2 ? ARENA_FIRST / item_size : 2;
    size_t bytes = 0;
    if (*capacity && !aicpi_mul(*capacity, 2, &wanted)) {
        return false;
    }
    if (!aicpi_mul(wanted, item_size, &bytes)) {
        return false;
    }
    if (!*capacity || !extend(arena, *items, *capacity * item_size, bytes)) {
        void *grown = aicpi_arena_alloc(arena, bytes);
        if (!grown) {
            return false;
        }
        if (*capacity && *items) {
            memcpy(grown, *items, *capacity * item_size);
        }
        *items = grown;
    }
    *capacity = wanted;
    return true;
}
