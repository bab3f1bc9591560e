#include "unit/support.h"

#include "lib/base/json.h"
#include "lib/base/strbuf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Reads one value of any kind and says how it went. */
static aicp_status skim(const char *data, size_t len, uint32_t depth, aicp_error *err) {
    aicpi_arena arena;
    aicpi_json r;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_json_init(&r, &arena, data, len, depth);
    aicpi_json_skip(&r);
    aicp_status status = aicpi_json_finish(&r, err);
    aicpi_arena_deinit(&arena);
    return status;
}

Test(json, accepts_what_rfc_8259_allows) {
    static const char *const good[] = {
        "null",
        " true ",
        "[]",
        "{}",
        "[[],{}]",
        "-0",
        "0.5e-3",
        "1E+2",
        "\"\"",
        "\"\\ud83d\\ude00\"",
        "{\"a\":{\"a\":1},\"b\":[\"a\",\"a\"]}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\xC3\xA9\"",
        "\"\x7f\"",
        "[1,2 , 3]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        aicp_error err;
        aicp_status status = skim(good[i], strlen(good[i]), 0, &err);
        cr_assert_eq(status, AICP_OK, "%s: %s", good[i], err.message);
    }
}

Test(json, refuses_everything_else) {
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "NaN",
        "Infinity",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[",
        "{",
        "]",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u123g\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"a\nb\"",
        "\"\x1f\"",
        "\"\xC3\"",
        "\"\xED\xA0\x80\"",
        "\"\xF5\x80\x80\x80\"",
        "\"\xC0\x80\"",
        "1 2",
        "[] x",
        "/**/1",
        "\xEF\xBB\xBF 1",
        "truefalse",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        aicp_error err;
        cr_assert_eq(skim(bad[i], strlen(bad[i]), 0, &err), AICP_ERR_PARSE, "accepted %s", bad[i]);
        cr_assert(err.message[0] != '\0' && err.line >= 1);
        cr_assert_leq(err.offset, strlen(bad[i]));
    }
}

Test(json, nul_byte_is_not_an_end) {
    cr_assert_eq(skim("1\0", 2, 0, NULL), AICP_ERR_PARSE);
    cr_assert_eq(skim("\"a\0b\"", 5, 0, NULL), AICP_ERR_PARSE);
}

Test(json, every_prefix_of_a_text_is_refused_without_reading_past_it) {
    static const char text[] =
        "{\"k\":[1,-2.5e1,\"\\ud83d\\ude00\",true,null,{\"x\":\"\xE2\x82\xAC\"}]}";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char *copy = malloc(len ? len : 1); /* exact, so that the sanitizer sees one byte too far */
        memcpy(copy, text, len);
        cr_assert_eq(skim(copy, len, 0, NULL), AICP_ERR_PARSE, "length %zu", len);
        free(copy);
    }
    cr_assert_eq(skim(text, sizeof text - 1, 0, NULL), AICP_OK);
}

Test(json, error_names_line_column_and_offset) {
    aicp_error err;
    static const char text[] = "{\n  \"a\": tru\n}";
    cr_assert_eq(skim(text, sizeof text - 1, 0, &err), AICP_ERR_PARSE);
    cr_assert_eq(err.line, 2);
    cr_assert_eq(err.column, 8);
    cr_assert_eq(err.offset, 9);
}

Test(json, nesting_is_limited) {
    char text[2 * 300];
    for (size_t depth = 1; depth < 300; depth += 7) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        cr_assert_eq(
            skim(text, 2 * depth, 0, NULL), depth <= AICPI_JSON_DEPTH ? AICP_OK : AICP_ERR_LIMIT);
        cr_assert_eq(skim(text, 2 * depth, 5, NULL), depth <= 5 ? AICP_OK : AICP_ERR_LIMIT);
    }
}

/* `depth` objects, each in an array of the one around it; the innermost ends with `last`. */
static size_t nest(char *text, size_t depth, const char *last) {
    char *at = text;
    for (size_t i = 0; i < depth; i++) {
        at = stpcpy(at, "{\"a\":[");
    }
    at = stpcpy(at, last);
    for (size_t i = 1; i < depth; i++) {
        at = stpcpy(at, "],\"b\":1}");
    }
    return (size_t)(at - text);
}

Test(json, a_reader_may_be_told_to_go_deeper) {
    enum { DEPTH = 5000 };
    char *text = malloc(DEPTH * strlen("{\"a\":[],\"b\":1}") + 1);
    cr_assert(text);
    size_t len = nest(text, DEPTH, "],\"b\":1}");
    cr_expect_eq(skim(text, len, 2 * DEPTH, NULL), AICP_OK);
    cr_expect_eq(skim(text, len, 2 * DEPTH - 1, NULL), AICP_ERR_LIMIT);
    len = nest(text, DEPTH, "],\"a\":1}");
    cr_expect_eq(skim(text, len, 2 * DEPTH, NULL), AICP_ERR_PARSE);
    free(text);
}

Test(json, duplicate_keys_are_found_among_thousands) {
    enum { COUNT = 3000 };
    char *text = malloc(COUNT * 10 + 32);
    size_t len = 0;
    for (int i = 0; i < COUNT; i++) {
        len += (size_t)snprintf(text + len, 16, "%c\"k%d\":0", i ? ',' : '{', i);
    }
    memcpy(text + len, "}", 2);
    cr_assert_eq(skim(text, len + 1, 0, NULL), AICP_OK);
    size_t more = (size_t)snprintf(text + len, 16, ",\"k%d\":0}", COUNT / 2);
    aicp_error err;
    cr_assert_eq(skim(text, len + more, 0, &err), AICP_ERR_PARSE);
    cr_assert_eq(err.offset, len + 1);
    free(text);
}

typedef struct reading {
    aicpi_arena arena;
    aicpi_json r;
} reading;

static void start(reading *x, const char *text) {
    aicpi_arena_init(&x->arena, NULL, 0, 0);
    aicpi_json_init(&x->r, &x->arena, text, strlen(text), 0);
}

static aicp_status finish(reading *x, aicp_error *err) {
    aicp_status status = aicpi_json_finish(&x->r, err);
    aicpi_arena_deinit(&x->arena);
    return status;
}

Test(json, plain_string_is_a_view_and_escaped_one_a_copy) {
    static const char text[] = "[\"plain\",\"es\\u0063aped \\ud83d\\ude00\"]";
    reading x;
    aicpi_slice a;
    aicpi_slice b;
    start(&x, text);
    cr_assert(aicpi_json_array(&x.r) && aicpi_json_element(&x.r) && aicpi_json_string(&x.r, &a));
    cr_assert(aicpi_json_element(&x.r) && aicpi_json_string(&x.r, &b));
    cr_assert_not(aicpi_json_element(&x.r));
    cr_assert(a.data == text + 2 && aicpi_slice_is(a, "plain"));
    cr_assert(aicpi_slice_is(b, "escaped \xF0\x9F\x98\x80"));
    cr_assert_eq(finish(&x, NULL), AICP_OK);
}

Test(json, span_gives_the_bytes_of_a_value) {
    reading x;
    aicpi_slice raw;
    start(&x, " { \"a\" : [1, {}] } ");
    cr_assert(aicpi_json_span(&x.r, &raw));
    cr_assert(aicpi_slice_is(raw, "{ \"a\" : [1, {}] }"));
    cr_assert_eq(finish(&x, NULL), AICP_OK);
}

static aicp_status read_int(const char *text, int64_t *out) {
    reading x;
    start(&x, text);
    aicpi_json_int64(&x.r, out);
    return finish(&x, NULL);
}

Test(json, integers_are_exact_to_their_borders) {
    int64_t v = 1;
    cr_assert_eq(read_int("9223372036854775807", &v), AICP_OK);
    cr_assert_eq(v, INT64_MAX);
    cr_assert_eq(read_int("-9223372036854775808", &v), AICP_OK);
    cr_assert_eq(v, INT64_MIN);
    cr_assert_eq(read_int("9223372036854775808", &v), AICP_ERR_RANGE);
    cr_assert_eq(read_int("-9223372036854775809", &v), AICP_ERR_RANGE);
    cr_assert_eq(read_int("1.0", &v), AICP_ERR_PARSE);
    cr_assert_eq(read_int("1e3", &v), AICP_ERR_PARSE);
    cr_assert_eq(read_int("\"1\"", &v), AICP_ERR_PARSE);
}

Test(json, number_too_large_for_double_is_refused) {
    reading x;
    double v = 0;
    start(&x, "1e999");
    aicpi_json_double(&x.r, &v);
    cr_assert_eq(finish(&x, NULL), AICP_ERR_RANGE);
}

Test(json, first_error_wins_and_stops_all_calls) {
    reading x;
    aicp_error err;
    aicpi_slice s;
    int64_t v = 0;
    start(&x, "{\"a\":1}");
    cr_assert_not(aicpi_json_array(&x.r));
    cr_assert_not(aicpi_json_fail(&x.r, AICP_ERR_INVALID, 3, "later"));
    cr_assert_not(aicpi_json_object(&x.r));
    cr_assert_not(aicpi_json_member(&x.r, &s));
    cr_assert_not(aicpi_json_int64(&x.r, &v));
    cr_assert_eq(finish(&x, &err), AICP_ERR_PARSE);
    cr_assert_str_eq(err.message, "expected an array, found an object");
}

Test(json, warm_arena_reads_without_the_heap) {
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    aicpi_arena arena;
    static const char text[] = "{\"a\":\"\\n\",\"b\":[{\"c\":1,\"d\":\"x\\ty\"}]}";
    aicpi_arena_init(&arena, &a, 0, 0);
    size_t warm = 0;
    for (int i = 0; i < 100; i++) {
        aicpi_json r;
        aicpi_slice s;
        aicpi_arena_reset(&arena);
        aicpi_json_init(&r, &arena, text, sizeof text - 1, 0);
        cr_assert(aicpi_json_span(&r, &s));
        cr_assert_eq(aicpi_json_finish(&r, NULL), AICP_OK);
        warm = i == 0 ? heap.allocations : warm;
    }
    cr_assert_eq(heap.allocations, warm);
    aicpi_arena_deinit(&arena);
    cr_assert_eq(heap.live, 0);
}

Test(json, a_text_is_written_alike_wherever_its_special_bytes_stand) {
    static const char special[] = {'"', '\\', '\n', 0x1f, 0x01, 0x7f, (char)0x80, (char)0xff, '!'};
    for (size_t s = 0; s < sizeof special; s++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            aicpi_strbuf whole, parts;
            memset(text, '#', sizeof text);
            text[at] = special[s];
            aicpi_strbuf_init(&whole, NULL, 1000);
            aicpi_strbuf_init(&parts, NULL, 1000);
            aicpi_strbuf_json_body(&whole, text, sizeof text);
            for (size_t i = 0; i < sizeof text; i++) {
                aicpi_strbuf_json_body(&parts, text + i, 1);
            }
            cr_assert_str_eq(whole.data, parts.data);
            aicpi_strbuf_deinit(&whole);
            aicpi_strbuf_deinit(&parts);
        }
    }
}

Test(json, whole_numbers_are_written_in_full) {
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-1, "-1"},
        {1234567890, "1234567890"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicpi_strbuf b;
        aicpi_strbuf_init(&b, NULL, 100);
        aicpi_strbuf_i64(&b, cases[i].value);
        cr_assert_str_eq(b.data, cases[i].text);
        aicpi_strbuf_deinit(&b);
    }
}
