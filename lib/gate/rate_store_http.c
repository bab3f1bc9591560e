/* One message for the leases of a take; takes of different threads go out side by side on pooled
 * connections. */
#include "lib/gate/rate_store_http.h"

#include "lib/gate/lease_json.h"

#include "lib/base/error.h"

struct aicpi_rate_http {
    aicp_allocator allocator;
    aicpi_remote *remote;
    char *node;
};

#define ANSWER_MAX ((size_t)64 << 10)
#define NS_PER_MS UINT64_C(1000000)
#define TIMEOUT_MOST_MS 10000

aicp_status aicpi_rate_http_open(
    aicpi_remote *remote,
    const char *node,
    const aicp_allocator *allocator,
    aicpi_rate_http **out,
    aicp_error *err) {
    *out = NULL;
    aicp_allocator a = aicpi_allocator(allocator);
    aicpi_rate_http *store = aicpi_calloc(&a, 1, sizeof *store);
    if (!store) {
        return aicpi_nomem(err);
    }
    store->allocator = a;
    store->remote = remote;
    store->node = aicpi_strndup(&a, node, strlen(node));
    if (!store->node) {
        aicpi_rate_http_free(store);
        return aicpi_nomem(err);
    }
    *out = store;
    return AICP_OK;
}

void aicpi_rate_http_free(aicpi_rate_http *store) {
    if (store) {
        aicp_allocator a = store->allocator;
        aicpi_free(&a, store->node);
        aicpi_free(&a, store);
    }
}

/* A call of the limiter: one message, one answer. */
typedef struct leases {
    const aicp_lease_request *requests;
    aicp_lease_grant *grants;
    size_t count;
    size_t answered;
    size_t failed;
    aicp_status status; /* of the first that failed ... */
    aicp_error error;   /* ... and why */
} leases;

static void read_grants(aicpi_json *r, leases *x) {
    if (!aicpi_json_array(r)) {
        return;
    }
    while (aicpi_json_element(r)) {
        if (x->answered == x->count) {
            aicpi_json_fail(r, AICP_ERR_PARSE, aicpi_json_offset(r), "more grants than leases");
            return;
        }
        aicp_lease_grant own;
        aicp_status status = AICP_OK;
        aicp_error why = {0};
        const aicp_lease_request *q = &x->requests[x->answered];
        aicp_lease_grant *grant = &x->grants[x->answered];
        if (!aicpi_lease_grant_read(r, q, &own, &status, &why)) {
            return;
        }
        x->answered++;
        size_t size = grant->size < sizeof own ? grant->size : sizeof own;
        own.size = grant->size;
        memcpy(grant, &own, size);
        if (status != AICP_OK && x->failed++ == 0) {
            x->status = status;
            x->error = why;
        }
    }
}

static aicp_status read_answer(
    const aicpi_rate_http *store, const aicpi_net_response *response, leases *x, aicp_error *err) {
    aicpi_arena arena;
    aicpi_json r;
    aicpi_slice key;
    aicp_error why = {0};
    aicpi_arena_init(&arena, &store->allocator, 0, 0);
    aicpi_json_init(&r, &arena, response->body.data, response->body.len, 0);
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (aicpi_slice_is(key, "rates")) {
                read_grants(&r, x);
            } else {
                aicpi_json_skip(&r);
            }
        }
    }
    aicp_status status = aicpi_json_finish(&r, &why);
    aicpi_arena_deinit(&arena);
    if (status != AICP_OK || x->answered != x->count) {
        return aicpi_fail(
            err,
            AICP_ERR_TIMEOUT, /* it may have granted something */
            "the server's answer to a lease is not usable: %s",
            status != AICP_OK ? why.message : "it has too few grants");
    }
    if (x->failed == 0) {
        return AICP_OK;
    }
    /* Some may have been granted while others failed. */
    return aicpi_fail(
        err, x->failed == x->count ? x->status : AICP_ERR_TIMEOUT, "%s", x->error.message);
}

/* Whether the server has surely not granted anything; else it is not known. */
static bool nothing_done(aicp_status status, int32_t http) {
    return status == AICP_ERR_NET_CONNECT || status == AICP_ERR_NET_TLS ||
           status == AICP_ERR_INVALID || (status == AICP_ERR_NET_HTTP && http < 500);
}

static aicp_status
send(aicpi_rate_http *store, const aicpi_strbuf *body, leases *x, aicp_error *err) {
    aicpi_net_response response;
    aicp_error own = {0};
    uint64_t timeout = x->requests[0].timeout_ns / NS_PER_MS;
    aicpi_remote_call call = {
        .method = "POST",
        .path = "leases",
        .body = aicpi_slice_of(body->data, body->len),
        .timeout_ms = timeout == 0                ? 1
                      : timeout < TIMEOUT_MOST_MS ? timeout
                                                  : TIMEOUT_MOST_MS,
        .max_response = ANSWER_MAX};
    aicpi_net_response_init(&response, &store->allocator);
    aicp_status status = aicpi_remote_send(store->remote, &call, &response, &own);
    if (status == AICP_OK) {
        status = read_answer(store, &response, x, err);
    } else {
        status = aicpi_fail(
            err,
            nothing_done(status, response.status) ? AICP_ERR_STORE : AICP_ERR_TIMEOUT,
            "no lease from the server: %s",
            own.message);
    }
    aicpi_net_response_deinit(&response);
    return status;
}

static aicp_status lease_many(
    void *user,
    const aicp_lease_request *requests,
    aicp_lease_grant *grants,
    size_t count,
    aicp_error *err) {
    aicpi_rate_http *store = user;
    leases x = {.requests = requests, .grants = grants, .count = count};
    aicpi_strbuf body;
    aicpi_strbuf_init(&body, &store->allocator, AICPI_LEASE_BODY_MAX);
    aicpi_strbuf_puts(&body, "{\"format\":\"" AICPI_LEASES_FORMAT "\",\"node\":");
    aicpi_strbuf_json(&body, store->node, strlen(store->node));
    aicpi_strbuf_printf(&body, ",\"boot\":\"%s\",\"rates\":[", aicpi_remote_boot(store->remote));
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        fits = fits && requests[i].key_len <= AICPI_LEASE_KEY_MAX;
        aicpi_strbuf_puts(&body, i ? "," : "");
        aicpi_lease_request_write(&body, &requests[i]);
    }
    aicpi_strbuf_puts(&body, "]}");
    aicp_status status = AICP_OK;
    if (!fits || body.full) {
        status = aicpi_fail(err, AICP_ERR_STORE, "the key of a limit is too long for the server");
    } else {
        status = body.failed ? aicpi_nomem(err) : send(store, &body, &x, err);
    }
    aicpi_strbuf_deinit(&body);
    return status;
}

static aicp_status
lease_one(void *user, const aicp_lease_request *q, aicp_lease_grant *grant, aicp_error *err) {
    return lease_many(user, q, grant, 1, err);
}

aicp_lease_source aicpi_rate_http_source(aicpi_rate_http *store) {
    return (aicp_lease_source){store, lease_one, lease_many};
}
