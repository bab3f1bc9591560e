/* Makes a schema of its declarations. */
#include "lib/policy/schema_resolve.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"

#include <stdio.h>

/* Most ancestors of all entity types, or of all actions, in all; and most steps to find them. */
#define ANCESTORS_MOST ((size_t)10000000)
#define STEPS_MOST ((size_t)100000000)

bool aicpi_policy_resolve_fail(
    aicpi_policy_resolver *r, aicp_status code, uint32_t pos, const char *format, ...) {
    if (r->status == AICP_OK) {
        char text[AICP_ERROR_MESSAGE_SIZE];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        r->status = aicpi_fail_at(r->err, code, r->source->data, r->source->len, pos, "%s", text);
    }
    return false;
}

bool aicpi_policy_resolve_nomem(aicpi_policy_resolver *r) {
    if (r->status == AICP_OK) {
        r->status = aicpi_nomem(r->err);
    }
    return false;
}

/* ---- lists of entity types ---- */

static bool add_index(aicpi_policy_resolver *r, aicpi_policy_indexes *list, uint32_t index) {
    if (!aicpi_arena_grow(
            &r->temp, (void **)&list->items, &list->capacity, list->count, sizeof *list->items)) {
        return aicpi_policy_resolve_nomem(r);
    }
    list->items[list->count++] = index;
    return true;
}

/* The types of a list by index, each once. */
static bool make_types(
    aicpi_policy_resolver *r,
    aicpi_policy_indexes *list,
    const aicpi_policy_entity_type *const **out,
    uint32_t *count) {
    aicpi_policy_sort(list->items, list->count, sizeof *list->items);
    const aicpi_policy_entity_type **types =
        aicpi_arena_calloc(&r->schema->arena, list->count, sizeof *types);
    if (!types) {
        return aicpi_policy_resolve_nomem(r);
    }
    uint32_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0 || list->items[i] != list->items[i - 1]) {
            types[kept++] = &r->types[list->items[i]];
        }
    }
    *out = types;
    *count = kept;
    return true;
}

/* Types that declarations refer to; they must be declared themselves. */
static bool resolve_refs(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_refs *refs,
    aicpi_policy_indexes *out) {
    for (uint32_t i = 0; i < refs->count; i++) {
        aicpi_policy_named named;
        if (!aicpi_policy_schema_lookup(
                r->schema,
                space,
                AICPI_POLICY_DECL_ENTITY,
                aicpi_policy_text(refs->items[i].type),
                &r->scratch,
                &named)) {
            return aicpi_policy_resolve_nomem(r);
        }
        if (!named.entity || named.entity->action) {
            return aicpi_policy_resolve_fail(
                r,
                AICP_ERR_NOT_FOUND,
                refs->items[i].pos,
                "the entity type %s is not declared",
                aicpi_policy_brief_str(refs->items[i].type).text);
        }
        if (!add_index(r, out, named.entity->index)) {
            return false;
        }
    }
    return true;
}

/* ---- entity types ---- */

static bool resolve_entity(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_entity *decl,
    aicpi_policy_entity_type *type) {
    type->ids = decl->ids;
    type->id_count = decl->id_count;
    type->shape = aicpi_policy_resolve_record(r, space, decl->shape, "the shape of an entity type");
    type->tags = decl->tags ? aicpi_policy_resolve_type(r, space, decl->tags) : NULL;
    return r->status == AICP_OK && resolve_refs(r, space, &decl->parents, &r->parents[type->index]);
}

/* Finding the ancestors of one entity type after the other. */
typedef struct closing {
    uint32_t *mark; /* per type: 1 + the one whose ancestor it was found to be */
    aicpi_policy_indexes found;
    size_t steps;
    size_t total;
} closing;

static bool found_all(
    aicpi_policy_resolver *r, closing *c, uint32_t below, const aicpi_policy_indexes *parents) {
    for (size_t i = 0; i < parents->count; i++) {
        uint64_t parent = parents->items[i];
        if (c->mark[parent] == below + 1) {
            continue;
        }
        c->mark[parent] = below + 1;
        if (!add_index(r, &c->found, (uint32_t)parent)) {
            return false;
        }
    }
    c->steps += parents->count;
    return true;
}

static bool close_type(aicpi_policy_resolver *r, closing *c, aicpi_policy_entity_type *type) {
    c->found.count = 0;
    bool fine = found_all(r, c, type->index, &r->parents[type->index]);
    for (size_t i = 0; fine && i < c->found.count; i++) {
        fine = found_all(r, c, type->index, &r->parents[c->found.items[i]]);
    }
    c->total += c->found.count;
    if (c->steps > STEPS_MOST || c->total > ANCESTORS_MOST) {
        return aicpi_policy_resolve_fail(
            r, AICP_ERR_LIMIT, 0, "the entity types have too many ancestors");
    }
    return fine && make_types(r, &c->found, &type->ancestors, &type->ancestor_count);
}

static bool resolve_entities(aicpi_policy_resolver *r) {
    const aicpi_policy_schema_decl *decl = r->schema->decl;
    aicpi_policy_entity_type *type = r->types;
    bool fine = true;
    for (size_t i = 0; fine && i < decl->count; i++) {
        const aicpi_policy_decl_space *space = decl->spaces[i];
        for (size_t j = 0; fine && j < space->entity_count; j++) {
            fine = resolve_entity(r, space->name, &space->entities[j], type++);
        }
    }
    closing c = {0};
    c.mark = aicpi_arena_calloc(&r->temp, r->schema->declared_type_count, sizeof *c.mark);
    if (!c.mark) {
        return aicpi_policy_resolve_nomem(r);
    }
    for (uint32_t i = 0; fine && i < r->schema->declared_type_count; i++) {
        fine = close_type(r, &c, &r->types[i]);
    }
    return fine;
}

static bool resolve_commons(aicpi_policy_resolver *r) {
    const aicpi_policy_schema_decl *decl = r->schema->decl;
    for (size_t i = 0; i < decl->count; i++) {
        const aicpi_policy_decl_space *space = decl->spaces[i];
        for (size_t j = 0; j < space->common_count; j++) {
            aicpi_policy_resolved ignored;
            if (!aicpi_policy_resolve_common(r, &space->commons[j], &ignored)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- actions ---- */

static aicpi_policy_entity_slot *
slot_of(const aicp_policy_entities *store, const aicpi_policy_uid *uid) {
    size_t at = (size_t)uid->hash & store->mask;
    while (store->slots[at].uid && !aicpi_policy_uid_eq(store->slots[at].uid, uid)) {
        at = (at + 1) & store->mask;
    }
    return &store->slots[at];
}

/* Makes a store of the actions. Their uids are there; their parents follow. */
static bool store_actions(aicpi_policy_resolver *r, const aicpi_policy_record *none) {
    aicp_policy_entities *store = &r->schema->action_entities;
    size_t slots = 8;
    while (slots / 2 < r->schema->action_count) {
        slots *= 2;
    }
    store->slots = aicpi_calloc(&store->allocator, slots, sizeof *store->slots);
    store->mask = slots - 1;
    store->items = aicpi_calloc(
        &store->allocator,
        r->schema->action_count ? r->schema->action_count : 1,
        sizeof *store->items);
    if (!store->slots || !store->items) {
        return aicpi_policy_resolve_nomem(r);
    }
    for (uint32_t i = 0; i < r->schema->action_count; i++) {
        aicpi_policy_entity *entity = &store->items[store->count++];
        *entity = r->actions[i].entity;
        entity->attrs = none;
        entity->tags = none;
        aicpi_policy_entity_slot *slot = slot_of(store, entity->uid);
        if (slot->entity) {
            return aicpi_policy_resolve_fail(
                r,
                AICP_ERR_EXISTS,
                (uint32_t)entity->offset,
                "the action %s is declared twice",
                aicpi_policy_brief_uid(entity->uid).text);
        }
        *slot = (aicpi_policy_entity_slot){.uid = entity->uid, .entity = entity};
    }
    return true;
}

/* The uid of a declared action; NULL: there is none, or an error. */
static const aicpi_policy_uid *
find_action(aicpi_policy_resolver *r, const aicpi_policy_str *type, const aicpi_policy_str *id) {
    aicpi_policy_uid uid = {.hash = aicpi_policy_uid_hash(type, id), .type = type, .id = id};
    const aicpi_policy_entity_slot *slot = slot_of(&r->schema->action_entities, &uid);
    return slot->entity ? slot->uid : NULL;
}

/* The action that a name means: in its own namespace, else outside of all. */
static const aicpi_policy_uid *resolve_action_ref(
    aicpi_policy_resolver *r, const aicpi_policy_str *space, const aicpi_policy_decl_ref *ref) {
    const aicpi_policy_str *type = ref->type;
    if (!type) {
        type = aicpi_policy_intern_str(r->source->intern, AICPI_SLICE("Action"));
    }
    if (!type) {
        aicpi_policy_resolve_nomem(r);
        return NULL;
    }
    const aicpi_policy_uid *uid = NULL;
    if (space->len > 0 && !memchr(type->data, ':', type->len)) {
        const aicpi_policy_str *full = aicpi_policy_full_name(r, space, type);
        uid = full ? find_action(r, full, ref->id) : NULL;
    }
    uid = uid ? uid : find_action(r, type, ref->id);
    if (!uid) {
        aicpi_policy_resolve_fail(
            r,
            AICP_ERR_NOT_FOUND,
            ref->pos,
            "the action %s::\"%s\" is not declared",
            aicpi_policy_brief_str(type).text,
            aicpi_policy_brief_str(ref->id).text);
    }
    return uid;
}

/* An action in a namespace must not have the id of one outside of all. */
static bool check_action_id(
    aicpi_policy_resolver *r, const aicpi_policy_str *space, const aicpi_policy_decl_action *decl) {
    if (space->len == 0) {
        return true;
    }
    const aicpi_policy_str *type =
        aicpi_policy_intern_str(r->source->intern, AICPI_SLICE("Action"));
    if (!type) {
        return aicpi_policy_resolve_nomem(r);
    }
    return !find_action(r, type, decl->id) ||
           aicpi_policy_resolve_fail(
               r,
               AICP_ERR_EXISTS,
               decl->pos,
               "the action \"%s\" hides the one of the same id outside of all namespaces",
               aicpi_policy_brief_str(decl->id).text);
}

static bool resolve_parents(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_action *decl,
    aicpi_policy_entity *entity) {
    const aicpi_policy_uid **parents =
        aicpi_arena_calloc(&r->schema->arena, decl->parents.count, sizeof *parents);
    if (!parents) {
        return aicpi_policy_resolve_nomem(r);
    }
    for (uint32_t i = 0; i < decl->parents.count; i++) {
        parents[i] = resolve_action_ref(r, space, &decl->parents.items[i]);
        if (!parents[i]) {
            return false;
        }
        slot_of(&r->schema->action_entities, parents[i])->is_parent = true;
    }
    entity->parents = parents;
    entity->parent_count = decl->parents.count;
    return true;
}

static bool resolve_action(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_action *decl,
    uint32_t index) {
    aicpi_policy_action *action = &r->actions[index];
    aicpi_policy_indexes principals = {0};
    aicpi_policy_indexes resources = {0};
    action->context =
        aicpi_policy_resolve_record(r, space, decl->context, "the context of an action");
    return action->context && check_action_id(r, space, decl) &&
           resolve_refs(r, space, &decl->principals, &principals) &&
           make_types(r, &principals, &action->principals, &action->principal_count) &&
           resolve_refs(r, space, &decl->resources, &resources) &&
           make_types(r, &resources, &action->resources, &action->resource_count) &&
           resolve_parents(r, space, decl, &r->schema->action_entities.items[index]);
}

/* The ancestors of an action type are the types of the ancestors of its actions. */
static bool close_action_types(aicpi_policy_resolver *r) {
    aicp_policy_schema *schema = r->schema;
    uint32_t *mark = aicpi_arena_calloc(&r->temp, schema->entity_type_count, sizeof *mark);
    if (!mark) {
        return aicpi_policy_resolve_nomem(r);
    }
    for (uint32_t i = 0; i < schema->action_count;) {
        const aicpi_policy_entity_type *type = schema->actions[i].type;
        aicpi_policy_indexes found = {0};
        for (; i < schema->action_count && schema->actions[i].type == type; i++) {
            const aicpi_policy_entity *entity = &schema->actions[i].entity;
            for (uint32_t j = 0; j < entity->ancestor_count; j++) {
                uint32_t above =
                    aicpi_policy_schema_action(schema, entity->ancestors[j].uid)->type->index;
                if (mark[above] != type->index + 1 && !add_index(r, &found, above)) {
                    return false;
                }
                mark[above] = type->index + 1;
            }
        }
        aicpi_policy_entity_type *own = &r->types[type->index];
        if (!make_types(r, &found, &own->ancestors, &own->ancestor_count)) {
            return false;
        }
    }
    return true;
}

static bool close_actions(aicpi_policy_resolver *r) {
    aicp_policy_schema *schema = r->schema;
    aicp_policy_entities *store = &schema->action_entities;
    aicp_status status =
        aicpi_policy_entities_close(store, ANCESTORS_MOST, r->source->data, r->source->len, r->err);
    if (status != AICP_OK) {
        r->status = status;
        return false;
    }
    for (uint32_t i = 0; i < schema->action_count; i++) {
        r->actions[i].entity = store->items[i];
    }
    return close_action_types(r);
}

static bool resolve_actions(aicpi_policy_resolver *r) {
    const aicpi_policy_schema_decl *decl = r->schema->decl;
    aicpi_policy_field *no_fields = NULL;
    const aicpi_policy_record *none = aicpi_policy_record_make(&r->schema->arena, no_fields, 0);
    if (!none) {
        return aicpi_policy_resolve_nomem(r);
    }
    bool fine = store_actions(r, none);
    uint32_t index = 0;
    for (size_t i = 0; fine && i < decl->count; i++) {
        const aicpi_policy_decl_space *space = decl->spaces[i];
        for (size_t j = 0; fine && j < space->action_count; j++) {
            fine = resolve_action(r, space->name, &space->actions[j], index++);
        }
    }
    return fine && close_actions(r);
}

/* ---- all of it ---- */

/* Makes room for everything, so that addresses do not change from then on. */
static bool make_room(aicpi_policy_resolver *r) {
    aicp_policy_schema *schema = r->schema;
    aicpi_arena *arena = &schema->arena;
    size_t types = 0;
    size_t actions = 0;
    size_t commons = 0;
    for (size_t i = 0; i < schema->decl->count; i++) {
        const aicpi_policy_decl_space *space = schema->decl->spaces[i];
        types += space->entity_count + (space->action_count > 0);
        actions += space->action_count;
        commons += space->common_count;
    }
    r->types = aicpi_arena_calloc(arena, types, sizeof *r->types);
    r->actions = aicpi_arena_calloc(arena, actions, sizeof *r->actions);
    r->parents = aicpi_arena_calloc(&r->temp, types, sizeof *r->parents);
    r->commons = aicpi_arena_calloc(&r->temp, commons, sizeof *r->commons);
    aicpi_policy_type *refs = aicpi_arena_calloc(arena, types, sizeof *refs);
    if (!r->types || !r->actions || !r->parents || !r->commons || !refs) {
        return aicpi_policy_resolve_nomem(r);
    }
    for (size_t i = 0; i < types; i++) {
        refs[i] = (aicpi_policy_type){.kind = AICPI_POLICY_ENTITY, .u.entity = &r->types[i]};
        r->types[i].shape = aicpi_policy_resolve_record(r, NULL, NULL, "");
    }
    r->type_refs = refs;
    schema->entity_types = r->types;
    schema->actions = r->actions;
    return true;
}

static bool resolve_all(aicpi_policy_resolver *r) {
    return make_room(r) && aicpi_policy_resolve_names(r) && resolve_commons(r) &&
           resolve_entities(r) && resolve_actions(r);
}

aicp_status aicpi_policy_schema_resolve(
    aicp_policy_schema *schema, const aicpi_policy_schema_source *source, aicp_error *err) {
    aicpi_policy_resolver r = {.schema = schema, .source = source, .err = err};
    aicpi_arena_init(&r.temp, &schema->allocator, 0, 0);
    aicpi_strbuf_init(&r.scratch, &schema->allocator, AICPI_STRBUF_MAX);
    (void)resolve_all(&r); /* r.status says how it went */
    aicpi_strbuf_deinit(&r.scratch);
    aicpi_arena_deinit(&r.temp);
    return r.status;
}
