/* "did you mean …": the nearest of several names to one that was not found. */
#ifndef AICPI_POLICY_SUGGEST_H
#define AICPI_POLICY_SUGGEST_H

#include "lib/policy/brief.h"

typedef struct aicpi_policy_near {
    aicpi_slice name;
    aicpi_slice best;
    size_t distance; /* of the best; a name must be nearer than this */
} aicpi_policy_near;

typedef struct aicpi_policy_near_words {
    char text[sizeof(aicpi_policy_brief) + 24];
} aicpi_policy_near_words;

aicpi_policy_near aicpi_policy_near_start(aicpi_slice name) __attribute__((cold));
void aicpi_policy_near_offer(aicpi_policy_near *near, aicpi_slice name) __attribute__((cold));
/* "; did you mean X?", or nothing. */
aicpi_policy_near_words aicpi_policy_near_text(const aicpi_policy_near *near) __attribute__((cold));

#endif
