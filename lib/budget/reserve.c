/* Reserving: in memory when every account has enough free money here, else through the store. */
#include "lib/budget/budget_internal.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <string.h>

#define TTL_MOST (24 * 3600 * (uint64_t)AICPI_SECOND_NS)

/* ---- checking the request ---- */

/* Accounts in the order of their ids, each once: the order in which all nodes lock them. */
static aicp_status
sort_accounts(aicpi_budget_want *w, const aicp_ledger_request *r, aicp_error *err) {
    if (!r->accounts || r->accounts_count < 1 || r->accounts_count > AICP_LEDGER_ACCOUNTS_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "a reservation needs 1 to %d accounts",
            AICP_LEDGER_ACCOUNTS_MAX);
    }
    for (uint32_t i = 0; i < r->accounts_count; i++) {
        aicpi_slice name = aicpi_slice_of(r->accounts[i].data, r->accounts[i].len);
        aicp_status s = aicpi_budget_check_text(
            name.data, name.len, AICP_LEDGER_ACCOUNT_MAX, "account id", err);
        if (s != AICP_OK) {
            return s;
        }
        uint32_t at = w->count;
        int order = 1;
        while (at > 0 && (order = aicpi_slice_cmp(w->names[at - 1], name)) > 0) {
            at--;
        }
        if (at > 0 && order == 0) {
            continue;
        }
        memmove(&w->names[at + 1], &w->names[at], (w->count - at) * sizeof w->names[0]);
        memmove(&w->indexes[at + 1], &w->indexes[at], (w->count - at) * sizeof w->indexes[0]);
        w->names[at] = name;
        w->indexes[at] = i;
        w->count++;
    }
    return AICP_OK;
}

static aicp_status read_request(
    aicpi_budget_want *w,
    const aicpi_budget_core *c,
    const aicp_ledger_request *r,
    aicp_error *err) {
    aicp_status s =
        aicpi_budget_check_text(r->id, r->id_len, AICP_LEDGER_ID_MAX, "reservation id", err);
    if (s == AICP_OK) {
        s = sort_accounts(w, r, err);
    }
    if (s != AICP_OK) {
        return s;
    }
    if (r->amount_nano < 0 || r->amount_nano > AICP_LEDGER_AMOUNT_MAX) {
        return aicpi_fail(
            err, AICP_ERR_RANGE, "amount %lld nano is out of range", (long long)r->amount_nano);
    }
    w->ttl_ns = r->ttl_ns ? r->ttl_ns : c->options.default_ttl_ns;
    if (w->ttl_ns > TTL_MOST) {
        return aicpi_fail(err, AICP_ERR_RANGE, "a reservation lives at most 24 hours");
    }
    w->id = aicpi_slice_of(r->id, r->id_len);
    w->unknown_price = r->unknown_price != 0;
    w->amount = w->unknown_price ? 0 : r->amount_nano;
    w->deadline = r->deadline_ns;
    return AICP_OK;
}

/* ---- in memory ---- */

/* The id is known: with the same content the first answer again. */
static aicp_status replay(aicpi_budget_want *w, const aicpi_budget_record *r) {
    bool same = r->count == w->count && r->amount == w->amount;
    for (uint32_t i = 0; same && i < w->count; i++) {
        const aicpi_budget_account *a = r->holds[i]->account;
        same = aicpi_slice_eq(w->names[i], aicpi_slice_of(a->id, a->id_len));
    }
    if (!same) {
        return aicpi_fail(
            &w->err, AICP_ERR_EXISTS_DIFFERENT, "the id was used for another reservation");
    }
    w->result.admitted = 1;
    w->result.replayed = 1;
    w->result.reserved_at_ns = r->reserved_at_ns;
    return AICP_OK;
}

static void describe(aicpi_budget_want *w, const aicpi_budget_account *a, uint32_t i) {
    w->result.account = w->indexes[i];
    w->result.limit_nano = a->limit;
    w->result.remaining_nano = aicpi_budget_remaining(a);
    w->result.reset_at_ns = a->current->end_ns;
    w->result.window = a->current->seq;
}

static bool price_denied(const aicpi_budget_account *a) {
    return a->rule.unknown_price == AICP_BUDGET_UNKNOWN_DENY ||
           (a->rule.unknown_price == AICP_BUDGET_UNKNOWN_DEFAULT &&
            a->rule.limit != AICP_LEDGER_UNLIMITED);
}

typedef enum verdict { FITS, SHORT, ASK, FROZEN, PRICE } verdict;

static verdict judge(const aicpi_budget_account *a, const aicpi_budget_want *w, int64_t wall) {
    if (!a || !a->known || a->stale || !a->current || wall >= a->current->end_ns) {
        return ASK;
    }
    if (a->rule.frozen) {
        return FROZEN;
    }
    if (w->unknown_price && price_denied(a)) {
        return PRICE;
    }
    if (w->amount == 0) {
        return a->limit == AICP_LEDGER_UNLIMITED || aicpi_budget_remaining(a) > 0 ? FITS : SHORT;
    }
    return a->current->free >= w->amount ? FITS : SHORT;
}

/* A verdict over all accounts: the first that is not FITS, and which it is. */
static verdict judge_all(
    const aicpi_budget_want *w, aicpi_budget_account *const *accounts, int64_t wall, uint32_t *at) {
    for (uint32_t i = 0; i < w->count; i++) {
        verdict v = judge(accounts[i], w, wall);
        if (v != FITS) {
            *at = i;
            return v;
        }
    }
    return FITS;
}

static aicp_status take(
    aicpi_budget_core *c,
    aicpi_budget_want *w,
    aicpi_budget_account *const *accounts,
    uint64_t now) {
    aicpi_budget_record *r = aicpi_budget_record_new(&c->table, w->id);
    if (!r) {
        return aicpi_nomem(&w->err);
    }
    uint32_t tightest = 0;
    r->count = w->count;
    r->amount = w->amount;
    for (uint32_t i = 0; i < w->count; i++) {
        r->holds[i] = accounts[i]->current;
        r->holds[i]->free -= w->amount;
        if (i > 0 &&
            aicpi_budget_remaining(accounts[i]) < aicpi_budget_remaining(accounts[tightest])) {
            tightest = i;
        }
    }
    aicpi_budget_begin(c, r, now, w->ttl_ns);
    c->metrics.admitted++;
    describe(w, accounts[tightest], tightest);
    w->result.admitted = 1;
    w->result.degraded = c->store_down;
    w->result.reserved_at_ns = r->reserved_at_ns;
    return AICP_OK;
}

/* A caller that cannot wait is told no from a view that is young enough. What other nodes hold may
 * not be in use: whether they give it back is for the store to say, and its no is kept as long. */
static bool known_empty(
    const aicpi_budget_core *c,
    const aicpi_budget_want *w,
    const aicpi_budget_account *a,
    uint64_t now) {
    if (w->deadline != 0 || a->limit == AICP_LEDGER_UNLIMITED ||
        now - a->looked_ns > c->options.refresh_ns) {
        return false;
    }
    int64_t left = aicpi_budget_remaining(a);
    int64_t elsewhere = a->seen_held - a->current->durable;
    bool refused =
        a->refused > 0 && w->amount >= a->refused && now - a->refused_ns <= c->options.refresh_ns;
    return left < w->amount && (refused || left + elsewhere < w->amount);
}

static aicp_status
from_memory(aicpi_budget_core *c, aicpi_budget_want *w, uint64_t now, bool *ask) {
    const aicpi_budget_record *known = aicpi_budget_find(&c->table, w->id);
    if (known) {
        return replay(w, known);
    }
    *ask = c->options.mode == AICP_LEDGER_SYNC || now >= c->valid_until ||
           c->dirty.count >= c->options.unsent_max;
    if (*ask) {
        return AICP_OK;
    }
    aicpi_budget_account *accounts[AICP_LEDGER_ACCOUNTS_MAX];
    for (uint32_t i = 0; i < w->count; i++) {
        accounts[i] = aicpi_budget_account_get(c, w->names[i], false);
    }
    uint32_t at = 0;
    int64_t wall = aicpi_budget_wall(c);
    verdict v = judge_all(w, accounts, wall, &at);
    if (v == SHORT && aicpi_budget_expire(c, now) > 0) {
        v = judge_all(w, accounts, wall, &at);
    }
    if (v == FITS) {
        return take(c, w, accounts, now);
    }
    aicpi_budget_account *a = accounts[at];
    if (a && v == SHORT && known_empty(c, w, a, now)) {
        describe(w, a, at);
        c->metrics.denied++;
        return aicpi_fail(
            &w->err, AICP_ERR_BUDGET_EXCEEDED, "budget of '%.*s' exceeded", (int)a->id_len, a->id);
    }
    /* With time to wait the store's word counts, in case the rule has just changed. */
    *ask = !a || v == SHORT || v == ASK || w->deadline != 0;
    if (a && *ask) {
        aicpi_budget_hungry(c, a);
    }
    if (*ask) {
        return AICP_OK;
    }
    describe(w, a, at);
    return v == FROZEN
               ? aicpi_fail(
                     &w->err, AICP_ERR_FROZEN, "account '%.*s' is frozen", (int)a->id_len, a->id)
               : aicpi_fail(
                     &w->err,
                     AICP_ERR_UNKNOWN_PRICE,
                     "price unknown, which '%.*s' does not allow",
                     (int)a->id_len,
                     a->id);
}

static aicp_status reserve(aicpi_budget_core *c, aicpi_budget_want *w) {
    bool ask = false;
    uint64_t now = aicpi_budget_mono(c);
    if (w->deadline != 0 && !c->flusher_runs && now >= c->refresh_at) {
        (void)aicpi_budget_refresh(c, w->deadline, false, NULL);
        now = aicpi_budget_mono(c);
    }
    aicp_status s = from_memory(c, w, now, &ask);
    if (!ask) {
        return s;
    }
    if (w->deadline == 0) {
        c->metrics.would_block++;
        return aicpi_fail(
            &w->err,
            AICP_ERR_WOULD_BLOCK,
            "the budget store must be asked; repeat with a deadline");
    }
    s = aicpi_budget_ask(c, w);
    w->result.degraded = 0;
    return s;
}

aicp_status aicp_ledger_reserve(
    aicp_ledger *ledger,
    const aicp_ledger_request *request,
    aicp_ledger_result *out,
    aicp_error *err) {
    aicp_ledger_request r = AICP_LEDGER_REQUEST_INIT;
    aicpi_budget_want w;
    memset(&w, 0, offsetof(aicpi_budget_want, err));
    aicp_status s = AICP_OK;
    if (!request) {
        return aicpi_fail(err, AICP_ERR_INVALID, "request must not be NULL");
    }
    aicpi_budget_core *c = aicpi_budget_enter(ledger, err);
    if (!c) {
        return AICP_ERR_STORE;
    }
    s = aicpi_options_copy(&r, sizeof r, request, "aicp_ledger_request", err);
    s = s == AICP_OK ? read_request(&w, c, &r, err) : s;
    if (s != AICP_OK) {
        return s;
    }
    w.result.size = sizeof w.result;
    w.result.remaining_nano = 0;
    w.result.limit_nano = AICP_LEDGER_UNLIMITED;
    w.result.reset_at_ns = AICP_BUDGET_FOREVER;
    pthread_mutex_lock(&c->lock);
    s = reserve(c, &w);
    pthread_mutex_unlock(&c->lock);
    if (s != AICP_OK && err) {
        *err = w.err;
    }
    if (out) {
        size_t size = out->size < sizeof *out ? out->size : sizeof *out;
        size_t own = out->size;
        memcpy(out, &w.result, size);
        out->size = own;
    }
    return s;
}
