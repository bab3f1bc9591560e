/* What the files of services/common/api share.
 *
 *     api.c      the way of a call            plan.c    what is made once of a resource's table
 *     router.c   method and path to route     row.c     SQL columns <-> JSON
 *     problem.c  error answers                validate.c bodies against field tables
 *     json.c     strict JSON to trees         query.c   filters, sort, paging of a list
 *     audit.c    entries, intents             write.c   create, update, delete in transactions
 */
#ifndef AICPS_API_INTERNAL_H
#define AICPS_API_INTERNAL_H

#include "services/common/api/resource.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/text.h"

#define AICPS_BODY_DEPTH 32u
#define AICPS_LIST_DEFAULT 100
#define AICPS_LIST_MAX 1000
#define AICPS_TEXT_MAX 1024 /* characters, when a field says nothing */
#define AICPS_JSON_TEXT_MAX ((size_t)1 << 18)
#define AICPS_MASK "********"
#define AICPS_ID_MAX 512 /* bytes */
#define AICPS_COUNT_MOST 100000
#define AICPS_COUNT_MOST_LOG 10000 /* of logs: a count of 100,000 takes 50 ms */
#define AICPS_FACET_VALUES 100
#define AICPS_SQL_TEXTS 256 /* texts made for filters, per worker, before it reopens its store */

/* ---- plans ---- */

typedef struct aicps_column {
    aicps_field field; /* column filled in */
    bool nullable;
    int32_t index;     /* in the SELECT; -1 when computed */
    aicpi_slice label; /* `,"name":` */
    void *pattern;     /* pcre2_code */
} aicps_column;

typedef struct aicps_plan {
    const aicps_resource *resource;
    struct aicps_api *api;
    aicps_column *columns; /* id, the table's fields, created_at, updated_at */
    size_t column_count;
    const aicps_column *id;
    const aicps_column *parent; /* NULL = none */
    size_t select_count;        /* columns of the SELECT; then version, org, team */
    int32_t version_index;      /* -1 = none */
    int32_t org_index;
    int32_t team_index;
    const char *select; /* "a, b, version" */
    const char *get;    /* one row by id (and parent) */
    const char *lock;   /* the same, kept from others until the commit */
    const char *insert;
    const char *update;
    const char *remove;
    aicps_route *routes; /* those that come with it */
    size_t route_count;
} aicps_plan;

/* A row and what the frame knows of it beside the JSON. */
typedef struct aicps_row {
    struct json_object *json;
    int64_t version;
    const char *org; /* arena; NULL = none */
    const char *team;
} aicps_row;

/* ---- the router's tree ---- */

typedef struct aicps_node {
    aicpi_slice name; /* of a literal segment */
    struct aicps_node *literals;
    struct aicps_node *next;
    struct aicps_node *param;
    const aicps_route **routes;
    size_t route_count;
    size_t route_capacity;
    const aicps_route **rest; /* routes that end in {name...} here */
    size_t rest_count;
    size_t rest_capacity;
} aicps_node;

typedef struct aicps_match {
    const aicps_route *route; /* NULL: none */
    bool known;               /* the path exists, for other methods */
    uint32_t methods;         /* bits of aicps_method_bit */
    size_t segments;          /* how many the last parameter starts at, for {name...} */
} aicps_match;

struct aicps_api {
    aicp_allocator allocator;
    aicps_api_options options;
    aicp_clock clock;
    unsigned char key[AICPI_KEY_SIZE];
    bool has_key;
    aicpi_sql_kind kind;
    char *store_url;
    aicpi_arena arena; /* plans and the router's tree */
    aicps_node *root;
    const aicps_route **routes;
    size_t route_count;
    size_t route_capacity;
    aicps_plan **plans;
    size_t plan_count;
    size_t plan_capacity;
};

typedef struct aicps_worker {
    aicps_api *api;
    aicpi_sql *db;
    aicpi_arena texts; /* of SQL made for filters; lives as long as `db` */
    aicpi_map interned;
    uint64_t failed_ns; /* when the store could not be opened, monotonic; 0 = it could */
} aicps_worker;

typedef struct aicps_call_own {
    aicps_worker *worker;
    struct json_object *fields; /* errors: [{"loc", "field", "message"}] */
    bool answered;              /* an error answer stands in the response */
} aicps_call_own;

/* Wall time in whole microseconds: what the API shows is what is stored. */
int64_t aicps_now(const aicps_api *api);

/* router.c */
aicp_status aicps_router_add(aicps_api *api, const aicps_route *route, aicp_error *err);
aicps_match aicps_router_find(
    const aicps_api *api, aicpi_slice method, const aicpi_slice *segments, size_t count);
/* Fills the call's parameters. */
bool aicps_router_params(aicps_call *call, const aicpi_slice *segments, size_t count);
uint32_t aicps_method_bit(aicpi_slice method);
/* "GET, HEAD, OPTIONS"; room for 64 bytes. */
void aicps_methods_text(uint32_t methods, char *out);

/* problem.c */
void aicps_query_error(aicps_call *call, const char *parameter, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void aicps_send_forbidden(aicps_call *call, const char *action, const char *resource_type);
void aicps_api_log(aicps_call *call, int32_t level, const char *message);
/* Forgets an error answer, for an attempt of a transaction that begins again. */
void aicps_problem_reset(aicps_call *call);

/* plan.c */
aicp_status
aicps_plan_new(aicps_api *api, const aicps_resource *resource, aicps_plan **out, aicp_error *err);
void aicps_plan_free(aicps_plan *plan);
const aicps_plan *aicps_plan_of(const aicps_call *call, const aicps_resource *resource);
const aicps_plan *aicps_plan_by_path(const aicps_api *api, const char *path);
const aicps_column *aicps_plan_column(const aicps_plan *plan, const char *name, size_t len);

/* row.c */
bool aicps_row_read(
    aicps_call *call, const aicps_plan *plan, aicpi_sql_stmt *q, aicps_row *out, aicp_error *err);
void aicps_row_free(aicps_row *row);
/* The row as the text of what aicps_row_read gives, without a tree. */
void aicps_row_write(
    aicps_call *call, const aicps_plan *plan, aicpi_sql_stmt *q, aicpi_strbuf *out);
/* A time as the API shows it. */
#define AICPS_TIME_SIZE 40
void aicps_time_text(int64_t wall_ns, char text[AICPS_TIME_SIZE]);
/* "<name>_decimal": the exact text beside an amount. */
void aicps_decimal_add(struct json_object *row, const char *name, struct json_object *value);
struct json_object *
aicps_value_read(aicps_call *call, const aicps_column *c, aicpi_sql_stmt *q, int32_t index);
/* Binds the API's form of a value. ERR_INVALID when it does not have the field's type. */
aicp_status aicps_value_bind(
    aicps_call *call,
    const aicps_column *c,
    struct json_object *value,
    aicpi_sql_stmt *q,
    int32_t index,
    aicp_error *err);
/* May the caller know of the row? */
bool aicps_row_seen(
    const aicps_call *call, const aicps_plan *plan, const char *org, const char *team);
/* Row by id; ERR_NOT_FOUND (nothing sent) also for rows that are not his. */
aicp_status aicps_row_load(
    aicps_call *call,
    const aicps_plan *plan,
    aicpi_slice id,
    bool lock,
    aicps_row *out,
    aicp_error *err);
/* 404 when the resource that the path's parameter refers to is not there. */
bool aicps_parent_exists(aicps_call *call, const aicps_plan *plan);
struct json_object *aicps_parent_value(const aicps_call *call, const aicps_plan *plan);

/* secret.c */
bool aicps_secret_is_mask(struct json_object *v);
/* What is shown of a stored secret. */
struct json_object *aicps_secret_mask(aicps_call *call, const aicps_column *c, aicpi_slice stored);
/* `after` says nothing new: it is what was shown. */
bool aicps_secret_kept(struct json_object *before, struct json_object *after);
/* Masks in an object of secrets become what is stored. */
aicp_status aicps_secret_merge(
    aicps_change *change, const aicps_column *c, struct json_object *after, aicp_error *err);
aicp_status aicps_secret_bind(
    aicps_call *call,
    const aicps_column *c,
    aicpi_slice text,
    aicpi_sql_stmt *q,
    int32_t index,
    aicp_error *err);

/* validate.c */
/* One value against its field: the normalised value (new reference), or a field error. */
bool aicps_value_check(
    aicps_call *call, const aicps_column *c, struct json_object *in, struct json_object **out);
struct json_object *aicps_body_read(
    aicps_call *call,
    const aicps_column *columns,
    size_t count,
    struct json_object *body,
    bool partial);
aicp_status aicps_column_init(aicps_column *c, const aicps_field *field, aicp_error *err);
void aicps_column_deinit(aicps_column *c);
/* Columns of a table of fields, in the arena. */
aicp_status aicps_columns_new(
    aicpi_arena *arena,
    const aicps_field *fields,
    size_t count,
    aicps_column **out,
    aicp_error *err);
void aicps_columns_free(aicps_column *columns, size_t count);

/* query.c */
typedef struct aicps_value {
    bool null;
    bool is_number; /* int, bool, 1e-9 or ns */
    int64_t number;
    aicpi_slice text;
} aicps_value;

typedef enum aicps_op {
    AICPS_OP_IN = 0, /* any of the values */
    AICPS_OP_GTE,
    AICPS_OP_GT,
    AICPS_OP_LTE,
    AICPS_OP_LT,
    AICPS_OP_NULL, /* number 1: is null, 0: is not */
} aicps_op;

#define AICPS_TERMS_MAX 32
#define AICPS_ANY_MAX 64 /* values of one filter */
#define AICPS_SORTS_MAX 4

typedef struct aicps_term {
    const aicps_column *column;
    aicps_op op;
    aicps_value *values;
    size_t count;
} aicps_term;

typedef struct aicps_sort {
    const aicps_column *column;
    bool down;
} aicps_sort;

typedef struct aicps_query {
    aicps_term terms[AICPS_TERMS_MAX];
    size_t term_count;
    aicpi_slice search;                    /* q; no data when not given */
    aicps_sort sorts[AICPS_SORTS_MAX + 1]; /* the last is the id */
    size_t sort_count;
    const char *sort_text; /* as given, or the resource's */
    int64_t limit;
    bool limit_given;
    int64_t offset;
    bool after; /* a cursor was given */
    aicps_value from[AICPS_SORTS_MAX + 1];
    bool csv;
    bool format_given;
    int64_t limit_max;
    aicpi_slice facets; /* fields= */
} aicps_query;

/* Reads the query string; sends 422 and gives false for anything unknown or wrong. `limit` and
 * `limit_max` stand in `out` before. */
bool aicps_query_read(aicps_call *call, const aicps_plan *plan, bool facets, aicps_query *out);
/* Value of a field in a row, as filters and cursors know it. */
aicps_value aicps_value_of(const aicps_column *c, struct json_object *value);
/* Text that a filter or cursor gave, as a value of the column; false: not of its type. */
bool aicps_value_parse(aicps_call *call, const aicps_column *c, aicpi_slice text, aicps_value *out);
/* Opaque text for the place behind `row`; NULL: out of memory. */
const char *aicps_cursor_make(aicps_call *call, const aicps_query *query, struct json_object *row);
bool aicps_cursor_read(aicps_call *call, aicpi_slice text, aicps_query *query);

/* sqlquery.c */
/* Appends " WHERE ..." for what the caller may see and asked for. */
void aicps_where_text(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    bool keyset,
    aicpi_strbuf *b);
int32_t aicps_where_bind(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    bool keyset,
    aicpi_sql_stmt *q,
    int32_t at);
/* The place behind a row, for the next page of an export; its texts live in `arena`. */
bool aicps_query_continue(aicpi_arena *arena, aicps_query *query, struct json_object *row);
/* The rows of one page (at most `limit`). */
aicp_status aicps_page_read(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    int64_t limit,
    aicps_row *rows,
    size_t *count,
    aicp_error *err);
typedef struct aicps_page {
    int64_t count;  /* of its rows; the query's limit + 1: there are more */
    int64_t total;  /* of all pages; -1: not told */
    aicps_row last; /* the last row shown, for the cursor; to be freed */
} aicps_page;

/* The first `limit` rows as a JSON array. */
aicp_status aicps_page_write(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    aicpi_strbuf *out,
    aicps_page *page,
    aicp_error *err);
aicp_status aicps_count_read(
    aicps_call *call,
    const aicps_plan *plan,
    const aicps_query *query,
    int64_t *count,
    aicp_error *err);

/* idempotency.c */
typedef struct aicps_idempotency {
    aicpi_slice key; /* no data: none was given */
    aicpi_slice caller;
    char hash[2 * AICPI_SHA256_SIZE + 1];
    bool replayed;
    struct json_object *answer; /* of the first time; NULL: it had none */
    const char *etag;
} aicps_idempotency;
/* False: a bad key, answered. */
bool aicps_idempotency_read(aicps_call *call, aicps_idempotency *out);
/* Takes the key, or finds what it was used for: then it is answered, or `replayed`. In a
 * transaction, or on its own. */
aicp_status aicps_idempotency_take(aicps_call *call, aicps_idempotency *i, aicp_error *err);
aicp_status aicps_idempotency_finish(
    aicps_call *call,
    const aicps_idempotency *i,
    struct json_object *answer,
    const char *etag,
    aicp_error *err);
void aicps_idempotency_give_up(aicps_call *call, const aicps_idempotency *i);

/* csv.c */
void aicps_export_rows(
    aicps_call *call, const aicps_plan *plan, aicps_query *query, const char *file, bool csv);
void aicps_export_array(
    aicps_call *call,
    const aicps_plan *plan,
    struct json_object *const *rows,
    size_t count,
    const char *file);
/* list.c */
void aicps_list_handle(aicps_call *call);
void aicps_facets_handle(aicps_call *call);
void aicps_send_total(aicps_call *call, const aicps_plan *plan, int64_t total);
int64_t aicps_count_most(const aicps_plan *plan);
aicp_status aicps_rows_decorate(
    aicps_call *call, const aicps_plan *plan, aicps_row *rows, size_t count, aicp_error *err);
void aicps_send_next(aicps_call *call, const char *cursor); /* NULL: none */
/* source.c */
void aicps_source_list(aicps_call *call, const aicps_plan *plan, aicps_query *query);
void aicps_source_facets(
    aicps_call *call,
    const aicps_plan *plan,
    aicps_query *query,
    const aicps_column *const *fields,
    size_t field_count);
aicp_status aicps_source_load(
    aicps_call *call,
    const aicps_plan *plan,
    aicpi_slice id,
    struct json_object **row,
    aicp_error *err);
/* False: an error is sent. `given`: the checked body, or NULL. */
bool aicps_source_change(
    aicps_call *call,
    const aicps_plan *plan,
    const char *action,
    aicpi_slice id,
    struct json_object *given,
    struct json_object **answer);
/* write.c */
struct aicps_change_own {
    const aicps_plan *plan;
    aicps_row row;               /* as it was, locked; then as stored */
    struct json_object *secrets; /* names of secrets that get a new value */
    bool stored;
};
typedef struct aicps_change_own aicps_change_own;
/* References, the resource's own rules, unique fields; errors are sent. */
aicp_status aicps_change_check(aicps_change *change, aicp_error *err);
void aicps_get_handle(aicps_call *call);
void aicps_create_handle(aicps_call *call);
void aicps_update_handle(aicps_call *call);
void aicps_delete_handle(aicps_call *call);

/* schema.c */
/* `in`: as it comes in, else as it goes out; `filter`: as a query parameter. */
struct json_object *aicps_schema_field(const aicps_column *c, bool in, bool filter);
struct json_object *aicps_schema_row(const aicps_plan *plan);
struct json_object *aicps_schema_body(const aicps_plan *plan, bool partial);
struct json_object *aicps_schema_route(const aicps_route *route); /* of its body's fields */
/* openapi.c */
void aicps_openapi_handle(aicps_call *call);

/* audit.c */
/* `secrets`: names of fields whose secret is new, with masks; may be NULL. */
aicp_status aicps_audit_write_change(
    aicps_call *call, const aicps_audit_entry *entry, struct json_object *secrets, aicp_error *err);
/* before and after with only what differs, and the id. */
struct json_object *
aicps_audit_changes(struct json_object *before, struct json_object *after, const char *id);

#endif
