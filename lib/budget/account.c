/* Accounts: putting, reading, correcting. */
#include "lib/budget/remote.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"

#include <string.h>

#define WAIT_NS (5 * (uint64_t)AICPI_SECOND_NS)
#define REASON_MAX 1000
#define DURATION_MAX 64
#define PERCENT_MOST 1000

static uint64_t deadline_or_default(const aicpi_budget_core *c, uint64_t deadline) {
    return deadline ? deadline : aicpi_monotonic_ns(&c->clock) + WAIT_NS;
}

/* ---- putting ---- */

typedef struct putting {
    aicpi_budget_core *core;
    aicpi_slice id;
    const aicp_ledger_account *account;
    aicpi_strbuf thresholds;
    bool changed;
    aicp_ledger_event events[2 * AICP_LEDGER_THRESHOLDS_MAX];
    size_t events_count;
} putting;

static aicpi_slice text_of(const char *data, size_t len) {
    return data ? aicpi_slice_of(data, len) : aicpi_slice_of("", 0);
}

static aicp_status check_money(int64_t value, int64_t least, const char *what, aicp_error *err) {
    if (value < least || value > AICP_LEDGER_LIMIT_MAX) {
        return aicpi_fail(
            err, AICP_ERR_RANGE, "%s of %lld nano is out of range", what, (long long)value);
    }
    return AICP_OK;
}

static aicp_status check_thresholds(const aicp_ledger_account *a, putting *p, aicp_error *err) {
    if (a->soft_percent_count > AICP_LEDGER_THRESHOLDS_MAX ||
        a->soft_nano_count > AICP_LEDGER_THRESHOLDS_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_LIMIT,
            "an account has at most %d thresholds",
            AICP_LEDGER_THRESHOLDS_MAX);
    }
    for (size_t i = 0; i < a->soft_percent_count; i++) {
        if (a->soft_percent[i] < 1 || a->soft_percent[i] > PERCENT_MOST) {
            return aicpi_fail(
                err, AICP_ERR_RANGE, "threshold of %d %% is out of range", (int)a->soft_percent[i]);
        }
        aicpi_strbuf_printf(&p->thresholds, "p%d ", (int)a->soft_percent[i]);
    }
    for (size_t i = 0; i < a->soft_nano_count; i++) {
        aicp_status s = check_money(a->soft_nano[i], 1, "threshold", err);
        if (s != AICP_OK) {
            return s;
        }
        aicpi_strbuf_printf(&p->thresholds, "n%lld ", (long long)a->soft_nano[i]);
    }
    return p->thresholds.failed ? aicpi_nomem(err) : AICP_OK;
}

static aicp_status check_account(
    const aicpi_budget_core *c, const aicp_ledger_account *a, putting *p, aicp_error *err) {
    aicp_status s = check_money(a->limit_nano, AICP_LEDGER_UNLIMITED, "limit", err);
    s = s == AICP_OK ? check_money(a->temp_increase_nano, 0, "temporary increase", err) : s;
    s = s == AICP_OK ? check_money(a->rollover_max_nano, 0, "rollover", err) : s;
    s = s == AICP_OK ? check_thresholds(a, p, err) : s;
    if (s == AICP_OK &&
        (a->on_unknown_price < 0 || a->on_unknown_price > AICP_BUDGET_UNKNOWN_ALLOW)) {
        s = aicpi_fail(err, AICP_ERR_INVALID, "on_unknown_price has an unknown value");
    }
    if (s == AICP_OK && (a->duration_len > DURATION_MAX || a->timezone_len > DURATION_MAX)) {
        s = aicpi_fail(err, AICP_ERR_LIMIT, "duration or time zone is too long");
    }
    if (s != AICP_OK) {
        return s;
    }
    aicp_budget_window_options o = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    aicp_budget_window *window = NULL;
    o.timezone = a->timezone;
    o.timezone_len = a->timezone ? a->timezone_len : 0;
    o.reset_time = a->reset_time;
    o.reset_time_len = a->reset_time ? a->reset_time_len : 0;
    o.anchor_ns = a->anchor_ns;
    o.align = a->align;
    o.allocator = &c->allocator;
    aicpi_slice duration = text_of(a->duration, a->duration_len);
    s = aicp_budget_window_parse(duration.data, duration.len, &o, &window, err);
    aicp_budget_window_free(window);
    return s;
}

static aicp_status is_same(aicpi_sql *db, const putting *p, bool *same, aicp_error *err) {
    const aicp_ledger_account *a = p->account;
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT 1 FROM aicp_budget_account WHERE id = ? AND limit_nano = ? AND duration = ?"
        " AND timezone = ? AND reset_time = ? AND align = ? AND (? = 0 OR anchor_ns = ?)"
        " AND unknown_price = ? AND temp_increase = ? AND temp_until_ns = ? AND rollover_max = ?"
        " AND thresholds = ? AND frozen = ?",
        &q,
        err);
    if (s != AICP_OK) {
        return s;
    }
    aicpi_sql_bind_text(q, 1, p->id.data, p->id.len);
    aicpi_sql_bind_i64(q, 2, a->limit_nano);
    aicpi_sql_bind_text(q, 3, a->duration, a->duration_len);
    aicpi_sql_bind_text(q, 4, a->timezone, a->timezone_len);
    aicpi_sql_bind_text(q, 5, a->reset_time, a->reset_time_len);
    aicpi_sql_bind_i64(q, 6, a->align);
    aicpi_sql_bind_i64(q, 7, a->anchor_ns != 0);
    aicpi_sql_bind_i64(q, 8, a->anchor_ns);
    aicpi_sql_bind_i64(q, 9, a->on_unknown_price);
    aicpi_sql_bind_i64(q, 10, a->temp_increase_nano);
    aicpi_sql_bind_i64(q, 11, a->temp_until_ns);
    aicpi_sql_bind_i64(q, 12, a->rollover_max_nano);
    aicpi_sql_bind_text(q, 13, p->thresholds.data, p->thresholds.len);
    aicpi_sql_bind_i64(q, 14, a->frozen != 0);
    s = aicpi_sql_step(q, same, err);
    if (s == AICP_OK) {
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status next_rev(aicpi_sql *db, int64_t *rev, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        db, "UPDATE aicp_budget_meta SET n = n + 1 WHERE k = 'rev' RETURNING n", &q, err);
    s = s == AICP_OK ? aicpi_sql_step(q, &row, err) : s;
    if (s == AICP_OK) {
        *rev = aicpi_sql_i64(q, 0);
        s = row ? aicpi_sql_step(q, &row, err) : s;
    }
    return s;
}

static aicp_status
write_account(aicpi_sql *db, const putting *p, int64_t rev, int64_t now_ns, aicp_error *err) {
    const aicp_ledger_account *a = p->account;
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_budget_account (id, rev, limit_nano, duration, timezone, reset_time,"
        " align, anchor_ns, unknown_price, temp_increase, temp_until_ns, rollover_max, thresholds,"
        " frozen, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, limit_nano = excluded.limit_nano,"
        " duration = excluded.duration, timezone = excluded.timezone,"
        " reset_time = excluded.reset_time, align = excluded.align,"
        " anchor_ns = CASE WHEN excluded.anchor_ns = excluded.created_ns"
        " THEN aicp_budget_account.anchor_ns ELSE excluded.anchor_ns END,"
        " unknown_price = excluded.unknown_price, temp_increase = excluded.temp_increase,"
        " temp_until_ns = excluded.temp_until_ns, rollover_max = excluded.rollover_max,"
        " thresholds = excluded.thresholds, frozen = excluded.frozen",
        &q,
        err);
    if (s != AICP_OK) {
        return s;
    }
    aicpi_sql_bind_text(q, 1, p->id.data, p->id.len);
    aicpi_sql_bind_i64(q, 2, rev);
    aicpi_sql_bind_i64(q, 3, a->limit_nano);
    aicpi_sql_bind_text(q, 4, a->duration, a->duration_len);
    aicpi_sql_bind_text(q, 5, a->timezone, a->timezone_len);
    aicpi_sql_bind_text(q, 6, a->reset_time, a->reset_time_len);
    aicpi_sql_bind_i64(q, 7, a->align);
    aicpi_sql_bind_i64(q, 8, a->anchor_ns ? a->anchor_ns : now_ns);
    aicpi_sql_bind_i64(q, 9, a->on_unknown_price);
    aicpi_sql_bind_i64(q, 10, a->temp_increase_nano);
    aicpi_sql_bind_i64(q, 11, a->temp_until_ns);
    aicpi_sql_bind_i64(q, 12, a->rollover_max_nano);
    aicpi_sql_bind_text(q, 13, p->thresholds.data, p->thresholds.len);
    aicpi_sql_bind_i64(q, 14, a->frozen != 0);
    aicpi_sql_bind_i64(q, 15, now_ns);
    return aicpi_sql_run(q, err);
}

static aicp_status keep_event(void *user, const aicp_ledger_event *e, aicp_error *err) {
    putting *p = user;
    (void)err;
    if (p->events_count < sizeof p->events / sizeof *p->events) {
        p->events[p->events_count++] = *e;
    }
    return AICP_OK;
}

static aicp_status move_end(
    aicpi_sql *db,
    aicpi_slice id,
    const aicp_budget_window *window,
    const aicpi_budget_window_row *row,
    int64_t now_ns,
    aicp_error *err) {
    int64_t start = 0;
    int64_t end = 0;
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicp_budget_window_at(window, now_ns, &start, &end, err);
    if (s != AICP_OK || end == row->end_ns || now_ns >= row->end_ns) {
        return s;
    }
    s = aicpi_sql_prepare(
        db, "UPDATE aicp_budget_window SET end_ns = ? WHERE account = ? AND seq = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, end);
        aicpi_sql_bind_text(q, 2, id.data, id.len);
        aicpi_sql_bind_i64(q, 3, row->seq);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

/* The open window under the new rule: its end moves, and a lower limit may pass thresholds. */
static aicp_status adapt_window(aicpi_sql *db, putting *p, int64_t now_ns, aicp_error *err) {
    aicpi_budget_rule rule;
    aicp_budget_window *window = NULL;
    aicpi_budget_window_row row;
    bool found = false;
    uint32_t known = 0;
    aicp_status s =
        aicpi_budget_load(db, &p->core->allocator, p->id, -1, &rule, &window, &found, err);
    if (s == AICP_OK) {
        s = aicpi_budget_open_window(db, p->id, &rule, window, now_ns, &row, err);
    }
    if (s == AICP_OK) {
        s = move_end(db, p->id, window, &row, now_ns, err);
    }
    aicp_budget_window_free(window);
    if (s != AICP_OK) {
        return s;
    }
    aicpi_budget_passing passing = {
        .id = p->id,
        .node = aicpi_slice_cstr(p->core->node),
        .rule = &rule,
        .limit = aicpi_budget_limit(&rule, row.carried, now_ns),
        .seq = row.seq,
        .end_ns = row.end_ns,
        .spent = row.spent,
        .now_ns = now_ns,
        .known = &known,
    };
    return aicpi_budget_raise(db, &passing, keep_event, p, err);
}

static aicp_status put(aicpi_sql *db, void *user, aicp_error *err) {
    putting *p = user;
    int64_t now_ns = 0;
    int64_t rev = 0;
    bool same = false;
    p->changed = false;
    p->events_count = 0;
    aicp_status s = is_same(db, p, &same, err);
    if (s != AICP_OK || same) {
        return s;
    }
    s = aicpi_sql_now(db, &now_ns, err);
    s = s == AICP_OK ? next_rev(db, &rev, err) : s;
    s = s == AICP_OK ? write_account(db, p, rev, now_ns, err) : s;
    s = s == AICP_OK ? adapt_window(db, p, now_ns, err) : s;
    p->changed = s == AICP_OK;
    return s;
}

static void after_put(aicpi_budget_core *c, const putting *p) {
    aicpi_budget_account *a = aicpi_budget_account_get(c, p->id, false);
    if (a && p->changed) {
        a->stale = true;
    }
    for (size_t i = 0; i < p->events_count; i++) {
        aicpi_budget_event_push(c, &p->events[i]);
    }
}

void aicp_ledger_account_init(aicp_ledger_account *account, size_t size) {
    aicp_ledger_account own = AICP_LEDGER_ACCOUNT_INIT;
    if (account && size >= sizeof account->size) {
        memset(account, 0, size);
        memcpy(account, &own, size < sizeof own ? size : sizeof own);
        account->size = size;
    }
}

aicp_status aicp_ledger_account_put(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    const aicp_ledger_account *account,
    uint64_t deadline_ns,
    aicp_error *err) {
    aicp_ledger_account a = AICP_LEDGER_ACCOUNT_INIT;
    aicp_status s = aicpi_budget_check_text(data, len, AICP_LEDGER_ACCOUNT_MAX, "account id", err);
    if (s == AICP_OK && !account) {
        s = aicpi_fail(err, AICP_ERR_INVALID, "account must not be NULL");
    }
    s = s == AICP_OK ? aicpi_options_copy(&a, sizeof a, account, "aicp_ledger_account", err) : s;
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    putting *p = aicpi_calloc(&c->allocator, 1, sizeof *p);
    if (!p) {
        return aicpi_nomem(err);
    }
    p->core = c;
    p->id = aicpi_slice_of(data, len);
    p->account = &a;
    aicpi_strbuf_init(&p->thresholds, &c->allocator, 4096);
    s = check_account(c, &a, p, err);
    if (s == AICP_OK) {
        pthread_mutex_lock(&c->lock);
        uint64_t deadline = deadline_or_default(c, deadline_ns);
        p->changed = true;
        s = c->remote ? aicpi_budget_remote_put(c, deadline, p->id, &a, err)
                      : aicpi_budget_transact(c, deadline, put, p, err);
        if (s == AICP_OK) {
            after_put(c, p);
        }
        pthread_mutex_unlock(&c->lock);
    }
    aicpi_strbuf_deinit(&p->thresholds);
    aicpi_free(&c->allocator, p);
    return s;
}

/* ---- reading ---- */

aicp_status aicpi_budget_read_account(aicpi_sql *db, void *reading, aicp_error *err) {
    aicpi_budget_reading *r = reading;
    aicp_budget_window *window = NULL;
    int64_t now_ns = 0;
    aicp_status s = aicpi_sql_now(db, &now_ns, err);
    s = s == AICP_OK ? aicpi_budget_load(
                           db, &r->core->allocator, r->id, -1, &r->rule, &window, &r->found, err)
                     : s;
    if (s == AICP_OK && r->found) {
        s = aicpi_budget_open_window(db, r->id, &r->rule, window, now_ns, &r->row, err);
        r->limit = aicpi_budget_limit(&r->rule, r->row.carried, now_ns);
    }
    aicp_budget_window_free(window);
    return s;
}

/* Own holds of the window: what they add to the store's view. */
static void
fill_status(aicp_ledger_status *out, const aicpi_budget_account *a, const aicpi_budget_reading *r) {
    const aicpi_budget_hold *h = a ? a->holds : NULL;
    while (h && h->seq != r->row.seq) {
        h = h->next;
    }
    out->limit_nano = r->limit;
    out->frozen = r->rule.frozen;
    out->window_start_ns = r->row.start_ns;
    out->window_end_ns = r->row.end_ns;
    out->window = r->row.seq;
    out->held_nano = r->row.held;
    out->spent_nano = r->row.spent + (h ? h->unsent_spent : 0);
    out->reserved_nano = r->row.held - (h ? h->free + h->give_back + h->unsent_release : 0);
    int64_t left = r->limit - out->spent_nano - out->reserved_nano;
    out->remaining_nano = r->limit == AICP_LEDGER_UNLIMITED ? INT64_MAX : left > 0 ? left : 0;
}

static void reading_from_memory(aicpi_budget_reading *r, const aicpi_budget_account *a) {
    r->rule = a->rule;
    r->limit = a->limit;
    r->row = (aicpi_budget_window_row){
        .seq = a->current->seq,
        .start_ns = a->current->start_ns,
        .end_ns = a->current->end_ns,
        .spent = a->seen_spent,
        .held = a->seen_held,
    };
}

static aicp_status read_status(
    aicpi_budget_core *c,
    aicpi_budget_reading *r,
    uint64_t deadline,
    aicp_ledger_status *out,
    aicp_error *err) {
    (void)aicpi_budget_expire(c, aicpi_budget_mono(c));
    aicp_status s = AICP_ERR_WOULD_BLOCK;
    if (deadline != 0) {
        s = c->remote ? aicpi_budget_remote_status(c, deadline, r, err)
                      : aicpi_budget_transact(c, deadline, aicpi_budget_read_account, r, err);
    }
    const aicpi_budget_account *a = aicpi_budget_account_get(c, r->id, false);
    if (s == AICP_OK && !r->found) {
        return aicpi_fail(
            err, AICP_ERR_NOT_FOUND, "no budget account '%.*s'", (int)r->id.len, r->id.data);
    }
    if (s != AICP_OK) {
        if (!a || !a->current) {
            return deadline ? s : aicpi_fail(err, s, "the budget store must be asked first");
        }
        reading_from_memory(r, a);
        out->stale = deadline != 0;
    }
    fill_status(out, a, r);
    return AICP_OK;
}

aicp_status aicp_ledger_account_status(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    uint64_t deadline_ns,
    aicp_ledger_status *out,
    aicp_error *err) {
    aicp_status s = aicpi_budget_check_text(data, len, AICP_LEDGER_ACCOUNT_MAX, "account id", err);
    if (s == AICP_OK && (!out || out->size < sizeof out->size)) {
        s = aicpi_fail(err, AICP_ERR_INVALID, "out must be set up with AICP_LEDGER_STATUS_INIT");
    }
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    aicpi_budget_reading r = {.core = c, .id = aicpi_slice_of(data, len)};
    aicp_ledger_status own = AICP_LEDGER_STATUS_INIT;
    pthread_mutex_lock(&c->lock);
    s = read_status(c, &r, deadline_ns, &own, err);
    pthread_mutex_unlock(&c->lock);
    if (s == AICP_OK) {
        own.size = out->size;
        memcpy(out, &own, out->size < sizeof own ? out->size : sizeof own);
    }
    return s;
}

/* ---- correcting ---- */

typedef struct correcting {
    aicpi_budget_core *core;
    aicpi_slice id; /* of the account */
    const aicp_ledger_adjustment *adjustment;
    aicp_status outcome;
} correcting;

/* The same id before: same content or not? */
static aicp_status look_up_adjustment(aicpi_sql *db, correcting *k, bool *known, aicp_error *err) {
    const aicp_ledger_adjustment *a = k->adjustment;
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "SELECT account, amount, reason FROM aicp_budget_adjustment WHERE id = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, a->id, a->id_len);
        s = aicpi_sql_step(q, known, err);
    }
    if (s == AICP_OK && *known) {
        bool same = aicpi_slice_eq(aicpi_sql_text(q, 0), k->id) &&
                    aicpi_sql_i64(q, 1) == a->amount_nano &&
                    aicpi_slice_eq(aicpi_sql_text(q, 2), aicpi_slice_of(a->reason, a->reason_len));
        k->outcome = same ? AICP_OK : AICP_ERR_EXISTS_DIFFERENT;
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status
write_adjustment(aicpi_sql *db, const correcting *k, int64_t seq, int64_t at_ns, aicp_error *err) {
    const aicp_ledger_adjustment *a = k->adjustment;
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_budget_adjustment (id, account, seq, amount, reason, at_ns)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, a->id, a->id_len);
        aicpi_sql_bind_text(q, 2, k->id.data, k->id.len);
        aicpi_sql_bind_i64(q, 3, seq);
        aicpi_sql_bind_i64(q, 4, a->amount_nano);
        aicpi_sql_bind_text(q, 5, a->reason, a->reason_len);
        aicpi_sql_bind_i64(q, 6, at_ns);
        s = aicpi_sql_run(q, err);
    }
    return s == AICP_ERR_CONSTRAINT ? AICP_ERR_STORE_BUSY : s; /* another node was faster */
}

static aicp_status correct(aicpi_sql *db, void *user, aicp_error *err) {
    correcting *k = user;
    aicpi_budget_reading r = {.core = k->core, .id = k->id};
    bool known = false;
    int64_t seq = 0;
    int64_t now_ns = 0;
    k->outcome = AICP_OK;
    aicp_status s = look_up_adjustment(db, k, &known, err);
    if (s != AICP_OK || known) {
        return s;
    }
    s = aicpi_sql_now(db, &now_ns, err);
    s = s == AICP_OK ? aicpi_budget_read_account(db, &r, err) : s;
    if (s == AICP_OK && !r.found) {
        k->outcome = AICP_ERR_NOT_FOUND;
        return s;
    }
    int64_t at_ns = k->adjustment->at_ns ? k->adjustment->at_ns : now_ns;
    s = s == AICP_OK ? aicpi_budget_window_for(db, k->id, at_ns, &seq, err) : s;
    s = s == AICP_OK ? write_adjustment(db, k, seq, now_ns, err) : s;
    s = s == AICP_OK ? aicpi_budget_add(db, k->id, seq, k->adjustment->amount_nano, 0, err) : s;
    return s == AICP_ERR_CONSTRAINT
               ? aicpi_fail(err, AICP_ERR_RANGE, "the correction would make spend negative")
               : s;
}

aicp_status aicp_ledger_adjust(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    const aicp_ledger_adjustment *adjustment,
    aicp_error *err) {
    aicp_ledger_adjustment a = AICP_LEDGER_ADJUSTMENT_INIT;
    aicp_status s = aicpi_budget_check_text(data, len, AICP_LEDGER_ACCOUNT_MAX, "account id", err);
    if (s == AICP_OK && !adjustment) {
        s = aicpi_fail(err, AICP_ERR_INVALID, "adjustment must not be NULL");
    }
    s = s == AICP_OK ? aicpi_options_copy(&a, sizeof a, adjustment, "aicp_ledger_adjustment", err)
                     : s;
    s = s == AICP_OK ? aicpi_budget_check_text(a.id, a.id_len, AICP_LEDGER_ID_MAX, "id", err) : s;
    s = s == AICP_OK ? aicpi_budget_check_text(a.reason, a.reason_len, REASON_MAX, "reason", err)
                     : s;
    if (s == AICP_OK &&
        (a.amount_nano < -AICP_LEDGER_AMOUNT_MAX || a.amount_nano > AICP_LEDGER_AMOUNT_MAX)) {
        s = aicpi_fail(err, AICP_ERR_RANGE, "amount of the adjustment is out of range");
    }
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    correcting k = {c, aicpi_slice_of(data, len), &a, AICP_OK};
    pthread_mutex_lock(&c->lock);
    uint64_t deadline = deadline_or_default(c, a.deadline_ns);
    s = c->remote ? aicpi_budget_remote_adjust(c, deadline, k.id, &a, err)
                  : aicpi_budget_transact(c, deadline, correct, &k, err);
    aicpi_budget_account *memory = aicpi_budget_account_get(c, k.id, false);
    if (s == AICP_OK && memory) {
        memory->stale = true;
    }
    pthread_mutex_unlock(&c->lock);
    if (s == AICP_OK && k.outcome != AICP_OK) {
        s = aicpi_fail(
            err,
            k.outcome,
            "adjustment of '%.*s': %s",
            (int)len,
            data,
            aicp_status_text(k.outcome));
    }
    return s;
}
