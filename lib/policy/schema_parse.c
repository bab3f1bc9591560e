/* Schemas in Cedar's syntax. */
#include "lib/policy/parser.h"
#include "lib/policy/schema_decl.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"

typedef struct builder {
    aicpi_policy_parser p;
    aicpi_policy_schema_decl *decl;
    aicpi_policy_decl_space *outside; /* of all namespaces; made when something stands there */
    aicpi_policy_decl_space *space;   /* that is being filled */
} builder;

/* One of the names that a declaration declares. */
typedef struct new_name {
    const aicpi_policy_str *text;
    uint32_t pos;
} new_name;

typedef struct new_names {
    new_name *items;
    size_t capacity;
    size_t count;
} new_names;

static bool fine(const builder *b) {
    return b->p.status == AICP_OK;
}

static bool at(const builder *b, uint32_t type) {
    return fine(b) && b->p.token.type == type;
}

/* Reads over a token of that type, if it is at hand. */
static bool take(builder *b, uint32_t type) {
    if (!at(b, type)) {
        return false;
    }
    aicpi_policy_advance(&b->p);
    return true;
}

static bool take_word(builder *b, const char *word) {
    if (!fine(b) || !aicpi_policy_at_word(&b->p, word)) {
        return false;
    }
    aicpi_policy_advance(&b->p);
    return true;
}

static bool grow(builder *b, void **items, size_t *capacity, size_t count, size_t size) {
    if (fine(b) && !aicpi_arena_grow(b->p.arena, items, capacity, count, size)) {
        aicpi_policy_parse_nomem(&b->p);
    }
    return fine(b);
}

static void parse_annotations(builder *b, aicpi_policy_annotations *out) {
    *out = (aicpi_policy_annotations){0};
    aicpi_policy_parse_annotations(&b->p, &out->items, &out->count);
}

/* ---- names ---- */

/* First name of a path, or the name of an attribute or action: it may be __cedar. */
static const aicpi_policy_str *parse_first(builder *b, const char *expected) {
    if (!aicpi_policy_at_word(&b->p, "__cedar")) {
        return aicpi_policy_parse_name(&b->p, expected);
    }
    const aicpi_policy_str *first =
        aicpi_policy_intern_str(b->p.intern, aicpi_policy_token_text(&b->p));
    if (!first) {
        aicpi_policy_parse_nomem(&b->p);
    }
    aicpi_policy_advance(&b->p);
    return first;
}

/* A name as it is or in quotes. */
static const aicpi_policy_str *parse_key(builder *b, const char *expected) {
    return at(b, AICPI_POLICY_TOKEN_STRING) ? aicpi_policy_parse_string(&b->p)
                                            : parse_first(b, expected);
}

static void parse_type_ref(builder *b, aicpi_policy_decl_ref *ref) {
    *ref = (aicpi_policy_decl_ref){.pos = b->p.token.start};
    const aicpi_policy_str *first = parse_first(b, "the name of an entity type");
    ref->type = first ? aicpi_policy_parse_path(&b->p, first, NULL) : NULL;
}

/* name, "id" or Path::"id" */
static void parse_action_ref(builder *b, aicpi_policy_decl_ref *ref) {
    *ref = (aicpi_policy_decl_ref){.pos = b->p.token.start};
    if (at(b, AICPI_POLICY_TOKEN_STRING)) {
        ref->id = aicpi_policy_parse_string(&b->p);
        return;
    }
    const aicpi_policy_uid *uid = NULL;
    const aicpi_policy_str *first = parse_first(b, "the name of an action");
    const aicpi_policy_str *path = first ? aicpi_policy_parse_path(&b->p, first, &uid) : NULL;
    if (uid) {
        ref->type = uid->type;
        ref->id = uid->id;
    } else if (path && path != first) {
        aicpi_policy_unexpected(&b->p, "'::' and the action's id as a string");
    } else {
        ref->id = first;
    }
}

typedef void (*parse_ref_fn)(builder *b, aicpi_policy_decl_ref *ref);

/* One reference or a list of them in brackets. */
static void
parse_refs(builder *b, parse_ref_fn parse, bool may_be_empty, aicpi_policy_decl_refs *out) {
    aicpi_policy_decl_ref *items = NULL;
    size_t capacity = 0;
    size_t count = 0;
    bool list = take(b, AICPI_POLICY_TOKEN_LBRACKET);
    if (list && may_be_empty && take(b, AICPI_POLICY_TOKEN_RBRACKET)) {
        return;
    }
    do {
        if (!grow(b, (void **)&items, &capacity, count, sizeof *items)) {
            return;
        }
        parse(b, &items[count++]);
    } while (list && take(b, AICPI_POLICY_TOKEN_COMMA));
    if (list && fine(b)) {
        aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_RBRACKET, "',' or ']' in the list");
    }
    *out = (aicpi_policy_decl_refs){.items = items, .count = (uint32_t)count};
}

/* The names that a declaration declares, with a comma between them. */
static void parse_new_names(builder *b, bool quoted, const char *expected, new_names *out) {
    do {
        if (!grow(b, (void **)&out->items, &out->capacity, out->count, sizeof *out->items)) {
            return;
        }
        new_name *name = &out->items[out->count++];
        name->pos = b->p.token.start;
        name->text = quoted ? parse_key(b, expected) : aicpi_policy_parse_name(&b->p, expected);
    } while (take(b, AICPI_POLICY_TOKEN_COMMA));
}

/* ---- types ---- */

static const aicpi_policy_decl_type *parse_type(builder *b);

typedef struct attr_list {
    aicpi_policy_decl_attr *items;
    size_t capacity;
    size_t count;
    aicpi_map index; /* by key */
} attr_list;

/* A key that stands twice means what was said last. */
static void keep_attr(builder *b, attr_list *list, const aicpi_policy_decl_attr *attr) {
    bool inserted = false;
    aicpi_map_slot *slot = aicpi_map_put(&list->index, attr->key->data, attr->key->len, &inserted);
    if (!slot) {
        aicpi_policy_parse_nomem(&b->p);
        return;
    }
    if (!inserted) {
        list->items[slot->value.u64] = *attr;
    } else if (grow(b, (void **)&list->items, &list->capacity, list->count, sizeof *list->items)) {
        slot->value.u64 = list->count;
        list->items[list->count++] = *attr;
    }
}

static void parse_attr(builder *b, attr_list *list) {
    aicpi_policy_decl_attr attr = {.required = true};
    parse_annotations(b, &attr.annotations);
    attr.key = fine(b) ? parse_key(b, "an attribute or '}'") : NULL;
    if (!attr.key) {
        return;
    }
    attr.required = !take(b, AICPI_POLICY_TOKEN_QUESTION);
    aicpi_policy_expect(
        &b->p,
        AICPI_POLICY_TOKEN_COLON,
        attr.required ? "'?' or ':' after the attribute's name" : "':' after '?'");
    attr.type = parse_type(b);
    if (attr.type) {
        keep_attr(b, list, &attr);
    }
}

/* Attributes up to the closing brace; the opening one was read. */
static void parse_attrs(builder *b, aicpi_policy_decl_type *record) {
    attr_list list = {0};
    aicpi_map_init(&list.index, &b->p.arena->allocator);
    while (fine(b) && !at(b, AICPI_POLICY_TOKEN_RBRACE)) {
        parse_attr(b, &list);
        if (!take(b, AICPI_POLICY_TOKEN_COMMA)) {
            break;
        }
    }
    aicpi_map_deinit(&list.index);
    if (fine(b)) {
        aicpi_policy_expect(
            &b->p, AICPI_POLICY_TOKEN_RBRACE, "',' or '}' in the list of attributes");
    }
    record->count = (uint32_t)list.count;
    record->u.attrs = list.items;
}

static aicpi_policy_decl_type *new_type(builder *b, uint8_t kind) {
    aicpi_policy_decl_type *type = fine(b) ? aicpi_arena_calloc(b->p.arena, 1, sizeof *type) : NULL;
    if (!type) {
        aicpi_policy_parse_nomem(&b->p);
        return NULL;
    }
    type->kind = kind;
    type->pos = b->p.token.start;
    return type;
}

/* The path of a type whose first name was read. */
static void parse_named(builder *b, aicpi_policy_decl_type *type, const aicpi_policy_str *first) {
    type->u.name = aicpi_policy_parse_path(&b->p, first, NULL);
}

static void parse_inner(builder *b, aicpi_policy_decl_type *type) {
    if (take(b, AICPI_POLICY_TOKEN_LBRACE)) {
        type->kind = AICPI_POLICY_DECL_RECORD;
        parse_attrs(b, type);
        return;
    }
    const aicpi_policy_str *first = parse_first(b, "a type");
    if (!first) {
        return;
    }
    if (!aicpi_slice_is(aicpi_policy_text(first), "Set") || !take(b, AICPI_POLICY_TOKEN_LT)) {
        parse_named(b, type, first);
        return;
    }
    type->kind = AICPI_POLICY_DECL_SET;
    type->u.element = parse_type(b);
    if (fine(b)) {
        aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_GT, "'>' after the type of the elements");
    }
}

static const aicpi_policy_decl_type *parse_type(builder *b) {
    aicpi_policy_decl_type *type = new_type(b, AICPI_POLICY_DECL_EITHER);
    if (!type) {
        return NULL;
    }
    if (b->p.depth >= b->p.max_depth) {
        aicpi_policy_parse_fail(
            &b->p,
            AICP_ERR_POLICY_DEPTH,
            type->pos,
            "the type is nested more than %u levels deep",
            (unsigned)b->p.max_depth);
        return NULL;
    }
    b->p.depth++;
    parse_inner(b, type);
    b->p.depth--;
    return fine(b) ? type : NULL;
}

/* A record in braces, the first of which was read. */
static const aicpi_policy_decl_type *parse_record(builder *b) {
    aicpi_policy_decl_type *type = new_type(b, AICPI_POLICY_DECL_RECORD);
    if (type) {
        parse_attrs(b, type);
    }
    return type;
}

/* ---- declarations ---- */

static void parse_enum(builder *b, aicpi_policy_decl_entity *entity) {
    const aicpi_policy_str **ids = NULL;
    size_t capacity = 0;
    size_t count = 0;
    aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_LBRACKET, "'[' after 'enum'");
    do {
        if (!grow(b, (void **)&ids, &capacity, count, sizeof *ids)) {
            return;
        }
        if (!at(b, AICPI_POLICY_TOKEN_STRING)) {
            aicpi_policy_unexpected(&b->p, "an id as a string");
            return;
        }
        ids[count++] = aicpi_policy_parse_string(&b->p);
    } while (take(b, AICPI_POLICY_TOKEN_COMMA));
    entity->ids = ids;
    entity->id_count = (uint32_t)count;
    if (fine(b)) {
        aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_RBRACKET, "',' or ']' in the list of ids");
    }
}

/* What follows the names; returns what else might have stood where it ends. */
static const char *parse_entity_body(builder *b, aicpi_policy_decl_entity *entity) {
    if (take_word(b, "enum")) {
        parse_enum(b, entity);
        return "';' after the list of ids";
    }
    const char *expected = "',', 'in', 'enum', '=', '{', 'tags' or ';' after the entity type";
    if (take_word(b, "in")) {
        parse_refs(b, parse_type_ref, true, &entity->parents);
        expected = "'=', '{', 'tags' or ';' after the parents";
    }
    bool assigned = take(b, AICPI_POLICY_TOKEN_ASSIGN);
    if (take(b, AICPI_POLICY_TOKEN_LBRACE)) {
        entity->shape = parse_record(b);
        expected = "'tags' or ';' after the attributes";
    } else if (assigned) {
        aicpi_policy_unexpected(&b->p, "'{' after '='");
    }
    if (take_word(b, "tags")) {
        entity->tags = parse_type(b);
        expected = "';' after the type of the tags";
    }
    return expected;
}

static void parse_entity(builder *b, const aicpi_policy_annotations *annotations) {
    new_names names = {0};
    aicpi_policy_decl_entity entity = {.annotations = *annotations};
    parse_new_names(b, false, "the name of an entity type", &names);
    const char *expected = parse_entity_body(b, &entity);
    if (!fine(b) || !aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_SEMICOLON, expected)) {
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        aicpi_policy_decl_entity *e = aicpi_policy_decl_add_entity(b->space, b->p.arena);
        if (!e) {
            aicpi_policy_parse_nomem(&b->p);
            return;
        }
        *e = entity;
        e->name = names.items[i].text;
        e->pos = names.items[i].pos;
    }
}

static void parse_context(builder *b, aicpi_policy_decl_action *action) {
    if (take(b, AICPI_POLICY_TOKEN_LBRACE)) {
        action->context = parse_record(b);
        return;
    }
    aicpi_policy_decl_type *type = new_type(b, AICPI_POLICY_DECL_COMMON);
    const aicpi_policy_str *first =
        type ? parse_first(b, "a record or the name of a common type") : NULL;
    if (first) {
        parse_named(b, type, first);
    }
    action->context = type;
}

/* Parts of appliesTo, as bits. */
enum { PART_NONE = 0, PART_PRINCIPAL = 1, PART_RESOURCE = 2, PART_CONTEXT = 4 };

static unsigned part_at_hand(const builder *b) {
    return aicpi_policy_at_word(&b->p, "principal")  ? PART_PRINCIPAL
           : aicpi_policy_at_word(&b->p, "resource") ? PART_RESOURCE
           : aicpi_policy_at_word(&b->p, "context")  ? PART_CONTEXT
                                                     : PART_NONE;
}

static void parse_part(builder *b, aicpi_policy_decl_action *action, unsigned *seen) {
    unsigned part = part_at_hand(b);
    if (part == PART_NONE) {
        aicpi_policy_unexpected(&b->p, "'principal', 'resource' or 'context'");
        return;
    }
    if (*seen & part) {
        aicpi_slice word = aicpi_policy_token_text(&b->p);
        aicpi_policy_parse_fail(
            &b->p,
            AICP_ERR_PARSE,
            b->p.token.start,
            "'%.*s' stands twice",
            (int)word.len,
            word.data);
        return;
    }
    *seen |= part;
    aicpi_policy_advance(&b->p);
    if (!aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_COLON, "':'")) {
        return;
    }
    if (part == PART_CONTEXT) {
        parse_context(b, action);
    } else {
        parse_refs(
            b,
            parse_type_ref,
            false,
            part == PART_PRINCIPAL ? &action->principals : &action->resources);
    }
}

static void parse_applies_to(builder *b, aicpi_policy_decl_action *action) {
    unsigned seen = 0;
    aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_LBRACE, "'{' after 'appliesTo'");
    do {
        if (fine(b)) {
            parse_part(b, action, &seen);
        }
    } while (take(b, AICPI_POLICY_TOKEN_COMMA) && !at(b, AICPI_POLICY_TOKEN_RBRACE));
    if (fine(b) && !(seen & PART_PRINCIPAL)) {
        aicpi_policy_unexpected(&b->p, "'principal' in appliesTo");
    } else if (fine(b) && !(seen & PART_RESOURCE)) {
        aicpi_policy_unexpected(&b->p, "'resource' in appliesTo");
    } else if (fine(b)) {
        aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_RBRACE, "',' or '}' in appliesTo");
    }
}

static const char *parse_action_body(builder *b, aicpi_policy_decl_action *action) {
    const char *expected = "',', 'in', 'appliesTo' or ';' after the action";
    if (take_word(b, "in")) {
        parse_refs(b, parse_action_ref, false, &action->parents);
        expected = "'appliesTo' or ';' after the groups";
    }
    if (take_word(b, "appliesTo")) {
        parse_applies_to(b, action);
        expected = "';' after '}'";
    }
    if (take_word(b, "attributes")) {
        aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_LBRACE, "'{' after 'attributes'");
        if (fine(b)) {
            aicpi_policy_expect(
                &b->p, AICPI_POLICY_TOKEN_RBRACE, "'}': actions have no attributes");
        }
        expected = "';' after '}'";
    }
    return expected;
}

static void parse_action(builder *b, const aicpi_policy_annotations *annotations) {
    new_names names = {0};
    aicpi_policy_decl_action action = {.annotations = *annotations, .applies = true};
    parse_new_names(b, true, "the name of an action", &names);
    const char *expected = parse_action_body(b, &action);
    if (!fine(b) || !aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_SEMICOLON, expected)) {
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        aicpi_policy_decl_action *a = aicpi_policy_decl_add_action(b->space, b->p.arena);
        if (!a) {
            aicpi_policy_parse_nomem(&b->p);
            return;
        }
        *a = action;
        a->id = names.items[i].text;
        a->pos = names.items[i].pos;
    }
}

static void parse_common(builder *b, const aicpi_policy_annotations *annotations) {
    aicpi_policy_decl_common common = {.annotations = *annotations, .pos = b->p.token.start};
    common.name = aicpi_policy_parse_name(&b->p, "the name of a common type");
    if (!common.name ||
        !aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_ASSIGN, "'=' after the name of the type")) {
        return;
    }
    common.type = parse_type(b);
    if (!common.type ||
        !aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_SEMICOLON, "';' after the type")) {
        return;
    }
    aicpi_policy_decl_common *c = aicpi_policy_decl_add_common(b->space, b->p.arena);
    if (!c) {
        aicpi_policy_parse_nomem(&b->p);
        return;
    }
    *c = common;
}

/* One declaration, whose annotations were read. */
static void
parse_decl(builder *b, const aicpi_policy_annotations *annotations, const char *expected) {
    if (take_word(b, "entity")) {
        parse_entity(b, annotations);
    } else if (take_word(b, "action")) {
        parse_action(b, annotations);
    } else if (take_word(b, "type")) {
        parse_common(b, annotations);
    } else {
        aicpi_policy_unexpected(&b->p, expected);
    }
}

static aicpi_policy_decl_space *add_space(builder *b, const aicpi_policy_str *name, uint32_t pos) {
    aicpi_policy_decl_space *space = name ? aicpi_policy_decl_add_space(b->decl, b->p.arena) : NULL;
    if (!space) {
        aicpi_policy_parse_nomem(&b->p);
        return NULL;
    }
    space->name = name;
    space->pos = pos;
    return space;
}

static void parse_space(builder *b, const aicpi_policy_annotations *annotations) {
    uint32_t pos = b->p.token.start;
    const aicpi_policy_str *first = aicpi_policy_parse_name(&b->p, "the name of a namespace");
    const aicpi_policy_str *name = first ? aicpi_policy_parse_path(&b->p, first, NULL) : NULL;
    if (!name ||
        !aicpi_policy_expect(&b->p, AICPI_POLICY_TOKEN_LBRACE, "'{' after the namespace")) {
        return;
    }
    b->space = add_space(b, name, pos);
    if (!b->space) {
        return;
    }
    b->space->annotations = *annotations;
    while (fine(b) && !take(b, AICPI_POLICY_TOKEN_RBRACE)) {
        aicpi_policy_annotations own;
        parse_annotations(b, &own);
        parse_decl(b, &own, "'entity', 'action', 'type' or '}'");
    }
}

/* What stands outside of all namespaces is one of its own, without a name. */
static void enter_outside(builder *b) {
    if (!b->outside) {
        b->outside =
            add_space(b, aicpi_policy_intern_str(b->p.intern, AICPI_SLICE("")), b->p.token.start);
    }
    b->space = b->outside;
}

aicp_status aicpi_policy_schema_read_cedar(
    const aicpi_policy_schema_source *source, aicpi_policy_schema_decl *decl, aicp_error *err) {
    builder b = {
        .p =
            {.lexer = {.data = source->data, .len = (uint32_t)source->len, .schema = true},
             .arena = source->arena,
             .intern = source->intern,
             .max_depth = source->max_depth,
             .err = err},
        .decl = decl};
    aicpi_policy_advance(&b.p);
    while (fine(&b) && !at(&b, AICPI_POLICY_TOKEN_END)) {
        aicpi_policy_annotations annotations;
        parse_annotations(&b, &annotations);
        if (take_word(&b, "namespace")) {
            parse_space(&b, &annotations);
            continue;
        }
        enter_outside(&b);
        parse_decl(&b, &annotations, "'namespace', 'entity', 'action' or 'type'");
    }
    return b.p.status;
}
