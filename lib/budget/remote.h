/* The store of a ledger that was opened with the URL of a server. */
#ifndef AICPI_BUDGET_REMOTE_H
#define AICPI_BUDGET_REMOTE_H

#include "lib/base/arena.h"
#include "lib/budget/budget_internal.h"

bool aicpi_budget_is_remote(aicpi_slice url);
aicp_status aicpi_budget_remote_open(aicpi_budget_core *c, aicp_error *err);
void aicpi_budget_remote_free(aicpi_budget_core *c);

/* Need the lead, not the lock. A pass without an answer is repeated as it was by the next call. */
aicp_status aicpi_budget_remote_pass(aicpi_budget_core *c, uint64_t deadline, aicp_error *err);
bool aicpi_budget_remote_unanswered(const aicpi_budget_core *c);
/* Whether the node was taken for dead since the last look. */
bool aicpi_budget_remote_fenced(aicpi_budget_core *c);
aicp_status aicpi_budget_remote_news(
    aicpi_budget_core *c, uint64_t deadline, int64_t *rev, int64_t *recalls, aicp_error *err);
aicp_status aicpi_budget_remote_recover(
    aicpi_budget_core *c, uint64_t deadline, aicpi_budget_recovery *v, aicp_error *err);

/* Need the lock, not the lead. */
aicp_status aicpi_budget_remote_put(
    aicpi_budget_core *c,
    uint64_t deadline,
    aicpi_slice id,
    const aicp_ledger_account *account,
    aicp_error *err);
aicp_status aicpi_budget_remote_status(
    aicpi_budget_core *c, uint64_t deadline, aicpi_budget_reading *r, aicp_error *err);
aicp_status aicpi_budget_remote_adjust(
    aicpi_budget_core *c,
    uint64_t deadline,
    aicpi_slice id,
    const aicp_ledger_adjustment *adjustment,
    aicp_error *err);
aicp_status aicpi_budget_remote_settle(
    aicpi_budget_core *c, uint64_t deadline, aicpi_budget_recovery *v, aicp_error *err);
aicp_status
aicpi_budget_remote_reap(aicpi_budget_core *c, uint64_t deadline, int64_t *reaped, aicp_error *err);
aicp_status aicpi_budget_remote_leave(aicpi_budget_core *c, uint64_t deadline, aicp_error *err);

/* The bytes of the ledger's part of a message, into `arena`. */
aicp_status aicpi_budget_ledger_part(
    aicpi_arena *arena, const char *data, size_t len, aicpi_slice *bytes, aicp_error *err);

#endif
