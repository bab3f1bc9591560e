/* The parts of the validator: what a policy names (validate_names.c), what its head allows
 * (validate_scope.c), and in each environment that is left the types (typecheck.h). */
#ifndef AICPI_POLICY_VALIDATE_H
#define AICPI_POLICY_VALIDATE_H

#include "lib/policy/typecheck.h"

/* Entity types, actions and enumerated ids that are named anywhere in a policy and not declared,
 * and texts that look like others. *vars gets a bit for each variable that its conditions use. */
void aicpi_policy_check_names(
    aicpi_policy_checker *c, const aicpi_policy_rule *rule, uint32_t *vars);
/* That the type of an entity which fills a slot is declared. */
void aicpi_policy_check_slot(aicpi_policy_checker *c, const aicpi_policy_uid *uid, uint32_t pos);

/* Type of a part of the head in the environment of that entity type; an open slot stands for
 * whatever fits. */
aicpi_policy_typed aicpi_policy_typecheck_scope(
    aicpi_policy_checker *c, const aicpi_policy_scope *scope, const aicpi_policy_entity_type *type);
/* Of the action's part, in the environment of that action. Without findings. */
aicpi_policy_typed aicpi_policy_typecheck_action(
    const aicpi_policy_checker *c,
    const aicpi_policy_scope *scope,
    const aicpi_policy_action *action);
/* What is wrong with a list of actions in every environment. */
void aicpi_policy_check_action_list(aicpi_policy_checker *c, const aicpi_policy_scope *scope);
/* Whether some action that the head allows applies to a principal and a resource that it allows;
 * *in_fits when `in` for `==` would make it so. */
bool aicpi_policy_scope_applies(
    const aicpi_policy_checker *c, const aicpi_policy_scope scope[3], bool *in_fits);

/* What is dangerous about a text: AICP_POLICY_FINDING_..., 0 nothing. `odd` gets the character of a
 * confusable identifier. */
int32_t aicpi_policy_text_risk(aicpi_slice text, bool identifier, uint32_t *odd);

#endif
