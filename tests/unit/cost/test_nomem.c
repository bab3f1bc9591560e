/* Every allocation of the cost module fails in turn: nothing leaks, and no handle or number comes
 * out of a call that failed. */
#include "unit/support.h"

#include "aicp/cost.h"

#include <criterion/criterion.h>
#include <string.h>

static const char prices_json[] =
    "{\"gpt-4o\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"max_output_tokens\":16384,"
    "\"input_cost_per_token\":0.0000025,\"output_cost_per_token\":1e-05},"
    "\"azure/gpt-4o\":{\"litellm_provider\":\"azure\",\"input_cost_per_token\":2.75e-06,"
    "\"output_cost_per_token\":1.1e-05,\"supported_regions\":[\"eu\",\"us\"]}}";

static const char body[] =
    "{\"model\":\"gpt-4o\",\"max_tokens\":100,\"messages\":[{\"role\":\"system\",\"content\":"
    "\"Be \\u0062rief.\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hello, "
    "w\\u00f6rld\"}]}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"string\"}}}}}]}";

static bool parse_prices(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_price_table_options options = AICP_PRICE_TABLE_OPTIONS_INIT;
    options.allocator = a;
    aicp_price_table *table = NULL;
    aicp_error err;
    aicp_status status =
        aicp_price_table_parse(prices_json, sizeof prices_json - 1, &options, &table, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && table == NULL;
    }
    bool ok = aicp_price_table_count(table) == 2;
    aicp_price_table_free(table);
    return ok;
}

Test(nomem, price_table_parses_whole_or_not_at_all) {
    cr_assert_gt(test_every_allocation_failing(parse_prices, NULL), 2);
}

static bool count_body(void *user, const aicp_allocator *a) {
    const aicp_price *price = user;
    aicp_cost_request *request = NULL;
    aicp_cost_quote quote;
    aicp_error err;
    aicp_status status = aicp_cost_request_new(a, &request, &err);
    if (status == AICP_OK) {
        status = aicp_cost_request_parse(request, body, sizeof body - 1, &err);
    }
    bool ok = true;
    if (status == AICP_OK) {
        status = aicp_cost_estimate(request, price, NULL, &quote, &err);
        ok = status != AICP_OK || (quote.input.tokens > 10 && quote.cost_max_nano > 1000000);
    }
    aicp_cost_request_free(request);
    return ok && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

Test(nomem, estimate_is_whole_or_an_error) {
    aicp_price_table *table = NULL;
    const aicp_price *price = NULL;
    cr_assert_eq(
        aicp_price_table_parse(prices_json, sizeof prices_json - 1, NULL, &table, NULL), AICP_OK);
    cr_assert_eq(aicp_price_table_find(table, "gpt-4o", 6, &price, NULL), AICP_OK);
    cr_assert_gt(test_every_allocation_failing(count_body, (void *)(uintptr_t)price), 2);
    aicp_price_table_free(table);
}

static bool use_tokenizer(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_tokenizer *tokenizer = NULL;
    aicp_buf ids = AICP_BUF_INIT;
    aicp_error err;
    aicp_status status = aicp_tokenizer_open("o200k_base", 10, a, &tokenizer, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && tokenizer == NULL;
    }
    status = aicp_tokenizer_encode(tokenizer, "hello world", 11, 0, &ids, &err);
    bool ok = status == AICP_OK ? ids.len == 8 : status == AICP_ERR_NOMEM && ids.data == NULL;
    aicp_buf_free(&ids);
    aicp_tokenizer_free(tokenizer);
    return ok;
}

Test(nomem, tokenizer_encodes_or_says_why_not) {
    cr_assert_gt(test_every_allocation_failing(use_tokenizer, NULL), 1);
}
