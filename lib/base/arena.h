/* Bump allocator for one request or one parse: freed as a whole. Reset keeps the memory, so that a
 * warm arena no longer touches the heap. */
#ifndef AICPI_BASE_ARENA_H
#define AICPI_BASE_ARENA_H

#include "lib/base/alloc.h"

typedef struct aicpi_arena_chunk aicpi_arena_chunk;

typedef struct aicpi_arena {
    aicp_allocator allocator;
    aicpi_arena_chunk *first;   /* chain of chunks, oldest first */
    aicpi_arena_chunk *current; /* the one that is being filled */
    size_t chunk_size;          /* least size of the next chunk */
    size_t limit;               /* most bytes in all; 0 = no limit */
    size_t total;               /* bytes of all chunks */
} aicpi_arena;

/* `chunk_size` 0 = 4096. No allocation yet. */
void aicpi_arena_init(aicpi_arena *arena, const aicp_allocator *a, size_t chunk_size, size_t limit);
void aicpi_arena_deinit(aicpi_arena *arena);
/* Empties it and keeps its chunks. */
void aicpi_arena_reset(aicpi_arena *arena);
/* 16-byte aligned, uninitialised / zeroed; NULL when out of memory or past the limit. Size 0 gives
 * a valid pointer. */
void *aicpi_arena_alloc(aicpi_arena *arena, size_t size);
void *aicpi_arena_calloc(aicpi_arena *arena, size_t count, size_t size);
/* Copy with a NUL behind it. */
char *aicpi_arena_strndup(aicpi_arena *arena, const char *data, size_t len);
/* Growing array inside the arena (an old copy stays behind until reset, unless the array was the
 * last thing allocated). */
bool aicpi_arena_grow(
    aicpi_arena *arena, void **items, size_t *capacity, size_t count, size_t item_size);

#endif
