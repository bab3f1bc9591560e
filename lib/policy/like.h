/* Patterns of the `like` operator. */
#ifndef AICPI_POLICY_LIKE_H
#define AICPI_POLICY_LIKE_H

#include "lib/base/slice.h"

#include <stdint.h>

/* The literal pieces around the wildcards: n wildcards make n + 1 pieces, any of them empty. */
typedef struct aicpi_policy_pattern {
    uint32_t count;
    const aicpi_slice *pieces;
} aicpi_policy_pattern;

/* Time proportional to the length of the text and the pattern. */
bool aicpi_policy_like(const aicpi_policy_pattern *pattern, aicpi_slice text);

#endif
