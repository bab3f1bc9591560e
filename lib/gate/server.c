#include "lib/gate/server.h"

#include "lib/gate/fetch.h"
#include "lib/gate/rate_store_http.h"
#include "lib/gate/remote.h"
#include "lib/gate/uplink.h"

aicp_status aicpi_server_check_options(const aicp_gate_options *o, aicp_error *err) {
    if (o->bundle_path && o->bundle_url) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "bundle_path and bundle_url cannot both say where the rules are");
    }
    if (o->bundle_url && !o->cache_path) {
        return aicpi_fail(
            err, AICP_ERR_INVALID, "bundle_url needs cache_path, a folder for the disk copy");
    }
    return AICP_OK;
}

aicp_status aicpi_server_open(aicp_gate *g, aicp_error *err) {
    const char *events = g->events_url ? g->events_url : g->bundle_url;
    aicp_status status = g->bundle_url ? aicpi_fetch_open(g, &g->fetch, err) : AICP_OK;
    if (status == AICP_OK && events) {
        status = aicpi_uplink_open(g, events, &g->uplink, err);
    }
    return status;
}

aicp_status
aicpi_server_open_rates(aicp_gate *g, const char *url, aicp_lease_source *source, aicp_error *err) {
    aicp_status status = aicpi_remote_open(
        url, g->service_key, g->events.boot, &g->allocator, &g->rates_remote, err);
    if (status == AICP_OK) {
        status = aicpi_rate_http_open(g->rates_remote, g->node, &g->allocator, &g->rate_http, err);
    }
    if (status == AICP_OK) {
        *source = aicpi_rate_http_source(g->rate_http);
    }
    return status;
}

aicp_status aicpi_server_start(aicp_gate *g, aicp_error *err) {
    aicp_status status = g->fetch ? aicpi_fetch_start(g->fetch, err) : AICP_OK;
    return status == AICP_OK && g->uplink ? aicpi_uplink_start(g->uplink, err) : status;
}

void aicpi_server_stop(aicp_gate *g) {
    if (g->fetch) {
        aicpi_fetch_stop(g->fetch);
    }
    if (g->uplink) {
        aicpi_uplink_stop(g->uplink);
    }
}

void aicpi_server_free(aicp_gate *g, bool own) {
    aicpi_fetch_free(g->fetch, own);
    aicpi_uplink_free(g->uplink, own);
    aicpi_rate_http_free(g->rate_http);
    aicpi_remote_free(g->rates_remote, own);
    g->fetch = NULL;
    g->uplink = NULL;
    g->rate_http = NULL;
    g->rates_remote = NULL;
}

aicp_status aicpi_server_leave_parent(aicp_gate *g, aicp_error *err) {
    aicp_status status = AICP_OK;
    if (g->rates_remote) {
        status = aicpi_remote_leave_parent(g->rates_remote, g->events.boot, err);
    }
    if (g->fetch && status == AICP_OK) {
        status = aicpi_fetch_leave_parent(g->fetch, err);
    }
    if (g->uplink && status == AICP_OK) {
        status = aicpi_uplink_leave_parent(g->uplink, err);
    }
    return status;
}
