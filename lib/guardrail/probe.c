/* What detectors call: reports, patterns, context words, and the common checks. */
#include "lib/guardrail/guardrail_internal.h"

#include <math.h>

static bool is_allowed(const aicpi_guard_probe *probe, size_t start, size_t end) {
    const aicp_guard_profile *profile = probe->result->profile;
    aicpi_slice value = {probe->data + start, end - start};
    char lower[AICPI_GUARD_REACH + AICPI_GUARD_BACK];
    if (profile->allow.count > 0 && value.len <= sizeof lower) {
        for (size_t i = 0; i < value.len; i++) {
            lower[i] = aicpi_lower(value.data[i]);
        }
        if (aicpi_map_find(&profile->allow, lower, value.len)) {
            return true;
        }
    }
    for (size_t i = 0; i < profile->allow_pattern_count; i++) {
        aicpi_guard_groups groups;
        int rc = aicpi_guard_pattern_match(
            profile->allow_patterns[i], probe->result->matcher, value, 0, &groups);
        if (rc < 0) {
            aicpi_guard_note_error(probe->result, AICP_ERR_LIMIT);
        }
        if (rc > 0) {
            return true;
        }
    }
    return false;
}

void aicpi_guard_report(
    aicpi_guard_probe *probe,
    uint16_t rule,
    size_t start,
    size_t end,
    double score,
    bool validated) {
    aicp_guard_result *r = probe->result;
    uint16_t global = (uint16_t)(probe->rule_base + rule);
    const aicpi_guard_setting *setting = &r->profile->settings[global];
    if (!setting->enabled || end <= start || end > probe->len) {
        return;
    }
    int32_t category = aicp_guard_rule_at(global)->category;
    score = validated || score > 1.0 ? 1.0 : score;
    if (category == AICP_GUARD_PII && is_allowed(probe, start, end)) {
        return;
    }
    if (score > r->scores[category]) {
        r->scores[category] = score;
    }
    if (score < setting->threshold) {
        return;
    }
    aicpi_guard_candidate c = {
        .start = probe->decoded ? probe->span_start.byte : probe->base + start,
        .end = probe->decoded ? probe->span_end.byte : probe->base + end,
        .score = score,
        .rule = global,
        .validated = validated,
        .decoded = probe->decoded,
    };
    aicpi_guard_add(r, &c);
}

bool aicpi_guard_match(aicpi_guard_probe *probe, uint16_t rule, aicpi_guard_groups *groups) {
    aicp_guard_result *r = probe->result;
    const aicpi_guard_pattern *pattern = r->profile->patterns[probe->rule_base + rule];
    if (!pattern || aicpi_guard_check_time(r)) {
        return false;
    }
    aicpi_slice text = {probe->data, probe->len};
    int rc = aicpi_guard_pattern_match(pattern, r->matcher, text, probe->anchor, groups);
    if (rc < 0) {
        aicpi_guard_note_error(r, AICP_ERR_LIMIT);
    }
    return rc > 0;
}

/* ---- context words ------------------------------------------------------------------------------
 */

static bool is_letter(char c) {
    return aicpi_is_alpha(c) || (unsigned char)c >= 0x80;
}

static bool in_words(const char *words, const char *data, size_t len) {
    char key[44];
    if (len == 0 || len > sizeof key - 3) {
        return false;
    }
    key[0] = '|';
    for (size_t i = 0; i < len; i++) {
        key[i + 1] = aicpi_lower(data[i]);
    }
    key[len + 1] = '|';
    key[len + 2] = '\0';
    return strstr(words, key) != NULL;
}

/* A change from small to capital letter begins a word: "phoneNumber". */
static bool is_camel_border(const char *p) {
    return p[0] >= 'a' && p[0] <= 'z' && p[1] >= 'A' && p[1] <= 'Z';
}

static bool words_before(const char *data, size_t start, const char *words) {
    size_t least = start > AICPI_GUARD_CONTEXT_BEFORE ? start - AICPI_GUARD_CONTEXT_BEFORE : 0;
    size_t i = start;
    for (int seen = 0; seen < 5; seen++) {
        while (i > least && !is_letter(data[i - 1])) {
            i--;
        }
        size_t end = i;
        while (i > least && is_letter(data[i - 1])) {
            i--;
            if (i > least && is_camel_border(data + i - 1)) {
                break;
            }
        }
        if (i == end) {
            return false;
        }
        if (in_words(words, data + i, end - i)) {
            return true;
        }
    }
    return false;
}

static bool words_after(const char *data, size_t len, size_t end, const char *words) {
    size_t most = len - end > AICPI_GUARD_CONTEXT_AFTER ? end + AICPI_GUARD_CONTEXT_AFTER : len;
    size_t i = end;
    for (int seen = 0; seen < 2; seen++) {
        while (i < most && !is_letter(data[i])) {
            /* What stands on the next line or behind a full stop is about something else. */
            if (data[i] == '\n' || data[i] == '.' || data[i] == ';' || data[i] == '|') {
                return false;
            }
            i++;
        }
        size_t start = i;
        while (i < most && is_letter(data[i])) {
            i++;
        }
        if (i == start || in_words(words, data + start, i - start)) {
            return i > start;
        }
    }
    return false;
}

bool aicpi_guard_has_context(
    const aicpi_guard_probe *probe, size_t start, size_t end, const char *words) {
    return words_before(probe->data, start, words) ||
           words_after(probe->data, probe->len, end, words);
}

double aicpi_guard_context(
    const aicpi_guard_probe *probe, size_t start, size_t end, const char *words, double score) {
    if (!aicpi_guard_has_context(probe, start, end, words)) {
        return score;
    }
    score += 0.35;
    return score < 0.40 ? 0.40 : score > 1.0 ? 1.0 : score;
}

/* ---- numbers
 * -------------------------------------------------------------------------------------- */

int aicpi_guard_digit(const char *data, size_t len, size_t *width) {
    const unsigned char *p = (const unsigned char *)data;
    *width = 1;
    if (len > 0 && p[0] >= '0' && p[0] <= '9') {
        return p[0] - '0';
    }
    if (len >= 2 && ((p[0] == 0xd9 && p[1] >= 0xa0 && p[1] <= 0xa9) ||
                     (p[0] == 0xdb && p[1] >= 0xb0 && p[1] <= 0xb9))) {
        *width = 2;
        return p[1] & 0x0f;
    }
    if (len >= 3 && p[0] == 0xef && p[1] == 0xbc && p[2] >= 0x90 && p[2] <= 0x99) {
        *width = 3;
        return p[2] & 0x0f;
    }
    return -1;
}

/* Separator between groups at data[0]: its bytes, 0 when there is none; *kind names it. Two
 * characters at most: one of "-./ " or a blank and a bracket. */
static size_t read_separator(const char *data, size_t len, char *kind) {
    size_t n = 0;
    *kind = 0;
    while (n < len && n < 3) {
        char c = data[n];
        size_t width = 1;
        if (c == '\xc2' && n + 1 < len && data[n + 1] == '\xa0') {
            c = ' ';
            width = 2;
        }
        if (c == '(' || c == ')') {
            *kind = ')';
        } else if ((c == ' ' || c == '-' || c == '.' || c == '/') && (*kind == 0 || *kind == ')')) {
            *kind = *kind ? ')' : c;
        } else if ((c == '-' || c == '(') && *kind == ' ') {
            *kind = ')';
        } else {
            break;
        }
        n += width;
    }
    return n <= 3 ? n : 0;
}

bool aicpi_guard_read_number(const char *data, size_t len, aicpi_guard_number *out) {
    memset(out, 0, sizeof *out);
    size_t i = 0;
    while (out->count < sizeof out->digit) {
        size_t width = 0;
        int digit = aicpi_guard_digit(data + i, len - i, &width);
        if (digit >= 0) {
            out->digit[out->count] = (uint8_t)digit;
            out->at[out->count] = (uint16_t)i;
            i += width;
            out->end[out->count] = (uint16_t)i;
            out->group[out->count] = out->groups;
            out->group_len[out->groups]++;
            out->count++;
            continue;
        }
        char kind = 0;
        size_t skip =
            out->groups + 1u < sizeof out->group_len ? read_separator(data + i, len - i, &kind) : 0;
        if (skip == 0 || aicpi_guard_digit(data + i + skip, len - i - skip, &width) < 0) {
            out->stop = i + skip;
            out->groups++;
            /* The next three bytes decide whether a separator or digit follows. */
            return i + skip + 3 <= len;
        }
        i += skip;
        out->separator[++out->groups] = kind;
    }
    out->stop = i;
    out->groups++;
    return true;
}

bool aicpi_guard_luhn(const uint8_t *digits, size_t count) {
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned d = digits[count - 1 - i];
        if (i % 2 == 1) {
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        }
        sum += d;
    }
    return sum % 10 == 0;
}

/* ---- words
 * ----------------------------------------------------------------------------------------- */

bool aicpi_guard_is_word(char c) {
    return aicpi_is_alnum(c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t reach_of_word(const char *data, size_t len, size_t most) {
    size_t i = 1;
    while (i < len && i < most && (unsigned char)data[i] > ' ') {
        i++;
    }
    if (i == len && i < most) {
        return len + 1;
    }
    return i + AICPI_GUARD_CONTEXT_AFTER + 1;
}

size_t aicpi_guard_word_reach(const char *data, size_t len) {
    return reach_of_word(data, len, AICPI_GUARD_REACH - AICPI_GUARD_CONTEXT_AFTER - 1);
}

/* ---- values
 * ------------------------------------------------------------------------------------------ */

double aicpi_guard_entropy(const char *data, size_t len) {
    uint32_t count[256] = {0};
    for (size_t i = 0; i < len; i++) {
        count[(unsigned char)data[i]]++;
    }
    double bits = 0;
    for (size_t i = 0; i < 256; i++) {
        if (count[i]) {
            double p = (double)count[i] / (double)len;
            bits -= p * log2(p);
        }
    }
    return bits;
}

static bool contains_nocase(const char *data, size_t len, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; n <= len && i <= len - n; i++) {
        size_t k = 0;
        while (k < n && aicpi_lower(data[i + k]) == word[k]) {
            k++;
        }
        if (k == n) {
            return true;
        }
    }
    return false;
}

/* Six or more of one character, or of a sequence such as 123456 or abcdef. */
static bool has_run(const char *data, size_t len) {
    size_t same = 1;
    size_t up = 1;
    for (size_t i = 1; i < len; i++) {
        same = data[i] == data[i - 1] ? same + 1 : 1;
        up = aicpi_is_alnum(data[i]) && data[i] == data[i - 1] + 1 ? up + 1 : 1;
        if (same >= 6 || up >= 6) {
            return true;
        }
    }
    return false;
}

bool aicpi_guard_is_dummy(const char *data, size_t len) {
    static const char *const words[] = {
        "example",
        "placeholder",
        "changeme",
        "your",
        "dummy",
        "redacted",
        "xxxx",
        "****",
        "sample"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (contains_nocase(data, len, words[i])) {
            return true;
        }
    }
    return has_run(data, len);
}
