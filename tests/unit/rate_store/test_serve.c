/* Leases for gates that reach the store only through a server. */
#include "lib/gate/rate_store.h"

#include "unit/sql/stores.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static aicp_rate_store *server_of(const test_store *at) {
    aicp_rate_store *server = NULL;
    aicp_error err = {0};
    cr_assert_eq(
        aicp_rate_store_open(at->url, strlen(at->url), &server, &err), AICP_OK, "%s", err.message);
    return server;
}

/* The answer to one message of `rates` of a node; static buffer. */
static const char *ask(aicp_rate_store *server, const char *boot, const char *rates) {
    static char answer[8192];
    char message[8192];
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    int n = snprintf(
        message,
        sizeof message,
        "{\"format\":\"aicp-leases/"
        "1\",\"node\":\"host\",\"boot\":\"%s\",\"rates\":%s,\"ledger\":{}}",
        boot,
        rates);
    cr_assert_eq(
        aicp_rate_store_serve(server, message, (size_t)n, &out, &err), AICP_OK, "%s", err.message);
    cr_assert_lt(out.len, sizeof answer);
    memcpy(answer, out.data, out.len);
    answer[out.len] = '\0';
    aicp_buf_free(&out);
    return answer;
}

#define RATE(need, more)                                                                           \
    "[{\"key\":\"cg==\",\"kind\":\"requests\",\"algorithm\":\"gcra\",\"limit\":10,\"burst\":10,"   \
    "\"window_ns\":31000000000000000,\"need\":" #need ",\"ttl_ns\":1000000000,"                    \
    "\"timeout_ns\":3000000000" more "}]"

TEST_BOTH_STORES(serve, grants_what_the_limit_holds_and_no_more) {
    aicp_rate_store *server = server_of(store);
    cr_assert_not_null(strstr(ask(server, "a", RATE(6, "")), "{\"granted\":6,"));
    cr_assert_not_null(strstr(ask(server, "b", RATE(4, "")), "{\"granted\":4,"));
    const char *answer = ask(server, "b", RATE(1, ""));
    cr_assert_not_null(strstr(answer, "{\"granted\":0,\"retry_after_ns\":"), "%s", answer);
    cr_assert_not_null(strstr(answer, "\"nodes\":2}"), "%s", answer);
    ask(server, "b", RATE(0, ",\"returned\":3"));
    cr_assert_not_null(strstr(ask(server, "a", RATE(3, "")), "{\"granted\":3,"));
    cr_assert_not_null(strstr(ask(server, "a", RATE(11, "")), "\"retry_after_ns\":-1"), "never");
    aicp_rate_store_free(server);
}

TEST_BOTH_STORES(serve, counts_together_with_gates_that_have_the_store) {
    aicp_rate_store *server = server_of(store);
    aicp_rate_store *direct = NULL;
    aicp_error err = {0};
    cr_assert_eq(
        aicpi_rate_store_open(store->url, strlen(store->url), "n", 1, NULL, &direct, &err),
        AICP_OK);
    aicp_lease_request q = {
        .size = sizeof q,
        .key = "r",
        .key_len = 1,
        .limit = 10,
        .burst = 10,
        .window_ns = UINT64_C(31000000000000000),
        .need = 7,
        .ttl_ns = 1000000000,
        .timeout_ns = UINT64_C(3000000000)};
    aicp_lease_grant g = {.size = sizeof g};
    cr_assert_eq(aicpi_rate_store_lease(direct, NULL, &q, &g, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(g.granted, 7);
    cr_assert_not_null(strstr(ask(server, "a", RATE(4, "")), "{\"granted\":0,"));
    cr_assert_not_null(strstr(ask(server, "a", RATE(3, "")), "{\"granted\":3,"));
    aicp_rate_store_free(direct);
    aicp_rate_store_free(server);
}

TEST_BOTH_STORES(serve, slots_are_made_renewed_and_released) {
#define SLOT(id, more)                                                                             \
    "[{\"key\":\"cw==\",\"kind\":\"concurrency\",\"algorithm\":\"slots\",\"limit\":1,"             \
    "\"slot\":\"" id "\",\"ttl_ns\":600000000000,\"timeout_ns\":3000000000" more "}]"
    static const char TAKE[] = SLOT("18446744073709551615", ",\"need\":1");
    aicp_rate_store *server = server_of(store);
    cr_assert_not_null(strstr(ask(server, "a", TAKE), "{\"granted\":1,"));
    cr_assert_not_null(strstr(ask(server, "b", SLOT("7", ",\"need\":1")), "{\"granted\":0,"));
    cr_assert_not_null(strstr(ask(server, "a", TAKE), "{\"granted\":1,"), "renewed");
    ask(server, "a", SLOT("18446744073709551615", ",\"returned\":1"));
    cr_assert_not_null(strstr(ask(server, "b", SLOT("7", ",\"need\":1")), "{\"granted\":1,"));
    aicp_rate_store_free(server);
}

static void serve_refuses_messages(test_store *store, const char *message, aicp_status why) {
    aicp_rate_store *server = server_of(store);
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    aicp_status status = aicp_rate_store_serve(server, message, strlen(message), &out, &err);
    cr_assert_eq(status, why, "%s: %s", message, err.message);
    cr_assert_null(out.data);
    cr_assert_neq(err.message[0], '\0');
    aicp_rate_store_free(server);
}

#define HEAD "{\"format\":\"aicp-leases/1\",\"node\":\"n\",\"boot\":\"b\",\"rates\":"

Test(serve, a_message_at_fault_is_refused_as_a_whole) {
    static const struct {
        const char *message;
        aicp_status why;
    } cases[] = {
        {"", AICP_ERR_PARSE},
        {"[]", AICP_ERR_PARSE},
        {"{\"format\":\"aicp-leases/2\",\"node\":\"n\",\"boot\":\"b\"}", AICP_ERR_INVALID},
        {"{\"format\":\"aicp-leases/1\",\"node\":\"\",\"boot\":\"b\"}", AICP_ERR_INVALID},
        {HEAD "{}}", AICP_ERR_PARSE},
        {HEAD "[{}]}", AICP_ERR_INVALID},
        {HEAD "[{\"key\":\"%%\"}]}", AICP_ERR_PARSE},
        {HEAD "[{\"key\":\"\"}]}", AICP_ERR_LIMIT},
        {HEAD "[{\"limit\":-1}]}", AICP_ERR_RANGE},
        {HEAD "[{\"limit\":1000000000000001}]}", AICP_ERR_RANGE},
        {HEAD "[{\"limit\":99999999999999999999}]}", AICP_ERR_RANGE},
        {HEAD "[{\"kind\":\"apples\"}]}", AICP_ERR_INVALID},
        {HEAD "[{\"key\":\"cg==\",\"kind\":\"tokens\",\"algorithm\":\"gcra\"}]}", AICP_ERR_INVALID},
        {HEAD "[{\"key\":\"cg==\",\"kind\":\"tokens\",\"algorithm\":\"slots\",\"slot\":\"1\"}]}",
         AICP_ERR_INVALID},
        {HEAD "[{\"key\":\"cg==\",\"kind\":\"concurrency\",\"algorithm\":\"slots\"}]}",
         AICP_ERR_INVALID},
        {HEAD "[{\"slot\":\"18446744073709551616\"}]}", AICP_ERR_PARSE},
        {HEAD "[{\"slot\":\"-1\"}]}", AICP_ERR_PARSE},
    };
    test_store store;
    test_store_open(&store, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        serve_refuses_messages(&store, cases[i].message, cases[i].why);
    }
    test_store_close(&store);
}

Test(serve, nothing_is_granted_of_a_message_at_fault) {
    test_store store;
    test_store_open(&store, false);
    aicp_rate_store *server = server_of(&store);
    char message[4096];
    aicp_buf out = AICP_BUF_INIT;
    const char *good = RATE(10, "");
    int n = snprintf(message, sizeof message, HEAD "%.*s,{}]}", (int)strlen(good) - 1, good);
    cr_assert_eq(aicp_rate_store_serve(server, message, (size_t)n, &out, NULL), AICP_ERR_INVALID);
    cr_assert_not_null(strstr(ask(server, "a", RATE(10, "")), "{\"granted\":10,"));
    aicp_rate_store_free(server);
    test_store_close(&store);
}

Test(serve, a_message_without_rates_has_an_empty_answer) {
    static const char MESSAGE[] =
        "{\"format\":\"aicp-leases/1\",\"node\":\"n\",\"boot\":\"b\",\"ledger\":{\"x\":1}}";
    test_store store;
    test_store_open(&store, false);
    aicp_rate_store *server = server_of(&store);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_rate_store_serve(server, MESSAGE, sizeof MESSAGE - 1, &out, NULL), AICP_OK);
    cr_assert_eq(out.len, 0);
    aicp_buf_free(&out);
    cr_assert_str_eq(ask(server, "a", "[]"), "[]");
    aicp_rate_store_free(server);
    test_store_close(&store);
}

Test(serve, more_leases_than_a_message_may_hold_are_refused) {
    char message[64 * 1024] = HEAD "[";
    for (int i = 0; i < 65; i++) {
        const char *one = RATE(1, "");
        size_t used = strlen(message);
        snprintf(
            message + used,
            sizeof message - used,
            "%s%.*s",
            i ? "," : "",
            (int)strlen(one) - 2,
            one + 1);
    }
    size_t end = strlen(message);
    snprintf(message + end, sizeof message - end, "]}");
    test_store store;
    test_store_open(&store, false);
    serve_refuses_messages(&store, message, AICP_ERR_LIMIT);
    test_store_close(&store);
}
