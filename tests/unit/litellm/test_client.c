#include "aicp/litellm.h"

#include "unit/net/http_server.h"
#include "unit/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

typedef struct fixture {
    http_server *server;
    aicp_litellm *client;
    aicp_litellm_reply *reply;
} fixture;

static void make(fixture *f, http_handler handler, const aicp_litellm_options *options) {
    char url[64];
    f->server = http_server_start(handler, f);
    int len = snprintf(url, sizeof url, "http://127.0.0.1:%d/", http_server_port(f->server));
    cr_assert_eq(
        aicp_litellm_open(url, (size_t)len, "key-1", 5, options, &f->client, NULL), AICP_OK);
    cr_assert_eq(aicp_litellm_reply_new(NULL, &f->reply, NULL), AICP_OK);
}

static void finish(fixture *f) {
    aicp_litellm_reply_free(f->reply);
    aicp_litellm_free(f->client);
    http_server_stop(f->server);
}

/* Answers with what was asked, so that a test can look at it. */
static void mirror(void *user, const http_request *q, http_connection *c) {
    (void)user;
    char body[2048];
    cr_assert(strstr(q->head, "Authorization: Bearer key-1"));
    snprintf(
        body, sizeof body, "[\"%s %s\",%s]", q->method, q->target, q->body_len ? q->body : "null");
    http_reply(
        c, 200, "Content-Type: application/json\r\nx-litellm-response-cost: 1e-06\r\n", body);
}

static void expect_body(const fixture *f, const char *wanted) {
    size_t len = 0;
    const char *body = aicp_litellm_reply_body(f->reply, &len);
    cr_assert_str_eq(body, wanted);
    cr_assert_eq(len, strlen(wanted));
}

Test(litellm, calls_ask_for_what_they_should) {
    fixture f;
    aicp_error err = {0};
    make(&f, mirror, NULL);
    cr_assert_eq(aicp_litellm_health(f.client, f.reply, &err), AICP_OK, "%s", err.message);
    expect_body(&f, "[\"GET /health/readiness\",null]");
    cr_assert_eq(aicp_litellm_models(f.client, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"GET /v1/models\",null]");
    cr_assert_eq(aicp_litellm_model_info(f.client, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"GET /model/info\",null]");
    cr_assert_eq(aicp_litellm_key_generate(f.client, "{\"a\":1}", 7, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /key/generate\",{\"a\":1}]");
    cr_assert_eq(aicp_litellm_key_update(f.client, "{}", 2, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /key/update\",{}]");
    cr_assert_eq(aicp_litellm_key_delete(f.client, "h\"1", 3, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /key/delete\",{\"keys\":[\"h\\\"1\"]}]");
    cr_assert_eq(aicp_litellm_team_new(f.client, "{}", 2, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /team/new\",{}]");
    cr_assert_eq(aicp_litellm_team_info(f.client, "a b&c", 5, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"GET /team/info?team_id=a%20b%26c\",null]");
    cr_assert_eq(aicp_litellm_team_list(f.client, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"GET /team/list\",null]");
    cr_assert_eq(aicp_litellm_team_update(f.client, "{}", 2, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /team/update\",{}]");
    cr_assert_eq(aicp_litellm_team_delete(f.client, "t1", 2, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /team/delete\",{\"team_ids\":[\"t1\"]}]");
    cr_assert_eq(aicp_litellm_chat(f.client, "{}", 2, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /v1/chat/completions\",{}]");
    cr_assert_eq(
        aicp_litellm_call(f.client, "DELETE", "/fallback/m", NULL, 0, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"DELETE /fallback/m\",null]");
    finish(&f);
}

Test(litellm, a_key_travels_as_its_hash) {
    fixture f;
    make(&f, mirror, NULL);
    cr_assert_eq(aicp_litellm_key_info(f.client, "sk-abc", 6, f.reply, NULL), AICP_OK);
    size_t len = 0;
    const char *body = aicp_litellm_reply_body(f.reply, &len);
    cr_assert_null(strstr(body, "sk-abc"));
    cr_assert_eq(len, strlen("[\"GET /key/info?key=\",null]") + 64);
    cr_assert_eq(aicp_litellm_key_info(f.client, "0123", 4, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"GET /key/info?key=0123\",null]");
    finish(&f);
}

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

static void three_pages(void *user, const http_request *q, http_connection *c) {
    (void)user;
    int page = 0;
    cr_assert_eq(sscanf(q->target, "/key/list?page=%d&", &page), 1);
    cr_assert(strstr(q->target, "return_full_object=true"));
    static const char *const PAGES[] = {
        "{\"token\":\"a\"},{\"token\":\"b\"}", "{\"token\":\"c\"}", ""};
    char body[256];
    snprintf(
        body,
        sizeof body,
        "{\"keys\":[%s],\"total_count\":3,\"current_page\":%d,\"total_pages\":3}",
        PAGES[page - 1],
        page);
    http_reply(c, 200, "", body);
}

Test(litellm, key_list_joins_all_pages) {
    fixture f;
    make(&f, three_pages, NULL);
    cr_assert_eq(aicp_litellm_key_list(f.client, f.reply, NULL), AICP_OK);
    expect_body(&f, "[{\"token\":\"a\"},{\"token\":\"b\"},{\"token\":\"c\"}]");
    cr_assert_eq(http_server_requests(f.server), 3);
    finish(&f);
}

static void not_json(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reply(c, 200, "", "<html>");
}

Test(litellm, an_answer_that_must_be_read_has_to_be_json) {
    fixture f;
    make(&f, not_json, NULL);
    cr_assert_eq(aicp_litellm_key_list(f.client, f.reply, NULL), AICP_ERR_PARSE);
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
    cr_assert_str_eq(aicp_litellm_reply_message(f.reply), "<html>Too large</html>");
    finish(&f);
}

/* ---- streams -------------------------------------------------------------------------------- */

typedef struct events {
    char text[2048];
    int stop_after;
} events;

static int32_t collect(void *user, const char *data, size_t len) {
    events *e = user;
    size_t used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, "%.*s|", (int)len, data);
    return --e->stop_after == 0;
}

#define STREAM_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

static void send_chunk(http_connection *c, const char *text) {
    char size[32];
    snprintf(size, sizeof size, "%zx\r\n", strlen(text));
    http_puts(c, size);
    http_puts(c, text);
    http_puts(c, "\r\n");
}

static void good_stream(void *user, const http_request *q, http_connection *c) {
    (void)user;
    cr_assert_str_eq(q->body, "{\"stream\":true}");
    http_puts(c, STREAM_HEAD);
    send_chunk(c, "data: {\"n\":1}\n\nda");
    send_chunk(c, "ta: {\"n\":2}\n\n");
    send_chunk(c, "data: {\"n\":3,\"usage\":{}}\n\ndata: [DONE]\n\n");
    http_puts(c, "0\r\n\r\n");
}

static aicp_status stream(fixture *f, events *e, aicp_error *err) {
    static const char BODY[] = "{\"stream\":true}";
    return aicp_litellm_chat_stream(f->client, BODY, sizeof BODY - 1, collect, e, f->reply, err);
}

Test(litellm, a_stream_gives_event_after_event) {
    fixture f;
    events e = {.stop_after = -1};
    aicp_error err = {0};
    make(&f, good_stream, NULL);
    cr_assert_eq(stream(&f, &e, &err), AICP_OK, "%s", err.message);
    cr_assert_str_eq(e.text, "{\"n\":1}|{\"n\":2}|{\"n\":3,\"usage\":{}}|");
    e = (events){.stop_after = 2};
    cr_assert_eq(stream(&f, &e, &err), AICP_ERR_CALLBACK);
    cr_assert_str_eq(e.text, "{\"n\":1}|{\"n\":2}|");
    finish(&f);
}

static void error_before_first(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reply(
        c,
        500,
        "Content-Type: text/event-stream\r\n",
        "data: "
        "{\"error\":{\"message\":\"boom\",\"type\":\"internal_server_error\",\"code\":\"500\"}}"
        "\n\ndata: [DONE]\n\n");
}

Test(litellm, an_error_before_the_first_chunk_is_an_error) {
    fixture f;
    events e = {.stop_after = -1};
    make(&f, error_before_first, NULL);
    cr_assert_eq(stream(&f, &e, NULL), AICP_ERR_LITELLM_SERVER);
    cr_assert_str_eq(aicp_litellm_reply_message(f.reply), "boom");
    cr_assert_str_eq(aicp_litellm_reply_type(f.reply), "internal_server_error");
    cr_assert_str_eq(e.text, "");
    finish(&f);
}

static void error_in_the_middle(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_puts(c, STREAM_HEAD);
    send_chunk(c, "data: {\"n\":1}\n\n");
    send_chunk(
        c,
        "data: {\"error\":{\"message\":\"spent\",\"type\":\"budget_exceeded\"}}\n\ndata: "
        "[DONE]\n\n");
    http_puts(c, "0\r\n\r\n");
}

Test(litellm, an_error_in_the_middle_of_a_stream_is_an_error) {
    fixture f;
    events e = {.stop_after = -1};
    aicp_error err = {0};
    make(&f, error_in_the_middle, NULL);
    cr_assert_eq(stream(&f, &e, &err), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert(strstr(err.message, "spent"));
    cr_assert_str_eq(e.text, "{\"n\":1}|");
    finish(&f);
}

static void cut_stream(void *user, const http_request *q, http_connection *c) {
    (void)user;
    http_puts(c, STREAM_HEAD);
    send_chunk(c, "data: {\"n\":1}\n\n");
    if (q->number == 1) {
        http_puts(c, "0\r\n\r\n"); /* a clean end without [DONE] */
    } else {
        http_reset(c);
    }
}

Test(litellm, a_stream_that_ends_early_is_an_error) {
    fixture f;
    make(&f, cut_stream, NULL);
    for (int i = 0; i < 2; i++) {
        events e = {.stop_after = -1};
        cr_assert_eq(stream(&f, &e, NULL), AICP_ERR_IO);
        cr_assert_eq(http_server_requests(f.server), i + 1, "never repeated");
    }
    finish(&f);
}

static void refuse_stream(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reply(c, 429, "", "{\"error\":{\"message\":\"slow down\",\"type\":\"throttling_error\"}}");
}

Test(litellm, a_refused_stream_is_told_like_any_refusal) {
    fixture f;
    events e = {.stop_after = -1};
    make(&f, refuse_stream, NULL);
    cr_assert_eq(stream(&f, &e, NULL), AICP_ERR_RATE_LIMITED);
    cr_assert_str_eq(aicp_litellm_reply_message(f.reply), "slow down");
    finish(&f);
}

static void never(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_wait_for_end(c);
}

Test(litellm, slow_answers_time_out) {
    fixture f;
    events e = {.stop_after = -1};
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    o.timeout_ms = 150;
    o.chat_timeout_ms = 150;
    make(&f, never, &o);
    cr_assert_eq(aicp_litellm_models(f.client, f.reply, NULL), AICP_ERR_TIMEOUT);
    cr_assert_eq(aicp_litellm_reply_status(f.reply), 0);
    cr_assert_eq(stream(&f, &e, NULL), AICP_ERR_TIMEOUT);
    finish(&f);
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

typedef struct target {
    char url[64];
} target;

static bool client_body(void *user, const aicp_allocator *a) {
    const target *t = user;
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    o.allocator = a;
    aicp_litellm *client = NULL;
    aicp_litellm_reply *reply = NULL;
    aicp_status status = aicp_litellm_open(t->url, strlen(t->url), "key-1", 5, &o, &client, NULL);
    if (status == AICP_OK) {
        status = aicp_litellm_reply_new(a, &reply, NULL);
    }
    if (status == AICP_OK) {
        status = aicp_litellm_key_list(client, reply, NULL);
    }
    aicp_litellm_reply_free(reply);
    aicp_litellm_free(client);
    return true;
}

Test(litellm, survives_every_failing_allocation) {
    http_server *server = http_server_start(three_pages, NULL);
    target t;
    snprintf(t.url, sizeof t.url, "http://127.0.0.1:%d", http_server_port(server));
    cr_assert_gt(test_every_allocation_failing(client_body, &t), 5);
    http_server_stop(server);
}
