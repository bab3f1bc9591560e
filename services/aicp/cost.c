/* aicp cost: what a request may cost. */
#include "verbs.h"

#include "aicp/cost.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct cost_run {
    aicp_price_table *table;
    aicp_cost_request *request;
} cost_run;

static void put_money(json_object *to, const char *name, int64_t nano) {
    char text[AICP_MONEY_TEXT_SIZE];
    aicp_money_format(nano, text);
    json_object_object_add(to, name, json_object_new_string(text));
}

static void put_quote(const aicp_price *price, const aicp_cost_quote *quote, json_object *out) {
    json_object *output = json_object_new_object();
    json_object *cost = json_object_new_object();
    const aicp_token_count *input = &quote->input;
    json_object_object_add(out, "provider", json_object_new_string(aicp_price_provider(price)));
    json_object_object_add(out, "input_tokens", json_object_new_int64(input->tokens));
    json_object_object_add(output, "p50", json_object_new_int64(quote->output_p50));
    json_object_object_add(output, "p95", json_object_new_int64(quote->output_p95));
    json_object_object_add(output, "cap", json_object_new_int64(quote->output_cap));
    json_object_object_add(out, "output_tokens_expected", output);
    put_money(cost, "input", quote->cost_input_nano);
    put_money(cost, "output", quote->cost_expected_nano - quote->cost_input_nano);
    put_money(cost, "total_expected", quote->cost_expected_nano);
    put_money(cost, "total_p95", quote->cost_p95_nano);
    put_money(cost, "total_max", quote->cost_max_nano);
    json_object_object_add(out, "cost", cost);
    json_object_object_add(out, "currency", json_object_new_string("USD"));
    const char *basis = aicp_count_quality_name(input->quality);
    json_object_object_add(out, "basis", json_object_new_string(basis));
    if (input->low != input->high) {
        json_object *range = json_object_new_object();
        json_object_object_add(range, "low", json_object_new_int64(input->low));
        json_object_object_add(range, "high", json_object_new_int64(input->high));
        json_object_object_add(out, "input_tokens_range", range);
    }
    json_object_object_add(out, "price_version", json_object_new_string(aicp_price_version(price)));
}

static bool
cost_body(cost_run *run, const char *data, size_t len, json_object *out, aicp_error *err) {
    const char *model = NULL;
    size_t model_len = 0;
    const aicp_price *price = NULL;
    aicp_cost_quote quote = {0};
    if (aicp_cost_request_parse(run->request, data, len, err) != AICP_OK) {
        return false;
    }
    aicp_cost_request_model(run->request, &model, &model_len);
    if (model == NULL) {
        cli_fail(err, AICP_ERR_INVALID, "\"model\" is missing");
        return false;
    }
    json_object_object_add(out, "model", json_object_new_string_len(model, (int)model_len));
    if (aicp_price_table_find(run->table, model, model_len, &price, err) != AICP_OK ||
        aicp_cost_estimate(run->request, price, NULL, &quote, err) != AICP_OK) {
        return false;
    }
    put_quote(price, &quote, out);
    return true;
}

static bool cost_line(void *user, json_object *in, json_object *out, aicp_error *err) {
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        in, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    return cost_body(user, text, len, out, err);
}

static void print_people(json_object *line) {
    json_object *cost = json_object_object_get(line, "cost");
    json_object *output = json_object_object_get(line, "output_tokens_expected");
    const char *unit = json_object_get_string(json_object_object_get(line, "currency"));
    printf(
        "model            %s (%s)\n",
        json_object_get_string(json_object_object_get(line, "model")),
        json_object_get_string(json_object_object_get(line, "provider")));
    printf(
        "input tokens     %s (%s)\n",
        json_object_get_string(json_object_object_get(line, "input_tokens")),
        json_object_get_string(json_object_object_get(line, "basis")));
    printf(
        "output expected  %s, rarely above %s\n",
        json_object_get_string(json_object_object_get(output, "p50")),
        json_object_get_string(json_object_object_get(output, "p95")));
    printf(
        "cost expected    %s %s\n",
        json_object_get_string(json_object_object_get(cost, "total_expected")),
        unit);
    printf(
        "cost at most     %s %s\n",
        json_object_get_string(json_object_object_get(cost, "total_max")),
        unit);
}

static int cost_file(cost_run *run, const char *path, bool people) {
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    json_object *out = json_object_new_object();
    bool ok = cost_body(run, text.data, text.len, out, &err);
    cli_text_free(&text);
    if (!ok) {
        cli_print_problem(stderr, path, &err);
        json_object_put(out);
        return CLI_NO;
    }
    if (people) {
        print_people(out);
        json_object_put(out);
    } else {
        cli_put_line(out);
    }
    return CLI_OK;
}

static int cost_files(const cli_args *args, cost_run *run) {
    bool people = cli_is_terminal() && cli_value(args, "json") == NULL;
    int worst = args->operand_count == 0 ? cost_file(run, "-", people) : CLI_OK;
    for (size_t i = 0; i < args->operand_count; i++) {
        int code = cost_file(run, args->operands[i], people);
        worst = code > worst ? code : worst;
    }
    return worst;
}

/* The map that was named, or the one that lies in ../share/aicp beside this program. */
static const char *find_prices(const cli_args *args, char *room, size_t size) {
    const char *path = cli_value(args, "prices");
    path = path != NULL ? path : getenv("AICP_PRICES");
    if (path != NULL) {
        return path;
    }
    ssize_t len = readlink("/proc/self/exe", room, size - 1);
    if (len <= 0) {
        return NULL;
    }
    room[len] = '\0';
    char *slash = strrchr(room, '/');
    static const char name[] = "/../share/aicp/litellm_prices.json";
    if (slash == NULL || (size_t)(slash - room) + sizeof name > size) {
        return NULL;
    }
    memcpy(slash, name, sizeof name);
    return access(room, R_OK) == 0 ? room : NULL;
}

static int run(const cli_args *args) {
    char room[4096];
    const char *path = find_prices(args, room, sizeof room);
    cost_run job = {NULL, NULL};
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (path == NULL) {
        return cli_missing(args, "prices");
    }
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    aicp_status status = aicp_price_table_parse(text.data, text.len, NULL, &job.table, &err);
    cli_text_free(&text);
    if (status != AICP_OK) {
        cli_print_problem(stderr, path, &err);
        return CLI_NO;
    }
    int code = CLI_ENV;
    if (aicp_cost_request_new(NULL, &job.request, &err) == AICP_OK) {
        code = cli_value(args, "jsonl") != NULL ? cli_each_line(args, cost_line, &job)
                                                : cost_files(args, &job);
    }
    aicp_cost_request_free(job.request);
    aicp_price_table_free(job.table);
    return code;
}

static const cli_option options[] = {
    {"prices", "FILE", NULL, "LiteLLM's price map; else AICP_PRICES, else its own"},
    {"jsonl", NULL, NULL, "input is JSON Lines, a request each"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_cost = {
    .noun = "cost",
    .operands = "[FILE...]",
    .summary = "Tell what a request may cost",
    .details =
        "Input: the JSON body of a chat-completions, responses or embeddings request. Money is\n"
        "decimal text in US dollars.",
    .options = options,
    .run = run,
};
