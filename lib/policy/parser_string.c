/* String and pattern literals. */
#include "lib/policy/parser.h"

#include "lib/base/text.h"

#define ESCAPE_DIGITS_MOST 6

typedef struct literal {
    aicpi_policy_parser *p;
    uint32_t pos; /* next byte */
    uint32_t end; /* the closing quote */
    bool pattern;
} literal;

static size_t bad_escape(literal *l, uint32_t at) {
    aicpi_policy_parse_fail(
        l->p,
        AICP_ERR_PARSE,
        at,
        "unknown escape in a string; known are \\n \\r \\t \\\\ \\0 \\' \\\" \\xHH \\u{H...}%s",
        l->pattern ? " \\*" : "");
    return 0;
}

static size_t hex_escape(literal *l, uint32_t at, char out[4]) {
    const char *data = l->p->lexer.data;
    if (l->end - l->pos < 2) {
        return bad_escape(l, at);
    }
    int high = aicpi_hex_value(data[l->pos]);
    int low = aicpi_hex_value(data[l->pos + 1]);
    if (high < 0 || high > 7 || low < 0) {
        aicpi_policy_parse_fail(
            l->p, AICP_ERR_PARSE, at, "expected two hex digits up to 7F after \\x");
        return 0;
    }
    l->pos += 2;
    out[0] = (char)(high << 4 | low);
    return 1;
}

static size_t unicode_escape(literal *l, uint32_t at, char out[4]) {
    const char *data = l->p->lexer.data;
    uint32_t scalar = 0;
    uint32_t digits = 0;
    bool closed = false;
    bool fine = l->pos < l->end && data[l->pos++] == '{';
    while (fine && !closed && l->pos < l->end) {
        char c = data[l->pos++];
        int value = aicpi_hex_value(c);
        if (c == '}') {
            closed = true;
        } else if (value >= 0 && digits < ESCAPE_DIGITS_MOST) {
            scalar = scalar << 4 | (uint32_t)value;
            digits++;
        } else {
            fine = c == '_' && digits > 0;
        }
    }
    if (!fine || !closed || digits == 0 || scalar > 0x10FFFF ||
        (scalar >= 0xD800 && scalar <= 0xDFFF)) {
        aicpi_policy_parse_fail(
            l->p,
            AICP_ERR_PARSE,
            at,
            "expected one to six hex digits of a character in braces after \\u");
        return 0;
    }
    return aicpi_utf8_encode(scalar, out);
}

/* Reads the escape whose backslash was read; number of bytes, 0 on error. */
static size_t read_escape(literal *l, char out[4]) {
    static const char from[] = "nrt\\0'\"";
    static const char to[] = {'\n', '\r', '\t', '\\', '\0', '\'', '"'};
    uint32_t at = l->pos - 1;
    char c = l->pos < l->end ? l->p->lexer.data[l->pos++] : '\0';
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        out[0] = to[simple - from];
        return 1;
    }
    if (c == 'x') {
        return hex_escape(l, at, out);
    }
    if (c == 'u') {
        return unicode_escape(l, at, out);
    }
    if (c == '*' && l->pattern) {
        out[0] = '*';
        return 1;
    }
    return bad_escape(l, at);
}

/* Decodes up to the end, or in a pattern to the next wildcard (which is read, *wildcard set).
 * `text` has room for the rest of the literal. */
static bool decode(literal *l, char *text, size_t *len, bool *wildcard) {
    const char *data = l->p->lexer.data;
    *len = 0;
    *wildcard = false;
    while (l->pos < l->end) {
        char c = data[l->pos++];
        if (c == '*' && l->pattern) {
            *wildcard = true;
            return true;
        }
        if (c == '\r') {
            aicpi_policy_parse_fail(
                l->p, AICP_ERR_PARSE, l->pos - 1, "carriage return in a string; write \\r");
            return false;
        }
        size_t n = 1;
        if (c == '\\') {
            n = read_escape(l, text + *len);
            if (n == 0) {
                return false;
            }
        } else {
            text[*len] = c;
        }
        *len += n;
    }
    return true;
}

/* Starts a literal; room for its decoded text, which is never longer than the source. */
static char *open_literal(aicpi_policy_parser *p, literal *l, bool pattern) {
    *l = (literal){.p = p, .pos = p->token.start + 1, .end = p->token.end - 1, .pattern = pattern};
    /* A short escape is written as four bytes at most, three more than it may have left. */
    char *room = aicpi_arena_alloc(p->arena, (size_t)(l->end - l->pos) + 4);
    if (!room) {
        aicpi_policy_parse_nomem(p);
    }
    return room;
}

const aicpi_policy_str *aicpi_policy_parse_string(aicpi_policy_parser *p) {
    aicpi_slice text = aicpi_policy_token_text(p);
    text = aicpi_slice_of(text.data + 1, text.len - 2);
    if (memchr(text.data, '\\', text.len) || memchr(text.data, '\r', text.len)) {
        literal l;
        bool wildcard = false;
        char *room = open_literal(p, &l, false);
        if (!room || !decode(&l, room, &text.len, &wildcard)) {
            return NULL;
        }
        text.data = room;
    }
    const aicpi_policy_str *s = aicpi_policy_intern_str(p->intern, text);
    if (!s) {
        aicpi_policy_parse_nomem(p);
        return NULL;
    }
    aicpi_policy_advance(p);
    return s;
}

const aicpi_policy_pattern *aicpi_policy_parse_pattern(aicpi_policy_parser *p) {
    literal l;
    char *room = open_literal(p, &l, true);
    aicpi_policy_pattern *pattern = aicpi_arena_alloc(p->arena, sizeof *pattern);
    aicpi_slice *pieces = NULL;
    size_t capacity = 0;
    size_t count = 0;
    bool wildcard = true;
    while (room && pattern && wildcard) {
        if (!aicpi_arena_grow(p->arena, (void **)&pieces, &capacity, count, sizeof *pieces)) {
            pattern = NULL;
            break;
        }
        pieces[count].data = room;
        if (!decode(&l, room, &pieces[count].len, &wildcard)) {
            return NULL;
        }
        room += pieces[count++].len;
    }
    if (!room || !pattern) {
        aicpi_policy_parse_nomem(p);
        return NULL;
    }
    *pattern = (aicpi_policy_pattern){.count = (uint32_t)count, .pieces = pieces};
    aicpi_policy_advance(p);
    return pattern;
}
