#include "lib/litellm/litellm_internal.h"

#include "unit/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Events joined with '|'. */
typedef struct log {
    char text[4096];
    int stop_after;
} log;

static bool note(void *user, aicpi_slice data) {
    log *l = user;
    size_t used = strlen(l->text);
    snprintf(l->text + used, sizeof l->text - used, "%.*s|", (int)data.len, data.data);
    return --l->stop_after != 0;
}

static const char STREAM[] = "\xEF\xBB\xBF: comment\n"
                             "data: {\"a\":1}\n\n"
                             "event: x\r\ndata:two\r\ndata: lines\r\n\r\n"
                             "data\r\r"
                             "id: 5\n\n"
                             "data:  spaced\n\n"
                             "data: [DONE]\n\n"
                             "data: never finished";
static const char EXPECTED[] = "{\"a\":1}|two\nlines|| spaced|[DONE]|";

Test(sse, events_are_the_same_however_the_stream_is_cut) {
    size_t len = sizeof STREAM - 1;
    for (size_t piece = 1; piece <= len; piece++) {
        log l = {.stop_after = -1};
        aicpi_sse s;
        aicpi_sse_init(&s, NULL, note, &l);
        for (size_t at = 0; at < len; at += piece) {
            size_t n = piece < len - at ? piece : len - at;
            cr_assert_eq(aicpi_sse_feed(&s, STREAM + at, n, NULL), AICP_OK);
        }
        cr_assert_str_eq(l.text, EXPECTED, "pieces of %zu", piece);
        aicpi_sse_deinit(&s);
    }
}

Test(sse, the_callback_stops_the_stream) {
    log l = {.stop_after = 2};
    aicpi_sse s;
    aicpi_sse_init(&s, NULL, note, &l);
    cr_assert_eq(aicpi_sse_feed(&s, STREAM, sizeof STREAM - 1, NULL), AICP_ERR_CALLBACK);
    cr_assert_str_eq(l.text, "{\"a\":1}|two\nlines|");
    aicpi_sse_deinit(&s);
}

Test(sse, an_endless_line_is_refused) {
    log l = {.stop_after = -1};
    aicpi_sse s;
    aicpi_sse_init(&s, NULL, note, &l);
    static char block[1 << 20];
    memset(block, 'x', sizeof block);
    aicp_status status = AICP_OK;
    for (int i = 0; i < 20 && status == AICP_OK; i++) {
        status = aicpi_sse_feed(&s, block, sizeof block, NULL);
    }
    cr_assert_eq(status, AICP_ERR_LIMIT);
    aicpi_sse_deinit(&s);
}
