#include "services/admin-api/proxy/governed.h"

#include "services/admin-api/gates/gates.h"

#include "lib/base/error.h"
#include "lib/base/hash.h"

#include <pthread.h>

typedef struct waiting {
    struct waiting *next; /* in its bucket */
    aicp_gate_decision *decision;
    uint64_t until_ns;
    size_t id_len;
    char id[];
} waiting;

#define BUCKETS 4096

struct aicpa_governed {
    aicp_gate *gate;
    pthread_mutex_t lock;
    waiting *buckets[BUCKETS];
    size_t count;
    uint64_t seed;
};

aicp_status aicpa_governed_new(aicpa_admin *admin, aicpa_governed **out, aicp_error *err) {
    *out = NULL;
    aicpa_governed *g = aicpi_calloc(NULL, 1, sizeof *g);
    if (!g) {
        return aicpi_nomem(err);
    }
    const aicpa_settings *s = admin->settings;
    aicp_gate_options options;
    aicp_gate_options_init(&options, sizeof options);
    options.flags = AICP_GATE_BACKGROUND;
    options.store_url = s->store_url ? s->store_url : s->database_url;
    options.node = "admin-api";
    options.log = aicps_process_log_fn(admin->process, &options.log_user);
    g->seed = aicpi_hash_seed();
    pthread_mutex_init(&g->lock, NULL);
    aicp_status status = aicp_gate_open(&options, &g->gate, err);
    if (status != AICP_OK) {
        aicpa_governed_free(g);
        return status;
    }
    *out = g;
    return AICP_OK;
}

static void drop(waiting *w) {
    aicp_gate_decision_free(w->decision);
    aicpi_free(NULL, w);
}

void aicpa_governed_free(aicpa_governed *g) {
    if (!g) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (waiting *w = g->buckets[i], *next = NULL; w; w = next) {
            next = w->next;
            drop(w);
        }
    }
    aicp_gate_free(g->gate);
    pthread_mutex_destroy(&g->lock);
    aicpi_free(NULL, g);
}

aicp_gate *aicpa_governed_gate(aicpa_governed *g) {
    return g->gate;
}

aicp_status aicpa_governed_load(aicpa_governed *g, const char *folder, aicp_error *err) {
    aicp_bundle *bundle = NULL;
    aicp_status status = aicp_bundle_open(folder, NULL, &bundle, err);
    status = status ? status : aicp_gate_load(g->gate, bundle, err);
    aicp_bundle_free(bundle);
    return status;
}

/* ---- decisions that wait ---- */

static waiting **bucket_of(aicpa_governed *g, aicpi_slice id) {
    return &g->buckets[aicpi_hash(g->seed, id.data, id.len) % BUCKETS];
}

/* Out of the map; the lock is held. */
static waiting *unlink_of(aicpa_governed *g, aicpi_slice id) {
    for (waiting **at = bucket_of(g, id); *at; at = &(*at)->next) {
        waiting *w = *at;
        if (w->id_len == id.len && memcmp(w->id, id.data, id.len) == 0) {
            *at = w->next;
            g->count--;
            return w;
        }
    }
    return NULL;
}

bool aicpa_governed_keep(aicpa_governed *g, aicpi_slice id, aicp_gate_decision *decision) {
    waiting *w = aicpi_alloc(NULL, sizeof *w + id.len + 1);
    waiting *old = NULL;
    bool room = false;
    if (w) {
        *w = (waiting){NULL, decision, aicpa_monotonic_ns() + (uint64_t)AICPA_WAITING_NS, id.len};
        memcpy(w->id, id.data, id.len);
        pthread_mutex_lock(&g->lock);
        old = unlink_of(g, id);
        room = g->count < AICPA_WAITING_MAX;
        if (room) {
            waiting **at = bucket_of(g, id);
            w->next = *at;
            *at = w;
            g->count++;
        }
        pthread_mutex_unlock(&g->lock);
    }
    if (old) {
        drop(old);
    }
    if (!room) {
        aicp_gate_decision_free(decision);
        aicpi_free(NULL, w);
    }
    return room;
}

aicp_gate_decision *aicpa_governed_take(aicpa_governed *g, aicpi_slice id) {
    pthread_mutex_lock(&g->lock);
    waiting *w = unlink_of(g, id);
    pthread_mutex_unlock(&g->lock);
    aicp_gate_decision *decision = w ? w->decision : NULL;
    aicpi_free(NULL, w);
    return decision;
}

/* ---- tending ---- */

static waiting *take_late(aicpa_governed *g, uint64_t now) {
    waiting *late = NULL;
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (waiting **at = &g->buckets[i]; *at;) {
            waiting *w = *at;
            if (w->until_ns > now) {
                at = &w->next;
                continue;
            }
            *at = w->next;
            w->next = late;
            late = w;
            g->count--;
        }
    }
    pthread_mutex_unlock(&g->lock);
    return late;
}

aicp_status aicpa_governed_tend(aicpa_admin *admin, aicpi_sql *db, aicp_error *err) {
    aicpa_governed *g = admin->governed;
    for (waiting *w = take_late(g, aicpa_monotonic_ns()), *next = NULL; w; w = next) {
        next = w->next;
        drop(w);
    }
    aicp_buf lines = {0};
    aicp_status status = aicp_gate_events(g->gate, &lines, err);
    status = status ? status : aicpa_events_store(db, lines.data, lines.len, err);
    aicp_buf_free(&lines);
    return status;
}
