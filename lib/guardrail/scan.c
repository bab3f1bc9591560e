/* Public face of scans: options, the result and its getters. */
#include "lib/guardrail/guardrail_internal.h"

#define TEXT_MAX ((size_t)1 << 31)

void aicp_guard_options_init(aicp_guard_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

void aicp_guard_scan_options_init(aicp_guard_scan_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

const char *aicp_guard_action_name(int32_t action) {
    static const char *const names[] = {
        "none", "log", "flag", "hash", "anonymize", "mask", "block"};
    return action >= 0 && action <= AICP_GUARD_BLOCK ? names[action] : "unknown";
}

const char *aicp_guard_category_name(int32_t category) {
    static const char *const names[] = {
        "pii", "secrets", "prompt_injection", "invisible_text", "custom"};
    return category >= 0 && category < AICP_GUARD_CATEGORY_COUNT ? names[category] : "unknown";
}

aicp_status
aicp_guard_result_new(const aicp_guard_options *options, aicp_guard_result **out, aicp_error *err) {
    *out = NULL;
    aicp_guard_options own;
    aicp_status status = aicpi_options_copy(&own, sizeof own, options, "aicp_guard_options", err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(own.allocator);
    aicp_guard_result *r = aicpi_calloc(&a, 1, sizeof *r);
    if (!r) {
        return aicpi_nomem(err);
    }
    r->allocator = a;
    aicpi_strbuf_init(&r->out, &r->allocator, TEXT_MAX);
    if (aicpi_guard_matcher_new(&r->allocator, &r->matcher) != AICP_OK) {
        aicp_guard_result_free(r);
        return aicpi_nomem(err);
    }
    *out = r;
    return AICP_OK;
}

void aicp_guard_result_free(aicp_guard_result *result) {
    if (!result) {
        return;
    }
    aicp_allocator a = result->allocator;
    aicpi_guard_matcher_free(&a, result->matcher);
    aicpi_guard_norm_deinit(&a, &result->norm);
    aicpi_guard_norm_deinit(&a, &result->words);
    for (size_t i = 0; i < AICPI_GUARD_DEPTH; i++) {
        aicpi_guard_norm_deinit(&a, &result->inner[i]);
        if (result->decoded[i]) {
            aicpi_wipe(result->decoded[i], AICPI_GUARD_PIECE);
        }
        aicpi_free(&a, result->decoded[i]);
    }
    aicpi_free(&a, result->cells);
    aicpi_free(&a, result->pending);
    aicpi_free(&a, result->findings);
    if (result->out.data) {
        aicpi_wipe(result->out.data, result->out.len);
    }
    aicpi_strbuf_deinit(&result->out);
    aicpi_free(&a, result);
}

aicp_status aicpi_guard_read_options(
    aicp_guard_scan_options *own, const aicp_guard_scan_options *options, aicp_error *err) {
    aicp_status status =
        aicpi_options_copy(own, sizeof *own, options, "aicp_guard_scan_options", err);
    if (status != AICP_OK) {
        return status;
    }
    if (own->direction != AICP_GUARD_INPUT && own->direction != AICP_GUARD_OUTPUT) {
        return aicpi_fail(err, AICP_ERR_INVALID, "guard: unknown direction %d", own->direction);
    }
    if (own->source < AICP_GUARD_USER || own->source > AICP_GUARD_SYSTEM) {
        return aicpi_fail(err, AICP_ERR_INVALID, "guard: unknown source %d", own->source);
    }
    return AICP_OK;
}

/* First byte of a character at or before `offset`. */
static size_t char_border(const char *data, size_t offset) {
    size_t back = 0;
    while (back < 3 && offset > back && ((unsigned char)data[offset - back] & 0xc0) == 0x80) {
        back++;
    }
    return offset - back;
}

/* A text over the limit: its head, then its tail; what is between goes through unseen. */
static void scan_ends(aicp_guard_result *r, const char *data, size_t len) {
    const aicp_guard_profile *p = r->profile;
    size_t half = p->max_bytes / 2;
    size_t head = char_border(data, half);
    size_t tail = char_border(data, len - half);
    r->truncated = true;
    aicpi_guard_advance(r, data, head, 0, true);
    aicpi_guard_skip_to(r, tail);
    aicpi_guard_advance(r, data, len, 0, true);
    r->bytes = head + (len - tail);
    int32_t action = p->monitor ? AICP_GUARD_LOG : p->on_truncate;
    if (action > r->action) {
        r->action = action;
        snprintf(r->reason, sizeof r->reason, "text longer than %zu bytes", p->max_bytes);
    }
}

aicp_status aicp_guard_scan(
    const aicp_guard_profile *profile,
    const char *data,
    size_t len,
    const aicp_guard_scan_options *options,
    aicp_guard_result *result,
    aicp_error *err) {
    aicp_guard_scan_options own;
    aicp_status status = aicpi_guard_read_options(&own, options, err);
    if (status != AICP_OK) {
        own = (aicp_guard_scan_options)AICP_GUARD_SCAN_OPTIONS_INIT;
        aicpi_guard_begin(result, profile, &own, false);
        result->action = AICP_GUARD_BLOCK;
        return status;
    }
    aicpi_guard_begin(result, profile, &own, false);
    if (len > profile->max_bytes && result->enabled) {
        scan_ends(result, data, len);
    } else {
        aicpi_guard_advance(result, data, len, 0, true);
    }
    aicpi_guard_conclude(result);
    result->data = NULL;
    result->profile = NULL;
    result->session = NULL;
    return result->error == AICP_ERR_NOMEM ? aicpi_nomem(err) : AICP_OK;
}

/* ---- getters
 * --------------------------------------------------------------------------------------- */

int32_t aicp_guard_result_action(const aicp_guard_result *result) {
    return result->action;
}

double aicp_guard_result_risk(const aicp_guard_result *result) {
    return aicpi_guard_risk(result->risks);
}

double aicp_guard_result_score(const aicp_guard_result *result, int32_t category) {
    return category >= 0 && category < AICP_GUARD_CATEGORY_COUNT ? result->scores[category] : 0.0;
}

size_t aicp_guard_result_finding_count(const aicp_guard_result *result) {
    return result->finding_count;
}

const aicp_guard_finding *aicp_guard_result_finding(const aicp_guard_result *result, size_t index) {
    return index < result->finding_count ? &result->findings[index] : NULL;
}

uint64_t aicp_guard_result_match_count(const aicp_guard_result *result) {
    return result->matches;
}

int32_t aicp_guard_result_rewritten(const aicp_guard_result *result) {
    return result->rewritten && !result->keep && result->action != AICP_GUARD_BLOCK;
}

const char *aicp_guard_result_text(const aicp_guard_result *result, size_t *len) {
    if (!aicp_guard_result_rewritten(result)) {
        *len = 0;
        return NULL;
    }
    *len = result->out.len;
    return result->out.len ? result->out.data : "";
}

aicp_status aicp_guard_result_error(const aicp_guard_result *result) {
    return result->error;
}

int32_t aicp_guard_result_truncated(const aicp_guard_result *result) {
    return result->truncated;
}

uint64_t aicp_guard_result_bytes(const aicp_guard_result *result) {
    return result->bytes;
}

const char *aicp_guard_result_reason(const aicp_guard_result *result) {
    return result->reason;
}
