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

/* A server in front of a store, as a control plane is one. While it runs, open_ledger() and workers
 * go through it; query_i64() and check_books() look at the store itself. */
typedef struct http_store http_store;
http_store *http_store_start(const test_store *store);
void http_store_stop(http_store *h);
/* The next `count` requests are done, but their answers get lost. */
void http_store_lose_answers(http_store *h, int count);
/* While away, requests get 503. */
void http_store_set_away(http_store *h, bool away);
#define HTTP_STORE_KEY "the service key of these tests, 32+"

/* The same body over both engines, and over one behind a server. */
#define TEST_ALL_STORES(suite, name)                                                               \
    static void suite##_##name(test_store *store);                                                 \
    Test(suite, name##_over_http, .timeout = 300) {                                                \
        test_store store;                                                                          \
        test_store_open(&store, false);                                                            \
        http_store *server = http_store_start(&store);                                             \
        suite##_##name(&store);                                                                    \
        http_store_stop(server);                                                                   \
        test_store_close(&store);                                                                  \
    }                                                                                              \
    TEST_BOTH_STORES(suite, name)

/* The URL that ledgers of the store are opened with. */
const char *ledger_url(const test_store *store);
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
