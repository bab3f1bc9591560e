/* What a gate has to do with its server: rules from it, events to it, slices by it. */
#ifndef AICPI_GATE_SERVER_H
#define AICPI_GATE_SERVER_H

#include "lib/gate/gate_internal.h"

aicp_status aicpi_server_check_options(const aicp_gate_options *o, aicp_error *err);
/* Makes ready what the gate's URLs ask for; no thread yet, nothing is sent. */
aicp_status aicpi_server_open(aicp_gate *g, aicp_error *err);
/* Shared limits by the server at `url`. */
aicp_status
aicpi_server_open_rates(aicp_gate *g, const char *url, aicp_lease_source *source, aicp_error *err);
aicp_status aicpi_server_start(aicp_gate *g, aicp_error *err); /* threads */
void aicpi_server_stop(aicp_gate *g);
/* `own` false: in a child of a fork, whose connections are the parent's. */
void aicpi_server_free(aicp_gate *g, bool own);
aicp_status aicpi_server_leave_parent(aicp_gate *g, aicp_error *err);

#endif
