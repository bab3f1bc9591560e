/* Precision, recall and false alarms on the sample files: a change that loses either shows here. */
#include "lib/base/arena.h"
#include "lib/base/json.h"
#include "unit/guardrail/guard_test.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    aicpi_slice text;
    int64_t label;
    struct {
        int64_t start;
        int64_t end;
        aicpi_slice type;
    } spans[16];
    size_t span_count;
} row;

static void read_span(aicpi_json *r, row *out) {
    aicpi_slice key;
    cr_assert_lt(out->span_count, 16);
    aicpi_json_object(r);
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "type")) {
            aicpi_json_string(r, &out->spans[out->span_count].type);
        } else if (aicpi_slice_is(key, "start")) {
            aicpi_json_int64(r, &out->spans[out->span_count].start);
        } else {
            aicpi_json_int64(r, &out->spans[out->span_count].end);
        }
    }
    out->span_count++;
}

static void read_row(aicpi_arena *arena, const char *line, size_t len, row *out) {
    aicpi_json r;
    aicpi_slice key;
    *out = (row){0};
    aicpi_json_init(&r, arena, line, len, 0);
    aicpi_json_object(&r);
    while (aicpi_json_member(&r, &key)) {
        if (aicpi_slice_is(key, "text")) {
            aicpi_json_string(&r, &out->text);
        } else if (aicpi_slice_is(key, "label")) {
            aicpi_json_int64(&r, &out->label);
        } else {
            aicpi_json_array(&r);
            while (aicpi_json_element(&r)) {
                read_span(&r, out);
            }
        }
    }
    cr_assert_eq(aicpi_json_finish(&r, NULL), AICP_OK);
}

typedef struct score {
    size_t found;
    size_t missed;
    size_t wrong;
} score;

static void judge(const aicp_guard_result *result, const row *x, score *s) {
    size_t used = 0;
    for (size_t i = 0; i < x->span_count; i++) {
        bool hit = false;
        for (size_t k = 0; k < aicp_guard_result_finding_count(result); k++) {
            const aicp_guard_finding *f = aicp_guard_result_finding(result, k);
            hit = hit || (aicpi_slice_is(x->spans[i].type, f->type) &&
                          f->char_start < (uint64_t)x->spans[i].end &&
                          f->char_end > (uint64_t)x->spans[i].start);
        }
        used += hit;
        s->found += hit;
        s->missed += !hit;
    }
    size_t all = 0;
    for (size_t k = 0; k < aicp_guard_result_finding_count(result); k++) {
        all += aicp_guard_result_finding(result, k)->category == AICP_GUARD_PII;
    }
    s->wrong += all > used ? all - used : 0;
}

typedef void (*row_fn)(const aicp_guard_result *result, const row *x, score *s);

static score run(const char *file, row_fn fn) {
    aicp_guard_profile *profile = guard_profile("{}");
    aicp_guard_result *result = guard_result();
    size_t len = 0;
    char *data = guard_read(file, &len);
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, 0);
    score s = {0};
    for (size_t i = 0; i < len;) {
        const char *end = memchr(data + i, '\n', len - i);
        size_t n = end ? (size_t)(end - data) - i : len - i;
        row x;
        aicpi_arena_reset(&arena);
        read_row(&arena, data + i, n, &x);
        guard_scan_as(
            profile, x.text.data, x.text.len, AICP_GUARD_INPUT, AICP_GUARD_USER, NULL, result);
        fn(result, &x, &s);
        i += n + 1;
    }
    aicpi_arena_deinit(&arena);
    free(data);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
    return s;
}

Test(quality, covered_personal_data_reaches_precision_and_recall) {
    score s = run("pii-sample.jsonl", judge);
    double precision = (double)s.found / (double)(s.found + s.wrong);
    double recall = (double)s.found / (double)(s.found + s.missed);
    cr_expect_geq(precision, 0.95, "%.3f (%zu wrong)", precision, s.wrong);
    cr_expect_geq(recall, 0.95, "%.3f (%zu missed)", recall, s.missed);
}

static void judge_attack(const aicp_guard_result *result, const row *x, score *s) {
    bool hit = aicp_guard_result_score(result, AICP_GUARD_INJECTION) >= 0.9;
    s->found += x->label && hit;
    s->missed += x->label && !hit;
    s->wrong += !x->label && hit;
}

Test(quality, rules_find_half_of_the_attacks_without_false_alarm) {
    score s = run("injection-sample.jsonl", judge_attack);
    double recall = (double)s.found / (double)(s.found + s.missed);
    cr_expect_eq(s.wrong, 0, "%zu false alarms", s.wrong);
    cr_expect_geq(recall, 0.5, "%.3f", recall);
}
