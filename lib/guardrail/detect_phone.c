/* Telephone numbers: international with a country code (E.164), North American and some national
 * forms; everything else only beside a word that says so. */
#include "lib/guardrail/guardrail_internal.h"

enum { INTERNATIONAL = 0, NORTH_AMERICAN = 1, NATIONAL = 2 };

static const aicp_guard_rule rules[] = {
    {"phone-international",
     "PHONE_NUMBER",
     "Telephone number with country code",
     "country code and length",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     0.75},
    {"phone-north-american",
     "PHONE_NUMBER",
     "Telephone number in North American form",
     "area and exchange begin with 2 to 9",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     0.5},
    {"phone-national",
     "PHONE_NUMBER",
     "Telephone number in a national form",
     "grouping, or a word beside it",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     0.4},
};

static const char context[] =
    "|phone|phones|telephone|tel|mobile|mob|cell|cellphone|call|calling|fax|contact|whatsapp|sms|"
    "ring|dial|handy|telefon|telefono|tel\xc3\xa9\x66ono|movil|m\xc3\xb3vil|celular|"
    "t\xc3\xa9l\xc3\xa9phone|telefone|telefoon|mobil|puhelin|tlf|telefonnummer|rufnummer|"
    "\xd1\x82\xd0\xb5\xd0\xbb\xd0\xb5\xd1\x84\xd0\xbe\xd0\xbd|\xe9\x9b\xbb\xe8\xa9\xb1|"
    "\xe7\x94\xb5\xe8\xaf\x9d|\xe6\x89\x8b\xe6\x9c\xba|\xec\xa0\x84\xed\x99\x94|";

/* Words of numbers that look like telephone numbers. */
static const char others[] = "|nhs|ssn|sin|npi|insurance|account|acct|order|invoice|ticket|"
                             "tracking|case|ref|reference|patient|"
                             "policy|passport|routing|aba|vat|tax|serial|isbn|sku|id|";

typedef struct country {
    uint16_t code;
    uint8_t least; /* digits behind the code */
    uint8_t most;
} country;

/* Assigned country codes (ITU-T E.164 list); 6 to 12 digits where the plan is not known here. */
static const country countries[] = {
    {1, 10, 10},  {7, 10, 10},  {20, 8, 10},  {27, 9, 9},   {30, 10, 10}, {31, 9, 9},
    {32, 8, 9},   {33, 9, 9},   {34, 9, 9},   {36, 8, 9},   {39, 6, 11},  {40, 9, 9},
    {41, 9, 9},   {43, 5, 13},  {44, 9, 10},  {45, 8, 8},   {46, 7, 9},   {47, 8, 8},
    {48, 9, 9},   {49, 6, 11},  {51, 8, 9},   {52, 10, 10}, {53, 8, 8},   {54, 10, 11},
    {55, 10, 11}, {56, 9, 9},   {57, 8, 10},  {58, 10, 10}, {60, 8, 10},  {61, 9, 9},
    {62, 8, 12},  {63, 8, 10},  {64, 8, 10},  {65, 8, 8},   {66, 8, 9},   {81, 9, 10},
    {82, 8, 10},  {84, 9, 10},  {86, 10, 11}, {90, 10, 10}, {91, 10, 10}, {92, 9, 10},
    {93, 9, 9},   {94, 9, 9},   {95, 7, 10},  {98, 10, 10}, {211, 6, 12}, {212, 6, 12},
    {213, 6, 12}, {216, 6, 12}, {218, 6, 12}, {220, 6, 12}, {221, 6, 12}, {222, 6, 12},
    {223, 6, 12}, {224, 6, 12}, {225, 6, 12}, {226, 6, 12}, {227, 6, 12}, {228, 6, 12},
    {229, 6, 12}, {230, 6, 12}, {231, 6, 12}, {232, 6, 12}, {233, 6, 12}, {234, 8, 10},
    {235, 6, 12}, {236, 6, 12}, {237, 6, 12}, {238, 6, 12}, {239, 6, 12}, {240, 6, 12},
    {241, 6, 12}, {242, 6, 12}, {243, 6, 12}, {244, 6, 12}, {245, 6, 12}, {246, 6, 12},
    {247, 6, 12}, {248, 6, 12}, {249, 6, 12}, {250, 6, 12}, {251, 6, 12}, {252, 6, 12},
    {253, 6, 12}, {254, 9, 9},  {255, 6, 12}, {256, 6, 12}, {257, 6, 12}, {258, 6, 12},
    {260, 6, 12}, {261, 6, 12}, {262, 6, 12}, {263, 6, 12}, {264, 6, 12}, {265, 6, 12},
    {266, 6, 12}, {267, 6, 12}, {268, 6, 12}, {269, 6, 12}, {290, 6, 12}, {291, 6, 12},
    {297, 6, 12}, {298, 6, 12}, {299, 6, 12}, {350, 6, 12}, {351, 9, 9},  {352, 6, 12},
    {353, 7, 9},  {354, 6, 12}, {355, 6, 12}, {356, 6, 12}, {357, 6, 12}, {358, 5, 11},
    {359, 6, 12}, {370, 6, 12}, {371, 6, 12}, {372, 6, 12}, {373, 6, 12}, {374, 6, 12},
    {375, 6, 12}, {376, 6, 12}, {377, 6, 12}, {378, 6, 12}, {379, 6, 12}, {380, 9, 9},
    {381, 6, 12}, {382, 6, 12}, {383, 6, 12}, {385, 6, 12}, {386, 6, 12}, {387, 6, 12},
    {389, 6, 12}, {420, 9, 9},  {421, 9, 9},  {423, 6, 12}, {500, 6, 12}, {501, 6, 12},
    {502, 6, 12}, {503, 6, 12}, {504, 6, 12}, {505, 6, 12}, {506, 6, 12}, {507, 6, 12},
    {508, 6, 12}, {509, 6, 12}, {590, 6, 12}, {591, 6, 12}, {592, 6, 12}, {593, 6, 12},
    {594, 6, 12}, {595, 6, 12}, {596, 6, 12}, {597, 6, 12}, {598, 6, 12}, {599, 6, 12},
    {670, 6, 12}, {672, 6, 12}, {673, 6, 12}, {674, 6, 12}, {675, 6, 12}, {676, 6, 12},
    {677, 6, 12}, {678, 6, 12}, {679, 6, 12}, {680, 6, 12}, {681, 6, 12}, {682, 6, 12},
    {683, 6, 12}, {685, 6, 12}, {686, 6, 12}, {687, 6, 12}, {688, 6, 12}, {689, 6, 12},
    {690, 6, 12}, {691, 6, 12}, {692, 6, 12}, {800, 6, 12}, {808, 6, 12}, {850, 6, 12},
    {852, 8, 8},  {853, 6, 12}, {855, 6, 12}, {856, 6, 12}, {870, 6, 12}, {880, 8, 10},
    {886, 8, 9},  {960, 6, 12}, {961, 6, 12}, {962, 6, 12}, {963, 6, 12}, {964, 6, 12},
    {965, 6, 12}, {966, 8, 9},  {967, 6, 12}, {968, 6, 12}, {970, 6, 12}, {971, 8, 9},
    {972, 8, 9},  {973, 6, 12}, {974, 6, 12}, {975, 6, 12}, {976, 6, 12}, {977, 6, 12},
    {979, 6, 12}, {992, 6, 12}, {993, 6, 12}, {994, 6, 12}, {995, 6, 12}, {996, 6, 12},
    {998, 6, 12},
};

static const country *find_country(const uint8_t *digits, size_t count, size_t *code_len) {
    unsigned code = 0;
    for (size_t n = 0; n < 3 && n < count; n++) {
        code = code * 10 + digits[n];
        for (size_t i = 0; i < sizeof countries / sizeof *countries; i++) {
            if (countries[i].code == code) {
                *code_len = n + 1;
                return &countries[i];
            }
        }
    }
    return NULL;
}

/* The number with its mark: "+", "(+", "00" stay in the digits. */
typedef struct shape {
    size_t start; /* in the window */
    bool plus;
    bool bracket;
} shape;

static shape read_shape(const aicpi_guard_probe *p) {
    shape s = {p->anchor, false, false};
    if (s.start > 0 && p->data[s.start - 1] == '+') {
        s.plus = true;
        s.start--;
    }
    if (s.start > 0 && p->data[s.start - 1] == '(') {
        s.bracket = true;
        s.start--;
    }
    return s;
}

static bool glued_before(const aicpi_guard_probe *p, size_t start) {
    if (start == 0) {
        return false;
    }
    char before = p->data[start - 1];
    char earlier = start > 1 ? p->data[start - 2] : ' ';
    bool joined = before == '-' || before == '.' || before == '/' || before == ',';
    return aicpi_guard_is_word(before) || before == '#' || before == '$' || before == '+' ||
           (joined && aicpi_is_digit(earlier));
}

/* Behind a blank and digits: a group of a number that blanks divide, or the next of a list. */
static bool continues_before(const aicpi_guard_probe *p, const shape *s) {
    const aicpi_guard_number *n = p->number;
    bool blank =
        s->start > 1 && p->data[s->start - 1] == ' ' && aicpi_is_digit(p->data[s->start - 2]);
    bool own = n->groups > 1 && n->separator[1] != ' ';
    return blank && !own && !s->bracket && n->group_len[0] < 9;
}

static bool glued_after(const aicpi_guard_probe *p, size_t end) {
    if (end >= p->len) {
        return false;
    }
    char c = p->data[end];
    bool digit = end + 1 < p->len && aicpi_is_digit(p->data[end + 1]);
    return aicpi_guard_is_word(c) || c == '%' || (digit && strchr(".,-/:", c) && c);
}

/* Digits in the first `groups` groups. */
static size_t digits_in(const aicpi_guard_number *n, size_t groups) {
    size_t count = 0;
    for (size_t i = 0; i < groups; i++) {
        count += n->group_len[i];
    }
    return count;
}

/* A trunk zero in brackets, "+44 (0)20", is not part of the number. */
static size_t trunk_zeros(const aicpi_guard_number *n, size_t code_len, size_t groups) {
    size_t at = 0;
    for (size_t i = 0; i < groups; i++) {
        bool zero = n->group_len[i] == 1 && n->digit[at] == 0 && at == code_len;
        if (i > 0 && zero && n->separator[i] == ')') {
            return 1;
        }
        at += n->group_len[i];
    }
    return 0;
}

static bool is_nanp(const uint8_t *digits) {
    return digits[0] >= 2 && digits[3] >= 2 && !(digits[1] == 1 && digits[2] == 1);
}

/* `skip` digits before the country code: 2 for "00". */
static bool confirm_international(aicpi_guard_probe *p, const shape *s, size_t skip) {
    const aicpi_guard_number *n = p->number;
    size_t code_len = 0;
    const country *c = find_country(n->digit + skip, n->count - skip, &code_len);
    if (!c) {
        return false;
    }
    for (size_t groups = n->groups; groups > 0; groups--) {
        size_t count = digits_in(n, groups);
        if (count <= skip + code_len) {
            return false;
        }
        size_t rest = count - skip - code_len - trunk_zeros(n, skip + code_len, groups);
        size_t end = p->anchor + n->end[count - 1];
        bool fits = rest >= c->least && rest <= c->most && rest + code_len <= 15;
        if (c->code == 1) {
            fits = fits && is_nanp(n->digit + skip + 1);
        }
        if (fits && !glued_after(p, end)) {
            double score = skip ? 0.45 : 0.75;
            score = aicpi_guard_context(p, s->start, end, context, score);
            aicpi_guard_report(p, INTERNATIONAL, s->start, end, score, false);
            return true;
        }
    }
    return false;
}

static bool has_groups(const aicpi_guard_number *n, const char *lengths) {
    size_t count = strlen(lengths);
    if (n->groups != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (n->group_len[i] != (uint8_t)(lengths[i] - '0')) {
            return false;
        }
    }
    return true;
}

static bool has_separator(const aicpi_guard_number *n, char separator) {
    for (size_t i = 1; i < n->groups; i++) {
        if (n->separator[i] == separator) {
            return true;
        }
    }
    return false;
}

static double north_american_score(const aicpi_guard_number *n, const shape *s) {
    bool one = n->groups > 0 && n->group_len[0] == 1 && n->digit[0] == 1;
    const uint8_t *digits = n->digit + (one ? 1 : 0);
    if (!has_groups(n, one ? "1334" : "334") || !is_nanp(digits) || has_separator(n, '/')) {
        return 0;
    }
    if (s->bracket || has_separator(n, ')')) {
        return 0.65;
    }
    return has_separator(n, ' ') && !has_separator(n, '-') ? 0.35 : 0.5;
}

/* Groupings that hardly anything else has; all begin with the trunk zero. */
static double national_score(const aicpi_guard_number *n) {
    bool zero = n->digit[0] == 0 && n->digit[1] != 0;
    if (zero && n->digit[1] == 7 && n->count == 11 &&
        (has_groups(n, "56") || has_groups(n, "533"))) {
        return 0.5; /* British mobile */
    }
    if (zero && n->count == 10 && has_groups(n, "22222") && !has_separator(n, '/')) {
        return 0.5; /* French */
    }
    if (zero && n->count == 11 && (has_groups(n, "344") || has_groups(n, "434"))) {
        return 0.4; /* British landline, Japanese mobile */
    }
    return n->groups > 1 && zero ? 0.2 : 0.05;
}

/* Groups of the first number where several stand in a row: a blank divides "212-555-0187 212-...",
 * and whatever follows nine digits in one piece. */
static size_t groups_of_first(const aicpi_guard_number *n) {
    for (size_t i = 1; i < n->groups; i++) {
        bool other = n->separator[1] == '-' || n->separator[1] == '.';
        other = other || (i > 1 && (n->separator[i - 1] == '-' || n->separator[i - 1] == '.'));
        bool blank = n->separator[i] == ' ' || (n->separator[i] == ')' && digits_in(n, i) >= 9);
        if (blank && (other || n->group_len[i - 1] >= 9)) {
            return i;
        }
    }
    return n->groups;
}

static bool is_year_range(const aicpi_guard_number *n) {
    bool first = (n->digit[0] == 1 && n->digit[1] == 9) || (n->digit[0] == 2 && n->digit[1] == 0);
    bool second = (n->digit[4] == 1 && n->digit[5] == 9) || (n->digit[4] == 2 && n->digit[5] == 0);
    return has_groups(n, "44") && first && second;
}

/* Numbers without a country code. */
static void confirm_local(aicpi_guard_probe *p, const shape *s, const aicpi_guard_number *n) {
    size_t end = p->anchor + n->end[n->count - 1];
    if (n->count > 15 || glued_after(p, end)) {
        return;
    }
    double american = north_american_score(n, s);
    uint16_t kind = american > 0 ? NORTH_AMERICAN : NATIONAL;
    double score = american > 0 ? american : national_score(n);
    if (kind == NATIONAL && (n->count > 13 || n->count < 8 || is_year_range(n))) {
        return;
    }
    /* An opening bracket belongs to the number only when it closes inside. */
    size_t start = s->bracket && !has_separator(n, ')') ? p->anchor : s->start;
    double named = aicpi_guard_context(p, start, end, context, score);
    if (named == score && aicpi_guard_has_context(p, start, end, others)) {
        return;
    }
    aicpi_guard_report(p, kind, start, end, named, false);
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    const aicpi_guard_number *n = p->number;
    if (n->count < 7) {
        return;
    }
    shape s = read_shape(p);
    if (glued_before(p, s.start)) {
        return;
    }
    if (s.plus) {
        (void)confirm_international(p, &s, 0);
        return;
    }
    if (continues_before(p, &s)) {
        return;
    }
    if (n->digit[0] == 0 && n->digit[1] == 0 && n->count >= 10 && !has_separator(n, '/') &&
        confirm_international(p, &s, 2)) {
        return;
    }
    aicpi_guard_number part = *n;
    part.groups = (uint8_t)groups_of_first(n);
    part.count = (uint8_t)digits_in(n, part.groups);
    if (part.count >= 7) {
        confirm_local(p, &s, &part);
    }
}

const aicpi_guard_detector aicpi_guard_detector_phone = {
    .name = "phone",
    .rules = rules,
    .rule_count = sizeof rules / sizeof *rules,
    .anchors = AICPI_GUARD_ON_NUMBER,
    .confirm = confirm,
};
