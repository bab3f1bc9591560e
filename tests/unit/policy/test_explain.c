/* Explanations: which part decided, what was seen, and what would turn it. */
#include "unit/policy/policy_test.h"

#include "lib/base/strbuf.h"

static const char store[] =
    "[{\"uid\":{\"type\":\"User\",\"id\":\"alice\"},\"attrs\":{\"level\":2},"
    "\"parents\":[{\"type\":\"Team\",\"id\":\"blue\"}]},"
    "{\"uid\":{\"type\":\"Doc\",\"id\":\"d\"},\"attrs\":{\"open\":false},\"parents\":[],"
    "\"tags\":{\"t\":1}}]";

#define ANY "(principal, action, resource)"

/* Explains with {"n":12,"r":{"s":"x"}} as context; the answer must have each of the texts. */
static void expect(const char *policies, uint32_t flags, const char *const *texts, size_t count) {
    static const char context[] = "{\"n\":12,\"r\":{\"s\":\"x\"}}";
    policy_case c = policy_open(policies, store);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(
        aicp_policy_request_set_context_json(c.request, context, sizeof context - 1, NULL), 0);
    aicp_status status = aicp_policy_explain(c.set, c.entities, c.request, flags, &out, &c.err);
    cr_assert_eq(status, AICP_OK, "%s", c.err.message);
    for (size_t i = 0; i < count; i++) {
        cr_expect(strstr(out.data, texts[i]), "%s\nis not in\n%s", texts[i], out.data);
    }
    aicp_buf_free(&out);
    policy_close(&c);
}

#define EXPECT(policies, flags, ...)                                                               \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        expect(policies, flags, texts, sizeof texts / sizeof *texts);                              \
    } while (0)

Test(policy_explain, a_whole_answer_is_as_documented) {
    EXPECT(
        "@id(\"x\") permit" ANY "\nwhen { context has n && context.n <= 10 };",
        0,
        "{\"decision\":\"deny\",\"reasons\":[],\"policies\":[{\"policy\":\"policy0\",\"effect\":"
        "\"permit\",\"line\":1,\"column\":1,\"annotations\":{\"id\":\"x\"},\"outcome\":"
        "\"not satisfied\",\"clause\":{\"kind\":\"when\",\"line\":2,\"column\":1,\"text\":"
        "\"context has n && context.n <= 10\"},\"because\":{\"line\":2,\"column\":25,\"text\":"
        "\"context.n <= 10\",\"value\":\"false\",\"operands\":[{\"text\":\"context.n\",\"value\":"
        "\"12\"}]},\"flips\":[{\"if\":\"context.n <= 10\",\"by\":\"context.n = 10\","
        "\"decision\":\"allow\"}]}],\"passed_over\":0}");
}

Test(policy_explain, heads_that_do_not_fit_are_told_with_what_would_fit) {
    EXPECT(
        "permit (principal in Team::\"red\", action, resource);",
        0,
        "\"outcome\":\"not applicable\",\"head\":[{\"part\":\"principal\",\"text\":"
        "\"principal in Team::\\\"red\\\"\",\"value\":\"User::\\\"alice\\\"\"}]",
        "\"flips\":[{\"if\":\"principal in Team::\\\"red\\\"\",\"by\":"
        "\"principal in Team::\\\"red\\\"\",\"decision\":\"allow\"}]");
    EXPECT(
        "permit (principal, action in [Action::\"w\", Action::\"e\"], resource);",
        0,
        "\"by\":\"action = Action::\\\"e\\\"\",\"decision\":\"allow\"");
    EXPECT(
        "permit (principal == User::\"bob\", action, resource);",
        0,
        "\"by\":\"principal = User::\\\"bob\\\"\"");
    /* A type is no entity, and tags are lost with a copy: nothing is guessed. */
    EXPECT("permit (principal, action, resource is Model);", 0, "\"flips\":[]");
    EXPECT("permit (principal, action, resource in Team::\"red\");", 0, "\"flips\":[]");
}

Test(policy_explain, policies_far_from_the_request_are_counted_or_told) {
    static const char far_off[] =
        "permit (principal is Key, action, resource is Model);permit" ANY ";";
    EXPECT(far_off, 0, "\"policies\":[{\"policy\":\"policy1\"", "\"passed_over\":1}");
    EXPECT(
        far_off,
        AICP_POLICY_EXPLAIN_ALL,
        "\"text\":\"principal is Key\"",
        "\"text\":\"resource is Model\"",
        "\"passed_over\":0}");
}

Test(policy_explain, the_innermost_part_that_decided_is_found) {
    EXPECT(
        "permit" ANY "unless { context.n == 1 || !(context.r.s == \"y\" && true) };",
        0,
        "\"because\":{\"line\":1,\"column\":65,\"text\":\"context.r.s == \\\"y\\\"\",\"value\":"
        "\"false\",\"operands\":[{\"text\":\"context.r.s\",\"value\":\"\\\"x\\\"\"}]}",
        "{\"if\":\"context.r.s == \\\"y\\\"\",\"by\":\"context.r.s = \\\"y\\\"\",\"decision\":"
        "\"allow\"}");
    EXPECT(
        "permit" ANY "when { if context.n > 5 then principal.level >= 3 else true };",
        0,
        "\"text\":\"principal.level >= 3\",\"value\":\"false\"");
    /* No part of a disjunction decides alone. */
    EXPECT(
        "permit" ANY "when { context.n == 1 || context.n == 2 };",
        0,
        "\"text\":\"context.n == 1 || context.n == 2\",\"value\":\"false\",\"operands\":["
        "{\"text\":\"context.n == 1\",\"value\":\"false\"}");
}

Test(policy_explain, failures_are_told_with_kind_and_place) {
    EXPECT(
        "permit" ANY "when { context.none == 1 };",
        0,
        "\"outcome\":\"error\",\"error\":{\"kind\":\"RecordAttrDoesNotExist\",\"message\":",
        "\"line\":1,\"column\":51}",
        "\"clause\":{\"kind\":\"when\"",
        "\"flips\":[]");
}

Test(policy_explain, changes_are_told_only_when_they_were_seen_to_help) {
    /* Another condition that fails, or one that the change breaks. */
    EXPECT("permit" ANY "when { context.n < 10 && context.r.s == \"y\" };", 0, "\"flips\":[]");
    EXPECT("permit" ANY "when { context.n < 10 && context.n > 20 };", 0, "\"flips\":[]");
    EXPECT("permit" ANY "when { context.n < 10 && context.none };", 0, "\"flips\":[]");
    EXPECT(
        "permit" ANY "when { principal.level == 3 };",
        0,
        "\"by\":\"principal.level = 3\",\"decision\":\"allow\"");
    EXPECT(
        "permit" ANY "when { [\"a\", \"b\"].contains(context.r.s) };",
        0,
        "\"by\":\"context.r.s = \\\"a\\\"\",\"decision\":\"allow\"");
}

Test(policy_explain, one_answer_tries_so_many_changes_and_tells_of_every_policy) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, AICPI_STRBUF_MAX);
    for (int i = 0; i < 300; i++) {
        aicpi_strbuf_puts(&text, "permit" ANY " when { context.n < 10 };");
    }
    policy_case c = policy_open(text.data, store);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_request_set_context_json(c.request, "{\"n\":12}", 8, NULL), 0);
    cr_assert_eq(
        aicp_policy_explain(c.set, c.entities, c.request, 0, &out, &c.err), 0, "%s", c.err.message);
    size_t told = 0;
    size_t changes = 0;
    for (const char *at = out.data; (at = strstr(at, "\"policy\":\"policy")) != NULL; at++) {
        told++;
    }
    for (const char *at = out.data; (at = strstr(at, "\"by\":")) != NULL; at++) {
        changes++;
    }
    cr_expect_eq(told, 300);
    cr_expect_eq(changes, 256);
    aicp_buf_free(&out);
    aicpi_strbuf_deinit(&text);
    policy_close(&c);
}

Test(policy_explain, satisfied_forbids_tell_what_would_lift_them) {
    EXPECT(
        "permit" ANY "; forbid" ANY "when { context.n > 10 };",
        0,
        "\"decision\":\"deny\",\"reasons\":[\"policy1\"]",
        "{\"if\":\"!(context.n > 10)\",\"by\":\"context.n = 10\",\"decision\":\"allow\"}");
}

Test(policy_explain, values_of_any_size_are_cut) {
    char context[4000];
    policy_case c = policy_open("permit" ANY "when { context.big == \"\" };", NULL);
    memset(context, 'x', sizeof context);
    cr_assert_eq(
        aicp_policy_request_context_string(c.request, "big", context, sizeof context, NULL), 0);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_explain(c.set, NULL, c.request, 0, &out, NULL), AICP_OK);
    cr_expect(strstr(out.data, "xxx...\""));
    cr_expect_lt(out.len, 2000);
    aicp_buf_free(&out);
    policy_close(&c);
}

Test(policy_explain, wrong_calls_are_refused) {
    policy_case c = policy_open("", NULL);
    aicp_buf out = AICP_BUF_INIT;
    cr_expect_eq(aicp_policy_explain(c.set, NULL, c.request, 64, &out, NULL), AICP_ERR_INVALID);
    aicp_policy_request_reset(c.request);
    cr_expect_eq(aicp_policy_explain(c.set, NULL, c.request, 0, &out, NULL), AICP_ERR_STATE);
    cr_expect_null(out.data);
    policy_close(&c);
}
