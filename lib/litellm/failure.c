/* LiteLLM's error bodies. Which shape comes depends on the endpoint and the release. */
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/litellm/litellm_internal.h"

/* Strings as they are, numbers as their text, null as absent; anything else as raw JSON. */
static void read_any(aicpi_json *r, aicpi_slice *out) {
    switch (aicpi_json_peek(r)) {
    case AICPI_JSON_STRING:
        aicpi_json_string(r, out);
        break;
    case AICPI_JSON_NUMBER:
        aicpi_json_number(r, out);
        break;
    case AICPI_JSON_NULL:
        aicpi_json_null(r);
        break;
    default:
        aicpi_json_span(r, out);
        break;
    }
}

static aicpi_slice *field_of(aicpi_litellm_failure *out, aicpi_slice name) {
    if (aicpi_slice_is(name, "message") || aicpi_slice_is(name, "error")) {
        return &out->message;
    }
    if (aicpi_slice_is(name, "type")) {
        return &out->type;
    }
    if (aicpi_slice_is(name, "code")) {
        return &out->code;
    }
    return aicpi_slice_is(name, "param") ? &out->param : NULL;
}

/* {"message", "type", "param", "code", ...} or {"error": "..."}. */
static void read_fields(aicpi_json *r, aicpi_litellm_failure *out) {
    aicpi_slice name;
    if (!aicpi_json_object(r)) {
        return;
    }
    while (aicpi_json_member(r, &name)) {
        aicpi_slice *field = field_of(out, name);
        if (!field) {
            aicpi_json_skip(r);
        } else if (aicpi_slice_is(name, "error") && aicpi_json_peek(r) == AICPI_JSON_OBJECT) {
            read_fields(r, out); /* depth is bounded by the reader */
        } else {
            read_any(r, field);
        }
    }
}

static void append(aicpi_strbuf *b, const char *before, aicpi_slice text) {
    if (text.len != 0) {
        aicpi_strbuf_puts(b, b->len ? before : "");
        aicpi_strbuf_append(b, text.data, text.len);
    }
}

/* One entry of a validation error: {"loc": ["body", "model"], "msg": "Field required", ...}. */
static void read_problem(aicpi_json *r, aicpi_strbuf *text, aicpi_litellm_failure *out) {
    aicpi_slice name;
    aicpi_slice message = {NULL, 0};
    aicpi_slice last = {NULL, 0};
    if (aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
        aicpi_json_skip(r);
        return;
    }
    aicpi_json_object(r);
    while (aicpi_json_member(r, &name)) {
        if (aicpi_slice_is(name, "msg")) {
            read_any(r, &message);
        } else if (aicpi_slice_is(name, "type")) {
            read_any(r, &out->type);
        } else if (aicpi_slice_is(name, "loc") && aicpi_json_peek(r) == AICPI_JSON_ARRAY) {
            aicpi_json_array(r);
            while (aicpi_json_element(r)) {
                read_any(r, &last);
            }
        } else {
            aicpi_json_skip(r);
        }
    }
    append(text, "; ", last);
    aicpi_strbuf_puts(text, last.len && message.len ? ": " : "");
    append(text, last.len ? "" : "; ", message);
    if (!out->param.data) {
        out->param = last;
    }
}

static void read_problems(aicpi_json *r, aicpi_litellm_failure *out) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &r->arena->allocator, 65536);
    aicpi_json_array(r);
    while (aicpi_json_element(r)) {
        read_problem(r, &text, out);
    }
    const char *copy = text.failed || !text.data
                           ? "request body refused"
                           : aicpi_arena_strndup(r->arena, text.data, text.len);
    aicpi_strbuf_deinit(&text);
    out->message = aicpi_slice_cstr(copy);
}

static void read_body_field(aicpi_json *r, aicpi_litellm_failure *out) {
    switch (aicpi_json_peek(r)) {
    case AICPI_JSON_OBJECT:
        read_fields(r, out);
        break;
    case AICPI_JSON_ARRAY:
        read_problems(r, out);
        break;
    default:
        read_any(r, &out->message);
        break;
    }
}

/* A message may be the text of a Python dictionary: {'error': 'what happened', ...}. Its first
 * value tells; the others are in the body. */
static aicpi_slice unwrap(aicpi_slice text) {
    static const char *const STARTS[] = {"{'error': ", "{'message': "};
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++) {
        size_t skip = strlen(STARTS[i]);
        if (text.len < skip + 3 || memcmp(text.data, STARTS[i], skip) != 0) {
            continue;
        }
        char quote = text.data[skip];
        const char *start = text.data + skip + 1;
        const char *end = text.data + text.len - 1;
        const char *stop = memchr(start, quote, (size_t)(end - start));
        bool plain = stop && !memchr(start, '\\', (size_t)(stop - start));
        if ((quote == '\'' || quote == '"') && plain && (stop[1] == '}' || stop[1] == ',')) {
            return aicpi_slice_of(start, (size_t)(stop - start));
        }
    }
    return text;
}

/* LiteLLM writes the text "None" for what it does not know. */
static void drop_none(aicpi_slice *text) {
    if (text->data && aicpi_slice_is(*text, "None")) {
        *text = aicpi_slice_of(NULL, 0);
    }
}

bool aicpi_litellm_failure_read(
    aicpi_arena *arena, const char *data, size_t len, aicpi_litellm_failure *out) {
    *out = (aicpi_litellm_failure){{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    aicpi_json r;
    aicpi_json_init(&r, arena, data, len, 0);
    aicpi_slice name;
    bool found = false;
    if (aicpi_json_peek(&r) != AICPI_JSON_OBJECT || !aicpi_json_object(&r)) {
        return false;
    }
    aicpi_litellm_failure outer = *out; /* of gateways that do not wrap: {"message": ...} */
    while (aicpi_json_member(&r, &name)) {
        bool known = aicpi_slice_is(name, "error") || aicpi_slice_is(name, "detail");
        aicpi_slice *field = field_of(&outer, name);
        if (known && aicpi_json_peek(&r) != AICPI_JSON_NULL) {
            found = true;
            read_body_field(&r, out);
        } else if (field) {
            read_any(&r, field);
        } else {
            aicpi_json_skip(&r);
        }
    }
    if (!found && outer.message.data) {
        found = true;
        *out = outer;
    }
    if (aicpi_json_finish(&r, NULL) != AICP_OK) {
        *out = (aicpi_litellm_failure){{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
        return false;
    }
    out->message = unwrap(out->message);
    drop_none(&out->type);
    drop_none(&out->code);
    drop_none(&out->param);
    return found;
}

aicp_status aicpi_litellm_status(int32_t http_status, aicpi_slice type) {
    if (type.data && aicpi_slice_is(type, "budget_exceeded")) {
        return AICP_ERR_BUDGET_EXCEEDED;
    }
    switch (http_status) {
    case 401:
    case 403:
        return AICP_ERR_LITELLM_AUTH;
    case 404:
        return AICP_ERR_NOT_FOUND;
    case 409:
        return AICP_ERR_EXISTS;
    case 429:
        return AICP_ERR_RATE_LIMITED;
    default:
        return http_status >= 500 ? AICP_ERR_LITELLM_SERVER : AICP_ERR_LITELLM_REQUEST;
    }
}

/* ---- other bodies --------------------------------------------------------------------------- */

#define DESCRIBE_MAX 200 /* bytes */

/* Where the text `wanted` (lower case) begins, in any case; NULL when it is not there. */
static const char *find_nocase(const char *at, const char *end, const char *wanted) {
    size_t len = strlen(wanted);
    for (; (size_t)(end - at) >= len; at++) {
        if (aicpi_slice_is_nocase(aicpi_slice_of(at, len), wanted)) {
            return at;
        }
    }
    return NULL;
}

/* Of a page its title, when it has one. */
static aicpi_slice narrow(aicpi_slice page) {
    const char *end = page.data + page.len;
    const char *title = find_nocase(page.data, end, "<title>");
    const char *stop = title ? find_nocase(title, end, "</title>") : NULL;
    return stop ? aicpi_slice_of(title + 7, (size_t)(stop - title) - 7) : page;
}

static bool is_blank(char c) {
    return (unsigned char)c <= ' ' || c == 0x7F;
}

/* One character, white space and control characters as one blank, bad bytes as '?'. Returns the
 * bytes read. */
static size_t put_clean(aicpi_strbuf *out, const char *at, size_t left) {
    uint32_t scalar = 0;
    if (is_blank(*at)) {
        if (out->len != 0 && out->data[out->len - 1] != ' ') {
            aicpi_strbuf_putc(out, ' ');
        }
        return 1;
    }
    size_t n = aicpi_utf8_decode(at, left, &scalar);
    aicpi_strbuf_append(out, n ? at : "?", n ? n : 1);
    return n ? n : 1;
}

void aicpi_litellm_describe(const char *data, size_t len, aicpi_strbuf *out) {
    size_t at = 0;
    while (at < len && is_blank(data[at])) {
        at++;
    }
    bool page = at < len && data[at] == '<';
    aicpi_slice text = aicpi_slice_of(data ? data + at : "", len - at);
    text = page ? narrow(text) : text;
    bool tag = false;
    for (at = 0; at < text.len && out->len < DESCRIBE_MAX && !out->failed;) {
        char c = text.data[at];
        tag = tag || (page && c == '<');
        if (!tag) {
            at += put_clean(out, text.data + at, text.len - at);
            continue;
        }
        tag = c != '>';
        at += tag ? 1 : put_clean(out, " ", 1); /* a tag parts words */
    }
    while (out->len != 0 && out->data[out->len - 1] == ' ') {
        out->data[--out->len] = '\0';
    }
    if (out->len == 0) {
        aicpi_strbuf_puts(out, page ? "page without text" : "empty body");
    }
}
