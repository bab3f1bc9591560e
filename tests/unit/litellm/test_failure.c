#include "lib/base/text.h"
#include "lib/litellm/litellm_internal.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct shape {
    const char *body;
    const char *message;
    const char *type;
    const char *code;
    const char *param;
} shape;

static const shape SHAPES[] = {
    {"{\"error\":{\"message\":\"Budget has been exceeded!\",\"type\":\"budget_exceeded\","
     "\"param\":null,\"code\":\"422\"}}",
     "Budget has been exceeded!",
     "budget_exceeded",
     "422",
     ""},
    {"{\"error\":{\"message\":\"{'error': 'no such model'}\",\"type\":\"None\",\"param\":\"None\","
     "\"code\":400,\"provider_specific_fields\":{\"a\":[1]}}}",
     "no such model",
     "",
     "400",
     ""},
    {"{\"error\":{\"message\":\"{'error': \\\"it's\\\"}\"}}", "it's", "", "", ""},
    {"{\"error\":{\"message\":\"{'error': 'a', 'b': 'c'}\"}}", "a", "", "", ""},
    {"{\"error\":{\"message\":\"{'message': 'no team', 'x': [1]}\"}}", "no team", "", "", ""},
    {"{\"error\":{\"message\":\"{'error': 'it\\\\'s'}\"}}", "{'error': 'it\\'s'}", "", "", ""},
    {"{\"error\":{\"message\":\"{'error': 'open\"}}", "{'error': 'open", "", "", ""},
    {"{\"message\":\"no route\",\"code\":7}", "no route", "", "7", ""},
    {"{\"message\":\"outer\",\"error\":{\"message\":\"inner\"}}", "inner", "", "", ""},
    {"{\"error\":\"plain\"}", "plain", "", "", ""},
    {"{\"detail\":{\"error\":\"Only admins\"}}", "Only admins", "", "", ""},
    {"{\"detail\":{\"error\":{\"message\":\"m\",\"type\":\"t\"}}}", "m", "t", "", ""},
    {"{\"detail\":\"Not Found\"}", "Not Found", "", "", ""},
    {"{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"model\"],\"msg\":\"Field required\","
     "\"input\":{}},{\"type\":\"missing\",\"loc\":[\"body\",\"messages\",0],\"msg\":\"Bad\"}]}",
     "model: Field required; 0: Bad",
     "missing",
     "",
     "model"},
    {"{\"detail\":[]}", "request body refused", "", "", ""},
};

static void expect(aicpi_slice got, const char *wanted, const char *body) {
    cr_assert(
        got.len == strlen(wanted) && memcmp(got.data ? got.data : "", wanted, got.len) == 0,
        "\"%.*s\" instead of \"%s\" in %s",
        (int)got.len,
        got.data ? got.data : "",
        wanted,
        body);
}

Test(litellm_failure, every_shape_is_read) {
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        const shape *s = &SHAPES[i];
        aicpi_arena arena;
        aicpi_arena_init(&arena, NULL, 0, 0);
        aicpi_litellm_failure f;
        cr_assert(aicpi_litellm_failure_read(&arena, s->body, strlen(s->body), &f), "%s", s->body);
        expect(f.message, s->message, s->body);
        expect(f.type, s->type, s->body);
        expect(f.code, s->code, s->body);
        expect(f.param, s->param, s->body);
        aicpi_arena_deinit(&arena);
    }
}

Test(litellm_failure, other_bodies_are_no_error_bodies) {
    static const char *const BODIES[] = {
        "",
        "{}",
        "[]",
        "null",
        "<html>",
        "{\"error\":null}",
        "{\"type\":\"x\"}",
        "{\"data\":[]}",
        "{\"error\":{\"a\":",
        "{\"error\":\"x\"} y"};
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        aicpi_arena arena;
        aicpi_arena_init(&arena, NULL, 0, 0);
        aicpi_litellm_failure f;
        cr_assert(
            !aicpi_litellm_failure_read(&arena, BODIES[i], strlen(BODIES[i]), &f), "%s", BODIES[i]);
        cr_assert_null(f.message.data);
        aicpi_arena_deinit(&arena);
    }
}

Test(litellm_failure, the_type_of_a_budget_counts_more_than_the_status) {
    cr_assert_eq(
        aicpi_litellm_status(429, AICPI_SLICE("budget_exceeded")), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(
        aicpi_litellm_status(422, AICPI_SLICE("budget_exceeded")), AICP_ERR_BUDGET_EXCEEDED);
    cr_assert_eq(aicpi_litellm_status(429, AICPI_SLICE("throttling_error")), AICP_ERR_RATE_LIMITED);
    cr_assert_eq(aicpi_litellm_status(401, AICPI_SLICE("")), AICP_ERR_LITELLM_AUTH);
    cr_assert_eq(aicpi_litellm_status(403, AICPI_SLICE("")), AICP_ERR_LITELLM_AUTH);
    cr_assert_eq(aicpi_litellm_status(404, AICPI_SLICE("")), AICP_ERR_NOT_FOUND);
    cr_assert_eq(aicpi_litellm_status(409, AICPI_SLICE("")), AICP_ERR_EXISTS);
    cr_assert_eq(aicpi_litellm_status(422, AICPI_SLICE("")), AICP_ERR_LITELLM_REQUEST);
    cr_assert_eq(aicpi_litellm_status(500, AICPI_SLICE("")), AICP_ERR_LITELLM_SERVER);
}

Test(litellm_failure, other_bodies_are_described_in_one_line) {
    static const char *const BODIES[][2] = {
        {"", "empty body"},
        {" \r\n\t", "empty body"},
        {"Internal Server Error\n", "Internal Server Error"},
        {"a\x01\x02  b\xff\xc3", "a b??"},
        {"{\"error\":{\"mess", "{\"error\":{\"mess"},
        {"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>x</h1></body></html>",
         "502 Bad Gateway"},
        {"\n<!DOCTYPE html><HTML><TITLE>Just a moment</TITLE>", "Just a moment"},
        {"<h1>Too\nlarge</h1><p>413</p>", "Too large 413"},
        {"<title>open", "open"},
        {"<html><body></body></html>", "page without text"},
        {"a < b", "a < b"},
    };
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        aicpi_strbuf text;
        aicpi_strbuf_init(&text, NULL, 4096);
        aicpi_litellm_describe(BODIES[i][0], strlen(BODIES[i][0]), &text);
        expect(aicpi_slice_of(text.data, text.len), BODIES[i][1], BODIES[i][0]);
        aicpi_strbuf_deinit(&text);
    }
}

Test(litellm_failure, a_long_body_is_cut_between_characters) {
    char body[1001] = "";
    for (size_t i = 0; i + 2 < sizeof body; i += 2) {
        memcpy(body + i, "\xC3\xA9", 3);
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, 4096);
    aicpi_litellm_describe(body + 0, strlen(body), &text);
    cr_assert_eq(text.len, 200);
    cr_assert(aicpi_utf8_valid(text.data, text.len, NULL));
    aicpi_strbuf_deinit(&text);
    aicpi_strbuf_init(&text, NULL, 4096);
    aicpi_litellm_describe(NULL, 0, &text);
    expect(aicpi_slice_of(text.data, text.len), "empty body", "nothing");
    aicpi_strbuf_deinit(&text);
}
