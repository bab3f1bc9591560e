/* Reads what providers report as used. */
#include "aicp/cost.h"

#include "lib/base/decimal.h"
#include "lib/base/json.h"

void aicp_usage_init(aicp_usage *usage, size_t size) {
    if (usage != NULL && size >= sizeof usage->size) {
        memset(usage, 0, size);
        usage->size = size;
    }
}

/* What was found beside the fields of aicp_usage. */
typedef struct report {
    aicp_usage u;
    int64_t input_tokens;  /* responses, Anthropic */
    int64_t cache_read;    /* Anthropic, on top of input_tokens */
    int64_t cache_created; /* Anthropic, all lives */
    int64_t created_5m;
    int64_t created_1h;
    bool has_prompt; /* prompt_tokens was there */
    bool has_cache;  /* an Anthropic cache field was there */
} report;

typedef struct field {
    const char *name;
    size_t offset; /* in report */
} field;

#define AT(member) offsetof(report, member)

static const field top_fields[] = {
    {"prompt_tokens", AT(u.prompt_tokens)},
    {"completion_tokens", AT(u.completion_tokens)},
    {"input_tokens", AT(input_tokens)},
    {"output_tokens", AT(u.completion_tokens)},
    {"cache_read_input_tokens", AT(cache_read)},
    {"cache_creation_input_tokens", AT(cache_created)},
};

static const field input_fields[] = {
    {"cached_tokens", AT(u.cache_read_tokens)},
    {"cache_creation_tokens", AT(u.cache_write_tokens)},
    {"cache_write_tokens", AT(u.cache_write_tokens)},
    {"audio_tokens", AT(u.prompt_audio_tokens)},
    {"image_tokens", AT(u.prompt_image_tokens)},
    {"video_tokens", AT(u.prompt_video_tokens)},
    {"character_count", AT(u.prompt_characters)},
};

static const field output_fields[] = {
    {"reasoning_tokens", AT(u.reasoning_tokens)},
    {"audio_tokens", AT(u.completion_audio_tokens)},
    {"image_tokens", AT(u.completion_image_tokens)},
};

static const field creation_fields[] = {
    {"ephemeral_5m_input_tokens", AT(created_5m)},
    {"ephemeral_1h_input_tokens", AT(created_1h)},
};

static const field tool_fields[] = {
    {"web_search_requests", AT(u.queries)},
};

/* A whole number ≥ 0; null is 0. */
static void read_count(aicpi_json *r, int64_t *out) {
    aicpi_slice text;
    size_t at = aicpi_json_offset(r);
    if (aicpi_json_peek(r) == AICPI_JSON_NULL) {
        (void)aicpi_json_null(r);
        return;
    }
    if (aicpi_json_number(r, &text)) {
        bool exact = false;
        aicp_status status = aicpi_decimal_parse(text, 0, out, &exact, NULL);
        if (status != AICP_OK || !exact || *out < 0) {
            (void)aicpi_json_fail(r, AICP_ERR_RANGE, at, "not a count");
        }
    }
}

static bool
read_field(aicpi_json *r, aicpi_slice key, const field *fields, size_t count, report *rep) {
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(key, fields[i].name)) {
            read_count(r, (int64_t *)(void *)((char *)rep + fields[i].offset));
            return true;
        }
    }
    return false;
}

/* An object of counts; null is nothing. */
static void read_details(aicpi_json *r, const field *fields, size_t count, report *rep) {
    aicpi_slice key;
    if (aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
        (void)aicpi_json_skip(r);
        return;
    }
    if (!aicpi_json_object(r)) {
        return;
    }
    while (aicpi_json_member(r, &key)) {
        if (!read_field(r, key, fields, count, rep)) {
            (void)aicpi_json_skip(r);
        }
    }
}

#define FIELDS(list) list, sizeof list / sizeof list[0]

static void read_usage(aicpi_json *r, report *rep) {
    aicpi_slice key;
    if (!aicpi_json_object(r)) {
        return;
    }
    while (aicpi_json_member(r, &key)) {
        if (read_field(r, key, FIELDS(top_fields), rep)) {
            rep->has_prompt = rep->has_prompt || aicpi_slice_is(key, "prompt_tokens");
            rep->has_cache = rep->has_cache || aicpi_slice_is(key, "cache_read_input_tokens") ||
                             aicpi_slice_is(key, "cache_creation_input_tokens");
        } else if (
            aicpi_slice_is(key, "prompt_tokens_details") ||
            aicpi_slice_is(key, "input_tokens_details")) {
            read_details(r, FIELDS(input_fields), rep);
        } else if (
            aicpi_slice_is(key, "completion_tokens_details") ||
            aicpi_slice_is(key, "output_tokens_details")) {
            read_details(r, FIELDS(output_fields), rep);
        } else if (aicpi_slice_is(key, "cache_creation")) {
            read_details(r, FIELDS(creation_fields), rep);
        } else if (aicpi_slice_is(key, "server_tool_use")) {
            read_details(r, FIELDS(tool_fields), rep);
        } else {
            (void)aicpi_json_skip(r);
        }
    }
}

/* Brings the forms together. Anthropic's input_tokens leave out what the cache gave or took; where
 * prompt_tokens stands as well, it has them (LiteLLM's own form). */
static bool settle(report *rep) {
    aicp_usage *u = &rep->u;
    bool ok = true;
    if (rep->has_cache) {
        u->cache_read_tokens = rep->cache_read;
        u->cache_write_1h_tokens = rep->created_1h;
        u->cache_write_tokens =
            rep->cache_created > rep->created_1h ? rep->cache_created - rep->created_1h : 0;
    }
    if (!rep->has_prompt) {
        u->prompt_tokens = rep->input_tokens;
        if (rep->has_cache) {
            ok = aicpi_add_i64(u->prompt_tokens, u->cache_read_tokens, &u->prompt_tokens) &&
                 aicpi_add_i64(u->prompt_tokens, u->cache_write_tokens, &u->prompt_tokens) &&
                 aicpi_add_i64(u->prompt_tokens, u->cache_write_1h_tokens, &u->prompt_tokens);
        }
    }
    return ok;
}

aicp_status aicp_usage_parse(const char *data, size_t len, aicp_usage *usage, aicp_error *err) {
    aicpi_json r;
    aicpi_arena arena;
    aicp_allocator heap = aicpi_allocator(NULL);
    report rep = {0};
    if (usage->size < sizeof usage->size || usage->size > 4096) {
        return aicpi_fail(err, AICP_ERR_INVALID, "aicp_usage is not initialised");
    }
    aicpi_arena_init(&arena, &heap, 0, 0);
    aicpi_json_init(&r, &arena, data, len, 0);
    read_usage(&r, &rep);
    aicp_status status = aicpi_json_finish(&r, err);
    aicpi_arena_deinit(&arena);
    if (status != AICP_OK) {
        return aicpi_error_prefix(err, status, "usage");
    }
    if (!settle(&rep)) {
        return aicpi_fail(err, AICP_ERR_RANGE, "usage: the counts do not fit");
    }
    rep.u.size = usage->size;
    memcpy(usage, &rep.u, usage->size < sizeof rep.u ? usage->size : sizeof rep.u);
    return AICP_OK;
}
