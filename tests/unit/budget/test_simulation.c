/* A seeded simulation: nodes come, go, die and sleep under a clock of our own, and a model says
 * what may be admitted. One thread, so that a seed replays exactly. */
#include "unit/budget/ledger_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { NODES = 4, STEPS = 900, MOST = 900, SEEDS = 6 };

#define LIMIT INT64_C(100000)
#define HOLD_TTL (300 * SECOND_NS)
#define TTL (900 * SECOND_NS)
#define MOST_ADVANCE (100 * SECOND_NS)

typedef struct item {
    char id[24];
    int node;
    int64_t window;
    int64_t amount;
    int64_t counts;     /* what it may use of the limit as far as anybody knows */
    int64_t sent;       /* what remains of it in the store when its node dies now */
    uint64_t deadline;  /* monotonic */
    uint64_t forget_at; /* when its dead node's hold goes back; 0 = node lives */
    bool pending;
    bool dispatched;
} item;

typedef struct simulation {
    aicp_ledger *nodes[NODES];
    bool dead[NODES];
    test_clock clock;
    aicp_clock hook;
    item items[MOST];
    int count;
    uint64_t seed;
    int admitted;
    int denied;
} simulation;

static uint64_t next(simulation *s, uint64_t below) {
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed % below;
}

static aicp_ledger *open_node(simulation *s, const test_store *store) {
    aicp_ledger_options o = AICP_LEDGER_OPTIONS_INIT;
    o.clock = &s->hook;
    o.hold_ttl_ns = HOLD_TTL;
    o.default_ttl_ns = TTL;
    o.slice_divisor = 50;
    return open_ledger(store, &o);
}

/* What time does to reservations. */
static void age(simulation *s) {
    for (int i = 0; i < s->count; i++) {
        item *t = &s->items[i];
        if (t->forget_at && s->clock.monotonic_ns >= t->forget_at) {
            t->counts = t->sent;
            t->forget_at = 0;
        } else if (t->pending && !s->dead[t->node] && s->clock.monotonic_ns >= t->deadline) {
            t->pending = false;
            t->counts = t->dispatched ? t->amount : 0;
        }
    }
}

static int64_t in_use(const simulation *s, int64_t window) {
    int64_t sum = 0;
    for (int i = 0; i < s->count; i++) {
        sum += s->items[i].window == window ? s->items[i].counts : 0;
    }
    return sum;
}

static void try_reserve(simulation *s, int node) {
    item *t = &s->items[s->count];
    *t = (item){.node = node, .amount = (int64_t)(1 + next(s, LIMIT / 20))};
    (void)snprintf(t->id, sizeof t->id, "%d", s->count);
    const char *accounts[] = {"a", NULL};
    aicp_ledger_result r = AICP_LEDGER_RESULT_INIT;
    aicp_status status =
        reserve_on(s->nodes[node], t->id, t->amount, s->clock.monotonic_ns + 3000000, &r, accounts);
    if (status == AICP_ERR_BUDGET_EXCEEDED) {
        s->denied++;
        return;
    }
    cr_assert_eq(status, AICP_OK, "%s", aicp_status_name(status));
    t->window = r.window;
    t->counts = t->amount;
    t->pending = true;
    t->deadline = s->clock.monotonic_ns + TTL;
    s->count++;
    s->admitted++;
    cr_assert_leq(in_use(s, t->window), LIMIT, "item %d over-admitted", s->count - 1);
}

static void end_one(simulation *s) {
    item *t = &s->items[next(s, (uint64_t)s->count)];
    if (!t->pending || s->dead[t->node]) {
        return;
    }
    aicp_ledger *l = s->nodes[t->node];
    switch (next(s, 4)) {
    case 0:
        t->dispatched = true;
        cr_assert_eq(aicp_ledger_mark_dispatched(l, t->id, strlen(t->id), -1, NULL), AICP_OK);
        break;
    case 1:
        cr_assert_eq(release(l, t->id), AICP_OK);
        t->counts = 0;
        t->pending = false;
        break;
    default:
        t->counts = (int64_t)next(s, (uint64_t)t->amount + 1);
        cr_assert_eq(settle(l, t->id, t->counts), AICP_OK);
        t->pending = false;
        break;
    }
}

static void note_sent(simulation *s, int node) {
    for (int i = 0; i < s->count; i++) {
        item *t = &s->items[i];
        if (t->node == node && !s->dead[node]) {
            t->sent = t->pending ? (t->dispatched ? t->amount : 0) : t->counts;
        }
    }
}

/* Dies without a word: never called again until the very end. */
static void die(simulation *s, int node) {
    s->dead[node] = true;
    for (int i = 0; i < s->count; i++) {
        if (s->items[i].node == node) {
            /* A pass in between may have sent more than the last flush. No sooner can it go back.
             */
            int64_t counts = s->items[i].counts;
            s->items[i].sent = s->items[i].sent < counts ? s->items[i].sent : counts;
            s->items[i].forget_at = s->clock.monotonic_ns + HOLD_TTL - MOST_ADVANCE;
        }
    }
}

static void step(simulation *s, int *deaths) {
    int node = (int)next(s, NODES);
    if (s->dead[node]) {
        return;
    }
    switch (next(s, 20)) {
    case 0:
    case 1:
        flush(s->nodes[node]);
        note_sent(s, node);
        break;
    case 2:
        test_clock_advance(&s->clock, next(s, MOST_ADVANCE));
        age(s);
        for (int i = 0; i < NODES; i++) { /* the living show that they live */
            if (!s->dead[i]) {
                flush(s->nodes[i]);
                note_sent(s, i);
            }
        }
        break;
    case 3:
        if (next(s, 12) == 0 && *deaths < NODES - 1) {
            die(s, node);
            ++*deaths;
        }
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        if (s->count > 0) {
            end_one(s);
        }
        break;
    default:
        if (s->count < MOST - 1) {
            try_reserve(s, node);
        }
        break;
    }
}

static int total_deaths;
static int total_denied;

static void simulate(uint64_t seed) {
    test_store store;
    test_store_open(&store, false);
    static simulation s;
    memset(&s, 0, sizeof s);
    s.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    s.clock = (test_clock){SECOND_NS, NOON};
    s.hook = test_clock_hook(&s.clock);
    for (int i = 0; i < NODES; i++) {
        s.nodes[i] = open_node(&s, &store);
    }
    put_account(s.nodes[0], "a", LIMIT, "6h");
    int deaths = 0;
    for (int i = 0; i < STEPS; i++) {
        step(&s, &deaths);
    }
    cr_assert_gt(s.admitted, 20);
    total_deaths += deaths;
    total_denied += s.denied;
    for (int i = 0; i < NODES; i++) {
        if (!s.dead[i]) {
            flush(s.nodes[i]);
        }
    }
    check_books(&store);
    for (int i = 0; i < NODES; i++) {
        aicp_ledger_free(s.nodes[i]); /* a dead one wakes up at last */
    }
    check_books(&store);
    test_store_close(&store);
}

Test(simulation, no_seed_admits_more_than_the_limit_or_breaks_the_books, .timeout = 300) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        simulate(seed);
    }
    cr_assert_gt(total_deaths, SEEDS);
    cr_assert_gt(total_denied, SEEDS);
}
