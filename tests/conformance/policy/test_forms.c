/* The forms of policies: JSON as the reference writes and reads it, and what must hold for every
 * policy of the corpus and the workloads: the forms say the same, writing and reading in turn
 * changes nothing, and the formatter loses neither meaning nor comments. */
#include "conformance/policy/cases.h"

#include "lib/base/strbuf.h"
#include "lib/policy/lexer.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- forms of a text ---- */

static aicp_policy_set *read_set(aicpi_slice text, uint32_t flags) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = flags;
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_set_parse(text.data, text.len, &options, &set, &err);
    cr_assert_eq(
        status,
        AICP_OK,
        "%u:%u: %s: %.*s",
        err.line,
        err.column,
        err.message,
        (int)text.len,
        text.data);
    return set;
}

static aicp_buf write_set(const aicp_policy_set *set, int32_t format) {
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_assert_eq(aicp_policy_set_write(set, format, &out, &err), AICP_OK, "%s", err.message);
    return out;
}

/* Reads a text and writes the set in a form; free with aicp_buf_free(). */
static aicp_buf form_of(aicpi_slice text, uint32_t flags, int32_t format) {
    aicp_policy_set *set = read_set(text, flags);
    aicp_buf out = write_set(set, format);
    aicp_policy_set_free(set);
    return out;
}

static aicpi_slice slice_of(const aicp_buf *b) {
    return aicpi_slice_of(b->data, b->len);
}

/* The text means `json`. */
static void expect_json(aicpi_slice text, uint32_t flags, const aicp_buf *json) {
    aicp_buf got = form_of(text, flags, AICP_POLICY_FORMAT_JSON);
    cr_expect(
        aicpi_slice_eq(slice_of(&got), slice_of(json)),
        "%.*s\nis\n%s\nnot\n%s",
        (int)text.len,
        text.data,
        got.data,
        json->data);
    aicp_buf_free(&got);
}

static aicp_buf format(aicpi_slice text, uint32_t width) {
    aicp_policy_format_options options = AICP_POLICY_FORMAT_OPTIONS_INIT;
    options.line_width = width;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    aicp_status status = aicp_policy_format(text.data, text.len, &options, &out, &err);
    cr_assert_eq(
        status,
        AICP_OK,
        "%u:%u: %s: %.*s",
        err.line,
        err.column,
        err.message,
        (int)text.len,
        text.data);
    return out;
}

/* All comments of a text, one a line, without the space behind them. */
static void comments_of(aicpi_slice text, aicpi_strbuf *out) {
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '/') {
            size_t end = i;
            while (end < text.len && text.data[end] != '\n') {
                end++;
            }
            size_t len = end - i;
            while (text.data[i + len - 1] == ' ') {
                len--;
            }
            aicpi_strbuf_append(out, text.data + i, len);
            aicpi_strbuf_putc(out, '\n');
            i = end;
        }
    }
}

static void expect_same_comments(aicpi_slice a, aicpi_slice b) {
    aicpi_strbuf x;
    aicpi_strbuf y;
    aicpi_strbuf_init(&x, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_init(&y, NULL, AICPI_STRBUF_MAX);
    comments_of(a, &x);
    comments_of(b, &y);
    cr_expect(
        aicpi_slice_eq(aicpi_slice_of(x.data, x.len), aicpi_slice_of(y.data, y.len)),
        "%.*s\nhas other comments than\n%.*s",
        (int)b.len,
        b.data,
        (int)a.len,
        a.data);
    aicpi_strbuf_deinit(&x);
    aicpi_strbuf_deinit(&y);
}

/* The formatted text means `json`, has the comments of `text`, and stays as it is. */
static void expect_formats(aicpi_slice text, uint32_t width, uint32_t flags, const aicp_buf *json) {
    aicp_buf once = format(text, width);
    aicp_buf twice = format(slice_of(&once), width);
    cr_expect(
        aicpi_slice_eq(slice_of(&once), slice_of(&twice)),
        "%s\nchanges to\n%s",
        once.data,
        twice.data);
    expect_same_comments(text, slice_of(&once));
    expect_json(slice_of(&once), flags, json);
    aicp_buf_free(&once);
    aicp_buf_free(&twice);
}

/* ---- comments in between ---- */

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Space, or in every fourth gap a comment, in many positions. */
static void put_gap(aicpi_strbuf *out, uint64_t *state, unsigned number) {
    static const char *const before[] = {" ", "", "\n", "\r\n\n  ", " // \"}\n"};
    static const char *const after[] = {"\n", "  \n\t", "\n\n\n", "\n// };\n"};
    if (next_random(state) % 4 > 0) {
        aicpi_strbuf_puts(out, next_random(state) % 8 > 0 ? " " : "\n\n");
        return;
    }
    aicpi_strbuf_puts(out, before[next_random(state) % 5]);
    aicpi_strbuf_printf(out, "// %u", number);
    aicpi_strbuf_puts(out, after[next_random(state) % 4]);
}

static void expect_formats_with_comments(
    aicpi_slice text, uint64_t seed, uint32_t flags, const aicp_buf *json) {
    aicpi_policy_lexer lexer = {.data = text.data, .len = (uint32_t)text.len};
    aicpi_policy_token token;
    aicpi_strbuf b;
    uint64_t state = seed;
    unsigned number = 0;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    do {
        token = aicpi_policy_lexer_next(&lexer);
        put_gap(&b, &state, number++);
        aicpi_strbuf_append(&b, text.data + token.start, token.end - token.start);
    } while (token.type != AICPI_POLICY_TOKEN_END);
    uint32_t width = (uint32_t)(next_random(&state) % 100 + 1);
    expect_formats(aicpi_slice_of(b.data, b.len), width, flags, json);
    aicpi_strbuf_deinit(&b);
}

/* All that must hold for the forms of a text whose set has no links. */
static void check_text(aicpi_slice text, uint32_t flags, uint64_t seed) {
    aicp_buf json = form_of(text, flags, AICP_POLICY_FORMAT_JSON);
    aicp_buf cedar = form_of(text, flags, AICP_POLICY_FORMAT_CEDAR);
    aicp_buf laid_out = format(slice_of(&cedar), 0);
    expect_json(slice_of(&json), flags, &json);
    expect_json(slice_of(&cedar), flags, &json);
    cr_expect(aicpi_slice_eq(slice_of(&laid_out), slice_of(&cedar)), "%s", cedar.data);
    expect_formats(text, 0, flags, &json);
    expect_formats_with_comments(text, seed, flags, &json);
    aicp_buf_free(&json);
    aicp_buf_free(&cedar);
    aicp_buf_free(&laid_out);
}

/* ---- the reference's forms ---- */

typedef struct golden {
    aicpi_slice text;
    aicpi_slice est;
    aicpi_slice cedar;
    bool fine;
} golden;

static golden read_golden(aicpi_arena *arena, aicpi_slice line) {
    golden g = {.est = {"", 0}, .cedar = {NULL, 0}};
    aicpi_json json;
    aicp_error err = {0};
    aicpi_arena_reset(arena);
    aicpi_json_init(&json, arena, line.data, line.len, CASE_JSON_DEPTH);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "text")) {
            aicpi_json_string(&json, &g.text);
            continue;
        }
        if (!aicpi_slice_is(key, "got")) {
            aicpi_json_skip(&json);
            continue;
        }
        aicpi_json_object(&json);
        while (aicpi_json_member(&json, &key)) {
            if (aicpi_slice_is(key, "est")) {
                aicpi_json_span(&json, &g.est);
            } else if (aicpi_slice_is(key, "cedar")) {
                g.fine = aicpi_json_string(&json, &g.cedar);
            } else {
                aicpi_json_skip(&json);
            }
        }
    }
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s", err.message);
    return g;
}

/* Calls `check` for each line of a golden file; gives their number. */
static size_t each_golden(const char *file, void (*check)(const golden *g)) {
    aicpi_slice text = case_file(AICP_TEST_DATA "/policy/golden", file);
    aicpi_slice line;
    aicpi_arena arena;
    size_t count = 0;
    aicpi_arena_init(&arena, NULL, 0, 0);
    for (aicpi_slice rest = text; case_next_line(&rest, &line); count++) {
        golden g = read_golden(&arena, line);
        check(&g);
    }
    aicpi_arena_deinit(&arena);
    case_free(text);
    return count;
}

static void check_policy(const golden *g) {
    if (!g->fine) {
        return;
    }
    aicp_buf json = form_of(g->text, 0, AICP_POLICY_FORMAT_JSON);
    cr_expect(
        case_same_json(slice_of(&json), g->est),
        "%s\nis not\n%.*s",
        json.data,
        (int)g->est.len,
        g->est.data);
    expect_json(g->est, 0, &json);
    expect_json(g->cedar, 0, &json);
    check_text(g->text, 0, 1);
    aicp_buf_free(&json);
}

Test(policy_forms, texts_have_the_json_of_the_reference) {
    cr_expect_eq(each_golden("policy.jsonl", check_policy), 57);
}

static void check_est(const golden *g) {
    /* The reference tells `a is T in b` apart in a scope only; what it prints means the same. */
    static const char split[] = "(principal is U) && (principal in G::\"g\")";
    static const char whole[] = "principal is U in G::\"g\"";
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_set_parse(g->text.data, g->text.len, NULL, &set, &err);
    cr_expect_eq(
        status == AICP_OK, g->fine, "%.*s: %s", (int)g->text.len, g->text.data, err.message);
    if (status != AICP_OK) {
        return;
    }
    aicp_buf json = write_set(set, AICP_POLICY_FORMAT_JSON);
    aicp_buf cedar = write_set(set, AICP_POLICY_FORMAT_CEDAR);
    if (memmem(g->cedar.data, g->cedar.len, split, sizeof split - 1)) {
        cr_expect(strstr(cedar.data, whole), "%s", cedar.data);
    } else {
        expect_json(g->cedar, 0, &json);
    }
    expect_json(slice_of(&cedar), 0, &json);
    aicp_buf_free(&json);
    aicp_buf_free(&cedar);
    aicp_policy_set_free(set);
}

Test(policy_forms, json_is_read_as_by_the_reference) {
    cr_expect_eq(each_golden("estpolicy.jsonl", check_est), 30);
}

/* ---- corpus and workloads ---- */

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name);
    size_t m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

Test(policy_forms, all_forms_of_every_policy_of_the_corpus_say_the_same) {
    const char *root = case_unpack("corpus-share.tar.gz");
    char folder[128];
    size_t count = 0;
    snprintf(folder, sizeof folder, "%s/corpus-tests", root);
    DIR *dir = opendir(folder);
    cr_assert(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (ends_with(entry->d_name, ".cedar")) {
            aicpi_slice text = case_file(folder, entry->d_name);
            check_text(text, 0, ++count);
            case_free(text);
        }
    }
    closedir(dir);
    case_remove(root);
    cr_expect_eq(count, 2041);
}

Test(policy_forms, all_forms_of_the_workloads_say_the_same) {
    static const char *const folders[] = {
        "a-control-plane", "b-scoped-1k", "c-templates-10k", "d-deep-10k"};
    const char *root = case_unpack("workloads.tar.gz");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "%s/%s", root, folders[i]);
        aicpi_slice text = case_file(folder, "policies.cedar");
        check_text(text, AICP_POLICY_ID_FROM_ANNOTATION, i);
        case_free(text);
    }
    case_remove(root);
}
