/* GET and POST /api/v1/rate-limits/sync: what LiteLLM shall hold of our limits, what it was told
 * and what it holds. */
#include "services/admin-api/list.h"
#include "services/admin-api/proxy/push.h"
#include "services/admin-api/proxy/wanted.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT_MAX 1000
#define ROOM_NS (UINT64_C(5) * AICPI_SECOND_NS) /* for the answer itself */

/* ---- one subject ---- */

static struct json_object *shown(struct json_object *entry, const char *name) {
    struct json_object *numbers = aicps_member(entry, name);
    return numbers ? aicpa_wanted_body(numbers, NULL) : NULL;
}

static const char *status_of(struct json_object *entry, bool drift) {
    struct json_object *pushed = aicps_member(entry, "pushed");
    struct json_object *status = aicps_member(entry, "status");
    if (drift) {
        return "drift";
    }
    if (status && strcmp(json_object_get_string(status), "ok") != 0) {
        return json_object_get_string(status);
    }
    bool told = pushed ? json_object_equal(pushed, aicps_member(entry, "wanted"))
                       : json_object_object_length(aicps_member(entry, "wanted")) == 0;
    return told ? "ok" : "pending";
}

static struct json_object *row_of(struct json_object *entry) {
    struct json_object *row = json_object_new_object();
    struct json_object *ids = json_object_new_array();
    struct json_object *policies = aicps_member(entry, "policies");
    struct json_object *synced = aicps_member(entry, "synced_at");
    bool drift = aicpa_push_has_drift(entry);
    for (size_t i = 0; i < json_object_array_length(policies); i++) {
        json_object_array_add(
            ids, json_object_get(aicps_member(json_object_array_get_idx(policies, i), "id")));
    }
    aicps_set(row, "kind", json_object_get(aicps_member(entry, "kind")));
    aicps_set(row, "subject", json_object_get(aicps_member(entry, "subject")));
    aicps_set(row, "policies", ids);
    aicps_set(row, "wanted", shown(entry, "wanted"));
    aicps_set(row, "pushed", shown(entry, "pushed"));
    aicps_set(row, "actual", shown(entry, "actual"));
    aicps_set(row, "drift", json_object_new_boolean(drift));
    aicps_set(row, "status", aicps_json_text(status_of(entry, drift)));
    aicps_set(row, "message", json_object_get(aicps_member(entry, "message")));
    aicps_set(row, "synced_at", synced ? aicps_json_time(json_object_get_int64(synced)) : NULL);
    return row;
}

/* ---- reading ---- */

/* A number of the query within 0 … max; false: an answer was sent. */
static bool
read_number(aicps_call *call, const char *name, int64_t preset, int64_t max, int64_t *out) {
    aicpi_slice text = aicps_http_query(call->req, name);
    char digits[20];
    char *end = digits;
    *out = preset;
    if (!text.data) {
        return true;
    }
    bool fits =
        text.len > 0 && text.len < sizeof digits && text.data[0] >= '0' && text.data[0] <= '9';
    if (fits) {
        memcpy(digits, text.data, text.len);
        digits[text.len] = '\0';
        *out = (int64_t)strtoll(digits, &end, 10);
    }
    if (!fits || *end || *out > max) {
        aicps_send_error(
            call, 422, "validation_error", "%s: a number from 0 to %lld", name, (long long)max);
        return false;
    }
    return true;
}

static bool is_asked_for(aicps_call *call, struct json_object *entry) {
    aicpi_slice kind = aicps_http_query(call->req, "kind");
    aicpi_slice subject = aicps_http_query(call->req, "subject");
    return (!kind.data || aicpi_slice_eq(kind, aicps_text(entry, "kind"))) &&
           (!subject.data || aicpi_slice_eq(subject, aicps_text(entry, "subject")));
}

/* Sets "actual", or tells in "message" why it is not known. False: nobody answers. */
static bool look(aicps_call *call, struct json_object *entry) {
    struct json_object *object = NULL;
    aicp_error err = {0};
    aicp_status status = aicpa_push_look(aicpa_of(call), entry, &object, &err);
    if (status != AICP_OK && !aicps_member(entry, "message")) {
        aicps_set(entry, "message", aicps_json_text(err.message));
    }
    json_object_put(object);
    return !aicpa_push_is_down(status);
}

/* A misspelt filter must not give everything. */
static bool check_names(aicps_call *call) {
    static const char *const names[] = {"kind", "subject", "limit", "offset"};
    for (size_t i = 0; i < call->req->query_count; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            known = known || aicpi_slice_is(call->req->query[i].name, names[k]);
        }
        if (!known) {
            aicps_send_error(
                call, 422, "validation_error", "filters are kind, subject, limit and offset");
            return false;
        }
    }
    return true;
}

static void get_sync(aicps_call *call) {
    struct json_object *subjects = NULL;
    struct json_object *rows = json_object_new_array();
    int64_t limit = 0;
    int64_t offset = 0;
    int64_t total = 0;
    aicp_error err = {0};
    bool answers = true;
    if (!check_names(call) || !read_number(call, "limit", 100, LIMIT_MAX, &limit) ||
        !read_number(call, "offset", 0, INT32_MAX, &offset)) {
        json_object_put(rows);
        return;
    }
    aicp_status status = aicpa_pushed_load(call->db, &subjects, &err);
    if (status != AICP_OK) {
        json_object_put(rows);
        json_object_put(subjects);
        aicps_send_status(call, status, &err);
        return;
    }
    json_object_object_foreach(subjects, name, entry) {
        (void)name;
        if (!is_asked_for(call, entry)) {
            continue;
        }
        if (total >= offset && total < offset + limit) {
            answers = answers && aicpa_monotonic_ns() + ROOM_NS < call->req->deadline_ns &&
                      look(call, entry);
            json_object_array_add(rows, row_of(entry));
        }
        total++;
    }
    char count[24];
    snprintf(count, sizeof count, "%lld", (long long)total);
    (void)aicps_http_add_header(call->res, "X-Total-Count", count);
    json_object_put(subjects);
    aicps_send_json(call, 200, rows);
}

/* ---- pushing now ---- */

static aicp_status write_audit(aicpi_sql *db, void *user, aicp_error *err) {
    aicps_call *call = user;
    aicps_audit_entry entry = {
        .action = "sync", .resource_type = "rate_limit", .resource_id = "sync"};
    (void)db;
    return aicps_audit_write(call, &entry, err);
}

static void send_result(aicps_call *call, const aicpa_push_pass *pass) {
    struct json_object *answer = json_object_new_object();
    struct json_object *rows = json_object_new_array();
    json_object_object_foreach(pass->subjects, name, entry) {
        (void)name;
        if (json_object_array_length(rows) < LIMIT_MAX) {
            json_object_array_add(rows, row_of(entry));
        }
    }
    aicps_set(answer, "ok", json_object_new_int64(pass->ok));
    aicps_set(answer, "failed", json_object_new_int64(pass->failed));
    aicps_set(answer, "left", json_object_new_int64(pass->left));
    aicps_set(answer, "subjects", rows);
    aicps_send_json(call, 200, answer);
}

static const aicps_field no_fields[1]; /* every field is unknown */

static void post_sync(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    json_object_put(body);
    aicpa_push_pass pass = {
        .admin = aicpa_of(call),
        .db = call->db,
        .full = true,
        .until_ns = call->req->deadline_ns - ROOM_NS,
    };
    aicp_error err = {0};
    if (!pass.admin->litellm) {
        aicps_send_error(
            call, 503, "unavailable", "HTTP client not available: LITELLM_URL is not set");
        return;
    }
    aicp_status status = aicpi_sql_transact(call->db, pass.until_ns, write_audit, call, &err);
    status = status ? status : aicpa_push_now(&pass, &err);
    if (status == AICP_OK || aicpa_push_is_down(status)) {
        send_result(call, &pass); /* which tells what failed */
    } else {
        aicps_send_status(call, status, &err);
    }
    json_object_put(pass.subjects);
}

/* ---- routes ---- */

#define NUMBERS "{\"type\":[\"object\",\"null\"]}"
#define SUBJECTS                                                                                   \
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"kind\",\"subject\","       \
    "\"policies\",\"wanted\",\"pushed\",\"actual\",\"drift\",\"status\",\"message\","              \
    "\"synced_at\"],\"properties\":{\"kind\":{\"enum\":[\"team\",\"key\",\"user\"]},"              \
    "\"subject\":{\"type\":\"string\"},\"policies\":{\"type\":\"array\",\"items\":{\"type\":"      \
    "\"string\"}},\"wanted\":" NUMBERS ",\"pushed\":" NUMBERS ",\"actual\":" NUMBERS               \
    ",\"drift\":{\"type\":\"boolean\"},\"status\":{\"enum\":[\"ok\",\"pending\",\"failed\","       \
    "\"drift\"]},\"message\":{\"type\":[\"string\",\"null\"]},\"synced_at\":{\"type\":["           \
    "\"string\",\"null\"]}}}}"

static const aicps_route routes[] = {
    {.method = "GET",
     .pattern = "/api/v1/rate-limits/sync",
     .handler = get_sync,
     .action = "sync",
     .resource_type = "rate_limit",
     .summary = "What LiteLLM shall hold of the limits that it enforces, and what it holds",
     .query_doc = "kind:string,subject:string,limit:integer,offset:integer",
     .response_schema = SUBJECTS},
    {.method = "POST",
     .pattern = "/api/v1/rate-limits/sync",
     .handler = post_sync,
     .flags = AICPS_BODY_OPTIONAL,
     .action = "sync",
     .resource_type = "rate_limit",
     .summary = "Push all limits of enforcer litellm now",
     .body = no_fields,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"ok\",\"failed\",\"left\",\"subjects\"],"
         "\"properties\":{\"ok\":{\"type\":\"integer\"},\"failed\":{\"type\":\"integer\"},"
         "\"left\":{\"type\":\"integer\"},\"subjects\":" SUBJECTS "}}"},
};

aicp_status aicpa_sync_register(aicps_api *api, aicp_error *err) {
    return aicps_api_add_routes(api, routes, sizeof routes / sizeof *routes, err);
}
