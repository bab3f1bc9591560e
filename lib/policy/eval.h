/* Evaluation of one request: the values of the variables, the entities that can be seen, and what
 * went wrong. */
#ifndef AICPI_POLICY_EVAL_H
#define AICPI_POLICY_EVAL_H

#include "lib/policy/entities.h"
#include "lib/policy/program.h"
#include "lib/policy/request.h"

#define AICPI_POLICY_MESSAGE_SIZE 256

typedef struct aicpi_policy_eval {
    const aicp_policy_entities *store; /* may be NULL */
    const aicpi_policy_entity *guests; /* of the request; they hide those of the store */
    uint32_t guest_count;
    aicpi_policy_lookup *lookup; /* of entities that neither holds; NULL: none */
    /* A guest is named as a parent in the store, or entities live elsewhere: the ancestors computed
     * there may be wrong and must be found by walking. */
    bool walk;
    aicpi_policy_value vars[AICPI_POLICY_VAR_COUNT]; /* of the kind NONE: not set */
    aicpi_policy_record context;
    const aicpi_policy_entity *known[3]; /* of principal, action, resource; NULL: not there */
    aicpi_policy_entity walked[3];       /* those of them whose ancestors were found by walking */
    aicpi_arena *arena;                  /* what the whole answer needs */
    aicpi_arena *scratch;                /* values made on the way */
    /* Nothing more can be evaluated, and there is no answer: out of memory, or a lookup failed. */
    bool stopped;
    /* the error, when an evaluation gave no value */
    int32_t error_kind;
    uint32_t error_pos;
    char message[AICPI_POLICY_MESSAGE_SIZE];
} aicpi_policy_eval;

/* A value of the kind NONE: see the error. */
aicpi_policy_value aicpi_policy_eval_node(aicpi_policy_eval *x, const aicpi_policy_node *n);

/* ---- shared by the parts of the evaluator ---- */

aicpi_policy_value
aicpi_policy_eval_fail(aicpi_policy_eval *x, int32_t kind, uint32_t pos, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
/* "expected ..., found ..." */
aicpi_policy_value aicpi_policy_eval_type_error(
    aicpi_policy_eval *x, uint32_t pos, const char *expected, aicpi_policy_value found)
    __attribute__((cold));
aicpi_policy_value aicpi_policy_eval_nomem(aicpi_policy_eval *x) __attribute__((cold));
/* Why it stopped. */
aicp_status aicpi_policy_eval_stop(const aicpi_policy_eval *x, aicp_error *err)
    __attribute__((cold));

/* NULL when there is no such entity, or x->stopped. */
const aicpi_policy_entity *
aicpi_policy_eval_entity(aicpi_policy_eval *x, const aicpi_policy_uid *uid);
/* Ancestors of an entity as this request sees them, sorted. False: x->stopped. */
bool aicpi_policy_eval_ancestors(
    aicpi_policy_eval *x,
    const aicpi_policy_uid *uid,
    const aicpi_policy_ancestor **items,
    uint32_t *count);
/* Whether `uid` is `ancestor` or below it. */
bool aicpi_policy_eval_in(
    aicpi_policy_eval *x, const aicpi_policy_uid *uid, const aicpi_policy_uid *ancestor);
/* Whether `uid` is in some element of a set of entities. */
bool aicpi_policy_eval_in_any(
    aicpi_policy_eval *x, const aicpi_policy_uid *uid, const aicpi_policy_set_value *set);

/* Operators whose operands are evaluated. */
aicpi_policy_value aicpi_policy_eval_binary(
    aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a, aicpi_policy_value b);
aicpi_policy_value
aicpi_policy_eval_get(aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a);
aicpi_policy_value
aicpi_policy_eval_has(aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a);
/* `e in x`, with the types checked. */
aicpi_policy_value aicpi_policy_eval_in_value(
    aicpi_policy_eval *x, uint32_t pos, aicpi_policy_value a, aicpi_policy_value b);

/* Makes the entities of a request visible: builds x->guests and finds their ancestors, unless some
 * may live elsewhere: then they are found when they are needed. x->store and x->lookup are set.
 * ERR_INVALID: cycle. */
aicp_status
aicpi_policy_eval_guests(aicpi_policy_eval *x, const aicp_policy_request *request, aicp_error *err);
/* All ancestors of `uid`, found by walking over parents, sorted, in `arena`. False: x->stopped. */
bool aicpi_policy_eval_walk(
    aicpi_policy_eval *x,
    const aicpi_policy_uid *uid,
    aicpi_arena *arena,
    aicpi_policy_ancestor **out,
    size_t *count);

#endif
