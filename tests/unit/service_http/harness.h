/* A started server and raw sockets against it. */
#ifndef TESTS_SERVICE_HTTP_HARNESS_H
#define TESTS_SERVICE_HTTP_HARNESS_H

#include "services/common/http/http.h"

#include <stdatomic.h>

typedef struct harness {
    aicps_http_options options; /* filled by harness_options, may be changed before the start */
    aicps_http_server *server;
    const char *proxies[4];
    _Atomic uint64_t ticket;
    _Atomic int entered; /* handlers that have begun */
    _Atomic int left;    /* and ended */
    _Atomic int done;    /* on_done calls */
    _Atomic int last_status;
    _Atomic int gate;           /* /block waits until it is not 0 */
    _Atomic int written;        /* successful aicps_http_write calls */
    _Atomic int refused;        /* 1 once a write was refused */
    _Atomic int polls;          /* runs of /poll */
    _Atomic int opened, closed; /* workers */
} harness;

void harness_options(harness *h);
void harness_start(harness *h);
void harness_stop(harness *h);
/* Waits (with a bound of ten seconds) until *value is at least `least`. */
bool harness_until(const _Atomic int *value, int least);

/* A connected socket with a receive time-out of ten seconds. */
int client_open(const harness *h);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const char *data, size_t len);
typedef struct answer {
    int status;
    char head[4096];
    char body[1 << 17];
    size_t body_len;
    bool close; /* Connection: close */
} answer;
/* Reads one answer (Content-Length or chunked); false when the connection ended before. */
bool client_read(int fd, answer *out);
/* As client_read, for a request with HEAD. */
bool client_read_head(int fd, answer *out);
/* True when the server has closed, within ten seconds. */
bool client_closed(int fd);
/* Opens, sends, reads one answer, closes. Returns the status, 0 when there was none. */
int client_ask(const harness *h, const char *request, answer *out);

#endif
