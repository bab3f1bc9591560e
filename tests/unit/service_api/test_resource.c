/* What a table gives: create, get, update, delete, their errors and their audit entries. */
#include "unit/service_api/service.h"

ON_SERVICE(api_resource, create_fills_presets_and_answers_the_row) {
    reply r = post(s, "/api/v1/widgets", "{\"name\":\"one\",\"size\":0,\"price\":\"0.000000001\"}");
    REPLY_IS(r, 200);
    cr_expect_str_eq(aicps_text(r.json, "color").data, "red");
    cr_expect(aicps_bool(r.json, "is_active"));
    cr_expect_eq(aicps_int(r.json, "size"), 0);
    cr_expect_not(aicps_is_null(r.json, "size"));
    cr_expect_str_eq(aicps_text(r.json, "price_decimal").data, "0.000000001");
    cr_expect_eq(aicps_int(r.json, "length"), 3);
    cr_expect_str_eq(header_of(&r, "ETag"), "\"1\"");
    reply again = get(s, "/api/v1/widgets");
    cr_expect_str_eq(header_of(&again, "X-Total-Count"), "1");
    cr_expect_eq(json_object_array_length(again.json), 1);
    reply_free(&again);
    reply_free(&r);
}

ON_SERVICE(api_resource, update_changes_only_what_is_present_and_null_clears) {
    char path[128];
    (void)snprintf(
        path,
        sizeof path,
        "/api/v1/widgets/%s",
        make_widget(s, 0, "{\"name\":\"w\",\"size\":5,\"color\":\"blue\"}"));
    reply r = put(s, path, "{\"size\":null}");
    REPLY_IS(r, 200);
    cr_expect(aicps_is_null(r.json, "size"));
    cr_expect_str_eq(aicps_text(r.json, "color").data, "blue");
    cr_expect_str_eq(header_of(&r, "ETag"), "\"2\"");
    reply_free(&r);
    r = put(s, path, "{}");
    REPLY_IS(r, 400);
    cr_expect_str_eq(aicps_text(r.json, "detail").data, "No fields to update");
    reply_free(&r);
    r = put(s, path, "{\"name\":null}");
    REPLY_IS(r, 422);
    reply_free(&r);
    r = delete_at(s, path);
    REPLY_IS(r, 200);
    cr_expect_str_eq(aicps_text(r.json, "status").data, "deleted");
    reply_free(&r);
    r = get(s, path);
    REPLY_IS(r, 404);
    cr_expect_str_eq(aicps_text(r.json, "detail").data, "Widget not found");
    reply_free(&r);
}

ON_SERVICE(api_resource, each_change_has_its_entry_and_a_new_revision) {
    char path[128];
    int64_t revision = number_of(s, "SELECT revision FROM rules_revision");
    (void)snprintf(path, sizeof path, "/api/v1/widgets/%s", make_widget(s, 0, "{\"name\":\"w\"}"));
    reply r = put(s, path, "{\"size\":7,\"token\":\"hush-hush\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = delete_at(s, path);
    REPLY_IS(r, 200);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log WHERE resource_type = 'widget'"), 3);
    cr_expect_eq(
        number_of(
            s,
            "SELECT COUNT(*) FROM audit_log WHERE action = 'update' AND actor_email ="
            " 'root@example.org' AND resource_name = 'w' AND changes LIKE '%\"size\":7%'"
            " AND changes LIKE '%\"token\":\"********\"%' AND changes NOT LIKE '%hush%'"
            " AND changes NOT LIKE '%color%' AND actor_ip = '127.0.0.1'"),
        1);
    cr_expect_eq(number_of(s, "SELECT revision FROM rules_revision"), revision + 3);
}
