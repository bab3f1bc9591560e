/* POST /api/v1/gate/leases: slices for gates that reach the store only through us. */
#include "services/admin-api/gates/gates.h"

#include "services/admin-api/list.h"

#include "lib/base/error.h"

static void post_leases(aicps_call *call) {
    aicp_buf rates = {0};
    aicp_error err = {0};
    aicpi_slice body = call->req->body;
    aicp_status status =
        aicp_rate_store_serve(aicpa_of(call)->rates, body.data, body.len, &rates, &err);
    if (status == AICP_ERR_PARSE || status == AICP_ERR_INVALID || status == AICP_ERR_RANGE ||
        status == AICP_ERR_LIMIT) {
        aicps_send_error(
            call,
            422,
            "validation_error",
            "line %u, column %u: %s",
            (unsigned)err.line,
            (unsigned)err.column,
            err.message);
    } else if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
    } else {
        aicpi_strbuf_puts(&call->res->body, rates.len ? "{\"rates\":" : "{");
        aicpi_strbuf_append(&call->res->body, rates.data, rates.len);
        aicpi_strbuf_puts(&call->res->body, "}");
    }
    aicp_buf_free(&rates);
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/gate/leases",
     .handler = post_leases,
     .flags = AICPS_SERVICE | AICPS_RAW_BODY,
     .summary = "Take slices of shared limits and budgets, tell settlements",
     .request_schema = "{\"type\":\"object\"}",
     .response_schema = "{\"type\":\"object\"}"},
};

aicp_status aicpa_leases_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, 1, err);
}
