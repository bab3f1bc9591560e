/* Every allocation of the validator fails in turn: nothing leaks, and there is a report only when
 * it is whole. */
#include "unit/support.h"

#include "aicp/policy.h"

#include <criterion/criterion.h>
#include <string.h>

static const char schema_text[] =
    "entity Team in [Team]; entity User in [Team] = { name: String, nick?: String, set: Set<Long> "
    "}\n"
    "  tags String;\n"
    "entity Admin in [Team] = { name: String, nick?: Long }; entity Doc = { owner: User };\n"
    "action read, write appliesTo { principal: [User, Admin], resource: Doc, context: { a?: Long } "
    "};";

/* Findings and joins of all sorts, and a link to which no action applies. */
static const char policies[] =
    "permit (principal, action, resource) when { principal.nick == 1 };\n"
    "permit (principal is User, action, resource) when {\n"
    "  context has a && context.a > 1 && principal.hasTag(\"x\") && principal.getTag(\"x\") == "
    "\"y\"\n"
    "  && (if context.a > 2 then {a: true} else {a: false}).a && [[1], [2]].contains([3])\n"
    "  && (principal has nick || resource.owner has nick) && resource.owner.nick like \"a*\" };\n"
    "permit (principal is User, action, resource) when {\n"
    "  (if principal.name == \"x\" then principal else Admin::\"x\").name == \"z\" &&\n"
    "  [principal, Admin::\"y\"].contains(principal) &&\n"
    "  (if principal.name == \"x\" then {a: 1, b: 2} else {a: 3}).a == 1 &&\n"
    "  [principal.set, [1]].contains([2]) && ip(\"::1\").isLoopback() };\n"
    "permit (principal == ?principal, action == Action::\"read\", resource in ?resource)\n"
    "  when { principal.name == \"p\" };\n";

static const char links[] = "[{\"templateId\":\"policy3\",\"newId\":\"link\",\"values\":{"
                            "\"?principal\":{\"type\":\"User\",\"id\":\"a\"},"
                            "\"?resource\":{\"type\":\"Team\",\"id\":\"b\"}}}]";

typedef struct inputs {
    aicp_policy_schema *schema;
    aicp_policy_set *set;
    uint32_t flags;
    size_t findings;
} inputs;

static bool validate(void *user, const aicp_allocator *a) {
    inputs *in = user;
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    aicp_policy_report *report = NULL;
    aicp_error err;
    options.allocator = a;
    options.flags = in->flags;
    aicp_status status = aicp_policy_validate(in->set, in->schema, &options, &report, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && report == NULL;
    }
    bool whole = aicp_policy_report_count(report) == in->findings;
    aicp_policy_report_free(report);
    return whole;
}

Test(nomem, validation_reports_whole_or_not_at_all) {
    inputs in = {.findings = 8};
    aicp_policy_set *templates = NULL;
    cr_assert_eq(
        aicp_policy_schema_parse(schema_text, strlen(schema_text), NULL, &in.schema, NULL),
        AICP_OK);
    cr_assert_eq(
        aicp_policy_set_parse(policies, strlen(policies), NULL, &templates, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_set_link(templates, links, strlen(links), &in.set, NULL), AICP_OK);
    cr_expect_gt(test_every_allocation_failing(validate, &in), 10);
    in.flags = AICP_POLICY_VALIDATE_PERMISSIVE;
    in.findings = 4;
    cr_expect_gt(test_every_allocation_failing(validate, &in), 10);
    aicp_policy_set_free(in.set);
    aicp_policy_set_free(templates);
    aicp_policy_schema_free(in.schema);
}
