/* ipaddr: an IPv4 or IPv6 address or range. */
#include "lib/policy/extension.h"

#include "lib/base/text.h"

#include <stdio.h>
#include <string.h>

#define IP_TEXT_MOST 43 /* the longest IPv6 text with a prefix */

static const char bad_v4[] = "an IPv4 address is four numbers from 0 to 255 without leading zeros";
static const char bad_v6[] = "not an IPv6 address";
static const char bad_prefix[] = "the prefix after '/' is not a number in range";

/* Decimal digits without leading zeros, at most `most`. */
static bool small_number(aicpi_slice text, size_t digits, uint32_t most, uint32_t *out) {
    if (text.len == 0 || text.len > digits || (text.len > 1 && text.data[0] == '0')) {
        return false;
    }
    uint32_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!aicpi_is_digit(text.data[i])) {
            return false;
        }
        n = n * 10 + (uint32_t)(text.data[i] - '0');
    }
    *out = n;
    return n <= most;
}

static const char *parse_v4(aicpi_slice text, unsigned char out[16]) {
    size_t start = 0;
    for (size_t part = 0; part < 4; part++) {
        size_t end = start;
        while (end < text.len && text.data[end] != '.') {
            end++;
        }
        uint32_t n = 0;
        if (!small_number(aicpi_slice_of(text.data + start, end - start), 3, 255, &n)) {
            return bad_v4;
        }
        out[part] = (unsigned char)n;
        if ((part < 3) != (end < text.len)) {
            return bad_v4;
        }
        start = end + 1;
    }
    return NULL;
}

/* Up to four hex digits at *pos. */
static bool hex_group(aicpi_slice text, size_t *pos, uint32_t *out) {
    uint32_t n = 0;
    size_t digits = 0;
    while (*pos < text.len && digits < 4 && aicpi_hex_value(text.data[*pos]) >= 0) {
        n = n << 4 | (uint32_t)aicpi_hex_value(text.data[*pos]);
        ++*pos;
        digits++;
    }
    *out = n;
    return digits > 0;
}

static const char *parse_v6(aicpi_slice text, unsigned char out[16]) {
    uint32_t groups[8];
    size_t count = 0;
    size_t gap = SIZE_MAX; /* number of groups before "::" */
    size_t p = 0;
    if (text.len >= 2 && text.data[0] == ':' && text.data[1] == ':') {
        gap = 0;
        p = 2;
    }
    while (p < text.len) {
        if (count == 8 || !hex_group(text, &p, &groups[count])) {
            return bad_v6;
        }
        count++;
        if (p == text.len) {
            break;
        }
        if (text.data[p++] != ':' || p == text.len) {
            return bad_v6;
        }
        if (text.data[p] == ':') {
            if (gap != SIZE_MAX) {
                return bad_v6;
            }
            gap = count;
            p++;
        }
    }
    if (gap == SIZE_MAX ? count != 8 : count > 7) {
        return bad_v6;
    }
    memset(out, 0, 16);
    size_t skipped = 8 - count;
    for (size_t i = 0; i < count; i++) {
        size_t at = gap != SIZE_MAX && i >= gap ? i + skipped : i;
        out[2 * at] = (unsigned char)(groups[i] >> 8);
        out[2 * at + 1] = (unsigned char)(groups[i] & 0xFF);
    }
    return NULL;
}

const char *aicpi_policy_ip_parse(aicpi_slice text, aicpi_policy_ip *out) {
    if (text.len > IP_TEXT_MOST) {
        return "an IP address has at most 43 characters";
    }
    const char *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    aicpi_slice address = text;
    if (slash) {
        address.len = (size_t)(slash - text.data);
    }
    memset(out, 0, sizeof *out);
    out->v6 = address.len > 0 && memchr(address.data, ':', address.len) != NULL;
    const char *wrong = out->v6 ? parse_v6(address, out->bytes) : parse_v4(address, out->bytes);
    if (wrong) {
        return wrong;
    }
    uint32_t most = out->v6 ? 128 : 32;
    uint32_t prefix = most;
    if (slash) {
        aicpi_slice digits = aicpi_slice_of(slash + 1, text.len - address.len - 1);
        if (!small_number(digits, out->v6 ? 3 : 2, most, &prefix)) {
            return bad_prefix;
        }
    }
    out->prefix = (uint8_t)prefix;
    return NULL;
}

bool aicpi_policy_ip_is_loopback(const aicpi_policy_ip *ip) {
    static const unsigned char one[16] = {[15] = 1};
    if (ip->v6) {
        return ip->prefix == 128 && memcmp(ip->bytes, one, sizeof one) == 0;
    }
    return ip->prefix >= 8 && ip->bytes[0] == 127;
}

bool aicpi_policy_ip_is_multicast(const aicpi_policy_ip *ip) {
    if (ip->v6) {
        return ip->prefix >= 8 && ip->bytes[0] == 0xFF;
    }
    return ip->prefix >= 4 && (ip->bytes[0] & 0xF0) == 0xE0;
}

bool aicpi_policy_ip_in_range(const aicpi_policy_ip *ip, const aicpi_policy_ip *range) {
    /* A range lies within another when it is at least as narrow and shares the other's prefix. */
    if (ip->v6 != range->v6 || ip->prefix < range->prefix) {
        return false;
    }
    size_t whole = range->prefix / 8;
    size_t rest = range->prefix % 8;
    if (memcmp(ip->bytes, range->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || ((ip->bytes[whole] ^ range->bytes[whole]) >> (8 - rest)) == 0;
}

/* All numbers of the address in full. */
size_t aicpi_policy_ip_format(const aicpi_policy_ip *ip, char out[AICPI_POLICY_EXTENSION_TEXT]) {
    const size_t room = AICPI_POLICY_EXTENSION_TEXT;
    size_t len = 0;
    for (size_t i = 0; ip->v6 && i < 16; i += 2) {
        unsigned part = (unsigned)ip->bytes[i] << 8 | ip->bytes[i + 1];
        len += (size_t)snprintf(out + len, room - len, "%s%x", i > 0 ? ":" : "", part);
    }
    for (size_t i = 0; !ip->v6 && i < 4; i++) {
        unsigned part = ip->bytes[i];
        len += (size_t)snprintf(out + len, room - len, "%s%u", i > 0 ? "." : "", part);
    }
    if (ip->prefix != (ip->v6 ? 128 : 32)) {
        len += (size_t)snprintf(out + len, room - len, "/%u", (unsigned)ip->prefix);
    }
    return len;
}
