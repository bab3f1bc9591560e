/**
 * @file guardrail.h
 * Finds personal data, secrets and prompt injections in text and says what to do about them.
 *
 *     aicp_guard_profile *profile;            // rules and actions, from JSON; shared by threads
 *     aicp_guard_result *result;              // workspace and outcome of the last scan; reused
 *     aicp_guard_session *session;            // value <-> <TYPE_n> of one request
 *     aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
 *     how.session = session;
 *     aicp_guard_scan(profile, text, len, &how, result, &err);
 *     if (aicp_guard_result_action(result) == AICP_GUARD_BLOCK) ...
 *     if (aicp_guard_result_rewritten(result)) text = aicp_guard_result_text(result, &len);
 *
 * An answer goes through aicp_guard_restore() when it is whole, or through a stream: a stream scans
 * what the model writes and puts back the values of placeholders at once.
 *
 * Offsets are those of the text given, half-open, in bytes and in code points. A raw match never
 * leaves the engine except in rewritten or restored text: findings carry a masked preview and a
 * keyed hash. The same text, profile and library version give the same findings.
 *
 * Limits: texts longer than `max_bytes` of the profile (default 1 MiB) are scanned at their head
 * and tail, half of it each; 1,000 findings are listed, more are counted and still rewritten; the
 * time budget (default 50 ms a text, checked every 64 KiB and before costly confirmations) ends a
 * scan with the profile's `on_error`; 64 KiB of encoded payloads are decoded per text.
 */
#ifndef AICP_GUARDRAIL_H
#define AICP_GUARDRAIL_H

#include "aicp/base.h"

AICP_BEGIN_DECL

/** What is done about a finding, and about a text: the strictest of its findings. Ordered from lax
 * to strict. */
enum {
    /** Nothing found, or nothing to do. */
    AICP_GUARD_NONE = 0,
    /** Only reported. */
    AICP_GUARD_LOG = 1,
    /** Forwarded, and marked for the caller. */
    AICP_GUARD_FLAG = 2,
    /** Replaced by 12 hexadecimal digits of a keyed hash. */
    AICP_GUARD_HASH = 3,
    /** Replaced by `<TYPE_n>`, which aicp_guard_restore() and streams turn back. */
    AICP_GUARD_ANONYMIZE = 4,
    /** Replaced by `<TYPE>`, for good. */
    AICP_GUARD_MASK = 5,
    /** The text must not be forwarded. */
    AICP_GUARD_BLOCK = 6
};

/** Name of an action in lower case, "block"; "unknown" for other numbers. Static. */
AICP_API const char *aicp_guard_action_name(int32_t action);

/** Kinds of findings; the risk of a request combines the highest score of each. */
enum {
    AICP_GUARD_PII = 0,
    AICP_GUARD_SECRET = 1,
    AICP_GUARD_INJECTION = 2,
    AICP_GUARD_INVISIBLE = 3,
    /** What the profile's own detectors and banned topics find. */
    AICP_GUARD_CUSTOM = 4,
    AICP_GUARD_CATEGORY_COUNT = 5
};

/** Name of a category: "pii", "secrets", "prompt_injection", "invisible_text", "custom"; "unknown"
 * otherwise. Static. */
AICP_API const char *aicp_guard_category_name(int32_t category);

/** Which way the text goes. */
enum { AICP_GUARD_INPUT = 0, AICP_GUARD_OUTPUT = 1 };

/**
 * Where the text comes from. Injection is looked for in all but SYSTEM (the operator's own words)
 * and in no output; an order to the model in RETRIEVED text weighs 0.15 more.
 */
enum {
    AICP_GUARD_USER = 0,
    AICP_GUARD_TOOL = 1,
    AICP_GUARD_RETRIEVED = 2,
    AICP_GUARD_FILE = 3,
    AICP_GUARD_SYSTEM = 4
};

/** Rules, thresholds and actions; made from JSON. *immutable*, reference-counted. */
typedef struct aicp_guard_profile aicp_guard_profile;
/** Workspace of scans and outcome of the last one. *confined* */
typedef struct aicp_guard_result aicp_guard_result;
/** The anonymisation map of one request, in memory only, and its combined risk. *confined* */
typedef struct aicp_guard_session aicp_guard_session;
/** A text scanned piece by piece. *confined* */
typedef struct aicp_guard_stream aicp_guard_stream;

/** Settings of profiles, results and sessions. */
typedef struct aicp_guard_options {
    size_t size;
#ifndef SWIG
    /** Copied; NULL: the C library's heap. */
    const aicp_allocator *allocator;
    /** Copied; NULL: the system's clocks. Profiles only: it measures the time budget. */
    const aicp_clock *clock;
#else
    const void *allocator;
    const void *clock;
#endif
    /** Key of the hashes in findings and of the action `hash`; all zero: a random key per profile,
     * so that hashes of two profiles cannot be compared. Profiles only. */
    unsigned char hash_key[32];
} aicp_guard_options;

#define AICP_GUARD_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(aicp_guard_options), NULL, NULL, {                                                  \
            0                                                                                      \
        }                                                                                          \
    }

/** Sets all fields to their defaults; `size` is sizeof(aicp_guard_options) as the caller knows it.
 */
AICP_API void aicp_guard_options_init(aicp_guard_options *options, size_t size);

/* ---- Profile ----------------------------------------------------------------------------------
 */

/**
 * Reads a profile: one JSON object, all members optional:
 *
 *     {"name": "eu-strict", "version": 3, "mode": "enforce" | "monitor",
 *      "on_error": "block" | "flag" | "log", "on_truncate": "flag" | "block" | "log",
 *      "timeout_ms": 50, "max_bytes": 1048576,
 *      "direction": {"input": true, "output": true, "tools": true},
 *      "pii": {"enabled": true, "action": "anonymize", "threshold": 0.4, "countries": ["DE"],
 *              "entities": {"CREDIT_CARD": {"action": "block", "threshold": 0.6, "enabled": true}},
 *              "allow": ["support@example.com"], "allow_regex": ["^.*@example[.]com$"]},
 *      "secrets": {"enabled": true, "action": "mask", "threshold": 0.5,
 *                  "disabled_rules": ["jwt"]},
 *      "prompt_injection": {"enabled": true, "threshold": 0.9, "action": "block",
 *                           "by_source": {"retrieved": 0.8}, "disabled_rules": []},
 *      "invisible_text": {"enabled": true, "action": "mask", "threshold": 0.5},
 *      "banned_topics": ["gambling"],
 *      "detectors": [{"name": "employee ids", "type": "regex", "patterns": ["EMP-[0-9]{6}"],
 *                     "label": "EMPLOYEE_ID", "action": "mask", "score": 1.0},
 *                    {"name": "code names", "type": "keyword", "keywords": ["Blue Heron"],
 *                     "label": "CODE_NAME", "action": "block", "whole_words": true}]}
 *
 * Actions are "block", "mask", "anonymize", "hash", "flag" and "log" ("detect" is read as "log");
 * injection knows "block", "flag" and "log". Defaults: the values above where one stands, "pii"
 * action "mask", `on_error` "block" when any action is block or changes text, else "log"; private
 * keys and cloud secrets block unless "secrets" names an action. `{}` is the default profile.
 * `timeout_ms` bounds the work of one scan, or of one piece of a stream: it ends when that time has
 * passed and the thread then has worked as long again, so that waiting for a processor ends none.
 * In mode "monitor" every finding keeps its own action but the text's action is at most LOG and no
 * text is rewritten. "allow" holds values that are never personal data (case of ASCII letters does
 * not matter); "allow_regex" patterns are searched in the value. Members of scanners that this
 * version does not have ("toxicity", "malicious_urls") are refused unless they are disabled, so
 * that no one believes himself protected.
 *
 * "detectors" are the profile's own; each has "name" (1 to 31 bytes, the rule of its findings),
 * "type" and a list; "label" (default "CUSTOM", the type of its findings: A-Z, 0-9 and _, at most
 * 31), "action" (default "mask") and "score" (default 1) may be left out. They look at the text in
 * every direction and from every source that the profile looks at, not into encoded payloads.
 * - "regex": PCRE2 patterns over UTF-8, case-sensitive unless they say "(?i)". `^` and `$` are the
 *   ends of the text. A match of up to 4,096 bytes is found wherever it stands, a longer one up to
 *   8,192 bytes depending on its place. A pattern that passes its match limit ends in `on_error`.
 * - "keyword": words and phrases, compared without case, accents, look-alike letters and invisible
 *   characters, any run of blanks being one blank; keywords may overlap. With "whole_words"
 *   (default) no letter, digit or _ may be glued to them, in scripts that part words by blanks.
 * "banned_topics" is a keyword detector with the label "BANNED_TOPIC" and the action "block".
 * Overlapping findings: of the engine's own the best one counts; a detector's finding counts
 * always and replaces what is not replaced yet.
 *
 * Errors, with line and column where the text is at fault: ERR_PARSE (malformed, unknown member,
 * wrong type or name), ERR_RANGE (threshold not in 0..1), ERR_GUARD_PATTERN (pattern does not
 * compile, matches the empty string, looks back over more than 64 characters or is longer than
 * 1,000 bytes; keyword longer than 100 bytes or without a visible character), ERR_LIMIT (more than
 * 200 patterns in "allow_regex" or in detectors, 200 detectors, 2,000 keywords or 50,000 bytes of
 * them, 10,000 allowed values), ERR_UNSUPPORTED, ERR_NOMEM. `options` may be NULL.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_guard_profile_parse(
    const char *data,
    size_t len,
    const aicp_guard_options *options,
    aicp_guard_profile **out,
    aicp_error *err);

/** One more owner; returns `profile`. */
AICP_API aicp_guard_profile *aicp_guard_profile_ref(aicp_guard_profile *profile);

/** Drops one reference; NULL is fine. */
AICP_API void aicp_guard_profile_free(aicp_guard_profile *profile);

/** Name of the profile, "" when it has none. Borrowed. */
AICP_API const char *aicp_guard_profile_name(const aicp_guard_profile *profile);

/** Version number of the profile, 0 when it has none. */
AICP_API int64_t aicp_guard_profile_version(const aicp_guard_profile *profile);

/* ---- Session ----------------------------------------------------------------------------------
 */

/**
 * Makes the map of one request. The same value of the same type gets the same number in all texts
 * scanned with it. Errors: ERR_NOMEM, ERR_INVALID (options).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_guard_session_new(
    const aicp_guard_options *options, aicp_guard_session **out, aicp_error *err);

/** Wipes all values and frees the session; NULL is fine. No stream may use it any more. */
AICP_API void aicp_guard_session_free(aicp_guard_session *session);

/** Wipes all values and starts the next request with the memory kept. */
AICP_API void aicp_guard_session_reset(aicp_guard_session *session);

/** Number of values in the map. */
AICP_API size_t aicp_guard_session_count(const aicp_guard_session *session);

/** Strictest action over all texts scanned with the session. */
AICP_API int32_t aicp_guard_session_action(const aicp_guard_session *session);

/** Risk of the request, 0..1: 1 - product over categories of (1 - highest weight x score of what
 * was found), rounded to 3 places; weights secrets 1, injection 0.95 (below its threshold too), PII
 * 0.8 (0.4 for EMAIL_ADDRESS and IP_ADDRESS), invisible text 0.5. */
AICP_API double aicp_guard_session_risk(const aicp_guard_session *session);

/** Findings of all texts scanned with the session. */
AICP_API uint64_t aicp_guard_session_match_count(const aicp_guard_session *session);

/**
 * Writes `data` with every `<TYPE_n>` of the session replaced by its value into `out` (to be freed
 * with aicp_buf_free()). Placeholders that the session does not know stay as they are. Errors:
 * ERR_NOMEM, ERR_LIMIT (more than 1 GiB).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_guard_restore(
    const aicp_guard_session *session,
    const char *data,
    size_t len,
    aicp_buf *out,
    aicp_error *err);

/* ---- Scan -------------------------------------------------------------------------------------
 */

/** How a text is to be looked at. */
typedef struct aicp_guard_scan_options {
    size_t size;
    /** AICP_GUARD_INPUT or AICP_GUARD_OUTPUT. */
    int32_t direction;
    /** AICP_GUARD_USER .. AICP_GUARD_SYSTEM. */
    int32_t source;
    /** Borrowed for the call (for streams: until they are freed). NULL: the action `anonymize`
     * masks instead and nothing is restored. */
    aicp_guard_session *session;
} aicp_guard_scan_options;

#define AICP_GUARD_SCAN_OPTIONS_INIT                                                               \
    { sizeof(aicp_guard_scan_options), AICP_GUARD_INPUT, AICP_GUARD_USER, NULL }

/** Sets all fields to their defaults; `size` is the structure's size as the caller knows it. */
AICP_API void aicp_guard_scan_options_init(aicp_guard_scan_options *options, size_t size);

/** Makes a workspace. It grows to what its scans need, then scans no longer touch the heap. Errors:
 * ERR_NOMEM, ERR_INVALID (options). */
AICP_API AICP_MUST_CHECK aicp_status
aicp_guard_result_new(const aicp_guard_options *options, aicp_guard_result **out, aicp_error *err);

/** Wipes and frees it; NULL is fine. */
AICP_API void aicp_guard_result_free(aicp_guard_result *result);

/**
 * Scans a whole text (UTF-8; other bytes are allowed and never match) and leaves the outcome in
 * `result`. Same `profile` and texts from many threads is fine, each with its own `result`.
 *
 * Direction OUTPUT: placeholders of the session are put back; `anonymize` leaves the value, because
 * its placeholder would be put back at once. A spent time budget is not an error of this call: the
 * action is the profile's `on_error` and aicp_guard_result_error() tells it.
 * Errors: ERR_NOMEM, ERR_INVALID (options). After an error `result` says BLOCK.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_guard_scan(
    const aicp_guard_profile *profile,
    const char *data,
    size_t len,
    const aicp_guard_scan_options *options,
    aicp_guard_result *result,
    aicp_error *err);

/** One thing found. Grows at its end only; always borrowed from the library. */
typedef struct aicp_guard_finding {
    /** Half-open span in bytes of the text given. */
    uint64_t start;
    uint64_t end;
    /** The same in code points (bytes that are not UTF-8 continuation bytes). */
    uint64_t char_start;
    uint64_t char_end;
    /** 0..1 */
    double score;
    /** AICP_GUARD_LOG .. AICP_GUARD_BLOCK, as the profile says for this finding. */
    int32_t action;
    /** #AICP_GUARD_PII and its kind. */
    int32_t category;
    /** 1 when a checksum, signature or structure was verified. */
    int32_t validated;
    /** 1 when it was found in a decoded payload (base64, hex, percent): the span is the payload's.
     */
    int32_t decoded;
    /** "EMAIL_ADDRESS", "GITHUB_TOKEN", "prompt_injection". */
    char type[32];
    /** Id of the rule, as in `disabled_rules`: "github-pat". */
    char rule[32];
    /** First and last two characters of values of 12 characters or more, else and for private keys,
     * passwords and injections "***". */
    char preview[24];
    /** First 12 hexadecimal digits of the keyed hash of the value. */
    char hash[16];
} aicp_guard_finding;

/** Strictest action, AICP_GUARD_NONE .. AICP_GUARD_BLOCK. */
AICP_API int32_t aicp_guard_result_action(const aicp_guard_result *result);

/** Risk of this text, 0..1 (formula: aicp_guard_session_risk()). */
AICP_API double aicp_guard_result_risk(const aicp_guard_result *result);

/** Highest score of a category in this text, below the threshold included; 0 for unknown ones. */
AICP_API double aicp_guard_result_score(const aicp_guard_result *result, int32_t category);

/** Findings listed, at most 1,000, by start. */
AICP_API size_t aicp_guard_result_finding_count(const aicp_guard_result *result);

/** Finding `index`, NULL past the end. Valid until the next use of `result`. */
AICP_API const aicp_guard_finding *
aicp_guard_result_finding(const aicp_guard_result *result, size_t index);

/** All findings, listed or not. */
AICP_API uint64_t aicp_guard_result_match_count(const aicp_guard_result *result);

/** 1 when the text must be replaced by aicp_guard_result_text(), else 0. */
AICP_API int32_t aicp_guard_result_rewritten(const aicp_guard_result *result);

/** The rewritten text and its length, NUL-terminated; NULL and 0 when nothing was rewritten or the
 * action is BLOCK. Valid until the next use of `result`. */
AICP_API const char *aicp_guard_result_text(const aicp_guard_result *result, size_t *len);

/** AICP_OK, or why the scan is incomplete: AICP_ERR_GUARD_TIME, AICP_ERR_LIMIT (a pattern passed
 * its match limit), AICP_ERR_NOMEM. */
AICP_API aicp_status aicp_guard_result_error(const aicp_guard_result *result);

/** 1 when the middle of the text was not scanned because of `max_bytes`. */
AICP_API int32_t aicp_guard_result_truncated(const aicp_guard_result *result);

/** Bytes looked at. */
AICP_API uint64_t aicp_guard_result_bytes(const aicp_guard_result *result);

/** The rule and type that decided the action, for messages ("CREDIT_CARD (credit-card)"), or "".
 * Valid until the next use of `result`. */
AICP_API const char *aicp_guard_result_reason(const aicp_guard_result *result);

/* ---- Stream -----------------------------------------------------------------------------------
 */

/**
 * Begins a text that comes in pieces. However it is cut, the bytes released and the findings are
 * the same as for the whole text in direction and source of `options` (texts of at most
 * `max_bytes`; a stream is scanned to its end without that limit). Bytes are held back only while
 * something that touches them can still begin or grow: the current word, up to 256 bytes behind a
 * candidate, up to 8 KiB in a private key, an encoded payload or the beginning of what may become a
 * match of a profile's own pattern. Keeps a reference to `profile`.
 * The time budget holds for each feed. Errors: ERR_NOMEM, ERR_INVALID (options).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_guard_stream_open(
    const aicp_guard_profile *profile,
    const aicp_guard_scan_options *options,
    aicp_guard_stream **out,
    aicp_error *err);

/** Wipes and frees it; NULL is fine. */
AICP_API void aicp_guard_stream_free(aicp_guard_stream *stream);

/** Adds bytes; aicp_guard_stream_released() then gives what may go on. After a finding whose action
 * is BLOCK nothing is released any more. Errors: ERR_NOMEM, ERR_STATE (after finish). */
AICP_API AICP_MUST_CHECK aicp_status
aicp_guard_stream_feed(aicp_guard_stream *stream, const char *data, size_t len, aicp_error *err);

/** Says that the text is complete; the rest is released. Errors: ERR_NOMEM, ERR_STATE (twice). */
AICP_API AICP_MUST_CHECK aicp_status
aicp_guard_stream_finish(aicp_guard_stream *stream, aicp_error *err);

/** Bytes released by the last feed or finish: whole characters, rewritten and restored,
 * NUL-terminated. Valid until the next call on the stream. */
AICP_API const char *aicp_guard_stream_released(const aicp_guard_stream *stream, size_t *len);

/** Outcome so far: action, risk, findings with offsets of the whole text. Its text is NULL.
 * Borrowed, valid until the stream is freed; changes with each feed. */
AICP_API const aicp_guard_result *aicp_guard_stream_result(const aicp_guard_stream *stream);

/* ---- What the library can find ----------------------------------------------------------------
 */

/** One rule of the engine. Static. */
typedef struct aicp_guard_rule {
    /** "github-pat", as in findings and `disabled_rules`. */
    const char *id;
    /** "GITHUB_TOKEN", as in findings and `entities`. */
    const char *type;
    /** One sentence. */
    const char *description;
    /** How a match is verified ("Luhn, issuer ranges"), "" when only by its shape. */
    const char *validation;
    /** Country code, "" for all. */
    const char *region;
    /** #AICP_GUARD_PII and its kind. */
    int32_t category;
    /** Action when the profile names none. */
    int32_t action;
    /** Score without context words and checks. */
    double score;
} aicp_guard_rule;

/** Number of rules in all detectors. */
AICP_API size_t aicp_guard_rule_count(void);

/** Rule `index` in the order of the engine's list; NULL past the end. */
AICP_API const aicp_guard_rule *aicp_guard_rule_at(size_t index);

AICP_END_DECL

#endif
