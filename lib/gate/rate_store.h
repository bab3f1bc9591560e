/* Rate limits shared by processes through SQLite or PostgreSQL: the lease source of a limiter over
 * lib/sql. The shared buckets use the store's clock: the host's wall clock for SQLite,
 * clock_timestamp() for PostgreSQL. With SQLite they live beside the ledger in a file of their own
 * ("<path>-rates") whose commits wait for no disk flush: a crash of the machine may lose rates,
 * never money. */
#ifndef AICPI_GATE_RATE_STORE_H
#define AICPI_GATE_RATE_STORE_H

#include "aicp/gate.h"
#include "aicp/ratelimit.h"

#include "lib/base/slice.h"

/* Who asks for a lease: every process is a node of its own. */
typedef struct aicpi_rate_node {
    int64_t id;
    aicpi_slice name; /* for people */
} aicpi_rate_node;

/* Opens the store at the ledger's URL and makes its tables. `node` is a name for people; every
 * opened store counts as a node of its own. Synchronised. After a fork the child's first call opens
 * connections of its own. Errors: ERR_INVALID, ERR_STORE, ERR_NOMEM. */
aicp_status aicpi_rate_store_open(
    const char *url,
    size_t url_len,
    const char *node,
    size_t node_len,
    const aicp_allocator *allocator,
    aicp_rate_store **out,
    aicp_error *err);
/* For aicp_limiter_options::source; valid while the store lives. */
aicp_lease_source aicpi_rate_store_source(aicp_rate_store *store);
/* One lease; `node` NULL is this process. As the function of the source. */
aicp_status aicpi_rate_store_lease(
    aicp_rate_store *store,
    const aicpi_rate_node *node,
    const aicp_lease_request *q,
    aicp_lease_grant *grant,
    aicp_error *err);

#endif
