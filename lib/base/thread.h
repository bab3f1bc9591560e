/* Reference counts, locks and forks. */
#ifndef AICPI_BASE_THREAD_H
#define AICPI_BASE_THREAD_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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
    /* Not a release with a fence behind the last one: ThreadSanitizer does not see fences. */
    return atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel) == 1;
}

/* In the child of a fork: makes a mutex of default type usable. True when nobody held it at the
 * fork, so that what it guards is whole. */
static inline bool aicpi_mutex_inherit(pthread_mutex_t *m) {
    if (pthread_mutex_trylock(m) == 0) {
        pthread_mutex_unlock(m);
        return true;
    }
    pthread_mutex_init(m, NULL);
    return false;
}

/* Which process owns something. Needs no lock, which a fork might copy in locked state. */
typedef struct aicpi_owner {
    _Atomic pid_t claim; /* of who makes it its own */
    _Atomic pid_t pid;
} aicpi_owner;

static inline void aicpi_owner_set(aicpi_owner *o, pid_t pid) {
    atomic_store(&o->claim, pid);
    atomic_store(&o->pid, pid);
}
static inline bool aicpi_owner_is(const aicpi_owner *o, pid_t pid) {
    return atomic_load_explicit(&o->pid, memory_order_acquire) == pid;
}
/* True for the one thread of a forked process that has to do the work and then calls
 * aicpi_owner_set; false for the others, when that is done. */
static inline bool aicpi_owner_claim(aicpi_owner *o, pid_t pid) {
    pid_t seen = atomic_load(&o->claim);
    if (seen != pid && atomic_compare_exchange_strong(&o->claim, &seen, pid)) {
        return true;
    }
    while (!aicpi_owner_is(o, pid)) {
        (void)sched_yield();
    }
    return false;
}

#endif
