/* The calls: one table of what the proxy serves, one way to run a row of it, and a public function
 * a row. */
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/litellm/litellm_internal.h"

/* How a row's argument travels. */
typedef enum argument {
    NOTHING,   /* there is none */
    BODY,      /* JSON, sent as it is */
    FILTERS,   /* flat JSON object or nothing, becomes the query */
    PAGES,     /* FILTERS of a list that comes in pages; `field` is the list in an answer */
    QUERY_ID,  /* ?field=id */
    PATH_ID,   /* id in the place of {} */
    BODY_ID,   /* {"field": id} */
    BODY_LIST, /* {"field": [id]} */
} argument;

enum {
    KEY = 1,   /* the id is a key or its hash; a key goes as its hash */
    READS = 2, /* a POST that changes nothing: it may go out on a kept connection */
    SLOW = 4,  /* a model answers: the timeout of chats */
    MAYBE = 8, /* answers 200 with `null` or `[]` to an unknown id: ERR_NOT_FOUND */
    FULL = 16, /* pages of whole records, not of hashes */
};

typedef struct row {
    const char *method;
    const char *path;
    argument how;
    const char *field;
    unsigned flags;
} row;

/* What a caller gave. */
typedef struct given {
    aicpi_slice id;
    aicpi_slice text;
} given;

/* form, function, method, path, how, field, flags. The form is the C signature: NONE takes no
 * argument, TEXT one text (`data`), BOTH an id and a body. */
#define CALLS(X)                                                                                   \
    X(NONE, health, "GET", "/health/readiness", NOTHING, NULL, 0)                                  \
    X(NONE, health_details, "GET", "/health/readiness/details", NOTHING, NULL, 0)                  \
    X(NONE, liveness, "GET", "/health/liveliness", NOTHING, NULL, 0)                               \
    X(NONE, backlog, "GET", "/health/backlog", NOTHING, NULL, 0)                                   \
    X(NONE, model_health, "GET", "/health", NOTHING, NULL, SLOW)                                   \
    X(NONE, model_health_latest, "GET", "/health/latest", NOTHING, NULL, 0)                        \
    X(NONE, models, "GET", "/v1/models", NOTHING, NULL, 0)                                         \
    X(NONE, model_info, "GET", "/model/info", NOTHING, NULL, 0)                                    \
    X(TEXT, model_get, "GET", "/model/info", QUERY_ID, "litellm_model_id", 0)                      \
    X(TEXT, model_find, "GET", "/v2/model/info", PAGES, "data", 0)                                 \
    X(NONE, model_groups, "GET", "/model_group/info", NOTHING, NULL, 0)                            \
    X(TEXT, model_new, "POST", "/model/new", BODY, NULL, 0)                                        \
    X(TEXT, model_update, "POST", "/model/update", BODY, NULL, 0)                                  \
    X(BOTH, model_patch, "PATCH", "/model/{}/update", PATH_ID, NULL, 0)                            \
    X(TEXT, model_delete, "POST", "/model/delete", BODY_ID, "id", 0)                               \
    X(TEXT, model_block, "POST", "/model/block", BODY_ID, "model_id", 0)                           \
    X(TEXT, model_unblock, "POST", "/model/unblock", BODY_ID, "model_id", 0)                       \
    X(TEXT, key_generate, "POST", "/key/generate", BODY, NULL, 0)                                  \
    X(TEXT, key_info, "GET", "/key/info", QUERY_ID, "key", KEY)                                    \
    X(NONE, key_list, "GET", "/key/list", PAGES, "keys", FULL)                                     \
    X(TEXT, key_find, "GET", "/key/list", PAGES, "keys", FULL)                                     \
    X(TEXT, key_update, "POST", "/key/update", BODY, NULL, 0)                                      \
    X(TEXT, key_delete, "POST", "/key/delete", BODY_LIST, "keys", KEY)                             \
    X(TEXT, key_delete_many, "POST", "/key/delete", BODY, NULL, 0)                                 \
    X(TEXT, key_block, "POST", "/key/block", BODY_ID, "key", KEY)                                  \
    X(TEXT, key_unblock, "POST", "/key/unblock", BODY_ID, "key", KEY)                              \
    X(BOTH, key_reset_spend, "POST", "/key/{}/reset_spend", PATH_ID, NULL, KEY)                    \
    X(TEXT, team_new, "POST", "/team/new", BODY, NULL, 0)                                          \
    X(TEXT, team_info, "GET", "/team/info", QUERY_ID, "team_id", 0)                                \
    X(NONE, team_list, "GET", "/team/list", NOTHING, NULL, 0)                                      \
    X(TEXT, team_find, "GET", "/v2/team/list", PAGES, "teams", 0)                                  \
    X(TEXT, team_update, "POST", "/team/update", BODY, NULL, 0)                                    \
    X(TEXT, team_delete, "POST", "/team/delete", BODY_LIST, "team_ids", 0)                         \
    X(TEXT, team_delete_many, "POST", "/team/delete", BODY, NULL, 0)                               \
    X(TEXT, team_block, "POST", "/team/block", BODY_ID, "team_id", 0)                              \
    X(TEXT, team_unblock, "POST", "/team/unblock", BODY_ID, "team_id", 0)                          \
    X(TEXT, team_member_add, "POST", "/team/member_add", BODY, NULL, 0)                            \
    X(TEXT, team_member_update, "POST", "/team/member_update", BODY, NULL, 0)                      \
    X(TEXT, team_member_delete, "POST", "/team/member_delete", BODY, NULL, 0)                      \
    X(TEXT, team_model_add, "POST", "/team/model/add", BODY, NULL, 0)                              \
    X(TEXT, team_model_delete, "POST", "/team/model/delete", BODY, NULL, 0)                        \
    X(TEXT, user_new, "POST", "/user/new", BODY, NULL, 0)                                          \
    X(TEXT, user_find, "GET", "/user/list", PAGES, "users", 0)                                     \
    X(TEXT, user_info, "GET", "/user/info", QUERY_ID, "user_id", 0)                                \
    X(TEXT, user_update, "POST", "/user/update", BODY, NULL, 0)                                    \
    X(TEXT, user_delete, "POST", "/user/delete", BODY_LIST, "user_ids", 0)                         \
    X(TEXT, user_delete_many, "POST", "/user/delete", BODY, NULL, 0)                               \
    X(TEXT, customer_new, "POST", "/customer/new", BODY, NULL, 0)                                  \
    X(NONE, customer_list, "GET", "/customer/list", NOTHING, NULL, 0)                              \
    X(TEXT, customer_info, "GET", "/customer/info", QUERY_ID, "end_user_id", 0)                    \
    X(TEXT, customer_update, "POST", "/customer/update", BODY, NULL, 0)                            \
    X(TEXT, customer_delete, "POST", "/customer/delete", BODY_LIST, "user_ids", 0)                 \
    X(TEXT, budget_new, "POST", "/budget/new", BODY, NULL, 0)                                      \
    X(NONE, budget_list, "GET", "/budget/list", NOTHING, NULL, 0)                                  \
    X(TEXT, budget_info, "POST", "/budget/info", BODY_LIST, "budgets", READS | MAYBE)              \
    X(TEXT, budget_settings, "GET", "/budget/settings", QUERY_ID, "budget_id", 0)                  \
    X(TEXT, budget_update, "POST", "/budget/update", BODY, NULL, MAYBE)                            \
    X(TEXT, budget_delete, "POST", "/budget/delete", BODY_ID, "id", MAYBE)                         \
    X(TEXT, spend_logs, "GET", "/spend/logs/v2", PAGES, "data", 0)                                 \
    X(TEXT, spend_days, "GET", "/spend/logs", FILTERS, NULL, 0)                                    \
    X(TEXT, spend_keys, "GET", "/spend/keys", FILTERS, NULL, 0)                                    \
    X(TEXT, spend_users, "GET", "/spend/users", FILTERS, NULL, 0)                                  \
    X(TEXT, spend_tags, "GET", "/spend/tags", FILTERS, NULL, 0)                                    \
    X(TEXT, spend_calculate, "POST", "/spend/calculate", BODY, NULL, READS)                        \
    X(TEXT, token_count, "POST", "/utils/token_counter", BODY, NULL, READS)                        \
    X(NONE, global_spend, "GET", "/global/spend", NOTHING, NULL, 0)                                \
    X(TEXT, global_spend_logs, "GET", "/global/spend/logs", FILTERS, NULL, 0)                      \
    X(TEXT, global_spend_keys, "GET", "/global/spend/keys", FILTERS, NULL, 0)                      \
    X(TEXT, global_spend_models, "GET", "/global/spend/models", FILTERS, NULL, 0)                  \
    X(NONE, global_spend_teams, "GET", "/global/spend/teams", NOTHING, NULL, 0)                    \
    X(TEXT, global_spend_providers, "GET", "/global/spend/provider", FILTERS, NULL, 0)             \
    X(TEXT, global_spend_tags, "GET", "/global/spend/tags", FILTERS, NULL, 0)                      \
    X(TEXT, global_activity, "GET", "/global/activity", FILTERS, NULL, 0)                          \
    X(TEXT, global_activity_models, "GET", "/global/activity/model", FILTERS, NULL, 0)             \
    X(TEXT, activity, "GET", "/user/daily/activity/aggregated", FILTERS, NULL, 0)                  \
    X(TEXT, activity_days, "GET", "/user/daily/activity", PAGES, "results", 0)                     \
    X(TEXT, team_activity_days, "GET", "/team/daily/activity", PAGES, "results", 0)                \
    X(TEXT, customer_activity_days, "GET", "/customer/daily/activity", PAGES, "results", 0)        \
    X(NONE, router_settings, "GET", "/router/settings", NOTHING, NULL, 0)                          \
    X(TEXT, config_update, "POST", "/config/update", BODY, NULL, 0)                                \
    X(NONE, config_callbacks, "GET", "/get/config/callbacks", NOTHING, NULL, 0)                    \
    X(TEXT, config_list, "GET", "/config/list", FILTERS, NULL, 0)                                  \
    X(TEXT, fallback_set, "POST", "/fallback", BODY, NULL, 0)                                      \
    X(TEXT, fallback_get, "GET", "/fallback/{}", PATH_ID, NULL, 0)                                 \
    X(TEXT, fallback_delete, "DELETE", "/fallback/{}", PATH_ID, NULL, 0)                           \
    X(NONE, cache_settings, "GET", "/cache/settings", NOTHING, NULL, 0)                            \
    X(TEXT, cache_settings_update, "POST", "/cache/settings", BODY, NULL, 0)                       \
    X(NONE, cache_ping, "GET", "/cache/ping", NOTHING, NULL, 0)                                    \
    X(NONE, guardrails, "GET", "/v2/guardrails/list", NOTHING, NULL, 0)                            \
    X(TEXT, guardrail_apply, "POST", "/guardrails/apply_guardrail", BODY, NULL, READS | SLOW)      \
    X(TEXT, chat, "POST", "/v1/chat/completions", BODY, NULL, SLOW)                                \
    X(TEXT, completion, "POST", "/v1/completions", BODY, NULL, SLOW)                               \
    X(TEXT, response, "POST", "/v1/responses", BODY, NULL, SLOW)                                   \
    X(TEXT, message, "POST", "/v1/messages", BODY, NULL, SLOW)                                     \
    X(TEXT, embedding, "POST", "/v1/embeddings", BODY, NULL, SLOW)

/* ---- what is sent --------------------------------------------------------------------------- */

/* The name that the proxy knows a key by: its SHA-256, which a caller may have given already. */
static aicpi_slice name_of(const row *r, aicpi_slice id, char hash[2 * AICPI_SHA256_SIZE + 1]) {
    if (!(r->flags & KEY) || id.len < 3 || memcmp(id.data, "sk-", 3) != 0) {
        return id;
    }
    aicpi_sha256_hex(id.data, id.len, hash);
    return aicpi_slice_of(hash, 2 * AICPI_SHA256_SIZE);
}

static void write_path(aicpi_strbuf *path, const row *r, aicpi_slice id) {
    const char *place = r->how == PATH_ID ? strstr(r->path, "{}") : NULL;
    if (place) {
        aicpi_strbuf_append(path, r->path, (size_t)(place - r->path));
        aicpi_net_escape(path, id);
        aicpi_strbuf_puts(path, place + 2);
        return;
    }
    aicpi_strbuf_puts(path, r->path);
    if (r->how == QUERY_ID) {
        aicpi_litellm_parameter(path, aicpi_slice_cstr(r->field), id);
    }
}

static void write_body(aicpi_strbuf *body, const row *r, aicpi_slice id) {
    if (r->how != BODY_ID && r->how != BODY_LIST) {
        return;
    }
    bool list = r->how == BODY_LIST;
    aicpi_strbuf_printf(body, "{\"%s\":%s", r->field, list ? "[" : "");
    aicpi_strbuf_json(body, id.data, id.len);
    aicpi_strbuf_puts(body, list ? "]}" : "}");
}

static aicp_status check_given(const row *r, const given *g, aicp_error *err) {
    bool wants_id =
        r->how == QUERY_ID || r->how == PATH_ID || r->how == BODY_ID || r->how == BODY_LIST;
    if (wants_id && (!g->id.data || g->id.len == 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call %s without an id", r->path);
    }
    bool wants_body = r->how == BODY || (r->how == PATH_ID && r->method[0] == 'P');
    if (wants_body && !g->text.data) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call %s without a body", r->path);
    }
    return AICP_OK;
}

/* ---- what comes back ------------------------------------------------------------------------ */

static aicp_status check_answer(const row *r, aicp_litellm_reply *reply, aicp_error *err) {
    aicp_status status = aicpi_litellm_check_json(reply, r->path, err);
    if (status != AICP_OK) {
        return status;
    }
    size_t len = 0;
    const char *body = aicp_litellm_reply_body(reply, &len);
    bool nothing =
        (len == 4 && memcmp(body, "null", 4) == 0) || (len == 2 && memcmp(body, "[]", 2) == 0);
    if ((r->flags & MAYBE) && nothing) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "LiteLLM knows no such id (%s)", r->path);
    }
    return AICP_OK;
}

/* ---- a row ---------------------------------------------------------------------------------- */

static aicp_status send_row(
    aicp_litellm *c,
    const row *r,
    const given *g,
    aicpi_strbuf *path,
    aicpi_strbuf *body,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    char hash[2 * AICPI_SHA256_SIZE + 1];
    aicpi_slice id = name_of(r, g->id, hash);
    write_path(path, r, id);
    write_body(body, r, id);
    aicp_status status = AICP_OK;
    if (r->how == FILTERS && g->text.len != 0) {
        status = aicpi_litellm_filters(path, &reply->arena, g->text, err);
    }
    if (status == AICP_OK && (path->failed || body->failed)) {
        status = aicpi_litellm_overflow(path->failed ? path : body, r->path, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    bool own = body->len != 0;
    aicpi_litellm_request q = {
        .method = r->method,
        .path = aicpi_slice_of(path->data, path->len),
        .body = own                 ? aicpi_slice_of(body->data, body->len)
                : r->how == FILTERS ? aicpi_slice_of(NULL, 0)
                                    : g->text,
        .timeout_ms = r->flags & SLOW ? c->chat_timeout_ms : 0,
        .may_repeat = (r->flags & READS) != 0,
    };
    status = aicpi_litellm_send(c, &q, reply, err);
    return status == AICP_OK ? check_answer(r, reply, err) : status;
}

static aicp_status
run(aicp_litellm *c, const row *r, const given *g, aicp_litellm_reply *reply, aicp_error *err) {
    if (!c || !reply) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call needs a client and a reply");
    }
    aicpi_litellm_reply_clear(reply);
    if (r->how == PAGES) {
        aicpi_litellm_paged what = {r->path, r->field, (r->flags & FULL) != 0};
        return aicpi_litellm_pages(c, &what, g->text, reply, err);
    }
    aicp_status status = check_given(r, g, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_strbuf path;
    aicpi_strbuf body;
    aicpi_strbuf_init(&path, &c->allocator, AICPI_LITELLM_PATH_MAX);
    aicpi_strbuf_init(&body, &c->allocator, AICPI_LITELLM_PATH_MAX);
    status = send_row(c, r, g, &path, &body, reply, err);
    aicpi_strbuf_deinit(&path);
    aicpi_strbuf_deinit(&body);
    return status;
}

/* A TEXT is the id of a row that wants one, else the body or the filters. */
static given given_text(const row *r, const char *data, size_t len) {
    aicpi_slice text = aicpi_slice_of(data, len);
    aicpi_slice none = {NULL, 0};
    bool body = r->how == BODY || r->how == FILTERS || r->how == PAGES;
    return body ? (given){none, text} : (given){text, none};
}

/* ---- the public functions ------------------------------------------------------------------- */

#define DEFINE(form, name, ...) DEFINE_##form(name, __VA_ARGS__)

#define DEFINE_NONE(name, ...)                                                                     \
    aicp_status aicp_litellm_##name(                                                               \
        aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err) {                        \
        static const row ROW = {__VA_ARGS__};                                                      \
        return run(client, &ROW, &(given){{NULL, 0}, {NULL, 0}}, reply, err);                      \
    }

#define DEFINE_TEXT(name, ...)                                                                     \
    aicp_status aicp_litellm_##name(                                                               \
        aicp_litellm *client,                                                                      \
        const char *data,                                                                          \
        size_t len,                                                                                \
        aicp_litellm_reply *reply,                                                                 \
        aicp_error *err) {                                                                         \
        static const row ROW = {__VA_ARGS__};                                                      \
        given g = given_text(&ROW, data, len);                                                     \
        return run(client, &ROW, &g, reply, err);                                                  \
    }

#define DEFINE_BOTH(name, ...)                                                                     \
    aicp_status aicp_litellm_##name(                                                               \
        aicp_litellm *client,                                                                      \
        const char *id,                                                                            \
        size_t id_len,                                                                             \
        const char *data,                                                                          \
        size_t len,                                                                                \
        aicp_litellm_reply *reply,                                                                 \
        aicp_error *err) {                                                                         \
        static const row ROW = {__VA_ARGS__};                                                      \
        given g = {aicpi_slice_of(id, id_len), aicpi_slice_of(data, len)};                         \
        return run(client, &ROW, &g, reply, err);                                                  \
    }

CALLS(DEFINE)

aicp_status aicp_litellm_call(
    aicp_litellm *client,
    const char *method,
    const char *path,
    const char *data,
    size_t len,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    if (!method || !path) {
        return aicpi_fail(err, AICP_ERR_INVALID, "LiteLLM call needs a method and a path");
    }
    aicpi_litellm_request q = {
        .method = method, .path = aicpi_slice_cstr(path), .body = aicpi_slice_of(data, len)};
    return aicpi_litellm_send(client, &q, reply, err);
}
