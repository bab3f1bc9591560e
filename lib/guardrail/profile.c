/* A profile: settings, compiled patterns and the automata of what is enabled. */
#include "lib/guardrail/guardrail_internal.h"

#define MAX_WORDS 4096

void aicpi_guard_profile_defaults(aicp_guard_profile *p) {
    p->name = "";
    p->on_error = -1;
    p->on_truncate = AICP_GUARD_FLAG;
    p->timeout_ns = UINT64_C(50) * 1000000;
    p->max_bytes = (size_t)1 << 20;
    p->input = p->output = p->tools = true;
    p->injection_enabled = true;
    p->injection_action = AICP_GUARD_BLOCK;
    for (size_t i = 0; i < sizeof p->injection_threshold / sizeof *p->injection_threshold; i++) {
        p->injection_threshold[i] = 0.90;
    }
    for (size_t i = 0; i < aicp_guard_rule_count(); i++) {
        const aicp_guard_rule *rule = aicp_guard_rule_at(i);
        p->settings[i] = (aicpi_guard_setting){
            .enabled = true,
            .action = rule->action,
            .threshold = rule->category == AICP_GUARD_PII ? 0.40 : 0.50,
        };
    }
}

static bool is_used(const aicp_guard_profile *p, size_t detector) {
    const aicpi_guard_detector *d = aicpi_guard_detectors[detector];
    size_t base = aicpi_guard_rule_base(detector);
    for (size_t i = 0; i < d->rule_count; i++) {
        int32_t category = d->rules[i].category;
        if (p->settings[base + i].enabled &&
            (category != AICP_GUARD_INJECTION || p->injection_enabled)) {
            return true;
        }
    }
    return false;
}

static aicp_status compile_patterns(aicp_guard_profile *p, size_t detector, aicp_error *err) {
    const aicpi_guard_detector *d = aicpi_guard_detectors[detector];
    size_t base = aicpi_guard_rule_base(detector);
    for (size_t i = 0; d->patterns && i < d->rule_count; i++) {
        if (!d->patterns[i] || !p->settings[base + i].enabled) {
            continue;
        }
        aicp_status status = aicpi_guard_pattern_compile(
            &p->allocator,
            d->patterns[i],
            strlen(d->patterns[i]),
            false,
            &p->patterns[base + i],
            err);
        if (status != AICP_OK) {
            return aicpi_error_prefix(err, status, "rule %s", d->rules[i].id);
        }
    }
    return AICP_OK;
}

typedef struct words {
    aicpi_guard_word *list;
    size_t count;
} words;

static void add_word(words *w, const char *data, size_t len, size_t detector, uint16_t rule) {
    if (w->count < MAX_WORDS) {
        w->list[w->count++] = (aicpi_guard_word){{data, len}, (uint16_t)detector, rule};
    }
}

/* Adds the literals of `text`, separated by ';', as they look in the normalised view. */
static bool
add_folded(words *w, aicpi_arena *arena, const char *text, size_t detector, uint16_t rule) {
    while (*text) {
        size_t len = strcspn(text, ";");
        aicpi_guard_folder folder = {0};
        char *data = aicpi_arena_alloc(arena, AICPI_GUARD_FOLD_ROOM(len));
        aicpi_guard_step *places =
            aicpi_arena_alloc(arena, AICPI_GUARD_FOLD_ROOM(len) * sizeof *places);
        if (!data || !places) {
            return false;
        }
        size_t used = 0;
        aicpi_slice plain = {text, len};
        size_t n = aicpi_guard_fold(&folder, plain, true, data, places, &used);
        if (folder.pending) { /* "say " is not the head of "saying" */
            data[n++] = ' ';
        }
        if (n > 0) {
            add_word(w, data, n, detector, rule);
        }
        text += len + (text[len] == ';');
    }
    return true;
}

static aicp_status add_detector(
    aicp_guard_profile *p, size_t i, words *raw, words *norm, aicpi_arena *arena, aicp_error *err) {
    const aicpi_guard_detector *d = aicpi_guard_detectors[i];
    if (!is_used(p, i)) {
        return AICP_OK;
    }
    if (d->anchors & AICPI_GUARD_ON_NUMBER) {
        p->number_detectors[p->number_count++] = (uint32_t)i;
    }
    for (size_t k = 0; k < d->literal_count; k++) {
        const aicpi_guard_literal *literal = &d->literals[k];
        if (!p->settings[aicpi_guard_rule_base(i) + literal->rule].enabled) {
            continue;
        }
        if (!d->normalised) {
            add_word(raw, literal->text, strlen(literal->text), i, literal->rule);
        } else if (!add_folded(norm, arena, literal->text, i, literal->rule)) {
            return aicpi_nomem(err);
        }
    }
    return compile_patterns(p, i, err);
}

/* First bytes of digits: ASCII, Arabic-Indic, full width. */
static void add_anchors(const aicp_guard_profile *p, words *raw) {
    static const char digits[] = "0123456789";
    static const char arabic[] = "\xd9\xa0\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4"
                                 "\xd9\xa5\xd9\xa6\xd9\xa7\xd9\xa8\xd9\xa9"
                                 "\xdb\xb0\xdb\xb1\xdb\xb2\xdb\xb3\xdb\xb4"
                                 "\xdb\xb5\xdb\xb6\xdb\xb7\xdb\xb8\xdb\xb9";
    static const char wide[] = "\xef\xbc\x90\xef\xbc\x91\xef\xbc\x92\xef\xbc\x93\xef\xbc\x94"
                               "\xef\xbc\x95\xef\xbc\x96\xef\xbc\x97\xef\xbc\x98\xef\xbc\x99";
    if (p->number_count > 0) {
        for (size_t i = 0; i < 10; i++) {
            add_word(raw, digits + i, 1, AICPI_GUARD_NUMBER_DETECTOR, 0);
            add_word(raw, wide + 3 * i, 3, AICPI_GUARD_NUMBER_DETECTOR, 0);
        }
        for (size_t i = 0; i < 20; i++) {
            add_word(raw, arabic + 2 * i, 2, AICPI_GUARD_NUMBER_DETECTOR, 0);
        }
    }
    add_word(raw, "<", 1, AICPI_GUARD_PLACEHOLDER, 0);
}

static aicp_status build_automata(aicp_guard_profile *p, aicp_error *err) {
    aicpi_arena arena;
    aicpi_arena_init(&arena, &p->allocator, 65536, 0);
    words raw = {aicpi_arena_alloc(&arena, MAX_WORDS * sizeof *raw.list), 0};
    words norm = {aicpi_arena_alloc(&arena, MAX_WORDS * sizeof *norm.list), 0};
    aicp_status status = raw.list && norm.list ? AICP_OK : aicpi_nomem(err);
    for (size_t i = 0; i < aicpi_guard_detector_count && status == AICP_OK; i++) {
        status = add_detector(p, i, &raw, &norm, &arena, err);
    }
    if (status == AICP_OK) {
        add_anchors(p, &raw);
        if (raw.count >= MAX_WORDS || norm.count >= MAX_WORDS) {
            status = aicpi_fail(err, AICP_ERR_LIMIT, "guard: more than %d literals", MAX_WORDS);
        }
    }
    if (status == AICP_OK) {
        status = aicpi_guard_automaton_build(&p->raw, &p->allocator, raw.list, raw.count, err);
    }
    if (status == AICP_OK) {
        status = aicpi_guard_automaton_build(&p->norm, &p->allocator, norm.list, norm.count, err);
    }
    if (status == AICP_OK && p->word_count > 0) {
        status =
            aicpi_guard_automaton_build(&p->keywords, &p->allocator, p->words, p->word_count, err);
    }
    aicpi_arena_deinit(&arena);
    return status;
}

/* Errors block when something would have been held back. */
static void default_on_error(aicp_guard_profile *p) {
    if (p->on_error >= 0) {
        return;
    }
    p->on_error = AICP_GUARD_LOG;
    for (size_t i = 0; i < aicp_guard_rule_count(); i++) {
        int32_t category = aicp_guard_rule_at(i)->category;
        int32_t action =
            category == AICP_GUARD_INJECTION ? p->injection_action : p->settings[i].action;
        bool on =
            p->settings[i].enabled && (category != AICP_GUARD_INJECTION || p->injection_enabled);
        if (on && action >= AICP_GUARD_HASH) {
            p->on_error = AICP_GUARD_BLOCK;
        }
    }
    for (size_t i = 0; i < p->custom_count; i++) {
        if (p->custom[i].action >= AICP_GUARD_HASH) {
            p->on_error = AICP_GUARD_BLOCK;
        }
    }
}

aicp_status aicp_guard_profile_parse(
    const char *data,
    size_t len,
    const aicp_guard_options *options,
    aicp_guard_profile **out,
    aicp_error *err) {
    *out = NULL;
    aicp_guard_options own;
    aicp_status status = aicpi_options_copy(&own, sizeof own, options, "aicp_guard_options", err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(own.allocator);
    aicp_guard_profile *p = aicpi_calloc(&a, 1, sizeof *p);
    if (!p) {
        return aicpi_nomem(err);
    }
    aicpi_ref_init(&p->ref);
    p->allocator = a;
    p->clock = aicpi_clock(own.clock);
    static const unsigned char no_key[AICPI_KEY_SIZE];
    memcpy(p->hash_key, own.hash_key, sizeof p->hash_key);
    if (memcmp(p->hash_key, no_key, sizeof no_key) == 0) {
        aicpi_random(p->hash_key, sizeof p->hash_key);
    }
    aicpi_arena_init(&p->arena, &p->allocator, 0, 0);
    aicpi_map_init(&p->allow, &p->allocator);
    aicpi_guard_profile_defaults(p);
    status = aicpi_guard_profile_read(p, data, len, err);
    if (status == AICP_OK) {
        default_on_error(p);
        status = build_automata(p, err);
    }
    if (status != AICP_OK) {
        aicp_guard_profile_free(p);
        return status;
    }
    *out = p;
    return AICP_OK;
}

aicp_guard_profile *aicp_guard_profile_ref(aicp_guard_profile *profile) {
    aicpi_ref_get(&profile->ref);
    return profile;
}

void aicp_guard_profile_free(aicp_guard_profile *profile) {
    if (!profile || !aicpi_ref_put(&profile->ref)) {
        return;
    }
    const aicp_allocator a = profile->allocator;
    for (size_t i = 0; i < profile->allow_pattern_count; i++) {
        aicpi_guard_pattern_free(&profile->allocator, profile->allow_patterns[i]);
    }
    for (size_t i = 0; i < AICPI_GUARD_MAX_RULES; i++) {
        aicpi_guard_pattern_free(&profile->allocator, profile->patterns[i]);
    }
    aicpi_guard_automaton_deinit(&profile->raw);
    aicpi_guard_automaton_deinit(&profile->norm);
    if (profile->keywords.next) { /* else it was never built and has no allocator */
        aicpi_guard_automaton_deinit(&profile->keywords);
    }
    for (size_t i = 0; i < profile->user_pattern_count; i++) {
        aicpi_guard_pattern_free(&profile->allocator, profile->user_patterns[i].pattern);
    }
    aicpi_map_deinit(&profile->allow);
    aicpi_arena_deinit(&profile->arena);
    aicpi_wipe(profile->hash_key, sizeof profile->hash_key);
    aicpi_free(&a, profile);
}

const char *aicp_guard_profile_name(const aicp_guard_profile *profile) {
    return profile->name;
}

int64_t aicp_guard_profile_version(const aicp_guard_profile *profile) {
    return profile->version;
}
