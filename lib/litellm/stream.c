/* Streamed answers of models. */
#include "lib/base/error.h"
#include "lib/litellm/litellm_internal.h"

/* A stream on its way to the caller. */
typedef struct stream {
    aicp_litellm_event_fn fn;
    void *user;
    aicpi_sse sse;
    aicp_litellm_reply *reply;
    bool done;          /* "[DONE]" came, or what ends a stream without it */
    bool failed;        /* an error event came, the reply tells it */
    aicp_status status; /* of a failure of ours, with its error: the connection tells another */
    aicp_error err;
} stream;

static bool on_event(void *user, aicpi_slice data) {
    stream *s = user;
    aicp_litellm_reply *reply = s->reply;
    aicpi_litellm_event event;
    if (s->done || s->failed) {
        return true;
    }
    if (aicpi_slice_is(data, "[DONE]")) {
        s->done = true;
        return true;
    }
    aicpi_arena_reset(&reply->arena);
    s->status = aicpi_litellm_event_read(&reply->arena, data, &reply->usage, &event);
    if (s->status != AICP_OK) {
        aicpi_nomem(&s->err);
        return false;
    }
    reply->has_usage = reply->has_usage || event.usage;
    if (event.error.data) {
        s->failed = true;
        s->status = aicpi_litellm_reply_fail(reply, event.error, &s->err);
        return true;
    }
    s->done = event.last;
    if (reply->response.status >= 400) {
        return true; /* only looked through for an error */
    }
    return s->fn(s->user, data.data, data.len) == 0;
}

static bool on_chunk(void *user, const char *data, size_t len) {
    stream *s = user;
    aicp_error err;
    aicp_status fed = aicpi_sse_feed(&s->sse, data, len, &err);
    if (fed != AICP_OK && s->status == AICP_OK) {
        s->status = fed;
        s->err = err;
    }
    return fed == AICP_OK;
}

/* Whether the body of an error answer is an event stream: the error stands in its first event. */
static bool is_stream(const aicp_litellm_reply *reply) {
    static const char PREFIX[] = "data:";
    const aicpi_strbuf *body = &reply->response.body;
    return reply->failed && body->len > sizeof PREFIX &&
           memcmp(body->data, PREFIX, sizeof PREFIX - 1) == 0;
}

static aicp_status reread_as_stream(stream *s) {
    const aicpi_strbuf *body = &s->reply->response.body;
    aicp_status fed = aicpi_sse_feed(&s->sse, body->data, body->len, NULL);
    if (fed == AICP_OK && s->failed) {
        return s->status;
    }
    /* The texts of the reply lay in the memory that the events took. */
    return aicpi_litellm_reply_fail(s->reply, aicpi_slice_of(body->data, body->len), &s->err);
}

static aicp_status finish_stream(stream *s, aicp_status status, aicp_error *err) {
    if (s->failed || (status == AICP_ERR_CALLBACK && s->status != AICP_OK)) {
        status = s->status;
    } else if (status != AICP_OK && is_stream(s->reply)) {
        status = reread_as_stream(s);
    } else if (status == AICP_OK && !s->done) {
        return aicpi_fail(err, AICP_ERR_IO, "the stream ended before its last event");
    } else {
        return status;
    }
    if (err) {
        *err = s->err;
    }
    return status;
}

aicp_status aicp_litellm_stream(
    aicp_litellm *client,
    const char *path,
    const char *data,
    size_t len,
    aicp_litellm_event_fn fn,
    void *user,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!client || !path || !data || !fn || !reply) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "stream needs client, path, body, callback and reply");
    }
    stream s = {.fn = fn, .user = user, .reply = reply};
    reply->usage = (aicp_litellm_usage)AICP_LITELLM_USAGE_INIT;
    aicpi_sse_init(&s.sse, &client->allocator, on_event, &s);
    aicpi_litellm_request q = {
        .method = "POST",
        .path = aicpi_slice_cstr(path),
        .body = aicpi_slice_of(data, len),
        .timeout_ms = client->chat_timeout_ms,
        .on_chunk = on_chunk,
        .user = &s,
    };
    aicp_status status = aicpi_litellm_send(client, &q, reply, err);
    status = finish_stream(&s, status, err);
    aicpi_sse_deinit(&s.sse);
    return status;
}

aicp_status aicp_litellm_chat_stream(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_event_fn fn,
    void *user,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return aicp_litellm_stream(client, "/v1/chat/completions", data, len, fn, user, reply, err);
}

aicp_status aicp_litellm_response_stream(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_event_fn fn,
    void *user,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return aicp_litellm_stream(client, "/v1/responses", data, len, fn, user, reply, err);
}
