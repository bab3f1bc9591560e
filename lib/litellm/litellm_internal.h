/* Inside the LiteLLM client: the stream parser and the reader of error bodies (pure functions), and
 * the reply. */
#ifndef AICPI_LITELLM_INTERNAL_H
#define AICPI_LITELLM_INTERNAL_H

#include "aicp/litellm.h"

#include "lib/base/arena.h"
#include "lib/base/json.h"
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
 * {"detail":"..."}, {"detail":[...]}, {"message":"..."}. False when it is none of them. */
bool aicpi_litellm_failure_read(
    aicpi_arena *arena, const char *data, size_t len, aicpi_litellm_failure *out);
/* The beginning of a body of no such shape as one line of clean text: of HTML the title, else what
 * stands between the tags. "empty body" when there is nothing. */
void aicpi_litellm_describe(const char *data, size_t len, aicpi_strbuf *out);
/* Status code of the library for an answer. */
aicp_status aicpi_litellm_status(int32_t http_status, aicpi_slice type);

/* ---- usage and stream events ---------------------------------------------------------------- */

/* Reads a usage object; fields that it does not have stay as they are. False when it is none. */
bool aicpi_litellm_usage_read(aicpi_json *r, aicp_litellm_usage *usage);

typedef struct aicpi_litellm_event {
    bool usage;        /* it told usage */
    bool last;         /* a stream of its kind ends after it */
    aicpi_slice error; /* JSON for the reader of error bodies; no data = no error */
} aicpi_litellm_event;

/* Looks at the data of an event of any kind of stream. What is no JSON object is no error.
 * ERR_NOMEM. */
aicp_status aicpi_litellm_event_read(
    aicpi_arena *arena, aicpi_slice data, aicp_litellm_usage *usage, aicpi_litellm_event *out);

/* ---- queries and pages ---------------------------------------------------------------------- */

#define AICPI_LITELLM_PATH_MAX 65536

/* The failure of a buffer of a request: ERR_LIMIT or ERR_NOMEM. */
aicp_status aicpi_litellm_overflow(const aicpi_strbuf *b, const char *path, aicp_error *err);
/* Appends "?name=value" or "&name=value", escaped. */
void aicpi_litellm_parameter(aicpi_strbuf *path, aicpi_slice name, aicpi_slice value);
/* Appends the members of a flat JSON object; null is left out, lists are joined with commas.
 * Errors: ERR_PARSE, ERR_INVALID (nested objects). */
aicp_status
aicpi_litellm_filters(aicpi_strbuf *path, aicpi_arena *arena, aicpi_slice filters, aicp_error *err);

typedef struct aicpi_litellm_page {
    int64_t pages;  /* how many the list has, 0 when not told */
    size_t records; /* of this page */
    bool found;     /* the list was there */
    bool capped;    /* there are more than the proxy counts */
} aicpi_litellm_page;

/* Appends the records of the list `list` to `all`, with commas between. */
aicp_status aicpi_litellm_page_read(
    aicpi_arena *arena,
    aicpi_slice body,
    const char *list,
    aicpi_strbuf *all,
    aicpi_litellm_page *out,
    aicp_error *err);

typedef struct aicpi_litellm_paged {
    const char *path;
    const char *list; /* name of the list in an answer */
    bool full;        /* ask for whole records */
} aicpi_litellm_paged;

/* All pages as one array, or the one page that `filters` names as it comes. */
aicp_status aicpi_litellm_pages(
    aicp_litellm *c,
    const aicpi_litellm_paged *what,
    aicpi_slice filters,
    aicp_litellm_reply *reply,
    aicp_error *err);

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
    int32_t failed;           /* status of the failure, also of one inside a stream; 0 = none */
    aicp_litellm_usage usage; /* what a stream told */
    bool has_usage;
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
    uint64_t max_response;
    aicp_litellm_trace trace; /* its functions are NULL without */
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
/* A proxy in between may answer 200 with a page of its own, or cut an answer: ERR_PARSE. */
aicp_status aicpi_litellm_check_json(aicp_litellm_reply *reply, const char *path, aicp_error *err);
/* Fills the error fields from a body, or from an event of a stream that began well, and returns the
 * failure. */
aicp_status aicpi_litellm_reply_fail(aicp_litellm_reply *reply, aicpi_slice body, aicp_error *err);
/* Sends; fills the reply; ERR_... for an error answer too. */
aicp_status aicpi_litellm_send(
    aicp_litellm *client,
    const aicpi_litellm_request *request,
    aicp_litellm_reply *reply,
    aicp_error *err);

#endif
