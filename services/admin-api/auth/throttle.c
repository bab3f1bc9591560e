/* How often one caller may call, and how often one address may fail to log in. */
#include "services/admin-api/auth/auth.h"

#include "lib/base/error.h"

#include "aicp/ratelimit.h"

#include <stdio.h>

struct aicpa_throttle {
    aicp_limiter *limiter;
    aicp_limit_rules *calls; /* NULL: no limit */
    aicp_limit_rules *logins;
};

static const char login_rules[] = "[{\"id\": \"login\", \"kind\": \"requests\", \"limit\": 5, "
                                  "\"window\": \"1m\", \"per\": [\"key\"]}]";

aicp_status aicpa_throttle_new(int64_t requests_per_minute, aicpa_throttle **out, aicp_error *err) {
    *out = NULL;
    aicpa_throttle *t = aicpi_calloc(NULL, 1, sizeof *t);
    if (!t) {
        return aicpi_nomem(err);
    }
    char rules[160];
    int len = snprintf(
        rules,
        sizeof rules,
        "[{\"id\": \"calls\", \"kind\": \"requests\", \"limit\": %lld, \"window\": \"1m\","
        " \"per\": [\"key\"]}]",
        (long long)requests_per_minute);
    aicp_limiter_options options = AICP_LIMITER_OPTIONS_INIT;
    options.max_keys = 100000;
    aicp_status status = aicp_limiter_new(&options, &t->limiter, err);
    if (status == AICP_OK && requests_per_minute > 0) {
        status = aicp_limit_rules_parse(rules, (size_t)len, NULL, &t->calls, err);
    }
    if (status == AICP_OK) {
        status = aicp_limit_rules_parse(login_rules, sizeof login_rules - 1, NULL, &t->logins, err);
    }
    if (status != AICP_OK) {
        aicpa_throttle_free(t);
        return status;
    }
    *out = t;
    return AICP_OK;
}

void aicpa_throttle_free(aicpa_throttle *t) {
    if (t) {
        aicp_limit_rules_free(t->calls);
        aicp_limit_rules_free(t->logins);
        aicp_limiter_free(t->limiter);
        aicpi_free(NULL, t);
    }
}

static uint64_t seconds_up(uint64_t ns) {
    return ns / 1000000000 + (ns % 1000000000 != 0);
}

static void add_number(aicps_call *call, const char *name, uint64_t n) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    (void)aicps_http_add_header(call->res, name, text);
}

static void refuse(aicps_call *call, uint64_t wait_ns) {
    uint64_t wait = seconds_up(wait_ns);
    add_number(call, "Retry-After", wait ? wait : 1);
    aicps_send_error(call, 429, "rate_limit_exceeded", "Rate limit exceeded");
}

static aicp_limit_request one_of(aicp_limit_value *value, const char *key) {
    *value = (aicp_limit_value){AICP_LIMIT_KEY, 0, key, strlen(key)};
    aicp_limit_request request = AICP_LIMIT_REQUEST_INIT;
    request.values = value;
    request.value_count = 1;
    return request;
}

bool aicpa_throttle_call(aicps_call *call) {
    aicpa_throttle *t = aicpa_of(call)->throttle;
    if (!t->calls || (call->route->flags & AICPS_SERVICE)) {
        return true; /* gates share one identity, and settle what has happened */
    }
    aicp_limit_value value;
    aicp_limit_request request = one_of(&value, call->who ? call->who->id : call->req->client_ip);
    aicp_limit_result result = AICP_LIMIT_RESULT_INIT;
    aicp_status status = aicp_limiter_take(t->limiter, t->calls, &request, NULL, &result, NULL);
    add_number(call, "X-RateLimit-Limit", result.limit);
    add_number(call, "X-RateLimit-Remaining", result.remaining);
    if (status == AICP_ERR_RATE_LIMITED) {
        refuse(call, result.retry_after_ns);
    }
    return status != AICP_ERR_RATE_LIMITED; /* a fault of the limiter locks nobody out */
}

bool aicpa_throttle_login_allowed(aicps_call *call) {
    aicpa_throttle *t = aicpa_of(call)->throttle;
    aicp_limit_value value;
    aicp_limit_request request = one_of(&value, call->req->client_ip);
    aicp_limit_state state = {0};
    size_t count = 0;
    aicp_status status =
        aicp_limiter_peek(t->limiter, t->logins, &request, &state, 1, &count, NULL);
    if (status == AICP_OK && count > 0 && state.remaining == 0) {
        refuse(call, state.reset_ns / 5);
        return false;
    }
    return true;
}

void aicpa_throttle_login_failed(aicps_call *call) {
    aicp_limit_value value;
    aicp_limit_request request = one_of(&value, call->req->client_ip);
    aicpa_throttle *t = aicpa_of(call)->throttle;
    (void)!aicp_limiter_take(t->limiter, t->logins, &request, NULL, NULL, NULL);
}
