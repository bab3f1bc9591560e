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

/* An entry as it is stored. All text; NULL is null. */
typedef struct entry_row {
    int64_t at;
    const char *actor_id;
    const char *actor_email;
    const char *actor_ip;
    const char *org;
    const char *action;
    const char *resource_type;
    const char *resource_id;
    const char *resource_name;
    const char *changes;
    const char *metadata;
    const char *outcome;
} entry_row;

static aicp_status queue_entry(aicpi_sql *db, int64_t id, aicp_error *err);

#define INSERT_ENTRY                                                                               \
    "INSERT INTO audit_log (at, actor_id, actor_email, actor_ip, org_id, action,"                  \
    " resource_type, resource_id, resource_name, changes, request_metadata, outcome)"              \
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"

static aicp_status insert_entry(aicpi_sql *db, const entry_row *e, aicp_error *err) {
    /* Where a statement is a journey to a server, both tables are written by one. */
    bool at_once = aicpi_sql_engine(db) == AICPI_SQL_POSTGRES;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        db,
        at_once ? "WITH e AS (" INSERT_ENTRY ") INSERT INTO audit_unsealed (entry_id)"
                  " SELECT id FROM e"
                : INSERT_ENTRY,
        &q,
        err);
    if (s != AICP_OK) {
        return s;
    }
    aicpi_sql_bind_i64(q, 1, e->at);
    bind_cstr(q, 2, e->actor_id);
    bind_cstr(q, 3, e->actor_email);
    bind_cstr(q, 4, e->actor_ip);
    bind_cstr(q, 5, e->org);
    bind_cstr(q, 6, e->action);
    bind_cstr(q, 7, e->resource_type);
    bind_cstr(q, 8, e->resource_id);
    bind_cstr(q, 9, e->resource_name);
    bind_cstr(q, 10, e->changes);
    bind_cstr(q, 11, e->metadata);
    bind_cstr(q, 12, e->outcome);
    if (at_once) {
        return aicpi_sql_run_later(q, err);
    }
    s = aicpi_sql_step(q, &row, err);
    if (s == AICP_OK) {
        int64_t id = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
        s = queue_entry(db, id, err);
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

static const char *plain(struct json_object *value) {
    return json_object_to_json_string_ext(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* The entry with its actor and place; `changes` and `metadata` hold the texts. */
static entry_row row_of(
    aicps_call *call,
    const aicps_audit_entry *e,
    struct json_object *changes,
    struct json_object *metadata) {
    const aicps_identity *who = call->who;
    return (entry_row){
        .at = aicps_now(call->api),
        .actor_id = who         ? who->id
                    : call->req ? "anonymous"
                                : "system",
        .actor_email = who ? who->email : NULL,
        .actor_ip = call->req ? call->req->client_ip : NULL,
        .org = e->org,
        .action = e->action,
        .resource_type = e->resource_type,
        .resource_id = e->resource_id,
        .resource_name = e->resource_name,
        .changes = plain(changes),
        .metadata = plain(metadata),
        .outcome = e->outcome ? e->outcome : "success",
    };
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
    entry_row row = row_of(call, entry, changes, metadata);
    aicp_status s =
        row.changes && row.metadata ? insert_entry(call->db, &row, err) : aicpi_nomem(err);
    json_object_put(changes);
    json_object_put(metadata);
    return s;
}

aicp_status aicps_audit_write(aicps_call *call, const aicps_audit_entry *entry, aicp_error *err) {
    return aicps_audit_write_change(call, entry, NULL, err);
}

/* ---- intents ---- */

static struct json_object *intent_json(const entry_row *e) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "actor_id", aicps_json_text(e->actor_id));
    aicps_set(o, "actor_email", aicps_json_text(e->actor_email));
    aicps_set(o, "actor_ip", aicps_json_text(e->actor_ip));
    aicps_set(o, "org", aicps_json_text(e->org));
    aicps_set(o, "action", aicps_json_text(e->action));
    aicps_set(o, "resource_type", aicps_json_text(e->resource_type));
    aicps_set(o, "resource_id", aicps_json_text(e->resource_id));
    aicps_set(o, "resource_name", aicps_json_text(e->resource_name));
    aicps_set(o, "changes", aicps_json_text(e->changes));
    aicps_set(o, "metadata", aicps_json_text(e->metadata));
    return o;
}

static const char *member_text(struct json_object *o, const char *name) {
    struct json_object *v = aicps_member(o, name);
    return v ? json_object_get_string(v) : NULL;
}

aicp_status aicps_audit_intend(
    aicps_call *call, const aicps_audit_entry *entry, int64_t *intent, aicp_error *err) {
    struct json_object *changes =
        aicps_audit_changes(entry->before, entry->after, entry->resource_id);
    struct json_object *metadata = metadata_of(call);
    entry_row row = row_of(call, entry, changes, metadata);
    struct json_object *o = intent_json(&row);
    const char *text = plain(o);
    aicpi_sql_stmt *q = NULL;
    uint64_t id = 0;
    aicpi_random(&id, sizeof id);
    *intent = (int64_t)(id >> 1);
    aicp_status s =
        text ? aicpi_sql_prepare(
                   call->db, "INSERT INTO audit_intents (id, at, entry) VALUES (?, ?, ?)", &q, err)
             : aicpi_nomem(err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, *intent);
        aicpi_sql_bind_i64(q, 2, row.at);
        bind_cstr(q, 3, text);
        s = aicpi_sql_run(q, err);
    }
    json_object_put(o);
    json_object_put(changes);
    json_object_put(metadata);
    return s;
}

static aicp_status drop_intent(aicpi_sql *db, int64_t intent, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(db, "DELETE FROM audit_intents WHERE id = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, intent);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

typedef struct conclusion {
    aicps_call *call;
    const aicps_audit_entry *entry;
    int64_t intent;
} conclusion;

static aicp_status conclude(aicpi_sql *db, void *user, aicp_error *err) {
    const conclusion *c = user;
    aicp_status s = drop_intent(db, c->intent, err);
    return s == AICP_OK ? aicps_audit_write(c->call, c->entry, err) : s;
}

aicp_status aicps_audit_conclude(
    aicps_call *call, int64_t intent, const aicps_audit_entry *entry, aicp_error *err) {
    conclusion c = {call, entry, intent};
    return aicpi_sql_transact(call->db, 0, conclude, &c, err);
}

typedef struct recovery {
    int64_t older_than_ns;
    bool found;
} recovery;

/* The oldest intent left behind. */
static aicp_status recover_one(aicpi_sql *db, void *user, aicp_error *err) {
    recovery *r = user;
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "SELECT id, at, entry FROM audit_intents WHERE at < ? ORDER BY at LIMIT 1", &q, err);
    r->found = false;
    if (s != AICP_OK) {
        return s;
    }
    aicpi_sql_bind_i64(q, 1, r->older_than_ns);
    s = aicpi_sql_step(q, &r->found, err);
    if (s != AICP_OK || !r->found) {
        return s;
    }
    int64_t id = aicpi_sql_i64(q, 0);
    entry_row row = {.at = aicpi_sql_i64(q, 1), .outcome = "unknown"};
    aicpi_slice text = aicpi_sql_text(q, 2);
    aicpi_arena arena;
    struct json_object *o = NULL;
    aicpi_arena_init(&arena, NULL, 0, 0);
    s = aicps_json_parse(&arena, text.data, text.len, 0, &o, err);
    aicpi_sql_reset(q);
    s = s == AICP_OK ? drop_intent(db, id, err) : s;
    if (s == AICP_OK && aicpi_sql_changes(db) == 1) { /* else another replica did it */
        row.actor_id = member_text(o, "actor_id");
        row.actor_email = member_text(o, "actor_email");
        row.actor_ip = member_text(o, "actor_ip");
        row.org = member_text(o, "org");
        row.action = member_text(o, "action");
        row.resource_type = member_text(o, "resource_type");
        row.resource_id = member_text(o, "resource_id");
        row.resource_name = member_text(o, "resource_name");
        row.changes = member_text(o, "changes");
        row.metadata = member_text(o, "metadata");
        s = insert_entry(db, &row, err);
    }
    json_object_put(o);
    aicpi_arena_deinit(&arena);
    return s;
}

aicp_status aicps_audit_recover(aicpi_sql *db, int64_t older_than_ns, aicp_error *err) {
    recovery r = {older_than_ns, true};
    aicp_status s = AICP_OK;
    while (s == AICP_OK && r.found) {
        s = aicpi_sql_transact(db, 0, recover_one, &r, err);
    }
    return s;
}

/* ---- the log as a resource ---- */

static const char *const OUTCOMES[] = {"success", "failure", "unknown", NULL};
#define LOGGED (AICPS_READ_ONLY | AICPS_REQUIRED)
static const aicps_field FIELDS[] = {
    {.name = "id", .type = AICPS_INT, .flags = LOGGED},
    {.name = "timestamp",
     .column = "at",
     .type = AICPS_TIME,
     .flags = LOGGED | AICPS_FILTER | AICPS_SORT},
    {.name = "actor_id", .type = AICPS_TEXT, .flags = LOGGED | AICPS_FILTER | AICPS_FACET},
    {.name = "actor_email", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "actor_ip", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "org_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_FILTER},
    {.name = "action", .type = AICPS_TEXT, .flags = LOGGED | AICPS_FILTER | AICPS_FACET},
    {.name = "resource_type", .type = AICPS_TEXT, .flags = LOGGED | AICPS_FILTER | AICPS_FACET},
    {.name = "resource_id", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_FILTER},
    {.name = "resource_name", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY},
    {.name = "changes",
     .type = AICPS_OBJECT,
     .flags = LOGGED,
     .doc = "before and after: only what differs"},
    {.name = "outcome",
     .type = AICPS_ENUM,
     .flags = LOGGED | AICPS_FILTER | AICPS_FACET,
     .values = OUTCOMES},
    {.name = "request_metadata", .type = AICPS_OBJECT, .flags = LOGGED | AICPS_CSV_OFF},
    {.name = "created_at",
     .column = "at",
     .type = AICPS_TIME,
     .flags = LOGGED | AICPS_FILTER | AICPS_CSV_OFF},
};

const aicps_resource aicps_audit_resource = {
    .path = "/api/v1/audit-logs",
    .type = "audit_log",
    .title = "Audit entry",
    .table = "audit_log",
    .org = "org_id",
    .sort = "-timestamp",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION | AICPS_INT_ID,
    .fields = FIELDS,
    .field_count = sizeof FIELDS / sizeof *FIELDS,
    .doc = "What was changed, by whom; entries are only ever added",
};

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
    return s == AICP_OK ? aicpi_sql_run_later(q, err) : s;
}
