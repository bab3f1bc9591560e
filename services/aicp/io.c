/* Reading files and JSON Lines, writing lines, errors. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *cli_alloc(size_t size) {
    void *p = calloc(1, size > 0 ? size : 1);
    if (p == NULL) {
        fputs("aicp: out of memory\n", stderr);
        exit(CLI_ENV);
    }
    return p;
}

void cli_text_free(cli_text *text) {
    free(text->data);
    *text = (cli_text){NULL, 0};
}

static bool read_stream(FILE *from, cli_text *out) {
    size_t room = 65536;
    out->data = cli_alloc(room + 1);
    out->len = 0;
    for (;;) {
        size_t n = fread(out->data + out->len, 1, room - out->len, from);
        out->len += n;
        if (out->len < room) {
            break;
        }
        char *grown = room <= SIZE_MAX / 2 - 1 ? realloc(out->data, room * 2 + 1) : NULL;
        if (grown == NULL) {
            errno = ENOMEM;
            return false;
        }
        out->data = grown;
        room *= 2;
    }
    out->data[out->len] = '\0';
    return ferror(from) == 0;
}

bool cli_read_file(const char *path, cli_text *out) {
    bool is_stdin = strcmp(path, "-") == 0;
    *out = (cli_text){NULL, 0};
    FILE *from = is_stdin ? stdin : fopen(path, "rb");
    bool ok = from != NULL && read_stream(from, out);
    if (!ok) {
        fprintf(stderr, "aicp: %s: %s\n", is_stdin ? "standard input" : path, strerror(errno));
        cli_text_free(out);
    }
    if (from != NULL && !is_stdin) {
        fclose(from);
    }
    return ok;
}

void cli_print_problem(FILE *to, const char *what, const aicp_error *err) {
    if (err->line != 0) {
        fprintf(to, "%s:%u:%u: error: %s\n", what, err->line, err->column, err->message);
    } else {
        fprintf(to, "%s: error: %s\n", what, err->message);
    }
}

void cli_print_bundle_problem(FILE *to, const char *folder, const aicp_error *err) {
    const char *rest = err->line != 0 ? strstr(err->message, ": ") : NULL;
    if (rest == NULL) {
        cli_print_problem(to, folder, err);
        return;
    }
    int len = (int)(rest - err->message);
    fprintf(
        to,
        "%s/%.*s:%u:%u: error: %s\n",
        folder,
        len,
        err->message,
        err->line,
        err->column,
        rest + 2);
}

json_object *cli_json_fraction(double value) {
    char text[64];
    int len = snprintf(text, sizeof text, "%.6f", value);
    while (len > 2 && text[len - 1] == '0' && text[len - 2] != '.') {
        text[--len] = '\0';
    }
    return json_object_new_double_s(value, text);
}

int cli_exit_code(aicp_status status) {
    bool net = status >= AICP_ERR_NET_CONNECT && status < AICP_ERR_POLICY_TYPE;
    bool store = status >= AICP_ERR_STORE && status < AICP_ERR_BUDGET_EXCEEDED;
    bool machine = status == AICP_ERR_IO || status == AICP_ERR_NOMEM || status == AICP_ERR_TIMEOUT;
    return net || store || machine ? CLI_ENV : CLI_NO;
}

void cli_put_line(json_object *line) {
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    if (text != NULL) {
        fwrite(text, 1, len, stdout);
    }
    putchar('\n');
    json_object_put(line);
}

json_object *cli_json_error(const aicp_error *err) {
    json_object *o = json_object_new_object();
    json_object_object_add(o, "code", json_object_new_string(aicp_status_name(err->code)));
    json_object_object_add(o, "message", json_object_new_string(err->message));
    if (err->line != 0) {
        json_object_object_add(o, "line", json_object_new_int64(err->line));
        json_object_object_add(o, "column", json_object_new_int64(err->column));
    }
    return o;
}

bool cli_is_terminal(void) {
    return isatty(STDOUT_FILENO) == 1;
}

void cli_set_buffering(const cli_args *args) {
    if (cli_is_terminal() || cli_value(args, "line-buffered") != NULL) {
        setvbuf(stdout, NULL, _IOLBF, 0);
    }
}

void cli_fail(aicp_error *err, aicp_status code, const char *format, ...) {
    va_list list;
    va_start(list, format);
    aicp_error_clear(err);
    err->code = code;
    vsnprintf(err->message, sizeof err->message, format, list);
    va_end(list);
}

static json_object *
parse_line(json_tokener *tokener, const char *text, size_t len, aicp_error *err) {
    json_tokener_reset(tokener);
    if (len > INT32_MAX) {
        cli_fail(err, AICP_ERR_LIMIT, "line longer than 2 GiB");
        return NULL;
    }
    /* The NUL after the line lets the tokener see the end of a bare number. */
    json_object *o = json_tokener_parse_ex(tokener, text, (int)len + 1);
    enum json_tokener_error code = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    if (code != json_tokener_success || end < len || !json_object_is_type(o, json_type_object)) {
        cli_fail(
            err,
            AICP_ERR_PARSE,
            "not a JSON object: %s",
            code == json_tokener_success ? "something else stands there"
                                         : json_tokener_error_desc(code));
        err->column = (uint32_t)(end < len ? end + 1 : len);
        err->offset = err->column - 1;
        json_object_put(o);
        return NULL;
    }
    return o;
}

typedef struct line_run {
    cli_line_fn *each;
    void *user;
    json_tokener *tokener;
    uint32_t number;
    bool bad;
} line_run;

static void run_line(line_run *run, const char *text, size_t len) {
    aicp_error err;
    aicp_error_clear(&err);
    json_object *out = json_object_new_object();
    json_object *in = parse_line(run->tokener, text, len, &err);
    if (in == NULL) {
        err.line = run->number;
    }
    if (in == NULL || !run->each(run->user, in, out, &err)) {
        json_object_object_add(out, "error", cli_json_error(&err));
        run->bad = true;
    }
    json_object_put(in);
    cli_put_line(out);
}

static bool run_file(void *user, FILE *from) {
    line_run *run = user;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    run->number = 0;
    while ((n = getline(&line, &room, from)) >= 0) {
        size_t len = (size_t)n;
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
            line[--len] = '\0';
        }
        run->number++;
        if (len > 0) {
            run_line(run, line, len);
        }
    }
    free(line);
    return ferror(from) == 0;
}

typedef struct block_run {
    cli_block_fn *each;
    void *user;
    cli_text text; /* lines that are not handed on yet */
    size_t room;
    uint32_t line; /* number of its first line */
    int code;
} block_run;

static void hand_on(block_run *run, size_t len) {
    int code = run->each(run->user, (cli_text){run->text.data, len}, run->line);
    run->code = code > run->code ? code : run->code;
    for (size_t i = 0; i < len; i++) {
        run->line += run->text.data[i] == '\n';
    }
    run->text.len -= len;
    memmove(run->text.data, run->text.data + len, run->text.len);
}

/* Room for more behind what is kept. */
static void make_room(block_run *run) {
    if (run->text.len == run->room) {
        size_t room = run->room > 0 ? run->room * 2 : (size_t)256 << 10;
        char *grown = cli_alloc(room);
        if (run->text.len > 0) {
            memcpy(grown, run->text.data, run->text.len);
        }
        free(run->text.data);
        run->text.data = grown;
        run->room = room;
    }
}

/* Reads more behind what is kept and hands on the lines that are whole; bytes read, 0 at the end,
 * -1 when the file cannot be read. */
static ssize_t read_block(block_run *run, int from) {
    make_room(run);
    size_t old = run->text.len;
    ssize_t n = read(from, run->text.data + old, run->room - old);
    if (n < 0 && errno == EINTR) {
        return 1;
    }
    if (n <= 0) {
        return n;
    }
    run->text.len += (size_t)n;
    const char *end = memrchr(run->text.data + old, '\n', (size_t)n);
    if (end != NULL) {
        hand_on(run, (size_t)(end - run->text.data) + 1);
    }
    return n;
}

static bool block_file(void *user, FILE *from) {
    block_run *run = user;
    ssize_t n = 1;
    run->line = 1;
    while (n > 0 && run->code != CLI_ENV) {
        n = read_block(run, fileno(from));
    }
    if (n == 0 && run->text.len > 0) {
        hand_on(run, run->text.len);
    }
    return n >= 0;
}

/* Goes through the operands, or standard input when there are none; false, with a message, when
 * one cannot be read. */
static bool each_file(const cli_args *args, bool (*each)(void *user, FILE *from), void *user) {
    char dash[] = "-";
    char *standard_input[] = {dash};
    char **names = args->operand_count > 0 ? args->operands : standard_input;
    size_t count = args->operand_count > 0 ? args->operand_count : 1;
    bool readable = true;
    cli_set_buffering(args);
    for (size_t i = 0; i < count && readable; i++) {
        FILE *from = strcmp(names[i], "-") == 0 ? stdin : fopen(names[i], "rb");
        readable = from != NULL && each(user, from);
        if (!readable) {
            fprintf(stderr, "aicp: %s: %s\n", names[i], strerror(errno));
        }
        if (from != NULL && from != stdin) {
            fclose(from);
        }
    }
    return readable;
}

int cli_each_block(const cli_args *args, cli_block_fn *each, void *user) {
    block_run run = {.each = each, .user = user, .code = CLI_OK};
    bool readable = each_file(args, block_file, &run);
    free(run.text.data);
    return readable ? run.code : CLI_ENV;
}

int cli_each_line(const cli_args *args, cli_line_fn *each, void *user) {
    line_run run = {each, user, json_tokener_new_ex(64), 0, false};
    bool readable = run.tokener != NULL && each_file(args, run_file, &run);
    json_tokener_free(run.tokener);
    return !readable ? CLI_ENV : run.bad ? CLI_NO : CLI_OK;
}

bool cli_get_text(
    json_object *from, const char *name, bool required, cli_text *out, aicp_error *err) {
    json_object *value = NULL;
    *out = (cli_text){NULL, 0};
    if (!json_object_object_get_ex(from, name, &value) || value == NULL) {
        if (required) {
            cli_fail(err, AICP_ERR_INVALID, "\"%s\" is missing", name);
        }
        return !required;
    }
    if (!json_object_is_type(value, json_type_string)) {
        cli_fail(err, AICP_ERR_INVALID, "\"%s\" must be text", name);
        return false;
    }
    /* Borrowed: lives as long as `from`. */
    out->data = (char *)(uintptr_t)json_object_get_string(value);
    out->len = (size_t)json_object_get_string_len(value);
    return true;
}

bool cli_get_object(
    json_object *from, const char *name, bool required, json_object **out, aicp_error *err) {
    *out = NULL;
    if (!json_object_object_get_ex(from, name, out) || *out == NULL) {
        if (required) {
            cli_fail(err, AICP_ERR_INVALID, "\"%s\" is missing", name);
        }
        return !required;
    }
    if (!json_object_is_type(*out, json_type_object)) {
        cli_fail(err, AICP_ERR_INVALID, "\"%s\" must be an object", name);
        return false;
    }
    return true;
}
