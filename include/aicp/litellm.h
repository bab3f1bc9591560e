/**
 * @file litellm.h
 * Client of a LiteLLM proxy: models, keys, teams, chat (whole or streamed), health.
 *
 * Open one ::aicp_litellm (*synchronised*) per proxy. Each call fills an ::aicp_litellm_reply
 * (*confined*, made once and used again): the answer's JSON as it came, status, headers, and for an
 * error its message, type, code and parameter, whichever of LiteLLM's shapes it had. Bodies are
 * LiteLLM's own JSON, because its fields change with every release: read what you know, ignore the
 * rest.
 *
 * A call returns OK for a 2xx answer. Otherwise, with the reply filled: ERR_LITELLM_AUTH (401,
 * 403), ERR_NOT_FOUND (404), ERR_BUDGET_EXCEEDED (by the error's type, whatever the status),
 * ERR_RATE_LIMITED (429), ERR_LITELLM_SERVER (5xx), ERR_LITELLM_REQUEST (all else). Without an
 * answer: ERR_NET_CONNECT, ERR_NET_TLS, ERR_TIMEOUT, ERR_LIMIT (answer too large), ERR_IO,
 * ERR_PARSE (an answer that must be read is no JSON), ERR_NOMEM.
 */
#ifndef AICP_LITELLM_H
#define AICP_LITELLM_H

#include "aicp/base.h"

AICP_BEGIN_DECL

/** Connections to one proxy with one key. *synchronised* */
typedef struct aicp_litellm aicp_litellm;

/** Options of aicp_litellm_open(). Zero fields mean the default. */
typedef struct aicp_litellm_options {
    size_t size;
#ifndef SWIG
    const aicp_allocator *allocator;
#else
    const void *allocator;
#endif
    uint64_t timeout_ms;         /**< whole call with retries; default 30,000 */
    uint64_t chat_timeout_ms;    /**< whole chat call, streamed or not; default 600,000 */
    uint64_t connect_timeout_ms; /**< default 5,000 */
    uint64_t max_response;       /**< most bytes of an answer; default 64 MiB */
    uint32_t max_idle;           /**< connections kept open; default 8 */
    uint32_t reserved;
} aicp_litellm_options;

/** Static initialiser. */
#define AICP_LITELLM_OPTIONS_INIT                                                                  \
    { sizeof(aicp_litellm_options), NULL, 0, 0, 0, 0, 0, 0 }
/** Sets the defaults; `size` is sizeof(aicp_litellm_options). */
AICP_API void aicp_litellm_options_init(aicp_litellm_options *options, size_t size);

/**
 * Opens a client; sends nothing yet. `url` is the proxy's base, e.g. "http://localhost:4000"
 * (a trailing slash is fine), `key` the master key or a virtual key. Errors: ERR_INVALID,
 * ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_open(
    const char *url,
    size_t url_len,
    const char *key,
    size_t key_len,
    const aicp_litellm_options *options,
    aicp_litellm **out,
    aicp_error *err);

/** Closes the client and wipes its key; NULL is fine. No call may be under way. */
AICP_API void aicp_litellm_free(aicp_litellm *client);

/* ---- replies -------------------------------------------------------------------------------- */

/** An answer. Texts that are got from it are NUL-terminated and valid until its next use.
 * *confined*
 */
typedef struct aicp_litellm_reply aicp_litellm_reply;

/** Makes an empty reply. `allocator` NULL = the C library's heap. Errors: ERR_NOMEM. */
#ifndef SWIG
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_reply_new(const aicp_allocator *allocator, aicp_litellm_reply **out, aicp_error *err);
#else
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_reply_new(const void *allocator, aicp_litellm_reply **out, aicp_error *err);
#endif

/** Frees a reply; NULL is fine. */
AICP_API void aicp_litellm_reply_free(aicp_litellm_reply *reply);

/** HTTP status of the last call, 0 when there was no answer. */
AICP_API int32_t aicp_litellm_reply_status(const aicp_litellm_reply *reply) AICP_NONNULL(1);

/** Body of the last answer and its length (`len` may be NULL); "" when there was none. */
AICP_API const char *aicp_litellm_reply_body(const aicp_litellm_reply *reply, size_t *len)
    AICP_NONNULL(1);

/** Value of a response header by its lower-case name (NUL-terminated), NULL when absent. */
AICP_API const char *aicp_litellm_reply_header(aicp_litellm_reply *reply, const char *name)
    AICP_NONNULL(1, 2);

/** Error message of the last answer; "" when it was no error. */
AICP_API const char *aicp_litellm_reply_message(const aicp_litellm_reply *reply) AICP_NONNULL(1);

/** Error type, e.g. "budget_exceeded", "throttling_error"; "" when none was given. */
AICP_API const char *aicp_litellm_reply_type(const aicp_litellm_reply *reply) AICP_NONNULL(1);

/** Error code as text, e.g. "422"; "" when none was given. */
AICP_API const char *aicp_litellm_reply_code(const aicp_litellm_reply *reply) AICP_NONNULL(1);

/** Name of the parameter at fault; "" when none was given. */
AICP_API const char *aicp_litellm_reply_param(const aicp_litellm_reply *reply) AICP_NONNULL(1);

/** Cost of the call in nano-dollars from `x-litellm-response-cost`. ERR_NOT_FOUND: the proxy did
 * not say (streams, free calls). ERR_PARSE. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_reply_cost(aicp_litellm_reply *reply, int64_t *cost_nano, aicp_error *err);

/* ---- calls ---------------------------------------------------------------------------------- */

/**
 * Any call: `method` "GET", "POST", …, `path` with its query, starting with "/", both
 * NUL-terminated; `data` NULL = no body. GET is repeated after a broken connection, POST never.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_call(
    aicp_litellm *client,
    const char *method,
    const char *path,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err);

/** GET /health/readiness. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_health(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /v1/models: the names that this key may use. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_models(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /model/info: every deployment with prices and limits. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_model_info(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/generate with a JSON body; the answer's "key" is shown this once. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_generate(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /key/info of a key or its hash. A key is sent as its hash, so that it stays out of access
 * logs. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_info(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /key/list, every page, full records: the body is one JSON array of them. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_key_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/update with a JSON body that names the "key". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/delete of one key or hash. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/new with a JSON body. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_new(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /team/info of a team id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_info(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /team/list: one JSON array. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_team_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/update with a JSON body that names the "team_id". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/delete of one team id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /v1/chat/completions, answered whole. The request must not ask for a stream. Sent once, as
 * a second time could cost twice. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_chat(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

#ifndef SWIG
/** Gets the JSON of one stream event (without "data: "). Return 0 to go on, else the stream ends
 * with ERR_CALLBACK. Runs on the calling thread. */
typedef int32_t (*aicp_litellm_event_fn)(void *user, const char *data, size_t len);

/**
 * POST /v1/chat/completions with "stream": true in the body; calls `fn` for each event until
 * "[DONE]". An error event, before or between chunks, is not given to `fn` but ends the call like
 * an error answer. A stream that ends without "[DONE]": ERR_IO. Not repeated.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_chat_stream(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_event_fn fn,
    void *user,
    aicp_litellm_reply *reply,
    aicp_error *err);
#endif

AICP_END_DECL

#endif
