/* Shared by the parts that make a schema of its declarations. */
#ifndef AICPI_POLICY_SCHEMA_RESOLVE_H
#define AICPI_POLICY_SCHEMA_RESOLVE_H

#include "lib/base/strbuf.h"
#include "lib/policy/schema_decl.h"

/* A type that was made, and how large it is with all common types written out. */
typedef struct aicpi_policy_resolved {
    const aicpi_policy_type *type;
    uint32_t height;
    uint32_t parts;
} aicpi_policy_resolved;

typedef struct aicpi_policy_resolved_common {
    bool open;                      /* being resolved: it refers to itself */
    aicpi_policy_resolved resolved; /* type NULL: not yet */
} aicpi_policy_resolved_common;

/* Entity types by index; sorted with aicpi_policy_sort. */
typedef struct aicpi_policy_indexes {
    uint64_t *items;
    size_t count;
    size_t capacity;
} aicpi_policy_indexes;

typedef struct aicpi_policy_resolver {
    struct aicp_policy_schema *schema;
    const aicpi_policy_schema_source *source;
    aicpi_arena temp; /* for what is needed only here */
    aicpi_strbuf scratch;
    aicpi_policy_entity_type *types; /* those of the schema, to be filled */
    aicpi_policy_action *actions;
    const aicpi_policy_type *type_refs; /* per entity type: a reference to it */
    aicpi_policy_indexes *parents;      /* per declared entity type */
    aicpi_policy_resolved_common *commons;
    uint32_t depth;
    aicp_status status; /* of the first error; everything gives up once it is set */
    aicp_error *err;
} aicpi_policy_resolver;

/* All give false. */
bool aicpi_policy_resolve_fail(
    aicpi_policy_resolver *r, aicp_status code, uint32_t pos, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
bool aicpi_policy_resolve_nomem(aicpi_policy_resolver *r);

/* schema_names.c: gives every declaration its place and its full name. */
bool aicpi_policy_resolve_names(aicpi_policy_resolver *r);
/* The full name of `name` in a namespace; NULL: out of memory. */
const aicpi_policy_str *aicpi_policy_full_name(
    aicpi_policy_resolver *r, const aicpi_policy_str *space, const aicpi_policy_str *name);

/* schema_types.c: what `decl`, which stands in `space`, describes; NULL on error. */
const aicpi_policy_type *aicpi_policy_resolve_type(
    aicpi_policy_resolver *r, const aicpi_policy_str *space, const aicpi_policy_decl_type *decl);
/* The same, but it must be a record; `what` is for the message. Without `decl` an empty one. */
const aicpi_policy_type *aicpi_policy_resolve_record(
    aicpi_policy_resolver *r,
    const aicpi_policy_str *space,
    const aicpi_policy_decl_type *decl,
    const char *what);
bool aicpi_policy_resolve_common(
    aicpi_policy_resolver *r, const aicpi_policy_decl_common *common, aicpi_policy_resolved *out);

#endif
