/* Steps price and budget: what the request can cost as it will be sent, and the reservation of
 * that. */
#include "lib/gate/gate_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/text.h"

#include <stdio.h>

/* ---- price ---- */

aicp_status aicpi_body_build(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicpi_body_patch(&d->body, c->data.data, c->data.len, c->work->patches, c->work->patch_count);
    d->body_changed = c->work->patch_count > 0;
    return d->body.failed ? aicpi_nomem(err) : AICP_OK;
}

static aicp_status price_run(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicp_status status = AICP_OK;
    if (strcmp(d->model, d->requested_model) != 0) {
        const aicpi_body *b = &c->work->body;
        aicpi_patch patch = {
            (size_t)(b->model_token.data - c->data.data),
            b->model_token.len,
            aicpi_slice_cstr(d->model),
            true};
        status = aicpi_patch_add(c, &patch, err);
    }
    if (status == AICP_OK) {
        status = aicpi_body_build(c, err);
    }
    if (status == AICP_OK && c->texts_changed) { /* masked texts have other tokens */
        aicpi_slice sent = {d->body.data, d->body.len};
        status = aicpi_quote(c, sent, d->model, d->price, &d->quote, err);
    }
    return status;
}

const aicpi_step aicpi_step_price = {"price", price_run, NULL};

/* ---- accounts of a request ---- */

#define VALUE_MAX 96 /* a longer one stands in the id by its hash */
#define VALUES_TEXT_MAX (AICPI_DIM_COUNT * (VALUE_MAX + 1))

static bool is_escaped(char c) {
    return c == ':' || c == '%' || (c >= 0 && c < ' ') || c == 0x7F;
}

static size_t escaped_len(aicpi_slice value) {
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        len += is_escaped(value.data[i]) ? 3 : 1;
    }
    return len;
}

/* ":%h" and the hash: no escaped value begins like that. */
static size_t put_hash(char *text, aicpi_slice value) {
    char hash[65];
    aicpi_sha256_hex(value.data, value.len, hash);
    memcpy(text, ":%h", 3);
    memcpy(text + 3, hash, 64);
    return 67;
}

/* Writes ":" and the value; ':', '%' and control characters in it are escaped, so that different
 * values never give the same id. At most VALUE_MAX + 1 bytes. */
static size_t put_value(char *text, aicpi_slice value) {
    static const char hex[] = "0123456789ABCDEF";
    if (escaped_len(value) > VALUE_MAX) {
        return put_hash(text, value);
    }
    size_t at = 0;
    text[at++] = ':';
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        if (is_escaped(c)) {
            text[at++] = '%';
            text[at++] = hex[c >> 4];
            text[at++] = hex[c & 15];
        } else {
            text[at++] = c;
        }
    }
    return at;
}

/* "team-month" for a rule without "per"; else "team-month:<team>:…". Values that do not fit into an
 * id together stand in it by one hash. */
static const char *
account_id(aicp_gate_decision *d, const aicpi_account_rule *rule, const aicpi_select_subject *v) {
    char values[VALUES_TEXT_MAX];
    char text[AICPI_ACCOUNT_ID_MAX];
    size_t len = 0;
    for (int32_t i = 0; i < AICPI_DIM_COUNT; i++) {
        if (rule->select.per >> i & 1) {
            len += put_value(values + len, v->values[i]);
        }
    }
    size_t at = rule->id.len;
    memcpy(text, rule->id.data, at);
    if (len > sizeof text - at) {
        at += put_hash(text + at, aicpi_slice_of(values, len));
    } else {
        memcpy(text + at, values, len);
        at += len;
    }
    return aicpi_decision_text(d, aicpi_slice_of(text, at));
}

static bool account_is_known(aicp_gate *g, aicpi_slice id, uint64_t digest) {
    pthread_mutex_lock(&g->accounts_lock);
    aicpi_map_slot *slot = aicpi_map_find(&g->accounts, id.data, id.len);
    bool known = slot && slot->value.u64 == digest;
    pthread_mutex_unlock(&g->accounts_lock);
    return known;
}

static void account_now_known(aicp_gate *g, aicpi_slice id, uint64_t digest) {
    pthread_mutex_lock(&g->accounts_lock);
    aicpi_map_slot *slot = aicpi_map_find(&g->accounts, id.data, id.len);
    if (!slot && g->accounts.count >= AICPI_KNOWN_ACCOUNTS_MAX) {
        aicpi_map_deinit(&g->accounts);
        aicpi_map_init(&g->accounts, &g->allocator);
        aicpi_arena_reset(&g->accounts_arena);
    }
    char *copy = slot ? NULL : aicpi_arena_strndup(&g->accounts_arena, id.data, id.len);
    if (copy) {
        bool inserted = false;
        slot = aicpi_map_put(&g->accounts, copy, id.len, &inserted);
    }
    if (slot) { /* out of memory only means that the ledger is told again */
        slot->value.u64 = digest;
    }
    pthread_mutex_unlock(&g->accounts_lock);
}

/* An account "per" something comes into being, or gets its new limits, with the first request that
 * names it. */
static aicp_status
make_known(aicpi_check *c, const aicpi_account_rule *rule, aicpi_slice id, aicp_error *err) {
    if (rule->select.per == 0 || account_is_known(c->gate, id, rule->digest)) {
        return AICP_OK;
    }
    if (c->deadline_ns == 0) {
        return aicpi_fail(err, AICP_ERR_WOULD_BLOCK, "account %s must be opened first", id.data);
    }
    aicp_status status = aicpi_gate_put_account(c->gate, rule, id, c->deadline_ns, err);
    if (status == AICP_OK) {
        account_now_known(c->gate, id, rule->digest);
    }
    return status;
}

/* The account in a sentence: "monthly" of blue. The rule's id without a name. */
static const char *account_text(aicp_gate_decision *d, size_t which) {
    const aicpi_account_rule *rule = d->account_rules[which];
    const char *id = d->accounts[which];
    const char *of = id + rule->id.len; /* ":blue", or nothing */
    if (!rule->name) {
        return id;
    }
    const char *text = *of ? aicpi_decision_printf(d, "\"%s\" of %s", rule->name, of + 1)
                           : aicpi_decision_printf(d, "\"%s\"", rule->name);
    return text ? text : id;
}

static aicp_status find_accounts(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicpi_select_subject values;
    aicpi_subject_values(&d->subject, aicpi_slice_cstr(d->model), &values);
    for (size_t i = 0; i < c->bundle->account_count; i++) {
        const aicpi_account_rule *rule = &c->bundle->accounts[i];
        if (!aicpi_select_matches(&rule->select, &values)) {
            continue;
        }
        if (d->account_count == AICPI_ACCOUNTS_MAX) {
            return aicpi_fail(
                err,
                AICP_ERR_LIMIT,
                "more than %d accounts apply to one request",
                AICPI_ACCOUNTS_MAX);
        }
        const char *id = account_id(d, rule, &values);
        if (!id) {
            return aicpi_nomem(err);
        }
        aicp_status status = make_known(c, rule, aicpi_slice_cstr(id), err);
        if (status != AICP_OK) {
            return status;
        }
        d->account_rules[d->account_count] = rule;
        d->accounts[d->account_count++] = id;
    }
    return AICP_OK;
}

/* ---- reserving ---- */

static aicp_status reserve(
    aicpi_check *c,
    const char *id,
    int64_t amount,
    bool unknown,
    aicp_ledger_result *result,
    aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicp_ledger_text accounts[AICPI_ACCOUNTS_MAX];
    for (size_t i = 0; i < d->account_count; i++) {
        accounts[i] = (aicp_ledger_text){d->accounts[i], strlen(d->accounts[i])};
    }
    aicp_ledger_request request = AICP_LEDGER_REQUEST_INIT;
    request.id = id;
    request.id_len = strlen(id);
    request.accounts = accounts;
    request.accounts_count = d->account_count;
    request.amount_nano = amount;
    request.ttl_ns = (uint64_t)c->bundle->settings.reservation_ttl_s * 1000000000;
    request.deadline_ns = c->deadline_ns;
    request.unknown_price = unknown;
    return aicp_ledger_reserve(c->gate->ledger, &request, result, err);
}

static void money(int64_t nano, char out[AICP_MONEY_TEXT_SIZE]) {
    aicp_money_format(nano < 0 ? 0 : nano, out);
}

static aicp_status
refuse_exceeded(aicpi_check *c, const aicp_ledger_result *result, int64_t amount, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    char left[AICP_MONEY_TEXT_SIZE];
    char limit[AICP_MONEY_TEXT_SIZE];
    char need[AICP_MONEY_TEXT_SIZE];
    char when[80] = "";
    money(result->remaining_nano, left);
    money(result->limit_nano, limit);
    money(amount, need);
    bool resets = result->reset_at_ns > c->wall_ns && result->reset_at_ns != AICP_BUDGET_FOREVER;
    if (resets) {
        char text[40];
        aicpi_time_format(result->reset_at_ns, text);
        snprintf(when, sizeof when, " or wait for the reset at %s", text);
    }
    const char *advice =
        aicpi_decision_printf(d, "raise the budget, lower max_tokens, use a cheaper model%s", when);
    size_t which = result->account < d->account_count ? result->account : 0;
    aicpi_refusal refusal = {
        (int32_t)c->bundle->settings.budget_status,
        "budget_exceeded",
        aicpi_slice_cstr(d->accounts[which]),
        advice};
    aicp_status status = aicpi_refuse(
        c,
        &refusal,
        err,
        "budget %s has %s USD left of %s; this request can cost up to %s USD",
        account_text(d, which),
        left,
        limit,
        need);
    if (status == AICP_OK && resets) {
        char seconds[24];
        int64_t wait = (result->reset_at_ns - c->wall_ns + AICPI_SECOND_NS - 1) / AICPI_SECOND_NS;
        snprintf(seconds, sizeof seconds, "%lld", (long long)wait);
        status = aicpi_decision_header(d, "Retry-After", seconds, err);
    }
    return status;
}

/* Refusals that are not about the amount. */
static aicp_status refuse_other(aicpi_check *c, aicp_status why, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicpi_refusal refusal = {.rule = aicpi_slice_cstr(d->accounts[0])};
    if (why == AICP_ERR_UNKNOWN_PRICE) {
        refusal.http_status = (int32_t)c->bundle->settings.budget_status;
        refusal.type = "price_unknown";
        refusal.advice = "add the model's price to the bundle, or set on_unknown_price to allow";
        return aicpi_refuse(
            c,
            &refusal,
            err,
            "the price of model %s is unknown, so a hard budget cannot cover it",
            d->model);
    }
    if (why == AICP_ERR_FROZEN) {
        refusal.http_status = (int32_t)c->bundle->settings.budget_status;
        refusal.type = "budget_frozen";
        refusal.advice = "ask an administrator";
        return aicpi_refuse(c, &refusal, err, "budget %s is frozen", account_text(d, 0));
    }
    refusal.http_status = 503;
    refusal.type = "budget_store_unavailable";
    refusal.advice = "try again";
    aicp_status status = aicpi_refuse(c, &refusal, err, "the budget cannot be verified now");
    return status == AICP_OK ? aicpi_decision_header(d, "Retry-After", "1", err) : status;
}

/* ---- less output while money is short ---- */

static aicp_status
quote_with_cap(aicpi_check *c, int64_t cap, aicp_cost_quote *quote, aicp_error *err) {
    aicp_cost_request_set_max_tokens(c->work->cost, cap);
    return aicpi_quote_again(c, c->decision->price, quote, err);
}

/* The largest cap whose worst case fits into `money_left`; 0 when even the least does not. The
 * worst case grows linearly with the cap, so two points give the line; the result is checked, not
 * trusted. */
static aicp_status affordable_cap(
    aicpi_check *c, int64_t money_left, int64_t *cap, aicp_cost_quote *quote, aicp_error *err) {
    int64_t least = c->bundle->settings.min_output_tokens;
    int64_t most = c->decision->quote.output_cap;
    int64_t dear = c->decision->quote.cost_max_nano;
    *cap = 0;
    if (most <= least) {
        return AICP_OK;
    }
    aicp_status status = quote_with_cap(c, least, quote, err);
    if (status != AICP_OK || quote->cost_max_nano > money_left) {
        return status;
    }
    int64_t base = quote->cost_max_nano;
    int64_t step = (dear - base + (most - least) - 1) / (most - least);
    int64_t wanted = step > 0 ? least + (money_left - base) / step : most;
    status = quote_with_cap(c, wanted, quote, err);
    if (status == AICP_OK && quote->cost_max_nano > money_left) {
        wanted = least;
        status = quote_with_cap(c, wanted, quote, err);
    }
    *cap = wanted;
    return status;
}

/* Every cap of the body gets the value: which of them counts is up to the provider. */
static aicp_status patch_cap(aicpi_check *c, int64_t cap, aicp_error *err) {
    const aicpi_body *b = &c->work->body;
    bool inserts = b->cap_count == 0;
    char text[96];
    int n = inserts ? snprintf(
                          text,
                          sizeof text,
                          "\"%s\":%lld%s",
                          b->max_tokens_key,
                          (long long)cap,
                          b->empty_object ? "" : ",")
                    : snprintf(text, sizeof text, "%lld", (long long)cap);
    const char *copy = aicpi_arena_strndup(&c->work->arena, text, (size_t)n);
    aicp_status status = copy ? AICP_OK : aicpi_nomem(err);
    aicpi_patch patch = {.offset = b->open_brace + 1, .text = aicpi_slice_of(copy, (size_t)n)};
    if (status == AICP_OK && inserts) {
        status = aicpi_patch_add(c, &patch, err);
    }
    for (size_t i = 0; i < b->cap_count && status == AICP_OK; i++) {
        if (b->caps[i].null && b->capped) {
            continue;
        }
        patch.offset = (size_t)(b->caps[i].token.data - c->data.data);
        patch.len = b->caps[i].token.len;
        status = aicpi_patch_add(c, &patch, err);
    }
    c->decision->patched_max_tokens = cap;
    return status == AICP_OK ? aicpi_body_build(c, err) : status;
}

#define CAP_ROUNDS                                                                                 \
    4 /* others may spend, or another account be tighter, between look and reservation */

static aicp_status
reserve_less(aicpi_check *c, aicp_ledger_result *result, bool *done, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicp_cost_quote quote = d->quote;
    *done = false;
    /* a cap that another member may override would not hold */
    if (!c->bundle->settings.patch_max_tokens || !d->priced || c->work->body.other_caps) {
        return AICP_OK;
    }
    for (int round = 0; round < CAP_ROUNDS; round++) {
        int64_t cap = 0;
        aicp_status status = affordable_cap(c, result->remaining_nano, &cap, &quote, err);
        if (status != AICP_OK || cap == 0) {
            return status;
        }
        status = reserve(c, d->reservation, quote.cost_max_nano, false, result, err);
        if (status == AICP_OK) {
            *done = true;
            d->reserved = true;
            d->reserved_nano = quote.cost_max_nano;
            d->quote = quote;
            return patch_cap(c, cap, err);
        }
        if (status != AICP_ERR_BUDGET_EXCEEDED) {
            return status;
        }
    }
    return AICP_OK;
}

/* ---- the step ---- */

static void name_reservation(aicp_gate_decision *d) {
    /* The caller may choose the id of a call, so it alone must not name money: the same id twice
     * would be free. */
    unsigned char random[8];
    char hex[2 * sizeof random + 1];
    aicpi_random(random, sizeof random);
    aicpi_hex_encode(random, sizeof random, hex);
    snprintf(d->reservation, sizeof d->reservation, "%s:%s", d->id, hex);
}

static aicp_status try_reserve(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicp_ledger_result result = AICP_LEDGER_RESULT_INIT;
    int64_t amount = d->priced ? d->quote.cost_max_nano : 0;
    aicp_status status = reserve(c, d->reservation, amount, !d->priced, &result, err);
    if (status == AICP_OK) {
        d->reserved = true;
        d->reserved_nano = amount;
        return AICP_OK;
    }
    if (status == AICP_ERR_BUDGET_EXCEEDED) {
        bool done = false;
        status = reserve_less(c, &result, &done, err);
        return status != AICP_OK || done ? status : refuse_exceeded(c, &result, amount, err);
    }
    if (status == AICP_ERR_UNKNOWN_PRICE || status == AICP_ERR_FROZEN || status == AICP_ERR_STORE ||
        status == AICP_ERR_STORE_BUSY || status == AICP_ERR_TIMEOUT) {
        return refuse_other(c, status, err);
    }
    return status;
}

static aicp_status budget_run(aicpi_check *c, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    aicp_status status = find_accounts(c, err);
    if (status != AICP_OK || d->account_count == 0) {
        return status;
    }
    name_reservation(d);
    status = try_reserve(c, err);
    if (status == AICP_OK && d->reserved) {
        int64_t estimate = d->priced ? d->quote.cost_expected_nano : 0;
        status = aicp_ledger_mark_dispatched(
            c->gate->ledger, d->reservation, strlen(d->reservation), estimate, err);
    }
    return status;
}

static void budget_undo(aicpi_check *c, int32_t refused_by) {
    (void)refused_by;
    aicpi_budget_release(c->decision);
}

const aicpi_step aicpi_step_budget = {"budget", budget_run, budget_undo};

/* ---- raising and releasing ---- */

static void raise_id(const aicp_gate_decision *d, uint32_t number, char *out, size_t size) {
    snprintf(out, size, "%s+%u", d->reservation, (unsigned)number);
}

/* A reservation that cannot be given back now is given back by its deadline. */
static void release_one(aicp_gate *g, const char *id) {
    aicp_error err = {0};
    if (aicp_ledger_release(g->ledger, id, strlen(id), &err) != AICP_OK) {
        aicpi_log_write(&g->log, AICP_LOG_WARN, "reservation %s not released: %s", id, err.message);
    }
}

void aicpi_budget_release(aicp_gate_decision *d) {
    char id[sizeof d->reservation + 12];
    for (uint32_t i = 1; i <= d->raises; i++) {
        raise_id(d, i, id, sizeof id);
        release_one(d->gate, id);
    }
    d->raises = 0;
    if (d->reserved) {
        release_one(d->gate, d->reservation);
        d->reserved = false;
    }
}

/* Would a request to this model be charged to an account that holds no reservation of this
 * decision? Nothing could be booked there, so such a fallback is not taken. */
static bool charges_other_accounts(const aicpi_check *c, aicpi_slice model) {
    const aicp_gate_decision *d = c->decision;
    aicpi_select_subject before;
    aicpi_select_subject after;
    aicpi_subject_values(&d->subject, aicpi_slice_cstr(d->model), &before);
    aicpi_subject_values(&d->subject, model, &after);
    for (size_t i = 0; i < c->bundle->account_count; i++) {
        const aicpi_select *select = &c->bundle->accounts[i].select;
        bool by_model = select->per >> AICPI_DIM_MODEL & 1;
        if (aicpi_select_matches(select, &after) &&
            (by_model || !aicpi_select_matches(select, &before))) {
            return true;
        }
    }
    return false;
}

aicp_status aicpi_budget_covers(aicpi_check *c, aicpi_slice model, bool *allowed, aicp_error *err) {
    aicp_gate_decision *d = c->decision;
    bool priced = d->priced;
    bool quoted = d->quoted;
    aicp_cost_quote quote = d->quote;
    *allowed = true;
    if (aicpi_slice_is(model, d->model)) {
        return AICP_OK;
    }
    /* What was scanned by other rules was not scanned for this model. */
    if (aicpi_guard_profile_for(c->bundle, &d->subject, model) != d->profile) {
        *allowed = false;
        return AICP_OK;
    }
    if (charges_other_accounts(c, model)) {
        *allowed = false;
        return AICP_OK;
    }
    if (!d->reserved) {
        return AICP_OK;
    }
    char name[AICPI_FIELD_MAX + 1];
    if (model.len > AICPI_FIELD_MAX) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "model name is too long");
    }
    memcpy(name, model.data, model.len);
    name[model.len] = '\0';
    aicpi_slice sent = {d->body.data, d->body.len};
    aicp_status status =
        aicpi_quote(c, sent, name, aicpi_price_of(c->bundle->prices, model), &quote, err);
    bool candidate_priced = d->priced;
    d->priced = priced;
    d->quoted = quoted;
    if (status != AICP_OK) {
        return status;
    }
    int64_t more = candidate_priced ? quote.cost_max_nano - d->reserved_nano : 0;
    if (candidate_priced && more <= 0) {
        return AICP_OK;
    }
    char id[sizeof d->reservation + 12];
    aicp_ledger_result result = AICP_LEDGER_RESULT_INIT;
    raise_id(d, d->raises + 1, id, sizeof id);
    status = reserve(c, id, more, !candidate_priced, &result, err);
    *allowed = status == AICP_OK;
    if (status == AICP_OK) {
        d->raises++;
        d->reserved_nano += more;
        return AICP_OK;
    }
    bool no = status == AICP_ERR_BUDGET_EXCEEDED || status == AICP_ERR_UNKNOWN_PRICE ||
              status == AICP_ERR_FROZEN;
    return no ? AICP_OK : status;
}
