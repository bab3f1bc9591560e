/* What the ledger does with memory: nothing on the warm path, and no harm when there is none. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(memory, reserving_and_settling_allocate_nothing_once_warm) {
    test_store store;
    test_store_open(&store, false);
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.allocator = &a;
    o.remember = 16;
    aicp_ledger *l = open_ledger(&store, &o);
    put_account(l, "key", 1000000 * USD, "1d");
    put_account(l, "team", 1000000 * USD, "1mo");
    const char *accounts[] = {"key", "team", NULL};
    char id[32];
    size_t before = 0;
    for (int round = 0; round < 3; round++) {
        before = heap.allocations;
        for (int i = 0; i < 200; i++) {
            (void)snprintf(id, sizeof id, "%d-%d", round, i);
            cr_assert_eq(reserve_on(l, id, 1000, soon(), NULL, accounts), AICP_OK);
            cr_assert_eq(aicp_ledger_mark_dispatched(l, id, strlen(id), 500, NULL), AICP_OK);
            cr_assert_eq(settle(l, id, 700), AICP_OK);
        }
        flush(l);
    }
    cr_assert_eq(heap.allocations, before, "%zu allocations", heap.allocations - before);
    aicp_ledger_free(l);
    cr_assert_eq(heap.live, 0);
    test_store_close(&store);
}

typedef struct life {
    const char *url;
} life;

/* All calls once; each may run out of memory, none may do anything else. */
static bool live_a_life(void *user, const aicp_allocator *a) {
    const life *k = user;
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    aicp_ledger *l = NULL;
    o.allocator = a;
    aicp_status s = aicp_ledger_open(k->url, strlen(k->url), &o, &l, NULL);
    if (s != AICP_OK) {
        return s == AICP_ERR_NOMEM && !l;
    }
    aicp_ledger_account account = AICP_LEDGER_ACCOUNT_INIT;
    const int32_t percent = 50;
    account.limit_nano = 100 * USD;
    account.duration = "1d";
    account.duration_len = 2;
    account.soft_percent = &percent;
    account.soft_percent_count = 1;
    s = aicp_ledger_account_put(l, "a", 1, &account, 0, NULL);
    bool ok = s == AICP_OK || s == AICP_ERR_NOMEM;
    s = reserve(l, "1", "a", USD);
    ok = ok && (s == AICP_OK || s == AICP_ERR_NOMEM || s == AICP_ERR_NOT_FOUND);
    if (s == AICP_OK) {
        ok = ok && settle(l, "1", 60 * USD) == AICP_OK;
    }
    aicp_ledger_text name = {"a", 1};
    aicp_ledger_settlement late = AICP_LEDGER_SETTLEMENT_INIT;
    late.accounts = &name;
    late.accounts_count = 1;
    s = aicp_ledger_settle(l, "lost", 4, 1, &late, NULL);
    ok = ok && (s == AICP_OK || s == AICP_ERR_NOMEM);
    s = aicp_ledger_flush(l, 0, NULL);
    ok = ok && (s == AICP_OK || s == AICP_ERR_NOMEM);
    aicp_ledger_free(l);
    return ok;
}

Test(memory, every_failing_allocation_is_survived, .timeout = 300) {
    life k = {"sqlite::memory:"};
    cr_assert_gt(test_every_allocation_failing(live_a_life, &k), 30);
}
