/* Tokens of images, and the size of a picture from its header. */
#include "lib/cost/profile.h"

#include "lib/base/text.h"

#include <math.h>

enum {
    MAX_SIDE = 1 << 20,
    UNKNOWN_TILES = 8,       /* most tiles after both shrinks: 4 x 2 */
    UNKNOWN_PATCHES = 30000, /* without a budget */
    GEMINI_TILES = 16,       /* pictures are scaled down to 3072 px: 4 x 4 */
    MAX_SEGMENTS = 1024,
};

static int64_t ceil_div(int64_t x, int64_t y) {
    return (x + y - 1) / y;
}

/* ---- rules ---- */

/* Shrinks to fit 2048 x 2048, then so that the short side is at most 768; tiles of 512. All as
 * fractions, so that whole multiples stay whole. */
static int64_t tiles_512(int64_t width, int64_t height) {
    int64_t large = width > height ? width : height;
    int64_t small = width > height ? height : width;
    int64_t num = large > 2048 ? small * 2048 : small; /* the short side is num / den */
    int64_t den = large > 2048 ? large : 1;
    if (num > 768 * den) {
        return 2 * ceil_div(768 * large, 512 * small);
    }
    return ceil_div(num, 512 * den) * ceil_div(large > 2048 ? 2048 : large, 512);
}

static int64_t patches_32(int64_t width, int64_t height, int64_t side, int64_t budget) {
    double w = (double)width;
    double h = (double)height;
    double large = w > h ? w : h;
    if (large > (double)side) {
        w = w * (double)side / large;
        h = h * (double)side / large;
    }
    double across = ceil(w / 32);
    double down = ceil(h / 32);
    if (budget > 0 && across * down > (double)budget) {
        double r = sqrt(1024.0 * (double)budget / (w * h));
        double fit_w = floor(w * r / 32) / (w * r / 32);
        double fit_h = floor(h * r / 32) / (h * r / 32);
        r *= fit_w < fit_h ? fit_w : fit_h;
        across = ceil(w * r / 32 - 1e-6);
        down = ceil(h * r / 32 - 1e-6);
        across = across < 1 ? 1 : across;
        down = down < 1 ? 1 : down;
    }
    int64_t patches = (int64_t)(across * down);
    return budget > 0 && patches > budget ? budget : patches;
}

/* Most patches of 28 px for a picture of this shape: the largest scale within both limits has a
 * side that is a whole number of patches. */
static int64_t patches_28(int64_t width, int64_t height, int64_t side, int64_t budget) {
    int64_t large = width > height ? width : height;
    int64_t small = width > height ? height : width;
    int64_t limit = large < side ? large : side;
    int64_t whole = ceil_div(limit, 28) * ceil_div(small * limit, large * 28);
    if (whole <= budget) {
        return whole;
    }
    int64_t best = 1;
    for (int64_t n = limit / 28; n > 0; n--) { /* long side of n patches */
        int64_t patches = n * ceil_div(small * n, large);
        if (patches <= budget) {
            best = patches;
            break;
        }
    }
    for (int64_t n = limit / 28; n > 0; n--) { /* short side of n patches */
        int64_t patches = n * ceil_div(large * n, small);
        if (patches <= budget && large * n * 28 <= limit * small) {
            return patches > best ? patches : best;
        }
    }
    return best;
}

static int64_t tiles_768(int64_t width, int64_t height) {
    if (width <= 384 && height <= 384) {
        return 1;
    }
    int64_t tiles = ceil_div(width, 768) * ceil_div(height, 768);
    return tiles < GEMINI_TILES ? tiles : GEMINI_TILES;
}

static int64_t by_patches(
    const aicpi_image_rule *rule, int64_t width, int64_t height, int32_t detail, int64_t *low) {
    int64_t side = rule->side[detail];
    int64_t budget = rule->budget[detail];
    int64_t patches;
    if (width > 0) {
        patches = patches_32(width, height, side, budget);
    } else {
        int64_t across = side / 32;
        int64_t most = across * across < UNKNOWN_PATCHES ? across * across : UNKNOWN_PATCHES;
        patches = budget > 0 && budget < most ? budget : most;
        *low = ceil_div(rule->factor_permille, 1000);
    }
    return ceil_div(patches * rule->factor_permille, 1000);
}

int64_t aicpi_cost_image_tokens(
    const aicpi_image_rule *rule, int64_t width, int64_t height, int32_t detail, int64_t *low) {
    bool known = width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE;
    int64_t high = 0;
    width = known ? width : 0;
    height = known ? height : 0;
    *low = -1;
    switch (rule->method) {
    case AICPI_IMAGE_TILES:
        high = rule->base;
        if (detail != AICP_DETAIL_LOW) {
            high += rule->tile * (known ? tiles_512(width, height) : UNKNOWN_TILES);
            *low = known ? high : rule->base + rule->tile;
        }
        break;
    case AICPI_IMAGE_PATCHES:
        high = by_patches(rule, width, height, detail, low);
        break;
    case AICPI_IMAGE_PATCHES_28:
        high = rule->budget[detail];
        if (known) {
            high = patches_28(width, height, rule->side[detail], high);
        } else {
            *low = 1;
        }
        break;
    case AICPI_IMAGE_TILES_768:
        high = rule->base * (known ? tiles_768(width, height) : GEMINI_TILES);
        *low = known ? high : rule->base;
        break;
    case AICPI_IMAGE_BY_DETAIL:
        high = rule->by_detail[detail];
        break;
    case AICPI_IMAGE_FLAT:
        high = rule->base;
        break;
    }
    *low = *low < 0 ? high : *low;
    return high;
}

/* ---- headers ---- */

/* Bytes of base64 text, read by their index. */
typedef struct picture {
    aicpi_slice text;
    size_t size;
} picture;

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
    if (c == '+' || c == '-') {
        return 62;
    }
    return c == '/' || c == '_' ? 63 : 0; /* nonsense gives a nonsense size, not an error */
}

static uint32_t byte_at(const picture *p, size_t i) {
    if (i >= p->size) {
        return 0;
    }
    size_t bit = i * 8;
    size_t at = bit / 6;
    uint32_t two = (uint32_t)base64_value(p->text.data[at]) << 6 |
                   (uint32_t)base64_value(p->text.data[at + 1]);
    return two >> (4 - bit % 6) & 0xFF;
}

static int64_t big_endian(const picture *p, size_t i, size_t n) {
    int64_t value = 0;
    for (size_t k = 0; k < n; k++) {
        value = value << 8 | byte_at(p, i + k);
    }
    return value;
}

static int64_t little_endian(const picture *p, size_t i, size_t n) {
    int64_t value = 0;
    for (size_t k = n; k > 0; k--) {
        value = value << 8 | byte_at(p, i + k - 1);
    }
    return value;
}

static bool begins(const picture *p, size_t at, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (byte_at(p, at + i) != (uint8_t)bytes[i]) {
            return false;
        }
    }
    return true;
}

/* Walks the segments to the frame header. */
static bool jpeg_size(const picture *p, int64_t *width, int64_t *height) {
    size_t at = 2;
    for (int i = 0; i < MAX_SEGMENTS && at + 9 < p->size; i++) {
        uint32_t marker = byte_at(p, at + 1);
        if (byte_at(p, at) != 0xFF) {
            return false;
        }
        if (marker == 0xFF) {
            at++; /* fill byte */
        } else if (
            marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 &&
            marker != 0xCC) {
            *height = big_endian(p, at + 5, 2);
            *width = big_endian(p, at + 7, 2);
            return true;
        } else if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
            at += 2;
        } else {
            at += 2 + (size_t)big_endian(p, at + 2, 2);
        }
    }
    return false;
}

static bool webp_size(const picture *p, int64_t *width, int64_t *height) {
    if (begins(p, 12, "VP8 ", 4)) {
        *width = little_endian(p, 26, 2) & 0x3FFF;
        *height = little_endian(p, 28, 2) & 0x3FFF;
    } else if (begins(p, 12, "VP8L", 4)) {
        int64_t bits = little_endian(p, 21, 4);
        *width = (bits & 0x3FFF) + 1;
        *height = (bits >> 14 & 0x3FFF) + 1;
    } else if (begins(p, 12, "VP8X", 4)) {
        *width = little_endian(p, 24, 3) + 1;
        *height = little_endian(p, 27, 3) + 1;
    } else {
        return false;
    }
    return true;
}

bool aicpi_cost_image_size(aicpi_slice url, int64_t *width, int64_t *height) {
    static const char mark[] = ";base64,";
    if (url.len > 5 && memcmp(url.data, "data:", 5) == 0) {
        size_t at = 5;
        while (at + sizeof mark - 1 < url.len && url.data[at] != ',' &&
               memcmp(url.data + at, mark, sizeof mark - 1) != 0) {
            at++;
        }
        at += sizeof mark - 1;
        if (at >= url.len || memcmp(url.data + at - sizeof mark + 1, mark, sizeof mark - 1) != 0) {
            return false;
        }
        url = aicpi_slice_of(url.data + at, url.len - at);
    }
    while (url.len > 0 && url.data[url.len - 1] == '=') {
        url.len--;
    }
    picture p = {url, url.len * 6 / 8};
    bool ok = false;
    if (p.size >= 30 && begins(&p, 0, "\x89PNG\r\n\x1a\n", 8)) {
        *width = big_endian(&p, 16, 4);
        *height = big_endian(&p, 20, 4);
        ok = true;
    } else if (p.size >= 10 && begins(&p, 0, "GIF8", 4)) {
        *width = little_endian(&p, 6, 2);
        *height = little_endian(&p, 8, 2);
        ok = true;
    } else if (p.size >= 30 && begins(&p, 0, "RIFF", 4) && begins(&p, 8, "WEBP", 4)) {
        ok = webp_size(&p, width, height);
    } else if (begins(&p, 0, "\xFF\xD8\xFF", 3)) {
        ok = jpeg_size(&p, width, height);
    }
    return ok && *width > 0 && *height > 0 && *width <= MAX_SIDE && *height <= MAX_SIDE;
}
