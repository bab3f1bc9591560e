/* Rule lists; what is accepted is used for a few takes. */
#include "aicp/ratelimit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const aicp_limit_rules *rules) {
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.shards = 1;
    o.max_keys = 16;
    aicp_limiter *limiter = NULL;
    if (aicp_limiter_new(&o, &limiter, NULL) != AICP_OK) {
        return;
    }
    static const char *const TEXTS[] = {"a", "red", "gpt-5"};
    for (uint64_t i = 0; i < 12; i++) {
        aicp_limit_value values[AICP_LIMIT_DIMENSIONS];
        for (int32_t d = 0; d < AICP_LIMIT_DIMENSIONS; d++) {
            const char *text = TEXTS[(i + (uint64_t)d) % 3];
            values[d] = (aicp_limit_value){d, 0, text, strlen(text)};
        }
        aicp_limit_request q = AICP_LIMIT_REQUEST_INIT;
        q.values = values;
        q.value_count = AICP_LIMIT_DIMENSIONS;
        q.tokens = i * i + 1;
        q.now_ns = 1 + i * 300000000;
        aicp_limit_ticket t;
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        aicp_status status = aicp_limiter_take(limiter, rules, &q, &t, &r, NULL);
        if ((status == AICP_OK) != (r.allowed != 0)) {
            abort();
        }
        aicp_limit_headers headers;
        aicp_limit_headers_format(rules, &r, &headers);
        if (i % 3 == 0) {
            aicp_limiter_settle(limiter, &t, i * 100, q.now_ns);
        } else if (i % 3 == 1) {
            aicp_limiter_cancel(limiter, &t, q.now_ns);
        }
    }
    aicp_limiter_free(limiter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_limit_rules *rules = NULL;
    aicp_error err;
    aicp_error_clear(&err);
    aicp_status status = aicp_limit_rules_parse((const char *)data, size, NULL, &rules, &err);
    if (status == AICP_OK) {
        use(rules);
    } else if (err.code != status || err.message[0] == '\0') {
        abort();
    }
    aicp_limit_rules_free(rules);
    return 0;
}
