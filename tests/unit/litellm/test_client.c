#include "unit/litellm/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(litellm, cost_and_headers_are_read) {
    fixture f;
    make(&f, mirror, NULL);
    int64_t cost = 0;
    cr_assert_eq(aicp_litellm_reply_cost(f.reply, &cost, NULL), AICP_ERR_NOT_FOUND);
    cr_assert_eq(aicp_litellm_chat(f.client, "{}", 2, f.reply, NULL), AICP_OK);
    cr_assert_eq(aicp_litellm_reply_cost(f.reply, &cost, NULL), AICP_OK);
    cr_assert_eq(cost, 1000);
    cr_assert_eq(aicp_litellm_reply_status(f.reply), 200);
    cr_assert_str_eq(aicp_litellm_reply_header(f.reply, "content-type"), "application/json");
    cr_assert_null(aicp_litellm_reply_header(f.reply, "x-none"));
    finish(&f);
}

static void refuse(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reply(
        c,
        422,
        "retry-after: 7\r\n",
        "{\"error\":{\"message\":\"Budget exceeded\",\"type\":\"budget_exceeded\",\"param\":null,"
        "\"code\":\"422\"}}");
}

Test(litellm, an_error_answer_fills_reply_and_error) {
    fixture f;
    aicp_error err = {0};
    make(&f, refuse, NULL);
    cr_assert_eq(aicp_litellm_chat(f.client, "{}", 2, f.reply, &err), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_str_eq(err.message, "LiteLLM answered 422 budget_exceeded: Budget exceeded");
    cr_assert_eq(aicp_litellm_reply_status(f.reply), 422);
    cr_assert_str_eq(aicp_litellm_reply_type(f.reply), "budget_exceeded");
    cr_assert_str_eq(aicp_litellm_reply_code(f.reply), "422");
    cr_assert_str_eq(aicp_litellm_reply_param(f.reply), "");
    cr_assert_str_eq(aicp_litellm_reply_message(f.reply), "Budget exceeded");
    cr_assert_str_eq(aicp_litellm_reply_header(f.reply, "retry-after"), "7");
    finish(&f);
}

static void page_of_a_proxy(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reply(c, 413, "", "<html>Too large</html>");
}

Test(litellm, an_error_page_of_another_server_is_told) {
    fixture f;
    make(&f, page_of_a_proxy, NULL);
    cr_assert_eq(aicp_litellm_models(f.client, f.reply, NULL), AICP_ERR_LITELLM_REQUEST);
    cr_assert_str_eq(aicp_litellm_reply_message(f.reply), "Too large");
    finish(&f);
}

static void refuse_connection(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reset(c);
}

Test(litellm, what_changes_is_never_sent_twice) {
    fixture f;
    make(&f, refuse_connection, NULL);
    cr_assert_eq(aicp_litellm_key_generate(f.client, "{}", 2, f.reply, NULL), AICP_ERR_IO);
    cr_assert_eq(http_server_requests(f.server), 1);
    cr_assert_eq(aicp_litellm_model_patch(f.client, "m", 1, "{}", 2, f.reply, NULL), AICP_ERR_IO);
    cr_assert_eq(http_server_requests(f.server), 2);
    cr_assert_eq(aicp_litellm_models(f.client, f.reply, NULL), AICP_ERR_IO);
    cr_assert_eq(http_server_requests(f.server), 4, "what reads is");
    finish(&f);
}

/* ---- what a service tells its caller -------------------------------------------------------- */

typedef struct refusal {
    int status;
    const char *body;
    aicp_status outcome;
    int32_t relay;
    const char *message;
} refusal;

static const refusal REFUSALS[] = {
    {302, "", AICP_ERR_LITELLM_REQUEST, 502, "empty body"},
    {400, "{\"detail\":{\"error\":\"no\"}}", AICP_ERR_LITELLM_REQUEST, 400, "no"},
    {401, "{\"error\":{\"message\":\"who\"}}", AICP_ERR_LITELLM_AUTH, 401, "who"},
    {403, "Forbidden", AICP_ERR_LITELLM_AUTH, 403, "Forbidden"},
    {404, "{\"detail\":\"Not Found\"}", AICP_ERR_NOT_FOUND, 404, "Not Found"},
    {409, "{\"error\":\"again\"}", AICP_ERR_EXISTS, 409, "again"},
    {422, "{\"detail\":[{\"loc\":[\"a\"],\"msg\":\"b\"}]}", AICP_ERR_LITELLM_REQUEST, 422, "a: b"},
    {429,
     "{\"error\":{\"type\":\"budget_exceeded\",\"message\":\"spent\"}}",
     AICP_ERR_BUDGET_EXCEEDED,
     429,
     "spent"},
    {500, "Internal Server Error", AICP_ERR_LITELLM_SERVER, 502, "Internal Server Error"},
    {502, "<html><title>502 Bad Gateway</title>", AICP_ERR_LITELLM_SERVER, 502, "502 Bad Gateway"},
    {503, "{\"error\":{\"mess", AICP_ERR_LITELLM_SERVER, 502, "{\"error\":{\"mess"},
    {200, "<html>Log in</html>", AICP_ERR_PARSE, 502, ""},
    {200, "{\"keys\":[", AICP_ERR_PARSE, 502, ""},
    {200, "", AICP_ERR_PARSE, 502, ""},
    {200, "null", AICP_ERR_NOT_FOUND, 404, ""},
    {200, "[]", AICP_ERR_NOT_FOUND, 404, ""},
    {200, "{}", AICP_OK, 200, ""},
};

static void answer_refusal(void *user, const http_request *q, http_connection *c) {
    const refusal *r = *(const refusal **)user;
    (void)q;
    http_reply(c, r->status, "", r->body);
}

Test(litellm, every_answer_has_its_outcome_and_its_relay) {
    fixture f;
    const refusal *r = REFUSALS;
    make_with(&f, answer_refusal, (void *)&r, NULL);
    for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++) {
        aicp_error err = {0};
        r = &REFUSALS[i];
        aicp_status status = aicp_litellm_budget_delete(f.client, "b", 1, f.reply, &err);
        cr_assert_eq(status, r->outcome, "%d %s: %s", r->status, r->body, err.message);
        cr_assert_eq(aicp_litellm_reply_relay(f.reply, status), r->relay, "%d", r->status);
        cr_assert_eq(aicp_litellm_reply_status(f.reply), r->status);
        cr_assert_str_eq(aicp_litellm_reply_message(f.reply), r->message);
        cr_assert((status == AICP_OK) == (err.message[0] == '\0'));
    }
    finish(&f);
}

Test(litellm, a_proxy_that_is_away_is_unavailable) {
    aicp_litellm *client = NULL;
    aicp_litellm_reply *reply = NULL;
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    o.timeout_ms = 50; /* shorter than the pauses between tries */
    cr_assert_eq(aicp_litellm_open("http://127.0.0.1:1", 18, "k", 1, &o, &client, NULL), AICP_OK);
    cr_assert_eq(aicp_litellm_reply_new(NULL, &reply, NULL), AICP_OK);
    aicp_status status = aicp_litellm_team_list(client, reply, NULL);
    cr_assert_eq(status, AICP_ERR_NET_CONNECT);
    cr_assert_eq(aicp_litellm_reply_relay(reply, status), 503);
    cr_assert_eq(aicp_litellm_reply_relay(reply, AICP_ERR_TIMEOUT), 503);
    cr_assert_eq(aicp_litellm_reply_relay(reply, AICP_ERR_INVALID), 422);
    cr_assert_eq(aicp_litellm_reply_relay(reply, AICP_ERR_LIMIT), 502);
    cr_assert_eq(aicp_litellm_reply_relay(reply, AICP_ERR_NOMEM), 500);
    aicp_litellm_reply_free(reply);
    aicp_litellm_free(client);
}

/* ---- misuse --------------------------------------------------------------------------------- */

Test(litellm, bad_arguments_are_errors) {
    aicp_litellm *client = NULL;
    cr_assert_eq(aicp_litellm_open("ftp://x", 7, "k", 1, NULL, &client, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_open("http://x", 8, "", 0, NULL, &client, NULL), AICP_ERR_INVALID);
    cr_assert_eq(
        aicp_litellm_open("http://x", 8, "k\r\nX: y", 7, NULL, &client, NULL), AICP_ERR_INVALID);
    cr_assert_null(client);
    fixture f;
    make(&f, mirror, NULL);
    cr_assert_eq(aicp_litellm_models(NULL, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_models(f.client, NULL, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_key_info(f.client, NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_chat(f.client, NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_call(f.client, "GET", "x", NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(http_server_requests(f.server), 0);
    finish(&f);
}
