/* Processes full of threads on one account, and a book, in memory that they share with the test,
 * of what each of them knows: it stays right when they are killed. */
#ifndef TESTS_UNIT_BUDGET_CROWD_H
#define TESTS_UNIT_BUDGET_CROWD_H

#include "unit/sql/stores.h"

#include "aicp/budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { CROWD_PROCESSES = 4, CROWD_THREADS = 16, CROWD_TRIES = 20, CROWD_ID_SIZE = 48 };

/* How far a try came. Written before and after each call, so that a killed one leaves no doubt. */
enum { CROWD_UNTRIED, CROWD_ASKING, CROWD_DENIED, CROWD_ADMITTED, CROWD_RELEASED, CROWD_SPENT };

typedef struct crowd_try {
    atomic_int stage;
    int64_t amount; /* reserved */
    int64_t actual; /* what it costs, once CROWD_SPENT: known before it is settled */
} crowd_try;

typedef struct crowd_book {
    int fd; /* of this memory, which workers get from AICP_TEST_WORKER_BOOK */
    char account[32];
    uint32_t seed;               /* 0: each try reserves and settles one dollar */
    int die_at[CROWD_PROCESSES]; /* the step at which a process kills itself; 0: never */
    atomic_int steps[CROWD_PROCESSES];
    pthread_barrier_t start; /* of all threads of all processes */
    crowd_try tries[CROWD_PROCESSES][CROWD_THREADS][CROWD_TRIES];
} crowd_book;

/* The next number of a sequence, the same with every C library and sanitizer: 31 bits. */
uint32_t crowd_random(uint32_t *seed);
crowd_book *crowd_book_new(void);
void crowd_book_free(crowd_book *book);
/* Its id in the ledger. */
void crowd_id(const crowd_book *book, int process, int thread, int nth, char id[CROWD_ID_SIZE]);
/* All processes on the store, to their ends; how many were killed. */
int crowd_run(crowd_book *book, const test_store *store, int hold_ttl_ms);
/* Inside a worker. */
void crowd_live(aicp_ledger *l, int process);

#endif
