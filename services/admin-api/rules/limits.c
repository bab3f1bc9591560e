/* Section limits: rate-limit policies as rules of the limiter.
 *
 * A policy becomes one rule for each limit that it sets, named "rl-<policy id>-<suffix>":
 *   rpm, tpm   requests and tokens a minute; the bucket holds limit * burst_multiplier
 *   rpb, tpb   with burst_window_seconds w > 0: limit * burst_multiplier * w / 60 in each w seconds
 *   rpd, tpd   requests and tokens a day (UTC), counted in the store
 *   par        requests at the same time
 * All are shared by the processes of a store. Small limits ask it for every request, so that not
 * even a slice is over. */
#include "services/admin-api/rules/limits.h"

#include "lib/base/decimal.h"
#include "lib/base/error.h"

#include <stdio.h>

#define EXACT_UP_TO 60
#define NANO INT64_C(1000000000)

const aicpa_scope aicpa_scopes[] = {
    {"global", {NULL, NULL}},
    {"user", {"user", NULL}},
    {"team", {"team", NULL}},
    {"model", {"model", NULL}},
    {"user_model", {"user", "model"}},
    {"team_model", {"team", "model"}},
    {"key", {"key", NULL}},
};
const size_t aicpa_scope_count = sizeof aicpa_scopes / sizeof *aicpa_scopes;

const aicpa_scope *aicpa_scope_find(aicpi_slice name) {
    for (size_t i = 0; i < aicpa_scope_count; i++) {
        if (aicpi_slice_is(name, aicpa_scopes[i].name)) {
            return &aicpa_scopes[i];
        }
    }
    return NULL;
}

bool aicpa_scope_split(const aicpa_scope *scope, aicpi_slice value, aicpi_slice out[2]) {
    out[0] = value;
    out[1] = aicpi_slice_of(NULL, 0);
    if (!scope->dimensions[0]) {
        return value.len == 0;
    }
    if (scope->dimensions[1]) {
        const char *colon = value.len ? memchr(value.data, ':', value.len) : NULL;
        if (!colon) {
            return false;
        }
        out[0].len = (size_t)(colon - value.data);
        out[1] = aicpi_slice_of(colon + 1, value.len - out[0].len - 1);
        return out[0].len > 0 && out[1].len > 0;
    }
    return value.len > 0;
}

/* ---- rules ---- */

typedef struct policy {
    aicpi_slice id;
    aicpi_slice name;
    const aicpa_scope *scope;
    aicpi_slice values[2];
} policy;

typedef struct cell {
    const char *suffix;
    const char *kind;
    int64_t limit;
    const char *window; /* NULL: concurrency */
    int64_t burst;      /* in 1e-9; 0: none */
    bool daily;
} cell;

static void add_array(struct json_object *rule, const char *name, const char *item) {
    struct json_object *array = NULL;
    if (!json_object_object_get_ex(rule, name, &array)) {
        array = json_object_new_array();
        json_object_object_add(rule, name, array);
    }
    json_object_array_add(array, json_object_new_string(item));
}

static void
add_subject(struct json_object *rule, const aicpa_scope *scope, const aicpi_slice values[2]) {
    struct json_object *match = json_object_new_object();
    for (size_t i = 0; i < 2 && scope->dimensions[i]; i++) {
        struct json_object *names = json_object_new_array();
        json_object_array_add(
            names, json_object_new_string_len(values[i].data, (int)values[i].len));
        json_object_object_add(match, scope->dimensions[i], names);
        add_array(rule, "per", scope->dimensions[i]);
    }
    json_object_object_add(rule, "match", match);
}

static void add_rule(struct json_object *rules, const policy *p, const cell *c) {
    char id[128];
    snprintf(id, sizeof id, "rl-%.*s-%s", (int)p->id.len, p->id.data, c->suffix);
    struct json_object *rule = json_object_new_object();
    json_object_object_add(rule, "id", json_object_new_string(id));
    json_object_object_add(rule, "name", aicps_json_slice(p->name));
    json_object_object_add(rule, "kind", json_object_new_string(c->kind));
    json_object_object_add(rule, "limit", json_object_new_int64(c->limit));
    if (c->window) {
        json_object_object_add(rule, "window", json_object_new_string(c->window));
    }
    if (c->daily) {
        json_object_object_add(rule, "algorithm", json_object_new_string("fixed_window"));
    } else if (c->burst > 0) {
        char text[48];
        aicpi_decimal_format(c->burst, 9, text);
        json_object_object_add(
            rule, "burst_multiplier", json_object_new_double_s((double)c->burst / 1e9, text));
    }
    add_subject(rule, p->scope, p->values);
    json_object_object_add(rule, "shared", json_object_new_boolean(true));
    bool exact = c->limit <= EXACT_UP_TO && strcmp(c->kind, "tokens") != 0;
    json_object_object_add(rule, "exact", json_object_new_boolean(exact));
    json_object_array_add(rules, rule);
}

/* limit * multiplier * seconds / 60, at least 1 */
static int64_t burst_limit(int64_t limit, int64_t multiplier, int64_t seconds) {
    aicpi_int128 product = (aicpi_int128)limit * multiplier * seconds / 60 / NANO;
    int64_t out = 0;
    return !aicpi_int64_from(product, &out) ? limit : out < 1 ? 1 : out;
}

/* Columns: id, scope, scope_value, rpm, tpm, rpd, tpd, parallel, multiplier, burst window, name. */
static aicp_status on_policy(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    struct json_object *rules = user;
    policy p = {
        .id = aicpi_sql_text(row, 0),
        .name = aicpi_sql_text(row, 10),
        .scope = aicpa_scope_find(aicpi_sql_text(row, 1)),
    };
    if (!p.scope || !aicpa_scope_split(p.scope, aicpi_sql_text(row, 2), p.values)) {
        return aicpi_fail(err, AICP_ERR_STATE, "a rate limit has an unknown scope");
    }
    int64_t multiplier = aicpi_sql_i64(row, 8);
    int64_t seconds = aicpi_sql_i64(row, 9);
    char window[24];
    snprintf(window, sizeof window, "%llds", (long long)seconds);
    cell cells[] = {
        {"rpm", "requests", aicpi_sql_i64(row, 3), "1m", multiplier, false},
        {"tpm", "tokens", aicpi_sql_i64(row, 4), "1m", multiplier, false},
        {"rpd", "requests", aicpi_sql_i64(row, 5), "1d", 0, true},
        {"tpd", "tokens", aicpi_sql_i64(row, 6), "1d", 0, true},
        {"par", "concurrency", aicpi_sql_i64(row, 7), NULL, 0, false},
    };
    for (int32_t i = 0; i < (int32_t)(sizeof cells / sizeof *cells); i++) {
        if (aicpi_sql_is_null(row, 3 + i)) {
            continue;
        }
        add_rule(rules, &p, &cells[i]);
        if (i < 2 && seconds > 0 && cells[i].limit > 0) {
            int64_t limit = burst_limit(cells[i].limit, multiplier, seconds);
            cell burst = {i == 0 ? "rpb" : "tpb", cells[i].kind, limit, window, 0, false};
            add_rule(rules, &p, &burst);
        }
    }
    return AICP_OK;
}

/* The setting global_rate_limit: requests a minute through all gates; 0 = off. */
static void add_global(aicpa_build *build, struct json_object *rules, aicp_error *err) {
    struct json_object *all = aicpa_settings_read(build->db, err);
    int64_t n = aicps_int(all, "global_rate_limit");
    if (n > 0) {
        policy p = {
            AICPI_SLICE("global-setting"),
            AICPI_SLICE("global_rate_limit"),
            &aicpa_scopes[0],
            {{NULL, 0}, {NULL, 0}}};
        cell c = {"rpm", "requests", n, "1m", 0, false};
        add_rule(rules, &p, &c);
    }
    json_object_put(all);
}

aicp_status aicpa_write_limits(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    struct json_object *rules = json_object_new_array();
    aicp_status status = aicpa_each_row(
        build->db,
        "SELECT id, scope, scope_value, rpm_limit, tpm_limit, rpd_limit, tpd_limit,"
        " max_parallel_requests, burst_multiplier, burst_window_seconds, name FROM admin_rate_limit"
        " WHERE is_active = 1 AND enforcer = 'gate' ORDER BY priority DESC, created_at, id",
        on_policy,
        rules,
        err);
    if (status != AICP_OK) {
        json_object_put(rules);
        return status;
    }
    add_global(build, rules, err);
    return aicpa_write_json(rules, out, err);
}
