/* The validator's report: places, messages, warnings, links, limits. */
#include "unit/policy/validate_test.h"

#include <stdio.h>
#include <stdlib.h>

#define FINDING(name) AICP_POLICY_FINDING_##name

static const char schema[] =
    "entity Team; entity User in [Team] = { email: String, nick?: String };\n"
    "entity Doc = { owner: User }; entity Color enum [\"red\", \"blue\"];\n"
    "action read, \"write it\" appliesTo { principal: User, resource: Doc, context: { a?: Long } "
    "};\n"
    "action all;\n"
    "namespace N { entity Item; action open appliesTo { principal: Item, resource: Item }; }";

static bool says(const aicp_policy_report *report, const char *words) {
    const char *message = aicp_policy_report_message(report, 0);
    return message && strstr(message, words) != NULL;
}

/* ---- findings ---- */

Test(policy_report, getters_answer_for_every_finding_and_for_none) {
    aicp_policy_report *r = validate_text(
        schema,
        "permit (principal, action == Action::\"read\", resource)\n"
        "  when { principal.emial == \"x\" };\n"
        "permit (principal == ?principal, action == Action::\"read\", resource)\n"
        "  when { resource.ownr == principal };",
        0);
    cr_assert_eq(aicp_policy_report_count(r), 2);
    cr_expect_eq(aicp_policy_report_severity(r, 0), AICP_POLICY_SEVERITY_ERROR);
    cr_expect_eq(aicp_policy_report_kind(r, 0), FINDING(ATTRIBUTE));
    cr_expect_str_eq(aicp_policy_report_id(r, 0), "policy0");
    cr_expect_eq(aicp_policy_report_index(r, 0), 0);
    cr_expect_eq(aicp_policy_report_is_template(r, 0), 0);
    cr_expect_eq(aicp_policy_report_line(r, 0), 2);
    cr_expect_eq(aicp_policy_report_column(r, 0), 20);
    cr_expect_eq(aicp_policy_report_offset(r, 0), 74);
    cr_expect_str_eq(
        aicp_policy_report_message(r, 0),
        "the entity type User has no attribute emial; did you mean email?");
    cr_expect_str_eq(aicp_policy_report_id(r, 1), "policy1");
    cr_expect_eq(aicp_policy_report_is_template(r, 1), 1);
    cr_expect_eq(aicp_policy_report_index(r, 1), 0);
    cr_expect_eq(aicp_policy_report_line(r, 1), 4);
    cr_expect_eq(aicp_policy_report_severity(r, 2), 0);
    cr_expect_eq(aicp_policy_report_kind(r, 2), 0);
    cr_expect_null(aicp_policy_report_id(r, 2));
    cr_expect_eq(aicp_policy_report_index(r, 2), SIZE_MAX);
    cr_expect_eq(aicp_policy_report_is_template(r, 2), 0);
    cr_expect_eq(aicp_policy_report_line(r, 2), 0);
    cr_expect_eq(aicp_policy_report_column(r, 2), 0);
    cr_expect_eq(aicp_policy_report_offset(r, 2), 0);
    cr_expect_null(aicp_policy_report_message(r, 2));
    aicp_policy_report_free(r);
}

Test(policy_report, every_kind_has_cedars_name) {
    cr_expect_str_eq(aicp_policy_finding_name(FINDING(TYPE)), "UnexpectedType");
    cr_expect_str_eq(aicp_policy_finding_name(FINDING(IMPOSSIBLE)), "ImpossiblePolicy");
    cr_expect_str_eq(aicp_policy_finding_name(0), "Unknown");
    cr_expect_str_eq(aicp_policy_finding_name(99), "Unknown");
}

Test(policy_report, a_message_names_what_is_wrong_and_what_may_have_been_meant) {
    static const struct {
        const char *policy;
        const char *words;
    } cases[] = {
        {"permit (principal is Usr, action, resource);",
         "the schema declares no entity type Usr; did you mean User?"},
        {"permit (principal, action == Action::\"red\", resource);",
         "no action Action::\"red\"; did you mean read?"},
        {"permit (principal, action == M::Action::\"all\", resource);",
         "no action M::Action::\"all\", but Action::\"all\""},
        {"permit (principal, action, resource) when { Color::\"rde\" == Color::\"red\" };",
         "Color::\"rde\" is not one of the entities that the schema lists"},
        {"permit (principal == Team::\"a\", action == Action::\"read\", resource);",
         "it would with 'in' instead of '=='"},
        {"permit (principal is User, action, resource) when { principal.email > 1 };",
         "expected Long, found String"},
        {"permit (principal is User, action, resource) when { principal.email has x };",
         "expected an entity or a record, found String; texts are matched with like"},
        {"permit (principal is User, action, resource) when { principal.nick == \"x\" };",
         "the attribute nick of the entity type User is optional: test with 'has nick' first"},
        {"permit (principal is User, action, resource) when { context.a == 1 };",
         "the attribute a of the context of Action::\"read\" is optional"},
        {"permit (principal is User, action, resource) when { {b: 1}.c == 1 };",
         "the record {b: Long} has no attribute c"},
        {"permit (principal is User, action, resource) when { [1, \"a\"] == [1] };",
         "the types Long and String do not fit together in the elements of one set"},
        {"permit (principal is User, action, resource) when { ip(\"1.2.3\").isIpv4() };",
         "ip(\"1.2.3\"): "},
        {"permit (principal is User, action, resource) when { ip(\"::1\").isIpv4(1) };",
         "isIpv4 takes 0 arguments, found 1"},
        {"permit (principal, action in [], resource);",
         "no action of the schema that this head allows applies"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicp_policy_report *r = validate_text(schema, cases[i].policy, 0);
        cr_expect(
            says(r, cases[i].words),
            "%s: %s",
            cases[i].policy,
            aicp_policy_report_count(r) ? aicp_policy_report_message(r, 0) : "nothing");
        aicp_policy_report_free(r);
    }
}

Test(policy_report, a_head_is_blamed_at_its_own_place) {
    aicp_policy_report *r = validate_text(
        schema,
        "permit (\n principal is Usr,\n action in [Action::\"x\"],\n resource in Dco::\"d\");",
        0);
    cr_assert_geq(aicp_policy_report_count(r), 3);
    cr_expect_eq(aicp_policy_report_line(r, 0), 2);
    cr_expect_eq(aicp_policy_report_column(r, 0), 15);
    cr_expect_eq(aicp_policy_report_line(r, 1), 3);
    cr_expect_eq(aicp_policy_report_column(r, 1), 12);
    cr_expect_eq(aicp_policy_report_line(r, 2), 4);
    cr_expect_eq(aicp_policy_report_column(r, 2), 14);
    aicp_policy_report_free(r);
}

Test(policy_report, a_finding_stands_once_however_many_environments_have_it) {
    aicp_policy_report *r = validate_text(
        schema,
        "permit (principal is User, action, resource) when { principal.x == action.y };",
        0);
    cr_expect_eq(aicp_policy_report_count(r), 2);
    aicp_policy_report_free(r);
}

/* ---- what never applies ---- */

Test(policy_report, a_policy_that_no_action_applies_to_is_an_error_or_a_warning) {
    static const char *const policies[] = {
        "permit (principal is Team, action, resource);",
        "permit (principal, action == Action::\"all\", resource);",
        "permit (principal is User, action == N::Action::\"open\", resource);",
        "permit (principal, action, resource == Team::\"x\");",
        "permit (principal is User in Doc::\"x\", action, resource);",
        "permit (principal is Team in ?principal, action, resource);",
    };
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        aicp_policy_report *r = validate_text(schema, policies[i], 0);
        cr_expect_not(aicp_policy_report_passed(r), "%s", policies[i]);
        cr_expect_eq(aicp_policy_report_kind(r, 0), FINDING(INAPPLICABLE), "%s", policies[i]);
        aicp_policy_report_free(r);
        r = validate_text(schema, policies[i], AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS);
        cr_expect(aicp_policy_report_passed(r), "%s", policies[i]);
        cr_expect_eq(aicp_policy_report_count(r), 2, "%s", policies[i]);
        cr_expect_eq(aicp_policy_report_severity(r, 0), AICP_POLICY_SEVERITY_WARNING);
        cr_expect_eq(aicp_policy_report_kind(r, 1), FINDING(IMPOSSIBLE));
        aicp_policy_report_free(r);
    }
}

Test(policy_report, a_policy_whose_conditions_are_always_false_is_warned_of) {
    static const struct {
        const char *condition;
        bool impossible;
    } cases[] = {
        {"false", true},
        {"principal has nothing", true},
        {"principal in Doc::\"x\"", true},
        {"principal is Team", true},
        {"principal == resource", true},
        {"1 == 2", true},
        {"action in Action::\"all\"", true},
        {"principal.email == \"x\"", false},
        {"action == Action::\"read\"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(
            text,
            sizeof text,
            "permit (principal is User, action, resource) when { %s };",
            cases[i].condition);
        aicp_policy_report *r = validate_text(schema, text, 0);
        cr_expect(aicp_policy_report_passed(r), "%s", cases[i].condition);
        cr_expect_eq(
            aicp_policy_report_kind(r, 0),
            cases[i].impossible ? FINDING(IMPOSSIBLE) : 0,
            "%s",
            cases[i].condition);
        aicp_policy_report_free(r);
    }
}

/* ---- texts ---- */

Test(policy_report, texts_that_are_not_what_they_look_like_are_warned_of) {
    static const condition_case cases[] = {
        {"principal.email == \"plain text, 123 \\n\"", 0},
        {"principal.email == \"Привет, мир\"", 0},
        {"principal.email == \"日本語テキスト かな\"", 0},
        {"principal.email == \"한국어 漢字\"", 0},
        {"principal.email == \"naïve 🙂 ½\"", 0},
        {"principal.email == \"pаypal\"", FINDING(MIXED_STRING)}, /* a Cyrillic a */
        {"principal.email like \"*pаypal*\"", FINDING(MIXED_STRING)},
        {"principal.email == \"a\\u{202E}b\"", FINDING(BIDI_STRING)},
        {"principal.email like \"a\\u{2066}*\"", FINDING(BIDI_STRING)},
        {"principal == User::\"pаypal\"", FINDING(MIXED_IDENTIFIER)},
        {"principal == User::\"a\\u{202E}b\"", FINDING(BIDI_IDENTIFIER)},
        {"principal == User::\"is\\u{200B}Admin\"", FINDING(CONFUSABLE_IDENTIFIER)},
        {"principal == User::\"a\\nb\"", FINDING(CONFUSABLE_IDENTIFIER)},
        {"principal == User::\"https://x.example/a?b={c}#d\"", 0},
        {"principal == User::\"müller\"", 0},
        {"{\"pаypal\": 1} has x || true", FINDING(MIXED_IDENTIFIER)},
        {"!(principal has \"pаypal\") || true", FINDING(MIXED_IDENTIFIER)},
    };
    VALIDATE_CONDITIONS(schema, "principal is User, action, resource", cases, 0);
}

/* ---- links ---- */

static const char template_text[] =
    "permit (principal in ?principal, action == Action::\"read\", resource == ?resource);";

static aicp_policy_report *validate_link(const char *principal, const char *resource) {
    char links[256];
    snprintf(
        links,
        sizeof links,
        "[{\"templateId\":\"policy0\",\"newId\":\"link\",\"values\":{\"?principal\":{\"type\":"
        "\"%s\",\"id\":\"a\"},\"?resource\":{\"type\":\"%s\",\"id\":\"b\"}}}]",
        principal,
        resource);
    return validate_links(schema, template_text, links);
}

Test(policy_report, a_link_is_checked_with_its_values) {
    aicp_policy_report *r = validate_link("Team", "Doc");
    cr_expect(aicp_policy_report_passed(r));
    cr_expect_eq(aicp_policy_report_count(r), 0);
    aicp_policy_report_free(r);

    r = validate_link("Team", "User");
    cr_expect_eq(aicp_policy_report_count(r), 1);
    cr_expect_eq(aicp_policy_report_kind(r, 0), FINDING(INAPPLICABLE));
    cr_expect_str_eq(aicp_policy_report_id(r, 0), "link");
    cr_expect_eq(aicp_policy_report_is_template(r, 0), 0);
    aicp_policy_report_free(r);

    r = validate_link("Taem", "Doc");
    cr_expect_eq(aicp_policy_report_kind(r, 0), FINDING(ENTITY_TYPE));
    cr_expect_not(aicp_policy_report_passed(r));
    aicp_policy_report_free(r);
}

Test(policy_report, many_links_of_one_template_are_told_apart) {
    char *links = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&links, &len);
    cr_assert(f);
    for (int i = 0; i < 10000; i++) {
        fprintf(
            f,
            "%c{\"templateId\":\"policy0\",\"newId\":\"l%d\",\"values\":{\"?principal\":{\"type\":"
            "\"Team\",\"id\":\"t%d\"},\"?resource\":{\"type\":\"%s\",\"id\":\"d%d\"}}}",
            i ? ',' : '[',
            i,
            i,
            i % 1000 == 7 ? "User" : "Doc",
            i);
    }
    fputc(']', f);
    fclose(f);
    aicp_policy_report *r = validate_links(schema, template_text, links);
    cr_expect_eq(aicp_policy_report_count(r), 10);
    cr_expect_str_eq(aicp_policy_report_id(r, 0), "l7");
    cr_expect_str_eq(aicp_policy_report_id(r, 9), "l9007");
    aicp_policy_report_free(r);
    free(links);
}

/* ---- options and limits ---- */

static aicp_status
try_validate(const char *schema_text, const char *text, aicp_policy_validate_options *options) {
    aicp_policy_schema *s = NULL;
    aicp_policy_set *set = NULL;
    aicp_policy_report *r = NULL;
    cr_assert_eq(
        aicp_policy_schema_parse(schema_text, strlen(schema_text), NULL, &s, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_set_parse(text, strlen(text), NULL, &set, NULL), AICP_OK);
    aicp_status status = aicp_policy_validate(set, s, options, &r, NULL);
    cr_expect_eq(status == AICP_OK, r != NULL);
    aicp_policy_report_free(r);
    aicp_policy_set_free(set);
    aicp_policy_schema_free(s);
    return status;
}

Test(policy_report, unknown_options_are_refused) {
    aicp_policy_validate_options options;
    aicp_policy_validate_options_init(&options, sizeof options);
    cr_expect_eq(try_validate(schema, "", &options), AICP_OK);
    options.flags = 4;
    cr_expect_eq(try_validate(schema, "", &options), AICP_ERR_INVALID);
    options = (aicp_policy_validate_options){0};
    cr_expect_eq(try_validate(schema, "", &options), AICP_ERR_INVALID);
    cr_expect_eq(try_validate(schema, "", NULL), AICP_OK);
}

Test(policy_report, findings_past_the_most_count_but_are_not_kept) {
    static const char text[] = "permit (principal is User, action, resource)\n"
                               "when { {\"pаypal\": 1} == {\"pаypal\": 2} && principal.x };";
    aicp_policy_schema *s = NULL;
    aicp_policy_set *set = NULL;
    aicp_policy_report *r = NULL;
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    options.max_findings = 1;
    cr_assert_eq(aicp_policy_schema_parse(schema, strlen(schema), NULL, &s, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_set_parse(text, strlen(text), NULL, &set, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_validate(set, s, &options, &r, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_report_count(r), 1);
    cr_expect_eq(aicp_policy_report_severity(r, 0), AICP_POLICY_SEVERITY_WARNING);
    cr_expect(aicp_policy_report_truncated(r));
    cr_expect_not(aicp_policy_report_passed(r));
    aicp_policy_report_free(r);
    aicp_policy_set_free(set);
    aicp_policy_schema_free(s);
}

/* A condition: `depth` times `open`, then `middle`, then as often `close`. */
static char *nested(const char *open, const char *middle, const char *close, size_t depth) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    cr_assert(f);
    fputs("permit (principal is User, action, resource) when { ", f);
    for (size_t i = 0; i < depth; i++) {
        fputs(open, f);
    }
    fputs(middle, f);
    for (size_t i = 0; i < depth; i++) {
        fputs(close, f);
    }
    fputs(" };", f);
    fclose(f);
    return text;
}

Test(policy_report, the_deepest_expressions_are_checked) {
    static const struct {
        const char *open;
        const char *middle;
        const char *close;
    } shapes[] = {
        {"[", "1", "].isEmpty()"},
        {"{a: ", "{a: 1}", "}.a"},
        {"if ", "true", " then true else false"},
        {"(principal has nick && ", "true", ")"},
        {"(if principal.email == \"x\" then ", "principal", " else principal)"},
        {"{a: ", "1", "}"},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char *text = nested(shapes[i].open, shapes[i].middle, shapes[i].close, 480);
        aicp_policy_report *r = validate_text(schema, text, 0);
        cr_expect_leq(aicp_policy_report_count(r), 1000, "shape %zu", i);
        aicp_policy_report_free(r);
        free(text);
    }
}

/* Two types, A and B, of 2^levels attributes each, alike but for their name. */
static char *huge_types(int levels) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    cr_assert(f);
    fputs("type A0 = {x: Long}; type B0 = {x: Long};\n", f);
    for (int i = 1; i <= levels; i++) {
        fprintf(f, "type A%d = {a: A%d, b: A%d};\n", i, i - 1, i - 1);
        fprintf(f, "type B%d = {a: B%d, b: B%d};\n", i, i - 1, i - 1);
    }
    fprintf(f, "entity E = {a: A%d, b: B%d};\n", levels, levels);
    fputs("action a appliesTo {principal: E, resource: E};", f);
    fclose(f);
    return text;
}

Test(policy_report, types_that_unfold_to_something_huge_are_refused_not_compared_for_ever) {
    char *types = huge_types(13);
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    cr_assert(f);
    fputs("permit (principal, action, resource) when { ", f);
    for (int i = 0; i < 1600; i++) {
        fputs("principal.a == resource.b && ", f);
    }
    fputs("true };", f);
    fclose(f);
    cr_expect_eq(try_validate(types, text, NULL), AICP_ERR_LIMIT);
    free(types);
    free(text);
}
