/* Log lines. */
#include "services/common/process/process_internal.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <unistd.h>

static aicps_process *process;
static int reader;

static void begin(const char *format) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(aicps_process_new("testing", &process, NULL), AICP_OK);
    process->log_fd = ends[1];
    reader = ends[0];
    aicps_log_options(process, "info", format);
}

/* What was written since. */
static const char *written(void) {
    static char text[70000];
    fcntl(reader, F_SETFL, O_NONBLOCK);
    ssize_t n = read(reader, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void end(void) {
    close(process->log_fd);
    close(reader);
    aicps_process_free(process);
}

Test(log, line_is_one_json_object) {
    begin("json");
    aicps_log_field fields[] = {{.name = "who", .text = "a"}, {.name = "n", .number = -5}};
    aicps_log(process, AICP_LOG_WARN, "hello", fields, 2);
    const char *line = written();
    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
    json_object *o = json_tokener_parse(line);
    cr_assert_str_eq(json_object_get_string(json_object_object_get(o, "level")), "warn");
    cr_assert_str_eq(json_object_get_string(json_object_object_get(o, "service")), "testing");
    cr_assert_str_eq(json_object_get_string(json_object_object_get(o, "message")), "hello");
    cr_assert_str_eq(json_object_get_string(json_object_object_get(o, "who")), "a");
    cr_assert_eq(json_object_get_int64(json_object_object_get(o, "n")), -5);
    const char *time = json_object_get_string(json_object_object_get(o, "time"));
    cr_assert_eq(strlen(time), strlen("2026-11-22T17:30:00.000000Z"));
    json_object_put(o);
    end();
}

Test(log, hostile_text_stays_inside_its_line) {
    begin("json");
    aicps_log_field field = {
        .name = "x",
        .text = "a\"b\\c\nd\x01"
                "e\xff"
                "f"};
    aicps_log(process, AICP_LOG_INFO, "line\r\n{\"level\":\"error\"}", &field, 1);
    const char *line = written();
    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
    cr_assert(
        strstr(
            line,
            "\"message\":\"line\\r\\n{\\\"level\\\":\\\"error\\\"}\","
            "\"x\":\"a\\\"b\\\\c\\nd\\u0001e\xEF\xBF\xBD"
            "f\"}\n"),
        "%s",
        line);
    end();
}

Test(log, lines_below_the_level_are_not_written) {
    begin("json");
    aicps_log(process, AICP_LOG_DEBUG, "quiet", NULL, 0);
    cr_assert_str_eq(written(), "");
    aicps_log_options(process, "ERROR", "json");
    aicps_log(process, AICP_LOG_WARN, "quiet", NULL, 0);
    cr_assert_str_eq(written(), "");
    aicps_log(process, AICP_LOG_ERROR, "loud", NULL, 0);
    cr_assert(strstr(written(), "loud"));
    aicps_log(NULL, AICP_LOG_ERROR, "nobody", NULL, 0);
    end();
}

Test(log, text_is_for_people) {
    begin("text");
    aicps_log_field fields[] = {{.name = "port", .number = 80}, {.name = "x", .text = "\x1b[31m"}};
    aicps_log(process, AICP_LOG_INFO, "listening", fields, 2);
    cr_assert(strstr(written(), "Z INFO  listening  port=80  x=\\u001b[31m\n"));
    end();
}

Test(log, auto_is_json_when_nobody_looks) {
    begin("auto");
    aicps_log(process, AICP_LOG_INFO, "x", NULL, 0);
    cr_assert_eq(written()[0], '{');
    end();
}

Test(log, long_text_is_cut_and_too_many_fields_leave_the_message) {
    static char text[20000];
    aicps_log_field fields[20];
    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < 20; i++) {
        fields[i] = (aicps_log_field){.name = "f", .text = text};
    }
    begin("json");
    aicps_log(process, AICP_LOG_INFO, "m", fields, 1);
    cr_assert_lt(strlen(written()), 5000);
    aicps_log(process, AICP_LOG_INFO, "the message", fields, 20);
    const char *line = written();
    cr_assert(strstr(line, "\"message\":\"the message\"}\n"), "%s", line);
    end();
}

Test(log, library_lines_name_their_module) {
    begin("json");
    void *user = NULL;
    aicp_log_fn fn = aicps_process_log_fn(process, &user);
    fn(user, AICP_LOG_WARN, "net", "slow");
    cr_assert(strstr(written(), "\"message\":\"slow\",\"module\":\"net\"}"));
    end();
}
