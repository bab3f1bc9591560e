/* A gate of our own, for proxies that cannot load one: they ask over LiteLLM's generic guardrail
 * API before and after a call, and tell what it cost over its generic callback. Between the two the
 * decision waits here, by the call's id; one that nobody settles is dropped, and its reservation
 * ends by its time to live. */
#ifndef AICPA_PROXY_GOVERNED_H
#define AICPA_PROXY_GOVERNED_H

#include "services/admin-api/admin.h"

/* Most decisions that wait, and for how long. */
#define AICPA_WAITING_MAX 100000
#define AICPA_WAITING_NS (INT64_C(900) * 1000000000)

aicp_status aicpa_governed_new(aicpa_admin *admin, aicpa_governed **out, aicp_error *err);
void aicpa_governed_free(aicpa_governed *governed);
/* Puts the bundle in this folder in force. */
aicp_status aicpa_governed_load(aicpa_governed *governed, const char *folder, aicp_error *err);
aicp_gate *aicpa_governed_gate(aicpa_governed *governed);
/* Keeps a decision for its call; the decision is the map's from then on. An older one of that id is
 * dropped. False: too many wait; the decision is dropped. */
bool aicpa_governed_keep(aicpa_governed *governed, aicpi_slice id, aicp_gate_decision *decision);
/* Takes the decision of a call out; NULL when there is none. */
aicp_gate_decision *aicpa_governed_take(aicpa_governed *governed, aicpi_slice id);
/* Chore: drops decisions that nobody settled, stores the gate's events. */
aicp_status aicpa_governed_tend(aicpa_admin *admin, aicpi_sql *db, aicp_error *err);

#endif
