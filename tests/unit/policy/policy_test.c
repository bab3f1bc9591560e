#include "unit/policy/policy_test.h"

#include <stdio.h>

policy_case policy_open(const char *policies, const char *entities) {
    policy_case c = {0};
    cr_assert_eq(
        aicp_policy_set_parse(policies, strlen(policies), NULL, &c.set, &c.err),
        AICP_OK,
        "%s",
        c.err.message);
    if (entities) {
        cr_assert_eq(
            aicp_policy_entities_parse(entities, strlen(entities), NULL, &c.entities, &c.err),
            AICP_OK,
            "%s",
            c.err.message);
    }
    cr_assert_eq(aicp_policy_request_new(NULL, &c.request, &c.err), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &c.response, &c.err), AICP_OK);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, "User", 4, "alice", 5, NULL), 0);
    cr_assert_eq(aicp_policy_request_set_action(c.request, "Action", 6, "view", 4, NULL), 0);
    cr_assert_eq(aicp_policy_request_set_resource(c.request, "Doc", 3, "d", 1, NULL), 0);
    return c;
}

void policy_close(policy_case *c) {
    aicp_policy_set_free(c->set);
    aicp_policy_entities_free(c->entities);
    aicp_policy_request_free(c->request);
    aicp_policy_response_free(c->response);
}

int32_t policy_ask(policy_case *c) {
    cr_assert_eq(
        aicp_policy_authorize(c->set, c->entities, c->request, 0, c->response, &c->err),
        AICP_OK,
        "%s",
        c->err.message);
    return aicp_policy_response_decision(c->response);
}

bool policy_holds(policy_case *c, const char *condition) {
    char policy[1024];
    snprintf(policy, sizeof policy, "permit (principal, action, resource) when { %s };", condition);
    aicp_policy_set_free(c->set);
    cr_assert_eq(
        aicp_policy_set_parse(policy, strlen(policy), NULL, &c->set, &c->err),
        AICP_OK,
        "%s: %s",
        condition,
        c->err.message);
    int32_t decision = policy_ask(c);
    cr_assert_eq(
        aicp_policy_response_error_count(c->response),
        0,
        "%s: %s",
        condition,
        aicp_policy_response_error_message(c->response, 0));
    return decision == AICP_POLICY_ALLOW;
}

aicp_error policy_refused(const char *policies) {
    aicp_error err = {0};
    aicp_policy_set *set = NULL;
    aicp_status status = aicp_policy_set_parse(policies, strlen(policies), NULL, &set, &err);
    cr_assert_neq(status, AICP_OK, "accepted: %s", policies);
    cr_assert_null(set);
    cr_assert_eq(err.code, status);
    return err;
}
