/* What the unit tests of the policy module share. */
#ifndef TESTS_UNIT_POLICY_POLICY_TEST_H
#define TESTS_UNIT_POLICY_POLICY_TEST_H

#include "aicp/policy.h"

#include <criterion/criterion.h>
#include <string.h>

/* A set, a store, a request by User::"alice" to Action::"view" Doc::"d", and a response. */
typedef struct policy_case {
    aicp_policy_set *set;
    aicp_policy_entities *entities;
    aicp_policy_request *request;
    aicp_policy_response *response;
    aicp_error err;
} policy_case;

/* `entities` NULL: none. Fails the test when something cannot be read. */
policy_case policy_open(const char *policies, const char *entities);
void policy_close(policy_case *c);
/* Asks and gives the decision. */
int32_t policy_ask(policy_case *c);
/* Asks one condition: permit … when { condition }; true when allowed. An error fails the test. */
bool policy_holds(policy_case *c, const char *condition);
/* Parses a text that must be refused; gives the error. */
aicp_error policy_refused(const char *policies);

#endif
