/* Sessions: a login gives a signed token (HS256 JWT); each call presents it. What a token says is
 * believed until it expires, is revoked, or its user's rights change. */
#ifndef AICPA_AUTH_AUTH_H
#define AICPA_AUTH_AUTH_H

#include "services/admin-api/admin.h"

/* ---- token.c ---- */

#define AICPA_TOKEN_ISSUER "aicp-admin-api"
#define AICPA_TOKEN_MAX 8192 /* bytes of a token that is looked at */

typedef struct aicpa_claims {
    aicps_identity who; /* who.session is the jti */
    int64_t issued_s;   /* seconds since 1970 */
    int64_t expires_s;
} aicpa_claims;

/* Appends the token. */
void aicpa_token_sign(const char *secret, const aicpa_claims *claims, aicpi_strbuf *out);
/* Signature by `secret` or `previous` (may be NULL), algorithm, issuer, times and all claims are
 * checked. Texts live in `arena`. ERR_TIMEOUT: expired; ERR_INVALID: everything else. */
aicp_status aicpa_token_verify(
    const char *secret,
    const char *previous,
    aicpi_slice token,
    int64_t now_s,
    aicpi_arena *arena,
    aicpa_claims *out,
    aicp_error *err);

/* Neither expired nor issued later than now. */
bool aicpa_token_times_hold(const aicpa_claims *claims, int64_t now_s);

/* ---- known.c: tokens that were verified; from several threads ---- */

aicp_status aicpa_known_new(aicpa_known **out, aicp_error *err);
void aicpa_known_free(aicpa_known *known);
/* The claims of a token that was added and whose times hold; texts live in `arena`. */
bool aicpa_known_find(
    aicpa_known *known, aicpi_slice token, int64_t now_s, aicpi_arena *arena, aicpa_claims *out);
void aicpa_known_add(aicpa_known *known, aicpi_slice token, const aicpa_claims *claims);

/* ---- sessions.c: what was revoked, known in memory, shared by the store ---- */

aicp_status aicpa_sessions_new(aicpa_sessions **out, aicp_error *err);
void aicpa_sessions_free(aicpa_sessions *sessions);
/* Reads what other replicas revoked; called by the background thread every second. */
aicp_status aicpa_sessions_refresh(aicpa_sessions *sessions, aicpi_sql *db, aicp_error *err);
bool aicpa_session_is_live(aicpa_sessions *sessions, const aicpa_claims *claims);
/* Ends one session. */
aicp_status aicpa_session_revoke(
    aicpa_sessions *sessions,
    aicpi_sql *db,
    const char *session,
    const char *user,
    int64_t expires_s,
    aicp_error *err);
/* Ends every session of a user that began until now: his rights have changed. Inside a transaction.
 */
aicp_status aicpa_sessions_cut(aicpi_sql *db, const char *user, aicp_error *err);
/* When a session that begins now was issued: after the last cut, even when that was this second. */
aicp_status
aicpa_session_issue_time(aicpi_sql *db, const char *user, int64_t *issued_s, aicp_error *err);

/* ---- identify.c: hooks of the api ---- */

bool aicpa_authenticate(aicps_call *call, const aicps_identity **who);
/* Rights of a user of ours, by id or e-mail, from the store. ERR_NOT_FOUND: not known, inactive. */
aicp_status aicpa_identity_load(
    aicps_call *call, const char *user, const char *email, aicps_identity *out, aicp_error *err);

/* ---- access.c: the platform's own Cedar policies ---- */

aicp_status aicpa_access_new(const char *file, aicpa_access **out, aicp_error *err);
/* Once all routes are known: makes the entities of actions and types. */
aicp_status aicpa_access_bind(aicpa_access *access, const aicps_api *api, aicp_error *err);
void aicpa_access_free(aicpa_access *access);
bool aicpa_authorise(
    aicps_call *call, const char *action, const char *resource_type, struct json_object *row);

/* ---- throttle.c ---- */

aicp_status aicpa_throttle_new(int64_t requests_per_minute, aicpa_throttle **out, aicp_error *err);
void aicpa_throttle_free(aicpa_throttle *throttle);
bool aicpa_throttle_call(aicps_call *call);
/* Failed logins of an address: at most 5 at once, then one every 12 seconds. */
bool aicpa_throttle_login_allowed(aicps_call *call);
void aicpa_throttle_login_failed(aicps_call *call);

#endif
