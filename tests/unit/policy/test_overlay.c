/* Entities of a request over random stores, and entities that live elsewhere: every `in` answers as
 * if the store had been read with all of them. */
#include "unit/policy/policy_test.h"

#include "lib/base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>

enum { NODES = 12, SEEDS = 300 };

typedef struct graph {
    bool exists[NODES];
    bool elsewhere[NODES]; /* of those that exist: not in the store */
    bool guest[NODES];
    bool parent[NODES][NODES];   /* in the store */
    bool replaced[NODES][NODES]; /* of guests */
} graph;

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* Parents have smaller numbers, so there is no cycle on either side. */
static graph make_graph(uint32_t seed) {
    graph g = {0};
    uint32_t state = seed;
    for (size_t i = 0; i < NODES; i++) {
        g.exists[i] = next_random(&state) % 4 != 0;
        g.guest[i] = next_random(&state) % 4 == 0;
        for (size_t j = 0; j < i; j++) {
            g.parent[i][j] = next_random(&state) % 4 == 0;
            g.replaced[i][j] = next_random(&state) % 4 == 0;
        }
    }
    return g;
}

static void write_node(aicpi_strbuf *b, const graph *g, size_t i) {
    aicpi_strbuf_printf(
        b, "{\"uid\":{\"type\":\"G\",\"id\":\"%zu\"},\"attrs\":{},\"parents\":[", i);
    const char *comma = "";
    for (size_t j = 0; j < NODES; j++) {
        if (g->parent[i][j]) {
            aicpi_strbuf_printf(b, "%s{\"type\":\"G\",\"id\":\"%zu\"}", comma, j);
            comma = ",";
        }
    }
    aicpi_strbuf_puts(b, "]}");
}

static aicp_policy_entities *load_store(const graph *g) {
    aicpi_strbuf b;
    aicp_policy_entities *entities = NULL;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    aicpi_strbuf_putc(&b, '[');
    for (size_t i = 0; i < NODES; i++) {
        if (g->exists[i] && !g->elsewhere[i]) {
            aicpi_strbuf_puts(&b, b.len > 1 ? "," : "");
            write_node(&b, g, i);
        }
    }
    aicpi_strbuf_putc(&b, ']');
    cr_assert_eq(aicp_policy_entities_parse(b.data, b.len, NULL, &entities, NULL), AICP_OK);
    aicpi_strbuf_deinit(&b);
    return entities;
}

static void bring_guests(aicp_policy_request *r, const graph *g) {
    char id[8];
    for (size_t i = 0; i < NODES; i++) {
        if (!g->guest[i]) {
            continue;
        }
        size_t len = (size_t)snprintf(id, sizeof id, "%zu", i);
        cr_assert_eq(aicp_policy_request_entity_begin(r, "G", 1, id, len, NULL), AICP_OK);
        for (size_t j = 0; j < NODES; j++) {
            len = (size_t)snprintf(id, sizeof id, "%zu", j);
            if (g->replaced[i][j]) {
                cr_assert_eq(aicp_policy_request_entity_parent(r, "G", 1, id, len, NULL), AICP_OK);
            }
        }
    }
}

/* Plain reachability over what the request sees. */
static bool reaches(const graph *g, size_t from, size_t to) {
    bool seen[NODES] = {false};
    seen[from] = true;
    for (size_t i = from + 1; i-- > 0;) { /* every way leads downwards */
        for (size_t j = 0; seen[i] && j < i; j++) {
            seen[j] |= g->guest[i] ? g->replaced[i][j] : g->exists[i] && g->parent[i][j];
        }
    }
    return seen[to];
}

static void check_pair(policy_case *c, const graph *g, size_t from, size_t to, uint32_t seed) {
    char id[8];
    size_t len = (size_t)snprintf(id, sizeof id, "%zu", from);
    bool expected = reaches(g, from, to);
    char text[160];
    cr_assert_eq(aicp_policy_request_set_principal(c->request, "G", 1, id, len, NULL), AICP_OK);
    snprintf(
        text,
        sizeof text,
        "(principal in G::\"%zu\") == (G::\"%zu\" in G::\"%zu\") &&"
        " (principal in [G::\"%zu\", G::\"z\"]) == %s && (principal in G::\"%zu\") == %s",
        to,
        from,
        to,
        to,
        expected ? "true" : "false",
        to,
        expected ? "true" : "false");
    cr_expect(policy_holds(c, text), "seed %u: %zu in %zu", (unsigned)seed, from, to);
}

static aicp_status find_node(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    const graph *g = user;
    (void)type;
    (void)type_len;
    (void)id_len;
    size_t i = id[0] == 'z' ? NODES : strtoul(id, NULL, 10);
    if (i == NODES || !g->elsewhere[i]) {
        return AICP_OK;
    }
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    write_node(&b, g, i);
    aicp_status status = aicp_policy_found_json(found, b.data, b.len, err);
    aicpi_strbuf_deinit(&b);
    return status;
}

/* The policies `permit (principal in G::"n", …)` that hold are those of the node's ancestors, also
 * when an index finds them. */
static void check_index(policy_case *c, const graph *g, size_t from, uint32_t seed) {
    enum { REPEATS = 4 };
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, NULL, AICPI_STRBUF_MAX);
    for (size_t i = 0; i < NODES * REPEATS; i++) {
        aicpi_strbuf_printf(&b, "permit (principal in G::\"%zu\", action, resource);", i % NODES);
    }
    aicp_policy_set_free(c->set);
    cr_assert_eq(aicp_policy_set_parse(b.data, b.len, NULL, &c->set, NULL), AICP_OK);
    aicpi_strbuf_deinit(&b);
    char id[8];
    size_t len = (size_t)snprintf(id, sizeof id, "%zu", from);
    cr_assert_eq(aicp_policy_request_set_principal(c->request, "G", 1, id, len, NULL), AICP_OK);
    policy_ask(c);
    size_t expected = 0;
    for (size_t i = 0; i < NODES; i++) {
        expected += reaches(g, from, i) ? REPEATS : 0;
    }
    cr_expect_eq(aicp_policy_response_reason_count(c->response), expected, "seed %u", seed);
}

Test(policy_overlay, every_in_answers_as_if_the_store_held_the_entities_from_elsewhere) {
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        graph g = make_graph(seed);
        uint32_t state = seed * 77;
        for (size_t i = 0; i < NODES; i++) {
            g.elsewhere[i] = g.exists[i] && next_random(&state) % 2 == 0;
            g.guest[i] = g.guest[i] && seed % 2 == 0;
        }
        policy_case c = policy_open("", NULL);
        c.entities = load_store(&g);
        bring_guests(c.request, &g);
        cr_assert_eq(aicp_policy_request_set_lookup(c.request, find_node, &g, NULL, NULL), AICP_OK);
        for (size_t i = 0; i < 24; i++) {
            size_t from = next_random(&state) % NODES;
            size_t to = next_random(&state) % NODES;
            check_pair(&c, &g, from, to, seed);
        }
        check_index(&c, &g, next_random(&state) % NODES, seed);
        policy_close(&c);
    }
}

Test(policy_overlay, every_in_answers_as_if_the_store_held_the_entities_of_the_request) {
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        graph g = make_graph(seed);
        policy_case c = policy_open("", NULL);
        c.entities = load_store(&g);
        bring_guests(c.request, &g);
        for (size_t i = 0; i < 24; i++) {
            uint32_t state = seed * 31 + (uint32_t)i;
            size_t from = next_random(&state) % NODES;
            size_t to = next_random(&state) % NODES;
            check_pair(&c, &g, from, to, seed);
        }
        policy_close(&c);
    }
}
