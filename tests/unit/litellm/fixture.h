/* A client and a reply at a server of the test's own. */
#ifndef TESTS_UNIT_LITELLM_FIXTURE_H
#define TESTS_UNIT_LITELLM_FIXTURE_H

#include "aicp/litellm.h"

#include "unit/net/http_server.h"

typedef struct fixture {
    http_server *server;
    aicp_litellm *client;
    aicp_litellm_reply *reply;
} fixture;

void make(fixture *f, http_handler handler, const aicp_litellm_options *options);
void make_with(fixture *f, http_handler handler, void *user, const aicp_litellm_options *options);
void finish(fixture *f);
/* Answers with what was asked, ["METHOD target",body], so that a test can look at it. */
void mirror(void *user, const http_request *q, http_connection *c);
void expect_body(const fixture *f, const char *wanted);

#endif
