/* The normalised view: what a reader (or a model) takes the characters for. A pragmatic part of
 * NFKC with case folding plus look-alikes; the same folding is applied to our literals. */
#include "lib/guardrail/fold_tables.h"
#include "lib/guardrail/guardrail_internal.h"

#define DROP UINT32_MAX
#define BLANK ((uint32_t)' ')
#define NEWLINE ((uint32_t)'\n')

static bool in(uint32_t c, uint32_t first, uint32_t last) {
    return c - first <= last - first;
}

static bool is_invisible(uint32_t c) {
    return c == 0xad || in(c, 0x300, 0x36f) || c == 0x61c || in(c, 0x115f, 0x1160) ||
           in(c, 0x17b4, 0x17b5) || in(c, 0x180b, 0x180e) || in(c, 0x200b, 0x200f) ||
           in(c, 0x202a, 0x202e) || in(c, 0x2060, 0x206f) || c == 0x3164 || in(c, 0xfe00, 0xfe0f) ||
           c == 0xfeff || c == 0xffa0 || in(c, 0xe0000, 0xe0fff);
}

static uint32_t fold_greek_cyrillic(uint32_t c) {
    if (in(c, 0x391, 0x3a9)) {
        c += 0x20;
    } else if (in(c, 0x400, 0x40f)) {
        c += 0x50;
    } else if (in(c, 0x410, 0x42f)) {
        c += 0x20;
    }
    char letter = '.';
    if (in(c, 0x3b1, 0x3c9)) {
        letter = fold_greek[c - 0x3b1];
    } else if (in(c, 0x430, 0x45f)) {
        letter = fold_cyrillic[c - 0x430];
    }
    return letter == '.' ? c : (uint32_t)letter;
}

static uint32_t fold_punctuation(uint32_t c) {
    if (in(c, 0x2000, 0x200a) || c == 0x202f || c == 0x205f) {
        return BLANK;
    }
    if (in(c, 0x2028, 0x2029)) {
        return NEWLINE;
    }
    if (in(c, 0x2010, 0x2015)) {
        return '-';
    }
    if (in(c, 0x2018, 0x201b)) {
        return '\'';
    }
    if (in(c, 0x201c, 0x201f)) {
        return '"';
    }
    return c;
}

/* Letters drawn in another style: full width, circled, mathematical. */
static uint32_t fold_styled(uint32_t c) {
    if (in(c, 0xff01, 0xff5e)) {
        c -= 0xfee0;
    } else if (in(c, 0x24b6, 0x24e9)) {
        c = 'a' + (c - 0x24b6) % 26;
    } else if (in(c, 0x1d400, 0x1d6a3)) {
        c = 'a' + (c - 0x1d400) % 26;
    } else if (in(c, 0x1d7ce, 0x1d7ff)) {
        c = '0' + (c - 0x1d7ce) % 10;
    } else if (in(c, 0x1f130, 0x1f149) || in(c, 0x1f150, 0x1f169) || in(c, 0x1f170, 0x1f189)) {
        c = 'a' + (c - 0x1f130) % 32;
    } else if (c == 0x3000) {
        return BLANK;
    }
    return in(c, 'A', 'Z') ? c + 32 : c;
}

static uint32_t fold_scalar(uint32_t c) {
    if (is_invisible(c)) {
        return DROP;
    }
    if (in(c, 0xc0, 0x17f)) {
        char letter = fold_latin[c - 0xc0];
        return letter == '.' ? c : (uint32_t)letter;
    }
    if (in(c, 0x391, 0x45f)) {
        return fold_greek_cyrillic(c);
    }
    if (in(c, 0x1e00, 0x1eff)) {
        char letter = fold_latin_more[c - 0x1e00];
        return letter == '.' ? c : (uint32_t)letter;
    }
    if (in(c, 0x2000, 0x205f)) {
        return fold_punctuation(c);
    }
    if (c == 0xa0 || c == 0x85 || c == 0x1680) {
        return BLANK;
    }
    return c >= 0x24b6 ? fold_styled(c) : c;
}

/* Digits inside words stand for the letters that they look like. */
static char fold_digit(char c) {
    static const char letters[] = "oi.eas.t..";
    char letter = letters[c - '0'];
    return letter == '.' ? c : letter;
}

/* A run of blanks is written when the character behind it comes, as one blank or newline. */
static void note_blank(aicpi_guard_folder *f, bool newline) {
    if (!f->pending) {
        f->pending = ' ';
        f->pending_at = f->at;
    }
    if (newline) {
        f->pending = '\n';
    }
    f->letter = false;
}

#define DIGITS_AHEAD 4

/* The character behind a few digits, a digit behind many; 0 at the end of the text. */
static char behind_digits(aicpi_slice text, size_t i) {
    size_t most = text.len - i > DIGITS_AHEAD ? i + DIGITS_AHEAD : text.len;
    while (i < most && aicpi_is_digit(text.data[i])) {
        i++;
    }
    return i < text.len ? text.data[i] : '\0';
}

/* What stands for one ASCII character; DROP for blanks. */
static uint32_t fold_ascii(aicpi_guard_folder *f, aicpi_slice text, size_t i) {
    char c = aicpi_lower(text.data[i]);
    if ((unsigned char)c <= ' ' || c == 0x7f) {
        note_blank(f, c == '\n' || c == '\r');
        return DROP;
    }
    if (aicpi_is_digit(c) && !f->plain && (f->letter || aicpi_is_alpha(behind_digits(text, i)))) {
        c = fold_digit(c);
    }
    return (unsigned char)c;
}

/* Reads one character; *width 0: wait for more bytes. */
static uint32_t
fold_next(aicpi_guard_folder *f, aicpi_slice text, size_t i, bool final, size_t *width) {
    const char *p = text.data + i;
    size_t left = text.len - i;
    *width = 1;
    if ((unsigned char)*p < 0x80) {
        if (!final && !f->plain && left <= DIGITS_AHEAD && aicpi_is_digit(*p) &&
            behind_digits(text, i) == 0) {
            *width = 0;
            return DROP;
        }
        return fold_ascii(f, text, i);
    }
    uint32_t scalar = 0;
    *width = aicpi_utf8_decode(p, left, &scalar);
    if (*width == 0) {
        /* A byte that belongs to no character is left out of the view. */
        *width = !final && left < 4 ? 0 : 1;
        return DROP;
    }
    uint32_t c = fold_scalar(scalar);
    if (c == BLANK || c == NEWLINE) {
        note_blank(f, c == NEWLINE);
        return DROP;
    }
    return c;
}

static size_t
write_char(aicpi_guard_folder *f, uint32_t c, char *out, aicpi_guard_step *places, size_t n) {
    if (f->pending) {
        places[n] = f->pending_at;
        out[n++] = f->plain ? ' ' : f->pending;
        f->pending = 0;
    }
    size_t bytes = 1;
    if (c < 0x80) {
        out[n] = (char)c;
    } else {
        bytes = aicpi_utf8_encode(c, out + n);
    }
    for (size_t k = 0; k < bytes; k++) {
        places[n + k] = f->at;
    }
    f->letter = in(c, 'a', 'z');
    return n + bytes;
}

/* Characters that stand for themselves, and single blanks between them: nearly all of a text. */
static size_t fold_plain_run(
    aicpi_guard_folder *f,
    aicpi_slice text,
    size_t *i,
    char *out,
    aicpi_guard_step *places,
    size_t n) {
    const unsigned char *p = (const unsigned char *)text.data;
    aicpi_guard_step at = f->at;
    size_t k = *i;
    size_t start = n;
    while (k < text.len) {
        unsigned char c = fold_plain[p[k]];
        if (c == 0) {
            /* A blank between two such characters needs no second look. */
            if (p[k] != ' ' || k + 1 >= text.len || fold_plain[p[k + 1]] == 0 || n == start) {
                break;
            }
            c = ' ';
        }
        out[n] = (char)c;
        places[n] = at;
        at += AICPI_GUARD_STEP(1, 1);
        n++;
        k++;
    }
    if (n > start) {
        f->letter = in((unsigned char)out[n - 1], 'a', 'z');
    }
    f->at = at;
    *i = k;
    return n;
}

size_t aicpi_guard_fold(
    aicpi_guard_folder *folder,
    aicpi_slice text,
    bool final,
    char *out,
    aicpi_guard_step *places,
    size_t *used) {
    size_t i = 0;
    size_t n = 0;
    while (i < text.len) {
        if (!folder->pending && fold_plain[(unsigned char)text.data[i]]) {
            n = fold_plain_run(folder, text, &i, out, places, n);
            continue;
        }
        size_t width = 0;
        uint32_t c = fold_next(folder, text, i, final, &width);
        if (width == 0) {
            break;
        }
        if (c != DROP) {
            n = write_char(folder, c, out, places, n);
        }
        folder->at += AICPI_GUARD_STEP(width, ((unsigned char)text.data[i] & 0xc0) != 0x80);
        i += width;
    }
    *used = i;
    return n;
}
