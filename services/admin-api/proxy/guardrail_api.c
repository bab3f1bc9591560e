/* POST /beta/litellm_basic_guardrail_api: LiteLLM's generic guardrail API. A request is put to the
 * whole gate (policy, limits, guardrail, budget), an answer to the guardrail of its request. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/governed.h"

#include "lib/base/error.h"

#define WAIT_NS UINT64_C(2000000000)
#define ID_MAX 256

static void
send_action(aicps_call *call, const char *action, const char *reason, struct json_object *texts) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "action", json_object_new_string(action));
    if (reason) {
        aicps_set(o, "blocked_reason", json_object_new_string(reason));
    }
    if (texts) {
        aicps_set(o, "texts", texts);
    }
    aicps_send_json(call, 200, o);
}

/* ---- the request ---- */

/* Every text as a message, in its order, so that masked texts can be told apart afterwards. Roles
 * are those of the structured messages where there is one for each text. */
static struct json_object *make_body(struct json_object *asked, struct json_object *texts) {
    struct json_object *body = json_object_new_object();
    struct json_object *messages = json_object_new_array();
    struct json_object *structured = aicps_member(asked, "structured_messages");
    size_t count = json_object_array_length(texts);
    bool same = json_object_is_type(structured, json_type_array) &&
                json_object_array_length(structured) == count;
    for (size_t i = 0; i < count; i++) {
        struct json_object *message = json_object_new_object();
        aicpi_slice role = {NULL, 0};
        if (same) {
            role = aicps_text(json_object_array_get_idx(structured, i), "role");
        }
        aicps_set(
            message, "role", role.len ? aicps_json_slice(role) : json_object_new_string("user"));
        aicps_set(message, "content", json_object_get(json_object_array_get_idx(texts, i)));
        json_object_array_add(messages, message);
    }
    aicpi_slice model = aicps_text(asked, "model");
    aicps_set(body, "model", aicps_json_slice(model));
    aicps_set(body, "messages", messages);
    struct json_object *tools = aicps_member(asked, "tools");
    if (json_object_is_type(tools, json_type_array) && json_object_array_length(tools) > 0) {
        aicps_set(body, "tools", json_object_get(tools));
    }
    return body;
}

/* LiteLLM prefixes its names; others may leave that out. */
static aicpi_slice subject(struct json_object *data, const char *prefixed) {
    aicpi_slice text = aicps_text(data, prefixed);
    return text.len ? text : aicps_text(data, prefixed + strlen("user_api_key_"));
}

static aicp_status
fill(aicp_gate_request *q, aicps_call *call, struct json_object *texts, aicp_error *err) {
    static const struct {
        int32_t field;
        const char *name;
    } fields[] = {
        {AICP_GATE_KEY, "user_api_key_hash"},
        {AICP_GATE_KEY_ALIAS, "user_api_key_alias"},
        {AICP_GATE_USER, "user_api_key_user_id"},
        {AICP_GATE_TEAM, "user_api_key_team_id"},
        {AICP_GATE_ORG, "user_api_key_org_id"},
        {AICP_GATE_END_USER, "user_api_key_end_user_id"},
    };
    struct json_object *data = aicps_member(call->body, "request_data");
    struct json_object *body = make_body(call->body, texts);
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    aicpi_slice id = aicps_text(call->body, "litellm_call_id");
    aicp_status status = aicp_gate_request_set_body(q, text, len, err);
    json_object_put(body);
    for (size_t i = 0; status == AICP_OK && i < sizeof fields / sizeof *fields; i++) {
        aicpi_slice value = subject(data, fields[i].name);
        status = value.len ? aicp_gate_request_set(q, fields[i].field, value.data, value.len, err)
                           : AICP_OK;
    }
    status = status ? status : aicp_gate_request_set(q, AICP_GATE_SOURCE, "litellm", 7, err);
    return status ? status : aicp_gate_request_set(q, AICP_GATE_CALL_ID, id.data, id.len, err);
}

/* The texts of the changed body, in their order. */
static struct json_object *changed_texts(const aicp_gate_decision *d) {
    size_t len = 0;
    const char *text = aicp_gate_decision_body(d, &len);
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *body = tokener ? json_tokener_parse_ex(tokener, text, (int)len) : NULL;
    json_tokener_free(tokener);
    struct json_object *messages = body ? aicps_member(body, "messages") : NULL;
    struct json_object *texts = json_object_new_array();
    size_t count =
        json_object_is_type(messages, json_type_array) ? json_object_array_length(messages) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *content =
            aicps_member(json_object_array_get_idx(messages, i), "content");
        json_object_array_add(texts, json_object_get(content));
    }
    json_object_put(body);
    return texts;
}

static void answer_request(aicps_call *call, aicp_gate_decision *d) {
    aicpi_slice id = aicps_text(call->body, "litellm_call_id");
    if (aicp_gate_decision_verdict(d) != AICP_GATE_ALLOW) {
        send_action(call, "BLOCKED", aicp_gate_decision_message(d), NULL);
        aicp_gate_decision_free(d);
        return;
    }
    if (aicp_gate_decision_body_changed(d)) {
        send_action(call, "GUARDRAIL_INTERVENED", NULL, changed_texts(d));
    } else {
        send_action(call, "NONE", NULL, NULL);
    }
    (void)aicpa_governed_keep(aicpa_of(call)->governed, id, d);
}

static void on_request(aicps_call *call, struct json_object *texts) {
    aicp_gate *gate = aicpa_governed_gate(aicpa_of(call)->governed);
    aicp_gate_request *q = NULL;
    aicp_gate_decision *d = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_gate_request_new(gate, &q, &err);
    status = status ? status : fill(q, call, texts, &err);
    status = status ? status : aicp_gate_check(gate, q, WAIT_NS, &d, &err);
    aicp_gate_request_free(q);
    if (status == AICP_OK) {
        answer_request(call, d);
    } else if (status == AICP_ERR_STATE || status == AICP_ERR_WOULD_BLOCK) {
        aicps_send_error(call, 503, "unavailable", "the gate cannot decide: %s", err.message);
    } else {
        aicps_send_status(call, status, &err);
    }
}

/* ---- the answer ---- */

/* One text through the guardrail; false: it must not be given out. */
static bool scan_text(
    aicp_gate *gate,
    aicp_gate_decision *d,
    struct json_object *text,
    struct json_object *out,
    bool *changed) {
    aicp_buf fresh = {0};
    aicp_error err = {0};
    int32_t verdict = AICP_GATE_DENY;
    const char *data = json_object_get_string(text);
    size_t len = (size_t)json_object_get_string_len(text);
    aicp_status status = aicp_gate_output_text(gate, d, data, len, &fresh, &verdict, &err);
    if (status == AICP_OK && verdict == AICP_GATE_ALLOW && fresh.len > 0) {
        json_object_array_add(out, json_object_new_string_len(fresh.data, (int)fresh.len));
        *changed = true;
    } else {
        json_object_array_add(out, json_object_get(text));
    }
    aicp_buf_free(&fresh);
    return status == AICP_OK && verdict == AICP_GATE_ALLOW;
}

static void on_response(aicps_call *call, struct json_object *texts) {
    aicpa_governed *governed = aicpa_of(call)->governed;
    aicpi_slice id = aicps_text(call->body, "litellm_call_id");
    aicp_gate_decision *d = aicpa_governed_take(governed, id);
    if (!d) {
        aicps_send_error(
            call,
            409,
            "conflict",
            "no request of this call is known: use the guardrail before calls too");
        return;
    }
    bool changed = false;
    bool allowed = true;
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; allowed && i < json_object_array_length(texts); i++) {
        struct json_object *text = json_object_array_get_idx(texts, i);
        allowed = scan_text(aicpa_governed_gate(governed), d, text, out, &changed);
    }
    if (!allowed) {
        send_action(call, "BLOCKED", aicp_gate_decision_message(d), NULL);
    } else if (changed) {
        send_action(call, "GUARDRAIL_INTERVENED", NULL, json_object_get(out));
    } else {
        send_action(call, "NONE", NULL, NULL);
    }
    json_object_put(out);
    (void)aicpa_governed_keep(governed, id, d);
}

/* ---- both ---- */

static bool are_texts(struct json_object *texts) {
    if (!json_object_is_type(texts, json_type_array)) {
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(texts); i++) {
        if (!json_object_is_type(json_object_array_get_idx(texts, i), json_type_string)) {
            return false;
        }
    }
    return true;
}

static void guard(aicps_call *call) {
    struct json_object *texts = aicps_member(call->body, "texts");
    aicpi_slice type = aicps_text(call->body, "input_type");
    aicpi_slice id = aicps_text(call->body, "litellm_call_id");
    bool request = aicpi_slice_is(type, "request");
    if (!request && !aicpi_slice_is(type, "response")) {
        aicps_field_error(call, "input_type", "\"request\" or \"response\"");
    }
    if (!are_texts(texts)) {
        aicps_field_error(call, "texts", "an array of texts");
    }
    if (id.len == 0 || id.len > ID_MAX) {
        aicps_field_error(call, "litellm_call_id", "1 to %d bytes", ID_MAX);
    }
    if (request && aicps_text(call->body, "model").len == 0) {
        aicps_field_error(call, "model", "Field required");
    }
    if (aicps_has_field_errors(call)) {
        aicps_send_field_errors(call);
    } else if (request) {
        on_request(call, texts);
    } else {
        on_response(call, texts);
    }
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/beta/litellm_basic_guardrail_api",
     .handler = guard,
     .flags = AICPS_SERVICE,
     .summary = "LiteLLM's generic guardrail API: the whole gate, for a proxy that cannot load it",
     .request_schema =
         "{\"type\":\"object\",\"required\":[\"input_type\",\"texts\",\"litellm_call_id\"]}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"action\"]}",
     .body_max = 16 << 20},
};

aicp_status aicpa_guardrail_api_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, 1, err);
}
