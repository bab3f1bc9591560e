/* Opening a client and sending. */
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/litellm/litellm_internal.h"

#include <stddef.h>

#define DEFAULT_CHAT_MS 600000
#define DEFAULT_MAX_RESPONSE ((uint64_t)64 << 20)

void aicp_litellm_options_init(aicp_litellm_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

static aicp_status check_address(aicpi_slice url, aicpi_slice key, aicp_error *err) {
    bool http = url.len > 7 && memcmp(url.data, "http://", 7) == 0;
    bool https = url.len > 8 && memcmp(url.data, "https://", 8) == 0;
    if (!http && !https) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM URL must start with http:// or https://");
    }
    if (key.len == 0) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM key is empty");
    }
    for (size_t i = 0; i < key.len; i++) {
        if ((unsigned char)key.data[i] < 0x21 || key.data[i] == 0x7F) {
            return aicpi_fail(
                err, AICP_ERR_INVALID, "LiteLLM key holds a blank or control character");
        }
    }
    return AICP_OK;
}

static aicp_status set_texts(aicp_litellm *c, aicpi_slice url, aicpi_slice key, aicp_error *err) {
    while (url.len > 0 && url.data[url.len - 1] == '/') {
        url.len--;
    }
    c->url = aicpi_strndup(&c->allocator, url.data, url.len);
    c->url_len = url.len;
    static const char BEARER[] = "Bearer ";
    size_t prefix = sizeof BEARER - 1;
    c->authorization_len = prefix + key.len;
    c->authorization = aicpi_alloc(&c->allocator, c->authorization_len);
    if (!c->url || !c->authorization) {
        return aicpi_nomem(err);
    }
    memcpy(c->authorization, BEARER, prefix);
    memcpy(c->authorization + prefix, key.data, key.len);
    return AICP_OK;
}

static aicp_status open_net(aicp_litellm *c, const aicp_litellm_options *o, aicp_error *err) {
    aicpi_net_options n = {
        .allocator = &c->allocator,
        .timeout_ms = o->timeout_ms,
        .connect_timeout_ms = o->connect_timeout_ms,
        .max_response = (size_t)c->max_response,
        .max_idle = o->max_idle,
    };
    return aicpi_net_client_new(&n, &c->net, err);
}

aicp_status aicp_litellm_open(
    const char *url,
    size_t url_len,
    const char *key,
    size_t key_len,
    const aicp_litellm_options *options,
    aicp_litellm **out,
    aicp_error *err) {
    if (!out || !url || !key) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM client needs a URL and a key");
    }
    *out = NULL;
    aicp_litellm_options o;
    aicp_status status = aicpi_options_copy(&o, sizeof o, options, "aicp_litellm_options", err);
    if (status == AICP_OK) {
        status = check_address(aicpi_slice_of(url, url_len), aicpi_slice_of(key, key_len), err);
    }
    if (status != AICP_OK) {
        return status;
    }
    if (o.trace && (!o.trace->begin || !o.trace->end)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "aicp_litellm_trace needs both functions");
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_litellm *c = aicpi_calloc(&a, 1, sizeof *c);
    if (!c) {
        return aicpi_nomem(err);
    }
    c->allocator = a;
    if (o.trace) {
        c->trace = *o.trace;
    }
    c->timeout_ms = o.timeout_ms;
    c->chat_timeout_ms = o.chat_timeout_ms ? o.chat_timeout_ms : DEFAULT_CHAT_MS;
    c->max_response = o.max_response ? o.max_response : DEFAULT_MAX_RESPONSE;
    status = set_texts(c, aicpi_slice_of(url, url_len), aicpi_slice_of(key, key_len), err);
    if (status == AICP_OK) {
        status = open_net(c, &o, err);
    }
    if (status != AICP_OK) {
        aicp_litellm_free(c);
        return status;
    }
    *out = c;
    return AICP_OK;
}

void aicp_litellm_free(aicp_litellm *client) {
    if (!client) {
        return;
    }
    aicpi_net_client_free(client->net);
    aicp_allocator a = client->allocator;
    if (client->authorization) {
        aicpi_wipe(client->authorization, client->authorization_len);
    }
    aicpi_free(&a, client->authorization);
    aicpi_free(&a, client->url);
    aicpi_free(&a, client);
}

static aicp_status send_to(
    aicp_litellm *c,
    const aicpi_litellm_request *q,
    aicpi_slice url,
    const char *traceparent,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    aicpi_net_header headers[4] = {
        {AICPI_SLICE("Authorization"), aicpi_slice_of(c->authorization, c->authorization_len)},
        {AICPI_SLICE("Accept"),
         q->on_chunk ? AICPI_SLICE("text/event-stream") : AICPI_SLICE("application/json")},
    };
    size_t count = 2;
    if (q->body.data) {
        headers[count++] =
            (aicpi_net_header){AICPI_SLICE("Content-Type"), AICPI_SLICE("application/json")};
    }
    if (traceparent[0]) {
        headers[count++] =
            (aicpi_net_header){AICPI_SLICE("traceparent"), aicpi_slice_cstr(traceparent)};
    }
    aicpi_net_request r = {
        .method = q->method,
        .url = url,
        .headers = headers,
        .header_count = count,
        .body = q->body,
        .timeout_ms = q->timeout_ms ? q->timeout_ms : c->timeout_ms,
        .may_repeat = q->may_repeat,
        .on_chunk = q->on_chunk,
        .user = q->user,
    };
    aicp_status status = aicpi_net_perform(c->net, &r, &reply->response, err);
    if (status != AICP_OK) {
        return status;
    }
    int32_t http = reply->response.status;
    if (http >= 200 && http < 300) {
        return AICP_OK;
    }
    aicpi_slice body = aicpi_slice_of(reply->response.body.data, reply->response.body.len);
    return aicpi_litellm_reply_fail(reply, body, err);
}

/* The same inside the caller's trace. */
static aicp_status send_traced(
    aicp_litellm *c,
    const aicpi_litellm_request *q,
    aicpi_slice url,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!c->trace.begin) {
        return send_to(c, q, url, "", reply, err);
    }
    max_align_t room[AICP_LITELLM_TRACE_ROOM / sizeof(max_align_t)];
    char header[56] = "";
    const char *query = memchr(q->path.data, '?', q->path.len);
    size_t path_len = query ? (size_t)(query - q->path.data) : q->path.len;
    c->trace.begin(c->trace.user, q->method, q->path.data, path_len, header, room);
    header[sizeof header - 1] = '\0';
    aicp_status status = send_to(c, q, url, header, reply, err);
    c->trace.end(c->trace.user, reply->response.status, room);
    return status;
}

aicp_status aicpi_litellm_send(
    aicp_litellm *client,
    const aicpi_litellm_request *request,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!client || !reply) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call needs a client and a reply");
    }
    aicpi_litellm_reply_clear(reply);
    if (request->path.len == 0 || request->path.data[0] != '/') {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM path must start with /");
    }
    aicpi_strbuf url;
    aicpi_strbuf_init(&url, &client->allocator, 2 * AICPI_LITELLM_PATH_MAX);
    aicpi_strbuf_append(&url, client->url, client->url_len);
    aicpi_strbuf_append(&url, request->path.data, request->path.len);
    aicp_status status =
        url.failed ? aicpi_litellm_overflow(&url, "LiteLLM", err)
                   : send_traced(client, request, aicpi_slice_of(url.data, url.len), reply, err);
    aicpi_strbuf_deinit(&url);
    return status;
}
