/* What unit tests share: an allocator that counts, finds leaks and can fail on demand, and a clock
 * that stands still. */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include "aicp/base.h"

#include <stdbool.h>

typedef struct test_heap {
    size_t live;        /* blocks not yet given back */
    size_t allocations; /* alloc and realloc calls so far */
    size_t fail_at;     /* the n-th call from now fails (1 = the next); 0 = never */
    bool failed;        /* a failure was injected */
} test_heap;

/* The allocator over a heap; both must outlive what is made with it. Thread-safe. */
aicp_allocator test_allocator(test_heap *heap);

/* Runs `body(user, allocator)` with the first allocation failing, then the second, ... until a run
 * has no failure injected. Checks after each run that nothing leaked. `body` must cope with
 * ERR_NOMEM anywhere, and returns false when something other than an injected failure went wrong.
 * Returns the number of runs, 0 on a leak or false. */
size_t test_every_allocation_failing(bool (*body)(void *user, const aicp_allocator *a), void *user);

typedef struct test_clock {
    uint64_t monotonic_ns;
    int64_t wall_ns;
} test_clock;

/* A clock that shows what the fields say. Change them with test_clock_advance only. Thread-safe. */
aicp_clock test_clock_hook(test_clock *clock);
void test_clock_advance(test_clock *clock, uint64_t ns);

#endif
