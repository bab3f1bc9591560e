/* Every allocation of the limiter fails in turn: nothing leaks, and a take that could not be
 * counted charges nothing. */
#include "unit/support.h"

#include "aicp/ratelimit.h"

#include <criterion/criterion.h>
#include <string.h>

static const char rules_json[] =
    "[{\"id\":\"rpm\",\"kind\":\"requests\",\"limit\":5,\"window\":\"1m\",\"per\":[\"team\"]},"
    "{\"id\":\"tpm\",\"kind\":\"tokens\",\"limit\":1000,\"window\":\"1m\",\"per\":[\"team\","
    "\"model\"],"
    "\"match\":{\"model\":[\"gpt-*\",\"claude\"],\"team\":[\"red\"]}},"
    "{\"id\":\"slots\",\"kind\":\"concurrency\",\"limit\":2,\"per\":[\"user\"]}]";

static bool parse_rules(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_limit_rules_options options = AICP_LIMIT_RULES_OPTIONS_INIT;
    options.allocator = a;
    aicp_limit_rules *rules = NULL;
    aicp_error err;
    aicp_status status =
        aicp_limit_rules_parse(rules_json, sizeof rules_json - 1, &options, &rules, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && rules == NULL;
    }
    bool ok = aicp_limit_rules_count(rules) == 3;
    aicp_limit_rules_free(rules);
    return ok;
}

Test(nomem, rules_parse_whole_or_not_at_all) {
    cr_assert_gt(test_every_allocation_failing(parse_rules, NULL), 2);
}

/* Takes that fail for want of memory must not count: later takes see the whole limit. */
static bool take(void *user, const aicp_allocator *a) {
    const aicp_limit_rules *rules = user;
    const aicp_limit_value values[] = {
        {AICP_LIMIT_TEAM, 0, "red", 3},
        {AICP_LIMIT_MODEL, 0, "gpt-5", 5},
        {AICP_LIMIT_USER, 0, "alice", 5},
    };
    aicp_limiter_options options = AICP_LIMITER_OPTIONS_INIT;
    options.allocator = a;
    options.shards = 1;
    options.max_keys = 16;
    aicp_limiter *limiter = NULL;
    aicp_error err;
    aicp_status status = aicp_limiter_new(&options, &limiter, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && limiter == NULL;
    }
    bool ok = true;
    int allowed = 0;
    for (int i = 0; i < 9; i++) {
        aicp_limit_request request = AICP_LIMIT_REQUEST_INIT;
        aicp_limit_ticket ticket;
        aicp_limit_result result = AICP_LIMIT_RESULT_INIT;
        request.values = values;
        request.value_count = 3;
        request.tokens = 10;
        request.now_ns = 1000;
        status = aicp_limiter_take(limiter, rules, &request, &ticket, &result, &err);
        allowed += status == AICP_OK;
        ok = ok &&
             (status == AICP_OK || status == AICP_ERR_RATE_LIMITED || status == AICP_ERR_NOMEM);
        aicp_limiter_settle(limiter, &ticket, 10, 1000);
    }
    aicp_limiter_free(limiter);
    return ok && allowed == 5;
}

Test(nomem, take_charges_all_keys_or_none) {
    aicp_limit_rules *rules = NULL;
    cr_assert_eq(
        aicp_limit_rules_parse(rules_json, sizeof rules_json - 1, NULL, &rules, NULL), AICP_OK);
    cr_assert_gt(test_every_allocation_failing(take, rules), 1);
    aicp_limit_rules_free(rules);
}
