/* Entries: chained, verified, never changed; intents; the log as a resource. */
#include "unit/service_api/service.h"

#include <string.h>

static void seal(service *s, uint64_t expected) {
    aicp_error err = {0};
    uint64_t sealed = 0;
    cr_assert_eq(aicps_audit_seal(s->db, &sealed, &err), AICP_OK, "%s", err.message);
    cr_expect_eq(sealed, expected, "%llu", (unsigned long long)sealed);
}

static int64_t verify(service *s, uint64_t expected) {
    aicp_error err = {0};
    uint64_t checked = 0;
    int64_t bad = -1;
    cr_assert_eq(aicps_audit_verify(s->db, &checked, &bad, &err), AICP_OK, "%s", err.message);
    cr_expect_eq(checked, expected, "%llu", (unsigned long long)checked);
    return bad;
}

static void exec(service *s, const char *sql) {
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_exec(s->db, sql, &err), AICP_OK, "%s", err.message);
}

static void unguard(service *s) {
    exec(
        s,
        s->store.postgres
            ? "ALTER TABLE audit_log DISABLE TRIGGER ALL; ALTER TABLE audit_chain DISABLE TRIGGER "
              "ALL"
            : "DROP TRIGGER audit_log_no_update; DROP TRIGGER audit_log_no_delete;"
              "DROP TRIGGER audit_chain_no_update; DROP TRIGGER audit_chain_no_delete");
}

static void three_changes(service *s) {
    make_widget(s, 0, "{\"name\":\"a\"}");
    make_widget(s, 1, "{\"name\":\"b\"}");
    make_widget(s, 2, "{\"name\":\"c\"}");
}

ON_SERVICE(api_audit, the_chain_is_whole_however_often_it_is_sealed) {
    cr_expect_eq(verify(s, 0), 0);
    three_changes(s);
    cr_expect_eq(verify(s, 0), 0); /* not chained yet is not wrong */
    seal(s, 3);
    seal(s, 0);
    cr_expect_eq(verify(s, 3), 0);
    make_widget(s, 3, "{\"name\":\"d\"}");
    seal(s, 1);
    cr_expect_eq(verify(s, 4), 0);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_unsealed"), 0);
}

ON_SERVICE(api_audit, more_than_a_batch_is_chained) {
    exec(
        s,
        s->store.postgres
            ? "INSERT INTO audit_log (at, actor_id, action, resource_type, changes,"
              " request_metadata, outcome) SELECT i, 'x', 'create', 'y', '{}', '{}', 'success'"
              " FROM generate_series(1, 1234) AS i;"
              "INSERT INTO audit_unsealed SELECT id FROM audit_log"
            : "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234)"
              " INSERT INTO audit_log (at, actor_id, action, resource_type, changes,"
              " request_metadata, outcome) SELECT i, 'x', 'create', 'y', '{}', '{}', 'success'"
              " FROM n; INSERT INTO audit_unsealed SELECT id FROM audit_log");
    seal(s, 1234);
    cr_expect_eq(verify(s, 1234), 0);
}

ON_SERVICE(api_audit, entries_cannot_be_changed_or_deleted) {
    static const char *const CHANGES[] = {
        "UPDATE audit_log SET actor_id = 'me'",
        "DELETE FROM audit_log",
        "UPDATE audit_chain SET hash = ''",
        "DELETE FROM audit_chain",
    };
    three_changes(s);
    seal(s, 3);
    for (size_t i = 0; i < 4; i++) {
        aicp_error err = {0};
        cr_expect_neq(aicpi_sql_exec(s->db, CHANGES[i], &err), AICP_OK, "%s", CHANGES[i]);
    }
    cr_expect_eq(verify(s, 3), 0);
}

ON_SERVICE(api_audit, verify_finds_a_changed_entry) {
    three_changes(s);
    seal(s, 3);
    unguard(s);
    exec(s, "UPDATE audit_log SET actor_id = 'me' WHERE id = 2");
    cr_expect_eq(verify(s, 1), 2);
}

ON_SERVICE(api_audit, verify_finds_a_deleted_entry_and_a_cut_end) {
    three_changes(s);
    seal(s, 3);
    unguard(s);
    exec(s, "DELETE FROM audit_log WHERE id = 2");
    cr_expect_eq(verify(s, 1), 2);
    exec(s, "DELETE FROM audit_chain WHERE position > 1; DELETE FROM audit_log WHERE id > 1");
    cr_expect_eq(verify(s, 1), 2);
}

ON_SERVICE(api_audit, verify_finds_an_entry_that_was_slipped_in) {
    three_changes(s);
    seal(s, 3);
    exec(
        s,
        "INSERT INTO audit_log (at, actor_id, action, resource_type, changes, request_metadata,"
        " outcome) VALUES (1, 'x', 'create', 'y', '{}', '{}', 'success')");
    cr_expect_eq(verify(s, 3), 4);
}

ON_SERVICE(api_audit, an_intent_left_behind_becomes_an_unknown_entry) {
    reply r = post(s, "/api/v1/intent", "{}");
    REPLY_IS(r, 200);
    reply_free(&r);
    aicp_error err = {0};
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 0);
    cr_assert_eq(aicps_audit_recover(s->db, 1, &err), AICP_OK); /* nothing is that old */
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 0);
    cr_assert_eq(aicps_audit_recover(s->db, INT64_MAX, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(aicps_audit_recover(s->db, INT64_MAX, &err), AICP_OK, "%s", err.message);
    cr_expect_eq(
        number_of(
            s,
            "SELECT COUNT(*) FROM audit_log WHERE outcome = 'unknown' AND actor_id = 'root'"
            " AND resource_id = 'k' AND changes LIKE '%\"x\":1%'"),
        1);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 1);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_intents"), 0);
    seal(s, 1);
    cr_expect_eq(verify(s, 1), 0);
}

ON_SERVICE(api_audit, the_log_is_read_filtered_and_exported) {
    three_changes(s);
    reply r = get(s, "/api/v1/audit-logs?action=create&actor_id=root&limit=2");
    REPLY_IS(r, 200);
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "3");
    struct json_object *first = json_object_array_get_idx(r.json, 0);
    cr_expect_eq(aicps_int(first, "id"), 3);
    cr_expect_str_eq(aicps_text(first, "resource_name").data, "c");
    struct json_object *changes = aicps_member(first, "changes");
    cr_expect(aicps_is_null(changes, "before"));
    cr_expect_str_eq(aicps_text(aicps_member(changes, "after"), "name").data, "c");
    cr_expect_str_eq(aicps_text(aicps_member(first, "request_metadata"), "method").data, "POST");
    reply_free(&r);
    r = get(s, "/api/v1/audit-logs?timestamp.gte=2026-02-30");
    REPLY_IS(r, 422);
    reply_free(&r);
    r = get(s, "/api/v1/audit-logs/2");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = get(s, "/api/v1/audit-logs/2x");
    REPLY_IS(r, 404);
    reply_free(&r);
    r = delete_at(s, "/api/v1/audit-logs/2");
    REPLY_IS(r, 405);
    reply_free(&r);
    r = get(s, "/api/v1/audit-logs/export");
    REPLY_IS(r, 200);
    cr_expect_eq(
        strncmp(
            r.body,
            "id,timestamp,actor_id,actor_email,actor_ip,org_id,action,resource_type,resource_id,"
            "resource_name,changes,outcome\r\n3,",
            112),
        0,
        "%s",
        r.body);
    cr_expect_str_eq(
        header_of(&r, "Content-Disposition"), "attachment; filename=\"audit_logs.csv\"");
    reply_free(&r);
    r = get(s, "/api/v1/audit-logs/export?format=json&limit=2");
    REPLY_IS(r, 200);
    cr_expect_eq(json_object_array_length(r.json), 2);
    reply_free(&r);
    r = get(s, "/api/v1/audit-logs/export?format=pdf");
    REPLY_IS(r, 422);
    reply_free(&r);
    r = call_as(s, "ann", "GET", "/api/v1/audit-logs", NULL, NULL);
    cr_expect_eq(json_object_array_length(r.json), 0);
    reply_free(&r);
}
