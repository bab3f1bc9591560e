/* HS256 JSON Web Tokens (RFC 7515, 7519), strict: one algorithm, one form. */
#include "services/admin-api/auth/auth.h"

#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define LEEWAY_S 30
#define ORG_ROLES_MAX 256

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_base64url(aicpi_strbuf *out, const unsigned char *data, size_t len) {
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t word = (uint32_t)data[i] << 16;
        word |= n > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        word |= n > 2 ? data[i + 2] : 0;
        for (size_t k = 0; k <= n; k++) {
            aicpi_strbuf_putc(out, alphabet[(word >> (18 - 6 * k)) & 63]);
        }
    }
}

/* False on anything but the one canonical encoding. */
static bool get_base64url(aicpi_slice text, unsigned char *out, size_t *len) {
    uint32_t word = 0;
    uint32_t bits = 0;
    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;
        if (!at) {
            return false;
        }
        word = word << 6 | (uint32_t)(at - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[(*len)++] = (unsigned char)(word >> bits);
        }
    }
    return text.len % 4 != 1 && (word & ((1u << bits) - 1)) == 0;
}

static void put_field(aicpi_strbuf *b, const char *name, const char *value) {
    if (value) {
        aicpi_strbuf_printf(b, ",\"%s\":", name);
        aicpi_strbuf_json(b, value, strlen(value));
    }
}

static void put_claims(aicpi_strbuf *b, const aicpa_claims *c) {
    const aicps_identity *who = &c->who;
    aicpi_strbuf_puts(b, "{\"iss\":\"" AICPA_TOKEN_ISSUER "\"");
    put_field(b, "sub", who->id);
    put_field(b, "jti", who->session);
    put_field(b, "role", who->role);
    put_field(b, "email", who->email);
    put_field(b, "team_id", who->team);
    put_field(b, "org_id", who->org);
    const char *admin = strcmp(who->role, "admin") == 0 ? "true" : "false";
    aicpi_strbuf_printf(b, ",\"is_admin\":%s", admin);
    aicpi_strbuf_printf(b, ",\"is_platform_admin\":%s", who->platform_admin ? "true" : "false");
    aicpi_strbuf_puts(b, ",\"org_roles\":{");
    for (size_t i = 0; i < who->org_role_count; i++) {
        aicpi_strbuf_puts(b, i ? "," : "");
        aicpi_strbuf_json(b, who->org_roles[i].org, strlen(who->org_roles[i].org));
        aicpi_strbuf_putc(b, ':');
        aicpi_strbuf_json(b, who->org_roles[i].role, strlen(who->org_roles[i].role));
    }
    aicpi_strbuf_printf(
        b, "},\"iat\":%lld,\"exp\":%lld}", (long long)c->issued_s, (long long)c->expires_s);
}

static void put_signature(const char *secret, aicpi_slice signed_part, aicpi_strbuf *out) {
    unsigned char mac[32];
    aicpi_hmac_sha256(
        (const unsigned char *)secret, strlen(secret), signed_part.data, signed_part.len, mac);
    put_base64url(out, mac, sizeof mac);
}

void aicpa_token_sign(const char *secret, const aicpa_claims *claims, aicpi_strbuf *out) {
    aicpi_strbuf body;
    aicpi_strbuf_init(&body, &out->allocator, AICPA_TOKEN_MAX);
    put_claims(&body, claims);
    size_t start = out->len;
    put_base64url(out, (const unsigned char *)HEADER, sizeof HEADER - 1);
    aicpi_strbuf_putc(out, '.');
    put_base64url(out, (const unsigned char *)body.data, body.len);
    out->failed |= body.failed;
    if (!out->failed) {
        aicpi_strbuf mac;
        aicpi_strbuf_init(&mac, &out->allocator, 64);
        put_signature(secret, aicpi_slice_of(out->data + start, out->len - start), &mac);
        out->failed |= mac.failed;
        aicpi_strbuf_putc(out, '.');
        aicpi_strbuf_append(out, mac.data, mac.len);
        aicpi_strbuf_deinit(&mac);
    }
    aicpi_strbuf_deinit(&body);
}

static bool signed_by(const char *secret, aicpi_slice signed_part, const unsigned char mac[32]) {
    if (!secret || !*secret) {
        return false;
    }
    unsigned char own[32];
    aicpi_hmac_sha256(
        (const unsigned char *)secret, strlen(secret), signed_part.data, signed_part.len, own);
    return aicpi_equal_secret(own, mac, sizeof own);
}

static aicp_status bad(aicp_error *err) {
    return aicpi_fail(err, AICP_ERR_INVALID, "Invalid token");
}

/* The JSON object in one part of the token; NULL when it is none. */
static struct json_object *read_part(aicpi_slice part, aicpi_arena *arena) {
    unsigned char *data = aicpi_arena_alloc(arena, part.len + 1);
    size_t len = 0;
    if (!data || !get_base64url(part, data, &len) || memchr(data, 0, len)) {
        return NULL;
    }
    data[len] = 0;
    struct json_tokener *tokener = json_tokener_new_ex(8);
    if (!tokener) {
        return NULL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *o = json_tokener_parse_ex(tokener, (const char *)data, (int)len + 1);
    bool ok = json_tokener_get_error(tokener) == json_tokener_success &&
              json_object_is_type(o, json_type_object);
    json_tokener_free(tokener);
    if (!ok) {
        json_object_put(o);
        return NULL;
    }
    return o;
}

static const char *text_of(struct json_object *o, const char *name, aicpi_arena *arena) {
    struct json_object *v = NULL;
    if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_string)) {
        return NULL;
    }
    return aicpi_arena_strndup(
        arena, json_object_get_string(v), (size_t)json_object_get_string_len(v));
}

static int64_t seconds_of(struct json_object *o, const char *name) {
    struct json_object *v = NULL;
    return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_int)
               ? json_object_get_int64(v)
               : -1;
}

static bool read_org_roles(struct json_object *o, aicpi_arena *arena, aicps_identity *who) {
    struct json_object *map = NULL;
    if (!json_object_object_get_ex(o, "org_roles", &map) ||
        !json_object_is_type(map, json_type_object)) {
        return true;
    }
    size_t count = (size_t)json_object_object_length(map);
    aicps_org_role *roles = aicpi_arena_calloc(arena, count + 1, sizeof *roles);
    if (!roles || count > ORG_ROLES_MAX) {
        return false;
    }
    json_object_object_foreach(map, org, role) {
        roles[who->org_role_count].org = aicpi_arena_strndup(arena, org, strlen(org));
        roles[who->org_role_count].role =
            json_object_is_type(role, json_type_string)
                ? aicpi_arena_strndup(
                      arena, json_object_get_string(role), (size_t)json_object_get_string_len(role))
                : "";
        if (!roles[who->org_role_count].org || !roles[who->org_role_count].role) {
            return false;
        }
        who->org_role_count++;
    }
    who->org_roles = roles;
    return true;
}

static bool issued_later(const aicpa_claims *c, int64_t now_s) {
    return c->issued_s > now_s + LEEWAY_S;
}

bool aicpa_token_times_hold(const aicpa_claims *c, int64_t now_s) {
    return !issued_later(c, now_s) && now_s < c->expires_s;
}

static aicp_status read_claims(
    struct json_object *o, int64_t now_s, aicpi_arena *arena, aicpa_claims *out, aicp_error *err) {
    struct json_object *v = NULL;
    const char *issuer = text_of(o, "iss", arena);
    out->who.id = text_of(o, "sub", arena);
    out->who.session = text_of(o, "jti", arena);
    out->who.role = text_of(o, "role", arena);
    out->who.email = text_of(o, "email", arena);
    out->who.team = text_of(o, "team_id", arena);
    out->who.org = text_of(o, "org_id", arena);
    out->issued_s = seconds_of(o, "iat");
    out->expires_s = seconds_of(o, "exp");
    out->who.platform_admin =
        json_object_object_get_ex(o, "is_platform_admin", &v) && json_object_get_boolean(v);
    if (!issuer || strcmp(issuer, AICPA_TOKEN_ISSUER) != 0 || !out->who.id || !out->who.session ||
        !out->who.role || out->issued_s < 0 || out->expires_s < 0 || issued_later(out, now_s) ||
        !read_org_roles(o, arena, &out->who)) {
        return bad(err);
    }
    if (!aicpa_token_times_hold(out, now_s)) {
        return aicpi_fail(err, AICP_ERR_TIMEOUT, "Token has expired");
    }
    return AICP_OK;
}

aicp_status aicpa_token_verify(
    const char *secret,
    const char *previous,
    aicpi_slice token,
    int64_t now_s,
    aicpi_arena *arena,
    aicpa_claims *out,
    aicp_error *err) {
    memset(out, 0, sizeof *out);
    const char *first = token.len ? memchr(token.data, '.', token.len) : NULL;
    const char *end = token.data + token.len;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || token.len > AICPA_TOKEN_MAX) {
        return bad(err);
    }
    unsigned char mac[64];
    size_t mac_len = 0;
    aicpi_slice mac_text = aicpi_slice_of(second + 1, (size_t)(end - second - 1));
    aicpi_slice signed_part = aicpi_slice_of(token.data, (size_t)(second - token.data));
    if (mac_text.len != 43 || !get_base64url(mac_text, mac, &mac_len) || mac_len != 32 ||
        (!signed_by(secret, signed_part, mac) && !signed_by(previous, signed_part, mac))) {
        return bad(err);
    }
    aicpi_strbuf header;
    aicpi_strbuf_init(&header, &arena->allocator, 128);
    put_base64url(&header, (const unsigned char *)HEADER, sizeof HEADER - 1);
    bool same = !header.failed && header.len == (size_t)(first - token.data) &&
                memcmp(header.data, token.data, header.len) == 0;
    aicpi_strbuf_deinit(&header);
    struct json_object *claims =
        same ? read_part(aicpi_slice_of(first + 1, (size_t)(second - first - 1)), arena) : NULL;
    aicp_status status = claims ? read_claims(claims, now_s, arena, out, err) : bad(err);
    json_object_put(claims);
    return status;
}
