/* Who calls: a session's token, or a service's key. */
#include "services/admin-api/auth/auth.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"

#include <strings.h>

#define BEARER "Bearer "

static const aicps_identity service = {.id = "service", .role = "service"};

static aicpi_slice bearer(const aicps_call *call) {
    aicpi_slice header = aicps_http_header(call->req, "authorization");
    size_t n = sizeof BEARER - 1;
    bool is = header.len > n && strncasecmp(header.data, BEARER, n) == 0;
    return is ? aicpi_slice_of(header.data + n, header.len - n) : aicpi_slice_of(NULL, 0);
}

static bool refuse(aicps_call *call, const char *why) {
    (void)aicps_http_add_header(call->res, "WWW-Authenticate", "Bearer");
    aicps_send_error(call, 401, "unauthenticated", "%s", why);
    return false;
}

/* Compares hashes, so that neither length nor content of a key shows in the time taken. */
static bool same_secret(const char *secret, aicpi_slice given) {
    unsigned char a[AICPI_SHA256_SIZE];
    unsigned char b[AICPI_SHA256_SIZE];
    aicpi_sha256(secret, strlen(secret), a);
    aicpi_sha256(given.data, given.len, b);
    return aicpi_equal_secret(a, b, sizeof a);
}

static bool is_service(const aicps_call *call) {
    aicpi_slice key = aicps_http_header(call->req, "x-service-key");
    key = key.len ? key : aicps_http_header(call->req, "x-api-key");
    key = key.len ? key : bearer(call);
    bool found = false;
    const char *const *keys = aicpa_of(call)->settings->service_keys;
    for (; key.len > 0 && keys && *keys; keys++) {
        found |= **keys && same_secret(*keys, key);
    }
    return found;
}

bool aicpa_authenticate(aicps_call *call, const aicps_identity **who) {
    *who = NULL;
    if (call->route->flags & AICPS_SERVICE) {
        if (!is_service(call)) {
            return refuse(call, "a service key is needed: header X-Service-Key");
        }
        *who = &service;
        return true;
    }
    aicpi_slice token = bearer(call);
    if (token.len == 0) {
        return (call->route->flags & AICPS_PUBLIC) != 0 || refuse(call, "Not authenticated");
    }
    const aicpa_admin *admin = aicpa_of(call);
    aicpa_claims *claims = aicpi_arena_calloc(call->arena, 1, sizeof *claims);
    aicp_error err = {0};
    int64_t now_s = aicpa_wall_ns() / AICPI_SECOND_NS;
    if (!claims) {
        aicps_send_status(call, AICP_ERR_NOMEM, NULL);
        return false;
    }
    if (!aicpa_known_find(admin->known, token, now_s, call->arena, claims)) {
        aicp_status status = aicpa_token_verify(
            admin->settings->jwt_secret,
            admin->settings->jwt_secret_previous,
            token,
            now_s,
            call->arena,
            claims,
            &err);
        if (status != AICP_OK) {
            return refuse(call, err.message);
        }
        aicpa_known_add(admin->known, token, claims);
    }
    if (!aicpa_session_is_live(admin->sessions, claims)) {
        return refuse(call, "Session has ended");
    }
    *who = &claims->who;
    return true;
}

/* ---- rights of a user of ours ---- */

static const char *column(aicps_call *call, aicpi_sql_stmt *q, int32_t index) {
    aicpi_slice text = aicpi_sql_text(q, index);
    return aicpi_sql_is_null(q, index) ? NULL
                                       : aicpi_arena_strndup(call->arena, text.data, text.len);
}

static aicp_status load_user(
    aicps_call *call, const char *user, const char *email, aicps_identity *out, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        call->db,
        "SELECT id, email, is_platform_admin FROM admin_user WHERE is_active = 1"
        " AND (id = ? OR external_id = ? OR email = ?) ORDER BY id LIMIT 1",
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    bool row = false;
    aicpi_sql_bind_text(q, 1, user, strlen(user));
    aicpi_sql_bind_text(q, 2, user, strlen(user));
    aicpi_sql_bind_text(q, 3, email ? email : "", email ? strlen(email) : 0);
    status = aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && !row) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "user %s is not known", user);
    }
    if (status == AICP_OK) {
        out->id = column(call, q, 0);
        out->email = column(call, q, 1);
        out->platform_admin = aicpi_sql_i64(q, 2) != 0;
        out->role = out->platform_admin ? "admin" : "user";
        aicpi_sql_reset(q);
    }
    return status;
}

static aicp_status load_roles(aicps_call *call, aicps_identity *out, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        call->db,
        "SELECT m.org_id, m.role FROM admin_membership m JOIN admin_organization o"
        " ON o.id = m.org_id WHERE m.user_id = ? AND o.is_active = 1 ORDER BY m.org_id",
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicps_org_role *roles = NULL;
    size_t count = 0;
    size_t capacity = 0;
    bool row = false;
    aicpi_sql_bind_text(q, 1, out->id, strlen(out->id));
    while ((status = aicpi_sql_step(q, &row, err)) == AICP_OK && row) {
        if (!aicpi_arena_grow(call->arena, (void **)&roles, &capacity, count, sizeof *roles)) {
            aicpi_sql_reset(q);
            return aicpi_nomem(err);
        }
        roles[count].org = column(call, q, 0);
        roles[count].role = column(call, q, 1);
        count++;
    }
    out->org_roles = roles;
    out->org_role_count = count;
    out->org = count == 1 ? roles[0].org : NULL;
    return status;
}

aicp_status aicpa_identity_load(
    aicps_call *call, const char *user, const char *email, aicps_identity *out, aicp_error *err) {
    memset(out, 0, sizeof *out);
    aicp_status status = load_user(call, user, email, out, err);
    return status == AICP_OK ? load_roles(call, out, err) : status;
}
