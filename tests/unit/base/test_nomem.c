/* Every allocation of the base module fails in turn: nothing leaks, nothing crashes, and what is
 * reported is "out of memory". */
#include "unit/support.h"

#include "lib/base/arena.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>

static bool fill_strbuf(void *user, const aicp_allocator *a) {
    (void)user;
    aicpi_strbuf b;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    aicpi_strbuf_init(&b, a, AICPI_STRBUF_MAX);
    for (int i = 0; i < 100; i++) {
        aicpi_strbuf_printf(&b, "%d,", i);
    }
    aicpi_strbuf_json(&b, "a\n\"b\"\xff", 6);
    aicp_status status = aicpi_strbuf_take(&b, &out, &err);
    bool ok = status == AICP_OK || (status == AICP_ERR_NOMEM && out.data == NULL);
    aicp_buf_free(&out);
    return ok;
}

Test(nomem, strbuf_reports_and_frees) {
    cr_assert_gt(test_every_allocation_failing(fill_strbuf, NULL), 2);
}

static bool fill_map(void *user, const aicp_allocator *a) {
    (void)user;
    static char keys[200][8];
    aicpi_map map;
    aicpi_map_init(&map, a);
    size_t in = 0;
    for (size_t i = 0; i < 200; i++) {
        int n = snprintf(keys[i], sizeof keys[i], "k%zu", i);
        bool inserted = false;
        aicpi_map_slot *slot = aicpi_map_put(&map, keys[i], (size_t)n, &inserted);
        if (slot) {
            slot->value.u64 = i;
            in++;
        }
    }
    bool ok = map.count == in;
    for (size_t i = 0; i < 200; i++) {
        aicpi_map_slot *slot = aicpi_map_find(&map, keys[i], strlen(keys[i]));
        ok = ok && (!slot || slot->value.u64 == i);
    }
    aicpi_map_deinit(&map);
    return ok;
}

Test(nomem, map_keeps_what_it_took) {
    cr_assert_gt(test_every_allocation_failing(fill_map, NULL), 3);
}

static bool read_json(void *user, const aicp_allocator *a) {
    const aicpi_slice *text = user;
    aicpi_arena arena;
    aicpi_json r;
    aicp_error err;
    aicpi_arena_init(&arena, a, 64, 0); /* small, so that it must ask often */
    aicpi_json_init(&r, &arena, text->data, text->len, 0);
    size_t members = 0;
    if (aicpi_json_object(&r)) {
        aicpi_slice key;
        while (aicpi_json_member(&r, &key)) {
            aicpi_slice value;
            members += aicpi_json_string(&r, &value);
        }
    }
    aicp_status status = aicpi_json_finish(&r, &err);
    aicpi_arena_deinit(&arena);
    return (status == AICP_OK && members == 60) || (status == AICP_ERR_NOMEM && err.message[0]);
}

Test(nomem, json_reader_stops_with_nomem) {
    char data[4096];
    size_t len = 0;
    for (int i = 0; i < 60; i++) {
        int n = snprintf(
            data + len, sizeof data - len, "%s\"key\\u00%02d\":\"v\\n\"", i ? "," : "{", i + 20);
        len += (size_t)n;
    }
    data[len++] = '}';
    aicpi_slice text = aicpi_slice_of(data, len);
    cr_assert_gt(test_every_allocation_failing(read_json, &text), 5);
}

static bool read_file(void *user, const aicp_allocator *a) {
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    aicp_status status = aicpi_file_read(a, user, 1 << 20, &out, &err);
    bool ok = status == AICP_OK ? out.len > 100 : status == AICP_ERR_NOMEM && out.data == NULL;
    aicp_buf_free(&out);
    return ok;
}

Test(nomem, file_read_frees) {
    char path[] = AICP_SOURCE_DIR "/tests/unit/base/test_nomem.c"; /* __FILE__ may be relative */
    cr_assert_gt(test_every_allocation_failing(read_file, path), 2);
}
