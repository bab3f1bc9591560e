/* What a proxy sends where our own code reads it, pages of lists and events of streams, and what a
 * caller gives as filters. */
#include "lib/base/text.h"
#include "lib/litellm/litellm_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_page(aicpi_arena *arena, aicpi_slice text) {
    aicpi_strbuf all;
    aicpi_litellm_page page;
    aicpi_strbuf_init(&all, NULL, (size_t)1 << 20);
    aicp_status status = aicpi_litellm_page_read(arena, text, "keys", &all, &page, NULL);
    if (status == AICP_OK && !page.found) {
        abort();
    }
    aicpi_strbuf_deinit(&all);
}

static void read_event(aicpi_arena *arena, aicpi_slice text) {
    aicp_litellm_usage usage = AICP_LITELLM_USAGE_INIT;
    aicpi_litellm_event event;
    aicpi_litellm_event_read(arena, text, &usage, &event);
    const char *end = event.error.data ? event.error.data + event.error.len : text.data;
    if (end < text.data || end > text.data + text.len || usage.input_tokens < -1) {
        abort();
    }
}

static void read_filters(aicpi_arena *arena, aicpi_slice text) {
    aicpi_strbuf path;
    aicpi_strbuf_init(&path, NULL, AICPI_LITELLM_PATH_MAX);
    aicpi_strbuf_puts(&path, "/x");
    aicp_status status = aicpi_litellm_filters(&path, arena, text, NULL);
    for (size_t i = 0; status == AICP_OK && i < path.len; i++) {
        char c = path.data[i];
        if (!aicpi_is_alnum(c) && !memchr("/?&=%-._~", c, 9)) {
            abort(); /* nothing of a value may change the query around it */
        }
    }
    aicpi_strbuf_deinit(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicpi_slice text = aicpi_slice_of((const char *)data, size);
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, (size_t)64 << 20);
    read_page(&arena, text);
    read_event(&arena, text);
    read_filters(&arena, text);
    aicpi_arena_deinit(&arena);
    return 0;
}
