/* The index over the heads of policies: over random sets, stores and requests it never changes an
 * answer, and it leaves out what cannot match. */
#include "unit/policy/policy_test.h"

#include "lib/base/strbuf.h"
#include "lib/policy/index.h"

#include <stdio.h>

enum { SEEDS = 500, REQUESTS = 50, NODES = 12, ACTIONS = 6, POLICIES_MOST = 120 };

static const char *const types[] = {"A", "B", "N::C"};

static uint32_t below(uint32_t *state, uint32_t n) {
    *state = *state * 1664525U + 1013904223U;
    return (*state >> 8) % n;
}

static const char *one_of(uint32_t *state, const char *const *texts, size_t count) {
    return texts[below(state, (uint32_t)count)];
}

/* Type and id of an entity: of NODES each by its number, so that a name means one entity. */
typedef struct name {
    const char *type;
    char id[8];
} name;

static name node(uint32_t number) {
    name n = {.type = types[number % 3]};
    snprintf(n.id, sizeof n.id, "%u", (unsigned)number);
    return n;
}

static name action(uint32_t number) {
    name n = {.type = "Action"};
    snprintf(n.id, sizeof n.id, "%c", (char)('a' + number));
    return n;
}

/* ---- stores: parents have smaller numbers, so there is no cycle ---- */

static void put_parents(aicpi_strbuf *b, uint32_t *state, uint32_t self, name (*make)(uint32_t)) {
    const char *comma = "";
    for (uint32_t i = 0; i < self; i++) {
        if (below(state, 4) == 0) {
            name n = make(i);
            aicpi_strbuf_printf(b, "%s{\"type\":\"%s\",\"id\":\"%s\"}", comma, n.type, n.id);
            comma = ",";
        }
    }
}

static void put_entity(aicpi_strbuf *b, uint32_t *state, uint32_t self, name (*make)(uint32_t)) {
    static const char *const attrs[] = {"", "\"n\":1", "\"n\":7", "\"n\":\"text\""};
    name n = make(self);
    aicpi_strbuf_printf(
        b,
        "%s{\"uid\":{\"type\":\"%s\",\"id\":\"%s\"},\"attrs\":{%s},\"parents\":[",
        b->len > 1 ? "," : "",
        n.type,
        n.id,
        one_of(state, attrs, 4));
    put_parents(b, state, self, make);
    aicpi_strbuf_puts(b, "]}");
}

static aicp_policy_entities *make_store(uint32_t *state) {
    aicpi_strbuf b;
    aicp_policy_entities *entities = NULL;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_putc(&b, '[');
    for (uint32_t i = 0; i < NODES; i++) {
        if (below(state, 4) > 0) {
            put_entity(&b, state, i, node);
        }
    }
    for (uint32_t i = 0; i < ACTIONS; i++) {
        put_entity(&b, state, i, action);
    }
    aicpi_strbuf_putc(&b, ']');
    cr_assert_eq(aicp_policy_entities_parse(b.data, b.len, NULL, &entities, NULL), AICP_OK);
    aicpi_strbuf_deinit(&b);
    return entities;
}

/* ---- policies ---- */

static void put_scope(aicpi_strbuf *b, uint32_t *state, const char *var) {
    name n = node(below(state, NODES));
    bool slot = below(state, 4) == 0;
    char target[24];
    if (slot) {
        snprintf(target, sizeof target, "?%s", var);
    } else {
        snprintf(target, sizeof target, "%s::\"%s\"", n.type, n.id);
    }
    const char *type = one_of(state, types, 3);
    switch (below(state, 6)) {
    case 0:
        aicpi_strbuf_puts(b, var);
        break;
    case 1:
        aicpi_strbuf_printf(b, "%s is %s", var, type);
        break;
    case 2:
        aicpi_strbuf_printf(b, "%s is %s in %s", var, type, target);
        break;
    case 3:
        aicpi_strbuf_printf(b, "%s == %s", var, target);
        break;
    default:
        aicpi_strbuf_printf(b, "%s in %s", var, target);
        break;
    }
}

static void put_action(aicpi_strbuf *b, uint32_t *state) {
    uint32_t form = below(state, 4);
    if (form == 0) {
        aicpi_strbuf_puts(b, "action");
        return;
    }
    if (form < 3) {
        aicpi_strbuf_printf(
            b, "action %s Action::\"%s\"", form == 1 ? "==" : "in", action(below(state, 7)).id);
        return;
    }
    aicpi_strbuf_puts(b, "action in [");
    for (uint32_t i = below(state, 4); i > 0; i--) { /* also none, and the same twice */
        aicpi_strbuf_printf(
            b, "Action::\"%s\"%s", action(below(state, ACTIONS)).id, i > 1 ? "," : "");
    }
    aicpi_strbuf_puts(b, "]");
}

static void put_policy(aicpi_strbuf *b, uint32_t *state) {
    static const char *const conditions[] = {
        "",
        "",
        " when { principal.n > 3 }",
        " unless { resource.n + 9223372036854775807 > 0 }",
        " when { context.missing }",
        " when { principal in resource || resource has n }"};
    aicpi_strbuf_puts(b, below(state, 4) ? "permit (" : "forbid (");
    put_scope(b, state, "principal");
    aicpi_strbuf_puts(b, ", ");
    put_action(b, state);
    aicpi_strbuf_puts(b, ", ");
    put_scope(b, state, "resource");
    aicpi_strbuf_printf(b, ")%s;\n", one_of(state, conditions, 6));
}

static void put_link(aicpi_strbuf *b, uint32_t *state, const aicpi_policy_rule *template, int nth) {
    static const char *const slots[] = {"?principal", NULL, "?resource"};
    aicpi_strbuf_printf(
        b,
        "%s{\"templateId\":\"%s\",\"newId\":\"link%d\",\"values\":{",
        b->len > 1 ? "," : "",
        template->id->data,
        nth);
    const char *comma = "";
    for (int var = 0; var < 3; var += 2) {
        if (template->scope[var].slot) {
            name n = node(below(state, NODES));
            aicpi_strbuf_printf(
                b, "%s\"%s\":{\"type\":\"%s\",\"id\":\"%s\"}", comma, slots[var], n.type, n.id);
            comma = ",";
        }
    }
    aicpi_strbuf_puts(b, "}}");
}

/* A set of its own or, as often, one with links of its templates. */
static aicp_policy_set *make_set(uint32_t *state) {
    aicpi_strbuf b;
    aicp_policy_set *set = NULL;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    for (uint32_t i = 5 + below(state, POLICIES_MOST); i > 0; i--) {
        put_policy(&b, state);
    }
    cr_assert_eq(aicp_policy_set_parse(b.data, b.len, NULL, &set, NULL), AICP_OK);
    aicpi_strbuf_clear(&b);
    aicpi_strbuf_putc(&b, '[');
    for (uint32_t i = below(state, 2) * 40; set->template_count > 0 && i > 0; i--) {
        uint32_t nth = below(state, (uint32_t)set->template_count);
        put_link(&b, state, &set->templates[nth], (int)i);
    }
    aicpi_strbuf_putc(&b, ']');
    aicp_policy_set *linked = NULL;
    cr_assert_eq(aicp_policy_set_link(set, b.data, b.len, &linked, NULL), AICP_OK);
    bool use_linked = below(state, 2);
    aicp_policy_set_free(use_linked ? set : linked);
    aicpi_strbuf_deinit(&b);
    return use_linked ? linked : set;
}

/* ---- requests ---- */

static void bring_guests(aicp_policy_request *r, uint32_t *state) {
    for (uint32_t i = 0; i < NODES; i++) {
        if (below(state, 6) > 0) {
            continue;
        }
        name n = node(i);
        cr_assert_eq(
            aicp_policy_request_entity_begin(r, n.type, strlen(n.type), n.id, strlen(n.id), NULL),
            AICP_OK);
        if (below(state, 2)) {
            cr_assert_eq(aicp_policy_request_entity_attr_long(r, "n", 5, NULL), AICP_OK);
        }
        for (uint32_t j = 0; j < i; j++) {
            name p = node(j);
            if (below(state, 4) == 0) {
                cr_assert_eq(
                    aicp_policy_request_entity_parent(
                        r, p.type, strlen(p.type), p.id, strlen(p.id), NULL),
                    AICP_OK);
            }
        }
    }
}

static void fill(aicp_policy_request *r, uint32_t *state) {
    name p = node(below(state, NODES + 1));
    name a = action(below(state, ACTIONS + 1));
    name d = node(below(state, NODES + 1));
    aicp_policy_request_reset(r);
    aicp_status s =
        aicp_policy_request_set_principal(r, p.type, strlen(p.type), p.id, strlen(p.id), NULL);
    s = s ? s : aicp_policy_request_set_action(r, a.type, strlen(a.type), a.id, strlen(a.id), NULL);
    s = s ? s
          : aicp_policy_request_set_resource(r, d.type, strlen(d.type), d.id, strlen(d.id), NULL);
    cr_assert_eq(s, AICP_OK);
    if (below(state, 2)) {
        bring_guests(r, state);
    }
}

/* ---- comparison ---- */

typedef struct totals {
    size_t allowed;
    size_t reasons;
    size_t errors;
} totals;

static bool same_answer(const aicp_policy_response *a, const aicp_policy_response *b) {
    size_t reasons = aicp_policy_response_reason_count(a);
    size_t errors = aicp_policy_response_error_count(a);
    bool same = aicp_policy_response_decision(a) == aicp_policy_response_decision(b) &&
                reasons == aicp_policy_response_reason_count(b) &&
                errors == aicp_policy_response_error_count(b);
    for (size_t i = 0; same && i < reasons; i++) {
        same = aicp_policy_response_reason_index(a, i) == aicp_policy_response_reason_index(b, i);
    }
    for (size_t i = 0; same && i < errors; i++) {
        same = aicp_policy_response_error_index(a, i) == aicp_policy_response_error_index(b, i) &&
               aicp_policy_response_error_kind(a, i) == aicp_policy_response_error_kind(b, i) &&
               strcmp(
                   aicp_policy_response_error_message(a, i),
                   aicp_policy_response_error_message(b, i)) == 0;
    }
    return same;
}

static void compare(policy_case *c, aicp_policy_response *other, uint32_t flags, uint32_t seed) {
    aicp_status with =
        aicp_policy_authorize(c->set, c->entities, c->request, flags, c->response, NULL);
    aicp_status without = aicp_policy_authorize(
        c->set, c->entities, c->request, flags | AICP_POLICY_NO_INDEX, other, NULL);
    cr_assert_eq(with, AICP_OK);
    cr_assert_eq(without, AICP_OK);
    cr_assert(same_answer(c->response, other), "seed %u, flags %u", (unsigned)seed, flags);
}

Test(policy_index, every_answer_is_the_one_without_it) {
    totals sum = {0};
    policy_case c = {0};
    aicp_policy_response *other = NULL;
    cr_assert_eq(aicp_policy_request_new(NULL, &c.request, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &c.response, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &other, NULL), AICP_OK);
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        uint32_t state = seed * 7919;
        c.set = make_set(&state);
        c.entities = make_store(&state);
        for (int i = 0; i < REQUESTS; i++) {
            fill(c.request, &state);
            compare(&c, other, AICP_POLICY_DECISION_ONLY, seed);
            compare(&c, other, 0, seed);
            sum.allowed += aicp_policy_response_decision(c.response) == AICP_POLICY_ALLOW;
            sum.reasons += aicp_policy_response_reason_count(c.response);
            sum.errors += aicp_policy_response_error_count(c.response);
        }
        aicp_policy_set_free(c.set);
        aicp_policy_entities_free(c.entities);
    }
    /* Else the sets would prove nothing. */
    cr_expect_gt(sum.allowed, SEEDS * REQUESTS / 10);
    cr_expect_gt(sum.reasons, SEEDS * REQUESTS / 2);
    cr_expect_gt(sum.errors, SEEDS * REQUESTS / 2);
    aicp_policy_response_free(other);
    aicp_policy_request_free(c.request);
    aicp_policy_response_free(c.response);
}

/* ---- what it leaves out ---- */

/* Candidates of User::"alice", Action::"view", Doc::"d" among a text's policies, as their numbers
 * in a row: "0 3 ". */
static void expect_candidates(const char *policies, const char *entities, const char *expected) {
    policy_case c = policy_open(policies, entities);
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_policy_eval x = {.store = c.entities, .scratch = &arena};
    for (int i = 0; i < 3; i++) {
        const aicpi_policy_entity_slot *slot =
            aicpi_policy_entities_slot(c.entities, c.request->vars[i]);
        x.vars[i] = aicpi_policy_of_entity(c.request->vars[i]);
        x.known[i] = slot ? slot->entity : NULL;
    }
    aicpi_policy_candidates found;
    char text[256] = "";
    size_t len = 0;
    cr_assert(aicpi_policy_index_find(c.set->index, c.set->count, &x, &arena, &found));
    for (size_t i = 0; aicpi_policy_candidates_next(&found, &i);) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%zu ", i);
    }
    cr_expect_str_eq(text, expected);
    aicpi_arena_deinit(&arena);
    policy_close(&c);
}

/* Enough policies for the index to be of use, none of which can match. */
#define FILLER_4                                                                                   \
    "permit (principal == User::\"1\", action, resource);"                                         \
    "permit (principal, action == Action::\"2\", resource);"                                       \
    "permit (principal, action, resource in Doc::\"3\");"                                          \
    "permit (principal is Robot, action, resource);"
#define FILLER FILLER_4 FILLER_4 FILLER_4 FILLER_4

Test(policy_index, only_policies_whose_constraint_is_met_are_candidates) {
    static const char entities[] = "[{\"uid\":{\"type\":\"User\",\"id\":\"alice\"},\"attrs\":{},"
                                   "\"parents\":[{\"type\":\"Team\",\"id\":\"t\"}]},"
                                   "{\"uid\":{\"type\":\"Action\",\"id\":\"view\"},\"attrs\":{},"
                                   "\"parents\":[{\"type\":\"Action\",\"id\":\"read\"}]}]";
    expect_candidates("", entities, "");
    expect_candidates(FILLER, entities, "");
    expect_candidates(FILLER "permit (principal, action, resource);" FILLER, entities, "16 ");
    expect_candidates(
        "permit (principal == User::\"alice\", action, resource);" FILLER
        "permit (principal in Team::\"t\", action, resource);"
        "permit (principal is User, action, resource);"
        "permit (principal, action, resource == Doc::\"d\");"
        "permit (principal, action in [Action::\"x\", Action::\"read\"], resource);"
        "permit (principal, action in [], resource);"
        "permit (principal == Team::\"t\", action, resource);"
        "permit (principal, action, resource is Doc in Doc::\"d\");",
        entities,
        "0 17 18 19 20 23 ");
}

Test(policy_index, a_policy_stands_under_its_most_selective_constraint) {
    /* All are about everybody's view of one document each. */
    expect_candidates(
        "permit (principal in Team::\"t\", action == Action::\"view\", resource == Doc::\"a\");"
        "permit (principal in Team::\"t\", action == Action::\"view\", resource == Doc::\"b\");"
        "permit (principal in Team::\"t\", action == Action::\"view\", resource == Doc::\"d\");"
        "permit (principal is User, action in [Action::\"view\"], resource in Doc::\"e\");" FILLER,
        NULL,
        "2 ");
}
