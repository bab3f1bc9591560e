#include "limit_support.h"

Test(limit_headers, say_limit_rest_and_wait) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"team \\\"rpm\\\"\",\"kind\":\"requests\",\"limit\":5,\"window\":\"1m\"}]");
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    r.rule = 0;
    r.limit = 5;
    r.retry_after_ns = 11 * SECOND + 1;
    r.reset_ns = 59 * SECOND + 1;
    aicp_limit_headers h;
    aicp_limit_headers_format(rules, &r, &h);
    cr_assert_str_eq(h.retry_after, "12");
    cr_assert_str_eq(h.ratelimit_policy, "\"team \\\"rpm\\\"\";q=5;w=60");
    cr_assert_str_eq(h.ratelimit, "\"team \\\"rpm\\\"\";r=0;t=60");
    r.allowed = 1;
    r.remaining = 3;
    aicp_limit_headers_format(rules, &r, &h);
    cr_assert_str_eq(h.retry_after, "");
    cr_assert_str_eq(h.ratelimit, "\"team \\\"rpm\\\"\";r=3;t=60");
    aicp_limit_rules_free(rules);
}

Test(limit_headers, a_block_for_good_has_no_retry_after) {
    aicp_limit_rules *rules =
        rules_of("[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":0,\"window\":1},"
                 "{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":2}]");
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    r.rule = 0;
    r.retry_after_ns = AICP_LIMIT_NEVER;
    aicp_limit_headers h;
    aicp_limit_headers_format(rules, &r, &h);
    cr_assert_str_eq(h.retry_after, "");
    r.rule = 1;
    r.kind = AICP_LIMIT_CONCURRENCY;
    r.retry_after_ns = 600 * SECOND;
    aicp_limit_headers_format(rules, &r, &h);
    cr_assert_str_eq(h.retry_after, "1");
    cr_assert_str_eq(h.ratelimit_policy, "\"c\";q=2");
    cr_assert_str_eq(h.ratelimit, "\"c\";r=0");
    r.rule = -1;
    aicp_limit_headers_format(rules, &r, &h);
    cr_assert_str_eq(h.ratelimit, "");
    aicp_limit_rules_free(rules);
}
