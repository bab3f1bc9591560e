/* aicp policy: Cedar policies asked; policy_check.c checks them, policy_explain.c tells why. */
#include "verbs.h"

#include "aicp/policy.h"

#include <string.h>

/* ---- authorize ------------------------------------------------------------------------------- */

/* Whether an answer is an error: the library writes each in a line of its own. */
static bool has_error(const aicp_buf *answers) {
    static const char mark[] = "{\"error\":";
    size_t at = 0;
    while (at < answers->len) {
        const char *line = answers->data + at;
        const char *end = memchr(line, '\n', answers->len - at);
        if (strncmp(line, mark, sizeof mark - 1) == 0) {
            return true;
        }
        at = end != NULL ? (size_t)(end - answers->data) + 1 : answers->len;
    }
    return false;
}

static int authorize_block(void *user, cli_text block, uint32_t first_line) {
    const cli_policy_run *run = user;
    aicp_policy_batch_options options = AICP_POLICY_BATCH_OPTIONS_INIT;
    aicp_buf answers = AICP_BUF_INIT;
    aicp_error err;
    aicp_error_clear(&err);
    options.flags = AICP_POLICY_LINES;
    options.first_line = first_line;
    options.schema = run->schema;
    if (aicp_policy_authorize_json(
            run->set, run->entities, &options, block.data, block.len, &answers, &err) != AICP_OK) {
        cli_print_problem(stderr, "aicp", &err);
        return CLI_ENV;
    }
    int code = has_error(&answers) ? CLI_NO : CLI_OK;
    fwrite(answers.data, 1, answers.len, stdout);
    aicp_buf_free(&answers);
    return code;
}

static int load_policies(const cli_args *args, cli_policy_run *run) {
    const char *path = cli_value(args, "policies");
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (cli_value(args, "id-from-annotation") != NULL) {
        options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    }
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    aicp_status status = aicp_policy_set_parse(text.data, text.len, &options, &run->set, &err);
    cli_text_free(&text);
    const char *links = cli_value(args, "links");
    if (status == AICP_OK && links != NULL) {
        if (!cli_read_file(links, &text)) {
            return CLI_ENV;
        }
        path = links;
        aicp_policy_set *linked = NULL;
        status = aicp_policy_set_link(run->set, text.data, text.len, &linked, &err);
        cli_text_free(&text);
        if (status == AICP_OK) {
            aicp_policy_set_free(run->set);
            run->set = linked;
        }
    }
    if (status != AICP_OK) {
        cli_print_problem(stderr, path, &err);
    }
    return status == AICP_OK ? CLI_OK : CLI_NO;
}

static int load_schema(const cli_args *args, cli_policy_run *run) {
    const char *path = cli_value(args, "schema");
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (path == NULL) {
        return CLI_OK;
    }
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    aicp_status status = aicp_policy_schema_parse(text.data, text.len, NULL, &run->schema, &err);
    cli_text_free(&text);
    if (status != AICP_OK) {
        cli_print_problem(stderr, path, &err);
    }
    return status == AICP_OK ? CLI_OK : CLI_NO;
}

static int load_entities(const cli_args *args, cli_policy_run *run) {
    const char *path = cli_value(args, "entities");
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    const cli_text none = {"[]", 2}; /* the actions of a schema are entities, too */
    cli_text text = none;
    aicp_error err;
    aicp_error_clear(&err);
    if (path == NULL && run->schema == NULL) {
        return CLI_OK;
    }
    if (path != NULL && !cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    options.schema = run->schema;
    aicp_status status =
        aicp_policy_entities_parse(text.data, text.len, &options, &run->entities, &err);
    if (path != NULL) {
        cli_text_free(&text);
    }
    if (status != AICP_OK) {
        cli_print_problem(stderr, path != NULL ? path : "aicp", &err);
    }
    return status == AICP_OK ? CLI_OK : CLI_NO;
}

int cli_policy_lines(const cli_args *args, cli_block_fn *each) {
    cli_policy_run run = {.args = args};
    if (cli_value(args, "policies") == NULL) {
        return cli_missing(args, "policies");
    }
    int code = load_policies(args, &run);
    code = code == CLI_OK ? load_schema(args, &run) : code;
    code = code == CLI_OK ? load_entities(args, &run) : code;
    code = code == CLI_OK ? cli_each_block(args, each, &run) : code;
    aicp_policy_entities_free(run.entities);
    aicp_policy_schema_free(run.schema);
    aicp_policy_set_free(run.set);
    return code;
}

static int run_authorize(const cli_args *args) {
    return cli_policy_lines(args, authorize_block);
}

static const cli_option authorize_options[] = {CLI_POLICY_OPTIONS, CLI_COMMON_OPTIONS};

const cli_verb cli_policy_authorize = {
    .noun = "policy",
    .verb = "authorize",
    .operands = "[FILE...]",
    .summary = "Ask Cedar policies, one request a line",
    .details = "Input: {\"principal\":{\"type\":\"User\",\"id\":\"a\"},\"action\":...,"
               "\"resource\":...,\"context\":{...}};\nentities may also stand as Type::\"id\". "
               "Output: {\"decision\":\"allow\"|\"deny\",\"reasons\":[ids],\n"
               "\"errors\":[{\"policy\",\"kind\",\"message\",\"line\",\"column\"}]}.",
    .options = authorize_options,
    .run = run_authorize,
};
