/* Many threads, many nodes, many processes on one budget: exactly what fits is admitted. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 64
#define TRIES 16
#define UNITS 300

typedef struct crowd {
    aicp_ledger *ledger;
    int64_t amount;
    int admitted;
    int denied;
    int other;
    int number;
    pthread_barrier_t *start;
} crowd;

static void *hammer(void *user) {
    crowd *k = user;
    char id[32];
    pthread_barrier_wait(k->start);
    for (int i = 0; i < TRIES; i++) {
        (void)snprintf(id, sizeof id, "%d-%d", k->number, i);
        aicp_status s = reserve(k->ledger, id, "a", k->amount);
        k->admitted += s == AICP_OK;
        k->denied += s == AICP_ERR_BUDGET_EXCEEDED;
        k->other += s != AICP_OK && s != AICP_ERR_BUDGET_EXCEEDED;
    }
    return NULL;
}

static void run_crowd(test_store *store, int nodes, int32_t mode, int64_t amount) {
    aicp_ledger *ledgers[8];
    crowd crowds[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.mode = mode;
    o.background = 1;
    for (int i = 0; i < nodes; i++) {
        ledgers[i] = open_ledger(store, &o);
    }
    put_account(ledgers[0], "a", UNITS * amount + amount / 2, NULL);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        crowds[i] =
            (crowd){.ledger = ledgers[i % nodes], .amount = amount, .number = i, .start = &start};
        cr_assert_eq(pthread_create(&threads[i], NULL, hammer, &crowds[i]), 0);
    }
    int admitted = 0;
    int denied = 0;
    int other = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        admitted += crowds[i].admitted;
        denied += crowds[i].denied;
        other += crowds[i].other;
    }
    cr_assert_eq(other, 0, "%d other answers", other);
    cr_assert_eq(admitted, UNITS, "%d admitted", admitted);
    cr_assert_eq(denied, THREADS * TRIES - UNITS);
    for (int i = 0; i < nodes; i++) {
        flush(ledgers[i]);
    }
    aicp_ledger_status st = status_of(ledgers[0], "a");
    cr_assert_eq(st.reserved_nano, UNITS * amount);
    cr_assert_eq(st.remaining_nano, amount / 2);
    for (int i = 0; i < nodes; i++) {
        aicp_ledger_free(ledgers[i]);
    }
    check_books(store);
    pthread_barrier_destroy(&start);
}

TEST_ALL_STORES(shared, threads_of_one_node_are_admitted_exactly) {
    run_crowd(store, 1, AICP_LEDGER_HOLD, USD);
}

TEST_ALL_STORES(shared, eight_nodes_starting_cold_are_admitted_exactly) {
    run_crowd(store, 8, AICP_LEDGER_HOLD, USD);
}

TEST_ALL_STORES(shared, synchronous_reservations_are_admitted_exactly) {
    run_crowd(store, 2, AICP_LEDGER_SYNC, USD);
}

/* ---- random ends ---- */

static void *random_life(void *user) {
    crowd *k = user;
    char id[32];
    unsigned seed = (unsigned)k->number * 7919u + 1;
    pthread_barrier_wait(k->start);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(id, sizeof id, "%d-%d", k->number, i);
        int64_t amount = 1 + rand_r(&seed) % 1000;
        if (reserve(k->ledger, id, "a", amount) != AICP_OK) {
            continue;
        }
        k->admitted++;
        switch (rand_r(&seed) % 4) {
        case 0:
            k->other += release(k->ledger, id) != AICP_OK;
            break;
        case 1:
            k->other += aicp_ledger_mark_dispatched(k->ledger, id, strlen(id), -1, NULL) != AICP_OK;
            k->other += settle(k->ledger, id, amount + rand_r(&seed) % 100) != AICP_OK;
            k->amount += amount;
            break;
        default:
            k->other += settle(k->ledger, id, amount - rand_r(&seed) % amount) != AICP_OK;
            break;
        }
    }
    return NULL;
}

TEST_ALL_STORES(shared, after_random_ends_nothing_stays_reserved_and_the_books_agree) {
    aicp_ledger *ledgers[2];
    crowd crowds[8];
    pthread_t threads[8];
    pthread_barrier_t start;
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.background = 1;
    ledgers[0] = open_ledger(store, &o);
    ledgers[1] = open_ledger(store, &o);
    put_account(ledgers[0], "a", 200000, NULL);
    pthread_barrier_init(&start, NULL, 8);
    for (int i = 0; i < 8; i++) {
        crowds[i] = (crowd){.ledger = ledgers[i % 2], .number = i, .start = &start};
        cr_assert_eq(pthread_create(&threads[i], NULL, random_life, &crowds[i]), 0);
    }
    int admitted = 0;
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(crowds[i].other, 0);
        admitted += crowds[i].admitted;
    }
    cr_assert_gt(admitted, 100);
    flush(ledgers[0]);
    flush(ledgers[1]);
    flush(ledgers[0]);
    aicp_ledger_status st = status_of(ledgers[1], "a");
    cr_assert_leq(st.reserved_nano, st.held_nano);
    int64_t spent = st.spent_nano;
    aicp_ledger_free(ledgers[0]);
    aicp_ledger_free(ledgers[1]);
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT held FROM aicp_budget_window"), 0);
    cr_assert_eq(query_i64(store, "SELECT spent FROM aicp_budget_window"), spent);
    pthread_barrier_destroy(&start);
}

/* ---- rolling while spending ---- */

typedef struct roller {
    aicp_ledger *ledger;
    test_clock *clock;
    int number;
    int64_t spent;
} roller;

static void *roll_and_spend(void *user) {
    roller *r = user;
    char id[32];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(id, sizeof id, "%d-%d", r->number, i);
        if (i % 50 == 0 && r->number == 0) {
            test_clock_advance(r->clock, DAY_NS);
        }
        if (reserve(r->ledger, id, "a", 10) == AICP_OK && settle(r->ledger, id, 7) == AICP_OK) {
            r->spent += 7;
        }
    }
    return NULL;
}

TEST_BOTH_STORES(shared, rolling_and_spending_together_lose_nothing) {
    test_clock clock = {SECOND_NS, NOON};
    aicp_clock hook = test_clock_hook(&clock);
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &hook;
    o.background = 1;
    o.hold_ttl_ns = 20 * DAY_NS / 20;
    o.default_ttl_ns = DAY_NS;
    roller rollers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        rollers[i] = (roller){.ledger = open_ledger(store, &o), .clock = &clock, .number = i};
    }
    put_account(rollers[0].ledger, "a", 1000000, "1d");
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, roll_and_spend, &rollers[i]), 0);
    }
    int64_t spent = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        spent += rollers[i].spent;
    }
    for (int i = 0; i < 4; i++) {
        aicp_ledger_free(rollers[i].ledger);
    }
    check_books(store);
    cr_assert_eq(query_i64(store, "SELECT sum(spent) FROM aicp_budget_window"), spent);
    cr_assert_gt(query_i64(store, "SELECT count(*) FROM aicp_budget_window"), 3);
}
