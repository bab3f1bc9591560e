/* Rules from a server: long polls, sections by hash, the disk copy (docs/gate-protocol.md). */
#ifndef AICPI_GATE_FETCH_H
#define AICPI_GATE_FETCH_H

#include "lib/gate/gate_internal.h"

typedef struct aicpi_fetch aicpi_fetch; /* synchronised */

/* Makes ready to fetch from the gate's bundle_url into its cache_path; nothing is fetched yet. */
aicp_status aicpi_fetch_open(aicp_gate *g, aicpi_fetch **out, aicp_error *err);
/* After _stop; `own` as in aicpi_remote_free; NULL is fine. */
void aicpi_fetch_free(aicpi_fetch *f, bool own);
/* First rules: from the server, or from the disk copy while it is away. */
aicp_status aicpi_fetch_first(aicpi_fetch *f, aicp_error *err);
/* Asks once without waiting, and puts a new version in force. */
aicp_status aicpi_fetch_now(aicpi_fetch *f, int32_t *changed, aicp_error *err);
/* A thread that follows the server. */
aicp_status aicpi_fetch_start(aicpi_fetch *f, aicp_error *err);
void aicpi_fetch_stop(aicpi_fetch *f);
/* In the child of a fork; the thread must be started again. */
aicp_status aicpi_fetch_leave_parent(aicpi_fetch *f, aicp_error *err);
/* ,"bundle_server":{…} */
void aicpi_fetch_metrics(aicpi_fetch *f, aicpi_strbuf *out);

#endif
