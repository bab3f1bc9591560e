/* What a take costs, beside the usual in C and, where Go is installed, its golang.org/x/time/rate.
 * One JSON line per case: {"bench", "ns", "p99_ns", "allocs"}; p99 is over batches of 64
 * operations.
 */
#include "aicp/ratelimit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 64
#define BATCHES 20000
#define KEYS 1000

static uint64_t clock_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static size_t allocations;

static void *count_alloc(void *user, size_t size) {
    (void)user;
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return malloc(size);
}

static void *count_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return realloc(ptr, new_size);
}

static void count_free(void *user, void *ptr) {
    (void)user;
    free(ptr);
}

static const aicp_allocator ALLOCATOR = {NULL, count_alloc, count_realloc, count_free};

typedef struct subject {
    char names[5][24];
    aicp_limit_value values[5];
} subject;

typedef struct state {
    aicp_limiter *limiter;
    aicp_limit_rules *rules;
    subject *subjects;
    uint64_t now;
    size_t next;
    size_t keys;
    bool one_value; /* only the key's name is told, not who else asks */
} state;

static const char ONE_RULE[] = "[{\"id\":\"key-rpm\",\"kind\":\"requests\",\"limit\":100000000,"
                               "\"window\":\"1m\",\"per\":[\"key\"]}]";
static const char DENY_RULE[] = "[{\"id\":\"key-rpm\",\"kind\":\"requests\",\"limit\":1,\"window\":"
                                "\"366d\",\"per\":[\"key\"]}]";
static const char FIVE_RULES[] =
    "[{\"id\":\"key-parallel\",\"kind\":\"concurrency\",\"limit\":100,\"per\":[\"key\"]},"
    "{\"id\":\"key-rpm\",\"kind\":\"requests\",\"limit\":100000000,\"window\":\"1m\",\"per\":["
    "\"key\"]},"
    "{\"id\":\"team-rpm\",\"kind\":\"requests\",\"limit\":100000000,\"window\":\"1m\",\"per\":["
    "\"team\"]},"
    "{\"id\":\"key-tpm\",\"kind\":\"tokens\",\"limit\":10000000000,\"window\":\"1m\",\"per\":["
    "\"key\"]},"
    "{\"id\":\"model-tpm\",\"kind\":\"tokens\",\"limit\":10000000000,\"window\":\"1m\","
    "\"per\":[\"model\"]}]";

static void fill_subjects(state *s) {
    static const int32_t DIMENSIONS[5] = {
        AICP_LIMIT_ORG, AICP_LIMIT_TEAM, AICP_LIMIT_USER, AICP_LIMIT_KEY, AICP_LIMIT_MODEL};
    static const char *const NAMES[5] = {"org-", "team-", "user-", "sk-0123456789-", "gpt-5-"};
    s->subjects = calloc(s->keys, sizeof *s->subjects);
    for (size_t i = 0; i < s->keys; i++) {
        for (size_t d = 0; d < 5; d++) {
            subject *x = &s->subjects[i];
            snprintf(x->names[d], sizeof x->names[d], "%s%zu", NAMES[d], d < 3 ? i % 10 : i);
            x->values[d] = (aicp_limit_value){DIMENSIONS[d], 0, x->names[d], strlen(x->names[d])};
        }
    }
}

static state make(const char *rules, size_t keys) {
    state s = {.now = clock_ns(), .keys = keys};
    aicp_error err;
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.allocator = &ALLOCATOR;
    if (aicp_limit_rules_parse(rules, strlen(rules), NULL, &s.rules, &err) != AICP_OK ||
        aicp_limiter_new(&o, &s.limiter, &err) != AICP_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    fill_subjects(&s);
    return s;
}

static void finish(state *s) {
    aicp_limiter_free(s->limiter);
    aicp_limit_rules_free(s->rules);
    free(s->subjects);
}

static void take_into(state *s, aicp_limit_ticket *t, aicp_limit_result *r) {
    aicp_limit_request q = AICP_LIMIT_REQUEST_INIT;
    q.values = s->subjects[s->next].values;
    q.value_count = 5;
    if (s->one_value) {
        q.values += 3;
        q.value_count = 1;
    }
    q.tokens = 1500;
    q.now_ns = s->now += 1000;
    s->next = s->next + 1 == s->keys ? 0 : s->next + 1;
    /* What is denied shows in the result; settling its empty ticket does nothing. */
    (void)!aicp_limiter_take(s->limiter, s->rules, &q, t, r, NULL);
}

static void op_take(state *s) {
    aicp_limit_ticket t;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    take_into(s, &t, &r);
}

static void op_take_settle(state *s) {
    aicp_limit_ticket t;
    aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
    take_into(s, &t, &r);
    aicp_limiter_settle(s->limiter, &t, 1200, s->now);
}

/* The usual way: one lock, one level, floating point. */
static pthread_mutex_t bucket_lock = PTHREAD_MUTEX_INITIALIZER;
static double bucket_level;
static uint64_t bucket_time;

static void op_mutex_bucket(state *s) {
    uint64_t now = s->now += 1000;
    pthread_mutex_lock(&bucket_lock);
    bucket_level -= (double)(now - bucket_time) * 1e9 / 60e9;
    bucket_level = bucket_level < 0 ? 0 : bucket_level;
    bucket_time = now;
    if (bucket_level + 1 <= 1e9) {
        bucket_level += 1;
    }
    pthread_mutex_unlock(&bucket_lock);
}

/* As little as can be: names in a hash table, one arrival time each, one lock. */
static struct {
    char name[24];
    uint64_t arrival;
} gcra_table[4096];

static void op_c_gcra(state *s) {
    const aicp_limit_value *v = &s->subjects[s->next].values[3];
    uint64_t now = s->now += 1000;
    s->next = s->next + 1 == s->keys ? 0 : s->next + 1;
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < v->len; i++) {
        hash = (hash ^ (unsigned char)v->data[i]) * 1099511628211U;
    }
    pthread_mutex_lock(&bucket_lock);
    size_t at = hash % 4096;
    while (gcra_table[at].name[0] && strcmp(gcra_table[at].name, v->data) != 0) {
        at = (at + 1) % 4096;
    }
    if (!gcra_table[at].name[0]) {
        memcpy(gcra_table[at].name, v->data, v->len + 1);
    }
    uint64_t from = gcra_table[at].arrival > now ? gcra_table[at].arrival : now;
    if (from + 600 - now <= 60000000000U) {
        gcra_table[at].arrival = from + 600;
    }
    pthread_mutex_unlock(&bucket_lock);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double times[BATCHES];

static void measure(const char *name, void (*op)(state *), state *s) {
    for (size_t i = 0; i < 4 * s->keys + 1000; i++) {
        op(s);
    }
    size_t before = allocations;
    for (size_t b = 0; b < BATCHES; b++) {
        uint64_t start = clock_ns();
        for (size_t i = 0; i < BATCH; i++) {
            op(s);
        }
        times[b] = (double)(clock_ns() - start) / BATCH;
    }
    size_t made = allocations - before;
    qsort(times, BATCHES, sizeof *times, compare);
    printf(
        "{\"bench\":\"%s\",\"ns\":%.1f,\"p99_ns\":%.1f,\"allocs\":%zu}\n",
        name,
        times[BATCHES / 2],
        times[BATCHES / 100 * 99],
        made);
}

/* Takes and settlements apart, 64 open at a time. */
static void measure_apart(const char *name, state *s) {
    static aicp_limit_ticket tickets[BATCH];
    static double settle_times[BATCHES];
    for (size_t b = 0; b < BATCHES; b++) {
        aicp_limit_result r = AICP_LIMIT_RESULT_INIT;
        uint64_t start = clock_ns();
        for (size_t i = 0; i < BATCH; i++) {
            take_into(s, &tickets[i], &r);
        }
        uint64_t middle = clock_ns();
        for (size_t i = 0; i < BATCH; i++) {
            aicp_limiter_settle(s->limiter, &tickets[i], 1200, s->now);
        }
        times[b] = (double)(middle - start) / BATCH;
        settle_times[b] = (double)(clock_ns() - middle) / BATCH;
    }
    qsort(times, BATCHES, sizeof *times, compare);
    qsort(settle_times, BATCHES, sizeof *times, compare);
    printf(
        "{\"bench\":\"%s\",\"ns\":%.1f,\"settle_ns\":%.1f}\n",
        name,
        times[BATCHES / 2],
        settle_times[BATCHES / 2]);
}

typedef struct runner {
    state *s;
    pthread_t thread;
    double ns;
} runner;

#define THREAD_OPS 2000000

static void *run_thread(void *user) {
    runner *r = user;
    state own = *r->s;
    uint64_t start = clock_ns();
    for (size_t i = 0; i < THREAD_OPS; i++) {
        op_take(&own);
    }
    r->ns = (double)(clock_ns() - start) / THREAD_OPS;
    return NULL;
}

static void measure_two(const char *name, state *s) {
    runner r[2] = {{.s = s}, {.s = s}};
    for (int i = 0; i < 2; i++) {
        pthread_create(&r[i].thread, NULL, run_thread, &r[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(r[i].thread, NULL);
    }
    printf("{\"bench\":\"%s\",\"ns\":%.1f,\"threads\":2}\n", name, (r[0].ns + r[1].ns) / 2);
}

/* Argument: measure only the cases whose name contains it. */
int main(int argc, char **argv) {
    const char *wanted = argc > 1 ? argv[1] : "";
    static const struct run {
        const char *name;
        const char *rules;
        size_t keys;
        void (*op)(state *);
    } CASES[] = {
        {"limit/take_1_rule_1_key", ONE_RULE, 1, op_take},
        {"limit/take_1_rule_1000_keys", ONE_RULE, KEYS, op_take},
        {"limit/take_1_rule_1_key_1_value", ONE_RULE, 1, op_take},
        {"limit/take_1_rule_1000_keys_1_value", ONE_RULE, KEYS, op_take},
        {"limit/deny_1_rule_1_key", DENY_RULE, 1, op_take},
        {"limit/take_settle_4_rules_concurrency_1_key", FIVE_RULES, 1, op_take_settle},
        {"limit/take_settle_4_rules_concurrency_1000_keys", FIVE_RULES, KEYS, op_take_settle},
        {"peer/mutex_token_bucket", ONE_RULE, 1, op_mutex_bucket},
        {"peer/c_gcra_hash_1000_keys", ONE_RULE, KEYS, op_c_gcra},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (!strstr(CASES[i].name, wanted)) {
            continue;
        }
        state s = make(CASES[i].rules, CASES[i].keys);
        s.one_value = strstr(CASES[i].name, "1_value") != NULL;
        measure(CASES[i].name, CASES[i].op, &s);
        finish(&s);
    }
    static const char TWO[] = "limit/take_1_rule_1_key_2_threads";
    if (strstr(TWO, wanted)) {
        state s = make(ONE_RULE, 1);
        measure_two(TWO, &s);
        finish(&s);
    }
    static const char APART[] = "limit/take_4_rules_concurrency_1_key";
    if (strstr(APART, wanted)) {
        state s = make(FIVE_RULES, 1);
        measure_apart(APART, &s);
        finish(&s);
    }
    fflush(stdout);
    if (strstr("peer/go", wanted) && system("command -v go >/dev/null") == 0) {
        return system("cd '" AICP_SOURCE_DIR "/tests/bench/peers' && exec go run .") == 0 ? 0 : 1;
    }
    return 0;
}
