/* Runs a program. The height of programs is limited when they are made, so the recursion is. */
#include "lib/policy/eval.h"

#include "lib/base/error.h"
#include "lib/policy/extension.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- errors ---- */

aicpi_policy_value
aicpi_policy_eval_fail(aicpi_policy_eval *x, int32_t kind, uint32_t pos, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(x->message, sizeof x->message, format, args);
    va_end(args);
    x->error_kind = kind;
    x->error_pos = pos;
    return aicpi_policy_of_none();
}

aicpi_policy_value aicpi_policy_eval_type_error(
    aicpi_policy_eval *x, uint32_t pos, const char *expected, aicpi_policy_value found) {
    return aicpi_policy_eval_fail(
        x,
        AICP_POLICY_ERROR_TYPE,
        pos,
        "expected %s, found %s",
        expected,
        aicpi_policy_kind_name(found.kind));
}

aicpi_policy_value aicpi_policy_eval_nomem(aicpi_policy_eval *x) {
    x->stopped = true;
    return aicpi_policy_of_none();
}

aicp_status aicpi_policy_eval_stop(const aicpi_policy_eval *x, aicp_error *err) {
    aicp_status status = x->lookup ? aicpi_policy_lookup_status(x->lookup, err) : AICP_OK;
    return status != AICP_OK ? status : aicpi_nomem(err);
}

/* ---- nodes ---- */

static aicpi_policy_value eval_not(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value v = aicpi_policy_eval_node(x, n->u.of.a);
    if (v.kind == AICPI_POLICY_BOOL) {
        return aicpi_policy_of_bool(!v.u.boolean);
    }
    return v.kind ? aicpi_policy_eval_type_error(x, n->u.of.a->pos, "bool", v) : v;
}

static aicpi_policy_value eval_neg(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value v = aicpi_policy_eval_node(x, n->u.of.a);
    if (v.kind != AICPI_POLICY_LONG) {
        return v.kind ? aicpi_policy_eval_type_error(x, n->u.of.a->pos, "long", v) : v;
    }
    int64_t result = 0;
    if (__builtin_sub_overflow(INT64_C(0), v.u.integer, &result)) {
        return aicpi_policy_eval_fail(
            x, AICP_POLICY_ERROR_OVERFLOW, n->pos, "integer overflow in a negation");
    }
    return aicpi_policy_of_number(AICPI_POLICY_LONG, result);
}

static aicpi_policy_value eval_is_empty(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value v = aicpi_policy_eval_node(x, n->u.of.a);
    if (v.kind == AICPI_POLICY_SET) {
        return aicpi_policy_of_bool(v.u.set->count == 0);
    }
    return v.kind ? aicpi_policy_eval_type_error(x, n->u.of.a->pos, "set", v) : v;
}

/* `&&` goes on while true, `||` while false. */
static aicpi_policy_value eval_logic(aicpi_policy_eval *x, const aicpi_policy_node *n, bool go_on) {
    for (uint32_t i = 0; i < n->u.list.count; i++) {
        const aicpi_policy_node *term = n->u.list.terms[i].node;
        aicpi_policy_value v = aicpi_policy_eval_node(x, term);
        if (v.kind != AICPI_POLICY_BOOL) {
            return v.kind ? aicpi_policy_eval_type_error(x, term->pos, "bool", v) : v;
        }
        if (v.u.boolean != go_on) {
            return v;
        }
    }
    return aicpi_policy_of_bool(go_on);
}

/* Adds, subtracts or multiplies; false on overflow. */
static bool combine(uint8_t op, bool minus, int64_t a, int64_t b, int64_t *out) {
    if (op == AICPI_POLICY_OP_PRODUCT) {
        return !__builtin_mul_overflow(a, b, out);
    }
    return minus ? !__builtin_sub_overflow(a, b, out) : !__builtin_add_overflow(a, b, out);
}

static aicpi_policy_value eval_arithmetic(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    const aicpi_policy_term *terms = n->u.list.terms;
    aicpi_policy_value sum = aicpi_policy_eval_node(x, terms[0].node);
    for (uint32_t i = 1; i < n->u.list.count && sum.kind; i++) {
        /* Both operands are evaluated before either is looked at. */
        aicpi_policy_value v = aicpi_policy_eval_node(x, terms[i].node);
        if (!v.kind) {
            return v;
        }
        if (sum.kind != AICPI_POLICY_LONG) {
            return aicpi_policy_eval_type_error(x, terms[0].node->pos, "long", sum);
        }
        if (v.kind != AICPI_POLICY_LONG) {
            return aicpi_policy_eval_type_error(x, terms[i].node->pos, "long", v);
        }
        if (!combine(n->op, terms[i].minus, sum.u.integer, v.u.integer, &sum.u.integer)) {
            return aicpi_policy_eval_fail(
                x, AICP_POLICY_ERROR_OVERFLOW, terms[i].pos, "integer overflow");
        }
    }
    return sum;
}

static aicpi_policy_value eval_set(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    uint32_t count = n->u.list.count;
    aicpi_policy_element *items = aicpi_arena_calloc(x->scratch, count, sizeof *items);
    if (!items) {
        return aicpi_policy_eval_nomem(x);
    }
    for (uint32_t i = 0; i < count; i++) {
        items[i].value = aicpi_policy_eval_node(x, n->u.list.terms[i].node);
        if (!items[i].value.kind) {
            return items[i].value;
        }
    }
    aicpi_policy_value v = {.kind = AICPI_POLICY_SET};
    v.u.set = aicpi_policy_set_make(x->scratch, items, count);
    return v.u.set ? v : aicpi_policy_eval_nomem(x);
}

static aicpi_policy_value eval_record(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    uint32_t count = n->u.list.count;
    aicpi_policy_field *fields = aicpi_arena_calloc(x->scratch, count, sizeof *fields);
    if (!fields) {
        return aicpi_policy_eval_nomem(x);
    }
    for (uint32_t i = 0; i < count; i++) {
        fields[i].key = n->u.list.terms[i].key;
        fields[i].value = aicpi_policy_eval_node(x, n->u.list.terms[i].node);
        if (!fields[i].value.kind) {
            return fields[i].value;
        }
    }
    aicpi_policy_value v = {.kind = AICPI_POLICY_RECORD};
    v.u.record = aicpi_policy_record_make(x->scratch, fields, count);
    return v.u.record ? v : aicpi_policy_eval_nomem(x);
}

#define ARGS_MOST 2

static aicpi_policy_value eval_call(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value args[ARGS_MOST] = {{0}};
    const aicpi_policy_term *terms = n->u.list.terms;
    uint32_t count = n->u.list.count;
    for (uint32_t i = 0; i < count; i++) {
        aicpi_policy_value v = aicpi_policy_eval_node(x, terms[i].node);
        if (!v.kind) {
            return v;
        }
        if (i < ARGS_MOST) {
            args[i] = v;
        }
    }
    const aicpi_policy_fn *fn = &aicpi_policy_fns[n->arg];
    aicpi_policy_value out;
    aicpi_policy_fault fault;
    if (aicpi_policy_fn_call(n->arg, args, count, x->scratch, &out, &fault)) {
        return out;
    }
    if (fault.kind == 0) {
        return aicpi_policy_eval_nomem(x);
    }
    if (fault.kind == AICP_POLICY_ERROR_TYPE) {
        const char *expected = aicpi_policy_kind_name(fault.expected);
        uint32_t pos = terms[fault.argument].node->pos;
        return aicpi_policy_eval_type_error(x, pos, expected, args[fault.argument]);
    }
    return aicpi_policy_eval_fail(x, fault.kind, n->pos, "%s: %s", fn->name, fault.reason);
}

static aicpi_policy_value eval_if(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value v = aicpi_policy_eval_node(x, n->u.of.a);
    if (v.kind != AICPI_POLICY_BOOL) {
        return v.kind ? aicpi_policy_eval_type_error(x, n->u.of.a->pos, "bool", v) : v;
    }
    return aicpi_policy_eval_node(x, v.u.boolean ? n->u.of.b : n->u.of.c);
}

static aicpi_policy_value eval_like(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value v = aicpi_policy_eval_node(x, n->u.like.a);
    if (v.kind == AICPI_POLICY_STRING) {
        return aicpi_policy_of_bool(
            aicpi_policy_like(n->u.like.pattern, aicpi_policy_text(v.u.string)));
    }
    return v.kind ? aicpi_policy_eval_type_error(x, n->u.like.a->pos, "string", v) : v;
}

static aicpi_policy_value eval_is(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value v = aicpi_policy_eval_node(x, n->u.named.a);
    if (v.kind != AICPI_POLICY_ENTITY) {
        return v.kind ? aicpi_policy_eval_type_error(x, n->u.named.a->pos, "entity", v) : v;
    }
    bool same = aicpi_policy_str_eq(v.u.entity->type, n->u.named.name);
    if (!same || !n->u.named.b) {
        return aicpi_policy_of_bool(same);
    }
    aicpi_policy_value b = aicpi_policy_eval_node(x, n->u.named.b);
    return b.kind ? aicpi_policy_eval_in_value(x, n->u.named.b->pos, v, b) : b;
}

static aicpi_policy_value eval_binary(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    aicpi_policy_value a = aicpi_policy_eval_node(x, n->u.of.a);
    if (!a.kind) {
        return a;
    }
    aicpi_policy_value b = aicpi_policy_eval_node(x, n->u.of.b);
    return b.kind ? aicpi_policy_eval_binary(x, n, a, b) : b;
}

static aicpi_policy_value eval_branch(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    switch (n->op) {
    case AICPI_POLICY_OP_SET:
        return eval_set(x, n);
    case AICPI_POLICY_OP_RECORD:
        return eval_record(x, n);
    case AICPI_POLICY_OP_NOT:
        return eval_not(x, n);
    case AICPI_POLICY_OP_NEG:
        return eval_neg(x, n);
    case AICPI_POLICY_OP_IS_EMPTY:
        return eval_is_empty(x, n);
    case AICPI_POLICY_OP_OR:
        return eval_logic(x, n, false);
    case AICPI_POLICY_OP_AND:
        return eval_logic(x, n, true);
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
        return eval_arithmetic(x, n);
    case AICPI_POLICY_OP_GET: {
        aicpi_policy_value a = aicpi_policy_eval_node(x, n->u.named.a);
        return a.kind ? aicpi_policy_eval_get(x, n, a) : a;
    }
    case AICPI_POLICY_OP_HAS: {
        aicpi_policy_value a = aicpi_policy_eval_node(x, n->u.has.a);
        return a.kind ? aicpi_policy_eval_has(x, n, a) : a;
    }
    case AICPI_POLICY_OP_LIKE:
        return eval_like(x, n);
    case AICPI_POLICY_OP_IS:
        return eval_is(x, n);
    case AICPI_POLICY_OP_IF:
        return eval_if(x, n);
    case AICPI_POLICY_OP_CALL:
        return eval_call(x, n);
    default:
        return eval_binary(x, n);
    }
}

/* Half of all nodes are leaves, which need no frame. */
aicpi_policy_value aicpi_policy_eval_node(aicpi_policy_eval *x, const aicpi_policy_node *n) {
    switch (n->op) {
    case AICPI_POLICY_OP_CONST:
        return n->u.value;
    case AICPI_POLICY_OP_VAR:
        return x->vars[n->arg];
    default:
        return eval_branch(x, n);
    }
}
