/* Decisions: their memory, their pool, and what callers read from them. */
#include "lib/gate/gate_internal.h"

#include <stdio.h>

/* ---- texts ---- */

const char *aicpi_decision_text(aicp_gate_decision *d, aicpi_slice text) {
    return text.len == 0 ? "" : aicpi_arena_strndup(&d->arena, text.data, text.len);
}

const char *aicpi_decision_printf(aicp_gate_decision *d, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return aicpi_decision_text(d, aicpi_slice_of(text, len));
}

aicp_status
aicpi_decision_header(aicp_gate_decision *d, const char *name, const char *value, aicp_error *err) {
    if (d->header_count == AICPI_HEADERS_MAX) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "more than %d headers", AICPI_HEADERS_MAX);
    }
    const char *copy = aicpi_decision_text(d, aicpi_slice_cstr(value));
    if (!copy) {
        return aicpi_nomem(err);
    }
    d->headers[d->header_count++] = (aicpi_header){name, copy};
    return AICP_OK;
}

/* ---- pool ---- */

static void clear(aicp_gate_decision *d) {
    aicpi_arena arena = d->arena;
    aicpi_strbuf body = d->body;
    aicp_guard_session *session = d->session;
    aicp_gate *gate = d->gate;
    memset(d, 0, sizeof *d);
    d->gate = gate;
    d->arena = arena;
    d->body = body;
    d->session = session;
    aicpi_arena_reset(&d->arena);
    aicpi_strbuf_clear(&d->body);
    aicp_guard_session_reset(d->session);
    d->http_status = 200;
    d->refused_step = AICP_GATE_STEP_COUNT;
    d->patched_max_tokens = -1;
    d->id = d->rule = d->type = d->message = d->advice = d->model = d->requested_model = "";
}

static aicp_gate_decision *decision_new(aicp_gate *g) {
    aicp_gate_decision *d = aicpi_calloc(&g->allocator, 1, sizeof *d);
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    options.allocator = &g->allocator;
    if (!d) {
        return NULL;
    }
    d->gate = g;
    aicpi_arena_init(&d->arena, &g->allocator, 4096, 0);
    aicpi_strbuf_init(&d->body, &g->allocator, 2 * AICP_GATE_BODY_MAX);
    if (aicp_guard_session_new(&options, &d->session, NULL) != AICP_OK) {
        aicpi_decision_destroy(d);
        return NULL;
    }
    return d;
}

void aicpi_decision_destroy(aicp_gate_decision *d) {
    aicp_allocator a = d->gate->allocator;
    aicpi_arena_deinit(&d->arena);
    aicpi_strbuf_deinit(&d->body);
    aicp_guard_session_free(d->session);
    aicpi_free(&a, d);
}

aicp_gate_decision *aicpi_decision_take(aicp_gate *g) {
    pthread_mutex_lock(&g->pool_lock);
    aicp_gate_decision *d = g->idle_decisions;
    if (d) {
        g->idle_decisions = d->next;
        g->idle_decision_count--;
    }
    pthread_mutex_unlock(&g->pool_lock);
    d = d ? d : decision_new(g);
    if (d) {
        clear(d);
        atomic_fetch_add_explicit(&g->in_flight, 1, memory_order_relaxed);
    }
    return d;
}

void aicpi_decision_give(aicp_gate_decision *d) {
    if (!d) {
        return;
    }
    aicp_gate *g = d->gate;
    aicp_guard_session_reset(d->session); /* wipes the values at once, not at the next use */
    aicp_bundle_free(d->bundle);
    d->bundle = NULL;
    atomic_fetch_sub_explicit(&g->in_flight, 1, memory_order_relaxed);
    bool keep = !d->outsized && d->arena.total + d->body.capacity <= AICPI_POOL_BYTES;
    pthread_mutex_lock(&g->pool_lock);
    keep = keep && g->idle_decision_count < AICPI_POOL_DECISIONS;
    if (keep) {
        d->next = g->idle_decisions;
        g->idle_decisions = d;
        g->idle_decision_count++;
    }
    pthread_mutex_unlock(&g->pool_lock);
    if (!keep) {
        aicpi_decision_destroy(d);
    }
}

/* ---- workspaces ---- */

static aicpi_work *work_new(aicp_gate *g) {
    aicpi_work *w = aicpi_calloc(&g->allocator, 1, sizeof *w);
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    options.allocator = &g->allocator;
    if (!w) {
        return NULL;
    }
    aicpi_arena_init(&w->arena, &g->allocator, 8192, 0);
    if (aicp_cost_request_new(&g->allocator, &w->cost, NULL) != AICP_OK ||
        aicp_policy_request_new(&g->allocator, &w->policy_request, NULL) != AICP_OK ||
        aicp_policy_response_new(&g->allocator, &w->policy_response, NULL) != AICP_OK ||
        aicp_guard_result_new(&options, &w->guard, NULL) != AICP_OK) {
        aicpi_work_destroy(g, w);
        return NULL;
    }
    return w;
}

void aicpi_work_destroy(aicp_gate *g, aicpi_work *w) {
    aicp_cost_request_free(w->cost);
    aicp_policy_request_free(w->policy_request);
    aicp_policy_response_free(w->policy_response);
    aicp_guard_result_free(w->guard);
    aicpi_arena_deinit(&w->arena);
    aicpi_free(&g->allocator, w);
}

aicpi_work *aicpi_work_take(aicp_gate *g, size_t bytes) {
    pthread_mutex_lock(&g->pool_lock);
    aicpi_work *w = g->idle_work;
    if (w) {
        g->idle_work = w->next;
        g->idle_work_count--;
    }
    pthread_mutex_unlock(&g->pool_lock);
    w = w ? w : work_new(g);
    if (w) {
        aicpi_arena_reset(&w->arena);
        aicp_cost_request_reset(w->cost);
        w->bytes = bytes;
        w->body = (aicpi_body){0};
        w->patches = NULL;
        w->patch_count = 0;
        w->patch_capacity = 0;
    }
    return w;
}

void aicpi_work_give(aicp_gate *g, aicpi_work *w) {
    if (!w) {
        return;
    }
    bool keep = w->bytes <= AICPI_POOL_BYTES && w->arena.total <= 4 * AICPI_POOL_BYTES;
    pthread_mutex_lock(&g->pool_lock);
    keep = keep && g->idle_work_count < AICPI_POOL_WORK;
    if (keep) {
        w->next = g->idle_work;
        g->idle_work = w;
        g->idle_work_count++;
    }
    pthread_mutex_unlock(&g->pool_lock);
    if (!keep) {
        aicpi_work_destroy(g, w);
    }
}

/* ---- getters ---- */

int32_t aicp_gate_decision_verdict(const aicp_gate_decision *d) {
    return d ? d->verdict : AICP_GATE_DENY;
}

int32_t aicp_gate_decision_http_status(const aicp_gate_decision *d) {
    return d->http_status;
}

const char *aicp_gate_decision_id(const aicp_gate_decision *d) {
    return d->id;
}

const char *aicp_gate_decision_step(const aicp_gate_decision *d) {
    return aicp_gate_step_name(d->refused_step);
}

const char *aicp_gate_decision_rule(const aicp_gate_decision *d) {
    return d->rule;
}

const char *aicp_gate_decision_type(const aicp_gate_decision *d) {
    return d->type;
}

const char *aicp_gate_decision_message(const aicp_gate_decision *d) {
    return d->message;
}

const char *aicp_gate_decision_advice(const aicp_gate_decision *d) {
    return d->advice;
}

size_t aicp_gate_decision_header_count(const aicp_gate_decision *d) {
    return d->header_count;
}

const char *aicp_gate_decision_header_name(const aicp_gate_decision *d, size_t index) {
    return index < d->header_count ? d->headers[index].name : NULL;
}

const char *aicp_gate_decision_header_value(const aicp_gate_decision *d, size_t index) {
    return index < d->header_count ? d->headers[index].value : NULL;
}

int32_t aicp_gate_decision_body_changed(const aicp_gate_decision *d) {
    return d->body_changed;
}

const char *aicp_gate_decision_body(const aicp_gate_decision *d, size_t *len) {
    if (len) {
        *len = d->body.len;
    }
    return d->body.data ? d->body.data : "";
}

const char *aicp_gate_decision_model(const aicp_gate_decision *d) {
    return d->model;
}

int64_t aicp_gate_decision_max_tokens(const aicp_gate_decision *d) {
    return d->patched_max_tokens;
}

int64_t aicp_gate_decision_input_tokens(const aicp_gate_decision *d) {
    return d->quote.input.tokens;
}

int64_t aicp_gate_decision_cost_expected_nano(const aicp_gate_decision *d) {
    return d->priced ? d->quote.cost_expected_nano : -1;
}

int64_t aicp_gate_decision_reserved_nano(const aicp_gate_decision *d) {
    return d->reserved_nano;
}

size_t aicp_gate_decision_finding_count(const aicp_gate_decision *d) {
    return d->findings;
}

double aicp_gate_decision_risk(const aicp_gate_decision *d) {
    return d->risk;
}

uint64_t aicp_gate_decision_step_ns(const aicp_gate_decision *d, int32_t step) {
    return step >= 0 && step <= AICP_GATE_STEP_COUNT ? d->step_ns[step] : 0;
}

/* ---- JSON ---- */

static void put_text(aicpi_strbuf *out, const char *name, const char *text) {
    aicpi_strbuf_printf(out, ",\"%s\":", name);
    aicpi_strbuf_json(out, text, strlen(text));
}

static void put_money(aicpi_strbuf *out, const char *name, int64_t nano) {
    char text[AICP_MONEY_TEXT_SIZE];
    aicp_money_format(nano, text);
    aicpi_strbuf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void put_cost(aicpi_strbuf *out, const aicp_gate_decision *d) {
    const aicp_cost_quote *q = &d->quote;
    aicpi_strbuf_printf(
        out,
        ",\"input_tokens\":%lld,\"count\":\"%s\"",
        (long long)q->input.tokens,
        aicp_count_quality_name(q->input.quality));
    if (d->priced) {
        put_money(out, "cost_expected", q->cost_expected_nano);
        put_money(out, "cost_max", q->cost_max_nano);
        put_money(out, "reserved", d->reserved_nano);
    }
}

static void put_headers_and_timings(aicpi_strbuf *out, const aicp_gate_decision *d) {
    aicpi_strbuf_puts(out, ",\"headers\":{");
    for (size_t i = 0; i < d->header_count; i++) {
        aicpi_strbuf_printf(out, "%s\"%s\":", i ? "," : "", d->headers[i].name);
        aicpi_strbuf_json(out, d->headers[i].value, strlen(d->headers[i].value));
    }
    aicpi_strbuf_puts(out, "},\"timings_ns\":{");
    for (int32_t i = 0; i < AICP_GATE_STEP_COUNT && i <= d->refused_step; i++) {
        aicpi_strbuf_printf(
            out, "\"%s\":%llu,", aicp_gate_step_name(i), (unsigned long long)d->step_ns[i]);
    }
    aicpi_strbuf_printf(
        out, "\"total\":%llu}", (unsigned long long)d->step_ns[AICP_GATE_STEP_COUNT]);
}

aicp_status aicp_gate_decision_json(const aicp_gate_decision *d, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!d) {
        return aicpi_fail(err, AICP_ERR_INVALID, "decision is NULL");
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &d->gate->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_printf(
        &text,
        "{\"verdict\":\"%s\",\"http_status\":%d",
        d->verdict == AICP_GATE_ALLOW ? "allow" : "deny",
        (int)d->http_status);
    put_text(&text, "id", d->id);
    put_text(&text, "model", d->model);
    if (d->verdict == AICP_GATE_DENY) {
        put_text(&text, "step", aicp_gate_decision_step(d));
        put_text(&text, "type", d->type);
        put_text(&text, "rule", d->rule);
        put_text(&text, "message", d->message);
        put_text(&text, "advice", d->advice);
    }
    if (d->quoted) {
        put_cost(&text, d);
    }
    if (d->patched_max_tokens >= 0) {
        aicpi_strbuf_printf(&text, ",\"max_tokens\":%lld", (long long)d->patched_max_tokens);
    }
    aicpi_strbuf_printf(&text, ",\"risk\":%.3f,\"findings\":%zu", d->risk, d->findings);
    if (d->body_changed) {
        aicpi_strbuf_puts(&text, ",\"request\":");
        aicpi_strbuf_append(&text, d->body.data, d->body.len);
    }
    put_headers_and_timings(&text, d);
    aicpi_strbuf_putc(&text, '}');
    return aicpi_strbuf_take(&text, out, err);
}
