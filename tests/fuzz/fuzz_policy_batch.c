/* Requests as JSON: any bytes are answered or refused, one answer for each
 * line. */
#include "aicp/policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policies[] =
    "permit (principal == User::\"ann\", action, resource) when { context.n < 10 };"
    "forbid (principal, action in Action::\"all\", resource) when { context has a.b };";

/* Answers: each stands in a line. */
static size_t count_lines(const aicp_buf *out) {
    size_t count = 0;
    for (size_t i = 0; i < out->len; i++) {
        count += out->data[i] == '\n';
    }
    return count;
}

static size_t count_requests(const char *text, size_t size) {
    size_t count = 0;
    bool blank = true;
    for (size_t i = 0; i <= size; i++) {
        if (i == size || text[i] == '\n') {
            count += !blank;
            blank = true;
        } else {
            blank = blank && memchr(" \t\r", text[i], 3);
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_policy_set *set = NULL;
    aicp_policy_batch_options options = AICP_POLICY_BATCH_OPTIONS_INIT;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    const char *text = (const char *)data;
    if (aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &set, NULL) != AICP_OK) {
        abort();
    }
    aicp_status status = aicp_policy_authorize_json(set, NULL, &options, text, size, &out, &err);
    if ((status == AICP_OK) != (out.data != NULL) ||
        (status != AICP_OK && status != AICP_ERR_PARSE && status != AICP_ERR_LIMIT) ||
        (status != AICP_OK && err.column == 0)) {
        abort();
    }
    aicp_buf_free(&out);
    options.flags = AICP_POLICY_LINES | AICP_POLICY_DECISION_ONLY;
    if (aicp_policy_authorize_json(set, NULL, &options, text, size, &out, &err) != AICP_OK ||
        count_lines(&out) != count_requests(text, size)) {
        abort();
    }
    aicp_buf_free(&out);
    aicp_policy_set_free(set);
    return 0;
}
