/* Types of a schema: names looked up, common types replaced by what they stand for. */
#include "lib/policy/schema_resolve.h"

#include "lib/policy/brief.h"
#include "lib/policy/types.h"

/* Most sets, records and attributes of one type with all its common types written out: what refers
 * to a few types that refer to a few types ... would else take for ever to compare. */
#define PARTS_MOST 100000

static const aicpi_policy_type empty_record = {.kind = AICPI_POLICY_RECORD};

static bool resolve(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    aicpi_policy_resolved *out);

bool aicpi_policy_resolve_common(
    aicpi_policy_resolver *r, const aicpi_policy_decl_common *common, aicpi_policy_resolved *out) {
    aicpi_policy_resolved_common *c = &r->commons[common->index];
    if (c->open) {
        return aicpi_policy_resolve_fail(
            r,
            AICP_ERR_INVALID,
            common->pos,
            "the common type %s refers to itself",
            aicpi_policy_brief_str(common->name).text);
    }
    if (!c->resolved.type) {
        c->open = true;
        bool fine = resolve(r, common->space, common->type, &c->resolved);
        c->open = false;
        if (!fine) {
            return false;
        }
    }
    *out = c->resolved;
    return true;
}

static bool resolve_name(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    aicpi_policy_resolved *out) {
    static const char *const kinds[] = {
        [AICPI_POLICY_DECL_EITHER] = "type",
        [AICPI_POLICY_DECL_COMMON] = "common type",
        [AICPI_POLICY_DECL_ENTITY] = "entity type",
        [AICPI_POLICY_DECL_EXTENSION] = "extension type"};
    aicpi_policy_named named;
    if (!aicpi_policy_schema_lookup(
            r->schema, space, decl->kind, aicpi_policy_text(decl->u.name), &r->scratch, &named)) {
        return aicpi_policy_resolve_nomem(r);
    }
    if (named.common) {
        return aicpi_policy_resolve_common(r, named.common, out);
    }
    if (!named.entity && !named.builtin) {
        return aicpi_policy_resolve_fail(
            r,
            AICP_ERR_NOT_FOUND,
            decl->pos,
            "the %s %s is not declared",
            kinds[decl->kind],
            aicpi_policy_brief_str(decl->u.name).text);
    }
    out->type =
        named.entity ? &r->type_refs[named.entity->index] : aicpi_policy_type_plain(named.builtin);
    return true;
}

static bool resolve_record(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    aicpi_policy_resolved *out) {
    aicpi_arena *arena = &r->schema->arena;
    aicpi_policy_type *type = aicpi_arena_calloc(arena, 1, sizeof *type);
    aicpi_policy_attr_type *attrs = aicpi_arena_calloc(arena, decl->count, sizeof *attrs);
    if (!type || !attrs) {
        return aicpi_policy_resolve_nomem(r);
    }
    for (uint32_t i = 0; i < decl->count; i++) {
        const aicpi_policy_decl_attr *attr = &decl->u.attrs[i];
        aicpi_policy_resolved inner;
        if (!resolve(r, space, attr->type, &inner)) {
            return false;
        }
        attrs[i] = (aicpi_policy_attr_type){
            .hash = attr->key->hash,
            .key = attr->key,
            .type = inner.type,
            .required = attr->required};
        out->height = inner.height > out->height ? inner.height : out->height;
        out->parts += inner.parts;
        if (out->parts > PARTS_MOST) {
            return aicpi_policy_resolve_fail(
                r, AICP_ERR_LIMIT, decl->pos, "the type has more than %d parts", PARTS_MOST);
        }
    }
    aicpi_policy_sort(attrs, decl->count, sizeof *attrs);
    *type =
        (aicpi_policy_type){.kind = AICPI_POLICY_RECORD, .count = decl->count, .u.attrs = attrs};
    out->type = type;
    return true;
}

static bool resolve_set(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    aicpi_policy_resolved *out) {
    aicpi_policy_resolved inner;
    if (!resolve(r, space, decl->u.element, &inner)) {
        return false;
    }
    aicpi_policy_type *type = aicpi_arena_calloc(&r->schema->arena, 1, sizeof *type);
    if (!type) {
        return aicpi_policy_resolve_nomem(r);
    }
    *type = (aicpi_policy_type){.kind = AICPI_POLICY_SET, .u.element = inner.type};
    *out = inner;
    out->type = type;
    return true;
}

static bool resolve_inner(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    aicpi_policy_resolved *out) {
    switch (decl->kind) {
    case AICPI_POLICY_DECL_RECORD:
        return resolve_record(r, space, decl, out);
    case AICPI_POLICY_DECL_SET:
        return resolve_set(r, space, decl, out);
    default:
        return resolve_name(r, space, decl, out);
    }
}

/* A name counts as a level too, so that the order in which common types are resolved does not
 * matter for what is too deep. */
static bool resolve(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    aicpi_policy_resolved *out) {
    uint32_t most = r->source->max_depth;
    bool fine = r->depth < most;
    *out = (aicpi_policy_resolved){0};
    if (fine) {
        r->depth++;
        bool done = resolve_inner(r, space, decl, out);
        r->depth--;
        if (!done) {
            return false;
        }
        out->height++;
        out->parts++;
        fine = out->height <= most;
    }
    return fine || aicpi_policy_resolve_fail(
                       r,
                       AICP_ERR_POLICY_DEPTH,
                       decl->pos,
                       "the type is nested more than %u levels deep",
                       (unsigned)most);
}

const aicpi_policy_type *aicpi_policy_resolve_type(
    aicpi_policy_resolver *r, const aicpi_policy_str *space, const aicpi_policy_decl_type *decl) {
    aicpi_policy_resolved out;
    return resolve(r, space, decl, &out) ? out.type : NULL;
}

const aicpi_policy_type *aicpi_policy_resolve_record(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    const char *what) {
    if (!decl) {
        return &empty_record;
    }
    const aicpi_policy_type *type = aicpi_policy_resolve_type(r, space, decl);
    if (type && type->kind != AICPI_POLICY_RECORD) {
        aicpi_policy_resolve_fail(r, AICP_ERR_INVALID, decl->pos, "%s must be a record", what);
        return NULL;
    }
    return type;
}
