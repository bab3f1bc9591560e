/* Rows -> the engine's JSON. */
#include "services/admin-api/rules/guardrails.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdio.h>

#define MAX_ENTITIES 64

/* Personal entities that are looked for, and what is done about them. */
typedef struct entities {
    const char *type[MAX_ENTITIES];
    const char *action[MAX_ENTITIES]; /* NULL: not looked for */
    size_t count;
} entities;

static void list_entities(entities *e) {
    e->count = 0;
    for (size_t i = 0; i < aicp_guard_rule_count() && e->count < MAX_ENTITIES; i++) {
        const aicp_guard_rule *rule = aicp_guard_rule_at(i);
        bool known = rule->category != AICP_GUARD_PII;
        for (size_t k = 0; k < e->count && !known; k++) {
            known = strcmp(e->type[k], rule->type) == 0;
        }
        if (!known) {
            e->type[e->count] = rule->type;
            e->action[e->count++] = NULL;
        }
    }
}

const char *aicpa_guardrail_entity(aicpi_slice name) {
    static const char *const short_names[][2] = {
        {"email", "EMAIL_ADDRESS"},
        {"phone", "PHONE_NUMBER"},
        {"ssn", "US_SSN"},
        {"credit_card", "CREDIT_CARD"},
        {"ip_address", "IP_ADDRESS"},
        {"iban", "IBAN_CODE"},
    };
    for (size_t i = 0; i < AICPA_COUNT(short_names); i++) {
        if (aicpi_slice_is(name, short_names[i][0])) {
            name = aicpi_slice_cstr(short_names[i][1]);
        }
    }
    entities e;
    list_entities(&e);
    for (size_t i = 0; i < e.count; i++) {
        if (aicpi_slice_is(name, e.type[i])) {
            return e.type[i];
        }
    }
    return NULL;
}

void aicpa_guardrail_entities(aicpi_strbuf *out) {
    entities e;
    list_entities(&e);
    for (size_t i = 0; i < e.count; i++) {
        aicpi_strbuf_printf(out, "%s%s", i ? ", " : "", e.type[i]);
    }
}

void aicpa_guardrail_label(aicpi_slice name, char out[32]) {
    size_t n = 0;
    if (name.len == 0 || !aicpi_is_alpha(name.data[0])) {
        out[n++] = 'D';
        out[n++] = '_';
    }
    for (size_t i = 0; i < name.len && n < 31; i++) {
        char c = name.data[i];
        out[n++] = aicpi_is_digit(c)   ? c
                   : aicpi_is_alpha(c) ? (char)(aicpi_lower(c) - 'a' + 'A')
                                       : '_';
    }
    out[n] = '\0';
}

/* ---- actions ---- */

static const char *action_name(aicpi_slice name, const char *fallback) {
    static const char *const names[] = {"log", "flag", "hash", "anonymize", "mask", "block"};
    for (size_t i = 0; i < AICPA_COUNT(names); i++) {
        if (aicpi_slice_is(name, names[i])) {
            return names[i];
        }
    }
    return aicpi_slice_is(name, "detect") ? "log" : fallback;
}

static int strictness(const char *action) {
    for (int32_t i = AICP_GUARD_BLOCK; i > AICP_GUARD_NONE; i--) {
        if (strcmp(action, aicp_guard_action_name(i)) == 0) {
            return (int)i;
        }
    }
    return 0;
}

static void look_for(entities *e, aicpi_slice name, const char *action) {
    const char *type = aicpa_guardrail_entity(name);
    for (size_t i = 0; i < e->count && type; i++) {
        bool stricter = !e->action[i] || strictness(action) > strictness(e->action[i]);
        if (strcmp(e->type[i], type) == 0 && stricter) {
            e->action[i] = action;
        }
    }
}

static void look_for_all(entities *e, struct json_object *names, const char *action) {
    size_t count =
        json_object_is_type(names, json_type_array) ? json_object_array_length(names) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *name = json_object_array_get_idx(names, i);
        look_for(e, aicpi_slice_cstr(json_object_get_string(name)), action);
    }
}

/* ---- sections ---- */

static struct json_object *section(bool enabled, const char *action) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "enabled", json_object_new_boolean(enabled));
    if (enabled && action) {
        aicps_set(o, "action", json_object_new_string(action));
    }
    return o;
}

static struct json_object *injection(struct json_object *profile) {
    bool on = aicps_bool(profile, "enable_prompt_injection");
    struct json_object *o = section(on, "block");
    if (on) {
        aicps_set(
            o, "threshold", aicps_json_nano(aicps_nano(profile, "prompt_injection_threshold")));
    }
    return o;
}

static struct json_object *secrets(struct json_object *profile) {
    aicpi_slice action = aicps_text(profile, "secrets_action");
    return section(aicps_bool(profile, "enable_secrets_detection"), action_name(action, NULL));
}

static struct json_object *pii(struct json_object *profile, struct json_object *detectors) {
    entities e;
    list_entities(&e);
    if (aicps_bool(profile, "enable_pii_detection")) {
        const char *action = action_name(aicps_text(profile, "pii_action"), "mask");
        look_for_all(&e, aicps_member(profile, "pii_entities"), action);
    }
    for (size_t i = 0; detectors && i < json_object_array_length(detectors); i++) {
        struct json_object *d = json_object_array_get_idx(detectors, i);
        struct json_object *config = aicps_member(d, "config");
        if (aicpi_slice_is(aicps_text(d, "detector_type"), "pii")) {
            const char *action = action_name(aicps_text(config, "action"), "mask");
            look_for_all(&e, aicps_member(config, "entity_types"), action);
        }
    }
    bool any = false;
    struct json_object *list = json_object_new_object();
    for (size_t i = 0; i < e.count; i++) {
        struct json_object *o = section(e.action[i] != NULL, e.action[i]);
        json_object_object_add(list, e.type[i], o);
        any = any || e.action[i];
    }
    struct json_object *o = section(any, NULL);
    aicps_set(o, "entities", list);
    return o;
}

/* ---- detectors ---- */

static struct json_object *
engine_detector(struct json_object *row, const char *type, aicpi_slice label, const char *action) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "name", aicps_json_slice(aicps_text(row, "name")));
    aicps_set(o, "type", json_object_new_string(type));
    char text[32];
    aicpa_guardrail_label(label.len ? label : aicps_text(row, "name"), text);
    aicps_set(o, "label", json_object_new_string(text));
    aicps_set(o, "action", json_object_new_string(action));
    return o;
}

/* Patterns with a label or an action of their own become detectors of the same name. */
static void add_patterns(struct json_object *list, struct json_object *row) {
    struct json_object *config = aicps_member(row, "config");
    struct json_object *patterns = aicps_member(config, "patterns");
    aicpi_slice label = aicps_text(config, "label");
    const char *action = action_name(aicps_text(config, "action"), "mask");
    struct json_object *plain = json_object_new_array();
    size_t count =
        json_object_is_type(patterns, json_type_array) ? json_object_array_length(patterns) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *p = json_object_array_get_idx(patterns, i);
        if (!json_object_is_type(p, json_type_object)) {
            json_object_array_add(plain, json_object_get(p));
            continue;
        }
        aicpi_slice own = aicps_text(p, "label");
        struct json_object *o = engine_detector(
            row, "regex", own.len ? own : label, action_name(aicps_text(p, "action"), action));
        struct json_object *one = json_object_new_array();
        json_object_array_add(one, json_object_get(aicps_member(p, "pattern")));
        aicps_set(o, "patterns", one);
        json_object_array_add(list, o);
    }
    if (json_object_array_length(plain) > 0) {
        struct json_object *o = engine_detector(row, "regex", label, action);
        aicps_set(o, "patterns", plain);
        json_object_array_add(list, o);
    } else {
        json_object_put(plain);
    }
}

static void add_keywords(struct json_object *list, struct json_object *row) {
    struct json_object *config = aicps_member(row, "config");
    struct json_object *o = engine_detector(
        row,
        "keyword",
        aicps_text(config, "label"),
        action_name(aicps_text(config, "action"), "mask"));
    aicps_set(o, "keywords", json_object_get(aicps_member(config, "keywords")));
    if (!aicps_is_null(config, "whole_words")) {
        aicps_set(o, "whole_words", json_object_new_boolean(aicps_bool(config, "whole_words")));
    }
    json_object_array_add(list, o);
}

static struct json_object *engine_detectors(struct json_object *rows) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        aicpi_slice type = aicps_text(row, "detector_type");
        if (aicpi_slice_is(type, "regex")) {
            add_patterns(list, row);
        } else if (aicpi_slice_is(type, "keyword")) {
            add_keywords(list, row);
        }
    }
    return list;
}

struct json_object *aicpa_guardrail_policy_detector(struct json_object *policy) {
    aicpi_slice type = aicps_text(policy, "policy_type");
    const char *action = aicpi_slice_is(type, "block")    ? "block"
                         : aicpi_slice_is(type, "redact") ? "mask"
                                                          : "flag";
    char name[32];
    snprintf(
        name, sizeof name, "content-policy-%.*s", (int)(type.len < 16 ? type.len : 16), type.data);
    struct json_object *config = json_object_new_object();
    struct json_object *keywords = aicps_member(aicps_member(policy, "config"), "keywords");
    aicps_set(config, "keywords", json_object_get(keywords));
    aicps_set(config, "action", json_object_new_string(action));
    aicps_set(config, "label", json_object_new_string("CONTENT_POLICY"));
    struct json_object *row = json_object_new_object();
    aicps_set(row, "name", json_object_new_string(name));
    aicps_set(row, "detector_type", json_object_new_string("keyword"));
    aicps_set(row, "config", config);
    return row;
}

struct json_object *
aicpa_guardrail_json(struct json_object *profile, aicpi_slice name, struct json_object *detectors) {
    struct json_object *o = json_object_new_object();
    bool observe = aicpi_slice_is(aicps_text(profile, "mode"), "observe");
    aicps_set(o, "name", aicps_json_slice(name));
    aicps_set(o, "mode", json_object_new_string(observe ? "monitor" : "enforce"));
    if (aicps_text(profile, "on_error").len > 0) {
        aicps_set(o, "on_error", aicps_json_slice(aicps_text(profile, "on_error")));
    }
    if (profile) {
        struct json_object *direction = json_object_new_object();
        bool output = aicps_bool(profile, "enable_sensitive_output");
        aicps_set(direction, "output", json_object_new_boolean(output));
        aicps_set(o, "direction", direction);
    }
    aicps_set(o, "prompt_injection", injection(profile));
    aicps_set(o, "pii", pii(profile, detectors));
    aicps_set(o, "secrets", secrets(profile));
    aicps_set(o, "invisible_text", section(aicps_bool(profile, "enable_invisible_text"), NULL));
    if (!aicps_is_null(profile, "banned_topics")) {
        aicps_set(o, "banned_topics", json_object_get(aicps_member(profile, "banned_topics")));
    }
    aicps_set(o, "detectors", engine_detectors(detectors));
    return o;
}

aicp_status
aicpa_guardrail_parse(struct json_object *json, aicp_guard_profile **out, aicp_error *err) {
    size_t len = 0;
    const char *text = json_object_to_json_string_length(json, JSON_C_TO_STRING_PLAIN, &len);
    *out = NULL;
    return text ? aicp_guard_profile_parse(text, len, NULL, out, err) : aicpi_nomem(err);
}
