/* Findings of the validator. */
#ifndef AICPI_POLICY_REPORT_H
#define AICPI_POLICY_REPORT_H

#include "lib/policy/set.h"

typedef struct aicpi_policy_finding {
    int32_t kind;
    int32_t severity;
    uint32_t offset;
    uint32_t line;
    uint32_t column;
    bool template;
    size_t index; /* of the policy or template */
    const char *id;
    const char *message;
} aicpi_policy_finding;

struct aicp_policy_report {
    aicp_allocator allocator;
    aicpi_arena arena;
    aicpi_policy_finding *findings;
    size_t count;
    size_t capacity;
    size_t max;
    bool failed; /* there is an error */
    bool truncated;
    bool nomem; /* a finding is missing */
    uint32_t flags;
    /* while it is filled */
    const aicp_policy_set *set;
    const aicpi_policy_rule *rule; /* the one that is looked at */
    bool template;
    size_t index;
    const char *id;  /* of the rule; NULL until it is needed */
    aicpi_map known; /* findings of the rule that are there, by place, kind and message */
};

/* NULL: out of memory. */
aicp_policy_report *
aicpi_policy_report_new(const aicp_policy_set *set, const aicp_policy_validate_options *options);
/* The rule that the next findings are about. */
void aicpi_policy_report_begin(
    aicp_policy_report *r, const aicpi_policy_rule *rule, bool template, size_t index);
/* Notes a finding about that rule; an equal one is there once. */
void aicpi_policy_report_add(
    aicp_policy_report *r, int32_t kind, uint32_t pos, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
/* Drops what is needed only while it is filled. */
void aicpi_policy_report_finish(aicp_policy_report *r);

#endif
