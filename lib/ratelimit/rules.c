/* Reading rule lists: JSON to immutable rules. */
#include "lib/ratelimit/ratelimit_internal.h"

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/text.h"

#include <stdlib.h>

#define MAX_RULES 10000
#define MAX_PATTERNS 1000 /* of one rule */

static const char *const DIMENSIONS[AICP_LIMIT_DIMENSIONS] = {
    "org", "team", "user", "key", "model", "model_group", "agent", "end_user", "tag"};

static const char *const KINDS[] = {"requests", "tokens", "concurrency"};

const char *aicpi_limit_dimension_name(int32_t dimension) {
    return dimension >= 0 && dimension < AICP_LIMIT_DIMENSIONS ? DIMENSIONS[dimension] : "?";
}

static int32_t name_in(const char *const *names, size_t count, aicpi_slice name) {
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(name, names[i])) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* What the keys of one rule said, before it is checked as a whole. */
typedef struct draft {
    size_t offset;
    aicpi_slice id;
    const char *name;
    int32_t kind;
    aicpi_slice algorithm;
    size_t algorithm_offset;
    bool has_limit;
    int64_t limit;
    uint64_t window_ns;
    bool has_burst;
    int64_t burst_millionths;
    uint32_t per;
    bool shared;
    bool exact;
    bool overflow_allow;
    int32_t on_store_failure;
    aicpi_limit_pattern *patterns;
    size_t pattern_count;
    size_t pattern_capacity;
} draft;

typedef struct parser {
    aicpi_json json;
    aicp_limit_rules *rules;
    aicpi_map ids;
    size_t capacity;
    size_t max_rules;
} parser;

/* ---- values of single keys ------------------------------------------------------------------ */

static bool read_text(parser *p, aicpi_slice *out, size_t *offset) {
    *offset = aicpi_json_offset(&p->json);
    return aicpi_json_string(&p->json, out);
}

static bool read_id(parser *p, draft *d) {
    size_t at = 0;
    if (!read_text(p, &d->id, &at)) {
        return false;
    }
    if (d->id.len == 0 || d->id.len > AICP_LIMIT_MAX_ID) {
        return aicpi_json_fail(
            &p->json, AICP_ERR_INVALID, at, "id must have 1 to %d characters", AICP_LIMIT_MAX_ID);
    }
    for (size_t i = 0; i < d->id.len; i++) {
        unsigned char c = (unsigned char)d->id.data[i];
        if (c < 0x20 || c > 0x7E) {
            return aicpi_json_fail(
                &p->json, AICP_ERR_INVALID, at, "id may hold printable ASCII only");
        }
    }
    return true;
}

static bool
read_choice(parser *p, const char *what, const char *const *names, size_t count, int32_t *out) {
    aicpi_slice text;
    size_t at = 0;
    if (!read_text(p, &text, &at)) {
        return false;
    }
    *out = name_in(names, count, text);
    if (*out >= 0) {
        return true;
    }
    return aicpi_json_fail(
        &p->json, AICP_ERR_INVALID, at, "unknown %s \"%.*s\"", what, (int)text.len, text.data);
}

static bool unit_seconds(char unit, uint64_t *seconds) {
    switch (unit) {
    case 's':
        *seconds = 1;
        return true;
    case 'm':
        *seconds = 60;
        return true;
    case 'h':
        *seconds = 3600;
        return true;
    case 'd':
        *seconds = 86400;
        return true;
    case 'w':
        *seconds = UINT64_C(7) * 86400;
        return true;
    default:
        return false;
    }
}

static bool read_window(parser *p, draft *d) {
    size_t at = aicpi_json_offset(&p->json);
    uint64_t count = 0;
    uint64_t unit = 1;
    if (aicpi_json_peek(&p->json) == AICPI_JSON_STRING) {
        aicpi_slice text;
        if (!aicpi_json_string(&p->json, &text)) {
            return false;
        }
        if (text.len < 2 || !unit_seconds(text.data[text.len - 1], &unit) ||
            !aicpi_parse_u64(aicpi_slice_of(text.data, text.len - 1), &count)) {
            return aicpi_json_fail(
                &p->json, AICP_ERR_INVALID, at, "window must be a number and one of s, m, h, d, w");
        }
    } else {
        int64_t seconds = 0;
        if (!aicpi_json_int64(&p->json, &seconds)) {
            return false;
        }
        count = seconds < 0 ? 0 : (uint64_t)seconds;
    }
    uint64_t most = AICPI_LIMIT_MAX_WINDOW_NS / 1000000000U / unit;
    if (count == 0 || count > most) {
        return aicpi_json_fail(&p->json, AICP_ERR_RANGE, at, "window must be 1 s to 366 d");
    }
    d->window_ns = count * unit * 1000000000U;
    return true;
}

static bool read_limit(parser *p, draft *d) {
    size_t at = aicpi_json_offset(&p->json);
    if (!aicpi_json_int64(&p->json, &d->limit)) {
        return false;
    }
    d->has_limit = true;
    if (d->limit < -1 || d->limit > AICPI_LIMIT_MAX_LIMIT) {
        return aicpi_json_fail(
            &p->json, AICP_ERR_RANGE, at, "limit must be -1 (unlimited) to 1000000000000000");
    }
    return true;
}

static bool read_burst(parser *p, draft *d) {
    size_t at = aicpi_json_offset(&p->json);
    aicpi_slice text;
    if (!aicpi_json_number(&p->json, &text)) {
        return false;
    }
    d->has_burst = true;
    if (aicpi_decimal_parse(text, 6, &d->burst_millionths, NULL, NULL) != AICP_OK ||
        d->burst_millionths <= 0 ||
        d->burst_millionths > AICPI_LIMIT_MAX_BURST * INT64_C(1000000)) {
        return aicpi_json_fail(
            &p->json, AICP_ERR_RANGE, at, "burst_multiplier must be above 0 and at most 1000");
    }
    return true;
}

static bool read_per(parser *p, draft *d) {
    if (!aicpi_json_array(&p->json)) {
        return false;
    }
    while (aicpi_json_element(&p->json)) {
        aicpi_slice text;
        size_t at = 0;
        if (!read_text(p, &text, &at)) {
            return false;
        }
        int32_t dimension = name_in(DIMENSIONS, AICP_LIMIT_DIMENSIONS, text);
        if (dimension < 0 && !aicpi_slice_is(text, "global")) {
            return aicpi_json_fail(
                &p->json,
                AICP_ERR_INVALID,
                at,
                "unknown dimension \"%.*s\" in per",
                (int)text.len,
                text.data);
        }
        if (dimension >= 0) {
            d->per |= 1U << dimension;
        }
    }
    return aicpi_json_ok(&p->json);
}

static bool add_pattern(parser *p, draft *d, int32_t dimension) {
    aicpi_slice text;
    size_t at = 0;
    if (!read_text(p, &text, &at)) {
        return false;
    }
    const char *star = text.len ? memchr(text.data, '*', text.len) : NULL;
    if (text.len == 0 || (star && star != text.data + text.len - 1)) {
        return aicpi_json_fail(
            &p->json, AICP_ERR_INVALID, at, "pattern must be a text, with * at its end only");
    }
    if (d->pattern_count >= MAX_PATTERNS) {
        return aicpi_json_fail(
            &p->json, AICP_ERR_LIMIT, at, "more than %d patterns in a rule", MAX_PATTERNS);
    }
    text.len -= star ? 1 : 0;
    char *copy = aicpi_arena_strndup(p->rules->arena, text.data, text.len);
    if (!copy || !aicpi_arena_grow(
                     p->rules->arena,
                     (void **)&d->patterns,
                     &d->pattern_capacity,
                     d->pattern_count,
                     sizeof *d->patterns)) {
        return aicpi_json_fail(&p->json, AICP_ERR_NOMEM, at, "out of memory");
    }
    d->patterns[d->pattern_count++] =
        (aicpi_limit_pattern){dimension, star != NULL, aicpi_slice_of(copy, text.len)};
    return true;
}

static bool read_match(parser *p, draft *d) {
    if (!aicpi_json_object(&p->json)) {
        return false;
    }
    aicpi_slice name;
    while (aicpi_json_member(&p->json, &name)) {
        int32_t dimension = name_in(DIMENSIONS, AICP_LIMIT_DIMENSIONS, name);
        size_t at = aicpi_json_offset(&p->json);
        if (dimension < 0) {
            return aicpi_json_fail(
                &p->json,
                AICP_ERR_INVALID,
                at,
                "unknown dimension \"%.*s\" in match",
                (int)name.len,
                name.data);
        }
        size_t before = d->pattern_count;
        if (!aicpi_json_array(&p->json)) {
            return false;
        }
        while (aicpi_json_element(&p->json)) {
            if (!add_pattern(p, d, dimension)) {
                return false;
            }
        }
        if (aicpi_json_ok(&p->json) && d->pattern_count == before) {
            return aicpi_json_fail(
                &p->json, AICP_ERR_INVALID, at, "match needs at least one pattern a dimension");
        }
    }
    return aicpi_json_ok(&p->json);
}

static bool read_algorithm(parser *p, draft *d) {
    return read_text(p, &d->algorithm, &d->algorithm_offset);
}

static bool read_kind(parser *p, draft *d) {
    return read_choice(p, "kind", KINDS, 3, &d->kind);
}

static bool read_shared(parser *p, draft *d) {
    return aicpi_json_bool(&p->json, &d->shared);
}

static bool read_exact(parser *p, draft *d) {
    return aicpi_json_bool(&p->json, &d->exact);
}

static bool read_store_failure(parser *p, draft *d) {
    static const char *const NAMES[] = {"local", "deny", "allow"};
    return read_choice(p, "on_store_failure", NAMES, 3, &d->on_store_failure);
}

static bool read_overflow(parser *p, draft *d) {
    static const char *const NAMES[] = {"deny", "allow"};
    int32_t choice = 0;
    if (!read_choice(p, "on_overflow", NAMES, 2, &choice)) {
        return false;
    }
    d->overflow_allow = choice == 1;
    return true;
}

static bool read_name(parser *p, draft *d) {
    aicpi_slice text;
    size_t at = 0;
    if (!read_text(p, &text, &at)) {
        return false;
    }
    size_t len = aicpi_utf8_cut(text.data, text.len, AICPI_RULE_NAME_MAX);
    d->name = aicpi_arena_strndup(p->rules->arena, text.data, len);
    return d->name || aicpi_json_fail(&p->json, AICP_ERR_NOMEM, at, "out of memory");
}

static bool read_description(parser *p, draft *d) {
    (void)d;
    aicpi_slice ignored;
    return aicpi_json_string(&p->json, &ignored);
}

static const struct field {
    const char *name;
    bool (*read)(parser *p, draft *d);
} FIELDS[] = {
    {"id", read_id},
    {"name", read_name},
    {"kind", read_kind},
    {"limit", read_limit},
    {"window", read_window},
    {"burst_multiplier", read_burst},
    {"algorithm", read_algorithm},
    {"per", read_per},
    {"match", read_match},
    {"shared", read_shared},
    {"exact", read_exact},
    {"on_store_failure", read_store_failure},
    {"on_overflow", read_overflow},
    {"description", read_description},
};

/* ---- a rule as a whole ---------------------------------------------------------------------- */

static bool check_concurrency(parser *p, const draft *d) {
    if (d->window_ns != 0 || d->has_burst) {
        return aicpi_json_fail(
            &p->json,
            AICP_ERR_INVALID,
            d->offset,
            "rule \"%.*s\": concurrency has no window and no burst_multiplier",
            (int)d->id.len,
            d->id.data);
    }
    if (d->algorithm.len != 0 && !aicpi_slice_is(d->algorithm, "slots")) {
        return aicpi_json_fail(
            &p->json,
            AICP_ERR_INVALID,
            d->algorithm_offset,
            "concurrency has algorithm slots only");
    }
    return true;
}

static bool check_rate(parser *p, const draft *d, aicpi_limit_rule *rule) {
    if (d->window_ns == 0) {
        return aicpi_json_fail(
            &p->json,
            AICP_ERR_INVALID,
            d->offset,
            "rule \"%.*s\" needs a window",
            (int)d->id.len,
            d->id.data);
    }
    rule->algorithm = d->algorithm.len ? aicpi_limit_algorithm_find(d->algorithm)
                                       : aicpi_limit_algorithm_get(AICP_LIMIT_GCRA);
    if (!rule->algorithm) {
        return aicpi_json_fail(
            &p->json,
            AICP_ERR_INVALID,
            d->algorithm_offset,
            "unknown algorithm \"%.*s\"",
            (int)d->algorithm.len,
            d->algorithm.data);
    }
    if (d->has_burst && !rule->algorithm->has_burst) {
        return aicpi_json_fail(
            &p->json,
            AICP_ERR_INVALID,
            d->offset,
            "algorithm %s has no burst_multiplier",
            rule->algorithm->name);
    }
    return true;
}

static bool check_required(parser *p, const draft *d) {
    const char *missing = d->id.len == 0 ? "id"
                          : d->kind < 0  ? "kind"
                          : d->has_limit ? NULL
                                         : "limit";
    if (missing) {
        return aicpi_json_fail(
            &p->json, AICP_ERR_INVALID, d->offset, "rule without \"%s\"", missing);
    }
    bool inserted = false;
    aicpi_map_slot *slot = aicpi_map_put(&p->ids, d->id.data, d->id.len, &inserted);
    if (!slot) {
        return aicpi_json_fail(&p->json, AICP_ERR_NOMEM, d->offset, "out of memory");
    }
    if (!inserted) {
        return aicpi_json_fail(
            &p->json,
            AICP_ERR_INVALID,
            d->offset,
            "rule id \"%.*s\" is used twice",
            (int)d->id.len,
            d->id.data);
    }
    return true;
}

static bool set_params(parser *p, const draft *d, aicpi_limit_rule *rule) {
    rule->unlimited = d->limit < 0;
    uint64_t limit = d->limit < 0 ? 0 : (uint64_t)d->limit;
    uint64_t burst = limit;
    if (d->has_burst) {
        burst = (uint64_t)((aicpi_uint128)limit * (uint64_t)d->burst_millionths / 1000000U);
        if (burst == 0 && limit > 0) {
            return aicpi_json_fail(
                &p->json,
                AICP_ERR_RANGE,
                d->offset,
                "rule \"%.*s\": limit * burst_multiplier is below 1",
                (int)d->id.len,
                d->id.data);
        }
    }
    rule->params = (aicpi_limit_params){limit, burst, d->window_ns};
    rule->most = limit ? burst : UINT64_MAX;
    return true;
}

/* Canonical key: kind, algorithm, length and bytes of the id; then dimension, length and bytes of
 * each value. With the lengths in front "a:b" + "c" differs from "a" + "b:c". */
static bool set_texts(parser *p, const draft *d, aicpi_limit_rule *rule) {
    aicpi_arena *arena = p->rules->arena;
    rule->id = aicpi_arena_strndup(arena, d->id.data, d->id.len);
    rule->id_len = d->id.len;
    rule->name = d->name;
    rule->prefix_len = d->id.len + 3;
    rule->prefix = aicpi_arena_alloc(arena, rule->prefix_len);
    if (!rule->id || !rule->prefix) {
        return aicpi_json_fail(&p->json, AICP_ERR_NOMEM, d->offset, "out of memory");
    }
    rule->prefix[0] = (char)rule->kind;
    rule->prefix[1] = (char)(rule->algorithm ? rule->algorithm->number : AICP_LIMIT_SLOTS);
    rule->prefix[2] = (char)d->id.len;
    memcpy(rule->prefix + 3, d->id.data, d->id.len);
    rule->prefix_hash = aicpi_hash(aicpi_hash_seed(), rule->prefix, rule->prefix_len);
    return true;
}

static bool finish_rule(parser *p, const draft *d) {
    aicp_limit_rules *rules = p->rules;
    if (!check_required(p, d)) {
        return false;
    }
    aicpi_limit_rule rule = {.index = (uint32_t)rules->count, .kind = d->kind};
    bool ok = d->kind == AICP_LIMIT_CONCURRENCY ? check_concurrency(p, d) : check_rate(p, d, &rule);
    if (!ok || !set_params(p, d, &rule) || !set_texts(p, d, &rule)) {
        return false;
    }
    rule.shared = d->shared;
    rule.exact = d->exact;
    rule.overflow_allow = d->overflow_allow;
    rule.on_store_failure = d->on_store_failure;
    rule.per = d->per;
    for (uint8_t k = 0; k < AICP_LIMIT_DIMENSIONS; k++) {
        if (d->per & (1U << k)) {
            rule.per_list[rule.per_count++] = k;
        }
    }
    rule.patterns = d->patterns;
    rule.pattern_count = d->pattern_count;
    rule.needs = d->per;
    for (size_t i = 0; i < d->pattern_count; i++) {
        rule.needs |= 1U << d->patterns[i].dimension;
    }
    if (rules->count >= p->max_rules) {
        return aicpi_json_fail(
            &p->json, AICP_ERR_LIMIT, d->offset, "more than %zu rules", p->max_rules);
    }
    if (!aicpi_arena_grow(
            rules->arena, (void **)&rules->rules, &p->capacity, rules->count, sizeof rule)) {
        return aicpi_json_fail(&p->json, AICP_ERR_NOMEM, d->offset, "out of memory");
    }
    rules->rules[rules->count++] = rule;
    return true;
}

static bool read_field(parser *p, draft *d, aicpi_slice name, size_t at) {
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        if (aicpi_slice_is(name, FIELDS[i].name)) {
            return FIELDS[i].read(p, d);
        }
    }
    return aicpi_json_fail(
        &p->json,
        AICP_ERR_INVALID,
        at,
        "unknown key \"%.*s\" in a rule",
        (int)(name.len < 80 ? name.len : 80),
        name.data);
}

static bool read_rule(parser *p) {
    draft d = {.offset = aicpi_json_offset(&p->json), .kind = -1};
    if (!aicpi_json_object(&p->json)) {
        return false;
    }
    aicpi_slice name;
    while (aicpi_json_member(&p->json, &name)) {
        if (!read_field(p, &d, name, aicpi_json_offset(&p->json))) {
            return false;
        }
    }
    return aicpi_json_ok(&p->json) && finish_rule(p, &d);
}

/* ---- order of evaluation -------------------------------------------------------------------- */

static uint32_t bits(uint32_t set) {
    uint32_t count = 0;
    for (; set; set &= set - 1) {
        count++;
    }
    return count;
}

static int compare_rules(const aicpi_limit_rule *x, const aicpi_limit_rule *y) {
    static const int RANK[] = {1, 2, 0}; /* concurrency, requests, tokens */
    int order = RANK[x->kind] - RANK[y->kind];
    if (order == 0) {
        uint32_t x_narrow = bits(x->per) * 2 + (x->pattern_count > 0);
        uint32_t y_narrow = bits(y->per) * 2 + (y->pattern_count > 0);
        order = (y_narrow > x_narrow) - (y_narrow < x_narrow);
    }
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int compare_pointers(const void *a, const void *b) {
    return compare_rules(*(const aicpi_limit_rule *const *)a, *(const aicpi_limit_rule *const *)b);
}

static aicp_status make_order(aicp_limit_rules *rules, aicp_error *err) {
    const aicpi_limit_rule **sorted =
        aicpi_arena_alloc(rules->arena, (rules->count + 1) * sizeof *sorted);
    if (!sorted) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < rules->count; i++) {
        if (!rules->rules[i].unlimited) {
            sorted[rules->order_count++] = &rules->rules[i];
        }
    }
    qsort(sorted, rules->order_count, sizeof *sorted, compare_pointers);
    rules->order = sorted;
    return AICP_OK;
}

/* ---- public --------------------------------------------------------------------------------- */

static aicp_status parse_list(parser *p, aicp_error *err) {
    if (aicpi_json_array(&p->json)) {
        while (aicpi_json_element(&p->json) && read_rule(p)) {
        }
    }
    aicp_status status = aicpi_json_finish(&p->json, err);
    if (status == AICP_OK) {
        status = make_order(p->rules, err);
    }
    return status == AICP_OK ? aicpi_limit_index_build(p->rules, err) : status;
}

static aicp_limit_rules *make_rules(const aicp_allocator *a) {
    aicp_limit_rules *rules = aicpi_calloc(a, 1, sizeof *rules);
    if (!rules) {
        return NULL;
    }
    rules->allocator = *a;
    rules->arena = aicpi_alloc(a, sizeof *rules->arena);
    if (!rules->arena) {
        aicpi_free(a, rules);
        return NULL;
    }
    aicpi_ref_init(&rules->ref);
    aicpi_arena_init(rules->arena, a, 0, 0);
    return rules;
}

aicp_status aicp_limit_rules_parse(
    const char *data,
    size_t len,
    const aicp_limit_rules_options *options,
    aicp_limit_rules **out,
    aicp_error *err) {
    if (!out || (!data && len)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "limit rules: no text or no place for the result");
    }
    *out = NULL;
    aicp_limit_rules_options o;
    aicp_status status = aicpi_options_copy(&o, sizeof o, options, "aicp_limit_rules_options", err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    parser p = {.rules = make_rules(&a)};
    if (!p.rules) {
        return aicpi_nomem(err);
    }
    p.max_rules = o.max_rules && o.max_rules < MAX_RULES ? (size_t)o.max_rules : MAX_RULES;
    aicpi_arena scratch;
    aicpi_arena_init(&scratch, &a, 0, 0);
    aicpi_json_init(&p.json, &scratch, data ? data : "", len, 0);
    aicpi_map_init(&p.ids, &a);
    status = parse_list(&p, err);
    aicpi_map_deinit(&p.ids);
    aicpi_arena_deinit(&scratch);
    if (status != AICP_OK) {
        aicp_limit_rules_free(p.rules);
        return status;
    }
    *out = p.rules;
    return AICP_OK;
}

void aicp_limit_rules_options_init(aicp_limit_rules_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

aicp_limit_rules *aicp_limit_rules_ref(aicp_limit_rules *rules) {
    if (rules) {
        aicpi_ref_get(&rules->ref);
    }
    return rules;
}

void aicp_limit_rules_free(aicp_limit_rules *rules) {
    if (!rules || !aicpi_ref_put(&rules->ref)) {
        return;
    }
    aicp_allocator a = rules->allocator;
    aicpi_limit_index_free(rules);
    aicpi_arena_deinit(rules->arena);
    aicpi_free(&a, rules->arena);
    aicpi_free(&a, rules);
}

size_t aicp_limit_rules_count(const aicp_limit_rules *rules) {
    return rules->count;
}

const char *aicp_limit_rules_id(const aicp_limit_rules *rules, size_t index) {
    return index < rules->count ? rules->rules[index].id : NULL;
}

const char *aicp_limit_rules_name(const aicp_limit_rules *rules, size_t index) {
    const char *name = index < rules->count ? rules->rules[index].name : NULL;
    return name ? name : aicp_limit_rules_id(rules, index);
}

aicp_status aicp_limit_rules_get(
    const aicp_limit_rules *rules, size_t index, aicp_limit_rule_info *info, aicp_error *err) {
    if (!rules || !info || info->size < sizeof info->size) {
        return aicpi_fail(err, AICP_ERR_INVALID, "limit rule info without size");
    }
    if (index >= rules->count) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "no rule number %zu", index);
    }
    const aicpi_limit_rule *rule = &rules->rules[index];
    aicp_limit_rule_info own = {
        .size = info->size,
        .kind = rule->kind,
        .algorithm = rule->algorithm ? rule->algorithm->number : AICP_LIMIT_SLOTS,
        .limit = rule->unlimited ? -1 : (int64_t)rule->params.limit,
        .burst = rule->params.burst,
        .window_ns = rule->params.window_ns,
        .shared = rule->shared,
        .exact = rule->exact,
    };
    memcpy(info, &own, info->size < sizeof own ? info->size : sizeof own);
    return AICP_OK;
}
