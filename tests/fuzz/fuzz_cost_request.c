/* Any request body or usage object: refused with a place, or counted and priced within its range.
 */
#include "aicp/cost.h"

#include <stdlib.h>
#include <string.h>

static const char map[] = "{\"m\":{\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6}}";

static void quote(aicp_cost_request *request, const aicp_price *price, const char *model) {
    aicp_cost_quote q;
    aicp_error err = {0};
    if (model != NULL) {
        aicp_cost_request_set_model(request, model, strlen(model));
    }
    aicp_status status = aicp_cost_estimate(request, price, NULL, &q, &err);
    if (status == AICP_OK && (q.input.low > q.input.tokens || q.input.tokens > q.input.high ||
                              q.input.low < 0 || q.cost_expected_nano > q.cost_max_nano)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    aicp_price_table *table = NULL;
    aicp_cost_request *request = NULL;
    const aicp_price *price = NULL;
    aicp_usage usage = AICP_USAGE_INIT;
    aicp_error err = {0};
    if (aicp_price_table_parse(map, sizeof map - 1, NULL, &table, NULL) != AICP_OK ||
        aicp_price_table_find(table, "m", 1, &price, NULL) != AICP_OK ||
        aicp_cost_request_new(NULL, &request, NULL) != AICP_OK) {
        abort();
    }
    if (aicp_cost_request_parse(request, text, size, &err) == AICP_OK) {
        quote(request, price, NULL);
        quote(request, price, "claude-opus-5");
        quote(request, price, "gemini-2.5-pro");
    } else if (err.code == AICP_OK) {
        abort();
    }
    if (aicp_usage_parse(text, size, &usage, &err) == AICP_OK && usage.prompt_tokens < 0) {
        abort();
    }
    aicp_cost_request_free(request);
    aicp_price_table_free(table);
    return 0;
}
