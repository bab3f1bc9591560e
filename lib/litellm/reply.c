/* The answer of a call. */
#include "lib/base/error.h"
#include "lib/base/text.h"
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
    reply->failed = 0;
    reply->has_usage = false;
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
    if (value.data && value.len != 0) {
        return aicp_money_parse(value.data, value.len, cost_nano, err);
    }
    aicp_litellm_usage usage = AICP_LITELLM_USAGE_INIT; /* streams tell it there */
    if (aicp_litellm_reply_usage(reply, &usage, NULL) != AICP_OK || usage.cost_nano < 0) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "the proxy did not say what the call cost");
    }
    *cost_nano = usage.cost_nano;
    return AICP_OK;
}

int32_t aicp_litellm_reply_relay(const aicp_litellm_reply *reply, aicp_status outcome) {
    int32_t http = reply->failed;
    switch (outcome) {
    case AICP_OK:
        return 200;
    case AICP_ERR_INVALID:
        return 422;
    case AICP_ERR_NET_CONNECT:
    case AICP_ERR_NET_TLS:
    case AICP_ERR_NET_FORBIDDEN:
    case AICP_ERR_TIMEOUT:
    case AICP_ERR_IO:
        return 503;
    case AICP_ERR_NOMEM:
    case AICP_ERR_CALLBACK:
        return 500;
    case AICP_ERR_NOT_FOUND:
        return 404;
    default:
        return http >= 400 && http < 500 ? http : 502;
    }
}

/* Copy that lives as long as the answer; "" when there is no memory for it. */
static const char *keep(aicp_litellm_reply *reply, aicpi_slice text) {
    const char *copy = text.len ? aicpi_arena_strndup(&reply->arena, text.data, text.len) : NULL;
    return copy ? copy : "";
}

aicp_status aicpi_litellm_check_json(aicp_litellm_reply *reply, const char *path, aicp_error *err) {
    size_t len = 0;
    const char *body = aicp_litellm_reply_body(reply, &len);
    aicpi_json r;
    aicp_error why = {.code = 0};
    aicpi_json_init(&r, &reply->arena, body, len, 0);
    aicpi_json_skip(&r);
    aicp_status status = aicpi_json_finish(&r, &why);
    return status == AICP_OK
               ? AICP_OK
               : aicpi_fail(err, status, "LiteLLM's answer to %s: %s", path, why.message);
}

/* A page of a proxy in between, or nothing. */
static void keep_description(aicp_litellm_reply *reply, aicpi_slice body) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &reply->allocator, 4096);
    aicpi_litellm_describe(body.data, body.len, &text);
    reply->message = text.failed ? "" : keep(reply, aicpi_slice_of(text.data, text.len));
    aicpi_strbuf_deinit(&text);
}

/* Inside a stream the status has gone out before: the code tells it. */
static int32_t status_in(aicpi_slice code) {
    uint64_t number = 0;
    bool told = code.data && aicpi_parse_u64(code, &number) && number >= 400 && number < 600;
    return told ? (int32_t)number : 500;
}

aicp_status aicpi_litellm_reply_fail(aicp_litellm_reply *reply, aicpi_slice body, aicp_error *err) {
    int32_t http = reply->response.status;
    aicpi_litellm_failure f;
    if (aicpi_litellm_failure_read(&reply->arena, body.data, body.len, &f) && f.message.len) {
        reply->message = keep(reply, f.message);
    } else {
        keep_description(reply, body);
    }
    reply->type = keep(reply, f.type);
    reply->code = keep(reply, f.code);
    reply->param = keep(reply, f.param);
    http = http >= 300 ? http : status_in(f.code);
    reply->failed = http;
    return aicpi_fail(
        err,
        aicpi_litellm_status(http, f.type),
        "LiteLLM answered %d%s%s: %s",
        http,
        *reply->type ? " " : "",
        reply->type,
        *reply->message ? reply->message : "no message");
}
