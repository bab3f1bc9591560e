/* Detectors of a profile's own: patterns, keywords, banned topics. */
#include "unit/guardrail/guard_test.h"
#include "unit/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETECTOR(rest) "{\"detectors\":[{\"name\":\"mine\"," rest "}]}"
#define KEYWORDS(list) DETECTOR("\"type\":\"keyword\",\"keywords\":[" list "]")
#define PATTERN(text) DETECTOR("\"type\":\"regex\",\"patterns\":[" text "]")

/* The text as the profile leaves it. */
static void expect(const char *json, const char *in, const char *want) {
    aicp_guard_profile *profile = guard_profile(json);
    aicp_guard_result *result = guard_result();
    guard_scan(profile, in, result);
    guard_expect_text(result, want);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(custom, a_pattern_masks_with_its_label) {
    expect(
        DETECTOR("\"type\":\"regex\",\"patterns\":[\"EMP-[0-9]{6}\"],\"label\":\"EMPLOYEE_ID\""),
        "ask EMP-123456 and EMP-12345",
        "ask <EMPLOYEE_ID> and EMP-12345");
}

Test(custom, findings_carry_label_name_category_score_and_no_raw_text) {
    aicp_guard_profile *profile = guard_profile(
        DETECTOR("\"type\":\"regex\",\"patterns\":[\"proj-[a-z]+\"],\"label\":\"PROJECT\","
                 "\"action\":\"flag\",\"score\":0.5"));
    aicp_guard_result *result = guard_result();
    guard_scan(profile, "\xc3\xa4 proj-blueheron", result);
    cr_assert_eq(aicp_guard_result_finding_count(result), 1);
    const aicp_guard_finding *f = aicp_guard_result_finding(result, 0);
    cr_expect_str_eq(f->type, "PROJECT");
    cr_expect_str_eq(f->rule, "mine");
    cr_expect_str_eq(f->preview, "pr***on");
    cr_expect_eq(f->category, AICP_GUARD_CUSTOM);
    cr_expect_eq(f->start, 3);
    cr_expect_eq(f->char_start, 2);
    cr_expect_eq(f->end, 17);
    cr_expect_eq(f->char_end, 16);
    cr_expect_float_eq(f->score, 0.5, 1e-9);
    cr_expect_eq(aicp_guard_result_action(result), AICP_GUARD_FLAG);
    cr_expect_float_eq(aicp_guard_result_score(result, AICP_GUARD_CUSTOM), 0.5, 1e-9);
    cr_expect_float_eq(aicp_guard_result_risk(result), 0.25, 1e-9);
    cr_expect_str_eq(aicp_guard_category_name(AICP_GUARD_CUSTOM), "custom");
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(custom, keywords_ignore_case_accents_width_and_invisible_characters) {
    const char *json = KEYWORDS("\"Caf\\u00e9 Noir\",\"X4\"");
    expect(json, "the CAFE\n noir.", "the <CUSTOM>.");
    expect(json, "the ca\xe2\x80\x8b\x66\xc3\xa9 noir.", "the <CUSTOM>.");
    expect(json, "x4, \xef\xbc\xb8\xef\xbc\x94!", "<CUSTOM>, <CUSTOM>!");
    expect(json, "xa x44 cafes noir", NULL);
}

Test(custom, keywords_are_whole_words_unless_asked) {
    expect(
        KEYWORDS("\"bet\",\"c++\""),
        "alphabet bet_ c++11 (bet) \xe2\x80\x9c"
        "bet\xe2\x80\x9d",
        "alphabet bet_ <CUSTOM>11 (<CUSTOM>) \xe2\x80\x9c<CUSTOM>\xe2\x80\x9d");
    expect(
        DETECTOR("\"type\":\"keyword\",\"whole_words\":false,\"keywords\":[\"bet\"]"),
        "alphabet",
        "alpha<CUSTOM>");
    expect(
        KEYWORDS("\"\\u8d4c\\u535a\""),
        "\xe6\x88\x91\xe8\xb5\x8c\xe5\x8d\x9a\xe4\xba\x86",
        "\xe6\x88\x91<CUSTOM>\xe4\xba\x86");
}

Test(custom, overlapping_keywords_are_all_found) {
    aicp_guard_profile *profile = guard_profile(
        "{\"detectors\":[{\"name\":\"a\",\"type\":\"keyword\",\"keywords\":[\"blue heron\"],"
        "\"action\":\"flag\"},{\"name\":\"b\",\"type\":\"keyword\",\"keywords\":[\"heron nest\"],"
        "\"action\":\"block\"}]}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, "the blue heron nest", result);
    cr_expect_eq(aicp_guard_result_finding_count(result), 2);
    cr_expect_eq(aicp_guard_result_action(result), AICP_GUARD_BLOCK);
    cr_expect_str_eq(aicp_guard_result_reason(result), "CUSTOM (b)");
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

/* A keyword inside an address must not be lost because the address is the better finding. */
Test(custom, a_block_inside_another_finding_still_blocks) {
    aicp_guard_profile *profile = guard_profile(
        DETECTOR("\"type\":\"keyword\",\"keywords\":[\"heron\"],\"action\":\"block\""));
    aicp_guard_result *result = guard_result();
    guard_scan(profile, "write to bob@heron.example now", result);
    cr_expect_eq(aicp_guard_result_action(result), AICP_GUARD_BLOCK);
    cr_expect_eq(aicp_guard_result_finding_count(result), 2);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(custom, what_overlaps_is_replaced_once_and_wholly) {
    expect(KEYWORDS("\"heron\""), "bob@heron.example", "<EMAIL_ADDRESS>");
    expect(PATTERN("\"to bob\""), "to bob@heron.example", "<CUSTOM><EMAIL_ADDRESS>");
    expect(
        "{\"pii\":{\"action\":\"log\"},\"detectors\":[{\"name\":\"k\",\"type\":\"keyword\","
        "\"keywords\":[\"heron\"]}]}",
        "bob@heron.example",
        "bob@<CUSTOM>.example");
}

Test(custom, banned_topics_block) {
    aicp_guard_profile *profile = guard_profile("{\"banned_topics\":[\"Gambling\"]}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, "is g\xd0\xb0mbling fun", result); /* one letter is Cyrillic */
    cr_expect_eq(aicp_guard_result_action(result), AICP_GUARD_BLOCK);
    cr_expect_str_eq(aicp_guard_result_reason(result), "BANNED_TOPIC (banned_topics)");
    guard_scan(profile, "is gamble fun", result);
    cr_expect_eq(aicp_guard_result_action(result), AICP_GUARD_NONE);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(custom, answers_and_tool_results_are_looked_at) {
    aicp_guard_profile *profile = guard_profile(KEYWORDS("\"heron\""));
    aicp_guard_result *result = guard_result();
    guard_scan_as(profile, "heron", 5, AICP_GUARD_OUTPUT, AICP_GUARD_USER, NULL, result);
    guard_expect_text(result, "<CUSTOM>");
    guard_scan_as(profile, "heron", 5, AICP_GUARD_INPUT, AICP_GUARD_TOOL, NULL, result);
    guard_expect_text(result, "<CUSTOM>");
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

/* The label belongs to the profile; the session may outlive it. */
Test(custom, a_placeholder_is_restored_after_its_profile_is_gone) {
    aicp_guard_profile *profile = guard_profile(
        DETECTOR("\"type\":\"regex\",\"patterns\":[\"EMP-[0-9]+\"],\"label\":\"EMPLOYEE\","
                 "\"action\":\"anonymize\""));
    aicp_guard_result *result = guard_result();
    aicp_guard_session *session = guard_session();
    guard_scan_as(
        profile, "EMP-1 EMP-2 EMP-1", 17, AICP_GUARD_INPUT, AICP_GUARD_USER, session, result);
    guard_expect_text(result, "<EMPLOYEE_1> <EMPLOYEE_2> <EMPLOYEE_1>");
    aicp_guard_profile_free(profile);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_guard_restore(session, "<EMPLOYEE_2>", 12, &out, NULL), AICP_OK);
    cr_expect_eq(out.len, 5);
    cr_expect_eq(memcmp(out.data, "EMP-2", 5), 0);
    aicp_buf_free(&out);
    aicp_guard_session_free(session);
    aicp_guard_result_free(result);
}

Test(custom, matches_are_found_wherever_they_stand_in_a_long_text) {
    aicp_guard_profile *profile = guard_profile(
        DETECTOR("\"type\":\"regex\",\"patterns\":[\"<<[^>]{1,3000}>>\"],\"action\":\"flag\""));
    aicp_guard_result *result = guard_result();
    static char text[20000];
    for (size_t at = 0; at < 16000; at += 509) {
        memset(text, 'x', sizeof text);
        memcpy(text + at, "<<", 2);
        memcpy(text + at + 2900, ">>", 2);
        guard_scan_as(profile, text, sizeof text, AICP_GUARD_INPUT, AICP_GUARD_USER, NULL, result);
        cr_assert_eq(aicp_guard_result_finding_count(result), 1, "at %zu", at);
        cr_assert_eq(aicp_guard_result_finding(result, 0)->start, at);
        cr_assert_eq(aicp_guard_result_finding(result, 0)->end, at + 2902);
    }
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(custom, line_anchors_are_those_of_the_text) {
    aicp_guard_profile *profile =
        guard_profile(DETECTOR("\"type\":\"regex\",\"patterns\":[\"^ab\",\"cd$\"]"));
    aicp_guard_result *result = guard_result();
    static char text[12290];
    memset(text, 'x', sizeof text);
    for (size_t at = 0; at + 4 < sizeof text; at += 4096) {
        memcpy(text + at, "ab", 2);
        memcpy(text + at + 2, "cd", 2);
    }
    memcpy(text + sizeof text - 2, "cd", 2);
    guard_scan_as(profile, text, sizeof text, AICP_GUARD_INPUT, AICP_GUARD_USER, NULL, result);
    cr_expect_eq(aicp_guard_result_finding_count(result), 2);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(custom, a_pattern_that_backtracks_for_ever_ends_in_on_error) {
    aicp_guard_profile *profile = guard_profile(PATTERN("\"(a+)+[bc]\""));
    aicp_guard_result *result = guard_result();
    char text[3001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    guard_scan(profile, text, result);
    cr_expect_neq(aicp_guard_result_error(result), AICP_OK);
    cr_expect_eq(aicp_guard_result_action(result), AICP_GUARD_BLOCK);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

static aicp_status parse(const char *json, aicp_error *err) {
    aicp_guard_profile *profile = NULL;
    aicp_status status = aicp_guard_profile_parse(json, strlen(json), NULL, &profile, err);
    aicp_guard_profile_free(profile);
    return status;
}

Test(custom, errors_say_which_pattern_and_why) {
    static const struct {
        const char *json;
        aicp_status status;
        const char *says;
    } cases[] = {
        {PATTERN("\"ok\",\"(\""), AICP_ERR_GUARD_PATTERN, "\"mine\", pattern 2: pattern does not"},
        {PATTERN("\"a*\""), AICP_ERR_GUARD_PATTERN, "empty string"},
        {PATTERN("\"\\\\b\""), AICP_ERR_GUARD_PATTERN, "empty string"},
        {PATTERN("\"\""), AICP_ERR_GUARD_PATTERN, "empty string"},
        {PATTERN("\"(?<=a{65})b\""), AICP_ERR_GUARD_PATTERN, "looks back"},
        {KEYWORDS("\"a\",\" \\u200b\""), AICP_ERR_GUARD_PATTERN, "keyword 2"},
        {PATTERN(""), AICP_ERR_PARSE, "patterns"},
        {DETECTOR("\"type\":\"keyword\",\"patterns\":[\"a\"]"), AICP_ERR_PARSE, "keywords"},
        {DETECTOR("\"type\":\"glob\""), AICP_ERR_PARSE, "regex"},
        {DETECTOR("\"keywords\":[\"a\"]"), AICP_ERR_PARSE, "type"},
        {DETECTOR("\"type\":\"regex\",\"label\":\"lower\""), AICP_ERR_PARSE, "label"},
        {DETECTOR("\"type\":\"regex\",\"score\":2"), AICP_ERR_RANGE, "score"},
        {DETECTOR("\"type\":\"regex\",\"action\":\"drop\""), AICP_ERR_PARSE, "drop"},
        {DETECTOR("\"type\":\"regex\",\"colour\":1"), AICP_ERR_PARSE, "colour"},
        {"{\"detectors\":[{\"name\":\"\"}]}", AICP_ERR_PARSE, "1 to 31"},
        {"{\"detectors\":[\"id\"]}", AICP_ERR_PARSE, "object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicp_error err;
        cr_expect_eq(parse(cases[i].json, &err), cases[i].status, "%s", cases[i].json);
        cr_expect_not_null(
            strstr(err.message, cases[i].says), "%s: %s", cases[i].json, err.message);
    }
}

/* One text more than a list may have. */
static char *too_many(const char *type, const char *list, const char *text, size_t count) {
    size_t size = 200 + count * (strlen(text) + 20);
    char *json = malloc(size);
    size_t n = (size_t)snprintf(
        json, size, "{\"detectors\":[{\"name\":\"n\",\"type\":\"%s\",\"%s\":[", type, list);
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(json + n, size - n, "%s\"%s%zu\"", i ? "," : "", text, i);
    }
    snprintf(json + n, size - n, "]}]}");
    return json;
}

Test(custom, numbers_and_lengths_are_bounded) {
    static const struct {
        const char *type;
        const char *list;
        size_t most;
    } cases[] = {{"regex", "patterns", 200}, {"keyword", "keywords", 2000}};
    for (size_t i = 0; i < 2; i++) {
        char *json = too_many(cases[i].type, cases[i].list, "w", cases[i].most + 1);
        cr_expect_eq(parse(json, NULL), AICP_ERR_LIMIT, "%s", cases[i].type);
        free(json);
        json = too_many(cases[i].type, cases[i].list, "w", cases[i].most);
        cr_expect_eq(parse(json, NULL), AICP_OK, "%s", cases[i].type);
        free(json);
    }
    char text[1100];
    memset(text, 'p', sizeof text);
    text[999] = '\0';
    char *json = too_many("regex", "patterns", text, 1);
    cr_expect_eq(parse(json, NULL), AICP_OK);
    free(json);
    text[999] = 'p';
    text[1000] = '\0';
    json = too_many("regex", "patterns", text, 1);
    cr_expect_eq(parse(json, NULL), AICP_ERR_GUARD_PATTERN);
    free(json);
    text[100] = '\0';
    json = too_many("keyword", "keywords", text, 1);
    cr_expect_eq(parse(json, NULL), AICP_ERR_GUARD_PATTERN);
    free(json);
}

static const char both[] =
    "{\"detectors\":[{\"name\":\"r\",\"type\":\"regex\",\"patterns\":[\"EMP-[0-9]+\",\"(?i)b\\\\w+"
    "\"],"
    "\"action\":\"anonymize\"},{\"name\":\"k\",\"type\":\"keyword\",\"keywords\":[\"heron\"]}]}";

Test(custom, a_warm_scan_does_not_allocate) {
    test_heap heap = {0};
    aicp_allocator allocator = test_allocator(&heap);
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    options.allocator = &allocator;
    aicp_guard_profile *profile = NULL;
    aicp_guard_result *result = NULL;
    aicp_guard_session *session = NULL;
    cr_assert_eq(aicp_guard_profile_parse(both, strlen(both), &options, &profile, NULL), AICP_OK);
    cr_assert_eq(aicp_guard_result_new(&options, &result, NULL), AICP_OK);
    cr_assert_eq(aicp_guard_session_new(&options, &session, NULL), AICP_OK);
    const char *text = "EMP-17 saw the blue heron \xd0\xb0nd EMP-18, bob@example.com";
    size_t before = 0;
    for (int i = 0; i < 10; i++) {
        before = i == 2 ? heap.allocations : before;
        aicp_guard_session_reset(session);
        guard_scan_as(
            profile, text, strlen(text), AICP_GUARD_INPUT, AICP_GUARD_USER, session, result);
        cr_assert_geq(aicp_guard_result_finding_count(result), 4);
    }
    cr_expect_eq(heap.allocations, before);
    aicp_guard_session_free(session);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
    cr_expect_eq(heap.live, 0);
}

static bool parse_with(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    options.allocator = a;
    aicp_guard_profile *profile = NULL;
    aicp_guard_result *result = NULL;
    aicp_status status = aicp_guard_profile_parse(both, strlen(both), &options, &profile, NULL);
    if (status == AICP_OK) {
        status = aicp_guard_result_new(&options, &result, NULL);
    }
    bool safe = true;
    if (status == AICP_OK) {
        status = aicp_guard_scan(profile, "a heron", 7, NULL, result, NULL);
        int32_t action = aicp_guard_result_action(result);
        safe = action == (status == AICP_OK ? AICP_GUARD_MASK : AICP_GUARD_BLOCK);
    }
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
    return safe && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

Test(custom, every_failing_allocation_is_survived) {
    cr_assert_gt(test_every_allocation_failing(parse_with, NULL), 10);
}
