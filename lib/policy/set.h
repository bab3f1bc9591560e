/* A policy set: the AST of its text, and the rules that are run. */
#ifndef AICPI_POLICY_SET_H
#define AICPI_POLICY_SET_H

#include "lib/base/hash.h"
#include "lib/base/thread.h"
#include "lib/policy/program.h"

#include "aicp/policy.h"

typedef struct aicpi_policy_test {
    const aicpi_policy_node *node;
    bool unless;
} aicpi_policy_test;

/* A static policy, a link, or a template (whose slots are still open). */
typedef struct aicpi_policy_rule {
    const aicpi_policy_str *id;
    int32_t effect;
    uint32_t test_count;
    const aicpi_policy_test *tests;
    aicpi_policy_scope scope[3]; /* slots filled */
    const aicpi_policy_ast *ast;
} aicpi_policy_rule;

typedef struct aicpi_policy_index aicpi_policy_index;

struct aicp_policy_set {
    aicpi_ref ref;
    aicp_allocator allocator;
    aicpi_arena arena;
    aicp_policy_set *base; /* the set this one was linked from: its AST and rules are used here */
    aicpi_policy_rule *rules;
    size_t count;
    const aicpi_policy_index *index; /* of the rules */
    const aicpi_policy_rule *templates;
    size_t template_count;
    aicpi_map ids;         /* of rules: index * 2; of templates: index * 2 + 1 */
    const uint32_t *lines; /* byte offset of each line's start */
    size_t line_count;
};

/* Line and column, from 1, of a place in the set's text. */
void aicpi_policy_set_place(
    const aicp_policy_set *set, uint32_t pos, uint32_t *line, uint32_t *column);

/* An empty set with memory of its own; NULL: out of memory. */
aicp_policy_set *aicpi_policy_set_new(const aicp_allocator *a);
/* Notes an id. ERR_EXISTS when it is taken. */
aicp_status aicpi_policy_set_add_id(
    aicp_policy_set *set, const aicpi_policy_str *id, uint64_t value, aicp_error *err);
/* Makes the rule of a policy whose AST is complete. False: out of memory. */
bool aicpi_policy_compile_rule(
    aicpi_arena *arena, const aicpi_policy_ast *ast, aicpi_policy_rule *rule);
/* Makes the index; to be called when the rules are complete. */
aicp_status aicpi_policy_set_index(aicp_policy_set *set, aicp_error *err);
/* aicp_policy_set_link() with the array of links at data[start..end); places of errors count from
 * `data`. */
aicp_status aicpi_policy_set_link_at(
    const aicp_policy_set *set,
    const char *data,
    size_t start,
    size_t end,
    aicp_policy_set **out,
    aicp_error *err);

#endif
