/* Characters that readers do not see: Unicode tags, zero-width and bidirectional controls, runs of
 * variation selectors. Joiners inside scripts and emoji that need them are left alone. */
#include "lib/guardrail/guardrail_internal.h"

enum { TAGS = 0, BIDI = 1, ZERO_WIDTH = 2, SELECTORS = 3 };

static const aicp_guard_rule rules[] = {
    {"unicode-tags",
     "INVISIBLE_TEXT",
     "Text hidden in Unicode tag characters",
     "flags of regions excepted",
     "",
     AICP_GUARD_INVISIBLE,
     AICP_GUARD_MASK,
     0.9},
    {"bidi-override",
     "INVISIBLE_TEXT",
     "Controls that change the visible order of text",
     "",
     "",
     AICP_GUARD_INVISIBLE,
     AICP_GUARD_MASK,
     0.8},
    {"zero-width",
     "INVISIBLE_TEXT",
     "Zero-width characters inside words",
     "scripts and emoji that need them excepted",
     "",
     AICP_GUARD_INVISIBLE,
     AICP_GUARD_MASK,
     0.6},
    {"variation-selectors",
     "INVISIBLE_TEXT",
     "Three or more variation selectors in a row",
     "",
     "",
     AICP_GUARD_INVISIBLE,
     AICP_GUARD_MASK,
     0.8},
};

/* Class of the character at data[0], -1 when it can be seen. */
static int class_of(const char *data, size_t len, uint32_t *scalar, size_t *width) {
    *width = aicpi_utf8_decode(data, len, scalar);
    uint32_t c = *scalar;
    if (*width < 2) {
        return -1;
    }
    if (c >= 0xe0000 && c <= 0xe007f) {
        return TAGS;
    }
    if ((c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)) {
        return BIDI;
    }
    if ((c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef)) {
        return SELECTORS;
    }
    if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2060 && c <= 0x2064) || c == 0xfeff) {
        return ZERO_WIDTH;
    }
    return -1;
}

typedef struct run {
    size_t end;
    size_t count[4];
    size_t spaces; /* U+200B, U+2060.., U+FEFF: no script needs them inside a word */
    bool overriding;
} run;

static run read_run(const aicpi_guard_probe *p) {
    run r = {.end = p->anchor};
    for (;;) {
        uint32_t scalar = 0;
        size_t width = 0;
        int class =
            r.end < p->len ? class_of(p->data + r.end, p->len - r.end, &scalar, &width) : -1;
        if (class < 0) {
            return r;
        }
        r.count[class]++;
        r.spaces += class == ZERO_WIDTH && (scalar < 0x200c || scalar > 0x200f);
        r.overriding = r.overriding || scalar == 0x202d || scalar == 0x202e;
        r.end += width;
    }
}

/* Bytes of the invisible character right before data[0], 0 when there is none. */
static size_t invisible_before(const char *data, size_t back) {
    for (size_t width = 2; width <= 4 && width <= back; width++) {
        uint32_t scalar = 0;
        size_t got = 0;
        if (class_of(data - width, width, &scalar, &got) >= 0 && got == width) {
            return width;
        }
    }
    return 0;
}

/* In a run longer than a window the characters behind its first part stand for themselves. */
static void confirm_inside(aicpi_guard_probe *p) {
    size_t start = p->anchor;
    size_t width = 0;
    while ((width = invisible_before(p->data + start, start)) > 0) {
        start -= width;
    }
    uint32_t scalar = 0;
    int class = class_of(p->data + p->anchor, p->len - p->anchor, &scalar, &width);
    if (start < 4 && p->base > 0 && class >= 0) {
        aicpi_guard_report(p, (uint16_t) class, p->anchor, p->anchor + width, 0.8, false);
    }
}

/* Flags of regions are a black flag, a few tags, and the end tag. */
static bool is_region_flag(const aicpi_guard_probe *p, const run *r) {
    return p->anchor >= 4 && memcmp(p->data + p->anchor - 4, "\xf0\x9f\x8f\xb4", 4) == 0 &&
           r->count[TAGS] <= 8 && memcmp(p->data + r->end - 4, "\xf3\xa0\x81\xbf", 4) == 0;
}

/* The hidden text is scanned as a payload. */
static void scan_tags(aicpi_guard_probe *p, const run *r) {
    char text[AICPI_GUARD_LONG_REACH / 4 + 1];
    size_t n = 0;
    for (size_t i = p->anchor; i < r->end && n < sizeof text;) {
        uint32_t scalar = 0;
        size_t width = 0;
        if (class_of(p->data + i, r->end - i, &scalar, &width) == TAGS && scalar >= 0xe0020 &&
            scalar < 0xe007f) {
            text[n++] = (char)(scalar - 0xe0000);
        }
        i += width;
    }
    aicpi_guard_place start = aicpi_guard_place_ahead(p->result, p->base + p->anchor);
    aicpi_guard_place end = aicpi_guard_place_ahead(p->result, p->base + r->end);
    aicpi_guard_scan_payload(p->result, aicpi_slice_of(text, n), start, end, 0);
    aicpi_wipe(text, n);
}

static double zero_width_score(const aicpi_guard_probe *p, const run *r) {
    char before = p->anchor > 0 ? p->data[p->anchor - 1] : ' ';
    char after = r->end < p->len ? p->data[r->end] : ' ';
    bool ascii = aicpi_is_alnum(before) && aicpi_is_alnum(after);
    if (r->count[ZERO_WIDTH] >= 4) {
        return 0.8;
    }
    if (ascii) {
        return 0.6;
    }
    return r->spaces >= 2 ? 0.5 : 0.1;
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    if (invisible_before(p->data + p->anchor, p->anchor)) {
        confirm_inside(p); /* the run was seen at its start */
        return;
    }
    run r = read_run(p);
    if (r.count[TAGS] > 0 && !is_region_flag(p, &r)) {
        aicpi_guard_report(p, TAGS, p->anchor, r.end, 0.9, false);
        scan_tags(p, &r);
        return;
    }
    if (r.overriding || r.count[BIDI] > 0) {
        aicpi_guard_report(p, BIDI, p->anchor, r.end, r.overriding ? 0.8 : 0.2, false);
    }
    if (r.count[SELECTORS] >= 3) {
        aicpi_guard_report(p, SELECTORS, p->anchor, r.end, 0.8, false);
    }
    bool mark = p->base + p->anchor == 0 && r.count[ZERO_WIDTH] == 1; /* byte order mark */
    if (r.count[ZERO_WIDTH] > 0 && !mark) {
        aicpi_guard_report(p, ZERO_WIDTH, p->anchor, r.end, zero_width_score(p, &r), false);
    }
}

/* To the end of the run and the character behind it. */
static size_t reach(const char *data, size_t len, size_t back) {
    size_t i = 0;
    if (invisible_before(data, back)) {
        return 4;
    }
    while (i < len) {
        uint32_t scalar = 0;
        size_t width = 0;
        if (class_of(data + i, len - i, &scalar, &width) < 0) {
            return i + 4 <= len ? i + 4 : len + 1;
        }
        i += width;
    }
    return len + 1;
}

/* The very characters to be found: NOLINTBEGIN(misc-misleading-bidirectional) */
#define E2_80(x)                                                                                   \
    { "\xe2\x80" x, ZERO_WIDTH }
#define E2_81(x)                                                                                   \
    { "\xe2\x81" x, ZERO_WIDTH }
static const aicpi_guard_literal literals[] = {
    E2_80("\x8b"),
    E2_80("\x8c"),
    E2_80("\x8d"),
    E2_80("\x8e"),
    E2_80("\x8f"),
    E2_80("\xaa"),
    E2_80("\xab"),
    E2_80("\xac"),
    E2_80("\xad"),
    E2_80("\xae"),
    E2_81("\xa0"),
    E2_81("\xa1"),
    E2_81("\xa2"),
    E2_81("\xa3"),
    E2_81("\xa4"),
    E2_81("\xa6"),
    E2_81("\xa7"),
    E2_81("\xa8"),
    E2_81("\xa9"),
    {"\xef\xbb\xbf", ZERO_WIDTH},
    {"\xef\xb8\x80", SELECTORS},
    {"\xef\xb8\x81", SELECTORS},
    {"\xef\xb8\x82", SELECTORS},
    {"\xef\xb8\x83", SELECTORS},
    {"\xef\xb8\x84", SELECTORS},
    {"\xef\xb8\x85", SELECTORS},
    {"\xef\xb8\x86", SELECTORS},
    {"\xef\xb8\x87", SELECTORS},
    {"\xef\xb8\x88", SELECTORS},
    {"\xef\xb8\x89", SELECTORS},
    {"\xef\xb8\x8a", SELECTORS},
    {"\xef\xb8\x8b", SELECTORS},
    {"\xef\xb8\x8c", SELECTORS},
    {"\xef\xb8\x8d", SELECTORS},
    {"\xef\xb8\x8e", SELECTORS},
    {"\xef\xb8\x8f", SELECTORS},
    {"\xf3\xa0\x80", TAGS},
    {"\xf3\xa0\x81", TAGS},
    {"\xf3\xa0\x84", SELECTORS},
    {"\xf3\xa0\x85", SELECTORS},
    {"\xf3\xa0\x86", SELECTORS},
    {"\xf3\xa0\x87", SELECTORS},
};
/* NOLINTEND(misc-misleading-bidirectional) */

const aicpi_guard_detector aicpi_guard_detector_invisible = {
    .name = "invisible",
    .rules = rules,
    .rule_count = sizeof rules / sizeof *rules,
    .literals = literals,
    .literal_count = sizeof literals / sizeof *literals,
    .reach = reach,
    .confirm = confirm,
};
