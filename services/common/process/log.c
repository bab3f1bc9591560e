/* Log lines. A line is put together first and written by one call, so that lines of several threads
 * and processes do not mix. */
#include "services/common/process/process_internal.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)32 << 10)
#define FIELD_MAX_BYTES ((size_t)4 << 10)

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static int32_t level_of(const char *name) {
    static const char initials[] = "diwe";
    for (int32_t i = 0; i < 4; i++) {
        if ((name[0] | 0x20) == initials[i]) {
            return i;
        }
    }
    return AICP_LOG_INFO;
}

void aicps_log_options(aicps_process *p, const char *level, const char *format) {
    p->log_level = level_of(level);
    p->log_text =
        strcmp(format, "text") == 0 || (strcmp(format, "auto") == 0 && isatty(p->log_fd) == 1);
}

static void write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* there is nobody to tell */
        }
        data += n;
        len -= (size_t)n;
    }
}

/* `digits` digits of a number and what follows them: a time is in every line. */
static void put_part(aicpi_strbuf *line, int64_t value, int digits, char after) {
    char text[8];
    for (int i = digits - 1; i >= 0; i--) {
        text[i] = (char)('0' + value % 10);
        value /= 10;
    }
    text[digits] = after;
    aicpi_strbuf_append(line, text, (size_t)digits + 1);
}

/* RFC 3339 with microseconds, always as long. */
static void put_time(aicpi_strbuf *line, bool with_date) {
    int64_t ns = aicps_wall_ns();
    int64_t seconds = ns / AICPI_SECOND_NS;
    int64_t of_day = seconds % 86400;
    int64_t year = 0;
    int32_t month = 0;
    int32_t day = 0;
    if (with_date) {
        aicpi_civil_from_days(seconds / 86400, &year, &month, &day);
        put_part(line, year, 4, '-');
        put_part(line, month, 2, '-');
        put_part(line, day, 2, 'T');
    }
    put_part(line, of_day / 3600, 2, ':');
    put_part(line, of_day / 60 % 60, 2, ':');
    put_part(line, of_day % 60, 2, '.');
    put_part(line, ns % AICPI_SECOND_NS / 1000, 6, 'Z');
}

static size_t bounded(const char *text) {
    return strnlen(text, FIELD_MAX_BYTES);
}

static void put_json_text(aicpi_strbuf *line, const char *name, const char *text) {
    aicpi_strbuf_putc(line, ',');
    aicpi_strbuf_json(line, name, bounded(name));
    aicpi_strbuf_putc(line, ':');
    aicpi_strbuf_json(line, text, bounded(text));
}

static void put_json(
    aicpi_strbuf *line,
    const aicps_process *p,
    int32_t level,
    const char *message,
    const aicps_log_field *fields,
    size_t count) {
    const aicps_http_request *request = aicps_request_current();
    const aicps_span *span = request ? aicps_request_span(request) : NULL;
    aicpi_strbuf_puts(line, "{\"time\":\"");
    put_time(line, true);
    aicpi_strbuf_puts(line, "\"");
    put_json_text(line, "level", level_names[level]);
    put_json_text(line, "service", p->name);
    put_json_text(line, "message", message);
    if (request) {
        put_json_text(line, "request_id", request->id);
    }
    if (span) {
        put_json_text(line, "trace_id", span->trace_id);
        put_json_text(line, "span_id", span->span_id);
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].text) {
            put_json_text(line, fields[i].name, fields[i].text);
        } else {
            aicpi_strbuf_putc(line, ',');
            aicpi_strbuf_json(line, fields[i].name, bounded(fields[i].name));
            aicpi_strbuf_putc(line, ':');
            aicpi_strbuf_i64(line, fields[i].number);
        }
    }
    aicpi_strbuf_puts(line, "}\n");
}

/* Control characters would steer the terminal: they come out escaped as in JSON. */
static void put_plain(aicpi_strbuf *line, const char *text) {
    aicpi_strbuf_json_body(line, text, bounded(text));
}

static void put_text(
    aicpi_strbuf *line, int32_t level, const char *message, const aicps_log_field *f, size_t n) {
    static const char *const names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    put_time(line, false);
    aicpi_strbuf_printf(line, " %s ", names[level]);
    put_plain(line, message);
    for (size_t i = 0; i < n; i++) {
        aicpi_strbuf_puts(line, "  ");
        put_plain(line, f[i].name);
        aicpi_strbuf_putc(line, '=');
        if (f[i].text) {
            put_plain(line, f[i].text);
        } else {
            aicpi_strbuf_i64(line, f[i].number);
        }
    }
    aicpi_strbuf_putc(line, '\n');
}

void aicps_log(
    aicps_process *process,
    int32_t level,
    const char *message,
    const aicps_log_field *fields,
    size_t count) {
    if (!process || level < process->log_level) {
        return;
    }
    level = level < AICP_LOG_DEBUG ? AICP_LOG_DEBUG : level;
    level = level > AICP_LOG_ERROR ? AICP_LOG_ERROR : level;
    aicpi_strbuf line;
    aicpi_strbuf_init(&line, NULL, LINE_MAX_BYTES);
    (void)aicpi_strbuf_reserve(&line, 512);
    for (;;) {
        if (process->log_text) {
            put_text(&line, level, message, fields, count);
        } else {
            put_json(&line, process, level, message, fields, count);
        }
        if (!line.failed || count == 0) {
            break;
        }
        aicpi_strbuf_clear(&line); /* too long: the message alone */
        count = 0;
    }
    if (!line.failed) {
        (void)pthread_mutex_lock(&process->log_mutex);
        write_all(process->log_fd, line.data, line.len);
        (void)pthread_mutex_unlock(&process->log_mutex);
    }
    aicpi_strbuf_deinit(&line);
}

static void log_hook(void *user, int32_t level, const char *module, const char *message) {
    aicps_log_field field = {.name = "module", .text = module};
    aicps_log(user, level, message, &field, module ? 1 : 0);
}

aicp_log_fn aicps_process_log_fn(aicps_process *process, void **user) {
    *user = process;
    return log_hook;
}
