/* The way of finished spans to the collector: a bounded ring, a thread that sends batches, and
 * patience while nobody is there. */
#include "services/common/process/process_internal.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/net/net.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define RING 2048
#define BATCH 512
#define DELAY_MS 2000
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000
#define FLUSH_MS 3000 /* for what is left at the end */
#define HEADERS_MAX 16

typedef struct item {
    char *json;
    size_t len;
} item;

struct aicps_tracer {
    aicps_process *process;
    bool is_on;
    bool parent_decides;
    double ratio;
    char *url;
    char *header_text; /* what `headers` point into */
    aicpi_net_header headers[HEADERS_MAX + 1];
    size_t header_count;
    aicpi_strbuf resource; /* the start of each body, up to the list of spans */
    aicpi_net_client *client;
    aicpi_net_stop *end; /* of a request under way */
    uint64_t timeout_ms;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop;
    bool is_over; /* the thread has done its last work */
    item ring[RING];
    size_t head;
    size_t count;
    bool away; /* the last try failed: it was told */
    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t dropped;
};

bool aicps_tracer_is_on(const aicps_tracer *t) {
    return t && t->is_on;
}

void aicps_tracer_counts(const aicps_tracer *t, uint64_t *sent, uint64_t *dropped) {
    *sent = t ? atomic_load(&t->sent) : 0;
    *dropped = t ? atomic_load(&t->dropped) : 0;
}

/* By the lower half of the trace id, so that all services of a trace decide alike. */
static bool in_ratio(double ratio, const char *trace_id) {
    uint64_t x = 0;
    for (size_t i = 16; i < 32; i++) {
        x = x << 4 | (uint64_t)aicpi_hex_value(trace_id[i]);
    }
    return ratio >= 1 || (double)(x >> 1) < ratio * 9223372036854775808.0;
}

bool aicps_tracer_samples(const aicps_tracer *t, const aicps_span *span, bool has_parent) {
    if (t->parent_decides && has_parent) {
        return span->sampled;
    }
    return in_ratio(t->ratio, span->trace_id);
}

void aicps_tracer_put(aicps_tracer *t, const char *json, size_t len) {
    char *copy = json ? aicpi_strndup(AICPS_HEAP, json, len) : NULL;
    (void)pthread_mutex_lock(&t->mutex);
    bool room = copy && t->count < RING && !t->stop;
    if (room) {
        t->ring[(t->head + t->count++) % RING] = (item){copy, len};
        if (t->count == BATCH) {
            (void)pthread_cond_signal(&t->wake);
        }
    }
    (void)pthread_mutex_unlock(&t->mutex);
    if (!room) {
        atomic_fetch_add(&t->dropped, 1);
        aicpi_free(AICPS_HEAP, copy);
    }
}

/* ---- sending ---- */

static bool is_temporary(int32_t status) {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* True when the batch is done with, taken or refused for good. */
static bool post(aicps_tracer *t, const char *body, size_t len, size_t spans) {
    aicpi_net_request request = {
        .method = "POST",
        .url = aicpi_slice_cstr(t->url),
        .headers = t->headers,
        .header_count = t->header_count,
        .body = aicpi_slice_of(body, len),
        .timeout_ms = t->timeout_ms,
        .max_response = (size_t)64 << 10,
        .may_repeat = true,
        .stop = t->end};
    aicpi_net_response response;
    aicpi_net_response_init(&response, NULL);
    aicp_error err = {0};
    aicp_status status = aicpi_net_perform(t->client, &request, &response, &err);
    int32_t http = status == AICP_OK ? response.status : 0;
    aicpi_net_response_deinit(&response);
    if (status != AICP_OK || is_temporary(http)) {
        aicps_log_field f[] = {
            {.name = "reason", .text = status != AICP_OK ? err.message : "busy"},
            {.name = "status", .number = http}};
        if (!t->away) {
            aicps_log(t->process, AICP_LOG_WARN, "traces cannot be sent; trying on", f, 2);
        }
        t->away = true;
        return false;
    }
    bool taken = http >= 200 && http < 300;
    atomic_fetch_add(taken ? &t->sent : &t->dropped, spans);
    if (taken && t->away) {
        aicps_log_field f = {.name = "dropped", .number = (int64_t)atomic_load(&t->dropped)};
        aicps_log(t->process, AICP_LOG_INFO, "traces are sent again", &f, 1);
    } else if (!taken && !t->away) {
        aicps_log_field f = {.name = "status", .number = http};
        aicps_log(t->process, AICP_LOG_WARN, "the collector refuses traces", &f, 1);
    }
    t->away = !taken;
    return true;
}

/* Puts the first spans of the ring into a body; they stay there until they are sent. */
static size_t fill(aicps_tracer *t, aicpi_strbuf *body) {
    aicpi_strbuf_append(body, t->resource.data, t->resource.len);
    (void)pthread_mutex_lock(&t->mutex);
    size_t n = t->count < BATCH ? t->count : BATCH;
    for (size_t i = 0; i < n; i++) {
        const item *s = &t->ring[(t->head + i) % RING];
        aicpi_strbuf_puts(body, i > 0 ? "," : "");
        aicpi_strbuf_append(body, s->json, s->len);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    aicpi_strbuf_puts(body, "]}]}]}");
    return n;
}

static void drop_first(aicps_tracer *t, size_t n) {
    (void)pthread_mutex_lock(&t->mutex);
    for (size_t i = 0; i < n; i++) {
        aicpi_free(AICPS_HEAP, t->ring[t->head].json);
        t->head = (t->head + 1) % RING;
        t->count--;
    }
    (void)pthread_mutex_unlock(&t->mutex);
}

static bool send_batch(aicps_tracer *t, size_t *sent) {
    aicpi_strbuf body;
    aicpi_strbuf_init(&body, NULL, (size_t)16 << 20);
    *sent = fill(t, &body);
    bool done = true;
    if (body.failed) {
        atomic_fetch_add(&t->dropped, *sent);
    } else if (*sent > 0) {
        done = post(t, body.data, body.len, *sent);
    }
    aicpi_strbuf_deinit(&body);
    if (done) {
        drop_first(t, *sent);
    }
    return done;
}

static struct timespec after(uint64_t ms, uint64_t *until) {
    *until = aicps_now_ns() + ms * 1000000;
    return (struct timespec){
        .tv_sec = (time_t)(*until / (uint64_t)AICPI_SECOND_NS),
        .tv_nsec = (long)(*until % (uint64_t)AICPI_SECOND_NS)};
}

/* Waits until there is a whole batch, the time is over, or the end has come. */
static bool wait_for_work(aicps_tracer *t, uint64_t ms, bool early) {
    uint64_t until = 0;
    struct timespec at = after(ms, &until);
    (void)pthread_mutex_lock(&t->mutex);
    while (!t->stop && !(early && t->count >= BATCH) && aicps_now_ns() < until) {
        (void)pthread_cond_timedwait(&t->wake, &t->mutex, &at);
    }
    bool go_on = !t->stop;
    (void)pthread_mutex_unlock(&t->mutex);
    return go_on;
}

static void *send_thread(void *user) {
    aicps_tracer *t = user;
    uint64_t pause = 0;
    size_t n = 0;
    while (wait_for_work(t, pause > 0 ? pause : DELAY_MS, pause == 0)) {
        if (send_batch(t, &n)) {
            pause = 0;
        } else {
            pause = pause == 0 ? PAUSE_MIN_MS : pause * 2;
            pause = pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
        }
    }
    while (send_batch(t, &n) && n > 0) {
    }
    (void)pthread_mutex_lock(&t->mutex);
    t->is_over = true;
    (void)pthread_cond_signal(&t->wake);
    (void)pthread_mutex_unlock(&t->mutex);
    return NULL;
}

/* ---- opening ---- */

/* "%41" of the OpenTelemetry lists. */
static size_t unescape(char *text, size_t len) {
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len && text[i] == '%' ? aicpi_hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? aicpi_hex_value(text[i + 2]) : -1;
        if (low >= 0) {
            text[out++] = (char)(high * 16 + low);
            i += 2;
        } else {
            text[out++] = text[i];
        }
    }
    return out;
}

static aicpi_slice trimmed(char *text, size_t len) {
    while (len > 0 && *text == ' ') {
        text++;
        len--;
    }
    while (len > 0 && text[len - 1] == ' ') {
        len--;
    }
    return aicpi_slice_of(text, unescape(text, len));
}

/* Next "name=value" of a comma list, changed in place. */
static bool next_pair(char **list, aicpi_slice *name, aicpi_slice *value) {
    while (**list) {
        char *text = *list;
        size_t len = strcspn(text, ",");
        *list = text + len + (text[len] == ',' ? 1 : 0);
        char *equals = memchr(text, '=', len);
        if (equals && equals > text) {
            *name = trimmed(text, (size_t)(equals - text));
            *value = trimmed(equals + 1, (size_t)(text + len - equals) - 1);
            return true;
        }
    }
    return false;
}

static void put_attribute(aicpi_strbuf *b, aicpi_slice name, aicpi_slice value) {
    aicpi_strbuf_puts(b, "{\"key\":");
    aicpi_strbuf_json(b, name.data, name.len);
    aicpi_strbuf_puts(b, ",\"value\":{\"stringValue\":");
    aicpi_strbuf_json(b, value.data, value.len);
    aicpi_strbuf_puts(b, "}}");
}

static void make_resource(aicps_tracer *t, const aicps_trace_options *o) {
    aicpi_strbuf *b = &t->resource;
    aicpi_slice name;
    aicpi_slice value;
    aicpi_strbuf_puts(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    put_attribute(b, AICPI_SLICE("service.name"), aicpi_slice_cstr(o->service));
    aicpi_strbuf_putc(b, ',');
    put_attribute(b, AICPI_SLICE("service.version"), aicpi_slice_cstr(aicp_version()));
    char *copy = o->resource ? aicpi_strndup(AICPS_HEAP, o->resource, strlen(o->resource)) : NULL;
    for (char *list = copy; list && next_pair(&list, &name, &value);) {
        if (!aicpi_slice_is(name, "service.name") && !aicpi_slice_is(name, "service.version")) {
            aicpi_strbuf_putc(b, ',');
            put_attribute(b, name, value);
        }
    }
    aicpi_free(AICPS_HEAP, copy);
    aicpi_strbuf_printf(
        b,
        "]},\"scopeSpans\":[{\"scope\":{\"name\":\"libaicp\",\"version\":\"%s\"},\"spans\":[",
        aicp_version());
}

static bool make_headers(aicps_tracer *t, const aicps_trace_options *o) {
    t->headers[t->header_count++] =
        (aicpi_net_header){AICPI_SLICE("content-type"), AICPI_SLICE("application/json")};
    if (!o->headers) {
        return true;
    }
    t->header_text = aicpi_strndup(AICPS_HEAP, o->headers, strlen(o->headers));
    if (!t->header_text) {
        return false;
    }
    char *list = t->header_text;
    aicpi_net_header h;
    while (t->header_count <= HEADERS_MAX && next_pair(&list, &h.name, &h.value)) {
        t->headers[t->header_count++] = h;
    }
    return true;
}

static aicp_status open_way(aicps_tracer *t, const aicps_trace_options *o, aicp_error *err) {
    aicpi_net_options net = {.timeout_ms = o->timeout_ms, .connect_timeout_ms = 2000};
    t->timeout_ms = o->timeout_ms;
    t->url = aicpi_strndup(AICPS_HEAP, o->endpoint, strlen(o->endpoint));
    make_resource(t, o);
    if (!t->url || t->resource.failed || !make_headers(t, o)) {
        return aicpi_nomem(err);
    }
    aicp_status status = aicpi_net_client_new(&net, &t->client, err);
    if (status == AICP_OK) {
        status = aicpi_net_stop_new(AICPS_HEAP, &t->end, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    if (pthread_create(&t->thread, NULL, send_thread, t) != 0) {
        return aicpi_fail(err, AICP_ERR_NOMEM, "cannot start a thread");
    }
    t->has_thread = true;
    t->is_on = true;
    return AICP_OK;
}

aicp_status aicps_tracer_new(
    aicps_process *p, const aicps_trace_options *o, aicps_tracer **out, aicp_error *err) {
    *out = NULL;
    aicps_tracer *t = aicpi_calloc(AICPS_HEAP, 1, sizeof *t);
    if (!t) {
        return aicpi_nomem(err);
    }
    const char *sampler = o->sampler ? o->sampler : "parentbased_always_on";
    t->process = p;
    t->parent_decides = strncmp(sampler, "parentbased_", 12) == 0;
    t->ratio = strstr(sampler, "ratio") ? o->ratio : strstr(sampler, "always_on") ? 1 : 0;
    aicpi_strbuf_init(&t->resource, NULL, (size_t)64 << 10);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&t->mutex, NULL);
    (void)pthread_cond_init(&t->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    aicp_status status = o->endpoint ? open_way(t, o, err) : AICP_OK;
    if (status != AICP_OK) {
        aicps_tracer_free(t);
        return status;
    }
    *out = t;
    return AICP_OK;
}

void aicps_tracer_free(aicps_tracer *t) {
    if (!t) {
        return;
    }
    uint64_t until = 0;
    struct timespec at = after(FLUSH_MS, &until);
    (void)pthread_mutex_lock(&t->mutex);
    t->stop = true;
    (void)pthread_cond_signal(&t->wake);
    while (t->has_thread && !t->is_over && aicps_now_ns() < until) {
        (void)pthread_cond_timedwait(&t->wake, &t->mutex, &at);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    if (t->has_thread) {
        aicpi_net_stop_now(t->end);
        (void)pthread_join(t->thread, NULL);
    }
    drop_first(t, t->count);
    aicpi_net_client_free(t->client);
    aicpi_net_stop_free(t->end);
    aicpi_strbuf_deinit(&t->resource);
    aicpi_free(AICPS_HEAP, t->header_text);
    aicpi_free(AICPS_HEAP, t->url);
    (void)pthread_cond_destroy(&t->wake);
    (void)pthread_mutex_destroy(&t->mutex);
    aicpi_free(AICPS_HEAP, t);
}
