/* Why policies answered a request as they did, as JSON. */
#include "lib/policy/authorize.h"
#include "lib/policy/flip.h"
#include "lib/policy/fold.h"
#include "lib/policy/forms.h"
#include "lib/policy/lift.h"

#include "lib/base/error.h"

/* Bytes of a value's text that are shown. */
#define VALUE_MOST 512

typedef struct explainer {
    const aicp_policy_set *set;
    aicpi_policy_eval x;
    aicp_policy_response *response;
    aicp_policy_response *tried; /* of changed requests */
    aicpi_arena arena;           /* of one policy */
    aicpi_policy_intern intern;
    aicpi_policy_flipper flipper;
    aicpi_strbuf out;
    aicpi_strbuf text;
    size_t passed_over;
    uint32_t flags;
} explainer;

enum { SATISFIED, NOT_SATISFIED, NOT_APPLICABLE, FAILED };

/* What became of one policy. */
typedef struct finding {
    size_t nth;
    const aicpi_policy_rule *rule;
    int outcome;
    bool fits[3];
    const aicpi_policy_condition *clause; /* the one that decided; NULL: none */
} finding;

/* A part of a condition with the value that it must have for the policy to be satisfied. */
typedef struct demand {
    const aicpi_policy_expr *expr;
    bool want;
} demand;

/* ---- pieces of JSON ---- */

static void put_cstr(aicpi_strbuf *b, const char *text) {
    aicpi_strbuf_json(b, text, strlen(text));
}

static void put_member(explainer *e, const char *key, const char *text) {
    aicpi_strbuf_printf(&e->out, ",\"%s\":", key);
    put_cstr(&e->out, text);
}

static void put_text(explainer *e, size_t most) {
    aicpi_strbuf *text = &e->text;
    size_t len = text->len;
    if (len > most) {
        for (len = most; len > 0 && (text->data[len] & 0xC0) == 0x80;) {
            len--;
        }
        text->len = len;
        aicpi_strbuf_puts(text, "...");
        len = text->len;
    }
    aicpi_strbuf_json(&e->out, text->failed ? "" : text->data, text->failed ? 0 : len);
    e->out.failed |= text->failed;
    e->out.full |= text->full;
}

static void put_expr(explainer *e, const aicpi_policy_expr *expr) {
    aicpi_strbuf_clear(&e->text);
    aicpi_policy_write_expr(&e->text, expr);
    put_text(e, SIZE_MAX);
}

static void put_value(explainer *e, aicpi_policy_value v) {
    const aicpi_policy_expr *expr = aicpi_policy_lift(&e->intern, v, 0);
    aicpi_strbuf_clear(&e->text);
    if (expr) {
        aicpi_policy_write_expr(&e->text, expr);
    } else {
        aicpi_policy_eval_nomem(&e->x);
    }
    put_text(e, VALUE_MOST);
}

static void put_place(explainer *e, uint32_t pos) {
    uint32_t line = 0;
    uint32_t column = 0;
    aicpi_policy_set_place(e->set, pos, &line, &column);
    aicpi_strbuf_printf(&e->out, "\"line\":%u,\"column\":%u", (unsigned)line, (unsigned)column);
}

/* ---- one policy ---- */

static aicpi_policy_value run(explainer *e, const aicpi_policy_expr *expr) {
    const aicpi_policy_node *n = aicpi_policy_compile(e->x.scratch, expr);
    return n ? aicpi_policy_eval_node(&e->x, n) : aicpi_policy_eval_nomem(&e->x);
}

static void find(explainer *e, size_t nth, finding *f) {
    aicpi_policy_eval *x = &e->x;
    const aicpi_policy_rule *rule = &e->set->rules[nth];
    *f = (finding){.nth = nth, .rule = rule, .outcome = SATISFIED};
    for (int var = 0; var < 3; var++) {
        f->fits[var] = aicpi_policy_fits(x, x->vars[var].u.entity, &rule->scope[var]);
        f->outcome = f->fits[var] ? f->outcome : NOT_APPLICABLE;
    }
    for (uint32_t i = 0; i < rule->test_count && f->outcome == SATISFIED; i++) {
        const aicpi_policy_test *test = &rule->tests[i];
        aicpi_policy_value v = aicpi_policy_eval_node(x, test->node);
        bool fine = v.kind == AICPI_POLICY_BOOL;
        if (!fine && v.kind) {
            aicpi_policy_eval_type_error(x, test->node->pos, "bool", v);
        }
        if (!fine || v.u.boolean == test->unless) {
            f->outcome = fine ? NOT_SATISFIED : FAILED;
            f->clause = &rule->ast->conditions[i];
        }
    }
}

/* The innermost part of `d` that alone made it have the value that it has, `value`. */
static const aicpi_policy_expr *
find_cause(explainer *e, const aicpi_policy_expr *expr, bool *value) {
    for (;;) {
        bool chain = expr->op == (*value ? AICPI_POLICY_OP_OR : AICPI_POLICY_OP_AND);
        if (expr->op == AICPI_POLICY_OP_NOT) {
            expr = expr->u.of.a;
            *value = !*value;
        } else if (expr->op == AICPI_POLICY_OP_IF) {
            aicpi_policy_value guard = run(e, expr->u.of.a);
            if (guard.kind != AICPI_POLICY_BOOL) {
                return expr;
            }
            expr = guard.u.boolean ? expr->u.of.b : expr->u.of.c;
        } else if (chain) {
            uint32_t i = 0;
            aicpi_policy_value v = aicpi_policy_of_none();
            for (; i < expr->count; i++) {
                v = run(e, expr->u.operands[i].expr);
                if (v.kind != AICPI_POLICY_BOOL || v.u.boolean == *value) {
                    break;
                }
            }
            if (i == expr->count || v.kind != AICPI_POLICY_BOOL) {
                return expr;
            }
            expr = expr->u.operands[i].expr;
        } else {
            return expr;
        }
    }
}

/* Where an expression begins: that of an operator stands between its operands. */
static uint32_t start_of(const aicpi_policy_expr *expr) {
    uint32_t pos = expr->pos;
    while (aicpi_policy_child_count(expr) > 0) {
        expr = aicpi_policy_child(expr, 0);
        pos = expr->pos < pos ? expr->pos : pos;
    }
    return pos;
}

/* Operands with what they were; constants say it themselves. */
static void put_operands(explainer *e, const aicpi_policy_expr *cause) {
    uint32_t count = aicpi_policy_child_count(cause);
    bool first = true;
    aicpi_strbuf_puts(&e->out, ",\"operands\":[");
    for (uint32_t i = 0; i < count; i++) {
        const aicpi_policy_expr *child = aicpi_policy_child(cause, i);
        aicpi_policy_value v =
            child->op == AICPI_POLICY_OP_CONST ? aicpi_policy_of_none() : run(e, child);
        if (!v.kind) {
            continue; /* not evaluated, as of a chain that ended, or an `is` of another type */
        }
        aicpi_strbuf_puts(&e->out, first ? "{\"text\":" : ",{\"text\":");
        put_expr(e, child);
        aicpi_strbuf_puts(&e->out, ",\"value\":");
        put_value(e, v);
        aicpi_strbuf_putc(&e->out, '}');
        first = false;
    }
    aicpi_strbuf_putc(&e->out, ']');
}

static void put_clause(explainer *e, const finding *f) {
    const aicpi_policy_condition *c = f->clause;
    aicpi_strbuf_printf(&e->out, ",\"clause\":{\"kind\":\"%s\",", c->unless ? "unless" : "when");
    put_place(e, c->pos);
    aicpi_strbuf_puts(&e->out, ",\"text\":");
    put_expr(e, c->expr);
    aicpi_strbuf_putc(&e->out, '}');
    if (f->outcome != NOT_SATISFIED) {
        return;
    }
    bool value = c->unless;
    const aicpi_policy_expr *cause = find_cause(e, c->expr, &value);
    aicpi_strbuf_puts(&e->out, ",\"because\":{");
    put_place(e, start_of(cause));
    aicpi_strbuf_puts(&e->out, ",\"text\":");
    put_expr(e, cause);
    aicpi_strbuf_printf(&e->out, ",\"value\":\"%s\"", value ? "true" : "false");
    put_operands(e, cause);
    aicpi_strbuf_putc(&e->out, '}');
}

static void put_head(explainer *e, const finding *f) {
    bool first = true;
    aicpi_strbuf_puts(&e->out, ",\"head\":[");
    for (int var = 0; var < 3; var++) {
        if (f->fits[var]) {
            continue;
        }
        const aicpi_policy_expr *wanted =
            aicpi_policy_head_expr(&e->flipper, var, &f->rule->scope[var], f->rule->ast->pos);
        if (!wanted) {
            return;
        }
        aicpi_strbuf_printf(
            &e->out, "%s{\"part\":\"%s\",\"text\":", first ? "" : ",", aicpi_policy_var_names[var]);
        put_expr(e, wanted);
        aicpi_strbuf_puts(&e->out, ",\"value\":");
        put_value(e, e->x.vars[var]);
        aicpi_strbuf_putc(&e->out, '}');
        first = false;
    }
    aicpi_strbuf_putc(&e->out, ']');
}

static void put_failure(explainer *e) {
    aicpi_strbuf_puts(&e->out, ",\"error\":{\"kind\":");
    put_cstr(&e->out, aicp_policy_error_name(e->x.error_kind));
    put_member(e, "message", e->x.message);
    aicpi_strbuf_putc(&e->out, ',');
    put_place(e, e->x.error_pos);
    aicpi_strbuf_putc(&e->out, '}');
}

/* ---- what would turn it ---- */

static void put_flip(explainer *e, demand d, const aicpi_policy_flip *flip, bool first) {
    aicpi_strbuf_puts(&e->out, first ? "{\"if\":" : ",{\"if\":");
    aicpi_strbuf_clear(&e->text);
    aicpi_strbuf_puts(&e->text, d.want ? "" : "!(");
    aicpi_policy_write_expr(&e->text, d.expr);
    aicpi_strbuf_puts(&e->text, d.want ? "" : ")");
    put_text(e, SIZE_MAX);
    aicpi_strbuf_puts(&e->out, ",\"by\":");
    aicpi_strbuf_clear(&e->text);
    aicpi_policy_write_expr(&e->text, flip->left);
    aicpi_strbuf_puts(&e->text, flip->joins ? " in " : " = ");
    aicpi_policy_write_expr(&e->text, flip->right);
    put_text(e, SIZE_MAX);
    put_member(e, "decision", flip->decision == AICP_POLICY_ALLOW ? "allow" : "deny");
    aicpi_strbuf_putc(&e->out, '}');
}

/* Tries one demand; `satisfied` is what the policy is to become. */
static void try_demand(explainer *e, const finding *f, demand d, bool satisfied, bool *first) {
    aicpi_policy_flip flip;
    if (e->x.stopped ||
        !aicpi_policy_flip_test(&e->flipper, f->nth, d.expr, d.want, satisfied, &flip)) {
        return;
    }
    put_flip(e, d, &flip, *first);
    *first = false;
}

/* Goes through what a condition demands: the parts of its chains. As deep as the expression. */
static void try_condition(explainer *e, const finding *f, demand d, bool *first) {
    bool satisfied = f->outcome == SATISFIED;
    if (d.expr->op == AICPI_POLICY_OP_NOT) {
        try_condition(e, f, (demand){d.expr->u.of.a, !d.want}, first);
    } else if (d.expr->op == (d.want ? AICPI_POLICY_OP_AND : AICPI_POLICY_OP_OR)) {
        for (uint32_t i = 0; i < d.expr->count && !e->x.stopped; i++) {
            try_condition(e, f, (demand){d.expr->u.operands[i].expr, d.want}, first);
        }
    } else if (satisfied) {
        try_demand(e, f, (demand){d.expr, !d.want}, false, first);
    } else {
        aicpi_policy_value v = run(e, d.expr);
        if (v.kind == AICPI_POLICY_BOOL && v.u.boolean != d.want) {
            try_demand(e, f, d, true, first);
        }
    }
}

static void put_flips(explainer *e, const finding *f) {
    bool first = true;
    aicpi_strbuf_puts(&e->out, ",\"flips\":[");
    for (int var = 0; var < 3 && f->outcome == NOT_APPLICABLE; var++) {
        const aicpi_policy_expr *wanted =
            f->fits[var]
                ? NULL
                : aicpi_policy_head_expr(&e->flipper, var, &f->rule->scope[var], f->rule->ast->pos);
        if (wanted) {
            try_demand(e, f, (demand){wanted, true}, true, &first);
        }
    }
    const aicpi_policy_ast *ast = f->rule->ast;
    bool conditions = f->outcome == SATISFIED || f->outcome == NOT_SATISFIED;
    for (uint32_t i = 0; i < ast->condition_count && conditions; i++) {
        const aicpi_policy_condition *c = &ast->conditions[i];
        try_condition(e, f, (demand){c->expr, !c->unless}, &first);
    }
    aicpi_strbuf_putc(&e->out, ']');
}

/* ---- all ---- */

static void put_annotations(explainer *e, const aicpi_policy_ast *ast) {
    aicpi_strbuf_puts(&e->out, ",\"annotations\":{");
    for (uint32_t i = 0; i < ast->annotation_count; i++) {
        const aicpi_policy_annotation *a = &ast->annotations[i];
        aicpi_strbuf_puts(&e->out, i > 0 ? "," : "");
        aicpi_strbuf_json(&e->out, a->key->data, a->key->len);
        aicpi_strbuf_putc(&e->out, ':');
        aicpi_strbuf_json(&e->out, a->value->data, a->value->len);
    }
    aicpi_strbuf_putc(&e->out, '}');
}

/* False when the policy is passed over. */
static bool put_policy(explainer *e, size_t nth, bool first) {
    static const char *const outcomes[] = {"satisfied", "not satisfied", "not applicable", "error"};
    finding f;
    find(e, nth, &f);
    int misses = !f.fits[0] + !f.fits[1] + !f.fits[2];
    if (e->x.stopped || (misses > 1 && !(e->flags & AICP_POLICY_EXPLAIN_ALL))) {
        e->passed_over++;
        return false;
    }
    aicpi_strbuf_puts(&e->out, first ? "{\"policy\":" : ",{\"policy\":");
    aicpi_strbuf_json(&e->out, f.rule->id->data, f.rule->id->len);
    put_member(e, "effect", f.rule->effect == AICP_POLICY_PERMIT ? "permit" : "forbid");
    aicpi_strbuf_putc(&e->out, ',');
    put_place(e, f.rule->ast->pos);
    put_annotations(e, f.rule->ast);
    put_member(e, "outcome", outcomes[f.outcome]);
    if (f.outcome == NOT_APPLICABLE) {
        put_head(e, &f);
    }
    if (f.outcome == FAILED) {
        put_failure(e);
    }
    if (f.clause) {
        put_clause(e, &f);
    }
    put_flips(e, &f);
    aicpi_strbuf_putc(&e->out, '}');
    return true;
}

static void put_reasons(explainer *e) {
    bool allowed = aicp_policy_response_decision(e->response) == AICP_POLICY_ALLOW;
    size_t count = aicp_policy_response_reason_count(e->response);
    aicpi_strbuf_printf(&e->out, "{\"decision\":\"%s\",\"reasons\":[", allowed ? "allow" : "deny");
    for (size_t i = 0; i < count; i++) {
        aicpi_strbuf_puts(&e->out, i > 0 ? "," : "");
        put_cstr(&e->out, aicp_policy_response_reason_id(e->response, i));
    }
    aicpi_strbuf_puts(&e->out, "],\"policies\":[");
}

static aicp_status explain(
    explainer *e,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    aicp_error *err) {
    aicp_status status = aicp_policy_authorize(e->set, entities, request, 0, e->response, err);
    if (status == AICP_OK) {
        status = aicpi_policy_eval_start(&e->x, entities, request, &e->response->arena, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    e->x.scratch = &e->response->scratch;
    e->flipper = (aicpi_policy_flipper){
        .set = e->set,
        .entities = entities,
        .request = request,
        .x = &e->x,
        .response = e->tried,
        .intern = &e->intern};
    put_reasons(e);
    bool first = true;
    for (size_t i = 0; i < e->set->count && !e->x.stopped; i++) {
        first &= !put_policy(e, i, first);
        aicpi_arena_reset(e->x.scratch);
        aicpi_arena_reset(&e->arena);
    }
    aicpi_strbuf_printf(&e->out, "],\"passed_over\":%zu}", e->passed_over);
    return e->x.stopped ? aicpi_policy_eval_stop(&e->x, err) : AICP_OK;
}

aicp_status aicp_policy_explain(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    uint32_t flags,
    aicp_buf *out,
    aicp_error *err) {
    const aicp_allocator *a = &request->allocator;
    *out = (aicp_buf)AICP_BUF_INIT;
    if (flags & ~AICP_POLICY_EXPLAIN_ALL) {
        return aicpi_fail(err, AICP_ERR_INVALID, "unknown flags 0x%x", (unsigned)flags);
    }
    explainer e = {.set = set, .flags = flags};
    aicpi_arena_init(&e.arena, a, 0, 0);
    aicpi_policy_intern_init(&e.intern, &e.arena, false);
    aicpi_strbuf_init(&e.out, a, AICPI_STRBUF_MAX);
    aicpi_strbuf_init(&e.text, a, AICPI_STRBUF_MAX);
    aicp_status status = aicp_policy_response_new(a, &e.response, err);
    if (status == AICP_OK) {
        status = aicp_policy_response_new(a, &e.tried, err);
    }
    if (status == AICP_OK) {
        status = explain(&e, entities, request, err);
    }
    if (status == AICP_OK) {
        status = aicpi_strbuf_take(&e.out, out, err);
    }
    aicpi_strbuf_deinit(&e.out);
    aicpi_strbuf_deinit(&e.text);
    aicpi_arena_deinit(&e.arena);
    aicp_policy_response_free(e.response);
    aicp_policy_response_free(e.tried);
    return status;
}
