/* aicp policy check: whether policies can be read, and whether they fit a schema. */
#include "verbs.h"

#include "aicp/policy.h"

#include <string.h>

/* What is wrong, or looks wrong, at one place of a text. */
typedef struct finding {
    const char *file;
    const cli_text *text; /* NULL: without its line */
    const char *severity;
    const char *code;
    const char *policy; /* id; NULL: of no policy */
    const char *message;
    uint32_t line; /* 0: no place */
    uint32_t column;
    uint64_t offset;
} finding;

typedef struct check_run {
    const aicp_policy_schema *schema; /* NULL: policies are only read */
    uint32_t flags;                   /* of the validation */
    json_object *problems;            /* NULL: they are printed */
} check_run;

static json_object *finding_json(const finding *f) {
    json_object *o = json_object_new_object();
    json_object_object_add(o, "file", json_object_new_string(f->file));
    json_object_object_add(o, "line", json_object_new_int64(f->line));
    json_object_object_add(o, "column", json_object_new_int64(f->column));
    json_object_object_add(o, "offset", json_object_new_int64((int64_t)f->offset));
    json_object_object_add(o, "severity", json_object_new_string(f->severity));
    json_object_object_add(o, "code", json_object_new_string(f->code));
    if (f->policy != NULL) {
        json_object_object_add(o, "policy", json_object_new_string(f->policy));
    }
    json_object_object_add(o, "message", json_object_new_string(f->message));
    return o;
}

/* Bytes of the longest line that helps a reader. */
enum { LINE_MOST = 500 };

/* The line of the text, and a caret below the place. Tabs stay, so that the caret stands right. */
static void print_line(const cli_text *text, uint32_t line, uint32_t column) {
    const char *at = text->data;
    const char *end = text->data + text->len;
    for (uint32_t n = 1; n < line && at != NULL; n++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL || column == 0) {
        return;
    }
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t len = (size_t)((stop != NULL ? stop : end) - at);
    len -= len > 0 && at[len - 1] == '\r';
    if (len > LINE_MOST) {
        return;
    }
    printf("  %.*s\n  ", (int)len, at);
    for (size_t i = 0; i + 1 < column && i < len; i++) {
        bool inside = ((unsigned char)at[i] & 0xC0) == 0x80; /* of a character of several bytes */
        if (!inside) {
            putchar(at[i] == '\t' ? '\t' : ' ');
        }
    }
    puts("^");
}

static void tell(const check_run *run, const finding *f) {
    if (run->problems != NULL) {
        json_object_array_add(run->problems, finding_json(f));
        return;
    }
    if (f->line == 0) {
        printf("%s: %s: %s\n", f->file, f->severity, f->message);
        return;
    }
    printf("%s:%u:%u: %s: %s\n", f->file, f->line, f->column, f->severity, f->message);
    if (f->text != NULL) {
        print_line(f->text, f->line, f->column);
    }
}

static void
tell_error(const check_run *run, const char *file, const cli_text *text, const aicp_error *err) {
    const finding f = {
        .file = file,
        .text = text,
        .severity = "error",
        .code = aicp_status_name(err->code),
        .message = err->message,
        .line = err->line,
        .column = err->column,
        .offset = err->offset};
    tell(run, &f);
}

/* ---- with a schema ---- */

static void tell_report(
    const check_run *run, const char *file, const cli_text *text, const aicp_policy_report *r) {
    for (size_t i = 0; i < aicp_policy_report_count(r); i++) {
        bool wrong = aicp_policy_report_severity(r, i) == AICP_POLICY_SEVERITY_ERROR;
        const finding f = {
            .file = file,
            .text = text,
            .severity = wrong ? "error" : "warning",
            .code = aicp_policy_finding_name(aicp_policy_report_kind(r, i)),
            .policy = aicp_policy_report_id(r, i),
            .message = aicp_policy_report_message(r, i),
            .line = aicp_policy_report_line(r, i),
            .column = aicp_policy_report_column(r, i),
            .offset = aicp_policy_report_offset(r, i)};
        tell(run, &f);
    }
}

static int
validate(const check_run *run, const char *file, const cli_text *text, const aicp_policy_set *set) {
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    aicp_policy_report *report = NULL;
    aicp_error err;
    aicp_error_clear(&err);
    options.flags = run->flags;
    aicp_status status = aicp_policy_validate(set, run->schema, &options, &report, &err);
    if (status != AICP_OK) {
        tell_error(run, file, NULL, &err);
        return CLI_NO;
    }
    tell_report(run, file, text, report);
    int code = aicp_policy_report_passed(report) ? CLI_OK : CLI_NO;
    aicp_policy_report_free(report);
    return code;
}

static void
tell_schema(const check_run *run, const char *file, const cli_text *text, aicp_policy_schema *s) {
    for (size_t i = 0; i < aicp_policy_schema_warning_count(s); i++) {
        const finding f = {
            .file = file,
            .text = text,
            .severity = "warning",
            .code = "Shadowing",
            .message = aicp_policy_schema_warning(s, i),
            .line = aicp_policy_schema_warning_line(s, i),
            .column = aicp_policy_schema_warning_column(s, i)};
        tell(run, &f);
    }
}

/* Reads the schema and tells what is wrong with it; an exit code. */
static int read_schema(const check_run *run, const char *file, aicp_policy_schema **out) {
    cli_text text;
    aicp_error err;
    *out = NULL;
    if (!cli_read_file(file, &text)) {
        return CLI_ENV;
    }
    aicp_error_clear(&err);
    aicp_status status = aicp_policy_schema_parse(text.data, text.len, NULL, out, &err);
    if (status == AICP_OK) {
        tell_schema(run, file, &text, *out);
    } else {
        tell_error(run, file, &text, &err);
    }
    cli_text_free(&text);
    return status == AICP_OK ? CLI_OK : CLI_NO;
}

/* ---- the verb ---- */

static int check_file(const check_run *run, const char *file) {
    cli_text text;
    if (!cli_read_file(file, &text)) {
        return CLI_ENV;
    }
    aicp_error err;
    aicp_error_clear(&err);
    aicp_policy_set *set = NULL;
    int code = CLI_OK;
    if (aicp_policy_set_parse(text.data, text.len, NULL, &set, &err) != AICP_OK) {
        tell_error(run, file, &text, &err);
        code = CLI_NO;
    } else if (run->schema != NULL) {
        code = validate(run, file, &text, set);
    }
    aicp_policy_set_free(set);
    cli_text_free(&text);
    return code;
}

static int run_check(const cli_args *args) {
    if (args->operand_count == 0) {
        fputs("aicp policy check: name a file, or - for standard input; see --help\n", stderr);
        return CLI_USAGE;
    }
    check_run run = {.problems = cli_value(args, "json") != NULL ? json_object_new_array() : NULL};
    aicp_policy_schema *schema = NULL;
    const char *schema_file = cli_value(args, "schema");
    int worst = schema_file != NULL ? read_schema(&run, schema_file, &schema) : CLI_OK;
    run.schema = schema;
    run.flags =
        (cli_value(args, "permissive") != NULL ? AICP_POLICY_VALIDATE_PERMISSIVE : 0) |
        (cli_value(args, "inapplicable-warns") != NULL ? AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS
                                                       : 0);
    for (size_t i = 0; i < args->operand_count; i++) {
        int code = check_file(&run, args->operands[i]);
        worst = code > worst ? code : worst;
    }
    aicp_policy_schema_free(schema);
    if (run.problems != NULL) {
        cli_put_line(run.problems);
    }
    return worst;
}

static const cli_option check_options[] = {
    {"schema", "FILE", NULL, "judge the policies by this schema, in Cedar's syntax or as JSON"},
    {"permissive", NULL, NULL, "let values of different types meet where no wrong use follows"},
    {"inapplicable-warns",
     NULL,
     NULL,
     "only warn of a policy whose scope no action of the schema applies to"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_policy_check = {
    .noun = "policy",
    .verb = "check",
    .operands = "FILE...",
    .summary = "Check that Cedar policies can be read, and that they fit a schema",
    .details =
        "Prints file:line:column: error|warning: ... and the line for each finding; with --json "
        "one list.\nWarnings alone exit 0. With an empty file the schema itself is judged.",
    .options = check_options,
    .run = run_check,
};
