/* Partial evaluation held against full evaluation. */
#ifndef TESTS_CONFORMANCE_POLICY_PARTIAL_H
#define TESTS_CONFORMANCE_POLICY_PARTIAL_H

#include "aicp/policy.h"

/* How often partial evaluation alone gave the decision. */
typedef struct partial_totals {
    size_t asked;
    size_t decided;
} partial_totals;

/* For each part of the request made unknown, with and without its type: what partial evaluation
 * says for sure must be so, and what it leaves of the set must give the answer of the whole set;
 * and a filter must allow what a request allows. `name` is for messages; `totals` may be NULL. */
void partial_expect(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    const char *name,
    partial_totals *totals);

#endif
