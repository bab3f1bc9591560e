/* Rate limits shared by processes through SQLite or PostgreSQL: the lease source of a limiter over
 * lib/sql. The shared buckets use the store's clock: the host's wall clock for SQLite,
 * clock_timestamp() for PostgreSQL. With SQLite they live beside the ledger in a file of their own
 * ("<path>-rates") whose commits wait for no disk flush: a crash of the machine may lose rates,
 * never money. */
#ifndef AICPI_GATE_RATE_STORE_H
#define AICPI_GATE_RATE_STORE_H

#include "aicp/ratelimit.h"

typedef struct aicpi_rate_store aicpi_rate_store;

/* Opens the store at the ledger's URL and makes its tables. `node` is a name for people; every
 * opened store counts as a node of its own. Synchronised. After a fork the child's first call opens
 * connections of its own. Errors: ERR_INVALID, ERR_STORE, ERR_NOMEM. */
aicp_status aicpi_rate_store_open(
    const char *url,
    size_t url_len,
    const char *node,
    size_t node_len,
    const aicp_allocator *allocator,
    aicpi_rate_store **out,
    aicp_error *err);
void aicpi_rate_store_free(aicpi_rate_store *store); /* NULL is fine */
/* For aicp_limiter_options::source; valid while the store lives. */
aicp_lease_source aicpi_rate_store_source(aicpi_rate_store *store);

#endif
