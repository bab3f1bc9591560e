/* Any bytes as text, in any direction and from any source: spans lie inside the text in order, and
 * scanning again says the same. */
#include "aicp/guardrail.h"

#include <stdlib.h>
#include <string.h>

static const char json[] =
    "{\"timeout_ms\":60000,\"secrets\":{\"action\":\"anonymize\"},\"pii\":{\"action\":"
    "\"anonymize\","
    "\"threshold\":0.0,\"entities\":{\"PHONE_NUMBER\":{\"action\":\"hash\"}}},"
    "\"prompt_injection\":{\"action\":\"flag\",\"threshold\":0.1},\"max_bytes\":4096}";

static void require(int what) {
    if (!what) {
        abort();
    }
}

static void check(const aicp_guard_result *result, size_t size) {
    uint64_t last = 0;
    for (size_t i = 0; i < aicp_guard_result_finding_count(result); i++) {
        const aicp_guard_finding *f = aicp_guard_result_finding(result, i);
        require(f->start >= last && f->start <= f->end && f->end <= size);
        require(f->char_start <= f->char_end && f->char_end <= f->end);
        require(f->score >= 0.0 && f->score <= 1.0);
        last = f->start;
    }
    double risk = aicp_guard_result_risk(result);
    require(risk >= 0.0 && risk <= 1.0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static aicp_guard_profile *profile;
    static aicp_guard_result *result;
    if (!profile) {
        require(aicp_guard_profile_parse(json, sizeof json - 1, NULL, &profile, NULL) == AICP_OK);
        require(aicp_guard_result_new(NULL, &result, NULL) == AICP_OK);
    }
    if (size == 0) {
        return 0;
    }
    aicp_guard_session *session = NULL;
    require(aicp_guard_session_new(NULL, &session, NULL) == AICP_OK);
    aicp_guard_scan_options options = AICP_GUARD_SCAN_OPTIONS_INIT;
    options.direction = data[0] & 1;
    options.source = (data[0] >> 1) % 5;
    options.session = session;
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    require(aicp_guard_scan(profile, text, len, &options, result, NULL) == AICP_OK);
    check(result, len);
    uint64_t matches = aicp_guard_result_match_count(result);
    size_t first_len = 0;
    const char *first = aicp_guard_result_text(result, &first_len);
    if (first && options.direction == AICP_GUARD_INPUT) {
        aicp_buf out = AICP_BUF_INIT;
        require(aicp_guard_restore(session, first, first_len, &out, NULL) == AICP_OK);
        aicp_buf_free(&out);
    }
    require(aicp_guard_scan(profile, text, len, &options, result, NULL) == AICP_OK);
    require(aicp_guard_result_match_count(result) == matches);
    aicp_guard_session_free(session);
    return 0;
}
