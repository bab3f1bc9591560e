/* E-mail addresses: what people write as RFC 5322 dot-atoms, with international domains. */
#include "lib/guardrail/guardrail_internal.h"

#define LOCAL_MAX 64
#define DOMAIN_MAX 190
#define LABEL_MAX 63

static const aicp_guard_rule rules[] = {
    {"email",
     "EMAIL_ADDRESS",
     "E-mail address",
     "parts and lengths, top-level domain",
     "",
     AICP_GUARD_PII,
     AICP_GUARD_MASK,
     0.9},
};

static const char context[] = "|email|mail|e|contact|address|correo|adresse|courriel|";

static bool in_local(char c) {
    return aicpi_guard_is_word(c) || c == '.' || c == '+' || c == '-' || c == '%' || c == '\'';
}

static bool in_domain(char c) {
    return aicpi_is_alnum(c) || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

static size_t local_start(const aicpi_guard_probe *p) {
    size_t i = p->anchor;
    while (i > 0 && p->anchor - i < LOCAL_MAX && in_local(p->data[i - 1])) {
        i--;
    }
    if (i > 0 && in_local(p->data[i - 1])) {
        return p->anchor; /* longer than an address may be */
    }
    /* Quotes and dots that belong to the sentence. */
    while (i < p->anchor && !aicpi_guard_is_word(p->data[i])) {
        i++;
    }
    return i;
}

/* "https://user:password@host" names no mailbox. */
static bool is_userinfo(const aicpi_guard_probe *p, size_t start) {
    if (start == 0 || (p->data[start - 1] != ':' && p->data[start - 1] != '/')) {
        return false;
    }
    for (size_t i = start; i > 0 && (unsigned char)p->data[i - 1] > ' '; i--) {
        if (i >= 3 && memcmp(p->data + i - 3, "://", 3) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_top_level(const char *data, size_t len) {
    static const char *const files[] = {"png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js"};
    if (len < 2) {
        return false;
    }
    if (len > 4 && memcmp(data, "xn--", 4) == 0) {
        return true;
    }
    for (size_t i = 0; i < len; i++) {
        if (!aicpi_is_alpha(data[i]) && (unsigned char)data[i] < 0x80) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (aicpi_slice_is_nocase(aicpi_slice_of(data, len), files[i])) {
            return false;
        }
    }
    return true;
}

/* End of the domain at `start`, `start` when there is none. */
static size_t domain_end(const aicpi_guard_probe *p, size_t start) {
    size_t end = start;
    while (end < p->len && end - start < DOMAIN_MAX && in_domain(p->data[end])) {
        end++;
    }
    /* Full stops of the sentence; wide quotes and other marks right behind the domain. */
    while (end > start && !aicpi_is_alnum(p->data[end - 1]) &&
           (p->data[end - 1] == '.' || p->data[end - 1] == '-')) {
        end--;
    }
    size_t label = start;
    size_t dots = 0;
    for (size_t i = start; i <= end; i++) {
        if (i < end && p->data[i] != '.') {
            continue;
        }
        if (i == label || i - label > LABEL_MAX || p->data[label] == '-' || p->data[i - 1] == '-') {
            return start;
        }
        if (i == end) {
            return dots > 0 && is_top_level(p->data + label, end - label) ? end : start;
        }
        dots++;
        label = i + 1;
    }
    return start;
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    (void)rule;
    size_t start = local_start(p);
    size_t end = domain_end(p, p->anchor + 1);
    if (start == p->anchor || end == p->anchor + 1 || p->data[p->anchor - 1] == '.' ||
        end - start > 254) {
        return;
    }
    for (size_t i = start + 1; i < p->anchor; i++) {
        if (p->data[i] == '.' && p->data[i - 1] == '.') {
            return;
        }
    }
    aicpi_slice local = {p->data + start, p->anchor - start};
    if (aicpi_slice_is(local, "git") || is_userinfo(p, start)) {
        return;
    }
    aicpi_guard_report(p, 0, start, end, aicpi_guard_context(p, start, end, context, 0.9), false);
}

static size_t reach(const char *data, size_t len, size_t back) {
    (void)back;
    if (len < 2) {
        return 2;
    }
    return in_domain(data[1]) && data[1] != '.' ? aicpi_guard_word_reach(data, len) : 2;
}

static const aicpi_guard_literal literals[] = {{"@", 0}};

const aicpi_guard_detector aicpi_guard_detector_email = {
    .name = "email",
    .rules = rules,
    .rule_count = 1,
    .literals = literals,
    .literal_count = 1,
    .reach = reach,
    .confirm = confirm,
};
