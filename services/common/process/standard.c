/* The metrics that every service has. */
#include "services/common/process/process_internal.h"

#include "lib/base/clock.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct aicps_standard {
    aicps_process *process;
    aicps_metric *requests;
    aicps_metric *duration;
    aicps_metric *in_flight;
    aicps_metric *queued;
    aicps_metric *connections;
    aicps_metric *rejected;
    aicps_metric *cpu;
    aicps_metric *rss;
    aicps_metric *vsize;
    aicps_metric *fds;
    aicps_metric *max_fds;
    aicps_metric *spans;
};

const char *aicps_standard_method(aicpi_slice method) {
    static const char *const names[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (aicpi_slice_is(method, names[i])) {
            return names[i];
        }
    }
    return "other";
}

void aicps_standard_request(aicps_process *p, const aicps_http_request *request, int32_t status) {
    static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    aicps_standard *s = p->standard;
    if (!s) {
        return;
    }
    int32_t class = status / 100;
    const char *route = request->route ? request->route : "";
    if (aicps_health_is_path(request->path)) {
        route = "process"; /* one series for them all */
    }
    const char *values[] = {
        aicps_standard_method(request->method),
        route,
        classes[class >= 1 && class <= 5 ? class : 0]};
    uint64_t now = aicps_now_ns();
    uint64_t took =
        request->started_ns && now > request->started_ns ? now - request->started_ns : 0;
    aicps_metric_add(s->requests, values, 1);
    aicps_metric_observe(s->duration, values, (double)took / (double)AICPI_SECOND_NS);
}

static double open_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    double count = 0;
    const struct dirent *entry = NULL;
    while (dir && (entry = readdir(dir))) {
        count += entry->d_name[0] == '.' ? 0 : 1;
    }
    if (dir) {
        (void)closedir(dir);
        count -= 1; /* the directory's own */
    }
    return count;
}

static void read_memory(const aicps_standard *s) {
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) {
        (void)fclose(file);
    }
    text[n] = '\0';
    char *end = NULL;
    double page = (double)sysconf(_SC_PAGESIZE);
    double pages = strtod(text, &end);
    aicps_metric_set(s->vsize, NULL, pages * page);
    aicps_metric_set(s->rss, NULL, strtod(end, NULL) * page);
}

static double seconds_of(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void on_scrape(void *user) {
    const aicps_standard *s = user;
    struct rusage usage;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        aicps_metric_set(s->cpu, NULL, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        aicps_metric_set(s->max_fds, NULL, (double)limit.rlim_cur);
    }
    aicps_metric_set(s->fds, NULL, open_fds());
    read_memory(s);
    if (atomic_load(&s->process->listening)) {
        aicps_http_stats stats = {0};
        aicps_http_stats_get(s->process->server, &stats);
        aicps_metric_set(s->in_flight, NULL, (double)stats.active);
        aicps_metric_set(s->queued, NULL, (double)stats.queued);
        aicps_metric_set(s->connections, NULL, (double)stats.connections);
        aicps_metric_set(s->rejected, NULL, (double)stats.rejected);
    }
    uint64_t sent = 0;
    uint64_t dropped = 0;
    aicps_tracer_counts(s->process->tracer, &sent, &dropped);
    aicps_metric_set(s->spans, (const char *[]){"sent"}, (double)sent);
    aicps_metric_set(s->spans, (const char *[]){"dropped"}, (double)dropped);
}

aicps_standard *aicps_standard_new(aicps_process *p) {
    aicps_standard *s = aicpi_calloc(AICPS_HEAP, 1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->process = p;
    const char *request = "method,route,status";
    s->requests = aicps_counter(p, "http_requests_total", request, "HTTP requests answered.");
    s->duration = aicps_histogram(
        p,
        "http_request_duration_seconds",
        request,
        "Time from a request's first byte to the end of its answer.",
        NULL,
        0);
    s->in_flight = aicps_gauge(p, "http_requests_in_flight", NULL, "Requests in a handler now.");
    s->queued = aicps_gauge(p, "http_requests_queued", NULL, "Requests waiting for a worker now.");
    s->connections = aicps_gauge(p, "http_connections", NULL, "Connections open now.");
    s->rejected = aicps_counter(
        p, "http_requests_rejected_total", NULL, "Requests that the server refused by itself.");
    s->cpu = aicps_counter(p, "process_cpu_seconds_total", NULL, "CPU time, user and system.");
    s->rss = aicps_gauge(p, "process_resident_memory_bytes", NULL, "Resident memory.");
    s->vsize = aicps_gauge(p, "process_virtual_memory_bytes", NULL, "Virtual memory.");
    s->fds = aicps_gauge(p, "process_open_fds", NULL, "Open file descriptors.");
    s->max_fds = aicps_gauge(p, "process_max_fds", NULL, "Most open file descriptors.");
    s->spans = aicps_counter(p, "trace_spans_total", "result", "Spans handed to the collector.");
    aicps_metric *start = aicps_gauge(
        p, "process_start_time_seconds", NULL, "When the process started, in Unix time.");
    aicps_metric_set(start, NULL, (double)aicps_wall_ns() / (double)AICPI_SECOND_NS);
    aicps_metric *build =
        aicps_gauge(p, "build_info", "service,version", "Always 1; says what runs.");
    aicps_metric_set(build, (const char *[]){p->name, aicp_version()}, 1);
    aicps_metrics_on_scrape(p, on_scrape, s);
    return s;
}

void aicps_standard_free(aicps_standard *s) {
    aicpi_free(AICPS_HEAP, s);
}
