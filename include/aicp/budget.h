/**
 * @file budget.h
 * Budgets: a ledger of reservations over accounts with hard and soft limits, shared by any number
 * of processes through SQLite or PostgreSQL, and the calendar windows that budgets reset by.
 *
 * The way of a request: aicp_ledger_reserve() before it is sent, aicp_ledger_mark_dispatched() when
 * it goes out, then aicp_ledger_settle() with what it really cost, or aicp_ledger_release() when it
 * was never sent. A reservation id is the idempotency key of all of these.
 *
 * What is promised of a hard limit: the sum of what is admitted in a window never exceeds it,
 * whatever crashes. What is *spent* may exceed it only by the sum of max(0, actual - reserved), so
 * by nothing when each reservation is the worst case of its request.
 *
 * Holds: in the default mode a process first makes a slice of each account durable in the store
 * ("up to this much may be in use here") and then admits inside it at memory speed. Settlements
 * travel to the store in batches: when aicp_ledger_flush() is called, along with every call that
 * may block and finds work, or by the one thread that the option `background` starts. Near the end
 * of a budget a slice is the single reservation, so that no money is stranded in another process.
 * What a killed process held counts as reserved until `hold_ttl_ns` after its last sign of life.
 *
 * Units: money is int64 nano-dollars (1e-9 USD), durations are uint64 nanoseconds, wall times are
 * int64 nanoseconds since 1970-01-01T00:00:00Z, deadlines are absolute values of the ledger's
 * monotonic clock.
 */
#ifndef AICP_BUDGET_H
#define AICP_BUDGET_H

#include "aicp/base.h"

AICP_BEGIN_DECL

/** Most bytes of a reservation id. */
#define AICP_LEDGER_ID_MAX 128
/** Most bytes of an account id. */
#define AICP_LEDGER_ACCOUNT_MAX 256
/** Most accounts of one reservation. */
#define AICP_LEDGER_ACCOUNTS_MAX 16
/** Most soft thresholds of one account. */
#define AICP_LEDGER_THRESHOLDS_MAX 16
/** Largest amount of one reservation, settlement or adjustment, nano-dollars (a million USD). */
#define AICP_LEDGER_AMOUNT_MAX INT64_C(1000000000000000)
/** Largest limit, nano-dollars (a billion USD). */
#define AICP_LEDGER_LIMIT_MAX INT64_C(1000000000000000000)
/** Wall time of a window without end. */
#define AICP_BUDGET_FOREVER INT64_MAX

/* ---- windows ------------------------------------------------------------------------------- */

/** How windows are placed. */
enum {
    AICP_BUDGET_ALIGN_CALENDAR = 0, /**< Midnight, Monday, first of the month, full hour. */
    AICP_BUDGET_ALIGN_ANCHOR = 1    /**< Every N units from the anchor. */
};

/** Options of aicp_budget_window_parse(). */
typedef struct aicp_budget_window_options {
    size_t size;
    const char *timezone; /**< IANA name; NULL or empty = UTC. An unknown name is an error. */
    size_t timezone_len;
    const char *reset_time; /**< "HH:MM" or "HH:MM:SS" local; NULL or empty = midnight. */
    size_t reset_time_len;
    int64_t anchor_ns; /**< Wall time that anchored and uneven windows count from. */
    int32_t align;     /**< AICP_BUDGET_ALIGN_CALENDAR or _ANCHOR. */
    int32_t reserved;
#ifndef SWIG
    const aicp_allocator *allocator; /**< NULL = C library. */
#else
    const void *allocator;
#endif
} aicp_budget_window_options;

/** Static initialiser. */
#define AICP_BUDGET_WINDOW_OPTIONS_INIT                                                            \
    { sizeof(aicp_budget_window_options), NULL, 0, NULL, 0, 0, 0, 0, NULL }

/** Fills `options` with defaults; `size` is sizeof *options. */
AICP_API void aicp_budget_window_options_init(aicp_budget_window_options *options, size_t size);

/** A rule that says when a budget resets. Reference-counted, *immutable*. */
typedef struct aicp_budget_window aicp_budget_window;

/**
 * Reads a duration: `N unit` with unit `s m h d w mo` and 1 <= N <= 10,000, one of the words
 * `hourly daily weekly monthly yearly` (any case), or `never`; the whole text must match. Empty
 * text means `never`. `24h`, `7d` and `30d` mean a calendar day, week (from Monday) and month, as
 * LiteLLM has it. Reads the zone's file (blocking, short). Free with aicp_budget_window_free().
 * Errors: ERR_PARSE with the offset (duration or reset_time), ERR_NOT_FOUND (zone), ERR_INVALID.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_budget_window_parse(
    const char *data,
    size_t len,
    const aicp_budget_window_options *options,
    aicp_budget_window **out,
    aicp_error *err);

/** Adds a reference and returns `window`. */
AICP_API aicp_budget_window *aicp_budget_window_ref(aicp_budget_window *window);

/** Drops a reference; NULL is fine. */
AICP_API void aicp_budget_window_free(aicp_budget_window *window);

/**
 * The half-open window [*start_ns, *end_ns) that contains `wall_ns`. A pure function. `never` gives
 * [INT64_MIN, #AICP_BUDGET_FOREVER). A local reset time that a change to summer time skips moves
 * forward by the gap; one that occurs twice is the first. Errors: ERR_RANGE far from today.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_budget_window_at(
    const aicp_budget_window *window,
    int64_t wall_ns,
    int64_t *start_ns,
    int64_t *end_ns,
    aicp_error *err);

/* ---- ledger -------------------------------------------------------------------------------- */

/** When a call counts as done. */
enum {
    AICP_LEDGER_HOLD = 0, /**< In memory, inside an already durable hold. */
    AICP_LEDGER_SYNC = 1  /**< Committed in the store (group commit). Calls need a deadline. */
};

/** Options of aicp_ledger_open(). Zero means the default. */
typedef struct aicp_ledger_options {
    size_t size;
    const char *node; /**< Name of this process for people; made unique by the ledger. */
    size_t node_len;
    int32_t mode;            /**< AICP_LEDGER_HOLD or _SYNC. */
    int32_t background;      /**< 1: one thread flushes, renews, sweeps and fetches slices ahead. */
    uint64_t default_ttl_ns; /**< Of a reservation; 15 minutes; at most 24 hours. */
    uint64_t hold_ttl_ns;    /**< A silent process' holds go back after this; 15 minutes. */
    uint64_t flush_ns;       /**< Longest wait of a settlement in the background mode; 2 ms. */
    uint64_t refresh_ns;     /**< How old a view of other processes' changes may grow; 100 ms. */
    uint64_t idle_ns;        /**< Unused money in a hold goes back after this; 1 s. */
    uint32_t batch;          /**< Most reservations in one transaction; 1,000. */
    uint32_t unsent_max;     /**< Most changes waiting for the store before reserving stops;
                                1,000,000. */
    uint32_t remember;       /**< Finished ids kept in memory; 65,536. The store keeps all. */
    uint32_t slice_divisor;  /**< First slice is limit / this; 100. */
#ifndef SWIG
    const aicp_allocator *allocator; /**< NULL = C library. */
    const aicp_clock *clock;         /**< NULL = system clocks; with PostgreSQL the server's. */
    aicp_log_fn log;                 /**< NULL = silent. */
    void *log_user;
#else
    const void *allocator;
    const void *clock;
    void *log;
    void *log_user;
#endif
    /** Absolute path of the journal of unsent settlements, a SQLite file; NULL: none. While the
     * store is away for longer than one try (at most 5 s, then every second) what is settled is
     * written there, durably; aicp_ledger_open() with the same path books it, whichever process
     * wrote it, each settlement once. Without `background` it is written by calls that find the
     * store away. Processes of one machine may share the file. */
    const char *journal_path;
    size_t journal_path_len;
    /** Finished reservations (and so their ids) stay in the store at least this long after their
     * deadline; 7 days, never less than max(24 h, 2 * default_ttl_ns). The same for soft events
     * and empty holds after the end of their window; adjustments stay 400 days, windows for ever.
     * Old rows are deleted in small batches, along with looks at the store. */
    uint64_t keep_ns;
    /** What the ledger shows to the server of a URL http(s)://. */
    const char *service_key;
    size_t service_key_len;
} aicp_ledger_options;

#ifndef SWIG
/** Static initialiser. */
#define AICP_LEDGER_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(aicp_ledger_options), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL,   \
            NULL, NULL, 0, 0, NULL, 0                                                              \
    }
#endif

/** Fills `options` with defaults; `size` is sizeof *options. */
AICP_API void aicp_ledger_options_init(aicp_ledger_options *options, size_t size);

/**
 * A node of the shared ledger. *synchronised*. After a fork the child's first call opens a
 * connection and a node of its own and shares no slice with the parent; reservations made by the
 * parent are settled by the parent, or in the child through the accounts named in the settlement.
 */
typedef struct aicp_ledger aicp_ledger;

/**
 * Opens the ledger in the store at URL (data, len): `sqlite:///absolute/path`, `sqlite::memory:`
 * (this ledger only) or `postgresql://...`. Creates or upgrades its tables. Blocks. Errors:
 * ERR_INVALID (URL, options), ERR_STORE, ERR_STORE_BUSY, ERR_NOMEM.
 *
 * With `http://...` or `https://...`, the base URL of a server that has the store, the ledger POSTs
 * messages to `<URL>/api/v1/gate/leases`, with `service_key` in the header X-Service-Key, and the
 * server hands them to aicp_ledger_serve(). All promises stay. Opening works while the server is
 * away; reserving then needs it. Lists and recent spend are not asked for in this way.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_open(
    const char *data,
    size_t len,
    const aicp_ledger_options *options,
    aicp_ledger **out,
    aicp_error *err);

/** Stops the thread, sends what is unsent, gives all holds back (up to 5 s; what could not be sent
 * is logged and comes back by expiry) and frees. NULL is fine. No other call may be running. */
AICP_API void aicp_ledger_free(aicp_ledger *ledger);

/** What aicp_ledger_free() does first, with a say in how long: tries until `deadline_ns` to send
 * everything and to give all holds back. The handle stays usable. Errors: ERR_STORE, ERR_TIMEOUT.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_ledger_close(aicp_ledger *ledger, uint64_t deadline_ns, aicp_error *err);

/** What becomes of a request whose price is unknown. */
enum {
    AICP_BUDGET_UNKNOWN_DEFAULT = 0, /**< deny with a hard limit, else allow and settle. */
    AICP_BUDGET_UNKNOWN_DENY = 1,
    AICP_BUDGET_UNKNOWN_ALLOW = 2 /**< reserve nothing, settle what it costs. */
};

/** No hard limit. */
#define AICP_LEDGER_UNLIMITED INT64_C(-1)

/** An account as it shall be. */
typedef struct aicp_ledger_account {
    size_t size;
    int64_t limit_nano;   /**< Hard limit of a window, or AICP_LEDGER_UNLIMITED; 0 blocks all. */
    const char *duration; /**< As aicp_budget_window_parse(); NULL or empty = never resets. */
    size_t duration_len;
    const char *timezone;
    size_t timezone_len;
    const char *reset_time;
    size_t reset_time_len;
    int64_t anchor_ns; /**< 0 = the time when the account was first put. */
    int32_t align;
    int32_t on_unknown_price;    /**< AICP_BUDGET_UNKNOWN_... */
    int64_t temp_increase_nano;  /**< Added to the limit until `temp_until_ns`. */
    int64_t temp_until_ns;       /**< Wall time. */
    int64_t rollover_max_nano;   /**< Most unspent limit that is carried into the next window. */
    const int32_t *soft_percent; /**< Soft thresholds in per cent of the limit (1..1000). */
    size_t soft_percent_count;
    const int64_t *soft_nano; /**< Soft thresholds as amounts. */
    size_t soft_nano_count;
    int32_t frozen; /**< 1: nothing is reserved (ERR_FROZEN); settling goes on. */
    int32_t reserved;
} aicp_ledger_account;

/** Static initialiser: unlimited, never resets. */
#define AICP_LEDGER_ACCOUNT_INIT                                                                   \
    {                                                                                              \
        sizeof(aicp_ledger_account), AICP_LEDGER_UNLIMITED, NULL, 0, NULL, 0, NULL, 0, 0, 0, 0, 0, \
            0, 0, NULL, 0, NULL, 0, 0, 0                                                           \
    }

/** Fills `account` with defaults; `size` is sizeof *account. */
AICP_API void aicp_ledger_account_init(aicp_ledger_account *account, size_t size);

/**
 * Makes account (data, len) be as `account` says; putting the same again changes nothing. Blocks
 * until `deadline_ns` (0 = 5 s). What is admitted already stays: a limit below it just admits
 * nothing more. A raised limit acts in every process with its next reservation. A lowered one acts
 * in this process at once and in others when they next ask the store, at the latest after their
 * `refresh_ns` (background) or next call with a deadline; what those admit until then comes out of
 * holds that the store had granted under the old limit. A new duration keeps the open window's
 * spend and start and moves its end. Errors: ERR_INVALID, ERR_PARSE, ERR_NOT_FOUND (zone),
 * ERR_RANGE, ERR_STORE.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_account_put(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    const aicp_ledger_account *account,
    uint64_t deadline_ns,
    aicp_error *err);

/** State of an account in its open window. */
typedef struct aicp_ledger_status {
    size_t size;
    int64_t limit_nano;     /**< With rollover and temporary increase; AICP_LEDGER_UNLIMITED. */
    int64_t spent_nano;     /**< Settled in this window, what this process has unsent included. */
    int64_t reserved_nano;  /**< Pending here plus everything in other processes' holds. */
    int64_t held_nano;      /**< All holds, the unused part of this process' own included. */
    int64_t remaining_nano; /**< limit - spent - reserved, at least 0; INT64_MAX if unlimited. */
    int64_t window_start_ns;
    int64_t window_end_ns; /**< When it resets, or AICP_BUDGET_FOREVER. */
    int64_t window;        /**< Number of the window, from 1; never decreases. */
    int32_t frozen;
    int32_t stale; /**< 1: from memory, the store did not answer. */
} aicp_ledger_status;

/** Static initialiser. */
#define AICP_LEDGER_STATUS_INIT                                                                    \
    { sizeof(aicp_ledger_status), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/**
 * Reads an account: from the store when `deadline_ns` is not 0, else from memory as of the last
 * look. Errors: ERR_NOT_FOUND, ERR_WOULD_BLOCK (deadline 0 and never looked at), ERR_STORE.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_account_status(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    uint64_t deadline_ns,
    aicp_ledger_status *out,
    aicp_error *err);

/** A view of text. */
typedef struct aicp_ledger_text {
    const char *data;
    size_t len;
} aicp_ledger_text;

/** A reservation to be made. */
typedef struct aicp_ledger_request {
    size_t size;
    const char *id; /**< 1..128 bytes. */
    size_t id_len;
    const aicp_ledger_text *accounts; /**< 1..16 account ids; a repeated one counts once. */
    size_t accounts_count;
    int64_t amount_nano;   /**< >= 0, the most the request can cost. */
    uint64_t ttl_ns;       /**< 0 = default_ttl_ns; at most 24 hours. */
    uint64_t deadline_ns;  /**< 0: never blocks. Else may ask the store until then. */
    int32_t unknown_price; /**< 1: the amount is not known; each account's rule decides. */
    int32_t reserved;
} aicp_ledger_request;

/** Static initialiser. */
#define AICP_LEDGER_REQUEST_INIT                                                                   \
    { sizeof(aicp_ledger_request), NULL, 0, NULL, 0, 0, 0, 0, 0, 0 }

/** Answer of aicp_ledger_reserve(). Money fields are those of the denied account, or of the
 * tightest one when admitted, as far as known in this process. */
typedef struct aicp_ledger_result {
    size_t size;
    int32_t admitted;
    int32_t replayed; /**< 1: the id was known with the same content; nothing was done. */
    uint32_t account; /**< Index in the request's accounts. */
    int32_t degraded; /**< 1: admitted while the store does not answer. */
    int64_t limit_nano;
    int64_t remaining_nano; /**< Before a denial, after an admission; at least 0. */
    int64_t reset_at_ns;    /**< Wall time, or AICP_BUDGET_FOREVER. */
    int64_t window;         /**< Number of that account's window. */
    int64_t reserved_at_ns; /**< Wall time of the reservation, for aicp_ledger_settlement. */
} aicp_ledger_result;

/** Static initialiser. */
#define AICP_LEDGER_RESULT_INIT                                                                    \
    { sizeof(aicp_ledger_result), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/**
 * Reserves an amount on several accounts, all or none. `out` may be NULL. The same id with the same
 * accounts and amount gives the first answer again in every state; a denied id is not remembered.
 * In the mode HOLD an id is looked up in memory (`remember`), and in the store when the call goes
 * there; in the mode SYNC always in the store.
 * Errors: ERR_BUDGET_EXCEEDED (`out` says which account, what remains, when it resets),
 * ERR_EXISTS_DIFFERENT, ERR_RANGE (negative or too large),
 * ERR_FROZEN, ERR_UNKNOWN_PRICE, ERR_NOT_FOUND (account), ERR_WOULD_BLOCK (the store must be asked
 * and deadline_ns is 0: repeat where blocking is allowed), ERR_TIMEOUT, ERR_STORE,
 * ERR_INVALID, ERR_NOMEM. An amount above an account's limit is ERR_BUDGET_EXCEEDED.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_reserve(
    aicp_ledger *ledger,
    const aicp_ledger_request *request,
    aicp_ledger_result *out,
    aicp_error *err);

/** Notes that the request went out: from here its reservation no longer goes back by itself. If it
 * is not settled by its deadline, or this process dies, `estimate_nano` (negative: the reserved
 * amount) is posted and flagged as estimated; a later settlement corrects it. Errors:
 * ERR_NOT_FOUND, ERR_ALREADY_POSTED, ERR_ALREADY_VOIDED. */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_mark_dispatched(
    aicp_ledger *ledger, const char *data, size_t len, int64_t estimate_nano, aicp_error *err);

/** Moves the deadline of a pending reservation to now + ttl_ns (0 = the default); streams call it
 * at a third of the TTL. Errors: ERR_NOT_FOUND, ERR_ALREADY_POSTED, ERR_ALREADY_VOIDED, ERR_RANGE.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_renew(
    aicp_ledger *ledger, const char *data, size_t len, uint64_t ttl_ns, aicp_error *err);

/** What a settlement needs when this process does not know the id (restart, fork). */
typedef struct aicp_ledger_settlement {
    size_t size;
    const aicp_ledger_text *accounts; /**< As reserved; NULL = the id must be known. */
    size_t accounts_count;
    int64_t reserved_at_ns; /**< Wall time of the reservation: its window is charged. 0 = now. */
    uint64_t deadline_ns;   /**< 0: never blocks; the store is told with the next batch. */
} aicp_ledger_settlement;

/** Static initialiser. */
#define AICP_LEDGER_SETTLEMENT_INIT                                                                \
    { sizeof(aicp_ledger_settlement), NULL, 0, 0, 0 }

/**
 * Posts what a reservation really cost (>= 0), in full, to the window it was reserved in. More than
 * the reserved amount is charged as well and counted as overrun. An unknown id is looked up in the
 * store when `settlement` allows blocking; with accounts named it is booked against them and
 * flagged as recovered. `settlement` may be NULL. Never fails because the store is away: the
 * settlement waits in memory. In the mode SYNC returns after commit when a deadline is given. The
 * same actual again is AICP_OK. Errors: ERR_NOT_FOUND, ERR_ALREADY_POSTED (with another amount; use
 * aicp_ledger_adjust()), ERR_ALREADY_VOIDED, ERR_RANGE, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_settle(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    int64_t actual_nano,
    const aicp_ledger_settlement *settlement,
    aicp_error *err);

/** Gives a reservation back. Only for requests that never went out. An unknown id, or one released
 * or expired already, is AICP_OK. Errors: ERR_ALREADY_POSTED. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_ledger_release(aicp_ledger *ledger, const char *data, size_t len, aicp_error *err);

/** A correction of posted money, kept with its reason for audit. */
typedef struct aicp_ledger_adjustment {
    size_t size;
    const char *id; /**< Idempotency key, 1..128 bytes. */
    size_t id_len;
    const char *reason; /**< 1..1,000 bytes. */
    size_t reason_len;
    int64_t amount_nano;  /**< Added to what is spent; negative gives back. */
    int64_t at_ns;        /**< Wall time whose window is corrected; 0 = now. */
    uint64_t deadline_ns; /**< 0 = 5 s. */
} aicp_ledger_adjustment;

/** Static initialiser. */
#define AICP_LEDGER_ADJUSTMENT_INIT                                                                \
    { sizeof(aicp_ledger_adjustment), NULL, 0, NULL, 0, 0, 0, 0 }

/** Corrects the spend of account (data, len); the only way to change posted money. Blocks. Errors:
 * ERR_NOT_FOUND, ERR_EXISTS_DIFFERENT, ERR_RANGE (spend would be negative), ERR_INVALID, ERR_STORE.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_adjust(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    const aicp_ledger_adjustment *adjustment,
    aicp_error *err);

/* ---- for a control plane ------------------------------------------------------------------- */

/** Which rows a listing gives. */
typedef struct aicp_ledger_query {
    size_t size;
    const char *prefix; /**< Only ids that begin so; NULL or empty: all. */
    size_t prefix_len;
    const char *after; /**< Only ids behind this one: the last of the page before. */
    size_t after_len;
    uint64_t deadline_ns; /**< 0 = 5 s. */
    uint32_t limit;       /**< Most rows; 0 = 100, at most 1,000. */
    int32_t reserved;
} aicp_ledger_query;

/** Static initialiser. */
#define AICP_LEDGER_QUERY_INIT                                                                     \
    { sizeof(aicp_ledger_query), NULL, 0, NULL, 0, 0, 0, 0 }

/** Rows as they were in the store when they were read, in the order of their ids (as the store
 * sorts text). *immutable*. */
typedef struct aicp_ledger_page aicp_ledger_page;

/** An account in its open window. What processes have settled and not sent yet still counts as
 * held. */
typedef struct aicp_ledger_account_row {
    const char *id; /**< NUL-terminated; of the page. */
    size_t id_len;
    int64_t limit_nano; /**< With rollover and temporary increase; AICP_LEDGER_UNLIMITED. */
    int64_t spent_nano;
    int64_t held_nano;      /**< By all processes: reserved, unsent or unused. */
    int64_t remaining_nano; /**< limit - spent - held, at least 0; INT64_MAX if unlimited. */
    int64_t window_start_ns;
    int64_t window_end_ns; /**< When it resets, or AICP_BUDGET_FOREVER. */
    int64_t window;        /**< Number of the window, from 1. */
    int32_t frozen;
    int32_t reserved;
} aicp_ledger_account_row;

/** A pending reservation. */
typedef struct aicp_ledger_reservation_row {
    const char *id; /**< NUL-terminated; of the page. */
    size_t id_len;
    int64_t amount_nano;
    int64_t estimate_nano; /**< What is posted when it is never settled. */
    int64_t reserved_at_ns;
    int64_t deadline_ns; /**< Wall time, as last sent to the store. */
    int64_t window;
    int32_t dispatched;
    int32_t reserved;
} aicp_ledger_reservation_row;

/** Lists accounts. Blocks. `query` may be NULL. Free with aicp_ledger_page_free(). Errors:
 * ERR_INVALID, ERR_RANGE (limit), ERR_STORE, ERR_TIMEOUT, ERR_NOMEM. */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_account_list(
    aicp_ledger *ledger, const aicp_ledger_query *query, aicp_ledger_page **out, aicp_error *err);

/** Lists the reservations in flight on account (data, len) that the store knows: in the mode SYNC
 * all, in the mode HOLD those that were marked as dispatched, once they have been sent. `query` is
 * about their ids. Blocks. Errors as aicp_ledger_account_list(); an unknown account has none. */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_reservation_list(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    const aicp_ledger_query *query,
    aicp_ledger_page **out,
    aicp_error *err);

/** Drops a page; NULL is fine. */
AICP_API void aicp_ledger_page_free(aicp_ledger_page *page);

/** Number of rows. */
AICP_API size_t aicp_ledger_page_count(const aicp_ledger_page *page);

/** A row of aicp_ledger_account_list(), or NULL. Lives as long as the page. */
AICP_API const aicp_ledger_account_row *
aicp_ledger_page_account(const aicp_ledger_page *page, size_t index);

/** A row of aicp_ledger_reservation_list(), or NULL. Lives as long as the page. */
AICP_API const aicp_ledger_reservation_row *
aicp_ledger_page_reservation(const aicp_ledger_page *page, size_t index);

/** What was booked on account (data, len) since the wall time `since_ns`, rounded down to a full
 * minute, whichever window it belongs to: for burn rates. By the time when the store was told;
 * adjustments do not count. Minutes are kept as long as finished reservations. Blocks up to 5 s.
 * Errors: ERR_NOT_FOUND, ERR_INVALID, ERR_STORE, ERR_TIMEOUT. */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_account_spend(
    aicp_ledger *ledger,
    const char *data,
    size_t len,
    int64_t since_ns,
    int64_t *nano,
    aicp_error *err);

/**
 * Does what a ledger that was opened with a URL http(s):// asks for: (data, len) is the body of its
 * request, of which this reads the part "ledger"; `out` gets the JSON value of the same part of the
 * answer, `{"format":"aicp-leases/1","ledger":<out>}`. The same pass of the same node again gets
 * the first answer and does nothing, also in another process on the same store. Check the service
 * key before. Blocks up to 4 s. A failure of the store is told inside of `out`. Errors: ERR_PARSE
 * and ERR_LIMIT (the message; nothing was done), ERR_UNSUPPORTED (`ledger` has no store of its
 * own), ERR_INVALID, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_ledger_serve(
    aicp_ledger *ledger, const char *data, size_t len, aicp_buf *out, aicp_error *err);

/** Sends everything unsent, expires what is due, renews this process' holds, gives idle ones back
 * and takes over those of dead processes. Blocks until `deadline_ns` (0 = 5 s). Errors: ERR_STORE,
 * ERR_STORE_BUSY, ERR_TIMEOUT: nothing is lost, call again. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_ledger_flush(aicp_ledger *ledger, uint64_t deadline_ns, aicp_error *err);

/** A soft threshold that was passed. */
typedef struct aicp_ledger_event {
    size_t size;
    int64_t window;
    int64_t window_end_ns;
    int64_t threshold_nano;    /**< The amount that was passed. */
    int32_t threshold_percent; /**< 0 when the threshold is an amount. */
    uint32_t account_len;
    int64_t spent_nano;
    int64_t limit_nano;
    char account[AICP_LEDGER_ACCOUNT_MAX + 8]; /**< NUL-terminated. */
} aicp_ledger_event;

/**
 * Takes the next soft-threshold event that this process raised; each (account, window, threshold)
 * is raised once over all processes. AICP_OK, or ERR_NOT_FOUND when there is none (`err` stays
 * untouched then). Never blocks.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_ledger_event_next(aicp_ledger *ledger, aicp_ledger_event *out, aicp_error *err);

/** Counters since the ledger was opened in this process. */
typedef struct aicp_ledger_metrics {
    size_t size;
    uint64_t admitted;
    uint64_t denied;
    uint64_t settled;
    uint64_t released;
    uint64_t expired;
    uint64_t estimated;    /**< Posted by deadline without settlement. */
    uint64_t recovered;    /**< Settled although the id was unknown. */
    uint64_t late;         /**< Settled after expiry. */
    uint64_t duplicates;   /**< Ids that another process had used already. */
    uint64_t overrun_nano; /**< Sum of actual - reserved where positive. */
    uint64_t would_block;
    uint64_t transactions; /**< Committed in the store. */
    uint64_t store_errors;
    uint64_t unsent;         /**< Changes that wait for the store now. */
    uint64_t clock_backward; /**< Readings of a clock that were below the last one. */
    uint64_t events_dropped; /**< Soft events that nobody took in time (the store has them). */
} aicp_ledger_metrics;

/** Static initialiser. */
#define AICP_LEDGER_METRICS_INIT                                                                   \
    { sizeof(aicp_ledger_metrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** Snapshot of the counters. */
AICP_API void aicp_ledger_metrics_get(aicp_ledger *ledger, aicp_ledger_metrics *out);

AICP_END_DECL

#endif
