/* Operators on values that are evaluated: comparison, membership, attributes, tags. */
#include "lib/policy/brief.h"
#include "lib/policy/eval.h"

static aicpi_policy_value compare(
    aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a, aicpi_policy_value b) {
    if (a.kind != AICPI_POLICY_LONG && a.kind != AICPI_POLICY_DATETIME &&
        a.kind != AICPI_POLICY_DURATION) {
        return aicpi_policy_eval_type_error(x, n->u.of.a->pos, "long, datetime or duration", a);
    }
    if (b.kind != a.kind) {
        return aicpi_policy_eval_type_error(x, n->u.of.b->pos, aicpi_policy_kind_name(a.kind), b);
    }
    int64_t i = a.u.integer;
    int64_t j = b.u.integer;
    switch (n->op) {
    case AICPI_POLICY_OP_LT:
        return aicpi_policy_of_bool(i < j);
    case AICPI_POLICY_OP_LE:
        return aicpi_policy_of_bool(i <= j);
    case AICPI_POLICY_OP_GT:
        return aicpi_policy_of_bool(i > j);
    default:
        return aicpi_policy_of_bool(i >= j);
    }
}

/* ---- entities ---- */

static const aicpi_policy_entity *look_up(aicpi_policy_eval *x, const aicpi_policy_uid *uid) {
    const aicpi_policy_entity *e = aicpi_policy_lookup_find(x->lookup, uid);
    x->stopped |= aicpi_policy_lookup_status(x->lookup, NULL) != AICP_OK;
    return e;
}

const aicpi_policy_entity *
aicpi_policy_eval_entity(aicpi_policy_eval *x, const aicpi_policy_uid *uid) {
    for (int i = 0; i < 3; i++) {
        if (x->vars[i].u.entity == uid && (x->known[i] || !x->lookup)) {
            return x->known[i];
        }
    }
    for (uint32_t i = 0; i < x->guest_count; i++) {
        if (aicpi_policy_uid_eq(x->guests[i].uid, uid)) {
            return &x->guests[i];
        }
    }
    const aicpi_policy_entity_slot *slot = aicpi_policy_entities_slot(x->store, uid);
    if (slot && slot->entity) {
        return slot->entity;
    }
    return x->lookup ? look_up(x, uid) : NULL;
}

/* The number of the variable that stands for the uid, or 3. */
static int variable_of(const aicpi_policy_eval *x, const aicpi_policy_uid *uid) {
    int i = 0;
    while (i < 3 && x->vars[i].u.entity != uid) {
        i++;
    }
    return i;
}

/* Finds the ancestors of `e` by walking; for the whole answer when it is that of a variable. */
static bool walk(
    aicpi_policy_eval *x,
    const aicpi_policy_uid *uid,
    const aicpi_policy_entity *e,
    const aicpi_policy_ancestor **items,
    uint32_t *count) {
    int var = variable_of(x, uid);
    aicpi_policy_ancestor *found = NULL;
    size_t n = 0;
    if (!aicpi_policy_eval_walk(x, uid, var < 3 ? x->arena : x->scratch, &found, &n)) {
        return false;
    }
    *items = found;
    *count = (uint32_t)n;
    if (var < 3) {
        x->walked[var] = *e;
        x->walked[var].ancestors = found;
        x->walked[var].ancestor_count = *count;
        x->walked[var].own = true;
        x->known[var] = &x->walked[var];
    }
    return true;
}

bool aicpi_policy_eval_ancestors(
    aicpi_policy_eval *x,
    const aicpi_policy_uid *uid,
    const aicpi_policy_ancestor **items,
    uint32_t *count) {
    *items = NULL;
    *count = 0;
    const aicpi_policy_entity *e = aicpi_policy_eval_entity(x, uid);
    if (x->walk && e && !e->own) {
        return walk(x, uid, e, items, count);
    }
    if (e) {
        *items = e->ancestors;
        *count = e->ancestor_count;
    }
    return !x->stopped;
}

bool aicpi_policy_eval_in(
    aicpi_policy_eval *x, const aicpi_policy_uid *uid, const aicpi_policy_uid *ancestor) {
    if (aicpi_policy_uid_eq(uid, ancestor)) {
        return true;
    }
    const aicpi_policy_ancestor *items = NULL;
    uint32_t count = 0;
    return aicpi_policy_eval_ancestors(x, uid, &items, &count) &&
           aicpi_policy_ancestors_have(items, count, ancestor);
}

bool aicpi_policy_eval_in_any(
    aicpi_policy_eval *x, const aicpi_policy_uid *uid, const aicpi_policy_set_value *set) {
    const aicpi_policy_ancestor *items = NULL;
    uint32_t count = 0;
    if (aicpi_policy_set_contains(set, aicpi_policy_of_entity(uid))) {
        return true;
    }
    if (!aicpi_policy_eval_ancestors(x, uid, &items, &count)) {
        return false;
    }
    if (count < set->count) {
        for (uint32_t i = 0; i < count; i++) {
            if (aicpi_policy_set_contains(set, aicpi_policy_of_entity(items[i].uid))) {
                return true;
            }
        }
        return false;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (aicpi_policy_ancestors_have(items, count, set->items[i].value.u.entity)) {
            return true;
        }
    }
    return false;
}

/* The first element that is not an entity. */
static aicpi_policy_value stranger(const aicpi_policy_set_value *set) {
    uint32_t i = 0;
    while (set->items[i].value.kind == AICPI_POLICY_ENTITY) {
        i++;
    }
    return set->items[i].value;
}

aicpi_policy_value aicpi_policy_eval_in_value(
    aicpi_policy_eval *x, uint32_t pos, aicpi_policy_value a, aicpi_policy_value b) {
    bool result = false;
    if (b.kind == AICPI_POLICY_ENTITY) {
        result = aicpi_policy_eval_in(x, a.u.entity, b.u.entity);
    } else if (b.kind != AICPI_POLICY_SET) {
        return aicpi_policy_eval_type_error(x, pos, "entity or set of entities", b);
    } else if (b.u.set->kinds & ~(UINT32_C(1) << AICPI_POLICY_ENTITY)) {
        return aicpi_policy_eval_type_error(x, pos, "set of entities", stranger(b.u.set));
    } else {
        result = aicpi_policy_eval_in_any(x, a.u.entity, b.u.set);
    }
    return x->stopped ? aicpi_policy_of_none() : aicpi_policy_of_bool(result);
}

/* ---- attributes and tags ---- */

static aicpi_policy_value
no_entity(aicpi_policy_eval *x, uint32_t pos, const aicpi_policy_uid *uid) {
    return aicpi_policy_eval_fail(
        x,
        AICP_POLICY_ERROR_ENTITY,
        pos,
        "the entity %s does not exist",
        aicpi_policy_brief_uid(uid).text);
}

static aicpi_policy_value no_attribute(
    aicpi_policy_eval *x,
    uint32_t pos,
    const aicpi_policy_uid *uid,
    const char *what,
    const aicpi_policy_str *name) {
    return aicpi_policy_eval_fail(
        x,
        AICP_POLICY_ERROR_ENTITY_ATTR,
        pos,
        "%s has no %s \"%s\"",
        aicpi_policy_brief_uid(uid).text,
        what,
        aicpi_policy_brief_str(name).text);
}

aicpi_policy_value
aicpi_policy_eval_get(aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a) {
    const aicpi_policy_str *name = n->u.named.name;
    if (a.kind == AICPI_POLICY_RECORD) {
        const aicpi_policy_value *v = aicpi_policy_record_get(a.u.record, name);
        return v ? *v
                 : aicpi_policy_eval_fail(
                       x,
                       AICP_POLICY_ERROR_RECORD_ATTR,
                       n->pos,
                       "the record has no attribute \"%s\"",
                       aicpi_policy_brief_str(name).text);
    }
    if (a.kind != AICPI_POLICY_ENTITY) {
        return aicpi_policy_eval_type_error(x, n->u.named.a->pos, "entity or record", a);
    }
    const aicpi_policy_entity *e = aicpi_policy_eval_entity(x, a.u.entity);
    if (!e) {
        return no_entity(x, n->u.named.a->pos, a.u.entity);
    }
    const aicpi_policy_value *v = aicpi_policy_record_get(e->attrs, name);
    return v ? *v : no_attribute(x, n->pos, a.u.entity, "attribute", name);
}

/* The attributes that `has` looks at, NULL for an entity that does not exist. False: type error. */
static bool
attributes(aicpi_policy_eval *x, aicpi_policy_value a, const aicpi_policy_record **out) {
    if (a.kind == AICPI_POLICY_RECORD) {
        *out = a.u.record;
        return true;
    }
    if (a.kind != AICPI_POLICY_ENTITY) {
        return false;
    }
    const aicpi_policy_entity *e = aicpi_policy_eval_entity(x, a.u.entity);
    *out = e ? e->attrs : NULL;
    return true;
}

/* `a has x.y` is `a has x && a.x has y`. */
aicpi_policy_value
aicpi_policy_eval_has(aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a) {
    for (uint32_t i = 0; i < n->u.has.count; i++) {
        const aicpi_policy_record *attrs = NULL;
        if (!attributes(x, a, &attrs)) {
            uint32_t pos = i == 0 ? n->u.has.a->pos : n->pos;
            return aicpi_policy_eval_type_error(x, pos, "entity or record", a);
        }
        const aicpi_policy_value *v =
            attrs ? aicpi_policy_record_get(attrs, n->u.has.names[i]) : NULL;
        if (!v) {
            return aicpi_policy_of_bool(false);
        }
        a = *v;
    }
    return aicpi_policy_of_bool(true);
}

static aicpi_policy_value
tag(aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a, aicpi_policy_value b) {
    if (a.kind != AICPI_POLICY_ENTITY) {
        return aicpi_policy_eval_type_error(x, n->u.of.a->pos, "entity", a);
    }
    if (b.kind != AICPI_POLICY_STRING) {
        return aicpi_policy_eval_type_error(x, n->u.of.b->pos, "string", b);
    }
    const aicpi_policy_entity *e = aicpi_policy_eval_entity(x, a.u.entity);
    const aicpi_policy_value *v = e ? aicpi_policy_record_get(e->tags, b.u.string) : NULL;
    if (n->op == AICPI_POLICY_OP_HAS_TAG) {
        return aicpi_policy_of_bool(v != NULL);
    }
    if (!e) {
        return no_entity(x, n->u.of.a->pos, a.u.entity);
    }
    return v ? *v : no_attribute(x, n->pos, a.u.entity, "tag", b.u.string);
}

/* ---- sets ---- */

static aicpi_policy_value set_test(
    aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a, aicpi_policy_value b) {
    if (a.kind != AICPI_POLICY_SET) {
        return aicpi_policy_eval_type_error(x, n->u.of.a->pos, "set", a);
    }
    if (n->op == AICPI_POLICY_OP_CONTAINS) {
        return aicpi_policy_of_bool(aicpi_policy_set_contains(a.u.set, b));
    }
    if (b.kind != AICPI_POLICY_SET) {
        return aicpi_policy_eval_type_error(x, n->u.of.b->pos, "set", b);
    }
    return aicpi_policy_of_bool(
        n->op == AICPI_POLICY_OP_CONTAINS_ALL ? aicpi_policy_set_contains_all(a.u.set, b.u.set)
                                              : aicpi_policy_set_contains_any(a.u.set, b.u.set));
}

aicpi_policy_value aicpi_policy_eval_binary(
    aicpi_policy_eval *x, const aicpi_policy_node *n, aicpi_policy_value a, aicpi_policy_value b) {
    switch (n->op) {
    case AICPI_POLICY_OP_EQ:
        return aicpi_policy_of_bool(aicpi_policy_value_eq(a, b));
    case AICPI_POLICY_OP_NE:
        return aicpi_policy_of_bool(!aicpi_policy_value_eq(a, b));
    case AICPI_POLICY_OP_LT:
    case AICPI_POLICY_OP_LE:
    case AICPI_POLICY_OP_GT:
    case AICPI_POLICY_OP_GE:
        return compare(x, n, a, b);
    case AICPI_POLICY_OP_IN:
        return a.kind == AICPI_POLICY_ENTITY
                   ? aicpi_policy_eval_in_value(x, n->u.of.b->pos, a, b)
                   : aicpi_policy_eval_type_error(x, n->u.of.a->pos, "entity", a);
    case AICPI_POLICY_OP_GET_TAG:
    case AICPI_POLICY_OP_HAS_TAG:
        return tag(x, n, a, b);
    default:
        return set_test(x, n, a, b);
    }
}
