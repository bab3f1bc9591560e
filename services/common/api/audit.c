/* Audit entries, written in the transaction of what they tell; intents for changes elsewhere; the
 * revision of the rules. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

static void bind_cstr(aicpi_sql_stmt *q, int32_t at, const char *text) {
    if (text) {
        aicpi_sql_bind_text(q, at, text, strlen(text));
    } else {
        aicpi_sql_bind_null(q, at);
    }
}

/* ---- what changed ---- */

static bool is_noise(const char *key) {
    return strcmp(key, "updated_at") == 0 || strcmp(key, "version") == 0;
}

static bool differs(struct json_object *a, struct json_object *b) {
    if (!a || !b) {
        return a != b;
    }
    const char *x = json_object_to_json_string_ext(a, JSON_C_TO_STRING_PLAIN);
    const char *y = json_object_to_json_string_ext(b, JSON_C_TO_STRING_PLAIN);
    return !x || !y || strcmp(x, y) != 0;
}

static struct json_object *
side(struct json_object *own, struct json_object *other, const char *id) {
    struct json_object *out = json_object_new_object();
    aicps_set(out, "id", aicps_json_text(id));
    json_object_object_foreach(own, key, value) {
        if (!other || (!is_noise(key) && differs(value, aicps_member(other, key)))) {
            aicps_set(out, key, json_object_get(value));
        }
    }
    return out;
}

struct json_object *
aicps_audit_changes(struct json_object *before, struct json_object *after, const char *id) {
    struct json_object *out = json_object_new_object();
    aicps_set(out, "before", before ? side(before, after, id) : NULL);
    aicps_set(out, "after", after ? side(after, before, id) : NULL);
    return out;
}

/* ---- entries ---- */

static struct json_object *metadata_of(const aicps_call *call) {
    struct json_object *m = json_object_new_object();
    const aicps_http_request *req = call->req;
    if (req) {
        aicpi_slice agent = aicps_http_header(req, "user-agent");
        size_t bad = agent.len < 512 ? agent.len : 512;
        if (bad > 0) {
            (void)aicpi_utf8_valid(agent.data, bad, &bad);
        }
        aicps_set(m, "method", aicps_json_slice(req->method));
        aicps_set(m, "path", aicps_json_slice(req->path));
        aicps_set(m, "user_agent", aicps_json_slice(aicpi_slice_of(agent.data, bad)));
        aicps_set(m, "request_id", aicps_json_text(req->id));
    }
    return m;
}

static aicp_status insert_entry(
    aicps_call *call,
    const aicps_audit_entry *e,
    const char *changes,
    const char *metadata,
    int64_t *id,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        call->db,
        "INSERT INTO audit_log (at, actor_id, actor_email, actor_ip, org_id, action,"
        " resource_type, resource_id, resource_name, changes, request_metadata, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        &q,
        err);
    if (s != AICP_OK) {
        return s;
    }
    const aicps_identity *who = call->who;
    aicpi_sql_bind_i64(q, 1, aicpi_wall_ns(&call->api->clock));
    bind_cstr(q, 2, who ? who->id : call->req ? "anonymous" : "system");
    bind_cstr(q, 3, who ? who->email : NULL);
    bind_cstr(q, 4, call->req ? call->req->client_ip : NULL);
    bind_cstr(q, 5, e->org);
    bind_cstr(q, 6, e->action);
    bind_cstr(q, 7, e->resource_type);
    bind_cstr(q, 8, e->resource_id);
    bind_cstr(q, 9, e->resource_name);
    bind_cstr(q, 10, changes);
    bind_cstr(q, 11, metadata);
    bind_cstr(q, 12, e->outcome ? e->outcome : "success");
    s = aicpi_sql_step(q, &row, err);
    if (s == AICP_OK) {
        *id = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    return s;
}

/* What the sealer has to chain. */
static aicp_status queue_entry(aicpi_sql *db, int64_t id, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s =
        aicpi_sql_prepare(db, "INSERT INTO audit_unsealed (entry_id) VALUES (?)", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, id);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

aicp_status aicps_audit_write_change(
    aicps_call *call,
    const aicps_audit_entry *entry,
    struct json_object *secrets,
    aicp_error *err) {
    struct json_object *changes =
        aicps_audit_changes(entry->before, entry->after, entry->resource_id);
    struct json_object *after = aicps_member(changes, "after");
    if (secrets && after) {
        json_object_object_foreach(secrets, key, mask) {
            aicps_set(after, key, json_object_get(mask));
        }
    }
    struct json_object *metadata = metadata_of(call);
    const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
    const char *c = json_object_to_json_string_ext(changes, flags);
    const char *m = json_object_to_json_string_ext(metadata, flags);
    int64_t id = 0;
    aicp_status s = c && m ? insert_entry(call, entry, c, m, &id, err) : aicpi_nomem(err);
    json_object_put(changes);
    json_object_put(metadata);
    return s == AICP_OK ? queue_entry(call->db, id, err) : s;
}

aicp_status aicps_audit_write(aicps_call *call, const aicps_audit_entry *entry, aicp_error *err) {
    return aicps_audit_write_change(call, entry, NULL, err);
}

/* ---- rules ---- */

aicp_status aicps_rules_revision(aicpi_sql *db, int64_t *revision, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s =
        aicpi_sql_prepare(db, "SELECT revision FROM rules_revision WHERE id = 1", &q, err);
    s = s == AICP_OK ? aicpi_sql_step(q, &row, err) : s;
    if (s == AICP_OK) {
        *revision = row ? aicpi_sql_i64(q, 0) : 0;
        aicpi_sql_reset(q);
    }
    return s;
}

aicp_status aicps_rules_touch(aicpi_sql *db, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "UPDATE rules_revision SET revision = revision + 1 WHERE id = 1", &q, err);
    return s == AICP_OK ? aicpi_sql_run(q, err) : s;
}
