/* A whole service: started in a child process by its command line, asked over HTTP, stopped by
 * signals. */
#include "service_process.h"

#include "tests/unit/net/http_server.h"

#include <criterion/criterion.h>
#include <json-c/json.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SECRET "hush-hush-hush"

Test(service, health_answers_and_access_is_logged) {
    child c;
    child_start(&c, NULL, NULL);
    answer a = get(&c, "/health");
    cr_assert_eq(a.status, 200);
    cr_assert_str_eq(a.body, "{\"status\":\"ok\"}");
    cr_assert_eq(get(&c, "/healthz").status, 200);
    cr_assert_eq(request(&c, "POST /health", "").status, 405);
    a = request(
        &c, "GET /hello/world?token=" SECRET, "X-Request-Id: r-1\r\nAuthorization: " SECRET "\r\n");
    cr_assert_eq(a.status, 200);
    cr_assert_str_eq(a.body, "{\"hello\":1}");
    cr_assert_eq(child_stop(&c, SIGTERM), 0);
    const char *line = strstr(c.log, "\"message\":\"request\"");
    cr_assert(line, "%s", c.log);
    cr_assert(strstr(line, "\"request_id\":\"r-1\""), "%s", c.log);
    cr_assert(strstr(line, "\"method\":\"GET\",\"route\":\"/hello/{name}\",\"status\":200,"));
    cr_assert(strstr(line, "\"bytes\":11,\"client_ip\":\"127.0.0.1\",\"who\":\"ann\"}\n"));
    cr_assert(strstr(c.log, "\"message\":\"inside\",\"request_id\":\"r-1\",\"trace_id\":\""));
    cr_assert_null(strstr(c.log, SECRET));
    cr_assert_null(strstr(c.log, "world"));
    cr_assert_null(strstr(c.log, "\"route\":\"process\""), "health is not logged at info");
}

Test(service, a_long_poll_keeps_its_trace) {
    child c;
    child_start(&c, NULL, NULL);
    answer a = request(
        &c,
        "GET /poll",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
    cr_assert_str_eq(a.body, "{\"polled\":1}");
    cr_assert_eq(child_stop(&c, SIGTERM), 0);
    cr_assert(strstr(c.log, "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\""), "%s", c.log);
}

Test(service, readiness_follows_its_checks) {
    char flag[] = "/tmp/aicp_ready_XXXXXX";
    close(mkstemp(flag));
    const char *environment[] = {"READY_FILE", flag, NULL};
    child c;
    child_start(&c, environment, NULL);
    answer a = get(&c, "/ready");
    while (strstr(a.body, "not checked yet")) {
        a = get(&c, "/ready");
    }
    cr_assert_eq(a.status, 200, "%s", a.body);
    cr_assert_str_eq(a.body, "{\"status\":\"ready\",\"checks\":{\"flag\":\"ok\"}}");
    unlink(flag);
    while (a.status == 200) {
        a = get(&c, "/ready");
    }
    cr_assert_eq(a.status, 503);
    cr_assert_str_eq(
        a.body, "{\"status\":\"not_ready\",\"checks\":{\"flag\":\"the flag is \\\"gone\\\"\"}}");
    cr_assert_eq(child_stop(&c, SIGINT), 0);
    cr_assert(strstr(c.log, "\"message\":\"readiness check fails\",\"check\":\"flag\""));
}

Test(service, metrics_count_requests_by_route_method_and_class) {
    child c;
    child_start(&c, NULL, NULL);
    get(&c, "/hello/a");
    get(&c, "/hello/b");
    get(&c, "/nowhere");
    answer a = get(&c, "/metrics");
    cr_assert_eq(a.status, 200);
    cr_assert(strcasestr(a.head, "content-type: text/plain; version=0.0.4; charset=utf-8"));
    cr_assert(
        strstr(
            a.body,
            "http_requests_total{method=\"GET\",route=\"/hello/{name}\",status=\"2xx\"} 2\n"),
        "%s",
        a.body);
    cr_assert(strstr(a.body, "http_requests_total{method=\"GET\",route=\"\",status=\"4xx\"} 1\n"));
    cr_assert(strstr(
        a.body,
        "http_request_duration_seconds_count{method=\"GET\",route=\"/hello/{name}\","
        "status=\"2xx\"} 2\n"));
    cr_assert(strstr(a.body, "\nhttp_requests_in_flight "));
    cr_assert(strstr(a.body, "\nhttp_requests_rejected_total 0\n"));
    cr_assert_eq(child_stop(&c, SIGTERM), 0);
}

Test(service, a_running_request_ends_before_the_service_does) {
    child c;
    child_start(&c, NULL, NULL);
    int slow = request_send(&c, "GET /slow", "");
    child_wait_for(&c, "\"message\":\"slow begins\"");
    kill(c.pid, SIGTERM);
    child_wait_for(&c, "\"message\":\"stopping\"");
    child_release(&c);
    answer a = request_read(slow);
    cr_assert_eq(a.status, 200);
    cr_assert_str_eq(a.body, "{\"slow\":1}");
    cr_assert_eq(child_end(&c), 0);
    cr_assert(strstr(c.log, "\"message\":\"stopped\""));
    cr_assert(strstr(c.log, "\"message\":\"close hook\""));
}

Test(service, a_second_signal_ends_at_once) {
    child c;
    child_start(&c, NULL, NULL);
    int slow = request_send(&c, "GET /slow", "");
    child_wait_for(&c, "\"message\":\"slow begins\"");
    kill(c.pid, SIGTERM);
    child_wait_for(&c, "\"message\":\"stopping\"");
    kill(c.pid, SIGTERM);
    cr_assert_eq(child_end(&c), 1);
    close(slow);
}

Test(service, a_request_that_outlasts_the_time_to_stop_is_told) {
    const char *environment[] = {"SHUTDOWN_TIMEOUT_SECONDS", "0", NULL};
    child c;
    child_start(&c, environment, NULL);
    int slow = request_send(&c, "GET /slow", "");
    child_wait_for(&c, "\"message\":\"slow begins\"");
    kill(c.pid, SIGTERM);
    child_wait_for(&c, "\"message\":\"time to stop is over, requests still run\",\"requests\":1");
    child_release(&c);
    cr_assert_eq(child_end(&c), 0);
    close(slow);
}

Test(service, while_stopping_health_answers_and_readiness_is_gone) {
    child c;
    child_start(&c, NULL, NULL);
    /* Connections from before; each is closed with its answer from then on. */
    int first = connect_to(&c);
    int second = connect_to(&c);
    cr_assert_eq(ask_on(second, "GET /health").status, 200);
    answer a = ask_on(first, "GET /ready");
    cr_assert_eq(a.status, 200, "%s", a.body);
    int slow = request_send(&c, "GET /slow", "");
    child_wait_for(&c, "\"message\":\"slow begins\"");
    kill(c.pid, SIGTERM);
    child_wait_for(&c, "\"message\":\"stopping\"");
    a = ask_on(first, "GET /ready");
    cr_assert_eq(a.status, 503);
    cr_assert_str_eq(a.body, "{\"status\":\"draining\",\"checks\":{}}");
    cr_assert_eq(ask_on(second, "GET /health").status, 200);
    child_release(&c);
    cr_assert_eq(request_read(slow).status, 200);
    close(first);
    close(second);
    cr_assert_eq(child_end(&c), 0);
}

Test(service, systemd_is_told) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/aicp_notify_XXXXXX";
    cr_assert(mkdtemp(folder));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    const char *environment[] = {"NOTIFY_SOCKET", at.sun_path, "WATCHDOG_USEC", "20000", NULL};
    child c;
    child_start(&c, environment, NULL);
    char text[64] = "";
    cr_assert_eq(recv(fd, text, sizeof text - 1, 0), 7);
    cr_assert_str_eq(text, "READY=1");
    memset(text, 0, sizeof text);
    cr_assert_gt(recv(fd, text, sizeof text - 1, 0), 0);
    cr_assert_str_eq(text, "WATCHDOG=1");
    cr_assert_eq(child_stop(&c, SIGTERM), 0);
    while (strcmp(text, "STOPPING=1") != 0) {
        memset(text, 0, sizeof text);
        cr_assert_gt(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 0);
    }
    close(fd);
    unlink(at.sun_path);
    rmdir(folder);
}

static char sent[60000];   /* to the collector */
static char onward[60000]; /* head of what was asked of LiteLLM */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Collector and LiteLLM in one. */
static void collect(void *user, const http_request *r, http_connection *connection) {
    (void)user;
    bool is_trace = strcmp(r->target, "/v1/traces") == 0;
    pthread_mutex_lock(&lock);
    if (is_trace) {
        snprintf(sent, sizeof sent, "%s", r->body);
    } else {
        snprintf(onward, sizeof onward, "%s", r->head);
    }
    pthread_mutex_unlock(&lock);
    http_reply(connection, 200, "content-type: application/json\r\n", "{\"data\":[]}");
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define FROM_CALLER "traceparent: 00-" TRACE "-b7ad6b7169203331-01"

Test(service, spans_of_requests_and_their_calls_join_the_callers_trace) {
    char url[60];
    http_server *server = http_server_start(collect, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", http_server_port(server));
    const char *environment[] = {"OTEL_EXPORTER_OTLP_ENDPOINT", url, "LITELLM_URL", url, NULL};
    child c;
    child_start(&c, environment, NULL);
    cr_assert_eq(request(&c, "GET /hello/x", FROM_CALLER "\r\n").status, 200);
    cr_assert_eq(child_stop(&c, SIGTERM), 0);
    http_server_stop(server);
    const char *header = strcasestr(onward, "traceparent: 00-" TRACE "-");
    cr_assert(header, "%s", onward);
    char call[17] = "";
    memcpy(call, header + strlen("traceparent: 00-" TRACE "-"), 16);
    json_object *all = json_tokener_parse(sent);
    json_object *list = NULL;
    cr_assert_eq(
        json_pointer_get(all, "/resourceSpans/0/scopeSpans/0/spans", &list), 0, "%s", sent);
    cr_assert_eq(json_object_array_length(list), 2, "%s", sent);
    json_object *inner = json_object_array_get_idx(list, 0);
    json_object *outer = json_object_array_get_idx(list, 1);
    json_object *kind = json_object_object_get(inner, "kind");
    json_object *name = json_object_object_get(outer, "name");
    json_object *parent = json_object_object_get(inner, "parentSpanId");
    cr_assert_str_eq(json_object_get_string(json_object_object_get(inner, "spanId")), call);
    cr_assert_eq(json_object_get_int(kind), 3);
    cr_assert_str_eq(
        json_object_get_string(parent),
        json_object_get_string(json_object_object_get(outer, "spanId")));
    cr_assert_str_eq(json_object_get_string(name), "GET /hello/{name}");
    cr_assert(strstr(sent, "\"parentSpanId\":\"b7ad6b7169203331\""));
    cr_assert(strstr(sent, "{\"key\":\"peer.service\",\"value\":{\"stringValue\":\"litellm\"}}"));
    cr_assert(
        strstr(sent, "{\"key\":\"http.route\",\"value\":{\"stringValue\":\"/hello/{name}\"}}"));
    json_object_put(all);
}

Test(service, without_a_collector_calls_carry_the_callers_context_or_none) {
    char url[60];
    http_server *server = http_server_start(collect, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", http_server_port(server));
    const char *environment[] = {"LITELLM_URL", url, NULL};
    child c;
    child_start(&c, environment, NULL);
    cr_assert_eq(request(&c, "GET /hello/x", FROM_CALLER "\r\n").status, 200);
    cr_assert(strcasestr(onward, FROM_CALLER), "%s", onward);
    cr_assert_eq(get(&c, "/hello/x").status, 200);
    cr_assert_null(strcasestr(onward, "traceparent"), "%s", onward);
    cr_assert_eq(child_stop(&c, SIGTERM), 0);
    http_server_stop(server);
}

Test(service, a_taken_port_is_a_failure_that_says_so) {
    child c;
    child other;
    char port[40];
    child_start(&c, NULL, NULL);
    snprintf(port, sizeof port, "server.port=%d", c.port);
    const char *arguments[] = {"--set", port, NULL};
    child_run(&other, NULL, arguments);
    cr_assert_eq(child_end(&other), 1);
    cr_assert(strstr(other.log, "\"message\":\"cannot start\",\"reason\":\"cannot listen on "));
    cr_assert_eq(child_stop(&c, SIGTERM), 0);
}

Test(service, check_config_says_all_mistakes_or_what_is_in_force) {
    child c;
    const char *check[] = {"--check-config", NULL};
    const char *bad[] = {"PORT", "x", "GREETING", "", "LOG_LEVEL", "loud", NULL};
    child_run(&c, bad, check);
    cr_assert_eq(child_end(&c), 2);
    cr_assert_str_eq(
        c.log,
        "testing: the configuration has 2 mistakes:\n"
        "environment variable PORT: server.port: \"x\" is not a whole number\n"
        "environment variable LOG_LEVEL: log.level: \"loud\" is not one of "
        "debug|info|warn|warning|error|DEBUG|INFO|WARN|WARNING|ERROR\n");
    const char *rule[] = {"GREETING", "forbidden", NULL};
    child_run(&c, rule, check);
    cr_assert_eq(child_end(&c), 2);
    cr_assert_str_eq(
        c.log, "testing: the configuration has 1 mistake:\ngreeting: must not be forbidden\n");
    const char *good[] = {"GREETING", "hi", "TESTING_KEY", SECRET, NULL};
    child_run(&c, good, check);
    cr_assert_eq(child_end(&c), 0);
    cr_assert(strstr(c.log, "greeting = hi  (environment variable GREETING)\n"), "%s", c.log);
    cr_assert(strstr(c.log, "key = (set)  (environment variable TESTING_KEY)\n"));
    cr_assert(strstr(c.log, "server.shutdown_timeout = 30s  (default)\n"));
    cr_assert(strstr(c.log, "\nconfiguration is valid\n"));
    cr_assert_null(strstr(c.log, SECRET));
}

Test(service, help_version_and_wrong_usage) {
    child c;
    const char *help[] = {"--help", NULL};
    child_run(&c, NULL, help);
    cr_assert_eq(child_end(&c), 0);
    cr_assert(strstr(c.log, "Usage: testing [--config FILE]"));
    cr_assert(strstr(c.log, "  greeting  <text>  default hello\n      What to say.\n"));
    cr_assert(strstr(c.log, "Environment: TESTING_PORT, else AICP_PORT, else PORT\n"));
    const char *version[] = {"--version", NULL};
    child_run(&c, NULL, version);
    cr_assert_eq(child_end(&c), 0);
    cr_assert_eq(strncmp(c.log, "testing ", 8), 0);
    const char *wrong[] = {"--prot=1", NULL};
    child_run(&c, NULL, wrong);
    cr_assert_eq(child_end(&c), 2);
    cr_assert(strstr(c.log, "testing: --prot=1 is not an option that can be used here\nUsage: "));
    const char *missing[] = {"--config", NULL};
    child_run(&c, NULL, missing);
    cr_assert_eq(child_end(&c), 2);
    cr_assert(strstr(c.log, "testing: --config needs a value\n"));
}
