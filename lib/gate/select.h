/* Which requests a rule of the bundle is meant for: {"team": ["red", "blue-*"], "model":
 * ["gpt-*"]}. Every dimension named must hold one of its patterns; a pattern is exact or ends in
 * '*'. */
#ifndef AICPI_GATE_SELECT_H
#define AICPI_GATE_SELECT_H

#include "lib/base/arena.h"
#include "lib/base/json.h"
#include "lib/base/slice.h"

enum {
    AICPI_DIM_ORG,
    AICPI_DIM_TEAM,
    AICPI_DIM_USER,
    AICPI_DIM_KEY,
    AICPI_DIM_KEY_ALIAS,
    AICPI_DIM_MODEL,
    AICPI_DIM_END_USER,
    AICPI_DIM_TAG,
    AICPI_DIM_COUNT
};

/* Values of one request; absent ones have length 0. Tags are many. */
typedef struct aicpi_select_subject {
    aicpi_slice values[AICPI_DIM_COUNT];
    const aicpi_slice *tags;
    size_t tag_count;
} aicpi_select_subject;

typedef struct aicpi_select_pattern {
    int32_t dimension;
    bool prefix;
    aicpi_slice text;
} aicpi_select_pattern;

typedef struct aicpi_select {
    aicpi_select_pattern *patterns; /* grouped by dimension */
    size_t count;
    uint32_t per; /* dimensions that need a value, as bits */
} aicpi_select;

/* Reads the object at hand ("match") / the array at hand ("per"). Texts are copied into `arena`. */
bool aicpi_select_read_match(aicpi_json *r, aicpi_arena *arena, aicpi_select *out);
bool aicpi_select_read_per(aicpi_json *r, aicpi_select *out);
bool aicpi_select_matches(const aicpi_select *s, const aicpi_select_subject *subject);

#endif
