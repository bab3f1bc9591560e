/* The ledger's memory and what its files share.
 *
 * Money of an account in one window ("hold") on this node, all durable in the store:
 *
 *     durable = free + pending + earmarked + give_back + unsent releases of records
 *
 * A reservation moves money from free to pending; a settlement turns pending into an unsent release
 * and what was not needed back into free. All memory is guarded by `lock`. One thread at a time,
 * the leader, talks to the store, without the lock: it collects what there is to do into a pass,
 * runs it as one transaction, and applies the outcome. */
#ifndef AICPI_BUDGET_INTERNAL_H
#define AICPI_BUDGET_INTERNAL_H

#include "aicp/budget.h"

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/slice.h"
#include "lib/base/strbuf.h"
#include "lib/base/thread.h"
#include "lib/sql/sql.h"

#define AICPI_BUDGET_WANTS 256
#define AICPI_BUDGET_EVENTS 256
#define AICPI_BUDGET_NODE_SIZE 128
#define AICPI_BUDGET_PASS_NS (5 * UINT64_C(1000000000)) /* longest one pass may take */

/* States as stored. */
enum { ROW_PENDING = 0, ROW_POSTED = 1, ROW_VOIDED = 2, ROW_EXPIRED = 3 };

/* Flags as stored. */
enum {
    FLAG_DISPATCHED = 1,
    FLAG_ESTIMATED = 2,
    FLAG_LATE = 4,
    FLAG_RECOVERED = 8,
    FLAG_OVERRUN = 16,
    FLAG_STORED_MASK = 31,
    /* Of memory only. */
    FLAG_STORED = 256,     /* the store has rows of it */
    FLAG_RECOVER = 512,    /* its hold is not ours: settle by looking at the rows */
    FLAG_DIRTY = 1024,     /* in the list of unsent records */
    FLAG_DONE = 2048,      /* in the list of remembered records */
    FLAG_BUSY = 4096,      /* a pass has it */
    FLAG_JOURNALED = 8192, /* the journal has it as it is */
};

typedef struct aicpi_budget_account aicpi_budget_account;

typedef struct aicpi_budget_hold {
    aicpi_budget_account *account;
    struct aicpi_budget_hold *next; /* of the same account, newest first */
    int64_t seq;                    /* number of the window; 0: a recovered record's */
    int64_t start_ns;
    int64_t end_ns;
    int64_t durable;
    int64_t free;
    int64_t pending;
    int64_t earmarked;
    int64_t give_back;
    int64_t unsent_release; /* of records whose settlement is not in the store */
    int64_t unsent_spent;
    int64_t answered_ns; /* the last recall that this hold has answered */
    uint64_t records;    /* that point here */
    uint64_t used_ns;
    size_t delta; /* index + 1 in the pass at hand */
} aicpi_budget_hold;

/* The rule of an account as stored. */
typedef struct aicpi_budget_rule {
    int64_t rev;
    int64_t limit;
    int64_t temp_increase;
    int64_t temp_until_ns;
    int64_t rollover_max;
    int64_t anchor_ns;
    int32_t align;
    int32_t unknown_price;
    int32_t frozen;
    int32_t percents_count;
    int32_t amounts_count;
    int32_t percents[AICP_LEDGER_THRESHOLDS_MAX];
    int64_t amounts[AICP_LEDGER_THRESHOLDS_MAX];
} aicpi_budget_rule;

struct aicpi_budget_account {
    char *id;
    size_t id_len;
    bool known;  /* read from the store at least once */
    bool absent; /* the store has none */
    bool stale;  /* changed in the store since it was read */
    bool tight;  /* little is left: single reservations, free money goes back at once */
    bool hungry; /* somebody who cannot wait found too little here */
    aicpi_budget_rule rule;
    aicp_budget_window *window; /* of rule.rev; used by the leader only */
    int64_t window_rev;
    int64_t limit; /* with rollover and temporary increase, as of the last look */
    int64_t seen_spent;
    int64_t seen_held;
    uint64_t looked_ns;
    int64_t slice; /* size of the last slice */
    uint64_t slice_ns;
    int64_t nodes;     /* with money of the window, as of the last look */
    int64_t recall_ns; /* the last recall seen; free money goes back while it is young */
    /* The recall that a want has waited for in vain; a pass reads it without the lock. */
    _Atomic int64_t waited_ns;
    int64_t refused; /* what the store refused last, after all that others could give back */
    uint64_t refused_ns;
    int64_t raised_seq; /* the leader's: thresholds of this window known to be stored */
    uint32_t raised;
    aicpi_budget_hold *current; /* newest window, NULL before the first look */
    aicpi_budget_hold *holds;
    aicpi_budget_hold *spare;    /* for the next window */
    aicpi_budget_hold *recovery; /* seq 0 */
    size_t pass_index;           /* + 1 in the pass at hand */
};

typedef struct aicpi_budget_record {
    uint64_t hash;
    struct aicpi_budget_record *chain;
    struct aicpi_budget_record *previous; /* in the dirty or the done list */
    struct aicpi_budget_record *next;
    size_t heap_index; /* + 1; 0 = not in the heap */
    uint64_t deadline; /* monotonic */
    int64_t deadline_ns;
    int64_t reserved_at_ns;
    int64_t amount;
    int64_t actual;
    int64_t estimate;
    int64_t to_spend; /* not yet in the store */
    int64_t to_release;
    int32_t state;
    int32_t flags;
    aicp_status outcome; /* of settling by looking at the rows */
    uint32_t count;
    uint32_t id_len;
    char id[AICP_LEDGER_ID_MAX];
    aicpi_budget_hold *holds[AICP_LEDGER_ACCOUNTS_MAX];
} aicpi_budget_record;

typedef struct aicpi_budget_list {
    aicpi_budget_record *first;
    aicpi_budget_record *last;
    size_t count;
} aicpi_budget_list;

typedef struct aicpi_budget_slab aicpi_budget_slab;

typedef struct aicpi_budget_table {
    aicp_allocator allocator;
    aicpi_budget_record **buckets;
    size_t mask;
    size_t count;
    aicpi_budget_slab *slabs;
    aicpi_budget_record *unused;
    size_t records; /* in all slabs */
    aicpi_budget_record **heap;
    size_t heap_count;
    size_t heap_room; /* 0: must grow with the buckets */
    uint64_t seed;
} aicpi_budget_table;

/* A reservation that asks the store. On the stack of its caller. */
typedef struct aicpi_budget_want {
    struct aicpi_budget_want *next;
    aicpi_slice id;
    uint32_t count;
    aicpi_slice names[AICP_LEDGER_ACCOUNTS_MAX]; /* sorted, unique */
    uint32_t indexes[AICP_LEDGER_ACCOUNTS_MAX];  /* in the request */
    int64_t amount;
    uint64_t ttl_ns;
    uint64_t deadline;
    bool unknown_price;
    bool queued;
    bool done;
    bool wait;     /* other nodes have been asked to give back what they do not use */
    int32_t waits; /* how often it waited */
    bool saw_dead; /* refused while a dead node's holds may still be taken over */
    aicp_status status;
    aicp_ledger_result result;
    aicp_error err;
} aicpi_budget_want;

/* A want inside of a pass. */
typedef struct aicpi_budget_pass_want {
    aicpi_budget_want *want; /* NULL: its caller has gone */
    aicpi_budget_record *record;
    uint32_t count;
    aicp_status status;
    uint32_t denied;
    int64_t amount;
    size_t accounts[AICP_LEDGER_ACCOUNTS_MAX]; /* in the pass */
    aicpi_budget_hold *holds[AICP_LEDGER_ACCOUNTS_MAX];
    int64_t earmarked[AICP_LEDGER_ACCOUNTS_MAX];
    bool usable[AICP_LEDGER_ACCOUNTS_MAX]; /* the earmarked money is of the open window */
    int64_t
        pooled[AICP_LEDGER_ACCOUNTS_MAX]; /* from what refused wants of this pass had earmarked */
    int64_t remaining;
    bool replayed; /* the store knows it */
    bool wait;
    int64_t reserved_at_ns;
} aicpi_budget_pass_want;

/* A change of one window's money. */
typedef struct aicpi_budget_delta {
    aicpi_budget_hold *hold;
    size_t account;
    int64_t spent;
    int64_t release;
    int64_t give_back;
    int64_t answer;  /* recall that this pass answers, or 0 */
    int64_t unspent; /* of records that turn out to be somebody else's */
} aicpi_budget_delta;

typedef struct aicpi_budget_pass_account {
    aicpi_budget_account *account;
    bool wanted;
    bool found;
    aicpi_budget_rule rule;
    aicp_budget_window *window; /* newly read, else NULL */
    int64_t seq;
    int64_t start_ns;
    int64_t end_ns;
    int64_t spent;
    int64_t held;
    int64_t carried;
    int64_t recall_ns;
    bool recalled; /* the recall is young: no slices */
    int64_t limit;
    int64_t nodes;   /* with money of the window */
    int64_t pool;    /* earmarked by wants that were refused */
    int64_t most;    /* largest amount wanted */
    int64_t grant;   /* to the open window, slice included */
    int64_t extra;   /* the part of it that is free */
    uint32_t raised; /* thresholds of the window known to be stored */
    bool tight;
    bool written;
} aicpi_budget_pass_account;

/* A record as it was when the pass was collected. */
typedef struct aicpi_budget_row {
    aicpi_budget_record *record;
    int32_t state;
    int32_t flags;
    int64_t actual;
    int64_t to_spend;
    int64_t to_release;
    int64_t deadline_ns;
    int64_t estimate;
    bool conflict;
    aicp_status outcome;
    int64_t amount; /* recovered: what it was reserved with */
} aicpi_budget_row;

typedef struct aicpi_budget_pass {
    bool doubt; /* nobody knows whether it was committed */
    int64_t batch;
    int64_t now_ns;
    uint64_t began;  /* monotonic */
    uint64_t looked; /* monotonic */
    bool maintain;
    bool closing; /* all that is free goes back, and no slice is made */
    bool dead;    /* there are nodes whose holds are to be taken over */
    int64_t top_rev;
    int64_t top_recall_ns;
    aicpi_strbuf changed; /* ids of accounts put since top_rev: length (2 bytes), bytes */
    aicpi_budget_pass_want *wants;
    size_t wants_count;
    size_t wants_capacity;
    aicpi_budget_pass_account *accounts;
    size_t accounts_count;
    size_t accounts_capacity;
    size_t *order; /* accounts by id */
    size_t order_capacity;
    aicpi_budget_delta *deltas;
    size_t deltas_count;
    size_t deltas_capacity;
    aicpi_budget_row *rows;
    size_t rows_count;
    size_t rows_capacity;
    aicp_ledger_event *events;
    size_t events_count;
    size_t events_capacity;
} aicpi_budget_pass;

typedef struct aicpi_budget_core aicpi_budget_core;
typedef struct aicpi_budget_remote aicpi_budget_remote;
struct aicpi_budget_core {
    aicp_allocator allocator;
    aicp_clock clock;
    bool clock_given;
    aicpi_log log;
    aicp_ledger_options options;
    char *url;
    size_t url_len;
    char name[64];
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a pass ended, or there is no leader */
    pthread_cond_t wake;    /* for the flusher */
    bool leading;
    bool stopping;     /* the flusher shall end */
    bool closing;      /* nothing is to be held beyond what is reserved */
    bool sleeping;     /* the flusher waits for something to do */
    uint64_t wake_at;  /* until then; real time */
    uint64_t flush_at; /* when it is to send what is dirty; real time */
    bool flusher_runs;
    pthread_t flusher;
    aicpi_sql *db;               /* the leader's */
    aicpi_budget_remote *remote; /* instead of db; the leader's */
    char *service_key;
    aicpi_sql *journal; /* the leader's; NULL without */
    bool replay_due;    /* the journal of before could not be told yet */
    char *journal_path;
    size_t journal_path_len;
    size_t journaled;  /* records with FLAG_JOURNALED */
    bool journal_used; /* it may have rows of this node */
    uint64_t prune_at; /* monotonic */
    char node[AICPI_BUDGET_NODE_SIZE];
    bool registered;
    bool fenced; /* another node declared us dead */
    bool store_down;
    int64_t batch;
    uint64_t valid_until;               /* monotonic; holds are certain until then */
    uint64_t refresh_at;                /* monotonic: look for changes of other processes */
    uint64_t maintain_at;               /* monotonic: renew the node */
    struct aicpi_budget_core *previous; /* of before a fork; kept reachable */
    uint64_t last_monotonic;
    int64_t wall_offset;
    int64_t top_rev;
    int64_t recalls;       /* number of the last recall looked at */
    int64_t top_recall_ns; /* and its time */
    size_t answers;        /* accounts whose recall is to be answered */
    aicpi_map accounts;
    aicpi_budget_table table;
    aicpi_budget_list dirty;
    aicpi_budget_list done;
    size_t busy; /* records in the pass */
    aicpi_budget_want *queue_first;
    aicpi_budget_want *queue_last;
    size_t hungry;
    aicpi_budget_pass pass;
    aicp_ledger_event *events;
    size_t events_first;
    size_t events_count;
    aicp_ledger_metrics metrics;
};

struct aicp_ledger {
    _Atomic(aicpi_budget_core *) core;
    atomic_uint *mark; /* in a page that a fork wipes */
    aicp_allocator allocator;
};

/* ledger.c */
aicpi_budget_core *aicpi_budget_enter(aicp_ledger *ledger, aicp_error *err);
uint64_t aicpi_budget_mono(aicpi_budget_core *c); /* never goes back; needs the lock */
int64_t aicpi_budget_wall(const aicpi_budget_core *c);
/* Tell the flusher of an account that needs money, and of a record that was put in the list. */
void aicpi_budget_wake_hungry(aicpi_budget_core *c);
void aicpi_budget_wake_dirty(aicpi_budget_core *c);
/* ERR_INVALID unless 1..max bytes. */
aicp_status aicpi_budget_check_text(
    const char *data, size_t len, size_t max, const char *what, aicp_error *err);

/* record.c */
void aicpi_budget_table_init(aicpi_budget_table *t, const aicp_allocator *a);
void aicpi_budget_table_deinit(aicpi_budget_table *t);
aicpi_budget_record *aicpi_budget_find(const aicpi_budget_table *t, aicpi_slice id);
/* Room for one more: NULL when out of memory. Not in the table yet. */
aicpi_budget_record *aicpi_budget_record_new(aicpi_budget_table *t, aicpi_slice id);
void aicpi_budget_record_recycle(aicpi_budget_table *t, aicpi_budget_record *r);
void aicpi_budget_insert(aicpi_budget_table *t, aicpi_budget_record *r);
void aicpi_budget_remove(aicpi_budget_table *t, aicpi_budget_record *r);
void aicpi_budget_heap_set(aicpi_budget_table *t, aicpi_budget_record *r, uint64_t deadline);
void aicpi_budget_heap_remove(aicpi_budget_table *t, aicpi_budget_record *r);
void aicpi_budget_list_add(aicpi_budget_list *list, aicpi_budget_record *r);
void aicpi_budget_list_remove(aicpi_budget_list *list, aicpi_budget_record *r);

/* memory.c: accounts, holds and the moves of money between them */
aicpi_budget_account *aicpi_budget_account_get(aicpi_budget_core *c, aicpi_slice id, bool make);
void aicpi_budget_accounts_free(aicpi_budget_core *c);
int64_t aicpi_budget_remaining(const aicpi_budget_account *a);
/* The flusher shall fetch a slice or the account's news. */
void aicpi_budget_hungry(aicpi_budget_core *c, aicpi_budget_account *a);
void aicpi_budget_hold_drop(aicpi_budget_core *c, aicpi_budget_hold *h);
/* Makes `r` (its holds set) pending; the money must have left `free` or `earmarked` already. */
void aicpi_budget_begin(aicpi_budget_core *c, aicpi_budget_record *r, uint64_t now, uint64_t ttl);
void aicpi_budget_dirty(aicpi_budget_core *c, aicpi_budget_record *r);
void aicpi_budget_clean(aicpi_budget_core *c, aicpi_budget_record *r);
void aicpi_budget_post(aicpi_budget_core *c, aicpi_budget_record *r, int64_t actual);
void aicpi_budget_void(aicpi_budget_core *c, aicpi_budget_record *r, int32_t state);
void aicpi_budget_unjournal(aicpi_budget_core *c, aicpi_budget_record *r);
size_t aicpi_budget_expire(aicpi_budget_core *c, uint64_t now);
void aicpi_budget_rebirth(aicpi_budget_core *c);

/* The store's last word on an amount, as of the last look. */
void aicpi_budget_note_refusal(aicpi_budget_account *a, int64_t amount);
/* False when the parts of a hold do not add up. */
bool aicpi_budget_balanced(const aicpi_budget_hold *h);

/* lead.c: becoming the leader, passes */
aicp_status aicpi_budget_lead(aicpi_budget_core *c, uint64_t deadline, aicp_error *err);
void aicpi_budget_follow(aicpi_budget_core *c);
/* Puts the want in the queue and sees to it until done. */
aicp_status aicpi_budget_ask(aicpi_budget_core *c, aicpi_budget_want *w);
/* Passes until all that is dirty now has been sent. Needs the lock, not the lead. */
aicp_status
aicpi_budget_flush(aicpi_budget_core *c, uint64_t deadline, bool maintain, aicp_error *err);
/* Waits until the record of `id` is in the store. */
aicp_status
aicpi_budget_sync(aicpi_budget_core *c, aicpi_slice id, uint64_t deadline, aicp_error *err);
/* Looks for accounts put by other processes and does what is due. Needs the lock, not the lead. */
aicp_status
aicpi_budget_refresh(aicpi_budget_core *c, uint64_t deadline, bool always, aicp_error *err);
/* Is there money to be given back? Needs the lock. */
bool aicpi_budget_has_idle(aicpi_budget_core *c, uint64_t now);
/* Runs fn as the leader without the lock. */
aicp_status aicpi_budget_transact(
    aicpi_budget_core *c, uint64_t deadline, aicpi_sql_fn fn, void *user, aicp_error *err);

/* collect.c */
/* Puts the accounts of the pass in the order in which all nodes lock them. */
aicp_status aicpi_budget_order(aicpi_budget_core *c);
aicp_status aicpi_budget_collect(aicpi_budget_core *c, bool maintain, aicp_error *err);
void aicpi_budget_apply(
    aicpi_budget_core *c, bool committed, aicp_status why, const aicp_error *err);
void aicpi_budget_pass_deinit(aicpi_budget_core *c);

/* pass.c: the transaction of a pass */
aicp_status aicpi_budget_run(aicpi_sql *db, void *core, aicp_error *err);

/* store.c: rows */
extern const char *const aicpi_budget_schema[];
extern const size_t aicpi_budget_schema_count;
typedef struct aicpi_budget_window_row {
    int64_t seq;
    int64_t start_ns;
    int64_t end_ns;
    int64_t spent;
    int64_t held;
    int64_t carried;
    int64_t recall_ns;
} aicpi_budget_window_row;
/* account.c: an account as the store has it. */
typedef struct aicpi_budget_reading {
    aicpi_budget_core *core;
    aicpi_slice id;
    bool found;
    aicpi_budget_rule rule;
    aicpi_budget_window_row row;
    int64_t limit;
} aicpi_budget_reading;
aicp_status aicpi_budget_read_account(aicpi_sql *db, void *reading, aicp_error *err);
/* reap.c: a node without holds need not be remembered until it expires. */
aicp_status aicpi_budget_leave(aicpi_sql *db, aicpi_slice node, aicp_error *err);
/* Locks and reads the account's row; *found false when there is none. `window` (may be NULL) gets a
 * new handle when the stored rev differs from `have_rev`. */
aicp_status aicpi_budget_load(
    aicpi_sql *db,
    const aicp_allocator *a,
    aicpi_slice id,
    int64_t have_rev,
    aicpi_budget_rule *rule,
    aicp_budget_window **window,
    bool *found,
    aicp_error *err);
/* The newest window, opened or rolled when now_ns asks for it. */
aicp_status aicpi_budget_open_window(
    aicpi_sql *db,
    aicpi_slice id,
    const aicpi_budget_rule *rule,
    const aicp_budget_window *window,
    int64_t now_ns,
    aicpi_budget_window_row *row,
    aicp_error *err);
/* The number of the window that contains at_ns; the newest one when none does. */
aicp_status aicpi_budget_window_for(
    aicpi_sql *db, aicpi_slice id, int64_t at_ns, int64_t *seq, aicp_error *err);
aicp_status aicpi_budget_add(
    aicpi_sql *db, aicpi_slice id, int64_t seq, int64_t spent, int64_t held, aicp_error *err);
/* What was booked in the minute of now_ns. */
#define AICPI_BUDGET_MINUTE_NS (60 * INT64_C(1000000000))
aicp_status aicpi_budget_note_spend(
    aicpi_sql *db, aicpi_slice id, int64_t now_ns, int64_t spent, aicp_error *err);
int64_t aicpi_budget_limit(const aicpi_budget_rule *rule, int64_t carried, int64_t now_ns);
/* Stores the soft thresholds that `spent` has reached and *known (a bit each) does not hold yet;
 * those that no node had stored go to `raised`. */
typedef aicp_status (*aicpi_budget_raise_fn)(
    void *user, const aicp_ledger_event *e, aicp_error *err);
typedef struct aicpi_budget_passing {
    aicpi_slice id;
    aicpi_slice node;
    const aicpi_budget_rule *rule;
    int64_t limit;
    int64_t seq;
    int64_t end_ns;
    int64_t spent;
    int64_t now_ns;
    uint32_t *known;
} aicpi_budget_passing;
aicp_status aicpi_budget_raise(
    aicpi_sql *db,
    const aicpi_budget_passing *p,
    aicpi_budget_raise_fn raised,
    void *user,
    aicp_error *err);

/* rows.c: rows of reservations */
typedef struct aicpi_budget_cells {
    aicpi_slice id;
    aicpi_slice account;
    int64_t seq;
    int64_t state;
    int64_t flags;
    int64_t amount;
    int64_t actual;
    int64_t estimate;
    int64_t reserved_ns;
    int64_t deadline_ns;
    bool *conflict; /* set when another node has the id */
} aicpi_budget_cells;
#define AICPI_BUDGET_CHUNK 32
/* Collects cells and writes them in chunks. `update`: rows of this node are overwritten. */
typedef struct aicpi_budget_writer {
    aicpi_sql *db;
    aicpi_slice node;
    bool update;
    size_t count;
    aicpi_budget_cells cells[AICPI_BUDGET_CHUNK];
} aicpi_budget_writer;
aicp_status
aicpi_budget_write(aicpi_budget_writer *w, const aicpi_budget_cells *cells, aicp_error *err);
aicp_status aicpi_budget_write_end(aicpi_budget_writer *w, aicp_error *err);
/* A row as stored. */
typedef struct aicpi_budget_found {
    char account[AICP_LEDGER_ACCOUNT_MAX];
    size_t account_len;
    int64_t seq;
    int64_t state;
    int64_t flags;
    int64_t amount;
    int64_t actual;
    int64_t reserved_ns;
} aicpi_budget_found;
/* All rows of an id by account. */
aicp_status aicpi_budget_rows_of(
    aicpi_sql *db,
    aicpi_slice id,
    aicpi_budget_found found[AICP_LEDGER_ACCOUNTS_MAX],
    size_t *count,
    aicp_error *err);
/* Settles a record that this node has no hold for, by its rows. */
typedef struct aicpi_budget_recovery {
    aicpi_slice id;
    aicpi_slice node;
    const aicpi_slice *accounts; /* sorted */
    size_t count;
    int64_t actual;
    int64_t reserved_at_ns;
    int32_t flags; /* of the new or changed row */
    aicp_status outcome;
    int64_t amount; /* reserved with, when known */
    int64_t state_before;
    /* Told of every change of a window's spend; may be NULL. */
    void (*changed)(void *user, aicpi_slice account, int64_t seq, int64_t spent);
    void *user;
} aicpi_budget_recovery;
aicp_status aicpi_budget_recover(aicpi_sql *db, aicpi_budget_recovery *r, aicp_error *err);

/* journal.c */
/* Opens the journal, if there is to be one, and tells the store what it holds. */
aicp_status aicpi_budget_journal_open(aicpi_budget_core *c, aicp_error *err);
/* Keeps the unsent settlements. Needs the lead and the lock; gives the lock up meanwhile. */
/* Tells it what could not be told at the opening. Needs the lead, not the lock. */
void aicpi_budget_journal_replay(aicpi_budget_core *c);
void aicpi_budget_journal_write(aicpi_budget_core *c);
/* Empties it once all that it holds has been sent. Needs the lead and the lock, as above. */
void aicpi_budget_journal_clear(aicpi_budget_core *c);

/* prune.c */
/* Deletes some old rows when it is time to. Needs the lock, not the lead. */
aicp_status
aicpi_budget_prune(aicpi_budget_core *c, uint64_t now, uint64_t deadline, aicp_error *err);

/* reap.c */
aicp_status
aicpi_budget_reap(aicpi_budget_core *c, uint64_t deadline, size_t *reaped, aicp_error *err);
/* Puts an event where aicp_ledger_event_next() finds it. Needs the lock. */
void aicpi_budget_event_push(aicpi_budget_core *c, const aicp_ledger_event *e);

#endif
