/* Types of expressions, as the validator sees them: those of the schema, and some that only it
 * knows. */
#ifndef AICPI_POLICY_TYPES_H
#define AICPI_POLICY_TYPES_H

#include "lib/policy/schema.h"

/* Kinds of aicpi_policy_type beside those of values. The last two come up in permissive mode only:
 * when branches or elements of different types meet. */
enum {
    AICPI_POLICY_TYPE_NEVER = 24, /* of the elements of an empty set: below every other type */
    AICPI_POLICY_TYPE_TRUE,       /* a bool that is known */
    AICPI_POLICY_TYPE_FALSE,
    AICPI_POLICY_TYPE_ENTITIES,    /* one of several entity types */
    AICPI_POLICY_TYPE_OPEN_RECORD, /* a record that may have more attributes than are listed */
};

/* What types can be used as: 1 << kind for the kinds of values, and this. */
#define AICPI_POLICY_USE(kind) (1u << (kind))
#define AICPI_POLICY_USE_ENTITY_SET (1u << 16)

/* Room for a type's text in a message. */
#define AICPI_POLICY_TYPE_TEXT_SIZE 160

/* Where new types are made. */
typedef struct aicpi_policy_types {
    aicpi_arena *arena;
    bool strict;
    /* ERR_NOMEM; ERR_LIMIT: the types are too large to be compared; ERR_POLICY_DEPTH */
    aicp_status status;
    uint32_t depth;
    uint32_t steps; /* comparisons, for the limit */
} aicpi_policy_types;

/* The one type of that kind, for kinds without parts. */
const aicpi_policy_type *aicpi_policy_type_plain(uint32_t kind);
/* What an expression of that type may be used as. */
uint32_t aicpi_policy_type_uses(const aicpi_policy_type *t);
/* Entity types that a value may have; *count 0 when it is no entity. */
const aicpi_policy_entity_type *const *
aicpi_policy_type_entities(const aicpi_policy_type *t, uint32_t *count);

/* Whether every value of `a` is one of `b`. In strict mode records must have the same keys. False
 * also when types->status is set. */
bool aicpi_policy_type_below(
    aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b);
/* The least type above both; NULL when there is none, or types->status is set. */
const aicpi_policy_type *aicpi_policy_type_join(
    aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b);
/* Whether both are entities, of types that have nothing in common. */
bool aicpi_policy_types_disjoint(const aicpi_policy_type *a, const aicpi_policy_type *b);

/* An attribute of an entity or a record. */
typedef struct aicpi_policy_attr_found {
    const aicpi_policy_type *type; /* NULL: there is none, or none of a sure type */
    bool required;
    bool possible; /* without a type: some of the values may still have it */
} aicpi_policy_attr_found;

aicpi_policy_attr_found aicpi_policy_type_find(
    aicpi_policy_types *types, const aicpi_policy_type *t, const aicpi_policy_str *key);
/* Type of the tags of an entity, NULL when it has none. */
const aicpi_policy_type *
aicpi_policy_type_tags(aicpi_policy_types *types, const aicpi_policy_type *t, bool *any);

/* Cedar's notation, cut where the room ends. */
void aicpi_policy_type_text(const aicpi_policy_type *t, char out[AICPI_POLICY_TYPE_TEXT_SIZE])
    __attribute__((cold));

#endif
