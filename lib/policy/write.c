/* The AST as Cedar's text, on one line; the formatter lays it out. */
#include "lib/policy/forms.h"

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

/* Characters that cannot be seen, or that turn the direction of what stands around them. */
static bool is_hidden(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x61C ||
           (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

static void write_escape(aicpi_strbuf *out, uint32_t c) {
    static const char from[] = "\n\r\t\\\"";
    static const char to[] = "nrt\\\"";
    const char *simple = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (simple) {
        aicpi_strbuf_putc(out, '\\');
        aicpi_strbuf_putc(out, to[simple - from]);
    } else if (c == 0) {
        aicpi_strbuf_puts(out, "\\0");
    } else {
        aicpi_strbuf_printf(out, "\\u{%" PRIx32 "}", c);
    }
}

/* The inside of a string literal, or of a pattern, where a star needs a backslash. */
static void write_chars(aicpi_strbuf *out, aicpi_slice text, bool pattern) {
    size_t start = 0; /* of the run that is copied as it is */
    for (size_t at = 0; at < text.len;) {
        uint32_t c = 0;
        size_t n = aicpi_utf8_decode(text.data + at, text.len - at, &c);
        bool star = pattern && c == '*';
        if (star || c == '"' || c == '\\' || is_hidden(c)) {
            aicpi_strbuf_append(out, text.data + start, at - start);
            start = at + n;
            if (star) {
                aicpi_strbuf_puts(out, "\\*");
            } else {
                write_escape(out, c);
            }
        }
        at += n;
    }
    aicpi_strbuf_append(out, text.data + start, text.len - start);
}

static void write_string(aicpi_strbuf *out, aicpi_slice text) {
    aicpi_strbuf_putc(out, '"');
    write_chars(out, text, false);
    aicpi_strbuf_putc(out, '"');
}

static void write_str(aicpi_strbuf *out, const aicpi_policy_str *s) {
    aicpi_strbuf_append(out, s->data, s->len);
}

/* A name, in quotes when it is none. */
static void write_key(aicpi_strbuf *out, const aicpi_policy_str *key) {
    if (aicpi_policy_is_name(aicpi_policy_text(key))) {
        write_str(out, key);
    } else {
        write_string(out, aicpi_policy_text(key));
    }
}

static void write_uid(aicpi_strbuf *out, const aicpi_policy_uid *uid) {
    write_str(out, uid->type);
    aicpi_strbuf_puts(out, "::");
    write_string(out, aicpi_policy_text(uid->id));
}

static void write_pattern(aicpi_strbuf *out, const aicpi_policy_pattern *pattern) {
    aicpi_strbuf_putc(out, '"');
    for (uint32_t i = 0; i < pattern->count; i++) {
        if (i > 0) {
            aicpi_strbuf_putc(out, '*');
        }
        write_chars(out, pattern->pieces[i], true);
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
        write_string(out, aicpi_policy_text(v->u.string));
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
        write_key(out, e->u.inits[i].key);
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
        write_string(out, name);
        aicpi_strbuf_putc(out, ']');
    }
}

static void write_has(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    write_at(out, e->u.has.a, LEVEL_SUM);
    aicpi_strbuf_puts(out, " has ");
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? "." : "");
        write_key(out, e->u.has.names[i]);
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
        write_string(out, aicpi_policy_text(ast->annotations[i].value));
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
