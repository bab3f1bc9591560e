/* Makes the bundle of a revision and puts it into the store. */
#include "services/admin-api/proxy/governed.h"
#include "services/admin-api/rules/rules.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include "aicp/gate.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECTION_MAX ((size_t)64 << 20)
#define PATH_SIZE 512
/* How many bundles stay, and how long a section that none of them names. */
#define KEEP_BUNDLES 20
#define KEEP_SECTIONS_NS (INT64_C(3600) * AICPI_SECOND_NS)

/* A bundle being made: a private folder, where the library checks and seals it. */
typedef struct draft {
    char folder[64];
    int64_t revision;
    aicp_buf manifest;
} draft;

static void path_of(const draft *d, const char *file, char out[PATH_SIZE]) {
    snprintf(out, PATH_SIZE, "%s/%s", d->folder, file);
}

static aicp_status draft_open(draft *d, int64_t revision, aicp_error *err) {
    *d = (draft){.folder = "/tmp/aicp-bundle-XXXXXX", .revision = revision};
    if (!mkdtemp(d->folder)) {
        d->folder[0] = 0;
        return aicpi_fail(err, AICP_ERR_IO, "cannot make a folder in /tmp");
    }
    return AICP_OK;
}

static void draft_close(draft *d) {
    char path[PATH_SIZE];
    for (size_t i = 0; d->folder[0] && i < aicpa_section_count; i++) {
        path_of(d, aicpa_sections[i].file, path);
        (void)unlink(path);
    }
    if (d->folder[0]) {
        path_of(d, "manifest.json", path);
        (void)unlink(path);
        (void)rmdir(d->folder);
    }
    aicp_buf_free(&d->manifest);
}

static aicp_status
write_section(aicpa_build *b, const draft *d, const aicpa_section *section, aicp_error *err) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, SECTION_MAX);
    aicp_status status = section->write(b, &text, err);
    if (status == AICP_OK && text.failed) {
        status = aicpi_fail(err, AICP_ERR_LIMIT, "section %s is too large", section->name);
    }
    if (status == AICP_OK && text.len > 0) {
        char path[PATH_SIZE];
        path_of(d, section->file, path);
        status = aicpi_file_write(path, text.data, text.len, err);
    }
    aicpi_strbuf_deinit(&text);
    return status;
}

static aicp_status draft_write(aicpa_build *b, draft *d, aicp_error *err) {
    char version[32];
    char path[PATH_SIZE];
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < aicpa_section_count && status == AICP_OK; i++) {
        status = write_section(b, d, &aicpa_sections[i], err);
    }
    snprintf(version, sizeof version, "%lld", (long long)d->revision);
    status = status ? status : aicp_bundle_seal(d->folder, version, err);
    path_of(d, "manifest.json", path);
    return status ? status : aicpi_file_read(NULL, path, SECTION_MAX, &d->manifest, err);
}

/* ---- the store ---- */

static aicp_status
store_section(aicpi_sql *db, const draft *d, const aicpa_section *section, aicp_error *err) {
    char path[PATH_SIZE];
    char hash[2 * AICPI_SHA256_SIZE + 1];
    aicp_buf content = {0};
    aicpi_sql_stmt *q = NULL;
    path_of(d, section->file, path);
    aicp_status status = aicpi_file_read(NULL, path, SECTION_MAX, &content, err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOT_FOUND ? AICP_OK : status; /* nothing to enforce */
    }
    aicpi_sha256_hex(content.data, content.len, hash);
    status = aicpi_sql_prepare(
        db,
        "INSERT INTO admin_bundle_section (sha256, content, used_at) VALUES (?, ?, ?)"
        " ON CONFLICT (sha256) DO UPDATE SET used_at = excluded.used_at",
        &q,
        err);
    if (status == AICP_OK) {
        aicpi_sql_bind_text(q, 1, hash, strlen(hash));
        aicpi_sql_bind_blob(q, 2, content.data, content.len);
        aicpi_sql_bind_i64(q, 3, aicpa_wall_ns());
        status = aicpi_sql_run(q, err);
    }
    aicp_buf_free(&content);
    return status;
}

static aicp_status store_manifest(aicpi_sql *db, const draft *d, aicp_error *err) {
    char etag[2 * AICPI_SHA256_SIZE + 1];
    aicpi_sql_stmt *q = NULL;
    aicpi_sha256_hex(d->manifest.data, d->manifest.len, etag);
    aicp_status status = aicpi_sql_prepare(
        db,
        "INSERT INTO admin_bundle (revision, etag, manifest, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (revision) DO NOTHING",
        &q,
        err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, d->revision);
        aicpi_sql_bind_text(q, 2, etag, 32);
        aicpi_sql_bind_text(q, 3, d->manifest.data, d->manifest.len);
        aicpi_sql_bind_i64(q, 4, aicpa_wall_ns());
        status = aicpi_sql_run(q, err);
    }
    return status;
}

static aicp_status prune(aicpi_sql *db, const draft *d, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status status =
        aicpi_sql_prepare(db, "DELETE FROM admin_bundle WHERE revision <= ?", &q, err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, d->revision - KEEP_BUNDLES);
        status = aicpi_sql_run(q, err);
    }
    /* A section is named by its hash in the text of the manifests that stay. */
    status = status
                 ? status
                 : aicpi_sql_prepare(
                       db,
                       "DELETE FROM admin_bundle_section WHERE used_at < ? AND NOT EXISTS (SELECT 1"
                       " FROM admin_bundle b WHERE b.manifest LIKE '%' || sha256 || '%')",
                       &q,
                       err);
    if (status == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, aicpa_wall_ns() - KEEP_SECTIONS_NS);
        status = aicpi_sql_run(q, err);
    }
    return status;
}

static aicp_status store(aicpi_sql *db, void *user, aicp_error *err) {
    const draft *d = user;
    aicp_status status = AICP_OK;
    for (size_t i = 0; i < aicpa_section_count && status == AICP_OK; i++) {
        status = store_section(db, d, &aicpa_sections[i], err);
    }
    status = status ? status : store_manifest(db, d, err);
    return status ? status : prune(db, d, err);
}

/* Remembers why there is no bundle of this revision. */
static void store_error(aicpi_sql *db, int64_t revision, const aicp_error *why) {
    aicpi_sql_stmt *q = NULL;
    if (aicpi_sql_prepare(
            db,
            "INSERT INTO admin_bundle_error (id, revision, message, created_at) VALUES (1, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision,"
            " message = excluded.message, created_at = excluded.created_at",
            &q,
            NULL) == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, revision);
        aicpi_sql_bind_text(q, 2, why->message, strlen(why->message));
        aicpi_sql_bind_i64(q, 3, aicpa_wall_ns());
        (void)!aicpi_sql_run(q, NULL);
    }
}

/* ---- build ---- */

/* The sections are read one after another: when a change comes between, the revision has moved and
 * the draft is dropped for the next turn. */
static aicp_status
build(aicpa_admin *admin, aicpi_sql *db, int64_t revision, bool *made, aicp_error *err) {
    aicpa_build b = {.admin = admin, .db = db};
    draft d;
    int64_t now = 0;
    aicp_status status = draft_open(&d, revision, err);
    if (status == AICP_OK) {
        status = draft_write(&b, &d, err);
        if (status != AICP_OK && err) {
            store_error(db, revision, err);
        }
    }
    status = status ? status : aicps_rules_revision(db, &now, err);
    if (status == AICP_OK && now == revision) {
        status = aicpi_sql_transact(db, 0, store, &d, err);
        status = status ? status : aicpa_governed_load(admin->governed, d.folder, err);
        *made = status == AICP_OK;
        admin->governed_revision = status == AICP_OK ? revision : admin->governed_revision;
    }
    draft_close(&d);
    return status;
}

aicp_status aicpa_rules_build(aicpa_admin *admin, aicpi_sql *db, bool *made, aicp_error *err) {
    int64_t revision = 0;
    *made = false;
    aicp_status status = aicps_rules_revision(db, &revision, err);
    if (status == AICP_OK && admin->governed_revision < revision) {
        status = build(admin, db, revision, made, err);
    }
    return status;
}
