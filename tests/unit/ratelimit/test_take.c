#include "limit_support.h"

#include "unit/support.h"

static const char RPM[] =
    "[{\"id\":\"rpm\",\"kind\":\"requests\",\"limit\":5,\"window\":\"1m\",\"per\":[\"team\"]}]";

static aicp_status take_at(
    aicp_limiter *l,
    aicp_limit_rules *rules,
    const char *team,
    uint64_t now,
    aicp_limit_result *r) {
    asker a;
    return aicp_limiter_take(l, rules, ask(&a, team, NULL, now), NULL, r, NULL);
}

Test(limit_take, the_sixth_of_five_waits_exactly_as_told) {
    aicp_limit_rules *rules = rules_of(RPM);
    aicp_limiter *l = limiter_of(NULL);
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    for (uint64_t i = 0; i < 5; i++) {
        cr_assert_eq(take_at(l, rules, "red", START, &r), AICP_OK);
        cr_assert(r.allowed);
        cr_assert_eq(r.remaining, 4 - i);
        cr_assert_eq(r.reset_ns, (i + 1) * 12 * SECOND);
    }
    aicp_error err = {0};
    asker a;
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, "red", NULL, START), NULL, &r, &err),
        AICP_ERR_RATE_LIMITED);
    cr_assert(strstr(err.message, "rpm"));
    cr_assert(!r.allowed);
    cr_assert_eq(r.rule, 0);
    cr_assert_eq(r.limit, 5);
    cr_assert_eq(r.remaining, 0);
    cr_assert_eq(r.retry_after_ns, 12 * SECOND);
    cr_assert_eq(take_at(l, rules, "blue", START, &r), AICP_OK, "another team has its own key");
    cr_assert_eq(take_at(l, rules, "red", START + 12 * SECOND - 1, &r), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.retry_after_ns, 1);
    cr_assert_eq(take_at(l, rules, "red", START + 12 * SECOND, &r), AICP_OK);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

/* 60 s / 7 is no whole number of nanoseconds: rounding would lose the seventh. */
Test(limit_take, the_whole_burst_passes_whatever_the_limit) {
    for (int limit = 1; limit <= 2000; limit += limit < 50 ? 1 : 97) {
        char json[160];
        snprintf(
            json,
            sizeof json,
            "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":%d,\"window\":60}]",
            limit);
        aicp_limit_rules *rules = rules_of(json);
        aicp_limiter *l = limiter_of(NULL);
        int passed = 0;
        while (passed <= limit && take_at(l, rules, "t", START, NULL) == AICP_OK) {
            passed++;
        }
        cr_assert_eq(passed, limit);
        aicp_limiter_free(l);
        aicp_limit_rules_free(rules);
    }
}

Test(limit_take, keys_do_not_run_into_each_other) {
    aicp_limit_rules *rules = rules_of("[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":1,"
                                       "\"window\":60,\"per\":[\"team\",\"key\"]}]");
    aicp_limiter *l = limiter_of(NULL);
    asker a;
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, "a:b", "c", START), NULL, NULL, NULL), AICP_OK);
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, "a", "b:c", START), NULL, NULL, NULL), AICP_OK);
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, "a:b", "c", START), NULL, NULL, NULL),
        AICP_ERR_RATE_LIMITED);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, a_rule_needs_every_dimension_of_its_key) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":0,\"window\":60,\"per\":[\"end_user\"]}]");
    aicp_limiter *l = limiter_of(NULL);
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert_eq(take_at(l, rules, "red", START, &r), AICP_OK);
    cr_assert_eq(r.rule, -1);
    asker a;
    ask(&a, "red", NULL, START);
    add(&a, AICP_LIMIT_END_USER, "eve");
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.retry_after_ns, AICP_LIMIT_NEVER, "limit 0 blocks for good");
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, a_tag_rule_charges_each_tag_once) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":2,\"window\":60,\"per\":[\"tag\"]}]");
    aicp_limiter *l = limiter_of(NULL);
    asker a;
    ask(&a, NULL, NULL, START);
    add(&a, AICP_LIMIT_TAG, "x");
    add(&a, AICP_LIMIT_TAG, "y");
    add(&a, AICP_LIMIT_TAG, "x");
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, NULL, NULL), AICP_OK);
    aicp_limit_state states[4];
    size_t count = 0;
    cr_assert_eq(aicp_limiter_peek(l, rules, &a.request, states, 4, &count, NULL), AICP_OK);
    cr_assert_eq(count, 2);
    cr_assert_eq(states[0].remaining, 1);
    cr_assert_eq(states[1].remaining, 1);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

static const char ALL_KINDS[] =
    "[{\"id\":\"tpm\",\"kind\":\"tokens\",\"limit\":100,\"window\":60,\"per\":[\"team\"]},"
    "{\"id\":\"rpm\",\"kind\":\"requests\",\"limit\":10,\"window\":60,\"per\":[\"team\"]},"
    "{\"id\":\"par\",\"kind\":\"concurrency\",\"limit\":2,\"per\":[\"key\"]}]";

static void
expect_left(aicp_limiter *l, aicp_limit_rules *rules, uint64_t now, const uint64_t left[3]) {
    asker a;
    aicp_limit_state states[4];
    size_t count = 0;
    ask(&a, "red", "k", now);
    cr_assert_eq(aicp_limiter_peek(l, rules, &a.request, states, 4, &count, NULL), AICP_OK);
    cr_assert_eq(count, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(
            states[i].remaining,
            left[states[i].rule],
            "rule %d has %lu",
            states[i].rule,
            (unsigned long)states[i].remaining);
    }
}

Test(limit_take, a_denial_leaves_no_trace) {
    aicp_limit_rules *rules = rules_of(ALL_KINDS);
    aicp_limiter *l = limiter_of(NULL);
    asker a;
    aicp_limit_ticket t1;
    aicp_limit_ticket t2;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    ask(&a, "red", "k", START)->tokens = 60;
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, &t1, &r, NULL), AICP_OK);
    cr_assert_eq(r.kind, AICP_LIMIT_TOKENS, "40 of 100 is the least share");
    expect_left(l, rules, START, (uint64_t[]){40, 9, 1});
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, &t2, &r, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.rule, 0);
    cr_assert_eq(r.retry_after_ns, 12 * SECOND);
    expect_left(l, rules, START, (uint64_t[]){40, 9, 1});
    aicp_limiter_settle(l, &t2, 1000, START);
    expect_left(l, rules, START, (uint64_t[]){40, 9, 1});
    a.request.tokens = 1;
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, &t2, &r, NULL), AICP_OK);
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.kind, AICP_LIMIT_CONCURRENCY);
    expect_left(l, rules, START, (uint64_t[]){39, 8, 0});
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, more_than_the_burst_can_never_pass) {
    aicp_limit_rules *rules = rules_of(ALL_KINDS);
    aicp_limiter *l = limiter_of(NULL);
    asker a;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    ask(&a, "red", "k", START)->tokens = 101;
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL), AICP_ERR_TOO_LARGE);
    cr_assert_eq(r.rule, 0);
    a.request.tokens = UINT64_MAX;
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL), AICP_ERR_TOO_LARGE);
    a.request.tokens = 0;
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL), AICP_ERR_INVALID);
    expect_left(l, rules, START, (uint64_t[]){100, 10, 2});
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, a_clock_that_goes_back_admits_nothing) {
    aicp_limit_rules *rules = rules_of(RPM);
    aicp_limiter *l = limiter_of(NULL);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(take_at(l, rules, "red", START, NULL), AICP_OK);
    }
    cr_assert_eq(take_at(l, rules, "red", 1, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(take_at(l, rules, "red", START + 11 * SECOND, NULL), AICP_ERR_RATE_LIMITED);
    aicp_limiter_stats stats = {.size = sizeof stats};
    cr_assert_eq(aicp_limiter_stats_get(l, &stats, NULL), AICP_OK);
    cr_assert_eq(stats.clock_back, 1);
    cr_assert_eq(stats.allowed, 5);
    cr_assert_eq(stats.denied, 2);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, a_changed_rule_keeps_what_was_used) {
    aicp_limit_rules *five = rules_of(RPM);
    aicp_limit_rules *ten = rules_of("[{\"id\":\"rpm\",\"kind\":\"requests\",\"limit\":10,"
                                     "\"window\":\"2m\",\"per\":[\"team\"]}]");
    aicp_limit_rules *two = rules_of("[{\"id\":\"rpm\",\"kind\":\"requests\",\"limit\":2,"
                                     "\"window\":\"1m\",\"per\":[\"team\"]}]");
    aicp_limiter *l = limiter_of(NULL);
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(take_at(l, five, "red", START, NULL), AICP_OK);
    }
    cr_assert_eq(take_at(l, ten, "red", START, &r), AICP_OK);
    cr_assert_eq(r.remaining, 5, "five of ten are used");
    cr_assert_eq(take_at(l, two, "red", START, &r), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.retry_after_ns, 30 * SECOND, "never more than full");
    aicp_limiter_free(l);
    aicp_limit_rules_free(five);
    aicp_limit_rules_free(ten);
    aicp_limit_rules_free(two);
}

Test(limit_take, fixed_window_counts_from_the_first_use) {
    aicp_limit_rules *rules =
        rules_of("[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":2,\"window\":60,"
                 "\"algorithm\":\"fixed_window\"}]");
    aicp_limiter *l = limiter_of(NULL);
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert_eq(take_at(l, rules, "t", START, &r), AICP_OK);
    cr_assert_eq(take_at(l, rules, "t", START + 50 * SECOND, &r), AICP_OK);
    cr_assert_eq(take_at(l, rules, "t", START + 50 * SECOND, &r), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.retry_after_ns, 10 * SECOND);
    cr_assert_eq(take_at(l, rules, "t", START + MINUTE - 1, &r), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(take_at(l, rules, "t", START + MINUTE, &r), AICP_OK);
    cr_assert_eq(r.remaining, 1);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, a_flood_of_keys_does_not_push_out_a_busy_one) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":1,\"window\":60,\"per\":[\"key\"]},"
        "{\"id\":\"b\",\"kind\":\"requests\",\"limit\":1,\"window\":60,\"per\":[\"user\"],"
        "\"on_overflow\":\"allow\"}]");
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.shards = 1;
    o.max_keys = 8;
    aicp_limiter *l = limiter_of(&o);
    asker a;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    for (int i = 0; i < 8; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        cr_assert_eq(
            aicp_limiter_take(l, rules, ask(&a, NULL, key, START + (uint64_t)i), NULL, NULL, NULL),
            AICP_OK);
    }
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, NULL, "new", START + 10), NULL, &r, NULL),
        AICP_ERR_RATE_LIMITED);
    cr_assert(r.overflow);
    cr_assert_eq(r.retry_after_ns, MINUTE - 10, "when the first key is idle again");
    ask(&a, NULL, NULL, START + 10);
    add(&a, AICP_LIMIT_USER, "new");
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL), AICP_OK);
    cr_assert(r.overflow, "the rule says allow");
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, NULL, "k7", START + 10), NULL, &r, NULL),
        AICP_ERR_RATE_LIMITED,
        "still counted");
    cr_assert(!r.overflow);
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, NULL, "new", START + MINUTE), NULL, &r, NULL), AICP_OK);
    aicp_limiter_stats stats = {.size = sizeof stats};
    cr_assert_eq(aicp_limiter_stats_get(l, &stats, NULL), AICP_OK);
    cr_assert_eq(stats.keys, 8);
    cr_assert_eq(stats.evicted, 1);
    cr_assert_eq(stats.overflowed, 2);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, idle_keys_make_room_for_a_million_others) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":60,\"window\":60,\"per\":[\"key\"]}]");
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.max_keys = 1000;
    aicp_limiter *l = limiter_of(&o);
    for (uint64_t i = 0; i < 1000000; i++) {
        asker a;
        char key[24];
        snprintf(key, sizeof key, "key-%lu", (unsigned long)i);
        /* Each key is busy for a second, in which 500 others come. */
        ask(&a, NULL, key, START + i * 2000000);
        cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, NULL, NULL), AICP_OK);
    }
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, bad_calls_are_errors) {
    aicp_limit_rules *rules = rules_of(RPM);
    aicp_limiter *l = limiter_of(NULL);
    asker a;
    cr_assert_eq(
        aicp_limiter_take(NULL, rules, ask(&a, "t", NULL, 1), NULL, NULL, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_limiter_take(l, rules, NULL, NULL, NULL, NULL), AICP_ERR_INVALID);
    ask(&a, "t", NULL, 1);
    add(&a, AICP_LIMIT_TEAM, "again");
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, NULL, NULL), AICP_ERR_INVALID);
    ask(&a, NULL, NULL, 1);
    add(&a, 77, "x");
    cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, NULL, NULL), AICP_ERR_INVALID);
    char longer[AICP_LIMIT_MAX_VALUE + 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, longer, NULL, 1), NULL, NULL, NULL), AICP_ERR_LIMIT);
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.shards = 3;
    aicp_limiter *none = NULL;
    cr_assert_eq(aicp_limiter_new(&o, &none, NULL), AICP_ERR_INVALID);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_take, warm_keys_need_no_heap) {
    test_heap heap = {0};
    aicp_allocator allocator = test_allocator(&heap);
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.allocator = &allocator;
    aicp_limiter *l = limiter_of(&o);
    aicp_limit_rules *rules = rules_of(ALL_KINDS);
    size_t warm = 0;
    for (int round = 0; round < 1000; round++) {
        asker a;
        aicp_limit_ticket t;
        ask(&a, "red", "k", START + (uint64_t)round * SECOND)->tokens = 1;
        aicp_status status = aicp_limiter_take(l, rules, &a.request, &t, NULL, NULL);
        cr_assert(status == AICP_OK || status == AICP_ERR_RATE_LIMITED);
        aicp_limiter_settle(l, &t, 2, a.request.now_ns);
        if (round == 0) {
            warm = heap.allocations;
        }
    }
    cr_assert_gt(warm, 0);
    cr_assert_eq(heap.allocations, warm);
    aicp_limiter_free(l);
    cr_assert_eq(heap.live, 0);
    aicp_limit_rules_free(rules);
}

static bool take_body(void *user, const aicp_allocator *allocator) {
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.allocator = allocator;
    aicp_limiter *l = NULL;
    if (aicp_limiter_new(&o, &l, NULL) != AICP_OK) {
        return l == NULL;
    }
    bool ok = true;
    for (int i = 0; i < 100 && ok; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i % 50);
        asker a;
        ask(&a, "red", key, START + (uint64_t)i * MINUTE);
        aicp_status status = aicp_limiter_take(l, user, &a.request, NULL, NULL, NULL);
        ok = status == AICP_OK || status == AICP_ERR_NOMEM;
    }
    aicp_limiter_free(l);
    return ok;
}

Test(limit_take, survives_every_failing_allocation) {
    aicp_limit_rules *rules = rules_of(ALL_KINDS);
    cr_assert_gt(test_every_allocation_failing(take_body, rules), 10);
    aicp_limit_rules_free(rules);
}
