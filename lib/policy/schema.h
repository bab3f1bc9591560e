/* A schema with every name resolved: what the validator, the entity reader and the request check
 * work on. Read from Cedar's or the JSON syntax into declarations (schema_decl.h), resolved once,
 * immutable from then on. */
#ifndef AICPI_POLICY_SCHEMA_H
#define AICPI_POLICY_SCHEMA_H

#include "lib/base/hash.h"
#include "lib/base/thread.h"
#include "lib/policy/entities.h"

typedef struct aicpi_policy_type aicpi_policy_type;
typedef struct aicpi_policy_entity_type aicpi_policy_entity_type;

typedef struct aicpi_policy_attr_type {
    uint64_t hash; /* of the key */
    const aicpi_policy_str *key;
    const aicpi_policy_type *type;
    bool required;
} aicpi_policy_attr_type;

/* Common types are replaced by what they stand for, so a type may be shared, never cyclic. */
struct aicpi_policy_type {
    uint32_t kind;  /* AICPI_POLICY_BOOL … AICPI_POLICY_DURATION, in the validator also types.h */
    uint32_t count; /* attributes of a record, members of `entities` */
    union {
        const aicpi_policy_type *element;       /* of a set */
        const aicpi_policy_attr_type *attrs;    /* of a record, by hash of the key */
        const aicpi_policy_entity_type *entity; /* of an entity */
        /* of AICPI_POLICY_TYPE_ENTITIES, by index */
        const aicpi_policy_entity_type *const *entities;
    } u;
};

struct aicpi_policy_entity_type {
    const aicpi_policy_str *name;       /* with its namespace */
    uint32_t index;                     /* in the schema */
    bool action;                        /* NS::Action, implied by the actions of a namespace */
    const aicpi_policy_type *shape;     /* a record, perhaps empty; never NULL */
    const aicpi_policy_type *tags;      /* NULL: may have none */
    const aicpi_policy_str *const *ids; /* of an enumerated type: the only ids there are */
    uint32_t id_count;                  /* 0: any id */
    uint32_t ancestor_count;
    /* Types that an entity of this one may be in, directly or not, by index; with itself only when
     * it may be in one of its own kind. Those of an action type are the types of the actions that
     * its actions are in. */
    const aicpi_policy_entity_type *const *ancestors;
};

typedef struct aicpi_policy_action {
    /* uid and all ancestors, as the entity that the schema gives to a store; no attributes */
    aicpi_policy_entity entity;
    const aicpi_policy_entity_type *type;
    const aicpi_policy_entity_type *const *principals; /* by index, each once */
    const aicpi_policy_entity_type *const *resources;
    uint32_t principal_count; /* both 0: it applies to nothing, it is a group only */
    uint32_t resource_count;
    const aicpi_policy_type *context; /* a record, perhaps empty; never NULL */
} aicpi_policy_action;

typedef struct aicpi_policy_schema_decl aicpi_policy_schema_decl;

typedef struct aicpi_policy_schema_warning {
    const char *text;
    uint32_t line;
    uint32_t column;
} aicpi_policy_schema_warning;

struct aicp_policy_schema {
    aicpi_ref ref;
    aicp_allocator allocator;
    aicpi_arena arena;
    /* Declared types in the order of declaration, then the implied action types. */
    const aicpi_policy_entity_type *entity_types;
    uint32_t entity_type_count;
    uint32_t declared_type_count;
    uint32_t action_count;
    const aicpi_policy_action *actions;   /* in the order of declaration */
    aicp_policy_entities action_entities; /* the actions as a store, in the same order */
    aicpi_map types_by_name;              /* const aicpi_policy_entity_type * */
    aicpi_map commons_by_name;            /* const aicpi_policy_decl_common * */
    const aicpi_policy_schema_decl *decl; /* what was declared, for writing it again */
    const aicpi_policy_schema_warning *warnings;
    size_t warning_count;
};

/* NULL when there is none. */
const aicpi_policy_entity_type *aicpi_policy_schema_entity_type(
    const struct aicp_policy_schema *schema, const aicpi_policy_str *name);
const aicpi_policy_action *
aicpi_policy_schema_action(const struct aicp_policy_schema *schema, const aicpi_policy_uid *uid);
/* NULL when the record has no such attribute. */
const aicpi_policy_attr_type *
aicpi_policy_type_attr(const aicpi_policy_type *record, const aicpi_policy_str *key);
/* Whether an entity of type `below` may be in one of type `above`; every type is in itself. */
bool aicpi_policy_entity_type_in(
    const aicpi_policy_entity_type *below, const aicpi_policy_entity_type *above);
/* Whether `id` may be an id of the type. */
bool aicpi_policy_entity_type_has_id(
    const aicpi_policy_entity_type *type, const aicpi_policy_str *id);

#endif
