#include "unit/litellm/fixture.h"
#include "unit/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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

Test(litellm_stream, a_stream_gives_event_after_event) {
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

Test(litellm_stream, an_error_before_the_first_chunk_is_an_error) {
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

Test(litellm_stream, an_error_in_the_middle_of_a_stream_is_an_error) {
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

Test(litellm_stream, a_stream_that_ends_early_is_an_error) {
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

Test(litellm_stream, a_refused_stream_is_told_like_any_refusal) {
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

Test(litellm_stream, slow_answers_time_out) {
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

/* ---- usage and other kinds of streams ---------------------------------------------------------
 */

static void answer_with(void *user, const http_request *q, http_connection *c) {
    (void)q;
    http_puts(c, STREAM_HEAD);
    send_chunk(c, *(const char **)user);
    http_puts(c, "0\r\n\r\n");
}

static void expect_usage(const fixture *f, const int64_t wanted[5]) {
    aicp_error err = {0};
    aicp_litellm_usage u = AICP_LITELLM_USAGE_INIT;
    cr_assert_eq(aicp_litellm_reply_usage(f->reply, &u, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(u.input_tokens, wanted[0]);
    cr_assert_eq(u.output_tokens, wanted[1]);
    cr_assert_eq(u.total_tokens, wanted[2]);
    cr_assert_eq(u.cached_tokens, wanted[3]);
    cr_assert_eq(u.cost_nano, wanted[4]);
}

typedef struct told {
    const char *stream;
    int64_t usage[5]; /* input, output, total, cached, cost */
} told;

static const told TOLD[] = {
    /* chat, with the usage in a chunk of its own */
    {"data: {\"choices\":[],\"usage\":null}\n\ndata: "
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":8,"
     "\"completion_tokens\":3,\"total_tokens\":11,\"prompt_tokens_details\":{\"cached_tokens\":2},"
     "\"completion_tokens_details\":null,\"cost\":0.00005000000000000001}}\n\ndata: [DONE]\n\n",
     {8, 3, 11, 2, 50000}},
    /* responses, which need no [DONE] */
    {"data: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n"
     "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":4,"
     "\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":2,\"total_tokens\":6}}}\n\n",
     {4, 2, 6, 0, -1}},
    /* messages tell it in two parts */
    {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{"
     "\"input_tokens\":9,\"output_tokens\":1,\"cache_read_input_tokens\":5}}}\n\n"
     "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7.0}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     {9, 7, 16, 5, -1}},
};

Test(litellm_stream, the_usage_of_every_kind_is_told) {
    for (size_t i = 0; i < sizeof TOLD / sizeof *TOLD; i++) {
        fixture f;
        events e = {.stop_after = -1};
        aicp_error err = {0};
        const char *body = TOLD[i].stream;
        make_with(&f, answer_with, &body, NULL);
        cr_assert_eq(
            aicp_litellm_stream(f.client, "/x", "{}", 2, collect, &e, f.reply, &err),
            AICP_OK,
            "%s",
            err.message);
        expect_usage(&f, TOLD[i].usage);
        int64_t cost = 0;
        aicp_status wanted = TOLD[i].usage[4] < 0 ? AICP_ERR_NOT_FOUND : AICP_OK;
        cr_assert_eq(aicp_litellm_reply_cost(f.reply, &cost, NULL), wanted);
        cr_assert(wanted != AICP_OK || cost == TOLD[i].usage[4]);
        finish(&f);
    }
}

static void whole(void *user, const http_request *q, http_connection *c) {
    (void)q;
    http_reply(c, 200, "", *(const char **)user);
}

Test(litellm_stream, the_usage_of_a_whole_answer_is_told_too) {
    fixture f;
    const char *body = "{\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1},\"data\":[]}";
    make_with(&f, whole, &body, NULL);
    aicp_litellm_usage u = AICP_LITELLM_USAGE_INIT;
    cr_assert_eq(aicp_litellm_reply_usage(f.reply, &u, NULL), AICP_ERR_NOT_FOUND);
    cr_assert_eq(aicp_litellm_embedding(f.client, "{}", 2, f.reply, NULL), AICP_OK);
    expect_usage(&f, (const int64_t[]){1, -1, 1, -1, -1});
    body = "{\"usage\":null}";
    cr_assert_eq(aicp_litellm_chat(f.client, "{}", 2, f.reply, NULL), AICP_OK);
    cr_assert_eq(aicp_litellm_reply_usage(f.reply, &u, NULL), AICP_ERR_NOT_FOUND);
    u.size = 0;
    cr_assert_eq(aicp_litellm_reply_usage(f.reply, &u, NULL), AICP_ERR_INVALID);
    finish(&f);
}

typedef struct broken {
    const char *stream;
    aicp_status status;
    int32_t relay;
    const char *message;
    const char *code;
} broken;

static const broken BROKEN[] = {
    {"data: {\"error\":{\"message\":\"slow\",\"type\":\"throttling_error\",\"code\":\"429\"}}\n\n",
     AICP_ERR_RATE_LIMITED,
     429,
     "slow",
     "429"},
    {"data: {\"error\":{\"message\":\"bad\",\"code\":400}}\n\n",
     AICP_ERR_LITELLM_REQUEST,
     400,
     "bad",
     "400"},
    {"data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\","
     "\"message\":\"lost\"}}}\n\n",
     AICP_ERR_LITELLM_SERVER,
     502,
     "lost",
     "server_error"},
    {"data: {\"type\":\"error\",\"code\":\"x\",\"message\":\"flat\",\"param\":null}\n\n",
     AICP_ERR_LITELLM_SERVER,
     502,
     "flat",
     "x"},
    {"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
     "\"message\":\"busy\"}}\n\n",
     AICP_ERR_LITELLM_SERVER,
     502,
     "busy",
     ""},
    {"data: {\"type\":\"message_start\"}\n\n", AICP_ERR_IO, 503, "", ""},
};

Test(litellm_stream, errors_of_every_kind_end_it) {
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++) {
        fixture f;
        events e = {.stop_after = -1};
        const char *body = BROKEN[i].stream;
        make_with(&f, answer_with, &body, NULL);
        aicp_status status =
            aicp_litellm_response_stream(f.client, "{}", 2, collect, &e, f.reply, NULL);
        cr_assert_eq(status, BROKEN[i].status, "%s", body);
        cr_assert_eq(aicp_litellm_reply_relay(f.reply, status), BROKEN[i].relay, "%s", body);
        cr_assert_str_eq(aicp_litellm_reply_message(f.reply), BROKEN[i].message);
        cr_assert_str_eq(aicp_litellm_reply_code(f.reply), BROKEN[i].code);
        cr_assert_eq(http_server_requests(f.server), 1);
        finish(&f);
    }
}

static void error_stream_without_error(void *user, const http_request *q, http_connection *c) {
    (void)user;
    (void)q;
    http_reply(c, 500, "", "data: {\"n\":1}\n\ndata: [DONE]\n\n");
}

Test(litellm_stream, an_error_answer_gives_no_events) {
    fixture f;
    events e = {.stop_after = -1};
    aicp_error err = {0};
    make(&f, error_stream_without_error, NULL);
    cr_assert_eq(stream(&f, &e, &err), AICP_ERR_LITELLM_SERVER);
    cr_assert_str_eq(e.text, "");
    cr_assert_str_eq(aicp_litellm_reply_message(f.reply), "data: {\"n\":1} data: [DONE]");
    cr_assert(strstr(err.message, "data: {\"n\":1}"));
    finish(&f);
}

static void endless(void *user, const http_request *q, http_connection *c) {
    (void)q;
    http_puts(c, STREAM_HEAD);
    send_chunk(c, "data: {\"n\":1}\n\n");
    http_wait_for_end(c); /* only the client's end lets the server stop */
    *(_Atomic int *)user = 1;
}

Test(litellm_stream, stopping_closes_the_connection) {
    fixture f;
    _Atomic int ended = 0;
    events e = {.stop_after = 1};
    make_with(&f, endless, (void *)&ended, NULL);
    cr_assert_eq(stream(&f, &e, NULL), AICP_ERR_CALLBACK);
    cr_assert_eq(aicp_litellm_reply_relay(f.reply, AICP_ERR_CALLBACK), 500);
    http_server *server = f.server;
    f.server = NULL;
    http_server_stop(server); /* waits for the handler */
    cr_assert_eq(ended, 1);
    aicp_litellm_reply_free(f.reply);
    aicp_litellm_free(f.client);
}

/* ---- failing allocations -------------------------------------------------------------------- */

static void both_streams(void *user, const http_request *q, http_connection *c) {
    (void)user;
    http_puts(c, STREAM_HEAD);
    send_chunk(c, "data: {\"a\\n\":[1]}\n\n");
    send_chunk(c, strcmp(q->target, "/bad") == 0 ? BROKEN[0].stream : TOLD[0].stream);
    http_puts(c, "0\r\n\r\n");
}

static bool stream_body(void *user, const aicp_allocator *a) {
    const char *url = user;
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    aicp_litellm_usage usage = AICP_LITELLM_USAGE_INIT;
    o.allocator = a;
    aicp_litellm *client = NULL;
    aicp_litellm_reply *reply = NULL;
    aicp_status status = aicp_litellm_open(url, strlen(url), "key-1", 5, &o, &client, NULL);
    if (status == AICP_OK) {
        status = aicp_litellm_reply_new(a, &reply, NULL);
    }
    static const char *const PATHS[] = {"/good", "/bad"};
    for (size_t i = 0; status == AICP_OK && i < 2; i++) {
        events e = {.stop_after = -1};
        aicp_error err = {0};
        status = aicp_litellm_stream(client, PATHS[i], "{}", 2, collect, &e, reply, &err);
        cr_assert(i == 0 || status != AICP_OK, "an error must not pass for an event");
        cr_assert_eq(err.code, status, "%d for %d: %s", err.code, status, err.message);
        if (status == AICP_OK) {
            cr_assert_eq(aicp_litellm_reply_usage(reply, &usage, NULL), AICP_OK);
        }
    }
    aicp_litellm_reply_free(reply);
    aicp_litellm_free(client);
    return true;
}

Test(litellm_stream, survives_every_failing_allocation) {
    http_server *server = http_server_start(both_streams, NULL);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", http_server_port(server));
    cr_assert_gt(test_every_allocation_failing(stream_body, url), 5);
    http_server_stop(server);
}
