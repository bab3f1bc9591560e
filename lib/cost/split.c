#include "lib/cost/split.h"

#include "lib/base/text.h"
#include "lib/cost/unicode_classes.h"

/* Classes of ASCII; 8 = begins something longer. */
enum { MULTI = 8 };

static const uint8_t ascii_class[256] = {
    [0x09] = AICPI_CLASS_SPACE,
    [0x0A] = AICPI_CLASS_NEWLINE,
    [0x0B] = AICPI_CLASS_SPACE,
    [0x0C] = AICPI_CLASS_SPACE,
    [0x0D] = AICPI_CLASS_NEWLINE,
    [' '] = AICPI_CLASS_SPACE,
#define D AICPI_CLASS_NUMBER
#define U AICPI_CLASS_UPPER
#define L AICPI_CLASS_LOWER
    ['0'] = D,
    D,
    D,
    D,
    D,
    D,
    D,
    D,
    D,
    D,
    ['A'] = U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    U,
    ['a'] = L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
#undef D
#undef U
#undef L
#define M4 MULTI, MULTI, MULTI, MULTI
#define M32 M4, M4, M4, M4, M4, M4, M4, M4
    [0x80] = M32,
    M32,
    M32,
    M32,
#undef M32
#undef M4
};

/* One bit per class. */
#define BIT(c) (1U << (c))
#define LETTERS (BIT(AICPI_CLASS_UPPER) | BIT(AICPI_CLASS_LOWER) | BIT(AICPI_CLASS_LETTER))
#define BOTH (BIT(AICPI_CLASS_LETTER) | BIT(AICPI_CLASS_MARK)) /* may stand in U* and in W+ */
#define U_SET (BIT(AICPI_CLASS_UPPER) | BOTH)
#define W_SET (BIT(AICPI_CLASS_LOWER) | BOTH)
#define SPACES (BIT(AICPI_CLASS_SPACE) | BIT(AICPI_CLASS_NEWLINE))
#define PREFIXES (BIT(AICPI_CLASS_OTHER) | BIT(AICPI_CLASS_MARK) | BIT(AICPI_CLASS_SPACE))
#define OTHERS (BIT(AICPI_CLASS_OTHER) | BIT(AICPI_CLASS_MARK))

static inline bool in(unsigned cls, unsigned set) {
    return (BIT(cls) & set) != 0;
}

static inline bool is_tail(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

static unsigned invalid_at(const uint8_t *p, const uint8_t *end, unsigned *len, bool *dirty) {
    *len = (unsigned)aicpi_utf8_invalid((const char *)p, (size_t)(end - p));
    *dirty = true;
    return AICPI_CLASS_OTHER;
}

/* Class and length of a character that is not ASCII. */
static inline unsigned multi_at(const uint8_t *p, const uint8_t *end, unsigned *len, bool *dirty) {
    size_t left = (size_t)(end - p);
    uint32_t scalar;
    if (p[0] >= 0xE0 && p[0] < 0xF0 && left >= 3 && is_tail(p[1]) && is_tail(p[2])) {
        scalar = (p[0] & 0x0FU) << 12 | (p[1] & 0x3FU) << 6 | (p[2] & 0x3FU);
        *len = 3;
        if (scalar >= 0x800 && (scalar < 0xD800 || scalar > 0xDFFF)) {
            return aicpi_cost_class_of(scalar);
        }
    } else if (p[0] >= 0xC2 && p[0] < 0xE0 && left >= 2 && is_tail(p[1])) {
        *len = 2;
        return aicpi_cost_class_of((p[0] & 0x1FU) << 6 | (p[1] & 0x3FU));
    } else if (
        p[0] >= 0xF0 && p[0] < 0xF5 && left >= 4 && is_tail(p[1]) && is_tail(p[2]) &&
        is_tail(p[3])) {
        scalar = (p[0] & 0x07U) << 18 | (p[1] & 0x3FU) << 12 | (p[2] & 0x3FU) << 6 | (p[3] & 0x3FU);
        *len = 4;
        if (scalar >= 0x10000 && scalar <= 0x10FFFF) {
            return aicpi_cost_class_of(scalar);
        }
    }
    return invalid_at(p, end, len, dirty);
}

/* Class and length of the character at p < end. */
static inline unsigned class_at(const uint8_t *p, const uint8_t *end, unsigned *len, bool *dirty) {
    unsigned cls = ascii_class[*p];
    *len = 1;
    return cls == MULTI ? multi_at(p, end, len, dirty) : cls;
}

static const uint8_t *run_of(unsigned set, const uint8_t *p, const uint8_t *end, bool *dirty) {
    unsigned len;
    while (p < end && in(class_at(p, end, &len, dirty), set)) {
        p += len;
    }
    return p;
}

/* Length of 's 't 're 've 'm 'll 'd at p, any case (U+017F folds to s), or 0. */
static size_t contraction_at(const uint8_t *p, const uint8_t *end) {
    size_t left = (size_t)(end - p);
    if (left < 2 || p[0] != '\'') {
        return 0;
    }
    uint8_t a = (uint8_t)(p[1] | 0x20);
    if (p[1] < 0x80 && (a == 's' || a == 't' || a == 'm' || a == 'd')) {
        return 2;
    }
    if (left < 3) {
        return 0;
    }
    if (p[1] == 0xC5 && p[2] == 0xBF) {
        return 3;
    }
    uint8_t b = (uint8_t)(p[2] | 0x20);
    if (p[1] >= 0x80 || p[2] >= 0x80) {
        return 0;
    }
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* One to three numbers; p is at the first, which is `len` bytes long. */
static const uint8_t *number_end(const uint8_t *p, const uint8_t *end, unsigned len, bool *dirty) {
    p += len;
    for (int i = 1; i < 3 && p < end; i++) {
        if (class_at(p, end, &len, dirty) != AICPI_CLASS_NUMBER) {
            break;
        }
        p += len;
    }
    return p;
}

/* Run of neither space nor letter nor number, then CR and LF (and '/' when `slash`). */
static const uint8_t *other_end(const uint8_t *p, const uint8_t *end, bool slash, bool *dirty) {
    p = run_of(OTHERS, p, end, dirty);
    while (p < end && (*p == '\r' || *p == '\n' || (slash && *p == '/'))) {
        p++;
    }
    return p;
}

/* White space at p. With `end_first` a run that reaches the end of the text is one piece; without
 * it the part up to the last CR or LF comes first. */
static const uint8_t *space_end(const uint8_t *p, const uint8_t *end, bool end_first, bool *dirty) {
    const uint8_t *at = p;
    const uint8_t *last = p;       /* start of the run's last character */
    const uint8_t *newline = NULL; /* behind the last CR or LF */
    unsigned len;
    while (at < end) {
        unsigned cls = class_at(at, end, &len, dirty);
        if (!in(cls, SPACES)) {
            break;
        }
        last = at;
        at += len;
        newline = cls == AICPI_CLASS_NEWLINE ? at : newline;
    }
    if (at == end && (end_first || newline == NULL)) {
        return at;
    }
    if (newline != NULL) {
        return newline;
    }
    return last > p ? last : at;
}

const uint8_t *aicpi_cost_split_cl100k(const uint8_t *p, const uint8_t *end, bool *dirty) {
    unsigned len;
    unsigned cls = class_at(p, end, &len, dirty);
    if (in(cls, LETTERS)) {
        return run_of(LETTERS, p + len, end, dirty);
    }
    if (*p == '\'') {
        size_t n = contraction_at(p, end);
        if (n > 0) {
            return p + n;
        }
    }
    const uint8_t *q = p + len;
    unsigned next_len = 0;
    unsigned next = q < end ? class_at(q, end, &next_len, dirty) : AICPI_CLASS_NEWLINE;
    if (in(cls, PREFIXES) && in(next, LETTERS)) {
        return run_of(LETTERS, q + next_len, end, dirty);
    }
    if (cls == AICPI_CLASS_NUMBER) {
        return number_end(p, end, len, dirty);
    }
    if (in(cls, OTHERS) || (*p == ' ' && in(next, OTHERS))) {
        return other_end(q, end, false, dirty);
    }
    return space_end(p, end, true, dirty);
}

/* What alternatives 1 and 2 give from q on: end of U* W+ in `first` (NULL = no match) and end of
 * U+ W* in `second` (NULL = no match). */
typedef struct word {
    const uint8_t *first;
    const uint8_t *second;
} word;

static word word_at(const uint8_t *q, const uint8_t *end, bool *dirty) {
    const uint8_t *r = q;
    const uint8_t *both = NULL; /* behind the last character that may stand in both sets */
    unsigned len = 0;
    unsigned cls = AICPI_CLASS_OTHER;
    while (r < end) {
        cls = class_at(r, end, &len, dirty);
        if (!in(cls, U_SET)) {
            break;
        }
        r += len;
        both = in(cls, BOTH) ? r : both;
    }
    bool lower = r < end && cls == AICPI_CLASS_LOWER;
    if (lower || (both == r && r > q)) {
        return (word){run_of(W_SET, r, end, dirty), NULL};
    }
    return (word){both, r > q ? r : NULL};
}

/* Word of ASCII letters at q, or NULL when it is none or meets something longer than ASCII. */
static inline const uint8_t *ascii_word(const uint8_t *q, const uint8_t *end) {
    const uint8_t *s = q;
    while (s < end && ascii_class[*s] == AICPI_CLASS_UPPER) {
        s++;
    }
    while (s < end && ascii_class[*s] == AICPI_CLASS_LOWER) {
        s++;
    }
    return s > q && (s == end || *s < 0x80) ? s : NULL;
}

static inline const uint8_t *with_contraction(const uint8_t *p, const uint8_t *end) {
    return p < end && *p == '\'' ? p + contraction_at(p, end) : p;
}

const uint8_t *aicpi_cost_split_o200k(const uint8_t *p, const uint8_t *end, bool *dirty) {
    unsigned len;
    unsigned cls = class_at(p, end, &len, dirty);
    const uint8_t *q = p + len;
    if (in(cls, LETTERS | PREFIXES)) {
        const uint8_t *from = in(cls, LETTERS) ? p : q;
        const uint8_t *fast = ascii_word(from, end);
        if (fast != NULL) {
            return with_contraction(fast, end);
        }
        word w = word_at(from, end, dirty);
        if (w.first == NULL && cls == AICPI_CLASS_MARK) {
            w = word_at(p, end, dirty);
        }
        const uint8_t *e = w.first != NULL ? w.first : w.second;
        if (e != NULL) {
            return with_contraction(e, end);
        }
    }
    if (cls == AICPI_CLASS_NUMBER) {
        return number_end(p, end, len, dirty);
    }
    if (in(cls, OTHERS)) {
        return other_end(q, end, true, dirty);
    }
    if (*p == ' ' && q < end) {
        unsigned next_len;
        if (in(class_at(q, end, &next_len, dirty), OTHERS)) {
            return other_end(q, end, true, dirty);
        }
    }
    return space_end(p, end, false, dirty);
}
