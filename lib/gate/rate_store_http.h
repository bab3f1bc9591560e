/* Rate limits shared through a server (docs/gate-protocol.md): a lease source over HTTP. */
#ifndef AICPI_GATE_RATE_STORE_HTTP_H
#define AICPI_GATE_RATE_STORE_HTTP_H

#include "lib/gate/remote.h"

#include "aicp/ratelimit.h"

typedef struct aicpi_rate_http aicpi_rate_http;

/* `remote` and `node` are borrowed. */
aicp_status aicpi_rate_http_open(
    aicpi_remote *remote,
    const char *node,
    const aicp_allocator *a,
    aicpi_rate_http **out,
    aicp_error *err);
void aicpi_rate_http_free(aicpi_rate_http *store); /* NULL is fine */
/* For aicp_limiter_options::source; valid while the store lives. */
aicp_lease_source aicpi_rate_http_source(aicpi_rate_http *store);

#endif
