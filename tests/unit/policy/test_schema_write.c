/* Schemas written again, in both syntaxes. */
#include "unit/support.h"

#include "aicp/policy.h"

#include <criterion/criterion.h>
#include <string.h>

static aicp_policy_schema *read_schema(const char *text) {
    aicp_policy_schema *schema = NULL;
    aicp_error err = {0};
    cr_assert_eq(
        aicp_policy_schema_parse(text, strlen(text), NULL, &schema, &err),
        AICP_OK,
        "%u:%u %s in %s",
        err.line,
        err.column,
        err.message,
        text);
    return schema;
}

/* Reads `text` and expects it to be written as `expected`. */
static void check_written(const char *text, int32_t format, const char *expected) {
    aicp_policy_schema *schema = read_schema(text);
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_assert_eq(aicp_policy_schema_write(schema, format, &out, &err), AICP_OK, "%s", err.message);
    cr_expect_str_eq(out.data, expected);
    aicp_buf_free(&out);
    aicp_policy_schema_free(schema);
}

static const char laid_out[] =
    "type Level = Long;\n"
    "\n"
    "@doc(\"outside\")\n"
    "entity Org;\n"
    "\n"
    "@of(\"the shop\")\n"
    "namespace Shop::Web {\n"
    "  @a\n"
    "  @b(\"two\\nlines\")\n"
    "  type Address = {\n"
    "    street: String,\n"
    "    \"zip code\"?: Set<Long>\n"
    "  };\n"
    "\n"
    "  entity User in [Team, Org] = {\n"
    "    address: Address,\n"
    "    @note(\"nested\")\n"
    "    home: {\n"
    "      \"if\": Bool,\n"
    "      empty: {}\n"
    "    }\n"
    "  } tags Set<String>;\n"
    "\n"
    "  entity Team;\n"
    "\n"
    "  entity Color enum [\"red\", \"\\\"\\u{202e}\\0\"];\n"
    "\n"
    "  action read;\n"
    "\n"
    "  @why(\"to look\")\n"
    "  action \"look at\" in [\"read\", Shop::Web::Action::\"read\"] appliesTo {\n"
    "    principal: [User],\n"
    "    resource: [Team, Org],\n"
    "    context: {\n"
    "      ip?: ipaddr\n"
    "    }\n"
    "  };\n"
    "\n"
    "  action plain appliesTo {\n"
    "    principal: [User],\n"
    "    resource: [Team],\n"
    "    context: Address\n"
    "  };\n"
    "}\n";

Test(policy_schema_write, cedars_syntax_has_one_layout_and_stays_as_it_is) {
    check_written(laid_out, AICP_POLICY_FORMAT_CEDAR, laid_out);
    check_written(laid_out, AICP_POLICY_FORMAT_AUTO, laid_out);
    check_written("", AICP_POLICY_FORMAT_CEDAR, "\n");
    check_written(
        "namespace N{} namespace M{entity U;}",
        AICP_POLICY_FORMAT_CEDAR,
        "namespace N {\n}\n\nnamespace M {\n  entity U;\n}\n");
}

static const char as_json[] =
    "{\"\":{\"commonTypes\":{\"Level\":{\"type\":\"EntityOrCommon\",\"name\":\"Long\"}},"
    "\"entityTypes\":{\"Org\":{\"annotations\":{\"doc\":\"outside\"}}},\"actions\":{}},"
    "\"Shop::Web\":{\"annotations\":{\"of\":\"the shop\"},\"commonTypes\":{\"Address\":{"
    "\"type\":\"Record\",\"attributes\":{\"street\":{\"type\":\"EntityOrCommon\",\"name\":"
    "\"String\"},\"zip code\":{\"type\":\"Set\",\"element\":{\"type\":\"EntityOrCommon\","
    "\"name\":\"Long\"},\"required\":false}},\"annotations\":{\"a\":\"\",\"b\":\"two\\nlines\"}}},"
    "\"entityTypes\":{\"User\":{\"memberOfTypes\":[\"Team\",\"Org\"],\"shape\":{\"type\":"
    "\"Record\",\"attributes\":{\"address\":{\"type\":\"EntityOrCommon\",\"name\":\"Address\"},"
    "\"home\":{\"type\":\"Record\",\"attributes\":{\"if\":{\"type\":\"EntityOrCommon\",\"name\":"
    "\"Bool\"},\"empty\":{\"type\":\"Record\",\"attributes\":{}}},\"annotations\":{\"note\":"
    "\"nested\"}}}},\"tags\":{\"type\":\"Set\",\"element\":{\"type\":\"EntityOrCommon\",\"name\":"
    "\"String\"}}},\"Team\":{},\"Color\":{\"enum\":[\"red\",\"\\\"\xE2\x80\xAE\\u0000\"]}},"
    "\"actions\":{\"read\":{\"appliesTo\":{\"principalTypes\":[],\"resourceTypes\":[]}},"
    "\"look at\":{\"memberOf\":[{\"id\":\"read\"},{\"id\":\"read\",\"type\":"
    "\"Shop::Web::Action\"}],\"appliesTo\":{\"principalTypes\":[\"User\"],\"resourceTypes\":["
    "\"Team\",\"Org\"],\"context\":{\"type\":\"Record\",\"attributes\":{\"ip\":{\"type\":"
    "\"EntityOrCommon\",\"name\":\"ipaddr\",\"required\":false}}}},\"annotations\":{\"why\":"
    "\"to look\"}},\"plain\":{\"appliesTo\":{\"principalTypes\":[\"User\"],\"resourceTypes\":["
    "\"Team\"],\"context\":{\"type\":\"Address\"}}}}}}\n";

Test(policy_schema_write, both_syntaxes_say_the_same) {
    check_written(laid_out, AICP_POLICY_FORMAT_JSON, as_json);
    check_written(as_json, AICP_POLICY_FORMAT_JSON, as_json);
    check_written(as_json, AICP_POLICY_FORMAT_AUTO, as_json);
    check_written(as_json, AICP_POLICY_FORMAT_CEDAR, laid_out);
}

#define SPACE(types) "{\"N\":{" types ",\"actions\":{}}}"

Test(policy_schema_write, a_name_that_would_mean_something_else_is_written_in_full) {
    check_written(
        SPACE("\"entityTypes\":{\"Long\":{},\"ipaddr\":{},\"E\":{\"tags\":{\"type\":\"Long\"},"
              "\"shape\":{\"type\":\"Record\",\"attributes\":{"
              "\"a\":{\"type\":\"Extension\",\"name\":\"ipaddr\"},"
              "\"b\":{\"type\":\"Entity\",\"name\":\"ipaddr\"},"
              "\"c\":{\"type\":\"Boolean\"}}}}}"),
        AICP_POLICY_FORMAT_CEDAR,
        "namespace N {\n"
        "  entity Long;\n\n"
        "  entity ipaddr;\n\n"
        "  entity E = {\n"
        "    a: __cedar::ipaddr,\n"
        "    b: ipaddr,\n"
        "    c: Bool\n"
        "  } tags __cedar::Long;\n"
        "}\n");
}

Test(policy_schema_write, a_shape_that_is_a_common_type_is_written_out) {
    check_written(
        "{\"M\":{\"commonTypes\":{\"S\":{\"type\":\"T\"},\"T\":{\"type\":\"Record\","
        "\"attributes\":{\"s\":{\"type\":\"U\"}}},\"U\":{\"type\":\"Long\"}},\"entityTypes\":{},"
        "\"actions\":{}},\"N\":{\"entityTypes\":{\"U\":{\"shape\":{\"type\":\"M::S\"}}},"
        "\"actions\":{}}}",
        AICP_POLICY_FORMAT_CEDAR,
        "namespace M {\n"
        "  type S = T;\n\n"
        "  type T = {\n    s: U\n  };\n\n"
        "  type U = Long;\n"
        "}\n\n"
        "namespace N {\n"
        "  entity U = {\n    s: M::U\n  };\n"
        "}\n");
}

Test(policy_schema_write, an_entity_type_behind_a_common_type_cannot_be_written) {
    aicp_policy_schema *schema = read_schema(
        SPACE("\"commonTypes\":{\"X\":{\"type\":\"Long\"}},\"entityTypes\":{\"X\":{\"tags\":{"
              "\"type\":\"Entity\",\"name\":\"X\"}}}"));
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_expect_eq(
        aicp_policy_schema_write(schema, AICP_POLICY_FORMAT_CEDAR, &out, &err),
        AICP_ERR_UNSUPPORTED);
    cr_expect_null(out.data);
    cr_expect_str_eq(err.message, "Cedar's syntax cannot name X, which another type hides");
    cr_expect_eq(aicp_policy_schema_write(schema, 3, &out, &err), AICP_ERR_INVALID);
    aicp_policy_schema_free(schema);
}

Test(policy_schema_write, a_common_type_with_the_name_of_a_tag_stays_a_common_type) {
    check_written(
        "type EntityOrCommon = {}; entity U;"
        "action a appliesTo { principal: U, resource: U, context: EntityOrCommon };",
        AICP_POLICY_FORMAT_JSON,
        "{\"\":{\"commonTypes\":{\"EntityOrCommon\":{\"type\":\"Record\",\"attributes\":{}}},"
        "\"entityTypes\":{\"U\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"U\"],"
        "\"resourceTypes\":[\"U\"],\"context\":{\"type\":\"EntityOrCommon\",\"name\":"
        "\"EntityOrCommon\"}}}}}}\n");
}

/* ---- memory ---- */

static bool read_and_write(void *user, const aicp_allocator *a) {
    const char *text = user;
    aicp_policy_schema_options options = AICP_POLICY_SCHEMA_OPTIONS_INIT;
    options.allocator = a;
    aicp_policy_schema *schema = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_schema_parse(text, strlen(text), &options, &schema, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && !schema;
    }
    bool fine = aicp_policy_schema_action_count(schema) == 3;
    for (int32_t format = AICP_POLICY_FORMAT_CEDAR; format <= AICP_POLICY_FORMAT_JSON; format++) {
        aicp_buf out = AICP_BUF_INIT;
        status = aicp_policy_schema_write(schema, format, &out, &err);
        const char *expected = format == AICP_POLICY_FORMAT_JSON ? as_json : laid_out;
        fine = fine && (status == AICP_OK ? strcmp(out.data, expected) == 0
                                          : status == AICP_ERR_NOMEM && !out.data);
        aicp_buf_free(&out);
    }
    aicp_policy_schema_free(schema);
    return fine;
}

Test(nomem, schemas_are_read_and_written_whole_or_not_at_all) {
    cr_assert_gt(test_every_allocation_failing(read_and_write, (void *)laid_out), 10);
    cr_assert_gt(test_every_allocation_failing(read_and_write, (void *)as_json), 10);
}
