/* A small real HTTP server on 127.0.0.1 for tests: every connection has a thread, a callback
 * answers each request with whatever bytes the test wants. */
#ifndef TESTS_UNIT_NET_HTTP_SERVER_H
#define TESTS_UNIT_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct http_connection http_connection;

typedef struct http_request {
    char method[16];
    char target[1024];
    const char *head; /* all header lines, NUL-terminated */
    const char *body; /* NUL-terminated */
    size_t body_len;
    int number;     /* of the request at this server, from 1 */
    int connection; /* number of its connection, from 1 */
} http_request;

typedef void (*http_handler)(void *user, const http_request *request, http_connection *connection);

typedef struct http_server http_server;

http_server *http_server_start(http_handler handler, void *user);
void http_server_stop(http_server *server);
int http_server_port(const http_server *server);
int http_server_requests(const http_server *server);

/* For handlers. */
void http_reply(http_connection *c, int status, const char *headers, const char *body);
void http_send(http_connection *c, const char *bytes, size_t len);
void http_puts(http_connection *c, const char *text);
void http_close(http_connection *c);        /* after this answer */
void http_reset(http_connection *c);        /* at once, with RST */
void http_wait_for_end(http_connection *c); /* until the client closes */

#endif
