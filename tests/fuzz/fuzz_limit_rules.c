/* Rule lists of the limiter: any bytes are read or refused with a place, and what was read can be
 * asked. A take that is denied leaves nothing behind: the same take at the same time is denied
 * again with the same wait. */
#include "aicp/ratelimit.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_twice(aicp_limiter *limiter, const aicp_limit_rules *rules) {
    const aicp_limit_value values[] = {
        {AICP_LIMIT_ORG, 0, "o", 1},
        {AICP_LIMIT_TEAM, 0, "red", 3},
        {AICP_LIMIT_KEY, 0, "k1", 2},
        {AICP_LIMIT_MODEL, 0, "gpt-5", 5},
        {AICP_LIMIT_TAG, 0, "a", 1},
        {AICP_LIMIT_TAG, 0, "b", 1},
    };
    aicp_limit_request request = AICP_LIMIT_REQUEST_INIT;
    request.values = values;
    request.value_count = sizeof values / sizeof *values;
    request.tokens = 100;
    request.now_ns = UINT64_C(1000000000000);
    for (int i = 0; i < 3; i++) {
        aicp_limit_result first = AICP_LIMIT_RESULT_INIT;
        aicp_limit_result second = AICP_LIMIT_RESULT_INIT;
        aicp_limit_ticket ticket;
        aicp_status status = aicp_limiter_take(limiter, rules, &request, &ticket, &first, NULL);
        if (status == AICP_ERR_RATE_LIMITED) {
            status = aicp_limiter_take(limiter, rules, &request, &ticket, &second, NULL);
            if (status != AICP_ERR_RATE_LIMITED || first.retry_after_ns != second.retry_after_ns) {
                abort();
            }
        }
        aicp_limit_headers headers;
        aicp_limit_headers_format(rules, &first, &headers);
        aicp_limiter_settle(limiter, &ticket, 50, request.now_ns);
        request.now_ns += UINT64_C(1000000000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_limit_rules *rules = NULL;
    aicp_error err;
    aicp_status status = aicp_limit_rules_parse((const char *)data, size, NULL, &rules, &err);
    if (status != AICP_OK) {
        if (rules || err.offset > size || err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    aicp_limiter_options options = AICP_LIMITER_OPTIONS_INIT;
    aicp_limiter *limiter = NULL;
    options.shards = 1;
    options.max_keys = 64;
    if (aicp_limiter_new(&options, &limiter, &err) != AICP_OK) {
        abort();
    }
    take_twice(limiter, rules);
    aicp_limiter_free(limiter);
    aicp_limit_rules_free(rules);
    return 0;
}
