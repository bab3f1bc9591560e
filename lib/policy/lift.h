/* Values as expressions that give them, for printing and for residual policies. */
#ifndef AICPI_POLICY_LIFT_H
#define AICPI_POLICY_LIFT_H

#include "lib/policy/ast.h"
#include "lib/policy/intern.h"

/* An expression without variables for `v`, with `pos` as the place of all its parts. The members of
 * sets and records stand in an order that depends on their content alone. Everything is copied
 * through `in`. NULL: out of memory. */
const aicpi_policy_expr *
aicpi_policy_lift(aicpi_policy_intern *in, aicpi_policy_value v, uint32_t pos);

#endif
