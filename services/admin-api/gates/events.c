/* POST /api/v1/gate/events: what gates decided and found. Each event is kept once, by (node, boot,
 * sequence), however often it is sent. */
#include "services/admin-api/gates/gates.h"

#include "services/admin-api/list.h"

#include "lib/base/clock.h"
#include "lib/base/decimal.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#include <inttypes.h>
#include <stdio.h>

#define EVENTS_MAX 5000

typedef struct batch {
    aicpi_sql *db;
    bool own; /* of this process' own gate, which is not listed among the gates */
    aicpa_gate_sight sight;
    struct json_object *events;
    int64_t dropped;
    int64_t next; /* after the transaction: first sequence not seen yet */
    size_t accepted;
} batch;

/* ---- one event ---- */

static aicpi_slice text_of(struct json_object *event, const char *name) {
    struct json_object *v = NULL;
    if (!json_object_object_get_ex(event, name, &v) || !json_object_is_type(v, json_type_string)) {
        return aicpi_slice_of(NULL, 0);
    }
    return aicpi_slice_of(json_object_get_string(v), (size_t)json_object_get_string_len(v));
}

static void bind_text(aicpi_sql_stmt *q, int32_t at, struct json_object *event, const char *name) {
    aicpi_slice text = text_of(event, name);
    if (text.len > 0 && !memchr(text.data, 0, text.len)) {
        aicpi_sql_bind_text(q, at, text.data, text.len);
    } else {
        aicpi_sql_bind_null(q, at);
    }
}

static void bind_int(
    aicpi_sql_stmt *q, int32_t at, struct json_object *event, const char *name, int64_t divisor) {
    struct json_object *v = NULL;
    if (json_object_object_get_ex(event, name, &v) && json_object_is_type(v, json_type_int)) {
        aicpi_sql_bind_i64(q, at, json_object_get_int64(v) / divisor);
    } else {
        aicpi_sql_bind_null(q, at);
    }
}

/* A decimal number or text, in 1e-9. */
static void
bind_decimal(aicpi_sql_stmt *q, int32_t at, struct json_object *event, const char *name) {
    struct json_object *v = NULL;
    int64_t nano = 0;
    const char *text =
        json_object_object_get_ex(event, name, &v) && v ? json_object_get_string(v) : NULL;
    if (text && aicpi_decimal_parse(aicpi_slice_cstr(text), 9, &nano, NULL, NULL) == AICP_OK) {
        aicpi_sql_bind_i64(q, at, nano);
    } else {
        aicpi_sql_bind_null(q, at);
    }
}

static int64_t time_of(struct json_object *event) {
    int64_t ns = 0;
    return aicpi_time_parse(text_of(event, "time"), &ns) ? ns : aicpa_wall_ns();
}

#define INSERT                                                                                     \
    "INSERT INTO admin_event (id, created_at, node, type, step, rule, action, call_id, user_id,"   \
    " team_id, org_id, key_id, model, http_status, risk_score, cost, input_tokens, output_tokens," \
    " duration_us, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"   \
    " ON CONFLICT (id) DO NOTHING"

static void bind_subject(aicpi_sql_stmt *q, struct json_object *event) {
    bind_text(q, 8, event, "decision");
    bind_text(q, 9, event, "user");
    bind_text(q, 10, event, "team");
    bind_text(q, 11, event, "org");
    bind_text(q, 12, event, "key");
    bind_text(q, 13, event, "model");
}

static aicp_status insert(batch *b, int64_t sequence, struct json_object *event, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(b->db, INSERT, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    char id[2 * AICPA_NODE_MAX + 32];
    const aicpa_gate_sight *g = &b->sight;
    int id_len = snprintf(
        id,
        sizeof id,
        "%.*s/%.*s/%" PRId64,
        (int)g->node.len,
        g->node.data,
        (int)g->boot.len,
        g->boot.data,
        sequence);
    size_t len = 0;
    const char *details = json_object_to_json_string_length(
        event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    aicpi_sql_bind_text(q, 1, id, (size_t)id_len);
    aicpi_sql_bind_i64(q, 2, time_of(event));
    aicpi_sql_bind_text(q, 3, g->node.data, g->node.len);
    bind_text(q, 4, event, "event");
    bind_text(q, 5, event, "step");
    bind_text(q, 6, event, "rule");
    bind_text(q, 7, event, text_of(event, "verdict").len ? "verdict" : "action");
    bind_subject(q, event);
    bind_int(q, 14, event, "http_status", 1);
    bind_decimal(q, 15, event, "risk");
    bind_decimal(q, 16, event, "cost");
    bind_int(q, 17, event, "input_tokens", 1);
    bind_int(q, 18, event, "output_tokens", 1);
    bind_int(q, 19, event, "gate_ns", 1000);
    aicpi_sql_bind_text(q, 20, details, len);
    status = aicpi_sql_run(q, err);
    b->accepted += status == AICP_OK && aicpi_sql_changes(b->db) > 0;
    return status;
}

/* ---- the batch ---- */

/* Sequence of event `i`; -1 when it has none. */
static int64_t sequence_of(const batch *b, size_t i) {
    struct json_object *v = NULL;
    struct json_object *event = json_object_array_get_idx(b->events, i);
    return json_object_object_get_ex(event, "sequence", &v) && json_object_is_type(v, json_type_int)
               ? json_object_get_int64(v)
               : -1;
}

#define REMEMBER                                                                                   \
    "UPDATE admin_gate SET next_event = CASE WHEN next_event < ? THEN ? ELSE next_event END,"      \
    " dropped = CASE WHEN dropped < ? THEN ? ELSE dropped END WHERE node = ? AND boot = ?"

static aicp_status remember(batch *b, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpa_gate_seen(b->db, &b->sight, err);
    status = status ? status : aicpi_sql_prepare(b->db, REMEMBER, &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, b->next);
        aicpi_sql_bind_i64(q, 2, b->next);
        aicpi_sql_bind_i64(q, 3, b->dropped);
        aicpi_sql_bind_i64(q, 4, b->dropped);
        aicpi_sql_bind_text(q, 5, b->sight.node.data, b->sight.node.len);
        aicpi_sql_bind_text(q, 6, b->sight.boot.data, b->sight.boot.len);
        status = aicpi_sql_run(q, err);
    }
    return status;
}

static aicp_status store(aicpi_sql *db, void *user, aicp_error *err) {
    batch *b = user;
    aicp_status status = AICP_OK;
    (void)db;
    b->accepted = 0;
    b->next = 0;
    for (size_t i = 0; i < json_object_array_length(b->events) && status == AICP_OK; i++) {
        int64_t sequence = sequence_of(b, i);
        status = insert(b, sequence, json_object_array_get_idx(b->events, i), err);
        b->next = sequence + 1 > b->next ? sequence + 1 : b->next;
    }
    return status || b->own ? status : remember(b, err);
}

static bool name_ok(aicpi_slice text) {
    return text.len > 0 && text.len <= AICPA_NODE_MAX && !memchr(text.data, 0, text.len);
}

static bool read_events(aicps_call *call, batch *b) {
    json_object_object_get_ex(call->body, "events", &b->events);
    if (!json_object_is_type(b->events, json_type_array) ||
        json_object_array_length(b->events) > EVENTS_MAX) {
        aicps_field_error(call, "events", "an array of at most %d events", EVENTS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(b->events); i++) {
        struct json_object *event = json_object_array_get_idx(b->events, i);
        int64_t sequence = sequence_of(b, i);
        if (!json_object_is_type(event, json_type_object) || sequence < 0 ||
            sequence == INT64_MAX || text_of(event, "event").len == 0) {
            aicps_field_error(call, "events", "event %zu needs \"event\" and \"sequence\"", i);
            return false;
        }
    }
    return true;
}

static bool read_batch(aicps_call *call, batch *b) {
    struct json_object *v = NULL;
    *b = (batch){.db = call->db};
    b->sight.address = call->req->client_ip;
    b->sight.node = text_of(call->body, "node");
    b->sight.boot = text_of(call->body, "boot");
    if (!name_ok(b->sight.node)) {
        aicps_field_error(call, "node", "1 to %d bytes of text", AICPA_NODE_MAX);
    }
    if (!name_ok(b->sight.boot)) {
        aicps_field_error(call, "boot", "1 to %d bytes of text", AICPA_NODE_MAX);
    }
    if (json_object_object_get_ex(call->body, "dropped", &v)) {
        b->dropped = json_object_get_int64(v);
    }
    return read_events(call, b) && !aicps_has_field_errors(call);
}

static void post_events(aicps_call *call) {
    batch b;
    aicp_error err = {0};
    if (!read_batch(call, &b)) {
        aicps_send_field_errors(call);
        return;
    }
    aicp_status status = aicpi_sql_transact(call->db, 0, store, &b, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    int64_t count = (int64_t)json_object_array_length(b.events);
    int64_t accepted = (int64_t)b.accepted;
    struct json_object *answer = json_object_new_object();
    json_object_object_add(answer, "accepted", json_object_new_int64(accepted));
    json_object_object_add(answer, "duplicates", json_object_new_int64(count - accepted));
    json_object_object_add(answer, "next", json_object_new_int64(b.next));
    aicps_send_json(call, 200, answer);
}

/* ---- of this process' own gate ---- */

static void read_line(batch *b, const char *data, size_t len) {
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *event = tokener ? json_tokener_parse_ex(tokener, data, (int)len) : NULL;
    json_tokener_free(tokener);
    if (event) {
        json_object_array_add(b->events, event);
        b->sight.node = text_of(event, "node");
        b->sight.boot = text_of(event, "boot");
    }
}

aicp_status aicpa_events_store(aicpi_sql *db, const char *data, size_t len, aicp_error *err) {
    batch b = {.db = db, .own = true, .events = json_object_new_array()};
    for (const char *end = data + len, *stop = NULL; data < end; data = stop + 1) {
        stop = memchr(data, '\n', (size_t)(end - data));
        stop = stop ? stop : end;
        if (stop > data) {
            read_line(&b, data, (size_t)(stop - data));
        }
    }
    aicp_status status = json_object_array_length(b.events) > 0
                             ? aicpi_sql_transact(db, 0, store, &b, err)
                             : AICP_OK;
    json_object_put(b.events);
    return status;
}

/* ---- for people ---- */

#define TOLD(field, kind, more)                                                                    \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | (more) }

static const aicps_field event_fields[] = {
    TOLD("node", AICPS_TEXT, AICPS_FILTER),
    TOLD("type", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("step", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("rule", AICPS_TEXT, AICPS_FILTER),
    TOLD("action", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("call_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("user_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("team_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("org_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("key_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("model", AICPS_TEXT, AICPS_FILTER | AICPS_FACET),
    TOLD("http_status", AICPS_INT, AICPS_FILTER),
    TOLD("risk_score", AICPS_DECIMAL, AICPS_FILTER),
    TOLD("cost", AICPS_MONEY, AICPS_FILTER),
    TOLD("input_tokens", AICPS_INT, 0),
    TOLD("output_tokens", AICPS_INT, 0),
    TOLD("duration_us", AICPS_INT, AICPS_FILTER),
    TOLD("created_at", AICPS_TIME, AICPS_FILTER | AICPS_SORT),
    TOLD("details", AICPS_OBJECT, AICPS_CSV_OFF),
};

static const aicps_resource events = {
    .path = "/api/v1/gate-events",
    .type = "gate_event",
    .title = "Gate event",
    .table = "admin_event",
    .name_field = "type",
    .sort = "-created_at",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = event_fields,
    .field_count = sizeof event_fields / sizeof *event_fields,
    .doc = "What gates decided, found and settled; duration_us is the time spent in the gate.",
};

static const aicps_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/gate/events",
     .handler = post_events,
     .flags = AICPS_SERVICE,
     .summary = "Take a batch of events of a gate",
     .request_schema = "{\"type\":\"object\",\"required\":[\"node\",\"boot\",\"events\"]}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"accepted\",\"duplicates\",\"next\"]}",
     .body_max = 4 << 20},
};

aicp_status aicpa_events_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &events, err);
    return status ? status : aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
