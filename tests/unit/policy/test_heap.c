/* Memory: nothing leaks when any allocation fails, and asking is free of the heap once warm. */
#include "unit/policy/policy_test.h"
#include "unit/support.h"

#define STR(literal) literal, sizeof(literal) - 1

static const char policies[] =
    "@id(\"a\") permit (principal in Group::\"g\", action in [Action::\"view\"], resource is Doc)"
    " when { [context.n, 1].contains(2) || {a: principal.level} == {a: 3} }"
    " unless { resource.name like \"x*\" };"
    "permit (principal == ?principal, action, resource in ?resource);"
    "forbid (principal, action, resource)"
    " when { ip(context.ip) == ip(\"1.1.1.1\") && context.missing };"
    "forbid (principal, action, resource) when { context.n + 1 > 100 };";

static const char entities_json[] =
    "[{\"uid\":{\"type\":\"Group\",\"id\":\"g\"},\"attrs\":{\"x\":[1,{\"y\":\"z\"}]},"
    "\"parents\":[{\"type\":\"Group\",\"id\":\"top\"}],\"tags\":{\"t\":"
    "{\"__extn\":{\"fn\":\"ip\",\"arg\":\"::1\"}}}},"
    "{\"uid\":{\"type\":\"Group\",\"id\":\"top\"},\"attrs\":{},\"parents\":[]}]";

static const char links_json[] = "[{\"templateId\":\"policy1\",\"newId\":\"l\",\"values\":{"
                                 "\"?principal\":{\"type\":\"User\",\"id\":\"u\"},"
                                 "\"?resource\":{\"type\":\"Doc\",\"id\":\"d\"}}}]";

static aicp_status fill(aicp_policy_request *r) {
    static const char *const names[] = {"x", "y", "z"};
    aicp_policy_request_reset(r);
    aicp_status s = aicp_policy_request_set_principal(r, STR("User"), STR("u"), NULL);
    s = s ? s : aicp_policy_request_set_action(r, STR("Action"), STR("view"), NULL);
    s = s ? s : aicp_policy_request_set_resource(r, STR("Doc"), STR("d"), NULL);
    s = s ? s
          : aicp_policy_request_set_context_json(r, STR("{\"n\":1,\"o\":{\"\\u0041\":[]}}"), NULL);
    s = s ? s : aicp_policy_request_context_string(r, "ip", STR("1.1.1.1"), NULL);
    s = s ? s : aicp_policy_request_context_ip(r, "from", STR("10.0.0.1"), NULL);
    s = s ? s : aicp_policy_request_entity_begin(r, STR("User"), STR("u"), NULL);
    s = s ? s : aicp_policy_request_entity_parent(r, STR("Group"), STR("g"), NULL);
    s = s ? s : aicp_policy_request_entity_attr_long(r, "level", 3, NULL);
    s = s ? s : aicp_policy_request_entity_attr_string_set(r, "names", names, NULL, 3, NULL);
    s = s ? s : aicp_policy_request_entity_begin(r, STR("Doc"), STR("d"), NULL);
    return s ? s : aicp_policy_request_entity_attr_string(r, "name", STR("doc"), NULL);
}

typedef struct parts {
    aicp_policy_set *set;
    aicp_policy_set *linked;
    aicp_policy_entities *entities;
    aicp_policy_request *request;
    aicp_policy_response *response;
} parts;

static aicp_status make(parts *p, const aicp_allocator *a) {
    aicp_policy_set_options set_options = AICP_POLICY_SET_OPTIONS_INIT;
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    set_options.allocator = a;
    options.allocator = a;
    aicp_status s = aicp_policy_set_parse(STR(policies), &set_options, &p->set, NULL);
    s = s ? s : aicp_policy_set_link(p->set, STR(links_json), &p->linked, NULL);
    s = s ? s : aicp_policy_entities_parse(STR(entities_json), &options, &p->entities, NULL);
    s = s ? s : aicp_policy_request_new(a, &p->request, NULL);
    return s ? s : aicp_policy_response_new(a, &p->response, NULL);
}

static void drop(parts *p) {
    aicp_policy_set_free(p->set);
    aicp_policy_set_free(p->linked);
    aicp_policy_entities_free(p->entities);
    aicp_policy_request_free(p->request);
    aicp_policy_response_free(p->response);
}

static bool run_once(void *user, const aicp_allocator *a) {
    (void)user;
    parts p = {0};
    aicp_status s = make(&p, a);
    s = s ? s : fill(p.request);
    s = s ? s : aicp_policy_authorize(p.linked, p.entities, p.request, 0, p.response, NULL);
    bool fine = s == AICP_ERR_NOMEM;
    if (s == AICP_OK) {
        fine = aicp_policy_response_decision(p.response) == AICP_POLICY_ALLOW &&
               aicp_policy_response_reason_count(p.response) == 2 &&
               aicp_policy_response_error_count(p.response) == 1;
    } else if (p.response && aicp_policy_response_decision(p.response) != AICP_POLICY_DENY) {
        fine = false;
    }
    drop(&p);
    return fine;
}

Test(policy_heap, every_failing_allocation_is_reported_and_nothing_leaks) {
    cr_expect_gt(test_every_allocation_failing(run_once, NULL), 20u);
}

Test(policy_heap, asking_is_free_of_the_heap_once_warm) {
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    parts p = {0};
    cr_assert_eq(make(&p, &a), AICP_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(fill(p.request), AICP_OK);
        cr_assert_eq(
            aicp_policy_authorize(p.linked, p.entities, p.request, 0, p.response, NULL), AICP_OK);
    }
    size_t before = heap.allocations;
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(fill(p.request), AICP_OK);
        cr_assert_eq(
            aicp_policy_authorize(p.linked, p.entities, p.request, 0, p.response, NULL), AICP_OK);
        cr_assert_eq(aicp_policy_response_error_count(p.response), 1);
    }
    cr_expect_eq(heap.allocations, before);
    drop(&p);
    cr_expect_eq(heap.live, 0);
}
