/* What a schema declares, as it was written: names not looked up, annotations kept. Both syntaxes
 * are read into this form and written from it; schema_resolve.c makes the resolved schema of it.
 * Everything lives in the arena of the schema. */
#ifndef AICPI_POLICY_SCHEMA_DECL_H
#define AICPI_POLICY_SCHEMA_DECL_H

#include "lib/base/strbuf.h"
#include "lib/policy/ast.h"
#include "lib/policy/schema.h"

enum {
    /* names, by what they may mean */
    AICPI_POLICY_DECL_EITHER, /* a common or an entity type: what a bare name is */
    AICPI_POLICY_DECL_COMMON,
    AICPI_POLICY_DECL_ENTITY,
    AICPI_POLICY_DECL_EXTENSION,
    /* built from others */
    AICPI_POLICY_DECL_SET,
    AICPI_POLICY_DECL_RECORD,
};

typedef struct aicpi_policy_decl_type aicpi_policy_decl_type;

typedef struct aicpi_policy_annotations {
    const aicpi_policy_annotation *items;
    uint32_t count;
} aicpi_policy_annotations;

typedef struct aicpi_policy_decl_attr {
    const aicpi_policy_str *key;
    const aicpi_policy_decl_type *type;
    aicpi_policy_annotations annotations;
    bool required;
} aicpi_policy_decl_attr;

struct aicpi_policy_decl_type {
    uint8_t kind;
    uint32_t pos;   /* byte offset in the text, here and below */
    uint32_t count; /* attributes of a record */
    union {
        const aicpi_policy_str *name;
        const aicpi_policy_decl_type *element; /* of a set */
        const aicpi_policy_decl_attr *attrs;   /* of a record, in the order of declaration */
    } u;
};

/* An entity type, or an action (then with its id) that a declaration refers to. */
typedef struct aicpi_policy_decl_ref {
    const aicpi_policy_str *type; /* NULL: Action of the namespace */
    const aicpi_policy_str *id;
    uint32_t pos;
} aicpi_policy_decl_ref;

typedef struct aicpi_policy_decl_refs {
    const aicpi_policy_decl_ref *items;
    uint32_t count;
} aicpi_policy_decl_refs;

typedef struct aicpi_policy_decl_common {
    const aicpi_policy_str *name;  /* without its namespace, here and below */
    const aicpi_policy_str *space; /* name of its namespace */
    uint32_t pos;
    uint32_t index; /* among the common types of the schema */
    aicpi_policy_annotations annotations;
    const aicpi_policy_decl_type *type;
} aicpi_policy_decl_common;

typedef struct aicpi_policy_decl_entity {
    const aicpi_policy_str *name;
    uint32_t pos;
    aicpi_policy_annotations annotations;
    aicpi_policy_decl_refs parents;
    const aicpi_policy_decl_type *shape; /* NULL: none */
    const aicpi_policy_decl_type *tags;  /* NULL: none */
    const aicpi_policy_str *const *ids;  /* of an enumerated type */
    uint32_t id_count;                   /* 0: not enumerated */
} aicpi_policy_decl_entity;

typedef struct aicpi_policy_decl_action {
    const aicpi_policy_str *id;
    uint32_t pos;
    aicpi_policy_annotations annotations;
    aicpi_policy_decl_refs parents;
    aicpi_policy_decl_refs principals;
    aicpi_policy_decl_refs resources;
    const aicpi_policy_decl_type *context; /* NULL: none */
    bool applies;                          /* has the lists, even if they are empty */
} aicpi_policy_decl_action;

typedef struct aicpi_policy_decl_space {
    const aicpi_policy_str *name; /* "": what stands outside of all namespaces */
    uint32_t pos;
    aicpi_policy_annotations annotations;
    aicpi_policy_decl_common *commons;
    aicpi_policy_decl_entity *entities;
    aicpi_policy_decl_action *actions;
    size_t common_count;
    size_t entity_count;
    size_t action_count;
    size_t common_capacity;
    size_t entity_capacity;
    size_t action_capacity;
} aicpi_policy_decl_space;

struct aicpi_policy_schema_decl {
    aicpi_policy_decl_space **spaces;
    size_t count;
    size_t capacity;
    int32_t format; /* that it was read from */
};

/* ---- reading ---- */

/* What both readers have at hand. */
typedef struct aicpi_policy_schema_source {
    const char *data;
    size_t len;
    uint32_t max_depth;
    aicpi_arena *arena; /* of the schema */
    aicpi_policy_intern *intern;
} aicpi_policy_schema_source;

aicp_status aicpi_policy_schema_read_cedar(
    const aicpi_policy_schema_source *source, aicpi_policy_schema_decl *decl, aicp_error *err);
aicp_status aicpi_policy_schema_read_json(
    const aicpi_policy_schema_source *source, aicpi_policy_schema_decl *decl, aicp_error *err);

/* Each adds one declaration; NULL: out of memory. */
aicpi_policy_decl_space *
aicpi_policy_decl_add_space(aicpi_policy_schema_decl *decl, aicpi_arena *arena);
aicpi_policy_decl_common *
aicpi_policy_decl_add_common(aicpi_policy_decl_space *space, aicpi_arena *arena);
aicpi_policy_decl_entity *
aicpi_policy_decl_add_entity(aicpi_policy_decl_space *space, aicpi_arena *arena);
aicpi_policy_decl_action *
aicpi_policy_decl_add_action(aicpi_policy_decl_space *space, aicpi_arena *arena);

/* ---- resolving ---- */

/* Fills in a schema whose `decl` is read. */
aicp_status aicpi_policy_schema_resolve(
    struct aicp_policy_schema *schema, const aicpi_policy_schema_source *source, aicp_error *err);

/* What a name means; all unset: nothing. */
typedef struct aicpi_policy_named {
    const aicpi_policy_entity_type *entity;
    const aicpi_policy_decl_common *common;
    uint32_t builtin; /* AICPI_POLICY_BOOL … */
} aicpi_policy_named;

/* Looks up a name that stands in namespace `space`, there, then outside of all namespaces, then
 * among the built-in types. `kind` is one of the names of AICPI_POLICY_DECL_... False: out of
 * memory; `scratch` is for the function's own use. */
bool aicpi_policy_schema_lookup(
    const struct aicp_policy_schema *schema,
    const aicpi_policy_str *space,
    uint32_t kind,
    aicpi_slice name,
    aicpi_strbuf *scratch,
    aicpi_policy_named *out);

/* The name of a built-in type, without __cedar. */
const char *aicpi_policy_builtin_name(uint32_t builtin);

/* ---- writing ---- */

/* ERR_UNSUPPORTED when something cannot be said in Cedar's syntax; a full `out` is not an error
 * here. */
aicp_status aicpi_policy_schema_write_cedar(
    const struct aicp_policy_schema *schema, aicpi_strbuf *out, aicp_error *err);

#endif
