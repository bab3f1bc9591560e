#include "service_process.h"

#include "services/common/process/process.h"

#include "lib/base/error.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the service ---- */

typedef struct settings {
    const char *greeting;
    const char *key;
    const char *ready_file;
    const char *litellm;
} settings;

static const aicps_setting table[] = {
    {.name = "greeting",
     .env = "GREETING",
     .type = AICPS_SETTING_TEXT,
     .offset = offsetof(settings, greeting),
     .preset = "hello",
     .doc = "What to say."},
    {.name = "key",
     .env = "TESTING_KEY",
     .type = AICPS_SETTING_TEXT,
     .flags = AICPS_SETTING_SECRET,
     .offset = offsetof(settings, key)},
    {.name = "ready_file",
     .env = "READY_FILE",
     .type = AICPS_SETTING_TEXT,
     .offset = offsetof(settings, ready_file)},
    {.name = "litellm",
     .env = "LITELLM_URL",
     .type = AICPS_SETTING_URL,
     .offset = offsetof(settings, litellm)},
};

static aicps_process *process;
static aicp_litellm *litellm;
static int slow_gate; /* read end: /slow waits for a byte */

static aicp_status check(const void *user, aicp_error *err) {
    const settings *s = user;
    return strcmp(s->greeting, "forbidden") == 0
               ? aicpi_fail(err, AICP_ERR_INVALID, "greeting: must not be forbidden")
               : AICP_OK;
}

static aicp_status is_ready(void *user, aicp_error *err) {
    return access(user, F_OK) == 0 ? AICP_OK : aicpi_fail(err, AICP_ERR_IO, "the flag is \"gone\"");
}

static void say_hello(aicps_http_request *request, aicps_http_response *response) {
    request->route = "/hello/{name}";
    request->who = "ann";
    aicps_log(process, AICP_LOG_INFO, "inside", NULL, 0);
    if (litellm) {
        aicp_litellm_reply *reply = NULL;
        response->status = 502;
        if (aicp_litellm_reply_new(NULL, &reply, NULL) == AICP_OK &&
            aicp_litellm_models(litellm, reply, NULL) == AICP_OK) {
            response->status = 200;
        }
        aicp_litellm_reply_free(reply);
    }
    aicpi_strbuf_puts(&response->body, "{\"hello\":1}");
}

/* A long poll: the second run uses the memory that the first one left. */
static void long_poll(aicps_http_request *request, aicps_http_response *response) {
    request->route = "/poll";
    if (!request->resumed) {
        aicps_http_wait(response, 0, 0, request->started_ns + 1000000);
        return;
    }
    char *used = aicpi_arena_alloc(request->arena, 2000);
    if (used) {
        memset(used, 'x', 2000);
    }
    aicpi_strbuf_puts(&response->body, "{\"polled\":1}");
}

static void handle(void *user, aicps_http_request *request, aicps_http_response *response) {
    char byte;
    (void)user;
    if (request->segment_count > 0 && aicpi_slice_is(request->segments[0], "hello")) {
        say_hello(request, response);
    } else if (request->segment_count > 0 && aicpi_slice_is(request->segments[0], "poll")) {
        long_poll(request, response);
    } else if (request->segment_count > 0 && aicpi_slice_is(request->segments[0], "slow")) {
        request->route = "/slow";
        aicps_log(process, AICP_LOG_INFO, "slow begins", NULL, 0);
        (void)!read(slow_gate, &byte, 1);
        aicpi_strbuf_puts(&response->body, "{\"slow\":1}");
    } else {
        aicps_http_problem(response, request, 404, "not_found", "nothing is here");
    }
}

static aicp_status open_service(
    aicps_process *p, const void *user, aicps_http_options *http, void **state, aicp_error *err) {
    const settings *s = user;
    process = p;
    http->handler = handle;
    *state = p;
    if (s->ready_file) {
        aicps_ready_check(p, "flag", is_ready, (void *)(uintptr_t)s->ready_file);
    }
    if (s->litellm) {
        aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
        aicp_litellm_trace trace = aicps_litellm_trace(p);
        o.trace = &trace;
        return aicp_litellm_open(s->litellm, strlen(s->litellm), "key", 3, &o, &litellm, err);
    }
    return AICP_OK;
}

static void close_service(void *state) {
    aicp_litellm_free(litellm);
    aicps_log(state, AICP_LOG_INFO, "close hook", NULL, 0);
}

static const aicps_service service = {
    .name = "testing",
    .summary = "A service for tests.",
    .port_env = "TESTING_PORT",
    .settings = table,
    .setting_count = sizeof table / sizeof *table,
    .settings_size = sizeof(settings),
    .check = check,
    .open = open_service,
    .close = close_service};

/* ---- its process ---- */

/* With this variable set, the test program is the service: a new program in a new process, as
 * sanitizers want it. */
#define ROLE "AICP_TEST_SERVICE_GATE"

static void __attribute__((constructor)) be_the_service(int argc, char **argv) {
    const char *gate = getenv(ROLE);
    if (gate) {
        slow_gate = (int)strtol(gate, NULL, 10);
        exit(aicps_process_main(&service, argc, argv));
    }
}

static void set_environment(const char *const *environment) {
    static const char *const kept[] = {"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"};
    const char *values[3];
    for (size_t i = 0; i < 3; i++) {
        values[i] = getenv(kept[i]);
    }
    clearenv();
    for (size_t i = 0; i < 3; i++) {
        if (values[i]) {
            setenv(kept[i], values[i], 1);
        }
    }
    for (; environment && *environment; environment += 2) {
        setenv(environment[0], environment[1], 1);
    }
}

static void run(const child *c, const char *const *environment, const char *const *arguments) {
    char *argv[16] = {(char *)"testing"};
    char gate[16];
    int argc = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(c->output, STDOUT_FILENO);
    dup2(c->output, STDERR_FILENO);
    set_environment(environment);
    snprintf(gate, sizeof gate, "%d", c->release);
    setenv(ROLE, gate, 1);
    for (; arguments && *arguments; arguments++) {
        argv[argc++] = (char *)(uintptr_t)*arguments;
    }
    execv("/proc/self/exe", argv);
    _exit(127);
}

void child_run(child *c, const char *const *environment, const char *const *arguments) {
    int output[2];
    int gate[2];
    memset(c, 0, sizeof *c);
    cr_assert_eq(pipe(output), 0);
    cr_assert_eq(pipe(gate), 0);
    fflush(NULL);
    c->pid = fork();
    cr_assert_geq(c->pid, 0);
    if (c->pid == 0) {
        close(output[0]);
        close(gate[1]);
        c->output = output[1];
        c->release = gate[0];
        run(c, environment, arguments);
    }
    close(output[1]);
    close(gate[0]);
    c->output = output[0];
    c->release = gate[1];
}

static bool read_more(child *c) {
    ssize_t n = read(c->output, c->log + c->log_len, sizeof c->log - 1 - c->log_len);
    c->log_len += n > 0 ? (size_t)n : 0;
    c->log[c->log_len] = '\0';
    return n > 0;
}

void child_wait_for(child *c, const char *text) {
    while (!strstr(c->log, text)) {
        cr_assert(read_more(c), "no %s in\n%s", text, c->log);
    }
}

void child_start(child *c, const char *const *environment, const char *const *arguments) {
    const char *with_port[14] = {"--set", "server.port=0"};
    for (size_t n = 2; arguments && *arguments; n++) {
        with_port[n] = *arguments++;
    }
    child_run(c, environment, with_port);
    child_wait_for(c, "\"message\":\"listening\"");
    const char *port = strstr(c->log, "\"port\":");
    while (!strchr(port, '\n')) {
        cr_assert(read_more(c));
    }
    c->port = (int)strtol(port + 7, NULL, 10);
}

void child_release(child *c) {
    cr_assert_eq(write(c->release, "x", 1), 1);
}

int child_end(child *c) {
    int status = 0;
    while (read_more(c)) {
    }
    cr_assert_eq(waitpid(c->pid, &status, 0), c->pid);
    close(c->output);
    close(c->release);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int child_stop(child *c, int signal_number) {
    kill(c->pid, signal_number);
    int status = child_end(c);
    cr_assert_null(strstr(c->log, "Sanitizer"), "%s", c->log);
    return status;
}

/* ---- its client ---- */

int connect_to(const child *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static answer cut(const char *text) {
    answer a = {0};
    const char *body = strstr(text, "\r\n\r\n");
    cr_assert(body, "no answer: %s", text);
    a.status = (int)strtol(text + 9, NULL, 10);
    snprintf(a.head, sizeof a.head, "%.*s", (int)(body - text), text);
    snprintf(a.body, sizeof a.body, "%.*s", (int)sizeof a.body - 1, body + 4);
    return a;
}

answer ask_on(int fd, const char *line) {
    char text[8000] = "";
    size_t len = 0;
    ssize_t n = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\n\r\n", line);
    cr_assert_eq(write(fd, text, (size_t)n), n);
    for (;;) {
        n = read(fd, text + len, sizeof text - 1 - len);
        cr_assert_gt(n, 0, "%s of %s", line, text);
        len += (size_t)n;
        text[len] = '\0';
        const char *body = strstr(text, "\r\n\r\n");
        const char *size = body ? strcasestr(text, "content-length: ") : NULL;
        if (size && strlen(body + 4) == strtoul(size + 16, NULL, 10)) {
            return cut(text);
        }
    }
}

int request_send(const child *c, const char *line, const char *headers) {
    char text[4000];
    int fd = connect_to(c);
    int n = snprintf(
        text,
        sizeof text,
        "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s\r\n",
        line,
        strncmp(line, "POST", 4) == 0 ? "Content-Length: 0\r\n" : "",
        headers);
    cr_assert_eq(write(fd, text, (size_t)n), n);
    return fd;
}

answer request_read(int fd) {
    static char text[65000];
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    close(fd);
    return cut(text);
}

answer request(const child *c, const char *line, const char *headers) {
    return request_read(request_send(c, line, headers));
}

answer get(const child *c, const char *path) {
    char line[300];
    snprintf(line, sizeof line, "GET %s", path);
    return request(c, line, "");
}
