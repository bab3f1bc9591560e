#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *header(const aicp_gate_decision *d, const char *name) {
    for (size_t i = 0; i < aicp_gate_decision_header_count(d); i++) {
        if (strcmp(aicp_gate_decision_header_name(d, i), name) == 0) {
            return aicp_gate_decision_header_value(d, i);
        }
    }
    return "";
}

static void
expect_refused(const aicp_gate_decision *d, int32_t http, const char *step, const char *rule) {
    cr_assert_eq(aicp_gate_decision_verdict(d), AICP_GATE_DENY);
    cr_assert_eq(aicp_gate_decision_http_status(d), http, "%s", aicp_gate_decision_message(d));
    cr_assert_str_eq(aicp_gate_decision_step(d), step, "%s", aicp_gate_decision_message(d));
    cr_assert_str_eq(aicp_gate_decision_rule(d), rule);
    cr_assert_gt(strlen(aicp_gate_decision_message(d)), 10);
    cr_assert_gt(strlen(aicp_gate_decision_advice(d)), 5);
}

static void expect_allowed(const aicp_gate_decision *d) {
    cr_assert_eq(
        aicp_gate_decision_verdict(d),
        AICP_GATE_ALLOW,
        "%s: %s",
        aicp_gate_decision_step(d),
        aicp_gate_decision_message(d));
    cr_assert_eq(aicp_gate_decision_http_status(d), 200);
    cr_assert_str_eq(aicp_gate_decision_step(d), "");
}

Test(gate, allows_counts_prices_and_settles) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("gpt-4o-mini", "Hello"));
    expect_allowed(d);
    cr_assert_eq(aicp_gate_decision_input_tokens(d), 8); /* 3 + role 1 + text 1 + primer 3 */
    cr_assert_gt(aicp_gate_decision_cost_expected_nano(d), 0);
    cr_assert_gt(aicp_gate_decision_reserved_nano(d), aicp_gate_decision_cost_expected_nano(d));
    cr_assert_eq(aicp_gate_decision_body_changed(d), 0);
    aicp_usage usage = AICP_USAGE_INIT;
    int64_t cost = 0;
    usage.prompt_tokens = 8;
    usage.completion_tokens = 10;
    cr_assert_eq(aicp_gate_settle(f.gate, d, &usage, -1, &cost, NULL), AICP_OK);
    cr_assert_eq(cost, 8 * 150 + 10 * 600); /* nano-dollars */
    cr_assert_eq(aicp_gate_settle(f.gate, d, &usage, -1, &cost, NULL), AICP_ERR_STATE);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, policy_refuses_with_the_words_of_the_policy) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(&f, "red", gate_chat("gpt-5", "Hello"));
    expect_refused(d, 403, "policy", "red-no-gpt5");
    cr_assert_str_eq(aicp_gate_decision_message(d), "team red may not use gpt-5");
    cr_assert_str_eq(aicp_gate_decision_advice(d), "use gpt-4o-mini");
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, a_fallback_is_held_to_policy_and_reservation) {
    gate_fixture f = gate_fixture_new();
    int32_t allowed = 1;
    aicp_gate_decision *d = gate_ask(&f, "red", gate_chat("gpt-4o-mini", "Hello"));
    expect_allowed(d);
    int64_t before = aicp_gate_decision_reserved_nano(d);
    cr_assert_eq(aicp_gate_candidate(f.gate, d, "gpt-5", 5, 1000000000, &allowed, NULL), AICP_OK);
    cr_assert_eq(allowed, 0);
    cr_assert_eq(aicp_gate_candidate(f.gate, d, "gpt-4o", 6, 1000000000, &allowed, NULL), AICP_OK);
    cr_assert_eq(allowed, 1);
    cr_assert_gt(aicp_gate_decision_reserved_nano(d), before, "the dearer model is covered");
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, the_sixth_request_waits_exactly_as_long_as_it_is_told) {
    gate_fixture f = gate_fixture_new();
    for (int i = 0; i < 5; i++) {
        aicp_gate_decision *d = gate_ask(&f, "limited", gate_chat("gpt-4o-mini", "Hello"));
        expect_allowed(d);
        aicp_usage usage = AICP_USAGE_INIT;
        cr_assert_eq(aicp_gate_settle(f.gate, d, &usage, 0, NULL, NULL), AICP_OK);
        aicp_gate_decision_free(d);
    }
    aicp_gate_decision *d = gate_ask(&f, "limited", gate_chat("gpt-4o-mini", "Hello"));
    expect_refused(d, 429, "limits", "five");
    cr_assert_str_eq(header(d, "Retry-After"), "12");
    cr_assert_str_eq(header(d, "RateLimit-Policy"), "\"five\";q=5;w=60");
    aicp_gate_decision_free(d);
    test_clock_advance(f.time, UINT64_C(11999999999));
    d = gate_ask(&f, "limited", gate_chat("gpt-4o-mini", "Hello"));
    expect_refused(d, 429, "limits", "five");
    aicp_gate_decision_free(d);
    test_clock_advance(f.time, 1);
    d = gate_ask(&f, "limited", gate_chat("gpt-4o-mini", "Hello"));
    expect_allowed(d);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, a_slot_is_free_again_when_its_decision_ends) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *first = gate_ask(&f, "parallel", gate_chat("gpt-4o-mini", "a"));
    aicp_gate_decision *second = gate_ask(&f, "parallel", gate_chat("gpt-4o-mini", "b"));
    aicp_gate_decision *third = gate_ask(&f, "parallel", gate_chat("gpt-4o-mini", "c"));
    expect_allowed(first);
    expect_allowed(second);
    expect_refused(third, 429, "limits", "two-at-once");
    aicp_gate_decision_free(third);
    aicp_gate_decision_free(first);
    third = gate_ask(&f, "parallel", gate_chat("gpt-4o-mini", "c"));
    expect_allowed(third);
    aicp_gate_decision_free(second);
    aicp_gate_decision_free(third);
    gate_fixture_free(&f);
}

Test(gate, a_guardrail_block_keeps_its_request_charge) {
    gate_fixture f = gate_fixture_new();
    const char *policy_limits =
        "[{\"id\":\"one\",\"kind\":\"requests\",\"limit\":1,\"window\":\"1m\"}]";
    gate_write(&f.folder, "limits.json", policy_limits);
    gate_seal(&f.folder, "v2");
    int32_t changed = 0;
    cr_assert_eq(aicp_gate_reload(f.gate, &changed, NULL), AICP_OK);
    cr_assert_eq(changed, 1);
    aicp_gate_decision *d = gate_ask(&f, "red", gate_chat("gpt-5", "refused before limits"));
    expect_refused(d, 403, "policy", "red-no-gpt5");
    aicp_gate_decision_free(d);
    d = gate_ask(&f, "strict", gate_chat("gpt-4o-mini", "write to maria@example.com"));
    cr_assert_str_eq(aicp_gate_decision_step(d), "guardrail");
    cr_assert_eq(aicp_gate_decision_http_status(d), 400);
    aicp_gate_decision_free(d);
    d = gate_ask(&f, "strict", gate_chat("gpt-4o-mini", "hello"));
    expect_refused(d, 429, "limits", "one");
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, masks_before_the_model_and_restores_in_the_answer) {
    gate_fixture f = gate_fixture_new();
    size_t len = 0;
    aicp_gate_decision *d =
        gate_ask(&f, "restore", gate_chat("gpt-4o-mini", "write to maria@example.com"));
    expect_allowed(d);
    cr_assert_eq(aicp_gate_decision_body_changed(d), 1);
    const char *body = aicp_gate_decision_body(d, &len);
    cr_assert_null(strstr(body, "maria@"), "%s", body);
    cr_assert_not_null(strstr(body, "<EMAIL_ADDRESS_1>"), "%s", body);
    const char *answer =
        "{\"choices\":[{\"message\":{\"content\":\"I wrote to <EMAIL_ADDRESS_1>.\"}}]}";
    aicp_buf out = AICP_BUF_INIT;
    int32_t verdict = AICP_GATE_DENY;
    cr_assert_eq(
        aicp_gate_output(f.gate, d, answer, strlen(answer), &out, &verdict, NULL), AICP_OK);
    cr_assert_eq(verdict, AICP_GATE_ALLOW);
    cr_assert_str_eq(
        out.data, "{\"choices\":[{\"message\":{\"content\":\"I wrote to maria@example.com.\"}}]}");
    aicp_buf_free(&out);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, streams_restore_placeholders_however_they_are_cut) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d =
        gate_ask(&f, "restore", gate_chat("gpt-4o-mini", "write to maria@example.com"));
    const char *answer = "To <EMAIL_ADDRESS_1>: done, <EMAIL_ADDRESS_1>!";
    char got[256] = "";
    aicp_gate_stream *stream = NULL;
    cr_assert_eq(aicp_gate_stream_open(f.gate, d, &stream, NULL), AICP_OK);
    for (size_t i = 0; i <= strlen(answer); i++) {
        aicp_buf out = AICP_BUF_INIT;
        int32_t verdict = AICP_GATE_DENY;
        bool last = i == strlen(answer);
        cr_assert_eq(
            aicp_gate_stream_feed(stream, answer + i, last ? 0 : 1, last, &out, &verdict, NULL),
            AICP_OK);
        cr_assert_eq(verdict, AICP_GATE_ALLOW);
        size_t used = strlen(got);
        snprintf(got + used, sizeof got - used, "%.*s", (int)out.len, out.data);
        aicp_buf_free(&out);
    }
    cr_assert_str_eq(got, "To maria@example.com: done, maria@example.com!");
    aicp_gate_stream_free(stream);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, max_tokens_is_patched_down_while_money_is_short_then_refused_then_raised) {
    gate_fixture f = gate_fixture_new();
    size_t len = 0;
    aicp_gate_decision *d = gate_ask(&f, "poor", gate_chat("gpt-4o", "Hello"));
    expect_allowed(d);
    int64_t cap = aicp_gate_decision_max_tokens(d);
    cr_assert_gt(cap, 16);
    cr_assert_lt(cap, 200); /* 0.002 USD buy at most 200 output tokens */
    cr_assert_leq(aicp_gate_decision_reserved_nano(d), 2000000);
    char expected[64];
    snprintf(expected, sizeof expected, "{\"max_tokens\":%d,\"model\"", (int)cap);
    cr_assert_eq(strncmp(aicp_gate_decision_body(d, &len), expected, strlen(expected)), 0);
    aicp_usage usage = AICP_USAGE_INIT;
    cr_assert_eq(aicp_gate_settle(f.gate, d, &usage, 1999000, NULL, NULL), AICP_OK);
    aicp_gate_decision_free(d);

    d = gate_ask(&f, "poor", gate_chat("gpt-4o", "Hello"));
    expect_refused(d, 422, "budget", "poor");
    cr_assert_str_eq(aicp_gate_decision_type(d), "budget_exceeded");
    aicp_gate_decision_free(d);

    gate_write(
        &f.folder,
        "accounts.json",
        "[{\"id\":\"poor\",\"match\":{\"team\":[\"poor\"]},\"hard\":\"5\",\"duration\":\"1mo\"}]");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    d = gate_ask(&f, "poor", gate_chat("gpt-4o", "Hello"));
    expect_allowed(d);
    cr_assert_eq(aicp_gate_decision_max_tokens(d), -1);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, an_account_per_team_is_named_after_the_team) {
    gate_fixture f = gate_fixture_new();
    gate_write(
        &f.folder,
        "accounts.json",
        "[{\"id\":\"a\",\"per\":[\"team\",\"key\"],\"hard\":\"0\",\"duration\":\"never\"}]");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    aicp_gate_decision *d = gate_ask(&f, "one:two%", gate_chat("gpt-4o", "Hello"));
    expect_refused(d, 422, "budget", "a:one%3Atwo%25:key-1");
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, what_is_not_settled_goes_back) {
    gate_fixture f = gate_fixture_new();
    for (int i = 0; i < 50; i++) { /* each reserves all that there is */
        aicp_gate_decision *d = gate_ask(&f, "poor", gate_chat("gpt-4o", "Hello"));
        expect_allowed(d);
        aicp_gate_decision_free(d);
    }
    gate_fixture_free(&f);
}

Test(gate, an_unknown_price_cannot_be_covered_by_a_hard_budget) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("nobody-knows-me", "Hello"));
    cr_assert_str_eq(aicp_gate_decision_type(d), "price_unknown");
    cr_assert_eq(aicp_gate_decision_http_status(d), 422);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, aliases_and_redirects_change_the_model) {
    gate_fixture f = gate_fixture_new();
    size_t len = 0;
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("fast", "Hello"));
    expect_allowed(d);
    cr_assert_str_eq(aicp_gate_decision_model(d), "gpt-4o-mini");
    cr_assert_not_null(strstr(aicp_gate_decision_body(d, &len), "\"model\":\"gpt-4o-mini\""));
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, maintenance_refuses_with_its_message) {
    gate_fixture f = gate_fixture_new();
    gate_write(
        &f.folder,
        "routes.json",
        "{\"maintenance\":{\"enabled\":true,\"message\":\"back at noon\"}}");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("gpt-4o", "Hello"));
    expect_refused(d, 503, "route", "maintenance");
    cr_assert_str_eq(aicp_gate_decision_message(d), "back at noon");
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, a_broken_bundle_is_refused_and_the_last_good_one_stays) {
    gate_fixture f = gate_fixture_new();
    aicp_error err = {0};
    aicp_buf text = AICP_BUF_INIT;
    gate_write(&f.folder, "manifest.json", "{\n\"format\":\"aicp-bundle/1\",,\n}");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, &err), AICP_ERR_PARSE);
    cr_assert_eq(err.line, 2);
    cr_assert_eq(err.column, 26);
    cr_assert_eq(aicp_gate_bundle_version(f.gate, &text, NULL), AICP_OK);
    cr_assert_str_eq(text.data, "v1");
    aicp_buf_free(&text);
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("gpt-4o-mini", "Hello"));
    expect_allowed(d);
    aicp_gate_decision_free(d);
    cr_assert_eq(aicp_gate_metrics(f.gate, &text, NULL), AICP_OK);
    cr_assert_not_null(strstr(text.data, "line 2, column 26"), "%s", text.data);
    aicp_buf_free(&text);
    gate_fixture_free(&f);
}

Test(gate, malformed_bodies_are_refusals_with_a_place) {
    gate_fixture f = gate_fixture_new();
    const char *bad[] = {
        "", "nonsense", "{\"model\":\"m\",}", "{\"messages\":[]}", "{\"model\":7}", "[1]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        aicp_gate_decision *d = gate_ask(&f, "blue", bad[i]);
        cr_assert_eq(aicp_gate_decision_http_status(d), 400, "%s", bad[i]);
        cr_assert_str_eq(aicp_gate_decision_step(d), "parse", "%s", bad[i]);
        aicp_gate_decision_free(d);
    }
    gate_fixture_free(&f);
}

Test(gate, waits_only_when_allowed) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = NULL;
    const char *body = gate_chat("gpt-4o-mini", "Hello");
    aicp_gate_request_reset(f.request);
    cr_assert_eq(aicp_gate_request_set_body(f.request, body, strlen(body), NULL), AICP_OK);
    cr_assert_eq(aicp_gate_request_set(f.request, AICP_GATE_TEAM, "new", 3, NULL), AICP_OK);
    cr_assert_eq(aicp_gate_check(f.gate, f.request, 0, &d, NULL), AICP_ERR_WOULD_BLOCK);
    cr_assert_null(d);
    cr_assert_eq(aicp_gate_check(f.gate, f.request, 1000000000, &d, NULL), AICP_OK);
    expect_allowed(d);
    aicp_gate_decision_free(d);
    cr_assert_eq(
        aicp_gate_check(f.gate, f.request, 0, &d, NULL),
        AICP_OK,
        "inside the slice it does not wait");
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

Test(gate, events_tell_decision_and_settlement) {
    gate_fixture f = gate_fixture_new();
    aicp_buf text = AICP_BUF_INIT;
    aicp_gate_decision *d = gate_ask(&f, "blue", gate_chat("gpt-4o-mini", "Hello"));
    aicp_usage usage = AICP_USAGE_INIT;
    usage.prompt_tokens = 8;
    usage.completion_tokens = 1;
    cr_assert_eq(aicp_gate_settle(f.gate, d, &usage, -1, NULL, NULL), AICP_OK);
    cr_assert_eq(aicp_gate_events(f.gate, &text, NULL), AICP_OK);
    cr_assert_not_null(strstr(text.data, "\"event\":\"bundle\""), "%s", text.data);
    cr_assert_not_null(strstr(text.data, "\"event\":\"decision\""), "%s", text.data);
    cr_assert_not_null(strstr(text.data, "\"cost\":\"0.0000018\""), "%s", text.data);
    aicp_buf_free(&text);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
}

/* ---- names ---- */

static const char named_limits[] =
    "[{\"id\":\"rl-1\",\"name\":\"Calls of red\",\"kind\":\"requests\",\"limit\":0,"
    "\"window\":\"1m\",\"match\":{\"team\":[\"red\"]}}]";
static const char named_accounts[] =
    "[{\"id\":\"7f1c\",\"name\":\"Monthly\",\"per\":[\"team\"],\"match\":{\"team\":[\"green\"]},"
    "\"hard\":\"0\",\"duration\":\"1mo\"},"
    "{\"id\":\"8a2d\",\"name\":\"All of it\",\"match\":{\"team\":[\"grey\"]},\"hard\":\"0\","
    "\"duration\":\"1mo\"}]";

static void expect_sentence(
    gate_fixture *f, const char *team, int status, const char *rule, const char *begin) {
    aicp_gate_decision *d = gate_ask(f, team, gate_chat("gpt-4o", "Hello"));
    cr_assert_eq(aicp_gate_decision_http_status(d), status);
    cr_assert_str_eq(aicp_gate_decision_rule(d), rule);
    const char *message = aicp_gate_decision_message(d);
    cr_assert_eq(strncmp(message, begin, strlen(begin)), 0, "%s", message);
    aicp_gate_decision_free(d);
}

Test(gate, sentences_name_rules_as_people_do_and_the_rule_stays_its_id) {
    gate_fixture f = gate_fixture_new();
    gate_write(&f.folder, "limits.json", named_limits);
    gate_write(&f.folder, "accounts.json", named_accounts);
    gate_seal(&f.folder, "named");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, NULL), AICP_OK);
    expect_sentence(&f, "red", 429, "rl-1", "limit \"Calls of red\" of 0 requests a minute");
    expect_sentence(&f, "green", 422, "7f1c:green", "budget \"Monthly\" of green has ");
    expect_sentence(&f, "grey", 422, "8a2d", "budget \"All of it\" has ");
    gate_fixture_free(&f);
}
