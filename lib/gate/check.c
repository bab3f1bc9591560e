/* The way of a request through the gate. */
#include "lib/gate/gate_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/text.h"

#include <stdio.h>

static const aicpi_step *const steps[AICP_GATE_STEP_COUNT] = {
    &aicpi_step_parse,     /* is it JSON, which model, which texts */
    &aicpi_step_route,     /* maintenance, alias, redirect */
    &aicpi_step_tokens,    /* count the input, look up prices */
    &aicpi_step_policy,    /* may this subject use this model (Cedar) */
    &aicpi_step_limits,    /* concurrency, requests, tokens: all or nothing */
    &aicpi_step_guardrail, /* personal data, secrets, injections */
    &aicpi_step_price,     /* what the request as it will be sent can cost */
    &aicpi_step_budget,    /* reserve that */
};

const char *aicp_gate_step_name(int32_t step) {
    return step >= 0 && step < AICP_GATE_STEP_COUNT ? steps[step]->name : "";
}

/* ---- refusing ---- */

aicp_status aicpi_refuse(
    aicpi_check *c, const aicpi_refusal *refusal, aicp_error *err, const char *format, ...) {
    aicp_gate_decision *d = c->decision;
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    d->verdict = AICP_GATE_DENY;
    d->http_status = refusal->http_status;
    d->type = refusal->type;
    d->message = aicpi_decision_text(d, aicpi_slice_cstr(message));
    d->rule = aicpi_decision_text(d, refusal->rule);
    d->advice = aicpi_decision_text(d, aicpi_slice_cstr(refusal->advice ? refusal->advice : ""));
    return d->message && d->rule && d->advice ? AICP_OK : aicpi_nomem(err);
}

/* ---- running the steps ---- */

/* Undoes the steps up to `last`. The one that ended the check is among them: it may have taken
 * something before it failed. */
static void undo_steps(aicpi_check *c, int32_t last, int32_t refused_by) {
    for (int32_t i = last; i >= 0; i--) {
        if (steps[i]->undo) {
            steps[i]->undo(c, refused_by);
        }
    }
}

static aicp_status run_steps(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    const aicp_clock *clock = &c->gate->clock;
    uint64_t start = c->now_ns;
    uint64_t before = start;
    for (int32_t i = 0; i < AICP_GATE_STEP_COUNT; i++) {
        aicp_status status = steps[i]->run(c, err);
        uint64_t after = aicpi_monotonic_ns(clock);
        d->step_ns[i] = after - before;
        d->step_ns[AICP_GATE_STEP_COUNT] = after - start;
        before = after;
        if (status != AICP_OK) {
            undo_steps(c, i, AICP_GATE_STEP_COUNT);
            return status;
        }
        if (d->verdict == AICP_GATE_DENY) {
            d->refused_step = i;
            undo_steps(c, i, i);
            return AICP_OK;
        }
    }
    return AICP_OK;
}

static void count_steps(aicp_gate *g, const aicp_gate_decision *d) {
    int32_t last =
        d->refused_step < AICP_GATE_STEP_COUNT ? d->refused_step : AICP_GATE_STEP_COUNT - 1;
    for (int32_t i = 0; i <= last; i++) {
        atomic_fetch_add_explicit(&g->steps[i].runs, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&g->steps[i].ns, d->step_ns[i], memory_order_relaxed);
    }
    if (d->refused_step < AICP_GATE_STEP_COUNT) {
        atomic_fetch_add_explicit(&g->steps[last].refusals, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&g->refusals, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&g->checks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&g->check_ns, d->step_ns[AICP_GATE_STEP_COUNT], memory_order_relaxed);
}

/* The decision keeps the subject: settlement, candidates and events need it after the request is
 * gone. */
static bool copy_subject(aicp_gate_decision *d, const aicpi_subject *from) {
    d->subject = *from;
    for (int i = 0; i < AICP_GATE_FIELD_COUNT; i++) {
        d->subject.fields[i].data = aicpi_decision_text(d, from->fields[i]);
        if (!d->subject.fields[i].data) {
            return false;
        }
    }
    for (size_t i = 0; i < from->tag_count; i++) {
        d->subject.tags[i].data = aicpi_decision_text(d, from->tags[i]);
        if (!d->subject.tags[i].data) {
            return false;
        }
    }
    return true;
}

static aicp_status
begin_decision(aicp_gate_decision *d, const aicp_gate_request *request, aicp_error *err) {
    if (!copy_subject(d, &request->subject)) {
        return aicpi_nomem(err);
    }
    aicpi_slice id = d->subject.fields[AICP_GATE_CALL_ID];
    if (id.len == 0 || id.len > 96) {
        unsigned char random[16];
        char hex[2 * sizeof random + 1];
        aicpi_random(random, sizeof random);
        aicpi_hex_encode(random, sizeof random, hex);
        d->id = aicpi_decision_text(d, aicpi_slice_cstr(hex));
    } else {
        d->id = id.data;
    }
    return d->id ? AICP_OK : aicpi_nomem(err);
}

static aicp_status check(aicpi_check *c, const aicp_gate_request *request, aicp_error *err) {
    aicp_status status = begin_decision(c->decision, request, err);
    if (status == AICP_OK) {
        c->decision->verdict = AICP_GATE_ALLOW;
        status = run_steps(c, err);
    }
    if (status == AICP_OK) {
        count_steps(c->gate, c->decision);
        aicpi_event_decision(c->gate, c->decision, &c->work->body);
    } else if (status == AICP_ERR_WOULD_BLOCK) {
        atomic_fetch_add_explicit(&c->gate->would_block, 1, memory_order_relaxed);
    }
    return status;
}

/* 0 = must not wait. A wait without end is UINT64_MAX. */
static uint64_t deadline_after(uint64_t now, uint64_t wait_ns) {
    return wait_ns == 0 ? 0 : wait_ns > UINT64_MAX - now ? UINT64_MAX : now + wait_ns;
}

aicp_status aicp_gate_check(
    aicp_gate *gate,
    const aicp_gate_request *request,
    uint64_t wait_ns,
    aicp_gate_decision **out,
    aicp_error *err) {
    *out = NULL;
    if (!gate || !request || !request->has_body) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the request has no body");
    }
    aicp_status status = aicpi_gate_own_process(gate, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_bundle *bundle = aicpi_gate_bundle(gate);
    if (!bundle) {
        return aicpi_fail(err, AICP_ERR_STATE, "no bundle is loaded");
    }
    aicp_gate_decision *d = aicpi_decision_take(gate);
    aicpi_work *work = aicpi_work_take(gate, request->body.len);
    if (!d || !work) {
        aicp_bundle_free(bundle);
        aicpi_decision_give(d);
        aicpi_work_give(gate, work);
        return aicpi_nomem(err);
    }
    d->bundle = bundle;
    d->outsized = request->body.len > AICPI_POOL_BYTES;
    uint64_t now = aicpi_monotonic_ns(&gate->clock);
    aicpi_check c = {
        .gate = gate,
        .bundle = bundle,
        .decision = d,
        .work = work,
        .data = {request->body.data, request->body.len},
        .now_ns = now,
        .wall_ns = aicpi_wall_ns(&gate->clock),
        .deadline_ns = deadline_after(now, wait_ns),
    };
    d->wall_ns = c.wall_ns;
    status = check(&c, request, err);
    aicpi_work_give(gate, work);
    if (status != AICP_OK) {
        aicpi_decision_give(d);
        return status;
    }
    *out = d;
    return AICP_OK;
}

static aicp_status
try_candidate(aicpi_check *c, aicpi_slice model, bool *allowed, aicp_error *err) {
    bool took = false;
    aicp_status status = aicpi_policy_allows(c, model, allowed, err);
    if (status == AICP_OK && *allowed) {
        status = aicpi_limits_cover(c, model, allowed, &took, err);
    }
    if (status == AICP_OK && *allowed) {
        status = aicpi_budget_covers(c, model, allowed, err);
    }
    if (took && (status != AICP_OK || !*allowed)) {
        aicpi_limits_forget(c);
    }
    return status;
}

aicp_status aicp_gate_candidate(
    aicp_gate *gate,
    aicp_gate_decision *decision,
    const char *data,
    size_t len,
    uint64_t wait_ns,
    int32_t *allowed,
    aicp_error *err) {
    if (allowed) {
        *allowed = 0;
    }
    if (!gate || !decision || !data || !allowed) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate, decision, model or result is NULL");
    }
    if (decision->verdict != AICP_GATE_ALLOW || decision->settled || decision->released) {
        return aicpi_fail(err, AICP_ERR_STATE, "the decision is not open");
    }
    aicpi_work *work = aicpi_work_take(gate, decision->body.len);
    if (!work) {
        return aicpi_nomem(err);
    }
    uint64_t now = aicpi_monotonic_ns(&gate->clock);
    aicpi_check c = {
        .gate = gate,
        .bundle = decision->bundle,
        .decision = decision,
        .work = work,
        .now_ns = now,
        .wall_ns = aicpi_wall_ns(&gate->clock),
        .deadline_ns = deadline_after(now, wait_ns),
    };
    bool ok = false;
    aicp_status status = try_candidate(&c, aicpi_slice_of(data, len), &ok, err);
    aicpi_work_give(gate, work);
    *allowed = status == AICP_OK && ok;
    return status;
}
