/* Partial evaluation: what is sure, what is left, and which of many entities are allowed. */
#include "unit/policy/policy_test.h"

#include <stdio.h>

static const char store[] =
    "[{\"uid\":{\"type\":\"User\",\"id\":\"alice\"},\"attrs\":{\"tier\":\"gold\",\"n\":3},"
    "\"parents\":[{\"type\":\"Team\",\"id\":\"blue\"}]},"
    "{\"uid\":{\"type\":\"Doc\",\"id\":\"d\"},\"attrs\":{\"tier\":\"gold\",\"open\":true},"
    "\"parents\":[]},"
    "{\"uid\":{\"type\":\"Doc\",\"id\":\"e\"},\"attrs\":{\"tier\":\"iron\"},\"parents\":[]}]";

typedef struct partial_case {
    policy_case c;
    aicp_policy_set *rest;
    int32_t decision;
} partial_case;

/* Asks with the resource unknown; `type` NULL: its type, too. */
static partial_case ask(const char *policies, const char *type) {
    partial_case p = {.c = policy_open(policies, store)};
    size_t len = type ? strlen(type) : 0;
    cr_assert_eq(
        aicp_policy_request_set_unknown(p.c.request, AICP_POLICY_RESOURCE, type, len, NULL),
        AICP_OK);
    aicp_status status =
        aicp_policy_partial(p.c.set, p.c.entities, p.c.request, p.c.response, &p.rest, &p.c.err);
    cr_assert_eq(status, AICP_OK, "%s", p.c.err.message);
    p.decision = aicp_policy_response_decision(p.c.response);
    return p;
}

static void done(partial_case *p) {
    aicp_policy_set_free(p->rest);
    policy_close(&p->c);
}

/* What is said for sure, and how many policies are left. */
static void expect(const char *policies, const char *type, int32_t decision, size_t left) {
    partial_case p = ask(policies, type);
    cr_expect_eq(p.decision, decision, "%s: %d", policies, (int)p.decision);
    cr_expect_eq(
        aicp_policy_set_count(p.rest), left, "%s: %zu", policies, aicp_policy_set_count(p.rest));
    done(&p);
}

#define ANY "(principal, action, resource)"

Test(policy_partial, decisions_that_do_not_hang_on_the_unknown_are_made) {
    expect("", NULL, AICP_POLICY_DENY, 0);
    expect("permit" ANY ";", NULL, AICP_POLICY_ALLOW, 1);
    expect("permit" ANY "when { principal.n == 4 };", NULL, AICP_POLICY_DENY, 0);
    expect("permit" ANY "when { principal in Team::\"blue\" };", NULL, AICP_POLICY_ALLOW, 1);
    expect("permit" ANY "; forbid" ANY ";", NULL, AICP_POLICY_DENY, 2);
    expect("permit" ANY "when { resource.open };", NULL, AICP_POLICY_UNDECIDED, 1);
    expect("permit" ANY "; forbid" ANY "when { resource.open };", NULL, AICP_POLICY_UNDECIDED, 2);
    expect("forbid" ANY "when { resource.open };", NULL, AICP_POLICY_DENY, 1);
    expect(
        "permit" ANY "; forbid" ANY "when { resource.open } when { principal.n == 4 };",
        NULL,
        AICP_POLICY_ALLOW,
        2);
    expect("permit (principal, action == Action::\"edit\", resource);", NULL, 0, 0);
}

Test(policy_partial, a_known_type_settles_what_it_can) {
    static const char is_doc[] = "permit (principal, action, resource is Doc);";
    static const char one_doc[] = "permit (principal, action, resource == Doc::\"d\");";
    expect(is_doc, NULL, AICP_POLICY_UNDECIDED, 1);
    expect(is_doc, "Doc", AICP_POLICY_ALLOW, 1);
    expect(is_doc, "Model", AICP_POLICY_DENY, 0);
    expect(one_doc, "Doc", AICP_POLICY_UNDECIDED, 1);
    expect(one_doc, "Model", AICP_POLICY_DENY, 0);
    expect("permit (principal, action, resource is Doc in Team::\"t\");", "Model", 0, 0);
    expect("permit" ANY "when { resource is Doc && principal.n == 3 };", "Doc", 1, 1);
    expect("permit" ANY "unless { resource == User::\"alice\" };", "Doc", 1, 1);
    expect("permit" ANY "when { resource != principal };", "Doc", 1, 1);
    expect("permit" ANY "when { resource == resource && resource != 3 };", NULL, 1, 1);
    expect("permit" ANY "when { resource is Model in principal.none };", "Doc", 0, 0);
}

/* Each level would double the work if a level were gone through twice. */
Test(policy_partial, tests_of_types_within_each_other_are_done_once) {
    enum { LEVELS = 60 };
    char text[LEVELS * 64];
    size_t len = (size_t)snprintf(text, sizeof text, "permit" ANY "when { ");
    for (int i = 0; i < LEVELS; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "if (");
    }
    len += (size_t)snprintf(text + len, sizeof text - len, "if true || resource.x then ");
    for (int i = 0; i < LEVELS; i++) {
        const char *end = "Doc::\"d\" else resource) is Doc in Doc::\"d\" then ";
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", end);
    }
    snprintf(text + len, sizeof text - len, "true else false };");
    expect(text, "Doc", AICP_POLICY_ALLOW, 1);
}

Test(policy_partial, what_may_fail_stays_and_can_make_nothing_true) {
    /* Left, as the resource may lack the attribute, which is an error to be told. */
    expect("permit" ANY "when { resource.open && false };", NULL, AICP_POLICY_DENY, 1);
    expect("permit" ANY "unless { resource.open || true };", NULL, AICP_POLICY_DENY, 1);
    expect("permit" ANY "when { !(resource.open || true) };", NULL, AICP_POLICY_DENY, 1);
    expect("permit" ANY "when { resource.open && principal.none };", NULL, AICP_POLICY_DENY, 1);
    expect("permit" ANY "when { if resource.open then false else 1 };", NULL, 0, 1);
    expect("permit" ANY "when { (if resource.open then false else 1 < 2) };", NULL, 2, 1);
    /* Gone, as nothing is evaluated before it. */
    expect("permit" ANY "when { false && resource.open };", NULL, AICP_POLICY_DENY, 0);
    expect("permit" ANY "when { true || resource.open };", NULL, AICP_POLICY_ALLOW, 1);
}

Test(policy_partial, policies_that_fail_in_any_case_are_told) {
    partial_case p =
        ask("permit" ANY ";\n"
            "permit" ANY "when { resource.tier == principal.none };\n"
            "permit (principal, action, resource == Doc::\"d\") when { principal.none };",
            NULL);
    cr_assert_eq(aicp_policy_response_error_count(p.c.response), 1);
    cr_expect_str_eq(aicp_policy_response_error_id(p.c.response, 0), "policy1");
    cr_expect_eq(aicp_policy_response_error_kind(p.c.response, 0), AICP_POLICY_ERROR_ENTITY_ATTR);
    cr_expect_eq(aicp_policy_response_error_line(p.c.response, 0), 2);
    cr_expect_eq(p.decision, AICP_POLICY_ALLOW);
    cr_assert_eq(aicp_policy_response_reason_count(p.c.response), 1);
    cr_expect_str_eq(aicp_policy_response_reason_id(p.c.response, 0), "policy0");
    /* The last one fails only for that document. */
    cr_assert_eq(aicp_policy_set_count(p.rest), 2);
    cr_expect_str_eq(aicp_policy_set_id(p.rest, 1), "policy2");
    done(&p);
}

Test(policy_partial, what_is_left_keeps_ids_annotations_and_places) {
    partial_case p =
        ask("permit" ANY "when { false };\n@why(\"w\")\n  permit" ANY
            "when { [resource.tier, {\"a\": principal.tier}] == [1, \"gold\"] && resource.none };",
            NULL);
    aicp_policy_set_free(p.c.set);
    p.c.set = NULL;
    cr_assert_eq(aicp_policy_set_count(p.rest), 1);
    cr_expect_str_eq(aicp_policy_set_id(p.rest, 0), "policy1");
    cr_expect_str_eq(aicp_policy_set_annotation(p.rest, 0, "why"), "w");
    cr_expect_eq(aicp_policy_set_line(p.rest, 0), 2);
    done(&p);
}

/* What is left of one policy as text, without white space at its ends. */
static void expect_text(const char *policy, const char *type, const char *expected) {
    static const aicp_policy_format_options wide = {sizeof wide, 1000, 0, 0, 0, NULL};
    partial_case p = ask(policy, type);
    aicp_buf out = AICP_BUF_INIT;
    aicp_buf left = AICP_BUF_INIT;
    cr_assert_eq(
        aicp_policy_set_write(p.rest, AICP_POLICY_FORMAT_CEDAR, &out, &p.c.err),
        AICP_OK,
        "%s",
        p.c.err.message);
    cr_assert_eq(aicp_policy_format(out.data, out.len, &wide, &left, NULL), AICP_OK);
    cr_expect_str_eq(left.data, expected);
    aicp_buf_free(&out);
    aicp_buf_free(&left);
    done(&p);
}

Test(policy_partial, what_is_left_can_be_read_as_text) {
    expect_text(
        "permit" ANY "when { principal.n > 2 };", NULL, "permit (principal, action, resource);\n");
    expect_text(
        "permit (principal in Team::\"blue\", action, resource is Doc in Team::\"t\")\n"
        "when { principal.n == 3 && resource.tier == principal.tier && resource.flag }\n"
        "unless { resource in [principal, resource] || false };",
        "Doc",
        "permit (\n  principal,\n  action,\n  resource in Team::\"t\"\n)\n"
        "when { resource.tier == \"gold\" && resource.flag }\n"
        "unless { resource in [User::\"alice\", resource] };\n");
    expect_text(
        "@a(\"b\") forbid" ANY "when { principal.n == 3 && resource.flag };",
        NULL,
        "@a(\"b\")\nforbid (principal, action, resource)\nwhen { resource.flag };\n");
    expect_text(
        "permit" ANY
        "when { if resource.open then principal.tier == \"gold\" else principal.none };",
        NULL,
        "permit (principal, action, resource)\n"
        "when { if resource.open then true else principal.none };\n");
    expect_text(
        "permit" ANY "when { (true && resource.flag) == true };",
        NULL,
        "permit (principal, action, resource)\nwhen { (true && resource.flag) == true };\n");
    expect_text(
        "permit" ANY "when { resource.open && principal.n == 4 && resource.none };",
        NULL,
        "permit (principal, action, resource)\nwhen { resource.open && false };\n");
}

Test(policy_partial, errors_of_what_is_left_stand_where_they_stood) {
    partial_case p = ask("permit" ANY "\nwhen { principal.n == 3 &&\n resource.none };", "Doc");
    cr_assert_eq(aicp_policy_request_set_resource(p.c.request, "Doc", 3, "d", 1, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_authorize(p.rest, p.c.entities, p.c.request, 0, p.c.response, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_error_count(p.c.response), 1);
    cr_expect_eq(aicp_policy_response_error_line(p.c.response, 0), 3);
    cr_expect_eq(aicp_policy_response_error_column(p.c.response, 0), 11);
    done(&p);
}

Test(policy_partial, values_of_every_type_are_written_into_what_is_left) {
    static const char context[] =
        "{\"v\":[true,-5,\"q\\\"\",{\"__entity\":{\"type\":\"A::B\",\"id\":\"\"}},"
        "{\"k\":[],\"j\":{}},{\"__extn\":{\"fn\":\"ip\",\"arg\":\"1.2.3.4/8\"}},"
        "{\"__extn\":{\"fn\":\"ip\",\"arg\":\"::1\"}},"
        "{\"__extn\":{\"fn\":\"decimal\",\"arg\":\"-0.5\"}},"
        "{\"__extn\":{\"fn\":\"datetime\",\"arg\":\"2024-02-29T01:02:03.004Z\"}},"
        "{\"__extn\":{\"fn\":\"duration\",\"arg\":\"-1d2ms\"}}]}";
    policy_case c =
        policy_open("permit" ANY "when { [resource, context.v].contains(context.v) };", NULL);
    aicp_policy_set *rest = NULL;
    cr_assert_eq(
        aicp_policy_request_set_context_json(c.request, context, sizeof context - 1, NULL), 0);
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_RESOURCE, NULL, 0, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_partial(c.set, NULL, c.request, c.response, &rest, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_response_decision(c.response), AICP_POLICY_UNDECIDED);
    /* What is left does not look at the context any more. */
    cr_assert_eq(aicp_policy_request_set_context_json(c.request, "{}", 2, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_set_resource(c.request, "Doc", 3, "d", 1, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_authorize(rest, NULL, c.request, 0, c.response, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_response_decision(c.response), AICP_POLICY_ALLOW);
    aicp_policy_set_free(rest);
    policy_close(&c);
}

Test(policy_partial, links_are_left_as_policies_of_their_own) {
    static const char links[] =
        "[{\"templateId\":\"policy0\",\"newId\":\"l\",\"values\":{\"?principal\":{\"type\":"
        "\"Team\",\"id\":\"blue\"},\"?resource\":{\"type\":\"Doc\",\"id\":\"d\"}}}]";
    policy_case c =
        policy_open("permit (principal in ?principal, action, resource == ?resource);", store);
    aicp_policy_set *linked = NULL;
    cr_assert_eq(aicp_policy_set_link(c.set, links, sizeof links - 1, &linked, NULL), AICP_OK);
    aicp_policy_set_free(c.set);
    c.set = linked;
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_RESOURCE, "Doc", 3, NULL), 0);
    aicp_policy_set *rest = NULL;
    cr_assert_eq(
        aicp_policy_partial(c.set, c.entities, c.request, c.response, &rest, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_set_count(rest), 1);
    cr_expect_eq(aicp_policy_set_template_count(rest), 0);
    cr_expect_str_eq(aicp_policy_set_id(rest, 0), "l");
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_set_write(rest, AICP_POLICY_FORMAT_CEDAR, &out, NULL), AICP_OK);
    cr_expect(strstr(out.data, "resource == Doc::\"d\""), "%s", out.data);
    aicp_buf_free(&out);
    aicp_policy_set_free(rest);
    policy_close(&c);
}

Test(policy_partial, parts_and_types_are_checked) {
    policy_case c = policy_open("", NULL);
    cr_expect_eq(aicp_policy_request_set_unknown(c.request, 3, "A", 1, NULL), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_set_unknown(c.request, -1, "A", 1, NULL), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_set_unknown(c.request, 0, "a b", 3, NULL), AICP_ERR_INVALID);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY);
    cr_expect_eq(aicp_policy_request_set_unknown(c.request, 1, "Action", 6, NULL), AICP_OK);
    cr_expect_eq(
        aicp_policy_authorize(c.set, NULL, c.request, 0, c.response, NULL), AICP_ERR_STATE);
    policy_close(&c);
}

static void filter(policy_case *c, const char *expected) {
    static const char *const ids[] = {"d", "e", "f", ""};
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(
        aicp_policy_filter(c->set, c->entities, c->request, ids, NULL, 4, &out, &c->err),
        AICP_OK,
        "%s",
        c->err.message);
    cr_assert_eq(out.len, 4);
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(out.data[i], expected[i] - '0', "%s: %d", expected, i);
    }
    aicp_buf_free(&out);
}

Test(policy_filter, each_candidate_is_answered) {
    policy_case c = policy_open("permit" ANY "when { resource.tier == principal.tier };", store);
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_RESOURCE, "Doc", 3, NULL), 0);
    filter(&c, "1000");
    aicp_policy_set_free(c.set);
    static const char other[] = "permit" ANY "; forbid" ANY "when { resource has open };";
    cr_assert_eq(aicp_policy_set_parse(other, sizeof other - 1, NULL, &c.set, NULL), AICP_OK);
    filter(&c, "0111");
    /* An entity that comes with the request is a candidate like the others. */
    cr_assert_eq(aicp_policy_request_entity_begin(c.request, "Doc", 3, "f", 1, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_attr_bool(c.request, "open", 1, NULL), AICP_OK);
    filter(&c, "0101");
    policy_close(&c);
}

Test(policy_filter, what_is_sure_holds_for_all) {
    policy_case c = policy_open("permit (principal, action, resource is Doc);", store);
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_RESOURCE, "Doc", 3, NULL), 0);
    filter(&c, "1111");
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_RESOURCE, "Model", 5, NULL), 0);
    filter(&c, "0000");
    policy_close(&c);
}

Test(policy_filter, wrong_calls_are_refused) {
    static const char *const ids[] = {"\xFF"};
    policy_case c = policy_open("permit" ANY ";", store);
    aicp_buf out = AICP_BUF_INIT;
    cr_expect_eq(
        aicp_policy_filter(c.set, NULL, c.request, ids, NULL, 1, &out, NULL), AICP_ERR_STATE);
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_RESOURCE, NULL, 0, NULL), 0);
    cr_expect_eq(
        aicp_policy_filter(c.set, NULL, c.request, ids, NULL, 1, &out, NULL), AICP_ERR_STATE);
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_RESOURCE, "Doc", 3, NULL), 0);
    cr_expect_eq(
        aicp_policy_filter(c.set, NULL, c.request, ids, NULL, 1, &out, NULL), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_filter(c.set, NULL, c.request, NULL, NULL, 0, &out, NULL), AICP_OK);
    cr_expect_eq(out.len, 0);
    aicp_buf_free(&out);
    cr_assert_eq(
        aicp_policy_request_set_unknown(c.request, AICP_POLICY_PRINCIPAL, "User", 4, NULL), 0);
    cr_expect_eq(
        aicp_policy_filter(c.set, NULL, c.request, ids, NULL, 0, &out, NULL), AICP_ERR_STATE);
    policy_close(&c);
}
