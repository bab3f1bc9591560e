/* HTTP header values of a decision. Retry-After: RFC 9110 section 10.2.3. RateLimit-Policy and
 * RateLimit: structured-field lists of draft-ietf-httpapi-ratelimit-headers. */
#include "lib/ratelimit/ratelimit_internal.h"

#include <stdio.h>

#define SECOND UINT64_C(1000000000)
/* Structured-field integers have at most 15 digits. */
#define MAX_INTEGER UINT64_C(999999999999999)

static unsigned long long integer(uint64_t value) {
    return value < MAX_INTEGER ? value : MAX_INTEGER;
}

static uint64_t seconds_up(uint64_t ns) {
    return ns / SECOND + (ns % SECOND != 0);
}

/* The id as a quoted string: printable ASCII, which the parser has made sure of. */
static void quote(const aicpi_limit_rule *rule, char out[2 * AICP_LIMIT_MAX_ID + 3]) {
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < rule->id_len; i++) {
        if (rule->id[i] == '"' || rule->id[i] == '\\') {
            out[n++] = '\\';
        }
        out[n++] = rule->id[i];
    }
    out[n++] = '"';
    out[n] = '\0';
}

static void format_retry(const aicp_limit_result *result, aicp_limit_headers *out) {
    if (result->allowed || result->retry_after_ns == AICP_LIMIT_NEVER) {
        return;
    }
    uint64_t seconds = seconds_up(result->retry_after_ns);
    if (seconds == 0 || result->kind == AICP_LIMIT_CONCURRENCY) {
        seconds = 1;
    }
    snprintf(out->retry_after, sizeof out->retry_after, "%llu", integer(seconds));
}

void aicp_limit_headers_format(
    const aicp_limit_rules *rules, const aicp_limit_result *result, aicp_limit_headers *out) {
    out->retry_after[0] = '\0';
    out->ratelimit_policy[0] = '\0';
    out->ratelimit[0] = '\0';
    format_retry(result, out);
    if (result->rule < 0 || (size_t)result->rule >= rules->count) {
        return;
    }
    const aicpi_limit_rule *rule = &rules->rules[result->rule];
    char id[2 * AICP_LIMIT_MAX_ID + 3];
    quote(rule, id);
    int written = snprintf(
        out->ratelimit_policy,
        sizeof out->ratelimit_policy,
        "%s;q=%llu",
        id,
        integer(rule->params.limit));
    if (rule->params.window_ns != 0 && written > 0) {
        snprintf(
            out->ratelimit_policy + written,
            sizeof out->ratelimit_policy - (size_t)written,
            ";w=%llu",
            integer(rule->params.window_ns / SECOND));
    }
    written = snprintf(
        out->ratelimit, sizeof out->ratelimit, "%s;r=%llu", id, integer(result->remaining));
    if (rule->params.window_ns != 0 && result->reset_ns != AICP_LIMIT_NEVER && written > 0) {
        snprintf(
            out->ratelimit + written,
            sizeof out->ratelimit - (size_t)written,
            ";t=%llu",
            integer(seconds_up(result->reset_ns)));
    }
}
