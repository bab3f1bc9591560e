/* 64 threads in four processes on one hard budget; then the same while processes are killed. */
#include "unit/budget/crowd.h"
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNITS 900        /* of 1,280 tries */
#define LIMIT (80 * USD) /* of about 120 that those who live would spend */
#define TTL_MS 3000

/* Sums over all tries of a book at that stage. */
static int64_t sum(const crowd_book *book, int stage, int64_t (*of)(const crowd_try *)) {
    int64_t n = 0;
    const crowd_try *t = &book->tries[0][0][0];
    for (size_t i = 0; i < sizeof book->tries / sizeof *t; i++) {
        n += atomic_load(&t[i].stage) == stage ? of(&t[i]) : 0;
    }
    return n;
}

static int64_t one(const crowd_try *t) {
    (void)t;
    return 1;
}

static int64_t cost(const crowd_try *t) {
    return t->actual;
}

TEST_ALL_STORES(crowd, sixty_four_threads_in_four_processes_get_exactly_what_the_budget_has) {
    aicp_ledger *l = open_ledger(store, NULL);
    crowd_book *book = crowd_book_new();
    (void)snprintf(book->account, sizeof book->account, "a");
    put_account(l, "a", UNITS * USD + USD / 2, NULL);
    cr_assert_eq(crowd_run(book, store, 60000), 0);
    int64_t spent = sum(book, CROWD_SPENT, one);
    cr_assert_eq(spent, UNITS, "%d admitted", (int)spent);
    cr_assert_eq(
        sum(book, CROWD_DENIED, one),
        CROWD_PROCESSES * CROWD_THREADS * CROWD_TRIES - UNITS,
        "and all others are denied");
    aicp_ledger_status st = status_of(l, "a");
    cr_assert_eq(st.spent_nano, UNITS * USD);
    cr_assert_eq(st.reserved_nano, 0);
    cr_assert_eq(st.held_nano, 0);
    cr_assert_eq(st.remaining_nano, USD / 2);
    aicp_ledger_free(l);
    crowd_book_free(book);
    check_books(store);
}

/* ---- with kills ---- */

/* Two of the four die somewhere on their way. */
static void crowd_with_kills(crowd_book *book, const test_store *store, aicp_ledger *l, int seed) {
    uint32_t at = (uint32_t)seed;
    (void)snprintf(book->account, sizeof book->account, "a%d", seed);
    book->seed = 1000u * (uint32_t)seed;
    book->die_at[0] = 1 + (int)crowd_random(&at) % (2 * CROWD_THREADS * CROWD_TRIES);
    book->die_at[2] = 1 + (int)crowd_random(&at) % (2 * CROWD_THREADS * CROWD_TRIES);
    put_account(l, book->account, LIMIT, NULL);
    cr_assert_eq(crowd_run(book, store, TTL_MS), 2);
}

/* What dead processes held goes back once their time to live is over. */
static void wait_until_nothing_is_held(const test_store *store, aicp_ledger *l) {
    uint64_t end = soon();
    while (query_i64(store, "SELECT count(*) FROM aicp_budget_hold WHERE amount > 0") > 0) {
        cr_assert_lt(soon(), end + 30 * SECOND_NS, "holds of the dead stay");
        flush(l); /* looks for the dead */
        (void)usleep(50000);
    }
    cr_assert_eq(query_i64(store, "SELECT coalesce(sum(held), 0) FROM aicp_budget_window"), 0);
}

/* Tells the ledger again of everything that was spent, as those do who do not know whether their
 * settlement came through. */
static void settle_again(const crowd_book *book, aicp_ledger *l) {
    char id[CROWD_ID_SIZE];
    aicp_ledger_text account = {book->account, strlen(book->account)};
    aicp_ledger_settlement late = AICP_LEDGER_SETTLEMENT_INIT;
    late.accounts = &account;
    late.accounts_count = 1;
    for (int i = 0; i < CROWD_PROCESSES * CROWD_THREADS * CROWD_TRIES; i++) {
        int process = i / (CROWD_THREADS * CROWD_TRIES);
        int thread = i / CROWD_TRIES % CROWD_THREADS;
        const crowd_try *t = &book->tries[process][thread][i % CROWD_TRIES];
        if (atomic_load(&t->stage) == CROWD_SPENT) {
            aicp_error err = {0};
            crowd_id(book, process, thread, i % CROWD_TRIES, id);
            aicp_status s = aicp_ledger_settle(l, id, strlen(id), t->actual, &late, &err);
            cr_assert_eq(s, AICP_OK, "%s: %s", id, err.message);
        }
    }
}

/* Settled at another stage than spent: dispatched, then killed before its cost was known. */
static int64_t spent_as_estimated(const test_store *store, const crowd_book *book) {
    char text[256];
    (void)snprintf(
        text,
        sizeof text,
        "SELECT coalesce(sum(actual), 0) FROM aicp_budget_reservation"
        " WHERE account = '%s' AND state = 1 AND flags %% 4 >= 2",
        book->account);
    return query_i64(store, text);
}

TEST_ALL_STORES(crowd, after_kills_nothing_stays_reserved_and_the_books_are_the_settlements) {
    int seeds = getenv("AICP_TEST_FULL") ? 12 : 2;
    crowd_book *books[12];
    int64_t spent = 0;
    int64_t denied = 0;
    aicp_ledger *l = open_ledger(store, NULL);
    for (int i = 0; i < seeds; i++) {
        books[i] = crowd_book_new();
        crowd_with_kills(books[i], store, l, i + 1);
        cr_assert_leq(status_of(l, books[i]->account).spent_nano, LIMIT);
    }
    wait_until_nothing_is_held(store, l);
    for (int i = 0; i < seeds; i++) {
        denied += sum(books[i], CROWD_DENIED, one);
        settle_again(books[i], l);
        flush(l);
        int64_t expected = sum(books[i], CROWD_SPENT, cost) + spent_as_estimated(store, books[i]);
        aicp_ledger_status st = status_of(l, books[i]->account);
        cr_assert_eq(
            st.spent_nano,
            expected,
            "seed %d: %+lld",
            i + 1,
            (long long)(st.spent_nano - expected));
        cr_assert_eq(st.reserved_nano, 0);
        spent += expected;
        crowd_book_free(books[i]);
    }
    aicp_ledger_free(l);
    /* Where processes die early the others may ask for less than there is. */
    cr_assert_gt(denied, 0, "no budget was ever the bound");
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT sum(spent) FROM aicp_budget_window"), spent);
    cr_assert_eq(
        query_i64(store, "SELECT count(*) FROM aicp_budget_reservation WHERE state = 0"), 0);
}
