/* Policy text to AST. parser.c reads policies, parser_expr.c expressions, parser_string.c string
 * and pattern literals. */
#ifndef AICPI_POLICY_PARSER_H
#define AICPI_POLICY_PARSER_H

#include "lib/policy/ast.h"
#include "lib/policy/intern.h"
#include "lib/policy/lexer.h"

#include "aicp/policy.h"

typedef struct aicpi_policy_parser {
    aicpi_policy_lexer lexer;
    aicpi_policy_token token; /* the one to be read next */
    aicpi_arena *arena;
    aicpi_policy_intern *intern;
    uint32_t max_depth;
    uint32_t depth;
    aicp_status status; /* of the first error; everything gives up once it is set */
    aicp_error *err;
} aicpi_policy_parser;

/* Reads all policies of a text, which must be valid UTF-8 and shorter than 4 GiB. The list is in
 * the arena. Ids are left NULL. */
aicp_status aicpi_policy_parse(aicpi_policy_parser *p, aicpi_policy_ast **out, size_t *count);

/* ---- shared by the parts of the parser; NULL or false mean that p->status is set ---- */

void aicpi_policy_advance(aicpi_policy_parser *p);
aicpi_slice aicpi_policy_token_text(const aicpi_policy_parser *p);
bool aicpi_policy_at_word(const aicpi_policy_parser *p, const char *word);
/* Reads over a token of that type; `expected` ("';' after the policy") is for the message. */
bool aicpi_policy_expect(aicpi_policy_parser *p, uint32_t type, const char *expected);
/* "expected ..., found ..." at the token at hand. */
void aicpi_policy_unexpected(aicpi_policy_parser *p, const char *expected);
void aicpi_policy_parse_fail(
    aicpi_policy_parser *p, aicp_status code, uint32_t pos, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
void aicpi_policy_parse_nomem(aicpi_policy_parser *p);

/* A name that is not reserved, read over. */
const aicpi_policy_str *aicpi_policy_parse_name(aicpi_policy_parser *p, const char *expected);
/* The rest of a path whose first name was read: an entity type, or, when `uid` is not NULL and the
 * path ends with a string, an entity (*uid set, else left NULL). */
const aicpi_policy_str *aicpi_policy_parse_path(
    aicpi_policy_parser *p, const aicpi_policy_str *first, const aicpi_policy_uid **uid);
/* An entity, Type::"id"; `expected` is for the message about its first name. */
const aicpi_policy_uid *aicpi_policy_parse_uid(aicpi_policy_parser *p, const char *expected);
/* Annotations at hand, perhaps none. */
bool aicpi_policy_parse_annotations(
    aicpi_policy_parser *p, const aicpi_policy_annotation **out, uint32_t *out_count);
/* The string token at hand, read over. */
const aicpi_policy_str *aicpi_policy_parse_string(aicpi_policy_parser *p);
const aicpi_policy_pattern *aicpi_policy_parse_pattern(aicpi_policy_parser *p);
const aicpi_policy_expr *aicpi_policy_parse_expr(aicpi_policy_parser *p);

#endif
