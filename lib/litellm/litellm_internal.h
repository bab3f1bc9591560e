/* Inside the LiteLLM client: the stream parser and the reader of error bodies (pure functions), and
 * the reply. */
#ifndef AICPI_LITELLM_INTERNAL_H
#define AICPI_LITELLM_INTERNAL_H

#include "aicp/litellm.h"

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"
#include "lib/net/net.h"

/* ---- server-sent events (WHATWG HTML, section 9.2) ------------------------------------------ */

#define AICPI_SSE_MAX_EVENT ((size_t)16 << 20)

/* Gets the data of one event (lines joined by \n); false stops the parser. */
typedef bool (*aicpi_sse_fn)(void *user, aicpi_slice data);

typedef struct aicpi_sse {
    aicpi_strbuf line;
    aicpi_strbuf data;
    aicpi_sse_fn fn;
    void *user;
    bool has_data; /* a data field since the last event */
    bool after_cr; /* a \n that follows belongs to it */
    bool started;  /* past a byte order mark */
    bool stopped;  /* by the callback */
} aicpi_sse;

void aicpi_sse_init(aicpi_sse *s, const aicp_allocator *a, aicpi_sse_fn fn, void *user);
void aicpi_sse_deinit(aicpi_sse *s);
/* Reads the next piece of the stream, cut anywhere. ERR_LIMIT: a line or event is too long;
 * ERR_CALLBACK: stopped. */
aicp_status aicpi_sse_feed(aicpi_sse *s, const char *data, size_t len, aicp_error *err);

/* ---- error bodies --------------------------------------------------------------------------- */

typedef struct aicpi_litellm_failure {
    aicpi_slice message; /* all are views of the text or copies in the arena; no data = not given */
    aicpi_slice type;
    aicpi_slice code;
    aicpi_slice param;
} aicpi_litellm_failure;

/* Reads any of the shapes {"error":{...}}, {"error":"..."}, {"detail":{"error":...}},
 * {"detail":"..."}, {"detail":[...]}. False when it is none of them. */
bool aicpi_litellm_failure_read(
    aicpi_arena *arena, const char *data, size_t len, aicpi_litellm_failure *out);
/* Status code of the library for an answer. */
aicp_status aicpi_litellm_status(int32_t http_status, aicpi_slice type);

/* ---- client and reply ----------------------------------------------------------------------- */

struct aicp_litellm_reply {
    aicp_allocator allocator;
    aicpi_net_response response;
    aicpi_strbuf header; /* of aicp_litellm_reply_header */
    aicpi_arena arena;
    const char *message;
    const char *type;
    const char *code;
    const char *param;
};

struct aicp_litellm {
    aicp_allocator allocator;
    aicpi_net_client *net;
    char *url; /* without trailing slash */
    size_t url_len;
    char *authorization; /* "Bearer ..." */
    size_t authorization_len;
    uint64_t timeout_ms;
    uint64_t chat_timeout_ms;
};

typedef struct aicpi_litellm_request {
    const char *method;
    aicpi_slice path;
    aicpi_slice body;
    uint64_t timeout_ms; /* 0 = the client's */
    bool may_repeat;
    aicpi_net_chunk_fn on_chunk;
    void *user;
} aicpi_litellm_request;

void aicpi_litellm_reply_clear(aicp_litellm_reply *reply);
/* Fills the error fields from a body and returns the failure; `status` 0 = as the answer's. */
aicp_status aicpi_litellm_reply_fail(
    aicp_litellm_reply *reply, aicpi_slice body, int32_t status, aicp_error *err);
/* Sends; fills the reply; ERR_... for an error answer too. */
aicp_status aicpi_litellm_send(
    aicp_litellm *client,
    const aicpi_litellm_request *request,
    aicp_litellm_reply *reply,
    aicp_error *err);

#endif
