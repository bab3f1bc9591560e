/* Every allocation of the policy module fails in turn: nothing leaks, every call that fails says
 * ERR_NOMEM and gives no handle, and a decision is never "allow" unless all went well. */
#include "unit/support.h"

#include "aicp/policy.h"

#include <criterion/criterion.h>
#include <string.h>

static const char policies[] =
    "@id(\"staff\") permit(principal in Team::\"blue\", action == Action::\"chat\", resource)\n"
    "when { context.input_tokens < 1000 && resource.tier in [Tier::\"a\", Tier::\"b\"] }\n"
    "unless { [1, 2, 3].contains(context.input_tokens) || context has \"x\\u{41}y\" };\n"
    "forbid(principal, action, resource) when { {\"a\": 1, \"b\": [\"c\"]}.a == 2 };\n"
    "permit(principal == ?principal, action, resource in ?resource);\n";

static const char links[] = "[{\"templateId\":\"policy2\",\"newId\":\"link\",\"values\":{"
                            "\"?principal\":{\"type\":\"User\",\"id\":\"alice\"},"
                            "\"?resource\":{\"type\":\"Model\",\"id\":\"gpt-5\"}}}]";

static const char entities[] =
    "[{\"uid\":{\"type\":\"User\",\"id\":\"alice\"},\"attrs\":{\"age\":30,\"tags\":[\"x\",\"y\"],"
    "\"rate\":{\"__extn\":{\"fn\":\"decimal\",\"arg\":\"1.50\"}}},"
    "\"parents\":[{\"type\":\"Team\",\"id\":\"blue\"}]},"
    "{\"uid\":{\"type\":\"Team\",\"id\":\"blue\"},\"attrs\":{},"
    "\"parents\":[{\"type\":\"Org\",\"id\":\"o\"}]},"
    "{\"uid\":{\"type\":\"Model\",\"id\":\"gpt-5\"},\"attrs\":{\"tier\":{\"__entity\":{"
    "\"type\":\"Tier\",\"id\":\"a\"}}},\"parents\":[]}]";

static bool failed_cleanly(aicp_status status, const void *handle) {
    return status == AICP_ERR_NOMEM && handle == NULL;
}

static bool parse_set(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.allocator = a;
    aicp_policy_set *set = NULL;
    aicp_policy_set *linked = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_set_parse(policies, sizeof policies - 1, &options, &set, &err);
    if (status != AICP_OK) {
        return failed_cleanly(status, set);
    }
    status = aicp_policy_set_link(set, links, sizeof links - 1, &linked, &err);
    aicp_policy_set_free(set);
    if (status != AICP_OK) {
        return failed_cleanly(status, linked);
    }
    bool ok = aicp_policy_set_count(linked) == 3;
    aicp_policy_set_free(linked);
    return ok;
}

Test(nomem, policy_set_parses_whole_or_not_at_all) {
    cr_assert_gt(test_every_allocation_failing(parse_set, NULL), 2);
}

static bool parse_entities(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    options.allocator = a;
    aicp_policy_entities *store = NULL;
    aicp_error err;
    aicp_status status =
        aicp_policy_entities_parse(entities, sizeof entities - 1, &options, &store, &err);
    if (status != AICP_OK) {
        return failed_cleanly(status, store);
    }
    bool ok = aicp_policy_entities_count(store) == 3;
    aicp_buf out = AICP_BUF_INIT;
    if (aicp_policy_entities_write(store, &out, &err) != AICP_OK) {
        ok = ok && failed_cleanly(err.code, out.data);
    }
    aicp_buf_free(&out);
    aicp_policy_entities_free(store);
    return ok;
}

Test(nomem, entities_are_read_and_written_whole_or_not_at_all) {
    cr_assert_gt(test_every_allocation_failing(parse_entities, NULL), 2);
}

/* A set is written, read again from JSON with its links, and its text laid out. */
static bool rewrite(void *user, const aicp_allocator *a) {
    const aicp_policy_set *original = user;
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.allocator = a;
    aicp_policy_set *set = NULL;
    aicp_buf json = AICP_BUF_INIT;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    if (aicp_policy_set_write(original, AICP_POLICY_FORMAT_JSON, &json, &err) != AICP_OK) {
        return false;
    }
    aicp_status status = aicp_policy_set_parse(json.data, json.len, &options, &set, &err);
    aicp_buf_free(&json);
    if (status != AICP_OK) {
        return failed_cleanly(status, set);
    }
    bool ok = true;
    static const int32_t formats[] = {AICP_POLICY_FORMAT_JSON, AICP_POLICY_FORMAT_CEDAR};
    for (size_t i = 0; ok && i < aicp_policy_set_count(set) * 2; i++) {
        status = aicp_policy_set_write_policy(set, i / 2, formats[i % 2], &out, &err);
        ok = status == AICP_OK || failed_cleanly(status, out.data);
        aicp_buf_free(&out);
    }
    status = ok ? aicp_policy_set_write(set, AICP_POLICY_FORMAT_JSON, &out, &err) : AICP_OK;
    ok = ok && (status == AICP_OK || failed_cleanly(status, out.data));
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
    return ok;
}

Test(nomem, forms_are_written_and_read_whole_or_not_at_all) {
    aicp_policy_set *set = NULL;
    aicp_policy_set *linked = NULL;
    cr_assert_eq(aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &set, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_set_link(set, links, sizeof links - 1, &linked, NULL), AICP_OK);
    cr_assert_gt(test_every_allocation_failing(rewrite, linked), 5);
    aicp_policy_set_free(linked);
    aicp_policy_set_free(set);
}

static bool lay_out(void *user, const aicp_allocator *a) {
    (void)user;
    static const char text[] =
        "// a\npermit(principal, // b\naction,resource)when{[1,2].contains(3)"
        "&&{a:{b:if true then 1 else 2}}==-1||context.a like \"*\"}; // c";
    aicp_policy_format_options options = AICP_POLICY_FORMAT_OPTIONS_INIT;
    options.allocator = a;
    options.line_width = 20;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    aicp_status status = aicp_policy_format(text, sizeof text - 1, &options, &out, &err);
    bool ok =
        status == AICP_OK ? strstr(out.data, "// c") != NULL : failed_cleanly(status, out.data);
    aicp_buf_free(&out);
    return ok;
}

Test(nomem, texts_are_laid_out_whole_or_not_at_all) {
    cr_assert_gt(test_every_allocation_failing(lay_out, NULL), 5);
}

typedef struct shared {
    aicp_policy_set *set;
    aicp_policy_entities *store;
} shared;

static aicp_status fill(aicp_policy_request *r, aicp_error *err) {
    static const char *const items[] = {"a", "b"};
    aicp_status status = aicp_policy_request_set_principal(r, "User", 4, "alice", 5, err);
    if (status == AICP_OK) {
        status = aicp_policy_request_set_action(r, "Action", 6, "chat", 4, err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_resource(r, "Model", 5, "gpt-5", 5, err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_context_long(r, "input_tokens", 900, err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_context_string_set(r, "tags", items, NULL, 2, err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_context_json(r, "more", "{\"x\":[1,{}]}", 12, err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_entity_begin(r, "Key", 3, "k", 1, err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_entity_parent(r, "User", 4, "alice", 5, err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_entity_attr_string(r, "role", "admin", 5, err);
    }
    return status;
}

static bool ask(void *user, const aicp_allocator *a) {
    shared *s = user;
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_request_new(a, &request, &err);
    if (status == AICP_OK) {
        status = aicp_policy_response_new(a, &response, &err);
    }
    if (status == AICP_OK) {
        status = fill(request, &err);
    }
    bool ok = true;
    if (status == AICP_OK) {
        status = aicp_policy_authorize(s->set, s->store, request, 0, response, &err);
        int32_t decision = aicp_policy_response_decision(response);
        ok = status == AICP_OK ? decision == AICP_POLICY_ALLOW : decision == AICP_POLICY_DENY;
    }
    aicp_policy_request_free(request);
    aicp_policy_response_free(response);
    return ok && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

Test(nomem, authorize_denies_when_memory_runs_out) {
    shared s = {NULL, NULL};
    cr_assert_eq(aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &s.set, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_entities_parse(entities, sizeof entities - 1, NULL, &s.store, NULL), AICP_OK);
    cr_assert_gt(test_every_allocation_failing(ask, &s), 2);
    aicp_policy_set_free(s.set);
    aicp_policy_entities_free(s.store);
}

static bool ask_many(void *user, const aicp_allocator *a) {
    shared *s = user;
    static const char text[] =
        "[{\"principal\":\"User::\\\"al\\\\x69ce\\\"\",\"action\":{\"type\":\"Action\",\"id\":"
        "\"chat\"},\"resource\":\"Model::\\\"gpt-5\\\"\",\"context\":{\"input_tokens\":900}},{},1]";
    aicp_policy_batch_options options = AICP_POLICY_BATCH_OPTIONS_INIT;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    options.allocator = a;
    aicp_status status =
        aicp_policy_authorize_json(s->set, s->store, &options, text, sizeof text - 1, &out, &err);
    if (status != AICP_OK) {
        return failed_cleanly(status, out.data);
    }
    bool ok = strncmp(out.data, "[{\"decision\":\"allow\"", 20) == 0;
    aicp_buf_free(&out);
    return ok;
}

Test(nomem, batches_are_answered_whole_or_not_at_all) {
    shared s = {NULL, NULL};
    cr_assert_eq(aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &s.set, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_entities_parse(entities, sizeof entities - 1, NULL, &s.store, NULL), AICP_OK);
    cr_assert_gt(test_every_allocation_failing(ask_many, &s), 5);
    aicp_policy_set_free(s.set);
    aicp_policy_entities_free(s.store);
}

static const char open_policies[] =
    "permit (principal, action, resource is Model in Tier::\"a\") when { context.n == 1 };\n"
    "permit (principal, action, resource) when { [resource.x, context.set] == [context] &&\n"
    "{a: resource, b: context.e}.b like \"x*\" && context.ip.isInRange(resource.ip) };\n"
    "permit (principal, action, resource) when { true && resource.flag || context.none };\n"
    "forbid (principal, action, resource) when { context.none };\n"
    "forbid (principal, action, resource)\n"
    "when { if resource.flag then context.when < datetime(\"2024-01-01\") else principal.x };\n";

static const char open_context[] =
    "{\"n\":1,\"set\":[\"a\",{\"k\":[1]}],\"e\":{\"__entity\":{\"type\":\"A\",\"id\":\"b\"}},"
    "\"ip\":{\"__extn\":{\"fn\":\"ip\",\"arg\":\"10.0.0.0/8\"}},"
    "\"when\":{\"__extn\":{\"fn\":\"datetime\",\"arg\":\"2024-01-01\"}}}";

static bool ask_partly(void *user, const aicp_allocator *a) {
    static const char *const ids[] = {"x", "y"};
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.allocator = a;
    aicp_policy_set *set = NULL;
    aicp_policy_set *rest = NULL;
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    (void)user;
    aicp_status status =
        aicp_policy_set_parse(open_policies, sizeof open_policies - 1, &options, &set, &err);
    status = status ? status : aicp_policy_request_new(a, &request, &err);
    status = status ? status : aicp_policy_response_new(a, &response, &err);
    status = status ? status : fill(request, &err);
    status = status ? status
                    : aicp_policy_request_set_context_json(
                          request, open_context, sizeof open_context - 1, &err);
    status = status ? status : aicp_policy_request_set_unknown(request, 2, "Model", 5, &err);
    status = status ? status : aicp_policy_partial(set, NULL, request, response, &rest, &err);
    bool ok = (status == AICP_OK) == (rest != NULL);
    status = status ? status : aicp_policy_filter(set, NULL, request, ids, NULL, 2, &out, &err);
    ok = ok && (status == AICP_OK ? out.len == 2 && aicp_policy_set_count(rest) == 4 : !out.data);
    aicp_buf_free(&out);
    aicp_policy_set_free(rest);
    aicp_policy_set_free(set);
    aicp_policy_request_free(request);
    aicp_policy_response_free(response);
    return ok && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

Test(nomem, partial_evaluation_leaves_a_whole_set_or_none) {
    cr_assert_gt(test_every_allocation_failing(ask_partly, NULL), 20);
}

static bool explain(void *user, const aicp_allocator *a) {
    shared *s = user;
    aicp_policy_request *request = NULL;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    aicp_status status = aicp_policy_request_new(a, &request, &err);
    status = status ? status : fill(request, &err);
    status =
        status ? status : aicp_policy_request_context_long(request, "input_tokens", 1000, &err);
    status =
        status
            ? status
            : aicp_policy_explain(s->set, s->store, request, AICP_POLICY_EXPLAIN_ALL, &out, &err);
    bool ok = status == AICP_OK ? strstr(out.data, "context.input_tokens = 999") != NULL
                                : status == AICP_ERR_NOMEM && !out.data;
    aicp_buf_free(&out);
    aicp_policy_request_free(request);
    return ok;
}

Test(nomem, explanations_are_whole_or_none) {
    shared s = {NULL, NULL};
    cr_assert_eq(aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &s.set, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_entities_parse(entities, sizeof entities - 1, NULL, &s.store, NULL), AICP_OK);
    cr_assert_gt(test_every_allocation_failing(explain, &s), 10);
    aicp_policy_set_free(s.set);
    aicp_policy_entities_free(s.store);
}
