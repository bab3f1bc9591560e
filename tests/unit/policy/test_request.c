/* Building of requests: typed values, and entities that only a request knows. */
#include "unit/policy/policy_test.h"

#include <stdio.h>

#define STR(literal) literal, sizeof(literal) - 1

Test(policy_request, typed_values_are_those_of_json) {
    static const char *const items[] = {"b", "a", "b"};
    static const size_t lens[] = {1, 1, 1};
    policy_case c = policy_open("", NULL);
    aicp_policy_request *r = c.request;
    cr_assert_eq(aicp_policy_request_context_bool(r, "bool", 1, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_long(r, "long", INT64_MIN, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_string(r, "string", STR("a\0b"), NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_string_set(r, "set", items, lens, 3, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_string_set(r, "none", NULL, NULL, 0, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_entity(r, "entity", "A::B", "c", NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_ip(r, "ip", STR("10.0.0.0/8"), NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_decimal(r, "decimal", STR("1.50"), NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_datetime(r, "datetime", 86400000, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_duration(r, "duration", -1500, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_request_context_json(r, "json", STR("{\"x\":[1,{\"y\":2}]}"), NULL), AICP_OK);
    cr_expect(policy_holds(
        &c,
        "context == {\"bool\": true, \"long\": -9223372036854775808, \"string\": \"a\\0b\","
        " \"set\": [\"a\", \"b\"], \"none\": [], \"entity\": A::B::\"c\", \"ip\": "
        "ip(\"10.0.0.0/8\"),"
        " \"decimal\": decimal(\"1.5\"), \"datetime\": datetime(\"1970-01-02\"),"
        " \"duration\": duration(\"-1s500ms\"), \"json\": {x: [1, {y: 2}]}}"));
    policy_close(&c);
}

Test(policy_request, setting_an_attribute_again_replaces_it) {
    policy_case c = policy_open("", NULL);
    for (int i = 0; i < 100; i++) {
        char name[8];
        snprintf(name, sizeof name, "a%d", i % 20);
        cr_assert_eq(aicp_policy_request_context_long(c.request, name, i, NULL), AICP_OK);
    }
    cr_expect(policy_holds(&c, "context.a0 == 80 && context.a7 == 87 && context.a19 == 99"));
    cr_expect(policy_holds(&c, "!(context has a20)"));
    policy_close(&c);
}

Test(policy_request, json_context_can_be_added_to_and_reset_empties) {
    policy_case c = policy_open("", NULL);
    cr_assert_eq(
        aicp_policy_request_set_context_json(c.request, STR("{\"a\":1,\"b\":2}"), NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_long(c.request, "c", 3, NULL), AICP_OK);
    cr_expect(policy_holds(&c, "context == {a: 1, b: 2, c: 3}"));
    cr_assert_eq(aicp_policy_request_set_context_json(c.request, STR("{}"), NULL), AICP_OK);
    cr_expect(policy_holds(&c, "context == {}"));
    aicp_policy_request_reset(c.request);
    cr_expect_eq(
        aicp_policy_authorize(c.set, NULL, c.request, 0, c.response, NULL), AICP_ERR_STATE);
    policy_close(&c);
}

Test(policy_request, a_context_that_is_no_object_is_refused_with_its_place) {
    static const char *const bad[] = {
        "[]",
        "1",
        "",
        "{\"a\":null}",
        "{\"a\":1.5}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1} x",
        "{\"a\":{\"__extn\":{\"fn\":\"ip\",\"arg\":\"x\"}}}",
        "{\"a\":{\"__extn\":{\"fn\":\"offset\",\"arg\":\"x\"}}}",
        "{\"a\":{\"__extn\":{\"fn\":\"ip\",\"args\":[1,2,3,4,5]}}}",
        "{\"a\":{\"__extn\":{\"fn\":\"ip\"}}}",
        "{\"a\":{\"__extn\":1}}",
        "{\"a\":{\"__entity\":{\"type\":\"A\"}}}",
        ("{\"a\":{\"__entity\":"
         "{\"type\":\"A B\",\"id\":\"\"}}}"),
        "{\"a\":{\"__expr\":\"1\"}}",
        "{\"__expr\":\"1\"}",
        "{\"__extn\":{\"fn\":\"ip\",\"arg\":\"::1\"}}",
        "{\"__entity\":{\"type\":\"A\",\"id\":\"\"}}",
        "{\"a\":9223372036854775808}"};
    policy_case c = policy_open("", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        aicp_error err = {0};
        cr_expect_neq(
            aicp_policy_request_set_context_json(c.request, bad[i], strlen(bad[i]), &err),
            AICP_OK,
            "%s",
            bad[i]);
        cr_expect_eq(err.line, 1, "%s: %s", bad[i], err.message);
    }
    policy_close(&c);
}

Test(policy_request, bad_arguments_are_refused) {
    aicp_error err;
    policy_case c = policy_open("", NULL);
    aicp_policy_request *r = c.request;
    cr_expect_eq(
        aicp_policy_request_set_principal(r, STR("A B"), STR("x"), &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_set_action(r, STR("if"), STR("x"), &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_set_resource(r, STR("A::"), STR("x"), &err), AICP_ERR_INVALID);
    cr_expect_eq(
        aicp_policy_request_set_resource(r, STR("A"), STR("\xFF"), &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_set_resource(r, NULL, 0, NULL, 0, &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_context_long(r, NULL, 1, &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_context_long(r, "\xFF", 1, &err), AICP_ERR_INVALID);
    cr_expect_eq(
        aicp_policy_request_context_string(r, "a", STR("\xC0\x80"), &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_context_ip(r, "a", STR("10.0.0"), &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_context_decimal(r, "a", STR("1"), &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_context_entity(r, "a", NULL, "x", &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_context_entity(r, "a", "1A", "x", &err), AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_request_entity_attr_bool(r, "a", 1, &err), AICP_ERR_STATE);
    cr_expect_eq(aicp_policy_request_entity_parent(r, STR("A"), STR("b"), &err), AICP_ERR_STATE);
    policy_close(&c);
}

/* ---- entities of the request ---- */

#define UID(type, id) "{\"type\":\"" type "\",\"id\":\"" id "\"}"
#define ENTITY(type, id, attrs, parents)                                                           \
    "{\"uid\":" UID(type, id) ",\"attrs\":" attrs ",\"parents\":[" parents "]}"

#define ALICE ENTITY("User", "alice", "{\"level\":1}", UID("Team", "t"))
#define TEAM ENTITY("Team", "t", "{}", UID("Org", "o"))
#define ORG ENTITY("Org", "o", "{}", "")
#define DOC ENTITY("Doc", "d", "{}", UID("Folder", "f"))

static const char store[] = "[" ALICE "," TEAM "," ORG "," DOC "]";

static void begin(policy_case *c, const char *type, const char *id) {
    cr_assert_eq(
        aicp_policy_request_entity_begin(c->request, type, strlen(type), id, strlen(id), &c->err),
        AICP_OK,
        "%s",
        c->err.message);
}

static void parent(policy_case *c, const char *type, const char *id) {
    cr_assert_eq(
        aicp_policy_request_entity_parent(c->request, type, strlen(type), id, strlen(id), &c->err),
        AICP_OK);
}

Test(policy_overlay, an_entity_of_the_request_hides_that_of_the_store) {
    policy_case c = policy_open("", store);
    cr_expect(policy_holds(&c, "principal.level == 1 && principal in Org::\"o\""));
    begin(&c, "User", "alice");
    cr_assert_eq(aicp_policy_request_entity_attr_long(c.request, "level", 2, NULL), AICP_OK);
    cr_expect(policy_holds(&c, "principal.level == 2 && !(principal in Org::\"o\")"));
    cr_expect(policy_holds(&c, "User::\"alice\".level == 2 && !principal.hasTag(\"x\")"));
    policy_close(&c);
}

Test(policy_overlay, all_kinds_of_attributes_can_be_set) {
    static const char *const items[] = {"x", "y"};
    policy_case c = policy_open("", NULL);
    aicp_policy_request *r = c.request;
    begin(&c, "User", "alice");
    cr_assert_eq(aicp_policy_request_entity_attr_bool(r, "b", 0, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_attr_string(r, "s", STR("t"), NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_request_entity_attr_string_set(r, "set", items, NULL, 2, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_attr_entity(r, "e", "Doc", "d", NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_attr_datetime(r, "t", 0, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_attr_decimal(r, "d", STR("0.5"), NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_attr_json(r, "j", STR("[1]"), NULL), AICP_OK);
    cr_expect(policy_holds(&c, "!principal.b && principal.s == \"t\" && principal.e == resource"));
    cr_expect(policy_holds(&c, "principal.set == [\"y\",\"x\"] && principal.j.contains(1)"));
    cr_expect(policy_holds(
        &c, "principal.t == datetime(\"1970-01-01\") && principal.d == decimal(\"0.50\")"));
    policy_close(&c);
}

Test(policy_overlay, ancestors_go_through_the_request_and_the_store) {
    policy_case c = policy_open("", store);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, STR("Key"), STR("k"), NULL), 0);
    begin(&c, "Key", "k");
    parent(&c, "User", "new");
    parent(&c, "Tag", "x");
    begin(&c, "User", "new");
    parent(&c, "Team", "t");
    cr_expect(policy_holds(&c, "principal in User::\"new\" && principal in Team::\"t\""));
    cr_expect(policy_holds(&c, "principal in Org::\"o\" && principal in Tag::\"x\""));
    cr_expect(policy_holds(&c, "principal in [Org::\"z\", Org::\"o\"] && !(principal in [])"));
    cr_expect(policy_holds(&c, "!(principal in User::\"alice\") && !(principal in resource)"));
    policy_close(&c);
}

Test(policy_overlay, an_entity_in_the_middle_of_the_store_changes_what_lies_below) {
    policy_case c = policy_open("", store);
    begin(&c, "Team", "t");
    parent(&c, "Org", "other");
    cr_expect(policy_holds(&c, "principal in Team::\"t\" && principal in Org::\"other\""));
    cr_expect(policy_holds(&c, "!(principal in Org::\"o\") && !(Team::\"t\" in Org::\"o\")"));
    cr_expect(policy_holds(&c, "principal in [Org::\"other\"] && !(principal in [Org::\"o\"])"));
    policy_close(&c);
}

Test(policy_overlay, a_parent_that_the_store_only_names_can_be_brought_along) {
    policy_case c = policy_open("", store);
    begin(&c, "Folder", "f");
    parent(&c, "Drive", "v");
    cr_expect(policy_holds(&c, "resource in Folder::\"f\" && resource in Drive::\"v\""));
    cr_expect(policy_holds(&c, "principal in Org::\"o\""));
    policy_close(&c);
}

Test(policy_overlay, cycles_are_refused) {
    policy_case c = policy_open("permit (principal, action, resource);", store);
    begin(&c, "A", "a");
    parent(&c, "B", "b");
    begin(&c, "B", "b");
    parent(&c, "A", "a");
    cr_expect_eq(
        aicp_policy_authorize(c.set, c.entities, c.request, 0, c.response, &c.err),
        AICP_ERR_INVALID);
    cr_expect_eq(aicp_policy_response_decision(c.response), AICP_POLICY_DENY);
    aicp_policy_request_reset(c.request);
    cr_assert_eq(aicp_policy_request_set_principal(c.request, STR("User"), STR("a"), NULL), 0);
    cr_assert_eq(aicp_policy_request_set_action(c.request, STR("Action"), STR("a"), NULL), 0);
    cr_assert_eq(aicp_policy_request_set_resource(c.request, STR("Doc"), STR("a"), NULL), 0);
    begin(&c, "Org", "o"); /* below itself through the store */
    parent(&c, "User", "alice");
    cr_expect_eq(
        aicp_policy_authorize(c.set, c.entities, c.request, 0, c.response, &c.err),
        AICP_ERR_INVALID);
    policy_close(&c);
}

Test(policy_overlay, an_entity_can_be_begun_once_and_their_number_is_limited) {
    policy_case c = policy_open("permit (principal in E::\"255\", action, resource);", NULL);
    begin(&c, "User", "alice");
    parent(&c, "E", "1");
    cr_expect_eq(
        aicp_policy_request_entity_begin(c.request, STR("User"), STR("alice"), &c.err),
        AICP_ERR_EXISTS);
    for (int i = 1; i < AICP_POLICY_OVERLAY_MAX; i++) { /* a chain as long as can be */
        char id[8];
        char next[8];
        snprintf(id, sizeof id, "%d", i);
        snprintf(next, sizeof next, "%d", i + 1);
        begin(&c, "E", id);
        parent(&c, "E", next);
    }
    cr_expect_eq(
        aicp_policy_request_entity_begin(c.request, STR("X"), STR("x"), &c.err), AICP_ERR_LIMIT);
    cr_expect_eq(policy_ask(&c), AICP_POLICY_ALLOW);
    policy_close(&c);
}
