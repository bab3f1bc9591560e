/* Filling aicp_error. All return the code, so that a caller can write `return aicpi_fail(...)`.
 * `err` may be NULL. */
#ifndef AICPI_BASE_ERROR_H
#define AICPI_BASE_ERROR_H

#include "aicp/error.h"

#include <stdarg.h>
#include <stdbool.h>

/* Messages start in lower case, name the thing and its value, and have no full stop. */
aicp_status aicpi_fail(aicp_error *err, aicp_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
aicp_status aicpi_nomem(aicp_error *err) __attribute__((cold));
/* With a place: computes line and column of `offset` in text (data, len). */
aicp_status aicpi_fail_at(
    aicp_error *err,
    aicp_status code,
    const char *data,
    size_t len,
    size_t offset,
    const char *format,
    ...) __attribute__((format(printf, 6, 7), cold));
/* Puts "prefix: " before the message of a failure that is passed up. */
aicp_status aicpi_error_prefix(aicp_error *err, aicp_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* The static analyzer cannot know that a failure returns the code it was given: say so. */
#if defined(__clang_analyzer__) && !defined(AICPI_ERROR_DEFINITIONS)
void aicpi_error_sink(const aicp_error *err, const char *format, ...);
#define aicpi_fail(err, code, ...) (aicpi_error_sink(err, __VA_ARGS__), (code))
#define aicpi_nomem(err) (aicpi_error_sink(err, ""), AICP_ERR_NOMEM)
#define aicpi_fail_at(err, code, data, len, offset, ...)                                           \
    (aicpi_error_sink(err, __VA_ARGS__), (void)(data), (void)(len), (void)(offset), (code))
#define aicpi_error_prefix(err, code, ...) (aicpi_error_sink(err, __VA_ARGS__), (code))
#endif

/* Options: copies min(options->size, own) bytes of `options` (NULL = all zero) into `own`, whose
 * size is own_size. ERR_INVALID when size is 0 or absurd. `name` names the struct in the message.
 */
aicp_status aicpi_options_copy(
    void *own, size_t own_size, const void *options, const char *name, aicp_error *err);

#endif
