/* Shorthand of the ledger's tests. */
#ifndef TESTS_UNIT_BUDGET_LEDGER_SUPPORT_H
#define TESTS_UNIT_BUDGET_LEDGER_SUPPORT_H

#include "unit/sql/stores.h"
#include "unit/support.h"

#include "aicp/budget.h"

#define USD INT64_C(1000000000)
#define SECOND_NS UINT64_C(1000000000)
#define DAY_NS (86400 * SECOND_NS)
/* 2026-11-22 17:30 UTC, a Sunday. */
#define NOON INT64_C(1795368600000000000)

/* A ledger that fails the test when it cannot be opened. `clock` NULL = system. */
aicp_ledger *open_ledger(const test_store *store, const aicp_ledger_options *options);
uint64_t soon(void); /* a deadline in 30 s of system time */
void put_account(aicp_ledger *l, const char *id, int64_t limit, const char *duration);
/* Reserves on up to three accounts (NULL ends). */
aicp_status reserve_on(
    aicp_ledger *l,
    const char *id,
    int64_t amount,
    uint64_t deadline,
    aicp_ledger_result *out,
    const char *const *accounts);
aicp_status reserve(aicp_ledger *l, const char *id, const char *account, int64_t amount);
aicp_status settle(aicp_ledger *l, const char *id, int64_t actual);
aicp_status release(aicp_ledger *l, const char *id);
void flush(aicp_ledger *l);
aicp_ledger_status status_of(aicp_ledger *l, const char *account);
/* One number from the store. */
int64_t query_i64(const test_store *store, const char *text);
/* In the store: holds = sum over nodes, spend = sum over reservations and adjustments. */
void check_books(const test_store *store);

#endif
