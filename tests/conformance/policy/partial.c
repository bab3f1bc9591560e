#include "conformance/policy/partial.h"

#include "lib/policy/request.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct check {
    const char *name;
    const aicp_policy_set *set;
    const aicp_policy_entities *entities;
    const aicp_policy_request *request;
    aicp_policy_response *full;
    aicp_policy_response *partial;
    aicp_policy_response *rest;
} check;

static bool names_error(const aicp_policy_response *r, const char *id) {
    for (size_t i = 0; i < aicp_policy_response_error_count(r); i++) {
        if (strcmp(aicp_policy_response_error_id(r, i), id) == 0) {
            return true;
        }
    }
    return false;
}

static bool names_reason(const aicp_policy_response *r, const char *id) {
    for (size_t i = 0; i < aicp_policy_response_reason_count(r); i++) {
        if (strcmp(aicp_policy_response_reason_id(r, i), id) == 0) {
            return true;
        }
    }
    return false;
}

/* What was left of the set, asked with the part filled in, and what was said for sure. */
static void compare(const check *c) {
    size_t reasons = aicp_policy_response_reason_count(c->full);
    int32_t decision = aicp_policy_response_decision(c->full);
    int32_t sure = aicp_policy_response_decision(c->partial);
    cr_expect_eq(aicp_policy_response_decision(c->rest), decision, "%s: decision", c->name);
    cr_expect(sure == AICP_POLICY_UNDECIDED || sure == decision, "%s: sure decision", c->name);
    cr_expect_eq(aicp_policy_response_reason_count(c->rest), reasons, "%s: reasons", c->name);
    for (size_t i = 0; i < reasons; i++) {
        const char *id = aicp_policy_response_reason_id(c->full, i);
        cr_expect(names_reason(c->rest, id), "%s: reason %s", c->name, id);
    }
    for (size_t i = 0; i < aicp_policy_response_reason_count(c->partial); i++) {
        const char *id = aicp_policy_response_reason_id(c->partial, i);
        /* Permits that are satisfied for sure are no reasons of a deny. */
        cr_expect(decision != sure || names_reason(c->full, id), "%s: sure reason %s", c->name, id);
    }
    size_t errors = aicp_policy_response_error_count(c->full);
    cr_expect_eq(
        aicp_policy_response_error_count(c->rest) + aicp_policy_response_error_count(c->partial),
        errors,
        "%s: errors",
        c->name);
    for (size_t i = 0; i < errors; i++) {
        const char *id = aicp_policy_response_error_id(c->full, i);
        cr_expect(
            names_error(c->rest, id) || names_error(c->partial, id), "%s: error %s", c->name, id);
    }
}

static void
filter_one(const check *c, const aicp_policy_request *asked, const aicpi_policy_uid *uid) {
    aicp_buf out = AICP_BUF_INIT;
    const char *ids[] = {uid->id->data, "no such entity"};
    const size_t lens[] = {uid->id->len, 14};
    aicp_status status = aicp_policy_filter(c->set, c->entities, asked, ids, lens, 2, &out, NULL);
    cr_assert_eq(status, AICP_OK, "%s", c->name);
    cr_assert_eq(out.len, 2);
    bool allowed = aicp_policy_response_decision(c->full) == AICP_POLICY_ALLOW;
    cr_expect_eq(out.data[0], allowed, "%s: filter", c->name);
    aicp_buf_free(&out);
}

static void try_part(const check *c, int part, bool typed, partial_totals *totals) {
    aicp_policy_request asked = *c->request;
    aicp_policy_set *rest = NULL;
    asked.types[part] = typed ? asked.vars[part]->type : NULL;
    asked.vars[part] = NULL;
    aicp_status status = aicp_policy_partial(c->set, c->entities, &asked, c->partial, &rest, NULL);
    cr_assert_eq(status, AICP_OK, "%s", c->name);
    status = aicp_policy_authorize(rest, c->entities, c->request, 0, c->rest, NULL);
    cr_assert_eq(status, AICP_OK, "%s", c->name);
    compare(c);
    aicp_policy_set_free(rest);
    if (totals) {
        totals->asked++;
        totals->decided += aicp_policy_response_decision(c->partial) != AICP_POLICY_UNDECIDED;
    }
    if (typed) {
        filter_one(c, &asked, c->request->vars[part]);
    }
}

void partial_expect(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    const char *name,
    partial_totals *totals) {
    check c = {.name = name, .set = set, .entities = entities, .request = request};
    cr_assert_eq(aicp_policy_response_new(NULL, &c.full, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &c.partial, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_response_new(NULL, &c.rest, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_authorize(set, entities, request, 0, c.full, NULL), AICP_OK);
    for (int part = 0; part < 3; part++) {
        try_part(&c, part, true, totals);
        try_part(&c, part, false, totals);
    }
    aicp_policy_response_free(c.full);
    aicp_policy_response_free(c.partial);
    aicp_policy_response_free(c.rest);
}
