/* Texts from outside as they may stand in a message: short, whole characters, printable. */
#ifndef AICPI_POLICY_BRIEF_H
#define AICPI_POLICY_BRIEF_H

#include "lib/policy/value.h"

#define AICPI_POLICY_BRIEF_MOST 64 /* bytes that are shown */

typedef struct aicpi_policy_brief {
    char text[AICPI_POLICY_BRIEF_MOST + 4];
} aicpi_policy_brief;

typedef struct aicpi_policy_uid_brief {
    char text[2 * sizeof(aicpi_policy_brief) + 8];
} aicpi_policy_uid_brief;

/* Use the result's text within the same expression. */
aicpi_policy_brief aicpi_policy_brief_of(aicpi_slice text) __attribute__((cold));
/* Type::"id" */
aicpi_policy_uid_brief aicpi_policy_brief_uid(const aicpi_policy_uid *uid) __attribute__((cold));

static inline aicpi_policy_brief aicpi_policy_brief_str(const aicpi_policy_str *s) {
    return aicpi_policy_brief_of(aicpi_policy_text(s));
}

#endif
