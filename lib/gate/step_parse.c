/* Steps parse, route and tokens: what is asked for, where it goes, how much text it is. */
#include "lib/gate/gate_internal.h"

/* ---- parse ---- */

static aicp_status parse_run(aicpi_check *c, aicp_error *err) {
    aicp_error own = {0};
    aicp_status status =
        aicpi_body_read_request(&c->work->body, &c->work->arena, c->data.data, c->data.len, &own);
    if (status == AICP_ERR_NOMEM) {
        return aicpi_nomem(err);
    }
    aicpi_refusal refusal = {.http_status = 400, .type = "invalid_request_error"};
    if (status != AICP_OK) {
        refusal.advice = "send a valid JSON object";
        return aicpi_refuse(
            c,
            &refusal,
            err,
            "the body is not usable: %s (line %u, column %u)",
            own.message,
            own.line,
            own.column);
    }
    aicpi_slice model = c->work->body.model;
    if (model.len == 0 || model.len > AICPI_FIELD_MAX) {
        refusal.advice = "name the model in the member \"model\"";
        return aicpi_refuse(c, &refusal, err, "the body names no model");
    }
    for (size_t i = 0; i < model.len; i++) { /* C strings and headers would end at one */
        if ((unsigned char)model.data[i] < ' ' || model.data[i] == 0x7F) {
            refusal.advice = "correct the name of the model";
            return aicpi_refuse(c, &refusal, err, "the name of the model has control characters");
        }
    }
    c->decision->requested_model = aicpi_decision_text(c->decision, model);
    c->decision->model = c->decision->requested_model;
    c->decision->stream = c->work->body.stream;
    return c->decision->model ? AICP_OK : aicpi_nomem(err);
}

const aicpi_step aicpi_step_parse = {"parse", parse_run, NULL};

/* ---- route ---- */

void aicpi_subject_values(const aicpi_subject *s, aicpi_slice model, aicpi_select_subject *out) {
    *out = (aicpi_select_subject){.tags = s->tags, .tag_count = s->tag_count};
    out->values[AICPI_DIM_ORG] = s->fields[AICP_GATE_ORG];
    out->values[AICPI_DIM_TEAM] = s->fields[AICP_GATE_TEAM];
    out->values[AICPI_DIM_USER] = s->fields[AICP_GATE_USER];
    out->values[AICPI_DIM_KEY] = s->fields[AICP_GATE_KEY];
    out->values[AICPI_DIM_KEY_ALIAS] = s->fields[AICP_GATE_KEY_ALIAS];
    out->values[AICPI_DIM_END_USER] = s->fields[AICP_GATE_END_USER];
    out->values[AICPI_DIM_MODEL] = model;
}

/* Redirects below 100 % take the same callers each time: the share is of a hash of redirect and
 * caller. */
static bool in_share(const aicpi_redirect *r, const aicpi_subject *s) {
    if (r->percent >= 100) {
        return true;
    }
    aicpi_slice who = s->fields[AICP_GATE_KEY];
    who = who.len ? who : s->fields[AICP_GATE_USER];
    uint64_t h = aicpi_hash(aicpi_hash(0, r->id.data, r->id.len), who.data, who.len);
    return (int64_t)(h % 100) < r->percent;
}

static aicpi_slice routed_model(const aicp_bundle *b, const aicpi_subject *s, aicpi_slice model) {
    for (size_t i = 0; i < b->alias_count; i++) {
        if (aicpi_slice_eq(b->aliases[i].from, model)) {
            model = b->aliases[i].to;
            break;
        }
    }
    aicpi_select_subject values;
    aicpi_subject_values(s, model, &values);
    for (size_t i = 0; i < b->redirect_count; i++) {
        const aicpi_redirect *r = &b->redirects[i];
        if (aicpi_select_matches(&r->select, &values) && in_share(r, s)) {
            return r->to;
        }
    }
    return model;
}

static aicp_status route_run(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    const aicp_bundle *b = c->bundle;
    if (b->maintenance) {
        aicpi_refusal refusal = {503, "maintenance", AICPI_SLICE("maintenance"), "try again later"};
        aicp_status status = aicpi_refuse(
            c,
            &refusal,
            err,
            "%s",
            b->maintenance_message.data ? b->maintenance_message.data
                                        : "the service is under maintenance");
        return status == AICP_OK ? aicpi_decision_header(d, "Retry-After", "60", err) : status;
    }
    aicpi_slice asked = c->work->body.model;
    aicpi_slice model = routed_model(b, &d->subject, asked);
    if (!aicpi_slice_eq(model, asked)) {
        d->model = aicpi_decision_text(d, model);
    }
    return d->model ? AICP_OK : aicpi_nomem(err);
}

const aicpi_step aicpi_step_route = {"route", route_run, NULL};

/* ---- tokens ---- */

const aicp_price *aicpi_price_of(const aicp_price_table *prices, aicpi_slice model) {
    const aicp_price *price = NULL;
    if (!prices || aicp_price_table_find(prices, model.data, model.len, &price, NULL) != AICP_OK) {
        return NULL;
    }
    return price;
}

/* Counts `data` as a request to `model` and prices it; an unknown price leaves only the token
 * figures. */
aicp_status aicpi_quote(
    aicpi_check *c,
    aicpi_slice data,
    const char *model,
    const aicp_price *price,
    aicp_cost_quote *quote,
    aicp_error *err) {
    aicp_cost_request *request = c->work->cost;
    aicp_status status = aicp_cost_request_parse(request, data.data, data.len, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_cost_request_set_model(request, model, strlen(model));
    return aicpi_quote_again(c, price, quote, err);
}

aicp_status aicpi_quote_again(
    aicpi_check *c, const aicp_price *price, aicp_cost_quote *quote, aicp_error *err) {
    aicp_cost_options options = AICP_COST_OPTIONS_INIT;
    options.wall_ns = c->wall_ns;
    aicp_status status = aicp_cost_estimate(c->work->cost, price, &options, quote, err);
    c->decision->priced = status == AICP_OK;
    c->decision->quoted = status == AICP_OK || status == AICP_ERR_UNKNOWN_PRICE;
    return c->decision->quoted ? AICP_OK : status;
}

static aicp_status tokens_run(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicp_error own = {0};
    d->price = aicpi_price_of(c->bundle->prices, aicpi_slice_cstr(d->model));
    d->served_price = d->price;
    aicp_status status = aicpi_quote(c, c->data, d->model, d->price, &d->quote, &own);
    if (status == AICP_ERR_NOMEM) {
        return aicpi_nomem(err);
    }
    if (status != AICP_OK) {
        aicpi_refusal refusal = {400, "invalid_request_error", {0}, "correct the request body"};
        return aicpi_refuse(c, &refusal, err, "the request cannot be counted: %s", own.message);
    }
    return AICP_OK;
}

const aicpi_step aicpi_step_tokens = {"tokens", tokens_run, NULL};
