/* Real processes share one budget, and one of them is killed. */
#include "unit/budget/ledger_support.h"
#include "unit/budget/worker.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MINUTE_MS 60000

static void spend_in_processes(test_store *store, int processes, int units, int tries) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "a", units * USD, "1mo");
    worker workers[4];
    int admitted = 0;
    for (int i = 0; i < processes; i++) {
        worker_start(&workers[i], store, "spend", tries, MINUTE_MS);
    }
    for (int i = 0; i < processes; i++) {
        cr_assert_eq(worker_wait(&workers[i]), 0);
        cr_assert(workers[i].ended);
        admitted += workers[i].admitted;
    }
    cr_assert_eq(admitted, units, "%d admitted", admitted);
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, units * USD);
    cr_assert_eq(st.held_nano, 0);
    cr_assert_eq(st.remaining_nano, 0);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_ALL_STORES(processes, two_admit_exactly_what_the_budget_has) {
    spend_in_processes(store, 2, 200, 200);
}

TEST_ALL_STORES(processes, four_with_few_tries_to_spare_strand_nothing) {
    spend_in_processes(store, 4, 400, 105);
}

/* Tries one dollar at a time until `wanted` are admitted or a minute has passed. */
static int spend_until(aicp_ledger *l, const char *prefix, int wanted) {
    uint64_t end = soon() + 30 * SECOND_NS;
    int admitted = 0;
    char id[32];
    for (int i = 0; admitted < wanted && soon() < end + 30 * SECOND_NS; i++) {
        (void)snprintf(id, sizeof id, "%s-%d", prefix, i);
        const char *accounts[] = {"a", NULL};
        aicp_status s = reserve_on(l, id, USD, soon(), NULL, accounts);
        cr_assert(s == AICP_OK || s == AICP_ERR_BUDGET_EXCEEDED);
        if (s == AICP_OK) {
            admitted++;
            cr_assert_eq(settle(l, id, USD), AICP_OK);
        }
    }
    return admitted;
}

TEST_ALL_STORES(processes, what_a_killed_one_held_counts_until_its_ttl_and_then_goes_back) {
    enum { UNITS = 100, HELD = 30, TTL_MS = 4000 };
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.hold_ttl_ns = TTL_MS * UINT64_C(1000000);
    o.background = 1;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", UNITS * USD, NULL);
    worker victim;
    worker_start(&victim, store, "hold", HELD, TTL_MS);
    cr_assert(worker_listen(&victim, SAID_READY));
    cr_assert_eq(victim.admitted, HELD);
    cr_assert_eq(kill(victim.pid, SIGKILL), 0);
    cr_assert(WIFSIGNALED(worker_wait(&victim)));

    /* Dead, but nobody can know yet: its hold is reserved. */
    int64_t held =
        query_i64(store, "SELECT coalesce(sum(amount), 0) FROM aicp_budget_hold WHERE seq = 1");
    cr_assert_geq(held, 2 * HELD / 3 * USD);
    int before = 0;
    aicp_status s = AICP_OK;
    for (char id[32]; s == AICP_OK; before += s == AICP_OK) {
        (void)snprintf(id, sizeof id, "before-%d", before);
        s = reserve(l, id, "a", USD);
        cr_assert(s != AICP_OK || settle(l, id, USD) == AICP_OK);
    }
    cr_assert_eq(s, AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(before, (UNITS * USD - HELD / 3 * USD - held) / USD, "%d before the TTL", before);

    /* After its TTL: a third settled, a third dispatched and so posted as estimated, the rest back.
     */
    int after = spend_until(l, "after", UNITS - 2 * HELD / 3 - before);
    cr_assert_eq(after, UNITS - 2 * HELD / 3 - before);
    cr_assert_eq(reserve(l, "one too many", "a", USD), AICP_ERR_BUDGET_EXCEEDED);
    flush(l);
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, UNITS * USD);
    cr_assert_eq(st.reserved_nano, 0);
    cr_assert_eq(
        query_i64(
            store,
            "SELECT count(*) FROM aicp_budget_reservation WHERE state = 1 AND flags % 4 >= 2"),
        HELD / 3);

    /* The truth about one of the estimated comes in late, through its account. */
    char id[32];
    aicp_ledger_text name = {"a", 1};
    aicp_ledger_settlement late = AICP_LEDGER_SETTLEMENT_INIT;
    late.accounts = &name;
    late.accounts_count = 1;
    late.deadline_ns = soon();
    (void)snprintf(id, sizeof id, "%d-1", (int)victim.pid);
    cr_assert_eq(aicp_ledger_settle(l, id, strlen(id), USD / 2, &late, NULL), AICP_OK);
    cr_assert_eq(aicp_ledger_settle(l, id, strlen(id), USD / 2, &late, NULL), AICP_OK);
    cr_assert_eq(aicp_ledger_settle(l, id, strlen(id), USD, &late, NULL), AICP_ERR_ALREADY_POSTED);
    cr_assert_eq(status_of(l, "a").spent_nano, UNITS * USD - USD / 2);
    aicp_ledger_free(l);
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT held FROM aicp_budget_window"), 0);
}

TEST_ALL_STORES(processes, processes_go_on_exactly_while_one_is_killed) {
    enum { UNITS = 300, TTL_MS = 3000 };
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.hold_ttl_ns = TTL_MS * UINT64_C(1000000);
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", UNITS * USD, NULL);
    worker workers[3];
    worker_start(&workers[0], store, "hold", 60, TTL_MS);
    worker_start(&workers[1], store, "spend", 120, TTL_MS);
    worker_start(&workers[2], store, "spend", 120, TTL_MS);
    cr_assert(worker_listen(&workers[0], SAID_READY));
    cr_assert_eq(kill(workers[0].pid, SIGKILL), 0);
    cr_assert(WIFSIGNALED(worker_wait(&workers[0])));
    cr_assert_eq(worker_wait(&workers[1]), 0);
    cr_assert_eq(worker_wait(&workers[2]), 0);
    /* 20 settled and 20 dispatched by the dead one; everything else went to the living. */
    int living = workers[1].admitted + workers[2].admitted;
    cr_assert_leq(living, UNITS - 40);
    int rest = spend_until(l, "rest", UNITS - 40 - living);
    cr_assert_eq(living + rest, UNITS - 40, "%d living, %d rest", living, rest);
    cr_assert_eq(reserve(l, "one too many", "a", USD), AICP_ERR_BUDGET_EXCEEDED);
    aicp_ledger_free(l);
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window"), UNITS * USD);
}

/* ---- restart and fork ---- */

TEST_ALL_STORES(processes, settling_after_a_restart_books_on_the_named_accounts) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "a", 100 * USD, NULL);
    put_account(l, "b", 100 * USD, NULL);
    cr_assert_eq(reserve(l, "warm", "a", USD), AICP_OK);
    cr_assert_eq(reserve(l, "warm b", "b", USD), AICP_OK);
    aicp_ledger_text names[] = {{"b", 1}, {"a", 1}};
    aicp_ledger_settlement k = AICP_LEDGER_SETTLEMENT_INIT;
    k.accounts = names;
    k.accounts_count = 2;
    cr_assert_eq(aicp_ledger_settle(l, "lost", 4, 3 * USD, &k, NULL), AICP_OK, "never blocks");
    cr_assert_eq(aicp_ledger_settle(l, "lost", 4, 3 * USD, &k, NULL), AICP_OK);
    k.deadline_ns = soon();
    cr_assert_eq(aicp_ledger_settle(l, "lost too", 8, 2 * USD, &k, NULL), AICP_OK);
    k.accounts_count = 0;
    cr_assert_eq(aicp_ledger_settle(l, "unheard of", 10, USD, &k, NULL), AICP_ERR_NOT_FOUND);
    cr_assert_eq(release(l, "warm"), AICP_OK);
    cr_assert_eq(release(l, "warm b"), AICP_OK);
    flush(l);
    cr_assert_eq(status_of(l, "a").spent_nano, 5 * USD);
    cr_assert_eq(status_of(l, "b").spent_nano, 5 * USD);
    aicp_ledger_metrics m = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics_get(l, &m);
    cr_assert_eq(m.recovered, 2);
    cr_assert_eq(m.unsent, 0);
    aicp_ledger_free(l);
    check_books(store);
}

/* The sanitizers' own locks are not made for forking while another thread allocates. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAY_FORK_WITH_THREADS 0
#elif defined(__has_feature)
#define MAY_FORK_WITH_THREADS !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define MAY_FORK_WITH_THREADS 1
#endif

/* The server would be threads of the parent. */
#if MAY_FORK_WITH_THREADS
#define TEST_FORKING TEST_ALL_STORES
#else
#define TEST_FORKING TEST_BOTH_STORES
#endif

TEST_FORKING(processes, the_child_of_a_fork_is_a_node_of_its_own) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.background = MAY_FORK_WITH_THREADS;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 100 * USD, NULL);
    cr_assert_eq(reserve(l, "parent", "a", 10 * USD), AICP_OK);
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = settle(l, "parent", USD) == AICP_ERR_NOT_FOUND &&
                  reserve(l, "child", "a", 20 * USD) == AICP_OK &&
                  settle(l, "child", 15 * USD) == AICP_OK;
        aicp_ledger_free(l);
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    pid = fork();
    if (pid == 0) {
        aicp_ledger_free(l); /* never used here: must not touch the parent's */
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, 15 * USD);
    cr_assert_eq(st.reserved_nano, 10 * USD);
    cr_assert_eq(settle(l, "parent", 10 * USD), AICP_OK);
    aicp_ledger_free(l);
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window"), 25 * USD);
}

/* ---- a store that goes away ---- */

Test(processes, settling_goes_on_while_the_store_is_away, .timeout = 120) {
    test_store store;
    test_store_open(&store, true);
    aicp_ledger *l = open_ledger(&store, NULL);
    put_account(l, "a", 1000 * USD, NULL);
    cr_assert_eq(reserve(l, "1", "a", USD), AICP_OK);
    for (int round = 0; round < 5; round++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%d", round);
        cr_assert_eq(reserve(l, id, "a", USD), AICP_OK);
        test_store_cut_connections(&store);
        cr_assert_eq(settle(l, id, USD), AICP_OK);
        flush(l);
    }
    cr_assert_eq(settle(l, "1", USD), AICP_OK);
    cr_assert_eq(status_of(l, "a").spent_nano, 6 * USD);
    aicp_ledger_free(l);
    check_books(&store);
    test_store_close(&store);
}

/* A node that was silent for longer than its TTL finds its holds taken, and starts anew. */
TEST_BOTH_STORES(processes, a_node_taken_for_dead_loses_its_holds_but_no_spend) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.default_ttl_ns = DAY_NS;
    o.hold_ttl_ns = 60 * SECOND_NS;
    aicp_ledger *sleeper = open_ledger(store, &o);
    aicp_ledger *other = open_ledger(store, &o);
    put_account(other, "a", 100 * USD, NULL);
    const char *accounts[] = {"a", NULL};
    cr_assert_eq(reserve(sleeper, "sent", "a", 40 * USD), AICP_OK);
    cr_assert_eq(aicp_ledger_mark_dispatched(sleeper, "sent", 4, -1, NULL), AICP_OK);
    cr_assert_eq(reserve(sleeper, "kept", "a", 20 * USD), AICP_OK);
    flush(sleeper);
    cr_assert_eq(reserve(other, "big", "a", 60 * USD), AICP_ERR_BUDGET_EXCEEDED);
    test_clock_advance(&clock, 61 * SECOND_NS);
    cr_assert_eq(reserve(other, "big", "a", 60 * USD), AICP_OK, "the dead one's money is back");
    cr_assert_eq(
        reserve_on(sleeper, "late", 1, 0, NULL, accounts),
        AICP_ERR_WOULD_BLOCK,
        "its hold is no longer certain");
    cr_assert_eq(settle(sleeper, "sent", 30 * USD), AICP_OK);
    cr_assert_eq(settle(sleeper, "kept", 5 * USD), AICP_OK);
    flush(sleeper);
    flush(other);
    cr_assert_eq(status_of(other, "a").spent_nano, 35 * USD);
    cr_assert_eq(reserve(sleeper, "again", "a", 5 * USD), AICP_OK);
    cr_assert_eq(release(sleeper, "again"), AICP_OK);
    cr_assert_eq(settle(other, "big", 60 * USD), AICP_OK);
    aicp_ledger_free(sleeper);
    aicp_ledger_free(other);
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window"), 95 * USD);
    cr_assert_eq(query_i64(store, "SELECT held FROM aicp_budget_window"), 0);
}
