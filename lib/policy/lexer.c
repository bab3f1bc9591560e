#include "lib/policy/lexer.h"

#include "lib/base/text.h"

static bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static void skip_comment(aicpi_policy_lexer *x) {
    while (x->pos < x->len && x->data[x->pos] != '\n' && x->data[x->pos] != '\r') {
        x->pos++;
    }
}

static void skip_space(aicpi_policy_lexer *x) {
    while (x->pos < x->len) {
        unsigned char c = (unsigned char)x->data[x->pos];
        if (c == '/' && x->pos + 1 < x->len && x->data[x->pos + 1] == '/') {
            skip_comment(x);
        } else if (c < 0x80) {
            if (!is_space(c)) {
                return;
            }
            x->pos++;
        } else {
            uint32_t scalar = 0;
            size_t n = aicpi_utf8_decode(x->data + x->pos, x->len - x->pos, &scalar);
            if (n == 0 || !is_space(scalar)) {
                return;
            }
            x->pos += (uint32_t)n;
        }
    }
}

static bool is_name_start(char c) {
    return aicpi_is_alpha(c) || c == '_';
}

static void skip_name(aicpi_policy_lexer *x) {
    while (x->pos < x->len && (aicpi_is_alnum(x->data[x->pos]) || x->data[x->pos] == '_')) {
        x->pos++;
    }
}

static uint32_t bad(aicpi_policy_lexer *x, const char *wrong) {
    x->wrong = wrong;
    return AICPI_POLICY_TOKEN_BAD;
}

static uint32_t string_token(aicpi_policy_lexer *x) {
    for (uint32_t p = x->pos + 1; p < x->len; p++) {
        if (x->data[p] == '\\') {
            p++;
        } else if (x->data[p] == '"') {
            x->pos = p + 1;
            return AICPI_POLICY_TOKEN_STRING;
        }
    }
    return bad(x, "the string has no closing quote");
}

static uint32_t single(aicpi_policy_lexer *x, uint32_t type) {
    x->pos++;
    return type;
}

/* `two` when `second` follows, else `one`. */
static uint32_t maybe_double(aicpi_policy_lexer *x, char second, uint32_t one, uint32_t two) {
    bool twice = x->pos + 1 < x->len && x->data[x->pos + 1] == second;
    if (twice) {
        x->pos += 2;
        return two;
    }
    if (one != AICPI_POLICY_TOKEN_BAD) {
        x->pos++;
    }
    return one;
}

static uint32_t doubled(aicpi_policy_lexer *x, char second, uint32_t two, const char *wrong) {
    uint32_t type = maybe_double(x, second, AICPI_POLICY_TOKEN_BAD, two);
    return type == AICPI_POLICY_TOKEN_BAD ? bad(x, wrong) : type;
}

static uint32_t operator_token(aicpi_policy_lexer *x, char c) {
    switch (c) {
    case ':':
        return maybe_double(x, ':', AICPI_POLICY_TOKEN_COLON, AICPI_POLICY_TOKEN_PATH);
    case '<':
        return maybe_double(x, '=', AICPI_POLICY_TOKEN_LT, AICPI_POLICY_TOKEN_LE);
    case '>':
        return maybe_double(x, '=', AICPI_POLICY_TOKEN_GT, AICPI_POLICY_TOKEN_GE);
    case '!':
        return maybe_double(x, '=', AICPI_POLICY_TOKEN_NOT, AICPI_POLICY_TOKEN_NE);
    case '=':
        return doubled(x, '=', AICPI_POLICY_TOKEN_EQ, "'=' is not an operator; use '=='");
    case '|':
        return doubled(x, '|', AICPI_POLICY_TOKEN_OR, "'|' is not an operator; use '||'");
    case '&':
        return doubled(x, '&', AICPI_POLICY_TOKEN_AND, "'&' is not an operator; use '&&'");
    case '/':
        return bad(x, "there is no division; comments start with '//'");
    case '%':
        return bad(x, "there is no remainder operator");
    case '\'':
        return bad(x, "strings stand in double quotes");
    case '\xEF':
        if (x->len - x->pos >= 3 && memcmp(x->data + x->pos, "\xEF\xBB\xBF", 3) == 0) {
            return bad(x, "a byte order mark stands here, which policies must not have");
        }
        return bad(x, "unexpected character");
    default:
        return bad(x, "unexpected character");
    }
}

static uint32_t read_token(aicpi_policy_lexer *x) {
    static const uint8_t singles[128] = {
        ['@'] = AICPI_POLICY_TOKEN_AT,
        ['('] = AICPI_POLICY_TOKEN_LPAREN,
        [')'] = AICPI_POLICY_TOKEN_RPAREN,
        ['{'] = AICPI_POLICY_TOKEN_LBRACE,
        ['}'] = AICPI_POLICY_TOKEN_RBRACE,
        ['['] = AICPI_POLICY_TOKEN_LBRACKET,
        [']'] = AICPI_POLICY_TOKEN_RBRACKET,
        [','] = AICPI_POLICY_TOKEN_COMMA,
        [';'] = AICPI_POLICY_TOKEN_SEMICOLON,
        ['.'] = AICPI_POLICY_TOKEN_DOT,
        ['+'] = AICPI_POLICY_TOKEN_PLUS,
        ['-'] = AICPI_POLICY_TOKEN_MINUS,
        ['*'] = AICPI_POLICY_TOKEN_STAR};
    char c = x->data[x->pos];
    if (is_name_start(c)) {
        skip_name(x);
        return AICPI_POLICY_TOKEN_IDENT;
    }
    if (aicpi_is_digit(c)) {
        while (x->pos < x->len && aicpi_is_digit(x->data[x->pos])) {
            x->pos++;
        }
        return AICPI_POLICY_TOKEN_INT;
    }
    if (c == '"') {
        return string_token(x);
    }
    if (c == '?' && !x->schema && x->pos + 1 < x->len && is_name_start(x->data[x->pos + 1])) {
        x->pos++;
        skip_name(x);
        return AICPI_POLICY_TOKEN_SLOT;
    }
    if (x->schema && (c == '=' || c == '?')) {
        return single(x, c == '=' ? AICPI_POLICY_TOKEN_ASSIGN : AICPI_POLICY_TOKEN_QUESTION);
    }
    uint32_t type = (unsigned char)c < sizeof singles ? singles[(unsigned char)c] : 0;
    return type ? single(x, type) : operator_token(x, c);
}

aicpi_policy_token aicpi_policy_lexer_next(aicpi_policy_lexer *x) {
    skip_space(x);
    aicpi_policy_token token = {.start = x->pos};
    if (x->pos < x->len) {
        token.type = read_token(x);
    }
    token.end = x->pos;
    return token;
}
