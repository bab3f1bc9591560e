/* Policy text: any bytes are read or refused, and a set that was read can be asked and linked. */
#include "aicp/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every getter says of a set must fit together. */
static void look_at(const aicp_policy_set *set) {
    size_t count = aicp_policy_set_count(set);
    for (size_t i = 0; i < count; i++) {
        const char *id = aicp_policy_set_id(set, i);
        size_t index = SIZE_MAX;
        if (!id || aicp_policy_set_find(set, id, strlen(id), &index, NULL) != AICP_OK ||
            index != i || aicp_policy_set_line(set, i) == 0) {
            abort();
        }
        for (size_t j = 0; j < aicp_policy_set_annotation_count(set, i); j++) {
            const char *key = aicp_policy_set_annotation_key(set, i, j);
            if (aicp_policy_set_annotation(set, i, key) !=
                aicp_policy_set_annotation_value(set, i, j)) {
                abort();
            }
        }
    }
}

static void ask(const aicp_policy_set *set) {
    static const char context[] =
        "{\"n\":1,\"s\":\"x\",\"set\":[1,2],\"rec\":{\"a\":{\"b\":5}},\"t\":true,"
        "\"ip\":{\"__extn\":{\"fn\":\"ip\",\"arg\":\"10.0.0.1\"}}}";
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    if (aicp_policy_request_new(NULL, &request, NULL) != AICP_OK ||
        aicp_policy_response_new(NULL, &response, NULL) != AICP_OK ||
        aicp_policy_request_set_principal(request, "User", 4, "a", 1, NULL) != AICP_OK ||
        aicp_policy_request_set_action(request, "Action", 6, "b", 1, NULL) != AICP_OK ||
        aicp_policy_request_set_resource(request, "Doc", 3, "c", 1, NULL) != AICP_OK ||
        aicp_policy_request_entity_begin(request, "User", 4, "a", 1, NULL) != AICP_OK ||
        aicp_policy_request_entity_parent(request, "Group", 5, "g", 1, NULL) != AICP_OK ||
        aicp_policy_request_entity_attr_long(request, "age", 30, NULL) != AICP_OK ||
        aicp_policy_request_set_context_json(request, context, sizeof context - 1, NULL) !=
            AICP_OK) {
        abort();
    }
    if (aicp_policy_authorize(set, NULL, request, 0, response, NULL) != AICP_OK) {
        abort();
    }
    int32_t decision = aicp_policy_response_decision(response);
    for (size_t i = 0; i < aicp_policy_response_error_count(response); i++) {
        if (!aicp_policy_response_error_message(response, i) ||
            aicp_policy_response_error_kind(response, i) == 0 ||
            aicp_policy_response_error_line(response, i) == 0) {
            abort();
        }
    }
    if (aicp_policy_authorize(set, NULL, request, AICP_POLICY_DECISION_ONLY, response, NULL) !=
            AICP_OK ||
        aicp_policy_response_decision(response) != decision) {
        abort();
    }
    aicp_policy_request_free(request);
    aicp_policy_response_free(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = size % 2 ? AICP_POLICY_ID_FROM_ANNOTATION : 0;
    aicp_policy_set *set = NULL;
    aicp_error err = {0};
    if (aicp_policy_set_parse((const char *)data, size, &options, &set, &err) == AICP_OK) {
        look_at(set);
        ask(set);
        aicp_policy_set_free(set);
    } else if (set || err.code == AICP_OK || err.message[0] == '\0') {
        abort();
    }
    return 0;
}
