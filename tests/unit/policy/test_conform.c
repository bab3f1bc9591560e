/* Entities, contexts and requests by a schema: what short forms stand for, what is refused and how
 * it is said. */
#include "unit/policy/policy_test.h"
#include "unit/support.h"

#define SCHEMA                                                                                     \
    "entity Org; entity Team in [Org]; entity User in [Team] = {age?: Long, boss?: User,"          \
    " from?: ipaddr, rate?: decimal, at?: datetime, addr?: {city: String, zip?: Long},"            \
    " list?: Set<{n: Long}>, colors?: Set<Color>, may?: Action} tags duration;"                    \
    "entity Color enum [\"red\", \"blue\"]; entity Doc = {name: String};"                          \
    "action all; action view in [all] appliesTo {principal: [User, Color], resource: Doc,"         \
    " context: {ip: ipaddr, n?: Long, who?: User}};"

static aicp_policy_schema *schema_of(const char *text) {
    aicp_policy_schema *schema = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_schema_parse(text, strlen(text), NULL, &schema, &err);
    cr_assert_eq(status, AICP_OK, "%s", err.message);
    return schema;
}

static aicp_status load(
    const char *json,
    const aicp_policy_schema *schema,
    aicp_policy_entities **out,
    aicp_error *err) {
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    options.schema = schema;
    return aicp_policy_entities_parse(json, strlen(json), &options, out, err);
}

#define UID(type, id) "{\"type\":\"" type "\",\"id\":\"" id "\"}"
#define USER(attrs) "[{\"uid\":" UID("User", "a") ",\"attrs\":" attrs ",\"parents\":[]}]"

Test(policy_conform, short_forms_stand_for_what_is_declared) {
    aicp_policy_schema *schema = schema_of(SCHEMA);
    policy_case c = policy_open("", NULL);
    aicp_error err = {0};
    const char *json = "[{\"attrs\":{\"boss\":" UID(
        "User", "b") ",\"from\":\"10.0.0.1\",\"rate\":{\"fn\":\"decimal\","
                     "\"arg\":\"1.50\"},\"at\":{\"fn\":\"offset\",\"args\":[\"2024-01-01\",{\"fn\":"
                     "\"duration\","
                     "\"arg\":\"1h\"}]},\"addr\":{\"city\":\"Oslo\"},\"list\":[{\"n\":1}],"
                     "\"colors\":[" UID("Color", "red") "],\"may\":" UID(
                         "Action", "view") "},\"tags\":{\"t\":\"90m\"},"
                                           "\"parents\":[" UID("Team", "t") "],\"uid\":" UID(
                                               "User", "alice") "}]";
    cr_assert_eq(load(json, schema, &c.entities, &err), AICP_OK, "%s", err.message);
    aicp_policy_schema_free(schema);
    cr_expect(policy_holds(
        &c,
        "principal.boss == User::\"b\" && principal.from.isIpv4() && principal.rate =="
        " decimal(\"1.5\") && principal.at == datetime(\"2024-01-01T01:00:00Z\") &&"
        " principal.list.contains({n: 1}) && principal.colors == [Color::\"red\"] &&"
        " principal.getTag(\"t\") == duration(\"1h30m\") && principal in Team::\"t\" &&"
        " principal.may == Action::\"view\""));
    cr_expect(policy_holds(&c, "action in Action::\"all\""), "actions come from the schema");
    cr_expect_eq(aicp_policy_entities_count(c.entities), 3);
    policy_close(&c);
}

Test(policy_conform, entities_that_are_not_as_declared_are_refused_with_their_path) {
    static const struct {
        const char *json;
        aicp_status status;
        const char *message;
    } cases[] = {
        {USER("{\"addr\":{\"city\":\"x\",\"zip\":\"y\"}}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"addr.zip\": expected Long, found String"},
        {USER("{\"addr\":{}}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"addr.city\": missing"},
        {USER("{\"list\":[{\"n\":1},{\"n\":true}]}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"list[].n\": expected Long, found Bool"},
        {USER("{\"list\":{\"n\":1}}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"list\": expected Set<{n: Long}>, found a record"},
        {USER("{\"nope\":1}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"nope\": not declared"},
        {USER("{\"boss\":" UID("Team", "t") "}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"boss\": expected User, found Team"},
        {USER("{\"colors\":[" UID("Color", "green") "]}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"colors[]\": Color has no \"green\""},
        {USER("{\"may\":" UID("Action", "fly") "}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"may\": the action Action::\"fly\" is not declared"},
        {USER("{\"from\":\"10.0.0\"}"),
         AICP_ERR_PARSE,
         "User::\"a\": attribute \"from\": ip: an IPv4 address is four numbers from 0 to 255 "
         "without"
         " leading zeros"},
        {USER("{\"from\":{\"fn\":\"decimal\",\"arg\":\"1.0\"}}"),
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": attribute \"from\": expected ipaddr, found decimal"},
        {USER("{\"age\":9223372036854775808}"),
         AICP_ERR_RANGE,
         "User::\"a\": attribute \"age\": number does not fit 64 bits"},
        {"[{\"uid\":" UID("Doc", "d") ",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_POLICY_TYPE,
         "Doc::\"d\": attribute \"name\": missing"},
        {"[{\"uid\":" UID("Team", "t") ",\"attrs\":{},\"parents\":[],\"tags\":{\"k\":1}}]",
         AICP_ERR_POLICY_TYPE,
         "Team::\"t\": tag \"k\": not declared"},
        {"[{\"tags\":{\"k\":1},\"uid\":" UID("User", "a") ",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_POLICY_TYPE,
         "User::\"a\": tag \"k\": expected duration, found Long"},
        {"[{\"uid\":" UID("Team", "t") ",\"attrs\":{},\"parents\":[" UID("User", "a") "]}]",
         AICP_ERR_POLICY_TYPE,
         "Team::\"t\": cannot be in User::\"a\": its type is not declared to be in User"},
        {"[{\"uid\":" UID("Car", "c") ",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_POLICY_TYPE,
         "Car::\"c\": the type Car is not declared"},
        {"[{\"uid\":" UID("Color", "green") ",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_POLICY_TYPE,
         "Color::\"green\": Color has no \"green\""},
        {"[{\"uid\":" UID("Action", "fly") ",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_POLICY_TYPE,
         "Action::\"fly\": the action is not declared"},
        {"[{\"uid\":" UID("Action", "view") ",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_POLICY_TYPE,
         "Action::\"view\": the action differs from its declaration"},
        {"[{\"uid\":" UID("Action", "view") ",\"attrs\":{},\"parents\":[" UID("Team", "t") "]}]",
         AICP_ERR_PARSE,
         "an action cannot be in Team::\"t\""},
    };
    aicp_policy_schema *schema = schema_of(SCHEMA);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicp_error err = {0};
        aicp_policy_entities *entities = NULL;
        cr_expect_eq(
            load(cases[i].json, schema, &entities, &err), cases[i].status, "%s", cases[i].json);
        cr_expect_null(entities);
        cr_expect_str_eq(err.message, cases[i].message);
        cr_expect_eq(err.line, 1);
    }
    aicp_policy_schema_free(schema);
}

/* ---- requests ---- */

/* A request by User::"alice" to view Doc::"d", with a context that fits. */
static policy_case ask_by(aicp_policy_schema *schema) {
    policy_case c = policy_open("", NULL);
    aicp_policy_request_set_schema(c.request, schema);
    cr_assert_eq(
        aicp_policy_request_set_context_json(c.request, "{\"ip\":\"::1\"}", 12, &c.err),
        AICP_OK,
        "%s",
        c.err.message);
    return c;
}

static void expect_refused(policy_case *c, const char *message) {
    cr_expect_eq(aicp_policy_request_check(c->request, &c->err), AICP_ERR_POLICY_TYPE);
    cr_expect_str_eq(c->err.message, message);
}

Test(policy_conform, contexts_are_read_by_the_action_that_is_set) {
    aicp_policy_schema *schema = schema_of(SCHEMA);
    policy_case c = ask_by(schema);
    aicp_policy_request *r = c.request;
    cr_expect_eq(aicp_policy_request_check(r, &c.err), AICP_OK, "%s", c.err.message);
    cr_expect_eq(aicp_policy_request_context_json(r, "who", UID("User", "b"), 24, &c.err), AICP_OK);
    cr_expect(policy_holds(&c, "context.ip.isLoopback() && context.who == User::\"b\""));
    cr_expect_eq(aicp_policy_request_context_json(r, "x", "1", 1, &c.err), AICP_ERR_POLICY_TYPE);
    cr_expect_str_eq(c.err.message, "context: attribute \"x\": not declared");
    static const char wrong[] = "{\"ip\":\"::1\",\n\"n\":\"7\"}";
    cr_expect_eq(
        aicp_policy_request_set_context_json(r, wrong, sizeof wrong - 1, &c.err),
        AICP_ERR_POLICY_TYPE);
    cr_expect_str_eq(c.err.message, "context: attribute \"n\": expected Long, found String");
    cr_expect_eq(c.err.line, 2);
    aicp_policy_request_reset(r); /* keeps the schema, not the action */
    cr_expect_eq(aicp_policy_request_set_context_json(r, "{}", 2, &c.err), AICP_ERR_STATE);
    cr_expect_eq(aicp_policy_request_set_action(r, "Action", 6, "fly", 3, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_request_set_context_json(r, "{}", 2, &c.err), AICP_ERR_POLICY_TYPE);
    cr_expect_str_eq(c.err.message, "the action Action::\"fly\" is not declared");
    aicp_policy_request_set_schema(r, NULL);
    cr_expect_eq(aicp_policy_request_set_context_json(r, "{}", 2, &c.err), AICP_OK);
    cr_expect_eq(aicp_policy_request_check(r, &c.err), AICP_ERR_STATE);
    aicp_policy_schema_free(schema);
    policy_close(&c);
}

Test(policy_conform, requests_that_are_not_as_declared_are_refused) {
    aicp_policy_schema *schema = schema_of(SCHEMA);
    policy_case c = ask_by(schema);
    aicp_policy_request *r = c.request;
    cr_assert_eq(aicp_policy_request_set_principal(r, "Color", 5, "green", 5, NULL), AICP_OK);
    expect_refused(&c, "Color::\"green\": Color has no \"green\"");
    cr_assert_eq(aicp_policy_request_set_principal(r, "Team", 4, "t", 1, NULL), AICP_OK);
    expect_refused(&c, "Team::\"t\": Action::\"view\" does not apply to a principal of type Team");
    cr_assert_eq(aicp_policy_request_set_principal(r, "Car", 3, "t", 1, NULL), AICP_OK);
    expect_refused(&c, "Car::\"t\": the type Car is not declared");
    cr_assert_eq(aicp_policy_request_set_principal(r, "Color", 5, "red", 3, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_set_resource(r, "User", 4, "t", 1, NULL), AICP_OK);
    expect_refused(&c, "User::\"t\": Action::\"view\" does not apply to a resource of type User");
    cr_assert_eq(aicp_policy_request_set_resource(r, "Doc", 3, "t", 1, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_request_check(r, &c.err), AICP_OK);
    cr_assert_eq(aicp_policy_request_context_string(r, "n", "7", 1, NULL), AICP_OK);
    expect_refused(&c, "context: attribute \"n\": expected Long, found String");
    cr_assert_eq(aicp_policy_request_context_long(r, "n", 7, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_set_action(r, "Action", 6, "all", 3, NULL), AICP_OK);
    expect_refused(
        &c, "Color::\"red\": Action::\"all\" does not apply to a principal of type Color");
    cr_assert_eq(aicp_policy_request_set_action(r, "Action", 6, "fly", 3, NULL), AICP_OK);
    expect_refused(&c, "Action::\"fly\": the action is not declared");
    aicp_policy_schema_free(schema);
    policy_close(&c);
}

Test(policy_conform, entities_of_the_request_are_checked_too) {
    aicp_policy_schema *schema = schema_of(SCHEMA);
    policy_case c = ask_by(schema);
    aicp_policy_request *r = c.request;
    cr_assert_eq(aicp_policy_request_entity_begin(r, "User", 4, "alice", 5, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_parent(r, "Team", 4, "t", 1, NULL), AICP_OK);
    cr_assert_eq(
        aicp_policy_request_entity_attr_json(r, "boss", UID("User", "b"), 24, &c.err), AICP_OK);
    cr_expect_eq(aicp_policy_request_check(r, &c.err), AICP_OK, "%s", c.err.message);
    cr_expect(policy_holds(&c, "principal.boss == User::\"b\""));
    cr_expect_eq(
        aicp_policy_request_entity_attr_json(r, "age", "\"x\"", 3, &c.err), AICP_ERR_POLICY_TYPE);
    cr_expect_str_eq(
        c.err.message, "User::\"alice\": attribute \"age\": expected Long, found String");
    cr_assert_eq(aicp_policy_request_entity_attr_bool(r, "age", 1, NULL), AICP_OK);
    expect_refused(&c, "User::\"alice\": attribute \"age\": expected Long, found Bool");
    cr_assert_eq(aicp_policy_request_entity_attr_long(r, "age", 1, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_begin(r, "Action", 6, "view", 4, NULL), AICP_OK);
    expect_refused(&c, "Action::\"view\": the action differs from its declaration");
    cr_assert_eq(aicp_policy_request_entity_parent(r, "Action", 6, "all", 3, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_request_check(r, &c.err), AICP_OK, "%s", c.err.message);
    cr_assert_eq(aicp_policy_request_entity_begin(r, "Doc", 3, "d", 1, NULL), AICP_OK);
    expect_refused(&c, "Doc::\"d\": attribute \"name\": missing");
    cr_assert_eq(aicp_policy_request_entity_attr_string(r, "name", "x", 1, NULL), AICP_OK);
    cr_assert_eq(aicp_policy_request_entity_parent(r, "Team", 4, "t", 1, NULL), AICP_OK);
    expect_refused(
        &c, "Doc::\"d\": cannot be in Team::\"t\": its type is not declared to be in Team");
    aicp_policy_schema_free(schema);
    policy_close(&c);
}

/* ---- lookups ---- */

static aicp_status find_user(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    const char *json = user;
    (void)id;
    (void)id_len;
    cr_expect(strncmp(type, "Action", type_len) != 0, "actions come from the schema");
    return strncmp(type, "User", type_len) == 0
               ? aicp_policy_found_json(found, json, strlen(json), err)
               : AICP_OK;
}

Test(policy_conform, looked_up_entities_are_read_by_the_schema) {
    static char fine[] =
        "{\"uid\":" UID("User", "alice") ",\"attrs\":{\"from\":\"10.0.0.1\"},\"parents\":[]}";
    static char wrong[] =
        "{\"uid\":" UID("User", "alice") ",\"attrs\":{\"age\":\"1\"},\"parents\":[]}";
    aicp_policy_schema *schema = schema_of(SCHEMA);
    policy_case c = ask_by(schema);
    cr_assert_eq(aicp_policy_request_set_lookup(c.request, find_user, fine, NULL, NULL), AICP_OK);
    cr_expect(policy_holds(&c, "principal.from.isIpv4() && action in Action::\"all\""));
    cr_expect(policy_holds(&c, "!(Action::\"fly\" in Action::\"all\")"));
    cr_assert_eq(aicp_policy_request_set_lookup(c.request, find_user, wrong, NULL, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_authorize(c.set, NULL, c.request, 0, c.response, &c.err), AICP_OK);
    aicp_policy_set_free(c.set);
    c.set = NULL;
    static const char policy[] = "permit (principal, action, resource) when { principal has x };";
    cr_assert_eq(aicp_policy_set_parse(policy, sizeof policy - 1, NULL, &c.set, NULL), AICP_OK);
    cr_expect_eq(
        aicp_policy_authorize(c.set, NULL, c.request, 0, c.response, &c.err), AICP_ERR_CALLBACK);
    cr_expect_str_eq(
        c.err.message,
        "cannot look up User::\"alice\": User::\"alice\": attribute \"age\": expected Long, found"
        " String");
    aicp_policy_schema_free(schema);
    policy_close(&c);
}

/* ---- memory ---- */

static bool read_and_check(void *user, const aicp_allocator *a) {
    static const char json[] =
        USER("{\"boss\":" UID("User", "b") ",\"rate\":\"1.5\",\"addr\":{\"city\":"
                                           "\"x\"},\"colors\":[" UID("Color", "red") "]}");
    aicp_policy_schema *schema = user;
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    aicp_policy_entities *entities = NULL;
    aicp_policy_request *r = NULL;
    aicp_error err;
    options.allocator = a;
    options.schema = schema;
    aicp_status status =
        aicp_policy_entities_parse(json, sizeof json - 1, &options, &entities, &err);
    bool ok = (status == AICP_OK) == (entities != NULL);
    aicp_policy_entities_free(entities);
    if (status == AICP_OK) {
        status = aicp_policy_request_new(a, &r, &err);
    }
    if (status == AICP_OK) {
        aicp_policy_request_set_schema(r, schema);
        status = aicp_policy_request_set_action(r, "Action", 6, "view", 4, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_principal(r, "User", 4, "a", 1, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_resource(r, "Doc", 3, "d", 1, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_set_context_json(r, "{\"ip\":\"::1\"}", 12, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_entity_begin(r, "Action", 6, "view", 4, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_entity_parent(r, "Action", 6, "all", 3, &err);
    }
    if (status == AICP_OK) {
        status = aicp_policy_request_check(r, &err);
    }
    aicp_policy_request_free(r);
    return ok && (status == AICP_OK || status == AICP_ERR_NOMEM);
}

Test(nomem, entities_and_requests_by_a_schema_are_read_whole_or_not_at_all) {
    aicp_policy_schema *schema = schema_of(SCHEMA);
    cr_assert_gt(test_every_allocation_failing(read_and_check, schema), 2);
    aicp_policy_schema_free(schema);
}
