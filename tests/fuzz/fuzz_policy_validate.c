/* Policies and a schema, with a line "====" between them: what parses is validated in every mode,
 * and what passes strictly passes permissively too. */
#include "aicp/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every getter has an answer for every finding; whether it passes is what the findings say. */
static void look_at(const aicp_policy_report *report) {
    int32_t errors = 0;
    for (size_t i = 0; i < aicp_policy_report_count(report); i++) {
        int32_t severity = aicp_policy_report_severity(report, i);
        errors += severity == AICP_POLICY_SEVERITY_ERROR;
        if (!aicp_policy_report_id(report, i) || !aicp_policy_report_message(report, i)[0] ||
            aicp_policy_report_line(report, i) == 0 || aicp_policy_report_column(report, i) == 0 ||
            strcmp(aicp_policy_finding_name(aicp_policy_report_kind(report, i)), "Unknown") == 0) {
            abort();
        }
    }
    if (!aicp_policy_report_truncated(report) &&
        aicp_policy_report_passed(report) != (errors == 0)) {
        abort();
    }
}

/* 1 or 0 as it passes, -1 when a limit stands against it. */
static int32_t
passes(const aicp_policy_set *set, const aicp_policy_schema *schema, uint32_t flags) {
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    aicp_policy_report *report = NULL;
    aicp_error err = {0};
    options.flags = flags;
    aicp_status status = aicp_policy_validate(set, schema, &options, &report, &err);
    if (status != AICP_OK) {
        if (report || err.message[0] == '\0') {
            abort();
        }
        return -1;
    }
    look_at(report);
    int32_t passed = aicp_policy_report_passed(report);
    aicp_policy_report_free(report);
    return passed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char between[] = "\n====\n";
    const char *text = (const char *)data;
    const char *cut = size > 0 ? memmem(text, size, between, sizeof between - 1) : NULL;
    if (!cut) {
        return 0;
    }
    const char *rest = cut + sizeof between - 1;
    aicp_policy_set *set = NULL;
    aicp_policy_schema *schema = NULL;
    if (aicp_policy_set_parse(text, (size_t)(cut - text), NULL, &set, NULL) == AICP_OK &&
        aicp_policy_schema_parse(rest, size - (size_t)(rest - text), NULL, &schema, NULL) ==
            AICP_OK) {
        int32_t strict = passes(set, schema, 0);
        int32_t warned = passes(set, schema, AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS);
        int32_t permissive = passes(set, schema, AICP_POLICY_VALIDATE_PERMISSIVE);
        if (strict == 1 && (warned == 0 || permissive == 0)) {
            abort();
        }
    }
    aicp_policy_schema_free(schema);
    aicp_policy_set_free(set);
    return 0;
}
