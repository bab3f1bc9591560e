/* Step policy: asks Cedar whether the subject may use the model.
 *
 * Principal AICP::Key::"<key id>", in AICP::User, AICP::Team and AICP::Organization; action
 * AICP::Action::"chat" …; resource AICP::Model::"<name>", in AICP::Provider. The entities of the
 * bundle stand behind: what they say of a key or a model holds instead. The context is the record
 * documented in docs/bundle.md. */
#include "lib/gate/gate_internal.h"

static const char *const action_names[] = {
    "chat", "complete", "embed", "respond", "image", "audio", "tool"};

typedef struct asker {
    aicpi_check *c;
    aicp_policy_request *q;
    aicp_error *err;
    aicp_status status; /* first failure */
} asker;

static void keep(asker *a, aicp_status status) {
    if (a->status == AICP_OK) {
        a->status = status;
    }
}

static bool in_bundle(const asker *a, aicpi_slice type, aicpi_slice id) {
    const aicp_policy_entities *entities = a->c->bundle->entities;
    return entities &&
           aicp_policy_entities_contains(entities, type.data, type.len, id.data, id.len);
}

static void parent(asker *a, aicpi_slice type, aicpi_slice id) {
    if (id.len > 0) {
        keep(
            a,
            aicp_policy_request_entity_parent(a->q, type.data, type.len, id.data, id.len, a->err));
    }
}

static void attribute(asker *a, const char *name, aicpi_slice value) {
    if (value.len > 0) {
        keep(a, aicp_policy_request_entity_attr_string(a->q, name, value.data, value.len, a->err));
    }
}

static void put_principal(asker *a) {
    const aicpi_slice *f = a->c->decision->subject.fields;
    aicpi_slice type = AICPI_SLICE("AICP::Key");
    aicpi_slice id = f[AICP_GATE_KEY].len ? f[AICP_GATE_KEY] : AICPI_SLICE("anonymous");
    keep(a, aicp_policy_request_set_principal(a->q, type.data, type.len, id.data, id.len, a->err));
    if (in_bundle(a, type, id)) {
        return;
    }
    keep(a, aicp_policy_request_entity_begin(a->q, type.data, type.len, id.data, id.len, a->err));
    parent(a, AICPI_SLICE("AICP::User"), f[AICP_GATE_USER]);
    parent(a, AICPI_SLICE("AICP::Team"), f[AICP_GATE_TEAM]);
    parent(a, AICPI_SLICE("AICP::Organization"), f[AICP_GATE_ORG]);
    attribute(a, "alias", f[AICP_GATE_KEY_ALIAS]);
    attribute(a, "role", f[AICP_GATE_ROLE]);
}

static void put_resource(asker *a, aicpi_slice model) {
    aicpi_slice type = AICPI_SLICE("AICP::Model");
    keep(
        a,
        aicp_policy_request_set_resource(a->q, type.data, type.len, model.data, model.len, a->err));
    if (in_bundle(a, type, model)) {
        return;
    }
    const aicp_price *price = aicpi_price_find(a->c->bundle, model);
    keep(
        a,
        aicp_policy_request_entity_begin(a->q, type.data, type.len, model.data, model.len, a->err));
    if (price) {
        parent(a, AICPI_SLICE("AICP::Provider"), aicpi_slice_cstr(aicp_price_provider(price)));
    }
}

static void put_strings(asker *a, const char *name, const aicpi_slice *items, size_t count) {
    const char *data[AICPI_TOOLS_MAX];
    size_t lens[AICPI_TOOLS_MAX];
    size_t n = count < AICPI_TOOLS_MAX ? count : AICPI_TOOLS_MAX;
    for (size_t i = 0; i < n; i++) {
        data[i] = items[i].data;
        lens[i] = items[i].len;
    }
    keep(a, aicp_policy_request_context_string_set(a->q, name, data, lens, n, a->err));
}

static void put_text(asker *a, const char *name, aicpi_slice value) {
    if (value.len > 0) {
        keep(a, aicp_policy_request_context_string(a->q, name, value.data, value.len, a->err));
    }
}

static void put_context(asker *a, aicpi_slice model) {
    const aicp_gate_decision *d = a->c->decision;
    const aicpi_slice *f = d->subject.fields;
    const aicpi_body *body = &a->c->work->body;
    keep(a, aicp_policy_request_context_datetime(a->q, "time", a->c->wall_ns / 1000000, a->err));
    keep(a, aicp_policy_request_context_bool(a->q, "stream", d->stream, a->err));
    keep(a, aicp_policy_request_context_long(a->q, "input_tokens", d->quote.input.tokens, a->err));
    keep(a, aicp_policy_request_context_long(a->q, "output_cap", d->quote.output_cap, a->err));
    put_text(a, "model", model);
    put_text(a, "source", f[AICP_GATE_SOURCE]);
    put_text(a, "end_user", f[AICP_GATE_END_USER]);
    put_strings(a, "tags", d->subject.tags, d->subject.tag_count);
    put_strings(a, "tools", body->tools, body->tool_count);
    aicpi_slice ip = f[AICP_GATE_IP];
    /* An address that is none (a socket path, a name) is left out, so that a policy that asks
     * `context has ip` fails closed, instead of refusing every request. */
    if (ip.len > 0) {
        (void)!aicp_policy_request_context_ip(a->q, "ip", ip.data, ip.len, NULL);
    }
}

static aicp_status ask(aicpi_check *c, aicpi_slice model, aicp_error *err) {
    asker a = {c, c->work->policy_request, err, AICP_OK};
    const char *action = action_names[c->decision->subject.action];
    aicp_policy_request_reset(a.q);
    put_principal(&a);
    keep(&a, aicp_policy_request_set_action(a.q, "AICP::Action", 12, action, strlen(action), err));
    put_resource(&a, model);
    put_context(&a, model);
    if (a.status != AICP_OK) {
        return a.status;
    }
    return aicp_policy_authorize(
        c->bundle->policies, c->bundle->entities, a.q, 0, c->work->policy_response, err);
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
