/* One set and one store, asked by several threads. */
#include "unit/policy/policy_test.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, QUESTIONS = 2000 };

typedef struct worker {
    aicp_policy_set *set;
    aicp_policy_entities *entities;
    size_t wrong;
} worker;

static void *ask_many(void *user) {
    worker *w = user;
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    aicp_policy_set *set = aicp_policy_set_ref(w->set);
    aicp_policy_entities *entities = aicp_policy_entities_ref(w->entities);
    if (aicp_policy_request_new(NULL, &request, NULL) != AICP_OK ||
        aicp_policy_response_new(NULL, &response, NULL) != AICP_OK) {
        w->wrong = QUESTIONS;
    }
    for (int i = 0; w->wrong == 0 && i < QUESTIONS; i++) {
        const char *id = i % 2 ? "in" : "out";
        aicp_policy_request_reset(request);
        if (aicp_policy_request_set_principal(request, "User", 4, id, strlen(id), NULL) ||
            aicp_policy_request_set_action(request, "Action", 6, "a", 1, NULL) ||
            aicp_policy_request_set_resource(request, "Doc", 3, "d", 1, NULL) ||
            aicp_policy_request_context_long(request, "n", i, NULL) ||
            aicp_policy_authorize(set, entities, request, 0, response, NULL)) {
            w->wrong++;
        }
        int32_t expected = i % 2 && i >= 10 ? AICP_POLICY_ALLOW : AICP_POLICY_DENY;
        w->wrong += aicp_policy_response_decision(response) != expected;
    }
    aicp_policy_set_free(set);
    aicp_policy_entities_free(entities);
    aicp_policy_request_free(request);
    aicp_policy_response_free(response);
    return NULL;
}

Test(policy_threads, a_set_and_a_store_serve_several_threads) {
    policy_case c = policy_open(
        "permit (principal in Group::\"g\", action, resource)"
        " when { [context.n, 10].contains(context.n) && context.n >= 10 };",
        "[{\"uid\":{\"type\":\"User\",\"id\":\"in\"},\"attrs\":{},"
        "\"parents\":[{\"type\":\"Group\",\"id\":\"g\"}]}]");
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.set = c.set, .entities = c.entities};
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_many, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(workers[i].wrong, 0);
    }
    policy_close(&c);
}
