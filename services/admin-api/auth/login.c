/* Login with an API key, logout, and what a caller may do. */
#include "services/admin-api/auth/auth.h"
#include "services/admin-api/list.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

static const aicps_field login_fields[] = {
    {.name = "api_key",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED,
     .min = 1,
     .max = 4096,
     .doc = "LiteLLM's master key, or the key of a proxy admin or of a member of an organization"},
};

static const char *text_in(struct json_object *o, const char *name) {
    struct json_object *v = NULL;
    return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
               ? json_object_get_string(v)
               : NULL;
}

/* ---- the answer ---- */

static aicp_status audit_login(aicps_call *call, const aicps_identity *who, const char *outcome) {
    aicps_audit_entry entry = {
        .action = "login",
        .resource_type = "session",
        .resource_id = who->session ? who->session : "",
        .resource_name = who->id,
        .outcome = outcome,
    };
    const aicps_identity *before = call->who;
    call->who = who;
    aicp_status status = aicps_audit_write(call, &entry, NULL);
    call->who = before;
    return status;
}

static void send_token(aicps_call *call, const aicps_identity *who) {
    const aicpa_settings *settings = aicpa_of(call)->settings;
    unsigned char random[16];
    char session[33];
    aicpi_random(random, sizeof random);
    aicpi_hex_encode(random, sizeof random, session);
    aicpa_claims claims = {.who = *who};
    claims.who.session = session;
    aicp_error err = {0};
    aicp_status status = aicpa_session_issue_time(call->db, who->id, &claims.issued_s, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    claims.expires_s = claims.issued_s + settings->session_ms / 1000;
    aicpi_strbuf token;
    aicpi_strbuf_init(&token, NULL, AICPA_TOKEN_MAX);
    aicpa_token_sign(settings->jwt_secret, &claims, &token);
    if (token.failed || audit_login(call, &claims.who, NULL) != AICP_OK) {
        aicpi_strbuf_deinit(&token);
        aicps_send_error(call, 503, "unavailable", "the login could not be recorded");
        return;
    }
    char expires[40];
    aicpi_time_format(claims.expires_s * AICPI_SECOND_NS, expires);
    struct json_object *answer = json_object_new_object();
    json_object_object_add(
        answer, "access_token", json_object_new_string_len(token.data, (int)token.len));
    json_object_object_add(answer, "token_type", json_object_new_string("bearer"));
    json_object_object_add(
        answer, "expires_in", json_object_new_int64(claims.expires_s - claims.issued_s));
    json_object_object_add(answer, "expires_at", json_object_new_string(expires));
    aicpi_strbuf_deinit(&token);
    (void)aicps_http_add_header(call->res, "Cache-Control", "no-store");
    aicps_send_json(call, 200, answer);
}

static void refuse(aicps_call *call, int32_t status, const char *why) {
    aicps_identity nobody = {.id = "anonymous", .role = "user"};
    aicpa_throttle_login_failed(call);
    (void)audit_login(call, &nobody, "failure");
    if (status == 401) {
        (void)aicps_http_add_header(call->res, "WWW-Authenticate", "Bearer");
    }
    aicps_send_error(call, status, status == 401 ? "unauthenticated" : "forbidden", "%s", why);
}

/* ---- keys of LiteLLM ---- */

static bool has_role(aicp_litellm *litellm, const char *user, const char *role) {
    aicp_litellm_reply *reply = NULL;
    aicpi_strbuf path;
    aicpi_strbuf_init(&path, NULL, 1024);
    aicpi_strbuf_puts(&path, "/user/info?user_id=");
    for (const char *p = user; *p; p++) {
        aicpi_strbuf_printf(&path, aicpi_is_alnum(*p) ? "%c" : "%%%02X", (unsigned char)*p);
    }
    bool found = false;
    if (!path.failed && aicp_litellm_reply_new(NULL, &reply, NULL) == AICP_OK &&
        aicp_litellm_call(litellm, "GET", path.data, NULL, 0, reply, NULL) == AICP_OK) {
        size_t len = 0;
        const char *body = aicp_litellm_reply_body(reply, &len);
        struct json_object *o = len ? json_tokener_parse(body) : NULL;
        struct json_object *info = NULL;
        const char *is = o && json_object_object_get_ex(o, "user_info", &info)
                             ? text_in(info, "user_role")
                             : NULL;
        found = is && strcmp(is, role) == 0;
        json_object_put(o);
    }
    aicp_litellm_reply_free(reply);
    aicpi_strbuf_deinit(&path);
    return found;
}

/* Rights come from LiteLLM's own role or from our store, never from a key's metadata, which whoever
 * may make keys can write. */
static void login_user(aicps_call *call, struct json_object *info) {
    aicps_identity who = {0};
    const char *user = text_in(info, "user_id");
    aicp_error err = {0};
    aicp_status status =
        user && *user ? aicpa_identity_load(call, user, text_in(info, "user_email"), &who, &err)
                      : AICP_ERR_NOT_FOUND;
    if (status != AICP_OK && status != AICP_ERR_NOT_FOUND) {
        aicps_send_status(call, status, &err);
        return;
    }
    if (status == AICP_ERR_NOT_FOUND) {
        who.id = user;
        who.role = "user";
    }
    if (user && *user && has_role(aicpa_of(call)->litellm, user, "proxy_admin")) {
        who.platform_admin = true;
        who.role = "admin";
    }
    who.team = text_in(info, "team_id");
    if (!who.platform_admin && who.org_role_count == 0) {
        refuse(call, 403, "Admin access required. Use the master API key or an admin key.");
        return;
    }
    send_token(call, &who);
}

static void login_key(aicps_call *call, const char *key) {
    aicp_litellm *litellm = aicpa_of(call)->litellm;
    aicp_litellm_reply *reply = NULL;
    aicp_error err = {0};
    if (!litellm) {
        refuse(call, 401, "Invalid API key");
        return;
    }
    aicp_status status = aicp_litellm_reply_new(NULL, &reply, &err);
    status = status ? status : aicp_litellm_key_info(litellm, key, strlen(key), reply, &err);
    size_t len = 0;
    const char *body = status == AICP_OK ? aicp_litellm_reply_body(reply, &len) : NULL;
    struct json_object *o = len ? json_tokener_parse(body) : NULL;
    struct json_object *info = NULL;
    if (status == AICP_ERR_LITELLM_AUTH || status == AICP_ERR_LITELLM_REQUEST ||
        status == AICP_ERR_NOT_FOUND) {
        refuse(call, 401, "Invalid API key");
    } else if (status == AICP_ERR_LITELLM_SERVER) {
        aicps_send_error(call, 502, "bad_gateway", "LiteLLM failed: %s", err.message);
    } else if (status != AICP_OK) {
        aicps_send_error(call, 503, "unavailable", "LiteLLM cannot be reached: %s", err.message);
    } else if (!o || !json_object_object_get_ex(o, "info", &info)) {
        aicps_send_error(call, 502, "bad_gateway", "LiteLLM's answer was not understood");
    } else {
        login_user(call, info);
    }
    json_object_put(o);
    aicp_litellm_reply_free(reply);
}

static void login(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    const char *key = text_in(body, "api_key");
    const char *master = aicpa_of(call)->settings->master_key;
    unsigned char a[AICPI_SHA256_SIZE];
    unsigned char b[AICPI_SHA256_SIZE];
    aicpi_sha256(key, strlen(key), a);
    aicpi_sha256(master, strlen(master), b);
    if (!aicpa_throttle_login_allowed(call)) {
        json_object_put(body);
        return;
    }
    if (*master && aicpi_equal_secret(a, b, sizeof a)) {
        aicps_identity admin = {.id = "admin", .role = "admin", .platform_admin = true};
        send_token(call, &admin);
    } else {
        login_key(call, key);
    }
    json_object_put(body);
}

/* ---- sessions ---- */

static void logout(aicps_call *call) {
    const aicpa_admin *admin = aicpa_of(call);
    aicp_error err = {0};
    aicps_audit_entry entry = {
        .action = "logout",
        .resource_type = "session",
        .resource_id = call->who->session,
        .resource_name = call->who->id,
    };
    int64_t expires_s = aicpa_wall_ns() / AICPI_SECOND_NS + admin->settings->session_ms / 1000 + 60;
    aicp_status status = aicps_audit_write(call, &entry, &err);
    status =
        status ? status
               : aicpa_session_revoke(
                     admin->sessions, call->db, call->who->session, call->who->id, expires_s, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    struct json_object *answer = json_object_new_object();
    json_object_object_add(answer, "status", json_object_new_string("ok"));
    aicps_send_json(call, 200, answer);
}

static void add_text(struct json_object *o, const char *name, const char *value) {
    json_object_object_add(o, name, value ? json_object_new_string(value) : NULL);
}

static struct json_object *describe(const aicps_identity *who) {
    struct json_object *o = json_object_new_object();
    struct json_object *roles = json_object_new_object();
    add_text(o, "user_id", who->id);
    add_text(o, "role", who->role);
    add_text(o, "team_id", who->team);
    json_object_object_add(o, "is_admin", json_object_new_boolean(strcmp(who->role, "admin") == 0));
    add_text(o, "email", who->email);
    add_text(o, "org_id", who->org);
    json_object_object_add(o, "is_platform_admin", json_object_new_boolean(who->platform_admin));
    for (size_t i = 0; i < who->org_role_count; i++) {
        add_text(roles, who->org_roles[i].org, who->org_roles[i].role);
    }
    json_object_object_add(o, "org_roles", roles);
    return o;
}

static void me(aicps_call *call) {
    aicps_send_json(call, 200, describe(call->who));
}

/* Every (type, action) of the routes that the policies allow; before an object is known, so an item
 * may still be refused for its organization. */
static void permissions(aicps_call *call) {
    struct json_object *o = describe(call->who);
    struct json_object *types = json_object_new_object();
    const aicps_route *const *routes = NULL;
    size_t count = aicps_api_routes(call->api, &routes);
    for (size_t i = 0; i < count; i++) {
        const aicps_route *r = routes[i];
        if (!r->action || !r->resource_type || (r->flags & (AICPS_PUBLIC | AICPS_SERVICE))) {
            continue;
        }
        struct json_object *actions = NULL;
        if (!json_object_object_get_ex(types, r->resource_type, &actions)) {
            actions = json_object_new_array();
            json_object_object_add(types, r->resource_type, actions);
        }
        bool known = false;
        for (size_t k = 0; k < json_object_array_length(actions) && !known; k++) {
            known =
                strcmp(json_object_get_string(json_object_array_get_idx(actions, k)), r->action) ==
                0;
        }
        if (!known && aicpa_authorise(call, r->action, r->resource_type, NULL)) {
            json_object_array_add(actions, json_object_new_string(r->action));
        }
    }
    json_object_object_add(o, "permissions", types);
    aicps_send_json(call, 200, o);
}

#define TOKEN                                                                                      \
    "{\"type\":\"object\",\"required\":[\"access_token\",\"token_type\",\"expires_in\","           \
    "\"expires_at\"],\"properties\":{\"access_token\":{\"type\":\"string\"},"                      \
    "\"token_type\":{\"type\":\"string\"},\"expires_in\":{\"type\":\"integer\"},"                  \
    "\"expires_at\":{\"type\":\"string\",\"format\":\"date-time\"}}}"
#define ME                                                                                         \
    "{\"type\":\"object\",\"required\":[\"user_id\",\"role\",\"is_admin\","                        \
    "\"is_platform_admin\",\"org_roles\"]}"

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/auth/login",
     .handler = login,
     .flags = AICPS_PUBLIC | AICPS_DRAINING,
     .summary = "Give a session for an API key",
     .response_schema = TOKEN,
     .body = login_fields,
     .body_count = 1},
    {.method = "POST",
     .pattern = "/auth/logout",
     .handler = logout,
     .flags = AICPS_NO_BODY,
     .action = "delete",
     .resource_type = "session",
     .summary = "End this session",
     .response_schema = "{\"type\":\"object\"}"},
    {.method = "GET",
     .pattern = "/auth/me",
     .handler = me,
     .flags = AICPS_NO_STORE,
     .action = "get",
     .resource_type = "session",
     .summary = "Who this session is",
     .response_schema = ME},
    {.method = "GET",
     .pattern = "/api/v1/auth/me",
     .handler = me,
     .flags = AICPS_NO_STORE,
     .action = "get",
     .resource_type = "session",
     .summary = "Who this session is",
     .response_schema = ME},
    {.method = "GET",
     .pattern = "/api/v1/me/permissions",
     .handler = permissions,
     .flags = AICPS_NO_STORE,
     .action = "get",
     .resource_type = "permission",
     .summary = "What this session may do",
     .response_schema = ME},
};

aicp_status aicpa_auth_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
