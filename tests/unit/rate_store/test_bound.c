/* The bound of shared limits, seen from outside: processes take as fast as they can and note when
 * each admitted take began and ended. All that began and ended within an interval were decided in
 * it, so that their number must stay within the bound for an interval of that length. */
#include "unit/rate_store/nodes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 3
#define MAX_ADMITTED 20000
#define RUN_NS (22 * SECOND / 10)
#define LIMIT 400
#define WINDOW_NS SECOND

typedef struct admitted {
    uint64_t began;
    uint64_t ended;
} admitted;

typedef struct board {
    _Atomic uint32_t ready;
    _Atomic uint32_t count;
    _Atomic uint32_t failed;
    admitted list[MAX_ADMITTED];
} board;

/* Takes of 1 to 3, some settled with less or more, as a proxy does. */
static void take_for_a_while(board *all, const store_place *at, const char *rules, unsigned seed) {
    node n;
    if (!node_open(&n, at, rules)) {
        atomic_fetch_add(&all->failed, 1);
        _exit(1);
    }
    atomic_fetch_add(&all->ready, 1);
    while (atomic_load(&all->ready) < PROCESSES && atomic_load(&all->failed) == 0) {
        usleep(1000);
    }
    for (uint64_t start = monotonic(); monotonic() - start < RUN_NS;) {
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        uint64_t began = monotonic();
        aicp_status status = node_take(&n, 1, 0, NULL, &r);
        uint64_t ended = monotonic();
        if (r.degraded || (status != AICP_OK && status != AICP_ERR_RATE_LIMITED)) {
            atomic_fetch_add(&all->failed, 1);
        }
        if (status == AICP_OK) {
            uint32_t place = atomic_fetch_add(&all->count, 1);
            if (place < MAX_ADMITTED) {
                all->list[place] = (admitted){began, ended};
            }
        } else if (rand_r(&seed) % 4 == 0) { /* bursts after pauses find full slices to lapse */
            usleep((unsigned)rand_r(&seed) % 60000);
        }
    }
    node_close(&n);
    _exit(0);
}

static int by_end(const void *a, const void *b) {
    const admitted *x = a;
    const admitted *y = b;
    return (x->ended > y->ended) - (x->ended < y->ended);
}

/* The most that was admitted above `LIMIT * length / window`, over all intervals. For fixed windows
 * of length WINDOW_NS only intervals of that length count. */
static double worst_excess(board *all, uint32_t count, uint64_t longest, double rate) {
    double worst = 0;
    qsort(all->list, count, sizeof *all->list, by_end);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t from = all->list[i].began;
        double inside = 0;
        for (uint32_t j = 0; j < count; j++) {
            const admitted *x = &all->list[j];
            if (x->ended < from || x->began < from) {
                continue;
            }
            uint64_t length = x->ended - from;
            if (length > longest) {
                break;
            }
            inside += 1;
            double excess = inside - rate * (double)length;
            worst = excess > worst ? excess : worst;
        }
    }
    return worst;
}

static void
expect_bound(const store_place *at, const char *more, uint64_t longest, double rate, double bound) {
    char rules[256];
    snprintf(
        rules,
        sizeof rules,
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":%d,\"window\":1,\"shared\":true%s}]",
        LIMIT,
        more);
    board *all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(all, MAP_FAILED);
    pid_t children[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            take_for_a_while(all, at, rules, i + 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    uint32_t count = atomic_load(&all->count);
    cr_assert_eq(atomic_load(&all->failed), 0);
    cr_assert_leq(count, MAX_ADMITTED);
    cr_assert_geq(count, LIMIT / 2, "it does admit");
    double excess = worst_excess(all, count, longest, rate);
    cr_assert_leq(excess, bound, "%.1f above the rate, %.1f allowed", excess, bound);
    munmap(all, sizeof *all);
}

#define RATE ((double)LIMIT / (double)WINDOW_NS)

TEST_EACH_STORE(rate_bound, slices_add_at_most_a_quarter_of_the_limit) {
    expect_bound(store, "", UINT64_MAX, RATE, LIMIT * 1.25);
}

TEST_EACH_STORE(rate_bound, exact_rules_add_nothing) {
    expect_bound(store, ",\"exact\":true", UINT64_MAX, RATE, LIMIT);
}

/* A burst of one part in a hundred: the slices would show, if they were more than they may be. */
TEST_EACH_STORE(rate_bound, a_small_burst_is_kept) {
    expect_bound(store, ",\"burst_multiplier\":0.01", UINT64_MAX, RATE, LIMIT * 0.26);
}

TEST_EACH_STORE(rate_bound, fixed_windows_let_twice_the_limit_and_the_slices_pass) {
    expect_bound(store, ",\"algorithm\":\"fixed_window\"", WINDOW_NS, 0, LIMIT * 2 + LIMIT * 0.25);
}
