/* Entities that live elsewhere: what is asked for, what the answers mean, what goes wrong. */
#include "unit/policy/policy_test.h"

#include "lib/base/strbuf.h"
#include "unit/support.h"

#include <stdio.h>

enum { ASKED_MOST = 64 };

/* Entities elsewhere, by `Type::id`, with what was asked for. */
typedef struct elsewhere {
    const char *const (*entities)[2]; /* name, JSON; ends with NULL */
    char asked[ASKED_MOST][32];
    size_t count;
} elsewhere;

static aicp_status find(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    elsewhere *e = user;
    cr_assert_lt(e->count, ASKED_MOST);
    char *name = e->asked[e->count++];
    snprintf(name, sizeof e->asked[0], "%.*s::%.*s", (int)type_len, type, (int)id_len, id);
    for (size_t i = 0; e->entities[i][0]; i++) {
        if (strcmp(e->entities[i][0], name) == 0) {
            const char *json = e->entities[i][1];
            return aicp_policy_found_json(found, json, strlen(json), err);
        }
    }
    return AICP_OK;
}

static size_t times_asked(const elsewhere *e, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < e->count; i++) {
        count += strcmp(e->asked[i], name) == 0;
    }
    return count;
}

static policy_case open_with(const char *policies, const char *entities, elsewhere *e) {
    policy_case c = policy_open(policies, entities);
    cr_assert_eq(aicp_policy_request_set_lookup(c.request, find, e, NULL, NULL), AICP_OK);
    return c;
}

static aicp_status ask(policy_case *c) {
    c->err = (aicp_error){0};
    aicp_status status =
        aicp_policy_authorize(c->set, c->entities, c->request, 0, c->response, &c->err);
    cr_expect_eq(c->err.code, status);
    if (status != AICP_OK) {
        cr_expect_eq(aicp_policy_response_decision(c->response), AICP_POLICY_DENY);
        cr_expect_eq(aicp_policy_response_reason_count(c->response), 0);
        cr_expect_eq(aicp_policy_response_error_count(c->response), 0);
    }
    return status;
}

#define UID(type, id) "{\"type\":\"" type "\",\"id\":\"" id "\"}"
#define ENTITY(type, id, attrs, parents)                                                           \
    "{\"uid\":" UID(type, id) ",\"attrs\":" attrs ",\"parents\":[" parents "]}"

static const char *const people[][2] = {
    {"User::alice", ENTITY("User", "alice", "{\"age\":30}", UID("Team", "blue"))},
    {"Team::blue", ENTITY("Team", "blue", "{}", UID("Org", "o"))},
    {"Doc::d",
     "{\"uid\":" UID("Doc", "d") ",\"attrs\":{\"owner\":{\"__entity\":" UID(
         "User", "bob") "}},\"parents\":[],\"tags\":{\"level\":\"3\"}}"},
    {"User::bob", ENTITY("User", "bob", "{\"boss\":true}", "")},
    {NULL, NULL}};

Test(policy_lookup, attributes_tags_and_ancestors_come_from_elsewhere) {
    elsewhere e = {.entities = people};
    policy_case c = open_with("", NULL, &e);
    cr_expect(policy_holds(&c, "principal.age == 30 && principal has age"));
    cr_expect(policy_holds(&c, "resource.owner.boss && resource.getTag(\"level\") == \"3\""));
    cr_expect(policy_holds(&c, "principal in Org::\"o\" && principal in [Team::\"blue\"]"));
    cr_expect(policy_holds(&c, "!(resource.owner in Org::\"o\")"));
    cr_expect(policy_holds(&c, "!(User::\"eve\" has age) && !User::\"eve\".hasTag(\"x\")"));
    policy_close(&c);
}

Test(policy_lookup, each_entity_is_asked_for_once_until_the_request_is_reset) {
    elsewhere e = {.entities = people};
    policy_case c = open_with(
        "permit (principal in Org::\"o\", action, resource) when { principal.age == 30 };"
        "permit (principal in Team::\"x\", action, resource) when { User::\"alice\".age == 30 };"
        "permit (principal, action, resource) when { User::\"eve\" has x || principal has y };",
        NULL,
        &e);
    cr_assert_eq(ask(&c), AICP_OK);
    cr_assert_eq(ask(&c), AICP_OK);
    cr_expect_eq(aicp_policy_response_reason_count(c.response), 1);
    static const char *const expected[] = {"User::alice", "Team::blue", "Org::o", "User::eve"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        cr_expect_eq(times_asked(&e, expected[i]), 1, "%s", expected[i]);
    }
    cr_expect_eq(e.count, 4);
    aicp_policy_request_reset(c.request);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, "User", 4, "alice", 5, NULL), 0);
    cr_assert_eq(aicp_policy_request_set_action(c.request, "Action", 6, "view", 4, NULL), 0);
    cr_assert_eq(aicp_policy_request_set_resource(c.request, "Doc", 3, "d", 1, NULL), 0);
    cr_assert_eq(ask(&c), AICP_OK);
    cr_expect_eq(times_asked(&e, "User::alice"), 2);
    cr_assert_eq(aicp_policy_request_set_lookup(c.request, NULL, NULL, NULL, NULL), AICP_OK);
    cr_assert_eq(ask(&c), AICP_OK);
    cr_expect_eq(e.count, 8);
    cr_expect_eq(aicp_policy_response_reason_count(c.response), 0);
    policy_close(&c);
}

Test(policy_lookup, nothing_is_asked_that_no_policy_needs) {
    elsewhere e = {.entities = people};
    policy_case c = open_with(
        "permit (principal == User::\"alice\", action == Action::\"view\", resource is Doc)"
        " when { principal in User::\"alice\" && context == {} && principal != resource };",
        NULL,
        &e);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    cr_expect_eq(e.count, 0);
    policy_close(&c);
}

Test(policy_lookup, policies_of_other_actions_ask_for_nothing) {
    elsewhere e = {.entities = people};
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, AICPI_STRBUF_MAX);
    for (int i = 0; i < 40; i++) {
        aicpi_strbuf_printf(
            &text,
            "permit (principal in Team::\"t%d\", action == Action::\"edit\", resource in "
            "Folder::\"f%d\");",
            i,
            i);
    }
    aicpi_strbuf_puts(&text, "permit (principal, action == Action::\"view\", resource);");
    policy_case c = open_with(text.data, NULL, &e);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    cr_expect_eq(e.count, 0);
    aicpi_strbuf_deinit(&text);
    policy_close(&c);
}

Test(policy_lookup, the_request_and_the_store_come_first) {
    elsewhere e = {.entities = people};
    policy_case c =
        open_with("", "[" ENTITY("User", "alice", "{\"age\":1}", UID("Team", "blue")) "]", &e);
    cr_assert_eq(aicp_policy_request_entity_begin(c.request, "Doc", 3, "d", 1, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_parent(c.request, "Team", 4, "blue", 4, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_attr_long(c.request, "age", 2, NULL), AICP_OK);
    cr_expect(policy_holds(&c, "principal.age == 1 && resource.age == 2"));
    cr_expect_eq(e.count, 0);
    cr_expect(policy_holds(&c, "principal in Org::\"o\" && resource in Org::\"o\""));
    cr_expect_eq(e.count, 2, "Team::blue and Org::o");
    policy_close(&c);
}

Test(policy_lookup, an_entity_that_is_nowhere_does_not_exist) {
    elsewhere e = {.entities = people};
    policy_case c = open_with(
        "permit (principal, action, resource) when { User::\"eve\".age == 1 };", NULL, &e);
    cr_assert_eq(ask(&c), AICP_OK);
    cr_expect_eq(aicp_policy_response_error_kind(c.response, 0), AICP_POLICY_ERROR_ENTITY);
    policy_close(&c);
}

static void count_release(void *user) {
    ++*(int *)user;
}

static aicp_status find_nothing(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    (void)user;
    (void)type;
    (void)type_len;
    (void)id;
    (void)id_len;
    (void)found;
    (void)err;
    return AICP_OK;
}

Test(policy_lookup, what_it_was_set_with_is_given_back_once) {
    int first = 0;
    int second = 0;
    aicp_policy_request *r = NULL;
    cr_assert_eq(aicp_policy_request_new(NULL, &r, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_request_set_lookup(r, find_nothing, &first, count_release, NULL), AICP_OK);
    aicp_policy_request_reset(r);
    cr_expect_eq(first, 0);
    cr_assert_eq(
        aicp_policy_request_set_lookup(r, find_nothing, &second, count_release, NULL), AICP_OK);
    cr_expect_eq(first, 1);
    aicp_policy_request_free(r);
    cr_expect_eq(first, 1);
    cr_expect_eq(second, 1);
}

/* ---- failures ---- */

Test(policy_lookup, what_cannot_be_read_fails_the_call) {
    static const struct {
        const char *json;
        const char *message;
        uint32_t column;
    } cases[] = {
        {"[]", "cannot look up User::\"alice\": expected an object, found an array", 1},
        {"{}", "cannot look up User::\"alice\": the entity has no \"uid\"", 1},
        {" " ENTITY("User", "bob", "{}", ""),
         "cannot look up User::\"alice\": this is User::\"bob\"",
         2},
        {ENTITY("User", "alice", "{\"a\":null}", ""),
         "cannot look up User::\"alice\": null is not a value",
         50},
        {ENTITY("User", "alice", "{}", "") "x",
         "cannot look up User::\"alice\": unexpected text after the JSON value",
         61},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const entities[][2] = {{"User::alice", cases[i].json}, {NULL, NULL}};
        elsewhere e = {.entities = entities};
        policy_case c = open_with(
            "permit (principal, action, resource);"
            "permit (principal, action, resource) when { principal has age };",
            NULL,
            &e);
        cr_expect_eq(ask(&c), AICP_ERR_CALLBACK);
        cr_expect_str_eq(c.err.message, cases[i].message);
        cr_expect_eq(c.err.line, 1);
        cr_expect_eq(c.err.column, cases[i].column, "%u", c.err.column);
        policy_close(&c);
    }
}

/* Fails in one of several ways, then works. */
typedef struct moody {
    int mood;
    size_t calls;
} moody;

static aicp_status find_by_mood(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    static const char alice[] = ENTITY("User", "alice", "{\"age\":30}", "");
    moody *m = user;
    (void)type;
    (void)type_len;
    (void)id;
    (void)id_len;
    m->calls++;
    switch (m->mood) {
    case 0:
        return AICP_ERR_TIMEOUT;
    case 1:
        snprintf(err->message, sizeof err->message, "the directory is closed");
        return AICP_ERR_NOMEM;
    case 2: /* its error is not passed on, and is not lost */
        (void)!aicp_policy_found_json(found, "{", 1, NULL);
        return AICP_OK;
    case 3:
        cr_expect_eq(aicp_policy_found_json(found, alice, sizeof alice - 1, err), AICP_OK);
        cr_expect_eq(aicp_policy_found_json(found, alice, sizeof alice - 1, err), AICP_ERR_STATE);
        return AICP_OK;
    default:
        return aicp_policy_found_json(found, alice, sizeof alice - 1, err);
    }
}

Test(policy_lookup, an_error_of_the_callback_denies_and_the_next_call_asks_again) {
    static const char *const messages[] = {
        "cannot look up User::\"alice\": time ran out",
        "cannot look up User::\"alice\": the directory is closed",
        "cannot look up User::\"alice\": expected a key in double quotes",
        "cannot look up User::\"alice\": the entity was given twice"};
    moody m = {0};
    policy_case c = policy_open(
        "permit (principal, action, resource) when { principal.age == 30 && principal.age > 1 };"
        "permit (principal in User::\"x\", action, resource);"
        "permit (principal, action, resource) when { [1, principal.age].contains(principal) };",
        NULL);
    cr_assert_eq(aicp_policy_request_set_lookup(c.request, find_by_mood, &m, NULL, NULL), AICP_OK);
    for (m.mood = 0; m.mood < 4; m.mood++) {
        cr_expect_eq(ask(&c), AICP_ERR_CALLBACK);
        cr_expect_str_eq(c.err.message, messages[m.mood]);
        cr_expect_eq(m.calls, (size_t)m.mood + 1);
    }
    cr_expect_eq(ask(&c), AICP_OK);
    cr_expect_eq(aicp_policy_response_reason_count(c.response), 1);
    policy_close(&c);
}

Test(policy_lookup, an_entity_that_is_its_own_ancestor_fails_the_call) {
    const char *const entities[][2] = {
        {"Team::blue", ENTITY("Team", "blue", "{}", UID("Org", "o"))},
        {"Org::o", ENTITY("Org", "o", "{}", UID("User", "alice"))},
        {NULL, NULL}};
    elsewhere e = {.entities = entities};
    policy_case c = open_with(
        "permit (principal in Team::\"none\", action, resource);",
        "[" ENTITY("User", "alice", "{}", UID("Team", "blue")) "]",
        &e);
    cr_expect_eq(ask(&c), AICP_ERR_INVALID);
    cr_expect_str_eq(c.err.message, "User::\"alice\" is its own ancestor");
    policy_close(&c);
}

/* Every entity has a parent that was not seen yet. */
static aicp_status find_endless(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    size_t *count = user;
    char json[256];
    int len = snprintf(
        json,
        sizeof json,
        "{\"uid\":{\"type\":\"%.*s\",\"id\":\"%.*s\"},\"attrs\":{},\"parents\":[" UID(
            "G", "%zu") "]}",
        (int)type_len,
        type,
        (int)id_len,
        id,
        ++*count);
    return aicp_policy_found_json(found, json, (size_t)len, err);
}

Test(policy_lookup, an_endless_chain_ends_at_the_limit) {
    size_t count = 0;
    policy_case c = policy_open("permit (principal in G::\"x\", action, resource);", NULL);
    cr_assert_eq(
        aicp_policy_request_set_lookup(c.request, find_endless, &count, NULL, NULL), AICP_OK);
    cr_expect_eq(ask(&c), AICP_ERR_LIMIT);
    cr_expect_str_eq(c.err.message, "a request looks up at most 10000 entities");
    cr_expect_eq(count, AICP_POLICY_LOOKUP_MAX);
    policy_close(&c);
}

/* ---- memory ---- */

static const char staff_only[] =
    "permit (principal in Org::\"o\", action, resource) when { resource.owner.boss };"
    "permit (principal, action, resource in Org::\"o\") when { User::\"eve\" has age };";

static bool ask_elsewhere(void *user, const aicp_allocator *a) {
    elsewhere e = {.entities = people};
    const aicp_policy_set *set = user;
    aicp_policy_request *r = NULL;
    aicp_policy_response *response = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_request_new(a, &r, &err);
    if (status == AICP_OK) {
        status = aicp_policy_response_new(a, &response, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_principal(r, "User", 4, "alice", 5, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_action(r, "Action", 6, "chat", 4, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_resource(r, "Doc", 3, "d", 1, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_lookup(r, find, &e, NULL, &err);
    }
    bool ok = true;
    if (status == AICP_OK) {
        status = aicp_policy_authorize(set, NULL, r, 0, response, &err);
        int32_t decision = aicp_policy_response_decision(response);
        ok = decision == (status == AICP_OK ? AICP_POLICY_ALLOW : AICP_POLICY_DENY);
    }
    aicp_policy_request_free(r);
    aicp_policy_response_free(response);
    return ok && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

Test(nomem, lookups_deny_when_memory_runs_out) {
    aicp_policy_set *set = NULL;
    cr_assert_eq(
        aicp_policy_set_parse(staff_only, sizeof staff_only - 1, NULL, &set, NULL), AICP_OK);
    cr_assert_gt(test_every_allocation_failing(ask_elsewhere, set), 2);
    aicp_policy_set_free(set);
}
