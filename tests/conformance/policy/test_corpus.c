/* Authorization of the public test corpus: decision, reasons and errors of every request, with
 * entities and contexts read by the schema of the case, and requests checked against it. */
#include "conformance/policy/cases.h"
#include "conformance/policy/partial.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

typedef struct totals {
    size_t cases;
    size_t requests;
    size_t wrong;
} totals;

typedef struct fixture {
    const char *root; /* of the paths in the cases */
    aicpi_arena arena;
    aicp_policy_schema *schema;
    aicp_policy_set *set;
    aicp_policy_entities *entities;
    aicp_policy_request *request;
    aicp_policy_response *response;
    int32_t form; /* AICP_POLICY_FORMAT_…: the policies pass through it first */
} fixture;

/* Reads a request and checks it, unless it says that it must not be checked. */
static void read_request(fixture *f, aicpi_json *json, case_answer *answer, const char *name) {
    *answer = (case_answer){0};
    aicp_policy_request_reset(f->request);
    aicp_status status = AICP_OK;
    aicp_error err;
    aicpi_slice context = {0};
    bool check = true;
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (case_answer_member(json, key, answer)) {
            continue;
        }
        if (aicpi_slice_is(key, "principal")) {
            status = case_read_uid(json, f->request, CASE_PRINCIPAL);
        } else if (aicpi_slice_is(key, "action")) {
            status = case_read_uid(json, f->request, CASE_ACTION);
        } else if (aicpi_slice_is(key, "resource")) {
            status = case_read_uid(json, f->request, CASE_RESOURCE);
        } else if (aicpi_slice_is(key, "context")) {
            aicpi_json_span(json, &context);
        } else if (aicpi_slice_is(key, "validateRequest")) {
            aicpi_json_bool(json, &check);
        } else {
            aicpi_json_skip(json);
        }
        cr_assert_eq(status, AICP_OK);
    }
    cr_assert(aicpi_json_ok(json) && context.data, "%s: cannot read the request", name);
    status = aicp_policy_request_set_context_json(f->request, context.data, context.len, &err);
    cr_assert_eq(status, AICP_OK, "%s: %s", name, err.message);
    status = check ? aicp_policy_request_check(f->request, &err) : AICP_OK;
    cr_assert_eq(status, AICP_OK, "%s: %s", name, err.message);
}

static void run_requests(fixture *f, aicpi_json *json, const char *name, totals *t) {
    aicpi_json_array(json);
    while (aicpi_json_element(json)) {
        case_answer answer;
        aicp_error err;
        read_request(f, json, &answer, name);
        aicp_status status =
            aicp_policy_authorize(f->set, f->entities, f->request, 0, f->response, &err);
        cr_assert_eq(status, AICP_OK, "%s: %s", name, err.message);
        t->requests++;
        bool fine = case_answer_matches(f->response, &answer);
        t->wrong += !fine;
        cr_expect(fine, "%s: other answer than expected", name);
        int32_t decision = aicp_policy_response_decision(f->response);
        status = aicp_policy_authorize(
            f->set, f->entities, f->request, AICP_POLICY_NO_INDEX, f->response, &err);
        cr_assert_eq(status, AICP_OK);
        cr_expect(
            case_answer_matches(f->response, &answer), "%s: other answer without index", name);
        status = aicp_policy_authorize(
            f->set, f->entities, f->request, AICP_POLICY_DECISION_ONLY, f->response, &err);
        cr_assert_eq(status, AICP_OK);
        cr_expect_eq(
            aicp_policy_response_decision(f->response),
            decision,
            "%s: the quick decision differs",
            name);
        partial_expect(f->set, f->entities, f->request, name, NULL);
    }
}

static aicpi_slice open_file(const fixture *f, aicpi_slice path) {
    char file[512];
    snprintf(file, sizeof file, "%.*s", (int)path.len, path.data);
    return case_file(f->root, file);
}

static void load_schema(fixture *f, aicpi_slice path, const char *name) {
    aicp_error err;
    aicpi_slice text = open_file(f, path);
    aicp_status status = aicp_policy_schema_parse(text.data, text.len, NULL, &f->schema, &err);
    cr_assert_eq(status, AICP_OK, "%s: %u:%u: %s", name, err.line, err.column, err.message);
    aicp_policy_request_set_schema(f->request, f->schema);
    case_free(text);
}

static void load_policies(fixture *f, aicpi_slice path, const char *name) {
    aicp_error err;
    aicpi_slice text = open_file(f, path);
    aicp_status status = aicp_policy_set_parse(text.data, text.len, NULL, &f->set, &err);
    cr_assert_eq(status, AICP_OK, "%s: %u:%u: %s", name, err.line, err.column, err.message);
    if (f->form) {
        case_reread(&f->set, f->form, 0);
    }
    case_free(text);
}

static void load_entities(fixture *f, aicpi_slice path, const char *name) {
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    aicp_error err;
    aicpi_slice text = open_file(f, path);
    options.schema = f->schema;
    aicp_status status =
        aicp_policy_entities_parse(text.data, text.len, &options, &f->entities, &err);
    cr_assert_eq(status, AICP_OK, "%s: %u:%u: %s", name, err.line, err.column, err.message);
    case_free(text);
}

/* What a case needs; views of its text. */
typedef struct parts {
    aicpi_slice policies;
    aicpi_slice schema;
    aicpi_slice entities;
    aicpi_slice requests;
} parts;

static parts read_parts(fixture *f, aicpi_slice text, const char *name) {
    parts p = {0};
    aicpi_json json;
    aicp_error err;
    aicpi_json_init(&json, &f->arena, text.data, text.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "policies")) {
            aicpi_json_string(&json, &p.policies);
        } else if (aicpi_slice_is(key, "schema")) {
            aicpi_json_string(&json, &p.schema);
        } else if (aicpi_slice_is(key, "entities")) {
            aicpi_json_string(&json, &p.entities);
        } else if (aicpi_slice_is(key, "requests")) {
            aicpi_json_span(&json, &p.requests);
        } else {
            aicpi_json_skip(&json);
        }
    }
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s: %s", name, err.message);
    return p;
}

static void run_case(fixture *f, const char *folder, const char *name, totals *t) {
    aicpi_json json;
    aicpi_arena_reset(&f->arena);
    aicpi_slice text = case_file(folder, name);
    parts p = read_parts(f, text, name);
    load_schema(f, p.schema, name);
    load_policies(f, p.policies, name);
    load_entities(f, p.entities, name);
    aicpi_json_init(&json, &f->arena, p.requests.data, p.requests.len, 0);
    run_requests(f, &json, name, t);
    cr_assert(aicpi_json_ok(&json));
    aicp_policy_set_free(f->set);
    aicp_policy_entities_free(f->entities);
    aicp_policy_schema_free(f->schema);
    case_free(text);
    t->cases++;
}

static bool is_case(const char *name) {
    size_t len = strlen(name);
    return len > 5 && strcmp(name + len - 5, ".json") == 0 && !strstr(name, ".entities.json");
}

static void run_folder(fixture *f, const char *folder, totals *t) {
    DIR *dir = opendir(folder);
    cr_assert(dir, "cannot open %s", folder);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (is_case(entry->d_name)) {
            run_case(f, folder, entry->d_name, t);
        }
    }
    closedir(dir);
}

static fixture open_fixture(const char *archive) {
    fixture f = {.root = case_unpack(archive)};
    aicpi_arena_init(&f.arena, NULL, 0, 0);
    cr_assert_eq(aicp_policy_request_new(NULL, &f.request, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &f.response, NULL), AICP_OK);
    return f;
}

static void close_fixture(fixture *f) {
    aicpi_arena_deinit(&f->arena);
    aicp_policy_request_free(f->request);
    aicp_policy_response_free(f->response);
    case_remove(f->root);
}

Test(policy_corpus, every_generated_case_has_the_expected_answers) {
    totals t = {0};
    fixture f = open_fixture("corpus-share.tar.gz");
    char folder[128];
    snprintf(folder, sizeof folder, "%s/corpus-tests", f.root);
    run_folder(&f, folder, &t);
    printf("corpus: %zu cases, %zu requests, %zu wrong\n", t.cases, t.requests, t.wrong);
    cr_expect_eq(t.cases, 2041);
    cr_expect_eq(t.requests, 16328);
    close_fixture(&f);
}

static void run_through(int32_t form) {
    totals t = {0};
    fixture f = open_fixture("corpus-share.tar.gz");
    char folder[128];
    f.form = form;
    snprintf(folder, sizeof folder, "%s/corpus-tests", f.root);
    run_folder(&f, folder, &t);
    cr_expect_eq(t.requests, 16328);
    cr_expect_eq(t.wrong, 0);
    close_fixture(&f);
}

Test(policy_corpus, policies_written_as_json_and_read_again_answer_the_same) {
    run_through(AICP_POLICY_FORMAT_JSON);
}

Test(policy_corpus, policies_written_as_text_and_read_again_answer_the_same) {
    run_through(AICP_POLICY_FORMAT_CEDAR);
}

Test(policy_corpus, every_hand_written_case_has_the_expected_answers) {
    static const char *const folders[] = {"decimal", "example_use_cases", "ip", "multi"};
    totals t = {0};
    fixture f = open_fixture("handwritten.tar.gz");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "%s/tests/%s", f.root, folders[i]);
        run_folder(&f, folder, &t);
    }
    printf("hand-written: %zu cases, %zu requests, %zu wrong\n", t.cases, t.requests, t.wrong);
    cr_expect_eq(t.cases, 22);
    close_fixture(&f);
}
