/* One message a lease: takes of different threads go out side by side on pooled connections. */
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

/* "rates" of the answer must hold one item. */
static aicp_status read_answer(
    const aicpi_rate_http *store,
    const aicpi_net_response *response,
    const aicp_lease_request *q,
    aicp_lease_grant *grant,
    aicp_error *err) {
    aicpi_arena arena;
    aicpi_json r;
    aicpi_slice key;
    aicp_status lease = AICP_OK;
    aicp_error why = {0};
    size_t items = 0;
    aicpi_arena_init(&arena, &store->allocator, 0, 0);
    aicpi_json_init(&r, &arena, response->body.data, response->body.len, 0);
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (!aicpi_slice_is(key, "rates")) {
                aicpi_json_skip(&r);
            } else if (aicpi_json_array(&r)) {
                while (aicpi_json_element(&r)) {
                    items++;
                    aicpi_lease_grant_read(&r, q, grant, &lease, &why);
                }
            }
        }
    }
    aicp_status status = aicpi_json_finish(&r, &why);
    aicpi_arena_deinit(&arena);
    if (status != AICP_OK || items != 1) {
        return aicpi_fail(
            err,
            AICP_ERR_TIMEOUT, /* it may have granted something */
            "the server's answer to a lease is not usable: %s",
            status != AICP_OK ? why.message : "it has not one grant");
    }
    if (lease != AICP_OK && err) {
        *err = why;
    }
    return lease;
}

/* Whether the server has surely not granted anything; else it is not known. */
static bool nothing_done(aicp_status status, int32_t http) {
    return status == AICP_ERR_NET_CONNECT || status == AICP_ERR_NET_TLS ||
           status == AICP_ERR_INVALID || status == AICP_ERR_NOMEM ||
           (status == AICP_ERR_NET_HTTP && http < 500);
}

static aicp_status send(
    aicpi_rate_http *store,
    aicpi_strbuf *body,
    const aicp_lease_request *q,
    aicp_lease_grant *grant,
    aicp_error *err) {
    aicpi_net_response response;
    aicp_error own = {0};
    uint64_t timeout = q->timeout_ns / NS_PER_MS;
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
        status = read_answer(store, &response, q, grant, err);
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

static aicp_status
lease_call(void *user, const aicp_lease_request *q, aicp_lease_grant *grant, aicp_error *err) {
    aicpi_rate_http *store = user;
    if (q->key_len > AICPI_LEASE_KEY_MAX) {
        return aicpi_fail(err, AICP_ERR_STORE, "the key of a limit is too long for the server");
    }
    aicpi_strbuf body;
    aicpi_strbuf_init(&body, &store->allocator, AICPI_LEASE_BODY_MAX);
    aicpi_strbuf_puts(&body, "{\"format\":\"" AICPI_LEASES_FORMAT "\",\"node\":");
    aicpi_strbuf_json(&body, store->node, strlen(store->node));
    aicpi_strbuf_printf(&body, ",\"boot\":\"%s\",\"rates\":[", aicpi_remote_boot(store->remote));
    aicpi_lease_request_write(&body, q);
    aicpi_strbuf_puts(&body, "]}");
    aicp_lease_grant own = {.size = sizeof own};
    aicp_status status = body.failed ? aicpi_nomem(err) : send(store, &body, q, &own, err);
    aicpi_strbuf_deinit(&body);
    if (status == AICP_OK) {
        size_t size = grant->size < sizeof own ? grant->size : sizeof own;
        own.size = grant->size;
        memcpy(grant, &own, size);
    }
    return status;
}

aicp_lease_source aicpi_rate_http_source(aicpi_rate_http *store) {
    return (aicp_lease_source){.user = store, .lease = lease_call};
}
