#define AICPI_JSON_DEFINITIONS
#include "lib/base/json.h"

#include "lib/base/decimal.h"
#include "lib/base/hash.h"
#include "lib/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Keys seen in one open object. Small objects are compared one by one, larger ones through an
 * index. The lists stay with their depth and are reused by the next object there. */
typedef struct json_key {
    uint64_t hash;
    aicpi_slice text;
} json_key;

struct aicpi_json_keys {
    json_key *items;
    size_t count;
    size_t capacity;
    uint32_t *index; /* open addressing, item number + 1; NULL while small */
    size_t index_mask;
};

#define KEYS_LINEAR 12

void aicpi_json_init(
    aicpi_json *r, aicpi_arena *arena, const char *data, size_t len, uint32_t max_depth) {
    memset(r, 0, sizeof *r);
    r->data = data;
    r->len = len;
    r->arena = arena;
    r->max_depth = max_depth ? max_depth : AICPI_JSON_DEPTH;
}

bool aicpi_json_fail(aicpi_json *r, aicp_status code, size_t offset, const char *format, ...) {
    if (r->status != AICP_OK) {
        return false;
    }
    char text[AICP_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    const char *copy = aicpi_arena_strndup(r->arena, text, len);
    r->status = code;
    r->message = copy ? copy : "malformed JSON";
    r->error_pos = offset;
    return false;
}

static bool parse_error(aicpi_json *r, size_t offset, const char *message) {
    aicpi_json_fail(r, AICP_ERR_PARSE, offset, "%s", message);
    return false;
}

static bool out_of_memory(aicpi_json *r) {
    aicpi_json_fail(r, AICP_ERR_NOMEM, r->pos, "out of memory");
    return false;
}

static void skip_space(aicpi_json *r) {
    while (r->pos < r->len) {
        char c = r->data[r->pos];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return;
        }
        r->pos++;
    }
}

size_t aicpi_json_offset(aicpi_json *r) {
    skip_space(r);
    return r->pos;
}

static aicpi_json_type type_of(char c) {
    switch (c) {
    case '{':
        return AICPI_JSON_OBJECT;
    case '[':
        return AICPI_JSON_ARRAY;
    case '"':
        return AICPI_JSON_STRING;
    case 't':
    case 'f':
        return AICPI_JSON_BOOL;
    case 'n':
        return AICPI_JSON_NULL;
    default:
        return c == '-' || aicpi_is_digit(c) ? AICPI_JSON_NUMBER : AICPI_JSON_ERROR;
    }
}

aicpi_json_type aicpi_json_peek(aicpi_json *r) {
    if (r->status != AICP_OK) {
        return AICPI_JSON_ERROR;
    }
    skip_space(r);
    if (r->pos >= r->len) {
        parse_error(r, r->pos, "unexpected end of the JSON text");
        return AICPI_JSON_ERROR;
    }
    aicpi_json_type type = type_of(r->data[r->pos]);
    if (type == AICPI_JSON_ERROR) {
        parse_error(r, r->pos, "expected a JSON value");
    }
    return type;
}

static const char *const type_names[] = {
    "a value", "null", "true or false", "a number", "a string", "an array", "an object"};

static bool want(aicpi_json *r, aicpi_json_type type) {
    aicpi_json_type found = aicpi_json_peek(r);
    if (found == AICPI_JSON_ERROR) {
        return false;
    }
    if (found != type) {
        return aicpi_json_fail(
            r,
            AICP_ERR_PARSE,
            r->pos,
            "expected %s, found %s",
            type_names[type],
            type_names[found]);
    }
    return true;
}

static bool literal(aicpi_json *r, const char *text, size_t len) {
    if (r->len - r->pos < len || memcmp(r->data + r->pos, text, len) != 0) {
        return parse_error(r, r->pos, "expected a JSON value");
    }
    r->pos += len;
    return true;
}

bool aicpi_json_null(aicpi_json *r) {
    return want(r, AICPI_JSON_NULL) && literal(r, "null", 4);
}

bool aicpi_json_bool(aicpi_json *r, bool *out) {
    if (!want(r, AICPI_JSON_BOOL)) {
        return false;
    }
    bool value = r->data[r->pos] == 't';
    if (!(value ? literal(r, "true", 4) : literal(r, "false", 5))) {
        return false;
    }
    *out = value;
    return true;
}

static size_t digit_run(const aicpi_json *r, size_t pos) {
    size_t n = 0;
    while (pos + n < r->len && aicpi_is_digit(r->data[pos + n])) {
        n++;
    }
    return n;
}

bool aicpi_json_number(aicpi_json *r, aicpi_slice *decimal_text) {
    if (!want(r, AICPI_JSON_NUMBER)) {
        return false;
    }
    size_t start = r->pos;
    size_t p = start + (r->data[start] == '-');
    size_t whole = digit_run(r, p);
    if (whole == 0) {
        return parse_error(r, start, "expected a digit after the minus sign");
    }
    if (whole > 1 && r->data[p] == '0') {
        return parse_error(r, start, "a number must not start with 0");
    }
    p += whole;
    if (p < r->len && r->data[p] == '.') {
        size_t fraction = digit_run(r, p + 1);
        if (fraction == 0) {
            return parse_error(r, p, "expected a digit after the decimal point");
        }
        p += 1 + fraction;
    }
    if (p < r->len && (r->data[p] == 'e' || r->data[p] == 'E')) {
        size_t e = p + 1;
        e += e < r->len && (r->data[e] == '+' || r->data[e] == '-');
        size_t exponent = digit_run(r, e);
        if (exponent == 0) {
            return parse_error(r, p, "expected a digit in the exponent");
        }
        p = e + exponent;
    }
    *decimal_text = aicpi_slice_of(r->data + start, p - start);
    r->pos = p;
    return true;
}

bool aicpi_json_int64(aicpi_json *r, int64_t *out) {
    size_t start = aicpi_json_offset(r);
    aicpi_slice text;
    if (!aicpi_json_number(r, &text)) {
        return false;
    }
    if (memchr(text.data, '.', text.len) || memchr(text.data, 'e', text.len) ||
        memchr(text.data, 'E', text.len)) {
        return parse_error(r, start, "expected a whole number");
    }
    if (aicpi_decimal_parse(text, 0, out, NULL, NULL) != AICP_OK) {
        return aicpi_json_fail(r, AICP_ERR_RANGE, start, "number does not fit 64 bits");
    }
    return true;
}

bool aicpi_json_double(aicpi_json *r, double *out) {
    size_t start = aicpi_json_offset(r);
    aicpi_slice text;
    if (!aicpi_json_number(r, &text)) {
        return false;
    }
    char copy[64];
    if (text.len >= sizeof copy) {
        return aicpi_json_fail(r, AICP_ERR_LIMIT, start, "number has more than 63 characters");
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    double value = strtod(copy, NULL);
    if (value > 1.7976931348623157e308 || value < -1.7976931348623157e308) {
        return aicpi_json_fail(r, AICP_ERR_RANGE, start, "number is too large");
    }
    *out = value;
    return true;
}

/* ---- strings ---- */

/* Moves over bytes that need no attention: no quote, backslash, control character, or byte above
 * ASCII. */
static size_t plain_run(const char *data, size_t pos, size_t len) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    while (len - pos >= 8) {
        uint64_t w = 0;
        memcpy(&w, data + pos, sizeof w);
        uint64_t quote = w ^ (ones * '"');
        uint64_t slash = w ^ (ones * '\\');
        uint64_t found =
            ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (w - ones * 0x20) | w;
        if (found & highs) {
            break;
        }
        pos += 8;
    }
    while (pos < len) {
        unsigned char c = (unsigned char)data[pos];
        if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80) {
            break;
        }
        pos++;
    }
    return pos;
}

static bool hex4(const aicpi_json *r, size_t pos, uint32_t *out) {
    uint32_t v = 0;
    if (r->len - pos < 4) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        int digit = aicpi_hex_value(r->data[pos + i]);
        if (digit < 0) {
            return false;
        }
        v = v << 4 | (uint32_t)digit;
    }
    *out = v;
    return true;
}

/* One escape at pos (the backslash). Writes at most 4 bytes and returns their number, 0 on error.
 */
static size_t read_escape(aicpi_json *r, size_t *pos, char out[4]) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    size_t at = *pos;
    char c = at + 1 < r->len ? r->data[at + 1] : '\0';
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        out[0] = to[simple - from];
        *pos = at + 2;
        return 1;
    }
    uint32_t scalar = 0;
    if (c != 'u' || !hex4(r, at + 2, &scalar)) {
        parse_error(r, at, "unknown escape in a string");
        return 0;
    }
    *pos = at + 6;
    if (scalar >= 0xD800 && scalar <= 0xDBFF) {
        uint32_t low = 0;
        if (*pos + 1 >= r->len || r->data[*pos] != '\\' || r->data[*pos + 1] != 'u' ||
            !hex4(r, *pos + 2, &low) || low < 0xDC00 || low > 0xDFFF) {
            parse_error(r, at, "half of a surrogate pair in a string");
            return 0;
        }
        *pos += 6;
        scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00);
    } else if (scalar >= 0xDC00 && scalar <= 0xDFFF) {
        parse_error(r, at, "half of a surrogate pair in a string");
        return 0;
    }
    return aicpi_utf8_encode(scalar, out);
}

/* Finds the closing quote, checking everything on the way. *escapes says whether decoding is
 * needed. */
static bool check_string(aicpi_json *r, size_t start, size_t *end, bool *escapes) {
    size_t p = start;
    *escapes = false;
    for (;;) {
        p = plain_run(r->data, p, r->len);
        if (p >= r->len) {
            return parse_error(r, start - 1, "string has no closing quote");
        }
        unsigned char c = (unsigned char)r->data[p];
        if (c == '"') {
            *end = p;
            return true;
        }
        if (c == '\\') {
            char unused[4];
            *escapes = true;
            if (read_escape(r, &p, unused) == 0) {
                return false;
            }
        } else if (c < 0x20) {
            return parse_error(r, p, "control character in a string");
        } else {
            uint32_t scalar = 0;
            size_t n = aicpi_utf8_decode(r->data + p, r->len - p, &scalar);
            if (n == 0) {
                return parse_error(r, p, "invalid UTF-8 in a string");
            }
            p += n;
        }
    }
}

static bool decode_string(aicpi_json *r, size_t start, size_t end, aicpi_slice *out) {
    char *text = aicpi_arena_alloc(r->arena, end - start); /* escapes never grow */
    if (!text) {
        return out_of_memory(r);
    }
    size_t n = 0;
    for (size_t p = start; p < end;) {
        if (r->data[p] == '\\') {
            char bytes[4];
            size_t count = read_escape(r, &p, bytes);
            memcpy(text + n, bytes, count);
            n += count;
        } else {
            const char *slash = memchr(r->data + p, '\\', end - p);
            size_t run = slash ? (size_t)(slash - (r->data + p)) : end - p;
            memcpy(text + n, r->data + p, run);
            n += run;
            p += run;
        }
    }
    *out = aicpi_slice_of(text, n);
    return true;
}

bool aicpi_json_string(aicpi_json *r, aicpi_slice *out) {
    if (!want(r, AICPI_JSON_STRING)) {
        return false;
    }
    size_t start = r->pos + 1;
    size_t end = 0;
    bool escapes = false;
    if (!check_string(r, start, &end, &escapes)) {
        return false;
    }
    if (!escapes) {
        *out = aicpi_slice_of(r->data + start, end - start);
    } else if (!decode_string(r, start, end, out)) {
        return false;
    }
    r->pos = end + 1;
    return true;
}

/* ---- containers ---- */

/* The innermost open container. */
static aicpi_json_level *innermost(aicpi_json *r) {
    uint32_t at = r->depth - 1;
    return at < AICPI_JSON_DEPTH ? &r->levels[at] : &r->deeper[at - AICPI_JSON_DEPTH];
}

/* Room for one more level; those in the arena are cleared when they are first used. */
static bool push_level(aicpi_json *r) {
    if (r->depth >= AICPI_JSON_DEPTH) {
        size_t used = r->depth - AICPI_JSON_DEPTH;
        size_t before = r->deeper_capacity;
        if (!aicpi_arena_grow(
                r->arena, (void **)&r->deeper, &r->deeper_capacity, used, sizeof *r->deeper)) {
            return out_of_memory(r);
        }
        if (r->deeper_capacity > before) {
            memset(r->deeper + before, 0, (r->deeper_capacity - before) * sizeof *r->deeper);
        }
    }
    r->depth++;
    return true;
}

static bool open_container(aicpi_json *r, bool is_object) {
    if (r->depth >= r->max_depth) {
        return aicpi_json_fail(
            r, AICP_ERR_LIMIT, r->pos, "nested more than %u levels deep", (unsigned)r->max_depth);
    }
    if (!push_level(r)) {
        return false;
    }
    aicpi_json_level *level = innermost(r);
    level->first = true;
    level->is_object = is_object;
    if (is_object && level->keys) {
        level->keys->count = 0;
        level->keys->index = NULL;
    }
    r->pos++;
    return true;
}

bool aicpi_json_object(aicpi_json *r) {
    return want(r, AICPI_JSON_OBJECT) && open_container(r, true);
}

bool aicpi_json_array(aicpi_json *r) {
    return want(r, AICPI_JSON_ARRAY) && open_container(r, false);
}

/* Stands before the next item of the innermost container; false when it ended or on error. */
static bool next_item(aicpi_json *r, char close, const char *expected) {
    if (r->status != AICP_OK) {
        return false;
    }
    skip_space(r);
    bool *first = &innermost(r)->first;
    char c = r->pos < r->len ? r->data[r->pos] : '\0';
    if (c == close) {
        r->pos++;
        r->depth--;
        return false;
    }
    if (!*first) {
        if (r->pos >= r->len || c != ',') {
            return parse_error(r, r->pos, expected);
        }
        r->pos++;
        skip_space(r);
        if (r->pos < r->len && r->data[r->pos] == close) {
            return parse_error(r, r->pos, "a comma must be followed by another item");
        }
    }
    *first = false;
    return true;
}

static uint32_t *index_slot(const aicpi_json_keys *k, const json_key *key) {
    for (size_t i = (size_t)key->hash & k->index_mask;; i = (i + 1) & k->index_mask) {
        uint32_t n = k->index[i];
        if (n == 0 || (k->items[n - 1].hash == key->hash &&
                       aicpi_slice_eq(k->items[n - 1].text, key->text))) {
            return &k->index[i];
        }
    }
}

static bool build_index(aicpi_json *r, aicpi_json_keys *k) {
    size_t slots = 64;
    while (slots < k->count * 4) {
        slots *= 2;
    }
    k->index = aicpi_arena_calloc(r->arena, slots, sizeof *k->index);
    if (!k->index) {
        return out_of_memory(r);
    }
    k->index_mask = slots - 1;
    for (size_t i = 0; i < k->count; i++) {
        *index_slot(k, &k->items[i]) = (uint32_t)(i + 1);
    }
    return true;
}

/* Remembers a key; reports a duplicate. */
static bool note_key(aicpi_json *r, aicpi_slice text, size_t offset) {
    aicpi_json_keys **slot = &innermost(r)->keys;
    if (!*slot && !(*slot = aicpi_arena_calloc(r->arena, 1, sizeof **slot))) {
        return out_of_memory(r);
    }
    aicpi_json_keys *k = *slot;
    json_key key = {aicpi_hash(aicpi_hash_seed(), text.data, text.len), text};
    bool duplicate = false;
    if (k->count > KEYS_LINEAR) {
        if ((!k->index || k->count * 2 > k->index_mask) && !build_index(r, k)) {
            return false;
        }
        uint32_t *at = index_slot(k, &key);
        duplicate = *at != 0;
        *at = duplicate ? *at : (uint32_t)(k->count + 1);
    } else {
        for (size_t i = 0; i < k->count && !duplicate; i++) {
            duplicate = k->items[i].hash == key.hash && aicpi_slice_eq(k->items[i].text, text);
        }
    }
    if (duplicate) {
        return aicpi_json_fail(
            r,
            AICP_ERR_PARSE,
            offset,
            "duplicate key \"%.*s\"",
            (int)(text.len < 100 ? text.len : 100),
            text.data);
    }
    if (!aicpi_arena_grow(r->arena, (void **)&k->items, &k->capacity, k->count, sizeof key)) {
        return out_of_memory(r);
    }
    k->items[k->count++] = key;
    return true;
}

bool aicpi_json_member(aicpi_json *r, aicpi_slice *key) {
    if (!next_item(r, '}', "expected ',' or '}' in an object")) {
        return false;
    }
    size_t offset = r->pos;
    if (offset >= r->len || r->data[offset] != '"') {
        return parse_error(r, offset, "expected a key in double quotes");
    }
    if (!aicpi_json_string(r, key) || !note_key(r, *key, offset)) {
        return false;
    }
    skip_space(r);
    if (r->pos >= r->len || r->data[r->pos] != ':') {
        return parse_error(r, r->pos, "expected ':' after a key");
    }
    r->pos++;
    return true;
}

bool aicpi_json_element(aicpi_json *r) {
    return next_item(r, ']', "expected ',' or ']' in an array");
}

static bool skip_scalar(aicpi_json *r, aicpi_json_type type) {
    aicpi_slice text;
    bool flag = false;
    size_t end = 0;
    switch (type) {
    case AICPI_JSON_STRING: /* checked, not decoded */
        if (!check_string(r, r->pos + 1, &end, &flag)) {
            return false;
        }
        r->pos = end + 1;
        return true;
    case AICPI_JSON_NUMBER:
        return aicpi_json_number(r, &text);
    case AICPI_JSON_BOOL:
        return aicpi_json_bool(r, &flag);
    default:
        return aicpi_json_null(r);
    }
}

bool aicpi_json_skip(aicpi_json *r) {
    uint32_t base = r->depth;
    for (;;) {
        aicpi_json_type type = aicpi_json_peek(r);
        if (type == AICPI_JSON_ERROR) {
            return false;
        }
        bool container = type == AICPI_JSON_OBJECT || type == AICPI_JSON_ARRAY;
        if (!(container ? open_container(r, type == AICPI_JSON_OBJECT) : skip_scalar(r, type))) {
            return false;
        }
        bool more = false;
        while (r->depth > base && !more) {
            aicpi_slice key;
            more = innermost(r)->is_object ? aicpi_json_member(r, &key) : aicpi_json_element(r);
            if (r->status != AICP_OK) {
                return false;
            }
        }
        if (!more) {
            return true;
        }
    }
}

bool aicpi_json_span(aicpi_json *r, aicpi_slice *raw) {
    size_t start = aicpi_json_offset(r);
    if (!aicpi_json_skip(r)) {
        return false;
    }
    *raw = aicpi_slice_of(r->data + start, r->pos - start);
    return true;
}

aicp_status aicpi_json_finish(aicpi_json *r, aicp_error *err) {
    if (r->status == AICP_OK) {
        skip_space(r);
        if (r->pos < r->len) {
            parse_error(r, r->pos, "unexpected text after the JSON value");
        }
    }
    if (r->status == AICP_OK) {
        return AICP_OK;
    }
    return aicpi_fail_at(err, r->status, r->data, r->len, r->error_pos, "%s", r->message);
}
