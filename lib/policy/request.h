/* A request under construction. Its attributes are kept in the order that records have, so that
 * asking needs no copy. */
#ifndef AICPI_POLICY_REQUEST_H
#define AICPI_POLICY_REQUEST_H

#include "lib/policy/ast.h"
#include "lib/policy/conform.h"
#include "lib/policy/lookup.h"

#include "aicp/policy.h"

typedef struct aicpi_policy_fields {
    aicpi_policy_field *items; /* by hash of the key */
    size_t count;
    size_t capacity;
} aicpi_policy_fields;

/* An entity that the request brings along. */
typedef struct aicpi_policy_guest {
    const aicpi_policy_uid *uid;
    aicpi_policy_fields attrs;
    const aicpi_policy_uid **parents;
    size_t parent_count;
    size_t parent_capacity;
} aicpi_policy_guest;

struct aicp_policy_request {
    aicp_allocator allocator;
    aicpi_arena arena;   /* everything below, until reset */
    aicpi_arena scratch; /* of one JSON text */
    aicpi_policy_intern intern;
    aicpi_policy_reader reader;
    const aicpi_policy_uid *vars[3];  /* NULL: not set */
    const aicpi_policy_str *types[3]; /* of those not set; NULL: not known either */
    aicpi_policy_fields context;
    aicpi_policy_guest *guests;
    size_t guest_count;
    size_t guest_capacity;
    aicpi_policy_lookup *lookup; /* NULL: no entities live elsewhere */
    aicp_policy_schema *schema;  /* NULL: none */
    aicpi_policy_conform conform;
};

/* ERR_STATE: principal, action or resource is not set. */
aicp_status
aicpi_policy_request_complete(const struct aicp_policy_request *request, aicp_error *err);

#endif
