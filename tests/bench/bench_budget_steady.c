/* What the ledger of a proxy costs at a steady rate, the background thread included. One JSON line.
 *
 *     bench_budget_steady [URL [RATE [SECONDS [FLUSH_MS]]]]
 *
 * Reserves and settles RATE times a second (default 50) for SECONDS (20) on four accounts with the
 * options of a gate. `cpu_us_per_cycle` is CPU time of the whole process for one reservation and
 * its settlement, `caller_us_per_cycle` the part of it in the calling thread;
 * `idle_cpu_us_per_s` is what the ledger costs while nothing happens. */
#include "aicp/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define IDLE_SECONDS 5

static uint64_t time_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void wait_until(uint64_t at) {
    struct timespec t = {(time_t)(at / SECOND), (long)(at % SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) {
    }
}

static void die(const char *what, const aicp_error *err) {
    fprintf(stderr, "bench_budget_steady: %s: %s\n", what, err->message);
    exit(1);
}

static const aicp_ledger_text names[] = {{"org:1", 5}, {"team:1", 6}, {"user:1", 6}, {"key:1", 5}};

static aicp_ledger *open_ledger(const char *url, uint64_t flush_ms) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    aicp_ledger *l = NULL;
    aicp_error err = {0};
    o.background = 1;
    o.idle_ns = 15 * SECOND;
    o.flush_ns = flush_ms * 1000000;
    o.refresh_ns = flush_ms > 100 ? o.flush_ns : 0;
    if (aicp_ledger_open(url, strlen(url), &o, &l, &err) != AICP_OK) {
        die("open", &err);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        aicp_ledger_account account = AICP_LEDGER_ACCOUNT_INIT;
        account.limit_nano = 1000 * INT64_C(1000000000);
        if (aicp_ledger_account_put(l, names[i].data, names[i].len, &account, 0, &err) != AICP_OK) {
            die("put", &err);
        }
    }
    return l;
}

static void cycle(aicp_ledger *l, int number) {
    char id[48];
    aicp_error err = {0};
    aicp_ledger_request r = AICP_LEDGER_REQUEST_INIT;
    r.id = id;
    r.id_len = (size_t)snprintf(id, sizeof id, "%d-%d", (int)getpid(), number);
    r.accounts = names;
    r.accounts_count = sizeof names / sizeof *names;
    r.amount_nano = 10000000;
    aicp_status s = aicp_ledger_reserve(l, &r, NULL, &err);
    if (s == AICP_ERR_WOULD_BLOCK) {
        r.deadline_ns = time_of(CLOCK_MONOTONIC) + 5 * SECOND;
        s = aicp_ledger_reserve(l, &r, NULL, &err);
    }
    if (s != AICP_OK) {
        die("reserve", &err);
    }
    if (aicp_ledger_mark_dispatched(l, id, r.id_len, -1, &err) != AICP_OK ||
        aicp_ledger_settle(l, id, r.id_len, 6000000, NULL, &err) != AICP_OK) {
        die("settle", &err);
    }
}

int main(int argc, char **argv) {
    char own[] = "sqlite:///tmp/bench_budget_steady.XXXXXX";
    char *path = own + strlen("sqlite://");
    const char *url = argc > 1 && *argv[1] ? argv[1] : NULL;
    int rate = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 50;
    int seconds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 20;
    int flush_ms = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 250;
    if (rate < 1 || seconds < 1 || flush_ms < 1) {
        fprintf(stderr, "bench_budget_steady [URL [RATE [SECONDS [FLUSH_MS]]]]\n");
        return 2;
    }
    if (!url) {
        int fd = mkstemp(path);
        if (fd < 0) {
            perror(path);
            return 1;
        }
        (void)close(fd);
        url = own;
    }
    aicp_ledger *l = open_ledger(url, (uint64_t)flush_ms);
    aicp_ledger_metrics before = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics after = AICP_LEDGER_METRICS_INIT;
    cycle(l, 0);
    wait_until(time_of(CLOCK_MONOTONIC) + SECOND);
    aicp_ledger_metrics_get(l, &before);
    uint64_t cpu = time_of(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t caller = time_of(CLOCK_THREAD_CPUTIME_ID);
    uint64_t start = time_of(CLOCK_MONOTONIC);
    int cycles = rate * seconds;
    for (int i = 1; i <= cycles; i++) {
        wait_until(start + (uint64_t)i * SECOND / (uint64_t)rate);
        cycle(l, i);
    }
    cpu = time_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    caller = time_of(CLOCK_THREAD_CPUTIME_ID) - caller;
    aicp_ledger_metrics_get(l, &after);
    wait_until(time_of(CLOCK_MONOTONIC) + SECOND);
    uint64_t idle = time_of(CLOCK_PROCESS_CPUTIME_ID);
    wait_until(time_of(CLOCK_MONOTONIC) + IDLE_SECONDS * SECOND);
    idle = time_of(CLOCK_PROCESS_CPUTIME_ID) - idle;
    printf(
        "{\"bench\":\"budget_steady\",\"rate\":%d,\"cycles\":%d,\"flush_ms\":%d,"
        "\"cpu_us_per_cycle\":%.1f,\"caller_us_per_cycle\":%.1f,\"transactions\":%llu,"
        "\"idle_cpu_us_per_s\":%.0f}\n",
        rate,
        cycles,
        flush_ms,
        (double)cpu / 1000 / cycles,
        (double)caller / 1000 / cycles,
        (unsigned long long)(after.transactions - before.transactions),
        (double)idle / 1000 / IDLE_SECONDS);
    aicp_ledger_free(l);
    if (url == own) {
        char extra[sizeof own + 8];
        (void)unlink(path);
        (void)snprintf(extra, sizeof extra, "%s-wal", path);
        (void)unlink(extra);
        (void)snprintf(extra, sizeof extra, "%s-shm", path);
        (void)unlink(extra);
    }
    return 0;
}
