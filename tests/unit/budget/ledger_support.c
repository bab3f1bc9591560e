#include "unit/budget/ledger_support.h"

#include "lib/sql/sql.h"
#include "unit/net/http_server.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- a store behind a server ---- */

struct http_store {
    aicp_ledger *ledger;
    http_server *server;
    char url[64];
    atomic_int lost;
    atomic_bool away;
};

static http_store *running; /* of this test */

static void serve_one(void *user, const http_request *q, http_connection *connection) {
    http_store *h = user;
    aicp_buf out = AICP_BUF_INIT;
    if (strcmp(q->method, "POST") != 0 || strcmp(q->target, "/api/v1/gate/leases") != 0 ||
        !strstr(q->head, HTTP_STORE_KEY)) {
        http_reply(connection, 401, "", "{}");
        return;
    }
    if (atomic_load(&h->away)) {
        http_reply(connection, 503, "", "{}");
        return;
    }
    aicp_status s = aicp_ledger_serve(h->ledger, q->body, q->body_len, &out, NULL);
    if (s != AICP_OK) {
        http_reply(connection, 400, "", aicp_status_name(s));
        return;
    }
    if (atomic_fetch_sub(&h->lost, 1) > 0) {
        http_reset(connection);
    } else {
        char *body = malloc(out.len + 64);
        (void)snprintf(
            body,
            out.len + 64,
            "{\"format\":\"aicp-leases/1\",\"ledger\":%.*s}",
            (int)out.len,
            out.data);
        http_reply(connection, 200, "Content-Type: application/json\r\n", body);
        free(body);
    }
    aicp_buf_free(&out);
}

http_store *http_store_start(const test_store *store) {
    http_store *h = calloc(1, sizeof *h);
    cr_assert_not_null(h);
    h->ledger = open_ledger(store, NULL);
    h->server = http_server_start(serve_one, h);
    (void)snprintf(h->url, sizeof h->url, "http://127.0.0.1:%d", http_server_port(h->server));
    running = h;
    return h;
}

void http_store_stop(http_store *h) {
    running = NULL;
    http_server_stop(h->server);
    aicp_ledger_free(h->ledger);
    free(h);
}

void http_store_lose_answers(http_store *h, int count) {
    atomic_store(&h->lost, count);
}

void http_store_set_away(http_store *h, bool away) {
    atomic_store(&h->away, away);
}

const char *ledger_url(const test_store *store) {
    return running ? running->url : store->url;
}

aicp_ledger *open_ledger(const test_store *store, const aicp_ledger_options *options) {
    aicp_ledger *l = NULL;
    aicp_error err = {0};
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    const char *url = ledger_url(store);
    o = options ? *options : o;
    o.service_key = HTTP_STORE_KEY;
    o.service_key_len = strlen(HTTP_STORE_KEY);
    aicp_status s = aicp_ledger_open(url, strlen(url), &o, &l, &err);
    cr_assert_eq(s, AICP_OK, "%s", err.message);
    return l;
}

uint64_t soon(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return ((uint64_t)t.tv_sec + 30) * SECOND_NS + (uint64_t)t.tv_nsec;
}

void put_account(aicp_ledger *l, const char *id, int64_t limit, const char *duration) {
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    aicp_error err = {0};
    a.limit_nano = limit;
    a.duration = duration;
    a.duration_len = duration ? strlen(duration) : 0;
    aicp_status s = aicp_ledger_account_put(l, id, strlen(id), &a, 0, &err);
    cr_assert_eq(s, AICP_OK, "%s", err.message);
}

aicp_status reserve_on(
    aicp_ledger *l,
    const char *id,
    int64_t amount,
    uint64_t deadline,
    aicp_ledger_result *out,
    const char *const *accounts) {
    aicp_ledger_text names[3];
    aicp_ledger_request r = AICP_LEDGER_REQUEST_INIT;
    while (r.accounts_count < 3 && accounts[r.accounts_count]) {
        names[r.accounts_count].data = accounts[r.accounts_count];
        names[r.accounts_count].len = strlen(accounts[r.accounts_count]);
        r.accounts_count++;
    }
    r.id = id;
    r.id_len = strlen(id);
    r.accounts = names;
    r.amount_nano = amount;
    r.deadline_ns = deadline;
    return aicp_ledger_reserve(l, &r, out, NULL);
}

aicp_status reserve(aicp_ledger *l, const char *id, const char *account, int64_t amount) {
    const char *accounts[] = {account, NULL};
    return reserve_on(l, id, amount, UINT64_MAX / 2, NULL, accounts);
}

aicp_status settle(aicp_ledger *l, const char *id, int64_t actual) {
    return aicp_ledger_settle(l, id, strlen(id), actual, NULL, NULL);
}

aicp_status release(aicp_ledger *l, const char *id) {
    return aicp_ledger_release(l, id, strlen(id), NULL);
}

void flush(aicp_ledger *l) {
    aicp_error err = {0};
    cr_assert_eq(aicp_ledger_flush(l, 0, &err), AICP_OK, "%s", err.message);
}

aicp_ledger_status status_of(aicp_ledger *l, const char *account) {
    aicp_ledger_status st = AICP_LEDGER_STATUS_INIT;
    aicp_error err = {0};
    aicp_status s =
        aicp_ledger_account_status(l, account, strlen(account), UINT64_MAX / 2, &st, &err);
    cr_assert_eq(s, AICP_OK, "%s", err.message);
    return st;
}

int64_t query_i64(const test_store *store, const char *text) {
    aicpi_sql *db = NULL;
    aicpi_sql_stmt *q = NULL;
    aicp_error err = {0};
    bool row = false;
    cr_assert_eq(aicpi_sql_open(store->url, strlen(store->url), NULL, &db, &err), AICP_OK);
    cr_assert_eq(aicpi_sql_prepare(db, text, &q, &err), AICP_OK);
    cr_assert_eq(aicpi_sql_step(q, &row, &err), AICP_OK, "%s", err.message);
    int64_t n = row ? aicpi_sql_i64(q, 0) : 0;
    aicpi_sql_free(db);
    return n;
}

void check_books(const test_store *store) {
    cr_assert_eq(
        query_i64(
            store,
            "SELECT count(*) FROM aicp_budget_window w WHERE held <> coalesce(("
            "SELECT sum(h.amount) FROM aicp_budget_hold h"
            " WHERE h.account = w.account AND h.seq = w.seq), 0)"),
        0,
        "held is not the sum over the nodes' holds");
    cr_assert_eq(
        query_i64(
            store,
            "SELECT count(*) FROM aicp_budget_window w WHERE spent <> coalesce(("
            "SELECT sum(r.actual) FROM aicp_budget_reservation r"
            " WHERE r.account = w.account AND r.seq = w.seq AND r.state = 1), 0)"
            " + coalesce((SELECT sum(a.amount) FROM aicp_budget_adjustment a"
            " WHERE a.account = w.account AND a.seq = w.seq), 0)"),
        0,
        "spend is not the sum over reservations and adjustments");
}
