/* The entity store: its index and the closure over parents. */
#include "lib/policy/entities.h"

#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/policy/brief.h"

const aicpi_policy_entity_slot *
aicpi_policy_entities_slot(const aicp_policy_entities *store, const aicpi_policy_uid *uid) {
    if (!store) {
        return NULL;
    }
    for (size_t at = (size_t)uid->hash & store->mask;; at = (at + 1) & store->mask) {
        const aicpi_policy_entity_slot *slot = &store->slots[at];
        if (!slot->uid) {
            return NULL;
        }
        if (aicpi_policy_uid_eq(slot->uid, uid)) {
            return slot;
        }
    }
}

/* ---- ancestors ---- */

void aicpi_policy_ancestors_sort(aicpi_policy_ancestor *items, size_t *count) {
    aicpi_policy_sort(items, *count, sizeof *items);
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        bool seen = false;
        for (size_t j = kept; j > 0 && items[j - 1].hash == items[i].hash && !seen; j--) {
            seen = aicpi_policy_uid_eq(items[j - 1].uid, items[i].uid);
        }
        if (!seen) {
            items[kept++] = items[i];
        }
    }
    *count = kept;
}

bool aicpi_policy_ancestors_have(
    const aicpi_policy_ancestor *items, uint32_t count, const aicpi_policy_uid *uid) {
    size_t i = aicpi_policy_lower_bound(items, count, sizeof *items, uid->hash);
    for (; i < count && items[i].hash == uid->hash; i++) {
        if (aicpi_policy_uid_eq(items[i].uid, uid)) {
            return true;
        }
    }
    return false;
}

enum { UNSEEN = 0, OPEN, CLOSED };

/* An entity whose parents are being closed. */
typedef struct frame {
    size_t entity;
    uint32_t next_parent;
} frame;

typedef struct closing {
    aicp_policy_entities *store;
    unsigned char *state; /* per entity */
    frame *frames;
    size_t depth;
    aicpi_policy_ancestor *found;
    size_t found_capacity;
    size_t total; /* ancestors of all entities so far */
    size_t most;
} closing;

static bool found_one(closing *c, size_t *count, const aicpi_policy_uid *uid) {
    if (!aicpi_grow(
            &c->store->allocator,
            (void **)&c->found,
            &c->found_capacity,
            *count,
            sizeof *c->found)) {
        return false;
    }
    c->found[(*count)++] = (aicpi_policy_ancestor){.hash = uid->hash, .uid = uid};
    return true;
}

/* Joins the parents of an entity, all closed, with their ancestors. */
static aicp_status close_entity(closing *c, aicpi_policy_entity *e, aicp_error *err) {
    size_t count = 0;
    for (uint32_t i = 0; i < e->parent_count; i++) {
        const aicpi_policy_entity_slot *slot = aicpi_policy_entities_slot(c->store, e->parents[i]);
        const aicpi_policy_entity *parent = slot ? slot->entity : NULL;
        if (!found_one(c, &count, e->parents[i])) {
            return aicpi_nomem(err);
        }
        for (uint32_t j = 0; parent && j < parent->ancestor_count; j++) {
            if (!found_one(c, &count, parent->ancestors[j].uid)) {
                return aicpi_nomem(err);
            }
        }
        if (count > c->most) {
            break;
        }
    }
    aicpi_policy_ancestors_sort(c->found, &count);
    c->total += count;
    if (c->total > c->most) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "the entities have more than %zu ancestors in all", c->most);
    }
    aicpi_policy_ancestor *kept =
        aicpi_arena_alloc(&c->store->arena, count * sizeof(aicpi_policy_ancestor));
    if (!kept) {
        return aicpi_nomem(err);
    }
    if (count > 0) {
        memcpy(kept, c->found, count * sizeof *kept);
    }
    e->ancestors = kept;
    e->ancestor_count = (uint32_t)count;
    return AICP_OK;
}

static void open_entity(closing *c, size_t index) {
    c->state[index] = OPEN;
    c->frames[c->depth++] = (frame){.entity = index};
}

/* One step of the walk, which goes on until no frame is left. */
static aicp_status step(closing *c, const char *data, size_t len, aicp_error *err) {
    frame *f = &c->frames[c->depth - 1];
    aicpi_policy_entity *e = &c->store->items[f->entity];
    if (f->next_parent == e->parent_count) {
        c->state[f->entity] = CLOSED;
        c->depth--;
        return close_entity(c, e, err);
    }
    const aicpi_policy_entity_slot *slot =
        aicpi_policy_entities_slot(c->store, e->parents[f->next_parent++]);
    if (!slot || !slot->entity) {
        return AICP_OK;
    }
    size_t parent = (size_t)(slot->entity - c->store->items);
    if (c->state[parent] == OPEN) {
        return aicpi_fail_at(
            err,
            AICP_ERR_INVALID,
            data,
            len,
            e->offset,
            "%s is its own ancestor",
            aicpi_policy_brief_uid(e->uid).text);
    }
    if (c->state[parent] == UNSEEN) {
        open_entity(c, parent);
    }
    return AICP_OK;
}

aicp_status aicpi_policy_entities_close(
    aicp_policy_entities *store,
    size_t max_ancestors,
    const char *data,
    size_t len,
    aicp_error *err) {
    const aicp_allocator *a = &store->allocator;
    closing c = {.store = store, .most = max_ancestors};
    if (store->count == 0) {
        return AICP_OK;
    }
    c.state = aicpi_calloc(a, store->count, sizeof *c.state);
    c.frames = aicpi_calloc(a, store->count, sizeof *c.frames);
    aicp_status status = c.state && c.frames ? AICP_OK : aicpi_nomem(err);
    for (size_t i = 0; status == AICP_OK && i < store->count; i++) {
        if (c.state[i] == UNSEEN) {
            open_entity(&c, i);
        }
        while (status == AICP_OK && c.depth > 0) {
            status = step(&c, data, len, err);
        }
    }
    aicpi_free(a, c.state);
    aicpi_free(a, c.frames);
    aicpi_free(a, c.found);
    return status;
}

/* ---- handle ---- */

aicp_policy_entities *aicp_policy_entities_ref(aicp_policy_entities *entities) {
    aicpi_ref_get(&entities->ref);
    return entities;
}

void aicp_policy_entities_free(aicp_policy_entities *entities) {
    if (!entities || !aicpi_ref_put(&entities->ref)) {
        return;
    }
    aicp_allocator a = entities->allocator;
    aicpi_arena_deinit(&entities->arena);
    aicpi_free(&a, entities->items);
    aicpi_free(&a, entities->slots);
    aicpi_free(&a, entities->texts.items);
    aicpi_free(&a, entities);
}

size_t aicp_policy_entities_count(const aicp_policy_entities *entities) {
    return entities->count;
}

/* Compares texts with a uid without making one. */
static bool uid_is(const aicpi_policy_uid *uid, aicpi_slice type, aicpi_slice id) {
    return aicpi_slice_eq(aicpi_policy_text(uid->type), type) &&
           aicpi_slice_eq(aicpi_policy_text(uid->id), id);
}

int32_t aicp_policy_entities_contains(
    const aicp_policy_entities *entities,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len) {
    uint64_t seed = aicpi_hash_seed();
    aicpi_policy_str type_hash = {.hash = aicpi_hash(seed, type, type_len)};
    aicpi_policy_str id_hash = {.hash = aicpi_hash(seed, id, id_len)};
    uint64_t hash = aicpi_policy_uid_hash(&type_hash, &id_hash);
    for (size_t at = (size_t)hash & entities->mask;; at = (at + 1) & entities->mask) {
        const aicpi_policy_entity_slot *slot = &entities->slots[at];
        if (!slot->uid) {
            return 0;
        }
        if (slot->uid->hash == hash &&
            uid_is(slot->uid, aicpi_slice_of(type, type_len), aicpi_slice_of(id, id_len))) {
            return slot->entity != NULL;
        }
    }
}
