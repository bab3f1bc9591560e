/**
 * @file litellm.h
 * Client of a LiteLLM proxy: models, keys, teams, users, budgets, spend, configuration, health, and
 * the calls of models, whole or streamed.
 *
 * Open one ::aicp_litellm (*synchronised*) per proxy. Each call fills an ::aicp_litellm_reply
 * (*confined*, made once and used again): the answer's JSON as it came, status, headers, and for an
 * error its message, type, code and parameter, whichever of LiteLLM's shapes it had. Bodies are
 * LiteLLM's own JSON, because its fields change with every release: read what you know, ignore the
 * rest. What is said of answers here was seen on release 1.106.2 without a licence.
 *
 * A call returns OK for a 2xx answer. Otherwise, with the reply filled: ERR_LITELLM_AUTH (401,
 * 403), ERR_NOT_FOUND (404, and where LiteLLM answers 200 with nothing for an unknown id),
 * ERR_EXISTS (409), ERR_BUDGET_EXCEEDED (by the error's type, whatever the status),
 * ERR_RATE_LIMITED (429), ERR_LITELLM_SERVER (5xx), ERR_LITELLM_REQUEST (all else). Without an
 * answer: ERR_NET_CONNECT, ERR_NET_TLS, ERR_TIMEOUT, ERR_LIMIT (answer too large), ERR_IO,
 * ERR_PARSE (the answer is no whole JSON text, e.g. a page of a server in between), ERR_NOMEM.
 * Before anything is sent: ERR_INVALID (id or body missing), ERR_PARSE (filters).
 * aicp_litellm_reply_relay() makes of it the status that a service gives to its own caller.
 *
 * Calls that read (GET) are repeated after a broken connection and, with pauses, after 502, 503 and
 * 504, within the timeout. All others go out once.
 *
 * Where a function takes `data` and says "body", that is a JSON object that is sent as it is.
 * "Filters" are a flat JSON object, or NULL for none, whose members become the query: numbers,
 * texts, true and false; lists are joined with commas; null is left out. A "list in pages" is
 * fetched page after page, each within the client's timeout, and becomes one JSON array; records
 * that are made or deleted meanwhile may be missing or come twice. A "size" or "page_size" in the
 * filters, whichever the call knows, changes the pages' size, else 100. When the filters name a
 * "page", only that one is fetched and the body is LiteLLM's own page, with its counts. More than
 * can be listed whole (10,000 pages, the client's `max_response`, or a count that LiteLLM itself
 * has capped) is ERR_LIMIT, never a shorter list.
 */
#ifndef AICP_LITELLM_H
#define AICP_LITELLM_H

#include "aicp/base.h"

AICP_BEGIN_DECL

/** Connections to one proxy with one key. *synchronised* */
typedef struct aicp_litellm aicp_litellm;

#ifndef SWIG
/** Bytes that a call's `room` has for aicp_litellm_trace. */
#define AICP_LITELLM_TRACE_ROOM 512

/**
 * Joins calls to the caller's traces (W3C Trace Context). Both functions run in the calling thread,
 * around each request that a call makes; they must be safe from any thread. `room` is
 * #AICP_LITELLM_TRACE_ROOM bytes, aligned for any type, that both get to see.
 */
typedef struct aicp_litellm_trace {
    void *user;
    /** Before a request: writes the value of its `traceparent` header, NUL-terminated, into
     * `header` (56 bytes), or "" to send none. `path` has no query and no NUL behind it. */
    void (*begin)(
        void *user,
        const char *method,
        const char *path,
        size_t path_len,
        char *header,
        void *room);
    /** After it: the HTTP status, 0 when there was no answer. */
    void (*end)(void *user, int32_t status, void *room);
} aicp_litellm_trace;
#endif

/** Options of aicp_litellm_open(). Zero fields mean the default. */
typedef struct aicp_litellm_options {
    size_t size;
#ifndef SWIG
    const aicp_allocator *allocator;
#else
    const void *allocator;
#endif
    uint64_t timeout_ms;         /**< whole call, or page of a list, with retries; default 30,000 */
    uint64_t chat_timeout_ms;    /**< whole chat call, streamed or not; default 600,000 */
    uint64_t connect_timeout_ms; /**< default 5,000 */
    uint64_t max_response;       /**< most bytes of an answer; default 64 MiB */
    uint32_t max_idle;           /**< connections kept open; default 8 */
    uint32_t reserved;
#ifndef SWIG
    const aicp_litellm_trace *trace; /**< copied; both functions or NULL */
#else
    const void *trace;
#endif
} aicp_litellm_options;

/** Static initialiser. */
#define AICP_LITELLM_OPTIONS_INIT                                                                  \
    { sizeof(aicp_litellm_options), NULL, 0, 0, 0, 0, 0, 0, NULL }
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

/** Cost of the call in nano-dollars, from `x-litellm-response-cost` or, for streams, from the usage
 * of the last events. ERR_NOT_FOUND: the proxy did not say (free calls). ERR_PARSE. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_reply_cost(aicp_litellm_reply *reply, int64_t *cost_nano, aicp_error *err);

/** What a call used, in tokens as the endpoint counts them; -1 = not told. */
typedef struct aicp_litellm_usage {
    size_t size;
    int64_t input_tokens;
    int64_t output_tokens;
    int64_t total_tokens;  /**< as told, else the sum of the two */
    int64_t cached_tokens; /**< of the input, read from the provider's cache */
    int64_t cost_nano;     /**< nano-dollars; told in streams */
} aicp_litellm_usage;

/** Static initialiser: nothing told. */
#define AICP_LITELLM_USAGE_INIT                                                                    \
    { sizeof(aicp_litellm_usage), -1, -1, -1, -1, -1 }

/** Usage of the last call of a model; of a stream what its events told (ask for it with
 * "stream_options":{"include_usage":true}; responses tell it always). `usage->size` is set by the
 * caller. ERR_NOT_FOUND: not told. ERR_INVALID. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_reply_usage(aicp_litellm_reply *reply, aicp_litellm_usage *usage, aicp_error *err);

/** HTTP status for the caller of a service that passes a call on; `outcome` is what the call
 * returned. OK: 200. LiteLLM's 4xx as they are (of an error inside a stream its code). Its 5xx and
 * 3xx, and answers that cannot be read: 502. No answer: 503. An unknown id: 404. ERR_INVALID: 422.
 * ERR_NOMEM, ERR_CALLBACK: 500. A 401 means that the client's key was refused, not the caller's. */
AICP_API int32_t aicp_litellm_reply_relay(const aicp_litellm_reply *reply, aicp_status outcome)
    AICP_NONNULL(1);

/* ---- calls ---------------------------------------------------------------------------------- */

/**
 * Any call: `method` "GET", "POST", …, `path` with its query, starting with "/", both
 * NUL-terminated; `data` NULL = no body. GET, PUT and DELETE are repeated after a broken
 * connection, POST and PATCH never. The body may be anything, e.g. the text of /metrics.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_call(
    aicp_litellm *client,
    const char *method,
    const char *path,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err);

/* ---- health ---------------------------------------------------------------------------------- */

/** GET /health/readiness: {"status","db"}; 200 also without a database, which "db" tells. Needs
 * no key. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_health(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /health/readiness/details: with "litellm_version", cache and callbacks. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_health_details(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /health/liveliness: a JSON text. Needs no key. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_liveness(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /health/backlog: how many requests run, wait and were refused. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_backlog(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /health: {"healthy_endpoints","unhealthy_endpoints",...}. Calls every model, which takes
 * time and money, unless the proxy checks in the background. Waits as long as a chat may. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_model_health(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /health/latest: what the last check of the background found. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_model_health_latest(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/* ---- models ---------------------------------------------------------------------------------- */

/** GET /v1/models: the names that this key may use. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_models(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /model/info: every deployment with prices and limits. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_model_info(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /model/info: {"data":[deployment]} of a model id. Unknown: ERR_LITELLM_REQUEST (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_get(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /v2/model/info: deployments, a list in pages. Filters "search", "model", "modelId",
 * "teamId", "sortBy", "sortOrder", "page" with "size". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_find(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /model_group/info: limits, modes and abilities of each public name. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_model_groups(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /model/new: body {"model_name","litellm_params":{"model",...},"model_info":{"id",...}}.
 * Texts of "litellm_params" come back encrypted. Without "litellm_params" LiteLLM answers 500.
 * Needs a proxy that stores models. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_new(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /model/update: body {"model_info":{"id"},"model_name","litellm_params"}; what is not
 * named stays. A deployment of the proxy's configuration file: ERR_LITELLM_REQUEST (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** PATCH /model/{id}/update: changes what the body names, of a model id. Unknown: ERR_NOT_FOUND;
 * of the configuration file: ERR_LITELLM_REQUEST. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_patch(
    aicp_litellm *client,
    const char *id,
    size_t id_len,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err);

/** POST /model/delete: of a model id. Unknown, or of the configuration file: ERR_LITELLM_REQUEST
 * (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /model/block: takes a stored deployment, by its model id, out of service. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_block(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /model/unblock: puts it back. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_model_unblock(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* ---- keys ------------------------------------------------------------------------------------ */

/** POST /key/generate: a JSON body; the answer's "key" is shown this once. An alias that is in
 * use: ERR_LITELLM_REQUEST (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_generate(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /key/info: of a key or its hash. A key is sent as its hash, so that it stays out of
 * access logs. A deleted key is still told, with "status":"deleted". Never made: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_info(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** aicp_litellm_key_find() without filters. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_key_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /key/list: whole records, a list in pages. Filters "user_id", "team_id", "key_alias",
 * "key_hash", "search", "status", "sort_by", "sort_order", "page" with "size";
 * "return_full_object":false lists hashes. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_find(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/update: a JSON body that names the "key", or its hash. null takes a limit away;
 * "metadata" takes the place of the old. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/delete: of one key or hash. Unknown: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/delete: body {"keys":[key or hash]} or {"key_aliases":[...]}; those that are
 * unknown are passed over as long as one is known. The answer names what was asked for. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_delete_many(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/block: of a key or its hash. Neither: ERR_LITELLM_REQUEST (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_block(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/unblock: of a key or its hash. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_unblock(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /key/{id}/reset_spend: body {"reset_to": dollars}, of a key or its hash. (Regenerating a
 * key needs a licence: make a new one and delete the old.) */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_key_reset_spend(
    aicp_litellm *client,
    const char *id,
    size_t id_len,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err);

/* ---- teams ----------------------------------------------------------------------------------- */

/** POST /team/new: a JSON body. A "team_id" that exists: ERR_LITELLM_REQUEST (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_new(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /team/info: {"team_id","team_info","keys","team_memberships"} of a team id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_info(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /team/list: one JSON array. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_team_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /v2/team/list: teams with their counts of members and keys, a list in pages. Filters
 * "team_id", "team_alias", "search", "sort_by", "sort_order", "status", "page" with "page_size". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_find(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/update: a JSON body that names the "team_id". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/delete: of one team id. Unknown: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/delete: body {"team_ids":[...]}. One that is unknown: ERR_NOT_FOUND, and none is
 * deleted. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_delete_many(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/block: of a team id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_block(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/unblock: of a team id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_unblock(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/member_add: body {"team_id","member":{"role","user_id" or "user_email"}} or a list
 * of these. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_member_add(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/member_update: body {"team_id","user_id","max_budget_in_team",...}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_member_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/member_delete: body {"team_id","user_id" or "user_email"}. Not a member:
 * ERR_LITELLM_REQUEST (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_member_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/model/add: body {"team_id","models":[...]}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_model_add(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /team/model/delete: body {"team_id","models":[...]}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_model_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* ---- users ----------------------------------------------------------------------------------- */

/** POST /user/new: a JSON body; makes a key as well unless "auto_create_key" is false. A
 * "user_id" that exists: ERR_EXISTS. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_user_new(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /user/list: users with their counts of keys, a list in pages. Filters "role", "user_ids",
 * "user_email", "search", "team", "sort_by", "sort_order", "page" with "page_size". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_user_find(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /user/info: {"user_id","user_info","keys","teams"} of a user id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_user_info(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /user/update: a JSON body that names the "user_id". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_user_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /user/delete: of one user id; the body is the count, 1. Unknown: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_user_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /user/delete: body {"user_ids":[...]}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_user_delete_many(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* ---- customers, the end users of callers ----------------------------------------------------- */

/** POST /customer/new: body {"user_id",...}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_customer_new(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /customer/list: one JSON array. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_customer_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /customer/info: of a customer's id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_customer_info(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /customer/update: body {"user_id",...}; "blocked" blocks and unblocks, as LiteLLM's own
 * calls for that need a licence. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_customer_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /customer/delete: of one customer's id. Unknown: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_customer_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* ---- budgets --------------------------------------------------------------------------------- */

/** POST /budget/new: a JSON body. A "budget_id" that exists: ERR_LITELLM_REQUEST (400). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_budget_new(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /budget/list: one JSON array. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_budget_list(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /budget/info: [record] of a budget id. Unknown: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_budget_info(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /budget/settings: the fields of a budget with their descriptions, of a budget id. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_budget_settings(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /budget/update: a JSON body that names the "budget_id". Unknown: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_budget_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /budget/delete: of a budget id; the body is the deleted record. Unknown: ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_budget_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* ---- spend; rows are written some seconds after a call --------------------------------------- */

/** GET /spend/logs/v2: one row a call, a list in pages. Filters "start_date" and "end_date"
 * ("YYYY-MM-DD HH:MM:SS", UTC, both needed), "api_key", "team_id", "user_id", "request_id",
 * "model", "model_group", "end_user", "status_filter", "min_spend", "max_spend", "page" with
 * "page_size". Health checks write rows too ("api_key" litellm-internal-health-check). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_spend_logs(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /spend/logs: spend per day and key. Filters "start_date", "end_date" (YYYY-MM-DD),
 * "summarize" false for rows. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_spend_days(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /spend/keys: keys by spend. Filter "limit". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_spend_keys(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /spend/users: users by spend. Filter "limit". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_spend_users(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /spend/tags: spend per tag. Filters "start_date", "end_date". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_spend_tags(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /spend/calculate: {"cost": dollars} of body {"model","messages"} or
 * {"completion_response"}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_spend_calculate(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /utils/token_counter: {"total_tokens",...} of body {"model","messages" or "prompt"}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_token_count(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/spend: {"spend","max_budget"}; "spend" is null before the first row. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_global_spend(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/spend/logs: [{"date","spend"}]. Filter "api_key". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_global_spend_logs(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/spend/keys: the keys that spent most. Filter "limit". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_global_spend_keys(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/spend/models: the models that cost most. Filter "limit". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_global_spend_models(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/spend/teams: {"daily_spend","teams","total_spend_per_team"}. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_global_spend_teams(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/spend/provider: [{"provider","spend"}]. Filters "start_date", "end_date", both
 * needed. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_global_spend_providers(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/spend/tags: {"spend_per_tag"}. Filters "start_date", "end_date", both needed. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_global_spend_tags(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/activity: {"daily_data","sum_api_requests","sum_total_tokens"}. Filters
 * "start_date", "end_date", both needed. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_global_activity(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /global/activity/model: the same per model, an array. Filters as before. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_global_activity_models(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /user/daily/activity/aggregated: {"results":[{"date","metrics","breakdown"}],"metadata"},
 * the whole range at once. Filters "start_date", "end_date" (YYYY-MM-DD, both needed), "model",
 * "api_key", "user_id", "timezone". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_activity(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /user/daily/activity: the "results" of the same, a list in pages, of which two may have
 * parts of one day. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_activity_days(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /team/daily/activity: as before, by team. Filters "team_ids" and those of
 * aicp_litellm_activity(). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_team_activity_days(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /customer/daily/activity: as before, by end user. Filters "end_user_ids" and those of
 * aicp_litellm_activity(). */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_customer_activity_days(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* ---- configuration --------------------------------------------------------------------------- */

/** GET /router/settings: {"fields","current_values",...}. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_router_settings(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /config/update: body with any of "router_settings", "litellm_settings",
 * "general_settings", "environment_variables". A key that the proxy's configuration file sets is
 * refused: ERR_LITELLM_REQUEST (400), whose message says so. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_config_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /get/config/callbacks: callbacks, alerts and the router's settings that are in force. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_config_callbacks(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /config/list: fields with their values. Filter "config_type", e.g. "general_settings". */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_config_list(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /fallback: body {"model","fallback_models":[...]}. An unknown model: ERR_LITELLM_REQUEST
 * (400). Does not last where the configuration file sets fallbacks. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_fallback_set(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /fallback/{id}: {"model","fallback_models","fallback_type"} of a model name. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_fallback_get(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** DELETE /fallback/{id}: of a model name, when set by a call. Else ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_fallback_delete(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /cache/settings: {"fields","current_values",...}. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_cache_settings(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /cache/settings: body {"cache_settings":{"type",...}}. Turns the cache on; no call turns
 * it off. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_cache_settings_update(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** GET /cache/ping: whether the cache answers. Without a cache: ERR_LITELLM_SERVER (503). */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_cache_ping(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** GET /v2/guardrails/list: {"guardrails":[...]}, those of the configuration file too. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_litellm_guardrails(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);

/** POST /guardrails/apply_guardrail: {"response_text"} of body {"guardrail_name","text"}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_guardrail_apply(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* ---- calls of models: sent once, as a second time could cost twice; they wait as long as a chat
 * may  */

/** POST /v1/chat/completions: answered whole. The body must not ask for a stream. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_chat(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /v1/completions: answered whole, as before. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_completion(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /v1/responses: answered whole, as before. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_response(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /v1/messages: Anthropic's shape, answered whole, as before. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_message(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/** POST /v1/embeddings: body {"model","input"}. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_embedding(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);
#ifndef SWIG
/** Gets the JSON of one stream event (without "data: "). Return 0 to go on, else the stream ends
 * with ERR_CALLBACK and the connection is closed, which ends the model's work too. Runs on the
 * calling thread. */
typedef int32_t (*aicp_litellm_event_fn)(void *user, const char *data, size_t len);

/**
 * POST of any path (NUL-terminated) whose answer is a stream of events, with "stream": true in the
 * body; calls `fn` for each event until "[DONE]" or the event that ends a stream of its kind
 * ("response.completed", "response.incomplete", "message_stop"). An error event, before or between
 * the others, is not given to `fn` but ends the call like an error answer. A stream that ends
 * before: ERR_IO. Not repeated. aicp_litellm_reply_usage() and _cost() tell what the events told.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_stream(
    aicp_litellm *client,
    const char *path,
    const char *data,
    size_t len,
    aicp_litellm_event_fn fn,
    void *user,
    aicp_litellm_reply *reply,
    aicp_error *err);

/** aicp_litellm_stream() of /v1/chat/completions. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_chat_stream(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_event_fn fn,
    void *user,
    aicp_litellm_reply *reply,
    aicp_error *err);

/** aicp_litellm_stream() of /v1/responses. */
AICP_API AICP_MUST_CHECK aicp_status aicp_litellm_response_stream(
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
