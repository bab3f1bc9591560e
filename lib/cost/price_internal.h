/* Prices of a model as they are kept: every cost key of the map with its meaning taken apart. */
#ifndef AICPI_COST_PRICE_INTERNAL_H
#define AICPI_COST_PRICE_INTERNAL_H

#include "aicp/cost.h"

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/base/slice.h"
#include "lib/base/thread.h"

#define AICPI_PRICE_SCALE 15 /* prices are integers of 1e-15 USD */

/* What a price is for. The names of the map stand in price_keys.c. */
typedef enum aicpi_rate {
    AICPI_RATE_NONE = 0, /* kept by name only */
    AICPI_RATE_INPUT,
    AICPI_RATE_OUTPUT,
    AICPI_RATE_CACHE_READ,
    AICPI_RATE_CACHE_WRITE,
    AICPI_RATE_CACHE_WRITE_1H,
    AICPI_RATE_REASONING,
    AICPI_RATE_INPUT_AUDIO,
    AICPI_RATE_INPUT_IMAGE,
    AICPI_RATE_INPUT_VIDEO,
    AICPI_RATE_OUTPUT_AUDIO,
    AICPI_RATE_OUTPUT_IMAGE,
    AICPI_RATE_INPUT_CHARACTER,
    AICPI_RATE_OUTPUT_CHARACTER,
    AICPI_RATE_INPUT_SECOND,
    AICPI_RATE_OUTPUT_SECOND,
    AICPI_RATE_QUERY,
    AICPI_RATE_SEARCH,
    AICPI_RATE_PAGE,
    AICPI_RATE_INPUT_PICTURE,
    AICPI_RATE_OUTPUT_PICTURE,
    AICPI_RATE_OUTPUT_PIXEL,
    AICPI_RATE_UPLIFT_EU,
    AICPI_RATE_UPLIFT_US,
    AICPI_RATE_UPLIFT_ENDPOINT,
    AICPI_RATE_UPLIFT_FAST,
    AICPI_RATE_UPLIFT_GEO_US,
    AICPI_RATE_COUNT,
} aicpi_rate;

typedef struct aicpi_price_key {
    aicpi_rate rate;
    int32_t tier;         /* AICP_TIER_..., standard when the key has no suffix */
    int64_t above_tokens; /* 0 = at once */
} aicpi_price_key;

/* Takes a key such as "input_cost_per_token_above_200k_tokens_priority" apart. */
aicpi_price_key aicpi_price_key_parse(aicpi_slice name);

typedef struct aicpi_price_entry {
    aicpi_slice name;
    int64_t femto;
    int64_t above_tokens;
    uint8_t rate;
    uint8_t tier;
} aicpi_price_entry;

/* A step of `tiered_pricing`: holds for all tokens when from < prompt <= to. */
typedef struct aicpi_price_step {
    int64_t from;
    int64_t to;
    aicpi_price_entry *entries;
    size_t count;
} aicpi_price_step;

/* Hours of the day (minutes, start inclusive, end exclusive, may wrap) on some weekdays. */
typedef struct aicpi_price_window {
    int32_t start_minute;
    int32_t end_minute;
    uint32_t weekdays; /* bit 1 = Monday ... bit 7 = Sunday */
} aicpi_price_window;

typedef struct aicpi_price_off_peak {
    aicpi_price_entry *entries;
    size_t count;
    aicpi_price_window *windows;
    size_t window_count;
    int32_t weekday_offset_minutes; /* zone in which weekdays are counted */
} aicpi_price_off_peak;

struct aicp_price {
    const aicp_price_table *table;
    const char *key;
    const char *provider;
    const char *mode;
    const char *deprecation_date;
    int64_t max_input_tokens;
    int64_t max_output_tokens;
    aicpi_price_entry *entries;
    size_t count;
    aicpi_price_step *steps;
    size_t step_count;
    aicpi_price_off_peak *off_peak; /* NULL = none */
    bool inclusive_steps;           /* "above N" means N or more */
    bool reasoning;                 /* supports_reasoning */
};

struct aicp_price_table {
    aicp_allocator allocator;
    aicpi_ref ref;
    aicpi_arena arena; /* every string and array of the prices */
    aicp_price *prices;
    size_t count;
    size_t capacity;
    size_t rounded;
    aicpi_map by_key;    /* key -> index + 1 */
    aicpi_map providers; /* names that stand in litellm_provider */
    aicp_price_table *base;
    aicp_model_list *models;
    int64_t valid_from_ns;
    char version[64];
};

/* What applies to one request. */
typedef struct aicpi_rate_context {
    const aicp_price *price;
    int64_t prompt_tokens;
    int32_t tier;
    int64_t wall_ns; /* 0 = no off-peak price */
    const aicpi_price_step *step;
    const aicpi_price_off_peak *off_peak; /* NULL unless its hours hold now */
} aicpi_rate_context;

void aicpi_rate_context_init(
    aicpi_rate_context *c,
    const aicp_price *price,
    int64_t prompt_tokens,
    int32_t tier,
    int64_t wall_ns);
/* Price of one unit for this request; false = the map has none. */
bool aicpi_rate_find(const aicpi_rate_context *c, aicpi_rate rate, int64_t *femto);

/* The multiplier of an AICP_UPLIFT_... other than none. */
aicpi_rate aicpi_rate_of_uplift(int32_t uplift);
/* Copies and checks caller-owned options. ERR_INVALID. */
aicp_status aicpi_cost_options_copy(aicp_cost_options *o, const void *options, aicp_error *err);

/* For price_table.c: prices of the list that stand on their own (models that cost nothing). */
bool aicpi_model_list_price(
    const aicp_model_list *list, size_t index, aicpi_slice *input, aicpi_slice *output);

#endif
