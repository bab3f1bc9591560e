/* Spans: https://www.w3.org/TR/trace-context/ in, OTLP over HTTP as JSON out. */
#include "services/common/process/process_internal.h"

#include "tests/unit/net/http_server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"
#define HEADER "00-" TRACE "-" PARENT "-01"

static aicps_process *process;

typedef struct collector {
    pthread_mutex_t mutex;
    int status;
    char body[200000];
    char head[4000];
    char target[1024];
    int got;
} collector;

static collector seen = {.mutex = PTHREAD_MUTEX_INITIALIZER, .status = 200};

static void collect(void *user, const http_request *request, http_connection *connection) {
    (void)user;
    pthread_mutex_lock(&seen.mutex);
    snprintf(seen.body, sizeof seen.body, "%s", request->body);
    snprintf(seen.head, sizeof seen.head, "%s", request->head);
    snprintf(seen.target, sizeof seen.target, "%s", request->target);
    seen.got++;
    int status = seen.status;
    pthread_mutex_unlock(&seen.mutex);
    http_reply(connection, status, "", "{}");
}

static void begin(const aicps_trace_options *o) {
    cr_assert_eq(aicps_process_new("testing", &process, NULL), AICP_OK);
    process->log_level = AICP_LOG_ERROR;
    aicp_error err = {0};
    if (o) {
        cr_assert_eq(aicps_tracer_new(process, o, &process->tracer, &err), 0, "%s", err.message);
    }
}

static void end(void) {
    aicps_process_free(process);
}

Test(trace, malformed_parents_are_not_joined) {
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-01-x",
        "00-" TRACE "-" PARENT "-1",
        "ff-" TRACE "-" PARENT "-01",
        "0g-" TRACE "-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "01-" TRACE "-" PARENT "-01x",
    };
    aicps_traceparent out;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_not(aicps_traceparent_parse(aicpi_slice_cstr(bad[i]), &out), "%s", bad[i]);
    }
    cr_assert(aicps_traceparent_parse(AICPI_SLICE(HEADER), &out));
    cr_assert_str_eq(out.trace_id, TRACE);
    cr_assert_str_eq(out.parent_id, PARENT);
    cr_assert(out.sampled);
    cr_assert(aicps_traceparent_parse(AICPI_SLICE("00-" TRACE "-" PARENT "-02"), &out));
    cr_assert_not(out.sampled);
    cr_assert(aicps_traceparent_parse(AICPI_SLICE("cc-" TRACE "-" PARENT "-01-more"), &out));
}

Test(trace, span_joins_the_callers_trace_and_child_the_span) {
    aicps_trace_options o = {.endpoint = "http://127.0.0.1:1/v1/traces", .timeout_ms = 500};
    o.service = "testing";
    begin(&o);
    aicps_span span;
    aicps_span child;
    char header[56];
    aicps_span_begin(process, &span, "s", 2, AICPI_SLICE(HEADER));
    cr_assert_str_eq(span.trace_id, TRACE);
    cr_assert_str_eq(span.parent_id, PARENT);
    cr_assert_str_neq(span.span_id, PARENT);
    cr_assert(span.sampled);
    aicps_span_child(process, &span, &child, "c");
    cr_assert_str_eq(child.trace_id, TRACE);
    cr_assert_str_eq(child.parent_id, span.span_id);
    aicps_span_header(&child, header);
    cr_assert_eq(strlen(header), 55);
    cr_assert_eq(strncmp(header, "00-" TRACE "-", 36), 0);
    cr_assert_eq(strncmp(header + 36, child.span_id, 16), 0);
    cr_assert_str_eq(header + 52, "-01");
    end();
}

Test(trace, without_a_collector_the_callers_context_is_passed_on) {
    begin(NULL);
    aicps_span span;
    aicps_span child;
    char header[56];
    aicps_span_begin(process, &span, "s", 2, AICPI_SLICE(HEADER));
    aicps_span_child(process, &span, &child, "c");
    aicps_span_header(&child, header);
    cr_assert_str_eq(header, HEADER);
    aicps_span_begin(process, &span, "s", 2, AICPI_SLICE("junk"));
    cr_assert_eq(strlen(span.trace_id), 32);
    cr_assert_eq(strlen(span.span_id), 16);
    cr_assert_not(span.sampled);
    aicps_span_end(process, &span, NULL, 0);
    end();
}

Test(trace, samplers_decide_as_they_are_called) {
    static const struct {
        const char *sampler;
        double ratio;
        bool with_sampled_parent;
        bool with_unsampled_parent;
        bool alone;
    } cases[] = {
        {"always_on", 0, true, true, true},
        {"always_off", 1, false, false, false},
        {"parentbased_always_on", 0, true, false, true},
        {"parentbased_always_off", 1, true, false, false},
        {"parentbased_traceidratio", 0, true, false, false},
        {"parentbased_traceidratio", 1, true, false, true},
        {"traceidratio", 0, false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicps_trace_options o = {
            .endpoint = "http://127.0.0.1:1/v1/traces",
            .service = "testing",
            .timeout_ms = 500,
            .sampler = cases[i].sampler,
            .ratio = cases[i].ratio};
        begin(&o);
        aicps_span s;
        aicps_span_begin(process, &s, "s", 2, AICPI_SLICE(HEADER));
        cr_expect_eq(s.sampled, cases[i].with_sampled_parent, "%s", cases[i].sampler);
        aicps_span_begin(process, &s, "s", 2, AICPI_SLICE("00-" TRACE "-" PARENT "-00"));
        cr_expect_eq(s.sampled, cases[i].with_unsampled_parent, "%s", cases[i].sampler);
        aicps_span_begin(process, &s, "s", 2, AICPI_SLICE(""));
        cr_expect_eq(s.sampled, cases[i].alone, "%s", cases[i].sampler);
        end();
    }
}

Test(trace, ratio_looks_at_the_trace_id_alone) {
    aicps_trace_options o = {.endpoint = "http://127.0.0.1:1/", .service = "t", .timeout_ms = 500};
    o.sampler = "traceidratio";
    o.ratio = 0.5;
    begin(&o);
    aicps_span s = {.trace_id = "00000000000000007ffffffff0000000"};
    cr_assert(aicps_tracer_samples(process->tracer, &s, false));
    s = (aicps_span){.trace_id = "00000000000000008000000000000000"};
    cr_assert_not(aicps_tracer_samples(process->tracer, &s, false));
    end();
}

static json_object *dig(json_object *o, const char *path) {
    char copy[200];
    char *rest = copy;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *name; (name = strsep(&rest, "/"));) {
        o = json_object_is_type(o, json_type_array)
                ? json_object_array_get_idx(o, (size_t)(name[0] - '0'))
                : json_object_object_get(o, name);
        cr_assert(o, "no %s of %s in %s", name, path, seen.body);
    }
    return o;
}

static const char *text_at(json_object *o, const char *path) {
    return json_object_get_string(dig(o, path));
}

Test(trace, spans_arrive_as_otlp_json) {
    char url[100];
    http_server *server = http_server_start(collect, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/traces", http_server_port(server));
    aicps_trace_options o = {
        .endpoint = url,
        .service = "testing",
        .timeout_ms = 5000,
        .headers = "x-one=1, authorization=Basic%20abc",
        .resource = "deployment.environment=prod,service.name=ignored"};
    begin(&o);
    aicps_span span;
    aicps_span_begin(process, &span, "GET /x/{id}", 2, AICPI_SLICE(HEADER));
    aicps_log_field f[] = {
        {.name = "http.route", .text = "/x/{id}"}, {.name = "status", .number = 500}};
    span.error = 1;
    aicps_span_end(process, &span, f, 2);
    char id[17];
    memcpy(id, span.span_id, sizeof id);
    end(); /* sends what is left */
    http_server_stop(server);
    cr_assert_eq(seen.got, 1);
    cr_assert_str_eq(seen.target, "/v1/traces");
    cr_assert(strcasestr(seen.head, "content-type: application/json"), "%s", seen.head);
    cr_assert(strcasestr(seen.head, "x-one: 1"));
    cr_assert(strcasestr(seen.head, "authorization: Basic abc"));
    json_object *all = json_tokener_parse(seen.body);
    cr_assert(all, "%s", seen.body);
    json_object *resource = dig(all, "resourceSpans/0/resource/attributes");
    cr_assert_str_eq(text_at(resource, "0/key"), "service.name");
    cr_assert_str_eq(text_at(resource, "0/value/stringValue"), "testing");
    cr_assert_str_eq(text_at(resource, "2/key"), "deployment.environment");
    cr_assert_eq(json_object_array_length(resource), 3);
    json_object *s = dig(all, "resourceSpans/0/scopeSpans/0/spans/0");
    cr_assert_str_eq(text_at(s, "traceId"), TRACE);
    cr_assert_str_eq(text_at(s, "spanId"), id);
    cr_assert_str_eq(text_at(s, "parentSpanId"), PARENT);
    cr_assert_str_eq(text_at(s, "name"), "GET /x/{id}");
    cr_assert_eq(json_object_get_int(dig(s, "kind")), 2);
    cr_assert_eq(json_object_get_int(dig(s, "status/code")), 2);
    cr_assert_str_eq(text_at(s, "attributes/0/value/stringValue"), "/x/{id}");
    cr_assert_str_eq(text_at(s, "attributes/1/value/intValue"), "500");
    cr_assert_leq(
        json_object_get_int64(dig(s, "startTimeUnixNano")),
        json_object_get_int64(dig(s, "endTimeUnixNano")));
    json_object_put(all);
}

static uint64_t dropped(void) {
    uint64_t sent = 0;
    uint64_t lost = 0;
    aicps_tracer_counts(process->tracer, &sent, &lost);
    return lost;
}

Test(trace, spans_without_room_are_dropped_and_counted) {
    aicps_trace_options o = {.endpoint = "http://127.0.0.1:1/", .service = "t", .timeout_ms = 500};
    begin(&o);
    for (int i = 0; i < 3000; i++) {
        aicps_span s;
        aicps_span_begin(process, &s, "s", 1, AICPI_SLICE(""));
        aicps_span_end(process, &s, NULL, 0);
    }
    cr_assert_eq(dropped(), 3000 - 2048);
    end();
}

Test(trace, refused_batches_are_dropped_and_counted) {
    char url[100];
    http_server *server = http_server_start(collect, NULL);
    seen.status = 400;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/traces", http_server_port(server));
    aicps_trace_options o = {.endpoint = url, .service = "t", .timeout_ms = 5000};
    begin(&o);
    for (int i = 0; i < 512; i++) { /* a whole batch leaves at once */
        aicps_span s;
        aicps_span_begin(process, &s, "s", 1, AICPI_SLICE(""));
        aicps_span_end(process, &s, NULL, 0);
    }
    while (dropped() == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    cr_assert_eq(dropped(), 512);
    end();
    http_server_stop(server);
}

Test(trace, spans_wait_while_the_collector_is_away) {
    char url[100];
    http_server *server = http_server_start(collect, NULL);
    seen.status = 503;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/traces", http_server_port(server));
    aicps_trace_options o = {.endpoint = url, .service = "t", .timeout_ms = 5000};
    begin(&o);
    for (int i = 0; i < 512; i++) {
        aicps_span s;
        aicps_span_begin(process, &s, "s", 1, AICPI_SLICE(""));
        aicps_span_end(process, &s, NULL, 0);
    }
    while (http_server_requests(server) == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    pthread_mutex_lock(&seen.mutex);
    seen.status = 200;
    pthread_mutex_unlock(&seen.mutex);
    uint64_t sent = 0;
    uint64_t lost = 0;
    while (sent == 0) {
        aicps_tracer_counts(process->tracer, &sent, &lost);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    cr_assert_eq(sent, 512);
    cr_assert_eq(lost, 0);
    end();
    http_server_stop(server);
}

Test(trace, a_collector_that_hangs_does_not_hold_up_the_end) {
    char url[100];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(fd, 5), 0); /* and nobody ever accepts */
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/traces", ntohs(at.sin_port));
    aicps_trace_options o = {.endpoint = url, .service = "t", .timeout_ms = 60000};
    begin(&o);
    aicps_span s;
    aicps_span_begin(process, &s, "s", 1, AICPI_SLICE(""));
    aicps_span_end(process, &s, NULL, 0);
    uint64_t before = aicps_now_ns();
    end();
    cr_assert_lt((aicps_now_ns() - before) / 1000000000, 30);
    close(fd);
}

Test(trace, unsampled_spans_are_not_sent) {
    char url[100];
    http_server *server = http_server_start(collect, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/traces", http_server_port(server));
    aicps_trace_options o = {.endpoint = url, .service = "t", .timeout_ms = 5000};
    begin(&o);
    aicps_span s;
    aicps_span_begin(process, &s, "s", 2, AICPI_SLICE("00-" TRACE "-" PARENT "-00"));
    aicps_span_end(process, &s, NULL, 0);
    end();
    cr_assert_eq(http_server_requests(server), 0);
    http_server_stop(server);
}
