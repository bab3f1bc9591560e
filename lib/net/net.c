/* Requests over libcurl; nothing else includes its header. */
#include "lib/net/net.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/base/thread.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_CONNECT_MS 5000
#define DEFAULT_MAX_RESPONSE ((size_t)64 << 20)
#define DEFAULT_IDLE 8
#define DEFAULT_RETRIES 2
#define MAX_HEADERS ((size_t)256 << 10) /* bytes of an answer's headers */
#define MAX_TIMEOUT_MS UINT64_C(86400000)
#define FIRST_PAUSE_MS 100
#define MAX_PAUSE_MS 2000

struct aicpi_net_client {
    aicp_allocator allocator;
    aicp_clock clock;
    uint64_t timeout_ms;
    uint64_t connect_timeout_ms;
    size_t max_response;
    uint32_t retries;
    bool public_only;
    char *ca_file;
    pthread_mutex_t mutex;
    CURL **idle;
    size_t idle_count;
    size_t idle_max;
};

/* One attempt on its way. */
typedef struct transfer {
    aicpi_net_client *client;
    const aicpi_net_request *request;
    aicpi_net_response *response;
    CURL *curl;
    size_t received;
    size_t max;
    bool forbidden;
    bool too_large;
    bool no_memory;
    bool stopped;
    bool delivered; /* a piece went to the caller: no repeating */
} transfer;

static uint64_t now_ms(const aicpi_net_client *c) {
    return aicpi_monotonic_ns(&c->clock) / 1000000U;
}

/* ---- answers -------------------------------------------------------------------------------- */

void aicpi_net_response_init(aicpi_net_response *r, const aicp_allocator *a) {
    *r = (aicpi_net_response){.status = 0};
    aicpi_strbuf_init(&r->body, a, AICPI_STRBUF_MAX);
    aicpi_strbuf_init(&r->headers, a, MAX_HEADERS);
}

void aicpi_net_response_deinit(aicpi_net_response *r) {
    aicpi_strbuf_deinit(&r->body);
    aicpi_strbuf_deinit(&r->headers);
}

aicpi_slice aicpi_net_response_header(const aicpi_net_response *r, const char *name) {
    size_t name_len = strlen(name);
    aicpi_slice found = {NULL, 0};
    const char *at = r->headers.data;
    const char *end = at ? at + r->headers.len : NULL;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line_end ? line_end : end) - at);
        if (len > name_len + 1 && memcmp(at, name, name_len) == 0 && at[name_len] == ':') {
            found = aicpi_slice_of(at + name_len + 2, len - name_len - 2);
        }
        at += len + 1;
    }
    return found;
}

/* "Name: value\r\n" becomes "name: value\n". A status line starts a new answer (after a 100). */
static size_t on_header(char *data, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t len = size * count;
    aicpi_strbuf *out = &t->response->headers;
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        aicpi_strbuf_clear(out);
        return len;
    }
    const char *colon = memchr(data, ':', len);
    if (!colon) {
        return len;
    }
    const char *value = colon + 1;
    const char *end = data + len;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) {
        end--;
    }
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    for (const char *p = data; p < colon; p++) {
        aicpi_strbuf_putc(out, aicpi_lower(*p));
    }
    aicpi_strbuf_puts(out, ": ");
    aicpi_strbuf_append(out, value, (size_t)(end - value));
    aicpi_strbuf_putc(out, '\n');
    t->too_large = t->too_large || out->full;
    t->no_memory = t->no_memory || (out->failed && !out->full);
    return out->failed ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t len = size * count;
    if (len > t->max - t->received) {
        t->too_large = true;
        return 0;
    }
    t->received += len;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->on_chunk && status >= 200 && status < 300) {
        t->delivered = true;
        t->response->status = (int32_t)status;
        if (!t->request->on_chunk(t->request->user, data, len)) {
            t->stopped = true;
            return 0;
        }
        return len;
    }
    aicpi_strbuf_append(&t->response->body, data, len);
    t->no_memory = t->no_memory || t->response->body.failed;
    return t->response->body.failed ? 0 : len;
}

static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    transfer *t = user;
    (void)purpose;
    if (t->client->public_only && !aicpi_net_is_public(&address->addr)) {
        t->forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- requests ------------------------------------------------------------------------------- */

void aicpi_net_escape(aicpi_strbuf *b, aicpi_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (aicpi_is_alnum((char)c) || c == '-' || c == '.' || c == '_' || c == '~') {
            aicpi_strbuf_putc(b, (char)c);
        } else {
            aicpi_strbuf_printf(b, "%%%02X", c);
        }
    }
}

static bool is_clean(aicpi_slice text, char least) {
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] < (unsigned char)least || text.data[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool is_idempotent(const char *method) {
    static const char *const NAMES[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strcmp(method, NAMES[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The URL without password and query, cut to fit a message. */
static void printable_url(aicpi_slice url, char out[120]) {
    size_t n = 0;
    size_t scheme = 0;
    for (size_t i = 0; i + 2 < url.len && scheme == 0; i++) {
        scheme = memcmp(url.data + i, "://", 3) == 0 ? i + 3 : 0;
    }
    size_t start = scheme;
    for (size_t i = scheme; i < url.len && url.data[i] != '/' && url.data[i] != '?'; i++) {
        start = url.data[i] == '@' ? i + 1 : start;
    }
    for (size_t i = 0; i < url.len && n < 119; i++) {
        if (i >= scheme && (url.data[i] == '?' || url.data[i] == '#')) {
            break;
        }
        if (i < scheme || i >= start) {
            out[n++] = (unsigned char)url.data[i] < 0x20 ? '?' : url.data[i];
        }
    }
    out[n] = '\0';
}

static aicp_status check_request(const aicpi_net_request *q, aicp_error *err) {
    if (!q->method || q->url.len == 0 || !is_clean(q->url, 0x21)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "request without method or with a malformed URL");
    }
    for (size_t i = 0; i < q->header_count; i++) {
        const aicpi_net_header *h = &q->headers[i];
        if (h->name.len == 0 || !is_clean(h->name, 0x21) || !is_clean(h->value, 0x20) ||
            memchr(h->name.data, ':', h->name.len)) {
            return aicpi_fail(err, AICP_ERR_INVALID, "header %zu holds control characters", i);
        }
    }
    return AICP_OK;
}

static aicp_status add_header(
    struct curl_slist **list,
    aicpi_strbuf *line,
    aicpi_slice name,
    aicpi_slice value,
    aicp_error *err) {
    aicpi_strbuf_clear(line);
    aicpi_strbuf_append(line, name.data, name.len);
    /* "Name;" is libcurl's form of a header with an empty value. */
    aicpi_strbuf_puts(line, value.len ? ": " : ";");
    aicpi_strbuf_append(line, value.data, value.len);
    struct curl_slist *longer = line->failed ? NULL : curl_slist_append(*list, line->data);
    aicpi_wipe(line->data, line->len);
    if (!longer) {
        return aicpi_nomem(err);
    }
    *list = longer;
    return AICP_OK;
}

static aicp_status make_headers(
    const aicpi_net_client *c,
    const aicpi_net_request *q,
    struct curl_slist **list,
    aicp_error *err) {
    aicpi_strbuf line;
    aicpi_strbuf_init(&line, &c->allocator, 65536);
    /* No "Expect: 100-continue": it costs a round trip and some servers do not know it. */
    aicp_status status = AICP_OK;
    struct curl_slist *first = curl_slist_append(NULL, "Expect:");
    *list = first;
    if (!first) {
        status = aicpi_nomem(err);
    }
    for (size_t i = 0; status == AICP_OK && i < q->header_count; i++) {
        status = add_header(list, &line, q->headers[i].name, q->headers[i].value, err);
    }
    aicpi_strbuf_deinit(&line);
    return status;
}

#define SET(option, value) (ok = ok && curl_easy_setopt(curl, option, value) == CURLE_OK)

static bool set_transfer(transfer *t, const char *url, struct curl_slist *headers) {
    CURL *curl = t->curl;
    const aicpi_net_client *c = t->client;
    bool ok = true;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_CUSTOMREQUEST, t->request->method);
    SET(CURLOPT_NOBODY, strcmp(t->request->method, "HEAD") == 0 ? 1L : 0L);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_ACCEPT_ENCODING, "");
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_USERAGENT, "libaicp/" AICP_VERSION_STRING);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    SET(CURLOPT_OPENSOCKETDATA, t);
    if (c->public_only) {
        SET(CURLOPT_PROXY, "");
    }
    if (c->ca_file) {
        SET(CURLOPT_CAINFO, c->ca_file);
    }
    if (t->request->body.data) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request->body.len);
        SET(CURLOPT_POSTFIELDS, t->request->body.data);
    }
    return ok;
}

/* ---- attempts ------------------------------------------------------------------------------- */

/* What a failed attempt calls for. */
typedef enum repeat { REPEAT_NEVER, REPEAT_AT_ONCE, REPEAT_LATER } repeat;

static repeat judge(const transfer *t, CURLcode code) {
    if (t->forbidden || t->too_large || t->stopped || t->delivered || t->no_memory) {
        return REPEAT_NEVER;
    }
    switch (code) {
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return REPEAT_AT_ONCE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return REPEAT_LATER;
    case CURLE_OK: {
        int32_t status = t->response->status;
        return status == 502 || status == 503 || status == 504 ? REPEAT_LATER : REPEAT_NEVER;
    }
    default:
        return REPEAT_NEVER;
    }
}

static aicp_status status_of(const transfer *t, CURLcode code) {
    if (t->forbidden) {
        return AICP_ERR_NET_FORBIDDEN;
    }
    if (t->too_large) {
        return AICP_ERR_LIMIT;
    }
    if (t->stopped) {
        return AICP_ERR_CALLBACK;
    }
    if (t->no_memory) {
        return AICP_ERR_NOMEM;
    }
    switch (code) {
    case CURLE_OK:
        return AICP_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return AICP_ERR_TIMEOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return AICP_ERR_NET_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return AICP_ERR_NET_TLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return AICP_ERR_INVALID;
    case CURLE_OUT_OF_MEMORY:
        return AICP_ERR_NOMEM;
    default:
        return AICP_ERR_IO;
    }
}

static aicp_status
fail_transfer(const transfer *t, CURLcode code, const char *detail, aicp_error *err) {
    aicp_status status = status_of(t, code);
    char url[120];
    printable_url(t->request->url, url);
    const char *why = t->forbidden        ? "the address is not public"
                      : t->too_large      ? "the answer is larger than allowed"
                      : t->stopped        ? "stopped by the caller"
                      : t->no_memory      ? "out of memory"
                      : detail && *detail ? detail
                                          : curl_easy_strerror(code);
    return aicpi_fail(err, status, "%s %s: %s", t->request->method, url, why);
}

static void sleep_ms(uint64_t ms) {
    struct timespec ts = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000L};
    while (nanosleep(&ts, &ts) != 0) {
    }
}

/* Doubled each time, with up to half of it left to chance so that clients do not march in step. */
static uint64_t pause_before(uint32_t attempt) {
    uint64_t pause = (uint64_t)FIRST_PAUSE_MS << (attempt < 6 ? attempt - 1 : 5);
    pause = pause < MAX_PAUSE_MS ? pause : MAX_PAUSE_MS;
    uint16_t chance = 0;
    aicpi_random(&chance, sizeof chance);
    return pause / 2 + pause * chance / 131072;
}

/* True when the request may go out again (after any pause). */
static bool wait_to_repeat(transfer *t, repeat what, uint64_t deadline_ms, uint32_t *at_once) {
    if (what == REPEAT_AT_ONCE) {
        return (*at_once)++ == 0;
    }
    if (what == REPEAT_NEVER || t->response->attempts > t->client->retries) {
        return false;
    }
    uint64_t pause = pause_before(t->response->attempts);
    if (now_ms(t->client) + pause >= deadline_ms) {
        return false;
    }
    sleep_ms(pause);
    return true;
}

struct aicpi_net_stop {
    aicp_allocator allocator;
    CURLM *multi;
    atomic_bool stopped;
};

/* As curl_easy_perform, but with an ear for the stop. */
static CURLcode perform_stoppable(transfer *t, aicpi_net_stop *stop) {
    CURLcode code = CURLE_OUT_OF_MEMORY;
    int running = 1;
    bool ok = curl_multi_add_handle(stop->multi, t->curl) == CURLM_OK;
    bool added = ok;
    while (ok && running > 0 && !aicpi_net_stopped(stop)) {
        ok = curl_multi_perform(stop->multi, &running) == CURLM_OK;
        if (ok && running > 0) {
            ok = curl_multi_poll(stop->multi, NULL, 0, 1000, NULL) == CURLM_OK;
        }
    }
    if (ok && running > 0) {
        t->stopped = true;
        code = CURLE_ABORTED_BY_CALLBACK;
    }
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(stop->multi, &left)) != NULL;) {
        code = m->msg == CURLMSG_DONE ? m->data.result : code;
    }
    if (added) {
        curl_multi_remove_handle(stop->multi, t->curl);
    }
    return code;
}

static CURLcode attempt(transfer *t, bool fresh, uint64_t deadline_ms) {
    uint64_t now = now_ms(t->client);
    aicpi_strbuf_clear(&t->response->body);
    aicpi_strbuf_clear(&t->response->headers);
    t->response->status = 0;
    t->received = 0;
    t->forbidden = false;
    if (now >= deadline_ms) {
        return CURLE_OPERATION_TIMEDOUT;
    }
    t->response->attempts++;
    curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, (long)(deadline_ms - now));
    curl_easy_setopt(t->curl, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
    aicpi_net_stop *stop = t->request->stop;
    CURLcode code = stop ? perform_stoppable(t, stop) : curl_easy_perform(t->curl);
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->response->status = (int32_t)status;
    return code;
}

static aicp_status run(transfer *t, uint64_t deadline_ms, aicp_error *err) {
    const aicpi_net_request *q = t->request;
    char detail[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, detail);
    bool idempotent = is_idempotent(q->method) && !q->stop;
    bool fresh = !is_idempotent(q->method) && !q->may_repeat;
    uint32_t at_once = 0;
    for (;;) {
        CURLcode code = attempt(t, fresh, deadline_ms);
        repeat what = idempotent ? judge(t, code) : REPEAT_NEVER;
        if (wait_to_repeat(t, what, deadline_ms, &at_once)) {
            fresh = fresh || what == REPEAT_AT_ONCE;
            continue;
        }
        bool bad = code != CURLE_OK || t->too_large;
        aicp_status status = bad ? fail_transfer(t, code, detail, err) : AICP_OK;
        curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, NULL);
        return status;
    }
}

/* ---- the pool ------------------------------------------------------------------------------- */

static CURL *pool_get(aicpi_net_client *c) {
    pthread_mutex_lock(&c->mutex);
    CURL *curl = c->idle_count ? c->idle[--c->idle_count] : NULL;
    pthread_mutex_unlock(&c->mutex);
    return curl ? curl : curl_easy_init();
}

/* Reset keeps the connections. */
static void pool_put(aicpi_net_client *c, CURL *curl) {
    curl_easy_reset(curl);
    pthread_mutex_lock(&c->mutex);
    bool kept = c->idle_count < c->idle_max;
    if (kept) {
        c->idle[c->idle_count++] = curl;
    }
    pthread_mutex_unlock(&c->mutex);
    if (!kept) {
        curl_easy_cleanup(curl);
    }
}

aicp_status aicpi_net_perform(
    aicpi_net_client *client,
    const aicpi_net_request *request,
    aicpi_net_response *response,
    aicp_error *err) {
    response->attempts = 0;
    aicp_status status = check_request(request, err);
    if (status != AICP_OK) {
        return status;
    }
    uint64_t timeout = request->timeout_ms ? request->timeout_ms : client->timeout_ms;
    uint64_t deadline = now_ms(client) + (timeout < MAX_TIMEOUT_MS ? timeout : MAX_TIMEOUT_MS);
    transfer t = {.client = client, .request = request, .response = response};
    t.max = request->max_response ? request->max_response : client->max_response;
    t.curl = pool_get(client);
    char *url = aicpi_strndup(&client->allocator, request->url.data, request->url.len);
    struct curl_slist *headers = NULL;
    status = t.curl && url ? make_headers(client, request, &headers, err) : aicpi_nomem(err);
    if (status == AICP_OK && !set_transfer(&t, url, headers)) {
        char shown[120];
        printable_url(request->url, shown);
        status = aicpi_fail(err, AICP_ERR_INVALID, "cannot request %s", shown);
    }
    if (status == AICP_OK) {
        status = run(&t, deadline, err);
    }
    if (t.curl) {
        pool_put(client, t.curl);
    }
    curl_slist_free_all(headers);
    aicpi_free(&client->allocator, url);
    return status;
}

/* ---- stops ---------------------------------------------------------------------------------- */

aicp_status
aicpi_net_stop_new(const aicp_allocator *allocator, aicpi_net_stop **out, aicp_error *err) {
    *out = NULL;
    aicp_allocator a = aicpi_allocator(allocator);
    aicpi_net_stop *s = aicpi_calloc(&a, 1, sizeof *s);
    if (!s) {
        return aicpi_nomem(err);
    }
    s->allocator = a;
    s->multi = curl_multi_init();
    if (!s->multi) {
        aicpi_free(&a, s);
        return aicpi_nomem(err);
    }
    *out = s;
    return AICP_OK;
}

void aicpi_net_stop_free(aicpi_net_stop *stop) {
    if (stop) {
        aicp_allocator a = stop->allocator;
        curl_multi_cleanup(stop->multi);
        aicpi_free(&a, stop);
    }
}

void aicpi_net_stop_now(aicpi_net_stop *stop) {
    atomic_store(&stop->stopped, true);
    curl_multi_wakeup(stop->multi);
}

bool aicpi_net_stopped(const aicpi_net_stop *stop) {
    return atomic_load(&stop->stopped);
}

static pthread_once_t global_once = PTHREAD_ONCE_INIT;

static void global_init(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

aicp_status
aicpi_net_client_new(const aicpi_net_options *options, aicpi_net_client **out, aicp_error *err) {
    static const aicpi_net_options DEFAULTS = {.timeout_ms = 0};
    const aicpi_net_options *o = options ? options : &DEFAULTS;
    *out = NULL;
    pthread_once(&global_once, global_init);
    aicp_allocator a = aicpi_allocator(o->allocator);
    aicpi_net_client *c = aicpi_calloc(&a, 1, sizeof *c);
    if (!c) {
        return aicpi_nomem(err);
    }
    c->allocator = a;
    c->clock = aicpi_clock(NULL);
    c->timeout_ms = o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
    c->connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : DEFAULT_CONNECT_MS;
    c->connect_timeout_ms =
        c->connect_timeout_ms < MAX_TIMEOUT_MS ? c->connect_timeout_ms : MAX_TIMEOUT_MS;
    c->max_response = o->max_response ? o->max_response : DEFAULT_MAX_RESPONSE;
    c->retries = o->retries ? o->retries : DEFAULT_RETRIES;
    c->public_only = o->public_only;
    c->idle_max = o->max_idle ? o->max_idle : DEFAULT_IDLE;
    pthread_mutex_init(&c->mutex, NULL);
    c->idle = aicpi_calloc(&a, c->idle_max, sizeof(CURL *));
    c->ca_file = o->ca_file ? aicpi_strndup(&a, o->ca_file, strlen(o->ca_file)) : NULL;
    if (!c->idle || (o->ca_file && !c->ca_file)) {
        aicpi_net_client_free(c);
        return aicpi_nomem(err);
    }
    *out = c;
    return AICP_OK;
}

void aicpi_net_client_free(aicpi_net_client *client) {
    if (!client) {
        return;
    }
    for (size_t i = 0; client->idle && i < client->idle_count; i++) {
        curl_easy_cleanup(client->idle[i]);
    }
    pthread_mutex_destroy(&client->mutex);
    aicp_allocator a = client->allocator;
    aicpi_free(&a, client->idle);
    aicpi_free(&a, client->ca_file);
    aicpi_free(&a, client);
}
