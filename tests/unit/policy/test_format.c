/* The formatter: what it gives, and that it loses nothing. */
#include "unit/policy/policy_test.h"

#include <stdio.h>
#include <stdlib.h>

/* Formats; the result is to be freed. */
static char *format_with(const char *text, uint32_t width, uint32_t indent) {
    aicp_policy_format_options options = AICP_POLICY_FORMAT_OPTIONS_INIT;
    options.line_width = width;
    options.indent = indent;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    aicp_status status = aicp_policy_format(text, strlen(text), &options, &out, &err);
    cr_assert_eq(status, AICP_OK, "%u:%u: %s: %s", err.line, err.column, err.message, text);
    char *copy = strdup(out.data ? out.data : "");
    aicp_buf_free(&out);
    return copy;
}

static void expect_format(const char *text, const char *expected) {
    char *once = format_with(text, 0, 0);
    char *twice = format_with(once, 0, 0);
    cr_expect_str_eq(once, expected);
    cr_expect_str_eq(twice, once);
    free(once);
    free(twice);
}

Test(policy_format, policies_have_a_canonical_layout) {
    expect_format("", "");
    expect_format("permit(principal,action,resource);", "permit (principal, action, resource);\n");
    expect_format(
        "@a(\"b\")@if permit(principal==U::\"a\",action,resource,)when{true}unless{1<2};"
        "forbid(principal,action,resource);",
        "@a(\"b\")\n@if\npermit (\n  principal == U::\"a\",\n  action,\n  resource,\n)\n"
        "when { true }\nunless { 1 < 2 };\n\nforbid (principal, action, resource);\n");
    expect_format(
        "permit(principal,action,resource)when{!  principal . a\n[ \"b\" ] . contains( - 1,)"
        "&&{ a :1 , \"b\":[ ]}==A :: B::\"c\"};",
        "permit (principal, action, resource)\n"
        "when { !principal.a[\"b\"].contains(-1,) && {a: 1, \"b\": []} == A::B::\"c\" };\n");
}

Test(policy_format, what_does_not_fit_is_broken_at_the_loosest_operator) {
    expect_format(
        "permit(principal,action,resource)when{principal.department==resource.department&&"
        "context.input_tokens<100000||principal in Group::\"administrators\"||resource.public};",
        "permit (principal, action, resource)\n"
        "when {\n"
        "  principal.department == resource.department &&\n"
        "    context.input_tokens < 100000 ||\n"
        "  principal in Group::\"administrators\" ||\n"
        "  resource.public\n"
        "};\n");
    expect_format(
        "permit(principal,action,resource)when{if principal.department==resource.department then "
        "context.input_tokens<100000 else if resource.public then [1,2,3].contains(context.n)else "
        "false};",
        "permit (principal, action, resource)\n"
        "when {\n"
        "  if principal.department == resource.department\n"
        "  then context.input_tokens < 100000\n"
        "  else if resource.public\n"
        "  then [1, 2, 3].contains(context.n)\n"
        "  else false\n"
        "};\n");
    expect_format(
        "permit(principal,action in[Action::\"first-long-name\",Action::\"second-long-name\",Action"
        "::\"third\"],resource);",
        "permit (\n"
        "  principal,\n"
        "  action in [\n"
        "    Action::\"first-long-name\",\n"
        "    Action::\"second-long-name\",\n"
        "    Action::\"third\"\n"
        "  ],\n"
        "  resource\n"
        ");\n");
}

Test(policy_format, comments_keep_their_place) {
    expect_format(
        "// licence\n\n\n// about\npermit(principal,action,resource); // behind\n// of the next\n"
        "forbid(principal,action,resource);\n\n// the end",
        "// licence\n\n// about\npermit (principal, action, resource); // behind\n\n"
        "// of the next\nforbid (principal, action, resource);\n\n// the end\n");
    expect_format(
        "permit(principal, // who\naction,resource) // head\nwhen{ // body  \n action // one\n && "
        "context // "
        "two\n // last\n}; // end",
        "permit (\n  principal, // who\n  action,\n  resource\n) // head\nwhen { // body\n"
        "  action && // one\n  context // two\n  // last\n}; // end\n");
    expect_format("// only", "// only\n");
    expect_format("\n\n // a\r\n // b\r\n", "// a\n// b\n");
}

Test(policy_format, width_and_indent_are_options) {
    char *text = format_with(
        "permit(principal,action,resource)when{context.a+context.b==context.c};", 30, 4);
    cr_expect_str_eq(
        text,
        "permit (\n    principal,\n    action,\n    resource\n)\nwhen {\n"
        "    context.a + context.b ==\n        context.c\n};\n");
    free(text);
}

Test(policy_format, indentation_leaves_half_of_the_line_to_the_text) {
    char policy[1024];
    char *at = stpcpy(policy, "permit(principal,action,resource)when{");
    for (int i = 0; i < 100; i++) {
        at = stpcpy(at, "[ // c\n");
    }
    for (int i = 0; i < 100; i++) {
        at = stpcpy(at, "]");
    }
    stpcpy(at, "};");
    char *text = format_with(policy, 0, 0);
    cr_expect_null(strstr(text, "                                         "));
    free(text);
}

Test(policy_format, texts_that_hold_no_policies_are_refused_with_their_place) {
    static const char text[] = "permit(principal,action,resource)\nwhen { a b };";
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_expect_eq(aicp_policy_format(text, sizeof text - 1, NULL, &out, &err), AICP_ERR_PARSE);
    cr_expect_eq(err.line, 2);
    cr_expect_eq(err.column, 8);
    cr_expect_null(out.data);
    cr_expect_eq(aicp_policy_format("\xFF", 1, NULL, &out, &err), AICP_ERR_PARSE);
    cr_expect_eq(aicp_policy_format("{}", 2, NULL, &out, &err), AICP_ERR_PARSE);
}

Test(policy_format, options_out_of_bounds_are_refused) {
    aicp_policy_format_options options;
    aicp_policy_format_options_init(&options, sizeof options);
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    options.line_width = 1001;
    cr_expect_eq(aicp_policy_format("", 0, &options, &out, &err), AICP_ERR_INVALID);
    options.line_width = 0;
    options.indent = 17;
    cr_expect_eq(aicp_policy_format("", 0, &options, &out, &err), AICP_ERR_INVALID);
    options.indent = 0;
    options.max_depth = AICP_POLICY_DEPTH_MAX + 1;
    cr_expect_eq(aicp_policy_format("", 0, &options, &out, &err), AICP_ERR_INVALID);
    options.max_depth = 3;
    static const char deep[] = "permit(principal,action,resource)when{((((1))))};";
    cr_expect_eq(
        aicp_policy_format(deep, sizeof deep - 1, &options, &out, &err), AICP_ERR_POLICY_DEPTH);
    options.max_bytes = 10;
    cr_expect_eq(aicp_policy_format(deep, sizeof deep - 1, &options, &out, &err), AICP_ERR_LIMIT);
}
