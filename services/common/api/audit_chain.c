/* The chain over audit entries: hash = SHA-256(hash before it, entry). Entries are chained in the
 * order in which the sealer meets them, so that changes need not wait for each other. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

#define BATCH 500
#define ENTRY_MAX ((size_t)1 << 22)
#define HASH_LEN (2 * AICPI_SHA256_SIZE)
#define COLUMNS                                                                                    \
    "l.id, l.at, l.actor_id, l.actor_email, l.actor_ip, l.org_id, l.action, l.resource_type,"      \
    " l.resource_id, l.resource_name, l.changes, l.request_metadata, l.outcome"
#define COLUMN_COUNT 13

/* Each column as "length:bytes,", null as "~,": two different entries never give the same bytes. */
static bool hash_entry(
    aicpi_sql_stmt *q, int32_t from, const char *before, aicpi_strbuf *b, char out[HASH_LEN + 1]) {
    aicpi_strbuf_clear(b);
    aicpi_strbuf_append(b, before, HASH_LEN);
    for (int32_t i = from; i < from + COLUMN_COUNT; i++) {
        if (aicpi_sql_is_null(q, i)) {
            aicpi_strbuf_puts(b, "~,");
            continue;
        }
        aicpi_slice t = aicpi_sql_text(q, i);
        aicpi_strbuf_printf(b, "%zu:", t.len);
        aicpi_strbuf_append(b, t.data, t.len);
        aicpi_strbuf_putc(b, ',');
    }
    if (b->failed) {
        return false;
    }
    aicpi_sha256_hex(b->data, b->len, out);
    return true;
}

/* ---- sealing ---- */

typedef struct sealing {
    uint64_t sealed;
    int64_t position;
    char hash[HASH_LEN + 1];
    int64_t ids[BATCH];
    char hashes[BATCH][HASH_LEN + 1];
    size_t count;
    aicpi_strbuf bytes;
} sealing;

static aicp_status read_head(aicpi_sql *db, bool lock, sealing *s, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status status = aicpi_sql_prepare(
        db,
        lock && aicpi_sql_engine(db) == AICPI_SQL_POSTGRES
            ? "SELECT position, hash FROM audit_chain_head WHERE id = 1 FOR UPDATE"
            : "SELECT position, hash FROM audit_chain_head WHERE id = 1",
        &q,
        err);
    status = status == AICP_OK ? aicpi_sql_step(q, &row, err) : status;
    if (status != AICP_OK) {
        return status;
    }
    aicpi_slice hash = aicpi_sql_text(q, 1);
    if (!row || hash.len != HASH_LEN) {
        aicpi_sql_reset(q);
        return aicpi_fail(err, AICP_ERR_CORRUPT, "the audit chain has no head");
    }
    s->position = aicpi_sql_i64(q, 0);
    memcpy(s->hash, hash.data, HASH_LEN);
    s->hash[HASH_LEN] = '\0';
    aicpi_sql_reset(q);
    return AICP_OK;
}

static aicp_status hash_batch(aicpi_sql *db, sealing *s, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = true;
    aicp_status status = aicpi_sql_prepare(
        db,
        "SELECT " COLUMNS " FROM audit_unsealed u JOIN audit_log l ON l.id = u.entry_id"
        " ORDER BY u.entry_id LIMIT 500",
        &q,
        err);
    const char *before = s->hash;
    while (status == AICP_OK && row) {
        status = aicpi_sql_step(q, &row, err);
        if (status == AICP_OK && row && s->count < BATCH) {
            s->ids[s->count] = aicpi_sql_i64(q, 0);
            if (!hash_entry(q, 0, before, &s->bytes, s->hashes[s->count])) {
                status = aicpi_nomem(err);
                break;
            }
            before = s->hashes[s->count++];
        }
    }
    if (q) {
        aicpi_sql_reset(q);
    }
    return status;
}

/* Entries that one statement chains: a busy sealer should not cost more than the changes. */
#define GROUP 10
#define NINE(text) text text text text text text text text text

static aicp_status chain_rows(
    aicpi_sql *db, const sealing *s, size_t from, size_t count, const char *sql, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(db, sql, &q, err);
    if (status != AICP_OK) {
        return status;
    }
    int32_t at = 1;
    for (size_t i = from; i < from + count; i++) {
        aicpi_sql_bind_i64(q, at++, s->position + 1 + (int64_t)i);
        aicpi_sql_bind_i64(q, at++, s->ids[i]);
        aicpi_sql_bind_text(q, at++, s->hashes[i], HASH_LEN);
    }
    return aicpi_sql_run_later(q, err);
}

static aicp_status chain_all(aicpi_sql *db, const sealing *s, aicp_error *err) {
    static const char one[] = "INSERT INTO audit_chain (position, entry_id, hash) VALUES (?, ?, ?)";
    static const char group[] = "INSERT INTO audit_chain (position, entry_id, hash) VALUES "
                                "(?, ?, ?)" NINE(", (?, ?, ?)");
    aicp_status status = AICP_OK;
    size_t i = 0;
    for (; i + GROUP <= s->count && status == AICP_OK; i += GROUP) {
        status = chain_rows(db, s, i, GROUP, group, err);
    }
    for (; i < s->count && status == AICP_OK; i++) {
        status = chain_rows(db, s, i, 1, one, err);
    }
    return status;
}

/* What was chained just now is no longer in the queue. */
static aicp_status unqueue(aicpi_sql *db, const sealing *s, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status = aicpi_sql_prepare(
        db,
        "DELETE FROM audit_unsealed WHERE entry_id IN"
        " (SELECT entry_id FROM audit_chain WHERE position > ?)",
        &q,
        err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, s->position);
        status = aicpi_sql_run_later(q, err);
    }
    return status;
}

static aicp_status seal_batch(aicpi_sql *db, void *user, aicp_error *err) {
    sealing *s = user;
    aicpi_sql_stmt *q = NULL;
    s->count = 0;
    aicp_status status = read_head(db, true, s, err); /* locked: one sealer at a time */
    if (status == AICP_OK) {
        status = hash_batch(db, s, err);
    }
    if (status == AICP_OK && s->count > 0) {
        status = chain_all(db, s, err);
        status = status ? status : unqueue(db, s, err);
    }
    if (status == AICP_OK && s->count > 0) {
        status = aicpi_sql_prepare(
            db, "UPDATE audit_chain_head SET position = ?, hash = ? WHERE id = 1", &q, err);
        if (status == AICP_OK) {
            aicpi_sql_bind_i64(q, 1, s->position + (int64_t)s->count);
            aicpi_sql_bind_text(q, 2, s->hashes[s->count - 1], HASH_LEN);
            status = aicpi_sql_run_later(q, err);
        }
    }
    return status;
}

aicp_status aicps_audit_seal(aicpi_sql *db, uint64_t *sealed, aicp_error *err) {
    *sealed = 0;
    aicp_allocator a = aicpi_allocator(NULL);
    sealing *s = aicpi_calloc(&a, 1, sizeof *s);
    if (!s) {
        return aicpi_nomem(err);
    }
    aicpi_strbuf_init(&s->bytes, NULL, ENTRY_MAX);
    aicp_status status = AICP_OK;
    do {
        status = aicpi_sql_transact(db, 0, seal_batch, s, err);
        *sealed += status == AICP_OK ? s->count : 0;
    } while (status == AICP_OK && s->count == BATCH);
    aicpi_strbuf_deinit(&s->bytes);
    aicpi_free(&a, s);
    return status;
}

/* ---- verifying ---- */

typedef struct verifying {
    int64_t position;
    int64_t last; /* entry */
    char hash[HASH_LEN + 1];
    int64_t bad;
    uint64_t checked;
    aicpi_strbuf bytes;
} verifying;

/* One row of the chain; false at the first that is wrong. */
static bool verify_row(verifying *v, aicpi_sql_stmt *q) {
    int64_t position = aicpi_sql_i64(q, 0);
    int64_t entry = aicpi_sql_i64(q, 1);
    aicpi_slice hash = aicpi_sql_text(q, 2);
    char own[HASH_LEN + 1];
    bool ok = position == v->position + 1 && !aicpi_sql_is_null(q, 3) && hash.len == HASH_LEN &&
              hash_entry(q, 3, v->hash, &v->bytes, own) && memcmp(own, hash.data, HASH_LEN) == 0;
    if (!ok) {
        v->bad = entry;
        return false;
    }
    memcpy(v->hash, own, sizeof own);
    v->position = position;
    v->last = entry;
    v->checked++;
    return true;
}

static aicp_status verify_batch(aicpi_sql *db, verifying *v, bool *more, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = true;
    *more = false;
    aicp_status status = aicpi_sql_prepare(
        db,
        "SELECT c.position, c.entry_id, c.hash, " COLUMNS
        " FROM audit_chain c LEFT JOIN audit_log l ON l.id = c.entry_id"
        " WHERE c.position > ? ORDER BY c.position LIMIT 500",
        &q,
        err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_sql_bind_i64(q, 1, v->position);
    while (status == AICP_OK && row) {
        status = aicpi_sql_step(q, &row, err);
        if (status == AICP_OK && row) {
            *more = true;
            if (!verify_row(v, q)) {
                *more = false;
                break;
            }
        }
    }
    aicpi_sql_reset(q);
    return status;
}

/* Entries that came past the queue of the sealer. */
static aicp_status find_strays(aicpi_sql *db, verifying *v, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status status = aicpi_sql_prepare(
        db,
        "SELECT l.id FROM audit_log l WHERE"
        " NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.entry_id = l.id)"
        " AND NOT EXISTS (SELECT 1 FROM audit_unsealed u WHERE u.entry_id = l.id)"
        " ORDER BY l.id LIMIT 1",
        &q,
        err);
    status = status == AICP_OK ? aicpi_sql_step(q, &row, err) : status;
    if (status == AICP_OK) {
        v->bad = row ? aicpi_sql_i64(q, 0) : 0;
        aicpi_sql_reset(q);
    }
    return status;
}

aicp_status aicps_audit_verify(aicpi_sql *db, uint64_t *checked, int64_t *bad, aicp_error *err) {
    verifying v = {0};
    aicp_allocator a = aicpi_allocator(NULL);
    sealing *head = aicpi_calloc(&a, 1, sizeof *head);
    bool more = true;
    memset(v.hash, '0', HASH_LEN);
    aicpi_strbuf_init(&v.bytes, NULL, ENTRY_MAX);
    /* The head first: what is chained meanwhile is behind it. */
    aicp_status status = head ? read_head(db, false, head, err) : aicpi_nomem(err);
    while (status == AICP_OK && more) {
        status = verify_batch(db, &v, &more, err);
    }
    if (status == AICP_OK && !v.bad && v.position < head->position) {
        v.bad = v.last + 1; /* the end of the chain was cut off */
    }
    if (status == AICP_OK && !v.bad) {
        status = find_strays(db, &v, err);
    }
    aicpi_strbuf_deinit(&v.bytes);
    aicpi_free(&a, head);
    *checked = v.checked;
    *bad = v.bad;
    return status;
}
