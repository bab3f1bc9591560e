/* Workers of a proxy are processes: they share budgets and limits through the store. */
#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 3
#define REQUESTS 20
#define ALLOWED 7

static gate_folder folder;
static char store[512];

static void set_up(void) {
    folder = gate_folder_standard();
    snprintf(store, sizeof store, "sqlite://%s/ledger.db", folder.path);
    gate_write(&folder, "settings.json", "{\"patch_max_tokens\":false}");
}

static void tear_down(void) {
    gate_folder_remove(&folder);
}

TestSuite(processes, .init = set_up, .fini = tear_down, .timeout = 120);

static aicp_gate *open_gate_with(uint32_t flags) {
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    aicp_error err = {0};
    aicp_gate *gate = NULL;
    options.bundle_path = folder.path;
    options.store_url = store;
    options.flags = flags;
    cr_assert_eq(aicp_gate_open(&options, &gate, &err), AICP_OK, "%s", err.message);
    return gate;
}

static aicp_gate *open_gate(void) {
    return open_gate_with(0);
}

static const char body[] = "{\"model\":\"gpt-4o\",\"max_tokens\":100,\"messages\":[{\"role\":"
                           "\"user\",\"content\":\"Hello\"}]}";

/* 1 when a request of the team is admitted; `keep` leaves its reservation open. */
static int try_team(aicp_gate *gate, const char *team, bool keep) {
    aicp_error err = {0};
    aicp_gate_request *request = NULL;
    aicp_gate_decision *d = NULL;
    cr_assert_eq(aicp_gate_request_new(gate, &request, &err), AICP_OK);
    cr_assert_eq(aicp_gate_request_set_body(request, body, strlen(body), &err), AICP_OK);
    cr_assert_eq(aicp_gate_request_set(request, AICP_GATE_TEAM, team, strlen(team), &err), AICP_OK);
    cr_assert_eq(
        aicp_gate_check(gate, request, UINT64_C(20000000000), &d, &err),
        AICP_OK,
        "%s",
        err.message);
    int admitted = aicp_gate_decision_verdict(d) == AICP_GATE_ALLOW;
    if (!admitted &&
        aicp_gate_decision_http_status(d) == 503) { /* not a "no": the store was away */
        fprintf(stderr, "worker: %s\n", aicp_gate_decision_message(d));
        abort();
    }
    if (admitted && !keep) {
        /* booked at its worst case, so that the budget is used up exactly */
        int64_t cost = aicp_gate_decision_reserved_nano(d);
        cr_assert_eq(aicp_gate_settle(gate, d, NULL, cost, NULL, &err), AICP_OK);
    }
    if (!keep) {
        aicp_gate_decision_free(d);
    }
    aicp_gate_request_free(request);
    return admitted;
}

static int try_once(aicp_gate *gate, bool keep) {
    return try_team(gate, "shared", keep);
}

static void worker(int out, bool dies) {
    aicp_gate *gate = open_gate();
    int admitted = 0;
    for (int i = 0; i < REQUESTS; i++) {
        admitted += try_once(gate, dies);
        if (dies && admitted == 2) {
            break;
        }
    }
    if (write(out, &admitted, sizeof admitted) != sizeof admitted) {
        _exit(3);
    }
    if (dies) {
        kill(getpid(), SIGKILL);
    }
    aicp_gate_free(gate);
    _exit(0);
}

static int run_workers(int count, bool first_dies) {
    int ends[2];
    int total = 0;
    cr_assert_eq(pipe(ends), 0);
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            worker(ends[1], first_dies && i == 0);
        }
        if (first_dies && i == 0) { /* it is dead before the others begin */
            int status = 0;
            cr_assert_eq(waitpid(pid, &status, 0), pid);
            cr_assert(WIFSIGNALED(status));
        }
    }
    for (int i = 0; i < count; i++) {
        int admitted = 0;
        cr_assert_eq(read(ends[0], &admitted, sizeof admitted), (ssize_t)sizeof admitted);
        total += admitted;
    }
    while (wait(NULL) > 0) {
    }
    close(ends[0]);
    close(ends[1]);
    if (!first_dies) { /* what a worker gave back when the others had stopped asking */
        aicp_gate *gate = open_gate();
        while (try_once(gate, false)) {
            total++;
        }
        aicp_gate_free(gate);
    }
    return total;
}

/* A budget for team "shared" that holds exactly that many worst cases, and one that never ends. */
static void write_budget(int allowed) {
    char accounts[512];
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(&f, "blue", body);
    int64_t one = aicp_gate_decision_reserved_nano(d);
    char text[AICP_MONEY_TEXT_SIZE];
    aicp_money_format(one * allowed, text);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
    snprintf(
        accounts,
        sizeof accounts,
        "[{\"id\":\"shared\",\"match\":{\"team\":[\"shared\"]},\"hard\":\"%s\",\"duration\":"
        "\"never\"},"
        "{\"id\":\"busy\",\"match\":{\"team\":[\"busy\"]},\"hard\":\"1000000\","
        "\"duration\":\"never\"}]",
        text);
    gate_write(&folder, "accounts.json", accounts);
    gate_write(&folder, "limits.json", NULL);
    gate_seal(&folder, "budget");
}

Test(processes, share_one_budget_to_the_last_request) {
    write_budget(ALLOWED);
    int admitted = run_workers(WORKERS, false);
    cr_assert_eq(admitted, ALLOWED, "%d were admitted", admitted);
    cr_assert_eq(run_workers(WORKERS, false), 0, "it stays used up for processes that come later");
}

Test(processes, what_a_killed_process_held_is_not_spent_twice) {
    write_budget(ALLOWED);
    int admitted = run_workers(WORKERS, true);
    cr_assert_leq(admitted, ALLOWED);
    cr_assert_geq(admitted, 2);
}

static void write_limit(int allowed) {
    char limits[512];
    snprintf(
        limits,
        sizeof limits,
        "[{\"id\":\"shared\",\"match\":{\"team\":[\"shared\"]},\"kind\":\"requests\",\"limit\":%d,"
        "\"window\":\"10h\",\"shared\":true,\"exact\":true},"
        "{\"id\":\"busy\",\"match\":{\"team\":[\"busy\"]},\"kind\":\"requests\",\"limit\":1000000,"
        "\"window\":\"10h\",\"shared\":true}]",
        allowed);
    gate_write(&folder, "accounts.json", NULL);
    gate_write(&folder, "limits.json", limits);
    gate_seal(&folder, "limit");
}

Test(processes, share_one_limit_to_the_last_request) {
    write_limit(ALLOWED);
    cr_assert_eq(run_workers(WORKERS, false), ALLOWED);
}

Test(processes, a_killed_process_leaves_the_limit_as_it_was) {
    write_limit(ALLOWED);
    cr_assert_eq(run_workers(WORKERS, true), ALLOWED);
}

Test(processes, a_gate_opened_before_a_fork_works_in_the_child) {
    write_budget(ALLOWED);
    aicp_gate *gate = open_gate();
    int mine = try_once(gate, false);
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int admitted = 0;
        for (int i = 0; i < REQUESTS; i++) {
            admitted += try_once(gate, false);
        }
        (void)!write(ends[1], &admitted, sizeof admitted);
        aicp_gate_free(gate);
        _exit(0);
    }
    int theirs = 0;
    cr_assert_eq(read(ends[0], &theirs, sizeof theirs), (ssize_t)sizeof theirs);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < REQUESTS; i++) {
        mine += try_once(gate, false);
    }
    cr_assert_eq(mine + theirs, ALLOWED);
    aicp_gate_free(gate);
}

/* The sanitizers' own locks are not made for forking while another thread allocates: their
 * allocator and their table of mutexes may be locked for ever in the child. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAY_FORK_WITH_THREADS 0
#elif defined(__has_feature)
#define MAY_FORK_WITH_THREADS !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define MAY_FORK_WITH_THREADS 1
#endif

#if MAY_FORK_WITH_THREADS

#define FORKS 25
#define ASKS 4  /* of each child */
#define SOME 60 /* of all that the children ask for */
#define BUSY_THREADS 2
#define CHILD_SECONDS 60 /* then it hangs, and the signal ends it */

typedef struct busy {
    aicp_gate *gate;
    atomic_bool *stop;
} busy;

static void *ask_on(void *user) {
    busy *b = user;
    while (!atomic_load(b->stop)) {
        (void)try_team(b->gate, "busy", false);
    }
    return NULL;
}

/* What the children admit, each of them a process forked from a gate in full use. */
static int fork_many(aicp_gate *gate) {
    int ends[2];
    int total = 0;
    cr_assert_eq(pipe(ends), 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            int admitted = 0;
            alarm(CHILD_SECONDS);
            for (int k = 0; k < ASKS; k++) {
                admitted += try_once(gate, false);
            }
            (void)!write(ends[1], &admitted, sizeof admitted);
            aicp_gate_free(gate);
            _exit(0);
        }
        int status = 0;
        int admitted = 0;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: %#x", i, status);
        cr_assert_eq(read(ends[0], &admitted, sizeof admitted), (ssize_t)sizeof admitted);
        total += admitted;
    }
    close(ends[0]);
    close(ends[1]);
    return total;
}

static int fork_while_busy(void) {
    aicp_gate *gate = open_gate_with(AICP_GATE_BACKGROUND);
    atomic_bool stop = false;
    busy b[BUSY_THREADS];
    pthread_t threads[BUSY_THREADS];
    for (int i = 0; i < BUSY_THREADS; i++) {
        b[i] = (busy){gate, &stop};
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_on, &b[i]), 0);
    }
    int total = fork_many(gate);
    atomic_store(&stop, true);
    for (int i = 0; i < BUSY_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_gt(total, 0, "children are admitted");
    while (try_once(gate, false)) { /* what a child gave back too late for the next */
        total++;
    }
    aicp_gate_free(gate);
    return total;
}

Test(processes, children_of_a_busy_gate_with_threads_share_its_budget) {
    write_budget(SOME);
    int total = fork_while_busy();
    cr_assert_eq(total, SOME, "%d were admitted", total);
}

Test(processes, children_of_a_busy_gate_with_threads_share_its_limit) {
    write_limit(SOME);
    int total = fork_while_busy();
    cr_assert_eq(total, SOME, "%d were admitted", total);
}

#endif
