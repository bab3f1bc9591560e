/* Operators and calls. */
#include "lib/policy/typecheck.h"

#include "lib/policy/brief.h"
#include "lib/policy/extension.h"

#define USE(kind) AICPI_POLICY_USE(AICPI_POLICY_##kind)
#define USE_ANY UINT32_MAX

static const aicpi_policy_typed unknown = {NULL, true};

static aicpi_policy_typed
operand(aicpi_policy_checker *c, uint8_t op, const aicpi_policy_expr *e, uint32_t uses) {
    return aicpi_policy_typecheck_operand(c, op, e, uses);
}

/* In strict mode both types must have one above them. */
static bool fits(
    aicpi_policy_checker *c,
    const aicpi_policy_expr *e,
    const aicpi_policy_type *a,
    const aicpi_policy_type *b,
    const char *where) {
    if (!c->types.strict || !a || !b || aicpi_policy_type_join(&c->types, a, b)) {
        return true;
    }
    aicpi_policy_typed_incompatible(c, e->pos, a, b, where);
    return false;
}

/* ---- equality and order ---- */

/* The value of a literal, or of `action`, which an environment fixes. */
static aicpi_policy_value literal(const aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    if (e->op == AICPI_POLICY_OP_CONST) {
        return e->u.value;
    }
    bool action = e->op == AICPI_POLICY_OP_VAR && e->arg == AICPI_POLICY_VAR_ACTION;
    return action ? aicpi_policy_of_entity(c->env.action->entity.uid) : aicpi_policy_of_none();
}

static aicpi_policy_typed check_equal(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a = operand(c, e->op, e->u.of.a, USE_ANY);
    aicpi_policy_typed b = operand(c, e->op, e->u.of.b, USE_ANY);
    bool failed = a.failed || b.failed;
    if (a.type && b.type && aicpi_policy_types_disjoint(a.type, b.type)) {
        return aicpi_policy_typed_of(AICPI_POLICY_TYPE_FALSE, failed);
    }
    aicpi_policy_value x = literal(c, e->u.of.a);
    aicpi_policy_value y = literal(c, e->u.of.b);
    if (x.kind && y.kind) {
        bool same = aicpi_policy_value_eq(x, y);
        return aicpi_policy_typed_of(
            same ? AICPI_POLICY_TYPE_TRUE : AICPI_POLICY_TYPE_FALSE, failed);
    }
    failed |= !fits(c, e, a.type, b.type, e->op == AICPI_POLICY_OP_EQ ? "==" : "!=");
    return aicpi_policy_typed_of(AICPI_POLICY_BOOL, failed);
}

#define USE_ORDERED (USE(LONG) | USE(DATETIME) | USE(DURATION))

/* Both sides are of one of the ordered types; the side that is not is the one at fault. */
static aicpi_policy_typed check_order(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a = operand(c, e->op, e->u.of.a, USE_ANY);
    aicpi_policy_typed b = operand(c, e->op, e->u.of.b, USE_ANY);
    if (!a.type || !b.type) {
        return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
    }
    uint32_t left = aicpi_policy_type_uses(a.type) & USE_ORDERED;
    uint32_t right = aicpi_policy_type_uses(b.type) & USE_ORDERED;
    bool failed = a.failed || b.failed;
    if (!left || !right || !(left & right)) {
        failed = true;
        /* Two ordered types that differ: a Long is what the other should be. */
        bool blame_left = !left || (right == USE(LONG) && left);
        bool blame_right = !right || !blame_left;
        if (blame_left) {
            aicpi_policy_typed_expect(c, e->op, e->u.of.a->pos, a, right ? right : USE_ORDERED);
        }
        if (blame_right) {
            aicpi_policy_typed_expect(c, e->op, e->u.of.b->pos, b, left ? left : USE_ORDERED);
        }
    }
    return aicpi_policy_typed_of(AICPI_POLICY_BOOL, failed);
}

/* ---- numbers ---- */

static aicpi_policy_typed check_arithmetic(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    bool failed = false;
    for (uint32_t i = 0; i < e->count; i++) {
        failed |= operand(c, AICPI_POLICY_OP_SUM, e->u.operands[i].expr, USE(LONG)).failed;
    }
    return aicpi_policy_typed_of(AICPI_POLICY_LONG, failed);
}

/* ---- hierarchy ---- */

static bool action_in(const aicpi_policy_action *below, const aicpi_policy_action *above) {
    return below == above ||
           aicpi_policy_ancestors_have(
               below->entity.ancestors, below->entity.ancestor_count, above->entity.uid);
}

/* Whether an action, named on the left of `in`, is in some of the entities named on the right: the
 * schema says all about actions. Unknown: when one of them is not declared. */
static aicpi_policy_typed check_action_in(
    const aicpi_policy_checker *c, const aicpi_policy_uid *left, const aicpi_policy_expr *right) {
    bool list = right->op == AICPI_POLICY_OP_SET;
    uint32_t count = list ? right->count : 1;
    const aicpi_policy_action *below = aicpi_policy_schema_action(c->schema, left);
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        const aicpi_policy_expr *item = list ? right->u.operands[i].expr : right;
        const aicpi_policy_uid *uid = literal(c, item).u.entity;
        if (!aicpi_policy_is_action_type(uid->type)) {
            continue; /* an action is never in something else */
        }
        const aicpi_policy_action *above = aicpi_policy_schema_action(c->schema, uid);
        if (!above) {
            return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
        }
        found |= below && action_in(below, above);
    }
    return aicpi_policy_typed_of(found ? AICPI_POLICY_TYPE_TRUE : AICPI_POLICY_TYPE_FALSE, false);
}

static bool all_entity_literals(const aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    bool list = e->op == AICPI_POLICY_OP_SET;
    uint32_t count = list ? e->count : 1;
    for (uint32_t i = 0; i < count; i++) {
        if (literal(c, list ? e->u.operands[i].expr : e).kind != AICPI_POLICY_ENTITY) {
            return false;
        }
    }
    return true;
}

/* Whether some entity of the one may be in some entity of the other. */
static bool may_be_in(const aicpi_policy_type *a, const aicpi_policy_type *b) {
    uint32_t na = 0;
    uint32_t nb = 0;
    const aicpi_policy_entity_type *const *la = aicpi_policy_type_entities(a, &na);
    const aicpi_policy_entity_type *const *lb = aicpi_policy_type_entities(b, &nb);
    for (uint32_t i = 0; i < na; i++) {
        for (uint32_t j = 0; j < nb; j++) {
            if (aicpi_policy_entity_type_in(la[i], lb[j])) {
                return true;
            }
        }
    }
    return na == 0 || nb == 0;
}

/* `left in right`; the type of `left`, an entity or unknown, is there. */
static aicpi_policy_typed check_in(
    aicpi_policy_checker *c,
    const aicpi_policy_expr *left,
    aicpi_policy_typed a,
    const aicpi_policy_expr *right) {
    aicpi_policy_typed b =
        operand(c, AICPI_POLICY_OP_IN, right, USE(ENTITY) | AICPI_POLICY_USE_ENTITY_SET);
    if (a.failed || b.failed) {
        return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
    }
    aicpi_policy_value named = literal(c, left);
    if (named.kind == AICPI_POLICY_ENTITY && aicpi_policy_is_action_type(named.u.entity->type) &&
        all_entity_literals(c, right)) {
        return check_action_in(c, named.u.entity, right);
    }
    const aicpi_policy_type *group = b.type->kind == AICPI_POLICY_SET ? b.type->u.element : b.type;
    return aicpi_policy_typed_of(
        may_be_in(a.type, group) ? AICPI_POLICY_BOOL : AICPI_POLICY_TYPE_FALSE, false);
}

static aicpi_policy_typed check_is(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a = operand(c, e->op, e->u.named.a, USE(ENTITY));
    aicpi_policy_typed is = aicpi_policy_typed_of(AICPI_POLICY_BOOL, a.failed);
    if (a.type) {
        uint32_t count = 0;
        const aicpi_policy_entity_type *const *list = aicpi_policy_type_entities(a.type, &count);
        bool possible = false;
        for (uint32_t i = 0; i < count; i++) {
            possible |= aicpi_policy_str_eq(list[i]->name, e->u.named.name);
        }
        is.type = aicpi_policy_type_plain(
            !possible    ? AICPI_POLICY_TYPE_FALSE
            : count == 1 ? AICPI_POLICY_TYPE_TRUE
                         : AICPI_POLICY_BOOL);
    }
    if (!e->u.named.b || aicpi_policy_typed_is(is, AICPI_POLICY_TYPE_FALSE)) {
        return is;
    }
    return aicpi_policy_typed_and(is, check_in(c, e->u.named.a, a, e->u.named.b));
}

/* ---- sets ---- */

static aicpi_policy_typed check_contains(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a = operand(c, e->op, e->u.of.a, USE(SET));
    aicpi_policy_typed b = operand(c, e->op, e->u.of.b, USE_ANY);
    const aicpi_policy_type *element = a.type ? a.type->u.element : NULL;
    bool fine = fits(c, e, element, b.type, "contains()");
    return aicpi_policy_typed_of(AICPI_POLICY_BOOL, !fine || a.failed || b.failed);
}

static aicpi_policy_typed check_contains_sets(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a = operand(c, e->op, e->u.of.a, USE(SET));
    aicpi_policy_typed b = operand(c, e->op, e->u.of.b, USE(SET));
    bool all = e->op == AICPI_POLICY_OP_CONTAINS_ALL;
    bool fine = fits(c, e, a.type, b.type, all ? "containsAll()" : "containsAny()");
    return aicpi_policy_typed_of(AICPI_POLICY_BOOL, !fine || a.failed || b.failed);
}

/* ---- tags ---- */

/* Number of `a.getTag(b)`, whose proof is what both operators are about. */
static uint32_t tag_form(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    uint32_t a = aicpi_policy_form_of(&c->known, e->u.of.a);
    uint32_t b = aicpi_policy_form_of(&c->known, e->u.of.b);
    return aicpi_policy_form_tag(&c->known, a, b);
}

static aicpi_policy_typed check_has_tag(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a = operand(c, e->op, e->u.of.a, USE(ENTITY));
    aicpi_policy_typed b = operand(c, e->op, e->u.of.b, USE(STRING));
    if (!a.type) {
        return unknown;
    }
    bool any = false;
    bool failed = a.failed || b.failed;
    aicpi_policy_type_tags(&c->types, a.type, &any);
    uint32_t form = tag_form(c, e);
    bool held = aicpi_policy_holds(&c->known, form);
    if (!failed) {
        aicpi_policy_prove(&c->known, form);
    }
    return aicpi_policy_typed_of(
        !any   ? AICPI_POLICY_TYPE_FALSE
        : held ? AICPI_POLICY_TYPE_TRUE
               : AICPI_POLICY_BOOL,
        failed);
}

/* A finding about a.getTag(b); apart, so that its room is not taken on every level. */
__attribute__((cold, noinline)) static aicpi_policy_typed bad_tag(
    aicpi_policy_checker *c, const aicpi_policy_expr *e, const aicpi_policy_type *a, int32_t kind) {
    char type[AICPI_POLICY_TYPE_TEXT_SIZE];
    aicpi_policy_type_text(a, type);
    const char *what = kind == AICP_POLICY_FINDING_TAG
                           ? "need not have this tag: test with .hasTag() and the same name first"
                       : kind == AICP_POLICY_FINDING_NO_TAGS
                           ? "has no tags in the schema"
                           : "has tags whose types do not fit together";
    aicpi_policy_report_add(c->report, kind, e->pos, "an entity of type %s %s", type, what);
    return unknown;
}

static aicpi_policy_typed check_get_tag(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a = operand(c, e->op, e->u.of.a, USE(ENTITY));
    aicpi_policy_typed b = operand(c, e->op, e->u.of.b, USE(STRING));
    if (!a.type) {
        return unknown;
    }
    if (!aicpi_policy_holds(&c->known, tag_form(c, e))) {
        return bad_tag(c, e, a.type, AICP_POLICY_FINDING_TAG);
    }
    bool any = false;
    const aicpi_policy_type *tags = aicpi_policy_type_tags(&c->types, a.type, &any);
    if (!any || !tags) {
        return bad_tag(
            c, e, a.type, any ? AICP_POLICY_FINDING_INCOMPATIBLE : AICP_POLICY_FINDING_NO_TAGS);
    }
    return (aicpi_policy_typed){tags, a.failed || b.failed};
}

/* ---- functions ---- */

/* A constructor on one literal: whether it reads as a value. */
__attribute__((noinline)) static bool
check_literal(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    const aicpi_policy_expr *arg = e->count == 1 ? e->u.operands[0].expr : NULL;
    if (!arg || arg->op != AICPI_POLICY_OP_CONST || arg->u.value.kind != AICPI_POLICY_STRING) {
        return true;
    }
    aicpi_policy_value value;
    aicpi_policy_fault fault;
    if (aicpi_policy_fn_call(e->arg, &arg->u.value, 1, c->types.arena, &value, &fault)) {
        return true;
    }
    if (!fault.reason) {
        c->types.status = AICP_ERR_NOMEM;
        return false;
    }
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_ARGUMENT,
        arg->pos,
        "%s(\"%s\"): %s",
        aicpi_policy_fns[e->arg].name,
        aicpi_policy_brief_str(arg->u.value.u.string).text,
        fault.reason);
    return false;
}

static bool has_computed_argument(const aicpi_policy_expr *e) {
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->u.operands[i].expr->op != AICPI_POLICY_OP_CONST) {
            return true;
        }
    }
    return false;
}

/* What is wrong with a call whatever the types of its arguments are. */
static bool check_form(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    const aicpi_policy_fn *fn = &aicpi_policy_fns[e->arg];
    bool fine = e->count == fn->args;
    if (!fine) {
        unsigned receiver = fn->method;
        aicpi_policy_report_add(
            c->report,
            AICP_POLICY_FINDING_ARGUMENTS,
            e->pos,
            "%s takes %u argument%s, found %u",
            fn->name,
            fn->args - receiver,
            fn->args - receiver == 1 ? "" : "s",
            (unsigned)e->count - receiver);
    }
    if (!fn->method && !check_literal(c, e)) {
        fine = false;
    }
    if (!fn->method && c->types.strict && has_computed_argument(e)) {
        fine = false;
        aicpi_policy_report_add(
            c->report,
            AICP_POLICY_FINDING_CONSTRUCTOR,
            e->pos,
            "%s needs a string literal: what is computed may not be a valid one",
            fn->name);
    }
    return fine;
}

static aicpi_policy_typed check_call(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    uint32_t kinds[2];
    aicpi_policy_fn_argument_kinds(e->arg, kinds);
    bool fine = check_form(c, e);
    bool failed = !fine;
    for (uint32_t i = 0; i < e->count; i++) {
        uint32_t uses = fine ? AICPI_POLICY_USE(kinds[i]) : USE_ANY;
        failed |= operand(c, e->op, e->u.operands[i].expr, uses).failed;
    }
    return aicpi_policy_typed_of(aicpi_policy_fn_result_kind(e->arg), failed);
}

/* ---- all ---- */

static aicpi_policy_typed check_not(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    return aicpi_policy_typed_not(operand(c, e->op, e->u.of.a, USE(BOOL)));
}

/* Operators on one operand of one type, with a result of another. */
static aicpi_policy_typed check_simple(
    aicpi_policy_checker *c,
    uint8_t op,
    const aicpi_policy_expr *a,
    uint32_t use,
    uint32_t result) {
    return aicpi_policy_typed_of(result, operand(c, op, a, use).failed);
}

aicpi_policy_typed aicpi_policy_typecheck_op(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_NOT:
        return check_not(c, e);
    case AICPI_POLICY_OP_NEG:
        return check_simple(c, e->op, e->u.of.a, USE(LONG), AICPI_POLICY_LONG);
    case AICPI_POLICY_OP_IS_EMPTY:
        return check_simple(c, e->op, e->u.of.a, USE(SET), AICPI_POLICY_BOOL);
    case AICPI_POLICY_OP_LIKE:
        return check_simple(c, e->op, e->u.like.a, USE(STRING), AICPI_POLICY_BOOL);
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
        return check_arithmetic(c, e);
    case AICPI_POLICY_OP_EQ:
        return check_equal(c, e);
    case AICPI_POLICY_OP_NE:
        return aicpi_policy_typed_not(check_equal(c, e));
    case AICPI_POLICY_OP_IN:
        return check_in(c, e->u.of.a, operand(c, e->op, e->u.of.a, USE(ENTITY)), e->u.of.b);
    case AICPI_POLICY_OP_IS:
        return check_is(c, e);
    case AICPI_POLICY_OP_CONTAINS:
        return check_contains(c, e);
    case AICPI_POLICY_OP_CONTAINS_ALL:
    case AICPI_POLICY_OP_CONTAINS_ANY:
        return check_contains_sets(c, e);
    case AICPI_POLICY_OP_HAS_TAG:
        return check_has_tag(c, e);
    case AICPI_POLICY_OP_GET_TAG:
        return check_get_tag(c, e);
    case AICPI_POLICY_OP_CALL:
        return check_call(c, e);
    default:
        return check_order(c, e);
    }
}
