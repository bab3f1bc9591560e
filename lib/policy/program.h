/* What the evaluator runs: a compact copy of an expression in which constants are folded: sets and
 * records of constants are built and hashed, extension calls on literals are done. A call that
 * fails stays, because its error counts only when it is reached. */
#ifndef AICPI_POLICY_PROGRAM_H
#define AICPI_POLICY_PROGRAM_H

#include "lib/policy/ast.h"

typedef struct aicpi_policy_node aicpi_policy_node;

typedef struct aicpi_policy_term {
    const aicpi_policy_node *node;
    const aicpi_policy_str *key; /* of a record's field */
    uint32_t pos;                /* of the operator before it */
    bool minus;
} aicpi_policy_term;

struct aicpi_policy_node {
    uint8_t op; /* AICPI_POLICY_OP_... */
    uint8_t arg;
    uint32_t pos;
    union {
        aicpi_policy_value value;
        struct {
            const aicpi_policy_node *a;
            const aicpi_policy_node *b;
            const aicpi_policy_node *c;
        } of;
        struct {
            const aicpi_policy_node *a;
            const aicpi_policy_node *b;
            const aicpi_policy_str *name;
        } named;
        struct {
            const aicpi_policy_node *a;
            const aicpi_policy_str *const *names;
            uint32_t count;
        } has;
        struct {
            const aicpi_policy_node *a;
            const aicpi_policy_pattern *pattern;
        } like;
        struct {
            const aicpi_policy_term *terms;
            uint32_t count;
        } list;
    } u;
};

/* NULL: out of memory. */
const aicpi_policy_node *aicpi_policy_compile(aicpi_arena *arena, const aicpi_policy_expr *e);

#endif
