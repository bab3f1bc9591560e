/* Runs of base64, hexadecimal or percent-encoded text: what they decode to is scanned too, and a
 * finding covers the run. */
#include "lib/guardrail/guardrail_internal.h"

#define LEAST_RUN 16
#define PROOF 18 /* decoded bytes that must look like text before the rest is decoded */

/* Bit 1: part of a run. */
static bool in_run(char c) {
    return aicpi_is_alnum(c) || c == '+' || c == '/' || c == '-' || c == '_' || c == '%';
}

static bool is_text(const unsigned char *data, size_t len, bool whole) {
    for (size_t i = 0; i < len; i++) {
        if (data[i] < ' ' && data[i] != '\n' && data[i] != '\r' && data[i] != '\t') {
            return false;
        }
        if (data[i] == 0x7f) {
            return false;
        }
    }
    size_t bad = 0;
    if (aicpi_utf8_valid((const char *)data, len, &bad)) {
        return true;
    }
    return !whole && len - bad < 4;
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Standard and URL alphabets. Gives up as soon as the result is no text. */
static size_t decode_base64(aicpi_slice run, char *out) {
    size_t n = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < run.len; i++) {
        int value = base64_value(run.data[i]);
        if (value < 0) {
            return 0;
        }
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 0) {
            continue;
        }
        out[n++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
        if (n == PROOF && !is_text((unsigned char *)out, n, false)) {
            return 0;
        }
    }
    return n;
}

static size_t decode_hex(aicpi_slice run, char *out) {
    size_t n = 0;
    for (size_t i = 0; i + 1 < run.len; i += 2) {
        int high = aicpi_hex_value(run.data[i]);
        int low = aicpi_hex_value(run.data[i + 1]);
        if (high < 0 || low < 0) {
            return 0;
        }
        out[n++] = (char)(high << 4 | low);
        if (n == PROOF && !is_text((unsigned char *)out, n, false)) {
            return 0;
        }
    }
    return n;
}

static size_t decode_percent(aicpi_slice run, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < run.len; i++) {
        int high = run.data[i] == '%' && i + 2 < run.len ? aicpi_hex_value(run.data[i + 1]) : -1;
        int low = high >= 0 ? aicpi_hex_value(run.data[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = run.data[i] == '+' ? ' ' : run.data[i];
        }
    }
    return n;
}

/* Decodes one run and scans the result. `out` has room for the run. */
static void try_run(
    aicp_guard_result *r,
    aicpi_slice run,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint8_t depth) {
    if (!r->decoded[depth]) {
        r->decoded[depth] = aicpi_alloc(&r->allocator, AICPI_GUARD_PIECE);
        if (!r->decoded[depth]) {
            aicpi_guard_note_error(r, AICP_ERR_NOMEM);
            return;
        }
    }
    char *out = r->decoded[depth];
    size_t (*const ways[])(aicpi_slice, char *) = {decode_hex, decode_base64, decode_percent};
    bool percent = memchr(run.data, '%', run.len) != NULL;
    for (size_t i = percent ? 2 : 0; i < (percent ? 3u : 2u); i++) {
        size_t n = ways[i](run, out);
        if (n >= LEAST_RUN / 2 && is_text((unsigned char *)out, n, true) &&
            r->decoded_bytes + n <= AICPI_GUARD_MAX_DECODED) {
            r->decoded_bytes += n;
            aicpi_guard_scan_payload(r, aicpi_slice_of(out, n), start, end, depth);
            return;
        }
    }
}

/* The next run at or behind *pos: start in *pos, end in *end. False: none is complete; *pos is
 * where to go on. */
static bool next_run(const char *data, size_t len, bool final, size_t *pos, size_t *end) {
    size_t i = *pos;
    while (i + LEAST_RUN <= len) {
        /* From the far end: one look rules out a whole stretch. */
        size_t k = LEAST_RUN;
        while (k > 0 && in_run(data[i + k - 1])) {
            k--;
        }
        if (k > 0) {
            i += k;
            continue;
        }
        size_t stop = i + LEAST_RUN;
        while (stop < len && stop - i < AICPI_GUARD_PIECE && in_run(data[stop])) {
            stop++;
        }
        *pos = i;
        *end = stop;
        return final || stop < len || stop - i == AICPI_GUARD_PIECE;
    }
    /* A shorter run at the end may still grow. */
    size_t start = len;
    while (!final && start > i && in_run(data[start - 1])) {
        start--;
    }
    *pos = start;
    return false;
}

aicpi_guard_place aicpi_guard_place_ahead(aicp_guard_result *r, uint64_t offset) {
    if (r->run_place.byte < r->base || r->run_place.byte > offset) {
        r->run_place = (aicpi_guard_place){r->base, r->base_chars};
    }
    if (offset > r->run_place.byte) {
        r->run_place.chr += aicpi_guard_count_chars(
            r->data + (r->run_place.byte - r->base), (size_t)(offset - r->run_place.byte));
        r->run_place.byte = offset;
    }
    return r->run_place;
}

void aicpi_guard_encoded_pass(aicp_guard_result *r) {
    size_t pos = (size_t)(r->run_pos - r->base);
    size_t end = 0;
    while (!aicpi_guard_stopped(r) && next_run(r->data, r->len, r->final, &pos, &end)) {
        if (r->decoded_bytes < AICPI_GUARD_MAX_DECODED) {
            aicpi_guard_place from = aicpi_guard_place_ahead(r, r->base + pos);
            aicpi_guard_place to = {r->base + end, from.chr + (end - pos)}; /* runs are ASCII */
            try_run(r, aicpi_slice_of(r->data + pos, end - pos), from, to, 0);
        }
        pos = end;
    }
    r->run_pos = r->base + pos;
}

void aicpi_guard_encoded_inner(
    aicp_guard_result *r,
    aicpi_slice text,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint8_t depth) {
    size_t pos = 0;
    size_t stop = 0;
    while (!aicpi_guard_stopped(r) && next_run(text.data, text.len, true, &pos, &stop)) {
        try_run(r, aicpi_slice_of(text.data + pos, stop - pos), start, end, depth);
        pos = stop;
    }
}
