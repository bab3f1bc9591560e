/* Entities with their ancestors, in a store or brought along by a request. */
#ifndef AICPI_POLICY_ENTITIES_H
#define AICPI_POLICY_ENTITIES_H

#include "lib/base/thread.h"
#include "lib/policy/reader.h"

#include "aicp/policy.h"

typedef struct aicpi_policy_ancestor {
    uint64_t hash; /* of the uid */
    const aicpi_policy_uid *uid;
} aicpi_policy_ancestor;

typedef struct aicpi_policy_entity {
    const aicpi_policy_uid *uid;
    const aicpi_policy_record *attrs;
    const aicpi_policy_record *tags;
    const aicpi_policy_uid *const *parents;
    uint32_t parent_count;
    uint32_t ancestor_count;
    const aicpi_policy_ancestor *ancestors; /* all, without itself, by hash */
    size_t offset;                          /* place in its text */
    bool own; /* made for one request, so its ancestors are right for it */
} aicpi_policy_entity;

/* What is known about a uid: its entity, and whether others name it as their parent. */
typedef struct aicpi_policy_entity_slot {
    const aicpi_policy_uid *uid; /* NULL: empty */
    const aicpi_policy_entity *entity;
    bool is_parent;
} aicpi_policy_entity_slot;

struct aicp_policy_entities {
    aicpi_ref ref;
    aicp_allocator allocator;
    aicpi_arena arena;
    aicpi_policy_entity *items;
    size_t count;
    aicpi_policy_entity_slot *slots; /* open addressing by hash */
    size_t mask;
    aicpi_policy_texts texts; /* of extension values, for writing them again */
};

/* The slot of a uid, NULL when nothing is known about it. `store` may be NULL. */
const aicpi_policy_entity_slot *
aicpi_policy_entities_slot(const aicp_policy_entities *store, const aicpi_policy_uid *uid);

/* Sorts and drops repetitions. */
void aicpi_policy_ancestors_sort(aicpi_policy_ancestor *items, size_t *count);
/* Whether `uid` is among sorted ancestors. */
bool aicpi_policy_ancestors_have(
    const aicpi_policy_ancestor *items, uint32_t count, const aicpi_policy_uid *uid);
/* Fills in the ancestors of all entities of a store whose slots are built. ERR_INVALID: cycle. */
aicp_status aicpi_policy_entities_close(
    aicp_policy_entities *store,
    size_t max_ancestors,
    const char *data,
    size_t len,
    aicp_error *err);

#endif
