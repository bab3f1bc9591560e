/* Names of a schema: which there are, and what one means where it stands. */
#include "lib/policy/schema_resolve.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"

/* ---- looking up ---- */

static const struct {
    const char *name;
    uint32_t kind;
} builtins[] = {
    {"Bool", AICPI_POLICY_BOOL},
    {"Long", AICPI_POLICY_LONG},
    {"String", AICPI_POLICY_STRING},
    {"decimal", AICPI_POLICY_DECIMAL},
    {"ipaddr", AICPI_POLICY_IP},
    {"datetime", AICPI_POLICY_DATETIME},
    {"duration", AICPI_POLICY_DURATION}};

static uint32_t builtin_kind(aicpi_slice name) {
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        if (aicpi_slice_is(name, builtins[i].name)) {
            return builtins[i].kind;
        }
    }
    return AICPI_POLICY_NONE;
}

static uint32_t qualified_builtin_kind(aicpi_slice name) {
    aicpi_slice prefix = AICPI_SLICE("__cedar::");
    if (name.len > prefix.len && memcmp(name.data, prefix.data, prefix.len) == 0) {
        name = aicpi_slice_of(name.data + prefix.len, name.len - prefix.len);
    }
    return builtin_kind(name);
}

/* A declared type by its full name. A common type comes before an entity type. */
static bool
find(const aicp_policy_schema *schema, uint32_t kind, aicpi_slice name, aicpi_policy_named *out) {
    const aicpi_map_slot *slot = NULL;
    if (kind != AICPI_POLICY_DECL_ENTITY) {
        slot = aicpi_map_find(&schema->commons_by_name, name.data, name.len);
        out->common = slot ? slot->value.ptr : NULL;
    }
    if (!slot && kind != AICPI_POLICY_DECL_COMMON) {
        slot = aicpi_map_find(&schema->types_by_name, name.data, name.len);
        out->entity = slot ? slot->value.ptr : NULL;
    }
    return slot != NULL;
}

const char *aicpi_policy_builtin_name(uint32_t builtin) {
    size_t i = 0;
    while (builtins[i].kind != builtin) {
        i++;
    }
    return builtins[i].name;
}

bool aicpi_policy_schema_lookup(
    const aicp_policy_schema *schema,
    const aicpi_policy_str *space,
    uint32_t kind,
    aicpi_slice name,
    aicpi_strbuf *scratch,
    aicpi_policy_named *out) {
    *out = (aicpi_policy_named){0};
    if (kind == AICPI_POLICY_DECL_EXTENSION) {
        uint32_t builtin = builtin_kind(name);
        out->builtin = builtin >= AICPI_POLICY_DECIMAL ? builtin : AICPI_POLICY_NONE;
        return true;
    }
    if (space->len > 0 && !memchr(name.data, ':', name.len)) {
        aicpi_strbuf_clear(scratch);
        aicpi_strbuf_append(scratch, space->data, space->len);
        aicpi_strbuf_puts(scratch, "::");
        aicpi_strbuf_append(scratch, name.data, name.len);
        if (scratch->failed) {
            return false;
        }
        if (find(schema, kind, aicpi_slice_of(scratch->data, scratch->len), out)) {
            return true;
        }
    }
    if (!find(schema, kind, name, out) && kind != AICPI_POLICY_DECL_ENTITY) {
        out->builtin = qualified_builtin_kind(name);
    }
    return true;
}

/* ---- what is declared ---- */

const aicpi_policy_str *aicpi_policy_full_name(
    aicpi_policy_resolver *r, const aicpi_policy_str *space, const aicpi_policy_str *name) {
    if (space->len == 0) {
        return name;
    }
    aicpi_strbuf_clear(&r->scratch);
    aicpi_strbuf_append(&r->scratch, space->data, space->len);
    aicpi_strbuf_puts(&r->scratch, "::");
    aicpi_strbuf_append(&r->scratch, name->data, name->len);
    const aicpi_policy_str *full = NULL;
    if (!r->scratch.failed) {
        full = aicpi_policy_intern_str(
            r->source->intern, aicpi_slice_of(r->scratch.data, r->scratch.len));
    }
    if (!full) {
        aicpi_policy_resolve_nomem(r);
    }
    return full;
}

/* Enters a name into a map; it must be new. */
static bool enter(
    aicpi_policy_resolver *r,
    aicpi_map *map,
    const aicpi_policy_str *name,
    uint32_t pos,
    const char *what,
    aicpi_map_slot **slot) {
    bool inserted = false;
    *slot = aicpi_map_put(map, name->data, name->len, &inserted);
    if (!*slot) {
        return aicpi_policy_resolve_nomem(r);
    }
    return inserted || aicpi_policy_resolve_fail(
                           r,
                           AICP_ERR_EXISTS,
                           pos,
                           "the %s %s is declared twice",
                           what,
                           aicpi_policy_brief_str(name).text);
}

static bool enter_spaces(aicpi_policy_resolver *r) {
    const aicpi_policy_schema_decl *decl = r->schema->decl;
    aicpi_map seen;
    aicpi_map_init(&seen, &r->schema->allocator);
    bool fine = true;
    for (size_t i = 0; fine && i < decl->count; i++) {
        aicpi_map_slot *slot = NULL;
        fine = enter(r, &seen, decl->spaces[i]->name, decl->spaces[i]->pos, "namespace", &slot);
    }
    aicpi_map_deinit(&seen);
    return fine;
}

static bool enter_entities(aicpi_policy_resolver *r, const aicpi_policy_decl_space *space) {
    for (size_t i = 0; i < space->entity_count; i++) {
        const aicpi_policy_decl_entity *decl = &space->entities[i];
        if (aicpi_slice_is(aicpi_policy_text(decl->name), "Action")) {
            return aicpi_policy_resolve_fail(
                r,
                AICP_ERR_INVALID,
                decl->pos,
                "the entity type Action is that of the actions and cannot be declared");
        }
        aicpi_policy_entity_type *type = &r->types[r->schema->entity_type_count];
        type->name = aicpi_policy_full_name(r, space->name, decl->name);
        type->index = r->schema->entity_type_count++;
        aicpi_map_slot *slot = NULL;
        if (!type->name ||
            !enter(r, &r->schema->types_by_name, type->name, decl->pos, "entity type", &slot)) {
            return false;
        }
        slot->value.ptr = type;
    }
    return true;
}

static bool is_reserved_common(aicpi_slice name) {
    static const char *const words[] = {
        "Bool", "Boolean", "Entity", "Extension", "Long", "Record", "Set", "String"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (aicpi_slice_is(name, words[i])) {
            return true;
        }
    }
    return false;
}

static bool
enter_commons(aicpi_policy_resolver *r, aicpi_policy_decl_space *space, uint32_t *index) {
    for (size_t i = 0; i < space->common_count; i++) {
        aicpi_policy_decl_common *decl = &space->commons[i];
        if (is_reserved_common(aicpi_policy_text(decl->name))) {
            return aicpi_policy_resolve_fail(
                r,
                AICP_ERR_INVALID,
                decl->pos,
                "a common type cannot have the reserved name %s",
                aicpi_policy_brief_str(decl->name).text);
        }
        decl->space = space->name;
        decl->index = (*index)++;
        const aicpi_policy_str *name = aicpi_policy_full_name(r, space->name, decl->name);
        aicpi_map_slot *slot = NULL;
        if (!name ||
            !enter(r, &r->schema->commons_by_name, name, decl->pos, "common type", &slot)) {
            return false;
        }
        slot->value.ptr = decl;
    }
    return true;
}

/* ---- hiding ---- */

/* A type in a namespace must not hide one that stands outside of all. */
static bool check_hidden(aicpi_policy_resolver *r, const aicpi_policy_str *name, uint32_t pos) {
    aicpi_policy_named outside = {0};
    return !find(r->schema, AICPI_POLICY_DECL_EITHER, aicpi_policy_text(name), &outside) ||
           aicpi_policy_resolve_fail(
               r,
               AICP_ERR_EXISTS,
               pos,
               "%s hides the type of the same name outside of all namespaces",
               aicpi_policy_brief_str(name).text);
}

static bool check_space(aicpi_policy_resolver *r, const aicpi_policy_decl_space *space) {
    bool fine = true;
    for (size_t i = 0; fine && i < space->entity_count; i++) {
        fine = check_hidden(r, space->entities[i].name, space->entities[i].pos);
    }
    for (size_t i = 0; fine && i < space->common_count; i++) {
        fine = check_hidden(r, space->commons[i].name, space->commons[i].pos);
    }
    return fine;
}

typedef struct warning_list {
    aicpi_policy_schema_warning *items;
    size_t capacity;
    size_t count;
} warning_list;

static bool warn(
    aicpi_policy_resolver *r,
    warning_list *list,
    uint32_t pos,
    const aicpi_policy_str *name,
    const char *what) {
    aicp_error text = {0};
    (void)aicpi_fail_at(
        &text,
        AICP_ERR_EXISTS,
        r->source->data,
        r->source->len,
        pos,
        "%s hides %s",
        aicpi_policy_brief_str(name).text,
        what);
    aicpi_arena *arena = &r->schema->arena;
    char *kept = aicpi_arena_strndup(arena, text.message, strlen(text.message));
    if (!kept ||
        !aicpi_arena_grow(
            arena, (void **)&list->items, &list->capacity, list->count, sizeof *list->items)) {
        return aicpi_policy_resolve_nomem(r);
    }
    list->items[list->count++] =
        (aicpi_policy_schema_warning){.text = kept, .line = text.line, .column = text.column};
    return true;
}

#define HIDDEN_BUILTIN "the built-in type of the same name, which is now to be had with __cedar::"

/* What is allowed but may surprise. */
static bool
warn_of_space(aicpi_policy_resolver *r, warning_list *list, const aicpi_policy_decl_space *space) {
    bool fine = true;
    for (size_t i = 0; fine && i < space->common_count; i++) {
        const aicpi_policy_decl_common *c = &space->commons[i];
        const aicpi_policy_str *full = aicpi_policy_full_name(r, space->name, c->name);
        if (!full) {
            return false;
        }
        if (aicpi_map_find(&r->schema->types_by_name, full->data, full->len)) {
            fine = warn(r, list, c->pos, c->name, "the entity type of the same name");
        }
        if (fine && builtin_kind(aicpi_policy_text(c->name))) {
            fine = warn(r, list, c->pos, c->name, HIDDEN_BUILTIN);
        }
    }
    for (size_t i = 0; fine && i < space->entity_count; i++) {
        if (builtin_kind(aicpi_policy_text(space->entities[i].name))) {
            fine = warn(r, list, space->entities[i].pos, space->entities[i].name, HIDDEN_BUILTIN);
        }
    }
    return fine && r->status == AICP_OK;
}

static bool check_hiding(aicpi_policy_resolver *r) {
    const aicpi_policy_schema_decl *decl = r->schema->decl;
    warning_list list = {0};
    bool fine = true;
    for (size_t i = 0; fine && i < decl->count; i++) {
        fine = (decl->spaces[i]->name->len == 0 || check_space(r, decl->spaces[i])) &&
               warn_of_space(r, &list, decl->spaces[i]);
    }
    r->schema->warnings = list.items;
    r->schema->warning_count = list.count;
    return fine;
}

/* ---- actions ---- */

/* The type of the actions of a namespace, which is declared by their being there. */
static bool enter_action_type(aicpi_policy_resolver *r, const aicpi_policy_decl_space *space) {
    const aicpi_policy_str *base =
        aicpi_policy_intern_str(r->source->intern, AICPI_SLICE("Action"));
    if (!base) {
        return aicpi_policy_resolve_nomem(r);
    }
    aicpi_policy_entity_type *type = &r->types[r->schema->entity_type_count];
    type->name = aicpi_policy_full_name(r, space->name, base);
    type->index = r->schema->entity_type_count++;
    type->action = true;
    aicpi_map_slot *slot = NULL;
    if (!type->name ||
        !enter(r, &r->schema->types_by_name, type->name, space->pos, "entity type", &slot)) {
        return false;
    }
    slot->value.ptr = type;
    for (size_t i = 0; i < space->action_count; i++) {
        aicpi_policy_action *action = &r->actions[r->schema->action_count++];
        action->type = type;
        action->entity.offset = space->actions[i].pos;
        action->entity.uid =
            aicpi_policy_intern_uid(r->source->intern, type->name, space->actions[i].id);
        if (!action->entity.uid) {
            return aicpi_policy_resolve_nomem(r);
        }
    }
    return true;
}

bool aicpi_policy_resolve_names(aicpi_policy_resolver *r) {
    const aicpi_policy_schema_decl *decl = r->schema->decl;
    uint32_t commons = 0;
    bool fine = enter_spaces(r);
    for (size_t i = 0; fine && i < decl->count; i++) {
        fine = enter_entities(r, decl->spaces[i]) && enter_commons(r, decl->spaces[i], &commons);
    }
    r->schema->declared_type_count = r->schema->entity_type_count;
    fine = fine && check_hiding(r);
    for (size_t i = 0; fine && i < decl->count; i++) {
        fine = decl->spaces[i]->action_count == 0 || enter_action_type(r, decl->spaces[i]);
    }
    return fine;
}
