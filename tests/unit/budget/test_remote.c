/* A ledger whose store is behind a server: what the network may do to its messages. */
#include "unit/budget/ledger_support.h"

#include "lib/base/arena.h"
#include "lib/budget/remote.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPENT "SELECT coalesce(sum(spent), 0) FROM aicp_budget_window"
#define HELD "SELECT coalesce(sum(held), 0) FROM aicp_budget_window"

typedef struct behind {
    test_store store;
    http_store *server;
} behind;

static void set_up(behind *b, bool postgres) {
    test_store_open(&b->store, postgres);
    b->server = http_store_start(&b->store);
}

static void tear_down(behind *b) {
    http_store_stop(b->server);
    check_books(&b->store);
    test_store_close(&b->store);
}

static void spend_all(aicp_ledger *l, int units) {
    int admitted = 0;
    for (int i = 0; i < units + 5; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        aicp_status s = reserve(l, id, "a", USD);
        cr_assert(s == AICP_OK || s == AICP_ERR_BUDGET_EXCEEDED, "%s", aicp_status_name(s));
        admitted += s == AICP_OK;
        cr_assert(s != AICP_OK || settle(l, id, USD) == AICP_OK);
    }
    cr_assert_eq(admitted, units, "%d admitted", admitted);
}

static void lose_answers(bool postgres) {
    behind b;
    set_up(&b, postgres);
    aicp_ledger *l = open_ledger(&b.store, NULL);
    put_account(l, "a", 40 * USD, NULL);
    cr_assert_eq(reserve(l, "first", "a", USD), AICP_OK);
    for (int i = 0; i < 10; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "lost-%d", i);
        cr_assert_eq(settle(l, i ? id : "first", USD), i ? AICP_ERR_NOT_FOUND : AICP_OK);
        http_store_lose_answers(b.server, 1 + i % 2);
        aicp_status s = reserve(l, id, "a", 2 * USD); /* perhaps, the answer may be lost */
        cr_assert(s == AICP_OK || s == AICP_ERR_STORE, "%s", aicp_status_name(s));
        if (s == AICP_OK) {
            cr_assert_eq(release(l, id), AICP_OK);
        }
        http_store_lose_answers(b.server, 0);
        flush(l);
    }
    cr_assert_eq(query_i64(&b.store, SPENT), USD);
    check_books(&b.store);
    spend_all(l, 39);
    aicp_ledger_free(l);
    cr_assert_eq(query_i64(&b.store, SPENT), 40 * USD);
    cr_assert_eq(query_i64(&b.store, HELD), 0);
    cr_assert_eq(query_i64(&b.store, "SELECT count(*) FROM aicp_budget_node"), 0);
    cr_assert_eq(query_i64(&b.store, "SELECT count(*) FROM aicp_budget_answer"), 0);
    tear_down(&b);
}

Test(remote, a_lost_answer_is_asked_for_again_and_done_once_on_sqlite, .timeout = 120) {
    lose_answers(false);
}

Test(remote, a_lost_answer_is_asked_for_again_and_done_once_on_postgresql, .timeout = 120) {
    lose_answers(true);
}

Test(remote, settling_goes_on_while_the_server_is_away, .timeout = 120) {
    behind b;
    set_up(&b, false);
    aicp_ledger *l = open_ledger(&b.store, NULL);
    put_account(l, "a", 1000 * USD, NULL);
    for (int i = 0; i < 8; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(reserve(l, id, "a", USD), AICP_OK);
    }
    http_store_set_away(b.server, true);
    for (int i = 0; i < 8; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(settle(l, id, USD), AICP_OK);
    }
    cr_assert_neq(aicp_ledger_flush(l, soon() - 29 * SECOND_NS, NULL), AICP_OK);
    const char *accounts[] = {"a", NULL};
    aicp_ledger_result r = AICP_LEDGER_RESULT_INIT;
    cr_assert_eq(reserve_on(l, "inside", USD, 0, &r, accounts), AICP_OK, "inside the hold");
    cr_assert_eq(r.degraded, 1);
    cr_assert_eq(release(l, "inside"), AICP_OK);
    aicp_ledger_status st = AICP_LEDGER_STATUS_INIT;
    cr_assert_eq(
        aicp_ledger_account_status(l, "a", 1, soon() - 29 * SECOND_NS, &st, NULL), AICP_OK);
    cr_assert_eq(st.stale, 1);
    http_store_set_away(b.server, false);
    flush(l);
    cr_assert_eq(query_i64(&b.store, SPENT), 8 * USD);
    aicp_ledger_free(l);
    tear_down(&b);
}

Test(remote, opening_does_not_need_the_server_and_the_journal_waits_for_it, .timeout = 120) {
    behind b;
    char folder[] = "/tmp/aicp-test-remote-XXXXXX";
    char path[64];
    char command[64];
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/journal", folder);
    set_up(&b, false);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.journal_path = path;
    o.journal_path_len = strlen(path);
    aicp_ledger *l = open_ledger(&b.store, &o);
    put_account(l, "a", 1000 * USD, NULL);
    cr_assert_eq(reserve(l, "1", "a", USD), AICP_OK);
    http_store_set_away(b.server, true);
    cr_assert_eq(settle(l, "1", USD), AICP_OK);
    cr_assert_neq(aicp_ledger_flush(l, soon() - 29 * SECOND_NS, NULL), AICP_OK);
    aicp_ledger *next = open_ledger(&b.store, &o);
    cr_assert_eq(reserve(next, "2", "a", USD), AICP_ERR_STORE);
    cr_assert_eq(query_i64(&b.store, SPENT), 0);
    http_store_set_away(b.server, false);
    flush(next);
    cr_assert_eq(query_i64(&b.store, SPENT), USD, "out of the journal of the other");
    flush(l);
    cr_assert_eq(query_i64(&b.store, SPENT), USD);
    aicp_ledger_free(l);
    aicp_ledger_free(next);
    tear_down(&b);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

Test(remote, answers_of_the_store_come_through, .timeout = 120) {
    behind b;
    set_up(&b, false);
    aicp_ledger *l = open_ledger(&b.store, NULL);
    aicp_error err = {0};
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    aicp_ledger_adjustment k = AICP_LEDGER_ADJUSTMENT_INIT;
    const int32_t half[] = {50};
    a.limit_nano = 10 * USD;
    a.duration = "1mo";
    a.duration_len = 3;
    a.timezone = "Asia/Kolkata";
    a.timezone_len = 12;
    a.soft_percent = half;
    a.soft_percent_count = 1;
    cr_assert_eq(aicp_ledger_account_put(l, "a", 1, &a, 0, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(reserve(l, "x", "b", USD), AICP_ERR_NOT_FOUND);
    cr_assert_eq(reserve(l, "x", "a", 11 * USD), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(reserve(l, "x", "a", 6 * USD), AICP_OK);
    cr_assert_eq(settle(l, "x", 6 * USD), AICP_OK);
    flush(l);
    aicp_ledger_event e = {.size = sizeof e};
    cr_assert_eq(aicp_ledger_event_next(l, &e, NULL), AICP_OK);
    cr_assert_str_eq(e.account, "a");
    cr_assert_eq(e.threshold_percent, 50);
    k.id = "refund";
    k.id_len = 6;
    k.reason = "because";
    k.reason_len = 7;
    k.amount_nano = -7 * USD;
    cr_assert_eq(aicp_ledger_adjust(l, "a", 1, &k, &err), AICP_ERR_RANGE, "spend stays positive");
    k.amount_nano = -USD;
    cr_assert_eq(aicp_ledger_adjust(l, "a", 1, &k, &err), AICP_OK, "%s", err.message);
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, 5 * USD);
    cr_assert_eq(st.limit_nano, 10 * USD);
    a.frozen = 1;
    cr_assert_eq(aicp_ledger_account_put(l, "a", 1, &a, 0, &err), AICP_OK);
    cr_assert_eq(reserve(l, "y", "a", USD), AICP_ERR_FROZEN);
    aicp_ledger_page *page = NULL;
    cr_assert_eq(aicp_ledger_account_list(l, NULL, &page, NULL), AICP_ERR_UNSUPPORTED);
    aicp_ledger_free(l);
    tear_down(&b);
}

/* A node that was silent for too long finds its holds taken, behind a server too. */
Test(remote, a_node_taken_for_dead_loses_its_holds_but_no_spend, .timeout = 120) {
    behind b;
    set_up(&b, false);
    aicp_ledger *l = open_ledger(&b.store, NULL);
    put_account(l, "a", 100 * USD, NULL);
    cr_assert_eq(reserve(l, "sent", "a", 40 * USD), AICP_OK);
    cr_assert_eq(aicp_ledger_mark_dispatched(l, "sent", 4, -1, NULL), AICP_OK);
    flush(l);
    (void)query_i64(&b.store, "UPDATE aicp_budget_node SET expires_ns = 1");
    aicp_ledger *other = open_ledger(&b.store, NULL);
    flush(other);
    cr_assert_eq(query_i64(&b.store, SPENT), 40 * USD, "booked at its estimate");
    cr_assert_eq(query_i64(&b.store, HELD), 0);
    cr_assert_eq(settle(l, "sent", 30 * USD), AICP_OK);
    flush(l);
    cr_assert_eq(query_i64(&b.store, SPENT), 30 * USD);
    aicp_ledger_free(l);
    aicp_ledger_free(other);
    tear_down(&b);
}

Test(remote, a_wrong_key_is_told) {
    behind b;
    aicp_ledger *l = NULL;
    aicp_error err = {0};
    set_up(&b, false);
    const char *url = ledger_url(&b.store);
    cr_assert_eq(aicp_ledger_open(url, strlen(url), NULL, &l, NULL), AICP_OK);
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    cr_assert_eq(aicp_ledger_account_put(l, "a", 1, &a, 0, &err), AICP_ERR_STORE);
    cr_assert_not_null(strstr(err.message, "401"));
    aicp_ledger_free(l);
    tear_down(&b);
}

Test(remote, malformed_messages_do_nothing) {
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{}",
        "{\"format\":\"aicp-leases/1\"}",
        "{\"format\":\"aicp-leases/2\",\"ledger\":{\"data\":\"AgQCAg==\"}}",
        "{\"format\":\"aicp-leases/1\",\"ledger\":{\"data\":\"\"}}",
        "{\"format\":\"aicp-leases/1\",\"ledger\":{\"data\":\"!\"}}",
        "{\"format\":\"aicp-leases/1\",\"ledger\":{\"data\":\"AgYCYQ==\"}}",
        "{\"format\":\"aicp-leases/1\",\"ledger\":{\"data\":\"//////////8=\"}}",
    };
    aicp_ledger *l = NULL;
    cr_assert_eq(aicp_ledger_open("sqlite::memory:", 15, NULL, &l, NULL), AICP_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        aicp_buf out = AICP_BUF_INIT;
        aicp_status s = aicp_ledger_serve(l, bad[i], strlen(bad[i]), &out, NULL);
        cr_assert_eq(s, AICP_ERR_PARSE, "%s: %s", bad[i], aicp_status_name(s));
        cr_assert_null(out.data);
    }
    aicp_ledger_free(l);
}
