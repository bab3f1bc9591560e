/* A request that goes on to another model is held to that model's limits too. */
#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <string.h>

static const char limits[] =
    "[{\"id\":\"team\",\"kind\":\"requests\",\"limit\":3,\"window\":\"1m\",\"per\":[\"team\"]},"
    "{\"id\":\"any-model\",\"kind\":\"requests\",\"limit\":2,\"window\":\"1m\",\"per\":[\"model\"]}"
    ","
    "{\"id\":\"one-gpt-4o\",\"kind\":\"concurrency\",\"limit\":1,\"match\":{\"model\":[\"gpt-4o\"]}"
    "}]";

static gate_fixture set_up(void) {
    gate_fixture f = gate_fixture_new();
    gate_write(&f.folder, "limits.json", limits);
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    return f;
}

static int32_t may_use(gate_fixture *f, aicp_gate_decision *d, const char *model) {
    int32_t allowed = -1;
    aicp_error err = {0};
    cr_assert_eq(
        aicp_gate_candidate(f->gate, d, model, strlen(model), 1000000000, &allowed, &err),
        AICP_OK,
        "%s",
        err.message);
    return allowed;
}

static aicp_gate_decision *ask_allowed(gate_fixture *f, const char *team, const char *model) {
    aicp_gate_decision *d = gate_ask(f, team, gate_chat(model, "Hello"));
    cr_assert_eq(
        aicp_gate_decision_verdict(d), AICP_GATE_ALLOW, "%s", aicp_gate_decision_message(d));
    return d;
}

static void expect_rule(gate_fixture *f, const char *team, const char *model, const char *rule) {
    aicp_gate_decision *d = gate_ask(f, team, gate_chat(model, "Hello"));
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_DENY);
    cr_assert_str_eq(aicp_gate_decision_rule(d), rule);
    aicp_gate_decision_free(d);
}

Test(candidate, uses_up_the_limit_of_the_model_it_goes_to) {
    gate_fixture f = set_up();
    for (int i = 0; i < 2; i++) {
        aicp_gate_decision *d = ask_allowed(&f, i ? "a" : "b", "gpt-4o-mini");
        cr_assert_eq(may_use(&f, d, "gpt-5"), 1);
        cr_assert_eq(may_use(&f, d, "gpt-5"), 1, "asked twice, charged once");
        cr_assert_eq(aicp_gate_settle(f.gate, d, NULL, 5, NULL, NULL), AICP_OK);
        aicp_gate_decision_free(d);
    }
    expect_rule(&f, "c", "gpt-5", "any-model");
    aicp_gate_decision *d = ask_allowed(&f, "d", "gpt-4o");
    cr_assert_eq(may_use(&f, d, "gpt-5"), 0);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(candidate, is_not_charged_again_on_what_the_check_charged) {
    gate_fixture f = set_up();
    for (int i = 0; i < 3; i++) {
        const char *const models[] = {"gpt-4o-mini", "gpt-4o-mini", "gpt-5"};
        aicp_gate_decision *d = ask_allowed(&f, "same", models[i]);
        cr_assert_eq(may_use(&f, d, "gpt-4o"), i < 2, "its own limit of two");
        cr_assert_eq(aicp_gate_settle(f.gate, d, NULL, 5, NULL, NULL), AICP_OK);
        aicp_gate_decision_free(d);
    }
    expect_rule(&f, "same", "o3", "team");
    gate_fixture_free(&f);
}

Test(candidate, a_released_request_gives_the_candidates_limits_back) {
    gate_fixture f = set_up();
    aicp_gate_decision *d = ask_allowed(&f, "a", "gpt-4o-mini");
    cr_assert_eq(may_use(&f, d, "gpt-4o"), 1);
    expect_rule(&f, "b", "gpt-4o", "one-gpt-4o");
    aicp_gate_decision_free(d);
    for (int i = 0; i < 2; i++) {
        d = ask_allowed(&f, "b", "gpt-4o");
        cr_assert_eq(aicp_gate_settle(f.gate, d, NULL, 5, NULL, NULL), AICP_OK);
        aicp_gate_decision_free(d);
    }
    gate_fixture_free(&f);
}

Test(candidate, takes_all_limits_of_a_model_or_none) {
    gate_fixture f = set_up();
    aicp_gate_decision *holder = ask_allowed(&f, "a", "gpt-4o");
    aicp_gate_decision *d = ask_allowed(&f, "b", "gpt-4o-mini");
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(may_use(&f, d, "gpt-4o"), 0, "the only slot is taken");
    }
    aicp_gate_decision_free(holder);
    cr_assert_eq(may_use(&f, d, "gpt-4o"), 1, "the refused tries left no charge");
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(candidate, a_model_too_dear_for_the_budget_leaves_its_limits_as_they_were) {
    gate_fixture f = set_up();
    aicp_gate_decision *d = gate_ask(
        &f,
        "poor",
        "{\"model\":\"gpt-4o-mini\",\"max_tokens\":1000,"
        "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}");
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_ALLOW);
    cr_assert_eq(may_use(&f, d, "gpt-4o"), 0, "0.01 USD of 0.002");
    aicp_gate_decision *other = ask_allowed(&f, "a", "gpt-4o");
    aicp_gate_decision_free(other);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(candidate, more_models_than_a_request_can_try_are_an_error) {
    gate_fixture f = set_up();
    aicp_gate_decision *d = gate_ask(&f, "", gate_chat("model-0", "Hello"));
    aicp_error err = {0};
    aicp_status status = AICP_OK;
    int32_t allowed = 1;
    for (char i = 0; i < 20 && status == AICP_OK; i++) {
        char name[] = {'c', (char)('a' + i), 0};
        status = aicp_gate_candidate(f.gate, d, name, 2, 1000000000, &allowed, &err);
    }
    cr_assert_eq(status, AICP_ERR_LIMIT, "%s", err.message);
    cr_assert_eq(allowed, 0);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}
