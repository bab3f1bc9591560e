/* Policies and policy sets from Cedar's JSON. */
#include "lib/policy/est.h"

#include "lib/policy/brief.h"
#include "lib/policy/lexer.h"

#include "aicp/policy.h"

/* Chains nest to the left, twice for each of their operands. */
#define NESTING_MOST 65536

typedef aicpi_policy_est_reader reader;

/* ---- shared with expressions ---- */

bool aicpi_policy_est_nomem(aicpi_policy_est_reader *e) {
    return aicpi_json_fail(e->json, AICP_ERR_NOMEM, e->json->pos, "out of memory");
}

bool aicpi_policy_est_missing(
    aicpi_policy_est_reader *e, size_t at, const char *thing, const char *name) {
    return aicpi_json_fail(e->json, AICP_ERR_PARSE, at, "%s has no \"%s\"", thing, name);
}

bool aicpi_policy_est_unknown(aicpi_policy_est_reader *e, aicpi_slice key, const char *thing) {
    return aicpi_json_fail(
        e->json,
        AICP_ERR_PARSE,
        e->json->pos,
        "unknown key \"%s\" in %s",
        aicpi_policy_brief_of(key).text,
        thing);
}

const aicpi_policy_str *aicpi_policy_est_str(aicpi_policy_est_reader *e) {
    aicpi_slice text;
    if (!aicpi_json_string(e->json, &text)) {
        return NULL;
    }
    const aicpi_policy_str *s = aicpi_policy_intern_str(e->values.intern, text);
    if (!s) {
        aicpi_policy_est_nomem(e);
    }
    return s;
}

/* ---- scope ---- */

enum { HAS_ENTITY = 1, HAS_SLOT = 2, HAS_LIST = 4, HAS_TYPE = 8, HAS_IN = 16 };

/* The members of one part of a scope, before "op" says what they mean. */
typedef struct scope_parts {
    aicpi_slice op;
    unsigned has; /* HAS_... */
    aicpi_policy_scope scope;
} scope_parts;

static void read_entity(reader *e, aicpi_policy_scope *scope, int var) {
    size_t at = aicpi_json_offset(e->json);
    if (aicpi_policy_read_uid(&e->values, &scope->entity) && var == AICPI_POLICY_VAR_ACTION &&
        !aicpi_policy_is_action_type(scope->entity->type)) {
        aicpi_json_fail(
            e->json,
            AICP_ERR_PARSE,
            at,
            "expected an entity of type Action, found one of type %s",
            aicpi_policy_brief_str(scope->entity->type).text);
    }
}

static void read_slot(reader *e, aicpi_policy_scope *scope, int var) {
    size_t at = aicpi_json_offset(e->json);
    const char *expected = aicpi_policy_slot_names[var];
    aicpi_slice name;
    if (!aicpi_json_string(e->json, &name)) {
        return;
    }
    scope->slot = expected && aicpi_slice_is(name, expected);
    if (!expected) {
        aicpi_json_fail(e->json, AICP_ERR_PARSE, at, "an action has no slot");
    } else if (!scope->slot) {
        aicpi_json_fail(e->json, AICP_ERR_PARSE, at, "expected the slot \"%s\"", expected);
    }
}

static void read_entities(reader *e, aicpi_policy_scope *scope, int var) {
    const aicpi_policy_uid **list = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (!aicpi_json_array(e->json)) {
        return;
    }
    while (aicpi_json_element(e->json)) {
        aicpi_policy_scope one = {0};
        read_entity(e, &one, var);
        if (!aicpi_arena_grow(e->arena, (void **)&list, &capacity, count, sizeof *list)) {
            aicpi_policy_est_nomem(e);
            return;
        }
        list[count++] = one.entity;
    }
    scope->count = (uint32_t)count;
    scope->list = list;
}

/* What `is` may be followed by: {"entity":…} or {"slot":…}; other keys mean nothing. */
static void read_in(reader *e, aicpi_policy_scope *scope, int var) {
    size_t at = aicpi_json_offset(e->json);
    size_t count = 0;
    if (!aicpi_json_object(e->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        if (aicpi_slice_is(key, "entity")) {
            read_entity(e, scope, var);
            count++;
        } else if (aicpi_slice_is(key, "slot")) {
            read_slot(e, scope, var);
            count++;
        } else {
            aicpi_json_skip(e->json);
        }
    }
    if (count != 1) {
        aicpi_json_fail(e->json, AICP_ERR_PARSE, at, "\"in\" has either \"entity\" or \"slot\"");
    }
}

static void read_scope_part(reader *e, scope_parts *p, int var, aicpi_slice key) {
    static const struct {
        const char *key;
        unsigned has;
    } keys[] = {
        {"op", 0},
        {"entity", HAS_ENTITY},
        {"slot", HAS_SLOT},
        {"entities", HAS_LIST},
        {"entity_type", HAS_TYPE},
        {"in", HAS_IN},
    };
    size_t i = 0;
    while (i < sizeof keys / sizeof *keys && !aicpi_slice_is(key, keys[i].key)) {
        i++;
    }
    if (i == sizeof keys / sizeof *keys) {
        aicpi_policy_est_unknown(e, key, "the scope");
        return;
    }
    p->has |= keys[i].has;
    switch (keys[i].has) {
    case 0:
        aicpi_json_string(e->json, &p->op);
        break;
    case HAS_ENTITY:
        read_entity(e, &p->scope, var);
        break;
    case HAS_SLOT:
        read_slot(e, &p->scope, var);
        break;
    case HAS_LIST:
        read_entities(e, &p->scope, var);
        break;
    case HAS_TYPE:
        aicpi_policy_read_type(&e->values, &p->scope.type);
        break;
    default:
        read_in(e, &p->scope, var);
        break;
    }
}

/* Kind of a scope with these members, -1 for none. */
static int scope_kind(const scope_parts *p, int var) {
    static const struct {
        const char *op;
        uint8_t has;
        uint8_t kind;
        bool action;
        bool other; /* than action */
    } forms[] = {
        {"All", 0, AICPI_POLICY_SCOPE_ANY, true, true},
        {"==", HAS_ENTITY, AICPI_POLICY_SCOPE_EQ, true, true},
        {"==", HAS_SLOT, AICPI_POLICY_SCOPE_EQ, false, true},
        {"in", HAS_ENTITY, AICPI_POLICY_SCOPE_IN, true, true},
        {"in", HAS_SLOT, AICPI_POLICY_SCOPE_IN, false, true},
        {"in", HAS_LIST, AICPI_POLICY_SCOPE_IN_LIST, true, false},
        {"is", HAS_TYPE, AICPI_POLICY_SCOPE_IS, false, true},
        {"is", HAS_TYPE | HAS_IN, AICPI_POLICY_SCOPE_IS_IN, false, true},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        bool here = var == AICPI_POLICY_VAR_ACTION ? forms[i].action : forms[i].other;
        if (here && p->has == forms[i].has && aicpi_slice_is(p->op, forms[i].op)) {
            return forms[i].kind;
        }
    }
    return -1;
}

static void read_scope(reader *e, aicpi_policy_ast *ast, int var) {
    size_t at = aicpi_json_offset(e->json);
    scope_parts p = {.op = {"", 0}, .scope.pos = (uint32_t)at};
    if (!aicpi_json_object(e->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        read_scope_part(e, &p, var, key);
    }
    if (!aicpi_json_ok(e->json)) {
        return;
    }
    int kind = scope_kind(&p, var);
    if (kind < 0) {
        aicpi_json_fail(
            e->json,
            AICP_ERR_PARSE,
            at,
            "the %s has the \"op\" \"%s\" with members that do not fit it",
            aicpi_policy_var_names[var],
            aicpi_policy_brief_of(p.op).text);
        return;
    }
    p.scope.kind = (uint8_t)kind;
    ast->scope[var] = p.scope;
}

/* ---- conditions and annotations ---- */

static void read_condition(reader *e, aicpi_policy_condition *c) {
    aicpi_slice kind = {NULL, 0};
    *c = (aicpi_policy_condition){.pos = (uint32_t)aicpi_json_offset(e->json)};
    if (!aicpi_json_object(e->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        if (aicpi_slice_is(key, "kind")) {
            aicpi_json_string(e->json, &kind);
        } else if (aicpi_slice_is(key, "body")) {
            c->expr = aicpi_policy_est_read_expr(e);
        } else {
            aicpi_policy_est_unknown(e, key, "a condition");
        }
    }
    if (!aicpi_json_ok(e->json)) {
        return;
    }
    if (!kind.data || !c->expr) {
        aicpi_policy_est_missing(e, c->pos, "the condition", kind.data ? "body" : "kind");
        return;
    }
    c->unless = aicpi_slice_is(kind, "unless");
    if (!c->unless && !aicpi_slice_is(kind, "when")) {
        aicpi_json_fail(
            e->json, AICP_ERR_PARSE, c->pos, "the condition is neither \"when\" nor \"unless\"");
    }
}

static void read_conditions(reader *e, aicpi_policy_ast *ast, int var) {
    (void)var;
    aicpi_policy_condition *list = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (!aicpi_json_array(e->json)) {
        return;
    }
    while (aicpi_json_element(e->json)) {
        if (!aicpi_arena_grow(e->arena, (void **)&list, &capacity, count, sizeof *list)) {
            aicpi_policy_est_nomem(e);
            return;
        }
        read_condition(e, &list[count++]);
    }
    ast->conditions = list;
    ast->condition_count = (uint32_t)count;
}

static void read_annotation(reader *e, aicpi_policy_annotation *a, aicpi_slice key, size_t at) {
    if (!aicpi_policy_is_word(key)) {
        aicpi_json_fail(
            e->json,
            AICP_ERR_PARSE,
            at,
            "\"%s\" cannot be the name of an annotation",
            aicpi_policy_brief_of(key).text);
        return;
    }
    a->key = aicpi_policy_intern_str(e->values.intern, key);
    if (aicpi_json_peek(e->json) == AICPI_JSON_NULL) {
        aicpi_json_null(e->json);
        a->value = aicpi_policy_intern_str(e->values.intern, AICPI_SLICE(""));
    } else {
        a->value = aicpi_policy_est_str(e);
    }
    if (!a->key || !a->value) {
        aicpi_policy_est_nomem(e);
    }
}

static void read_annotations(reader *e, aicpi_policy_ast *ast, int var) {
    (void)var;
    aicpi_policy_annotation *list = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (!aicpi_json_object(e->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key); count++) {
        size_t at = e->json->pos;
        if (count >= AICPI_POLICY_ANNOTATIONS_MOST) {
            aicpi_json_fail(
                e->json,
                AICP_ERR_LIMIT,
                at,
                "a policy has at most %d annotations",
                AICPI_POLICY_ANNOTATIONS_MOST);
            return;
        }
        if (!aicpi_arena_grow(e->arena, (void **)&list, &capacity, count, sizeof *list)) {
            aicpi_policy_est_nomem(e);
            return;
        }
        read_annotation(e, &list[count], key, at);
    }
    ast->annotations = list;
    ast->annotation_count = (uint32_t)count;
}

/* ---- policies ---- */

static void read_effect(reader *e, aicpi_policy_ast *ast, int var) {
    (void)var;
    size_t at = aicpi_json_offset(e->json);
    aicpi_slice text;
    if (!aicpi_json_string(e->json, &text)) {
        return;
    }
    bool forbid = aicpi_slice_is(text, "forbid");
    ast->effect = forbid ? AICP_POLICY_FORBID : AICP_POLICY_PERMIT;
    if (!forbid && !aicpi_slice_is(text, "permit")) {
        aicpi_json_fail(
            e->json, AICP_ERR_PARSE, at, "the effect is neither \"permit\" nor \"forbid\"");
    }
}

static bool read_policy(reader *e, aicpi_policy_ast *ast) {
    static const struct {
        const char *key;
        void (*read)(reader *e, aicpi_policy_ast *ast, int var);
        int var;
    } members[] = {
        {"effect", read_effect, 0},
        {"principal", read_scope, AICPI_POLICY_VAR_PRINCIPAL},
        {"action", read_scope, AICPI_POLICY_VAR_ACTION},
        {"resource", read_scope, AICPI_POLICY_VAR_RESOURCE},
        {"conditions", read_conditions, 0},
        {"annotations", read_annotations, 0},
    };
    enum { COUNT = sizeof members / sizeof *members, REQUIRED = COUNT - 1 };
    bool seen[COUNT] = {false};
    *ast = (aicpi_policy_ast){.pos = (uint32_t)aicpi_json_offset(e->json)};
    if (!aicpi_json_object(e->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        size_t i = 0;
        while (i < COUNT && !aicpi_slice_is(key, members[i].key)) {
            i++;
        }
        if (i == COUNT) {
            return aicpi_policy_est_unknown(e, key, "a policy");
        }
        seen[i] = true;
        members[i].read(e, ast, members[i].var);
    }
    for (size_t i = 0; i < REQUIRED && aicpi_json_ok(e->json); i++) {
        if (!seen[i]) {
            aicpi_policy_est_missing(e, ast->pos, "the policy", members[i].key);
        }
    }
    return aicpi_json_ok(e->json);
}

/* ---- sets ---- */

typedef struct policies {
    aicpi_policy_ast *items;
    size_t capacity;
    size_t count;
} policies;

static aicpi_policy_ast *new_policy(reader *e, policies *l) {
    if (!aicpi_arena_grow(e->arena, (void **)&l->items, &l->capacity, l->count, sizeof *l->items)) {
        aicpi_policy_est_nomem(e);
        return NULL;
    }
    return &l->items[l->count++];
}

/* An object of policies by id, all of them templates or none. */
static void read_named(reader *e, policies *l, bool templates) {
    if (!aicpi_json_object(e->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        const aicpi_policy_str *id = aicpi_policy_intern_str(e->values.intern, key);
        aicpi_policy_ast *ast = new_policy(e, l);
        if (!id) {
            aicpi_policy_est_nomem(e);
        }
        if (!id || !ast || !read_policy(e, ast)) {
            return;
        }
        ast->id = id;
        if (aicpi_policy_is_template(ast) != templates) {
            aicpi_json_fail(
                e->json,
                AICP_ERR_PARSE,
                ast->pos,
                templates ? "the template \"%s\" has no slot" : "the policy \"%s\" has a slot",
                aicpi_policy_brief_str(id).text);
        }
    }
}

static bool is_set_key(aicpi_slice key) {
    return aicpi_slice_is(key, "staticPolicies") || aicpi_slice_is(key, "templates") ||
           aicpi_slice_is(key, "templateLinks");
}

static void read_set(reader *e, policies *l, aicpi_policy_est *out) {
    if (!aicpi_json_object(e->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(e->json, &key);) {
        aicpi_slice raw;
        if (aicpi_slice_is(key, "staticPolicies")) {
            read_named(e, l, false);
        } else if (aicpi_slice_is(key, "templates")) {
            read_named(e, l, true);
        } else if (!aicpi_slice_is(key, "templateLinks")) {
            aicpi_policy_est_unknown(e, key, "a policy set");
        } else if (aicpi_json_peek(e->json) != AICPI_JSON_ARRAY) {
            aicpi_json_array(e->json); /* says what stands there instead */
        } else if (aicpi_json_span(e->json, &raw) && raw.len > strlen("[]")) {
            out->links_start = (size_t)(raw.data - e->json->data);
            out->links_end = out->links_start + raw.len;
        }
    }
}

/* Whether the text is a set, by the first key of its object; any other is taken for a policy. */
static bool starts_a_set(reader *e) {
    aicpi_slice key;
    return aicpi_json_object(e->json) && aicpi_json_member(e->json, &key) && is_set_key(key);
}

static void read_all(reader *e, policies *l, bool set, aicpi_policy_est *out) {
    if (set) {
        read_set(e, l, out);
        return;
    }
    aicpi_policy_ast *ast = new_policy(e, l);
    if (ast) {
        read_policy(e, ast);
    }
}

static void start(reader *e, aicpi_policy_intern *in, const char *data, size_t len) {
    aicpi_policy_reader_start(&e->values, in, &e->scratch, data, len);
    e->json->max_depth = NESTING_MOST;
}

bool aicpi_policy_is_est(const char *data, size_t len) {
    aicpi_policy_lexer lexer = {.data = data, .len = (uint32_t)len};
    return aicpi_policy_lexer_next(&lexer).type == AICPI_POLICY_TOKEN_LBRACE;
}

aicp_status aicpi_policy_est_read(
    const char *data,
    size_t len,
    aicpi_policy_intern *in,
    uint32_t max_depth,
    aicpi_policy_est *out,
    aicp_error *err) {
    reader e = {.arena = in->arena, .max_depth = max_depth};
    policies l = {0};
    *out = (aicpi_policy_est){0};
    e.json = &e.values.json;
    e.values.allocator = in->arena->allocator;
    aicpi_arena_init(&e.scratch, &in->arena->allocator, 0, 0);
    start(&e, in, data, len);
    bool set = starts_a_set(&e);
    if (aicpi_json_ok(e.json)) {
        start(&e, in, data, len);
        read_all(&e, &l, set, out);
    }
    out->asts = l.items;
    out->count = l.count;
    aicp_status status = aicpi_json_finish(e.json, err);
    aicpi_policy_reader_deinit(&e.values);
    aicpi_arena_deinit(&e.scratch);
    return status;
}
