/* International bank account numbers (ISO 13616): length of the country and check digits. */
#include "lib/guardrail/guardrail_internal.h"

static const aicp_guard_rule rules[] = {
    {"iban",
     "IBAN_CODE",
     "International bank account number",
     "length of the country, mod 97",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     1.0},
};

typedef struct country {
    char code[3];
    uint8_t length;
} country;

/* From the IBAN registry, by code. */
static const country countries[] = {
    {"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22},
    {"BH", 22}, {"BI", 27}, {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24},
    {"DE", 22}, {"DJ", 27}, {"DK", 18}, {"DO", 28}, {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18},
    {"FK", 18}, {"FO", 18}, {"FR", 27}, {"GB", 22}, {"GE", 22}, {"GI", 23}, {"GL", 18}, {"GR", 27},
    {"GT", 28}, {"HN", 28}, {"HR", 21}, {"HU", 28}, {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26},
    {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28}, {"LC", 32}, {"LI", 21}, {"LT", 20},
    {"LU", 20}, {"LV", 21}, {"LY", 25}, {"MC", 27}, {"MD", 24}, {"ME", 22}, {"MK", 19}, {"MN", 20},
    {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NI", 28}, {"NL", 18}, {"NO", 15}, {"OM", 23}, {"PK", 24},
    {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"RU", 33}, {"SA", 24},
    {"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"SO", 23}, {"ST", 25},
    {"SV", 28}, {"TL", 23}, {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22}, {"VG", 24}, {"XK", 20},
    {"YE", 30},
};

static size_t length_of(char a, char b) {
    for (size_t i = 0; i < sizeof countries / sizeof *countries; i++) {
        if (countries[i].code[0] == a && countries[i].code[1] == b) {
            return countries[i].length;
        }
    }
    return 0;
}

static char upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* Remainder of the number made by moving the first four characters to the end. */
static unsigned remainder_97(const char *iban, size_t len) {
    unsigned rest = 0;
    for (size_t i = 0; i < len; i++) {
        char c = iban[(i + 4) % len];
        unsigned value = aicpi_is_digit(c) ? (unsigned)(c - '0') : (unsigned)(c - 'A') + 10;
        rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97;
    }
    return rest;
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    if (p->anchor < 2 || (p->anchor > 2 && aicpi_guard_is_word(p->data[p->anchor - 3]))) {
        return;
    }
    size_t start = p->anchor - 2;
    size_t want = length_of(upper(p->data[start]), upper(p->data[start + 1]));
    char iban[40] = "";
    size_t n = 0;
    size_t i = start;
    while (want > 0 && n < want && i < p->len) {
        char c = p->data[i];
        if (aicpi_is_alnum(c)) {
            iban[n++] = upper(c);
        } else if ((c != ' ' && c != '-') || n < 4 || !aicpi_is_alnum(p->data[i - 1])) {
            return;
        }
        i++;
    }
    if (want == 0 || n < want || (i < p->len && aicpi_guard_is_word(p->data[i]))) {
        return;
    }
    if (aicpi_is_digit(iban[2]) && aicpi_is_digit(iban[3]) && remainder_97(iban, n) == 1) {
        aicpi_guard_report(p, 0, start, i, 1.0, true);
    }
}

const aicpi_guard_detector aicpi_guard_detector_iban = {
    .name = "iban",
    .rules = rules,
    .rule_count = 1,
    .anchors = AICPI_GUARD_ON_NUMBER,
    .confirm = confirm,
};
