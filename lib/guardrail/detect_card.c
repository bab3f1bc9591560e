/* Payment card numbers: issuer ranges, lengths and the Luhn check. */
#include "lib/guardrail/guardrail_internal.h"

static const aicp_guard_rule rules[] = {
    {"credit-card",
     "CREDIT_CARD",
     "Payment card number of 12 to 19 digits",
     "issuer ranges and Luhn check",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     1.0},
};

static const char context[] =
    "|card|cards|cardnumber|credit|debit|creditcard|visa|mastercard|maestro|amex|american|discover|"
    "diners|jcb|unionpay|pan|cc|payment|pay|paid|charge|karte|kreditkarte|kartennummer|carte|"
    "tarjeta|"
    "carta|cartao|kaart|kort|";
static const char others[] = "|imei|imeis|meid|serial|device|";

typedef struct range {
    uint32_t first; /* of the first six digits */
    uint32_t last;
    uint32_t lengths; /* bit n: n digits */
} range;

#define LEN(n) (1u << (n))
#define LEN_12_19 (LEN(12) | LEN(13) | LEN(14) | LEN(15) | LEN(16) | LEN(17) | LEN(18) | LEN(19))

static const range ranges[] = {
    {400000, 499999, LEN(13) | LEN(16) | LEN(19)},                     /* Visa */
    {510000, 559999, LEN(16)},                                         /* Mastercard */
    {222100, 272099, LEN(16)},                                         /* Mastercard, 2-series */
    {340000, 349999, LEN(15)},                                         /* American Express */
    {370000, 379999, LEN(15)},                                         /* American Express */
    {601100, 601199, LEN(16) | LEN(17) | LEN(18) | LEN(19)},           /* Discover */
    {644000, 659999, LEN(16) | LEN(17) | LEN(18) | LEN(19)},           /* Discover */
    {300000, 305999, LEN(14) | LEN(16) | LEN(17) | LEN(18) | LEN(19)}, /* Diners Club */
    {360000, 369999, LEN(14) | LEN(16) | LEN(17) | LEN(18) | LEN(19)}, /* Diners Club */
    {380000, 399999, LEN(14) | LEN(16) | LEN(17) | LEN(18) | LEN(19)}, /* Diners Club */
    {352800, 358999, LEN(16) | LEN(17) | LEN(18) | LEN(19)},           /* JCB */
    {213100, 213199, LEN(15)},                                         /* JCB */
    {180000, 180099, LEN(15)},                                         /* JCB */
    {620000, 629999, LEN(16) | LEN(17) | LEN(18) | LEN(19)},           /* UnionPay */
    {500000, 509999, LEN_12_19},                                       /* Maestro */
    {560000, 699999, LEN_12_19},                                       /* Maestro */
};

static bool is_issued(const uint8_t *digits, size_t count) {
    uint32_t prefix = 0;
    for (size_t i = 0; i < 6; i++) {
        prefix = prefix * 10 + digits[i];
    }
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (prefix >= ranges[i].first && prefix <= ranges[i].last &&
            (ranges[i].lengths & LEN(count))) {
            return true;
        }
    }
    return false;
}

/* Groups as printed on cards: fours, 4-6-5, 4-6-4, or 6-13; one separator throughout. */
static bool is_grouped_like_a_card(const aicpi_guard_number *n, size_t groups) {
    if (groups == 1) {
        return true;
    }
    char separator = n->separator[1];
    if (separator != ' ' && separator != '-') {
        return false;
    }
    for (size_t i = 2; i < groups; i++) {
        if (n->separator[i] != separator) {
            return false;
        }
    }
    if (groups == 2) {
        return n->group_len[0] == 6 && n->group_len[1] == 13;
    }
    if (n->group_len[0] != 4) {
        return false;
    }
    if (groups == 3 && n->group_len[1] == 6) {
        return n->group_len[2] == 5 || n->group_len[2] == 4;
    }
    for (size_t i = 1; i + 1 < groups; i++) {
        if (n->group_len[i] != 4) {
            return false;
        }
    }
    return n->group_len[groups - 1] <= 5;
}

/* True when the number goes on to the left: then this is its middle. */
static bool continues_before(const aicpi_guard_probe *p, char separator) {
    if (p->anchor == 0) {
        return false;
    }
    char before = p->data[p->anchor - 1];
    if (aicpi_guard_is_word(before)) {
        return true;
    }
    bool digit = p->anchor >= 2 && aicpi_is_digit(p->data[p->anchor - 2]);
    return digit && (before == '.' || before == '-' || before == '/' || before == separator);
}

static bool ends_well(const aicpi_guard_probe *p, size_t end) {
    if (end >= p->len) {
        return true;
    }
    char c = p->data[end];
    bool digit_behind = end + 1 < p->len && aicpi_is_digit(p->data[end + 1]);
    return !aicpi_guard_is_word(c) && !((c == '.' || c == '-') && digit_behind);
}

/* Numbers of 12 and 13 digits are mostly something else (national ids, article numbers), and one in
 * ten of those passes Luhn: a word must say that it is a card. 15 digits may be a device. */
static void report(aicpi_guard_probe *p, size_t count, size_t end) {
    bool named = aicpi_guard_has_context(p, p->anchor, end, context);
    bool device = count == 15 && aicpi_guard_has_context(p, p->anchor, end, others);
    if (named || (count > 13 && !device)) {
        aicpi_guard_report(p, 0, p->anchor, end, 1.0, true);
    } else {
        aicpi_guard_report(p, 0, p->anchor, end, 0.3, false);
    }
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    const aicpi_guard_number *n = p->number;
    if (n->count < 12 || continues_before(p, n->groups > 1 ? n->separator[1] : 0)) {
        return;
    }
    /* The longest first: a card number with its check value behind must not hide it. */
    size_t count = n->count;
    for (size_t groups = n->groups; groups > 0 && count >= 12; groups--) {
        size_t end = p->anchor + n->end[count - 1];
        if (count <= 19 && is_grouped_like_a_card(n, groups) && is_issued(n->digit, count) &&
            aicpi_guard_luhn(n->digit, count) && ends_well(p, end)) {
            report(p, count, end);
            return;
        }
        if (n->group_len[groups - 1] > 4 && groups <= 4) {
            return; /* another way to cut it would be a guess */
        }
        count -= n->group_len[groups - 1];
    }
}

const aicpi_guard_detector aicpi_guard_detector_card = {
    .name = "card",
    .rules = rules,
    .rule_count = 1,
    .anchors = AICPI_GUARD_ON_NUMBER,
    .confirm = confirm,
};
