/* Rate-limit policies, their use, pre-flight checks and refusals. Use is what gates told in their
 * events, a second or two old; the gates themselves count exactly. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/wanted.h"
#include "services/admin-api/rules/limits.h"
#include "services/admin-api/worker.h"

#include "lib/base/clock.h"
#include "lib/base/decimal.h"
#include "lib/base/error.h"

#include <stdio.h>

#define NANO INT64_C(1000000000)
#define LIMIT_MAX INT64_C(1000000000000)
#define MINUTE_NS (60 * AICPI_SECOND_NS)

static const char *const scopes[] = {
    "user", "team", "model", "user_model", "team_model", "global", "key", NULL};
static const char *const enforcers[] = {"gate", "litellm", NULL};

#define LIMIT(field, text)                                                                         \
    {                                                                                              \
        .name = field, .type = AICPS_INT, .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT,     \
        .min = 0, .max = LIMIT_MAX, .doc = text                                                    \
    }

static const aicps_field fields[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 200},
    {.name = "description",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_SEARCH,
     .max = 2000},
    {.name = "scope",
     .type = AICPS_ENUM,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_FACET | AICPS_SORT,
     .values = scopes},
    {.name = "scope_value",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 256,
     .doc = "id of the subject, \"user:model\" or \"team:model\" for pairs, null for global; a "
            "final * "
            "matches a prefix"},
    LIMIT("rpm_limit", "requests a minute"),
    LIMIT("tpm_limit", "tokens a minute, input and output"),
    LIMIT("rpd_limit", "requests a day (UTC)"),
    LIMIT("tpd_limit", "tokens a day (UTC)"),
    LIMIT("max_parallel_requests", "requests at the same time"),
    {.name = "burst_multiplier",
     .type = AICPS_DECIMAL,
     .preset = "1",
     .min = NANO,
     .max = 100 * NANO,
     .doc = "how much of a minute's limit may come at once"},
    {.name = "burst_window_seconds",
     .type = AICPS_INT,
     .preset = "0",
     .min = 0,
     .max = 60,
     .doc = "above 0: limit * burst_multiplier * window / 60 in each window as well"},
    {.name = "priority",
     .type = AICPS_INT,
     .flags = AICPS_FILTER | AICPS_SORT,
     .preset = "0",
     .min = -1000000,
     .max = 1000000,
     .doc = "order of display, and of equally strict refusals; every policy that matches holds"},
    {.name = "enforcer",
     .type = AICPS_ENUM,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "\"gate\"",
     .values = enforcers,
     .doc = "who enforces it: our gates, or LiteLLM, to which it is then pushed"},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
    {.name = "sync_status",
     .type = AICPS_TEXT,
     .flags = AICPS_READ_ONLY | AICPS_NULLABLE | AICPS_FILTER | AICPS_FACET,
     .doc = "of enforcer litellm: ok, pending, failed, or drift while what somebody changed in "
            "LiteLLM is set again"},
    {.name = "sync_message",
     .type = AICPS_TEXT,
     .flags = AICPS_READ_ONLY | AICPS_NULLABLE,
     .doc = "why it failed, or what had to be set again"},
    {.name = "synced_at",
     .type = AICPS_TIME,
     .flags = AICPS_READ_ONLY | AICPS_NULLABLE,
     .doc = "when LiteLLM was last brought to hold it"},
};

static bool has(struct json_object *row, const char *name) {
    return !aicps_is_null(row, name);
}

static bool has_star_inside(aicpi_slice text) {
    const char *star = text.len ? memchr(text.data, '*', text.len) : NULL;
    return star && star + 1 != text.data + text.len;
}

/* What LiteLLM enforces must be such that it can, and is then told to it by the chore. */
static void check_enforcer(aicps_call *call, struct json_object *row) {
    bool pushed = aicpi_slice_is(aicps_text(row, "enforcer"), "litellm");
    aicpa_objection objections[AICPA_OBJECTIONS_MAX];
    size_t count = pushed ? aicpa_wanted_objections(row, objections) : 0;
    for (size_t i = 0; i < count; i++) {
        aicps_field_error(call, objections[i].field, "%s", objections[i].text);
    }
    aicps_set(row, "sync_status", aicps_json_text(pushed ? "pending" : NULL));
    aicps_set(row, "sync_message", NULL);
    if (!pushed) {
        aicps_set(row, "synced_at", NULL);
    }
}

static void committed(aicps_change *change, struct json_object *answer) {
    (void)answer;
    aicpa_worker_wake(aicpa_of(change->call)->worker);
}

static aicp_status check(aicps_change *change, aicp_error *err) {
    struct json_object *row = change->after;
    if (!row) {
        return AICP_OK;
    }
    aicps_call *call = change->call;
    const aicpa_scope *scope = aicpa_scope_find(aicps_text(row, "scope"));
    aicpi_slice values[2];
    if (scope && !aicpa_scope_split(scope, aicps_text(row, "scope_value"), values)) {
        aicps_field_error(
            call,
            "scope_value",
            !scope->dimensions[0]  ? "must be null for scope global"
            : scope->dimensions[1] ? "must be \"<%s>:<model>\" for this scope"
                                   : "is needed: the id of a %s",
            scope->dimensions[0] ? scope->dimensions[0] : "");
    } else if (scope && (has_star_inside(values[0]) || has_star_inside(values[1]))) {
        aicps_field_error(call, "scope_value", "a * may only stand at the end of a name");
    }
    if (!has(row, "rpm_limit") && !has(row, "tpm_limit") && !has(row, "rpd_limit") &&
        !has(row, "tpd_limit") && !has(row, "max_parallel_requests")) {
        aicps_field_error(
            call,
            "rpm_limit",
            "set at least one of rpm_limit, tpm_limit, rpd_limit, tpd_limit, "
            "max_parallel_requests");
    }
    check_enforcer(call, row);
    return aicps_has_field_errors(call)
               ? aicpi_fail(err, AICP_ERR_INVALID, "the policy is not right")
               : AICP_OK;
}

static const aicps_resource resource = {
    .path = "/api/v1/rate-limits",
    .type = "rate_limit",
    .title = "Rate limit policy",
    .table = "admin_rate_limit",
    .sort = "-priority,-created_at",
    .delete_status = "ok",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
    .check = check,
    .committed = committed,
    .doc = "Limits of requests and tokens. Every active policy that matches a request holds; the "
           "strictest refuses.",
};

/* ---- use ---- */

typedef struct use {
    int64_t rpm, tpm, rpd, tpd;
} use;

#define COUNTS                                                                                     \
    "SELECT COALESCE(SUM(CASE WHEN type = 'decision' AND created_at >= ? THEN 1 ELSE 0 END), 0),"  \
    " COALESCE(SUM(CASE WHEN type = 'settled' AND created_at >= ? THEN COALESCE(input_tokens, 0)"  \
    " + COALESCE(output_tokens, 0) ELSE 0 END), 0),"                                               \
    " COALESCE(SUM(CASE WHEN type = 'decision' THEN 1 ELSE 0 END), 0),"                            \
    " COALESCE(SUM(CASE WHEN type = 'settled' THEN COALESCE(input_tokens, 0) +"                    \
    " COALESCE(output_tokens, 0) ELSE 0 END), 0) FROM admin_event"                                 \
    " WHERE created_at >= ? AND (type = 'settled' OR (type = 'decision' AND action = 'allow'))"

/* One statement for each scope: column names cannot be parameters. A final * is a prefix. */
typedef struct usage_query {
    const char *scope;
    const char *sql;
} usage_query;

#define EQUAL(column) " AND (" column " = ? OR (? = 1 AND substr(" column ", 1, ?) = ?))"

static const usage_query usage_queries[] = {
    {"global", COUNTS},
    {"user", COUNTS EQUAL("user_id")},
    {"team", COUNTS EQUAL("team_id")},
    {"model", COUNTS EQUAL("model")},
    {"key", COUNTS EQUAL("key_id")},
    {"user_model", COUNTS EQUAL("user_id") EQUAL("model")},
    {"team_model", COUNTS EQUAL("team_id") EQUAL("model")},
};

static void bind_pattern(aicpi_sql_stmt *q, int32_t at, aicpi_slice value) {
    bool prefix = value.len > 0 && value.data[value.len - 1] == '*';
    size_t len = value.len - prefix;
    aicpi_sql_bind_text(q, at, value.data, value.len);
    aicpi_sql_bind_i64(q, at + 1, prefix);
    aicpi_sql_bind_i64(q, at + 2, (int64_t)len);
    aicpi_sql_bind_text(q, at + 3, value.data, len);
}

static aicp_status read_use(
    aicpi_sql *db, aicpi_slice scope_name, aicpi_slice scope_value, use *out, aicp_error *err) {
    const aicpa_scope *scope = aicpa_scope_find(scope_name);
    aicpi_slice values[2];
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    const char *sql = NULL;
    for (size_t i = 0; i < sizeof usage_queries / sizeof *usage_queries; i++) {
        sql = aicpi_slice_is(scope_name, usage_queries[i].scope) ? usage_queries[i].sql : sql;
    }
    *out = (use){0, 0, 0, 0};
    if (!scope || !sql || !aicpa_scope_split(scope, scope_value, values)) {
        return AICP_OK;
    }
    aicp_status status = aicpi_sql_prepare(db, sql, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    int64_t now = aicpa_wall_ns();
    aicpi_sql_bind_i64(q, 1, now - MINUTE_NS);
    aicpi_sql_bind_i64(q, 2, now - MINUTE_NS);
    aicpi_sql_bind_i64(q, 3, now - now % (86400 * AICPI_SECOND_NS));
    for (int32_t i = 0; i < 2 && scope->dimensions[i]; i++) {
        bind_pattern(q, 4 + 4 * i, values[i]);
    }
    status = aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && row) {
        *out = (use){
            aicpi_sql_i64(q, 0), aicpi_sql_i64(q, 1), aicpi_sql_i64(q, 2), aicpi_sql_i64(q, 3)};
        aicpi_sql_reset(q);
    }
    return status;
}

/* The active policies, as rows of the resource's fields that matter here. */
static aicp_status on_active(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    static const char *const names[] = {"rpm_limit", "tpm_limit", "rpd_limit", "tpd_limit"};
    struct json_object *o = json_object_new_object();
    (void)err;
    json_object_object_add(o, "policy_id", aicpa_column_text(row, 0));
    json_object_object_add(o, "policy_name", aicpa_column_text(row, 1));
    json_object_object_add(o, "scope", aicpa_column_text(row, 2));
    json_object_object_add(o, "scope_value", aicpa_column_text(row, 3));
    for (int32_t i = 0; i < 4; i++) {
        json_object_object_add(
            o,
            names[i],
            aicpi_sql_is_null(row, 4 + i) ? NULL
                                          : json_object_new_int64(aicpi_sql_i64(row, 4 + i)));
    }
    json_object_object_add(o, "burst_multiplier", json_object_new_int64(aicpi_sql_i64(row, 8)));
    json_object_array_add(user, o);
    return AICP_OK;
}

static aicp_status active_policies(aicpi_sql *db, struct json_object **out, aicp_error *err) {
    *out = json_object_new_array();
    return aicpa_each_row(
        db,
        "SELECT id, name, scope, scope_value, rpm_limit, tpm_limit, rpd_limit, tpd_limit,"
        " burst_multiplier FROM admin_rate_limit WHERE is_active = 1"
        " ORDER BY priority DESC, created_at DESC, id",
        on_active,
        *out,
        err);
}

static void add_int(struct json_object *o, const char *name, int64_t value) {
    json_object_object_add(o, name, json_object_new_int64(value));
}

static void replace_multiplier(struct json_object *policy) {
    char text[48];
    int64_t nano = json_object_get_int64(json_object_object_get(policy, "burst_multiplier"));
    aicpi_decimal_format(nano, 9, text);
    json_object_object_add(
        policy, "burst_multiplier", json_object_new_double_s((double)nano / 1e9, text));
}

static void get_status(aicps_call *call) {
    struct json_object *policies = NULL;
    aicp_error err = {0};
    aicp_status status = active_policies(call->db, &policies, &err);
    for (size_t i = 0; status == AICP_OK && i < json_object_array_length(policies); i++) {
        struct json_object *p = json_object_array_get_idx(policies, i);
        use u;
        status = read_use(call->db, aicps_text(p, "scope"), aicps_text(p, "scope_value"), &u, &err);
        add_int(p, "current_rpm", u.rpm);
        add_int(p, "current_tpm", u.tpm);
        add_int(p, "current_rpd", u.rpd);
        add_int(p, "current_tpd", u.tpd);
        replace_multiplier(p);
    }
    if (status != AICP_OK) {
        json_object_put(policies);
        aicps_send_status(call, status, &err);
        return;
    }
    aicps_send_json(call, 200, policies);
}

/* ---- pre-flight ---- */

static const aicps_field check_fields[] = {
    {.name = "user_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},
    {.name = "team_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},
    {.name = "model", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 256},
    {.name = "requests", .type = AICPS_INT, .preset = "1", .min = 1, .max = 1000000},
    {.name = "tokens", .type = AICPS_INT, .preset = "0", .min = 0, .max = LIMIT_MAX},
};

typedef struct preflight {
    struct json_object *request;
    struct json_object *rejections;
    struct json_object *closest;
    int64_t checked;
    int64_t wait_s;
} preflight;

static bool matches(aicpi_slice pattern, aicpi_slice value) {
    if (pattern.len > 0 && pattern.data[pattern.len - 1] == '*') {
        return value.len >= pattern.len - 1 &&
               memcmp(value.data, pattern.data, pattern.len - 1) == 0;
    }
    return value.len > 0 && aicpi_slice_eq(pattern, value);
}

static bool applies(struct json_object *policy, struct json_object *request) {
    static const char *const fields_of[][2] = {
        {"user", "user_id"}, {"team", "team_id"}, {"model", "model"}};
    const aicpa_scope *scope = aicpa_scope_find(aicps_text(policy, "scope"));
    aicpi_slice values[2];
    if (!scope || !aicpa_scope_split(scope, aicps_text(policy, "scope_value"), values)) {
        return false;
    }
    for (size_t i = 0; i < 2 && scope->dimensions[i]; i++) {
        aicpi_slice given = aicpi_slice_of("", 0);
        for (size_t k = 0; k < 3; k++) {
            if (strcmp(fields_of[k][0], scope->dimensions[i]) == 0) {
                given = aicps_text(request, fields_of[k][1]);
            }
        }
        if (!matches(values[i], given)) {
            return false;
        }
    }
    return true;
}

/* One limit of one policy: `now` used, `more` asked for. */
typedef struct one_limit {
    const char *type;
    int64_t base, now, more, window_s;
} one_limit;

static void judge(preflight *p, struct json_object *policy, const one_limit *l) {
    int64_t nano = json_object_get_int64(json_object_object_get(policy, "burst_multiplier"));
    aicpi_int128 scaled = (aicpi_int128)l->base * nano / NANO;
    bool daily = l->window_s > 60;
    int64_t burst = l->base;
    if (!daily && !aicpi_int64_from(scaled, &burst)) {
        burst = INT64_MAX;
    }
    bool rejected = l->now > burst - l->more; /* neither can overflow: both are at most 1e14 */
    double share = l->base > 0 ? 100.0 * (double)l->now / (double)l->base : 100.0;
    if (!rejected && share < 80) {
        return;
    }
    char percent[32];
    snprintf(percent, sizeof percent, "%.1f", share);
    struct json_object *o = json_object_new_object();
    static const char *const names[] = {"policy_id", "policy_name", "scope", "scope_value"};
    for (size_t i = 0; i < 4; i++) {
        json_object_object_add(
            o, names[i], json_object_get(json_object_object_get(policy, names[i])));
    }
    json_object_object_add(o, "limit_type", json_object_new_string(l->type));
    add_int(o, "current", l->now);
    add_int(o, "base_limit", l->base);
    add_int(o, "burst_limit", burst);
    add_int(o, "remaining", burst > l->now ? burst - l->now : 0);
    json_object_object_add(o, "usage_pct", json_object_new_double_s(share, percent));
    const char *action = rejected            ? "rejected"
                         : l->now >= l->base ? "burst_allowed"
                                             : "approaching";
    json_object_object_add(o, "action", json_object_new_string(action));
    if (rejected) {
        int64_t now_s = aicpa_wall_ns() / AICPI_SECOND_NS;
        int64_t refill =
            l->base > 0 ? (l->window_s * l->more + l->base - 1) / l->base : l->window_s;
        int64_t wait = daily ? 86400 - now_s % 86400 : refill < l->window_s ? refill : l->window_s;
        wait = wait < 1 ? 1 : wait;
        p->wait_s = wait > p->wait_s ? wait : p->wait_s;
        add_int(o, "retry_after_seconds", wait);
    }
    json_object_array_add(rejected ? p->rejections : p->closest, o);
}

static aicp_status
check_policy(aicps_call *call, preflight *p, struct json_object *policy, aicp_error *err) {
    use u;
    aicp_status status =
        read_use(call->db, aicps_text(policy, "scope"), aicps_text(policy, "scope_value"), &u, err);
    int64_t requests = json_object_get_int64(json_object_object_get(p->request, "requests"));
    int64_t tokens = json_object_get_int64(json_object_object_get(p->request, "tokens"));
    const struct {
        const char *field;
        one_limit limit;
    } limits[] = {
        {"rpm_limit", {"rpm", 0, u.rpm, requests, 60}},
        {"tpm_limit", {"tpm", 0, u.tpm, tokens, 60}},
        {"rpd_limit", {"rpd", 0, u.rpd, requests, 86400}},
        {"tpd_limit", {"tpd", 0, u.tpd, tokens, 86400}},
    };
    for (size_t i = 0; status == AICP_OK && i < sizeof limits / sizeof *limits; i++) {
        if (has(policy, limits[i].field)) {
            one_limit l = limits[i].limit;
            l.base = json_object_get_int64(json_object_object_get(policy, limits[i].field));
            judge(p, policy, &l);
        }
    }
    p->checked++;
    return status;
}

static int by_usage(const void *a, const void *b) {
    struct json_object *const *x = a;
    struct json_object *const *y = b;
    double ux = json_object_get_double(json_object_object_get(*x, "usage_pct"));
    double uy = json_object_get_double(json_object_object_get(*y, "usage_pct"));
    return (ux < uy) - (ux > uy);
}

static void send_preflight(aicps_call *call, preflight *p) {
    struct json_object *answer = json_object_new_object();
    bool allowed = json_object_array_length(p->rejections) == 0;
    json_object_array_sort(p->closest, by_usage);
    json_object_object_add(answer, "allowed", json_object_new_boolean(allowed));
    add_int(answer, "policies_checked", p->checked);
    json_object_object_add(answer, "rejections", p->rejections);
    json_object_object_add(answer, "closest_limits", p->closest);
    json_object_object_add(
        answer, "retry_after_seconds", allowed ? NULL : json_object_new_int64(p->wait_s));
    aicps_send_json(call, 200, answer);
}

static void post_check(aicps_call *call) {
    preflight p = {.request = aicps_route_body(call)};
    struct json_object *policies = NULL;
    aicp_error err = {0};
    if (!p.request) {
        return;
    }
    if (!has(p.request, "user_id") && !has(p.request, "team_id") && !has(p.request, "model")) {
        json_object_put(p.request);
        aicps_send_error(
            call, 400, "bad_request", "At least one of user_id, team_id and model is needed");
        return;
    }
    p.rejections = json_object_new_array();
    p.closest = json_object_new_array();
    aicp_status status = active_policies(call->db, &policies, &err);
    for (size_t i = 0; status == AICP_OK && i < json_object_array_length(policies); i++) {
        struct json_object *policy = json_object_array_get_idx(policies, i);
        if (applies(policy, p.request)) {
            status = check_policy(call, &p, policy, &err);
        }
    }
    json_object_put(policies);
    json_object_put(p.request);
    if (status == AICP_OK) {
        send_preflight(call, &p);
        return;
    }
    json_object_put(p.rejections);
    json_object_put(p.closest);
    aicps_send_status(call, status, &err);
}

/* ---- refusals ---- */

#define TOLD(field, kind, more)                                                                    \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | (more) }

static const aicps_field event_fields[] = {
    TOLD("policy_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("policy_name", AICPS_TEXT, AICPS_SEARCH),
    TOLD("scope", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("scope_value", AICPS_TEXT, AICPS_FILTER),
    TOLD("limit_type", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("limit_value", AICPS_INT, 0),
    TOLD("action", AICPS_TEXT, AICPS_FILTER),
    TOLD("user_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("team_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("model", AICPS_TEXT, AICPS_FILTER),
    TOLD("call_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("created_at", AICPS_TIME, AICPS_FILTER | AICPS_SORT),
};

static const aicps_resource events = {
    .path = "/api/v1/rate-limit-events",
    .type = "rate_limit_event",
    .title = "Rate limit event",
    .table = "admin_rate_limit_event",
    .name_field = "policy_name",
    .sort = "-created_at",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = event_fields,
    .field_count = sizeof event_fields / sizeof *event_fields,
    .doc = "Requests that a policy refused.",
};

static const aicps_route routes[] = {
    {.method = "GET",
     .pattern = "/api/v1/rate-limits/status",
     .handler = get_status,
     .action = "status",
     .resource_type = "rate_limit",
     .summary = "Use of every active policy",
     .response_schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"},
    {.method = "POST",
     .pattern = "/api/v1/rate-limits/check",
     .handler = post_check,
     .action = "check",
     .resource_type = "rate_limit",
     .summary = "Whether a request would pass now; changes nothing",
     .response_schema = "{\"type\":\"object\",\"required\":[\"allowed\",\"policies_checked\","
                        "\"rejections\",\"closest_limits\"]}",
     .body = check_fields,
     .body_count = sizeof check_fields / sizeof *check_fields},
};

aicp_status aicpa_rate_limits_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    status = status ? status : aicps_api_add_resource(api, &events, err);
    return status ? status : aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
