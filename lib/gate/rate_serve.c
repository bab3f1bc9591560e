/* Leases for gates that reach the store of rate limits only through a server. */
#include "lib/gate/lease_json.h"
#include "lib/gate/rate_store.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"

#define SERVE_NS (UINT64_C(5) * 1000000000)

typedef struct message {
    aicpi_slice format;
    aicpi_slice node;
    aicpi_slice boot;
    bool has_rates;
    size_t count;
    aicp_lease_request leases[AICPI_LEASES_MAX];
} message;

static void read_rates(aicpi_json *r, message *m) {
    m->has_rates = true;
    if (!aicpi_json_array(r)) {
        return;
    }
    while (aicpi_json_element(r)) {
        if (m->count == AICPI_LEASES_MAX) {
            aicpi_json_fail(
                r,
                AICP_ERR_LIMIT,
                aicpi_json_offset(r),
                "more than %d leases in one message",
                AICPI_LEASES_MAX);
            return;
        }
        if (!aicpi_lease_request_read(r, &m->leases[m->count])) {
            return;
        }
        m->count++;
    }
}

static aicp_status
read_message(aicpi_arena *arena, const char *data, size_t len, message *m, aicp_error *err) {
    aicpi_json r;
    aicpi_slice key;
    aicpi_json_init(&r, arena, data, len, 0);
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (aicpi_slice_is(key, "format")) {
                aicpi_json_string(&r, &m->format);
            } else if (aicpi_slice_is(key, "node")) {
                aicpi_json_string(&r, &m->node);
            } else if (aicpi_slice_is(key, "boot")) {
                aicpi_json_string(&r, &m->boot);
            } else if (aicpi_slice_is(key, "rates")) {
                read_rates(&r, m);
            } else {
                aicpi_json_skip(&r);
            }
        }
    }
    aicp_status status = aicpi_json_finish(&r, err);
    if (status != AICP_OK) {
        return status;
    }
    if (!aicpi_slice_is(m->format, AICPI_LEASES_FORMAT)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "\"format\" is not \"" AICPI_LEASES_FORMAT "\"");
    }
    if (m->node.len == 0 || m->node.len > AICPI_LEASE_NODE_MAX || m->boot.len == 0 ||
        m->boot.len > AICPI_LEASE_NODE_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "\"node\" and \"boot\" must have 1 to %d bytes",
            AICPI_LEASE_NODE_MAX);
    }
    return AICP_OK;
}

/* The same node and boot are the same number at every server of the store. */
static aicpi_rate_node node_of(const message *m) {
    unsigned char text[2 * AICPI_LEASE_NODE_MAX + 1];
    unsigned char hash[AICPI_SHA256_SIZE];
    aicpi_rate_node node = {0, m->node};
    memcpy(text, m->node.data, m->node.len);
    text[m->node.len] = '\0';
    memcpy(text + m->node.len + 1, m->boot.data, m->boot.len);
    aicpi_sha256(text, m->node.len + 1 + m->boot.len, hash);
    memcpy(&node.id, hash, sizeof node.id);
    return node;
}

static void grant_all(aicp_rate_store *store, message *m, aicpi_strbuf *out) {
    aicp_clock clock = aicpi_clock(NULL);
    uint64_t deadline = aicpi_monotonic_ns(&clock) + SERVE_NS;
    aicpi_rate_node node = node_of(m);
    for (size_t i = 0; i < m->count; i++) {
        aicp_lease_request *q = &m->leases[i];
        aicp_lease_grant g = {.size = sizeof g};
        aicp_error own = {0};
        uint64_t now = aicpi_monotonic_ns(&clock);
        uint64_t left = deadline > now ? deadline - now : 0;
        q->timeout_ns = q->timeout_ns < left ? q->timeout_ns : left;
        aicp_status status = aicpi_rate_store_lease(store, &node, q, &g, &own);
        aicpi_strbuf_putc(out, i ? ',' : '[');
        aicpi_lease_grant_write(out, &g, status, &own);
    }
    aicpi_strbuf_puts(out, m->count ? "]" : "[]");
}

aicp_status
aicp_rate_store_open(const char *data, size_t len, aicp_rate_store **out, aicp_error *err) {
    if (!data) {
        *out = NULL;
        return aicpi_fail(err, AICP_ERR_INVALID, "the store has no URL");
    }
    return aicpi_rate_store_open(data, len, "server", 6, NULL, out, err);
}

aicp_status aicp_rate_store_serve(
    aicp_rate_store *store, const char *data, size_t len, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!store || !data) {
        return aicpi_fail(err, AICP_ERR_INVALID, "store or message is NULL");
    }
    if (len > AICPI_LEASE_BODY_MAX) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "the message is longer than %zu bytes", AICPI_LEASE_BODY_MAX);
    }
    aicp_allocator a = aicpi_allocator(NULL);
    aicpi_arena arena;
    aicpi_strbuf text;
    aicpi_arena_init(&arena, &a, 0, 0);
    aicpi_strbuf_init(&text, &a, AICPI_STRBUF_MAX);
    message *m = aicpi_arena_calloc(&arena, 1, sizeof *m);
    aicp_status status = m ? read_message(&arena, data, len, m, err) : aicpi_nomem(err);
    if (status == AICP_OK && m->has_rates) {
        grant_all(store, m, &text);
    }
    aicpi_arena_deinit(&arena);
    if (status != AICP_OK) {
        aicpi_strbuf_deinit(&text);
        return status;
    }
    return aicpi_strbuf_take(&text, out, err);
}
