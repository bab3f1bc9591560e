/* Many requests in one call: JSON in, JSON out. */
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/strbuf.h"

#include "aicp/policy.h"

typedef struct batch {
    const aicp_policy_set *set;
    const aicp_policy_entities *entities;
    uint32_t flags; /* of authorize */
    aicp_policy_request *request;
    aicp_policy_response *response;
    aicpi_arena scratch;
    aicpi_strbuf out;
    size_t count;
    bool array;
    bool checked; /* by a schema, which the request holds */
} batch;

void aicp_policy_batch_options_init(aicp_policy_batch_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

/* ---- answers ---- */

static void put_text(aicpi_strbuf *b, const char *text) {
    aicpi_strbuf_json(b, text, strlen(text));
}

static void put_failures(aicpi_strbuf *b, const aicp_policy_response *r) {
    size_t count = aicp_policy_response_error_count(r);
    for (size_t i = 0; i < count; i++) {
        aicpi_strbuf_puts(b, i > 0 ? ",{\"policy\":" : "{\"policy\":");
        put_text(b, aicp_policy_response_error_id(r, i));
        aicpi_strbuf_puts(b, ",\"kind\":");
        put_text(b, aicp_policy_error_name(aicp_policy_response_error_kind(r, i)));
        aicpi_strbuf_puts(b, ",\"message\":");
        put_text(b, aicp_policy_response_error_message(r, i));
        aicpi_strbuf_printf(
            b,
            ",\"line\":%u,\"column\":%u}",
            (unsigned)aicp_policy_response_error_line(r, i),
            (unsigned)aicp_policy_response_error_column(r, i));
    }
}

static void put_answer(batch *b) {
    bool allowed = aicp_policy_response_decision(b->response) == AICP_POLICY_ALLOW;
    size_t reasons = aicp_policy_response_reason_count(b->response);
    aicpi_strbuf_puts(&b->out, allowed ? "{\"decision\":\"allow\"" : "{\"decision\":\"deny\"");
    if (!(b->flags & AICP_POLICY_DECISION_ONLY)) {
        aicpi_strbuf_puts(&b->out, ",\"reasons\":[");
        for (size_t i = 0; i < reasons; i++) {
            aicpi_strbuf_puts(&b->out, i > 0 ? "," : "");
            put_text(&b->out, aicp_policy_response_reason_id(b->response, i));
        }
        aicpi_strbuf_puts(&b->out, "],\"errors\":[");
        put_failures(&b->out, b->response);
        aicpi_strbuf_putc(&b->out, ']');
    }
    aicpi_strbuf_putc(&b->out, '}');
}

static void put_error(batch *b, const aicp_error *err) {
    aicpi_strbuf_puts(&b->out, "{\"error\":{\"code\":");
    put_text(&b->out, aicp_status_name(err->code));
    aicpi_strbuf_puts(&b->out, ",\"message\":");
    put_text(&b->out, err->message);
    aicpi_strbuf_printf(
        &b->out, ",\"line\":%u,\"column\":%u}}", (unsigned)err->line, (unsigned)err->column);
}

/* ---- requests ---- */

/* Answers the request in (text), which begins in that line and column of the whole. Only the want
 * of memory ends the run. */
static aicp_status
answer(batch *b, aicpi_slice text, uint32_t line, uint32_t column, aicp_error *err) {
    aicp_error why = {0};
    if (b->array && b->count > 0) {
        aicpi_strbuf_puts(&b->out, ",\n");
    }
    b->count++;
    aicp_policy_request_reset(b->request);
    aicp_status status = aicp_policy_request_set_json(b->request, text.data, text.len, &why);
    if (status == AICP_OK && b->checked) {
        status = aicp_policy_request_check(b->request, &why);
    }
    if (status == AICP_OK) {
        status =
            aicp_policy_authorize(b->set, b->entities, b->request, b->flags, b->response, &why);
    }
    if (status == AICP_ERR_NOMEM) {
        return aicpi_nomem(err);
    }
    if (status == AICP_OK) {
        put_answer(b);
    } else {
        why.column = why.line > 1 ? why.column : column + (why.line ? why.column - 1 : 0);
        why.line = line + (why.line ? why.line - 1 : 0);
        put_error(b, &why);
    }
    if (!b->array) {
        aicpi_strbuf_putc(&b->out, '\n');
    }
    return AICP_OK;
}

static bool is_blank(aicpi_slice text) {
    size_t i = 0;
    while (i < text.len && (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] == '\r')) {
        i++;
    }
    return i == text.len;
}

static aicp_status
answer_lines(batch *b, const char *data, size_t len, uint32_t line, aicp_error *err) {
    aicp_status status = AICP_OK;
    for (size_t at = 0; status == AICP_OK && at < len; line++) {
        const char *end = memchr(data + at, '\n', len - at);
        size_t n = end ? (size_t)(end - data) - at : len - at;
        aicpi_slice text = aicpi_slice_of(data + at, n);
        if (!is_blank(text)) {
            status = answer(b, text, line, 1, err);
        }
        at += n + 1;
    }
    return status;
}

/* Place of the reading in a text: line, and where that line starts. */
typedef struct place {
    size_t at;
    size_t start;
    uint32_t line;
} place;

static void move_to(place *p, const char *data, size_t at) {
    for (; p->at < at; p->at++) {
        if (data[p->at] == '\n') {
            p->line++;
            p->start = p->at + 1;
        }
    }
}

static aicp_status
answer_array(batch *b, const char *data, size_t len, uint32_t line, aicp_error *err) {
    aicpi_json json;
    aicp_status status = AICP_OK;
    place p = {.line = line};
    aicpi_json_init(&json, &b->scratch, data, len, 0);
    b->array = true;
    aicpi_strbuf_putc(&b->out, '[');
    if (aicpi_json_array(&json)) {
        while (status == AICP_OK && aicpi_json_element(&json)) {
            size_t at = aicpi_json_offset(&json);
            aicpi_slice text;
            if (aicpi_json_span(&json, &text)) {
                move_to(&p, data, at);
                status = answer(b, text, p.line, (uint32_t)(at - p.start) + 1, err);
            }
        }
    }
    aicpi_strbuf_puts(&b->out, "]\n");
    return status == AICP_OK ? aicpi_json_finish(&json, err) : status;
}

static aicp_status answer_all(
    batch *b, const aicp_policy_batch_options *o, const char *data, size_t len, aicp_error *err) {
    size_t at = 0;
    while (at < len && memchr(" \t\r\n", data[at], 4)) {
        at++;
    }
    uint32_t line = o->first_line > 0 ? o->first_line : 1;
    bool array = at < len && data[at] == '[' && !(o->flags & AICP_POLICY_LINES);
    return array ? answer_array(b, data, len, line, err) : answer_lines(b, data, len, line, err);
}

aicp_status aicp_policy_authorize_json(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_batch_options *options,
    const char *data,
    size_t len,
    aicp_buf *out,
    aicp_error *err) {
    aicp_policy_batch_options o;
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_status status =
        aicpi_options_copy(&o, sizeof o, options, "aicp_policy_batch_options", err);
    if (status != AICP_OK) {
        return status;
    }
    if (o.flags & ~(AICP_POLICY_DECISION_ONLY | AICP_POLICY_LINES)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "unknown flags 0x%x", (unsigned)o.flags);
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    batch b = {
        .set = set,
        .entities = entities,
        .flags = o.flags & AICP_POLICY_DECISION_ONLY,
        .checked = o.schema != NULL};
    aicpi_arena_init(&b.scratch, &a, 0, 0);
    aicpi_strbuf_init(&b.out, &a, AICPI_STRBUF_MAX);
    status = aicp_policy_request_new(&a, &b.request, err);
    if (status == AICP_OK) {
        status = aicp_policy_response_new(&a, &b.response, err);
    }
    if (status == AICP_OK) {
        aicp_policy_request_set_schema(b.request, o.schema);
        status = answer_all(&b, &o, data, len, err);
    }
    if (status == AICP_OK) {
        status = aicpi_strbuf_take(&b.out, out, err);
    }
    aicpi_strbuf_deinit(&b.out);
    aicpi_arena_deinit(&b.scratch);
    aicp_policy_request_free(b.request);
    aicp_policy_response_free(b.response);
    return status;
}
