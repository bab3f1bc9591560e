/* What LiteLLM shall hold of rate-limit policies. */
#include "services/admin-api/proxy/wanted.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct json_object *subjects;

static void setup(void) {
    subjects = json_object_new_object();
}

static void teardown(void) {
    json_object_put(subjects);
}

TestSuite(wanted, .init = setup, .fini = teardown);

static struct json_object *parsed(const char *text) {
    struct json_object *o = json_tokener_parse(text);
    cr_assert_not_null(o, "%s", text);
    return o;
}

static bool add(const char *text) {
    struct json_object *policy = parsed(text);
    bool added = aicpa_wanted_add(subjects, policy);
    json_object_put(policy);
    return added;
}

/* Compares and puts back. */
static void is(struct json_object *got, const char *text) {
    struct json_object *expected = parsed(text);
    cr_expect(
        json_object_equal(got, expected), "%s, not %s", json_object_to_json_string(got), text);
    json_object_put(expected);
    json_object_put(got);
}

static void is_wanted(const char *name, const char *text) {
    struct json_object *entry = aicps_member(subjects, name);
    cr_assert_not_null(entry, "%s", name);
    is(json_object_get(aicps_member(entry, "wanted")), text);
}

#define ON "\"is_active\":true,"

Test(wanted, strictest_number_of_several_policies_holds) {
    cr_expect(
        add("{" ON "\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":9,\"tpm_limit\":5}"));
    cr_expect(
        add("{" ON "\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":4,\"tpm_limit\":8}"));
    cr_expect(add("{" ON "\"scope\":\"team\",\"scope_value\":\"u\",\"rpm_limit\":1}"));
    is_wanted("team/t", "{\"rpm_limit\":4,\"tpm_limit\":5}");
    is_wanted("team/u", "{\"rpm_limit\":1}");
}

Test(wanted, models_of_a_team_belong_to_the_team) {
    cr_expect(add("{" ON "\"scope\":\"team_model\",\"scope_value\":\"t:a:b\",\"rpm_limit\":3}"));
    cr_expect(add("{" ON "\"scope\":\"team_model\",\"scope_value\":\"t:c\",\"tpm_limit\":7}"));
    cr_expect(add("{" ON "\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":5}"));
    is_wanted("team/t", "{\"model_rpm_limit:a:b\":3,\"model_tpm_limit:c\":7,\"rpm_limit\":5}");
}

Test(wanted, keys_and_users_are_subjects_of_their_own) {
    cr_expect(add("{" ON "\"scope\":\"key\",\"scope_value\":\"x\",\"max_parallel_requests\":2}"));
    cr_expect(add("{" ON "\"scope\":\"user\",\"scope_value\":\"x\",\"tpm_limit\":6}"));
    is_wanted("key/x", "{\"max_parallel_requests\":2}");
    is_wanted("user/x", "{\"tpm_limit\":6}");
}

Test(wanted, policy_that_is_not_active_is_listed_and_wants_nothing) {
    cr_expect(add("{\"id\":\"p\",\"is_active\":false,\"scope\":\"team\",\"scope_value\":\"t\","
                  "\"rpm_limit\":5}"));
    is_wanted("team/t", "{}");
    struct json_object *policies = aicps_member(aicps_member(subjects, "team/t"), "policies");
    cr_expect_eq(json_object_array_length(policies), 1);
}

Test(wanted, zero_is_never_wanted) {
    cr_expect(
        add("{" ON "\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":0,\"tpm_limit\":3}"));
    is_wanted("team/t", "{\"tpm_limit\":3}");
}

Test(wanted, scopes_that_litellm_cannot_hold_are_refused) {
    cr_expect_not(add("{" ON "\"scope\":\"global\",\"scope_value\":null,\"rpm_limit\":1}"));
    cr_expect_not(add("{" ON "\"scope\":\"model\",\"scope_value\":\"m\",\"rpm_limit\":1}"));
    cr_expect_not(add("{" ON "\"scope\":\"user_model\",\"scope_value\":\"u:m\",\"rpm_limit\":1}"));
    cr_expect_eq(json_object_object_length(subjects), 0);
}

/* ---- objections ---- */

/* Names of the fields that are objected to, with spaces between them. */
static void objects(const char *policy, const char *expected) {
    aicpa_objection found[AICPA_OBJECTIONS_MAX];
    struct json_object *row = parsed(policy);
    size_t count = aicpa_wanted_objections(row, found);
    char fields[256] = "";
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        at +=
            (size_t)snprintf(fields + at, sizeof fields - at, "%s%s", i ? " " : "", found[i].field);
    }
    json_object_put(row);
    cr_expect_str_eq(fields, expected, "%s", policy);
}

Test(wanted, what_litellm_cannot_do_is_objected_to) {
    objects(
        "{\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":1,\"burst_multiplier\":1}", "");
    objects("{\"scope\":\"key\",\"scope_value\":\"h\",\"max_parallel_requests\":1}", "");
    objects("{\"scope\":\"global\",\"scope_value\":null,\"rpm_limit\":1}", "enforcer");
    objects(
        "{\"scope\":\"model\",\"scope_value\":\"gpt-*\",\"rpm_limit\":1}", "enforcer scope_value");
    objects("{\"scope\":\"team\",\"scope_value\":\"t-*\",\"rpm_limit\":1}", "scope_value");
    objects("{\"scope\":\"key\",\"scope_value\":\"sk-1234\",\"rpm_limit\":1}", "scope_value");
    objects(
        "{\"scope\":\"team\",\"scope_value\":\"t\",\"rpd_limit\":1,\"tpd_limit\":1}",
        "rpd_limit tpd_limit");
    objects(
        "{\"scope\":\"team\",\"scope_value\":\"t\",\"max_parallel_requests\":1}",
        "max_parallel_requests");
    objects(
        "{\"scope\":\"key\",\"scope_value\":\"h\",\"max_parallel_requests\":2147483648}",
        "max_parallel_requests");
    objects(
        "{\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":1,\"burst_multiplier\":1.5}",
        "burst_multiplier");
    objects(
        "{\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":1,\"burst_window_seconds\":5}",
        "burst_multiplier");
    objects(
        "{\"scope\":\"team\",\"scope_value\":\"t\",\"rpm_limit\":0,\"tpm_limit\":0}",
        "rpm_limit tpm_limit");
    objects(
        "{\"scope\":\"key\",\"scope_value\":\"h\",\"max_parallel_requests\":0}",
        "max_parallel_requests");
}

/* ---- difference ---- */

static struct json_object *difference(const char *wanted, const char *pushed, const char *actual) {
    struct json_object *w = parsed(wanted);
    struct json_object *p = pushed ? parsed(pushed) : NULL;
    struct json_object *a = parsed(actual);
    struct json_object *d = aicpa_wanted_difference(w, p, a);
    json_object_put(w);
    json_object_put(p);
    json_object_put(a);
    return d;
}

Test(wanted, only_what_differs_is_sent) {
    is(difference("{\"a\":1,\"b\":2}", NULL, "{\"a\":1}"), "{\"b\":2}");
    is(difference("{\"a\":1}", "{\"a\":1}", "{\"a\":1}"), "{}");
    is(difference("{\"a\":1}", "{\"a\":1}", "{\"a\":7}"), "{\"a\":1}");
}

Test(wanted, what_was_pushed_and_is_not_wanted_is_taken_away_and_nothing_else) {
    is(difference("{\"a\":1}", "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}"), "{\"b\":null}");
    is(difference("{}", "{\"b\":2}", "{}"), "{}");
    is(difference("{}", NULL, "{\"b\":2}"), "{}");
}

Test(wanted, seen_are_the_named_numbers_only) {
    struct json_object *object = parsed("{\"rpm_limit\":5,\"tpm_limit\":6,\"max_budget\":1,"
                                        "\"metadata\":{\"model_rpm_limit\":{\"m:1\":3,\"n\":4}}}");
    struct json_object *w = parsed("{\"rpm_limit\":9,\"model_rpm_limit:m:1\":9}");
    struct json_object *p = parsed("{\"model_tpm_limit:m:1\":9}");
    is(aicpa_wanted_seen(object, w, p), "{\"rpm_limit\":5,\"model_rpm_limit:m:1\":3}");
    json_object_put(object);
    json_object_put(w);
    json_object_put(p);
}

Test(wanted, limits_of_models_that_are_not_ours_stay) {
    struct json_object *object =
        parsed("{\"metadata\":{\"model_rpm_limit\":{\"ours\":1,\"old\":2,\"theirs\":3}}}");
    struct json_object *numbers =
        parsed("{\"rpm_limit\":null,\"model_rpm_limit:ours\":9,\"model_rpm_limit:old\":null,"
               "\"model_tpm_limit:ours\":8}");
    is(aicpa_wanted_body(numbers, object),
       "{\"rpm_limit\":null,\"model_rpm_limit\":{\"ours\":9,\"theirs\":3},"
       "\"model_tpm_limit\":{\"ours\":8}}");
    is(aicpa_wanted_body(numbers, NULL),
       "{\"rpm_limit\":null,\"model_rpm_limit\":{\"ours\":9},\"model_tpm_limit\":{\"ours\":8}}");
    is(json_object_get(aicps_member(aicps_member(object, "metadata"), "model_rpm_limit")),
       "{\"ours\":1,\"old\":2,\"theirs\":3}");
    json_object_put(object);
    json_object_put(numbers);
}

Test(wanted, merged_are_both_with_one_on_top) {
    struct json_object *under = parsed("{\"a\":1,\"b\":2}");
    struct json_object *over = parsed("{\"b\":3}");
    is(aicpa_wanted_merge(under, over), "{\"a\":1,\"b\":3}");
    is(aicpa_wanted_merge(NULL, over), "{\"b\":3}");
    json_object_put(under);
    json_object_put(over);
}
