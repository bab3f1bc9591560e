/* The stream parser: events must not depend on where the stream is cut. */
#include "lib/litellm/litellm_internal.h"

#include <stdlib.h>

typedef struct digest {
    uint64_t hash;
    size_t count;
} digest;

static bool note(void *user, aicpi_slice data) {
    digest *d = user;
    d->count++;
    for (size_t i = 0; i < data.len; i++) {
        d->hash = (d->hash ^ (unsigned char)data.data[i]) * UINT64_C(1099511628211);
    }
    d->hash = (d->hash ^ 0x100) * UINT64_C(1099511628211);
    return true;
}

static digest run(const char *data, size_t size, size_t piece) {
    digest d = {0, 0};
    aicpi_sse s;
    aicpi_sse_init(&s, NULL, note, &d);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = piece < size - at ? piece : size - at;
        if (aicpi_sse_feed(&s, data + at, n, NULL) != AICP_OK) {
            break;
        }
    }
    aicpi_sse_deinit(&s);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    digest whole = run((const char *)data, size, size);
    digest bytes = run((const char *)data, size, 1);
    digest pieces = run((const char *)data, size, 1 + data[0] % 7);
    if (whole.hash != bytes.hash || whole.count != bytes.count || whole.hash != pieces.hash) {
        abort();
    }
    return 0;
}
