#include "lib/gate/select.h"

static const char *const dimension_names[AICPI_DIM_COUNT] = {
    "org", "team", "user", "key", "key_alias", "model", "end_user", "tag"};

static int32_t dimension_of(aicpi_slice name) {
    for (int32_t i = 0; i < AICPI_DIM_COUNT; i++) {
        if (aicpi_slice_is(name, dimension_names[i])) {
            return i;
        }
    }
    return -1;
}

static bool unknown_dimension(aicpi_json *r, size_t offset, aicpi_slice name) {
    return aicpi_json_fail(
        r,
        AICP_ERR_PARSE,
        offset,
        "unknown dimension \"%.*s\"; expected org, team, user, key, key_alias, model, end_user or "
        "tag",
        (int)(name.len < 60 ? name.len : 60),
        name.data);
}

static bool read_patterns(
    aicpi_json *r, aicpi_arena *arena, int32_t dimension, aicpi_select *out, size_t *capacity) {
    if (!aicpi_json_array(r)) {
        return false;
    }
    while (aicpi_json_element(r)) {
        aicpi_slice text;
        if (!aicpi_json_string(r, &text)) {
            return false;
        }
        bool prefix = text.len > 0 && text.data[text.len - 1] == '*';
        char *copy = aicpi_arena_strndup(arena, text.data, text.len);
        if (!copy ||
            !aicpi_arena_grow(
                arena, (void **)&out->patterns, capacity, out->count, sizeof *out->patterns)) {
            return aicpi_json_fail(r, AICP_ERR_NOMEM, 0, "out of memory");
        }
        out->patterns[out->count++] = (aicpi_select_pattern){
            dimension, prefix, aicpi_slice_of(copy, text.len - (prefix ? 1 : 0))};
    }
    return aicpi_json_ok(r);
}

bool aicpi_select_read_match(aicpi_json *r, aicpi_arena *arena, aicpi_select *out) {
    size_t capacity = 0;
    aicpi_slice key;
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        int32_t dimension = dimension_of(key);
        if (dimension < 0) {
            return unknown_dimension(r, aicpi_json_offset(r), key);
        }
        size_t before = out->count;
        if (!read_patterns(r, arena, dimension, out, &capacity)) {
            return false;
        }
        if (out->count == before) {
            return aicpi_json_fail(
                r,
                AICP_ERR_PARSE,
                r->pos,
                "an empty list for \"%s\" can never match",
                dimension_names[dimension]);
        }
    }
    return aicpi_json_ok(r);
}

bool aicpi_select_read_per(aicpi_json *r, aicpi_select *out) {
    if (!aicpi_json_array(r)) {
        return false;
    }
    while (aicpi_json_element(r)) {
        size_t offset = aicpi_json_offset(r);
        aicpi_slice name;
        if (!aicpi_json_string(r, &name)) {
            return false;
        }
        int32_t dimension = dimension_of(name);
        if (dimension < 0 || dimension == AICPI_DIM_TAG) {
            return unknown_dimension(r, offset, name);
        }
        out->per |= UINT32_C(1) << dimension;
    }
    return aicpi_json_ok(r);
}

static bool pattern_holds(const aicpi_select_pattern *p, aicpi_slice value) {
    if (value.len == 0) {
        return false;
    }
    if (!p->prefix) {
        return aicpi_slice_eq(p->text, value);
    }
    return value.len >= p->text.len && memcmp(value.data, p->text.data, p->text.len) == 0;
}

static bool holds_for_subject(const aicpi_select_pattern *p, const aicpi_select_subject *subject) {
    if (p->dimension != AICPI_DIM_TAG) {
        return pattern_holds(p, subject->values[p->dimension]);
    }
    for (size_t i = 0; i < subject->tag_count; i++) {
        if (pattern_holds(p, subject->tags[i])) {
            return true;
        }
    }
    return false;
}

bool aicpi_select_matches(const aicpi_select *s, const aicpi_select_subject *subject) {
    for (int32_t d = 0; d < AICPI_DIM_COUNT; d++) {
        if ((s->per >> d & 1) && subject->values[d].len == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < s->count;) {
        int32_t dimension = s->patterns[i].dimension;
        bool held = false;
        for (; i < s->count && s->patterns[i].dimension == dimension; i++) {
            held = held || holds_for_subject(&s->patterns[i], subject);
        }
        if (!held) {
            return false;
        }
    }
    return true;
}
