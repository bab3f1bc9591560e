#define AICPI_ERROR_DEFINITIONS
#include "lib/base/error.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(aicp_error) == 256, "the error object has this size for ever");

const char *aicp_status_name(aicp_status status) {
    switch (status) {
#define NAME(name, number, text)                                                                   \
    case number:                                                                                   \
        return #name;
        AICP_STATUS_MAP(NAME)
#undef NAME
    default:
        return "ERR_UNKNOWN";
    }
}

const char *aicp_status_text(aicp_status status) {
    switch (status) {
#define TEXT(name, number, text)                                                                   \
    case number:                                                                                   \
        return text;
        AICP_STATUS_MAP(TEXT)
#undef TEXT
    default:
        return "unknown status";
    }
}

void aicp_error_clear(aicp_error *err) {
    if (err) {
        memset(err, 0, sizeof *err);
    }
}

/* A message cut inside a character would be invalid UTF-8: drop the cut character. */
static void trim_cut_character(char *message, int written) {
    if (written < AICP_ERROR_MESSAGE_SIZE) {
        return;
    }
    size_t end = AICP_ERROR_MESSAGE_SIZE - 1;
    size_t start = end;
    while (start > 0 && end - start < 4 && ((unsigned char)message[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)message[start - 1] >= 0xC0) {
        message[start - 1] = '\0';
    }
}

__attribute__((format(printf, 3, 0))) static void
fill(aicp_error *err, aicp_status code, const char *format, va_list args) {
    aicp_error_clear(err);
    err->code = code;
    int written = vsnprintf(err->message, sizeof err->message, format, args);
    trim_cut_character(err->message, written);
}

aicp_status aicpi_fail(aicp_error *err, aicp_status code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        fill(err, code, format, args);
        va_end(args);
    }
    return code;
}

aicp_status aicpi_nomem(aicp_error *err) {
    return aicpi_fail(err, AICP_ERR_NOMEM, "out of memory");
}

aicp_status aicpi_fail_at(
    aicp_error *err,
    aicp_status code,
    const char *data,
    size_t len,
    size_t offset,
    const char *format,
    ...) {
    if (!err) {
        return code;
    }
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    size_t end = offset < len ? offset : len;
    uint32_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < end; i++) {
        if (data[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    err->line = line;
    err->column = (uint32_t)(end - line_start + 1);
    err->offset = end;
    return code;
}

aicp_status aicpi_error_prefix(aicp_error *err, aicp_status code, const char *format, ...) {
    if (!err) {
        return code;
    }
    char old[AICP_ERROR_MESSAGE_SIZE];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    int prefix = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t used = prefix < 0 ? 0 : (size_t)prefix;
    if (used < sizeof err->message - 1) {
        int written = snprintf(err->message + used, sizeof err->message - used, ": %s", old);
        trim_cut_character(err->message, written < 0 ? 0 : (int)used + written);
    }
    err->code = code;
    return code;
}

aicp_status aicpi_options_copy(
    void *own, size_t own_size, const void *options, const char *name, aicp_error *err) {
    memset(own, 0, own_size);
    if (!options) {
        return AICP_OK;
    }
    size_t size = 0;
    memcpy(&size, options, sizeof size);
    if (size < sizeof size || size > 65536) {
        return aicpi_fail(err, AICP_ERR_INVALID, "%s.size is %zu; use %s_INIT", name, size, name);
    }
    memcpy(own, options, size < own_size ? size : own_size);
    return AICP_OK;
}
