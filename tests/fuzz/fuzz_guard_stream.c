/* A text in pieces gives what the whole text gives. The first four bytes choose direction and cuts.
 */
#include "aicp/guardrail.h"

#include <stdlib.h>
#include <string.h>

static const char json[] =
    "{\"timeout_ms\":60000,\"secrets\":{\"action\":\"mask\"},\"pii\":{\"action\":\"anonymize\","
    "\"entities\":{\"CREDIT_CARD\":{\"action\":\"mask\"}}},\"prompt_injection\":{\"action\":"
    "\"flag\"},\"detectors\":[{\"name\":\"r\",\"type\":\"regex\",\"patterns\":[\"(?<=b)o+b\\\\b\","
    "\"q[^z]{2,}z\"]},"
    "{\"name\":\"k\",\"type\":\"keyword\",\"keywords\":[\"x4\",\"mail "
    "bob\"],\"action\":\"hash\"}]}";
static const char known[] = "one@example.com two@example.com +44 20 7946 0958";

static void require(int what) {
    if (!what) {
        abort();
    }
}

static aicp_guard_session *open_session(const aicp_guard_profile *profile, aicp_guard_result *r) {
    aicp_guard_session *session = NULL;
    require(aicp_guard_session_new(NULL, &session, NULL) == AICP_OK);
    aicp_guard_scan_options options = AICP_GUARD_SCAN_OPTIONS_INIT;
    options.session = session;
    require(aicp_guard_scan(profile, known, sizeof known - 1, &options, r, NULL) == AICP_OK);
    return session;
}

static size_t take(aicp_guard_stream *stream, char *out) {
    size_t len = 0;
    const char *data = aicp_guard_stream_released(stream, &len);
    memcpy(out, data, len);
    return len;
}

static void same_findings(const aicp_guard_result *a, const aicp_guard_result *b) {
    require(aicp_guard_result_action(a) == aicp_guard_result_action(b));
    require(aicp_guard_result_match_count(a) == aicp_guard_result_match_count(b));
    for (size_t i = 0; i < aicp_guard_result_finding_count(a); i++) {
        require(
            memcmp(
                aicp_guard_result_finding(a, i),
                aicp_guard_result_finding(b, i),
                sizeof(aicp_guard_finding)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static aicp_guard_profile *profile;
    static aicp_guard_result *result;
    if (!profile) {
        require(aicp_guard_profile_parse(json, sizeof json - 1, NULL, &profile, NULL) == AICP_OK);
        require(aicp_guard_result_new(NULL, &result, NULL) == AICP_OK);
    }
    if (size < 4 || size > 20000) {
        return 0;
    }
    const char *text = (const char *)data + 4;
    size_t len = size - 4;
    uint32_t state = (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    aicp_guard_session *a = open_session(profile, result);
    aicp_guard_session *b = open_session(profile, result);
    aicp_guard_scan_options options = AICP_GUARD_SCAN_OPTIONS_INIT;
    options.direction = data[0] & 1;
    options.session = a;
    require(aicp_guard_scan(profile, text, len, &options, result, NULL) == AICP_OK);
    options.session = b;
    aicp_guard_stream *stream = NULL;
    require(aicp_guard_stream_open(profile, &options, &stream, NULL) == AICP_OK);
    char *out = malloc(len * 16 + 64);
    size_t n = 0;
    require(out != NULL);
    for (size_t i = 0; i < len;) {
        state = state * 1664525u + 1013904223u;
        size_t piece = 1 + (state >> 16) % (data[0] & 2 ? 1 : 300);
        piece = piece < len - i ? piece : len - i;
        require(aicp_guard_stream_feed(stream, text + i, piece, NULL) == AICP_OK);
        n += take(stream, out + n);
        i += piece;
    }
    require(aicp_guard_stream_finish(stream, NULL) == AICP_OK);
    n += take(stream, out + n);
    same_findings(result, aicp_guard_stream_result(stream));
    size_t want_len = len;
    const char *want = text;
    if (aicp_guard_result_rewritten(result)) {
        want = aicp_guard_result_text(result, &want_len);
    }
    require(n == want_len && (n == 0 || memcmp(out, want, n) == 0));
    free(out);
    aicp_guard_stream_free(stream);
    aicp_guard_session_free(a);
    aicp_guard_session_free(b);
    return 0;
}
