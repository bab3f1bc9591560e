/* A profile's own detectors: members "detectors" and "banned_topics" of its JSON. */
#include "lib/base/json.h"
#include "lib/guardrail/guardrail_internal.h"

#define MAX_PATTERNS 200
#define MAX_PATTERN_BYTES 1000
#define MAX_KEYWORDS 2000
#define MAX_KEYWORD_BYTES 100
#define MAX_FOLDED_BYTES 50000

/* One detector as it stands there; lists are read when the type is known. */
typedef struct detector {
    aicpi_slice name;
    aicpi_slice label;
    bool regex;
    bool typed;
    bool whole_words;
    int32_t action;
    double score;
    aicpi_slice *texts; /* patterns or keywords, in the reader's arena */
    size_t *places;
    size_t text_count;
    bool has_patterns;
    bool has_keywords;
} detector;

static bool nomem(aicpi_json *json) {
    return aicpi_json_fail(json, AICP_ERR_NOMEM, 0, "out of memory");
}

static bool copy(aicpi_json *json, aicp_guard_profile *p, aicpi_slice text, const char **out) {
    *out = aicpi_arena_strndup(&p->arena, text.data, text.len);
    return *out || nomem(json);
}

/* ---- texts of a detector ----------------------------------------------------------------------
 */

static bool read_texts(aicpi_json *json, detector *d) {
    size_t most = MAX_KEYWORDS > MAX_PATTERNS ? MAX_KEYWORDS : MAX_PATTERNS;
    size_t capacity = 0;
    size_t place_capacity = 0;
    if (!aicpi_json_array(json)) {
        return false;
    }
    while (aicpi_json_element(json)) {
        size_t at = aicpi_json_offset(json);
        aicpi_slice text;
        if (!aicpi_json_string(json, &text)) {
            return false;
        }
        if (d->text_count == most) {
            return aicpi_json_fail(json, AICP_ERR_LIMIT, at, "more than %zu entries", most);
        }
        if (!aicpi_arena_grow(
                json->arena, (void **)&d->texts, &capacity, d->text_count, sizeof *d->texts) ||
            !aicpi_arena_grow(
                json->arena,
                (void **)&d->places,
                &place_capacity,
                d->text_count,
                sizeof *d->places)) {
            return nomem(json);
        }
        d->texts[d->text_count] = text;
        d->places[d->text_count++] = at;
    }
    return aicpi_json_ok(json);
}

static bool
add_pattern(aicpi_json *json, aicp_guard_profile *p, const detector *d, size_t i, uint16_t rule) {
    aicpi_slice text = d->texts[i];
    if (p->user_pattern_count >= MAX_PATTERNS) {
        return aicpi_json_fail(
            json, AICP_ERR_LIMIT, d->places[i], "more than %d patterns in detectors", MAX_PATTERNS);
    }
    if (!p->user_patterns) {
        p->user_patterns = aicpi_arena_calloc(&p->arena, MAX_PATTERNS, sizeof *p->user_patterns);
    }
    if (!p->user_patterns) {
        return nomem(json);
    }
    aicp_error why = {0};
    aicp_status status = AICP_ERR_GUARD_PATTERN;
    aicpi_guard_user_pattern *place = &p->user_patterns[p->user_pattern_count];
    if (text.len > MAX_PATTERN_BYTES) {
        (void)aicpi_fail(&why, status, "pattern longer than %d bytes", MAX_PATTERN_BYTES);
    } else {
        status = aicpi_guard_pattern_compile_search(
            &p->allocator, text.data, text.len, &place->pattern, &why);
    }
    if (status != AICP_OK) {
        return aicpi_json_fail(
            json,
            status,
            d->places[i],
            "detector \"%.*s\", pattern %zu: %s",
            (int)d->name.len,
            d->name.data,
            i + 1,
            why.message);
    }
    place->rule = rule;
    p->user_pattern_count++;
    return true;
}

/* The keyword as it looks in the view that is searched, without blanks around it. */
static bool
fold_keyword(aicpi_json *json, aicp_guard_profile *p, aicpi_slice text, aicpi_slice *out) {
    size_t room = AICPI_GUARD_FOLD_ROOM(text.len);
    aicpi_guard_folder folder = {.plain = true};
    char *data = aicpi_arena_alloc(&p->arena, room);
    aicpi_guard_step *places = aicpi_arena_alloc(json->arena, room * sizeof *places);
    if (!data || !places) {
        return nomem(json);
    }
    size_t used = 0;
    size_t n = aicpi_guard_fold(&folder, text, true, data, places, &used);
    size_t skip = n > 0 && data[0] == ' ';
    *out = (aicpi_slice){data + skip, n - skip};
    return true;
}

static bool
add_keyword(aicpi_json *json, aicp_guard_profile *p, const detector *d, size_t i, uint16_t rule) {
    aicpi_slice text = d->texts[i];
    const char *why = NULL;
    aicpi_slice folded = {"", 0};
    if (text.len > MAX_KEYWORD_BYTES) {
        why = "keyword longer than 100 bytes";
    } else if (!fold_keyword(json, p, text, &folded)) {
        return false;
    } else if (folded.len == 0) {
        why = "keyword without a visible character";
    }
    if (why) {
        return aicpi_json_fail(
            json,
            AICP_ERR_GUARD_PATTERN,
            d->places[i],
            "detector \"%.*s\", keyword %zu: %s",
            (int)d->name.len,
            d->name.data,
            i + 1,
            why);
    }
    if (p->word_count >= MAX_KEYWORDS || p->word_bytes + folded.len > MAX_FOLDED_BYTES) {
        return aicpi_json_fail(
            json,
            AICP_ERR_LIMIT,
            d->places[i],
            "more than %d keywords or %d bytes of them",
            MAX_KEYWORDS,
            MAX_FOLDED_BYTES);
    }
    if (!p->words) {
        p->words = aicpi_arena_calloc(&p->arena, MAX_KEYWORDS, sizeof *p->words);
    }
    if (!p->words) {
        return nomem(json);
    }
    p->words[p->word_count++] = (aicpi_guard_word){folded, d->whole_words, rule};
    p->word_bytes += folded.len;
    return true;
}

/* ---- rules ------------------------------------------------------------------------------------
 */

static bool add_rule(aicpi_json *json, aicp_guard_profile *p, const detector *d, size_t at) {
    size_t global = aicp_guard_rule_count() + p->custom_count;
    if (p->custom_count >= AICPI_GUARD_MAX_CUSTOM || global >= AICPI_GUARD_MAX_RULES) {
        return aicpi_json_fail(
            json, AICP_ERR_LIMIT, at, "more than %d detectors", AICPI_GUARD_MAX_CUSTOM);
    }
    if (!p->custom) {
        p->custom = aicpi_arena_calloc(&p->arena, AICPI_GUARD_MAX_CUSTOM, sizeof *p->custom);
    }
    if (!p->custom) {
        return nomem(json);
    }
    aicp_guard_rule *rule = &p->custom[p->custom_count];
    *rule = (aicp_guard_rule){
        .description = "Detector of the profile.",
        .validation = "",
        .region = "",
        .category = AICP_GUARD_CUSTOM,
        .action = d->action,
        .score = d->score,
    };
    if (!copy(json, p, d->name, &rule->id) || !copy(json, p, d->label, &rule->type)) {
        return false;
    }
    p->settings[global] = (aicpi_guard_setting){true, d->action, 0.0};
    uint16_t index = (uint16_t)p->custom_count++;
    for (size_t i = 0; i < d->text_count; i++) {
        if (d->regex ? !add_pattern(json, p, d, i, index) : !add_keyword(json, p, d, i, index)) {
            return false;
        }
    }
    return true;
}

/* ---- members ----------------------------------------------------------------------------------
 */

static bool read_action(aicpi_json *json, int32_t *out) {
    size_t at = aicpi_json_offset(json);
    aicpi_slice text;
    if (!aicpi_json_string(json, &text)) {
        return false;
    }
    for (int32_t i = AICP_GUARD_LOG; i <= AICP_GUARD_BLOCK; i++) {
        if (aicpi_slice_is(text, aicp_guard_action_name(i))) {
            *out = i;
            return true;
        }
    }
    if (aicpi_slice_is(text, "detect")) {
        *out = AICP_GUARD_LOG;
        return true;
    }
    int len = text.len > 60 ? 60 : (int)text.len;
    return aicpi_json_fail(json, AICP_ERR_PARSE, at, "unknown value \"%.*s\"", len, text.data);
}

static bool read_type(aicpi_json *json, detector *d) {
    size_t at = aicpi_json_offset(json);
    aicpi_slice text;
    if (!aicpi_json_string(json, &text)) {
        return false;
    }
    d->typed = true;
    d->regex = aicpi_slice_is(text, "regex");
    if (!d->regex && !aicpi_slice_is(text, "keyword")) {
        return aicpi_json_fail(
            json, AICP_ERR_PARSE, at, "type of a detector is \"regex\" or \"keyword\"");
    }
    return true;
}

static bool read_name(aicpi_json *json, aicpi_slice *out) {
    size_t at = aicpi_json_offset(json);
    if (!aicpi_json_string(json, out)) {
        return false;
    }
    bool ok = out->len >= 1 && out->len <= 31;
    for (size_t i = 0; i < out->len && ok; i++) {
        ok = (unsigned char)out->data[i] >= ' ' && out->data[i] != 0x7f;
    }
    return ok || aicpi_json_fail(
                     json,
                     AICP_ERR_PARSE,
                     at,
                     "name of a detector has 1 to 31 bytes and no control characters");
}

/* It is written into texts and read back: "<LABEL_1>". */
static bool read_label(aicpi_json *json, aicpi_slice *out) {
    size_t at = aicpi_json_offset(json);
    if (!aicpi_json_string(json, out)) {
        return false;
    }
    bool ok = out->len >= 1 && out->len <= 31 && out->data[0] >= 'A' && out->data[0] <= 'Z';
    for (size_t i = 0; i < out->len && ok; i++) {
        char c = out->data[i];
        ok = (c >= 'A' && c <= 'Z') || aicpi_is_digit(c) || c == '_';
    }
    return ok || aicpi_json_fail(
                     json,
                     AICP_ERR_PARSE,
                     at,
                     "label of a detector has 1 to 31 of A-Z, 0-9 and _, a letter first");
}

static bool read_score(aicpi_json *json, double *out) {
    size_t at = aicpi_json_offset(json);
    if (!aicpi_json_double(json, out)) {
        return false;
    }
    if (!(*out >= 0.0 && *out <= 1.0)) {
        return aicpi_json_fail(json, AICP_ERR_RANGE, at, "score must be within 0..1");
    }
    return true;
}

static bool read_member(aicpi_json *json, aicpi_slice key, detector *d) {
    if (aicpi_slice_is(key, "name")) {
        return read_name(json, &d->name);
    }
    if (aicpi_slice_is(key, "label")) {
        return read_label(json, &d->label);
    }
    if (aicpi_slice_is(key, "type")) {
        return read_type(json, d);
    }
    if (aicpi_slice_is(key, "action")) {
        return read_action(json, &d->action);
    }
    if (aicpi_slice_is(key, "score")) {
        return read_score(json, &d->score);
    }
    if (aicpi_slice_is(key, "whole_words")) {
        return aicpi_json_bool(json, &d->whole_words);
    }
    bool patterns = aicpi_slice_is(key, "patterns");
    if ((patterns || aicpi_slice_is(key, "keywords")) && d->text_count == 0) {
        d->has_patterns = d->has_patterns || patterns;
        d->has_keywords = d->has_keywords || !patterns;
        return read_texts(json, d);
    }
    size_t at = key.data >= json->data && key.data < json->data + json->len
                    ? (size_t)(key.data - json->data)
                    : aicpi_json_offset(json);
    int len = key.len > 60 ? 60 : (int)key.len;
    return aicpi_json_fail(
        json, AICP_ERR_PARSE, at, "unknown member \"%.*s\" in a detector", len, key.data);
}

static bool read_detector(aicpi_json *json, aicp_guard_profile *p) {
    detector d = {
        .label = {"CUSTOM", 6},
        .whole_words = true,
        .action = AICP_GUARD_MASK,
        .score = 1.0,
    };
    size_t at = aicpi_json_offset(json);
    aicpi_slice key;
    if (!aicpi_json_object(json)) {
        return false;
    }
    while (aicpi_json_member(json, &key)) {
        if (!read_member(json, key, &d)) {
            return false;
        }
    }
    if (!aicpi_json_ok(json)) {
        return false;
    }
    if (!d.typed || d.name.len == 0) {
        return aicpi_json_fail(json, AICP_ERR_PARSE, at, "a detector needs \"name\" and \"type\"");
    }
    if (d.text_count == 0 || d.has_patterns != d.regex || d.has_keywords == d.regex) {
        return aicpi_json_fail(
            json,
            AICP_ERR_PARSE,
            at,
            "detector \"%.*s\" needs %s, and nothing else to look for",
            (int)d.name.len,
            d.name.data,
            d.regex ? "\"patterns\"" : "\"keywords\"");
    }
    return add_rule(json, p, &d, at);
}

bool aicpi_guard_read_detectors(aicpi_json *json, aicp_guard_profile *profile) {
    if (!aicpi_json_array(json)) {
        return false;
    }
    while (aicpi_json_element(json)) {
        if (!read_detector(json, profile)) {
            return false;
        }
    }
    return aicpi_json_ok(json);
}

bool aicpi_guard_read_topics(aicpi_json *json, aicp_guard_profile *profile) {
    detector d = {
        .name = {"banned_topics", 13},
        .label = {"BANNED_TOPIC", 12},
        .whole_words = true,
        .action = AICP_GUARD_BLOCK,
        .score = 1.0,
    };
    size_t at = aicpi_json_offset(json);
    return read_texts(json, &d) && (d.text_count == 0 || add_rule(json, profile, &d, at));
}
