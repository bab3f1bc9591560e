/* What is particular to limits shared through Redis. */
#include "unit/rate_store/nodes.h"

#include "lib/ratelimit/redis_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXACT_RULE(more)                                                                           \
    "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":40,\"window\":\"366d\",\"shared\":true,"       \
    "\"exact\":true" more "}]"

static aicp_status open_url(const char *url, aicp_redis_leases **out, aicp_error *err) {
    memset(err, 0, sizeof *err);
    return aicp_redis_leases_open(url, strlen(url), NULL, out, err);
}

static void expect_bad_url(const char *url, aicp_status expected) {
    aicp_redis_leases *r = NULL;
    aicp_error err;
    cr_assert_eq(open_url(url, &r, &err), expected, "%s", url);
    cr_assert_null(r);
    cr_assert_gt(strlen(err.message), 0);
    cr_assert_null(strstr(err.message, "sesame"), "no secret in a message");
}

Test(redis, bad_urls_are_refused) {
    static const char *const BAD[] = {
        "",
        "redis:",
        "redis://",
        "http://host",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:port",
        "redis://host/x",
        "redis://[::1",
        "redis://[::1]x",
        "redis://:6379",
        "redis://sesame@host",
        "redis://:sesame%zz@host",
        "redis://:sesame%0@host",
        "redis://:sesame%00@host"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        expect_bad_url(BAD[i], AICP_ERR_INVALID);
    }
    expect_bad_url("rediss://:sesame@host", AICP_ERR_UNSUPPORTED);
}

Test(redis, bad_options_are_refused) {
    aicp_redis_leases_options o = AICP_REDIS_LEASES_OPTIONS_INIT;
    aicp_redis_leases *r = NULL;
    o.connections = 1000;
    cr_assert_eq(aicp_redis_leases_open("redis://h", 9, &o, &r, NULL), AICP_ERR_INVALID);
    cr_assert_null(r);
}

Test(redis, password_and_database_are_checked_when_opened) {
    static const char *const ARGUMENTS[] = {"--requirepass", "open:se@me", NULL};
    redis_server server;
    cr_assert(redis_server_start(&server, ARGUMENTS));
    char url[128];
    aicp_redis_leases *r = NULL;
    aicp_error err;
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    expect_bad_url(url, AICP_ERR_STORE);
    snprintf(url, sizeof url, "redis://:sesame@127.0.0.1:%d", server.port);
    expect_bad_url(url, AICP_ERR_STORE);
    snprintf(url, sizeof url, "redis://:open%%3Ase%%40me@127.0.0.1:%d/99", server.port);
    expect_bad_url(url, AICP_ERR_STORE);
    snprintf(url, sizeof url, "redis://:open%%3Ase%%40me@127.0.0.1:%d/3", server.port);
    cr_assert_eq(open_url(url, &r, &err), AICP_OK, "%s", err.message);
    aicp_redis_leases_free(r);
    snprintf(url, sizeof url, "redis://default:open%%3Ase%%40me@127.0.0.1:%d/3", server.port);
    cr_assert_eq(open_url(url, &r, &err), AICP_OK, "%s", err.message);
    aicp_redis_leases_free(r);
    redis_server_kill(&server);
}

Test(redis, a_script_that_the_server_forgot_is_sent_again, .timeout = 60) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    node n;
    char line[64];
    cr_assert(node_open(&n, &place, EXACT_RULE("")));
    for (int i = 0; i < 40; i++) {
        if (i % 10 == 5) {
            cr_assert(redis_server_command(&place.redis, "SCRIPT FLUSH", line, sizeof line));
            cr_assert_eq(strncmp(line, "+OK", 3), 0);
        }
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        cr_assert_eq(node_take(&n, 1, 0, NULL, &r), AICP_OK);
        cr_assert(!r.degraded);
        cr_assert_eq(r.remaining, (uint64_t)(39 - i));
    }
    cr_assert_eq(node_take(&n, 1, 0, NULL, NULL), AICP_ERR_RATE_LIMITED);
    node_close(&n);
    store_place_close(&place);
}

/* How many keys there are, -1 when one has another prefix or lives for ever. */
static int mortal_keys(const store_place *place) {
    char line[64];
    int keys = -1;
    cr_assert(redis_server_command(
        &place->redis,
        "EVAL \"redis.call('SELECT', 1) local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do"
        " if k:sub(1, 10) ~= 'aicp:rate:' or redis.call('PTTL', k) <= 0 then return -1 end"
        " n = n + 1 end return n\" 0",
        line,
        sizeof line));
    cr_assert_eq(sscanf(line, ":%d", &keys), 1, "%s", line);
    return keys;
}

Test(redis, keys_have_the_prefix_and_expire, .timeout = 60) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    node n;
    cr_assert(node_open(
        &n,
        &place,
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":1000,\"window\":1,\"shared\":true},"
        "{\"id\":\"b\",\"kind\":\"requests\",\"limit\":9,\"window\":1,\"shared\":true,"
        "\"exact\":true,\"algorithm\":\"fixed_window\"},"
        "{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":5,\"shared\":true}]"));
    cr_assert_eq(node_take(&n, 1, SECOND, NULL, NULL), AICP_OK);
    cr_assert_eq(mortal_keys(&place), 4, "three limits and the set of nodes");
    for (int i = 0; i < 600 && mortal_keys(&place) != 1; i++) {
        usleep(50000); /* until they are gone: a window and a slot of one second, and one more */
    }
    cr_assert_eq(mortal_keys(&place), 1);
    node_close(&n);
    store_place_close(&place);
}

Test(redis, a_bucket_given_back_leaves_no_key) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    node n;
    aicp_limit_ticket t;
    cr_assert(node_open(&n, &place, EXACT_RULE("")));
    cr_assert_eq(node_take(&n, 1, 0, &t, NULL), AICP_OK);
    cr_assert_eq(mortal_keys(&place), 2);
    aicp_limiter_cancel(n.limiter, &t, 0);
    cr_assert_eq(aicp_limiter_flush(n.limiter, 1, 30 * SECOND, NULL), AICP_OK);
    cr_assert_leq(mortal_keys(&place), 2, "what is left drains");
    node_close(&n);
    store_place_close(&place);
}

/* ---- several in one step -------------------------------------------------------------------- */

static aicp_lease_request lease_of(const char *key, int32_t algorithm, uint64_t limit) {
    bool slots = algorithm == AICP_LIMIT_SLOTS;
    return (aicp_lease_request){
        .size = sizeof(aicp_lease_request),
        .key = key,
        .key_len = strlen(key),
        .kind = slots ? AICP_LIMIT_CONCURRENCY : AICP_LIMIT_REQUESTS,
        .algorithm = algorithm,
        .limit = limit,
        .burst = limit,
        .window_ns = slots ? 0 : 3600 * SECOND,
        .need = 1,
        .ttl_ns = 60 * SECOND,
        .slot = slots ? 77 : 0,
        .timeout_ns = 30 * SECOND,
    };
}

Test(redis, many_leases_go_in_one_call, .timeout = 60) {
    enum { COUNT = 2 * AICPI_REDIS_LEASES_MAX + 3 };
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    aicp_redis_leases *r = NULL;
    aicp_error err;
    cr_assert_eq(open_url(place.url, &r, &err), AICP_OK, "%s", err.message);
    aicp_lease_request q[COUNT];
    aicp_lease_grant g[COUNT];
    char keys[COUNT][16];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "key %zu", i);
        q[i] = lease_of(keys[i], (int32_t)(i % 3), 10 + i);
        q[i].extra = i % 3 == AICP_LIMIT_GCRA ? 2 : 0;
        g[i].size = sizeof g[i];
    }
    cr_assert_eq(aicpi_redis_lease_many(r, q, g, COUNT, 30 * SECOND, &err), AICP_OK);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(g[i].granted, 1 + q[i].extra, "%zu", i);
        cr_assert_eq(g[i].remaining, 10 + i - g[i].granted, "%zu", i);
        cr_assert_eq(g[i].retry_after_ns, 0);
        cr_assert_gt(g[i].reset_ns, 0);
        cr_assert_eq(g[i].nodes, 1);
    }
    aicp_redis_leases_free(r);
    store_place_close(&place);
}

/* The numbers of a lease, step by step. Windows are so long that nothing drains meanwhile. */
Test(redis, a_lease_keeps_its_bounds) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    aicp_redis_leases *a = NULL;
    aicp_redis_leases *b = NULL;
    aicp_error err;
    cr_assert_eq(open_url(place.url, &a, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(open_url(place.url, &b, &err), AICP_OK, "%s", err.message);
    aicp_lease_request q = lease_of("k", AICP_LIMIT_GCRA, 100);
    aicp_lease_grant g = {.size = sizeof g};
    q.extra = 20;
    cr_assert_eq(aicpi_redis_lease_many(a, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.granted, 21);
    cr_assert_eq(g.remaining, 79);
    cr_assert_eq(aicpi_redis_lease_many(b, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.granted, 1 + 5, "a quarter of the limit may be unspent in all");
    cr_assert_eq(g.nodes, 2);
    q.need = 0;
    q.extra = 0;
    q.returned = 20;
    q.debt = 3;
    cr_assert_eq(aicpi_redis_lease_many(a, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.granted, 0);
    cr_assert_eq(g.remaining, 100 - 21 - 6 + 20 - 3);
    q.returned = 0;
    q.debt = 500;
    cr_assert_eq(aicpi_redis_lease_many(a, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.remaining, 0);
    q.debt = 0;
    q.need = 1;
    cr_assert_eq(aicpi_redis_lease_many(a, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.granted, 0);
    cr_assert_leq(g.retry_after_ns, 3600 * SECOND / 100 * 101 + SECOND, "one window of debt");
    cr_assert_geq(g.retry_after_ns, 3600 * SECOND - SECOND * 60);
    q.need = 101;
    cr_assert_eq(aicpi_redis_lease_many(a, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.retry_after_ns, AICP_LIMIT_NEVER);
    aicp_redis_leases_free(a);
    aicp_redis_leases_free(b);
    store_place_close(&place);
}

Test(redis, a_changed_rule_keeps_what_is_used) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    aicp_redis_leases *r = NULL;
    aicp_error err;
    cr_assert_eq(open_url(place.url, &r, &err), AICP_OK, "%s", err.message);
    aicp_lease_request q = lease_of("k", AICP_LIMIT_GCRA, 100);
    aicp_lease_grant g = {.size = sizeof g};
    q.need = 60;
    cr_assert_eq(aicpi_redis_lease_many(r, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    q.limit = q.burst = 1000;
    cr_assert_eq(aicpi_redis_lease_many(r, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.remaining, 880);
    q.limit = q.burst = 50;
    q.need = 1;
    cr_assert_eq(aicpi_redis_lease_many(r, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    cr_assert_eq(g.granted, 0);
    cr_assert_eq(g.remaining, 0, "never more than full");
    cr_assert_leq(g.reset_ns, 3600 * SECOND);
    aicp_redis_leases_free(r);
    store_place_close(&place);
}

/* ---- a server that is away ------------------------------------------------------------------ */

Test(redis, a_server_that_is_away_is_no_error_of_opening) {
    redis_server server;
    cr_assert(redis_server_start(&server, NULL));
    redis_server_kill(&server);
    store_place place = {.kind = PLACE_REDIS, .url = server.url, .redis = server};
    node n;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    cr_assert(node_open(&n, &place, EXACT_RULE(",\"on_store_failure\":\"deny\"")));
    cr_assert_eq(node_take(&n, 1, 0, NULL, &r), AICP_ERR_STORE);
    cr_assert(r.degraded);
    node_close(&n);
}

/* Stopped, the server takes what is sent and says nothing. */
Test(redis, a_server_that_hangs_costs_no_more_than_the_deadline, .timeout = 120) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    aicp_redis_leases *r = NULL;
    aicp_error err;
    cr_assert_eq(open_url(place.url, &r, &err), AICP_OK, "%s", err.message);
    aicp_lease_request q = lease_of("k", AICP_LIMIT_GCRA, 100);
    aicp_lease_grant g = {.size = sizeof g};
    cr_assert_eq(aicpi_redis_lease_many(r, &q, &g, 1, 30 * SECOND, &err), AICP_OK);
    kill(place.redis.pid, SIGSTOP);
    uint64_t start = monotonic();
    cr_assert_eq(aicpi_redis_lease_many(r, &q, &g, 1, SECOND / 10, &err), AICP_ERR_TIMEOUT);
    cr_assert_geq(monotonic() - start, SECOND / 10);
    kill(place.redis.pid, SIGCONT);
    aicp_status status = AICP_ERR_STORE;
    while (status != AICP_OK && monotonic() - start < 60 * SECOND) {
        status = aicpi_redis_lease_many(r, &q, &g, 1, 10 * SECOND, &err);
    }
    cr_assert_eq(status, AICP_OK);
    cr_assert_eq(g.granted, 1, "the late answer was not taken for this one's");
    cr_assert_leq(g.remaining, 98);
    aicp_redis_leases_free(r);
    store_place_close(&place);
}

typedef struct load {
    node *n;
    _Atomic bool stop;
    _Atomic uint64_t takes;
    _Atomic uint64_t strange; /* answers that the rule does not allow */
    aicp_status when_away;
} load;

static void *run_load(void *user) {
    load *x = user;
    while (!atomic_load(&x->stop)) {
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        aicp_status status = node_take(x->n, 1, 0, NULL, &r);
        bool fine = r.degraded ? status == x->when_away || status == AICP_ERR_RATE_LIMITED
                               : status == AICP_OK;
        atomic_fetch_add(&x->strange, !fine);
        atomic_fetch_add(&x->takes, 1);
        usleep(200);
    }
    return NULL;
}

/* True when a take is answered with (or without) the store within a minute. */
static bool becomes(node *n, bool degraded) {
    uint64_t start = monotonic();
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    do {
        (void)node_take(n, 1, 0, NULL, &r);
        usleep(1000);
    } while ((r.degraded != 0) != degraded && monotonic() - start < 60 * SECOND);
    return (r.degraded != 0) == degraded;
}

static void survive_restarts(const char *rule, aicp_status when_away) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    node n;
    cr_assert(node_open(&n, &place, rule));
    load x = {.n = &n, .when_away = when_away};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, run_load, &x);
    }
    cr_assert(becomes(&n, false));
    for (int i = 0; i < 2; i++) {
        redis_server_kill(&place.redis);
        cr_assert(becomes(&n, true), "%s", rule);
        cr_assert(redis_server_restart(&place.redis));
        cr_assert(becomes(&n, false), "%s", rule);
    }
    atomic_store(&x.stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(atomic_load(&x.strange), 0, "%s", rule);
    cr_assert_gt(atomic_load(&x.takes), 0);
    node_close(&n);
    store_place_close(&place);
}

#define LOAD_RULE(more)                                                                            \
    "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":100000000,\"window\":1,\"shared\":true,"       \
    "\"exact\":true,\"on_store_failure\":\"" more "\"}]"

Test(redis, killed_under_load_rules_that_deny_do, .timeout = 300) {
    survive_restarts(LOAD_RULE("deny"), AICP_ERR_STORE);
}

Test(redis, killed_under_load_rules_that_allow_do, .timeout = 300) {
    survive_restarts(LOAD_RULE("allow"), AICP_OK);
}

Test(redis, killed_under_load_rules_that_count_locally_do, .timeout = 300) {
    survive_restarts(LOAD_RULE("local"), AICP_OK);
}

/* ---- threads and forks ---------------------------------------------------------------------- */

typedef struct taker {
    node *n;
    int admitted;
    int failed;
} taker;

static void *take_many(void *user) {
    taker *x = user;
    for (int i = 0; i < 30; i++) {
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        aicp_status status = node_take(x->n, 1, 0, NULL, &r);
        x->admitted += status == AICP_OK;
        x->failed += r.degraded || (status != AICP_OK && status != AICP_ERR_RATE_LIMITED);
    }
    return NULL;
}

/* More threads than connections. */
Test(redis, threads_share_the_connections, .timeout = 120) {
    enum { THREADS = 8 };
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    node n;
    cr_assert(node_open(&n, &place, EXACT_RULE("")));
    taker takers[THREADS];
    pthread_t threads[THREADS];
    int admitted = 0;
    for (int i = 0; i < THREADS; i++) {
        takers[i] = (taker){.n = &n};
        pthread_create(&threads[i], NULL, take_many, &takers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(takers[i].failed, 0);
        admitted += takers[i].admitted;
    }
    cr_assert_eq(admitted, 40);
    node_close(&n);
    store_place_close(&place);
}

Test(redis, a_take_over_several_rules_is_one_call, .timeout = 60) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    node n;
    cr_assert(node_open(
        &n,
        &place,
        "[{\"id\":\"a\",\"kind\":\"requests\",\"limit\":1000,\"window\":60,\"shared\":true,"
        "\"exact\":true},"
        "{\"id\":\"b\",\"kind\":\"requests\",\"limit\":2000,\"window\":60,\"shared\":true,"
        "\"exact\":true,\"algorithm\":\"fixed_window\"},"
        "{\"id\":\"c\",\"kind\":\"tokens\",\"limit\":5000,\"window\":60,\"shared\":true,"
        "\"exact\":true},"
        "{\"id\":\"d\",\"kind\":\"concurrency\",\"limit\":5,\"shared\":true,\"exact\":true}]"));
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(node_take(&n, 1, 0, NULL, NULL), i < 5 ? AICP_OK : AICP_ERR_RATE_LIMITED);
    }
    aicp_limiter_stats stats = {.size = sizeof stats};
    cr_assert_eq(aicp_limiter_stats_get(n.limiter, &stats, NULL), AICP_OK);
    cr_assert_eq(stats.store_calls, 7);
    node_close(&n);
    store_place_close(&place);
}
