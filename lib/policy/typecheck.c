#include "lib/policy/typecheck.h"

#include "lib/policy/brief.h"
#include "lib/policy/suggest.h"

#include <stdio.h>

/* Functions that need room for a message stay out of those that recurse. */
#define APART __attribute__((cold, noinline))

static const aicpi_policy_typed unknown = {NULL, true};

/* ---- what is expected ---- */

/* "Long", "an entity or a record": what `uses` stands for. */
static void uses_text(uint32_t uses, char *out, size_t size) {
    static const struct {
        uint32_t use;
        const char *text;
    } names[] = {
        {AICPI_POLICY_USE(AICPI_POLICY_BOOL), "Bool"},
        {AICPI_POLICY_USE(AICPI_POLICY_LONG), "Long"},
        {AICPI_POLICY_USE(AICPI_POLICY_STRING), "String"},
        {AICPI_POLICY_USE(AICPI_POLICY_DECIMAL), "decimal"},
        {AICPI_POLICY_USE(AICPI_POLICY_IP), "ipaddr"},
        {AICPI_POLICY_USE(AICPI_POLICY_DATETIME), "datetime"},
        {AICPI_POLICY_USE(AICPI_POLICY_DURATION), "duration"},
        {AICPI_POLICY_USE(AICPI_POLICY_ENTITY), "an entity"},
        {AICPI_POLICY_USE_ENTITY_SET, "a set of entities"},
        {AICPI_POLICY_USE(AICPI_POLICY_SET), "a set"},
        {AICPI_POLICY_USE(AICPI_POLICY_RECORD), "a record"},
    };
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (uses & names[i].use) {
            int n = snprintf(out + len, size - len, "%s%s", len > 0 ? " or " : "", names[i].text);
            len += (size_t)n < size - len ? (size_t)n : size - len - 1;
        }
    }
}

/* What somebody who writes `op` on a value of that kind may have meant. */
static const char *advice(uint8_t op, uint32_t uses) {
    static const struct {
        uint8_t op;
        uint8_t kind;
        const char *text;
    } table[] = {
        {AICPI_POLICY_OP_HAS, AICPI_POLICY_SET, "; an element is looked for with .contains()"},
        {AICPI_POLICY_OP_HAS, AICPI_POLICY_STRING, "; texts are matched with like"},
        {AICPI_POLICY_OP_LIKE, AICPI_POLICY_ENTITY, "; an entity's type is tested with is"},
        {AICPI_POLICY_OP_CONTAINS, AICPI_POLICY_ENTITY, "; groups are tested with in"},
        {AICPI_POLICY_OP_CONTAINS, AICPI_POLICY_RECORD, "; attributes are tested with has"},
        {AICPI_POLICY_OP_CONTAINS, AICPI_POLICY_STRING, "; texts are matched with like"},
        {AICPI_POLICY_OP_CONTAINS_ALL, AICPI_POLICY_ENTITY, "; groups are tested with in"},
        {AICPI_POLICY_OP_CONTAINS_ANY, AICPI_POLICY_ENTITY, "; groups are tested with in"},
        {AICPI_POLICY_OP_IN, AICPI_POLICY_SET, "; an element is looked for with .contains()"},
        {AICPI_POLICY_OP_IN, AICPI_POLICY_STRING, "; texts are matched with like"},
        {AICPI_POLICY_OP_IN, AICPI_POLICY_LONG, "; an element is looked for with .contains()"},
        {AICPI_POLICY_OP_IS, AICPI_POLICY_RECORD, "; is tests the types of entities only"},
        {AICPI_POLICY_OP_SUM, AICPI_POLICY_STRING, "; strings cannot be joined"},
        {AICPI_POLICY_OP_SUM, AICPI_POLICY_SET, "; sets cannot be added or subtracted"},
        {AICPI_POLICY_OP_IS_EMPTY, AICPI_POLICY_STRING, "; compare a text with \"\""},
        {AICPI_POLICY_OP_LT, AICPI_POLICY_DECIMAL, "; decimals have .lessThan() and the like"},
        {AICPI_POLICY_OP_LE, AICPI_POLICY_DECIMAL, "; decimals have .lessThan() and the like"},
        {AICPI_POLICY_OP_GT, AICPI_POLICY_DECIMAL, "; decimals have .greaterThan() and the like"},
        {AICPI_POLICY_OP_GE, AICPI_POLICY_DECIMAL, "; decimals have .greaterThan() and the like"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].op == op && (uses & AICPI_POLICY_USE(table[i].kind))) {
            return table[i].text;
        }
    }
    return "";
}

APART static void unexpected(
    aicpi_policy_checker *c, uint8_t op, uint32_t pos, const aicpi_policy_type *t, uint32_t uses) {
    char expected[128];
    char type[AICPI_POLICY_TYPE_TEXT_SIZE];
    uses_text(uses, expected, sizeof expected);
    aicpi_policy_type_text(t, type);
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_TYPE,
        pos,
        "expected %s, found %s%s",
        expected,
        type,
        advice(op, aicpi_policy_type_uses(t)));
}

aicpi_policy_typed aicpi_policy_typed_expect(
    aicpi_policy_checker *c, uint8_t op, uint32_t pos, aicpi_policy_typed t, uint32_t uses) {
    if (!t.type) {
        return unknown;
    }
    if (!(aicpi_policy_type_uses(t.type) & uses)) {
        unexpected(c, op, pos, t.type, uses);
        return unknown;
    }
    return t;
}

aicpi_policy_typed aicpi_policy_typecheck_operand(
    aicpi_policy_checker *c, uint8_t op, const aicpi_policy_expr *e, uint32_t uses) {
    size_t base = c->known.proof_count;
    aicpi_policy_typed t = aicpi_policy_typecheck(c, e);
    aicpi_policy_drop(&c->known, base);
    return aicpi_policy_typed_expect(c, op, e->pos, t, uses);
}

aicpi_policy_typed
aicpi_policy_typecheck_bool(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    size_t base = c->known.proof_count;
    aicpi_policy_typed t = aicpi_policy_typed_expect(
        c,
        AICPI_POLICY_OP_AND,
        e->pos,
        aicpi_policy_typecheck(c, e),
        AICPI_POLICY_USE(AICPI_POLICY_BOOL));
    if (t.failed) {
        aicpi_policy_drop(&c->known, base);
    }
    return t;
}

void aicpi_policy_typed_incompatible(
    aicpi_policy_checker *c,
    uint32_t pos,
    const aicpi_policy_type *a,
    const aicpi_policy_type *b,
    const char *where) {
    char first[AICPI_POLICY_TYPE_TEXT_SIZE];
    char second[AICPI_POLICY_TYPE_TEXT_SIZE];
    aicpi_policy_type_text(a, first);
    aicpi_policy_type_text(b, second);
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_INCOMPATIBLE,
        pos,
        "the types %s and %s do not fit together in %s",
        first,
        second,
        where);
}

/* ---- logic ---- */

aicpi_policy_typed aicpi_policy_typed_and(aicpi_policy_typed a, aicpi_policy_typed b) {
    bool failed = a.failed || b.failed;
    if (!a.type || !b.type) {
        return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
    }
    if (aicpi_policy_typed_is(b, AICPI_POLICY_TYPE_FALSE)) {
        return aicpi_policy_typed_of(AICPI_POLICY_TYPE_FALSE, failed);
    }
    if (aicpi_policy_typed_is(b, AICPI_POLICY_TYPE_TRUE)) {
        return (aicpi_policy_typed){a.type, failed};
    }
    if (aicpi_policy_typed_is(a, AICPI_POLICY_TYPE_TRUE)) {
        return (aicpi_policy_typed){b.type, failed};
    }
    return aicpi_policy_typed_of(AICPI_POLICY_BOOL, failed);
}

aicpi_policy_typed aicpi_policy_typed_not(aicpi_policy_typed a) {
    if (aicpi_policy_typed_is(a, AICPI_POLICY_TYPE_TRUE)) {
        return aicpi_policy_typed_of(AICPI_POLICY_TYPE_FALSE, a.failed);
    }
    if (aicpi_policy_typed_is(a, AICPI_POLICY_TYPE_FALSE)) {
        return aicpi_policy_typed_of(AICPI_POLICY_TYPE_TRUE, a.failed);
    }
    return aicpi_policy_typed_of(AICPI_POLICY_BOOL, a.failed || !a.type);
}

/* Each operand is checked under the proofs of those before it; after one that is always false comes
 * nothing. */
static aicpi_policy_typed check_and(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    size_t base = c->known.proof_count;
    size_t held = base;
    aicpi_policy_typed all = unknown;
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_policy_typed t = aicpi_policy_typecheck_bool(c, e->u.operands[i].expr);
        all = i == 0 ? t : aicpi_policy_typed_and(all, t);
        if (all.failed) {
            aicpi_policy_release(&c->known, base, held);
            aicpi_policy_drop(&c->known, base);
            held = base;
        }
        if (aicpi_policy_typed_is(all, AICPI_POLICY_TYPE_FALSE)) {
            break;
        }
        aicpi_policy_hold(&c->known, held, c->known.proof_count);
        held = c->known.proof_count;
    }
    aicpi_policy_release(&c->known, base, held);
    return all;
}

/* One more operand of `||`: the proofs of what came before start at `base`, its own at `own`. */
static aicpi_policy_typed or_with(
    aicpi_policy_checker *c, aicpi_policy_typed a, aicpi_policy_typed b, size_t base, size_t own) {
    bool failed = a.failed || b.failed;
    if (!a.type || !b.type) {
        return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
    }
    if (aicpi_policy_typed_is(b, AICPI_POLICY_TYPE_TRUE)) {
        aicpi_policy_keep_second(&c->known, base, own);
        return (aicpi_policy_typed){b.type, failed};
    }
    if (aicpi_policy_typed_is(b, AICPI_POLICY_TYPE_FALSE)) {
        aicpi_policy_drop(&c->known, own);
        return (aicpi_policy_typed){a.type, failed};
    }
    if (aicpi_policy_typed_is(a, AICPI_POLICY_TYPE_FALSE)) {
        aicpi_policy_keep_second(&c->known, base, own);
        return (aicpi_policy_typed){b.type, failed};
    }
    aicpi_policy_keep_common(&c->known, base, own);
    return aicpi_policy_typed_of(AICPI_POLICY_BOOL, failed);
}

static aicpi_policy_typed check_or(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    size_t base = c->known.proof_count;
    aicpi_policy_typed any = unknown;
    for (uint32_t i = 0; i < e->count; i++) {
        size_t own = c->known.proof_count;
        aicpi_policy_typed t = aicpi_policy_typecheck_bool(c, e->u.operands[i].expr);
        any = i == 0 ? t : or_with(c, any, t, base, own);
        if (aicpi_policy_typed_is(any, AICPI_POLICY_TYPE_TRUE)) {
            break;
        }
    }
    return any;
}

/* The branch that is taken when the guard, whose proofs start at `base`, is true. */
static aicpi_policy_typed
check_then(aicpi_policy_checker *c, const aicpi_policy_expr *e, size_t base) {
    size_t proofs = c->known.proof_count;
    aicpi_policy_hold(&c->known, base, proofs);
    aicpi_policy_typed t = aicpi_policy_typecheck(c, e);
    aicpi_policy_release(&c->known, base, proofs);
    return t;
}

static aicpi_policy_typed check_if(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    size_t base = c->known.proof_count;
    aicpi_policy_typed guard = aicpi_policy_typecheck_bool(c, e->u.of.a);
    aicpi_policy_typed yes = unknown;
    aicpi_policy_typed no = unknown;
    if (aicpi_policy_typed_is(guard, AICPI_POLICY_TYPE_TRUE)) {
        yes = check_then(c, e->u.of.b, base);
        return (aicpi_policy_typed){yes.type, yes.failed || guard.failed};
    }
    if (aicpi_policy_typed_is(guard, AICPI_POLICY_TYPE_FALSE)) {
        aicpi_policy_drop(&c->known, base);
        no = aicpi_policy_typecheck(c, e->u.of.c);
        return (aicpi_policy_typed){no.type, no.failed || guard.failed};
    }
    yes = check_then(c, e->u.of.b, base);
    size_t own = c->known.proof_count;
    no = aicpi_policy_typecheck(c, e->u.of.c);
    aicpi_policy_keep_common(&c->known, base, own);
    if (!yes.type || !no.type) {
        return unknown;
    }
    const aicpi_policy_type *both = aicpi_policy_type_join(&c->types, yes.type, no.type);
    if (!both) {
        aicpi_policy_typed_incompatible(c, e->pos, yes.type, no.type, "the branches of if");
        return unknown;
    }
    return (aicpi_policy_typed){both, guard.failed || yes.failed || no.failed};
}

/* ---- attributes ---- */

#define USE_ATTRS (AICPI_POLICY_USE(AICPI_POLICY_ENTITY) | AICPI_POLICY_USE(AICPI_POLICY_RECORD))

/* "the entity type User", "the context of Action::"view"", "the record {…}". */
static void
owner_text(const aicpi_policy_checker *c, const aicpi_policy_type *t, char *out, size_t size) {
    char type[AICPI_POLICY_TYPE_TEXT_SIZE];
    aicpi_policy_type_text(t, type);
    if (t == c->env.action->context) {
        aicpi_policy_uid_brief uid = aicpi_policy_brief_uid(c->env.action->entity.uid);
        snprintf(out, size, "the context of %s", uid.text);
    } else if (t->kind == AICPI_POLICY_TYPE_ENTITIES) {
        snprintf(out, size, "every one of the entity types %s", type);
    } else {
        snprintf(
            out,
            size,
            "%s %s",
            t->kind == AICPI_POLICY_ENTITY ? "the entity type" : "the record",
            type);
    }
}

#define OWNER_SIZE (AICPI_POLICY_TYPE_TEXT_SIZE + 40)

APART static void missing_attr(
    aicpi_policy_checker *c,
    uint32_t pos,
    const aicpi_policy_type *t,
    const aicpi_policy_str *name) {
    char owner[OWNER_SIZE];
    owner_text(c, t, owner, sizeof owner);
    uint32_t count = 0;
    const aicpi_policy_entity_type *const *types = aicpi_policy_type_entities(t, &count);
    const aicpi_policy_type *shape = count > 0 ? types[0]->shape : t;
    aicpi_policy_near near = aicpi_policy_near_start(aicpi_policy_text(name));
    for (uint32_t i = 0; i < shape->count; i++) {
        aicpi_policy_near_offer(&near, aicpi_policy_text(shape->u.attrs[i].key));
    }
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_ATTRIBUTE,
        pos,
        "%s has no attribute %s%s",
        owner,
        aicpi_policy_brief_str(name).text,
        aicpi_policy_near_text(&near).text);
}

APART static void optional_attr(
    aicpi_policy_checker *c,
    uint32_t pos,
    const aicpi_policy_type *t,
    const aicpi_policy_str *name) {
    char owner[OWNER_SIZE];
    owner_text(c, t, owner, sizeof owner);
    aicpi_policy_brief attr = aicpi_policy_brief_str(name);
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_OPTIONAL,
        pos,
        "the attribute %s of %s is optional: test with 'has %s' first",
        attr.text,
        owner,
        attr.text);
}

/* `a.name`, where `form` numbers a; 0: from `e`, when it is needed. */
static aicpi_policy_typed get_attr(
    aicpi_policy_checker *c,
    const aicpi_policy_expr *e,
    aicpi_policy_typed a,
    uint32_t form,
    const aicpi_policy_str *name) {
    if (!a.type) {
        return unknown;
    }
    aicpi_policy_attr_found found = aicpi_policy_type_find(&c->types, a.type, name);
    if (!found.type) {
        missing_attr(c, e->pos, a.type, name);
        return unknown;
    }
    if (!found.required) {
        uint32_t base = form ? form : aicpi_policy_form_of(&c->known, e->u.named.a);
        if (!aicpi_policy_holds(&c->known, aicpi_policy_form_attr(&c->known, base, name))) {
            optional_attr(c, e->pos, a.type, name);
            return (aicpi_policy_typed){found.type, true};
        }
    }
    return (aicpi_policy_typed){found.type, a.failed};
}

static aicpi_policy_typed check_get(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    aicpi_policy_typed a =
        aicpi_policy_typecheck_operand(c, AICPI_POLICY_OP_GET, e->u.named.a, USE_ATTRS);
    return get_attr(c, e, a, 0, e->u.named.name);
}

/* `a has name`, where `attr` numbers a.name. */
static aicpi_policy_typed has_attr(
    aicpi_policy_checker *c, aicpi_policy_typed a, uint32_t attr, const aicpi_policy_str *name) {
    if (!a.type) {
        return aicpi_policy_typed_of(AICPI_POLICY_BOOL, true);
    }
    aicpi_policy_attr_found found = aicpi_policy_type_find(&c->types, a.type, name);
    if (!found.type) {
        return aicpi_policy_typed_of(
            found.possible ? AICPI_POLICY_BOOL : AICPI_POLICY_TYPE_FALSE, a.failed);
    }
    /* An entity need not exist, so that even a required attribute proves nothing. */
    bool entity = aicpi_policy_type_uses(a.type) & AICPI_POLICY_USE(AICPI_POLICY_ENTITY);
    bool sure = aicpi_policy_holds(&c->known, attr) || (found.required && !entity);
    if (!a.failed) {
        aicpi_policy_prove(&c->known, attr);
    }
    return aicpi_policy_typed_of(sure ? AICPI_POLICY_TYPE_TRUE : AICPI_POLICY_BOOL, a.failed);
}

/* a has b.c is a has b && a.b has c */
static aicpi_policy_typed check_has(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    size_t base = c->known.proof_count;
    aicpi_policy_typed a =
        aicpi_policy_typecheck_operand(c, AICPI_POLICY_OP_HAS, e->u.has.a, USE_ATTRS);
    uint32_t form = aicpi_policy_form_of(&c->known, e->u.has.a);
    aicpi_policy_typed all = unknown;
    size_t held = base;
    for (uint32_t i = 0; i < e->count; i++) {
        const aicpi_policy_str *name = e->u.has.names[i];
        uint32_t attr = aicpi_policy_form_attr(&c->known, form, name);
        aicpi_policy_typed t = has_attr(c, a, attr, name);
        all = i == 0 ? t : aicpi_policy_typed_and(all, t);
        if (i + 1 == e->count || aicpi_policy_typed_is(all, AICPI_POLICY_TYPE_FALSE)) {
            break;
        }
        aicpi_policy_hold(&c->known, held, c->known.proof_count);
        held = c->known.proof_count;
        a = aicpi_policy_typed_expect(
            c, AICPI_POLICY_OP_HAS, e->pos, get_attr(c, e, a, form, name), USE_ATTRS);
        form = attr;
    }
    aicpi_policy_release(&c->known, base, held);
    return all;
}

/* ---- sets and records ---- */

static aicpi_policy_typed check_set(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    size_t base = c->known.proof_count;
    const aicpi_policy_type *element = aicpi_policy_type_plain(AICPI_POLICY_TYPE_NEVER);
    bool failed = false;
    bool fits = true;
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_policy_typed t = aicpi_policy_typecheck(c, e->u.operands[i].expr);
        aicpi_policy_drop(&c->known, base);
        failed |= t.failed;
        const aicpi_policy_type *both =
            element && t.type ? aicpi_policy_type_join(&c->types, element, t.type) : NULL;
        if (element && t.type && !both && fits) {
            aicpi_policy_typed_incompatible(c, e->pos, element, t.type, "the elements of one set");
            fits = false;
        }
        element = both;
    }
    if (e->count == 0 && c->types.strict) {
        aicpi_policy_report_add(
            c->report,
            AICP_POLICY_FINDING_EMPTY_SET,
            e->pos,
            "the set is empty, so that its elements have no type");
        return unknown;
    }
    aicpi_policy_type *t = element ? aicpi_arena_calloc(c->types.arena, 1, sizeof *t) : NULL;
    if (!t) {
        c->types.status = element ? AICP_ERR_NOMEM : c->types.status;
        return unknown;
    }
    *t = (aicpi_policy_type){.kind = AICPI_POLICY_SET, .u.element = element};
    return (aicpi_policy_typed){t, failed};
}

static aicpi_policy_typed check_record(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    size_t base = c->known.proof_count;
    aicpi_policy_type *t = aicpi_arena_calloc(c->types.arena, 1, sizeof *t);
    aicpi_policy_attr_type *attrs = aicpi_arena_calloc(c->types.arena, e->count, sizeof *attrs);
    if (!t || !attrs) {
        c->types.status = AICP_ERR_NOMEM;
        return unknown;
    }
    bool failed = false;
    bool whole = true;
    for (uint32_t i = 0; i < e->count; i++) {
        const aicpi_policy_init *init = &e->u.inits[i];
        aicpi_policy_typed value = aicpi_policy_typecheck(c, init->expr);
        aicpi_policy_drop(&c->known, base);
        failed |= value.failed;
        whole &= value.type != NULL;
        attrs[i] = (aicpi_policy_attr_type){
            .hash = init->key->hash, .key = init->key, .type = value.type, .required = true};
    }
    aicpi_policy_sort(attrs, e->count, sizeof *attrs);
    *t = (aicpi_policy_type){.kind = AICPI_POLICY_RECORD, .count = e->count, .u.attrs = attrs};
    return whole ? (aicpi_policy_typed){t, failed} : unknown;
}

/* ---- leaves ---- */

static aicpi_policy_typed
entity_of(const aicpi_policy_checker *c, const aicpi_policy_entity_type *t) {
    return (aicpi_policy_typed){&c->entity_types[t->index], false};
}

/* Entities that the schema does not declare were noted when the names were looked at. */
static aicpi_policy_typed check_const(const aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    if (e->u.value.kind == AICPI_POLICY_BOOL) {
        return aicpi_policy_typed_of(
            e->u.value.u.boolean ? AICPI_POLICY_TYPE_TRUE : AICPI_POLICY_TYPE_FALSE, false);
    }
    if (e->u.value.kind != AICPI_POLICY_ENTITY) {
        return aicpi_policy_typed_of(e->u.value.kind, false);
    }
    const aicpi_policy_uid *uid = e->u.value.u.entity;
    const aicpi_policy_entity_type *t = aicpi_policy_schema_entity_type(c->schema, uid->type);
    if (!t || (t->action && !aicpi_policy_schema_action(c->schema, uid))) {
        return unknown;
    }
    return entity_of(c, t);
}

static aicpi_policy_typed check_var(const aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    switch (e->arg) {
    case AICPI_POLICY_VAR_PRINCIPAL:
        return entity_of(c, c->env.principal);
    case AICPI_POLICY_VAR_ACTION:
        return entity_of(c, c->env.action->type);
    case AICPI_POLICY_VAR_RESOURCE:
        return entity_of(c, c->env.resource);
    default:
        return (aicpi_policy_typed){c->env.action->context, false};
    }
}

static aicpi_policy_typed check(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_CONST:
        return check_const(c, e);
    case AICPI_POLICY_OP_VAR:
        return check_var(c, e);
    case AICPI_POLICY_OP_SET:
        return check_set(c, e);
    case AICPI_POLICY_OP_RECORD:
        return check_record(c, e);
    case AICPI_POLICY_OP_OR:
        return check_or(c, e);
    case AICPI_POLICY_OP_AND:
        return check_and(c, e);
    case AICPI_POLICY_OP_IF:
        return check_if(c, e);
    case AICPI_POLICY_OP_GET:
        return check_get(c, e);
    case AICPI_POLICY_OP_HAS:
        return check_has(c, e);
    default:
        return aicpi_policy_typecheck_op(c, e);
    }
}

aicpi_policy_typed aicpi_policy_typecheck(aicpi_policy_checker *c, const aicpi_policy_expr *e) {
    if (c->types.status != AICP_OK) {
        return unknown;
    }
    size_t base = c->known.proof_count;
    aicpi_policy_typed t = check(c, e);
    if (t.failed) {
        aicpi_policy_drop(&c->known, base);
    }
    return t;
}
