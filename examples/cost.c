/* What would this request cost with two models?
 *
 *     cost [PRICES.json]
 *
 * reads LiteLLM's price map (default: the one of this repository) and prints tokens and cost. */
#include <aicp/cost.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef AICP_PRICES
#define AICP_PRICES "data/models/litellm_prices.json"
#endif

static const char body[] =
    "{\"messages\":["
    "{\"role\":\"system\",\"content\":\"You answer in one sentence.\"},"
    "{\"role\":\"user\",\"content\":\"Why is the sky blue, and why is a sunset red?\"}],"
    "\"max_tokens\":200}";

static char *read_file(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    char *data = NULL;
    long size = -1;
    if (f != NULL && fseek(f, 0, SEEK_END) == 0) {
        size = ftell(f);
        rewind(f);
    }
    if (size >= 0) {
        data = malloc((size_t)size + 1);
        *len = data != NULL ? fread(data, 1, (size_t)size, f) : 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    return data;
}

static int
print_quote(const aicp_price_table *table, aicp_cost_request *request, const char *model) {
    const aicp_price *price;
    aicp_cost_quote quote;
    aicp_error err;
    char expected[AICP_MONEY_TEXT_SIZE];
    char most[AICP_MONEY_TEXT_SIZE];
    aicp_cost_request_set_model(request, model, strlen(model));
    if (aicp_price_table_find(table, model, strlen(model), &price, &err) != AICP_OK ||
        aicp_cost_estimate(request, price, NULL, &quote, &err) != AICP_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    aicp_money_format(quote.cost_expected_nano, expected);
    aicp_money_format(quote.cost_max_nano, most);
    printf(
        "%-24s %lld input tokens (%s, at most %lld), about %lld output tokens: "
        "%s USD, at most %s USD\n",
        model,
        (long long)quote.input.tokens,
        aicp_count_quality_name(quote.input.quality),
        (long long)quote.input.high,
        (long long)quote.output_p50,
        expected,
        most);
    return 0;
}

int main(int argc, char **argv) {
    aicp_price_table *table = NULL;
    aicp_cost_request *request = NULL;
    aicp_error err;
    size_t len = 0;
    const char *path = argc > 1 ? argv[1] : AICP_PRICES;
    char *json = read_file(path, &len);
    if (json == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        return 1;
    }
    int bad = 1;
    if (aicp_price_table_parse(json, len, NULL, &table, &err) != AICP_OK ||
        aicp_cost_request_new(NULL, &request, &err) != AICP_OK ||
        aicp_cost_request_parse(request, body, sizeof body - 1, &err) != AICP_OK) {
        fprintf(stderr, "%s\n", err.message);
    } else {
        bad = print_quote(table, request, "gpt-4o-mini") |
              print_quote(table, request, "claude-sonnet-4-5");
    }
    aicp_cost_request_free(request);
    aicp_price_table_free(table);
    free(json);
    return bad;
}
