#include "limit_support.h"

#include "unit/support.h"

static aicp_status parse_error(const char *json, aicp_error *err) {
    aicp_limit_rules *rules = (aicp_limit_rules *)1;
    aicp_error_clear(err);
    aicp_status status = aicp_limit_rules_parse(json, strlen(json), NULL, &rules, err);
    cr_assert_null(rules);
    cr_assert_neq(status, AICP_OK, "%s", json);
    return status;
}

static void append(char *text, size_t size, const char *more) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", more);
}

Test(limit_rules, read_all_keys) {
    aicp_limit_rules *rules =
        rules_of("[{\"id\":\"team-rpm\",\"name\":\"Red team\",\"kind\":\"requests\",\"limit\":5,"
                 "\"window\":\"1m\",\"burst_multiplier\":1.5,\"algorithm\":\"gcra\",\"per\":["
                 "\"team\",\"global\"],"
                 "\"match\":{\"team\":[\"red\",\"blue-*\"],\"model\":[\"*\"]},\"shared\":true,"
                 "\"exact\":true,"
                 "\"on_store_failure\":\"deny\",\"on_overflow\":\"allow\",\"description\":\"x\"},"
                 "{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":2,\"algorithm\":\"slots\"},"
                 "{\"id\":\"u\",\"kind\":\"tokens\",\"limit\":-1,\"window\":90}]");
    cr_assert_eq(aicp_limit_rules_count(rules), 3);
    cr_assert_str_eq(aicp_limit_rules_id(rules, 0), "team-rpm");
    cr_assert_null(aicp_limit_rules_id(rules, 3));
    cr_assert_str_eq(aicp_limit_rules_name(rules, 0), "Red team");
    cr_assert_str_eq(aicp_limit_rules_name(rules, 1), "c", "without a name its id");
    cr_assert_null(aicp_limit_rules_name(rules, 3));
    aicp_limit_rule_info info = {.size = sizeof info};
    cr_assert_eq(aicp_limit_rules_get(rules, 0, &info, NULL), AICP_OK);
    cr_assert_eq(info.limit, 5);
    cr_assert_eq(info.burst, 7);
    cr_assert_eq(info.window_ns, MINUTE);
    cr_assert(info.shared && info.exact);
    cr_assert_eq(aicp_limit_rules_get(rules, 1, &info, NULL), AICP_OK);
    cr_assert_eq(info.algorithm, AICP_LIMIT_SLOTS);
    cr_assert_eq(aicp_limit_rules_get(rules, 2, &info, NULL), AICP_OK);
    cr_assert_eq(info.limit, -1);
    cr_assert_eq(info.window_ns, 90 * SECOND);
    cr_assert_eq(aicp_limit_rules_get(rules, 3, &info, NULL), AICP_ERR_NOT_FOUND);
    aicp_limit_rules_free(aicp_limit_rules_ref(rules));
    aicp_limit_rules_free(rules);
}

Test(limit_rules, errors_name_the_place) {
    aicp_error err;
    parse_error("[\n  {\"id\":\"a\", \"kind\":\"requests\", \"limt\": 5}]", &err);
    cr_assert_eq(err.line, 2);
    cr_assert_gt(err.column, 30);
    cr_assert(strstr(err.message, "limt"));
    parse_error("[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5}]", &err);
    cr_assert(strstr(err.message, "window"));
}

Test(limit_rules, bad_values_are_refused) {
    static const char *const BAD[] = {
        "{}",
        "[{}]",
        "[{\"id\":\"\",\"kind\":\"requests\",\"limit\":5,\"window\":1}]",
        "[{\"id\":\"\xC3\xA4\",\"kind\":\"requests\",\"limit\":5,\"window\":1}]",
        "[{\"id\":\"a\",\"kind\":\"request\",\"limit\":5,\"window\":1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":-2,\"window\":1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":1.5,\"window\":1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":1000000000000001,\"window\":1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":0}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":-1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":\"1x\"}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":\"1d12h\"}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":\"367d\"}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"burst_multiplier\":0.1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"burst_multiplier\":-1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"algorithm\":\"slots\"}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"per\":[\"planet\"]}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"match\":{\"team\":[]}}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"match\":{\"x\":[\"y\"]}}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"match\":{\"team\":[\"*x\"]"
        "}}]",
        "[{\"id\":\"a\",\"kind\":\"concurrency\",\"limit\":5,\"window\":1}]",
        "[{\"id\":\"a\",\"kind\":\"concurrency\",\"limit\":5,\"algorithm\":\"gcra\"}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1},"
        "{\"id\":\"a\",\"kind\":\"tokens\",\"limit\":5,\"window\":1}]",
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":5,\"window\":1,\"algorithm\":"
        "\"fixed_window\",\"burst_multiplier\":2}]",
        "[",
        "",
    };
    aicp_error err;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        parse_error(BAD[i], &err);
        cr_assert_gt(err.line, 0, "%s: %s", BAD[i], err.message);
    }
}

static aicp_status take(aicp_limiter *l, aicp_limit_rules *rules, const aicp_limit_request *q) {
    return aicp_limiter_take(l, rules, q, NULL, NULL, NULL);
}

Test(limit_rules, a_rule_applies_to_what_it_matches) {
    aicp_limit_rules *rules =
        rules_of("[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":0,\"window\":1,"
                 "\"match\":{\"team\":[\"red\",\"blue-*\"],\"model\":[\"gpt-*\"]}}]");
    aicp_limiter *l = limiter_of(NULL);
    asker a;
    ask(&a, "red", NULL, START);
    cr_assert_eq(take(l, rules, &a.request), AICP_OK, "no model");
    add(&a, AICP_LIMIT_MODEL, "gpt-5");
    cr_assert_eq(take(l, rules, &a.request), AICP_ERR_RATE_LIMITED);
    ask(&a, "blue-sky", NULL, START);
    add(&a, AICP_LIMIT_MODEL, "gpt-");
    cr_assert_eq(take(l, rules, &a.request), AICP_ERR_RATE_LIMITED);
    ask(&a, "Red", NULL, START);
    add(&a, AICP_LIMIT_MODEL, "gpt-5");
    cr_assert_eq(take(l, rules, &a.request), AICP_OK, "bytes are case-sensitive");
    ask(&a, "reddish", NULL, START);
    add(&a, AICP_LIMIT_MODEL, "gpt-5");
    cr_assert_eq(take(l, rules, &a.request), AICP_OK, "an exact name is no prefix");
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

/* The index of long lists must find the same rules as the scan of short ones. */
Test(limit_rules, long_lists_match_like_short_ones) {
    char json[64 * 1024] = "[";
    for (int i = 0; i < 200; i++) {
        char rule[256];
        snprintf(
            rule,
            sizeof rule,
            "%s{\"id\":\"r%d\",\"kind\":\"requests\",\"limit\":%d,\"window\":60,"
            "\"match\":{\"%s\":[\"x%d\",\"y%d\"]%s}}",
            i ? "," : "",
            i,
            i + 1,
            i % 3 == 0   ? "team"
            : i % 3 == 1 ? "key"
                         : "tag",
            i,
            i,
            i % 5 == 0 ? ",\"model\":[\"m*\"]" : "");
        append(json, sizeof json, rule);
    }
    append(
        json, sizeof json, ",{\"id\":\"all\",\"kind\":\"requests\",\"limit\":1000,\"window\":60}]");
    aicp_limit_rules *rules = rules_of(json);
    aicp_limiter *l = limiter_of(NULL);
    for (int i = 0; i < 200; i++) {
        char value[16];
        snprintf(value, sizeof value, "%c%d", i % 2 ? 'x' : 'y', i);
        asker a;
        ask(&a, NULL, NULL, START);
        add(&a, i % 3 == 0 ? AICP_LIMIT_TEAM : i % 3 == 1 ? AICP_LIMIT_KEY : AICP_LIMIT_TAG, value);
        aicp_limit_state states[4];
        size_t count = 0;
        cr_assert_eq(aicp_limiter_peek(l, rules, &a.request, states, 4, &count, NULL), AICP_OK);
        cr_assert_eq(count, i % 5 == 0 ? 1 : 2, "rule %d", i);
        if (i % 5 == 0) {
            add(&a, AICP_LIMIT_MODEL, "m5");
            cr_assert_eq(aicp_limiter_peek(l, rules, &a.request, states, 4, &count, NULL), AICP_OK);
            cr_assert_eq(count, 2, "rule %d with its model", i);
        }
        cr_assert(states[0].rule == i || states[1].rule == i);
    }
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

static bool parse_body(void *user, const aicp_allocator *a) {
    aicp_limit_rules_options o = AICP_LIMIT_RULES_OPTIONS_INIT;
    o.allocator = a;
    aicp_limit_rules *rules = NULL;
    const char *json = user;
    aicp_status status = aicp_limit_rules_parse(json, strlen(json), &o, &rules, NULL);
    aicp_limit_rules_free(rules);
    return status == AICP_OK || status == AICP_ERR_NOMEM;
}

Test(limit_rules, survive_every_failing_allocation) {
    char json[16 * 1024] = "[";
    for (int i = 0; i < 40; i++) {
        char rule[200];
        snprintf(
            rule,
            sizeof rule,
            "%s{\"id\":\"r%d\",\"kind\":\"requests\",\"limit\":5,\"window\":1,"
            "\"match\":{\"team\":[\"t%d\"]}}",
            i ? "," : "",
            i,
            i);
        append(json, sizeof json, rule);
    }
    append(json, sizeof json, "]");
    cr_assert_gt(test_every_allocation_failing(parse_body, json), 3);
}
