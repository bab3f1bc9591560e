#include "unit/net/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define BUFFER (1 << 20)

struct http_connection {
    http_server *server;
    pthread_t thread;
    int socket;
    int number;
    bool ended;
};

struct http_server {
    http_handler handler;
    void *user;
    int socket;
    int port;
    int requests;
    pthread_t thread;
    http_connection connections[MAX_CONNECTIONS];
    int count;
};

void http_send(http_connection *c, const char *bytes, size_t len) {
    while (len > 0 && !c->ended) {
        ssize_t n = send(c->socket, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            c->ended = true;
            return;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

void http_puts(http_connection *c, const char *text) {
    http_send(c, text, strlen(text));
}

void http_reply(http_connection *c, int status, const char *headers, const char *body) {
    char head[4096];
    snprintf(
        head,
        sizeof head,
        "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n",
        status,
        strlen(body),
        headers);
    http_puts(c, head);
    http_puts(c, body);
}

void http_close(http_connection *c) {
    c->ended = true;
}

void http_reset(http_connection *c) {
    struct linger now = {1, 0};
    setsockopt(c->socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    c->ended = true;
}

void http_wait_for_end(http_connection *c) {
    char byte;
    while (recv(c->socket, &byte, 1, 0) > 0) {
    }
    c->ended = true;
}

static size_t content_length(const char *head) {
    for (const char *line = head; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, "content-length:", 15) == 0) {
            return (size_t)strtoul(line + 15, NULL, 10);
        }
    }
    return 0;
}

/* Reads one request; false at the end of the connection. */
static bool read_request(http_connection *c, char *buffer, size_t *have, http_request *q) {
    for (;;) {
        buffer[*have] = '\0';
        char *end = strstr(buffer, "\r\n\r\n");
        size_t body = end ? content_length(buffer) : 0;
        if (end && *have >= (size_t)(end + 4 - buffer) + body) {
            *end = '\0';
            sscanf(buffer, "%15s %1023s", q->method, q->target);
            q->head = buffer;
            q->body = end + 4;
            q->body_len = body;
            return true;
        }
        ssize_t n = *have < BUFFER - 1 ? recv(c->socket, buffer + *have, BUFFER - 1 - *have, 0) : 0;
        if (n <= 0) {
            return false;
        }
        *have += (size_t)n;
    }
}

static void *serve(void *user) {
    http_connection *c = user;
    char *buffer = malloc(BUFFER);
    size_t have = 0;
    http_request q = {.connection = c->number};
    while (!c->ended && read_request(c, buffer, &have, &q)) {
        q.number = __atomic_add_fetch(&c->server->requests, 1, __ATOMIC_SEQ_CST);
        c->server->handler(c->server->user, &q, c);
        have = 0; /* clients here do not pipeline */
    }
    free(buffer);
    close(c->socket);
    return NULL;
}

static void *accept_all(void *user) {
    http_server *s = user;
    for (;;) {
        int socket = accept(s->socket, NULL, NULL);
        if (socket < 0 || s->count == MAX_CONNECTIONS) {
            return NULL;
        }
        int now = 1; /* an answer goes out in several writes, none of which shall wait */
        (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
        http_connection *c = &s->connections[s->count++];
        *c = (http_connection){.server = s, .socket = socket, .number = s->count};
        pthread_create(&c->thread, NULL, serve, c);
    }
}

http_server *http_server_start(http_handler handler, void *user) {
    http_server *s = calloc(1, sizeof *s);
    s->handler = handler;
    s->user = user;
    s->socket = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    if (bind(s->socket, (struct sockaddr *)&address, len) != 0 || listen(s->socket, 16) != 0 ||
        getsockname(s->socket, (struct sockaddr *)&address, &len) != 0) {
        abort();
    }
    s->port = ntohs(address.sin_port);
    pthread_create(&s->thread, NULL, accept_all, s);
    return s;
}

/* The clients must have closed their connections, or be about to. */
void http_server_stop(http_server *s) {
    shutdown(s->socket, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->socket);
    for (int i = 0; i < s->count; i++) {
        pthread_join(s->connections[i].thread, NULL);
    }
    free(s);
}

int http_server_port(const http_server *s) {
    return s->port;
}

int http_server_requests(const http_server *s) {
    return __atomic_load_n(&s->requests, __ATOMIC_SEQ_CST);
}
