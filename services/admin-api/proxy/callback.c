/* POST /api/v1/litellm/callback: LiteLLM's generic callback (StandardLoggingPayload, one or many).
 * It settles what the guardrail API admitted with what the call really cost. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/governed.h"

#include "lib/base/decimal.h"
#include "lib/base/error.h"

#define ENTRIES_MAX 10000
#define DEPTH_MAX 64

/* Nano-dollars of "response_cost", half up; -1: not told. A free answer out of the cache costs 0.
 */
static int64_t cost_of(struct json_object *entry) {
    int64_t nano = -1;
    struct json_object *v = aicps_member(entry, "response_cost");
    const char *text = v ? json_object_get_string(v) : NULL;
    if (aicps_bool(entry, "cache_hit")) {
        return 0;
    }
    if (!text || aicpi_decimal_parse(aicpi_slice_cstr(text), 9, &nano, NULL, NULL) != AICP_OK) {
        return -1;
    }
    return nano < 0 ? -1 : nano;
}

static aicp_status settle(aicpa_governed *g, struct json_object *entry, aicp_error *err) {
    aicpi_slice id = aicps_text(entry, "litellm_call_id");
    id = id.len ? id : aicps_text(entry, "id");
    aicp_gate_decision *d = id.len ? aicpa_governed_take(g, id) : NULL;
    if (!d) {
        return AICP_ERR_NOT_FOUND;
    }
    aicp_gate *gate = aicpa_governed_gate(g);
    aicp_status status = AICP_OK;
    if (aicpi_slice_is(aicps_text(entry, "status"), "success")) {
        aicp_usage usage = AICP_USAGE_INIT;
        usage.prompt_tokens = aicps_int(entry, "prompt_tokens");
        usage.completion_tokens = aicps_int(entry, "completion_tokens");
        status = aicp_gate_settle(gate, d, &usage, cost_of(entry), NULL, err);
    } else {
        status = aicp_gate_release(gate, d, err);
    }
    aicp_gate_decision_free(d);
    return status;
}

static void answer(aicps_call *call, struct json_object *entries) {
    size_t count = json_object_array_length(entries);
    int64_t settled = 0;
    int64_t unknown = 0;
    for (size_t i = 0; i < count; i++) {
        aicp_error err = {0};
        aicp_status status =
            settle(aicpa_of(call)->governed, json_object_array_get_idx(entries, i), &err);
        settled += status == AICP_OK;
        unknown += status == AICP_ERR_NOT_FOUND;
    }
    struct json_object *o = json_object_new_object();
    aicps_set(o, "settled", json_object_new_int64(settled));
    aicps_set(o, "unknown", json_object_new_int64(unknown));
    aicps_set(o, "failed", json_object_new_int64((int64_t)count - settled - unknown));
    aicps_send_json(call, 200, o);
}

/* A JSON array, or one object. */
static void callback(aicps_call *call) {
    struct json_object *body = NULL;
    aicp_error err = {0};
    aicpi_slice raw = call->req->body;
    aicp_status status = aicps_json_parse(call->arena, raw.data, raw.len, DEPTH_MAX, &body, &err);
    if (status != AICP_OK) {
        aicps_send_error(
            call,
            422,
            "validation_error",
            "line %u, column %u: %s",
            (unsigned)err.line,
            (unsigned)err.column,
            err.message);
        return;
    }
    if (json_object_is_type(body, json_type_object)) {
        struct json_object *one = json_object_new_array();
        json_object_array_add(one, body);
        body = one;
    }
    if (!json_object_is_type(body, json_type_array) ||
        json_object_array_length(body) > ENTRIES_MAX) {
        aicps_send_error(
            call, 422, "validation_error", "an array of at most %d entries", ENTRIES_MAX);
    } else {
        answer(call, body);
    }
    json_object_put(body);
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/litellm/callback",
     .handler = callback,
     .flags = AICPS_SERVICE | AICPS_RAW_BODY,
     .summary = "LiteLLM's generic callback: settles what the guardrail API admitted",
     .request_schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"settled\",\"unknown\",\"failed\"]}",
     .body_max = 64 << 20},
};

aicp_status aicpa_callback_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, 1, err);
}
