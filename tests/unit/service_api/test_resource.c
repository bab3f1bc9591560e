/* What a table gives: create, get, update, delete, their errors and their audit entries. */
#include "unit/service_api/service.h"

#include <pthread.h>
#include <string.h>

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

ON_SERVICE(api_resource, a_lost_update_is_412_and_a_known_version_304) {
    char path[128];
    (void)snprintf(path, sizeof path, "/api/v1/groups/%s", "g");
    reply r = post(s, "/api/v1/groups", "{\"id\":\"g\",\"name\":\"G\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "root", "PUT", path, "If-Match: \"1\"", "{\"name\":\"H\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "root", "PUT", path, "If-Match: \"1\"", "{\"name\":\"I\"}");
    REPLY_IS(r, 412);
    reply_free(&r);
    r = call_as(s, "root", "PUT", path, "If-Match: W/\"2\"", "{\"name\":\"I\"}");
    REPLY_IS(r, 412);
    reply_free(&r);
    r = call_as(s, "root", "PUT", path, "If-Match: \"7\", \"2\"", "{\"name\":\"I\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "root", "DELETE", path, "If-Match: \"2\"", NULL);
    REPLY_IS(r, 412);
    reply_free(&r);
    r = call_as(s, "root", "GET", path, "If-None-Match: \"3\"", NULL);
    REPLY_IS(r, 304);
    cr_expect_str_eq(header_of(&r, "ETag"), "\"3\"");
    reply_free(&r);
    r = call_as(s, "root", "GET", path, "If-None-Match: \"2\"", NULL);
    REPLY_IS(r, 200);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 3);
}

ON_SERVICE(api_resource, clashes_are_409_and_name_the_field) {
    make_widget(s, 0, "{\"name\":\"a\"}");
    char path[128];
    (void)snprintf(path, sizeof path, "/api/v1/widgets/%s", make_widget(s, 1, "{\"name\":\"b\"}"));
    reply r = post(s, "/api/v1/widgets", "{\"name\":\"a\"}");
    REPLY_IS(r, 409);
    cr_expect(strstr(r.body, "with this name"), "%s", r.body);
    reply_free(&r);
    r = put(s, path, "{\"name\":\"a\"}");
    REPLY_IS(r, 409);
    reply_free(&r);
    r = put(s, path, "{\"name\":\"b\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = post(s, "/api/v1/groups", "{\"id\":\"g\",\"name\":\"G\"}");
    reply_free(&r);
    r = post(s, "/api/v1/groups", "{\"id\":\"g\",\"name\":\"G\"}"); /* only the index knows */
    REPLY_IS(r, 409);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log WHERE action = 'create'"), 3);
}

ON_SERVICE(api_resource, a_soft_delete_keeps_the_row_and_a_used_one_stays) {
    reply r = post(s, "/api/v1/groups", "{\"id\":\"g\",\"name\":\"G\"}");
    reply_free(&r);
    r = delete_at(s, "/api/v1/groups/g");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = get(s, "/api/v1/groups/g");
    REPLY_IS(r, 200);
    cr_expect_not(aicps_bool(r.json, "is_active"));
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log WHERE action = 'delete'"), 1);
}

ON_SERVICE(api_resource, children_live_under_their_parent) {
    reply r = post(s, "/api/v1/groups", "{\"id\":\"g\",\"name\":\"G\"}");
    reply_free(&r);
    r = post(s, "/api/v1/groups", "{\"id\":\"h\",\"name\":\"H\"}");
    reply_free(&r);
    r = post(s, "/api/v1/groups/g/parts", "{\"name\":\"p\"}");
    REPLY_IS(r, 200);
    cr_expect_str_eq(aicps_text(r.json, "group_id").data, "g");
    char id[64];
    (void)snprintf(id, sizeof id, "%s", aicps_text(r.json, "id").data);
    reply_free(&r);
    r = post(s, "/api/v1/groups/g/parts", "{\"name\":\"p\"}");
    REPLY_IS(r, 409);
    reply_free(&r);
    r = post(s, "/api/v1/groups/h/parts", "{\"name\":\"p\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = post(s, "/api/v1/groups/x/parts", "{\"name\":\"p\"}");
    REPLY_IS(r, 404);
    cr_expect_str_eq(aicps_text(r.json, "detail").data, "Group not found");
    reply_free(&r);
    char path[128];
    (void)snprintf(path, sizeof path, "/api/v1/groups/h/parts/%s", id);
    r = get(s, path);
    REPLY_IS(r, 404);
    reply_free(&r);
    (void)snprintf(path, sizeof path, "/api/v1/groups/g/parts/%s", id);
    r = delete_at(s, path);
    REPLY_IS(r, 200);
    cr_expect_str_eq(aicps_text(r.json, "status").data, "removed");
    reply_free(&r);
    r = get(s, "/api/v1/groups/g/parts");
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "0");
    reply_free(&r);
}

ON_SERVICE(api_resource, a_repeated_attempt_repeats_nothing) {
    hooks.busy_times = 3;
    make_widget(s, 0, "{\"name\":\"w\"}");
    cr_expect_eq(hooks.applied, 4);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets"), 1);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 1);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_unsealed"), 1);
}

ON_SERVICE(api_resource, a_failed_change_leaves_neither_row_nor_entry) {
    hooks.fail = true;
    reply r = post(s, "/api/v1/widgets", "{\"name\":\"w\"}");
    REPLY_IS(r, 500);
    reply_free(&r);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets"), 0);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 0);
    cr_expect_eq(number_of(s, "SELECT revision FROM rules_revision"), 1);
}

typedef struct racer {
    service *s;
    const char *path;
    int won;
    int lost;
} racer;

static void *race(void *user) {
    racer *me = user;
    for (int i = 0; i < 10; i++) {
        char match[64];
        char body[64];
        reply r = get(me->s, me->path);
        (void)snprintf(
            match, sizeof match, "If-Match: \"%lld\"", (long long)aicps_int(r.json, "version"));
        (void)snprintf(
            body, sizeof body, "{\"size\":%lld}", (long long)aicps_int(r.json, "size") + 1);
        reply_free(&r);
        r = call_as(me->s, "root", "PUT", me->path, match, body);
        cr_assert(r.status == 200 || r.status == 412, "%d %s", r.status, r.body);
        me->won += r.status == 200;
        me->lost += r.status == 412;
        reply_free(&r);
    }
    return NULL;
}

ON_SERVICE(api_resource, of_concurrent_updates_of_one_version_one_wins) {
    char path[128];
    (void)snprintf(
        path, sizeof path, "/api/v1/widgets/%s", make_widget(s, 0, "{\"name\":\"w\",\"size\":0}"));
    racer racers[3];
    pthread_t threads[3];
    int won = 0;
    for (int i = 0; i < 3; i++) {
        racers[i] = (racer){s, path, 0, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        won += racers[i].won;
    }
    cr_expect_eq(number_of(s, "SELECT size FROM widgets"), won);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), won + 1);
}
