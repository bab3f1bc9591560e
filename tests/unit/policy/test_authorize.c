/* Decisions, reasons, errors. */
#include "unit/policy/policy_test.h"

Test(policy, nothing_satisfied_denies_without_reason) {
    policy_case c = policy_open("permit (principal == User::\"bob\", action, resource);", NULL);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY);
    cr_expect_eq(aicp_policy_response_reason_count(c.response), 0);
    cr_expect_null(aicp_policy_response_reason_id(c.response, 0));
    cr_expect_eq(aicp_policy_response_reason_index(c.response, 0), SIZE_MAX);
    policy_close(&c);
}

Test(policy, forbid_wins_over_permit) {
    policy_case c = policy_open(
        "permit (principal, action, resource);"
        "forbid (principal, action, resource) when { resource == Doc::\"d\" };"
        "permit (principal, action, resource);"
        "forbid (principal, action, resource) unless { false };",
        NULL);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY);
    cr_assert_eq(aicp_policy_response_reason_count(c.response), 2);
    cr_expect_str_eq(aicp_policy_response_reason_id(c.response, 0), "policy1");
    cr_expect_eq(aicp_policy_response_reason_index(c.response, 1), 3);
    policy_close(&c);
}

Test(policy, all_satisfied_permits_are_reasons) {
    policy_case c = policy_open(
        "permit (principal, action, resource);"
        "permit (principal is Group, action, resource);"
        "permit (principal is User, action in [Action::\"x\", Action::\"view\"], resource);",
        NULL);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    cr_assert_eq(aicp_policy_response_reason_count(c.response), 2);
    cr_expect_str_eq(aicp_policy_response_reason_id(c.response, 1), "policy2");
    policy_close(&c);
}

Test(policy, an_error_skips_its_policy_and_is_reported_with_place_and_kind) {
    policy_case c = policy_open(
        "permit (principal, action, resource);\n"
        "forbid (principal, action, resource)\n"
        "when { true && context.missing };\n"
        "forbid (principal, action, resource) when { 1 + \"a\" == 2 };\n"
        "forbid (principal, action, resource) when { principal.x };\n"
        "forbid (principal, action, resource) when { 1 };",
        NULL);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    cr_assert_eq(aicp_policy_response_error_count(c.response), 4);
    cr_expect_str_eq(aicp_policy_response_error_id(c.response, 0), "policy1");
    cr_expect_eq(aicp_policy_response_error_index(c.response, 0), 1);
    cr_expect_eq(aicp_policy_response_error_kind(c.response, 0), AICP_POLICY_ERROR_RECORD_ATTR);
    cr_expect_eq(aicp_policy_response_error_status(c.response, 0), AICP_ERR_POLICY_ENTITY);
    cr_expect_str_eq(
        aicp_policy_response_error_message(c.response, 0),
        "the record has no attribute \"missing\"");
    cr_expect_eq(aicp_policy_response_error_line(c.response, 0), 3);
    cr_expect_eq(aicp_policy_response_error_column(c.response, 0), 24);
    cr_expect_str_eq(
        aicp_policy_response_error_message(c.response, 1), "expected long, found string");
    cr_expect_str_eq(
        aicp_policy_response_error_message(c.response, 2),
        "the entity User::\"alice\" does not exist");
    cr_expect_str_eq(
        aicp_policy_response_error_message(c.response, 3), "expected bool, found long");
    policy_close(&c);
}

Test(policy, getters_of_errors_are_safe_out_of_range) {
    policy_case c = policy_open("", NULL);
    policy_ask(&c);
    cr_expect_null(aicp_policy_response_error_id(c.response, 0));
    cr_expect_null(aicp_policy_response_error_message(c.response, 0));
    cr_expect_eq(aicp_policy_response_error_kind(c.response, 0), 0);
    cr_expect_eq(aicp_policy_response_error_status(c.response, 0), AICP_OK);
    cr_expect_eq(aicp_policy_response_error_line(c.response, 0), 0);
    cr_expect_eq(aicp_policy_response_error_column(c.response, 0), 0);
    cr_expect_eq(aicp_policy_response_error_index(c.response, 0), SIZE_MAX);
    cr_expect_str_eq(aicp_policy_error_name(1), "TypeError");
    cr_expect_str_eq(aicp_policy_error_name(0), "Unknown");
    policy_close(&c);
}

Test(policy, error_messages_stay_printable) {
    policy_case c = policy_open("permit (principal, action, resource) when { context.x };", NULL);
    aicp_policy_set_free(c.set);
    static const char text[] =
        "permit (principal, action, resource) when { context[\"a\\n\\u{1F600}\\0b\"] };";
    cr_assert_eq(aicp_policy_set_parse(text, strlen(text), NULL, &c.set, NULL), AICP_OK);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY);
    cr_expect_str_eq(
        aicp_policy_response_error_message(c.response, 0),
        "the record has no attribute \"a \xF0\x9F\x98\x80 b\"");
    policy_close(&c);
}

Test(policy, a_quick_decision_stops_at_the_first_that_settles_it) {
    policy_case c = policy_open(
        "permit (principal, action, resource);"
        "permit (principal, action, resource) when { context.missing };"
        "permit (principal, action, resource);",
        NULL);
    cr_assert_eq(
        aicp_policy_authorize(
            c.set, NULL, c.request, AICP_POLICY_DECISION_ONLY, c.response, &c.err),
        AICP_OK);
    cr_expect_eq(aicp_policy_response_decision(c.response), AICP_POLICY_ALLOW);
    cr_expect_eq(aicp_policy_response_reason_count(c.response), 1);
    cr_expect_eq(aicp_policy_response_error_count(c.response), 0);
    policy_close(&c);
}

Test(policy, an_incomplete_request_or_an_unknown_flag_is_an_error_and_reads_as_deny) {
    policy_case c = policy_open("permit (principal, action, resource);", NULL);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    cr_expect_eq(
        aicp_policy_authorize(c.set, NULL, c.request, 64, c.response, &c.err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_response_decision(c.response), AICP_POLICY_DENY);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    aicp_policy_request_reset(c.request);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, "User", 4, "a", 1, NULL), 0);
    cr_expect_eq(
        aicp_policy_authorize(c.set, NULL, c.request, 0, c.response, &c.err), AICP_ERR_STATE);
    cr_expect_str_eq(c.err.message, "the request has no action");
    cr_expect_eq(aicp_policy_response_decision(c.response), AICP_POLICY_DENY);
    cr_expect_eq(aicp_policy_response_reason_count(c.response), 0);
    policy_close(&c);
}

Test(policy, operands_are_evaluated_before_their_types_are_checked) {
    policy_case c = policy_open(
        "permit (principal, action, resource) when { \"a\" + context.x == 1 };"
        "permit (principal, action, resource) when { 1 in context.x };"
        "permit (principal, action, resource) when { 1.contains(context.x) };",
        NULL);
    policy_ask(&c);
    cr_assert_eq(aicp_policy_response_error_count(c.response), 3);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(aicp_policy_response_error_kind(c.response, i), AICP_POLICY_ERROR_RECORD_ATTR);
    }
    policy_close(&c);
}

Test(policy, a_failing_constant_call_counts_only_when_reached) {
    policy_case c = policy_open("", NULL);
    cr_expect(policy_holds(&c, "true || ip(\"nonsense\") == ip(\"1.1.1.1\")"));
    cr_expect_not(policy_holds(&c, "[ip(\"10.0.0.1\")].contains(ip(\"10.0.0.2\"))"));
    policy_close(&c);
}

Test(policy, like_takes_time_proportional_to_the_text) {
    static char text[20001];
    char condition[512];
    memset(text, 'a', sizeof text - 1);
    policy_case c = policy_open("", NULL);
    cr_assert_eq(
        aicp_policy_request_context_string(c.request, "s", text, sizeof text - 1, NULL), AICP_OK);
    char *end = stpcpy(condition, "!(context.s like \"");
    for (int i = 0; i < 60; i++) {
        end = stpcpy(end, "*a*aa");
    }
    stpcpy(end, "*b\")");
    cr_expect(policy_holds(&c, condition));
    policy_close(&c);
}

Test(policy, patterns_match_pieces_without_overlap) {
    policy_case c = policy_open("", NULL);
    cr_expect(policy_holds(&c, "\"abcabc\" like \"*abc\" && \"abc\" like \"abc\""));
    cr_expect(policy_holds(&c, "!(\"ab\" like \"ab*b\") && \"abb\" like \"ab*b\""));
    cr_expect(policy_holds(&c, "\"a*b\" like \"a\\*b\" && !(\"axb\" like \"a\\*b\")"));
    cr_expect(policy_holds(&c, "\"xaay\" like \"x*a*a*y\" && !(\"xay\" like \"x*a*a*y\")"));
    cr_expect(policy_holds(&c, "\"\" like \"***\" && !(\"\" like \"*a*\")"));
    policy_close(&c);
}

Test(policy, references_keep_a_set_and_a_store_alive) {
    policy_case c = policy_open(
        "permit (principal in Group::\"g\", action, resource);",
        "[{\"uid\":{\"type\":\"User\",\"id\":\"alice\"},\"attrs\":{},"
        "\"parents\":[{\"type\":\"Group\",\"id\":\"g\"}]}]");
    aicp_policy_set *set = aicp_policy_set_ref(c.set);
    aicp_policy_entities *entities = aicp_policy_entities_ref(c.entities);
    aicp_policy_set_free(set);
    aicp_policy_entities_free(entities);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    aicp_policy_set_free(NULL);
    aicp_policy_entities_free(NULL);
    aicp_policy_request_free(NULL);
    aicp_policy_response_free(NULL);
    policy_close(&c);
}
