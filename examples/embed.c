/* Governs one request in a program of one's own: load a bundle, check, (call the model,) settle.
 *
 *     embed BUNDLE-FOLDER '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}'
 *
 * A third argument names the team that asks. The bundle needs prices where it has budgets. */
#include <aicp/aicp.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int fail(const aicp_error *err) {
    fprintf(stderr, "embed: %s", err->message);
    if (err->line) {
        fprintf(stderr, " (line %" PRIu32 ", column %" PRIu32 ")", err->line, err->column);
    }
    fputc('\n', stderr);
    return 1;
}

static void print_refusal(const aicp_gate_decision *decision) {
    printf(
        "refused with %" PRId32 " by %s %s: %s\n  %s\n",
        aicp_gate_decision_http_status(decision),
        aicp_gate_decision_step(decision),
        aicp_gate_decision_rule(decision),
        aicp_gate_decision_message(decision),
        aicp_gate_decision_advice(decision));
    for (size_t i = 0; i < aicp_gate_decision_header_count(decision); i++) {
        printf(
            "  %s: %s\n",
            aicp_gate_decision_header_name(decision, i),
            aicp_gate_decision_header_value(decision, i));
    }
}

/* Stands for the call of the model: an answer that uses the e-mail address it was sent. */
static int answer_and_settle(aicp_gate *gate, aicp_gate_decision *decision, aicp_error *err) {
    const char *answer = "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
                         "\"I shall write to <EMAIL_ADDRESS_1>.\"}}]}";
    aicp_buf out = AICP_BUF_INIT;
    int32_t verdict = AICP_GATE_DENY;
    if (aicp_gate_output(gate, decision, answer, strlen(answer), &out, &verdict, err) != AICP_OK) {
        return fail(err);
    }
    printf(
        "answer: %s\n",
        verdict != AICP_GATE_ALLOW ? "(held back)"
        : out.data                 ? out.data
                                   : answer);
    aicp_buf_free(&out);

    aicp_usage usage = AICP_USAGE_INIT;
    int64_t cost = 0;
    char text[AICP_MONEY_TEXT_SIZE];
    usage.prompt_tokens = aicp_gate_decision_input_tokens(decision);
    usage.completion_tokens = 12;
    if (aicp_gate_settle(gate, decision, &usage, -1, &cost, err) != AICP_OK) {
        return fail(err);
    }
    aicp_money_format(cost, text);
    printf("settled: %s USD\n", text);
    return 0;
}

static int govern(aicp_gate *gate, aicp_gate_request *request, aicp_error *err) {
    const uint64_t one_second = 1000000000;
    aicp_gate_decision *decision = NULL;
    if (aicp_gate_check(gate, request, one_second, &decision, err) != AICP_OK) {
        return fail(err);
    }
    int result = 0;
    if (aicp_gate_decision_verdict(decision) == AICP_GATE_ALLOW) {
        char expected[AICP_MONEY_TEXT_SIZE];
        size_t len = 0;
        const char *body = aicp_gate_decision_body(decision, &len);
        aicp_money_format(aicp_gate_decision_cost_expected_nano(decision), expected);
        printf(
            "allowed: %" PRId64 " input tokens, about %s USD\nbody: %.*s\n",
            aicp_gate_decision_input_tokens(decision),
            expected,
            (int)len,
            body);
        result = answer_and_settle(gate, decision, err);
    } else {
        print_refusal(decision);
    }
    printf(
        "the gate took %.1f microseconds\n",
        (double)aicp_gate_decision_step_ns(decision, AICP_GATE_STEP_COUNT) / 1e3);
    aicp_gate_decision_free(decision);
    return result;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: embed BUNDLE-FOLDER BODY [TEAM]\n");
        return 2;
    }
    aicp_error err = {0};
    aicp_gate *gate = NULL;
    aicp_gate_request *request = NULL;
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    const char *team = argc > 3 ? argv[3] : "";
    options.bundle_path = argv[1];
    if (aicp_gate_open(&options, &gate, &err) != AICP_OK) {
        return fail(&err);
    }
    int result = 1;
    if (aicp_gate_request_new(gate, &request, &err) == AICP_OK &&
        aicp_gate_request_set_body(request, argv[2], strlen(argv[2]), &err) == AICP_OK &&
        aicp_gate_request_set(request, AICP_GATE_KEY, "example-key", 11, &err) == AICP_OK &&
        aicp_gate_request_set(request, AICP_GATE_TEAM, team, strlen(team), &err) == AICP_OK) {
        result = govern(gate, request, &err);
    } else {
        fail(&err);
    }
    aicp_gate_request_free(request);
    aicp_gate_free(gate);
    return result;
}
