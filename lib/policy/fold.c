#include "lib/policy/fold.h"

#include "lib/policy/lift.h"

/* The height of expressions is limited by the parser, and what is left of one is higher by no more
 * than the height of a value that is written out; so the recursion is limited. */

#define LIFT_HEIGHT_MOST 32 /* of values that replace a lower expression */

typedef aicpi_policy_part part;
typedef aicpi_policy_folder folder;

static part failed(void) {
    return (part){.state = AICPI_POLICY_PART_FAILED};
}

static part known(aicpi_policy_value v) {
    return (part){.state = v.kind ? AICPI_POLICY_PART_KNOWN : AICPI_POLICY_PART_FAILED, .value = v};
}

static part open_part(const aicpi_policy_expr *e) {
    return (part){
        .state = AICPI_POLICY_PART_OPEN, .can_be_true = true, .can_be_false = true, .expr = e};
}

static part nomem(folder *f) {
    return known(aicpi_policy_eval_nomem(f->x));
}

/* ---- operands ---- */

uint32_t aicpi_policy_child_count(const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_CONST:
    case AICPI_POLICY_OP_VAR:
        return 0;
    case AICPI_POLICY_OP_NOT:
    case AICPI_POLICY_OP_NEG:
    case AICPI_POLICY_OP_IS_EMPTY:
    case AICPI_POLICY_OP_GET:
    case AICPI_POLICY_OP_HAS:
    case AICPI_POLICY_OP_LIKE:
        return 1;
    case AICPI_POLICY_OP_IS:
        return e->u.named.b ? 2 : 1;
    case AICPI_POLICY_OP_IF:
        return 3;
    case AICPI_POLICY_OP_SET:
    case AICPI_POLICY_OP_RECORD:
    case AICPI_POLICY_OP_OR:
    case AICPI_POLICY_OP_AND:
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
    case AICPI_POLICY_OP_CALL:
        return e->count;
    default:
        return 2;
    }
}

const aicpi_policy_expr *aicpi_policy_child(const aicpi_policy_expr *e, uint32_t nth) {
    switch (e->op) {
    case AICPI_POLICY_OP_SET:
    case AICPI_POLICY_OP_OR:
    case AICPI_POLICY_OP_AND:
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
    case AICPI_POLICY_OP_CALL:
        return e->u.operands[nth].expr;
    case AICPI_POLICY_OP_RECORD:
        return e->u.inits[nth].expr;
    case AICPI_POLICY_OP_HAS:
        return e->u.has.a;
    case AICPI_POLICY_OP_LIKE:
        return e->u.like.a;
    case AICPI_POLICY_OP_GET:
    case AICPI_POLICY_OP_IS:
        return nth == 0 ? e->u.named.a : e->u.named.b;
    default:
        return nth == 0 ? e->u.of.a : nth == 1 ? e->u.of.b : e->u.of.c;
    }
}

/* Puts other operands into lists of them. False: out of memory. */
static bool
replace_list(aicpi_arena *arena, aicpi_policy_expr *e, const aicpi_policy_expr *const *children) {
    if (e->op == AICPI_POLICY_OP_RECORD) {
        aicpi_policy_init *inits = aicpi_arena_calloc(arena, e->count, sizeof *inits);
        for (uint32_t i = 0; inits && i < e->count; i++) {
            inits[i] = e->u.inits[i];
            inits[i].expr = children[i];
        }
        e->u.inits = inits;
        return inits != NULL;
    }
    aicpi_policy_operand *operands = aicpi_arena_calloc(arena, e->count, sizeof *operands);
    for (uint32_t i = 0; operands && i < e->count; i++) {
        operands[i] = e->u.operands[i];
        operands[i].expr = children[i];
    }
    e->u.operands = operands;
    return operands != NULL;
}

static bool
replace(aicpi_arena *arena, aicpi_policy_expr *e, const aicpi_policy_expr *const *children) {
    switch (e->op) {
    case AICPI_POLICY_OP_SET:
    case AICPI_POLICY_OP_RECORD:
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
    case AICPI_POLICY_OP_CALL:
        return replace_list(arena, e, children);
    case AICPI_POLICY_OP_HAS:
        e->u.has.a = children[0];
        return true;
    case AICPI_POLICY_OP_LIKE:
        e->u.like.a = children[0];
        return true;
    case AICPI_POLICY_OP_GET:
    case AICPI_POLICY_OP_IS:
        e->u.named.a = children[0];
        e->u.named.b = e->u.named.b ? children[1] : NULL;
        return true;
    default: {
        uint32_t count = aicpi_policy_child_count(e);
        e->u.of.a = children[0];
        e->u.of.b = count > 1 ? children[1] : NULL;
        e->u.of.c = count > 2 ? children[2] : NULL;
        return true;
    }
    }
}

static void set_height(aicpi_policy_expr *e) {
    uint32_t count = aicpi_policy_child_count(e);
    uint16_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t height = aicpi_policy_child(e, i)->height;
        most = height > most ? height : most;
    }
    e->height = (uint16_t)(most + 1);
}

/* `e` with other operands; `e` itself when they are the same. NULL: out of memory. */
static const aicpi_policy_expr *
rebuild(aicpi_arena *arena, const aicpi_policy_expr *e, const aicpi_policy_expr *const *children) {
    uint32_t count = aicpi_policy_child_count(e);
    uint32_t same = 0;
    while (same < count && children[same] == aicpi_policy_child(e, same)) {
        same++;
    }
    if (same == count) {
        return e;
    }
    aicpi_policy_expr *copy = aicpi_arena_alloc(arena, sizeof *copy);
    if (!copy) {
        return NULL;
    }
    *copy = *e;
    if (!replace(arena, copy, children)) {
        return NULL;
    }
    set_height(copy);
    return copy;
}

/* ---- what is known ---- */

static bool is_unknown(const folder *f, const aicpi_policy_expr *e) {
    return e->op == AICPI_POLICY_OP_VAR && f->x->vars[e->arg].kind == AICPI_POLICY_NONE;
}

/* Whether some variable stands in it; with `unknown`, only one that is unknown counts. */
static bool has_variable(const folder *f, const aicpi_policy_expr *e, bool unknown) {
    if (e->op == AICPI_POLICY_OP_VAR) {
        return !unknown || is_unknown(f, e);
    }
    uint32_t count = aicpi_policy_child_count(e);
    for (uint32_t i = 0; i < count; i++) {
        if (has_variable(f, aicpi_policy_child(e, i), unknown)) {
            return true;
        }
    }
    return false;
}

static part run(folder *f, const aicpi_policy_expr *e) {
    const aicpi_policy_node *n = aicpi_policy_compile(f->x->scratch, e);
    return n ? known(aicpi_policy_eval_node(f->x, n)) : nomem(f);
}

/* What stands for a part within what is left of the whole. */
static const aicpi_policy_expr *
keep(folder *f, const aicpi_policy_part *p, const aicpi_policy_expr *e) {
    if (p->state == AICPI_POLICY_PART_OPEN) {
        return p->expr;
    }
    if (p->state == AICPI_POLICY_PART_FAILED || !has_variable(f, e, false)) {
        return e;
    }
    const aicpi_policy_expr *lifted = aicpi_policy_lift(f->intern, p->value, e->pos);
    if (!lifted) {
        aicpi_policy_eval_nomem(f->x);
        return NULL;
    }
    return lifted->height <= e->height || lifted->height <= LIFT_HEIGHT_MOST ? lifted : e;
}

static part
rebuilt(folder *f, const aicpi_policy_expr *e, const part *parts, uint32_t count, part flags) {
    const aicpi_policy_expr **children = aicpi_arena_calloc(f->x->scratch, count, sizeof *children);
    if (!children) {
        return nomem(f);
    }
    for (uint32_t i = 0; i < count; i++) {
        children[i] = keep(f, &parts[i], aicpi_policy_child(e, i));
        if (!children[i]) {
            return failed();
        }
    }
    flags.expr = rebuild(f->intern->arena, e, children);
    return flags.expr ? flags : nomem(f);
}

/* ---- operators ---- */

/* Does an operator whose operands are all known. */
static part apply(folder *f, const aicpi_policy_expr *e, const part *parts, uint32_t count) {
    aicpi_arena *arena = f->x->scratch;
    aicpi_policy_expr *consts = aicpi_arena_calloc(arena, count, sizeof *consts);
    const aicpi_policy_expr **children = aicpi_arena_calloc(arena, count, sizeof *children);
    if (!consts || !children) {
        return nomem(f);
    }
    for (uint32_t i = 0; i < count; i++) {
        consts[i] = (aicpi_policy_expr){
            .op = AICPI_POLICY_OP_CONST,
            .height = 1,
            .pos = aicpi_policy_child(e, i)->pos,
            .u.value = parts[i].value};
        children[i] = &consts[i];
    }
    const aicpi_policy_expr *whole = rebuild(arena, e, children);
    return whole ? run(f, whole) : nomem(f);
}

static bool is_open_entity(const folder *f, const part *p) {
    return p->state == AICPI_POLICY_PART_OPEN && is_unknown(f, p->expr);
}

static const aicpi_policy_str *type_of(const folder *f, const part *p) {
    if (is_open_entity(f, p)) {
        return f->types[p->expr->arg];
    }
    return p->state == AICPI_POLICY_PART_KNOWN && p->value.kind == AICPI_POLICY_ENTITY
               ? p->value.u.entity->type
               : NULL;
}

/* Whether two operands, one of them an unknown entity, are equal: 1, 0, or -1 when that is open. */
static int same_entity(const folder *f, const part *a, const part *b) {
    bool both = is_open_entity(f, a) && is_open_entity(f, b);
    if (both && a->expr->arg == b->expr->arg) {
        return 1;
    }
    const part *other = is_open_entity(f, a) ? b : a;
    if (other->state == AICPI_POLICY_PART_KNOWN && other->value.kind != AICPI_POLICY_ENTITY) {
        return 0;
    }
    const aicpi_policy_str *x = type_of(f, a);
    const aicpi_policy_str *y = type_of(f, b);
    return x && y && !aicpi_policy_str_eq(x, y) ? 0 : -1;
}

/* Folds operands from number `first` on; the parts before it are there. FAILED when one of all is,
 * else OPEN when one is. */
static part
fold_from(folder *f, const aicpi_policy_expr *e, part *parts, uint32_t first, uint32_t count) {
    part all = known(aicpi_policy_of_bool(true));
    for (uint32_t i = 0; i < count; i++) {
        if (i >= first) {
            parts[i] = aicpi_policy_fold(f, aicpi_policy_child(e, i));
        }
        if (parts[i].state == AICPI_POLICY_PART_FAILED) {
            return parts[i];
        }
        if (parts[i].state == AICPI_POLICY_PART_OPEN) {
            all = parts[i];
        }
    }
    return all;
}

/* An operator that evaluates all its operands, of which the first `done` are folded already. */
static part
fold_operands(folder *f, const aicpi_policy_expr *e, part *parts, uint32_t done, uint32_t count) {
    part all = fold_from(f, e, parts, done, count);
    if (all.state == AICPI_POLICY_PART_FAILED) {
        return all;
    }
    if (all.state == AICPI_POLICY_PART_KNOWN) {
        return apply(f, e, parts, count);
    }
    part flags = open_part(NULL);
    if (e->op == AICPI_POLICY_OP_NOT) {
        flags.can_be_true = parts[0].can_be_false;
        flags.can_be_false = parts[0].can_be_true;
    } else if (
        (e->op == AICPI_POLICY_OP_EQ || e->op == AICPI_POLICY_OP_NE) &&
        (is_open_entity(f, &parts[0]) || is_open_entity(f, &parts[1]))) {
        int same = same_entity(f, &parts[0], &parts[1]);
        if (same >= 0) {
            return known(aicpi_policy_of_bool((same == 1) == (e->op == AICPI_POLICY_OP_EQ)));
        }
    }
    return rebuilt(f, e, parts, count, flags);
}

static part fold_strict(folder *f, const aicpi_policy_expr *e) {
    uint32_t count = aicpi_policy_child_count(e);
    part *parts = aicpi_arena_calloc(f->x->scratch, count, sizeof *parts);
    return parts ? fold_operands(f, e, parts, 0, count) : nomem(f);
}

/* `a is T in b` looks at b only when the type is right. */
static part fold_is(folder *f, const aicpi_policy_expr *e) {
    part parts[2] = {aicpi_policy_fold(f, e->u.named.a)};
    const aicpi_policy_str *type = type_of(f, &parts[0]);
    if (parts[0].state == AICPI_POLICY_PART_FAILED) {
        return parts[0];
    }
    if (parts[0].state == AICPI_POLICY_PART_KNOWN && !type) {
        return known(
            aicpi_policy_eval_type_error(f->x, e->u.named.a->pos, "entity", parts[0].value));
    }
    if (type && (!e->u.named.b || !aicpi_policy_str_eq(type, e->u.named.name))) {
        return known(aicpi_policy_of_bool(aicpi_policy_str_eq(type, e->u.named.name)));
    }
    if (type) {
        aicpi_policy_expr *in = aicpi_arena_alloc(f->intern->arena, sizeof *in);
        if (!in) {
            return nomem(f);
        }
        *in = *e;
        in->op = AICPI_POLICY_OP_IN;
        in->u.of.a = e->u.named.a;
        in->u.of.b = e->u.named.b;
        in->u.of.c = NULL;
        return fold_operands(f, in, parts, 1, 2);
    }
    if (e->u.named.b) {
        parts[1] = aicpi_policy_fold(f, e->u.named.b);
        if (f->x->stopped) {
            return failed();
        }
    }
    return rebuilt(f, e, parts, e->u.named.b ? 2 : 1, open_part(NULL));
}

static void add_outcomes(part *flags, const part *p) {
    bool value = p->state == AICPI_POLICY_PART_KNOWN && p->value.kind == AICPI_POLICY_BOOL;
    bool is_open = p->state == AICPI_POLICY_PART_OPEN;
    flags->can_be_true |= is_open ? p->can_be_true : value && p->value.u.boolean;
    flags->can_be_false |= is_open ? p->can_be_false : value && !p->value.u.boolean;
}

static part fold_if(folder *f, const aicpi_policy_expr *e) {
    part parts[3] = {aicpi_policy_fold(f, e->u.of.a)};
    const aicpi_policy_value guard = parts[0].value;
    if (parts[0].state == AICPI_POLICY_PART_FAILED) {
        return parts[0];
    }
    if (parts[0].state == AICPI_POLICY_PART_KNOWN) {
        if (guard.kind != AICPI_POLICY_BOOL) {
            return known(aicpi_policy_eval_type_error(f->x, e->u.of.a->pos, "bool", guard));
        }
        return aicpi_policy_fold(f, guard.u.boolean ? e->u.of.b : e->u.of.c);
    }
    part flags = {.state = AICPI_POLICY_PART_OPEN};
    for (uint32_t i = 1; i < 3; i++) {
        parts[i] = aicpi_policy_fold(f, aicpi_policy_child(e, i));
        if (f->x->stopped) {
            return failed();
        }
        add_outcomes(&flags, &parts[i]);
    }
    return rebuilt(f, e, parts, 3, flags);
}

/* ---- && and || ---- */

/* Whether its values are bools, so that it may stand alone for a chain. */
static bool is_test(const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_NOT:
    case AICPI_POLICY_OP_IS_EMPTY:
    case AICPI_POLICY_OP_OR:
    case AICPI_POLICY_OP_AND:
    case AICPI_POLICY_OP_EQ:
    case AICPI_POLICY_OP_NE:
    case AICPI_POLICY_OP_LT:
    case AICPI_POLICY_OP_LE:
    case AICPI_POLICY_OP_GT:
    case AICPI_POLICY_OP_GE:
    case AICPI_POLICY_OP_IN:
    case AICPI_POLICY_OP_CONTAINS:
    case AICPI_POLICY_OP_CONTAINS_ALL:
    case AICPI_POLICY_OP_CONTAINS_ANY:
    case AICPI_POLICY_OP_HAS_TAG:
    case AICPI_POLICY_OP_HAS:
    case AICPI_POLICY_OP_LIKE:
    case AICPI_POLICY_OP_IS:
        return true;
    default:
        return false;
    }
}

typedef struct chain {
    const aicpi_policy_expr *e;
    bool go_on; /* the value on which it goes on */
    aicpi_policy_operand *kept;
    uint32_t count;
    part flags;
    bool ended; /* nothing behind the last one kept can be reached */
} chain;

static void chain_add(chain *c, uint32_t nth, const aicpi_policy_expr *e) {
    c->kept[c->count] = c->e->u.operands[nth];
    c->kept[c->count++].expr = e;
}

/* Takes an operand whose outcome is known. True: the outcome of the whole is that in *out. */
static bool chain_settle(folder *f, chain *c, uint32_t nth, part p, part *out) {
    const aicpi_policy_expr *e = c->e->u.operands[nth].expr;
    bool is_bool = p.state == AICPI_POLICY_PART_KNOWN && p.value.kind == AICPI_POLICY_BOOL;
    if (is_bool && p.value.u.boolean == c->go_on) {
        return false;
    }
    if (c->count == 0) {
        bool wrong = p.state == AICPI_POLICY_PART_KNOWN && !is_bool;
        *out = wrong ? known(aicpi_policy_eval_type_error(f->x, e->pos, "bool", p.value)) : p;
        return true;
    }
    c->ended = true;
    *(c->go_on ? &c->flags.can_be_true : &c->flags.can_be_false) = false;
    *(c->go_on ? &c->flags.can_be_false : &c->flags.can_be_true) |= is_bool;
    const aicpi_policy_expr *kept = keep(f, &p, e);
    *out = failed();
    if (kept) {
        chain_add(c, nth, kept);
    }
    return !kept;
}

/* What is left of a chain with at least one operand. */
static part chain_end(folder *f, const chain *c) {
    part out = c->flags;
    if (c->count == 1 && is_test(c->kept[0].expr)) {
        out.expr = c->kept[0].expr;
        return out;
    }
    aicpi_policy_expr *e = aicpi_arena_alloc(f->intern->arena, sizeof *e);
    uint32_t room = c->count + (c->count == 1);
    aicpi_policy_operand *operands = aicpi_arena_calloc(f->intern->arena, room, sizeof *operands);
    if (!e || !operands) {
        return nomem(f);
    }
    *e = *c->e;
    e->count = room;
    e->u.operands = operands;
    memcpy(operands + (room - c->count), c->kept, c->count * sizeof *operands);
    if (c->count == 1) {
        /* The operand may have another value than a bool, which the chain is there to refuse. */
        aicpi_policy_value go_on = aicpi_policy_of_bool(c->go_on);
        operands[0] = operands[1];
        operands[0].expr = aicpi_policy_lift(f->intern, go_on, operands[1].expr->pos);
        if (!operands[0].expr) {
            return nomem(f);
        }
    }
    set_height(e);
    out.expr = e;
    return out;
}

static part fold_chain(folder *f, const aicpi_policy_expr *e) {
    bool and = e->op == AICPI_POLICY_OP_AND;
    chain c = {.e = e, .go_on = and};
    c.flags = (part){.state = AICPI_POLICY_PART_OPEN, .can_be_true = and, .can_be_false = !and};
    c.kept = aicpi_arena_calloc(f->x->scratch, e->count, sizeof *c.kept);
    if (!c.kept) {
        return nomem(f);
    }
    for (uint32_t i = 0; i < e->count && !c.ended; i++) {
        part p = aicpi_policy_fold(f, e->u.operands[i].expr);
        if (f->x->stopped) {
            return failed();
        }
        if (p.state == AICPI_POLICY_PART_OPEN) {
            c.flags.can_be_true =
                and? c.flags.can_be_true && p.can_be_true : c.flags.can_be_true || p.can_be_true;
            c.flags.can_be_false = and? c.flags.can_be_false || p.can_be_false
                                      : c.flags.can_be_false && p.can_be_false;
            chain_add(&c, i, p.expr);
            continue;
        }
        part out;
        if (chain_settle(f, &c, i, p, &out)) {
            return out;
        }
    }
    return c.count > 0 ? chain_end(f, &c) : known(aicpi_policy_of_bool(and));
}

/* ---- all ---- */

aicpi_policy_part aicpi_policy_fold(aicpi_policy_folder *f, const aicpi_policy_expr *e) {
    if (is_unknown(f, e)) {
        return open_part(e);
    }
    if (!has_variable(f, e, true)) {
        return run(f, e);
    }
    switch (e->op) {
    case AICPI_POLICY_OP_AND:
    case AICPI_POLICY_OP_OR:
        return fold_chain(f, e);
    case AICPI_POLICY_OP_IF:
        return fold_if(f, e);
    case AICPI_POLICY_OP_IS:
        return fold_is(f, e);
    default:
        return fold_strict(f, e);
    }
}

aicpi_policy_part aicpi_policy_fold_condition(aicpi_policy_folder *f, const aicpi_policy_expr *e) {
    part p = aicpi_policy_fold(f, e);
    if (p.state == AICPI_POLICY_PART_KNOWN && p.value.kind != AICPI_POLICY_BOOL) {
        return known(aicpi_policy_eval_type_error(f->x, e->pos, "bool", p.value));
    }
    /* A condition is tested for a bool itself. */
    if (p.state == AICPI_POLICY_PART_OPEN && p.expr != e && p.expr->count == 2 &&
        (p.expr->op == AICPI_POLICY_OP_AND || p.expr->op == AICPI_POLICY_OP_OR)) {
        const aicpi_policy_expr *first = p.expr->u.operands[0].expr;
        bool neutral = first->op == AICPI_POLICY_OP_CONST &&
                       first->u.value.kind == AICPI_POLICY_BOOL &&
                       first->u.value.u.boolean == (p.expr->op == AICPI_POLICY_OP_AND);
        p.expr = neutral ? p.expr->u.operands[1].expr : p.expr;
    }
    return p;
}
