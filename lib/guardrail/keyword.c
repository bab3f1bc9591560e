/* Keywords of a profile's own detectors, in a view of the text without case, accents, look-alikes
 * and invisible characters. All of them are looked for at once. */
#include "lib/guardrail/guardrail_internal.h"

static bool in(uint32_t c, uint32_t first, uint32_t last) {
    return c - first <= last - first;
}

/* Letters, digits and marks, of scripts that part words by blanks. Others write words without a
 * gap: a keyword among them has no border to be looked for. */
static bool parts_words(uint32_t c) {
    if (c < 0x80) {
        return aicpi_guard_is_word((char)c);
    }
    if (c < 0xc0) {
        return c == 0xaa || c == 0xb5 || c == 0xba;
    }
    bool symbol = c == 0xd7 || c == 0xf7 || in(c, 0x2000, 0x2bff) || in(c, 0xfe10, 0xfe6f) ||
                  in(c, 0xff00, 0xff20) || in(c, 0xfff0, 0xffff) || in(c, 0x1f000, 0x1faff);
    bool no_gaps = in(c, 0xe00, 0xeff) || in(c, 0x1000, 0x109f) || in(c, 0x1780, 0x17ff) ||
                   in(c, 0x2e80, 0xd7ff) || in(c, 0xf900, 0xfaff) || in(c, 0xff66, 0xff9f) ||
                   in(c, 0x20000, 0x3ffff);
    return !symbol && !no_gaps;
}

static uint32_t char_at(const aicpi_guard_norm *norm, size_t i) {
    uint32_t c = 0;
    return aicpi_utf8_decode(norm->text + i, norm->len - i, &c) > 0 ? c : ' ';
}

static uint32_t char_before(const aicpi_guard_norm *norm, size_t i) {
    if (i == 0) {
        return ' ';
    }
    do {
        i--;
    } while (i > 0 && ((unsigned char)norm->text[i] & 0xc0) == 0x80);
    return char_at(norm, i);
}

/* Nothing is glued to text[start..end). A border of the keyword that is no letter needs none. */
static bool is_whole_word(const aicpi_guard_norm *norm, size_t start, size_t end) {
    if (parts_words(char_at(norm, start)) && parts_words(char_before(norm, start))) {
        return false;
    }
    return end >= norm->len || !parts_words(char_before(norm, end)) ||
           !parts_words(char_at(norm, end));
}

static uint64_t offset_of(const aicpi_guard_norm *norm, size_t i) {
    return norm->origin.byte + (uint32_t)norm->places[i];
}

static void report(aicp_guard_result *r, const aicpi_guard_entry *entry, size_t end) {
    const aicpi_guard_norm *norm = &r->words;
    size_t start = end - entry->len;
    if (entry->detector && !is_whole_word(norm, start, end)) {
        return;
    }
    uint64_t last = offset_of(norm, end - 1);
    uint32_t c = 0;
    size_t left = (size_t)(r->base + r->len - last);
    size_t width = aicpi_utf8_decode(r->data + (last - r->base), left, &c);
    aicpi_guard_custom_found(r, entry->rule, offset_of(norm, start), last + (width ? width : 1));
}

static void report_all(aicp_guard_result *r, uint32_t state, size_t end) {
    const aicpi_guard_automaton *m = &r->profile->keywords;
    for (uint32_t s = state; s != 0; s = m->suffix[s]) {
        for (int32_t e = m->first[s]; e >= 0; e = m->entries[e].next) {
            report(r, &m->entries[e], end);
        }
    }
}

/* Reads the view on; stops at a keyword whose right border is not there yet. */
static void search(aicp_guard_result *r, bool final) {
    const aicpi_guard_automaton *m = &r->profile->keywords;
    aicpi_guard_norm *norm = &r->words;
    uint32_t s = r->word_state;
    size_t i = (size_t)(norm->searched - norm->base);
    for (; i < norm->len; i++) {
        uint32_t t = m->next[(size_t)s << m->shift | m->class_of[(unsigned char)norm->text[i]]];
        if (m->hot[t]) {
            if (i + 1 == norm->len && !final && !norm->folder.pending) {
                break;
            }
            report_all(r, t, i + 1);
        }
        s = t;
    }
    norm->searched = norm->base + i;
    r->word_state = s;
}

/* Forgets the view before what a keyword may still begin with and the character before that. */
static void forget(aicp_guard_result *r) {
    aicpi_guard_norm *norm = &r->words;
    size_t keep = r->profile->keywords.depth[r->word_state] + 4u;
    size_t done = (size_t)(norm->searched - norm->base);
    size_t drop = done > keep ? done - keep : 0;
    if (drop < AICPI_GUARD_NORM_BLOCK / 2) {
        return;
    }
    norm->len -= drop;
    memmove(norm->text, norm->text + drop, norm->len);
    memmove(norm->places, norm->places + drop, norm->len * sizeof *norm->places);
    norm->base += drop;
    aicpi_guard_norm_move_origin(norm);
}

static uint64_t hold(const aicp_guard_result *r) {
    const aicpi_guard_norm *norm = &r->words;
    size_t begun = r->profile->keywords.depth[r->word_state];
    size_t i = (size_t)(norm->searched - norm->base) - begun;
    return i < norm->len ? offset_of(norm, i) : r->word_pos;
}

uint64_t aicpi_guard_keyword_pass(aicp_guard_result *r) {
    uint64_t end = r->base + r->len;
    aicpi_guard_norm *norm = &r->words;
    bool last = false;
    while (!last && !aicpi_guard_check_time(r)) {
        size_t left = (size_t)(end - r->word_pos);
        size_t size = left > AICPI_GUARD_NORM_BLOCK ? AICPI_GUARD_NORM_BLOCK : left;
        last = size == left;
        if (!aicpi_guard_norm_reserve(&r->allocator, norm, AICPI_GUARD_FOLD_ROOM(size))) {
            aicpi_guard_note_error(r, AICP_ERR_NOMEM);
            break;
        }
        aicpi_slice piece = {r->data + (r->word_pos - r->base), size};
        size_t used = 0;
        norm->len += aicpi_guard_fold(
            &norm->folder,
            piece,
            last && r->final,
            norm->text + norm->len,
            norm->places + norm->len,
            &used);
        r->word_pos += used;
        search(r, last && r->final);
        forget(r);
    }
    return hold(r);
}
