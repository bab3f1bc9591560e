/* What the type checker knows to be there: `a has b` proves `a.b`, `a.hasTag(k)` proves
 * `a.getTag(k)`, as long as a and k are written the same.
 *
 * Expressions are numbered by their form, equal ones alike, so that a proof is the number of the
 * expression it makes safe. Each expression that is checked leaves what it proves (when it is true)
 * on a stack, above what was there before; whoever checks something under that condition holds it
 * meanwhile. */
#ifndef AICPI_POLICY_CAPABILITIES_H
#define AICPI_POLICY_CAPABILITIES_H

#include "lib/policy/ast.h"

typedef struct aicpi_policy_form aicpi_policy_form;

typedef struct aicpi_policy_capabilities {
    aicp_allocator allocator;
    aicpi_policy_form *forms; /* by number; 0 is none */
    size_t form_count;
    size_t form_capacity;
    uint32_t *slots; /* open addressing by hash: numbers, 0 = empty */
    size_t mask;
    uint32_t *proofs; /* the stack */
    size_t proof_count;
    size_t proof_capacity;
    bool nomem;
} aicpi_policy_capabilities;

void aicpi_policy_capabilities_init(aicpi_policy_capabilities *c, const aicp_allocator *a);
void aicpi_policy_capabilities_deinit(aicpi_policy_capabilities *c);
/* Forgets all forms and proofs: for the next policy. */
void aicpi_policy_capabilities_reset(aicpi_policy_capabilities *c);

/* Numbers of forms; 0, which is never held, when out of memory. */
uint32_t aicpi_policy_form_of(aicpi_policy_capabilities *c, const aicpi_policy_expr *e);
/* Of `form.name` and of `form.getTag(key)`. */
uint32_t
aicpi_policy_form_attr(aicpi_policy_capabilities *c, uint32_t form, const aicpi_policy_str *name);
uint32_t aicpi_policy_form_tag(aicpi_policy_capabilities *c, uint32_t form, uint32_t key);

bool aicpi_policy_holds(const aicpi_policy_capabilities *c, uint32_t form);
/* Puts a proof on the stack. */
void aicpi_policy_prove(aicpi_policy_capabilities *c, uint32_t form);
/* Holds, or no longer holds, the proofs from..to of the stack. */
void aicpi_policy_hold(aicpi_policy_capabilities *c, size_t from, size_t to);
void aicpi_policy_release(aicpi_policy_capabilities *c, size_t from, size_t to);
/* Takes the proofs from `from` on away. */
void aicpi_policy_drop(aicpi_policy_capabilities *c, size_t from);
/* Of the two parts from..middle and middle..end keeps only the second, or what is in both. */
void aicpi_policy_keep_second(aicpi_policy_capabilities *c, size_t from, size_t middle);
void aicpi_policy_keep_common(aicpi_policy_capabilities *c, size_t from, size_t middle);

#endif
