#include "lib/base/alloc.h"

#include <stdlib.h>
#include <string.h>

static void *libc_alloc(void *user, size_t size) {
    (void)user;
    return malloc(size);
}

static void *libc_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    return realloc(ptr, new_size);
}

static void libc_free(void *user, void *ptr) {
    (void)user;
    free(ptr);
}

static const aicp_allocator libc = {NULL, libc_alloc, libc_realloc, libc_free};

aicp_allocator aicpi_allocator(const aicp_allocator *a) {
    if (a && a->alloc && a->realloc && a->free) {
        return *a;
    }
    return libc;
}

static const aicp_allocator *in_force(const aicp_allocator *a) {
    return a ? a : &libc;
}

void *aicpi_alloc(const aicp_allocator *a, size_t size) {
    a = in_force(a);
    return size == 0 ? NULL : a->alloc(a->user, size);
}

void *aicpi_calloc(const aicp_allocator *a, size_t count, size_t size) {
    size_t bytes = 0;
    if (!aicpi_mul(count, size, &bytes)) {
        return NULL;
    }
    void *p = aicpi_alloc(a, bytes);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

void *aicpi_realloc(const aicp_allocator *a, void *ptr, size_t old_size, size_t new_size) {
    if (new_size == 0) {
        return NULL;
    }
    a = in_force(a);
    return ptr ? a->realloc(a->user, ptr, old_size, new_size) : a->alloc(a->user, new_size);
}

void aicpi_free(const aicp_allocator *a, void *ptr) {
    if (ptr) {
        a = in_force(a);
        a->free(a->user, ptr);
    }
}

char *aicpi_strndup(const aicp_allocator *a, const char *data, size_t len) {
    size_t bytes = 0;
    if (!aicpi_add(len, 1, &bytes)) {
        return NULL;
    }
    char *copy = aicpi_alloc(a, bytes);
    if (copy) {
        if (len > 0) {
            memcpy(copy, data, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

bool aicpi_grow(
    const aicp_allocator *a, void **items, size_t *capacity, size_t count, size_t item_size) {
    if (count < *capacity) {
        return true;
    }
    size_t wanted = *capacity ? *capacity : 4;
    size_t bytes = 0;
    if (*capacity && !aicpi_mul(wanted, 2, &wanted)) {
        return false;
    }
    if (!aicpi_mul(wanted, item_size, &bytes)) {
        return false;
    }
    void *grown = aicpi_realloc(a, *items, *capacity * item_size, bytes);
    if (!grown) {
        return false;
    }
    *items = grown;
    *capacity = wanted;
    return true;
}

bool aicpi_mul(size_t count, size_t size, size_t *out) {
    return !__builtin_mul_overflow(count, size, out);
}

bool aicpi_add(size_t x, size_t y, size_t *out) {
    return !__builtin_add_overflow(x, y, out);
}
