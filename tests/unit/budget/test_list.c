/* What a control plane reads. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static aicp_ledger_page *list(aicp_ledger *l, const char *prefix, const char *after, uint32_t n) {
    aicp_ledger_query q = AICP_LEDGER_QUERY_INIT;
    aicp_ledger_page *page = NULL;
    aicp_error err = {0};
    q.prefix = prefix;
    q.prefix_len = strlen(prefix);
    q.after = after;
    q.after_len = strlen(after);
    q.limit = n;
    q.deadline_ns = UINT64_MAX / 2;
    cr_assert_eq(aicp_ledger_account_list(l, &q, &page, &err), AICP_OK, "%s", err.message);
    return page;
}

static void expect_ids(aicp_ledger_page *page, const char *const *ids) {
    size_t n = 0;
    for (; ids[n]; n++) {
        const aicp_ledger_account_row *row = aicp_ledger_page_account(page, n);
        cr_assert_not_null(row);
        cr_assert_str_eq(row->id, ids[n]);
        cr_assert_eq(row->id_len, strlen(ids[n]));
    }
    cr_assert_eq(aicp_ledger_page_count(page), n);
    cr_assert_null(aicp_ledger_page_account(page, n));
    cr_assert_null(aicp_ledger_page_reservation(page, 0));
    aicp_ledger_page_free(page);
}

TEST_BOTH_STORES(list, accounts_come_in_pages_and_by_prefix) {
    static const char *const ids[] = {"key:a", "key:b", "t%m:a", "team:a", "team:b", "team:c"};
    aicp_ledger *l = open_ledger(store, NULL);
    expect_ids(list(l, "", "", 0), (const char *[]){NULL});
    for (size_t i = 0; i < 6; i++) {
        put_account(l, ids[5 - i], 10 * USD, NULL);
    }
    aicp_ledger_page *all = list(l, "", "", 0);
    cr_assert_eq(aicp_ledger_page_count(all), 6);
    aicp_ledger_page_free(all);
    expect_ids(list(l, "team:", "", 2), (const char *[]){"team:a", "team:b", NULL});
    expect_ids(list(l, "team:", "team:b", 2), (const char *[]){"team:c", NULL});
    expect_ids(list(l, "team:", "team:c", 2), (const char *[]){NULL});
    expect_ids(list(l, "t%", "", 0), (const char *[]){"t%m:a", NULL});
    expect_ids(list(l, "k\xc3\xa9y", "", 0), (const char *[]){NULL});
    aicp_ledger_free(l);
}

TEST_BOTH_STORES(list, accounts_show_spend_holds_and_the_open_window) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 10 * USD, "1d");
    put_account(l, "free", AICP_LEDGER_UNLIMITED, NULL);
    cr_assert_eq(reserve(l, "1", "a", 6 * USD), AICP_OK);
    cr_assert_eq(settle(l, "1", 4 * USD), AICP_OK);
    cr_assert_eq(reserve(l, "2", "a", 3 * USD), AICP_OK);
    cr_assert_eq(aicp_ledger_close(l, UINT64_MAX / 2, NULL), AICP_OK);
    aicp_ledger_page *page = list(l, "a", "", 0);
    const aicp_ledger_account_row *row = aicp_ledger_page_account(page, 0);
    cr_assert_eq(row->limit_nano, 10 * USD);
    cr_assert_eq(row->spent_nano, 4 * USD);
    cr_assert_eq(row->held_nano, 3 * USD);
    cr_assert_eq(row->remaining_nano, 3 * USD);
    cr_assert_eq(row->window, 1);
    cr_assert_gt(row->window_end_ns, NOON);
    aicp_ledger_page_free(page);
    page = list(l, "free", "", 0);
    cr_assert_eq(aicp_ledger_page_account(page, 0)->limit_nano, AICP_LEDGER_UNLIMITED);
    cr_assert_eq(aicp_ledger_page_account(page, 0)->remaining_nano, INT64_MAX);
    aicp_ledger_page_free(page);

    test_clock_advance(&clock, DAY_NS);
    page = list(l, "a", "", 0);
    row = aicp_ledger_page_account(page, 0);
    cr_assert_eq(row->window, 2, "opened, though nobody has used it");
    cr_assert_eq(row->spent_nano, 0);
    cr_assert_eq(row->remaining_nano, 10 * USD);
    aicp_ledger_page_free(page);
    aicp_ledger_free(l);
}

TEST_BOTH_STORES(list, reservations_in_flight_are_those_the_store_knows) {
    aicp_ledger *l = open_ledger(store, NULL);
    aicp_ledger_query q = AICP_LEDGER_QUERY_INIT;
    aicp_ledger_page *page = NULL;
    put_account(l, "a", 100 * USD, NULL);
    put_account(l, "b", 100 * USD, NULL);
    const char *both[] = {"a", "b", NULL};
    for (int i = 0; i < 5; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "call-%d", i);
        cr_assert_eq(reserve_on(l, id, (i + 1) * USD, soon(), NULL, both), AICP_OK);
        if (i > 0) {
            cr_assert_eq(aicp_ledger_mark_dispatched(l, id, strlen(id), USD / 2, NULL), AICP_OK);
        }
    }
    cr_assert_eq(settle(l, "call-2", USD), AICP_OK);
    flush(l);
    q.after = "call-1";
    q.after_len = 6;
    cr_assert_eq(aicp_ledger_reservation_list(l, "b", 1, NULL, &page, NULL), AICP_OK);
    cr_assert_eq(aicp_ledger_page_count(page), 3, "one is not sent yet, one is settled");
    aicp_ledger_page_free(page);
    cr_assert_eq(aicp_ledger_reservation_list(l, "a", 1, &q, &page, NULL), AICP_OK);
    cr_assert_eq(aicp_ledger_page_count(page), 2);
    const aicp_ledger_reservation_row *row = aicp_ledger_page_reservation(page, 0);
    cr_assert_str_eq(row->id, "call-3");
    cr_assert_eq(row->amount_nano, 4 * USD);
    cr_assert_eq(row->estimate_nano, USD / 2);
    cr_assert_eq(row->dispatched, 1);
    cr_assert_gt(row->deadline_ns, row->reserved_at_ns);
    cr_assert_null(aicp_ledger_page_account(page, 0));
    aicp_ledger_page_free(page);
    cr_assert_eq(aicp_ledger_reservation_list(l, "nobody", 6, NULL, &page, NULL), AICP_OK);
    cr_assert_eq(aicp_ledger_page_count(page), 0);
    aicp_ledger_page_free(page);
    aicp_ledger_free(l);
}

TEST_BOTH_STORES(list, recent_spend_counts_by_the_minute_over_all_windows) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.hold_ttl_ns = DAY_NS;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 100 * USD, "1h");
    int64_t sum = -1;
    cr_assert_eq(aicp_ledger_account_spend(l, "a", 1, 0, &sum, NULL), AICP_OK);
    cr_assert_eq(sum, 0);
    for (int i = 0; i < 60; i++) { /* a dollar a minute, over the full hour at 18:00 */
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(reserve(l, id, "a", USD), AICP_OK);
        cr_assert_eq(settle(l, id, USD), AICP_OK);
        flush(l);
        test_clock_advance(&clock, 60 * SECOND_NS);
    }
    int64_t now = NOON + 60 * 60 * (int64_t)SECOND_NS;
    cr_assert_eq(
        aicp_ledger_account_spend(l, "a", 1, now - 10 * 60 * (int64_t)SECOND_NS, &sum, NULL),
        AICP_OK);
    cr_assert_eq(sum, 10 * USD);
    cr_assert_eq(aicp_ledger_account_spend(l, "a", 1, INT64_MIN, &sum, NULL), AICP_OK);
    cr_assert_eq(sum, 60 * USD);
    cr_assert_eq(aicp_ledger_account_spend(l, "b", 1, 0, &sum, NULL), AICP_ERR_NOT_FOUND);

    /* What a dead process had sent is booked at its estimate, in the minute of the discovery. */
    aicp_ledger *dead = open_ledger(store, &o);
    cr_assert_eq(reserve(dead, "sent", "a", 5 * USD), AICP_OK);
    cr_assert_eq(aicp_ledger_mark_dispatched(dead, "sent", 4, 2 * USD, NULL), AICP_OK);
    flush(dead);
    test_clock_advance(&clock, DAY_NS + SECOND_NS);
    flush(l);
    cr_assert_eq(
        aicp_ledger_account_spend(l, "a", 1, now + (int64_t)DAY_NS / 2, &sum, NULL), AICP_OK);
    cr_assert_eq(sum, 2 * USD);
    aicp_ledger_free(dead);
    aicp_ledger_free(l);
}

Test(list, refuses_what_it_cannot_mean) {
    aicp_ledger *l = NULL;
    aicp_ledger_page *page = NULL;
    aicp_ledger_query q = AICP_LEDGER_QUERY_INIT;
    cr_assert_eq(aicp_ledger_open("sqlite::memory:", 15, NULL, &l, NULL), AICP_OK);
    q.limit = 1001;
    cr_assert_eq(aicp_ledger_account_list(l, &q, &page, NULL), AICP_ERR_RANGE);
    q.limit = 0;
    q.prefix = "\xff";
    q.prefix_len = 1;
    cr_assert_eq(aicp_ledger_account_list(l, &q, &page, NULL), AICP_ERR_INVALID);
    cr_assert_null(page);
    cr_assert_eq(aicp_ledger_account_list(l, NULL, NULL, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_ledger_reservation_list(l, "", 0, NULL, &page, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_ledger_page_count(NULL), 0);
    aicp_ledger_page_free(NULL);
    aicp_ledger_free(l);
}
