/* The schema as a handle, and what is asked of it. */
#include "lib/policy/forms.h"
#include "lib/policy/schema_decl.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

#define MAX_BYTES ((size_t)16 << 20)
/* Places in a text are kept in 32 bits. */
#define TEXT_MOST ((size_t)UINT32_MAX - 16)

/* ---- declarations ---- */

aicpi_policy_decl_space *
aicpi_policy_decl_add_space(aicpi_policy_schema_decl *decl, aicpi_arena *arena) {
    aicpi_policy_decl_space *space = aicpi_arena_calloc(arena, 1, sizeof *space);
    if (!space || !aicpi_arena_grow(
                      arena,
                      (void **)&decl->spaces,
                      &decl->capacity,
                      decl->count,
                      sizeof(aicpi_policy_decl_space *))) {
        return NULL;
    }
    decl->spaces[decl->count++] = space;
    return space;
}

static void *
add_item(aicpi_arena *arena, void **items, size_t *capacity, size_t *count, size_t size) {
    if (!aicpi_arena_grow(arena, items, capacity, *count, size)) {
        return NULL;
    }
    void *item = (char *)*items + (*count)++ * size;
    memset(item, 0, size);
    return item;
}

aicpi_policy_decl_common *
aicpi_policy_decl_add_common(aicpi_policy_decl_space *s, aicpi_arena *arena) {
    return add_item(
        arena, (void **)&s->commons, &s->common_capacity, &s->common_count, sizeof *s->commons);
}

aicpi_policy_decl_entity *
aicpi_policy_decl_add_entity(aicpi_policy_decl_space *s, aicpi_arena *arena) {
    return add_item(
        arena, (void **)&s->entities, &s->entity_capacity, &s->entity_count, sizeof *s->entities);
}

aicpi_policy_decl_action *
aicpi_policy_decl_add_action(aicpi_policy_decl_space *s, aicpi_arena *arena) {
    return add_item(
        arena, (void **)&s->actions, &s->action_capacity, &s->action_count, sizeof *s->actions);
}

/* ---- reading ---- */

void aicp_policy_schema_options_init(aicp_policy_schema_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

static aicp_status check_options(
    const aicp_policy_schema_options *options,
    aicp_policy_schema_options *o,
    size_t len,
    aicp_error *err) {
    aicp_status status =
        aicpi_options_copy(o, sizeof *o, options, "aicp_policy_schema_options", err);
    if (status != AICP_OK) {
        return status;
    }
    if (o->max_depth > AICP_POLICY_DEPTH_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "max_depth is %u, more than %d",
            (unsigned)o->max_depth,
            AICP_POLICY_DEPTH_MAX);
    }
    size_t most = o->max_bytes ? o->max_bytes : MAX_BYTES;
    most = most < TEXT_MOST ? most : TEXT_MOST;
    if (len > most) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "the schema has %zu bytes, more than %zu", len, most);
    }
    return AICP_OK;
}

static aicp_policy_schema *new_schema(const aicp_allocator *a) {
    aicp_policy_schema *schema = aicpi_calloc(a, 1, sizeof *schema);
    if (schema) {
        aicpi_ref_init(&schema->ref);
        schema->allocator = *a;
        aicpi_arena_init(&schema->arena, a, 0, 0);
        aicpi_map_init(&schema->types_by_name, a);
        aicpi_map_init(&schema->commons_by_name, a);
        aicpi_ref_init(&schema->action_entities.ref);
        schema->action_entities.allocator = *a;
        aicpi_arena_init(&schema->action_entities.arena, a, 0, 0);
    }
    return schema;
}

static aicp_status
read_decl(aicp_policy_schema *schema, const aicpi_policy_schema_source *source, aicp_error *err) {
    aicpi_policy_schema_decl *decl = aicpi_arena_calloc(&schema->arena, 1, sizeof *decl);
    if (!decl) {
        return aicpi_nomem(err);
    }
    schema->decl = decl;
    size_t bad = 0;
    if (!aicpi_utf8_valid(source->data, source->len, &bad)) {
        return aicpi_fail_at(
            err, AICP_ERR_PARSE, source->data, source->len, bad, "the schema is not valid UTF-8");
    }
    if (aicpi_policy_is_est(source->data, source->len)) {
        decl->format = AICP_POLICY_FORMAT_JSON;
        return aicpi_policy_schema_read_json(source, decl, err);
    }
    decl->format = AICP_POLICY_FORMAT_CEDAR;
    return aicpi_policy_schema_read_cedar(source, decl, err);
}

aicp_status aicp_policy_schema_parse(
    const char *data,
    size_t len,
    const aicp_policy_schema_options *options,
    aicp_policy_schema **out,
    aicp_error *err) {
    *out = NULL;
    aicp_policy_schema_options o;
    aicp_status status = check_options(options, &o, len, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_policy_schema *schema = new_schema(&a);
    if (!schema) {
        return aicpi_nomem(err);
    }
    aicpi_policy_intern intern;
    aicpi_policy_intern_init(&intern, &schema->arena, true);
    aicpi_policy_schema_source source = {
        .data = data,
        .len = len,
        .max_depth = o.max_depth ? o.max_depth : AICP_POLICY_DEPTH_DEFAULT,
        .arena = &schema->arena,
        .intern = &intern};
    status = read_decl(schema, &source, err);
    if (status == AICP_OK) {
        status = aicpi_policy_schema_resolve(schema, &source, err);
    }
    aicpi_policy_intern_deinit(&intern);
    if (status != AICP_OK) {
        aicp_policy_schema_free(schema);
        return status;
    }
    *out = schema;
    return AICP_OK;
}

aicp_policy_schema *aicp_policy_schema_ref(aicp_policy_schema *schema) {
    aicpi_ref_get(&schema->ref);
    return schema;
}

void aicp_policy_schema_free(aicp_policy_schema *schema) {
    if (!schema || !aicpi_ref_put(&schema->ref)) {
        return;
    }
    aicp_allocator a = schema->allocator;
    aicpi_arena_deinit(&schema->action_entities.arena);
    aicpi_free(&a, schema->action_entities.items);
    aicpi_free(&a, schema->action_entities.slots);
    aicpi_map_deinit(&schema->types_by_name);
    aicpi_map_deinit(&schema->commons_by_name);
    aicpi_arena_deinit(&schema->arena);
    aicpi_free(&a, schema);
}

/* ---- questions of the module ---- */

const aicpi_policy_entity_type *
aicpi_policy_schema_entity_type(const aicp_policy_schema *schema, const aicpi_policy_str *name) {
    const aicpi_map_slot *slot = aicpi_map_find(&schema->types_by_name, name->data, name->len);
    return slot ? slot->value.ptr : NULL;
}

const aicpi_policy_action *
aicpi_policy_schema_action(const aicp_policy_schema *schema, const aicpi_policy_uid *uid) {
    const aicpi_policy_entity_slot *slot =
        aicpi_policy_entities_slot(&schema->action_entities, uid);
    return slot ? &schema->actions[slot->entity - schema->action_entities.items] : NULL;
}

const aicpi_policy_attr_type *
aicpi_policy_type_attr(const aicpi_policy_type *record, const aicpi_policy_str *key) {
    const aicpi_policy_attr_type *attrs = record->u.attrs;
    size_t i = aicpi_policy_lower_bound(attrs, record->count, sizeof *attrs, key->hash);
    for (; i < record->count && attrs[i].hash == key->hash; i++) {
        if (aicpi_policy_str_eq(attrs[i].key, key)) {
            return &attrs[i];
        }
    }
    return NULL;
}

bool aicpi_policy_entity_type_in(
    const aicpi_policy_entity_type *below, const aicpi_policy_entity_type *above) {
    if (below == above) {
        return true;
    }
    uint32_t low = 0;
    uint32_t high = below->ancestor_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (below->ancestors[middle]->index < above->index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < below->ancestor_count && below->ancestors[low] == above;
}

bool aicpi_policy_entity_type_has_id(
    const aicpi_policy_entity_type *type, const aicpi_policy_str *id) {
    for (uint32_t i = 0; i < type->id_count; i++) {
        if (aicpi_policy_str_eq(type->ids[i], id)) {
            return true;
        }
    }
    return type->id_count == 0;
}

/* ---- getters ---- */

size_t aicp_policy_schema_entity_type_count(const aicp_policy_schema *schema) {
    return schema->declared_type_count;
}

const char *aicp_policy_schema_entity_type(const aicp_policy_schema *schema, size_t nth) {
    return nth < schema->declared_type_count ? schema->entity_types[nth].name->data : NULL;
}

size_t aicp_policy_schema_action_count(const aicp_policy_schema *schema) {
    return schema->action_count;
}

const char *aicp_policy_schema_action_type(const aicp_policy_schema *schema, size_t nth) {
    return nth < schema->action_count ? schema->actions[nth].type->name->data : NULL;
}

const char *
aicp_policy_schema_action_id(const aicp_policy_schema *schema, size_t nth, size_t *len) {
    bool there = nth < schema->action_count;
    const aicpi_policy_str *id = there ? schema->actions[nth].entity.uid->id : NULL;
    *len = there ? id->len : 0;
    return there ? id->data : NULL;
}

size_t aicp_policy_schema_warning_count(const aicp_policy_schema *schema) {
    return schema->warning_count;
}

const char *aicp_policy_schema_warning(const aicp_policy_schema *schema, size_t nth) {
    return nth < schema->warning_count ? schema->warnings[nth].text : NULL;
}

uint32_t aicp_policy_schema_warning_line(const aicp_policy_schema *schema, size_t nth) {
    return nth < schema->warning_count ? schema->warnings[nth].line : 0;
}

uint32_t aicp_policy_schema_warning_column(const aicp_policy_schema *schema, size_t nth) {
    return nth < schema->warning_count ? schema->warnings[nth].column : 0;
}
