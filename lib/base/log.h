/* Log lines to the caller's hook; without a hook nothing is written. */
#ifndef AICPI_BASE_LOG_H
#define AICPI_BASE_LOG_H

#include "aicp/base.h"

typedef struct aicpi_log {
    aicp_log_fn fn;
    void *user;
    int32_t level; /* least level that is written */
    const char *module;
} aicpi_log;

void aicpi_log_write(const aicpi_log *log, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
