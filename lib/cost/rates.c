/* Which price applies to a request: steps, tiers, off-peak hours, and what stands in when a price
 * of its own is missing. */
#include "lib/cost/price_internal.h"

#include "lib/base/clock.h"

enum { MINUTES_A_DAY = 24 * 60 };

/* The step for a prompt: from < prompt <= to, above the last one the last; NULL = none, or it has
 * no input price. */
static const aicpi_price_step *step_for(const aicp_price *price, int64_t prompt) {
    const aicpi_price_step *step = NULL;
    if (price->step_count == 0 || prompt <= 0) {
        return NULL;
    }
    step = &price->steps[price->step_count - 1];
    for (size_t i = 0; i < price->step_count; i++) {
        if (price->steps[i].from < prompt && prompt <= price->steps[i].to) {
            step = &price->steps[i];
            break;
        }
    }
    for (size_t i = 0; i < step->count; i++) {
        if (step->entries[i].rate == AICPI_RATE_INPUT) {
            return step;
        }
    }
    return NULL;
}

static bool window_holds(const aicpi_price_window *w, int64_t minute, int64_t weekday) {
    if ((w->weekdays >> weekday & 1) == 0) {
        return false;
    }
    if (w->start_minute == w->end_minute) {
        return true; /* all day */
    }
    if (w->start_minute < w->end_minute) {
        return minute >= w->start_minute && minute < w->end_minute;
    }
    return minute >= w->start_minute || minute < w->end_minute;
}

static bool off_peak_holds(const aicpi_price_off_peak *off, int64_t wall_ns) {
    int64_t minutes = wall_ns / (60 * AICPI_SECOND_NS); /* callers pass times after 1970 */
    int64_t local_days = (minutes + off->weekday_offset_minutes) / MINUTES_A_DAY;
    int64_t weekday = (local_days + 3) % 7 + 1; /* 1970-01-01 was a Thursday = 4 */
    for (size_t i = 0; i < off->window_count; i++) {
        if (window_holds(&off->windows[i], minutes % MINUTES_A_DAY, weekday)) {
            return true;
        }
    }
    return false;
}

void aicpi_rate_context_init(
    aicpi_rate_context *c,
    const aicp_price *price,
    int64_t prompt_tokens,
    int32_t tier,
    int64_t wall_ns) {
    c->price = price;
    c->prompt_tokens = prompt_tokens;
    c->tier = tier;
    c->wall_ns = wall_ns;
    c->step = step_for(price, prompt_tokens);
    c->off_peak = price->off_peak != NULL && wall_ns > 0 && off_peak_holds(price->off_peak, wall_ns)
                      ? price->off_peak
                      : NULL;
}

static bool
flat_entry(const aicpi_price_entry *entries, size_t count, aicpi_rate rate, int64_t *femto) {
    for (size_t i = 0; i < count; i++) {
        if (entries[i].rate == rate) {
            *femto = entries[i].femto;
            return true;
        }
    }
    return false;
}

/* The key with the highest threshold that the prompt passes; at the same threshold the one of the
 * asked tier before the standard one. */
static bool own_entry(const aicpi_rate_context *c, aicpi_rate rate, int32_t tier, int64_t *femto) {
    const aicpi_price_entry *best = NULL;
    for (size_t i = 0; i < c->price->count; i++) {
        const aicpi_price_entry *e = &c->price->entries[i];
        if (e->rate != rate || (e->tier != tier && e->tier != AICP_TIER_STANDARD)) {
            continue;
        }
        bool passed = e->above_tokens == 0 || c->prompt_tokens > e->above_tokens ||
                      (c->price->inclusive_steps && c->prompt_tokens == e->above_tokens);
        if (passed && (best == NULL || e->above_tokens > best->above_tokens ||
                       (e->above_tokens == best->above_tokens && e->tier == tier))) {
            best = e;
        }
    }
    if (best == NULL) {
        return false;
    }
    *femto = best->femto;
    return true;
}

static bool has_own(const aicpi_rate_context *c, aicpi_rate rate, int32_t tier) {
    for (size_t i = 0; i < c->price->count; i++) {
        if (c->price->entries[i].rate == rate && c->price->entries[i].tier == tier) {
            return true;
        }
    }
    return false;
}

static bool token_rate(const aicpi_rate_context *c, aicpi_rate rate, int64_t *femto) {
    if (c->off_peak != NULL && flat_entry(c->off_peak->entries, c->off_peak->count, rate, femto)) {
        return true;
    }
    if (c->step != NULL && rate <= AICPI_RATE_REASONING) {
        if (flat_entry(c->step->entries, c->step->count, rate, femto)) {
            return true;
        }
        return rate == AICPI_RATE_OUTPUT && own_entry(c, rate, AICP_TIER_STANDARD, femto);
    }
    return own_entry(c, rate, c->tier, femto);
}

/* A model that only makes pictures has its price for output in another key. */
static bool output_rate(const aicpi_rate_context *c, int64_t *femto) {
    int64_t image;
    bool found = token_rate(c, AICPI_RATE_OUTPUT, femto);
    if ((!found || *femto == 0) && own_entry(c, AICPI_RATE_OUTPUT_IMAGE, c->tier, &image)) {
        *femto = image;
        return true;
    }
    return found;
}

/* An own output price of the asked tier goes before the standard reasoning price. */
static bool reasoning_rate(const aicpi_rate_context *c, int64_t *femto) {
    bool shadowed = c->step == NULL && c->off_peak == NULL && c->tier != AICP_TIER_STANDARD &&
                    has_own(c, AICPI_RATE_OUTPUT, c->tier) &&
                    !has_own(c, AICPI_RATE_REASONING, c->tier);
    if (!shadowed && token_rate(c, AICPI_RATE_REASONING, femto)) {
        return true;
    }
    return output_rate(c, femto);
}

bool aicpi_rate_find(const aicpi_rate_context *c, aicpi_rate rate, int64_t *femto) {
    switch (rate) {
    case AICPI_RATE_OUTPUT:
        return output_rate(c, femto);
    case AICPI_RATE_REASONING:
        return reasoning_rate(c, femto);
    case AICPI_RATE_CACHE_WRITE_1H:
        return token_rate(c, rate, femto) || token_rate(c, AICPI_RATE_CACHE_WRITE, femto) ||
               token_rate(c, AICPI_RATE_INPUT, femto);
    case AICPI_RATE_CACHE_READ:
    case AICPI_RATE_CACHE_WRITE:
    case AICPI_RATE_INPUT_AUDIO:
    case AICPI_RATE_INPUT_IMAGE:
    case AICPI_RATE_INPUT_VIDEO:
        return token_rate(c, rate, femto) || token_rate(c, AICPI_RATE_INPUT, femto);
    case AICPI_RATE_OUTPUT_AUDIO:
    case AICPI_RATE_OUTPUT_IMAGE:
        return token_rate(c, rate, femto) || output_rate(c, femto);
    default:
        return token_rate(c, rate, femto);
    }
}

aicpi_rate aicpi_rate_of_uplift(int32_t uplift) {
    static const aicpi_rate rates[] = {
        [AICP_UPLIFT_EU] = AICPI_RATE_UPLIFT_EU,
        [AICP_UPLIFT_US] = AICPI_RATE_UPLIFT_US,
        [AICP_UPLIFT_ENDPOINT] = AICPI_RATE_UPLIFT_ENDPOINT,
        [AICP_UPLIFT_FAST] = AICPI_RATE_UPLIFT_FAST,
        [AICP_UPLIFT_GEO_US] = AICPI_RATE_UPLIFT_GEO_US,
    };
    return rates[uplift];
}
