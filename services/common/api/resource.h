/* Resources: one table says what a thing is, and from it come validation, SQL, paging, sorting,
 * filters, facets, CSV, ETags, idempotency keys, audit entries, authorisation and OpenAPI.
 *
 * A resource of ours lives in an SQL table that has the columns of its fields plus
 *     id TEXT PRIMARY KEY, version BIGINT, created_at BIGINT, updated_at BIGINT   (wall ns)
 * (leave out created_at / updated_at with AICPS_NO_TIMES). One of LiteLLM's gives a `source`
 * instead: the same validation, filters, paging, CSV, audit then work over the objects that it
 * returns.
 *
 * Verbs that come with it (those in `verbs`):
 *
 * - GET path: a bare array. limit (default 100, most 1,000), offset or cursor, sort
 *   ("name,-priority"; text byte by byte, nulls last), q (text that an AICPS_SEARCH field contains,
 *   without case), format=csv (all rows, streamed), and one filter per AICPS_FILTER field:
 *   "scope=team", repeated = any of; for numbers and times also "field.gte", ".gt", ".lte", ".lt";
 *   "field.null=true|false"; of AICPS_TEXTS "tags=x" means that x is an item. X-Total-Count is
 * exact up to 100,000 (AICPS_INT_ID: 10,000), beyond that it is this number with
 *   X-Total-Count-Exact: false. Link rel="next" holds the cursor.
 * - GET path/facets?fields=a,b: {"a": [{"value", "count"}]} under the same filters.
 * - POST path: 200 and the object. Idempotency-Key.
 * - GET path/{id}: ETag "version"; If-None-Match.
 * - PUT path/{id}: only fields that are present change; null clears where AICPS_NULLABLE, else 422;
 *   {} is 400 "No fields to update"; If-Match (412).
 * - DELETE path/{id}: {"status": delete_status}; If-Match.
 *
 * Every change writes its audit entry (before and after, secrets masked) in the same transaction.
 * Rows of an organization (or team) that the caller does not belong to do not exist for him: 404,
 * not counted, not in facets; nobody can write a row there (403). Platform admins see all.
 */
#ifndef AICPS_API_RESOURCE_H
#define AICPS_API_RESOURCE_H

#include "services/common/api/api.h"

typedef enum aicps_type {
    AICPS_TEXT = 1, /* TEXT; min/max = length in characters */
    AICPS_ENUM,     /* TEXT, one of `values` */
    AICPS_INT,      /* BIGINT; min/max */
    AICPS_DECIMAL,  /* BIGINT in 1e-9; JSON number in and out, also text in; min/max in 1e-9 */
    AICPS_MONEY,    /* the same in dollars; out also "<name>_decimal": exact text */
    AICPS_BOOL,     /* BIGINT 0/1 */
    AICPS_TIME,   /* BIGINT wall ns; ISO 8601 with zone in, UTC "2026-02-18T10:00:00.000000Z" out */
    AICPS_ID,     /* TEXT that refers to `ref` (422 when there is no such row) */
    AICPS_OBJECT, /* TEXT with a JSON object */
    AICPS_TEXTS,  /* TEXT with a JSON array of strings; min/max = number of items */
    AICPS_JSON,   /* TEXT with any JSON value */
} aicps_type;

enum {
    AICPS_REQUIRED = 1u << 0,
    AICPS_NULLABLE = 1u << 1,
    AICPS_READ_ONLY = 1u << 2,  /* made by the server; in a body it is refused with 422 */
    AICPS_WRITE_ONCE = 1u << 3, /* settable by POST only */
    AICPS_SECRET = 1u << 4,     /* sealed at rest; out: null or "********" (AICPS_OBJECT: that
                                for each value); coming in that means "as it was"; never in audit
                                or CSV */
    AICPS_FILTER = 1u << 5,
    AICPS_SORT = 1u << 6,
    AICPS_FACET = 1u << 7,
    AICPS_SEARCH = 1u << 8,   /* looked at by q */
    AICPS_COMPUTED = 1u << 9, /* no column; `decorate` sets it. Read only. */
    AICPS_CSV_OFF = 1u << 10,
    AICPS_UNIQUE = 1u << 11,  /* the table has a unique index: 409 names this field */
    AICPS_IN_PATH = 1u << 12, /* of a route's body: the handler takes it from the path */
};

typedef struct aicps_resource aicps_resource;

typedef struct aicps_field {
    const char *name;
    aicps_type type;
    uint32_t flags;
    const char *column;        /* NULL = name */
    const char *preset;        /* default as JSON text; NULL = null */
    int64_t min, max;          /* both 0 = the type's own bounds (text: 1,024 characters) */
    const char *const *values; /* enum, NULL-terminated */
    const char *pattern;       /* text: must match whole (PCRE2), e.g. "[a-z0-9-]+" */
    const char *alias;         /* another name accepted in bodies */
    const char *ref;           /* AICPS_ID: path of the resource referred to */
    const char *doc;
} aicps_field;

enum {
    AICPS_LIST = 1u << 0,
    AICPS_GET = 1u << 1,
    AICPS_CREATE = 1u << 2,
    AICPS_UPDATE = 1u << 3,
    AICPS_DELETE = 1u << 4,
    AICPS_FACETS = 1u << 5,
    AICPS_READS = AICPS_LIST | AICPS_GET | AICPS_FACETS,
    AICPS_CRUD = AICPS_READS | AICPS_CREATE | AICPS_UPDATE | AICPS_DELETE,
};

/* Resource flags. */
enum {
    AICPS_RULES = 1u << 0, /* a change makes a new bundle */
    AICPS_NO_TIMES = 1u << 1,
    AICPS_SOFT_DELETE = 1u << 2,  /* DELETE sets is_active false */
    AICPS_INT_ID = 1u << 3,       /* id is a BIGINT made by the service (audit, events) */
    AICPS_NO_VERSION = 1u << 4,   /* no version column: logs, views; only for AICPS_READS */
    AICPS_PATH_ID = 1u << 6,      /* ids may hold slashes: "openai/gpt-4o"; no routes below an id */
    AICPS_ORGLESS_SEEN = 1u << 5, /* rows without organization are seen by everybody */
};

/* One change under way, inside its transaction (which may be repeated: begin from scratch). */
typedef struct aicps_change {
    aicps_call *call;
    const aicps_resource *resource;
    const char *action;         /* "create", "update", "delete", or a verb's own */
    struct json_object *before; /* NULL for create */
    struct json_object *after;  /* what will be stored, all fields; NULL for delete. May be changed
                                   by `check`. After aicps_resource_store: as stored. */
    struct json_object *given;  /* with a source: the checked body, only what the caller gave (an
                                   update's explicit nulls too); else NULL */
    aicpi_slice id;             /* of the row; a new one's is made before `check` */
    struct aicps_change_own *own; /* the frame's */
} aicps_change;

/* Objects that live elsewhere (LiteLLM). Rows come as JSON objects with the fields' names. A source
 * that fails answers the call itself (502, 503, the peer's 4xx) and returns an error. */
typedef struct aicps_source {
    aicp_status (*list)(aicps_call *call, struct json_object **rows, aicp_error *err);
    aicp_status (*get)(aicps_call *call, aicpi_slice id, struct json_object **row, aicp_error *err);
    aicp_status (*write)(/* create, update, delete; `answer` is sent to the caller */
                         aicps_change *change,
                         aicpi_slice id,
                         struct json_object **answer,
                         aicp_error *err);
    /* `get` may be NULL: then it is looked for in the list. */
} aicps_source;

struct aicps_resource {
    const char *path;  /* "/api/v1/rate-limits", "/api/v1/organizations/{org_id}/business-units" */
    const char *type;  /* "rate_limit": audit and authorisation */
    const char *title; /* "Rate limit": "<title> not found" */
    const char *table; /* SQL table or view; NULL with a source */
    const char *id;    /* name of the id field; NULL = "id" */
    const char *name_field;  /* shown as resource_name in the audit log; NULL = "name" */
    const char *parent;      /* column that equals the {parameter} of the path; NULL = none */
    const char *parent_path; /* resource that the parameter refers to (404 when missing) */
    const char *org;  /* column with the organization: callers see only theirs; NULL = not scoped */
    const char *team; /* column with the team */
    const char *sort; /* default order, "-priority,-created_at"; NULL = "-created_at" */
    const char *delete_status; /* NULL = "deleted" */
    uint32_t verbs;
    uint32_t flags;
    const aicps_field *fields; /* id and times are added by themselves */
    size_t field_count;
    const aicps_source *source;
    /* Also for deletes (after is NULL). Rules over several fields: adds field errors to the call or
     * answers it; then it returns an error. Runs inside the transaction with the store at hand. */
    aicp_status (*check)(aicps_change *change, aicp_error *err);
    /* After the row was written, same transaction: dependent rows. */
    aicp_status (*apply)(aicps_change *change, aicp_error *err);
    /* After the commit: pushes to other systems; may add to the answer ("sync"). */
    void (*committed)(aicps_change *change, struct json_object *answer);
    /* Computed fields, for a page of rows at once (so that it asks the store once). */
    aicp_status (*decorate)(
        aicps_call *call, struct json_object **rows, size_t count, aicp_error *err);
    const char *doc;
};

/* Registers a resource and its routes; special verbs are routes of the service's own
 * (aicps_api_add_routes), literal segments win. Tables are borrowed. */
aicp_status aicps_api_add_resource(aicps_api *api, const aicps_resource *resource, aicp_error *err);

/* ---- for special verbs ---- */

/* Row by id, as the API shows it. Sends 404 and gives NULL; a reference to be put back otherwise.
 */
struct json_object *
aicps_resource_load(aicps_call *call, const aicps_resource *resource, aicpi_slice id);
/* Runs `fn` as one change: transaction, authorisation was done, audit entry with before and after,
 * bundle marked when AICPS_RULES; authorise is asked for the row. Sends errors and gives false;
 * else
 * `*answer` is the row as stored (to be put back), or NULL when it was deleted. `fn` may be run
 * more than once: it starts from scratch. It sets change->after and calls aicps_resource_store, or
 * writes other tables. */
typedef aicp_status (*aicps_change_fn)(aicps_change *change, void *user, aicp_error *err);
bool aicps_resource_change(
    aicps_call *call,
    const aicps_resource *resource,
    const char *action,
    aicpi_slice id, /* no data: a new row */
    aicps_change_fn fn,
    void *user,
    struct json_object **answer);
/* Writes `object` (fields by name) into the table, version + 1; inside a transaction. */
aicp_status aicps_resource_store(aicps_change *change, aicp_error *err);
/* The call's body, checked against its route's fields as POST does it (to be put back). NULL: an
 * error was sent. */
struct json_object *aicps_route_body(aicps_call *call);
/* Secrets at rest: "v1:" and hex of what lib/base/crypto seals. ERR_CRYPTO without a key, or when
 * it was sealed with another one. */
aicp_status
aicps_secret_seal(aicps_api *api, aicpi_slice plain, aicpi_strbuf *out, aicp_error *err);
aicp_status
aicps_secret_unseal(aicps_api *api, aicpi_slice stored, aicpi_strbuf *out, aicp_error *err);
/* SQL text built for this call, as a text that lib/sql can keep: the same pointer for the same text
 * and worker. NULL: out of memory. For dynamic queries of special verbs; values by bind only. */
const char *aicps_sql_text(aicps_call *call, const aicpi_strbuf *text);
/* Route handler's whole answer: all rows that the query asks for, streamed in constant memory, as
 * an attachment `file`.csv or `file`.json ("format", default csv); filters, sort and q as on the
 * list, "limit" with this default and maximum. */
void aicps_send_export(
    aicps_call *call,
    const aicps_resource *resource,
    const char *file,
    int64_t limit_default,
    int64_t limit_max);
/* A list answer (filters, sort, paging, CSV) over rows made in memory, for a registered resource
 * (verbs 0 and neither table nor source is fine). The reference is taken. */
void aicps_send_rows(aicps_call *call, const aicps_resource *resource, struct json_object *rows);

/* Forgets Idempotency-Keys of more than 24 hours; to be called now and then. */
aicp_status aicps_idempotency_expire(aicpi_sql *db, aicp_error *err);

/* ---- migrations ---- */

/* Like aicpi_sql_migrate, for steps whose lines after "-- engine: sqlite" or "-- engine:
 * postgresql" are for that engine only, up to the next such line ("-- engine: any"). The steps come
 * out of SQL files by aicps_embed_migrations (services/embed.cmake). */
aicp_status aicps_migrate(
    aicpi_sql *db, const char *component, const char *const *steps, size_t count, aicp_error *err);
/* The frame's own tables. Before the services' own. */
aicp_status aicps_api_migrate(aicpi_sql *db, aicp_error *err);

/* ---- audit ---- */

typedef struct aicps_audit_entry {
    const char *action;
    const char *resource_type;
    const char *resource_id;
    const char *resource_name;  /* may be NULL */
    const char *org;            /* may be NULL */
    struct json_object *before; /* may be NULL */
    struct json_object *after;  /* may be NULL */
    const char *outcome;        /* NULL = "success"; "failure", "unknown" */
} aicps_audit_entry;

/* Inserts an entry; inside the transaction of the change. Actor, address, method, path, user agent
 * and request id are the call's. */
aicp_status aicps_audit_write(aicps_call *call, const aicps_audit_entry *entry, aicp_error *err);
/* A change in another system: the intent is committed before it, the entry after it; an intent that
 * a killed process left becomes an entry with outcome "unknown" (aicps_audit_recover). */
aicp_status aicps_audit_intend(
    aicps_call *call, const aicps_audit_entry *entry, int64_t *intent, aicp_error *err);
aicp_status aicps_audit_conclude(
    aicps_call *call, int64_t intent, const aicps_audit_entry *entry, aicp_error *err);
/* Intents made before that wall time (ns). */
aicp_status aicps_audit_recover(aicpi_sql *db, int64_t older_than_ns, aicp_error *err);
/* Chains the entries that are not chained yet, by sequence: hash = SHA-256(previous hash, canonical
 * entry). One sealer at a time over all replicas. `*sealed` counts. */
aicp_status aicps_audit_seal(aicpi_sql *db, uint64_t *sealed, aicp_error *err);
/* Recomputes the chain; `*bad` is the first wrong sequence or 0. */
aicp_status aicps_audit_verify(aicpi_sql *db, uint64_t *checked, int64_t *bad, aicp_error *err);

/* GET /api/v1/audit-logs, its facets and its entries: for aicps_api_add_resource. */
extern const aicps_resource aicps_audit_resource;

/* Number of the newest rules; a commit that changes rules adds one. For the bundle's builder. */
aicp_status aicps_rules_revision(aicpi_sql *db, int64_t *revision, aicp_error *err);
/* Inside a transaction: what is changed is part of the bundle. */
aicp_status aicps_rules_touch(aicpi_sql *db, aicp_error *err);

#endif
