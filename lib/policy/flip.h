/* Single changes of a request that turn what a policy says, each proven by asking again. */
#ifndef AICPI_POLICY_FLIP_H
#define AICPI_POLICY_FLIP_H

#include "lib/policy/eval.h"
#include "lib/policy/set.h"

/* How often one answer may ask again, so that explaining a large set stays a matter of moments. */
#define AICPI_POLICY_FLIPS_MOST 256

/* One question, and room to ask others like it. */
typedef struct aicpi_policy_flipper {
    const aicp_policy_set *set;
    const aicp_policy_entities *entities;
    const aicp_policy_request *request;
    aicpi_policy_eval *x; /* of the request */
    aicp_policy_response *response;
    aicpi_policy_intern *intern; /* texts of changes live in its arena */
    uint32_t asked;              /* how often, of AICPI_POLICY_FLIPS_MOST */
} aicpi_policy_flipper;

typedef struct aicpi_policy_flip {
    const aicpi_policy_expr *left; /* `left = right`, or with `joins` `left in right` */
    const aicpi_policy_expr *right;
    bool joins;
    int32_t decision; /* of the changed request */
} aicpi_policy_flip;

/* A part of a policy's head as an expression, NULL for one that fits everything or (x->stopped)
 * when out of memory. */
const aicpi_policy_expr *aicpi_policy_head_expr(
    aicpi_policy_flipper *f, int var, const aicpi_policy_scope *scope, uint32_t pos);

/* Looks for a change that gives `test`, which is not a chain, the value `want`, and after which the
 * rule is satisfied as `satisfied` says. False: none is known, or x->stopped. */
bool aicpi_policy_flip_test(
    aicpi_policy_flipper *f,
    size_t rule,
    const aicpi_policy_expr *test,
    bool want,
    bool satisfied,
    aicpi_policy_flip *out);

#endif
