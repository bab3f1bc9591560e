#include "unit/budget/crowd.h"

#include "unit/budget/ledger_support.h"
#include "unit/budget/worker.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOOK_VARIABLE "AICP_TEST_WORKER_BOOK"

static crowd_book *map(int fd) {
    void *p = mmap(NULL, sizeof(crowd_book), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

crowd_book *crowd_book_new(void) {
    pthread_barrierattr_t shared;
    int fd = memfd_create("crowd", 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, sizeof(crowd_book)), 0);
    crowd_book *book = map(fd);
    cr_assert_not_null(book);
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&book->start, &shared, CROWD_PROCESSES * CROWD_THREADS);
    pthread_barrierattr_destroy(&shared);
    book->fd = fd;
    return book;
}

void crowd_book_free(crowd_book *book) {
    (void)close(book->fd);
    (void)munmap(book, sizeof *book);
}

void crowd_id(const crowd_book *book, int process, int thread, int nth, char id[CROWD_ID_SIZE]) {
    (void)snprintf(id, CROWD_ID_SIZE, "%s-%d-%d-%d", book->account, process, thread, nth);
}

int crowd_run(crowd_book *book, const test_store *store, int hold_ttl_ms) {
    worker workers[CROWD_PROCESSES];
    char number[16];
    int killed = 0;
    (void)snprintf(number, sizeof number, "%d", book->fd);
    (void)setenv(BOOK_VARIABLE, number, 1);
    for (int i = 0; i < CROWD_PROCESSES; i++) {
        worker_start(&workers[i], store, "crowd", i, hold_ttl_ms);
    }
    (void)unsetenv(BOOK_VARIABLE);
    for (int i = 0; i < CROWD_PROCESSES; i++) {
        int status = worker_wait(&workers[i]);
        bool dead = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && book->die_at[i] > 0;
        cr_assert(dead || status == 0, "process %d ended with %#x", i, (unsigned)status);
        killed += dead;
    }
    return killed;
}

/* ---- inside a worker ---- */

typedef struct one {
    crowd_book *book;
    aicp_ledger *ledger;
    int process;
    int thread;
} one;

uint32_t crowd_random(uint32_t *seed) {
    *seed = *seed * UINT32_C(747796405) + UINT32_C(2891336453);
    uint32_t word = ((*seed >> ((*seed >> 28) + 4)) ^ *seed) * UINT32_C(277803737);
    return ((word >> 22) ^ word) >> 1;
}

static void step(const one *k, crowd_try *t, int stage) {
    atomic_store(&t->stage, stage);
    if (atomic_fetch_add(&k->book->steps[k->process], 1) + 1 == k->book->die_at[k->process]) {
        (void)kill(getpid(), SIGKILL);
    }
}

static void must(aicp_status s, const char *what) {
    if (s != AICP_OK) {
        fprintf(stderr, "worker: %s: %s\n", what, aicp_status_name(s));
        _exit(4);
    }
}

/* A quarter gives back, a quarter is dispatched first, the others settle at once. */
static void end(const one *k, crowd_try *t, const char *id, uint32_t *seed) {
    int way = k->book->seed ? crowd_random(seed) % 4 : 3;
    if (way == 0) {
        step(k, t, CROWD_RELEASED);
        must(release(k->ledger, id), "release");
        return;
    }
    t->actual = k->book->seed ? t->amount - crowd_random(seed) % t->amount : t->amount;
    if (way == 1) {
        must(aicp_ledger_mark_dispatched(k->ledger, id, strlen(id), -1, NULL), "dispatch");
    }
    step(k, t, CROWD_SPENT);
    must(settle(k->ledger, id, t->actual), "settle");
}

static void *live(void *user) {
    const one *k = user;
    crowd_book *book = k->book;
    char id[CROWD_ID_SIZE];
    uint32_t seed = book->seed + (uint32_t)(k->process * CROWD_THREADS + k->thread);
    pthread_barrier_wait(&book->start);
    for (int i = 0; i < CROWD_TRIES; i++) {
        crowd_try *t = &book->tries[k->process][k->thread][i];
        const char *accounts[] = {book->account, NULL};
        t->amount = book->seed ? 1 + crowd_random(&seed) % USD : USD;
        crowd_id(book, k->process, k->thread, i, id);
        step(k, t, CROWD_ASKING);
        aicp_status s = reserve_on(k->ledger, id, t->amount, soon(), NULL, accounts);
        if (s == AICP_ERR_BUDGET_EXCEEDED) {
            step(k, t, CROWD_DENIED);
            continue;
        }
        must(s, "reserve");
        step(k, t, CROWD_ADMITTED);
        end(k, t, id, &seed);
    }
    return NULL;
}

void crowd_live(aicp_ledger *l, int process) {
    const char *number = getenv(BOOK_VARIABLE);
    crowd_book *book = number ? map((int)strtol(number, NULL, 10)) : NULL;
    pthread_t threads[CROWD_THREADS];
    one ones[CROWD_THREADS];
    if (!book) {
        _exit(10);
    }
    for (int i = 0; i < CROWD_THREADS; i++) {
        ones[i] = (one){book, l, process, i};
        if (pthread_create(&threads[i], NULL, live, &ones[i]) != 0) {
            _exit(11);
        }
    }
    for (int i = 0; i < CROWD_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    aicp_ledger_free(l);
}
