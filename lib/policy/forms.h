/* The forms of policies: Cedar's text and Cedar's JSON, written from the AST and, the latter, read
 * into it. */
#ifndef AICPI_POLICY_FORMS_H
#define AICPI_POLICY_FORMS_H

#include "lib/base/strbuf.h"
#include "lib/policy/ast.h"
#include "lib/policy/intern.h"

/* How an operation is written. Its operands are `a` and `b`, or those of a list. */
enum {
    AICPI_POLICY_STYLE_OTHER = 0, /* in a way of its own */
    AICPI_POLICY_STYLE_CHAIN,     /* a && b && c */
    AICPI_POLICY_STYLE_PREFIX,    /* !a */
    AICPI_POLICY_STYLE_INFIX,     /* a == b */
    AICPI_POLICY_STYLE_TEST,      /* a.isEmpty() */
    AICPI_POLICY_STYLE_METHOD,    /* a.contains(b) */
};

typedef struct aicpi_policy_op_form {
    const char *text; /* in Cedar */
    const char *json; /* in JSON; NULL for a style of its own */
    uint8_t op;       /* AICPI_POLICY_OP_... */
    uint8_t style;
    bool minus; /* of AICPI_POLICY_OP_SUM: the operand is taken away */
} aicpi_policy_op_form;

/* The form of an operation, by `minus` that of a sum's operand; NULL for a style of its own. */
const aicpi_policy_op_form *aicpi_policy_op_form_of(uint8_t op, bool minus);
/* By its name in JSON; NULL when there is none. */
const aicpi_policy_op_form *aicpi_policy_op_form_find(aicpi_slice json);

extern const char *const aicpi_policy_var_names[AICPI_POLICY_VAR_COUNT];
/* The slot of each variable; NULL where there is none. */
extern const char *const aicpi_policy_slot_names[AICPI_POLICY_VAR_COUNT];

/* ---- writing; a buffer remembers that it failed ---- */

/* Cedar's text on one line. The recursion is limited because heights are. */
void aicpi_policy_write_expr(aicpi_strbuf *out, const aicpi_policy_expr *e);
/* `scope` is that of the policy, or of a link of it with its slots filled. */
void aicpi_policy_write_ast(
    aicpi_strbuf *out, const aicpi_policy_ast *ast, const aicpi_policy_scope scope[3]);

/* Cedar's JSON, compact. */
void aicpi_policy_est_write_expr(aicpi_strbuf *out, const aicpi_policy_expr *e);
void aicpi_policy_est_write_uid(aicpi_strbuf *out, const aicpi_policy_uid *uid);
void aicpi_policy_est_write_ast(
    aicpi_strbuf *out, const aicpi_policy_ast *ast, const aicpi_policy_scope scope[3]);

/* ---- reading JSON ---- */

typedef struct aicpi_policy_est {
    aicpi_policy_ast *asts; /* static policies and templates in the order of the text */
    size_t count;
    size_t links_start; /* where the array of links stands in the text; start == end: nowhere */
    size_t links_end;
} aicpi_policy_est;

/* Whether the text is JSON: its first significant character is a brace. */
bool aicpi_policy_is_est(const char *data, size_t len);
/* Reads a policy set or one policy from valid UTF-8. Results live in the arena of `in`; the ids are
 * the keys of the set, NULL for one policy. */
aicp_status aicpi_policy_est_read(
    const char *data,
    size_t len,
    aicpi_policy_intern *in,
    uint32_t max_depth,
    aicpi_policy_est *out,
    aicp_error *err);

#endif
