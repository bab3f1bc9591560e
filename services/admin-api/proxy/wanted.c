#include "services/admin-api/proxy/wanted.h"

#include "services/admin-api/rules/limits.h"

#include <stdio.h>

#define KEY_MAX 1200 /* a scope_value of 256 characters and a prefix */
#define PARALLEL_MAX INT64_C(2147483647)

/* Which of LiteLLM's objects holds the limits of a scope. */
static const struct {
    const char *scope;
    const char *kind;
} holders[] = {{"team", "team"}, {"team_model", "team"}, {"key", "key"}, {"user", "user"}};

static const char *kind_of(aicpi_slice scope) {
    for (size_t i = 0; i < AICPA_COUNT(holders); i++) {
        if (aicpi_slice_is(scope, holders[i].scope)) {
            return holders[i].kind;
        }
    }
    return NULL;
}

/* ---- what cannot be held ---- */

static bool has_star(aicpi_slice text) {
    return text.len > 0 && memchr(text.data, '*', text.len);
}

static bool is_zero(struct json_object *policy, const char *name) {
    return !aicps_is_null(policy, name) && aicps_int(policy, name) == 0;
}

#define GATE "; let the gate enforce it"
#define OR_GATE ", or let the gate enforce it"

size_t aicpa_wanted_objections(struct json_object *p, aicpa_objection out[AICPA_OBJECTIONS_MAX]) {
    aicpi_slice scope = aicps_text(p, "scope");
    aicpi_slice value = aicps_text(p, "scope_value");
    bool key = aicpi_slice_is(scope, "key");
    bool raw = key && value.len > 3 && memcmp(value.data, "sk-", 3) == 0;
    const char *zero = "LiteLLM gets no limit of 0: block the subject there" OR_GATE;
    const struct {
        bool holds;
        aicpa_objection is;
    } rules[] = {
        {!kind_of(scope), {"enforcer", "LiteLLM holds no limits of this scope" GATE}},
        {has_star(value), {"scope_value", "LiteLLM knows no patterns with *" GATE}},
        {raw, {"scope_value", "must be the key's hash, not the key"}},
        {!aicps_is_null(p, "rpd_limit"), {"rpd_limit", "LiteLLM has no daily limits" GATE}},
        {!aicps_is_null(p, "tpd_limit"), {"tpd_limit", "LiteLLM has no daily limits" GATE}},
        {!aicps_is_null(p, "max_parallel_requests") && !key,
         {"max_parallel_requests", "LiteLLM limits parallel requests of keys only" GATE}},
        {aicps_int(p, "max_parallel_requests") > PARALLEL_MAX,
         {"max_parallel_requests", "LiteLLM holds at most 2147483647"}},
        {aicps_nano(p, "burst_multiplier") > INT64_C(1000000000) ||
             aicps_int(p, "burst_window_seconds") > 0,
         {"burst_multiplier", "LiteLLM knows no bursts: use 1 and no window" OR_GATE}},
        {is_zero(p, "rpm_limit"), {"rpm_limit", zero}},
        {is_zero(p, "tpm_limit"), {"tpm_limit", zero}},
        {key && is_zero(p, "max_parallel_requests"), {"max_parallel_requests", zero}},
    };
    _Static_assert(AICPA_COUNT(rules) <= AICPA_OBJECTIONS_MAX, "room for all");
    size_t count = 0;
    for (size_t i = 0; i < AICPA_COUNT(rules); i++) {
        if (rules[i].holds) {
            out[count++] = rules[i].is;
        }
    }
    return count;
}

/* ---- what is wanted ---- */

struct json_object *
aicpa_wanted_entry(struct json_object *subjects, aicpi_slice kind, aicpi_slice subject) {
    char name[KEY_MAX];
    snprintf(
        name,
        sizeof name,
        "%.*s/%.*s",
        (int)kind.len,
        kind.data,
        (int)subject.len,
        subject.data ? subject.data : "");
    struct json_object *entry = NULL;
    if (!json_object_object_get_ex(subjects, name, &entry)) {
        entry = json_object_new_object();
        aicps_set(entry, "kind", aicps_json_slice(kind));
        aicps_set(entry, "subject", aicps_json_slice(subject));
        aicps_set(entry, "wanted", json_object_new_object());
        aicps_set(entry, "policies", json_object_new_array());
        json_object_object_add(subjects, name, entry);
    }
    return entry;
}

static void add_number(
    struct json_object *wanted, const char *name, struct json_object *policy, const char *field) {
    int64_t value = aicps_int(policy, field);
    struct json_object *present = aicps_member(wanted, name);
    if (value > 0 && (!present || value < json_object_get_int64(present))) {
        aicps_set(wanted, name, json_object_new_int64(value));
    }
}

static void
add_model_number(struct json_object *wanted, struct json_object *policy, const char *field) {
    char name[KEY_MAX];
    aicpi_slice values[2];
    const aicpa_scope *scope = aicpa_scope_find(aicps_text(policy, "scope"));
    if (scope && aicpa_scope_split(scope, aicps_text(policy, "scope_value"), values)) {
        snprintf(name, sizeof name, "model_%s:%.*s", field, (int)values[1].len, values[1].data);
        add_number(wanted, name, policy, field);
    }
}

bool aicpa_wanted_add(struct json_object *subjects, struct json_object *policy) {
    aicpi_slice scope_name = aicps_text(policy, "scope");
    const aicpa_scope *scope = aicpa_scope_find(scope_name);
    const char *kind = kind_of(scope_name);
    aicpi_slice values[2];
    if (!kind || !scope || !aicpa_scope_split(scope, aicps_text(policy, "scope_value"), values)) {
        return false;
    }
    struct json_object *entry = aicpa_wanted_entry(subjects, aicpi_slice_cstr(kind), values[0]);
    struct json_object *wanted = aicps_member(entry, "wanted");
    json_object_array_add(aicps_member(entry, "policies"), json_object_get(policy));
    if (!aicps_bool(policy, "is_active")) {
        return true;
    }
    if (scope->dimensions[1]) {
        add_model_number(wanted, policy, "rpm_limit");
        add_model_number(wanted, policy, "tpm_limit");
        return true;
    }
    add_number(wanted, "rpm_limit", policy, "rpm_limit");
    add_number(wanted, "tpm_limit", policy, "tpm_limit");
    add_number(wanted, "max_parallel_requests", policy, "max_parallel_requests");
    return true;
}

/* ---- what is there ---- */

/* "model_rpm_limit:gpt-4o" is the member gpt-4o of model_rpm_limit; the rest are members. */
static const char *model_of(const char *name, char field[32]) {
    const char *colon = strchr(name, ':');
    size_t len = colon ? (size_t)(colon - name) : 0;
    if (!colon || len >= 32) {
        return NULL;
    }
    memcpy(field, name, len);
    field[len] = '\0';
    return colon + 1;
}

static void see(struct json_object *object, struct json_object *names, struct json_object *out) {
    json_object_object_foreach(names, name, unused) {
        char field[32];
        const char *model = model_of(name, field);
        struct json_object *from =
            model ? aicps_member(aicps_member(object, "metadata"), field) : object;
        struct json_object *value = aicps_member(from, model ? model : name);
        (void)unused;
        if (value) {
            aicps_set(out, name, json_object_get(value));
        }
    }
}

struct json_object *aicpa_wanted_seen(
    struct json_object *object, struct json_object *wanted, struct json_object *pushed) {
    struct json_object *out = json_object_new_object();
    see(object, wanted, out);
    if (pushed) {
        see(object, pushed, out);
    }
    return out;
}

struct json_object *aicpa_wanted_difference(
    struct json_object *wanted, struct json_object *pushed, struct json_object *actual) {
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(wanted, name, value) {
        if (!json_object_equal(value, aicps_member(actual, name))) {
            aicps_set(out, name, json_object_get(value));
        }
    }
    if (pushed) {
        json_object_object_foreach(pushed, old, unused) {
            (void)unused;
            if (!aicps_member(wanted, old) && aicps_member(actual, old)) {
                aicps_set(out, old, NULL);
            }
        }
    }
    return out;
}

struct json_object *aicpa_wanted_merge(struct json_object *under, struct json_object *over) {
    struct json_object *out = json_object_new_object();
    if (under) {
        json_object_object_foreach(under, name, value) {
            aicps_set(out, name, json_object_get(value));
        }
    }
    json_object_object_foreach(over, top, number) {
        aicps_set(out, top, json_object_get(number));
    }
    return out;
}

/* ---- LiteLLM's form ---- */

static struct json_object *
models_in(struct json_object *body, struct json_object *object, const char *field) {
    struct json_object *models = aicps_member(body, field);
    if (!models) {
        struct json_object *there = aicps_member(aicps_member(object, "metadata"), field);
        if (!json_object_is_type(there, json_type_object) ||
            json_object_deep_copy(there, &models, NULL) != 0) {
            models = json_object_new_object();
        }
        aicps_set(body, field, models);
    }
    return models;
}

struct json_object *aicpa_wanted_body(struct json_object *numbers, struct json_object *object) {
    struct json_object *body = json_object_new_object();
    json_object_object_foreach(numbers, name, value) {
        char field[32];
        const char *model = model_of(name, field);
        struct json_object *into = model ? models_in(body, object, field) : body;
        if (model && !value) {
            json_object_object_del(into, model);
        } else {
            aicps_set(into, model ? model : name, json_object_get(value));
        }
    }
    return body;
}
