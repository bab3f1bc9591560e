/* Schemas in both syntaxes: any bytes are read or refused, and what was read is written such that
 * it reads back and is then written alike. */
#include "aicp/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Less than the JSON reader's own limit admits, so that every schema has a JSON form. */
#define DEPTH 40

static aicp_policy_schema *read_schema(const char *data, size_t len) {
    aicp_policy_schema_options options = AICP_POLICY_SCHEMA_OPTIONS_INIT;
    options.max_depth = DEPTH;
    aicp_policy_schema *schema = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_schema_parse(data, len, &options, &schema, &err);
    if ((status == AICP_OK) != (schema != NULL) ||
        (status != AICP_OK && (err.code != status || err.message[0] == '\0'))) {
        abort();
    }
    return schema;
}

static void look_at(const aicp_policy_schema *schema) {
    for (size_t i = 0; i < aicp_policy_schema_entity_type_count(schema); i++) {
        if (!aicp_policy_schema_entity_type(schema, i)) {
            abort();
        }
    }
    for (size_t i = 0; i < aicp_policy_schema_action_count(schema); i++) {
        size_t len = 0;
        const char *id = aicp_policy_schema_action_id(schema, i, &len);
        if (!id || id[len] != '\0' || !aicp_policy_schema_action_type(schema, i)) {
            abort();
        }
    }
    for (size_t i = 0; i < aicp_policy_schema_warning_count(schema); i++) {
        if (!aicp_policy_schema_warning(schema, i) ||
            aicp_policy_schema_warning_line(schema, i) == 0) {
            abort();
        }
    }
}

static void write_again(const aicp_policy_schema *schema, int32_t format) {
    aicp_buf once = AICP_BUF_INIT;
    aicp_buf twice = AICP_BUF_INIT;
    aicp_status status = aicp_policy_schema_write(schema, format, &once, NULL);
    if (status == AICP_ERR_UNSUPPORTED && format == AICP_POLICY_FORMAT_CEDAR) {
        return;
    }
    aicp_policy_schema *again = status == AICP_OK ? read_schema(once.data, once.len) : NULL;
    if (!again || aicp_policy_schema_write(again, format, &twice, NULL) != AICP_OK ||
        once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0 ||
        aicp_policy_schema_action_count(again) != aicp_policy_schema_action_count(schema) ||
        aicp_policy_schema_entity_type_count(again) !=
            aicp_policy_schema_entity_type_count(schema)) {
        abort();
    }
    aicp_policy_schema_free(again);
    aicp_buf_free(&once);
    aicp_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_policy_schema *schema = read_schema((const char *)data, size);
    if (schema) {
        look_at(schema);
        write_again(schema, AICP_POLICY_FORMAT_CEDAR);
        write_again(schema, AICP_POLICY_FORMAT_JSON);
        aicp_policy_schema_free(schema);
    }
    return 0;
}
