/* POST /api/v1/gate/leases: slices for gates that reach the store only through us. */
#include "services/admin-api/gates/gates.h"

#include "services/admin-api/list.h"

#include "lib/base/error.h"

#define DEPTH_MAX 32

/* Which parts the message has; false: it was no message, and the caller was told. */
static bool read_parts(aicps_call *call, bool *rates, bool *ledger) {
    struct json_object *message = NULL;
    aicp_error err = {0};
    aicpi_slice body = call->req->body;
    aicp_status status =
        aicps_json_parse(call->arena, body.data, body.len, DEPTH_MAX, &message, &err);
    if (status == AICP_OK && !json_object_is_type(message, json_type_object)) {
        status = aicpi_fail(&err, AICP_ERR_PARSE, "the message must be an object");
    }
    *rates = status == AICP_OK && aicps_member(message, "rates");
    *ledger = status == AICP_OK && aicps_member(message, "ledger");
    json_object_put(message);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
    }
    return status == AICP_OK;
}

static void post_leases(aicps_call *call) {
    const aicpa_admin *admin = aicpa_of(call);
    aicp_buf rates = {0};
    aicp_buf ledger = {0};
    aicp_error err = {0};
    aicpi_slice body = call->req->body;
    bool has_rates = false;
    bool has_ledger = false;
    if (!read_parts(call, &has_rates, &has_ledger)) {
        return;
    }
    aicp_status status = AICP_OK;
    if (has_rates) {
        status = aicp_rate_store_serve(admin->rates, body.data, body.len, &rates, &err);
    }
    if (status == AICP_OK && has_ledger) {
        status = aicp_ledger_serve(admin->ledger, body.data, body.len, &ledger, &err);
    }
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
    } else {
        aicpi_strbuf *out = &call->res->body;
        aicpi_strbuf_puts(out, "{\"format\":\"aicp-leases/1\"");
        if (has_rates) {
            aicpi_strbuf_puts(out, ",\"rates\":");
            aicpi_strbuf_append(out, rates.data, rates.len);
        }
        if (has_ledger) {
            aicpi_strbuf_puts(out, ",\"ledger\":");
            aicpi_strbuf_append(out, ledger.data, ledger.len);
        }
        aicpi_strbuf_putc(out, '}');
    }
    aicp_buf_free(&rates);
    aicp_buf_free(&ledger);
}

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/gate/leases",
     .handler = post_leases,
     .flags = AICPS_SERVICE | AICPS_RAW_BODY,
     .summary = "Take slices of shared limits and budgets, tell settlements",
     .request_schema = "{\"type\":\"object\"}",
     .response_schema = "{\"type\":\"object\"}",
     .body_max = 16 << 20},
};

aicp_status aicpa_leases_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, 1, err);
}
