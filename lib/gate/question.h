/* What a gate asks its policies about a request. */
#ifndef AICPI_GATE_QUESTION_H
#define AICPI_GATE_QUESTION_H

#include "lib/base/slice.h"

#include "aicp/gate.h"

typedef struct aicpi_question {
    const aicpi_slice *fields; /* of the subject, by AICP_GATE_KEY … */
    const aicpi_slice *tags;
    size_t tag_count;
    const aicpi_slice *tools; /* at most AICPI_TOOLS_MAX */
    size_t tool_count;
    aicpi_slice model;
    const aicp_price_table *prices; /* where the model's provider is looked up; NULL: nowhere */
    int32_t action;
    bool stream;
    int64_t input_tokens;
    int64_t output_cap;
    int64_t wall_ns;
} aicpi_question;

/* Fills `out`. What `entities` (NULL: none) say of key and model holds instead. */
aicp_status aicpi_question_put(
    const aicpi_question *question,
    const aicp_policy_entities *entities,
    aicp_policy_request *out,
    aicp_error *err);

#endif
