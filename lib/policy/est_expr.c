/* Expressions from Cedar's JSON: an object with one member, whose key says what it is. */
#include "lib/policy/est.h"

#include "lib/policy/brief.h"
#include "lib/policy/extension.h"

typedef const aicpi_policy_expr *expr_ref;
typedef aicpi_policy_est_reader reader;

#define EXPRS_MOST 3

/* ---- making nodes ---- */

static bool too_deep(reader *e, size_t at) {
    return aicpi_json_fail(
        e->json,
        AICP_ERR_POLICY_DEPTH,
        at,
        "the expression is nested more than %u levels deep",
        (unsigned)e->max_depth);
}

/* A node above others, the highest of which has the height `below`. */
static aicpi_policy_expr *make(reader *e, uint8_t op, size_t at, uint32_t below) {
    if (!aicpi_json_ok(e->json)) {
        return NULL;
    }
    if (below >= e->max_depth) {
        too_deep(e, at);
        return NULL;
    }
    aicpi_policy_expr *x = aicpi_arena_calloc(e->arena, 1, sizeof *x);
    if (!x) {
        aicpi_policy_est_nomem(e);
        return NULL;
    }
    x->op = op;
    x->pos = (uint32_t)at;
    x->height = (uint16_t)(below + 1);
    return x;
}

static expr_ref make_const(reader *e, size_t at, aicpi_policy_value value) {
    aicpi_policy_expr *x = make(e, AICPI_POLICY_OP_CONST, at, 0);
    if (x) {
        x->u.value = value;
    }
    return x;
}

/* Operands of a chain, elements, arguments. */
typedef struct list {
    aicpi_policy_operand *items;
    size_t capacity;
    size_t count;
    uint32_t height; /* of the highest item */
} list;

static bool append(reader *e, list *l, expr_ref x, size_t at, bool minus) {
    if (!x) {
        return false;
    }
    if (!aicpi_arena_grow(e->arena, (void **)&l->items, &l->capacity, l->count, sizeof *l->items)) {
        return aicpi_policy_est_nomem(e);
    }
    l->items[l->count++] = (aicpi_policy_operand){.expr = x, .pos = (uint32_t)at, .minus = minus};
    l->height = x->height > l->height ? x->height : l->height;
    return true;
}

static aicpi_policy_expr *make_list(reader *e, uint8_t op, size_t at, const list *l) {
    aicpi_policy_expr *x = make(e, op, at, l->height);
    if (x) {
        x->count = (uint32_t)l->count;
        x->u.operands = l->items;
    }
    return x;
}

typedef struct inits {
    aicpi_policy_init *items;
    size_t capacity;
    size_t count;
    uint32_t height;
} inits;

/* The members of an open object as those of a record. */
static bool read_init(reader *e, inits *l, aicpi_slice key, expr_ref (*read)(reader *e)) {
    aicpi_policy_init init = {.pos = (uint32_t)aicpi_json_offset(e->json)};
    init.key = aicpi_policy_intern_str(e->values.intern, key);
    if (!init.key ||
        !aicpi_arena_grow(e->arena, (void **)&l->items, &l->capacity, l->count, sizeof init)) {
        return aicpi_policy_est_nomem(e);
    }
    init.expr = read(e);
    if (!init.expr) {
        return false;
    }
    l->height = init.expr->height > l->height ? init.expr->height : l->height;
    l->items[l->count++] = init;
    return true;
}

static expr_ref make_record(reader *e, size_t at, const inits *l) {
    aicpi_policy_expr *x = make(e, AICPI_POLICY_OP_RECORD, at, l->height);
    if (x) {
        x->count = (uint32_t)l->count;
        x->u.inits = l->items;
    }
    return x;
}

/* Items of the array at hand. */
static bool read_items(reader *e, list *l, expr_ref (*read)(reader *e)) {
    if (!aicpi_json_array(e->json)) {
        return false;
    }
    while (aicpi_json_element(e->json)) {
        if (!append(e, l, read(e), 0, false)) {
            return false;
        }
    }
    return aicpi_json_ok(e->json);
}

/* A call of the function or method number `fn`; a method's receiver is its first argument. */
static expr_ref make_call(reader *e, int fn, size_t at, const list *args) {
    if (aicpi_policy_fns[fn].method && args->count == 0) {
        aicpi_json_fail(
            e->json,
            AICP_ERR_PARSE,
            at,
            "\"%s\" needs the value that it is called on",
            aicpi_policy_fns[fn].name);
        return NULL;
    }
    aicpi_policy_expr *x = make_list(e, AICPI_POLICY_OP_CALL, at, args);
    if (x) {
        x->arg = (uint8_t)fn;
    }
    return x;
}

static int find_fn(reader *e, aicpi_slice name, size_t at, const char *what) {
    int fn = aicpi_policy_fn_find(name);
    if (fn < 0) {
        aicpi_json_fail(
            e->json,
            AICP_ERR_PARSE,
            at,
            "unknown %s \"%s\"",
            what,
            aicpi_policy_brief_of(name).text);
    }
    return fn;
}

/* ---- values ---- */

static expr_ref read_value(reader *e);

/* {"fn":…,"arg":…} or {"fn":…,"args":[…]}: the call that makes the value; other keys mean nothing.
 */
static expr_ref read_extension(reader *e) {
    size_t at = aicpi_json_offset(e->json);
    list args = {0};
    int fn = -1;
    bool has_args = false;
    if (!aicpi_json_object(e->json)) {
        return NULL;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        aicpi_slice name;
        if (aicpi_slice_is(key, "fn")) {
            size_t place = aicpi_json_offset(e->json);
            fn = aicpi_json_string(e->json, &name) ? find_fn(e, name, place, "extension function")
                                                   : -1;
        } else if (aicpi_slice_is(key, "arg")) {
            has_args = append(e, &args, read_value(e), 0, false);
        } else if (aicpi_slice_is(key, "args")) {
            has_args = read_items(e, &args, read_value);
        } else {
            aicpi_json_skip(e->json);
        }
    }
    if (!aicpi_json_ok(e->json)) {
        return NULL;
    }
    if (fn < 0 || !has_args) {
        aicpi_policy_est_missing(e, at, "the extension value", fn < 0 ? "fn" : "arg");
        return NULL;
    }
    return make_call(e, fn, at, &args);
}

/* The only member of an open object is an escape; reads it and the end of the object. */
static expr_ref read_escape(reader *e, aicpi_slice key, size_t at) {
    expr_ref x = NULL;
    if (aicpi_slice_is(key, "__entity")) {
        const aicpi_policy_uid *uid = NULL;
        if (aicpi_policy_read_uid(&e->values, &uid)) {
            x = make_const(e, at, aicpi_policy_of_entity(uid));
        }
    } else if (aicpi_slice_is(key, "__extn")) {
        x = read_extension(e);
    } else {
        aicpi_json_fail(e->json, AICP_ERR_PARSE, at, "__expr is not supported");
    }
    return x && !aicpi_json_member(e->json, &key) ? x : NULL;
}

static expr_ref read_value_object(reader *e) {
    size_t at = aicpi_json_offset(e->json);
    inits l = {0};
    bool first = true;
    if (!aicpi_json_object(e->json)) {
        return NULL;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key); first = false) {
        if (first && aicpi_policy_at_escape(&e->values, key)) {
            return read_escape(e, key, at);
        }
        read_init(e, &l, key, read_value);
    }
    return make_record(e, at, &l);
}

static expr_ref read_value_array(reader *e) {
    size_t at = aicpi_json_offset(e->json);
    list l = {0};
    return read_items(e, &l, read_value) ? make_list(e, AICPI_POLICY_OP_SET, at, &l) : NULL;
}

static expr_ref read_scalar(reader *e) {
    size_t at = aicpi_json_offset(e->json);
    aicpi_policy_value value;
    return aicpi_policy_read_value(&e->values, &value) ? make_const(e, at, value) : NULL;
}

/* A value of Cedar's JSON as the expression that gives it. */
static expr_ref read_value(reader *e) {
    aicpi_json_type type = aicpi_json_peek(e->json);
    if (type != AICPI_JSON_OBJECT && type != AICPI_JSON_ARRAY) {
        return read_scalar(e);
    }
    if (e->depth >= e->max_depth) {
        too_deep(e, aicpi_json_offset(e->json));
        return NULL;
    }
    e->depth++;
    expr_ref x = type == AICPI_JSON_OBJECT ? read_value_object(e) : read_value_array(e);
    e->depth--;
    return aicpi_json_ok(e->json) ? x : NULL;
}

/* ---- operations ---- */

/* What stands in the object of an operation: expressions by name, and perhaps one other thing. */
typedef struct fields {
    const char *names[EXPRS_MOST];
    size_t required; /* so many of the names must be there */
    const char *extra;
    bool (*read_extra)(reader *e, aicpi_policy_expr *x);
} fields;

static bool
read_field(reader *e, const fields *f, aicpi_slice key, expr_ref *exprs, aicpi_policy_expr *x) {
    for (size_t i = 0; i < EXPRS_MOST && f->names[i]; i++) {
        if (aicpi_slice_is(key, f->names[i])) {
            exprs[i] = aicpi_policy_est_read_expr(e);
            return false;
        }
    }
    if (f->extra && aicpi_slice_is(key, f->extra)) {
        return f->read_extra(e, x);
    }
    return aicpi_policy_est_unknown(e, key, "an operation");
}

/* Reads the object at hand into exprs[0..EXPRS_MOST) and `x`; gives the greatest height in *below.
 */
static bool
read_fields(reader *e, const fields *f, expr_ref *exprs, aicpi_policy_expr *x, uint32_t *below) {
    size_t at = aicpi_json_offset(e->json);
    bool has_extra = false;
    *below = 0;
    if (!aicpi_json_object(e->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        has_extra |= read_field(e, f, key, exprs, x);
    }
    for (size_t i = 0; i < f->required && aicpi_json_ok(e->json); i++) {
        if (!exprs[i]) {
            aicpi_policy_est_missing(e, at, "the operation", f->names[i]);
        }
    }
    if (f->extra && !has_extra && aicpi_json_ok(e->json)) {
        aicpi_policy_est_missing(e, at, "the operation", f->extra);
    }
    for (size_t i = 0; i < EXPRS_MOST; i++) {
        *below = exprs[i] && exprs[i]->height > *below ? exprs[i]->height : *below;
    }
    return aicpi_json_ok(e->json);
}

static bool read_attr(reader *e, aicpi_policy_expr *x) {
    x->u.named.name = aicpi_policy_est_str(e);
    return x->u.named.name != NULL;
}

static bool read_entity_type(reader *e, aicpi_policy_expr *x) {
    return aicpi_policy_read_type(&e->values, &x->u.named.name);
}

/* Adds a name after `has`; several of them are written with dots and so need no quotes. */
static bool read_has_name(reader *e, const aicpi_policy_str ***names, size_t *capacity, size_t n) {
    size_t at = aicpi_json_offset(e->json);
    const aicpi_policy_str *name = aicpi_policy_est_str(e);
    if (!name) {
        return false;
    }
    if (!aicpi_arena_grow(e->arena, (void **)names, capacity, n, sizeof **names)) {
        return aicpi_policy_est_nomem(e);
    }
    (*names)[n] = name;
    if (n > 0 && (!aicpi_policy_is_name(aicpi_policy_text(name)) ||
                  !aicpi_policy_is_name(aicpi_policy_text((*names)[0])))) {
        return aicpi_json_fail(
            e->json, AICP_ERR_PARSE, at, "\"has\" takes several attributes only if all are names");
    }
    return true;
}

static bool read_has_attr(reader *e, aicpi_policy_expr *x) {
    size_t at = aicpi_json_offset(e->json);
    const aicpi_policy_str **names = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (aicpi_json_peek(e->json) == AICPI_JSON_STRING) {
        count = read_has_name(e, &names, &capacity, 0);
    } else if (aicpi_json_array(e->json)) {
        while (aicpi_json_element(e->json)) {
            count += read_has_name(e, &names, &capacity, count);
        }
        if (count == 0 && aicpi_json_ok(e->json)) {
            return aicpi_json_fail(
                e->json, AICP_ERR_PARSE, at, "\"has\" needs the name of an attribute");
        }
    }
    x->count = (uint32_t)count;
    x->u.has.names = names;
    return aicpi_json_ok(e->json);
}

/* ---- patterns ---- */

/* Literals; a wildcard has no data. */
typedef struct parts {
    aicpi_slice *items;
    size_t capacity;
    size_t count;
    size_t wildcards;
    size_t len; /* of the literals */
} parts;

/* "Wildcard" or {"Literal":"…"} */
static bool read_part(reader *e, parts *l) {
    aicpi_slice text = {NULL, 0};
    aicpi_slice key;
    size_t at = aicpi_json_offset(e->json);
    bool fine = false;
    if (aicpi_json_peek(e->json) == AICPI_JSON_STRING) {
        fine = aicpi_json_string(e->json, &key) && aicpi_slice_is(key, "Wildcard");
        l->wildcards++;
    } else if (aicpi_json_object(e->json) && aicpi_json_member(e->json, &key)) {
        fine = aicpi_slice_is(key, "Literal") && aicpi_json_string(e->json, &text) &&
               !aicpi_json_member(e->json, &key);
    }
    if (!fine || !aicpi_json_ok(e->json)) {
        return aicpi_json_fail(
            e->json, AICP_ERR_PARSE, at, "a pattern has \"Wildcard\" and {\"Literal\":\"...\"}");
    }
    if (!aicpi_arena_grow(e->arena, (void **)&l->items, &l->capacity, l->count, sizeof text)) {
        return aicpi_policy_est_nomem(e);
    }
    l->items[l->count++] = text;
    l->len += text.len;
    return true;
}

/* Joins the literals between wildcards. */
static const aicpi_policy_pattern *join(reader *e, const parts *l) {
    aicpi_policy_pattern *pattern = aicpi_arena_alloc(e->arena, sizeof *pattern);
    aicpi_slice *pieces = aicpi_arena_calloc(e->arena, l->wildcards + 1, sizeof *pieces);
    char *text = aicpi_arena_alloc(e->arena, l->len);
    if (!pattern || !pieces || !text) {
        aicpi_policy_est_nomem(e);
        return NULL;
    }
    aicpi_slice *piece = pieces;
    piece->data = text;
    for (size_t i = 0; i < l->count; i++) {
        aicpi_slice part = l->items[i];
        if (!part.data) {
            (++piece)->data = text;
        } else if (part.len > 0) {
            memcpy(text, part.data, part.len);
            text += part.len;
            piece->len += part.len;
        }
    }
    *pattern = (aicpi_policy_pattern){.count = (uint32_t)(l->wildcards + 1), .pieces = pieces};
    return pattern;
}

static bool read_pattern(reader *e, aicpi_policy_expr *x) {
    parts l = {0};
    if (!aicpi_json_array(e->json)) {
        return false;
    }
    while (aicpi_json_element(e->json)) {
        read_part(e, &l);
    }
    x->u.like.pattern = aicpi_json_ok(e->json) ? join(e, &l) : NULL;
    return x->u.like.pattern != NULL;
}

/* ---- kinds of expressions; each reads what stands behind the key ---- */

/* Takes over what read_fields() found. */
static expr_ref finish(reader *e, const fields *f, aicpi_policy_expr like, size_t at) {
    expr_ref exprs[EXPRS_MOST] = {NULL};
    uint32_t below = 0;
    if (!read_fields(e, f, exprs, &like, &below)) {
        return NULL;
    }
    aicpi_policy_expr *x = make(e, like.op, at, below);
    if (!x) {
        return NULL;
    }
    x->count = like.count;
    x->u = like.u;
    /* The first expression is at the same place in all. */
    x->u.of.a = exprs[0];
    if (exprs[1]) {
        x->u.of.b = exprs[1];
    }
    if (exprs[2]) {
        x->u.of.c = exprs[2];
    }
    return x;
}

static expr_ref read_get(reader *e, size_t at) {
    static const fields f = {{"left"}, 1, "attr", read_attr};
    return finish(e, &f, (aicpi_policy_expr){.op = AICPI_POLICY_OP_GET}, at);
}

static expr_ref read_has(reader *e, size_t at) {
    static const fields f = {{"left"}, 1, "attr", read_has_attr};
    return finish(e, &f, (aicpi_policy_expr){.op = AICPI_POLICY_OP_HAS}, at);
}

static expr_ref read_like(reader *e, size_t at) {
    static const fields f = {{"left"}, 1, "pattern", read_pattern};
    return finish(e, &f, (aicpi_policy_expr){.op = AICPI_POLICY_OP_LIKE}, at);
}

static expr_ref read_is(reader *e, size_t at) {
    static const fields f = {{"left", "in"}, 1, "entity_type", read_entity_type};
    return finish(e, &f, (aicpi_policy_expr){.op = AICPI_POLICY_OP_IS}, at);
}

static expr_ref read_if(reader *e, size_t at) {
    static const fields f = {{"if", "then", "else"}, 3, NULL, NULL};
    return finish(e, &f, (aicpi_policy_expr){.op = AICPI_POLICY_OP_IF}, at);
}

static expr_ref read_operation(reader *e, const aicpi_policy_op_form *form, size_t at) {
    static const fields unary = {{"arg"}, 1, NULL, NULL};
    static const fields binary = {{"left", "right"}, 2, NULL, NULL};
    bool one = form->style == AICPI_POLICY_STYLE_PREFIX || form->style == AICPI_POLICY_STYLE_TEST;
    return finish(e, one ? &unary : &binary, (aicpi_policy_expr){.op = form->op}, at);
}

static expr_ref read_var(reader *e, size_t at) {
    size_t place = aicpi_json_offset(e->json);
    aicpi_slice name;
    if (!aicpi_json_string(e->json, &name)) {
        return NULL;
    }
    for (size_t i = 0; i < AICPI_POLICY_VAR_COUNT; i++) {
        if (aicpi_slice_is(name, aicpi_policy_var_names[i])) {
            aicpi_policy_expr *x = make(e, AICPI_POLICY_OP_VAR, at, 0);
            if (x) {
                x->arg = (uint8_t)i;
            }
            return x;
        }
    }
    aicpi_json_fail(
        e->json,
        AICP_ERR_PARSE,
        place,
        "unknown name \"%s\"; variables are principal, action, resource, context",
        aicpi_policy_brief_of(name).text);
    return NULL;
}

static expr_ref read_value_of(reader *e, size_t at) {
    (void)at;
    return read_value(e);
}

static expr_ref read_set(reader *e, size_t at) {
    list l = {0};
    return read_items(e, &l, aicpi_policy_est_read_expr) ? make_list(e, AICPI_POLICY_OP_SET, at, &l)
                                                         : NULL;
}

static expr_ref read_record(reader *e, size_t at) {
    inits l = {0};
    if (!aicpi_json_object(e->json)) {
        return NULL;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        read_init(e, &l, key, aicpi_policy_est_read_expr);
    }
    return make_record(e, at, &l);
}

static expr_ref read_slot(reader *e, size_t at) {
    aicpi_json_fail(
        e->json, AICP_ERR_PARSE, at, "a slot may stand in the scope only, not in a condition");
    return NULL;
}

/* ---- chains ---- */

/* An operation of a chain whose left operand is being read. */
typedef struct frame {
    expr_ref right;
    size_t at;
    bool minus;
    bool has_left;
} frame;

typedef struct chain {
    uint8_t op;
    frame *frames;
    size_t capacity;
    size_t count;
    list operands;
} chain;

static expr_ref read_node(reader *e, aicpi_slice key, size_t at);

static bool push_frame(reader *e, chain *c, const aicpi_policy_op_form *form, size_t at) {
    if (!aicpi_json_object(e->json)) {
        return false;
    }
    if (!aicpi_arena_grow(
            &e->scratch, (void **)&c->frames, &c->capacity, c->count, sizeof *c->frames)) {
        return aicpi_policy_est_nomem(e);
    }
    c->frames[c->count++] = (frame){.at = at, .minus = form->minus};
    return true;
}

static bool close_expr(reader *e, size_t at) {
    aicpi_slice key;
    if (aicpi_json_member(e->json, &key)) {
        aicpi_json_fail(
            e->json, AICP_ERR_PARSE, at, "an expression is an object with exactly one member");
    }
    return aicpi_json_ok(e->json);
}

/* Opens the object of an expression and reads its key. */
static bool open_expr(reader *e, size_t *at, aicpi_slice *key) {
    *at = aicpi_json_offset(e->json);
    if (!aicpi_json_object(e->json)) {
        return false;
    }
    return aicpi_json_member(e->json, key) ||
           aicpi_json_fail(
               e->json, AICP_ERR_PARSE, *at, "an expression is an object with exactly one member");
}

/* The left operand: one more operation of the same chain, or the chain's first operand. */
static bool read_left(reader *e, chain *c) {
    size_t at = 0;
    aicpi_slice key;
    c->frames[c->count - 1].has_left = true;
    if (!open_expr(e, &at, &key)) {
        return false;
    }
    const aicpi_policy_op_form *form = aicpi_policy_op_form_find(key);
    if (form && form->op == c->op) {
        return push_frame(e, c, form, at);
    }
    expr_ref first = read_node(e, key, at);
    return append(e, &c->operands, first, first ? first->pos : 0, false) && close_expr(e, at);
}

/* All members of the innermost operation were read: its right operand follows what is left of it.
 */
static bool pop_frame(reader *e, chain *c) {
    frame f = c->frames[--c->count];
    if (!f.has_left || !f.right) {
        return aicpi_policy_est_missing(e, f.at, "the operation", f.has_left ? "right" : "left");
    }
    return append(e, &c->operands, f.right, f.at, f.minus) &&
           (c->count == 0 || close_expr(e, f.at));
}

/* `a && b && c` nests to the left as deep as it has operands: read without recursion, and into one
 * list, as the text is. */
static expr_ref read_chain(reader *e, const aicpi_policy_op_form *form, size_t at) {
    chain c = {.op = form->op};
    push_frame(e, &c, form, at);
    while (aicpi_json_ok(e->json) && c.count > 0) {
        aicpi_slice key;
        if (!aicpi_json_member(e->json, &key)) {
            if (aicpi_json_ok(e->json)) {
                pop_frame(e, &c);
            }
        } else if (aicpi_slice_is(key, "left")) {
            read_left(e, &c);
        } else if (aicpi_slice_is(key, "right")) {
            expr_ref right = aicpi_policy_est_read_expr(e);
            c.frames[c.count - 1].right = right;
        } else {
            aicpi_policy_est_unknown(e, key, "an operation");
        }
    }
    return make_list(e, c.op, at, &c.operands);
}

/* ---- any expression ---- */

/* What stands behind the key of an expression that starts at `at`. */
static expr_ref read_node(reader *e, aicpi_slice key, size_t at) {
    static const struct {
        const char *key;
        expr_ref (*read)(reader *e, size_t at);
    } kinds[] = {
        {"Value", read_value_of},
        {"Var", read_var},
        {".", read_get},
        {"has", read_has},
        {"like", read_like},
        {"is", read_is},
        {"if-then-else", read_if},
        {"Set", read_set},
        {"Record", read_record},
        {"Slot", read_slot},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (aicpi_slice_is(key, kinds[i].key)) {
            return kinds[i].read(e, at);
        }
    }
    const aicpi_policy_op_form *form = aicpi_policy_op_form_find(key);
    if (form) {
        return form->style == AICPI_POLICY_STYLE_CHAIN ? read_chain(e, form, at)
                                                       : read_operation(e, form, at);
    }
    int fn = find_fn(e, key, at, "operation");
    list args = {0};
    return fn >= 0 && read_items(e, &args, aicpi_policy_est_read_expr) ? make_call(e, fn, at, &args)
                                                                       : NULL;
}

const aicpi_policy_expr *aicpi_policy_est_read_expr(aicpi_policy_est_reader *e) {
    size_t at = 0;
    aicpi_slice key;
    if (e->depth >= e->max_depth) {
        too_deep(e, aicpi_json_offset(e->json));
        return NULL;
    }
    e->depth++;
    expr_ref x = open_expr(e, &at, &key) ? read_node(e, key, at) : NULL;
    e->depth--;
    return x && close_expr(e, at) ? x : NULL;
}
