#ifndef TESTS_UNIT_BUDGET_WORKER_H
#define TESTS_UNIT_BUDGET_WORKER_H

#include "unit/sql/stores.h"

#include <sys/types.h>

#define SAID_ADMITTED 'a'
#define SAID_READY 'r'
#define SAID_END 'e'

/* A process of its own (fork and exec) with its own ledger on the store; account "a", one dollar a
 * reservation. */
typedef struct worker {
    pid_t pid;
    int out;
    int admitted; /* as heard so far */
    bool ended;
} worker;

/* `what`: "spend" (try `count` times, settle), "hold" (reserve `count`, settle a third, dispatch
 * a third, say ready, wait), "settle" (reserve `count`, say ready, settle all at SIGUSR1, say
 * end, wait), with the journal that AICP_TEST_WORKER_JOURNAL names, or "crowd" (process number
 * `count` of crowd.h). */
void worker_start(worker *w, const test_store *store, const char *what, int count, int hold_ttl_ms);
/* Listens until the worker says `until`; false when it ended before. */
bool worker_listen(worker *w, char until);
/* Listens to the end; the wait status. */
int worker_wait(worker *w);

#endif
