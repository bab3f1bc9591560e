/* /health, /ready and /metrics. Checks run in threads of their own: a store that hangs must not
 * hang the answer that says so. */
#include "services/common/process/process_internal.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <time.h>

#define CHECKS_MAX 16
#define CHECK_LIMIT_NS (2 * (uint64_t)AICPI_SECOND_NS)
#define ASKED_RECENTLY_NS (15 * (uint64_t)AICPI_SECOND_NS)

typedef struct check {
    aicps_health *health;
    const char *name;
    aicp_status (*fn)(void *user, aicp_error *err);
    void *user;
    pthread_t thread;
    bool has_thread;
    /* Under the health's mutex: */
    bool has_result;
    bool is_running;
    uint64_t started_ns;
    aicp_status status;
    char reason[AICP_ERROR_MESSAGE_SIZE];
} check;

struct aicps_health {
    aicps_process *process;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop;
    uint64_t asked_ns; /* when /ready was asked last */
    check checks[CHECKS_MAX];
    size_t count;
};

aicp_status aicps_health_new(aicps_process *p, aicps_health **out) {
    aicps_health *h = aicpi_calloc(AICPS_HEAP, 1, sizeof *h);
    *out = h;
    if (!h) {
        return AICP_ERR_NOMEM;
    }
    h->process = p;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&h->mutex, NULL);
    (void)pthread_cond_init(&h->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return AICP_OK;
}

void aicps_health_free(aicps_health *h) {
    if (h) {
        aicps_health_stop(h);
        (void)pthread_cond_destroy(&h->wake);
        (void)pthread_mutex_destroy(&h->mutex);
        aicpi_free(AICPS_HEAP, h);
    }
}

void aicps_ready_check(
    aicps_process *p,
    const char *name,
    aicp_status (*fn)(void *user, aicp_error *err),
    void *user) {
    aicps_health *h = p->health;
    if (h->count < CHECKS_MAX) {
        h->checks[h->count++] = (check){.health = h, .name = name, .fn = fn, .user = user};
    } else {
        aicps_log_field field = {.name = "check", .text = name};
        aicps_log(p, AICP_LOG_ERROR, "too many readiness checks; this one is left out", &field, 1);
    }
}

/* A change of the result is worth a line; the same result again is not. */
static void tell(aicps_process *p, const check *c, aicp_status before, bool had) {
    aicps_log_field fields[] = {
        {.name = "check", .text = c->name}, {.name = "reason", .text = c->reason}};
    if (c->status != AICP_OK && (!had || before == AICP_OK)) {
        aicps_log(p, AICP_LOG_WARN, "readiness check fails", fields, 2);
    } else if (c->status == AICP_OK && had && before != AICP_OK) {
        aicps_log(p, AICP_LOG_INFO, "readiness check passes again", fields, 1);
    }
}

static void run_check(check *c) {
    aicps_health *h = c->health;
    aicp_error err = {0};
    c->is_running = true;
    c->started_ns = aicps_now_ns();
    (void)pthread_mutex_unlock(&h->mutex);
    aicp_status status = c->fn(c->user, &err);
    (void)pthread_mutex_lock(&h->mutex);
    aicp_status before = c->status;
    bool had = c->has_result;
    c->is_running = false;
    c->has_result = true;
    c->status = status;
    const char *reason = err.message[0] ? err.message : aicp_status_text(status);
    (void)memccpy(c->reason, reason, '\0', sizeof c->reason);
    c->reason[sizeof c->reason - 1] = '\0';
    tell(h->process, c, before, had);
}

static void *check_thread(void *user) {
    check *c = user;
    aicps_health *h = c->health;
    (void)pthread_mutex_lock(&h->mutex);
    while (!h->stop) {
        run_check(c);
        uint64_t end = aicps_now_ns() + (uint64_t)AICPI_SECOND_NS;
        uint64_t slow_end = end + 4 * (uint64_t)AICPI_SECOND_NS;
        for (;;) {
            uint64_t now = aicps_now_ns();
            bool asked = h->asked_ns > 0 && now - h->asked_ns < ASKED_RECENTLY_NS;
            uint64_t until = asked ? end : slow_end;
            if (h->stop || now >= until) {
                break;
            }
            struct timespec at = {
                .tv_sec = (time_t)(until / (uint64_t)AICPI_SECOND_NS),
                .tv_nsec = (long)(until % (uint64_t)AICPI_SECOND_NS)};
            (void)pthread_cond_timedwait(&h->wake, &h->mutex, &at);
        }
    }
    (void)pthread_mutex_unlock(&h->mutex);
    return NULL;
}

aicp_status aicps_health_start(aicps_health *h, aicp_error *err) {
    for (size_t i = 0; i < h->count; i++) {
        if (pthread_create(&h->checks[i].thread, NULL, check_thread, &h->checks[i]) != 0) {
            return aicpi_fail(err, AICP_ERR_NOMEM, "cannot start a thread");
        }
        h->checks[i].has_thread = true;
    }
    return AICP_OK;
}

void aicps_health_stop(aicps_health *h) {
    (void)pthread_mutex_lock(&h->mutex);
    h->stop = true;
    (void)pthread_cond_broadcast(&h->wake);
    (void)pthread_mutex_unlock(&h->mutex);
    for (size_t i = 0; i < h->count; i++) {
        if (h->checks[i].has_thread) {
            (void)pthread_join(h->checks[i].thread, NULL);
            h->checks[i].has_thread = false;
        }
    }
}

static const char *result_of(const check *c, uint64_t now) {
    if (c->is_running && now - c->started_ns > CHECK_LIMIT_NS) {
        return "no answer within 2 s";
    }
    if (!c->has_result) {
        return "not checked yet";
    }
    return c->status == AICP_OK ? "ok" : c->reason;
}

static void answer_ready(aicps_process *p, aicps_http_response *response) {
    aicps_health *h = p->health;
    aicpi_strbuf *body = &response->body;
    aicpi_strbuf checks;
    aicpi_strbuf_init(&checks, NULL, (size_t)64 << 10);
    bool good = true;
    (void)pthread_mutex_lock(&h->mutex);
    uint64_t now = aicps_now_ns();
    if (h->asked_ns == 0 || now - h->asked_ns >= ASKED_RECENTLY_NS) {
        (void)pthread_cond_broadcast(&h->wake);
    }
    h->asked_ns = now;
    for (size_t i = 0; i < h->count; i++) {
        const char *result = result_of(&h->checks[i], now);
        good = good && strcmp(result, "ok") == 0;
        aicpi_strbuf_puts(&checks, i > 0 ? "," : "");
        aicpi_strbuf_json(&checks, h->checks[i].name, strlen(h->checks[i].name));
        aicpi_strbuf_putc(&checks, ':');
        aicpi_strbuf_json(&checks, result, strlen(result));
    }
    (void)pthread_mutex_unlock(&h->mutex);
    const char *status = good ? "ready" : "not_ready";
    if (!atomic_load(&p->listening)) {
        status = "starting";
    }
    if (atomic_load(&p->draining)) {
        status = "draining";
    }
    response->status = strcmp(status, "ready") == 0 ? 200 : 503;
    aicpi_strbuf_printf(body, "{\"status\":\"%s\",\"checks\":{", status);
    aicpi_strbuf_append(body, checks.data ? checks.data : "", checks.len);
    aicpi_strbuf_puts(body, "}}");
    aicpi_strbuf_deinit(&checks);
}

static void answer_metrics(aicps_process *p, aicps_http_response *response) {
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (aicps_metrics_text(p, &response->body) != AICP_OK) {
        aicpi_strbuf_clear(&response->body);
        response->status = 503;
    }
}

bool aicps_health_is_path(aicpi_slice path) {
    return aicpi_slice_is(path, "/health") || aicpi_slice_is(path, "/healthz") ||
           aicpi_slice_is(path, "/ready") || aicpi_slice_is(path, "/metrics");
}

bool aicps_health_answer(
    aicps_process *p, const aicps_http_request *request, aicps_http_response *response) {
    if (!aicps_health_is_path(request->path)) {
        return false;
    }
    if (!aicpi_slice_is(request->method, "GET") && !aicpi_slice_is(request->method, "HEAD")) {
        (void)aicps_http_add_header(response, "Allow", "GET, HEAD");
        aicps_http_problem(
            response, request, 405, "method_not_allowed", "only GET is answered here");
        return true;
    }
    (void)aicps_http_add_header(response, "Cache-Control", "no-store");
    if (aicpi_slice_is(request->path, "/ready")) {
        answer_ready(p, response);
    } else if (aicpi_slice_is(request->path, "/metrics")) {
        answer_metrics(p, response);
    } else {
        aicpi_strbuf_puts(&response->body, "{\"status\":\"ok\"}");
    }
    return true;
}
