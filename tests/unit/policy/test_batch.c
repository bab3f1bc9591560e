/* Many requests in one call: both forms of the text, and requests that cannot be answered. */
#include "unit/policy/policy_test.h"

#include <stdio.h>

static const char policies[] = "permit (principal == User::\"ann\", action, resource)\n"
                               "when { context.n < 10 };\n"
                               "forbid (principal, action, resource == Doc::\"secret\");\n";

#define REQUEST(n)                                                                                 \
    "{\"principal\":{\"type\":\"User\",\"id\":\"ann\"},\"action\":\"Action::\\\"view\\\"\","       \
    "\"resource\":{\"__entity\":{\"type\":\"Doc\",\"id\":\"d\"}},\"context\":{\"n\":" n "}}"
#define ALLOWED "{\"decision\":\"allow\",\"reasons\":[\"policy0\"],\"errors\":[]}"
#define DENIED "{\"decision\":\"deny\",\"reasons\":[],\"errors\":[]}"

static aicp_policy_set *parse(void) {
    aicp_policy_set *set = NULL;
    cr_assert_eq(aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &set, NULL), AICP_OK);
    return set;
}

/* Asks and compares the whole answer. */
static void
expect(const aicp_policy_batch_options *options, const char *text, const char *expected) {
    aicp_policy_set *set = parse();
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    aicp_status status =
        aicp_policy_authorize_json(set, NULL, options, text, strlen(text), &out, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    cr_expect_str_eq(out.data, expected);
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
}

Test(policy_batch, lines_are_answered_by_lines) {
    expect(NULL, REQUEST("1") "\n\r\n  \n" REQUEST("10"), ALLOWED "\n" DENIED "\n");
    expect(NULL, "", "");
}

Test(policy_batch, an_array_is_answered_by_an_array) {
    expect(
        NULL,
        " [" REQUEST("1") ",\n" REQUEST("11") "," REQUEST("2") "]\n",
        "[" ALLOWED ",\n" DENIED ",\n" ALLOWED "]\n");
    expect(NULL, "[]", "[]\n");
}

Test(policy_batch, failures_are_told_with_kind_and_place) {
    expect(
        NULL,
        REQUEST("\"x\""),
        "{\"decision\":\"deny\",\"reasons\":[],\"errors\":[{\"policy\":\"policy0\",\"kind\":"
        "\"TypeError\",\"message\":\"expected long, datetime or duration, found string\","
        "\"line\":2,\"column\":16}]}\n");
}

Test(policy_batch, a_bad_request_is_told_with_its_place_and_the_run_goes_on) {
    aicp_policy_batch_options options = AICP_POLICY_BATCH_OPTIONS_INIT;
    options.first_line = 7;
    expect(
        &options,
        REQUEST("1") "\n{\"principal\":\"User\"}\n" REQUEST("1"),
        ALLOWED "\n{\"error\":{\"code\":\"ERR_PARSE\",\"message\":\"expected '::' and the entity's "
                "id as a string, found the end of the text\",\"line\":8,\"column\":14}}\n" ALLOWED
                "\n");
    expect(
        NULL,
        "[" REQUEST("1") ",\n" REQUEST("1.5") ", {}]",
        "[" ALLOWED ",\n{\"error\":{\"code\":\"ERR_PARSE\",\"message\":\"expected a whole number\","
        "\"line\":2,\"column\":132}},\n"
        "{\"error\":{\"code\":\"ERR_STATE\",\"message\":\"the request has no principal\","
        "\"line\":2,\"column\":139}}]\n");
}

Test(policy_batch, decision_only_says_no_more) {
    aicp_policy_batch_options options = AICP_POLICY_BATCH_OPTIONS_INIT;
    options.flags = AICP_POLICY_DECISION_ONLY;
    expect(&options, REQUEST("1") "\n", "{\"decision\":\"allow\"}\n");
}

Test(policy_batch, a_bracket_begins_a_line_when_lines_are_asked_for) {
    aicp_policy_set *set = parse();
    aicp_policy_batch_options options = AICP_POLICY_BATCH_OPTIONS_INIT;
    aicp_buf out = AICP_BUF_INIT;
    static const char text[] = "[\n" REQUEST("1");
    options.flags = AICP_POLICY_LINES;
    cr_assert_eq(
        aicp_policy_authorize_json(set, NULL, &options, text, sizeof text - 1, &out, NULL),
        AICP_OK);
    cr_expect_eq(strncmp(out.data, "{\"error\":", 9), 0);
    cr_expect(strstr(out.data, "}\n" ALLOWED "\n"));
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
}

Test(policy_batch, a_broken_array_gives_no_answers) {
    static const char *const texts[] = {"[{}", "[{},]", "[{}]x", "[{} {}]", "[\"\xFF\"]"};
    aicp_policy_set *set = parse();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        aicp_buf out = AICP_BUF_INIT;
        aicp_error err = {0};
        aicp_status status =
            aicp_policy_authorize_json(set, NULL, NULL, texts[i], strlen(texts[i]), &out, &err);
        cr_expect_eq(status, AICP_ERR_PARSE, "%s", texts[i]);
        cr_expect_null(out.data);
        cr_expect_gt(err.column, 0);
    }
    aicp_policy_set_free(set);
}

Test(policy_batch, requests_are_read_and_checked_by_a_schema) {
    static const char text[] =
        "entity User, Doc; action view appliesTo { principal: User, resource: Doc,"
        " context: { n: Long, from?: ipaddr } };";
    aicp_policy_batch_options options = AICP_POLICY_BATCH_OPTIONS_INIT;
    cr_assert_eq(
        aicp_policy_schema_parse(text, sizeof text - 1, NULL, &options.schema, NULL), AICP_OK);
    expect(
        &options,
        REQUEST("1,\"from\":\"10.0.0.1\"") "\n" REQUEST("1,\"more\":2") "\n" REQUEST(
            "10") "\n"
                  "{\"principal\":\"Doc::\\\"d\\\"\",\"action\":\"Action::\\\"view\\\"\","
                  "\"resource\":\"Doc::\\\"d\\\"\",\"context\":{\"n\":1}}\n",
        ALLOWED
        "\n{\"error\":{\"code\":\"ERR_POLICY_TYPE\",\"message\":\"context: attribute \\\"more\\\": "
        "not declared\",\"line\":2,\"column\":141}}\n" DENIED
        "\n{\"error\":{\"code\":\"ERR_POLICY_TYPE\",\"message\":\"Doc::\\\"d\\\": "
        "Action::\\\"view\\\" does not apply to a principal of type Doc\",\"line\":4,"
        "\"column\":1}}\n");
    aicp_policy_schema_free(options.schema);
}

Test(policy_batch, unknown_options_are_refused) {
    aicp_policy_set *set = parse();
    aicp_policy_batch_options options;
    aicp_buf out = AICP_BUF_INIT;
    aicp_policy_batch_options_init(&options, sizeof options);
    options.flags = 64;
    cr_expect_eq(
        aicp_policy_authorize_json(set, NULL, &options, "", 0, &out, NULL), AICP_ERR_INVALID);
    options.size = 1;
    cr_expect_eq(
        aicp_policy_authorize_json(set, NULL, &options, "", 0, &out, NULL), AICP_ERR_INVALID);
    aicp_policy_set_free(set);
}

Test(policy_batch, a_request_from_json_has_exactly_what_the_json_says) {
    policy_case c = policy_open(policies, NULL);
    static const char text[] =
        "{\"context\":null,\"resource\":\" A :: B::\\\"\\\\u{e9}\\\" // x\",\"more\":[1]}";
    cr_assert_eq(aicp_policy_request_context_long(c.request, "n", 1, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_request_set_json(c.request, text, sizeof text - 1, &c.err),
        AICP_OK,
        "%s",
        c.err.message);
    cr_expect_eq(
        aicp_policy_authorize(c.set, NULL, c.request, 0, c.response, &c.err), AICP_ERR_STATE);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, "User", 4, "ann", 3, NULL), 0);
    cr_assert_eq(aicp_policy_request_set_action(c.request, "Action", 6, "a", 1, NULL), 0);
    cr_expect(policy_holds(&c, "resource == A::B::\"\\u{e9}\" && context == {}"));
    policy_close(&c);
}

Test(policy_batch, entities_in_text_are_read_whole_or_refused) {
    static const char *const bad[] = {
        "1",
        "null",
        "{}",
        "{\"type\":\"A\"}",
        "\"\"",
        "\"A\"",
        "\"A::B\"",
        "\"A::\\\"x\"",
        "\"A::\\\"x\\\"y\"",
        "\"A::\\\"x\\\" B::\\\"y\\\"\"",
        "\"if::\\\"x\\\"\"",
        "\"A::\\\"\\\\q\\\"\"",
        "{\"type\":\"a b\",\"id\":\"x\"}"};
    policy_case c = policy_open("", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[128];
        int n = snprintf(text, sizeof text, "{\"action\":%s}", bad[i]);
        aicp_status status = aicp_policy_request_set_json(c.request, text, (size_t)n, &c.err);
        cr_expect_eq(status, AICP_ERR_PARSE, "%s", bad[i]);
        cr_expect_gt(c.err.column, 10);
        aicp_policy_request_reset(c.request);
    }
    policy_close(&c);
}

Test(policy_batch, errors_in_a_context_are_placed_in_the_whole_text) {
    static const char text[] = "{\"context\":\n {\"a\":\n  12345678901234567890}}";
    policy_case c = policy_open("", NULL);
    cr_expect_eq(
        aicp_policy_request_set_json(c.request, text, sizeof text - 1, &c.err), AICP_ERR_RANGE);
    cr_expect_eq(c.err.line, 3);
    cr_expect_eq(c.err.column, 3);
    policy_close(&c);
}
