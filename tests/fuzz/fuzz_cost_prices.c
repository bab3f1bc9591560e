/* Any price map: it is refused or every model in it can be charged without breaking. */
#include "aicp/cost.h"

#include <stdlib.h>
#include <string.h>

static void charge(const aicp_price *price, int32_t tier) {
    aicp_usage usage = AICP_USAGE_INIT;
    aicp_cost_options options = AICP_COST_OPTIONS_INIT;
    aicp_cost cost;
    usage.prompt_tokens = 300000;
    usage.completion_tokens = 700;
    usage.cache_read_tokens = 1000;
    usage.cache_write_1h_tokens = 10;
    usage.reasoning_tokens = 100;
    options.tier = tier;
    options.uplift = tier;
    options.wall_ns = INT64_C(1700000000000000000);
    if (aicp_cost_of_usage(price, &usage, &options, &cost, NULL) == AICP_OK) {
        int64_t sum = 0;
        for (int i = 0; i < AICP_PART_COUNT; i++) {
            sum += cost.part_nano[i];
        }
        if (sum != cost.total_nano || cost.total_nano < 0) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_price_table *table = NULL;
    aicp_model_list *models = NULL;
    aicp_error err = {0};
    if (aicp_model_list_parse((const char *)data, size, NULL, &models, &err) == AICP_OK) {
        for (size_t i = 0; i < aicp_model_list_count(models); i++) {
            (void)aicp_model_list_fallback(models, i, 0);
        }
    }
    if (aicp_price_table_parse((const char *)data, size, NULL, &table, &err) == AICP_OK) {
        const aicp_price *price;
        for (size_t i = 0; (price = aicp_price_table_at(table, i)) != NULL; i++) {
            const aicp_price *found;
            const char *key = aicp_price_key(price);
            if (key[0] != '\0' &&
                aicp_price_table_find(table, key, strlen(key), &found, NULL) != AICP_OK) {
                abort();
            }
            for (int32_t tier = AICP_TIER_STANDARD; tier <= AICP_TIER_ULTRAFAST; tier++) {
                charge(price, tier);
            }
        }
    }
    aicp_price_table_free(table);
    aicp_model_list_free(models);
    return 0;
}
