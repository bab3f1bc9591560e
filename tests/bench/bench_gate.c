/* A full check of a 2 KB chat request: 12 policies, 4 limits, all detectors, exact count, price,
 * reservation, and the settlement. CPU time, one thread, JSON Lines.
 *
 *     bench_gate BUNDLE-FOLDER REQUEST-FILE [REPETITIONS] */
#include "unit/support.h"

#include "aicp/aicp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM 200

static uint64_t cpu_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void die(const char *what, const aicp_error *err) {
    fprintf(stderr, "bench_gate: %s: %s (line %u)\n", what, err->message, err->line);
    exit(1);
}

static char *read_file(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = malloc((size_t)size + 1);
    *len = text ? fread(text, 1, (size_t)size, f) : 0;
    fclose(f);
    return text;
}

/* One request through the gate; the time of each step goes into row `i`. */
static uint64_t
once(aicp_gate *gate, aicp_gate_request *request, const char *body, size_t len, uint64_t *steps) {
    aicp_error err = {0};
    aicp_gate_decision *d = NULL;
    uint64_t start = cpu_ns();
    aicp_gate_request_reset(request);
    aicp_status status = aicp_gate_request_set_body(request, body, len, &err);
    status = status ? status : aicp_gate_request_set(request, AICP_GATE_KEY, "bench-key", 9, &err);
    status = status ? status : aicp_gate_request_set(request, AICP_GATE_TEAM, "bench", 5, &err);
    status = status ? status : aicp_gate_check(gate, request, 1000000000, &d, &err);
    uint64_t checked = cpu_ns();
    if (status != AICP_OK) {
        die("check", &err);
    }
    if (aicp_gate_decision_verdict(d) != AICP_GATE_ALLOW) {
        fprintf(stderr, "bench_gate: refused: %s\n", aicp_gate_decision_message(d));
        exit(1);
    }
    for (int32_t s = 0; s < AICP_GATE_STEP_COUNT; s++) {
        steps[s] = aicp_gate_decision_step_ns(d, s);
    }
    aicp_usage usage = AICP_USAGE_INIT;
    usage.prompt_tokens = aicp_gate_decision_input_tokens(d);
    usage.completion_tokens = 100;
    if (aicp_gate_settle(gate, d, &usage, -1, NULL, &err) != AICP_OK) {
        die("settle", &err);
    }
    aicp_gate_decision_free(d);
    steps[AICP_GATE_STEP_COUNT] = cpu_ns() - checked;
    return checked - start;
}

static void print(const char *name, uint64_t *values, size_t count, double allocs) {
    qsort(values, count, sizeof *values, by_value);
    printf(
        "{\"bench\":\"gate/%s\",\"ns\":%llu,\"p99_ns\":%llu,\"allocs\":%.3f}\n",
        name,
        (unsigned long long)values[count / 2],
        (unsigned long long)values[count * 99 / 100],
        allocs);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: bench_gate BUNDLE-FOLDER REQUEST-FILE [REPETITIONS]\n");
        return 2;
    }
    size_t repetitions = argc > 3 ? strtoul(argv[3], NULL, 10) : 5000;
    size_t len = 0;
    char *body = read_file(argv[2], &len);
    test_heap heap = {0};
    aicp_allocator allocator = test_allocator(&heap);
    aicp_error err = {0};
    aicp_gate *gate = NULL;
    aicp_gate_request *request = NULL;
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    options.bundle_path = argv[1];
    options.allocator = &allocator;
    if (aicp_gate_open(&options, &gate, &err) != AICP_OK ||
        aicp_gate_request_new(gate, &request, &err) != AICP_OK) {
        die("open", &err);
    }
    uint64_t steps[AICP_GATE_STEP_COUNT + 1];
    uint64_t *rows[AICP_GATE_STEP_COUNT + 1];
    uint64_t *total = calloc(repetitions, sizeof *total);
    for (int32_t s = 0; s <= AICP_GATE_STEP_COUNT; s++) {
        rows[s] = calloc(repetitions, sizeof *rows[s]);
    }
    for (size_t i = 0; i < WARM; i++) {
        once(gate, request, body, len, steps);
    }
    size_t before = heap.allocations;
    for (size_t i = 0; i < repetitions; i++) {
        total[i] = once(gate, request, body, len, steps);
        for (int32_t s = 0; s <= AICP_GATE_STEP_COUNT; s++) {
            rows[s][i] = steps[s];
        }
    }
    double allocs = (double)(heap.allocations - before) / (double)repetitions;
    print("check", total, repetitions, allocs);
    for (int32_t s = 0; s < AICP_GATE_STEP_COUNT; s++) {
        print(aicp_gate_step_name(s), rows[s], repetitions, 0);
        free(rows[s]);
    }
    print("settle", rows[AICP_GATE_STEP_COUNT], repetitions, 0);
    free(rows[AICP_GATE_STEP_COUNT]);
    free(total);
    free(body);
    aicp_gate_request_free(request);
    aicp_gate_free(gate);
    return 0;
}
