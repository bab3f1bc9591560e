/* The lock of a shard. What it guards takes tens of nanoseconds, so that waiting means to spin; who
 * finds its holder descheduled gives the processor away. Unlike a mutex it is let go by one plain
 * store, which halves its cost. */
#ifndef AICPI_RATELIMIT_LOCK_H
#define AICPI_RATELIMIT_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct aicpi_limit_mutex {
    _Atomic uint32_t held;
} aicpi_limit_mutex;

void aicpi_limit_mutex_wait(aicpi_limit_mutex *l);

static inline void aicpi_limit_mutex_lock(aicpi_limit_mutex *l) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong_explicit(
            &l->held, &expected, 1, memory_order_acquire, memory_order_relaxed)) {
        aicpi_limit_mutex_wait(l);
    }
}

static inline void aicpi_limit_mutex_unlock(aicpi_limit_mutex *l) {
    atomic_store_explicit(&l->held, 0, memory_order_release);
}

#endif
