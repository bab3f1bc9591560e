/* Questions written down: what an event tells is enough to ask the policies the same again. */
#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Each policy forbids by another thing that a gate tells. */
static const char policies[] =
    "@id(\"all\") permit (principal, action, resource);\n"
    "@id(\"alias\") forbid (principal, action, resource) when { principal has alias && "
    "principal.alias == \"nightly\" };\n"
    "@id(\"role\") forbid (principal, action, resource) when { principal has role && "
    "principal.role == \"guest\" };\n"
    "@id(\"user\") forbid (principal in AICP::User::\"u1\", action, resource);\n"
    "@id(\"org\") forbid (principal in AICP::Organization::\"o1\", action, resource);\n"
    "@id(\"embed\") forbid (principal, action == AICP::Action::\"embed\", resource);\n"
    "@id(\"provider\") forbid (principal, action, resource in AICP::Provider::\"openai\") when { "
    "context.input_tokens > 100 };\n"
    "@id(\"stream\") forbid (principal, action, resource) when { context.stream };\n"
    "@id(\"cap\") forbid (principal, action, resource) when { context.output_cap == 77 };\n"
    "@id(\"tags\") forbid (principal, action, resource) when { context.tags.contains(\"a\\\"b\") "
    "};\n"
    "@id(\"tools\") forbid (principal, action, resource) when { context.tools.contains(\"shell\") "
    "};\n"
    "@id(\"ip\") forbid (principal, action, resource) when { context has ip && "
    "context.ip.isInRange(ip(\"10.0.0.0/8\")) };\n"
    "@id(\"source\") forbid (principal, action, resource) when { context has source && "
    "context.source == \"batch\" };\n"
    "@id(\"end-user\") forbid (principal, action, resource) when { context has end_user && "
    "context.end_user == \"e1\" };\n";

typedef struct asked {
    const char *rule; /* that refuses; "" when it is allowed */
    int32_t field;    /* of the subject; -1: none */
    const char *value;
    int32_t action;
    const char *tag;
    const char *body;
} asked;

#define PLAIN "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"
#define WITH(more)                                                                                 \
    "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]," more "}"
#define LONG(x) x x x x x x x x x x x x x x x x

static const asked cases[] = {
    {"", -1, NULL, AICP_GATE_CHAT, NULL, PLAIN},
    {"alias", AICP_GATE_KEY_ALIAS, "nightly", AICP_GATE_CHAT, NULL, PLAIN},
    {"role", AICP_GATE_ROLE, "guest", AICP_GATE_CHAT, NULL, PLAIN},
    {"user", AICP_GATE_USER, "u1", AICP_GATE_CHAT, NULL, PLAIN},
    {"org", AICP_GATE_ORG, "o1", AICP_GATE_CHAT, NULL, PLAIN},
    {"embed",
     -1,
     NULL,
     AICP_GATE_EMBED,
     NULL,
     "{\"model\":\"text-embedding-3-small\",\"input\":\"hello\"}"},
    {"provider",
     -1,
     NULL,
     AICP_GATE_CHAT,
     NULL,
     "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"" LONG(
         "one two three four five six seven eight ") "\"}]}"},
    {"stream", -1, NULL, AICP_GATE_CHAT, NULL, WITH("\"stream\":true")},
    {"cap", -1, NULL, AICP_GATE_CHAT, NULL, WITH("\"max_tokens\":77")},
    {"tags", -1, NULL, AICP_GATE_CHAT, "a\"b", PLAIN},
    {"tools",
     -1,
     NULL,
     AICP_GATE_CHAT,
     NULL,
     WITH("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"shell\"}}]")},
    {"ip", AICP_GATE_IP, "10.1.2.3", AICP_GATE_CHAT, NULL, PLAIN},
    {"source", AICP_GATE_SOURCE, "batch", AICP_GATE_CHAT, NULL, PLAIN},
    {"end-user", AICP_GATE_END_USER, "e1", AICP_GATE_CHAT, NULL, PLAIN},
};

static aicp_gate_decision *decide(gate_fixture *f, const asked *c) {
    aicp_gate_decision *d = NULL;
    aicp_error err = {0};
    aicp_gate_request_reset(f->request);
    cr_assert_eq(aicp_gate_request_set_body(f->request, c->body, strlen(c->body), &err), AICP_OK);
    cr_assert_eq(aicp_gate_request_set_action(f->request, c->action, &err), AICP_OK);
    cr_assert_eq(aicp_gate_request_set(f->request, AICP_GATE_KEY, "k1", 2, &err), AICP_OK);
    if (c->field >= 0) {
        cr_assert_eq(
            aicp_gate_request_set(f->request, c->field, c->value, strlen(c->value), &err), AICP_OK);
    }
    if (c->tag) {
        cr_assert_eq(aicp_gate_request_add_tag(f->request, c->tag, strlen(c->tag), &err), AICP_OK);
    }
    cr_assert_eq(
        aicp_gate_check(f->gate, f->request, 2000000000, &d, &err), AICP_OK, "%s", err.message);
    return d;
}

typedef struct policies_alone {
    aicp_policy_set *set;
    aicp_price_table *prices;
    aicp_policy_request *request;
    aicp_policy_response *response;
} policies_alone;

static policies_alone alone_new(void) {
    static const char prices[] = "{\"gpt-4o\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\","
                                 "\"input_cost_per_token\":1e-06,\"output_cost_per_token\":1e-06}}";
    policies_alone p = {0};
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    cr_assert_eq(
        aicp_policy_set_parse(policies, strlen(policies), &options, &p.set, NULL), AICP_OK);
    cr_assert_eq(aicp_price_table_parse(prices, strlen(prices), NULL, &p.prices, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_new(NULL, &p.request, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &p.response, NULL), AICP_OK);
    return p;
}

static void alone_free(policies_alone *p) {
    aicp_policy_response_free(p->response);
    aicp_policy_request_free(p->request);
    aicp_price_table_free(p->prices);
    aicp_policy_set_free(p->set);
}

Test(question, an_event_asks_the_policies_what_the_gate_asked) {
    gate_fixture f = gate_fixture_new();
    gate_write(&f.folder, "policies.cedar", policies);
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    policies_alone p = alone_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const asked *c = &cases[i];
        aicp_gate_decision *d = decide(&f, c);
        cr_assert_str_eq(aicp_gate_decision_rule(d), c->rule, "%s", aicp_gate_decision_message(d));
        aicp_gate_decision_free(d);
        aicp_buf event = AICP_BUF_INIT;
        aicp_error err = {0};
        cr_assert_eq(aicp_gate_events(f.gate, &event, &err), AICP_OK);
        const char *line = strstr(event.data, "{\"event\":\"decision\"");
        cr_assert_not_null(line, "%s", event.data);
        cr_assert_eq(
            aicp_gate_question_parse(line, strcspn(line, "\n"), NULL, p.prices, p.request, &err),
            AICP_OK,
            "%s in %s",
            err.message,
            line);
        cr_assert_eq(aicp_policy_authorize(p.set, NULL, p.request, 0, p.response, &err), AICP_OK);
        cr_assert_eq(
            aicp_policy_response_decision(p.response),
            *c->rule ? AICP_POLICY_DENY : AICP_POLICY_ALLOW,
            "%s: %s",
            c->rule,
            line);
        cr_assert_str_eq(aicp_policy_response_reason_id(p.response, 0), *c->rule ? c->rule : "all");
        cr_assert_eq(aicp_policy_response_reason_count(p.response), 1);
        aicp_buf_free(&event);
    }
    alone_free(&p);
    gate_fixture_free(&f);
}

Test(question, a_caller_cannot_make_an_event_too_long_to_be_told) {
    static char body[200000];
    gate_fixture f = gate_fixture_new();
    size_t n = (size_t)snprintf(
        body,
        sizeof body,
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[");
    for (int i = 0; i < 250; i++) {
        n += (size_t)snprintf(
            body + n,
            sizeof body - n,
            "%s{\"type\":\"function\",\"function\":{\"name\":\"%0512d\"}}",
            i ? "," : "",
            i);
    }
    snprintf(body + n, sizeof body - n, "]}");
    aicp_gate_decision_free(gate_ask(&f, "blue", body));
    aicp_buf events = AICP_BUF_INIT;
    cr_assert_eq(aicp_gate_events(f.gate, &events, NULL), AICP_OK);
    cr_assert_not_null(strstr(events.data, "\"event\":\"decision\""));
    cr_assert_not_null(strstr(events.data, "\"tools_cut\":true"));
    aicp_buf_free(&events);
    gate_fixture_free(&f);
}

Test(question, a_question_that_cannot_be_asked_is_refused_with_its_place) {
    static const struct {
        const char *text;
        aicp_status status;
        uint32_t column;
    } wrong[] = {
        {"{\"team\":\"red\"}", AICP_ERR_PARSE, 1},
        {"{\"model\":\"m\",\"action\":\"dance\"}", AICP_ERR_PARSE, 23},
        {"{\"model\":\"m\",\"time\":\"noon\"}", AICP_ERR_PARSE, 21},
        {"{\"model\":7}", AICP_ERR_PARSE, 10},
        {"[]", AICP_ERR_PARSE, 1},
    };
    policies_alone p = alone_new();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        aicp_error err = {0};
        cr_assert_eq(
            aicp_gate_question_parse(
                wrong[i].text, strlen(wrong[i].text), NULL, NULL, p.request, &err),
            wrong[i].status,
            "%s",
            wrong[i].text);
        cr_assert_eq(err.column, wrong[i].column, "%s: %u", wrong[i].text, err.column);
    }
    alone_free(&p);
}
