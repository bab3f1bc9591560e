/* GET /api/v1/gate/bundle with long poll, its sections, and the list of gates. */
#include "services/admin-api/gates/gates.h"

#include "services/admin-api/list.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdio.h>

#define WAIT_MAX_S 60
#define FIRST_MAX_S 3 /* less than gates wait at their start */
/* A gate that polls without pause need not be written down each time. */
#define SEEN_EVERY_NS (INT64_C(5) * AICPI_SECOND_NS)

/* ---- gates ---- */

#define SEEN                                                                                       \
    "INSERT INTO admin_gate (id, node, boot, bundle_version, error, address, first_seen_at,"       \
    " last_seen_at, next_event, dropped) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)"                    \
    " ON CONFLICT (id) DO UPDATE SET bundle_version = COALESCE(excluded.bundle_version,"           \
    " admin_gate.bundle_version), error = excluded.error, address = excluded.address,"             \
    " last_seen_at = excluded.last_seen_at WHERE admin_gate.last_seen_at < ?"                      \
    " OR COALESCE(admin_gate.error, '') <> COALESCE(excluded.error, '')"                           \
    " OR COALESCE(admin_gate.bundle_version, '') <> COALESCE(excluded.bundle_version, '')"

static void bind_known(aicpi_sql_stmt *q, int32_t at, aicpi_slice text) {
    if (text.len > 0) {
        aicpi_sql_bind_text(q, at, text.data, text.len);
    } else {
        aicpi_sql_bind_null(q, at);
    }
}

aicp_status aicpa_gate_seen(aicpi_sql *db, const aicpa_gate_sight *g, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    int64_t now = aicpa_wall_ns();
    aicp_status status = aicpi_sql_prepare(db, SEEN, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    char id[2 * AICPA_NODE_MAX + 2];
    int len = snprintf(
        id, sizeof id, "%.*s/%.*s", (int)g->node.len, g->node.data, (int)g->boot.len, g->boot.data);
    aicpi_sql_bind_text(q, 1, id, (size_t)len);
    aicpi_sql_bind_text(q, 2, g->node.data, g->node.len);
    aicpi_sql_bind_text(q, 3, g->boot.data, g->boot.len);
    bind_known(q, 4, g->version);
    bind_known(q, 5, g->error);
    aicpi_sql_bind_text(q, 6, g->address, strlen(g->address));
    aicpi_sql_bind_i64(q, 7, now);
    aicpi_sql_bind_i64(q, 8, now);
    aicpi_sql_bind_i64(q, 9, now - SEEN_EVERY_NS);
    return aicpi_sql_run(q, err);
}

static bool text_ok(aicpi_slice text, size_t max) {
    return text.len == 0 || (text.len <= max && aicpi_utf8_valid(text.data, text.len, NULL) &&
                             !memchr(text.data, 0, text.len));
}

/* Reads node, boot, version and error of the query; adds field errors. */
static bool read_sight(aicps_call *call, aicpa_gate_sight *g) {
    *g = (aicpa_gate_sight){
        .node = aicps_http_query(call->req, "node"),
        .boot = aicps_http_query(call->req, "boot"),
        .version = aicps_http_query(call->req, "version"),
        .error = aicps_http_query(call->req, "error"),
        .address = call->req->client_ip,
    };
    if (g->node.len == 0 || !text_ok(g->node, AICPA_NODE_MAX)) {
        aicps_field_error(call, "node", "1 to %d bytes of text", AICPA_NODE_MAX);
    }
    if (!text_ok(g->boot, AICPA_NODE_MAX)) {
        aicps_field_error(call, "boot", "at most %d bytes of text", AICPA_NODE_MAX);
    }
    if (!text_ok(g->version, 128)) {
        aicps_field_error(call, "version", "at most 128 bytes of text");
    }
    if (!text_ok(g->error, 1024)) {
        aicps_field_error(call, "error", "at most 1024 bytes of text");
    }
    return !aicps_has_field_errors(call);
}

/* ---- bundle ---- */

static bool read_wait(aicps_call *call, uint64_t *seconds) {
    aicpi_slice text = aicps_http_query(call->req, "wait");
    *seconds = 0;
    if (text.len && (!aicpi_parse_u64(text, seconds) || *seconds > WAIT_MAX_S)) {
        aicps_field_error(call, "wait", "0 to %d seconds", WAIT_MAX_S);
    }
    return !aicps_has_field_errors(call);
}

/* True when the caller has `etag` already. */
static bool has_etag(const aicps_call *call, aicpi_slice etag) {
    aicpi_slice own = aicps_http_header(call->req, "if-none-match");
    return own.len == etag.len + 2 && own.data[0] == '"' && own.data[own.len - 1] == '"' &&
           memcmp(own.data + 1, etag.data, etag.len) == 0;
}

static void add_etag(aicps_call *call, aicpi_slice etag) {
    char text[80];
    snprintf(text, sizeof text, "\"%.*s\"", (int)etag.len, etag.data);
    (void)aicps_http_add_header(call->res, "ETag", text);
}

/* Answers, or says that there is nothing newer than the caller has. The first bundle of all is
 * waited for in any case: it is made in the moment in which the server begins to listen. */
static bool answer_bundle(aicps_call *call, uint64_t *until) {
    aicpi_sql_stmt *q = NULL;
    aicp_error err = {0};
    bool row = false;
    aicp_status status = aicpi_sql_prepare(
        call->db,
        "SELECT etag, manifest FROM admin_bundle ORDER BY revision DESC LIMIT 1",
        &q,
        &err);
    status = status ? status : aicpi_sql_step(q, &row, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return true;
    }
    aicpi_slice etag = row ? aicpi_sql_text(q, 0) : aicpi_slice_of(NULL, 0);
    bool news = row && !has_etag(call, etag);
    uint64_t first = call->req->started_ns + FIRST_MAX_S * UINT64_C(1000000000);
    *until = !row && *until < first ? first : *until;
    bool last = aicpa_monotonic_ns() >= *until;
    if (news) {
        add_etag(call, etag);
        aicpi_slice manifest = aicpi_sql_text(q, 1);
        aicpi_strbuf_append(&call->res->body, manifest.data, manifest.len);
    } else if (last && row) {
        add_etag(call, etag);
        call->res->status = 304;
    } else if (last) {
        (void)aicps_http_add_header(call->res, "Retry-After", "1");
        aicps_send_error(call, 503, "unavailable", "no bundle has been made yet");
    }
    if (row) {
        aicpi_sql_reset(q);
    }
    return news || last;
}

static void get_bundle(aicps_call *call) {
    aicpa_gate_sight sight;
    uint64_t wait = 0;
    aicps_http_server *server = aicpa_of(call)->server;
    if (!read_sight(call, &sight) || !read_wait(call, &wait)) {
        aicps_send_field_errors(call);
        return;
    }
    uint64_t until = call->req->started_ns + wait * UINT64_C(1000000000);
    uint64_t ticket = aicps_http_ticket(server, AICPA_TOPIC_BUNDLE);
    aicp_error err = {0};
    aicp_status status = call->req->resumed ? AICP_OK : aicpa_gate_seen(call->db, &sight, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    if (!answer_bundle(call, &until)) {
        aicps_http_wait(call->res, AICPA_TOPIC_BUNDLE, ticket, until);
    }
}

static void get_section(aicps_call *call) {
    aicpi_sql_stmt *q = NULL;
    aicp_error err = {0};
    bool row = false;
    aicp_status status = aicpi_sql_prepare(
        call->db, "SELECT content FROM admin_bundle_section WHERE sha256 = ?", &q, &err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, call->params[0].data, call->params[0].len);
        status = aicpi_sql_step(q, &row, &err);
    }
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
    } else if (!row) {
        aicps_send_error(call, 404, "not_found", "Section not found");
    } else {
        aicpi_slice content = aicpi_sql_blob(q, 0);
        call->res->content_type = "application/octet-stream";
        (void)aicps_http_add_header(
            call->res, "Cache-Control", "private, max-age=31536000, immutable");
        aicpi_strbuf_append(&call->res->body, content.data, content.len);
        aicpi_sql_reset(q);
    }
}

/* ---- for people ---- */

#define STATE                                                                                      \
    "SELECT (SELECT revision FROM rules_revision WHERE id = 1), b.revision, b.created_at, b.etag," \
    " e.message FROM (SELECT 1) AS one LEFT JOIN (SELECT revision, created_at, etag FROM"          \
    " admin_bundle ORDER BY revision DESC LIMIT 1) b ON 1 = 1 LEFT JOIN admin_bundle_error e ON"   \
    " e.revision > COALESCE(b.revision, -1)"

/* The newest bundle, and why there is none of the newest rules. */
static void get_state(aicps_call *call) {
    aicpi_sql_stmt *q = NULL;
    aicp_error err = {0};
    bool row = false;
    aicp_status status = aicpi_sql_prepare(call->db, STATE, &q, &err);
    status = status ? status : aicpi_sql_step(q, &row, &err);
    if (status != AICP_OK || !row) {
        aicps_send_status(call, status ? status : AICP_ERR_STORE, &err);
        return;
    }
    struct json_object *o = json_object_new_object();
    bool made = !aicpi_sql_is_null(q, 1);
    char version[32];
    snprintf(version, sizeof version, "%lld", (long long)aicpi_sql_i64(q, 1));
    aicps_set(o, "revision", json_object_new_int64(aicpi_sql_i64(q, 0)));
    aicps_set(o, "version", made ? json_object_new_string(version) : NULL);
    aicps_set(o, "created_at", made ? aicps_json_time(aicpi_sql_i64(q, 2)) : NULL);
    aicps_set(o, "etag", made ? aicps_json_slice(aicpi_sql_text(q, 3)) : NULL);
    aicps_set(o, "error", aicpi_sql_is_null(q, 4) ? NULL : aicps_json_slice(aicpi_sql_text(q, 4)));
    aicpi_sql_reset(q);
    aicps_send_json(call, 200, o);
}

#define SEEN_FIELD(field, kind, more)                                                              \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | (more) }

static const aicps_field gate_fields[] = {
    SEEN_FIELD("node", AICPS_TEXT, AICPS_FILTER | AICPS_SORT),
    SEEN_FIELD("boot", AICPS_TEXT, AICPS_FILTER),
    SEEN_FIELD("bundle_version", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    SEEN_FIELD("error", AICPS_TEXT, 0),
    SEEN_FIELD("address", AICPS_TEXT, 0),
    SEEN_FIELD("first_seen_at", AICPS_TIME, AICPS_SORT),
    SEEN_FIELD("last_seen_at", AICPS_TIME, AICPS_SORT | AICPS_FILTER),
    SEEN_FIELD("next_event", AICPS_INT, 0),
    SEEN_FIELD("dropped", AICPS_INT, 0),
};

static const aicps_resource gates = {
    .path = "/api/v1/gates",
    .type = "gate",
    .title = "Gate",
    .table = "admin_gate",
    .name_field = "node",
    .sort = "-last_seen_at",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = gate_fields,
    .field_count = sizeof gate_fields / sizeof *gate_fields,
    .doc = "Processes that enforce the rules, as they last showed themselves: the bundle that each "
           "goes "
           "by, why it refused a newer one, and events that it could not keep.",
};

#define MANIFEST "{\"type\":\"object\",\"required\":[\"format\",\"version\",\"sections\"]}"

static const aicps_route routes[] = {
    {.method = "GET",
     .pattern = "/api/v1/gate/bundle",
     .handler = get_bundle,
     .flags = AICPS_SERVICE,
     .summary = "Manifest of the newest bundle; waits for a newer one",
     .response_schema = MANIFEST,
     .query_doc = "node:string,boot:string,version:string,error:string,wait:integer"},
    {.method = "GET",
     .pattern = "/api/v1/gate/bundle/sections/{sha256}",
     .handler = get_section,
     .flags = AICPS_SERVICE,
     .summary = "A section of a bundle by its hash"},
    {.method = "GET",
     .pattern = "/api/v1/gates/bundle",
     .handler = get_state,
     .action = "status",
     .resource_type = "gate",
     .summary = "Which rules are out, and why newer ones are not",
     .response_schema = "{\"type\":\"object\",\"required\":[\"revision\",\"version\",\"error\"]}"},
};

aicp_status aicpa_gates_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &gates, err);
    return status ? status : aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
