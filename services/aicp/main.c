/* Finds the verb, reads its options, runs it. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static void print_usage(FILE *to) {
    fputs(
        "Usage: aicp VERB [options] [FILE...]\n       aicp --version | --help\n\n"
        "Policy, limits, guardrails, cost and budgets for AI requests.\n\nVerbs:\n",
        to);
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        const cli_verb *v = cli_verbs[i];
        char name[40];
        snprintf(
            name,
            sizeof name,
            "%s%s%s",
            v->noun,
            v->verb != NULL ? " " : "",
            v->verb != NULL ? v->verb : "");
        fprintf(to, "  %-20s %s\n", name, v->summary);
    }
    fputs(
        "\nExit: 0 done, 1 the answer is no or a line was bad, 2 usage, 3 file, network or store.\n"
        "aicp VERB --help tells more about each.\n",
        to);
}

static const cli_verb *find_verb(int argc, char **argv, int *used) {
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        const cli_verb *v = cli_verbs[i];
        if (strcmp(argv[1], v->noun) != 0) {
            continue;
        }
        if (v->verb == NULL) {
            *used = 2;
            return v;
        }
        if (argc > 2 && strcmp(argv[2], v->verb) == 0) {
            *used = 3;
            return v;
        }
    }
    return NULL;
}

/* `aicp policy --help` and `aicp policy nonsense`: what the noun has. */
static int list_noun(int argc, char **argv) {
    bool found = false;
    bool help = argc > 2 && strcmp(argv[2], "--help") == 0;
    FILE *to = help ? stdout : stderr;
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        if (strcmp(cli_verbs[i]->noun, argv[1]) == 0) {
            if (!found) {
                fprintf(to, "aicp %s has these verbs:\n", argv[1]);
            }
            fprintf(to, "  %-12s %s\n", cli_verbs[i]->verb, cli_verbs[i]->summary);
            found = true;
        }
    }
    if (!found) {
        fprintf(stderr, "aicp: no such verb: %s; see aicp --help\n", argv[1]);
    }
    return found && help ? CLI_OK : CLI_USAGE;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("aicp %s\n", aicp_version());
        return CLI_OK;
    }
    int used = 0;
    const cli_verb *verb = find_verb(argc, argv, &used);
    if (verb == NULL) {
        return list_noun(argc, argv);
    }
    cli_args args;
    if (!cli_parse(&args, verb, argc - used, argv + used)) {
        return CLI_USAGE;
    }
    if (cli_value(&args, "help") != NULL) {
        cli_print_help(verb, stdout);
        return CLI_OK;
    }
    return verb->run(&args);
}

int main(int argc, char **argv) {
    int code = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("aicp: cannot write to standard output\n", stderr);
        return CLI_ENV;
    }
    return code;
}
