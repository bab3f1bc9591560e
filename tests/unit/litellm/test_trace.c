/* Calls inside the caller's traces. */
#include "unit/litellm/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HEADER "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

typedef struct seen {
    char call[100];
    int32_t status;
    int begun;
    int ended;
    bool silent;
} seen;

static void
begin(void *user, const char *method, const char *path, size_t path_len, char *header, void *room) {
    seen *s = user;
    s->begun++;
    snprintf(s->call, sizeof s->call, "%s %.*s", method, (int)path_len, path);
    memset(room, s->begun, AICP_LITELLM_TRACE_ROOM);
    snprintf(header, 56, "%s", s->silent ? "" : HEADER);
}

static void end(void *user, int32_t status, void *room) {
    seen *s = user;
    s->ended++;
    s->status = status;
    cr_expect_eq(*(unsigned char *)room, s->begun);
}

static void tell_header(void *user, const http_request *q, http_connection *c) {
    (void)user;
    http_reply(c, 200, "", strstr(q->head, "traceparent: " HEADER) ? "[1]" : "[0]");
}

static void open_traced(fixture *f, seen *s, aicp_litellm_trace *trace) {
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    *trace = (aicp_litellm_trace){s, begin, end};
    o.trace = trace;
    make(f, tell_header, &o);
}

Test(litellm_trace, calls_carry_the_header_they_are_given) {
    fixture f;
    seen s = {0};
    aicp_litellm_trace trace;
    open_traced(&f, &s, &trace);
    cr_assert_eq(aicp_litellm_models(f.client, f.reply, NULL), AICP_OK);
    cr_assert_str_eq(aicp_litellm_reply_body(f.reply, NULL), "[1]");
    cr_assert_str_eq(s.call, "GET /v1/models");
    cr_assert_eq(s.status, 200);
    cr_assert_eq(s.ended, 1);
    s.silent = true;
    cr_assert_eq(aicp_litellm_models(f.client, f.reply, NULL), AICP_OK);
    cr_assert_str_eq(aicp_litellm_reply_body(f.reply, NULL), "[0]");
    finish(&f);
}

Test(litellm_trace, a_call_without_an_answer_ends_with_status_0) {
    fixture f;
    seen s = {0};
    aicp_litellm_trace trace;
    open_traced(&f, &s, &trace);
    http_server_stop(f.server);
    f.server = NULL;
    cr_assert_neq(aicp_litellm_models(f.client, f.reply, NULL), AICP_OK);
    cr_assert_eq(s.begun, 1);
    cr_assert_eq(s.ended, 1);
    cr_assert_eq(s.status, 0);
    aicp_litellm_free(f.client);
    aicp_litellm_reply_free(f.reply);
}

Test(litellm_trace, half_a_trace_is_refused) {
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    aicp_litellm_trace trace = {.begin = begin};
    aicp_litellm *client = NULL;
    aicp_error err = {0};
    o.trace = &trace;
    cr_assert_eq(aicp_litellm_open("http://x", 8, "k", 1, &o, &client, &err), AICP_ERR_INVALID);
    cr_assert_str_eq(err.message, "aicp_litellm_trace needs both functions");
}
