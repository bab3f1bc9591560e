/* Guardrail profiles, the teams they are for, and what guardrails found. A profile is what the
 * engine reads: each is turned into its JSON and read on save. */
#include "services/admin-api/resources/guardrails.h"

#include "services/admin-api/list.h"

#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#define NANO INT64_C(1000000000)

static const char *const modes[] = {"enforce", "observe", NULL};
static const char *const on_errors[] = {"block", "flag", "log", NULL};
static const char *const pii_actions[] = {
    "anonymize", "mask", "hash", "block", "flag", "log", "detect", NULL};
static const char *const secrets_actions[] = {
    "default", "mask", "anonymize", "hash", "block", "flag", "log", NULL};

#define SWITCH(field, value, text)                                                                 \
    { .name = field, .type = AICPS_BOOL, .preset = value, .doc = text }

static const aicps_field fields[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 100,
     .pattern = "[^@\\x00-\\x1f]+"},
    {.name = "description",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_SEARCH,
     .max = 2000},
    SWITCH("enable_prompt_injection", "true", "refuses texts that try to take the model over"),
    {.name = "prompt_injection_threshold",
     .type = AICPS_DECIMAL,
     .preset = "0.9",
     .min = 0,
     .max = NANO},
    SWITCH("enable_pii_detection", "true", "looks for pii_entities"),
    {.name = "pii_action",
     .type = AICPS_ENUM,
     .preset = "\"anonymize\"",
     .values = pii_actions,
     .doc = "anonymize is undone in the answer; detect is the same as log"},
    {.name = "pii_entities",
     .type = AICPS_TEXTS,
     .preset = "[\"EMAIL_ADDRESS\",\"PHONE_NUMBER\",\"CREDIT_CARD\",\"US_SSN\",\"IBAN_CODE\","
               "\"IP_ADDRESS\"]",
     .min = 1,
     .max = 64},
    SWITCH("enable_toxicity", "false", "must be false: there is no classifier yet"),
    {.name = "toxicity_threshold",
     .type = AICPS_DECIMAL,
     .flags = AICPS_NULLABLE,
     .min = 0,
     .max = NANO,
     .doc = "must be null: there is no classifier yet"},
    {.name = "banned_topics",
     .type = AICPS_TEXTS,
     .preset = "[]",
     .min = 0,
     .max = 500,
     .doc = "words and phrases that block, whatever their case"},
    SWITCH("enable_secrets_detection", "true", "looks for keys, tokens and passwords"),
    {.name = "secrets_action",
     .type = AICPS_ENUM,
     .preset = "\"default\"",
     .values = secrets_actions,
     .doc = "default: private keys and cloud secrets block, the others are masked"},
    SWITCH("enable_invisible_text", "true", "takes out characters that nobody sees"),
    SWITCH("enable_malicious_urls", "false", "must be false: there is no such scanner yet"),
    SWITCH("enable_sensitive_output", "true", "looks at answers too, by the same rules"),
    {.name = "mode",
     .type = AICPS_ENUM,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "\"enforce\"",
     .values = modes,
     .doc = "observe only reports"},
    {.name = "on_error",
     .type = AICPS_ENUM,
     .preset = "\"block\"",
     .values = on_errors,
     .alias = "on_fail",
     .doc = "what is done with a text that could not be looked at in full"},
    {.name = "is_default",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER,
     .preset = "false",
     .doc = "for teams without an assignment; setting it takes it from the one that had it"},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
};

/* ---- save ---- */

static void check_absent(aicps_call *call, struct json_object *row) {
    if (aicps_bool(row, "enable_toxicity")) {
        aicps_field_error(
            call, "enable_toxicity", "must be false: this version has no toxicity classifier");
    }
    if (!aicps_is_null(row, "toxicity_threshold")) {
        aicps_field_error(
            call, "toxicity_threshold", "must be null: this version has no toxicity classifier");
    }
    if (aicps_bool(row, "enable_malicious_urls")) {
        aicps_field_error(
            call, "enable_malicious_urls", "must be false: this version has no scanner of URLs");
    }
}

static void check_entities(aicps_call *call, struct json_object *row) {
    struct json_object *list = aicps_member(row, "pii_entities");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(list, i));
        if (!aicpa_guardrail_entity(aicpi_slice_cstr(name))) {
            aicpi_strbuf known;
            aicpi_strbuf_init(&known, NULL, 4096);
            aicpa_guardrail_entities(&known);
            aicps_field_error(
                call,
                "pii_entities",
                "\"%.60s\" cannot be found by this version; it finds %.*s",
                name,
                (int)known.len,
                known.data ? known.data : "");
            aicpi_strbuf_deinit(&known);
        }
    }
}

static aicp_status check(aicps_change *change, aicp_error *err) {
    struct json_object *row = change->after;
    struct json_object *detectors = NULL;
    aicps_call *call = change->call;
    if (!row) {
        return AICP_OK;
    }
    check_absent(call, row);
    check_entities(call, row);
    if (aicps_bool(row, "is_default") && !aicps_bool(row, "is_active")) {
        aicps_field_error(call, "is_active", "the default profile must be active");
    }
    aicpi_slice name = aicps_text(row, "name");
    aicp_status status =
        aicpa_guardrail_accept(call, aicpa_guardrail_json(row, name, NULL), "banned_topics", err);
    if (status == AICP_OK && change->before) {
        status = aicpa_guardrail_detectors(call->db, change->id, &detectors, err);
        if (status == AICP_OK) {
            struct json_object *rules = aicpa_guardrail_json(row, name, detectors);
            status = aicpa_guardrail_accept(call, rules, "banned_topics", err);
        }
        json_object_put(detectors);
    }
    return status;
}

/* There is one default. */
static aicp_status apply(aicps_change *change, aicp_error *err) {
    return change->after && aicps_bool(change->after, "is_default")
               ? aicpa_guardrail_run(
                     change->call->db,
                     "UPDATE admin_guardrail SET is_default = 0, version = version + 1"
                     " WHERE is_default = 1 AND id <> ?",
                     &change->id,
                     1,
                     INT64_MIN,
                     NULL,
                     err)
               : AICP_OK;
}

const aicps_resource aicpa_guardrail_resource = {
    .path = "/api/v1/guardrails",
    .type = "guardrail",
    .title = "Guardrail",
    .table = "admin_guardrail",
    .sort = "name",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = fields,
    .field_count = AICPA_COUNT(fields),
    .check = check,
    .apply = apply,
    .doc = "Profiles of guardrails. A team goes by the one of its assignments with the highest "
           "priority, else by the default; attached detectors and the team's content policies are "
           "added to it.",
};

/* ---- teams ---- */

bool aicpa_guardrail_team_exists(aicps_call *call, aicpi_slice team) {
    aicp_litellm *client = aicpa_of(call)->litellm;
    aicp_litellm_reply *reply = NULL;
    bool missing = false;
    if (team.len > 256) {
        aicps_field_error(call, "team_id", "at most 256 bytes");
        aicps_send_field_errors(call);
        return false;
    }
    if (client && aicp_litellm_reply_new(NULL, &reply, NULL) == AICP_OK) {
        aicp_status status = aicp_litellm_team_info(client, team.data, team.len, reply, NULL);
        missing = status != AICP_OK && aicp_litellm_reply_status(reply) == 404;
    }
    aicp_litellm_reply_free(reply);
    if (missing) {
        aicps_send_error(call, 404, "not_found", "Team not found");
    }
    return !missing;
}

typedef struct assignment {
    aicpi_slice team;
    int64_t priority;
} assignment;

static aicp_status assign(aicps_change *change, void *user, aicp_error *err) {
    const assignment *a = user;
    unsigned char random[16];
    char id[33];
    aicpi_random(random, sizeof random);
    aicpi_hex_encode(random, sizeof random, id);
    struct json_object *value = json_object_new_object();
    aicps_set(value, "team_id", aicps_json_slice(a->team));
    aicps_set(value, "priority", json_object_new_int64(a->priority));
    aicp_status status = aicpa_guardrail_noted(change, "assigned", value, err);
    aicpi_sql_stmt *q = NULL;
    status = status ? status
                    : aicpi_sql_prepare(
                          change->call->db,
                          "INSERT INTO admin_guardrail_assignment (id, team_id, guardrail_id,"
                          " version, created_at, updated_at, priority) VALUES (?, ?, ?, 1, ?, ?, ?)"
                          " ON CONFLICT (team_id, guardrail_id) DO UPDATE SET priority ="
                          " excluded.priority, updated_at = excluded.updated_at,"
                          " version = admin_guardrail_assignment.version + 1",
                          &q,
                          err);
    if (status != AICP_OK) {
        return status;
    }
    int64_t now = aicpa_wall_ns() / 1000 * 1000; /* as other rows: microseconds */
    aicpi_sql_bind_text(q, 1, id, sizeof id - 1);
    aicpi_sql_bind_text(q, 2, a->team.data, a->team.len);
    aicpi_sql_bind_text(q, 3, change->id.data, change->id.len);
    aicpi_sql_bind_i64(q, 4, now);
    aicpi_sql_bind_i64(q, 5, now);
    aicpi_sql_bind_i64(q, 6, a->priority);
    return aicpi_sql_run(q, err);
}

static aicp_status unassign(aicps_change *change, void *user, aicp_error *err) {
    const assignment *a = user;
    int64_t changed = 0;
    struct json_object *value = json_object_new_object();
    aicps_set(value, "team_id", aicps_json_slice(a->team));
    aicp_status status = aicpa_guardrail_noted(change, "unassigned", value, err);
    const aicpi_slice values[] = {a->team, change->id};
    status = status ? status
                    : aicpa_guardrail_run(
                          change->call->db,
                          "DELETE FROM admin_guardrail_assignment WHERE team_id = ?"
                          " AND guardrail_id = ?",
                          values,
                          2,
                          INT64_MIN,
                          &changed,
                          err);
    return status == AICP_OK && changed == 0
               ? aicpi_fail(err, AICP_ERR_NOT_FOUND, "Assignment not found")
               : status;
}

typedef struct attachment {
    aicpi_slice detector;
    int64_t priority;
} attachment;

static aicp_status attach(aicps_change *change, void *user, aicp_error *err) {
    const attachment *a = user;
    aicps_call *call = change->call;
    int64_t found = 0;
    struct json_object *rules = NULL;
    struct json_object *value = json_object_new_object();
    aicps_set(value, "detector_id", aicps_json_slice(a->detector));
    aicps_set(value, "priority", json_object_new_int64(a->priority));
    aicp_status status = aicpa_guardrail_noted(change, "attached", value, err);
    status = status ? status
                    : aicpa_guardrail_run(
                          call->db,
                          "UPDATE admin_detector SET version = version WHERE id = ?",
                          &a->detector,
                          1,
                          INT64_MIN,
                          &found,
                          err);
    if (status == AICP_OK && found == 0) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "Detector not found");
    }
    const aicpi_slice values[] = {change->id, a->detector};
    status = status ? status
                    : aicpa_guardrail_run(
                          call->db,
                          "INSERT INTO admin_guardrail_detector (guardrail_id, detector_id,"
                          " priority) VALUES (?, ?, ?) ON CONFLICT (guardrail_id, detector_id)"
                          " DO UPDATE SET priority = excluded.priority",
                          values,
                          2,
                          a->priority,
                          NULL,
                          err);
    status = status ? status : aicpa_guardrail_of_id(call->db, change->id, &rules, err);
    status = status ? status : aicpa_guardrail_accept(call, rules, "detector_id", err);
    if (aicps_has_field_errors(call)) {
        aicps_send_field_errors(call);
    }
    return status;
}

static aicp_status detach(aicps_change *change, void *user, aicp_error *err) {
    const attachment *a = user;
    int64_t changed = 0;
    struct json_object *value = json_object_new_object();
    aicps_set(value, "detector_id", aicps_json_slice(a->detector));
    aicp_status status = aicpa_guardrail_noted(change, "detached", value, err);
    const aicpi_slice values[] = {change->id, a->detector};
    status = status ? status
                    : aicpa_guardrail_run(
                          change->call->db,
                          "DELETE FROM admin_guardrail_detector WHERE guardrail_id = ?"
                          " AND detector_id = ?",
                          values,
                          2,
                          INT64_MIN,
                          &changed,
                          err);
    return status == AICP_OK && changed == 0
               ? aicpi_fail(err, AICP_ERR_NOT_FOUND, "Attachment not found")
               : status;
}

/* ---- routes ---- */

static void
run(aicps_call *call, const char *action, aicps_change_fn fn, void *user, const char *done) {
    struct json_object *answer = NULL;
    if (aicps_resource_change(
            call, &aicpa_guardrail_resource, action, call->params[0], fn, user, &answer)) {
        struct json_object *o = json_object_new_object();
        aicps_set(o, "status", json_object_new_string(done));
        aicps_send_json(call, 200, o);
    }
    json_object_put(answer);
}

static void post_assign(aicps_call *call) {
    assignment a = {call->params[1], 0};
    if (aicpa_guardrail_priority(call, &a.priority) && aicpa_guardrail_team_exists(call, a.team)) {
        run(call, "assign", assign, &a, "assigned");
    }
}

static void delete_assign(aicps_call *call) {
    assignment a = {call->params[1], 0};
    run(call, "unassign", unassign, &a, "unassigned");
}

static void post_attach(aicps_call *call) {
    attachment a = {call->params[1], 0};
    if (aicpa_guardrail_priority(call, &a.priority)) {
        run(call, "attach", attach, &a, "attached");
    }
}

static void delete_attach(aicps_call *call) {
    attachment a = {call->params[1], 0};
    run(call, "detach", detach, &a, "detached");
}

static void get_attached(aicps_call *call) {
    struct json_object *row = aicps_resource_load(call, &aicpa_guardrail_resource, call->params[0]);
    struct json_object *list = NULL;
    aicp_error err = {0};
    if (!row) {
        return;
    }
    json_object_put(row);
    aicp_status status = aicpa_guardrail_detectors(call->db, call->params[0], &list, &err);
    if (status == AICP_OK) {
        aicps_send_json(call, 200, list);
    } else {
        json_object_put(list);
        aicps_send_status(call, status, &err);
    }
}

static const aicps_field try_fields[] = {AICPA_TRY_FIELDS};

static void post_test(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    struct json_object *rules = NULL;
    aicp_error err = {0};
    if (!body) {
        return;
    }
    aicp_status status = aicpa_guardrail_of_id(call->db, call->params[0], &rules, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
    } else {
        struct json_object *answer = aicpa_guardrail_try(call, rules, body);
        if (answer) {
            aicps_send_json(call, 200, answer);
        }
    }
    json_object_put(body);
}

#define DONE "{\"type\":\"object\",\"required\":[\"status\"]}"
#define VERB(verb, path, fn, act, text, query)                                                     \
    {                                                                                              \
        .method = verb, .pattern = "/api/v1/guardrails/{id}/" path, .handler = fn,                 \
        .flags = AICPS_BODY_OPTIONAL, .action = act, .resource_type = "guardrail",                 \
        .summary = text, .response_schema = DONE, .query_doc = query                               \
    }

static const aicps_route routes[] = {
    VERB(
        "POST",
        "assign/{team_id}",
        post_assign,
        "assign",
        "Give a team this profile; of several the highest priority holds",
        "priority:integer"),
    VERB("DELETE", "assign/{team_id}", delete_assign, "unassign", "Take the profile away", NULL),
    VERB(
        "POST",
        "detectors/{detector_id}",
        post_attach,
        "attach",
        "Add a detector to this profile",
        "priority:integer"),
    VERB(
        "DELETE", "detectors/{detector_id}", delete_attach, "detach", "Take a detector away", NULL),
    {.method = "GET",
     .pattern = "/api/v1/guardrails/{id}/detectors",
     .handler = get_attached,
     .action = "get",
     .resource_type = "guardrail",
     .summary = "The active detectors of this profile",
     .response_schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"},
    {.method = "POST",
     .pattern = "/api/v1/guardrails/{id}/test",
     .handler = post_test,
     .action = "test",
     .resource_type = "guardrail",
     .summary = "What this profile does with a text",
     .response_schema = "{\"type\":\"object\",\"required\":[\"action\",\"findings\"]}",
     .body_max = 4 << 20,
     .body = try_fields,
     .body_count = AICPA_COUNT(try_fields)},
};

/* ---- lists ---- */

#define TOLD(field, kind, more)                                                                    \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | (more) }

static const aicps_field assignment_fields[] = {
    TOLD("team_id", AICPS_TEXT, AICPS_FILTER | AICPS_SORT),
    TOLD("team_name", AICPS_TEXT, AICPS_COMPUTED | AICPS_NULLABLE),
    TOLD("guardrail_config_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("config_name", AICPS_TEXT, AICPS_FILTER | AICPS_SORT | AICPS_SEARCH),
    TOLD("priority", AICPS_INT, AICPS_FILTER | AICPS_SORT),
    TOLD("org_id", AICPS_TEXT, AICPS_NULLABLE | AICPS_FILTER),
    TOLD("created_at", AICPS_TIME, AICPS_SORT),
    TOLD("updated_at", AICPS_TIME, AICPS_SORT),
};

/* LiteLLM's teams by id; NULL: it does not answer. */
static struct json_object *team_list(aicps_call *call) {
    aicp_litellm *client = aicpa_of(call)->litellm;
    aicp_litellm_reply *reply = NULL;
    struct json_object *list = NULL;
    if (client && aicp_litellm_reply_new(NULL, &reply, NULL) == AICP_OK &&
        aicp_litellm_team_list(client, reply, NULL) == AICP_OK) {
        size_t len = 0;
        const char *text = aicp_litellm_reply_body(reply, &len);
        if (aicps_json_parse(call->arena, text, len, 0, &list, NULL) != AICP_OK) {
            list = NULL;
        }
    }
    aicp_litellm_reply_free(reply);
    return list;
}

static aicp_status
name_teams(aicps_call *call, struct json_object **rows, size_t count, aicp_error *err) {
    struct json_object *teams = count > 0 ? team_list(call) : NULL;
    size_t known =
        json_object_is_type(teams, json_type_array) ? json_object_array_length(teams) : 0;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        struct json_object *name = NULL;
        for (size_t k = 0; k < known && !name; k++) {
            struct json_object *t = json_object_array_get_idx(teams, k);
            if (aicpi_slice_eq(aicps_text(t, "team_id"), aicps_text(rows[i], "team_id"))) {
                name = aicps_member(t, "team_alias");
            }
        }
        aicps_set(rows[i], "team_name", json_object_get(name));
    }
    json_object_put(teams);
    return AICP_OK;
}

static const aicps_resource assignments = {
    .path = "/api/v1/guardrail-assignments",
    .type = "guardrail_assignment",
    .title = "Assignment",
    .table = "admin_guardrail_assigned",
    .name_field = "config_name",
    .org = "org_id",
    .team = "team_id",
    .sort = "team_id,-priority",
    .verbs = AICPS_LIST,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = assignment_fields,
    .field_count = AICPA_COUNT(assignment_fields),
    .decorate = name_teams,
    .doc = "Which team goes by which profile; team_name is LiteLLM's alias, null while it is away.",
};

static const aicps_field event_fields[] = {
    TOLD("event_type", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("scanner_name", AICPS_TEXT, AICPS_FILTER | AICPS_SEARCH),
    TOLD("user_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("team_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("org_id", AICPS_TEXT, AICPS_NULLABLE | AICPS_FILTER),
    TOLD("model", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("risk_score", AICPS_DECIMAL, AICPS_FILTER),
    TOLD("action_taken", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("call_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("details", AICPS_OBJECT, AICPS_CSV_OFF),
    TOLD("created_at", AICPS_TIME, AICPS_FILTER | AICPS_SORT),
};

static const aicps_resource events = {
    .path = "/api/v1/guardrail-events",
    .type = "guardrail_event",
    .title = "Guardrail event",
    .table = "admin_guardrail_event",
    .name_field = "event_type",
    .org = "org_id",
    .team = "team_id",
    .sort = "-created_at",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = event_fields,
    .field_count = AICPA_COUNT(event_fields),
    .doc = "What guardrails blocked (input_blocked, output_blocked), changed in answers "
           "(output_masked), or found in requests that went on (pii_detected).",
};

aicp_status aicpa_guardrails_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &aicpa_guardrail_resource, err);
    status = status ? status : aicps_api_add_resource(api, &assignments, err);
    status = status ? status : aicps_api_add_resource(api, &events, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
