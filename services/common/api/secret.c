/* Secrets at rest: sealed, shown as masks. Of an object of secrets the names are shown. */
#include "services/common/api/api_internal.h"

#include <stdio.h>

aicp_status
aicps_secret_seal(aicps_api *api, aicpi_slice plain, aicpi_strbuf *out, aicp_error *err) {
    if (!api->has_key) {
        return aicpi_fail(
            err,
            AICP_ERR_CRYPTO,
            "this service has no key to seal secrets with, so it stores none");
    }
    size_t len = plain.len + AICPI_SEAL_OVERHEAD;
    unsigned char *sealed = aicpi_alloc(&api->allocator, len);
    char *hex = aicpi_alloc(&api->allocator, 2 * len + 1);
    if (sealed && hex) {
        aicpi_seal(api->key, plain.data, plain.len, sealed);
        aicpi_hex_encode(sealed, len, hex);
        aicpi_strbuf_puts(out, "v1:");
        aicpi_strbuf_append(out, hex, 2 * len);
    }
    bool ok = sealed && hex && !out->failed;
    aicpi_free(&api->allocator, sealed);
    aicpi_free(&api->allocator, hex);
    return ok ? AICP_OK : aicpi_nomem(err);
}

aicp_status
aicps_secret_unseal(aicps_api *api, aicpi_slice stored, aicpi_strbuf *out, aicp_error *err) {
    size_t len = stored.len > 3 ? (stored.len - 3) / 2 : 0;
    bool form = len >= AICPI_SEAL_OVERHEAD && memcmp(stored.data, "v1:", 3) == 0;
    unsigned char *bytes = form && api->has_key ? aicpi_alloc(&api->allocator, 2 * len) : NULL;
    bool ok = bytes != NULL;
    for (size_t i = 0; ok && i < len; i++) {
        int high = aicpi_hex_value(stored.data[3 + 2 * i]);
        int low = aicpi_hex_value(stored.data[4 + 2 * i]);
        ok = high >= 0 && low >= 0;
        bytes[i] = (unsigned char)(ok ? high * 16 + low : 0);
    }
    ok = ok && aicpi_unseal(api->key, bytes, len, bytes + len);
    if (ok) {
        aicpi_strbuf_append(out, (const char *)bytes + len, len - AICPI_SEAL_OVERHEAD);
        aicpi_wipe(bytes, 2 * len);
    }
    aicpi_free(&api->allocator, bytes);
    if (!ok) {
        return aicpi_fail(err, AICP_ERR_CRYPTO, "a stored secret cannot be opened with this key");
    }
    return out->failed ? aicpi_nomem(err) : AICP_OK;
}

aicp_status aicps_secret_bind(
    aicps_call *call,
    const aicps_column *c,
    aicpi_slice text,
    aicpi_sql_stmt *q,
    int32_t index,
    aicp_error *err) {
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &call->api->allocator, AICPS_JSON_TEXT_MAX * 3);
    aicp_status s = aicps_secret_seal(call->api, text, &b, err);
    char *copy = s == AICP_OK ? aicpi_arena_strndup(call->arena, b.data, b.len) : NULL;
    if (copy) {
        aicpi_sql_bind_text(q, index, copy, b.len);
    } else if (s == AICP_OK) {
        s = aicpi_nomem(err);
    }
    aicpi_strbuf_deinit(&b);
    return s == AICP_OK ? s : aicpi_error_prefix(err, s, "field %s", c->field.name);
}

/* ---- objects of secrets: {"API_KEY": "..."} ---- */

static struct json_object *open_object(aicps_call *call, aicpi_slice stored) {
    struct json_object *o = NULL;
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &call->api->allocator, AICPI_STRBUF_MAX);
    if (aicps_secret_unseal(call->api, stored, &b, NULL) == AICP_OK) {
        (void)aicps_json_parse(call->arena, b.data, b.len, AICPS_BODY_DEPTH + 2, &o, NULL);
    }
    if (b.data) {
        aicpi_wipe(b.data, b.len);
    }
    aicpi_strbuf_deinit(&b);
    return o;
}

bool aicps_secret_is_mask(struct json_object *v) {
    return json_object_is_type(v, json_type_string) &&
           strcmp(json_object_get_string(v), AICPS_MASK) == 0;
}

struct json_object *aicps_secret_mask(aicps_call *call, const aicps_column *c, aicpi_slice stored) {
    struct json_object *o = c->field.type == AICPS_OBJECT ? open_object(call, stored) : NULL;
    if (!json_object_is_type(o, json_type_object)) {
        json_object_put(o);
        return aicps_json_text(AICPS_MASK);
    }
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(o, key, value) {
        aicps_set(out, key, value ? aicps_json_text(AICPS_MASK) : NULL);
    }
    json_object_put(o);
    return out;
}

bool aicps_secret_kept(struct json_object *before, struct json_object *after) {
    if (aicps_secret_is_mask(after)) {
        return true;
    }
    if (!before || !json_object_is_type(after, json_type_object)) {
        return false;
    }
    json_object_object_foreach(after, key, value) {
        (void)key;
        if (!aicps_secret_is_mask(value)) {
            return false;
        }
    }
    return json_object_equal(before, after);
}

/* The sealed text of a column as it stands in the store. */
static aicp_status
read_stored(aicps_change *change, const aicps_column *c, aicpi_slice *out, aicp_error *err) {
    const aicps_plan *plan = change->own->plan;
    aicps_call *call = change->call;
    aicpi_sql_stmt *q = NULL;
    aicpi_strbuf b;
    bool row = false;
    *out = aicpi_slice_of("", 0);
    aicpi_strbuf_init(&b, &call->api->allocator, 1024);
    aicpi_strbuf_printf(
        &b,
        "SELECT %s FROM %s WHERE %s = ?",
        c->field.column,
        plan->resource->table,
        plan->id->field.column);
    const char *text = aicps_sql_text(call, &b);
    aicpi_strbuf_deinit(&b);
    aicp_status s = text ? aicpi_sql_prepare(call->db, text, &q, err) : aicpi_nomem(err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, change->id.data, change->id.len);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK && row) {
        aicpi_slice t = aicpi_sql_text(q, 0);
        out->data = aicpi_arena_strndup(call->arena, t.data, t.len);
        out->len = t.len;
        s = out->data ? s : aicpi_nomem(err);
        aicpi_sql_reset(q);
    }
    return s;
}

aicp_status aicps_secret_merge(
    aicps_change *change, const aicps_column *c, struct json_object *after, aicp_error *err) {
    aicpi_slice stored;
    bool any = false;
    if (!json_object_is_type(after, json_type_object)) {
        return AICP_OK;
    }
    json_object_object_foreach(after, name, given) {
        (void)name;
        any = any || aicps_secret_is_mask(given);
    }
    aicp_status s = any ? read_stored(change, c, &stored, err) : AICP_OK;
    if (!any || s != AICP_OK) {
        return s;
    }
    struct json_object *old = open_object(change->call, stored);
    json_object_object_foreach(after, key, value) {
        if (aicps_secret_is_mask(value)) {
            struct json_object *kept = aicps_member(old, key);
            if (!kept) {
                aicps_send_error(
                    change->call,
                    422,
                    "invalid",
                    "%s: there is no stored value of %s to keep",
                    c->field.name,
                    key);
                s = AICP_ERR_INVALID;
                break;
            }
            aicps_set(after, key, json_object_get(kept));
        }
    }
    json_object_put(old);
    return s;
}
