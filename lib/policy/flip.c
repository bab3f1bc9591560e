#include "lib/policy/flip.h"

#include "lib/policy/lift.h"

/* What is to be changed: an attribute of the context or of an entity, an entity itself, or that it
 * gets a parent. */
typedef struct change {
    const aicpi_policy_expr *target; /* a variable, or attributes of one */
    aicpi_policy_value value;
    bool joins;
} change;

typedef aicpi_policy_flipper flipper;

static void *stop(flipper *f) {
    aicpi_policy_eval_nomem(f->x);
    return NULL;
}

/* ---- expressions ---- */

static aicpi_policy_expr *make_expr(flipper *f, uint8_t op, uint32_t pos) {
    aicpi_policy_expr *e = aicpi_arena_calloc(f->intern->arena, 1, sizeof *e);
    if (!e) {
        return stop(f);
    }
    e->op = op;
    e->pos = pos;
    e->height = 3;
    return e;
}

static const aicpi_policy_expr *const_expr(flipper *f, aicpi_policy_value v, uint32_t pos) {
    const aicpi_policy_expr *e = aicpi_policy_lift(f->intern, v, pos);
    return e ? e : stop(f);
}

static const aicpi_policy_expr *
list_expr(flipper *f, const aicpi_policy_scope *scope, uint32_t pos) {
    aicpi_policy_expr *e = make_expr(f, AICPI_POLICY_OP_SET, pos);
    aicpi_policy_operand *operands =
        aicpi_arena_calloc(f->intern->arena, scope->count, sizeof *operands);
    if (!e || !operands) {
        return stop(f);
    }
    for (uint32_t i = 0; i < scope->count; i++) {
        operands[i].expr = const_expr(f, aicpi_policy_of_entity(scope->list[i]), pos);
        if (!operands[i].expr) {
            return NULL;
        }
    }
    e->count = scope->count;
    e->u.operands = operands;
    return e;
}

const aicpi_policy_expr *aicpi_policy_head_expr(
    aicpi_policy_flipper *f, int var, const aicpi_policy_scope *scope, uint32_t pos) {
    static const uint8_t ops[] = {
        [AICPI_POLICY_SCOPE_EQ] = AICPI_POLICY_OP_EQ,
        [AICPI_POLICY_SCOPE_IN] = AICPI_POLICY_OP_IN,
        [AICPI_POLICY_SCOPE_IS] = AICPI_POLICY_OP_IS,
        [AICPI_POLICY_SCOPE_IS_IN] = AICPI_POLICY_OP_IS,
        [AICPI_POLICY_SCOPE_IN_LIST] = AICPI_POLICY_OP_IN};
    if (scope->kind == AICPI_POLICY_SCOPE_ANY) {
        return NULL;
    }
    aicpi_policy_expr *e = make_expr(f, ops[scope->kind], pos);
    aicpi_policy_expr *a = make_expr(f, AICPI_POLICY_OP_VAR, pos);
    const aicpi_policy_expr *b = NULL;
    if (scope->kind == AICPI_POLICY_SCOPE_IN_LIST) {
        b = list_expr(f, scope, pos);
    } else if (scope->kind != AICPI_POLICY_SCOPE_IS) {
        b = const_expr(f, aicpi_policy_of_entity(scope->entity), pos);
    }
    if (f->x->stopped) {
        return NULL;
    }
    a->arg = (uint8_t)var;
    if (e->op == AICPI_POLICY_OP_IS) {
        e->u.named.a = a;
        e->u.named.b = b;
        e->u.named.name = scope->type;
    } else {
        e->u.of.a = a;
        e->u.of.b = b;
    }
    return e;
}

/* ---- what to change ---- */

static bool run(flipper *f, const aicpi_policy_expr *e, aicpi_policy_value *out) {
    const aicpi_policy_node *n = aicpi_policy_compile(f->x->scratch, e);
    *out = n ? aicpi_policy_eval_node(f->x, n) : aicpi_policy_eval_nomem(f->x);
    return out->kind != AICPI_POLICY_NONE;
}

/* A variable, or attributes of it that a change can reach: any of the context, those of an entity
 * itself. */
static bool is_target(const aicpi_policy_expr *e) {
    uint32_t depth = 0;
    for (; e->op == AICPI_POLICY_OP_GET; e = e->u.named.a) {
        depth++;
    }
    return e->op == AICPI_POLICY_OP_VAR &&
           (e->arg == AICPI_POLICY_VAR_CONTEXT
                ? depth > 0
                : depth == 0 || (depth == 1 && e->arg != AICPI_POLICY_VAR_ACTION));
}

/* `a op b` read from the right. */
static uint8_t mirrored(uint8_t op) {
    switch (op) {
    case AICPI_POLICY_OP_LT:
        return AICPI_POLICY_OP_GT;
    case AICPI_POLICY_OP_LE:
        return AICPI_POLICY_OP_GE;
    case AICPI_POLICY_OP_GT:
        return AICPI_POLICY_OP_LT;
    case AICPI_POLICY_OP_GE:
        return AICPI_POLICY_OP_LE;
    default:
        return op;
    }
}

static uint8_t negated(uint8_t op) {
    switch (op) {
    case AICPI_POLICY_OP_LT:
        return AICPI_POLICY_OP_GE;
    case AICPI_POLICY_OP_LE:
        return AICPI_POLICY_OP_GT;
    case AICPI_POLICY_OP_GT:
        return AICPI_POLICY_OP_LE;
    case AICPI_POLICY_OP_GE:
        return AICPI_POLICY_OP_LT;
    case AICPI_POLICY_OP_EQ:
        return AICPI_POLICY_OP_NE;
    default:
        return AICPI_POLICY_OP_EQ;
    }
}

/* The value nearest to `v` that stands to it as `op` says. */
static bool nearest(uint8_t op, aicpi_policy_value *v) {
    switch (op) {
    case AICPI_POLICY_OP_EQ:
    case AICPI_POLICY_OP_LE:
    case AICPI_POLICY_OP_GE:
        return true;
    case AICPI_POLICY_OP_LT:
        return !__builtin_sub_overflow(v->u.integer, INT64_C(1), &v->u.integer);
    case AICPI_POLICY_OP_GT:
        return !__builtin_add_overflow(v->u.integer, INT64_C(1), &v->u.integer);
    default:
        return false;
    }
}

/* Makes a comparison of a target with something else come out as wanted. */
static bool by_comparison(flipper *f, const aicpi_policy_expr *e, bool want, change *c) {
    bool left = is_target(e->u.of.a);
    if (!left && !is_target(e->u.of.b)) {
        return false;
    }
    uint8_t op = left ? e->op : mirrored(e->op);
    c->target = left ? e->u.of.a : e->u.of.b;
    return run(f, left ? e->u.of.b : e->u.of.a, &c->value) &&
           nearest(want ? op : negated(op), &c->value);
}

/* The first element in an order that depends on the content alone. */
static bool first_of(flipper *f, aicpi_policy_value set, aicpi_policy_value *out) {
    const aicpi_policy_expr *e = const_expr(f, set, 0);
    return e && e->count > 0 && run(f, e->u.operands[0].expr, out);
}

static bool by_membership(flipper *f, const aicpi_policy_expr *e, bool want, change *c) {
    if (!want || e->u.of.a->op != AICPI_POLICY_OP_VAR || !is_target(e->u.of.a) ||
        !run(f, e->u.of.b, &c->value)) {
        return false;
    }
    if (c->value.kind == AICPI_POLICY_SET && !first_of(f, c->value, &c->value)) {
        return false;
    }
    c->target = e->u.of.a;
    /* An action is what it is: only another one can be below that. */
    c->joins = c->target->arg != AICPI_POLICY_VAR_ACTION;
    return c->value.kind == AICPI_POLICY_ENTITY;
}

static bool find_change(flipper *f, const aicpi_policy_expr *e, bool want, change *c) {
    *c = (change){0};
    switch (e->op) {
    case AICPI_POLICY_OP_GET:
        c->target = e;
        c->value = aicpi_policy_of_bool(want);
        return is_target(e);
    case AICPI_POLICY_OP_EQ:
    case AICPI_POLICY_OP_NE:
    case AICPI_POLICY_OP_LT:
    case AICPI_POLICY_OP_LE:
    case AICPI_POLICY_OP_GT:
    case AICPI_POLICY_OP_GE:
        return by_comparison(f, e, want, c);
    case AICPI_POLICY_OP_IN:
        return by_membership(f, e, want, c);
    case AICPI_POLICY_OP_CONTAINS: {
        aicpi_policy_value set;
        c->target = e->u.of.b;
        return want && is_target(e->u.of.b) && run(f, e->u.of.a, &set) &&
               set.kind == AICPI_POLICY_SET && first_of(f, set, &c->value);
    }
    default:
        return false;
    }
}

/* ---- changing ---- */

/* A copy of a record's fields with one of them set. */
static bool put_field(
    flipper *f,
    const aicpi_policy_field *fields,
    size_t count,
    const aicpi_policy_str *key,
    aicpi_policy_value value,
    aicpi_policy_fields *out) {
    aicpi_policy_field *copy = aicpi_arena_alloc(f->intern->arena, (count + 1) * sizeof *copy);
    if (!copy) {
        stop(f);
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!aicpi_policy_str_eq(fields[i].key, key)) {
            copy[n++] = fields[i];
        }
    }
    copy[n++] = (aicpi_policy_field){.hash = key->hash, .key = key, .value = value};
    aicpi_policy_sort(copy, n, sizeof *copy);
    *out = (aicpi_policy_fields){.items = copy, .count = n, .capacity = n};
    return true;
}

/* Sets an attribute of the context; records around it are made anew. As deep as the expression. */
static bool set_context(flipper *f, aicp_policy_request *r, const change *c) {
    aicpi_policy_value value = c->value;
    for (const aicpi_policy_expr *e = c->target; e->op == AICPI_POLICY_OP_GET; e = e->u.named.a) {
        aicpi_policy_value around;
        aicpi_policy_fields fields;
        if (!run(f, e->u.named.a, &around) || around.kind != AICPI_POLICY_RECORD ||
            !put_field(
                f,
                around.u.record->fields,
                around.u.record->count,
                e->u.named.name,
                value,
                &fields)) {
            return false;
        }
        if (e->u.named.a->op == AICPI_POLICY_OP_VAR) {
            r->context = fields;
            return true;
        }
        value.kind = AICPI_POLICY_RECORD;
        value.u.record = aicpi_policy_record_make(f->intern->arena, fields.items, fields.count);
        if (!value.u.record) {
            stop(f);
            return false;
        }
    }
    return false;
}

/* Makes room in the request for a changed copy of an entity, which hides the one there is. NULL
 * when it cannot be copied: tags are only in stores. */
static aicpi_policy_guest *
copy_entity(flipper *f, aicp_policy_request *r, const aicpi_policy_uid *uid) {
    size_t n = r->guest_count;
    size_t at = 0;
    while (at < n && !aicpi_policy_uid_eq(r->guests[at].uid, uid)) {
        at++;
    }
    if (at == AICP_POLICY_OVERLAY_MAX) {
        return NULL;
    }
    aicpi_policy_guest *guests = aicpi_arena_calloc(f->intern->arena, n + 1, sizeof *guests);
    if (!guests) {
        return stop(f);
    }
    if (n > 0) {
        memcpy(guests, r->guests, n * sizeof *guests);
    }
    r->guests = guests;
    r->guest_count = at == n ? n + 1 : n;
    if (at < n) {
        return &guests[at];
    }
    const aicpi_policy_entity *e = aicpi_policy_eval_entity(f->x, uid);
    guests[at].uid = uid;
    if (e && e->tags->count > 0) {
        return NULL;
    }
    if (e) {
        /* Neither list is written to: changes are made in copies. */
        guests[at].attrs.items = (aicpi_policy_field *)e->attrs->fields;
        guests[at].attrs.count = e->attrs->count;
        guests[at].parents = (const aicpi_policy_uid **)e->parents;
        guests[at].parent_count = e->parent_count;
    }
    return &guests[at];
}

static bool add_parent(flipper *f, aicpi_policy_guest *guest, const aicpi_policy_uid *parent) {
    size_t count = guest->parent_count;
    const aicpi_policy_uid **parents =
        aicpi_arena_calloc(f->intern->arena, count + 1, sizeof *parents);
    if (!parents) {
        stop(f);
        return false;
    }
    if (count > 0) {
        memcpy(parents, guest->parents, count * sizeof *parents);
    }
    parents[count] = parent;
    guest->parents = parents;
    guest->parent_count = count + 1;
    return true;
}

static bool apply(flipper *f, aicp_policy_request *r, const change *c) {
    const aicpi_policy_expr *root = c->target;
    while (root->op == AICPI_POLICY_OP_GET) {
        root = root->u.named.a;
    }
    if (root->arg == AICPI_POLICY_VAR_CONTEXT) {
        return set_context(f, r, c);
    }
    if (c->target == root && !c->joins) {
        r->vars[root->arg] = c->value.u.entity;
        return c->value.kind == AICPI_POLICY_ENTITY;
    }
    aicpi_policy_guest *guest = copy_entity(f, r, r->vars[root->arg]);
    if (!guest || c->joins) {
        return guest && add_parent(f, guest, c->value.u.entity);
    }
    return put_field(
        f,
        guest->attrs.items,
        guest->attrs.count,
        c->target->u.named.name,
        c->value,
        &guest->attrs);
}

/* ---- proving ---- */

static bool is_reason(const aicp_policy_response *r, size_t rule) {
    for (size_t i = 0; i < aicp_policy_response_reason_count(r); i++) {
        if (aicp_policy_response_reason_index(r, i) == rule) {
            return true;
        }
    }
    return false;
}

/* Whether a rule is satisfied, of which the decision's reasons tell only where they are of its
 * effect. -1: not told. */
static int tells(const aicp_policy_response *r, const aicp_policy_set *set, size_t rule) {
    bool forbidden = aicp_policy_response_reason_count(r) > 0 &&
                     aicp_policy_response_decision(r) == AICP_POLICY_DENY;
    if (is_reason(r, rule)) {
        return 1;
    }
    return forbidden && set->rules[rule].effect == AICP_POLICY_PERMIT ? -1 : 0;
}

bool aicpi_policy_flip_test(
    aicpi_policy_flipper *f,
    size_t rule,
    const aicpi_policy_expr *test,
    bool want,
    bool satisfied,
    aicpi_policy_flip *out) {
    change c;
    aicp_policy_request asked = *f->request;
    if (asked.lookup) {
        return false; /* asking again would drop the entities that `x` has looked up */
    }
    if (f->asked == AICPI_POLICY_FLIPS_MOST || !find_change(f, test, want, &c) ||
        !apply(f, &asked, &c)) {
        return false;
    }
    f->asked++;
    aicp_error err = {0};
    aicp_status status = aicp_policy_authorize(f->set, f->entities, &asked, 0, f->response, &err);
    if (status == AICP_ERR_NOMEM) {
        stop(f);
        return false;
    }
    if (status != AICP_OK || tells(f->response, f->set, rule) != (int)satisfied) {
        return false;
    }
    *out = (aicpi_policy_flip){
        .left = c.target,
        .right = const_expr(f, c.value, test->pos),
        .joins = c.joins,
        .decision = aicp_policy_response_decision(f->response)};
    return out->right != NULL;
}
