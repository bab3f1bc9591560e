/* A text in pieces: a window of it is kept, the engine goes on over it as far as it can. */
#include "lib/guardrail/guardrail_internal.h"

#define FIRST_CAPACITY 16384

struct aicp_guard_stream {
    aicp_allocator allocator;
    aicp_guard_profile *profile;
    aicp_guard_result *result;
    char *bytes; /* the text from `base` on */
    size_t len;
    size_t capacity;
    uint64_t base;
    bool finished;
};

aicp_status aicp_guard_stream_open(
    const aicp_guard_profile *profile,
    const aicp_guard_scan_options *options,
    aicp_guard_stream **out,
    aicp_error *err) {
    *out = NULL;
    aicp_guard_scan_options own;
    aicp_status status = aicpi_guard_read_options(&own, options, err);
    if (status != AICP_OK) {
        return status;
    }
    const aicp_allocator *a = &profile->allocator;
    aicp_guard_stream *s = aicpi_calloc(a, 1, sizeof *s);
    if (!s) {
        return aicpi_nomem(err);
    }
    s->allocator = *a;
    s->profile = aicp_guard_profile_ref((aicp_guard_profile *)(uintptr_t)profile);
    s->bytes = aicpi_alloc(a, FIRST_CAPACITY);
    s->capacity = s->bytes ? FIRST_CAPACITY : 0;
    aicp_guard_options result_options = AICP_GUARD_OPTIONS_INIT;
    result_options.allocator = a;
    status = aicp_guard_result_new(&result_options, &s->result, err);
    if (status != AICP_OK || !s->bytes) {
        aicp_guard_stream_free(s);
        return aicpi_nomem(err);
    }
    aicpi_guard_begin(s->result, s->profile, &own, true);
    *out = s;
    return AICP_OK;
}

void aicp_guard_stream_free(aicp_guard_stream *stream) {
    if (!stream) {
        return;
    }
    aicp_allocator a = stream->allocator;
    if (stream->bytes) {
        aicpi_wipe(stream->bytes, stream->capacity);
    }
    aicpi_free(&a, stream->bytes);
    aicp_guard_result_free(stream->result);
    aicp_guard_profile_free(stream->profile);
    aicpi_free(&a, stream);
}

static bool append(aicp_guard_stream *s, const char *data, size_t len) {
    size_t need = 0;
    if (!aicpi_add(s->len, len, &need)) {
        return false;
    }
    if (need > s->capacity) {
        size_t capacity = need + need / 2;
        char *bytes = aicpi_alloc(&s->allocator, capacity);
        if (!bytes) {
            return false;
        }
        memcpy(bytes, s->bytes, s->len);
        aicpi_wipe(s->bytes, s->capacity);
        aicpi_free(&s->allocator, s->bytes);
        s->bytes = bytes;
        s->capacity = capacity;
    }
    if (len > 0) {
        memcpy(s->bytes + s->len, data, len);
    }
    s->len = need;
    return true;
}

/* Drops bytes that the engine has done with, when they are worth the move. */
static void trim(aicp_guard_stream *s) {
    aicp_guard_result *r = s->result;
    size_t drop = (size_t)(aicpi_guard_needed(r) - s->base);
    if (drop < FIRST_CAPACITY / 4) {
        return;
    }
    r->base_chars += aicpi_guard_count_chars(s->bytes, drop);
    s->len -= drop;
    memmove(s->bytes, s->bytes + drop, s->len);
    s->base += drop;
    /* Values that passed by must not stay behind the text. */
    aicpi_wipe(s->bytes + s->len, drop);
}

static aicp_status go_on(aicp_guard_stream *s, bool final, aicp_error *err) {
    aicp_guard_result *r = s->result;
    aicpi_strbuf_clear(&r->out);
    aicpi_guard_start_time(r);
    aicpi_guard_advance(r, s->bytes, s->len, s->base, final);
    if (final) {
        aicpi_guard_conclude(r);
    }
    if (r->action == AICP_GUARD_BLOCK) {
        aicpi_strbuf_clear(&r->out);
    }
    (void)aicpi_guard_place_of(r, r->emitted);
    trim(s);
    return r->error == AICP_ERR_NOMEM ? aicpi_nomem(err) : AICP_OK;
}

aicp_status
aicp_guard_stream_feed(aicp_guard_stream *stream, const char *data, size_t len, aicp_error *err) {
    if (stream->finished) {
        return aicpi_fail(err, AICP_ERR_STATE, "guard: the stream is finished");
    }
    if (!append(stream, data, len)) {
        aicpi_strbuf_clear(&stream->result->out);
        aicpi_guard_note_error(stream->result, AICP_ERR_NOMEM);
        return aicpi_nomem(err);
    }
    return go_on(stream, false, err);
}

aicp_status aicp_guard_stream_finish(aicp_guard_stream *stream, aicp_error *err) {
    if (stream->finished) {
        return aicpi_fail(err, AICP_ERR_STATE, "guard: the stream is finished");
    }
    stream->finished = true;
    return go_on(stream, true, err);
}

const char *aicp_guard_stream_released(const aicp_guard_stream *stream, size_t *len) {
    *len = stream->result->out.len;
    return *len ? stream->result->out.data : "";
}

const aicp_guard_result *aicp_guard_stream_result(const aicp_guard_stream *stream) {
    return stream->result;
}
