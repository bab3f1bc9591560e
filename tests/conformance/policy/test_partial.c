/* Partial evaluation of made-up policies: of any expression, what is left must have the values and
 * errors of the whole. */
#include "conformance/policy/partial.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 4000
#define TEXT_MOST 4096

static const char entities[] =
    "[{\"uid\":{\"type\":\"User\",\"id\":\"a\"},\"attrs\":{\"n\":1,\"s\":\"x\",\"b\":true,"
    "\"e\":{\"__entity\":{\"type\":\"Doc\",\"id\":\"d\"}},\"set\":[1,2],\"r\":{\"n\":1}},"
    "\"parents\":[{\"type\":\"Group\",\"id\":\"g\"},{\"type\":\"Doc\",\"id\":\"d\"}],"
    "\"tags\":{\"x\":1}},"
    "{\"uid\":{\"type\":\"Doc\",\"id\":\"d\"},\"attrs\":{\"n\":2,\"s\":\"y\",\"b\":false,"
    "\"e\":{\"__entity\":{\"type\":\"User\",\"id\":\"a\"}},\"set\":[\"x\"],\"r\":{\"s\":\"x\"}},"
    "\"parents\":[{\"type\":\"Group\",\"id\":\"h\"}],\"tags\":{\"y\":\"x\"}},"
    "{\"uid\":{\"type\":\"Group\",\"id\":\"g\"},\"attrs\":{},\"parents\":["
    "{\"type\":\"Group\",\"id\":\"h\"}]}]";

typedef struct text {
    uint64_t seed;
    size_t len;
    char data[TEXT_MOST];
} text;

/* A small generator of its own, so that a run can be repeated (xorshift64*). */
static uint32_t pick(text *t, uint32_t count) {
    t->seed ^= t->seed >> 12;
    t->seed ^= t->seed << 25;
    t->seed ^= t->seed >> 27;
    return (uint32_t)((t->seed * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % count;
}

static void put(text *t, const char *piece) {
    size_t len = strlen(piece);
    cr_assert_lt(t->len + len, sizeof t->data);
    memcpy(t->data + t->len, piece, len + 1);
    t->len += len;
}

#define PICK(t, list) (list)[pick(t, sizeof(list) / sizeof *(list))]

/* `%` in a form stands for an expression. */
static void put_expr(text *t, int depth) {
    static const char *const leaves[] = {
        "true",
        "false",
        "1",
        "2",
        "\"x\"",
        "principal",
        "action",
        "resource",
        "resource",
        "context",
        "context.n",
        "context.none",
        "User::\"a\"",
        "Doc::\"d\"",
        "Group::\"h\"",
        "resource.n",
        "resource.s",
        "resource.b",
        "resource.e",
        "resource.set",
        "principal.n",
        "principal.b",
        "principal.none",
        "[]",
        "[1, \"x\"]",
        "{n: 1}",
        "decimal(\"1.5\")",
        "ip(\"10.0.0.1\")",
        "datetime(\"2024-01-01\")",
        "duration(\"1h\")",
        "decimal(\"bad\")",
        "9223372036854775807"};
    static const char *const forms[] = {
        "(% && %)",
        "(% || %)",
        "(% && % && %)",
        "(% || % || %)",
        "!(%)",
        "(if % then % else %)",
        "(% == %)",
        "(% != %)",
        "(% < %)",
        "(% in %)",
        "(% in [%, %])",
        "(% is Doc)",
        "(% is User in %)",
        "(% has n)",
        "(% has r.n)",
        "(%).n",
        "(%).e",
        "(% + %)",
        "(% - % * %)",
        "-(%)",
        "(% like \"x*\")",
        "[%, %]",
        "{n: %, s: %}",
        "(%).contains(%)",
        "(%).containsAny(%)",
        "(%).isEmpty()",
        "(%).hasTag(%)",
        "(%).getTag(%)",
        "(%).lessThan(%)",
        "ip(%)",
        "(% && %)",
        "(% || %)",
        "(% == resource)",
        "(resource in %)"};
    if (depth == 0 || pick(t, 5) == 0) {
        put(t, PICK(t, leaves));
        return;
    }
    for (const char *form = PICK(t, forms); *form; form++) {
        const char piece[] = {*form, '\0'};
        if (*form == '%') {
            put_expr(t, depth - 1);
        } else {
            put(t, piece);
        }
    }
}

static void put_policy(text *t) {
    static const char *const principals[] = {
        "principal",
        "principal",
        "principal == User::\"a\"",
        "principal in Group::\"h\"",
        "principal is User",
        "principal is User in Group::\"x\""};
    static const char *const actions[] = {
        "action", "action", "action == Action::\"v\"", "action in [Action::\"v\", Action::\"w\"]"};
    static const char *const resources[] = {
        "resource",
        "resource",
        "resource == Doc::\"d\"",
        "resource in Group::\"h\"",
        "resource is Doc",
        "resource is User",
        "resource is Doc in Group::\"h\"",
        "resource == Doc::\"e\""};
    static const char *const kinds[] = {" when { ", " unless { "};
    put(t, pick(t, 3) == 0 ? "forbid (" : "permit (");
    put(t, PICK(t, principals));
    put(t, ", ");
    put(t, PICK(t, actions));
    put(t, ", ");
    put(t, PICK(t, resources));
    put(t, ")");
    for (uint32_t i = pick(t, 3); i > 0; i--) {
        put(t, PICK(t, kinds));
        put_expr(t, (int)pick(t, 4));
        put(t, " }");
    }
    put(t, ";\n");
}

static aicp_policy_request *make_request(void) {
    static const char request[] =
        "{\"principal\":\"User::\\\"a\\\"\",\"action\":\"Action::\\\"v\\\"\","
        "\"resource\":\"Doc::\\\"d\\\"\",\"context\":{\"n\":1,\"deep\":[[[{\"a\":[1]}]]]}}";
    aicp_policy_request *r = NULL;
    cr_assert_eq(aicp_policy_request_new(NULL, &r, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_set_json(r, request, sizeof request - 1, NULL), AICP_OK);
    return r;
}

Test(policy_partial, what_is_left_of_any_set_answers_like_the_whole) {
    aicp_policy_entities *store = NULL;
    aicp_policy_request *request = make_request();
    partial_totals totals = {0};
    text t = {.seed = UINT64_C(0x9E3779B97F4A7C15)};
    cr_assert_eq(
        aicp_policy_entities_parse(entities, sizeof entities - 1, NULL, &store, NULL), AICP_OK);
    for (int round = 0; round < ROUNDS; round++) {
        aicp_policy_set *set = NULL;
        aicp_error err;
        t.len = 0;
        for (uint32_t i = pick(&t, 3); i < 3; i++) {
            put_policy(&t);
        }
        aicp_status status = aicp_policy_set_parse(t.data, t.len, NULL, &set, &err);
        cr_assert_eq(status, AICP_OK, "%s: %s", t.data, err.message);
        partial_expect(set, store, request, t.data, &totals);
        aicp_policy_set_free(set);
    }
    /* Both outcomes are met often, or the comparison would prove little. */
    cr_expect_gt(totals.decided, totals.asked / 10);
    cr_expect_gt(totals.asked - totals.decided, totals.asked / 10);
    aicp_policy_request_free(request);
    aicp_policy_entities_free(store);
}
