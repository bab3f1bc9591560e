/* Error bodies of any shape, and bodies of none. */
#include "lib/base/text.h"
#include "lib/litellm/litellm_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, (size_t)64 << 20);
    aicpi_litellm_failure f;
    volatile char sink = 0;
    if (aicpi_litellm_failure_read(&arena, (const char *)data, size, &f)) {
        const aicpi_slice *fields[] = {&f.message, &f.type, &f.code, &f.param};
        for (size_t i = 0; i < 4; i++) { /* every byte must be readable */
            for (size_t k = 0; k < fields[i]->len; k++) {
                sink = (char)(sink ^ fields[i]->data[k]);
            }
        }
    }
    aicpi_arena_deinit(&arena);
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, 4096);
    aicpi_litellm_describe((const char *)data, size, &text);
    if (text.len == 0 || !aicpi_utf8_valid(text.data, text.len, NULL)) {
        abort();
    }
    aicpi_strbuf_deinit(&text);
    return 0;
}
