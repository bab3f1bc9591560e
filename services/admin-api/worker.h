/* Background work in two threads: one for what must be quick (bundles, revocations, the audit
 * chain), one for what may wait for others (LiteLLM) or takes long (pruning). */
#ifndef AICPA_WORKER_H
#define AICPA_WORKER_H

#include "services/admin-api/admin.h"

aicp_status aicpa_worker_new(aicpa_admin *admin, aicpa_worker **out, aicp_error *err);
aicp_status aicpa_worker_start(aicpa_worker *worker, aicp_error *err);
void aicpa_worker_stop(aicpa_worker *worker);
void aicpa_worker_free(aicpa_worker *worker);
/* There is something to do: a change of this process was committed. */
void aicpa_worker_wake(aicpa_worker *worker);

/* The process ends: a long chore leaves the rest for the next start. */
bool aicpa_worker_is_stopping(aicpa_worker *worker);

/* A chore: runs every `every_ms`, and at once when woken if `on_wake`. List in worker.c. */
typedef struct aicpa_chore {
    const char *name;
    bool slow; /* runs in the thread that may wait */
    bool on_wake;
    uint32_t every_ms;
    aicp_status (*run)(aicpa_admin *admin, aicpi_sql *db, aicp_error *err);
} aicpa_chore;

#endif
