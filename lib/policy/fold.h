/* Partial evaluation of expressions: some of the variables are unknown. */
#ifndef AICPI_POLICY_FOLD_H
#define AICPI_POLICY_FOLD_H

#include "lib/policy/eval.h"
#include "lib/policy/intern.h"

typedef struct aicpi_policy_folder {
    aicpi_policy_eval *x;                 /* its variables of the kind NONE are unknown */
    const aicpi_policy_str *const *types; /* of those, by variable; NULL: not known either */
    aicpi_policy_intern *intern;          /* what is left of expressions lives in its arena */
} aicpi_policy_folder;

enum {
    AICPI_POLICY_PART_FAILED, /* it has an error whatever the unknown is: see x */
    AICPI_POLICY_PART_KNOWN,
    AICPI_POLICY_PART_OPEN,
};

typedef struct aicpi_policy_part {
    uint8_t state;
    bool can_be_true; /* of an open one: whether it may give this value */
    bool can_be_false;
    aicpi_policy_value value;      /* of a known one; lives as long as x->scratch */
    const aicpi_policy_expr *expr; /* of an open one: what is left, with the same values and errors
                                    * as the whole, whatever the unknown is */
} aicpi_policy_part;

/* An error in an operand that is evaluated in any case counts as that of the whole, though an
 * operand before it, which is open, may turn out to have another. */
aicpi_policy_part aicpi_policy_fold(aicpi_policy_folder *f, const aicpi_policy_expr *e);
/* The same for the body of a condition, of which the end is to be a bool. */
aicpi_policy_part aicpi_policy_fold_condition(aicpi_policy_folder *f, const aicpi_policy_expr *e);

/* Operands of an expression in the order of their evaluation, whatever it is. */
uint32_t aicpi_policy_child_count(const aicpi_policy_expr *e);
const aicpi_policy_expr *aicpi_policy_child(const aicpi_policy_expr *e, uint32_t nth);

#endif
