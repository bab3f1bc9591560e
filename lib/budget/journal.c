/* Settlements that the store could not be told, kept in a SQLite file of their own until it can. A
 * row says what a settlement by id and accounts says, so that telling it twice does no harm. */
#include "lib/budget/remote.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <stdio.h>
#include <string.h>

#define CHUNK 256
#define REPLAY_CHUNK 64
#define WAIT_NS (uint64_t) AICPI_SECOND_NS
#define ACCOUNTS_BYTES ((AICP_LEDGER_ACCOUNT_MAX + 2) * AICP_LEDGER_ACCOUNTS_MAX)

static const char *const schema[] = {
    "CREATE TABLE aicp_budget_journal ("
    " id TEXT PRIMARY KEY, node TEXT NOT NULL, accounts AICPI_BLOB NOT NULL,"
    " actual BIGINT NOT NULL, reserved_ns BIGINT NOT NULL, flags BIGINT NOT NULL)",
};

/* ---- writing ---- */

typedef struct entry {
    aicpi_budget_record *record; /* its id and accounts do not change */
    int64_t actual;
    int32_t flags;
} entry;

typedef struct writing {
    aicpi_slice node;
    entry entries[CHUNK];
    size_t count;
} writing;

/* Length (2 bytes) and bytes of each. */
static size_t encode_accounts(const aicpi_budget_record *r, unsigned char out[ACCOUNTS_BYTES]) {
    size_t n = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const aicpi_budget_account *a = r->holds[i]->account;
        out[n++] = (unsigned char)(a->id_len >> 8);
        out[n++] = (unsigned char)(a->id_len & 0xff);
        memcpy(out + n, a->id, a->id_len);
        n += a->id_len;
    }
    return n;
}

static aicp_status write_entries(aicpi_sql *db, void *user, aicp_error *err) {
    const writing *w = user;
    unsigned char accounts[ACCOUNTS_BYTES];
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < w->count && s == AICP_OK; i++) {
        const entry *e = &w->entries[i];
        aicpi_sql_stmt *q = NULL;
        s = aicpi_sql_prepare(
            db,
            "INSERT INTO aicp_budget_journal (id, node, accounts, actual, reserved_ns, flags)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET node = excluded.node,"
            " actual = excluded.actual, flags = excluded.flags",
            &q,
            err);
        if (s == AICP_OK) {
            aicpi_sql_bind_text(q, 1, e->record->id, e->record->id_len);
            aicpi_sql_bind_text(q, 2, w->node.data, w->node.len);
            aicpi_sql_bind_blob(q, 3, accounts, encode_accounts(e->record, accounts));
            aicpi_sql_bind_i64(q, 4, e->actual);
            aicpi_sql_bind_i64(q, 5, e->record->reserved_at_ns);
            aicpi_sql_bind_i64(q, 6, e->flags & FLAG_ESTIMATED);
            s = aicpi_sql_run(q, err);
        }
    }
    return s;
}

static void add_entry(writing *w, aicpi_budget_record *r) {
    if (r->state == ROW_POSTED && !(r->flags & FLAG_JOURNALED)) {
        w->entries[w->count++] = (entry){r, r->actual, r->flags};
    }
}

/* Writes what was collected; gives the lock up meanwhile. */
static aicp_status put_entries(aicpi_budget_core *c, writing *w, aicp_error *err) {
    if (w->count == 0) {
        return AICP_OK;
    }
    c->journal_used = true;
    pthread_mutex_unlock(&c->lock);
    aicp_status s = aicpi_sql_transact(c->journal, 0, write_entries, w, err);
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < w->count && s == AICP_OK; i++) {
        aicpi_budget_record *r = w->entries[i].record;
        if (r->actual == w->entries[i].actual) {
            r->flags |= FLAG_JOURNALED;
            c->journaled++;
        }
    }
    w->count = 0;
    return s;
}

/* A record in the list of unsent ones stays there: only the leader, which is the caller, takes any
 * out. The rows of a pass in doubt are in no list. */
void aicpi_budget_journal_write(aicpi_budget_core *c) {
    writing w = {.node = aicpi_slice_cstr(c->node)};
    aicp_error err = {0};
    aicp_status s = AICP_OK;
    if (!c->journal) {
        return;
    }
    for (size_t i = 0; c->pass.doubt && i < c->pass.rows_count && s == AICP_OK; i++) {
        add_entry(&w, c->pass.rows[i].record);
        s = w.count == CHUNK ? put_entries(c, &w, &err) : s;
    }
    for (aicpi_budget_record *r = c->dirty.first; r && s == AICP_OK; r = r->next) {
        add_entry(&w, r);
        s = w.count == CHUNK ? put_entries(c, &w, &err) : s;
    }
    s = s == AICP_OK ? put_entries(c, &w, &err) : s;
    if (s != AICP_OK) {
        aicpi_log_write(
            &c->log, AICP_LOG_ERROR, "the journal of settlements failed: %s", err.message);
    }
}

static aicp_status clear_node(aicpi_sql *db, void *user, aicp_error *err) {
    const aicpi_budget_core *c = user;
    aicpi_sql_stmt *q = NULL;
    aicp_status s =
        aicpi_sql_prepare(db, "DELETE FROM aicp_budget_journal WHERE node = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, c->node, strlen(c->node));
        s = aicpi_sql_run(q, err);
    }
    return s;
}

/* What is left for another time is told again then, which does no harm. */
void aicpi_budget_journal_clear(aicpi_budget_core *c) {
    aicp_error err = {0};
    if (!c->journal || !c->journal_used || c->journaled > 0) {
        return;
    }
    pthread_mutex_unlock(&c->lock);
    aicp_status s = aicpi_sql_transact(c->journal, 0, clear_node, c, &err);
    pthread_mutex_lock(&c->lock);
    c->journal_used = s != AICP_OK;
    if (s != AICP_OK) {
        aicpi_log_write(
            &c->log, AICP_LOG_WARN, "the journal of settlements was not cleared: %s", err.message);
    }
}

/* ---- replaying ---- */

typedef struct kept {
    char id[AICP_LEDGER_ID_MAX];
    size_t id_len;
    unsigned char accounts[ACCOUNTS_BYTES];
    size_t accounts_len;
    int64_t actual;
    int64_t reserved_ns;
    int64_t flags;
} kept;

typedef struct replaying {
    aicpi_budget_core *core;
    kept entries[REPLAY_CHUNK];
    size_t count;
    size_t booked;
} replaying;

static size_t copy_bytes(void *out, size_t size, aicpi_slice from) {
    size_t n = from.len < size ? from.len : size;
    memcpy(out, from.data, n);
    return n;
}

static aicp_status read_entries(replaying *r, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    r->count = 0;
    aicp_status s = aicpi_sql_prepare(
        r->core->journal,
        "SELECT id, accounts, actual, reserved_ns, flags FROM aicp_budget_journal"
        " ORDER BY id LIMIT 64",
        &q,
        err);
    bool row = s == AICP_OK;
    while (s == AICP_OK && row) {
        s = aicpi_sql_step(q, &row, err);
        if (s != AICP_OK || !row || r->count == REPLAY_CHUNK) {
            break;
        }
        kept *e = &r->entries[r->count++];
        e->id_len = copy_bytes(e->id, sizeof e->id, aicpi_sql_text(q, 0));
        e->accounts_len = copy_bytes(e->accounts, sizeof e->accounts, aicpi_sql_blob(q, 1));
        e->actual = aicpi_sql_i64(q, 2);
        e->reserved_ns = aicpi_sql_i64(q, 3);
        e->flags = aicpi_sql_i64(q, 4);
    }
    if (q) {
        aicpi_sql_reset(q);
    }
    return s;
}

/* False when the file does not hold what this program writes. */
static bool
decode_accounts(const kept *e, aicpi_slice accounts[AICP_LEDGER_ACCOUNTS_MAX], size_t *count) {
    *count = 0;
    for (size_t at = 0; at < e->accounts_len;) {
        if (at + 2 > e->accounts_len || *count == AICP_LEDGER_ACCOUNTS_MAX) {
            return false;
        }
        size_t len = (size_t)e->accounts[at] << 8 | e->accounts[at + 1];
        at += 2;
        if (len < 1 || len > AICP_LEDGER_ACCOUNT_MAX || len > e->accounts_len - at) {
            return false;
        }
        accounts[(*count)++] = aicpi_slice_of((const char *)e->accounts + at, len);
        at += len;
    }
    return e->id_len > 0 && e->actual >= 0 && e->actual <= AICP_LEDGER_AMOUNT_MAX;
}

static aicp_status tell_store(aicpi_sql *db, void *user, aicp_error *err) {
    replaying *r = user;
    aicp_status s = AICP_OK;
    r->booked = 0;
    for (size_t i = 0; i < r->count && s == AICP_OK; i++) {
        const kept *e = &r->entries[i];
        aicpi_slice accounts[AICP_LEDGER_ACCOUNTS_MAX];
        size_t count = 0;
        if (!decode_accounts(e, accounts, &count)) {
            continue;
        }
        aicpi_budget_recovery v = {
            .id = aicpi_slice_of(e->id, e->id_len),
            .node = aicpi_slice_cstr(r->core->node),
            .accounts = accounts,
            .count = count,
            .actual = e->actual,
            .reserved_at_ns = e->reserved_ns,
            .flags = (int32_t)(e->flags & FLAG_ESTIMATED),
        };
        s = r->core->remote ? aicpi_budget_remote_recover(
                                  r->core, aicpi_monotonic_ns(&r->core->clock) + WAIT_NS, &v, err)
                            : aicpi_budget_recover(db, &v, err);
        r->booked += s == AICP_OK && v.outcome == AICP_OK;
    }
    return s;
}

static aicp_status forget_entries(aicpi_sql *db, void *user, aicp_error *err) {
    const replaying *r = user;
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < r->count && s == AICP_OK; i++) {
        aicpi_sql_stmt *q = NULL;
        s = aicpi_sql_prepare(
            db, "DELETE FROM aicp_budget_journal WHERE id = ? AND actual = ?", &q, err);
        if (s == AICP_OK) {
            aicpi_sql_bind_text(q, 1, r->entries[i].id, r->entries[i].id_len);
            aicpi_sql_bind_i64(q, 2, r->entries[i].actual);
            s = aicpi_sql_run(q, err);
        }
    }
    return s;
}

static aicp_status replay(aicpi_budget_core *c, aicp_error *err) {
    replaying *r = aicpi_calloc(&c->allocator, 1, sizeof *r);
    if (!r) {
        return aicpi_nomem(err);
    }
    size_t booked = 0;
    r->core = c;
    aicp_status s = read_entries(r, err);
    while (s == AICP_OK && r->count > 0) {
        s = c->remote ? tell_store(NULL, r, err) : aicpi_sql_transact(c->db, 0, tell_store, r, err);
        booked += s == AICP_OK ? r->booked : 0;
        s = s == AICP_OK ? aicpi_sql_transact(c->journal, 0, forget_entries, r, err) : s;
        s = s == AICP_OK ? read_entries(r, err) : s;
    }
    c->metrics.recovered += booked;
    if (booked > 0) {
        aicpi_log_write(
            &c->log, AICP_LOG_WARN, "booked %zu settlements out of the journal", booked);
    }
    aicpi_free(&c->allocator, r);
    return s;
}

void aicpi_budget_journal_replay(aicpi_budget_core *c) {
    aicp_error err = {0};
    c->replay_due = replay(c, &err) != AICP_OK;
    if (c->replay_due) {
        aicpi_log_write(
            &c->log, AICP_LOG_WARN, "the journal of settlements waits: %s", err.message);
    }
}

aicp_status aicpi_budget_journal_open(aicpi_budget_core *c, aicp_error *err) {
    if (c->journal_path_len == 0) {
        return AICP_OK;
    }
    aicpi_strbuf url;
    aicpi_sql_options o = {.allocator = &c->allocator, .connect_timeout_ns = WAIT_NS};
    aicpi_strbuf_init(&url, &c->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_puts(&url, "sqlite://");
    for (size_t i = 0; i < c->journal_path_len; i++) {
        if (c->journal_path[i] == '%') {
            aicpi_strbuf_puts(&url, "%25");
        } else {
            aicpi_strbuf_putc(&url, c->journal_path[i]);
        }
    }
    aicp_status s =
        url.failed ? aicpi_nomem(err) : aicpi_sql_open(url.data, url.len, &o, &c->journal, err);
    aicpi_strbuf_deinit(&url);
    if (s == AICP_OK) {
        s = aicpi_sql_migrate(
            c->journal, "budget_journal", schema, sizeof schema / sizeof *schema, err);
    }
    if (s == AICP_OK && c->remote) { /* whose server may be away for now */
        aicpi_budget_journal_replay(c);
        return AICP_OK;
    }
    s = s == AICP_OK ? replay(c, err) : s;
    return s == AICP_OK ? s : aicpi_error_prefix(err, s, "journal of settlements");
}
