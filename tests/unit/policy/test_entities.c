/* The entity store: what is refused, and the closure over parents. */
#include "unit/policy/policy_test.h"

#include "lib/base/strbuf.h"
#include "lib/policy/entities.h"

#include <stdio.h>
#include <stdlib.h>

static aicp_status
load(const char *json, const aicp_policy_entities_options *options, aicp_error *err) {
    aicp_policy_entities *entities = NULL;
    aicp_status status = aicp_policy_entities_parse(json, strlen(json), options, &entities, err);
    cr_assert_eq(status == AICP_OK, entities != NULL);
    aicp_policy_entities_free(entities);
    return status;
}

#define UID(type, id) "{\"type\":\"" type "\",\"id\":\"" id "\"}"
#define ENTITY(id, parents) "{\"uid\":" UID("G", id) ",\"attrs\":{},\"parents\":[" parents "]}"

Test(policy_entities, errors_say_where_and_what) {
    static const struct {
        const char *json;
        aicp_status status;
        uint32_t line;
        const char *message;
    } cases[] = {
        {"[\n{\"attrs\":{},\"parents\":[]}]", AICP_ERR_PARSE, 2, "the entity has no \"uid\""},
        {"[\n" ENTITY("a", "") ",\n{\"uid\":" UID("G", "a") ",\"attrs\":{\"x\":1},\"parents\":[]}]",
         AICP_ERR_EXISTS,
         3,
         "G::\"a\" stands twice with different content"},
        {"[" ENTITY("a", UID("G", "b")) ",\n" ENTITY("b", UID("G", "a")) "]",
         AICP_ERR_INVALID,
         2,
         "G::\"b\" is its own ancestor"},
        {"[{\"uid\":\"G::\\\"a\\\"\",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_PARSE,
         1,
         "expected an object, found a string"},
        {"[{\"uid\":" UID("G", "a") ",\"attrs\":{\"x\":null},\"parents\":[]}]",
         AICP_ERR_PARSE,
         1,
         "null is not a value"},
        {"[{\"uid\":" UID("G", "a") ",\"attrs\":{\"x\":9223372036854775808},\"parents\":[]}]",
         AICP_ERR_RANGE,
         1,
         "number does not fit 64 bits"},
        {"[{\"uid\":" UID("A b", "a") ",\"attrs\":{},\"parents\":[]}]",
         AICP_ERR_PARSE,
         1,
         "'A b' is not an entity type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aicp_error err = {0};
        cr_expect_eq(load(cases[i].json, NULL, &err), cases[i].status, "%s", cases[i].json);
        cr_expect_str_eq(err.message, cases[i].message);
        cr_expect_eq(err.line, cases[i].line, "%s", cases[i].message);
    }
}

Test(policy_entities, limits_hold) {
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    static const char json[] = "[" ENTITY("a", UID("G", "b")) "," ENTITY("b", UID("G", "c")) "]";
    options.max_entities = 1;
    cr_expect_eq(load(json, &options, NULL), AICP_ERR_LIMIT);
    options.max_entities = 2;
    cr_expect_eq(load(json, &options, NULL), AICP_OK);
    options.max_ancestors = 2;
    cr_expect_eq(load(json, &options, NULL), AICP_ERR_LIMIT);
    options.max_ancestors = 3;
    cr_expect_eq(load(json, &options, NULL), AICP_OK);
    options.max_bytes = sizeof json - 2;
    cr_expect_eq(load(json, &options, NULL), AICP_ERR_LIMIT);
    aicp_policy_entities_options_init(&options, sizeof options);
    options.size = 0;
    cr_expect_eq(load(json, &options, NULL), AICP_ERR_INVALID);
}

Test(policy_entities, equal_repetitions_count_once) {
    aicp_policy_entities *entities = NULL;
    static const char json[] = "[" ENTITY("a", UID("G", "b") "," UID("G", "c")) "," ENTITY(
        "x", "") "," ENTITY("a", UID("G", "c") "," UID("G", "b") "," UID("G", "c")) "]";
    cr_assert_eq(aicp_policy_entities_parse(json, strlen(json), NULL, &entities, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_entities_count(entities), 2);
    cr_expect_eq(aicp_policy_entities_contains(entities, "G", 1, "a", 1), 1);
    cr_expect_eq(aicp_policy_entities_contains(entities, "G", 1, "b", 1), 0);
    cr_expect_eq(aicp_policy_entities_contains(entities, "H", 1, "a", 1), 0);
    aicp_policy_entities_free(entities);
}

Test(policy_entities, an_empty_store_knows_nothing) {
    aicp_policy_entities *entities = NULL;
    cr_assert_eq(aicp_policy_entities_parse("[]", 2, NULL, &entities, NULL), AICP_OK);
    cr_expect_eq(aicp_policy_entities_count(entities), 0);
    cr_expect_eq(aicp_policy_entities_contains(entities, "G", 1, "a", 1), 0);
    aicp_policy_entities_free(entities);
}

static void put_entity(aicpi_strbuf *b, size_t id, const size_t *parents, size_t count) {
    aicpi_strbuf_printf(
        b,
        "%s{\"uid\":{\"type\":\"G\",\"id\":\"%zu\"},\"attrs\":{},\"parents\":[",
        b->len > 1 ? "," : "",
        id);
    for (size_t i = 0; i < count; i++) {
        aicpi_strbuf_printf(b, "%s{\"type\":\"G\",\"id\":\"%zu\"}", i ? "," : "", parents[i]);
    }
    aicpi_strbuf_puts(b, "]}");
}

Test(policy_entities, a_chain_of_thousands_needs_no_deep_stack) {
    enum { LONG = 3000 };
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_putc(&b, '[');
    for (size_t i = 0; i < LONG; i++) {
        size_t up = i + 1;
        put_entity(&b, i, &up, 1);
    }
    aicpi_strbuf_putc(&b, ']');
    aicp_policy_entities *entities = NULL;
    cr_assert_eq(aicp_policy_entities_parse(b.data, b.len, NULL, &entities, NULL), AICP_OK);
    cr_expect_eq(entities->items[0].ancestor_count, LONG);
    cr_expect_eq(entities->items[LONG - 1].ancestor_count, 1);
    aicp_policy_entities_free(entities);
    aicpi_strbuf_deinit(&b);
}

/* Small random graphs without cycles: the closure against plain reachability. */
enum { NODES = 24 };

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static void check_graph(uint32_t seed) {
    bool reach[NODES][NODES] = {{false}};
    uint32_t state = seed;
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_putc(&b, '[');
    for (size_t i = 0; i < NODES; i++) {
        size_t parents[NODES];
        size_t count = 0;
        for (size_t j = 0; j < i; j++) { /* parents have smaller numbers */
            if (next_random(&state) % 6 == 0) {
                parents[count++] = j;
                reach[i][j] = true;
                for (size_t k = 0; k < NODES; k++) {
                    reach[i][k] |= reach[j][k];
                }
            }
        }
        put_entity(&b, i, parents, count);
    }
    aicpi_strbuf_putc(&b, ']');
    aicp_policy_entities *entities = NULL;
    cr_assert_eq(aicp_policy_entities_parse(b.data, b.len, NULL, &entities, NULL), AICP_OK);
    for (size_t i = 0; i < NODES; i++) {
        uint32_t expected = 0;
        for (size_t j = 0; j < NODES; j++) {
            const aicpi_policy_entity *e = &entities->items[i];
            expected += reach[i][j];
            cr_expect_eq(
                aicpi_policy_ancestors_have(
                    e->ancestors, e->ancestor_count, entities->items[j].uid),
                reach[i][j],
                "seed %u: %zu in %zu",
                (unsigned)seed,
                i,
                j);
        }
        cr_expect_eq(entities->items[i].ancestor_count, expected);
    }
    aicp_policy_entities_free(entities);
    aicpi_strbuf_deinit(&b);
}

Test(policy_entities, ancestors_are_what_can_be_reached) {
    for (uint32_t seed = 1; seed <= 200; seed++) {
        check_graph(seed);
    }
}
