/* Four workloads of 12 to 10,003 policies, 4,500 requests, with the answers of the reference. */
#include "conformance/policy/cases.h"
#include "conformance/policy/partial.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

typedef struct workload {
    char folder[32];
    size_t policies;
    size_t entities;
    size_t requests;
} workload;

static void read_request(aicpi_json *json, aicp_policy_request *request) {
    aicp_policy_request_reset(request);
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        aicpi_slice raw;
        aicp_status status = AICP_OK;
        if (aicpi_slice_is(key, "principal")) {
            status = case_read_uid(json, request, CASE_PRINCIPAL);
        } else if (aicpi_slice_is(key, "action")) {
            status = case_read_uid(json, request, CASE_ACTION);
        } else if (aicpi_slice_is(key, "resource")) {
            status = case_read_uid(json, request, CASE_RESOURCE);
        } else if (aicpi_slice_is(key, "context") && aicpi_json_span(json, &raw)) {
            status = aicp_policy_request_set_context_json(request, raw.data, raw.len, NULL);
        } else {
            aicpi_json_skip(json);
        }
        cr_assert_eq(status, AICP_OK);
    }
}

static void read_answer(aicpi_json *json, case_answer *answer) {
    *answer = (case_answer){0};
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        cr_assert(case_answer_member(json, key, answer));
    }
}

/* Goes through requests and expected answers side by side. */
static size_t
compare(const char *folder, const aicp_policy_set *set, const aicp_policy_entities *entities) {
    aicpi_slice requests = case_file(folder, "requests.json");
    aicpi_slice expected = case_file(folder, "expected.json");
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_json r;
    aicpi_json e;
    aicpi_json_init(&r, &arena, requests.data, requests.len, 0);
    aicpi_json_init(&e, &arena, expected.data, expected.len, 0);
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    cr_assert_eq(aicp_policy_request_new(NULL, &request, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &response, NULL), AICP_OK);
    size_t count = 0;
    aicpi_json_array(&r);
    aicpi_json_array(&e);
    while (aicpi_json_element(&r) && aicpi_json_element(&e)) {
        case_answer answer;
        read_request(&r, request);
        read_answer(&e, &answer);
        static const uint32_t both[] = {0, AICP_POLICY_NO_INDEX};
        for (size_t i = 0; i < 2; i++) {
            cr_assert_eq(
                aicp_policy_authorize(set, entities, request, both[i], response, NULL), AICP_OK);
            cr_expect(case_answer_matches(response, &answer), "%s: request %zu", folder, count);
        }
        if (count % 25 == 0) {
            partial_expect(set, entities, request, folder, NULL);
        }
        count++;
    }
    cr_expect(aicpi_json_ok(&r) && aicpi_json_ok(&e));
    aicp_policy_request_free(request);
    aicp_policy_response_free(response);
    aicpi_arena_deinit(&arena);
    case_free(requests);
    case_free(expected);
    return count;
}

static void add_links(const char *folder, aicp_policy_set **set) {
    aicpi_slice links = case_file(folder, "links.json");
    aicp_policy_set *linked = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_set_link(*set, links.data, links.len, &linked, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    aicp_policy_set_free(*set);
    *set = linked;
    case_free(links);
}

static void run(const char *root, const workload *w) {
    char folder[128];
    snprintf(folder, sizeof folder, "%s/%s", root, w->folder);
    aicpi_slice text = case_file(folder, "policies.cedar");
    aicpi_slice json = case_file(folder, "entities.json");
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    aicp_policy_set *set = NULL;
    aicp_policy_entities *entities = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_set_parse(text.data, text.len, &options, &set, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    status = aicp_policy_entities_parse(json.data, json.len, NULL, &entities, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    if (w->folder[0] == 'c') {
        add_links(folder, &set);
    }
    cr_expect_eq(aicp_policy_set_count(set), w->policies);
    cr_expect_eq(aicp_policy_entities_count(entities), w->entities);
    cr_expect_eq(compare(folder, set, entities), w->requests);
    case_reread(&set, AICP_POLICY_FORMAT_JSON, 0);
    cr_expect_eq(aicp_policy_set_count(set), w->policies);
    cr_expect_eq(compare(folder, set, entities), w->requests);
    aicp_policy_set_free(set);
    aicp_policy_entities_free(entities);
    case_free(text);
    case_free(json);
}

Test(policy_workloads, all_answers_are_those_of_the_reference) {
    static const workload workloads[] = {
        {"a-control-plane", 12, 100, 500},
        {"b-scoped-1k", 1000, 1350, 1000},
        {"c-templates-10k", 10003, 6300, 1000},
        {"d-deep-10k", 100, 10000, 2000},
    };
    const char *root = case_unpack("workloads.tar.gz");
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        run(root, &workloads[i]);
    }
    case_remove(root);
}
