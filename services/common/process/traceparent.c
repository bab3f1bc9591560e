/* The header of W3C Trace Context, https://www.w3.org/TR/trace-context/ level 1. */
#include "services/common/process/process_internal.h"

#include "lib/base/text.h"

#define LENGTH 55 /* "00-" 32 "-" 16 "-" 2 */

/* Lower-case hex only, as the specification says. Sets *is_zero when all digits are 0. */
static bool is_hex(const char *text, size_t len, bool *is_zero) {
    *is_zero = true;
    for (size_t i = 0; i < len; i++) {
        bool letter = text[i] >= 'a' && text[i] <= 'f';
        if (!letter && !aicpi_is_digit(text[i])) {
            return false;
        }
        *is_zero = *is_zero && text[i] == '0';
    }
    return true;
}

bool aicps_traceparent_parse(aicpi_slice text, aicps_traceparent *out) {
    const char *s = text.data;
    bool is_zero = false;
    *out = (aicps_traceparent){0};
    if (text.len < LENGTH || s[2] != '-' || s[35] != '-' || s[52] != '-' ||
        !is_hex(s, 2, &is_zero) || !is_hex(s + 53, 2, &is_zero)) {
        return false;
    }
    bool version_0 = s[0] == '0' && s[1] == '0';
    bool forbidden = s[0] == 'f' && s[1] == 'f';
    /* Later versions may be longer, after another dash. */
    if (forbidden || (version_0 && text.len != LENGTH) || (text.len > LENGTH && s[LENGTH] != '-')) {
        return false;
    }
    if (!is_hex(s + 3, 32, &is_zero) || is_zero || !is_hex(s + 36, 16, &is_zero) || is_zero) {
        return false;
    }
    memcpy(out->trace_id, s + 3, 32);
    memcpy(out->parent_id, s + 36, 16);
    out->sampled = (aicpi_hex_value(s[54]) & 1) != 0;
    return true;
}
