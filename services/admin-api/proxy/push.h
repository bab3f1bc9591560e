/* Limits that LiteLLM enforces, told to it.
 *
 * A change of a policy only marks it "pending" and wakes the chore. What LiteLLM may hold of ours
 * is written down before it is told (admin_pushed_limit), so that nothing of a policy outlives it,
 * whoever dies in between. Every 30 s each subject is looked at: what somebody else changed is set
 * again. */
#ifndef AICPA_PROXY_PUSH_H
#define AICPA_PROXY_PUSH_H

#include "services/admin-api/admin.h"
#include "services/admin-api/proxy/proxy.h"

/* An entry of a subject is an object:
 *   kind, subject, policies, wanted    see wanted.h; policies with "id", "version", "sync_status"
 *   pushed                             flat; absent: nothing was ever told
 *   token, status, message, synced_at, retry_at, attempts    of the row; wall ns
 *   actual                             flat; absent: LiteLLM was not asked or did not answer
 */

/* ---- what the store knows: pushed.c ---- */

/* Entries of all subjects that something is wanted for or was pushed to; to be put back. Policies
 * of a scope that LiteLLM cannot hold are left out. */
aicp_status aicpa_pushed_load(aicpi_sql *db, struct json_object **subjects, aicp_error *err);
/* Before telling: what LiteLLM may hold from now on is what it may hold already and what is wanted.
 * Changes the entry's token, pushed, status and message. */
aicp_status aicpa_pushed_note(
    aicpi_sql *db,
    struct json_object *entry,
    const char *status,
    const char *message,
    aicp_error *err);
/* It holds just what is wanted: the entry and its policies become "ok". When another writer came
 * in between, that is noted anew instead, and the next pass looks again. */
aicp_status aicpa_pushed_confirm(aicpi_sql *db, struct json_object *entry, aicp_error *err);
/* It could not be told. */
aicp_status
aicpa_pushed_failed(aicpi_sql *db, struct json_object *entry, const char *reason, aicp_error *err);

/* ---- telling: push.c ---- */

/* One pass over the subjects. */
typedef struct aicpa_push_pass {
    aicpa_admin *admin;
    aicpi_sql *db;
    bool full;         /* all of them, else those that are new or due again */
    uint64_t until_ns; /* monotonic */
    /* after it: */
    struct json_object *subjects; /* as they are then; to be put back */
    int64_t ok, failed;
    int64_t left; /* no time, or the process ends */
} aicpa_push_pass;

/* Asks LiteLLM what it holds for the entry: sets "actual". `*object` (to be put back) is LiteLLM's
 * own; NULL with AICP_OK: it knows no such subject. `err` tells what LiteLLM said. */
aicp_status aicpa_push_look(
    aicpa_admin *admin, struct json_object *entry, struct json_object **object, aicp_error *err);
/* Whether LiteLLM holds something else than what it was told. */
bool aicpa_push_has_drift(struct json_object *entry);
/* The status of a call says that nothing else will reach LiteLLM now either. */
bool aicpa_push_is_down(aicp_status status);
/* Tells LiteLLM. An error of the network (aicpa_push_is_down) is one that the subjects tell of too.
 */
aicp_status aicpa_push_now(aicpa_push_pass *pass, aicp_error *err);
/* Chore. */
aicp_status aicpa_push_follow(aicpa_admin *admin, aicpi_sql *db, aicp_error *err);

#endif
