#include "services/admin-api/proxy/push.h"

#include "services/admin-api/proxy/wanted.h"
#include "services/admin-api/worker.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <inttypes.h>
#include <stdio.h>

#define EVERY_NS (UINT64_C(30) * AICPI_SECOND_NS)
#define PASS_NS (UINT64_C(60) * AICPI_SECOND_NS)

typedef struct holder {
    const char *kind;
    const char *id;     /* its name in an update */
    const char *member; /* of the answer, that is the object */
    aicpa_proxy_fn look;
    aicpa_proxy_fn send;
} holder;

static const holder holders[] = {
    {"team", "team_id", "team_info", aicp_litellm_team_info, aicp_litellm_team_update},
    {"key", "key", "info", aicp_litellm_key_info, aicp_litellm_key_update},
    {"user", "user_id", "user_info", aicp_litellm_user_info, aicp_litellm_user_update},
};

static const holder *holder_of(struct json_object *entry) {
    for (size_t i = 0; i < AICPA_COUNT(holders); i++) {
        if (aicpi_slice_is(aicps_text(entry, "kind"), holders[i].kind)) {
            return &holders[i];
        }
    }
    return NULL;
}

bool aicpa_push_is_down(aicp_status status) {
    return status == AICP_ERR_NET_CONNECT || status == AICP_ERR_NET_TLS ||
           status == AICP_ERR_TIMEOUT;
}

/* ---- calls ---- */

/* The answer as JSON (to be put back). On failure `err` has LiteLLM's own words. */
static aicp_status
ask(aicpa_admin *admin,
    aicpa_proxy_fn fn,
    aicpi_slice data,
    struct json_object **answer,
    aicp_error *err) {
    aicp_litellm_reply *reply = NULL;
    *answer = NULL;
    aicp_status status = aicp_litellm_reply_new(NULL, &reply, err);
    status = status ? status : fn(admin->litellm, data.data, data.len, reply, err);
    if (status == AICP_OK) {
        size_t len = 0;
        const char *body = aicp_litellm_reply_body(reply, &len);
        struct json_tokener *tokener = json_tokener_new();
        *answer = tokener ? json_tokener_parse_ex(tokener, body, (int)len) : NULL;
        json_tokener_free(tokener);
    } else if (reply && *aicp_litellm_reply_message(reply)) {
        status = aicpi_fail(err, status, "LiteLLM says: %s", aicp_litellm_reply_message(reply));
    }
    aicp_litellm_reply_free(reply);
    return status;
}

aicp_status aicpa_push_look(
    aicpa_admin *admin, struct json_object *entry, struct json_object **object, aicp_error *err) {
    const holder *h = holder_of(entry);
    struct json_object *answer = NULL;
    *object = NULL;
    if (!admin->litellm || !h) {
        return aicpi_fail(
            err, AICP_ERR_NET_CONNECT, "LITELLM_URL is not set: there is nobody to push to");
    }
    aicp_status status = ask(admin, h->look, aicps_text(entry, "subject"), &answer, err);
    if (status == AICP_ERR_NOT_FOUND) {
        return AICP_OK;
    }
    struct json_object *found = aicps_member(answer, h->member);
    if (status == AICP_OK && !json_object_is_type(found, json_type_object)) {
        status = aicpi_fail(err, AICP_ERR_PARSE, "LiteLLM's answer has no %s", h->member);
    }
    /* a deleted key is told of still */
    if (status == AICP_OK && !aicpi_slice_is(aicps_text(found, "status"), "deleted")) {
        *object = json_object_get(found);
        aicps_set(
            entry,
            "actual",
            aicpa_wanted_seen(found, aicps_member(entry, "wanted"), aicps_member(entry, "pushed")));
    }
    json_object_put(answer);
    return status;
}

static aicp_status send_numbers(
    aicpa_admin *admin,
    struct json_object *entry,
    struct json_object *numbers,
    struct json_object *object,
    aicp_error *err) {
    const holder *h = holder_of(entry);
    struct json_object *body = aicpa_wanted_body(numbers, object);
    struct json_object *answer = NULL;
    size_t len = 0;
    aicps_set(body, h->id, json_object_get(aicps_member(entry, "subject")));
    const char *text = json_object_to_json_string_length(
        body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    aicp_status status = ask(admin, h->send, aicpi_slice_of(text, len), &answer, err);
    json_object_put(answer);
    json_object_put(body);
    return status;
}

/* ---- one subject ---- */

static bool is_empty(struct json_object *numbers) {
    return !numbers || json_object_object_length(numbers) == 0;
}

static struct json_object *difference_of(struct json_object *entry) {
    return aicpa_wanted_difference(
        aicps_member(entry, "wanted"),
        aicps_member(entry, "pushed"),
        aicps_member(entry, "actual"));
}

/* LiteLLM was told just this, and nothing has failed since. */
static bool is_settled(struct json_object *entry) {
    struct json_object *pushed = aicps_member(entry, "pushed");
    return pushed ? aicpi_slice_is(aicps_text(entry, "status"), "ok") &&
                        json_object_equal(pushed, aicps_member(entry, "wanted"))
                  : is_empty(aicps_member(entry, "wanted"));
}

bool aicpa_push_has_drift(struct json_object *entry) {
    if (!aicps_member(entry, "actual") || !is_settled(entry)) {
        return false;
    }
    struct json_object *difference = difference_of(entry);
    bool drift = !is_empty(difference);
    json_object_put(difference);
    return drift;
}

/* "rpm_limit was 7 in LiteLLM instead of 5: set again" */
static void describe(struct json_object *entry, struct json_object *difference, char out[256]) {
    struct json_object_iterator first = json_object_iter_begin(difference);
    const char *name = json_object_iter_peek_name(&first);
    struct json_object *actual = aicps_member(aicps_member(entry, "actual"), name);
    snprintf(
        out,
        256,
        "%.120s was %.40s in LiteLLM instead of %" PRId64 ": set again",
        name,
        actual ? json_object_to_json_string(actual) : "not set",
        aicps_int(difference, name));
}

static aicp_status set_difference(
    aicpa_admin *admin,
    aicpi_sql *db,
    struct json_object *entry,
    struct json_object *object,
    aicp_error *err) {
    char drift[256] = "";
    struct json_object *difference = difference_of(entry);
    aicp_status status = AICP_OK;
    if (!is_empty(difference)) {
        bool drifted = is_settled(entry);
        if (drifted) {
            describe(entry, difference, drift);
        }
        status = aicpa_pushed_note(
            db, entry, drifted ? "drift" : "pending", drifted ? drift : NULL, err);
        status = status ? status : send_numbers(admin, entry, difference, object, err);
    } else if (!is_settled(entry)) {
        status = aicpa_pushed_note(db, entry, "pending", NULL, err); /* ours from now on */
    }
    json_object_put(difference);
    if (status == AICP_OK) {
        aicps_set(entry, "actual", json_object_get(aicps_member(entry, "wanted")));
    }
    return status;
}

/* Policies that do not say "ok" yet. */
static bool has_stale_policy(struct json_object *entry) {
    struct json_object *policies = aicps_member(entry, "policies");
    for (size_t i = 0; i < json_object_array_length(policies); i++) {
        struct json_object *p = json_object_array_get_idx(policies, i);
        if (!aicpi_slice_is(aicps_text(p, "sync_status"), "ok")) {
            return true;
        }
    }
    return false;
}

static aicp_status
tell(aicpa_admin *admin, aicpi_sql *db, struct json_object *entry, aicp_error *err) {
    struct json_object *wanted = aicps_member(entry, "wanted");
    struct json_object *object = NULL;
    bool was_settled = is_settled(entry);
    if (is_empty(wanted) && is_empty(aicps_member(entry, "pushed"))) {
        bool done = !aicps_member(entry, "pushed") && !has_stale_policy(entry);
        aicps_set(entry, "message", NULL);
        return done ? AICP_OK : aicpa_pushed_confirm(db, entry, err);
    }
    aicp_status status = aicpa_push_look(admin, entry, &object, err);
    if (status == AICP_OK && object) {
        int64_t token = aicps_int(entry, "token");
        status = set_difference(admin, db, entry, object, err);
        bool noted = aicps_int(entry, "token") != token;
        json_object_put(object);
        if (status || (was_settled && !noted && !has_stale_policy(entry))) {
            return status;
        }
    } else if (status == AICP_OK && !is_empty(wanted)) {
        return aicpi_fail(
            err,
            AICP_ERR_NOT_FOUND,
            "LiteLLM knows no %s of this id",
            aicps_text(entry, "kind").data);
    }
    return status ? status : aicpa_pushed_confirm(db, entry, err);
}

/* ---- all subjects ---- */

/* Saved since it was looked at last. */
static bool is_fresh(struct json_object *entry) {
    struct json_object *policies = aicps_member(entry, "policies");
    for (size_t i = 0; i < json_object_array_length(policies); i++) {
        aicpi_slice s = aicps_text(json_object_array_get_idx(policies, i), "sync_status");
        if (s.len == 0 || aicpi_slice_is(s, "pending")) {
            return true;
        }
    }
    return false;
}

static bool is_due(struct json_object *entry, bool full) {
    bool waits = aicpa_wall_ns() < aicps_int(entry, "retry_at");
    return full || is_fresh(entry) || (!is_settled(entry) && !waits);
}

/* One subject in its turn; `down` is why nobody answers, once it is known. */
static aicp_status
tell_one(aicpa_push_pass *p, struct json_object *entry, aicp_error *down, aicp_error *err) {
    aicp_error why = *down;
    aicp_status status = down->code ? (aicp_status)down->code : tell(p->admin, p->db, entry, &why);
    if (status == AICP_OK) {
        p->ok++;
        return AICP_OK;
    }
    p->failed++;
    *down = aicpa_push_is_down(status) ? why : *down;
    return aicpa_pushed_failed(p->db, entry, why.message, err);
}

static aicp_status tell_all(aicpa_push_pass *p, aicp_error *err) {
    aicp_error down = {0};
    aicp_status status = AICP_OK;
    json_object_object_foreach(p->subjects, name, entry) {
        (void)name;
        if (status != AICP_OK || !is_due(entry, p->full)) {
            continue;
        }
        bool stop = aicpa_worker_is_stopping(p->admin->worker);
        if (!stop && aicpa_monotonic_ns() < p->until_ns) {
            status = tell_one(p, entry, &down, err);
        } else {
            p->left++;
        }
    }
    bool told = status != AICP_OK || down.code == 0;
    return told ? status : aicpi_fail(err, (aicp_status)down.code, "%s", down.message);
}

aicp_status aicpa_push_now(aicpa_push_pass *pass, aicp_error *err) {
    pthread_mutex_lock(&pass->admin->push_lock);
    aicp_status status = aicpa_pushed_load(pass->db, &pass->subjects, err);
    status = status ? status : tell_all(pass, err);
    pthread_mutex_unlock(&pass->admin->push_lock);
    return status;
}

aicp_status aicpa_push_follow(aicpa_admin *admin, aicpi_sql *db, aicp_error *err) {
    uint64_t now = aicpa_monotonic_ns();
    aicpa_push_pass pass = {
        .admin = admin,
        .db = db,
        .full = now >= admin->push_due_ns,
        .until_ns = now + PASS_NS,
    };
    aicp_status status = aicpa_push_now(&pass, err);
    if (pass.full) {
        admin->push_due_ns = now + EVERY_NS;
    }
    json_object_put(pass.subjects);
    return status;
}
