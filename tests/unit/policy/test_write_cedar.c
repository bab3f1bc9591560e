/* Policies written as Cedar's text. */
#include "unit/policy/policy_test.h"

#include <stdio.h>

static aicp_policy_set *read_set(const char *text) {
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_set_parse(text, strlen(text), NULL, &set, &err);
    cr_assert_eq(status, AICP_OK, "%u:%u: %s: %s", err.line, err.column, err.message, text);
    return set;
}

/* What stands between the braces of a policy with this one condition, once written. */
static void expect_expr(const char *text, const char *expected) {
    static const char before[] = "permit (principal, action, resource)\nwhen { ";
    char policy[512];
    char whole[512];
    snprintf(policy, sizeof policy, "permit(principal,action,resource)when{%s};", text);
    snprintf(whole, sizeof whole, "%s%s };\n", before, expected);
    aicp_policy_set *set = read_set(policy);
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    aicp_status status = aicp_policy_set_write_policy(set, 0, AICP_POLICY_FORMAT_CEDAR, &out, &err);
    cr_assert_eq(status, AICP_OK, "%s: %s", text, err.message);
    cr_expect_str_eq(out.data, whole);
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
}

Test(policy_write_cedar, only_needed_parentheses_are_written) {
    expect_expr("((1 + (2 * 3)) == 7)", "1 + 2 * 3 == 7");
    expect_expr("(1 + 2) * 3 == 9", "(1 + 2) * 3 == 9");
    expect_expr("1 - (2 - 3) == 2", "1 - (2 - 3) == 2");
    expect_expr("(1 - 2) - 3 == -4", "(1 - 2) - 3 == -4");
    expect_expr("(true || false) && true", "(true || false) && true");
    expect_expr("(true && false) || true", "true && false || true");
    expect_expr("(1 < 2) == true", "(1 < 2) == true");
    expect_expr("!(true && false)", "!(true && false)");
    expect_expr("(!true) && false", "!true && false");
    expect_expr("(principal.a).b[\"c\"]", "principal.a.b.c");
    expect_expr("(if true then 1 else 2) == 1", "(if true then 1 else 2) == 1");
    expect_expr(
        "if true then (if false then 1 else 2) else 3",
        "if true then if false then 1 else 2 else 3");
    expect_expr(
        "(principal is User) && (principal in Group::\"g\")",
        "principal is User && principal in Group::\"g\"");
    expect_expr("principal is A::User in (context.g)", "principal is A::User in context.g");
    expect_expr("(principal has a) has b", "(principal has a) has b");
}

Test(policy_write_cedar, minus_and_not_are_told_from_literals) {
    expect_expr("-1 == -(1)", "-1 == -(1)");
    expect_expr("--1 == 1", "-(-1) == 1");
    expect_expr("---context.n == 1", "---context.n == 1");
    expect_expr("(-1).a", "(-1).a");
    expect_expr("-1.a", "-1.a");
    expect_expr("!!!!(!true)", "!!!!(!true)");
    expect_expr("!(-1)", "!(-1)");
    expect_expr("-(!true)", "-(!true)");
    expect_expr("-9223372036854775808 < 0", "-9223372036854775808 < 0");
    expect_expr("1 - -1 == 2", "1 - -1 == 2");
}

Test(policy_write_cedar, names_stand_without_quotes_where_they_can) {
    expect_expr("{\"a\": 1, \"b c\": 2, \"if\": 3}.a == 1", "{a: 1, \"b c\": 2, \"if\": 3}.a == 1");
    expect_expr(
        "principal[\"if\"] || principal[\"\"] || principal[\"1a\"]",
        "principal[\"if\"] || principal[\"\"] || principal[\"1a\"]");
    expect_expr(
        "principal has \"a\" && principal has \"a.b\" && principal has a.b.c",
        "principal has a && principal has \"a.b\" && principal has a.b.c");
}

Test(policy_write_cedar, calls_are_functions_or_methods) {
    expect_expr(
        "ip(\"1.1.1.1\").isInRange(ip(\"1.0.0.0/8\"))",
        "ip(\"1.1.1.1\").isInRange(ip(\"1.0.0.0/8\"))");
    expect_expr("[1,2,].containsAll([]) || [].isEmpty()", "[1, 2].containsAll([]) || [].isEmpty()");
    expect_expr(
        "principal.hasTag(\"a\") && principal.getTag(\"a\") == ip()",
        "principal.hasTag(\"a\") && principal.getTag(\"a\") == ip()");
    expect_expr("(1 + 2).contains(3)", "(1 + 2).contains(3)");
}

Test(policy_write_cedar, what_cannot_be_seen_in_a_string_is_escaped) {
    expect_expr("\"a\\n\\r\\t\\0\\\"\\\\\\'\" == \"\"", "\"a\\n\\r\\t\\0\\\"\\\\'\" == \"\"");
    expect_expr(
        "\"\\x07\\u{202e}\\u{7f}\" == \"\\u{e9}\"", "\"\\u{7}\\u{202e}\\u{7f}\" == \"\xC3\xA9\"");
    expect_expr("A::\"\\n\" == A::\"*\"", "A::\"\\n\" == A::\"*\"");
    expect_expr("\"x\" like \"\\**\\u{2a}\\\\\"", "\"x\" like \"\\**\\*\\\\\"");
    expect_expr("\"x\" like \"**\"", "\"x\" like \"**\"");
    expect_expr("\"x\" like \"\"", "\"x\" like \"\"");
}

static const char set_text[] = "@id(\"a\\nb\") @note permit(principal, action == Action::\"v\", "
                               "resource is NS::Doc in Folder::\"f\");"
                               "forbid(principal == ?principal, action in [Action::\"a\", "
                               "NS::Action::\"b\"], resource in ?resource) unless { true };"
                               "permit(principal in G::\"g\", action in [], resource is Doc);";

Test(policy_write_cedar, a_set_is_written_in_the_order_of_its_text) {
    static const char expected[] = "@id(\"a\\nb\")\n@note(\"\")\npermit (\n  principal,\n"
                                   "  action == Action::\"v\",\n"
                                   "  resource is NS::Doc in Folder::\"f\"\n);\n\n"
                                   "forbid (\n  principal == ?principal,\n"
                                   "  action in [Action::\"a\", NS::Action::\"b\"],\n"
                                   "  resource in ?resource\n)\nunless { true };\n\n"
                                   "permit (\n  principal in G::\"g\",\n  action in [],\n"
                                   "  resource is Doc\n);\n";
    aicp_policy_set *set = read_set(set_text);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_set_write(set, AICP_POLICY_FORMAT_CEDAR, &out, NULL), AICP_OK);
    cr_expect_str_eq(out.data, expected);
    aicp_buf_free(&out);
    cr_assert_eq(
        aicp_policy_set_write_template(set, 0, AICP_POLICY_FORMAT_CEDAR, &out, NULL), AICP_OK);
    cr_expect(strstr(expected, out.data) && strstr(out.data, "forbid (") == out.data);
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
}

Test(policy_write_cedar, an_empty_set_is_an_empty_text) {
    aicp_policy_set *set = read_set(" // nothing");
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_set_write(set, AICP_POLICY_FORMAT_CEDAR, &out, NULL), AICP_OK);
    cr_expect_eq(out.len, 0);
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
}

Test(policy_write_cedar, a_link_is_written_with_its_slots_filled) {
    static const char links[] =
        "[{\"templateId\":\"policy1\",\"newId\":\"l\",\"values\":{\"?principal\":{\"type\":\"U\","
        "\"id\":\"a\"},\"?resource\":{\"type\":\"D\",\"id\":\"d\"}}}]";
    aicp_policy_set *set = read_set(set_text);
    aicp_policy_set *linked = NULL;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_assert_eq(aicp_policy_set_link(set, links, sizeof links - 1, &linked, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_set_write_policy(linked, 2, AICP_POLICY_FORMAT_CEDAR, &out, NULL), AICP_OK);
    cr_expect_str_eq(
        out.data,
        "forbid (\n  principal == U::\"a\",\n  action in [Action::\"a\", NS::Action::\"b\"],\n"
        "  resource in D::\"d\"\n)\nunless { true };\n");
    aicp_buf_free(&out);
    cr_expect_eq(
        aicp_policy_set_write(linked, AICP_POLICY_FORMAT_CEDAR, &out, &err), AICP_ERR_INVALID);
    cr_expect(strstr(err.message, "\"l\""), "%s", err.message);
    cr_expect_null(out.data);
    aicp_policy_set_free(linked);
    aicp_policy_set_free(set);
}

Test(policy_write_cedar, formats_and_indexes_that_are_none_are_refused) {
    aicp_policy_set *set = read_set(set_text);
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_expect_eq(aicp_policy_set_write(set, AICP_POLICY_FORMAT_AUTO, &out, &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_set_write_policy(set, 0, 3, &out, &err), AICP_ERR_INVALID);
    cr_expect_eq(
        aicp_policy_set_write_policy(set, 2, AICP_POLICY_FORMAT_JSON, &out, &err),
        AICP_ERR_NOT_FOUND);
    cr_expect_eq(
        aicp_policy_set_write_template(set, 1, AICP_POLICY_FORMAT_JSON, &out, &err),
        AICP_ERR_NOT_FOUND);
    cr_expect_null(out.data);
    aicp_policy_set_free(set);
}
