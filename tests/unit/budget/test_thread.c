/* What the background thread and the looks at the store do, and what they leave undone. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <time.h>

static bool sent_within(aicp_ledger *l, uint64_t seconds) {
    uint64_t end = soon() + seconds * SECOND_NS;
    aicp_ledger_metrics m = AICP_LEDGER_METRICS_INIT;
    do {
        struct timespec t = {0, 1000000};
        (void)nanosleep(&t, NULL);
        aicp_ledger_metrics_get(l, &m);
    } while (m.unsent > 0 && soon() < end);
    return m.unsent == 0;
}

/* Looking often must not put off what is sent seldom. */
TEST_ALL_STORES(thread, sends_settlements_also_when_it_looks_more_often_than_it_sends) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.background = 1;
    o.refresh_ns = SECOND_NS / 200;
    o.flush_ns = SECOND_NS / 20;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 100 * USD, NULL);
    for (int i = 0; i < 3; i++) {
        char id[2] = {(char)('1' + i), '\0'};
        cr_assert_eq(reserve(l, id, "a", USD), AICP_OK);
        cr_assert_eq(settle(l, id, USD), AICP_OK);
        cr_assert(sent_within(l, 8), "the pass that renews the node comes only after 10 s");
    }
    aicp_ledger_free(l);
    check_books(store);
}

TEST_ALL_STORES(thread, a_full_batch_does_not_wait_for_its_time) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.background = 1;
    o.refresh_ns = 3600 * SECOND_NS;
    o.flush_ns = 3600 * SECOND_NS;
    o.batch = 2;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 100 * USD, NULL);
    for (int i = 0; i < 2; i++) {
        char id[2] = {(char)('1' + i), '\0'};
        cr_assert_eq(reserve(l, id, "a", USD), AICP_OK);
    }
    cr_assert_eq(settle(l, "1", USD), AICP_OK);
    cr_assert_eq(settle(l, "2", USD), AICP_OK);
    cr_assert(sent_within(l, 30));
    aicp_ledger_free(l);
}

/* A look at the store that finds nothing new opens no transaction. */
TEST_BOTH_STORES(thread, a_look_without_news_writes_nothing) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.idle_ns = DAY_NS;
    o.hold_ttl_ns = DAY_NS;
    aicp_ledger *l = open_ledger(store, &o);
    put_account(l, "a", 10000 * USD, NULL);
    cr_assert_eq(reserve(l, "first", "a", 1), AICP_OK);
    flush(l);
    aicp_ledger_metrics before = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics after = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics_get(l, &before);
    for (int i = 0; i < 9; i++) {
        char id[2] = {(char)('1' + i), '\0'};
        test_clock_advance(&clock, SECOND_NS);
        cr_assert_eq(reserve(l, id, "a", 1), AICP_OK);
        cr_assert_eq(release(l, id), AICP_OK);
    }
    aicp_ledger_metrics_get(l, &after);
    cr_assert_eq(after.transactions, before.transactions);
    aicp_ledger *other = open_ledger(store, &o);
    put_account(other, "a", 5 * USD, NULL);
    test_clock_advance(&clock, SECOND_NS);
    cr_assert_eq(reserve(l, "news", "a", 6 * USD), AICP_ERR_BUDGET_EXCEEDED, "news are seen");
    aicp_ledger_free(other);
    aicp_ledger_free(l);
}
