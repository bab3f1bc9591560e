/* Bodies: strict JSON, types, limits; everything wrong is a 4xx that says what. */
#include "unit/service_api/service.h"

#include <string.h>

static void refused(service *s, const char *body, int status, const char *field) {
    reply r = post(s, "/api/v1/widgets", body);
    cr_assert_eq(r.status, status, "%s: %d %s", body, r.status, r.body);
    if (field) {
        struct json_object *errors = aicps_member(r.json, "errors");
        bool found = false;
        for (size_t i = 0; i < json_object_array_length(errors); i++) {
            struct json_object *e = json_object_array_get_idx(errors, i);
            found = found || strcmp(aicps_text(e, "field").data, field) == 0;
        }
        cr_expect(found, "%s: %s", body, r.body);
        struct json_object *first = json_object_array_get_idx(aicps_member(r.json, "detail"), 0);
        cr_expect(aicps_member(first, "loc") && aicps_member(first, "msg"), "%s", r.body);
    }
    reply_free(&r);
}

ON_SERVICE(api_body, json_is_read_strictly) {
    static const char *const WRONG[] = {
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"a\"} x",
        "{\"name\":NaN}",
        "{\"name\":\"a\x01\"}",
        "{\"name\":\"\xff\"}",
        "{\"size\":1e999}",
        "{'name':'a'}",
        "{\"name\":\"a\",}",
        "[]",
        "7",
        "{\"a\\u0000\":1}",
        NULL,
    };
    for (size_t i = 0; WRONG[i]; i++) {
        refused(s, WRONG[i], 422, NULL);
    }
    char deep[400];
    memset(deep, '[', sizeof deep);
    deep[sizeof deep - 1] = '\0';
    refused(s, deep, 422, NULL);
    reply r = post(s, "/api/v1/widgets", "{\n  \"name\": tru }");
    REPLY_IS(r, 422);
    cr_expect(strstr(r.body, "line 2, column 11"), "%s", r.body);
    reply_free(&r);
    r = call_as(s, "root", "POST", "/api/v1/widgets", "Content-Type: text/plain", "{}");
    REPLY_IS(r, 415);
    reply_free(&r);
    r = call_as(s, "root", "POST", "/api/v1/widgets", NULL, "");
    REPLY_IS(r, 422);
    reply_free(&r);
    r = call_as(s, "root", "POST", "/api/v1/echo/x", NULL, "");
    REPLY_IS(r, 200);
    reply_free(&r);
}

ON_SERVICE(api_body, every_type_is_checked_and_all_errors_come_at_once) {
    refused(s, "{}", 422, "name");
    refused(s, "{\"name\":\"a\",\"nmae\":1}", 422, "nmae");
    refused(s, "{\"name\":\"\"}", 422, "name");
    refused(s, "{\"name\":\"12345678901234567890123456789012345678901\"}", 422, "name");
    refused(s, "{\"name\":\"a\\u0000b\"}", 422, "name");
    refused(s, "{\"name\":7}", 422, "name");
    refused(s, "{\"name\":\"a\",\"slug\":\"A b\"}", 422, "slug");
    refused(s, "{\"name\":\"a\",\"slug\":\"ab\\n\"}", 422, "slug");
    refused(s, "{\"name\":\"a\",\"color\":\"pink\"}", 422, "color");
    refused(s, "{\"name\":\"a\",\"size\":1001}", 422, "size");
    refused(s, "{\"name\":\"a\",\"size\":-1}", 422, "size");
    refused(s, "{\"name\":\"a\",\"size\":1.5}", 422, "size");
    refused(s, "{\"name\":\"a\",\"size\":99999999999999999999999}", 422, "size");
    refused(s, "{\"name\":\"a\",\"size\":\"1\"}", 422, "size");
    refused(s, "{\"name\":\"a\",\"price\":\"0.0000000001\"}", 422, "price");
    refused(s, "{\"name\":\"a\",\"price\":1e12}", 422, "price");
    refused(s, "{\"name\":\"a\",\"price\":\"1,5\"}", 422, "price");
    refused(s, "{\"name\":\"a\",\"is_active\":\"yes\"}", 422, "is_active");
    refused(s, "{\"name\":\"a\",\"is_active\":null}", 422, "is_active");
    refused(s, "{\"name\":\"a\",\"due\":\"tomorrow\"}", 422, "due");
    refused(s, "{\"name\":\"a\",\"due\":\"2026-02-30\"}", 422, "due");
    refused(s, "{\"name\":\"a\",\"due\":\"2026-02-18T10:00:00\"}", 422, "due");
    refused(s, "{\"name\":\"a\",\"due\":\"9999-01-01T00:00:00Z\"}", 422, "due");
    refused(s, "{\"name\":\"a\",\"config\":[]}", 422, "config");
    refused(s, "{\"name\":\"a\",\"config\":{\"a\":\"\\u0000\"}}", 422, "config");
    refused(s, "{\"name\":\"a\",\"tags\":[1]}", 422, "tags");
    refused(s, "{\"name\":\"a\",\"tags\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]}", 422, "tags");
    refused(s, "{\"name\":\"a\",\"id\":\"mine\"}", 422, "id");
    refused(s, "{\"name\":\"a\",\"length\":3}", 422, "length");
    refused(s, "{\"name\":\"a\",\"size\":1,\"extent\":2}", 422, "extent");
    refused(s, "{\"name\":\"a\",\"org_id\":\"nowhere\"}", 422, "org_id");
    refused(s, "{\"name\":\"forbidden\"}", 422, "name");
    reply r = post(s, "/api/v1/widgets", "{\"color\":\"pink\",\"size\":-1}");
    cr_expect_eq(json_object_array_length(aicps_member(r.json, "errors")), 3, "%s", r.body);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets"), 0);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 0);
}

ON_SERVICE(api_body, values_come_back_exact) {
    reply r = post(
        s,
        "/api/v1/widgets",
        "{\"name\":\"\\u00e4\\ud83d\\ude00\",\"extent\":1.0,\"ratio\":0.30000000000000004,"
        "\"price\":\"-9223372036.854775807\",\"due\":\"2026-02-18T10:00:00.123456+02:00\","
        "\"config\":{\"big\":123456789012345678901234567890,\"f\":0.10},\"tags\":[\"a\"],"
        "\"extra\":[1,null,{}]}");
    REPLY_IS(r, 200);
    cr_expect_eq(aicps_int(r.json, "size"), 1);
    cr_expect(strstr(r.body, "\"ratio\":0.3,"), "%s", r.body);
    cr_expect(strstr(r.body, "\"price\":-9223372036.854775807,"), "%s", r.body);
    cr_expect_str_eq(aicps_text(r.json, "price_decimal").data, "-9223372036.854775807");
    cr_expect_str_eq(aicps_text(r.json, "due").data, "2026-02-18T08:00:00.123456Z");
    cr_expect(strstr(r.body, "{\"big\":123456789012345678901234567890,\"f\":0.10}"), "%s", r.body);
    cr_expect(strstr(r.body, "\"extra\":[1,null,{}]"), "%s", r.body);
    reply_free(&r);
}

ON_SERVICE(api_body, secrets_are_sealed_masked_and_kept_when_left_out) {
    char path[128];
    (void)snprintf(
        path,
        sizeof path,
        "/api/v1/widgets/%s",
        make_widget(s, 0, "{\"name\":\"a\",\"token\":\"open sesame\"}"));
    reply r = get(s, path);
    cr_expect_str_eq(aicps_text(r.json, "token").data, "********");
    cr_expect_not(strstr(r.body, "sesame"));
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets WHERE token LIKE 'v1:%'"), 1);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets WHERE token LIKE '%sesame%'"), 0);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log WHERE changes LIKE '%sesame%'"), 0);
    static const char *const KEEPS[] = {"{\"size\":1}", "{\"token\":\"********\",\"size\":2}"};
    for (size_t i = 0; i < 2; i++) {
        r = put(s, path, KEEPS[i]);
        REPLY_IS(r, 200);
        cr_expect_str_eq(aicps_text(r.json, "token").data, "********");
        reply_free(&r);
    }
    aicp_error err = {0};
    aicpi_sql_stmt *q = NULL;
    aicpi_strbuf plain;
    bool row = false;
    aicpi_strbuf_init(&plain, NULL, 1000);
    cr_assert_eq(aicpi_sql_prepare(s->db, "SELECT token FROM widgets", &q, &err), AICP_OK);
    cr_assert_eq(aicpi_sql_step(q, &row, &err), AICP_OK);
    cr_assert_eq(aicps_secret_unseal(s->api, aicpi_sql_text(q, 0), &plain, &err), AICP_OK);
    cr_expect_str_eq(plain.data, "open sesame");
    aicpi_strbuf_clear(&plain);
    cr_expect_eq(
        aicps_secret_unseal(s->api, AICPI_SLICE("open sesame"), &plain, &err), AICP_ERR_CRYPTO);
    aicpi_strbuf_deinit(&plain);
    aicpi_sql_reset(q);
    r = put(s, path, "{\"token\":null}");
    REPLY_IS(r, 200);
    cr_expect(aicps_is_null(r.json, "token"));
    reply_free(&r);
}

/* What is stored in `env`, opened. */
static const char *stored_env(service *s) {
    static char text[512];
    aicp_error err = {0};
    aicpi_sql_stmt *q = NULL;
    aicpi_strbuf plain;
    bool row = false;
    aicpi_strbuf_init(&plain, NULL, 1000);
    cr_assert_eq(aicpi_sql_prepare(s->db, "SELECT env FROM widgets", &q, &err), AICP_OK);
    cr_assert_eq(aicpi_sql_step(q, &row, &err), AICP_OK);
    cr_assert_eq(aicps_secret_unseal(s->api, aicpi_sql_text(q, 0), &plain, &err), AICP_OK);
    (void)snprintf(text, sizeof text, "%s", plain.data);
    aicpi_strbuf_deinit(&plain);
    aicpi_sql_reset(q);
    return text;
}

ON_SERVICE(api_body, objects_of_secrets_show_their_names_and_keep_what_is_masked) {
    char path[128];
    (void)snprintf(
        path,
        sizeof path,
        "/api/v1/widgets/%s",
        make_widget(s, 0, "{\"name\":\"a\",\"env\":{\"A\":\"one\",\"B\":\"two\"}}"));
    reply r = get(s, path);
    cr_expect(strstr(r.body, "\"env\":{\"A\":\"********\",\"B\":\"********\"}"), "%s", r.body);
    reply_free(&r);
    cr_expect_str_eq(stored_env(s), "{\"A\":\"one\",\"B\":\"two\"}");
    r = put(s, path, "{\"env\":{\"A\":\"********\",\"C\":\"three\"}}");
    REPLY_IS(r, 200);
    cr_expect_not(strstr(r.body, "three"));
    reply_free(&r);
    cr_expect_str_eq(stored_env(s), "{\"A\":\"one\",\"C\":\"three\"}");
    r = put(s, path, "{\"env\":{\"A\":\"********\",\"C\":\"********\"},\"size\":1}");
    REPLY_IS(r, 200);
    reply_free(&r);
    cr_expect_str_eq(stored_env(s), "{\"A\":\"one\",\"C\":\"three\"}");
    r = put(s, path, "{\"env\":{\"A\":\"********\"}}");
    REPLY_IS(r, 200);
    reply_free(&r);
    cr_expect_str_eq(stored_env(s), "{\"A\":\"one\"}");
    r = put(s, path, "{\"env\":{\"Z\":\"********\"}}");
    REPLY_IS(r, 422);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log WHERE changes LIKE '%three%'"), 0);
}

ON_SERVICE(api_body, without_a_key_no_secret_is_stored) {
    service_keyless(s);
    reply r = post(s, "/api/v1/widgets", "{\"name\":\"a\",\"token\":\"t\"}");
    REPLY_IS(r, 503);
    cr_expect(strstr(r.body, "no key to seal"), "%s", r.body);
    reply_free(&r);
    r = post(s, "/api/v1/widgets", "{\"name\":\"a\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets"), 1);
}
