/* Leases of rate limits as JSON, for gates and servers that reach the store by HTTP
 * (docs/gate-protocol.md). */
#ifndef AICPI_GATE_LEASE_JSON_H
#define AICPI_GATE_LEASE_JSON_H

#include "aicp/ratelimit.h"

#include "lib/base/json.h"
#include "lib/base/strbuf.h"

#define AICPI_LEASES_FORMAT "aicp-leases/1"
#define AICPI_LEASES_MAX 64                    /* in one message */
#define AICPI_LEASE_KEY_MAX 16384              /* bytes of one key */
#define AICPI_LEASE_NODE_MAX 256               /* bytes of a node's name and of its boot id */
#define AICPI_LEASE_BODY_MAX ((size_t)4 << 20) /* with the ledger's part */

void aicpi_lease_request_write(aicpi_strbuf *out, const aicp_lease_request *q);
/* Reads the value at hand; texts are views of the reader's text or lie in its arena. Everything is
 * held to the bounds that the limiter has for its rules. */
bool aicpi_lease_request_read(aicpi_json *r, aicp_lease_request *q);
/* A failed lease is written as its error. */
void aicpi_lease_grant_write(
    aicpi_strbuf *out, const aicp_lease_grant *g, aicp_status status, const aicp_error *err);
/* `*status` is that of the lease; with one that is not OK the message stands in `err`. A grant that
 * is not between need and need + extra is an error of the reader. */
bool aicpi_lease_grant_read(
    aicpi_json *r,
    const aicp_lease_request *q,
    aicp_lease_grant *g,
    aicp_status *status,
    aicp_error *err);

#endif
