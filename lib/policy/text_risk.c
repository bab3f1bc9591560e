/* Texts that are not what they look like, after Unicode Technical Standard 39. */
#include "lib/policy/unicode_scripts.h"
#include "lib/policy/validate.h"

#include "lib/base/text.h"

/* Embeddings, overrides and isolates: a text with them may read in another order than it is. */
static bool turns_direction(uint32_t scalar) {
    return (scalar >= 0x202A && scalar <= 0x202E) || (scalar >= 0x2066 && scalar <= 0x2069);
}

static uint32_t run_of(uint32_t scalar) {
    size_t low = 0;
    size_t high = aicpi_policy_script_run_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (aicpi_policy_script_runs[middle] >> 11 <= scalar) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return aicpi_policy_script_runs[low];
}

static bool fit_for_identifiers(uint32_t scalar, uint32_t run) {
    bool ascii = scalar >= ' ' && scalar <= '~';
    return ascii || (run & 1u);
}

int32_t aicpi_policy_text_risk(aicpi_slice text, bool identifier, uint32_t *odd) {
    uint64_t scripts[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    bool confusable = false;
    for (size_t at = 0; at < text.len;) {
        uint32_t scalar = 0;
        size_t step = aicpi_utf8_decode(text.data + at, text.len - at, &scalar);
        at += step ? step : 1;
        if (turns_direction(scalar)) {
            return identifier ? AICP_POLICY_FINDING_BIDI_IDENTIFIER
                              : AICP_POLICY_FINDING_BIDI_STRING;
        }
        uint32_t run = run_of(scalar);
        const uint64_t *set = aicpi_policy_script_sets[run >> 1 & 0x3FFu];
        for (size_t i = 0; i < 3; i++) {
            scripts[i] &= set[i];
        }
        if (identifier && !confusable && !fit_for_identifiers(scalar, run)) {
            confusable = true;
            *odd = scalar;
        }
    }
    if (confusable) {
        return AICP_POLICY_FINDING_CONFUSABLE_IDENTIFIER;
    }
    if (scripts[0] | scripts[1] | scripts[2]) {
        return 0;
    }
    return identifier ? AICP_POLICY_FINDING_MIXED_IDENTIFIER : AICP_POLICY_FINDING_MIXED_STRING;
}
