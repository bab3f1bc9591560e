/* The formatter: what is laid out parses, means the same, has the same comments, and stays as it
 * is when laid out again. */
#include "aicp/policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks over the comments of a text. */
typedef struct walk {
    const char *data;
    size_t len;
    size_t pos;
} walk;

/* The next comment without the space behind it; false when there is none. */
static bool next_comment(walk *w, const char **text, size_t *len) {
    bool quoted = false;
    for (; w->pos < w->len; w->pos++) {
        char c = w->data[w->pos];
        if (quoted) {
            w->pos += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '/') {
            break;
        }
    }
    if (w->pos >= w->len) {
        return false;
    }
    *text = w->data + w->pos;
    while (w->pos < w->len && w->data[w->pos] != '\n' && w->data[w->pos] != '\r') {
        w->pos++;
    }
    *len = (size_t)(w->data + w->pos - *text);
    while ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t') {
        --*len;
    }
    return true;
}

static void expect_same_comments(walk a, walk b) {
    const char *x = NULL;
    const char *y = NULL;
    size_t x_len = 0;
    size_t y_len = 0;
    while (next_comment(&a, &x, &x_len)) {
        if (!next_comment(&b, &y, &y_len) || x_len != y_len || memcmp(x, y, x_len) != 0) {
            abort();
        }
    }
    if (next_comment(&b, &y, &y_len)) {
        abort();
    }
}

/* What the text means, as JSON. */
static aicp_buf meaning(const char *data, size_t len) {
    aicp_policy_set *set = NULL;
    aicp_buf out = AICP_BUF_INIT;
    if (aicp_policy_set_parse(data, len, NULL, &set, NULL) != AICP_OK ||
        aicp_policy_set_write(set, AICP_POLICY_FORMAT_JSON, &out, NULL) != AICP_OK) {
        abort();
    }
    aicp_policy_set_free(set);
    return out;
}

static void expect_equal(const aicp_buf *a, const aicp_buf *b) {
    if (a->len != b->len || (a->len > 0 && memcmp(a->data, b->data, a->len) != 0)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_policy_format_options options = AICP_POLICY_FORMAT_OPTIONS_INIT;
    options.line_width = (uint32_t)(size % 100 + 1);
    options.indent = (uint32_t)(size % 5);
    const char *text = (const char *)data;
    aicp_buf once = AICP_BUF_INIT;
    aicp_buf twice = AICP_BUF_INIT;
    aicp_error err = {0};
    if (aicp_policy_format(text, size, &options, &once, &err) != AICP_OK) {
        if (once.data || err.code == AICP_OK || err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    if (aicp_policy_format(once.data, once.len, &options, &twice, NULL) != AICP_OK) {
        abort();
    }
    expect_equal(&once, &twice);
    expect_same_comments((walk){text, size, 0}, (walk){once.data, once.len, 0});
    aicp_buf before = meaning(text, size);
    aicp_buf after = meaning(once.data, once.len);
    expect_equal(&before, &after);
    aicp_buf_free(&before);
    aicp_buf_free(&after);
    aicp_buf_free(&once);
    aicp_buf_free(&twice);
    return 0;
}
