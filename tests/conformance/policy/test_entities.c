/* Entities by a schema, against the reference: our edge cases with what is written again, the named
 * cases, and the verdict on every entity and request of the corpus. */
#include "conformance/policy/cases.h"

#include "lib/base/strbuf.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static aicp_policy_schema *parse_schema(aicpi_slice text) {
    aicp_policy_schema *schema = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_schema_parse(text.data, text.len, NULL, &schema, &err);
    cr_assert_eq(status, AICP_OK, "%u:%u: %s", err.line, err.column, err.message);
    return schema;
}

/* NULL when the entities are refused; then `err` says why. */
static aicp_policy_entities *
parse_entities(aicpi_slice text, const aicp_policy_schema *schema, aicp_error *err) {
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    aicp_policy_entities *entities = NULL;
    options.schema = schema;
    aicp_status status = aicp_policy_entities_parse(text.data, text.len, &options, &entities, err);
    cr_assert_eq(status == AICP_OK, entities != NULL);
    return entities;
}

/* ---- edge cases ---- */

typedef struct golden {
    aicpi_slice text;
    aicpi_slice schema; /* without data: none */
    aicpi_slice json;   /* of got.json; without data: the reference cannot write it */
    bool error;
} golden;

static void read_golden(aicpi_json *json, golden *g) {
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "text")) {
            aicpi_json_string(json, &g->text);
        } else if (aicpi_slice_is(key, "schema")) {
            aicpi_json_string(json, &g->schema);
        } else if (aicpi_slice_is(key, "got")) {
            read_golden(json, g);
        } else if (aicpi_slice_is(key, "json")) {
            aicpi_json_span(json, &g->json);
        } else {
            g->error |= aicpi_slice_is(key, "error");
            aicpi_json_skip(json);
        }
    }
}

/* Whether each line of `part` is one of `whole`. */
static bool has_lines(aicpi_slice whole, aicpi_slice part) {
    bool all = true;
    for (aicpi_slice line; all && case_next_line(&part, &line);) {
        aicpi_slice rest = whole;
        line.len -= line.len > 0 && line.data[line.len - 1] == ',';
        all = false;
        for (aicpi_slice other; !all && case_next_line(&rest, &other);) {
            other.len -= other.len > 0 && other.data[other.len - 1] == ',';
            all = aicpi_slice_eq(line, other);
        }
    }
    return all;
}

/* Whether a written store (an entity a line) is the JSON array: the order of entities, members and
 * elements is free, the texts of extension values are not. */
static bool same_entities(aicpi_slice written, aicpi_slice array) {
    aicp_error err = {0};
    aicp_buf out = AICP_BUF_INIT;
    aicp_policy_entities *expected = parse_entities(array, NULL, &err);
    cr_assert(expected, "%s", err.message);
    cr_assert_eq(aicp_policy_entities_write(expected, &out, NULL), AICP_OK);
    aicpi_slice again = aicpi_slice_of(out.data, out.len);
    bool same = has_lines(written, again) && has_lines(again, written);
    aicp_buf_free(&out);
    aicp_policy_entities_free(expected);
    return same;
}

static void check_golden(aicpi_slice line) {
    golden g = {0};
    aicpi_arena arena;
    aicpi_json json;
    aicp_error err = {0};
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_json_init(&json, &arena, line.data, line.len, 0);
    read_golden(&json, &g);
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s", err.message);
    aicp_policy_schema *schema = g.schema.data ? parse_schema(g.schema) : NULL;
    aicp_policy_entities *entities = parse_entities(g.text, schema, &err);
    aicp_policy_schema_free(schema); /* the store needs it no more */
    cr_expect_eq(entities == NULL, g.error, "%.*s: %s", (int)line.len, line.data, err.message);
    if (entities) {
        aicp_buf out = AICP_BUF_INIT;
        aicp_status status = aicp_policy_entities_write(entities, &out, &err);
        cr_expect_eq(status == AICP_OK, g.json.data != NULL, "%.*s", (int)line.len, line.data);
        cr_expect(
            status != AICP_OK || same_entities(aicpi_slice_of(out.data, out.len), g.json),
            "%.*s gives %s",
            (int)line.len,
            line.data,
            out.data);
        aicp_buf_free(&out);
    } else {
        cr_expect_gt(err.line, 0u);
        cr_expect_gt(strlen(err.message), 10u);
    }
    aicp_policy_entities_free(entities);
    aicpi_arena_deinit(&arena);
}

Test(policy_entities, edge_cases_are_read_and_written_as_in_the_reference) {
    aicpi_slice file = case_file(AICP_TEST_DATA "/policy/golden", "entities.jsonl");
    aicpi_slice rest = file;
    size_t count = 0;
    for (aicpi_slice line; case_next_line(&rest, &line); count++) {
        check_golden(line);
    }
    cr_expect_eq(count, 72);
    case_free(file);
}

/* ---- verdicts on single entities and requests ---- */

/* One case of the archives, and what is counted over them. */
typedef struct verdicts {
    const char *cases;        /* folder of cases */
    const char *expectations; /* of what is expected of them */
    const char *schema;       /* of the case at hand, when the file names none */
    aicpi_arena arena;
    size_t stores;
    size_t entities;
    size_t refused_entities;
    size_t requests;
    size_t refused_requests;
} verdicts;

/* What an expectation says about one thing. */
static bool read_refused(aicpi_json *json) {
    bool refused = false;
    bool flag = false;
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "success") || aicpi_slice_is(key, "strict")) {
            refused |= aicpi_json_bool(json, &flag) && !flag;
        } else {
            refused |= aicpi_slice_is(key, "errors");
            aicpi_json_skip(json);
        }
    }
    return refused;
}

/* Finds "Type::id" among the expectations (an object); false: not there. */
static bool find_expected(aicpi_slice expected, aicpi_slice name, bool *refused) {
    aicpi_arena arena;
    aicpi_json json;
    bool found = false;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_json_init(&json, &arena, expected.data, expected.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        bool this = aicpi_slice_eq(key, name);
        bool no = read_refused(&json);
        *refused = this ? no : *refused;
        found |= this;
    }
    aicpi_arena_deinit(&arena);
    return found;
}

/* The name "Type::id" of an entity in JSON, or empty. */
static void entity_name(aicpi_json *json, aicpi_strbuf *out) {
    aicpi_slice type = {0};
    aicpi_slice id = {0};
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "uid") || aicpi_slice_is(key, "__entity")) {
            entity_name(json, out);
        } else if (aicpi_slice_is(key, "type") && aicpi_json_peek(json) == AICPI_JSON_STRING) {
            aicpi_json_string(json, &type);
        } else if (aicpi_slice_is(key, "id") && aicpi_json_peek(json) == AICPI_JSON_STRING) {
            aicpi_json_string(json, &id);
        } else {
            aicpi_json_skip(json);
        }
    }
    if (type.data && id.data) {
        aicpi_strbuf_clear(out);
        aicpi_strbuf_append(out, type.data, type.len);
        aicpi_strbuf_puts(out, "::");
        aicpi_strbuf_append(out, id.data, id.len);
    }
}

/* Reads each entity of a store alone. */
static void check_entities(
    verdicts *v,
    const char *name,
    aicpi_slice store,
    const aicp_policy_schema *schema,
    aicpi_slice expected) {
    aicpi_json json;
    aicpi_strbuf text;
    aicpi_json_init(&json, &v->arena, store.data, store.len, 0);
    if (aicpi_json_peek(&json) != AICPI_JSON_ARRAY) {
        return; /* a case of malformed JSON */
    }
    aicpi_strbuf_init(&text, NULL, AICPI_STRBUF_MAX);
    aicpi_json_array(&json);
    for (aicpi_slice one; aicpi_json_element(&json) && aicpi_json_span(&json, &one);) {
        aicpi_json inner;
        aicp_error err = {0};
        bool refused = false;
        aicpi_json_init(&inner, &v->arena, one.data, one.len, 0);
        aicpi_strbuf_clear(&text);
        entity_name(&inner, &text);
        cr_assert(
            find_expected(expected, aicpi_slice_of(text.data, text.len), &refused),
            "%s: nothing is said about %s",
            name,
            text.data);
        aicpi_strbuf_clear(&text);
        aicpi_strbuf_printf(&text, "[%.*s]", (int)one.len, one.data);
        aicp_policy_entities *entities =
            parse_entities(aicpi_slice_of(text.data, text.len), schema, &err);
        cr_expect_eq(entities == NULL, refused, "%s: %s: %s", name, text.data, err.message);
        aicp_policy_entities_free(entities);
        v->entities++;
        v->refused_entities += refused;
    }
    aicpi_strbuf_deinit(&text);
}

/* Whether a request, a case's JSON, is refused by the schema. */
static bool request_refused(
    verdicts *v, aicpi_slice text, aicp_policy_request *request, aicpi_slice *description) {
    aicpi_json json;
    aicp_status status = AICP_OK;
    aicpi_slice context = {0};
    aicpi_json_init(&json, &v->arena, text.data, text.len, 0);
    aicp_policy_request_reset(request);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "principal")) {
            status = case_read_uid(&json, request, CASE_PRINCIPAL);
        } else if (aicpi_slice_is(key, "action")) {
            status = case_read_uid(&json, request, CASE_ACTION);
        } else if (aicpi_slice_is(key, "resource")) {
            status = case_read_uid(&json, request, CASE_RESOURCE);
        } else if (aicpi_slice_is(key, "context")) {
            aicpi_json_span(&json, &context);
        } else if (aicpi_slice_is(key, "description")) {
            aicpi_json_string(&json, description);
        } else {
            aicpi_json_skip(&json);
        }
        cr_assert_eq(status, AICP_OK);
    }
    if (context.data) {
        status = aicp_policy_request_set_context_json(request, context.data, context.len, NULL);
    }
    return status != AICP_OK || aicp_policy_request_check(request, NULL) != AICP_OK;
}

/* The requests of a case, and in the same order what is expected of them. */
static void check_requests(
    verdicts *v,
    const char *name,
    aicpi_slice requests,
    aicp_policy_schema *schema,
    aicpi_slice expected) {
    aicpi_json given;
    aicpi_json wanted;
    aicp_policy_request *request = NULL;
    cr_assert_eq(aicp_policy_request_new(NULL, &request, NULL), AICP_OK);
    aicp_policy_request_set_schema(request, schema);
    aicpi_json_init(&given, &v->arena, requests.data, requests.len, 0);
    aicpi_json_init(&wanted, &v->arena, expected.data, expected.len, 0);
    aicpi_json_array(&given);
    aicpi_json_array(&wanted);
    while (aicpi_json_element(&wanted)) {
        aicpi_slice text;
        aicpi_slice description = {0};
        bool refused = read_refused(&wanted);
        cr_assert(aicpi_json_element(&given) && aicpi_json_span(&given, &text), "%s", name);
        cr_expect_eq(
            request_refused(v, text, request, &description),
            refused,
            "%s: %.*s",
            name,
            (int)description.len,
            description.data);
        v->requests++;
        v->refused_requests += refused;
    }
    aicp_policy_request_free(request);
}

/* Finds a member of an object, by a path of keys that ends with NULL; without data: not there. */
static aicpi_slice member_of(verdicts *v, aicpi_slice text, const char *const *path) {
    aicpi_slice found = {0};
    aicpi_json json;
    aicpi_json_init(&json, &v->arena, text.data, text.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        aicpi_slice value;
        aicpi_json_span(&json, &value);
        found = aicpi_slice_is(key, path[0]) ? value : found;
    }
    return found.data && path[1] ? member_of(v, found, path + 1) : found;
}

#define MEMBER(v, text, ...) member_of((v), (text), (const char *const[]){__VA_ARGS__, NULL})

static aicpi_slice
open_file(const char *folder, const char *name, size_t len, const char *extension) {
    char file[512];
    snprintf(file, sizeof file, "%.*s%s", (int)len, name, extension);
    return case_file(folder, file);
}

/* A file of expectations, whose name ends with `tail`. */
static void check_file(verdicts *v, const char *name, const char *tail) {
    size_t len = strlen(name) - strlen(tail);
    aicpi_arena_reset(&v->arena);
    aicpi_slice expected = open_file(v->expectations, name, len, tail);
    aicpi_slice text = open_file(v->cases, name, len, ".json");
    aicpi_slice store = open_file(v->cases, name, len, ".entities.json");
    aicpi_slice path = MEMBER(v, text, "schema"); /* quoted; its folder is another one */
    cr_assert(path.data, "%s", name);
    const char *file = memrchr(path.data, '/', path.len);
    file = file ? file + 1 : path.data + 1;
    aicpi_slice declared = open_file(v->cases, file, (size_t)(path.data + path.len - 1 - file), "");
    aicp_policy_schema *schema = parse_schema(declared);
    aicpi_slice all = MEMBER(v, expected, "allEntities", "success");
    if (all.data) {
        aicp_error err = {0};
        aicp_policy_entities *entities = parse_entities(store, schema, &err);
        cr_expect_eq(entities != NULL, aicpi_slice_is(all, "true"), "%s: %s", name, err.message);
        aicp_policy_entities_free(entities);
        v->stores++;
        check_entities(v, name, store, schema, MEMBER(v, expected, "perEntity"));
    } else {
        check_entities(
            v, name, store, schema, MEMBER(v, expected, "entityValidation", "perEntity"));
        check_requests(
            v, name, MEMBER(v, text, "requests"), schema, MEMBER(v, expected, "requestValidation"));
    }
    aicp_policy_schema_free(schema);
    case_free(declared);
    case_free(store);
    case_free(text);
    case_free(expected);
}

static verdicts
check_folder(const char *cases, const char *expectations, const char *tail, size_t expected) {
    verdicts v = {.cases = cases, .expectations = expectations};
    size_t count = 0;
    DIR *dir = opendir(expectations);
    cr_assert(dir, "cannot open %s", expectations);
    aicpi_arena_init(&v.arena, NULL, 0, 0);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t len = strlen(entry->d_name);
        if (len > strlen(tail) && strcmp(entry->d_name + len - strlen(tail), tail) == 0) {
            check_file(&v, entry->d_name, tail);
            count++;
        }
    }
    closedir(dir);
    aicpi_arena_deinit(&v.arena);
    cr_expect_eq(count, expected);
    return v;
}

Test(policy_entities, named_cases_are_read_by_their_schema_as_in_the_reference) {
    char folder[128];
    const char *root = case_unpack("validator-cases.tar.gz");
    snprintf(folder, sizeof folder, "%s/entity-cases", root);
    verdicts v = check_folder(folder, folder, ".parsing.json", 22);
    cr_expect_eq(v.stores, 22);
    cr_expect_eq(v.entities, 35);
    cr_expect_gt(v.refused_entities, 10);
    snprintf(folder, sizeof folder, "%s/validator-cases", root);
    v = check_folder(folder, folder, ".validation.json", 110);
    cr_expect_eq(v.entities, 53);
    cr_expect_eq(v.refused_entities, 23);
    cr_expect_eq(v.requests, 19);
    cr_expect_eq(v.refused_requests, 11);
    case_remove(root);
}

Test(policy_entities, every_entity_and_request_of_the_corpus_conforms_to_its_schema) {
    char cases[192];
    char root[64];
    char expectations[192];
    snprintf(root, sizeof root, "%s", case_unpack("corpus-share.tar.gz"));
    snprintf(cases, sizeof cases, "%s/corpus-tests", root);
    const char *extras = case_unpack("corpus-share-extras.tar.gz");
    snprintf(expectations, sizeof expectations, "%s/validation", extras);
    verdicts v = check_folder(cases, expectations, ".validation.json", 2026);
    printf("corpus: %zu entities, %zu requests by their schema\n", v.entities, v.requests);
    cr_expect_eq(v.requests, 16208);
    cr_expect_gt(v.entities, 10000);
    case_remove(extras);
    case_remove(root);
}
