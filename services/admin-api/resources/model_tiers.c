/* Tiers of models: what policies mean by `resource in AICP::Tier::"frontier"`. */
#include "services/admin-api/list.h"

static const aicps_field fields[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 128,
     .doc = "id of the tier in policies"},
    {.name = "description",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_SEARCH,
     .max = 2000},
    {.name = "models",
     .type = AICPS_TEXTS,
     .preset = "[]",
     .min = 0,
     .max = 1000,
     .doc = "names of models, exact"},
};

static const aicps_resource resource = {
    .path = "/api/v1/model-access/tiers",
    .type = "model_tier",
    .title = "Tier",
    .table = "admin_model_tier",
    .sort = "name",
    .delete_status = "ok",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
    .doc = "Tiers of models.",
};

aicp_status aicpa_model_tiers_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_resource(api, &resource, err);
}
