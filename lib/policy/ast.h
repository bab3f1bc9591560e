/* What a policy text says, as it was written: the form that the evaluator's program is compiled
 * from, and that the validator, the JSON form and the formatter work on. Everything lives in the
 * arena of its set.
 *
 * Operators that associate to the left are kept as one list of operands, so that a long chain is
 * not a deep tree. */
#ifndef AICPI_POLICY_AST_H
#define AICPI_POLICY_AST_H

#include "lib/policy/like.h"
#include "lib/policy/value.h"

enum {
    /* literals */
    AICPI_POLICY_OP_CONST, /* bool, long, string, entity; after compiling any constant */
    AICPI_POLICY_OP_VAR,
    AICPI_POLICY_OP_SET,
    AICPI_POLICY_OP_RECORD,
    /* unary: a */
    AICPI_POLICY_OP_NOT,
    AICPI_POLICY_OP_NEG,
    AICPI_POLICY_OP_IS_EMPTY,
    /* lists of operands */
    AICPI_POLICY_OP_OR,
    AICPI_POLICY_OP_AND,
    AICPI_POLICY_OP_SUM, /* each operand with + or - before it */
    AICPI_POLICY_OP_PRODUCT,
    /* binary: a, b */
    AICPI_POLICY_OP_EQ,
    AICPI_POLICY_OP_NE,
    AICPI_POLICY_OP_LT,
    AICPI_POLICY_OP_LE,
    AICPI_POLICY_OP_GT,
    AICPI_POLICY_OP_GE,
    AICPI_POLICY_OP_IN,
    AICPI_POLICY_OP_CONTAINS,
    AICPI_POLICY_OP_CONTAINS_ALL,
    AICPI_POLICY_OP_CONTAINS_ANY,
    AICPI_POLICY_OP_GET_TAG,
    AICPI_POLICY_OP_HAS_TAG,
    /* a and something that is not an expression */
    AICPI_POLICY_OP_GET,  /* a.name */
    AICPI_POLICY_OP_HAS,  /* a has name.name... */
    AICPI_POLICY_OP_LIKE, /* a like pattern */
    AICPI_POLICY_OP_IS,   /* a is name [in b] */
    /* others */
    AICPI_POLICY_OP_IF,   /* a, b, c */
    AICPI_POLICY_OP_CALL, /* extension function or method, receiver first */
};

enum {
    AICPI_POLICY_VAR_PRINCIPAL,
    AICPI_POLICY_VAR_ACTION,
    AICPI_POLICY_VAR_RESOURCE,
    AICPI_POLICY_VAR_CONTEXT,
    AICPI_POLICY_VAR_COUNT,
};

typedef struct aicpi_policy_expr aicpi_policy_expr;

/* Operand of a list; `pos` is the place of the operator before it. */
typedef struct aicpi_policy_operand {
    const aicpi_policy_expr *expr;
    uint32_t pos;
    bool minus;
} aicpi_policy_operand;

typedef struct aicpi_policy_init {
    const aicpi_policy_str *key;
    const aicpi_policy_expr *expr;
    uint32_t pos; /* of the key */
} aicpi_policy_init;

struct aicpi_policy_expr {
    uint8_t op;
    uint8_t arg;     /* variable or function */
    uint16_t height; /* of the tree below, with this one; limited */
    uint32_t pos;    /* byte offset of the operator, the name or the literal */
    uint32_t count;  /* of the list */
    union {
        aicpi_policy_value value;
        struct {
            const aicpi_policy_expr *a;
            const aicpi_policy_expr *b;
            const aicpi_policy_expr *c;
        } of;
        struct {
            const aicpi_policy_expr *a;
            const aicpi_policy_expr *b;
            const aicpi_policy_str *name;
        } named;
        struct {
            const aicpi_policy_expr *a;
            const aicpi_policy_str *const *names; /* count of them */
        } has;
        struct {
            const aicpi_policy_expr *a;
            const aicpi_policy_pattern *pattern;
        } like;
        const aicpi_policy_operand *operands; /* count of them: chains, sets, arguments */
        const aicpi_policy_init *inits;       /* count of them */
    } u;
};

/* One of the three parts of a policy's head. */
enum {
    AICPI_POLICY_SCOPE_ANY,
    AICPI_POLICY_SCOPE_EQ,
    AICPI_POLICY_SCOPE_IN,
    AICPI_POLICY_SCOPE_IS,
    AICPI_POLICY_SCOPE_IS_IN,
    AICPI_POLICY_SCOPE_IN_LIST, /* action only */
};

typedef struct aicpi_policy_scope {
    uint8_t kind;
    bool slot; /* the entity is a slot, to be filled by a link */
    uint32_t count;
    uint32_t pos; /* of the type or, without one, the entity or the list */
    const aicpi_policy_str *type;
    const aicpi_policy_uid *entity;
    const aicpi_policy_uid *const *list;
} aicpi_policy_scope;

typedef struct aicpi_policy_condition {
    bool unless;
    uint32_t pos;
    const aicpi_policy_expr *expr;
} aicpi_policy_condition;

#define AICPI_POLICY_ANNOTATIONS_MOST 256 /* in one place */

typedef struct aicpi_policy_annotation {
    const aicpi_policy_str *key;
    const aicpi_policy_str *value;
} aicpi_policy_annotation;

typedef struct aicpi_policy_ast {
    const aicpi_policy_str *id;
    int32_t effect;
    uint32_t pos;
    aicpi_policy_scope scope[3]; /* by AICPI_POLICY_VAR_... */
    uint32_t annotation_count;
    uint32_t condition_count;
    const aicpi_policy_annotation *annotations;
    const aicpi_policy_condition *conditions;
} aicpi_policy_ast;

static inline bool aicpi_policy_is_template(const aicpi_policy_ast *p) {
    return p->scope[AICPI_POLICY_VAR_PRINCIPAL].slot || p->scope[AICPI_POLICY_VAR_RESOURCE].slot;
}

#endif
