/* LiteLLM's own resources: models, keys, teams, budgets. What they have in common: objects are
 * asked of the proxy, changes are sent to it between an audit intent and its entry. */
#ifndef AICPA_PROXY_PROXY_H
#define AICPA_PROXY_PROXY_H

#include "services/admin-api/admin.h"

/* A call of the client that takes a text or a body. */
typedef aicp_status (*aicpa_proxy_fn)(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

/* Calls LiteLLM and gives its answer as JSON (to be put back). When it fails: an error was sent to
 * the caller (its 4xx as they are, 5xx as 502, silence as 503) and NULL is given. `data` may be
 * NULL for calls without it. */
struct json_object *
aicpa_proxy_ask(aicps_call *call, aicpa_proxy_fn fn, const char *data, size_t len);
/* The same for calls without an argument. */
typedef aicp_status (*aicpa_proxy_plain_fn)(
    aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);
struct json_object *aicpa_proxy_list(aicps_call *call, aicpa_proxy_plain_fn fn);

/* A change of one of LiteLLM's objects: data of a route. Null in the body goes through as null. */
typedef struct aicpa_proxy_verb {
    aicpa_proxy_fn send;
    bool by_id;         /* `send` takes what `id` names instead of the body */
    const char *id;     /* field of the body or of the answer that names the object */
    const char *name;   /* the same for its readable name; may be NULL */
    const char *secret; /* field of the answer that is shown this once and never written down */
    const char *param;  /* body field that takes the path's parameter; NULL: none */
    /* Field errors that no table says. */
    void (*check)(aicps_call *call, struct json_object *body);
    /* What the proxy shall get, made of the checked body; NULL: the body. */
    struct json_object *(*shape)(aicps_call *call, struct json_object *body);
    /* Once it has happened. */
    void (*done)(aicps_call *call, struct json_object *body, struct json_object *answer);
    bool deletes; /* the caller gets {"status": "deleted"} with LiteLLM's answer in it */
} aicpa_proxy_verb;

/* Handler of routes whose data is a verb: AICPA_PROXY_ROUTE in fields.h. */
void aicpa_proxy_change(aicps_call *call);

#define AICPA_KEY_ID_SIZE 65
/* A virtual key is named by its hash; everything else by itself, NULL by "". */
const char *aicpa_proxy_public_id(const char *id, char hash[AICPA_KEY_ID_SIZE]);
/* A copy of a body that the audit log may keep. */
struct json_object *aicpa_proxy_for_audit(struct json_object *body);

/* Adds "org_id" to rows that have a team, so that callers see their organizations' only. */
aicp_status aicpa_proxy_add_org(
    aicps_call *call, struct json_object *rows, const char *team_field, aicp_error *err);

#endif
