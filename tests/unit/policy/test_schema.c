/* Schemas as they are read: what names mean, what is refused and where, what may be in what. */
#include "lib/policy/intern.h"
#include "lib/policy/schema.h"

#include "lib/base/hash.h"
#include "lib/base/strbuf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static aicp_policy_schema *read_schema(const char *text) {
    aicp_policy_schema *schema = NULL;
    aicp_error err = {0};
    cr_assert_eq(
        aicp_policy_schema_parse(text, strlen(text), NULL, &schema, &err),
        AICP_OK,
        "%u:%u %s",
        err.line,
        err.column,
        err.message);
    return schema;
}

/* Texts of the tests, as the module keeps them. */
static aicpi_arena arena;
static aicpi_policy_intern intern;

static void open_intern(void) {
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_policy_intern_init(&intern, &arena, true);
}

static void close_intern(void) {
    aicpi_policy_intern_deinit(&intern);
    aicpi_arena_deinit(&arena);
}

TestSuite(policy_schema, .init = open_intern, .fini = close_intern);

static const aicpi_policy_str *str(const char *text) {
    return aicpi_policy_intern_str(&intern, aicpi_slice_cstr(text));
}

static const aicpi_policy_entity_type *type_of(const aicp_policy_schema *schema, const char *name) {
    const aicpi_policy_entity_type *type = aicpi_policy_schema_entity_type(schema, str(name));
    cr_assert(type, "no type %s", name);
    return type;
}

static const aicpi_policy_action *
action_of(const aicp_policy_schema *schema, const char *type, const char *id) {
    const aicpi_policy_action *action =
        aicpi_policy_schema_action(schema, aicpi_policy_intern_uid(&intern, str(type), str(id)));
    cr_assert(action, "no action %s::%s", type, id);
    return action;
}

static const aicpi_policy_type *attr_of(const aicpi_policy_type *record, const char *key) {
    cr_assert_eq(record->kind, AICPI_POLICY_RECORD);
    const aicpi_policy_attr_type *attr = aicpi_policy_type_attr(record, str(key));
    cr_assert(attr, "no attribute %s", key);
    return attr->type;
}

/* ---- names ---- */

Test(policy_schema, a_name_means_what_is_nearest_and_a_common_type_before_an_entity_type) {
    aicp_policy_schema *s = read_schema(
        "type Near = Long;\n"
        "entity Far;\n"
        "namespace A {\n"
        "  type Both = String; entity Both;\n"
        "  type duration = Bool;\n"
        "  entity E = { both: Both, near: Near, far: Far, other: B::Both, d: duration,\n"
        "               built: __cedar::duration, ip: ipaddr };\n"
        "}\n"
        "namespace B { entity Both; }\n");
    const aicpi_policy_type *shape = type_of(s, "A::E")->shape;
    cr_expect_eq(attr_of(shape, "both")->kind, AICPI_POLICY_STRING);
    cr_expect_eq(attr_of(shape, "near")->kind, AICPI_POLICY_LONG);
    cr_expect_eq(attr_of(shape, "far")->u.entity, type_of(s, "Far"));
    cr_expect_eq(attr_of(shape, "other")->u.entity, type_of(s, "B::Both"));
    cr_expect_eq(attr_of(shape, "d")->kind, AICPI_POLICY_BOOL);
    cr_expect_eq(attr_of(shape, "built")->kind, AICPI_POLICY_DURATION);
    cr_expect_eq(attr_of(shape, "ip")->kind, AICPI_POLICY_IP);
    aicp_policy_schema_free(s);
}

Test(policy_schema, attributes_and_actions_may_have_the_reserved_name) {
    aicp_policy_schema *s = read_schema("entity E = { __cedar: Long };\n"
                                        "action __cedar;\n"
                                        "action a in __cedar;\n");
    cr_expect_eq(attr_of(type_of(s, "E")->shape, "__cedar")->kind, AICPI_POLICY_LONG);
    cr_expect_eq(aicp_policy_schema_action_count(s), 2);
    aicp_policy_schema_free(s);
}

Test(policy_schema, json_says_which_kind_of_type_a_name_means) {
    aicp_policy_schema *s = read_schema(
        "{\"\":{\"commonTypes\":{\"X\":{\"type\":\"Long\"}},\"entityTypes\":{\"X\":{},\"E\":{"
        "\"shape\":{\"type\":\"Record\",\"attributes\":{"
        "\"entity\":{\"type\":\"Entity\",\"name\":\"X\"},\"common\":{\"type\":\"X\"},"
        "\"either\":{\"type\":\"EntityOrCommon\",\"name\":\"X\"},"
        "\"ext\":{\"type\":\"Extension\",\"name\":\"decimal\",\"required\":false},"
        "\"bool\":{\"type\":\"Boolean\"}}}}},\"actions\":{}}}");
    const aicpi_policy_type *shape = type_of(s, "E")->shape;
    cr_expect_eq(attr_of(shape, "entity")->u.entity, type_of(s, "X"));
    cr_expect_eq(attr_of(shape, "common")->kind, AICPI_POLICY_LONG);
    cr_expect_eq(attr_of(shape, "either")->kind, AICPI_POLICY_LONG);
    cr_expect_eq(attr_of(shape, "ext")->kind, AICPI_POLICY_DECIMAL);
    cr_expect_eq(attr_of(shape, "bool")->kind, AICPI_POLICY_BOOL);
    cr_expect(aicpi_policy_type_attr(shape, str("common"))->required);
    cr_expect_not(aicpi_policy_type_attr(shape, str("ext"))->required);
    cr_expect_null(aicpi_policy_type_attr(shape, str("none")));
    aicp_policy_schema_free(s);
}

Test(policy_schema, common_types_may_be_used_before_they_are_declared) {
    aicp_policy_schema *s =
        read_schema("entity E { a: T, b: Set<T> }; type T = { u: U }; type U = Set<E>;");
    const aicpi_policy_type *shape = type_of(s, "E")->shape;
    const aicpi_policy_type *t = attr_of(shape, "a");
    cr_expect_eq(attr_of(shape, "b")->u.element, t);
    cr_expect_eq(attr_of(t, "u")->kind, AICPI_POLICY_SET);
    cr_expect_eq(attr_of(t, "u")->u.element->u.entity, type_of(s, "E"));
    aicp_policy_schema_free(s);
}

Test(policy_schema, of_an_attribute_that_stands_twice_the_last_counts) {
    aicp_policy_schema *s = read_schema("entity E { a: Long, b: Long, a?: String };");
    const aicpi_policy_type *shape = type_of(s, "E")->shape;
    cr_expect_eq(shape->count, 2);
    cr_expect_eq(attr_of(shape, "a")->kind, AICPI_POLICY_STRING);
    cr_expect_not(aicpi_policy_type_attr(shape, str("a"))->required);
    aicp_policy_schema_free(s);
}

Test(policy_schema, attributes_of_a_wide_record_are_all_found) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_puts(&text, "entity E {");
    for (int i = 0; i < 100; i++) {
        aicpi_strbuf_printf(&text, "a%d: Long,", i);
    }
    aicpi_strbuf_puts(&text, "};");
    aicp_policy_schema *s = read_schema(text.data);
    aicpi_strbuf_deinit(&text);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "a%d", i);
        attr_of(type_of(s, "E")->shape, key);
    }
    cr_expect_null(aicpi_policy_type_attr(type_of(s, "E")->shape, str("a100")));
    aicp_policy_schema_free(s);
}

/* ---- hierarchies ---- */

Test(policy_schema, ancestors_of_a_type_are_all_it_may_be_in) {
    aicp_policy_schema *s = read_schema(
        "entity User in [Team, Org]; entity Team in Org; entity Org; entity Tree in Tree;\n"
        "entity A in B; entity B in A; entity Kind enum [\"x\", \"y\"]; entity Thing in Kind;");
    const aicpi_policy_entity_type *user = type_of(s, "User");
    const aicpi_policy_entity_type *team = type_of(s, "Team");
    const aicpi_policy_entity_type *org = type_of(s, "Org");
    cr_expect_eq(user->ancestor_count, 2);
    cr_expect(aicpi_policy_entity_type_in(user, org));
    cr_expect(aicpi_policy_entity_type_in(user, team));
    cr_expect(aicpi_policy_entity_type_in(user, user));
    cr_expect_not(aicpi_policy_entity_type_in(org, team));
    cr_expect_eq(org->ancestor_count, 0);
    const aicpi_policy_entity_type *tree = type_of(s, "Tree");
    cr_assert_eq(tree->ancestor_count, 1);
    cr_expect_eq(tree->ancestors[0], tree);
    cr_expect_eq(type_of(s, "A")->ancestor_count, 2);
    cr_expect(aicpi_policy_entity_type_in(type_of(s, "Thing"), type_of(s, "Kind")));
    cr_expect(aicpi_policy_entity_type_has_id(type_of(s, "Kind"), str("y")));
    cr_expect_not(aicpi_policy_entity_type_has_id(type_of(s, "Kind"), str("z")));
    cr_expect(aicpi_policy_entity_type_has_id(user, str("z")));
    aicp_policy_schema_free(s);
}

static bool is_below(const aicpi_policy_action *action, const aicpi_policy_action *above) {
    return aicpi_policy_ancestors_have(
        action->entity.ancestors, action->entity.ancestor_count, above->entity.uid);
}

Test(policy_schema, actions_have_their_groups_as_ancestors_over_namespaces_too) {
    aicp_policy_schema *s =
        read_schema("entity U; action all; action other;\n"
                    "namespace N {\n"
                    "  action write in [\"edit\"] appliesTo { principal: [U, U], resource: U,\n"
                    "                                        context: { a: Action } };\n"
                    "  action edit in Action::\"all\"; action alone, together in other;\n"
                    "}");
    const aicpi_policy_action *write = action_of(s, "N::Action", "write");
    const aicpi_policy_action *all = action_of(s, "Action", "all");
    cr_expect_eq(write->entity.ancestor_count, 2);
    cr_expect(is_below(write, action_of(s, "N::Action", "edit")));
    cr_expect(is_below(write, all));
    cr_expect(is_below(action_of(s, "N::Action", "together"), action_of(s, "Action", "other")));
    cr_expect_eq(write->principal_count, 1);
    cr_expect_eq(write->principals[0], type_of(s, "U"));
    cr_expect_eq(all->principal_count + all->resource_count, 0);
    cr_expect_eq(all->context->count, 0);
    const aicpi_policy_entity_type *type = type_of(s, "N::Action");
    cr_expect(type->action);
    cr_expect_eq(write->type, type);
    cr_expect_eq(attr_of(write->context, "a")->u.entity, type);
    cr_expect(aicpi_policy_entity_type_in(type, type_of(s, "Action")));
    cr_expect_not(aicpi_policy_entity_type_in(type_of(s, "Action"), type));
    cr_expect_eq(s->action_entities.count, 6);
    aicp_policy_schema_free(s);
}

/* ---- refused ---- */

typedef struct refused {
    const char *text;
    aicp_status status;
    uint32_t line;
    uint32_t column;
    const char *message;
} refused;

static void check_refused(const refused *r) {
    aicp_policy_schema *schema = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_schema_parse(r->text, strlen(r->text), NULL, &schema, &err);
    cr_expect_eq(status, r->status, "%s: %d %s", r->text, (int)status, err.message);
    cr_expect_null(schema);
    cr_expect_str_eq(err.message, r->message, "%s", r->text);
    cr_expect(
        err.line == r->line && err.column == r->column,
        "%s: at %u:%u",
        r->text,
        err.line,
        err.column);
}

static const refused syntax[] = {
    {"entity U\nentity V;",
     AICP_ERR_PARSE,
     2,
     1,
     "expected ',', 'in', 'enum', '=', '{', 'tags' or ';' after the entity type, found 'entity'"},
    {"entity U in [V,];", AICP_ERR_PARSE, 1, 16, "expected the name of an entity type, found ']'"},
    {"entity U in [V;", AICP_ERR_PARSE, 1, 15, "expected ',' or ']' in the list, found ';'"},
    {"entity U = Long;", AICP_ERR_PARSE, 1, 12, "expected '{' after '=', found 'Long'"},
    {"entity U { a Long };",
     AICP_ERR_PARSE,
     1,
     14,
     "expected '?' or ':' after the attribute's name, found 'Long'"},
    {"entity U { a? Long };", AICP_ERR_PARSE, 1, 15, "expected ':' after '?', found 'Long'"},
    {"entity U { a: Long b: Long };",
     AICP_ERR_PARSE,
     1,
     20,
     "expected ',' or '}' in the list of attributes, found 'b'"},
    {"entity U { a: Set<Long };",
     AICP_ERR_PARSE,
     1,
     24,
     "expected '>' after the type of the elements, found '}'"},
    {"entity U { a: };", AICP_ERR_PARSE, 1, 15, "expected a type, found '}'"},
    {"entity U { if: Long };",
     AICP_ERR_PARSE,
     1,
     12,
     "expected an attribute or '}', found the reserved word 'if'"},
    {"entity U { \"a\\q\": Long };",
     AICP_ERR_PARSE,
     1,
     14,
     "unknown escape in a string; known are \\n \\r \\t \\\\ \\0 \\' \\\" \\xHH \\u{H...}"},
    {"entity U enum [];", AICP_ERR_PARSE, 1, 16, "expected an id as a string, found ']'"},
    {"entity U enum [\"a\",];", AICP_ERR_PARSE, 1, 20, "expected an id as a string, found ']'"},
    {"entity U enum [\"a\"",
     AICP_ERR_PARSE,
     1,
     19,
     "expected ',' or ']' in the list of ids, found "
     "the end of the text"},
    {"action a in [];", AICP_ERR_PARSE, 1, 14, "expected the name of an action, found ']'"},
    {"action a in A::B;",
     AICP_ERR_PARSE,
     1,
     17,
     "expected '::' and the action's id as a string, found ';'"},
    {"action a appliesTo { principal: [], resource: U };",
     AICP_ERR_PARSE,
     1,
     34,
     "expected the name of an entity type, found ']'"},
    {"action a appliesTo { principal: U, principal: U };",
     AICP_ERR_PARSE,
     1,
     36,
     "'principal' stands twice"},
    {"action a appliesTo { resource: U };",
     AICP_ERR_PARSE,
     1,
     34,
     "expected 'principal' in appliesTo, found '}'"},
    {"action a appliesTo { principal: U, resource: U, context: [] };",
     AICP_ERR_PARSE,
     1,
     58,
     "expected a record or the name of a common type, found '['"},
    {"action a attributes { b: Long };",
     AICP_ERR_PARSE,
     1,
     23,
     "expected '}': actions have no attributes, found 'b'"},
    {"type T Long;", AICP_ERR_PARSE, 1, 8, "expected '=' after the name of the type, found 'Long'"},
    {"namespace N { entity U;",
     AICP_ERR_PARSE,
     1,
     24,
     "expected 'entity', 'action', 'type' or '}', found the end of the text"},
    {"namespace N entity U;",
     AICP_ERR_PARSE,
     1,
     13,
     "expected '{' after the namespace, found 'entity'"},
    {"table T;",
     AICP_ERR_PARSE,
     1,
     1,
     "expected 'namespace', 'entity', 'action' or 'type', found 'table'"},
    {"@a @a entity U;", AICP_ERR_PARSE, 1, 5, "the annotation @a stands twice"},
    {"entity U; %", AICP_ERR_PARSE, 1, 11, "there is no remainder operator"},
    {"entity U; \xFF", AICP_ERR_PARSE, 1, 11, "the schema is not valid UTF-8"},
};

Test(policy_schema, wrong_syntax_is_refused_with_its_place_and_what_was_expected) {
    for (size_t i = 0; i < sizeof syntax / sizeof *syntax; i++) {
        check_refused(&syntax[i]);
    }
}

static const refused meaning[] = {
    {"entity U;\nentity V, U;", AICP_ERR_EXISTS, 2, 11, "the entity type U is declared twice"},
    {"type T = Long; type T = Long;",
     AICP_ERR_EXISTS,
     1,
     21,
     "the common type T is declared twice"},
    {"action a; action \"a\";",
     AICP_ERR_EXISTS,
     1,
     18,
     "the action Action::\"a\" is declared twice"},
    {"namespace N {} namespace N {}", AICP_ERR_EXISTS, 1, 26, "the namespace N is declared twice"},
    {"entity U; namespace N { type U = Long; }",
     AICP_ERR_EXISTS,
     1,
     30,
     "U hides the type of the same name outside of all namespaces"},
    {"namespace N { action a; } action a;",
     AICP_ERR_EXISTS,
     1,
     22,
     "the action \"a\" hides the one of the same id outside of all namespaces"},
    {"entity U { a: X };", AICP_ERR_NOT_FOUND, 1, 15, "the type X is not declared"},
    {"type T = Long; entity U in T;",
     AICP_ERR_NOT_FOUND,
     1,
     28,
     "the entity type T is not declared"},
    {"action a; entity U in Action;",
     AICP_ERR_NOT_FOUND,
     1,
     23,
     "the entity type Action is not declared"},
    {"namespace N { entity U; } entity V { u: M::U };",
     AICP_ERR_NOT_FOUND,
     1,
     41,
     "the type M::U is not declared"},
    {"entity U { a: Action };", AICP_ERR_NOT_FOUND, 1, 15, "the type Action is not declared"},
    {"action a in b;", AICP_ERR_NOT_FOUND, 1, 13, "the action Action::\"b\" is not declared"},
    {"action a in N::Action::\"b\";",
     AICP_ERR_NOT_FOUND,
     1,
     13,
     "the action N::Action::\"b\" is not declared"},
    {"entity U; action a appliesTo { principal: U, resource: U, context: U };",
     AICP_ERR_NOT_FOUND,
     1,
     68,
     "the common type U is not declared"},
    {"type C = Set<Long>; entity U; action a appliesTo { principal: U, resource: U, context: C };",
     AICP_ERR_INVALID,
     1,
     88,
     "the context of an action must be a record"},
    {"type A = { b: B };\ntype B = Set<A>;",
     AICP_ERR_INVALID,
     1,
     6,
     "the common type A refers to itself"},
    {"action a in a;", AICP_ERR_INVALID, 1, 8, "Action::\"a\" is its own ancestor"},
    {"namespace N { entity Action; }",
     AICP_ERR_INVALID,
     1,
     22,
     "the entity type Action is that of the actions and cannot be declared"},
    {"type Record = Long;",
     AICP_ERR_INVALID,
     1,
     6,
     "a common type cannot have the reserved name Record"},
};

Test(policy_schema, what_a_schema_may_not_mean_is_refused_with_its_place) {
    for (size_t i = 0; i < sizeof meaning / sizeof *meaning; i++) {
        check_refused(&meaning[i]);
    }
}

#define TYPE_OF_E(type) "{\"\":{\"actions\":{},\"entityTypes\":{\"E\":{\"shape\":" type "}}}}"

static const refused json[] = {
    {"{\"\":{\"entityTypes\":{}}}", AICP_ERR_PARSE, 1, 5, "the namespace has no \"actions\""},
    {"{\"N::\":{}}", AICP_ERR_PARSE, 1, 8, "\"N::\" cannot be a name here"},
    {"{\"__cedar\":{}}", AICP_ERR_PARSE, 1, 12, "\"__cedar\" cannot be a name here"},
    {"{\"\":{\"entityTypes\":{\"A::B\":{}},\"actions\":{}}}",
     AICP_ERR_PARSE,
     1,
     28,
     "\"A::B\" cannot be a name here"},
    {TYPE_OF_E("{}"), AICP_ERR_PARSE, 1, 47, "the type has no \"type\""},
    {TYPE_OF_E("{\"type\":\"Set\"}"), AICP_ERR_PARSE, 1, 47, "the type has no \"element\""},
    {TYPE_OF_E("{\"type\":\"Record\"}"), AICP_ERR_PARSE, 1, 47, "the type has no \"attributes\""},
    {TYPE_OF_E("{\"type\":\"Entity\"}"), AICP_ERR_PARSE, 1, 47, "the type has no \"name\""},
    {TYPE_OF_E("{\"type\":\"Long\",\"name\":\"x\"}"),
     AICP_ERR_PARSE,
     1,
     47,
     "the type \"Long\" has no other keys"},
    {TYPE_OF_E("{\"type\":\"Set\",\"element\":{\"type\":\"Long\"},\"name\":\"x\"}"),
     AICP_ERR_PARSE,
     1,
     47,
     "a type \"Set\" has only the key \"element\""},
    {TYPE_OF_E("{\"type\":\"Entity\",\"name\":\"A B\"}"),
     AICP_ERR_PARSE,
     1,
     71,
     "\"A B\" cannot be a name here"},
    {TYPE_OF_E("{\"type\":\"Record\",\"attributes\":{},\"required\":true}"),
     AICP_ERR_PARSE,
     1,
     91,
     "unknown key \"required\"; known are \"type\", \"element\", \"attributes\", \"name\", and "
     "\"required\" and \"annotations\" of an attribute"},
    {TYPE_OF_E("{\"type\":\"Long\"}"),
     AICP_ERR_INVALID,
     1,
     47,
     "the shape of an entity type must be a record"},
    {TYPE_OF_E("{\"type\":\"Extension\",\"name\":\"Long\"}"),
     AICP_ERR_NOT_FOUND,
     1,
     47,
     "the extension type Long is not declared"},
    {"{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"attributes\":{\"x\":{}}}}}}",
     AICP_ERR_UNSUPPORTED,
     1,
     52,
     "attributes of actions are not supported"},
    {"{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[]}}}}}",
     AICP_ERR_PARSE,
     1,
     51,
     "\"appliesTo\" has no \"resourceTypes\""},
    {"{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"type\":\"Action\"}]}}}}",
     AICP_ERR_PARSE,
     1,
     51,
     "the action's group has no \"id\""},
    {"{\"\":{\"annotations\":{\"a b\":\"\"},\"entityTypes\":{},\"actions\":{}}}",
     AICP_ERR_PARSE,
     1,
     27,
     "the name of an annotation is not an identifier"},
};

Test(policy_schema, what_the_json_form_does_not_know_is_refused_with_its_place) {
    for (size_t i = 0; i < sizeof json / sizeof *json; i++) {
        check_refused(&json[i]);
    }
}

Test(policy_schema, null_counts_as_left_out_where_the_json_form_allows_it) {
    aicp_policy_schema *s = read_schema(
        " \n{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":null,\"appliesTo\":null,"
        "\"attributes\":null,\"annotations\":{\"k\":null}},"
        "\"b\":{\"memberOf\":[{\"id\":\"a\",\"type\":null}],\"attributes\":{}}}}}");
    cr_expect(is_below(action_of(s, "Action", "b"), action_of(s, "Action", "a")));
    aicp_policy_schema_free(s);
}

/* ---- limits ---- */

static aicp_status read_status(const char *text, const aicp_policy_schema_options *options) {
    aicp_policy_schema *schema = NULL;
    aicp_error err = {0};
    aicp_status status = aicp_policy_schema_parse(text, strlen(text), options, &schema, &err);
    aicp_policy_schema_free(schema);
    return status;
}

Test(policy_schema, types_may_be_nested_as_deep_as_the_options_say) {
    aicp_policy_schema_options options;
    aicp_policy_schema_options_init(&options, sizeof options);
    options.max_depth = 4;
    cr_expect_eq(read_status("entity E { a: Set<Set<Long>> };", &options), AICP_OK);
    cr_expect_eq(
        read_status("entity E { a: Set<Set<Set<Long>>> };", &options), AICP_ERR_POLICY_DEPTH);
    cr_expect_eq(
        read_status("entity E { a: Set<Set<Set<Set<Long>>>> };", &options), AICP_ERR_POLICY_DEPTH);
    /* Names of common types count, in whichever order they are declared. */
    const char *deep = "type A = Set<B>; type B = Set<Long>;";
    const char *turned = "type B = Set<Long>; type A = Set<B>;";
    options.max_depth = 3;
    cr_expect_eq(read_status(deep, &options), AICP_ERR_POLICY_DEPTH);
    cr_expect_eq(read_status(turned, &options), AICP_ERR_POLICY_DEPTH);
    options.max_depth = 4;
    cr_expect_eq(read_status(deep, &options), AICP_OK);
    cr_expect_eq(read_status(turned, &options), AICP_OK);
    cr_expect_eq(
        read_status(
            TYPE_OF_E("{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Set\","
                      "\"element\":{\"type\":\"Set\",\"element\":{\"type\":\"Set\","
                      "\"element\":{\"type\":\"Long\"}}}}}}"),
            &options),
        AICP_ERR_POLICY_DEPTH);
    options.max_depth = AICP_POLICY_DEPTH_MAX + 1;
    cr_expect_eq(read_status("", &options), AICP_ERR_INVALID);
}

/* A type of that many sets in one another. */
static aicp_status read_sets(int levels, const aicp_policy_schema_options *options) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_puts(&text, "type T = ");
    for (int i = 0; i < levels; i++) {
        aicpi_strbuf_puts(&text, "Set<");
    }
    aicpi_strbuf_puts(&text, "Long");
    for (int i = 0; i < levels; i++) {
        aicpi_strbuf_putc(&text, '>');
    }
    aicpi_strbuf_putc(&text, ';');
    aicp_status status = read_status(text.data, options);
    aicpi_strbuf_deinit(&text);
    return status;
}

Test(policy_schema, the_greatest_depth_is_read_and_a_deeper_text_refused) {
    aicp_policy_schema_options options = AICP_POLICY_SCHEMA_OPTIONS_INIT;
    options.max_depth = AICP_POLICY_DEPTH_MAX;
    cr_expect_eq(read_sets(AICP_POLICY_DEPTH_MAX - 1, &options), AICP_OK);
    cr_expect_eq(read_sets(AICP_POLICY_DEPTH_MAX, &options), AICP_ERR_POLICY_DEPTH);
    cr_expect_eq(read_sets(100000, &options), AICP_ERR_POLICY_DEPTH);
}

Test(policy_schema, a_type_that_grows_with_each_name_is_refused) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_puts(&text, "type T0 = { a: Long, b: Long };");
    for (int i = 1; i < 24; i++) {
        aicpi_strbuf_printf(&text, "type T%d = { a: T%d, b: T%d };", i, i - 1, i - 1);
    }
    cr_expect_eq(read_status(text.data, NULL), AICP_ERR_LIMIT);
    aicpi_strbuf_deinit(&text);
}

Test(policy_schema, a_hierarchy_that_is_too_large_is_refused) {
    enum { TYPES = 5000 };
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, AICPI_STRBUF_MAX);
    for (int i = 0; i < TYPES; i++) {
        aicpi_strbuf_printf(&text, "entity E%d in E%d;", i, i + 1);
    }
    aicpi_strbuf_printf(&text, "entity E%d;", TYPES);
    cr_expect_eq(read_status(text.data, NULL), AICP_ERR_LIMIT);
    aicpi_strbuf_deinit(&text);
}

Test(policy_schema, a_declaration_has_a_limited_number_of_annotations_in_both_syntaxes) {
    for (int count = 256; count <= 257; count++) {
        aicpi_strbuf cedar;
        aicpi_strbuf form;
        aicpi_strbuf_init(&cedar, NULL, AICPI_STRBUF_MAX);
        aicpi_strbuf_init(&form, NULL, AICPI_STRBUF_MAX);
        aicpi_strbuf_puts(&form, "{\"\":{\"entityTypes\":{},\"actions\":{},\"annotations\":{");
        for (int i = 0; i < count; i++) {
            aicpi_strbuf_printf(&cedar, "@a%d ", i);
            aicpi_strbuf_printf(&form, "%s\"a%d\":\"\"", i > 0 ? "," : "", i);
        }
        aicpi_strbuf_puts(&cedar, "entity U;");
        aicpi_strbuf_puts(&form, "}}}");
        aicp_status expected = count > 256 ? AICP_ERR_LIMIT : AICP_OK;
        cr_expect_eq(read_status(cedar.data, NULL), expected);
        cr_expect_eq(read_status(form.data, NULL), expected);
        aicpi_strbuf_deinit(&cedar);
        aicpi_strbuf_deinit(&form);
    }
}

Test(policy_schema, a_long_text_is_refused) {
    aicp_policy_schema_options options = AICP_POLICY_SCHEMA_OPTIONS_INIT;
    options.max_bytes = 9;
    cr_expect_eq(read_status("entity U;", &options), AICP_OK);
    cr_expect_eq(read_status("entity U; ", &options), AICP_ERR_LIMIT);
}

/* ---- getters ---- */

Test(policy_schema, what_is_declared_can_be_listed) {
    aicp_policy_schema *s = aicp_policy_schema_ref(
        read_schema("namespace N { action \"a\\0b\", c; entity V, U; } entity W;"));
    aicp_policy_schema_free(s);
    cr_assert_eq(aicp_policy_schema_entity_type_count(s), 3);
    cr_expect_str_eq(aicp_policy_schema_entity_type(s, 0), "N::V");
    cr_expect_str_eq(aicp_policy_schema_entity_type(s, 2), "W");
    cr_expect_null(aicp_policy_schema_entity_type(s, 3));
    cr_assert_eq(aicp_policy_schema_action_count(s), 2);
    cr_expect_str_eq(aicp_policy_schema_action_type(s, 0), "N::Action");
    size_t len = 9;
    const char *id = aicp_policy_schema_action_id(s, 0, &len);
    cr_expect(len == 3 && memcmp(id, "a\0b", 4) == 0);
    cr_expect_null(aicp_policy_schema_action_id(s, 2, &len));
    cr_expect_eq(len, 0);
    cr_expect_null(aicp_policy_schema_action_type(s, 2));
    cr_expect_eq(aicp_policy_schema_warning_count(s), 0);
    cr_expect_null(aicp_policy_schema_warning(s, 0));
    cr_expect_eq(aicp_policy_schema_warning_line(s, 0), 0);
    aicp_policy_schema_free(s);
    aicp_policy_schema_free(NULL);
}

Test(policy_schema, types_that_hide_others_are_warned_of) {
    aicp_policy_schema *s = read_schema("type User = Long; entity User;\n  entity ipaddr;");
    cr_assert_eq(aicp_policy_schema_warning_count(s), 2);
    cr_expect_str_eq(
        aicp_policy_schema_warning(s, 0), "User hides the entity type of the same name");
    cr_expect_eq(aicp_policy_schema_warning_column(s, 0), 6);
    cr_expect_str_eq(
        aicp_policy_schema_warning(s, 1),
        "ipaddr hides the built-in type of the same name, which is now to be had with __cedar::");
    cr_expect_eq(aicp_policy_schema_warning_line(s, 1), 2);
    cr_expect_eq(aicp_policy_schema_warning_column(s, 1), 10);
    aicp_policy_schema_free(s);
}
