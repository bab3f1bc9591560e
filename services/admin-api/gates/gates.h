/* What gates ask for; the protocol is docs/gate-protocol.md. */
#ifndef AICPA_GATES_GATES_H
#define AICPA_GATES_GATES_H

#include "services/admin-api/admin.h"

#define AICPA_NODE_MAX 128

/* A gate as it shows itself. */
typedef struct aicpa_gate_sight {
    aicpi_slice node;
    aicpi_slice boot;
    aicpi_slice version; /* bundle in force; no data: not told */
    aicpi_slice error;   /* why it refused a newer one */
    const char *address;
} aicpa_gate_sight;

/* Remembers that the gate was here. */
aicp_status aicpa_gate_seen(aicpi_sql *db, const aicpa_gate_sight *g, aicp_error *err);
/* Stores events of this process' own gate: JSON Lines as aicp_gate_events() gives them. */
aicp_status aicpa_events_store(aicpi_sql *db, const char *data, size_t len, aicp_error *err);

/* Chore: takes away events and gates that are older than they are kept, revocations of sessions
 * that have expired anyway, and old idempotency keys. */
aicp_status aicpa_prune(aicpa_admin *admin, aicpi_sql *db, aicp_error *err);

#endif
