/* CPU time of the HTTP server for a small request, kept connections: answered on the I/O thread,
 * through a worker, and as a POST of 1 KB through a worker. The client runs in a process of its
 * own, so that only the server is counted. JSON Lines.
 *
 *     bench_http [REQUESTS] [CONNECTIONS] */
#include "services/common/http/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256

static void handle(void *user, aicps_http_request *request, aicps_http_response *response) {
    (void)user;
    (void)request;
    aicpi_strbuf_puts(&response->body, "{\"status\":\"ok\",\"version\":\"1\"}");
}

static bool is_inline(void *user, aicpi_slice method, aicpi_slice path) {
    (void)user;
    (void)method;
    return aicpi_slice_is(path, "/inline");
}

static double cpu_us(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static int connect_to(uint16_t port) {
    struct sockaddr_in to;
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("bench_http: connect");
        _exit(1);
    }
    return fd;
}

/* Asks on all connections in turn; every answer is read whole, as it comes in one piece. */
static void client(uint16_t port, const char *request, size_t len, int requests, int connections) {
    int fds[CONNECTIONS_MAX];
    char answer[4096];
    for (int i = 0; i < connections; i++) {
        fds[i] = connect_to(port);
    }
    for (int done = 0; done < requests; done += connections) {
        for (int i = 0; i < connections; i++) {
            if (send(fds[i], request, len, MSG_NOSIGNAL) != (ssize_t)len) {
                _exit(1);
            }
        }
        for (int i = 0; i < connections; i++) {
            ssize_t n = recv(fds[i], answer, sizeof answer, 0);
            if (n < 40 || memcmp(answer, "HTTP/1.1 200", 12) != 0 || answer[n - 1] != '}') {
                fprintf(stderr, "bench_http: unexpected answer\n");
                _exit(1);
            }
        }
    }
    _exit(0);
}

static bool
measure(aicps_http_server *server, const char *what, const char *request, int requests, int many) {
    int status = 1;
    double before = cpu_us();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        client(aicps_http_port(server), request, strlen(request), requests, many);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "bench_http: the client failed\n");
        return false;
    }
    double us = (cpu_us() - before) / ((double)((requests + many - 1) / many) * many);
    printf(
        "{\"bench\":\"http\",\"what\":\"%s\",\"connections\":%d,\"requests\":%d,"
        "\"cpu_us_per_request\":%.2f}\n",
        what,
        many,
        requests,
        us);
    return true;
}

int main(int argc, char **argv) {
    static char post[2048];
    int requests = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100000;
    int many = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 32;
    aicp_error err = {0};
    aicps_http_server *server;
    aicps_http_options options;
    memset(&options, 0, sizeof options);
    options.handler = handle;
    options.is_inline = is_inline;
    if (requests < 1 || many < 1 || many > CONNECTIONS_MAX) {
        fprintf(stderr, "usage: bench_http [REQUESTS] [CONNECTIONS, at most 256]\n");
        return 2;
    }
    if (aicps_http_start(&options, &server, &err) != AICP_OK) {
        fprintf(stderr, "bench_http: %s\n", err.message);
        return 1;
    }
    (void)snprintf(
        post,
        sizeof post,
        "POST /worker HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 1024\r\n\r\n%01024d",
        0);
#define HEADERS                                                                                    \
    " HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n"   \
    "Authorization: Bearer 0123456789abcdef\r\n\r\n"
    bool ok = measure(server, "warm-up", "GET /worker" HEADERS, requests / 10 + 1, many);
    ok = ok && measure(server, "inline", "GET /inline" HEADERS, requests, many) &&
         measure(server, "worker", "GET /worker" HEADERS, requests, many) &&
         measure(server, "worker, POST of 1 KB", post, requests, many);
    aicps_http_free(server);
    return ok ? 0 : 1;
}
