/* The table admin_pushed_limit, and what the policies say of their being pushed. */
#include "services/admin-api/proxy/push.h"
#include "services/admin-api/proxy/wanted.h"
#include "services/admin-api/rules/rules.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define RETRY_NS AICPI_SECOND_NS
#define RETRY_MAX 30

/* ---- reading ---- */

static struct json_object *int_or_null(aicpi_sql_stmt *row, int32_t column) {
    return aicpi_sql_is_null(row, column) ? NULL
                                          : json_object_new_int64(aicpi_sql_i64(row, column));
}

#define POLICIES                                                                                   \
    "SELECT id, version, scope, scope_value, rpm_limit, tpm_limit, max_parallel_requests,"         \
    " is_active, sync_status FROM admin_rate_limit WHERE enforcer = 'litellm' ORDER BY id"

static aicp_status on_policy(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    struct json_object *p = json_object_new_object();
    (void)err;
    aicps_set(p, "id", aicpa_column_text(row, 0));
    aicps_set(p, "version", int_or_null(row, 1));
    aicps_set(p, "scope", aicpa_column_text(row, 2));
    aicps_set(p, "scope_value", aicpa_column_text(row, 3));
    aicps_set(p, "rpm_limit", int_or_null(row, 4));
    aicps_set(p, "tpm_limit", int_or_null(row, 5));
    aicps_set(p, "max_parallel_requests", int_or_null(row, 6));
    aicps_set(p, "is_active", json_object_new_boolean(aicpi_sql_i64(row, 7) != 0));
    aicps_set(p, "sync_status", aicpa_column_text(row, 8));
    (void)aicpa_wanted_add(user, p);
    json_object_put(p);
    return AICP_OK;
}

#define ROWS                                                                                       \
    "SELECT kind, subject, pushed, pushed_at, status, message, synced_at, retry_at, attempts"      \
    " FROM admin_pushed_limit ORDER BY kind, subject"

static aicp_status on_row(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    struct json_object *pushed = aicpa_column_json(row, 2);
    struct json_object *e =
        aicpa_wanted_entry(user, aicpi_sql_text(row, 0), aicpi_sql_text(row, 1));
    if (!json_object_is_type(pushed, json_type_object)) {
        json_object_put(pushed);
        return aicpi_fail(err, AICP_ERR_STATE, "admin_pushed_limit holds a row that is no object");
    }
    aicps_set(e, "pushed", pushed);
    aicps_set(e, "token", int_or_null(row, 3));
    aicps_set(e, "status", aicpa_column_text(row, 4));
    aicps_set(e, "message", aicpa_column_text(row, 5));
    aicps_set(e, "synced_at", int_or_null(row, 6));
    aicps_set(e, "retry_at", int_or_null(row, 7));
    aicps_set(e, "attempts", int_or_null(row, 8));
    return AICP_OK;
}

/* Rows first: a policy that is saved and pushed in between then looks as if it had to be pushed
 * again, and not as if what was pushed had to be taken away. */
aicp_status aicpa_pushed_load(aicpi_sql *db, struct json_object **subjects, aicp_error *err) {
    *subjects = json_object_new_object();
    aicp_status status = aicpa_each_row(db, ROWS, on_row, *subjects, err);
    return status ? status : aicpa_each_row(db, POLICIES, on_policy, *subjects, err);
}

/* ---- writing ---- */

typedef struct writing {
    struct json_object *entry;
    const char *status;
    const char *message; /* may be NULL */
    int64_t now;
    struct json_object *pushed; /* of the row as it is written */
    bool lost;
} writing;

static void bind_json(aicpi_sql_stmt *q, int32_t at, struct json_object *value) {
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    aicpi_sql_bind_text(q, at, text, len);
}

static void bind_optional(aicpi_sql_stmt *q, int32_t at, const char *text) {
    if (text) {
        aicpi_sql_bind_text(q, at, text, strlen(text));
    } else {
        aicpi_sql_bind_null(q, at);
    }
}

static void bind_subject(aicpi_sql_stmt *q, int32_t at, struct json_object *entry) {
    aicpi_slice kind = aicps_text(entry, "kind");
    aicpi_slice subject = aicps_text(entry, "subject");
    aicpi_sql_bind_text(q, at, kind.data, kind.len);
    aicpi_sql_bind_text(q, at + 1, subject.data, subject.len);
}

/* A policy that was changed since it was read has another version: it stays as it is. */
static aicp_status mark_policies(aicpi_sql *db, const writing *w, bool synced, aicp_error *err) {
    struct json_object *policies = aicps_member(w->entry, "policies");
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < json_object_array_length(policies) && status == AICP_OK; i++) {
        struct json_object *p = json_object_array_get_idx(policies, i);
        aicpi_slice id = aicps_text(p, "id");
        aicpi_sql_stmt *q = NULL;
        status = aicpi_sql_prepare(
            db,
            "UPDATE admin_rate_limit SET sync_status = ?, sync_message = ?,"
            " synced_at = CASE WHEN ? = 1 THEN ? ELSE synced_at END WHERE id = ? AND version = ?",
            &q,
            err);
        if (status == AICP_OK) {
            bind_optional(q, 1, w->status);
            bind_optional(q, 2, w->message);
            aicpi_sql_bind_i64(q, 3, synced);
            aicpi_sql_bind_i64(q, 4, w->now);
            aicpi_sql_bind_text(q, 5, id.data, id.len);
            aicpi_sql_bind_i64(q, 6, aicps_int(p, "version"));
            status = aicpi_sql_run(q, err);
        }
    }
    return status;
}

/* After the commit: the entry tells what the row does. */
static void tell(const writing *w) {
    aicps_set(w->entry, "status", aicps_json_text(w->status));
    aicps_set(w->entry, "message", aicps_json_text(w->message));
}

/* ---- before telling ---- */

#define FIND "SELECT pushed FROM admin_pushed_limit WHERE kind = ? AND subject = ?"

static aicp_status read_pushed(aicpi_sql *db, writing *w, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    bool locks = aicpi_sql_engine(db) == AICPI_SQL_POSTGRES;
    struct json_object *old = NULL;
    aicp_status status = aicpi_sql_prepare(db, locks ? FIND " FOR UPDATE" : FIND, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    bind_subject(q, 1, w->entry);
    status = aicpi_sql_step(q, &row, err);
    if (status == AICP_OK && row) {
        old = aicpa_column_json(q, 0);
        aicpi_sql_reset(q);
    }
    json_object_put(w->pushed);
    w->pushed = aicpa_wanted_merge(old, aicps_member(w->entry, "wanted"));
    json_object_put(old);
    return status;
}

static aicp_status note(aicpi_sql *db, void *user, aicp_error *err) {
    writing *w = user;
    aicpi_sql_stmt *q = NULL;
    aicp_status status = read_pushed(db, w, err);
    status = status ? status
                    : aicpi_sql_prepare(
                          db,
                          "INSERT INTO admin_pushed_limit (kind, subject, pushed, pushed_at,"
                          " status, message, retry_at, attempts) VALUES (?, ?, ?, ?, ?, ?, 0, 0)"
                          " ON CONFLICT (kind, subject) DO UPDATE SET pushed = excluded.pushed,"
                          " pushed_at = excluded.pushed_at, status = excluded.status,"
                          " message = excluded.message",
                          &q,
                          err);
    if (status == AICP_OK) {
        bind_subject(q, 1, w->entry);
        bind_json(q, 3, w->pushed);
        aicpi_sql_bind_i64(q, 4, w->now);
        bind_optional(q, 5, w->status);
        bind_optional(q, 6, w->message);
        status = aicpi_sql_run(q, err);
    }
    return status ? status : mark_policies(db, w, false, err);
}

aicp_status aicpa_pushed_note(
    aicpi_sql *db,
    struct json_object *entry,
    const char *status,
    const char *message,
    aicp_error *err) {
    writing w = {.entry = entry, .status = status, .message = message, .now = aicpa_wall_ns()};
    aicp_status result = aicpi_sql_transact(db, 0, note, &w, err);
    if (result == AICP_OK) {
        aicps_set(entry, "pushed", json_object_get(w.pushed));
        aicps_set(entry, "token", json_object_new_int64(w.now));
        tell(&w);
    }
    json_object_put(w.pushed);
    return result;
}

/* ---- after it ---- */

static aicp_status forget(aicpi_sql *db, writing *w, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "DELETE FROM admin_pushed_limit WHERE kind = ? AND subject = ? AND pushed_at = ?",
        &q,
        err);
    if (status == AICP_OK) {
        bind_subject(q, 1, w->entry);
        aicpi_sql_bind_i64(q, 3, aicps_int(w->entry, "token"));
        status = aicpi_sql_run(q, err);
    }
    return status;
}

static aicp_status settle(aicpi_sql *db, writing *w, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "UPDATE admin_pushed_limit SET pushed = ?, status = ?, message = ?, synced_at = ?,"
        " retry_at = 0, attempts = 0 WHERE kind = ? AND subject = ? AND pushed_at = ?",
        &q,
        err);
    if (status == AICP_OK) {
        bind_json(q, 1, aicps_member(w->entry, "wanted"));
        bind_optional(q, 2, w->status);
        bind_optional(q, 3, w->message);
        aicpi_sql_bind_i64(q, 4, w->now);
        bind_subject(q, 5, w->entry);
        aicpi_sql_bind_i64(q, 7, aicps_int(w->entry, "token"));
        status = aicpi_sql_run(q, err);
    }
    return status;
}

static aicp_status confirm(aicpi_sql *db, void *user, aicp_error *err) {
    writing *w = user;
    bool empty = json_object_object_length(aicps_member(w->entry, "wanted")) == 0;
    aicp_status status = AICP_OK;
    w->lost = false;
    if (aicps_member(w->entry, "pushed")) {
        status = empty ? forget(db, w, err) : settle(db, w, err);
        w->lost = status == AICP_OK && aicpi_sql_changes(db) == 0;
    }
    return status || w->lost ? status : mark_policies(db, w, true, err);
}

aicp_status aicpa_pushed_confirm(aicpi_sql *db, struct json_object *entry, aicp_error *err) {
    struct json_object *message = json_object_get(aicps_member(entry, "message"));
    writing w = {
        .entry = entry,
        .status = "ok",
        .message = message ? json_object_get_string(message) : NULL,
        .now = aicpa_wall_ns()};
    aicp_status status = aicpi_sql_transact(db, 0, confirm, &w, err);
    if (status == AICP_OK && w.lost) {
        status = aicpa_pushed_note(db, entry, "pending", NULL, err);
    } else if (status == AICP_OK) {
        if (aicps_member(entry, "pushed")) {
            aicps_set(entry, "pushed", json_object_get(aicps_member(entry, "wanted")));
        }
        aicps_set(entry, "synced_at", json_object_new_int64(w.now));
        tell(&w);
    }
    json_object_put(message);
    return status;
}

/* 1, 2, 4 … seconds after the attempts before this one. */
static int64_t retry_after(int64_t attempts) {
    int64_t seconds = attempts < 5 ? INT64_C(1) << attempts : RETRY_MAX;
    return seconds * RETRY_NS;
}

static aicp_status fail(aicpi_sql *db, void *user, aicp_error *err) {
    writing *w = user;
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "INSERT INTO admin_pushed_limit (kind, subject, pushed, pushed_at, status, message,"
        " retry_at, attempts) VALUES (?, ?, '{}', ?, ?, ?, ?, 1) ON CONFLICT (kind, subject)"
        " DO UPDATE SET status = excluded.status, message = excluded.message,"
        " retry_at = excluded.retry_at, attempts = admin_pushed_limit.attempts + 1",
        &q,
        err);
    if (status == AICP_OK) {
        bind_subject(q, 1, w->entry);
        aicpi_sql_bind_i64(q, 3, w->now);
        bind_optional(q, 4, w->status);
        bind_optional(q, 5, w->message);
        aicpi_sql_bind_i64(q, 6, w->now + retry_after(aicps_int(w->entry, "attempts")));
        status = aicpi_sql_run(q, err);
    }
    return status ? status : mark_policies(db, w, false, err);
}

aicp_status
aicpa_pushed_failed(aicpi_sql *db, struct json_object *entry, const char *reason, aicp_error *err) {
    writing w = {.entry = entry, .status = "failed", .message = reason, .now = aicpa_wall_ns()};
    aicp_status status = aicpi_sql_transact(db, 0, fail, &w, err);
    if (status == AICP_OK) {
        tell(&w);
    }
    return status;
}
