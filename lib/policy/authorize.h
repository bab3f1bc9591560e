/* The steps of an answer that authorizing, partial evaluation and explaining share, and the
 * response that they fill. */
#ifndef AICPI_POLICY_AUTHORIZE_H
#define AICPI_POLICY_AUTHORIZE_H

#include "lib/policy/eval.h"
#include "lib/policy/set.h"

typedef struct aicpi_policy_failure {
    size_t rule;
    int32_t kind;
    uint32_t pos;
    const char *message; /* in the response's arena */
} aicpi_policy_failure;

struct aicp_policy_response {
    aicp_allocator allocator;
    aicpi_arena arena;   /* of one answer */
    aicpi_arena scratch; /* of one policy */
    const aicp_policy_set *set;
    int32_t decision;
    size_t *reasons;
    size_t reason_count;
    size_t reason_capacity;
    aicpi_policy_failure *failures;
    size_t failure_count;
    size_t failure_capacity;
};

/* Empties a response, which then reads as deny. */
void aicpi_policy_clear_response(aicp_policy_response *r, const aicp_policy_set *set);
/* Note a rule as a reason, and the evaluator's error as one of a rule. False: out of memory. */
bool aicpi_policy_note_reason(aicp_policy_response *r, size_t rule);
bool aicpi_policy_note_failure(aicp_policy_response *r, const aicpi_policy_eval *x, size_t rule);

/* Makes the variables and entities of a request visible; parts that are not set have no value.
 * What it makes lives in `arena`; x->scratch is to be set by the caller. ERR_INVALID: cycle. */
aicp_status aicpi_policy_eval_start(
    aicpi_policy_eval *x,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    aicpi_arena *arena,
    aicp_error *err);
/* Whether the request's entity fits one part of a rule's head. Never an error, but there may be no
 * answer (x->stopped). */
bool aicpi_policy_fits(
    aicpi_policy_eval *x, const aicpi_policy_uid *uid, const aicpi_policy_scope *scope);

#endif
