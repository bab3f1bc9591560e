/* The recorded ids of 2,719 strings, both encodings. */
#include "tests/unit/cost/cost_test.h"

#include "lib/base/text.h"

enum { MAX_IDS = 1 << 16 };

typedef struct vector {
    int64_t id;
    aicpi_slice mode;
    aicpi_slice text;
    uint32_t *ids; /* expected */
    size_t count;
} vector;

static void read_ids(aicpi_json *r, vector *v) {
    v->count = 0;
    if (aicpi_json_array(r)) {
        while (aicpi_json_element(r)) {
            int64_t id = 0;
            aicpi_json_int64(r, &id);
            cr_assert_lt(v->count, MAX_IDS);
            v->ids[v->count++] = (uint32_t)id;
        }
    }
}

static void read_vector(aicpi_json *r, const char *encoding, aicpi_arena *arena, vector *v) {
    aicpi_slice key;
    aicpi_slice b64 = {NULL, 0};
    cr_assert(aicpi_json_object(r));
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "id")) {
            aicpi_json_int64(r, &v->id);
        } else if (aicpi_slice_is(key, "mode")) {
            aicpi_json_string(r, &v->mode);
        } else if (aicpi_slice_is(key, "text")) {
            aicpi_json_string(r, &v->text);
        } else if (aicpi_slice_is(key, "b64")) {
            aicpi_json_string(r, &b64);
        } else if (aicpi_slice_is(key, encoding) && b64.data == NULL) {
            read_ids(r, v);
        } else if (aicpi_slice_is(key, "replace")) {
            cr_assert(aicpi_json_object(r));
            while (aicpi_json_member(r, &key)) {
                if (aicpi_slice_is(key, encoding)) {
                    read_ids(r, v);
                } else {
                    aicpi_json_skip(r);
                }
            }
        } else {
            aicpi_json_skip(r);
        }
    }
    if (b64.data != NULL) {
        unsigned char *out = aicpi_arena_alloc(arena, b64.len + 4);
        size_t n = 0;
        cr_assert(aicpi_base64_decode(b64.data, b64.len, out, &n));
        v->text = aicpi_slice_of((const char *)out, n);
    }
}

static size_t check_all(const char *encoding) {
    static uint32_t expected[MAX_IDS];
    static uint32_t got[MAX_IDS];
    aicp_tokenizer *t = test_tokenizer(encoding);
    aicp_buf file = test_source_file("tests/data/cost/vectors.jsonl");
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 1 << 20, 0);
    size_t done = 0;
    for (const char *line = file.data; line < file.data + file.len;) {
        const char *eol = memchr(line, '\n', (size_t)(file.data + file.len - line));
        size_t len = eol != NULL ? (size_t)(eol - line) : (size_t)(file.data + file.len - line);
        aicpi_json r;
        vector v = {.ids = expected};
        aicp_error err = {0};
        aicpi_arena_reset(&arena);
        aicpi_json_init(&r, &arena, line, len, 0);
        read_vector(&r, encoding, &arena, &v);
        cr_assert_eq(aicpi_json_finish(&r, &err), AICP_OK, "%s", err.message);

        int32_t mode =
            aicpi_slice_is(v.mode, "special") ? AICP_SPECIAL_ALLOW : AICP_SPECIAL_ORDINARY;
        aicp_token_ids ids = {got, MAX_IDS, 0};
        cr_assert_eq(
            aicp_tokenizer_encode_into(t, v.text.data, v.text.len, mode, &ids, &err), AICP_OK);
        cr_assert_eq(ids.count, v.count, "vector %lld: count %zu", (long long)v.id, ids.count);
        cr_assert_arr_eq(got, expected, v.count * sizeof *got, "vector %lld", (long long)v.id);
        int64_t tokens = -1;
        cr_assert_eq(
            aicp_tokenizer_count(t, v.text.data, v.text.len, mode, &tokens, &err), AICP_OK);
        cr_assert_eq(tokens, (int64_t)v.count);
        if (!aicpi_slice_is(v.mode, "bytes")) {
            aicp_buf text = AICP_BUF_INIT;
            cr_assert_eq(aicp_tokenizer_decode(t, got, ids.count, &text, &err), AICP_OK);
            cr_assert_eq(text.len, v.text.len);
            cr_assert(text.len == 0 || memcmp(text.data, v.text.data, text.len) == 0);
            aicp_buf_free(&text);
        }
        done++;
        line += len + 1;
    }
    aicpi_arena_deinit(&arena);
    aicp_buf_free(&file);
    aicp_tokenizer_free(t);
    return done;
}

Test(vectors, o200k_ids_equal_the_recorded_ones) {
    cr_assert_eq(check_all("o200k_base"), 2719);
}

Test(vectors, cl100k_ids_equal_the_recorded_ones) {
    cr_assert_eq(check_all("cl100k_base"), 2719);
}
