/* Step limits: concurrency, requests and tokens, all or nothing. */
#include "lib/gate/gate_internal.h"

#include <stdio.h>

static void add_value(
    aicp_limit_value *values, size_t *count, size_t max, int32_t dimension, aicpi_slice text) {
    if (text.len > 0 && *count < max) {
        values[(*count)++] = (aicp_limit_value){dimension, 0, text.data, text.len};
    }
}

#define VALUES_MAX (AICP_LIMIT_DIMENSIONS + AICP_LIMIT_MAX_CHARGES)

static size_t
subject_values(const aicp_gate_decision *d, aicpi_slice model, aicp_limit_value *values) {
    const aicpi_slice *f = d->subject.fields;
    size_t n = 0;
    add_value(values, &n, VALUES_MAX, AICP_LIMIT_ORG, f[AICP_GATE_ORG]);
    add_value(values, &n, VALUES_MAX, AICP_LIMIT_TEAM, f[AICP_GATE_TEAM]);
    add_value(values, &n, VALUES_MAX, AICP_LIMIT_USER, f[AICP_GATE_USER]);
    add_value(values, &n, VALUES_MAX, AICP_LIMIT_KEY, f[AICP_GATE_KEY]);
    add_value(values, &n, VALUES_MAX, AICP_LIMIT_END_USER, f[AICP_GATE_END_USER]);
    add_value(values, &n, VALUES_MAX, AICP_LIMIT_MODEL, model);
    for (size_t i = 0; i < d->subject.tag_count; i++) {
        add_value(values, &n, VALUES_MAX, AICP_LIMIT_TAG, d->subject.tags[i]);
    }
    return n;
}

/* Tokens that the request may use: the counted input and the cap of its output, or the usual
 * output. */
static uint64_t tokens_wanted(const aicpi_check *c, bool *estimated) {
    const aicp_cost_quote *q = &c->decision->quote;
    int64_t output = q->output_cap;
    *estimated = !c->work->body.capped;
    if (*estimated) {
        int64_t usual = c->bundle->settings.default_output_tokens;
        output = output >= 0 && output < usual ? output : usual;
        output = q->output_p95 > output ? q->output_p95 : output;
    }
    int64_t answers = q->answers > 0 ? q->answers : 1;
    int64_t total = 0;
    if (__builtin_mul_overflow(output, answers, &total) ||
        __builtin_add_overflow(total, q->input.high, &total) || total < 1) {
        return total < 1 ? 1 : (uint64_t)INT64_MAX;
    }
    return (uint64_t)total;
}

static const char *const kind_words[] = {"requests", "tokens", "requests at the same time"};

static void window_text(uint64_t window_ns, char *out, size_t size) {
    double seconds = (double)window_ns / 1e9;
    if (window_ns == UINT64_C(60000000000)) {
        snprintf(out, size, " a minute");
    } else if (window_ns == UINT64_C(3600000000000)) {
        snprintf(out, size, " an hour");
    } else if (window_ns == UINT64_C(86400000000000)) {
        snprintf(out, size, " a day");
    } else if (window_ns > 0) {
        snprintf(out, size, " in %g seconds", seconds);
    } else {
        *out = '\0';
    }
}

static aicp_status
headers(aicpi_check *c, const aicp_limit_result *result, bool denied, aicp_error *err) {
    aicp_limit_headers h;
    aicp_gate_decision *d = c->decision;
    aicp_limit_headers_format(c->bundle->limits, result, &h);
    aicp_status status = AICP_OK;
    if (denied && h.retry_after[0]) {
        status = aicpi_decision_header(d, "Retry-After", h.retry_after, err);
    }
    if (status == AICP_OK && c->bundle->settings.ratelimit_headers && h.ratelimit[0]) {
        status = aicpi_decision_header(d, "RateLimit-Policy", h.ratelimit_policy, err);
    }
    if (status == AICP_OK && c->bundle->settings.ratelimit_headers && h.ratelimit[0]) {
        status = aicpi_decision_header(d, "RateLimit", h.ratelimit, err);
    }
    return status;
}

static aicp_status
refuse(aicpi_check *c, aicp_status why, const aicp_limit_result *result, aicp_error *err) {
    aicp_limit_rule_info info = {.size = sizeof info};
    char window[48] = "";
    size_t index = result->rule < 0 ? 0 : (size_t)result->rule;
    const char *id = aicp_limit_rules_id(c->bundle->limits, index);
    id = id ? id : "";
    const char *name = aicp_limit_rules_name(c->bundle->limits, index);
    const char *quote = name && strcmp(name, id) != 0 ? "\"" : "";
    if (aicp_limit_rules_get(c->bundle->limits, index, &info, NULL) == AICP_OK) {
        window_text(info.window_ns, window, sizeof window);
    }
    aicpi_refusal refusal = {
        429,
        "rate_limit_exceeded",
        aicpi_slice_cstr(id),
        "wait as long as Retry-After says, or ask for a higher limit"};
    const char *before = "limit";
    const char *after = " is used up";
    if (why == AICP_ERR_TOO_LARGE) {
        refusal.http_status = 400;
        refusal.type = "request_too_large";
        refusal.advice = "send a smaller request or a smaller max_tokens; waiting does not help";
        before = "the request alone is larger than limit";
        after = "";
    } else if (why == AICP_ERR_STORE) {
        refusal.http_status = 503;
        refusal.type = "limit_store_unavailable";
        refusal.advice = "try again";
        after = " cannot be verified now";
    }
    const char *kind = kind_words[result->kind >= 0 && result->kind <= 2 ? result->kind : 0];
    aicp_status status = aicpi_refuse(
        c,
        &refusal,
        err,
        "%s %s%s%s of %llu %s%s%s",
        before,
        quote,
        name ? name : id,
        quote,
        (unsigned long long)result->limit,
        kind,
        window,
        after);
    if (status == AICP_OK && why == AICP_ERR_STORE) {
        return aicpi_decision_header(c->decision, "Retry-After", "1", err);
    }
    return status == AICP_OK ? headers(c, result, true, err) : status;
}

static void limit_request(
    const aicpi_check *c, aicp_limit_value *values, aicpi_slice model, aicp_limit_request *q) {
    const aicp_gate_decision *d = c->decision;
    *q = (aicp_limit_request)AICP_LIMIT_REQUEST_INIT;
    q->values = values;
    q->value_count = subject_values(d, model, values);
    q->tokens = d->limit_tokens;
    q->flags = d->limit_estimated ? AICP_LIMIT_ESTIMATED : 0;
    q->now_ns = c->now_ns;
    q->deadline_ns = c->deadline_ns;
}

static aicp_status limits_run(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    if (!c->bundle->limits) {
        return AICP_OK;
    }
    aicp_limit_value values[VALUES_MAX];
    aicp_limit_request request;
    aicp_limit_result result = AICP_LIMIT_RESULT_INIT;
    d->limit_tokens = tokens_wanted(c, &d->limit_estimated);
    limit_request(c, values, aicpi_slice_cstr(d->model), &request);
    aicp_status status =
        aicp_limiter_take(c->gate->limiter, c->bundle->limits, &request, &d->ticket, &result, err);
    d->tickets = &d->ticket;
    d->ticket_count = status == AICP_OK;
    switch (status) {
    case AICP_OK:
        return result.rule >= 0 ? headers(c, &result, false, err) : AICP_OK;
    case AICP_ERR_RATE_LIMITED:
    case AICP_ERR_TOO_LARGE:
    case AICP_ERR_STORE:
        return refuse(c, status, &result, err);
    default:
        return status;
    }
}

/* What is blocked by a guardrail has used its request (else trying would be free); everything else
 * gets all back. */
static void limits_undo(aicpi_check *c, int32_t refused_by) {
    aicp_gate_decision *d = c->decision;
    if (refused_by != AICP_GATE_STEP_GUARDRAIL) {
        aicpi_limits_cancel(d, c->now_ns);
    } else if (d->ticket_count > 0) {
        aicp_limiter_refund(c->gate->limiter, &d->ticket, c->now_ns);
        d->ticket_count = 0;
    }
}

const aicpi_step aicpi_step_limits = {"limits", limits_run, limits_undo};

/* ---- candidates ---- */

#define TICKETS_MAX 17 /* the check's and those of 16 candidates */

static bool room_for_ticket(aicp_gate_decision *d) {
    if (d->tickets == &d->ticket) {
        aicp_limit_ticket *all = aicpi_arena_alloc(&d->arena, TICKETS_MAX * sizeof *all);
        if (!all) {
            return false;
        }
        all[0] = d->ticket;
        d->tickets = all;
    }
    return true;
}

aicp_status
aicpi_limits_cover(aicpi_check *c, aicpi_slice model, bool *allowed, bool *took, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    *allowed = true;
    *took = false;
    if (!c->bundle->limits || d->ticket_count == 0) {
        return AICP_OK;
    }
    if (d->ticket_count == TICKETS_MAX) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "more than %d candidates for one request", TICKETS_MAX - 1);
    }
    if (!room_for_ticket(d)) {
        return aicpi_nomem(err);
    }
    aicp_limit_value values[VALUES_MAX];
    aicp_limit_request request;
    aicp_limit_result result = AICP_LIMIT_RESULT_INIT;
    limit_request(c, values, model, &request);
    request.held = d->tickets;
    request.held_count = d->ticket_count;
    aicp_limit_ticket *ticket = &d->tickets[d->ticket_count];
    aicp_status status =
        aicp_limiter_take(c->gate->limiter, c->bundle->limits, &request, ticket, &result, err);
    if (status == AICP_ERR_RATE_LIMITED || status == AICP_ERR_TOO_LARGE ||
        status == AICP_ERR_STORE) {
        *allowed = false;
        return AICP_OK;
    }
    *took = status == AICP_OK && result.rule >= 0;
    d->ticket_count += *took;
    return status;
}

void aicpi_limits_forget(aicpi_check *c) {
    aicp_gate_decision *d = c->decision;
    aicp_limiter_cancel(c->gate->limiter, &d->tickets[--d->ticket_count], c->now_ns);
}

void aicpi_limits_cancel(aicp_gate_decision *d, uint64_t now_ns) {
    while (d->ticket_count > 0) {
        aicp_limiter_cancel(d->gate->limiter, &d->tickets[--d->ticket_count], now_ns);
    }
}
