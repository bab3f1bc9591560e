#include "lib/policy/validate.h"

static aicpi_policy_typed of(uint32_t kind) {
    return aicpi_policy_typed_of(kind, false);
}

/* ---- principal and resource ---- */

static bool is_of(const aicpi_policy_scope *scope, const aicpi_policy_entity_type *type) {
    return aicpi_policy_str_eq(scope->type, type->name);
}

/* Whether an entity of `type` may be, or be in, the entity of the head. */
static aicpi_policy_typed to_entity(
    const aicpi_policy_checker *c,
    const aicpi_policy_scope *scope,
    const aicpi_policy_entity_type *type) {
    const aicpi_policy_uid *uid = scope->entity;
    if (!uid) {
        return of(AICPI_POLICY_BOOL);
    }
    const aicpi_policy_entity_type *other = aicpi_policy_schema_entity_type(c->schema, uid->type);
    if (!other || (other->action && !aicpi_policy_schema_action(c->schema, uid))) {
        return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
    }
    bool possible = scope->kind == AICPI_POLICY_SCOPE_EQ ? type == other
                                                         : aicpi_policy_entity_type_in(type, other);
    return of(possible ? AICPI_POLICY_BOOL : AICPI_POLICY_TYPE_FALSE);
}

aicpi_policy_typed aicpi_policy_typecheck_scope(
    aicpi_policy_checker *c,
    const aicpi_policy_scope *scope,
    const aicpi_policy_entity_type *type) {
    switch (scope->kind) {
    case AICPI_POLICY_SCOPE_EQ:
    case AICPI_POLICY_SCOPE_IN:
        return to_entity(c, scope, type);
    case AICPI_POLICY_SCOPE_IS:
        return of(is_of(scope, type) ? AICPI_POLICY_TYPE_TRUE : AICPI_POLICY_TYPE_FALSE);
    case AICPI_POLICY_SCOPE_IS_IN:
        return is_of(scope, type) ? to_entity(c, scope, type) : of(AICPI_POLICY_TYPE_FALSE);
    default:
        return of(AICPI_POLICY_TYPE_TRUE);
    }
}

/* The same, for whether the head applies at all: what is not declared matches nothing. */
static bool matches(
    const aicpi_policy_checker *c,
    const aicpi_policy_scope *scope,
    const aicpi_policy_entity_type *type) {
    bool is = scope->kind == AICPI_POLICY_SCOPE_IS || scope->kind == AICPI_POLICY_SCOPE_IS_IN;
    if ((is && !is_of(scope, type)) || !scope->entity) {
        return !is || is_of(scope, type);
    }
    const aicpi_policy_entity_type *other =
        aicpi_policy_schema_entity_type(c->schema, scope->entity->type);
    return other &&
           (scope->kind == AICPI_POLICY_SCOPE_EQ ? type == other
                                                 : aicpi_policy_entity_type_in(type, other));
}

/* ---- action ---- */

static uint32_t listed(const aicpi_policy_scope *scope, const aicpi_policy_uid *const **list) {
    bool one = scope->kind != AICPI_POLICY_SCOPE_IN_LIST;
    *list = one ? &scope->entity : scope->list;
    return one ? 1 : scope->count;
}

static bool same_types(const aicpi_policy_uid *const *list, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        if (!aicpi_policy_str_eq(list[i]->type, list[0]->type)) {
            return false;
        }
    }
    return true;
}

static bool action_in(const aicpi_policy_action *action, const aicpi_policy_uid *uid) {
    return aicpi_policy_uid_eq(action->entity.uid, uid) ||
           aicpi_policy_ancestors_have(
               action->entity.ancestors, action->entity.ancestor_count, uid);
}

aicpi_policy_typed aicpi_policy_typecheck_action(
    const aicpi_policy_checker *c,
    const aicpi_policy_scope *scope,
    const aicpi_policy_action *action) {
    const aicpi_policy_uid *const *list = NULL;
    uint32_t count = listed(scope, &list);
    bool found = false;
    if (scope->kind == AICPI_POLICY_SCOPE_ANY) {
        return of(AICPI_POLICY_TYPE_TRUE);
    }
    if (scope->kind == AICPI_POLICY_SCOPE_EQ) {
        found = aicpi_policy_uid_eq(action->entity.uid, scope->entity);
        return of(found ? AICPI_POLICY_TYPE_TRUE : AICPI_POLICY_TYPE_FALSE);
    }
    bool fine = !c->types.strict || (count > 0 && same_types(list, count));
    for (uint32_t i = 0; i < count && fine; i++) {
        fine = aicpi_policy_schema_action(c->schema, list[i]) != NULL;
        found |= action_in(action, list[i]);
    }
    if (!fine) {
        return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
    }
    return of(found ? AICPI_POLICY_TYPE_TRUE : AICPI_POLICY_TYPE_FALSE);
}

void aicpi_policy_check_action_list(aicpi_policy_checker *c, const aicpi_policy_scope *scope) {
    if (scope->kind != AICPI_POLICY_SCOPE_IN_LIST || !c->types.strict) {
        return;
    }
    if (scope->count == 0) {
        aicpi_policy_report_add(
            c->report, AICP_POLICY_FINDING_EMPTY_SET, scope->pos, "the list of actions is empty");
        return;
    }
    for (uint32_t i = 0; i < scope->count; i++) {
        if (!aicpi_policy_schema_action(c->schema, scope->list[i])) {
            return; /* noted elsewhere; the type is not known */
        }
    }
    if (!same_types(scope->list, scope->count)) {
        aicpi_policy_report_add(
            c->report,
            AICP_POLICY_FINDING_INCOMPATIBLE,
            scope->pos,
            "the listed actions are of different namespaces: write a policy for each");
    }
}

/* ---- does it apply ---- */

static bool any_matches(
    const aicpi_policy_checker *c,
    const aicpi_policy_scope *scope,
    const aicpi_policy_entity_type *const *types,
    uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (matches(c, scope, types[i])) {
            return true;
        }
    }
    return false;
}

static bool applies(
    const aicpi_policy_checker *c,
    const aicpi_policy_scope scope[3],
    const aicpi_policy_action *action) {
    return any_matches(
               c,
               &scope[AICPI_POLICY_VAR_PRINCIPAL],
               action->principals,
               action->principal_count) &&
           any_matches(
               c, &scope[AICPI_POLICY_VAR_RESOURCE], action->resources, action->resource_count);
}

static bool some_action_applies(const aicpi_policy_checker *c, const aicpi_policy_scope scope[3]) {
    const aicpi_policy_scope *part = &scope[AICPI_POLICY_VAR_ACTION];
    const aicpi_policy_uid *const *list = NULL;
    uint32_t listed_count = listed(part, &list);
    if (part->kind == AICPI_POLICY_SCOPE_EQ) {
        const aicpi_policy_action *action = aicpi_policy_schema_action(c->schema, part->entity);
        return action && applies(c, scope, action);
    }
    bool all = part->kind == AICPI_POLICY_SCOPE_ANY;
    for (uint32_t i = 0; i < listed_count && !all; i++) {
        if (!aicpi_policy_schema_action(c->schema, list[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < c->schema->action_count; i++) {
        const aicpi_policy_action *action = &c->schema->actions[i];
        bool in = all;
        for (uint32_t j = 0; j < listed_count && !in; j++) {
            in = action_in(action, list[j]);
        }
        if (in && applies(c, scope, action)) {
            return true;
        }
    }
    return false;
}

bool aicpi_policy_scope_applies(
    const aicpi_policy_checker *c, const aicpi_policy_scope scope[3], bool *in_fits) {
    *in_fits = false;
    if (some_action_applies(c, scope)) {
        return true;
    }
    aicpi_policy_scope wider[3];
    memcpy(wider, scope, sizeof wider);
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        if (var != AICPI_POLICY_VAR_ACTION && wider[var].kind == AICPI_POLICY_SCOPE_EQ) {
            wider[var].kind = AICPI_POLICY_SCOPE_IN;
        }
    }
    *in_fits = some_action_applies(c, wider);
    return false;
}
