/* What the guardrail tests share. */
#ifndef TESTS_GUARD_TEST_H
#define TESTS_GUARD_TEST_H

#include "aicp/guardrail.h"

#include <stdbool.h>

/* The profile of a JSON text; asserts that it parses. */
aicp_guard_profile *guard_profile(const char *json);
aicp_guard_result *guard_result(void);
aicp_guard_session *guard_session(void);

/* Scans NUL-terminated text as a user's input; asserts success. */
void guard_scan(const aicp_guard_profile *profile, const char *text, aicp_guard_result *result);
void guard_scan_as(
    const aicp_guard_profile *profile,
    const char *text,
    size_t len,
    int32_t direction,
    int32_t source,
    aicp_guard_session *session,
    aicp_guard_result *result);

/* The default profile over one text: the first finding's type, "" when there is none. Static. */
const char *guard_first_type(const char *text);
/* Number of findings of a type in a text, default profile. */
size_t guard_count(const char *text, const char *type);
/* Asserts that the rewritten text is `want`; NULL: that nothing was rewritten. */
void guard_expect_text(const aicp_guard_result *result, const char *want);

/* A token of `prefix` and `len` characters from an alphabet, the same each time. */
char *guard_token(const char *prefix, size_t len, char *out);

/* Reads a file of the test data; the caller frees. */
char *guard_read(const char *name, size_t *len);

#endif
