/* The AST as Cedar's text, on one line; the formatter lays it out. */
#include "lib/policy/forms.h"
#include "lib/policy/quote.h"

#include "lib/base/text.h"
#include "lib/policy/extension.h"

#include "aicp/policy.h"

#include <inttypes.h>

#define UNARY_MOST 4 /* of one operator in a row */

/* How tightly an expression binds; what stands in a place that binds tighter needs parentheses. */
enum {
    LEVEL_IF,
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_RELATION,
    LEVEL_SUM,
    LEVEL_PRODUCT,
    LEVEL_UNARY,
    LEVEL_MEMBER,
};

static int level_of(const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_IF:
        return LEVEL_IF;
    case AICPI_POLICY_OP_OR:
        return LEVEL_OR;
    case AICPI_POLICY_OP_AND:
        return LEVEL_AND;
    case AICPI_POLICY_OP_SUM:
        return LEVEL_SUM;
    case AICPI_POLICY_OP_PRODUCT:
        return LEVEL_PRODUCT;
    case AICPI_POLICY_OP_NOT:
    case AICPI_POLICY_OP_NEG:
        return LEVEL_UNARY;
    case AICPI_POLICY_OP_CONST:
        return e->u.value.kind == AICPI_POLICY_LONG && e->u.value.u.integer < 0 ? LEVEL_UNARY
                                                                                : LEVEL_MEMBER;
    case AICPI_POLICY_OP_HAS:
    case AICPI_POLICY_OP_LIKE:
    case AICPI_POLICY_OP_IS:
        return LEVEL_RELATION;
    default: {
        const aicpi_policy_op_form *form = aicpi_policy_op_form_of(e->op, false);
        return form && form->style == AICPI_POLICY_STYLE_INFIX ? LEVEL_RELATION : LEVEL_MEMBER;
    }
    }
}

/* ---- texts ---- */

static void write_str(aicpi_strbuf *out, const aicpi_policy_str *s) {
    aicpi_strbuf_append(out, s->data, s->len);
}

static void write_uid(aicpi_strbuf *out, const aicpi_policy_uid *uid) {
    write_str(out, uid->type);
    aicpi_strbuf_puts(out, "::");
    aicpi_policy_quote(out, aicpi_policy_text(uid->id));
}

static void write_pattern(aicpi_strbuf *out, const aicpi_policy_pattern *pattern) {
    aicpi_strbuf_putc(out, '"');
    for (uint32_t i = 0; i < pattern->count; i++) {
        if (i > 0) {
            aicpi_strbuf_putc(out, '*');
        }
        aicpi_policy_quote_chars(out, pattern->pieces[i], true);
    }
    aicpi_strbuf_putc(out, '"');
}

/* ---- expressions ---- */

static void write_at(aicpi_strbuf *out, const aicpi_policy_expr *e, int least) {
    bool parentheses = level_of(e) < least;
    if (parentheses) {
        aicpi_strbuf_putc(out, '(');
    }
    aicpi_policy_write_expr(out, e);
    if (parentheses) {
        aicpi_strbuf_putc(out, ')');
    }
}

static void write_const(aicpi_strbuf *out, const aicpi_policy_value *v) {
    switch (v->kind) {
    case AICPI_POLICY_BOOL:
        aicpi_strbuf_puts(out, v->u.boolean ? "true" : "false");
        break;
    case AICPI_POLICY_LONG:
        aicpi_strbuf_printf(out, "%" PRId64, v->u.integer);
        break;
    case AICPI_POLICY_STRING:
        aicpi_policy_quote(out, aicpi_policy_text(v->u.string));
        break;
    default:
        write_uid(out, v->u.entity);
        break;
    }
}

/* `!!a`, and `-(1)`, because `-1` is a literal. */
static void write_prefix(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    uint8_t op = e->op;
    const char *text = aicpi_policy_op_form_of(op, false)->text;
    for (int i = 0; e->op == op && i < UNARY_MOST; i++) {
        aicpi_strbuf_puts(out, text);
        e = e->u.of.a;
    }
    bool literal = op == AICPI_POLICY_OP_NEG && e->op == AICPI_POLICY_OP_CONST &&
                   e->u.value.kind == AICPI_POLICY_LONG;
    write_at(out, e, literal ? LEVEL_MEMBER + 1 : LEVEL_MEMBER);
}

static void write_chain(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    int inside = level_of(e) + 1;
    for (uint32_t i = 0; i < e->count; i++) {
        const aicpi_policy_operand *operand = &e->u.operands[i];
        if (i > 0) {
            const char *text = aicpi_policy_op_form_of(e->op, operand->minus)->text;
            aicpi_strbuf_printf(out, " %s ", text);
        }
        write_at(out, operand->expr, inside);
    }
}

/* Elements or arguments from number `first` on. */
static void write_items(aicpi_strbuf *out, const aicpi_policy_expr *e, uint32_t first) {
    for (uint32_t i = first; i < e->count; i++) {
        aicpi_strbuf_puts(out, i > first ? ", " : "");
        aicpi_policy_write_expr(out, e->u.operands[i].expr);
    }
}

static void write_record(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    aicpi_strbuf_putc(out, '{');
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? ", " : "");
        aicpi_policy_quote_key(out, e->u.inits[i].key);
        aicpi_strbuf_puts(out, ": ");
        aicpi_policy_write_expr(out, e->u.inits[i].expr);
    }
    aicpi_strbuf_putc(out, '}');
}

/* A method stands behind its receiver, the first operand. */
static void write_call(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    const aicpi_policy_fn *fn = &aicpi_policy_fns[e->arg];
    if (fn->method) {
        write_at(out, e->u.operands[0].expr, LEVEL_MEMBER);
        aicpi_strbuf_putc(out, '.');
    }
    aicpi_strbuf_puts(out, fn->name);
    aicpi_strbuf_putc(out, '(');
    write_items(out, e, fn->method ? 1 : 0);
    aicpi_strbuf_putc(out, ')');
}

static void write_get(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    aicpi_slice name = aicpi_policy_text(e->u.named.name);
    write_at(out, e->u.named.a, LEVEL_MEMBER);
    if (aicpi_policy_is_name(name)) {
        aicpi_strbuf_putc(out, '.');
        aicpi_strbuf_append(out, name.data, name.len);
    } else {
        aicpi_strbuf_putc(out, '[');
        aicpi_policy_quote(out, name);
        aicpi_strbuf_putc(out, ']');
    }
}

static void write_has(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    write_at(out, e->u.has.a, LEVEL_SUM);
    aicpi_strbuf_puts(out, " has ");
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? "." : "");
        aicpi_policy_quote_key(out, e->u.has.names[i]);
    }
}

static void write_is(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    write_at(out, e->u.named.a, LEVEL_SUM);
    aicpi_strbuf_puts(out, " is ");
    write_str(out, e->u.named.name);
    if (e->u.named.b) {
        aicpi_strbuf_puts(out, " in ");
        write_at(out, e->u.named.b, LEVEL_SUM);
    }
}

static void write_if(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    aicpi_strbuf_puts(out, "if ");
    aicpi_policy_write_expr(out, e->u.of.a);
    aicpi_strbuf_puts(out, " then ");
    aicpi_policy_write_expr(out, e->u.of.b);
    aicpi_strbuf_puts(out, " else ");
    aicpi_policy_write_expr(out, e->u.of.c);
}

/* Operations whose style is in the table. */
static void write_styled(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    const aicpi_policy_op_form *form = aicpi_policy_op_form_of(e->op, false);
    switch (form->style) {
    case AICPI_POLICY_STYLE_CHAIN:
        write_chain(out, e);
        break;
    case AICPI_POLICY_STYLE_PREFIX:
        write_prefix(out, e);
        break;
    case AICPI_POLICY_STYLE_INFIX:
        write_at(out, e->u.of.a, LEVEL_SUM);
        aicpi_strbuf_printf(out, " %s ", form->text);
        write_at(out, e->u.of.b, LEVEL_SUM);
        break;
    default:
        write_at(out, e->u.of.a, LEVEL_MEMBER);
        aicpi_strbuf_printf(out, ".%s(", form->text);
        if (form->style == AICPI_POLICY_STYLE_METHOD) {
            aicpi_policy_write_expr(out, e->u.of.b);
        }
        aicpi_strbuf_putc(out, ')');
        break;
    }
}

void aicpi_policy_write_expr(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_CONST:
        write_const(out, &e->u.value);
        break;
    case AICPI_POLICY_OP_VAR:
        aicpi_strbuf_puts(out, aicpi_policy_var_names[e->arg]);
        break;
    case AICPI_POLICY_OP_SET:
        aicpi_strbuf_putc(out, '[');
        write_items(out, e, 0);
        aicpi_strbuf_putc(out, ']');
        break;
    case AICPI_POLICY_OP_RECORD:
        write_record(out, e);
        break;
    case AICPI_POLICY_OP_GET:
        write_get(out, e);
        break;
    case AICPI_POLICY_OP_HAS:
        write_has(out, e);
        break;
    case AICPI_POLICY_OP_LIKE:
        write_at(out, e->u.like.a, LEVEL_SUM);
        aicpi_strbuf_puts(out, " like ");
        write_pattern(out, e->u.like.pattern);
        break;
    case AICPI_POLICY_OP_IS:
        write_is(out, e);
        break;
    case AICPI_POLICY_OP_IF:
        write_if(out, e);
        break;
    case AICPI_POLICY_OP_CALL:
        write_call(out, e);
        break;
    default:
        write_styled(out, e);
        break;
    }
}

/* ---- policies ---- */

static void write_target(aicpi_strbuf *out, const aicpi_policy_scope *scope, int var) {
    if (scope->entity) {
        write_uid(out, scope->entity);
    } else {
        aicpi_strbuf_puts(out, aicpi_policy_slot_names[var]);
    }
}

static void write_list(aicpi_strbuf *out, const aicpi_policy_scope *scope) {
    aicpi_strbuf_puts(out, " in [");
    for (uint32_t i = 0; i < scope->count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? ", " : "");
        write_uid(out, scope->list[i]);
    }
    aicpi_strbuf_putc(out, ']');
}

static void write_scope(aicpi_strbuf *out, const aicpi_policy_scope *scope, int var) {
    uint8_t kind = scope->kind;
    aicpi_strbuf_puts(out, aicpi_policy_var_names[var]);
    if (kind == AICPI_POLICY_SCOPE_IN_LIST) {
        write_list(out, scope);
    }
    if (kind == AICPI_POLICY_SCOPE_IS || kind == AICPI_POLICY_SCOPE_IS_IN) {
        aicpi_strbuf_puts(out, " is ");
        write_str(out, scope->type);
    }
    if (kind == AICPI_POLICY_SCOPE_EQ || kind == AICPI_POLICY_SCOPE_IN ||
        kind == AICPI_POLICY_SCOPE_IS_IN) {
        aicpi_strbuf_puts(out, kind == AICPI_POLICY_SCOPE_EQ ? " == " : " in ");
        write_target(out, scope, var);
    }
}

void aicpi_policy_write_ast(
    aicpi_strbuf *out, const aicpi_policy_ast *ast, const aicpi_policy_scope scope[3]) {
    for (uint32_t i = 0; i < ast->annotation_count; i++) {
        aicpi_strbuf_putc(out, '@');
        write_str(out, ast->annotations[i].key);
        aicpi_strbuf_putc(out, '(');
        aicpi_policy_quote(out, aicpi_policy_text(ast->annotations[i].value));
        aicpi_strbuf_puts(out, ") ");
    }
    aicpi_strbuf_puts(out, ast->effect == AICP_POLICY_PERMIT ? "permit (" : "forbid (");
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        aicpi_strbuf_puts(out, var > 0 ? ", " : "");
        write_scope(out, &scope[var], var);
    }
    aicpi_strbuf_putc(out, ')');
    for (uint32_t i = 0; i < ast->condition_count; i++) {
        aicpi_strbuf_puts(out, ast->conditions[i].unless ? " unless { " : " when { ");
        aicpi_policy_write_expr(out, ast->conditions[i].expr);
        aicpi_strbuf_puts(out, " }");
    }
    aicpi_strbuf_putc(out, ';');
}
