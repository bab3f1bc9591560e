/* Sessions' tokens: what is signed comes back, and nothing else does. */
#include "services/admin-api/auth/auth.h"

#include "lib/base/crypto.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffff"
#define NOW INT64_C(1795000000)

static aicpi_arena arena;
static aicpi_strbuf token;

static void setup(void) {
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_strbuf_init(&token, NULL, AICPA_TOKEN_MAX);
}

static void teardown(void) {
    aicpi_strbuf_deinit(&token);
    aicpi_arena_deinit(&arena);
}

TestSuite(token, .init = setup, .fini = teardown);

static aicpa_claims claims(void) {
    static const aicps_org_role roles[] = {{"org-1", "org_admin"}, {"org-\"2", "viewer"}};
    aicpa_claims c = {
        .who = {.id = "maria", .email = "maria@example.com", .role = "user", .session = "j1"},
        .issued_s = NOW,
        .expires_s = NOW + 3600,
    };
    c.who.org_roles = roles;
    c.who.org_role_count = 2;
    return c;
}

static aicp_status verify_at(int64_t now, aicpa_claims *out) {
    return aicpa_token_verify(
        SECRET, NULL, aicpi_slice_of(token.data, token.len), now, &arena, out, NULL);
}

/* A token whose three parts are as given and whose signature is right. */
static void forge(const char *head_and_claims) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char mac[33] = {0};
    aicpi_hmac_sha256(
        (const unsigned char *)SECRET,
        strlen(SECRET),
        head_and_claims,
        strlen(head_and_claims),
        mac);
    aicpi_strbuf_clear(&token);
    aicpi_strbuf_puts(&token, head_and_claims);
    aicpi_strbuf_putc(&token, '.');
    for (size_t bit = 0; bit < 256; bit += 6) {
        unsigned word = (unsigned)mac[bit / 8] << 8 | mac[bit / 8 + 1];
        aicpi_strbuf_putc(&token, alphabet[(word >> (10 - bit % 8)) & 63]);
    }
}

Test(token, comes_back_with_every_claim) {
    aicpa_claims in = claims();
    aicpa_claims out;
    aicpa_token_sign(SECRET, &in, &token);
    cr_assert_not(token.failed);
    cr_assert_eq(verify_at(NOW + 10, &out), AICP_OK);
    cr_assert_str_eq(out.who.id, "maria");
    cr_assert_str_eq(out.who.email, "maria@example.com");
    cr_assert_str_eq(out.who.session, "j1");
    cr_assert_not(out.who.platform_admin);
    cr_assert_eq(out.who.org_role_count, 2);
    cr_assert_str_eq(out.who.org_roles[1].org, "org-\"2");
    cr_assert_str_eq(out.who.org_roles[1].role, "viewer");
    cr_assert_null(out.who.team);
    cr_assert_eq(out.expires_s, NOW + 3600);
}

Test(token, ends_with_its_time) {
    aicpa_claims in = claims();
    aicpa_claims out;
    aicpa_token_sign(SECRET, &in, &token);
    cr_assert_eq(verify_at(NOW + 3599, &out), AICP_OK);
    cr_assert_eq(verify_at(NOW + 3600, &out), AICP_ERR_TIMEOUT);
    cr_assert_eq(verify_at(NOW - 3600, &out), AICP_ERR_INVALID, "issued in the future");
}

Test(token, of_another_secret_is_refused_unless_it_is_the_previous_one) {
    aicpa_claims in = claims();
    aicpa_claims out;
    aicpa_token_sign(OTHER, &in, &token);
    cr_assert_eq(verify_at(NOW, &out), AICP_ERR_INVALID);
    aicpi_slice text = aicpi_slice_of(token.data, token.len);
    cr_assert_eq(aicpa_token_verify(SECRET, OTHER, text, NOW, &arena, &out, NULL), AICP_OK);
}

Test(token, with_any_changed_byte_is_refused) {
    aicpa_claims in = claims();
    aicpa_claims out;
    aicpa_token_sign(SECRET, &in, &token);
    for (size_t i = 0; i < token.len; i++) {
        char kept = token.data[i];
        token.data[i] = kept == 'A' ? 'B' : 'A';
        cr_assert_neq(verify_at(NOW, &out), AICP_OK, "byte %zu", i);
        token.data[i] = kept;
    }
    cr_assert_eq(verify_at(NOW, &out), AICP_OK);
}

Test(token, cut_short_anywhere_is_refused) {
    aicpa_claims in = claims();
    aicpa_claims out;
    aicpa_token_sign(SECRET, &in, &token);
    size_t whole = token.len;
    for (token.len = 0; token.len < whole; token.len++) {
        cr_assert_neq(verify_at(NOW, &out), AICP_OK, "%zu bytes", token.len);
    }
}

Test(token, without_algorithm_or_with_another_is_refused) {
    aicpa_claims out;
    /* {"alg":"none","typ":"JWT"} and {"sub":"admin"} */
    const char *none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZG1pbiJ9";
    aicpi_strbuf_puts(&token, none);
    aicpi_strbuf_putc(&token, '.');
    cr_assert_eq(verify_at(NOW, &out), AICP_ERR_INVALID);
    forge(none);
    cr_assert_eq(verify_at(NOW, &out), AICP_ERR_INVALID, "signed, but says it is not");
}

Test(token, of_another_issuer_is_refused) {
    aicpa_claims out;
    /* {"alg":"HS256","typ":"JWT"} and {"sub":"admin","iss":"else","jti":"1","role":"admin","iat":1,
     * "exp":9999999999} */
    forge("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZG1pbiIsImlzcyI6ImVsc2UiLCJqdGkiOiIxIi"
          "wicm9sZSI6ImFkbWluIiwiaWF0IjoxLCJleHAiOjk5OTk5OTk5OTl9");
    cr_assert_eq(verify_at(NOW, &out), AICP_ERR_INVALID);
}

Test(token, a_known_token_gives_its_claims_until_it_expires) {
    aicpa_known *known = NULL;
    aicp_error err = {0};
    aicpi_arena arena;
    aicpa_claims out;
    static const aicps_org_role roles[] = {{"org-1", "member"}};
    aicpa_claims claims = {
        .who = {.id = "u-1", .session = "s-1", .role = "user", .org_roles = roles},
        .issued_s = 100,
        .expires_s = 200};
    claims.who.org_role_count = 1;
    aicpi_slice token = AICPI_SLICE("header.claims.signature");
    aicpi_arena_init(&arena, NULL, 0, 0);
    cr_assert_eq(aicpa_known_new(&known, &err), AICP_OK);
    cr_assert_not(aicpa_known_find(known, token, 150, &arena, &out));
    aicpa_known_add(known, token, &claims);
    cr_assert(aicpa_known_find(known, token, 199, &arena, &out));
    cr_assert_str_eq(out.who.id, "u-1");
    cr_assert_str_eq(out.who.session, "s-1");
    cr_assert_null(out.who.team);
    cr_assert_eq(out.who.org_role_count, 1);
    cr_assert_str_eq(out.who.org_roles[0].role, "member");
    cr_assert_not(aicpa_known_find(known, token, 200, &arena, &out), "expired");
    cr_assert_not(aicpa_known_find(known, token, 60, &arena, &out), "issued later than now");
    aicpi_slice other = AICPI_SLICE("header.claims.Signature");
    cr_assert_not(aicpa_known_find(known, other, 150, &arena, &out));
    aicpa_known_free(known);
    aicpi_arena_deinit(&arena);
}

Test(token, each_of_many_tokens_is_known_as_itself_or_not_at_all) {
    aicpa_known *known = NULL;
    aicpi_arena arena;
    aicpa_claims out;
    size_t found = 0;
    aicpi_arena_init(&arena, NULL, 0, 0);
    cr_assert_eq(aicpa_known_new(&known, NULL), AICP_OK);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3000; i++) {
            char text[32];
            int len = snprintf(text, sizeof text, "token-%d", i);
            aicpi_slice token = aicpi_slice_of(text, (size_t)len);
            aicpa_claims claims = {
                .who = {.id = text, .session = "s", .role = "user"}, .expires_s = 200};
            if (round == 0) {
                aicpa_known_add(known, token, &claims);
            } else if (aicpa_known_find(known, token, 100, &arena, &out)) {
                cr_assert_str_eq(out.who.id, text);
                found++;
            }
        }
    }
    cr_assert_geq(found, 100);
    cr_assert_leq(found, 1024, "its memory is bounded");
    aicpa_known_free(known);
    aicpi_arena_deinit(&arena);
}
