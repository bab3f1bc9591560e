/* Tokens whose signature held: a session presents the same one with every call, and checking it
 * costs more than most answers. A place for each of the latest; what shares a place replaces. */
#include "services/admin-api/auth/auth.h"

#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/thread.h"

#define PLACES 1024 /* a power of two */

typedef struct place {
    uint64_t hash;
    aicpi_slice token; /* no data: free */
    aicpa_claims claims;
    aicpi_arena arena; /* all of it */
} place;

struct aicpa_known {
    pthread_mutex_t lock;
    uint64_t seed;
    place places[PLACES];
};

aicp_status aicpa_known_new(aicpa_known **out, aicp_error *err) {
    aicpa_known *k = *out = aicpi_calloc(NULL, 1, sizeof *k);
    if (!k) {
        return aicpi_nomem(err);
    }
    k->seed = aicpi_hash_seed();
    pthread_mutex_init(&k->lock, NULL);
    for (size_t i = 0; i < PLACES; i++) {
        aicpi_arena_init(&k->places[i].arena, NULL, 1024, 0);
    }
    return AICP_OK;
}

static void empty(place *p) {
    if (p->token.data) {
        aicpi_wipe((char *)(uintptr_t)p->token.data, p->token.len); /* the arena's */
    }
    p->token = aicpi_slice_of(NULL, 0);
    aicpi_arena_reset(&p->arena);
}

void aicpa_known_free(aicpa_known *k) {
    if (k) {
        for (size_t i = 0; i < PLACES; i++) {
            empty(&k->places[i]);
            aicpi_arena_deinit(&k->places[i].arena);
        }
        pthread_mutex_destroy(&k->lock);
        aicpi_free(NULL, k);
    }
}

static bool copy_text(aicpi_arena *arena, const char **text) {
    *text = *text ? aicpi_arena_strndup(arena, *text, strlen(*text)) : NULL;
    return *text != NULL;
}

/* Makes what `c` points to the arena's own. */
static bool own(aicpi_arena *arena, aicpa_claims *c) {
    aicps_identity *who = &c->who;
    const char **texts[] = {
        &who->id, &who->session, &who->role, &who->email, &who->team, &who->org};
    bool ok = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ok = (!*texts[i] || copy_text(arena, texts[i])) && ok;
    }
    aicps_org_role *roles = aicpi_arena_calloc(arena, who->org_role_count + 1, sizeof *roles);
    for (size_t i = 0; roles && i < who->org_role_count; i++) {
        roles[i] = who->org_roles[i];
        ok = copy_text(arena, &roles[i].org) && copy_text(arena, &roles[i].role) && ok;
    }
    who->org_roles = roles;
    return ok && roles;
}

bool aicpa_known_find(
    aicpa_known *k, aicpi_slice token, int64_t now_s, aicpi_arena *arena, aicpa_claims *out) {
    uint64_t hash = aicpi_hash(k->seed, token.data, token.len);
    const place *p = &k->places[hash & (PLACES - 1)];
    pthread_mutex_lock(&k->lock);
    bool found = p->token.data && p->hash == hash && p->token.len == token.len &&
                 aicpi_equal_secret(p->token.data, token.data, token.len);
    if (found) {
        *out = p->claims;
        found = aicpa_token_times_hold(out, now_s) && own(arena, out);
    }
    pthread_mutex_unlock(&k->lock);
    return found;
}

void aicpa_known_add(aicpa_known *k, aicpi_slice token, const aicpa_claims *claims) {
    uint64_t hash = aicpi_hash(k->seed, token.data, token.len);
    place *p = &k->places[hash & (PLACES - 1)];
    pthread_mutex_lock(&k->lock);
    empty(p);
    p->hash = hash;
    p->claims = *claims;
    const char *copy = aicpi_arena_strndup(&p->arena, token.data, token.len);
    if (copy && own(&p->arena, &p->claims)) {
        p->token = aicpi_slice_of(copy, token.len);
    }
    pthread_mutex_unlock(&k->lock);
}
