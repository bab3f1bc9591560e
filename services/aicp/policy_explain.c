/* aicp policy explain: why Cedar policies answer requests as they do. */
#include "verbs.h"

#include "aicp/policy.h"

#include <string.h>

/* ---- for people ------------------------------------------------------------------------------ */

static json_object *member(json_object *from, const char *name) {
    json_object *value = NULL;
    json_object_object_get_ex(from, name, &value);
    return value;
}

static const char *text(json_object *from, const char *name) {
    const char *found = json_object_get_string(member(from, name));
    return found != NULL ? found : "";
}

static size_t count(json_object *list) {
    return list != NULL ? json_object_array_length(list) : 0;
}

/* What decided, in the words of each outcome. */
static void print_cause(json_object *policy) {
    json_object *because = member(policy, "because");
    json_object *error = member(policy, "error");
    json_object *head = member(policy, "head");
    json_object *operands = member(because, "operands");
    if (because != NULL) {
        printf(
            ": %s:%s: %s is %s\n",
            text(because, "line"),
            text(because, "column"),
            text(because, "text"),
            text(because, "value"));
    } else if (error != NULL) {
        printf(": %s:%s: %s\n", text(error, "line"), text(error, "column"), text(error, "message"));
    } else if (count(head) == 0) {
        putchar('\n');
    }
    for (size_t i = 0; i < count(head); i++) {
        json_object *part = json_object_array_get_idx(head, i);
        printf(
            "%s %s, but %s is %s%s",
            i == 0 ? ": it is for" : " and",
            text(part, "text"),
            text(part, "part"),
            text(part, "value"),
            i + 1 == count(head) ? "\n" : "");
    }
    for (size_t i = 0; i < count(operands); i++) {
        json_object *operand = json_object_array_get_idx(operands, i);
        printf("      %s is %s\n", text(operand, "text"), text(operand, "value"));
    }
}

static void print_policy(json_object *policy) {
    json_object *flips = member(policy, "flips");
    printf(
        "  %s (%s, line %s) %s",
        text(policy, "policy"),
        text(policy, "effect"),
        text(policy, "line"),
        text(policy, "outcome"));
    print_cause(policy);
    for (size_t i = 0; i < count(flips); i++) {
        json_object *flip = json_object_array_get_idx(flips, i);
        printf(
            "      %s if %s (tried %s)\n",
            text(flip, "decision"),
            text(flip, "if"),
            text(flip, "by"));
    }
}

static void print_for_people(const aicp_buf *told) {
    json_object *all = json_tokener_parse(told->data);
    json_object *policies = member(all, "policies");
    puts(text(all, "decision"));
    for (size_t i = 0; i < count(policies); i++) {
        print_policy(json_object_array_get_idx(policies, i));
    }
    if (json_object_get_int64(member(all, "passed_over")) > 0) {
        printf("  %s more for other requests\n", text(all, "passed_over"));
    }
    json_object_put(all);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void print_problem(aicp_error *err, uint32_t line, bool people) {
    err->line = line;
    err->column = err->column > 0 ? err->column : 1;
    if (people) {
        cli_print_problem(stdout, "request", err);
        return;
    }
    json_object *out = json_object_new_object();
    json_object_object_add(out, "error", cli_json_error(err));
    cli_put_line(out);
}

static int explain_line(
    const cli_policy_run *run, aicp_policy_request *request, cli_text line, uint32_t number) {
    aicp_error err;
    aicp_buf told = AICP_BUF_INIT;
    bool every = cli_value(run->args, "all") != NULL;
    bool people = cli_is_terminal() && cli_value(run->args, "json") == NULL;
    aicp_error_clear(&err);
    aicp_policy_request_reset(request);
    aicp_status status = aicp_policy_request_set_json(request, line.data, line.len, &err);
    if (status == AICP_OK && run->schema != NULL) {
        status = aicp_policy_request_check(request, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_explain(
            run->set, run->entities, request, every ? AICP_POLICY_EXPLAIN_ALL : 0, &told, &err);
    }
    if (status != AICP_OK) {
        print_problem(&err, number, people);
        return cli_exit_code(status);
    }
    if (people) {
        print_for_people(&told);
    } else {
        fwrite(told.data, 1, told.len, stdout);
        putchar('\n');
    }
    aicp_buf_free(&told);
    return CLI_OK;
}

static bool is_blank(cli_text line) {
    size_t i = 0;
    while (i < line.len && memchr(" \t\r", line.data[i], 3) != NULL) {
        i++;
    }
    return i == line.len;
}

static int explain_block(void *user, cli_text block, uint32_t first_line) {
    const cli_policy_run *run = user;
    aicp_policy_request *request = NULL;
    aicp_error err;
    int worst = CLI_OK;
    if (aicp_policy_request_new(NULL, &request, &err) != AICP_OK) {
        cli_print_problem(stderr, "aicp", &err);
        return CLI_ENV;
    }
    aicp_policy_request_set_schema(request, run->schema);
    for (size_t at = 0; at < block.len && worst != CLI_ENV; first_line++) {
        const char *end = memchr(block.data + at, '\n', block.len - at);
        size_t len = end != NULL ? (size_t)(end - block.data) - at : block.len - at;
        cli_text line = {block.data + at, len};
        at += len + 1;
        if (is_blank(line)) {
            continue;
        }
        int code = explain_line(run, request, line, first_line);
        worst = code > worst ? code : worst;
    }
    aicp_policy_request_free(request);
    return worst;
}

static int run_explain(const cli_args *args) {
    return cli_policy_lines(args, explain_block);
}

static const cli_option explain_options[] = {
    CLI_POLICY_OPTIONS,
    {"all", NULL, NULL, "tell of every policy, also of those far from the request"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_policy_explain = {
    .noun = "policy",
    .verb = "explain",
    .operands = "[FILE...]",
    .summary = "Tell why Cedar policies answer as they do",
    .details = "Input: requests as of policy authorize. Output: for each policy that comes into "
               "question what became of it,\nthe part of it that decided with the values that were "
               "seen, and single changes of the request\nthat were tried and turn it. Text on a "
               "terminal, else one JSON object a line.",
    .options = explain_options,
    .run = run_explain,
};
