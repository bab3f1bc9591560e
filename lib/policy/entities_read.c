#include "lib/policy/entities_read.h"

#include "lib/policy/brief.h"

void aicpi_policy_entity_reader_deinit(aicpi_policy_entity_reader *r) {
    aicpi_free(&r->values.allocator, r->parents);
    r->parents = NULL;
    aicpi_policy_reader_deinit(&r->values);
}

/* An entity that is being read. */
typedef struct reading {
    aicpi_policy_entity_reader *er;
    aicpi_policy_reader *r;
    aicpi_policy_entity *e;
    const aicpi_policy_entity_type *type; /* NULL: without schema, or an action */
} reading;

static bool misfit(reading *g, size_t at) {
    return aicpi_json_fail(&g->r->json, AICP_ERR_POLICY_TYPE, at, "%s", g->er->conform.message);
}

static bool read_parent(reading *g, size_t *count) {
    aicpi_policy_entity_reader *er = g->er;
    aicpi_json *json = &g->r->json;
    size_t at = aicpi_json_offset(json);
    const aicpi_policy_uid *uid = NULL;
    if (!aicpi_policy_read_uid(g->r, &uid)) {
        return false;
    }
    if (g->type && !aicpi_policy_conform_parent(&er->conform, g->type, uid)) {
        return misfit(g, at);
    }
    if (!aicpi_grow(
            &g->r->allocator,
            (void **)&er->parents,
            &er->parent_capacity,
            *count,
            sizeof(aicpi_policy_uid *))) {
        return aicpi_json_fail(json, AICP_ERR_NOMEM, at, "out of memory");
    }
    er->parents[(*count)++] = uid;
    return true;
}

static bool read_parents(reading *g) {
    aicpi_json *json = &g->r->json;
    size_t count = 0;
    if (!aicpi_json_array(json)) {
        return false;
    }
    while (aicpi_json_element(json)) {
        if (!read_parent(g, &count)) {
            return false;
        }
    }
    const aicpi_policy_uid **kept =
        aicpi_arena_alloc(g->r->intern->arena, count * sizeof(aicpi_policy_uid *));
    if (!kept) {
        return aicpi_json_fail(json, AICP_ERR_NOMEM, json->pos, "out of memory");
    }
    if (count > 0) {
        memcpy(kept, g->er->parents, count * sizeof *kept);
    }
    g->e->parents = kept;
    g->e->parent_count = (uint32_t)count;
    return aicpi_json_ok(json);
}

static bool read_tags(reading *g) {
    size_t at = aicpi_json_offset(&g->r->json);
    g->er->conform.part = "tag";
    if (!g->type) {
        return aicpi_policy_read_record(g->r, &g->e->tags);
    }
    if (g->type->tags) {
        return aicpi_policy_read_each(g->r, g->type->tags, &g->e->tags);
    }
    if (!aicpi_policy_read_record(g->r, &g->e->tags) || g->e->tags->count == 0) {
        return aicpi_json_ok(&g->r->json);
    }
    aicpi_policy_place place = {.key = g->e->tags->fields[0].key};
    aicpi_policy_conform_fail(&g->er->conform, &place, "not declared");
    return misfit(g, at);
}

enum { ATTRS, PARENTS, TAGS, PARTS };

static const char *const part_names[PARTS] = {"attrs", "parents", "tags"};

static bool read_part(reading *g, int part) {
    g->er->conform.part = "attribute";
    switch (part) {
    case ATTRS:
        return g->type ? aicpi_policy_read_declared(g->r, g->type->shape, &g->e->attrs)
                       : aicpi_policy_read_record(g->r, &g->e->attrs);
    case PARENTS:
        return read_parents(g);
    default:
        return read_tags(g);
    }
}

static bool read_uid(reading *g) {
    aicpi_policy_conform *c = &g->er->conform;
    size_t at = aicpi_json_offset(&g->r->json);
    if (!aicpi_policy_read_uid(g->r, &g->e->uid)) {
        return false;
    }
    c->uid = g->e->uid;
    if (!c->schema) {
        return true;
    }
    g->type = aicpi_policy_conform_entity(c, g->e->uid);
    if (!g->type) {
        return misfit(g, at);
    }
    g->type = g->type->action ? NULL : g->type;
    return true;
}

static int part_of(aicpi_slice key) {
    int part = 0;
    while (part < PARTS && !aicpi_slice_is(key, part_names[part])) {
        part++;
    }
    return part;
}

/* Reads all members. What comes before the uid, which tells the declared type, is read at the end.
 */
static void read_members(reading *g) {
    aicpi_json *json = &g->r->json;
    size_t later[PARTS] = {0}; /* where a part stands, 0: read already */
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        int part = part_of(key);
        if (aicpi_slice_is(key, "uid")) {
            read_uid(g);
        } else if (part < PARTS && (g->e->uid || !g->er->conform.schema)) {
            read_part(g, part);
        } else {
            if (part < PARTS) {
                later[part] = aicpi_json_offset(json);
            }
            aicpi_json_skip(json);
        }
    }
    size_t end = json->pos;
    for (int part = 0; part < PARTS && g->e->uid; part++) {
        if (later[part] && aicpi_json_ok(json)) {
            json->pos = later[part];
            read_part(g, part);
        }
    }
    json->pos = end;
}

/* Actions are in actions only. */
static bool groups_are_actions(reading *g) {
    const aicpi_policy_entity *e = g->e;
    bool action = aicpi_policy_is_action_type(e->uid->type);
    for (uint32_t i = 0; action && i < e->parent_count; i++) {
        if (!aicpi_policy_is_action_type(e->parents[i]->type)) {
            return aicpi_json_fail(
                &g->r->json,
                AICP_ERR_PARSE,
                e->offset,
                "an action cannot be in %s",
                aicpi_policy_brief_uid(e->parents[i]).text);
        }
    }
    return true;
}

bool aicpi_policy_read_entity(aicpi_policy_entity_reader *er, aicpi_policy_entity *e) {
    aicpi_policy_reader *r = &er->values;
    reading g = {.er = er, .r = r, .e = e};
    r->conform = &er->conform;
    *e = (aicpi_policy_entity){.offset = aicpi_json_offset(&r->json)};
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    read_members(&g);
    if (!aicpi_json_ok(&r->json)) {
        return false;
    }
    if (!e->uid || !e->attrs || !e->parents) {
        const char *missing = !e->uid ? "uid" : !e->attrs ? "attrs" : "parents";
        return aicpi_json_fail(
            &r->json, AICP_ERR_PARSE, e->offset, "the entity has no \"%s\"", missing);
    }
    e->tags = e->tags ? e->tags : &aicpi_policy_empty_record;
    return groups_are_actions(&g);
}
