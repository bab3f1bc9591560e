/* The AST as Cedar's JSON. */
#include "lib/policy/forms.h"

#include "lib/base/text.h"
#include "lib/policy/extension.h"

#include "aicp/policy.h"

#include <inttypes.h>

static void write_str(aicpi_strbuf *out, const aicpi_policy_str *s) {
    aicpi_strbuf_json(out, s->data, s->len);
}

void aicpi_policy_est_write_uid(aicpi_strbuf *out, const aicpi_policy_uid *uid) {
    aicpi_strbuf_puts(out, "{\"type\":");
    write_str(out, uid->type);
    aicpi_strbuf_puts(out, ",\"id\":");
    write_str(out, uid->id);
    aicpi_strbuf_putc(out, '}');
}

/* `before` is the key with all that stands around it. */
static void write_member(aicpi_strbuf *out, const char *before, const aicpi_policy_expr *e) {
    aicpi_strbuf_puts(out, before);
    aicpi_policy_est_write_expr(out, e);
}

/* ---- expressions ---- */

static void write_const(aicpi_strbuf *out, const aicpi_policy_value *v) {
    aicpi_strbuf_puts(out, "{\"Value\":");
    switch (v->kind) {
    case AICPI_POLICY_BOOL:
        aicpi_strbuf_puts(out, v->u.boolean ? "true" : "false");
        break;
    case AICPI_POLICY_LONG:
        aicpi_strbuf_printf(out, "%" PRId64, v->u.integer);
        break;
    case AICPI_POLICY_STRING:
        write_str(out, v->u.string);
        break;
    default:
        aicpi_strbuf_puts(out, "{\"__entity\":");
        aicpi_policy_est_write_uid(out, v->u.entity);
        aicpi_strbuf_putc(out, '}');
        break;
    }
    aicpi_strbuf_putc(out, '}');
}

/* `a && b && c` is {"&&":{"left":{"&&":{"left":a,"right":b}},"right":c}}. */
static void write_chain(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    const aicpi_policy_operand *operands = e->u.operands;
    for (uint32_t i = e->count - 1; i > 0; i--) {
        const char *name = aicpi_policy_op_form_of(e->op, operands[i].minus)->json;
        aicpi_strbuf_printf(out, "{\"%s\":{\"left\":", name);
    }
    aicpi_policy_est_write_expr(out, operands[0].expr);
    for (uint32_t i = 1; i < e->count; i++) {
        write_member(out, ",\"right\":", operands[i].expr);
        aicpi_strbuf_puts(out, "}}");
    }
}

static void write_items(aicpi_strbuf *out, const char *name, const aicpi_policy_expr *e) {
    aicpi_strbuf_printf(out, "{\"%s\":[", name);
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? "," : "");
        aicpi_policy_est_write_expr(out, e->u.operands[i].expr);
    }
    aicpi_strbuf_puts(out, "]}");
}

static void write_record(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    aicpi_strbuf_puts(out, "{\"Record\":{");
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? "," : "");
        write_str(out, e->u.inits[i].key);
        aicpi_strbuf_putc(out, ':');
        aicpi_policy_est_write_expr(out, e->u.inits[i].expr);
    }
    aicpi_strbuf_puts(out, "}}");
}

static void write_has(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    aicpi_strbuf_puts(out, "{\"has\":{");
    write_member(out, "\"left\":", e->u.has.a);
    aicpi_strbuf_puts(out, e->count > 1 ? ",\"attr\":[" : ",\"attr\":");
    for (uint32_t i = 0; i < e->count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? "," : "");
        write_str(out, e->u.has.names[i]);
    }
    aicpi_strbuf_puts(out, e->count > 1 ? "]}}" : "}}");
}

/* One "Literal" for each character, as the reference writes it. */
static void write_literals(aicpi_strbuf *out, aicpi_slice piece, bool first) {
    for (size_t at = 0; at < piece.len; first = false) {
        uint32_t c = 0;
        size_t n = aicpi_utf8_decode(piece.data + at, piece.len - at, &c);
        aicpi_strbuf_puts(out, first ? "{\"Literal\":" : ",{\"Literal\":");
        aicpi_strbuf_json(out, piece.data + at, n);
        aicpi_strbuf_putc(out, '}');
        at += n;
    }
}

static void write_like(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    const aicpi_policy_pattern *pattern = e->u.like.pattern;
    bool first = true;
    aicpi_strbuf_puts(out, "{\"like\":{");
    write_member(out, "\"left\":", e->u.like.a);
    aicpi_strbuf_puts(out, ",\"pattern\":[");
    for (uint32_t i = 0; i < pattern->count; i++) {
        if (i > 0) {
            aicpi_strbuf_puts(out, first ? "\"Wildcard\"" : ",\"Wildcard\"");
            first = false;
        }
        write_literals(out, pattern->pieces[i], first);
        first = first && pattern->pieces[i].len == 0;
    }
    aicpi_strbuf_puts(out, "]}}");
}

static void write_is(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    aicpi_strbuf_puts(out, "{\"is\":{");
    write_member(out, "\"left\":", e->u.named.a);
    aicpi_strbuf_puts(out, ",\"entity_type\":");
    write_str(out, e->u.named.name);
    if (e->u.named.b) {
        write_member(out, ",\"in\":", e->u.named.b);
    }
    aicpi_strbuf_puts(out, "}}");
}

/* Operations whose style is in the table. */
static void write_styled(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    const aicpi_policy_op_form *form = aicpi_policy_op_form_of(e->op, false);
    if (form->style == AICPI_POLICY_STYLE_CHAIN) {
        write_chain(out, e);
        return;
    }
    bool unary = form->style == AICPI_POLICY_STYLE_PREFIX || form->style == AICPI_POLICY_STYLE_TEST;
    aicpi_strbuf_printf(out, "{\"%s\":{", form->json);
    write_member(out, unary ? "\"arg\":" : "\"left\":", e->u.of.a);
    if (!unary) {
        write_member(out, ",\"right\":", e->u.of.b);
    }
    aicpi_strbuf_puts(out, "}}");
}

void aicpi_policy_est_write_expr(aicpi_strbuf *out, const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_CONST:
        write_const(out, &e->u.value);
        break;
    case AICPI_POLICY_OP_VAR:
        aicpi_strbuf_printf(out, "{\"Var\":\"%s\"}", aicpi_policy_var_names[e->arg]);
        break;
    case AICPI_POLICY_OP_SET:
        write_items(out, "Set", e);
        break;
    case AICPI_POLICY_OP_CALL:
        write_items(out, aicpi_policy_fns[e->arg].name, e);
        break;
    case AICPI_POLICY_OP_RECORD:
        write_record(out, e);
        break;
    case AICPI_POLICY_OP_GET:
        aicpi_strbuf_puts(out, "{\".\":{");
        write_member(out, "\"left\":", e->u.named.a);
        aicpi_strbuf_puts(out, ",\"attr\":");
        write_str(out, e->u.named.name);
        aicpi_strbuf_puts(out, "}}");
        break;
    case AICPI_POLICY_OP_HAS:
        write_has(out, e);
        break;
    case AICPI_POLICY_OP_LIKE:
        write_like(out, e);
        break;
    case AICPI_POLICY_OP_IS:
        write_is(out, e);
        break;
    case AICPI_POLICY_OP_IF:
        aicpi_strbuf_puts(out, "{\"if-then-else\":{");
        write_member(out, "\"if\":", e->u.of.a);
        write_member(out, ",\"then\":", e->u.of.b);
        write_member(out, ",\"else\":", e->u.of.c);
        aicpi_strbuf_puts(out, "}}");
        break;
    default:
        write_styled(out, e);
        break;
    }
}

/* ---- policies ---- */

/* `"entity":…` or `"slot":…` */
static void write_target(aicpi_strbuf *out, const aicpi_policy_scope *scope, int var) {
    if (scope->entity) {
        aicpi_strbuf_puts(out, "\"entity\":");
        aicpi_policy_est_write_uid(out, scope->entity);
    } else {
        aicpi_strbuf_printf(out, "\"slot\":\"%s\"", aicpi_policy_slot_names[var]);
    }
}

static void write_scope(aicpi_strbuf *out, const aicpi_policy_scope *scope, int var) {
    static const char *const ops[] = {"All", "==", "in", "is", "is", "in"};
    aicpi_strbuf_printf(
        out, ",\"%s\":{\"op\":\"%s\"", aicpi_policy_var_names[var], ops[scope->kind]);
    switch (scope->kind) {
    case AICPI_POLICY_SCOPE_EQ:
    case AICPI_POLICY_SCOPE_IN:
        aicpi_strbuf_putc(out, ',');
        write_target(out, scope, var);
        break;
    case AICPI_POLICY_SCOPE_IS:
    case AICPI_POLICY_SCOPE_IS_IN:
        aicpi_strbuf_puts(out, ",\"entity_type\":");
        write_str(out, scope->type);
        if (scope->kind == AICPI_POLICY_SCOPE_IS_IN) {
            aicpi_strbuf_puts(out, ",\"in\":{");
            write_target(out, scope, var);
            aicpi_strbuf_putc(out, '}');
        }
        break;
    case AICPI_POLICY_SCOPE_IN_LIST:
        aicpi_strbuf_puts(out, ",\"entities\":[");
        for (uint32_t i = 0; i < scope->count; i++) {
            aicpi_strbuf_puts(out, i > 0 ? "," : "");
            aicpi_policy_est_write_uid(out, scope->list[i]);
        }
        aicpi_strbuf_putc(out, ']');
        break;
    default:
        break;
    }
    aicpi_strbuf_putc(out, '}');
}

static void write_annotations(aicpi_strbuf *out, const aicpi_policy_ast *ast) {
    aicpi_strbuf_puts(out, ",\"annotations\":{");
    for (uint32_t i = 0; i < ast->annotation_count; i++) {
        aicpi_strbuf_puts(out, i > 0 ? "," : "");
        write_str(out, ast->annotations[i].key);
        aicpi_strbuf_putc(out, ':');
        write_str(out, ast->annotations[i].value);
    }
    aicpi_strbuf_putc(out, '}');
}

void aicpi_policy_est_write_ast(
    aicpi_strbuf *out, const aicpi_policy_ast *ast, const aicpi_policy_scope scope[3]) {
    bool permit = ast->effect == AICP_POLICY_PERMIT;
    aicpi_strbuf_puts(out, permit ? "{\"effect\":\"permit\"" : "{\"effect\":\"forbid\"");
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        write_scope(out, &scope[var], var);
    }
    aicpi_strbuf_puts(out, ",\"conditions\":[");
    for (uint32_t i = 0; i < ast->condition_count; i++) {
        const aicpi_policy_condition *c = &ast->conditions[i];
        aicpi_strbuf_puts(out, i > 0 ? "," : "");
        aicpi_strbuf_puts(out, c->unless ? "{\"kind\":\"unless\"" : "{\"kind\":\"when\"");
        write_member(out, ",\"body\":", c->expr);
        aicpi_strbuf_putc(out, '}');
    }
    aicpi_strbuf_putc(out, ']');
    if (ast->annotation_count > 0) {
        write_annotations(out, ast);
    }
    aicpi_strbuf_putc(out, '}');
}
