/* A gate whose budgets are behind a server. */
#include "unit/gate/gate_support.h"
#include "unit/net/http_server.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "a service key of thirty-two bytes or more"

typedef struct plane {
    gate_folder folder;
    aicp_ledger *ledger;
    http_server *server;
    char url[64];
    atomic_bool away;
} plane;

static void serve(void *user, const http_request *q, http_connection *connection) {
    plane *p = user;
    aicp_buf out = AICP_BUF_INIT;
    if (!strstr(q->head, KEY) || strcmp(q->target, "/api/v1/gate/leases") != 0) {
        http_reply(connection, 401, "", "{}");
    } else if (atomic_load(&p->away)) {
        http_reply(connection, 503, "", "{}");
    } else if (aicp_ledger_serve(p->ledger, q->body, q->body_len, &out, NULL) != AICP_OK) {
        http_reply(connection, 400, "", "{}");
    } else {
        size_t size = out.len + 64;
        char *body = malloc(size);
        cr_assert_not_null(body);
        (void)snprintf(
            body, size, "{\"format\":\"aicp-leases/1\",\"ledger\":%.*s}", (int)out.len, out.data);
        http_reply(connection, 200, "", body);
        free(body);
    }
    aicp_buf_free(&out);
}

static void plane_start(plane *p) {
    aicp_error err = {0};
    memset(p, 0, sizeof *p);
    p->folder = gate_folder_standard();
    gate_write(&p->folder, "limits.json", NULL);
    gate_write(
        &p->folder,
        "accounts.json",
        "[{\"id\":\"shared\",\"match\":{\"team\":[\"shared\"]},\"hard\":\"100\","
        "\"duration\":\"never\"}]");
    gate_seal(&p->folder, "remote");
    cr_assert_eq(
        aicp_ledger_open("sqlite::memory:", 15, NULL, &p->ledger, &err),
        AICP_OK,
        "%s",
        err.message);
    p->server = http_server_start(serve, p);
    (void)snprintf(p->url, sizeof p->url, "http://127.0.0.1:%d", http_server_port(p->server));
}

static void plane_stop(plane *p) {
    http_server_stop(p->server);
    aicp_ledger_free(p->ledger);
    gate_folder_remove(&p->folder);
}

static aicp_gate *open_gate(const plane *p) {
    aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
    aicp_gate *gate = NULL;
    aicp_error err = {0};
    o.bundle_path = p->folder.path;
    o.store_url = p->url;
    o.rates_url = "sqlite::memory:";
    o.service_key = KEY;
    cr_assert_eq(aicp_gate_open(&o, &gate, &err), AICP_OK, "%s", err.message);
    return gate;
}

/* The HTTP status of a request of the team; what is admitted is booked at its worst case. */
static int ask(aicp_gate *gate, int64_t *booked) {
    const char *body = gate_chat("gpt-4o", "Hello");
    aicp_gate_request *request = NULL;
    aicp_gate_decision *d = NULL;
    aicp_error err = {0};
    cr_assert_eq(aicp_gate_request_new(gate, &request, &err), AICP_OK);
    cr_assert_eq(aicp_gate_request_set_body(request, body, strlen(body), &err), AICP_OK);
    cr_assert_eq(aicp_gate_request_set(request, AICP_GATE_TEAM, "shared", 6, &err), AICP_OK);
    cr_assert_eq(aicp_gate_check(gate, request, UINT64_C(5000000000), &d, &err), AICP_OK);
    int status = 200;
    if (aicp_gate_decision_verdict(d) == AICP_GATE_ALLOW) {
        int64_t cost = aicp_gate_decision_reserved_nano(d);
        *booked += cost;
        cr_assert_eq(aicp_gate_settle(gate, d, NULL, cost, NULL, &err), AICP_OK);
    } else {
        status = (int)aicp_gate_decision_http_status(d);
    }
    aicp_gate_decision_free(d);
    aicp_gate_request_free(request);
    return status;
}

static int64_t spent(const plane *p) {
    aicp_ledger_status st = AICP_LEDGER_STATUS_INIT;
    aicp_error err = {0};
    aicp_status s = aicp_ledger_account_status(p->ledger, "shared", 6, UINT64_MAX / 2, &st, &err);
    cr_assert_eq(s, AICP_OK, "%s", err.message);
    return st.spent_nano;
}

Test(remote_ledger, a_gate_books_through_its_server, .timeout = 60) {
    plane p;
    int64_t booked = 0;
    plane_start(&p);
    aicp_gate *gate = open_gate(&p);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(ask(gate, &booked), 200);
    }
    aicp_gate_free(gate);
    cr_assert_gt(booked, 0);
    cr_assert_eq(spent(&p), booked);
    plane_stop(&p);
}

Test(remote_ledger, a_gate_starts_while_its_server_is_away, .timeout = 60) {
    plane p;
    int64_t booked = 0;
    plane_start(&p);
    atomic_store(&p.away, true);
    aicp_gate *gate = open_gate(&p);
    cr_assert_eq(ask(gate, &booked), 503, "it cannot tell");
    cr_assert_neq(aicp_gate_flush(gate, NULL), AICP_OK);
    atomic_store(&p.away, false);
    aicp_error err = {0};
    cr_assert_eq(aicp_gate_flush(gate, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(ask(gate, &booked), 200, "the accounts are known now");
    aicp_gate_free(gate);
    cr_assert_eq(spent(&p), booked);
    plane_stop(&p);
}
