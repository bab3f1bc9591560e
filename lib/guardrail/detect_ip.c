/* IPv4 and IPv6 addresses (RFC 4291, RFC 5952 forms, zone, mapped IPv4). */
#include "lib/guardrail/guardrail_internal.h"

static const aicp_guard_rule rules[] = {
    {"ipv4",
     "IP_ADDRESS",
     "IPv4 address",
     "ranges; no loopback, no version numbers",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     0.6},
    {"ipv6",
     "IP_ADDRESS",
     "IPv6 address",
     "groups; no loopback",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     0.6},
};

static const char context[] = "|ip|ips|ipv|host|address|addr|server|client|gateway|dns|ping|remote|"
                              "peer|subnet|node|adresse|direccion|";
static const char versions[] = "|v|ver|version|versions|release|build|firmware|section|chapter|"
                               "clause|paragraph|upgrade|versionadded|versionchanged|oid|"
                               "objectidentifier|identifier|";

/* ---- IPv4
 * -------------------------------------------------------------------------------------------- */

/* Reads "a.b.c.d" of ASCII digits; returns its length, 0 when it is none. */
static size_t read_ipv4(const char *data, size_t len, uint8_t octets[4]) {
    size_t i = 0;
    for (size_t k = 0; k < 4; k++) {
        unsigned value = 0;
        size_t start = i;
        while (i < len && aicpi_is_digit(data[i]) && i - start < 3) {
            value = value * 10 + (unsigned)(data[i++] - '0');
        }
        if (i == start || value > 255 || (i - start > 1 && data[start] == '0')) {
            return 0;
        }
        octets[k] = (uint8_t)value;
        if (k < 3) {
            if (i >= len || data[i] != '.') {
                return 0;
            }
            i++;
        }
    }
    return i;
}

static void confirm_ipv4(aicpi_guard_probe *p) {
    uint8_t octets[4];
    size_t n = read_ipv4(p->data + p->anchor, p->len - p->anchor, octets);
    size_t end = p->anchor + n;
    char before = p->anchor > 0 ? p->data[p->anchor - 1] : ' ';
    char after = end < p->len ? p->data[end] : ' ';
    char later = end + 1 < p->len ? p->data[end + 1] : ' ';
    bool goes_on = (after == '.' || after == '-' || after == ',') && aicpi_is_digit(later);
    if (n == 0 || aicpi_guard_is_word(before) || before == '.' || before == '-' ||
        aicpi_guard_is_word(after) || goes_on) {
        return;
    }
    bool mask = octets[0] == 255;
    if (octets[0] == 127 || octets[0] == 0 || mask) {
        return;
    }
    if (aicpi_guard_has_context(p, p->anchor, p->anchor, versions)) {
        return;
    }
    bool small = octets[0] < 20 && octets[1] < 20 && octets[2] < 20 && octets[3] < 20;
    double score = small && octets[0] != 10 ? 0.3 : 0.6;
    aicpi_guard_report(
        p, 0, p->anchor, end, aicpi_guard_context(p, p->anchor, end, context, score), false);
}

/* ---- IPv6
 * -------------------------------------------------------------------------------------------- */

typedef struct ipv6 {
    size_t groups;
    size_t digits;  /* decimal ones, which words do not have */
    size_t longest; /* digits of the longest group */
    bool gap;
    size_t len;
} ipv6;

static bool read_ipv6(const char *data, size_t len, ipv6 *out) {
    *out = (ipv6){0};
    size_t i = 0;
    if (len >= 2 && data[0] == ':' && data[1] == ':') {
        out->gap = true;
        i = 2;
    }
    while (i < len && out->groups < 8) {
        uint8_t octets[4];
        size_t v4 = read_ipv4(data + i, len - i, octets);
        if (v4 > 0 && out->groups > 0 + (out->gap ? 0u : 1u)) {
            out->groups += 2;
            out->digits += 4;
            i += v4;
            break;
        }
        size_t start = i;
        while (i < len && i - start < 4 && aicpi_hex_value(data[i]) >= 0) {
            out->digits += aicpi_is_digit(data[i]);
            i++;
        }
        if (i == start) {
            break;
        }
        out->groups++;
        out->longest = i - start > out->longest ? i - start : out->longest;
        out->len = i;
        if (i + 1 < len && data[i] == ':' && data[i + 1] == ':') {
            if (out->gap) {
                return false;
            }
            out->gap = true;
            i += 2;
            out->len = i;
        } else if (i + 1 < len && data[i] == ':' && aicpi_hex_value(data[i + 1]) >= 0) {
            i++;
        } else {
            break;
        }
    }
    out->len = i > out->len ? i : out->len;
    return out->gap ? out->groups <= 7 : out->groups == 8;
}

static void confirm_ipv6(aicpi_guard_probe *p) {
    size_t start = p->anchor;
    while (start > 0 && p->anchor - start < 4 && aicpi_hex_value(p->data[start - 1]) >= 0) {
        start--;
    }
    char before = start > 0 ? p->data[start - 1] : ' ';
    ipv6 a;
    if (aicpi_guard_is_word(before) || before == ':' || before == '.' ||
        !read_ipv6(p->data + start, p->len - start, &a)) {
        return;
    }
    size_t end = start + a.len;
    char after = end < p->len ? p->data[end] : ' ';
    if (aicpi_guard_is_word(after) || after == ':' || a.groups == 0) {
        return;
    }
    if (after == '%') { /* zone */
        size_t zone = end + 1;
        while (zone < p->len && aicpi_is_alnum(p->data[zone])) {
            zone++;
        }
        end = zone > end + 1 ? zone : end;
    }
    bool loopback = a.groups == 1 && a.gap && a.digits == 1 && p->data[end - 1] == '1';
    if (loopback) {
        return;
    }
    /* "dead::beef" may be a name in code, "[0::2]" is a slice. */
    bool code = a.digits == 0 || (a.groups < 3 && a.longest < 4);
    double score = code ? 0.2 : 0.6;
    aicpi_guard_report(p, 1, start, end, aicpi_guard_context(p, start, end, context, score), false);
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    if (p->number) {
        confirm_ipv4(p);
    } else {
        confirm_ipv6(p);
    }
}

static size_t reach(const char *data, size_t len, size_t back) {
    (void)back;
    if (len < 2) {
        return 2;
    }
    return data[1] == ':' || aicpi_hex_value(data[1]) >= 0 ? aicpi_guard_word_reach(data, len) : 2;
}

static const aicpi_guard_literal literals[] = {{":", 1}};

const aicpi_guard_detector aicpi_guard_detector_ip = {
    .name = "ip",
    .rules = rules,
    .rule_count = 2,
    .literals = literals,
    .literal_count = 1,
    .anchors = AICPI_GUARD_ON_NUMBER,
    .reach = reach,
    .confirm = confirm,
};
