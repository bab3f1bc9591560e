/**
 * @file base.h
 * What all modules share: version, allocator, clock and log hooks, byte buffers, money as text.
 *
 * Thread words used in all headers: *immutable* (any thread at any time), *synchronised* (any
 * thread, locks inside), *confined* (one thread at a time; the caller sees to it).
 */
#ifndef AICP_BASE_H
#define AICP_BASE_H

#include "aicp/error.h"
#include "aicp/export.h"

AICP_BEGIN_DECL

/** Version of the library in use, "major.minor.patch". Static. */
AICP_API const char *aicp_version(void);

#ifndef SWIG
/**
 * Memory hook. Passed in the options of a top-level object and inherited by all that it makes. The
 * structure is copied; `user` must outlive every object made with it. NULL where one is expected
 * means the C library's heap. All three functions must be safe to call from any thread.
 */
typedef struct aicp_allocator {
    void *user;
    /** Returns `size` (> 0) bytes aligned for any type, or NULL. */
    void *(*alloc)(void *user, size_t size);
    /** Grows or shrinks `ptr` (from alloc, `old_size` bytes) to `new_size` (> 0) bytes, or returns
     * NULL and leaves it. */
    void *(*realloc)(void *user, void *ptr, size_t old_size, size_t new_size);
    /** Gives back `ptr`, never NULL. */
    void (*free)(void *user, void *ptr);
} aicp_allocator;

/**
 * Time hook, so that tests and simulations own time. NULL means the system's clocks. Both functions
 * must be safe to call from any thread.
 */
typedef struct aicp_clock {
    void *user;
    /** Nanoseconds of a clock that never goes back (CLOCK_MONOTONIC). */
    uint64_t (*monotonic_ns)(void *user);
    /** Nanoseconds since 1970-01-01T00:00:00Z. */
    int64_t (*wall_ns)(void *user);
} aicp_clock;

/** Severity of a log line. */
enum { AICP_LOG_DEBUG = 0, AICP_LOG_INFO = 1, AICP_LOG_WARN = 2, AICP_LOG_ERROR = 3 };

/** Receives log lines (UTF-8, NUL-terminated, no newline). Called from any thread; must not call
 * back. */
typedef void (*aicp_log_fn)(void *user, int32_t level, const char *module, const char *message);
#endif

/**
 * Bytes made by the library: `len` bytes at `data`, followed by a NUL that is not counted. Give
 * back with aicp_buf_free(). *confined*
 */
typedef struct aicp_buf {
    char *data;
    size_t len;
    void *internal;
} aicp_buf;

/** Initialiser for an empty buffer. */
#define AICP_BUF_INIT                                                                              \
    { NULL, 0, NULL }

/** Frees the bytes and empties the buffer; NULL and empty buffers are fine. */
AICP_API void aicp_buf_free(aicp_buf *buf);

/**
 * Reads a decimal amount of US dollars ("12", "-0.5", "1e-6") into nano-dollars (1e-9 USD), rounded
 * half away from zero once. Errors: ERR_PARSE, ERR_RANGE.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_money_parse(const char *data, size_t len, int64_t *nano, aicp_error *err);

/**
 * Writes nano-dollars as exact decimal text without exponent or trailing zeros ("0.0000125"). `out`
 * must have room for #AICP_MONEY_TEXT_SIZE bytes; the text is NUL-terminated. Returns its length.
 */
AICP_API size_t aicp_money_format(int64_t nano, char *out);

/** Room that aicp_money_format() needs. */
#define AICP_MONEY_TEXT_SIZE 24

AICP_END_DECL

#endif
