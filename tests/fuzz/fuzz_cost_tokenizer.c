/* Any bytes: ids and count agree, decoding the ids gives the text (invalid parts as U+FFFD), and a
 * truncated text fits. */
#include "aicp/cost.h"

#include <stdlib.h>
#include <string.h>

static void check(int ok) {
    if (!ok) {
        abort();
    }
}

static void round_trip(const aicp_tokenizer *t, const char *data, size_t len, int32_t special) {
    aicp_buf ids = AICP_BUF_INIT;
    aicp_buf text = AICP_BUF_INIT;
    aicp_buf again = AICP_BUF_INIT;
    int64_t count = -1;
    check(aicp_tokenizer_encode(t, data, len, special, &ids, NULL) == AICP_OK);
    check(aicp_tokenizer_count(t, data, len, special, &count, NULL) == AICP_OK);
    check(ids.len == (size_t)count * sizeof(uint32_t));
    const uint32_t *p = (const uint32_t *)(const void *)ids.data;
    check(aicp_tokenizer_decode(t, p, (size_t)count, &text, NULL) == AICP_OK);
    check(aicp_tokenizer_encode(t, text.data, text.len, special, &again, NULL) == AICP_OK);
    check(again.len == ids.len && (ids.len == 0 || memcmp(again.data, ids.data, ids.len) == 0));
    aicp_buf_free(&ids);
    aicp_buf_free(&text);
    aicp_buf_free(&again);
}

static void truncate(const aicp_tokenizer *t, const char *data, size_t len, int64_t most) {
    size_t bytes = 0;
    int64_t tokens = -1;
    int64_t count = -1;
    check(aicp_tokenizer_truncate(t, data, len, most, &bytes, &tokens, NULL) == AICP_OK);
    check(bytes <= len && tokens <= most);
    check(aicp_tokenizer_count(t, data, bytes, AICP_SPECIAL_ORDINARY, &count, NULL) == AICP_OK);
    check(count == tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"o200k_base", "cl100k_base", "o200k_harmony"};
    if (size < 2) {
        return 0;
    }
    aicp_tokenizer *t = NULL;
    const char *name = names[data[0] % 3];
    check(aicp_tokenizer_open(name, strlen(name), NULL, &t, NULL) == AICP_OK);
    const char *text = (const char *)data + 2;
    round_trip(t, text, size - 2, AICP_SPECIAL_ORDINARY);
    round_trip(t, text, size - 2, AICP_SPECIAL_ALLOW);
    truncate(t, text, size - 2, data[1]);
    aicp_tokenizer_free(t);
    return 0;
}
