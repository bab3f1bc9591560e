/**
 * @file gate.h
 * The whole of the library in one call: may this request run, what will it cost, what must be
 * changed in it?
 *
 *     aicp_gate_open(&options, &gate, &err);                      // once per process
 *     aicp_gate_request_new(gate, &request, &err);                // once per thread
 *
 *     aicp_gate_request_reset(request);
 *     aicp_gate_request_set_body(request, body, body_len, &err);
 *     aicp_gate_request_set(request, AICP_GATE_TEAM, "blue", 4, &err);
 *     aicp_gate_check(gate, request, wait_ns, &decision, &err);   // may wait for the store
 *     if (aicp_gate_decision_verdict(decision) == AICP_GATE_ALLOW) {
 *         ... send aicp_gate_decision_body(decision, &body_len) to the model ...
 *         aicp_gate_output(gate, decision, answer, answer_len, &out, &verdict, &err);
 *         aicp_gate_settle(gate, decision, &usage, -1, &cost_nano, &err);
 *     }
 *     aicp_gate_decision_free(decision);                          // releases what was not settled
 *
 * The steps run in this order; the first refusal ends the check and undoes what earlier steps took:
 * parse, route, tokens, policy, limits, guardrail, price, budget.
 *
 * Rules come from a *bundle* (aicp_bundle_open()): a folder with a manifest and one file per
 * section. A gate that watches its bundle swaps a new version in while requests run; a broken one
 * is refused and the last good one stays.
 */
#ifndef AICP_GATE_H
#define AICP_GATE_H

#include "aicp/base.h"
#include "aicp/cost.h"
#include "aicp/policy.h"

/** The gate. *synchronised* */
typedef struct aicp_gate aicp_gate;
/** What is asked of the gate: body and subject. *confined*, reusable. */
typedef struct aicp_gate_request aicp_gate_request;
/** The answer, from check to settle. *confined* */
typedef struct aicp_gate_decision aicp_gate_decision;
/** Scans and restores one text of a streamed answer. *confined* */
typedef struct aicp_gate_stream aicp_gate_stream;
/** A verified set of rules. *immutable*, reference-counted. */
typedef struct aicp_bundle aicp_bundle;

/** Verdicts. Zero, the value of a decision that was never made, is the safe one. */
enum { AICP_GATE_DENY = 0, AICP_GATE_ALLOW = 1 };

/** Who and what a request comes from; see aicp_gate_request_set(). */
enum {
    AICP_GATE_KEY = 0,       /**< id of the API key: hex SHA-256, or any stable id */
    AICP_GATE_KEY_ALIAS = 1, /**< its readable name */
    AICP_GATE_USER = 2,
    AICP_GATE_TEAM = 3,
    AICP_GATE_ORG = 4,
    AICP_GATE_END_USER = 5, /**< the caller's own customer */
    AICP_GATE_ROLE = 6,     /**< role of the user, e.g. "proxy_admin" */
    AICP_GATE_IP = 7,       /**< address of the caller */
    AICP_GATE_SOURCE = 8,   /**< what asks: "litellm", "embed" */
    AICP_GATE_CALL_ID = 9,  /**< id that joins with the proxy's log; made by the gate when absent */
    AICP_GATE_FIELD_COUNT = 10
};

/** What the caller wants to do; the Cedar action. */
enum {
    AICP_GATE_CHAT = 0,
    AICP_GATE_COMPLETE = 1,
    AICP_GATE_EMBED = 2,
    AICP_GATE_RESPOND = 3,
    AICP_GATE_IMAGE = 4,
    AICP_GATE_AUDIO = 5,
    AICP_GATE_TOOL = 6
};

/** Steps of a check, in their order; see aicp_gate_decision_step_ns(). */
enum {
    AICP_GATE_STEP_PARSE = 0,
    AICP_GATE_STEP_ROUTE = 1,
    AICP_GATE_STEP_TOKENS = 2,
    AICP_GATE_STEP_POLICY = 3,
    AICP_GATE_STEP_LIMITS = 4,
    AICP_GATE_STEP_GUARDRAIL = 5,
    AICP_GATE_STEP_PRICE = 6,
    AICP_GATE_STEP_BUDGET = 7,
    AICP_GATE_STEP_COUNT = 8 /**< number of steps; as an argument: all of them */
};

/** Longest request body, 16 MiB. A longer one is refused with HTTP status 413. */
#define AICP_GATE_BODY_MAX ((size_t)16 << 20)

/**
 * Flag of ::aicp_gate_options: background threads. One follows the bundle's folder, tells the store
 * of limits what it does not know and writes events; the ledger's books settlements, renews and
 * expires; with `bundle_url` one follows the server, with events for a server one sends them.
 * Without it nothing of that happens by itself: call aicp_gate_reload() and
 * aicp_gate_flush().
 */
#define AICP_GATE_BACKGROUND 1u

/** How a gate is opened. Zero means default. */
typedef struct aicp_gate_options {
    size_t size;
    uint32_t flags;    /**< #AICP_GATE_BACKGROUND */
    uint32_t watch_ms; /**< how often the bundle is looked at, default 250 */
#ifndef SWIG
    const char
        *bundle_path;      /**< folder of the bundle, NUL-terminated; NULL: see aicp_gate_load() */
    const char *store_url; /**< "sqlite:///absolute/path" or "postgresql://…", or the base URL
                              "http(s)://…" of a server that has the store: budgets, shared
                              limits; NULL: in memory, for one process */
    const char *node; /**< name of this host or process group in the store; NULL: the host's name */
    /** JSON Lines file that events are appended to; NULL: aicp_gate_events(). Settlements that a
     * store other than a SQLite file cannot be told are kept in `<events_path>.ledger` or
     * `<cache_path>/ledger.db`, whichever is an absolute path. */
    const char *events_path;
    const aicp_allocator *allocator; /**< NULL: the C library's heap */
    const aicp_clock *clock;         /**< NULL: the system's clocks */
    aicp_log_fn log;                 /**< NULL: no log */
    void *log_user;
    const char *rates_url;   /**< where shared limits are counted: "redis://…" (see
                                aicp_redis_leases_open()) or a URL as store_url; NULL: store_url */
    const char *bundle_url;  /**< instead of bundle_path: base URL of the server of the rules,
                                "http(s)://host[:port]" (docs/gate-protocol.md) */
    const char *service_key; /**< what the gate shows to its server */
    const char *cache_path;  /**< folder for the disk copy of the rules, made when it is not there;
                                needed with bundle_url. Processes may share it */
    const char *events_url;  /**< base URL that events are sent to; NULL: bundle_url */
#endif
} aicp_gate_options;

#define AICP_GATE_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(aicp_gate_options), 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,     \
            NULL, NULL, NULL, NULL                                                                 \
    }

AICP_BEGIN_DECL

/** Fills options with defaults; `size` is the caller's sizeof. */
AICP_API void aicp_gate_options_init(aicp_gate_options *options, size_t size);

/* ---- bundle ---- */

#ifndef SWIG
/**
 * Reads the bundle in folder `path` (NUL-terminated): `manifest.json` and the sections that it
 * names. Every section must have the size and SHA-256 of the manifest and be right in itself.
 * `allocator` may be NULL.
 *
 * Errors: ERR_BUNDLE (a hash differs, an unknown section or format), and those of the section's
 * parser; the message begins with the file's name, line and column are of that file. ERR_NOT_FOUND,
 * ERR_IO, ERR_LIMIT, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_bundle_open(
    const char *path, const aicp_allocator *allocator, aicp_bundle **out, aicp_error *err);
#endif
/**
 * Writes `manifest.json` for the section files that lie in folder `path`, after checking each.
 * `version` is any text; both are NUL-terminated. The manifest is replaced in one step, so a
 * watching gate sees the old or the new one. Errors as aicp_bundle_open(); then nothing was
 * written.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_bundle_seal(const char *path, const char *version, aicp_error *err);
/** Takes one more reference and returns `bundle`. */
AICP_API aicp_bundle *aicp_bundle_ref(aicp_bundle *bundle);
/** Drops one reference; NULL is fine. */
AICP_API void aicp_bundle_free(aicp_bundle *bundle);
/** Version text of the manifest. Lives as long as the bundle. */
AICP_API const char *aicp_bundle_version(const aicp_bundle *bundle);
/** What the bundle holds, as a JSON object (version, and per section size, hash and number of
 * rules). */
AICP_API AICP_MUST_CHECK aicp_status
aicp_bundle_describe(const aicp_bundle *bundle, aicp_buf *out, aicp_error *err);

/* ---- gate ---- */

/**
 * Opens a gate. With `bundle_path` the bundle is loaded at once, and its error returned; with
 * `bundle_url` it is fetched, or taken from the disk copy while the server is away. A gate
 * opened before a fork reopens its store and thread in the child at the first call there; fork()
 * waits until no thread is inside a transaction of an SQLite store (at most 10 s; a child made
 * after that in the middle of one cannot use SQLite and its calls fail). Errors: those of
 * aicp_bundle_open(), ERR_STORE, ERR_INVALID, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_open(const aicp_gate_options *options, aicp_gate **out, aicp_error *err);
/** Closes the gate: stops its thread, flushes settlements. All decisions must be freed before. NULL
 * is fine. */
AICP_API void aicp_gate_free(aicp_gate *gate);
/** Puts `bundle` in force (a reference is taken). Requests under way end with the rules they began
 * with. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_load(aicp_gate *gate, aicp_bundle *bundle, aicp_error *err);
/**
 * Looks at the folder of `bundle_path`, or asks the server of `bundle_url` without waiting for a
 * change, and loads what is new. `*changed` (may be
 * NULL) tells. On an error the last good bundle stays in force and the error is kept for
 * aicp_gate_metrics(). With #AICP_GATE_BACKGROUND nobody needs to call this.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_reload(aicp_gate *gate, int32_t *changed, aicp_error *err);
/** Version of the bundle in force, as a buffer. ERR_STATE before the first load. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_bundle_version(aicp_gate *gate, aicp_buf *out, aicp_error *err);
/**
 * A snapshot as a JSON object: requests and refusals per step, microseconds per step, bundle
 * version and last bundle error, decisions in flight, events dropped, state of the store.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_metrics(aicp_gate *gate, aicp_buf *out, aicp_error *err);
/** Takes the events that wait, as JSON Lines (empty when none). Not with `events_path` or events
 * that go to a server. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_events(aicp_gate *gate, aicp_buf *out, aicp_error *err);
/** Does the background work once, waiting for the store: settlements, expired reservations, events.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_flush(aicp_gate *gate, aicp_error *err);

/* ---- request ---- */

/** Makes an empty request. Errors: ERR_NOMEM. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_request_new(aicp_gate *gate, aicp_gate_request **out, aicp_error *err);
/** Frees a request; NULL is fine. */
AICP_API void aicp_gate_request_free(aicp_gate_request *request);
/** Empties a request and keeps its memory. */
AICP_API void aicp_gate_request_reset(aicp_gate_request *request);
/**
 * The JSON body of the call (OpenAI chat completions, completions, embeddings, responses; Anthropic
 * messages). It is copied. Errors: ERR_LIMIT (#AICP_GATE_BODY_MAX), ERR_NOMEM. Malformed JSON is a
 * refusal of the check, status 400.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_request_set_body(
    aicp_gate_request *request, const char *data, size_t len, aicp_error *err);
/** What is asked for: #AICP_GATE_CHAT … Default chat. ERR_INVALID for another number. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_request_set_action(aicp_gate_request *request, int32_t action, aicp_error *err);
/** Sets a field of the subject (#AICP_GATE_KEY …), UTF-8, at most 1,024 bytes; copied. Empty =
 * unknown. */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_request_set(
    aicp_gate_request *request, int32_t field, const char *data, size_t len, aicp_error *err);
/** Adds a tag, at most 64 of 256 bytes. ERR_LIMIT. */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_request_add_tag(
    aicp_gate_request *request, const char *data, size_t len, aicp_error *err);

/** Name of a field ("key", "team") or an action ("chat") in JSON; NULL for another number. Static.
 */
AICP_API const char *aicp_gate_field_name(int32_t field);
AICP_API const char *aicp_gate_action_name(int32_t action);

/**
 * Fills a policy request with what a gate would ask its policies, for trying policies on questions
 * written down: a JSON object with the members of a decision event, "model" (needed), "action"
 * (default "chat"), "key", "key_alias", "user", "team", "org", "end_user", "role", "ip", "source",
 * "stream", "input_tokens" (default 0), "output_cap" (default -1, unknown), "time" (RFC 3339,
 * default now), "tags" and "tools" (lists of texts). Others are not looked at, so that an event can
 * be given as it is. `entities` and `prices` (NULL: none) are those the gate would have; what is
 * filled in refers to neither. Errors with line and column: ERR_PARSE, ERR_RANGE, ERR_LIMIT; else
 * ERR_INVALID (a text that is no id), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_question_parse(
    const char *data,
    size_t len,
    const aicp_policy_entities *entities,
    const aicp_price_table *prices,
    aicp_policy_request *out,
    aicp_error *err);

/* ---- check ---- */

/**
 * Decides. `wait_ns` is how long the call may wait for the store (0: not at all; then
 * ERR_WOULD_BLOCK, with nothing taken, says: call again where waiting is fine). A
 * refusal is not an error: the call returns OK and a decision with verdict #AICP_GATE_DENY. Free
 * the decision with aicp_gate_decision_free().
 *
 * Errors: ERR_WOULD_BLOCK, ERR_STATE (no bundle), ERR_INVALID (no body), ERR_NOMEM. The caller
 * chooses what an error means (fail closed or open).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_check(
    aicp_gate *gate,
    const aicp_gate_request *request,
    uint64_t wait_ns,
    aicp_gate_decision **out,
    aicp_error *err);

/**
 * May this allowed request go to another model (a fallback, another deployment)? Policy is asked
 * again with `data` as the model, limits that hold for that model and were not charged yet are
 * charged, and the reservation is raised when it may cost more: all of that or nothing. It ends
 * with the decision. `*allowed` is 1 or 0. Errors: as aicp_gate_check(); ERR_LIMIT when limits of
 * more than 16 further models were charged.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_candidate(
    aicp_gate *gate,
    aicp_gate_decision *decision,
    const char *data,
    size_t len,
    uint64_t wait_ns,
    int32_t *allowed,
    aicp_error *err);

/* ---- decision ---- */

/** Releases what was reserved and not settled, and frees. NULL is fine. */
AICP_API void aicp_gate_decision_free(aicp_gate_decision *decision);

/** #AICP_GATE_ALLOW or #AICP_GATE_DENY. */
AICP_API int32_t aicp_gate_decision_verdict(const aicp_gate_decision *decision);
/** HTTP status for the caller: 200, or 400, 403, 413, 422, 429, 503. */
AICP_API int32_t aicp_gate_decision_http_status(const aicp_gate_decision *decision);
/* Texts below are NUL-terminated, "" when there is nothing to say, and live as long as the decision
 * (or until the next call that changes it: candidate, output). */
/** Id of the decision: that of #AICP_GATE_CALL_ID, or a random one. */
AICP_API const char *aicp_gate_decision_id(const aicp_gate_decision *decision);
/** Step that refused: "parse", "route", "tokens", "policy", "limits", "guardrail", "price",
 * "budget"; "" when allowed. */
AICP_API const char *aicp_gate_decision_step(const aicp_gate_decision *decision);
/** Policy, rule, detector or account that decided. */
AICP_API const char *aicp_gate_decision_rule(const aicp_gate_decision *decision);
/** Error type for clients, e.g. "policy_denied", "rate_limit_exceeded", "guardrail_violation",
 * "budget_exceeded". */
AICP_API const char *aicp_gate_decision_type(const aicp_gate_decision *decision);
/** A sentence for people: why. */
AICP_API const char *aicp_gate_decision_message(const aicp_gate_decision *decision);
/** A sentence for people: what would change it. */
AICP_API const char *aicp_gate_decision_advice(const aicp_gate_decision *decision);
/** Headers for the answer to the caller. */
AICP_API size_t aicp_gate_decision_header_count(const aicp_gate_decision *decision);
AICP_API const char *
aicp_gate_decision_header_name(const aicp_gate_decision *decision, size_t index);
AICP_API const char *
aicp_gate_decision_header_value(const aicp_gate_decision *decision, size_t index);

/** 1 when the body must be changed before it is sent on. */
AICP_API int32_t aicp_gate_decision_body_changed(const aicp_gate_decision *decision);
/** The body to send on: masked texts, model and max_tokens patched in. Same life as the texts
 * above. */
AICP_API const char *aicp_gate_decision_body(const aicp_gate_decision *decision, size_t *len);
/** Model to send to (after alias and route). */
AICP_API const char *aicp_gate_decision_model(const aicp_gate_decision *decision);
/** Cap of output tokens that the gate put in because money is short; -1: unchanged. */
AICP_API int64_t aicp_gate_decision_max_tokens(const aicp_gate_decision *decision);

/** Input tokens as counted. */
AICP_API int64_t aicp_gate_decision_input_tokens(const aicp_gate_decision *decision);
/** Expected cost in nano-dollars; -1: price unknown. */
AICP_API int64_t aicp_gate_decision_cost_expected_nano(const aicp_gate_decision *decision);
/** Amount reserved on each account, the worst case; 0 when no account applies. */
AICP_API int64_t aicp_gate_decision_reserved_nano(const aicp_gate_decision *decision);
/** Findings of the guardrail in the request. */
AICP_API size_t aicp_gate_decision_finding_count(const aicp_gate_decision *decision);
/** Combined risk of the request, 0 to 1. */
AICP_API double aicp_gate_decision_risk(const aicp_gate_decision *decision);
/** Time spent in a step (#AICP_GATE_STEP_PARSE …); in all for #AICP_GATE_STEP_COUNT. Monotonic
 * nanoseconds. */
AICP_API uint64_t aicp_gate_decision_step_ns(const aicp_gate_decision *decision, int32_t step);
/** Name of a step. Static; "" for another number. */
AICP_API const char *aicp_gate_step_name(int32_t step);
/** The whole decision as a JSON object (the form of `aicp gate check`). */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_decision_json(const aicp_gate_decision *decision, aicp_buf *out, aicp_error *err);

/* ---- answer ---- */

/**
 * Scans the JSON body of the model's answer and puts back what was anonymised in the request. `out`
 * stays empty when nothing changed. `*verdict` is #AICP_GATE_DENY when the answer must not be given
 * out; the decision then tells why.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_output(
    aicp_gate *gate,
    aicp_gate_decision *decision,
    const char *data,
    size_t len,
    aicp_buf *out,
    int32_t *verdict,
    aicp_error *err);
/** The same for one plain text of the answer. */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_output_text(
    aicp_gate *gate,
    aicp_gate_decision *decision,
    const char *data,
    size_t len,
    aicp_buf *out,
    int32_t *verdict,
    aicp_error *err);
/** Opens a scanner for one text of a streamed answer (one per choice). It must be freed before the
 * decision. */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_stream_open(
    aicp_gate *gate, aicp_gate_decision *decision, aicp_gate_stream **out, aicp_error *err);
/**
 * Feeds a piece (any cut, even inside a character) and gives in `out` what may be passed on by now.
 * `last` 1 ends the text and gives the rest. After a #AICP_GATE_DENY nothing more comes out.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_stream_feed(
    aicp_gate_stream *stream,
    const char *data,
    size_t len,
    int32_t last,
    aicp_buf *out,
    int32_t *verdict,
    aicp_error *err);
/** Frees a stream; NULL is fine. */
AICP_API void aicp_gate_stream_free(aicp_gate_stream *stream);

/* ---- end ---- */

/** The model that really answered, when it is not that of the decision; before settle. */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_decision_served_by(
    aicp_gate_decision *decision, const char *data, size_t len, aicp_error *err);
/** Long streams: keeps slot and reservation alive; call at least every third of the reservation's
 * life. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_renew(aicp_gate *gate, aicp_gate_decision *decision, aicp_error *err);
/**
 * Books what was really used and gives the rest back. `cost_nano` ≥ 0 is the true cost; -1: `usage`
 * is priced. Never waits. `*settled_nano` (may be NULL) is what was booked. A second settle of the
 * same decision is ERR_STATE.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_gate_settle(
    aicp_gate *gate,
    aicp_gate_decision *decision,
    const aicp_usage *usage,
    int64_t cost_nano,
    int64_t *settled_nano,
    aicp_error *err);
/** Gives everything back: the model was never reached. No effect after settle. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_gate_release(aicp_gate *gate, aicp_gate_decision *decision, aicp_error *err);

/* ---- for a server of gates ---- */

/**
 * The store of shared rate limits, for a server that grants slices to gates which reach the store
 * only through it (`POST /api/v1/gate/leases`, docs/gate-protocol.md). *synchronised*
 */
typedef struct aicp_rate_store aicp_rate_store;

/**
 * Opens the shared limits at the URL `data`, "sqlite:///absolute/path" or "postgresql://…", and
 * makes their tables. Gates whose `store_url` is the same share the limits with those that are
 * served. After a fork the child's first call opens connections of its own. Errors: ERR_INVALID,
 * ERR_STORE, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_rate_store_open(const char *data, size_t len, aicp_rate_store **out, aicp_error *err);
/** Closes the store; NULL is fine. */
AICP_API void aicp_rate_store_free(aicp_rate_store *store);
/**
 * Answers the part "rates" of a message of leases: `data` is the whole body as the gate sent it,
 * `out` becomes the JSON array of the answer's part "rates", one item for each lease in the same
 * order, empty when the message has none. The whole message is checked before anything is granted;
 * a lease that the store could not grant has {"error", "message"} in its place. Waits for the store
 * at most 5 s in all. Errors: ERR_PARSE, ERR_INVALID, ERR_RANGE, ERR_LIMIT (with line, column,
 * offset: the message is at fault, nothing was granted), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_rate_store_serve(
    aicp_rate_store *store, const char *data, size_t len, aicp_buf *out, aicp_error *err);

AICP_END_DECL

#endif
