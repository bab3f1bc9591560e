/* Names of the price map: which key means what. */
#include "lib/cost/price_internal.h"

#include "lib/base/text.h"

typedef struct key_name {
    const char *name;
    aicpi_rate rate;
} key_name;

static const key_name rates[] = {
    {"input_cost_per_token", AICPI_RATE_INPUT},
    {"output_cost_per_token", AICPI_RATE_OUTPUT},
    {"cache_read_input_token_cost", AICPI_RATE_CACHE_READ},
    {"cache_creation_input_token_cost", AICPI_RATE_CACHE_WRITE},
    {"cache_creation_input_token_cost_above_1hr", AICPI_RATE_CACHE_WRITE_1H},
    {"output_cost_per_reasoning_token", AICPI_RATE_REASONING},
    {"input_cost_per_audio_token", AICPI_RATE_INPUT_AUDIO},
    {"input_cost_per_image_token", AICPI_RATE_INPUT_IMAGE},
    {"input_cost_per_video_token", AICPI_RATE_INPUT_VIDEO},
    {"output_cost_per_audio_token", AICPI_RATE_OUTPUT_AUDIO},
    {"output_cost_per_image_token", AICPI_RATE_OUTPUT_IMAGE},
    {"input_cost_per_character", AICPI_RATE_INPUT_CHARACTER},
    {"output_cost_per_character", AICPI_RATE_OUTPUT_CHARACTER},
    {"input_cost_per_second", AICPI_RATE_INPUT_SECOND},
    {"output_cost_per_second", AICPI_RATE_OUTPUT_SECOND},
    {"input_cost_per_query", AICPI_RATE_QUERY},
    {"search_context_size_medium", AICPI_RATE_SEARCH},
    {"ocr_cost_per_page", AICPI_RATE_PAGE},
    {"input_cost_per_image", AICPI_RATE_INPUT_PICTURE},
    {"output_cost_per_image", AICPI_RATE_OUTPUT_PICTURE},
    {"output_cost_per_pixel", AICPI_RATE_OUTPUT_PIXEL},
    {"regional_processing_uplift_multiplier_eu", AICPI_RATE_UPLIFT_EU},
    {"regional_processing_uplift_multiplier_us", AICPI_RATE_UPLIFT_US},
    {"regional_endpoint_uplift_multiplier", AICPI_RATE_UPLIFT_ENDPOINT},
    {"fast", AICPI_RATE_UPLIFT_FAST},
    {"us", AICPI_RATE_UPLIFT_GEO_US},
};

typedef struct tier_suffix {
    const char *suffix;
    int32_t tier;
} tier_suffix;

static const tier_suffix suffixes[] = {
    {"_priority", AICP_TIER_PRIORITY},
    {"_flex", AICP_TIER_FLEX},
    {"_batches", AICP_TIER_BATCH},
    {"_balanced", AICP_TIER_BALANCED},
    {"_ultrafast", AICP_TIER_ULTRAFAST},
};

static bool drop_suffix(aicpi_slice *name, const char *suffix) {
    size_t n = strlen(suffix);
    if (name->len <= n || memcmp(name->data + name->len - n, suffix, n) != 0) {
        return false;
    }
    name->len -= n;
    return true;
}

static void drop_tier(aicpi_slice *name, int32_t *tier) {
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (drop_suffix(name, suffixes[i].suffix)) {
            *tier = suffixes[i].tier;
            return;
        }
    }
}

/* "..._above_200k_tokens" or "..._above_128_tokens". */
static void drop_threshold(aicpi_slice *name, int64_t *above) {
    static const char mark[] = "_above_";
    aicpi_slice rest = *name;
    if (!drop_suffix(&rest, "_tokens")) {
        return;
    }
    size_t digits_end = rest.len;
    bool thousands = rest.len > 0 && rest.data[rest.len - 1] == 'k';
    digits_end -= thousands;
    size_t digits = digits_end;
    while (digits > 0 && aicpi_is_digit(rest.data[digits - 1])) {
        digits--;
    }
    uint64_t value;
    const size_t n = sizeof mark - 1;
    if (digits < n || memcmp(rest.data + digits - n, mark, n) != 0 ||
        !aicpi_parse_u64(aicpi_slice_of(rest.data + digits, digits_end - digits), &value) ||
        value == 0 || value > 1000000000) {
        return;
    }
    *above = (int64_t)value * (thousands ? 1000 : 1);
    name->len = digits - n;
}

aicpi_price_key aicpi_price_key_parse(aicpi_slice name) {
    aicpi_price_key key = {AICPI_RATE_NONE, AICP_TIER_STANDARD, 0};
    drop_tier(&name, &key.tier);
    drop_threshold(&name, &key.above_tokens);
    if (key.tier == AICP_TIER_STANDARD) { /* some keys have the tier before the threshold */
        drop_tier(&name, &key.tier);
    }
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        if (aicpi_slice_is(name, rates[i].name)) {
            key.rate = rates[i].rate;
            return key;
        }
    }
    return key;
}
