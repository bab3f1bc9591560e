/* Texts of policies judged without being saved: whether they read, and whether they fit the schema
 * that the platform publishes. */
#include "services/admin-api/embedded.h"
#include "services/admin-api/list.h"
#include "services/admin-api/rules/rules.h"

#include "lib/base/error.h"

/* Of one text, so that an answer stays readable. */
#define FINDINGS_MAX 100

aicp_status aicpa_schema_load(aicpa_admin *admin, aicp_error *err) {
    return aicp_policy_schema_parse(aicpa_schema, aicpa_schema_len, NULL, &admin->schema, err);
}

/* ---- judging ---- */

typedef struct judgement {
    aicp_policy_set *set; /* NULL: it does not read */
    struct json_object *errors;
    struct json_object *warnings;
} judgement;

static struct json_object *finding(uint32_t line, uint32_t column, uint64_t offset) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "line", json_object_new_int64(line));
    aicps_set(o, "column", json_object_new_int64(column));
    aicps_set(o, "offset", json_object_new_int64((int64_t)offset));
    return o;
}

static void put_error(judgement *j, const aicp_error *e) {
    struct json_object *o = finding(e->line, e->column, e->offset);
    aicps_set(o, "code", json_object_new_string(aicp_status_name(e->code)));
    aicps_set(o, "message", json_object_new_string(e->message));
    json_object_array_add(j->errors, o);
}

static void put_report(judgement *j, const aicp_policy_report *r) {
    for (size_t i = 0; i < aicp_policy_report_count(r); i++) {
        struct json_object *o = finding(
            aicp_policy_report_line(r, i),
            aicp_policy_report_column(r, i),
            aicp_policy_report_offset(r, i));
        const char *code = aicp_policy_finding_name(aicp_policy_report_kind(r, i));
        aicps_set(o, "code", json_object_new_string(code));
        aicps_set(o, "policy", json_object_new_string(aicp_policy_report_id(r, i)));
        aicps_set(o, "message", json_object_new_string(aicp_policy_report_message(r, i)));
        bool wrong = aicp_policy_report_severity(r, i) == AICP_POLICY_SEVERITY_ERROR;
        json_object_array_add(wrong ? j->errors : j->warnings, o);
    }
}

static aicp_status validate(judgement *j, const aicp_policy_schema *schema, aicp_error *err) {
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    aicp_policy_report *report = NULL;
    options.max_findings = FINDINGS_MAX;
    /* A rule about something that never asks does no harm. */
    options.flags = AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS;
    aicp_status status = aicp_policy_validate(j->set, schema, &options, &report, err);
    if (status == AICP_OK) {
        put_report(j, report);
    }
    aicp_policy_report_free(report);
    return status;
}

/* Texts are kept and joined in Cedar's own syntax: the JSON form is not one of them. */
static aicp_status parse(judgement *j, const char *text, aicp_error *err) {
    aicp_policy_set_options options;
    aicp_policy_set_options_init(&options, sizeof options);
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    if (text[strspn(text, " \t\r\n")] == '{') {
        return aicpi_fail(err, AICP_ERR_INVALID, "expected Cedar's own syntax, not its JSON form");
    }
    aicp_status status = aicp_policy_set_parse(text, strlen(text), &options, &j->set, err);
    if (status == AICP_OK && aicp_policy_set_template_count(j->set) > 0) {
        status =
            aicpi_fail(err, AICP_ERR_INVALID, "a template has no effect here: name who and what");
    }
    return status;
}

static judgement judge(const aicpa_admin *admin, const char *text) {
    judgement j = {NULL, json_object_new_array(), json_object_new_array()};
    aicp_error err = {0};
    aicp_status status = parse(&j, text, &err);
    status = status ? status : validate(&j, admin->schema, &err);
    if (status != AICP_OK) {
        put_error(&j, &err);
    }
    return j;
}

static void judgement_free(judgement *j) {
    aicp_policy_set_free(j->set);
    json_object_put(j->errors);
    json_object_put(j->warnings);
}

bool aicpa_policy_text_check(aicps_call *call, const char *text) {
    judgement j = judge(aicpa_of(call), text);
    for (size_t i = 0; i < json_object_array_length(j.errors); i++) {
        struct json_object *e = json_object_array_get_idx(j.errors, i);
        const char *message = json_object_get_string(aicps_member(e, "message"));
        if (aicps_int(e, "line") > 0) {
            aicps_field_error(
                call,
                "text",
                "line %d, column %d: %s",
                (int)aicps_int(e, "line"),
                (int)aicps_int(e, "column"),
                message);
        } else {
            aicps_field_error(call, "text", "%s", message);
        }
    }
    judgement_free(&j);
    return !aicps_has_field_errors(call);
}

/* ---- calls ---- */

static const aicps_field check_fields[] = {
    {.name = "text", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 262144},
};

static struct json_object *describe_set(const aicp_policy_set *set) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; set && i < aicp_policy_set_count(set); i++) {
        struct json_object *o = json_object_new_object();
        const char *reason = aicp_policy_set_annotation(set, i, "reason");
        bool permit = aicp_policy_set_effect(set, i) == AICP_POLICY_PERMIT;
        aicps_set(o, "id", json_object_new_string(aicp_policy_set_id(set, i)));
        aicps_set(o, "effect", json_object_new_string(permit ? "permit" : "forbid"));
        aicps_set(o, "line", json_object_new_int64(aicp_policy_set_line(set, i)));
        aicps_set(o, "reason", reason ? json_object_new_string(reason) : NULL);
        json_object_array_add(list, o);
    }
    return list;
}

static void post_check(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    judgement j = judge(aicpa_of(call), aicps_text(body, "text").data);
    struct json_object *answer = json_object_new_object();
    bool valid = json_object_array_length(j.errors) == 0;
    aicps_set(answer, "valid", json_object_new_boolean(valid));
    aicps_set(answer, "errors", json_object_get(j.errors));
    aicps_set(answer, "warnings", json_object_get(j.warnings));
    aicps_set(answer, "policies", describe_set(j.set));
    judgement_free(&j);
    json_object_put(body);
    aicps_send_json(call, 200, answer);
}

static void get_schema(aicps_call *call) {
    const aicpa_admin *admin = aicpa_of(call);
    aicp_buf text = AICP_BUF_INIT;
    aicp_error err = {0};
    struct json_object *json = NULL;
    aicp_status status =
        aicp_policy_schema_write(admin->schema, AICP_POLICY_FORMAT_JSON, &text, &err);
    status = status ? status : aicps_json_parse(call->arena, text.data, text.len, 0, &json, &err);
    aicp_buf_free(&text);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    struct json_object *answer = json_object_new_object();
    aicps_set(answer, "cedar", json_object_new_string_len(aicpa_schema, (int)aicpa_schema_len));
    aicps_set(answer, "json", json);
    aicps_send_json(call, 200, answer);
}

static void get_default(aicps_call *call) {
    struct json_object *answer = json_object_new_object();
    aicps_set(
        answer,
        "text",
        json_object_new_string_len(aicpa_default_policies, (int)aicpa_default_policies_len));
    aicps_send_json(call, 200, answer);
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/policies/check",
     .handler = post_check,
     .action = "check",
     .resource_type = "policy",
     .summary = "Check a text without saving it",
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"valid\",\"errors\",\"warnings\",\"policies\"]}",
     .body = check_fields,
     .body_count = 1},
    {.method = "GET",
     .pattern = "/api/v1/policies/schema",
     .handler = get_schema,
     .action = "get",
     .resource_type = "policy",
     .summary = "The schema that policies are written against",
     .response_schema = "{\"type\":\"object\",\"required\":[\"cedar\",\"json\"]}"},
    {.method = "GET",
     .pattern = "/api/v1/policies/default",
     .handler = get_default,
     .action = "get",
     .resource_type = "policy",
     .summary = "A set of policies to start from",
     .response_schema = "{\"type\":\"object\",\"required\":[\"text\"]}"},
};

aicp_status aicpa_policy_check_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
