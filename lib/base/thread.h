/* Reference counts and locks. */
#ifndef AICPI_BASE_THREAD_H
#define AICPI_BASE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct aicpi_ref {
    atomic_uint_fast32_t count;
} aicpi_ref;

static inline void aicpi_ref_init(aicpi_ref *r) {
    atomic_init(&r->count, 1);
}
static inline void aicpi_ref_get(aicpi_ref *r) {
    atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);
}
/* True when the last reference went. */
static inline bool aicpi_ref_put(aicpi_ref *r) {
    if (atomic_fetch_sub_explicit(&r->count, 1, memory_order_release) != 1) {
        return false;
    }
    atomic_thread_fence(memory_order_acquire);
    return true;
}

#endif
