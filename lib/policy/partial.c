/* Partial evaluation of a set: what is left of it for a request with unknown parts. */
#include "lib/policy/authorize.h"
#include "lib/policy/fold.h"
#include "lib/policy/lift.h"

#include "lib/base/error.h"

typedef struct partial {
    aicpi_policy_folder folder;
    aicpi_policy_intern intern;
    aicp_policy_set *out;
    size_t capacity;
    aicp_policy_response *response;
    bool satisfied[2]; /* some policy of that effect is, for sure */
    bool possible[2];  /* some policy of that effect may be */
} partial;

enum { DROPPED, SATISFIED, FAILED, OPEN };

/* What is left of one rule. */
typedef struct remains {
    aicpi_policy_scope scope[3];
    aicpi_policy_condition *conditions;
    uint32_t count;
    bool open;     /* whether it is satisfied hangs on the unknown */
    bool possible; /* it can be satisfied */
} remains;

/* ---- one rule ---- */

/* The part of a head about an unknown entity. DROPPED, SATISFIED or OPEN. */
static int
fold_unknown(const aicpi_policy_str *type, const aicpi_policy_scope *scope, remains *r, int var) {
    bool by_type = scope->kind == AICPI_POLICY_SCOPE_IS || scope->kind == AICPI_POLICY_SCOPE_IS_IN;
    const aicpi_policy_str *wanted = by_type                                ? scope->type
                                     : scope->kind == AICPI_POLICY_SCOPE_EQ ? scope->entity->type
                                                                            : NULL;
    if (type && wanted && !aicpi_policy_str_eq(type, wanted)) {
        return DROPPED;
    }
    if (scope->kind == AICPI_POLICY_SCOPE_ANY || (type && scope->kind == AICPI_POLICY_SCOPE_IS)) {
        return SATISFIED;
    }
    r->scope[var] = *scope;
    r->scope[var].slot = false; /* of a link: it is filled */
    if (type && scope->kind == AICPI_POLICY_SCOPE_IS_IN) {
        r->scope[var].kind = AICPI_POLICY_SCOPE_IN;
    }
    return OPEN;
}

static int fold_scope(partial *p, const aicpi_policy_rule *rule, remains *r) {
    aicpi_policy_eval *x = p->folder.x;
    for (int var = 0; var < 3; var++) {
        const aicpi_policy_scope *scope = &rule->scope[var];
        int outcome = SATISFIED;
        if (x->vars[var].kind == AICPI_POLICY_NONE) {
            outcome = fold_unknown(p->folder.types[var], scope, r, var);
        } else if (!aicpi_policy_fits(x, x->vars[var].u.entity, scope)) {
            outcome = DROPPED;
        }
        if (outcome == DROPPED) {
            return DROPPED;
        }
        r->open |= outcome == OPEN;
    }
    return r->open ? OPEN : SATISFIED;
}

static void keep_condition(
    remains *r, const aicpi_policy_condition *from, const aicpi_policy_expr *e, bool possible) {
    r->conditions[r->count] = *from;
    r->conditions[r->count++].expr = e;
    r->possible &= possible;
    r->open = true;
}

/* DROPPED, SATISFIED or FAILED when that is sure of the rule, OPEN when nothing is. `*last`: what
 * stands behind the condition is never reached. */
static int fold_condition(partial *p, remains *r, const aicpi_policy_condition *from, bool *last) {
    aicpi_policy_part part = aicpi_policy_fold_condition(&p->folder, from->expr);
    switch (part.state) {
    case AICPI_POLICY_PART_FAILED:
        if (!r->open) {
            return FAILED;
        }
        keep_condition(r, from, from->expr, false);
        *last = true;
        return OPEN;
    case AICPI_POLICY_PART_KNOWN:
        if (part.value.u.boolean != from->unless) {
            return r->open ? OPEN : SATISFIED;
        }
        if (r->count == 0) {
            return DROPPED;
        }
        keep_condition(r, from, aicpi_policy_lift(&p->intern, part.value, from->expr->pos), false);
        p->folder.x->stopped |= !r->conditions[r->count - 1].expr;
        *last = true;
        return OPEN;
    default:
        keep_condition(r, from, part.expr, from->unless ? part.can_be_false : part.can_be_true);
        return OPEN;
    }
}

static int fold_rule(partial *p, const aicpi_policy_rule *rule, remains *r) {
    aicpi_policy_eval *x = p->folder.x;
    const aicpi_policy_ast *ast = rule->ast;
    *r = (remains){.possible = true};
    int outcome = fold_scope(p, rule, r);
    if (x->stopped || outcome == DROPPED) {
        return outcome;
    }
    r->conditions = aicpi_arena_calloc(&p->out->arena, ast->condition_count, sizeof *r->conditions);
    x->stopped |= !r->conditions;
    bool last = false;
    for (uint32_t i = 0; i < ast->condition_count && !x->stopped && !last; i++) {
        outcome = fold_condition(p, r, &ast->conditions[i], &last);
        if (outcome == FAILED || outcome == DROPPED) {
            return outcome;
        }
    }
    return outcome;
}

/* ---- the set ---- */

/* Adds what is left of a rule to the new set. */
static aicp_status
add_rule(partial *p, const aicpi_policy_rule *from, const remains *r, aicp_error *err) {
    aicp_policy_set *set = p->out;
    aicpi_policy_ast *ast = aicpi_arena_alloc(&set->arena, sizeof *ast);
    if (!ast ||
        !aicpi_arena_grow(
            &set->arena, (void **)&set->rules, &p->capacity, set->count, sizeof *set->rules)) {
        return aicpi_nomem(err);
    }
    *ast = *from->ast;
    ast->id = from->id;
    memcpy(ast->scope, r->scope, sizeof ast->scope);
    ast->conditions = r->conditions;
    ast->condition_count = r->count;
    if (!aicpi_policy_compile_rule(&set->arena, ast, &set->rules[set->count])) {
        return aicpi_nomem(err);
    }
    aicp_status status = aicpi_policy_set_add_id(set, ast->id, set->count * 2, err);
    set->count += status == AICP_OK;
    return status;
}

/* Notes what is sure of a rule. False: out of memory. */
static bool note_rule(partial *p, size_t nth, int outcome, const remains *r) {
    int32_t effect = p->response->set->rules[nth].effect;
    switch (outcome) {
    case FAILED:
        return aicpi_policy_note_failure(p->response, p->folder.x, nth);
    case OPEN:
        p->possible[effect] |= r->possible;
        return true;
    case SATISFIED:
        if (effect == AICP_POLICY_FORBID && !p->satisfied[effect]) {
            p->response->reason_count = 0;
        }
        p->satisfied[effect] = true;
        return (effect == AICP_POLICY_PERMIT && p->satisfied[AICP_POLICY_FORBID]) ||
               aicpi_policy_note_reason(p->response, nth);
    default:
        return true;
    }
}

static aicp_status fold_one(partial *p, size_t nth, aicp_error *err) {
    const aicpi_policy_rule *rule = &p->response->set->rules[nth];
    remains r;
    int outcome = fold_rule(p, rule, &r);
    if (p->folder.x->stopped) {
        return aicpi_policy_eval_stop(p->folder.x, err);
    }
    if (!note_rule(p, nth, outcome, &r)) {
        return aicpi_nomem(err);
    }
    return outcome == OPEN || outcome == SATISFIED ? add_rule(p, rule, &r, err) : AICP_OK;
}

static aicp_status fold_rules(partial *p, aicp_error *err) {
    aicp_status status = AICP_OK;
    for (size_t i = 0; status == AICP_OK && i < p->response->set->count; i++) {
        status = fold_one(p, i, err);
        aicpi_arena_reset(&p->response->scratch);
    }
    return status == AICP_OK ? aicpi_policy_set_index(p->out, err) : status;
}

static int32_t decide(const partial *p) {
    const bool *satisfied = p->satisfied;
    const bool *possible = p->possible;
    bool permit = satisfied[AICP_POLICY_PERMIT];
    if (satisfied[AICP_POLICY_FORBID] || (!permit && !possible[AICP_POLICY_PERMIT])) {
        return AICP_POLICY_DENY;
    }
    return permit && !possible[AICP_POLICY_FORBID] ? AICP_POLICY_ALLOW : AICP_POLICY_UNDECIDED;
}

/* A set without rules that stands on another one. NULL: out of memory. */
static aicp_policy_set *new_set(const aicp_policy_set *base) {
    aicp_policy_set *set = aicpi_policy_set_new(&base->allocator);
    if (set) {
        /* The count of references is all that changes in it. */
        set->base = aicp_policy_set_ref((aicp_policy_set *)base);
        set->lines = base->lines;
        set->line_count = base->line_count;
    }
    return set;
}

aicp_status aicp_policy_partial(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    aicp_policy_response *response,
    aicp_policy_set **out,
    aicp_error *err) {
    *out = NULL;
    aicpi_policy_clear_response(response, set);
    aicpi_policy_eval x;
    aicp_status status = aicpi_policy_eval_start(&x, entities, request, &response->arena, err);
    if (status != AICP_OK) {
        return status;
    }
    x.scratch = &response->scratch;
    partial p = {.response = response, .out = new_set(set)};
    if (!p.out) {
        return aicpi_nomem(err);
    }
    aicpi_policy_intern_init(&p.intern, &p.out->arena, true);
    p.folder = (aicpi_policy_folder){.x = &x, .types = request->types, .intern = &p.intern};
    status = fold_rules(&p, err);
    aicpi_policy_intern_deinit(&p.intern);
    if (status != AICP_OK) {
        aicpi_policy_clear_response(response, set);
        aicp_policy_set_free(p.out);
        return status;
    }
    response->decision = decide(&p);
    *out = p.out;
    return AICP_OK;
}
