/* Reading of policy text: messages with places, limits, ids, annotations. */
#include "unit/policy/policy_test.h"

#include <stdio.h>
#include <stdlib.h>

static void expect_error(const char *text, uint32_t line, uint32_t column, const char *message) {
    aicp_error err = policy_refused(text);
    cr_expect_eq(err.code, AICP_ERR_PARSE, "%s: %s", text, err.message);
    cr_expect_str_eq(err.message, message);
    cr_expect_eq(err.line, line, "%s: line %u", message, (unsigned)err.line);
    cr_expect_eq(err.column, column, "%s: column %u", message, (unsigned)err.column);
}

Test(policy_parse, errors_say_where_what_was_found_and_expected) {
    expect_error(
        "permit (principal, action, resource)\npermit (principal, action, resource);",
        2,
        1,
        "expected 'when', 'unless' or ';' after the policy, found 'permit'");
    expect_error(
        "allow (principal, action, resource);",
        1,
        1,
        "expected 'permit' or 'forbid', found 'allow'");
    expect_error(
        "permit (principal, action);",
        1,
        26,
        "expected ',' after the action (it may have '==' or 'in'), found ')'");
    expect_error(
        "permit (principal, action, resource) when { 1 +",
        1,
        48,
        "expected an expression, found the end of the text");
    expect_error(
        "permit (principal, action, resource) when { a };",
        1,
        45,
        "unknown name 'a'; variables are principal, action, resource, context");
    expect_error(
        "permit (principal, action, resource)\n  when { context.x = 1 };",
        2,
        20,
        "'=' is not an operator; use '=='");
    expect_error(
        "permit (principal, action, resource) when { \"a };",
        1,
        45,
        "the string has no closing quote");
}

Test(policy_parse, errors_in_names_methods_and_literals_say_what_is_wrong) {
    expect_error(
        "permit (principal, action, resource) when { [1].has(1) };",
        1,
        49,
        "expected an attribute or a method after '.', found the reserved word 'has'");
    expect_error(
        "permit (principal, action, resource) when { [1].contains() };",
        1,
        49,
        "the method contains takes 1 argument, found 0");
    expect_error(
        "permit (principal, action, resource) when { 1 < 2 < 3 };",
        1,
        51,
        "comparisons cannot be chained; use parentheses");
    expect_error(
        "permit (principal, action == User::\"a\", resource);",
        1,
        30,
        "expected an entity of type Action, found one of type User");
    expect_error(
        "permit (principal, action, resource) when { {a: 1, b: 2, a: 3} };",
        1,
        58,
        "the record has the key \"a\" twice");
    expect_error(
        "permit (principal == ?resource, action, resource);",
        1,
        22,
        "expected an entity or the slot ?principal, found '?resource'");
    expect_error(
        "@id(\"a\") @id(\"b\") permit (principal, action, resource);",
        1,
        11,
        "the annotation @id stands twice");
    expect_error(
        "permit (principal, action, resource) when { \"\\q\" };",
        1,
        46,
        "unknown escape in a string; known are \\n \\r \\t \\\\ \\0 \\' \\\" \\xHH \\u{H...}");
}

Test(policy_parse, text_that_is_not_utf8_is_refused_with_its_place) {
    expect_error(
        "permit (principal, action, resource)\nwhen { \"\xC3(\" };",
        2,
        9,
        "the text is not valid UTF-8");
}

Test(policy_parse, an_empty_text_is_an_empty_set) {
    aicp_policy_set *set = NULL;
    cr_assert_eq(aicp_policy_set_parse("", 0, NULL, &set, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_set_count(set), 0);
    cr_expect_null(aicp_policy_set_id(set, 0));
    cr_expect_eq(aicp_policy_set_effect(set, 0), -1);
    cr_expect_eq(aicp_policy_set_line(set, 0), 0);
    aicp_policy_set_free(set);
}

/* `permit … when { <open * n> middle <close * n> };` must be refused for its depth, not crash. */
static void expect_too_deep(const char *open, const char *middle, const char *close, size_t n) {
    size_t room = 128 + n * (strlen(open) + strlen(close)) + strlen(middle);
    char *text = malloc(room);
    cr_assert(text);
    char *p = stpcpy(text, "permit (principal, action, resource) when { ");
    for (size_t i = 0; i < n; i++) {
        p = stpcpy(p, open);
    }
    p = stpcpy(p, middle);
    for (size_t i = 0; i < n; i++) {
        p = stpcpy(p, close);
    }
    stpcpy(p, " };");
    aicp_error err = policy_refused(text);
    cr_expect_eq(err.code, AICP_ERR_POLICY_DEPTH, "%s: %s", open, err.message);
    free(text);
}

Test(policy_parse, every_kind_of_nesting_has_a_limit) {
    expect_too_deep("(", "1", ")", 100000);
    expect_too_deep("[", "1", "]", 100000);
    expect_too_deep("{a:", "1", "}", 100000);
    expect_too_deep("!!!!(", "true", ")", 100000);
    expect_too_deep("if true then 1 else ", "1", "", 100000);
    expect_too_deep("ip(", "\"\"", ")", 100000);
    expect_too_deep("", "context", ".a", 100000);
    expect_too_deep("", "context", "[\"a\"]", 100000);
    expect_too_deep("", "context", ".contains(1)", 100000);
    expect_too_deep("-(", "1", ")", 300);
}

Test(policy_parse, the_depth_limit_can_be_set) {
    static const char text[] = "permit (principal, action, resource) when { ((((1)))) == 1 };";
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    aicp_policy_set *set = NULL;
    options.max_depth = 4;
    cr_expect_eq(
        aicp_policy_set_parse(text, strlen(text), &options, &set, NULL), AICP_ERR_POLICY_DEPTH);
    options.max_depth = 5;
    cr_expect_eq(aicp_policy_set_parse(text, strlen(text), &options, &set, NULL), AICP_OK);
    aicp_policy_set_free(set);
    options.max_depth = AICP_POLICY_DEPTH_MAX + 1;
    cr_expect_eq(aicp_policy_set_parse(text, strlen(text), &options, &set, NULL), AICP_ERR_INVALID);
}

Test(policy_parse, long_chains_are_not_deep) {
    char *text = malloc(200000);
    cr_assert(text);
    char *p = stpcpy(text, "permit (principal, action, resource) when { true");
    for (int i = 0; i < 10000; i++) {
        p = stpcpy(p, " && true");
    }
    p = stpcpy(p, " } when { 0");
    for (int i = 0; i < 10000; i++) {
        p = stpcpy(p, " + 1");
    }
    stpcpy(p, " == 10000 };");
    policy_case c = policy_open(text, NULL);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    policy_close(&c);
    free(text);
}

Test(policy_parse, options_are_checked) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    aicp_policy_set *set = NULL;
    options.flags = 8;
    cr_expect_eq(aicp_policy_set_parse("", 0, &options, &set, NULL), AICP_ERR_INVALID);
    aicp_policy_set_options_init(&options, sizeof options);
    options.max_bytes = 3;
    cr_expect_eq(aicp_policy_set_parse("    ", 4, &options, &set, NULL), AICP_ERR_LIMIT);
    cr_expect_eq(aicp_policy_set_parse("   ", 3, &options, &set, NULL), AICP_OK);
    aicp_policy_set_free(set);
}

/* ---- ids, annotations, places ---- */

static const char annotated[] = "permit (principal, action, resource);\n"
                                "  @id(\"two\")\n"
                                "@reason(\"not \\\"now\\\"\") @flag\n"
                                "forbid (principal, action, resource);\n"
                                "@id(\"t\") permit (principal == ?principal, action, resource);\n"
                                "permit (principal, action, resource);";

Test(policy_parse, ids_count_positions_with_templates) {
    policy_case c = policy_open(annotated, NULL);
    cr_expect_eq(aicp_policy_set_count(c.set), 3);
    cr_expect_eq(aicp_policy_set_template_count(c.set), 1);
    cr_expect_str_eq(aicp_policy_set_id(c.set, 1), "policy1");
    cr_expect_str_eq(aicp_policy_set_id(c.set, 2), "policy3");
    cr_expect_str_eq(aicp_policy_set_template_id(c.set, 0), "policy2");
    cr_expect_null(aicp_policy_set_template_id(c.set, 1));
    policy_close(&c);
}

Test(policy_parse, annotations_and_places_can_be_read) {
    policy_case c = policy_open(annotated, NULL);
    cr_expect_eq(aicp_policy_set_annotation_count(c.set, 1), 3);
    cr_expect_str_eq(aicp_policy_set_annotation(c.set, 1, "reason"), "not \"now\"");
    cr_expect_str_eq(aicp_policy_set_annotation(c.set, 1, "flag"), "");
    cr_expect_null(aicp_policy_set_annotation(c.set, 1, "advice"));
    cr_expect_null(aicp_policy_set_annotation(c.set, 99, "id"));
    cr_expect_str_eq(aicp_policy_set_annotation_key(c.set, 1, 0), "id");
    cr_expect_str_eq(aicp_policy_set_annotation_value(c.set, 1, 0), "two");
    cr_expect_null(aicp_policy_set_annotation_key(c.set, 1, 3));
    cr_expect_eq(aicp_policy_set_line(c.set, 1), 2);
    cr_expect_eq(aicp_policy_set_column(c.set, 1), 3);
    cr_expect_eq(aicp_policy_set_effect(c.set, 0), AICP_POLICY_PERMIT);
    cr_expect_eq(aicp_policy_set_effect(c.set, 1), AICP_POLICY_FORBID);
    policy_close(&c);
}

Test(policy_parse, ids_can_come_from_annotations) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    aicp_policy_set *set = NULL;
    size_t index = 0;
    cr_assert_eq(
        aicp_policy_set_parse(annotated, strlen(annotated), &options, &set, NULL), AICP_OK);
    cr_expect_str_eq(aicp_policy_set_id(set, 1), "two");
    cr_expect_str_eq(aicp_policy_set_id(set, 2), "policy3");
    cr_expect_eq(aicp_policy_set_find(set, "two", 3, &index, NULL), AICP_OK);
    cr_expect_eq(index, 1);
    cr_expect_eq(aicp_policy_set_find(set, "policy1", 7, &index, NULL), AICP_ERR_NOT_FOUND);
    cr_expect_eq(aicp_policy_set_find(set, "t", 1, &index, NULL), AICP_ERR_NOT_FOUND);
    aicp_policy_set_free(set);
}

Test(policy_parse, an_id_may_stand_only_once) {
    static const char text[] = "@id(\"a\") permit (principal, action, resource);\n"
                               "@id(\"a\") forbid (principal, action, resource);";
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    cr_expect_eq(aicp_policy_set_parse(text, strlen(text), &options, &set, &err), AICP_ERR_EXISTS);
    cr_expect_eq(err.line, 2);
    cr_expect_null(set);
}

/* ---- links ---- */

static aicp_status link_templates(policy_case *c, const char *links, aicp_policy_set **out) {
    return aicp_policy_set_link(c->set, links, strlen(links), out, &c->err);
}

static const char templates[] =
    "permit (principal == ?principal, action, resource in ?resource) when { context.ok };\n"
    "forbid (principal, action, resource);";

Test(policy_link, a_link_acts_with_its_values) {
    policy_case c = policy_open(templates, NULL);
    aicp_policy_set *linked = NULL;
    cr_assert_eq(
        link_templates(
            &c,
            "[{\"templateId\":\"policy0\",\"newId\":\"l\",\"values\":{"
            "\"?principal\":{\"type\":\"User\",\"id\":\"alice\"},"
            "\"?resource\":{\"__entity\":{\"type\":\"Doc\",\"id\":\"d\"}}}}]",
            &linked),
        AICP_OK,
        "%s",
        c.err.message);
    aicp_policy_set_free(c.set); /* the new set keeps what it needs */
    c.set = linked;
    cr_expect_eq(aicp_policy_set_count(linked), 2);
    cr_expect_str_eq(aicp_policy_set_id(linked, 1), "l");
    cr_expect_eq(aicp_policy_set_line(linked, 1), 1);
    cr_assert_eq(aicp_policy_request_context_bool(c.request, "ok", 1, NULL), AICP_OK);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY);
    cr_expect_str_eq(aicp_policy_response_reason_id(c.response, 0), "policy1");
    aicp_policy_request_reset(c.request);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, "User", 4, "bob", 3, NULL), 0);
    policy_close(&c);
}

Test(policy_link, a_link_permits_whom_it_names_only) {
    policy_case c =
        policy_open("permit (principal == ?principal, action, resource in ?resource);", NULL);
    aicp_policy_set *linked = NULL;
    cr_assert_eq(
        link_templates(
            &c,
            "[{\"newId\":\"l\",\"templateId\":\"policy0\",\"values\":{"
            "\"?resource\":{\"type\":\"Doc\",\"id\":\"d\"},"
            "\"?principal\":{\"type\":\"User\",\"id\":\"alice\"}}}]",
            &linked),
        AICP_OK);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY, "a template alone permits nothing");
    aicp_policy_set_free(c.set);
    c.set = linked;
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, "User", 4, "bob", 3, NULL), 0);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY);
    policy_close(&c);
}

Test(policy_link, links_that_do_not_fit_are_refused) {
    static const struct {
        const char *links;
        aicp_status status;
    } cases[] = {
        {"[{\"templateId\":\"nope\",\"newId\":\"l\",\"values\":{}}]", AICP_ERR_NOT_FOUND},
        {"[{\"templateId\":\"policy1\",\"newId\":\"l\",\"values\":{}}]", AICP_ERR_NOT_FOUND},
        {"[{\"templateId\":\"policy0\",\"newId\":\"l\",\"values\":{}}]", AICP_ERR_INVALID},
        {"[{\"templateId\":\"policy0\",\"newId\":\"policy1\",\"values\":{"
         "\"?principal\":{\"type\":\"U\",\"id\":\"a\"},\"?resource\":{\"type\":\"D\",\"id\":\"d\"}}"
         "}]",
         AICP_ERR_EXISTS},
        {"[{\"templateId\":\"policy0\",\"newId\":\"l\",\"values\":{\"?action\":1}}]",
         AICP_ERR_PARSE},
        {"[{\"templateId\":\"policy0\",\"newId\":\"l\"}]", AICP_ERR_PARSE},
        {"{}", AICP_ERR_PARSE},
        {"[", AICP_ERR_PARSE},
    };
    policy_case c = policy_open(templates, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicp_policy_set *linked = c.set;
        cr_expect_eq(
            link_templates(&c, cases[i].links, &linked), cases[i].status, "%s", cases[i].links);
        cr_expect_null(linked);
        cr_expect_gt(c.err.line, 0u, "%s: no place", cases[i].links);
    }
    policy_close(&c);
}

Test(policy_parse, the_greatest_depth_can_be_read_and_run) {
    enum { DEEP = AICP_POLICY_DEPTH_MAX - 4 };
    static const struct {
        const char *open;
        const char *middle;
        const char *close;
    } kinds[] = {
        {"[", "1", "]"},
        {"{a: ", "1", "}"},
        {"if true then ", "1", " else 2"},
        {"(1 + ", "1", ")"},
        {"", "context", "[\"a\"]"}};
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.max_depth = AICP_POLICY_DEPTH_MAX;
    char *text = malloc(65536);
    cr_assert(text);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char *p = stpcpy(text, "permit (principal, action, resource) when { [context, ");
        for (int i = 0; i < DEEP; i++) {
            p = stpcpy(p, kinds[k].open);
        }
        p = stpcpy(p, kinds[k].middle);
        for (int i = 0; i < DEEP; i++) {
            p = stpcpy(p, kinds[k].close);
        }
        stpcpy(p, "].contains(context) };");
        policy_case c = policy_open("", NULL);
        aicp_policy_set_free(c.set);
        cr_assert_eq(
            aicp_policy_set_parse(text, strlen(text), &options, &c.set, &c.err),
            AICP_OK,
            "%s: %s",
            kinds[k].open,
            c.err.message);
        bool reads = kinds[k].open[0] == '\0'; /* of an attribute that is not there */
        cr_expect_eq(policy_ask(&c), reads ? AICP_POLICY_DENY : AICP_POLICY_ALLOW);
        policy_close(&c);
    }
    free(text);
}

Test(policy_parse, an_id_with_a_nul_is_refused_where_ids_come_from_annotations) {
    static const char text[] = "@id(\"a\\0b\") permit (principal, action, resource);";
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    aicp_policy_set *set = NULL;
    cr_expect_eq(aicp_policy_set_parse(text, strlen(text), &options, &set, NULL), AICP_OK);
    aicp_policy_set_free(set);
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    cr_expect_eq(aicp_policy_set_parse(text, strlen(text), &options, &set, NULL), AICP_ERR_INVALID);
}

Test(policy_parse, a_very_long_path_takes_memory_in_proportion) {
    enum { NAMES = 200000 };
    char *text = malloc(NAMES * 3 + 256);
    cr_assert(text);
    char *p = stpcpy(text, "permit (principal, action, resource) when { principal is A");
    for (int i = 0; i < NAMES; i++) {
        p = stpcpy(p, "::A");
    }
    stpcpy(p, " };");
    policy_case c = policy_open(text, NULL);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_DENY);
    policy_close(&c);
    free(text);
}

Test(policy_parse, a_policy_has_a_limited_number_of_annotations) {
    char *text = malloc(65536);
    cr_assert(text);
    char *p = text;
    for (int i = 0; i <= 256; i++) {
        p += snprintf(p, 16, "@a%d ", i);
    }
    stpcpy(p, "permit (principal, action, resource);");
    aicp_error err = policy_refused(text);
    cr_expect_eq(err.code, AICP_ERR_LIMIT);
    free(text);
}
