/* The audit log: the frame's resource, its export and the check of its chain. */
#include "services/admin-api/list.h"

#include "lib/base/error.h"

static void export_log(aicps_call *call) {
    aicps_send_export(call, &aicps_audit_resource, "audit_logs", 10000, 50000);
}

static void verify(aicps_call *call) {
    uint64_t checked = 0;
    uint64_t sealed = 0;
    int64_t bad = 0;
    aicp_error err = {0};
    aicp_status status = aicps_audit_seal(call->db, &sealed, &err);
    status = status ? status : aicps_audit_verify(call->db, &checked, &bad, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    struct json_object *answer = json_object_new_object();
    json_object_object_add(answer, "valid", json_object_new_boolean(bad == 0));
    json_object_object_add(answer, "entries_checked", json_object_new_int64((int64_t)checked));
    json_object_object_add(answer, "first_bad", bad ? json_object_new_int64(bad) : NULL);
    aicps_send_json(call, 200, answer);
}

static const aicps_route routes[] = {
    {.method = "GET",
     .pattern = "/api/v1/audit-logs/export",
     .handler = export_log,
     .action = "export",
     .resource_type = "audit_log",
     .summary = "All entries that the filters leave, as a file",
     .data = &aicps_audit_resource},
    {.method = "GET",
     .pattern = "/api/v1/audit-logs/verify",
     .handler = verify,
     .action = "verify",
     .resource_type = "audit_log",
     .summary = "Whether an entry was changed or taken away",
     .response_schema = "{\"type\":\"object\",\"required\":[\"valid\",\"entries_checked\","
                        "\"first_bad\"]}"},
};

aicp_status aicpa_audit_logs_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &aicps_audit_resource, err);
    return status ? status : aicps_api_add_routes(api, routes, 2, err);
}
