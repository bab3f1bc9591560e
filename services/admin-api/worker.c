#include "services/admin-api/worker.h"

#include "services/admin-api/auth/auth.h"
#include "services/admin-api/gates/gates.h"
#include "services/admin-api/proxy/governed.h"
#include "services/admin-api/proxy/prices.h"
#include "services/admin-api/proxy/push.h"
#include "services/admin-api/rules/rules.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/thread.h"

#include <errno.h>
#include <time.h>

#define MS_NS UINT64_C(1000000)
#define TICK_MS 100

/* One of the two threads. */
typedef struct lane {
    struct aicpa_worker *worker;
    bool slow;
    aicpi_sql *db; /* opened by the thread when it is NULL */
    pthread_t thread;
    bool running;
    bool woken;
} lane;

struct aicpa_worker {
    aicpa_admin *admin;
    lane lanes[2];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

/* ---- chores ---- */

static aicp_status make_bundle(aicpa_admin *a, aicpi_sql *db, aicp_error *err) {
    bool made = false;
    aicp_status status = aicpa_rules_build(a, db, &made, err);
    if (made) {
        aicps_http_notify(a->server, AICPA_TOPIC_BUNDLE);
    }
    return status;
}

static aicp_status learn_revocations(aicpa_admin *a, aicpi_sql *db, aicp_error *err) {
    return aicpa_sessions_refresh(a->sessions, db, err);
}

static aicp_status seal_audit(aicpa_admin *a, aicpi_sql *db, aicp_error *err) {
    (void)a;
    uint64_t sealed = 0;
    return aicps_audit_seal(db, &sealed, err);
}

/* An intent older than any call can run was left by a process that was killed. */
static aicp_status recover_audit(aicpa_admin *a, aicpi_sql *db, aicp_error *err) {
    (void)a;
    return aicps_audit_recover(db, aicpa_wall_ns() - 120 * AICPI_SECOND_NS, err);
}

static const aicpa_chore chores[] = {
    {"bundle", false, true, 250, make_bundle},
    {"revocations", false, false, 1000, learn_revocations},
    {"maintenance", false, false, 1000, aicpa_maintenance_follow},
    {"audit chain", false, false, 500, seal_audit},
    {"audit recovery", true, false, 30000, recover_audit},
    {"prices", true, true, 1000, aicpa_prices_follow},
    {"limits in LiteLLM", true, true, 1000, aicpa_push_follow},
    {"own gate", true, false, 1000, aicpa_governed_tend},
    {"pruning", true, false, 60000, aicpa_prune},
};
#define CHORES (sizeof chores / sizeof *chores)

/* ---- the threads ---- */

static void log_failure(aicpa_worker *w, const char *chore, const aicp_error *err) {
    aicps_log_field fields[] = {{"chore", chore, 0}, {"reason", err->message, 0}};
    aicps_log(w->admin->process, AICP_LOG_WARN, "background work failed", fields, 2);
}

static aicp_status run_chore(lane *l, const aicpa_chore *chore, aicp_error *err) {
    aicpa_admin *admin = l->worker->admin;
    const char *url = admin->settings->database_url;
    aicp_status status = l->db ? AICP_OK : aicpi_sql_open(url, strlen(url), NULL, &l->db, err);
    return status ? status : chore->run(admin, l->db, err);
}

static void turn(lane *l, uint64_t due[CHORES], bool failed[CHORES], bool woken) {
    uint64_t now = aicpa_monotonic_ns();
    for (size_t i = 0; i < CHORES; i++) {
        bool mine = chores[i].slow == l->slow;
        if (!mine || (now < due[i] && !(woken && chores[i].on_wake))) {
            continue;
        }
        aicp_error err = {0};
        aicp_status status = run_chore(l, &chores[i], &err);
        if (status != AICP_OK && !failed[i]) {
            log_failure(l->worker, chores[i].name, &err);
        }
        failed[i] = status != AICP_OK;
        due[i] = aicpa_monotonic_ns() + chores[i].every_ms * MS_NS * (failed[i] ? 4 : 1);
    }
}

/* Until woken, stopped, or for a tick; the lock is held. */
static void rest(lane *l) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + TICK_MS * MS_NS;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    int rc = 0;
    while (!l->worker->stop && !l->woken && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&l->worker->wake, &l->worker->lock, &until);
    }
}

static void *run(void *user) {
    lane *l = user;
    uint64_t due[CHORES] = {0};
    bool failed[CHORES] = {false};
    pthread_mutex_lock(&l->worker->lock);
    while (!l->worker->stop) {
        bool woken = l->woken;
        l->woken = false;
        pthread_mutex_unlock(&l->worker->lock);
        turn(l, due, failed, woken);
        pthread_mutex_lock(&l->worker->lock);
        rest(l);
    }
    pthread_mutex_unlock(&l->worker->lock);
    return NULL;
}

/* ---- life ---- */

aicp_status aicpa_worker_new(aicpa_admin *admin, aicpa_worker **out, aicp_error *err) {
    *out = NULL;
    aicpa_worker *w = aicpi_calloc(NULL, 1, sizeof *w);
    if (!w) {
        return aicpi_nomem(err);
    }
    w->admin = admin;
    for (size_t i = 0; i < 2; i++) {
        w->lanes[i] = (lane){.worker = w, .slow = i == 1};
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&w->lock, NULL);
    *out = w;
    return AICP_OK;
}

aicp_status aicpa_worker_start(aicpa_worker *w, aicp_error *err) {
    for (size_t i = 0; i < 2; i++) {
        int rc = pthread_create(&w->lanes[i].thread, NULL, run, &w->lanes[i]);
        if (rc != 0) {
            return aicpi_fail(err, AICP_ERR_IO, "cannot start a thread: %s", strerror(rc));
        }
        w->lanes[i].running = true;
    }
    return AICP_OK;
}

void aicpa_worker_wake(aicpa_worker *w) {
    pthread_mutex_lock(&w->lock);
    w->lanes[0].woken = w->lanes[1].woken = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

bool aicpa_worker_is_stopping(aicpa_worker *w) {
    pthread_mutex_lock(&w->lock);
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

void aicpa_worker_stop(aicpa_worker *w) {
    if (!w) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < 2; i++) {
        if (w->lanes[i].running) {
            pthread_join(w->lanes[i].thread, NULL);
            w->lanes[i].running = false;
        }
    }
}

void aicpa_worker_free(aicpa_worker *w) {
    if (w) {
        aicpa_worker_stop(w);
        aicpi_sql_free(w->lanes[0].db);
        aicpi_sql_free(w->lanes[1].db);
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        aicpi_free(NULL, w);
    }
}
