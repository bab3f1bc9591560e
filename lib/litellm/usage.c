/* What a call used, and what an event of a stream says. */
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/litellm/litellm_internal.h"

static const aicp_litellm_usage NO_USAGE = AICP_LITELLM_USAGE_INIT;

static int64_t *count_of(aicp_litellm_usage *usage, aicpi_slice name) {
    if (aicpi_slice_is(name, "prompt_tokens") || aicpi_slice_is(name, "input_tokens")) {
        return &usage->input_tokens;
    }
    if (aicpi_slice_is(name, "completion_tokens") || aicpi_slice_is(name, "output_tokens")) {
        return &usage->output_tokens;
    }
    if (aicpi_slice_is(name, "cached_tokens") || aicpi_slice_is(name, "cache_read_input_tokens")) {
        return &usage->cached_tokens;
    }
    return aicpi_slice_is(name, "total_tokens") ? &usage->total_tokens : NULL;
}

static void read_cost(aicpi_json *r, int64_t *cost_nano) {
    aicpi_slice text;
    int64_t nano = 0;
    if (aicpi_json_number(r, &text) && aicp_money_parse(text.data, text.len, &nano, NULL) == 0) {
        *cost_nano = nano;
    }
}

static void read_field(aicpi_json *r, aicpi_slice name, aicp_litellm_usage *usage) {
    int64_t *count = count_of(usage, name);
    bool number = aicpi_json_peek(r) == AICPI_JSON_NUMBER;
    if (count && number) {
        double value = 0; /* some providers write 12.0 */
        if (aicpi_json_double(r, &value) && value >= 0 && value < 9e15) {
            *count = (int64_t)value;
        }
    } else if (number && aicpi_slice_is(name, "cost")) {
        read_cost(r, &usage->cost_nano);
    } else {
        aicpi_json_skip(r);
    }
}

bool aicpi_litellm_usage_read(aicpi_json *r, aicp_litellm_usage *usage) {
    aicpi_slice name;
    if (aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
        aicpi_json_skip(r);
        return false;
    }
    aicpi_json_object(r);
    while (aicpi_json_member(r, &name)) {
        bool details = aicpi_slice_is(name, "prompt_tokens_details") ||
                       aicpi_slice_is(name, "input_tokens_details");
        if (!details || aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
            read_field(r, name, usage);
            continue;
        }
        aicpi_json_object(r);
        while (aicpi_json_member(r, &name)) {
            if (aicpi_slice_is(name, "cached_tokens")) {
                read_field(r, name, usage);
            } else {
                aicpi_json_skip(r);
            }
        }
    }
    return aicpi_json_ok(r);
}

/* ---- events --------------------------------------------------------------------------------- */

static bool is_last(aicpi_slice type) {
    return aicpi_slice_is(type, "response.completed") ||
           aicpi_slice_is(type, "response.incomplete") || aicpi_slice_is(type, "message_stop");
}

/* What an event is made of. */
typedef struct parts {
    aicp_litellm_usage usage;
    bool has_usage;
    bool error; /* an "error" that is not null */
    aicpi_slice type;
    aicpi_slice carried; /* the "response" or "message", when that has an error */
} parts;

static void read_member(aicpi_json *r, aicpi_slice name, parts *p, bool *error) {
    if (aicpi_slice_is(name, "usage")) {
        p->has_usage = aicpi_litellm_usage_read(r, &p->usage) || p->has_usage;
        return;
    }
    bool null = aicpi_json_peek(r) == AICPI_JSON_NULL;
    *error = *error || (!null && aicpi_slice_is(name, "error"));
    aicpi_json_skip(r);
}

static void read_carried(aicpi_json *r, parts *p) {
    aicpi_slice name;
    bool error = false;
    size_t start = aicpi_json_offset(r);
    aicpi_json_object(r);
    while (aicpi_json_member(r, &name)) {
        read_member(r, name, p, &error);
    }
    if (error) {
        p->carried = aicpi_slice_of(r->data + start, r->pos - start);
    }
}

/* ERR_PARSE: no JSON object. */
static aicp_status read_parts(aicpi_arena *arena, aicpi_slice data, parts *p) {
    aicpi_json r;
    aicpi_slice name;
    aicpi_json_init(&r, arena, data.data, data.len, 0);
    if (aicpi_json_peek(&r) != AICPI_JSON_OBJECT || !aicpi_json_object(&r)) {
        aicp_status status = aicpi_json_finish(&r, NULL);
        return status == AICP_ERR_NOMEM ? status : AICP_ERR_PARSE;
    }
    while (aicpi_json_member(&r, &name)) {
        aicpi_json_type kind = aicpi_json_peek(&r);
        bool carries = aicpi_slice_is(name, "response") || aicpi_slice_is(name, "message");
        if (carries && kind == AICPI_JSON_OBJECT) {
            read_carried(&r, p);
        } else if (aicpi_slice_is(name, "type") && kind == AICPI_JSON_STRING) {
            aicpi_json_string(&r, &p->type);
        } else {
            read_member(&r, name, p, &p->error);
        }
    }
    return aicpi_json_finish(&r, NULL);
}

aicp_status aicpi_litellm_event_read(
    aicpi_arena *arena, aicpi_slice data, aicp_litellm_usage *usage, aicpi_litellm_event *out) {
    parts p = {.usage = *usage};
    *out = (aicpi_litellm_event){.usage = false};
    aicp_status status = read_parts(arena, data, &p);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM ? status : AICP_OK;
    }
    if (p.has_usage) {
        *usage = p.usage;
    }
    out->usage = p.has_usage;
    out->last = p.type.data && is_last(p.type);
    if (p.error || (p.type.data && aicpi_slice_is(p.type, "error"))) {
        out->error = data;
    } else {
        out->error = p.carried;
    }
    return AICP_OK;
}

/* ---- of an answer --------------------------------------------------------------------------- */

static aicp_status
read_whole(aicp_litellm_reply *reply, aicp_litellm_usage *usage, aicp_error *err) {
    aicpi_litellm_event event;
    aicpi_strbuf *body = &reply->response.body;
    aicpi_slice data = aicpi_slice_of(body->len ? body->data : "", body->len);
    if (aicpi_litellm_event_read(&reply->arena, data, usage, &event) != AICP_OK) {
        return aicpi_nomem(err);
    }
    return event.usage
               ? AICP_OK
               : aicpi_fail(err, AICP_ERR_NOT_FOUND, "the answer does not say what was used");
}

aicp_status
aicp_litellm_reply_usage(aicp_litellm_reply *reply, aicp_litellm_usage *usage, aicp_error *err) {
    if (!reply || !usage || usage->size < sizeof usage->size) {
        return aicpi_fail(err, AICP_ERR_INVALID, "usage needs a reply and a place for the counts");
    }
    aicp_litellm_usage told = reply->has_usage ? reply->usage : NO_USAGE;
    aicp_status status = reply->has_usage ? AICP_OK : read_whole(reply, &told, err);
    if (status != AICP_OK) {
        return status;
    }
    if (told.total_tokens < 0 && told.input_tokens >= 0 && told.output_tokens >= 0) {
        told.total_tokens = told.input_tokens + told.output_tokens;
    }
    size_t size = usage->size < sizeof told ? usage->size : sizeof told;
    told.size = usage->size;
    memcpy(usage, &told, size);
    return AICP_OK;
}
