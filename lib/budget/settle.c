/* What becomes of a reservation: dispatched, renewed, settled, released. */
#include "lib/budget/remote.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <string.h>

#define TTL_MOST (24 * 3600 * (uint64_t)AICPI_SECOND_NS)

static aicp_status check_id(const char *data, size_t len, aicp_error *err) {
    return aicpi_budget_check_text(data, len, AICP_LEDGER_ID_MAX, "reservation id", err);
}

static aicp_status not_pending(const aicpi_budget_record *r, aicp_error *err) {
    if (!r) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "unknown reservation");
    }
    if (r->state == ROW_POSTED) {
        return aicpi_fail(err, AICP_ERR_ALREADY_POSTED, "the reservation is settled already");
    }
    return aicpi_fail(err, AICP_ERR_ALREADY_VOIDED, "the reservation was released or expired");
}

aicp_status aicp_ledger_mark_dispatched(
    aicp_ledger *ledger, const char *data, size_t len, int64_t estimate_nano, aicp_error *err) {
    aicp_status s = check_id(data, len, err);
    if (s == AICP_OK && estimate_nano > AICP_LEDGER_AMOUNT_MAX) {
        s = aicpi_fail(err, AICP_ERR_RANGE, "estimate is out of range");
    }
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    pthread_mutex_lock(&c->lock);
    aicpi_budget_record *r = aicpi_budget_find(&c->table, aicpi_slice_of(data, len));
    if (!r || r->state != ROW_PENDING) {
        s = not_pending(r, err);
    } else {
        r->flags |= FLAG_DISPATCHED;
        r->estimate = estimate_nano >= 0 ? estimate_nano : r->amount;
        aicpi_budget_dirty(c, r);
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

aicp_status aicp_ledger_renew(
    aicp_ledger *ledger, const char *data, size_t len, uint64_t ttl_ns, aicp_error *err) {
    aicp_status s = check_id(data, len, err);
    if (s == AICP_OK && ttl_ns > TTL_MOST) {
        s = aicpi_fail(err, AICP_ERR_RANGE, "a reservation lives at most 24 hours");
    }
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    pthread_mutex_lock(&c->lock);
    uint64_t now = aicpi_budget_mono(c);
    (void)aicpi_budget_expire(c, now);
    aicpi_budget_record *r = aicpi_budget_find(&c->table, aicpi_slice_of(data, len));
    if (!r || r->state != ROW_PENDING) {
        s = not_pending(r, err);
    } else {
        uint64_t ttl = ttl_ns ? ttl_ns : c->options.default_ttl_ns;
        r->deadline_ns = aicpi_budget_wall(c) + (int64_t)ttl;
        aicpi_budget_heap_set(&c->table, r, now + ttl);
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

aicp_status
aicp_ledger_release(aicp_ledger *ledger, const char *data, size_t len, aicp_error *err) {
    aicp_status s = check_id(data, len, err);
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    pthread_mutex_lock(&c->lock);
    aicpi_budget_record *r = aicpi_budget_find(&c->table, aicpi_slice_of(data, len));
    if (r && r->state == ROW_POSTED) {
        s = aicpi_fail(err, AICP_ERR_ALREADY_POSTED, "the reservation is settled already");
    } else if (r && r->state == ROW_PENDING) {
        aicpi_budget_void(c, r, ROW_VOIDED);
        c->metrics.released++;
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

/* ---- settling ---- */

/* The accounts of a settlement, sorted and each once. */
typedef struct named {
    aicpi_slice accounts[AICP_LEDGER_ACCOUNTS_MAX];
    uint32_t count;
} named;

static aicp_status read_named(named *n, const aicp_ledger_settlement *o, aicp_error *err) {
    if (o->accounts_count > AICP_LEDGER_ACCOUNTS_MAX || (o->accounts_count && !o->accounts)) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "a settlement names at most %d accounts",
            AICP_LEDGER_ACCOUNTS_MAX);
    }
    n->count = 0;
    for (size_t i = 0; i < o->accounts_count; i++) {
        aicpi_slice name = aicpi_slice_of(o->accounts[i].data, o->accounts[i].len);
        aicp_status s = aicpi_budget_check_text(
            name.data, name.len, AICP_LEDGER_ACCOUNT_MAX, "account id", err);
        if (s != AICP_OK) {
            return s;
        }
        uint32_t at = n->count;
        int order = 1;
        while (at > 0 && (order = aicpi_slice_cmp(n->accounts[at - 1], name)) > 0) {
            at--;
        }
        if (at > 0 && order == 0) {
            continue;
        }
        memmove(&n->accounts[at + 1], &n->accounts[at], (n->count - at) * sizeof n->accounts[0]);
        n->accounts[at] = name;
        n->count++;
    }
    return AICP_OK;
}

static aicp_status
settle_known(aicpi_budget_core *c, aicpi_budget_record *r, int64_t actual, aicp_error *err) {
    bool open = r->state == ROW_PENDING || r->state == ROW_EXPIRED ||
                (r->state == ROW_POSTED && r->flags & FLAG_ESTIMATED);
    if (open) {
        aicpi_budget_post(c, r, actual);
        c->metrics.settled++;
        return AICP_OK;
    }
    if (r->state == ROW_POSTED && r->actual == actual) {
        return AICP_OK;
    }
    return not_pending(r, err);
}

static aicp_status recover_now(aicpi_sql *db, void *user, aicp_error *err) {
    return aicpi_budget_recover(db, user, err);
}

/* A record that only names its accounts; the next batch settles it by the store's rows. */
static aicp_status
queue_unknown(aicpi_budget_core *c, const aicpi_budget_recovery *v, aicp_error *err) {
    aicpi_budget_record *r = aicpi_budget_record_new(&c->table, v->id);
    if (!r) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < v->count; i++) {
        aicpi_budget_account *a = aicpi_budget_account_get(c, v->accounts[i], true);
        if (a && !a->recovery) {
            a->recovery = aicpi_calloc(&c->allocator, 1, sizeof *a->recovery);
            if (a->recovery) {
                a->recovery->account = a;
            }
        }
        if (!a || !a->recovery) {
            for (uint32_t k = 0; k < r->count; k++) {
                r->holds[k]->records--;
            }
            aicpi_budget_record_recycle(&c->table, r);
            return aicpi_nomem(err);
        }
        r->holds[r->count++] = a->recovery;
        a->recovery->records++;
    }
    r->flags = FLAG_RECOVER;
    r->state = ROW_POSTED;
    r->actual = v->actual;
    r->reserved_at_ns = v->reserved_at_ns;
    aicpi_budget_insert(&c->table, r);
    aicpi_budget_dirty(c, r);
    c->metrics.settled++;
    return AICP_OK;
}

static aicp_status
settle_unknown(aicpi_budget_core *c, aicpi_budget_recovery *v, uint64_t deadline, aicp_error *err) {
    aicp_status s = AICP_ERR_STORE;
    v->reserved_at_ns = v->reserved_at_ns ? v->reserved_at_ns : aicpi_budget_wall(c);
    if (deadline != 0) {
        s = c->remote ? aicpi_budget_remote_settle(c, deadline, v, err)
                      : aicpi_budget_transact(c, deadline, recover_now, v, err);
    }
    if (s == AICP_OK) {
        c->metrics.recovered += v->outcome == AICP_OK;
        c->metrics.settled += v->outcome == AICP_OK;
        return v->outcome == AICP_OK ? AICP_OK
                                     : aicpi_fail(
                                           err,
                                           v->outcome,
                                           "reservation is unknown here; in the store it is %s",
                                           aicp_status_text(v->outcome));
    }
    if (v->count == 0) {
        return deadline ? s : aicpi_fail(err, AICP_ERR_NOT_FOUND, "unknown reservation");
    }
    return queue_unknown(c, v, err);
}

aicp_status aicp_ledger_settle(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    int64_t actual_nano,
    const aicp_ledger_settlement *settlement,
    aicp_error *err) {
    aicp_ledger_settlement o = AICP_LEDGER_SETTLEMENT_INIT;
    named names = {.count = 0};
    aicp_status s = check_id(data, len, err);
    if (s == AICP_OK && (actual_nano < 0 || actual_nano > AICP_LEDGER_AMOUNT_MAX)) {
        s = aicpi_fail(
            err, AICP_ERR_RANGE, "amount %lld nano is out of range", (long long)actual_nano);
    }
    if (s == AICP_OK && settlement) {
        s = aicpi_options_copy(&o, sizeof o, settlement, "aicp_ledger_settlement", err);
        s = s == AICP_OK ? read_named(&names, &o, err) : s;
    }
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    aicpi_slice id = aicpi_slice_of(data, len);
    pthread_mutex_lock(&c->lock);
    aicpi_budget_record *r = aicpi_budget_find(&c->table, id);
    if (r) {
        s = settle_known(c, r, actual_nano, err);
        if (s == AICP_OK && c->options.mode == AICP_LEDGER_SYNC && o.deadline_ns != 0) {
            s = aicpi_budget_sync(c, id, o.deadline_ns, err);
        }
    } else {
        char node[AICPI_BUDGET_NODE_SIZE];
        memcpy(node, c->node, sizeof node);
        aicpi_budget_recovery v = {
            .id = id,
            .node = aicpi_slice_cstr(node),
            .accounts = names.accounts,
            .count = names.count,
            .actual = actual_nano,
            .reserved_at_ns = o.reserved_at_ns,
        };
        s = settle_unknown(c, &v, o.deadline_ns, err);
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}
