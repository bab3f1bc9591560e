/* From the command line to the end: read aicps_process_main from below. */
#include "services/common/process/process_internal.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define SET_MAX 64
#define AFTER_DRAIN_MS 10000 /* for handlers that do not look at their deadline */

typedef struct arguments {
    const char *config;
    bool check_config;
    const char *sets[SET_MAX];
    size_t set_count;
} arguments;

typedef struct run {
    const aicps_service *service;
    aicps_process *process;
    aicps_config config;
    aicps_common common;
    void *settings; /* the service's */
    aicps_setting common_table[AICPS_COMMON_SETTINGS];
    char port_env[80];
    aicps_http_options http;
    aicps_http_server *server;
    void *state;
    int done_fd; /* readable when the drain is over */
} run;

uint64_t aicps_now_ns(void) {
    aicp_clock clock = aicpi_clock(NULL);
    return aicpi_monotonic_ns(&clock);
}

int64_t aicps_wall_ns(void) {
    aicp_clock clock = aicpi_clock(NULL);
    return aicpi_wall_ns(&clock);
}

aicp_status aicps_process_new(const char *name, aicps_process **out, aicp_error *err) {
    *out = NULL;
    aicps_process *p = aicpi_calloc(AICPS_HEAP, 1, sizeof *p);
    if (!p) {
        return aicpi_nomem(err);
    }
    p->name = name;
    p->log_fd = STDERR_FILENO;
    p->log_level = AICP_LOG_INFO;
    (void)pthread_mutex_init(&p->log_mutex, NULL);
    p->registry = aicps_registry_new();
    p->standard = p->registry ? aicps_standard_new(p) : NULL;
    if (!p->standard || aicps_health_new(p, &p->health) != AICP_OK) {
        aicps_process_free(p);
        return aicpi_nomem(err);
    }
    *out = p;
    return AICP_OK;
}

void aicps_process_free(aicps_process *p) {
    if (p) {
        aicps_tracer_free(p->tracer);
        aicps_health_free(p->health);
        aicps_standard_free(p->standard);
        aicps_registry_free(p->registry);
        (void)pthread_mutex_destroy(&p->log_mutex);
        aicpi_free(AICPS_HEAP, p);
    }
}

const char *aicps_process_name(const aicps_process *process) {
    return process->name;
}

/* ---- command line ---- */

static void put_usage(FILE *to, const aicps_service *s) {
    (void)fprintf(
        to,
        "Usage: %s [--config FILE] [--set NAME=VALUE]... [--check-config]\n"
        "       %s --help | --version\n",
        s->name,
        s->name);
}

static int wrong_usage(const aicps_service *s, const char *argument, const char *what) {
    (void)fprintf(stderr, "%s: %s %s\n", s->name, argument, what);
    put_usage(stderr, s);
    return EXIT_USAGE;
}

/* Whether it is this option: "--name value" or "--name=value". A value of NULL: it is missing. */
static bool option(int argc, char **argv, int *i, const char *name, const char **value) {
    size_t len = strlen(name);
    const char *given = argv[*i];
    if (strncmp(given, name, len) != 0 || (given[len] != '=' && given[len] != '\0')) {
        return false;
    }
    if (given[len] == '=') {
        *value = given + len + 1;
    } else {
        *value = *i + 1 < argc ? argv[++*i] : NULL;
    }
    return true;
}

/* -1: go on; else the exit status. */
static int
read_arguments(const aicps_service *s, int argc, char **argv, arguments *out, bool *help) {
    *out = (arguments){.config = getenv("AICP_CONFIG")};
    for (int i = 1; i < argc; i++) {
        const char *given = argv[i];
        const char *value = NULL;
        bool config = option(argc, argv, &i, "--config", &value);
        bool set = !config && option(argc, argv, &i, "--set", &value);
        if ((config || set) && !value) {
            return wrong_usage(s, given, "needs a value");
        }
        if (config) {
            out->config = value;
        } else if (set && out->set_count < SET_MAX) {
            out->sets[out->set_count++] = value;
        } else if (strcmp(given, "--check-config") == 0) {
            out->check_config = true;
        } else if (strcmp(given, "--help") == 0 || strcmp(given, "-h") == 0) {
            *help = true;
        } else if (strcmp(given, "--version") == 0) {
            (void)printf("%s %s\n", s->name, aicp_version());
            return 0;
        } else {
            return wrong_usage(s, given, "is not an option that can be used here");
        }
    }
    if (out->config && !*out->config) {
        out->config = NULL;
    }
    return -1;
}

static int print(aicpi_strbuf *text) {
    int status = 0;
    if (text->failed || fwrite(text->data, 1, text->len, stdout) != text->len ||
        fflush(stdout) != 0) {
        status = EXIT_FAILED;
    }
    aicpi_strbuf_deinit(text);
    return status;
}

static int print_help(const run *r) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, (size_t)1 << 20);
    put_usage(stdout, r->service);
    aicpi_strbuf_printf(&text, "\n%s\n", r->service->summary ? r->service->summary : "");
    aicpi_strbuf_puts(
        &text,
        "\nSettings come from the command line (--set), the environment, the YAML file (--config "
        "or\n"
        "AICP_CONFIG; dots in names are sections) and the defaults, in this order. Secrets are "
        "read\n"
        "from a file when its name is in the variable with _FILE.\n");
    aicps_config_help(&r->config, &text);
    return print(&text);
}

/* ---- configuration ---- */

static bool open_config(run *r, aicp_error *err) {
    const aicps_service *s = r->service;
    r->settings = aicpi_calloc(AICPS_HEAP, 1, s->settings_size + 1);
    size_t count = aicps_common_table(s, r->common_table, r->port_env);
    aicps_table tables[2] = {
        {s->settings, s->setting_count, r->settings}, {r->common_table, count, &r->common}};
    if (!r->settings) {
        return aicpi_nomem(err) == AICP_OK;
    }
    aicp_status status = aicps_config_init(&r->config, NULL, tables, err);
    if (status != AICP_OK) {
        aicpi_free(AICPS_HEAP, r->settings);
    }
    return status == AICP_OK;
}

static void check_common(run *r) {
    const char *text = r->common.otel_sampler_arg;
    char *end = NULL;
    double ratio = strtod(text, &end);
    if (end == text || *end != '\0' || !(ratio >= 0 && ratio <= 1)) {
        aicps_config_problem(
            &r->config, NULL, "otel.sampler_arg: \"%s\" is not a number from 0 to 1", text);
    }
}

/* -1: go on; else the exit status. */
static int read_config(run *r, const arguments *a) {
    aicps_config *c = &r->config;
    if (a->config) {
        aicps_config_file(c, a->config);
    }
    aicps_config_environment(c, (const char *const *)environ);
    for (size_t i = 0; i < a->set_count; i++) {
        aicps_config_argument(c, a->sets[i]);
    }
    aicps_config_finish(c);
    check_common(r);
    /* Rules over several settings make no sense while single ones are wrong. */
    aicp_error err = {0};
    if (c->problem_count == 0 && r->service->check &&
        r->service->check(r->settings, &err) != AICP_OK) {
        aicps_config_problem(c, NULL, "%s", err.message);
    }
    if (c->problem_count > 0) {
        (void)fprintf(
            stderr,
            "%s: the configuration has %zu mistake%s:\n%s",
            r->service->name,
            c->problem_count,
            c->problem_count == 1 ? "" : "s",
            c->problems.data ? c->problems.data : "out of memory\n");
        return EXIT_USAGE;
    }
    if (a->check_config) {
        aicpi_strbuf text;
        aicpi_strbuf_init(&text, NULL, (size_t)4 << 20);
        aicps_config_show(c, &text);
        aicpi_strbuf_puts(&text, "configuration is valid\n");
        return print(&text);
    }
    return -1;
}

/* What the service left open comes from the settings. */
static void fill_http(run *r) {
    const aicps_common *c = &r->common;
    aicps_http_options *h = &r->http;
    h->address = c->address;
    h->port = (uint16_t)c->port;
    h->io_threads = (uint32_t)c->io_threads;
    h->workers = (uint32_t)c->workers;
    h->queue_max = (uint32_t)c->queue_max;
    h->connections_max = (uint32_t)c->connections_max;
    h->per_ip_max = (uint32_t)c->per_ip_max;
    h->header_max = (size_t)c->header_max;
    h->body_max = (size_t)c->body_max;
    h->header_timeout_ms = (uint64_t)c->header_timeout_ms;
    h->body_timeout_ms = (uint64_t)c->body_timeout_ms;
    h->idle_timeout_ms = (uint64_t)c->idle_timeout_ms;
    h->handler_timeout_ms = (uint64_t)c->handler_timeout_ms;
    h->trusted_proxies = c->trusted_proxies;
}

static aicp_status open_traces(run *r, aicp_error *err) {
    const aicps_common *c = &r->common;
    char url[2048];
    aicps_trace_options o = {
        .headers = c->otel_headers,
        .service = c->otel_service_name ? c->otel_service_name : r->service->name,
        .resource = c->otel_resource,
        .sampler = c->otel_sampler,
        .ratio = strtod(c->otel_sampler_arg, NULL),
        .timeout_ms = (uint64_t)c->otel_timeout_ms};
    if (!c->otel_disabled && c->otel_traces_endpoint) {
        o.endpoint = c->otel_traces_endpoint;
    } else if (!c->otel_disabled && c->otel_endpoint) {
        const char *base = c->otel_endpoint;
        size_t len = strlen(base);
        bool slash = len > 0 && base[len - 1] == '/';
        int n = snprintf(url, sizeof url, "%s%sv1/traces", base, slash ? "" : "/");
        if (n < 0 || (size_t)n >= sizeof url) {
            return aicpi_fail(err, AICP_ERR_INVALID, "otel.endpoint: is too long");
        }
        o.endpoint = url;
    }
    if (o.endpoint && strstr(o.endpoint, ":4317")) {
        aicps_log(
            r->process,
            AICP_LOG_WARN,
            "port 4317 of a collector usually speaks gRPC; traces go by HTTP, usually port 4318",
            NULL,
            0);
    }
    return aicps_tracer_new(r->process, &o, &r->process->tracer, err);
}

/* ---- running ---- */

static void log_failure(run *r, const char *message, const aicp_error *err) {
    aicps_log_field f = {.name = "reason", .text = err->message};
    aicps_log(r->process, AICP_LOG_ERROR, message, &f, 1);
}

static void log_listening(run *r) {
    aicps_log_field f[] = {
        {.name = "address", .text = r->common.address},
        {.name = "port", .number = aicps_http_port(r->server)},
        {.name = "version", .text = aicp_version()}};
    aicps_log(r->process, AICP_LOG_INFO, "listening", f, 3);
}

static void *drain_thread(void *user) {
    run *r = user;
    if (r->service->stopping) {
        r->service->stopping(r->state);
    }
    aicps_http_drain(r->server, (uint64_t)r->common.shutdown_timeout_ms);
    aicps_http_stats left = {0};
    aicps_http_stats_get(r->server, &left);
    if (left.active + left.queued > 0) {
        aicps_log_field f = {.name = "requests", .number = (int64_t)(left.active + left.queued)};
        aicps_log(r->process, AICP_LOG_WARN, "time to stop is over, requests still run", &f, 1);
    }
    aicps_http_free(r->server); /* waits for their handlers */
    uint64_t one = 1;
    (void)!write(r->done_fd, &one, sizeof one);
    return NULL;
}

/* Waits until `fd` is readable, at most `limit_ms` (0 = for ever), and feeds the watchdog. */
static bool wait_for(int fd, uint64_t limit_ms) {
    uint64_t interval = aicps_notify_interval_ms();
    uint64_t start = aicps_now_ns();
    for (;;) {
        uint64_t passed = (aicps_now_ns() - start) / 1000000;
        if (limit_ms > 0 && passed >= limit_ms) {
            return false;
        }
        uint64_t wait = limit_ms > 0 ? limit_ms - passed : (uint64_t)3600000;
        wait = interval > 0 && interval < wait ? interval : wait;
        wait = wait > 3600000 ? 3600000 : wait;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, (int)wait);
        if (n > 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            return true;
        }
        if (interval > 0) {
            aicps_notify("WATCHDOG=1");
        }
    }
}

/* Stops taking requests and lets the running ones end. False: they did not, even long after. */
static bool drain(run *r) {
    pthread_t thread;
    uint64_t grace = (uint64_t)r->common.shutdown_timeout_ms;
    atomic_store(&r->process->draining, true);
    aicps_log(r->process, AICP_LOG_INFO, "stopping", NULL, 0);
    aicps_notify("STOPPING=1");
    r->done_fd = eventfd(0, EFD_CLOEXEC);
    if (r->done_fd < 0 || pthread_create(&thread, NULL, drain_thread, r) != 0) {
        return false;
    }
    bool done = wait_for(r->done_fd, grace + AFTER_DRAIN_MS);
    if (done) {
        (void)pthread_join(thread, NULL);
        (void)close(r->done_fd);
    }
    return done;
}

static bool serve(run *r, int signals, aicp_error *err) {
    aicp_status status = aicps_http_start(&r->http, &r->server, err);
    if (status != AICP_OK) {
        return false;
    }
    r->process->server = r->server;
    if (r->service->started) {
        status = r->service->started(r->state, r->server, err);
    }
    if (status == AICP_OK) {
        status = aicps_health_start(r->process->health, err);
    }
    if (status != AICP_OK) {
        return false;
    }
    atomic_store(&r->process->listening, true);
    log_listening(r);
    aicps_notify("READY=1");
    (void)wait_for(signals, 0);
    return true;
}

static int run_service(run *r) {
    aicp_error err = {0};
    int status = EXIT_FAILED;
    if (r->service->open(r->process, r->settings, &r->http, &r->state, &err) != AICP_OK) {
        log_failure(r, "cannot start", &err);
        return status;
    }
    fill_http(r);
    aicps_door_wrap(r->process, &r->http);
    int signals = aicps_signals_open();
    if (signals < 0) {
        (void)aicpi_fail(&err, AICP_ERR_IO, "no file descriptor left");
    } else if (serve(r, signals, &err)) {
        status = 0;
    }
    if (status != 0) {
        log_failure(r, "cannot start", &err);
    }
    if (r->server && !drain(r)) {
        aicps_log(r->process, AICP_LOG_ERROR, "requests did not end; giving up", NULL, 0);
        _exit(EXIT_FAILED); /* their threads still use everything */
    }
    atomic_store(&r->process->listening, false);
    aicps_health_stop(r->process->health);
    if (r->service->close) {
        r->service->close(r->state);
    }
    aicps_signals_close();
    return status;
}

static int run_process(run *r) {
    aicp_error err = {0};
    if (aicps_process_new(r->service->name, &r->process, &err) != AICP_OK) {
        (void)fprintf(stderr, "%s: %s\n", r->service->name, err.message);
        return EXIT_FAILED;
    }
    aicps_log_options(r->process, r->common.log_level, r->common.log_format);
    int status = EXIT_FAILED;
    if (open_traces(r, &err) != AICP_OK) {
        log_failure(r, "cannot start", &err);
    } else {
        status = run_service(r);
    }
    /* The last spans leave before the last line. */
    aicps_tracer_free(r->process->tracer);
    r->process->tracer = NULL;
    aicps_log(r->process, AICP_LOG_INFO, status == 0 ? "stopped" : "failed", NULL, 0);
    aicps_process_free(r->process);
    return status;
}

int aicps_process_main(const aicps_service *service, int argc, char **argv) {
    arguments a;
    bool help = false;
    int status = read_arguments(service, argc, argv, &a, &help);
    if (status >= 0) {
        return status;
    }
    aicp_error err = {0};
    run r = {.service = service, .done_fd = -1};
    if (!open_config(&r, &err)) {
        (void)fprintf(stderr, "%s: %s\n", service->name, err.message);
        return EXIT_FAILED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    status = help ? print_help(&r) : read_config(&r, &a);
    if (status < 0) {
        status = run_process(&r);
    }
    aicps_config_deinit(&r.config);
    aicpi_free(AICPS_HEAP, r.settings);
    return status;
}
