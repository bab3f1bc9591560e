/**
 * @file cost.h
 * What a request will cost and what it did cost: exact token counts, LiteLLM's price map, estimates
 * before the call and charges after it.
 *
 * The usual way:
 *
 *     aicp_price_table_parse(json, json_len, NULL, &table, &err);          // once
 *     aicp_cost_request_new(NULL, &request, &err);                         // once per thread
 *     aicp_cost_request_parse(request, body, body_len, &err);              // per request
 *     aicp_price_table_find(table, model, model_len, &price, &err);
 *     aicp_cost_estimate(request, price, NULL, &quote, &err);
 *     ...
 *     aicp_usage_parse(usage_json, usage_len, &usage, &err);
 *     aicp_cost_of_usage(price, &usage, NULL, &cost, &err);
 *
 * Money is nano-dollars (1e-9 USD) in int64_t. Prices are decimals of 1e-15 USD; products are exact
 * and each amount is rounded half up once.
 */
#ifndef AICP_COST_H
#define AICP_COST_H

#include "aicp/base.h"

AICP_BEGIN_DECL

/* ------------------------------------------------------------------------------ tokenizers --- */

/** A byte-pair encoding with its splitter and vocabulary. *immutable*, reference-counted. */
typedef struct aicp_tokenizer aicp_tokenizer;

/** What the text of a special token such as `<|endoftext|>` means. */
enum {
    AICP_SPECIAL_ORDINARY = 0, /**< plain text; right for the text of users */
    AICP_SPECIAL_ALLOW = 1,    /**< it becomes its id (leftmost, longest first) */
    AICP_SPECIAL_STRICT = 2    /**< it is an error: ERR_SPECIAL_TOKEN */
};

/**
 * Opens a built-in encoding by name: "o200k_base", "o200k_harmony" or "cl100k_base". The vocabulary
 * is part of the library's read-only data, so this only makes a small handle. Errors:
 * ERR_NOT_FOUND.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_tokenizer_open(
    const char *data,
    size_t len,
#ifndef SWIG
    const aicp_allocator *allocator,
#endif
    aicp_tokenizer **out,
    aicp_error *err);

/** Adds a reference and returns `tokenizer`. */
AICP_API aicp_tokenizer *aicp_tokenizer_ref(aicp_tokenizer *tokenizer);

/** Drops a reference; NULL is fine. */
AICP_API void aicp_tokenizer_free(aicp_tokenizer *tokenizer);

/** Name of the encoding. Static. */
AICP_API const char *aicp_tokenizer_name(const aicp_tokenizer *tokenizer);

/** One more than the highest id of the encoding, special tokens included. */
AICP_API uint32_t aicp_tokenizer_vocab_size(const aicp_tokenizer *tokenizer);

/**
 * Counts the tokens of a text. Bytes that are not UTF-8 count as if each maximal invalid part were
 * U+FFFD. Time is linear in `len` for any input, no heap memory is used. `special` is one of
 * AICP_SPECIAL_…. Errors: ERR_SPECIAL_TOKEN (strict mode, with the place), ERR_INVALID.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_tokenizer_count(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int32_t special,
    int64_t *tokens,
    aicp_error *err);

#ifndef SWIG
/** Room of the caller for token ids: `capacity` of them at `ids`; `count` is set by the library. */
typedef struct aicp_token_ids {
    uint32_t *ids;
    size_t capacity;
    size_t count;
} aicp_token_ids;

/**
 * Writes the ids of a text into the caller's array. When there is no room for all, the first
 * `capacity` ids are written, `count` is set to the number needed and ERR_LIMIT is returned.
 * No heap memory is used. Otherwise like aicp_tokenizer_count().
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_tokenizer_encode_into(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int32_t special,
    aicp_token_ids *ids,
    aicp_error *err);
#endif

/**
 * Gives the ids of a text as a buffer of uint32_t in the machine's byte order (`out->len / 4` of
 * them). Otherwise like aicp_tokenizer_count(); also ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_tokenizer_encode(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int32_t special,
    aicp_buf *out,
    aicp_error *err);

/**
 * Joins the bytes of `ids_len` ids; special tokens give their text. The result may be invalid UTF-8
 * when the ids cut a character. Errors: ERR_NOT_FOUND for an id that the encoding does not have.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_tokenizer_decode(
    const aicp_tokenizer *tokenizer,
    const uint32_t *ids,
    size_t ids_len,
    aicp_buf *out,
    aicp_error *err);

/**
 * Finds how much of a text fits into `max_tokens`: sets `bytes` to the length of a prefix that ends
 * at a character border and counts at most `max_tokens` (ordinary mode), as long as the first
 * `max_tokens` tokens of the whole text allow. `tokens` (may be NULL) gets the prefix's count.
 * Errors: ERR_INVALID (`max_tokens` below 0).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_tokenizer_truncate(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int64_t max_tokens,
    size_t *bytes,
    int64_t *tokens,
    aicp_error *err);

/* ---------------------------------------------------------------------- how a model counts --- */

/** How good a count is. */
enum {
    AICP_COUNT_EXACT = 0, /**< the model's own vocabulary and known rules */
    AICP_COUNT_NEAR = 1,  /**< own vocabulary, but a part (tools, image of unknown size) by rule */
    AICP_COUNT_ESTIMATED = 2 /**< another vocabulary with a factor, and a range */
};

/** Text of a count quality: "exact", "near" or "estimated". Static. */
AICP_API const char *aicp_count_quality_name(int32_t quality);

/**
 * How the requests of a model are counted: encoding, factor by script, overhead of messages and
 * tools, rule for images. Static and *immutable*; never freed.
 */
typedef struct aicp_token_profile aicp_token_profile;

/**
 * The profile of a model name such as "gpt-4o", "azure/eu/gpt-4o-2024-08-06" or "claude-opus-4-5".
 * Exact name first, then the longest known prefix, after provider and region segments and "ft:" are
 * dropped. Never NULL: a name that nobody knows gets the o200k_base stand-in with a wide range.
 */
AICP_API const aicp_token_profile *aicp_token_profile_find(const char *data, size_t len);

/** Name of the profile's family, e.g. "gpt-4o". Static. */
AICP_API const char *aicp_token_profile_family(const aicp_token_profile *profile);

/** Name of the encoding that is used (the stand-in's when the own one is not public). Static. */
AICP_API const char *aicp_token_profile_encoding(const aicp_token_profile *profile);

/** Best quality that a count with this profile can have. */
AICP_API int32_t aicp_token_profile_quality(const aicp_token_profile *profile);

/* -------------------------------------------------------------------------------- requests --- */

/**
 * The countable parts of one request, reusable. Texts are borrowed: they must stay in place until
 * the next reset. Once warm it uses no heap memory. *confined*
 */
typedef struct aicp_cost_request aicp_cost_request;

/** Kind of call. */
enum {
    AICP_CALL_CHAT = 0,       /**< chat completions: `messages` */
    AICP_CALL_COMPLETION = 1, /**< completions: `prompt` */
    AICP_CALL_EMBEDDING = 2,  /**< embeddings, moderation, rerank: no output tokens */
    AICP_CALL_RESPONSES = 3   /**< responses: `instructions`, `input` */
};

/** Detail that is asked for an image. */
enum { AICP_DETAIL_AUTO = 0, AICP_DETAIL_LOW = 1, AICP_DETAIL_HIGH = 2, AICP_DETAIL_ORIGINAL = 3 };

#ifndef SWIG
/** Makes an empty request; `allocator` may be NULL. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_cost_request_new(const aicp_allocator *allocator, aicp_cost_request **out, aicp_error *err);
#endif

/** Frees the request; NULL is fine. */
AICP_API void aicp_cost_request_free(aicp_cost_request *request);

/** Empties the request and keeps its memory. The kind becomes chat. */
AICP_API void aicp_cost_request_reset(aicp_cost_request *request);

/**
 * Resets the request and reads a whole JSON body: chat completions, completions, embeddings,
 * responses (also Anthropic messages and Gemini-style `contents`). The kind follows from the
 * fields. `data` is borrowed until the next reset. Unknown fields are passed over. Errors:
 * ERR_PARSE with the place, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_cost_request_parse(aicp_cost_request *request, const char *data, size_t len, aicp_error *err);

/** Sets the kind of call, one of AICP_CALL_…. */
AICP_API void aicp_cost_request_set_kind(aicp_cost_request *request, int32_t kind);

/** Sets the model whose profile counts; replaces the one of a parsed body. */
AICP_API void aicp_cost_request_set_model(aicp_cost_request *request, const char *data, size_t len);

/** The model that was set or parsed; `*data` is NULL when there is none. Borrowed. */
AICP_API void
aicp_cost_request_model(const aicp_cost_request *request, const char **data, size_t *len);

/** Begins a message. The following add calls belong to it. */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_request_add_message(
    aicp_cost_request *request, const char *role, size_t role_len, aicp_error *err);

/** Adds the `name` field of the current message. */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_request_add_name(
    aicp_cost_request *request, const char *data, size_t len, aicp_error *err);

/**
 * Adds text (decoded, without JSON escapes) to the current message, or as one prompt or input of
 * its own when there is no message.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_request_add_text(
    aicp_cost_request *request, const char *data, size_t len, aicp_error *err);

/** Adds a prompt or input that is already given as `count` token ids. */
AICP_API AICP_MUST_CHECK aicp_status
aicp_cost_request_add_tokens(aicp_cost_request *request, int64_t count, aicp_error *err);

/** Adds an image; width and height in pixels, 0 = unknown; `detail` is one of AICP_DETAIL_…. */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_request_add_image(
    aicp_cost_request *request, int64_t width, int64_t height, int32_t detail, aicp_error *err);

/**
 * Adds an image by what stands in `image_url.url`: the size of a "data:" URL is read from the
 * picture's header (PNG, GIF, JPEG, WebP), that of any other address is unknown. Nothing is
 * fetched.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_request_add_image_url(
    aicp_cost_request *request, const char *data, size_t len, int32_t detail, aicp_error *err);

/** Adds the `tools` array (OpenAI or Anthropic shape) as JSON text. Errors: ERR_PARSE, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_request_add_tools(
    aicp_cost_request *request, const char *data, size_t len, aicp_error *err);

/** Sets the cap of output tokens that the caller asked for (`max_completion_tokens` …); < 0 = none.
 */
AICP_API void aicp_cost_request_set_max_tokens(aicp_cost_request *request, int64_t max_tokens);

/** Sets how many answers are asked for (the larger of `n` and `best_of`); at least 1. */
AICP_API void aicp_cost_request_set_n(aicp_cost_request *request, int64_t n);

/** Says that the request asks for cache entries that live an hour, which cost more to write. */
AICP_API void aicp_cost_request_set_long_cache(aicp_cost_request *request, int32_t on);

/** A count of input tokens with its range. */
typedef struct aicp_token_count {
    int64_t low;             /**< least likely value; equals `tokens` when exact */
    int64_t tokens;          /**< the count, or the middle of an estimate */
    int64_t high;            /**< what a reservation should take */
    int64_t text;            /**< part of `tokens` that texts make */
    int64_t overhead;        /**< part of `tokens` that messages, names and the primer make */
    int64_t tools;           /**< part of `tokens` that tool definitions make */
    int64_t images;          /**< part of `tokens` that images, audio and files make */
    int32_t quality;         /**< one of AICP_COUNT_… */
    int32_t factor_permille; /**< factor used on the encoding's own count, 1000 = none */
    int64_t reserved[4];
} aicp_token_count;

/**
 * Counts the input tokens of a request. `profile` NULL takes the profile of the request's model.
 * Errors: ERR_NOMEM, ERR_RANGE.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_request_count(
    aicp_cost_request *request,
    const aicp_token_profile *profile,
    aicp_token_count *count,
    aicp_error *err);

/* ---------------------------------------------------------------------------------- prices --- */

/** All known prices: LiteLLM's map and overrides above it. *immutable*, reference-counted. */
typedef struct aicp_price_table aicp_price_table;

/** The prices of one model, borrowed from its table. *immutable* */
typedef struct aicp_price aicp_price;

/** Models by name with aliases and fallback chains ("aicp-models/1"). *immutable*, counted. */
typedef struct aicp_model_list aicp_model_list;

#ifndef SWIG
/** How a price table is made. */
typedef struct aicp_price_table_options {
    size_t size;
    const aicp_allocator *allocator; /**< NULL = libc; copied */
    aicp_price_table *base;          /**< asked for what this table lacks; a reference is taken */
    aicp_model_list *models;         /**< names of the configuration; a reference is taken */
    int64_t valid_from_ns;           /**< wall time from which these prices hold; 0 = always */
    const char *version; /**< NUL-terminated, at most 63 bytes; NULL = hash of the data */
} aicp_price_table_options;

/** Initialiser with every default. */
#define AICP_PRICE_TABLE_OPTIONS_INIT                                                              \
    { sizeof(aicp_price_table_options), NULL, NULL, NULL, 0, NULL }

/** Sets every default; `size` is sizeof(aicp_price_table_options) of the caller. */
AICP_API void aicp_price_table_options_init(aicp_price_table_options *options, size_t size);

/**
 * Reads a price map in LiteLLM's JSON form (model_prices_and_context_window.json): an object of
 * model → object of keys. An override map has the same form; give the table below it as
 * `options->base`. `data` is not kept. Errors: ERR_PARSE with the place, ERR_RANGE (negative or
 * absurd price), ERR_LIMIT, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_price_table_parse(
    const char *data,
    size_t len,
    const aicp_price_table_options *options,
    aicp_price_table **out,
    aicp_error *err);
#endif

/** Adds a reference and returns `table`. */
AICP_API aicp_price_table *aicp_price_table_ref(aicp_price_table *table);

/** Drops a reference; NULL is fine. Prices borrowed from the table end with it. */
AICP_API void aicp_price_table_free(aicp_price_table *table);

/** Models in this table, without those of its base. */
AICP_API size_t aicp_price_table_count(const aicp_price_table *table);

/** Prices with more than 15 decimals, which were rounded half up when read. */
AICP_API size_t aicp_price_table_rounded(const aicp_price_table *table);

/** Version given in the options, or the first 16 hex digits of the data's SHA-256. Borrowed. */
AICP_API const char *aicp_price_table_version(const aicp_price_table *table);

/** The i-th price in the order of the map; NULL past the end. Borrowed. */
AICP_API const aicp_price *aicp_price_table_at(const aicp_price_table *table, size_t index);

/**
 * Finds the prices of a model: the exact key, then the name without its provider prefix, then
 * `provider/name`, region prefixes first as given and then without; an override's key wins over its
 * base's at each step. Never by a part of the name. `price` is borrowed from the table. Errors:
 * ERR_UNKNOWN_MODEL when the map does not have it.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_price_table_find(
    const aicp_price_table *table,
    const char *data,
    size_t len,
    const aicp_price **price,
    aicp_error *err);

/** Key of the map, e.g. "azure/gpt-4o". Borrowed. */
AICP_API const char *aicp_price_key(const aicp_price *price);

/** `litellm_provider`, e.g. "azure"; "" when absent. Borrowed. */
AICP_API const char *aicp_price_provider(const aicp_price *price);

/** `mode`, e.g. "chat"; "" when absent. Borrowed. */
AICP_API const char *aicp_price_mode(const aicp_price *price);

/** Version of the table the price came from. Borrowed. */
AICP_API const char *aicp_price_version(const aicp_price *price);

/** Wall time in nanoseconds from which the price holds; 0 = always. */
AICP_API int64_t aicp_price_valid_from_ns(const aicp_price *price);

/** `max_input_tokens`; -1 when absent. */
AICP_API int64_t aicp_price_max_input_tokens(const aicp_price *price);

/** `max_output_tokens`, else `max_tokens`; -1 when absent. */
AICP_API int64_t aicp_price_max_output_tokens(const aicp_price *price);

/** `deprecation_date` ("2026-12-11"); "" when absent. Borrowed. */
AICP_API const char *aicp_price_deprecation_date(const aicp_price *price);

/** 1 when at least one price is known (0 counts as known), else 0. */
AICP_API int32_t aicp_price_known(const aicp_price *price);

/**
 * One price by its key in the map ("input_cost_per_token") in 1e-15 USD. Errors: ERR_UNKNOWN_PRICE
 * when absent.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_price_get(
    const aicp_price *price, const char *data, size_t len, int64_t *femto_usd, aicp_error *err);

#ifndef SWIG
/** Reads a model list ("schema": "aicp-models/1"). `data` is not kept. Errors: ERR_PARSE. */
AICP_API AICP_MUST_CHECK aicp_status aicp_model_list_parse(
    const char *data,
    size_t len,
    const aicp_allocator *allocator,
    aicp_model_list **out,
    aicp_error *err);
#endif

/** Adds a reference and returns `list`. */
AICP_API aicp_model_list *aicp_model_list_ref(aicp_model_list *list);

/** Drops a reference; NULL is fine. */
AICP_API void aicp_model_list_free(aicp_model_list *list);

/** Number of models. */
AICP_API size_t aicp_model_list_count(const aicp_model_list *list);

/** Position of a model by its name. Errors: ERR_UNKNOWN_MODEL. */
AICP_API AICP_MUST_CHECK aicp_status aicp_model_list_find(
    const aicp_model_list *list, const char *data, size_t len, size_t *index, aicp_error *err);

/** Fields of a model; "" when absent, NULL past the end. Borrowed. */
AICP_API const char *aicp_model_list_name(const aicp_model_list *list, size_t index);
/** Provider of the configuration, e.g. "bedrock". */
AICP_API const char *aicp_model_list_provider(const aicp_model_list *list, size_t index);
/** Name that LiteLLM is given, e.g. "azure/gpt-4o". */
AICP_API const char *aicp_model_list_litellm_model(const aicp_model_list *list, size_t index);
/** Key in the price map; "" when the price is unknown. */
AICP_API const char *aicp_model_list_price_key(const aicp_model_list *list, size_t index);

/** The i-th fallback of a model; NULL past the end. Borrowed. */
AICP_API const char *
aicp_model_list_fallback(const aicp_model_list *list, size_t index, size_t fallback);

/** The i-th model of an alias group such as "smart"; NULL past the end. Borrowed. */
AICP_API const char *aicp_model_list_alias_member(
    const aicp_model_list *list, const char *data, size_t len, size_t index);

/* ------------------------------------------------------------------------------- estimates --- */

/** Service tier of a request. */
enum {
    AICP_TIER_STANDARD = 0,
    AICP_TIER_PRIORITY = 1, /**< also "fast" */
    AICP_TIER_FLEX = 2,
    AICP_TIER_BATCH = 3,
    AICP_TIER_BALANCED = 4,
    AICP_TIER_ULTRAFAST = 5
};

/** Rows of a cost. */
enum {
    AICP_PART_INPUT = 0,
    AICP_PART_CACHE_READ = 1,
    AICP_PART_CACHE_WRITE = 2,
    AICP_PART_CACHE_WRITE_1H = 3,
    AICP_PART_INPUT_AUDIO = 4,
    AICP_PART_INPUT_IMAGE = 5,
    AICP_PART_INPUT_VIDEO = 6,
    AICP_PART_OUTPUT = 7,
    AICP_PART_REASONING = 8,
    AICP_PART_OUTPUT_AUDIO = 9,
    AICP_PART_OUTPUT_IMAGE = 10,
    AICP_PART_OTHER = 11, /**< per query, second, character, page, image, pixel */
    AICP_PART_COUNT = 12
};

/** Room for rows in an ::aicp_cost. */
#define AICP_PART_ROOM 16

/** Name of a row, e.g. "cache_read"; "" past the end. Static. */
AICP_API const char *aicp_cost_part_name(int32_t part);

/** What applies to the price beside the usage. Zero means default. */
typedef struct aicp_cost_options {
    size_t size;
    int32_t tier;    /**< one of AICP_TIER_… */
    int32_t uplift;  /**< one of AICP_UPLIFT_… */
    int64_t wall_ns; /**< time of the request, for off-peak prices; 0 = full price */
    int64_t
        output_p50; /**< expected output tokens of one answer, learned by the caller; 0 = rule */
    int64_t output_p95; /**< upper output tokens of one answer, learned by the caller; 0 = rule */
} aicp_cost_options;

/** Regional surcharges of the map. */
enum {
    AICP_UPLIFT_NONE = 0,
    AICP_UPLIFT_EU = 1, /**< `regional_processing_uplift_multiplier_eu` */
    AICP_UPLIFT_US = 2, /**< `regional_processing_uplift_multiplier_us` */
    AICP_UPLIFT_ENDPOINT =
        3,                 /**< `regional_endpoint_uplift_multiplier` (not the global endpoint) */
    AICP_UPLIFT_FAST = 4,  /**< `provider_specific_entry.fast` */
    AICP_UPLIFT_GEO_US = 5 /**< `provider_specific_entry.us` */
};

/** Initialiser with every default. */
#define AICP_COST_OPTIONS_INIT                                                                     \
    { sizeof(aicp_cost_options), 0, 0, 0, 0, 0 }

/** Sets every default; `size` is sizeof(aicp_cost_options) of the caller. */
AICP_API void aicp_cost_options_init(aicp_cost_options *options, size_t size);

/** What a request may cost. */
typedef struct aicp_cost_quote {
    aicp_token_count input;
    int64_t output_cap; /**< most output tokens of one answer: min(asked, model maximum) */
    int64_t output_p50; /**< expected output tokens of one answer, reasoning included */
    int64_t output_p95;
    int64_t answers;            /**< n or best_of */
    int64_t cost_input_nano;    /**< cost of `input.tokens` */
    int64_t cost_expected_nano; /**< `input.tokens` and p50 output of all answers */
    int64_t cost_p95_nano;      /**< `input.tokens` and p95 output of all answers */
    int64_t cost_max_nano; /**< `input.high` and the cap of all answers at the dearest price that
                              can apply (asked or standard tier, cache writes): what to reserve */
    int32_t expected_from_history; /**< 1 when output_p50 came from the caller */
    int32_t reserved0;
    int64_t reserved[4];
} aicp_cost_quote;

/**
 * Counts a request and prices it before the call. `price` NULL, or one without token prices, is
 * ERR_UNKNOWN_PRICE; `quote` then still holds the token figures. Without learned figures in
 * `options` the expected output of one answer is a rule of thumb: p50 = 300 + input / 8, p95 = four
 * times that, both doubled twice for models that reason, never above the cap. Errors also:
 * ERR_RANGE, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_estimate(
    aicp_cost_request *request,
    const aicp_price *price,
    const aicp_cost_options *options,
    aicp_cost_quote *quote,
    aicp_error *err);

/**
 * The same in one call for a JSON body: finds model and price itself and makes a temporary request
 * (so it uses the heap; a hot path keeps an ::aicp_cost_request).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_estimate_body(
    const aicp_price_table *table,
    const char *data,
    size_t len,
    const aicp_cost_options *options,
    aicp_cost_quote *quote,
    aicp_error *err);

/* --------------------------------------------------------------------------------- charges --- */

/**
 * What a provider says was used. All counts ≥ 0. As in LiteLLM `prompt_tokens` includes cache
 * reads, cache writes, audio, image and video tokens; `completion_tokens` includes reasoning, audio
 * and image tokens.
 */
typedef struct aicp_usage {
    size_t size;
    int64_t prompt_tokens;
    int64_t completion_tokens;
    int64_t cache_read_tokens;
    int64_t cache_write_tokens;    /**< with 5 or 30 minutes of life */
    int64_t cache_write_1h_tokens; /**< with 1 hour of life, beside the former */
    int64_t prompt_audio_tokens;
    int64_t prompt_image_tokens;
    int64_t prompt_video_tokens;
    int64_t reasoning_tokens;
    int64_t completion_audio_tokens;
    int64_t completion_image_tokens;
    int64_t prompt_characters;     /**< for prices per character */
    int64_t completion_characters; /**< for prices per character */
    int64_t input_milliseconds;    /**< audio or video in, for prices per second */
    int64_t output_milliseconds;   /**< audio or video out */
    int64_t queries;               /**< searches or rerank queries */
    int64_t pages;                 /**< OCR */
    int64_t input_images;          /**< for prices per image */
    int64_t output_images;
    int64_t output_pixels; /**< for prices per pixel */
} aicp_usage;

/** Initialiser with every count 0. */
#define AICP_USAGE_INIT                                                                            \
    { sizeof(aicp_usage), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** Sets every count to 0; `size` is sizeof(aicp_usage) of the caller. */
AICP_API void aicp_usage_init(aicp_usage *usage, size_t size);

/**
 * Reads a `usage` object: chat completions, responses and Anthropic messages form (in the last one
 * `input_tokens` excludes the cache; it is added here). A null field counts 0. `usage` must be
 * initialised. Errors: ERR_PARSE, ERR_RANGE.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_usage_parse(const char *data, size_t len, aicp_usage *usage, aicp_error *err);

/** A charge in rows that add up to the total. */
typedef struct aicp_cost {
    int64_t total_nano;
    int64_t part_nano[AICP_PART_ROOM]; /**< rounded so that they add up to `total_nano` */
    int64_t quantity[AICP_PART_ROOM];  /**< tokens of each row (characters where priced so) */
    int64_t
        price_femto[AICP_PART_ROOM]; /**< price of one token in 1e-15 USD, before a multiplier */
    int64_t reserved[4];
} aicp_cost;

/**
 * The charge for a usage, by the arithmetic that LiteLLM users see, in exact decimals: step prices
 * above N tokens, tiers, service tier, cache reads and writes, reasoning, audio, image, off-peak
 * and regional multipliers. Errors: ERR_UNKNOWN_PRICE (a used quantity has no price), ERR_INVALID,
 * ERR_RANGE.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_cost_of_usage(
    const aicp_price *price,
    const aicp_usage *usage,
    const aicp_cost_options *options,
    aicp_cost *cost,
    aicp_error *err);

AICP_END_DECL

#endif
