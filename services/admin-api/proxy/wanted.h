/* What LiteLLM shall hold of the rate-limit policies that it enforces; nothing here calls anybody.
 *
 * A subject is one of LiteLLM's objects: a team (with the limits of its models), a key or a user.
 * Its numbers are a flat object of positive integers: "rpm_limit", "tpm_limit",
 * "max_parallel_requests", "model_rpm_limit:<model>", "model_tpm_limit:<model>". */
#ifndef AICPA_PROXY_WANTED_H
#define AICPA_PROXY_WANTED_H

#include "services/admin-api/admin.h"

/* A reason why LiteLLM cannot hold a policy, for a field of it. */
typedef struct aicpa_objection {
    const char *field;
    const char *text;
} aicpa_objection;
enum { AICPA_OBJECTIONS_MAX = 11 };

/* Everything that speaks against enforcer "litellm" for a row of the resource; their count. */
size_t
aicpa_wanted_objections(struct json_object *policy, aicpa_objection out[AICPA_OBJECTIONS_MAX]);

/* The entry of a subject: {"kind", "subject", "wanted", "policies"}, made when it is missing.
 * Borrowed from `subjects`, whose members are the entries. */
struct json_object *
aicpa_wanted_entry(struct json_object *subjects, aicpi_slice kind, aicpi_slice subject);
/* Adds a policy ("scope", "scope_value", its limits, "is_active") to its subject's entry: of
 * several the strictest number holds, and one that is not active is listed but wants nothing.
 * False: LiteLLM holds no limits of that scope. */
bool aicpa_wanted_add(struct json_object *subjects, struct json_object *policy);

/* The numbers of LiteLLM's own object that `wanted` or `pushed` name; to be put back. */
struct json_object *aicpa_wanted_seen(
    struct json_object *object, struct json_object *wanted, struct json_object *pushed);
/* What must change so that `actual` becomes what is wanted and nothing of what was pushed besides
 * it stays; null takes a number away. To be put back. */
struct json_object *aicpa_wanted_difference(
    struct json_object *wanted, struct json_object *pushed, struct json_object *actual);
/* Both, `over` on top; to be put back. */
struct json_object *aicpa_wanted_merge(struct json_object *under, struct json_object *over);
/* Numbers in LiteLLM's form, {"rpm_limit", "model_rpm_limit": {model: n}}. The limits of models
 * that `object` (LiteLLM's own, or NULL) holds are kept beside them. To be put back. */
struct json_object *aicpa_wanted_body(struct json_object *numbers, struct json_object *object);

#endif
