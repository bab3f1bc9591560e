/* Data under a schema: a schema, a line "---", then JSON that is read as entities, as a context and
 * as what a lookup gives. Whatever is accepted can be written, read again and asked. */
#include "aicp/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct text {
    const char *data;
    size_t len;
} text;

static aicp_policy_entities *read_entities(const aicp_policy_schema *schema, text json) {
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    aicp_policy_entities *entities = NULL;
    aicp_error err = {0};
    options.max_ancestors = 100000;
    options.schema = schema;
    aicp_status status = aicp_policy_entities_parse(json.data, json.len, &options, &entities, &err);
    if ((status == AICP_OK) != (entities != NULL) ||
        (status != AICP_OK && err.message[0] == '\0')) {
        abort();
    }
    return entities;
}

/* What conforms still does after it was written in full. */
static void write_again(const aicp_policy_entities *entities, const aicp_policy_schema *schema) {
    aicp_buf out = AICP_BUF_INIT;
    if (aicp_policy_entities_write(entities, &out, NULL) != AICP_OK) {
        return;
    }
    aicp_policy_entities *again = read_entities(schema, (text){out.data, out.len});
    if (!again || aicp_policy_entities_count(again) != aicp_policy_entities_count(entities)) {
        abort();
    }
    aicp_policy_entities_free(again);
    aicp_buf_free(&out);
}

static aicp_status give(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    const text *json = user;
    (void)type;
    (void)type_len;
    (void)id;
    (void)id_len;
    return aicp_policy_found_json(found, json->data, json->len, err);
}

static const char policies[] =
    "permit (principal in Group::\"g\", action in Action::\"all\", resource)"
    " when { principal has a.b || resource.a == context.a };";

/* A context that was read conforms when nothing else of the request is in the way. */
static void ask(aicp_policy_schema *schema, const aicp_policy_entities *entities, text json) {
    aicp_policy_request *r = NULL;
    aicp_policy_response *response = NULL;
    aicp_policy_set *set = NULL;
    if (aicp_policy_request_new(NULL, &r, NULL) != AICP_OK ||
        aicp_policy_response_new(NULL, &response, NULL) != AICP_OK ||
        aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &set, NULL) != AICP_OK ||
        aicp_policy_request_set_principal(r, "User", 4, "a", 1, NULL) != AICP_OK ||
        aicp_policy_request_set_action(r, "Action", 6, "v", 1, NULL) != AICP_OK ||
        aicp_policy_request_set_resource(r, "User", 4, "b", 1, NULL) != AICP_OK ||
        aicp_policy_request_set_lookup(r, give, &json, NULL, NULL) != AICP_OK) {
        abort();
    }
    aicp_policy_request_set_schema(r, schema);
    aicp_error err = {0};
    aicp_status context = aicp_policy_request_set_context_json(r, json.data, json.len, &err);
    if (context != AICP_OK && err.message[0] == '\0') {
        abort();
    }
    aicp_error why = {0};
    if (aicp_policy_request_check(r, &why) != AICP_OK && context == AICP_OK &&
        strncmp(why.message, "context", 7) == 0) {
        abort();
    }
    aicp_status status = aicp_policy_authorize(set, entities, r, 0, response, NULL);
    if (status != AICP_OK && status != AICP_ERR_CALLBACK && status != AICP_ERR_INVALID) {
        abort();
    }
    aicp_policy_request_free(r);
    aicp_policy_response_free(response);
    aicp_policy_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char line[] = "\n---\n";
    const char *start = (const char *)data;
    const char *end = size ? memmem(start, size, line, sizeof line - 1) : NULL;
    aicp_policy_schema *schema = NULL;
    if (!end ||
        aicp_policy_schema_parse(start, (size_t)(end - start), NULL, &schema, NULL) != AICP_OK) {
        return 0;
    }
    text json = {.data = end + sizeof line - 1};
    json.len = size - (size_t)(json.data - start);
    aicp_policy_entities *entities = read_entities(schema, json);
    if (entities) {
        write_again(entities, schema);
    }
    ask(schema, entities, json);
    aicp_policy_entities_free(entities);
    aicp_policy_schema_free(schema);
    return 0;
}
