/**
 * @file ratelimit.h
 * Rate limits: requests, tokens and parallel requests, all or nothing over a set of rules.
 *
 * Parse a rule list once (::aicp_limit_rules, *immutable*), make one ::aicp_limiter
 * (*synchronised*) per process and call aicp_limiter_take() for each request. A take that passes
 * fills a *ticket*; hand it to aicp_limiter_settle() with the tokens really used, or to
 * aicp_limiter_cancel().
 *
 * Bound of the default algorithm `gcra`: in any interval of length L at most
 * `burst + limit * L / window` pass (burst = limit * burst_multiplier, rounded down). The
 * arithmetic is exact: the level of a key is kept as a 128-bit multiple of 1/window, nothing is
 * rounded. `fixed_window` lets up to 2 * limit pass in an interval that spans a boundary. Shared
 * rules add at most a quarter of the limit to these bounds, and nothing when the rule says `exact`.
 *
 * Times are nanoseconds of a clock that never goes back; the wall clock plays no part. A time that
 * lies before an earlier one counts as "no time passed".
 */
#ifndef AICP_RATELIMIT_H
#define AICP_RATELIMIT_H

#include "aicp/base.h"

AICP_BEGIN_DECL

/** What a rule counts. */
enum { AICP_LIMIT_REQUESTS = 0, AICP_LIMIT_TOKENS = 1, AICP_LIMIT_CONCURRENCY = 2 };

/** How a rule counts. */
enum {
    AICP_LIMIT_GCRA = 0,
    AICP_LIMIT_FIXED_WINDOW = 1,
    AICP_LIMIT_SLOTS = 2 /**< live slots with a deadline; the only one of kind concurrency */
};

/** Dimensions that rules match and keys are made of. Names in JSON in brackets. */
enum {
    AICP_LIMIT_ORG = 0,         /**< "org" */
    AICP_LIMIT_TEAM = 1,        /**< "team" */
    AICP_LIMIT_USER = 2,        /**< "user" */
    AICP_LIMIT_KEY = 3,         /**< "key" */
    AICP_LIMIT_MODEL = 4,       /**< "model" */
    AICP_LIMIT_MODEL_GROUP = 5, /**< "model_group" */
    AICP_LIMIT_AGENT = 6,       /**< "agent" */
    AICP_LIMIT_END_USER = 7,    /**< "end_user" */
    AICP_LIMIT_TAG = 8          /**< "tag"; a request may have several */
};
/** Number of dimensions. */
#define AICP_LIMIT_DIMENSIONS 9
/** Most keys that one take may charge (rules that match, a per-tag rule once for each tag). */
#define AICP_LIMIT_MAX_CHARGES 16
/** Most bytes of a rule id. */
#define AICP_LIMIT_MAX_ID 64
/** Most bytes of one dimension value of a request. */
#define AICP_LIMIT_MAX_VALUE 512
/** Time fields: never. */
#define AICP_LIMIT_NEVER UINT64_MAX

/* ---- rules ---------------------------------------------------------------------------------- */

/** A parsed list of rules. *immutable*, reference-counted. */
typedef struct aicp_limit_rules aicp_limit_rules;

/** Options of aicp_limit_rules_parse(). Zero fields mean the default. */
typedef struct aicp_limit_rules_options {
    size_t size;
#ifndef SWIG
    const aicp_allocator *allocator;
#else
    const void *allocator;
#endif
    uint64_t max_rules; /**< most rules; default 10,000 */
} aicp_limit_rules_options;

/** Static initialiser. */
#define AICP_LIMIT_RULES_OPTIONS_INIT                                                              \
    { sizeof(aicp_limit_rules_options), NULL, 0 }
/** Sets the defaults; `size` is sizeof(aicp_limit_rules_options). */
AICP_API void aicp_limit_rules_options_init(aicp_limit_rules_options *options, size_t size);

/**
 * Parses a JSON array of rules:
 *
 *     [{"id": "team-rpm",            required, printable ASCII, unique in the list
 *       "kind": "requests",          required: "requests", "tokens" or "concurrency"
 *       "limit": 5,                  required; 0 blocks all, -1 is unlimited
 *       "window": "1m",              seconds as a number or N with s, m, h, d, w; up to 366 d.
 *                                    Required, but not allowed for concurrency
 *       "burst_multiplier": 1.0,     burst = floor(limit * this), at least 1; gcra only
 *       "algorithm": "gcra",         or "fixed_window"; concurrency has "slots"
 *       "per": ["team"],             a key for each value of these dimensions; one key in all when
 *                                    empty or ["global"]
 *       "match": {"team": ["red"], "model": ["gpt-*"]},
 *                                    for each dimension: one of these, exact or prefix*
 *       "shared": false,             counted over all processes by the lease source
 *       "exact": false,              shared: every decision asks the store
 *       "on_store_failure": "local", or "deny", "allow"
 *       "on_overflow": "deny",       or "allow": a new key while all keys in store are busy
 *       "name": "…",                 what people call it; cut to 128 bytes
 *       "description": "…"}]         any text, ignored
 *
 * A rule applies to a request that has a value for each dimension in `per` and matches all of
 * `match`. Unknown keys, bad values and doubled ids are errors. *Thread*: any. Errors: ERR_PARSE,
 * ERR_INVALID, ERR_RANGE (with line, column, offset), ERR_LIMIT, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_limit_rules_parse(
    const char *data,
    size_t len,
    const aicp_limit_rules_options *options,
    aicp_limit_rules **out,
    aicp_error *err);

/** Adds a reference and returns its argument (NULL is fine). */
AICP_API aicp_limit_rules *aicp_limit_rules_ref(aicp_limit_rules *rules);

/** Drops a reference; NULL is fine. */
AICP_API void aicp_limit_rules_free(aicp_limit_rules *rules);

/** Number of rules. */
AICP_API size_t aicp_limit_rules_count(const aicp_limit_rules *rules) AICP_NONNULL(1);

/** Id of rule `index` (in the order of the text), borrowed, NUL-terminated; NULL out of range. */
AICP_API const char *aicp_limit_rules_id(const aicp_limit_rules *rules, size_t index)
    AICP_NONNULL(1);

/** Name of rule `index` for people, borrowed, NUL-terminated; its id when it has none; NULL out of
 * range. */
AICP_API const char *aicp_limit_rules_name(const aicp_limit_rules *rules, size_t index)
    AICP_NONNULL(1);

/** Numbers of one rule. */
typedef struct aicp_limit_rule_info {
    size_t size; /**< set by the caller to sizeof */
    int32_t kind;
    int32_t algorithm;
    int64_t limit;      /**< -1 = unlimited */
    uint64_t burst;     /**< equal to limit where the algorithm has no burst */
    uint64_t window_ns; /**< 0 for concurrency */
    int32_t shared;
    int32_t exact;
} aicp_limit_rule_info;

/** Reads the numbers of rule `index`. Errors: ERR_NOT_FOUND, ERR_INVALID (size). */
AICP_API AICP_MUST_CHECK aicp_status aicp_limit_rules_get(
    const aicp_limit_rules *rules, size_t index, aicp_limit_rule_info *info, aicp_error *err);

/* ---- shared limits -------------------------------------------------------------------------- */

#ifndef SWIG
/** What a lease source is asked for. All texts and numbers are valid for the call only. */
typedef struct aicp_lease_request {
    size_t size;
    const char *key; /**< canonical key: rule id and dimension values, any bytes */
    size_t key_len;
    int32_t kind;
    int32_t algorithm;
    uint64_t limit;
    uint64_t burst;
    uint64_t window_ns;
    uint64_t need;       /**< grant at least this or nothing; 0 = only book `returned` and `debt` */
    uint64_t extra;      /**< grant up to this much more, as a slice to be spent later */
    uint64_t held;       /**< unspent rest of earlier slices at this node */
    uint64_t returned;   /**< give this much back first */
    uint64_t debt;       /**< charge this much first, whether it fits or not */
    uint64_t ttl_ns;     /**< life of the slice, or of the slot of kind concurrency */
    uint64_t slot;       /**< concurrency: id of the slot to make, renew or release */
    uint64_t timeout_ns; /**< longest time to wait for the store */
} aicp_lease_request;

/** The source's answer. */
typedef struct aicp_lease_grant {
    size_t size;
    uint64_t granted;        /**< need .. need + extra, or 0 */
    uint64_t retry_after_ns; /**< when nothing was granted: least wait for `need`; may be NEVER */
    uint64_t remaining;      /**< left in the shared bucket after this call */
    uint64_t reset_ns;       /**< until the shared bucket is full */
    uint32_t nodes;          /**< nodes seen lately, 0 = not known */
    uint32_t reserved;
} aicp_lease_grant;

/**
 * A store that several processes share. Rates: one atomic step books `debt` and `returned`, then
 * grants; what is granted is charged at once. The slices of all nodes that are held unspent stay
 * within a quarter of the limit. Concurrency: `need` 1 makes the slot `slot` if fewer than `limit`
 * live ones exist (the same id again renews it), `returned` 1 releases it (unknown = fine). Times
 * come from the store's clock and are relative. Called from any thread, several at once, with no
 * lock held. Errors: ERR_STORE, ERR_STORE_BUSY: nothing was done; ERR_TIMEOUT: it is not known
 * whether, so that what was to be returned is not told again. The rule's on_store_failure applies.
 */
typedef struct aicp_lease_source {
    void *user;
    aicp_status (*lease)(
        void *user, const aicp_lease_request *request, aicp_lease_grant *grant, aicp_error *err);
    /** Several leases of different keys in one go, at most #AICP_LIMIT_MAX_CHARGES; each stands for
     * itself, an error is one of all. NULL: they are asked for one after the other. */
    aicp_status (*lease_many)(
        void *user,
        const aicp_lease_request *requests,
        aicp_lease_grant *grants,
        size_t count,
        aicp_error *err);
} aicp_lease_source;
#endif

/* ---- shared limits in Redis ----------------------------------------------------------------- */

#ifndef SWIG
/** A lease source over one Redis server (6 or newer; not a cluster). *synchronised* */
typedef struct aicp_redis_leases aicp_redis_leases;

/** Options of aicp_redis_leases_open(). Zero fields mean the default. */
typedef struct aicp_redis_leases_options {
    size_t size;
    const aicp_allocator *allocator;
    const char *prefix;          /**< of all keys in Redis, NUL-terminated; default "aicp:rate:" */
    uint64_t connect_timeout_ns; /**< for a connection and its log-in; default 1 s */
    uint32_t connections;        /**< most connections, up to 64; default 4, made when needed */
    uint32_t reserved;
} aicp_redis_leases_options;

/** Static initialiser. */
#define AICP_REDIS_LEASES_OPTIONS_INIT                                                             \
    { sizeof(aicp_redis_leases_options), NULL, NULL, 0, 0, 0 }
/** Sets the defaults; `size` is sizeof(aicp_redis_leases_options). */
AICP_API void aicp_redis_leases_options_init(aicp_redis_leases_options *options, size_t size);

/**
 * Opens the server at `redis://[[user]:password@]host[:port][/database]` (user and password
 * percent-encoded; port 6379, database 0). A server that is away is no error: the rules'
 * on_store_failure decides until it is back; connections are made again by themselves, with growing
 * pauses. A server that refuses the password or the database is one.
 *
 * Each lease is one script, so one step, on the server's clock. Keys hold the prefix and a hash,
 * and expire when they tell nothing any more. A server that evicts keys for want of memory forgets
 * what was used: give it the policy `noeviction`. Limits are counted exactly up to 2^53; rounding
 * of partly refilled buckets only ever refuses. hiredis ends the process when memory runs out.
 *
 * `url` and the options' texts are copied. `rediss://` (TLS) is ERR_UNSUPPORTED: the hiredis that
 * the library is made with has no TLS. After a fork the child makes connections of its own and
 * counts as a node of its own. Errors: ERR_INVALID, ERR_UNSUPPORTED, ERR_STORE (refused),
 * ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_redis_leases_open(
    const char *url,
    size_t url_len,
    const aicp_redis_leases_options *options,
    aicp_redis_leases **out,
    aicp_error *err);

/** Closes the connections; NULL is fine. No limiter may use the source any more. */
AICP_API void aicp_redis_leases_free(aicp_redis_leases *leases);

/** Writes the source for aicp_limiter_options::source, valid as long as `leases`. */
AICP_API void aicp_redis_leases_source(aicp_redis_leases *leases, aicp_lease_source *out)
    AICP_NONNULL(1, 2);
#endif

/* ---- limiter -------------------------------------------------------------------------------- */

/** State of all keys of a process. *synchronised* */
typedef struct aicp_limiter aicp_limiter;

/** Options of aicp_limiter_new(). Zero fields mean the default. */
typedef struct aicp_limiter_options {
    size_t size;
#ifndef SWIG
    const aicp_allocator *allocator;
    const aicp_clock *clock;         /**< monotonic_ns is used when a request gives no time */
    const aicp_lease_source *source; /**< NULL: shared rules are counted in this process only */
#else
    const void *allocator;
    const void *clock;
    const void *source;
#endif
    uint64_t slot_ttl_ns; /**< default life of a concurrency slot and a ticket; 10 min */
    uint32_t shards;      /**< a power of two up to 4096; default 64, fewer for few keys */
    uint32_t max_keys;    /**< most keys kept; default 1,000,000 */
} aicp_limiter_options;

/** Static initialiser. */
#define AICP_LIMITER_OPTIONS_INIT                                                                  \
    { sizeof(aicp_limiter_options), NULL, NULL, NULL, 0, 0, 0 }
/** Sets the defaults; `size` is sizeof(aicp_limiter_options). */
AICP_API void aicp_limiter_options_init(aicp_limiter_options *options, size_t size);

/** Makes a limiter. The structures of the hooks are copied. Errors: ERR_INVALID, ERR_NOMEM. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_limiter_new(const aicp_limiter_options *options, aicp_limiter **out, aicp_error *err);

/** Frees a limiter without talking to the store (see aicp_limiter_flush()); NULL is fine. */
AICP_API void aicp_limiter_free(aicp_limiter *limiter);

/** One dimension value of a request: bytes, compared case-sensitively. Length 0 = absent. */
typedef struct aicp_limit_value {
    int32_t dimension; /**< #AICP_LIMIT_ORG … */
    int32_t reserved;
    const char *data;
    size_t len;
} aicp_limit_value;

/** Flag of ::aicp_limit_request: the token number is a guess; handed on to the result. */
#define AICP_LIMIT_ESTIMATED 1u

/** Who asks for how much. Zero fields mean the default. */
typedef struct aicp_limit_request {
    size_t size;
    const aicp_limit_value *values; /**< borrowed for the call; each dimension once, tags often */
    size_t value_count;
    uint64_t tokens; /**< tokens to reserve (input + output cap); not 0 if a token rule applies */
    uint64_t now_ns; /**< monotonic time; 0 = read the clock */
    uint64_t deadline_ns; /**< monotonic time until which the store may be waited for; 0 = not */
    uint64_t slot_ttl_ns; /**< life of the ticket's slots; 0 = the limiter's */
    uint32_t flags;       /**< #AICP_LIMIT_ESTIMATED */
    uint32_t reserved;
#ifndef SWIG
    const struct aicp_limit_ticket *held; /**< open tickets of the same request: keys that they
                                               charged are not charged again. For a request that
                                               goes on to another model */
    size_t held_count;
#endif
} aicp_limit_request;

/** Static initialiser. */
#define AICP_LIMIT_REQUEST_INIT                                                                    \
    { sizeof(aicp_limit_request), NULL, 0, 0, 0, 0, 0, 0, 0, NULL, 0 }
/** Sets the defaults; `size` is sizeof(aicp_limit_request). */
AICP_API void aicp_limit_request_init(aicp_limit_request *request, size_t size);

/**
 * What a take charged: caller's memory, written by aicp_limiter_take(), used up by settle, cancel
 * or refund. May be copied, but only one copy may be used. A ticket that is dropped stays charged;
 * its slots end at their deadline. *confined*. Fixed size for ever.
 */
typedef struct aicp_limit_ticket {
    uint64_t internal[128];
} aicp_limit_ticket;

/** The decision. `rule` and the numbers are of the tightest rule: of those that deny, the one with
 * the longest wait; when none denies, the one with the least share left. */
typedef struct aicp_limit_result {
    size_t size; /**< set by the caller to sizeof */
    int32_t allowed;
    int32_t rule; /**< index in the rules; -1 when no rule applies */
    int32_t kind;
    int32_t degraded;  /**< the store could not be asked and on_store_failure decided */
    int32_t estimated; /**< the token number was a guess */
    int32_t overflow;  /**< decided by on_overflow: no room for a new key */
    uint64_t limit;
    uint64_t remaining;      /**< after this take */
    uint64_t reset_ns;       /**< from now until the key is unused again */
    uint64_t retry_after_ns; /**< 0 when allowed; least wait after which the same take passes if
                                  nothing else comes; #AICP_LIMIT_NEVER */
} aicp_limit_result;

/** Static initialiser. */
#define AICP_LIMIT_RESULT_INIT                                                                     \
    { sizeof(aicp_limit_result), 0, -1, 0, 0, 0, 0, 0, 0, 0, 0 }
/** Sets the defaults; `size` is sizeof(aicp_limit_result). */
AICP_API void aicp_limit_result_init(aicp_limit_result *result, size_t size);

/**
 * Charges every rule that applies, or none. Returns OK (allowed), ERR_RATE_LIMITED (result filled),
 * ERR_TOO_LARGE (more than the burst of a rule: can never pass; result names the rule),
 * ERR_WOULD_BLOCK (the store must be asked and the deadline does not allow it; nothing charged; ask
 * again with a deadline), ERR_STORE (a rule with on_store_failure deny could not be checked),
 * ERR_LIMIT (more than #AICP_LIMIT_MAX_CHARGES keys, or a value too long), ERR_INVALID, ERR_NOMEM.
 * `ticket` and `result` may be NULL (then nothing can be given back / told). On any error the
 * ticket is empty. Does not allocate once its keys are known.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_limiter_take(
    aicp_limiter *limiter,
    const aicp_limit_rules *rules,
    const aicp_limit_request *request,
    aicp_limit_ticket *ticket,
    aicp_limit_result *result,
    aicp_error *err);

/**
 * Ends a ticket: releases its slots and replaces the reserved tokens by `actual_tokens`: less is
 * given back, more is charged by force, at most one window of debt. `now_ns` 0 = read the clock.
 * Never waits for the store: what it must learn goes with the next lease or flush. An empty or used
 * ticket is fine.
 */
AICP_API void aicp_limiter_settle(
    aicp_limiter *limiter, aicp_limit_ticket *ticket, uint64_t actual_tokens, uint64_t now_ns);

/** Ends a ticket and gives everything back, as if the take had not been. */
AICP_API void
aicp_limiter_cancel(aicp_limiter *limiter, aicp_limit_ticket *ticket, uint64_t now_ns);

/** Ends a ticket, gives back tokens and slots but keeps the request charges (for a request that a
 * guardrail refused: hammering must not be free). */
AICP_API void
aicp_limiter_refund(aicp_limiter *limiter, aicp_limit_ticket *ticket, uint64_t now_ns);

/** Prolongs the slots of a running request (a stream) to now + `ttl_ns` (0 = the limiter's).
 * ERR_NOT_FOUND: a slot had expired; the request runs on uncounted. */
AICP_API AICP_MUST_CHECK aicp_status aicp_limiter_renew(
    aicp_limiter *limiter,
    aicp_limit_ticket *ticket,
    uint64_t ttl_ns,
    uint64_t now_ns,
    aicp_error *err);

/** State of one key, see aicp_limiter_peek(). */
typedef struct aicp_limit_state {
    int32_t rule; /**< index in the rules */
    int32_t kind;
    uint64_t limit;
    uint64_t remaining;
    uint64_t reset_ns;
} aicp_limit_state;

/** Tells the state of each key that a take of this request would charge, without charging: writes
 * at most `max` states and their number. Errors as aicp_limiter_take(); never asks the store. */
AICP_API AICP_MUST_CHECK aicp_status aicp_limiter_peek(
    aicp_limiter *limiter,
    const aicp_limit_rules *rules,
    const aicp_limit_request *request,
    aicp_limit_state *states,
    size_t max,
    size_t *count,
    aicp_error *err);

/**
 * Tells the store what it does not know yet (settlements, released slots) and, when `all` is not 0,
 * gives every unspent slice back, as before a shutdown. Waits for the store at most `timeout_ns`.
 * Call it now and then from a thread of your own when shared rules are in use. Without a source it
 * does nothing. Errors: those of the source; what could not be told is kept for the next call.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_limiter_flush(aicp_limiter *limiter, int32_t all, uint64_t timeout_ns, aicp_error *err);

/** Counters since the start. */
typedef struct aicp_limiter_stats {
    size_t size;          /**< set by the caller to sizeof */
    uint64_t keys;        /**< keys in store now */
    uint64_t allowed;     /**< takes */
    uint64_t denied;      /**< takes */
    uint64_t overflowed;  /**< takes decided by on_overflow */
    uint64_t evicted;     /**< idle keys dropped */
    uint64_t clock_back;  /**< takes whose time lay before an earlier one of the same key */
    uint64_t store_calls; /**< calls of the lease source */
    uint64_t store_failures;
} aicp_limiter_stats;

/** Reads the counters. Errors: ERR_INVALID (size). */
AICP_API AICP_MUST_CHECK aicp_status
aicp_limiter_stats_get(aicp_limiter *limiter, aicp_limiter_stats *stats, aicp_error *err);

/* ---- answers -------------------------------------------------------------------------------- */

/** Header values, NUL-terminated, empty when the header is not to be sent. */
typedef struct aicp_limit_headers {
    char retry_after[24]; /**< Retry-After (RFC 9110): whole seconds, rounded up, at least 1 */
    char ratelimit_policy[160]; /**< RateLimit-Policy: "id";q=LIMIT;w=SECONDS */
    char ratelimit[160];        /**< RateLimit: "id";r=REMAINING;t=SECONDS */
} aicp_limit_headers;

/**
 * Writes the headers for a decision (RateLimit fields: Internet-Draft
 * draft-ietf-httpapi-ratelimit-headers). Retry-After only when denied and waiting helps; for kind
 * concurrency it is 1, as slots usually end long before their deadline.
 */
AICP_API void aicp_limit_headers_format(
    const aicp_limit_rules *rules, const aicp_limit_result *result, aicp_limit_headers *out)
    AICP_NONNULL(1, 2, 3);

AICP_END_DECL

#endif
