/**
 * The frame of the command-line tool: one table of verbs, each with a table of options from which
 * parsing, --help and shell completion come. Exit codes: 0 done, 1 the answer is no or a line was
 * bad, 2 usage, 3 environment (file, network, store).
 */
#ifndef AICP_CLI_H
#define AICP_CLI_H

#include "aicp/base.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_OK = 0, CLI_NO = 1, CLI_USAGE = 2, CLI_ENV = 3 };

/** Largest number of options one verb may have. */
#define CLI_OPTIONS_MAX 24

typedef struct cli_option {
    const char *name;    /* long name without dashes; NULL ends a table */
    const char *value;   /* placeholder of its value, NULL for a flag */
    const char *choices; /* words allowed, separated by "|", or NULL */
    const char *help;
} cli_option;

typedef struct cli_verb cli_verb;

/** A parsed command line. */
typedef struct cli_args {
    const cli_verb *verb;
    const char *values[CLI_OPTIONS_MAX]; /* by place in the verb's table; flags hold "" */
    char **operands;
    size_t operand_count;
} cli_args;

struct cli_verb {
    const char *noun;
    const char *verb; /* NULL when the noun stands alone */
    const char *operands;
    const char *summary;
    const char *details;
    const cli_option *options;
    int (*run)(const cli_args *args);
};

/* options.c */

/** Value of an option of the verb's table, "" for a flag that was given, NULL when it was not. */
const char *cli_value(const cli_args *args, const char *name);
/** The same with the command line not giving it replaced by `fallback`. */
const char *cli_value_or(const cli_args *args, const char *name, const char *fallback);
/** Reads argv after the verb; false (message printed) when it does not fit the table. */
bool cli_parse(cli_args *args, const cli_verb *verb, int argc, char **argv);
/** Complains that an option the verb cannot do without is missing; returns CLI_USAGE. */
int cli_missing(const cli_args *args, const char *name);
void cli_print_help(const cli_verb *verb, FILE *to);

/* verbs.c */

extern const cli_verb *const cli_verbs[]; /* NULL ends the table */

/* io.c */

typedef struct cli_text {
    char *data;
    size_t len;
} cli_text;

void *cli_alloc(size_t size);
void cli_text_free(cli_text *text);
/** Reads a whole file, "-" being standard input; false with a message on stderr. */
bool cli_read_file(const char *path, cli_text *out);
/** Prints an error of the library: `what:line:column: error: message`. */
void cli_print_problem(FILE *to, const char *what, const aicp_error *err);
/** Prints an error of a bundle; one in a section's text as `folder/file:line:column: error:
 * message`. */
void cli_print_bundle_problem(FILE *to, const char *folder, const aicp_error *err);
/** A score as people write it: at most six decimals, at least one. */
json_object *cli_json_fraction(double value);
/** Whether standard output is a terminal: then people read it. */
bool cli_is_terminal(void);
/** Exit code of an error that ends the run: environment for files, network and stores, else no. */
int cli_exit_code(aicp_status status);
/** Writes one JSON object as one line and gives it back. */
void cli_put_line(json_object *line);
json_object *cli_json_error(const aicp_error *err);
/** Sets line buffering as the flag and the terminal want it. */
void cli_set_buffering(const cli_args *args);

/** Handles one input line; fills `out`, or returns false with `err` set. */
typedef bool cli_line_fn(void *user, json_object *in, json_object *out, aicp_error *err);
/**
 * Runs `each` over JSON Lines from the operands (standard input when there are none). One line out
 * for each line in; a bad line's output has "error" and the run goes on.
 */
int cli_each_line(const cli_args *args, cli_line_fn *each, void *user);

/** Handles some whole lines, the first of which has that number; gives an exit code. */
typedef int cli_block_fn(void *user, cli_text block, uint32_t first_line);
/**
 * Hands the lines of the operands (standard input when there are none) on in blocks, as large as
 * they come: from a terminal each line at once. The run goes on behind CLI_NO; gives the worst
 * exit code.
 */
int cli_each_block(const cli_args *args, cli_block_fn *each, void *user);

/* Typed reading of fields: false with `err` set when a field is missing or of another type. */
bool cli_get_text(
    json_object *from, const char *name, bool required, cli_text *out, aicp_error *err);
bool cli_get_object(
    json_object *from, const char *name, bool required, json_object **out, aicp_error *err);
void cli_fail(aicp_error *err, aicp_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define CLI_COMMON_OPTIONS                                                                         \
    {"json", NULL, NULL, "JSON instead of text for people"},                                       \
        {"line-buffered", NULL, NULL, "write each line at once"},                                  \
        {"help", NULL, NULL, "this text"}, {                                                       \
        NULL, NULL, NULL, NULL                                                                     \
    }

#endif
