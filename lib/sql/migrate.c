/* Forward-only migrations under a lock. */
#include "lib/sql/sql_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/strbuf.h"

#include <string.h>

#define SCRIPT_MAX ((size_t)1 << 20)
#define BLOB_WORD "AICPI_BLOB"
#define HASH_SIZE (2 * AICPI_SHA256_SIZE + 1)

typedef struct migration {
    const char *component;
    const char *const *steps;
    size_t count;
} migration;

/* Creating a table "if not exists" is not safe against itself in PostgreSQL, hence the lock (its
 * number is "aicp" in ASCII). SQLite's BEGIN IMMEDIATE is a lock already. */
static aicp_status lock_schema(aicpi_sql *db, aicp_error *err) {
    if (db->kind != AICPI_SQL_POSTGRES) {
        return AICP_OK;
    }
    return db->driver->exec(db, "SELECT pg_advisory_xact_lock(1634296688)", err);
}

static aicp_status
read_version(aicpi_sql *db, const char *component, int64_t *version, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_schema (component, version) VALUES (?, 0) ON CONFLICT DO NOTHING",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, component, strlen(component));
        s = aicpi_sql_run(q, err);
    }
    if (s == AICP_OK) {
        s = aicpi_sql_prepare(db, "SELECT version FROM aicp_schema WHERE component = ?", &q, err);
    }
    bool row = false;
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, component, strlen(component));
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        *version = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status run_step(aicpi_sql *db, const char *step, aicp_error *err) {
    const char *blob = db->kind == AICPI_SQL_POSTGRES ? "BYTEA" : "BLOB";
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &db->allocator, SCRIPT_MAX);
    const char *word;
    while ((word = strstr(step, BLOB_WORD)) != NULL) {
        aicpi_strbuf_append(&b, step, (size_t)(word - step));
        aicpi_strbuf_puts(&b, blob);
        step = word + strlen(BLOB_WORD);
    }
    aicpi_strbuf_puts(&b, step);
    aicp_status s = b.failed ? aicpi_nomem(err) : db->driver->exec(db, b.data, err);
    aicpi_strbuf_deinit(&b);
    return s;
}

/* ---- what ran here ---- */

/* The hash of step number `n` (from 1) as it ran here; false: none is kept. */
static aicp_status read_hash(
    aicpi_sql *db, const char *component, size_t n, char *hash, bool *found, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    *found = false;
    aicp_status s = aicpi_sql_prepare(
        db, "SELECT hash FROM aicp_schema_step WHERE component = ? AND step = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, component, strlen(component));
        aicpi_sql_bind_i64(q, 2, (int64_t)n);
        s = aicpi_sql_step(q, found, err);
    }
    if (s == AICP_OK && *found) {
        aicpi_slice text = aicpi_sql_text(q, 0);
        size_t len = text.len < HASH_SIZE - 1 ? text.len : HASH_SIZE - 1;
        memcpy(hash, text.data, len);
        hash[len] = '\0';
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status
keep_hash(aicpi_sql *db, const char *component, size_t n, const char *hash, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "INSERT INTO aicp_schema_step (component, step, hash) VALUES (?, ?, ?)", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, component, strlen(component));
        aicpi_sql_bind_i64(q, 2, (int64_t)n);
        aicpi_sql_bind_text(q, 3, hash, strlen(hash));
        s = aicpi_sql_run(q, err);
    }
    return s;
}

/* Runs step number `n`, or makes sure that it is still the one that ran. Stores from before hashes
 * were kept get them now. */
static aicp_status
take_step(aicpi_sql *db, const migration *m, size_t n, bool ran, aicp_error *err) {
    const char *step = m->steps[n - 1];
    char hash[HASH_SIZE];
    char kept[HASH_SIZE] = "";
    bool found = false;
    aicpi_sha256_hex(step, strlen(step), hash);
    aicp_status s =
        ran ? read_hash(db, m->component, n, kept, &found, err) : run_step(db, step, err);
    if (s != AICP_OK) {
        return aicpi_error_prefix(err, s, "migration %zu of %s", n, m->component);
    }
    if (found && strcmp(hash, kept) != 0) {
        return aicpi_fail(
            err,
            AICP_ERR_STATE,
            "migration %zu of %s was edited after it ran on this store: restore its text and add a"
            " new migration instead",
            n,
            m->component);
    }
    return found ? AICP_OK : keep_hash(db, m->component, n, hash, err);
}

static aicp_status migrate(aicpi_sql *db, void *user, aicp_error *err) {
    const migration *m = user;
    int64_t version = 0;
    aicp_status s = lock_schema(db, err);
    if (s == AICP_OK) {
        s = db->driver->exec(
            db,
            "CREATE TABLE IF NOT EXISTS aicp_schema"
            " (component TEXT PRIMARY KEY, version BIGINT NOT NULL);"
            "CREATE TABLE IF NOT EXISTS aicp_schema_step (component TEXT NOT NULL,"
            " step BIGINT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (component, step))",
            err);
    }
    if (s == AICP_OK) {
        s = read_version(db, m->component, &version, err);
    }
    if (s != AICP_OK) {
        return s;
    }
    if (version < 0 || (uint64_t)version > m->count) {
        return aicpi_fail(
            err,
            AICP_ERR_STATE,
            "the store's %s tables have version %lld, this program knows %zu: upgrade it",
            m->component,
            (long long)version,
            m->count);
    }
    for (size_t n = 1; n <= m->count && s == AICP_OK; n++) {
        s = take_step(db, m, n, n <= (size_t)version, err);
    }
    if (s != AICP_OK) {
        return s;
    }
    aicpi_sql_stmt *q = NULL;
    s = aicpi_sql_prepare(db, "UPDATE aicp_schema SET version = ? WHERE component = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, (int64_t)m->count);
        aicpi_sql_bind_text(q, 2, m->component, strlen(m->component));
        s = aicpi_sql_run(q, err);
    }
    return s;
}

aicp_status aicpi_sql_migrate(
    aicpi_sql *db, const char *component, const char *const *steps, size_t count, aicp_error *err) {
    migration m = {component, steps, count};
    return aicpi_sql_transact(db, 0, migrate, &m, err);
}
