/* What a text is made of, for the factor of a stand-in vocabulary. */
#include "lib/cost/profile.h"

/* o200k_base: bytes per token of each kind, in hundredths (prose, code, JSON as prose). */
static const uint32_t bytes_per_token[AICPI_CONTENT_COUNT] = {
    [AICPI_CONTENT_PROSE] = 458,
    [AICPI_CONTENT_CODE] = 458,
    [AICPI_CONTENT_JSON] = 458,
    [AICPI_CONTENT_HAN] = 405,
    [AICPI_CONTENT_KANA] = 403,
    [AICPI_CONTENT_CYRILLIC] = 713,
    [AICPI_CONTENT_ARABIC] = 553,
    [AICPI_CONTENT_DEVANAGARI] = 742,
};

/* Shares of ASCII bytes, in percent, from which a text is taken for code or JSON. */
enum { CODE_PUNCTUATION = 7, JSON_QUOTES = 5 };

static bool is_code_mark(uint8_t c) {
    static const char marks[] = "{}[]()<>;=_\\/|&*+#@$%^~`:";
    return c != 0 && memchr(marks, c, sizeof marks - 1) != NULL;
}

/* Kind of a character by its first two bytes. */
static aicpi_content kind_of(uint8_t lead, uint8_t next) {
    if (lead >= 0xD0 && lead <= 0xD4) {
        return AICPI_CONTENT_CYRILLIC;
    }
    if (lead >= 0xD7 && lead <= 0xDF) { /* Hebrew and Arabic */
        return AICPI_CONTENT_ARABIC;
    }
    if (lead == 0xE0) { /* Indic scripts and Thai */
        return AICPI_CONTENT_DEVANAGARI;
    }
    if (lead == 0xE3 && next >= 0x81 && next <= 0x83) {
        return AICPI_CONTENT_KANA;
    }
    return lead >= 0xE3 && lead <= 0xEF ? AICPI_CONTENT_HAN : AICPI_CONTENT_PROSE;
}

void aicpi_cost_content_add(aicpi_content_stats *stats, const char *data, size_t len) {
    const uint8_t *p = (const uint8_t *)data;
    for (size_t i = 0; i < len;) {
        if (p[i] < 0x80) {
            stats->bytes[AICPI_CONTENT_PROSE]++;
            stats->quotes += p[i] == '"';
            stats->punctuation += is_code_mark(p[i]);
            i++;
            continue;
        }
        size_t n = p[i] < 0xE0 ? 2 : p[i] < 0xF0 ? 3 : 4; /* whatever is invalid is little */
        stats->bytes[kind_of(p[i], i + 1 < len ? p[i + 1] : 0)] += n;
        i += n;
    }
}

int32_t aicpi_cost_content_factor(const aicpi_content_stats *stats, const aicpi_factors *factors) {
    uint64_t bytes[AICPI_CONTENT_COUNT];
    memcpy(bytes, stats->bytes, sizeof bytes);
    uint64_t ascii = bytes[AICPI_CONTENT_PROSE];
    if (stats->quotes * 100 >= ascii * JSON_QUOTES && stats->quotes > 0) {
        bytes[AICPI_CONTENT_JSON] = ascii;
        bytes[AICPI_CONTENT_PROSE] = 0;
    } else if (stats->punctuation * 100 >= ascii * CODE_PUNCTUATION && stats->punctuation > 0) {
        bytes[AICPI_CONTENT_CODE] = ascii;
        bytes[AICPI_CONTENT_PROSE] = 0;
    }
    if (bytes[AICPI_CONTENT_KANA] * 10 >= bytes[AICPI_CONTENT_HAN] &&
        bytes[AICPI_CONTENT_KANA] > 0) { /* Han among kana is Japanese */
        bytes[AICPI_CONTENT_KANA] += bytes[AICPI_CONTENT_HAN];
        bytes[AICPI_CONTENT_HAN] = 0;
    }
    uint64_t tokens = 0;
    uint64_t weighted = 0;
    for (size_t i = 0; i < AICPI_CONTENT_COUNT; i++) {
        uint64_t share = bytes[i] * 1000 / bytes_per_token[i];
        tokens += share;
        weighted += share * (uint64_t)factors->permille[i];
    }
    return tokens > 0 ? (int32_t)(weighted / tokens) : factors->permille[AICPI_CONTENT_PROSE];
}
