/* Section accounts: what was set by hand, and the budgets of organizations, business units and
 * teams, each as one account of all the teams in it. */
#include "services/admin-api/rules/limits.h"

#include "lib/base/error.h"

static struct json_object *
add_account(struct json_object *list, const char *prefix, aicpi_slice id) {
    aicpi_strbuf name;
    aicpi_strbuf_init(&name, NULL, 512);
    aicpi_strbuf_puts(&name, prefix);
    aicpi_strbuf_append(&name, id.data, id.len);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_string_len(name.data, (int)name.len));
    aicpi_strbuf_deinit(&name);
    json_object_array_add(list, o);
    return o;
}

/* Columns: id, hard limit, team, name; one row for each team, in the order of ids. */
typedef struct group {
    struct json_object *list;
    const char *prefix;
    struct json_object *account; /* of the id at hand */
} group;

static aicp_status on_group(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    group *g = user;
    (void)err;
    aicpi_slice id = aicpi_sql_text(row, 0);
    size_t skip = strlen(g->prefix);
    const char *last =
        g->account ? json_object_get_string(json_object_object_get(g->account, "id")) : NULL;
    if (!last || !aicpi_slice_is(id, last + skip)) {
        g->account = add_account(g->list, g->prefix, id);
        if (!aicpi_sql_is_null(row, 3)) {
            json_object_object_add(g->account, "name", aicpa_column_text(row, 3));
        }
        json_object_object_add(g->account, "hard", aicpa_decimal_text(aicpi_sql_i64(row, 1)));
        json_object_object_add(g->account, "duration", json_object_new_string("1mo"));
        aicpi_slice team = aicpi_sql_text(row, 2);
        json_object_object_add(g->account, "match", aicpa_match("team", team.data, team.len));
    } else {
        struct json_object *match = json_object_object_get(g->account, "match");
        json_object_array_add(json_object_object_get(match, "team"), aicpa_column_text(row, 2));
    }
    return AICP_OK;
}

/* Columns: id, scope, scope_value, hard, soft, duration, timezone, on_unknown_price, name. */
static aicp_status on_account(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    const aicpa_scope *scope = aicpa_scope_find(aicpi_sql_text(row, 1));
    aicpi_slice values[2];
    bool every = aicpi_sql_is_null(row, 2);
    if (!scope || (!every && !aicpa_scope_split(scope, aicpi_sql_text(row, 2), values))) {
        return aicpi_fail(err, AICP_ERR_STATE, "an account has an unknown scope");
    }
    struct json_object *o = add_account(user, "", aicpi_sql_text(row, 0));
    json_object_object_add(o, "name", aicpa_column_text(row, 8));
    struct json_object *match = json_object_new_object();
    struct json_object *per = json_object_new_array();
    for (size_t i = 0; i < 2 && scope->dimensions[i]; i++) {
        json_object_array_add(per, json_object_new_string(scope->dimensions[i]));
        if (!every) {
            struct json_object *one = aicpa_match("x", values[i].data, values[i].len);
            struct json_object *names = json_object_get(json_object_object_get(one, "x"));
            json_object_object_add(match, scope->dimensions[i], names);
            json_object_put(one);
        }
    }
    json_object_object_add(o, "per", per);
    if (json_object_object_length(match) > 0) {
        json_object_object_add(o, "match", match);
    } else {
        json_object_put(match);
    }
    if (!aicpi_sql_is_null(row, 3)) {
        json_object_object_add(o, "hard", aicpa_decimal_text(aicpi_sql_i64(row, 3)));
    }
    json_object_object_add(o, "soft", aicpa_column_json(row, 4));
    json_object_object_add(o, "duration", aicpa_column_text(row, 5));
    if (!aicpi_sql_is_null(row, 6)) {
        json_object_object_add(o, "timezone", aicpa_column_text(row, 6));
    }
    json_object_object_add(o, "on_unknown_price", aicpa_column_text(row, 7));
    return AICP_OK;
}

#define TEAMS_OF(column, table)                                                                    \
    "SELECT p.id, p.max_budget, t.id, p.name FROM " table " p JOIN admin_team t ON t." column      \
    " = p.id WHERE p.is_active = 1 AND p.max_budget IS NOT NULL ORDER BY p.id, t.id"

aicp_status aicpa_write_accounts(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    static const struct {
        const char *prefix;
        const char *sql;
    } groups[] = {
        {"org-", TEAMS_OF("org_id", "admin_organization")},
        {"bu-", TEAMS_OF("bu_id", "admin_business_unit")},
        {"team-",
         "SELECT t.id, t.max_budget_override, t.id, NULL FROM admin_team t"
         " WHERE t.max_budget_override IS NOT NULL ORDER BY t.id"},
    };
    struct json_object *list = json_object_new_array();
    aicp_status status = AICP_OK;
    if (aicpa_setting_is_on(build->db, "enable_budget_enforcement", err)) {
        status = aicpa_each_row(
            build->db,
            "SELECT id, scope, scope_value, hard_limit, soft_limits, duration, timezone,"
            " on_unknown_price, name FROM admin_account WHERE is_active = 1 ORDER BY id",
            on_account,
            list,
            err);
        for (size_t i = 0; i < sizeof groups / sizeof *groups && status == AICP_OK; i++) {
            group g = {list, groups[i].prefix, NULL};
            status = aicpa_each_row(build->db, groups[i].sql, on_group, &g, err);
        }
    }
    if (status != AICP_OK) {
        json_object_put(list);
        return status;
    }
    return aicpa_write_json(list, out, err);
}
