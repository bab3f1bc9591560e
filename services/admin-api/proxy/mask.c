/* What of a body may be written down: no credential of a provider, virtual keys only by their hash.
 */
#include "services/admin-api/proxy/proxy.h"

#include "lib/base/crypto.h"

const char *aicpa_proxy_public_id(const char *id, char hash[AICPA_KEY_ID_SIZE]) {
    if (id && strncmp(id, "sk-", 3) == 0) {
        aicpi_sha256_hex(id, strlen(id), hash);
        return hash;
    }
    return id ? id : "";
}

/* Of a deployment's parameters only these are surely no credentials. */
static bool is_public_param(const char *name) {
    static const char *const names[] = {
        "model",
        "api_base",
        "api_version",
        "base_model",
        "custom_llm_provider",
        "region_name",
        "aws_region_name",
        "vertex_project",
        "vertex_location",
        "organization",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void mask_params(struct json_object *o) {
    struct json_object *params =
        json_object_is_type(o, json_type_object) ? aicps_member(o, "litellm_params") : NULL;
    if (!json_object_is_type(params, json_type_object)) {
        return;
    }
    struct json_object *masked = json_object_new_object();
    json_object_object_foreach(params, name, value) {
        bool plain = is_public_param(name) || json_object_is_type(value, json_type_int) ||
                     json_object_is_type(value, json_type_double) ||
                     json_object_is_type(value, json_type_boolean);
        aicps_set(
            masked, name, plain ? json_object_get(value) : json_object_new_string("********"));
    }
    aicps_set(o, "litellm_params", masked);
}

static struct json_object *without_keys(struct json_object *value);

static struct json_object *array_without_keys(struct json_object *value) {
    struct json_object *out = json_object_new_array();
    for (size_t n = 0; n < json_object_array_length(value); n++) {
        json_object_array_add(out, without_keys(json_object_array_get_idx(value, n)));
    }
    return out;
}

static struct json_object *object_without_keys(struct json_object *value) {
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(value, name, member) {
        json_object_object_add(out, name, without_keys(member));
    }
    return out;
}

/* A copy with virtual keys by their hash, wherever they stand. A body has at most 32 levels, which
 * the frame has checked. */
static struct json_object *without_keys(struct json_object *value) {
    char hash[AICPA_KEY_ID_SIZE];
    switch (json_object_get_type(value)) {
    case json_type_string:
        return json_object_new_string(aicpa_proxy_public_id(json_object_get_string(value), hash));
    case json_type_array:
        return array_without_keys(value);
    case json_type_object:
        return object_without_keys(value);
    default:
        return json_object_get(value);
    }
}

struct json_object *aicpa_proxy_for_audit(struct json_object *body) {
    struct json_object *copy = without_keys(body);
    mask_params(copy);
    return copy;
}
