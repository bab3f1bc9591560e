/* Events to a server: batches that are kept until they are acknowledged (docs/gate-protocol.md). */
#ifndef AICPI_GATE_UPLINK_H
#define AICPI_GATE_UPLINK_H

#include "lib/gate/gate_internal.h"

typedef struct aicpi_uplink aicpi_uplink; /* synchronised */

aicp_status aicpi_uplink_open(aicp_gate *g, const char *url, aicpi_uplink **out, aicp_error *err);
/* After _stop; `own` as in aicpi_remote_free; NULL is fine. */
void aicpi_uplink_free(aicpi_uplink *u, bool own);
/* A thread that sends what waits. _stop makes a last try of at most two seconds. */
aicp_status aicpi_uplink_start(aicpi_uplink *u, aicp_error *err);
void aicpi_uplink_stop(aicpi_uplink *u);
/* Sends all that waits now. */
aicp_status aicpi_uplink_flush(aicpi_uplink *u, aicp_error *err);
/* In the child of a fork: what waits is the parent's. The thread must be started again. */
aicp_status aicpi_uplink_leave_parent(aicpi_uplink *u, aicp_error *err);
/* ,"event_server":{…} */
void aicpi_uplink_metrics(aicpi_uplink *u, aicpi_strbuf *out);

#endif
