/* The way of a gate to its server (docs/gate-protocol.md): where it is, the service key, and who we
 * are. */
#ifndef AICPI_GATE_REMOTE_H
#define AICPI_GATE_REMOTE_H

#include "lib/net/net.h"

#define AICPI_BOOT_SIZE 17 /* 16 hex digits and a NUL */

typedef struct aicpi_remote aicpi_remote; /* synchronised */

typedef struct aicpi_remote_call {
    const char *method;
    const char *path;     /* below /api/v1/gate/, with its query */
    aicpi_slice body;     /* JSON; data NULL: none */
    aicpi_slice etag;     /* sent as If-None-Match when not empty */
    uint64_t timeout_ms;  /* 0 = 10 s */
    size_t max_response;  /* 0 = 1 MiB */
    aicpi_net_stop *stop; /* NULL: cannot be ended early */
} aicpi_remote_call;

/* True for the URLs that a server has. */
bool aicpi_remote_is_url(const char *text);
/* `url` is the server's base, http:// or https://; `key` may be NULL or empty; `boot` tells this
 * run of the process from others. Errors: ERR_INVALID, ERR_NOMEM. */
aicp_status aicpi_remote_open(
    const char *url,
    const char *key,
    const char *boot,
    const aicp_allocator *a,
    aicpi_remote **out,
    aicp_error *err);
/* `own` false: the connections are those of the parent of a fork and stay as they are. NULL is
 * fine. */
void aicpi_remote_free(aicpi_remote *r, bool own);
/* In the child of a fork: connections of its own and another boot id. */
aicp_status aicpi_remote_leave_parent(aicpi_remote *r, const char *boot, aicp_error *err);
const char *aicpi_remote_boot(const aicpi_remote *r);
/* Sends and waits. OK for 2xx and 304, with the status in the response. Other answers: ERR_NET_HTTP
 * with the server's words. Else as aicpi_net_perform. */
aicp_status aicpi_remote_send(
    aicpi_remote *r, const aicpi_remote_call *call, aicpi_net_response *out, aicp_error *err);

/* Pause before the next try after `failures` in a row: 0.25 s doubled up to 10 s, of which a half
 * is left to chance so that gates do not come back in step. */
uint64_t aicpi_remote_pause_ms(uint32_t failures);

#endif
