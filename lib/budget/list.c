/* What a control plane shows: accounts, reservations in flight, recent spend. */
#include "lib/budget/budget_internal.h"

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

#define WAIT_NS (5 * (uint64_t)AICPI_SECOND_NS)
#define ROWS_DEFAULT 100
#define ROWS_MOST 1000

struct aicp_ledger_page {
    aicp_allocator allocator;
    aicpi_arena texts;
    size_t count;
    aicp_ledger_account_row *accounts;
    size_t accounts_capacity;
    aicp_ledger_reservation_row *reservations;
    size_t reservations_capacity;
};

typedef struct listing {
    aicp_ledger_query query;
    aicpi_slice account;
    aicp_ledger_page *page;
    uint32_t limit;
    int64_t now_ns;
} listing;

/* ---- pages ---- */

void aicp_ledger_page_free(aicp_ledger_page *page) {
    if (!page) {
        return;
    }
    aicp_allocator a = page->allocator;
    aicpi_arena_deinit(&page->texts);
    aicpi_free(&a, page->accounts);
    aicpi_free(&a, page->reservations);
    aicpi_free(&a, page);
}

size_t aicp_ledger_page_count(const aicp_ledger_page *page) {
    return page ? page->count : 0;
}

const aicp_ledger_account_row *
aicp_ledger_page_account(const aicp_ledger_page *page, size_t index) {
    return page && page->accounts && index < page->count ? &page->accounts[index] : NULL;
}

const aicp_ledger_reservation_row *
aicp_ledger_page_reservation(const aicp_ledger_page *page, size_t index) {
    return page && page->reservations && index < page->count ? &page->reservations[index] : NULL;
}

static const char *keep_text(aicp_ledger_page *page, aicpi_slice text) {
    return aicpi_arena_strndup(&page->texts, text.data, text.len);
}

static void empty(aicp_ledger_page *page) {
    page->count = 0;
    aicpi_arena_reset(&page->texts);
}

/* ---- accounts ---- */

static aicp_status add_account(aicpi_sql_stmt *q, listing *l, aicp_error *err) {
    aicp_ledger_page *p = l->page;
    aicpi_slice id = aicpi_sql_text(q, 0);
    const char *copy = keep_text(p, id);
    if (!copy || !aicpi_grow(
                     &p->allocator,
                     (void **)&p->accounts,
                     &p->accounts_capacity,
                     p->count,
                     sizeof *p->accounts)) {
        return aicpi_nomem(err);
    }
    aicpi_budget_rule rule = {
        .limit = aicpi_sql_i64(q, 1),
        .temp_increase = aicpi_sql_i64(q, 2),
        .temp_until_ns = aicpi_sql_i64(q, 3),
    };
    int64_t limit = aicpi_budget_limit(&rule, aicpi_sql_i64(q, 10), l->now_ns);
    int64_t spent = aicpi_sql_i64(q, 8);
    int64_t held = aicpi_sql_i64(q, 9);
    int64_t left = limit - spent - held;
    p->accounts[p->count++] = (aicp_ledger_account_row){
        .id = copy,
        .id_len = id.len,
        .limit_nano = limit,
        .spent_nano = spent,
        .held_nano = held,
        .remaining_nano = limit == AICP_LEDGER_UNLIMITED ? INT64_MAX
                          : left > 0                     ? left
                                                         : 0,
        .window_start_ns = aicpi_sql_i64(q, 6),
        .window_end_ns = aicpi_sql_i64(q, 7),
        .window = aicpi_sql_i64(q, 5),
        .frozen = aicpi_sql_i64(q, 4) != 0,
    };
    return AICP_OK;
}

static void bind_query(aicpi_sql_stmt *q, int32_t from, const listing *l) {
    aicpi_sql_bind_text(q, from, l->query.after, l->query.after_len);
    aicpi_sql_bind_text(q, from + 1, l->query.prefix, l->query.prefix_len);
    aicpi_sql_bind_text(q, from + 2, l->query.prefix, l->query.prefix_len);
    aicpi_sql_bind_i64(q, from + 3, l->limit);
}

#define PAGE                                                                                       \
    ".id > ? AND substr(r.id, 1, length(CAST(? AS TEXT))) = CAST(? AS TEXT) ORDER BY r.id LIMIT ?"

static aicp_status read_accounts(aicpi_sql *db, void *user, aicp_error *err) {
    listing *l = user;
    aicpi_sql_stmt *q = NULL;
    empty(l->page);
    aicp_status s = aicpi_sql_now(db, &l->now_ns, err);
    if (s == AICP_OK) {
        s = aicpi_sql_prepare(
            db,
            "SELECT r.id, r.limit_nano, r.temp_increase, r.temp_until_ns, r.frozen, w.seq,"
            " w.start_ns, w.end_ns, w.spent, w.held, w.carried FROM aicp_budget_account r"
            " JOIN aicp_budget_window w ON w.account = r.id AND w.seq ="
            " (SELECT max(x.seq) FROM aicp_budget_window x WHERE x.account = r.id) WHERE r" PAGE,
            &q,
            err);
    }
    bool row = s == AICP_OK;
    if (row) {
        bind_query(q, 1, l);
    }
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
        s = s == AICP_OK && row ? add_account(q, l, err) : s;
    }
    return s;
}

/* Windows that ended since anybody used the account are opened now. */
static aicp_status
open_windows(aicp_ledger *ledger, listing *l, uint64_t deadline, aicp_error *err) {
    for (size_t i = 0; i < l->page->count; i++) {
        aicp_ledger_account_row *row = &l->page->accounts[i];
        aicp_ledger_status st = AICP_LEDGER_STATUS_INIT;
        if (l->now_ns < row->window_end_ns) {
            continue;
        }
        aicp_status s =
            aicp_ledger_account_status(ledger, row->id, row->id_len, deadline, &st, err);
        if (s != AICP_OK) {
            return s;
        }
        row->limit_nano = st.limit_nano;
        row->spent_nano = st.spent_nano;
        row->held_nano = st.held_nano;
        row->remaining_nano = st.remaining_nano;
        row->window_start_ns = st.window_start_ns;
        row->window_end_ns = st.window_end_ns;
        row->window = st.window;
    }
    return AICP_OK;
}

/* ---- reservations ---- */

static aicp_status add_reservation(aicpi_sql_stmt *q, listing *l, aicp_error *err) {
    aicp_ledger_page *p = l->page;
    aicpi_slice id = aicpi_sql_text(q, 0);
    const char *copy = keep_text(p, id);
    if (!copy || !aicpi_grow(
                     &p->allocator,
                     (void **)&p->reservations,
                     &p->reservations_capacity,
                     p->count,
                     sizeof *p->reservations)) {
        return aicpi_nomem(err);
    }
    p->reservations[p->count++] = (aicp_ledger_reservation_row){
        .id = copy,
        .id_len = id.len,
        .amount_nano = aicpi_sql_i64(q, 1),
        .estimate_nano = aicpi_sql_i64(q, 2),
        .reserved_at_ns = aicpi_sql_i64(q, 3),
        .deadline_ns = aicpi_sql_i64(q, 4),
        .window = aicpi_sql_i64(q, 5),
        .dispatched = (aicpi_sql_i64(q, 6) & FLAG_DISPATCHED) != 0,
    };
    return AICP_OK;
}

static aicp_status read_reservations(aicpi_sql *db, void *user, aicp_error *err) {
    listing *l = user;
    aicpi_sql_stmt *q = NULL;
    empty(l->page);
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT r.id, r.amount, r.estimate, r.reserved_ns, r.deadline_ns, r.seq, r.flags"
        " FROM aicp_budget_reservation r WHERE r.state = 0 AND r.account = ? AND r" PAGE,
        &q,
        err);
    bool row = s == AICP_OK;
    if (row) {
        aicpi_sql_bind_text(q, 1, l->account.data, l->account.len);
        bind_query(q, 2, l);
    }
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
        s = s == AICP_OK && row ? add_reservation(q, l, err) : s;
    }
    return s;
}

/* ---- calls ---- */

static aicp_status check_query(const aicp_ledger_query *q, size_t most, aicp_error *err) {
    if (q->limit > ROWS_MOST) {
        return aicpi_fail(err, AICP_ERR_RANGE, "a page has at most %d rows", ROWS_MOST);
    }
    aicp_status s = AICP_OK;
    if (q->prefix_len > 0) {
        s = aicpi_budget_check_text(q->prefix, q->prefix_len, most, "prefix", err);
    }
    if (s == AICP_OK && q->after_len > 0) {
        s = aicpi_budget_check_text(q->after, q->after_len, most, "after", err);
    }
    return s;
}

static aicp_ledger_page *new_page(const aicp_allocator *a) {
    aicp_ledger_page *p = aicpi_calloc(a, 1, sizeof *p);
    if (p) {
        p->allocator = *a;
        aicpi_arena_init(&p->texts, &p->allocator, 0, 0);
    }
    return p;
}

static aicp_status
run(aicp_ledger *ledger,
    listing *l,
    const aicp_ledger_query *query,
    aicpi_sql_fn read,
    aicp_ledger_page **out,
    aicp_error *err) {
    aicp_ledger_query own = AICP_LEDGER_QUERY_INIT;
    aicp_status s = aicpi_options_copy(&own, sizeof own, query, "aicp_ledger_query", err);
    size_t most = l->account.len ? AICP_LEDGER_ID_MAX : AICP_LEDGER_ACCOUNT_MAX;
    s = s == AICP_OK ? check_query(&own, most, err) : s;
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    if (c->remote) {
        return aicpi_fail(err, AICP_ERR_UNSUPPORTED, "lists are for who has the store");
    }
    l->query = own;
    l->limit = own.limit ? own.limit : ROWS_DEFAULT;
    l->page = new_page(&c->allocator);
    if (!l->page) {
        return aicpi_nomem(err);
    }
    pthread_mutex_lock(&c->lock);
    uint64_t deadline = own.deadline_ns ? own.deadline_ns : aicpi_budget_mono(c) + WAIT_NS;
    s = aicpi_budget_transact(c, deadline, read, l, err);
    pthread_mutex_unlock(&c->lock);
    s = s == AICP_OK && l->page->accounts ? open_windows(ledger, l, deadline, err) : s;
    if (s != AICP_OK) {
        aicp_ledger_page_free(l->page);
        return s;
    }
    *out = l->page;
    return AICP_OK;
}

aicp_status aicp_ledger_account_list(
    aicp_ledger *ledger, const aicp_ledger_query *query, aicp_ledger_page **out, aicp_error *err) {
    if (!out) {
        return aicpi_fail(err, AICP_ERR_INVALID, "out must not be NULL");
    }
    *out = NULL;
    listing l = {.account = {NULL, 0}};
    return run(ledger, &l, query, read_accounts, out, err);
}

aicp_status aicp_ledger_reservation_list(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    const aicp_ledger_query *query,
    aicp_ledger_page **out,
    aicp_error *err) {
    if (!out) {
        return aicpi_fail(err, AICP_ERR_INVALID, "out must not be NULL");
    }
    *out = NULL;
    listing l = {.account = aicpi_slice_of(data, len)};
    aicp_status s = aicpi_budget_check_text(data, len, AICP_LEDGER_ACCOUNT_MAX, "account id", err);
    return s == AICP_OK ? run(ledger, &l, query, read_reservations, out, err) : s;
}

/* ---- recent spend ---- */

typedef struct summing {
    aicpi_slice account;
    int64_t since_ns;
    int64_t sum;
    bool found;
} summing;

static aicp_status sum_spend(aicpi_sql *db, void *user, aicp_error *err) {
    summing *k = user;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(
        db,
        "SELECT CAST(coalesce(sum(m.spent), 0) AS BIGINT), (SELECT count(*)"
        " FROM aicp_budget_account a WHERE a.id = ?) FROM aicp_budget_minute m"
        " WHERE m.minute >= ? AND m.account = ?",
        &q,
        err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, k->account.data, k->account.len);
        aicpi_sql_bind_i64(q, 2, k->since_ns / AICPI_BUDGET_MINUTE_NS);
        aicpi_sql_bind_text(q, 3, k->account.data, k->account.len);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        k->sum = aicpi_sql_i64(q, 0);
        k->found = aicpi_sql_i64(q, 1) > 0;
        aicpi_sql_reset(q);
    }
    return s;
}

aicp_status aicp_ledger_account_spend(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    int64_t since_ns,
    int64_t *nano,
    aicp_error *err) {
    aicp_status s = aicpi_budget_check_text(data, len, AICP_LEDGER_ACCOUNT_MAX, "account id", err);
    if (s == AICP_OK && !nano) {
        s = aicpi_fail(err, AICP_ERR_INVALID, "nano must not be NULL");
    }
    aicpi_budget_core *c = s == AICP_OK ? aicpi_budget_enter(ledger, err) : NULL;
    if (!c) {
        return s == AICP_OK ? AICP_ERR_STORE : s;
    }
    if (c->remote) {
        return aicpi_fail(err, AICP_ERR_UNSUPPORTED, "recent spend is for who has the store");
    }
    summing k = {.account = aicpi_slice_of(data, len), .since_ns = since_ns > 0 ? since_ns : 0};
    pthread_mutex_lock(&c->lock);
    s = aicpi_budget_transact(c, aicpi_budget_mono(c) + WAIT_NS, sum_spend, &k, err);
    pthread_mutex_unlock(&c->lock);
    if (s == AICP_OK && !k.found) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "no budget account '%.*s'", (int)len, data);
    }
    *nano = s == AICP_OK ? k.sum : 0;
    return s;
}
