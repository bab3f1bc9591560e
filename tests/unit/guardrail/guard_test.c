#include "unit/guardrail/guard_test.h"

#include "unit/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

aicp_guard_profile *guard_profile(const char *json) {
    /* Time stands still: on a busy machine the time budget must not end a scan. */
    static test_clock still;
    aicp_clock clock = test_clock_hook(&still);
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    options.clock = &clock;
    aicp_guard_profile *profile = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_guard_profile_parse(json, strlen(json), &options, &profile, &err);
    cr_assert_eq(status, AICP_OK, "%s at %u:%u", err.message, err.line, err.column);
    return profile;
}

aicp_guard_result *guard_result(void) {
    aicp_guard_result *result = NULL;
    cr_assert_eq(aicp_guard_result_new(NULL, &result, NULL), AICP_OK);
    return result;
}

aicp_guard_session *guard_session(void) {
    aicp_guard_session *session = NULL;
    cr_assert_eq(aicp_guard_session_new(NULL, &session, NULL), AICP_OK);
    return session;
}

void guard_scan_as(
    const aicp_guard_profile *profile,
    const char *text,
    size_t len,
    int32_t direction,
    int32_t source,
    aicp_guard_session *session,
    aicp_guard_result *result) {
    aicp_guard_scan_options options = AICP_GUARD_SCAN_OPTIONS_INIT;
    options.direction = direction;
    options.source = source;
    options.session = session;
    aicp_error err = {0};
    aicp_status status = aicp_guard_scan(profile, text, len, &options, result, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
}

void guard_scan(const aicp_guard_profile *profile, const char *text, aicp_guard_result *result) {
    guard_scan_as(profile, text, strlen(text), AICP_GUARD_INPUT, AICP_GUARD_USER, NULL, result);
}

const char *guard_first_type(const char *text) {
    static char type[32];
    aicp_guard_profile *profile = guard_profile("{}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, text, result);
    const aicp_guard_finding *f = aicp_guard_result_finding(result, 0);
    snprintf(type, sizeof type, "%s", f ? f->type : "");
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
    return type;
}

size_t guard_count(const char *text, const char *type) {
    aicp_guard_profile *profile = guard_profile("{}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, text, result);
    size_t count = 0;
    for (size_t i = 0; i < aicp_guard_result_finding_count(result); i++) {
        count += strcmp(aicp_guard_result_finding(result, i)->type, type) == 0;
    }
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
    return count;
}

void guard_expect_text(const aicp_guard_result *result, const char *want) {
    size_t len = 0;
    const char *text = aicp_guard_result_text(result, &len);
    if (!want) {
        cr_expect_null(text);
        cr_expect_eq(aicp_guard_result_rewritten(result), 0);
        return;
    }
    cr_assert_not_null(text);
    cr_expect_str_eq(text, want);
    cr_expect_eq(len, strlen(want));
}

char *guard_token(const char *prefix, size_t len, char *out) {
    static const char letters[] = "aK3xZ9mQ7bR2wT5yH8nJ4cV6dF0gLpSeUu1oWqXzYiBkMhNvCjDtGrEfPsAlO";
    size_t n = strlen(prefix);
    memcpy(out, prefix, n);
    unsigned state = 12345;
    for (size_t i = 0; i < len; i++) {
        state = state * 1103515245u + 12345u;
        out[n + i] = letters[(state >> 16) % (sizeof letters - 1)];
    }
    out[n + len] = '\0';
    return out;
}

char *guard_read(const char *name, size_t *len) {
    char path[1024];
    snprintf(path, sizeof path, "%s/guardrail/%s", AICP_TEST_DATA, name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*len + 1);
    cr_assert_eq(fread(data, 1, *len, f), *len);
    data[*len] = '\0';
    fclose(f);
    return data;
}
