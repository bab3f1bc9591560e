/* The guardrail engine from inside.
 *
 * One way for every text: the bytes run through automata that stop at *anchors* (a literal such as
 * "ghp_", the first digit of a number, an '@'). At each anchor the detectors that asked for it look
 * at a window of fixed size around it and report *candidates*. What a detector says depends on that
 * window alone, never on how much of the text happens to be at hand, and anchors are visited in
 * order, each as soon as its window is complete: that is why a stream, however it is cut, gives
 * what the whole text gives. Candidates are resolved in clusters of overlapping spans (resolve.c)
 * and written out with their replacements.
 *
 * A new detector is one file with one constant of type aicpi_guard_detector and one line in
 * detectors.c. */
#ifndef AICPI_GUARD_INTERNAL_H
#define AICPI_GUARD_INTERNAL_H

#include "aicp/guardrail.h"

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/strbuf.h"
#include "lib/base/text.h"
#include "lib/base/thread.h"

#include <stdio.h>

/* The window of a detector: bytes before the anchor, and from the anchor on. */
#define AICPI_GUARD_BACK 256
#define AICPI_GUARD_REACH 256
#define AICPI_GUARD_LONG_REACH 8192
/* A match starts at most so many bytes before its anchor, and in the same word. */
#define AICPI_GUARD_WORD_BACK 128
/* Bytes behind a match that context words may stand in; before it. */
#define AICPI_GUARD_CONTEXT_AFTER 40
#define AICPI_GUARD_CONTEXT_BEFORE 96
/* Overlapping candidates that start later than this in their cluster begin the next one. */
#define AICPI_GUARD_CLUSTER_BYTES 1024
#define AICPI_GUARD_CLUSTER_COUNT 256
#define AICPI_GUARD_MAX_FINDINGS 1000
#define AICPI_GUARD_MAX_DECODED 65536
#define AICPI_GUARD_PIECE 4096 /* encoded bytes decoded as one */
#define AICPI_GUARD_DEPTH 2    /* encodings inside encodings */
#define AICPI_GUARD_MAX_RULES 512
#define AICPI_GUARD_TIME_STEP 65536
/* Window of the injection rules in the normalised view. */
#define AICPI_GUARD_NORM_BACK 160
#define AICPI_GUARD_NORM_REACH 320
#define AICPI_GUARD_NORM_BLOCK 4096
/* Injection rules add up within two neighbouring cells of this many bytes of the text. */
#define AICPI_GUARD_CELL 2048
/* Rules of a profile's own detectors: numbered behind the engine's. */
#define AICPI_GUARD_MAX_CUSTOM 200
/* Patterns of users see the text in cells: matches that begin in one see what stands in it, in the
 * cell behind it, and AICPI_GUARD_BACK bytes before it. */
#define AICPI_GUARD_USER_CELL 4096

typedef struct aicpi_guard_probe aicpi_guard_probe;

/* What a detector wants to be called at. */
typedef struct aicpi_guard_literal {
    /* Exact bytes. Of detectors on the normalised view: one or more literals separated by ';', as
     * people write them; they are folded when the profile is made. */
    const char *text;
    uint16_t rule; /* index in the detector's rules */
} aicpi_guard_literal;

enum {
    AICPI_GUARD_ON_NUMBER = 1, /* first digit of a number with at least 7 digits, dots or letters */
};

typedef struct aicpi_guard_detector {
    const char *name;
    const aicp_guard_rule *rules;
    size_t rule_count;
    /* PCRE2 patterns, one per rule, or NULL; NULL entries have none. */
    const char *const *patterns;
    const aicpi_guard_literal *literals;
    size_t literal_count;
    uint32_t anchors;
    bool normalised; /* works on the normalised view: literals and patterns are folded text */
    bool decoded;    /* runs on decoded payloads too */
    /* How many bytes from the anchor on decide, given the `len` bytes at hand; more than `len` when
     * that cannot be told yet. At most AICPI_GUARD_LONG_REACH. NULL: AICPI_GUARD_REACH. `back`
     * bytes before data[0] may be read: an anchor in the middle of what the anchor before it covers
     * must be told apart here, else a text of anchors costs the square of its length. */
    size_t (*reach)(const char *data, size_t len, size_t back);
    /* Looks at the anchor and reports candidates. */
    void (*confirm)(aicpi_guard_probe *probe, uint16_t rule);
} aicpi_guard_detector;

/* detectors.c: the one list. */
extern const aicpi_guard_detector *const aicpi_guard_detectors[];
extern const size_t aicpi_guard_detector_count;
/* Global index of the first rule of a detector. */
size_t aicpi_guard_rule_base(size_t detector);

/* ---- literal.c: Aho-Corasick automaton ----------------------------------------------------- */

typedef struct aicpi_guard_entry {
    uint16_t detector;
    uint16_t rule;
    uint16_t len;
    int32_t next; /* next entry with the same text, -1 at the end */
} aicpi_guard_entry;

#define AICPI_GUARD_NUMBER_DETECTOR 0xffff
#define AICPI_GUARD_PREFIX_BITS 65536

/* Place of four bytes in the filter. */
static inline uint32_t aicpi_guard_prefix_hash(const char *data) {
    uint32_t word;
    memcpy(&word, data, sizeof word);
    return word * 2654435761u >> 16;
}

typedef struct aicpi_guard_automaton {
    aicp_allocator allocator;
    uint8_t class_of[256];
    uint32_t shift;                                /* log2 of the row length of `next` */
    uint16_t *next;                                /* state << shift | class -> state */
    int32_t *first;                                /* state -> entry that ends here, -1 */
    uint16_t *suffix;                              /* state -> next shorter state with entries, 0 */
    uint8_t *hot;                                  /* state -> entries end here or at a suffix */
    uint8_t *depth;                                /* state -> bytes from the root */
    uint64_t prefix[AICPI_GUARD_PREFIX_BITS / 64]; /* hashes of first four bytes of literals */
    size_t states;
    aicpi_guard_entry *entries;
    size_t entry_count;
} aicpi_guard_automaton;

typedef struct aicpi_guard_word {
    aicpi_slice text;
    uint16_t detector;
    uint16_t rule;
} aicpi_guard_word;

aicp_status aicpi_guard_automaton_build(
    aicpi_guard_automaton *out,
    const aicp_allocator *a,
    const aicpi_guard_word *words,
    size_t count,
    aicp_error *err);
void aicpi_guard_automaton_deinit(aicpi_guard_automaton *automaton);

/* ---- pattern.c: the door to PCRE2 ----------------------------------------------------------- */

typedef struct aicpi_guard_pattern aicpi_guard_pattern;
typedef struct aicpi_guard_matcher aicpi_guard_matcher; /* confined scratch of matches */

typedef struct aicpi_guard_groups {
    size_t start[3]; /* SIZE_MAX when not set */
    size_t end[3];
} aicpi_guard_groups;

typedef struct aicpi_guard_search { /* of a user's pattern in a part of a text */
    size_t from;
    size_t limit; /* matches begin before it */
    bool inner;   /* the text goes on behind the part: its end is no end of a line */
    bool partial; /* more bytes will come: a match that reaches the end is not decided yet */
} aicpi_guard_search;

/* Bytes, not characters. `user`: refuses patterns that match the empty string; UTF-8. */
aicp_status aicpi_guard_pattern_compile(
    const aicp_allocator *a,
    const char *data,
    size_t len,
    bool user,
    aicpi_guard_pattern **out,
    aicp_error *err);
void aicpi_guard_pattern_free(const aicp_allocator *a, aicpi_guard_pattern *pattern);
aicp_status aicpi_guard_matcher_new(const aicp_allocator *a, aicpi_guard_matcher **out);
void aicpi_guard_matcher_free(const aicp_allocator *a, aicpi_guard_matcher *matcher);
/* 1 match, 0 none, -1 a limit was passed. Patterns of ours must match at `from`, patterns of users
 * anywhere behind it. */
int aicpi_guard_pattern_match(
    const aicpi_guard_pattern *pattern,
    aicpi_guard_matcher *matcher,
    aicpi_slice text,
    size_t from,
    aicpi_guard_groups *groups);

/* Compiles a pattern to be searched: as `user`, and never empty wherever it matches, with at most
 * 64 characters of look-behind. */
aicp_status aicpi_guard_pattern_compile_search(
    const aicp_allocator *a,
    const char *data,
    size_t len,
    aicpi_guard_pattern **out,
    aicp_error *err);
/* 2: may match from *start on, when more bytes are there; 1 match, 0 none, -1 a limit was passed.
 */
int aicpi_guard_pattern_search(
    const aicpi_guard_pattern *pattern,
    aicpi_guard_matcher *matcher,
    aicpi_slice text,
    const aicpi_guard_search *how,
    size_t *start,
    size_t *end);

/* ---- normalise.c ----------------------------------------------------------------------------- */

/* Where a byte of the normalised view comes from: byte and code point offset in the text. */
typedef struct aicpi_guard_place {
    uint64_t byte;
    uint64_t chr;
} aicpi_guard_place;

/* A place relative to an origin: bytes in the low half, code points in the high half. */
typedef uint64_t aicpi_guard_step;

#define AICPI_GUARD_STEP(bytes, chars) ((aicpi_guard_step)(bytes) | (aicpi_guard_step)(chars) << 32)

/* Folds characters one by one: case, width, accents, look-alikes; drops invisible ones; makes each
 * run of blanks one blank, or a newline when it holds one. State carries over between pieces. */
typedef struct aicpi_guard_folder {
    char pending; /* blank or newline to be written before the next character, 0 */
    bool letter;  /* the last character written was a letter: digits that follow are read so */
    bool plain;   /* digits stay digits, and newlines are blanks */
    aicpi_guard_step at; /* of the next character to be read */
    aicpi_guard_step pending_at;
} aicpi_guard_folder;

/* Reads whole characters of `text`, which stands at folder->at, and writes at most 4 bytes for each
 * to `out` with their place to `places`. Stops before an incomplete character or a last digit
 * unless `final`. Returns bytes written; *used is how much was read. `out` has room for
 * AICPI_GUARD_FOLD_ROOM(len). */
#define AICPI_GUARD_FOLD_ROOM(len) ((len) + 8)
size_t aicpi_guard_fold(
    aicpi_guard_folder *folder,
    aicpi_slice text,
    bool final,
    char *out,
    aicpi_guard_step *places,
    size_t *used);

/* ---- profile.c ------------------------------------------------------------------------------- */

typedef struct aicpi_guard_setting { /* one per rule */
    bool enabled;
    int32_t action;
    double threshold;
} aicpi_guard_setting;

typedef struct aicpi_guard_user_pattern {
    aicpi_guard_pattern *pattern;
    uint16_t rule; /* index in `custom` */
} aicpi_guard_user_pattern;

struct aicp_guard_profile {
    aicpi_ref ref;
    aicp_allocator allocator;
    aicp_clock clock;
    unsigned char hash_key[AICPI_KEY_SIZE];
    aicpi_arena arena; /* names and values */
    const char *name;
    int64_t version;
    bool monitor;
    int32_t on_error; /* actions */
    int32_t on_truncate;
    uint64_t timeout_ns;
    size_t max_bytes;
    bool input;
    bool output;
    bool tools;
    double injection_threshold[5]; /* by source */
    int32_t injection_action;
    bool injection_enabled;
    aicpi_guard_setting settings[AICPI_GUARD_MAX_RULES];
    aicpi_map allow; /* lower-case values */
    aicpi_guard_pattern **allow_patterns;
    size_t allow_pattern_count;
    aicpi_guard_pattern *patterns[AICPI_GUARD_MAX_RULES];
    uint32_t number_detectors[16]; /* those with AICPI_GUARD_ON_NUMBER */
    size_t number_count;
    aicpi_guard_automaton raw;
    aicpi_guard_automaton norm;

    /* detectors of the profile's own */
    aicp_guard_rule *custom; /* in the arena */
    size_t custom_count;
    aicpi_guard_user_pattern *user_patterns; /* in the arena */
    size_t user_pattern_count;
    aicpi_guard_word *words; /* folded keywords, in the arena; detector: whole words only */
    size_t word_count;
    size_t word_bytes;
    aicpi_guard_automaton keywords;
};

/* The engine's rule or the profile's own. */
const aicp_guard_rule *aicpi_guard_rule_of(const aicp_guard_profile *profile, uint16_t rule);
bool aicpi_guard_is_custom(uint16_t rule);

/* profile_detectors.c: members "detectors" and "banned_topics". */
typedef struct aicpi_json aicpi_json;
bool aicpi_guard_read_detectors(aicpi_json *json, aicp_guard_profile *profile);
bool aicpi_guard_read_topics(aicpi_json *json, aicp_guard_profile *profile);

/* profile_json.c: reads the members over the defaults. */
aicp_status aicpi_guard_profile_read(
    aicp_guard_profile *profile, const char *data, size_t len, aicp_error *err);
/* Settings of every rule before the JSON is read. */
void aicpi_guard_profile_defaults(aicp_guard_profile *profile);

/* ---- session.c --------------------------------------------------------------------------------
 */

/* Number of the value, made when it is new; 0 when out of memory. */
uint32_t aicpi_guard_session_number(
    aicp_guard_session *session, const char *type, const char *data, size_t len);
/* Reads `<TYPE_n>` at data[0]; gives the index of its value and returns the placeholder's length, 0
 * when it is none of the session's. */
size_t aicpi_guard_session_lookup(
    const aicp_guard_session *session, const char *data, size_t len, size_t *index);
/* Borrowed until the session gets its next value. */
aicpi_slice aicpi_guard_session_value(const aicp_guard_session *session, size_t index);
void aicpi_guard_session_note(
    aicp_guard_session *session, int32_t action, const double *risks, uint64_t matches);
/* Weight of a finding in the risk. */
double aicpi_guard_weight(int32_t category, const char *type);
/* 1 - product of (1 - weighted highest score) over the categories, rounded. */
double aicpi_guard_risk(const double *risks);

/* ---- engine ------------------------------------------------------------------------------------
 */

typedef struct aicpi_guard_candidate {
    uint64_t start;
    uint64_t end;
    double score;
    uint16_t rule; /* global index; AICPI_GUARD_PLACEHOLDER */
    bool validated;
    bool decoded;
    size_t value; /* of a placeholder: index in the session */
} aicpi_guard_candidate;

#define AICPI_GUARD_PLACEHOLDER 0xfffe

/* A number at an anchor: digits with single separators between groups. */
typedef struct aicpi_guard_number {
    uint8_t digit[32];
    uint16_t at[32];   /* offset of each digit from the anchor */
    uint16_t end[32];  /* offset behind each digit */
    uint8_t group[32]; /* group of each digit, from 0 */
    uint8_t group_len[16];
    char separator[16]; /* before group i (i > 0): ' ', '-', '.', '/', ')' */
    uint8_t count;
    uint8_t groups;
    size_t stop; /* offset where reading stopped */
} aicpi_guard_number;

struct aicpi_guard_probe {
    aicp_guard_result *result;
    const char *data; /* the window */
    size_t len;
    size_t anchor; /* in the window */
    size_t literal_len;
    uint64_t base; /* offset in the text of data[0] */
    uint16_t rule_base;
    const aicpi_guard_number *number; /* at number anchors */
    const aicpi_guard_step *places;   /* normalised view: of each byte of the window and one more */
    aicpi_guard_place origin;         /* what places are relative to */
    /* Decoded payload: every report is about this span. */
    bool decoded;
    uint8_t depth;
    aicpi_guard_place span_start;
    aicpi_guard_place span_end;
};

typedef struct aicpi_guard_hit { /* literal found in the normalised view */
    uint64_t start;
    uint16_t detector;
    uint16_t rule;
    uint16_t len;
} aicpi_guard_hit;

/* The normalised view at hand. */
typedef struct aicpi_guard_norm {
    aicpi_guard_folder folder;
    char *text;
    aicpi_guard_step *places;
    aicpi_guard_place origin; /* of `places` */
    size_t len;
    size_t capacity;
    uint64_t base;     /* view offset of text[0] */
    uint64_t searched; /* view offset up to which literals were looked for */
    aicpi_guard_hit *hits;
    size_t hit_count;
    size_t hit_capacity;
} aicpi_guard_norm;

#define AICPI_GUARD_FAMILIES 16

/* The strongest injection signal of each family in one cell of the text. */
typedef struct aicpi_guard_cell {
    uint64_t cell;
    double family[AICPI_GUARD_FAMILIES];
} aicpi_guard_cell;

/* Sum of injection signals. Signals of the text and of payloads come in no fixed order: nothing
 * here depends on it. */
typedef struct aicpi_guard_tally {
    double best;   /* highest sum so far, 0 = no signal */
    bool order;    /* one of the signals was an order to the model */
    uint16_t rule; /* strongest signal and its place */
    double rule_score;
    aicpi_guard_place start;
    aicpi_guard_place end;
    bool decoded;
} aicpi_guard_tally;

struct aicp_guard_result {
    aicp_allocator allocator;
    aicpi_guard_matcher *matcher;

    /* how the text is looked at */
    const aicp_guard_profile *profile; /* borrowed during a scan */
    aicp_guard_session *session;
    int32_t direction;
    int32_t source;
    bool enabled;             /* the profile looks at this direction and source at all */
    bool keep;                /* stream: write unchanged text out too */
    uint64_t deadline;        /* by the profile's clock */
    uint64_t thread_deadline; /* by the thread's own time, once the other has passed; else 0 */
    uint64_t time_mark;       /* offset at which the clock is read next */

    /* passes */
    const char *data; /* at hand */
    size_t len;
    uint64_t base;
    bool final;
    uint64_t pos; /* raw pass */
    uint32_t state;
    uint64_t run_pos;            /* encoded runs */
    uint64_t norm_pos;           /* folding */
    uint64_t base_chars;         /* code points before data[0] */
    aicpi_guard_place run_place; /* code points counted for encoded runs up to here */
    aicpi_guard_norm norm;
    aicpi_guard_norm inner[AICPI_GUARD_DEPTH]; /* of decoded payloads */
    char *decoded[AICPI_GUARD_DEPTH];
    size_t decoded_bytes;

    /* detectors of the profile's own (custom.c) */
    uint64_t user_pos[AICPI_GUARD_MAX_CUSTOM]; /* of each pattern: where its next match may begin */
    uint64_t custom_origin;                    /* where the text begins */
    uint64_t custom_hold;                      /* nothing begins before */
    uint64_t custom_needed;                    /* bytes from here on are still looked at */
    aicpi_guard_norm words;
    uint64_t word_pos; /* folding */
    uint32_t word_state;

    aicpi_guard_tally tally;
    aicpi_guard_cell *cells; /* those with signals, by number */
    size_t cell_count;
    size_t cell_capacity;

    /* candidates waiting for their cluster, by start */
    aicpi_guard_candidate *pending;
    size_t pending_count;
    size_t pending_capacity;
    uint64_t covered; /* end of the last span that was settled */
    uint64_t emitted; /* text before is written or passed over */
    uint64_t counted; /* code points before this offset are in `chars` */
    uint64_t chars;

    /* outcome */
    aicp_guard_finding *findings;
    size_t finding_count;
    size_t finding_capacity;
    uint64_t matches;
    int32_t action;
    double scores[AICP_GUARD_CATEGORY_COUNT];
    double risks[AICP_GUARD_CATEGORY_COUNT]; /* highest weighted score of what was found */
    aicp_status error;
    bool rewritten;
    bool truncated;
    bool reported; /* the session knows */
    uint64_t bytes;
    char reason[80];
    aicpi_strbuf out;
};

/* scan.c */
aicp_status aicpi_guard_read_options(
    aicp_guard_scan_options *own, const aicp_guard_scan_options *options, aicp_error *err);

/* engine.c. begin; then advance over growing windows of the text (data[0] is at `base`); each call
 * goes as far as the bytes allow, to the end when `final`. */
void aicpi_guard_begin(
    aicp_guard_result *result,
    const aicp_guard_profile *profile,
    const aicp_guard_scan_options *options,
    bool keep);
void aicpi_guard_advance(
    aicp_guard_result *result, const char *data, size_t len, uint64_t base, bool final);
/* Passes go on at `offset` of the bytes at hand, as if the text began there. */
void aicpi_guard_skip_to(aicp_guard_result *result, uint64_t offset);
/* Decides what stands at the end of the text: the injection finding. */
void aicpi_guard_conclude(aicp_guard_result *result);
/* Lowest offset that later calls of advance still have to give. */
uint64_t aicpi_guard_needed(const aicp_guard_result *result);
/* Runs what may run on payloads over `text`; reports are about the span. */
void aicpi_guard_scan_payload(
    aicp_guard_result *result,
    aicpi_slice text,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint8_t depth);
/* True once the scan cannot go on: no time (looked up here) or no memory. */
void aicpi_guard_start_time(aicp_guard_result *result);
bool aicpi_guard_check_time(aicp_guard_result *result);
bool aicpi_guard_stopped(const aicp_guard_result *result);
void aicpi_guard_note_error(aicp_guard_result *result, aicp_status status);

/* encoded.c: runs of the raw bytes, or of a payload, that decode to text. */
void aicpi_guard_encoded_pass(aicp_guard_result *result);
void aicpi_guard_encoded_inner(
    aicp_guard_result *result,
    aicpi_slice text,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint8_t depth);

/* The place of any byte offset at hand; cheapest in rising order. */
aicpi_guard_place aicpi_guard_place_ahead(aicp_guard_result *result, uint64_t offset);

/* norm_pass.c */
void aicpi_guard_norm_begin(aicpi_guard_norm *norm);
void aicpi_guard_norm_pass(aicp_guard_result *result);
void aicpi_guard_norm_inner(
    aicp_guard_result *result,
    aicpi_slice text,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint8_t depth);
bool aicpi_guard_norm_reserve(const aicp_allocator *a, aicpi_guard_norm *norm, size_t more);
/* Keeps the places of a very long stream within their halves. */
void aicpi_guard_norm_move_origin(aicpi_guard_norm *norm);
void aicpi_guard_norm_deinit(const aicp_allocator *a, aicpi_guard_norm *norm);
/* Injection score of the text so far. */
double aicpi_guard_injection_score(const aicp_guard_result *result);
bool aicpi_guard_looks_for_injection(const aicp_guard_result *result);

/* custom.c: detectors of the profile's own, as far as the bytes at hand decide. */
void aicpi_guard_custom_begin(aicp_guard_result *result, uint64_t offset);
void aicpi_guard_custom_pass(aicp_guard_result *result);
/* keyword.c: returns the offset before which no keyword begins any more. */
uint64_t aicpi_guard_keyword_pass(aicp_guard_result *result);
void aicpi_guard_custom_found(
    aicp_guard_result *result, uint16_t custom, uint64_t start, uint64_t end);

/* resolve.c */
void aicpi_guard_add(aicp_guard_result *result, const aicpi_guard_candidate *candidate);
/* Resolves the clusters that no candidate at or behind `safe` can still change. */
void aicpi_guard_resolve(aicp_guard_result *result, uint64_t safe);
/* Writes unchanged text up to `offset`. */
void aicpi_guard_emit(aicp_guard_result *result, uint64_t offset);
/* Counts a finding, applies its action to the text's and lists it. */
void aicpi_guard_note_finding(aicp_guard_result *result, const aicp_guard_finding *finding);
/* The place of a byte offset at hand; cheapest in rising order. */
aicpi_guard_place aicpi_guard_place_of(aicp_guard_result *result, uint64_t offset);
uint64_t aicpi_guard_count_chars(const char *data, size_t len);

/* ---- for detectors (probe.c) --------------------------------------------------------------------
 */

/* Reports a candidate: span in the window, score with context words, or 1 when validated. */
void aicpi_guard_report(
    aicpi_guard_probe *probe,
    uint16_t rule,
    size_t start,
    size_t end,
    double score,
    bool validated);
/* Reports a signal of injection: the strongest of each family within a cell count together.
 * `order`: it tells the model what to do. */
void aicpi_guard_signal(
    aicpi_guard_probe *probe, uint16_t rule, uint8_t family, bool order, size_t start, size_t end);
/* Matches the rule's pattern at the anchor. */
bool aicpi_guard_match(aicpi_guard_probe *probe, uint16_t rule, aicpi_guard_groups *groups);
/* Score with a context word ("|phone|mobile|") within 5 words before or 2 after: + 0.35, at least
 * 0.40; else `score`. */
double aicpi_guard_context(
    const aicpi_guard_probe *probe, size_t start, size_t end, const char *words, double score);
bool aicpi_guard_has_context(
    const aicpi_guard_probe *probe, size_t start, size_t end, const char *words);
bool aicpi_guard_read_number(const char *data, size_t len, aicpi_guard_number *out);
/* Value of an ASCII, full-width or Arabic-Indic digit at data[0], -1; its bytes to *width. */
int aicpi_guard_digit(const char *data, size_t len, size_t *width);
/* Reach of detectors whose matches are one word: up to its end and the context behind it. */
size_t aicpi_guard_word_reach(const char *data, size_t len);
bool aicpi_guard_luhn(const uint8_t *digits, size_t count);
/* Byte of a name: ASCII letter or digit, '_', or not ASCII. */
bool aicpi_guard_is_word(char c);
double aicpi_guard_entropy(const char *data, size_t len); /* bits per byte */
/* Placeholders, examples, masked values, runs and sequences. */
bool aicpi_guard_is_dummy(const char *data, size_t len);

#endif
