#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>

void aicpi_log_write(const aicpi_log *log, int32_t level, const char *format, ...) {
    if (!log || !log->fn || level < log->level) {
        return;
    }
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    log->fn(log->user, level, log->module, message);
}
