/* Asks the platform's own Cedar policies whether a call is allowed; see policies/admin.cedar. */
#include "services/admin-api/auth/auth.h"

#include "services/admin-api/embedded.h"

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/thread.h"

#include "aicp/policy.h"

#define POOL 32
#define POLICIES_MAX ((size_t)1 << 20)

/* A reusable pair; one per thread that asks at the same time. */
typedef struct asker {
    aicp_policy_request *request;
    aicp_policy_response *response;
} asker;

struct aicpa_access {
    aicp_policy_set *policies;
    aicp_policy_entities *entities; /* actions in their groups */
    pthread_mutex_t lock;
    asker pool[POOL];
    size_t pooled;
};

static void asker_free(asker a) {
    aicp_policy_request_free(a.request);
    aicp_policy_response_free(a.response);
}

aicp_status aicpa_access_new(const char *file, aicpa_access **out, aicp_error *err) {
    *out = NULL;
    aicpa_access *a = aicpi_calloc(NULL, 1, sizeof *a);
    if (!a) {
        return aicpi_nomem(err);
    }
    pthread_mutex_init(&a->lock, NULL);
    aicp_buf own = {0};
    aicp_status status = file ? aicpi_file_read(NULL, file, POLICIES_MAX, &own, err) : AICP_OK;
    const char *text = file ? own.data : aicpa_policies;
    size_t len = file ? own.len : aicpa_policies_len;
    aicp_policy_set_options options;
    aicp_policy_set_options_init(&options, sizeof options);
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    if (status == AICP_OK) {
        status = aicp_policy_set_parse(text, len, &options, &a->policies, err);
    }
    aicp_buf_free(&own);
    if (status != AICP_OK && err && err->line > 0) {
        status = aicpi_error_prefix(
            err,
            status,
            "%s:%u:%u",
            file ? file : "admin.cedar",
            (unsigned)err->line,
            (unsigned)err->column);
    }
    if (status != AICP_OK) {
        aicpa_access_free(a);
        return status;
    }
    *out = a;
    return AICP_OK;
}

void aicpa_access_free(aicpa_access *a) {
    if (a) {
        while (a->pooled > 0) {
            asker_free(a->pool[--a->pooled]);
        }
        aicp_policy_set_free(a->policies);
        aicp_policy_entities_free(a->entities);
        pthread_mutex_destroy(&a->lock);
        aicpi_free(NULL, a);
    }
}

/* ---- actions ---- */

/* Verbs that look and change nothing. */
static bool only_looks(const aicps_route *route) {
    static const char *const verbs[] = {
        "list", "get", "facets", "export", "check", "test", "scan", "verify", "preview", "status"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(route->action, verbs[i]) == 0) {
            return true;
        }
    }
    return false;
}

aicp_status aicpa_access_bind(aicpa_access *a, const aicps_api *api, aicp_error *err) {
    const aicps_route *const *routes = NULL;
    size_t count = aicps_api_routes(api, &routes);
    struct json_object *entities = json_object_new_array();
    struct json_object *seen = json_object_new_object();
    for (size_t i = 0; i < count; i++) {
        if (!routes[i]->action || json_object_object_get_ex(seen, routes[i]->action, NULL)) {
            continue;
        }
        json_object_object_add(seen, routes[i]->action, NULL);
        struct json_object *e = json_tokener_parse(
            only_looks(routes[i])
                ? "{\"uid\":{\"type\":\"Admin::Action\"},\"attrs\":{},"
                  "\"parents\":[{\"type\":\"Admin::Action\",\"id\":\"read\"}]}"
                : "{\"uid\":{\"type\":\"Admin::Action\"},\"attrs\":{},\"parents\":[]}");
        json_object_object_add(
            json_object_object_get(e, "uid"), "id", json_object_new_string(routes[i]->action));
        json_object_array_add(entities, e);
    }
    size_t len = 0;
    const char *text = json_object_to_json_string_length(entities, JSON_C_TO_STRING_PLAIN, &len);
    aicp_status status = aicp_policy_entities_parse(text, len, NULL, &a->entities, err);
    json_object_put(entities);
    json_object_put(seen);
    return status;
}

/* ---- questions ---- */

static bool borrow(aicpa_access *a, asker *out) {
    *out = (asker){NULL, NULL};
    pthread_mutex_lock(&a->lock);
    if (a->pooled > 0) {
        *out = a->pool[--a->pooled];
    }
    pthread_mutex_unlock(&a->lock);
    if (out->request) {
        return true;
    }
    if (aicp_policy_request_new(NULL, &out->request, NULL) == AICP_OK &&
        aicp_policy_response_new(NULL, &out->response, NULL) == AICP_OK) {
        return true;
    }
    asker_free(*out);
    return false;
}

static void give_back(aicpa_access *a, asker it) {
    pthread_mutex_lock(&a->lock);
    bool kept = a->pooled < POOL;
    if (kept) {
        a->pool[a->pooled++] = it;
    }
    pthread_mutex_unlock(&a->lock);
    if (!kept) {
        asker_free(it);
    }
}

static const char *const ranks[] = {"", "viewer", "member", "bu_admin", "org_admin"};

static size_t rank_of(const char *role) {
    for (size_t i = 1; i < sizeof ranks / sizeof *ranks; i++) {
        if (strcmp(role, ranks[i]) == 0) {
            return i;
        }
    }
    return 0;
}

static const char *member(struct json_object *row, const char *name) {
    struct json_object *v = NULL;
    return row && json_object_object_get_ex(row, name, &v) &&
                   json_object_is_type(v, json_type_string)
               ? json_object_get_string(v)
               : NULL;
}

/* Highest role in `org`, or anywhere when NULL. */
static const char *role_in(const aicps_identity *who, const char *org) {
    size_t best = 0;
    for (size_t i = 0; i < who->org_role_count; i++) {
        if (!org || strcmp(who->org_roles[i].org, org) == 0) {
            size_t rank = rank_of(who->org_roles[i].role);
            best = rank > best ? rank : best;
        }
    }
    return ranks[best];
}

static bool is_own(const aicps_identity *who, struct json_object *row) {
    const char *user = member(row, "user_id");
    const char *team = member(row, "team_id");
    return (user && strcmp(user, who->id) == 0) ||
           (team && who->team && strcmp(team, who->team) == 0);
}

static aicp_status fill(
    aicp_policy_request *q,
    const aicps_identity *who,
    const char *action,
    const char *type,
    struct json_object *row) {
    const char *role = who->platform_admin ? "platform_admin" : "user";
    const char *org = member(row, "org_id");
    const char *org_role = role_in(who, org);
    aicp_policy_request_reset(q);
    aicp_status s =
        aicp_policy_request_set_principal(q, "Admin::User", 11, who->id, strlen(who->id), NULL);
    s = s ? s
          : aicp_policy_request_entity_begin(q, "Admin::User", 11, who->id, strlen(who->id), NULL);
    s = s ? s : aicp_policy_request_entity_parent(q, "Admin::Role", 11, role, strlen(role), NULL);
    s = s ? s
          : aicp_policy_request_set_action(q, "Admin::Action", 13, action, strlen(action), NULL);
    s = s ? s : aicp_policy_request_set_resource(q, "Admin::Type", 11, type, strlen(type), NULL);
    s = s ? s : aicp_policy_request_context_string(q, "org_role", org_role, strlen(org_role), NULL);
    return s ? s : aicp_policy_request_context_bool(q, "own", is_own(who, row), NULL);
}

bool aicpa_authorise(
    aicps_call *call, const char *action, const char *resource_type, struct json_object *row) {
    aicpa_access *a = aicpa_of(call)->access;
    asker it;
    if (!call->who || !borrow(a, &it)) {
        return false;
    }
    bool allowed = fill(it.request, call->who, action, resource_type, row) == AICP_OK &&
                   aicp_policy_authorize(
                       a->policies, a->entities, it.request, 0, it.response, NULL) == AICP_OK &&
                   aicp_policy_response_decision(it.response) == AICP_POLICY_ALLOW;
    give_back(a, it);
    return allowed;
}
