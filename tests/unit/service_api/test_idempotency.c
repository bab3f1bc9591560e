/* The same POST with the same key has one effect. */
#include "unit/service_api/service.h"

#include <pthread.h>
#include <string.h>

static reply keyed(service *s, const char *who, const char *key, const char *body) {
    char header[600];
    (void)snprintf(header, sizeof header, "Idempotency-Key: %s", key);
    return call_as(s, who, "POST", "/api/v1/widgets", header, body);
}

ON_SERVICE(api_idempotency, the_second_answer_is_the_first) {
    reply a = keyed(s, "root", "k1", "{\"name\":\"w\"}");
    reply b = keyed(s, "root", "k1", "{\"name\":\"w\"}");
    REPLY_IS(a, 200);
    REPLY_IS(b, 200);
    cr_expect_str_eq(a.body, b.body);
    cr_expect_str_eq(header_of(&b, "Idempotency-Replayed"), "true");
    cr_expect_str_eq(header_of(&b, "ETag"), "\"1\"");
    reply c = keyed(s, "root", "k1", "{\"name\":\"other\"}");
    REPLY_IS(c, 422);
    cr_expect_str_eq(aicps_text(c.json, "type").data, "idempotency_key_reused");
    reply d = keyed(s, "robot", "k1", "{\"name\":\"of-robot\"}"); /* keys are each caller's own */
    REPLY_IS(d, 200);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets"), 2);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 2);
    reply_free(&a);
    reply_free(&b);
    reply_free(&c);
    reply_free(&d);
}

ON_SERVICE(api_idempotency, a_failed_request_does_not_use_the_key_up) {
    hooks.fail = true;
    reply r = keyed(s, "root", "k", "{\"name\":\"w\"}");
    REPLY_IS(r, 500);
    reply_free(&r);
    hooks.fail = false;
    r = keyed(s, "root", "k", "{\"name\":\"w\"}");
    REPLY_IS(r, 200);
    cr_expect_str_eq(header_of(&r, "Idempotency-Replayed"), "");
    reply_free(&r);
}

ON_SERVICE(api_idempotency, old_keys_are_free_again) {
    aicp_error err = {0};
    reply r = keyed(s, "root", "k", "{\"name\":\"w\"}");
    reply_free(&r);
    cr_assert_eq(
        aicpi_sql_exec(s->db, "UPDATE api_idempotency SET at = at - 86401000000000", &err),
        AICP_OK);
    r = keyed(s, "root", "k", "{\"name\":\"x\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    cr_assert_eq(
        aicpi_sql_exec(s->db, "UPDATE api_idempotency SET at = at - 86401000000000", &err),
        AICP_OK);
    cr_assert_eq(aicps_idempotency_expire(s->db, &err), AICP_OK);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM api_idempotency"), 0);
}

ON_SERVICE(api_idempotency, a_bad_key_is_422) {
    char key[300];
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    static const char *const BAD[] = {"a b", NULL};
    reply r = keyed(s, "root", BAD[0], "{\"name\":\"w\"}");
    REPLY_IS(r, 422);
    reply_free(&r);
    r = keyed(s, "root", key, "{\"name\":\"w\"}");
    REPLY_IS(r, 422);
    reply_free(&r);
}

static void *send_one(void *user) {
    reply r = keyed(user, "root", "same", "{\"name\":\"w\"}");
    cr_assert_eq(r.status, 200, "%d %s", r.status, r.body);
    reply_free(&r);
    return NULL;
}

ON_SERVICE(api_idempotency, of_requests_at_once_one_has_the_effect) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, send_one, s), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets"), 1);
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM audit_log"), 1);
}
