/* What the parts of a process share. */
#ifndef AICPS_PROCESS_PROCESS_INTERNAL_H
#define AICPS_PROCESS_PROCESS_INTERNAL_H

#include "services/common/process/config.h"
#include "services/common/process/process.h"

#include <pthread.h>
#include <stdatomic.h>

/* libc's heap: a process has no allocator of its own. */
#define AICPS_HEAP ((const aicp_allocator[]){aicpi_allocator(NULL)})

uint64_t aicps_now_ns(void); /* monotonic */
int64_t aicps_wall_ns(void);

/* Settings of every service. */
typedef struct aicps_common {
    const char *address;
    int64_t port;
    int64_t io_threads;
    int64_t workers;
    int64_t queue_max;
    int64_t connections_max;
    int64_t per_ip_max;
    int64_t header_max;
    int64_t body_max;
    int64_t header_timeout_ms;
    int64_t body_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t handler_timeout_ms;
    int64_t shutdown_timeout_ms;
    const char *const *trusted_proxies;
    const char *log_level;
    const char *log_format;
    const char *otel_endpoint;
    const char *otel_traces_endpoint;
    const char *otel_headers;
    const char *otel_sampler;
    const char *otel_sampler_arg;
    const char *otel_service_name;
    const char *otel_resource;
    int64_t otel_timeout_ms;
    bool otel_disabled;
} aicps_common;

#define AICPS_COMMON_SETTINGS 32
/* Fills `out` with the common settings, as this service has them; returns how many. `port_env` (80
 * bytes) gets the names of the port's variables. */
size_t aicps_common_table(
    const aicps_service *service, aicps_setting out[AICPS_COMMON_SETTINGS], char port_env[80]);

typedef struct aicps_health aicps_health;
typedef struct aicps_registry aicps_registry;
typedef struct aicps_tracer aicps_tracer;
typedef struct aicps_standard aicps_standard;

struct aicps_process {
    const char *name;
    int log_fd;
    int32_t log_level;
    bool log_text;
    pthread_mutex_t log_mutex;
    aicps_health *health;
    aicps_registry *registry;
    aicps_tracer *tracer;
    aicps_standard *standard;   /* metrics of every service */
    aicps_http_options service; /* what the service asked for */
    aicps_http_server *server;  /* NULL before it listens */
    atomic_bool listening;
    atomic_bool draining;
};

void aicps_log_options(aicps_process *p, const char *level, const char *format);

/* ---- door.c: between the server and the service's handler ---- */
/* Puts the process between: moves the hooks to p->service and sets its own. */
void aicps_door_wrap(aicps_process *p, aicps_http_options *http);

/* ---- health.c ---- */
aicp_status aicps_health_new(aicps_process *p, aicps_health **out);
aicp_status aicps_health_start(aicps_health *h, aicp_error *err); /* the threads of the checks */
void aicps_health_stop(aicps_health *h);
void aicps_health_free(aicps_health *h);
bool aicps_health_is_path(aicpi_slice path);
/* True: it was a request for the process itself, and is answered. */
bool aicps_health_answer(
    aicps_process *p, const aicps_http_request *request, aicps_http_response *response);

/* ---- metrics.c, standard.c ---- */
#define AICPS_METRIC_SERIES_MAX 1000
aicps_registry *aicps_registry_new(void);
void aicps_registry_free(aicps_registry *r);
/* Registers the metrics of every service. */
aicps_standard *aicps_standard_new(aicps_process *p);
void aicps_standard_free(aicps_standard *s);
void aicps_standard_request(aicps_process *p, const aicps_http_request *request, int32_t status);
/* The method as a label: what is not one of the usual ones is "other". */
const char *aicps_standard_method(aicpi_slice method);

/* ---- traceparent.c, trace.c, export.c ---- */
typedef struct aicps_trace_options {
    const char *endpoint; /* whole URL; NULL = nothing is sent */
    const char *headers;  /* "name=value,name=value"; may be NULL */
    const char *service;
    const char *resource; /* the same form; may be NULL */
    const char *sampler;  /* NULL = "parentbased_always_on" */
    double ratio;
    uint64_t timeout_ms;
} aicps_trace_options;
aicp_status aicps_tracer_new(
    aicps_process *p, const aicps_trace_options *o, aicps_tracer **out, aicp_error *err);
/* Sends what is left (one try) and ends. */
void aicps_tracer_free(aicps_tracer *t);
bool aicps_tracer_is_on(const aicps_tracer *t);
/* Takes a finished span, one JSON object of OTLP; counts it as dropped when there is no room. */
void aicps_tracer_put(aicps_tracer *t, const char *json, size_t len);
bool aicps_tracer_samples(const aicps_tracer *t, const aicps_span *span, bool has_parent);
void aicps_tracer_counts(const aicps_tracer *t, uint64_t *sent, uint64_t *dropped);
typedef struct aicps_traceparent {
    char trace_id[33];
    char parent_id[17];
    bool sampled;
} aicps_traceparent;
bool aicps_traceparent_parse(aicpi_slice text, aicps_traceparent *out);

/* ---- notify.c: systemd's protocol ---- */
void aicps_notify(const char *state);
/* How often to send WATCHDOG=1; 0 = never. */
uint64_t aicps_notify_interval_ms(void);

/* ---- signals.c ---- */
/* From now on the first SIGTERM or SIGINT makes the returned descriptor readable and the second
 * ends the process with status 1. -1: no descriptor left. */
int aicps_signals_open(void);
void aicps_signals_close(void);

#endif
