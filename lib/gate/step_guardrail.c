/* Step guardrail: looks through every text of the body and notes what must be changed in it. */
#include "lib/gate/gate_internal.h"

#include <stdio.h>

const aicp_guard_profile *
aicpi_guard_profile_for(const aicp_bundle *b, const aicpi_subject *s, aicpi_slice model) {
    aicpi_select_subject values;
    aicpi_subject_values(s, model, &values);
    for (size_t i = 0; i < b->assignment_count; i++) {
        if (aicpi_select_matches(&b->assignments[i].select, &values)) {
            return b->profiles[b->assignments[i].profile].profile;
        }
    }
    return b->default_profile < b->profile_count ? b->profiles[b->default_profile].profile : NULL;
}

aicp_status aicpi_patch_add(aicpi_check *c, const aicpi_patch *patch, aicp_error *err) {
    aicpi_work *w = c->work;
    if (!aicpi_arena_grow(
            &w->arena,
            (void **)&w->patches,
            &w->patch_capacity,
            w->patch_count,
            sizeof *w->patches)) {
        return aicpi_nomem(err);
    }
    size_t at = w->patch_count++;
    while (at > 0 && w->patches[at - 1].offset > patch->offset) {
        w->patches[at] = w->patches[at - 1];
        at--;
    }
    w->patches[at] = *patch;
    return AICP_OK;
}

static aicp_status refuse(aicpi_check *c, aicp_error *err) {
    const aicp_guard_result *result = c->work->guard;
    const char *reason = aicp_guard_result_reason(result);
    aicpi_refusal refusal = {
        .http_status = 400,
        .type = "guardrail_violation",
        .rule = aicpi_slice_cstr(reason),
        .advice = "remove that part of the request and send it again",
    };
    aicp_status why = aicp_guard_result_error(result);
    if (why != AICP_OK && aicp_guard_result_finding_count(result) == 0) {
        refusal.advice = "send a shorter text";
        return aicpi_refuse(
            c,
            &refusal,
            err,
            "the request could not be checked in full: %s",
            aicp_status_text(why));
    }
    return aicpi_refuse(c, &refusal, err, "the request was blocked by guardrail %s", reason);
}

static aicp_status
scan_text(aicpi_check *c, const aicpi_text *text, aicp_guard_scan_options *how, aicp_error *err) {
    aicp_guard_result *result = c->work->guard;
    how->source = text->source;
    aicp_status status =
        aicp_guard_scan(c->decision->profile, text->text.data, text->text.len, how, result, err);
    if (status != AICP_OK) {
        return status;
    }
    if (aicp_guard_result_action(result) == AICP_GUARD_BLOCK) {
        return refuse(c, err);
    }
    if (!aicp_guard_result_rewritten(result)) {
        return AICP_OK;
    }
    size_t len = 0;
    const char *rewritten = aicp_guard_result_text(result, &len);
    char *copy = aicpi_arena_strndup(&c->work->arena, rewritten, len);
    if (!copy) {
        return aicpi_nomem(err);
    }
    c->texts_changed = true;
    return aicpi_patch_add(c, &(aicpi_patch){text->offset, text->len, {copy, len}, true}, err);
}

static aicp_status guardrail_run(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    d->profile = aicpi_guard_profile_for(c->bundle, &d->subject, aicpi_slice_cstr(d->model));
    if (!d->profile) {
        return AICP_OK;
    }
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
    how.direction = AICP_GUARD_INPUT;
    how.session = d->session;
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < c->work->body.text_count && status == AICP_OK; i++) {
        status = scan_text(c, &c->work->body.texts[i], &how, err);
        if (d->verdict == AICP_GATE_DENY) {
            break;
        }
    }
    d->risk = aicp_guard_session_risk(d->session);
    d->findings = (size_t)aicp_guard_session_match_count(d->session);
    if (status == AICP_OK && d->findings > 0) {
        char text[16];
        snprintf(text, sizeof text, "%.3f", d->risk);
        status = aicpi_decision_header(d, "x-guardrail-risk", text, err);
    }
    return status;
}

const aicpi_step aicpi_step_guardrail = {"guardrail", guardrail_run, NULL};
