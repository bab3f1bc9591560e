/* Inside the limiter: rules, algorithms over the level of a key, slots, the sharded key table.
 *
 * A take collects the keys of the rules that match, locks their shards in ascending order, checks
 * all of them and charges all or none under the locks. So a denial leaves no trace and nobody sees
 * half a charge. The store of shared limits is asked with no lock held. */
#ifndef AICPI_RATELIMIT_INTERNAL_H
#define AICPI_RATELIMIT_INTERNAL_H

#include "aicp/ratelimit.h"

#include "lib/base/alloc.h"
#include "lib/base/decimal.h"
#include "lib/base/hash.h"
#include "lib/base/slice.h"
#include "lib/base/thread.h"
#include "lib/ratelimit/lock.h"

#define AICPI_LIMIT_MAX_LIMIT INT64_C(1000000000000000) /* 1e15 */
#define AICPI_LIMIT_MAX_BURST 1000                      /* burst_multiplier */
#define AICPI_LIMIT_MAX_WINDOW_NS (UINT64_C(366) * 86400 * 1000000000)

/* ---- algorithms ---------------------------------------------------------------------------- */

typedef struct aicpi_limit_params {
    uint64_t limit;
    uint64_t burst;
    uint64_t window_ns;
} aicpi_limit_params;

/* State of a key under a rate algorithm; all zero = unused. gcra: `used` is tokens * window_ns as
 * of `time`. fixed_window: `used` is tokens, `time` the start of the window. With the bounds above
 * no product leaves 128 bits. */
typedef struct aicpi_limit_level {
    aicpi_uint128 used;
    uint64_t time;
} aicpi_limit_level;

typedef struct aicpi_limit_algorithm {
    const char *name;
    int32_t number;
    bool has_burst;
    /* Brings the level to `now`, which is not before level->time. */
    void (*advance)(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now);
    /* Whether n (0 < n <= burst) fits into an advanced level; else the least wait. */
    bool (*fits)(
        const aicpi_limit_level *level,
        const aicpi_limit_params *p,
        uint64_t n,
        uint64_t now,
        uint64_t *retry_after_ns);
    /* Adds n to an advanced level, up to the capacity and one window of debt. */
    void (*charge)(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n);
    void (*refund)(aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t n);
    /* Carries what is used over to other parameters, never more than their capacity. */
    void (*convert)(
        aicpi_limit_level *level, const aicpi_limit_params *from, const aicpi_limit_params *to);
    uint64_t (*remaining)(const aicpi_limit_level *level, const aicpi_limit_params *p);
    /* From `now` until unused. */
    uint64_t (*reset)(const aicpi_limit_level *level, const aicpi_limit_params *p, uint64_t now);
    /* Part of the capacity that is left, 0..1. */
    double (*share)(const aicpi_limit_level *level, const aicpi_limit_params *p);
} aicpi_limit_algorithm;

/* NULL when there is none of that number / name. */
const aicpi_limit_algorithm *aicpi_limit_algorithm_get(int32_t number);
const aicpi_limit_algorithm *aicpi_limit_algorithm_find(aicpi_slice name);

/* ---- rules --------------------------------------------------------------------------------- */

enum { AICPI_LIMIT_FAIL_LOCAL = 0, AICPI_LIMIT_FAIL_DENY = 1, AICPI_LIMIT_FAIL_ALLOW = 2 };

typedef struct aicpi_limit_pattern {
    int32_t dimension;
    bool prefix;
    aicpi_slice text;
} aicpi_limit_pattern;

typedef struct aicpi_limit_rule {
    char *id;
    size_t id_len;
    const char *name; /* for people; NULL: none */
    uint32_t index;   /* place in the text */
    int32_t kind;
    const aicpi_limit_algorithm *algorithm; /* NULL for slots */
    aicpi_limit_params params;
    bool unlimited;
    bool shared;
    bool exact;
    bool overflow_allow;
    int32_t on_store_failure;
    uint64_t most;  /* that one take may ask for: burst; no bound when all is blocked */
    uint32_t needs; /* bit set of dimensions that a request must have: of `per` and patterns */
    uint32_t per;   /* bit set of dimensions; the same as a list: */
    uint8_t per_list[AICP_LIMIT_DIMENSIONS];
    uint8_t per_count;
    aicpi_limit_pattern *patterns; /* sorted by dimension */
    size_t pattern_count;
    char *prefix; /* start of the canonical key: kind, algorithm, id */
    size_t prefix_len;
    uint64_t prefix_hash;
} aicpi_limit_rule;

typedef struct aicpi_limit_index aicpi_limit_index;

struct aicp_limit_rules {
    aicpi_ref ref;
    aicp_allocator allocator;
    struct aicpi_arena *arena; /* all texts and arrays */
    aicpi_limit_rule *rules;   /* order of the text */
    size_t count;
    const aicpi_limit_rule **order; /* limited rules: concurrency, requests, tokens; narrow first */
    size_t order_count;
    /* Rules that demand an exact value of some dimension, by that value; position in `order`. Only
     * made for long lists. */
    aicpi_limit_index *index;
};

/* What a request says about itself, by dimension. */
typedef struct aicpi_limit_subject {
    uint32_t present;                   /* bit set of dimensions; of `values` only these are set */
    const aicp_limit_value *values[16]; /* by dimension; the tag is not in here */
    aicpi_slice tags[AICP_LIMIT_MAX_CHARGES];
    size_t tag_count;
} aicpi_limit_subject;

/* The general way of aicpi_limit_subject_init() in keys.h: tags, absent values, errors. */
aicp_status aicpi_limit_subject_add(
    aicpi_limit_subject *subject, const aicp_limit_request *request, aicp_error *err);
const char *aicpi_limit_dimension_name(int32_t dimension);
/* Whether all of `match` holds. */
bool aicpi_limit_patterns_match(const aicpi_limit_rule *rule, const aicpi_limit_subject *subject);

static inline bool
aicpi_limit_rule_matches(const aicpi_limit_rule *rule, const aicpi_limit_subject *subject) {
    return (rule->needs & ~subject->present) == 0 &&
           (rule->pattern_count == 0 || aicpi_limit_patterns_match(rule, subject));
}

#define AICPI_LIMIT_CANDIDATES 256
/* Positions in `order` of the rules that may match, ascending; ERR_LIMIT when there are more than
 * `max`. Only for rules with an index. */
aicp_status aicpi_limit_index_find(
    const aicp_limit_rules *rules,
    const aicpi_limit_subject *subject,
    uint32_t *out,
    size_t max,
    size_t *count,
    aicp_error *err);
aicp_status aicpi_limit_index_build(aicp_limit_rules *rules, aicp_error *err);
void aicpi_limit_index_free(aicp_limit_rules *rules);

/* ---- slots (concurrency) ------------------------------------------------------------------- */

typedef struct aicpi_limit_slot {
    uint64_t id;             /* 0 = free */
    uint64_t deadline;       /* monotonic; of a free one: next free + 1 */
    uint64_t store_deadline; /* shared: until when the store counts it; 0 = not in the store */
    bool idle;               /* shared: released here, still held at the store */
    bool renew;              /* shared: the store has not heard of the new deadline */
} aicpi_limit_slot;

typedef struct aicpi_limit_slots {
    aicpi_limit_slot *items;
    uint32_t capacity;
    uint32_t count; /* used part of items */
    uint32_t free;  /* first free + 1 */
    uint32_t live;  /* not idle */
    uint32_t idle;
    uint64_t next_deadline; /* no slot ends earlier; a hint */
} aicpi_limit_slots;

void aicpi_limit_slots_expire(aicpi_limit_slots *s, uint64_t now);
/* Makes room for one more; false: out of memory. */
bool aicpi_limit_slots_reserve(aicpi_limit_slots *s, const aicp_allocator *a);
/* Place of the new slot. Room must have been reserved. */
uint32_t aicpi_limit_slots_acquire(aicpi_limit_slots *s, uint64_t id, uint64_t deadline);
/* NULL when the slot is not there any more. */
aicpi_limit_slot *aicpi_limit_slots_get(aicpi_limit_slots *s, uint32_t place, uint64_t id);
void aicpi_limit_slots_release(aicpi_limit_slots *s, uint32_t place);
/* Least time from `now` on at which fewer than `limit` live ones are left, if none is released. */
uint64_t aicpi_limit_slots_free_at(const aicpi_limit_slots *s, uint64_t limit, uint64_t now);
uint64_t aicpi_limit_slots_last_deadline(const aicpi_limit_slots *s);

/* ---- keys ---------------------------------------------------------------------------------- */

/* A key's part in a shared limit. */
typedef struct aicpi_limit_lease {
    uint64_t available; /* unspent part of the slice */
    uint64_t expires;   /* monotonic; then `available` lapses */
    uint64_t granted_at;
    uint64_t slice;        /* size to ask for next */
    uint64_t returned;     /* to be told to the store: given back */
    uint64_t debt;         /* to be told to the store: used beyond the reservation */
    uint64_t denied_until; /* the store said no until then ... */
    uint64_t denied_need;  /* ... for this much or more */
    uint64_t on_record;    /* unspent units of this node as the store knows them */
    uint64_t remaining;    /* as the store said last */
    uint64_t reset_at;
    uint32_t nodes;
    bool exact;
} aicpi_limit_lease;

typedef struct aicpi_limit_entry {
    aicpi_limit_level level;
    aicpi_limit_params params;              /* under which the level was written */
    const aicpi_limit_algorithm *algorithm; /* NULL for slots */
    uint64_t generation;                    /* changes when the memory gets another key */
    char *key;
    uint32_t key_len;
    uint32_t in_use; /* takes that hold a pointer right now */
    uint64_t hash;
    uint32_t key_capacity;
    uint32_t index;
    uint32_t next_free;    /* + 1 */
    uint32_t pins;         /* tickets that may still change the level ... */
    uint64_t pinned_until; /* ... at most until then */
    aicpi_limit_slots *slots;
    aicpi_limit_lease *lease;
    uint32_t next_dirty; /* + 1 */
    bool dirty;          /* in the list of keys with something to tell the store */
    int8_t kind;
    bool used; /* holds a key */
} aicpi_limit_entry;

#define AICPI_LIMIT_CHUNK 64

typedef struct aicpi_limit_table_slot {
    uint64_t hash;
    aicpi_limit_entry *entry; /* NULL = empty */
} aicpi_limit_table_slot;

typedef struct aicpi_limit_shard {
    aicpi_limit_mutex lock;
    aicpi_limit_table_slot *table;
    uint32_t mask;
    uint32_t count; /* keys */
    aicpi_limit_entry **chunks;
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    uint32_t free_entry;     /* + 1 */
    uint32_t next_entry;     /* never used so far */
    uint32_t hand;           /* of the sweep */
    uint32_t dirty;          /* first, + 1 */
    uint64_t no_idle_before; /* a full sweep found nothing idle before this time */
    uint64_t next_slot_id;
    uint64_t allowed;
    uint64_t denied;
    uint64_t overflowed;
    uint64_t evicted;
    uint64_t clock_back;
} __attribute__((aligned(64))) aicpi_limit_shard;

struct aicp_limiter {
    aicp_allocator allocator;
    aicp_clock clock;
    aicp_lease_source source;
    bool has_source;
    uint64_t slot_ttl_ns;
    uint32_t shard_count;
    uint32_t max_keys_per_shard;
    aicpi_limit_shard *shards;
    void *shards_raw;
    _Atomic uint64_t store_calls;
    _Atomic uint64_t store_failures;
    _Atomic uint64_t store_down_until; /* no calls before that time */
    _Atomic uint32_t store_failed_in_row;
    struct aicp_limiter *next; /* in the list of those that a fork must find unlocked */
};

void aicpi_limiter_list(aicp_limiter *l);
void aicpi_limiter_unlist(aicp_limiter *l);
/* In the child of a fork: unspent slices, debts and slots known to the store stay the parent's. */
void aicpi_limiter_leave_parent(aicp_limiter *l);

static inline aicpi_limit_entry *aicpi_limit_entry_at(const aicpi_limit_shard *s, uint32_t index) {
    return &s->chunks[index / AICPI_LIMIT_CHUNK][index % AICPI_LIMIT_CHUNK];
}

static inline uint32_t aicpi_limit_shard_of(const aicp_limiter *l, uint64_t hash) {
    return (uint32_t)(hash & (l->shard_count - 1));
}

/* What a key is made of. Its bytes are only put together for a new entry. */
typedef struct aicpi_limit_key {
    const aicpi_limit_rule *rule;
    const aicpi_limit_subject *subject;
    aicpi_slice tag; /* the one of the request's tags that the key stands for */
    uint64_t hash;
    size_t len; /* of the canonical form */
} aicpi_limit_key;

/* All with the shard locked. keys.h has the finding. */
/* Finds or makes. NULL: *full says whether for lack of an idle key to drop, else out of memory. */
aicpi_limit_entry *aicpi_limit_put(
    aicp_limiter *l, aicpi_limit_shard *s, const aicpi_limit_key *key, uint64_t now, bool *full);
void aicpi_limit_mark_dirty(aicpi_limit_shard *s, aicpi_limit_entry *e);
/* Says that a key may have become idle before its time. */
static inline void aicpi_limit_touch_idle(aicpi_limit_shard *s) {
    s->no_idle_before = 0;
}
void aicpi_limit_shard_deinit(aicp_limiter *l, aicpi_limit_shard *s);

/* ---- takes --------------------------------------------------------------------------------- */

/* What the check of one key came to. */
enum {
    AICPI_LIMIT_PASS = 0,
    AICPI_LIMIT_DENY = 1,
    AICPI_LIMIT_ASK = 2,    /* the store must be asked */
    AICPI_LIMIT_REFUSE = 3, /* the store cannot be asked and the rule says deny */
};

/* How a passing charge was made. */
enum {
    AICPI_LIMIT_BY_LEVEL = 0, /* on the key's own level or slots */
    AICPI_LIMIT_BY_LEASE = 1, /* from the shared store */
    AICPI_LIMIT_BY_NONE = 2,  /* let through uncounted */
};

typedef struct aicpi_limit_item {
    const aicpi_limit_rule *rule;
    aicpi_limit_key key;
    uint64_t amount;
    uint32_t shard;
    int32_t verdict;
    int32_t mode;
    uint64_t retry_after_ns;
    aicpi_limit_entry *entry; /* held by in_use */
    uint64_t granted;         /* shared: already leased for this take */
    uint64_t slot_id;
    uint32_t slot_place;
    bool degraded;
    bool overflow;
    bool denied_by_store;
} aicpi_limit_item;

typedef struct aicpi_limit_work {
    aicp_limiter *limiter;
    const aicp_limit_rules *rules;
    uint64_t now;
    uint64_t slot_ttl_ns;
    uint64_t deadline_ns;
    size_t count;
    aicpi_limit_item items[AICP_LIMIT_MAX_CHARGES];
    uint32_t shards[AICP_LIMIT_MAX_CHARGES]; /* distinct, ascending */
    size_t shard_count;
    bool impossible; /* some amount is 0, or more than its rule can ever admit */
    aicpi_limit_subject subject;
} aicpi_limit_work;

/* Fills items and shards of the rules that match. */
aicp_status
aicpi_limit_collect(aicpi_limit_work *w, const aicp_limit_request *request, aicp_error *err);
void aicpi_limit_work_init(
    aicpi_limit_work *w,
    aicp_limiter *l,
    const aicp_limit_rules *rules,
    const aicp_limit_request *request);

/* Brings a key to `now` under these parameters; returns `now`, or the later time that the key has
 * seen already. Shard locked. */
uint64_t aicpi_limit_entry_advance(
    aicpi_limit_shard *s, aicpi_limit_entry *e, const aicpi_limit_params *params, uint64_t now);
/* Verdict from the key's own level or slots. Shard locked. */
void aicpi_limit_check_level(
    aicpi_limit_work *w, aicpi_limit_item *item, const aicpi_limit_params *params);
/* What is left of a key and when it will be unused. Shard locked. */
void aicpi_limit_numbers(
    const aicpi_limit_item *item, uint64_t now, uint64_t *remaining, uint64_t *reset_ns);

/* ---- shared limits (lease.c) --------------------------------------------------------------- */

/* Shard locked: verdict from the slice at hand; charge; put back what a failed take was granted. */
void aicpi_lease_check(aicpi_limit_work *w, aicpi_limit_item *item);
void aicpi_lease_commit(aicpi_limit_work *w, aicpi_limit_item *item);
void aicpi_lease_undo(aicpi_limit_work *w, aicpi_limit_item *item);
uint64_t aicpi_lease_remaining(const aicpi_limit_item *item);
/* Replaces `reserved` by `actual` tokens. Shard locked. */
void aicpi_lease_settle(
    aicpi_limit_shard *s, aicpi_limit_entry *e, uint64_t reserved, uint64_t actual, uint64_t now);
/* A call of the store failed: its debt is to be told again, and what it gave back unless the store
 * may know of it; twice would be too much. Shard locked. */
void aicpi_lease_untold(aicpi_limit_lease *x, const aicp_lease_request *q, aicp_status status);
/* Unlocked: asks the store for all items with verdict ASK. Failures show in the next check. */
void aicpi_lease_fetch(aicpi_limit_work *w);
/* Whether the deadline of the take lies ahead. */
bool aicpi_lease_has_time(const aicpi_limit_work *w);

/* ---- tickets ------------------------------------------------------------------------------- */

/* Lives in the words of the public ticket, hence may_alias. */
typedef struct __attribute__((may_alias)) aicpi_ticket_charge {
    uint64_t generation;
    uint64_t amount;
    uint64_t slot_id;
    uint32_t shard;
    uint32_t index;
    uint32_t slot_place;
    int8_t kind;
    int8_t mode;
    bool pinned;
} aicpi_ticket_charge;

typedef struct __attribute__((may_alias)) aicpi_ticket {
    uint64_t count; /* 0 = empty */
    aicpi_ticket_charge charges[AICP_LIMIT_MAX_CHARGES];
} aicpi_ticket;

_Static_assert(sizeof(aicpi_ticket) <= sizeof(aicp_limit_ticket), "tickets have a fixed size");

/* Lets the keys of a ticket go that nobody holds. */
void aicpi_limit_unpin(aicp_limiter *l, aicpi_ticket *t);

#endif
