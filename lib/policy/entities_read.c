#include "lib/policy/entities_read.h"

void aicpi_policy_entity_reader_deinit(aicpi_policy_entity_reader *r) {
    aicpi_free(&r->values.allocator, r->parents);
    r->parents = NULL;
    aicpi_policy_reader_deinit(&r->values);
}

static bool read_parents(aicpi_policy_entity_reader *er, aicpi_policy_entity *e) {
    aicpi_policy_reader *r = &er->values;
    size_t count = 0;
    if (!aicpi_json_array(&r->json)) {
        return false;
    }
    while (aicpi_json_element(&r->json)) {
        const aicpi_policy_uid *uid = NULL;
        if (!aicpi_policy_read_uid(r, &uid)) {
            return false;
        }
        if (!aicpi_grow(
                &r->allocator,
                (void **)&er->parents,
                &er->parent_capacity,
                count,
                sizeof(aicpi_policy_uid *))) {
            return aicpi_json_fail(&r->json, AICP_ERR_NOMEM, r->json.pos, "out of memory");
        }
        er->parents[count++] = uid;
    }
    const aicpi_policy_uid **kept =
        aicpi_arena_alloc(r->intern->arena, count * sizeof(aicpi_policy_uid *));
    if (!kept) {
        return aicpi_json_fail(&r->json, AICP_ERR_NOMEM, r->json.pos, "out of memory");
    }
    if (count > 0) {
        memcpy(kept, er->parents, count * sizeof *kept);
    }
    e->parents = kept;
    e->parent_count = (uint32_t)count;
    return aicpi_json_ok(&r->json);
}

bool aicpi_policy_read_entity(aicpi_policy_entity_reader *er, aicpi_policy_entity *e) {
    static const aicpi_policy_record none = {0};
    aicpi_policy_reader *r = &er->values;
    *e = (aicpi_policy_entity){.offset = aicpi_json_offset(&r->json)};
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(&r->json, &key);) {
        if (aicpi_slice_is(key, "uid")) {
            aicpi_policy_read_uid(r, &e->uid);
        } else if (aicpi_slice_is(key, "attrs")) {
            aicpi_policy_read_record(r, &e->attrs);
        } else if (aicpi_slice_is(key, "parents")) {
            read_parents(er, e);
        } else if (aicpi_slice_is(key, "tags")) {
            aicpi_policy_read_record(r, &e->tags);
        } else {
            aicpi_json_skip(&r->json);
        }
    }
    if (!aicpi_json_ok(&r->json)) {
        return false;
    }
    if (!e->uid || !e->attrs || !e->parents) {
        const char *missing = !e->uid ? "uid" : !e->attrs ? "attrs" : "parents";
        return aicpi_json_fail(
            &r->json, AICP_ERR_PARSE, e->offset, "the entity has no \"%s\"", missing);
    }
    e->tags = e->tags ? e->tags : &none;
    return true;
}
