/* Expressions, by precedence from the loosest to the tightest. */
#include "lib/policy/parser.h"

#include "lib/base/text.h"
#include "lib/policy/brief.h"
#include "lib/policy/extension.h"

#define UNARY_MOST 4

typedef const aicpi_policy_expr *expr_ref;
typedef expr_ref (*parse_fn)(aicpi_policy_parser *p);

/* List under construction: operands of a chain, elements, arguments. */
typedef struct list {
    aicpi_policy_operand *items;
    size_t capacity;
    size_t count;
    uint32_t height; /* of the highest item */
} list;

static bool append(aicpi_policy_parser *p, list *l, expr_ref e, uint32_t pos, bool minus) {
    if (!e) {
        return false;
    }
    if (!aicpi_arena_grow(p->arena, (void **)&l->items, &l->capacity, l->count, sizeof *l->items)) {
        aicpi_policy_parse_nomem(p);
        return false;
    }
    l->items[l->count++] = (aicpi_policy_operand){.expr = e, .pos = pos, .minus = minus};
    l->height = e->height > l->height ? e->height : l->height;
    return true;
}

static void too_deep(aicpi_policy_parser *p, uint32_t pos) {
    aicpi_policy_parse_fail(
        p,
        AICP_ERR_POLICY_DEPTH,
        pos,
        "the expression is nested more than %u levels deep",
        (unsigned)p->max_depth);
}

/* A node above others, the highest of which has the height `below`. */
static aicpi_policy_expr *make(aicpi_policy_parser *p, uint8_t op, uint32_t pos, uint32_t below) {
    if (below >= p->max_depth) {
        too_deep(p, pos);
        return NULL;
    }
    aicpi_policy_expr *e = aicpi_arena_calloc(p->arena, 1, sizeof *e);
    if (!e) {
        aicpi_policy_parse_nomem(p);
        return NULL;
    }
    e->op = op;
    e->pos = pos;
    e->height = (uint16_t)(below + 1);
    return e;
}

static expr_ref make_list(aicpi_policy_parser *p, uint8_t op, uint32_t pos, const list *l) {
    aicpi_policy_expr *e = make(p, op, pos, l->height);
    if (e) {
        e->count = (uint32_t)l->count;
        e->u.operands = l->items;
    }
    return e;
}

static expr_ref make_const(aicpi_policy_parser *p, uint32_t pos, aicpi_policy_value value) {
    aicpi_policy_expr *e = make(p, AICPI_POLICY_OP_CONST, pos, 0);
    if (e) {
        e->u.value = value;
    }
    return e;
}

static aicpi_policy_expr *make_unary(aicpi_policy_parser *p, uint8_t op, uint32_t pos, expr_ref a) {
    aicpi_policy_expr *e = a ? make(p, op, pos, a->height) : NULL;
    if (e) {
        e->u.of.a = a;
    }
    return e;
}

static aicpi_policy_expr *
make_binary(aicpi_policy_parser *p, uint8_t op, uint32_t pos, expr_ref a, expr_ref b) {
    if (!a || !b) {
        return NULL;
    }
    aicpi_policy_expr *e = make(p, op, pos, a->height > b->height ? a->height : b->height);
    if (e) {
        e->u.of.a = a;
        e->u.of.b = b;
    }
    return e;
}

static expr_ref unexpected(aicpi_policy_parser *p, const char *expected) {
    aicpi_policy_unexpected(p, expected);
    return NULL;
}

/* ---- primary expressions ---- */

/* Items up to the closing token, which is read. */
static bool parse_items(aicpi_policy_parser *p, list *l, uint32_t close, const char *expected) {
    while (p->status == AICP_OK && p->token.type != close) {
        if (!append(p, l, aicpi_policy_parse_expr(p), 0, false)) {
            return false;
        }
        if (p->token.type != AICPI_POLICY_TOKEN_COMMA) {
            break;
        }
        aicpi_policy_advance(p);
    }
    return aicpi_policy_expect(p, close, expected);
}

/* One `key: value`. */
static bool parse_init(aicpi_policy_parser *p, aicpi_policy_init *out) {
    out->pos = p->token.start;
    out->key = p->token.type == AICPI_POLICY_TOKEN_STRING
                   ? aicpi_policy_parse_string(p)
                   : aicpi_policy_parse_name(p, "a record key or '}'");
    if (!out->key ||
        !aicpi_policy_expect(p, AICPI_POLICY_TOKEN_COLON, "':' after the record key")) {
        return false;
    }
    out->expr = aicpi_policy_parse_expr(p);
    return out->expr != NULL;
}

typedef struct key_place {
    uint64_t hash;
    const aicpi_policy_init *init;
} key_place;

/* Keys are interned: equal ones are the same pointer and stand side by side once sorted. */
static bool keys_differ(aicpi_policy_parser *p, const aicpi_policy_init *inits, size_t count) {
    key_place *places = aicpi_arena_calloc(p->arena, count, sizeof *places);
    if (!places) {
        aicpi_policy_parse_nomem(p);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        places[i] = (key_place){.hash = inits[i].key->hash, .init = &inits[i]};
    }
    aicpi_policy_sort(places, count, sizeof *places);
    for (size_t i = 1; i < count; i++) {
        const aicpi_policy_init *a = places[i - 1].init;
        const aicpi_policy_init *b = places[i].init;
        if (a->key == b->key) {
            aicpi_policy_parse_fail(
                p,
                AICP_ERR_PARSE,
                a->pos > b->pos ? a->pos : b->pos,
                "the record has the key \"%s\" twice",
                aicpi_policy_brief_str(a->key).text);
            return false;
        }
    }
    return true;
}

static expr_ref parse_record(aicpi_policy_parser *p) {
    uint32_t pos = p->token.start;
    aicpi_policy_init *inits = NULL;
    size_t capacity = 0;
    size_t count = 0;
    uint32_t height = 0;
    aicpi_policy_advance(p);
    while (p->status == AICP_OK && p->token.type != AICPI_POLICY_TOKEN_RBRACE) {
        if (!aicpi_arena_grow(p->arena, (void **)&inits, &capacity, count, sizeof *inits)) {
            aicpi_policy_parse_nomem(p);
            return NULL;
        }
        if (!parse_init(p, &inits[count])) {
            return NULL;
        }
        height = inits[count].expr->height > height ? inits[count].expr->height : height;
        count++;
        if (p->token.type != AICPI_POLICY_TOKEN_COMMA) {
            break;
        }
        aicpi_policy_advance(p);
    }
    if (!aicpi_policy_expect(
            p, AICPI_POLICY_TOKEN_RBRACE, "an operator, ',' or '}' in the record") ||
        !keys_differ(p, inits, count)) {
        return NULL;
    }
    aicpi_policy_expr *e = make(p, AICPI_POLICY_OP_RECORD, pos, height);
    if (e) {
        e->count = (uint32_t)count;
        e->u.inits = inits;
    }
    return e;
}

static expr_ref parse_set(aicpi_policy_parser *p) {
    uint32_t pos = p->token.start;
    list items = {0};
    aicpi_policy_advance(p);
    if (!parse_items(
            p, &items, AICPI_POLICY_TOKEN_RBRACKET, "an operator, ',' or ']' in the set")) {
        return NULL;
    }
    return make_list(p, AICPI_POLICY_OP_SET, pos, &items);
}

/* `below_minus`: one minus stands before it, so the least integer is allowed. */
static expr_ref parse_integer(aicpi_policy_parser *p, bool below_minus) {
    uint32_t pos = p->token.start;
    aicpi_slice text = aicpi_policy_token_text(p);
    uint64_t n = 0;
    uint64_t most = (uint64_t)INT64_MAX + (below_minus ? 1 : 0);
    if (!aicpi_parse_u64(text, &n) || n > most) {
        aicpi_policy_parse_fail(
            p,
            AICP_ERR_PARSE,
            pos,
            "the integer %s does not fit 64 bits",
            aicpi_policy_brief_of(text).text);
        return NULL;
    }
    aicpi_policy_advance(p);
    int64_t value = below_minus ? (int64_t)(0 - n) : (int64_t)n;
    return make_const(p, pos, aicpi_policy_of_number(AICPI_POLICY_LONG, value));
}

static expr_ref parse_call(aicpi_policy_parser *p, const aicpi_policy_str *name, uint32_t pos) {
    int fn = aicpi_policy_fn_find(aicpi_policy_text(name));
    if (fn < 0 || aicpi_policy_fns[fn].method) {
        aicpi_policy_parse_fail(
            p,
            AICP_ERR_PARSE,
            pos,
            fn < 0 ? "unknown function '%s'; known are decimal, ip, datetime, duration"
                   : "'%s' is a method: write x.name(...)",
            aicpi_policy_brief_str(name).text);
        return NULL;
    }
    list args = {0};
    aicpi_policy_advance(p);
    if (!parse_items(
            p, &args, AICPI_POLICY_TOKEN_RPAREN, "an operator, ',' or ')' after the argument")) {
        return NULL;
    }
    aicpi_policy_expr *e = make(p, AICPI_POLICY_OP_CALL, pos, args.height);
    if (e) {
        e->arg = (uint8_t)fn;
        e->count = (uint32_t)args.count;
        e->u.operands = args.items;
    }
    return e;
}

static expr_ref make_var(aicpi_policy_parser *p, const aicpi_policy_str *name, uint32_t pos) {
    static const char *const vars[] = {"principal", "action", "resource", "context"};
    for (size_t i = 0; i < AICPI_POLICY_VAR_COUNT; i++) {
        if (aicpi_slice_is(aicpi_policy_text(name), vars[i])) {
            aicpi_policy_expr *e = make(p, AICPI_POLICY_OP_VAR, pos, 0);
            if (e) {
                e->arg = (uint8_t)i;
            }
            return e;
        }
    }
    aicpi_policy_parse_fail(
        p,
        AICP_ERR_PARSE,
        pos,
        "unknown name '%s'; variables are principal, action, resource, context",
        aicpi_policy_brief_str(name).text);
    return NULL;
}

/* What starts with a word: a literal, an entity, a function call or a variable. */
static expr_ref parse_word(aicpi_policy_parser *p) {
    uint32_t pos = p->token.start;
    if (aicpi_policy_at_word(p, "true") || aicpi_policy_at_word(p, "false")) {
        bool value = aicpi_policy_at_word(p, "true");
        aicpi_policy_advance(p);
        return make_const(p, pos, aicpi_policy_of_bool(value));
    }
    if (aicpi_policy_at_word(p, "if")) {
        aicpi_policy_parse_fail(p, AICP_ERR_PARSE, pos, "'if' must stand in parentheses here");
        return NULL;
    }
    const aicpi_policy_str *name = aicpi_policy_parse_name(p, "an expression");
    if (!name) {
        return NULL;
    }
    if (p->token.type == AICPI_POLICY_TOKEN_PATH) {
        const aicpi_policy_uid *uid = NULL;
        if (aicpi_policy_parse_path(p, name, &uid) && !uid) {
            aicpi_policy_unexpected(p, "'::' and the entity's id as a string");
        }
        return p->status == AICP_OK ? make_const(p, pos, aicpi_policy_of_entity(uid)) : NULL;
    }
    if (p->token.type == AICPI_POLICY_TOKEN_LPAREN) {
        return parse_call(p, name, pos);
    }
    return make_var(p, name, pos);
}

static expr_ref parse_primary(aicpi_policy_parser *p) {
    uint32_t pos = p->token.start;
    switch (p->token.type) {
    case AICPI_POLICY_TOKEN_IDENT:
        return parse_word(p);
    case AICPI_POLICY_TOKEN_INT:
        return parse_integer(p, false);
    case AICPI_POLICY_TOKEN_STRING: {
        const aicpi_policy_str *s = aicpi_policy_parse_string(p);
        return s ? make_const(p, pos, aicpi_policy_of_string(s)) : NULL;
    }
    case AICPI_POLICY_TOKEN_LBRACKET:
        return parse_set(p);
    case AICPI_POLICY_TOKEN_LBRACE:
        return parse_record(p);
    case AICPI_POLICY_TOKEN_LPAREN: {
        aicpi_policy_advance(p);
        expr_ref inner = aicpi_policy_parse_expr(p);
        return inner && aicpi_policy_expect(p, AICPI_POLICY_TOKEN_RPAREN, "an operator or ')'")
                   ? inner
                   : NULL;
    }
    case AICPI_POLICY_TOKEN_SLOT:
        aicpi_policy_parse_fail(
            p, AICP_ERR_PARSE, pos, "a slot may only stand in the policy's scope");
        return NULL;
    default:
        return unexpected(p, "an expression");
    }
}

/* ---- attributes and methods ---- */

typedef struct method {
    const char *name;
    uint8_t op;
    uint8_t args;
} method;

static const method methods[] = {
    {"contains", AICPI_POLICY_OP_CONTAINS, 1},
    {"containsAll", AICPI_POLICY_OP_CONTAINS_ALL, 1},
    {"containsAny", AICPI_POLICY_OP_CONTAINS_ANY, 1},
    {"isEmpty", AICPI_POLICY_OP_IS_EMPTY, 0},
    {"getTag", AICPI_POLICY_OP_GET_TAG, 1},
    {"hasTag", AICPI_POLICY_OP_HAS_TAG, 1},
};

static expr_ref
make_method(aicpi_policy_parser *p, const aicpi_policy_str *name, uint32_t pos, const list *args) {
    expr_ref receiver = args->items[0].expr;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const method *m = &methods[i];
        if (!aicpi_slice_is(aicpi_policy_text(name), m->name)) {
            continue;
        }
        if (args->count != m->args + 1u) {
            aicpi_policy_parse_fail(
                p,
                AICP_ERR_PARSE,
                pos,
                "the method %s takes %u argument%s, found %zu",
                m->name,
                (unsigned)m->args,
                m->args == 1 ? "" : "s",
                args->count - 1);
            return NULL;
        }
        return m->args == 0 ? make_unary(p, m->op, pos, receiver)
                            : make_binary(p, m->op, pos, receiver, args->items[1].expr);
    }
    int fn = aicpi_policy_fn_find(aicpi_policy_text(name));
    if (fn < 0 || !aicpi_policy_fns[fn].method) {
        aicpi_policy_parse_fail(
            p,
            AICP_ERR_PARSE,
            pos,
            fn < 0 ? "unknown method '%s'" : "'%s' is a function, not a method",
            aicpi_policy_brief_str(name).text);
        return NULL;
    }
    aicpi_policy_expr *e = make(p, AICPI_POLICY_OP_CALL, pos, args->height);
    if (e) {
        e->arg = (uint8_t)fn;
        e->count = (uint32_t)args->count;
        e->u.operands = args->items;
    }
    return e;
}

static expr_ref
make_get(aicpi_policy_parser *p, expr_ref a, const aicpi_policy_str *name, uint32_t pos) {
    aicpi_policy_expr *e = name ? make(p, AICPI_POLICY_OP_GET, pos, a->height) : NULL;
    if (e) {
        e->u.named.a = a;
        e->u.named.name = name;
    }
    return e;
}

/* `.name` or `.name(arguments)`; the dot was read. */
static expr_ref parse_dot(aicpi_policy_parser *p, expr_ref a) {
    uint32_t pos = p->token.start;
    const aicpi_policy_str *name = aicpi_policy_parse_name(p, "an attribute or a method after '.'");
    if (!name || p->token.type != AICPI_POLICY_TOKEN_LPAREN) {
        return make_get(p, a, name, pos);
    }
    list args = {0};
    aicpi_policy_advance(p);
    if (!append(p, &args, a, 0, false) ||
        !parse_items(
            p, &args, AICPI_POLICY_TOKEN_RPAREN, "an operator, ',' or ')' after the argument")) {
        return NULL;
    }
    return make_method(p, name, pos, &args);
}

static expr_ref parse_index(aicpi_policy_parser *p, expr_ref a) {
    uint32_t pos = p->token.start;
    if (p->token.type != AICPI_POLICY_TOKEN_STRING) {
        return unexpected(p, "an attribute's name as a string after '['");
    }
    const aicpi_policy_str *name = aicpi_policy_parse_string(p);
    if (!name || !aicpi_policy_expect(p, AICPI_POLICY_TOKEN_RBRACKET, "']'")) {
        return NULL;
    }
    return make_get(p, a, name, pos);
}

static expr_ref parse_member(aicpi_policy_parser *p) {
    expr_ref e = parse_primary(p);
    while (e) {
        if (p->token.type == AICPI_POLICY_TOKEN_DOT) {
            aicpi_policy_advance(p);
            e = parse_dot(p, e);
        } else if (p->token.type == AICPI_POLICY_TOKEN_LBRACKET) {
            aicpi_policy_advance(p);
            e = parse_index(p, e);
        } else {
            break;
        }
    }
    return e;
}

/* ---- operators ---- */

/* A bare integer with nothing to its right that belongs to it, such as `.name`. */
static bool at_plain_integer(const aicpi_policy_parser *p) {
    if (p->token.type != AICPI_POLICY_TOKEN_INT) {
        return false;
    }
    aicpi_policy_lexer ahead = p->lexer;
    uint32_t next = aicpi_policy_lexer_next(&ahead).type;
    return next != AICPI_POLICY_TOKEN_DOT && next != AICPI_POLICY_TOKEN_LBRACKET;
}

static expr_ref parse_unary(aicpi_policy_parser *p) {
    uint32_t type = p->token.type;
    uint32_t places[UNARY_MOST];
    size_t count = 0;
    if (type != AICPI_POLICY_TOKEN_NOT && type != AICPI_POLICY_TOKEN_MINUS) {
        return parse_member(p);
    }
    for (; p->token.type == type; aicpi_policy_advance(p)) {
        if (count == UNARY_MOST) {
            return unexpected(p, "at most four of the operator in a row");
        }
        places[count++] = p->token.start;
    }
    expr_ref e = NULL;
    if (type == AICPI_POLICY_TOKEN_MINUS && at_plain_integer(p)) {
        e = parse_integer(p, true);
        count--;
    } else {
        e = parse_member(p);
    }
    uint8_t op = type == AICPI_POLICY_TOKEN_NOT ? AICPI_POLICY_OP_NOT : AICPI_POLICY_OP_NEG;
    while (count > 0 && e) {
        e = make_unary(p, op, places[--count], e);
    }
    return e;
}

/* Operands joined by `first` or `second`, which may be the same. */
static expr_ref
parse_chain(aicpi_policy_parser *p, uint8_t op, uint32_t first, uint32_t second, parse_fn operand) {
    expr_ref e = operand(p);
    if (!e || (p->token.type != first && p->token.type != second)) {
        return e;
    }
    list operands = {0};
    uint32_t pos = p->token.start;
    bool fine = append(p, &operands, e, e->pos, false);
    while (fine && (p->token.type == first || p->token.type == second)) {
        uint32_t at = p->token.start;
        bool minus = p->token.type == AICPI_POLICY_TOKEN_MINUS;
        aicpi_policy_advance(p);
        fine = append(p, &operands, operand(p), at, minus);
    }
    return fine ? make_list(p, op, pos, &operands) : NULL;
}

static expr_ref parse_product(aicpi_policy_parser *p) {
    return parse_chain(
        p, AICPI_POLICY_OP_PRODUCT, AICPI_POLICY_TOKEN_STAR, AICPI_POLICY_TOKEN_STAR, parse_unary);
}

static expr_ref parse_sum(aicpi_policy_parser *p) {
    return parse_chain(
        p, AICPI_POLICY_OP_SUM, AICPI_POLICY_TOKEN_PLUS, AICPI_POLICY_TOKEN_MINUS, parse_product);
}

static expr_ref parse_has(aicpi_policy_parser *p, expr_ref a, uint32_t pos) {
    const aicpi_policy_str **names = NULL;
    size_t capacity = 0;
    size_t count = 0;
    bool single = p->token.type == AICPI_POLICY_TOKEN_STRING;
    bool more = true;
    while (more) {
        const aicpi_policy_str *name =
            single ? aicpi_policy_parse_string(p)
                   : aicpi_policy_parse_name(p, "an attribute's name after 'has'");
        if (!name) {
            return NULL;
        }
        if (!aicpi_arena_grow(p->arena, (void **)&names, &capacity, count, sizeof *names)) {
            aicpi_policy_parse_nomem(p);
            return NULL;
        }
        names[count++] = name;
        more = !single && p->token.type == AICPI_POLICY_TOKEN_DOT;
        if (more) {
            aicpi_policy_advance(p);
        }
    }
    aicpi_policy_expr *e = make(p, AICPI_POLICY_OP_HAS, pos, a->height);
    if (e) {
        e->count = (uint32_t)count;
        e->u.has.a = a;
        e->u.has.names = names;
    }
    return e;
}

static expr_ref parse_like(aicpi_policy_parser *p, expr_ref a, uint32_t pos) {
    if (p->token.type != AICPI_POLICY_TOKEN_STRING) {
        return unexpected(p, "a pattern as a string after 'like'");
    }
    const aicpi_policy_pattern *pattern = aicpi_policy_parse_pattern(p);
    aicpi_policy_expr *e = pattern ? make(p, AICPI_POLICY_OP_LIKE, pos, a->height) : NULL;
    if (e) {
        e->u.like.a = a;
        e->u.like.pattern = pattern;
    }
    return e;
}

static expr_ref parse_is(aicpi_policy_parser *p, expr_ref a, uint32_t pos) {
    const aicpi_policy_str *first = aicpi_policy_parse_name(p, "an entity type after 'is'");
    const aicpi_policy_str *type = first ? aicpi_policy_parse_path(p, first, NULL) : NULL;
    if (!type) {
        return NULL;
    }
    expr_ref b = NULL;
    uint32_t height = a->height;
    if (aicpi_policy_at_word(p, "in")) {
        aicpi_policy_advance(p);
        b = parse_sum(p);
        if (!b) {
            return NULL;
        }
        height = b->height > height ? b->height : height;
    }
    aicpi_policy_expr *e = make(p, AICPI_POLICY_OP_IS, pos, height);
    if (e) {
        e->u.named.a = a;
        e->u.named.b = b;
        e->u.named.name = type;
    }
    return e;
}

/* Relation that the token at hand stands for, -1 for none. */
static int relation(const aicpi_policy_parser *p) {
    if (p->token.type >= AICPI_POLICY_TOKEN_EQ && p->token.type <= AICPI_POLICY_TOKEN_GE) {
        static const uint8_t ops[] = {
            AICPI_POLICY_OP_EQ,
            AICPI_POLICY_OP_NE,
            AICPI_POLICY_OP_LT,
            AICPI_POLICY_OP_LE,
            AICPI_POLICY_OP_GT,
            AICPI_POLICY_OP_GE};
        return ops[p->token.type - AICPI_POLICY_TOKEN_EQ];
    }
    if (aicpi_policy_at_word(p, "in")) {
        return AICPI_POLICY_OP_IN;
    }
    if (aicpi_policy_at_word(p, "has")) {
        return AICPI_POLICY_OP_HAS;
    }
    if (aicpi_policy_at_word(p, "like")) {
        return AICPI_POLICY_OP_LIKE;
    }
    return aicpi_policy_at_word(p, "is") ? AICPI_POLICY_OP_IS : -1;
}

static expr_ref parse_relation(aicpi_policy_parser *p) {
    expr_ref a = parse_sum(p);
    int op = a ? relation(p) : -1;
    if (op < 0) {
        return a;
    }
    uint32_t pos = p->token.start;
    aicpi_policy_advance(p);
    expr_ref e = NULL;
    switch (op) {
    case AICPI_POLICY_OP_HAS:
        e = parse_has(p, a, pos);
        break;
    case AICPI_POLICY_OP_LIKE:
        e = parse_like(p, a, pos);
        break;
    case AICPI_POLICY_OP_IS:
        e = parse_is(p, a, pos);
        break;
    default:
        e = make_binary(p, (uint8_t)op, pos, a, parse_sum(p));
        break;
    }
    if (e && relation(p) >= 0) {
        aicpi_policy_parse_fail(
            p, AICP_ERR_PARSE, p->token.start, "comparisons cannot be chained; use parentheses");
        return NULL;
    }
    return e;
}

static expr_ref parse_and(aicpi_policy_parser *p) {
    return parse_chain(
        p, AICPI_POLICY_OP_AND, AICPI_POLICY_TOKEN_AND, AICPI_POLICY_TOKEN_AND, parse_relation);
}

static expr_ref parse_or(aicpi_policy_parser *p) {
    return parse_chain(
        p, AICPI_POLICY_OP_OR, AICPI_POLICY_TOKEN_OR, AICPI_POLICY_TOKEN_OR, parse_and);
}

static expr_ref parse_word_then(aicpi_policy_parser *p, const char *word, const char *expected) {
    if (!aicpi_policy_at_word(p, word)) {
        return unexpected(p, expected);
    }
    aicpi_policy_advance(p);
    return aicpi_policy_parse_expr(p);
}

static expr_ref parse_if(aicpi_policy_parser *p) {
    uint32_t pos = p->token.start;
    aicpi_policy_advance(p);
    expr_ref a = aicpi_policy_parse_expr(p);
    expr_ref b = a ? parse_word_then(p, "then", "an operator or 'then'") : NULL;
    expr_ref c = b ? parse_word_then(p, "else", "an operator or 'else'") : NULL;
    if (!c) {
        return NULL;
    }
    uint32_t height = a->height > b->height ? a->height : b->height;
    aicpi_policy_expr *e =
        make(p, AICPI_POLICY_OP_IF, pos, c->height > height ? c->height : height);
    if (e) {
        e->u.of.a = a;
        e->u.of.b = b;
        e->u.of.c = c;
    }
    return e;
}

const aicpi_policy_expr *aicpi_policy_parse_expr(aicpi_policy_parser *p) {
    if (p->status != AICP_OK) {
        return NULL;
    }
    if (p->depth >= p->max_depth) {
        too_deep(p, p->token.start);
        return NULL;
    }
    p->depth++;
    expr_ref e = aicpi_policy_at_word(p, "if") ? parse_if(p) : parse_or(p);
    p->depth--;
    return p->status == AICP_OK ? e : NULL;
}
