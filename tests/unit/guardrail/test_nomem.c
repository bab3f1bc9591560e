/* Every allocation of the guardrail fails in turn: nothing leaks, and a text whose scan did not
 * finish is never let through. */
#include "unit/support.h"

#include "aicp/guardrail.h"

#include <criterion/criterion.h>
#include <string.h>

static const char profile_json[] =
    "{\"name\":\"p\",\"version\":2,"
    "\"pii\":{\"action\":\"anonymize\",\"entities\":{\"CREDIT_CARD\":{\"action\":\"mask\"}},"
    "\"allow\":[\"support@example.com\"],\"allow_regex\":[\"^x+@example[.]com$\"]},"
    "\"prompt_injection\":{\"by_source\":{\"retrieved\":0.8}}}";

static const char text[] =
    "Write to alice.smith@example.org or bob@example.net, not support@example.com; the card is "
    "4111 1111 1111 1111 and the address 192.0.2.17.";

static bool parse_profile(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    options.allocator = a;
    aicp_guard_profile *profile = NULL;
    aicp_error err;
    aicp_status status =
        aicp_guard_profile_parse(profile_json, sizeof profile_json - 1, &options, &profile, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && profile == NULL;
    }
    bool ok = aicp_guard_profile_version(profile) == 2;
    aicp_guard_profile_free(profile);
    return ok;
}

Test(nomem, profile_parses_whole_or_not_at_all) {
    cr_assert_gt(test_every_allocation_failing(parse_profile, NULL), 2);
}

static bool leaked(const char *out, size_t len) {
    return out && (memmem(out, len, "alice.smith@example.org", 23) || memmem(out, len, "4111", 4));
}

static bool scan(void *user, const aicp_allocator *a) {
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
    aicp_guard_result *result = NULL;
    aicp_guard_session *session = NULL;
    aicp_buf restored = AICP_BUF_INIT;
    aicp_error err;
    options.allocator = a;
    aicp_status status = aicp_guard_session_new(&options, &session, &err);
    if (status == AICP_OK) {
        status = aicp_guard_result_new(&options, &result, &err);
    }
    bool ok = true;
    if (status == AICP_OK) {
        how.session = session;
        status = aicp_guard_scan(user, text, sizeof text - 1, &how, result, &err);
        size_t len = 0;
        const char *out = aicp_guard_result_text(result, &len);
        ok = !leaked(out, len);
        if (status == AICP_OK && aicp_guard_result_error(result) == AICP_OK) {
            ok = ok && out && aicp_guard_result_finding_count(result) >= 4;
            status = aicp_guard_restore(session, out, len, &restored, &err);
            ok = ok && (status != AICP_OK || leaked(restored.data, restored.len));
        } else {
            ok = ok && aicp_guard_result_action(result) == AICP_GUARD_BLOCK;
        }
    }
    aicp_buf_free(&restored);
    aicp_guard_result_free(result);
    aicp_guard_session_free(session);
    return ok && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

static bool stream(void *user, const aicp_allocator *a) {
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
    aicp_guard_session *session = NULL;
    aicp_guard_stream *s = NULL;
    aicp_error err;
    options.allocator = a;
    aicp_status status = aicp_guard_session_new(&options, &session, &err);
    if (status == AICP_OK) {
        how.session = session;
        status = aicp_guard_stream_open(user, &how, &s, &err);
    }
    bool ok = true;
    for (size_t at = 0; status == AICP_OK && at < sizeof text - 1; at += 7) {
        size_t left = sizeof text - 1 - at;
        status = aicp_guard_stream_feed(s, text + at, left < 7 ? left : 7, &err);
        if (status == AICP_OK) {
            size_t len = 0;
            const char *out = aicp_guard_stream_released(s, &len);
            ok = ok && !leaked(out, len);
        }
    }
    if (status == AICP_OK) {
        status = aicp_guard_stream_finish(s, &err);
    }
    aicp_guard_stream_free(s);
    aicp_guard_session_free(session);
    return ok && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

static aicp_guard_profile *shared_profile(void) {
    aicp_guard_profile *profile = NULL;
    cr_assert_eq(
        aicp_guard_profile_parse(profile_json, sizeof profile_json - 1, NULL, &profile, NULL),
        AICP_OK);
    return profile;
}

Test(nomem, unfinished_scan_blocks) {
    aicp_guard_profile *profile = shared_profile();
    cr_assert_gt(test_every_allocation_failing(scan, profile), 2);
    aicp_guard_profile_free(profile);
}

Test(nomem, unfinished_stream_releases_nothing_raw) {
    aicp_guard_profile *profile = shared_profile();
    cr_assert_gt(test_every_allocation_failing(stream, profile), 2);
    aicp_guard_profile_free(profile);
}
