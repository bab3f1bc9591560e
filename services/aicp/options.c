/* Option tables: parsing, and the help made from them. */
#include "cli.h"

#include <string.h>

static void print_name(const cli_verb *verb, FILE *to) {
    fprintf(
        to,
        "aicp %s%s%s",
        verb->noun,
        verb->verb != NULL ? " " : "",
        verb->verb != NULL ? verb->verb : "");
}

static size_t find_option(const cli_verb *verb, const char *name, size_t len) {
    size_t i = 0;
    for (; verb->options[i].name != NULL; i++) {
        if (strlen(verb->options[i].name) == len && memcmp(verb->options[i].name, name, len) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

const char *cli_value(const cli_args *args, const char *name) {
    size_t i = find_option(args->verb, name, strlen(name));
    return i == SIZE_MAX ? NULL : args->values[i];
}

const char *cli_value_or(const cli_args *args, const char *name, const char *fallback) {
    const char *value = cli_value(args, name);
    return value != NULL ? value : fallback;
}

int cli_missing(const cli_args *args, const char *name) {
    print_name(args->verb, stderr);
    fprintf(stderr, ": --%s is missing; see --help\n", name);
    return CLI_USAGE;
}

static bool is_choice(const char *choices, const char *value) {
    size_t len = strlen(value);
    for (const char *at = choices; at != NULL && *at != '\0';) {
        const char *end = strchr(at, '|');
        size_t n = end != NULL ? (size_t)(end - at) : strlen(at);
        if (n == len && memcmp(at, value, len) == 0) {
            return true;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static bool complain(const cli_verb *verb, const char *format, const char *what) {
    print_name(verb, stderr);
    fputs(": ", stderr);
    for (const char *at = format; *at != '\0'; at++) {
        if (*at == '@') {
            fputs(what, stderr);
        } else {
            fputc(*at, stderr);
        }
    }
    fputs("; see --help\n", stderr);
    return false;
}

/* Takes `--name`, `--name=value` or `--name value`; `*i` moves on when the value is the next word.
 */
static bool take_option(cli_args *args, int argc, char **argv, int *i) {
    const char *word = argv[*i] + 2;
    const char *equals = strchr(word, '=');
    size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);
    size_t at = find_option(args->verb, word, len);
    if (at == SIZE_MAX || at >= CLI_OPTIONS_MAX) {
        return complain(args->verb, "unknown option @", argv[*i]);
    }
    const cli_option *option = &args->verb->options[at];
    if (option->value == NULL) {
        if (equals != NULL) {
            return complain(args->verb, "--@ takes no value", option->name);
        }
        args->values[at] = "";
        return true;
    }
    if (equals == NULL && *i + 1 >= argc) {
        return complain(args->verb, "--@ needs a value", option->name);
    }
    args->values[at] = equals != NULL ? equals + 1 : argv[++*i];
    if (option->choices != NULL && !is_choice(option->choices, args->values[at])) {
        return complain(args->verb, "--@ knows no such value", option->name);
    }
    return true;
}

bool cli_parse(cli_args *args, const cli_verb *verb, int argc, char **argv) {
    memset(args, 0, sizeof *args);
    args->verb = verb;
    args->operands = argv;
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[args->operand_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (argv[i][1] != '-') {
            return complain(verb, "unknown option @", argv[i]);
        } else if (!take_option(args, argc, argv, &i)) {
            return false;
        }
    }
    if (args->operand_count > 0 && verb->operands == NULL && cli_value(args, "help") == NULL) {
        return complain(verb, "takes no argument, but there is @", args->operands[0]);
    }
    return true;
}

void cli_print_help(const cli_verb *verb, FILE *to) {
    fputs("Usage: ", to);
    print_name(verb, to);
    fprintf(
        to,
        " [options]%s%s\n\n%s.\n",
        verb->operands != NULL ? " " : "",
        verb->operands != NULL ? verb->operands : "",
        verb->summary);
    if (verb->details != NULL) {
        fprintf(to, "\n%s\n", verb->details);
    }
    fputs("\nOptions:\n", to);
    for (const cli_option *o = verb->options; o->name != NULL; o++) {
        char left[64];
        const char *value = o->choices != NULL ? o->choices : o->value;
        snprintf(
            left,
            sizeof left,
            "--%s%s%s",
            o->name,
            value != NULL ? " " : "",
            value != NULL ? value : "");
        fprintf(to, "  %-28s %s\n", left, o->help);
    }
}
