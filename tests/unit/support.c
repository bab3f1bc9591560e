#include "unit/support.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AICP_TEST_ADDRESS_SANITIZER
#endif
#endif

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static bool should_fail(test_heap *h) {
    __atomic_add_fetch(&h->allocations, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&h->fail_at, __ATOMIC_RELAXED) == 0) {
        return false;
    }
    if (__atomic_sub_fetch(&h->fail_at, 1, __ATOMIC_RELAXED) > 0) {
        return false;
    }
    h->failed = true;
    return true;
}

static void *heap_alloc(void *user, size_t size) {
    test_heap *h = user;
    void *p = should_fail(h) ? NULL : malloc(size);
    if (p) {
        __atomic_add_fetch(&h->live, 1, __ATOMIC_RELAXED);
    }
    return p;
}

static void *heap_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
    (void)old_size;
    return should_fail(user) ? NULL : realloc(ptr, new_size);
}

static void heap_free(void *user, void *ptr) {
    test_heap *h = user;
    __atomic_sub_fetch(&h->live, 1, __ATOMIC_RELAXED);
    free(ptr);
}

aicp_allocator test_allocator(test_heap *heap) {
    return (aicp_allocator){heap, heap_alloc, heap_realloc, heap_free};
}

size_t
test_every_allocation_failing(bool (*body)(void *user, const aicp_allocator *a), void *user) {
    for (size_t n = 1;; n++) {
        test_heap heap = {.fail_at = n};
        aicp_allocator a = test_allocator(&heap);
        bool ok = body(user, &a);
        if (heap.live != 0 || !ok) {
            fprintf(stderr, "allocation %zu failing: %zu blocks leaked, ok %d\n", n, heap.live, ok);
            return 0;
        }
        if (!heap.failed) {
            return n;
        }
    }
}

static uint64_t clock_monotonic(void *user) {
    test_clock *c = user;
    return __atomic_load_n(&c->monotonic_ns, __ATOMIC_RELAXED);
}

static int64_t clock_wall(void *user) {
    test_clock *c = user;
    return __atomic_load_n(&c->wall_ns, __ATOMIC_RELAXED);
}

aicp_clock test_clock_hook(test_clock *clock) {
    return (aicp_clock){clock, clock_monotonic, clock_wall};
}

void test_clock_advance(test_clock *clock, uint64_t ns) {
    __atomic_add_fetch(&clock->monotonic_ns, ns, __ATOMIC_RELAXED);
    __atomic_add_fetch(&clock->wall_ns, (int64_t)ns, __ATOMIC_RELAXED);
}

#if defined(__SANITIZE_ADDRESS__) || defined(AICP_TEST_ADDRESS_SANITIZER)
/* Criterion's own process forgets a few bytes now and then. Leaks are looked for where tests run:
 * in its workers, which it tells where their memory map is. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void) {
    return getenv("BXFI_MAP") == NULL;
}
#endif
