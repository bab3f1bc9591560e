#include "services/admin-api/proxy/proxy.h"

#include "lib/base/error.h"

/* ---- asking ---- */

static void send_failure(
    aicps_call *call, const aicp_litellm_reply *reply, aicp_status status, const aicp_error *err) {
    int32_t code = aicp_litellm_reply_relay(reply, status);
    const char *message = aicp_litellm_reply_message(reply);
    const char *why = *message ? message : err->message;
    if (code == 401 || code == 403) {
        aicps_send_error(call, 502, "bad_gateway", "LiteLLM refused our own key: %s", why);
    } else if (code == 503) {
        aicps_send_error(call, 503, "unavailable", "LiteLLM cannot be reached: %s", why);
    } else if (code >= 500) {
        aicps_send_error(call, 502, "bad_gateway", "LiteLLM failed: %s", why);
    } else {
        aicps_send_error(call, code, code == 404 ? "not_found" : "litellm_error", "%s", why);
    }
}

static struct json_object *read_answer(aicps_call *call, aicp_litellm_reply *reply) {
    size_t len = 0;
    const char *body = aicp_litellm_reply_body(reply, &len);
    struct json_object *o = NULL;
    struct json_tokener *tokener = json_tokener_new();
    if (tokener && len > 0) {
        o = json_tokener_parse_ex(tokener, body, (int)len);
    }
    json_tokener_free(tokener);
    if (!o) {
        aicps_send_error(call, 502, "bad_gateway", "LiteLLM's answer is no JSON");
    }
    return o;
}

/* NULL: it cannot be asked, which was sent. */
static aicp_litellm_reply *make_reply(aicps_call *call) {
    aicp_litellm_reply *reply = NULL;
    aicp_error err = {0};
    if (!aicpa_of(call)->litellm) {
        aicps_send_error(
            call, 503, "unavailable", "HTTP client not available: LITELLM_URL is not set");
        return NULL;
    }
    aicp_status status = aicp_litellm_reply_new(NULL, &reply, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return NULL;
    }
    return reply;
}

static struct json_object *
take_reply(aicps_call *call, aicp_litellm_reply *reply, aicp_status status, const aicp_error *err) {
    struct json_object *answer = NULL;
    if (status == AICP_OK) {
        answer = read_answer(call, reply);
    } else {
        send_failure(call, reply, status, err);
    }
    aicp_litellm_reply_free(reply);
    return answer;
}

struct json_object *
aicpa_proxy_ask(aicps_call *call, aicpa_proxy_fn fn, const char *data, size_t len) {
    aicp_litellm_reply *reply = make_reply(call);
    if (!reply) {
        return NULL;
    }
    aicp_error err = {0};
    aicp_status status = fn(aicpa_of(call)->litellm, data, len, reply, &err);
    return take_reply(call, reply, status, &err);
}

struct json_object *aicpa_proxy_list(aicps_call *call, aicpa_proxy_plain_fn fn) {
    aicp_litellm_reply *reply = make_reply(call);
    if (!reply) {
        return NULL;
    }
    aicp_error err = {0};
    aicp_status status = fn(aicpa_of(call)->litellm, reply, &err);
    return take_reply(call, reply, status, &err);
}

/* ---- changing ---- */

static const char *member_text(struct json_object *o, const char *name) {
    struct json_object *v =
        name && json_object_is_type(o, json_type_object) ? json_object_object_get(o, name) : NULL;
    if (json_object_is_type(v, json_type_array) && json_object_array_length(v) > 0) {
        v = json_object_array_get_idx(v, 0);
    }
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static struct json_object *
send_change(aicps_call *call, const aicpa_proxy_verb *verb, struct json_object *body) {
    struct json_object *shaped = verb->shape ? verb->shape(call, body) : json_object_get(body);
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        shaped, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    aicpi_slice what = verb->by_id ? aicps_text(shaped, verb->id) : aicpi_slice_of(text, len);
    struct json_object *answer = aicpa_proxy_ask(call, verb->send, what.data, what.len);
    json_object_put(shaped);
    return answer;
}

/* Sends the change between its intent and its entry. */
static struct json_object *
change(aicps_call *call, const aicpa_proxy_verb *verb, struct json_object *body) {
    char hash[AICPA_KEY_ID_SIZE];
    aicp_error err = {0};
    int64_t intent = 0;
    struct json_object *kept = aicpa_proxy_for_audit(body);
    aicps_audit_entry entry = {
        .action = call->route->action,
        .resource_type = call->route->resource_type,
        .resource_id = aicpa_proxy_public_id(member_text(body, verb->id), hash),
        .resource_name = member_text(body, verb->name),
        .after = kept,
    };
    aicp_status status = aicps_audit_intend(call, &entry, &intent, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        json_object_put(kept);
        return NULL;
    }
    struct json_object *answer = send_change(call, verb, body);
    if (answer && !*entry.resource_id) {
        entry.resource_id = aicpa_proxy_public_id(member_text(answer, verb->id), hash);
    }
    entry.outcome = answer ? NULL : "failure";
    status = aicps_audit_conclude(call, intent, &entry, &err);
    if (status != AICP_OK && answer) {
        aicps_send_status(call, status, &err); /* the intent stays: recovery makes the entry */
        json_object_put(answer);
        answer = NULL;
    }
    json_object_put(kept);
    return answer;
}

static void add_param(aicps_call *call, const aicpa_proxy_verb *verb) {
    if (verb->param) {
        aicpi_slice p = call->params[0];
        json_object_object_add(
            call->body, verb->param, json_object_new_string_len(p.data, (int)p.len));
    }
}

void aicpa_proxy_change(aicps_call *call) {
    const aicpa_proxy_verb *verb = call->route->data;
    add_param(call, verb);
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    if (verb->check) {
        verb->check(call, body);
    }
    if (aicps_has_field_errors(call)) {
        json_object_put(body);
        aicps_send_field_errors(call);
        return;
    }
    struct json_object *answer = change(call, verb, body);
    if (answer) {
        if (verb->done) {
            verb->done(call, body, answer);
        }
        if (verb->deletes) {
            struct json_object *o = json_object_new_object();
            json_object_object_add(o, "status", json_object_new_string("deleted"));
            json_object_object_add(o, "litellm", answer);
            answer = o;
        }
        if (verb->secret) {
            (void)aicps_http_add_header(call->res, "Cache-Control", "no-store");
        }
        aicps_send_json(call, 200, answer);
    }
    json_object_put(body);
}

/* ---- organizations ---- */

aicp_status aicpa_proxy_add_org(
    aicps_call *call, struct json_object *rows, const char *team_field, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    struct json_object *orgs = json_object_new_object();
    aicp_status status = aicpi_sql_prepare(call->db, "SELECT id, org_id FROM admin_team", &q, err);
    while (status == AICP_OK && (status = aicpi_sql_step(q, &row, err)) == AICP_OK && row) {
        aicpi_slice team = aicpi_sql_text(q, 0);
        const char *name = aicpi_arena_strndup(call->arena, team.data, team.len);
        if (name) {
            json_object_object_add(orgs, name, aicps_json_slice(aicpi_sql_text(q, 1)));
        }
    }
    for (size_t i = 0; status == AICP_OK && i < json_object_array_length(rows); i++) {
        struct json_object *o = json_object_array_get_idx(rows, i);
        const char *team = member_text(o, team_field);
        struct json_object *org = team ? json_object_object_get(orgs, team) : NULL;
        json_object_object_add(o, "org_id", json_object_get(org));
    }
    json_object_put(orgs);
    return status;
}
