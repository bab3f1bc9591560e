/* Authorization of the public test corpus: decision, reasons and errors of every request. The
 * generated cases write entities and extension values in full (`__entity`, `__extn`), so that their
 * schemas change nothing in how entities and contexts are read. */
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
    aicp_policy_set *set;
    aicp_policy_entities *entities;
    aicp_policy_request *request;
    aicp_policy_response *response;
    int32_t form; /* AICP_POLICY_FORMAT_…: the policies pass through it first */
} fixture;

static bool read_request(fixture *f, aicpi_json *json, case_answer *answer) {
    *answer = (case_answer){0};
    aicp_policy_request_reset(f->request);
    aicp_status status = AICP_OK;
    aicp_error err;
    if (!aicpi_json_object(json)) {
        return false;
    }
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
            aicpi_slice raw;
            if (aicpi_json_span(json, &raw)) {
                status = aicp_policy_request_set_context_json(f->request, raw.data, raw.len, &err);
            }
        } else {
            aicpi_json_skip(json);
        }
        cr_assert_eq(status, AICP_OK);
    }
    return aicpi_json_ok(json);
}

static void run_requests(fixture *f, aicpi_json *json, const char *name, totals *t) {
    aicpi_json_array(json);
    while (aicpi_json_element(json)) {
        case_answer answer;
        aicp_error err;
        cr_assert(read_request(f, json, &answer), "%s: cannot read the request", name);
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

static void load_policies(fixture *f, aicpi_slice path, const char *name) {
    char file[512];
    aicp_error err;
    snprintf(file, sizeof file, "%.*s", (int)path.len, path.data);
    aicpi_slice text = case_file(f->root, file);
    aicp_status status = aicp_policy_set_parse(text.data, text.len, NULL, &f->set, &err);
    cr_assert_eq(status, AICP_OK, "%s: %u:%u: %s", name, err.line, err.column, err.message);
    if (f->form) {
        case_reread(&f->set, f->form, 0);
    }
    case_free(text);
}

static void load_entities(fixture *f, aicpi_slice path, const char *name) {
    char file[512];
    aicp_error err;
    snprintf(file, sizeof file, "%.*s", (int)path.len, path.data);
    aicpi_slice text = case_file(f->root, file);
    aicp_status status = aicp_policy_entities_parse(text.data, text.len, NULL, &f->entities, &err);
    cr_assert_eq(status, AICP_OK, "%s: %u:%u: %s", name, err.line, err.column, err.message);
    case_free(text);
}

/* Runs one case file. The requests come after the paths of what they need. */
static void run_case(fixture *f, const char *folder, const char *name, totals *t) {
    aicpi_slice text = case_file(folder, name);
    aicpi_json json;
    aicp_error err;
    aicpi_arena_reset(&f->arena);
    aicpi_json_init(&json, &f->arena, text.data, text.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        aicpi_slice path;
        if (aicpi_slice_is(key, "policies") && aicpi_json_string(&json, &path)) {
            load_policies(f, path, name);
        } else if (aicpi_slice_is(key, "entities") && aicpi_json_string(&json, &path)) {
            load_entities(f, path, name);
        } else if (aicpi_slice_is(key, "requests")) {
            cr_assert(f->set && f->entities, "%s: requests before policies", name);
            run_requests(f, &json, name, t);
        } else {
            aicpi_json_skip(&json);
        }
    }
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s: %s", name, err.message);
    aicp_policy_set_free(f->set);
    aicp_policy_entities_free(f->entities);
    f->set = NULL;
    f->entities = NULL;
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

/* ---- hand-written cases ---- */

/* Whether a value holds an object that means something else with a schema than without:
 * {"type","id"}, {"fn","arg"} or {"fn","args"} outside an escape. Reads the value. */
static bool has_short_form(aicpi_json *json, uint32_t depth) {
    bool found = false;
    cr_assert_lt(depth, AICPI_JSON_DEPTH);
    switch (aicpi_json_peek(json)) {
    case AICPI_JSON_ARRAY:
        aicpi_json_array(json);
        while (aicpi_json_element(json)) {
            found |= has_short_form(json, depth + 1);
        }
        return found;
    case AICPI_JSON_OBJECT: {
        size_t keys = 0;
        size_t telling = 0;
        aicpi_json_object(json);
        for (aicpi_slice key; aicpi_json_member(json, &key); keys++) {
            if (aicpi_slice_is(key, "__entity") || aicpi_slice_is(key, "__extn")) {
                aicpi_json_skip(json);
                continue;
            }
            telling += aicpi_slice_is(key, "type") || aicpi_slice_is(key, "id") ||
                       aicpi_slice_is(key, "fn") || aicpi_slice_is(key, "arg") ||
                       aicpi_slice_is(key, "args");
            found |= has_short_form(json, depth + 1);
        }
        return found || (keys == 2 && telling == 2);
    }
    default:
        aicpi_json_skip(json);
        return false;
    }
}

/* The same for the values in an array of entities (`first` "attrs", `second` "tags") or of requests
 * ("context"). */
static bool items_have_short_form(aicpi_json *json, const char *first, const char *second) {
    bool found = false;
    aicpi_json_array(json);
    while (aicpi_json_element(json)) {
        aicpi_json_object(json);
        for (aicpi_slice key; aicpi_json_member(json, &key);) {
            if (aicpi_slice_is(key, first) || aicpi_slice_is(key, second)) {
                found |= has_short_form(json, 0);
            } else {
                aicpi_json_skip(json);
            }
        }
    }
    return found;
}

/* Policies that call an extension function or method may meet a plain string that the schema
 * declares to be an extension value. */
static bool calls_extension(aicpi_slice policies) {
    static const char *const names[] = {
        "ip(",
        "decimal(",
        "datetime(",
        "duration(",
        ".is",
        ".lessThan",
        ".greaterThan",
        ".offset(",
        ".durationSince(",
        ".to"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (memmem(policies.data, policies.len, names[i], strlen(names[i]))) {
            return true;
        }
    }
    return false;
}

/* The mechanical rule for leaving a case out: its meaning depends on the schema. */
static bool needs_schema(fixture *f, const char *folder, const char *name) {
    aicpi_slice text = case_file(folder, name);
    aicpi_json json;
    bool needed = false;
    aicpi_arena_reset(&f->arena);
    aicpi_json_init(&json, &f->arena, text.data, text.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        char file[512];
        aicpi_slice path;
        bool entities = aicpi_slice_is(key, "entities");
        if (aicpi_slice_is(key, "requests")) {
            needed |= items_have_short_form(&json, "context", "context");
        } else if (
            (entities || aicpi_slice_is(key, "policies")) && aicpi_json_string(&json, &path)) {
            snprintf(file, sizeof file, "%.*s", (int)path.len, path.data);
            aicpi_slice other = case_file(f->root, file);
            aicpi_json inner;
            aicpi_json_init(&inner, &f->arena, other.data, other.len, 0);
            needed |=
                entities ? items_have_short_form(&inner, "attrs", "tags") : calls_extension(other);
            case_free(other);
        } else {
            aicpi_json_skip(&json);
        }
    }
    cr_assert(aicpi_json_ok(&json), "%s", name);
    case_free(text);
    return needed;
}

Test(policy_corpus, hand_written_cases_that_need_no_schema_have_the_expected_answers) {
    static const char *const folders[] = {"decimal", "example_use_cases", "ip", "multi"};
    totals t = {0};
    size_t left_out = 0;
    fixture f = open_fixture("handwritten.tar.gz");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "%s/tests/%s", f.root, folders[i]);
        DIR *dir = opendir(folder);
        cr_assert(dir, "cannot open %s", folder);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            if (!is_case(entry->d_name)) {
                continue;
            }
            if (needs_schema(&f, folder, entry->d_name)) {
                left_out++;
            } else {
                run_case(&f, folder, entry->d_name, &t);
            }
        }
        closedir(dir);
    }
    printf("hand-written: %zu cases, %zu need a schema\n", t.cases, left_out);
    cr_expect_eq(t.cases + left_out, 22);
    cr_expect_geq(t.cases, 9);
    close_fixture(&f);
}
