/* Heap access: the only place where libc's allocator is named. */
#ifndef AICPI_BASE_ALLOC_H
#define AICPI_BASE_ALLOC_H

#include "aicp/base.h"

#include <stdbool.h>

/* The allocator in force: `a` when given and complete, else libc's. Objects keep the returned copy.
 */
aicp_allocator aicpi_allocator(const aicp_allocator *a);

/* `a` NULL: libc's. NULL on failure or when size is 0. `calloc` zeroes and checks count * size. */
void *aicpi_alloc(const aicp_allocator *a, size_t size);
void *aicpi_calloc(const aicp_allocator *a, size_t count, size_t size);
void *aicpi_realloc(const aicp_allocator *a, void *ptr, size_t old_size, size_t new_size);
void aicpi_free(const aicp_allocator *a, void *ptr); /* NULL is fine */
/* Copy of len bytes with a NUL behind them. */
char *aicpi_strndup(const aicp_allocator *a, const char *data, size_t len);

/* Makes room for one more element in a growing array; doubles `*capacity`. False: out of memory,
 * nothing changed. Usage: if (!aicpi_grow(a, (void **)&items, &cap, count, sizeof *items)) ... */
bool aicpi_grow(
    const aicp_allocator *a, void **items, size_t *capacity, size_t count, size_t item_size);

/* count * size, false on overflow. */
bool aicpi_mul(size_t count, size_t size, size_t *out);
bool aicpi_add(size_t x, size_t y, size_t *out);

#endif
