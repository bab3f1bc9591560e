/* Whom a rate-limit policy means. */
#ifndef AICPA_RULES_LIMITS_H
#define AICPA_RULES_LIMITS_H

#include "services/admin-api/rules/rules.h"

typedef struct aicpa_scope {
    const char *name;
    const char *dimensions[2]; /* of a request; NULL: none */
} aicpa_scope;
extern const aicpa_scope aicpa_scopes[];
extern const size_t aicpa_scope_count;

/* NULL when there is none of that name. */
const aicpa_scope *aicpa_scope_find(aicpi_slice name);
/* The values of the scope's dimensions: "value", or "first:second" (cut at the first colon) for
 * pairs; none for global. False when it has another form. */
bool aicpa_scope_split(const aicpa_scope *scope, aicpi_slice value, aicpi_slice out[2]);

#endif
