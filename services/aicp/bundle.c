/* aicp bundle: sets of rules verified and sealed. */
#include "verbs.h"

#include "aicp/gate.h"

static void print_description(const aicp_bundle *bundle, const char *path, bool people) {
    aicp_buf text = AICP_BUF_INIT;
    if (people) {
        printf("%s: version %s is good\n", path, aicp_bundle_version(bundle));
    } else if (aicp_bundle_describe(bundle, &text, NULL) == AICP_OK) {
        fwrite(text.data, 1, text.len, stdout);
        putchar('\n');
    }
    aicp_buf_free(&text);
}

static bool one_folder(const cli_args *args) {
    if (args->operand_count != 1) {
        fprintf(stderr, "aicp bundle %s: name one folder; see --help\n", args->verb->verb);
    }
    return args->operand_count == 1;
}

static int run_verify(const cli_args *args) {
    aicp_bundle *bundle = NULL;
    aicp_error err;
    aicp_error_clear(&err);
    if (!one_folder(args)) {
        return CLI_USAGE;
    }
    const char *path = args->operands[0];
    aicp_status status = aicp_bundle_open(path, NULL, &bundle, &err);
    if (status != AICP_OK) {
        if (cli_value(args, "json") != NULL) {
            json_object *out = json_object_new_object();
            json_object_object_add(out, "error", cli_json_error(&err));
            cli_put_line(out);
        }
        cli_print_bundle_problem(stderr, path, &err);
        return cli_exit_code(status);
    }
    print_description(bundle, path, cli_is_terminal() && cli_value(args, "json") == NULL);
    aicp_bundle_free(bundle);
    return CLI_OK;
}

static const cli_option verify_options[] = {CLI_COMMON_OPTIONS};

const cli_verb cli_bundle_verify = {
    .noun = "bundle",
    .verb = "verify",
    .operands = "DIR",
    .summary = "Verify a bundle: hashes, and every section in itself",
    .details = "Prints what it holds, or what is wrong with file, line and column.",
    .options = verify_options,
    .run = run_verify,
};

static int run_seal(const cli_args *args) {
    const char *version = cli_value(args, "version");
    aicp_error err;
    aicp_error_clear(&err);
    if (!one_folder(args)) {
        return CLI_USAGE;
    }
    if (version == NULL) {
        return cli_missing(args, "version");
    }
    aicp_status status = aicp_bundle_seal(args->operands[0], version, &err);
    if (status != AICP_OK) {
        cli_print_bundle_problem(stderr, args->operands[0], &err);
        return cli_exit_code(status);
    }
    return CLI_OK;
}

static const cli_option seal_options[] = {
    {"version", "TEXT", NULL, "version of the bundle (needed)"},
    {"help", NULL, NULL, "this text"},
    {NULL, NULL, NULL, NULL}};

const cli_verb cli_bundle_seal = {
    .noun = "bundle",
    .verb = "seal",
    .operands = "DIR",
    .summary = "Write the manifest for a folder of sections",
    .details = "Each section is checked first; nothing is written when one is wrong. A gate that\n"
               "watches the folder takes the new version up.",
    .options = seal_options,
    .run = run_seal,
};
