/* The control plane: rules down to the gates, slices down, events up.
 *
 *   auth/       who calls, and what the platform's own Cedar policies allow him
 *   resources/  one file per resource: its table of fields and its special verbs
 *   rules/      resources -> bundle, kept in the store
 *   gates/      what gates ask for: bundle, leases, events
 *   proxy/      LiteLLM: its resources, limits pushed to it, calls that it makes to us
 *
 * Names: aicpa_<folder>_<verb>.
 */
#ifndef AICPA_ADMIN_H
#define AICPA_ADMIN_H

#include "services/common/api/resource.h"
#include "services/common/process/process.h"

#include "aicp/budget.h"
#include "aicp/cost.h"
#include "aicp/gate.h"
#include "aicp/litellm.h"
#include "aicp/policy.h"

#include <pthread.h>
#include <stdatomic.h>

#define AICPA_COUNT(array) (sizeof(array) / sizeof *(array))

/* Topics of long polls. */
enum { AICPA_TOPIC_BUNDLE = 0 };

typedef struct aicpa_settings {
    const char *environment; /* "development" | "production" */
    const char *database_url;
    const char *store_url; /* of the ledger and shared limits; NULL = database_url */
    const char *litellm_url;
    const char *master_key;
    const char *jwt_secret;
    const char *jwt_secret_previous;
    int64_t session_ms;
    const char *const *service_keys;
    const char
        *secret_key; /* seals secrets at rest: 64 hex digits, or any text of 32 bytes and more */
    const char *policies;  /* Cedar file instead of the built-in one */
    const char *price_map; /* LiteLLM's price map, a section of the bundle */
    const char *const *cors_origins;
    int64_t requests_per_minute; /* of one caller; 0 = no limit */
    int64_t events_kept_ms;
} aicpa_settings;

typedef struct aicpa_known aicpa_known;
typedef struct aicpa_sessions aicpa_sessions;
typedef struct aicpa_access aicpa_access;
typedef struct aicpa_throttle aicpa_throttle;
typedef struct aicpa_worker aicpa_worker;
typedef struct aicpa_governed aicpa_governed;

typedef struct aicpa_admin {
    const aicpa_settings *settings;
    aicps_process *process;
    aicps_api *api;
    aicps_http_server *server; /* once it listens */
    aicp_litellm *litellm;     /* NULL: no proxy is configured */
    aicp_ledger *ledger;       /* the control plane's own node */
    aicp_rate_store *rates;    /* shared limits of gates that have no store of their own */
    aicp_buf price_map;        /* LiteLLM's, as text and read */
    aicp_price_table *prices;
    _Atomic uint64_t prices_due_ns; /* when LiteLLM is asked for its prices again */
    pthread_mutex_t push_lock;      /* one pass at a time tells LiteLLM its limits */
    uint64_t push_due_ns;           /* when all of them are looked at again */
    aicpi_sql *ready_db;            /* of the readiness check */
    _Atomic int64_t maintenance;    /* see resources/settings.c */
    aicpa_known *known;
    aicp_policy_schema *schema; /* that policies are written against */
    aicpa_sessions *sessions;
    aicpa_access *access;
    aicpa_throttle *throttle;
    aicpa_governed *governed;  /* a gate of our own, for proxies that cannot load one */
    int64_t governed_revision; /* of its rules; -1 = none. Of the thread that makes bundles */
    aicpa_worker *worker;      /* the one background thread */
} aicpa_admin;

static inline aicpa_admin *aicpa_of(const aicps_call *call) {
    return call->app;
}

/* The system's clocks. */
int64_t aicpa_wall_ns(void); /* since 1970 */
uint64_t aicpa_monotonic_ns(void);

/* Routes and resources of each folder; see list.c. */
typedef aicp_status (*aicpa_register_fn)(aicps_api *api, aicp_error *err);
extern const aicpa_register_fn aicpa_registry[];
extern const size_t aicpa_registry_count;

#endif
