/* Policies in JSON: any bytes are read or refused; what was read is written as JSON that reads as
 * the same, and each policy as a text that means the same. */
#include "aicp/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static aicp_policy_set *read_again(const aicp_buf *text, uint32_t max_depth) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.max_depth = max_depth;
    aicp_policy_set *set = NULL;
    if (aicp_policy_set_parse(text->data, text->len, &options, &set, NULL) != AICP_OK) {
        abort();
    }
    return set;
}

static void expect_equal(const aicp_buf *a, const aicp_buf *b) {
    if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0) {
        abort();
    }
}

typedef aicp_status (*write_fn)(
    const aicp_policy_set *set, size_t index, int32_t format, aicp_buf *out, aicp_error *err);

/* One policy or template: its text has the same JSON, by the same limit on depth. */
static void look_at(const aicp_policy_set *set, size_t index, write_fn write) {
    aicp_buf json = AICP_BUF_INIT;
    aicp_buf cedar = AICP_BUF_INIT;
    aicp_buf again = AICP_BUF_INIT;
    if (write(set, index, AICP_POLICY_FORMAT_JSON, &json, NULL) != AICP_OK ||
        write(set, index, AICP_POLICY_FORMAT_CEDAR, &cedar, NULL) != AICP_OK) {
        abort();
    }
    aicp_policy_set *second = read_again(&cedar, 64);
    if (write(second, 0, AICP_POLICY_FORMAT_JSON, &again, NULL) != AICP_OK) {
        abort();
    }
    expect_equal(&json, &again);
    aicp_policy_set_free(second);
    aicp_buf_free(&json);
    aicp_buf_free(&cedar);
    aicp_buf_free(&again);
}

static void look_at_set(const aicp_policy_set *set) {
    aicp_buf json = AICP_BUF_INIT;
    aicp_buf again = AICP_BUF_INIT;
    if (aicp_policy_set_write(set, AICP_POLICY_FORMAT_JSON, &json, NULL) != AICP_OK) {
        abort();
    }
    aicp_policy_set *second = read_again(&json, 64);
    if (aicp_policy_set_write(second, AICP_POLICY_FORMAT_JSON, &again, NULL) != AICP_OK) {
        abort();
    }
    expect_equal(&json, &again);
    for (size_t i = 0; i < aicp_policy_set_count(second); i++) {
        look_at(second, i, aicp_policy_set_write_policy);
    }
    for (size_t i = 0; i < aicp_policy_set_template_count(second); i++) {
        look_at(second, i, aicp_policy_set_write_template);
    }
    aicp_policy_set_free(second);
    aicp_buf_free(&json);
    aicp_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.max_depth = 64;
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    if (aicp_policy_set_parse((const char *)data, size, &options, &set, &err) == AICP_OK) {
        look_at_set(set);
        aicp_policy_set_free(set);
    } else if (set || err.code == AICP_OK || err.message[0] == '\0') {
        abort();
    }
    return 0;
}
