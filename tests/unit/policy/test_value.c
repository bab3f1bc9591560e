/* Sets and records of any size behave like the plain definitions of them. */
#include "lib/policy/intern.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { MOST = 300 };

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static const aicpi_policy_set_value *
make_set(aicpi_arena *arena, const int64_t *numbers, size_t count) {
    aicpi_policy_element *items = aicpi_arena_calloc(arena, count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i].value = aicpi_policy_of_number(AICPI_POLICY_LONG, numbers[i]);
    }
    return aicpi_policy_set_make(arena, items, count);
}

static void check_sets(aicpi_arena *arena, uint32_t seed) {
    uint32_t state = seed;
    int64_t numbers[2][MOST];
    bool has[2][64] = {{false}};
    const aicpi_policy_set_value *sets[2];
    for (int s = 0; s < 2; s++) {
        size_t count = next_random(&state) % (seed % 4 ? 12 : MOST);
        for (size_t i = 0; i < count; i++) {
            numbers[s][i] = next_random(&state) % (seed % 3 ? 8 : 64);
            has[s][numbers[s][i]] = true;
        }
        sets[s] = make_set(arena, numbers[s], count);
    }
    bool all = true;
    bool any = false;
    uint32_t distinct = 0;
    for (int64_t n = 0; n < 64; n++) {
        aicpi_policy_value v = aicpi_policy_of_number(AICPI_POLICY_LONG, n);
        cr_expect_eq(aicpi_policy_set_contains(sets[0], v), has[0][n]);
        all &= !has[1][n] || has[0][n];
        any |= has[1][n] && has[0][n];
        distinct += has[0][n];
    }
    cr_expect_eq(sets[0]->count, distinct);
    cr_expect_eq(aicpi_policy_set_contains_all(sets[0], sets[1]), all);
    cr_expect_eq(aicpi_policy_set_contains_any(sets[0], sets[1]), any);
}

Test(policy_value, sets_hold_each_value_once_and_find_it) {
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, 0);
    for (uint32_t seed = 1; seed <= 2000; seed++) {
        check_sets(&arena, seed);
        aicpi_arena_reset(&arena);
    }
    aicpi_arena_deinit(&arena);
}

Test(policy_value, values_of_different_kinds_differ) {
    aicpi_policy_value v[] = {
        aicpi_policy_of_number(AICPI_POLICY_LONG, 1),
        aicpi_policy_of_number(AICPI_POLICY_DECIMAL, 1),
        aicpi_policy_of_number(AICPI_POLICY_DATETIME, 1),
        aicpi_policy_of_number(AICPI_POLICY_DURATION, 1),
        aicpi_policy_of_bool(true)};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            cr_expect_eq(aicpi_policy_value_eq(v[i], v[j]), i == j);
        }
    }
}

Test(policy_value, records_find_every_field) {
    aicpi_arena arena;
    aicpi_policy_intern in;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_policy_intern_init(&in, &arena, true);
    for (size_t count = 0; count <= 64; count++) {
        aicpi_policy_field *fields = aicpi_arena_calloc(&arena, count, sizeof *fields);
        const aicpi_policy_str *keys[65];
        for (size_t i = 0; i <= count; i++) {
            char name[16];
            int n = snprintf(name, sizeof name, "k%zu", i);
            keys[i] = aicpi_policy_intern_str(&in, aicpi_slice_of(name, (size_t)n));
            if (i < count) {
                fields[i].key = keys[i];
                fields[i].value = aicpi_policy_of_number(AICPI_POLICY_LONG, (int64_t)i);
            }
        }
        const aicpi_policy_record *record = aicpi_policy_record_make(&arena, fields, count);
        for (size_t i = 0; i < count; i++) {
            const aicpi_policy_value *v = aicpi_policy_record_get(record, keys[i]);
            cr_assert(v);
            cr_expect_eq(v->u.integer, (int64_t)i);
        }
        cr_expect_null(aicpi_policy_record_get(record, keys[count]));
    }
    aicpi_policy_intern_deinit(&in);
    aicpi_arena_deinit(&arena);
}

Test(policy_value, equal_texts_are_made_once) {
    aicpi_arena arena;
    aicpi_policy_intern in;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_policy_intern_init(&in, &arena, true);
    const aicpi_policy_str *first[500];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 500; i++) {
            char name[16];
            int n = snprintf(name, sizeof name, "%zu", i);
            const aicpi_policy_str *s =
                aicpi_policy_intern_str(&in, aicpi_slice_of(name, (size_t)n));
            const aicpi_policy_uid *uid = aicpi_policy_intern_uid(&in, s, s);
            cr_expect_eq(aicpi_policy_intern_uid(&in, s, s), uid);
            if (round == 0) {
                first[i] = s;
            }
            cr_expect_eq(s, first[i]);
        }
    }
    aicpi_policy_intern_deinit(&in);
    aicpi_arena_deinit(&arena);
}
