/* One entity as JSON: an element of a store's array, or the answer of a lookup. */
#ifndef AICPI_POLICY_ENTITIES_READ_H
#define AICPI_POLICY_ENTITIES_READ_H

#include "lib/policy/conform.h"

typedef struct aicpi_policy_entity_reader {
    aicpi_policy_reader values;       /* set up by the caller */
    aicpi_policy_conform conform;     /* conform.schema NULL: without schema */
    const aicpi_policy_uid **parents; /* of the entity at hand */
    size_t parent_capacity;
} aicpi_policy_entity_reader;

void aicpi_policy_entity_reader_deinit(aicpi_policy_entity_reader *r);
/* Reads the value at hand, without ancestors; false: the JSON reader has the error. With a schema
 * it conforms, but for the ancestors of an action: see aicpi_policy_conform_action(). */
bool aicpi_policy_read_entity(aicpi_policy_entity_reader *r, aicpi_policy_entity *e);

#endif
