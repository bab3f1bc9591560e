/**
 * @file policy.h
 * Cedar policies (language version 4.5): may this principal do this action on this resource?
 *
 * A policy set and an entity store are read once and shared by all threads. For each question a
 * caller fills an ::aicp_policy_request, calls aicp_policy_authorize() and reads the
 * ::aicp_policy_response; both are made once and used again, and once warm no call on this path
 * touches the heap.
 *
 *     aicp_policy_set *set;                          // immutable, shared
 *     aicp_policy_entities *entities;                // immutable, shared
 *     aicp_policy_set_parse(text, text_len, NULL, &set, &err);
 *     aicp_policy_entities_parse(json, json_len, NULL, &entities, &err);
 *     aicp_policy_request *request;                  // one per thread
 *     aicp_policy_response *response;
 *     aicp_policy_request_new(NULL, &request, &err);
 *     aicp_policy_response_new(NULL, &response, &err);
 *
 *     aicp_policy_request_reset(request);
 *     aicp_policy_request_set_principal(request, "User", 4, "alice", 5, &err);
 *     aicp_policy_request_set_action(request, "Action", 6, "chat", 4, &err);
 *     aicp_policy_request_set_resource(request, "Model", 5, "gpt-5", 5, &err);
 *     aicp_policy_request_context_long(request, "input_tokens", 900, &err);
 *     aicp_policy_authorize(set, entities, request, 0, response, &err);
 *     if (aicp_policy_response_decision(response) == AICP_POLICY_ALLOW) ...
 *
 * Texts are UTF-8. Names of attributes are NUL-terminated; all other texts carry their length.
 * Entity types are paths ("AICP::Model") without spaces; entity ids are any text.
 *
 * Source of the language: the Cedar policy language reference, docs.cedarpolicy.com.
 */
#ifndef AICP_POLICY_H
#define AICP_POLICY_H

#include "aicp/base.h"

/** A set of policies. *immutable*, reference-counted. */
typedef struct aicp_policy_set aicp_policy_set;
/** A store of entities. *immutable*, reference-counted. */
typedef struct aicp_policy_entities aicp_policy_entities;
/** What entities, actions and contexts look like. *immutable*, reference-counted. */
typedef struct aicp_policy_schema aicp_policy_schema;
/** A question: who, what, on what, in which context. *confined*, reusable. */
typedef struct aicp_policy_request aicp_policy_request;
/** What is wrong with policies by a schema. *immutable*. */
typedef struct aicp_policy_report aicp_policy_report;
/** The answer with its reasons, and the workspace of the evaluation. *confined*, reusable. */
typedef struct aicp_policy_response aicp_policy_response;

/** Decisions. Zero, the value of a response that was never filled, is the safe one. Undecided is
 * only what aicp_policy_partial() may say. */
enum { AICP_POLICY_DENY = 0, AICP_POLICY_ALLOW = 1, AICP_POLICY_UNDECIDED = 2 };

/** Parts of a request that may be unknown. */
enum { AICP_POLICY_PRINCIPAL = 0, AICP_POLICY_ACTION = 1, AICP_POLICY_RESOURCE = 2 };

/** What a policy does when its conditions hold. */
enum { AICP_POLICY_PERMIT = 0, AICP_POLICY_FORBID = 1 };

/**
 * Why a policy could not be evaluated: X(name, number, Cedar's name, status code). Such a policy
 * counts as not satisfied; the other policies are not touched by it.
 */
#define AICP_POLICY_ERROR_MAP(X)                                                                   \
    X(TYPE, 1, "TypeError", AICP_ERR_POLICY_TYPE)                                                  \
    X(ENTITY, 2, "EntityDoesNotExist", AICP_ERR_POLICY_ENTITY)                                     \
    X(ENTITY_ATTR, 3, "EntityAttrDoesNotExist", AICP_ERR_POLICY_ENTITY)                            \
    X(RECORD_ATTR, 4, "RecordAttrDoesNotExist", AICP_ERR_POLICY_ENTITY)                            \
    X(ARGUMENTS, 5, "WrongNumArguments", AICP_ERR_POLICY_EXTENSION)                                \
    X(OVERFLOW, 6, "IntegerOverflow", AICP_ERR_POLICY_OVERFLOW)                                    \
    X(EXTENSION, 7, "FailedExtensionFunctionExecution", AICP_ERR_POLICY_EXTENSION)                 \
    X(SLOT, 8, "UnlinkedSlot", AICP_ERR_POLICY_TYPE)                                               \
    X(DEPTH, 9, "RecursionLimit", AICP_ERR_POLICY_DEPTH)

/** Error kinds by name. */
enum {
#define AICP_POLICY_ERROR_ENUM(name, number, text, status) AICP_POLICY_ERROR_##name = (number),
    AICP_POLICY_ERROR_MAP(AICP_POLICY_ERROR_ENUM)
#undef AICP_POLICY_ERROR_ENUM
};

/** Syntaxes of policies and schemas: the one that the text or the object has, Cedar's own, JSON. */
enum { AICP_POLICY_FORMAT_AUTO = 0, AICP_POLICY_FORMAT_CEDAR = 1, AICP_POLICY_FORMAT_JSON = 2 };

/** aicp_policy_set_options::flags: a policy's `@id("…")` annotation is its id; those without one
 * keep "policyN". Two equal ids are an error, and so is an id with a NUL in it. */
#define AICP_POLICY_ID_FROM_ANNOTATION 1u

/** Flag of aicp_policy_authorize(): stop as soon as the decision is sure. Reasons then hold the one
 * policy that made it (none for a deny without a forbid), and errors those met on the way. */
#define AICP_POLICY_DECISION_ONLY 1u
/** Flag of aicp_policy_authorize(): look at every policy instead of those that the set's index
 * finds. The answer is the same; for tests and measurements. */
#define AICP_POLICY_NO_INDEX 2u

/** aicp_policy_batch_options::flags: the text is JSON Lines even where it begins with `[`. */
#define AICP_POLICY_LINES 2u

/** Flag of aicp_policy_explain(): tell of every policy, also those of which more than one part of
 * the head does not fit the request. */
#define AICP_POLICY_EXPLAIN_ALL 8u

/** Default and greatest nesting of expressions. A deeper text is refused with ERR_POLICY_DEPTH.
 * A level takes up to 768 bytes of stack (twice that without optimisation): threads that parse or
 * evaluate need 192 KiB for the default, 768 KiB for the greatest. */
#define AICP_POLICY_DEPTH_DEFAULT 256
#define AICP_POLICY_DEPTH_MAX 1024

/** Most entities that one request may bring along (aicp_policy_request_entity_begin()). */
#define AICP_POLICY_OVERLAY_MAX 256

/** Most entities that one request looks up (aicp_policy_request_set_lookup()). */
#define AICP_POLICY_LOOKUP_MAX 10000

/** Takes the entity that a lookup asked for. *confined*, valid during the callback. */
typedef struct aicp_policy_found aicp_policy_found;

#ifndef SWIG
/**
 * Fetches an entity that lives elsewhere: gives its JSON to aicp_policy_found_json() and returns
 * OK; returns OK without giving any when there is no such entity; returns another status, with a
 * sentence in `err`, when it cannot be said. Runs on the thread that authorizes, and must use
 * neither the request nor the response of that call.
 */
typedef aicp_status (*aicp_policy_lookup_fn)(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err);

/** Gives back what a callback was set with, on the thread that makes it useless. */
typedef void (*aicp_policy_release_fn)(void *user);
#endif

/** Options of aicp_policy_set_parse(). Zero means default. */
typedef struct aicp_policy_set_options {
    size_t size;        /**< sizeof this structure */
    uint32_t flags;     /**< #AICP_POLICY_ID_FROM_ANNOTATION */
    uint32_t max_depth; /**< nesting of expressions, default #AICP_POLICY_DEPTH_DEFAULT */
    size_t max_bytes;   /**< longest text, default 16 MiB */
    const aicp_allocator *allocator; /**< NULL: the C library's heap */
} aicp_policy_set_options;

#define AICP_POLICY_SET_OPTIONS_INIT                                                               \
    { sizeof(aicp_policy_set_options), 0, 0, 0, NULL }

/** Options of aicp_policy_format(). Zero means default. */
typedef struct aicp_policy_format_options {
    size_t size;         /**< sizeof this structure */
    uint32_t line_width; /**< characters that a line should have at most, default 80, most 1000 */
    uint32_t indent;     /**< spaces by which a line is indented per level, default 2, most 16 */
    uint32_t max_depth;  /**< nesting of expressions, default #AICP_POLICY_DEPTH_DEFAULT */
    size_t max_bytes;    /**< longest text, default 16 MiB */
    const aicp_allocator *allocator; /**< NULL: the C library's heap */
} aicp_policy_format_options;

#define AICP_POLICY_FORMAT_OPTIONS_INIT                                                            \
    { sizeof(aicp_policy_format_options), 0, 0, 0, 0, NULL }

/** Options of aicp_policy_entities_parse(). Zero means default. */
typedef struct aicp_policy_entities_options {
    size_t size;          /**< sizeof this structure */
    size_t max_bytes;     /**< longest text, default 1 GiB */
    size_t max_entities;  /**< default 10,000,000 */
    size_t max_ancestors; /**< sum over all entities of their ancestors, default 50,000,000 */
    const aicp_allocator *allocator; /**< NULL: the C library's heap */
    /** What the entities must be like; needed during the call only. NULL: anything. */
    const aicp_policy_schema *schema;
} aicp_policy_entities_options;

#define AICP_POLICY_ENTITIES_OPTIONS_INIT                                                          \
    { sizeof(aicp_policy_entities_options), 0, 0, 0, NULL, NULL }

/** Options of aicp_policy_authorize_json(). Zero means default. */
typedef struct aicp_policy_batch_options {
    size_t size;                     /**< sizeof this structure */
    uint32_t flags;                  /**< #AICP_POLICY_DECISION_ONLY, #AICP_POLICY_LINES */
    uint32_t first_line;             /**< number of the text's first line in errors, default 1 */
    const aicp_allocator *allocator; /**< NULL: the C library's heap */
    /** Requests are read by it and must be as it declares (aicp_policy_request_set_schema(),
     * aicp_policy_request_check()). NULL: anything. */
    aicp_policy_schema *schema;
} aicp_policy_batch_options;

#define AICP_POLICY_BATCH_OPTIONS_INIT                                                             \
    { sizeof(aicp_policy_batch_options), 0, 0, NULL, NULL }

/** Options of aicp_policy_schema_parse(). Zero means default. */
typedef struct aicp_policy_schema_options {
    size_t size;        /**< sizeof this structure */
    uint32_t max_depth; /**< nesting of types, the names of common types counted as levels; default
                             #AICP_POLICY_DEPTH_DEFAULT, at most #AICP_POLICY_DEPTH_MAX */
    size_t max_bytes;   /**< longest text, default 16 MiB */
    const aicp_allocator *allocator; /**< NULL: the C library's heap */
} aicp_policy_schema_options;

#define AICP_POLICY_SCHEMA_OPTIONS_INIT                                                            \
    { sizeof(aicp_policy_schema_options), 0, 0, NULL }
/**
 * What the validator finds: X(name, number, Cedar's name). Numbers below 100 are errors, the others
 * warnings; INAPPLICABLE is a warning with #AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS.
 */
#define AICP_POLICY_FINDING_MAP(X)                                                                 \
    X(ENTITY_TYPE, 1, "UnrecognizedEntityType")                                                    \
    X(ACTION, 2, "UnrecognizedActionId")                                                           \
    X(INAPPLICABLE, 3, "InvalidActionApplication")                                                 \
    X(TYPE, 4, "UnexpectedType")                                                                   \
    X(INCOMPATIBLE, 5, "IncompatibleTypes")                                                        \
    X(ATTRIBUTE, 6, "UnsafeAttributeAccess")                                                       \
    X(OPTIONAL, 7, "UnsafeOptionalAttributeAccess")                                                \
    X(TAG, 8, "UnsafeTagAccess")                                                                   \
    X(NO_TAGS, 9, "NoTagsAllowed")                                                                 \
    X(ARGUMENTS, 10, "WrongNumberArguments")                                                       \
    X(ARGUMENT, 11, "FunctionArgumentValidation")                                                  \
    X(EMPTY_SET, 12, "EmptySetForbidden")                                                          \
    X(CONSTRUCTOR, 13, "NonLitExtConstructor")                                                     \
    X(ENUM, 14, "InvalidEnumEntity")                                                               \
    X(IMPOSSIBLE, 101, "ImpossiblePolicy")                                                         \
    X(MIXED_STRING, 102, "MixedScriptString")                                                      \
    X(BIDI_STRING, 103, "BidiCharsInString")                                                       \
    X(MIXED_IDENTIFIER, 104, "MixedScriptIdentifier")                                              \
    X(BIDI_IDENTIFIER, 105, "BidiCharsInIdentifier")                                               \
    X(CONFUSABLE_IDENTIFIER, 106, "ConfusableIdentifier")

/** Kinds of findings by name. */
enum {
#define AICP_POLICY_FINDING_ENUM(name, number, text) AICP_POLICY_FINDING_##name = (number),
    AICP_POLICY_FINDING_MAP(AICP_POLICY_FINDING_ENUM)
#undef AICP_POLICY_FINDING_ENUM
};

/** Severities of findings. One error is enough for a policy set not to pass. */
enum { AICP_POLICY_SEVERITY_ERROR = 1, AICP_POLICY_SEVERITY_WARNING = 2 };

/** aicp_policy_validate_options::flags: different types may meet where no wrong use follows from
 * it: in `==`, in the elements of sets, in the branches of `if`; sets may be empty; extension
 * values may be made of texts that are computed. Without it validation is strict, as Cedar's is. */
#define AICP_POLICY_VALIDATE_PERMISSIVE 1u
/** A policy whose scope no action of the schema applies to is only warned of, as newer versions of
 * Cedar do; without it, it is an error. */
#define AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS 2u

/** Options of aicp_policy_validate(). Zero means default. */
typedef struct aicp_policy_validate_options {
    size_t size;         /**< sizeof this structure */
    uint32_t flags;      /**< AICP_POLICY_VALIDATE_… */
    size_t max_findings; /**< findings that are kept, default 10,000; all count for the verdict */
    const aicp_allocator *allocator; /**< NULL: the C library's heap */
} aicp_policy_validate_options;

#define AICP_POLICY_VALIDATE_OPTIONS_INIT                                                          \
    { sizeof(aicp_policy_validate_options), 0, 0, NULL }

AICP_BEGIN_DECL

/** Fills options with defaults; `size` is the caller's sizeof. */
AICP_API void aicp_policy_set_options_init(aicp_policy_set_options *options, size_t size);
AICP_API void aicp_policy_entities_options_init(aicp_policy_entities_options *options, size_t size);
AICP_API void aicp_policy_batch_options_init(aicp_policy_batch_options *options, size_t size);
AICP_API void aicp_policy_schema_options_init(aicp_policy_schema_options *options, size_t size);
AICP_API void aicp_policy_validate_options_init(aicp_policy_validate_options *options, size_t size);
AICP_API void aicp_policy_format_options_init(aicp_policy_format_options *options, size_t size);

/* ------------------------------------------------------------------------------ policy set */

/**
 * Reads policies. In Cedar's text syntax: an empty text gives an empty set, and ids are "policy0",
 * "policy1", … by position, templates counted too, unless #AICP_POLICY_ID_FROM_ANNOTATION says
 * otherwise. `*out` is to be given back with aicp_policy_set_free().
 *
 * A text whose first significant character is `{` is read as Cedar's JSON. A policy set,
 * `{"staticPolicies":{id:policy,…},"templates":{id:policy,…},"templateLinks":[…]}` with at least
 * one of the keys and links as in aicp_policy_set_link(), has its ids as keys, whatever `flags`
 * say. One policy, `{"effect":…,"principal":…,"action":…,"resource":…,"conditions":[…],
 * "annotations":{…}}` with only the annotations optional, has its id as in a text. Unknown keys are
 * refused, and JSON nested more than 65,536 levels deep (a chain such as `a && b` takes two levels
 * for each operand, and none of `max_depth`).
 *
 * Errors, those of the text with line and column: ERR_PARSE saying what was found and expected;
 * ERR_RANGE (integer in JSON); ERR_POLICY_DEPTH; ERR_EXISTS (an id twice); ERR_INVALID (an id with
 * a NUL, or options; a link whose values are not the slots of its template); ERR_NOT_FOUND
 * (template of a link); ERR_LIMIT (too long or deep, or a policy with more than 256 annotations);
 * ERR_NOMEM. Source of the JSON form: docs.cedarpolicy.com/policies/json-format.html.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_set_parse(
    const char *data,
    size_t len,
    const aicp_policy_set_options *options,
    aicp_policy_set **out,
    aicp_error *err);

/**
 * Makes a new set out of `set` and links of its templates. `data` is a JSON array of
 * `{"templateId":…, "newId":…, "values":{"?principal":{"type":…,"id":…}, "?resource":…}}` with
 * exactly the template's slots. `set` stays as it is and may be freed. A link has its template's
 * annotations and source position.
 *
 * Errors: ERR_PARSE, ERR_NOT_FOUND (template), ERR_EXISTS (new id taken), ERR_INVALID (slots do not
 * match), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_set_link(
    const aicp_policy_set *set,
    const char *data,
    size_t len,
    aicp_policy_set **out,
    aicp_error *err);

/** Takes one more reference and returns `set`. */
AICP_API aicp_policy_set *aicp_policy_set_ref(aicp_policy_set *set);
/** Drops one reference; NULL is fine. */
AICP_API void aicp_policy_set_free(aicp_policy_set *set);

/** Number of policies that can be satisfied: static policies and links, not templates. They have
 * the indexes 0 … count-1, in the order of the text, links last. */
AICP_API size_t aicp_policy_set_count(const aicp_policy_set *set);
/** Number of templates. */
AICP_API size_t aicp_policy_set_template_count(const aicp_policy_set *set);
/** Id of a policy; NULL when `index` is out of range. Lives as long as the set. */
AICP_API const char *aicp_policy_set_id(const aicp_policy_set *set, size_t index);
/** Id of a template; NULL when `index` is out of range. Lives as long as the set. */
AICP_API const char *aicp_policy_set_template_id(const aicp_policy_set *set, size_t index);
/** Index of the policy with that id. ERR_NOT_FOUND. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_set_find(
    const aicp_policy_set *set, const char *data, size_t len, size_t *index, aicp_error *err);
/** #AICP_POLICY_PERMIT or #AICP_POLICY_FORBID; -1 when `index` is out of range. */
AICP_API int32_t aicp_policy_set_effect(const aicp_policy_set *set, size_t index);
/** Place of the policy in its text, from 1, columns in bytes; 0 when `index` is out of range. */
AICP_API uint32_t aicp_policy_set_line(const aicp_policy_set *set, size_t index);
AICP_API uint32_t aicp_policy_set_column(const aicp_policy_set *set, size_t index);

/** Value of annotation `key` of a policy ("" for one without value); NULL when there is none.
 * Lives as long as the set. */
AICP_API const char *
aicp_policy_set_annotation(const aicp_policy_set *set, size_t index, const char *key);
/** Annotations of a policy by number: their count, and key and value of the nth. NULL when out of
 * range. */
AICP_API size_t aicp_policy_set_annotation_count(const aicp_policy_set *set, size_t index);
AICP_API const char *
aicp_policy_set_annotation_key(const aicp_policy_set *set, size_t index, size_t nth);
AICP_API const char *
aicp_policy_set_annotation_value(const aicp_policy_set *set, size_t index, size_t nth);

/**
 * Writes a whole set. As #AICP_POLICY_FORMAT_JSON it holds ids, templates and links, and reading it
 * gives an equal set. As #AICP_POLICY_FORMAT_CEDAR it holds static policies and templates in the
 * order in which they were read, laid out as aicp_policy_format() does; ids are only in it where
 * they are annotations, and a set with links has no such form. `out` is to be given back with
 * aicp_buf_free(). Errors: ERR_INVALID (another format; a link), ERR_LIMIT (more than 1 GiB),
 * ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_policy_set_write(const aicp_policy_set *set, int32_t format, aicp_buf *out, aicp_error *err);
/** Writes one policy; a link as the policy that it stands for, with its slots filled. Errors:
 * ERR_NOT_FOUND (index), ERR_INVALID (another format), ERR_LIMIT, ERR_NOMEM. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_set_write_policy(
    const aicp_policy_set *set, size_t index, int32_t format, aicp_buf *out, aicp_error *err);
/** Writes one template. Errors as above. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_set_write_template(
    const aicp_policy_set *set, size_t index, int32_t format, aicp_buf *out, aicp_error *err);

/**
 * Lays out policies in Cedar's text syntax. Tokens stay as they are and in their order, so that the
 * policies mean the same; every comment stays; formatting the result again changes nothing. What
 * does not fit in a line is broken at its operators, commas and brackets; a single word may be
 * longer. `out` is to be given back with aicp_buf_free().
 *
 * Errors: those of aicp_policy_set_parse() for a text that is none; ERR_INVALID (options).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_format(
    const char *data,
    size_t len,
    const aicp_policy_format_options *options,
    aicp_buf *out,
    aicp_error *err);

/* ---------------------------------------------------------------------------------- schema */

/**
 * Reads a schema in Cedar's schema syntax or, when its first significant character is `{`, in the
 * JSON form. All names are looked up; what is not allowed in a schema is refused here. `*out` is to
 * be given back with aicp_policy_schema_free().
 *
 * Errors with line and column: ERR_PARSE saying what was found and expected; ERR_NOT_FOUND (a name
 * that is not declared); ERR_EXISTS (declared twice, or hiding a declaration outside of all
 * namespaces); ERR_INVALID (a common type that refers to itself, an action among its own groups, a
 * context or shape that is no record, a reserved name); ERR_UNSUPPORTED (additionalAttributes,
 * attributes of actions); ERR_POLICY_DEPTH (JSON: ERR_PARSE beyond 128 levels of the text);
 * ERR_LIMIT (too long, more than 256 annotations in one place, a type with more than 100,000 parts
 * when its common types are written out, more than 10,000,000 ancestors or 100,000,000 steps to
 * find them); without a place: ERR_INVALID (options), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_schema_parse(
    const char *data,
    size_t len,
    const aicp_policy_schema_options *options,
    aicp_policy_schema **out,
    aicp_error *err);

/** Takes one more reference and returns `schema`. */
AICP_API aicp_policy_schema *aicp_policy_schema_ref(aicp_policy_schema *schema);
/** Drops one reference; NULL is fine. */
AICP_API void aicp_policy_schema_free(aicp_policy_schema *schema);

/**
 * Writes a schema as #AICP_POLICY_FORMAT_CEDAR, two blanks a level, or as #AICP_POLICY_FORMAT_JSON,
 * compact; #AICP_POLICY_FORMAT_AUTO is the syntax that it was read from. Annotations are kept,
 * comments are not, and neither are, in Cedar's syntax, annotations of the namespace without a name
 * and the context of an action that applies to nothing. Types that Cedar's syntax has no name for
 * are written out.
 *
 * Errors: ERR_UNSUPPORTED (an entity type that Cedar's syntax cannot name, because a common type
 * has the same name); ERR_INVALID (no such format); ERR_LIMIT (longer than 1 GiB); ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_schema_write(
    const aicp_policy_schema *schema, int32_t format, aicp_buf *out, aicp_error *err);

/** Number of declared entity types, over all namespaces. */
AICP_API size_t aicp_policy_schema_entity_type_count(const aicp_policy_schema *schema);
/** The nth entity type with its namespace ("NS::User"), in the order of declaration; NULL when out
 * of range. Lives as long as the schema. */
AICP_API const char *aicp_policy_schema_entity_type(const aicp_policy_schema *schema, size_t nth);
/** Number of declared actions. */
AICP_API size_t aicp_policy_schema_action_count(const aicp_policy_schema *schema);
/** Entity type of the nth action ("NS::Action"), in the order of declaration; NULL when out of
 * range. Lives as long as the schema. */
AICP_API const char *aicp_policy_schema_action_type(const aicp_policy_schema *schema, size_t nth);
/** Its id, `*len` bytes, which may be any text, and a NUL; NULL when out of range. */
AICP_API const char *
aicp_policy_schema_action_id(const aicp_policy_schema *schema, size_t nth, size_t *len);

/** Warnings: a common type that hides an entity type of the same name, a type that hides a built-in
 * one. Their count, the nth sentence (NULL when out of range; lives as long as the schema), and the
 * place of the declaration from 1 (0 when out of range). */
AICP_API size_t aicp_policy_schema_warning_count(const aicp_policy_schema *schema);
AICP_API const char *aicp_policy_schema_warning(const aicp_policy_schema *schema, size_t nth);
AICP_API uint32_t aicp_policy_schema_warning_line(const aicp_policy_schema *schema, size_t nth);
AICP_API uint32_t aicp_policy_schema_warning_column(const aicp_policy_schema *schema, size_t nth);

/* -------------------------------------------------------------------------------- entities */

/**
 * Reads entities: a JSON array of `{"uid":…, "attrs":{…}, "parents":[…], "tags":{…}}`, values as in
 * Cedar's JSON with `__entity` and `__extn` escapes. The ancestors of each entity are computed
 * here, once. `*out` is to be given back with aicp_policy_entities_free().
 *
 * With a schema the escapes may be left out where an entity or an extension value is declared:
 * `{"type","id"}`, `{"fn","arg"}`, or the text of the value alone. All entities must be as
 * declared: their types and ids, attributes, tags and the types of their parents. The store then
 * holds the schema's actions too; an action that is given must equal the declared one, with all its
 * groups.
 *
 * Errors with line and column: ERR_PARSE, ERR_RANGE (integer), ERR_EXISTS (an entity twice with
 * different content), ERR_INVALID (cycle among parents), ERR_POLICY_TYPE (not as declared; names
 * the entity and the attribute), ERR_LIMIT, ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_entities_parse(
    const char *data,
    size_t len,
    const aicp_policy_entities_options *options,
    aicp_policy_entities **out,
    aicp_error *err);

/**
 * Writes all entities as JSON that aicp_policy_entities_parse() reads again: one a line, in the
 * order of their text, members of records and sets ordered. Extension values have the text they
 * were made from; a datetime that was computed is so many milliseconds after 1970-01-01. `*out` is
 * to be given back with aicp_buf_free().
 *
 * Errors: ERR_UNSUPPORTED (a record inside an attribute has a key that JSON keeps for itself:
 * `__entity`, `__extn`, `__expr`), ERR_LIMIT (more than 1 GiB), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_policy_entities_write(const aicp_policy_entities *entities, aicp_buf *out, aicp_error *err);

/** Takes one more reference and returns `entities`. */
AICP_API aicp_policy_entities *aicp_policy_entities_ref(aicp_policy_entities *entities);
/** Drops one reference; NULL is fine. */
AICP_API void aicp_policy_entities_free(aicp_policy_entities *entities);
/** Number of entities. */
AICP_API size_t aicp_policy_entities_count(const aicp_policy_entities *entities);
/** 1 when the store holds the entity, else 0. */
AICP_API int32_t aicp_policy_entities_contains(
    const aicp_policy_entities *entities,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len);

/* --------------------------------------------------------------------------------- request */

/** Makes an empty request. `allocator` NULL: the C library's heap. Errors: ERR_NOMEM. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_new(
    const aicp_allocator *allocator, aicp_policy_request **out, aicp_error *err);
/** Frees a request; NULL is fine. */
AICP_API void aicp_policy_request_free(aicp_policy_request *request);
/** Empties a request and keeps its memory. */
AICP_API void aicp_policy_request_reset(aicp_policy_request *request);

/**
 * Set who asks, to do what, on what. All three are needed; the entities need not exist in the
 * store. The texts are copied. Errors: ERR_INVALID (not a type name, or not UTF-8), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_set_principal(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_set_action(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_set_resource(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err);

/**
 * Sets what a JSON object says: `{"principal":U, "action":U, "resource":U, "context":{…}}`, each U
 * as `{"type":…,"id":…}`, the same inside `{"__entity":…}`, or text in Cedar's syntax,
 * `"Type::\"id\""`. A missing part is not set any more, a missing or null context is empty; other
 * keys mean nothing. Entities that were begun stay. After an error the request is to be reset.
 *
 * Errors with line and column: ERR_PARSE, ERR_RANGE, ERR_NOMEM; with a schema those of
 * aicp_policy_request_set_context_json() too.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_set_json(
    aicp_policy_request *request, const char *data, size_t len, aicp_error *err);

/**
 * Sets the whole context from a JSON object; what was set before is dropped. Errors with line and
 * column: ERR_PARSE, ERR_RANGE, ERR_NOMEM; with a schema ERR_POLICY_TYPE too, and ERR_STATE without
 * an action.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_set_context_json(
    aicp_policy_request *request, const char *data, size_t len, aicp_error *err);

/**
 * Set one attribute of the context; an attribute of the same name is replaced. Texts are copied.
 * Errors: ERR_INVALID (not UTF-8, not an ip, decimal or type name), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_bool(
    aicp_policy_request *request, const char *name, int32_t value, aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_long(
    aicp_policy_request *request, const char *name, int64_t value, aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_string(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err);
/** A set of strings; `lens` NULL: the items are NUL-terminated. Equal items count once. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_string_set(
    aicp_policy_request *request,
    const char *name,
    const char *const *items,
    const size_t *lens,
    size_t count,
    aicp_error *err);
/** A reference to an entity, with type and id NUL-terminated. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_entity(
    aicp_policy_request *request,
    const char *name,
    const char *type,
    const char *id,
    aicp_error *err);
/** The text of an address or a range, as in Cedar's `ip()`. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_ip(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err);
/** The text of a number with one to four decimals, as in Cedar's `decimal()`. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_decimal(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err);
/** A datetime, in milliseconds since 1970-01-01T00:00:00Z. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_datetime(
    aicp_policy_request *request, const char *name, int64_t epoch_ms, aicp_error *err);
/** A duration in milliseconds. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_duration(
    aicp_policy_request *request, const char *name, int64_t duration_ms, aicp_error *err);
/** Any value as JSON; errors as for the whole context. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_context_json(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err);

/**
 * From now on values that are given as JSON are read by what the schema declares (see
 * aicp_policy_entities_parse()): contexts by the context type of the action that is set at that
 * moment, so that the action comes first; attributes of entities by the entity's type. Nothing that
 * was set before is read again, and typed values are taken as they are: see
 * aicp_policy_request_check(). The request takes a reference, which it keeps when it is reset; NULL
 * gives it back.
 */
AICP_API void
aicp_policy_request_set_schema(aicp_policy_request *request, aicp_policy_schema *schema);

/**
 * Checks the whole request against its schema: the action is declared and applies to the types of
 * the principal and the resource, ids of enumerated types are among those declared, the context is
 * exactly of the action's type, and the request's own entities are as declared.
 *
 * Errors: ERR_POLICY_TYPE (says what and where), ERR_STATE (no schema, or principal, action or
 * resource not set), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_policy_request_check(aicp_policy_request *request, aicp_error *err);

/**
 * Begins an entity that only this request knows (a key, a model); the calls below add to it until
 * the next begin. It hides an entity of the same uid in the store. Its ancestors are found through
 * the other entities of the request and the store. Errors: ERR_INVALID, ERR_EXISTS (begun twice),
 * ERR_LIMIT (#AICP_POLICY_OVERLAY_MAX), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_begin(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err);
/** Adds a parent to the entity begun last. ERR_STATE without one. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_parent(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err);
/** Set one attribute of the entity begun last, as the context calls do. ERR_STATE without one. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_bool(
    aicp_policy_request *request, const char *name, int32_t value, aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_long(
    aicp_policy_request *request, const char *name, int64_t value, aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_string(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_string_set(
    aicp_policy_request *request,
    const char *name,
    const char *const *items,
    const size_t *lens,
    size_t count,
    aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_entity(
    aicp_policy_request *request,
    const char *name,
    const char *type,
    const char *id,
    aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_datetime(
    aicp_policy_request *request, const char *name, int64_t epoch_ms, aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_decimal(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err);
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_entity_attr_json(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err);

/* ----------------------------------------------------------------------------------- lookup */

#ifndef SWIG
/**
 * Lets the request ask `fn` for entities that live elsewhere: for each that neither the request nor
 * the store holds, when an evaluation needs its attributes, its tags or what it is in. Parents of
 * what was found are looked up in turn when an `in` needs them, so that its answer is exact. Each
 * entity is asked for once; the answers are kept until the request is reset, `fn` and `user` until
 * they are set again or the request is freed. Then, and when this call fails, `release` is called
 * with `user` unless it is NULL. `fn` NULL: nothing lives elsewhere, which costs nothing. With a
 * lookup every policy is looked at, action first, so that no entity is asked for in vain.
 *
 * When `fn` fails or gives what cannot be read, aicp_policy_authorize() fails with ERR_CALLBACK;
 * with ERR_LIMIT after #AICP_POLICY_LOOKUP_MAX entities; with ERR_INVALID when an entity turns out
 * to be its own ancestor. The decision then reads as deny.
 *
 * Errors: ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_set_lookup(
    aicp_policy_request *request,
    aicp_policy_lookup_fn fn,
    void *user,
    aicp_policy_release_fn release,
    aicp_error *err);
#endif

/**
 * Gives the entity that a lookup asked for, as an element of the array that
 * aicp_policy_entities_parse() reads; the bytes are copied. An error also fails the call that
 * looked up.
 *
 * Errors with line and column: ERR_PARSE, ERR_RANGE, ERR_INVALID (another entity), ERR_STATE (given
 * twice), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status
aicp_policy_found_json(aicp_policy_found *found, const char *data, size_t len, aicp_error *err);

/* -------------------------------------------------------------------------------- authorize */

/**
 * Answers a request: a satisfied forbid denies; else a satisfied permit allows; else deny. A policy
 * that cannot be evaluated is skipped and reported in the response. `entities` may be NULL (empty).
 * `flags` is 0 or some of #AICP_POLICY_DECISION_ONLY and #AICP_POLICY_NO_INDEX. The response keeps
 * what it needs of `set`, which must live until the response is read. Different threads may call
 * with the same set and entities.
 *
 * Returns OK for both decisions. Errors, on which the decision reads as deny: ERR_STATE (principal,
 * action or resource not set), ERR_INVALID (unknown flag; cycle among the request's entities),
 * ERR_CALLBACK and ERR_LIMIT (see aicp_policy_request_set_lookup()), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_authorize(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    uint32_t flags,
    aicp_policy_response *response,
    aicp_error *err);

/** Makes a response. `allocator` NULL: the C library's heap. Errors: ERR_NOMEM. */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_response_new(
    const aicp_allocator *allocator, aicp_policy_response **out, aicp_error *err);
/** Frees a response; NULL is fine. */
AICP_API void aicp_policy_response_free(aicp_policy_response *response);

/** #AICP_POLICY_ALLOW or #AICP_POLICY_DENY. */
AICP_API int32_t aicp_policy_response_decision(const aicp_policy_response *response);
/** Number of determining policies: all satisfied forbids of a deny, all satisfied permits of an
 * allow, in the order of the set. */
AICP_API size_t aicp_policy_response_reason_count(const aicp_policy_response *response);
/** Id of the nth determining policy; NULL when out of range. Valid until the next use of the
 * response, while the set lives. */
AICP_API const char *
aicp_policy_response_reason_id(const aicp_policy_response *response, size_t nth);
/** Its index in the set, for aicp_policy_set_annotation(); SIZE_MAX when out of range. */
AICP_API size_t aicp_policy_response_reason_index(const aicp_policy_response *response, size_t nth);

/** Number of policies that could not be evaluated. */
AICP_API size_t aicp_policy_response_error_count(const aicp_policy_response *response);
/** Id of the policy of the nth error; NULL when out of range. Lives as a reason's id. */
AICP_API const char *
aicp_policy_response_error_id(const aicp_policy_response *response, size_t nth);
/** Its index in the set; SIZE_MAX when out of range. */
AICP_API size_t aicp_policy_response_error_index(const aicp_policy_response *response, size_t nth);
/** Kind of the nth error, one of #AICP_POLICY_ERROR_MAP; 0 when out of range. */
AICP_API int32_t aicp_policy_response_error_kind(const aicp_policy_response *response, size_t nth);
/** Status code of the nth error, ERR_POLICY_…; OK when out of range. */
AICP_API aicp_status
aicp_policy_response_error_status(const aicp_policy_response *response, size_t nth);
/** Sentence about the nth error; NULL when out of range. Valid until the next use of the response.
 */
AICP_API const char *
aicp_policy_response_error_message(const aicp_policy_response *response, size_t nth);
/** Place of the failing expression in the policy text, from 1; 0 when out of range. */
AICP_API uint32_t aicp_policy_response_error_line(const aicp_policy_response *response, size_t nth);
AICP_API uint32_t
aicp_policy_response_error_column(const aicp_policy_response *response, size_t nth);

/** Cedar's name of an error kind ("TypeError"); "Unknown" for other numbers. Static. */
AICP_API const char *aicp_policy_error_name(int32_t kind);

/* ------------------------------------------------------------------------- richer answers */

/**
 * Answers many requests in one call: a JSON array of requests as aicp_policy_request_set_json()
 * reads them, or JSON Lines (empty lines are passed over). The answers come in the order of the
 * requests, an array for an array, lines for lines:
 *
 *     {"decision":"allow","reasons":["policy0"],"errors":[{"policy":"policy3","kind":"TypeError",
 *      "message":"expected long, found string","line":7,"column":14}]}
 *     {"error":{"code":"ERR_PARSE","message":"…","line":2,"column":17}}
 *
 * Each answer stands in one line. The second form answers a request that cannot be read, lacks a
 * part or is not as the schema declares, with its place in `data`; the run goes on. `kind` is as
 * aicp_policy_error_name() says it; the place of a policy's error is that in the policy text. With
 * #AICP_POLICY_DECISION_ONLY an answer has "decision" alone. `*out` is to be given back with
 * aicp_buf_free().
 *
 * Errors, which leave `out` empty: ERR_PARSE and ERR_LIMIT with line and column (an array that is
 * no JSON, or nests more than 128 levels), ERR_INVALID (options), ERR_LIMIT (answers of more than 1
 * GiB), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_authorize_json(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_batch_options *options,
    const char *data,
    size_t len,
    aicp_buf *out,
    aicp_error *err);

/**
 * Says that a part of the request, #AICP_POLICY_PRINCIPAL, #AICP_POLICY_ACTION or
 * #AICP_POLICY_RESOURCE, is not known but for its type; `type_len` 0: nothing is known of it, as of
 * every part that was never set. For aicp_policy_partial() and aicp_policy_filter(). Setting the
 * part ends it. Errors: ERR_INVALID (no such part, not a type name), ERR_NOMEM.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_request_set_unknown(
    aicp_policy_request *request, int32_t part, const char *type, size_t type_len, aicp_error *err);

/**
 * Evaluates policies for a request with parts that are not set ("which models may this user use":
 * without a resource). The response tells what holds whatever they are: its decision,
 * #AICP_POLICY_UNDECIDED when that hangs on them; as reasons the forbids that are satisfied, or
 * else the permits; as errors the policies that cannot be evaluated. Places and indexes are those
 * of `set`.
 *
 * `*out` is what is left: a set of the policies that are satisfied, without conditions, and of
 * those that hang on the unknown parts. Conditions are evaluated as far as they are known; what may
 * fail stays, so that asking the new set with the parts filled in gives the decision and reasons of
 * the whole set, and errors of the same policies but for those that the response has told. All else
 * about the request and the entities must be the same then. Ids, annotations and places are those
 * of `set`, which may be freed; templates are left out. Give back with aicp_policy_set_free().
 *
 * Where two operands of one operator fail, the error told is that of the one that is known. Errors,
 * on which the decision reads as deny: ERR_INVALID (cycle among the request's entities), ERR_NOMEM,
 * and what the request's lookup fails with.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_partial(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    aicp_policy_response *response,
    aicp_policy_set **out,
    aicp_error *err);

/**
 * Which of many entities a request is allowed for. One part of the request must be unknown and its
 * type known (aicp_policy_request_set_unknown()); the candidates are ids of that type, `lens` NULL:
 * NUL-terminated. Costs one partial evaluation and, where that does not decide, a decision over
 * what is left of the policies for each candidate. `*out` gets one byte for each candidate in their
 * order, 1 when it is allowed and 0 when not; give back with aicp_buf_free().
 *
 * Errors, which leave `out` empty: ERR_STATE (not exactly one part unknown, or its type not known),
 * ERR_INVALID (an id that is not UTF-8; cycle among the request's entities), ERR_LIMIT (more than
 * 2^30 candidates), ERR_NOMEM, and what the request's lookup fails with: candidates that it is
 * asked for count for #AICP_POLICY_LOOKUP_MAX together.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_filter(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    const char *const *items,
    const size_t *lens,
    size_t count,
    aicp_buf *out,
    aicp_error *err);

/**
 * Tells why a request is answered as it is, as one JSON object:
 *
 *     {"decision":"deny", "reasons":[id…], "policies":[policy…], "passed_over":number}
 *
 * with a policy in the order of the set for each whose head fits the request in all parts but at
 * most one, and in "passed_over" how many others there are (with #AICP_POLICY_EXPLAIN_ALL none):
 *
 *     {"policy":id, "effect":"permit"|"forbid", "line":…, "column":…, "annotations":{…},
 *      "outcome":"satisfied"|"not satisfied"|"not applicable"|"error",
 *      "head":[{"part":"principal", "text":"principal in Team::\"a\"", "value":"User::\"b\""}],
 *      "error":{"kind":…, "message":…, "line":…, "column":…},
 *      "clause":{"kind":"when"|"unless", "line":…, "column":…, "text":…},
 *      "because":{"line":…, "column":…, "text":"context.n < 10", "value":"false",
 *                 "operands":[{"text":"context.n", "value":"12"}]},
 *      "flips":[{"if":"context.n < 10", "by":"context.n = 9", "decision":"allow"}]}
 *
 * "head" (not applicable) has the parts that do not fit; "clause" (not satisfied, error) the first
 * condition that does not hold or fails; "because" (not satisfied) the innermost part of it that
 * alone decided, its value, and what its operands were, constants left out. Texts and values are
 * Cedar's syntax, written anew; a value of more than 512 bytes ends in "...". "flips" are single
 * changes of the request that turn the policy: "if" is what then holds, "by" the change that was
 * tried (an attribute or a part of the request set, or an entity put into a group), "decision" the
 * answer to the changed request. Only what was found by asking again is told, at most 256 times for
 * one answer, and none where a lookup is set; there may be changes that are not found. Readers
 * should pass over unknown keys.
 *
 * `*out` is to be given back with aicp_buf_free(). Errors, which leave it empty: those of
 * aicp_policy_authorize(), and ERR_LIMIT (more than 1 GiB).
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_explain(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    uint32_t flags,
    aicp_buf *out,
    aicp_error *err);

/* ------------------------------------------------------------------------------ validation */

/**
 * Checks every policy, template and link of a set against a schema: for each action, principal type
 * and resource type that the policy's scope allows, whether its conditions can go wrong for want of
 * an attribute or by a value of the wrong type. What depends on values is not seen: overflow, and
 * entities that are missing. `*out` is to be given back with aicp_policy_report_free() and needs
 * neither set nor schema. Different threads may call with the same set and schema.
 *
 * Returns OK also for policies that do not pass. Errors: ERR_INVALID (options), ERR_POLICY_DEPTH
 * and ERR_LIMIT (types of the schema too deep or too large to be compared), ERR_NOMEM. Source: the
 * validation part of the Cedar policy language reference, docs.cedarpolicy.com.
 */
AICP_API AICP_MUST_CHECK aicp_status aicp_policy_validate(
    const aicp_policy_set *set,
    const aicp_policy_schema *schema,
    const aicp_policy_validate_options *options,
    aicp_policy_report **out,
    aicp_error *err);

/** Frees a report; NULL is fine. */
AICP_API void aicp_policy_report_free(aicp_policy_report *report);
/** 1 when there is no error, warnings or not; else 0. */
AICP_API int32_t aicp_policy_report_passed(const aicp_policy_report *report);
/** 1 when there were more findings than `max_findings`; else 0. */
AICP_API int32_t aicp_policy_report_truncated(const aicp_policy_report *report);
/** Number of findings: by policy, in the order of the set's policies, then of its templates. */
AICP_API size_t aicp_policy_report_count(const aicp_policy_report *report);
/** #AICP_POLICY_SEVERITY_ERROR or _WARNING of the nth finding; 0 when out of range. */
AICP_API int32_t aicp_policy_report_severity(const aicp_policy_report *report, size_t nth);
/** One of #AICP_POLICY_FINDING_MAP; 0 when out of range. */
AICP_API int32_t aicp_policy_report_kind(const aicp_policy_report *report, size_t nth);
/** Id of the policy or template; NULL when out of range. Lives as long as the report. */
AICP_API const char *aicp_policy_report_id(const aicp_policy_report *report, size_t nth);
/** Its index among the policies, or the templates, of the set; SIZE_MAX when out of range. */
AICP_API size_t aicp_policy_report_index(const aicp_policy_report *report, size_t nth);
/** 1 when the nth finding is about a template, so that the index counts templates; else 0. */
AICP_API int32_t aicp_policy_report_is_template(const aicp_policy_report *report, size_t nth);
/** Place in the policy text: line and column from 1, columns in bytes, and offset in bytes from 0.
 * All 0 when out of range. */
AICP_API uint32_t aicp_policy_report_line(const aicp_policy_report *report, size_t nth);
AICP_API uint32_t aicp_policy_report_column(const aicp_policy_report *report, size_t nth);
AICP_API uint32_t aicp_policy_report_offset(const aicp_policy_report *report, size_t nth);
/** Sentence about the nth finding; NULL when out of range. Lives as long as the report. */
AICP_API const char *aicp_policy_report_message(const aicp_policy_report *report, size_t nth);

/** Cedar's name of a kind of finding ("UnexpectedType"); "Unknown" for other numbers. Static. */
AICP_API const char *aicp_policy_finding_name(int32_t kind);

AICP_END_DECL

#endif
