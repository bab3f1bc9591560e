/* Models: LiteLLM's deployments. A list of one element each; several deployments may share a name.
 */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/fields.h"
#include "services/admin-api/proxy/prices.h"

#include "lib/base/error.h"

static const aicps_field fields[] = {
    {.name = "model_name",
     .type = AICPS_TEXT,
     .flags = AICPS_READ_ONLY | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH},
    {.name = "provider",
     .type = AICPS_TEXT,
     .flags = AICPS_READ_ONLY | AICPS_FILTER | AICPS_FACET | AICPS_SORT},
    {.name = "mode", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_FILTER | AICPS_FACET},
    {.name = "litellm_params", .type = AICPS_OBJECT, .flags = AICPS_READ_ONLY | AICPS_CSV_OFF},
    {.name = "model_info", .type = AICPS_OBJECT, .flags = AICPS_READ_ONLY | AICPS_CSV_OFF},
};

static const aicps_field create_fields[] = {
    AICPA_TEXT("model_name", AICPS_REQUIRED),
    {.name = "litellm_params", .type = AICPS_OBJECT, .flags = AICPS_REQUIRED},
    AICPA_MAY("model_info", AICPS_OBJECT, 0, 0),
};

static const aicps_field update_fields[] = {
    AICPA_TEXT("id", AICPS_IN_PATH),
    AICPA_TEXT("model_name", 0),
    {.name = "litellm_params", .type = AICPS_OBJECT},
    AICPA_MAY("model_info", AICPS_OBJECT, 0, 0),
};

static const aicps_field delete_fields[] = {
    AICPA_TEXT("id", AICPS_REQUIRED),
};

/* ---- reading ---- */

/* An element as LiteLLM has it, with id, provider and mode beside for lists. */
static struct json_object *row_of(struct json_object *deployment) {
    struct json_object *info = json_object_object_get(deployment, "model_info");
    struct json_object *row = json_object_get(deployment);
    static const char *const names[][2] = {
        {"id", "id"}, {"provider", "litellm_provider"}, {"mode", "mode"}};
    for (size_t i = 0; i < 3; i++) {
        struct json_object *v = info ? json_object_object_get(info, names[i][1]) : NULL;
        json_object_object_add(row, names[i][0], json_object_get(v));
    }
    return row;
}

static aicp_status list(aicps_call *call, struct json_object **rows, aicp_error *err) {
    *rows = NULL;
    struct json_object *answer = aicpa_proxy_list(call, aicp_litellm_model_info);
    if (!answer) {
        return aicpi_fail(err, AICP_ERR_LITELLM_SERVER, "answered");
    }
    struct json_object *data = json_object_object_get(answer, "data");
    *rows = json_object_new_array();
    size_t count = json_object_is_type(data, json_type_array) ? json_object_array_length(data) : 0;
    for (size_t i = 0; i < count; i++) {
        json_object_array_add(*rows, row_of(json_object_array_get_idx(data, i)));
    }
    json_object_put(answer);
    return AICP_OK;
}

/* By the deployment's id, else the first of that public name. */
static aicp_status
get(aicps_call *call, aicpi_slice id, struct json_object **row, aicp_error *err) {
    struct json_object *rows = NULL;
    *row = NULL;
    aicp_status status = list(call, &rows, err);
    for (int pass = 0; status == AICP_OK && pass < 2 && !*row; pass++) {
        const char *field = pass == 0 ? "id" : "model_name";
        for (size_t i = 0; i < json_object_array_length(rows) && !*row; i++) {
            struct json_object *o = json_object_array_get_idx(rows, i);
            *row = aicpi_slice_eq(aicps_text(o, field), id) ? json_object_get(o) : NULL;
        }
    }
    json_object_put(rows);
    return status;
}

static const aicps_source source = {list, get, NULL};

static const aicps_resource resource = {
    .path = "/api/v1/models",
    .type = "model",
    .title = "Model",
    .name_field = "model_name",
    .sort = "model_name",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION | AICPS_PATH_ID,
    .fields = fields,
    .field_count = AICPA_COUNT(fields),
    .source = &source,
    .doc = "LiteLLM's deployments. An id is a deployment's id or a public name, slashes included.",
};

/* ---- changing ---- */

static void check_new(aicps_call *call, struct json_object *body) {
    if (aicps_text(aicps_member(body, "litellm_params"), "model").len == 0) {
        aicps_field_error(call, "litellm_params", "needs \"model\", e.g. \"openai/gpt-4o\"");
    }
}

/* LiteLLM wants the id inside model_info. */
static struct json_object *shape_update(aicps_call *call, struct json_object *body) {
    (void)call;
    struct json_object *shaped = NULL;
    if (json_object_deep_copy(body, &shaped, NULL) != 0) {
        return json_object_get(body);
    }
    struct json_object *info = json_object_object_get(shaped, "model_info");
    info = info ? json_object_get(info) : json_object_new_object();
    json_object_object_add(info, "id", json_object_get(json_object_object_get(shaped, "id")));
    json_object_object_add(shaped, "model_info", info);
    json_object_object_del(shaped, "id");
    return shaped;
}

static void changed(aicps_call *call, struct json_object *body, struct json_object *answer) {
    (void)body;
    (void)answer;
    aicpa_prices_stale(aicpa_of(call));
}

static const aicpa_proxy_verb create = {
    .send = aicp_litellm_model_new,
    .id = "model_id",
    .name = "model_name",
    .check = check_new,
    .done = changed,
};

static const aicpa_proxy_verb update = {
    .send = aicp_litellm_model_update,
    .id = "id",
    .name = "model_name",
    .param = "id",
    .shape = shape_update,
    .done = changed,
};

static const aicpa_proxy_verb remove_model = {
    .send = aicp_litellm_model_delete,
    .by_id = true,
    .id = "id",
    .done = changed,
    .deletes = true,
};

#define ROUTE(method, path, act, text, body, verb)                                                 \
    AICPA_PROXY_ROUTE(method, "/api/v1/models" path, "model", act, text, body, verb)

static const aicps_route routes[] = {
    ROUTE(
        "POST",
        "",
        "create",
        "Add a deployment (LiteLLM must store models in its database)",
        create_fields,
        &create),
    ROUTE(
        "PUT",
        "/{id...}",
        "update",
        "Change a deployment; what is not named stays",
        update_fields,
        &update),
    ROUTE("POST", "/delete", "delete", "Remove a deployment", delete_fields, &remove_model),
};

aicp_status aicpa_models_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
