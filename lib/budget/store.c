/* Tables of the ledger, and the rows of accounts, windows and events. */
#include "lib/budget/budget_internal.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdio.h>
#include <string.h>

const char *const aicpi_budget_schema[] = {
    "CREATE TABLE aicp_budget_meta (k TEXT PRIMARY KEY, n BIGINT NOT NULL);"
    "INSERT INTO aicp_budget_meta (k, n) VALUES ('rev', 0), ('recall', 0);"
    "CREATE TABLE aicp_budget_node ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, batch BIGINT NOT NULL,"
    " seen_ns BIGINT NOT NULL, expires_ns BIGINT NOT NULL);"
    "CREATE TABLE aicp_budget_account ("
    " id TEXT PRIMARY KEY, rev BIGINT NOT NULL, limit_nano BIGINT NOT NULL,"
    " duration TEXT NOT NULL, timezone TEXT NOT NULL, reset_time TEXT NOT NULL,"
    " align BIGINT NOT NULL, anchor_ns BIGINT NOT NULL, unknown_price BIGINT NOT NULL,"
    " temp_increase BIGINT NOT NULL, temp_until_ns BIGINT NOT NULL,"
    " rollover_max BIGINT NOT NULL, thresholds TEXT NOT NULL, frozen BIGINT NOT NULL,"
    " created_ns BIGINT NOT NULL);"
    "CREATE INDEX aicp_budget_account_rev ON aicp_budget_account (rev);"
    "CREATE TABLE aicp_budget_window ("
    " account TEXT NOT NULL, seq BIGINT NOT NULL, start_ns BIGINT NOT NULL,"
    " end_ns BIGINT NOT NULL, spent BIGINT NOT NULL CHECK (spent >= 0),"
    " held BIGINT NOT NULL CHECK (held >= 0), carried BIGINT NOT NULL,"
    " recall_ns BIGINT NOT NULL, PRIMARY KEY (account, seq));"
    "CREATE INDEX aicp_budget_window_recall ON aicp_budget_window (recall_ns);"
    "CREATE TABLE aicp_budget_hold ("
    " node TEXT NOT NULL, account TEXT NOT NULL, seq BIGINT NOT NULL,"
    " amount BIGINT NOT NULL CHECK (amount >= 0), answered_ns BIGINT NOT NULL,"
    " PRIMARY KEY (node, account, seq));"
    "CREATE INDEX aicp_budget_hold_account ON aicp_budget_hold (account, seq);"
    "CREATE TABLE aicp_budget_reservation ("
    " id TEXT NOT NULL, account TEXT NOT NULL, seq BIGINT NOT NULL, node TEXT NOT NULL,"
    " state BIGINT NOT NULL, flags BIGINT NOT NULL, amount BIGINT NOT NULL,"
    " actual BIGINT NOT NULL, estimate BIGINT NOT NULL, reserved_ns BIGINT NOT NULL,"
    " deadline_ns BIGINT NOT NULL, PRIMARY KEY (id, account));"
    "CREATE INDEX aicp_budget_reservation_pending ON aicp_budget_reservation (node)"
    " WHERE state = 0;"
    "CREATE TABLE aicp_budget_adjustment ("
    " id TEXT PRIMARY KEY, account TEXT NOT NULL, seq BIGINT NOT NULL,"
    " amount BIGINT NOT NULL, reason TEXT NOT NULL, at_ns BIGINT NOT NULL);"
    "CREATE TABLE aicp_budget_event ("
    " account TEXT NOT NULL, seq BIGINT NOT NULL, threshold TEXT NOT NULL,"
    " spent BIGINT NOT NULL, limit_nano BIGINT NOT NULL, at_ns BIGINT NOT NULL,"
    " node TEXT NOT NULL, PRIMARY KEY (account, seq, threshold))",
    "CREATE INDEX aicp_budget_reservation_old ON aicp_budget_reservation (deadline_ns)"
    " WHERE state <> 0",
    "CREATE TABLE aicp_budget_minute ("
    " minute BIGINT NOT NULL, account TEXT NOT NULL, spent BIGINT NOT NULL,"
    " PRIMARY KEY (minute, account))",
    "CREATE TABLE aicp_budget_answer ("
    " node TEXT PRIMARY KEY, batch BIGINT NOT NULL, answer AICPI_BLOB NOT NULL)",
};
const size_t aicpi_budget_schema_count = sizeof aicpi_budget_schema / sizeof *aicpi_budget_schema;

#define ACCOUNT_COLUMNS                                                                            \
    "SELECT rev, limit_nano, temp_increase, temp_until_ns, rollover_max, anchor_ns, align,"        \
    " unknown_price, frozen, thresholds, duration, timezone, reset_time"                           \
    " FROM aicp_budget_account WHERE id = ?"

/* ---- accounts ---- */

/* "p80 n1000": per cent and amounts. What does not fit is ignored; only this program writes it. */
static void read_thresholds(aicpi_slice text, aicpi_budget_rule *rule) {
    const char *p = text.data;
    const char *end = p + text.len;
    while (p < end) {
        const char *stop = memchr(p, ' ', (size_t)(end - p));
        stop = stop ? stop : end;
        uint64_t n = 0;
        bool ok =
            stop - p > 1 && aicpi_parse_u64(aicpi_slice_of(p + 1, (size_t)(stop - p) - 1), &n);
        if (ok && *p == 'p' && rule->percents_count < AICP_LEDGER_THRESHOLDS_MAX) {
            rule->percents[rule->percents_count++] = (int32_t)n;
        } else if (ok && *p == 'n' && rule->amounts_count < AICP_LEDGER_THRESHOLDS_MAX) {
            rule->amounts[rule->amounts_count++] = (int64_t)n;
        }
        p = stop + 1;
    }
}

static void read_rule(aicpi_sql_stmt *q, aicpi_budget_rule *rule) {
    memset(rule, 0, sizeof *rule);
    rule->rev = aicpi_sql_i64(q, 0);
    rule->limit = aicpi_sql_i64(q, 1);
    rule->temp_increase = aicpi_sql_i64(q, 2);
    rule->temp_until_ns = aicpi_sql_i64(q, 3);
    rule->rollover_max = aicpi_sql_i64(q, 4);
    rule->anchor_ns = aicpi_sql_i64(q, 5);
    rule->align = (int32_t)aicpi_sql_i64(q, 6);
    rule->unknown_price = (int32_t)aicpi_sql_i64(q, 7);
    rule->frozen = (int32_t)aicpi_sql_i64(q, 8);
    read_thresholds(aicpi_sql_text(q, 9), rule);
}

aicp_status aicpi_budget_load(
    aicpi_sql *db,
    const aicp_allocator *a,
    aicpi_slice id,
    int64_t have_rev,
    aicpi_budget_rule *rule,
    aicp_budget_window **window,
    bool *found,
    aicp_error *err) {
    static const char plain[] = ACCOUNT_COLUMNS;
    static const char locking[] = ACCOUNT_COLUMNS " FOR UPDATE";
    aicpi_sql_stmt *q = NULL;
    *found = false;
    bool postgres = aicpi_sql_engine(db) == AICPI_SQL_POSTGRES;
    aicp_status s = aicpi_sql_prepare(db, postgres ? locking : plain, &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
        s = aicpi_sql_step(q, found, err);
    }
    if (s != AICP_OK || !*found) {
        return s;
    }
    read_rule(q, rule);
    if (window && rule->rev != have_rev) {
        aicpi_slice duration = aicpi_sql_text(q, 10);
        aicpi_slice zone = aicpi_sql_text(q, 11);
        aicpi_slice reset = aicpi_sql_text(q, 12);
        aicp_budget_window_options o = AICP_BUDGET_WINDOW_OPTIONS_INIT;
        o.timezone = zone.data;
        o.timezone_len = zone.len;
        o.reset_time = reset.data;
        o.reset_time_len = reset.len;
        o.anchor_ns = rule->anchor_ns;
        o.align = rule->align;
        o.allocator = a;
        s = aicp_budget_window_parse(duration.data, duration.len, &o, window, err);
    }
    aicpi_sql_reset(q);
    return s == AICP_OK ? s : aicpi_error_prefix(err, s, "account '%.*s'", (int)id.len, id.data);
}

int64_t aicpi_budget_limit(const aicpi_budget_rule *rule, int64_t carried, int64_t now_ns) {
    if (rule->limit == AICP_LEDGER_UNLIMITED) {
        return AICP_LEDGER_UNLIMITED;
    }
    /* Each term is at most AICP_LEDGER_LIMIT_MAX: no overflow. */
    return rule->limit + carried + (now_ns < rule->temp_until_ns ? rule->temp_increase : 0);
}

/* ---- windows ---- */

static aicp_status newest_window(
    aicpi_sql *db, aicpi_slice id, aicpi_budget_window_row *row, bool *found, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT seq, start_ns, end_ns, spent, held, carried, recall_ns FROM aicp_budget_window"
        " WHERE account = ? ORDER BY seq DESC LIMIT 1",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
        s = aicpi_sql_step(q, found, err);
    }
    if (s == AICP_OK && *found) {
        *row = (aicpi_budget_window_row){
            aicpi_sql_i64(q, 0),
            aicpi_sql_i64(q, 1),
            aicpi_sql_i64(q, 2),
            aicpi_sql_i64(q, 3),
            aicpi_sql_i64(q, 4),
            aicpi_sql_i64(q, 5),
            aicpi_sql_i64(q, 6)};
        aicpi_sql_reset(q);
    }
    return s;
}

static aicp_status
insert_window(aicpi_sql *db, aicpi_slice id, const aicpi_budget_window_row *row, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_budget_window"
        " (account, seq, start_ns, end_ns, spent, held, carried, recall_ns)"
        " VALUES (?, ?, ?, ?, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
        aicpi_sql_bind_i64(q, 2, row->seq);
        aicpi_sql_bind_i64(q, 3, row->start_ns);
        aicpi_sql_bind_i64(q, 4, row->end_ns);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

static aicp_status
set_carried(aicpi_sql *db, aicpi_slice id, int64_t seq, int64_t carried, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db, "UPDATE aicp_budget_window SET carried = ? WHERE account = ? AND seq = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, carried);
        aicpi_sql_bind_text(q, 2, id.data, id.len);
        aicpi_sql_bind_i64(q, 3, seq);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

/* What the window before left unspent, as far as the rule carries it on. Looked at again each time,
 * as nodes give back what they held of a closed window only after its end. */
static aicp_status carry(
    aicpi_sql *db,
    aicpi_slice id,
    const aicpi_budget_rule *rule,
    aicpi_budget_window_row *row,
    aicp_error *err) {
    if (rule->rollover_max <= 0 || rule->limit == AICP_LEDGER_UNLIMITED || row->seq <= 1) {
        return AICP_OK;
    }
    aicpi_sql_stmt *q = NULL;
    bool found = false;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT carried, spent, held, end_ns FROM aicp_budget_window WHERE account = ? AND seq = ?",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
        aicpi_sql_bind_i64(q, 2, row->seq - 1);
        s = aicpi_sql_step(q, &found, err);
    }
    if (s != AICP_OK || !found) {
        return s;
    }
    int64_t limit = aicpi_budget_limit(rule, aicpi_sql_i64(q, 0), aicpi_sql_i64(q, 3));
    int64_t left = limit - aicpi_sql_i64(q, 1) - aicpi_sql_i64(q, 2);
    aicpi_sql_reset(q);
    left = left > 0 ? left : 0;
    left = left < rule->rollover_max ? left : rule->rollover_max;
    if (left == row->carried) {
        return AICP_OK;
    }
    row->carried = left;
    return set_carried(db, id, row->seq, left, err);
}

/* Rolling is opening the next row, never touching the old one. A clock that went back leaves the
 * newest window open. */
aicp_status aicpi_budget_open_window(
    aicpi_sql *db,
    aicpi_slice id,
    const aicpi_budget_rule *rule,
    const aicp_budget_window *window,
    int64_t now_ns,
    aicpi_budget_window_row *row,
    aicp_error *err) {
    bool found = false;
    *row = (aicpi_budget_window_row){.start_ns = INT64_MIN, .end_ns = INT64_MIN};
    aicp_status s = newest_window(db, id, row, &found, err);
    if (s != AICP_OK || (found && now_ns < row->end_ns)) {
        return s == AICP_OK ? carry(db, id, rule, row, err) : s;
    }
    aicpi_budget_window_row next = {.seq = row->seq + 1};
    s = aicp_budget_window_at(window, now_ns, &next.start_ns, &next.end_ns, err);
    if (found && next.start_ns < row->end_ns) {
        next.start_ns = row->end_ns;
    }
    if (s == AICP_OK) {
        s = insert_window(db, id, &next, err);
    }
    if (s == AICP_OK) {
        *row = next;
        s = newest_window(db, id, row, &found, err);
    }
    return s == AICP_OK ? carry(db, id, rule, row, err) : s;
}

aicp_status aicpi_budget_window_for(
    aicpi_sql *db, aicpi_slice id, int64_t at_ns, int64_t *seq, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    *seq = 0;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT seq FROM aicp_budget_window WHERE account = ?"
        " ORDER BY CASE WHEN start_ns <= ? AND end_ns > ? THEN 0 ELSE 1 END, seq DESC LIMIT 1",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, id.data, id.len);
        aicpi_sql_bind_i64(q, 2, at_ns);
        aicpi_sql_bind_i64(q, 3, at_ns);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK && row) {
        *seq = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    return s;
}

aicp_status aicpi_budget_add(
    aicpi_sql *db, aicpi_slice id, int64_t seq, int64_t spent, int64_t held, aicp_error *err) {
    if (spent == 0 && held == 0) {
        return AICP_OK;
    }
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "UPDATE aicp_budget_window SET spent = spent + ?, held = held + ?"
        " WHERE account = ? AND seq = ?",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, spent);
        aicpi_sql_bind_i64(q, 2, held);
        aicpi_sql_bind_text(q, 3, id.data, id.len);
        aicpi_sql_bind_i64(q, 4, seq);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

aicp_status aicpi_budget_note_spend(
    aicpi_sql *db, aicpi_slice id, int64_t now_ns, int64_t spent, aicp_error *err) {
    if (spent == 0) {
        return AICP_OK;
    }
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_budget_minute (minute, account, spent) VALUES (?, ?, ?)"
        " ON CONFLICT (minute, account) DO UPDATE"
        " SET spent = aicp_budget_minute.spent + excluded.spent",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, now_ns / AICPI_BUDGET_MINUTE_NS);
        aicpi_sql_bind_text(q, 2, id.data, id.len);
        aicpi_sql_bind_i64(q, 3, spent);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

/* ---- events ---- */

static aicp_status insert_event(
    aicpi_sql *db,
    const aicpi_budget_passing *p,
    const char *threshold,
    bool *new,
    aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(
        db,
        "INSERT INTO aicp_budget_event (account, seq, threshold, spent, limit_nano, at_ns, node)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, p->id.data, p->id.len);
        aicpi_sql_bind_i64(q, 2, p->seq);
        aicpi_sql_bind_text(q, 3, threshold, strlen(threshold));
        aicpi_sql_bind_i64(q, 4, p->spent);
        aicpi_sql_bind_i64(q, 5, p->limit);
        aicpi_sql_bind_i64(q, 6, p->now_ns);
        aicpi_sql_bind_text(q, 7, p->node.data, p->node.len);
        s = aicpi_sql_run(q, err);
    }
    *new = s == AICP_OK &&aicpi_sql_changes(db) > 0;
    return s;
}

static aicp_status reach(
    aicpi_sql *db,
    const aicpi_budget_passing *p,
    int32_t percent,
    int64_t amount,
    aicpi_budget_raise_fn raised,
    void *user,
    aicp_error *err) {
    char threshold[32];
    if (percent > 0) {
        (void)snprintf(threshold, sizeof threshold, "p%d", (int)percent);
    } else {
        (void)snprintf(threshold, sizeof threshold, "n%lld", (long long)amount);
    }
    bool new = false;
    aicp_status s = insert_event(db, p, threshold, &new, err);
    if (s != AICP_OK || !new) {
        return s;
    }
    aicp_ledger_event e = {
        .size = sizeof e,
        .window = p->seq,
        .window_end_ns = p->end_ns,
        .threshold_nano = amount,
        .threshold_percent = percent,
        .account_len = (uint32_t)p->id.len,
        .spent_nano = p->spent,
        .limit_nano = p->limit,
    };
    memcpy(e.account, p->id.data, p->id.len);
    return raised(user, &e, err);
}

aicp_status aicpi_budget_raise(
    aicpi_sql *db,
    const aicpi_budget_passing *p,
    aicpi_budget_raise_fn raised,
    void *user,
    aicp_error *err) {
    const aicpi_budget_rule *rule = p->rule;
    aicp_status s = AICP_OK;
    uint32_t bit = 1;
    for (int32_t i = 0; i < rule->percents_count && s == AICP_OK; i++, bit <<= 1) {
        int32_t percent = rule->percents[i];
        int64_t amount = p->limit / 100 * percent + p->limit % 100 * percent / 100;
        bool reached = p->limit != AICP_LEDGER_UNLIMITED && p->spent > 0 && p->spent >= amount;
        if (reached && !(*p->known & bit)) {
            s = reach(db, p, percent, amount, raised, user, err);
            *p->known |= bit;
        }
    }
    for (int32_t i = 0; i < rule->amounts_count && s == AICP_OK; i++, bit <<= 1) {
        if (p->spent >= rule->amounts[i] && !(*p->known & bit)) {
            s = reach(db, p, 0, rule->amounts[i], raised, user, err);
            *p->known |= bit;
        }
    }
    return s;
}
