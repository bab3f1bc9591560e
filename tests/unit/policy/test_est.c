/* Policies read from, and written as, Cedar's JSON. */
#include "unit/policy/policy_test.h"

#include <stdio.h>
#include <stdlib.h>

static aicp_policy_set *read_set(const char *text, const aicp_policy_set_options *options) {
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_set_parse(text, strlen(text), options, &set, &err);
    cr_assert_eq(status, AICP_OK, "%u:%u: %s: %s", err.line, err.column, err.message, text);
    return set;
}

/* The JSON of a policy with this one condition. */
static char *policy_json(const char *body) {
    char *text = NULL;
    int n = asprintf(
        &text,
        "{\"effect\":\"permit\",\"principal\":{\"op\":\"All\"},\"action\":{\"op\":\"All\"},"
        "\"resource\":{\"op\":\"All\"},\"conditions\":[{\"kind\":\"when\",\"body\":%s}]}",
        body);
    cr_assert_gt(n, 0);
    return text;
}

/* The JSON body reads as the Cedar text, and the text is written as the JSON `back` (NULL: body).
 */
static void expect_body(const char *body, const char *cedar, const char *back) {
    static const char before[] = "permit (principal, action, resource)\nwhen { ";
    char *json = policy_json(body);
    char *expected = policy_json(back ? back : body);
    aicp_policy_set *set = read_set(json, NULL);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(
        aicp_policy_set_write_policy(set, 0, AICP_POLICY_FORMAT_CEDAR, &out, NULL), AICP_OK);
    cr_assert_eq(strncmp(out.data, before, sizeof before - 1), 0, "%s", out.data);
    out.data[out.len - strlen(" };\n")] = '\0';
    cr_expect_str_eq(out.data + sizeof before - 1, cedar);
    aicp_buf_free(&out);
    cr_assert_eq(
        aicp_policy_set_write_policy(set, 0, AICP_POLICY_FORMAT_JSON, &out, NULL), AICP_OK);
    cr_expect_str_eq(out.data, expected);
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
    free(json);
    free(expected);
}

Test(policy_est, expressions_are_read_and_written_again) {
    expect_body("{\"Value\":true}", "true", NULL);
    expect_body("{\"Value\":-9223372036854775808}", "-9223372036854775808", NULL);
    expect_body("{\"Value\":\"a\\n\\\"\"}", "\"a\\n\\\"\"", NULL);
    expect_body("{\"Value\":{\"__entity\":{\"type\":\"A::B\",\"id\":\"c\"}}}", "A::B::\"c\"", NULL);
    expect_body("{\"Var\":\"context\"}", "context", NULL);
    expect_body("{\"neg\":{\"arg\":{\"Value\":1}}}", "-(1)", NULL);
    expect_body("{\"!\":{\"arg\":{\"Var\":\"action\"}}}", "!action", NULL);
    expect_body("{\"isEmpty\":{\"arg\":{\"Set\":[]}}}", "[].isEmpty()", NULL);
    expect_body("{\"<=\":{\"left\":{\"Value\":1},\"right\":{\"Value\":2}}}", "1 <= 2", NULL);
    expect_body(
        "{\"getTag\":{\"left\":{\"Var\":\"principal\"},\"right\":{\"Value\":\"a\"}}}",
        "principal.getTag(\"a\")",
        NULL);
    expect_body(
        "{\".\":{\"left\":{\"Var\":\"context\"},\"attr\":\"a b\"}}", "context[\"a b\"]", NULL);
    expect_body(
        "{\"has\":{\"left\":{\"Var\":\"context\"},\"attr\":\"a b\"}}", "context has \"a b\"", NULL);
    expect_body(
        "{\"has\":{\"left\":{\"Var\":\"context\"},\"attr\":[\"a\",\"b\"]}}",
        "context has a.b",
        NULL);
    expect_body(
        "{\"is\":{\"left\":{\"Var\":\"principal\"},\"entity_type\":\"U\",\"in\":{\"Var\":"
        "\"resource\"}}}",
        "principal is U in resource",
        NULL);
    expect_body(
        "{\"if-then-else\":{\"if\":{\"Value\":true},\"then\":{\"Value\":1},\"else\":{\"Value\":2}}"
        "}",
        "if true then 1 else 2",
        NULL);
    expect_body(
        "{\"Record\":{\"a\":{\"Value\":1},\"\":{\"Set\":[{\"Value\":2}]}}}",
        "{a: 1, \"\": [2]}",
        NULL);
    expect_body(
        "{\"isInRange\":[{\"ip\":[{\"Value\":\"1.1.1.1\"}]},{\"ip\":[]}]}",
        "ip(\"1.1.1.1\").isInRange(ip())",
        NULL);
}

Test(policy_est, members_may_stand_in_any_order) {
    expect_body(
        "{\"-\":{\"right\":{\"Value\":3},\"left\":{\"+\":{\"right\":{\"Value\":2},\"left\":{"
        "\"Value\":1}}}}}",
        "1 + 2 - 3",
        "{\"-\":{\"left\":{\"+\":{\"left\":{\"Value\":1},\"right\":{\"Value\":2}}},\"right\":{"
        "\"Value\":3}}}");
    expect_body(
        "{\"&&\":{\"right\":{\"&&\":{\"left\":{\"Value\":true},\"right\":{\"Value\":false}}},"
        "\"left\":{\"||\":{\"left\":{\"Value\":true},\"right\":{\"Value\":false}}}}}",
        "(true || false) && (true && false)",
        "{\"&&\":{\"left\":{\"||\":{\"left\":{\"Value\":true},\"right\":{\"Value\":false}}},"
        "\"right\":{\"&&\":{\"left\":{\"Value\":true},\"right\":{\"Value\":false}}}}}");
}

Test(policy_est, values_become_the_expressions_that_give_them) {
    expect_body(
        "{\"Value\":[1,{\"a\":[]}]}",
        "[1, {a: []}]",
        "{\"Set\":[{\"Value\":1},{\"Record\":{\"a\":{\"Set\":[]}}}]}");
    expect_body(
        "{\"Value\":{\"__extn\":{\"fn\":\"ip\",\"arg\":\"::1\"}}}",
        "ip(\"::1\")",
        "{\"ip\":[{\"Value\":\"::1\"}]}");
    expect_body(
        "{\"Value\":{\"__extn\":{\"fn\":\"ip\",\"arg\":\"::1\",\"other\":[1]}}}",
        "ip(\"::1\")",
        "{\"ip\":[{\"Value\":\"::1\"}]}");
    expect_body(
        "{\"Value\":{\"__extn\":{\"fn\":\"offset\",\"args\":[{\"__extn\":{\"fn\":\"datetime\","
        "\"arg\":\"1970-01-01\"}},{\"__extn\":{\"fn\":\"duration\",\"arg\":\"1ms\"}}]}}}",
        "datetime(\"1970-01-01\").offset(duration(\"1ms\"))",
        "{\"offset\":[{\"datetime\":[{\"Value\":\"1970-01-01\"}]},{\"duration\":[{\"Value\":"
        "\"1ms\"}]}]}");
    expect_body(
        "{\"Value\":{\"__entity\":1,\"a\":2}}",
        "{__entity: 1, a: 2}",
        "{\"Record\":{\"__entity\":{\"Value\":1},\"a\":{\"Value\":2}}}");
}

Test(policy_est, patterns_have_one_literal_for_each_character) {
    expect_body(
        "{\"like\":{\"left\":{\"Value\":\"x\"},\"pattern\":[\"Wildcard\",{\"Literal\":\"a*\"},{"
        "\"Literal\":\"\xC3\xA9\"},\"Wildcard\",\"Wildcard\"]}}",
        "\"x\" like \"*a\\*\xC3\xA9**\"",
        "{\"like\":{\"left\":{\"Value\":\"x\"},\"pattern\":[\"Wildcard\",{\"Literal\":\"a\"},{"
        "\"Literal\":\"*\"},{\"Literal\":\"\xC3\xA9\"},\"Wildcard\",\"Wildcard\"]}}");
    expect_body("{\"like\":{\"left\":{\"Value\":\"x\"},\"pattern\":[]}}", "\"x\" like \"\"", NULL);
}

static void refused(const char *text, aicp_status status, const char *message) {
    aicp_error err = policy_refused(text);
    cr_expect_eq(err.code, status, "%d: %s: %s", err.code, err.message, text);
    cr_expect(strstr(err.message, message), "'%s' is not in '%s'", message, err.message);
    cr_expect_gt(err.line, 0u, "%s", text);
}

static void body_refused(const char *body, aicp_status status, const char *message) {
    char *json = policy_json(body);
    refused(json, status, message);
    free(json);
}

Test(policy_est, malformed_expressions_are_refused) {
    body_refused("{}", AICP_ERR_PARSE, "exactly one member");
    body_refused("{\"Value\":1,\"Var\":\"context\"}", AICP_ERR_PARSE, "exactly one member");
    body_refused("{\"Var\":\"zz\"}", AICP_ERR_PARSE, "unknown name \"zz\"");
    body_refused("{\"nope\":[]}", AICP_ERR_PARSE, "unknown operation \"nope\"");
    body_refused("{\"Slot\":\"?principal\"}", AICP_ERR_PARSE, "slot");
    body_refused("{\"==\":{\"left\":{\"Value\":1}}}", AICP_ERR_PARSE, "no \"right\"");
    body_refused("{\"&&\":{\"right\":{\"Value\":true}}}", AICP_ERR_PARSE, "no \"left\"");
    body_refused("{\"&&\":{\"x\":1}}", AICP_ERR_PARSE, "unknown key \"x\"");
    body_refused("{\"!\":{\"arg\":{\"Value\":1},\"x\":1}}", AICP_ERR_PARSE, "unknown key \"x\"");
    body_refused("{\".\":{\"left\":{\"Value\":1}}}", AICP_ERR_PARSE, "no \"attr\"");
    body_refused("{\"Value\":null}", AICP_ERR_PARSE, "null");
    body_refused("{\"Value\":1.0}", AICP_ERR_PARSE, "whole number");
    body_refused("{\"Value\":9223372036854775808}", AICP_ERR_RANGE, "64 bits");
    body_refused("{\"Value\":{\"__expr\":\"1\"}}", AICP_ERR_PARSE, "__expr");
    body_refused("{\"Value\":{\"__extn\":{\"fn\":\"nope\",\"arg\":1}}}", AICP_ERR_PARSE, "nope");
    body_refused("{\"Value\":{\"__extn\":{\"arg\":1}}}", AICP_ERR_PARSE, "no \"fn\"");
    body_refused("{\"isInRange\":[]}", AICP_ERR_PARSE, "called on");
    body_refused("{\"has\":{\"left\":{\"Value\":1},\"attr\":[]}}", AICP_ERR_PARSE, "needs");
    body_refused(
        "{\"has\":{\"left\":{\"Value\":1},\"attr\":[\"a b\",\"c\"]}}", AICP_ERR_PARSE, "names");
    body_refused(
        "{\"like\":{\"left\":{\"Value\":1},\"pattern\":[\"a\"]}}", AICP_ERR_PARSE, "Literal");
    body_refused(
        "{\"is\":{\"left\":{\"Value\":1},\"entity_type\":\"a b\"}}", AICP_ERR_PARSE, "type");
    body_refused("{\"Record\":{\"a\":{\"Value\":1},\"a\":{\"Value\":1}}}", AICP_ERR_PARSE, "dup");
}

Test(policy_est, policies_need_their_members_and_have_no_others) {
    refused("{}", AICP_ERR_PARSE, "no \"effect\"");
    refused("{\"effect\":\"allow\"}", AICP_ERR_PARSE, "neither");
    refused("{\"effect\":\"permit\",\"bogus\":1}", AICP_ERR_PARSE, "unknown key \"bogus\"");
    refused("{\"staticPolicies\":{},\"bogus\":1}", AICP_ERR_PARSE, "unknown key \"bogus\"");
    refused("{\"principal\":{\"op\":\"==\"}}", AICP_ERR_PARSE, "do not fit");
    refused("{\"principal\":{\"op\":\"All\",\"x\":1}}", AICP_ERR_PARSE, "unknown key");
    refused("{\"principal\":{\"op\":\"==\",\"slot\":\"?resource\"}}", AICP_ERR_PARSE, "?principal");
    refused("{\"action\":{\"op\":\"==\",\"slot\":\"?action\"}}", AICP_ERR_PARSE, "no slot");
    refused(
        "{\"action\":{\"op\":\"==\",\"entity\":{\"type\":\"U\",\"id\":\"a\"}}}",
        AICP_ERR_PARSE,
        "type Action");
    refused("{\"annotations\":{\"a b\":\"\"}}", AICP_ERR_PARSE, "annotation");
    refused(
        "{\"conditions\":[{\"kind\":\"where\",\"body\":{\"Value\":1}}]}",
        AICP_ERR_PARSE,
        "neither");
    refused("{\"conditions\":[{\"kind\":\"when\"}]}", AICP_ERR_PARSE, "no \"body\"");
    refused("{\"effect\":\"permit\"} x", AICP_ERR_PARSE, "");
    refused("// no comments\n{}", AICP_ERR_PARSE, "");
}

Test(policy_est, unknown_keys_beside_the_entity_that_is_in_mean_nothing) {
    aicp_policy_set *set = read_set(
        "{\"effect\":\"permit\",\"principal\":{\"op\":\"is\",\"entity_type\":\"U\",\"in\":{\"op\":"
        "\"in\","
        "\"entity\":{\"type\":\"G\",\"id\":\"g\"}}},\"action\":{\"op\":\"All\"},"
        "\"resource\":{\"op\":\"All\"},\"conditions\":[]}",
        NULL);
    cr_expect_eq(aicp_policy_set_count(set), 1);
    aicp_policy_set_free(set);
}

#define HEAD "\"effect\":\"permit\",\"action\":{\"op\":\"All\"},\"conditions\":[],"
#define ALL "{" HEAD "\"principal\":{\"op\":\"All\"},\"resource\":{\"op\":\"All\"}}"
#define TEMPLATE                                                                                   \
    "{" HEAD "\"principal\":{\"op\":\"is\",\"entity_type\":\"U\",\"in\":{\"slot\":\"?principal\"}" \
    "},\"resource\":{\"op\":\"All\"}}"
#define LINK                                                                                       \
    "{\"templateId\":\"t\",\"newId\":\"l\",\"values\":{\"?principal\":{\"type\":\"G\",\"id\":"     \
    "\"g\"}}}"

Test(policy_est, sets_have_their_ids_as_keys_and_their_links) {
    static const char text[] = "\n{\"templateLinks\":[" LINK "],\"templates\":{\"t\":" TEMPLATE
                               "},\n\"staticPolicies\":{\"b\":" ALL ",\"a\":" ALL "}}";
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    aicp_policy_set *set = read_set(text, &options);
    cr_expect_eq(aicp_policy_set_count(set), 3);
    cr_expect_eq(aicp_policy_set_template_count(set), 1);
    cr_expect_str_eq(aicp_policy_set_id(set, 0), "b");
    cr_expect_str_eq(aicp_policy_set_id(set, 1), "a");
    cr_expect_str_eq(aicp_policy_set_id(set, 2), "l");
    cr_expect_str_eq(aicp_policy_set_template_id(set, 0), "t");
    cr_expect_eq(aicp_policy_set_line(set, 0), 3);
    aicp_buf out = AICP_BUF_INIT;
    aicp_buf again = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_set_write(set, AICP_POLICY_FORMAT_JSON, &out, NULL), AICP_OK);
    cr_expect(strstr(out.data, "\"templateLinks\":[" LINK "]"), "%s", out.data);
    aicp_policy_set *second = read_set(out.data, NULL);
    cr_assert_eq(aicp_policy_set_write(second, AICP_POLICY_FORMAT_JSON, &again, NULL), AICP_OK);
    cr_expect_str_eq(again.data, out.data);
    aicp_buf_free(&out);
    aicp_buf_free(&again);
    aicp_policy_set_free(second);
    aicp_policy_set_free(set);
}

Test(policy_est, one_policy_has_the_id_that_a_text_would_give_it) {
    static const char text[] =
        "{" HEAD "\"principal\":{\"op\":\"All\"},\"resource\":{\"op\":\"All\"},"
        "\"annotations\":{\"id\":\"x\",\"note\":null}}";
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    aicp_policy_set *set = read_set(text, &options);
    cr_expect_str_eq(aicp_policy_set_id(set, 0), "policy0");
    cr_expect_str_eq(aicp_policy_set_annotation(set, 0, "note"), "");
    aicp_policy_set_free(set);
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    set = read_set(text, &options);
    cr_expect_str_eq(aicp_policy_set_id(set, 0), "x");
    aicp_policy_set_free(set);
    set = read_set(TEMPLATE, NULL);
    cr_expect_str_eq(aicp_policy_set_template_id(set, 0), "policy0");
    aicp_policy_set_free(set);
}

Test(policy_est, sets_that_do_not_fit_together_are_refused) {
    refused("{\"staticPolicies\":{\"t\":" TEMPLATE "}}", AICP_ERR_PARSE, "has a slot");
    refused("{\"templates\":{\"t\":" ALL "}}", AICP_ERR_PARSE, "has no slot");
    refused("{\"staticPolicies\":{\"a\":" ALL ",\"a\":" ALL "}}", AICP_ERR_PARSE, "duplicate");
    refused(
        "{\"staticPolicies\":{\"t\":" ALL "},\"templates\":{\"t\":" TEMPLATE "}}",
        AICP_ERR_EXISTS,
        "taken");
    refused("{\"staticPolicies\":{\"a\\u0000\":" ALL "}}", AICP_ERR_INVALID, "NUL");
    refused("{\"templateLinks\":[" LINK "]}", AICP_ERR_NOT_FOUND, "no template \"t\"");
    refused(
        "{\"templates\":{\"t\":" TEMPLATE "},\"templateLinks\":[" LINK "," LINK "]}",
        AICP_ERR_EXISTS,
        "taken");
    refused("{\"templateLinks\":[{\"x\":1}]}", AICP_ERR_PARSE, "keys");
    refused("{\"templateLinks\":{}}", AICP_ERR_PARSE, "array");
}

Test(policy_est, places_of_errors_in_links_count_from_the_whole_text) {
    aicp_error err = policy_refused("{\"templates\":{},\n\"templateLinks\":\n [\n  " LINK "]}");
    cr_expect_eq(err.line, 4);
    cr_expect_eq(err.column, 3);
}

/* `count` times `open`, `middle`, `count` times `close`, in `form`, as the body of a policy. */
static char *
nested(const char *form, const char *open, const char *middle, const char *close, size_t count) {
    size_t size = count * (strlen(open) + strlen(close)) + strlen(middle) + 1;
    char *inner = calloc(size, 1);
    char *body = NULL;
    cr_assert(inner);
    char *at = inner;
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, open);
    }
    at = stpcpy(at, middle);
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, close);
    }
    const char *place = strchr(form, '#');
    int n = asprintf(&body, "%.*s%s%s", (int)(place - form), form, inner, place + 1);
    cr_assert_gt(n, 0);
    char *json = policy_json(body);
    free(inner);
    free(body);
    return json;
}

/* 255 levels around the middle are accepted, one more is not. */
static void
expect_depth(const char *form, const char *open, const char *middle, const char *close) {
    char *fine = nested(form, open, middle, close, 255);
    char *deeper = nested(form, open, middle, close, 256);
    aicp_policy_set_free(read_set(fine, NULL));
    refused(deeper, AICP_ERR_POLICY_DEPTH, "256 levels");
    free(fine);
    free(deeper);
}

Test(policy_est, nesting_is_limited_as_in_a_text) {
    expect_depth("#", "{\"!\":{\"arg\":", "{\"Value\":1}", "}}");
    expect_depth("#", "{\"Set\":[", "{\"Value\":1}", "]}");
    expect_depth("#", "{\"&&\":{\"left\":{\"Value\":1},\"right\":", "{\"Value\":1}", "}}");
    expect_depth("{\"Value\":#}", "[", "1", "]");
    expect_depth("{\"Value\":#}", "{\"a\":", "1", "}");
}

Test(policy_est, chains_are_as_long_as_in_a_text) {
    char *json = nested(
        "#", "{\"&&\":{\"left\":", "{\"Value\":true}", ",\"right\":{\"Value\":true}}}", 9999);
    aicp_policy_set *set = read_set(json, NULL);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(
        aicp_policy_set_write_policy(set, 0, AICP_POLICY_FORMAT_JSON, &out, NULL), AICP_OK);
    cr_expect_str_eq(out.data, json);
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
    free(json);
    json = nested(
        "#", "{\"&&\":{\"left\":", "{\"Value\":true}", ",\"right\":{\"Value\":true}}}", 40000);
    refused(json, AICP_ERR_LIMIT, "65536 levels");
    free(json);
}
