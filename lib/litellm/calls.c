/* The calls, one small function each. */
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/litellm/litellm_internal.h"

#include <stdio.h>

#define KEY_PAGE 100
#define MAX_PAGES 10000

static aicp_status
get(aicp_litellm *c, aicpi_slice path, aicp_litellm_reply *reply, aicp_error *err) {
    aicpi_litellm_request q = {.method = "GET", .path = path};
    return aicpi_litellm_send(c, &q, reply, err);
}

static aicp_status post(
    aicp_litellm *c,
    aicpi_slice path,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!data) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call %s without a body", path.data);
    }
    aicpi_litellm_request q = {.method = "POST", .path = path, .body = aicpi_slice_of(data, len)};
    return aicpi_litellm_send(c, &q, reply, err);
}

aicp_status aicp_litellm_call(
    aicp_litellm *client,
    const char *method,
    const char *path,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!method || !path) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call needs a method and a path");
    }
    aicpi_litellm_request q = {
        .method = method, .path = aicpi_slice_cstr(path), .body = aicpi_slice_of(data, len)};
    return aicpi_litellm_send(client, &q, reply, err);
}

aicp_status aicp_litellm_health(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err) {
    return get(client, AICPI_SLICE("/health/readiness"), reply, err);
}

aicp_status aicp_litellm_models(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err) {
    return get(client, AICPI_SLICE("/v1/models"), reply, err);
}

aicp_status
aicp_litellm_model_info(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err) {
    return get(client, AICPI_SLICE("/model/info"), reply, err);
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* The name that the proxy knows a key by: its SHA-256, which a caller may have given already. */
static aicpi_slice key_name(const char *data, size_t len, char hash[2 * AICPI_SHA256_SIZE + 1]) {
    if (len < 3 || memcmp(data, "sk-", 3) != 0) {
        return aicpi_slice_of(data, len);
    }
    aicpi_sha256_hex(data, len, hash);
    return aicpi_slice_of(hash, 2 * AICPI_SHA256_SIZE);
}

/* `before` + the escaped text. */
static aicp_status get_with(
    aicp_litellm *c,
    const char *before,
    aicpi_slice text,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!c || !text.data || text.len == 0) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call without client or id");
    }
    aicpi_strbuf path;
    aicpi_strbuf_init(&path, &c->allocator, 65536);
    aicpi_strbuf_puts(&path, before);
    aicpi_net_escape(&path, text);
    aicp_status status =
        path.failed ? aicpi_nomem(err) : get(c, aicpi_slice_of(path.data, path.len), reply, err);
    aicpi_strbuf_deinit(&path);
    return status;
}

/* {"<list>": ["<text>"]} */
static aicp_status post_list_of_one(
    aicp_litellm *c,
    aicpi_slice path,
    const char *list,
    aicpi_slice text,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!c || !text.data || text.len == 0) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call without client or id");
    }
    aicpi_strbuf body;
    aicpi_strbuf_init(&body, &c->allocator, 65536);
    aicpi_strbuf_printf(&body, "{\"%s\":[", list);
    aicpi_strbuf_json(&body, text.data, text.len);
    aicpi_strbuf_puts(&body, "]}");
    aicp_status status =
        body.failed ? aicpi_nomem(err) : post(c, path, body.data, body.len, reply, err);
    aicpi_strbuf_deinit(&body);
    return status;
}

aicp_status aicp_litellm_key_generate(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return post(client, AICPI_SLICE("/key/generate"), data, len, reply, err);
}

aicp_status aicp_litellm_key_info(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    char hash[2 * AICPI_SHA256_SIZE + 1];
    return get_with(client, "/key/info?key=", key_name(data, len, hash), reply, err);
}

aicp_status aicp_litellm_key_update(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return post(client, AICPI_SLICE("/key/update"), data, len, reply, err);
}

aicp_status aicp_litellm_key_delete(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    char hash[2 * AICPI_SHA256_SIZE + 1];
    return post_list_of_one(
        client, AICPI_SLICE("/key/delete"), "keys", key_name(data, len, hash), reply, err);
}

/* Appends the records of one page; `*pages` is what the answer says. */
static aicp_status read_page(
    aicp_litellm_reply *reply,
    aicpi_strbuf *all,
    int64_t *pages,
    size_t *records,
    aicp_error *err) {
    aicpi_json r;
    const aicpi_strbuf *body = &reply->response.body;
    aicpi_json_init(&r, &reply->arena, body->data ? body->data : "", body->len, 0);
    aicpi_slice name;
    *pages = 0;
    *records = 0;
    aicpi_json_object(&r);
    while (aicpi_json_member(&r, &name)) {
        if (aicpi_slice_is(name, "total_pages") && aicpi_json_peek(&r) == AICPI_JSON_NUMBER) {
            aicpi_json_int64(&r, pages);
        } else if (aicpi_slice_is(name, "keys")) {
            aicpi_json_array(&r);
            while (aicpi_json_element(&r)) {
                aicpi_slice record;
                if (aicpi_json_span(&r, &record)) {
                    aicpi_strbuf_puts(all, all->len > 1 ? "," : "");
                    aicpi_strbuf_append(all, record.data, record.len);
                    ++*records;
                }
            }
        } else {
            aicpi_json_skip(&r);
        }
    }
    return aicpi_json_finish(&r, err);
}

static aicp_status
list_pages(aicp_litellm *c, aicpi_strbuf *all, aicp_litellm_reply *reply, aicp_error *err) {
    int64_t pages = 1;
    for (int64_t page = 1; page <= pages && page <= MAX_PAGES; page++) {
        char path[96];
        int len = snprintf(
            path,
            sizeof path,
            "/key/list?page=%lld&size=%d&return_full_object=true",
            (long long)page,
            KEY_PAGE);
        size_t records = 0;
        aicp_status status = get(c, aicpi_slice_of(path, (size_t)len), reply, err);
        if (status == AICP_OK) {
            status = read_page(reply, all, &pages, &records, err);
        }
        if (status != AICP_OK) {
            return status;
        }
        if (records == 0) {
            break; /* keys were deleted meanwhile */
        }
    }
    return AICP_OK;
}

aicp_status
aicp_litellm_key_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err) {
    if (!client || !reply) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call needs a client and a reply");
    }
    aicpi_strbuf all;
    aicpi_strbuf_init(&all, &reply->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_putc(&all, '[');
    aicp_status status = list_pages(client, &all, reply, err);
    aicpi_strbuf_putc(&all, ']');
    if (status == AICP_OK && all.failed) {
        status = aicpi_nomem(err);
    }
    if (status == AICP_OK) { /* the whole list takes the place of the last page */
        aicpi_strbuf page = reply->response.body;
        reply->response.body = all;
        all = page;
    }
    aicpi_strbuf_deinit(&all);
    return status;
}

/* ---- teams ---------------------------------------------------------------------------------- */

aicp_status aicp_litellm_team_new(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return post(client, AICPI_SLICE("/team/new"), data, len, reply, err);
}

aicp_status aicp_litellm_team_info(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return get_with(client, "/team/info?team_id=", aicpi_slice_of(data, len), reply, err);
}

aicp_status
aicp_litellm_team_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err) {
    return get(client, AICPI_SLICE("/team/list"), reply, err);
}

aicp_status aicp_litellm_team_update(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return post(client, AICPI_SLICE("/team/update"), data, len, reply, err);
}

aicp_status aicp_litellm_team_delete(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return post_list_of_one(
        client, AICPI_SLICE("/team/delete"), "team_ids", aicpi_slice_of(data, len), reply, err);
}

/* ---- chat ----------------------------------------------------------------------------------- */

aicp_status aicp_litellm_chat(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!client || !data) {
        return aicpi_fail(err, AICP_ERR_INVALID, "chat needs a client and a body");
    }
    aicpi_litellm_request q = {
        .method = "POST",
        .path = AICPI_SLICE("/v1/chat/completions"),
        .body = aicpi_slice_of(data, len),
        .timeout_ms = client->chat_timeout_ms,
    };
    return aicpi_litellm_send(client, &q, reply, err);
}

/* A stream on its way to the caller. */
typedef struct stream {
    aicp_litellm_event_fn fn;
    void *user;
    aicpi_sse sse;
    aicp_litellm_reply *reply;
    bool done;          /* "[DONE]" came */
    bool failed;        /* an error event came, the reply tells it */
    aicp_status status; /* of a failure of ours */
    aicp_error *err;
} stream;

/* An error event is {"error": ...}. */
static bool is_error_event(const stream *s, aicpi_slice data) {
    aicpi_json r;
    aicpi_slice name;
    aicpi_json_init(&r, &s->reply->arena, data.data, data.len, 0);
    if (aicpi_json_peek(&r) != AICPI_JSON_OBJECT || !aicpi_json_object(&r)) {
        return false;
    }
    while (aicpi_json_member(&r, &name)) {
        if (aicpi_slice_is(name, "error") && aicpi_json_peek(&r) != AICPI_JSON_NULL) {
            return true;
        }
        aicpi_json_skip(&r);
    }
    return false;
}

static bool on_event(void *user, aicpi_slice data) {
    stream *s = user;
    if (s->done || s->failed) {
        return true;
    }
    if (aicpi_slice_is(data, "[DONE]")) {
        s->done = true;
        return true;
    }
    aicpi_arena_reset(&s->reply->arena);
    if (is_error_event(s, data)) {
        s->failed = true;
        int32_t http = s->reply->response.status;
        s->status = aicpi_litellm_reply_fail(s->reply, data, http >= 400 ? http : 500, s->err);
        return true;
    }
    return s->fn(s->user, data.data, data.len) == 0;
}

static bool on_chunk(void *user, const char *data, size_t len) {
    stream *s = user;
    aicp_status fed = aicpi_sse_feed(&s->sse, data, len, s->failed ? NULL : s->err);
    if (!s->failed) {
        s->status = fed;
    }
    return fed == AICP_OK;
}

/* An error status whose body is an event stream: the error stands in its first event. */
static aicp_status reread_as_stream(stream *s, aicp_status status) {
    static const char PREFIX[] = "data:";
    const aicpi_strbuf *body = &s->reply->response.body;
    if (s->reply->response.status < 400 || body->len < sizeof PREFIX ||
        memcmp(body->data, PREFIX, sizeof PREFIX - 1) != 0) {
        return status;
    }
    aicp_status fed = aicpi_sse_feed(&s->sse, body->data, body->len, NULL);
    return fed == AICP_OK && s->failed ? s->status : status;
}

static aicp_status finish_stream(stream *s, aicp_status status) {
    if (s->failed) {
        return s->status;
    }
    if (status == AICP_ERR_CALLBACK && s->status != AICP_OK) {
        return s->status; /* ours is more exact: too long, or stopped */
    }
    if (status != AICP_OK) {
        return reread_as_stream(s, status);
    }
    return s->done ? AICP_OK
                   : aicpi_fail(s->err, AICP_ERR_IO, "the stream ended before its [DONE]");
}

aicp_status aicp_litellm_chat_stream(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_event_fn fn,
    void *user,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!client || !data || !fn || !reply) {
        return aicpi_fail(err, AICP_ERR_INVALID, "stream needs client, body, callback and reply");
    }
    stream s = {.fn = fn, .user = user, .reply = reply, .err = err};
    aicpi_sse_init(&s.sse, &client->allocator, on_event, &s);
    aicpi_litellm_request q = {
        .method = "POST",
        .path = AICPI_SLICE("/v1/chat/completions"),
        .body = aicpi_slice_of(data, len),
        .timeout_ms = client->chat_timeout_ms,
        .on_chunk = on_chunk,
        .user = &s,
    };
    aicp_status status = aicpi_litellm_send(client, &q, reply, err);
    status = finish_stream(&s, status);
    aicpi_sse_deinit(&s.sse);
    return status;
}
