/* Finds the rules that a request can match by what their heads name, so that a decision costs as
 * much as the rules that come into question. An index is immutable and lives in its set's arena. */
#ifndef AICPI_POLICY_INDEX_H
#define AICPI_POLICY_INDEX_H

#include "lib/policy/eval.h"
#include "lib/policy/set.h"

/* Rules that stand under one key: numbers in ascending order. */
typedef struct aicpi_policy_span {
    const uint32_t *at;
    const uint32_t *end;
} aicpi_policy_span;

/* The rules to be looked at, in the order of the set, each once. */
typedef struct aicpi_policy_candidates {
    aicpi_policy_span *spans; /* a heap by their first rule; NULL: all rules */
    size_t span_count;
    size_t next; /* least rule that was not given yet */
    size_t count;
} aicpi_policy_candidates;

/* NULL: out of memory. */
const aicpi_policy_index *
aicpi_policy_index_make(aicpi_arena *arena, const aicpi_policy_rule *rules, size_t count);

/* Every rule that is not among the candidates has a head that does not fit the request of `x`,
 * whose variables are all set. Without an index all rules are candidates. False: out of memory. */
bool aicpi_policy_index_find(
    const aicpi_policy_index *index,
    size_t rule_count,
    aicpi_policy_eval *x,
    aicpi_arena *arena,
    aicpi_policy_candidates *out);
/* False: no more. */
bool aicpi_policy_candidates_next(aicpi_policy_candidates *c, size_t *rule);

#endif
