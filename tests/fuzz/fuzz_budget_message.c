/* What a server hands to aicp_ledger_serve(): the bytes as a body, and as the ledger's part. */
#include "aicp/budget.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static aicp_ledger *ledger(void) {
    static aicp_ledger *l;
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    a.limit_nano = INT64_C(100000000000);
    if (!l && (aicp_ledger_open("sqlite::memory:", 15, NULL, &l, NULL) != AICP_OK ||
               aicp_ledger_account_put(l, "a", 1, &a, 0, NULL) != AICP_OK)) {
        abort();
    }
    return l;
}

static void serve(const char *data, size_t len) {
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    aicp_status s = aicp_ledger_serve(ledger(), data, len, &out, &err);
    if ((s == AICP_OK) != (out.data != NULL)) {
        abort();
    }
    aicp_buf_free(&out);
}

static void serve_part(const uint8_t *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char head[] = "{\"format\":\"aicp-leases/1\",\"ledger\":{\"data\":\"";
    char *text = malloc(sizeof head + size / 3 * 4 + 16);
    if (!text) {
        return;
    }
    size_t n = sizeof head - 1;
    memcpy(text, head, n);
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | data[i];
        for (have += 8; have >= 6; have -= 6) {
            text[n++] = digits[bits >> (have - 6) & 63];
        }
    }
    if (have > 0) {
        text[n++] = digits[bits << (6 - have) & 63];
    }
    memcpy(text + n, "\"}}", 3);
    serve(text, n + 3);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 100000) {
        return 0;
    }
    serve((const char *)data, size);
    serve_part(data, size);
    return 0;
}
