/* Edge cases of the language, each with the answer of the reference implementation: expressions,
 * policies and entities. The store and the request for expressions are described in
 * tests/data/policy/PROVENANCE.md. */
#include "conformance/policy/cases.h"
#include "conformance/policy/partial.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char store_json[] =
    "[{\"uid\":{\"type\":\"User\",\"id\":\"alice\"},\"parents\":[{\"type\":\"Group\",\"id\":\"g1\"}"
    "],"
    "\"attrs\":{\"age\":30,\"name\":\"Alice\",\"mgr\":{\"__entity\":{\"type\":\"User\",\"id\":"
    "\"bob\"}},"
    "\"addr\":{\"city\":\"Oslo\",\"geo\":{\"lat\":1}},\"if\":true,\"a b\":1},"
    "\"tags\":{\"team\":\"red\",\"lvl\":\"3\"}},"
    "{\"uid\":{\"type\":\"User\",\"id\":\"bob\"},\"attrs\":{},\"parents\":[]},"
    "{\"uid\":{\"type\":\"Group\",\"id\":\"g1\"},\"attrs\":{},"
    "\"parents\":[{\"type\":\"Group\",\"id\":\"g0\"}]},"
    "{\"uid\":{\"type\":\"Group\",\"id\":\"g0\"},\"attrs\":{},\"parents\":[]},"
    "{\"uid\":{\"type\":\"Doc\",\"id\":\"d1\"},\"parents\":[{\"type\":\"Folder\",\"id\":\"f\"}],"
    "\"attrs\":{\"owner\":{\"__entity\":{\"type\":\"User\",\"id\":\"alice\"}},"
    "\"ip\":{\"__extn\":{\"fn\":\"ip\",\"arg\":\"10.0.0.1\"}}}}]";

static const char context_json[] =
    "{\"n\":1,\"s\":\"x\",\"max\":9223372036854775807,\"min\":-9223372036854775808,"
    "\"set\":[1,2,3],\"rec\":{\"a\":{\"b\":{\"c\":5}}},\"t\":true}";

/* One line of a golden file; views of the arena or the file. */
typedef struct golden {
    aicpi_slice text;
    aicpi_slice value; /* of got.value */
    aicpi_slice error; /* of got.error */
    bool parse_error;
    bool has_schema;
    size_t policies;
    size_t templates;
} golden;

static void read_count(aicpi_json *json, size_t *out) {
    int64_t n = 0;
    aicpi_json_int64(json, &n);
    *out = (size_t)n;
}

static void read_got(aicpi_json *json, golden *g) {
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "value")) {
            aicpi_json_string(json, &g->value);
        } else if (aicpi_slice_is(key, "error")) {
            aicpi_json_string(json, &g->error);
        } else if (aicpi_slice_is(key, "parse_error")) {
            aicpi_json_bool(json, &g->parse_error);
        } else if (aicpi_slice_is(key, "policies")) {
            read_count(json, &g->policies);
        } else if (aicpi_slice_is(key, "templates")) {
            read_count(json, &g->templates);
        } else {
            aicpi_json_skip(json);
        }
    }
}

static golden read_golden(aicpi_arena *arena, aicpi_slice line) {
    golden g = {0};
    aicpi_json json;
    aicp_error err;
    aicpi_arena_reset(arena);
    aicpi_json_init(&json, arena, line.data, line.len, CASE_JSON_DEPTH);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "text")) {
            aicpi_json_string(&json, &g.text);
        } else if (aicpi_slice_is(key, "got")) {
            read_got(&json, &g);
        } else {
            g.has_schema |= aicpi_slice_is(key, "schema");
            aicpi_json_skip(&json);
        }
    }
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s", err.message);
    return g;
}

typedef struct fixture {
    aicpi_arena arena;
    aicpi_slice file;
    aicpi_slice rest;
    aicp_policy_entities *entities;
    aicp_policy_request *request;
    aicp_policy_response *response;
} fixture;

static fixture open_fixture(const char *name) {
    fixture f = {.file = case_file(AICP_TEST_DATA "/policy/golden", name)};
    aicp_error err;
    f.rest = f.file;
    aicpi_arena_init(&f.arena, NULL, 0, 0);
    cr_assert_eq(
        aicp_policy_entities_parse(store_json, strlen(store_json), NULL, &f.entities, &err),
        AICP_OK,
        "%s",
        err.message);
    cr_assert_eq(aicp_policy_request_new(NULL, &f.request, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &f.response, NULL), AICP_OK);
    aicp_policy_request *r = f.request;
    cr_assert_eq(aicp_policy_request_set_principal(r, "User", 4, "alice", 5, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_set_action(r, "Action", 6, "view", 4, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_set_resource(r, "Doc", 3, "d1", 2, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_request_set_context_json(r, context_json, strlen(context_json), NULL), AICP_OK);
    return f;
}

static void close_fixture(fixture *f) {
    aicp_policy_entities_free(f->entities);
    aicp_policy_request_free(f->request);
    aicp_policy_response_free(f->response);
    aicpi_arena_deinit(&f->arena);
    case_free(f->file);
}

/* Parses `permit (principal, action, resource) when { <before>text<after> };`. */
static aicp_status parse_condition(
    const char *before,
    aicpi_slice text,
    const char *after,
    aicpi_slice more,
    aicp_policy_set **set) {
    char *policy = NULL;
    int len = asprintf(
        &policy,
        "permit (principal, action, resource) when { %s%.*s\n%s%.*s\n%s };",
        before,
        (int)text.len,
        text.data,
        after,
        (int)more.len,
        more.data,
        *after ? ")" : "");
    cr_assert_gt(len, 0);
    aicp_status status = aicp_policy_set_parse(policy, (size_t)len, NULL, set, NULL);
    free(policy);
    return status;
}

static const aicpi_slice nothing = {"", 0};

/* The expression gives `value`: compared by the language's own `==`. */
static void check_value(fixture *f, const golden *g) {
    aicp_policy_set *set = NULL;
    int n = (int)g->text.len;
    cr_assert_eq(
        parse_condition("(", g->text, ") == (", g->value, &set),
        AICP_OK,
        "does not parse: %.*s",
        n,
        g->text.data);
    cr_assert_eq(
        aicp_policy_authorize(set, f->entities, f->request, 0, f->response, NULL), AICP_OK);
    const char *message = aicp_policy_response_error_message(f->response, 0);
    cr_expect_eq(
        aicp_policy_response_decision(f->response),
        AICP_POLICY_ALLOW,
        "%.*s is not %.*s: %s",
        n,
        g->text.data,
        (int)g->value.len,
        g->value.data,
        message ? message : "it has another value");
    partial_expect(set, f->entities, f->request, g->text.data, NULL);
    aicp_policy_set_free(set);
}

static void check_error(fixture *f, const golden *g) {
    aicp_policy_set *set = NULL;
    int n = (int)g->text.len;
    cr_assert_eq(
        parse_condition("(", g->text, ") == (", aicpi_slice_cstr("1"), &set),
        AICP_OK,
        "does not parse: %.*s",
        n,
        g->text.data);
    cr_assert_eq(
        aicp_policy_authorize(set, f->entities, f->request, 0, f->response, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_response_error_count(f->response), 1, "no error: %.*s", n, g->text.data);
    const char *kind = aicp_policy_error_name(aicp_policy_response_error_kind(f->response, 0));
    cr_expect(
        aicpi_slice_is(g->error, kind),
        "%.*s gives %s, not %.*s",
        n,
        g->text.data,
        kind,
        (int)g->error.len,
        g->error.data);
    partial_expect(set, f->entities, f->request, g->text.data, NULL);
    aicp_policy_set_free(set);
}

Test(policy_golden, expressions_have_the_reference_values_and_errors) {
    fixture f = open_fixture("expr.jsonl");
    size_t count = 0;
    for (aicpi_slice line; case_next_line(&f.rest, &line); count++) {
        golden g = read_golden(&f.arena, line);
        aicp_policy_set *set = NULL;
        aicp_status status = parse_condition("", g.text, "", nothing, &set);
        aicp_policy_set_free(set);
        /* A slot cannot stand in a policy's condition; the reference met it in a bare expression.
         */
        bool refused = g.parse_error || aicpi_slice_is(g.error, "UnlinkedSlot");
        cr_expect_eq(
            status != AICP_OK,
            refused,
            "%s: %.*s",
            refused ? "parses" : "does not parse",
            (int)g.text.len,
            g.text.data);
        if (refused || status != AICP_OK) {
            continue;
        }
        if (g.error.len > 0) {
            check_error(&f, &g);
        } else {
            check_value(&f, &g);
        }
    }
    cr_expect_eq(count, 326);
    close_fixture(&f);
}

Test(policy_golden, policies_parse_as_in_the_reference) {
    fixture f = open_fixture("policy.jsonl");
    size_t count = 0;
    for (aicpi_slice line; case_next_line(&f.rest, &line); count++) {
        golden g = read_golden(&f.arena, line);
        aicp_policy_set *set = NULL;
        aicp_error err = {0};
        aicp_status status = aicp_policy_set_parse(g.text.data, g.text.len, NULL, &set, &err);
        cr_expect_eq(
            status != AICP_OK,
            g.parse_error,
            "%.*s: %s",
            (int)g.text.len,
            g.text.data,
            err.message);
        if (status == AICP_OK && !g.parse_error) {
            cr_expect_eq(aicp_policy_set_count(set), g.policies);
            cr_expect_eq(aicp_policy_set_template_count(set), g.templates);
        } else {
            cr_expect_gt(err.line, 0u);
            cr_expect_gt(strlen(err.message), 10u);
        }
        aicp_policy_set_free(set);
    }
    cr_expect_eq(count, 57);
    close_fixture(&f);
}
