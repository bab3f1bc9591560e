/* Reads a JSON body into a countable request. Fields that are not understood are passed over: the
 * provider refuses what is malformed. */
#include "lib/cost/request.h"

#include "lib/base/decimal.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/text.h"

enum { MAX_PARTS_DEPTH = 4 };

typedef struct body {
    aicp_cost_request *request;
    aicpi_json r;
    bool embedding;     /* a field that only embeddings have */
    bool responses;     /* a field that only responses have */
    bool completion;    /* `prompt` was there */
    bool input_objects; /* `input` is a list of objects */
    bool has_input;
    int64_t prompts;
    int64_t n;
    int64_t best_of;
} body;

/* ---- helpers ---- */

static void push(body *b, aicpi_item item) {
    if (aicpi_json_ok(&b->r) && !aicpi_cost_request_add(b->request, item)) {
        (void)aicpi_json_fail(&b->r, AICP_ERR_NOMEM, b->r.pos, "out of memory");
    }
}

static void push_text(body *b, aicpi_item_kind kind, aicpi_slice text) {
    push(b, (aicpi_item){.kind = kind, .text = text});
}

static void skip_odd(body *b) {
    b->request->odd = b->request->odd || aicpi_json_peek(&b->r) != AICPI_JSON_NULL;
    (void)aicpi_json_skip(&b->r);
}

/* A string; anything else is passed over. */
static bool read_text(body *b, aicpi_slice *out) {
    *out = (aicpi_slice){NULL, 0};
    if (aicpi_json_peek(&b->r) != AICPI_JSON_STRING) {
        skip_odd(b);
        return false;
    }
    return aicpi_json_string(&b->r, out);
}

/* A whole number ≥ 0; -1 for anything else. */
static int64_t read_number(body *b) {
    aicpi_slice text;
    int64_t value = -1;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_NUMBER) {
        skip_odd(b);
        return -1;
    }
    if (!aicpi_json_number(&b->r, &text) ||
        aicpi_decimal_parse(text, 0, &value, NULL, NULL) != AICP_OK || value < 0) {
        return -1;
    }
    return value;
}

static void text_item(body *b, aicpi_item_kind kind) {
    aicpi_slice text;
    if (read_text(b, &text)) {
        push_text(b, kind, text);
    }
}

static int32_t detail_of(aicpi_slice text) {
    if (aicpi_slice_is(text, "low") || aicpi_slice_is(text, "MEDIA_RESOLUTION_LOW")) {
        return AICP_DETAIL_LOW;
    }
    if (aicpi_slice_is(text, "high")) {
        return AICP_DETAIL_HIGH;
    }
    return aicpi_slice_is(text, "original") ? AICP_DETAIL_ORIGINAL : AICP_DETAIL_AUTO;
}

/* ---- parts of content ---- */

/* Fields of a part, whatever its type. */
typedef struct part {
    aicpi_slice type;
    aicpi_slice url; /* of an image, or its base64 data */
    aicpi_slice media_type;
    aicpi_slice data; /* base64 of a source, of audio or of a file */
    aicpi_slice detail;
    bool image;
    bool audio;
    bool file;
} part;

static void read_content(body *b, int depth);

/* "image_url": a string or {url, detail}. */
static void read_image_url(body *b, part *p) {
    aicpi_slice key;
    p->image = true;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_OBJECT) {
        (void)read_text(b, &p->url);
        return;
    }
    if (!aicpi_json_object(&b->r)) {
        return;
    }
    while (aicpi_json_member(&b->r, &key)) {
        if (aicpi_slice_is(key, "url")) {
            (void)read_text(b, &p->url);
        } else if (aicpi_slice_is(key, "detail")) {
            (void)read_text(b, &p->detail);
        } else {
            (void)aicpi_json_skip(&b->r);
        }
    }
}

/* "source", "inline_data", "input_audio", "file": an object with data and perhaps a media type. */
static void read_source(body *b, part *p) {
    aicpi_slice key;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_OBJECT) {
        skip_odd(b);
        return;
    }
    if (!aicpi_json_object(&b->r)) {
        return;
    }
    while (aicpi_json_member(&b->r, &key)) {
        if (aicpi_slice_is(key, "data") || aicpi_slice_is(key, "file_data")) {
            (void)read_text(b, &p->data);
        } else if (
            aicpi_slice_is(key, "media_type") || aicpi_slice_is(key, "mime_type") ||
            aicpi_slice_is(key, "mimeType")) {
            (void)read_text(b, &p->media_type);
        } else if (aicpi_slice_is(key, "url")) {
            (void)read_text(b, &p->url);
        } else {
            (void)aicpi_json_skip(&b->r);
        }
    }
}

static bool read_media_field(body *b, aicpi_slice key, part *p) {
    if (aicpi_slice_is(key, "image_url")) {
        read_image_url(b, p);
    } else if (
        aicpi_slice_is(key, "source") || aicpi_slice_is(key, "inline_data") ||
        aicpi_slice_is(key, "inlineData")) {
        read_source(b, p);
    } else if (aicpi_slice_is(key, "input_audio")) {
        p->audio = true;
        read_source(b, p);
    } else if (aicpi_slice_is(key, "file")) {
        p->file = true;
        read_source(b, p);
    } else if (aicpi_slice_is(key, "file_data")) {
        p->file = true;
        (void)read_text(b, &p->data);
    } else {
        return false;
    }
    return true;
}

static bool is_text_field(aicpi_slice key) {
    static const char *const names[] = {
        "text", "thinking", "refusal", "arguments", "name", "output_text"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (aicpi_slice_is(key, names[i])) {
            return true;
        }
    }
    return false;
}

static void push_media(body *b, part *p) {
    static const char image_type[] = "image/";
    static const char audio_type[] = "audio/";
    int64_t bytes = (int64_t)(p->data.len / 4 * 3);
    bool typed = p->media_type.len > 6;
    p->image = p->image || aicpi_slice_is(p->type, "image") ||
               (typed && memcmp(p->media_type.data, image_type, 6) == 0);
    p->audio = p->audio || (typed && memcmp(p->media_type.data, audio_type, 6) == 0);
    if (p->image) {
        aicpi_slice picture = p->data.len > 0 ? p->data : p->url;
        aicpi_item item = {.kind = AICPI_ITEM_IMAGE, .detail = detail_of(p->detail)};
        if (!aicpi_cost_image_size(picture, &item.a, &item.b)) {
            item.a = item.b = 0;
        }
        push(b, item);
    } else if (p->audio) {
        push(b, (aicpi_item){.kind = AICPI_ITEM_AUDIO, .a = bytes});
    } else if (p->file || p->data.len > 0 || p->media_type.len > 0) {
        push(b, (aicpi_item){.kind = AICPI_ITEM_FILE, .a = bytes});
    }
}

/* JSON that a model sees as text: counted as it stands. */
static void push_span(body *b) {
    aicpi_slice raw;
    if (aicpi_json_peek(&b->r) == AICPI_JSON_STRING) {
        text_item(b, AICPI_ITEM_TEXT);
    } else if (aicpi_json_peek(&b->r) == AICPI_JSON_NULL) {
        (void)aicpi_json_skip(&b->r);
    } else if (aicpi_json_span(&b->r, &raw)) {
        push_text(b, AICPI_ITEM_TEXT, raw);
    }
}

static void read_part(body *b, int depth) {
    aicpi_slice key;
    part p = {0};
    if (aicpi_json_peek(&b->r) == AICPI_JSON_STRING) {
        text_item(b, AICPI_ITEM_TEXT);
        return;
    }
    if (aicpi_json_peek(&b->r) != AICPI_JSON_OBJECT) {
        skip_odd(b);
        return;
    }
    if (!aicpi_json_object(&b->r)) {
        return;
    }
    while (aicpi_json_member(&b->r, &key)) {
        if (aicpi_slice_is(key, "type")) {
            (void)read_text(b, &p.type);
        } else if (aicpi_slice_is(key, "detail")) {
            (void)read_text(b, &p.detail);
        } else if (is_text_field(key)) {
            text_item(b, AICPI_ITEM_TEXT);
        } else if (aicpi_slice_is(key, "content") || aicpi_slice_is(key, "summary")) {
            read_content(b, depth + 1);
        } else if (aicpi_slice_is(key, "input") || aicpi_slice_is(key, "args")) {
            push_span(b);
        } else if (aicpi_slice_is(key, "functionCall") || aicpi_slice_is(key, "functionResponse")) {
            push_span(b);
        } else if (!read_media_field(b, key, &p)) {
            (void)aicpi_json_skip(&b->r);
        }
    }
    push_media(b, &p);
}

/* A string, or a list of parts; null counts nothing. */
static void read_content(body *b, int depth) {
    switch (aicpi_json_peek(&b->r)) {
    case AICPI_JSON_STRING:
        text_item(b, AICPI_ITEM_TEXT);
        break;
    case AICPI_JSON_ARRAY:
        if (depth < MAX_PARTS_DEPTH) {
            if (aicpi_json_array(&b->r)) {
                while (aicpi_json_element(&b->r)) {
                    read_part(b, depth);
                }
            }
            break;
        }
        push_span(b);
        break;
    case AICPI_JSON_OBJECT:
        if (depth < MAX_PARTS_DEPTH) {
            read_part(b, depth);
            break;
        }
        push_span(b);
        break;
    default:
        skip_odd(b);
        break;
    }
}

/* ---- messages ---- */

/* {"name","arguments"}, also below "function". */
static void read_call(body *b, int depth) {
    aicpi_slice key;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_OBJECT) {
        skip_odd(b);
        return;
    }
    if (!aicpi_json_object(&b->r)) {
        return;
    }
    while (aicpi_json_member(&b->r, &key)) {
        if (aicpi_slice_is(key, "name") || aicpi_slice_is(key, "arguments")) {
            push_span(b);
        } else if (aicpi_slice_is(key, "function") && depth == 0) {
            read_call(b, depth + 1);
        } else {
            (void)aicpi_json_skip(&b->r);
        }
    }
}

static void read_calls(body *b) {
    if (aicpi_json_peek(&b->r) != AICPI_JSON_ARRAY) {
        skip_odd(b);
        return;
    }
    if (aicpi_json_array(&b->r)) {
        while (aicpi_json_element(&b->r)) {
            read_call(b, 0);
        }
    }
}

static void set_role(body *b, size_t message, aicpi_slice role) {
    b->request->items[message].text = role;
    if (aicpi_slice_is(role, "system") || aicpi_slice_is(role, "developer")) {
        b->request->has_system = true;
    }
}

static void read_message_field(body *b, aicpi_slice key, size_t message) {
    aicpi_slice text;
    if (aicpi_slice_is(key, "role")) {
        if (read_text(b, &text)) {
            set_role(b, message, text);
        }
    } else if (
        aicpi_slice_is(key, "content") || aicpi_slice_is(key, "parts") ||
        aicpi_slice_is(key, "output") || aicpi_slice_is(key, "summary")) {
        read_content(b, 0);
    } else if (aicpi_slice_is(key, "name")) {
        text_item(b, AICPI_ITEM_NAME);
    } else if (aicpi_slice_is(key, "tool_calls")) {
        read_calls(b);
    } else if (aicpi_slice_is(key, "function_call")) {
        read_call(b, 0);
    } else if (
        aicpi_slice_is(key, "tool_call_id") || aicpi_slice_is(key, "refusal") ||
        aicpi_slice_is(key, "reasoning_content") || aicpi_slice_is(key, "arguments")) {
        text_item(b, AICPI_ITEM_TEXT);
    } else {
        (void)aicpi_json_skip(&b->r);
    }
}

static void read_message(body *b) {
    aicpi_slice key;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_OBJECT) {
        skip_odd(b);
        return;
    }
    size_t message = b->request->count;
    push(b, (aicpi_item){.kind = AICPI_ITEM_MESSAGE});
    if (!aicpi_json_object(&b->r)) {
        return;
    }
    while (aicpi_json_member(&b->r, &key)) {
        read_message_field(b, key, message);
    }
}

static void read_messages(body *b) {
    if (aicpi_json_peek(&b->r) != AICPI_JSON_ARRAY) {
        skip_odd(b);
        return;
    }
    if (aicpi_json_array(&b->r)) {
        while (aicpi_json_element(&b->r)) {
            read_message(b);
        }
    }
}

/* "instructions", "system", "systemInstruction": a message of its own. */
static void read_system(body *b) {
    if (aicpi_json_peek(&b->r) == AICPI_JSON_NULL) {
        (void)aicpi_json_skip(&b->r);
        return;
    }
    push_text(b, AICPI_ITEM_MESSAGE, AICPI_SLICE("system"));
    b->request->has_system = true;
    if (aicpi_json_peek(&b->r) == AICPI_JSON_OBJECT) { /* {"parts":[...]} */
        aicpi_slice key;
        (void)aicpi_json_object(&b->r);
        while (aicpi_json_member(&b->r, &key)) {
            if (aicpi_slice_is(key, "parts")) {
                read_content(b, 0);
            } else {
                (void)aicpi_json_skip(&b->r);
            }
        }
        return;
    }
    read_content(b, 0);
}

/* ---- prompts and inputs ---- */

/* A list of token ids whose first element is at hand; counts one prompt. */
static void read_ids(body *b) {
    int64_t count = 0;
    do {
        count++;
        (void)aicpi_json_skip(&b->r);
    } while (aicpi_json_element(&b->r));
    push(b, (aicpi_item){.kind = AICPI_ITEM_TOKENS, .a = count});
}

/* An element of a list of prompts. */
static void read_prompt(body *b) {
    b->prompts++;
    switch (aicpi_json_peek(&b->r)) {
    case AICPI_JSON_STRING:
        text_item(b, AICPI_ITEM_PROMPT);
        break;
    case AICPI_JSON_ARRAY:
        if (aicpi_json_array(&b->r) && aicpi_json_element(&b->r)) {
            read_ids(b);
        }
        break;
    default:
        skip_odd(b);
        break;
    }
}

/* "prompt" or "input": a text, texts, ids, lists of ids, or (responses) messages. */
static void read_input(body *b) {
    if (aicpi_json_peek(&b->r) == AICPI_JSON_STRING) {
        b->prompts++;
        text_item(b, AICPI_ITEM_PROMPT);
        return;
    }
    if (aicpi_json_peek(&b->r) != AICPI_JSON_ARRAY) {
        skip_odd(b);
        return;
    }
    if (!aicpi_json_array(&b->r)) {
        return;
    }
    while (aicpi_json_element(&b->r)) {
        if (aicpi_json_peek(&b->r) == AICPI_JSON_NUMBER) {
            b->prompts++;
            read_ids(b);
            return;
        }
        if (aicpi_json_peek(&b->r) == AICPI_JSON_OBJECT) {
            b->input_objects = true;
            read_message(b);
        } else {
            read_prompt(b);
        }
    }
}

/* ---- the rest of the body ---- */

static void cap(body *b, int64_t value) {
    if (value > b->request->max_tokens) { /* of several the largest is what may come */
        b->request->max_tokens = value;
    }
}

/* {"maxOutputTokens": n} or {"maxTokens": n}. */
static void read_config(body *b) {
    aicpi_slice key;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_OBJECT) {
        skip_odd(b);
        return;
    }
    if (!aicpi_json_object(&b->r)) {
        return;
    }
    while (aicpi_json_member(&b->r, &key)) {
        if (aicpi_slice_is(key, "maxOutputTokens") || aicpi_slice_is(key, "maxTokens")) {
            cap(b, read_number(b));
        } else if (aicpi_slice_is(key, "candidateCount")) {
            b->n = read_number(b);
        } else {
            (void)aicpi_json_skip(&b->r);
        }
    }
}

/* "none", "auto", "required", {"type":"function","function":{"name"}} or {"name"}. */
static void read_choice(body *b, int depth) {
    aicpi_slice key;
    aicpi_slice text;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_OBJECT) {
        if (read_text(b, &text) && aicpi_slice_is(text, "none")) {
            b->request->choice = AICPI_CHOICE_NONE;
        }
        return;
    }
    if (!aicpi_json_object(&b->r)) {
        return;
    }
    while (aicpi_json_member(&b->r, &key)) {
        if (aicpi_slice_is(key, "name")) {
            if (read_text(b, &b->request->chosen)) {
                b->request->choice = AICPI_CHOICE_NAMED;
            }
        } else if (aicpi_slice_is(key, "function") && depth == 0) {
            read_choice(b, depth + 1);
        } else {
            (void)aicpi_json_skip(&b->r);
        }
    }
}

static void read_tools(body *b) {
    aicpi_slice raw;
    if (aicpi_json_peek(&b->r) != AICPI_JSON_ARRAY) {
        skip_odd(b);
        return;
    }
    if (aicpi_json_span(&b->r, &raw)) {
        push_text(b, AICPI_ITEM_TOOLS, raw);
    }
}

typedef enum field {
    FIELD_OTHER,
    FIELD_MODEL,
    FIELD_MESSAGES,
    FIELD_SYSTEM,
    FIELD_PROMPT,
    FIELD_INPUT,
    FIELD_TOOLS,
    FIELD_CHOICE,
    FIELD_CAP,
    FIELD_CONFIG,
    FIELD_N,
    FIELD_BEST_OF,
    FIELD_EMBEDDING,
    FIELD_RESPONSES,
} field;

static const struct {
    const char *name;
    field field;
} fields[] = {
    {"model", FIELD_MODEL},
    {"messages", FIELD_MESSAGES},
    {"contents", FIELD_MESSAGES},
    {"system", FIELD_SYSTEM},
    {"instructions", FIELD_SYSTEM},
    {"systemInstruction", FIELD_SYSTEM},
    {"system_instruction", FIELD_SYSTEM},
    {"prompt", FIELD_PROMPT},
    {"input", FIELD_INPUT},
    {"tools", FIELD_TOOLS},
    {"functions", FIELD_TOOLS},
    {"tool_choice", FIELD_CHOICE},
    {"function_call", FIELD_CHOICE},
    {"max_tokens", FIELD_CAP},
    {"max_completion_tokens", FIELD_CAP},
    {"max_output_tokens", FIELD_CAP},
    {"generationConfig", FIELD_CONFIG},
    {"generation_config", FIELD_CONFIG},
    {"inferenceConfig", FIELD_CONFIG},
    {"n", FIELD_N},
    {"best_of", FIELD_BEST_OF},
    {"encoding_format", FIELD_EMBEDDING},
    {"dimensions", FIELD_EMBEDDING},
    {"input_type", FIELD_EMBEDDING},
    {"reasoning", FIELD_RESPONSES},
    {"previous_response_id", FIELD_RESPONSES},
    {"store", FIELD_RESPONSES},
    {"include", FIELD_RESPONSES},
};

static field field_of(aicpi_slice key) {
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (aicpi_slice_is(key, fields[i].name)) {
            return fields[i].field;
        }
    }
    return FIELD_OTHER;
}

static void read_field(body *b, aicpi_slice key) {
    switch (field_of(key)) {
    case FIELD_MODEL:
        (void)read_text(b, &b->request->model);
        break;
    case FIELD_MESSAGES:
        read_messages(b);
        break;
    case FIELD_SYSTEM:
        b->responses = b->responses || aicpi_slice_is(key, "instructions");
        read_system(b);
        break;
    case FIELD_PROMPT:
        b->completion = true;
        read_input(b);
        break;
    case FIELD_INPUT:
        b->has_input = true;
        read_input(b);
        break;
    case FIELD_TOOLS:
        read_tools(b);
        break;
    case FIELD_CHOICE:
        read_choice(b, 0);
        break;
    case FIELD_CAP:
        b->responses = b->responses || aicpi_slice_is(key, "max_output_tokens");
        cap(b, read_number(b));
        break;
    case FIELD_CONFIG:
        read_config(b);
        break;
    case FIELD_N:
        b->n = read_number(b);
        break;
    case FIELD_BEST_OF:
        b->best_of = read_number(b);
        break;
    case FIELD_EMBEDDING:
        b->embedding = true;
        (void)aicpi_json_skip(&b->r);
        break;
    case FIELD_RESPONSES:
        b->responses = true;
        (void)aicpi_json_skip(&b->r);
        break;
    case FIELD_OTHER:
        (void)aicpi_json_skip(&b->r);
        break;
    }
}

/* A single text as `input` may be an embedding or a response: the model's name decides then. */
static bool names_embedding(aicpi_slice model) {
    static const char *const marks[] = {"embed", "moderation", "rerank"};
    for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++) {
        if (model.len > 0 && memmem(model.data, model.len, marks[k], strlen(marks[k])) != NULL) {
            return true;
        }
    }
    return false;
}

/* Anthropic's "cache_control": {"ttl": "1h"} may stand on any part; a false alarm only raises what
 * is reserved. */
static bool asks_long_cache(const char *data, size_t len) {
    static const char control[] = "\"cache_control\"";
    static const char hour[] = "\"1h\"";
    return len > 0 && memmem(data, len, control, sizeof control - 1) != NULL &&
           memmem(data, len, hour, sizeof hour - 1) != NULL;
}

static void settle(body *b) {
    aicp_cost_request *request = b->request;
    request->kind = AICP_CALL_CHAT;
    if (b->completion) {
        request->kind = AICP_CALL_COMPLETION;
    } else if (b->has_input) {
        bool embedding = !b->responses && !b->input_objects &&
                         (b->embedding || b->prompts > 1 || names_embedding(request->model));
        request->kind = embedding ? AICP_CALL_EMBEDDING : AICP_CALL_RESPONSES;
    }
    int64_t n = b->best_of > b->n ? b->best_of : b->n;
    n = n < 1 ? 1 : n;
    if (request->kind == AICP_CALL_COMPLETION && b->prompts > 1) {
        if (__builtin_mul_overflow(n, b->prompts, &n)) { /* every prompt has its answers */
            n = INT64_MAX;
        }
    }
    request->n = n;
    if (request->kind == AICP_CALL_RESPONSES && b->prompts > 0) {
        push_text(b, AICPI_ITEM_MESSAGE, AICPI_SLICE("user"));
    }
}

aicp_status
aicp_cost_request_parse(aicp_cost_request *request, const char *data, size_t len, aicp_error *err) {
    aicp_cost_request_reset(request);
    body b = {.request = request, .n = 1};
    aicpi_slice key;
    aicpi_json_init(&b.r, &request->arena, data, len, 0);
    if (aicpi_json_object(&b.r)) {
        while (aicpi_json_member(&b.r, &key)) {
            read_field(&b, key);
        }
    }
    settle(&b);
    request->long_cache = asks_long_cache(data, len);
    aicp_status status = aicpi_json_finish(&b.r, err);
    if (status != AICP_OK) {
        aicp_cost_request_reset(request);
    }
    return status;
}
