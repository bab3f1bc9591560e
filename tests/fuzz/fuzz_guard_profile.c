/* Profile JSON: refused with a message, or usable. */
#include "aicp/guardrail.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static aicp_guard_result *result;
    if (!result && aicp_guard_result_new(NULL, &result, NULL) != AICP_OK) {
        abort();
    }
    aicp_guard_profile *profile = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_guard_profile_parse((const char *)data, size, NULL, &profile, &err);
    if (status != AICP_OK) {
        if (profile || err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    static const char text[] = "mail bob@example.com 4111 1111 1111 1111";
    if (aicp_guard_scan(profile, text, sizeof text - 1, NULL, result, NULL) != AICP_OK) {
        abort();
    }
    aicp_guard_profile_free(profile);
    return 0;
}
