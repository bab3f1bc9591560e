/* Which rules a request meets: matching of patterns, and an index for long lists. */
#include "lib/ratelimit/ratelimit_internal.h"

#include "lib/base/arena.h"
#include "lib/base/error.h"

#include <stdlib.h>

#define INDEX_FROM 24 /* shorter lists are faster scanned */

static bool is_known_tag(const aicpi_limit_subject *subject, aicpi_slice tag) {
    for (size_t i = 0; i < subject->tag_count; i++) {
        if (aicpi_slice_eq(subject->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

/* Values that are not simply one of a dimension: absent ones, tags, errors. */
static aicp_status
add_special(aicpi_limit_subject *subject, const aicp_limit_value *v, aicp_error *err) {
    if (v->dimension < 0 || v->dimension >= AICP_LIMIT_DIMENSIONS || (!v->data && v->len)) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "value of unknown dimension %d or without data", v->dimension);
    }
    const char *name = aicpi_limit_dimension_name(v->dimension);
    if (v->len == 0) {
        return AICP_OK;
    }
    if (v->len > AICP_LIMIT_MAX_VALUE) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "%s is longer than %d bytes", name, AICP_LIMIT_MAX_VALUE);
    }
    if (v->dimension != AICP_LIMIT_TAG) {
        return aicpi_fail(err, AICP_ERR_INVALID, "%s is given twice", name);
    }
    aicpi_slice text = aicpi_slice_of(v->data, v->len);
    if (is_known_tag(subject, text)) {
        return AICP_OK;
    }
    if (subject->tag_count == AICP_LIMIT_MAX_CHARGES) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "more than %d tags", AICP_LIMIT_MAX_CHARGES);
    }
    subject->tags[subject->tag_count++] = text;
    subject->present |= 1U << AICP_LIMIT_TAG;
    return AICP_OK;
}

aicp_status aicpi_limit_subject_add(
    aicpi_limit_subject *subject, const aicp_limit_request *request, aicp_error *err) {
    subject->present = 0;
    for (size_t i = 0; i < request->value_count; i++) {
        const aicp_limit_value *v = &request->values[i];
        uint32_t dimension = (uint32_t)v->dimension;
        if (dimension < AICP_LIMIT_TAG && v->len - 1 < AICP_LIMIT_MAX_VALUE && v->data &&
            (subject->present & (1U << dimension)) == 0) {
            subject->values[dimension] = v;
            subject->present |= 1U << dimension;
            continue;
        }
        aicp_status status = add_special(subject, v, err);
        if (status != AICP_OK) {
            return status;
        }
    }
    return AICP_OK;
}

static bool pattern_matches(const aicpi_limit_pattern *pattern, aicpi_slice value) {
    if (value.len == 0 || value.len < pattern->text.len ||
        (!pattern->prefix && value.len != pattern->text.len)) {
        return false;
    }
    return memcmp(value.data, pattern->text.data, pattern->text.len) == 0;
}

static bool
pattern_matches_subject(const aicpi_limit_pattern *pattern, const aicpi_limit_subject *subject) {
    if (pattern->dimension != AICP_LIMIT_TAG) {
        const aicp_limit_value *value = subject->values[pattern->dimension];
        return pattern_matches(pattern, aicpi_slice_of(value->data, value->len));
    }
    for (size_t i = 0; i < subject->tag_count; i++) {
        if (pattern_matches(pattern, subject->tags[i])) {
            return true;
        }
    }
    return false;
}

bool aicpi_limit_patterns_match(const aicpi_limit_rule *rule, const aicpi_limit_subject *subject) {
    /* Patterns of one dimension stand together: any of them, in every dimension named. */
    for (size_t i = 0; i < rule->pattern_count;) {
        int32_t dimension = rule->patterns[i].dimension;
        bool found = false;
        for (; i < rule->pattern_count && rule->patterns[i].dimension == dimension; i++) {
            found = found || pattern_matches_subject(&rule->patterns[i], subject);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* ---- index ---------------------------------------------------------------------------------- */

typedef struct posting {
    uint32_t place; /* in rules->order */
    uint32_t next;  /* + 1 */
} posting;

struct aicpi_limit_index {
    aicpi_map by_value[AICP_LIMIT_DIMENSIONS]; /* value -> first posting + 1 */
    posting *postings;
    size_t count;
    size_t capacity;
    uint32_t *others; /* places of rules that no exact value selects */
    size_t other_count;
};

/* The dimension by which a rule is found: one with exact patterns only; -1 = none. Keys and users
 * select better than organisations, hence the order. */
static int32_t selecting_dimension(const aicpi_limit_rule *rule) {
    static const int32_t BEST_FIRST[AICP_LIMIT_DIMENSIONS] = {
        AICP_LIMIT_KEY,
        AICP_LIMIT_END_USER,
        AICP_LIMIT_USER,
        AICP_LIMIT_AGENT,
        AICP_LIMIT_TAG,
        AICP_LIMIT_TEAM,
        AICP_LIMIT_MODEL,
        AICP_LIMIT_MODEL_GROUP,
        AICP_LIMIT_ORG};
    for (size_t k = 0; k < AICP_LIMIT_DIMENSIONS; k++) {
        bool named = false;
        bool exact = true;
        for (size_t i = 0; i < rule->pattern_count; i++) {
            if (rule->patterns[i].dimension == BEST_FIRST[k]) {
                named = true;
                exact = exact && !rule->patterns[i].prefix;
            }
        }
        if (named && exact) {
            return BEST_FIRST[k];
        }
    }
    return -1;
}

static bool
add_posting(aicp_limit_rules *rules, int32_t dimension, aicpi_slice value, uint32_t place) {
    aicpi_limit_index *index = rules->index;
    bool inserted = false;
    aicpi_map_slot *slot =
        aicpi_map_put(&index->by_value[dimension], value.data, value.len, &inserted);
    if (!slot || !aicpi_arena_grow(
                     rules->arena,
                     (void **)&index->postings,
                     &index->capacity,
                     index->count,
                     sizeof *index->postings)) {
        return false;
    }
    uint32_t next = inserted ? 0 : (uint32_t)slot->value.u64;
    if (next != 0 && index->postings[next - 1].place == place) {
        return true; /* the same value twice in one rule */
    }
    index->postings[index->count++] = (posting){place, next};
    slot->value.u64 = index->count;
    return true;
}

static bool add_rule(aicp_limit_rules *rules, uint32_t place) {
    const aicpi_limit_rule *rule = rules->order[place];
    int32_t dimension = selecting_dimension(rule);
    if (dimension < 0) {
        rules->index->others[rules->index->other_count++] = place;
        return true;
    }
    for (size_t i = 0; i < rule->pattern_count; i++) {
        if (rule->patterns[i].dimension == dimension &&
            !add_posting(rules, dimension, rule->patterns[i].text, place)) {
            return false;
        }
    }
    return true;
}

aicp_status aicpi_limit_index_build(aicp_limit_rules *rules, aicp_error *err) {
    if (rules->order_count < INDEX_FROM) {
        return AICP_OK;
    }
    aicpi_limit_index *index = aicpi_arena_calloc(rules->arena, 1, sizeof *index);
    if (!index) {
        return aicpi_nomem(err);
    }
    for (size_t d = 0; d < AICP_LIMIT_DIMENSIONS; d++) {
        aicpi_map_init(&index->by_value[d], &rules->allocator);
    }
    rules->index = index;
    index->others = aicpi_arena_alloc(rules->arena, rules->order_count * sizeof *index->others);
    bool ok = index->others != NULL;
    for (size_t i = 0; ok && i < rules->order_count; i++) {
        ok = add_rule(rules, (uint32_t)i);
    }
    return ok ? AICP_OK : aicpi_nomem(err);
}

void aicpi_limit_index_free(aicp_limit_rules *rules) {
    for (size_t d = 0; rules->index && d < AICP_LIMIT_DIMENSIONS; d++) {
        aicpi_map_deinit(&rules->index->by_value[d]);
    }
}

typedef struct candidates {
    uint32_t *items;
    size_t count;
    size_t max;
    bool full;
} candidates;

static void add_candidate(candidates *c, uint32_t place) {
    size_t i = c->count;
    if (i == c->max) {
        c->full = true;
        return;
    }
    for (; i > 0 && c->items[i - 1] > place; i--) {
        c->items[i] = c->items[i - 1];
    }
    if (i > 0 && c->items[i - 1] == place) { /* found by two tags: close the gap again */
        memmove(c->items + i, c->items + i + 1, (c->count - i) * sizeof *c->items);
        return;
    }
    c->items[i] = place;
    c->count++;
}

static void find_value(
    const aicp_limit_rules *rules,
    const aicpi_limit_subject *subject,
    int32_t dimension,
    aicpi_slice value,
    candidates *c) {
    const aicpi_limit_index *index = rules->index;
    const aicpi_map *map = &index->by_value[dimension];
    if (map->count == 0 || value.len == 0) {
        return;
    }
    const aicpi_map_slot *slot = aicpi_map_find(map, value.data, value.len);
    uint32_t next = slot ? (uint32_t)slot->value.u64 : 0;
    for (; next != 0; next = index->postings[next - 1].next) {
        uint32_t place = index->postings[next - 1].place;
        if (aicpi_limit_rule_matches(rules->order[place], subject)) {
            add_candidate(c, place);
        }
    }
}

aicp_status aicpi_limit_index_find(
    const aicp_limit_rules *rules,
    const aicpi_limit_subject *subject,
    uint32_t *out,
    size_t max,
    size_t *count,
    aicp_error *err) {
    candidates c = {.items = out, .max = max};
    for (int32_t d = 0; d < AICP_LIMIT_TAG; d++) {
        if ((subject->present & (1U << d)) == 0) {
            continue;
        }
        const aicp_limit_value *value = subject->values[d];
        find_value(rules, subject, d, aicpi_slice_of(value->data, value->len), &c);
    }
    for (size_t i = 0; i < subject->tag_count; i++) {
        find_value(rules, subject, AICP_LIMIT_TAG, subject->tags[i], &c);
    }
    for (size_t i = 0; i < rules->index->other_count; i++) {
        uint32_t place = rules->index->others[i];
        if (aicpi_limit_rule_matches(rules->order[place], subject)) {
            add_candidate(&c, place);
        }
    }
    if (c.full) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "more than %zu limit rules match", max);
    }
    *count = c.count;
    return AICP_OK;
}
