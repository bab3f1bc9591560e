#include "lib/ratelimit/lock.h"

#include <sched.h>
#include <stdbool.h>
#include <time.h>

#define SPINS 200
#define YIELDS 64
#define SLEEP_NS 50000 /* so that a holder of lower priority gets its turn */

static void pause_a_little(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool try_take(aicpi_limit_mutex *l) {
    uint32_t expected = 0;
    return atomic_load_explicit(&l->held, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_weak_explicit(
               &l->held, &expected, 1, memory_order_acquire, memory_order_relaxed);
}

void aicpi_limit_mutex_wait(aicpi_limit_mutex *l) {
    for (uint32_t round = 0;; round++) {
        for (uint32_t i = 0; i < SPINS; i++) {
            if (try_take(l)) {
                return;
            }
            pause_a_little();
        }
        if (round < YIELDS) {
            (void)sched_yield();
        } else {
            struct timespec wait = {0, SLEEP_NS};
            (void)nanosleep(&wait, NULL);
        }
    }
}
