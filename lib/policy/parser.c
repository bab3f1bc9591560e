/* Policies: annotations, effect, scope, conditions. */
#include "lib/policy/parser.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"

#include <stdio.h>

#define FOUND_SIZE (sizeof(aicpi_policy_brief) + 16)

void aicpi_policy_parse_fail(
    aicpi_policy_parser *p, aicp_status code, uint32_t pos, const char *format, ...) {
    if (p->status != AICP_OK) {
        return;
    }
    char text[AICP_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->status = aicpi_fail_at(p->err, code, p->lexer.data, p->lexer.len, pos, "%s", text);
}

void aicpi_policy_parse_nomem(aicpi_policy_parser *p) {
    if (p->status == AICP_OK) {
        p->status = aicpi_nomem(p->err);
    }
}

void aicpi_policy_advance(aicpi_policy_parser *p) {
    if (p->status == AICP_OK) {
        p->token = aicpi_policy_lexer_next(&p->lexer);
    }
}

aicpi_slice aicpi_policy_token_text(const aicpi_policy_parser *p) {
    return aicpi_slice_of(p->lexer.data + p->token.start, p->token.end - p->token.start);
}

bool aicpi_policy_at_word(const aicpi_policy_parser *p, const char *word) {
    return p->token.type == AICPI_POLICY_TOKEN_IDENT &&
           aicpi_slice_is(aicpi_policy_token_text(p), word);
}

/* The token at hand, for a message. */
static void describe_found(const aicpi_policy_parser *p, char *out) {
    aicpi_policy_brief text = aicpi_policy_brief_of(aicpi_policy_token_text(p));
    if (p->token.type == AICPI_POLICY_TOKEN_END) {
        snprintf(out, FOUND_SIZE, "the end of the text");
    } else if (p->token.type == AICPI_POLICY_TOKEN_STRING) {
        snprintf(out, FOUND_SIZE, "the string %s", text.text);
    } else {
        snprintf(out, FOUND_SIZE, "'%s'", text.text);
    }
}

void aicpi_policy_unexpected(aicpi_policy_parser *p, const char *expected) {
    if (p->token.type == AICPI_POLICY_TOKEN_BAD) {
        aicpi_policy_parse_fail(p, AICP_ERR_PARSE, p->token.start, "%s", p->lexer.wrong);
        return;
    }
    char found[FOUND_SIZE];
    describe_found(p, found);
    aicpi_policy_parse_fail(
        p, AICP_ERR_PARSE, p->token.start, "expected %s, found %s", expected, found);
}

bool aicpi_policy_expect(aicpi_policy_parser *p, uint32_t type, const char *expected) {
    if (p->token.type != type) {
        aicpi_policy_unexpected(p, expected);
        return false;
    }
    aicpi_policy_advance(p);
    return p->status == AICP_OK;
}

static const aicpi_policy_str *intern(aicpi_policy_parser *p, aicpi_slice text) {
    const aicpi_policy_str *s = aicpi_policy_intern_str(p->intern, text);
    if (!s) {
        aicpi_policy_parse_nomem(p);
    }
    return s;
}

const aicpi_policy_str *aicpi_policy_parse_name(aicpi_policy_parser *p, const char *expected) {
    aicpi_slice text = aicpi_policy_token_text(p);
    if (p->token.type != AICPI_POLICY_TOKEN_IDENT) {
        aicpi_policy_unexpected(p, expected);
        return NULL;
    }
    if (aicpi_policy_is_reserved(text)) {
        aicpi_policy_parse_fail(
            p,
            AICP_ERR_PARSE,
            p->token.start,
            "expected %s, found the reserved word '%.*s'",
            expected,
            (int)text.len,
            text.data);
        return NULL;
    }
    const aicpi_policy_str *name = intern(p, text);
    aicpi_policy_advance(p);
    return name;
}

/* Names of a path, before they are joined. */
typedef struct path_names {
    const aicpi_policy_str **items;
    size_t capacity;
    size_t count;
    size_t len; /* of the joined text */
} path_names;

static bool add_name(aicpi_policy_parser *p, path_names *names, const aicpi_policy_str *name) {
    if (!name) {
        return false;
    }
    if (!aicpi_arena_grow(
            p->arena, (void **)&names->items, &names->capacity, names->count, sizeof name)) {
        aicpi_policy_parse_nomem(p);
        return false;
    }
    names->len += name->len + (names->count > 0 ? 2 : 0);
    names->items[names->count++] = name;
    return true;
}

static const aicpi_policy_str *join(aicpi_policy_parser *p, const path_names *names) {
    if (names->count == 1) {
        return names->items[0];
    }
    char *text = aicpi_arena_alloc(p->arena, names->len);
    if (!text) {
        aicpi_policy_parse_nomem(p);
        return NULL;
    }
    char *at = text;
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0) {
            *at++ = ':';
            *at++ = ':';
        }
        memcpy(at, names->items[i]->data, names->items[i]->len);
        at += names->items[i]->len;
    }
    return intern(p, aicpi_slice_of(text, names->len));
}

const aicpi_policy_str *aicpi_policy_parse_path(
    aicpi_policy_parser *p, const aicpi_policy_str *first, const aicpi_policy_uid **uid) {
    if (p->token.type != AICPI_POLICY_TOKEN_PATH) {
        return first;
    }
    path_names names = {0};
    bool fine = add_name(p, &names, first);
    while (fine && p->token.type == AICPI_POLICY_TOKEN_PATH) {
        aicpi_policy_advance(p);
        if (uid && p->token.type == AICPI_POLICY_TOKEN_STRING) {
            const aicpi_policy_str *type = join(p, &names);
            const aicpi_policy_str *id = type ? aicpi_policy_parse_string(p) : NULL;
            *uid = id ? aicpi_policy_intern_uid(p->intern, type, id) : NULL;
            if (id && !*uid) {
                aicpi_policy_parse_nomem(p);
            }
            return *uid ? type : NULL;
        }
        fine = add_name(
            p,
            &names,
            aicpi_policy_parse_name(
                p, uid ? "a name or a string after '::'" : "a name after '::'"));
    }
    return fine ? join(p, &names) : NULL;
}

/* ---- scope ---- */

const aicpi_policy_uid *aicpi_policy_parse_uid(aicpi_policy_parser *p, const char *expected) {
    const aicpi_policy_str *first = aicpi_policy_parse_name(p, expected);
    const aicpi_policy_uid *uid = NULL;
    if (first && aicpi_policy_parse_path(p, first, &uid) && !uid) {
        aicpi_policy_unexpected(p, "'::' and the entity's id as a string");
    }
    return p->status == AICP_OK ? uid : NULL;
}

static const aicpi_policy_uid *parse_action_entity(aicpi_policy_parser *p) {
    uint32_t start = p->token.start;
    const aicpi_policy_uid *uid = aicpi_policy_parse_uid(p, "an action such as Action::\"view\"");
    if (uid && !aicpi_policy_is_action_type(uid->type)) {
        aicpi_policy_parse_fail(
            p,
            AICP_ERR_PARSE,
            start,
            "expected an entity of type Action, found one of type %s",
            aicpi_policy_brief_str(uid->type).text);
        return NULL;
    }
    return uid;
}

static void parse_action_list(aicpi_policy_parser *p, aicpi_policy_scope *scope) {
    const aicpi_policy_uid **list = NULL;
    size_t capacity = 0;
    size_t count = 0;
    scope->pos = p->token.start;
    aicpi_policy_advance(p);
    while (p->status == AICP_OK && p->token.type != AICPI_POLICY_TOKEN_RBRACKET) {
        const aicpi_policy_uid *uid = parse_action_entity(p);
        if (!uid) {
            return;
        }
        if (!aicpi_arena_grow(p->arena, (void **)&list, &capacity, count, sizeof *list)) {
            aicpi_policy_parse_nomem(p);
            return;
        }
        list[count++] = uid;
        if (p->token.type != AICPI_POLICY_TOKEN_COMMA) {
            break;
        }
        aicpi_policy_advance(p);
    }
    aicpi_policy_expect(p, AICPI_POLICY_TOKEN_RBRACKET, "',' or ']' in the list of actions");
    scope->kind = AICPI_POLICY_SCOPE_IN_LIST;
    scope->count = (uint32_t)count;
    scope->list = list;
}

static void parse_action_scope(aicpi_policy_parser *p, aicpi_policy_scope *scope) {
    if (p->token.type == AICPI_POLICY_TOKEN_EQ) {
        aicpi_policy_advance(p);
        scope->kind = AICPI_POLICY_SCOPE_EQ;
        scope->pos = p->token.start;
        scope->entity = parse_action_entity(p);
    } else if (aicpi_policy_at_word(p, "in")) {
        aicpi_policy_advance(p);
        if (p->token.type == AICPI_POLICY_TOKEN_LBRACKET) {
            parse_action_list(p, scope);
            return;
        }
        scope->kind = AICPI_POLICY_SCOPE_IN;
        scope->pos = p->token.start;
        scope->entity = parse_action_entity(p);
    }
}

static const char *const var_names[] = {"principal", "action", "resource"};
static const char *const slot_names[] = {"?principal", NULL, "?resource"};

/* An entity or the slot of this part. */
static void parse_scope_target(aicpi_policy_parser *p, aicpi_policy_scope *scope, int var) {
    if (!scope->type) {
        scope->pos = p->token.start;
    }
    if (p->token.type != AICPI_POLICY_TOKEN_SLOT) {
        scope->entity = aicpi_policy_parse_uid(p, "an entity such as User::\"alice\", or a slot");
        return;
    }
    if (!aicpi_slice_is(aicpi_policy_token_text(p), slot_names[var])) {
        char expected[48];
        snprintf(expected, sizeof expected, "an entity or the slot %s", slot_names[var]);
        aicpi_policy_unexpected(p, expected);
        return;
    }
    scope->slot = true;
    aicpi_policy_advance(p);
}

static void parse_entity_scope(aicpi_policy_parser *p, aicpi_policy_scope *scope, int var) {
    if (p->token.type == AICPI_POLICY_TOKEN_EQ) {
        aicpi_policy_advance(p);
        scope->kind = AICPI_POLICY_SCOPE_EQ;
        parse_scope_target(p, scope, var);
        return;
    }
    if (aicpi_policy_at_word(p, "is")) {
        aicpi_policy_advance(p);
        scope->pos = p->token.start;
        const aicpi_policy_str *first = aicpi_policy_parse_name(p, "an entity type after 'is'");
        scope->kind = AICPI_POLICY_SCOPE_IS;
        scope->type = first ? aicpi_policy_parse_path(p, first, NULL) : NULL;
    }
    if (aicpi_policy_at_word(p, "in")) {
        aicpi_policy_advance(p);
        scope->kind =
            scope->kind == AICPI_POLICY_SCOPE_IS ? AICPI_POLICY_SCOPE_IS_IN : AICPI_POLICY_SCOPE_IN;
        parse_scope_target(p, scope, var);
    }
}

static void parse_scope_part(aicpi_policy_parser *p, aicpi_policy_scope *scope, int var) {
    if (!aicpi_policy_at_word(p, var_names[var])) {
        char expected[32];
        snprintf(expected, sizeof expected, "'%s'", var_names[var]);
        aicpi_policy_unexpected(p, expected);
        return;
    }
    aicpi_policy_advance(p);
    if (var == AICPI_POLICY_VAR_ACTION) {
        parse_action_scope(p, scope);
    } else {
        parse_entity_scope(p, scope, var);
    }
    if (p->status != AICP_OK) {
        return;
    }
    static const char *const after[] = {
        "',' after the principal (it may have '==', 'in' or 'is')",
        "',' after the action (it may have '==' or 'in')",
        "')' after the resource (it may have '==', 'in' or 'is')"};
    if (p->token.type == AICPI_POLICY_TOKEN_COMMA) {
        aicpi_policy_advance(p);
    } else if (var != AICPI_POLICY_VAR_RESOURCE) {
        aicpi_policy_unexpected(p, after[var]);
    }
    if (var == AICPI_POLICY_VAR_RESOURCE) {
        aicpi_policy_expect(p, AICPI_POLICY_TOKEN_RPAREN, after[var]);
    }
}

/* ---- annotations and conditions ---- */

static bool
annotated_twice(const aicpi_policy_annotation *list, size_t count, const aicpi_policy_str *key) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].key == key) {
            return true;
        }
    }
    return false;
}

/* One annotation; its '@' is at hand. */
static bool parse_annotation(
    aicpi_policy_parser *p,
    const aicpi_policy_annotation *list,
    size_t count,
    aicpi_policy_annotation *out) {
    aicpi_policy_advance(p);
    uint32_t start = p->token.start;
    if (p->token.type != AICPI_POLICY_TOKEN_IDENT) {
        aicpi_policy_unexpected(p, "the annotation's name after '@'");
        return false;
    }
    out->key = intern(p, aicpi_policy_token_text(p));
    out->value = intern(p, AICPI_SLICE(""));
    aicpi_policy_advance(p);
    if (p->token.type == AICPI_POLICY_TOKEN_LPAREN) {
        aicpi_policy_advance(p);
        if (p->token.type != AICPI_POLICY_TOKEN_STRING) {
            aicpi_policy_unexpected(p, "the annotation's value as a string");
            return false;
        }
        out->value = aicpi_policy_parse_string(p);
        aicpi_policy_expect(p, AICPI_POLICY_TOKEN_RPAREN, "')' after the annotation's value");
    }
    if (count >= AICPI_POLICY_ANNOTATIONS_MOST) {
        aicpi_policy_parse_fail(
            p,
            AICP_ERR_LIMIT,
            start,
            "more than %d annotations in one place",
            AICPI_POLICY_ANNOTATIONS_MOST);
    }
    if (p->status == AICP_OK && annotated_twice(list, count, out->key)) {
        aicpi_policy_parse_fail(
            p,
            AICP_ERR_PARSE,
            start,
            "the annotation @%s stands twice",
            aicpi_policy_brief_str(out->key).text);
    }
    return p->status == AICP_OK;
}

bool aicpi_policy_parse_annotations(
    aicpi_policy_parser *p, const aicpi_policy_annotation **out, uint32_t *out_count) {
    aicpi_policy_annotation *list = NULL;
    size_t capacity = 0;
    size_t count = 0;
    while (p->status == AICP_OK && p->token.type == AICPI_POLICY_TOKEN_AT) {
        if (!aicpi_arena_grow(p->arena, (void **)&list, &capacity, count, sizeof *list)) {
            aicpi_policy_parse_nomem(p);
            return false;
        }
        if (!parse_annotation(p, list, count, &list[count])) {
            return false;
        }
        count++;
    }
    *out = list;
    *out_count = (uint32_t)count;
    return p->status == AICP_OK;
}

static void parse_conditions(aicpi_policy_parser *p, aicpi_policy_ast *policy) {
    aicpi_policy_condition *list = NULL;
    size_t capacity = 0;
    size_t count = 0;
    for (;;) {
        bool unless = aicpi_policy_at_word(p, "unless");
        if (p->status != AICP_OK || (!unless && !aicpi_policy_at_word(p, "when"))) {
            break;
        }
        if (!aicpi_arena_grow(p->arena, (void **)&list, &capacity, count, sizeof *list)) {
            aicpi_policy_parse_nomem(p);
            return;
        }
        list[count] = (aicpi_policy_condition){.unless = unless, .pos = p->token.start};
        aicpi_policy_advance(p);
        if (!aicpi_policy_expect(
                p, AICPI_POLICY_TOKEN_LBRACE, unless ? "'{' after 'unless'" : "'{' after 'when'")) {
            return;
        }
        list[count].expr = aicpi_policy_parse_expr(p);
        if (!list[count].expr ||
            !aicpi_policy_expect(
                p, AICPI_POLICY_TOKEN_RBRACE, "an operator, or '}' after the condition")) {
            return;
        }
        count++;
    }
    policy->conditions = list;
    policy->condition_count = (uint32_t)count;
}

/* ---- policies ---- */

static void parse_policy(aicpi_policy_parser *p, aicpi_policy_ast *policy) {
    *policy = (aicpi_policy_ast){.pos = p->token.start};
    aicpi_policy_parse_annotations(p, &policy->annotations, &policy->annotation_count);
    if (aicpi_policy_at_word(p, "forbid")) {
        policy->effect = AICP_POLICY_FORBID;
    } else if (aicpi_policy_at_word(p, "permit")) {
        policy->effect = AICP_POLICY_PERMIT;
    } else {
        aicpi_policy_unexpected(p, "'permit' or 'forbid'");
        return;
    }
    aicpi_policy_advance(p);
    aicpi_policy_expect(p, AICPI_POLICY_TOKEN_LPAREN, "'(' and the policy's scope");
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        if (p->status == AICP_OK) {
            parse_scope_part(p, &policy->scope[var], var);
        }
    }
    if (p->status == AICP_OK) {
        parse_conditions(p, policy);
    }
    if (p->status == AICP_OK) {
        aicpi_policy_expect(
            p, AICPI_POLICY_TOKEN_SEMICOLON, "'when', 'unless' or ';' after the policy");
    }
}

aicp_status aicpi_policy_parse(aicpi_policy_parser *p, aicpi_policy_ast **out, size_t *count) {
    const aicp_allocator *a = &p->arena->allocator;
    aicpi_policy_ast *list = NULL;
    size_t capacity = 0;
    *count = 0;
    aicpi_policy_advance(p);
    while (p->status == AICP_OK && p->token.type != AICPI_POLICY_TOKEN_END) {
        if (!aicpi_grow(a, (void **)&list, &capacity, *count, sizeof *list)) {
            aicpi_policy_parse_nomem(p);
            break;
        }
        parse_policy(p, &list[*count]);
        ++*count;
    }
    *out = aicpi_arena_alloc(p->arena, *count * sizeof *list);
    if (!*out) {
        aicpi_policy_parse_nomem(p);
    } else if (list) {
        memcpy(*out, list, *count * sizeof *list);
    }
    aicpi_free(a, list);
    return p->status;
}
