/* The charge for a usage: exact products, one rounding. */
#include "lib/cost/price_internal.h"

#include "lib/base/decimal.h"
#include "lib/base/error.h"

#define NANO_DIGITS 9
#define ROUND_DIGITS (AICPI_PRICE_SCALE - NANO_DIGITS)

static const char *const part_names[AICP_PART_COUNT] = {
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "input_image",
    "input_video",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
    "other",
};

const char *aicp_cost_part_name(int32_t part) {
    return part >= 0 && part < AICP_PART_COUNT ? part_names[part] : "";
}

void aicp_cost_options_init(aicp_cost_options *options, size_t size) {
    if (options != NULL && size >= sizeof options->size) {
        memset(options, 0, size);
        options->size = size;
    }
}

/* A sum in 1e-15 USD per row; a multiplier makes it finer by another 15 digits. */
typedef struct bill {
    const aicpi_rate_context *rates;
    aicp_cost *cost;
    aicp_error *err;
    aicpi_int128 exact[AICP_PART_COUNT];
    aicp_status status;
} bill;

static int64_t at_least_0(int64_t x) {
    return x > 0 ? x : 0;
}

static int64_t smaller(int64_t x, int64_t y) {
    return x < y ? x : y;
}

static void
add_units(bill *b, int32_t part, aicpi_rate rate, int64_t units, int64_t units_per_price) {
    int64_t femto = 0;
    if (units == 0 || b->status != AICP_OK) {
        return;
    }
    if (!aicpi_rate_find(b->rates, rate, &femto)) {
        b->status = aicpi_fail(
            b->err,
            AICP_ERR_UNKNOWN_PRICE,
            "%s has no price for %s",
            b->rates->price->key,
            part_names[part]);
        return;
    }
    b->exact[part] += (aicpi_int128)femto * units / units_per_price;
    b->cost->quantity[part] += part != AICP_PART_OTHER ? units : 0;
    b->cost->price_femto[part] = part != AICP_PART_OTHER ? femto : 0;
}

static bool has_rate(const bill *b, aicpi_rate rate) {
    int64_t femto;
    return aicpi_rate_find(b->rates, rate, &femto);
}

/* Details may overlap in what providers report: what the cache covers is not billed again, and
 * audio, image, video are cut in this order. */
static void bill_input(bill *b, const aicp_usage *u) {
    int64_t writes = u->cache_write_tokens + u->cache_write_1h_tokens;
    int64_t left = at_least_0(u->prompt_tokens - u->cache_read_tokens - writes);
    int64_t audio = smaller(u->prompt_audio_tokens, left);
    int64_t image = smaller(u->prompt_image_tokens, left - audio);
    int64_t video = smaller(u->prompt_video_tokens, left - audio - image);
    int64_t text = left - audio - image - video;
    if (u->prompt_characters > 0 && has_rate(b, AICPI_RATE_INPUT_CHARACTER)) {
        add_units(b, AICP_PART_INPUT, AICPI_RATE_INPUT_CHARACTER, u->prompt_characters, 1);
    } else {
        add_units(b, AICP_PART_INPUT, AICPI_RATE_INPUT, text, 1);
    }
    add_units(b, AICP_PART_CACHE_READ, AICPI_RATE_CACHE_READ, u->cache_read_tokens, 1);
    add_units(b, AICP_PART_CACHE_WRITE, AICPI_RATE_CACHE_WRITE, u->cache_write_tokens, 1);
    add_units(b, AICP_PART_CACHE_WRITE_1H, AICPI_RATE_CACHE_WRITE_1H, u->cache_write_1h_tokens, 1);
    add_units(b, AICP_PART_INPUT_AUDIO, AICPI_RATE_INPUT_AUDIO, audio, 1);
    if (u->input_images == 0 || !has_rate(b, AICPI_RATE_INPUT_PICTURE)) {
        add_units(b, AICP_PART_INPUT_IMAGE, AICPI_RATE_INPUT_IMAGE, image, 1);
    }
    add_units(b, AICP_PART_INPUT_VIDEO, AICPI_RATE_INPUT_VIDEO, video, 1);
}

static void bill_output(bill *b, const aicp_usage *u) {
    int64_t text = at_least_0(
        u->completion_tokens - u->reasoning_tokens - u->completion_audio_tokens -
        u->completion_image_tokens);
    if (u->completion_characters > 0 && has_rate(b, AICPI_RATE_OUTPUT_CHARACTER)) {
        add_units(b, AICP_PART_OUTPUT, AICPI_RATE_OUTPUT_CHARACTER, u->completion_characters, 1);
    } else {
        add_units(b, AICP_PART_OUTPUT, AICPI_RATE_OUTPUT, text, 1);
    }
    add_units(b, AICP_PART_REASONING, AICPI_RATE_REASONING, u->reasoning_tokens, 1);
    add_units(b, AICP_PART_OUTPUT_AUDIO, AICPI_RATE_OUTPUT_AUDIO, u->completion_audio_tokens, 1);
    add_units(b, AICP_PART_OUTPUT_IMAGE, AICPI_RATE_OUTPUT_IMAGE, u->completion_image_tokens, 1);
}

static void bill_other(bill *b, const aicp_usage *u) {
    bool query = has_rate(b, AICPI_RATE_QUERY);
    const int32_t part = AICP_PART_OTHER;
    add_units(b, part, query ? AICPI_RATE_QUERY : AICPI_RATE_SEARCH, u->queries, 1);
    add_units(b, part, AICPI_RATE_PAGE, u->pages, 1);
    add_units(b, part, AICPI_RATE_INPUT_SECOND, u->input_milliseconds, 1000);
    add_units(b, part, AICPI_RATE_OUTPUT_SECOND, u->output_milliseconds, 1000);
    if (has_rate(b, AICPI_RATE_INPUT_PICTURE)) {
        add_units(b, part, AICPI_RATE_INPUT_PICTURE, u->input_images, 1);
    }
    if (u->completion_image_tokens == 0) {
        add_units(b, part, AICPI_RATE_OUTPUT_PICTURE, u->output_images, 1);
    }
    add_units(b, part, AICPI_RATE_OUTPUT_PIXEL, u->output_pixels, 1);
}

/* ---- multiplier and rounding ---- */

/* Multiplies every row; the result has `*digits` digits more than nano-dollars. */
static bool apply_uplift(bill *b, int32_t uplift, uint32_t *digits) {
    int64_t factor; /* scale 15 */
    *digits = ROUND_DIGITS;
    if (uplift == AICP_UPLIFT_NONE ||
        !aicpi_rate_find(b->rates, aicpi_rate_of_uplift(uplift), &factor)) {
        return true; /* a model without the multiplier costs the same everywhere */
    }
    *digits = ROUND_DIGITS + AICPI_PRICE_SCALE;
    for (int32_t i = 0; i < AICP_PART_COUNT; i++) {
        if (__builtin_mul_overflow(b->exact[i], (aicpi_int128)factor, &b->exact[i])) {
            return false;
        }
    }
    return true;
}

/* Rounds the total once and shares it out: each row gets its whole nano-dollars, the rest goes to
 * the rows with the largest remainders. */
static bool round_rows(bill *b, uint32_t digits) {
    aicpi_int128 unit = 1;
    aicpi_int128 sum = 0;
    aicpi_int128 rest[AICP_PART_COUNT];
    for (uint32_t i = 0; i < digits; i++) {
        unit *= 10;
    }
    for (int32_t i = 0; i < AICP_PART_COUNT; i++) {
        if (__builtin_add_overflow(sum, b->exact[i], &sum) ||
            !aicpi_int64_from(b->exact[i] / unit, &b->cost->part_nano[i])) {
            return false;
        }
        rest[i] = b->exact[i] % unit;
    }
    if (!aicpi_int64_from(aicpi_decimal_round(sum, digits), &b->cost->total_nano)) {
        return false;
    }
    int64_t missing = b->cost->total_nano;
    for (int32_t i = 0; i < AICP_PART_COUNT; i++) {
        missing -= b->cost->part_nano[i];
    }
    for (; missing > 0; missing--) {
        int32_t best = 0;
        for (int32_t i = 1; i < AICP_PART_COUNT; i++) {
            best = rest[i] > rest[best] ? i : best;
        }
        b->cost->part_nano[best]++;
        rest[best] = 0;
    }
    return true;
}

/* ---- entry ---- */

/* Checked values of caller-owned input: copies the structure and refuses what cannot be. */
static aicp_status copy_usage(aicp_usage *u, const aicp_usage *usage, aicp_error *err) {
    aicp_status status = aicpi_options_copy(u, sizeof *u, usage, "aicp_usage", err);
    if (status != AICP_OK) {
        return status;
    }
    const int64_t most = INT64_C(1) << 50;
    const int64_t counts[] = {
        u->prompt_tokens,
        u->completion_tokens,
        u->cache_read_tokens,
        u->cache_write_tokens,
        u->cache_write_1h_tokens,
        u->prompt_audio_tokens,
        u->prompt_image_tokens,
        u->prompt_video_tokens,
        u->reasoning_tokens,
        u->completion_audio_tokens,
        u->completion_image_tokens,
        u->prompt_characters,
        u->completion_characters,
        u->input_milliseconds,
        u->output_milliseconds,
        u->queries,
        u->pages,
        u->input_images,
        u->output_images,
        u->output_pixels,
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i] < 0 || counts[i] > most) {
            return aicpi_fail(
                err, AICP_ERR_RANGE, "a count of the usage is %lld", (long long)counts[i]);
        }
    }
    return AICP_OK;
}

aicp_status aicpi_cost_options_copy(aicp_cost_options *o, const void *options, aicp_error *err) {
    aicp_status status = aicpi_options_copy(o, sizeof *o, options, "aicp_cost_options", err);
    if (status != AICP_OK) {
        return status;
    }
    if (o->tier < AICP_TIER_STANDARD || o->tier > AICP_TIER_ULTRAFAST) {
        return aicpi_fail(err, AICP_ERR_INVALID, "tier %d is not known", (int)o->tier);
    }
    if (o->uplift < AICP_UPLIFT_NONE || o->uplift > AICP_UPLIFT_GEO_US) {
        return aicpi_fail(err, AICP_ERR_INVALID, "uplift %d is not known", (int)o->uplift);
    }
    return AICP_OK;
}

aicp_status aicp_cost_of_usage(
    const aicp_price *price,
    const aicp_usage *usage,
    const aicp_cost_options *options,
    aicp_cost *cost,
    aicp_error *err) {
    aicp_usage u;
    aicp_cost_options o;
    memset(cost, 0, sizeof *cost);
    aicp_status status = copy_usage(&u, usage, err);
    status = status == AICP_OK ? aicpi_cost_options_copy(&o, options, err) : status;
    if (status != AICP_OK) {
        return status;
    }
    if (price == NULL || !aicp_price_known(price)) {
        return aicpi_fail(
            err,
            AICP_ERR_UNKNOWN_PRICE,
            "no price is known for %s",
            price != NULL ? price->key : "the model");
    }
    aicpi_rate_context rates;
    aicpi_rate_context_init(&rates, price, u.prompt_tokens, o.tier, o.wall_ns);
    bill b = {.rates = &rates, .cost = cost, .err = err};
    bill_input(&b, &u);
    bill_output(&b, &u);
    bill_other(&b, &u);
    uint32_t digits;
    if (b.status == AICP_OK && (!apply_uplift(&b, o.uplift, &digits) || !round_rows(&b, digits))) {
        b.status = aicpi_fail(err, AICP_ERR_RANGE, "the cost does not fit");
    }
    if (b.status != AICP_OK) {
        memset(cost, 0, sizeof *cost);
    }
    return b.status;
}
