/* Rules tried on a text. */
#include "services/admin-api/resources/guardrails.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

const char *const aicpa_try_directions[] = {"input", "output", NULL};
const char *const aicpa_try_sources[] = {"user", "tool", "retrieved", "file", "system", NULL};

static int32_t index_of(const char *const *names, aicpi_slice name) {
    int32_t i = 0;
    while (names[i] && !aicpi_slice_is(name, names[i])) {
        i++;
    }
    return names[i] ? i : 0;
}

static void set_number(struct json_object *o, const char *name, uint64_t value) {
    aicps_set(o, name, json_object_new_int64((int64_t)value));
}

/* Scores to three places, as in events. */
static struct json_object *score_json(double score) {
    return aicps_json_nano((int64_t)(score * 1000.0 + 0.5) * 1000000);
}

static struct json_object *finding_json(const aicp_guard_finding *f) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "scanner", json_object_new_string(aicp_guard_category_name(f->category)));
    aicps_set(o, "type", json_object_new_string(f->type));
    aicps_set(o, "rule", json_object_new_string(f->rule));
    aicps_set(o, "score", score_json(f->score));
    aicps_set(o, "action", json_object_new_string(aicp_guard_action_name(f->action)));
    set_number(o, "start", f->char_start);
    set_number(o, "end", f->char_end);
    set_number(o, "byte_start", f->start);
    set_number(o, "byte_end", f->end);
    aicps_set(o, "preview", json_object_new_string(f->preview));
    aicps_set(o, "validated", json_object_new_boolean(f->validated != 0));
    aicps_set(o, "decoded", json_object_new_boolean(f->decoded != 0));
    return o;
}

static struct json_object *outcome(const aicp_guard_result *r, struct json_object *body) {
    struct json_object *o = json_object_new_object();
    struct json_object *scanners = json_object_new_object();
    struct json_object *findings = json_object_new_array();
    bool blocked = aicp_guard_result_action(r) == AICP_GUARD_BLOCK;
    bool rewritten = aicp_guard_result_rewritten(r) != 0;
    size_t len = 0;
    const char *text = aicp_guard_result_text(r, &len);
    for (int32_t i = 0; i < AICP_GUARD_CATEGORY_COUNT; i++) {
        aicps_set(scanners, aicp_guard_category_name(i), score_json(aicp_guard_result_score(r, i)));
    }
    for (size_t i = 0; i < aicp_guard_result_finding_count(r); i++) {
        json_object_array_add(findings, finding_json(aicp_guard_result_finding(r, i)));
    }
    aicp_status error = aicp_guard_result_error(r);
    aicps_set(
        o, "action", json_object_new_string(aicp_guard_action_name(aicp_guard_result_action(r))));
    aicps_set(o, "blocked", json_object_new_boolean(blocked));
    aicps_set(o, "reason", json_object_new_string(aicp_guard_result_reason(r)));
    aicps_set(o, "risk_score", score_json(aicp_guard_result_risk(r)));
    aicps_set(o, "rewritten", json_object_new_boolean(rewritten));
    aicps_set(
        o,
        "text",
        blocked     ? NULL
        : rewritten ? json_object_new_string_len(text, (int)len)
                    : json_object_get(aicps_member(body, "text")));
    aicps_set(o, "truncated", json_object_new_boolean(aicp_guard_result_truncated(r) != 0));
    aicps_set(o, "error", error ? json_object_new_string(aicp_status_text(error)) : NULL);
    set_number(o, "match_count", aicp_guard_result_match_count(r));
    aicps_set(o, "scanners", scanners);
    aicps_set(o, "findings", findings);
    return o;
}

struct json_object *
aicpa_guardrail_try(aicps_call *call, struct json_object *rules, struct json_object *body) {
    aicp_guard_profile *profile = NULL;
    aicp_guard_result *result = NULL;
    aicp_guard_session *session = NULL;
    struct json_object *answer = NULL;
    aicp_error err = {0};
    aicp_status status = aicpa_guardrail_parse(rules, &profile, &err);
    status = status ? status : aicp_guard_result_new(NULL, &result, &err);
    status = status ? status : aicp_guard_session_new(NULL, &session, &err);
    if (status == AICP_OK) {
        aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
        how.direction = index_of(aicpa_try_directions, aicps_text(body, "direction"));
        how.source = index_of(aicpa_try_sources, aicps_text(body, "source"));
        how.session = session;
        aicpi_slice text = aicps_text(body, "text");
        status = aicp_guard_scan(profile, text.data, text.len, &how, result, &err);
    }
    if (status == AICP_OK) {
        answer = outcome(result, body);
    } else {
        aicps_send_status(call, status, &err);
    }
    aicp_guard_session_free(session);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
    json_object_put(rules);
    return answer;
}

aicp_status aicpa_guardrail_accept(
    aicps_call *call, struct json_object *rules, const char *field, aicp_error *err) {
    aicp_guard_profile *profile = NULL;
    aicp_error why = {0};
    aicp_status status = aicpa_guardrail_parse(rules, &profile, &why);
    aicp_guard_profile_free(profile);
    json_object_put(rules);
    if (status == AICP_OK || status == AICP_ERR_NOMEM) {
        return status == AICP_OK ? status : aicpi_nomem(err);
    }
    aicps_field_error(call, field, "%s", why.message);
    return aicpi_fail(err, AICP_ERR_INVALID, "%s", why.message);
}

/* ---- statements ---- */

bool aicpa_guardrail_priority(aicps_call *call, int64_t *priority) {
    aicpi_slice text = aicps_http_query(call->req, "priority");
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t value = 0;
    *priority = 0;
    if (text.len == 0) {
        return true;
    }
    aicpi_slice digits = {text.data + negative, text.len - negative};
    if (!aicpi_parse_u64(digits, &value) || value > 1000000) {
        aicps_field_error(call, "priority", "a whole number from -1000000 to 1000000");
        aicps_send_field_errors(call);
        return false;
    }
    *priority = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

aicp_status aicpa_guardrail_run(
    aicpi_sql *db,
    const char *sql,
    const aicpi_slice *values,
    size_t count,
    int64_t number,
    int64_t *changed,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(db, sql, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        aicpi_sql_bind_text(q, (int32_t)i + 1, values[i].data, values[i].len);
    }
    if (number != INT64_MIN) {
        aicpi_sql_bind_i64(q, (int32_t)count + 1, number);
    }
    status = aicpi_sql_run(q, err);
    if (status == AICP_OK && changed) {
        *changed = (int64_t)aicpi_sql_changes(db);
    }
    return status;
}

aicp_status aicpa_guardrail_noted(
    aicps_change *change, const char *name, struct json_object *value, aicp_error *err) {
    if (json_object_deep_copy(change->before, &change->after, NULL) != 0) {
        json_object_put(value);
        return aicpi_nomem(err);
    }
    aicps_set(change->after, name, value);
    return AICP_OK;
}
