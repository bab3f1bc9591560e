/* What if: a draft of a policy asked the same questions as the policies in force. The questions are
 * the caller's, or the recorded decisions of gates, whose events hold all that policies are asked.
 */
#include "services/admin-api/list.h"
#include "services/admin-api/rules/rules.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include "aicp/gate.h"

#define RECORDED_MAX 10000
#define ASKED_MAX 1000
/* Answers in all; recorded decisions that change are counted beyond. */
#define LISTED_MAX 2000

static const aicps_field fields[] = {
    {.name = "policy_id",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE,
     .max = 64,
     .doc = "the policy that the draft stands for; none: the draft is a new policy"},
    {.name = "text",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE,
     .max = 262144,
     .doc = "the draft; none: as if the policy were taken away"},
    {.name = "requests",
     .type = AICPS_JSON,
     .flags = AICPS_NULLABLE,
     .doc = "questions, in the form of gates' decision events: model, action, key, user, team, "
            "tags, tools, input_tokens, ip, time, …"},
    {.name = "recorded",
     .type = AICPS_INT,
     .preset = "0",
     .min = 0,
     .max = RECORDED_MAX,
     .doc = "ask the last so many decisions of gates"},
    {.name = "team_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .doc = "only of this team"},
    {.name = "user_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .doc = "only of this user"},
    {.name = "model", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .doc = "only for this model"},
    {.name = "since", .type = AICPS_TIME, .flags = AICPS_NULLABLE},
    {.name = "until", .type = AICPS_TIME, .flags = AICPS_NULLABLE},
};

/* One of the two sets of policies, and what it answered last. */
typedef struct side {
    aicp_policy_set *set;
    aicp_policy_response *response;
} side;

typedef struct simulation {
    aicpa_build build;
    side live;
    side draft;
    aicp_policy_entities *entities;
    aicp_policy_request *request;
    struct json_object *answers;
    int64_t asked;
    int64_t allowed_live;
    int64_t allowed_draft;
    int64_t newly_denied;
    int64_t newly_allowed;
    int64_t new_errors;
    int64_t incomplete; /* their events were cut, or come from a gate that told less */
} simulation;

static void close_simulation(simulation *s) {
    aicp_policy_response_free(s->live.response);
    aicp_policy_response_free(s->draft.response);
    aicp_policy_request_free(s->request);
    aicp_policy_set_free(s->live.set);
    aicp_policy_set_free(s->draft.set);
    aicp_policy_entities_free(s->entities);
    json_object_put(s->answers);
}

static aicp_status open_simulation(simulation *s, const aicpa_draft *draft, aicp_error *err) {
    aicp_status status = aicpa_policies_read(&s->build, &s->live.set, err);
    s->build.draft = draft;
    status = status ? status : aicpa_policies_read(&s->build, &s->draft.set, err);
    s->build.draft = NULL;
    status = status ? status : aicpa_entities_read(&s->build, &s->entities, err);
    status = status ? status : aicp_policy_request_new(NULL, &s->request, err);
    status = status ? status : aicp_policy_response_new(NULL, &s->live.response, err);
    status = status ? status : aicp_policy_response_new(NULL, &s->draft.response, err);
    s->answers = json_object_new_array();
    return status;
}

/* ---- one question ---- */

static aicp_status ask(const simulation *s, side *of, aicp_error *err) {
    return aicp_policy_authorize(of->set, s->entities, s->request, 0, of->response, err);
}

static bool allows(const side *of) {
    return aicp_policy_response_decision(of->response) == AICP_POLICY_ALLOW;
}

static struct json_object *answer_of(const side *of) {
    struct json_object *o = json_object_new_object();
    struct json_object *reasons = json_object_new_array();
    struct json_object *errors = json_object_new_array();
    for (size_t i = 0; i < aicp_policy_response_reason_count(of->response); i++) {
        const char *id = aicp_policy_response_reason_id(of->response, i);
        json_object_array_add(reasons, json_object_new_string(id));
    }
    for (size_t i = 0; i < aicp_policy_response_error_count(of->response); i++) {
        struct json_object *e = json_object_new_object();
        const char *id = aicp_policy_response_error_id(of->response, i);
        const char *message = aicp_policy_response_error_message(of->response, i);
        aicps_set(e, "policy", json_object_new_string(id));
        aicps_set(e, "message", json_object_new_string(message));
        json_object_array_add(errors, e);
    }
    aicps_set(o, "decision", json_object_new_string(allows(of) ? "allow" : "deny"));
    aicps_set(o, "reasons", reasons);
    aicps_set(o, "errors", errors);
    return o;
}

static void list_answer(simulation *s, struct json_object *question, bool changed) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "request", json_object_get(question));
    aicps_set(o, "changed", json_object_new_boolean(changed));
    aicps_set(o, "live", answer_of(&s->live));
    aicps_set(o, "draft", answer_of(&s->draft));
    json_object_array_add(s->answers, o);
}

/* Asks both sides. `changed`: whether their decisions differ. */
static aicp_status
compare(simulation *s, const char *data, size_t len, bool *changed, aicp_error *err) {
    aicp_status status =
        aicp_gate_question_parse(data, len, s->entities, s->build.admin->prices, s->request, err);
    status = status ? status : ask(s, &s->live, err);
    status = status ? status : ask(s, &s->draft, err);
    if (status != AICP_OK) {
        return status;
    }
    bool before = allows(&s->live);
    bool after = allows(&s->draft);
    s->asked++;
    s->allowed_live += before;
    s->allowed_draft += after;
    s->newly_denied += before && !after;
    s->newly_allowed += !before && after;
    s->new_errors += aicp_policy_response_error_count(s->draft.response) >
                     aicp_policy_response_error_count(s->live.response);
    *changed = before != after;
    return AICP_OK;
}

/* ---- the caller's questions ---- */

/* False: an error was noted for the field. */
static bool
ask_given(aicps_call *call, simulation *s, struct json_object *requests, aicp_error *err) {
    size_t count = requests ? json_object_array_length(requests) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *question = json_object_array_get_idx(requests, i);
        size_t len = 0;
        bool changed = false;
        aicp_error why = {0};
        const char *text = json_object_to_json_string_length(
            question, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        aicp_status status = text ? compare(s, text, len, &changed, &why) : aicpi_nomem(&why);
        if (status != AICP_OK) {
            aicps_field_error(call, "requests", "question %zu: %s", i, why.message);
            aicpi_fail(err, status, "%s", why.message);
            return false;
        }
        list_answer(s, question, changed);
    }
    return true;
}

/* ---- recorded ones ---- */

#define RECORDED                                                                                   \
    "SELECT details FROM admin_event WHERE type = 'decision' AND model IS NOT NULL"                \
    " AND COALESCE(team_id, '') = COALESCE(?, COALESCE(team_id, ''))"                              \
    " AND COALESCE(user_id, '') = COALESCE(?, COALESCE(user_id, ''))"                              \
    " AND model = COALESCE(?, model) AND created_at >= ? AND created_at <= ?"                      \
    " ORDER BY created_at DESC, id DESC LIMIT ?"

static void bind_filter(aicpi_sql_stmt *q, int32_t at, aicpi_slice text) {
    if (text.len > 0) {
        aicpi_sql_bind_text(q, at, text.data, text.len);
    } else {
        aicpi_sql_bind_null(q, at);
    }
}

static int64_t time_of(struct json_object *body, const char *name, int64_t fallback) {
    int64_t wall_ns = 0;
    return aicpi_time_parse(aicps_text(body, name), &wall_ns) ? wall_ns : fallback;
}

static bool is_whole(struct json_object *event) {
    return aicps_member(event, "action") && !aicps_bool(event, "tags_cut") &&
           !aicps_bool(event, "tools_cut");
}

static aicp_status ask_event(simulation *s, aicpi_sql_stmt *row, aicp_error *err) {
    aicpi_slice text = aicpi_sql_text(row, 0);
    struct json_object *event = aicpa_column_json(row, 0);
    bool changed = false;
    aicp_status status = AICP_OK;
    if (!is_whole(event)) {
        s->incomplete++;
    } else {
        status = compare(s, text.data, text.len, &changed, err);
    }
    if (changed && json_object_array_length(s->answers) < LISTED_MAX) {
        list_answer(s, event, true);
    }
    json_object_put(event);
    return status;
}

static aicp_status ask_recorded(simulation *s, struct json_object *body, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status status = aicpi_sql_prepare(s->build.db, RECORDED, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    bind_filter(q, 1, aicps_text(body, "team_id"));
    bind_filter(q, 2, aicps_text(body, "user_id"));
    bind_filter(q, 3, aicps_text(body, "model"));
    aicpi_sql_bind_i64(q, 4, time_of(body, "since", 0));
    aicpi_sql_bind_i64(q, 5, time_of(body, "until", INT64_MAX));
    aicpi_sql_bind_i64(q, 6, aicps_int(body, "recorded"));
    while ((status = aicpi_sql_step(q, &row, err)) == AICP_OK && row) {
        status = ask_event(s, q, err);
        if (status != AICP_OK) {
            break;
        }
    }
    if (status != AICP_OK) {
        aicpi_sql_reset(q);
    }
    return status;
}

/* ---- the call ---- */

static bool policy_exists(aicps_call *call, const char *id, bool *exists, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status =
        aicpi_sql_prepare(call->db, "SELECT 1 FROM admin_policy WHERE id = ?", &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id, strlen(id));
        status = aicpi_sql_step(q, exists, err);
        aicpi_sql_reset(q);
    }
    return status == AICP_OK;
}

/* Reads the draft by itself first, so that what is wrong has its own line and column. */
static bool check_draft(aicps_call *call, const aicpa_draft *draft, aicp_error *err) {
    bool exists = true;
    if (draft->policy_id && !policy_exists(call, draft->policy_id, &exists, err)) {
        return false;
    }
    if (!exists) {
        aicps_field_error(call, "policy_id", "no policy has this id");
    } else if (!draft->text && !draft->policy_id) {
        aicps_field_error(call, "text", "a draft, or the policy_id of what is to be taken away");
    }
    if (draft->text) {
        aicpa_policy_text_check(call, draft->text);
    }
    return !aicps_has_field_errors(call);
}

static bool check_requests(aicps_call *call, struct json_object *body) {
    struct json_object *requests = aicps_member(body, "requests");
    if (requests && (!json_object_is_type(requests, json_type_array) ||
                     json_object_array_length(requests) > ASKED_MAX)) {
        aicps_field_error(call, "requests", "a list of at most %d questions", ASKED_MAX);
    }
    return !aicps_has_field_errors(call);
}

static void send_answer(aicps_call *call, const simulation *s) {
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {
        {"asked", s->asked},
        {"allowed_live", s->allowed_live},
        {"allowed_draft", s->allowed_draft},
        {"newly_denied", s->newly_denied},
        {"newly_allowed", s->newly_allowed},
        {"new_errors", s->new_errors},
        {"incomplete", s->incomplete},
    };
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        aicps_set(o, counts[i].name, json_object_new_int64(counts[i].value));
    }
    aicps_set(o, "answers", json_object_get(s->answers));
    aicps_send_json(call, 200, o);
}

static void run(aicps_call *call, struct json_object *body, const aicpa_draft *draft) {
    aicp_error err = {0};
    simulation s = {.build = {.admin = aicpa_of(call), .db = call->db}};
    if (!check_draft(call, draft, &err) || !check_requests(call, body)) {
        if (err.code) {
            aicps_send_status(call, err.code, &err);
        } else {
            aicps_send_field_errors(call);
        }
        return;
    }
    aicp_status status = open_simulation(&s, draft, &err);
    if (status == AICP_ERR_EXISTS || status == AICP_ERR_LIMIT) {
        aicps_field_error(call, "text", "together with the other policies: %s", err.message);
    } else if (status == AICP_OK && ask_given(call, &s, aicps_member(body, "requests"), &err)) {
        status = aicps_int(body, "recorded") > 0 ? ask_recorded(&s, body, &err) : AICP_OK;
    }
    if (aicps_has_field_errors(call)) {
        aicps_send_field_errors(call);
    } else if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
    } else {
        send_answer(call, &s);
    }
    close_simulation(&s);
}

static void post_simulate(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    aicpi_slice id = aicps_text(body, "policy_id");
    aicpi_slice text = aicps_text(body, "text");
    const aicpa_draft draft = {id.len ? id.data : NULL, text.len ? text.data : NULL};
    run(call, body, &draft);
    json_object_put(body);
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/policies/simulate",
     .handler = post_simulate,
     .action = "simulate",
     .resource_type = "policy",
     .summary = "Ask a draft of a policy what the policies in force are asked",
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"asked\",\"allowed_live\",\"allowed_draft\","
         "\"newly_denied\",\"newly_allowed\",\"new_errors\",\"incomplete\",\"answers\"]}",
     .body = fields,
     .body_count = sizeof fields / sizeof *fields},
};

aicp_status aicpa_policy_simulate_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
