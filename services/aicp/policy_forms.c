/* aicp policy format, to-json, from-json, schema: the forms of policies and schemas. */
#include "verbs.h"

#include "aicp/policy.h"

#include <stdlib.h>
#include <string.h>

/* Turns the text of a file into another one. */
typedef aicp_status
form_fn(const cli_args *args, const cli_text *in, aicp_buf *out, aicp_error *err);

/* The one operand, standard input when there is none. NULL: there are more, which was told. */
static const char *file_of(const cli_args *args, size_t first) {
    if (args->operand_count > first + 1) {
        fprintf(
            stderr,
            "aicp %s %s: one file at a time; see --help\n",
            args->verb->noun,
            args->verb->verb);
        return NULL;
    }
    return args->operand_count > first ? args->operands[first] : "-";
}

static void put_text(const aicp_buf *text) {
    fwrite(text->data, 1, text->len, stdout);
    if (text->len > 0 && text->data[text->len - 1] != '\n') {
        putchar('\n');
    }
}

/* Reads a file and turns it; an exit code. `in` and `out` are to be freed both ways. */
static int
turn(const cli_args *args, const char *file, form_fn *form, cli_text *in, aicp_buf *out) {
    aicp_error err;
    *in = (cli_text){NULL, 0};
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!cli_read_file(file, in)) {
        return CLI_ENV;
    }
    aicp_error_clear(&err);
    aicp_status status = form(args, in, out, &err);
    if (status != AICP_OK) {
        cli_print_problem(stderr, file, &err);
        return cli_exit_code(status);
    }
    return CLI_OK;
}

static int print_form(const cli_args *args, size_t first, form_fn *form) {
    const char *file = file_of(args, first);
    cli_text in;
    aicp_buf out;
    if (file == NULL) {
        return CLI_USAGE;
    }
    int code = turn(args, file, form, &in, &out);
    if (code == CLI_OK) {
        put_text(&out);
    }
    cli_text_free(&in);
    aicp_buf_free(&out);
    return code;
}

/* ---- format ---- */

/* A number of an option; false when it is none, which was told. */
static bool number_of(const cli_args *args, const char *name, uint32_t most, uint32_t *out) {
    const char *text = cli_value(args, name);
    char *end = NULL;
    if (text == NULL) {
        return true;
    }
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value == 0 || value > most) {
        fprintf(
            stderr,
            "aicp policy format: --%s must be a number from 1 to %u\n",
            name,
            (unsigned)most);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool read_layout(const cli_args *args, aicp_policy_format_options *options) {
    return number_of(args, "width", 1000, &options->line_width) &&
           number_of(args, "indent", 16, &options->indent);
}

static aicp_status
format_text(const cli_args *args, const cli_text *in, aicp_buf *out, aicp_error *err) {
    aicp_policy_format_options options = AICP_POLICY_FORMAT_OPTIONS_INIT;
    if (!read_layout(args, &options)) {
        return AICP_ERR_INVALID;
    }
    return aicp_policy_format(in->data, in->len, &options, out, err);
}

static bool write_file(const char *path, const aicp_buf *text) {
    FILE *file = fopen(path, "wb");
    bool ok = file != NULL && fwrite(text->data, 1, text->len, file) == text->len;
    ok = (file == NULL || fclose(file) == 0) && ok;
    if (!ok) {
        perror(path);
    }
    return ok;
}

/* One file in the way that the flags ask for. */
static int format_file(const cli_args *args, const char *file) {
    bool check = cli_value(args, "check") != NULL;
    bool write = cli_value(args, "write") != NULL && strcmp(file, "-") != 0;
    cli_text in;
    aicp_buf out;
    int code = turn(args, file, format_text, &in, &out);
    if (code == CLI_OK) {
        bool same = in.len == out.len && (in.len == 0 || memcmp(in.data, out.data, in.len) == 0);
        if (check && !same) {
            printf("%s\n", file);
            code = CLI_NO;
        } else if (write && !same) {
            code = write_file(file, &out) ? CLI_OK : CLI_ENV;
        } else if (!check && !write) {
            put_text(&out);
        }
    }
    cli_text_free(&in);
    aicp_buf_free(&out);
    return code;
}

static int run_format(const cli_args *args) {
    aicp_policy_format_options options = AICP_POLICY_FORMAT_OPTIONS_INIT;
    if (!read_layout(args, &options)) {
        return CLI_USAGE;
    }
    int worst = args->operand_count == 0 ? format_file(args, "-") : CLI_OK;
    for (size_t i = 0; i < args->operand_count; i++) {
        int code = format_file(args, args->operands[i]);
        worst = code > worst ? code : worst;
    }
    return worst;
}

static const cli_option format_options[] = {
    {"check", NULL, NULL, "name the files that would change, and exit 1 when there are any"},
    {"write", NULL, NULL, "write the files instead of standard output"},
    {"width", "COLUMNS", NULL, "of a line, default 80"},
    {"indent", "COLUMNS", NULL, "of a level, default 2"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_policy_format = {
    .noun = "policy",
    .verb = "format",
    .operands = "[FILE...]",
    .summary = "Lay out Cedar policies, comments kept",
    .options = format_options,
    .run = run_format,
};

/* ---- policies and JSON ---- */

static aicp_status
rewrite(const cli_args *args, const cli_text *in, int32_t format, aicp_buf *out, aicp_error *err) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    aicp_policy_set *set = NULL;
    if (cli_value(args, "id-from-annotation") != NULL) {
        options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    }
    aicp_status status = aicp_policy_set_parse(in->data, in->len, &options, &set, err);
    status = status == AICP_OK ? aicp_policy_set_write(set, format, out, err) : status;
    aicp_policy_set_free(set);
    return status;
}

static aicp_status
policies_to_json(const cli_args *args, const cli_text *in, aicp_buf *out, aicp_error *err) {
    return rewrite(args, in, AICP_POLICY_FORMAT_JSON, out, err);
}

static aicp_status
policies_from_json(const cli_args *args, const cli_text *in, aicp_buf *out, aicp_error *err) {
    return rewrite(args, in, AICP_POLICY_FORMAT_CEDAR, out, err);
}

static int run_to_json(const cli_args *args) {
    return print_form(args, 0, policies_to_json);
}

static int run_from_json(const cli_args *args) {
    return print_form(args, 0, policies_from_json);
}

static const cli_option rewrite_options[] = {
    {"id-from-annotation", NULL, NULL, "@id(\"...\") is the policy's id"}, CLI_COMMON_OPTIONS};
static const cli_option no_options[] = {CLI_COMMON_OPTIONS};

const cli_verb cli_policy_to_json = {
    .noun = "policy",
    .verb = "to-json",
    .operands = "[FILE]",
    .summary = "Write Cedar policies as a policy set in JSON",
    .options = rewrite_options,
    .run = run_to_json,
};

const cli_verb cli_policy_from_json = {
    .noun = "policy",
    .verb = "from-json",
    .operands = "[FILE]",
    .summary = "Write policies in JSON as Cedar's text",
    .details = "A set with links of templates has no such form.",
    .options = no_options,
    .run = run_from_json,
};

/* ---- schemas ---- */

static aicp_status
rewrite_schema(const cli_text *in, int32_t format, aicp_buf *out, aicp_error *err) {
    aicp_policy_schema *schema = NULL;
    aicp_status status = aicp_policy_schema_parse(in->data, in->len, NULL, &schema, err);
    status = status == AICP_OK ? aicp_policy_schema_write(schema, format, out, err) : status;
    aicp_policy_schema_free(schema);
    return status;
}

static aicp_status
schema_to_json(const cli_args *args, const cli_text *in, aicp_buf *out, aicp_error *err) {
    (void)args;
    return rewrite_schema(in, AICP_POLICY_FORMAT_JSON, out, err);
}

static aicp_status
schema_from_json(const cli_args *args, const cli_text *in, aicp_buf *out, aicp_error *err) {
    (void)args;
    return rewrite_schema(in, AICP_POLICY_FORMAT_CEDAR, out, err);
}

static int run_schema(const cli_args *args) {
    static const struct {
        const char *name;
        form_fn *form;
    } ways[] = {{"to-json", schema_to_json}, {"from-json", schema_from_json}};
    for (size_t i = 0; args->operand_count > 0 && i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(args->operands[0], ways[i].name) == 0) {
            return print_form(args, 1, ways[i].form);
        }
    }
    fputs("aicp policy schema: to-json or from-json; see --help\n", stderr);
    return CLI_USAGE;
}

const cli_verb cli_policy_schema = {
    .noun = "policy",
    .verb = "schema",
    .operands = "to-json|from-json [FILE]",
    .summary = "Write a schema as JSON, or as Cedar's text",
    .options = no_options,
    .run = run_schema,
};
