/* aicp completion: a shell's completion script, made from the verb and option tables. */
#include "verbs.h"

#include <string.h>

static void put_words_bash(const cli_verb *verb) {
    for (const cli_option *o = verb->options; o->name != NULL; o++) {
        printf(" --%s", o->name);
    }
}

static void put_bash(void) {
    puts("_aicp() {");
    puts("    local cur=${COMP_WORDS[COMP_CWORD]} words=");
    puts("    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in");
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        const cli_verb *v = cli_verbs[i];
        printf(
            "    \"%s %s\"%s) words=\"",
            v->noun,
            v->verb != NULL ? v->verb : "",
            v->verb != NULL ? "" : "*");
        put_words_bash(v);
        puts("\" ;;");
    }
    puts("    esac");
    puts("    if [ \"$COMP_CWORD\" -eq 2 ]; then case \"${COMP_WORDS[1]}\" in");
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        if (cli_verbs[i]->verb != NULL) {
            printf("    %s) words=\"$words %s\" ;;&\n", cli_verbs[i]->noun, cli_verbs[i]->verb);
        }
    }
    puts("    esac; fi");
    fputs("    [ \"$COMP_CWORD\" -eq 1 ] && words=\"--help --version", stdout);
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        if (i == 0 || strcmp(cli_verbs[i]->noun, cli_verbs[i - 1]->noun) != 0) {
            printf(" %s", cli_verbs[i]->noun);
        }
    }
    puts("\"");
    puts("    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))");
    puts("}");
    puts("complete -o default -F _aicp aicp");
}

/* The end of a line for fish: a description in single quotes. */
static void put_description(const char *text) {
    fputs(" -d '", stdout);
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text);
    }
    puts("'");
}

static void put_fish(void) {
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        const cli_verb *v = cli_verbs[i];
        printf("complete -c aicp -n __fish_use_subcommand -a %s", v->noun);
        put_description(v->verb != NULL ? v->noun : v->summary);
        if (v->verb != NULL) {
            printf("complete -c aicp -n '__fish_seen_subcommand_from %s' -a %s", v->noun, v->verb);
            put_description(v->summary);
        }
        for (const cli_option *o = v->options; o->name != NULL; o++) {
            printf("complete -c aicp -n '__fish_seen_subcommand_from %s", v->noun);
            printf(
                "%s%s' -l %s%s",
                v->verb != NULL ? "; and __fish_seen_subcommand_from " : "",
                v->verb != NULL ? v->verb : "",
                o->name,
                o->value != NULL ? " -r" : "");
            put_description(o->help);
        }
    }
}

static int run(const cli_args *args) {
    const char *shell = args->operand_count == 1 ? args->operands[0] : "";
    if (strcmp(shell, "bash") == 0) {
        put_bash();
    } else if (strcmp(shell, "fish") == 0) {
        put_fish();
    } else {
        fputs("aicp completion: name one shell, bash or fish\n", stderr);
        return CLI_USAGE;
    }
    return CLI_OK;
}

static const cli_option options[] = {{"help", NULL, NULL, "this text"}, {NULL, NULL, NULL, NULL}};

const cli_verb cli_completion = {
    .noun = "completion",
    .operands = "bash|fish",
    .summary = "Print a completion script for a shell",
    .details = "Use: source <(aicp completion bash)",
    .options = options,
    .run = run,
};
