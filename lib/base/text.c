#include "lib/base/text.h"

/* Well-formed sequences: table 3-7 of the Unicode standard. */
size_t aicpi_utf8_decode(const char *data, size_t len, uint32_t *scalar) {
    const unsigned char *p = (const unsigned char *)data;
    unsigned char c = p[0];
    if (c < 0x80) {
        *scalar = c;
        return 1;
    }
    if (c >= 0xC2 && c <= 0xDF) {
        if (len < 2 || (p[1] & 0xC0) != 0x80) {
            return 0;
        }
        *scalar = (uint32_t)(c & 0x1F) << 6 | (p[1] & 0x3F);
        return 2;
    }
    if (c >= 0xE0 && c <= 0xEF) {
        unsigned char low = c == 0xE0 ? 0xA0 : 0x80;
        unsigned char high = c == 0xED ? 0x9F : 0xBF;
        if (len < 3 || p[1] < low || p[1] > high || (p[2] & 0xC0) != 0x80) {
            return 0;
        }
        *scalar = (uint32_t)(c & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        unsigned char low = c == 0xF0 ? 0x90 : 0x80;
        unsigned char high = c == 0xF4 ? 0x8F : 0xBF;
        if (len < 4 || p[1] < low || p[1] > high || (p[2] & 0xC0) != 0x80 ||
            (p[3] & 0xC0) != 0x80) {
            return 0;
        }
        *scalar = (uint32_t)(c & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
                  (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
        return 4;
    }
    return 0;
}

size_t aicpi_utf8_invalid(const char *data, size_t len) {
    const unsigned char *p = (const unsigned char *)data;
    unsigned char c = p[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t want = 0;
    if (c >= 0xC2 && c <= 0xDF) {
        want = 2;
    } else if (c >= 0xE0 && c <= 0xEF) {
        want = 3;
        low = c == 0xE0 ? 0xA0 : low;
        high = c == 0xED ? 0x9F : high;
    } else if (c >= 0xF0 && c <= 0xF4) {
        want = 4;
        low = c == 0xF0 ? 0x90 : low;
        high = c == 0xF4 ? 0x8F : high;
    } else {
        return 1;
    }
    size_t n = 1;
    while (n < want && n < len && p[n] >= low && p[n] <= high) {
        low = 0x80;
        high = 0xBF;
        n++;
    }
    return n;
}

size_t aicpi_utf8_encode(uint32_t scalar, char out[4]) {
    if (scalar < 0x80) {
        out[0] = (char)scalar;
        return 1;
    }
    if (scalar < 0x800) {
        out[0] = (char)(0xC0 | scalar >> 6);
        out[1] = (char)(0x80 | (scalar & 0x3F));
        return 2;
    }
    if (scalar < 0x10000) {
        out[0] = (char)(0xE0 | scalar >> 12);
        out[1] = (char)(0x80 | (scalar >> 6 & 0x3F));
        out[2] = (char)(0x80 | (scalar & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | scalar >> 18);
    out[1] = (char)(0x80 | (scalar >> 12 & 0x3F));
    out[2] = (char)(0x80 | (scalar >> 6 & 0x3F));
    out[3] = (char)(0x80 | (scalar & 0x3F));
    return 4;
}

bool aicpi_utf8_valid(const char *data, size_t len, size_t *offset) {
    size_t i = 0;
    while (i < len) {
        uint64_t word = 0;
        if (len - i >= sizeof word) { /* eight ASCII bytes at a time */
            memcpy(&word, data + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        uint32_t scalar = 0;
        size_t n = aicpi_utf8_decode(data + i, len - i, &scalar);
        if (n == 0) {
            if (offset) {
                *offset = i;
            }
            return false;
        }
        i += n;
    }
    return true;
}

size_t aicpi_utf8_cut(const char *data, size_t len, size_t most) {
    if (len <= most) {
        return len;
    }
    while (most > 0 && ((unsigned char)data[most] & 0xC0) == 0x80) {
        most--;
    }
    return most;
}

size_t aicpi_utf8_count(const char *data, size_t len) {
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        count += ((unsigned char)data[i] & 0xC0) != 0x80;
    }
    return count;
}

int aicpi_hex_value(char c) {
    if (aicpi_is_digit(c)) {
        return c - '0';
    }
    char l = aicpi_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool aicpi_slice_is_nocase(aicpi_slice a, const char *text) {
    if (a.len != strlen(text)) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (aicpi_lower(a.data[i]) != aicpi_lower(text[i])) {
            return false;
        }
    }
    return true;
}

size_t aicpi_edit_distance(aicpi_slice a, aicpi_slice b) {
    size_t row[AICPI_EDIT_LENGTH_MOST + 1];
    if (a.len > AICPI_EDIT_LENGTH_MOST || b.len > AICPI_EDIT_LENGTH_MOST) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = corner + (a.data[i - 1] == b.data[j - 1] ? 0 : 1);
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            corner = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[b.len];
}

void aicpi_hex_encode(const void *data, size_t len, char *out) {
    static const char hex[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex[p[i] >> 4];
        out[2 * i + 1] = hex[p[i] & 15];
    }
    out[2 * len] = '\0';
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (aicpi_is_digit(c)) {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool aicpi_base64_decode(const char *data, size_t len, unsigned char *out, size_t *out_len) {
    size_t pad = 0;
    while (pad < 2 && len > 0 && data[len - 1] == '=') {
        len--;
        pad++;
    }
    if (len % 4 == 1 || (pad > 0 && (len + pad) % 4 != 0)) {
        return false;
    }
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int v = base64_value(data[i]);
        if (v < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (unsigned char)(bits >> have);
        }
    }
    *out_len = n;
    return (bits & ((1U << have) - 1)) == 0; /* bits that stand for nothing must be zero */
}

bool aicpi_parse_u64(aicpi_slice text, uint64_t *out) {
    uint64_t value = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!aicpi_is_digit(text.data[i]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}
