/* A whole request as one JSON object. */
#include "lib/policy/parser.h"
#include "lib/policy/request.h"

#include "lib/base/error.h"

/* Reads `Type::"id"` out of a JSON string at `at`. */
static bool read_uid_text(aicp_policy_request *request, size_t at, const aicpi_policy_uid **out) {
    aicpi_json *json = &request->reader.json;
    aicpi_slice text;
    if (!aicpi_json_string(json, &text)) {
        return false;
    }
    if (text.len >= UINT32_MAX) {
        return aicpi_json_fail(json, AICP_ERR_LIMIT, at, "an entity is too long");
    }
    aicp_error why = {0};
    aicpi_policy_parser p = {
        .lexer = {.data = text.data, .len = (uint32_t)text.len},
        .arena = &request->arena,
        .intern = &request->intern,
        .err = &why};
    aicpi_policy_advance(&p);
    *out = aicpi_policy_parse_uid(&p, "an entity such as Type::\"id\"");
    if (*out && p.token.type != AICPI_POLICY_TOKEN_END) {
        aicpi_policy_unexpected(&p, "nothing after the entity");
    }
    return p.status == AICP_OK || aicpi_json_fail(json, p.status, at, "%s", why.message);
}

static void read_part(aicp_policy_request *request, const aicpi_policy_uid **out) {
    size_t at = aicpi_json_offset(&request->reader.json);
    if (aicpi_json_peek(&request->reader.json) == AICPI_JSON_STRING) {
        read_uid_text(request, at, out);
    } else {
        aicpi_policy_read_uid(&request->reader, out);
    }
}

/* The context is only passed over: how it is read may depend on parts that stand behind it. */
static void read_member(aicp_policy_request *request, aicpi_slice key, aicpi_slice *context) {
    static const char *const parts[] = {"principal", "action", "resource"};
    aicpi_json *json = &request->reader.json;
    for (int i = 0; i < 3; i++) {
        if (aicpi_slice_is(key, parts[i])) {
            read_part(request, &request->vars[i]);
            return;
        }
    }
    if (!aicpi_slice_is(key, "context")) {
        aicpi_json_skip(json);
    } else if (aicpi_json_peek(json) == AICPI_JSON_NULL) {
        aicpi_json_null(json);
    } else {
        aicpi_json_span(json, context);
    }
}

/* Reads the context where it stands within `data`. */
static aicp_status read_context(
    aicp_policy_request *request,
    const char *data,
    size_t len,
    aicpi_slice context,
    aicp_error *err) {
    aicp_error why = {0};
    aicp_status status =
        aicp_policy_request_set_context_json(request, context.data, context.len, &why);
    if (status == AICP_OK) {
        return AICP_OK;
    }
    if (why.line == 0) {
        return aicpi_fail(err, status, "%s", why.message);
    }
    size_t offset = (size_t)(context.data - data) + why.offset;
    return aicpi_fail_at(err, status, data, len, offset, "%s", why.message);
}

aicp_status aicp_policy_request_set_json(
    aicp_policy_request *request, const char *data, size_t len, aicp_error *err) {
    aicpi_json *json = &request->reader.json;
    aicpi_slice context = {0};
    memset(request->vars, 0, sizeof request->vars);
    memset(request->types, 0, sizeof request->types);
    request->context = (aicpi_policy_fields){0};
    aicpi_arena_reset(&request->scratch);
    aicpi_policy_reader_start(&request->reader, &request->intern, &request->scratch, data, len);
    if (aicpi_json_object(json)) {
        for (aicpi_slice key; aicpi_json_member(json, &key);) {
            read_member(request, key, &context);
        }
    }
    aicp_status status = aicpi_json_finish(json, err);
    return status == AICP_OK && context.data ? read_context(request, data, len, context, err)
                                             : status;
}
