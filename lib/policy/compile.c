#include "lib/policy/program.h"

#include "lib/policy/extension.h"

/* The height of expressions is limited by the parser, so the recursion is. */

static bool is_const(const aicpi_policy_node *n) {
    return n->op == AICPI_POLICY_OP_CONST;
}

static aicpi_policy_term *
compile_operands(aicpi_arena *arena, const aicpi_policy_expr *e, bool *constant) {
    aicpi_policy_term *terms = aicpi_arena_calloc(arena, e->count, sizeof *terms);
    *constant = true;
    for (uint32_t i = 0; terms && i < e->count; i++) {
        terms[i].node = aicpi_policy_compile(arena, e->u.operands[i].expr);
        if (!terms[i].node) {
            return NULL;
        }
        terms[i].pos = e->u.operands[i].pos;
        terms[i].minus = e->u.operands[i].minus;
        *constant &= is_const(terms[i].node);
    }
    return terms;
}

static aicpi_policy_term *
compile_inits(aicpi_arena *arena, const aicpi_policy_expr *e, bool *constant) {
    aicpi_policy_term *terms = aicpi_arena_calloc(arena, e->count, sizeof *terms);
    *constant = true;
    for (uint32_t i = 0; terms && i < e->count; i++) {
        terms[i].node = aicpi_policy_compile(arena, e->u.inits[i].expr);
        if (!terms[i].node) {
            return NULL;
        }
        terms[i].key = e->u.inits[i].key;
        *constant &= is_const(terms[i].node);
    }
    return terms;
}

static bool
fold_set(aicpi_arena *arena, const aicpi_policy_term *terms, uint32_t count, aicpi_policy_node *n) {
    aicpi_policy_element *items = aicpi_arena_calloc(arena, count, sizeof *items);
    for (uint32_t i = 0; items && i < count; i++) {
        items[i].value = terms[i].node->u.value;
    }
    const aicpi_policy_set_value *set = items ? aicpi_policy_set_make(arena, items, count) : NULL;
    n->op = AICPI_POLICY_OP_CONST;
    n->u.value = (aicpi_policy_value){.kind = AICPI_POLICY_SET, .u.set = set};
    return set != NULL;
}

static bool fold_record(
    aicpi_arena *arena, const aicpi_policy_term *terms, uint32_t count, aicpi_policy_node *n) {
    aicpi_policy_field *fields = aicpi_arena_calloc(arena, count, sizeof *fields);
    for (uint32_t i = 0; fields && i < count; i++) {
        fields[i].key = terms[i].key;
        fields[i].value = terms[i].node->u.value;
    }
    const aicpi_policy_record *record =
        fields ? aicpi_policy_record_make(arena, fields, count) : NULL;
    n->op = AICPI_POLICY_OP_CONST;
    n->u.value = (aicpi_policy_value){.kind = AICPI_POLICY_RECORD, .u.record = record};
    return record != NULL;
}

/* Does a constructor's call on a literal; false only when out of memory. */
static bool fold_call(
    aicpi_arena *arena, const aicpi_policy_term *terms, uint32_t count, aicpi_policy_node *n) {
    aicpi_policy_value args[2];
    if (count > 2) {
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        args[i] = terms[i].node->u.value;
    }
    aicpi_policy_value value;
    aicpi_policy_fault fault;
    if (!aicpi_policy_fn_call(n->arg, args, count, arena, &value, &fault)) {
        return fault.kind != 0;
    }
    n->op = AICPI_POLICY_OP_CONST;
    n->u.value = value;
    return true;
}

static bool compile_list(aicpi_arena *arena, const aicpi_policy_expr *e, aicpi_policy_node *n) {
    bool constant = false;
    bool record = e->op == AICPI_POLICY_OP_RECORD;
    aicpi_policy_term *terms =
        record ? compile_inits(arena, e, &constant) : compile_operands(arena, e, &constant);
    if (!terms) {
        return false;
    }
    n->u.list.terms = terms;
    n->u.list.count = e->count;
    if (!constant) {
        return true;
    }
    switch (e->op) {
    case AICPI_POLICY_OP_SET:
        return fold_set(arena, terms, e->count, n);
    case AICPI_POLICY_OP_RECORD:
        return fold_record(arena, terms, e->count, n);
    case AICPI_POLICY_OP_CALL:
        return fold_call(arena, terms, e->count, n);
    default:
        return true;
    }
}

/* Children of everything but lists; a missing one stays NULL. */
static bool
compile_child(aicpi_arena *arena, const aicpi_policy_expr *e, const aicpi_policy_node **out) {
    *out = e ? aicpi_policy_compile(arena, e) : NULL;
    return !e || *out;
}

const aicpi_policy_node *aicpi_policy_compile(aicpi_arena *arena, const aicpi_policy_expr *e) {
    aicpi_policy_node *n = aicpi_arena_calloc(arena, 1, sizeof *n);
    if (!n) {
        return NULL;
    }
    n->op = e->op;
    n->arg = e->arg;
    n->pos = e->pos;
    bool fine = true;
    switch (e->op) {
    case AICPI_POLICY_OP_CONST:
        n->u.value = e->u.value;
        break;
    case AICPI_POLICY_OP_VAR:
        break;
    case AICPI_POLICY_OP_SET:
    case AICPI_POLICY_OP_RECORD:
    case AICPI_POLICY_OP_OR:
    case AICPI_POLICY_OP_AND:
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
    case AICPI_POLICY_OP_CALL:
        fine = compile_list(arena, e, n);
        break;
    case AICPI_POLICY_OP_HAS:
        fine = compile_child(arena, e->u.has.a, &n->u.has.a);
        n->u.has.names = e->u.has.names;
        n->u.has.count = e->count;
        break;
    case AICPI_POLICY_OP_LIKE:
        fine = compile_child(arena, e->u.like.a, &n->u.like.a);
        n->u.like.pattern = e->u.like.pattern;
        break;
    case AICPI_POLICY_OP_GET:
    case AICPI_POLICY_OP_IS:
        fine = compile_child(arena, e->u.named.a, &n->u.named.a) &&
               compile_child(arena, e->u.named.b, &n->u.named.b);
        n->u.named.name = e->u.named.name;
        break;
    default:
        fine = compile_child(arena, e->u.of.a, &n->u.of.a) &&
               compile_child(arena, e->u.of.b, &n->u.of.b) &&
               compile_child(arena, e->u.of.c, &n->u.of.c);
        break;
    }
    return fine ? n : NULL;
}
