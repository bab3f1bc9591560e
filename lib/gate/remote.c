#include "lib/gate/remote.h"

#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "/api/v1/gate/"
#define KEY_MAX 4096
#define URL_MAX 2048
#define PATH_MAX_BYTES 16384
#define TIMEOUT_MS 10000
#define RESPONSE_MAX ((size_t)1 << 20)
#define PAUSE_FIRST_MS 250
#define PAUSE_MOST_MS 10000

struct aicpi_remote {
    aicp_allocator allocator;
    aicpi_net_client *client;
    char *base; /* without a slash at its end */
    char *authorization;
    char boot[AICPI_BOOT_SIZE];
};

bool aicpi_remote_is_url(const char *text) {
    return text && (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0);
}

static aicp_status new_client(aicpi_remote *r, aicp_error *err) {
    aicpi_net_options o = {
        .allocator = &r->allocator, .timeout_ms = TIMEOUT_MS, .max_response = RESPONSE_MAX};
    return aicpi_net_client_new(&o, &r->client, err);
}

static aicp_status check_texts(const char *url, const char *key, aicp_error *err) {
    size_t len = strlen(url);
    if (!aicpi_remote_is_url(url) || len > URL_MAX || strpbrk(url, "?# \t\r\n")) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "the server's URL must be http(s)://host[:port][/path], without query");
    }
    for (const char *c = key; c && *c; c++) {
        if (*c < '!' || *c > '~') {
            return aicpi_fail(err, AICP_ERR_INVALID, "the service key has unprintable characters");
        }
    }
    if (key && strlen(key) > KEY_MAX) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the service key is too long");
    }
    return AICP_OK;
}

static aicp_status keep_texts(aicpi_remote *r, const char *url, const char *key, aicp_error *err) {
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    r->base = aicpi_strndup(&r->allocator, url, len);
    if (key && *key) {
        aicpi_strbuf text;
        aicpi_strbuf_init(&text, &r->allocator, KEY_MAX + 16);
        aicpi_strbuf_printf(&text, "Bearer %s", key);
        r->authorization = text.failed ? NULL : aicpi_strndup(&r->allocator, text.data, text.len);
        aicpi_wipe(text.data, text.len);
        aicpi_strbuf_deinit(&text);
    }
    bool ok = r->base && (r->authorization || !key || !*key);
    return ok ? AICP_OK : aicpi_nomem(err);
}

aicp_status aicpi_remote_open(
    const char *url,
    const char *key,
    const char *boot,
    const aicp_allocator *allocator,
    aicpi_remote **out,
    aicp_error *err) {
    *out = NULL;
    aicp_status status = check_texts(url, key, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(allocator);
    aicpi_remote *r = aicpi_calloc(&a, 1, sizeof *r);
    if (!r) {
        return aicpi_nomem(err);
    }
    r->allocator = a;
    snprintf(r->boot, sizeof r->boot, "%s", boot);
    status = keep_texts(r, url, key, err);
    if (status == AICP_OK) {
        status = new_client(r, err);
    }
    if (status != AICP_OK) {
        aicpi_remote_free(r, true);
        return status;
    }
    *out = r;
    return AICP_OK;
}

void aicpi_remote_free(aicpi_remote *r, bool own) {
    if (!r) {
        return;
    }
    if (own) {
        aicpi_net_client_free(r->client);
    }
    if (r->authorization) {
        aicpi_wipe(r->authorization, strlen(r->authorization));
    }
    aicp_allocator a = r->allocator;
    aicpi_free(&a, r->authorization);
    aicpi_free(&a, r->base);
    aicpi_free(&a, r);
}

aicp_status aicpi_remote_leave_parent(aicpi_remote *r, const char *boot, aicp_error *err) {
    snprintf(r->boot, sizeof r->boot, "%s", boot);
    r->client = NULL; /* closing it would speak on the parent's connections */
    return new_client(r, err);
}

const char *aicpi_remote_boot(const aicpi_remote *r) {
    return r->boot;
}

/* What the server said, cut; admin-api's error bodies are JSON with a sentence in them. */
static aicp_status
fail_answer(const aicpi_remote_call *call, const aicpi_net_response *response, aicp_error *err) {
    char said[121] = "";
    size_t n = 0;
    for (size_t i = 0; i < response->body.len && n < sizeof said - 1; i++) {
        char c = response->body.data[i];
        said[n++] = c >= ' ' && c <= '~' ? c : ' ';
    }
    said[n] = '\0';
    int path = (int)strcspn(call->path, "?");
    const char *hint =
        response->status == 401 || response->status == 403 ? " (is the service key right?)" : "";
    return aicpi_fail(
        err,
        AICP_ERR_NET_HTTP,
        "%s %.*s: status %d%s %s",
        call->method,
        path < 60 ? path : 60,
        call->path,
        (int)response->status,
        hint,
        said);
}

aicp_status aicpi_remote_send(
    aicpi_remote *r, const aicpi_remote_call *call, aicpi_net_response *out, aicp_error *err) {
    aicpi_net_header headers[3];
    size_t count = 0;
    if (!r->client) {
        return aicpi_fail(err, AICP_ERR_STATE, "there is no HTTP client");
    }
    if (r->authorization) {
        headers[count++] =
            (aicpi_net_header){AICPI_SLICE("Authorization"), aicpi_slice_cstr(r->authorization)};
    }
    if (call->body.data) {
        headers[count++] =
            (aicpi_net_header){AICPI_SLICE("Content-Type"), AICPI_SLICE("application/json")};
    }
    if (call->etag.len > 0) {
        headers[count++] = (aicpi_net_header){AICPI_SLICE("If-None-Match"), call->etag};
    }
    aicpi_strbuf url;
    aicpi_strbuf_init(&url, &r->allocator, URL_MAX + PATH_MAX_BYTES);
    aicpi_strbuf_printf(&url, "%s" PREFIX "%s", r->base, call->path);
    aicpi_net_request q = {
        .method = call->method,
        .url = aicpi_slice_of(url.data, url.len),
        .headers = headers,
        .header_count = count,
        .body = call->body,
        .timeout_ms = call->timeout_ms,
        .max_response = call->max_response,
        .may_repeat = true, /* polls, sections, leases and events all bear being sent twice */
        .stop = call->stop};
    aicp_status status = url.full     ? aicpi_fail(err, AICP_ERR_LIMIT, "the URL is too long")
                         : url.failed ? aicpi_nomem(err)
                                      : aicpi_net_perform(r->client, &q, out, err);
    aicpi_strbuf_deinit(&url);
    bool good = out->status == 304 || (out->status >= 200 && out->status < 300);
    return status == AICP_OK && !good ? fail_answer(call, out, err) : status;
}

uint64_t aicpi_remote_pause_ms(uint32_t failures) {
    uint64_t pause = (uint64_t)PAUSE_FIRST_MS << (failures < 7 ? failures : 7);
    pause = pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
    uint16_t chance = 0;
    aicpi_random(&chance, sizeof chance);
    return pause / 2 + pause * chance / 131072;
}
