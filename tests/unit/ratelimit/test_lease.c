/* Shared limits against a source made for the test. */
#include "limit_support.h"

#include "unit/support.h"

/* A store with a plain budget of units, which records what it was asked. */
typedef struct fake {
    uint64_t units;
    uint64_t retry_after_ns;
    uint32_t nodes;
    aicp_status status; /* of all calls */
    int calls;
    int many; /* calls of lease_many */
    aicp_lease_request last;
} fake;

static aicp_status
fake_lease(void *user, const aicp_lease_request *q, aicp_lease_grant *g, aicp_error *err) {
    (void)err;
    fake *f = user;
    f->calls++;
    f->last = *q;
    if (f->status != AICP_OK) {
        return f->status;
    }
    f->units += q->returned;
    f->units -= q->debt < f->units ? q->debt : f->units;
    if (q->need <= f->units) {
        g->granted = q->need + q->extra < f->units ? q->need + q->extra : f->units;
        g->granted = q->need ? g->granted : 0;
        f->units -= g->granted;
    }
    g->retry_after_ns = f->retry_after_ns;
    g->remaining = f->units;
    g->nodes = f->nodes;
    return AICP_OK;
}

typedef struct fixture {
    fake store;
    test_clock time;
    aicp_clock clock;
    aicp_lease_source source;
    aicp_limit_rules *rules;
    aicp_limiter *limiter;
} fixture;

static void make(fixture *f, const char *rules, uint64_t units) {
    *f = (fixture){.store = {.units = units, .retry_after_ns = SECOND}, .time = {START, 0}};
    f->clock = test_clock_hook(&f->time);
    f->source = (aicp_lease_source){.user = &f->store, .lease = fake_lease};
    f->rules = rules_of(rules);
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.clock = &f->clock;
    o.source = &f->source;
    f->limiter = limiter_of(&o);
}

static void finish(fixture *f) {
    aicp_limiter_free(f->limiter);
    aicp_limit_rules_free(f->rules);
}

static aicp_status
take(fixture *f, uint64_t tokens, bool wait, aicp_limit_ticket *t, aicp_limit_result *r) {
    asker a;
    ask(&a, "red", NULL, 0)->tokens = tokens;
    a.request.deadline_ns = wait ? f->time.monotonic_ns + SECOND : 0;
    return aicp_limiter_take(f->limiter, f->rules, &a.request, t, r, NULL);
}

static const char SHARED[] =
    "[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":1000,\"window\":60,\"shared\":true}]";
static const char EXACT[] = "[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":1000,\"window\":60,"
                            "\"shared\":true,\"exact\":true}]";

Test(limit_lease, without_time_to_wait_the_take_would_block_and_charges_nothing) {
    fixture f;
    make(&f, SHARED, 1000);
    cr_assert_eq(take(&f, 10, false, NULL, NULL), AICP_ERR_WOULD_BLOCK);
    cr_assert_eq(f.store.calls, 0);
    cr_assert_eq(take(&f, 10, true, NULL, NULL), AICP_OK);
    cr_assert_eq(f.store.calls, 1);
    cr_assert_eq(f.store.last.need, 10);
    cr_assert_eq(f.store.last.extra, 12, "a quarter of the largest slice to begin with");
    cr_assert_eq(take(&f, 12, false, NULL, NULL), AICP_OK, "from the slice");
    cr_assert_eq(take(&f, 1, false, NULL, NULL), AICP_ERR_WOULD_BLOCK);
    finish(&f);
}

Test(limit_lease, slices_grow_while_they_empty_early_up_to_a_twentieth) {
    fixture f;
    make(&f, SHARED, 1000);
    uint64_t most = 0;
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(take(&f, 1, true, NULL, NULL), AICP_OK);
        most = f.store.last.extra > most ? f.store.last.extra : most;
    }
    cr_assert_eq(most, 50);
    cr_assert_leq(f.store.calls, 12);
    finish(&f);
}

Test(limit_lease, an_unspent_slice_lapses_after_its_time) {
    fixture f;
    make(&f, SHARED, 1000);
    cr_assert_eq(take(&f, 1, true, NULL, NULL), AICP_OK);
    test_clock_advance(&f.time, 10 * SECOND - 1);
    cr_assert_eq(take(&f, 1, false, NULL, NULL), AICP_OK);
    test_clock_advance(&f.time, 1);
    cr_assert_eq(take(&f, 1, false, NULL, NULL), AICP_ERR_WOULD_BLOCK);
    cr_assert_eq(take(&f, 1, true, NULL, NULL), AICP_OK);
    cr_assert_eq(f.store.last.extra, 6, "half, as it was hardly used");
    finish(&f);
}

Test(limit_lease, exact_asks_for_each_decision) {
    fixture f;
    make(&f, EXACT, 3);
    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(take(&f, 1, true, NULL, NULL), AICP_OK);
        cr_assert_eq(f.store.calls, i);
        cr_assert_eq(f.store.last.extra, 0);
    }
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert_eq(take(&f, 1, true, NULL, &r), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(r.retry_after_ns, SECOND);
    cr_assert_eq(take(&f, 1, true, NULL, &r), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(f.store.calls, 4, "no polling before retry_after");
    f.store.units = 1;
    test_clock_advance(&f.time, SECOND);
    cr_assert_eq(take(&f, 1, true, NULL, &r), AICP_OK);
    finish(&f);
}

Test(limit_lease, settlements_reach_the_store_with_a_flush) {
    fixture f;
    make(&f, EXACT, 100);
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 100, true, &t, NULL), AICP_OK);
    aicp_limiter_settle(f.limiter, &t, 30, 0);
    cr_assert_eq(f.store.units, 0);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 70);
    cr_assert_eq(take(&f, 10, true, &t, NULL), AICP_OK);
    aicp_limiter_settle(f.limiter, &t, 25, 0);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 45);
    int calls = f.store.calls;
    cr_assert_eq(aicp_limiter_flush(f.limiter, 1, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.calls, calls, "nothing is told twice");
    finish(&f);
}

Test(limit_lease, a_flush_that_fails_is_told_again) {
    fixture f;
    make(&f, EXACT, 100);
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 100, true, &t, NULL), AICP_OK);
    aicp_limiter_cancel(f.limiter, &t, 0);
    f.store.status = AICP_ERR_STORE;
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_ERR_STORE);
    f.store.status = AICP_OK;
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 100);
    finish(&f);
}

Test(limit_lease, a_shutdown_gives_the_slices_back) {
    fixture f;
    make(&f, SHARED, 1000);
    cr_assert_eq(take(&f, 10, true, NULL, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 978);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 1, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 990);
    finish(&f);
}

Test(limit_lease, a_take_that_another_rule_denies_gives_its_lease_back) {
    fixture f;
    make(
        &f,
        "[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":1000,\"window\":60,\"shared\":true,"
        "\"exact\":true},"
        "{\"id\":\"u\",\"kind\":\"requests\",\"limit\":10,\"window\":60,\"shared\":true,"
        "\"exact\":true,\"per\":[\"team\"]}]",
        100);
    f.store.units = 100;
    cr_assert_eq(take(&f, 99, true, NULL, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 0);
    f.store.units = 1; /* enough for the request, not for the tokens */
    cr_assert_eq(take(&f, 50, true, NULL, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 1);
    finish(&f);
}

static void expect_degraded(const char *what, aicp_status first, aicp_status later) {
    char json[256];
    snprintf(
        json,
        sizeof json,
        "[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":100,\"window\":60,\"shared\":true,"
        "\"on_store_failure\":\"%s\"}]",
        what);
    fixture f;
    make(&f, json, 1000);
    f.store.nodes = 4;
    cr_assert_eq(take(&f, 1, true, NULL, NULL), AICP_OK);
    test_clock_advance(&f.time, 60 * SECOND);
    f.store.status = AICP_ERR_STORE;
    int calls = f.store.calls;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert_eq(take(&f, 20, true, NULL, &r), first, "%s", what);
    cr_assert(r.degraded);
    cr_assert_eq(take(&f, 20, true, NULL, &r), later, "%s", what);
    cr_assert_eq(take(&f, 20, false, NULL, &r), later, "%s", what);
    cr_assert_eq(f.store.calls, calls + 1, "a store that is down is left alone for a while");
    f.store.status = AICP_OK;
    test_clock_advance(&f.time, SECOND);
    cr_assert_eq(take(&f, 20, true, NULL, &r), AICP_OK);
    cr_assert(!r.degraded);
    finish(&f);
}

Test(limit_lease, without_the_store_the_rule_decides) {
    expect_degraded("local", AICP_OK, AICP_ERR_RATE_LIMITED); /* 100 / 4 nodes: 25 */
    expect_degraded("deny", AICP_ERR_STORE, AICP_ERR_STORE);
    expect_degraded("allow", AICP_OK, AICP_OK);
}

Test(limit_lease, a_released_slot_is_used_again_without_asking) {
    fixture f;
    make(&f, "[{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":2,\"shared\":true}]", 2);
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 1, true, &t, NULL), AICP_OK);
    aicp_limiter_settle(f.limiter, &t, 0, 0);
    cr_assert_eq(take(&f, 1, false, &t, NULL), AICP_OK);
    cr_assert_eq(f.store.calls, 1);
    uint64_t slot = f.store.last.slot;
    cr_assert_eq(take(&f, 1, false, NULL, NULL), AICP_ERR_WOULD_BLOCK);
    aicp_limiter_settle(f.limiter, &t, 0, 0);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.calls, 2);
    cr_assert_eq(f.store.last.returned, 1);
    cr_assert_eq(f.store.last.slot, slot);
    cr_assert_eq(take(&f, 1, false, &t, NULL), AICP_ERR_WOULD_BLOCK);
    finish(&f);
}

Test(limit_lease, a_renewed_slot_is_told_to_the_store) {
    fixture f;
    make(&f, "[{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":2,\"shared\":true}]", 2);
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 1, true, &t, NULL), AICP_OK);
    uint64_t slot = f.store.last.slot;
    test_clock_advance(&f.time, 300 * SECOND);
    cr_assert_eq(aicp_limiter_renew(f.limiter, &t, 600 * SECOND, 0, NULL), AICP_OK);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.last.slot, slot);
    cr_assert_eq(f.store.last.need, 1);
    cr_assert_eq(f.store.last.ttl_ns, 600 * SECOND);
    int calls = f.store.calls;
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.calls, calls);
    finish(&f);
}

Test(limit_lease, tokens_over_the_reservation_come_from_the_slice_first) {
    fixture f;
    make(&f, SHARED, 1000);
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 10, true, &t, NULL), AICP_OK); /* and a slice of 12 */
    aicp_limiter_settle(f.limiter, &t, 30, 0);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.last.debt, 8);
    cr_assert_eq(f.store.units, 970);
    finish(&f);
}

/* ---- several rules at once ------------------------------------------------------------------ */

static aicp_status fake_lease_many(
    void *user,
    const aicp_lease_request *requests,
    aicp_lease_grant *grants,
    size_t count,
    aicp_error *err) {
    fake *f = user;
    aicp_status status = AICP_OK;
    for (size_t i = 0; status == AICP_OK && i < count; i++) {
        status = fake_lease(f, &requests[i], &grants[i], err);
    }
    f->many++;
    return status;
}

static const char THREE[] =
    "[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":1000,\"window\":60,\"shared\":true,"
    "\"exact\":true,\"on_store_failure\":\"deny\"},"
    "{\"id\":\"r\",\"kind\":\"requests\",\"limit\":1000,\"window\":60,\"shared\":true,"
    "\"exact\":true},"
    "{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":9,\"shared\":true,\"exact\":true}]";

static void make_many(fixture *f, uint64_t units) {
    make(f, THREE, units);
    aicp_limiter_free(f->limiter);
    f->source.lease_many = fake_lease_many;
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.clock = &f->clock;
    o.source = &f->source;
    f->limiter = limiter_of(&o);
}

Test(limit_lease, rules_that_must_be_asked_about_go_in_one_call) {
    fixture f;
    make_many(&f, 100);
    cr_assert_eq(take(&f, 10, true, NULL, NULL), AICP_OK);
    cr_assert_eq(f.store.many, 1);
    cr_assert_eq(f.store.calls, 3);
    cr_assert_eq(f.store.units, 88);
    aicp_limiter_stats stats = {.size = sizeof stats};
    cr_assert_eq(aicp_limiter_stats_get(f.limiter, &stats, NULL), AICP_OK);
    cr_assert_eq(stats.store_calls, 1);
    finish(&f);
}

Test(limit_lease, of_one_call_what_is_granted_goes_back_when_another_rule_denies) {
    fixture f;
    make_many(&f, 5);
    cr_assert_eq(take(&f, 10, true, NULL, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(f.store.units, 3);
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 5);
    finish(&f);
}

Test(limit_lease, one_call_that_fails_is_one_failure) {
    fixture f;
    make_many(&f, 100);
    f.store.status = AICP_ERR_STORE;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert_eq(take(&f, 10, true, NULL, &r), AICP_ERR_STORE);
    cr_assert(r.degraded);
    aicp_limiter_stats stats = {.size = sizeof stats};
    cr_assert_eq(aicp_limiter_stats_get(f.limiter, &stats, NULL), AICP_OK);
    cr_assert_eq(stats.store_failures, 1);
    f.store.status = AICP_OK;
    test_clock_advance(&f.time, SECOND);
    cr_assert_eq(take(&f, 10, true, NULL, &r), AICP_OK);
    cr_assert(!r.degraded);
    finish(&f);
}

/* What was to be given back may have arrived: telling it again could give it twice. */
Test(limit_lease, after_a_lost_answer_debt_is_told_again_and_what_was_given_back_is_not) {
    fixture f;
    make(&f, EXACT, 100);
    aicp_limit_ticket t;
    cr_assert_eq(take(&f, 50, true, &t, NULL), AICP_OK);
    aicp_limiter_settle(f.limiter, &t, 10, 0);
    f.store.status = AICP_ERR_TIMEOUT;
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_ERR_TIMEOUT);
    f.store.status = AICP_OK;
    cr_assert_eq(take(&f, 10, true, &t, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 40);
    aicp_limiter_settle(f.limiter, &t, 25, 0);
    f.store.status = AICP_ERR_TIMEOUT;
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_ERR_TIMEOUT);
    f.store.status = AICP_OK;
    cr_assert_eq(aicp_limiter_flush(f.limiter, 0, SECOND, NULL), AICP_OK);
    cr_assert_eq(f.store.units, 25);
    finish(&f);
}
