/* Schemas against the reference implementation: edge cases with its answers, and the schemas of the
 * public corpus, most of which are there in the JSON form too. */
#include "conformance/policy/cases.h"

#include "lib/policy/schema.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One line of a golden file; views of the arena or the file. */
typedef struct golden {
    aicpi_slice text;
    aicpi_slice json; /* what is written, as JSON */
    bool ok;
    int64_t environments; /* -1: not told */
    size_t warnings;
} golden;

static void read_got(aicpi_json *json, golden *g) {
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "ok")) {
            aicpi_json_bool(json, &g->ok);
        } else if (aicpi_slice_is(key, "envs")) {
            aicpi_json_int64(json, &g->environments);
        } else if (aicpi_slice_is(key, "json")) {
            aicpi_json_span(json, &g->json);
        } else if (aicpi_slice_is(key, "warnings")) {
            for (aicpi_json_array(json); aicpi_json_element(json); g->warnings++) {
                aicpi_json_skip(json);
            }
        } else {
            aicpi_json_skip(json);
        }
    }
}

static golden read_golden(aicpi_arena *arena, aicpi_slice line) {
    golden g = {.environments = -1};
    aicpi_json json;
    aicp_error err;
    aicpi_arena_reset(arena);
    aicpi_json_init(&json, arena, line.data, line.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "text")) {
            aicpi_json_string(&json, &g.text);
        } else if (aicpi_slice_is(key, "got")) {
            read_got(&json, &g);
        } else {
            aicpi_json_skip(&json);
        }
    }
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s", err.message);
    return g;
}

static int64_t environments(const aicp_policy_schema *schema) {
    int64_t count = 0;
    for (uint32_t i = 0; i < schema->action_count; i++) {
        const aicpi_policy_action *action = &schema->actions[i];
        count += (int64_t)action->principal_count * action->resource_count;
    }
    return count;
}

static aicpi_slice write_schema(const aicp_policy_schema *schema, int32_t format, aicp_buf *buf) {
    aicp_error err;
    cr_assert_eq(aicp_policy_schema_write(schema, format, buf, &err), AICP_OK, "%s", err.message);
    return aicpi_slice_of(buf->data, buf->len);
}

static aicp_policy_schema *read_schema(aicpi_slice text, const char *name) {
    aicp_policy_schema *schema = NULL;
    aicp_error err;
    cr_assert_eq(
        aicp_policy_schema_parse(text.data, text.len, NULL, &schema, &err),
        AICP_OK,
        "%s: %s",
        name,
        err.message);
    return schema;
}

/* Written in the other syntax, read and written back, a schema gives the same JSON. */
static void check_written(const aicp_policy_schema *schema, aicpi_slice json, const char *name) {
    aicp_buf first = AICP_BUF_INIT;
    aicp_buf cedar = AICP_BUF_INIT;
    aicp_buf second = AICP_BUF_INIT;
    aicpi_slice text = write_schema(schema, AICP_POLICY_FORMAT_JSON, &first);
    cr_expect(case_same_json(text, json), "%s: written as %s", name, first.data);
    aicp_policy_schema *again =
        read_schema(write_schema(schema, AICP_POLICY_FORMAT_CEDAR, &cedar), name);
    text = write_schema(again, AICP_POLICY_FORMAT_JSON, &second);
    cr_expect(case_same_json(text, json), "%s: by way of Cedar %s", name, second.data);
    aicp_policy_schema_free(again);
    aicp_buf_free(&first);
    aicp_buf_free(&cedar);
    aicp_buf_free(&second);
}

static size_t run_golden(const char *name) {
    aicpi_slice file = case_file(AICP_TEST_DATA "/policy/golden", name);
    aicpi_slice rest = file;
    aicpi_arena arena;
    size_t count = 0;
    aicpi_arena_init(&arena, NULL, 0, 0);
    for (aicpi_slice line; case_next_line(&rest, &line); count++) {
        golden g = read_golden(&arena, line);
        aicp_policy_schema *schema = NULL;
        aicp_error err = {0};
        aicp_status status = aicp_policy_schema_parse(g.text.data, g.text.len, NULL, &schema, &err);
        cr_expect_eq(
            status == AICP_OK, g.ok, "%.*s: %s", (int)g.text.len, g.text.data, err.message);
        if (status == AICP_OK && g.environments >= 0) {
            cr_expect_eq(
                environments(schema), g.environments, "%.*s", (int)g.text.len, g.text.data);
            cr_expect_eq(aicp_policy_schema_warning_count(schema), g.warnings);
            check_written(schema, g.json, name);
        }
        aicp_policy_schema_free(schema);
    }
    aicpi_arena_deinit(&arena);
    case_free(file);
    return count;
}

Test(policy_golden, schemas_in_cedars_syntax_are_read_and_written_as_expected) {
    cr_assert_eq(run_golden("schema.jsonl"), 62);
}

Test(policy_golden, schemas_in_json_are_read_or_refused_as_expected) {
    cr_assert_eq(run_golden("schemajson.jsonl"), 16);
}

/* A schema of the corpus, and its JSON form when there is one. */
static bool run_schema(const char *folder, const char *id, const char *extras) {
    char path[1024];
    snprintf(path, sizeof path, "corpus-tests/%s.cedarschema", id);
    aicpi_slice text = case_file(folder, path);
    aicp_policy_schema *schema = read_schema(text, id);
    snprintf(path, sizeof path, "%s/json-schemas/%s.cedarschema.json", extras, id);
    bool paired = access(path, R_OK) == 0;
    if (paired) {
        aicpi_slice json = case_file(extras, path + strlen(extras) + 1);
        aicp_policy_schema *other = read_schema(json, id);
        check_written(schema, json, id);
        check_written(other, json, id);
        cr_expect_eq(environments(schema), environments(other), "%s", id);
        aicp_policy_schema_free(other);
        case_free(json);
    }
    aicp_policy_schema_free(schema);
    case_free(text);
    return paired;
}

Test(policy_corpus, schemas_are_read_in_both_syntaxes_and_written_alike) {
    char folder[64];
    char extras[64];
    snprintf(folder, sizeof folder, "%s", case_unpack("corpus-share.tar.gz"));
    snprintf(extras, sizeof extras, "%s", case_unpack("corpus-share-extras.tar.gz"));
    char path[128];
    snprintf(path, sizeof path, "%s/corpus-tests", folder);
    DIR *dir = opendir(path);
    cr_assert(dir);
    size_t schemas = 0;
    size_t pairs = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char *end = strstr(entry->d_name, ".cedarschema");
        if (end) {
            *end = '\0';
            schemas++;
            pairs += run_schema(folder, entry->d_name, extras);
        }
    }
    closedir(dir);
    case_remove(folder);
    case_remove(extras);
    cr_expect_eq(schemas, 2041);
    cr_expect_eq(pairs, 2026);
}
