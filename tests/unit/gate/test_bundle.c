#include "unit/gate/gate_support.h"

#include "lib/base/crypto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect_refused(
    const char *file, const char *text, aicp_status status, uint32_t line, const char *words) {
    gate_folder folder = gate_folder_standard();
    aicp_error err = {0};
    gate_write(&folder, file, text);
    cr_assert_eq(aicp_bundle_seal(folder.path, "v2", &err), status, "%s: %s", file, err.message);
    cr_assert_eq(err.line, line, "%s: line %u: %s", file, err.line, err.message);
    cr_assert(strncmp(err.message, file, strlen(file)) == 0, "%s", err.message);
    cr_assert_not_null(strstr(err.message, words), "%s", err.message);
    gate_folder_remove(&folder);
}

Test(bundle, a_broken_section_is_named_with_line_and_column) {
    expect_refused(
        "policies.cedar", "permit (principal, action, resource);\npermit (", AICP_ERR_PARSE, 2, "");
    expect_refused(
        "limits.json", "[\n{\"id\":\"x\",\"kind\":\"apples\"}]", AICP_ERR_INVALID, 2, "apples");
    expect_refused("accounts.json", "[{\"id\":\"a\",\n\"hard\":-1}]", AICP_ERR_PARSE, 2, "amount");
    expect_refused(
        "accounts.json", "[{\"id\":\"a\",\"duration\":\"1 fortnight\"}]", AICP_ERR_PARSE, 1, "");
    expect_refused("accounts.json", "[{\"id\":\"a\"},{\"id\":\"a\"}]", AICP_ERR_EXISTS, 1, "twice");
    expect_refused("routes.json", "{\"alias\":{}}", AICP_ERR_PARSE, 1, "unknown member");
    expect_refused(
        "routes.json", "{\"redirects\":[{\"id\":\"x\",\"to\":\"y\"}]}", AICP_ERR_PARSE, 1, "match");
    expect_refused("settings.json", "{\"budget_status\":500}", AICP_ERR_RANGE, 1, "422");
    expect_refused(
        "prices.json", "{\"m\":{\"input_cost_per_token\":\n\"much\"}}", AICP_ERR_PARSE, 2, "");
}

Test(bundle, an_error_inside_a_profile_has_its_place_in_the_file) {
    expect_refused(
        "guardrails.json",
        "{\"default\":\"a\",\n \"profiles\":[\n  {\"name\":\"a\",\n   \"colour\":1}]}",
        AICP_ERR_PARSE,
        4,
        "colour");
}

Test(bundle, assignments_and_default_must_name_a_profile) {
    expect_refused(
        "guardrails.json",
        "{\"default\":\"none\",\"profiles\":[]}",
        AICP_ERR_PARSE,
        1,
        "no profile");
    expect_refused(
        "guardrails.json",
        "{\"profiles\":[{\"name\":\"a\"}],\"assignments\":[{\"match\":{\"team\":[\"x\"]},"
        "\"profile\":\"b\"}]}",
        AICP_ERR_PARSE,
        1,
        "no profile");
    expect_refused(
        "guardrails.json",
        "{\"profiles\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
        AICP_ERR_PARSE,
        1,
        "twice");
}

Test(bundle, a_file_that_is_not_the_one_of_the_manifest_is_refused) {
    gate_folder folder = gate_folder_standard();
    aicp_bundle *bundle = NULL;
    aicp_error err = {0};
    gate_write(&folder, "settings.json", "{}");
    cr_assert_eq(
        aicp_bundle_open(folder.path, NULL, &bundle, &err),
        AICP_OK,
        "a file that no manifest names is not read");
    aicp_bundle_free(bundle);
    gate_write(&folder, "routes.json", "{}");
    cr_assert_eq(aicp_bundle_open(folder.path, NULL, &bundle, &err), AICP_ERR_BUNDLE);
    cr_assert_null(bundle);
    cr_assert_not_null(strstr(err.message, "routes.json"), "%s", err.message);
    gate_folder_remove(&folder);
}

Test(bundle, manifest_must_have_format_version_and_known_sections) {
    gate_folder folder = gate_folder_new();
    aicp_bundle *bundle = NULL;
    const char *bad[] = {
        "{}",
        "{\"format\":\"aicp-bundle/2\",\"version\":\"v\",\"sections\":{}}",
        "{\"format\":\"aicp-bundle/1\",\"version\":\"\",\"sections\":{}}",
        "{\"format\":\"aicp-bundle/1\",\"version\":\"v\",\"sections\":{\"colours\":{}}}",
        "{\"format\":\"aicp-bundle/1\",\"version\":\"v\",\"sections\":{\"limits\":{\"size\":1}}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        aicp_error err = {0};
        gate_write(&folder, "manifest.json", bad[i]);
        cr_assert_eq(
            aicp_bundle_open(folder.path, NULL, &bundle, &err), AICP_ERR_BUNDLE, "%s", bad[i]);
        cr_assert_not_null(strstr(err.message, "manifest.json"), "%s", err.message);
    }
    gate_folder_remove(&folder);
}

Test(bundle, describes_what_it_holds) {
    gate_folder folder = gate_folder_standard();
    aicp_bundle *bundle = NULL;
    aicp_buf text = AICP_BUF_INIT;
    cr_assert_eq(aicp_bundle_open(folder.path, NULL, &bundle, NULL), AICP_OK);
    cr_assert_str_eq(aicp_bundle_version(bundle), "v1");
    cr_assert_eq(aicp_bundle_describe(bundle, &text, NULL), AICP_OK);
    cr_assert_not_null(strstr(text.data, "\"limits\":{"), "%s", text.data);
    cr_assert_not_null(strstr(text.data, "\"rules\":2"), "%s", text.data);
    aicp_buf_free(&text);
    aicp_bundle_free(bundle);
    gate_folder_remove(&folder);
}

static bool open_bundle(void *user, const aicp_allocator *a) {
    const gate_folder *folder = user;
    aicp_bundle *bundle = NULL;
    aicp_status status = aicp_bundle_open(folder->path, a, &bundle, NULL);
    aicp_bundle_free(bundle);
    return status == AICP_OK || status == AICP_ERR_NOMEM;
}

Test(bundle, survives_every_failing_allocation) {
    gate_folder folder = gate_folder_standard();
    cr_assert_gt(test_every_allocation_failing(open_bundle, &folder), 20);
    gate_folder_remove(&folder);
}

/* ---- schema ---- */

static const char small_schema[] =
    "namespace AICP { entity Team; entity Key in [Team]; entity Model; action chat appliesTo {"
    " principal: Key, resource: Model, context: { input_tokens: Long } }; }";

Test(bundle, policies_that_do_not_fit_the_schema_are_refused_with_their_place) {
    gate_folder folder = gate_folder_standard();
    aicp_error err = {0};
    gate_write(&folder, "schema.cedarschema", small_schema);
    gate_write(
        &folder,
        "policies.cedar",
        "@id(\"a\") permit (principal, action, resource);\n"
        "@id(\"b\") forbid (principal, action, resource)\nwhen { context.input_token > 5 };");
    cr_assert_eq(aicp_bundle_seal(folder.path, "v2", &err), AICP_ERR_INVALID);
    cr_assert_not_null(strstr(err.message, "policies.cedar: policy b: "), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "input_token"), "%s", err.message);
    cr_assert_eq(err.line, 3);
    gate_write(
        &folder,
        "policies.cedar",
        "permit (principal, action, resource) when { context.input_tokens < 5 };");
    gate_seal(&folder, "v2");
    gate_write(&folder, "schema.cedarschema", "namespace AICP { entity Team in [Nobody]; }");
    cr_assert_neq(aicp_bundle_seal(folder.path, "v3", &err), AICP_OK);
    cr_assert_not_null(strstr(err.message, "schema.cedarschema: "), "%s", err.message);
    gate_folder_remove(&folder);
}

Test(bundle, entities_that_do_not_fit_the_schema_are_refused_with_their_place) {
    gate_folder folder = gate_folder_standard();
    aicp_error err = {0};
    gate_write(&folder, "schema.cedarschema", small_schema);
    gate_write(&folder, "policies.cedar", "permit (principal, action, resource);");
    gate_write(
        &folder,
        "entities.json",
        "[{\"uid\":{\"type\":\"AICP::Team\",\"id\":\"red\"},\"attrs\":{},\"parents\":[]},\n"
        " {\"uid\":{\"type\":\"AICP::Teem\",\"id\":\"red\"},\"attrs\":{},\"parents\":[]}]");
    cr_assert_neq(aicp_bundle_seal(folder.path, "v2", &err), AICP_OK);
    cr_assert_not_null(strstr(err.message, "entities.json: "), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "AICP::Teem"), "%s", err.message);
    cr_assert_eq(err.line, 2);
    gate_folder_remove(&folder);
}

/* Puts another schema of the same length into a sealed bundle, as a careless tool would. */
static void change_schema(const gate_folder *folder, const char *from, const char *to) {
    char path[512];
    char old_hash[65];
    char new_hash[65];
    char manifest[4096];
    aicpi_sha256_hex(from, strlen(from), old_hash);
    aicpi_sha256_hex(to, strlen(to), new_hash);
    snprintf(path, sizeof path, "%s/manifest.json", folder->path);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    manifest[fread(manifest, 1, sizeof manifest - 1, file)] = '\0';
    fclose(file);
    char *hash = strstr(manifest, old_hash);
    cr_assert_not_null(hash);
    memcpy(hash, new_hash, 64);
    gate_write(folder, "schema.cedarschema", to);
    gate_write(folder, "manifest.json", manifest);
}

Test(bundle, a_new_schema_judges_policies_that_did_not_change) {
    char other[sizeof small_schema];
    gate_fixture f = gate_fixture_new();
    aicp_error err = {0};
    gate_write(&f.folder, "schema.cedarschema", small_schema);
    gate_write(
        &f.folder,
        "policies.cedar",
        "permit (principal, action, resource) when { context.input_tokens < 5 };");
    gate_seal(&f.folder, "v2");
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, &err), AICP_OK, "%s", err.message);
    memcpy(other, small_schema, sizeof other);
    memcpy(strstr(other, "Long"), "Bool", 4);
    change_schema(&f.folder, small_schema, other);
    cr_assert_eq(aicp_gate_reload(f.gate, NULL, &err), AICP_ERR_INVALID);
    cr_assert_not_null(strstr(err.message, "policies.cedar: policy policy0: "), "%s", err.message);
    gate_fixture_free(&f);
}
