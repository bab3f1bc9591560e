/* Entities from JSON. */
#include "lib/base/error.h"
#include "lib/policy/brief.h"
#include "lib/policy/entities_read.h"

#define MAX_BYTES ((size_t)1 << 30)
#define MAX_ENTITIES ((size_t)10000000)
#define MAX_ANCESTORS ((size_t)50000000)

typedef struct loader {
    aicp_policy_entities *store;
    aicpi_policy_intern intern;
    aicpi_arena scratch;
    aicpi_policy_entity_reader reader;
    size_t capacity; /* of store->items */
    size_t max_entities;
} loader;

void aicp_policy_entities_options_init(aicp_policy_entities_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

static void read_entities(loader *l) {
    aicp_policy_entities *store = l->store;
    aicpi_json *json = &l->reader.values.json;
    if (!aicpi_json_array(json)) {
        return;
    }
    while (aicpi_json_element(json)) {
        if (store->count == l->max_entities) {
            aicpi_json_fail(
                json, AICP_ERR_LIMIT, json->pos, "more than %zu entities", l->max_entities);
        } else if (!aicpi_grow(
                       &store->allocator,
                       (void **)&store->items,
                       &l->capacity,
                       store->count,
                       sizeof *store->items)) {
            aicpi_json_fail(json, AICP_ERR_NOMEM, json->pos, "out of memory");
        } else if (aicpi_policy_read_entity(&l->reader, &store->items[store->count])) {
            store->count++;
        }
    }
}

/* ---- index ---- */

static aicpi_policy_entity_slot *
put_slot(aicp_policy_entities *store, const aicpi_policy_uid *uid) {
    size_t at = (size_t)uid->hash & store->mask;
    while (store->slots[at].uid && store->slots[at].uid != uid) {
        at = (at + 1) & store->mask;
    }
    store->slots[at].uid = uid;
    return &store->slots[at];
}

static bool has_parent(const aicpi_policy_entity *e, const aicpi_policy_uid *uid) {
    for (uint32_t i = 0; i < e->parent_count; i++) {
        if (e->parents[i] == uid) {
            return true;
        }
    }
    return false;
}

static bool same_parents(const aicpi_policy_entity *a, const aicpi_policy_entity *b) {
    for (uint32_t i = 0; i < a->parent_count; i++) {
        if (!has_parent(b, a->parents[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < b->parent_count; i++) {
        if (!has_parent(a, b->parents[i])) {
            return false;
        }
    }
    return true;
}

static bool same_record(const aicpi_policy_record *a, const aicpi_policy_record *b) {
    aicpi_policy_value va = {.kind = AICPI_POLICY_RECORD, .u.record = a};
    aicpi_policy_value vb = {.kind = AICPI_POLICY_RECORD, .u.record = b};
    return aicpi_policy_value_eq(va, vb);
}

static bool same_entity(const aicpi_policy_entity *a, const aicpi_policy_entity *b) {
    return same_record(a->attrs, b->attrs) && same_record(a->tags, b->tags) && same_parents(a, b);
}

/* Room for all uids that were seen, a third of it free. */
static bool make_slots(aicp_policy_entities *store, size_t uids) {
    size_t slots = 8;
    while (slots / 4 * 3 <= uids) {
        if (slots > SIZE_MAX / 4) {
            return false;
        }
        slots *= 2;
    }
    store->slots = aicpi_calloc(&store->allocator, slots, sizeof *store->slots);
    store->mask = slots - 1;
    return store->slots != NULL;
}

/* Puts all entities into the index; equal repetitions are dropped. Uids are interned, so pointers
 * tell them apart. */
static aicp_status index_entities(loader *l, const char *data, size_t len, aicp_error *err) {
    aicp_policy_entities *store = l->store;
    if (!make_slots(store, l->intern.uid_count)) {
        return aicpi_nomem(err);
    }
    size_t kept = 0;
    for (size_t i = 0; i < store->count; i++) {
        const aicpi_policy_entity *e = &store->items[i];
        aicpi_policy_entity_slot *slot = put_slot(store, e->uid);
        if (slot->entity && !same_entity(slot->entity, e)) {
            return aicpi_fail_at(
                err,
                AICP_ERR_EXISTS,
                data,
                len,
                e->offset,
                "%s stands twice with different content",
                aicpi_policy_brief_uid(e->uid).text);
        }
        if (!slot->entity) {
            store->items[kept] = *e;
            slot->entity = &store->items[kept++];
        }
    }
    store->count = kept;
    for (size_t i = 0; i < kept; i++) {
        const aicpi_policy_entity *e = &store->items[i];
        for (uint32_t j = 0; j < e->parent_count; j++) {
            put_slot(store, e->parents[j])->is_parent = true;
        }
    }
    return AICP_OK;
}

/* ---- actions, which the schema declares ---- */

static const aicpi_policy_uid *intern_uid(loader *l, const aicpi_policy_uid *uid) {
    const aicpi_policy_str *type =
        aicpi_policy_intern_str(&l->intern, aicpi_policy_text(uid->type));
    const aicpi_policy_str *id = aicpi_policy_intern_str(&l->intern, aicpi_policy_text(uid->id));
    return type && id ? aicpi_policy_intern_uid(&l->intern, type, id) : NULL;
}

/* Makes room for all actions and for their uids in the index. */
static bool expect_actions(loader *l) {
    aicp_policy_entities *store = l->store;
    const aicp_policy_schema *schema = l->reader.conform.schema;
    size_t count = schema ? schema->action_count : 0;
    for (size_t i = 0; i < count; i++) {
        if (!intern_uid(l, schema->actions[i].entity.uid)) {
            return false;
        }
    }
    bool fine = true;
    while (fine && l->capacity < store->count + count) {
        fine = aicpi_grow(
            &store->allocator,
            (void **)&store->items,
            &l->capacity,
            l->capacity,
            sizeof *store->items);
    }
    return fine;
}

/* Copies a declared action behind the entities. */
static bool add_action(loader *l, const aicpi_policy_entity *declared) {
    aicp_policy_entities *store = l->store;
    const aicpi_policy_uid **parents =
        aicpi_arena_calloc(&store->arena, declared->parent_count, sizeof(aicpi_policy_uid *));
    aicpi_policy_ancestor *ancestors =
        aicpi_arena_calloc(&store->arena, declared->ancestor_count, sizeof *ancestors);
    const aicpi_policy_uid *uid = intern_uid(l, declared->uid);
    if (!parents || !ancestors || !uid) {
        return false;
    }
    for (uint32_t i = 0; i < declared->parent_count; i++) {
        parents[i] = intern_uid(l, declared->parents[i]);
        put_slot(store, parents[i])->is_parent = true;
    }
    for (uint32_t i = 0; i < declared->ancestor_count; i++) {
        ancestors[i].hash = declared->ancestors[i].hash;
        ancestors[i].uid = intern_uid(l, declared->ancestors[i].uid);
    }
    aicpi_policy_entity *e = &store->items[store->count++];
    *e = (aicpi_policy_entity){
        .uid = uid,
        .attrs = &aicpi_policy_empty_record,
        .tags = &aicpi_policy_empty_record,
        .parents = parents,
        .parent_count = declared->parent_count,
        .ancestors = ancestors,
        .ancestor_count = declared->ancestor_count};
    put_slot(store, uid)->entity = e;
    return true;
}

/* Those given must be as they are declared; the others are added. */
static aicp_status check_actions(loader *l, const char *data, size_t len, aicp_error *err) {
    const aicp_policy_schema *schema = l->reader.conform.schema;
    for (size_t i = 0; schema && i < schema->action_count; i++) {
        const aicpi_policy_entity *declared = &schema->actions[i].entity;
        const aicpi_policy_entity_slot *slot = aicpi_policy_entities_slot(l->store, declared->uid);
        const aicpi_policy_entity *given = slot ? slot->entity : NULL;
        if (!given && !add_action(l, declared)) {
            return aicpi_nomem(err);
        }
        l->reader.conform.uid = declared->uid;
        if (given && !aicpi_policy_conform_action(&l->reader.conform, given)) {
            return aicpi_fail_at(
                err,
                AICP_ERR_POLICY_TYPE,
                data,
                len,
                given->offset,
                "%s",
                l->reader.conform.message);
        }
    }
    return AICP_OK;
}

static aicp_status
load(loader *l, const char *data, size_t len, size_t max_ancestors, aicp_error *err) {
    aicpi_policy_reader_start(&l->reader.values, &l->intern, &l->scratch, data, len);
    read_entities(l);
    aicp_status status = aicpi_json_finish(&l->reader.values.json, err);
    if (status == AICP_OK && !expect_actions(l)) {
        status = aicpi_nomem(err);
    }
    if (status == AICP_OK) {
        status = index_entities(l, data, len, err);
    }
    if (status == AICP_OK) {
        status = aicpi_policy_entities_close(l->store, max_ancestors, data, len, err);
    }
    return status == AICP_OK ? check_actions(l, data, len, err) : status;
}

aicp_status aicp_policy_entities_parse(
    const char *data,
    size_t len,
    const aicp_policy_entities_options *options,
    aicp_policy_entities **out,
    aicp_error *err) {
    *out = NULL;
    aicp_policy_entities_options o;
    aicp_status status =
        aicpi_options_copy(&o, sizeof o, options, "aicp_policy_entities_options", err);
    if (status != AICP_OK) {
        return status;
    }
    size_t max_bytes = o.max_bytes ? o.max_bytes : MAX_BYTES;
    if (len > max_bytes) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "the entities have %zu bytes, more than %zu", len, max_bytes);
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_policy_entities *store = aicpi_calloc(&a, 1, sizeof *store);
    if (!store) {
        return aicpi_nomem(err);
    }
    aicpi_ref_init(&store->ref);
    store->allocator = a;
    aicpi_arena_init(&store->arena, &a, 0, 0);
    loader l = {.store = store, .reader.values = {.allocator = a, .texts = &store->texts}};
    l.reader.conform.schema = o.schema;
    l.max_entities = o.max_entities ? o.max_entities : MAX_ENTITIES;
    aicpi_arena_init(&l.scratch, &a, 0, 0);
    aicpi_policy_intern_init(&l.intern, &store->arena, true);
    status = load(&l, data, len, o.max_ancestors ? o.max_ancestors : MAX_ANCESTORS, err);
    aicpi_policy_intern_deinit(&l.intern);
    aicpi_policy_entity_reader_deinit(&l.reader);
    aicpi_arena_deinit(&l.scratch);
    if (status != AICP_OK) {
        aicp_policy_entities_free(store);
        return status;
    }
    *out = store;
    return AICP_OK;
}
