/* Counting whole requests. */
#include "tests/unit/cost/cost_test.h"

#include "tests/unit/support.h"

#include <stdlib.h>

#define BODY(model, rest) "{\"model\":\"" model "\"," rest "}"

static aicp_token_count count_body(const char *json) {
    aicp_cost_request *r = NULL;
    aicp_token_count count;
    aicp_error err = {0};
    cr_assert_eq(aicp_cost_request_new(NULL, &r, &err), AICP_OK);
    cr_assert_eq(aicp_cost_request_parse(r, json, strlen(json), &err), AICP_OK, "%s", err.message);
    cr_assert_eq(aicp_cost_request_count(r, NULL, &count, &err), AICP_OK, "%s", err.message);
    aicp_cost_request_free(r);
    return count;
}

static int64_t tokens_of(const char *encoding, const char *text) {
    aicp_tokenizer *t = test_tokenizer(encoding);
    int64_t tokens = 0;
    cr_assert_eq(aicp_tokenizer_count(t, text, strlen(text), 0, &tokens, NULL), AICP_OK);
    aicp_tokenizer_free(t);
    return tokens;
}

/* The published example of six messages. */
#define SIX                                                                                        \
    "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful, pattern-following "       \
    "assistant that translates corporate jargon into plain English.\"},"                           \
    "{\"role\":\"system\",\"name\":\"example_user\",\"content\":\"New synergies will help drive "  \
    "top-line growth.\"},"                                                                         \
    "{\"role\":\"system\",\"name\":\"example_assistant\",\"content\":\"Things working well "       \
    "together will increase revenue.\"},"                                                          \
    "{\"role\":\"system\",\"name\":\"example_user\",\"content\":\"Let's circle back when we have " \
    "more bandwidth to touch base on opportunities for increased leverage.\"},"                    \
    "{\"role\":\"system\",\"name\":\"example_assistant\",\"content\":\"Let's talk later when "     \
    "we're less busy about how to do better.\"},"                                                  \
    "{\"role\":\"user\",\"content\":\"This late pivot means we don't have time to boil the ocean " \
    "for the client deliverable.\"}]"

Test(request, the_published_example_has_its_published_counts) {
    aicp_token_count c = count_body(BODY("gpt-4", SIX));
    cr_assert_eq(c.tokens, 129);
    cr_assert_eq(c.quality, AICP_COUNT_EXACT);
    cr_assert_eq(c.low, 129);
    cr_assert_eq(c.high, 129);
    cr_assert_eq(c.text + c.overhead, 129);
    cr_assert_eq(count_body(BODY("gpt-3.5-turbo-0301", SIX)).tokens, 127);
    cr_assert_eq(count_body(BODY("gpt-4o", SIX)).tokens, 124);
    cr_assert_eq(count_body(BODY("azure/eu/gpt-4o-2024-08-06", SIX)).tokens, 124);
}

Test(request, the_builder_counts_what_the_body_counts) {
    aicp_cost_request *r = NULL;
    aicp_token_count built;
    aicp_token_count parsed = count_body(BODY(
        "gpt-4o",
        "\"messages\":[{\"role\":\"user\",\"name\":\"ann\","
        "\"content\":[{\"type\":\"text\",\"text\":\"hello there\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y\","
        "\"detail\":\"low\"}}]}]"));
    cr_assert_eq(aicp_cost_request_new(NULL, &r, NULL), AICP_OK);
    aicp_cost_request_set_model(r, "gpt-4o", 6);
    cr_assert_eq(aicp_cost_request_add_message(r, "user", 4, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_add_name(r, "ann", 3, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_add_text(r, "hello there", 11, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_add_image(r, 0, 0, AICP_DETAIL_LOW, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_count(r, NULL, &built, NULL), AICP_OK);
    cr_assert_eq(memcmp(&built, &parsed, sizeof built), 0);
    cr_assert_eq(built.images, 85);
    cr_assert_eq(built.tokens, 3 + 3 + 1 + 2 + 1 + tokens_of("o200k_base", "ann") + 85);
    cr_assert_eq(aicp_cost_request_add_image(r, 1, 1, 9, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_cost_request_add_tokens(r, -1, NULL), AICP_ERR_INVALID);
    aicp_cost_request_free(r);
}

Test(request, tool_calls_count_as_text) {
    aicp_token_count c = count_body(BODY(
        "gpt-4o",
        "\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
        "\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"find\","
        "\"arguments\":\"{\\\"q\\\":1}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"one\",\"content\":\"ok\"}]"));
    int64_t expected = 3 + 2 * 4 + tokens_of("o200k_base", "find") +
                       tokens_of("o200k_base", "{\"q\":1}") + tokens_of("o200k_base", "one") +
                       tokens_of("o200k_base", "ok");
    cr_assert_eq(c.tokens, expected);
    cr_assert_eq(c.quality, AICP_COUNT_EXACT);
}

Test(request, tools_are_rendered_and_counted) {
    const char *const rendered =
        "namespace functions {\n\n// Get the weather\ntype weather = (_: {\n// City\ncity: "
        "string,\nunit?: \"c\" | \"f\",\nopts?: {\n  deep?: number[],\n},\n}) => any;\n\n"
        "type ping = () => any;\n\n} // namespace functions";
    aicp_token_count c = count_body(BODY(
        "gpt-4o",
        "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"type\":\"function\","
        "\"function\":{\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":"
        "\"string\",\"description\":\"City\"},\"unit\":{\"type\":\"string\",\"enum\":[\"c\",\"f\"]}"
        ",\"opts\":{\"type\":\"object\",\"properties\":{\"deep\":{\"type\":\"array\",\"items\":{"
        "\"type\":\"integer\"}}}}},\"required\":[\"city\"]},\"name\":\"weather\","
        "\"description\":\"Get the weather\"}},{\"type\":\"function\",\"function\":{\"name\":"
        "\"ping\"}}]"));
    cr_assert_eq(c.tools, tokens_of("o200k_base", rendered) + 9);
    cr_assert_eq(c.tokens, 3 + 4 + 1 + c.tools);
    cr_assert_eq(c.quality, AICP_COUNT_NEAR);
}

Test(request, a_huge_schema_is_counted_in_linear_time) {
    enum { PROPERTIES = 20000, ROOM = PROPERTIES * 32 };
    char *body = malloc(ROOM);
    char *at = body;
    at += snprintf(
        at,
        (size_t)(body + ROOM - at),
        "{\"model\":\"gpt-4o\",\"tools\":[{\"name\":\"f\",\"parameters\":{\"properties\":{");
    for (int i = 0; i < PROPERTIES; i++) {
        at += snprintf(at, (size_t)(body + ROOM - at), "%s\"p%d\":{}", i > 0 ? "," : "", i);
    }
    at += snprintf(at, (size_t)(body + ROOM - at), "},\"required\":[");
    for (int i = 0; i < PROPERTIES; i++) {
        at += snprintf(at, (size_t)(body + ROOM - at), "%s\"p%d\"", i > 0 ? "," : "", i);
    }
    (void)snprintf(at, (size_t)(body + ROOM - at), "]}}]}");
    aicp_token_count c = count_body(body); /* the test's time limit is the assertion */
    cr_assert_gt(c.tools, PROPERTIES * 3);
    free(body);
}

Test(request, tool_choice_and_system_change_the_tools) {
#define TOOL "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"ping\"}}]"
    int64_t plain =
        count_body(BODY("gpt-4o", "\"messages\":[{\"role\":\"user\",\"content\":\"\"}]," TOOL))
            .tokens;
    int64_t none = count_body(BODY(
                                  "gpt-4o",
                                  "\"messages\":[{\"role\":\"user\",\"content\":\"\"}]"
                                  ",\"tool_choice\":\"none\"," TOOL))
                       .tokens;
    int64_t named = count_body(BODY(
                                   "gpt-4o",
                                   "\"messages\":[{\"role\":\"user\",\"content\":\"\"}],"
                                   "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
                                   "\"ping\"}}," TOOL))
                        .tokens;
    int64_t system =
        count_body(BODY("gpt-4o", "\"messages\":[{\"role\":\"system\",\"content\":\"\"}]," TOOL))
            .tokens;
    cr_assert_eq(none, plain + 1);
    cr_assert_eq(named, plain + 7 + tokens_of("o200k_base", "ping"));
    cr_assert_eq(system, plain - 4);
}

Test(request, prompts_and_inputs_have_no_overhead) {
    cr_assert_eq(count_body(BODY("davinci-002", "\"prompt\":\"hello world\"")).tokens, 2);
    cr_assert_eq(
        count_body(BODY("davinci-002", "\"prompt\":[\"hello world\",\"a\"],\"n\":2")).tokens, 3);
    cr_assert_eq(
        count_body(BODY("text-embedding-3-small", "\"input\":[\"hello world\",\"a\"]")).tokens, 3);
    cr_assert_eq(count_body(BODY("text-embedding-3-small", "\"input\":[1,2,3,4]")).tokens, 4);
    cr_assert_eq(count_body(BODY("text-embedding-3-small", "\"input\":[[1,2],[3,4,5]]")).tokens, 5);
    cr_assert_eq(count_body(BODY("text-embedding-3-small", "\"input\":[[],[1]]")).tokens, 1);
}

Test(request, responses_count_like_chat) {
    int64_t chat = count_body(BODY(
                                  "gpt-5",
                                  "\"messages\":[{\"role\":\"system\",\"content\":\"be "
                                  "brief\"},{\"role\":\"user\",\"content\":\"hi\"}]"))
                       .tokens;
    cr_assert_eq(
        count_body(BODY("gpt-5", "\"instructions\":\"be brief\",\"input\":\"hi\"")).tokens, chat);
    cr_assert_eq(
        count_body(BODY(
                       "gpt-5",
                       "\"instructions\":\"be brief\",\"input\":[{\"role\":\"user\","
                       "\"content\":[{\"type\":\"input_text\",\"text\":\"hi\"}]}]"))
            .tokens,
        chat);
}

Test(request, other_vocabularies_have_a_factor_and_a_range) {
    aicp_token_count c = count_body(BODY(
        "anthropic/claude-sonnet-4-5",
        "\"system\":\"You are a careful assistant.\",\"messages\":[{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"Please explain how rain is made.\"}]}]"));
    cr_assert_eq(c.quality, AICP_COUNT_ESTIMATED);
    cr_assert_eq(c.factor_permille, 1100);
    cr_assert_lt(c.low, c.tokens);
    cr_assert_gt(c.high, c.tokens);
    aicp_token_count zh = count_body(BODY(
        "claude-sonnet-4-5",
        "\"messages\":[{\"role\":\"user\",\"content\":\"\xE4\xBB\x8A\xE5\xA4\xA9\xE5\xA4\xA9\xE6"
        "\xB0\x94\xE6\x80\x8E\xE4\xB9\x88\xE6\xA0\xB7\"}]"));
    cr_assert_eq(zh.factor_permille, 1530);
    aicp_token_count json = count_body(BODY(
        "gemini-2.5-pro",
        "\"messages\":[{\"role\":\"user\",\"content\":\"{\\\"a\\\":1,\\\"b\\\":[\\\"x\\\"]}\"}]"));
    cr_assert_eq(json.factor_permille, 1310);
}

Test(request, files_and_audio_are_estimates) {
    aicp_token_count c = count_body(BODY(
        "gpt-4o",
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":"
        "{\"file_data\":\"AAAAAAAAAAAAAAAAAAAAAAAA\"}},{\"type\":\"input_audio\","
        "\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}}]}]"));
    cr_assert_eq(c.quality, AICP_COUNT_ESTIMATED);
    cr_assert_gt(c.images, 0);
    cr_assert_lt(c.low, c.high);
}

Test(request, malformed_bodies_are_refused_with_a_place) {
    static const char *const bad[] = {
        "", "[]", "{\"model\":\"a\",}", "{\"messages\":[{\"role\":\"user\"", "{\"a\":1,\"a\":2}"};
    aicp_cost_request *r = NULL;
    cr_assert_eq(aicp_cost_request_new(NULL, &r, NULL), AICP_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        aicp_error err = {0};
        cr_assert_eq(aicp_cost_request_parse(r, bad[i], strlen(bad[i]), &err), AICP_ERR_PARSE);
        cr_assert_eq(err.line, 1, "%zu", i);
    }
    cr_assert_eq(aicp_cost_request_add_tools(r, "[{]", 3, NULL), AICP_ERR_PARSE);
    aicp_cost_request_free(r);
}

Test(request, odd_values_are_passed_over) {
    aicp_token_count c = count_body(BODY(
        "gpt-4o",
        "\"n\":null,\"max_tokens\":\"many\",\"tools\":{},\"tool_choice\":7,"
        "\"messages\":[7,{\"role\":3,\"content\":{\"text\":\"hi\"}},{\"content\":"
        "[[1],null,\"hi\",{\"type\":9,\"image_url\":[]}],\"tool_calls\":[1,{}],"
        "\"function_call\":0}]"));
    cr_assert_geq(c.text, 2);
    cr_assert_neq(c.quality, AICP_COUNT_EXACT);
}

Test(request, a_warm_request_uses_no_heap) {
    static const char body[] = BODY(
        "gpt-4o",
        SIX ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"p\",\"parameters\":{"
            "\"type\":\"object\",\"properties\":{\"caf\\u00e9\":{\"type\":\"string\"}}}}}]");
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    aicp_cost_request *r = NULL;
    aicp_token_count count;
    cr_assert_eq(aicp_cost_request_new(&a, &r, NULL), AICP_OK);
    size_t before = 0;
    for (int i = 0; i < 3; i++) {
        before = i == 1 ? heap.allocations : before;
        cr_assert_eq(aicp_cost_request_parse(r, body, sizeof body - 1, NULL), AICP_OK);
        cr_assert_eq(aicp_cost_request_count(r, NULL, &count, NULL), AICP_OK);
    }
    cr_assert_eq(heap.allocations, before);
    aicp_cost_request_free(r);
    aicp_cost_request_free(NULL);
    cr_assert_eq(heap.live, 0);
}

static bool build_and_count(void *user, const aicp_allocator *a) {
    (void)user;
    static const char body[] = BODY(
        "claude-3-opus",
        SIX ",\"tools\":[{\"name\":\"p\",\"input_schema\":{\"type\":\"object\",\"properties\":"
            "{\"\\u0061\":{\"type\":\"string\",\"enum\":[\"x\"]}}}}]");
    aicp_cost_request *r = NULL;
    aicp_token_count count;
    aicp_status status = aicp_cost_request_new(a, &r, NULL);
    if (status == AICP_OK) {
        status = aicp_cost_request_parse(r, body, sizeof body - 1, NULL);
    }
    if (status == AICP_OK) {
        status = aicp_cost_request_count(r, NULL, &count, NULL);
    }
    aicp_cost_request_free(r);
    return status == AICP_OK || status == AICP_ERR_NOMEM;
}

Test(request, survives_every_failing_allocation) {
    cr_assert_gt(test_every_allocation_failing(build_and_count, NULL), 3);
}

/* ---- images ---- */

static int64_t image(const char *model, int64_t w, int64_t h, int32_t detail) {
    aicp_cost_request *r = NULL;
    aicp_token_count count;
    cr_assert_eq(aicp_cost_request_new(NULL, &r, NULL), AICP_OK);
    aicp_cost_request_set_model(r, model, strlen(model));
    cr_assert_eq(aicp_cost_request_add_image(r, w, h, detail, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_count(r, NULL, &count, NULL), AICP_OK);
    aicp_cost_request_free(r);
    return count.images;
}

Test(image, tiles_follow_the_published_examples) {
    cr_assert_eq(image("gpt-4o", 1024, 1024, AICP_DETAIL_HIGH), 765);
    cr_assert_eq(image("gpt-4o", 2048, 4096, AICP_DETAIL_HIGH), 1105);
    cr_assert_eq(image("gpt-4o", 4096, 8192, AICP_DETAIL_LOW), 85);
    cr_assert_eq(image("gpt-4o", 512, 512, AICP_DETAIL_AUTO), 85 + 170);
    cr_assert_eq(image("gpt-4o", 0, 0, AICP_DETAIL_AUTO), 85 + 8 * 170);
    cr_assert_eq(image("gpt-5", 1024, 1024, AICP_DETAIL_HIGH), 70 + 4 * 140);
    cr_assert_eq(image("gpt-4o-mini", 512, 512, AICP_DETAIL_HIGH), 2833 + 5667);
}

Test(image, patches_keep_to_their_budget) {
    cr_assert_eq(image("gpt-4.1-mini", 1024, 1024, AICP_DETAIL_HIGH), 1659); /* 1024 * 1.62 */
    cr_assert_eq(image("gpt-5.4", 2048, 2048, AICP_DETAIL_HIGH), 3000);      /* 2500 * 1.2 */
    cr_assert_leq(image("gpt-5.4", 2048, 1999, AICP_DETAIL_HIGH), 3000);
    cr_assert_eq(image("gpt-5.5", 4000, 4000, AICP_DETAIL_LOW), 308); /* 256 * 1.2 */
    cr_assert_eq(image("gpt-5.6", 0, 0, AICP_DETAIL_AUTO), 36000);
}

Test(image, other_providers_have_their_own_rules) {
    cr_assert_eq(image("claude-sonnet-4-5", 280, 280, AICP_DETAIL_AUTO), 100);
    cr_assert_leq(image("claude-sonnet-4-5", 4000, 3000, AICP_DETAIL_AUTO), 1568);
    cr_assert_gt(image("claude-sonnet-4-5", 4000, 3000, AICP_DETAIL_AUTO), 1400);
    cr_assert_eq(image("claude-opus-5", 0, 0, AICP_DETAIL_AUTO), 4784);
    cr_assert_eq(image("gemini-2.5-flash", 384, 384, AICP_DETAIL_AUTO), 258);
    cr_assert_eq(image("gemini-2.5-flash", 1536, 769, AICP_DETAIL_AUTO), 4 * 258);
    cr_assert_eq(image("gemini-3-pro", 10, 10, AICP_DETAIL_LOW), 280);
    cr_assert_eq(image("llama-3.3-70b", 10, 10, AICP_DETAIL_LOW), 250);
}

static int64_t picture(const char *url) {
    aicp_cost_request *r = NULL;
    aicp_token_count count;
    cr_assert_eq(aicp_cost_request_new(NULL, &r, NULL), AICP_OK);
    aicp_cost_request_set_model(r, "gemini-2.5-flash", 16);
    cr_assert_eq(aicp_cost_request_add_image_url(r, url, strlen(url), 0, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_count(r, NULL, &count, NULL), AICP_OK);
    aicp_cost_request_free(r);
    return count.images / 258;
}

Test(image, sizes_are_read_from_headers) {
    /* PNG 1600 x 800: 3 x 2 tiles of 768. */
    cr_assert_eq(picture("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABkAAAAMgCAIAAAAAAAA="), 6);
    /* GIF 800 x 400: 2 x 1. */
    cr_assert_eq(picture("data:image/gif;base64,R0lGODlhIAOQAQAAAAAAAA=="), 2);
    /* JPEG with one segment before the frame header, 1600 x 800. */
    cr_assert_eq(picture("data:image/jpeg;base64,/9j/4AAEAAD/wAARCAMgBkADASIAAAAAAAAAAAAAAAAA"), 6);
    /* WebP, extended, 1600 x 800. */
    cr_assert_eq(
        picture("data:image/webp;base64,UklGRgAAAABXRUJQVlA4WAoAAAAAAAAAPwYAHwMAAAAAAAAA"), 6);
    /* Not a picture, and an address: unknown size. */
    cr_assert_eq(picture("data:image/png;base64,AAAA"), 16);
    cr_assert_eq(picture("https://example.com/a.png"), 16);
    cr_assert_eq(picture("data:"), 16);
}

/* ---- profiles ---- */

static const char *family(const char *model) {
    return aicp_token_profile_family(aicp_token_profile_find(model, strlen(model)));
}

static const char *encoding(const char *model) {
    return aicp_token_profile_encoding(aicp_token_profile_find(model, strlen(model)));
}

Test(profile, names_resolve_by_the_longest_prefix) {
    cr_assert_str_eq(encoding("gpt-4"), "cl100k_base");
    cr_assert_str_eq(encoding("gpt-4-0613"), "cl100k_base");
    cr_assert_str_eq(encoding("gpt-4o-2024-05-13"), "o200k_base");
    cr_assert_str_eq(encoding("gpt-4.1-nano"), "o200k_base");
    cr_assert_str_eq(encoding("gpt-35-turbo-16k"), "cl100k_base");
    cr_assert_str_eq(encoding("ft:gpt-4o-mini-2024-07-18:org::id"), "o200k_base");
    cr_assert_str_eq(family("ft:gpt-4o-mini-2024-07-18:org::id"), "gpt-4o-mini");
    cr_assert_str_eq(encoding("text-embedding-ada-002"), "cl100k_base");
    cr_assert_str_eq(encoding("groq/openai/gpt-oss-120b"), "o200k_harmony");
    cr_assert_str_eq(encoding("gpt-9-ultra"), "o200k_base");
    cr_assert_str_eq(encoding("o5"), "o200k_base");
    cr_assert_str_eq(family("o4-mini-2025-04-16"), "o-series-mini");
    cr_assert_str_eq(family("openrouter/openai/gpt-5.2"), "gpt-5.2");
    cr_assert_str_eq(family("bedrock/us.anthropic.claude-opus-4-6-v1:0"), "claude-4.5");
    cr_assert_str_eq(family("claude-opus-4.7"), "claude-5");
    cr_assert_str_eq(family("vertex_ai/claude-3-5-sonnet@20240620"), "claude-3");
    cr_assert_str_eq(family("gemini/gemini-2.5-pro"), "gemini-2");
    cr_assert_str_eq(family("meta.llama3-3-70b-instruct-v1:0"), "llama");
    cr_assert_str_eq(family("gpt-4x"), "unknown");
    cr_assert_str_eq(family(""), "unknown");
    cr_assert_eq(aicp_token_profile_quality(aicp_token_profile_find("gpt-5", 5)), AICP_COUNT_EXACT);
    cr_assert_str_eq(aicp_count_quality_name(AICP_COUNT_NEAR), "near");
    cr_assert_str_eq(aicp_count_quality_name(99), "");
}
