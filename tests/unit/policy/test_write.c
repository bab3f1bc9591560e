/* Entities and values as JSON: what is written, what is refused, and that it reads back. */
#include "unit/policy/policy_test.h"

#include "lib/policy/extension.h"
#include "lib/policy/value_write.h"

static aicp_policy_entities *load(const char *json) {
    aicp_policy_entities *entities = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_entities_parse(json, strlen(json), NULL, &entities, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    return entities;
}

static void expect_written(const char *json, const char *expected) {
    aicp_policy_entities *entities = load(json);
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_entities_write(entities, &out, NULL), AICP_OK);
    cr_expect_str_eq(out.data, expected);
    aicp_policy_entities *again = load(out.data);
    aicp_buf twice = AICP_BUF_INIT;
    cr_assert_eq(aicp_policy_entities_write(again, &twice, NULL), AICP_OK);
    cr_expect_str_eq(twice.data, expected);
    aicp_buf_free(&out);
    aicp_buf_free(&twice);
    aicp_policy_entities_free(entities);
    aicp_policy_entities_free(again);
}

#define UID(type, id) "{\"type\":\"" type "\",\"id\":\"" id "\"}"
#define EXTN(fn, arg) "{\"__extn\":{\"fn\":\"" fn "\",\"arg\":\"" arg "\"}}"
#define WITH(attrs) "{\"uid\":" UID("User", "a") ",\"attrs\":" attrs ",\"parents\":[]}"

Test(policy_write, an_empty_store_is_an_empty_array) {
    expect_written("[]", "[\n]\n");
}

Test(policy_write, members_and_elements_are_ordered_entities_are_not) {
    expect_written(
        "[{\"tags\":{\"z\":\"1\",\"y\":\"2\"},\"parents\":[" UID("G", "2") "," UID(
            "G",
            "1") "],"
                 "\"attrs\":{\"b\":[\"x\",3,1,3,true],\"a\":{\"n\":-9223372036854775808,\"m\":[]}},"
                 "\"uid\":" UID("User", "b") "}," WITH("{}") "]",
        "[\n{\"uid\":" UID(
            "User", "b") ",\"attrs\":{\"a\":{\"m\":[],\"n\":-9223372036854775808},"
                         "\"b\":[\"x\",1,3,true]},\"parents\":[" UID("G", "2") "," UID(
                             "G", "1") "],"
                                       "\"tags\":{\"y\":\"2\",\"z\":\"1\"}},\n" WITH("{}") "\n]\n");
}

Test(policy_write, texts_of_any_kind_are_escaped) {
    expect_written(
        "[" WITH("{\"\\u0000\\\"\":\"\\n\\\\\\u00e9\\ud83d\\ude00\"}") "]",
        "[\n" WITH("{\"\\u0000\\\"\":\"\\n\\\\\xC3\xA9\xF0\x9F\x98\x80\"}") "\n]\n");
}

Test(policy_write, extension_values_keep_the_text_they_were_made_from) {
    expect_written(
        "[" WITH(
            "{\"d\":" EXTN("decimal", "-00.50") ",\"e\":" EXTN("duration", "90m") ",\"i\":" EXTN(
                "ip", "::0/8") ",\"t\":" EXTN("datetime", "2024-01-01") "}") "]",
        "[\n" WITH(
            "{\"d\":" EXTN("decimal", "-00.50") ",\"e\":" EXTN("duration", "90m") ",\"i\":" EXTN(
                "ip", "::0/8") ",\"t\":" EXTN("datetime", "2024-01-01") "}") "\n]\n");
}

#define OFFSET(start, by)                                                                          \
    "{\"__extn\":{\"fn\":\"offset\",\"args\":[" EXTN("datetime", start) "," EXTN(                  \
        "duration", by) "]}}"
#define TIME_OF(start) "{\"__extn\":{\"fn\":\"toTime\",\"args\":[" EXTN("datetime", start) "]}}"

Test(policy_write, computed_datetimes_are_written_in_milliseconds) {
    expect_written(
        "[" WITH("{\"t\":" OFFSET("1970-01-02", "-1d1ms") "}") "]",
        "[\n" WITH("{\"t\":" OFFSET("1970-01-01", "-1ms") "}") "\n]\n");
}

Test(policy_write, computed_durations_are_written_in_milliseconds) {
    expect_written(
        "[" WITH("{\"t\":" TIME_OF("1970-01-02T00:00:01Z") "}") "]",
        "[\n" WITH("{\"t\":" EXTN("duration", "1000ms") "}") "\n]\n");
}

Test(policy_write, a_record_with_a_key_of_an_escape_is_refused) {
    aicp_policy_entities *entities =
        load("[" WITH("{\"__expr\":1}") "," WITH("{\"__expr\":1}") ",{\"uid\":" UID(
            "User",
            "z") ",\"parents\":[],\"attrs\":{\"r\":[{\"__entity\":" UID("User", "b") ",\"x\":1}]}}"
                                                                                     "]");
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_expect_eq(aicp_policy_entities_write(entities, &out, &err), AICP_ERR_UNSUPPORTED);
    cr_expect_null(out.data);
    cr_expect_str_eq(
        err.message, "User::\"z\": JSON has no form for a record with the key \"__entity\"");
    aicp_policy_entities_free(entities);
}

/* Values that no store made have no text: they are written in a form of their own. */
Test(policy_write, values_without_text_are_written_so_that_they_read_back) {
    static const struct {
        int fn;
        const char *text;
        const char *expected;
    } cases[] = {
        {AICPI_POLICY_FN_DECIMAL, "1.5000", EXTN("decimal", "1.5")},
        {AICPI_POLICY_FN_DECIMAL, "-0.0001", EXTN("decimal", "-0.0001")},
        {AICPI_POLICY_FN_DECIMAL, "007.0", EXTN("decimal", "7.0")},
        {AICPI_POLICY_FN_DECIMAL,
         "-922337203685477.5808",
         EXTN("decimal", "-922337203685477.5808")},
        {AICPI_POLICY_FN_IP, "10.0.0.0/8", EXTN("ip", "10.0.0.0/8")},
        {AICPI_POLICY_FN_IP, "1.2.3.4/32", EXTN("ip", "1.2.3.4")},
        {AICPI_POLICY_FN_IP, "::ffff:102:304", EXTN("ip", "0:0:0:0:0:ffff:102:304")},
        {AICPI_POLICY_FN_IP,
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120",
         EXTN("ip", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120")},
        {AICPI_POLICY_FN_DURATION,
         "-9223372036854775808ms",
         EXTN("duration", "-9223372036854775808ms")},
    };
    aicpi_strbuf b;
    aicpi_arena arena;
    aicpi_policy_intern intern;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_policy_intern_init(&intern, &arena, false);
    aicpi_policy_writer w = {.out = &b, .scratch = &arena};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicpi_policy_value text = aicpi_policy_of_string(
            aicpi_policy_intern_str(&intern, aicpi_slice_cstr(cases[i].text)));
        aicpi_policy_value v;
        aicpi_policy_fault fault;
        cr_assert(aicpi_policy_fn_call(cases[i].fn, &text, 1, &arena, &v, &fault));
        aicpi_strbuf_clear(&b);
        aicpi_policy_write_value(&w, v);
        cr_expect_str_eq(b.data, cases[i].expected);
    }
    aicpi_arena_deinit(&arena);
    aicpi_strbuf_deinit(&b);
}
