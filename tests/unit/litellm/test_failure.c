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
    {"{\"error\":{\"message\":\"{'error': 'a', 'b': 'c'}\"}}",
     "{'error': 'a', 'b': 'c'}",
     "",
     "",
     ""},
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
    cr_assert_eq(aicpi_litellm_status(422, AICPI_SLICE("")), AICP_ERR_LITELLM_REQUEST);
    cr_assert_eq(aicpi_litellm_status(500, AICPI_SLICE("")), AICP_ERR_LITELLM_SERVER);
}
