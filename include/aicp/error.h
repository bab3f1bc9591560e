/**
 * @file error.h
 * Status codes and the error object. Every call that can fail returns an ::aicp_status and takes a
 * caller-owned ::aicp_error as its last parameter, which may be NULL. There is no "last error" kept
 * per thread, so calls may move between threads freely (goroutines, coroutines).
 */
#ifndef AICP_ERROR_H
#define AICP_ERROR_H

#include "aicp/export.h"

/**
 * All status codes: X(name, number, text). Numbers never change. Each module has a range of 100;
 * from 9000 on the handle that reported the code can no longer be used except to free it.
 */
#define AICP_STATUS_MAP(X)                                                                         \
    X(OK, 0, "success")                                                                            \
    X(ERR_NOMEM, 1, "out of memory")                                                               \
    X(ERR_INVALID, 2, "invalid argument")                                                          \
    X(ERR_PARSE, 3, "malformed input")                                                             \
    X(ERR_RANGE, 4, "number out of range")                                                         \
    X(ERR_LIMIT, 5, "a documented limit was passed")                                               \
    X(ERR_NOT_FOUND, 6, "not found")                                                               \
    X(ERR_EXISTS, 7, "already exists")                                                             \
    X(ERR_STATE, 8, "not possible in this state")                                                  \
    X(ERR_IO, 9, "input or output failed")                                                         \
    X(ERR_TIMEOUT, 10, "time ran out")                                                             \
    X(ERR_WOULD_BLOCK, 11, "would have to wait; retry where waiting is allowed")                   \
    X(ERR_UNSUPPORTED, 12, "not supported")                                                        \
    X(ERR_CALLBACK, 13, "a callback of the caller failed")                                         \
    X(ERR_CRYPTO, 14, "cryptographic operation failed")                                            \
    X(ERR_NET_CONNECT, 100, "cannot connect")                                                      \
    X(ERR_NET_TLS, 101, "TLS failed")                                                              \
    X(ERR_NET_FORBIDDEN, 102, "address not allowed")                                               \
    X(ERR_NET_HTTP, 103, "the server answered with an error status")                               \
    X(ERR_POLICY_TYPE, 200, "policy: type error")                                                  \
    X(ERR_POLICY_ENTITY, 201, "policy: entity or attribute does not exist")                        \
    X(ERR_POLICY_EXTENSION, 202, "policy: extension function failed")                              \
    X(ERR_POLICY_OVERFLOW, 203, "policy: integer overflow")                                        \
    X(ERR_POLICY_DEPTH, 204, "policy: nested too deeply")                                          \
    X(ERR_RATE_LIMITED, 300, "rate limit reached")                                                 \
    X(ERR_TOO_LARGE, 301, "larger than the limit can ever admit")                                  \
    X(ERR_GUARD_TIME, 400, "guardrail: time budget spent")                                         \
    X(ERR_GUARD_PATTERN, 401, "guardrail: pattern refused")                                        \
    X(ERR_UNKNOWN_MODEL, 500, "unknown model")                                                     \
    X(ERR_UNKNOWN_PRICE, 501, "price unknown")                                                     \
    X(ERR_SPECIAL_TOKEN, 502, "special token not allowed")                                         \
    X(ERR_STORE, 600, "the store failed")                                                          \
    X(ERR_STORE_BUSY, 601, "the store is busy")                                                    \
    X(ERR_CONSTRAINT, 602, "a constraint of the store was violated")                               \
    X(ERR_BUDGET_EXCEEDED, 700, "budget exceeded")                                                 \
    X(ERR_EXISTS_DIFFERENT, 701, "the id exists with other content")                               \
    X(ERR_ALREADY_POSTED, 702, "already settled")                                                  \
    X(ERR_ALREADY_VOIDED, 703, "already released")                                                 \
    X(ERR_FROZEN, 704, "account frozen")                                                           \
    X(ERR_LITELLM_AUTH, 800, "LiteLLM: not authorised")                                            \
    X(ERR_LITELLM_REQUEST, 801, "LiteLLM: request refused")                                        \
    X(ERR_LITELLM_SERVER, 802, "LiteLLM: server error")                                            \
    X(ERR_BUNDLE, 900, "bundle not usable")                                                        \
    X(ERR_CORRUPT, 9000, "corrupt; the handle can no longer be used")

/** Status codes by name. */
enum {
#define AICP_STATUS_ENUM(name, number, text) AICP_##name = (number),
    AICP_STATUS_MAP(AICP_STATUS_ENUM)
#undef AICP_STATUS_ENUM
};

/** Outcome of a call: #AICP_OK or one of the codes of #AICP_STATUS_MAP. */
typedef int32_t aicp_status;

/** Bytes of ::aicp_error::message, with the terminating NUL. */
#define AICP_ERROR_MESSAGE_SIZE 224

/**
 * What went wrong, for a program (code) and for a person (message). Owned by the caller, 256 bytes
 * for ever. A successful call leaves it as it was. For text inputs `line` and `column` (counted
 * from 1, columns in bytes) and `offset` (bytes from 0) say where; `line` 0 means that no place
 * applies.
 */
typedef struct aicp_error {
    int32_t code;
    uint32_t line;
    uint32_t column;
    uint32_t reserved0;
    uint64_t offset;
    char message[AICP_ERROR_MESSAGE_SIZE];
    char reserved1[8];
} aicp_error;

AICP_BEGIN_DECL

/** Name of a status code without the prefix, e.g. "ERR_PARSE"; "ERR_UNKNOWN" for other numbers.
 * Static. */
AICP_API const char *aicp_status_name(aicp_status status);

/** Short English text of a status code. Static. */
AICP_API const char *aicp_status_text(aicp_status status);

/** Sets every field of `err` to zero. */
AICP_API void aicp_error_clear(aicp_error *err);

AICP_END_DECL

#endif
