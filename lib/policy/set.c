#include "lib/policy/set.h"

#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/policy/brief.h"
#include "lib/policy/forms.h"
#include "lib/policy/index.h"
#include "lib/policy/parser.h"

#include <stdio.h>

#define MAX_BYTES ((size_t)16 << 20)
/* Places in a text are kept in 32 bits. */
#define TEXT_MOST ((size_t)UINT32_MAX - 16)

void aicp_policy_set_options_init(aicp_policy_set_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

aicp_policy_set *aicpi_policy_set_new(const aicp_allocator *a) {
    aicp_policy_set *set = aicpi_calloc(a, 1, sizeof *set);
    if (set) {
        aicpi_ref_init(&set->ref);
        set->allocator = *a;
        aicpi_arena_init(&set->arena, a, 0, 0);
        aicpi_map_init(&set->ids, a);
    }
    return set;
}

aicp_policy_set *aicp_policy_set_ref(aicp_policy_set *set) {
    aicpi_ref_get(&set->ref);
    return set;
}

void aicp_policy_set_free(aicp_policy_set *set) {
    /* A loop, because a set may stand on another one. */
    while (set && aicpi_ref_put(&set->ref)) {
        aicp_policy_set *base = set->base;
        aicp_allocator a = set->allocator;
        aicpi_arena_deinit(&set->arena);
        aicpi_map_deinit(&set->ids);
        aicpi_free(&a, set);
        set = base;
    }
}

aicp_status aicpi_policy_set_add_id(
    aicp_policy_set *set, const aicpi_policy_str *id, uint64_t value, aicp_error *err) {
    /* Ids are handed out as C strings. */
    if (memchr(id->data, 0, id->len)) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "the policy id \"%s\" holds a NUL",
            aicpi_policy_brief_str(id).text);
    }
    bool inserted = false;
    aicpi_map_slot *slot = aicpi_map_put(&set->ids, id->data, id->len, &inserted);
    if (!slot) {
        return aicpi_nomem(err);
    }
    if (!inserted) {
        return aicpi_fail(
            err, AICP_ERR_EXISTS, "the policy id \"%s\" is taken", aicpi_policy_brief_str(id).text);
    }
    slot->value.u64 = value;
    return AICP_OK;
}

/* ---- building ---- */

static const uint32_t *find_lines(aicpi_arena *arena, const char *data, size_t len, size_t *count) {
    const char *end = len > 0 ? data + len : data;
    size_t n = 1;
    for (const char *p = data; p != end && (p = memchr(p, '\n', (size_t)(end - p))); p++) {
        n++;
    }
    uint32_t *lines = aicpi_arena_calloc(arena, n, sizeof *lines);
    size_t at = 1;
    for (const char *p = data; lines && at < n; at++) {
        p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
        lines[at] = (uint32_t)(p - data);
    }
    *count = n;
    return lines;
}

void aicpi_policy_set_place(
    const aicp_policy_set *set, uint32_t pos, uint32_t *line, uint32_t *column) {
    size_t low = 0;
    size_t high = set->line_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (set->lines[middle] <= pos) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *line = (uint32_t)(low + 1);
    *column = pos - set->lines[low] + 1;
}

static const aicpi_policy_str *annotation_id(const aicpi_policy_ast *ast) {
    for (uint32_t i = 0; i < ast->annotation_count; i++) {
        if (aicpi_slice_is(aicpi_policy_text(ast->annotations[i].key), "id")) {
            return ast->annotations[i].value;
        }
    }
    return NULL;
}

/* The id that the policy has in its JSON, else that of its annotation, else by position. */
static const aicpi_policy_str *
choose_id(aicpi_policy_intern *in, const aicpi_policy_ast *ast, size_t position, uint32_t flags) {
    const aicpi_policy_str *id = ast->id;
    if (!id && flags & AICP_POLICY_ID_FROM_ANNOTATION) {
        id = annotation_id(ast);
    }
    if (id) {
        return id;
    }
    char text[32];
    int n = snprintf(text, sizeof text, "policy%zu", position);
    return aicpi_policy_intern_str(in, aicpi_slice_of(text, (size_t)n));
}

bool aicpi_policy_compile_rule(
    aicpi_arena *arena, const aicpi_policy_ast *ast, aicpi_policy_rule *rule) {
    *rule = (aicpi_policy_rule){
        .id = ast->id, .effect = ast->effect, .test_count = ast->condition_count, .ast = ast};
    memcpy(rule->scope, ast->scope, sizeof rule->scope);
    aicpi_policy_test *tests = aicpi_arena_calloc(arena, ast->condition_count, sizeof *tests);
    for (uint32_t i = 0; tests && i < ast->condition_count; i++) {
        tests[i].unless = ast->conditions[i].unless;
        tests[i].node = aicpi_policy_compile(arena, ast->conditions[i].expr);
        if (!tests[i].node) {
            return false;
        }
    }
    rule->tests = tests;
    return tests != NULL;
}

aicp_status aicpi_policy_set_index(aicp_policy_set *set, aicp_error *err) {
    set->index = aicpi_policy_index_make(&set->arena, set->rules, set->count);
    return set->index ? AICP_OK : aicpi_nomem(err);
}

/* Names and compiles the policies of a parsed text. */
static aicp_status build(
    aicp_policy_set *set,
    aicpi_policy_intern *in,
    aicpi_policy_ast *asts,
    size_t count,
    uint32_t flags,
    aicp_error *err) {
    size_t slotted = 0;
    for (size_t i = 0; i < count; i++) {
        slotted += aicpi_policy_is_template(&asts[i]);
    }
    aicpi_policy_rule *rules = aicpi_arena_calloc(&set->arena, count - slotted, sizeof *rules);
    aicpi_policy_rule *templates = aicpi_arena_calloc(&set->arena, slotted, sizeof *templates);
    if (!rules || !templates) {
        return aicpi_nomem(err);
    }
    set->rules = rules;
    set->templates = templates;
    for (size_t i = 0; i < count; i++) {
        bool template = aicpi_policy_is_template(&asts[i]);
        asts[i].id = choose_id(in, &asts[i], i, flags);
        aicpi_policy_rule *rule = template ? &templates[set->template_count] : &rules[set->count];
        uint64_t value = template ? set->template_count * 2 + 1 : set->count * 2;
        if (!asts[i].id || !aicpi_policy_compile_rule(&set->arena, &asts[i], rule)) {
            return aicpi_nomem(err);
        }
        aicp_status status = aicpi_policy_set_add_id(set, asts[i].id, value, err);
        if (status != AICP_OK) {
            if (err && status != AICP_ERR_NOMEM) {
                aicpi_policy_set_place(set, asts[i].pos, &err->line, &err->column);
                err->offset = asts[i].pos;
            }
            return status;
        }
        set->template_count += template;
        set->count += !template;
    }
    return aicpi_policy_set_index(set, err);
}

/* Reads the policies of either form; *est keeps what else JSON has. */
static aicp_status read_asts(
    aicpi_policy_intern *in,
    const char *data,
    size_t len,
    uint32_t max_depth,
    aicpi_policy_est *est,
    aicp_error *err) {
    if (aicpi_policy_is_est(data, len)) {
        return aicpi_policy_est_read(data, len, in, max_depth, est, err);
    }
    aicpi_policy_parser p = {
        .lexer = {.data = data, .len = (uint32_t)len},
        .arena = in->arena,
        .intern = in,
        .max_depth = max_depth,
        .err = err};
    return aicpi_policy_parse(&p, &est->asts, &est->count);
}

static aicp_status parse_into(
    aicp_policy_set *set,
    const char *data,
    size_t len,
    const aicp_policy_set_options *o,
    aicpi_policy_est *est,
    aicp_error *err) {
    size_t bad = 0;
    if (!aicpi_utf8_valid(data, len, &bad)) {
        return aicpi_fail_at(err, AICP_ERR_PARSE, data, len, bad, "the text is not valid UTF-8");
    }
    set->lines = find_lines(&set->arena, data, len, &set->line_count);
    if (!set->lines) {
        return aicpi_nomem(err);
    }
    aicpi_policy_intern in;
    aicpi_policy_intern_init(&in, &set->arena, true);
    uint32_t max_depth = o->max_depth ? o->max_depth : AICP_POLICY_DEPTH_DEFAULT;
    aicp_status status = read_asts(&in, data, len, max_depth, est, err);
    if (status == AICP_OK) {
        status = build(set, &in, est->asts, est->count, o->flags, err);
    }
    aicpi_policy_intern_deinit(&in);
    return status;
}

static aicp_status check_options(
    const aicp_policy_set_options *options,
    aicp_policy_set_options *o,
    size_t len,
    aicp_error *err) {
    aicp_status status = aicpi_options_copy(o, sizeof *o, options, "aicp_policy_set_options", err);
    if (status != AICP_OK) {
        return status;
    }
    if (o->flags & ~AICP_POLICY_ID_FROM_ANNOTATION) {
        return aicpi_fail(err, AICP_ERR_INVALID, "unknown flags 0x%x", (unsigned)o->flags);
    }
    if (o->max_depth > AICP_POLICY_DEPTH_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "max_depth is %u, more than %d",
            (unsigned)o->max_depth,
            AICP_POLICY_DEPTH_MAX);
    }
    size_t most = o->max_bytes ? o->max_bytes : MAX_BYTES;
    most = most < TEXT_MOST ? most : TEXT_MOST;
    if (len > most) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "the policies have %zu bytes, more than %zu", len, most);
    }
    return AICP_OK;
}

aicp_status aicp_policy_set_parse(
    const char *data,
    size_t len,
    const aicp_policy_set_options *options,
    aicp_policy_set **out,
    aicp_error *err) {
    *out = NULL;
    aicp_policy_set_options o;
    aicp_status status = check_options(options, &o, len, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_policy_set *set = aicpi_policy_set_new(&a);
    if (!set) {
        return aicpi_nomem(err);
    }
    aicpi_policy_est est = {0};
    status = parse_into(set, data, len, &o, &est, err);
    if (status == AICP_OK && est.links_end > est.links_start) {
        status = aicpi_policy_set_link_at(set, data, est.links_start, est.links_end, out, err);
    } else if (status == AICP_OK) {
        *out = aicp_policy_set_ref(set);
    }
    aicp_policy_set_free(set);
    return status;
}

/* ---- getters ---- */

static const aicpi_policy_rule *rule_at(const aicp_policy_set *set, size_t index) {
    return index < set->count ? &set->rules[index] : NULL;
}

size_t aicp_policy_set_count(const aicp_policy_set *set) {
    return set->count;
}

size_t aicp_policy_set_template_count(const aicp_policy_set *set) {
    return set->template_count;
}

const char *aicp_policy_set_id(const aicp_policy_set *set, size_t index) {
    const aicpi_policy_rule *rule = rule_at(set, index);
    return rule ? rule->id->data : NULL;
}

const char *aicp_policy_set_template_id(const aicp_policy_set *set, size_t index) {
    return index < set->template_count ? set->templates[index].id->data : NULL;
}

aicp_status aicp_policy_set_find(
    const aicp_policy_set *set, const char *data, size_t len, size_t *index, aicp_error *err) {
    const aicpi_map_slot *slot = aicpi_map_find(&set->ids, data, len);
    if (!slot || (slot->value.u64 & 1)) {
        return aicpi_fail(
            err,
            AICP_ERR_NOT_FOUND,
            "no policy has the id \"%s\"",
            aicpi_policy_brief_of(aicpi_slice_of(data, len)).text);
    }
    *index = (size_t)(slot->value.u64 / 2);
    return AICP_OK;
}

int32_t aicp_policy_set_effect(const aicp_policy_set *set, size_t index) {
    const aicpi_policy_rule *rule = rule_at(set, index);
    return rule ? rule->effect : -1;
}

uint32_t aicp_policy_set_line(const aicp_policy_set *set, size_t index) {
    const aicpi_policy_rule *rule = rule_at(set, index);
    uint32_t line = 0;
    uint32_t column = 0;
    if (rule) {
        aicpi_policy_set_place(set, rule->ast->pos, &line, &column);
    }
    return line;
}

uint32_t aicp_policy_set_column(const aicp_policy_set *set, size_t index) {
    const aicpi_policy_rule *rule = rule_at(set, index);
    uint32_t line = 0;
    uint32_t column = 0;
    if (rule) {
        aicpi_policy_set_place(set, rule->ast->pos, &line, &column);
    }
    return column;
}

size_t aicp_policy_set_annotation_count(const aicp_policy_set *set, size_t index) {
    const aicpi_policy_rule *rule = rule_at(set, index);
    return rule ? rule->ast->annotation_count : 0;
}

const char *aicp_policy_set_annotation_key(const aicp_policy_set *set, size_t index, size_t nth) {
    return nth < aicp_policy_set_annotation_count(set, index)
               ? set->rules[index].ast->annotations[nth].key->data
               : NULL;
}

const char *aicp_policy_set_annotation_value(const aicp_policy_set *set, size_t index, size_t nth) {
    return nth < aicp_policy_set_annotation_count(set, index)
               ? set->rules[index].ast->annotations[nth].value->data
               : NULL;
}

const char *aicp_policy_set_annotation(const aicp_policy_set *set, size_t index, const char *key) {
    size_t count = aicp_policy_set_annotation_count(set, index);
    for (size_t i = 0; i < count; i++) {
        const aicpi_policy_annotation *a = &set->rules[index].ast->annotations[i];
        if (aicpi_slice_is(aicpi_policy_text(a->key), key)) {
            return a->value->data;
        }
    }
    return NULL;
}
