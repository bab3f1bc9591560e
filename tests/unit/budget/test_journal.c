/* While the store is away, what is settled is kept on disk, and booked once when it is back. */
#include "unit/budget/ledger_support.h"
#include "unit/budget/worker.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOURNALED "SELECT count(*) FROM aicp_budget_journal"
#define SPENT "SELECT coalesce(sum(spent), 0) FROM aicp_budget_window"

/* A PostgreSQL store that is reached through a name that can be taken away. */
typedef struct remote {
    test_store direct;
    test_store store;   /* by the name */
    test_store journal; /* the file, as a store */
    char folder[64];
    char name[128];
    char socket[192];
    char path[128]; /* of the journal */
} remote;

static void come_back(const remote *r) {
    cr_assert_eq(symlink(r->socket, r->name), 0);
}

static void go_away(const remote *r) {
    cr_assert_eq(unlink(r->name), 0);
    test_store_cut_connections(&r->direct);
}

static void set_up(remote *r) {
    memset(r, 0, sizeof *r);
    test_store_open(&r->direct, true);
    (void)snprintf(r->folder, sizeof r->folder, "/tmp/aicp-test-away-XXXXXX");
    cr_assert_not_null(mkdtemp(r->folder));
    const char *host = strstr(r->direct.url, "host=") + strlen("host=");
    size_t len = strcspn(host, "&");
    (void)snprintf(r->socket, sizeof r->socket, "%.*s/.s.PGSQL.5432", (int)len, host);
    (void)snprintf(r->name, sizeof r->name, "%s/.s.PGSQL.5432", r->folder);
    (void)snprintf(r->path, sizeof r->path, "%s/100%%journal.db", r->folder);
    int written = snprintf(
        r->store.url,
        sizeof r->store.url,
        "%.*s%s%s",
        (int)(host - r->direct.url),
        r->direct.url,
        r->folder,
        host + len);
    cr_assert_lt(written, (int)sizeof r->store.url);
    (void)snprintf(
        r->journal.url, sizeof r->journal.url, "sqlite://%s/100%%25journal.db", r->folder);
    come_back(r);
}

static void tear_down(remote *r) {
    char command[128];
    test_store_close(&r->direct);
    (void)snprintf(command, sizeof command, "rm -rf %s", r->folder);
    cr_assert_eq(system(command), 0);
}

static aicp_ledger *open_with_journal(const remote *r, int32_t background) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.background = background;
    o.journal_path = r->path;
    o.journal_path_len = strlen(r->path);
    return open_ledger(&r->store, &o);
}

static void settle_some(aicp_ledger *l, int from, int to) {
    char id[16];
    for (int i = from; i < to; i++) {
        (void)snprintf(id, sizeof id, "r%d", i);
        cr_assert_eq(settle(l, id, USD / 2), AICP_OK);
    }
}

static void try_flush(aicp_ledger *l) {
    cr_assert_neq(aicp_ledger_flush(l, soon() - 29 * SECOND_NS, NULL), AICP_OK, "it is away");
}

static aicp_ledger *settle_while_away(const remote *r) {
    aicp_ledger *l = open_with_journal(r, 0);
    put_account(l, "a", 1000 * USD, NULL);
    put_account(l, "b", 1000 * USD, NULL);
    for (int i = 0; i < 9; i++) {
        char id[16];
        const char *accounts[] = {"a", "b", NULL};
        (void)snprintf(id, sizeof id, "r%d", i);
        cr_assert_eq(reserve_on(l, id, USD, soon(), NULL, accounts), AICP_OK);
        if (i % 3 == 0) {
            cr_assert_eq(aicp_ledger_mark_dispatched(l, id, strlen(id), -1, NULL), AICP_OK);
        }
    }
    flush(l);
    go_away(r);
    settle_some(l, 0, 6);
    try_flush(l);
    settle_some(l, 6, 8);
    try_flush(l);
    cr_assert_eq(query_i64(&r->journal, JOURNALED), 8);
    return l;
}

Test(journal, is_emptied_when_the_store_is_back, .timeout = 120) {
    remote r;
    set_up(&r);
    aicp_ledger *l = settle_while_away(&r);
    come_back(&r);
    flush(l);
    cr_assert_eq(query_i64(&r.journal, JOURNALED), 0);
    cr_assert_eq(query_i64(&r.direct, SPENT), 8 * USD);
    cr_assert_eq(settle(l, "r8", USD / 2), AICP_OK);
    aicp_ledger_free(l);
    cr_assert_eq(query_i64(&r.journal, JOURNALED), 0);
    cr_assert_eq(query_i64(&r.direct, SPENT), 9 * USD);
    cr_assert_eq(query_i64(&r.direct, "SELECT sum(held) FROM aicp_budget_window"), 0);
    check_books(&r.direct);
    tear_down(&r);
}

/* The journal of a ledger that lives is read by another process, and both tell the store. */
Test(journal, told_twice_is_booked_once, .timeout = 120) {
    remote r;
    set_up(&r);
    aicp_ledger *l = settle_while_away(&r);
    come_back(&r);
    aicp_ledger *other = open_with_journal(&r, 0);
    aicp_ledger_metrics m = AICP_LEDGER_METRICS_INIT;
    aicp_ledger_metrics_get(other, &m);
    cr_assert_eq(m.recovered, 8);
    cr_assert_eq(query_i64(&r.journal, JOURNALED), 0);
    cr_assert_eq(query_i64(&r.direct, SPENT), 8 * USD);
    flush(l);
    cr_assert_eq(query_i64(&r.direct, SPENT), 8 * USD);
    cr_assert_eq(release(l, "r8"), AICP_OK);
    aicp_ledger_free(l);
    aicp_ledger_free(other);
    cr_assert_eq(query_i64(&r.direct, SPENT), 8 * USD);
    cr_assert_eq(query_i64(&r.direct, "SELECT sum(held) FROM aicp_budget_window"), 0);
    check_books(&r.direct);
    tear_down(&r);
}

Test(journal, keeps_what_a_ledger_could_not_send_before_it_was_freed, .timeout = 120) {
    remote r;
    set_up(&r);
    aicp_ledger *l = settle_while_away(&r);
    settle_some(l, 8, 9);
    aicp_ledger_free(l);
    cr_assert_eq(query_i64(&r.journal, JOURNALED), 9);
    come_back(&r);
    aicp_ledger_free(open_with_journal(&r, 0));
    aicp_ledger_free(open_with_journal(&r, 0));
    cr_assert_eq(query_i64(&r.journal, JOURNALED), 0);
    cr_assert_eq(query_i64(&r.direct, SPENT), 9 * USD);
    check_books(&r.direct);
    tear_down(&r);
}

Test(journal, nothing_settled_is_lost_when_store_and_process_go, .timeout = 120) {
    enum { COUNT = 40 };
    remote r;
    worker w;
    set_up(&r);
    aicp_ledger *l = open_ledger(&r.direct, NULL);
    put_account(l, "a", 1000 * USD, NULL);
    aicp_ledger_free(l);
    cr_assert_eq(setenv("AICP_TEST_WORKER_JOURNAL", r.path, 1), 0);
    worker_start(&w, &r.store, "settle", COUNT, 60000);
    cr_assert(worker_listen(&w, SAID_READY));
    cr_assert_eq(w.admitted, COUNT);
    go_away(&r);
    cr_assert_eq(kill(w.pid, SIGUSR1), 0);
    cr_assert(worker_listen(&w, SAID_END), "all is settled in memory");
    uint64_t end = soon() + 30 * SECOND_NS;
    while (query_i64(&r.journal, JOURNALED) < COUNT && soon() < end) {
        (void)usleep(10000);
    }
    cr_assert_eq(query_i64(&r.journal, JOURNALED), COUNT);
    cr_assert_eq(kill(w.pid, SIGKILL), 0);
    cr_assert(WIFSIGNALED(worker_wait(&w)));
    come_back(&r);
    cr_assert_lt(query_i64(&r.direct, SPENT), COUNT * USD);
    aicp_ledger_free(open_with_journal(&r, 1));
    cr_assert_eq(query_i64(&r.direct, SPENT), COUNT * USD, "to the nano-dollar");
    cr_assert_eq(query_i64(&r.journal, JOURNALED), 0);
    check_books(&r.direct);
    tear_down(&r);
}

Test(journal, must_be_an_absolute_path) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    aicp_ledger *l = NULL;
    o.journal_path = "journal.db";
    o.journal_path_len = strlen(o.journal_path);
    cr_assert_eq(aicp_ledger_open("sqlite::memory:", 15, &o, &l, NULL), AICP_ERR_INVALID);
    o.journal_path = "/nowhere/at/all/journal.db";
    o.journal_path_len = strlen(o.journal_path);
    cr_assert_eq(aicp_ledger_open("sqlite::memory:", 15, &o, &l, NULL), AICP_ERR_STORE);
    cr_assert_null(l);
}
