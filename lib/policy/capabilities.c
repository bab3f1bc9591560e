#include "lib/policy/capabilities.h"

#include "lib/base/alloc.h"
#include "lib/base/hash.h"

/* A form in terms of other forms. Lists are chains of pairs, operators with several spellings have
 * one: a != b is !(a == b), a has b.c is a has b && a.b has c. */
struct aicpi_policy_form {
    uint64_t hash;
    uint8_t op;
    uint32_t kids[3];
    const aicpi_policy_str *name;        /* attribute, key or type */
    const aicpi_policy_pattern *pattern; /* of `like` */
    aicpi_policy_value value;            /* of a literal */
    uint32_t held;                       /* how often */
    bool marked;
};

#define SLOTS_FIRST 64u

void aicpi_policy_capabilities_init(aicpi_policy_capabilities *c, const aicp_allocator *a) {
    *c = (aicpi_policy_capabilities){.allocator = *a};
}

void aicpi_policy_capabilities_deinit(aicpi_policy_capabilities *c) {
    aicpi_free(&c->allocator, c->forms);
    aicpi_free(&c->allocator, c->slots);
    aicpi_free(&c->allocator, c->proofs);
}

void aicpi_policy_capabilities_reset(aicpi_policy_capabilities *c) {
    /* One by one: a table that one large policy left behind must not slow down the rest. */
    for (size_t i = 0; i < c->form_count; i++) {
        size_t at = c->forms[i].hash & c->mask;
        while (c->slots[at] != i + 1) {
            at = (at + 1) & c->mask;
        }
        c->slots[at] = 0;
    }
    c->form_count = 0;
    c->proof_count = 0;
}

/* ---- table of forms ---- */

static uint64_t pattern_hash(const aicpi_policy_pattern *pattern) {
    uint64_t h = pattern->count;
    for (uint32_t i = 0; i < pattern->count; i++) {
        h = aicpi_hash(h, pattern->pieces[i].data, pattern->pieces[i].len);
    }
    return h;
}

static bool pattern_eq(const aicpi_policy_pattern *a, const aicpi_policy_pattern *b) {
    if (a == b || !a || !b) {
        return a == b;
    }
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) {
        same = aicpi_slice_eq(a->pieces[i], b->pieces[i]);
    }
    return same;
}

static uint64_t form_hash(const aicpi_policy_form *f) {
    uint64_t h = aicpi_hash_mix(f->op + UINT64_C(0x9E3779B97F4A7C15), f->kids[0] + UINT64_C(1));
    h = aicpi_hash_mix(h ^ f->kids[1], f->kids[2] + UINT64_C(0xD1B54A32D192ED03));
    h ^= f->name ? f->name->hash : 0;
    h ^= f->pattern ? pattern_hash(f->pattern) : 0;
    h ^= f->value.kind ? aicpi_policy_value_hash(f->value) : 0;
    return aicpi_hash_mix(h, UINT64_C(0x8CB92BA72F3D8DD7));
}

static bool form_eq(const aicpi_policy_form *a, const aicpi_policy_form *b) {
    if (a->hash != b->hash || a->op != b->op || memcmp(a->kids, b->kids, sizeof a->kids) != 0 ||
        !a->name != !b->name || a->value.kind != b->value.kind) {
        return false;
    }
    return (!a->name || aicpi_policy_str_eq(a->name, b->name)) &&
           pattern_eq(a->pattern, b->pattern) &&
           (!a->value.kind || aicpi_policy_value_eq(a->value, b->value));
}

static bool rehash(aicpi_policy_capabilities *c, size_t size) {
    uint32_t *slots = aicpi_calloc(&c->allocator, size, sizeof *slots);
    if (!slots) {
        return false;
    }
    for (size_t i = 0; i < c->form_count; i++) {
        size_t at = c->forms[i].hash & (size - 1);
        while (slots[at]) {
            at = (at + 1) & (size - 1);
        }
        slots[at] = (uint32_t)(i + 1);
    }
    aicpi_free(&c->allocator, c->slots);
    c->slots = slots;
    c->mask = size - 1;
    return true;
}

static bool room(aicpi_policy_capabilities *c) {
    size_t size = c->slots ? c->mask + 1 : 0;
    if (c->form_count * 2 >= size && !rehash(c, size ? size * 2 : SLOTS_FIRST)) {
        return false;
    }
    return aicpi_grow(
        &c->allocator, (void **)&c->forms, &c->form_capacity, c->form_count, sizeof *c->forms);
}

static uint32_t number(aicpi_policy_capabilities *c, aicpi_policy_form form) {
    form.hash = form_hash(&form);
    if (c->form_count >= UINT32_MAX - 1 || !room(c)) {
        c->nomem = true;
        return 0;
    }
    size_t at = form.hash & c->mask;
    for (; c->slots[at]; at = (at + 1) & c->mask) {
        if (form_eq(&c->forms[c->slots[at] - 1], &form)) {
            return c->slots[at];
        }
    }
    c->forms[c->form_count++] = form;
    c->slots[at] = (uint32_t)c->form_count;
    return c->slots[at];
}

/* ---- forms of expressions ---- */

static uint32_t
pair(aicpi_policy_capabilities *c, uint8_t op, uint32_t first, uint32_t second, uint32_t third) {
    return number(c, (aicpi_policy_form){.op = op, .kids = {first, second, third}});
}

static uint32_t
named(aicpi_policy_capabilities *c, uint8_t op, uint32_t form, const aicpi_policy_str *name) {
    return number(c, (aicpi_policy_form){.op = op, .kids = {form}, .name = name});
}

/* The third part is the sign, or the function. */
static uint32_t form_of_operands(aicpi_policy_capabilities *c, const aicpi_policy_expr *e) {
    bool chain = e->op != AICPI_POLICY_OP_SET && e->op != AICPI_POLICY_OP_CALL;
    uint32_t form = chain ? 0 : pair(c, e->op, 0, 0, e->arg);
    for (uint32_t i = 0; i < e->count; i++) {
        uint32_t next = aicpi_policy_form_of(c, e->u.operands[i].expr);
        form = chain && i == 0 ? next : pair(c, e->op, form, next, e->u.operands[i].minus);
    }
    return form;
}

/* The order of keys says nothing, but whoever writes a record twice keeps it. */
static uint32_t form_of_record(aicpi_policy_capabilities *c, const aicpi_policy_expr *e) {
    uint32_t form = pair(c, e->op, 0, 0, 0);
    for (uint32_t i = 0; i < e->count; i++) {
        uint32_t value = aicpi_policy_form_of(c, e->u.inits[i].expr);
        form = number(
            c, (aicpi_policy_form){.op = e->op, .kids = {form, value}, .name = e->u.inits[i].key});
    }
    return form;
}

static uint32_t form_of_has(aicpi_policy_capabilities *c, const aicpi_policy_expr *e) {
    uint32_t base = aicpi_policy_form_of(c, e->u.has.a);
    uint32_t form = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        uint32_t has = named(c, AICPI_POLICY_OP_HAS, base, e->u.has.names[i]);
        form = i == 0 ? has : pair(c, AICPI_POLICY_OP_AND, form, has, 0);
        base = aicpi_policy_form_attr(c, base, e->u.has.names[i]);
    }
    return form;
}

static uint32_t form_of_is(aicpi_policy_capabilities *c, const aicpi_policy_expr *e) {
    uint32_t a = aicpi_policy_form_of(c, e->u.named.a);
    uint32_t is = named(c, AICPI_POLICY_OP_IS, a, e->u.named.name);
    if (!e->u.named.b) {
        return is;
    }
    uint32_t in = pair(c, AICPI_POLICY_OP_IN, a, aicpi_policy_form_of(c, e->u.named.b), 0);
    return pair(c, AICPI_POLICY_OP_AND, is, in, 0);
}

static uint32_t form_of_binary(aicpi_policy_capabilities *c, const aicpi_policy_expr *e) {
    uint32_t a = aicpi_policy_form_of(c, e->u.of.a);
    uint32_t b = e->u.of.b ? aicpi_policy_form_of(c, e->u.of.b) : 0;
    uint8_t negated = e->op == AICPI_POLICY_OP_NE   ? AICPI_POLICY_OP_EQ
                      : e->op == AICPI_POLICY_OP_GT ? AICPI_POLICY_OP_LE
                      : e->op == AICPI_POLICY_OP_GE ? AICPI_POLICY_OP_LT
                                                    : AICPI_POLICY_OP_NOT;
    if (negated == AICPI_POLICY_OP_NOT) {
        uint32_t last = e->op == AICPI_POLICY_OP_IF ? aicpi_policy_form_of(c, e->u.of.c) : 0;
        return pair(c, e->op, a, b, last);
    }
    return pair(c, AICPI_POLICY_OP_NOT, pair(c, negated, a, b, 0), 0, 0);
}

/* The height of expressions is limited by the parser, so the recursion is. */
uint32_t aicpi_policy_form_of(aicpi_policy_capabilities *c, const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_CONST:
        return number(c, (aicpi_policy_form){.op = e->op, .value = e->u.value});
    case AICPI_POLICY_OP_VAR:
        return pair(c, e->op, e->arg, 0, 0);
    case AICPI_POLICY_OP_SET:
    case AICPI_POLICY_OP_OR:
    case AICPI_POLICY_OP_AND:
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
    case AICPI_POLICY_OP_CALL:
        return form_of_operands(c, e);
    case AICPI_POLICY_OP_RECORD:
        return form_of_record(c, e);
    case AICPI_POLICY_OP_GET:
        return aicpi_policy_form_attr(c, aicpi_policy_form_of(c, e->u.named.a), e->u.named.name);
    case AICPI_POLICY_OP_HAS:
        return form_of_has(c, e);
    case AICPI_POLICY_OP_LIKE: {
        uint32_t a = aicpi_policy_form_of(c, e->u.like.a);
        return number(
            c, (aicpi_policy_form){.op = e->op, .kids = {a}, .pattern = e->u.like.pattern});
    }
    case AICPI_POLICY_OP_IS:
        return form_of_is(c, e);
    default:
        return form_of_binary(c, e);
    }
}

uint32_t
aicpi_policy_form_attr(aicpi_policy_capabilities *c, uint32_t form, const aicpi_policy_str *name) {
    return named(c, AICPI_POLICY_OP_GET, form, name);
}

uint32_t aicpi_policy_form_tag(aicpi_policy_capabilities *c, uint32_t form, uint32_t key) {
    return pair(c, AICPI_POLICY_OP_GET_TAG, form, key, 0);
}

/* ---- proofs ---- */

bool aicpi_policy_holds(const aicpi_policy_capabilities *c, uint32_t form) {
    return form > 0 && c->forms[form - 1].held > 0;
}

void aicpi_policy_prove(aicpi_policy_capabilities *c, uint32_t form) {
    if (form == 0 || !aicpi_grow(
                         &c->allocator,
                         (void **)&c->proofs,
                         &c->proof_capacity,
                         c->proof_count,
                         sizeof *c->proofs)) {
        c->nomem = true;
        return;
    }
    c->proofs[c->proof_count++] = form;
}

void aicpi_policy_hold(aicpi_policy_capabilities *c, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        c->forms[c->proofs[i] - 1].held++;
    }
}

void aicpi_policy_release(aicpi_policy_capabilities *c, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        c->forms[c->proofs[i] - 1].held--;
    }
}

void aicpi_policy_drop(aicpi_policy_capabilities *c, size_t from) {
    c->proof_count = from;
}

void aicpi_policy_keep_second(aicpi_policy_capabilities *c, size_t from, size_t middle) {
    size_t count = c->proof_count - middle;
    if (count > 0) {
        memmove(c->proofs + from, c->proofs + middle, count * sizeof *c->proofs);
    }
    c->proof_count = from + count;
}

static void mark(aicpi_policy_capabilities *c, size_t from, size_t to, bool marked) {
    for (size_t i = from; i < to; i++) {
        c->forms[c->proofs[i] - 1].marked = marked;
    }
}

void aicpi_policy_keep_common(aicpi_policy_capabilities *c, size_t from, size_t middle) {
    mark(c, from, middle, true);
    size_t at = middle;
    for (size_t i = middle; i < c->proof_count; i++) {
        uint32_t form = c->proofs[i];
        if (c->forms[form - 1].marked) {
            c->proofs[at++] = form;
        }
    }
    c->proof_count = at;
    mark(c, from, middle, false);
    aicpi_policy_keep_second(c, from, middle);
}
