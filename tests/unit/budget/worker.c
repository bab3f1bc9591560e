/* A worker process: this test program started again with AICP_TEST_WORKER set. It says what happens
 * to it in single bytes on its standard output, so that the parent knows the truth also when it is
 * killed. */
#include "unit/budget/worker.h"

#include "unit/budget/crowd.h"
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(char c) {
    if (write(STDOUT_FILENO, &c, 1) != 1) {
        _exit(3);
    }
}

static aicp_ledger *open_as_worker(const char *url, uint64_t hold_ttl_ns) {
    aicp_ledger *l = NULL;
    aicp_error err = {0};
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.background = 1;
    o.hold_ttl_ns = hold_ttl_ns;
    o.service_key = HTTP_STORE_KEY;
    o.service_key_len = strlen(HTTP_STORE_KEY);
    o.journal_path = getenv("AICP_TEST_WORKER_JOURNAL");
    o.journal_path_len = o.journal_path ? strlen(o.journal_path) : 0;
    if (aicp_ledger_open(url, strlen(url), &o, &l, &err) != AICP_OK) {
        fprintf(stderr, "worker: %s\n", err.message);
        _exit(2);
    }
    return l;
}

static aicp_status try_one(aicp_ledger *l, int i, char *id, size_t size) {
    const char *accounts[] = {"a", NULL};
    (void)snprintf(id, size, "%d-%d", (int)getpid(), i);
    return reserve_on(l, id, USD, soon(), NULL, accounts);
}

/* Tries so often; settles what is admitted. */
static void spend(aicp_ledger *l, int tries) {
    char id[32];
    for (int i = 0; i < tries; i++) {
        aicp_status s = try_one(l, i, id, sizeof id);
        if (s != AICP_OK && s != AICP_ERR_BUDGET_EXCEEDED) {
            fprintf(stderr, "worker: %s\n", aicp_status_name(s));
            _exit(4);
        }
        if (s == AICP_OK) {
            say(SAID_ADMITTED);
            if (settle(l, id, USD) != AICP_OK) {
                _exit(5);
            }
        }
    }
    aicp_ledger_free(l);
    say(SAID_END);
}

/* Settles a third, dispatches a third, keeps a third; then waits to be killed. */
static void hold_and_wait(aicp_ledger *l, int count) {
    char id[32];
    for (int i = 0; i < count; i++) {
        if (try_one(l, i, id, sizeof id) != AICP_OK) {
            _exit(6);
        }
        say(SAID_ADMITTED);
        if (i % 3 == 0 && settle(l, id, USD) != AICP_OK) {
            _exit(7);
        }
        if (i % 3 == 1 && aicp_ledger_mark_dispatched(l, id, strlen(id), -1, NULL) != AICP_OK) {
            _exit(8);
        }
    }
    if (aicp_ledger_flush(l, soon(), NULL) != AICP_OK) {
        _exit(9);
    }
    say(SAID_READY);
    for (;;) {
        (void)pause();
    }
}

/* Reserves; at the signal settles all; then waits to be killed. */
static void settle_when_told(aicp_ledger *l, int count, const sigset_t *told) {
    char id[32];
    int number = 0;
    for (int i = 0; i < count; i++) {
        if (try_one(l, i, id, sizeof id) != AICP_OK ||
            (i % 2 && aicp_ledger_mark_dispatched(l, id, strlen(id), -1, NULL) != AICP_OK)) {
            _exit(6);
        }
        say(SAID_ADMITTED);
    }
    say(SAID_READY);
    (void)sigwait(told, &number);
    for (int i = 0; i < count; i++) {
        (void)snprintf(id, sizeof id, "%d-%d", (int)getpid(), i);
        if (settle(l, id, USD) != AICP_OK) {
            _exit(7);
        }
    }
    say(SAID_END);
    for (;;) {
        (void)pause();
    }
}

/* Runs before Criterion: a worker never reaches its main function. */
__attribute__((constructor)) static void be_worker(void) {
    const char *what = getenv("AICP_TEST_WORKER");
    const char *url = getenv("AICP_TEST_WORKER_URL");
    const char *count = getenv("AICP_TEST_WORKER_COUNT");
    const char *ttl = getenv("AICP_TEST_WORKER_TTL_MS");
    if (!what || !url || !count || !ttl) {
        return;
    }
    sigset_t told;
    (void)sigemptyset(&told);
    (void)sigaddset(&told, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &told, NULL);
    aicp_ledger *l = open_as_worker(url, strtoull(ttl, NULL, 10) * UINT64_C(1000000));
    if (!strcmp(what, "spend")) {
        spend(l, (int)strtol(count, NULL, 10));
    } else if (!strcmp(what, "settle")) {
        settle_when_told(l, (int)strtol(count, NULL, 10), &told);
    } else if (!strcmp(what, "crowd")) {
        crowd_live(l, (int)strtol(count, NULL, 10));
    } else {
        hold_and_wait(l, (int)strtol(count, NULL, 10));
    }
    _exit(0);
}

void worker_start(
    worker *w, const test_store *store, const char *what, int count, int hold_ttl_ms) {
    int out[2];
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    w->pid = fork();
    cr_assert_geq(w->pid, 0);
    if (w->pid == 0) {
        char number[16];
        char ttl[16];
        (void)snprintf(number, sizeof number, "%d", count);
        (void)snprintf(ttl, sizeof ttl, "%d", hold_ttl_ms);
        (void)setenv("AICP_TEST_WORKER", what, 1);
        (void)setenv("AICP_TEST_WORKER_URL", ledger_url(store), 1);
        (void)setenv("AICP_TEST_WORKER_COUNT", number, 1);
        (void)setenv("AICP_TEST_WORKER_TTL_MS", ttl, 1);
        (void)dup2(out[1], STDOUT_FILENO);
        execl("/proc/self/exe", "budget-worker", (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    w->out = out[0];
    w->admitted = 0;
    w->ended = false;
}

bool worker_listen(worker *w, char until) {
    char c;
    while (read(w->out, &c, 1) == 1) {
        w->admitted += c == SAID_ADMITTED;
        w->ended = w->ended || c == SAID_END;
        if (c == until) {
            return true;
        }
    }
    return false;
}

int worker_wait(worker *w) {
    int status = 0;
    (void)worker_listen(w, '\0');
    (void)close(w->out);
    cr_assert_eq(waitpid(w->pid, &status, 0), w->pid);
    return status;
}
