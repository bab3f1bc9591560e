/* Rows that live in another system. */
#include "unit/service_api/service.h"

#include <string.h>

ON_SERVICE(api_source, lists_filter_sort_and_page_like_tables) {
    reply r = get(s, "/api/v1/keys?sort=-spend&limit=2");
    REPLY_IS(r, 200);
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "4");
    cr_expect_str_eq(
        aicps_text(json_object_array_get_idx(r.json, 0), "token").data, "t3", "%s", r.body);
    cr_expect_str_eq(
        aicps_text(json_object_array_get_idx(r.json, 0), "spend_decimal").data, "7.25");
    cr_expect_str_eq(aicps_text(json_object_array_get_idx(r.json, 0), "secret").data, "********");
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", header_of(&r, "Link") + 1);
    path[strcspn(path, ">")] = '\0';
    reply_free(&r);
    r = get(s, path);
    REPLY_IS(r, 200);
    cr_expect_str_eq(
        aicps_text(json_object_array_get_idx(r.json, 0), "token").data, "t1", "%s", r.body);
    cr_expect_str_eq(
        aicps_text(json_object_array_get_idx(r.json, 1), "token").data, "t4", "nulls last");
    cr_expect_str_eq(header_of(&r, "Link"), "");
    reply_free(&r);
    r = get(s, "/api/v1/keys?models=gpt&spend.gt=1");
    cr_expect_eq(json_object_array_length(r.json), 1);
    reply_free(&r);
    r = get(s, "/api/v1/keys?q=ALI");
    cr_expect_eq(json_object_array_length(r.json), 1);
    reply_free(&r);
    r = get(s, "/api/v1/keys/facets?fields=team_id");
    cr_expect_str_eq(
        r.body,
        "{\"team_id\":[{\"value\":\"t\",\"count\":1},{\"value\":null,\"count\":3}]}",
        "%s",
        r.body);
    reply_free(&r);
    r = get(s, "/api/v1/keys?format=csv&sort=token");
    cr_expect(strstr(r.body, "t1,alias,") && !strstr(r.body, "raw"), "%s", r.body);
    reply_free(&r);
    r = get(s, "/api/v1/keys?nonsense=1");
    REPLY_IS(r, 422);
    reply_free(&r);
    r = call_as(s, "tea", "GET", "/api/v1/keys", NULL, NULL);
    cr_expect_eq(json_object_array_length(r.json), 1);
    reply_free(&r);
    r = call_as(s, "tea", "GET", "/api/v1/keys/t2", NULL, NULL);
    REPLY_IS(r, 404);
    reply_free(&r);
    r = get(s, "/api/v1/keys/t2");
    REPLY_IS(r, 200);
    reply_free(&r);
}

ON_SERVICE(api_source, changes_are_checked_audited_and_told_as_given) {
    reply r = post(s, "/api/v1/keys", "{\"key_alias\":7}");
    REPLY_IS(r, 422);
    reply_free(&r);
    r = post(s, "/api/v1/keys", "{\"key_alias\":\"new\",\"spend\":null,\"secret\":\"raw-secret\"}");
    REPLY_IS(r, 200);
    cr_expect_str_eq(r.body, "{\"token\":\"t9\",\"given\":\"key_alias spend secret \"}");
    reply_free(&r);
    cr_expect_eq(
        number_of(
            s,
            "SELECT COUNT(*) FROM audit_log WHERE action = 'create' AND resource_id = 't9'"
            " AND outcome = 'success' AND changes LIKE '%new%' AND changes NOT LIKE '%raw%'"),
        1);
    r = put(s, "/api/v1/keys/t1", "{\"spend\":null}");
    REPLY_IS(r, 200);
    cr_expect_str_eq(aicps_text(r.json, "given").data, "spend ");
    reply_free(&r);
    r = delete_at(s, "/api/v1/keys/t1");
    REPLY_IS(r, 200);
    cr_expect_str_eq(r.body, "{\"status\":\"deleted\"}");
    reply_free(&r);
    r = delete_at(s, "/api/v1/keys/t0");
    REPLY_IS(r, 404);
    reply_free(&r);
    r = put(s, "/api/v1/keys/t1", "{\"key_alias\":\"break\"}");
    REPLY_IS(r, 502);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log WHERE outcome = 'failure'"), 1);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 4);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_intents"), 0);
}

ON_SERVICE(api_source, a_repeated_key_does_nothing_again) {
    const char *key = "Idempotency-Key: once";
    reply r = call_as(s, "root", "POST", "/api/v1/keys", key, "{\"key_alias\":\"new\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "root", "POST", "/api/v1/keys", key, "{\"key_alias\":\"new\"}");
    REPLY_IS(r, 409);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 1);
}
