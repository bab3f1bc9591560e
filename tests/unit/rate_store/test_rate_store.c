/* Limits shared by real processes through a store. */
#include "unit/rate_store/nodes.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 3

/* ---- children ------------------------------------------------------------------------------- */

typedef struct child {
    pid_t pid;
    int from; /* a byte for each admission, 'E' at an error */
    int to;   /* a byte allows one more take, 'q' ends the child */
} child;

static void child_main(const store_place *at, const char *rules, int in, int out) {
    node n;
    char byte = 0;
    bool ok = node_open(&n, at, rules);
    while (ok && read(in, &byte, 1) == 1 && byte != 'q') {
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        aicp_status status = node_take(&n, 1, 0, NULL, &r);
        char answer = status == AICP_OK ? '+' : status == AICP_ERR_RATE_LIMITED ? '-' : 'E';
        answer = r.degraded ? 'E' : answer;
        ok = write(out, &answer, 1) == 1;
    }
    _exit(ok ? 0 : 1);
}

static child child_start(const store_place *at, const char *rules) {
    int in[2];
    int out[2];
    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(pipe(out), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(in[1]);
        close(out[0]);
        child_main(at, rules, in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
    return (child){pid, out[0], in[1]};
}

/* Lets all children take `takes` times at once; returns how many were admitted. */
static size_t children_take(child *children, size_t count, size_t takes) {
    char bytes[4096];
    size_t admitted = 0;
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(write(children[i].to, bytes, takes), (ssize_t)takes);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t left = takes; left > 0;) {
            ssize_t got = read(children[i].from, bytes, left);
            cr_assert_gt(got, 0, "a child ended");
            for (ssize_t k = 0; k < got; k++) {
                cr_assert_neq(bytes[k], 'E', "a take failed");
                admitted += bytes[k] == '+';
            }
            left -= (size_t)got;
        }
    }
    return admitted;
}

static void child_end(child *c, int how) {
    if (how != 0) {
        kill(c->pid, how);
    } else { /* not by closing: later children hold this end too */
        cr_assert_eq(write(c->to, "q", 1), 1);
    }
    close(c->to);
    int status = 0;
    cr_assert_eq(waitpid(c->pid, &status, 0), c->pid);
    cr_assert(how != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    close(c->from);
}

/* ---- tests ---------------------------------------------------------------------------------- */

TEST_EACH_STORE(rate_store, processes_admit_exactly_an_exact_limit) {
    static const char RULES[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":25,\"window\":\"366d\",\"per\":[\"team\"],"
        "\"shared\":true,\"exact\":true}]";
    child children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = child_start(store, RULES);
    }
    size_t admitted = children_take(children, PROCESSES, 3);
    cr_assert_eq(admitted, 9);
    child_end(&children[0], SIGKILL);
    children[0] = child_start(store, RULES);
    admitted += children_take(children, PROCESSES, 30);
    cr_assert_eq(admitted, 25);
    for (int i = 0; i < PROCESSES; i++) {
        child_end(&children[i], 0);
    }
}

/* 5 % of 19 is less than one: a slice is the single request, so nothing is stranded. */
TEST_EACH_STORE(rate_store, processes_admit_exactly_a_small_limit) {
    static const char RULES[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":19,\"window\":\"366d\",\"shared\":true}]";
    child children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = child_start(store, RULES);
    }
    size_t admitted = children_take(children, PROCESSES, 2);
    child_end(&children[1], SIGKILL);
    children[1] = child_start(store, RULES);
    admitted += children_take(children, PROCESSES, 15);
    cr_assert_eq(admitted, 19);
    for (int i = 0; i < PROCESSES; i++) {
        child_end(&children[i], 0);
    }
}

TEST_EACH_STORE(rate_store, slices_admit_no_more_than_the_limit) {
    static const char RULES[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":2000,\"window\":\"366d\",\"shared\":true}]";
    child children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = child_start(store, RULES);
    }
    size_t admitted = children_take(children, PROCESSES, 500);
    cr_assert_eq(admitted, 1500);
    child_end(&children[2], SIGKILL);
    children[2] = child_start(store, RULES);
    admitted += children_take(children, PROCESSES, 500);
    cr_assert_leq(admitted, 2000);
    cr_assert_geq(admitted, 2000 - 100 * (PROCESSES + 1), "at most a slice of each is stranded");
    for (int i = 0; i < PROCESSES; i++) {
        child_end(&children[i], 0);
    }
}

TEST_EACH_STORE(rate_store, slices_spare_the_store) {
    static const char RULES[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":100000,\"window\":3600,\"shared\":true}]";
    node n;
    cr_assert(node_open(&n, store, RULES));
    for (int i = 0; i < 20000; i++) {
        cr_assert_eq(node_take(&n, 1, 0, NULL, NULL), AICP_OK);
    }
    aicp_limiter_stats stats = {.size = sizeof stats};
    cr_assert_eq(aicp_limiter_stats_get(n.limiter, &stats, NULL), AICP_OK);
    cr_assert_leq(stats.store_calls, 200);
    cr_assert_eq(stats.store_failures, 0);
    node_close(&n);
}

TEST_EACH_STORE(rate_store, what_is_settled_and_flushed_is_free_for_others) {
    static const char RULES[] =
        "[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":100,\"window\":\"366d\",\"shared\":true,"
        "\"exact\":true}]";
    node a;
    node b;
    cr_assert(node_open(&a, store, RULES));
    cr_assert(node_open(&b, store, RULES));
    aicp_limit_ticket t;
    cr_assert_eq(node_take(&a, 100, 0, &t, NULL), AICP_OK);
    cr_assert_eq(node_take(&b, 1, 0, NULL, NULL), AICP_ERR_RATE_LIMITED);
    aicp_limiter_settle(a.limiter, &t, 10, 0);
    cr_assert_eq(aicp_limiter_flush(a.limiter, 0, 30 * SECOND, NULL), AICP_OK);
    node_close(&b);
    cr_assert(node_open(&b, store, RULES));
    cr_assert_eq(node_take(&b, 91, 0, NULL, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(node_take(&b, 90, 0, &t, NULL), AICP_OK);
    aicp_limiter_settle(b.limiter, &t, 150, 0);
    cr_assert_eq(aicp_limiter_flush(b.limiter, 0, 30 * SECOND, NULL), AICP_OK);
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert_eq(node_take(&a, 1, 0, NULL, &r), AICP_ERR_RATE_LIMITED);
    cr_assert_gt(
        r.retry_after_ns, UINT64_C(366) * 86400 * SECOND / 100 * 60, "60 tokens of debt first");
    node_close(&a);
    node_close(&b);
}

/* Waits as long as it is told to, a minute in all at most. */
static aicp_status take_when_free(node *n, aicp_limit_ticket *t) {
    uint64_t start = monotonic();
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    aicp_status status = node_take(n, 1, 3600 * SECOND, t, &r);
    while (status == AICP_ERR_RATE_LIMITED && monotonic() - start < 60 * SECOND) {
        uint64_t ns = r.retry_after_ns;
        struct timespec wait = {(time_t)(ns / SECOND), (long)(ns % SECOND)};
        nanosleep(&wait, NULL);
        status = node_take(n, 1, 3600 * SECOND, t, &r);
    }
    return status;
}

TEST_EACH_STORE(rate_store, slots_are_shared_and_a_dead_holder_loses_its_own) {
    static const char RULES[] =
        "[{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":3,\"shared\":true,\"exact\":true}]";
    const uint64_t ttl = 2 * SECOND;
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) { /* holds two slots for good */
        node n;
        aicp_limit_ticket t[2];
        bool ok = node_open(&n, store, RULES) && node_take(&n, 1, ttl, &t[0], NULL) == AICP_OK &&
                  node_take(&n, 1, ttl, &t[1], NULL) == AICP_OK;
        char byte = ok ? '+' : 'E';
        _exit(write(ready[1], &byte, 1) == 1 && pause() ? 0 : 1);
    }
    char byte = 0;
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert_eq(byte, '+');
    uint64_t held_at = monotonic();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    node n;
    aicp_limit_ticket t[3];
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert(node_open(&n, store, RULES));
    cr_assert_eq(node_take(&n, 1, 3600 * SECOND, &t[0], &r), AICP_OK);
    aicp_status status = node_take(&n, 1, 3600 * SECOND, &t[1], &r);
    if (monotonic() - held_at < ttl) { /* the machine may be too slow to see it */
        cr_assert_eq(status, AICP_ERR_RATE_LIMITED);
        cr_assert_leq(r.retry_after_ns, ttl);
    }
    if (status != AICP_OK) {
        cr_assert_eq(take_when_free(&n, &t[1]), AICP_OK, "the slots of the dead process ended");
    }
    cr_assert_eq(take_when_free(&n, &t[2]), AICP_OK);
    cr_assert_eq(node_take(&n, 1, 3600 * SECOND, NULL, &r), AICP_ERR_RATE_LIMITED);
    aicp_limiter_settle(n.limiter, &t[1], 0, 0);
    cr_assert_eq(aicp_limiter_flush(n.limiter, 0, 30 * SECOND, NULL), AICP_OK);
    node other;
    cr_assert(node_open(&other, store, RULES));
    cr_assert_eq(node_take(&other, 1, 3600 * SECOND, NULL, &r), AICP_OK, "released by the first");
    cr_assert_eq(node_take(&other, 1, 3600 * SECOND, NULL, &r), AICP_ERR_RATE_LIMITED);
    node_close(&other);
    node_close(&n);
}

TEST_EACH_STORE(rate_store, a_forked_child_gets_a_connection_of_its_own) {
    static const char RULES[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":4,\"window\":\"366d\",\"shared\":true}]";
    node n;
    cr_assert(node_open(&n, store, RULES));
    cr_assert_eq(node_take(&n, 1, 0, NULL, NULL), AICP_OK);
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = node_take(&n, 1, 0, NULL, NULL) == AICP_OK;
        node_close(&n);
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert_eq(node_take(&n, 1, 0, NULL, NULL), AICP_OK);
    cr_assert_eq(node_take(&n, 1, 0, NULL, NULL), AICP_OK);
    cr_assert_eq(node_take(&n, 1, 0, NULL, NULL), AICP_ERR_RATE_LIMITED);
    node_close(&n);
}

/* More leases than between two cleanings. */
TEST_EACH_STORE(rate_store, cleaning_does_no_harm) {
    static const char RULES[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":1500,\"window\":\"366d\",\"shared\":true,"
        "\"exact\":true}]";
    node n;
    cr_assert(node_open(&n, store, RULES));
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    for (int i = 0; i < 1500; i++) {
        cr_assert_eq(node_take(&n, 1, 0, NULL, &r), AICP_OK);
        cr_assert(!r.degraded);
    }
    cr_assert_eq(node_take(&n, 1, 0, NULL, &r), AICP_ERR_RATE_LIMITED);
    node_close(&n);
}

Test(rate_store, a_store_that_cannot_be_opened_is_an_error) {
    static const char URL[] = "sqlite:///no/such/folder/x.db";
    aicp_rate_store *store = NULL;
    aicp_error err = {0};
    cr_assert_neq(aicpi_rate_store_open(URL, sizeof URL - 1, "n", 1, NULL, &store, &err), AICP_OK);
    cr_assert_null(store);
    cr_assert_gt(strlen(err.message), 0);
}
