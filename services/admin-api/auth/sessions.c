/* What was revoked. The store has it for all replicas; memory has a copy that is at most a second
 * old, so that a call need not ask the store. */
#include "services/admin-api/auth/auth.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/thread.h"

#define KNOWN_MAX ((size_t)1 << 20) /* most revocations kept in memory */

/* A copy of the store's tables; replaced as a whole. */
typedef struct revocations {
    aicpi_arena arena;  /* the keys */
    aicpi_map sessions; /* revoked session ids */
    aicpi_map users;    /* user -> sessions issued before this second are over */
} revocations;

struct aicpa_sessions {
    pthread_rwlock_t lock;
    revocations *known;
};

static revocations *revocations_new(void) {
    revocations *r = aicpi_calloc(NULL, 1, sizeof *r);
    if (r) {
        aicpi_arena_init(&r->arena, NULL, 0, 0);
        aicpi_map_init(&r->sessions, NULL);
        aicpi_map_init(&r->users, NULL);
    }
    return r;
}

static void revocations_free(revocations *r) {
    if (r) {
        aicpi_map_deinit(&r->sessions);
        aicpi_map_deinit(&r->users);
        aicpi_arena_deinit(&r->arena);
        aicpi_free(NULL, r);
    }
}

static bool put(revocations *r, aicpi_map *map, aicpi_slice key, int64_t value) {
    bool made = false;
    char *copy = aicpi_arena_strndup(&r->arena, key.data, key.len);
    aicpi_map_slot *slot = copy ? aicpi_map_put(map, copy, key.len, &made) : NULL;
    if (slot) {
        slot->value.u64 = (uint64_t)value;
    }
    return slot != NULL;
}

aicp_status aicpa_sessions_new(aicpa_sessions **out, aicp_error *err) {
    *out = NULL;
    aicpa_sessions *s = aicpi_calloc(NULL, 1, sizeof *s);
    revocations *known = revocations_new();
    if (!s || !known) {
        aicpi_free(NULL, s);
        revocations_free(known);
        return aicpi_nomem(err);
    }
    pthread_rwlock_init(&s->lock, NULL);
    s->known = known;
    *out = s;
    return AICP_OK;
}

void aicpa_sessions_free(aicpa_sessions *s) {
    if (s) {
        revocations_free(s->known);
        pthread_rwlock_destroy(&s->lock);
        aicpi_free(NULL, s);
    }
}

/* Reads (key, number) rows of `q` into `map`. */
static aicp_status read_rows(revocations *r, aicpi_map *map, aicpi_sql_stmt *q, aicp_error *err) {
    bool row = false;
    aicp_status status = AICP_OK;
    while ((status = aicpi_sql_step(q, &row, err)) == AICP_OK && row) {
        if (map->count >= KNOWN_MAX || !put(r, map, aicpi_sql_text(q, 0), aicpi_sql_i64(q, 1))) {
            aicpi_sql_reset(q);
            return aicpi_nomem(err);
        }
    }
    return status;
}

static aicp_status read_all(revocations *r, aicpi_sql *db, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db, "SELECT id, expires_s FROM admin_session_revoked WHERE expires_s > ?", &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, aicpa_wall_ns() / AICPI_SECOND_NS);
        status = read_rows(r, &r->sessions, q, err);
    }
    if (status == AICP_OK) {
        status = aicpi_sql_prepare(db, "SELECT user_id, before_s FROM admin_session_cut", &q, err);
    }
    return status == AICP_OK ? read_rows(r, &r->users, q, err) : status;
}

aicp_status aicpa_sessions_refresh(aicpa_sessions *s, aicpi_sql *db, aicp_error *err) {
    revocations *fresh = revocations_new();
    if (!fresh) {
        return aicpi_nomem(err);
    }
    /* The lock is held while reading, so that a revocation of this process that commits meanwhile
     * waits to be added to the copy that replaces this one. */
    pthread_rwlock_wrlock(&s->lock);
    aicp_status status = read_all(fresh, db, err);
    revocations *old = fresh;
    if (status == AICP_OK) {
        old = s->known;
        s->known = fresh;
    }
    pthread_rwlock_unlock(&s->lock);
    revocations_free(old);
    return status;
}

bool aicpa_session_is_live(aicpa_sessions *s, const aicpa_claims *c) {
    pthread_rwlock_rdlock(&s->lock);
    bool live = !aicpi_map_find(&s->known->sessions, c->who.session, strlen(c->who.session));
    const aicpi_map_slot *cut = aicpi_map_find(&s->known->users, c->who.id, strlen(c->who.id));
    live = live && (!cut || c->issued_s > (int64_t)cut->value.u64);
    pthread_rwlock_unlock(&s->lock);
    return live;
}

aicp_status aicpa_session_revoke(
    aicpa_sessions *s,
    aicpi_sql *db,
    const char *session,
    const char *user,
    int64_t expires_s,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "INSERT INTO admin_session_revoked (id, user_id, revoked_ns, expires_s)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_sql_bind_text(q, 1, session, strlen(session));
    aicpi_sql_bind_text(q, 2, user, strlen(user));
    aicpi_sql_bind_i64(q, 3, aicpa_wall_ns());
    aicpi_sql_bind_i64(q, 4, expires_s);
    status = aicpi_sql_run(q, err);
    if (status == AICP_OK) {
        pthread_rwlock_wrlock(&s->lock);
        bool kept = put(s->known, &s->known->sessions, aicpi_slice_cstr(session), expires_s);
        pthread_rwlock_unlock(&s->lock);
        status = kept ? AICP_OK : aicpi_nomem(err);
    }
    return status;
}

aicp_status aicpa_sessions_cut(aicpi_sql *db, const char *user, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "INSERT INTO admin_session_cut (user_id, before_s) VALUES (?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET before_s = CASE WHEN admin_session_cut.before_s"
        " < excluded.before_s THEN excluded.before_s ELSE admin_session_cut.before_s + 1 END",
        &q,
        err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, user, strlen(user));
        aicpi_sql_bind_i64(q, 2, aicpa_wall_ns() / AICPI_SECOND_NS);
        status = aicpi_sql_run(q, err);
    }
    return status;
}

aicp_status
aicpa_session_issue_time(aicpi_sql *db, const char *user, int64_t *issued_s, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    *issued_s = aicpa_wall_ns() / AICPI_SECOND_NS;
    aicp_status status =
        aicpi_sql_prepare(db, "SELECT before_s FROM admin_session_cut WHERE user_id = ?", &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, user, strlen(user));
        status = aicpi_sql_step(q, &row, err);
    }
    if (status == AICP_OK && row) {
        int64_t cut = aicpi_sql_i64(q, 0);
        *issued_s = *issued_s > cut ? *issued_s : cut + 1;
        aicpi_sql_reset(q);
    }
    return status;
}
