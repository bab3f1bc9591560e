/* Durations, reset times and zone names: refused or a window that contains the time asked for. */
#include "aicp/budget.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* duration NUL reset time NUL rest: zone */
    const char *text = (const char *)data;
    const char *first = size ? memchr(text, '\0', size) : NULL;
    size_t duration_len = first ? (size_t)(first - text) : size;
    aicp_budget_window_options o = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    if (first) {
        size_t left = size - duration_len - 1;
        const char *second = left ? memchr(first + 1, '\0', left) : NULL;
        o.reset_time = first + 1;
        o.reset_time_len = second ? (size_t)(second - first - 1) : left;
        if (second) {
            o.timezone = second + 1;
            o.timezone_len = left - o.reset_time_len - 1;
        }
    }
    o.anchor_ns = INT64_C(1795368600000000000);
    for (o.align = 0; o.align < 2; o.align++) {
        aicp_budget_window *w = NULL;
        aicp_error err;
        if (aicp_budget_window_parse(text, duration_len, &o, &w, &err) != AICP_OK) {
            continue;
        }
        for (int64_t t = -INT64_C(2000000000000000000); t < INT64_C(7000000000000000000);
             t += INT64_C(1000000000123456789)) {
            int64_t start;
            int64_t end;
            if (aicp_budget_window_at(w, t, &start, &end, &err) != AICP_OK || start > t ||
                end <= t) {
                abort();
            }
        }
        aicp_budget_window_free(w);
    }
    return 0;
}
