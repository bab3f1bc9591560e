/* aicp tokens: counts tokens of texts. */
#include "verbs.h"

#include "aicp/cost.h"

#include <string.h>

typedef struct tokens_run {
    aicp_tokenizer *tokenizer;
    int32_t special;
    bool ids;
} tokens_run;

static bool
put_ids(tokens_run *run, const char *data, size_t len, json_object *out, aicp_error *err) {
    aicp_buf ids = AICP_BUF_INIT;
    if (aicp_tokenizer_encode(run->tokenizer, data, len, run->special, &ids, err) != AICP_OK) {
        return false;
    }
    size_t count = ids.len / sizeof(uint32_t);
    json_object *list = json_object_new_array_ext((int)(count < 1048576 ? count : 1048576));
    for (size_t i = 0; i < count; i++) {
        uint32_t id;
        memcpy(&id, ids.data + i * sizeof id, sizeof id);
        json_object_array_add(list, json_object_new_int64(id));
    }
    json_object_object_add(out, "count", json_object_new_int64((int64_t)count));
    json_object_object_add(out, "ids", list);
    aicp_buf_free(&ids);
    return true;
}

static bool
count_text(tokens_run *run, const char *data, size_t len, json_object *out, aicp_error *err) {
    int64_t count = 0;
    if (run->ids) {
        return put_ids(run, data, len, out, err);
    }
    if (aicp_tokenizer_count(run->tokenizer, data, len, run->special, &count, err) != AICP_OK) {
        return false;
    }
    json_object_object_add(out, "count", json_object_new_int64(count));
    return true;
}

static bool count_line(void *user, json_object *in, json_object *out, aicp_error *err) {
    cli_text text;
    return cli_get_text(in, "text", true, &text, err) &&
           count_text(user, text.data, text.len, out, err);
}

static int count_file(tokens_run *run, const char *path, bool json) {
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    json_object *out = json_object_new_object();
    bool ok = count_text(run, text.data, text.len, out, &err);
    cli_text_free(&text);
    if (!ok) {
        cli_print_problem(stderr, path, &err);
        json_object_put(out);
        return CLI_NO;
    }
    if (json || run->ids) {
        cli_put_line(out);
    } else {
        printf("%s\n", json_object_get_string(json_object_object_get(out, "count")));
        json_object_put(out);
    }
    return CLI_OK;
}

static int count_files(const cli_args *args, tokens_run *run) {
    bool json = cli_value(args, "json") != NULL;
    int worst = args->operand_count == 0 ? count_file(run, "-", json) : CLI_OK;
    for (size_t i = 0; i < args->operand_count; i++) {
        int code = count_file(run, args->operands[i], json);
        worst = code > worst ? code : worst;
    }
    return worst;
}

static int run(const cli_args *args) {
    const char *encoding = cli_value(args, "encoding");
    const char *model = cli_value(args, "model");
    const char *special = cli_value_or(args, "special", "none");
    tokens_run job = {NULL, AICP_SPECIAL_ORDINARY, cli_value(args, "ids") != NULL};
    aicp_error err;
    aicp_error_clear(&err);
    if ((encoding != NULL) == (model != NULL)) {
        fputs("aicp tokens: give --encoding or --model; see --help\n", stderr);
        return CLI_USAGE;
    }
    if (model != NULL) {
        encoding = aicp_token_profile_encoding(aicp_token_profile_find(model, strlen(model)));
    }
    if (strcmp(special, "all") == 0) {
        job.special = AICP_SPECIAL_ALLOW;
    } else if (strcmp(special, "strict") == 0) {
        job.special = AICP_SPECIAL_STRICT;
    }
    if (aicp_tokenizer_open(encoding, strlen(encoding), NULL, &job.tokenizer, &err) != AICP_OK) {
        cli_print_problem(stderr, encoding, &err);
        return CLI_USAGE;
    }
    int code = cli_value(args, "jsonl") != NULL ? cli_each_line(args, count_line, &job)
                                                : count_files(args, &job);
    aicp_tokenizer_free(job.tokenizer);
    return code;
}

static const cli_option options[] = {
    {"encoding", "NAME", NULL, "o200k_base, o200k_harmony or cl100k_base"},
    {"model", "NAME", NULL, "the encoding of this model"},
    {"ids", NULL, NULL, "the ids too, as JSON"},
    {"jsonl", NULL, NULL, "input is JSON Lines with \"text\""},
    {"special", "HOW", "none|all|strict", "texts of special tokens: plain, tokens, errors"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_tokens = {
    .noun = "tokens",
    .operands = "[FILE...]",
    .summary = "Count the tokens of texts",
    .details =
        "Input is raw bytes, also such that are not UTF-8. Prints the count of each file, or\n"
        "{\"count\":n,\"ids\":[...]}.",
    .options = options,
    .run = run,
};
