/* Entities and contexts as JSON: any bytes are read or refused, and a store that was read can be
 * asked. */
#include "aicp/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policies[] =
    "permit (principal in Group::\"g\", action, resource)"
    " when { principal has a.b && principal.hasTag(\"t\") && principal.getTag(\"t\") == context };"
    "forbid (principal, action, resource)"
    " when { resource.a == principal.a || [resource.a].contains(principal.b) };";

static void
ask(const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const char *data,
    size_t len) {
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    if (aicp_policy_request_new(NULL, &request, NULL) != AICP_OK ||
        aicp_policy_response_new(NULL, &response, NULL) != AICP_OK ||
        aicp_policy_request_set_principal(request, "User", 4, "a", 1, NULL) != AICP_OK ||
        aicp_policy_request_set_action(request, "Action", 6, "b", 1, NULL) != AICP_OK ||
        aicp_policy_request_set_resource(request, "Doc", 3, "d", 1, NULL) != AICP_OK ||
        /* A group of the store, so that ancestors are found by walking. */
        aicp_policy_request_entity_begin(request, "Group", 5, "g", 1, NULL) != AICP_OK ||
        aicp_policy_request_entity_parent(request, "Group", 5, "top", 3, NULL) != AICP_OK) {
        abort();
    }
    aicp_status context = aicp_policy_request_set_context_json(request, data, len, NULL);
    aicp_status status = aicp_policy_authorize(set, entities, request, 0, response, NULL);
    if (context == AICP_OK && status != AICP_OK && status != AICP_ERR_INVALID) {
        abort();
    }
    aicp_policy_request_free(request);
    aicp_policy_response_free(response);
}

/* What is written reads back, and is then written alike. */
static void write_again(const aicp_policy_entities *entities) {
    aicp_buf once = AICP_BUF_INIT;
    aicp_buf twice = AICP_BUF_INIT;
    aicp_policy_entities *again = NULL;
    if (aicp_policy_entities_write(entities, &once, NULL) != AICP_OK) {
        return;
    }
    if (aicp_policy_entities_parse(once.data, once.len, NULL, &again, NULL) != AICP_OK ||
        aicp_policy_entities_write(again, &twice, NULL) != AICP_OK || once.len != twice.len ||
        memcmp(once.data, twice.data, once.len) != 0) {
        abort();
    }
    aicp_policy_entities_free(again);
    aicp_buf_free(&once);
    aicp_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    options.max_ancestors = 100000;
    aicp_policy_entities *entities = NULL;
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    const char *text = (const char *)data;
    if (aicp_policy_set_parse(policies, sizeof policies - 1, NULL, &set, NULL) != AICP_OK) {
        abort();
    }
    aicp_status status = aicp_policy_entities_parse(text, size, &options, &entities, &err);
    if ((status == AICP_OK) != (entities != NULL) ||
        (status != AICP_OK && err.message[0] == '\0')) {
        abort();
    }
    ask(set, entities, text, size);
    if (entities) {
        write_again(entities);
    }
    aicp_policy_entities_free(entities);
    aicp_policy_set_free(set);
    return 0;
}
