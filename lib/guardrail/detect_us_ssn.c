/* Social security numbers of the United States: rules of the issuing agency, no check digit. */
#include "lib/guardrail/guardrail_internal.h"

static const aicp_guard_rule rules[] = {
    {"us-ssn",
     "US_SSN",
     "Social security number",
     "area, group and serial in use; known dummies dropped",
     "US",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     0.5},
};

static const char context[] = "|ssn|ssns|social|security|socialsecurity|taxpayer|seguro|";
/* The Canadian number is called "social insurance number". */
static const char others[] = "|insurance|sin|";

static uint32_t value_of(const uint8_t *digits, size_t count) {
    uint32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value = value * 10 + digits[i];
    }
    return value;
}

static bool is_assigned(const uint8_t *digits) {
    uint32_t all = value_of(digits, 9);
    uint32_t area = value_of(digits, 3);
    if (area == 0 || area == 666 || area >= 900 || value_of(digits + 3, 2) == 0 ||
        value_of(digits + 5, 4) == 0) {
        return false;
    }
    return all != 78051120 && all != 219099999 && all != 123456789;
}

static bool glued(const aicpi_guard_probe *p, size_t end, char separator) {
    char before = p->anchor > 0 ? p->data[p->anchor - 1] : ' ';
    char earlier = p->anchor > 1 ? p->data[p->anchor - 2] : ' ';
    char after = end < p->len ? p->data[end] : ' ';
    char later = end + 1 < p->len ? p->data[end + 1] : ' ';
    bool joined_before = aicpi_is_digit(earlier) && strchr("-./,", before) && before;
    joined_before = joined_before || (before == ' ' && separator == ' ' && aicpi_is_digit(earlier));
    bool joined_after = aicpi_is_digit(later) && strchr("-./,", after) && after;
    return aicpi_guard_is_word(before) || aicpi_guard_is_word(after) || before == '+' ||
           before == '#' || joined_before || joined_after;
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    const aicpi_guard_number *n = p->number;
    if (n->count < 9 || !is_assigned(n->digit)) {
        return;
    }
    bool plain = n->group_len[0] == 9;
    bool split = n->groups >= 3 && n->group_len[0] == 3 && n->group_len[1] == 2 &&
                 n->group_len[2] == 4 && n->separator[1] == n->separator[2];
    char separator = split ? n->separator[1] : 0;
    size_t end = p->anchor + n->end[8];
    if ((!plain && !split) || separator == '/' || separator == ')' || glued(p, end, separator)) {
        return;
    }
    double score = plain ? 0.05 : separator == '.' ? 0.3 : 0.5;
    if (!aicpi_guard_has_context(p, p->anchor, end, others)) {
        score = aicpi_guard_context(p, p->anchor, end, context, score);
    }
    aicpi_guard_report(p, 0, p->anchor, end, score, false);
}

const aicpi_guard_detector aicpi_guard_detector_us_ssn = {
    .name = "us_ssn",
    .rules = rules,
    .rule_count = 1,
    .anchors = AICPI_GUARD_ON_NUMBER,
    .confirm = confirm,
};
