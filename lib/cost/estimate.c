/* What a request may cost, before the call. */
#include "lib/cost/price_internal.h"
#include "lib/cost/request.h"

#include "lib/base/decimal.h"
#include "lib/base/error.h"

/* Rule of thumb for the output of one answer when nothing was learned, and the cap that holds when
 * neither the request nor the model names one. */
enum {
    OUTPUT_BASE = 300,
    OUTPUT_INPUT_SHARE = 8,
    OUTPUT_P95_TIMES = 4,
    OUTPUT_REASONING_TIMES = 4,
    OUTPUT_CAP = 16384,
};

#define MOST_ANSWERS (INT64_C(1) << 40)

static int64_t smaller(int64_t x, int64_t y) {
    return x < y ? x : y;
}

static int64_t output_cap(const aicp_cost_request *request, const aicp_price *price) {
    int64_t most = price != NULL ? price->max_output_tokens : -1;
    if (request->kind == AICP_CALL_EMBEDDING) {
        return 0;
    }
    if (request->max_tokens >= 0) {
        return most > 0 ? smaller(request->max_tokens, most) : request->max_tokens;
    }
    return most > 0 ? smaller(OUTPUT_CAP, most) : OUTPUT_CAP;
}

static void expect_output(
    const aicp_cost_request *request,
    const aicp_price *price,
    const aicp_cost_options *o,
    aicp_cost_quote *quote) {
    bool reasons = price != NULL && price->reasoning;
    int64_t p50 = OUTPUT_BASE + quote->input.tokens / OUTPUT_INPUT_SHARE;
    p50 *= reasons ? OUTPUT_REASONING_TIMES : 1;
    int64_t p95 = p50 * OUTPUT_P95_TIMES;
    if (o->output_p50 > 0) {
        p50 = o->output_p50;
        p95 = o->output_p95 > p50 ? o->output_p95 : p50 * OUTPUT_P95_TIMES;
        quote->expected_from_history = 1;
    }
    quote->output_cap = output_cap(request, price);
    quote->output_p50 = smaller(p50, quote->output_cap);
    quote->output_p95 = smaller(p95, quote->output_cap);
    quote->answers = smaller(request->n, MOST_ANSWERS);
}

/* Cost of input and output tokens at given prices, rounded half up once. */
static bool
amount(int64_t input, int64_t input_femto, int64_t output, int64_t output_femto, int64_t *nano) {
    aicpi_int128 sum = (aicpi_int128)input * input_femto + (aicpi_int128)output * output_femto;
    return aicpi_int64_from(aicpi_decimal_round(sum, AICPI_PRICE_SCALE - 9), nano);
}

/* Adds the factor of a regional surcharge, rounded up. */
static bool uplift(const aicpi_rate_context *c, int32_t kind, int64_t *femto) {
    const aicpi_int128 one = INT64_C(1000000000000000);
    int64_t factor;
    if (kind == AICP_UPLIFT_NONE || !aicpi_rate_find(c, aicpi_rate_of_uplift(kind), &factor)) {
        return true;
    }
    return aicpi_int64_from(((aicpi_int128)*femto * factor + one - 1) / one, femto);
}

typedef struct prices {
    int64_t input;
    int64_t output; /* -1 = unknown */
} prices;

/* What decides about the prices of a request. */
typedef struct pricing {
    const aicp_price *price;
    const aicp_cost_options *options;
    bool media;      /* it has images or audio */
    bool long_cache; /* it asks for a cache entry of an hour */
} pricing;

static aicp_status
base_prices(const pricing *p, const aicpi_rate_context *c, prices *out, aicp_error *err) {
    if (!aicpi_rate_find(c, AICPI_RATE_INPUT, &out->input)) {
        return aicpi_fail(
            err, AICP_ERR_UNKNOWN_PRICE, "%s has no price per input token", p->price->key);
    }
    if (!aicpi_rate_find(c, AICPI_RATE_OUTPUT, &out->output)) {
        out->output = -1;
    }
    return AICP_OK;
}

static void raise_to(const aicpi_rate_context *c, aicpi_rate rate, int64_t *femto) {
    int64_t other;
    if (aicpi_rate_find(c, rate, &other) && other > *femto) {
        *femto = other;
    }
}

static aicp_status
apply_uplift(const pricing *p, const aicpi_rate_context *c, prices *out, aicp_error *err) {
    if (!uplift(c, p->options->uplift, &out->input) ||
        (out->output > 0 && !uplift(c, p->options->uplift, &out->output))) {
        return aicpi_fail(err, AICP_ERR_RANGE, "a price does not fit");
    }
    return AICP_OK;
}

/* Prices that are expected for `prompt` tokens. */
static aicp_status expected_prices(const pricing *p, int64_t prompt, prices *out, aicp_error *err) {
    aicpi_rate_context c;
    aicpi_rate_context_init(&c, p->price, prompt, p->options->tier, p->options->wall_ns);
    aicp_status status = base_prices(p, &c, out, err);
    return status == AICP_OK ? apply_uplift(p, &c, out, err) : status;
}

/* The most that a token of the input and of the output can cost in a tier, at full price. */
static aicp_status
dearest_prices(const pricing *p, int64_t prompt, int32_t tier, prices *out, aicp_error *err) {
    aicpi_rate_context c;
    aicpi_rate_context_init(&c, p->price, prompt, tier, 0);
    aicp_status status = base_prices(p, &c, out, err);
    if (status != AICP_OK) {
        return status;
    }
    raise_to(&c, AICPI_RATE_CACHE_WRITE, &out->input);
    if (p->long_cache) {
        raise_to(&c, AICPI_RATE_CACHE_WRITE_1H, &out->input);
    }
    if (p->media) {
        raise_to(&c, AICPI_RATE_INPUT_IMAGE, &out->input);
        raise_to(&c, AICPI_RATE_INPUT_AUDIO, &out->input);
    }
    if (out->output >= 0) {
        raise_to(&c, AICPI_RATE_REASONING, &out->output);
    }
    return apply_uplift(p, &c, out, err);
}

static aicp_status fill_costs(const pricing *p, aicp_cost_quote *q, aicp_error *err) {
    prices now = {0, 0};
    prices most = {0, 0};
    aicp_status status = expected_prices(p, q->input.tokens, &now, err);
    if (status == AICP_OK) {
        status = dearest_prices(p, q->input.high, p->options->tier, &most, err);
    }
    if (status == AICP_OK && p->options->tier != AICP_TIER_STANDARD) {
        prices other = {0, 0}; /* a tier may not be granted and then costs the standard price */
        status = dearest_prices(p, q->input.high, AICP_TIER_STANDARD, &other, err);
        most.input = other.input > most.input ? other.input : most.input;
        most.output = other.output > most.output ? other.output : most.output;
    }
    if (status != AICP_OK) {
        return status;
    }
    if (q->output_cap > 0 && (now.output < 0 || most.output < 0)) {
        return aicpi_fail(
            err, AICP_ERR_UNKNOWN_PRICE, "%s has no price per output token", p->price->key);
    }
    int64_t p50;
    int64_t p95;
    int64_t cap;
    bool ok = !__builtin_mul_overflow(q->output_p50, q->answers, &p50) &&
              !__builtin_mul_overflow(q->output_p95, q->answers, &p95) &&
              !__builtin_mul_overflow(q->output_cap, q->answers, &cap) &&
              amount(q->input.tokens, now.input, 0, 0, &q->cost_input_nano) &&
              amount(q->input.tokens, now.input, p50, now.output, &q->cost_expected_nano) &&
              amount(q->input.tokens, now.input, p95, now.output, &q->cost_p95_nano) &&
              amount(q->input.high, most.input, cap, most.output, &q->cost_max_nano);
    return ok ? AICP_OK : aicpi_fail(err, AICP_ERR_RANGE, "the cost does not fit");
}

aicp_status aicp_cost_estimate(
    aicp_cost_request *request,
    const aicp_price *price,
    const aicp_cost_options *options,
    aicp_cost_quote *quote,
    aicp_error *err) {
    aicp_cost_options o;
    memset(quote, 0, sizeof *quote);
    aicp_status status = aicpi_cost_options_copy(&o, options, err);
    if (status == AICP_OK) {
        status = aicp_cost_request_count(request, NULL, &quote->input, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    expect_output(request, price, &o, quote);
    if (price == NULL || !aicp_price_known(price)) {
        return aicpi_fail(
            err,
            AICP_ERR_UNKNOWN_PRICE,
            "no price is known for %s",
            price != NULL ? price->key : "the model");
    }
    pricing p = {
        .price = price,
        .options = &o,
        .media = quote->input.images > 0,
        .long_cache = request->long_cache,
    };
    return fill_costs(&p, quote, err);
}

aicp_status aicp_cost_estimate_body(
    const aicp_price_table *table,
    const char *data,
    size_t len,
    const aicp_cost_options *options,
    aicp_cost_quote *quote,
    aicp_error *err) {
    aicp_cost_request *request;
    const aicp_price *price = NULL;
    memset(quote, 0, sizeof *quote);
    aicp_status status = aicp_cost_request_new(&table->allocator, &request, err);
    if (status != AICP_OK) {
        return status;
    }
    status = aicp_cost_request_parse(request, data, len, err);
    if (status == AICP_OK) {
        const char *model;
        size_t model_len;
        aicp_cost_request_model(request, &model, &model_len);
        aicp_error unknown = {0};
        aicp_status found = aicp_price_table_find(table, model, model_len, &price, &unknown);
        status = aicp_cost_estimate(request, price, options, quote, err);
        if (found != AICP_OK && status == AICP_ERR_UNKNOWN_PRICE) {
            status = aicpi_fail(err, AICP_ERR_UNKNOWN_PRICE, "%s", unknown.message);
        }
    }
    aicp_cost_request_free(request);
    return status;
}
