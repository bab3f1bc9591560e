/* What the audit log keeps of a body that goes to LiteLLM. */
#include "services/admin-api/proxy/proxy.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void expect(const char *body, const char *kept) {
    struct json_object *o = json_tokener_parse(body);
    struct json_object *audit = aicpa_proxy_for_audit(o);
    cr_assert_str_eq(json_object_to_json_string_ext(audit, JSON_C_TO_STRING_PLAIN), kept);
    json_object_put(audit);
    json_object_put(o);
}

Test(mask, credentials_of_a_deployment_are_not_kept) {
    expect(
        "{\"litellm_params\":{\"model\":\"openai/gpt-4o\",\"api_key\":\"abc\",\"rpm\":5,"
        "\"vertex_credentials\":{\"private\":\"x\"}}}",
        "{\"litellm_params\":{\"model\":\"openai\\/gpt-4o\",\"api_key\":\"********\",\"rpm\":5,"
        "\"vertex_credentials\":\"********\"}}");
}

Test(mask, a_virtual_key_is_kept_by_its_hash_wherever_it_stands) {
    char hash[AICPA_KEY_ID_SIZE];
    const char *id = aicpa_proxy_public_id("sk-a", hash);
    cr_assert_eq(strlen(id), 64);
    char kept[256];
    snprintf(kept, sizeof kept, "{\"keys\":[\"%s\",\"plain\"],\"deep\":{\"key\":\"%s\"}}", id, id);
    expect("{\"keys\":[\"sk-a\",\"plain\"],\"deep\":{\"key\":\"sk-a\"}}", kept);
}

Test(mask, other_values_stay_as_they_are) {
    expect("{\"a\":null,\"b\":[1,true]}", "{\"a\":null,\"b\":[1,true]}");
}
