/* Idempotency-Key: a POST with a key has one effect however often it is sent, for 24 hours. The key
 * is taken in the transaction of the change (so it is taken exactly when the change is made); of
 * two at once the second waits for the first one's row, then finds its answer. */
#include "services/common/api/api_internal.h"

#define KEY_MAX 255
#define LIFE_NS (24 * 3600 * AICPI_SECOND_NS)
/* A change in another system that has not ended by then will not: its process died. */
#define PENDING_NS (300 * AICPI_SECOND_NS)
enum { STATUS_PENDING = 0, STATUS_DONE = 200 };

bool aicps_idempotency_read(aicps_call *call, aicps_idempotency *out) {
    *out = (aicps_idempotency){0};
    aicpi_slice key = aicps_http_header(call->req, "idempotency-key");
    if (!key.data || strcmp(call->route->method, "POST") != 0) {
        return true;
    }
    bool ok = key.len > 0 && key.len <= KEY_MAX;
    for (size_t i = 0; i < key.len && ok; i++) {
        ok = key.data[i] > 0x20 && key.data[i] < 0x7f;
    }
    if (!ok) {
        aicps_send_error(
            call,
            422,
            "invalid",
            "Idempotency-Key must be 1 to %d printable ASCII characters without spaces",
            KEY_MAX);
        return false;
    }
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &call->api->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_append(&b, call->req->path.data, call->req->path.len);
    aicpi_strbuf_putc(&b, '\n');
    aicpi_strbuf_append(&b, call->req->body.data, call->req->body.len);
    if (!b.failed) {
        aicpi_sha256_hex(b.data, b.len, out->hash);
        out->key = key;
        out->caller = aicpi_slice_cstr(call->who ? call->who->id : "");
    } else {
        aicps_send_status(call, AICP_ERR_NOMEM, NULL);
    }
    ok = !b.failed;
    aicpi_strbuf_deinit(&b);
    return ok;
}

static aicp_status
take(aicps_call *call, const aicps_idempotency *i, bool *taken, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        call->db,
        "INSERT INTO api_idempotency (caller, key, request_hash, at, status)"
        " VALUES (?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, i->caller.data, i->caller.len);
        aicpi_sql_bind_text(q, 2, i->key.data, i->key.len);
        aicpi_sql_bind_text(q, 3, i->hash, sizeof i->hash - 1);
        aicpi_sql_bind_i64(q, 4, aicpi_wall_ns(&call->api->clock));
        s = aicpi_sql_run(q, err);
        *taken = aicpi_sql_changes(call->db) == 1;
    }
    return s;
}

static aicp_status drop(aicps_call *call, const aicps_idempotency *i, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        call->db, "DELETE FROM api_idempotency WHERE caller = ? AND key = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, i->caller.data, i->caller.len);
        aicpi_sql_bind_text(q, 2, i->key.data, i->key.len);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

static char *copy_column(aicps_call *call, aicpi_sql_stmt *q, int32_t column) {
    aicpi_slice t = aicpi_sql_text(q, column);
    return aicpi_sql_is_null(q, column) ? NULL : aicpi_arena_strndup(call->arena, t.data, t.len);
}

typedef struct former {
    bool found;
    bool same;
    int64_t age;
    int64_t status;
    const char *etag;
    const char *body;
} former;

static aicp_status
find(aicps_call *call, const aicps_idempotency *i, former *out, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    *out = (former){0};
    aicp_status s = aicpi_sql_prepare(
        call->db,
        "SELECT request_hash, at, status, etag, body FROM api_idempotency"
        " WHERE caller = ? AND key = ?",
        &q,
        err);
    if (s != AICP_OK) {
        return s;
    }
    aicpi_sql_bind_text(q, 1, i->caller.data, i->caller.len);
    aicpi_sql_bind_text(q, 2, i->key.data, i->key.len);
    s = aicpi_sql_step(q, &out->found, err);
    if (s == AICP_OK && out->found) {
        out->same = aicpi_slice_is(aicpi_sql_text(q, 0), i->hash);
        out->age = aicpi_wall_ns(&call->api->clock) - aicpi_sql_i64(q, 1);
        out->status = aicpi_sql_i64(q, 2);
        out->etag = copy_column(call, q, 3);
        out->body = copy_column(call, q, 4);
        aicpi_sql_reset(q);
    }
    return s;
}

/* What was answered then. */
static aicp_status
replay(aicps_call *call, const former *f, aicps_idempotency *i, aicp_error *err) {
    if (!f->same) {
        aicps_send_error(
            call,
            422,
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request");
    } else if (f->status == STATUS_PENDING) {
        (void)aicps_http_add_header(call->res, "Retry-After", "1");
        aicps_send_error(
            call, 409, "idempotency_in_progress", "The request with this key is not done yet");
    } else {
        aicpi_slice body = aicpi_slice_cstr(f->body);
        i->replayed = true;
        i->etag = f->etag;
        if (body.data) {
            return aicps_json_parse(
                call->arena, body.data, body.len, AICPS_BODY_DEPTH + 4, &i->answer, err);
        }
    }
    return AICP_OK;
}

aicp_status aicps_idempotency_take(aicps_call *call, aicps_idempotency *i, aicp_error *err) {
    former f;
    bool taken = false;
    json_object_put(i->answer);
    i->answer = NULL;
    i->replayed = false;
    if (!i->key.data) {
        return AICP_OK;
    }
    aicp_status s = take(call, i, &taken, err);
    if (s != AICP_OK || taken) {
        return s;
    }
    s = find(call, i, &f, err);
    if (s == AICP_OK && !f.found) {
        return aicpi_fail(err, AICP_ERR_STORE_BUSY, "the key was given up meanwhile");
    }
    bool old = f.age > LIFE_NS || (f.status == STATUS_PENDING && f.age > PENDING_NS);
    if (s == AICP_OK && old) {
        s = drop(call, i, err);
        s = s == AICP_OK ? take(call, i, &taken, err) : s;
        return s == AICP_OK && !taken
                   ? aicpi_fail(err, AICP_ERR_STORE_BUSY, "the key was taken meanwhile")
                   : s;
    }
    return s == AICP_OK ? replay(call, &f, i, err) : s;
}

aicp_status aicps_idempotency_finish(
    aicps_call *call,
    const aicps_idempotency *i,
    struct json_object *answer,
    const char *etag,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    if (!i->key.data || i->replayed) {
        return AICP_OK;
    }
    aicp_status s = aicpi_sql_prepare(
        call->db,
        "UPDATE api_idempotency SET status = ?, etag = ?, body = ? WHERE caller = ? AND key = ?",
        &q,
        err);
    if (s != AICP_OK) {
        return s;
    }
    size_t len = 0;
    const char *text =
        answer ? json_object_to_json_string_length(
                     answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len)
               : NULL;
    aicpi_sql_bind_i64(q, 1, STATUS_DONE);
    if (etag) {
        aicpi_sql_bind_text(q, 2, etag, strlen(etag));
    }
    if (text) {
        aicpi_sql_bind_text(q, 3, text, len);
    }
    aicpi_sql_bind_text(q, 4, i->caller.data, i->caller.len);
    aicpi_sql_bind_text(q, 5, i->key.data, i->key.len);
    return aicpi_sql_run_later(q, err);
}

void aicps_idempotency_give_up(aicps_call *call, const aicps_idempotency *i) {
    if (i->key.data && !i->replayed) {
        (void)drop(call, i, NULL); /* else it expires */
    }
}

aicp_status aicps_idempotency_expire(aicpi_sql *db, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    int64_t now = 0;
    aicp_status s = aicpi_sql_now(db, &now, err);
    s = s == AICP_OK ? aicpi_sql_prepare(db, "DELETE FROM api_idempotency WHERE at < ?", &q, err)
                     : s;
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, now - LIFE_NS);
        s = aicpi_sql_run(q, err);
    }
    return s;
}
