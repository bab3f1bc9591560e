#include "limit_support.h"

static const char RULES[] =
    "[{\"id\":\"tpm\",\"kind\":\"tokens\",\"limit\":100,\"window\":100,\"per\":[\"team\"]},"
    "{\"id\":\"rpm\",\"kind\":\"requests\",\"limit\":10,\"window\":100,\"per\":[\"team\"]},"
    "{\"id\":\"par\",\"kind\":\"concurrency\",\"limit\":2,\"per\":[\"team\"]}]";

typedef struct fixture {
    aicp_limit_rules *rules;
    aicp_limiter *limiter;
} fixture;

static fixture make(void) {
    return (fixture){rules_of(RULES), limiter_of(NULL)};
}

static void finish(fixture *f) {
    aicp_limiter_free(f->limiter);
    aicp_limit_rules_free(f->rules);
}

static aicp_status take(fixture *f, uint64_t tokens, uint64_t now, aicp_limit_ticket *t) {
    asker a;
    ask(&a, "red", NULL, now)->tokens = tokens;
    return aicp_limiter_take(f->limiter, f->rules, &a.request, t, NULL, NULL);
}

static uint64_t left(fixture *f, int32_t rule, uint64_t now) {
    asker a;
    aicp_limit_state states[3];
    size_t count = 0;
    ask(&a, "red", NULL, now);
    aicp_status status =
        aicp_limiter_peek(f->limiter, f->rules, &a.request, states, 3, &count, NULL);
    cr_assert_eq(status, AICP_OK);
    for (size_t i = 0; i < count; i++) {
        if (states[i].rule == rule) {
            return states[i].remaining;
        }
    }
    cr_assert_fail("no state of rule %d", rule);
    return 0;
}

Test(limit_ticket, settle_gives_unused_tokens_back) {
    fixture f = make();
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 80, START, &t), AICP_OK);
    cr_assert_eq(left(&f, 0, START), 20);
    aicp_limiter_settle(f.limiter, &t, 30, START);
    cr_assert_eq(left(&f, 0, START), 70);
    cr_assert_eq(left(&f, 1, START), 9);
    cr_assert_eq(left(&f, 2, START), 2);
    aicp_limiter_settle(f.limiter, &t, 0, START);
    cr_assert_eq(left(&f, 0, START), 70, "a ticket ends once");
    finish(&f);
}

Test(limit_ticket, settle_charges_more_than_reserved_up_to_a_window_of_debt) {
    fixture f = make();
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 10, START, &t), AICP_OK);
    aicp_limiter_settle(f.limiter, &t, 150, START);
    cr_assert_eq(left(&f, 0, START), 0);
    cr_assert_eq(left(&f, 0, START + 50 * SECOND), 0);
    cr_assert_eq(left(&f, 0, START + 51 * SECOND), 1);
    cr_assert_eq(take(&f, 1, START + 51 * SECOND, &t), AICP_OK);
    aicp_limiter_settle(f.limiter, &t, UINT64_MAX, START + 51 * SECOND);
    cr_assert_eq(left(&f, 0, START + 151 * SECOND), 0, "a whole window of debt");
    cr_assert_eq(left(&f, 0, START + 152 * SECOND), 1, "and no more");
    finish(&f);
}

Test(limit_ticket, cancel_gives_everything_back) {
    fixture f = make();
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 80, START, &t), AICP_OK);
    aicp_limiter_cancel(f.limiter, &t, START);
    cr_assert_eq(left(&f, 0, START), 100);
    cr_assert_eq(left(&f, 1, START), 10);
    cr_assert_eq(left(&f, 2, START), 2);
    finish(&f);
}

Test(limit_ticket, refund_keeps_the_request) {
    fixture f = make();
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 80, START, &t), AICP_OK);
    aicp_limiter_refund(f.limiter, &t, START);
    cr_assert_eq(left(&f, 0, START), 100);
    cr_assert_eq(left(&f, 1, START), 9);
    cr_assert_eq(left(&f, 2, START), 2);
    finish(&f);
}

Test(limit_ticket, a_late_refund_makes_the_bucket_no_fuller_than_full) {
    fixture f = make();
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 80, START, &t), AICP_OK);
    aicp_limiter_cancel(f.limiter, &t, START + 1000 * SECOND);
    cr_assert_eq(left(&f, 0, START + 1000 * SECOND), 100);
    cr_assert_eq(take(&f, 100, START + 1000 * SECOND, &t), AICP_OK);
    cr_assert_eq(take(&f, 1, START + 1000 * SECOND, NULL), AICP_ERR_RATE_LIMITED);
    finish(&f);
}

Test(limit_ticket, a_slot_ends_at_its_deadline) {
    fixture f = make();
    asker a;
    aicp_limit_ticket t[2];
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    for (uint64_t i = 0; i < 2; i++) {
        ask(&a, "red", NULL, START + i * SECOND)->slot_ttl_ns = 30 * SECOND;
        cr_assert_eq(aicp_limiter_take(f.limiter, f.rules, &a.request, &t[i], &r, NULL), AICP_OK);
    }
    ask(&a, "red", NULL, START + 2 * SECOND);
    cr_assert_eq(
        aicp_limiter_take(f.limiter, f.rules, &a.request, NULL, &r, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.kind, AICP_LIMIT_CONCURRENCY);
    cr_assert_eq(r.retry_after_ns, 28 * SECOND);
    cr_assert_eq(take(&f, 1, START + 30 * SECOND - 1, NULL), AICP_ERR_RATE_LIMITED);
    aicp_limit_ticket t2;
    cr_assert_eq(take(&f, 1, START + 30 * SECOND, &t2), AICP_OK);
    /* The late release of the expired slot must not free the one that took its place. */
    aicp_limiter_settle(f.limiter, &t[0], 1, START + 30 * SECOND);
    cr_assert_eq(left(&f, 2, START + 30 * SECOND), 0);
    aicp_limiter_settle(f.limiter, &t2, 1, START + 30 * SECOND);
    cr_assert_eq(left(&f, 2, START + 30 * SECOND), 1);
    finish(&f);
}

Test(limit_ticket, renewing_keeps_a_stream_alive) {
    fixture f = make();
    asker a;
    aicp_limit_ticket t;
    ask(&a, "red", NULL, START)->slot_ttl_ns = 30 * SECOND;
    cr_assert_eq(aicp_limiter_take(f.limiter, f.rules, &a.request, &t, NULL, NULL), AICP_OK);
    cr_assert_eq(
        aicp_limiter_renew(f.limiter, &t, 30 * SECOND, START + 20 * SECOND, NULL), AICP_OK);
    cr_assert_eq(left(&f, 2, START + 49 * SECOND), 1);
    cr_assert_eq(left(&f, 2, START + 50 * SECOND), 2);
    cr_assert_eq(
        aicp_limiter_renew(f.limiter, &t, 30 * SECOND, START + 50 * SECOND, NULL),
        AICP_ERR_NOT_FOUND);
    finish(&f);
}

Test(limit_ticket, a_lower_concurrency_limit_waits_for_enough_slots) {
    aicp_limit_rules *five = rules_of("[{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":5}]");
    aicp_limit_rules *two = rules_of("[{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":2}]");
    aicp_limiter *l = limiter_of(NULL);
    asker a;
    for (uint64_t i = 1; i <= 5; i++) {
        ask(&a, NULL, NULL, START)->slot_ttl_ns = i * 10 * SECOND;
        cr_assert_eq(aicp_limiter_take(l, five, &a.request, NULL, NULL, NULL), AICP_OK);
    }
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    ask(&a, NULL, NULL, START);
    cr_assert_eq(aicp_limiter_take(l, two, &a.request, NULL, &r, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.retry_after_ns, 40 * SECOND);
    ask(&a, NULL, NULL, START + 40 * SECOND - 1);
    cr_assert_eq(aicp_limiter_take(l, two, &a.request, NULL, &r, NULL), AICP_ERR_RATE_LIMITED);
    ask(&a, NULL, NULL, START + 40 * SECOND);
    cr_assert_eq(aicp_limiter_take(l, two, &a.request, NULL, &r, NULL), AICP_OK);
    aicp_limiter_free(l);
    aicp_limit_rules_free(five);
    aicp_limit_rules_free(two);
}

Test(limit_ticket, a_key_with_an_open_reservation_is_not_forgotten) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"tpm\",\"kind\":\"tokens\",\"limit\":100,\"window\":1,\"per\":[\"key\"]}]");
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.shards = 1;
    o.max_keys = 4;
    aicp_limiter *l = limiter_of(&o);
    asker a;
    aicp_limit_ticket t;
    cr_assert_eq(
        aicp_limiter_take(l, rules, ask(&a, NULL, "long", START), &t, NULL, NULL), AICP_OK);
    for (uint64_t i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", (int)i);
        ask(&a, NULL, key, START + (i + 10) * SECOND);
        cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, NULL, NULL), AICP_OK);
    }
    aicp_limiter_settle(l, &t, 101, START + 60 * SECOND);
    ask(&a, NULL, "long", START + 60 * SECOND);
    cr_assert_eq(
        aicp_limiter_take(l, rules, &a.request, NULL, NULL, NULL),
        AICP_ERR_RATE_LIMITED,
        "the settled tokens were charged to the same key");
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}
