/* Inside the gate. Files: bundle*.c (rules), gate.c (life cycle), check.c (the way of a request),
 * step_*.c (one step each), body.c (texts of a JSON body, patches), decision.c (what callers read),
 * output.c (answers), settle.c, observe.c (events and metrics), background.c. With a server:
 * server.c, fetch.c and cache.c (rules), uplink.c (events), rate_store_http.c (slices), remote.c
 * (the way). */
#ifndef AICPI_GATE_INTERNAL_H
#define AICPI_GATE_INTERNAL_H

#include "aicp/budget.h"
#include "aicp/gate.h"
#include "aicp/guardrail.h"
#include "aicp/policy.h"
#include "aicp/ratelimit.h"

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/decimal.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "lib/base/thread.h"
#include "lib/gate/select.h"

#include <sys/types.h>

/* ---- bundle: the rules in force ---- */

enum {
    AICPI_SECTION_SCHEMA,
    AICPI_SECTION_POLICIES,
    AICPI_SECTION_ENTITIES,
    AICPI_SECTION_LIMITS,
    AICPI_SECTION_GUARDRAILS,
    AICPI_SECTION_PRICES,
    AICPI_SECTION_OVERRIDES,
    AICPI_SECTION_ACCOUNTS,
    AICPI_SECTION_ROUTES,
    AICPI_SECTION_SETTINGS,
    AICPI_SECTION_COUNT
};

typedef struct aicpi_section {
    bool present;
    size_t size;
    size_t rules; /* number of things in it, for people */
    char sha256[65];
} aicpi_section;

typedef struct aicpi_guard_named {
    aicpi_slice name;
    aicp_guard_profile *profile;
} aicpi_guard_named;

typedef struct aicpi_guard_assignment {
    aicpi_select select;
    int64_t priority;
    size_t profile; /* in profiles */
} aicpi_guard_assignment;

/* Which account a request is charged to. The account's id is `id`, with ":<value>" for each
 * dimension of `per`. */
typedef struct aicpi_account_rule {
    aicpi_slice id;
    const char *name; /* for people; NULL: none */
    aicpi_select select;
    int64_t hard_nano; /* -1: none */
    int64_t *soft_nano;
    size_t soft_count;
    const char *duration;
    const char *timezone;
    bool allow_unknown_price;
    uint64_t digest; /* of the rule's JSON: tells whether the ledger has it as it is now */
} aicpi_account_rule;

typedef struct aicpi_alias {
    aicpi_slice from;
    aicpi_slice to;
} aicpi_alias;

/* Sends matching requests to another model; a percentage below 100 picks stable groups (A/B). */
typedef struct aicpi_redirect {
    aicpi_slice id;
    aicpi_select select;
    aicpi_slice to;
    int64_t percent;
} aicpi_redirect;

typedef struct aicpi_settings {
    int64_t budget_status;         /* 422, 429, 402 or 400 */
    int64_t reservation_ttl_s;     /* 60 .. 86400 */
    int64_t min_output_tokens;     /* max_tokens is not patched below this */
    int64_t default_output_tokens; /* reserved on token limits when the request has no cap */
    bool patch_max_tokens;
    bool ratelimit_headers;
} aicpi_settings;

struct aicp_bundle {
    aicpi_ref ref;
    aicp_allocator allocator;
    aicpi_arena arena; /* texts and arrays below */
    char *version;
    aicpi_section sections[AICPI_SECTION_COUNT];
    aicp_policy_schema *schema; /* NULL: policies are only read */
    aicp_policy_set *policies;
    aicp_policy_entities *entities;
    aicp_limit_rules *limits;
    aicpi_guard_named *profiles;
    size_t profile_count;
    size_t default_profile;              /* profile_count: none */
    aicpi_guard_assignment *assignments; /* by falling priority */
    size_t assignment_count;
    aicp_price_table *prices; /* the map, or the overrides above it */
    aicp_price_table *price_map;
    aicpi_account_rule *accounts;
    size_t account_count;
    aicpi_alias *aliases;
    size_t alias_count;
    aicpi_redirect *redirects;
    size_t redirect_count;
    bool maintenance;
    aicpi_slice maintenance_message;
    aicpi_settings settings;
};

#define AICPI_MANIFEST_MAX ((size_t)1 << 20)

/* What manifest.json says; the text lies in the arena or is a view of the manifest. */
typedef struct aicpi_manifest {
    aicpi_slice version;
    aicpi_section sections[AICPI_SECTION_COUNT];
} aicpi_manifest;

aicp_status aicpi_manifest_parse(
    aicpi_arena *arena, const char *data, size_t len, aicpi_manifest *m, aicp_error *err);
/* `previous` (may be NULL) lends parts whose hash did not change. */
aicp_status aicpi_bundle_open(
    const char *path,
    const aicp_allocator *a,
    const aicp_bundle *previous,
    aicp_bundle **out,
    aicp_error *err);
extern const char *const aicpi_section_files[AICPI_SECTION_COUNT];
/* Section readers (bundle_sections.c, bundle_rules.c): fill the bundle from the file's bytes. */
typedef aicp_status (*aicpi_section_read_fn)(
    aicp_bundle *b, const char *data, size_t len, aicp_error *err);
aicp_status aicpi_read_guardrails(aicp_bundle *b, const char *data, size_t len, aicp_error *err);
aicp_status aicpi_read_accounts(aicp_bundle *b, const char *data, size_t len, aicp_error *err);
aicp_status aicpi_read_routes(aicp_bundle *b, const char *data, size_t len, aicp_error *err);
aicp_status aicpi_read_settings(aicp_bundle *b, const char *data, size_t len, aicp_error *err);
void aicpi_settings_default(aicpi_settings *s);

/* ---- body: texts of a JSON request or answer ---- */

typedef struct aicpi_text {
    size_t offset; /* of the JSON string, quotes included */
    size_t len;
    aicpi_slice text; /* decoded */
    int32_t source;   /* AICP_GUARD_USER … */
} aicpi_text;

/* Replaces bytes [offset, offset + len) of the body by a JSON string of `text`, or by `text` as it
 * is. */
typedef struct aicpi_patch {
    size_t offset;
    size_t len;
    aicpi_slice text;
    bool as_string;
} aicpi_patch;

#define AICPI_TOOLS_MAX 256 /* more are refused: policies must see all */

/* "max_tokens" or one of its newer names. */
typedef struct aicpi_cap {
    aicpi_slice token; /* its JSON number or null */
    bool null;
} aicpi_cap;

typedef struct aicpi_body {
    aicpi_slice model;
    aicpi_slice model_token; /* its JSON string; data NULL when absent */
    aicpi_cap caps[3];       /* all that are there: a provider takes one or the other */
    size_t cap_count;
    bool capped;                /* one of them is a number */
    bool other_caps;            /* a member such as "generationConfig" may hold one too */
    const char *max_tokens_key; /* how this kind of call names the cap */
    size_t open_brace;          /* offset of the first '{' */
    bool empty_object;
    bool stream;
    aicpi_slice tools[AICPI_TOOLS_MAX];
    size_t tool_count;
    aicpi_text *texts;
    size_t text_count;
    size_t text_capacity;
} aicpi_body;

#define AICPI_BODY_TEXTS_MAX 100000

/* Both keep views of `data` and copies in the arena. A failure is ERR_PARSE, ERR_LIMIT or
 * ERR_NOMEM. */
aicp_status aicpi_body_read_request(
    aicpi_body *body, aicpi_arena *arena, const char *data, size_t len, aicp_error *err);
aicp_status aicpi_body_read_answer(
    aicpi_body *body, aicpi_arena *arena, const char *data, size_t len, aicp_error *err);
/* Writes data with the patches (ascending, apart) into out, which is cleared first. */
void aicpi_body_patch(
    aicpi_strbuf *out, const char *data, size_t len, const aicpi_patch *patches, size_t count);

/* ---- request, decision, workspace ---- */

#define AICPI_TAGS_MAX 64
#define AICPI_FIELD_MAX 1024
#define AICPI_HEADERS_MAX 16
#define AICPI_ACCOUNTS_MAX 16
#define AICPI_ACCOUNT_ID_MAX 256
#define AICPI_KNOWN_ACCOUNTS_MAX 16384

typedef struct aicpi_subject {
    aicpi_slice fields[AICP_GATE_FIELD_COUNT];
    aicpi_slice tags[AICPI_TAGS_MAX];
    size_t tag_count;
    int32_t action;
} aicpi_subject;

struct aicp_gate_request {
    aicp_allocator allocator;
    aicpi_arena arena; /* subject */
    aicpi_strbuf body;
    bool has_body;
    aicpi_subject subject;
};

typedef struct aicpi_header {
    const char *name;
    const char *value;
} aicpi_header;

/* What is pooled: so many of each, and none that has grown beyond a usual request. */
#define AICPI_POOL_DECISIONS 256
#define AICPI_POOL_WORK 64
#define AICPI_POOL_BYTES ((size_t)256 << 10)

struct aicp_gate_decision {
    aicp_gate *gate;
    struct aicp_gate_decision *next; /* in the pool */
    aicp_bundle *bundle;             /* the rules it was made with */
    aicpi_arena arena;               /* all texts below */
    aicpi_subject subject;
    int32_t verdict;
    int32_t http_status;
    int32_t refused_step; /* AICP_GATE_STEP_COUNT: none */
    const char *id;
    const char *rule;
    const char *type;
    const char *message;
    const char *advice;
    const char *model; /* to send to */
    const char *requested_model;
    aicpi_header headers[AICPI_HEADERS_MAX];
    size_t header_count;
    aicpi_strbuf body; /* as it is to be sent */
    bool body_changed;
    bool stream;
    bool outsized;              /* too large for the pool */
    int64_t patched_max_tokens; /* -1 */
    aicp_cost_quote quote;
    bool quoted; /* token figures are valid */
    bool priced; /* money figures are valid */
    const aicp_price *price;
    const aicp_price *served_price;    /* of the model that answered */
    const aicp_guard_profile *profile; /* NULL: no guardrail applies; owned by the bundle */
    aicp_guard_session *session;
    double risk;
    size_t findings;
    /* What limits were charged: by the check, then by candidates that other limits hold for. They
     * lie in `ticket`, or in the arena when there are several. */
    aicp_limit_ticket ticket;
    aicp_limit_ticket *tickets;
    size_t ticket_count; /* open ones */
    uint64_t limit_tokens;
    bool limit_estimated;
    /* Reservations: one for the check, more for dearer candidates. */
    const char *accounts[AICPI_ACCOUNTS_MAX];
    const aicpi_account_rule *account_rules[AICPI_ACCOUNTS_MAX]; /* of the bundle at the check */
    size_t account_count;
    char reservation[160];
    bool reserved;
    int64_t reserved_nano;
    uint32_t raises; /* further reservations for dearer candidates: <reservation>+1, +2, … */
    bool settled;
    bool released;
    int64_t settled_nano;
    uint64_t step_ns[AICP_GATE_STEP_COUNT + 1];
    int64_t wall_ns;
};

/* Scratch memory of one check or output scan; pooled, so that it is warm. */
typedef struct aicpi_work {
    struct aicpi_work *next;
    size_t bytes; /* length of the text it works on */
    aicpi_arena arena;
    aicpi_body body;
    aicpi_patch *patches;
    size_t patch_count;
    size_t patch_capacity;
    aicp_cost_request *cost;
    aicp_policy_request *policy_request;
    aicp_policy_response *policy_response;
    aicp_guard_result *guard;
} aicpi_work;

typedef struct aicpi_step_stats {
    atomic_uint_fast64_t runs;
    atomic_uint_fast64_t refusals;
    atomic_uint_fast64_t ns;
} aicpi_step_stats;

#define AICPI_EVENT_RING ((size_t)4 << 20)
#define AICPI_EVENT_LINE ((size_t)64 << 10) /* a longer event is dropped and counted */

/* Events wait in a ring of bytes: records of a length and a line. When there is no room the oldest
 * go. */
typedef struct aicpi_events {
    pthread_mutex_t lock;
    aicpi_strbuf line; /* the one being written */
    char *ring;
    size_t start; /* of the oldest record */
    size_t used;
    uint64_t waiting;
    uint64_t dropped;
    uint64_t sequence;
    char boot[17];
} aicpi_events;

struct aicp_gate {
    aicp_allocator allocator;
    aicp_clock clock;
    aicpi_log log;
    uint32_t flags;
    uint32_t watch_ms;
    char *bundle_path;
    char *store_url;
    char *rates_url;
    char *node;
    char *events_path;
    char *events_url;
    char *bundle_url;
    char *service_key;
    char *cache_path;
    aicpi_owner owner;        /* of store and thread */
    atomic_bool accounts_due; /* the ledger's server has not been told of all of the bundle */

    pthread_rwlock_t rules_lock; /* guards `bundle` and `bundle_error` */
    aicp_bundle *bundle;
    char bundle_error[AICP_ERROR_MESSAGE_SIZE + 64];
    char manifest_seen[65];    /* hash of the manifest that was last looked at */
    aicp_error manifest_error; /* what was wrong with it; code OK: nothing */
    uint64_t manifest_retry_ns;
    pthread_mutex_t reload_lock;

    /* Accounts "per" something that the ledger has been told of -> digest of the rule then. Callers
     * choose some of the names ("end_user"): when there are too many all are forgotten, and the
     * ledger is told again. */
    pthread_mutex_t accounts_lock;
    aicpi_map accounts;
    aicpi_arena accounts_arena;

    aicp_limiter *limiter;
    aicp_rate_store *rate_store;     /* at most one of these two; none: limits of this */
    aicp_redis_leases *redis_leases; /* process only */
    struct aicpi_remote *rates_remote;
    struct aicpi_rate_http *rate_http;
    aicp_ledger *ledger;

    pthread_mutex_t pool_lock;
    aicp_gate_decision *idle_decisions;
    aicpi_work *idle_work;
    size_t idle_decision_count;
    size_t idle_work_count;
    atomic_int_fast64_t in_flight;

    aicpi_step_stats steps[AICP_GATE_STEP_COUNT];
    atomic_uint_fast64_t checks;
    atomic_uint_fast64_t refusals;
    atomic_uint_fast64_t would_block;
    atomic_uint_fast64_t check_ns;
    atomic_uint_fast64_t settled;
    atomic_uint_fast64_t settled_nano;
    aicpi_events events;

    struct aicpi_fetch *fetch;   /* NULL: the rules come from a folder */
    struct aicpi_uplink *uplink; /* NULL: events go to a file or wait for the caller */

    pthread_t thread;
    pthread_mutex_t thread_lock;
    pthread_cond_t thread_wake;
    bool thread_running;
    bool thread_stop;
};

/* ---- the steps ---- */

typedef struct aicpi_check {
    aicp_gate *gate;
    const aicp_bundle *bundle;
    aicp_gate_decision *decision;
    aicpi_work *work;
    aicpi_slice data; /* body of the request */
    uint64_t now_ns;
    int64_t wall_ns;
    uint64_t deadline_ns; /* monotonic; 0 = must not wait */
    bool texts_changed;
} aicpi_check;

/* A step looks, takes and says no by aicpi_refuse(). `undo` gives back what it took when a later
 * step refused
 * (`refused_by`) or failed (`refused_by` = AICP_GATE_STEP_COUNT). */
typedef struct aicpi_step {
    const char *name;
    aicp_status (*run)(aicpi_check *c, aicp_error *err);
    void (*undo)(aicpi_check *c, int32_t refused_by);
} aicpi_step;

extern const aicpi_step aicpi_step_parse;
extern const aicpi_step aicpi_step_route;
extern const aicpi_step aicpi_step_tokens;
extern const aicpi_step aicpi_step_policy;
extern const aicpi_step aicpi_step_limits;
extern const aicpi_step aicpi_step_guardrail;
extern const aicpi_step aicpi_step_price;
extern const aicpi_step aicpi_step_budget;

/* What a refusal says. Texts are copied into the decision. */
typedef struct aicpi_refusal {
    int32_t http_status;
    const char *type;
    aicpi_slice rule;
    const char *advice;
} aicpi_refusal;

aicp_status
aicpi_refuse(aicpi_check *c, const aicpi_refusal *refusal, aicp_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* May the subject use the model? Fills reason, rule and advice of a refusal when not. */
aicp_status aicpi_policy_allows(aicpi_check *c, aicpi_slice model, bool *allowed, aicp_error *err);
/* Takes the limits that hold for this model and were not charged by the decision yet, all or none;
 * `*took` says whether there were any. `_forget` undoes the last such take, `_cancel` all takes. */
aicp_status
aicpi_limits_cover(aicpi_check *c, aicpi_slice model, bool *allowed, bool *took, aicp_error *err);
void aicpi_limits_forget(aicpi_check *c);
void aicpi_limits_cancel(aicp_gate_decision *d, uint64_t now_ns);
/* Values of the subject for selection, limits and accounts. */
void aicpi_subject_values(const aicpi_subject *s, aicpi_slice model, aicpi_select_subject *out);
/* Does the decision, its guardrail and its reservation, cover a request to this model? Reserves the
 * difference when not. */
aicp_status aicpi_budget_covers(aicpi_check *c, aicpi_slice model, bool *allowed, aicp_error *err);
/* Counts `data` as a request to `model` into the quote; a price that is unknown (or NULL) leaves
 * the token figures and sets decision->priced to false. `_again` does it for the request that was
 * counted last (its cap may have changed). */
aicp_status aicpi_quote(
    aicpi_check *c,
    aicpi_slice data,
    const char *model,
    const aicp_price *price,
    aicp_cost_quote *quote,
    aicp_error *err);
aicp_status
aicpi_quote_again(aicpi_check *c, const aicp_price *price, aicp_cost_quote *quote, aicp_error *err);
/* Notes a change of the body; `text` must live in the workspace or the decision. */
aicp_status aicpi_patch_add(aicpi_check *c, const aicpi_patch *patch, aicp_error *err);
/* Writes the body as it will be sent into the decision: the request's with all patches. */
aicp_status aicpi_body_build(aicpi_check *c, aicp_error *err);
/* Ends the reservations of a decision. */
void aicpi_budget_release(aicp_gate_decision *d);
/* Profile for the subject; NULL: none. */
const aicp_guard_profile *
aicpi_guard_profile_for(const aicp_bundle *b, const aicpi_subject *s, aicpi_slice model);
/* Prices of a model for this decision; NULL when unknown. */
const aicp_price *aicpi_price_of(const aicp_price_table *prices, aicpi_slice model);

/* ---- life cycle ---- */

/* Copies of texts into a decision; "" when memory is short is never given: NULL. */
const char *aicpi_decision_text(aicp_gate_decision *d, aicpi_slice text);
const char *aicpi_decision_printf(aicp_gate_decision *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
aicp_status
aicpi_decision_header(aicp_gate_decision *d, const char *name, const char *value, aicp_error *err);

aicp_gate_decision *aicpi_decision_take(aicp_gate *g);
void aicpi_decision_give(aicp_gate_decision *d);
aicpi_work *aicpi_work_take(aicp_gate *g, size_t bytes); /* for a text of that length */
void aicpi_work_give(aicp_gate *g, aicpi_work *w);
void aicpi_decision_destroy(aicp_gate_decision *d);
void aicpi_work_destroy(aicp_gate *g, aicpi_work *w);
aicp_bundle *aicpi_gate_bundle(aicp_gate *g); /* a reference, or NULL */
/* After a fork: store, thread and events of the child. Cheap when there was none. */
aicp_status aicpi_gate_own_process(aicp_gate *g, aicp_error *err);
aicp_status aicpi_gate_open_store(aicp_gate *g, aicp_error *err);
void aicpi_gate_close_store(aicp_gate *g);
/* Tell log, events and metrics of a bundle that was refused, once for each text; that the last look
 * found nothing wrong. */
void aicpi_gate_note_refused(aicp_gate *g, const aicp_error *err);
void aicpi_gate_note_accepted(aicp_gate *g);
/* Makes the ledger know an account; may wait for the store until `deadline_ns` (0 = 5 s). */
/* Tells the ledger's server of accounts that it could not be told of when it was away. */
aicp_status aicpi_gate_put_due(aicp_gate *g, aicp_error *err);
aicp_status aicpi_gate_put_account(
    aicp_gate *g,
    const aicpi_account_rule *rule,
    aicpi_slice id,
    uint64_t deadline_ns,
    aicp_error *err);

aicp_status aicpi_background_start(aicp_gate *g, aicp_error *err);
void aicpi_background_stop(aicp_gate *g);

aicp_status aicpi_events_init(aicp_gate *g, aicp_error *err);
void aicpi_events_deinit(aicp_gate *g);
void aicpi_events_reopen(aicp_gate *g); /* after a fork: new boot id, empty ring */
void aicpi_event_decision(aicp_gate *g, const aicp_gate_decision *d, const aicpi_body *body);
void aicpi_event_settled(aicp_gate *g, const aicp_gate_decision *d, int64_t input, int64_t output);
void aicpi_event_output(aicp_gate *g, const aicp_gate_decision *d, const aicp_guard_result *r);
/* `version` is the one in force; `refused` tells why another was not taken. */
void aicpi_event_bundle(aicp_gate *g, const char *version, const aicp_error *refused);
aicp_status aicpi_events_write(aicp_gate *g, aicp_error *err);
/* Moves lines from the ring to the end of `out`, each with its newline, as long as it has at most
 * `max` bytes then. Returns how many events were lost so far. */
uint64_t aicpi_events_take(aicp_gate *g, aicpi_strbuf *out, size_t max);
aicp_status aicpi_events_append(aicp_gate *g, aicpi_slice lines, aicp_error *err); /* to the file */
void aicpi_events_lost(aicp_gate *g, uint64_t count);

#endif
