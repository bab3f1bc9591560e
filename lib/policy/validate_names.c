#include "lib/policy/validate.h"

#include "lib/policy/brief.h"
#include "lib/policy/suggest.h"

typedef struct names {
    aicpi_policy_checker *c;
    uint32_t vars;
} names;

/* ---- entities ---- */

static void check_type(aicpi_policy_checker *c, const aicpi_policy_str *type, uint32_t pos) {
    if (aicpi_policy_is_action_type(type) || aicpi_policy_schema_entity_type(c->schema, type)) {
        return;
    }
    aicpi_policy_near near = aicpi_policy_near_start(aicpi_policy_text(type));
    for (uint32_t i = 0; i < c->schema->entity_type_count; i++) {
        aicpi_policy_near_offer(&near, aicpi_policy_text(c->schema->entity_types[i].name));
    }
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_ENTITY_TYPE,
        pos,
        "the schema declares no entity type %s%s",
        aicpi_policy_brief_str(type).text,
        aicpi_policy_near_text(&near).text);
}

static void check_action(aicpi_policy_checker *c, const aicpi_policy_uid *uid, uint32_t pos) {
    if (!aicpi_policy_is_action_type(uid->type) || aicpi_policy_schema_action(c->schema, uid)) {
        return;
    }
    aicpi_policy_near near = aicpi_policy_near_start(aicpi_policy_text(uid->id));
    const aicpi_policy_uid *elsewhere = NULL;
    for (uint32_t i = 0; i < c->schema->action_count; i++) {
        const aicpi_policy_uid *known = c->schema->actions[i].entity.uid;
        if (aicpi_policy_str_eq(known->type, uid->type)) {
            aicpi_policy_near_offer(&near, aicpi_policy_text(known->id));
        } else if (aicpi_policy_str_eq(known->id, uid->id)) {
            elsewhere = known;
        }
    }
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_ACTION,
        pos,
        "the schema declares no action %s%s%s%s",
        aicpi_policy_brief_uid(uid).text,
        elsewhere ? ", but " : "",
        elsewhere ? aicpi_policy_brief_uid(elsewhere).text : "",
        elsewhere ? "" : aicpi_policy_near_text(&near).text);
}

static void check_id(aicpi_policy_checker *c, const aicpi_policy_uid *uid, uint32_t pos) {
    const aicpi_policy_entity_type *type = aicpi_policy_schema_entity_type(c->schema, uid->type);
    if (!type || type->action || aicpi_policy_entity_type_has_id(type, uid->id)) {
        return;
    }
    aicpi_policy_near near = aicpi_policy_near_start(aicpi_policy_text(uid->id));
    for (uint32_t i = 0; i < type->id_count; i++) {
        aicpi_policy_near_offer(&near, aicpi_policy_text(type->ids[i]));
    }
    aicpi_policy_report_add(
        c->report,
        AICP_POLICY_FINDING_ENUM,
        pos,
        "%s is not one of the entities that the schema lists for its type%s",
        aicpi_policy_brief_uid(uid).text,
        aicpi_policy_near_text(&near).text);
}

/* ---- texts ---- */

static void check_text(aicpi_policy_checker *c, aicpi_slice text, bool identifier, uint32_t pos) {
    uint32_t odd = 0;
    int32_t risk = aicpi_policy_text_risk(text, identifier, &odd);
    if (risk == 0) {
        return;
    }
    const char *what = identifier ? "the name" : "the string";
    aicpi_policy_brief brief = aicpi_policy_brief_of(text);
    if (risk == AICP_POLICY_FINDING_CONFUSABLE_IDENTIFIER) {
        aicpi_policy_report_add(
            c->report,
            risk,
            pos,
            "the name \"%s\" holds U+%04X, which is unfit for names",
            brief.text,
            (unsigned)odd);
        return;
    }
    bool mixed =
        risk == AICP_POLICY_FINDING_MIXED_STRING || risk == AICP_POLICY_FINDING_MIXED_IDENTIFIER;
    aicpi_policy_report_add(
        c->report,
        risk,
        pos,
        mixed ? "%s \"%s\" mixes letters of different scripts, some of which look alike"
              : "%s \"%s\" holds characters that change the direction of the text, so that it may "
                "read otherwise than it is",
        what,
        brief.text);
}

static void check_uid(aicpi_policy_checker *c, const aicpi_policy_uid *uid, uint32_t pos) {
    check_type(c, uid->type, pos);
    check_action(c, uid, pos);
    check_id(c, uid, pos);
    check_text(c, aicpi_policy_text(uid->id), true, pos);
}

/* ---- expressions ---- */

static void look_at(names *n, const aicpi_policy_expr *e);

static void look_at_const(names *n, const aicpi_policy_expr *e) {
    if (e->u.value.kind == AICPI_POLICY_ENTITY) {
        check_uid(n->c, e->u.value.u.entity, e->pos);
    } else if (e->u.value.kind == AICPI_POLICY_STRING) {
        check_text(n->c, aicpi_policy_text(e->u.value.u.string), false, e->pos);
    }
}

static void look_at_has(names *n, const aicpi_policy_expr *e) {
    look_at(n, e->u.has.a);
    for (uint32_t i = 0; i < e->count; i++) {
        check_text(n->c, aicpi_policy_text(e->u.has.names[i]), true, e->pos);
    }
}

static void look_at_like(names *n, const aicpi_policy_expr *e) {
    look_at(n, e->u.like.a);
    for (uint32_t i = 0; i < e->u.like.pattern->count; i++) {
        check_text(n->c, e->u.like.pattern->pieces[i], false, e->pos);
    }
}

static void look_at_record(names *n, const aicpi_policy_expr *e) {
    for (uint32_t i = 0; i < e->count; i++) {
        check_text(n->c, aicpi_policy_text(e->u.inits[i].key), true, e->u.inits[i].pos);
        look_at(n, e->u.inits[i].expr);
    }
}

static void look_at_named(names *n, const aicpi_policy_expr *e) {
    look_at(n, e->u.named.a);
    if (e->op == AICPI_POLICY_OP_IS) {
        check_type(n->c, e->u.named.name, e->pos);
    } else {
        check_text(n->c, aicpi_policy_text(e->u.named.name), true, e->pos);
    }
    if (e->u.named.b) {
        look_at(n, e->u.named.b);
    }
}

static void look_at_parts(names *n, const aicpi_policy_expr *e) {
    look_at(n, e->u.of.a);
    if (e->u.of.b) {
        look_at(n, e->u.of.b);
    }
    if (e->u.of.c) {
        look_at(n, e->u.of.c);
    }
}

/* The height of expressions is limited by the parser, so the recursion is. */
static void look_at(names *n, const aicpi_policy_expr *e) {
    switch (e->op) {
    case AICPI_POLICY_OP_CONST:
        look_at_const(n, e);
        break;
    case AICPI_POLICY_OP_VAR:
        n->vars |= 1u << e->arg;
        break;
    case AICPI_POLICY_OP_SET:
    case AICPI_POLICY_OP_OR:
    case AICPI_POLICY_OP_AND:
    case AICPI_POLICY_OP_SUM:
    case AICPI_POLICY_OP_PRODUCT:
    case AICPI_POLICY_OP_CALL:
        for (uint32_t i = 0; i < e->count; i++) {
            look_at(n, e->u.operands[i].expr);
        }
        break;
    case AICPI_POLICY_OP_RECORD:
        look_at_record(n, e);
        break;
    case AICPI_POLICY_OP_HAS:
        look_at_has(n, e);
        break;
    case AICPI_POLICY_OP_LIKE:
        look_at_like(n, e);
        break;
    case AICPI_POLICY_OP_GET:
    case AICPI_POLICY_OP_IS:
        look_at_named(n, e);
        break;
    default:
        look_at_parts(n, e);
        break;
    }
}

/* ---- policies ---- */

static void look_at_scope(aicpi_policy_checker *c, const aicpi_policy_scope *scope) {
    if (scope->type) {
        check_type(c, scope->type, scope->pos);
    }
    if (scope->entity) {
        check_uid(c, scope->entity, scope->pos);
    }
    for (uint32_t i = 0; i < scope->count; i++) {
        check_uid(c, scope->list[i], scope->pos);
    }
}

void aicpi_policy_check_names(
    aicpi_policy_checker *c, const aicpi_policy_rule *rule, uint32_t *vars) {
    names n = {.c = c};
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        look_at_scope(c, &rule->ast->scope[var]);
    }
    for (uint32_t i = 0; i < rule->ast->condition_count; i++) {
        look_at(&n, rule->ast->conditions[i].expr);
    }
    *vars = n.vars;
}

void aicpi_policy_check_slot(aicpi_policy_checker *c, const aicpi_policy_uid *uid, uint32_t pos) {
    check_type(c, uid->type, pos);
}
