/* The life of a service: configuration, logs, metrics, traces, start, signals, drain, end.
 *
 *     int main(int argc, char **argv) {
 *         return aicps_process_main(&my_service, argc, argv);
 *     }
 *
 * Command line: --help (every setting, its variable, default and meaning), --version, --config FILE
 * (YAML; also AICP_CONFIG), --set NAME=VALUE, --check-config (reads everything, says every mistake
 * with file, line and column, shows what is in force, exits 0 or 2).
 * Order: command line, environment, file, default. Unknown names in the file are errors; an empty
 * variable counts as unset. */
#ifndef AICPS_PROCESS_PROCESS_H
#define AICPS_PROCESS_PROCESS_H

#include "services/common/http/http.h"

#include "aicp/litellm.h"

typedef enum aicps_setting_type {
    AICPS_SETTING_TEXT = 1,
    AICPS_SETTING_INT,      /* min, max */
    AICPS_SETTING_BOOL,     /* true/false/1/0/yes/no */
    AICPS_SETTING_DURATION, /* "30s", "250ms", "5m"; a bare number is seconds; kept in ms */
    AICPS_SETTING_SIZE,     /* "1MiB", "64KiB", bytes */
    AICPS_SETTING_LIST,     /* comma list or YAML sequence */
    AICPS_SETTING_URL,      /* checked for scheme and host */
} aicps_setting_type;

enum {
    AICPS_SETTING_REQUIRED = 1u << 0,
    AICPS_SETTING_SECRET = 1u << 1, /* never printed; NAME_FILE in the environment reads a file */
};

/* One setting. Static table; the value goes to `offset` in the service's settings struct:
 * TEXT, URL const char *; INT, DURATION, SIZE int64_t; BOOL bool; LIST const char *const *
 * (NULL-terminated). */
typedef struct aicps_setting {
    const char *name; /* in the file, dots make sections: "litellm.url" */
    const char *env;  /* "LITELLM_URL"; NULL = none. "A|B": A first */
    aicps_setting_type type;
    uint32_t flags;
    size_t offset;
    const char *preset; /* default as text; NULL = none */
    int64_t min, max;   /* INT, DURATION (ms), SIZE; length of TEXT and of LIST's items. Both 0: not
                           negative, any length */
    const char *doc;
    const char *choices; /* TEXT, LIST: "debug|info"; URL: schemes, "http|https". NULL = any */
} aicps_setting;

typedef struct aicps_process aicps_process;

typedef struct aicps_service {
    const char *name; /* "admin-api": service.name of traces, field of logs */
    const char *summary;
    const char *port;     /* default of server.port; NULL = "8080" */
    const char *port_env; /* "ADMIN_API_PORT": looked at before AICP_PORT and PORT; may be NULL */
    const aicps_setting *settings; /* the service's own; the common ones (address, port, log, otel,
                                      limits, shutdown) are added */
    size_t setting_count;
    size_t settings_size;
    /* Rules over several settings; message names them. Also run by --check-config. */
    aicp_status (*check)(const void *settings, aicp_error *err);
    /* Opens what is needed and fills `http` (handler, user, hooks; the rest is filled from the
     * settings). Must not wait for other services: report them by aicps_ready_check. */
    aicp_status (*open)(
        aicps_process *process,
        const void *settings,
        aicps_http_options *http,
        void **state,
        aicp_error *err);
    /* After the server listens. May start threads. */
    aicp_status (*started)(void *state, aicps_http_server *server, aicp_error *err);
    void (*stopping)(void *state); /* before the drain */
    void (*close)(void *state);    /* after it */
} aicps_service;

/* Runs until SIGTERM or SIGINT (a second one ends at once); sd_notify READY/STOPPING/WATCHDOG when
 * NOTIFY_SOCKET is set. Returns the exit status: 0, 1 failed, 2 wrong usage or configuration. */
int aicps_process_main(const aicps_service *service, int argc, char **argv);
/* A process of that name without command line and server, for tests and tools: logs to stderr. */
aicp_status aicps_process_new(const char *name, aicps_process **out, aicp_error *err);
void aicps_process_free(aicps_process *process); /* NULL is fine */
const char *aicps_process_name(const aicps_process *process);
aicp_log_fn aicps_process_log_fn(aicps_process *process, void **user);

/* ---- logs: one JSON object a line on stderr: time, level, service, message, request_id, trace_id,
 * span_id (of the request that this thread handles) and fields. Never a token, key, query or body.
 * A NULL process writes nothing. Every request gets a line by itself: handlers set request->route
 * and request->who for it. ---- */
typedef struct aicps_log_field {
    const char *name;
    const char *text; /* NULL: number */
    int64_t number;
} aicps_log_field;
void aicps_log(
    aicps_process *process,
    int32_t level,
    const char *message,
    const aicps_log_field *fields,
    size_t count);

/* ---- metrics: counters, gauges and histograms in Prometheus text. Lock-free to update. ---- */
typedef struct aicps_metric aicps_metric;
/* `labels` "method,route,status"; buckets NULL = seconds 1e-4 .. 10. Registered for good. */
aicps_metric *
aicps_counter(aicps_process *p, const char *name, const char *labels, const char *help);
aicps_metric *aicps_gauge(aicps_process *p, const char *name, const char *labels, const char *help);
aicps_metric *aicps_histogram(
    aicps_process *p,
    const char *name,
    const char *labels,
    const char *help,
    const double *buckets,
    size_t bucket_count);
/* `values` in the order of the labels; at most 1,000 series a metric, the rest is label "other". */
void aicps_metric_add(aicps_metric *m, const char *const *values, double amount);
void aicps_metric_set(aicps_metric *m, const char *const *values, double value);
void aicps_metric_observe(aicps_metric *m, const char *const *values, double value);
/* Called when scraped, to set gauges. */
void aicps_metrics_on_scrape(aicps_process *p, void (*fn)(void *user), void *user);
aicp_status aicps_metrics_text(aicps_process *p, aicpi_strbuf *out);

/* ---- traces: W3C traceparent in, OTLP/HTTP JSON out (OTEL_EXPORTER_OTLP_ENDPOINT), batched in a
 * thread, dropped and counted while the endpoint is away. ---- */
typedef struct aicps_span {
    char trace_id[33];
    char span_id[17];
    char parent_id[17]; /* "" = root */
    uint64_t start_ns;  /* wall */
    uint64_t end_ns;
    const char *name; /* copied by aicps_span_end */
    int32_t kind;     /* 1 internal, 2 server, 3 client */
    int32_t error;
    bool sampled;
} aicps_span;
/* The span of a request, of kind server; NULL outside of a process. It is ended by the process. */
const aicps_span *aicps_request_span(const aicps_http_request *request);
/* The request that this thread handles now, or NULL. */
const aicps_http_request *aicps_request_current(void);
void aicps_span_begin(
    aicps_process *p, aicps_span *span, const char *name, int32_t kind, aicpi_slice traceparent);
void aicps_span_child(
    aicps_process *p, const aicps_span *parent, aicps_span *span, const char *name);
/* "00-<trace>-<span>-01" for calls to other services. */
void aicps_span_header(const aicps_span *span, char out[56]);
void aicps_span_end(
    aicps_process *p, aicps_span *span, const aicps_log_field *attributes, size_t count);

/* A call to another service by the thread that handles a request: a child of the request's span (a
 * trace of its own outside of one). `header` is the traceparent to send with it; false: send none.
 * The name must live until the end. `status` 0: there was no answer; `more`: attributes, at most
 * AICPS_CALL_FIELDS. */
#define AICPS_CALL_FIELDS 8
bool aicps_call_begin(aicps_process *p, aicps_span *span, const char *name, char header[56]);
void aicps_call_end(
    aicps_process *p, aicps_span *span, int32_t status, const aicps_log_field *more, size_t count);
/* For aicp_litellm_options.trace: all calls of the client join the traces like that. */
aicp_litellm_trace aicps_litellm_trace(aicps_process *process);

/* /health, /healthz, /ready, /metrics are answered by the process before the service's handler, on
 * the I/O thread, also while draining. Each check has a thread that runs it every second while
 * /ready is asked, else every 5 s; /ready gives the last results, 200 or 503 {"status": "ready" |
 * "not_ready" | "starting" | "draining", "checks": {name: "ok" or the reason}}. A check that has no
 * answer after 2 s counts as failed. Register in `open`; the reason is seen by whoever may call. */
void aicps_ready_check(
    aicps_process *p, const char *name, aicp_status (*fn)(void *user, aicp_error *err), void *user);

#endif
