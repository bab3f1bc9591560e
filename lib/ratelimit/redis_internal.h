/* The parts of the Redis lease source. */
#ifndef AICPI_RATELIMIT_REDIS_INTERNAL_H
#define AICPI_RATELIMIT_REDIS_INTERNAL_H

#include "aicp/ratelimit.h"

#include "lib/base/alloc.h"

typedef struct aicpi_redis_address {
    const aicp_allocator *allocator;
    char *host;
    char *user;     /* NULL: the default one */
    char *password; /* NULL: none */
    int port;
    uint64_t database;
} aicpi_redis_address;

/* Reads a URL; what it made is to be freed also after an error. ERR_INVALID, ERR_UNSUPPORTED (TLS),
 * ERR_NOMEM. Messages never hold the password. */
aicp_status aicpi_redis_address_parse(
    aicpi_redis_address *r,
    const aicp_allocator *allocator,
    const char *text,
    size_t text_len,
    aicp_error *err);
void aicpi_redis_address_deinit(aicpi_redis_address *r);

/* Leases of several keys in one step. ARGV[1]: node (8 bytes), then one packed request for each of
 * KEYS: AICPI_REDIS_REQUEST_DOUBLES little-endian doubles and 8 bytes of slot id. Answer: for each
 * key AICPI_REDIS_GRANT_DOUBLES doubles. Times are microseconds. */
extern const char aicpi_redis_lease_script[];
#define AICPI_REDIS_REQUEST_DOUBLES 10
#define AICPI_REDIS_REQUEST_SIZE (AICPI_REDIS_REQUEST_DOUBLES * 8 + 8)
#define AICPI_REDIS_GRANT_DOUBLES 4
#define AICPI_REDIS_GRANT_SIZE (AICPI_REDIS_GRANT_DOUBLES * 8)

/* Shows the node ARGV[1] in the set KEYS[1]; answers how many were seen within the last minute. */
extern const char aicpi_redis_nodes_script[];

/* Most leases in one call of the script: the server does nothing else meanwhile. */
#define AICPI_REDIS_LEASES_MAX 32

/* Several leases in as few steps as that allows; all wait at most timeout_ns. On an error some of
 * the first may have been granted, which nobody learns: they lapse. */
aicp_status aicpi_redis_lease_many(
    aicp_redis_leases *r,
    const aicp_lease_request *requests,
    aicp_lease_grant *grants,
    size_t count,
    uint64_t timeout_ns,
    aicp_error *err);

#endif
