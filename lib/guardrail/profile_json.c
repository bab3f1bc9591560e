/* Profile JSON. Unknown members and values are errors with their place: a rule that is silently
 * ignored protects nobody. */
#include "lib/base/json.h"
#include "lib/guardrail/guardrail_internal.h"

#define MAX_PATTERNS 200
#define MAX_PATTERN_BYTES 1000
#define MAX_ALLOWED 10000
#define MAX_COUNTRIES 64
#define MAX_TEXT ((int64_t)1 << 30)
#define MAX_TIMEOUT_MS 60000

/* Overrides of one rule; entities may come before the section's own action. */
typedef struct override {
    int8_t enabled; /* -1: not said */
    int32_t action;
    double threshold; /* < 0: not said */
} override;

typedef struct reader {
    aicpi_json json;
    aicp_guard_profile *profile;
    bool section_enabled[AICP_GUARD_CATEGORY_COUNT];
    int32_t section_action[AICP_GUARD_CATEGORY_COUNT]; /* -1: not said */
    double section_threshold[AICP_GUARD_CATEGORY_COUNT];
    override overrides[AICPI_GUARD_MAX_RULES];
    aicpi_slice countries[MAX_COUNTRIES];
    size_t country_count;
    bool countries_said;
    double source_threshold[5];
} reader;

typedef struct member {
    const char *name;
    bool (*read)(reader *r, int32_t category);
} member;

static bool fail_value(reader *r, aicp_status code, size_t at, const char *what, aicpi_slice text) {
    int len = text.len > 60 ? 60 : (int)text.len;
    return aicpi_json_fail(&r->json, code, at, "%s \"%.*s\"", what, len, text.data);
}

/* Reads an object whose members are all in the table. */
static bool
read_members(reader *r, const member *members, size_t count, int32_t category, const char *where) {
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    aicpi_slice key;
    for (;;) {
        if (!aicpi_json_member(&r->json, &key)) {
            return aicpi_json_ok(&r->json);
        }
        size_t i = 0;
        while (i < count && !aicpi_slice_is(key, members[i].name)) {
            i++;
        }
        if (i == count) {
            /* The reader stands behind the key: its own place is what people look for. */
            size_t at = key.data >= r->json.data && key.data < r->json.data + r->json.len
                            ? (size_t)(key.data - r->json.data)
                            : aicpi_json_offset(&r->json);
            int len = key.len > 60 ? 60 : (int)key.len;
            return aicpi_json_fail(
                &r->json,
                AICP_ERR_PARSE,
                at,
                "unknown member \"%.*s\" in %s",
                len,
                key.data,
                where);
        }
        if (!members[i].read(r, category)) {
            return false;
        }
    }
}

static bool
read_name(reader *r, const char *const *names, const int32_t *values, size_t count, int32_t *out) {
    size_t at = aicpi_json_offset(&r->json);
    aicpi_slice text;
    if (!aicpi_json_string(&r->json, &text)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(text, names[i])) {
            *out = values[i];
            return true;
        }
    }
    return fail_value(r, AICP_ERR_PARSE, at, "unknown value", text);
}

static bool read_action(reader *r, int32_t category, int32_t *out) {
    static const char *const names[] = {
        "log", "detect", "flag", "block", "mask", "hash", "anonymize"};
    static const int32_t values[] = {
        AICP_GUARD_LOG,
        AICP_GUARD_LOG,
        AICP_GUARD_FLAG,
        AICP_GUARD_BLOCK,
        AICP_GUARD_MASK,
        AICP_GUARD_HASH,
        AICP_GUARD_ANONYMIZE};
    size_t count = category == AICP_GUARD_INJECTION ? 4 : category == AICP_GUARD_INVISIBLE ? 5 : 7;
    return read_name(r, names, values, count, out);
}

static bool read_share(reader *r, double *out) {
    size_t at = aicpi_json_offset(&r->json);
    if (!aicpi_json_double(&r->json, out)) {
        return false;
    }
    if (!(*out >= 0.0 && *out <= 1.0)) {
        return aicpi_json_fail(&r->json, AICP_ERR_RANGE, at, "threshold must be within 0..1");
    }
    return true;
}

static bool read_whole(reader *r, int64_t least, int64_t most, int64_t *out) {
    size_t at = aicpi_json_offset(&r->json);
    if (!aicpi_json_int64(&r->json, out)) {
        return false;
    }
    if (*out < least || *out > most) {
        return aicpi_json_fail(
            &r->json,
            AICP_ERR_RANGE,
            at,
            "must be within %lld..%lld",
            (long long)least,
            (long long)most);
    }
    return true;
}

/* ---- members of every section
 * ---------------------------------------------------------------------- */

static bool section_enabled(reader *r, int32_t category) {
    return aicpi_json_bool(&r->json, &r->section_enabled[category]);
}

static bool section_action(reader *r, int32_t category) {
    return read_action(r, category, &r->section_action[category]);
}

static bool section_threshold(reader *r, int32_t category) {
    return read_share(r, &r->section_threshold[category]);
}

static bool section_disabled(reader *r, int32_t category) {
    if (!aicpi_json_array(&r->json)) {
        return false;
    }
    while (aicpi_json_element(&r->json)) {
        size_t at = aicpi_json_offset(&r->json);
        aicpi_slice id;
        if (!aicpi_json_string(&r->json, &id)) {
            return false;
        }
        bool known = false;
        for (size_t i = 0; i < aicp_guard_rule_count(); i++) {
            const aicp_guard_rule *rule = aicp_guard_rule_at(i);
            if (rule->category == category && aicpi_slice_is(id, rule->id)) {
                r->overrides[i].enabled = 0;
                known = true;
            }
        }
        if (!known) {
            return fail_value(r, AICP_ERR_PARSE, at, "unknown rule", id);
        }
    }
    return aicpi_json_ok(&r->json);
}

/* ---- pii
 * -----------------------------------------------------------------------------------------------
 */

static bool entity_enabled(reader *r, int32_t rule) {
    bool on = false;
    bool ok = aicpi_json_bool(&r->json, &on);
    r->overrides[rule].enabled = on;
    return ok;
}

static bool entity_action(reader *r, int32_t rule) {
    int32_t action = 0;
    bool ok = read_action(r, AICP_GUARD_PII, &action);
    r->overrides[rule].action = action;
    return ok;
}

static bool entity_threshold(reader *r, int32_t rule) {
    return read_share(r, &r->overrides[rule].threshold);
}

static bool pii_entities(reader *r, int32_t category) {
    static const member members[] = {
        {"enabled", entity_enabled}, {"action", entity_action}, {"threshold", entity_threshold}};
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    aicpi_slice type;
    while (aicpi_json_member(&r->json, &type)) {
        size_t count = aicp_guard_rule_count();
        size_t first = count;
        for (size_t i = count; i > 0; i--) {
            const aicp_guard_rule *rule = aicp_guard_rule_at(i - 1);
            first = rule->category == category && aicpi_slice_is(type, rule->type) ? i - 1 : first;
        }
        if (first == count) {
            return fail_value(
                r, AICP_ERR_PARSE, aicpi_json_offset(&r->json), "unknown entity", type);
        }
        if (!read_members(r, members, 3, (int32_t)first, "an entity")) {
            return false;
        }
        for (size_t i = first + 1; i < count; i++) {
            if (strcmp(aicp_guard_rule_at(i)->type, aicp_guard_rule_at(first)->type) == 0) {
                r->overrides[i] = r->overrides[first];
            }
        }
    }
    return aicpi_json_ok(&r->json);
}

static bool pii_countries(reader *r, int32_t category) {
    (void)category;
    r->countries_said = true;
    if (!aicpi_json_array(&r->json)) {
        return false;
    }
    while (aicpi_json_element(&r->json)) {
        size_t at = aicpi_json_offset(&r->json);
        aicpi_slice code;
        if (!aicpi_json_string(&r->json, &code)) {
            return false;
        }
        if (code.len != 2 || !aicpi_is_alpha(code.data[0]) || !aicpi_is_alpha(code.data[1])) {
            return fail_value(r, AICP_ERR_PARSE, at, "not a country code:", code);
        }
        if (r->country_count == MAX_COUNTRIES) {
            return aicpi_json_fail(
                &r->json, AICP_ERR_LIMIT, at, "more than %d countries", MAX_COUNTRIES);
        }
        r->countries[r->country_count++] = code;
    }
    return aicpi_json_ok(&r->json);
}

static bool pii_allow(reader *r, int32_t category) {
    (void)category;
    aicp_guard_profile *p = r->profile;
    if (!aicpi_json_array(&r->json)) {
        return false;
    }
    while (aicpi_json_element(&r->json)) {
        size_t at = aicpi_json_offset(&r->json);
        aicpi_slice text;
        if (!aicpi_json_string(&r->json, &text)) {
            return false;
        }
        if (p->allow.count >= MAX_ALLOWED) {
            return aicpi_json_fail(
                &r->json, AICP_ERR_LIMIT, at, "more than %d allowed values", MAX_ALLOWED);
        }
        char *lower = aicpi_arena_strndup(&p->arena, text.data, text.len);
        bool inserted = false;
        for (size_t i = 0; lower && i < text.len; i++) {
            lower[i] = aicpi_lower(lower[i]);
        }
        if (!lower || !aicpi_map_put(&p->allow, lower, text.len, &inserted)) {
            return aicpi_json_fail(&r->json, AICP_ERR_NOMEM, at, "out of memory");
        }
    }
    return aicpi_json_ok(&r->json);
}

static bool add_allow_pattern(reader *r, size_t at, aicpi_slice text) {
    aicp_guard_profile *p = r->profile;
    if (p->allow_pattern_count >= MAX_PATTERNS) {
        return aicpi_json_fail(&r->json, AICP_ERR_LIMIT, at, "more than %d patterns", MAX_PATTERNS);
    }
    if (text.len > MAX_PATTERN_BYTES) {
        return aicpi_json_fail(
            &r->json,
            AICP_ERR_GUARD_PATTERN,
            at,
            "pattern longer than %d bytes",
            MAX_PATTERN_BYTES);
    }
    if (!p->allow_patterns) {
        p->allow_patterns = aicpi_arena_calloc(&p->arena, MAX_PATTERNS, sizeof *p->allow_patterns);
    }
    if (!p->allow_patterns) {
        return aicpi_json_fail(&r->json, AICP_ERR_NOMEM, at, "out of memory");
    }
    aicp_error why = {0};
    aicp_status status = aicpi_guard_pattern_compile(
        &p->allocator, text.data, text.len, true, &p->allow_patterns[p->allow_pattern_count], &why);
    if (status != AICP_OK) {
        return aicpi_json_fail(&r->json, status, at, "%s", why.message);
    }
    p->allow_pattern_count++;
    return true;
}

static bool pii_allow_regex(reader *r, int32_t category) {
    (void)category;
    if (!aicpi_json_array(&r->json)) {
        return false;
    }
    while (aicpi_json_element(&r->json)) {
        size_t at = aicpi_json_offset(&r->json);
        aicpi_slice text;
        if (!aicpi_json_string(&r->json, &text) || !add_allow_pattern(r, at, text)) {
            return false;
        }
    }
    return aicpi_json_ok(&r->json);
}

/* ---- prompt_injection
 * ------------------------------------------------------------------------------------ */

static bool source_user(reader *r, int32_t category) {
    (void)category;
    return read_share(r, &r->source_threshold[AICP_GUARD_USER]);
}

static bool source_tool(reader *r, int32_t category) {
    (void)category;
    return read_share(r, &r->source_threshold[AICP_GUARD_TOOL]);
}

static bool source_retrieved(reader *r, int32_t category) {
    (void)category;
    return read_share(r, &r->source_threshold[AICP_GUARD_RETRIEVED]);
}

static bool source_file(reader *r, int32_t category) {
    (void)category;
    return read_share(r, &r->source_threshold[AICP_GUARD_FILE]);
}

static bool injection_sources(reader *r, int32_t category) {
    static const member members[] = {
        {"user", source_user},
        {"tool", source_tool},
        {"retrieved", source_retrieved},
        {"file", source_file}};
    return read_members(r, members, 4, category, "by_source");
}

/* ---- the sections
 * -------------------------------------------------------------------------------------------- */

static bool top_pii(reader *r, int32_t category) {
    (void)category;
    static const member members[] = {
        {"enabled", section_enabled},
        {"action", section_action},
        {"threshold", section_threshold},
        {"disabled_rules", section_disabled},
        {"countries", pii_countries},
        {"entities", pii_entities},
        {"allow", pii_allow},
        {"allow_regex", pii_allow_regex}};
    return read_members(r, members, sizeof members / sizeof *members, AICP_GUARD_PII, "pii");
}

static const member plain_section[] = {
    {"enabled", section_enabled},
    {"action", section_action},
    {"threshold", section_threshold},
    {"disabled_rules", section_disabled},
    {"by_source", injection_sources}};

static bool top_secrets(reader *r, int32_t category) {
    (void)category;
    return read_members(r, plain_section, 4, AICP_GUARD_SECRET, "secrets");
}

static bool top_injection(reader *r, int32_t category) {
    (void)category;
    return read_members(r, plain_section, 5, AICP_GUARD_INJECTION, "prompt_injection");
}

static bool top_invisible(reader *r, int32_t category) {
    (void)category;
    return read_members(r, plain_section, 4, AICP_GUARD_INVISIBLE, "invisible_text");
}

/* ---- scanners that are not there
 * ------------------------------------------------------------------------------ */

static bool absent_object(reader *r, int32_t category) {
    (void)category;
    size_t at = aicpi_json_offset(&r->json);
    bool on = true;
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    aicpi_slice key;
    while (aicpi_json_member(&r->json, &key)) {
        if (aicpi_slice_is(key, "enabled")) {
            aicpi_json_bool(&r->json, &on);
        } else {
            aicpi_json_skip(&r->json);
        }
    }
    if (on) {
        return aicpi_json_fail(
            &r->json, AICP_ERR_UNSUPPORTED, at, "this scanner is not in this version");
    }
    return aicpi_json_ok(&r->json);
}

static bool top_topics(reader *r, int32_t category) {
    (void)category;
    return aicpi_guard_read_topics(&r->json, r->profile);
}

static bool top_detectors(reader *r, int32_t category) {
    (void)category;
    return aicpi_guard_read_detectors(&r->json, r->profile);
}

/* ---- the rest of the top
 * ------------------------------------------------------------------------------------------ */

static bool top_name(reader *r, int32_t category) {
    (void)category;
    aicpi_slice text;
    if (!aicpi_json_string(&r->json, &text)) {
        return false;
    }
    const char *name = aicpi_arena_strndup(&r->profile->arena, text.data, text.len);
    r->profile->name = name ? name : "";
    return name || aicpi_json_fail(&r->json, AICP_ERR_NOMEM, 0, "out of memory");
}

static bool top_version(reader *r, int32_t category) {
    (void)category;
    return read_whole(r, 0, INT64_MAX, &r->profile->version);
}

static bool top_mode(reader *r, int32_t category) {
    (void)category;
    static const char *const names[] = {"enforce", "monitor"};
    static const int32_t values[] = {0, 1};
    int32_t mode = 0;
    bool ok = read_name(r, names, values, 2, &mode);
    r->profile->monitor = mode == 1;
    return ok;
}

static const char *const plain_actions[] = {"block", "flag", "log"};
static const int32_t plain_values[] = {AICP_GUARD_BLOCK, AICP_GUARD_FLAG, AICP_GUARD_LOG};

static bool top_on_error(reader *r, int32_t category) {
    (void)category;
    return read_name(r, plain_actions, plain_values, 3, &r->profile->on_error);
}

static bool top_on_truncate(reader *r, int32_t category) {
    (void)category;
    return read_name(r, plain_actions, plain_values, 3, &r->profile->on_truncate);
}

static bool top_timeout(reader *r, int32_t category) {
    (void)category;
    int64_t ms = 0;
    bool ok = read_whole(r, 1, MAX_TIMEOUT_MS, &ms);
    r->profile->timeout_ns = (uint64_t)ms * 1000000u;
    return ok;
}

static bool top_max_bytes(reader *r, int32_t category) {
    (void)category;
    int64_t bytes = 0;
    bool ok = read_whole(r, 1024, MAX_TEXT, &bytes);
    r->profile->max_bytes = (size_t)bytes;
    return ok;
}

static bool direction_input(reader *r, int32_t category) {
    (void)category;
    return aicpi_json_bool(&r->json, &r->profile->input);
}

static bool direction_output(reader *r, int32_t category) {
    (void)category;
    return aicpi_json_bool(&r->json, &r->profile->output);
}

static bool direction_tools(reader *r, int32_t category) {
    (void)category;
    return aicpi_json_bool(&r->json, &r->profile->tools);
}

static bool top_direction(reader *r, int32_t category) {
    static const member members[] = {
        {"input", direction_input}, {"output", direction_output}, {"tools", direction_tools}};
    return read_members(r, members, 3, category, "direction");
}

static const member top_members[] = {
    {"name", top_name},
    {"version", top_version},
    {"mode", top_mode},
    {"on_error", top_on_error},
    {"on_truncate", top_on_truncate},
    {"timeout_ms", top_timeout},
    {"max_bytes", top_max_bytes},
    {"direction", top_direction},
    {"pii", top_pii},
    {"secrets", top_secrets},
    {"prompt_injection", top_injection},
    {"invisible_text", top_invisible},
    {"toxicity", absent_object},
    {"malicious_urls", absent_object},
    {"banned_topics", top_topics},
    {"detectors", top_detectors},
};

/* ---- putting it together
 * ------------------------------------------------------------------------------------------- */

static bool in_countries(const reader *r, const char *region) {
    if (!r->countries_said || r->country_count == 0 || region[0] == '\0') {
        return true;
    }
    for (size_t i = 0; i < r->country_count; i++) {
        if (aicpi_slice_is_nocase(r->countries[i], region)) {
            return true;
        }
    }
    return false;
}

static void apply(const reader *r) {
    aicp_guard_profile *p = r->profile;
    for (size_t i = 0; i < aicp_guard_rule_count(); i++) {
        const aicp_guard_rule *rule = aicp_guard_rule_at(i);
        const override *o = &r->overrides[i];
        aicpi_guard_setting *s = &p->settings[i];
        s->enabled = r->section_enabled[rule->category] && in_countries(r, rule->region);
        s->enabled = s->enabled && o->enabled != 0;
        if (r->section_action[rule->category] >= 0) {
            s->action = r->section_action[rule->category];
        }
        if (r->section_threshold[rule->category] >= 0) {
            s->threshold = r->section_threshold[rule->category];
        }
        if (o->action >= 0) {
            s->action = o->action;
        }
        if (o->threshold >= 0) {
            s->threshold = o->threshold;
        }
    }
    p->injection_enabled = r->section_enabled[AICP_GUARD_INJECTION];
    if (r->section_action[AICP_GUARD_INJECTION] >= 0) {
        p->injection_action = r->section_action[AICP_GUARD_INJECTION];
    }
    for (size_t i = 0; i < 5; i++) {
        double t = r->source_threshold[i] >= 0 ? r->source_threshold[i]
                                               : r->section_threshold[AICP_GUARD_INJECTION];
        if (t >= 0) {
            p->injection_threshold[i] = t;
        }
    }
}

aicp_status aicpi_guard_profile_read(
    aicp_guard_profile *profile, const char *data, size_t len, aicp_error *err) {
    aicpi_arena arena;
    aicpi_arena_init(&arena, &profile->allocator, 0, 0);
    reader *r = aicpi_arena_calloc(&arena, 1, sizeof *r);
    if (!r) {
        aicpi_arena_deinit(&arena);
        return aicpi_nomem(err);
    }
    r->profile = profile;
    for (size_t i = 0; i < AICP_GUARD_CATEGORY_COUNT; i++) {
        r->section_enabled[i] = true;
        r->section_action[i] = -1;
        r->section_threshold[i] = -1;
    }
    for (size_t i = 0; i < 5; i++) {
        r->source_threshold[i] = -1;
    }
    for (size_t i = 0; i < AICPI_GUARD_MAX_RULES; i++) {
        r->overrides[i] = (override){-1, -1, -1};
    }
    aicpi_json_init(&r->json, &arena, data, len, 0);
    size_t count = sizeof top_members / sizeof *top_members;
    (void)read_members(r, top_members, count, 0, "the profile");
    aicp_status status = aicpi_json_finish(&r->json, err);
    if (status == AICP_OK) {
        apply(r);
    }
    aicpi_arena_deinit(&arena);
    return status;
}
