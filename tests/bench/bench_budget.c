/* Speed of the budget ledger. JSON lines.
 *
 *     bench_budget [URL]     default: a new SQLite file in the current folder
 *
 * reserve+settle in memory inside a hold (flushing apart), with 1 and 2 threads on one hot account
 * and with 4 accounts a reservation; the sustained rate with the flusher running; the store's flush
 * rate; synchronous cycles with 1 and 64 callers. `p50_ns` and `p99_ns` are over single cycles,
 * `allocs` are heap calls per cycle once warm; `cycles_per_cpu_s` is per second of CPU time, for
 * busy machines. */
#include "unit/support.h"

#include "aicp/budget.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CYCLES = 50000, SYNC_CYCLES = 200, CALLERS = 64 };

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what, const aicp_error *err) {
    fprintf(stderr, "bench_budget: %s: %s\n", what, err->message);
    exit(1);
}

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef struct job {
    aicp_ledger *ledger;
    int number;
    int accounts;
    int cycles;
    bool sync;
    uint64_t *samples;
    uint64_t denied;
} job;

static const aicp_ledger_text names[] = {{"org:1", 5}, {"team:1", 6}, {"user:1", 6}, {"key:1", 5}};

static void *run(void *user) {
    job *j = user;
    char id[32];
    aicp_error err = {0};
    for (int i = 0; i < j->cycles; i++) {
        aicp_ledger_request r = AICP_LEDGER_REQUEST_INIT;
        aicp_ledger_settlement k = AICP_LEDGER_SETTLEMENT_INIT;
        uint64_t start = now_ns();
        r.id = id;
        r.id_len =
            (size_t)snprintf(id, sizeof id, "%d-%d-%llu", j->number, i, (unsigned long long)start);
        r.accounts = names;
        r.accounts_count = (size_t)j->accounts;
        r.amount_nano = 1000000;
        r.deadline_ns = UINT64_MAX / 2;
        start = now_ns();
        if (aicp_ledger_reserve(j->ledger, &r, NULL, &err) != AICP_OK) {
            die("reserve", &err);
        }
        k.deadline_ns = j->sync ? UINT64_MAX / 2 : 0;
        if (aicp_ledger_settle(j->ledger, id, r.id_len, 600000, &k, &err) != AICP_OK) {
            die("settle", &err);
        }
        j->samples[i] = now_ns() - start;
    }
    return NULL;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static aicp_ledger *
open_ledger(const char *url, int32_t mode, int32_t background, test_heap *heap) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    aicp_allocator a = test_allocator(heap);
    aicp_ledger *l = NULL;
    aicp_error err = {0};
    o.mode = mode;
    o.background = background;
    o.allocator = &a;
    if (aicp_ledger_open(url, strlen(url), &o, &l, &err) != AICP_OK) {
        die("open", &err);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        aicp_ledger_account account = AICP_LEDGER_ACCOUNT_INIT;
        account.limit_nano = AICP_LEDGER_LIMIT_MAX;
        if (aicp_ledger_account_put(l, names[i].data, names[i].len, &account, 0, &err) != AICP_OK) {
            die("put", &err);
        }
    }
    return l;
}

static void flush(aicp_ledger *l) {
    aicp_error err = {0};
    if (aicp_ledger_flush(l, now_ns() + UINT64_C(120000000000), &err) != AICP_OK) {
        die("flush", &err);
    }
}

/* One measurement: `threads` times `cycles`, after as much to warm up and a flush. */
static void measure(
    const char *name,
    aicp_ledger *l,
    test_heap *heap,
    int threads,
    int cycles,
    int accounts,
    bool sync) {
    static uint64_t samples[CALLERS * CYCLES / 16];
    job jobs[CALLERS];
    pthread_t ids[CALLERS];
    uint64_t elapsed = 0;
    uint64_t cpu = 0;
    size_t allocations = 0;
    for (int round = 0; round < 2; round++) {
        allocations = heap->allocations;
        uint64_t start = now_ns();
        cpu = cpu_ns();
        for (int i = 0; i < threads; i++) {
            jobs[i] =
                (job){l, round * CALLERS + i, accounts, cycles, sync, samples + i * cycles, 0};
            pthread_create(&ids[i], NULL, run, &jobs[i]);
        }
        for (int i = 0; i < threads; i++) {
            pthread_join(ids[i], NULL);
        }
        elapsed = now_ns() - start;
        cpu = cpu_ns() - cpu;
        allocations = heap->allocations - allocations;
        uint64_t sending = now_ns();
        flush(l);
        sending = now_ns() - sending;
        if (round == 1 && !sync) {
            printf(
                "{\"bench\":\"budget/flush/%s\",\"reservations_per_s\":%.0f}\n",
                name,
                (double)threads * cycles * 1e9 / (double)(sending + 1));
        }
    }
    size_t n = (size_t)threads * (size_t)cycles;
    qsort(samples, n, sizeof *samples, by_value);
    printf(
        "{\"bench\":\"budget/"
        "%s\",\"threads\":%d,\"accounts\":%d,\"cycles_per_s\":%.0f,\"cycles_per_cpu_"
        "s\":%.0f,\"p50_ns\":%llu,"
        "\"p99_ns\":%llu,\"allocs\":%.4f}\n",
        name,
        threads,
        accounts,
        (double)n * 1e9 / (double)elapsed,
        (double)n * 1e9 / (double)cpu,
        (unsigned long long)samples[n / 2],
        (unsigned long long)samples[n * 99 / 100],
        (double)allocations / (double)n);
    fflush(stdout);
}

int main(int argc, char **argv) {
    char file[] = "bench_budget_XXXXXX";
    char folder[4096];
    char url[8192];
    if (argc > 1) {
        snprintf(url, sizeof url, "%s", argv[1]);
    } else {
        int fd = mkstemp(file);
        if (fd < 0 || !getcwd(folder, sizeof folder)) {
            perror(file);
            return 1;
        }
        close(fd);
        snprintf(url, sizeof url, "sqlite://%s/%s", folder, file);
    }
    test_heap heap = {0};
    aicp_ledger *l = open_ledger(url, AICP_LEDGER_HOLD, 0, &heap);
    measure("hold", l, &heap, 1, CYCLES, 1, false);
    measure("hold", l, &heap, 2, CYCLES, 1, false);
    measure("hold", l, &heap, 1, CYCLES, 4, false);
    aicp_ledger_free(l);
    l = open_ledger(url, AICP_LEDGER_HOLD, 1, &heap);
    measure("hold, background", l, &heap, 1, CYCLES, 1, false);
    aicp_ledger_free(l);
    l = open_ledger(url, AICP_LEDGER_SYNC, 0, &heap);
    measure("sync", l, &heap, 1, SYNC_CYCLES, 1, true);
    measure("sync", l, &heap, CALLERS, SYNC_CYCLES / 4, 1, true);
    aicp_ledger_free(l);
    if (argc == 1) {
        char side[64];
        unlink(file);
        snprintf(side, sizeof side, "%s-wal", file);
        unlink(side);
        snprintf(side, sizeof side, "%s-shm", file);
        unlink(side);
    }
    return 0;
}
