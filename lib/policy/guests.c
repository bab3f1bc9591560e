/* Entities that a request brings along: their place in front of the store, and their ancestors. */
#include "lib/policy/eval.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"

enum { UNSEEN = 0, OPEN, CLOSED };

typedef struct greeting {
    aicpi_policy_eval *x;
    aicpi_policy_entity *guests;
    aicpi_policy_ancestor *found;
    size_t capacity;
    unsigned char state[AICP_POLICY_OVERLAY_MAX];
    aicp_error *err;
} greeting;

/* ---- walking ---- */

/* Uids seen so far, each once, in the order of their finding. */
typedef struct trail {
    aicpi_arena *arena;
    aicpi_policy_ancestor *items;
    size_t count;
    size_t capacity;
    uint32_t *index; /* open addressing by hash: position + 1 */
    size_t mask;
} trail;

static bool trail_grow_index(trail *t) {
    size_t slots = t->index ? (t->mask + 1) * 2 : 32;
    t->index = aicpi_arena_calloc(t->arena, slots, sizeof *t->index);
    if (!t->index) {
        return false;
    }
    t->mask = slots - 1;
    for (size_t i = 0; i < t->count; i++) {
        size_t at = (size_t)t->items[i].hash & t->mask;
        while (t->index[at]) {
            at = (at + 1) & t->mask;
        }
        t->index[at] = (uint32_t)(i + 1);
    }
    return true;
}

static bool trail_add(trail *t, const aicpi_policy_uid *uid) {
    if ((!t->index || t->count * 2 > t->mask) && !trail_grow_index(t)) {
        return false;
    }
    size_t at = (size_t)uid->hash & t->mask;
    for (; t->index[at]; at = (at + 1) & t->mask) {
        if (aicpi_policy_uid_eq(t->items[t->index[at] - 1].uid, uid)) {
            return true;
        }
    }
    if (!aicpi_arena_grow(t->arena, (void **)&t->items, &t->capacity, t->count, sizeof *t->items)) {
        return false;
    }
    t->items[t->count++] = (aicpi_policy_ancestor){.hash = uid->hash, .uid = uid};
    t->index[at] = (uint32_t)t->count;
    return true;
}

static bool add_parents(trail *t, const aicpi_policy_entity *e) {
    for (uint32_t i = 0; e && i < e->parent_count; i++) {
        if (!trail_add(t, e->parents[i])) {
            return false;
        }
    }
    return true;
}

bool aicpi_policy_eval_walk(
    aicpi_policy_eval *x,
    const aicpi_policy_uid *uid,
    aicpi_arena *arena,
    aicpi_policy_ancestor **out,
    size_t *count) {
    trail t = {.arena = arena};
    bool fine = add_parents(&t, aicpi_policy_eval_entity(x, uid));
    for (size_t i = 0; fine && i < t.count && !x->stopped; i++) {
        fine = add_parents(&t, aicpi_policy_eval_entity(x, t.items[i].uid));
    }
    x->stopped |= !fine;
    if (x->stopped) {
        return false;
    }
    aicpi_policy_sort(t.items, t.count, sizeof *t.items);
    if (x->lookup && aicpi_policy_ancestors_have(t.items, (uint32_t)t.count, uid)) {
        aicpi_policy_lookup_cycle(x->lookup, uid);
        x->stopped = true;
    }
    *out = t.items;
    *count = t.count;
    return !x->stopped;
}

/* ---- ancestors of guests ---- */

static bool add(greeting *g, size_t *count, const aicpi_policy_uid *uid) {
    if (!aicpi_arena_grow(
            g->x->arena, (void **)&g->found, &g->capacity, *count, sizeof *g->found)) {
        return false;
    }
    g->found[(*count)++] = (aicpi_policy_ancestor){.hash = uid->hash, .uid = uid};
    return true;
}

static bool
add_all(greeting *g, size_t *count, const aicpi_policy_ancestor *items, size_t item_count) {
    for (size_t i = 0; i < item_count; i++) {
        if (!add(g, count, items[i].uid)) {
            return false;
        }
    }
    return true;
}

static aicp_status cycle(greeting *g, const aicpi_policy_uid *uid) {
    return aicpi_fail(
        g->err, AICP_ERR_INVALID, "%s is its own ancestor", aicpi_policy_brief_uid(uid).text);
}

static aicp_status keep(greeting *g, aicpi_policy_entity *e, size_t count) {
    aicpi_policy_ancestors_sort(g->found, &count);
    aicpi_policy_ancestor *kept = aicpi_arena_alloc(g->x->arena, count * sizeof *kept);
    if (!kept) {
        return aicpi_nomem(g->err);
    }
    if (g->found) {
        memcpy(kept, g->found, count * sizeof *kept);
    }
    e->ancestors = kept;
    e->ancestor_count = (uint32_t)count;
    return aicpi_policy_ancestors_have(kept, e->ancestor_count, e->uid) ? cycle(g, e->uid)
                                                                        : AICP_OK;
}

/* The parent's guest, NULL when it is none. */
static aicpi_policy_entity *as_guest(greeting *g, const aicpi_policy_uid *uid) {
    for (uint32_t i = 0; i < g->x->guest_count; i++) {
        if (aicpi_policy_uid_eq(g->guests[i].uid, uid)) {
            return &g->guests[i];
        }
    }
    return NULL;
}

/* Finds the ancestors of one guest after those of its guest parents. As deep as there are guests,
 * whose number is limited. */
static aicp_status close_guest(greeting *g, aicpi_policy_entity *e) {
    size_t self = (size_t)(e - g->guests);
    g->state[self] = OPEN;
    for (uint32_t i = 0; i < e->parent_count; i++) {
        aicpi_policy_entity *parent = as_guest(g, e->parents[i]);
        if (!parent || g->state[parent - g->guests] == CLOSED) {
            continue;
        }
        if (g->state[parent - g->guests] == OPEN) {
            return cycle(g, e->uid);
        }
        aicp_status status = close_guest(g, parent);
        if (status != AICP_OK) {
            return status;
        }
    }
    size_t count = 0;
    for (uint32_t i = 0; i < e->parent_count; i++) {
        const aicpi_policy_entity *parent = as_guest(g, e->parents[i]);
        if (!parent) {
            const aicpi_policy_entity_slot *slot =
                aicpi_policy_entities_slot(g->x->store, e->parents[i]);
            parent = slot ? slot->entity : NULL;
        }
        if (!add(g, &count, e->parents[i]) ||
            (parent && !add_all(g, &count, parent->ancestors, parent->ancestor_count))) {
            return aicpi_nomem(g->err);
        }
    }
    g->state[self] = CLOSED;
    return keep(g, e, count);
}

/* The same where the store's own ancestors cannot be trusted. */
static aicp_status close_by_walking(greeting *g, aicpi_policy_entity *e) {
    aicpi_policy_ancestor *items = NULL;
    size_t count = 0;
    if (!aicpi_policy_eval_walk(g->x, e->uid, g->x->arena, &items, &count)) {
        return aicpi_nomem(g->err);
    }
    e->ancestors = items;
    e->ancestor_count = (uint32_t)count;
    return aicpi_policy_ancestors_have(items, e->ancestor_count, e->uid) ? cycle(g, e->uid)
                                                                         : AICP_OK;
}

static bool make_guest(greeting *g, const aicpi_policy_guest *from, aicpi_policy_entity *to) {
    aicpi_policy_record *attrs = aicpi_arena_alloc(g->x->arena, sizeof *attrs);
    if (!attrs) {
        return false;
    }
    attrs->count = (uint32_t)from->attrs.count;
    attrs->fields = from->attrs.items;
    *to = (aicpi_policy_entity){
        .uid = from->uid,
        .attrs = attrs,
        .tags = &aicpi_policy_empty_record,
        .parents = from->parents,
        .parent_count = (uint32_t)from->parent_count,
        .own = !g->x->lookup};
    const aicpi_policy_entity_slot *slot = aicpi_policy_entities_slot(g->x->store, from->uid);
    g->x->walk |= slot && slot->is_parent;
    return true;
}

aicp_status aicpi_policy_eval_guests(
    aicpi_policy_eval *x, const aicp_policy_request *request, aicp_error *err) {
    x->walk = x->lookup != NULL;
    if (request->guest_count == 0) {
        return AICP_OK;
    }
    greeting g = {.x = x, .err = err};
    g.guests = aicpi_arena_calloc(x->arena, request->guest_count, sizeof *g.guests);
    if (!g.guests) {
        return aicpi_nomem(err);
    }
    x->guests = g.guests;
    x->guest_count = (uint32_t)request->guest_count;
    for (uint32_t i = 0; i < x->guest_count; i++) {
        if (!make_guest(&g, &request->guests[i], &g.guests[i])) {
            return aicpi_nomem(err);
        }
    }
    aicp_status status = AICP_OK;
    for (uint32_t i = 0; status == AICP_OK && !x->lookup && i < x->guest_count; i++) {
        if (x->walk) {
            status = close_by_walking(&g, &g.guests[i]);
        } else if (g.state[i] == UNSEEN) {
            status = close_guest(&g, &g.guests[i]);
        }
    }
    return status;
}
