#include "limit_support.h"

#include <stdlib.h>

/* xorshift, so that a failing seed can be run again. */
static uint64_t state;

static uint64_t random_below(uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

typedef struct event {
    uint64_t time;
    uint64_t amount;
} event;

#define EVENTS 600

/* In any interval [from, to] of the admissions: sum <= burst + limit * L / window. */
static void
check_bound(const event *events, size_t count, uint64_t burst, uint64_t limit, uint64_t window) {
    for (size_t from = 0; from < count; from++) {
        uint64_t sum = 0;
        for (size_t to = from; to < count; to++) {
            sum += events[to].amount;
            uint64_t length = events[to].time - events[from].time;
            __extension__ unsigned __int128 allowed =
                (unsigned __int128)burst * window + (unsigned __int128)limit * length;
            cr_assert(
                (unsigned __int128)sum * window <= allowed,
                "%lu in %lu ns with limit %lu burst %lu window %lu",
                (unsigned long)sum,
                (unsigned long)length,
                (unsigned long)limit,
                (unsigned long)burst,
                (unsigned long)window);
        }
    }
}

static void run_seed(uint64_t seed) {
    state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    uint64_t limit = 1 + random_below(seed % 2 ? 20 : 100000);
    uint64_t window = (1 + random_below(100)) * SECOND;
    char json[256];
    uint64_t multiplier = 1 + random_below(3);
    snprintf(
        json,
        sizeof json,
        "[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":%lu,\"window\":%lu,\"burst_multiplier\":%lu}"
        "]",
        (unsigned long)limit,
        (unsigned long)(window / SECOND),
        (unsigned long)multiplier);
    aicp_limit_rules *rules = rules_of(json);
    aicp_limiter *l = limiter_of(NULL);
    uint64_t burst = limit * multiplier;
    uint64_t now = START;
    event events[EVENTS];
    size_t count = 0;
    for (int i = 0; i < EVENTS; i++) {
        now += random_below(4) ? random_below(window / limit + 2) : random_below(window / 3);
        asker a;
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        uint64_t n = 1 + random_below(random_below(3) ? (burst + 9) / 10 : burst);
        ask(&a, NULL, NULL, now)->tokens = n;
        aicp_status status = aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL);
        if (status == AICP_ERR_RATE_LIMITED) {
            /* Exactly at retry_after the same take passes, and not a nanosecond before. */
            ask(&a, NULL, NULL, now + r.retry_after_ns - 1)->tokens = n;
            cr_assert_eq(
                aicp_limiter_take(l, rules, &a.request, NULL, NULL, NULL), AICP_ERR_RATE_LIMITED);
            now += r.retry_after_ns;
            ask(&a, NULL, NULL, now)->tokens = n;
            cr_assert_eq(aicp_limiter_take(l, rules, &a.request, NULL, &r, NULL), AICP_OK);
        } else {
            cr_assert_eq(status, AICP_OK);
        }
        events[count++] = (event){now, n};
    }
    check_bound(events, count, burst, limit, window);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_property, never_more_than_burst_and_refill_in_any_interval) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_seed(seed);
    }
}

/* Random takes, settles, cancels on all kinds; a plain model with fractions keeps the books. */
Test(limit_property, random_ends_leave_exactly_what_was_used) {
    aicp_limit_rules *rules =
        rules_of("[{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":1000,\"window\":1000000},"
                 "{\"id\":\"r\",\"kind\":\"requests\",\"limit\":100000,\"window\":1000000},"
                 "{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":8}]");
    for (uint64_t seed = 1; seed <= 50; seed++) {
        state = seed;
        aicp_limiter *l = limiter_of(NULL);
        aicp_limit_ticket open[8];
        uint64_t reserved[8] = {0};
        size_t count = 0;
        uint64_t tokens = 0;
        uint64_t requests = 0;
        for (int i = 0; i < 400; i++) {
            asker a;
            uint64_t n = 1 + random_below(20);
            if (random_below(2) && count < 8) {
                ask(&a, NULL, NULL, START)->tokens = n;
                aicp_status status =
                    aicp_limiter_take(l, rules, &a.request, &open[count], NULL, NULL);
                cr_assert_eq(status == AICP_OK, tokens + n <= 1000);
                if (status == AICP_OK) {
                    reserved[count++] = n;
                    tokens += n;
                    requests++;
                }
            } else if (count > 0) {
                size_t k = random_below(count);
                uint64_t how = random_below(3);
                uint64_t actual = random_below(reserved[k] + 1);
                if (how == 0) {
                    aicp_limiter_settle(l, &open[k], actual, START);
                } else if (how == 1) {
                    aicp_limiter_cancel(l, &open[k], START);
                } else {
                    aicp_limiter_refund(l, &open[k], START);
                }
                tokens -= how == 0 ? reserved[k] - actual : reserved[k];
                requests -= how == 1;
                count--;
                open[k] = open[count];
                reserved[k] = reserved[count];
            }
            aicp_limit_state states[3];
            size_t found = 0;
            ask(&a, NULL, NULL, START);
            cr_assert_eq(aicp_limiter_peek(l, rules, &a.request, states, 3, &found, NULL), AICP_OK);
            cr_assert_eq(found, 3);
            for (size_t s = 0; s < 3; s++) {
                uint64_t used = states[s].limit - states[s].remaining;
                uint64_t expected = states[s].rule == 0   ? tokens
                                    : states[s].rule == 1 ? requests
                                                          : count;
                cr_assert_eq(used, expected, "seed %lu step %d", (unsigned long)seed, i);
            }
        }
        aicp_limiter_free(l);
    }
    aicp_limit_rules_free(rules);
}
