#include "unit/rate_store/nodes.h"

#include <stdlib.h>

uint64_t monotonic(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

void store_place_open(store_place *place, int kind) {
    memset(place, 0, sizeof *place);
    place->kind = kind;
    if (kind != PLACE_REDIS) {
        test_store_open(&place->sql, kind == PLACE_POSTGRESQL);
        place->url = place->sql.url;
        return;
    }
    const char *without = getenv("AICP_TEST_NO_REDIS");
    if (!redis_server_start(&place->redis, NULL)) {
        if (without && !strcmp(without, "1")) {
            cr_skip_test("no Redis, and AICP_TEST_NO_REDIS=1 allows that");
        }
        cr_assert_fail("no Redis could be started (AICP_TEST_NO_REDIS=1 skips these tests)");
    }
    place->url = place->redis.url;
}

void store_place_close(store_place *place) {
    if (place->kind == PLACE_REDIS) {
        redis_server_kill(&place->redis);
    } else {
        test_store_close(&place->sql);
    }
}

static bool open_source(node *n, const store_place *at, aicp_lease_source *source) {
    aicp_error err = {0};
    aicp_status status = AICP_OK;
    if (at->kind == PLACE_REDIS) {
        status = aicp_redis_leases_open(at->url, strlen(at->url), NULL, &n->leases, &err);
        if (status == AICP_OK) {
            aicp_redis_leases_source(n->leases, source);
        }
    } else {
        status = aicpi_rate_store_open(at->url, strlen(at->url), "n", 1, NULL, &n->store, &err);
        if (status == AICP_OK) {
            *source = aicpi_rate_store_source(n->store);
        }
    }
    if (status != AICP_OK) {
        fprintf(stderr, "%s\n", err.message);
    }
    return status == AICP_OK;
}

bool node_open(node *n, const store_place *at, const char *rules) {
    aicp_lease_source source;
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.source = &source;
    memset(n, 0, sizeof *n);
    return open_source(n, at, &source) && aicp_limiter_new(&o, &n->limiter, NULL) == AICP_OK &&
           aicp_limit_rules_parse(rules, strlen(rules), NULL, &n->rules, NULL) == AICP_OK;
}

void node_close(node *n) {
    aicp_limiter_free(n->limiter);
    aicp_limit_rules_free(n->rules);
    aicp_rate_store_free(n->store);
    aicp_redis_leases_free(n->leases);
}

aicp_status
node_take(node *n, uint64_t tokens, uint64_t ttl, aicp_limit_ticket *t, aicp_limit_result *r) {
    aicp_limit_value team = {AICP_LIMIT_TEAM, 0, "red", 3};
    aicp_limit_request q = AICP_LIMIT_REQUEST_INIT;
    q.values = &team;
    q.value_count = 1;
    q.tokens = tokens;
    q.slot_ttl_ns = ttl;
    q.deadline_ns = monotonic() + 30 * SECOND;
    return aicp_limiter_take(n->limiter, n->rules, &q, t, r, NULL);
}
