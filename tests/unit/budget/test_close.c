/* A ledger that leaves keeps nothing for itself. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#define HELD "SELECT coalesce(sum(held), 0) FROM aicp_budget_window"

/* Somebody who could not wait found too little: the account asks for a slice. */
static aicp_ledger *hungry_ledger(const test_store *store) {
    aicp_ledger *l = open_ledger(store, NULL);
    const char *accounts[] = {"a", NULL};
    put_account(l, "a", 1000 * USD, NULL);
    cr_assert_eq(reserve(l, "one", "a", USD), AICP_OK);
    cr_assert_eq(settle(l, "one", USD), AICP_OK);
    cr_assert_eq(reserve_on(l, "two", 500 * USD, 0, NULL, accounts), AICP_ERR_WOULD_BLOCK);
    return l;
}

TEST_ALL_STORES(closing, takes_no_slice_along_for_who_could_not_wait) {
    aicp_ledger *l = hungry_ledger(store);
    aicp_ledger_free(l);
    cr_assert_eq(query_i64(store, HELD), 0);
    cr_assert_eq(query_i64(store, "SELECT count(*) FROM aicp_budget_node"), 0);
    check_books(store);
}

TEST_ALL_STORES(closing, without_freeing_holds_nothing_and_goes_on) {
    aicp_ledger *l = hungry_ledger(store);
    aicp_error err = {0};
    cr_assert_eq(aicp_ledger_close(l, soon(), &err), AICP_OK, "%s", err.message);
    cr_assert_eq(query_i64(store, HELD), 0);
    cr_assert_eq(reserve(l, "three", "a", USD), AICP_OK);
    cr_assert_gt(query_i64(store, HELD), USD, "slices are made again");
    cr_assert_eq(release(l, "three"), AICP_OK);
    aicp_ledger_free(l);
    cr_assert_eq(query_i64(store, HELD), 0);
}

TEST_ALL_STORES(closing, leaves_what_is_reserved) {
    aicp_ledger *l = hungry_ledger(store);
    cr_assert_eq(reserve(l, "open", "a", 7 * USD), AICP_OK);
    aicp_ledger_free(l);
    cr_assert_eq(query_i64(store, HELD), 7 * USD);
    check_books(store);
}

TEST_ALL_STORES(closing, does_not_end_the_thread_of_a_ledger_that_goes_on) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.background = 1;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 1000 * USD, NULL);
    cr_assert_eq(aicp_ledger_close(l, soon(), NULL), AICP_OK);
    cr_assert_eq(reserve(l, "one", "a", USD), AICP_OK);
    cr_assert_eq(settle(l, "one", USD), AICP_OK);
    uint64_t end = soon();
    aicp_ledger_metrics m = AICP_LEDGER_METRICS_INIT;
    do { /* nobody flushes but the thread */
        struct timespec t = {0, 1000000};
        (void)nanosleep(&t, NULL);
        aicp_ledger_metrics_get(l, &m);
    } while (m.unsent > 0 && soon() < end + 30 * SECOND_NS);
    cr_assert_eq(m.unsent, 0);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window"), USD);
    aicp_ledger_free(l);
}
