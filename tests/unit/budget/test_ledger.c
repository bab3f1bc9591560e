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

/* ---- idempotency: what each call answers in each state ---- */

typedef enum reservation_state { UNKNOWN, PENDING, POSTED, VOIDED, EXPIRED } reservation_state;

static void bring_to(aicp_ledger *l, test_clock *clock, const char *id, reservation_state state) {
    if (state == UNKNOWN) {
        return;
    }
    cr_assert_eq(reserve(l, id, "a", 2 * USD), AICP_OK);
    if (state == POSTED) {
        cr_assert_eq(settle(l, id, USD), AICP_OK);
    } else if (state == VOIDED) {
        cr_assert_eq(release(l, id), AICP_OK);
    } else if (state == EXPIRED) {
        test_clock_advance(clock, 901 * SECOND_NS);
        flush(l);
    }
}

enum { AGAIN, DIFFERENT, SETTLE_SAME, SETTLE_OTHER, RELEASE, MARK, CALLS };

static aicp_status do_call(aicp_ledger *l, const char *id, int call) {
    switch (call) {
    case AGAIN:
        return reserve(l, id, "a", 2 * USD);
    case DIFFERENT:
        return reserve(l, id, "a", 3 * USD);
    case SETTLE_SAME:
        return settle(l, id, USD);
    case SETTLE_OTHER:
        return settle(l, id, 3 * USD);
    case RELEASE:
        return release(l, id);
    default:
        return aicp_ledger_mark_dispatched(l, id, strlen(id), -1, NULL);
    }
}

TEST_BOTH_STORES(ledger, every_call_is_idempotent_in_every_state) {
    static const struct {
        reservation_state state;
        aicp_status want[CALLS];
    } table[] = {
        {UNKNOWN,
         {[SETTLE_SAME] = AICP_ERR_NOT_FOUND,
          [SETTLE_OTHER] = AICP_ERR_NOT_FOUND,
          [MARK] = AICP_ERR_NOT_FOUND}},
        {PENDING, {[DIFFERENT] = AICP_ERR_EXISTS_DIFFERENT}},
        {POSTED,
         {[DIFFERENT] = AICP_ERR_EXISTS_DIFFERENT,
          [SETTLE_OTHER] = AICP_ERR_ALREADY_POSTED,
          [RELEASE] = AICP_ERR_ALREADY_POSTED,
          [MARK] = AICP_ERR_ALREADY_POSTED}},
        {VOIDED,
         {[DIFFERENT] = AICP_ERR_EXISTS_DIFFERENT,
          [SETTLE_SAME] = AICP_ERR_ALREADY_VOIDED,
          [SETTLE_OTHER] = AICP_ERR_ALREADY_VOIDED,
          [MARK] = AICP_ERR_ALREADY_VOIDED}},
        {EXPIRED, {[DIFFERENT] = AICP_ERR_EXISTS_DIFFERENT, [MARK] = AICP_ERR_ALREADY_VOIDED}},
    };
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 1000 * USD, NULL);
    char id[32];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (int call = 0; call < CALLS; call++) {
            (void)snprintf(id, sizeof id, "%zu-%d", i, call);
            bring_to(l, &clock, id, table[i].state);
            int64_t before = status_of(l, "a").remaining_nano;
            aicp_status want = table[i].want[call];
            aicp_status got = do_call(l, id, call);
            cr_expect_eq(
                got, want, "state %d call %d: %s", table[i].state, call, aicp_status_name(got));
            if (call == AGAIN && table[i].state != UNKNOWN) {
                cr_expect_eq(status_of(l, "a").remaining_nano, before, "a replay charges nothing");
            }
        }
    }
    test_clock_advance(&clock, 901 * SECOND_NS);
    flush(l);
    cr_assert_eq(status_of(l, "a").reserved_nano, 0);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, ids_of_another_process_are_replayed_from_the_store) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.mode = AICP_LEDGER_SYNC;
    aicp_ledger *first = open_ledger(store, &o);
    aicp_ledger *second = open_ledger(store, &o);
    put_account(first, "a", 10 * USD, NULL);
    put_account(first, "b", 10 * USD, NULL);
    aicp_ledger_result r = AICP_LEDGER_RESULT_INIT;
    const char *accounts[] = {"a", NULL};
    cr_assert_eq(reserve(first, "x", "a", USD), AICP_OK);
    cr_assert_eq(reserve_on(second, "x", USD, soon(), &r, accounts), AICP_OK);
    cr_assert(r.replayed);
    cr_assert_eq(reserve(second, "x", "a", 2 * USD), AICP_ERR_EXISTS_DIFFERENT);
    cr_assert_eq(reserve(second, "x", "b", USD), AICP_ERR_EXISTS_DIFFERENT);
    cr_assert_eq(status_of(second, "a").reserved_nano, USD);
    aicp_ledger_free(second);
    aicp_ledger_free(first);
    check_books(store);
}

TEST_BOTH_STORES(ledger, bad_requests_change_nothing) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "a", 10 * USD, NULL);
    const char *a[] = {"a", NULL};
    const char *none[] = {NULL};
    const char *missing[] = {"a", "nobody", NULL};
    cr_expect_eq(reserve_on(l, "1", -1, soon(), NULL, a), AICP_ERR_RANGE);
    cr_expect_eq(reserve_on(l, "1", INT64_MAX, soon(), NULL, a), AICP_ERR_RANGE);
    cr_expect_eq(reserve_on(l, "1", INT64_MIN, soon(), NULL, a), AICP_ERR_RANGE);
    cr_expect_eq(reserve_on(l, "", 1, soon(), NULL, a), AICP_ERR_INVALID);
    cr_expect_eq(reserve_on(l, "1", 1, soon(), NULL, none), AICP_ERR_INVALID);
    cr_expect_eq(reserve_on(l, "1", 1, soon(), NULL, missing), AICP_ERR_NOT_FOUND);
    cr_expect_eq(reserve_on(l, "1", 11 * USD, soon(), NULL, a), AICP_ERR_BUDGET_EXCEEDED);
    cr_expect_eq(settle(l, "1", -1), AICP_ERR_RANGE);
    cr_expect_eq(settle(l, "1", INT64_MAX), AICP_ERR_RANGE);
    cr_expect_eq(aicp_ledger_reserve(l, NULL, NULL, NULL), AICP_ERR_INVALID);
    cr_expect_eq(aicp_ledger_reserve(NULL, NULL, NULL, NULL), AICP_ERR_INVALID);
    cr_assert_eq(status_of(l, "a").remaining_nano, 10 * USD);
    aicp_ledger_free(l);
    check_books(store);
}

/* ---- rules of accounts ---- */

static void put_rule(aicp_ledger *l, const char *id, const aicp_ledger_account *a) {
    aicp_error err = {0};
    aicp_status s = aicp_ledger_account_put(l, id, strlen(id), a, 0, &err);
    cr_assert_eq(s, AICP_OK, "%s", err.message);
}

TEST_BOTH_STORES(ledger, a_changed_limit_acts_at_once) {
    aicp_ledger *l = open_ledger(store, NULL);
    aicp_ledger *other = open_ledger(store, NULL);
    put_account(l, "a", 10 * USD, NULL);
    cr_assert_eq(reserve(l, "1", "a", 8 * USD), AICP_OK);
    cr_assert_eq(reserve(other, "2", "a", 3 * USD), AICP_ERR_BUDGET_EXCEEDED);
    put_account(l, "a", 20 * USD, NULL);
    cr_assert_eq(reserve(other, "2", "a", 3 * USD), AICP_OK, "raised, in another process");
    put_account(other, "a", 5 * USD, NULL);
    cr_assert_eq(reserve(other, "3", "a", 1), AICP_ERR_BUDGET_EXCEEDED, "lowered");
    flush(other);
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.remaining_nano, 0);
    cr_assert_eq(st.reserved_nano, 11 * USD, "what was admitted stays");
    cr_assert_eq(settle(l, "1", 8 * USD), AICP_OK);
    cr_assert_eq(settle(other, "2", 0), AICP_OK);
    aicp_ledger_free(other);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, frozen_limits_zero_and_unknown_prices_have_their_answers) {
    aicp_ledger *l = open_ledger(store, NULL);
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    put_rule(l, "unlimited", &a);
    a.frozen = 1;
    put_rule(l, "frozen", &a);
    a.frozen = 0;
    a.limit_nano = 0;
    put_rule(l, "nothing", &a);
    a.limit_nano = USD;
    put_rule(l, "hard", &a);
    a.on_unknown_price = AICP_BUDGET_UNKNOWN_ALLOW;
    put_rule(l, "lenient", &a);
    cr_expect_eq(reserve(l, "1", "frozen", 1), AICP_ERR_FROZEN);
    cr_expect_eq(reserve(l, "2", "nothing", 1), AICP_ERR_BUDGET_EXCEEDED);
    cr_expect_eq(reserve(l, "3", "nothing", 0), AICP_ERR_BUDGET_EXCEEDED);
    cr_expect_eq(reserve(l, "4", "unlimited", 1000 * USD), AICP_OK);
    cr_expect_eq(status_of(l, "unlimited").remaining_nano, INT64_MAX);
    static const struct {
        const char *account;
        aicp_status status;
    } unknown[] = {{"hard", AICP_ERR_UNKNOWN_PRICE}, {"lenient", AICP_OK}, {"unlimited", AICP_OK}};
    for (size_t i = 0; i < 3; i++) {
        aicp_ledger_text name = {unknown[i].account, strlen(unknown[i].account)};
        aicp_ledger_request r = AICP_LEDGER_REQUEST_INIT;
        r.id = unknown[i].account;
        r.id_len = name.len;
        r.accounts = &name;
        r.accounts_count = 1;
        r.deadline_ns = soon();
        r.unknown_price = 1;
        cr_expect_eq(aicp_ledger_reserve(l, &r, NULL, NULL), unknown[i].status, "%s", r.id);
    }
    cr_expect_eq(settle(l, "lenient", 5 * USD), AICP_OK, "an overrun is charged in full");
    cr_expect_eq(status_of(l, "lenient").spent_nano, 5 * USD);
    cr_expect_eq(status_of(l, "lenient").remaining_nano, 0);
    aicp_ledger_metrics m = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics_get(l, &m);
    cr_expect_eq(m.overrun_nano, (uint64_t)(5 * USD));
    cr_expect_eq(settle(l, "4", USD), AICP_OK);
    cr_expect_eq(settle(l, "unlimited", USD), AICP_OK);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, an_overrun_is_not_admitted_a_second_time) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "a", 1000 * USD, NULL);
    cr_assert_eq(reserve(l, "1", "a", USD), AICP_OK);
    cr_assert_eq(settle(l, "1", 990 * USD), AICP_OK);
    cr_assert_eq(reserve(l, "2", "a", 11 * USD), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(reserve(l, "3", "a", 10 * USD), AICP_OK);
    cr_assert_eq(release(l, "3"), AICP_OK);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, bad_accounts_are_refused) {
    aicp_ledger *l = open_ledger(store, NULL);
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    aicp_error err = {0};
    a.duration = "1d12h";
    a.duration_len = 5;
    cr_expect_eq(aicp_ledger_account_put(l, "a", 1, &a, 0, &err), AICP_ERR_PARSE);
    cr_expect_eq(err.offset, 1);
    a.duration_len = 2;
    a.timezone = "Nowhere";
    a.timezone_len = 7;
    cr_expect_eq(aicp_ledger_account_put(l, "a", 1, &a, 0, &err), AICP_ERR_NOT_FOUND);
    a.timezone_len = 0;
    a.limit_nano = -2;
    cr_expect_eq(aicp_ledger_account_put(l, "a", 1, &a, 0, &err), AICP_ERR_RANGE);
    a.limit_nano = USD;
    int32_t percent = 0;
    a.soft_percent = &percent;
    a.soft_percent_count = 1;
    cr_expect_eq(aicp_ledger_account_put(l, "a", 1, &a, 0, &err), AICP_ERR_RANGE);
    cr_expect_eq(aicp_ledger_account_put(l, "", 0, &a, 0, &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_ledger_account_put(l, "a\xff", 2, &a, 0, &err), AICP_ERR_INVALID);
    aicp_ledger_status st = AICP_LEDGER_STATUS_INIT;
    cr_expect_eq(aicp_ledger_account_status(l, "a", 1, soon(), &st, &err), AICP_ERR_NOT_FOUND);
    aicp_ledger_free(l);
}

/* ---- windows ---- */

TEST_BOTH_STORES(ledger, a_new_window_starts_empty_and_late_spend_goes_to_the_old_one) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 10 * USD, "1d");
    cr_assert_eq(reserve(l, "old", "a", 8 * USD), AICP_OK);
    cr_assert_eq(aicp_ledger_renew(l, "old", 3, DAY_NS, NULL), AICP_OK);
    cr_assert_eq(reserve(l, "no", "a", 3 * USD), AICP_ERR_BUDGET_EXCEEDED);
    test_clock_advance(&clock, 7 * 3600 * SECOND_NS);
    cr_assert_eq(reserve(l, "new", "a", 9 * USD), AICP_OK);
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.window, 2);
    cr_assert_eq(st.reserved_nano, 9 * USD);
    cr_assert_eq(settle(l, "old", 8 * USD), AICP_OK);
    cr_assert_eq(settle(l, "new", 2 * USD), AICP_OK);
    flush(l);
    cr_assert_eq(status_of(l, "a").spent_nano, 2 * USD);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window WHERE seq = 1"), 8 * USD);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, a_clock_that_goes_back_does_not_reopen_a_window) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 10 * USD, "1d");
    cr_assert_eq(reserve(l, "1", "a", 6 * USD), AICP_OK);
    test_clock_advance(&clock, DAY_NS * 10);
    cr_assert_eq(reserve(l, "2", "a", 6 * USD), AICP_OK, "rolls once, straight to today");
    cr_assert_eq(status_of(l, "a").window, 2);
    clock.wall_ns = NOON;
    cr_assert_eq(reserve(l, "3", "a", 6 * USD), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(status_of(l, "a").window, 2);
    clock.monotonic_ns = 1;
    cr_assert_eq(reserve(l, "4", "a", 4 * USD), AICP_OK);
    aicp_ledger_metrics m = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics_get(l, &m);
    cr_assert_gt(m.clock_backward, 0);
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, unspent_money_rolls_over_up_to_its_maximum) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    aicp_ledger *l = open_ledger(store, &o);
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    a.limit_nano = 10 * USD;
    a.duration = "daily";
    a.duration_len = 5;
    a.rollover_max_nano = 4 * USD;
    put_rule(l, "a", &a);
    cr_assert_eq(reserve(l, "1", "a", 7 * USD), AICP_OK);
    cr_assert_eq(settle(l, "1", 7 * USD), AICP_OK);
    flush(l);
    test_clock_advance(&clock, DAY_NS);
    flush(l);
    cr_assert_eq(status_of(l, "a").limit_nano, 13 * USD);
    test_clock_advance(&clock, DAY_NS);
    cr_assert_eq(status_of(l, "a").limit_nano, 14 * USD);
    a.temp_increase_nano = 5 * USD;
    a.temp_until_ns = clock.wall_ns + 1000;
    put_rule(l, "a", &a);
    cr_assert_eq(reserve(l, "2", "a", 19 * USD), AICP_OK);
    test_clock_advance(&clock, 2000);
    cr_assert_eq(status_of(l, "a").limit_nano, 14 * USD);
    cr_assert_eq(reserve(l, "3", "a", 1), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(settle(l, "2", 19 * USD), AICP_OK, "expiry claws nothing back");
    aicp_ledger_free(l);
    check_books(store);
}

TEST_BOTH_STORES(ledger, a_new_duration_keeps_spend_and_moves_the_end) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 10 * USD, "1mo");
    cr_assert_eq(reserve(l, "1", "a", 6 * USD), AICP_OK);
    cr_assert_eq(settle(l, "1", 6 * USD), AICP_OK);
    put_account(l, "a", 10 * USD, "1d");
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, 6 * USD);
    cr_assert_eq(st.window, 1);
    cr_assert_eq(st.window_end_ns - NOON, (6 * 3600 + 1800) * INT64_C(1000000000));
    put_account(l, "a", 10 * USD, NULL);
    cr_assert_eq(status_of(l, "a").window_end_ns, AICP_BUDGET_FOREVER);
    cr_assert_eq(reserve(l, "2", "a", 5 * USD), AICP_ERR_BUDGET_EXCEEDED);
    aicp_ledger_free(l);
    check_books(store);
}

/* ---- expiry ---- */

TEST_BOTH_STORES(ledger, deadlines_void_what_was_not_sent_and_post_what_was) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 10 * USD, NULL);
    cr_assert_eq(reserve(l, "unsent", "a", 3 * USD), AICP_OK);
    cr_assert_eq(reserve(l, "sent", "a", 3 * USD), AICP_OK);
    cr_assert_eq(reserve(l, "stream", "a", 3 * USD), AICP_OK);
    cr_assert_eq(aicp_ledger_mark_dispatched(l, "sent", 4, USD, NULL), AICP_OK);
    test_clock_advance(&clock, 600 * SECOND_NS);
    cr_assert_eq(aicp_ledger_renew(l, "stream", 6, 0, NULL), AICP_OK);
    test_clock_advance(&clock, 301 * SECOND_NS);
    cr_assert_eq(reserve(l, "next", "a", 6 * USD), AICP_OK, "the expired money is there");
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, USD);
    cr_assert_eq(st.reserved_nano, 9 * USD);
    cr_assert_eq(settle(l, "sent", 2 * USD), AICP_OK, "the truth corrects the estimate");
    cr_assert_eq(settle(l, "unsent", USD), AICP_OK, "late, but charged");
    cr_assert_eq(settle(l, "stream", 3 * USD), AICP_OK);
    cr_assert_eq(release(l, "next"), AICP_OK);
    flush(l);
    st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, 6 * USD);
    cr_assert_eq(st.reserved_nano, 0);
    aicp_ledger_metrics m = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics_get(l, &m);
    cr_assert_eq(m.estimated, 1);
    cr_assert_eq(m.expired, 1);
    cr_assert_eq(m.late, 2);
    aicp_ledger_free(l);
    check_books(store);
}

/* ---- soft limits ---- */

TEST_BOTH_STORES(ledger, soft_thresholds_are_raised_once_over_all_nodes_and_never_deny) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.background = 1;
    aicp_ledger *nodes[2] = {open_ledger(store, &o), open_ledger(store, &o)};
    const int32_t percents[] = {50, 80, 100};
    const int64_t amounts[] = {7 * USD};
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    a.limit_nano = 10 * USD;
    a.duration = "1d";
    a.duration_len = 2;
    a.soft_percent = percents;
    a.soft_percent_count = 3;
    a.soft_nano = amounts;
    a.soft_nano_count = 1;
    put_rule(nodes[0], "a", &a);
    int32_t seen[4] = {0};
    for (int day = 0; day < 2; day++) {
        for (int i = 0; i < 10; i++) {
            char id[16];
            (void)snprintf(id, sizeof id, "%d-%d", day, i);
            cr_assert_eq(reserve(nodes[i % 2], id, "a", USD), AICP_OK);
            cr_assert_eq(settle(nodes[i % 2], id, USD), AICP_OK);
            flush(nodes[i % 2]);
        }
        for (int n = 0; n < 2; n++) {
            aicp_ledger_event e = {.size = sizeof e};
            while (aicp_ledger_event_next(nodes[n], &e, NULL) == AICP_OK) {
                cr_expect_eq(e.window, day + 1);
                cr_expect_str_eq(e.account, "a");
                cr_expect_geq(e.spent_nano, e.threshold_nano);
                seen[0] += e.threshold_percent == 50;
                seen[1] += e.threshold_percent == 80;
                seen[2] += e.threshold_percent == 100;
                seen[3] += e.threshold_percent == 0 && e.threshold_nano == 7 * USD;
            }
        }
        for (int k = 0; k < 4; k++) {
            cr_expect_eq(seen[k], day + 1, "threshold %d: %d", k, (int)seen[k]);
        }
        test_clock_advance(&clock, DAY_NS);
    }
    aicp_ledger_free(nodes[0]);
    aicp_ledger_free(nodes[1]);
    check_books(store);
}

/* ---- corrections ---- */

TEST_BOTH_STORES(ledger, adjustments_correct_spend_once_with_a_reason) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "a", 10 * USD, NULL);
    cr_assert_eq(reserve(l, "1", "a", 6 * USD), AICP_OK);
    cr_assert_eq(settle(l, "1", 6 * USD), AICP_OK);
    flush(l);
    aicp_ledger_adjustment k = AICP_LEDGER_ADJUSTMENT_INIT;
    k.id = "fix-1";
    k.id_len = 5;
    k.reason = "wrong price";
    k.reason_len = 11;
    k.amount_nano = -2 * USD;
    cr_assert_eq(aicp_ledger_adjust(l, "a", 1, &k, NULL), AICP_OK);
    cr_assert_eq(aicp_ledger_adjust(l, "a", 1, &k, NULL), AICP_OK, "again: no effect");
    cr_assert_eq(status_of(l, "a").spent_nano, 4 * USD);
    k.amount_nano = -3 * USD;
    cr_assert_eq(aicp_ledger_adjust(l, "a", 1, &k, NULL), AICP_ERR_EXISTS_DIFFERENT);
    k.id = "fix-2";
    k.amount_nano = -5 * USD;
    cr_assert_eq(aicp_ledger_adjust(l, "a", 1, &k, NULL), AICP_ERR_RANGE);
    cr_assert_eq(aicp_ledger_adjust(l, "b", 1, &k, NULL), AICP_ERR_NOT_FOUND);
    cr_assert_eq(status_of(l, "a").spent_nano, 4 * USD);
    cr_assert_eq(reserve(l, "2", "a", 6 * USD), AICP_OK);
    aicp_ledger_free(l);
    check_books(store);
}

/* ---- never blocking ---- */

TEST_BOTH_STORES(ledger, without_a_deadline_nothing_asks_the_store) {
    aicp_ledger *l = open_ledger(store, NULL);
    put_account(l, "a", 1000 * USD, NULL);
    const char *accounts[] = {"a", NULL};
    aicp_ledger_status st = AICP_LEDGER_STATUS_INIT;
    cr_assert_eq(aicp_ledger_account_status(l, "a", 1, 0, &st, NULL), AICP_ERR_WOULD_BLOCK);
    cr_assert_eq(reserve_on(l, "1", USD, 0, NULL, accounts), AICP_ERR_WOULD_BLOCK);
    cr_assert_eq(reserve_on(l, "1", USD, soon(), NULL, accounts), AICP_OK);
    cr_assert_eq(aicp_ledger_account_status(l, "a", 1, 0, &st, NULL), AICP_OK);
    cr_assert_eq(st.reserved_nano, USD);
    cr_assert_eq(reserve_on(l, "2", USD, 0, NULL, accounts), AICP_OK, "inside the slice");
    cr_assert_eq(reserve_on(l, "3", 900 * USD, 0, NULL, accounts), AICP_ERR_WOULD_BLOCK);
    cr_assert_eq(settle(l, "1", USD), AICP_OK);
    cr_assert_eq(settle(l, "2", USD), AICP_OK);
    aicp_ledger_free(l);
    check_books(store);
}

/* Who cannot wait is not refused for money that another node holds and may give back. */
TEST_ALL_STORES(ledger, no_waiting_is_no_reason_to_refuse_what_others_do_not_use) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.idle_ns = DAY_NS;
    o.hold_ttl_ns = DAY_NS;
    o.slice_divisor = 10;
    aicp_ledger *here = open_ledger(store, &o);
    aicp_ledger *there = open_ledger(store, &o);
    const char *accounts[] = {"a", NULL};
    put_account(here, "a", 100 * USD, NULL);
    cr_assert_eq(reserve(there, "t1", "a", USD), AICP_OK);
    int64_t unused = status_of(here, "a").held_nano - USD;
    cr_assert_gt(unused, 5 * USD, "a slice came with it");
    cr_assert_eq(reserve(here, "h1", "a", 90 * USD - unused), AICP_OK);
    flush(here);
    int64_t left = status_of(here, "a").remaining_nano;
    cr_assert_leq(left, 9 * USD);
    cr_assert_eq(reserve_on(here, "h2", left + USD, 0, NULL, accounts), AICP_ERR_WOULD_BLOCK);
    cr_assert_eq(
        reserve_on(here, "h2", left + unused + 2 * USD, 0, NULL, accounts),
        AICP_ERR_BUDGET_EXCEEDED,
        "others have not so much");

    /* Once the store has said no, it is known for a while. */
    cr_assert_eq(reserve(there, "t2", "a", unused), AICP_OK);
    flush(there);
    cr_assert_eq(reserve(here, "h3", "a", left + USD), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(reserve_on(here, "h4", left + USD, 0, NULL, accounts), AICP_ERR_BUDGET_EXCEEDED);
    test_clock_advance(&clock, SECOND_NS);
    cr_assert_eq(reserve_on(here, "h4", left + USD, 0, NULL, accounts), AICP_ERR_WOULD_BLOCK);
    aicp_ledger_free(here);
    aicp_ledger_free(there);
    check_books(store);
}
