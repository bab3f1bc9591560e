/* Step policy: asks Cedar whether the subject may use the model; question.c tells what it asks. */
#include "lib/gate/gate_internal.h"
#include "lib/gate/question.h"

static aicp_status ask(aicpi_check *c, aicpi_slice model, aicp_error *err) {
    const aicp_gate_decision *d = c->decision;
    const aicpi_question question = {
        .fields = d->subject.fields,
        .tags = d->subject.tags,
        .tag_count = d->subject.tag_count,
        .tools = c->work->body.tools,
        .tool_count = c->work->body.tool_count,
        .model = model,
        .prices = c->bundle->prices,
        .action = d->subject.action,
        .stream = d->stream,
        .input_tokens = d->quote.input.tokens,
        .output_cap = d->quote.output_cap,
        .wall_ns = c->wall_ns};
    aicp_policy_request *request = c->work->policy_request;
    aicp_status status = aicpi_question_put(&question, c->bundle->entities, request, err);
    if (status != AICP_OK) {
        return status;
    }
    return aicp_policy_authorize(
        c->bundle->policies, c->bundle->entities, request, 0, c->work->policy_response, err);
}

aicp_status aicpi_policy_allows(aicpi_check *c, aicpi_slice model, bool *allowed, aicp_error *err) {
    *allowed = true;
    if (!c->bundle->policies) {
        return AICP_OK;
    }
    aicp_status status = ask(c, model, err);
    *allowed = status == AICP_OK &&
               aicp_policy_response_decision(c->work->policy_response) == AICP_POLICY_ALLOW;
    return status;
}

/* Annotations of the deciding policy speak to people: @reason says why, @advice what to do. */
static aicp_status refuse(aicpi_check *c, aicp_error *err) {
    const aicp_policy_response *response = c->work->policy_response;
    const aicp_policy_set *set = c->bundle->policies;
    const char *who = c->decision->subject.fields[AICP_GATE_TEAM].data;
    aicpi_refusal refusal = {
        .http_status = 403,
        .type = "policy_denied",
        .advice = "ask an administrator for access to this model, or choose another one",
    };
    if (aicp_policy_response_reason_count(response) == 0) {
        size_t errors = aicp_policy_response_error_count(response);
        return aicpi_refuse(
            c,
            &refusal,
            err,
            "no policy permits %s to use the model %s%s",
            *who ? who : "this key",
            c->decision->model,
            errors ? " (some policies could not be evaluated)" : "");
    }
    size_t index = aicp_policy_response_reason_index(response, 0);
    const char *reason = aicp_policy_set_annotation(set, index, "reason");
    const char *advice = aicp_policy_set_annotation(set, index, "advice");
    refusal.rule = aicpi_slice_cstr(aicp_policy_response_reason_id(response, 0));
    refusal.advice = advice ? advice : refusal.advice;
    if (reason && *reason) {
        return aicpi_refuse(c, &refusal, err, "%s", reason);
    }
    return aicpi_refuse(
        c, &refusal, err, "policy %s forbids the model %s", refusal.rule.data, c->decision->model);
}

static aicp_status policy_run(aicpi_check *c, aicp_error *err) {
    bool allowed = false;
    aicp_status status =
        aicpi_policy_allows(c, aicpi_slice_cstr(c->decision->model), &allowed, err);
    if (status == AICP_OK && !allowed) {
        return refuse(c, err);
    }
    return status;
}

const aicpi_step aicpi_step_policy = {"policy", policy_run, NULL};
