#include "lib/policy/lift.h"

#include "lib/policy/extension.h"

#include <stdlib.h>

/* Values nest at most as deep as the text they were read from plus the expression that built them,
 * both of which have limits; so the recursion here is bounded. */

/* ---- order ---- */

static int compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_texts(const aicpi_policy_str *a, const aicpi_policy_str *b) {
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : compare_numbers(a->len, b->len);
}

static int compare_consts(aicpi_policy_value a, aicpi_policy_value b) {
    int order = compare_numbers(a.kind, b.kind);
    if (order) {
        return order;
    }
    switch (a.kind) {
    case AICPI_POLICY_BOOL:
        return compare_numbers(a.u.boolean, b.u.boolean);
    case AICPI_POLICY_STRING:
        return compare_texts(a.u.string, b.u.string);
    case AICPI_POLICY_ENTITY:
        order = compare_texts(a.u.entity->type, b.u.entity->type);
        return order ? order : compare_texts(a.u.entity->id, b.u.entity->id);
    default:
        return compare_numbers(a.u.integer, b.u.integer);
    }
}

/* Of expressions that were made here. */
static int compare(const aicpi_policy_expr *a, const aicpi_policy_expr *b) {
    if (a->op != b->op || a->op == AICPI_POLICY_OP_CONST) {
        return a->op != b->op ? a->op - b->op : compare_consts(a->u.value, b->u.value);
    }
    int order = a->arg - b->arg;
    order = order ? order : compare_numbers(a->count, b->count);
    for (uint32_t i = 0; i < a->count && !order; i++) {
        if (a->op == AICPI_POLICY_OP_RECORD) {
            order = compare_texts(a->u.inits[i].key, b->u.inits[i].key);
            order = order ? order : compare(a->u.inits[i].expr, b->u.inits[i].expr);
        } else {
            order = compare(a->u.operands[i].expr, b->u.operands[i].expr);
        }
    }
    return order;
}

static int by_expr(const void *a, const void *b) {
    return compare(
        ((const aicpi_policy_operand *)a)->expr, ((const aicpi_policy_operand *)b)->expr);
}

static int by_key(const void *a, const void *b) {
    return compare_texts(((const aicpi_policy_init *)a)->key, ((const aicpi_policy_init *)b)->key);
}

/* ---- making ---- */

static aicpi_policy_expr *make(aicpi_policy_intern *in, uint8_t op, uint32_t pos) {
    aicpi_policy_expr *e = aicpi_arena_calloc(in->arena, 1, sizeof *e);
    if (e) {
        e->op = op;
        e->pos = pos;
        e->height = 1;
    }
    return e;
}

static const aicpi_policy_expr *
lift_const(aicpi_policy_intern *in, aicpi_policy_value v, uint32_t pos) {
    aicpi_policy_expr *e = make(in, AICPI_POLICY_OP_CONST, pos);
    if (!e) {
        return NULL;
    }
    e->u.value = (aicpi_policy_value){.kind = v.kind};
    if (v.kind == AICPI_POLICY_STRING) {
        e->u.value.u.string = aicpi_policy_intern_str(in, aicpi_policy_text(v.u.string));
        return e->u.value.u.string ? e : NULL;
    }
    if (v.kind == AICPI_POLICY_ENTITY) {
        const aicpi_policy_str *type =
            aicpi_policy_intern_str(in, aicpi_policy_text(v.u.entity->type));
        const aicpi_policy_str *id = aicpi_policy_intern_str(in, aicpi_policy_text(v.u.entity->id));
        e->u.value.u.entity = type && id ? aicpi_policy_intern_uid(in, type, id) : NULL;
        return e->u.value.u.entity ? e : NULL;
    }
    e->u.value.u = v.u;
    return e;
}

static void grow_height(aicpi_policy_expr *e, const aicpi_policy_expr *child) {
    if (e->height <= child->height) {
        e->height = (uint16_t)(child->height + 1);
    }
}

static const aicpi_policy_expr *
lift_set(aicpi_policy_intern *in, const aicpi_policy_set_value *set, uint32_t pos) {
    aicpi_policy_expr *e = make(in, AICPI_POLICY_OP_SET, pos);
    aicpi_policy_operand *operands = aicpi_arena_calloc(in->arena, set->count, sizeof *operands);
    if (!e || !operands) {
        return NULL;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        operands[i].expr = aicpi_policy_lift(in, set->items[i].value, pos);
        operands[i].pos = pos;
        if (!operands[i].expr) {
            return NULL;
        }
        grow_height(e, operands[i].expr);
    }
    qsort(operands, set->count, sizeof *operands, by_expr);
    e->count = set->count;
    e->u.operands = operands;
    return e;
}

static const aicpi_policy_expr *
lift_record(aicpi_policy_intern *in, const aicpi_policy_record *record, uint32_t pos) {
    aicpi_policy_expr *e = make(in, AICPI_POLICY_OP_RECORD, pos);
    aicpi_policy_init *inits = aicpi_arena_calloc(in->arena, record->count, sizeof *inits);
    if (!e || !inits) {
        return NULL;
    }
    for (uint32_t i = 0; i < record->count; i++) {
        const aicpi_policy_field *f = &record->fields[i];
        inits[i].key = aicpi_policy_intern_str(in, aicpi_policy_text(f->key));
        inits[i].expr = aicpi_policy_lift(in, f->value, pos);
        inits[i].pos = pos;
        if (!inits[i].key || !inits[i].expr) {
            return NULL;
        }
        grow_height(e, inits[i].expr);
    }
    qsort(inits, record->count, sizeof *inits, by_key);
    e->count = record->count;
    e->u.inits = inits;
    return e;
}

static const aicpi_policy_expr *call(
    aicpi_policy_intern *in,
    uint8_t fn,
    uint32_t pos,
    const aicpi_policy_expr *const *args,
    uint32_t count) {
    aicpi_policy_expr *e = make(in, AICPI_POLICY_OP_CALL, pos);
    aicpi_policy_operand *operands = aicpi_arena_calloc(in->arena, count, sizeof *operands);
    if (!e || !operands) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!args[i]) {
            return NULL;
        }
        operands[i] = (aicpi_policy_operand){.expr = args[i], .pos = pos};
        grow_height(e, args[i]);
    }
    e->arg = fn;
    e->count = count;
    e->u.operands = operands;
    return e;
}

/* A constructor's call on a text. */
static const aicpi_policy_expr *
construct(aicpi_policy_intern *in, uint8_t fn, uint32_t pos, aicpi_slice text) {
    aicpi_policy_expr *arg = make(in, AICPI_POLICY_OP_CONST, pos);
    const aicpi_policy_str *s = aicpi_policy_intern_str(in, text);
    if (!arg || !s) {
        return NULL;
    }
    arg->u.value = aicpi_policy_of_string(s);
    const aicpi_policy_expr *args[] = {arg};
    return call(in, fn, pos, args, 1);
}

const aicpi_policy_expr *
aicpi_policy_lift(aicpi_policy_intern *in, aicpi_policy_value v, uint32_t pos) {
    char text[AICPI_POLICY_EXTENSION_TEXT];
    size_t len = 0;
    switch (v.kind) {
    case AICPI_POLICY_SET:
        return lift_set(in, v.u.set, pos);
    case AICPI_POLICY_RECORD:
        return lift_record(in, v.u.record, pos);
    case AICPI_POLICY_DECIMAL:
        len = aicpi_policy_decimal_format(v.u.integer, text);
        return construct(in, AICPI_POLICY_FN_DECIMAL, pos, aicpi_slice_of(text, len));
    case AICPI_POLICY_IP:
        len = aicpi_policy_ip_format(v.u.ip, text);
        return construct(in, AICPI_POLICY_FN_IP, pos, aicpi_slice_of(text, len));
    case AICPI_POLICY_DURATION:
        len = aicpi_policy_duration_format(v.u.integer, text);
        return construct(in, AICPI_POLICY_FN_DURATION, pos, aicpi_slice_of(text, len));
    case AICPI_POLICY_DATETIME: {
        const aicpi_slice start = aicpi_slice_cstr(AICPI_POLICY_DATETIME_START);
        len = aicpi_policy_duration_format(v.u.integer, text);
        const aicpi_policy_expr *args[] = {
            construct(in, AICPI_POLICY_FN_DATETIME, pos, start),
            construct(in, AICPI_POLICY_FN_DURATION, pos, aicpi_slice_of(text, len))};
        return call(in, AICPI_POLICY_FN_OFFSET, pos, args, 2);
    }
    default:
        return lift_const(in, v, pos);
    }
}
