#include "lib/gate/uplink.h"

#include "lib/gate/remote.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define BATCH_MAX ((size_t)1 << 20) /* bytes of one message */
#define HEAD_MAX ((size_t)4 << 10)  /* of them around the events */
#define SEND_MS 10000
#define LAST_MS 2000

struct aicpi_uplink {
    aicp_gate *gate;
    aicpi_remote *remote;
    aicpi_net_stop *stop; /* of the thread's requests */

    pthread_mutex_t lock; /* one message is under way at a time */
    aicpi_strbuf lines;   /* the batch: until it is acknowledged */
    aicpi_strbuf body;
    uint64_t dropped; /* events lost when the batch was taken */

    pthread_mutex_t state_lock;
    char error[AICP_ERROR_MESSAGE_SIZE]; /* "": the last try went well */
    uint64_t sent;                       /* events */
    uint64_t failures;

    pthread_t thread;
    pthread_mutex_t pause_lock;
    pthread_cond_t pause;
    bool running;
};

/* ---- life ----------------------------------------------------------------------------------- */

aicp_status aicpi_uplink_open(aicp_gate *g, const char *url, aicpi_uplink **out, aicp_error *err) {
    *out = NULL;
    aicpi_uplink *u = aicpi_calloc(&g->allocator, 1, sizeof *u);
    if (!u) {
        return aicpi_nomem(err);
    }
    u->gate = g;
    pthread_mutex_init(&u->lock, NULL);
    pthread_mutex_init(&u->state_lock, NULL);
    pthread_mutex_init(&u->pause_lock, NULL);
    pthread_cond_init(&u->pause, NULL);
    aicpi_strbuf_init(&u->lines, &g->allocator, BATCH_MAX);
    aicpi_strbuf_init(&u->body, &g->allocator, BATCH_MAX);
    aicp_status status =
        aicpi_remote_open(url, g->service_key, g->events.boot, &g->allocator, &u->remote, err);
    if (status == AICP_OK) {
        status = aicpi_net_stop_new(&g->allocator, &u->stop, err);
    }
    if (status != AICP_OK) {
        aicpi_uplink_free(u, true);
        return status;
    }
    *out = u;
    return AICP_OK;
}

void aicpi_uplink_free(aicpi_uplink *u, bool own) {
    if (!u) {
        return;
    }
    aicpi_remote_free(u->remote, own);
    if (own) {
        aicpi_net_stop_free(u->stop);
    }
    aicpi_strbuf_deinit(&u->lines);
    aicpi_strbuf_deinit(&u->body);
    pthread_mutex_destroy(&u->lock);
    pthread_mutex_destroy(&u->state_lock);
    pthread_mutex_destroy(&u->pause_lock);
    pthread_cond_destroy(&u->pause);
    aicp_allocator a = u->gate->allocator;
    aicpi_free(&a, u);
}

aicp_status aicpi_uplink_leave_parent(aicpi_uplink *u, aicp_error *err) {
    if (aicpi_mutex_inherit(&u->lock)) {
        aicpi_strbuf_clear(&u->lines);
    } else { /* half changed: its memory is given up */
        aicpi_strbuf_init(&u->lines, &u->gate->allocator, BATCH_MAX);
        aicpi_strbuf_init(&u->body, &u->gate->allocator, BATCH_MAX);
    }
    if (!aicpi_mutex_inherit(&u->state_lock)) {
        u->error[0] = '\0';
    }
    pthread_mutex_init(&u->pause_lock, NULL);
    pthread_cond_init(&u->pause, NULL);
    u->running = false;
    u->stop = NULL; /* it has the parent's connection */
    aicp_status status = aicpi_remote_leave_parent(u->remote, u->gate->events.boot, err);
    return status == AICP_OK ? aicpi_net_stop_new(&u->gate->allocator, &u->stop, err) : status;
}

/* ---- one message ---------------------------------------------------------------------------- */

static void make_body(aicpi_uplink *u) {
    aicpi_strbuf *b = &u->body;
    aicpi_strbuf_clear(b);
    aicpi_strbuf_puts(b, "{\"format\":\"aicp-events/1\",\"node\":");
    aicpi_strbuf_json(b, u->gate->node, strlen(u->gate->node));
    aicpi_strbuf_printf(
        b,
        ",\"boot\":\"%s\",\"dropped\":%llu,\"events\":[",
        aicpi_remote_boot(u->remote),
        (unsigned long long)u->dropped);
    size_t start = b->len;
    aicpi_strbuf_append(b, u->lines.data, u->lines.len);
    for (size_t i = start; i + 1 < b->len; i++) { /* a JSON text holds no raw newline */
        b->data[i] = b->data[i] == '\n' ? ',' : b->data[i];
    }
    b->len -= !b->failed && b->len > start; /* the newline of the last one */
    aicpi_strbuf_puts(b, "]}");
}

static uint64_t count_lines(const aicpi_strbuf *lines) {
    uint64_t count = 0;
    for (size_t i = 0; i < lines->len; i++) {
        count += lines->data[i] == '\n';
    }
    return count;
}

static void note(aicpi_uplink *u, aicp_status status, const aicp_error *err, uint64_t sent) {
    pthread_mutex_lock(&u->state_lock);
    bool failed = status != AICP_OK;
    const char *text = failed ? err->message : "";
    bool news = strcmp(text, u->error) != 0;
    snprintf(u->error, sizeof u->error, "%s", text);
    u->failures += failed;
    u->sent += sent;
    pthread_mutex_unlock(&u->state_lock);
    if (news && failed) {
        aicpi_log_write(
            &u->gate->log, AICP_LOG_WARN, "events wait, the server does not take them: %s", text);
    } else if (news) {
        aicpi_log_write(&u->gate->log, AICP_LOG_INFO, "the server takes events again");
    }
}

/* A message that the server will never take must not hold up the rest. */
static bool is_poison(int32_t status) {
    return status == 400 || status == 413 || status == 422;
}

/* Takes the next batch when the last one is through. The lock is held. */
static bool next_batch(aicpi_uplink *u) {
    if (u->lines.len == 0) {
        u->dropped = aicpi_events_take(u->gate, &u->lines, BATCH_MAX - HEAD_MAX);
        aicp_error err = {0};
        aicpi_slice lines = {u->lines.data, u->lines.len};
        if (aicpi_events_append(u->gate, lines, &err) != AICP_OK) {
            aicpi_log_write(&u->gate->log, AICP_LOG_WARN, "events not written: %s", err.message);
        }
    }
    return u->lines.len > 0;
}

static aicp_status
send_batch(aicpi_uplink *u, aicpi_net_stop *stop, uint64_t timeout_ms, aicp_error *err) {
    aicpi_net_response response;
    make_body(u);
    if (u->body.failed) {
        return aicpi_nomem(err);
    }
    aicpi_remote_call call = {
        .method = "POST",
        .path = "events",
        .body = aicpi_slice_of(u->body.data, u->body.len),
        .timeout_ms = timeout_ms,
        .max_response = (size_t)64 << 10,
        .stop = stop};
    aicp_error own = {0};
    aicpi_net_response_init(&response, &u->gate->allocator);
    aicp_status status = aicpi_remote_send(u->remote, &call, &response, &own);
    uint64_t count = count_lines(&u->lines);
    if (status == AICP_OK) {
        aicpi_strbuf_clear(&u->lines);
        note(u, status, NULL, count);
    } else if (!stop || !aicpi_net_stopped(stop)) {
        note(u, status, &own, 0);
        if (is_poison(response.status)) {
            aicpi_events_lost(u->gate, count);
            aicpi_strbuf_clear(&u->lines);
        }
    }
    aicpi_net_response_deinit(&response);
    if (status != AICP_OK && err) {
        *err = own;
    }
    return status;
}

static aicp_status
send_all(aicpi_uplink *u, aicpi_net_stop *stop, uint64_t timeout_ms, aicp_error *err) {
    aicp_status status = AICP_OK;
    pthread_mutex_lock(&u->lock);
    /* As many as can be in the ring: what comes meanwhile is for the next time. */
    size_t most = AICPI_EVENT_RING / (BATCH_MAX - HEAD_MAX) + 2;
    for (size_t i = 0; i < most && status == AICP_OK && next_batch(u); i++) {
        status = send_batch(u, stop, timeout_ms, err);
    }
    pthread_mutex_unlock(&u->lock);
    return status;
}

aicp_status aicpi_uplink_flush(aicpi_uplink *u, aicp_error *err) {
    return send_all(u, NULL, SEND_MS, err);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void pause_thread(aicpi_uplink *u, uint64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&u->pause_lock);
    int rc = 0;
    while (rc != ETIMEDOUT && !aicpi_net_stopped(u->stop)) {
        rc = pthread_cond_timedwait(&u->pause, &u->pause_lock, &until);
    }
    pthread_mutex_unlock(&u->pause_lock);
}

/* Once a second by default: what is told later is told in fewer messages. */
static void *work(void *user) {
    aicpi_uplink *u = user;
    uint32_t failed = 0;
    while (!aicpi_net_stopped(u->stop)) {
        aicp_error err = {0};
        bool ok = send_all(u, u->stop, SEND_MS, &err) == AICP_OK;
        pause_thread(u, ok ? 4 * (uint64_t)u->gate->watch_ms : aicpi_remote_pause_ms(failed));
        failed = ok ? 0 : failed + (failed < 16);
    }
    return NULL;
}

aicp_status aicpi_uplink_start(aicpi_uplink *u, aicp_error *err) {
    int rc = pthread_create(&u->thread, NULL, work, u);
    if (rc != 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot start a thread: %s", strerror(rc));
    }
    u->running = true;
    return AICP_OK;
}

void aicpi_uplink_stop(aicpi_uplink *u) {
    if (u->running) {
        pthread_mutex_lock(&u->pause_lock);
        aicpi_net_stop_now(u->stop);
        pthread_cond_signal(&u->pause);
        pthread_mutex_unlock(&u->pause_lock);
        pthread_join(u->thread, NULL);
        u->running = false;
    }
    aicp_error err = {0};
    if (send_all(u, NULL, LAST_MS, &err) != AICP_OK) {
        aicpi_log_write(&u->gate->log, AICP_LOG_WARN, "last events not sent: %s", err.message);
    }
}

void aicpi_uplink_metrics(aicpi_uplink *u, aicpi_strbuf *out) {
    pthread_mutex_lock(&u->state_lock);
    aicpi_strbuf_printf(
        out,
        ",\"event_server\":{\"sent\":%llu,\"failures\":%llu,\"error\":",
        (unsigned long long)u->sent,
        (unsigned long long)u->failures);
    aicpi_strbuf_json(out, u->error, strlen(u->error));
    aicpi_strbuf_putc(out, '}');
    pthread_mutex_unlock(&u->state_lock);
}
