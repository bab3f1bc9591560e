/* Short forms for the limiter's tests. */
#ifndef TESTS_UNIT_RATELIMIT_SUPPORT_H
#define TESTS_UNIT_RATELIMIT_SUPPORT_H

#include "aicp/ratelimit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define START (1000 * SECOND)

static inline aicp_limit_rules *rules_of(const char *json) {
    aicp_limit_rules *rules = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_limit_rules_parse(json, strlen(json), NULL, &rules, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    return rules;
}

static inline aicp_limiter *limiter_of(const aicp_limiter_options *options) {
    aicp_limiter *limiter = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_limiter_new(options, &limiter, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    return limiter;
}

/* A request of one team (and, when given, one key). */
typedef struct asker {
    aicp_limit_value values[4];
    aicp_limit_request request;
} asker;

static inline aicp_limit_request *ask(asker *a, const char *team, const char *key, uint64_t now) {
    memset(a, 0, sizeof *a);
    a->request = (aicp_limit_request)AICP_LIMIT_REQUEST_INIT;
    a->request.values = a->values;
    a->request.now_ns = now;
    a->request.tokens = 1;
    if (team) {
        a->values[a->request.value_count++] =
            (aicp_limit_value){AICP_LIMIT_TEAM, 0, team, strlen(team)};
    }
    if (key) {
        a->values[a->request.value_count++] =
            (aicp_limit_value){AICP_LIMIT_KEY, 0, key, strlen(key)};
    }
    return &a->request;
}

static inline void add(asker *a, int32_t dimension, const char *text) {
    a->values[a->request.value_count++] = (aicp_limit_value){dimension, 0, text, strlen(text)};
}

#endif
