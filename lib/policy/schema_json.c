/* Schemas in the JSON form. */
#include "lib/policy/schema_decl.h"

#include "lib/base/json.h"
#include "lib/policy/brief.h"

typedef struct builder {
    aicpi_json json;
    aicpi_arena scratch;
    aicpi_arena *arena;
    aicpi_policy_intern *intern;
    uint32_t max_depth;
    uint32_t depth;
    aicpi_policy_schema_decl *decl;
} builder;

static bool nomem(builder *b) {
    return aicpi_json_fail(&b->json, AICP_ERR_NOMEM, b->json.pos, "out of memory");
}

static uint32_t here(builder *b) {
    return (uint32_t)aicpi_json_offset(&b->json);
}

static bool unknown_key(builder *b, size_t at, aicpi_slice key, const char *known) {
    return aicpi_json_fail(
        &b->json,
        AICP_ERR_PARSE,
        at,
        "unknown key \"%s\"; known are %s",
        aicpi_policy_brief_of(key).text,
        known);
}

static bool missing_key(builder *b, size_t at, const char *what, const char *key) {
    return aicpi_json_fail(&b->json, AICP_ERR_PARSE, at, "%s has no \"%s\"", what, key);
}

static bool grow(builder *b, void **items, size_t *capacity, size_t count, size_t size) {
    return aicpi_arena_grow(b->arena, items, capacity, count, size) || nomem(b);
}

/* ---- texts and names ---- */

static bool intern(builder *b, aicpi_slice text, const aicpi_policy_str **out) {
    *out = aicpi_policy_intern_str(b->intern, text);
    return *out || nomem(b);
}

static bool read_text(builder *b, const aicpi_policy_str **out) {
    aicpi_slice text;
    return aicpi_json_string(&b->json, &text) && intern(b, text, out);
}

/* A path, the first part of which may be __cedar. */
static bool is_type_path(aicpi_slice text) {
    aicpi_slice prefix = AICPI_SLICE("__cedar::");
    if (text.len > prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0) {
        text = aicpi_slice_of(text.data + prefix.len, text.len - prefix.len);
    }
    return aicpi_policy_is_path(text);
}

/* What a name of the JSON form may be. */
typedef bool (*is_name_fn)(aicpi_slice text);

static bool is_space_name(aicpi_slice text) {
    return text.len == 0 || aicpi_policy_is_path(text);
}

static bool take_name(
    builder *b, size_t at, aicpi_slice text, is_name_fn is_name, const aicpi_policy_str **out) {
    if (!is_name(text)) {
        return aicpi_json_fail(
            &b->json,
            AICP_ERR_PARSE,
            at,
            "\"%s\" cannot be a name here",
            aicpi_policy_brief_of(text).text);
    }
    return intern(b, text, out);
}

static bool read_type_name(builder *b, const aicpi_policy_str **out) {
    size_t at = here(b);
    aicpi_slice text;
    return aicpi_json_string(&b->json, &text) && take_name(b, at, text, is_type_path, out);
}

/* null counts as if the key were not there; reads it over. */
static bool is_null(builder *b) {
    return aicpi_json_peek(&b->json) == AICPI_JSON_NULL && aicpi_json_null(&b->json);
}

/* ---- annotations ---- */

static bool read_annotation(builder *b, size_t at, aicpi_slice key, aicpi_policy_annotation *out) {
    if (!aicpi_policy_is_word(key)) {
        return aicpi_json_fail(
            &b->json, AICP_ERR_PARSE, at, "the name of an annotation is not an identifier");
    }
    if (!intern(b, key, &out->key)) {
        return false;
    }
    return is_null(b) ? intern(b, AICPI_SLICE(""), &out->value) : read_text(b, &out->value);
}

static void read_annotations(builder *b, aicpi_policy_annotations *out) {
    aicpi_policy_annotation *items = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (!aicpi_json_object(&b->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        if (count == AICPI_POLICY_ANNOTATIONS_MOST) {
            aicpi_json_fail(
                &b->json,
                AICP_ERR_LIMIT,
                b->json.pos,
                "more than %d annotations in one place",
                AICPI_POLICY_ANNOTATIONS_MOST);
            return;
        }
        if (!grow(b, (void **)&items, &capacity, count, sizeof *items) ||
            !read_annotation(b, b->json.pos, key, &items[count])) {
            return;
        }
        count++;
    }
    *out = (aicpi_policy_annotations){.items = items, .count = (uint32_t)count};
}

/* ---- types ---- */

/* Keys that the object of a type may have besides its own. */
enum { WITH_NOTHING = 0, WITH_ANNOTATIONS = 1, WITH_REQUIRED = 2 };

/* All keys of the object of a type, before it is known which of them belong to it. */
typedef struct raw_type {
    uint32_t pos;
    aicpi_slice type;
    bool has_type;
    bool has_additional;
    const aicpi_policy_str *name;
    const aicpi_policy_decl_type *element;
    const aicpi_policy_decl_type *record;
} raw_type;

static const aicpi_policy_decl_type *
read_type(builder *b, unsigned with, aicpi_policy_decl_attr *attr);

static void read_attrs(builder *b, aicpi_policy_decl_type *record) {
    aicpi_policy_decl_attr *items = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (!aicpi_json_object(&b->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        if (!grow(b, (void **)&items, &capacity, count, sizeof *items)) {
            return;
        }
        aicpi_policy_decl_attr *attr = &items[count++];
        *attr = (aicpi_policy_decl_attr){.required = true};
        if (!intern(b, key, &attr->key)) {
            return;
        }
        attr->type = read_type(b, WITH_ANNOTATIONS | WITH_REQUIRED, attr);
    }
    record->count = (uint32_t)count;
    record->u.attrs = items;
}

static aicpi_policy_decl_type *new_type(builder *b, uint8_t kind, uint32_t pos) {
    aicpi_policy_decl_type *type = aicpi_arena_calloc(b->arena, 1, sizeof *type);
    if (!type) {
        nomem(b);
        return NULL;
    }
    type->kind = kind;
    type->pos = pos;
    return type;
}

static void read_type_key(
    builder *b, raw_type *raw, aicpi_slice key, unsigned with, aicpi_policy_decl_attr *attr) {
    size_t at = b->json.pos;
    if (aicpi_slice_is(key, "type")) {
        raw->has_type = aicpi_json_string(&b->json, &raw->type);
    } else if (aicpi_slice_is(key, "element")) {
        raw->element = read_type(b, WITH_NOTHING, NULL);
    } else if (aicpi_slice_is(key, "attributes")) {
        aicpi_policy_decl_type *record = new_type(b, AICPI_POLICY_DECL_RECORD, raw->pos);
        raw->record = record;
        if (record) {
            read_attrs(b, record);
        }
    } else if (aicpi_slice_is(key, "additionalAttributes")) {
        bool open = false;
        raw->has_additional = aicpi_json_bool(&b->json, &open);
        if (open) {
            aicpi_json_fail(
                &b->json, AICP_ERR_UNSUPPORTED, at, "additionalAttributes is not supported");
        }
    } else if (aicpi_slice_is(key, "name")) {
        read_type_name(b, &raw->name);
    } else if (aicpi_slice_is(key, "required") && (with & WITH_REQUIRED)) {
        aicpi_json_bool(&b->json, &attr->required);
    } else if (aicpi_slice_is(key, "annotations") && (with & WITH_ANNOTATIONS)) {
        read_annotations(b, &attr->annotations);
    } else {
        unknown_key(
            b,
            at,
            key,
            "\"type\", \"element\", \"attributes\", \"name\", and \"required\" and "
            "\"annotations\" of an attribute");
    }
}

/* Which key goes with which type; the other ones are refused. */
typedef struct shape_rule {
    const char *type;
    uint8_t kind;
    const char *key;
} shape_rule;

static const shape_rule shape_rules[] = {
    {"Set", AICPI_POLICY_DECL_SET, "element"},
    {"Record", AICPI_POLICY_DECL_RECORD, "attributes"},
    {"Entity", AICPI_POLICY_DECL_ENTITY, "name"},
    {"EntityOrCommon", AICPI_POLICY_DECL_EITHER, "name"},
    {"Extension", AICPI_POLICY_DECL_EXTENSION, "name"},
};

/* A common type, or a built-in one; "Boolean" is what this form calls Bool. */
static const aicpi_policy_decl_type *make_named(builder *b, const raw_type *raw) {
    if (raw->element || raw->record || raw->name || raw->has_additional) {
        aicpi_json_fail(
            &b->json,
            AICP_ERR_PARSE,
            raw->pos,
            "the type \"%s\" has no other keys",
            aicpi_policy_brief_of(raw->type).text);
        return NULL;
    }
    aicpi_policy_decl_type *type = new_type(b, AICPI_POLICY_DECL_COMMON, raw->pos);
    aicpi_slice name = aicpi_slice_is(raw->type, "Boolean") ? AICPI_SLICE("Bool") : raw->type;
    return type && take_name(b, raw->pos, name, is_type_path, &type->u.name) ? type : NULL;
}

static const aicpi_policy_decl_type *
make_shaped(builder *b, const raw_type *raw, const shape_rule *rule) {
    bool set = rule->kind == AICPI_POLICY_DECL_SET;
    bool record = rule->kind == AICPI_POLICY_DECL_RECORD;
    bool named = !set && !record;
    if ((raw->element && !set) || (raw->record && !record) || (raw->name && !named) ||
        (raw->has_additional && !record)) {
        aicpi_json_fail(
            &b->json,
            AICP_ERR_PARSE,
            raw->pos,
            "a type \"%s\" has only the key \"%s\"",
            rule->type,
            rule->key);
        return NULL;
    }
    if (!(set ? (const void *)raw->element : record ? (const void *)raw->record : raw->name)) {
        missing_key(b, raw->pos, "the type", rule->key);
        return NULL;
    }
    if (record) {
        return raw->record;
    }
    aicpi_policy_decl_type *type = new_type(b, rule->kind, raw->pos);
    if (type && set) {
        type->u.element = raw->element;
    } else if (type) {
        type->u.name = raw->name;
    }
    return type;
}

static const aicpi_policy_decl_type *make_type(builder *b, const raw_type *raw) {
    if (!aicpi_json_ok(&b->json)) {
        return NULL;
    }
    if (!raw->has_type) {
        missing_key(b, raw->pos, "the type", "type");
        return NULL;
    }
    for (size_t i = 0; i < sizeof shape_rules / sizeof *shape_rules; i++) {
        if (aicpi_slice_is(raw->type, shape_rules[i].type)) {
            return make_shaped(b, raw, &shape_rules[i]);
        }
    }
    return make_named(b, raw);
}

/* The type at hand. `with` says which keys of its object are told to `attr`. */
static const aicpi_policy_decl_type *
read_type(builder *b, unsigned with, aicpi_policy_decl_attr *attr) {
    raw_type raw = {.pos = here(b)};
    if (b->depth >= b->max_depth) {
        aicpi_json_fail(
            &b->json,
            AICP_ERR_POLICY_DEPTH,
            raw.pos,
            "the type is nested more than %u levels deep",
            (unsigned)b->max_depth);
        return NULL;
    }
    if (!aicpi_json_object(&b->json)) {
        return NULL;
    }
    b->depth++;
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        read_type_key(b, &raw, key, with, attr);
    }
    b->depth--;
    return make_type(b, &raw);
}

/* ---- declarations ---- */

static void read_common(builder *b, aicpi_policy_decl_space *space, aicpi_slice key) {
    aicpi_policy_decl_common *common = aicpi_policy_decl_add_common(space, b->arena);
    if (!common) {
        nomem(b);
        return;
    }
    common->pos = here(b);
    if (!take_name(b, common->pos, key, aicpi_policy_is_name, &common->name)) {
        return;
    }
    aicpi_policy_decl_attr attr = {0};
    common->type = read_type(b, WITH_ANNOTATIONS, &attr);
    common->annotations = attr.annotations;
}

static void read_type_refs(builder *b, aicpi_policy_decl_refs *out) {
    aicpi_policy_decl_ref *items = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (!aicpi_json_array(&b->json)) {
        return;
    }
    while (aicpi_json_element(&b->json)) {
        if (!grow(b, (void **)&items, &capacity, count, sizeof *items)) {
            return;
        }
        items[count] = (aicpi_policy_decl_ref){.pos = here(b)};
        read_type_name(b, &items[count++].type);
    }
    *out = (aicpi_policy_decl_refs){.items = items, .count = (uint32_t)count};
}

static void read_ids(builder *b, aicpi_policy_decl_entity *entity) {
    const aicpi_policy_str **ids = NULL;
    size_t capacity = 0;
    size_t count = 0;
    size_t at = here(b);
    if (!aicpi_json_array(&b->json)) {
        return;
    }
    while (aicpi_json_element(&b->json)) {
        if (!grow(b, (void **)&ids, &capacity, count, sizeof *ids) || !read_text(b, &ids[count])) {
            return;
        }
        count++;
    }
    if (count == 0) {
        aicpi_json_fail(&b->json, AICP_ERR_PARSE, at, "\"enum\" has no ids");
    }
    entity->ids = ids;
    entity->id_count = (uint32_t)count;
}

static void read_entity(builder *b, aicpi_policy_decl_space *space, aicpi_slice name) {
    aicpi_policy_decl_entity *entity = aicpi_policy_decl_add_entity(space, b->arena);
    if (!entity) {
        nomem(b);
        return;
    }
    entity->pos = here(b);
    if (!take_name(b, entity->pos, name, aicpi_policy_is_name, &entity->name) ||
        !aicpi_json_object(&b->json)) {
        return;
    }
    bool standard = false;
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        standard = standard || aicpi_slice_is(key, "memberOfTypes") ||
                   aicpi_slice_is(key, "shape") || aicpi_slice_is(key, "tags");
        if (aicpi_slice_is(key, "memberOfTypes")) {
            read_type_refs(b, &entity->parents);
        } else if (aicpi_slice_is(key, "shape")) {
            entity->shape = read_type(b, WITH_NOTHING, NULL);
        } else if (aicpi_slice_is(key, "tags")) {
            entity->tags = read_type(b, WITH_NOTHING, NULL);
        } else if (aicpi_slice_is(key, "enum")) {
            read_ids(b, entity);
        } else if (aicpi_slice_is(key, "annotations")) {
            read_annotations(b, &entity->annotations);
        } else {
            unknown_key(
                b,
                b->json.pos,
                key,
                "\"memberOfTypes\", \"shape\", \"tags\", \"enum\" and \"annotations\"");
        }
    }
    if (entity->id_count > 0 && standard) {
        aicpi_json_fail(
            &b->json, AICP_ERR_PARSE, entity->pos, "a type with \"enum\" has no other keys");
    }
}

static bool read_action_ref(builder *b, aicpi_policy_decl_ref *ref) {
    *ref = (aicpi_policy_decl_ref){.pos = here(b)};
    if (!aicpi_json_object(&b->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        if (aicpi_slice_is(key, "id")) {
            read_text(b, &ref->id);
        } else if (aicpi_slice_is(key, "type")) {
            if (!is_null(b)) {
                read_type_name(b, &ref->type);
            }
        } else {
            unknown_key(b, b->json.pos, key, "\"id\" and \"type\"");
        }
    }
    return aicpi_json_ok(&b->json) &&
           (ref->id || missing_key(b, ref->pos, "the action's group", "id"));
}

static void read_action_refs(builder *b, aicpi_policy_decl_refs *out) {
    aicpi_policy_decl_ref *items = NULL;
    size_t capacity = 0;
    size_t count = 0;
    if (is_null(b) || !aicpi_json_array(&b->json)) {
        return;
    }
    while (aicpi_json_element(&b->json)) {
        if (!grow(b, (void **)&items, &capacity, count, sizeof *items) ||
            !read_action_ref(b, &items[count])) {
            return;
        }
        count++;
    }
    *out = (aicpi_policy_decl_refs){.items = items, .count = (uint32_t)count};
}

static void read_applies_to(builder *b, aicpi_policy_decl_action *action) {
    size_t at = here(b);
    bool principals = false;
    bool resources = false;
    if (is_null(b) || !aicpi_json_object(&b->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        if (aicpi_slice_is(key, "principalTypes")) {
            read_type_refs(b, &action->principals);
            principals = true;
        } else if (aicpi_slice_is(key, "resourceTypes")) {
            read_type_refs(b, &action->resources);
            resources = true;
        } else if (aicpi_slice_is(key, "context")) {
            action->context = read_type(b, WITH_NOTHING, NULL);
        } else {
            unknown_key(
                b, b->json.pos, key, "\"principalTypes\", \"resourceTypes\" and \"context\"");
        }
    }
    if (aicpi_json_ok(&b->json) && !(principals && resources)) {
        missing_key(b, at, "\"appliesTo\"", principals ? "resourceTypes" : "principalTypes");
    }
    action->applies = true;
}

/* Only an empty object: actions have no attributes. */
static void read_action_attributes(builder *b) {
    size_t at = here(b);
    aicpi_slice key;
    if (is_null(b) || !aicpi_json_object(&b->json)) {
        return;
    }
    if (aicpi_json_member(&b->json, &key)) {
        aicpi_json_fail(
            &b->json, AICP_ERR_UNSUPPORTED, at, "attributes of actions are not supported");
    }
}

static void read_action(builder *b, aicpi_policy_decl_space *space, aicpi_slice id) {
    aicpi_policy_decl_action *action = aicpi_policy_decl_add_action(space, b->arena);
    if (!action) {
        nomem(b);
        return;
    }
    action->pos = here(b);
    if (!intern(b, id, &action->id) || !aicpi_json_object(&b->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        if (aicpi_slice_is(key, "memberOf")) {
            read_action_refs(b, &action->parents);
        } else if (aicpi_slice_is(key, "appliesTo")) {
            read_applies_to(b, action);
        } else if (aicpi_slice_is(key, "attributes")) {
            read_action_attributes(b);
        } else if (aicpi_slice_is(key, "annotations")) {
            read_annotations(b, &action->annotations);
        } else {
            unknown_key(
                b,
                b->json.pos,
                key,
                "\"memberOf\", \"appliesTo\", \"attributes\" and \"annotations\"");
        }
    }
}

/* ---- namespaces ---- */

typedef void (*read_decl_fn)(builder *b, aicpi_policy_decl_space *space, aicpi_slice name);

static void read_decls(builder *b, aicpi_policy_decl_space *space, read_decl_fn read) {
    if (!aicpi_json_object(&b->json)) {
        return;
    }
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        read(b, space, key);
    }
}

static void read_space(builder *b, aicpi_slice name) {
    aicpi_policy_decl_space *space = aicpi_policy_decl_add_space(b->decl, b->arena);
    if (!space) {
        nomem(b);
        return;
    }
    space->pos = here(b);
    if (!take_name(b, space->pos, name, is_space_name, &space->name) ||
        !aicpi_json_object(&b->json)) {
        return;
    }
    bool entities = false;
    bool actions = false;
    for (aicpi_slice key; aicpi_json_member(&b->json, &key);) {
        if (aicpi_slice_is(key, "commonTypes")) {
            read_decls(b, space, read_common);
        } else if (aicpi_slice_is(key, "entityTypes")) {
            read_decls(b, space, read_entity);
            entities = true;
        } else if (aicpi_slice_is(key, "actions")) {
            read_decls(b, space, read_action);
            actions = true;
        } else if (aicpi_slice_is(key, "annotations")) {
            read_annotations(b, &space->annotations);
        } else {
            unknown_key(
                b,
                b->json.pos,
                key,
                "\"commonTypes\", \"entityTypes\", \"actions\" and \"annotations\"");
        }
    }
    if (aicpi_json_ok(&b->json) && !(entities && actions)) {
        missing_key(b, space->pos, "the namespace", entities ? "actions" : "entityTypes");
    }
}

aicp_status aicpi_policy_schema_read_json(
    const aicpi_policy_schema_source *source, aicpi_policy_schema_decl *decl, aicp_error *err) {
    builder b = {
        .arena = source->arena,
        .intern = source->intern,
        .max_depth = source->max_depth,
        .decl = decl};
    aicpi_arena_init(&b.scratch, &source->arena->allocator, 0, 0);
    aicpi_json_init(&b.json, &b.scratch, source->data, source->len, 0);
    if (aicpi_json_object(&b.json)) {
        for (aicpi_slice key; aicpi_json_member(&b.json, &key);) {
            read_space(&b, key);
        }
    }
    aicp_status status = aicpi_json_finish(&b.json, err);
    aicpi_arena_deinit(&b.scratch);
    return status;
}
