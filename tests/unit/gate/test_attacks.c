/* Requests that try to get past the gate by their shape. */
#include "lib/gate/gate_internal.h"
#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect_refused(const char *team, const char *body, const char *step) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(&f, team, body);
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_DENY, "%s", body);
    cr_assert_str_eq(aicp_gate_decision_step(d), step, "%s", body);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(attacks, control_characters_in_a_model_name_are_refused) {
    expect_refused("blue", "{\"model\":\"gpt-4o\\u0000-pro\",\"messages\":[]}", "parse");
    expect_refused("blue", "{\"model\":\"gpt-4o\\r\\nx: y\",\"messages\":[]}", "parse");
    expect_refused("blue", "{\"model\":\"gpt-4o\\u007f\",\"messages\":[]}", "parse");
}

Test(attacks, numbers_that_a_provider_might_read_otherwise_are_refused) {
    static const char *const members[] = {
        "\"max_tokens\":\"100000\"",
        "\"max_tokens\":-1",
        "\"max_tokens\":1e30",
        "\"max_completion_tokens\":1.5",
        "\"max_output_tokens\":[5]",
        "\"n\":\"100\"",
        "\"n\":-2",
        "\"best_of\":2.5"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"model\":\"gpt-4o\",%s,\"messages\":[]}", members[i]);
        expect_refused("blue", body, "parse");
    }
}

Test(attacks, an_extra_body_must_not_replace_what_was_checked) {
    static const char *const members[] = {
        "\"model\":\"gpt-5\"", "\"messages\":[]", "\"max_tokens\":9", "\"n\":4", "\"tools\":[]"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char body[256];
        snprintf(
            body,
            sizeof body,
            "{\"model\":\"gpt-4o\",\"messages\":[],\"extra_body\":{%s}}",
            members[i]);
        expect_refused("blue", body, "parse");
    }
}

Test(attacks, every_cap_is_patched_down) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(
        &f,
        "poor",
        "{\"model\":\"gpt-4o\",\"max_tokens\":9000,\"max_completion_tokens\":9000,"
        "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}");
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_ALLOW);
    cr_assert_lt(aicp_gate_decision_max_tokens(d), 9000);
    cr_assert_gt(aicp_gate_decision_max_tokens(d), 0);
    size_t len = 0;
    cr_assert_null(strstr(aicp_gate_decision_body(d, &len), "9000"));
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

/* Team "strict" blocks addresses; each body hides one behind a key that sounds technical. */
Test(attacks, personal_data_is_found_whatever_the_key) {
    static const char *const bodies[] = {
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
        "\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":"
        "\"write to maria@example.com\"}}]}]}",
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"name\":\"maria@example.com\","
        "\"content\":\"hi\"}]}",
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"tool_use\",\"id\":\"t\",\"name\":\"mail\",\"input\":{\"name\":\"maria@example.com\"}}]}"
        "]}",
        "{\"model\":\"gpt-4o\",\"messages\":[],\"prediction\":{\"type\":\"content\",\"content\":"
        "\"maria@example.com\"}}",
        "{\"model\":\"gpt-4o\",\"messages\":[],\"extra_body\":{\"chat\":[\"maria@example.com\"]}}",
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"x\","
        "\"url\":\"see: maria@example.com please\"}]}]}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        expect_refused("strict", bodies[i], "guardrail");
    }
}

Test(attacks, no_tool_hides_behind_others_or_another_name) {
    gate_fixture f = gate_fixture_new();
    gate_write(
        &f.folder,
        "policies.cedar",
        "permit (principal, action, resource);\n"
        "forbid (principal, action, resource) when { context.tools.contains(\"shell\") };\n");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    static const char *const shapes[] = {
        "\"tools\":[{\"name\":\"shell\"}]",
        "\"tools\":[{\"type\":\"function\",\"name\":\"ok\",\"function\":{\"name\":\"shell\"}}]",
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"shell\"},\"name\":\"ok\"}]",
        "\"functions\":[{\"name\":\"shell\"}]",
        "\"tools\":[{\"type\":\"shell\"}]"};
    char body[16384];
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        snprintf(body, sizeof body, "{\"model\":\"gpt-4o\",\"messages\":[],%s}", shapes[i]);
        aicp_gate_decision *d = gate_ask(&f, "blue", body);
        cr_assert_str_eq(aicp_gate_decision_step(d), "policy", "%s", body);
        aicp_gate_decision_free(d);
    }
    for (int others = 100; others <= 300; others += 200) {
        int n = snprintf(body, sizeof body, "{\"model\":\"gpt-4o\",\"messages\":[],\"tools\":[");
        for (int i = 0; i < others; i++) {
            n += snprintf(body + n, sizeof body - (size_t)n, "{\"name\":\"tool%d\"},", i);
        }
        snprintf(body + n, sizeof body - (size_t)n, "{\"name\":\"shell\"}]}");
        aicp_gate_decision *d = gate_ask(&f, "blue", body);
        cr_assert_str_eq(aicp_gate_decision_step(d), others < 256 ? "policy" : "parse");
        aicp_gate_decision_free(d);
    }
    gate_fixture_free(&f);
}

static void account_of(gate_fixture *f, const char *team, char out[300]) {
    aicp_gate_decision *d = gate_ask(f, team, gate_chat("gpt-4o", "Hello"));
    cr_assert_str_eq(aicp_gate_decision_step(d), "budget");
    snprintf(out, 300, "%s", aicp_gate_decision_rule(d));
    aicp_gate_decision_free(d);
}

Test(attacks, different_values_have_different_accounts_and_every_value_has_one) {
    gate_fixture f = gate_fixture_new();
    char id[300];
    char again[300];
    char colons[97];
    memset(colons, ':', 96);
    colons[96] = '\0';
    gate_write(
        &f.folder,
        "accounts.json",
        "[{\"id\":\"a\",\"per\":[\"team\"],\"hard\":\"0\",\"duration\":\"never\"}]");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    account_of(&f, "one\ntwo\x7f", id);
    cr_assert_str_eq(id, "a:one%0Atwo%7F");
    account_of(&f, colons, id);
    cr_assert_eq(strncmp(id, "a:%h", 4), 0, "%s", id);
    account_of(&f, id + 4, again); /* the hash itself as a name */
    cr_assert_str_neq(id, again);
    gate_fixture_free(&f);
}

Test(attacks, names_that_callers_choose_do_not_fill_the_memory) {
    gate_fixture f = gate_fixture_new();
    gate_write(
        &f.folder,
        "accounts.json",
        "[{\"id\":\"a\",\"per\":[\"team\"],\"hard\":\"0\",\"duration\":\"never\"}]");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    for (size_t i = 0; i < AICPI_KNOWN_ACCOUNTS_MAX; i++) { /* as if so many had come already */
        bool inserted = false;
        char name[32];
        int n = snprintf(name, sizeof name, "filler-%zu", i);
        const char *kept = aicpi_arena_strndup(&f.gate->accounts_arena, name, (size_t)n);
        cr_assert_not_null(aicpi_map_put(&f.gate->accounts, kept, (size_t)n, &inserted));
    }
    char id[300];
    account_of(&f, "one-more", id);
    cr_assert_eq(f.gate->accounts.count, 1);
    gate_fixture_free(&f);
}

Test(attacks, an_address_in_a_tools_description_does_not_leave_the_house) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(
        &f,
        "a",
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"tools\":"
        "[{\"type\":\"function\",\"function\":{\"name\":\"mail\",\"description\":\"mail "
        "carol.jones@corp.example\",\"parameters\":{\"type\":\"object\",\"required\":[\"to\"],"
        "\"properties\":{\"to\":{\"type\":\"string\"}}}}}]}");
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_ALLOW);
    const char *body = aicp_gate_decision_body(d, NULL);
    cr_assert_null(strstr(body, "carol"), "%s", body);
    cr_assert_not_null(strstr(body, "\"required\":[\"to\"],\"properties\":{\"to\":{\"type\""));
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(attacks, a_large_request_does_not_stay_in_memory) {
    gate_fixture f = gate_fixture_new();
    static char body[3 << 20];
    int n = snprintf(body, sizeof body, "{\"model\":\"gpt-4o\",\"x\":\"");
    memset(body + n, 'a', sizeof body - (size_t)n - 64);
    static const char end[] = "\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
    memcpy(body + sizeof body - 64, end, sizeof end);
    aicp_gate_decision *d = gate_ask(&f, "a", body);
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_ALLOW);
    aicp_gate_decision_free(d);
    cr_assert_null(f.gate->idle_decisions);
    cr_assert_null(f.gate->idle_work);
    aicp_gate_decision_free(gate_ask(&f, "a", gate_chat("gpt-4o", "Hi")));
    cr_assert_eq(f.gate->idle_decision_count, 1);
    cr_assert_eq(f.gate->idle_work_count, 1);
    gate_fixture_free(&f);
}

Test(attacks, a_cap_that_another_member_overrides_is_not_patched) {
    expect_refused(
        "poor",
        "{\"model\":\"gpt-4o\",\"generationConfig\":{\"maxOutputTokens\":9000},"
        "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}",
        "budget");
}

Test(attacks, a_fallback_is_no_way_around_a_models_guardrail) {
    gate_fixture f = gate_fixture_new();
    gate_write(
        &f.folder,
        "guardrails.json",
        "{\"default\":\"standard\",\"profiles\":["
        "{\"name\":\"standard\",\"pii\":{\"action\":\"mask\"}},"
        "{\"name\":\"strict\",\"pii\":{\"action\":\"block\"}}],"
        "\"assignments\":[{\"match\":{\"model\":[\"gpt-5\"]},\"profile\":\"strict\"}]}");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("gpt-4o", "Hello"));
    int32_t allowed = 1;
    cr_assert_eq(aicp_gate_candidate(f.gate, d, "gpt-5", 5, 2000000000, &allowed, NULL), AICP_OK);
    cr_assert_not(allowed);
    cr_assert_eq(
        aicp_gate_candidate(f.gate, d, "gpt-4o-mini", 11, 2000000000, &allowed, NULL), AICP_OK);
    cr_assert(allowed);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(attacks, a_fallback_is_no_way_around_a_models_budget) {
    gate_fixture f = gate_fixture_new();
    int32_t allowed = 1;
    gate_write(
        &f.folder,
        "accounts.json",
        "[{\"id\":\"dear\",\"match\":{\"model\":[\"gpt-5\"]},\"hard\":\"0\",\"duration\":\"never\"}"
        "]");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("gpt-4o-mini", "Hello"));
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_ALLOW);
    cr_assert_eq(aicp_gate_candidate(f.gate, d, "gpt-5", 5, 1000000000, &allowed, NULL), AICP_OK);
    cr_assert_eq(allowed, 0);
    cr_assert_eq(aicp_gate_candidate(f.gate, d, "gpt-4o", 6, 1000000000, &allowed, NULL), AICP_OK);
    cr_assert_eq(allowed, 1);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}
