/* Cuts the text of policies, or of a schema, into tokens. */
#ifndef AICPI_POLICY_LEXER_H
#define AICPI_POLICY_LEXER_H

#include "lib/base/slice.h"

#include <stdint.h>

enum {
    AICPI_POLICY_TOKEN_END = 0,
    AICPI_POLICY_TOKEN_IDENT,
    AICPI_POLICY_TOKEN_INT,
    AICPI_POLICY_TOKEN_STRING, /* with its quotes, escapes not yet read */
    AICPI_POLICY_TOKEN_SLOT,   /* ?name */
    AICPI_POLICY_TOKEN_AT,
    AICPI_POLICY_TOKEN_LPAREN,
    AICPI_POLICY_TOKEN_RPAREN,
    AICPI_POLICY_TOKEN_LBRACE,
    AICPI_POLICY_TOKEN_RBRACE,
    AICPI_POLICY_TOKEN_LBRACKET,
    AICPI_POLICY_TOKEN_RBRACKET,
    AICPI_POLICY_TOKEN_COMMA,
    AICPI_POLICY_TOKEN_SEMICOLON,
    AICPI_POLICY_TOKEN_COLON,
    AICPI_POLICY_TOKEN_PATH, /* :: */
    AICPI_POLICY_TOKEN_DOT,
    AICPI_POLICY_TOKEN_OR,
    AICPI_POLICY_TOKEN_AND,
    AICPI_POLICY_TOKEN_EQ,
    AICPI_POLICY_TOKEN_NE,
    AICPI_POLICY_TOKEN_LT,
    AICPI_POLICY_TOKEN_LE,
    AICPI_POLICY_TOKEN_GT,
    AICPI_POLICY_TOKEN_GE,
    AICPI_POLICY_TOKEN_PLUS,
    AICPI_POLICY_TOKEN_MINUS,
    AICPI_POLICY_TOKEN_STAR,
    AICPI_POLICY_TOKEN_NOT,
    AICPI_POLICY_TOKEN_ASSIGN, /* = and ?, in a schema only */
    AICPI_POLICY_TOKEN_QUESTION,
    AICPI_POLICY_TOKEN_BAD, /* see lexer.wrong */
};

typedef struct aicpi_policy_token {
    uint32_t type;
    uint32_t start;
    uint32_t end;
} aicpi_policy_token;

typedef struct aicpi_policy_lexer {
    const char *data; /* valid UTF-8 */
    uint32_t len;
    uint32_t pos;
    bool schema;       /* the text is a schema */
    const char *wrong; /* of a bad token: what is wrong at its start */
} aicpi_policy_lexer;

aicpi_policy_token aicpi_policy_lexer_next(aicpi_policy_lexer *x);

#endif
