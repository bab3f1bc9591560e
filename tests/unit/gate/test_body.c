#include "lib/gate/gate_internal.h"

#include <criterion/criterion.h>

static aicpi_arena arena;

static void set_up(void) {
    aicpi_arena_init(&arena, NULL, 0, 0);
}

static void tear_down(void) {
    aicpi_arena_deinit(&arena);
}

TestSuite(body, .init = set_up, .fini = tear_down);

static aicpi_body read_request(const char *json) {
    aicpi_body body;
    aicp_error err = {0};
    cr_assert_eq(
        aicpi_body_read_request(&body, &arena, json, strlen(json), &err),
        AICP_OK,
        "%s",
        err.message);
    return body;
}

static void expect_text(const aicpi_body *b, size_t i, const char *text, int32_t source) {
    cr_assert_lt(i, b->text_count);
    cr_assert(
        aicpi_slice_is(b->texts[i].text, text),
        "text %zu is %.*s",
        i,
        (int)b->texts[i].text.len,
        b->texts[i].text.data);
    cr_assert_eq(
        b->texts[i].source, source, "source of text %zu is %d", i, (int)b->texts[i].source);
}

Test(body, gives_each_message_the_source_of_its_role) {
    aicpi_body b =
        read_request("{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},"
                     "{\"content\":\"hello\",\"role\":\"user\"},{\"role\":\"tool\",\"tool_call_"
                     "id\":\"x\",\"content\":\"42\"},"
                     "{\"role\":\"assistant\",\"content\":\"hi\"}]}");
    cr_assert_eq(b.text_count, 4);
    expect_text(&b, 0, "be kind", AICP_GUARD_SYSTEM);
    expect_text(&b, 1, "hello", AICP_GUARD_USER);
    expect_text(&b, 2, "42", AICP_GUARD_TOOL);
    expect_text(&b, 3, "hi", AICP_GUARD_SYSTEM);
    cr_assert(aicpi_slice_is(b.model, "m"));
}

Test(body, finds_texts_in_parts_and_tool_arguments_but_not_in_images) {
    aicpi_body b = read_request(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"look\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
        "png;base64,AAAA\",\"detail\":\"low\"}}]},"
        "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":"
        "{\"name\":\"mail\",\"arguments\":\"{\\\"to\\\":\\\"a@b.org\\\"}\"}}]}]}");
    cr_assert_eq(b.text_count, 2);
    expect_text(&b, 0, "look", AICP_GUARD_USER);
    expect_text(&b, 1, "{\"to\":\"a@b.org\"}", AICP_GUARD_SYSTEM);
}

Test(body, a_tool_result_inside_a_user_message_is_a_tools_text) {
    aicpi_body b = read_request(
        "{\"model\":\"m\",\"system\":\"rules\",\"messages\":[{\"role\":\"user\",\"content\":["
        "{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"page\"},"
        "{\"type\":\"text\",\"text\":\"mine\"}]}]}");
    expect_text(&b, 0, "rules", AICP_GUARD_SYSTEM);
    expect_text(&b, 1, "page", AICP_GUARD_TOOL);
    expect_text(&b, 2, "mine", AICP_GUARD_USER);
}

Test(body, reads_completions_embeddings_and_responses) {
    aicpi_body b = read_request("{\"model\":\"m\",\"prompt\":[\"one\",\"two\"]}");
    expect_text(&b, 0, "one", AICP_GUARD_USER);
    expect_text(&b, 1, "two", AICP_GUARD_USER);
    b = read_request("{\"input\":\"text\",\"model\":\"m\"}");
    expect_text(&b, 0, "text", AICP_GUARD_USER);
    b = read_request(
        "{\"model\":\"m\",\"instructions\":\"be brief\",\"input\":[{\"role\":\"user\",\"content\":"
        "[{\"type\":\"input_text\",\"text\":\"hi\"}]},{\"type\":\"function_call_output\",\"call_"
        "id\":\"c\","
        "\"output\":\"done\"}]}");
    expect_text(&b, 0, "be brief", AICP_GUARD_SYSTEM);
    expect_text(&b, 1, "hi", AICP_GUARD_USER);
    expect_text(&b, 2, "done", AICP_GUARD_TOOL);
    cr_assert_str_eq(b.max_tokens_key, "max_output_tokens");
}

Test(body, knows_streaming_tools_and_cap) {
    aicpi_body b = read_request("{\"stream\":true,\"max_tokens\":7,\"tools\":[{\"type\":"
                                "\"function\",\"function\":{\"name\":\"shell\","
                                "\"parameters\":{\"properties\":{\"name\":{\"type\":\"string\"}}}}}"
                                ",{\"name\":\"bash\",\"type\":\"x\"}],"
                                "\"model\":\"m\"}");
    cr_assert(b.stream);
    cr_assert_eq(b.tool_count, 2);
    cr_assert(aicpi_slice_is(b.tools[0], "shell"));
    cr_assert(aicpi_slice_is(b.tools[1], "bash"));
    cr_assert_eq(b.cap_count, 1);
    cr_assert(aicpi_slice_is(b.caps[0].token, "7"));
}

Test(body, definitions_of_tools_are_the_operators_texts) {
    aicpi_body b = read_request(
        "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"mail\","
        "\"description\":\"ask bob@example.com\",\"parameters\":{\"type\":\"object\","
        "\"$ref\":\"#/$defs/x\",\"required\":[\"to\",\"sk live\"],\"properties\":{\"to\":"
        "{\"type\":[\"string\",\"null\"],\"default\":\"eve@example.com\",\"enum\":[\"a\"]}}}}}],"
        "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    cr_assert_eq(b.tool_count, 1);
    cr_assert_eq(b.text_count, 5);
    expect_text(&b, 0, "ask bob@example.com", AICP_GUARD_SYSTEM);
    expect_text(&b, 1, "sk live", AICP_GUARD_SYSTEM); /* no name of a member: it has a space */
    expect_text(&b, 2, "eve@example.com", AICP_GUARD_SYSTEM);
    expect_text(&b, 3, "a", AICP_GUARD_SYSTEM);
    expect_text(&b, 4, "hi", AICP_GUARD_USER);
}

Test(body, the_form_of_the_answer_and_systems_words_are_texts) {
    aicpi_body b = read_request(
        "{\"model\":\"m\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
        "\"n\",\"schema\":{\"description\":\"of Bob\",\"role\":\"user\"}}},\"text\":{\"format\":"
        "{\"type\":\"json_schema\",\"description\":\"d d\"}},\"generationConfig\":{"
        "\"responseSchema\":{\"title\":\"t t\"}},\"systemInstruction\":{\"parts\":[{\"text\":"
        "\"be kind\"}]}}");
    cr_assert_eq(b.text_count, 4);
    expect_text(&b, 0, "of Bob", AICP_GUARD_SYSTEM);
    expect_text(&b, 1, "d d", AICP_GUARD_SYSTEM);
    expect_text(&b, 2, "t t", AICP_GUARD_SYSTEM);
    expect_text(&b, 3, "be kind", AICP_GUARD_SYSTEM);
    cr_assert(b.other_caps);
}

Test(body, what_opens_a_tool_on_another_server_is_for_the_provider) {
    aicpi_body b = read_request(
        "{\"model\":\"m\",\"tools\":[{\"type\":\"mcp\",\"server_label\":\"crm\",\"server_url\":"
        "\"https://crm.example.com\",\"headers\":{\"Authorization\":\"Bearer x y\"},"
        "\"authorization\":\"q r\",\"server_description\":\"our crm\"},"
        "{\"type\":\"function\",\"name\":\"f\",\"headers\":{\"a\":\"not a credential\"}}]}");
    cr_assert_eq(b.text_count, 3);
    expect_text(&b, 0, "crm", AICP_GUARD_SYSTEM);
    expect_text(&b, 1, "our crm", AICP_GUARD_SYSTEM);
    expect_text(&b, 2, "not a credential", AICP_GUARD_SYSTEM);
}

Test(body, tools_of_any_shape_are_walked_or_refused) {
    static const char *const odd[] = {
        "{\"tools\":{\"a\":\"b c\"}}",
        "{\"tools\":[\"b c\"]}",
        "{\"tools\":\"b c\"}",
        "{\"functions\":[[{\"x\":\"b c\"}]]}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        aicpi_body b = read_request(odd[i]);
        cr_assert_eq(b.text_count, 1, "%s", odd[i]);
        expect_text(&b, 0, "b c", AICP_GUARD_SYSTEM);
    }
}

Test(body, patches_replace_just_their_bytes) {
    const char *json =
        "{ \"model\" : \"m\", \"messages\":[{\"role\":\"user\",\"content\":\"a \\\"b\\\"\"}] }";
    aicpi_body b = read_request(json);
    aicpi_strbuf out;
    aicpi_strbuf_init(&out, NULL, AICPI_STRBUF_MAX);
    aicpi_patch patches[] = {
        {b.open_brace + 1, 0, AICPI_SLICE("\"max_tokens\":5,"), false},
        {(size_t)(b.model_token.data - json), b.model_token.len, AICPI_SLICE("n"), true},
        {b.texts[0].offset, b.texts[0].len, AICPI_SLICE("<X> \"\n"), true},
    };
    aicpi_body_patch(&out, json, strlen(json), patches, 3);
    cr_assert_str_eq(
        out.data,
        "{\"max_tokens\":5, \"model\" : \"n\", \"messages\":[{\"role\":\"user\",\"content\":\"<X> "
        "\\\"\\n\"}] }");
    aicpi_strbuf_deinit(&out);
}

Test(body, answers_give_contents_and_arguments) {
    const char *json =
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{"
        "\"index\":0,"
        "\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\",\"content\":\"hello\"}}],"
        "\"usage\":{\"prompt_tokens\":1}}";
    aicpi_body body;
    cr_assert_eq(aicpi_body_read_answer(&body, &arena, json, strlen(json), NULL), AICP_OK);
    cr_assert_eq(body.text_count, 1);
    cr_assert(aicpi_slice_is(body.texts[0].text, "hello"));
}

Test(body, malformed_bodies_are_errors_with_a_place) {
    const char *bad[] = {
        "", "[]", "{", "{\"model\":}", "{\"messages\":[{]}", "{\"a\":1}x", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        aicpi_body body;
        aicp_error err = {0};
        cr_assert_eq(
            aicpi_body_read_request(&body, &arena, bad[i], strlen(bad[i]), &err),
            AICP_ERR_PARSE,
            "%s",
            bad[i]);
        cr_assert_gt(err.line, 0);
        cr_assert_gt(strlen(err.message), 0);
    }
}
