/* Speed of the policy engine on one workload, one thread.
 *
 *     bench_policy FOLDER [WHAT]
 *
 * FOLDER holds policies.cedar, entities.json, requests.json and perhaps links.json;
 * bench_policy.py makes the folders. With WHAT only that is measured.
 *
 * Prints a JSON line for each thing measured: authorize a request that was filled beforehand, the
 * same for the decision only and without the index, the whole path of a gate (fill from typed
 * values with three entities, then authorize), reading of policies, links and entities in MB/s of
 * processor time, and the most memory that answering took. `ns` is processor time, the median of
 * rounds over all requests. p50 and p99 are over requests, each by the median of its calls, by the
 * wall clock when they take less than 10 µs. `allocs` counts heap calls a decision. */
#include "aicp/policy.h"

#include "lib/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REQUESTS_MOST = 2000, ROUNDS = 15, LOADS = 10 };

static size_t allocations;

static void *count_alloc(void *user, size_t size) {
    (void)user;
    allocations++;
    return malloc(size);
}

static void *count_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    allocations++;
    return realloc(ptr, new_size);
}

static void count_free(void *user, void *ptr) {
    (void)user;
    free(ptr);
}

static const aicp_allocator ALLOCATOR = {NULL, count_alloc, count_realloc, count_free};

static uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void) {
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void check(aicp_status status, const aicp_error *err) {
    if (status != AICP_OK) {
        (void)fprintf(stderr, "bench_policy: %s\n", err->message);
        exit(1);
    }
}

static aicpi_slice read_file(const char *folder, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        return aicpi_slice_of(NULL, 0);
    }
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(size + 1);
    size_t got = data ? fread(data, 1, size, f) : 0;
    fclose(f);
    return aicpi_slice_of(data, got);
}

static int compare_u64(const void *a, const void *b) {
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* ---- requests of a workload ---- */

static void read_uid(aicpi_json *json, aicp_policy_request *request, aicpi_slice part) {
    aicpi_slice type = {0};
    aicpi_slice id = {0};
    aicp_error err;
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        aicpi_json_string(json, aicpi_slice_is(key, "type") ? &type : &id);
    }
    aicp_status status = AICP_OK;
    if (aicpi_slice_is(part, "principal")) {
        status =
            aicp_policy_request_set_principal(request, type.data, type.len, id.data, id.len, &err);
    } else if (aicpi_slice_is(part, "action")) {
        status =
            aicp_policy_request_set_action(request, type.data, type.len, id.data, id.len, &err);
    } else {
        status =
            aicp_policy_request_set_resource(request, type.data, type.len, id.data, id.len, &err);
    }
    check(status, &err);
}

static size_t read_requests(aicpi_slice text, aicp_policy_request **requests) {
    aicpi_arena arena;
    aicpi_json json;
    aicp_error err;
    size_t count = 0;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_json_init(&json, &arena, text.data, text.len, 0);
    aicpi_json_array(&json);
    while (aicpi_json_element(&json) && count < REQUESTS_MOST) {
        check(aicp_policy_request_new(NULL, &requests[count], &err), &err);
        aicpi_json_object(&json);
        for (aicpi_slice key; aicpi_json_member(&json, &key);) {
            aicpi_slice raw;
            if (!aicpi_slice_is(key, "context")) {
                read_uid(&json, requests[count], key);
            } else if (aicpi_json_span(&json, &raw)) {
                check(
                    aicp_policy_request_set_context_json(requests[count], raw.data, raw.len, &err),
                    &err);
            }
        }
        count++;
    }
    check(aicpi_json_finish(&json, &err), &err);
    aicpi_arena_deinit(&arena);
    return count;
}

/* ---- measuring ---- */

/* One operation on the nth request. */
typedef void (*operation)(void *user, size_t nth);

static const char *only; /* NULL: everything */

static bool wanted(const char *what) {
    return !only || strcmp(only, what) == 0;
}

static void measure(const char *what, operation run, void *user, size_t count) {
    static uint64_t calls[REQUESTS_MOST][ROUNDS];
    static uint64_t medians[REQUESTS_MOST];
    uint64_t rounds[ROUNDS];
    if (!wanted(what)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        run(user, i); /* warms up */
    }
    allocations = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t cpu = cpu_ns();
        for (size_t i = 0; i < count; i++) {
            run(user, i);
        }
        rounds[round] = cpu_ns() - cpu;
        /* Reading the thread's clock takes half a microsecond. */
        clockid_t clock = rounds[round] / count < 10000 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
        for (size_t i = 0; i < count; i++) {
            uint64_t begun = clock_ns(clock);
            run(user, i);
            calls[i][round] = clock_ns(clock) - begun;
        }
    }
    qsort(rounds, ROUNDS, sizeof *rounds, compare_u64);
    for (size_t i = 0; i < count; i++) {
        qsort(calls[i], ROUNDS, sizeof *calls[i], compare_u64);
        medians[i] = calls[i][ROUNDS / 2];
    }
    qsort(medians, count, sizeof *medians, compare_u64);
    printf(
        "{\"what\":\"%s\",\"ns\":%.1f,\"p50_ns\":%llu,\"p99_ns\":%llu,\"allocs\":%.2f}\n",
        what,
        (double)rounds[ROUNDS / 2] / (double)count,
        (unsigned long long)medians[count / 2],
        (unsigned long long)medians[count * 99 / 100],
        (double)allocations / (double)(2 * count * ROUNDS));
}

typedef struct workload {
    aicp_policy_set *set;
    aicp_policy_entities *entities;
    aicp_policy_request *requests[REQUESTS_MOST];
    size_t count;
    aicp_policy_response *response;
    uint32_t flags;
} workload;

static void authorize(void *user, size_t nth) {
    workload *w = user;
    aicp_error err;
    check(
        aicp_policy_authorize(w->set, w->entities, w->requests[nth], w->flags, w->response, &err),
        &err);
}

static void measure_authorize(const char *what, workload *w, uint32_t flags) {
    w->flags = flags;
    measure(what, authorize, w, w->count);
}

static void print_answers(workload *w) {
    printf("{\"what\":\"answers\",\"decisions\":\"");
    for (size_t i = 0; i < w->count; i++) {
        authorize(w, i);
        bool allow = aicp_policy_response_decision(w->response) == AICP_POLICY_ALLOW;
        putchar(allow ? 'A' : 'D');
    }
    printf("\"}\n");
}

static void print_memory(void) {
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            printf("{\"what\":\"memory\",\"peak_kb\":%ld}\n", strtol(line + 6, NULL, 10));
        }
    }
    if (f) {
        fclose(f);
    }
}

/* ---- the way of a gate: everything by typed calls ---- */

#define TEXT(literal) literal, sizeof(literal) - 1

static void fill_request(aicp_policy_request *r, size_t i, aicp_error *err) {
    static const char *const scopes[] = {"chat", "embed"};
    char id[32];
    size_t len = (size_t)snprintf(id, sizeof id, "key-%zu", i % 100);
    aicp_policy_request_reset(r);
    check(aicp_policy_request_set_principal(r, TEXT("ApiKey"), id, len, err), err);
    check(aicp_policy_request_set_action(r, TEXT("Action"), TEXT("chat"), err), err);
    check(aicp_policy_request_set_resource(r, TEXT("Model"), TEXT("gpt-5"), err), err);
    check(aicp_policy_request_entity_begin(r, TEXT("ApiKey"), id, len, err), err);
    check(aicp_policy_request_entity_parent(r, TEXT("User"), TEXT("caller"), err), err);
    check(aicp_policy_request_entity_attr_string_set(r, "scopes", scopes, NULL, 2, err), err);
    check(aicp_policy_request_entity_attr_datetime(r, "expires", 1900000000000, err), err);
    check(aicp_policy_request_entity_begin(r, TEXT("User"), TEXT("caller"), err), err);
    check(aicp_policy_request_entity_parent(r, TEXT("Team"), TEXT("t1"), err), err);
    check(aicp_policy_request_entity_attr_string(r, "email", TEXT("a@b.example"), err), err);
    check(aicp_policy_request_entity_begin(r, TEXT("Model"), TEXT("gpt-5"), err), err);
    check(aicp_policy_request_entity_parent(r, TEXT("Provider"), TEXT("p1"), err), err);
    check(aicp_policy_request_entity_attr_long(r, "max_tokens", 128000, err), err);
    check(aicp_policy_request_entity_attr_decimal(r, "cost_per_mtok", TEXT("10.0"), err), err);
    check(aicp_policy_request_entity_attr_string_set(r, "tags_allowed", scopes, NULL, 1, err), err);
    check(aicp_policy_request_context_ip(r, "source_ip", TEXT("10.1.2.3"), err), err);
    check(aicp_policy_request_context_datetime(r, "now", 1800000000000, err), err);
    check(aicp_policy_request_context_long(r, "requested_tokens", 1024, err), err);
    check(aicp_policy_request_context_long(r, "spent_cents", 100, err), err);
    check(aicp_policy_request_context_bool(r, "pii", 0, err), err);
    check(aicp_policy_request_context_bool(r, "mfa", 1, err), err);
}

typedef struct gate {
    const workload *w;
    aicp_policy_request *request;
} gate;

static void pass_gate(void *user, size_t nth) {
    gate *g = user;
    aicp_error err;
    fill_request(g->request, nth, &err);
    check(
        aicp_policy_authorize(g->w->set, g->w->entities, g->request, 0, g->w->response, &err),
        &err);
}

static void measure_gate(const workload *w) {
    gate g = {.w = w};
    aicp_error err;
    check(aicp_policy_request_new(&ALLOCATOR, &g.request, &err), &err);
    measure("fill-and-authorize", pass_gate, &g, REQUESTS_MOST);
    pass_gate(&g, 0);
    if (aicp_policy_response_decision(w->response) != AICP_POLICY_ALLOW ||
        aicp_policy_response_error_count(w->response) != 0) {
        (void)fprintf(stderr, "bench_policy: the gate's request should be allowed\n");
        exit(1);
    }
    aicp_policy_request_free(g.request);
}

/* ---- loading ---- */

/* What is loaded, again and again. */
typedef struct load {
    aicpi_slice policies;
    aicpi_slice links;
    aicpi_slice entities;
    aicp_policy_set *unlinked;
} load;

static void parse(const load *l, aicp_policy_set **out) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    aicp_error err;
    check(aicp_policy_set_parse(l->policies.data, l->policies.len, &options, out, &err), &err);
}

static void run_parse(const load *l) {
    aicp_policy_set *set = NULL;
    parse(l, &set);
    aicp_policy_set_free(set);
}

static void run_link(const load *l) {
    aicp_policy_set *set = NULL;
    aicp_error err;
    check(aicp_policy_set_link(l->unlinked, l->links.data, l->links.len, &set, &err), &err);
    aicp_policy_set_free(set);
}

static void run_entities(const load *l) {
    aicp_policy_entities *entities = NULL;
    aicp_error err;
    check(
        aicp_policy_entities_parse(l->entities.data, l->entities.len, NULL, &entities, &err), &err);
    aicp_policy_entities_free(entities);
}

static void measure_load(const char *what, void (*run)(const load *), const load *l, size_t bytes) {
    uint64_t best = UINT64_MAX;
    if (!wanted(what)) {
        return;
    }
    for (int i = 0; i < LOADS; i++) {
        uint64_t begun = cpu_ns();
        run(l);
        uint64_t took = cpu_ns() - begun;
        best = took < best ? took : best;
    }
    printf("{\"what\":\"%s\",\"mb_s\":%.1f}\n", what, (double)bytes * 1e3 / (double)best);
}

static void open_workload(workload *w, load *l, const char *folder) {
    aicp_error err;
    *l = (load){
        .policies = read_file(folder, "policies.cedar"),
        .links = read_file(folder, "links.json"),
        .entities = read_file(folder, "entities.json")};
    parse(l, &l->unlinked);
    w->set = aicp_policy_set_ref(l->unlinked);
    if (l->links.data) {
        aicp_policy_set_free(w->set);
        check(aicp_policy_set_link(l->unlinked, l->links.data, l->links.len, &w->set, &err), &err);
    }
    check(
        aicp_policy_entities_parse(l->entities.data, l->entities.len, NULL, &w->entities, &err),
        &err);
    aicpi_slice requests = read_file(folder, "requests.json");
    w->count = read_requests(requests, w->requests);
    free((char *)requests.data);
    check(aicp_policy_response_new(&ALLOCATOR, &w->response, &err), &err);
}

static void close_workload(workload *w, load *l) {
    for (size_t i = 0; i < w->count; i++) {
        aicp_policy_request_free(w->requests[i]);
    }
    aicp_policy_response_free(w->response);
    aicp_policy_entities_free(w->entities);
    aicp_policy_set_free(w->set);
    aicp_policy_set_free(l->unlinked);
    free((char *)l->policies.data);
    free((char *)l->links.data);
    free((char *)l->entities.data);
}

int main(int argc, char **argv) {
    static workload w;
    load l;
    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: bench_policy FOLDER [WHAT]\n");
        return 2;
    }
    only = argc > 2 ? argv[2] : NULL;
    open_workload(&w, &l, argv[1]);
    print_answers(&w);
    print_memory();
    measure_authorize("authorize", &w, 0);
    measure_authorize("decide", &w, AICP_POLICY_DECISION_ONLY);
    measure_authorize("authorize-no-index", &w, AICP_POLICY_NO_INDEX);
    if (strstr(argv[1], "a-control-plane")) {
        measure_gate(&w);
    }
    measure_load("parse", run_parse, &l, l.policies.len);
    if (l.links.data) {
        measure_load("link", run_link, &l, l.links.len);
    }
    measure_load("entities", run_entities, &l, l.entities.len);
    close_workload(&w, &l);
    return 0;
}
