/* Entities that live elsewhere: fetched through a callback when an evaluation asks for one, and
 * kept until the request is reset. */
#ifndef AICPI_POLICY_LOOKUP_H
#define AICPI_POLICY_LOOKUP_H

#include "lib/policy/entities.h"

typedef struct aicpi_policy_lookup aicpi_policy_lookup;

/* `user` is given back with `release` in the end, at once when out of memory (NULL). */
aicpi_policy_lookup *aicpi_policy_lookup_new(
    const aicp_allocator *a, aicp_policy_lookup_fn fn, void *user, aicp_policy_release_fn release);
void aicpi_policy_lookup_free(aicpi_policy_lookup *l);
/* From now on entities must be as the schema declares them, and actions come from it. NULL: without
 * schema. Forgets all entities. `l` may be NULL. */
void aicpi_policy_lookup_use(aicpi_policy_lookup *l, const aicp_policy_schema *schema);
/* Forgets all entities. NULL is fine. */
void aicpi_policy_lookup_forget(aicpi_policy_lookup *l);

/* Begins an evaluation. After an error everything is asked for anew. */
void aicpi_policy_lookup_start(aicpi_policy_lookup *l);
/* The entity, without ancestors; NULL when there is none, and after an error. */
const aicpi_policy_entity *
aicpi_policy_lookup_find(aicpi_policy_lookup *l, const aicpi_policy_uid *uid);
/* An entity is its own ancestor. */
void aicpi_policy_lookup_cycle(aicpi_policy_lookup *l, const aicpi_policy_uid *uid);
/* The first error since the start; fills err with it. */
aicp_status aicpi_policy_lookup_status(const aicpi_policy_lookup *l, aicp_error *err);

#endif
