/* Finds the texts of a JSON body that guardrails look at, and patches bodies in place. Works on
 * OpenAI chat completions, completions, embeddings and responses, on Anthropic messages, and on
 * their answers: every string is a text unless its key says that it is an id, a type or binary
 * data and it looks like one. A key alone proves nothing: who calls chooses both. */
#include "lib/gate/gate_internal.h"

/* Keys whose strings are names or ids. */
static const char *const identifiers[] = {
    "role",
    "type",
    "id",
    "object",
    "model",
    "tool_call_id",
    "tool_use_id",
    "call_id",
    "item_id",
    "file_id",
    "media_type",
    "mime_type",
    "format",
    "detail",
    "name",
    "status",
    "finish_reason",
    "stop_reason",
    "created",
    "cache_control",
    "system_fingerprint",
    "service_tier",
    "previous_response_id",
};

static const char *const addresses[] = {"url", "image_url", "file_url"};

/* Keys whose strings are Base64 or data URLs. Anthropic's "data" may also be plain text. */
static const char *const blobs[] = {
    "data", "file_data", "b64_json", "signature", "encrypted_content"};

/* Members that hold what a program made of a text: the keys in them mean nothing to us. */
static const char *const free_members[] = {"input", "arguments", "args", "response", "variables"};

/* Members that "extra_body" would put over those that were checked. */
static const char *const governed[] = {
    "model",
    "messages",
    "input",
    "prompt",
    "instructions",
    "system",
    "contents",
    "suffix",
    "query",
    "documents",
    "prediction",
    "systemInstruction",
    "system_instruction",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "n",
    "best_of",
    "stream",
    "tools",
    "functions",
    "extra_body"};

/* Members of a request that hold what is sent to the model. */
static const char *const request_members[] = {
    "messages",
    "input",
    "prompt",
    "instructions",
    "system",
    "contents",
    "suffix",
    "query",
    "documents",
    "prediction",
    "systemInstruction",
    "system_instruction"};

/* What the operator's program says of tools and of the form of the answer: descriptions, defaults
 * and examples in it go to the model as well. */
static const char *const form_members[] = {
    "response_format", "text", "output_format", "generationConfig", "generation_config"};

/* JSON Schema: strings under these keys are names of members or other schemas. */
static const char *const schema_names[] = {
    "required", "$ref", "$schema", "$id", "$anchor", "$dynamicRef", "propertyOrdering"};

/* What a tool on another server is opened with; it is meant for the provider. */
static const char *const credentials[] = {"headers", "authorization", "server_url"};

#define LISTED(list, key) listed(list, sizeof list / sizeof list[0], key)

static bool listed(const char *const *list, size_t count, aicpi_slice key) {
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(key, list[i])) {
            return true;
        }
    }
    return false;
}

#define IDENTIFIER_MAX 512
#define ADDRESS_MAX 8192
#define BLOB_MIN 64 /* shorter ones cost nothing to scan, and may be a card number */

/* Printable ASCII without white space; words of a sentence have some. */
static bool one_word(aicpi_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool is_base64(aicpi_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!digit && c != '+' && c != '/' && c != '-' && c != '_' && c != '=') {
            return false;
        }
    }
    return true;
}

static bool is_data_url(aicpi_slice text) {
    return text.len > 5 && memcmp(text.data, "data:", 5) == 0 &&
           memmem(text.data, text.len < 256 ? text.len : 256, ";base64,", 8) != NULL &&
           one_word(text);
}

/* True of a string that is no text of a person or a model. */
static bool not_text(aicpi_slice key, aicpi_slice text) {
    if (LISTED(identifiers, key)) {
        return text.len <= IDENTIFIER_MAX && memchr(text.data, '@', text.len) == NULL &&
               one_word(text);
    }
    if (LISTED(addresses, key)) {
        return is_data_url(text) ||
               (text.len <= ADDRESS_MAX && memchr(text.data, ':', text.len) && one_word(text));
    }
    if (LISTED(blobs, key)) {
        return is_data_url(text) || (text.len >= BLOB_MIN && is_base64(text));
    }
    return false;
}

/* Source that "role" or "type" of an object gives to the texts in it; -1: none. */
static int32_t source_of(aicpi_slice key, aicpi_slice value) {
    static const struct {
        const char *key;
        const char *value;
        int32_t source;
    } table[] = {
        {"role", "user", AICP_GUARD_USER},
        {"role", "system", AICP_GUARD_SYSTEM},
        {"role", "developer", AICP_GUARD_SYSTEM},
        {"role", "assistant", AICP_GUARD_SYSTEM},
        {"role", "model", AICP_GUARD_SYSTEM},
        {"role", "tool", AICP_GUARD_TOOL},
        {"role", "function", AICP_GUARD_TOOL},
        {"type", "tool_result", AICP_GUARD_TOOL},
        {"type", "function_call_output", AICP_GUARD_TOOL},
        {"type", "document", AICP_GUARD_FILE},
        {"type", "file", AICP_GUARD_FILE},
        {"type", "search_result", AICP_GUARD_RETRIEVED},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (aicpi_slice_is(key, table[i].key) && aicpi_slice_is(value, table[i].value)) {
            return table[i].source;
        }
    }
    return -1;
}

typedef struct frame {
    size_t first_text; /* texts from here on are inside this container */
    int32_t source;    /* what its role or type said; -1 */
    bool free;         /* a program's data: every string is a text */
} frame;

typedef struct walker {
    aicpi_json *r;
    aicpi_body *body;
    aicpi_arena *arena;
    uint32_t base;
    bool schema; /* inside a definition of a tool or of the answer's form */
    frame frames[AICPI_JSON_DEPTH];
} walker;

static bool add_text(walker *w, size_t offset, aicpi_slice text) {
    aicpi_body *b = w->body;
    if (text.len == 0) {
        return true;
    }
    if (b->text_count >= AICPI_BODY_TEXTS_MAX) {
        return aicpi_json_fail(
            w->r, AICP_ERR_LIMIT, offset, "more than %d texts in one body", AICPI_BODY_TEXTS_MAX);
    }
    if (!aicpi_arena_grow(
            w->arena, (void **)&b->texts, &b->text_capacity, b->text_count, sizeof *b->texts)) {
        return aicpi_json_fail(w->r, AICP_ERR_NOMEM, 0, "out of memory");
    }
    b->texts[b->text_count++] = (aicpi_text){offset, w->r->pos - offset, text, -1};
    return true;
}

/* A container ended: texts that nothing deeper claimed belong to what its role or type said. */
static void leave(walker *w, const frame *f) {
    for (size_t i = f->first_text; f->source >= 0 && i < w->body->text_count; i++) {
        if (w->body->texts[i].source < 0) {
            w->body->texts[i].source = f->source;
        }
    }
}

static bool walk_string(walker *w, aicpi_slice key, bool in_object) {
    size_t offset = aicpi_json_offset(w->r);
    aicpi_slice text;
    if (!aicpi_json_string(w->r, &text)) {
        return false;
    }
    bool free = w->r->depth > w->base && w->frames[w->r->depth - 1].free;
    if (in_object && !free && w->r->depth > w->base) {
        int32_t source = source_of(key, text);
        frame *f = &w->frames[w->r->depth - 1];
        /* "type": "tool_result" says more than the role of the message around it, never less */
        f->source = source >= 0 ? source : f->source;
    }
    if (in_object && !free && not_text(key, text)) {
        return true;
    }
    if (w->schema && LISTED(schema_names, key) && text.len <= IDENTIFIER_MAX && one_word(text) &&
        !memchr(text.data, '@', text.len)) {
        return true;
    }
    return add_text(w, offset, text);
}

/* Moves to the next value of the innermost open container that has one; false when the walk is
 * over. */
static bool advance(walker *w, aicpi_slice *key, bool *in_object) {
    aicpi_json *r = w->r;
    while (r->depth > w->base && aicpi_json_ok(r)) {
        uint32_t level = r->depth - 1;
        frame f = w->frames[level];
        *in_object = r->levels[level].is_object;
        bool more = *in_object ? aicpi_json_member(r, key) : aicpi_json_element(r);
        if (more) {
            return true;
        }
        leave(w, &f);
    }
    return false;
}

/* Walks the value at hand, whose key is `key`. An array of strings takes the key of the array. */
static void walk(walker *w, aicpi_slice key) {
    aicpi_json *r = w->r;
    bool in_object = true;
    aicpi_slice keys[AICPI_JSON_DEPTH];
    w->base = r->depth;
    do {
        aicpi_json_type type = aicpi_json_peek(r);
        if (type == AICPI_JSON_ERROR) {
            return;
        }
        if (type == AICPI_JSON_STRING) {
            walk_string(w, key, in_object || r->depth > w->base);
        } else if (type == AICPI_JSON_OBJECT || type == AICPI_JSON_ARRAY) {
            bool inside = r->depth > w->base;
            bool free = inside &&
                        (w->frames[r->depth - 1].free || (in_object && LISTED(free_members, key)));
            bool opened = type == AICPI_JSON_OBJECT ? aicpi_json_object(r) : aicpi_json_array(r);
            if (opened) {
                w->frames[r->depth - 1] = (frame){w->body->text_count, -1, free};
                keys[r->depth - 1] = key;
            }
        } else {
            aicpi_json_skip(r);
        }
        bool moved = advance(w, &key, &in_object);
        if (!moved) {
            return;
        }
        if (!in_object) {
            key = keys[r->depth - 1];
        }
    } while (aicpi_json_ok(r));
}

static void give_source(aicpi_body *body, size_t first, int32_t source) {
    for (size_t i = first; i < body->text_count; i++) {
        if (body->texts[i].source < 0) {
            body->texts[i].source = source;
        }
    }
}

static void add_tool(aicpi_json *r, aicpi_body *body, aicpi_slice name) {
    if (body->tool_count == AICPI_TOOLS_MAX) {
        aicpi_json_fail(r, AICP_ERR_LIMIT, r->pos, "more than %d tools", AICPI_TOOLS_MAX);
        return;
    }
    body->tools[body->tool_count++] = name;
}

/* Names of the tools offered: tools[].function.name and tools[].name, both when both are there
 * (which one counts is up to the provider); the type of one without a name ("web_search"). True
 * for a tool on another server ("mcp"). */
static bool read_tool(aicpi_json *r, aicpi_body *body) {
    aicpi_slice key;
    aicpi_slice name = {0};
    aicpi_slice kind = {0};
    size_t before = body->tool_count;
    uint32_t depth = r->depth;
    if (aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
        aicpi_json_skip(r);
        return false;
    }
    aicpi_json_object(r);
    while (r->depth > depth && aicpi_json_ok(r)) {
        if (!aicpi_json_member(r, &key)) {
            continue;
        }
        bool text = aicpi_json_peek(r) == AICPI_JSON_STRING;
        if (text && aicpi_slice_is(key, "name")) {
            if (aicpi_json_string(r, &name) && name.len > 0) {
                add_tool(r, body, name);
            }
        } else if (text && aicpi_slice_is(key, "type") && r->depth == depth + 1) {
            aicpi_json_string(r, &kind);
        } else if (
            aicpi_slice_is(key, "function") && r->depth == depth + 1 &&
            aicpi_json_peek(r) == AICPI_JSON_OBJECT) {
            aicpi_json_object(r);
        } else {
            aicpi_json_skip(r);
        }
    }
    if (body->tool_count == before && kind.len > 0) {
        add_tool(r, body, kind);
    }
    return aicpi_slice_is(kind, "mcp");
}

/* All of it, as the operator's words. */
static void walk_definition(walker *w, aicpi_slice key) {
    size_t first = w->body->text_count;
    w->schema = true;
    walk(w, key);
    w->schema = false;
    for (size_t i = first; i < w->body->text_count; i++) {
        w->body->texts[i].source = AICP_GUARD_SYSTEM;
    }
}

/* A tool is read twice: for its names, then for its texts. */
static void walk_tool(walker *w) {
    aicpi_json *r = w->r;
    size_t start = aicpi_json_offset(r);
    aicpi_slice key;
    bool remote = read_tool(r, w->body);
    if (!aicpi_json_ok(r)) {
        return;
    }
    r->pos = start;
    if (aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
        walk_definition(w, AICPI_SLICE("tool"));
        return;
    }
    aicpi_json_object(r);
    while (aicpi_json_member(r, &key)) {
        if (remote && LISTED(credentials, key)) {
            aicpi_json_skip(r);
        } else {
            walk_definition(w, key);
        }
    }
}

static void walk_tools(walker *w) {
    aicpi_json *r = w->r;
    if (aicpi_json_peek(r) != AICPI_JSON_ARRAY) {
        walk_definition(w, AICPI_SLICE("tools"));
        return;
    }
    aicpi_json_array(r);
    while (aicpi_json_element(r)) {
        walk_tool(w);
    }
}

/* A cap of the output. What is no whole number is refused: a provider might understand it. */
static void read_cap(aicpi_json *r, aicpi_body *body) {
    size_t offset = aicpi_json_offset(r);
    int64_t value = 0;
    bool none = aicpi_json_peek(r) == AICPI_JSON_NULL;
    if (!(none ? aicpi_json_null(r) : aicpi_json_int64(r, &value))) {
        return;
    }
    if (value < 0) {
        aicpi_json_fail(r, AICP_ERR_PARSE, offset, "a number of tokens cannot be negative");
        return;
    }
    body->capped = body->capped || !none;
    body->caps[body->cap_count++] =
        (aicpi_cap){aicpi_slice_of(r->data + offset, r->pos - offset), none};
}

/* "n" and "best_of". */
static void read_answers(aicpi_json *r) {
    size_t offset = aicpi_json_offset(r);
    int64_t value = 1;
    bool none = aicpi_json_peek(r) == AICPI_JSON_NULL;
    if ((none ? aicpi_json_null(r) : aicpi_json_int64(r, &value)) && value < 0) {
        aicpi_json_fail(r, AICP_ERR_PARSE, offset, "a number of answers cannot be negative");
    }
}

static void read_extra(walker *w) {
    aicpi_json *r = w->r;
    aicpi_slice key;
    if (aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
        aicpi_json_skip(r);
        return;
    }
    aicpi_json_object(r);
    while (aicpi_json_member(r, &key)) {
        if (LISTED(governed, key)) {
            aicpi_json_fail(
                r,
                AICP_ERR_PARSE,
                aicpi_json_offset(r),
                "\"extra_body\" must not hold \"%.*s\"; put it into the body itself",
                (int)key.len,
                key.data);
            return;
        }
        walk(w, key);
    }
}

static void read_texts(walker *w, aicpi_slice key) {
    aicpi_body *body = w->body;
    size_t first = body->text_count;
    bool trusted = aicpi_slice_is(key, "instructions") || aicpi_slice_is(key, "system") ||
                   aicpi_slice_is(key, "systemInstruction") ||
                   aicpi_slice_is(key, "system_instruction");
    bool retrieved = aicpi_slice_is(key, "documents");
    walk(w, key);
    give_source(
        body,
        first,
        trusted     ? AICP_GUARD_SYSTEM
        : retrieved ? AICP_GUARD_RETRIEVED
                    : AICP_GUARD_USER);
    if (aicpi_slice_is(key, "input") || aicpi_slice_is(key, "instructions")) {
        body->max_tokens_key = "max_output_tokens";
    }
}

static void read_member(walker *w, aicpi_slice key) {
    aicpi_json *r = w->r;
    aicpi_body *body = w->body;
    size_t offset = aicpi_json_offset(r);
    if (aicpi_slice_is(key, "model")) {
        if (aicpi_json_string(r, &body->model)) {
            body->model_token = aicpi_slice_of(r->data + offset, r->pos - offset);
        }
    } else if (aicpi_slice_is(key, "stream") && aicpi_json_peek(r) == AICPI_JSON_BOOL) {
        aicpi_json_bool(r, &body->stream);
    } else if (
        aicpi_slice_is(key, "max_tokens") || aicpi_slice_is(key, "max_completion_tokens") ||
        aicpi_slice_is(key, "max_output_tokens")) {
        read_cap(r, body);
    } else if (aicpi_slice_is(key, "n") || aicpi_slice_is(key, "best_of")) {
        read_answers(r);
    } else if (aicpi_slice_is(key, "tools") || aicpi_slice_is(key, "functions")) {
        walk_tools(w);
    } else if (LISTED(form_members, key)) {
        body->other_caps = body->other_caps || aicpi_slice_is(key, "generationConfig") ||
                           aicpi_slice_is(key, "generation_config");
        walk_definition(w, key);
    } else if (aicpi_slice_is(key, "inferenceConfig")) {
        body->other_caps = true;
        aicpi_json_skip(r);
    } else if (aicpi_slice_is(key, "extra_body")) {
        size_t first = body->text_count;
        read_extra(w);
        give_source(body, first, AICP_GUARD_USER);
    } else if (LISTED(request_members, key)) {
        read_texts(w, key);
    } else {
        aicpi_json_skip(r);
    }
}

aicp_status aicpi_body_read_request(
    aicpi_body *body, aicpi_arena *arena, const char *data, size_t len, aicp_error *err) {
    *body = (aicpi_body){.max_tokens_key = "max_tokens"};
    aicpi_json r;
    aicpi_slice key;
    aicpi_json_init(&r, arena, data, len, 0);
    walker w = {.r = &r, .body = body, .arena = arena};
    body->open_brace = aicpi_json_offset(&r);
    body->empty_object = true;
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            body->empty_object = false;
            read_member(&w, key);
        }
    }
    return aicpi_json_finish(&r, err);
}

aicp_status aicpi_body_read_answer(
    aicpi_body *body, aicpi_arena *arena, const char *data, size_t len, aicp_error *err) {
    *body = (aicpi_body){0};
    aicpi_json r;
    aicpi_json_init(&r, arena, data, len, 0);
    walker w = {.r = &r, .body = body, .arena = arena};
    walk(&w, AICPI_SLICE("answer"));
    give_source(body, 0, AICP_GUARD_USER);
    return aicpi_json_finish(&r, err);
}

void aicpi_body_patch(
    aicpi_strbuf *out, const char *data, size_t len, const aicpi_patch *patches, size_t count) {
    size_t done = 0;
    aicpi_strbuf_clear(out);
    for (size_t i = 0; i < count; i++) {
        const aicpi_patch *p = &patches[i];
        aicpi_strbuf_append(out, data + done, p->offset - done);
        if (p->as_string) {
            aicpi_strbuf_json(out, p->text.data, p->text.len);
        } else {
            aicpi_strbuf_append(out, p->text.data, p->text.len);
        }
        done = p->offset + p->len;
    }
    aicpi_strbuf_append(out, data + done, len - done);
}
