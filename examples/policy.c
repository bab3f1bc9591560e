/* Asks a Cedar policy set whether a user may chat with a model, and prints why.
 *
 *     ./policy            three questions, with their answers
 */
#include "aicp/policy.h"

#include <stdio.h>
#include <string.h>

static const char POLICIES[] =
    "@id(\"engineers-chat\")\n"
    "permit (principal in Team::\"engineering\", action == Action::\"chat\", resource is Model);\n"
    "\n"
    "@id(\"big-prompts\")\n"
    "@advice(\"Split the prompt, or ask for the large tier.\")\n"
    "forbid (principal, action == Action::\"chat\", resource)\n"
    "when { context.input_tokens > resource.max_tokens };\n"
    "\n"
    "@id(\"office-network\")\n"
    "forbid (principal, action, resource)\n"
    "unless { context.source.isInRange(ip(\"10.0.0.0/8\")) };\n";

static const char ENTITIES[] =
    "[{\"uid\":{\"type\":\"User\",\"id\":\"alice\"},\"attrs\":{},"
    "\"parents\":[{\"type\":\"Team\",\"id\":\"engineering\"}]},"
    "{\"uid\":{\"type\":\"Team\",\"id\":\"engineering\"},\"attrs\":{},\"parents\":[]}]";

static int failed(const char *what, const aicp_error *err) {
    (void)fprintf(stderr, "%s: line %u: %s\n", what, (unsigned)err->line, err->message);
    return 1;
}

/* Fills the request. The model is known to this request only; it need not be in the store. */
static aicp_status
fill(aicp_policy_request *r, const char *model, const char *ip, int64_t tokens, aicp_error *err) {
    aicp_policy_request_reset(r);
    aicp_status s = aicp_policy_request_set_principal(r, "User", 4, "alice", 5, err);
    s = s ? s : aicp_policy_request_set_action(r, "Action", 6, "chat", 4, err);
    s = s ? s : aicp_policy_request_set_resource(r, "Model", 5, model, strlen(model), err);
    s = s ? s : aicp_policy_request_entity_begin(r, "Model", 5, model, strlen(model), err);
    s = s ? s : aicp_policy_request_entity_attr_long(r, "max_tokens", 8000, err);
    s = s ? s : aicp_policy_request_context_long(r, "input_tokens", tokens, err);
    return s ? s : aicp_policy_request_context_ip(r, "source", ip, strlen(ip), err);
}

static void explain(const aicp_policy_set *set, const aicp_policy_response *response) {
    int allowed = aicp_policy_response_decision(response) == AICP_POLICY_ALLOW;
    printf("%s\n", allowed ? "allow" : "deny");
    for (size_t i = 0; i < aicp_policy_response_reason_count(response); i++) {
        size_t policy = aicp_policy_response_reason_index(response, i);
        const char *advice = aicp_policy_set_annotation(set, policy, "advice");
        printf(
            "  because of %s (line %u)%s%s\n",
            aicp_policy_response_reason_id(response, i),
            (unsigned)aicp_policy_set_line(set, policy),
            advice ? ": " : "",
            advice ? advice : "");
    }
    for (size_t i = 0; i < aicp_policy_response_error_count(response); i++) {
        printf(
            "  %s could not be evaluated, %u:%u: %s\n",
            aicp_policy_response_error_id(response, i),
            (unsigned)aicp_policy_response_error_line(response, i),
            (unsigned)aicp_policy_response_error_column(response, i),
            aicp_policy_response_error_message(response, i));
    }
}

static int
ask(const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    aicp_policy_request *request,
    aicp_policy_response *response) {
    static const struct {
        const char *ip;
        int64_t tokens;
    } questions[] = {{"10.1.2.3", 900}, {"10.1.2.3", 9000}, {"203.0.113.7", 900}};
    aicp_error err = {0};
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        if (fill(request, "gpt-5", questions[i].ip, questions[i].tokens, &err) != AICP_OK ||
            aicp_policy_authorize(set, entities, request, 0, response, &err) != AICP_OK) {
            return failed("ask", &err);
        }
        printf("%lld tokens from %s: ", (long long)questions[i].tokens, questions[i].ip);
        explain(set, response);
    }
    return 0;
}

int main(void) {
    aicp_error err = {0};
    aicp_policy_set *set = NULL;
    aicp_policy_entities *entities = NULL;
    aicp_policy_request *request = NULL;
    aicp_policy_response *response = NULL;
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    int code = 0;
    if (aicp_policy_set_parse(POLICIES, strlen(POLICIES), &options, &set, &err) != AICP_OK) {
        code = failed("policies", &err);
    } else if (
        aicp_policy_entities_parse(ENTITIES, strlen(ENTITIES), NULL, &entities, &err) != AICP_OK) {
        code = failed("entities", &err);
    } else if (
        aicp_policy_request_new(NULL, &request, &err) != AICP_OK ||
        aicp_policy_response_new(NULL, &response, &err) != AICP_OK) {
        code = failed("memory", &err);
    } else {
        code = ask(set, entities, request, response);
    }
    aicp_policy_response_free(response);
    aicp_policy_request_free(request);
    aicp_policy_entities_free(entities);
    aicp_policy_set_free(set);
    return code;
}
