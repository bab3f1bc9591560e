/* The end of a decision: settle, release, renew. */
#include "lib/gate/gate_internal.h"

aicp_status
aicp_gate_decision_served_by(aicp_gate_decision *d, const char *data, size_t len, aicp_error *err) {
    if (!d || (!data && len > 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "decision or model is NULL");
    }
    const aicp_price *price = aicpi_price_of(d->bundle->prices, aicpi_slice_of(data, len));
    if (!price) {
        return aicpi_fail(
            err,
            AICP_ERR_UNKNOWN_PRICE,
            "model %.*s has no price",
            (int)(len < 100 ? len : 100),
            data);
    }
    d->served_price = price;
    return AICP_OK;
}

/* What to book: the true cost when the caller knows it, else the price of the usage, else what was
 * reserved (an unknown cost must never become 0). */
static int64_t
cost_to_book(const aicp_gate_decision *d, const aicp_usage *usage, int64_t cost_nano) {
    if (cost_nano >= 0) {
        return cost_nano;
    }
    aicp_cost cost = {0};
    aicp_cost_options options = AICP_COST_OPTIONS_INIT;
    options.wall_ns = d->wall_ns;
    if (usage && d->served_price &&
        aicp_cost_of_usage(d->served_price, usage, &options, &cost, NULL) == AICP_OK) {
        return cost.total_nano;
    }
    return d->reserved_nano;
}

static aicp_status book(aicp_gate *g, aicp_gate_decision *d, int64_t cost, aicp_error *err) {
    if (!d->reserved) {
        return AICP_OK;
    }
    aicp_ledger_text accounts[AICPI_ACCOUNTS_MAX];
    for (size_t i = 0; i < d->account_count; i++) {
        accounts[i] = (aicp_ledger_text){d->accounts[i], strlen(d->accounts[i])};
    }
    aicp_ledger_settlement settlement = AICP_LEDGER_SETTLEMENT_INIT;
    settlement.accounts = accounts;
    settlement.accounts_count = d->account_count;
    settlement.reserved_at_ns = d->wall_ns;
    aicp_status status = aicp_ledger_settle(
        g->ledger, d->reservation, strlen(d->reservation), cost, &settlement, err);
    if (status == AICP_OK) {
        d->reserved = false;
        aicpi_budget_release(d); /* what was reserved on top for dearer candidates */
    }
    return status;
}

aicp_status aicp_gate_settle(
    aicp_gate *g,
    aicp_gate_decision *d,
    const aicp_usage *usage,
    int64_t cost_nano,
    int64_t *settled_nano,
    aicp_error *err) {
    if (!g || !d) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate or decision is NULL");
    }
    if (d->verdict != AICP_GATE_ALLOW || d->settled || d->released) {
        return aicpi_fail(err, AICP_ERR_STATE, "the decision is not open");
    }
    int64_t cost = cost_to_book(d, usage, cost_nano);
    int64_t input = usage ? usage->prompt_tokens : d->quote.input.tokens;
    int64_t output = usage ? usage->completion_tokens : 0;
    aicp_status status = book(g, d, cost, err);
    if (status != AICP_OK) {
        return status;
    }
    int64_t tokens = 0;
    bool fits = input >= 0 && output >= 0 && aicpi_add_i64(input, output, &tokens);
    while (d->ticket_count > 0) {
        aicp_limit_ticket *ticket = &d->tickets[--d->ticket_count];
        aicp_limiter_settle(g->limiter, ticket, fits ? (uint64_t)tokens : UINT64_MAX, 0);
    }
    d->settled = true;
    d->settled_nano = cost;
    atomic_fetch_add_explicit(&g->settled, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&g->settled_nano, (uint64_t)cost, memory_order_relaxed);
    aicpi_event_settled(g, d, input, output);
    if (settled_nano) {
        *settled_nano = cost;
    }
    return AICP_OK;
}

aicp_status aicp_gate_release(aicp_gate *g, aicp_gate_decision *d, aicp_error *err) {
    if (!g || !d) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate or decision is NULL");
    }
    if (d->settled || d->released) {
        return AICP_OK;
    }
    d->released = true;
    aicpi_budget_release(d);
    aicpi_limits_cancel(d, 0);
    return AICP_OK;
}

aicp_status aicp_gate_renew(aicp_gate *g, aicp_gate_decision *d, aicp_error *err) {
    if (!g || !d) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate or decision is NULL");
    }
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < d->ticket_count; i++) {
        aicp_status renewed = aicp_limiter_renew(g->limiter, &d->tickets[i], 0, 0, err);
        status = renewed != AICP_OK ? renewed : status;
    }
    if (d->reserved) {
        uint64_t ttl = (uint64_t)d->bundle->settings.reservation_ttl_s * 1000000000;
        aicp_status ledger =
            aicp_ledger_renew(g->ledger, d->reservation, strlen(d->reservation), ttl, err);
        status = ledger != AICP_OK ? ledger : status;
    }
    return status;
}

void aicp_gate_decision_free(aicp_gate_decision *d) {
    if (!d) {
        return;
    }
    if (d->verdict == AICP_GATE_ALLOW) {
        (void)!aicp_gate_release(d->gate, d, NULL);
    }
    aicpi_decision_give(d);
}
