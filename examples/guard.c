/* Scan a prompt, show what was found, and put the real values back into the answer.
 *
 *     cc guard.c $(pkg-config --cflags --libs aicp) -o guard && ./guard
 */
#include <aicp/guardrail.h>

#include <stdio.h>
#include <string.h>

static const char rules[] = "{\"name\": \"example\","
                            " \"pii\": {\"action\": \"anonymize\","
                            "         \"entities\": {\"CREDIT_CARD\": {\"action\": \"mask\"}}}}";

static const char prompt[] = "I am Ada (ada@example.org), my card 4111 1111 1111 1111 was charged "
                             "twice. Please draft a letter to billing@example.com.";

/* What a model might answer: it has only seen the placeholders. */
static const char answer[] = "To <EMAIL_ADDRESS_2>: please refund me. Ada, <EMAIL_ADDRESS_1>";

static int fail(const aicp_error *err) {
    fprintf(stderr, "guard: %s (line %u, column %u)\n", err->message, err->line, err->column);
    return 1;
}

static void show(const aicp_guard_result *result) {
    printf(
        "action %s, risk %.3f\n",
        aicp_guard_action_name(aicp_guard_result_action(result)),
        aicp_guard_result_risk(result));
    for (size_t i = 0; i < aicp_guard_result_finding_count(result); i++) {
        const aicp_guard_finding *f = aicp_guard_result_finding(result, i);
        printf(
            "  %3d..%-3d %-14s %.2f %-10s %s\n",
            (int)f->char_start,
            (int)f->char_end,
            f->type,
            f->score,
            aicp_guard_action_name(f->action),
            f->preview);
    }
}

int main(void) {
    aicp_error err;
    aicp_guard_profile *profile = NULL;
    aicp_guard_result *result = NULL;
    aicp_guard_session *session = NULL;
    aicp_buf restored = AICP_BUF_INIT;
    int code = 1;
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;

    /* Once: the rules, shared by all threads. Once per thread: the result. Once per request: the
     * session, which remembers who is who. */
    if (aicp_guard_profile_parse(rules, strlen(rules), NULL, &profile, &err) != AICP_OK ||
        aicp_guard_result_new(NULL, &result, &err) != AICP_OK ||
        aicp_guard_session_new(NULL, &session, &err) != AICP_OK) {
        code = fail(&err);
        goto done;
    }

    how.session = session;
    if (aicp_guard_scan(profile, prompt, strlen(prompt), &how, result, &err) != AICP_OK) {
        code = fail(&err);
        goto done;
    }
    show(result);
    if (aicp_guard_result_action(result) == AICP_GUARD_BLOCK) {
        printf("refused: %s\n", aicp_guard_result_reason(result));
        goto done;
    }
    size_t len = strlen(prompt);
    const char *text = prompt;
    if (aicp_guard_result_rewritten(result)) {
        text = aicp_guard_result_text(result, &len);
    }
    printf("to the model:  %.*s\n", (int)len, text);

    if (aicp_guard_restore(session, answer, strlen(answer), &restored, &err) != AICP_OK) {
        code = fail(&err);
        goto done;
    }
    printf("to the user:   %s\n", restored.data);
    code = 0;

done:
    aicp_buf_free(&restored);
    aicp_guard_session_free(session);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
    return code;
}
