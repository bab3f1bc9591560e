/* The one thread of a gate: follows the bundle, tells the store what it does not know yet, writes
 * events. */
#include "lib/gate/gate_internal.h"
#include "lib/gate/uplink.h"

#include <errno.h>
#include <time.h>

#define FLUSH_NS (UINT64_C(1000000000))

static aicp_status worse(aicp_status a, aicp_status b) {
    return a != AICP_OK ? a : b;
}

aicp_status aicp_gate_flush(aicp_gate *g, aicp_error *err) {
    if (!g) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate is NULL");
    }
    aicp_status status = aicpi_gate_own_process(g, err);
    if (status != AICP_OK) {
        return status;
    }
    status = aicpi_gate_put_due(g, err);
    if (status != AICP_OK) {
        return status;
    }
    status = aicp_ledger_flush(g->ledger, 0, err);
    status = worse(status, aicp_limiter_flush(g->limiter, 0, FLUSH_NS, err));
    if (g->uplink) {
        return worse(status, aicpi_uplink_flush(g->uplink, err));
    }
    return worse(status, aicpi_events_write(g, err));
}

static void turn(aicp_gate *g) {
    aicp_error err = {0};
    if (g->bundle_path) {
        (void)!aicp_gate_reload(g, NULL, &err); /* it has told log, events and metrics itself */
    }
    (void)!aicpi_gate_put_due(g, &err); /* said when it was put off; tried again with each turn */
    if (aicp_limiter_flush(g->limiter, 0, FLUSH_NS, &err) != AICP_OK) {
        aicpi_log_write(&g->log, AICP_LOG_WARN, "limits not flushed: %s", err.message);
    }
    if (aicpi_events_write(g, &err) != AICP_OK) {
        aicpi_log_write(&g->log, AICP_LOG_WARN, "events not written: %s", err.message);
    }
}

static void *run(void *user) {
    aicp_gate *g = user;
    pthread_mutex_lock(&g->thread_lock);
    while (!g->thread_stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        uint64_t ns = (uint64_t)until.tv_nsec + (uint64_t)g->watch_ms * 1000000;
        until.tv_sec += (time_t)(ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
        int rc = pthread_cond_timedwait(&g->thread_wake, &g->thread_lock, &until);
        if (rc == ETIMEDOUT && !g->thread_stop) {
            pthread_mutex_unlock(&g->thread_lock);
            turn(g);
            pthread_mutex_lock(&g->thread_lock);
        }
    }
    pthread_mutex_unlock(&g->thread_lock);
    return NULL;
}

aicp_status aicpi_background_start(aicp_gate *g, aicp_error *err) {
    g->thread_stop = false;
    int rc = pthread_create(&g->thread, NULL, run, g);
    if (rc != 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot start a thread: %s", strerror(rc));
    }
    g->thread_running = true;
    return AICP_OK;
}

void aicpi_background_stop(aicp_gate *g) {
    if (!g->thread_running) {
        return;
    }
    pthread_mutex_lock(&g->thread_lock);
    g->thread_stop = true;
    pthread_cond_signal(&g->thread_wake);
    pthread_mutex_unlock(&g->thread_lock);
    pthread_join(g->thread, NULL);
    g->thread_running = false;
}
