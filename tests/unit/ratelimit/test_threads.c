#include "limit_support.h"

#include <pthread.h>

#define THREADS 8
#define TAKES 3000

typedef struct worker {
    pthread_t thread;
    aicp_limiter *limiter;
    aicp_limit_rules *rules;
    const char *key;
    size_t passed;
    bool give_back;
} worker;

static void *run(void *user) {
    worker *w = user;
    for (int i = 0; i < TAKES; i++) {
        asker a;
        aicp_limit_ticket t;
        ask(&a, "red", w->key, START);
        if (aicp_limiter_take(w->limiter, w->rules, &a.request, &t, NULL, NULL) == AICP_OK) {
            w->passed++;
            if (w->give_back) {
                aicp_limiter_cancel(w->limiter, &t, START);
            }
        }
    }
    return NULL;
}

static size_t run_all(aicp_limiter *l, aicp_limit_rules *rules, bool give_back) {
    static const char *const KEYS[THREADS] = {"a", "b", "c", "d", "a", "b", "c", "d"};
    worker workers[THREADS];
    size_t passed = 0;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.limiter = l, .rules = rules, .key = KEYS[i], .give_back = give_back};
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        passed += workers[i].passed;
    }
    return passed;
}

Test(limit_threads, eight_threads_admit_exactly_the_limit) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"k\",\"kind\":\"requests\",\"limit\":3000,\"window\":60,\"per\":[\"key\"]},"
        "{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":7777,\"window\":60,\"per\":[\"team\"]},"
        "{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":100000,\"per\":[\"team\"]}]");
    aicp_limiter *l = limiter_of(NULL);
    cr_assert_eq(run_all(l, rules, false), 7777);
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}

Test(limit_threads, what_is_given_back_at_once_is_all_there_at_the_end) {
    aicp_limit_rules *rules = rules_of(
        "[{\"id\":\"k\",\"kind\":\"requests\",\"limit\":3,\"window\":60,\"per\":[\"key\"]},"
        "{\"id\":\"t\",\"kind\":\"tokens\",\"limit\":4,\"window\":60,\"per\":[\"team\"]},"
        "{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":5,\"per\":[\"team\"]}]");
    aicp_limiter *l = limiter_of(NULL);
    cr_assert_gt(run_all(l, rules, true), 0);
    asker a;
    aicp_limit_state states[3];
    size_t count = 0;
    ask(&a, "red", "a", START);
    cr_assert_eq(aicp_limiter_peek(l, rules, &a.request, states, 3, &count, NULL), AICP_OK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(states[i].remaining, states[i].limit);
    }
    aicp_limiter_free(l);
    aicp_limit_rules_free(rules);
}
