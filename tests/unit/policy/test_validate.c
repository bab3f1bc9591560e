/* The type checker: what is safe, what is known, what fits together. */
#include "unit/policy/validate_test.h"

#include <stdio.h>

#define FINDING(name) AICP_POLICY_FINDING_##name

static const char schema[] =
    "entity Team in [Team]; entity Admin in [Team] = { name: String, level: Long };\n"
    "entity User in [Team] = { name: String, age: Long, nick?: String, level?: Long,\n"
    "  boss?: User, address: { city: String, zip?: Long }, roles: Set<String>, net: ipaddr }\n"
    "  tags String;\n"
    "entity Doc = { owner: User, seen: datetime, kept: duration, price: decimal } tags Long;\n"
    "entity Color enum [\"red\", \"blue\"];\n"
    "action read, write appliesTo { principal: [User], resource: [Doc],\n"
    "  context: { mfa: Bool, count?: Long, color: Color, extra?: { deep?: { x?: Long } } } };\n"
    "action all; action list in [all] appliesTo { principal: [User, Admin], resource: [Doc] };";

static const char head[] = "principal, action == Action::\"read\", resource";

Test(policy_validate, an_attribute_must_be_declared_and_known_to_be_there) {
    static const condition_case cases[] = {
        {"principal.age > 1", 0},
        {"principal.address.city == \"x\"", 0},
        {"principal[\"age\"] == 1", 0},
        {"principal.agee > 1", FINDING(ATTRIBUTE)},
        {"principal.address.street == \"x\"", FINDING(ATTRIBUTE)},
        {"context.nothing", FINDING(ATTRIBUTE)},
        {"action.name == \"x\"", FINDING(ATTRIBUTE)},
        {"{a: 1}.b == 1", FINDING(ATTRIBUTE)},
        {"principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"context.count == 1", FINDING(OPTIONAL)},
        {"principal.address.zip == 1", FINDING(OPTIONAL)},
        {"principal.age.x == 1", FINDING(TYPE)},
        {"principal has nick && principal.nick == \"x\"", 0},
        {"principal.address has zip && principal[\"address\"].zip == 1", 0},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, what_has_proves_holds_where_it_is_true_and_only_there) {
    static const condition_case cases[] = {
        {"resource.owner has nick && principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"principal.nick == \"x\" && principal has nick", FINDING(OPTIONAL)},
        {"principal has nick || principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"!(principal has nick) && principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"!(principal has nick) || principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"(principal has nick && principal.age > 1) && principal.nick == \"x\"", 0},
        {"(principal has nick || principal has nick) && principal.nick == \"x\"", 0},
        {"(principal has nick || principal has level) && principal.nick == \"x\"",
         FINDING(OPTIONAL)},
        {"(principal has nick && context.mfa || principal has nick && principal.age > 1) && "
         "principal.nick == \"x\"",
         0},
        {"(principal has nick || false) && principal.nick == \"x\"", 0},
        {"(false || principal has nick) && principal.nick == \"x\"", 0},
        {"(true || principal has nick) && principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"if principal has nick then principal.nick == \"x\" else false", 0},
        {"if principal has nick then false else principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"(if principal has nick then principal has level else false) && principal.level > 1",
         FINDING(OPTIONAL)},
        {"(if context.mfa then principal has nick else principal has nick) && "
         "principal.nick == \"x\"",
         0},
        {"(if context.mfa then principal has nick else context.mfa) && principal.nick == \"x\"",
         FINDING(OPTIONAL)},
        {"(if true then principal has nick else false) && principal.nick == \"x\"", 0},
        {"[principal has nick].contains(true) && principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"(principal has nick) == true && principal.nick == \"x\"", FINDING(OPTIONAL)},
        {"context has extra.deep.x && context.extra.deep.x == 1", 0},
        {"context has extra.deep.x && context.extra has deep && context.extra.deep.x == 1", 0},
        {"context has extra && context.extra has deep.x && context.extra.deep.x == 1", 0},
        {"context has extra.deep && context.extra.deep.x == 1", FINDING(OPTIONAL)},
        {"principal has boss.boss.nick && principal.boss.boss.nick == \"x\"", 0},
        {"principal has boss.boss && principal.boss.nick == \"x\"", FINDING(OPTIONAL)},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, a_proof_of_one_condition_holds_in_the_next) {
    static const struct {
        const char *conditions;
        bool passes;
    } cases[] = {
        {"when { principal has nick } when { principal.nick == \"x\" }", true},
        {"unless { principal has nick } when { principal.nick == \"x\" }", false},
        {"when { principal.nick == \"x\" } when { principal has nick }", false},
        {"unless { !(principal has nick) } when { principal.nick == \"x\" }", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "permit (%s) %s;", head, cases[i].conditions);
        aicp_policy_report *report = validate_text(schema, text, 0);
        cr_expect_eq(aicp_policy_report_passed(report), cases[i].passes, "%s", cases[i].conditions);
        aicp_policy_report_free(report);
    }
}

Test(policy_validate, a_proof_is_about_an_expression_however_it_is_spelt) {
    static const condition_case cases[] = {
        {"(if principal.age > 1 then principal else principal) has nick && "
         "(if principal.age > 1 then principal else principal).nick == \"x\"",
         0},
        {"(if principal.age > 1 then principal else principal) has nick && "
         "(if principal.age > 2 then principal else principal).nick == \"x\"",
         FINDING(OPTIONAL)},
        {"(if principal.age != 1 then principal else principal) has nick && "
         "(if !(principal.age == 1) then principal else principal).nick == \"x\"",
         0},
        {"(if principal.name like \"a*\" then principal else principal) has nick && "
         "(if principal.name like \"a*\" then principal else principal).nick == \"x\"",
         0},
        {"(if principal.name like \"a*\" then principal else principal) has nick && "
         "(if principal.name like \"*a\" then principal else principal).nick == \"x\"",
         FINDING(OPTIONAL)},
        {"(if principal.age + 1 - 2 > 1 then principal else principal) has nick && "
         "(if principal.age - 1 + 2 > 1 then principal else principal).nick == \"x\"",
         FINDING(OPTIONAL)},
        {"(if {a: 1, b: [2]} == {a: 1, b: [2]} && principal is User in Team::\"x\" && "
         "principal.net.isInRange(ip(\"1.2.3.0/24\")) then principal else principal) has nick && "
         "(if {a: 1, b: [2]} == {a: 1, b: [2]} && principal is User in Team::\"x\" && "
         "principal.net.isInRange(ip(\"1.2.3.0/24\")) then principal else principal).nick == \"x\"",
         0},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, a_tag_is_safe_after_hasTag_of_the_same_entity_and_name) {
    static const condition_case cases[] = {
        {"principal.hasTag(\"a\") && principal.getTag(\"a\") == \"x\"", 0},
        {"principal.hasTag(principal.name) && principal.getTag(principal.name) == \"x\"", 0},
        {"principal.getTag(\"a\") == \"x\"", FINDING(TAG)},
        {"principal.hasTag(\"b\") && principal.getTag(\"a\") == \"x\"", FINDING(TAG)},
        {"resource.owner.hasTag(\"a\") && principal.getTag(\"a\") == \"x\"", FINDING(TAG)},
        {"resource.hasTag(\"a\") && resource.getTag(\"a\") == \"x\"", FINDING(INCOMPATIBLE)},
        {"resource.hasTag(\"a\") && resource.getTag(\"a\") + 1 > 2", 0},
        {"principal.hasTag(1)", FINDING(TYPE)},
        {"principal.address.hasTag(\"a\")", FINDING(TYPE)},
        {"!action.hasTag(\"a\") || action.getTag(\"a\") == 1", 0},
        {"principal has nick && principal.hasTag(principal.nick)", 0},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, operators_want_operands_of_their_types) {
    static const condition_case cases[] = {
        {"principal.age + principal.name > 1", FINDING(TYPE)},
        {"-principal.name == 1", FINDING(TYPE)},
        {"!principal.age", FINDING(TYPE)},
        {"principal.age", FINDING(TYPE)},
        {"principal.age && context.mfa", FINDING(TYPE)},
        {"context.mfa || principal.name", FINDING(TYPE)},
        {"principal.age like \"a\"", FINDING(TYPE)},
        {"principal.name < 1", FINDING(TYPE)},
        {"1 < principal.name", FINDING(TYPE)},
        {"resource.seen < datetime(\"2024-01-01\")", 0},
        {"resource.kept >= duration(\"1h\")", 0},
        {"resource.seen < resource.kept", FINDING(TYPE)},
        {"resource.seen < 1", FINDING(TYPE)},
        {"resource.price < 1", FINDING(TYPE)},
        {"resource.price.lessThan(decimal(\"1.0\"))", 0},
        {"principal.age.isEmpty()", FINDING(TYPE)},
        {"principal.age.contains(1)", FINDING(TYPE)},
        {"principal.roles.contains(1)", FINDING(INCOMPATIBLE)},
        {"principal.roles.containsAll([\"a\"])", 0},
        {"principal.roles.containsAny([1])", FINDING(INCOMPATIBLE)},
        {"principal.roles.containsAny(1)", FINDING(TYPE)},
        {"principal in \"x\"", FINDING(TYPE)},
        {"principal.age in Team::\"x\"", FINDING(TYPE)},
        {"principal in [Team::\"x\", Team::\"y\"]", 0},
        {"principal.roles has x", FINDING(TYPE)},
        {"principal.age is User", FINDING(TYPE)},
        {"if principal.age then true else false", FINDING(TYPE)},
        {"resource.seen.offset(1) == resource.seen", FINDING(TYPE)},
        {"resource.seen.offset(resource.kept) == resource.seen", 0},
        {"resource.seen.toTime().toHours() > 3", 0},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, types_that_meet_must_be_the_same_in_strict_mode) {
    static const condition_case cases[] = {
        {"principal.age == principal.name", FINDING(INCOMPATIBLE)},
        {"principal.age != principal.name", FINDING(INCOMPATIBLE)},
        {"[1, \"a\"].contains(principal.age)", FINDING(INCOMPATIBLE)},
        {"(if context.mfa then 1 else \"a\") == 1", FINDING(INCOMPATIBLE)},
        {"[principal, resource].contains(principal)", FINDING(INCOMPATIBLE)},
        {"(if context.mfa then {a: 1} else {a: 1, b: 2}) == {a: 1}", FINDING(INCOMPATIBLE)},
        {"{city: \"x\"} == principal.address", FINDING(INCOMPATIBLE)},
        {"[].contains(principal.age)", FINDING(EMPTY_SET)},
        {"[true, false].contains(context.mfa)", 0},
        {"[{a: true}, {a: false}].contains({a: context.mfa})", 0},
        {"decimal(principal.name) == resource.price", FINDING(CONSTRUCTOR)},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, types_that_meet_may_differ_in_permissive_mode) {
    static const condition_case cases[] = {
        {"principal.age == principal.name", 0},
        {"[principal, resource].contains(principal)", 0},
        {"(if context.mfa then {a: 1} else {a: 1, b: 2}).a == 1", 0},
        {"(if context.mfa then {a: 1} else {a: 1, b: 2}).b == 1", FINDING(ATTRIBUTE)},
        {"(if context.mfa then {a: 1} else {a: 1, b: 2}) has b", 0},
        {"(if context.mfa then principal else resource) has owner", 0},
        {"(if context.mfa then principal else resource).owner == principal", FINDING(ATTRIBUTE)},
        {"(if context.mfa then principal else Admin::\"x\").name == \"x\"", 0},
        {"(if context.mfa then principal else Admin::\"x\").level == 1", FINDING(OPTIONAL)},
        {"(if context.mfa then principal else Admin::\"x\") is User", 0},
        {"(if context.mfa then principal else Admin::\"x\") in Team::\"x\"", 0},
        {"(if context.mfa then principal else resource).hasTag(\"a\") && "
         "(if context.mfa then principal else resource).getTag(\"a\") == 1",
         FINDING(INCOMPATIBLE)},
        {"(if context.mfa then 1 else \"a\") == 1", FINDING(INCOMPATIBLE)},
        {"[].contains(principal.age)", 0},
        {"[[], [1]].contains([principal.age])", 0},
        {"decimal(principal.name) == resource.price", 0},
    };
    VALIDATE_CONDITIONS(schema, head, cases, AICP_POLICY_VALIDATE_PERMISSIVE);
}

Test(policy_validate, what_is_never_evaluated_is_not_checked) {
    static const condition_case cases[] = {
        {"true || principal.nothing", 0},
        {"if principal is User then true else principal.nothing", 0},
        {"principal is User || principal.nothing", 0},
        {"!(principal is Admin) || principal.nothing", 0},
        {"!(principal has nothing) || principal.nothing == 1", 0},
        {"!(principal == resource) || principal.nothing", 0},
        {"!(1 == 2) || principal.nothing", 0},
        {"!(principal in Doc::\"x\") || principal.nothing", 0},
        {"action == Action::\"read\" || principal.nothing", 0},
        {"action != Action::\"write\" || principal.nothing", 0},
        {"action in [Action::\"read\", Action::\"write\"] || principal.nothing", 0},
        {"!(action in Action::\"all\") || principal.nothing", 0},
        {"!(action in Team::\"x\") || principal.nothing", 0},
        {"context has mfa || principal.nothing", 0},
        {"context.mfa || principal.nothing", FINDING(ATTRIBUTE)},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, calls_of_extension_functions_must_be_able_to_succeed) {
    static const condition_case cases[] = {
        {"principal.net.isInRange(ip(\"10.0.0.0/8\"))", 0},
        {"principal.net.isInRange(ip(\"10.0.0.0/33\"))", FINDING(ARGUMENT)},
        {"resource.price == decimal(\"1\")", FINDING(ARGUMENT)},
        {"resource.seen == datetime(\"2024-02-30\")", FINDING(ARGUMENT)},
        {"resource.kept == duration(\"1s1h\")", FINDING(ARGUMENT)},
        {"ip(\"1.2.3.4\", \"x\") == principal.net", FINDING(ARGUMENTS)},
        {"ip() == principal.net", FINDING(ARGUMENTS)},
        {"principal.net.isIpv4(1)", FINDING(ARGUMENTS)},
        {"principal.net.isInRange(1)", FINDING(TYPE)},
        {"ip(1) == principal.net", FINDING(TYPE)},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, entities_of_a_policy_must_be_declared) {
    static const condition_case cases[] = {
        {"principal == Usr::\"x\"", FINDING(ENTITY_TYPE)},
        {"principal is Usr || true", FINDING(ENTITY_TYPE)},
        {"action == Action::\"raed\" || true", FINDING(ACTION)},
        {"action == Other::Action::\"read\" || true", FINDING(ACTION)},
        {"context.color == Color::\"green\"", FINDING(ENUM)},
        {"context.color == Color::\"red\"", 0},
        {"true || principal in Taem::\"x\"", FINDING(ENTITY_TYPE)},
    };
    VALIDATE_CONDITIONS(schema, head, cases, 0);
}

Test(policy_validate, every_environment_that_the_head_allows_is_checked) {
    static const struct {
        const char *policy;
        bool passes;
    } cases[] = {
        {"permit (principal, action, resource) when { principal.name == \"x\" };", true},
        {"permit (principal, action, resource) when { principal.age == 1 };", false},
        {"permit (principal is User, action, resource) when { principal.age == 1 };", true},
        {"permit (principal == User::\"a\", action, resource) when { principal.age == 1 };", true},
        {"permit (principal in Team::\"a\", action, resource) when { principal.age == 1 };", false},
        {"permit (principal is User in Team::\"a\", action, resource) when { principal.age == 1 };",
         true},
        {"permit (principal, action in Action::\"all\", resource) when { principal.age == 1 };",
         false},
        {"permit (principal, action in [Action::\"read\", Action::\"write\"], resource) "
         "when { principal.age == 1 && context.mfa };",
         true},
        {"permit (principal, action in [Action::\"read\", Action::\"list\"], resource) "
         "when { context.mfa };",
         false},
        {"permit (principal, action, resource) "
         "when { action == Action::\"read\" && context.mfa };",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicp_policy_report *report = validate_text(schema, cases[i].policy, 0);
        cr_expect_eq(aicp_policy_report_passed(report), cases[i].passes, "%s", cases[i].policy);
        aicp_policy_report_free(report);
    }
}
