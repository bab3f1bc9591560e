/* Detectors that profiles may have besides the engine's own, and the scan of a text by a team's
 * rules. */
#include "services/admin-api/resources/guardrails.h"

#include "services/admin-api/list.h"

#include "lib/base/error.h"

#include <stdio.h>

#define NAME_BYTES 31

static const char *const types[] = {"regex", "keyword", "pii", NULL};

static const aicps_field fields[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = NAME_BYTES,
     .pattern = "[^\\x00-\\x1f\\x7f]+",
     .doc = "rule of its findings, at most 31 bytes"},
    {.name = "description",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_SEARCH,
     .max = 2000},
    {.name = "detector_type",
     .type = AICPS_ENUM,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_FACET | AICPS_SORT,
     .values = types},
    {.name = "config",
     .type = AICPS_OBJECT,
     .flags = AICPS_REQUIRED | AICPS_CSV_OFF,
     .doc = "regex: patterns (texts, or objects with pattern, label, action); keyword: keywords, "
            "whole_words; pii: entity_types; all: label (not pii) and action"},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
};

/* ---- save ---- */

static bool is_one_of(const char *name, const char *const *names) {
    while (*names && strcmp(name, *names) != 0) {
        names++;
    }
    return *names != NULL;
}

static void check_words(aicps_call *call, struct json_object *o, const char *where) {
    static const char *const actions[] = {
        "block", "mask", "anonymize", "hash", "flag", "log", "detect", NULL};
    struct json_object *label = aicps_member(o, "label");
    struct json_object *action = aicps_member(o, "action");
    if (action && (!json_object_is_type(action, json_type_string) ||
                   !is_one_of(json_object_get_string(action), actions))) {
        aicps_field_error(
            call, where, "action is one of block, mask, anonymize, hash, flag, log, detect");
    }
    if (label &&
        (!json_object_is_type(label, json_type_string) || json_object_get_string_len(label) < 1 ||
         json_object_get_string_len(label) > NAME_BYTES)) {
        aicps_field_error(call, where, "label is a text of 1 to 31 bytes");
    }
}

static void check_members(
    aicps_call *call, struct json_object *o, const char *where, const char *const *known) {
    json_object_object_foreach(o, name, value) {
        (void)value;
        if (!is_one_of(name, known)) {
            aicps_field_error(call, where, "unknown member \"%.60s\"", name);
        }
    }
}

static void check_pattern(aicps_call *call, struct json_object *item, size_t i) {
    static const char *const known[] = {"pattern", "label", "action", NULL};
    if (json_object_is_type(item, json_type_object)) {
        check_members(call, item, "config.patterns", known);
        check_words(call, item, "config.patterns");
        item = aicps_member(item, "pattern");
    }
    if (!json_object_is_type(item, json_type_string)) {
        aicps_field_error(
            call, "config.patterns", "item %zu is a text, or an object with a pattern", i + 1);
    }
}

static void check_entity(aicps_call *call, struct json_object *item) {
    const char *name = json_object_get_string(item);
    if (!name || !aicpa_guardrail_entity(aicpi_slice_cstr(name))) {
        aicps_field_error(
            call, "config.entity_types", "\"%.60s\" cannot be found", name ? name : "null");
    }
}

static void check_config(aicps_call *call, const char *type, struct json_object *config) {
    static const char *const regex[] = {"patterns", "label", "action", NULL};
    static const char *const keyword[] = {"keywords", "label", "action", "whole_words", NULL};
    static const char *const pii[] = {"entity_types", "action", NULL};
    bool is_regex = strcmp(type, "regex") == 0;
    bool is_pii = strcmp(type, "pii") == 0;
    const char *const *known = is_regex ? regex : is_pii ? pii : keyword;
    struct json_object *list = aicps_member(config, known[0]);
    struct json_object *whole = aicps_member(config, "whole_words");
    check_members(call, config, "config", known);
    check_words(call, config, "config");
    if (whole && !json_object_is_type(whole, json_type_boolean)) {
        aicps_field_error(call, "config.whole_words", "true or false");
    }
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0) {
        aicps_field_error(call, "config", "\"%s\" is needed: a list that is not empty", known[0]);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        if (is_regex) {
            check_pattern(call, item, i);
        } else if (is_pii) {
            check_entity(call, item);
        } else if (!json_object_is_type(item, json_type_string)) {
            aicps_field_error(call, "config.keywords", "item %zu is not a text", i + 1);
        }
    }
}

/* Rules with this detector alone. */
static struct json_object *rules_of(struct json_object *row) {
    struct json_object *list = json_object_new_array();
    json_object_array_add(list, json_object_get(row));
    struct json_object *rules = aicpa_guardrail_json(NULL, aicps_text(row, "name"), list);
    json_object_put(list);
    return rules;
}

static aicp_status check(aicps_change *change, aicp_error *err) {
    struct json_object *row = change->after;
    aicps_call *call = change->call;
    if (!row) {
        return AICP_OK;
    }
    if (aicps_text(row, "name").len > NAME_BYTES) {
        aicps_field_error(call, "name", "at most %d bytes", NAME_BYTES);
    }
    const char *type = json_object_get_string(aicps_member(row, "detector_type"));
    check_config(call, type ? type : "", aicps_member(row, "config"));
    if (aicps_has_field_errors(call)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the detector is not right");
    }
    return aicpa_guardrail_accept(call, rules_of(row), "config", err);
}

static aicp_status on_id(void *list, aicpi_sql_stmt *row, aicp_error *err) {
    (void)err;
    json_object_array_add(list, aicpa_column_text(row, 0));
    return AICP_OK;
}

/* Profiles that have detectors are read again as they are now: limits hold for all of them. */
static aicp_status apply(aicps_change *change, aicp_error *err) {
    aicps_call *call = change->call;
    struct json_object *ids = json_object_new_array();
    aicp_status status = aicpa_each_row(
        call->db, "SELECT DISTINCT guardrail_id FROM admin_guardrail_detector", on_id, ids, err);
    for (size_t i = 0; status == AICP_OK && i < json_object_array_length(ids); i++) {
        struct json_object *rules = NULL;
        const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
        status = aicpa_guardrail_of_id(call->db, aicpi_slice_cstr(id), &rules, err);
        status = status ? status : aicpa_guardrail_accept(call, rules, "config", err);
    }
    json_object_put(ids);
    if (aicps_has_field_errors(call)) {
        aicps_send_field_errors(call);
    }
    return status;
}

static const aicps_resource resource = {
    .path = "/api/v1/detectors",
    .type = "detector",
    .title = "Detector",
    .table = "admin_detector",
    .sort = "name",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = fields,
    .field_count = AICPA_COUNT(fields),
    .check = check,
    .apply = apply,
    .doc = "Detectors of your own. They act in the profiles that they are attached to.",
};

/* ---- tries ---- */

/* A finding in the shape of a match; `match` is masked. start and end count code points. */
static struct json_object *match_of(struct json_object *finding) {
    static const char *const same[] = {
        "start", "end", "byte_start", "byte_end", "score", "action", "scanner"};
    struct json_object *o = json_object_new_object();
    aicps_set(o, "label", json_object_get(aicps_member(finding, "type")));
    aicps_set(o, "match", json_object_get(aicps_member(finding, "preview")));
    for (size_t i = 0; i < AICPA_COUNT(same); i++) {
        aicps_set(o, same[i], json_object_get(aicps_member(finding, same[i])));
    }
    return o;
}

static const aicps_field test_fields[] = {AICPA_TRY_FIELDS};

static void post_test(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    struct json_object *row = aicps_resource_load(call, &resource, call->params[0]);
    struct json_object *tried = row ? aicpa_guardrail_try(call, rules_of(row), body) : NULL;
    if (tried) {
        struct json_object *findings = aicps_member(tried, "findings");
        struct json_object *matches = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(findings); i++) {
            json_object_array_add(matches, match_of(json_object_array_get_idx(findings, i)));
        }
        struct json_object *answer = json_object_new_object();
        aicps_set(answer, "matches", matches);
        aicps_set(answer, "action", json_object_get(aicps_member(tried, "action")));
        aicps_set(answer, "text", json_object_get(aicps_member(tried, "text")));
        aicps_set(answer, "error", json_object_get(aicps_member(tried, "error")));
        aicps_send_json(call, 200, answer);
    }
    json_object_put(tried);
    json_object_put(row);
    json_object_put(body);
}

static const aicps_field scan_fields[] = {
    AICPA_TRY_FIELDS,
    {.name = "team_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},
    {.name = "guardrail_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 128},
};

static aicp_status on_name(void *names, aicpi_sql_stmt *row, aicp_error *err) {
    struct json_object *o = json_object_new_object();
    (void)err;
    aicps_set(o, "id", aicpa_column_text(row, 0));
    aicps_set(o, "name", aicpa_column_text(row, 1));
    json_object_array_add(names, o);
    return AICP_OK;
}

static void
name_detector(struct json_object *match, struct json_object *finding, struct json_object *names) {
    bool own = aicpi_slice_is(aicps_text(finding, "scanner"), "custom");
    aicpi_slice rule = aicps_text(finding, "rule");
    struct json_object *id = NULL;
    for (size_t i = 0; own && i < json_object_array_length(names); i++) {
        struct json_object *n = json_object_array_get_idx(names, i);
        id = aicpi_slice_eq(aicps_text(n, "name"), rule) ? aicps_member(n, "id") : id;
    }
    aicps_set(match, "detector_name", aicps_json_slice(rule));
    aicps_set(match, "detector_id", json_object_get(id));
}

static struct json_object *scan_answer(struct json_object *tried, struct json_object *names) {
    struct json_object *findings = aicps_member(tried, "findings");
    struct json_object *matches = json_object_new_array();
    struct json_object *reasons = json_object_new_array();
    struct json_object *seen = json_object_new_object();
    bool blocked = aicps_bool(tried, "blocked");
    if (blocked) {
        json_object_array_add(reasons, json_object_get(aicps_member(tried, "reason")));
        json_object_object_add(seen, json_object_get_string(aicps_member(tried, "reason")), NULL);
    }
    for (size_t i = 0; i < json_object_array_length(findings); i++) {
        struct json_object *f = json_object_array_get_idx(findings, i);
        struct json_object *m = match_of(f);
        name_detector(m, f, names);
        json_object_array_add(matches, m);
        char reason[80];
        snprintf(
            reason,
            sizeof reason,
            "%s (%s)",
            json_object_get_string(aicps_member(f, "type")),
            json_object_get_string(aicps_member(f, "rule")));
        bool blocks = aicpi_slice_is(aicps_text(f, "action"), "block");
        if (blocks && blocked && !json_object_object_get_ex(seen, reason, NULL)) {
            json_object_object_add(seen, reason, NULL);
            json_object_array_add(reasons, json_object_new_string(reason));
        }
    }
    json_object_put(seen);
    struct json_object *o = json_object_new_object();
    bool clean = !blocked && json_object_array_length(matches) == 0;
    aicps_set(o, "clean", json_object_new_boolean(clean));
    aicps_set(o, "matches", matches);
    aicps_set(o, "blocked", json_object_new_boolean(blocked));
    aicps_set(o, "block_reasons", reasons);
    static const char *const same[] = {"action", "risk_score", "text", "scanners", "error"};
    for (size_t i = 0; i < AICPA_COUNT(same); i++) {
        aicps_set(o, same[i], json_object_get(aicps_member(tried, same[i])));
    }
    return o;
}

static void post_scan(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    struct json_object *rules = NULL;
    struct json_object *names = json_object_new_array();
    aicp_error err = {0};
    if (!body) {
        json_object_put(names);
        return;
    }
    aicpi_slice profile = aicps_text(body, "guardrail_id");
    aicp_status status =
        profile.len > 0
            ? aicpa_guardrail_of_id(call->db, profile, &rules, &err)
            : aicpa_guardrail_of_team(call->db, aicps_text(body, "team_id"), &rules, &err);
    status =
        status
            ? status
            : aicpa_each_row(call->db, "SELECT id, name FROM admin_detector", on_name, names, &err);
    if (status != AICP_OK) {
        json_object_put(rules);
        aicps_send_status(call, status, &err);
    } else {
        struct json_object *tried = aicpa_guardrail_try(call, rules, body);
        if (tried) {
            aicps_send_json(call, 200, scan_answer(tried, names));
        }
        json_object_put(tried);
    }
    json_object_put(names);
    json_object_put(body);
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/detectors/{id}/test",
     .handler = post_test,
     .action = "test",
     .resource_type = "detector",
     .summary = "What this detector finds in a text; start and end count code points",
     .response_schema = "{\"type\":\"object\",\"required\":[\"matches\"]}",
     .body_max = 4 << 20,
     .body = test_fields,
     .body_count = AICPA_COUNT(test_fields)},
    {.method = "POST",
     .pattern = "/api/v1/scan",
     .handler = post_scan,
     .action = "scan",
     .resource_type = "guardrail",
     .summary = "Scan a text by a profile, or by the rules of a team",
     .response_schema = "{\"type\":\"object\",\"required\":[\"clean\",\"matches\",\"blocked\","
                        "\"block_reasons\"]}",
     .body_max = 4 << 20,
     .body = scan_fields,
     .body_count = AICPA_COUNT(scan_fields)},
};

aicp_status aicpa_detectors_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
