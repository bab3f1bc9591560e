/* Every allocation of windows and ledger fails in turn: nothing leaks, and no money is admitted
 * beyond the limit or lost. */
#include "unit/support.h"

#include "aicp/budget.h"

#include <criterion/criterion.h>
#include <string.h>

static bool parse_window(void *user, const aicp_allocator *a) {
    (void)user;
    aicp_budget_window_options options = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    aicp_budget_window *window = NULL;
    aicp_error err;
    options.allocator = a;
    options.timezone = "UTC";
    options.timezone_len = 3;
    aicp_status status = aicp_budget_window_parse("30d", 3, &options, &window, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && window == NULL;
    }
    int64_t start = 0;
    int64_t end = 0;
    bool ok = aicp_budget_window_at(window, 0, &start, &end, &err) == AICP_OK && start == 0;
    aicp_budget_window_free(window);
    return ok;
}

Test(nomem, window_parses_or_says_why_not) {
    cr_assert_gt(test_every_allocation_failing(parse_window, NULL), 1);
}

static aicp_status reserve(aicp_ledger *ledger, const char *id, aicp_error *err) {
    const aicp_ledger_text account = {"team", 4};
    aicp_ledger_request request = AICP_LEDGER_REQUEST_INIT;
    request.id = id;
    request.id_len = strlen(id);
    request.accounts = &account;
    request.accounts_count = 1;
    request.amount_nano = 40;
    request.deadline_ns = UINT64_MAX;
    return aicp_ledger_reserve(ledger, &request, NULL, err);
}

static bool spend(void *user, const aicp_allocator *a) {
    (void)user;
    static const char store[] = "sqlite::memory:";
    static const char *const ids[] = {"r0", "r1", "r2", "r3"};
    aicp_ledger_options options = AICP_LEDGER_OPTIONS_INIT;
    aicp_ledger_account account = AICP_LEDGER_ACCOUNT_INIT;
    aicp_ledger *ledger = NULL;
    aicp_error err;
    options.allocator = a;
    account.limit_nano = 100;
    aicp_status status = aicp_ledger_open(store, sizeof store - 1, &options, &ledger, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && ledger == NULL;
    }
    status = aicp_ledger_account_put(ledger, "team", 4, &account, UINT64_MAX, &err);
    int admitted = 0;
    bool ok = status == AICP_OK || status == AICP_ERR_NOMEM;
    for (size_t i = 0; ok && status == AICP_OK && i < 4; i++) {
        aicp_status outcome = reserve(ledger, ids[i], &err);
        admitted += outcome == AICP_OK;
        ok = outcome == AICP_OK || outcome == AICP_ERR_BUDGET_EXCEEDED || outcome == AICP_ERR_NOMEM;
        if (outcome == AICP_OK) {
            outcome = aicp_ledger_settle(ledger, ids[i], 2, 40, NULL, &err);
            ok = ok && (outcome == AICP_OK || outcome == AICP_ERR_NOMEM);
        }
    }
    aicp_ledger_free(ledger);
    return ok && admitted <= 2;
}

Test(nomem, ledger_never_admits_more_than_the_limit) {
    cr_assert_gt(test_every_allocation_failing(spend, NULL), 3);
}
