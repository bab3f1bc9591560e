/* Types of expressions in one environment: an action, a type of principal and one of resource.
 * typecheck.c has the logic and everything that proves something, typecheck_ops.c the operators. */
#ifndef AICPI_POLICY_TYPECHECK_H
#define AICPI_POLICY_TYPECHECK_H

#include "lib/policy/capabilities.h"
#include "lib/policy/report.h"
#include "lib/policy/types.h"

typedef struct aicpi_policy_env {
    const aicpi_policy_action *action;
    const aicpi_policy_entity_type *principal;
    const aicpi_policy_entity_type *resource;
} aicpi_policy_env;

typedef struct aicpi_policy_checker {
    const struct aicp_policy_schema *schema;
    aicp_policy_report *report;
    aicpi_policy_types types;
    aicpi_policy_capabilities known;
    const aicpi_policy_type *entity_types; /* of entities, by index of the entity type */
    aicpi_policy_env env;
} aicpi_policy_checker;

/* What is known of an expression. With `failed` the type is what it would have been. */
typedef struct aicpi_policy_typed {
    const aicpi_policy_type *type; /* NULL: nothing */
    bool failed;
} aicpi_policy_typed;

/* Type of an expression. Findings go to the report; what it proves stays on the stack of
 * capabilities. The height of expressions is limited by the parser, so the recursion is. */
aicpi_policy_typed aicpi_policy_typecheck(aicpi_policy_checker *c, const aicpi_policy_expr *e);
/* The same for one that must be a bool. */
aicpi_policy_typed aicpi_policy_typecheck_bool(aicpi_policy_checker *c, const aicpi_policy_expr *e);

/* Of `a && b`, when b was checked under the proofs of a; and of `a || b`. */
aicpi_policy_typed aicpi_policy_typed_and(aicpi_policy_typed a, aicpi_policy_typed b);
aicpi_policy_typed aicpi_policy_typed_not(aicpi_policy_typed a);

/* ---- shared by the parts of the type checker ---- */

static inline aicpi_policy_typed aicpi_policy_typed_of(uint32_t kind, bool failed) {
    return (aicpi_policy_typed){aicpi_policy_type_plain(kind), failed};
}
static inline bool aicpi_policy_typed_is(aicpi_policy_typed t, uint32_t kind) {
    return t.type && t.type->kind == kind;
}
/* An operand of `op` whose proofs do not count. */
aicpi_policy_typed aicpi_policy_typecheck_operand(
    aicpi_policy_checker *c, uint8_t op, const aicpi_policy_expr *e, uint32_t uses);
/* Unknown and failed, with a finding, unless the type can be used so. `op` decides on advice. */
aicpi_policy_typed aicpi_policy_typed_expect(
    aicpi_policy_checker *c, uint8_t op, uint32_t pos, aicpi_policy_typed t, uint32_t uses);
/* Notes that two types do not meet in `where`. */
void aicpi_policy_typed_incompatible(
    aicpi_policy_checker *c,
    uint32_t pos,
    const aicpi_policy_type *a,
    const aicpi_policy_type *b,
    const char *where);

/* Operators that prove nothing; hasTag, which does; getTag. */
aicpi_policy_typed aicpi_policy_typecheck_op(aicpi_policy_checker *c, const aicpi_policy_expr *e);

#endif
