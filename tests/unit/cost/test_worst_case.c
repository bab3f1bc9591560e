/* Over the whole price map: what was reserved is never less than what a request can then cost. */
#include "tests/unit/cost/cost_test.h"

typedef struct reservation {
    aicp_cost_request *request;
    aicp_cost_quote quote;
    int32_t tier;
} reservation;

static int64_t charged(const aicp_price *price, const aicp_usage *usage, int32_t tier) {
    aicp_cost_options o = AICP_COST_OPTIONS_INIT;
    aicp_cost cost;
    aicp_error err = {0};
    o.tier = tier;
    cr_assert_eq(aicp_cost_of_usage(price, usage, &o, &cost, &err), AICP_OK, "%s", err.message);
    return cost.total_nano;
}

/* The dearest uses that the quote allows. */
static void check_uses(const aicp_price *price, const reservation *r) {
    const aicp_cost_quote *q = &r->quote;
    aicp_usage u = AICP_USAGE_INIT;
    u.prompt_tokens = q->input.high;
    u.completion_tokens = q->output_cap * q->answers;
    int64_t plain = charged(price, &u, r->tier);
    u.reasoning_tokens = u.completion_tokens;
    int64_t reasoned = charged(price, &u, r->tier);
    u.cache_write_tokens = u.prompt_tokens;
    int64_t written = charged(price, &u, r->tier);
    u.cache_write_tokens = 0;
    u.cache_read_tokens = u.prompt_tokens;
    int64_t read = charged(price, &u, r->tier);
    cr_assert_leq(plain, q->cost_max_nano, "%s", aicp_price_key(price));
    cr_assert_leq(reasoned, q->cost_max_nano, "%s", aicp_price_key(price));
    cr_assert_leq(written, q->cost_max_nano, "%s", aicp_price_key(price));
    cr_assert_leq(read, q->cost_max_nano, "%s", aicp_price_key(price));
    cr_assert_leq(q->cost_input_nano, q->cost_expected_nano);
    cr_assert_leq(q->cost_expected_nano, q->cost_p95_nano);
}

static size_t check_map(aicp_price_table *table, reservation *r) {
    size_t priced = 0;
    const aicp_price *price;
    for (size_t i = 0; (price = aicp_price_table_at(table, i)) != NULL; i++) {
        aicp_cost_options o = AICP_COST_OPTIONS_INIT;
        o.tier = r->tier;
        aicp_status status = aicp_cost_estimate(r->request, price, &o, &r->quote, NULL);
        if (status == AICP_OK && r->quote.output_cap > 0) {
            check_uses(price, r);
            priced++;
        }
    }
    return priced;
}

Test(worst_case, no_model_of_the_map_can_cost_more_than_is_reserved) {
    aicp_buf file = test_source_file("data/models/litellm_prices.json");
    aicp_price_table *table = NULL;
    reservation r = {0};
    cr_assert_eq(aicp_price_table_parse(file.data, file.len, NULL, &table, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_new(NULL, &r.request, NULL), AICP_OK);
    static const int64_t sizes[] = {1000, 127999, 128000, 200001, 300000, 2000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        aicp_cost_request_reset(r.request);
        aicp_cost_request_set_model(r.request, "gpt-4o", 6);
        aicp_cost_request_set_max_tokens(r.request, 777);
        aicp_cost_request_set_n(r.request, 2);
        cr_assert_eq(aicp_cost_request_add_tokens(r.request, sizes[i], NULL), AICP_OK);
        for (r.tier = AICP_TIER_STANDARD; r.tier <= AICP_TIER_ULTRAFAST; r.tier++) {
            cr_assert_gt(check_map(table, &r), 3000);
        }
    }
    aicp_cost_request_free(r.request);
    aicp_price_table_free(table);
    aicp_buf_free(&file);
}
