/* Sections settings and routes: the switches of the platform. */
#include "services/admin-api/rules/rules.h"

#include "lib/base/error.h"

struct json_object *aicpa_setting(aicpi_sql *db, const char *name, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    struct json_object *value = NULL;
    if (aicpi_sql_prepare(db, "SELECT value FROM admin_setting WHERE name = ?", &q, err) ==
        AICP_OK) {
        aicpi_sql_bind_text(q, 1, name, strlen(name));
        if (aicpi_sql_step(q, &row, err) == AICP_OK && row) {
            value = aicpa_column_json(q, 0);
            aicpi_sql_reset(q);
        }
    }
    return value;
}

/* What the gate itself knows by these names (docs/bundle.md). */
aicp_status aicpa_write_settings(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    struct json_object *value = aicpa_setting(build->db, "gate", err);
    if (!value) {
        return AICP_OK;
    }
    return aicpa_write_json(value, out, err);
}

aicp_status aicpa_write_routes(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    struct json_object *all = aicpa_settings_read(build->db, err);
    struct json_object *routes = json_object_new_object();
    struct json_object *maintenance = json_object_new_object();
    struct json_object *aliases = json_object_new_object();
    struct json_object *model = json_object_object_get(all, "default_model");
    json_object_object_add(
        maintenance, "enabled", json_object_new_boolean(aicps_bool(all, "maintenance_mode")));
    json_object_object_add(aliases, "default", json_object_get(model));
    json_object_object_add(routes, "maintenance", maintenance);
    json_object_object_add(routes, "aliases", aliases);
    json_object_object_add(routes, "redirects", json_object_new_array());
    json_object_put(all);
    return aicpa_write_json(routes, out, err);
}
