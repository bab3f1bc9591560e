/* The answer of a call. */
#include "lib/base/error.h"
#include "lib/litellm/litellm_internal.h"

aicp_status
aicp_litellm_reply_new(const aicp_allocator *allocator, aicp_litellm_reply **out, aicp_error *err) {
    if (!out) {
        return aicpi_fail(err, AICP_ERR_INVALID, "no place for the reply");
    }
    *out = NULL;
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_litellm_reply *reply = aicpi_calloc(&a, 1, sizeof *reply);
    if (!reply) {
        return aicpi_nomem(err);
    }
    reply->allocator = a;
    aicpi_net_response_init(&reply->response, &a);
    aicpi_strbuf_init(&reply->header, &a, AICPI_STRBUF_MAX);
    aicpi_arena_init(&reply->arena, &a, 0, 0);
    aicpi_litellm_reply_clear(reply);
    *out = reply;
    return AICP_OK;
}

void aicp_litellm_reply_free(aicp_litellm_reply *reply) {
    if (!reply) {
        return;
    }
    aicpi_net_response_deinit(&reply->response);
    aicpi_strbuf_deinit(&reply->header);
    aicpi_arena_deinit(&reply->arena);
    aicp_allocator a = reply->allocator;
    aicpi_free(&a, reply);
}

void aicpi_litellm_reply_clear(aicp_litellm_reply *reply) {
    aicpi_strbuf_clear(&reply->response.body);
    aicpi_strbuf_clear(&reply->response.headers);
    aicpi_arena_reset(&reply->arena);
    reply->response.status = 0;
    reply->message = "";
    reply->type = "";
    reply->code = "";
    reply->param = "";
}

int32_t aicp_litellm_reply_status(const aicp_litellm_reply *reply) {
    return reply->response.status;
}

const char *aicp_litellm_reply_body(const aicp_litellm_reply *reply, size_t *len) {
    if (len) {
        *len = reply->response.body.len;
    }
    return reply->response.body.len ? reply->response.body.data : "";
}

const char *aicp_litellm_reply_header(aicp_litellm_reply *reply, const char *name) {
    aicpi_slice value = aicpi_net_response_header(&reply->response, name);
    if (!value.data) {
        return NULL;
    }
    aicpi_strbuf_clear(&reply->header);
    aicpi_strbuf_append(&reply->header, value.data, value.len);
    return reply->header.failed ? NULL : reply->header.len ? reply->header.data : "";
}

const char *aicp_litellm_reply_message(const aicp_litellm_reply *reply) {
    return reply->message;
}

const char *aicp_litellm_reply_type(const aicp_litellm_reply *reply) {
    return reply->type;
}

const char *aicp_litellm_reply_code(const aicp_litellm_reply *reply) {
    return reply->code;
}

const char *aicp_litellm_reply_param(const aicp_litellm_reply *reply) {
    return reply->param;
}

aicp_status
aicp_litellm_reply_cost(aicp_litellm_reply *reply, int64_t *cost_nano, aicp_error *err) {
    if (!reply || !cost_nano) {
        return aicpi_fail(err, AICP_ERR_INVALID, "cost needs a reply and a place for the number");
    }
    aicpi_slice value = aicpi_net_response_header(&reply->response, "x-litellm-response-cost");
    if (!value.data || value.len == 0) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "the proxy did not say what the call cost");
    }
    return aicp_money_parse(value.data, value.len, cost_nano, err);
}

/* Copy that lives as long as the answer; "" when there is no memory for it. */
static const char *keep(aicp_litellm_reply *reply, aicpi_slice text) {
    const char *copy = text.len ? aicpi_arena_strndup(&reply->arena, text.data, text.len) : NULL;
    return copy ? copy : "";
}

aicp_status aicpi_litellm_reply_fail(
    aicp_litellm_reply *reply, aicpi_slice body, int32_t status, aicp_error *err) {
    int32_t http = status ? status : reply->response.status;
    aicpi_litellm_failure f;
    if (!aicpi_litellm_failure_read(&reply->arena, body.data, body.len, &f)) {
        /* A page of a proxy in between, or nothing: its beginning tells most. */
        f = (aicpi_litellm_failure){
            aicpi_slice_of(body.data, body.len < 200 ? body.len : 200),
            {NULL, 0},
            {NULL, 0},
            {NULL, 0}};
    }
    reply->message = keep(reply, f.message);
    reply->type = keep(reply, f.type);
    reply->code = keep(reply, f.code);
    reply->param = keep(reply, f.param);
    return aicpi_fail(
        err,
        aicpi_litellm_status(http, f.type),
        "LiteLLM answered %d%s%s: %s",
        http,
        *reply->type ? " " : "",
        reply->type,
        *reply->message ? reply->message : "no message");
}
