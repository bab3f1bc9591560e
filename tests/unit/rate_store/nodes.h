/* Nodes over each store that processes can share limits through. */
#ifndef TESTS_UNIT_RATE_STORE_NODES_H
#define TESTS_UNIT_RATE_STORE_NODES_H

#include "lib/gate/rate_store.h"

#include "unit/rate_store/redis_server.h"
#include "unit/sql/stores.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

enum { PLACE_SQLITE, PLACE_POSTGRESQL, PLACE_REDIS };

typedef struct store_place {
    int kind;
    const char *url;
    test_store sql;
    redis_server redis;
} store_place;

void store_place_open(store_place *place, int kind);
void store_place_close(store_place *place);

/* One process as a node: store, limiter, rules. Plain checks, as it also runs in forked children.
 */
typedef struct node {
    aicp_rate_store *store;
    aicp_redis_leases *leases;
    aicp_limiter *limiter;
    aicp_limit_rules *rules;
} node;

bool node_open(node *n, const store_place *at, const char *rules);
void node_close(node *n);
aicp_status
node_take(node *n, uint64_t tokens, uint64_t ttl, aicp_limit_ticket *t, aicp_limit_result *r);
uint64_t monotonic(void);

#define TEST_ON_STORE(suite, name, where, kind)                                                    \
    Test(suite, name##_on_##where, .timeout = 300) {                                               \
        store_place place;                                                                         \
        store_place_open(&place, kind);                                                            \
        suite##_##name(&place);                                                                    \
        store_place_close(&place);                                                                 \
    }

/* The same body over each of them. */
#define TEST_EACH_STORE(suite, name)                                                               \
    static void suite##_##name(store_place *store);                                                \
    TEST_ON_STORE(suite, name, sqlite, PLACE_SQLITE)                                               \
    TEST_ON_STORE(suite, name, postgresql, PLACE_POSTGRESQL)                                       \
    TEST_ON_STORE(suite, name, redis, PLACE_REDIS)                                                 \
    static void suite##_##name(store_place *store)

#endif
