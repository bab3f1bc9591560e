/* JSON web tokens: three base64url parts, the first two JSON objects, the first with "alg". */
#include "lib/guardrail/guardrail_internal.h"

static const aicp_guard_rule rules[] = {
    {"jwt",
     "JWT",
     "JSON web token",
     "header and claims decode to JSON objects",
     "",
     AICP_GUARD_SECRET,
     AICP_GUARD_MASK,
     0.9},
};

#define HEADER_MAX 512

static bool in_token(char c) {
    return aicpi_is_alnum(c) || c == '-' || c == '_';
}

static size_t part_end(const char *data, size_t i, size_t len) {
    while (i < len && in_token(data[i])) {
        i++;
    }
    return i;
}

/* Decodes base64url into `out` (room for size bytes); returns the bytes. */
static size_t decode(const char *data, size_t len, char *out, size_t size) {
    char text[HEADER_MAX * 4 / 3 + 4];
    unsigned char bytes[sizeof text];
    size_t n = len < sizeof text - 4 ? len : sizeof text - 4;
    n -= n % 4 == 1 ? 1 : 0;
    for (size_t i = 0; i < n; i++) {
        text[i] = data[i] == '-' ? '+' : data[i] == '_' ? '/' : data[i];
    }
    /* A cut in the middle of four characters leaves a shorter last byte group, which is fine. */
    size_t got = 0;
    if (!aicpi_base64_decode(text, n - (len > n ? n % 4 : 0), bytes, &got)) {
        return 0;
    }
    got = got < size ? got : size;
    memcpy(out, bytes, got);
    return got;
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    const char *data = p->data + p->anchor;
    size_t len = p->len - p->anchor;
    if (p->anchor > 0 && (in_token(data[-1]) || data[-1] == '.')) {
        return;
    }
    size_t header = part_end(data, 0, len);
    if (header < 12 || header >= len || data[header] != '.') {
        return;
    }
    size_t claims = part_end(data, header + 1, len);
    if (claims < header + 3 || claims >= len || data[claims] != '.') {
        return;
    }
    size_t end = part_end(data, claims + 1, len);
    char json[HEADER_MAX];
    size_t n = decode(data, header, json, sizeof json);
    if (n < 2 || json[0] != '{' || !memmem(json, n, "\"alg\"", 5)) {
        return;
    }
    n = decode(data + header + 1, claims - header - 1, json, sizeof json);
    if (n < 2 || json[0] != '{') {
        return;
    }
    aicpi_guard_report(p, 0, p->anchor, p->anchor + end, 0.9, true);
}

static size_t reach(const char *data, size_t len, size_t back) {
    size_t i = 0;
    if (back > 0 && (in_token(data[-1]) || data[-1] == '.')) {
        return 3; /* inside a token */
    }
    while (i < len && (in_token(data[i]) || data[i] == '.')) {
        i++;
    }
    return i < len ? i + 1 : len + 1;
}

static const aicpi_guard_literal literals[] = {{"eyJ", 0}};

const aicpi_guard_detector aicpi_guard_detector_jwt = {
    .name = "jwt",
    .rules = rules,
    .rule_count = 1,
    .literals = literals,
    .literal_count = 1,
    .decoded = true,
    .reach = reach,
    .confirm = confirm,
};
