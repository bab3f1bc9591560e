/* Answers: scanned, and given back what was anonymised on the way in. */
#include "lib/gate/gate_internal.h"

struct aicp_gate_stream {
    aicp_gate *gate;
    aicp_gate_decision *decision;
    aicp_guard_stream *stream; /* NULL: nothing to do, bytes pass */
    bool ended;
};

/* The answer is held back: the decision now says why. */
static aicp_status deny(aicp_gate_decision *d, const aicp_guard_result *result, aicp_error *err) {
    const char *reason = aicp_guard_result_reason(result);
    d->http_status = 400;
    d->type = "guardrail_violation";
    d->rule = aicpi_decision_text(d, aicpi_slice_cstr(reason));
    d->message = aicpi_decision_printf(d, "the answer was blocked by guardrail %s", reason);
    d->advice = "ask in another way";
    return d->rule && d->message ? AICP_OK : aicpi_nomem(err);
}

static aicp_status
scan(aicp_gate_decision *d, aicpi_slice text, aicp_guard_result *result, aicp_error *err) {
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
    how.direction = AICP_GUARD_OUTPUT;
    how.session = d->session;
    return aicp_guard_scan(d->profile, text.data, text.len, &how, result, err);
}

static aicp_status check_arguments(
    aicp_gate *g,
    const aicp_gate_decision *d,
    const char *data,
    size_t len,
    const int32_t *verdict,
    aicp_error *err) {
    if (!g || !d || !verdict || (!data && len > 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate, decision, text or verdict is NULL");
    }
    if (d->verdict != AICP_GATE_ALLOW) {
        return aicpi_fail(err, AICP_ERR_STATE, "the request was refused; there is no answer");
    }
    return AICP_OK;
}

/* Scans one text. When it must be changed, `*changed` is set and the new text lies in `result`. */
static aicp_status scan_one(
    aicp_gate *g,
    aicp_gate_decision *d,
    aicpi_slice text,
    aicp_guard_result *result,
    int32_t *verdict,
    aicp_error *err) {
    aicp_status status = scan(d, text, result, err);
    if (status != AICP_OK) {
        *verdict = AICP_GATE_DENY;
        return status;
    }
    if (aicp_guard_result_match_count(result) > 0) {
        aicpi_event_output(g, d, result);
    }
    if (aicp_guard_result_action(result) == AICP_GUARD_BLOCK) {
        *verdict = AICP_GATE_DENY;
        return deny(d, result, err);
    }
    return AICP_OK;
}

aicp_status aicp_gate_output_text(
    aicp_gate *g,
    aicp_gate_decision *d,
    const char *data,
    size_t len,
    aicp_buf *out,
    int32_t *verdict,
    aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_status status = check_arguments(g, d, data, len, verdict, err);
    if (status != AICP_OK) {
        return status;
    }
    *verdict = AICP_GATE_ALLOW;
    if (!d->profile || len == 0) {
        return AICP_OK;
    }
    aicpi_work *w = aicpi_work_take(g, len);
    if (!w) {
        *verdict = AICP_GATE_DENY;
        return aicpi_nomem(err);
    }
    status = scan_one(g, d, aicpi_slice_of(data, len), w->guard, verdict, err);
    if (status == AICP_OK && *verdict == AICP_GATE_ALLOW && aicp_guard_result_rewritten(w->guard)) {
        size_t rewritten_len = 0;
        const char *rewritten = aicp_guard_result_text(w->guard, &rewritten_len);
        aicpi_strbuf text;
        aicpi_strbuf_init(&text, &g->allocator, AICPI_STRBUF_MAX);
        aicpi_strbuf_append(&text, rewritten, rewritten_len);
        status = aicpi_strbuf_take(&text, out, err);
    }
    aicpi_work_give(g, w);
    return status;
}

static aicp_status patch_answer(
    aicp_gate *g,
    aicp_gate_decision *d,
    aicpi_work *w,
    aicpi_slice answer,
    aicp_buf *out,
    int32_t *verdict,
    aicp_error *err) {
    aicpi_check c = {.gate = g, .decision = d, .work = w, .data = answer};
    aicp_status status = aicpi_body_read_answer(&w->body, &w->arena, answer.data, answer.len, err);
    for (size_t i = 0; i < w->body.text_count && status == AICP_OK; i++) {
        const aicpi_text *t = &w->body.texts[i];
        status = scan_one(g, d, t->text, w->guard, verdict, err);
        if (status != AICP_OK || *verdict == AICP_GATE_DENY) {
            return status;
        }
        if (aicp_guard_result_rewritten(w->guard)) {
            size_t len = 0;
            const char *text = aicp_guard_result_text(w->guard, &len);
            char *copy = aicpi_arena_strndup(&w->arena, text, len);
            status =
                copy
                    ? aicpi_patch_add(&c, &(aicpi_patch){t->offset, t->len, {copy, len}, true}, err)
                    : aicpi_nomem(err);
        }
    }
    if (status != AICP_OK || w->patch_count == 0) {
        return status;
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &g->allocator, AICPI_STRBUF_MAX);
    aicpi_body_patch(&text, answer.data, answer.len, w->patches, w->patch_count);
    return aicpi_strbuf_take(&text, out, err);
}

aicp_status aicp_gate_output(
    aicp_gate *g,
    aicp_gate_decision *d,
    const char *data,
    size_t len,
    aicp_buf *out,
    int32_t *verdict,
    aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_status status = check_arguments(g, d, data, len, verdict, err);
    if (status != AICP_OK) {
        return status;
    }
    *verdict = AICP_GATE_ALLOW;
    if (!d->profile) {
        return AICP_OK;
    }
    aicpi_work *w = aicpi_work_take(g, len);
    if (!w) {
        *verdict = AICP_GATE_DENY;
        return aicpi_nomem(err);
    }
    status = patch_answer(g, d, w, aicpi_slice_of(data, len), out, verdict, err);
    if (status != AICP_OK) {
        *verdict = AICP_GATE_DENY;
    }
    aicpi_work_give(g, w);
    return status;
}

/* ---- streams ---- */

aicp_status aicp_gate_stream_open(
    aicp_gate *g, aicp_gate_decision *d, aicp_gate_stream **out, aicp_error *err) {
    *out = NULL;
    int32_t unused = 0;
    aicp_status status = check_arguments(g, d, NULL, 0, &unused, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_gate_stream *s = aicpi_calloc(&g->allocator, 1, sizeof *s);
    if (!s) {
        return aicpi_nomem(err);
    }
    s->gate = g;
    s->decision = d;
    if (d->profile) {
        aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
        how.direction = AICP_GUARD_OUTPUT;
        how.session = d->session;
        status = aicp_guard_stream_open(d->profile, &how, &s->stream, err);
    }
    if (status != AICP_OK) {
        aicpi_free(&g->allocator, s);
        return status;
    }
    *out = s;
    return AICP_OK;
}

static aicp_status
feed(aicp_gate_stream *s, aicpi_slice piece, bool last, aicpi_strbuf *text, aicp_error *err) {
    size_t len = 0;
    aicp_status status = aicp_guard_stream_feed(s->stream, piece.data, piece.len, err);
    if (status != AICP_OK) {
        return status;
    }
    const char *released = aicp_guard_stream_released(s->stream, &len);
    aicpi_strbuf_append(text, released, len);
    if (last) {
        status = aicp_guard_stream_finish(s->stream, err);
        if (status == AICP_OK) {
            released = aicp_guard_stream_released(s->stream, &len);
            aicpi_strbuf_append(text, released, len);
        }
    }
    return status;
}

aicp_status aicp_gate_stream_feed(
    aicp_gate_stream *s,
    const char *data,
    size_t len,
    int32_t last,
    aicp_buf *out,
    int32_t *verdict,
    aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!s || !verdict || (!data && len > 0)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "stream, text or verdict is NULL");
    }
    if (s->ended) {
        return aicpi_fail(err, AICP_ERR_STATE, "the stream has ended");
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &s->gate->allocator, AICPI_STRBUF_MAX);
    *verdict = AICP_GATE_ALLOW;
    aicp_status status = AICP_OK;
    s->ended = last != 0;
    if (!s->stream) {
        aicpi_strbuf_append(&text, data, len);
    } else {
        status = feed(s, aicpi_slice_of(data, len), last != 0, &text, err);
        const aicp_guard_result *result = aicp_guard_stream_result(s->stream);
        if (status == AICP_OK && aicp_guard_result_action(result) == AICP_GUARD_BLOCK) {
            *verdict = AICP_GATE_DENY;
            s->ended = true;
            status = deny(s->decision, result, err);
        }
        if (s->ended && aicp_guard_result_match_count(result) > 0) {
            aicpi_event_output(s->gate, s->decision, result);
        }
    }
    if (status != AICP_OK) {
        *verdict = AICP_GATE_DENY;
        s->ended = true;
        aicpi_strbuf_deinit(&text);
        return status;
    }
    return aicpi_strbuf_take(&text, out, err);
}

void aicp_gate_stream_free(aicp_gate_stream *s) {
    if (!s) {
        return;
    }
    aicp_guard_stream_free(s->stream);
    aicpi_free(&s->gate->allocator, s);
}
