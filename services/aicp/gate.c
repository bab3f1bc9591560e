/* aicp gate: whole requests put through a bundle. */
#include "verbs.h"

#include "aicp/gate.h"

#include <string.h>

typedef struct check_run {
    aicp_gate *gate;
    aicp_gate_request *request;
    bool timings;
} check_run;

/* Time that one line may wait for the store. */
#define WAIT_NS ((uint64_t)5000000000u)

static bool set_subject(aicp_gate_request *request, json_object *subject, aicp_error *err) {
    json_object *tags = NULL;
    for (int32_t i = 0; i < AICP_GATE_FIELD_COUNT; i++) {
        cli_text text;
        if (!cli_get_text(subject, aicp_gate_field_name(i), false, &text, err)) {
            return false;
        }
        if (text.data != NULL &&
            aicp_gate_request_set(request, i, text.data, text.len, err) != AICP_OK) {
            return false;
        }
    }
    if (!json_object_object_get_ex(subject, "tags", &tags) || tags == NULL) {
        return true;
    }
    for (size_t i = 0; i < json_object_array_length(tags); i++) {
        json_object *tag = json_object_array_get_idx(tags, i);
        if (!json_object_is_type(tag, json_type_string)) {
            cli_fail(err, AICP_ERR_INVALID, "\"tags\" must be a list of texts");
            return false;
        }
        size_t len = (size_t)json_object_get_string_len(tag);
        if (aicp_gate_request_add_tag(request, json_object_get_string(tag), len, err) != AICP_OK) {
            return false;
        }
    }
    return true;
}

static bool set_action(aicp_gate_request *request, json_object *in, aicp_error *err) {
    cli_text text;
    if (!cli_get_text(in, "action", false, &text, err)) {
        return false;
    }
    for (int32_t i = 0; text.data != NULL && aicp_gate_action_name(i) != NULL; i++) {
        if (strcmp(aicp_gate_action_name(i), text.data) == 0) {
            return aicp_gate_request_set_action(request, i, err) == AICP_OK;
        }
    }
    if (text.data != NULL) {
        cli_fail(err, AICP_ERR_INVALID, "\"action\" knows no \"%.40s\"", text.data);
    }
    return text.data == NULL;
}

bool cli_gate_fill(aicp_gate_request *request, json_object *in, aicp_error *err) {
    json_object *body = NULL;
    json_object *subject = NULL;
    json_object *tags = NULL;
    aicp_gate_request_reset(request);
    if (!cli_get_object(in, "request", true, &body, err) ||
        !cli_get_object(in, "subject", false, &subject, err)) {
        return false;
    }
    if (subject != NULL && json_object_object_get_ex(subject, "tags", &tags) && tags != NULL &&
        !json_object_is_type(tags, json_type_array)) {
        cli_fail(err, AICP_ERR_INVALID, "\"tags\" must be a list of texts");
        return false;
    }
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    return aicp_gate_request_set_body(request, text, len, err) == AICP_OK &&
           set_action(request, in, err) && (subject == NULL || set_subject(request, subject, err));
}

/* What became of each step: those before the refusal passed, those after it were not reached. */
static void put_steps(const aicp_gate_decision *decision, json_object *out) {
    json_object *steps = json_object_new_array();
    const char *refused = aicp_gate_decision_step(decision);
    const char *verdict = "pass";
    for (int32_t i = 0; i < AICP_GATE_STEP_COUNT; i++) {
        const char *name = aicp_gate_step_name(i);
        bool here = strcmp(name, refused) == 0;
        json_object *step = json_object_new_object();
        json_object_object_add(step, "step", json_object_new_string(name));
        json_object_object_add(step, "verdict", json_object_new_string(here ? "deny" : verdict));
        json_object_array_add(steps, step);
        verdict = here ? "not reached" : verdict;
    }
    json_object_object_add(out, "steps", steps);
}

/* Takes over the members of the decision's own JSON form. */
static bool put_decision(
    const check_run *run, const aicp_gate_decision *decision, json_object *out, aicp_error *err) {
    aicp_buf text = AICP_BUF_INIT;
    if (aicp_gate_decision_json(decision, &text, err) != AICP_OK) {
        return false;
    }
    json_object *whole = json_tokener_parse(text.data);
    aicp_buf_free(&text);
    if (!json_object_is_type(whole, json_type_object)) {
        cli_fail(err, AICP_ERR_CORRUPT, "the decision is not a JSON object");
        json_object_put(whole);
        return false;
    }
    json_object_object_foreach(whole, name, value) {
        if (run->timings || strcmp(name, "timings_ns") != 0) {
            json_object_object_add(out, name, json_object_get(value));
        }
    }
    json_object_put(whole);
    put_steps(decision, out);
    return true;
}

static bool check_line(void *user, json_object *in, json_object *out, aicp_error *err) {
    check_run *run = user;
    aicp_gate_decision *decision = NULL;
    bool ok = cli_gate_fill(run->request, in, err) &&
              aicp_gate_check(run->gate, run->request, WAIT_NS, &decision, err) == AICP_OK &&
              put_decision(run, decision, out, err);
    aicp_gate_decision_free(decision);
    return ok;
}

static int run_check(const cli_args *args) {
    check_run job = {NULL, NULL, cli_value(args, "timings") != NULL};
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    aicp_error err;
    aicp_error_clear(&err);
    options.bundle_path = cli_value(args, "bundle");
    options.store_url = cli_value(args, "store");
    if (options.bundle_path == NULL) {
        return cli_missing(args, "bundle");
    }
    aicp_status status = aicp_gate_open(&options, &job.gate, &err);
    status = status == AICP_OK ? aicp_gate_request_new(job.gate, &job.request, &err) : status;
    int code = CLI_OK;
    if (status != AICP_OK) {
        cli_print_bundle_problem(stderr, options.bundle_path, &err);
        code = cli_exit_code(status);
    } else {
        code = cli_each_line(args, check_line, &job);
    }
    aicp_gate_request_free(job.request);
    aicp_gate_free(job.gate);
    return code;
}

static const cli_option check_options[] = {
    {"bundle", "DIR", NULL, "folder of the bundle (needed)"},
    {"store", "URL", NULL, "sqlite:///path or postgresql://...; default: in memory"},
    {"timings", NULL, NULL, "nanoseconds of each step"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_gate_check = {
    .noun = "gate",
    .verb = "check",
    .operands = "[FILE...]",
    .summary = "Put requests through a bundle",
    .details =
        "Input: {\"request\":chat body,\"subject\":{\"key\",\"user\",\"team\",\"org\",\"end_user\","
        "\"role\",\"ip\",\n\"tags\":[...]},\"action\":\"chat\"} a line. Output: the decision. "
        "Nothing is settled: what a line\nreserved goes back before the next.",
    .options = check_options,
    .run = run_check,
};
