/* Speed of the policy engine on four workloads (tests/data/policy/workloads.tar.gz), one thread.
 *
 *     bench_policy [FOLDER]      FOLDER: the unpacked workloads; made and removed when not given
 *
 * Prints JSON lines: authorize per request (filled beforehand), the whole path of a gate (fill from
 * typed values with three entities, then authorize), reading of policies and entities in MB/s. p99
 * is over single calls; `allocs` counts heap calls per operation once warm. */
#include "aicp/policy.h"

#include "lib/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS_MOST = 2000, ROUNDS = 20, LOADS = 10 };

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

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
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

static uint64_t samples[ROUNDS * REQUESTS_MOST];

static void print_line(const char *workload, const char *what, size_t count, size_t allocs) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += samples[i];
    }
    qsort(samples, count, sizeof *samples, compare_u64);
    printf(
        "{\"bench\":\"policy/%s/"
        "%s\",\"ns\":%.1f,\"p50_ns\":%llu,\"p99_ns\":%llu,\"allocs\":%.2f}\n",
        workload,
        what,
        (double)sum / (double)count,
        (unsigned long long)samples[count / 2],
        (unsigned long long)samples[count * 99 / 100],
        (double)allocs / (double)count);
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

static void measure_authorize(
    const char *name,
    const char *what,
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    aicp_policy_request **requests,
    size_t count,
    uint32_t flags) {
    aicp_policy_response *response = NULL;
    aicp_error err;
    check(aicp_policy_response_new(&ALLOCATOR, &response, &err), &err);
    size_t n = 0;
    size_t rounds = strncmp(name, "c-", 2) == 0 ? 3 : ROUNDS;
    for (size_t round = 0; round <= rounds; round++) {
        if (round == 1) { /* the first round only warms up */
            n = 0;
            allocations = 0;
        }
        for (size_t i = 0; i < count; i++) {
            uint64_t begun = now_ns();
            check(aicp_policy_authorize(set, entities, requests[i], flags, response, &err), &err);
            samples[n++] = now_ns() - begun;
        }
    }
    print_line(name, what, n, allocations);
    aicp_policy_response_free(response);
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

static void measure_gate(const aicp_policy_set *set, const aicp_policy_entities *entities) {
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    aicp_error err;
    check(aicp_policy_request_new(&ALLOCATOR, &request, &err), &err);
    check(aicp_policy_response_new(&ALLOCATOR, &response, &err), &err);
    size_t n = 0;
    for (size_t i = 0; i < REQUESTS_MOST * ROUNDS; i++) {
        if (i == 100) {
            n = 0;
            allocations = 0;
        }
        uint64_t begun = now_ns();
        fill_request(request, i, &err);
        check(aicp_policy_authorize(set, entities, request, 0, response, &err), &err);
        samples[n++] = now_ns() - begun;
    }
    if (aicp_policy_response_decision(response) != AICP_POLICY_ALLOW ||
        aicp_policy_response_error_count(response) != 0) {
        (void)fprintf(stderr, "bench_policy: the gate's request should be allowed\n");
        exit(1);
    }
    print_line("a-control-plane", "fill-and-authorize", n, allocations);
    aicp_policy_request_free(request);
    aicp_policy_response_free(response);
}

/* ---- loading ---- */

static void print_load(const char *name, const char *what, size_t bytes, uint64_t best_ns) {
    printf(
        "{\"bench\":\"policy/%s/%s\",\"ns\":%llu,\"bytes\":%zu,\"mb_s\":%.1f}\n",
        name,
        what,
        (unsigned long long)best_ns,
        bytes,
        (double)bytes * 1e3 / (double)best_ns);
}

static aicp_policy_set *load_policies(const char *name, const char *folder) {
    aicpi_slice text = read_file(folder, "policies.cedar");
    aicpi_slice links = read_file(folder, "links.json");
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    aicp_policy_set *set = NULL;
    aicp_error err;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < LOADS; i++) {
        aicp_policy_set_free(set);
        uint64_t begun = now_ns();
        check(aicp_policy_set_parse(text.data, text.len, &options, &set, &err), &err);
        uint64_t took = now_ns() - begun;
        best = took < best ? took : best;
    }
    print_load(name, "parse", text.len, best);
    if (links.data) {
        aicp_policy_set *linked = NULL;
        uint64_t begun = now_ns();
        check(aicp_policy_set_link(set, links.data, links.len, &linked, &err), &err);
        print_load(name, "link", links.len, now_ns() - begun);
        aicp_policy_set_free(set);
        set = linked;
    }
    free((char *)text.data);
    free((char *)links.data);
    return set;
}

static aicp_policy_entities *load_entities(const char *name, const char *folder) {
    aicpi_slice text = read_file(folder, "entities.json");
    aicp_policy_entities *entities = NULL;
    aicp_error err;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < LOADS; i++) {
        aicp_policy_entities_free(entities);
        uint64_t begun = now_ns();
        check(aicp_policy_entities_parse(text.data, text.len, NULL, &entities, &err), &err);
        uint64_t took = now_ns() - begun;
        best = took < best ? took : best;
    }
    print_load(name, "entities", text.len, best);
    free((char *)text.data);
    return entities;
}

static void run(const char *root, const char *name) {
    static aicp_policy_request *requests[REQUESTS_MOST];
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    aicp_policy_set *set = load_policies(name, folder);
    aicp_policy_entities *entities = load_entities(name, folder);
    aicpi_slice text = read_file(folder, "requests.json");
    size_t count = read_requests(text, requests);
    measure_authorize(name, "authorize", set, entities, requests, count, 0);
    measure_authorize(name, "decide", set, entities, requests, count, AICP_POLICY_DECISION_ONLY);
    if (strncmp(name, "a-", 2) == 0) {
        measure_gate(set, entities);
    }
    for (size_t i = 0; i < count; i++) {
        aicp_policy_request_free(requests[i]);
    }
    aicp_policy_set_free(set);
    aicp_policy_entities_free(entities);
    free((char *)text.data);
}

/* Unpacks the workloads into a folder, or removes it. */
static int unpack(const char *folder) {
    char command[2048];
    snprintf(
        command,
        sizeof command,
        "tar -xzf '%s/policy/workloads.tar.gz' -C '%s'",
        AICP_TEST_DATA,
        folder);
    return system(command);
}

static int clean_up(const char *folder) {
    char command[2048];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(int argc, char **argv) {
    static const char *const names[] = {
        "a-control-plane", "b-scoped-1k", "c-templates-10k", "d-deep-10k"};
    char made[] = "/tmp/aicp-bench-XXXXXX";
    const char *root = argc > 1 ? argv[1] : mkdtemp(made);
    if (!root || (argc < 2 && unpack(root) != 0)) {
        (void)fprintf(stderr, "bench_policy: cannot unpack the workloads\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        run(root, names[i]);
    }
    return argc < 2 ? clean_up(root) : 0;
}
