/* Bodies from outside: reading never crashes, texts lie inside the body, and putting every text
 * back where it stood gives a body that reads the same. */
#include "lib/gate/gate_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
    if (!ok) {
        abort();
    }
}

static void read_twice(aicpi_arena *arena, const char *json, size_t len) {
    aicpi_body body;
    if (aicpi_body_read_request(&body, arena, json, len, NULL) != AICP_OK) {
        return;
    }
    aicpi_strbuf out;
    aicpi_strbuf_init(&out, NULL, AICPI_STRBUF_MAX);
    aicpi_patch *patches = aicpi_arena_calloc(arena, body.text_count + 1, sizeof *patches);
    for (size_t i = 0; i < body.text_count; i++) {
        const aicpi_text *t = &body.texts[i];
        check(t->offset + t->len <= len && json[t->offset] == '"');
        check(t->source >= AICP_GUARD_USER && t->source <= AICP_GUARD_SYSTEM);
        patches[i] = (aicpi_patch){t->offset, t->len, t->text, true};
    }
    aicpi_body_patch(&out, json, len, patches, body.text_count);
    aicpi_body again;
    check(aicpi_body_read_request(&again, arena, out.data, out.len, NULL) == AICP_OK);
    check(again.text_count == body.text_count);
    for (size_t i = 0; i < body.text_count; i++) {
        check(aicpi_slice_eq(again.texts[i].text, body.texts[i].text));
    }
    aicpi_strbuf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicpi_arena arena;
    aicpi_body answer;
    aicpi_arena_init(&arena, NULL, 0, 0);
    read_twice(&arena, (const char *)data, size);
    (void)!aicpi_body_read_answer(&answer, &arena, (const char *)data, size, NULL);
    aicpi_arena_deinit(&arena);
    return 0;
}
