/* Private keys in PEM and OpenPGP armour: the whole block is the span. */
#include "lib/guardrail/guardrail_internal.h"

static const aicp_guard_rule rules[] = {
    {"private-key",
     "PRIVATE_KEY",
     "Private key block (PEM, OpenSSH, OpenPGP)",
     "armour lines and body",
     "",
     AICP_GUARD_SECRET,
     AICP_GUARD_BLOCK,
     0.9},
};

#define HEAD_MAX 80

/* End of "-----BEGIN ... PRIVATE KEY...-----" at data[0], 0 when it is another block. */
static size_t head_end(const char *data, size_t len) {
    static const char word[] = "PRIVATE KEY";
    size_t i = 10;
    bool found = false;
    while (i < len && i < HEAD_MAX && (aicpi_is_alnum(data[i]) || data[i] == ' ')) {
        if (len - i >= sizeof word - 1 && memcmp(data + i, word, sizeof word - 1) == 0) {
            found = true;
        }
        i++;
    }
    if (!found || len - i < 5 || memcmp(data + i, "-----", 5) != 0) {
        return 0;
    }
    return i + 5;
}

/* Offset behind the closing line, or of the next block; `len` when neither is there. */
static size_t tail_end(const char *data, size_t from, size_t len) {
    for (size_t i = from; i + 9 <= len; i++) {
        const char *dash = memchr(data + i, '-', len - i);
        if (!dash) {
            return len;
        }
        i = (size_t)(dash - data);
        if (len - i >= 11 && memcmp(data + i, "-----BEGIN ", 11) == 0) {
            return i;
        }
        if (i + 9 <= len && memcmp(data + i, "-----END ", 9) == 0) {
            size_t end = i + 9;
            while (end < len && end - i < HEAD_MAX &&
                   (aicpi_is_alnum(data[end]) || data[end] == ' ')) {
                end++;
            }
            while (end < len && data[end] == '-') {
                end++;
            }
            return end;
        }
    }
    return len;
}

/* A block that is cut off reaches as far as its body does. */
static size_t body_end(const char *data, size_t from, size_t len) {
    size_t i = from;
    while (i < len && (aicpi_is_alnum(data[i]) || strchr("+/=\r\n\\ :,-", data[i])) && data[i]) {
        i++;
    }
    return i;
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    const char *data = p->data + p->anchor;
    size_t len = p->len - p->anchor;
    size_t head = head_end(data, len);
    if (head == 0) {
        return;
    }
    size_t end = tail_end(data, head, len);
    bool whole = end < len || memcmp(data + len - 1, "-", 1) == 0;
    if (!whole) {
        end = body_end(data, head, len);
    }
    size_t body = 0;
    for (size_t i = head; i < end; i++) {
        body += aicpi_is_alnum(data[i]);
    }
    if (body < 40) {
        return; /* only a mention of the line */
    }
    aicpi_guard_report(p, 0, p->anchor, p->anchor + end, 0.9, whole);
}

/* Until the closing line, at most the long reach. Other blocks need their first line only. */
static size_t reach(const char *data, size_t len, size_t back) {
    (void)back;
    if (len < HEAD_MAX + 8) {
        return HEAD_MAX + 8;
    }
    size_t head = head_end(data, len);
    if (head == 0) {
        return HEAD_MAX + 8;
    }
    size_t end = tail_end(data, head, len);
    return end < len ? end + 1 : len >= AICPI_GUARD_LONG_REACH ? AICPI_GUARD_LONG_REACH : len + 1;
}

static const aicpi_guard_literal literals[] = {{"-----BEGIN ", 0}};

const aicpi_guard_detector aicpi_guard_detector_private_key = {
    .name = "private_key",
    .rules = rules,
    .rule_count = 1,
    .literals = literals,
    .literal_count = 1,
    .decoded = true,
    .reach = reach,
    .confirm = confirm,
};
