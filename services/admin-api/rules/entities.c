/* Section entities: organizations, business units and the teams in them; models in tiers. */
#include "services/admin-api/rules/rules.h"

#include "lib/base/error.h"

typedef struct entities {
    aicpa_build *build;
    struct json_object *list;
    struct json_object *models; /* model -> its entity in `list` */
} entities;

static struct json_object *uid(const char *type, struct json_object *id) {
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string(type));
    json_object_object_add(o, "id", id);
    return o;
}

static struct json_object *add_entity(entities *e, const char *type, struct json_object *id) {
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "uid", uid(type, id));
    json_object_object_add(o, "attrs", json_object_new_object());
    json_object_object_add(o, "parents", json_object_new_array());
    json_object_array_add(e->list, o);
    return o;
}

static void add_parent(struct json_object *entity, const char *type, struct json_object *id) {
    json_object_array_add(json_object_object_get(entity, "parents"), uid(type, id));
}

static aicp_status on_organization(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    (void)err;
    struct json_object *entity = add_entity(user, "AICP::Organization", aicpa_column_text(row, 0));
    json_object_object_add(
        json_object_object_get(entity, "attrs"), "slug", aicpa_column_text(row, 1));
    return AICP_OK;
}

static aicp_status on_unit(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    (void)err;
    struct json_object *entity = add_entity(user, "AICP::BusinessUnit", aicpa_column_text(row, 0));
    json_object_object_add(
        json_object_object_get(entity, "attrs"), "slug", aicpa_column_text(row, 2));
    add_parent(entity, "AICP::Organization", aicpa_column_text(row, 1));
    return AICP_OK;
}

static aicp_status on_team(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    (void)err;
    struct json_object *entity = add_entity(user, "AICP::Team", aicpa_column_text(row, 0));
    add_parent(entity, "AICP::Organization", aicpa_column_text(row, 1));
    if (!aicpi_sql_is_null(row, 2)) {
        add_parent(entity, "AICP::BusinessUnit", aicpa_column_text(row, 2));
    }
    return AICP_OK;
}

/* What the bundle says of a model takes the place of what the gate knows, so its provider is said
 * too. */
static struct json_object *model_entity(entities *e, struct json_object *name) {
    const char *model = json_object_get_string(name);
    struct json_object *entity = NULL;
    if (json_object_object_get_ex(e->models, model, &entity)) {
        return entity;
    }
    const aicp_price *price = NULL;
    entity = add_entity(e, "AICP::Model", json_object_get(name));
    if (aicp_price_table_find(e->build->admin->prices, model, strlen(model), &price, NULL) ==
        AICP_OK) {
        const char *provider = aicp_price_provider(price);
        add_parent(entity, "AICP::Provider", json_object_new_string(provider));
    }
    json_object_object_add(e->models, model, json_object_get(entity));
    return entity;
}

static aicp_status on_tier(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    entities *e = user;
    (void)err;
    struct json_object *models = aicpa_column_json(row, 1);
    size_t count =
        json_object_is_type(models, json_type_array) ? json_object_array_length(models) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *entity = model_entity(e, json_object_array_get_idx(models, i));
        add_parent(entity, "AICP::Tier", aicpa_column_text(row, 0));
    }
    json_object_put(models);
    return AICP_OK;
}

aicp_status aicpa_write_entities(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    static const struct {
        const char *sql;
        aicpa_row_fn fn;
    } parts[] = {
        {"SELECT id, slug FROM admin_organization WHERE is_active = 1 ORDER BY id",
         on_organization},
        {"SELECT u.id, u.org_id, u.slug FROM admin_business_unit u JOIN admin_organization o ON"
         " o.id = u.org_id WHERE u.is_active = 1 AND o.is_active = 1 ORDER BY u.id",
         on_unit},
        {"SELECT t.id, t.org_id, CASE WHEN u.is_active = 1 THEN t.bu_id END FROM admin_team t"
         " JOIN admin_organization o ON o.id = t.org_id LEFT JOIN admin_business_unit u ON"
         " u.id = t.bu_id WHERE o.is_active = 1 ORDER BY t.id",
         on_team},
        {"SELECT name, models FROM admin_model_tier ORDER BY name", on_tier},
    };
    entities e = {build, json_object_new_array(), json_object_new_object()};
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == AICP_OK; i++) {
        status = aicpa_each_row(build->db, parts[i].sql, parts[i].fn, &e, err);
    }
    json_object_put(e.models);
    if (status != AICP_OK) {
        json_object_put(e.list);
        return status;
    }
    return aicpa_write_json(e.list, out, err);
}

aicp_status aicpa_entities_read(aicpa_build *build, aicp_policy_entities **out, aicp_error *err) {
    aicpi_strbuf text;
    *out = NULL;
    aicpi_strbuf_init(&text, NULL, (size_t)64 << 20);
    aicp_status status = aicpa_write_entities(build, &text, err);
    if (status == AICP_OK && text.failed) {
        status = aicpi_fail(err, AICP_ERR_LIMIT, "the entities are too large");
    }
    if (status == AICP_OK) {
        bool none = text.len == 0;
        status = aicp_policy_entities_parse(
            none ? "[]" : text.data, none ? 2 : text.len, NULL, out, err);
    }
    aicpi_strbuf_deinit(&text);
    return status;
}
