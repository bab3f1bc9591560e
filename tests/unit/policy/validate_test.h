/* What the unit tests of the validator share. */
#ifndef TESTS_UNIT_POLICY_VALIDATE_TEST_H
#define TESTS_UNIT_POLICY_VALIDATE_TEST_H

#include "aicp/policy.h"

#include <criterion/criterion.h>
#include <string.h>

/* Validates policies; what cannot be read fails the test. */
aicp_policy_report *validate_text(const char *schema, const char *policies, uint32_t flags);
/* The same with links of the templates. */
aicp_policy_report *validate_links(const char *schema, const char *policies, const char *links);

/* A condition and the one kind of finding that it gives; 0: none. */
typedef struct condition_case {
    const char *condition;
    int32_t kind;
} condition_case;

/* Checks each condition in a policy with that head. */
void validate_conditions(
    const char *schema,
    const char *head,
    const condition_case *cases,
    size_t count,
    uint32_t flags);

#define VALIDATE_CONDITIONS(schema, head, cases, flags)                                            \
    validate_conditions(schema, head, cases, sizeof(cases) / sizeof *(cases), flags)

#endif
