#include "unit/litellm/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

void make(fixture *f, http_handler handler, const aicp_litellm_options *options) {
    make_with(f, handler, f, options);
}

void make_with(fixture *f, http_handler handler, void *user, const aicp_litellm_options *options) {
    char url[64];
    f->server = http_server_start(handler, user);
    int len = snprintf(url, sizeof url, "http://127.0.0.1:%d/", http_server_port(f->server));
    cr_assert_eq(
        aicp_litellm_open(url, (size_t)len, "key-1", 5, options, &f->client, NULL), AICP_OK);
    cr_assert_eq(aicp_litellm_reply_new(NULL, &f->reply, NULL), AICP_OK);
}

void finish(fixture *f) {
    aicp_litellm_reply_free(f->reply);
    aicp_litellm_free(f->client);
    http_server_stop(f->server);
}

void mirror(void *user, const http_request *q, http_connection *c) {
    (void)user;
    char body[2048];
    cr_assert(strstr(q->head, "Authorization: Bearer key-1"));
    snprintf(
        body, sizeof body, "[\"%s %s\",%s]", q->method, q->target, q->body_len ? q->body : "null");
    http_reply(
        c, 200, "Content-Type: application/json\r\nx-litellm-response-cost: 1e-06\r\n", body);
}

void expect_body(const fixture *f, const char *wanted) {
    size_t len = 0;
    const char *body = aicp_litellm_reply_body(f->reply, &len);
    cr_assert_str_eq(body, wanted);
    cr_assert_eq(len, strlen(wanted));
}
