#include "lib/policy/conform.h"

#include "lib/policy/brief.h"
#include "lib/policy/types.h"

#include <stdarg.h>
#include <stdio.h>

/* Values nest at most as deep as the texts they were read from, which have a limit; so the
 * recursion here is bounded. */

/* ---- messages ---- */

#define PATH_SIZE 160

/* Writes "addr.zip", "list[].x"; what has no room is left out. */
static size_t write_path(const aicpi_policy_place *at, char *out, size_t used) {
    used = at->above ? write_path(at->above, out, used) : 0;
    aicpi_policy_brief key = {"[]"};
    if (at->key) {
        key = aicpi_policy_brief_str(at->key);
    }
    size_t len = strlen(key.text);
    bool point = at->above && at->key;
    if (used + point + len + 1 <= PATH_SIZE) {
        out[used] = '.';
        memcpy(out + used + point, key.text, len + 1);
        used += point + len;
    }
    return used;
}

bool aicpi_policy_conform_fail(
    aicpi_policy_conform *c, const aicpi_policy_place *at, const char *format, ...) {
    char path[PATH_SIZE] = "";
    char *text = c->message;
    size_t size = sizeof c->message;
    int n = c->uid ? snprintf(text, size, "%s: ", aicpi_policy_brief_uid(c->uid).text)
                   : snprintf(text, size, "context: ");
    size_t used = n < 0 ? 0 : (size_t)n;
    if (at && used < size) {
        write_path(at, path, 0);
        n = snprintf(text + used, size - used, "%s \"%s\": ", c->part, path);
        used += n < 0 ? 0 : (size_t)n;
    }
    if (used < size) {
        va_list args;
        va_start(args, format);
        vsnprintf(text + used, size - used, format, args);
        va_end(args);
    }
    return false;
}

static void value_text(aicpi_policy_value v, char out[AICPI_POLICY_TYPE_TEXT_SIZE]) {
    switch (v.kind) {
    case AICPI_POLICY_ENTITY:
        snprintf(
            out, AICPI_POLICY_TYPE_TEXT_SIZE, "%s", aicpi_policy_brief_str(v.u.entity->type).text);
        break;
    case AICPI_POLICY_SET:
        snprintf(out, AICPI_POLICY_TYPE_TEXT_SIZE, "a set");
        break;
    case AICPI_POLICY_RECORD:
        snprintf(out, AICPI_POLICY_TYPE_TEXT_SIZE, "a record");
        break;
    default:
        aicpi_policy_type_text(aicpi_policy_type_plain(v.kind), out);
        break;
    }
}

static bool mismatch(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    aicpi_policy_value v) {
    char expected[AICPI_POLICY_TYPE_TEXT_SIZE];
    char found[AICPI_POLICY_TYPE_TEXT_SIZE];
    aicpi_policy_type_text(type, expected);
    value_text(v, found);
    return aicpi_policy_conform_fail(c, at, "expected %s, found %s", expected, found);
}

/* ---- values ---- */

/* An entity of a known type that a value names, or that is a parent. */
static bool conform_id(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_entity_type *type,
    const aicpi_policy_uid *uid) {
    if (!aicpi_policy_entity_type_has_id(type, uid->id)) {
        return aicpi_policy_conform_fail(
            c,
            at,
            "%s has no \"%s\"",
            aicpi_policy_brief_str(type->name).text,
            aicpi_policy_brief_str(uid->id).text);
    }
    if (type->action && !aicpi_policy_schema_action(c->schema, uid) && uid == c->uid) {
        return aicpi_policy_conform_fail(c, NULL, "the action is not declared");
    }
    if (type->action && !aicpi_policy_schema_action(c->schema, uid)) {
        return aicpi_policy_conform_fail(
            c, at, "the action %s is not declared", aicpi_policy_brief_uid(uid).text);
    }
    return true;
}

bool aicpi_policy_conform_top(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    aicpi_policy_value v) {
    if (v.kind != type->kind) {
        return mismatch(c, at, type, v);
    }
    if (v.kind != AICPI_POLICY_ENTITY) {
        return true;
    }
    if (!aicpi_policy_str_eq(v.u.entity->type, type->u.entity->name)) {
        return mismatch(c, at, type, v);
    }
    return conform_id(c, at, type->u.entity, v.u.entity);
}

bool aicpi_policy_conform_whole(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    const aicpi_policy_record *record) {
    for (uint32_t i = 0; i < type->count; i++) {
        const aicpi_policy_attr_type *attr = &type->u.attrs[i];
        if (attr->required && !aicpi_policy_record_get(record, attr->key)) {
            aicpi_policy_place missing = {.above = at, .key = attr->key};
            return aicpi_policy_conform_fail(c, &missing, "missing");
        }
    }
    return true;
}

const aicpi_policy_type *aicpi_policy_conform_attr(
    aicpi_policy_conform *c, const aicpi_policy_type *record, const aicpi_policy_place *at) {
    const aicpi_policy_attr_type *attr = aicpi_policy_type_attr(record, at->key);
    if (!attr) {
        aicpi_policy_conform_fail(c, at, "not declared");
    }
    return attr ? attr->type : NULL;
}

static bool conform_value(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    aicpi_policy_value v) {
    if (!aicpi_policy_conform_top(c, at, type, v)) {
        return false;
    }
    if (v.kind == AICPI_POLICY_RECORD) {
        return aicpi_policy_conform_record(c, at, type, v.u.record);
    }
    aicpi_policy_place element = {.above = at};
    bool fine = true;
    for (uint32_t i = 0; v.kind == AICPI_POLICY_SET && i < v.u.set->count && fine; i++) {
        fine = conform_value(c, &element, type->u.element, v.u.set->items[i].value);
    }
    return fine;
}

bool aicpi_policy_conform_record(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    const aicpi_policy_record *record) {
    for (uint32_t i = 0; i < record->count; i++) {
        aicpi_policy_place place = {.above = at, .key = record->fields[i].key};
        const aicpi_policy_type *expected = aicpi_policy_conform_attr(c, type, &place);
        if (!expected || !conform_value(c, &place, expected, record->fields[i].value)) {
            return false;
        }
    }
    return aicpi_policy_conform_whole(c, at, type, record);
}

/* ---- entities ---- */

const aicpi_policy_entity_type *
aicpi_policy_conform_entity(aicpi_policy_conform *c, const aicpi_policy_uid *uid) {
    const aicpi_policy_entity_type *type = aicpi_policy_schema_entity_type(c->schema, uid->type);
    if (!type) {
        aicpi_policy_conform_fail(
            c, NULL, "the type %s is not declared", aicpi_policy_brief_str(uid->type).text);
        return NULL;
    }
    return conform_id(c, NULL, type, uid) ? type : NULL;
}

bool aicpi_policy_conform_parent(
    aicpi_policy_conform *c, const aicpi_policy_entity_type *type, const aicpi_policy_uid *parent) {
    for (uint32_t i = 0; i < type->ancestor_count; i++) {
        if (aicpi_policy_str_eq(type->ancestors[i]->name, parent->type)) {
            return conform_id(c, NULL, type->ancestors[i], parent);
        }
    }
    return aicpi_policy_conform_fail(
        c,
        NULL,
        "cannot be in %s: its type is not declared to be in %s",
        aicpi_policy_brief_uid(parent).text,
        aicpi_policy_brief_str(parent->type).text);
}

bool aicpi_policy_conform_action(aicpi_policy_conform *c, const aicpi_policy_entity *e) {
    const aicpi_policy_action *action = aicpi_policy_schema_action(c->schema, e->uid);
    if (!action) {
        return aicpi_policy_conform_fail(c, NULL, "the action is not declared");
    }
    const aicpi_policy_entity *declared = &action->entity;
    bool same = e->attrs->count == 0 && e->tags->count == 0 &&
                e->ancestor_count == declared->ancestor_count;
    for (uint32_t i = 0; same && i < declared->ancestor_count; i++) {
        same = aicpi_policy_ancestors_have(
            e->ancestors, e->ancestor_count, declared->ancestors[i].uid);
    }
    return same || aicpi_policy_conform_fail(c, NULL, "the action differs from its declaration");
}
