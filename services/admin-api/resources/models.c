/* Models: LiteLLM's deployments. A list of one element each; several deployments may share a name.
 */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/prices.h"
#include "services/admin-api/proxy/proxy.h"

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

static const aicps_field write_fields[] = {
    {.name = "model_name", .type = AICPS_TEXT, .min = 1, .max = 256},
    {.name = "litellm_params", .type = AICPS_OBJECT},
    {.name = "model_info", .type = AICPS_OBJECT, .flags = AICPS_NULLABLE},
};

static const aicps_field update_fields[] = {
    {.name = "id", .type = AICPS_TEXT, .min = 1, .max = 256},
    {.name = "model_name", .type = AICPS_TEXT, .min = 1, .max = 256},
    {.name = "litellm_params", .type = AICPS_OBJECT},
    {.name = "model_info", .type = AICPS_OBJECT, .flags = AICPS_NULLABLE},
};

static const aicps_field delete_fields[] = {
    {.name = "id", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 256},
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
    .field_count = sizeof fields / sizeof *fields,
    .source = &source,
    .doc = "LiteLLM's deployments. An id is a deployment's id or a public name, slashes included.",
};

/* ---- changing ---- */

static void check_new(aicps_call *call, struct json_object *body) {
    struct json_object *params = aicps_member(body, "litellm_params");
    if (aicps_text(body, "model_name").len == 0) {
        aicps_field_error(call, "model_name", "Field required");
    }
    if (!params || aicps_text(params, "model").len == 0) {
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

static aicp_status send_delete(
    aicp_litellm *client,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    (void)len;
    struct json_object *body = json_tokener_parse(data);
    aicpi_slice id = aicps_text(body, "id");
    aicp_status status = aicp_litellm_model_delete(client, id.data, id.len, reply, err);
    json_object_put(body);
    return status;
}

static void changed(aicps_call *call, struct json_object *body, struct json_object *answer) {
    (void)body;
    (void)answer;
    aicpa_prices_stale(aicpa_of(call));
}

static const aicpa_proxy_verb create = {
    .fields = write_fields,
    .field_count = 3,
    .send = aicp_litellm_model_new,
    .id = "model_id",
    .name = "model_name",
    .check = check_new,
    .done = changed,
};

static const aicpa_proxy_verb update = {
    .fields = update_fields,
    .field_count = 4,
    .send = aicp_litellm_model_update,
    .id = "id",
    .name = "model_name",
    .param = "id",
    .shape = shape_update,
    .done = changed,
};

static const aicpa_proxy_verb remove_model = {
    .fields = delete_fields,
    .field_count = 1,
    .send = send_delete,
    .id = "id",
    .done = changed,
    .deletes = true,
};

#define ANY "{\"type\":\"object\"}"
#define MODEL                                                                                      \
    "{\"type\":\"object\",\"properties\":{\"model_name\":{\"type\":\"string\",\"minLength\":1},"   \
    "\"litellm_params\":{\"type\":\"object\"},\"model_info\":{\"type\":[\"object\",\"null\"]}},"   \
    "\"additionalProperties\":false"

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/models",
     .handler = aicpa_proxy_post,
     .action = "create",
     .resource_type = "model",
     .summary = "Add a deployment (LiteLLM must store models in its database)",
     .request_schema = MODEL ",\"required\":[\"model_name\",\"litellm_params\"]}",
     .response_schema = ANY,
     .data = &create},
    {.method = "PUT",
     .pattern = "/api/v1/models/{id...}",
     .handler = aicpa_proxy_post,
     .action = "update",
     .resource_type = "model",
     .summary = "Change a deployment; what is not named stays",
     .request_schema = MODEL "}",
     .response_schema = ANY,
     .data = &update},
    {.method = "POST",
     .pattern = "/api/v1/models/delete",
     .handler = aicpa_proxy_post,
     .action = "delete",
     .resource_type = "model",
     .summary = "Remove a deployment",
     .request_schema = "{\"type\":\"object\",\"required\":[\"id\"],\"additionalProperties\":false,"
                       "\"properties\":{\"id\":{\"type\":\"string\",\"minLength\":1}}}",
     .response_schema = ANY,
     .data = &remove_model},
};

aicp_status aicpa_models_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &resource, err);
    return status ? status : aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
