/* Section guardrails: profiles, and which team goes by which. */
#include "services/admin-api/rules/guardrails.h"

#include "lib/base/error.h"

/* aicpa_each_row with a parameter for the query's one '?'. */
static aicp_status each(
    aicpi_sql *db,
    const char *sql,
    aicpi_slice value,
    aicpa_row_fn fn,
    void *user,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status status = aicpi_sql_prepare(db, sql, &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, value.data ? value.data : "", value.len);
    }
    while (status == AICP_OK && (status = aicpi_sql_step(q, &row, err)) == AICP_OK && row) {
        status = fn(user, q, err);
    }
    if (status != AICP_OK && q) {
        aicpi_sql_reset(q);
    }
    return status;
}

/* ---- rows in the form of the API ---- */

#define PROFILE                                                                                    \
    "SELECT id, name, enable_prompt_injection, prompt_injection_threshold, enable_pii_detection,"  \
    " pii_action, pii_entities, banned_topics, enable_secrets_detection, secrets_action,"          \
    " enable_invisible_text, enable_sensitive_output, mode, on_error, is_default"                  \
    " FROM admin_guardrail"

static struct json_object *column_flag(aicpi_sql_stmt *row, int32_t column) {
    return json_object_new_boolean(aicpi_sql_i64(row, column) != 0);
}

static aicp_status on_profile(void *list, aicpi_sql_stmt *row, aicp_error *err) {
    struct json_object *o = json_object_new_object();
    (void)err;
    aicps_set(o, "id", aicpa_column_text(row, 0));
    aicps_set(o, "name", aicpa_column_text(row, 1));
    aicps_set(o, "enable_prompt_injection", column_flag(row, 2));
    aicps_set(o, "prompt_injection_threshold", aicps_json_nano(aicpi_sql_i64(row, 3)));
    aicps_set(o, "enable_pii_detection", column_flag(row, 4));
    aicps_set(o, "pii_action", aicpa_column_text(row, 5));
    aicps_set(o, "pii_entities", aicpa_column_json(row, 6));
    aicps_set(o, "banned_topics", aicpa_column_json(row, 7));
    aicps_set(o, "enable_secrets_detection", column_flag(row, 8));
    aicps_set(o, "secrets_action", aicpa_column_text(row, 9));
    aicps_set(o, "enable_invisible_text", column_flag(row, 10));
    aicps_set(o, "enable_sensitive_output", column_flag(row, 11));
    aicps_set(o, "mode", aicpa_column_text(row, 12));
    aicps_set(o, "on_error", aicpa_column_text(row, 13));
    aicps_set(o, "is_default", column_flag(row, 14));
    json_object_array_add(list, o);
    return AICP_OK;
}

static aicp_status on_detector(void *list, aicpi_sql_stmt *row, aicp_error *err) {
    struct json_object *o = json_object_new_object();
    (void)err;
    aicps_set(o, "id", aicpa_column_text(row, 0));
    aicps_set(o, "name", aicpa_column_text(row, 1));
    aicps_set(o, "detector_type", aicpa_column_text(row, 2));
    aicps_set(o, "config", aicpa_column_json(row, 3));
    json_object_array_add(list, o);
    return AICP_OK;
}

static aicp_status on_policy(void *list, aicpi_sql_stmt *row, aicp_error *err) {
    struct json_object *o = json_object_new_object();
    (void)err;
    aicps_set(o, "team_id", aicpa_column_text(row, 0));
    aicps_set(o, "policy_type", aicpa_column_text(row, 1));
    aicps_set(o, "config", aicpa_column_json(row, 2));
    json_object_array_add(list, o);
    return AICP_OK;
}

static aicp_status on_assignment(void *list, aicpi_sql_stmt *row, aicp_error *err) {
    size_t count = json_object_array_length(list);
    struct json_object *last = count ? json_object_array_get_idx(list, count - 1) : NULL;
    (void)err;
    /* The best of a team comes first. */
    if (!last || !aicpi_slice_eq(aicps_text(last, "team_id"), aicpi_sql_text(row, 0))) {
        struct json_object *o = json_object_new_object();
        aicps_set(o, "team_id", aicpa_column_text(row, 0));
        aicps_set(o, "guardrail_id", aicpa_column_text(row, 1));
        json_object_array_add(list, o);
    }
    return AICP_OK;
}

aicp_status aicpa_guardrail_detectors(
    aicpi_sql *db, aicpi_slice profile, struct json_object **out, aicp_error *err) {
    *out = json_object_new_array();
    return each(
        db,
        "SELECT d.id, d.name, d.detector_type, d.config FROM admin_guardrail_detector g"
        " JOIN admin_detector d ON d.id = g.detector_id WHERE g.guardrail_id = ?"
        " AND d.is_active = 1 ORDER BY g.priority DESC, d.created_at, d.id",
        profile,
        on_detector,
        *out,
        err);
}

/* ---- one profile ---- */

#define TEAM_POLICIES                                                                              \
    "SELECT team_id, policy_type, config FROM admin_content_policy WHERE is_active = 1"

/* First row of a list, borrowed, or NULL. */
static struct json_object *first(struct json_object *list) {
    return json_object_array_length(list) ? json_object_array_get_idx(list, 0) : NULL;
}

aicp_status
aicpa_guardrail_of_id(aicpi_sql *db, aicpi_slice id, struct json_object **out, aicp_error *err) {
    struct json_object *rows = json_object_new_array();
    struct json_object *detectors = NULL;
    *out = NULL;
    aicp_status status = each(db, PROFILE " WHERE id = ?", id, on_profile, rows, err);
    struct json_object *row = first(rows);
    if (status == AICP_OK && !row) {
        status = aicpi_fail(err, AICP_ERR_NOT_FOUND, "Guardrail not found");
    }
    status = status ? status : aicpa_guardrail_detectors(db, id, &detectors, err);
    if (status == AICP_OK) {
        *out = aicpa_guardrail_json(row, aicps_text(row, "name"), detectors);
    }
    json_object_put(detectors);
    json_object_put(rows);
    return status;
}

static void add_policies(struct json_object *detectors, struct json_object *policies) {
    for (size_t i = 0; i < json_object_array_length(policies); i++) {
        json_object_array_add(
            detectors, aicpa_guardrail_policy_detector(json_object_array_get_idx(policies, i)));
    }
}

aicp_status aicpa_guardrail_of_team(
    aicpi_sql *db, aicpi_slice team, struct json_object **out, aicp_error *err) {
    struct json_object *rows = json_object_new_array();
    struct json_object *policies = json_object_new_array();
    struct json_object *detectors = NULL;
    *out = NULL;
    aicp_status status = each(
        db,
        PROFILE " WHERE is_active = 1 AND id = (SELECT a.guardrail_id"
                " FROM admin_guardrail_assignment a JOIN admin_guardrail p ON p.id ="
                " a.guardrail_id AND p.is_active = 1 WHERE a.team_id = ?"
                " ORDER BY a.priority DESC, a.updated_at DESC, a.id LIMIT 1)",
        team,
        on_profile,
        rows,
        err);
    if (status == AICP_OK && !first(rows)) {
        status = aicpa_each_row(
            db, PROFILE " WHERE is_active = 1 AND is_default = 1", on_profile, rows, err);
    }
    status = status ? status
                    : each(
                          db,
                          TEAM_POLICIES " AND team_id = ? ORDER BY policy_type",
                          team,
                          on_policy,
                          policies,
                          err);
    struct json_object *row = first(rows);
    status =
        status ? status : aicpa_guardrail_detectors(db, aicps_text(row, "id"), &detectors, err);
    if (status == AICP_OK) {
        add_policies(detectors, policies);
        *out = aicpa_guardrail_json(row, row ? aicps_text(row, "name") : team, detectors);
    }
    json_object_put(detectors);
    json_object_put(policies);
    json_object_put(rows);
    return status;
}

/* ---- the section ---- */

typedef struct section {
    aicpa_build *build;
    struct json_object *rows;        /* active profiles */
    struct json_object *detectors;   /* of each, in the same order */
    struct json_object *teams;       /* assignments that win, by team */
    struct json_object *policies;    /* of teams, by team */
    struct json_object *profiles;    /* of the section */
    struct json_object *assignments; /* of the section */
} section;

static aicp_status read_all(section *s, aicp_error *err) {
    aicpi_sql *db = s->build->db;
    aicp_status status = aicpa_each_row(
        db, PROFILE " WHERE is_active = 1 ORDER BY created_at, id", on_profile, s->rows, err);
    for (size_t i = 0; status == AICP_OK && i < json_object_array_length(s->rows); i++) {
        struct json_object *list = NULL;
        struct json_object *row = json_object_array_get_idx(s->rows, i);
        status = aicpa_guardrail_detectors(db, aicps_text(row, "id"), &list, err);
        json_object_array_add(s->detectors, list);
    }
    status = status ? status
                    : aicpa_each_row(
                          db,
                          "SELECT a.team_id, a.guardrail_id FROM admin_guardrail_assignment a JOIN"
                          " admin_guardrail p ON p.id = a.guardrail_id AND p.is_active = 1"
                          " ORDER BY a.team_id, a.priority DESC, a.updated_at DESC, a.id",
                          on_assignment,
                          s->teams,
                          err);
    return status ? status
                  : aicpa_each_row(
                        db,
                        TEAM_POLICIES " ORDER BY team_id, policy_type",
                        on_policy,
                        s->policies,
                        err);
}

/* Index of the profile for a team, SIZE_MAX: none. */
static size_t profile_for(const section *s, aicpi_slice team) {
    aicpi_slice id = {NULL, 0};
    for (size_t i = 0; i < json_object_array_length(s->teams) && !id.data; i++) {
        struct json_object *o = json_object_array_get_idx(s->teams, i);
        if (aicpi_slice_eq(aicps_text(o, "team_id"), team)) {
            id = aicps_text(o, "guardrail_id");
        }
    }
    for (size_t i = 0; i < json_object_array_length(s->rows); i++) {
        struct json_object *row = json_object_array_get_idx(s->rows, i);
        if (id.data ? aicpi_slice_eq(aicps_text(row, "id"), id) : aicps_bool(row, "is_default")) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void assign(section *s, aicpi_slice team, struct json_object *profile_name) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "match", aicpa_match("team", team.data, team.len));
    aicps_set(o, "profile", profile_name);
    json_object_array_add(s->assignments, o);
}

/* A team with content policies has a profile of its own, "<profile>@<team>": no profile's name has
 * an '@'. Returns the index behind the team's policies. */
static size_t add_team(section *s, size_t first_policy) {
    struct json_object *policy = json_object_array_get_idx(s->policies, first_policy);
    aicpi_slice team = aicps_text(policy, "team_id");
    size_t base = profile_for(s, team);
    struct json_object *row = base == SIZE_MAX ? NULL : json_object_array_get_idx(s->rows, base);
    struct json_object *detectors = json_object_new_array();
    struct json_object *own =
        base == SIZE_MAX ? NULL : json_object_array_get_idx(s->detectors, base);
    for (size_t i = 0; own && i < json_object_array_length(own); i++) {
        json_object_array_add(detectors, json_object_get(json_object_array_get_idx(own, i)));
    }
    size_t i = first_policy;
    for (; i < json_object_array_length(s->policies); i++) {
        policy = json_object_array_get_idx(s->policies, i);
        if (!aicpi_slice_eq(aicps_text(policy, "team_id"), team)) {
            break;
        }
        json_object_array_add(detectors, aicpa_guardrail_policy_detector(policy));
    }
    aicpi_strbuf name;
    aicpi_strbuf_init(&name, NULL, 4096);
    aicpi_slice shared = aicps_text(row, "name");
    aicpi_strbuf_append(&name, shared.data ? shared.data : "", shared.len);
    aicpi_strbuf_putc(&name, '@');
    aicpi_strbuf_append(&name, team.data, team.len);
    aicpi_slice text = {name.data, name.len};
    json_object_array_add(s->profiles, aicpa_guardrail_json(row, text, detectors));
    assign(s, team, aicps_json_slice(text));
    aicpi_strbuf_deinit(&name);
    json_object_put(detectors);
    return i;
}

static bool has_policies(const section *s, aicpi_slice team) {
    for (size_t i = 0; i < json_object_array_length(s->policies); i++) {
        struct json_object *o = json_object_array_get_idx(s->policies, i);
        if (aicpi_slice_eq(aicps_text(o, "team_id"), team)) {
            return true;
        }
    }
    return false;
}

static struct json_object *write_section(section *s) {
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; i < json_object_array_length(s->rows); i++) {
        struct json_object *row = json_object_array_get_idx(s->rows, i);
        aicpi_slice name = aicps_text(row, "name");
        json_object_array_add(
            s->profiles,
            aicpa_guardrail_json(row, name, json_object_array_get_idx(s->detectors, i)));
        if (aicps_bool(row, "is_default")) {
            aicps_set(o, "default", aicps_json_slice(name));
        }
    }
    for (size_t i = 0; i < json_object_array_length(s->teams); i++) {
        struct json_object *a = json_object_array_get_idx(s->teams, i);
        aicpi_slice team = aicps_text(a, "team_id");
        size_t base = profile_for(s, team);
        if (base != SIZE_MAX && !has_policies(s, team)) {
            struct json_object *row = json_object_array_get_idx(s->rows, base);
            assign(s, team, aicps_json_slice(aicps_text(row, "name")));
        }
    }
    for (size_t i = 0; i < json_object_array_length(s->policies);) {
        i = add_team(s, i);
    }
    aicps_set(o, "profiles", json_object_get(s->profiles));
    aicps_set(o, "assignments", json_object_get(s->assignments));
    return o;
}

aicp_status aicpa_write_guardrails(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    if (!aicpa_setting_is_on(build->db, "enable_guardrails", err)) {
        return AICP_OK;
    }
    section s = {
        .build = build,
        .rows = json_object_new_array(),
        .detectors = json_object_new_array(),
        .teams = json_object_new_array(),
        .policies = json_object_new_array(),
        .profiles = json_object_new_array(),
        .assignments = json_object_new_array(),
    };
    aicp_status status = read_all(&s, err);
    if (status == AICP_OK) {
        struct json_object *o = write_section(&s);
        if (json_object_array_length(s.profiles) > 0) {
            status = aicpa_write_json(json_object_get(o), out, err);
        }
        json_object_put(o);
    }
    json_object_put(s.rows);
    json_object_put(s.detectors);
    json_object_put(s.teams);
    json_object_put(s.policies);
    json_object_put(s.profiles);
    json_object_put(s.assignments);
    return status;
}
