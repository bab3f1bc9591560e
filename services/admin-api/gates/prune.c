#include "services/admin-api/gates/gates.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define BATCH 2000 /* rows of one transaction, so that nobody waits long for the store */
#define GATE_KEPT_NS (INT64_C(7) * 86400 * AICPI_SECOND_NS)

/* Deletes what is older than `before`, some at a time, until there is no more. */
static aicp_status delete_before(aicpi_sql *db, const char *sql, int64_t before, aicp_error *err) {
    aicp_status status = AICP_OK;
    int64_t gone = BATCH;
    while (status == AICP_OK && gone == BATCH) {
        aicpi_sql_stmt *q = NULL;
        status = aicpi_sql_prepare(db, sql, &q, err);
        if (status == AICP_OK) {
            aicpi_sql_bind_i64(q, 1, before);
            aicpi_sql_bind_i64(q, 2, BATCH);
            status = aicpi_sql_run(q, err);
            gone = aicpi_sql_changes(db);
        }
    }
    return status;
}

aicp_status aicpa_prune(aicpa_admin *admin, aicpi_sql *db, aicp_error *err) {
    int64_t now = aicpa_wall_ns();
    int64_t events = now - admin->settings->events_kept_ms * 1000000;
    aicp_status status = delete_before(
        db,
        "DELETE FROM admin_event WHERE id IN (SELECT id FROM admin_event WHERE created_at < ?"
        " LIMIT ?)",
        events,
        err);
    status = status ? status
                    : delete_before(
                          db,
                          "DELETE FROM admin_gate WHERE id IN (SELECT id FROM admin_gate WHERE"
                          " last_seen_at < ? LIMIT ?)",
                          now - GATE_KEPT_NS,
                          err);
    status = status ? status
                    : delete_before(
                          db,
                          "DELETE FROM admin_session_revoked WHERE id IN (SELECT id FROM"
                          " admin_session_revoked WHERE expires_s < ? LIMIT ?)",
                          now / AICPI_SECOND_NS,
                          err);
    return status ? status : aicps_idempotency_expire(db, err);
}
