/* Old rows go, a few at a time, and what was spent stays. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SETTLED 1200

static int64_t count(const test_store *store, const char *table) {
    char text[64];
    (void)snprintf(text, sizeof text, "SELECT count(*) FROM %s", table);
    return query_i64(store, text);
}

static void put_with_threshold(aicp_ledger *l, const char *id, const char *duration) {
    static const int32_t half[] = {50};
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    a.limit_nano = SETTLED;
    a.duration = duration;
    a.duration_len = strlen(duration);
    a.soft_percent = half;
    a.soft_percent_count = 1;
    cr_assert_eq(aicp_ledger_account_put(l, id, strlen(id), &a, 0, NULL), AICP_OK);
}

static void adjust(aicp_ledger *l, const char *account, int64_t amount) {
    aicp_ledger_adjustment k = AICP_LEDGER_ADJUSTMENT_INIT;
    k.id = "refund";
    k.id_len = strlen(k.id);
    k.reason = "refused by the provider";
    k.reason_len = strlen(k.reason);
    k.amount_nano = amount;
    cr_assert_eq(aicp_ledger_adjust(l, account, strlen(account), &k, NULL), AICP_OK);
}

TEST_BOTH_STORES(pruning, deletes_finished_rows_in_batches_after_their_time) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.hold_ttl_ns = DAY_NS;
    aicp_ledger *l = open_ledger(store, &o);
    put_with_threshold(l, "a", "1d");
    put_with_threshold(l, "b", "never");
    for (int i = 0; i < SETTLED; i++) {
        char id[16];
        const char *accounts[] = {"a", "b", NULL};
        (void)snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(reserve_on(l, id, 1, UINT64_MAX / 2, NULL, accounts), AICP_OK);
        cr_assert_eq(settle(l, id, 1), AICP_OK);
    }
    adjust(l, "a", -1);
    flush(l);
    cr_assert_eq(count(store, "aicp_budget_reservation"), 2 * SETTLED);
    for (int day = 0; day < 6; day++) {
        test_clock_advance(&clock, DAY_NS);
        flush(l);
    }
    cr_assert_eq(count(store, "aicp_budget_reservation"), 2 * SETTLED, "young enough to be kept");

    test_clock_advance(&clock, DAY_NS / 2);
    cr_assert_eq(reserve(l, "open", "b", 1), AICP_ERR_BUDGET_EXCEEDED, "all is spent");
    test_clock_advance(&clock, DAY_NS);
    flush(l);
    cr_assert_eq(count(store, "aicp_budget_reservation"), 2 * SETTLED - 500, "one batch");
    for (int i = 0; i < 4; i++) {
        flush(l);
    }
    cr_assert_eq(count(store, "aicp_budget_reservation"), 0);
    cr_assert_eq(query_i64(store, "SELECT sum(spent) FROM aicp_budget_window"), 2 * SETTLED - 1);
    cr_assert_eq(count(store, "aicp_budget_adjustment"), 1, "the audit stays longer");
    cr_assert_eq(
        query_i64(store, "SELECT count(*) FROM aicp_budget_event WHERE account = 'b'"),
        1,
        "of an open window");

    test_clock_advance(&clock, 400 * DAY_NS);
    flush(l);
    cr_assert_eq(count(store, "aicp_budget_adjustment"), 0);
    cr_assert_eq(query_i64(store, "SELECT count(*) FROM aicp_budget_event WHERE account = 'a'"), 0);
    cr_assert_eq(query_i64(store, "SELECT count(*) FROM aicp_budget_event WHERE account = 'b'"), 1);
    cr_assert_eq(
        query_i64(
            store,
            "SELECT count(*) FROM aicp_budget_hold WHERE amount = 0"
            " AND account = 'a' AND seq = 1"),
        0);
    aicp_ledger_free(l);
}

TEST_BOTH_STORES(pruning, leaves_what_is_pending_and_keeps_ids_as_long_as_promised) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.hold_ttl_ns = DAY_NS;
    o.default_ttl_ns = DAY_NS;
    o.keep_ns = 1; /* at least twice the TTL all the same */
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 100 * USD, NULL);
    cr_assert_eq(reserve(l, "done", "a", USD), AICP_OK);
    cr_assert_eq(settle(l, "done", USD), AICP_OK);
    cr_assert_eq(reserve(l, "sent", "a", USD), AICP_OK);
    cr_assert_eq(aicp_ledger_mark_dispatched(l, "sent", 4, -1, NULL), AICP_OK);
    for (int hours = 0; hours < 70; hours++) { /* deadline and two days */
        flush(l);
        cr_assert_eq(count(store, "aicp_budget_reservation"), 2);
        cr_assert_eq(aicp_ledger_renew(l, "sent", 4, 0, NULL), AICP_OK);
        test_clock_advance(&clock, 3600 * SECOND_NS);
    }
    test_clock_advance(&clock, 3 * 3600 * SECOND_NS);
    flush(l);
    cr_assert_eq(count(store, "aicp_budget_reservation"), 1);
    cr_assert_eq(settle(l, "sent", USD), AICP_OK);
    aicp_ledger_free(l);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window"), 2 * USD);
}
