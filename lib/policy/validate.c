#include "lib/policy/validate.h"

#include "lib/base/alloc.h"
#include "lib/base/error.h"

#define FLAGS_KNOWN (AICP_POLICY_VALIDATE_PERMISSIVE | AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS)

/* What decides on the types of a condition, as far as it uses it, and on whether a link applies. */
typedef struct case_key {
    const void *of;
    const void *principal;
    const void *resource;
} case_key;

typedef struct validator {
    aicpi_policy_checker c;
    aicp_allocator allocator;
    aicpi_arena kept;    /* as long as the validator */
    aicpi_arena scratch; /* of one environment */
    aicpi_arena policy;  /* of one policy */
    aicpi_map seen;      /* environments of the policy at hand, as far as its conditions differ */
    aicpi_map links;     /* template and types of the values: whether a link applies */
    bool nomem;
} validator;

void aicp_policy_validate_options_init(aicp_policy_validate_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

/* True when the key was not in the map. *slot NULL: out of memory. */
static bool
put_case(validator *v, aicpi_map *map, aicpi_arena *arena, case_key key, aicpi_map_slot **slot) {
    *slot = aicpi_map_find(map, (const char *)&key, sizeof key);
    if (*slot) {
        return false;
    }
    bool inserted = false;
    const char *copy = aicpi_arena_strndup(arena, (const char *)&key, sizeof key);
    *slot = copy ? aicpi_map_put(map, copy, sizeof key, &inserted) : NULL;
    v->nomem |= !*slot;
    return true;
}

/* ---- conditions ---- */

/* Type of all conditions together, in the environment at hand. */
static aicpi_policy_typed
check_conditions(aicpi_policy_checker *c, const aicpi_policy_ast *ast, aicpi_policy_typed all) {
    size_t held = 0;
    c->known.proof_count = 0;
    for (uint32_t i = 0; i < ast->condition_count; i++) {
        const aicpi_policy_condition *cond = &ast->conditions[i];
        aicpi_policy_typed t = aicpi_policy_typecheck_bool(c, cond->expr);
        if (cond->unless) {
            aicpi_policy_drop(&c->known, held);
            t = aicpi_policy_typed_not(t);
        }
        all = aicpi_policy_typed_and(all, t);
        if (all.failed) {
            aicpi_policy_release(&c->known, 0, held);
            aicpi_policy_drop(&c->known, 0);
            held = 0;
        }
        if (aicpi_policy_typed_is(all, AICPI_POLICY_TYPE_FALSE)) {
            break;
        }
        aicpi_policy_hold(&c->known, held, c->known.proof_count);
        held = c->known.proof_count;
    }
    aicpi_policy_release(&c->known, 0, held);
    return all;
}

typedef struct policy_check {
    const aicpi_policy_rule *rule;
    uint32_t vars; /* that its conditions use */
    bool possible; /* it is not false in every environment */
    bool list_noted;
} policy_check;

/* One environment whose head is not false, but of type `head`. */
static void check_environment(validator *v, policy_check *p, aicpi_policy_typed head) {
    aicpi_policy_checker *c = &v->c;
    bool action = p->vars & 1u << AICPI_POLICY_VAR_ACTION;
    bool context = p->vars & 1u << AICPI_POLICY_VAR_CONTEXT;
    case_key key = {
        .of = action    ? (const void *)c->env.action
              : context ? c->env.action->context
                        : NULL,
        .principal = p->vars & 1u << AICPI_POLICY_VAR_PRINCIPAL ? c->env.principal : NULL,
        .resource = p->vars & 1u << AICPI_POLICY_VAR_RESOURCE ? c->env.resource : NULL};
    aicpi_map_slot *slot = NULL;
    bool whole = action && key.principal && key.resource;
    if (!whole && !put_case(v, &v->seen, &v->policy, key, &slot)) {
        return;
    }
    c->types.steps = 0;
    aicpi_arena_reset(&v->scratch);
    aicpi_policy_typed t = check_conditions(c, p->rule->ast, head);
    p->possible |= !aicpi_policy_typed_is(t, AICPI_POLICY_TYPE_FALSE);
}

static bool gives_up(const validator *v) {
    return v->nomem || v->c.types.status != AICP_OK || v->c.known.nomem || v->c.report->nomem;
}

static void check_action(validator *v, policy_check *p, const aicpi_policy_action *action) {
    aicpi_policy_checker *c = &v->c;
    const aicpi_policy_scope *scope = p->rule->ast->scope;
    aicpi_policy_typed allowed =
        aicpi_policy_typecheck_action(c, &scope[AICPI_POLICY_VAR_ACTION], action);
    bool never = aicpi_policy_typed_is(allowed, AICPI_POLICY_TYPE_FALSE);
    c->env.action = action;
    for (uint32_t i = 0; i < action->principal_count && !never && !gives_up(v); i++) {
        c->env.principal = action->principals[i];
        aicpi_policy_typed who = aicpi_policy_typecheck_scope(
            c, &scope[AICPI_POLICY_VAR_PRINCIPAL], action->principals[i]);
        if (aicpi_policy_typed_is(who, AICPI_POLICY_TYPE_FALSE)) {
            continue;
        }
        if (!p->list_noted) {
            aicpi_policy_check_action_list(c, &scope[AICPI_POLICY_VAR_ACTION]);
            p->list_noted = true;
        }
        for (uint32_t j = 0; j < action->resource_count && !gives_up(v); j++) {
            c->env.resource = action->resources[j];
            aicpi_policy_typed what = aicpi_policy_typecheck_scope(
                c, &scope[AICPI_POLICY_VAR_RESOURCE], action->resources[j]);
            if (!aicpi_policy_typed_is(what, AICPI_POLICY_TYPE_FALSE)) {
                aicpi_policy_typed head = aicpi_policy_typed_and(who, allowed);
                check_environment(v, p, aicpi_policy_typed_and(head, what));
            }
        }
    }
}

/* ---- policies ---- */

static void note_inapplicable(validator *v, uint32_t pos, bool in_fits) {
    aicpi_policy_report_add(
        v->c.report,
        AICP_POLICY_FINDING_INAPPLICABLE,
        pos,
        "no action of the schema that this head allows applies to such a principal and resource%s",
        in_fits ? "; it would with 'in' instead of '=='" : "");
}

/* A static policy or a template. */
static void check_policy(validator *v, const aicpi_policy_rule *rule) {
    aicpi_policy_checker *c = &v->c;
    policy_check p = {.rule = rule};
    bool in_fits = false;
    aicpi_policy_check_names(c, rule, &p.vars);
    if (!aicpi_policy_scope_applies(c, rule->ast->scope, &in_fits)) {
        note_inapplicable(v, rule->ast->pos, in_fits);
    }
    const aicpi_policy_scope *scope = &rule->ast->scope[AICPI_POLICY_VAR_ACTION];
    if (scope->kind == AICPI_POLICY_SCOPE_EQ) {
        const aicpi_policy_action *action = aicpi_policy_schema_action(c->schema, scope->entity);
        if (action) {
            check_action(v, &p, action);
        }
    } else {
        for (uint32_t i = 0; i < c->schema->action_count && !gives_up(v); i++) {
            check_action(v, &p, &c->schema->actions[i]);
        }
    }
    if (!p.possible) {
        aicpi_policy_report_add(
            c->report,
            AICP_POLICY_FINDING_IMPOSSIBLE,
            rule->ast->pos,
            "the policy never applies: its conditions are false for every action, principal and "
            "resource of the schema that it allows");
    }
    aicpi_policy_capabilities_reset(&c->known);
    aicpi_arena_reset(&v->policy);
    if (v->seen.count > 0) {
        aicpi_map_deinit(&v->seen);
        aicpi_map_init(&v->seen, &v->allocator);
    }
}

/* Its template was checked for whatever may fill the slots; here it is seen what does. */
static void check_link(validator *v, const aicpi_policy_rule *rule) {
    aicpi_policy_checker *c = &v->c;
    const aicpi_policy_entity_type *types[3] = {NULL};
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        const aicpi_policy_scope *scope = &rule->scope[var];
        if (scope->slot) {
            aicpi_policy_check_slot(c, scope->entity, rule->ast->pos);
            types[var] = aicpi_policy_schema_entity_type(c->schema, scope->entity->type);
        }
    }
    case_key key = {rule->ast, types[AICPI_POLICY_VAR_PRINCIPAL], types[AICPI_POLICY_VAR_RESOURCE]};
    enum { NO, NO_BUT_IN, YES };
    aicpi_map_slot *slot = NULL;
    if (put_case(v, &v->links, &v->kept, key, &slot) && slot) {
        bool in_fits = false;
        bool applies = aicpi_policy_scope_applies(c, rule->scope, &in_fits);
        slot->value.u64 = applies ? YES : in_fits ? NO_BUT_IN : NO;
    }
    if (slot && slot->value.u64 != YES) {
        note_inapplicable(v, rule->ast->pos, slot->value.u64 == NO_BUT_IN);
    }
}

static void check_rule(validator *v, const aicpi_policy_rule *rule, bool template, size_t index) {
    aicpi_policy_report_begin(v->c.report, rule, template, index);
    if (!template && aicpi_policy_is_template(rule->ast)) {
        check_link(v, rule);
    } else {
        check_policy(v, rule);
    }
}

/* ---- the whole ---- */

static bool make_entity_types(validator *v, const aicp_policy_schema *schema) {
    aicpi_policy_type *types =
        aicpi_arena_calloc(&v->kept, schema->entity_type_count, sizeof *types);
    for (uint32_t i = 0; types && i < schema->entity_type_count; i++) {
        types[i] =
            (aicpi_policy_type){.kind = AICPI_POLICY_ENTITY, .u.entity = &schema->entity_types[i]};
    }
    v->c.entity_types = types;
    return types != NULL;
}

static aicp_status outcome(const validator *v, aicp_error *err) {
    if (v->nomem || v->c.known.nomem || v->c.report->nomem) {
        return aicpi_nomem(err);
    }
    switch (v->c.types.status) {
    case AICP_OK:
        return AICP_OK;
    case AICP_ERR_NOMEM:
        return aicpi_nomem(err);
    case AICP_ERR_POLICY_DEPTH:
        return aicpi_fail(err, AICP_ERR_POLICY_DEPTH, "types of the schema are nested too deep");
    default:
        return aicpi_fail(err, AICP_ERR_LIMIT, "types of the schema are too large to be compared");
    }
}

static aicp_status
run(const aicp_policy_set *set,
    const aicp_policy_schema *schema,
    aicp_policy_report *report,
    aicp_error *err) {
    aicp_allocator a = report->allocator;
    validator v = {.allocator = a};
    aicpi_arena_init(&v.kept, &a, 0, 0);
    aicpi_arena_init(&v.scratch, &a, 0, 0);
    aicpi_arena_init(&v.policy, &a, 0, 0);
    aicpi_map_init(&v.seen, &a);
    aicpi_map_init(&v.links, &a);
    v.c.schema = schema;
    v.c.report = report;
    v.c.types.arena = &v.scratch;
    v.c.types.strict = !(report->flags & AICP_POLICY_VALIDATE_PERMISSIVE);
    aicpi_policy_capabilities_init(&v.c.known, &a);
    v.nomem = !make_entity_types(&v, schema);
    for (size_t i = 0; i < set->count && !gives_up(&v); i++) {
        check_rule(&v, &set->rules[i], false, i);
    }
    for (size_t i = 0; i < set->template_count && !gives_up(&v); i++) {
        check_rule(&v, &set->templates[i], true, i);
    }
    aicp_status status = outcome(&v, err);
    aicpi_policy_capabilities_deinit(&v.c.known);
    aicpi_map_deinit(&v.links);
    aicpi_map_deinit(&v.seen);
    aicpi_arena_deinit(&v.policy);
    aicpi_arena_deinit(&v.scratch);
    aicpi_arena_deinit(&v.kept);
    return status;
}

aicp_status aicp_policy_validate(
    const aicp_policy_set *set,
    const aicp_policy_schema *schema,
    const aicp_policy_validate_options *options,
    aicp_policy_report **out,
    aicp_error *err) {
    *out = NULL;
    aicp_policy_validate_options o;
    aicp_status status =
        aicpi_options_copy(&o, sizeof o, options, "aicp_policy_validate_options", err);
    if (status != AICP_OK) {
        return status;
    }
    if (o.flags & ~FLAGS_KNOWN) {
        return aicpi_fail(err, AICP_ERR_INVALID, "unknown flags 0x%x", (unsigned)o.flags);
    }
    aicp_policy_report *report = aicpi_policy_report_new(set, &o);
    if (!report) {
        return aicpi_nomem(err);
    }
    status = run(set, schema, report, err);
    aicpi_policy_report_finish(report);
    if (status != AICP_OK) {
        aicp_policy_report_free(report);
        return status;
    }
    *out = report;
    return AICP_OK;
}
