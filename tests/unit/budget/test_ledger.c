/* The ledger's answers: one suite over SQLite and PostgreSQL. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TEST_BOTH_STORES(ledger, a_reservation_is_settled_with_what_it_cost) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "team:a", 10 * USD, NULL);
    cr_assert_eq(reserve(l, "r1", "team:a", 3 * USD), AICP_OK);
    aicp_ledger_status st = status_of(l, "team:a");
    cr_assert_eq(st.reserved_nano, 3 * USD);
    cr_assert_eq(st.remaining_nano, 7 * USD);
    cr_assert_eq(settle(l, "r1", 2 * USD), AICP_OK);
    st = status_of(l, "team:a");
    cr_assert_eq(st.spent_nano, 2 * USD);
    cr_assert_eq(st.reserved_nano, 0);
    cr_assert_eq(st.remaining_nano, 8 * USD);
    flush(l);
    check_books(store);
    aicp_ledger_free(l);
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window"), 2 * USD);
    cr_assert_eq(query_i64(store, "SELECT held FROM aicp_budget_window"), 0);
}

TEST_BOTH_STORES(ledger, a_hard_limit_denies_and_says_what_remains) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "a", 10 * USD, "1d");
    aicp_ledger_result r = AICP_LEDGER_RESULT_INIT;
    const char *accounts[] = {"a", NULL};
    cr_assert_eq(reserve_on(l, "1", 6 * USD, soon(), &r, accounts), AICP_OK);
    cr_assert(r.admitted);
    cr_assert_eq(r.limit_nano, 10 * USD);
    cr_assert_eq(r.remaining_nano, 4 * USD);
    cr_assert_eq(reserve_on(l, "2", 5 * USD, soon(), &r, accounts), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_not(r.admitted);
    cr_assert_eq(r.remaining_nano, 4 * USD);
    cr_assert_eq(r.reset_at_ns % (86400 * INT64_C(1000000000)), 0);
    cr_assert_eq(reserve_on(l, "3", 4 * USD, soon(), &r, accounts), AICP_OK);
    cr_assert_eq(reserve_on(l, "4", 1, soon(), &r, accounts), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(r.remaining_nano, 0);
    cr_assert_eq(release(l, "1"), AICP_OK);
    cr_assert_eq(reserve_on(l, "4", 6 * USD, soon(), &r, accounts), AICP_OK);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, several_accounts_are_charged_all_or_none) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "key", 10 * USD, NULL);
    put_account(l, "team", 4 * USD, NULL);
    const char *accounts[] = {"team", "key", "team"};
    aicp_ledger_result r = AICP_LEDGER_RESULT_INIT;
    cr_assert_eq(reserve_on(l, "1", 5 * USD, soon(), &r, accounts), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(r.account, 0, "the request's first account denied");
    cr_assert_eq(status_of(l, "key").reserved_nano, 0);
    cr_assert_eq(reserve_on(l, "2", 4 * USD, soon(), &r, accounts), AICP_OK);
    cr_assert_eq(status_of(l, "key").reserved_nano, 4 * USD);
    cr_assert_eq(status_of(l, "team").reserved_nano, 4 * USD);
    cr_assert_eq(settle(l, "2", USD), AICP_OK);
    aicp_ledger_free(l);
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT sum(spent) FROM aicp_budget_window"), 2 * USD);
}
