#include "unit/policy/validate_test.h"

#include <stdio.h>

static aicp_policy_schema *read_schema(const char *text) {
    aicp_policy_schema *schema = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_schema_parse(text, strlen(text), NULL, &schema, &err);
    cr_assert_eq(status, AICP_OK, "%u:%u: %s", err.line, err.column, err.message);
    return schema;
}

static aicp_policy_set *read_policies(const char *text) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    aicp_policy_set *set = NULL;
    aicp_error err;
    options.max_depth = AICP_POLICY_DEPTH_MAX;
    aicp_status status = aicp_policy_set_parse(text, strlen(text), &options, &set, &err);
    cr_assert_eq(status, AICP_OK, "%u:%u: %s", err.line, err.column, err.message);
    return set;
}

static aicp_policy_report *
validate_set(const char *schema_text, const aicp_policy_set *set, uint32_t flags) {
    aicp_policy_schema *schema = read_schema(schema_text);
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    aicp_policy_report *report = NULL;
    aicp_error err;
    options.flags = flags;
    aicp_status status = aicp_policy_validate(set, schema, &options, &report, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    aicp_policy_schema_free(schema);
    return report;
}

aicp_policy_report *validate_text(const char *schema, const char *policies, uint32_t flags) {
    aicp_policy_set *set = read_policies(policies);
    aicp_policy_report *report = validate_set(schema, set, flags);
    aicp_policy_set_free(set);
    return report;
}

aicp_policy_report *validate_links(const char *schema, const char *policies, const char *links) {
    aicp_policy_set *set = read_policies(policies);
    aicp_policy_set *linked = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_set_link(set, links, strlen(links), &linked, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    aicp_policy_report *report = validate_set(schema, linked, 0);
    aicp_policy_set_free(linked);
    aicp_policy_set_free(set);
    return report;
}

void validate_conditions(
    const char *schema,
    const char *head,
    const condition_case *cases,
    size_t count,
    uint32_t flags) {
    for (size_t i = 0; i < count; i++) {
        char text[1024];
        snprintf(text, sizeof text, "permit (%s) when { %s };", head, cases[i].condition);
        aicp_policy_report *report = validate_text(schema, text, flags);
        size_t found = aicp_policy_report_count(report);
        cr_expect_eq(
            found,
            (size_t)(cases[i].kind != 0),
            "%s: %zu findings, the first: %s",
            cases[i].condition,
            found,
            found ? aicp_policy_report_message(report, 0) : "-");
        cr_expect_eq(
            aicp_policy_report_kind(report, 0),
            cases[i].kind,
            "%s: %s (%s), not %s",
            cases[i].condition,
            aicp_policy_finding_name(aicp_policy_report_kind(report, 0)),
            found ? aicp_policy_report_message(report, 0) : "-",
            aicp_policy_finding_name(cases[i].kind));
        aicp_policy_report_free(report);
    }
}
